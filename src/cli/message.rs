//! `postroom message`: the messages of a mailbox.

use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use crate::config::Config;
use crate::mail::{MailboxName, Uid, UidSet};
use crate::message::write_crlf;
use crate::store::Detail;

use super::fault::{Fault, exit};
use super::rooms;

/// Show messages.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the messages of a mailbox
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        /// The user: an address, or a name
        user: String,
        /// The mailbox
        mailbox: String,
    },
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
}

pub(super) fn run(file: Option<&Path>, command: &Command) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    match command {
        Command::List { json, user, mailbox } => list(&config, user, &name(&config, mailbox)?, *json),
        Command::Show {
            raw,
            user,
            mailbox,
            uid,
        } => show(&config, user, &name(&config, mailbox)?, *uid, *raw),
    }
}

fn name(config: &Config, text: &str) -> Result<MailboxName, Fault> {
    MailboxName::parse(text, config.store.separator).map_err(|error| Fault::new(exit::USAGE, error.to_string()))
}

fn list(config: &Config, user: &str, mailbox: &MailboxName, json: bool) -> Result<u8, Fault> {
    let messages = match rooms::account(config, user)? {
        Some(account) => account.details(mailbox, &UidSet::all())?,
        None if mailbox.is_inbox() => Vec::new(),
        None => return Err(no_mail(user, mailbox)),
    };
    if json {
        return super::print_json(&messages.iter().map(describe).collect());
    }
    let rows = messages.iter().map(|Detail { entry, card, .. }| {
        let summary = card.summary();
        [
            entry.uid.to_string(),
            date(entry.internal_date),
            entry.size.to_string(),
            entry.flags.to_string(),
            shortened(&summary.from),
            shortened(&summary.subject),
        ]
    });
    super::print(&super::table(
        ["uid", "date", "bytes", "flags", "from", "subject"],
        rows,
    ))
}

fn show(config: &Config, user: &str, mailbox: &MailboxName, uid: u32, raw: bool) -> Result<u8, Fault> {
    let uid = Uid::new(uid).ok_or_else(|| Fault::new(exit::USAGE, "a UID is never 0"))?;
    let account = rooms::account(config, user)?.ok_or_else(|| no_mail(user, mailbox))?;
    let mut message = BufReader::new(account.open(mailbox, uid)?);
    let mut output = BufWriter::new(io::stdout().lock());
    let written = match raw {
        true => io::copy(&mut message, &mut output).map(drop),
        false => write_crlf(message, &mut output),
    };
    match written.and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::new(exit::TEMPFAIL, format!("cannot print the message: {error}")))
        }
        _ => Ok(exit::OK),
    }
}

fn no_mail(user: &str, mailbox: &MailboxName) -> Fault {
    Fault::new(
        exit::DATAERR,
        format!("{user} has no mail yet, so no mailbox {mailbox}"),
    )
}

fn describe(detail: &Detail) -> serde_json::Value {
    let (entry, summary) = (&detail.entry, detail.card.summary());
    json!({
        "uid": entry.uid.value(),
        "modseq": entry.modseq.value(),
        "flags": entry.flags.names().collect::<Vec<_>>(),
        "size": entry.size,
        "internaldate": date(entry.internal_date),
        "savedate": date(entry.save_date),
        "emailid": entry.email_id.to_string(),
        "threadid": entry.thread_id.to_string(),
        "message_id": summary.message_id,
        "subject": summary.subject,
        "from": summary.from,
        "to": summary.to,
        "date": summary.date.map(date),
        "attachments": summary.attachments,
        "preview": detail.card.preview,
        "path": detail.path.to_string_lossy(),
    })
}

// RFC 3339; a date beyond what it can say is the start of 1970.
fn date(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

fn shortened(text: &str) -> String {
    const COLUMNS: usize = 40;
    match text.char_indices().nth(COLUMNS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
