//! The grammar of Sieve (RFC 5228 §8), without the meaning of any command.
//!
//! Called by the evaluators before anything else looks at a script. Ends in a list of
//! [`Command`]s and a list of [`SyntaxError`]s with their places: after an error the parser
//! goes on at the next command, so that all of them are told at once. Depth is bounded.

mod encoded;
mod lexer;
mod parser;

use super::error::Fault;

pub(in crate::sieve) use super::error::Place;
pub(in crate::sieve) use encoded::decode;
pub(in crate::sieve) use parser::parse;

/// What is wrong with a script, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sieve) struct SyntaxError {
    pub(in crate::sieve) message: String,
    pub(in crate::sieve) position: Place,
}

impl SyntaxError {
    pub(in crate::sieve) fn new(position: Place, message: impl Into<String>) -> SyntaxError {
        SyntaxError {
            message: message.into(),
            position,
        }
    }
}

/// `command = identifier arguments (";" / block)`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sieve) struct Command {
    pub(in crate::sieve) call: Call,
    pub(in crate::sieve) block: Option<Vec<Command>>,
    /// Where the semicolon or the brace stands.
    pub(in crate::sieve) end: Place,
}

/// The part that commands and tests have in common: a name and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sieve) struct Call {
    pub(in crate::sieve) position: Place,
    /// In lower case.
    pub(in crate::sieve) name: String,
    pub(in crate::sieve) arguments: Vec<Argument>,
    pub(in crate::sieve) tests: Vec<Call>,
    /// The tests stood in parentheses: `test-list` rather than one `test`.
    pub(in crate::sieve) listed: bool,
    /// Its text in the script, in bytes.
    pub(in crate::sieve) extent: (u32, u32),
}

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sieve) struct Argument {
    pub(in crate::sieve) position: Place,
    pub(in crate::sieve) value: Value,
}

/// `argument = string-list / number / tag`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sieve) enum Value {
    /// Without the colon, in lower case.
    Tag(String),
    Number(u64),
    Text(String),
    List(Vec<(Place, String)>),
}

impl Value {
    /// A string, or each string of a list.
    #[cfg(feature = "sieve-rs")]
    pub(in crate::sieve) fn strings(&self) -> Vec<&str> {
        match self {
            Value::Text(text) => vec![text],
            Value::List(list) => list.iter().map(|(_, text)| text.as_str()).collect(),
            Value::Tag(_) | Value::Number(_) => Vec::new(),
        }
    }
}

/// A script as text (RFC 5228 §2.1: UTF-8), without a byte order mark.
///
/// # Errors
/// The place of the first byte that is none.
pub(in crate::sieve) fn text(source: &[u8]) -> Result<&str, Fault> {
    match std::str::from_utf8(source) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let before = String::from_utf8_lossy(&source[..error.valid_up_to()]);
            let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            let place = Place {
                line: number(before.matches('\n').count() + 1),
                column: number(before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1),
                length: 1,
            };
            Err(Fault::new(Some(place), "a script must be UTF-8 text"))
        }
    }
}
