//! IMAP flags: RFC 5232.

use super::arguments::Arguments;
use super::checker::{Checker, CommandKind, TestKind};
use super::extension::Extension;
use super::matching::{MatchTags, Matching, Value};
use super::program::{Execute, Flow, Test};
use super::run::{Run, Stop};
use super::text::Text;
use super::variables::checked_name;
use crate::mail::Flags;
use crate::sieve::error::Place;
use crate::sieve::syntax::{Call, Command};

/// Flags of one list; what is beyond is left out.
const FLAGS_MAX: usize = 200;

pub(super) const COMMANDS: &[CommandKind] = &[
    CommandKind {
        name: "setflag",
        from: &[Extension::Imap4Flags],
        compile: |checker, command| compile_change(checker, command, How::Set),
    },
    CommandKind {
        name: "addflag",
        from: &[Extension::Imap4Flags],
        compile: |checker, command| compile_change(checker, command, How::Add),
    },
    CommandKind {
        name: "removeflag",
        from: &[Extension::Imap4Flags],
        compile: |checker, command| compile_change(checker, command, How::Remove),
    },
];

pub(super) const TESTS: &[TestKind] = &[TestKind {
    name: "hasflag",
    from: &[Extension::Imap4Flags],
    compile: compile_hasflag,
}];

/// The flags that an action sets: `:flags`, or the internal variable (RFC 5232 §5).
#[derive(Debug, Default)]
pub(super) struct ActionFlags(Option<Vec<Text>>);

impl ActionFlags {
    /// Takes `:flags`.
    pub(super) fn take(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> ActionFlags {
        let list = arguments.tagged_texts(checker, "flags", Some(Extension::Imap4Flags));
        ActionFlags(list.map(|list| checked(checker, list)))
    }

    /// What `:flags` gave; none without it.
    pub(super) fn given(&self, run: &Run<'_>) -> Result<Option<Vec<String>>, Stop> {
        self.0.as_deref().map(|list| flags_of(run, list)).transpose()
    }

    /// The flags for the action.
    pub(super) fn value(&self, run: &Run<'_>) -> Result<Vec<String>, Stop> {
        Ok(self.given(run)?.unwrap_or_else(|| run.flags.clone()))
    }
}

#[derive(Clone, Copy, Debug)]
enum How {
    Set,
    Add,
    Remove,
}

// RFC 5232 §3: setflag [<variablename: string>] <list-of-flags: string-list>
fn compile_change(checker: &mut Checker<'_>, command: &Command, how: How) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let variable = match arguments.remaining() > 1 {
        true => Some(take_variable(&mut arguments, checker)),
        false => None,
    };
    let list = arguments.texts(checker, "flags");
    arguments.end(checker)?;
    Some(Box::new(Change {
        how,
        variable: match variable {
            Some(variable) => Some(variable?),
            None => None,
        },
        list: checked(checker, list?),
    }))
}

fn take_variable(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Option<Box<str>> {
    let (place, name) = arguments.constant(checker, "the name of a variable")?;
    if !checker.needs(place, "a variable for flags", Extension::Variables) {
        return None;
    }
    checked_name(checker, place, &name)
}

// RFC 5232 §2: what is no flag is ignored; the owner hears of it where it is known now.
fn checked(checker: &mut Checker<'_>, list: Vec<(Place, Text)>) -> Vec<Text> {
    for (place, text) in &list {
        for word in text.constant().unwrap_or_default().split_ascii_whitespace() {
            if let Err(error) = Flags::new().insert(word) {
                checker.warn(*place, format!("{error}; it is ignored"));
            }
        }
    }
    list.into_iter().map(|(_, text)| text).collect()
}

#[derive(Debug)]
struct Change {
    how: How,
    variable: Option<Box<str>>,
    list: Vec<Text>,
}

impl Execute for Change {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let list = flags_of(run, &self.list)?;
        let known = match &self.variable {
            None => run.flags.clone(),
            Some(name) => words(run.variable(name)),
        };
        let mut flags = match self.how {
            How::Set => Vec::new(),
            How::Add | How::Remove => known,
        };
        for flag in list {
            let same = |other: &String| other.eq_ignore_ascii_case(&flag);
            match self.how {
                How::Remove => flags.retain(|other| !same(other)),
                How::Set | How::Add if flags.iter().any(same) || flags.len() >= FLAGS_MAX => {}
                How::Set | How::Add => flags.push(flag),
            }
        }
        match &self.variable {
            None => run.flags = flags,
            Some(name) => run.set_variable(name, flags.join(" "))?,
        }
        Ok(Flow::Next)
    }
}

// RFC 5232 §4: hasflag [MATCH-TYPE] [COMPARATOR] [<variable-list: string-list>] <list-of-flags: string-list>
fn compile_hasflag(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let tags = MatchTags::take(&mut arguments, checker);
    let variables = match arguments.remaining() > 1 {
        true => Some(take_variables(&mut arguments, checker)),
        false => None,
    };
    let keys = arguments.texts(checker, "flags");
    arguments.end(checker)?;
    Some(Box::new(HasFlag {
        variables: match variables {
            Some(variables) => Some(variables?),
            None => None,
        },
        matching: tags?.with_words(checker, keys?)?,
    }))
}

fn take_variables(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Option<Vec<Box<str>>> {
    let names = arguments.constants(checker, "names of variables")?;
    let place = names.first().map_or(arguments.place(), |(place, _)| *place);
    if !checker.needs(place, "a variable for flags", Extension::Variables) {
        return None;
    }
    names
        .iter()
        .map(|(place, name)| checked_name(checker, *place, name))
        .collect()
}

#[derive(Debug)]
struct HasFlag {
    variables: Option<Vec<Box<str>>>,
    matching: Matching,
}

impl Test for HasFlag {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let flags = match &self.variables {
            None => run.flags.clone(),
            Some(names) => names.iter().flat_map(|name| words(run.variable(name))).collect(),
        };
        let values: Vec<Value> = flags.into_iter().map(Value::from).collect();
        self.matching.any(run, "flag", &values)
    }
}

// RFC 5232 §2: a string may hold several flags; each counts once.
fn flags_of(run: &Run<'_>, list: &[Text]) -> Result<Vec<String>, Stop> {
    let mut flags: Vec<String> = Vec::new();
    for text in list {
        for word in words(&text.value(run)?) {
            if flags.len() < FLAGS_MAX && !flags.iter().any(|flag| flag.eq_ignore_ascii_case(&word)) {
                flags.push(word);
            }
        }
    }
    Ok(flags)
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace()
        .take(FLAGS_MAX)
        .map(str::to_owned)
        .collect()
}
