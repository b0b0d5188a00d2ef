//! `postroom index`: the index against its Maildir.

use std::path::Path;

use crate::config::Config;

use super::fault::{Fault, exit};
use super::rooms;

/// Check an index, or make it anew.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Compare the index of a user with the Maildir; exits with 65 where they do not agree
    Check {
        /// The user: an address, or a name
        user: String,
    },
    /// Make the index of a user anew from the Maildir, with the same UIDVALIDITY and UIDs
    Rebuild {
        /// The user: an address, or a name
        user: String,
    },
}

pub(super) fn run(file: Option<&Path>, command: &Command) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    match command {
        Command::Check { user } => check(&config, user),
        Command::Rebuild { user } => rebuild(&config, user),
    }
}

fn check(config: &Config, user: &str) -> Result<u8, Fault> {
    let Some(account) = rooms::account(config, user)? else {
        return no_mail(user);
    };
    let findings = account.check()?;
    if findings.is_empty() {
        return super::print(&format!("{user}: index and Maildir agree\n"));
    }
    for finding in &findings {
        super::print(&format!("{user}: {finding}\n"))?;
    }
    Err(Fault::new(
        exit::DATAERR,
        format!(
            "{user}: {} findings; `postroom index rebuild {user}` makes the index anew",
            findings.len()
        ),
    ))
}

fn rebuild(config: &Config, user: &str) -> Result<u8, Fault> {
    let Some(account) = rooms::account(config, user)? else {
        return no_mail(user);
    };
    account.rebuild()?;
    let mailboxes = account.mailboxes()?;
    let messages: i64 = mailboxes.iter().map(|mailbox| mailbox.counts.messages).sum();
    super::print(&format!(
        "{user}: {messages} messages in {} mailboxes\n",
        mailboxes.len()
    ))
}

fn no_mail(user: &str) -> Result<u8, Fault> {
    super::print(&format!("{user}: has no mail yet\n"))
}
