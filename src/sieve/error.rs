//! What is wrong with a script, and how its owner is shown it.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::Script;

/// What became of a script that did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// [`Script::name`] of the script at fault.
    pub script: String,
    /// Before it ran, or while.
    pub kind: ErrorKind,
    /// What is wrong, for the script's owner.
    pub message: String,
    /// Where, counted from 1, as far as known.
    pub line: Option<u32>,
    /// Where in the line, in characters counted from 1.
    pub column: Option<u32>,
    /// How many characters of that line are at fault; at least 1 where the column is known.
    pub length: u32,
    /// That line of the script.
    pub excerpt: Option<String>,
    /// What would be right.
    pub help: Option<String>,
}

/// When a script failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// It did not compile: nothing of it ran.
    Compile,
    /// It stopped while running: nothing of it counts.
    Runtime,
}

/// What the compiler says of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Why it does not compile, in the order of their places; empty where it does.
    pub errors: Vec<ScriptError>,
    /// What compiles, but is probably not what its owner means.
    pub warnings: Vec<ScriptError>,
}

/// A place in a script: line and column counted from 1, columns and length in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) length: u32,
}

/// One fault; without the script's name, so that it can be cached by content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) place: Option<Place>,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(place: Option<Place>, message: impl Into<String>) -> Fault {
        Fault {
            message: message.into(),
            place,
            help: None,
        }
    }

    /// Of a script, as what its owner is told.
    pub(super) fn of(self, script: &Script, kind: ErrorKind) -> ScriptError {
        let excerpt = self.place.and_then(|place| line(&script.source, place.line));
        ScriptError {
            script: script.name.clone(),
            kind,
            message: self.message,
            line: self.place.map(|place| place.line),
            column: self.place.map(|place| place.column),
            length: self.place.map_or(0, |place| place.length.max(1)),
            excerpt,
            help: self.help,
        }
    }
}

// No more of a line than a person wants to see.
const EXCERPT_MAX: usize = 1000;

fn line(source: &[u8], number: u32) -> Option<String> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    let line = source.split(|byte| *byte == b'\n').nth(index)?;
    let line = String::from_utf8_lossy(line);
    let shown = line.trim_end_matches('\r').chars().take(EXCERPT_MAX);
    Some(shown.map(|c| if c.is_control() { ' ' } else { c }).collect())
}

impl ScriptError {
    /// The error with its line, the place underlined, and what would be right; several lines.
    #[must_use]
    pub fn illustrated(&self) -> String {
        self.render(Level::ERROR)
    }

    /// The same for a warning.
    #[must_use]
    pub fn illustrated_warning(&self) -> String {
        self.render(Level::WARNING)
    }

    fn render(&self, level: Level<'_>) -> String {
        let title = level.primary_title(self.message.as_str());
        let mut group: Group<'_> = match (&self.excerpt, self.line, self.column) {
            (Some(excerpt), Some(line), Some(column)) => {
                let offset = |characters: u32| {
                    let count = usize::try_from(characters).unwrap_or(usize::MAX);
                    excerpt.char_indices().nth(count).map_or(excerpt.len(), |(at, _)| at)
                };
                let span = offset(column - 1)..offset(column - 1 + self.length);
                let snippet = Snippet::source(excerpt.as_str())
                    .line_start(usize::try_from(line).unwrap_or(1))
                    .path(self.script.as_str())
                    .annotation(AnnotationKind::Primary.span(span));
                title.element(snippet)
            }
            _ => title.element(Level::NOTE.message(format!("in {}", self.script))),
        };
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        Renderer::plain().render(&[group])
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.script)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ScriptError {}
