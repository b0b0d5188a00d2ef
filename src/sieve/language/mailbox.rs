//! Tests of mailboxes: `mailboxexists` (RFC 5490 §3.1), `mailboxidexists` (RFC 9042) and
//! `specialuse_exists` (RFC 8579 §3). The tags of the same extensions are with the actions.

use super::actions::{check_mailbox, check_special_use};
use super::arguments::Arguments;
use super::checker::{Checker, TestKind};
use super::extension::Extension;
use super::program::Test;
use super::run::{Run, Stop};
use super::text::Text;
use crate::mail::{MailboxName, SpecialUse};
use crate::sieve::error::Place;
use crate::sieve::syntax::Call;

pub(super) const TESTS: &[TestKind] = &[
    TestKind {
        name: "mailboxexists",
        from: &[Extension::Mailbox],
        compile: compile_mailboxexists,
    },
    TestKind {
        name: "mailboxidexists",
        from: &[Extension::MailboxId],
        compile: compile_mailboxidexists,
    },
    TestKind {
        name: "specialuse_exists",
        from: &[Extension::SpecialUse],
        compile: compile_specialuse_exists,
    },
];

/// The mailbox of a name, if there is one.
pub(super) fn existing(run: &Run<'_>, name: &str) -> Option<MailboxName> {
    let mailbox = MailboxName::parse(name, run.incoming().separator).ok()?;
    let exists = mailbox.is_inbox() || run.account().mailbox_exists(&mailbox);
    exists.then_some(mailbox)
}

/// Warns of a name that no mailbox can have: a test of it is not wrong, but never true.
pub(super) fn warn_of_name(checker: &mut Checker<'_>, place: Place, name: &Text) {
    if let Some(name) = name.constant()
        && let Err(error) = MailboxName::parse(name, checker.options.separator)
    {
        checker.warn(place, format!("{error}; there is never such a mailbox"));
    }
}

fn texts(list: Vec<(Place, Text)>) -> Vec<Text> {
    list.into_iter().map(|(_, text)| text).collect()
}

// mailboxexists <mailbox-names: string-list>
fn compile_mailboxexists(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let names = arguments.texts(checker, "names of mailboxes");
    arguments.end(checker)?;
    let names = names?;
    for (place, name) in &names {
        warn_of_name(checker, *place, name);
    }
    Some(Box::new(MailboxExists { names: texts(names) }))
}

#[derive(Debug)]
struct MailboxExists {
    names: Vec<Text>,
}

impl Test for MailboxExists {
    // RFC 5490 §3.1: every one of them.
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        for name in &self.names {
            if existing(run, &name.value(run)?).is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

// mailboxidexists <mailbox-objectids: string-list>
fn compile_mailboxidexists(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let ids = arguments.texts(checker, "ids of mailboxes");
    arguments.end(checker)?;
    Some(Box::new(MailboxIdExists { ids: texts(ids?) }))
}

#[derive(Debug)]
struct MailboxIdExists {
    ids: Vec<Text>,
}

impl Test for MailboxIdExists {
    // RFC 9042: every one of them.
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        for id in &self.ids {
            if run.account().mailbox_with_id(&id.value(run)?).is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

// specialuse_exists [<mailbox: string>] <special-use-attrs: string-list>
fn compile_specialuse_exists(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let mailbox = match arguments.remaining() > 1 {
        true => arguments.placed_text(checker, "the name of a mailbox"),
        false => None,
    };
    let uses = arguments.texts(checker, "special uses");
    arguments.end(checker)?;
    if let Some((place, name)) = &mailbox
        && let Some(name) = name.constant()
    {
        check_mailbox(checker, *place, name)?;
    }
    let uses = uses?;
    for (place, text) in &uses {
        check_special_use(checker, *place, text)?;
    }
    Some(Box::new(SpecialUseExists {
        mailbox: mailbox.map(|(_, name)| name),
        uses: texts(uses),
    }))
}

#[derive(Debug)]
struct SpecialUseExists {
    mailbox: Option<Text>,
    uses: Vec<Text>,
}

impl Test for SpecialUseExists {
    // RFC 8579 §3: all of them, of the one mailbox where it is named, else of any.
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let mailbox = match &self.mailbox {
            None => None,
            Some(name) => match existing(run, &name.value(run)?) {
                Some(mailbox) => Some(mailbox),
                None => return Ok(false),
            },
        };
        for text in &self.uses {
            let Some(special) = SpecialUse::parse(&text.value(run)?) else {
                return Ok(false);
            };
            let has = match &mailbox {
                None => run.account().mailbox_for(special).is_some(),
                Some(mailbox) => run.account().special_use(mailbox) == Some(special),
            };
            if !has {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
