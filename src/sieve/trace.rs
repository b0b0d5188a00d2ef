//! What a run tested and did, line by line: the answer to "why is this here?".

use std::sync::Arc;

/// Lines that a trace has at most; what comes after them is not noted.
const LINES_MAX: usize = 10_000;
/// Characters of a value that are shown.
const VALUE_MAX: usize = 200;
/// Values of one test that are shown.
pub(super) const VALUES_MAX: usize = 50;

/// What scripts tested and did, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// In order.
    pub lines: Vec<TraceLine>,
    /// There was more than is noted here.
    pub truncated: bool,
}

/// One thing that a script did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceLine {
    /// The script.
    pub script: Arc<str>,
    /// The line, counted from 1.
    pub line: u32,
    /// How deep in blocks and tests it stands.
    pub depth: u32,
    /// What it was.
    pub event: TraceEvent,
}

/// What a script did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceEvent {
    /// A test begins; the lines up to its [`TraceEvent::Result`] are deeper.
    Test(String),
    /// A value was compared with keys.
    Value {
        /// Where it comes from, such as a field's name.
        of: String,
        /// The value, cut where it is long.
        value: String,
        /// The key that it matched; none where none did.
        matched: Option<String>,
    },
    /// How the test ended.
    Result(bool),
    /// An action or another command was executed.
    Command(String),
    /// Something worth a word: a script begins, a variable is set, why nothing is done.
    Note(String),
}

impl Trace {
    /// Notes a line, where there is room for it.
    pub(super) fn push(&mut self, line: TraceLine) {
        if self.lines.len() < LINES_MAX {
            self.lines.push(line);
        } else {
            self.truncated = true;
        }
    }
}

/// A value as a trace shows it: one line, not too long.
pub(super) fn shown(value: &str) -> String {
    let mut shown: String = value
        .chars()
        .take(VALUE_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if value.chars().nth(VALUE_MAX).is_some() {
        shown.push('…');
    }
    shown
}
