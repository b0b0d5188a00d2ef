//! Messages into an account.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::present::Present;
use super::source::{Messages, Part};
use super::{Bystander, Carried, CarryError, Source, eml, maildir};
use crate::mail::{Cause, Flags, MailboxName};
use crate::maildir::{open_message, open_regular};
use crate::message::{FromLine, Header, Mbox, MboxForm, Message, Spool, SpoolError, SpoolOptions, date, status_flags};
use crate::store::{Account, Incoming};

/// Messages that are added at a time.
const BATCH: usize = 500;
/// Bytes that they may have.
const BATCH_BYTES: u64 = 32 << 20;

/// How an import reads its source.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Where messages wait that are being read.
    pub spool: SpoolOptions,
    /// Which kind of mbox the files are.
    pub form: MboxForm,
    /// Whether INTERNALDATE is taken from the header of messages in files of their own, rather than from the
    /// file's time: from the topmost Received, or from Date.
    pub header_dates: bool,
    /// Whether messages of an mbox without a Return-Path get one with the sender of the line before them.
    pub return_path: bool,
}

/// Imports all of a source. Mailboxes that are missing are made, and subscribed to unless the source has a list of
/// subscriptions without them. Faults of the source go to the bystander. Answers what became of each mailbox.
///
/// # Errors
/// [`CarryError`] where the account cannot be written or a message cannot be kept; what was imported until then
/// stays, and the next run goes on from there.
pub fn import(
    account: &dyn Account,
    source: Source,
    options: &ImportOptions,
    bystander: &mut dyn Bystander,
) -> Result<BTreeMap<MailboxName, Carried>, CarryError> {
    let Source { parts, subscribed } = source;
    let mut import = Import {
        account,
        options,
        bystander,
        subscribed,
        mailboxes: BTreeMap::new(),
        batch: Vec::new(),
        batch_bytes: 0,
    };
    for part in parts {
        import.part(part)?;
    }
    let carried = import.mailboxes.into_iter();
    Ok(carried.map(|(name, (_, carried))| (name, carried)).collect())
}

struct Import<'a> {
    account: &'a dyn Account,
    options: &'a ImportOptions,
    bystander: &'a mut dyn Bystander,
    subscribed: Option<BTreeSet<MailboxName>>,
    mailboxes: BTreeMap<MailboxName, (Present, Carried)>,
    /// Messages of one mailbox that wait to be added.
    batch: Vec<Incoming>,
    batch_bytes: u64,
}

impl Import<'_> {
    fn part(&mut self, Part { mailbox, messages }: Part) -> Result<(), CarryError> {
        self.prepare(&mailbox)?;
        match messages {
            Messages::Mbox(file, name) => self.mbox(&mailbox, file, &name)?,
            Messages::Single(file, name) => {
                let date = file.metadata().ok().filter(|metadata| metadata.nlink() > 0);
                let date = date.map(|metadata| metadata.mtime());
                self.file(&mailbox, file, &name, Flags::new(), date, true)?;
            }
            Messages::Maildir(folder) => self.maildir(&mailbox, &folder)?,
            Messages::Eml(folder) => self.eml(&mailbox, &folder)?,
        }
        self.add_batch(&mailbox)
    }

    fn prepare(&mut self, mailbox: &MailboxName) -> Result<(), CarryError> {
        if self.mailboxes.contains_key(mailbox) {
            return Ok(());
        }
        let is_new = !self.account.has_mailbox(mailbox)?;
        self.account.create_mailbox(mailbox)?;
        let wanted = match &self.subscribed {
            Some(names) => names.contains(mailbox),
            None => is_new,
        };
        if wanted {
            self.account.subscribe(mailbox, true)?;
        }
        let present = Present::read(self.account, mailbox)?;
        self.mailboxes.insert(mailbox.clone(), (present, Carried::default()));
        Ok(())
    }

    fn mbox(&mut self, mailbox: &MailboxName, file: File, name: &str) -> Result<(), CarryError> {
        let mut mbox = match Mbox::open(file, self.options.form) {
            Ok(mbox) => mbox,
            Err(error) => {
                self.bystander.fault(&format!("{name}: {error}"));
                return Ok(());
            }
        };
        if mbox.skipped() > 0 {
            let skipped = mbox.skipped();
            self.bystander.fault(&format!(
                "{name}: byte 0, line 1: {skipped} bytes before the first line \"From \" belong to no message"
            ));
        }
        loop {
            let before = mbox.position();
            let mut spool = Spooled(Spool::new(&self.options.spool));
            let found = match mbox.next_message(&mut spool) {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(()),
                Err(error) => {
                    let error = spool_error(error)?;
                    self.bystander.fault(&format!(
                        "{name}: byte {before}: {error}; the rest of the file is not read"
                    ));
                    return Ok(());
                }
            };
            self.bystander.advance(mbox.position() - before);
            let mut message = spool.0.finish()?;
            if self.options.return_path {
                message = self.with_return_path(message, &found.from_line)?;
            }
            let flags = found.flags.unwrap_or_else(|| status_flags(message.header()));
            let date = found.from_line.date.or_else(|| header_date(message.header()));
            let place = || format!("{name}: byte {}, line {}", found.offset, found.line);
            self.take(mailbox, message, flags, date, &place)?;
        }
    }

    fn with_return_path(&self, message: Message, from_line: &FromLine) -> Result<Message, CarryError> {
        if message.header().first("Return-Path").is_some() {
            return Ok(message);
        }
        let sender = from_line.sender.replace(['<', '>', '\r', '\n'], "");
        let end = if message.all_crlf() { "\r\n" } else { "\n" };
        let mut spool = Spooled(Spool::new(&self.options.spool));
        let written = write!(spool, "Return-Path: <{sender}>{end}");
        match written.and_then(|()| io::copy(&mut message.reader(), &mut spool)) {
            Ok(_) => Ok(spool.0.finish()?),
            Err(error) => Err(spool_error(error)?).map_err(|source| self.spool_failed(source, message.size())),
        }
    }

    fn spool_failed(&self, source: io::Error, size: u64) -> CarryError {
        let directory = self.options.spool.directory.clone();
        CarryError::Spool(SpoolError::Io {
            directory,
            size,
            source,
        })
    }

    fn maildir(&mut self, mailbox: &MailboxName, folder: &Path) -> Result<(), CarryError> {
        let messages = match maildir::messages(folder, self.bystander) {
            Ok(messages) => messages,
            Err(error) => {
                self.bystander.fault(&Cause::of(&error).to_string());
                return Ok(());
            }
        };
        for found in messages {
            let name = found.path.display().to_string();
            match open_message(&found.path) {
                Ok(file) => self.file(mailbox, file, &name, found.flags, Some(found.date), false)?,
                Err(error) => self.bystander.fault(&format!("{name}: {error}")),
            }
            self.bystander.advance(found.size);
        }
        Ok(())
    }

    fn eml(&mut self, mailbox: &MailboxName, folder: &Path) -> Result<(), CarryError> {
        let files = match eml::files(folder) {
            Ok(files) => files,
            Err(error) => {
                self.bystander.fault(&Cause::of(&error).to_string());
                return Ok(());
            }
        };
        let listed = eml::listed(folder, self.bystander);
        for path in files {
            let name = path.display().to_string();
            let opened = open_regular(&path).and_then(|file| Ok((file.metadata()?, file)));
            let (metadata, file) = match opened {
                Ok(opened) => opened,
                Err(error) => {
                    self.bystander.fault(&format!("{name}: {error}"));
                    continue;
                }
            };
            let file_name = path.file_name().unwrap_or_default().to_string_lossy();
            let known = listed.get(file_name.as_ref()).cloned().unwrap_or_default();
            let date = known.date.unwrap_or(metadata.mtime());
            self.file(mailbox, file, &name, known.flags, Some(date), known.date.is_none())?;
            self.bystander.advance(metadata.len());
        }
        Ok(())
    }

    // `may_ask`: whether the header may know the date better than the file.
    fn file(
        &mut self,
        mailbox: &MailboxName,
        mut file: impl Read,
        name: &str,
        flags: Flags,
        date: Option<i64>,
        may_ask: bool,
    ) -> Result<(), CarryError> {
        let mut spool = Spooled(Spool::new(&self.options.spool));
        if let Err(error) = io::copy(&mut file, &mut spool) {
            let error = spool_error(error)?;
            self.bystander.fault(&format!("{name}: {error}"));
            return Ok(());
        }
        let message = spool.0.finish()?;
        let of_header = || header_date(message.header());
        let date = match may_ask {
            true if self.options.header_dates => of_header().or(date),
            true => date.or_else(of_header),
            false => date,
        };
        self.take(mailbox, message, flags, date, &|| name.to_owned())
    }

    fn take(
        &mut self,
        mailbox: &MailboxName,
        message: Message,
        flags: Flags,
        date: Option<i64>,
        place: &dyn Fn() -> String,
    ) -> Result<(), CarryError> {
        // A file's time cannot be before 1970 everywhere.
        let date = date.map(|date| date.max(0));
        let (present, carried) = self.mailboxes.entry(mailbox.clone()).or_default();
        match present.take(&message, date) {
            Ok(true) => {
                carried.present += 1;
                return Ok(());
            }
            Ok(false) => {}
            Err(error) => {
                self.bystander.fault(&format!("{}: {error}", place()));
                return Ok(());
            }
        }
        self.batch_bytes += message.size();
        self.batch.push(Incoming {
            message,
            flags,
            internal_date: date,
        });
        if self.batch.len() >= BATCH || self.batch_bytes >= BATCH_BYTES {
            self.add_batch(mailbox)?;
        }
        Ok(())
    }

    fn add_batch(&mut self, mailbox: &MailboxName) -> Result<(), CarryError> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        self.account.append_all(mailbox, &batch)?;
        let (_, carried) = self.mailboxes.entry(mailbox.clone()).or_default();
        carried.messages += batch.len() as u64;
        Ok(())
    }
}

// RFC 5321 §4.4: the topmost Received is the last.
fn header_date(header: &Header) -> Option<i64> {
    let received = header.first("Received").and_then(|field| {
        let value = field.value();
        let at = value.iter().rposition(|byte| *byte == b';')?;
        date(&value[at + 1..])
    });
    received.or_else(|| date(header.first("Date")?.value()))
}

/// A spool as a writer.
struct Spooled(Spool);

impl Write for Spooled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// Of the two that fail while a message is read: the spool's own trouble ends the import.
fn spool_error(error: io::Error) -> Result<io::Error, CarryError> {
    match error.downcast::<SpoolError>() {
        Ok(error) => Err(error.into()),
        Err(error) => Ok(error),
    }
}
