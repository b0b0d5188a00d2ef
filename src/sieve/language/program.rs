//! A compiled script: statements and conditions, each of which knows how to run itself.

use std::fmt;
use std::sync::Arc;

use super::run::{Run, Stop};
use crate::sieve::error::{Fault, Place};

/// A script compiled by the checker.
#[derive(Debug)]
pub(in crate::sieve) struct Program {
    pub(super) source: Arc<str>,
    pub(super) block: Block,
    pub(super) warnings: Vec<Fault>,
    pub(super) needs_whole: bool,
    pub(super) includes: bool,
    /// Bytes of its regular expressions.
    pub(super) expressions: usize,
    /// It requires `variables`, so tests set match variables.
    pub(super) captures: bool,
}

/// The commands between two braces, or of a whole script.
#[derive(Debug, Default)]
pub(super) struct Block(pub(super) Vec<Statement>);

/// A command and where it stands.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) place: Place,
    /// Its text in the script, in bytes.
    pub(super) extent: (u32, u32),
    pub(super) does: Box<dyn Execute>,
}

/// A test and where it stands.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) place: Place,
    /// Its text in the script, in bytes.
    pub(super) extent: (u32, u32),
    pub(super) test: Box<dyn Test>,
}

/// What a command does.
pub(super) trait Execute: fmt::Debug + Send + Sync {
    /// Does it.
    ///
    /// # Errors
    /// [`Stop`]: the script ends here, and nothing of it counts.
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop>;

    /// Whether a trace shows it: not where it only holds others, which are shown themselves.
    fn is_traced(&self) -> bool {
        true
    }
}

/// What a test asks.
pub(super) trait Test: fmt::Debug + Send + Sync {
    /// Its answer.
    ///
    /// # Errors
    /// [`Stop`]: the script ends here, and nothing of it counts.
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop>;
}

/// What comes after a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// The next one.
    Next,
    /// Nothing: `stop` (RFC 5228 §3.3).
    Stop,
    /// What follows the `include`: `return` (RFC 6609 §3.3).
    Return,
    /// What follows the loop of that name, or the innermost: `break` (RFC 5703 §3.2).
    Break(Option<Box<str>>),
}
