//! Snippets of the documents, used by the tests exactly as they are printed there.

use std::fs;
use std::path::Path;

/// The code block of docs/MTA.md that follows the line `<!-- test: NAME -->`.
pub fn snippet(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/MTA.md");
    let text = fs::read_to_string(&path).expect("docs/MTA.md");
    let marker = format!("<!-- test: {name} -->\n");
    let (_, after) = text
        .split_once(&marker)
        .unwrap_or_else(|| panic!("docs/MTA.md has no {marker}"));
    let (_, block) = after.split_once("```").expect("a code block after the marker");
    let (_, block) = block.split_once('\n').expect("a first line");
    let (block, _) = block.split_once("```").expect("its end");
    block.to_owned()
}

/// A snippet with its paths and addresses replaced by those of a test; each must occur.
pub fn snippet_with(name: &str, replacements: &[(&str, &str)]) -> String {
    let mut text = snippet(name);
    for (from, to) in replacements {
        assert!(
            text.contains(from),
            "snippet {name} of docs/MTA.md does not contain {from}"
        );
        text = text.replace(from, to);
    }
    text
}
