//! Messages moved, copied, flagged and removed.

use crate::config::Config;
use crate::mail::{Flags, MailboxName, Uid, UidSet};
use crate::store::{Alteration, SearchKey};

use super::super::fault::{Fault, exit};
use super::super::named::{Named, Selection, count, name};
use super::super::progress::Progress;
use super::super::removal::{Removal, SLICE, remove};
use super::super::{DRY_RUN, print};
use super::list::{print_messages, rows};

/// Move or copy messages.
#[derive(Debug, clap::Args)]
pub(in super::super) struct Transfer {
    #[command(flatten)]
    selection: Selection,
    /// Make the other mailbox where it is missing
    #[arg(long)]
    create: bool,
    /// The user: an address, or a name
    user: String,
    /// The mailbox in which they are
    mailbox: String,
    /// The mailbox to which they go
    to: String,
}

/// Alter flags.
#[derive(Debug, clap::Args)]
pub(in super::super) struct Flag {
    #[command(flatten)]
    selection: Selection,
    /// Add these: \Answered, \Deleted, \Draft, \Flagged, \Seen, or keywords such as $Junk, with spaces between
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    add: Vec<String>,
    /// Take these away
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    remove: Vec<String>,
    /// Set these and no others; '' takes all away
    #[arg(long, value_name = "FLAGS", conflicts_with_all = ["add", "remove"], allow_hyphen_values = true)]
    set: Vec<String>,
    /// The user: an address, or a name
    user: String,
    /// The mailbox
    mailbox: String,
}

pub(super) fn transfer(config: &Config, transfer: &Transfer, moves: bool) -> Result<u8, Fault> {
    let selection = transfer.selection.required()?;
    let to = name(config, &transfer.to)?;
    let (named, from) = Named::with_mailbox(config, &transfer.user, &transfer.mailbox)?;
    if transfer.create {
        named.account.create_mailbox(&to)?;
    }
    let to = named.mailbox(&to)?.name;
    let chosen = selection.find(&named, &from.name)?;
    let mut transferred = Vec::new();
    // A few at a time: a delivery never waits for all of them.
    for slice in chosen.chunks(SLICE) {
        let slice: UidSet = slice.iter().copied().collect();
        let more = match moves {
            true => named.account.move_to(&from.name, &slice, &to)?,
            false => named.account.copy(&from.name, &slice, &to)?,
        };
        transferred.extend(more.uids);
    }
    let old: UidSet = transferred.iter().map(|(old, _)| *old).collect();
    let new: UidSet = transferred.iter().map(|(_, new)| *new).collect();
    let uids = match transferred.is_empty() {
        true => String::new(),
        false => format!("; UIDs {old} became {new}"),
    };
    print(&format!(
        "{}: {} {} from {} to {}{uids}\n",
        named.user,
        count(transferred.len(), "message"),
        if moves { "moved" } else { "copied" },
        named.spoken(&from.name),
        named.spoken(&to),
    ))
}

pub(super) fn flag(config: &Config, flag: &Flag) -> Result<u8, Fault> {
    let selection = flag.selection.required()?;
    let alterations = alterations(flag)?;
    let (named, mailbox) = Named::with_mailbox(config, &flag.user, &flag.mailbox)?;
    let chosen = selection.find(&named, &mailbox.name)?;
    let mut altered = 0;
    for slice in chosen.chunks(SLICE) {
        let slice: UidSet = slice.iter().copied().collect();
        let mut done = 0;
        for alteration in &alterations {
            done = named
                .account
                .alter(&mailbox.name, &slice, alteration, None)?
                .entries
                .len();
        }
        altered += done;
    }
    print(&format!(
        "{}: flags set on {} of {}\n",
        named.user,
        count(altered, "message"),
        named.spoken(&mailbox.name)
    ))
}

fn alterations(flag: &Flag) -> Result<Vec<Alteration>, Fault> {
    let (add, remove) = (flags(&flag.add)?, flags(&flag.remove)?);
    if !flag.set.is_empty() {
        return Ok(vec![Alteration::Set(flags(&flag.set)?)]);
    }
    if add.difference(&remove) != add {
        return Err(Fault::new(exit::USAGE, "one flag stands in both --add and --remove"));
    }
    let mut alterations = Vec::new();
    if !add.is_empty() {
        alterations.push(Alteration::Add(add));
    }
    if !remove.is_empty() {
        alterations.push(Alteration::Remove(remove));
    }
    if alterations.is_empty() {
        let what = "say what becomes of the flags: --add '\\Seen', --remove '$Junk' or --set '\\Flagged todo'";
        return Err(Fault::new(exit::USAGE, what));
    }
    Ok(alterations)
}

fn flags(words: &[String]) -> Result<Flags, Fault> {
    let mut flags = Flags::new();
    for word in words.iter().flat_map(|words| words.split_whitespace()) {
        flags
            .insert(word)
            .map_err(|error| Fault::new(exit::USAGE, error.to_string()))?;
    }
    Ok(flags)
}

pub(super) fn expunge(
    config: &Config,
    user: &str,
    mailbox: &str,
    selection: &Selection,
    execute: bool,
    json: bool,
) -> Result<u8, Fault> {
    let (named, status) = Named::with_mailbox(config, user, mailbox)?;
    let mailbox = &status.name;
    let chosen = match selection.is_empty() {
        true => deleted(&named, mailbox)?,
        false => selection.find(&named, mailbox)?,
    };
    // What is gone can no longer be described.
    let shown = match (json, execute) {
        (true, _) => print_messages(&named, mailbox, &chosen, true).map(drop),
        (false, true) => Ok(()),
        (false, false) => print(&rows(&named, mailbox, &chosen)?).map(drop),
    };
    shown?;
    if !execute {
        return match json {
            true => Ok(exit::OK),
            false => print(DRY_RUN),
        };
    }
    // With nothing chosen, not those whose flag was taken away meanwhile.
    let removal = match selection.is_empty() {
        true => Removal::Deleted,
        false => Removal::Any,
    };
    let bar = Progress::of_many(chosen.len(), "messages");
    let gone = remove(&*named.account, mailbox, &chosen, removal, bar.as_ref())?;
    drop(bar);
    if json {
        return Ok(exit::OK);
    }
    let spoken = named.spoken(mailbox);
    let kept = match config.store.keep_expunged {
        Some(_) if !gone.is_empty() => format!("; `postroom message undelete {user}` brings them back for a time"),
        _ => String::new(),
    };
    print(&format!(
        "{user}: {} of {spoken} removed{kept}\n",
        count(gone.len(), "message")
    ))
}

fn deleted(named: &Named<'_>, mailbox: &MailboxName) -> Result<Vec<Uid>, Fault> {
    let key = SearchKey::Flag(crate::mail::SystemFlag::Deleted);
    Ok(crate::store::search(&*named.account, mailbox, &key)?)
}
