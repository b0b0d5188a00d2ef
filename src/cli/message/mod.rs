//! `postroom message`: the messages of a mailbox.
//!
//! | file | commands |
//! | --- | --- |
//! | `list.rs` | list, search, show |
//! | `change.rs` | move, copy, flag, expunge |
//! | `undelete.rs` | undelete |

mod change;
mod list;
mod undelete;

use std::path::Path;

use crate::config::Config;

use super::fault::Fault;
use super::named::Selection;

pub(super) use list::{date, rows, shortened};

/// Show, find and change messages.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the messages of a mailbox
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        /// Only those with these UIDs, such as 1:50,100:*
        #[arg(long, value_name = "SET")]
        uids: Option<String>,
        /// The user: an address, or a name
        user: String,
        /// The mailbox
        mailbox: String,
    },
    /// List the messages of a mailbox that a search finds, such as 'from ann since 2026-11-01 not seen'
    Search(list::Search),
    /// Print the exact bytes of a message, all lines ending in CRLF as IMAP sends them
    Show {
        /// Print the file as it is stored
        #[arg(long)]
        raw: bool,
        /// The user: an address, or a name
        user: String,
        /// The mailbox
        mailbox: String,
        /// The UID
        uid: u32,
    },
    /// Move messages to another mailbox, where they get new UIDs
    Move(change::Transfer),
    /// Copy messages to another mailbox
    Copy(change::Transfer),
    /// Alter flags and keywords of messages
    Flag(change::Flag),
    /// Remove messages: those chosen, whatever their flags; with nothing chosen, those that have \Deleted. Without
    /// --execute nothing is done: what would go is shown
    Expunge {
        /// Do it
        #[arg(long)]
        execute: bool,
        /// Print a JSON array of what goes
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        selection: Selection,
        /// The user: an address, or a name
        user: String,
        /// The mailbox
        mailbox: String,
    },
    /// List what was removed and is kept ([store] keep_expunged), or bring it back with its flags, under a new UID
    Undelete(undelete::Undelete),
}

pub(super) fn run(file: Option<&Path>, command: &Command) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    match command {
        Command::List {
            json,
            uids,
            user,
            mailbox,
        } => list::list(&config, user, mailbox, uids.as_deref(), *json),
        Command::Search(search) => list::search(&config, search),
        Command::Show {
            raw,
            user,
            mailbox,
            uid,
        } => list::show(&config, user, mailbox, *uid, *raw),
        Command::Move(transfer) => change::transfer(&config, transfer, true),
        Command::Copy(transfer) => change::transfer(&config, transfer, false),
        Command::Flag(flag) => change::flag(&config, flag),
        Command::Expunge {
            execute,
            json,
            selection,
            user,
            mailbox,
        } => change::expunge(&config, user, mailbox, selection, *execute, *json),
        Command::Undelete(undelete) => undelete::undelete(&config, undelete),
    }
}
