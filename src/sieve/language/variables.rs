//! Variables: RFC 5229, with the modifiers that RFC 5435 §6 and draft-ietf-sieve-regex add.

use std::cmp::Reverse;

use super::arguments::Arguments;
use super::checker::{Checker, CommandKind, TestKind};
use super::extension::Extension;
use super::matching::{MatchTags, Matching, Value};
use super::program::{Execute, Flow, Test};
use super::run::{Run, Stop};
use super::text::{Text, variable_name};
use crate::sieve::error::Place;
use crate::sieve::syntax::{Call, Command};

pub(super) const COMMANDS: &[CommandKind] = &[CommandKind {
    name: "set",
    from: &[Extension::Variables],
    compile: compile_set,
}];

pub(super) const TESTS: &[TestKind] = &[TestKind {
    name: "string",
    from: &[Extension::Variables],
    compile: compile_string,
}];

/// Takes the modifiers of a call, in the order in which they work.
pub(super) fn take_modifiers(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Option<Vec<Modifier>> {
    let mut found: Vec<Modifier> = Vec::new();
    for modifier in Modifier::ALL {
        let Some(place) = arguments.tag(checker, modifier.name(), modifier.extension()) else {
            continue;
        };
        // RFC 5229 §4.1: one of each precedence.
        if let Some(same) = found.iter().find(|other| other.precedence() == modifier.precedence()) {
            let message = format!("`:{}` does not go together with `:{}`", modifier.name(), same.name());
            return checker.error(place, message);
        }
        found.push(modifier);
    }
    found.sort_by_key(|modifier| Reverse(modifier.precedence()));
    Some(found)
}

/// Takes the name of a variable that is to be set.
pub(super) fn take_name(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Option<Box<str>> {
    let (place, name) = arguments.constant(checker, "the name of a variable")?;
    checked_name(checker, place, &name)
}

/// The same for a name that was taken already. RFC 6609 §3.4: `global.` may stand before it.
pub(super) fn checked_name(checker: &mut Checker<'_>, place: Place, name: &str) -> Option<Box<str>> {
    let lower = name.to_ascii_lowercase();
    let (prefix, bare) = match lower.strip_prefix("global.") {
        Some(bare) if checker.has(Extension::Include) => ("global.", bare),
        _ => ("", lower.as_str()),
    };
    match variable_name(bare) {
        Ok(bare) => Some(format!("{prefix}{bare}").into()),
        Err(message) => checker.error(place, message),
    }
}

// set [MODIFIER] <name: string> <value: string>
fn compile_set(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let modifiers = take_modifiers(&mut arguments, checker);
    let name = take_name(&mut arguments, checker);
    let value = arguments.text(checker, "a value");
    arguments.end(checker)?;
    Some(Box::new(Set {
        name: name?,
        modifiers: modifiers?,
        value: value?,
    }))
}

#[derive(Debug)]
struct Set {
    name: Box<str>,
    modifiers: Vec<Modifier>,
    value: Text,
}

impl Execute for Set {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let value = self.value.value(run)?.into_owned();
        let value = modified(&self.modifiers, value);
        run.set_variable(&self.name, value)?;
        Ok(Flow::Next)
    }
}

/// A value after its modifiers.
pub(super) fn modified(modifiers: &[Modifier], value: String) -> String {
    modifiers.iter().fold(value, |value, modifier| modifier.apply(value))
}

/// RFC 5229 §4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Modifier {
    Lower,
    Upper,
    LowerFirst,
    UpperFirst,
    QuoteWildcard,
    /// draft-ietf-sieve-regex
    QuoteRegex,
    /// RFC 5435 §6
    EncodeUrl,
    Length,
}

impl Modifier {
    const ALL: [Modifier; 8] = [
        Modifier::Lower,
        Modifier::Upper,
        Modifier::LowerFirst,
        Modifier::UpperFirst,
        Modifier::QuoteWildcard,
        Modifier::QuoteRegex,
        Modifier::EncodeUrl,
        Modifier::Length,
    ];

    fn name(self) -> &'static str {
        match self {
            Modifier::Lower => "lower",
            Modifier::Upper => "upper",
            Modifier::LowerFirst => "lowerfirst",
            Modifier::UpperFirst => "upperfirst",
            Modifier::QuoteWildcard => "quotewildcard",
            Modifier::QuoteRegex => "quoteregex",
            Modifier::EncodeUrl => "encodeurl",
            Modifier::Length => "length",
        }
    }

    fn extension(self) -> Option<Extension> {
        match self {
            Modifier::QuoteRegex => Some(Extension::Regex),
            Modifier::EncodeUrl => Some(Extension::Enotify),
            _ => None,
        }
    }

    fn precedence(self) -> u8 {
        match self {
            Modifier::Lower | Modifier::Upper => 40,
            Modifier::LowerFirst | Modifier::UpperFirst => 30,
            Modifier::QuoteWildcard | Modifier::QuoteRegex => 20,
            Modifier::EncodeUrl => 15,
            Modifier::Length => 10,
        }
    }

    fn apply(self, value: String) -> String {
        match self {
            // RFC 5229 §4.1.1: at least ASCII; letters of all scripts have a case.
            Modifier::Lower => value.to_lowercase(),
            Modifier::Upper => value.to_uppercase(),
            Modifier::LowerFirst => first(&value, |c| c.to_lowercase().collect()),
            Modifier::UpperFirst => first(&value, |c| c.to_uppercase().collect()),
            Modifier::QuoteWildcard => quoted(&value, "*?\\"),
            Modifier::QuoteRegex => quoted(&value, "^$.*+?()[]{}|\\"),
            Modifier::EncodeUrl => encoded_url(&value),
            Modifier::Length => value.chars().count().to_string(),
        }
    }
}

fn first(value: &str, change: impl FnOnce(char) -> String) -> String {
    let mut characters = value.chars();
    match characters.next() {
        Some(c) => change(c) + characters.as_str(),
        None => String::new(),
    }
}

fn quoted(value: &str, special: &str) -> String {
    let mut quoted = String::with_capacity(value.len());
    for c in value.chars() {
        if special.contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

// RFC 3986 §2.3: everything but the unreserved characters.
fn encoded_url(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

// string [MATCH-TYPE] [COMPARATOR] <source: string-list> <key-list: string-list>
fn compile_string(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let tags = MatchTags::take(&mut arguments, checker);
    let source = arguments.texts(checker, "strings");
    let keys = arguments.texts(checker, "keys");
    arguments.end(checker)?;
    Some(Box::new(StringTest {
        source: source?.into_iter().map(|(_, text)| text).collect(),
        matching: tags?.with_keys(checker, keys?)?,
    }))
}

#[derive(Debug)]
struct StringTest {
    source: Vec<Text>,
    matching: Matching,
}

impl Test for StringTest {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let mut values: Vec<Value> = Vec::with_capacity(self.source.len());
        for text in &self.source {
            values.push(text.value(run)?.into());
        }
        // RFC 5229 §5: `:count` counts the strings that are not empty.
        if self.matching.counts() {
            values.retain(|value| !value.is_empty());
        }
        self.matching.any(run, "string", &values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers() {
        // RFC 5229 §4.1 and §4.1.6
        for (modifiers, value, result) in [
            (&[Modifier::Length][..], "juMBlEd lETteRS", "15"),
            (&[Modifier::Lower], "juMBlEd lETteRS", "jumbled letters"),
            (&[Modifier::UpperFirst], "juMBlEd lETteRS", "JuMBlEd lETteRS"),
            (
                &[Modifier::Lower, Modifier::UpperFirst],
                "juMBlEd lETteRS",
                "Jumbled letters",
            ),
            (&[Modifier::QuoteWildcard], "Rock*", "Rock\\*"),
            (&[Modifier::QuoteWildcard, Modifier::Length], "a*", "3"),
            (&[Modifier::EncodeUrl], "a b/ä~", "a%20b%2F%C3%A4~"),
            (&[Modifier::QuoteRegex], "a.b[c]", "a\\.b\\[c\\]"),
            (&[Modifier::Length], "äöü", "3"),
            (&[Modifier::UpperFirst], "", ""),
        ] {
            assert_eq!(modified(modifiers, value.to_owned()), result, "{value}");
        }
    }
}
