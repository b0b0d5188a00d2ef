//! What is wrong with a file, shown to people.

use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration {file}: {source}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says what it must not. Displayed with the lines, the places underlined.
    #[error("{shown}")]
    Invalid {
        /// All faults, in the order of their lines.
        faults: Vec<Fault>,
        /// The faults with their lines, for people.
        shown: String,
    },
}

/// One fault of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub help: Option<String>,
    pub(super) span: Range<usize>,
}

/// The error for faults found in a text; there must be one.
pub(super) fn invalid(name: &str, text: &str, mut faults: Vec<Fault>) -> ConfigError {
    for fault in &mut faults {
        let start = text.floor_char_boundary(fault.span.start);
        fault.span = start..text.ceil_char_boundary(fault.span.end).max(start);
        fault.line = 1 + text[..start].matches('\n').count();
    }
    faults.sort_by_key(|fault| fault.span.start);
    let shown: Vec<String> = faults.iter().map(|fault| show(name, text, fault)).collect();
    ConfigError::Invalid {
        faults,
        shown: shown.join("\n\n"),
    }
}

fn show(name: &str, text: &str, fault: &Fault) -> String {
    let mark = AnnotationKind::Primary.span(fault.span.clone());
    let snippet = Snippet::source(text).path(name).annotation(mark);
    let mut group = Level::ERROR.primary_title(fault.what.as_str()).element(snippet);
    if let Some(help) = &fault.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    Renderer::plain().render(&[group])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_line_and_the_place() {
        let text = "a = 1\nbb = 2\n";
        let fault = Fault {
            line: 0,
            what: "no such setting".to_owned(),
            help: Some("did you mean `b`?".to_owned()),
            span: 6..8,
        };
        let shown = invalid("x.toml", text, vec![fault]).to_string();
        for part in [
            "error: no such setting",
            "x.toml:2:1",
            "bb = 2",
            "^^",
            "did you mean `b`?",
        ] {
            assert!(shown.contains(part), "{part} in\n{shown}");
        }
    }
}
