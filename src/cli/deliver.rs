//! `postroom deliver`: one message from standard input, for MTAs that pipe.
//!
//! Exits with 0, 67, 75 or 77 only, and prints the enhanced status code first, as
//! Postfix's pipe(8) reads it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::config::Config;
use crate::delivery::{Parcel, Sorter};
use crate::mail::{
    Address, Cause, Client, Deferral, DeliveryId, Envelope, MailboxName, MessageDsn, Outcome, Protocol, Recipient,
    Refusal, ReversePath,
};
use crate::message::{Message, Spool, mailboxes};
use crate::server::{failure, record, refuse};
use crate::smtp::Reply;
use crate::telemetry;

use super::fault::{Fault, exit};
use super::rooms;

/// Deliver one message from standard input.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The user who gets the message: an address, or a name
    #[arg(short = 'd', value_name = "USER")]
    user: String,
    /// The sender of the envelope; empty or <> for none [default: the Return-Path field]
    #[arg(short = 'f', value_name = "SENDER")]
    sender: Option<String>,
    /// The recipient before aliases
    #[arg(short = 'a', value_name = "ORIG_RCPT")]
    original: Option<String>,
    /// The mailbox into which `keep` goes; empty for INBOX
    #[arg(short = 'm', value_name = "MAILBOX")]
    mailbox: Option<String>,
    /// Read the message from a file rather than standard input
    #[arg(short = 'p', value_name = "FILE")]
    file: Option<PathBuf>,
    /// Exit with 77 when the message is refused, so that the MTA bounces it, rather than bouncing it here
    #[arg(short = 'e')]
    leave_bounce: bool,
}

pub(super) fn run(file: Option<&Path>, arguments: &Arguments) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    telemetry::start(&config.log).map_err(|error| Fault::config(&error))?;
    let begun = Instant::now();
    let found = match rooms::directory(&config)?.find_user(&arguments.user) {
        Ok(Some(found)) => found,
        Ok(None) => {
            return unknown(arguments);
        }
        Err(error) => return Err(Fault::new(exit::TEMPFAIL, Cause::of(&error).to_string())),
    };
    rooms::become_owner(&config, &found.home)?;
    let sorter = rooms::sorter(&config)?;
    let message = read(&config, arguments.file.as_deref())?;
    let envelope = envelope(arguments, &found.addresses, &message)?;
    let parcel = Parcel::new(message, envelope, DeliveryId::new());
    let recipient = &parcel.envelope.recipients[0];
    let keep_in = keep_in(&config, arguments.mailbox.as_deref());
    let (outcome, errands) = match config.limits.message_size {
        limit if limit > 0 && parcel.message.size() > limit => (Outcome::Refused(Refusal::TooLarge(limit)), Vec::new()),
        _ => sorter.deliver(&parcel, recipient, &found, keep_in.as_ref()),
    };
    let (outcome, code) = conclude(&sorter, &parcel, outcome, arguments.leave_bounce);
    let ended = finish(&outcome, &parcel.id, code);
    record(&outcome, &parcel, recipient, Some(&found.user), begun.elapsed());
    sorter.run_errands(errands);
    ended
}

fn unknown(arguments: &Arguments) -> Result<u8, Fault> {
    let (outcome, id) = (Outcome::Refused(Refusal::UnknownUser), DeliveryId::new());
    // What is no address has no line.
    if let Ok(address) = Address::parse(&arguments.user) {
        let reverse_path = arguments.sender.as_deref().and_then(|text| sender(text).ok());
        let recipient = Recipient::new(address);
        let _ = refuse(
            &outcome,
            &id,
            &reverse_path.unwrap_or(ReversePath::Null),
            &recipient,
            None,
            false,
        );
    }
    finish(&outcome, &id, exit::NOUSER)
}

// The first line of standard output: what the reply over SMTP would have been, without its number.
fn finish(outcome: &Outcome, id: &DeliveryId, code: u8) -> Result<u8, Fault> {
    let reply = Reply::of(outcome, id, false);
    let words = reply.to_string();
    super::print(&format!("{}\n", words.get(4..).unwrap_or(&words)))?;
    Ok(code)
}

// A refusal that cannot be told to the sender is no refusal: the MTA keeps the message. Postfix
// believes the printed code more than the exit code, so both come from the same outcome.
fn conclude(sorter: &Sorter, parcel: &Parcel, outcome: Outcome, leave_bounce: bool) -> (Outcome, u8) {
    let code = match &outcome {
        Outcome::Delivered { .. } => exit::OK,
        Outcome::Deferred(_) => exit::TEMPFAIL,
        Outcome::Refused(Refusal::UnknownUser) => exit::NOUSER,
        Outcome::Refused(_) if leave_bounce => exit::NOPERM,
        Outcome::Refused(_) => match bounce(sorter, parcel, &outcome) {
            Ok(()) => exit::OK,
            Err(cause) => return (Outcome::Deferred(Deferral::Trouble(cause)), exit::TEMPFAIL),
        },
    };
    (outcome, code)
}

fn bounce(sorter: &Sorter, parcel: &Parcel, outcome: &Outcome) -> Result<(), Cause> {
    let failure = failure(&parcel.id, &parcel.envelope.recipients[0], outcome);
    sorter
        .report_refused(parcel, &[failure])
        .map_err(|error| Cause::new(format!("cannot bounce a refused message: {}", Cause::of(&error))))
}

pub(super) fn read(config: &Config, file: Option<&Path>) -> Result<Message, Fault> {
    let failed =
        |error: &dyn std::fmt::Display| Fault::new(exit::TEMPFAIL, format!("cannot read the message: {error}"));
    let mut source: Box<dyn Read> = match file {
        Some(path) => Box::new(File::open(path).map_err(|error| failed(&format!("{}: {error}", path.display())))?),
        None => Box::new(io::stdin().lock()),
    };
    let mut spool = Spool::new(&rooms::spool(config)).without_from_line();
    let limit = config.limits.message_size;
    let mut piece = vec![0; 64 * 1024];
    loop {
        match source.read(&mut piece) {
            Ok(0) => break,
            // Read over: it is refused, whatever follows.
            Ok(_) if limit > 0 && spool.len() > limit => {}
            Ok(read) => spool
                .write(&piece[..read])
                .map_err(|error| failed(&Cause::of(&error)))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    spool.finish().map_err(|error| failed(&Cause::of(&error)))
}

fn envelope(arguments: &Arguments, addresses: &[Address], message: &Message) -> Result<Envelope, Fault> {
    let named = Address::parse(&arguments.user)
        .ok()
        .filter(|address| !address.domain().is_empty());
    let address = named
        .or_else(|| addresses.first().cloned())
        .or_else(|| Address::parse(&arguments.user).ok());
    let address = address.ok_or_else(|| Fault::new(exit::NOUSER, format!("no such user: {}", arguments.user)))?;
    let original = match arguments.original.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => Some(parse(text, "-a")?),
        None => None,
    };
    let reverse_path = match arguments.sender.as_deref() {
        Some(text) => sender(text)?,
        None => return_path(message),
    };
    Ok(Envelope {
        reverse_path,
        others: 0,
        smtputf8: !address.is_ascii(),
        recipients: vec![Recipient {
            original,
            ..Recipient::new(address)
        }],
        dsn: MessageDsn::default(),
        prdr: false,
        client: Client::new("", None, Protocol::Pipe),
    })
}

pub(super) fn sender(text: &str) -> Result<ReversePath, Fault> {
    let bare = text
        .strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'))
        .unwrap_or(text);
    match bare {
        // Exim and sendmail write these for the null sender.
        "" | "MAILER-DAEMON" => Ok(ReversePath::Null),
        _ => parse(bare, "-f").map(ReversePath::Address),
    }
}

fn parse(text: &str, flag: &str) -> Result<Address, Fault> {
    Address::parse(text).map_err(|error| Fault::new(exit::TEMPFAIL, format!("{flag} {text}: {error}")))
}

fn return_path(message: &Message) -> ReversePath {
    let field = message.header().first("Return-Path");
    let found = field.and_then(|field| mailboxes(field.value()).into_iter().next());
    found
        .and_then(|mailbox| Address::parse(mailbox.address.as_deref()?).ok())
        .map_or(ReversePath::Null, ReversePath::Address)
}

// A name that is no mailbox name never holds mail back.
fn keep_in(config: &Config, name: Option<&str>) -> Option<MailboxName> {
    let name = name.filter(|name| !name.is_empty())?;
    MailboxName::parse(name, config.store.separator)
        .inspect_err(|error| tracing::warn!("-m: {error}; the message goes to INBOX"))
        .ok()
}
