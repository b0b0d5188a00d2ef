//! The arguments of the commands that are carried out here rather than by sieve-rs.

use crate::sieve::syntax::{Argument, Call, SyntaxError, Value};

/// What follows a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nothing,
    Text,
    Texts,
    Number,
}

/// The tags that were given, and the one string that follows them, where there is one.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    tags: Vec<(&'a str, Option<&'a Argument>)>,
    pub(super) text: Option<&'a Argument>,
}

impl<'a> Arguments<'a> {
    /// Sorts the arguments of a command that has those tags and, where `text`, one string.
    ///
    /// # Errors
    /// Names the argument that is too much, missing or of another kind.
    pub(super) fn of(call: &'a Call, known: &[(&str, Kind)], text: bool) -> Result<Arguments<'a>, SyntaxError> {
        let mut found = Arguments {
            tags: Vec::new(),
            text: None,
        };
        if let Some(test) = call.tests.first() {
            let message = format!("a semicolon is missing before {:?}", test.name);
            return Err(SyntaxError::new(test.position, message));
        }
        let mut arguments = call.arguments.iter();
        while let Some(argument) = arguments.next() {
            match &argument.value {
                Value::Tag(tag) => {
                    let kind = known.iter().find(|(name, _)| name == tag).map(|(_, kind)| *kind);
                    let value = found.tag(call, argument, tag, kind, &mut arguments)?;
                    found.tags.push((tag, value));
                }
                Value::Text(_) if text && found.text.is_none() => found.text = Some(argument),
                _ => {
                    let message = format!("{} does not take this argument", call.name);
                    return Err(SyntaxError::new(argument.position, message));
                }
            }
        }
        if text && found.text.is_none() {
            return Err(SyntaxError::new(call.position, format!("{} needs a string", call.name)));
        }
        Ok(found)
    }

    fn tag(
        &self,
        call: &Call,
        argument: &Argument,
        tag: &str,
        kind: Option<Kind>,
        arguments: &mut std::slice::Iter<'a, Argument>,
    ) -> Result<Option<&'a Argument>, SyntaxError> {
        let error = |message| Err(SyntaxError::new(argument.position, message));
        let Some(kind) = kind else {
            return error(format!("{} does not take \":{tag}\"", call.name));
        };
        // RFC 5228 §2.6.2: a tag stands at most once.
        if self.has(tag) || self.text.is_some() {
            return error(format!("\":{tag}\" stands twice, or after the string"));
        }
        if kind == Kind::Nothing {
            return Ok(None);
        }
        match arguments.next() {
            Some(value) if fits(kind, &value.value) => Ok(Some(value)),
            _ => error(format!("\":{tag}\" needs {}", wanted(kind))),
        }
    }

    /// Whether a tag was given.
    pub(super) fn has(&self, tag: &str) -> bool {
        self.tags.iter().any(|(name, _)| *name == tag)
    }

    /// What follows a tag.
    pub(super) fn value(&self, tag: &str) -> Option<&'a Argument> {
        self.tags
            .iter()
            .find(|(name, _)| *name == tag)
            .and_then(|(_, value)| *value)
    }
}

fn fits(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Nothing => false,
        Kind::Text => matches!(value, Value::Text(_)),
        Kind::Texts => matches!(value, Value::Text(_) | Value::List(_)),
        Kind::Number => matches!(value, Value::Number(_)),
    }
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Nothing => "nothing",
        Kind::Text => "a string",
        Kind::Texts => "a string or a list of strings",
        Kind::Number => "a number",
    }
}
