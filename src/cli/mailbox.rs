//! `postroom mailbox`: the mailboxes of an account.

use std::path::Path;

use serde_json::json;

use crate::config::Config;
use crate::store::MailboxStatus;

use super::fault::Fault;
use super::rooms;

/// Show mailboxes.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the mailboxes of a user with their numbers
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        /// The user: an address, or a name
        user: String,
    },
}

pub(super) fn run(file: Option<&Path>, command: &Command) -> Result<u8, Fault> {
    let Command::List { json, user } = command;
    let config = Config::find(file)?;
    let mailboxes = match rooms::account(&config, user)? {
        Some(account) => account.mailboxes()?,
        None => Vec::new(),
    };
    let separator = config.store.separator;
    if *json {
        return super::print_json(&mailboxes.iter().map(|mailbox| describe(mailbox, separator)).collect());
    }
    let rows = mailboxes.iter().map(|mailbox| {
        [
            mailbox.name.to_separated(separator),
            mailbox.counts.messages.to_string(),
            mailbox.counts.unseen.to_string(),
            mailbox.counts.size.to_string(),
            mailbox.validity.to_string(),
            mailbox.uid_next.to_string(),
        ]
    });
    super::print(&super::table(
        ["mailbox", "messages", "unseen", "bytes", "uidvalidity", "uidnext"],
        rows,
    ))
}

fn describe(mailbox: &MailboxStatus, separator: char) -> serde_json::Value {
    json!({
        "name": mailbox.name.to_separated(separator),
        "mailboxid": mailbox.mailbox_id,
        "uidvalidity": mailbox.validity.value(),
        "uidnext": mailbox.uid_next.value(),
        "highestmodseq": mailbox.highest_modseq.value(),
        "messages": mailbox.counts.messages,
        "unseen": mailbox.counts.unseen,
        "size": mailbox.counts.size,
    })
}
