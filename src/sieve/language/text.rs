//! Strings: RFC 5228 §2.4.2, with encoded characters (§2.4.2.4) and variables (RFC 5229 §3).

use std::borrow::Cow;

use super::checker::Checker;
use super::extension::Extension;
use super::run::{Run, Stop};
use crate::sieve::error::Place;
use crate::sieve::syntax;

/// Bytes of a string after its variables were filled in.
const EXPANDED_MAX: usize = 1 << 20;
/// The last match variable; RFC 5229 §3.2 asks for 9.
pub(super) const MATCHES_MAX: usize = 99;
/// Octets of a variable's name; RFC 5229 §6 asks for 32.
pub(super) const NAME_MAX: usize = 64;

/// A string of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// Known when the script is compiled.
    Constant(Box<str>),
    /// To be put together when it runs.
    Mixed(Box<[Piece]>),
}

/// A part of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Box<str>),
    /// `${name}`, in lower case.
    Variable(Box<str>),
    /// `${1}`.
    Match(usize),
    /// `${env.name}`: an item of RFC 5183, as `vnd.dovecot.environment` has it.
    Environment(Box<str>),
}

impl Text {
    /// Reads a string as the extensions that are required by then have it.
    pub(super) fn compile(checker: &mut Checker<'_>, place: Place, text: &str) -> Option<Text> {
        if !text.contains("${") {
            return Some(Text::Constant(text.into()));
        }
        let decoded = if checker.has(Extension::EncodedCharacter) {
            match syntax::decode(text) {
                Ok(decoded) => Cow::Owned(decoded),
                Err(message) => return checker.error(place, message),
            }
        } else {
            Cow::Borrowed(text)
        };
        if !checker.has(Extension::Variables) {
            return Some(Text::Constant(decoded.as_ref().into()));
        }
        Text::with_variables(checker, place, &decoded)
    }

    fn with_variables(checker: &mut Checker<'_>, place: Place, text: &str) -> Option<Text> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            match reference(checker, rest) {
                Ok(Some((piece, length))) => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
                    }
                    pieces.push(piece);
                    rest = &rest[length..];
                }
                Ok(None) => {
                    plain.push_str("${");
                    rest = &rest[2..];
                }
                Err(message) => return checker.error(place, message),
            }
        }
        plain.push_str(rest);
        if pieces.is_empty() {
            return Some(Text::Constant(plain.into()));
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain.into()));
        }
        Some(Text::Mixed(pieces.into()))
    }

    /// The string, where it is known when the script is compiled.
    pub(super) fn constant(&self) -> Option<&str> {
        match self {
            Text::Constant(text) => Some(text),
            Text::Mixed(_) => None,
        }
    }

    /// The string as it is now.
    ///
    /// # Errors
    /// Where it has become too long.
    pub(super) fn value(&self, run: &Run<'_>) -> Result<Cow<'_, str>, Stop> {
        let pieces = match self {
            Text::Constant(text) => return Ok(Cow::Borrowed(text)),
            Text::Mixed(pieces) => pieces,
        };
        let mut value = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => value.push_str(text),
                Piece::Variable(name) => value.push_str(run.variable(name)),
                Piece::Match(index) => value.push_str(run.match_variable(*index)),
                Piece::Environment(item) => value.push_str(&run.environment_item(item).unwrap_or_default()),
            }
            if value.len() > EXPANDED_MAX {
                return Err(Stop::error(format!(
                    "a string with variables became longer than {EXPANDED_MAX} bytes"
                )));
            }
        }
        Ok(Cow::Owned(value))
    }
}

/// Checks the name of a variable that is set, and puts it into lower case (RFC 5229 §3).
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn variable_name(name: &str) -> Result<Box<str>, String> {
    if let Some((namespace, _)) = name.split_once('.') {
        return Err(format!(
            "\"{name}\" is in the namespace \"{namespace}\", whose variables cannot be set"
        ));
    }
    if !is_identifier(name) {
        return Err(format!(
            "\"{name}\" is not the name of a variable: it is made of letters, digits and _, and starts with no digit"
        ));
    }
    if name.len() > NAME_MAX {
        return Err(format!("the name of a variable has at most {NAME_MAX} letters"));
    }
    Ok(name.to_ascii_lowercase().into())
}

fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

// variable-ref = "${" [namespace] variable-name "}". What does not fit the grammar stands for itself.
fn reference(checker: &Checker<'_>, text: &str) -> Result<Option<(Piece, usize)>, String> {
    let Some(end) = text.find('}') else {
        return Ok(None);
    };
    let name = &text[2..end];
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        let index = name.parse::<usize>().unwrap_or(usize::MAX);
        if index > MATCHES_MAX {
            return Err(format!("${{{name}}}: match variables go up to {MATCHES_MAX}"));
        }
        return Ok(Some((Piece::Match(index), end + 1)));
    }
    if is_identifier(name) {
        if name.len() > NAME_MAX {
            return Err(format!("the name of a variable has at most {NAME_MAX} letters"));
        }
        return Ok(Some((Piece::Variable(name.to_ascii_lowercase().into()), end + 1)));
    }
    let Some((namespace, item)) = name.split_once('.') else {
        return Ok(None);
    };
    let words = || item.split('.').all(|word| is_identifier(word) || is_number(word));
    if !is_identifier(namespace) || !words() {
        return Ok(None);
    }
    match namespace.to_ascii_lowercase().as_str() {
        // RFC 6609 §3.4: a global variable by its full name.
        "global" if checker.has(Extension::Include) && is_identifier(item) => Ok(Some((
            Piece::Variable(format!("global.{}", item.to_ascii_lowercase()).into()),
            end + 1,
        ))),
        "env" if checker.has(Extension::DovecotEnvironment) => {
            Ok(Some((Piece::Environment(item.to_ascii_lowercase().into()), end + 1)))
        }
        _ => Err(format!("${{{name}}}: there is no namespace \"{namespace}\" here")),
    }
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_variables() {
        assert_eq!(variable_name("Ab_1").as_deref(), Ok("ab_1"));
        for name in ["", "1", "a-b", "a b", "env.x", "ä", &"a".repeat(65)] {
            assert!(variable_name(name).is_err(), "{name}");
        }
    }
}
