//! The actions that say where a message goes: RFC 5228 §4, with the tags of RFC 3894 (copy), RFC 5490
//! (mailbox), RFC 8579 (special-use), RFC 9042 (mailboxid), RFC 6009 (redirect-dsn), RFC 6134 (extlists).

use super::arguments::Arguments;
use super::checker::{Checker, CommandKind};
use super::extension::Extension;
use super::flags::ActionFlags;
use super::lists::check_list_name;
use super::program::{Execute, Flow};
use super::run::{Run, Stop};
use super::text::Text;
use crate::mail::{MailboxName, SpecialUse, nearest};
use crate::sieve::RedirectDsn;
use crate::sieve::collect::envelope_address;
use crate::sieve::error::Place;
use crate::sieve::step::Step;
use crate::sieve::syntax::Command;

pub(super) const COMMANDS: &[CommandKind] = &[
    CommandKind {
        name: "keep",
        from: &[],
        compile: compile_keep,
    },
    CommandKind {
        name: "fileinto",
        from: &[Extension::FileInto],
        compile: compile_fileinto,
    },
    CommandKind {
        name: "redirect",
        from: &[],
        compile: compile_redirect,
    },
    CommandKind {
        name: "discard",
        from: &[],
        compile: |checker, command| {
            Arguments::of_command(checker, command)?.end(checker)?;
            Some(Box::new(Discard))
        },
    },
];

// keep [:flags <list-of-flags: string-list>]
fn compile_keep(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let flags = ActionFlags::take(&mut arguments, checker);
    arguments.end(checker)?;
    Some(Box::new(Keep { flags }))
}

#[derive(Debug)]
struct Keep {
    flags: ActionFlags,
}

impl Execute for Keep {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let flags = self.flags.value(run)?;
        run.act(Step::Keep { flags })?;
        Ok(Flow::Next)
    }
}

#[derive(Debug)]
struct Discard;

impl Execute for Discard {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        run.act(Step::Discard)?;
        Ok(Flow::Next)
    }
}

/// A mailbox as `fileinto` and `:fcc` name it.
#[derive(Debug)]
pub(super) struct Destination {
    name: Text,
    create: bool,
    special_use: Option<Text>,
    mailbox_id: Option<Text>,
}

/// What is left of a [`Destination`] when it is looked for.
pub(super) struct Found {
    pub(super) mailbox: String,
    pub(super) create: bool,
    /// What a mailbox that is made shall be for.
    pub(super) special_use: Option<String>,
}

impl Destination {
    /// Takes `:create`, `:specialuse` and `:mailboxid`; the name is taken by the caller, who knows where it
    /// stands.
    pub(super) fn take(
        arguments: &mut Arguments<'_>,
        checker: &mut Checker<'_>,
        name: impl FnOnce(&mut Arguments<'_>, &mut Checker<'_>) -> Option<(Place, Text)>,
    ) -> Option<Destination> {
        let create = arguments.tag(checker, "create", Some(Extension::Mailbox)).is_some();
        let special_use = arguments.tagged_text(checker, "specialuse", Some(Extension::SpecialUse));
        let mailbox_id = arguments.tagged_text(checker, "mailboxid", Some(Extension::MailboxId));
        // RFC 9042 §4.1
        if let (Some((place, _)), Some(_)) = (&mailbox_id, &special_use) {
            return checker.error(*place, "`:mailboxid` does not go together with `:specialuse`");
        }
        let (place, name) = name(arguments, checker)?;
        if let Some(constant) = name.constant() {
            check_mailbox(checker, place, constant)?;
        }
        if let Some((place, text)) = &special_use {
            check_special_use(checker, *place, text)?;
        }
        Some(Destination {
            name,
            create,
            special_use: special_use.map(|(_, text)| text),
            mailbox_id: mailbox_id.map(|(_, text)| text),
        })
    }

    /// The mailbox as it is now: by its id or use where one has it, else by its name.
    pub(super) fn find(&self, run: &mut Run<'_>) -> Result<Found, Stop> {
        let separator = run.incoming().separator;
        let existing = |mailbox: MailboxName| Found {
            mailbox: mailbox.to_separated(separator),
            create: false,
            special_use: None,
        };
        if let Some(id) = &self.mailbox_id {
            let id = id.value(run)?;
            if let Some(mailbox) = run.account().mailbox_with_id(&id) {
                run.note(|| format!("the mailbox with the id {id} is {mailbox}"));
                return Ok(existing(mailbox));
            }
            run.note(|| format!("no mailbox has the id {id}"));
        }
        let special_use = match &self.special_use {
            Some(text) => Some(text.value(run)?.into_owned()),
            None => None,
        };
        if let Some(text) = &special_use
            && let Some(special) = SpecialUse::parse(text)
            && let Some(mailbox) = run.account().mailbox_for(special)
        {
            run.note(|| format!("the mailbox for {text} is {mailbox}"));
            return Ok(existing(mailbox));
        }
        Ok(Found {
            mailbox: self.name.value(run)?.into_owned(),
            create: self.create,
            special_use,
        })
    }
}

/// A mailbox name that is known when the script is compiled.
pub(super) fn check_mailbox(checker: &mut Checker<'_>, place: Place, name: &str) -> Option<()> {
    match MailboxName::parse(name, checker.options.separator) {
        Ok(_) => Some(()),
        Err(error) => checker.error(place, error.to_string()),
    }
}

pub(super) fn check_special_use(checker: &mut Checker<'_>, place: Place, text: &Text) -> Option<()> {
    let Some(constant) = text.constant() else {
        return Some(());
    };
    if constant.starts_with('\\') && SpecialUse::parse(constant).is_some() {
        return Some(());
    }
    let names = SpecialUse::ALL.map(SpecialUse::as_str);
    let lower = names.map(str::to_ascii_lowercase);
    let wanted = constant.trim_start_matches('\\');
    let near = nearest(wanted, lower.iter().map(String::as_str));
    let near = near.and_then(|near| names.iter().find(|name| name.eq_ignore_ascii_case(near)));
    let help = near.map(|near| format!("did you mean \"\\\\{near}\"?"));
    checker.error_with_help(place, format!("\"{constant}\" is no special use of a mailbox"), help)
}

// fileinto [:copy] [:create] [:flags <list>] [:specialuse <string>] [:mailboxid <string>] <mailbox: string>
fn compile_fileinto(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let copy = arguments.tag(checker, "copy", Some(Extension::Copy)).is_some();
    let flags = ActionFlags::take(&mut arguments, checker);
    let destination = Destination::take(&mut arguments, checker, |arguments, checker| {
        arguments.placed_text(checker, "the name of a mailbox")
    });
    arguments.end(checker)?;
    Some(Box::new(FileInto {
        destination: destination?,
        flags,
        copy,
    }))
}

#[derive(Debug)]
struct FileInto {
    destination: Destination,
    flags: ActionFlags,
    copy: bool,
}

impl Execute for FileInto {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let Found {
            mailbox,
            create,
            special_use,
        } = self.destination.find(run)?;
        if let Err(error) = MailboxName::parse(&mailbox, run.incoming().separator) {
            return Err(Stop::error(format!("fileinto: {error}")));
        }
        let flags = self.flags.value(run)?;
        run.act(Step::FileInto {
            mailbox,
            flags,
            copy: self.copy,
            create,
            special_use,
        })?;
        Ok(Flow::Next)
    }
}

// redirect [:copy] [:notify <value>] [:ret <value>] [:list] <address: string>
fn compile_redirect(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let copy = arguments.tag(checker, "copy", Some(Extension::Copy)).is_some();
    let list = arguments.tag(checker, "list", Some(Extension::Extlists)).is_some();
    let notify = arguments.tagged_text(checker, "notify", Some(Extension::RedirectDsn));
    let ret = arguments.tagged_text(checker, "ret", Some(Extension::RedirectDsn));
    let what = if list { "the name of a list" } else { "an address" };
    let address = arguments.placed_text(checker, what);
    arguments.end(checker)?;
    let (place, address) = address?;
    let check_target = if list { check_list_name } else { redirect_address };
    if let Some(Err(message)) = address.constant().map(check_target) {
        return checker.error(place, message);
    }
    for (given, check) in [
        (&notify, check_notify as fn(&str) -> Result<(), String>),
        (&ret, check_ret),
    ] {
        if let Some((place, text)) = given
            && let Some(Err(message)) = text.constant().map(check)
        {
            return checker.error(*place, message);
        }
    }
    Some(Box::new(Redirect {
        address,
        copy,
        list,
        notify: notify.map(|(_, text)| text),
        ret: ret.map(|(_, text)| text),
    }))
}

fn redirect_address(text: &str) -> Result<(), String> {
    match envelope_address(text) {
        Ok(address) if address.domain().is_empty() => Err(format!("{text:?} is not an address: it has no domain")),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{text:?} is not an address: {error}")),
    }
}

// RFC 6009 §4: "NEVER", or some of "SUCCESS", "FAILURE" and "DELAY" with commas and no spaces between them.
fn check_notify(value: &str) -> Result<(), String> {
    let words: Vec<String> = value.split(',').map(str::to_ascii_uppercase).collect();
    let known = |word: &String| matches!(word.as_str(), "SUCCESS" | "FAILURE" | "DELAY");
    match words.as_slice() {
        [never] if never == "NEVER" => Ok(()),
        words if words.iter().all(known) => Ok(()),
        _ => Err(format!(
            "`:notify` takes NEVER, or some of SUCCESS, FAILURE and DELAY, not {value:?}"
        )),
    }
}

// RFC 3461 §4.3
fn check_ret(value: &str) -> Result<(), String> {
    match value.to_ascii_uppercase().as_str() {
        "FULL" | "HDRS" => Ok(()),
        _ => Err(format!("`:ret` takes FULL or HDRS, not {value:?}")),
    }
}

#[derive(Debug)]
struct Redirect {
    address: Text,
    copy: bool,
    list: bool,
    notify: Option<Text>,
    ret: Option<Text>,
}

impl Redirect {
    fn dsn(&self, run: &Run<'_>) -> Result<RedirectDsn, Stop> {
        let value = |text: &Option<Text>, check: fn(&str) -> Result<(), String>| match text {
            Some(text) => {
                let value = text.value(run)?.to_ascii_uppercase();
                check(&value).map_err(Stop::error)?;
                Ok(Some(value))
            }
            None => Ok(None),
        };
        Ok(RedirectDsn {
            notify: value(&self.notify, check_notify)?,
            ret: value(&self.ret, check_ret)?,
        })
    }

    // RFC 6134: to every member.
    fn members(&self, run: &Run<'_>, list: &str) -> Result<Vec<String>, Stop> {
        match run.account().list_members(list) {
            Ok(Some(members)) => Ok(members),
            Ok(None) => Err(Stop::error(format!("redirect: there is no list \"{list}\""))),
            Err(error) => Err(Stop::error(format!(
                "redirect: cannot read the list \"{list}\": {error}"
            ))),
        }
    }
}

impl Execute for Redirect {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let dsn = self.dsn(run)?;
        let address = self.address.value(run)?.into_owned();
        let addresses = match self.list {
            true => self.members(run, &address)?,
            false => vec![address],
        };
        for address in addresses {
            run.act(Step::Redirect {
                address,
                copy: self.copy,
                dsn: dsn.clone(),
            })?;
        }
        Ok(Flow::Next)
    }
}
