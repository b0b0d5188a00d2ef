//! `postroom export`: an account's mail into files.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::mail::{MailboxName, nearest};
use crate::store::{Account, Disk, ExportFormat, ExportOptions, export};

use super::carrying::{Watcher, make_destination, print_carried};
use super::fault::{Fault, exit};
use super::rooms;

/// Export mailboxes into a folder. Nothing is overwritten, and a mailbox is there as a whole or not at all.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The user: an address, or a name
    user: String,
    /// The folder, made where it is missing
    destination: PathBuf,
    /// A mailbox to export, once for each [default: all]
    #[arg(long, value_name = "NAME")]
    mailbox: Vec<String>,
    /// What to write
    #[arg(long, value_enum)]
    format: Format,
    /// Leave mailboxes as they are that are there already, as after an export that was stopped
    #[arg(long)]
    resume: bool,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// A file NAME.mbox for each mailbox (mboxrd)
    Mbox,
    /// A Maildir++ tree
    Maildir,
    /// A folder for each mailbox with files UID.eml, flags and dates in index.json
    Eml,
}

pub(super) fn run(file: Option<&Path>, arguments: &Arguments) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    let names = arguments.mailbox.iter();
    let names: Result<Vec<_>, _> = names
        .map(|name| MailboxName::parse(name, config.store.separator))
        .collect();
    let names = names.map_err(|error| Fault::new(exit::USAGE, error.to_string()))?;
    let found = rooms::find(&config, &arguments.user)?;
    make_destination(&config, &found.home, &arguments.destination)?;
    let Some(account) = rooms::account(&config, &arguments.user)? else {
        return super::print(&format!("{}: has no mail yet\n", arguments.user));
    };
    let mailboxes = chosen(&config, &*account, names, &arguments.user)?;
    let options = ExportOptions {
        format: match arguments.format {
            Format::Mbox => ExportFormat::Mbox,
            Format::Maildir => ExportFormat::Maildir,
            Format::Eml => ExportFormat::Eml,
        },
        disk: Disk {
            fsync: config.store.fsync,
            file_mode: config.store.file_mode,
            folder_mode: config.store.folder_mode,
        },
        resume: arguments.resume,
    };
    let mut watcher = Watcher::new();
    let mut bytes = 0;
    for mailbox in &mailboxes {
        bytes += u64::try_from(account.status(mailbox)?.counts.size).unwrap_or(0);
    }
    watcher.begin(bytes);
    let carried = export(&*account, &arguments.destination, &mailboxes, &options, &mut watcher)?;
    let carried = carried.into_iter().collect();
    print_carried(&config, &carried, ["exported", "already_there"], arguments.json)?;
    watcher.end("exported")
}

fn chosen(
    config: &Config,
    account: &dyn Account,
    names: Vec<MailboxName>,
    user: &str,
) -> Result<Vec<MailboxName>, Fault> {
    let there: Vec<MailboxName> = account.mailboxes()?.into_iter().map(|mailbox| mailbox.name).collect();
    if names.is_empty() {
        return Ok(there);
    }
    let separator = config.store.separator;
    for name in &names {
        if !there.contains(name) {
            let known: Vec<&str> = there.iter().map(MailboxName::as_str).collect();
            let hint = nearest(name.as_str(), known)
                .and_then(|near| MailboxName::parse(near, '.').ok())
                .map(|near| format!("; did you mean {}?", near.to_separated(separator)))
                .unwrap_or_default();
            let name = name.to_separated(separator);
            return Err(Fault::new(exit::DATAERR, format!("{user} has no mailbox {name}{hint}")));
        }
    }
    let mut names = names;
    names.sort();
    names.dedup();
    Ok(names)
}
