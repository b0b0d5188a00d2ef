//! Removed messages that are kept, listed and brought back.

use serde_json::{Value, json};

use crate::config::Config;
use crate::mail::MailboxName;
use crate::store::Removed;

use super::super::fault::{Fault, exit};
use super::super::named::{Named, count, name};
use super::super::{print, print_json, table};
use super::list::{date, shortened};

/// Bring removed messages back.
#[derive(Debug, clap::Args)]
pub(in super::super) struct Undelete {
    /// List what can be brought back, the last removed first; so it is too where no ID is given
    #[arg(long, conflicts_with_all = ["all", "ids"])]
    list: bool,
    /// With the list, print a JSON array
    #[arg(long, conflicts_with_all = ["all", "ids"])]
    json: bool,
    /// Only what was removed from this mailbox
    #[arg(long, value_name = "MAILBOX", conflicts_with = "ids")]
    mailbox: Option<String>,
    /// Bring all back
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// The user: an address, or a name
    user: String,
    /// What is to be brought back, as the list names it
    #[arg(value_name = "ID")]
    ids: Vec<String>,
}

pub(super) fn undelete(config: &Config, undelete: &Undelete) -> Result<u8, Fault> {
    let only = undelete.mailbox.as_deref().map(|mailbox| name(config, mailbox));
    let only = only.transpose()?;
    let named = Named::find(config, &undelete.user)?;
    if undelete.ids.is_empty() {
        let mut removed = match &named {
            Some(named) => named.account.removed()?,
            None => Vec::new(),
        };
        removed.retain(|removed| only.as_ref().is_none_or(|only| removed.mailbox == *only));
        return match &named {
            Some(named) if undelete.all => bring_back(named, removed.iter().map(|removed| removed.id.as_str())),
            _ => list(config, undelete, &removed),
        };
    }
    let named = named.ok_or_else(|| {
        let what = format!("{} has no mail yet, so nothing was removed", undelete.user);
        Fault::new(exit::DATAERR, what)
    })?;
    bring_back(&named, undelete.ids.iter().map(String::as_str))
}

fn list(config: &Config, undelete: &Undelete, removed: &[Removed]) -> Result<u8, Fault> {
    let spoken = |mailbox: &MailboxName| mailbox.to_separated(config.store.separator);
    if undelete.json {
        let described = removed
            .iter()
            .map(|removed| describe(removed, spoken(&removed.mailbox)));
        return print_json(&described.collect());
    }
    let rows = removed.iter().map(|removed| {
        [
            removed.id.clone(),
            date(removed.removed),
            spoken(&removed.mailbox),
            removed.size.to_string(),
            removed.flags.to_string(),
            shortened(&removed.summary.from),
            shortened(&removed.summary.subject),
        ]
    });
    print(&table(
        ["id", "removed", "mailbox", "bytes", "flags", "from", "subject"],
        rows,
    ))?;
    match config.store.keep_expunged {
        Some(_) => Ok(exit::OK),
        None => print("nothing that is removed is kept: [store] keep_expunged = \"14 days\" keeps it\n"),
    }
}

fn describe(removed: &Removed, mailbox: String) -> Value {
    json!({
        "id": removed.id,
        "removed": date(removed.removed),
        "mailbox": mailbox,
        "size": removed.size,
        "flags": removed.flags.names().collect::<Vec<_>>(),
        "internaldate": date(removed.internal_date),
        "message_id": removed.summary.message_id,
        "subject": removed.summary.subject,
        "from": removed.summary.from,
    })
}

// Those before one that fails are back.
fn bring_back<'a>(named: &Named<'_>, ids: impl Iterator<Item = &'a str>) -> Result<u8, Fault> {
    let mut back = 0;
    for id in ids {
        let (mailbox, uid) = named.account.restore(id)?;
        print(&format!("{id}: in {} with UID {uid}\n", named.spoken(&mailbox)))?;
        back += 1;
    }
    print(&format!("{}: {} brought back\n", named.user, count(back, "message")))
}
