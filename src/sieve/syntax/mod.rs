//! The grammar of Sieve (RFC 5228 §8), without the meaning of any command.
//!
//! Called by an evaluator before anything else looks at a script; ends in a list of
//! [`Command`]s or in a [`SyntaxError`] with its place. Depth and size are bounded.

mod lexer;
mod parser;

pub(in crate::sieve) use lexer::lex;
pub(in crate::sieve) use parser::parse;

/// A place in a script, both counted from 1; columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sieve) struct Position {
    pub(in crate::sieve) line: u32,
    pub(in crate::sieve) column: u32,
}

/// What is wrong with a script, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sieve) struct SyntaxError {
    pub(in crate::sieve) message: String,
    pub(in crate::sieve) position: Position,
}

impl SyntaxError {
    pub(in crate::sieve) fn new(position: Position, message: impl Into<String>) -> SyntaxError {
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
    pub(in crate::sieve) end: Position,
}

/// The part that commands and tests have in common: a name and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sieve) struct Call {
    pub(in crate::sieve) position: Position,
    /// In lower case.
    pub(in crate::sieve) name: String,
    pub(in crate::sieve) arguments: Vec<Argument>,
    pub(in crate::sieve) tests: Vec<Call>,
    /// The tests stood in parentheses: `test-list` rather than one `test`.
    pub(in crate::sieve) listed: bool,
}

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sieve) struct Argument {
    pub(in crate::sieve) position: Position,
    pub(in crate::sieve) value: Value,
}

/// `argument = string-list / number / tag`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sieve) enum Value {
    /// Without the colon, in lower case.
    Tag(String),
    Number(u64),
    Text(String),
    List(Vec<(Position, String)>),
}

impl Value {
    /// A string, or each string of a list.
    pub(in crate::sieve) fn strings(&self) -> Vec<&str> {
        match self {
            Value::Text(text) => vec![text],
            Value::List(list) => list.iter().map(|(_, text)| text.as_str()).collect(),
            Value::Tag(_) | Value::Number(_) => Vec::new(),
        }
    }
}
