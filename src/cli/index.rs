//! `postroom index`: the index against its Maildir.

use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::directory::Found;
use crate::store::{Account, LocalStore, Store, StoreError};

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
    let Some((store, found)) = rooms::store_of(config, user)? else {
        return no_mail(user);
    };
    let account = match rebuilt(&store, &found) {
        Err(error) if error.is_damaged() => {
            let aside = store.set_index_aside(&found.user, &found.home)?;
            super::print(&format!("{user}: the damaged index is {} now\n", aside.display()))?;
            rebuilt(&store, &found)?
        }
        account => account?,
    };
    let mailboxes = account.mailboxes()?;
    let messages: i64 = mailboxes.iter().map(|mailbox| mailbox.counts.messages).sum();
    super::print(&format!(
        "{user}: {messages} messages in {} mailboxes\n",
        mailboxes.len()
    ))
}

fn rebuilt(store: &LocalStore, found: &Found) -> Result<Arc<dyn Account>, StoreError> {
    let account = store.account(&found.user, &found.home)?;
    account.rebuild()?;
    Ok(account)
}

fn no_mail(user: &str) -> Result<u8, Fault> {
    super::print(&format!("{user}: has no mail yet\n"))
}
