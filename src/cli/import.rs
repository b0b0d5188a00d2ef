//! `postroom import`: mail from files into an account.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::mail::MailboxName;
use crate::message::MboxForm;
use crate::store::{ImportOptions, Source, SourceFormat, Store, import};

use super::carrying::{Watcher, print_carried, whose};
use super::fault::{Fault, exit};
use super::rooms;

/// Import mailboxes from mbox files, Maildirs and .eml files. Run again, it goes on where it
/// was stopped, and adds nothing twice.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The user: an address, or a name
    user: String,
    /// A file or a folder; `-` for standard input
    source: PathBuf,
    /// The mailbox of a single file [default: INBOX]; of a tree, where its root goes, and all else below it
    #[arg(long, value_name = "NAME")]
    mailbox: Option<String>,
    /// Take only files of this kind; mboxrd, mboxo, mboxcl and mboxcl2 say how an mbox was written
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    format: Format,
    /// Where the date of a message in a file of its own comes from: the time of the file, or the header
    #[arg(long, value_enum, default_value_t = Date::File)]
    date: Date,
    /// Give messages of an mbox a Return-Path with the sender of their line "From ", where they have none
    #[arg(long)]
    return_path: bool,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// What each file shows
    Auto,
    /// mbox of any kind
    Mbox,
    /// mbox with any number of > before From
    Mboxrd,
    /// mbox with one > before From
    Mboxo,
    /// mbox with Content-Length and >
    Mboxcl,
    /// mbox with Content-Length alone
    Mboxcl2,
    /// Maildirs, with Maildir++ or nested folders
    Maildir,
    /// A file for each message
    Eml,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Date {
    /// The time of the file
    File,
    /// The topmost Received, or Date
    Header,
}

impl Format {
    fn resolved(self) -> (SourceFormat, MboxForm) {
        match self {
            Format::Auto => (SourceFormat::Auto, MboxForm::Any),
            Format::Mbox => (SourceFormat::Mbox, MboxForm::Any),
            Format::Mboxrd => (SourceFormat::Mbox, MboxForm::Mboxrd),
            Format::Mboxo => (SourceFormat::Mbox, MboxForm::Mboxo),
            Format::Mboxcl => (SourceFormat::Mbox, MboxForm::Mboxcl),
            Format::Mboxcl2 => (SourceFormat::Mbox, MboxForm::Mboxcl2),
            Format::Maildir => (SourceFormat::Maildir, MboxForm::Any),
            Format::Eml => (SourceFormat::Eml, MboxForm::Any),
        }
    }
}

pub(super) fn run(file: Option<&Path>, arguments: &Arguments) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    let below = arguments.mailbox.as_deref();
    let below = below.map(|name| MailboxName::parse(name, config.store.separator));
    let below = below
        .transpose()
        .map_err(|error| Fault::new(exit::USAGE, error.to_string()))?;
    let found = rooms::find(&config, &arguments.user)?;
    rooms::become_owner(&config, &found.home)?;
    let store = rooms::store(&config);
    let (format, form) = arguments.format.resolved();
    let options = ImportOptions {
        spool: rooms::spool(&config),
        form,
        header_dates: arguments.date == Date::Header,
        return_path: arguments.return_path,
    };
    // Each mbox of a tree is opened before the first is read.
    super::serve::raise_file_limit();
    let mut watcher = Watcher::new();
    let source = match arguments.source.as_os_str() == "-" {
        true => Source::read(
            &mut io::stdin().lock(),
            &options.spool.directory,
            format,
            below.as_ref(),
        ),
        false => Source::find(&arguments.source, format, below.as_ref(), &mut watcher),
    };
    let source = source.map_err(|error| unreadable(&arguments.source, &error))?;
    let account = store.account(&found.user, &found.home)?;
    account.reconcile()?;
    watcher.begin(source.bytes());
    let carried = import(&*account, source, &options, &mut watcher)?;
    print_carried(&config, &carried, ["imported", "already_there"], arguments.json)?;
    watcher.end("imported")
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Fault::new(exit::NOPERM, format!("{}: {error}{}", path.display(), whose())),
        _ => Fault::file(path, error),
    }
}
