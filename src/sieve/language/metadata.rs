//! Annotations of mailboxes and of the server: RFC 5490 §3.3, §3.4, §4.

use super::arguments::Arguments;
use super::checker::{Checker, TestKind};
use super::extension::Extension;
use super::mailbox::{existing, warn_of_name};
use super::matching::{MatchTags, Matching, Value};
use super::program::Test;
use super::run::{Run, Stop};
use super::text::Text;
use crate::mail::MailboxName;
use crate::sieve::error::Place;
use crate::sieve::syntax::Call;

pub(super) const TESTS: &[TestKind] = &[
    TestKind {
        name: "metadata",
        from: &[Extension::MboxMetadata],
        compile: |checker, call| compile_value(checker, call, true),
    },
    TestKind {
        name: "metadataexists",
        from: &[Extension::MboxMetadata],
        compile: |checker, call| compile_exists(checker, call, true),
    },
    TestKind {
        name: "servermetadata",
        from: &[Extension::ServerMetadata],
        compile: |checker, call| compile_value(checker, call, false),
    },
    TestKind {
        name: "servermetadataexists",
        from: &[Extension::ServerMetadata],
        compile: |checker, call| compile_exists(checker, call, false),
    },
];

/// Whose annotations a test asks for.
#[derive(Debug)]
enum Of {
    Mailbox(Text),
    Server,
}

impl Of {
    fn take(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>, mailbox: bool) -> Option<Of> {
        if !mailbox {
            return Some(Of::Server);
        }
        let (place, name) = arguments.placed_text(checker, "the name of a mailbox")?;
        warn_of_name(checker, place, &name);
        Some(Of::Mailbox(name))
    }

    // None where there is no such mailbox; within it, none is the server.
    fn find(&self, run: &Run<'_>) -> Result<Option<Option<MailboxName>>, Stop> {
        match self {
            Of::Server => Ok(Some(None)),
            Of::Mailbox(name) => Ok(existing(run, &name.value(run)?).map(Some)),
        }
    }
}

// RFC 5464 §4.1: entry names.
fn check_entry(checker: &mut Checker<'_>, place: Place, name: &Text) -> Option<()> {
    let Some(name) = name.constant() else { return Some(()) };
    let lower = name.to_ascii_lowercase();
    let rooted = lower.starts_with("/private/") || lower.starts_with("/shared/");
    let right = rooted
        && !name.ends_with('/')
        && !name.contains("//")
        && name
            .chars()
            .all(|c| c.is_ascii() && !c.is_ascii_control() && !matches!(c, '*' | '%'));
    match right {
        true => Some(()),
        false => checker.error(
            place,
            format!("\"{name}\" is not the name of an annotation: it begins with \"/private/\" or \"/shared/\""),
        ),
    }
}

// metadata [MATCH-TYPE] [COMPARATOR] <mailbox: string> <annotation-name: string> <key-list: string-list>
// servermetadata [MATCH-TYPE] [COMPARATOR] <annotation-name: string> <key-list: string-list>
fn compile_value(checker: &mut Checker<'_>, call: &Call, mailbox: bool) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let tags = MatchTags::take(&mut arguments, checker);
    let of = Of::take(&mut arguments, checker, mailbox);
    let name = arguments.placed_text(checker, "the name of an annotation");
    let keys = arguments.texts(checker, "keys");
    arguments.end(checker)?;
    let (place, name) = name?;
    check_entry(checker, place, &name)?;
    Some(Box::new(Metadata {
        of: of?,
        name,
        matching: tags?.with_keys(checker, keys?)?,
    }))
}

#[derive(Debug)]
struct Metadata {
    of: Of,
    name: Text,
    matching: Matching,
}

impl Test for Metadata {
    // RFC 5490 §3.3: false where the mailbox or the annotation is not there.
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let Some(mailbox) = self.of.find(run)? else {
            return Ok(false);
        };
        let name = self.name.value(run)?.into_owned();
        match run.account().annotation(mailbox.as_ref(), &name) {
            Some(value) => self.matching.any(run, &name, &[Value::from(value)]),
            None => Ok(false),
        }
    }
}

// metadataexists <mailbox: string> <annotation-names: string-list>
// servermetadataexists <annotation-names: string-list>
fn compile_exists(checker: &mut Checker<'_>, call: &Call, mailbox: bool) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let of = Of::take(&mut arguments, checker, mailbox);
    let names = arguments.texts(checker, "names of annotations");
    arguments.end(checker)?;
    let names = names?;
    for (place, name) in &names {
        check_entry(checker, *place, name)?;
    }
    Some(Box::new(MetadataExists {
        of: of?,
        names: names.into_iter().map(|(_, text)| text).collect(),
    }))
}

#[derive(Debug)]
struct MetadataExists {
    of: Of,
    names: Vec<Text>,
}

impl Test for MetadataExists {
    // RFC 5490 §3.4: every one of them.
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let Some(mailbox) = self.of.find(run)? else {
            return Ok(false);
        };
        for name in &self.names {
            let name = name.value(run)?;
            if run.account().annotation(mailbox.as_ref(), &name).is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
