//! Mailboxes out of an account: each whole or not at all.
//!
//! | format | what is written | when a mailbox is there |
//! | --- | --- | --- |
//! | mbox | `NAME.mbox`, levels of the name separated by `.` | the file has its name last |
//! | Maildir | a Maildir++ tree, with `dovecot-keywords` and `subscriptions` | the folder, for INBOX its `cur/`, has its name last |
//! | eml | a folder for each level, files `UID.eml`, and `index.json` | `index.json` is written last |

mod eml;
mod maildir;
mod mbox;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Bystander, Carried, CarryError};
use crate::mail::{MailboxName, Uid, UidSet};
use crate::maildir::{Disk, DiskError};
use crate::store::{Account, Body, Detail, StoreError};

/// Messages whose numbers are read at a time.
const SLICE: usize = 200;

/// What an export writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// A file for each mailbox, as mboxrd.
    Mbox,
    /// A Maildir++ tree.
    Maildir,
    /// A file for each message.
    Eml,
}

/// How an export writes.
#[derive(Clone, Copy, Debug)]
pub struct ExportOptions {
    /// What is written.
    pub format: ExportFormat,
    /// Modes and flushes.
    pub disk: Disk,
    /// Whether mailboxes that are there already are left as they are; else they are an error, before anything is written.
    pub resume: bool,
}

/// Exports mailboxes into a folder, which is made where it is missing. Answers what became of each mailbox; those
/// that were there already have their messages in neither number.
///
/// # Errors
/// [`CarryError::Exists`] before anything is written; else where a message cannot be read or written. Mailboxes
/// that were finished until then stay, and with `resume` the next run goes on from there.
pub fn export(
    account: &dyn Account,
    to: &Path,
    mailboxes: &[MailboxName],
    options: &ExportOptions,
    bystander: &mut dyn Bystander,
) -> Result<BTreeMap<MailboxName, Carried>, CarryError> {
    let place = |mailbox: &MailboxName| match options.format {
        ExportFormat::Mbox => mbox::place(to, mailbox),
        ExportFormat::Maildir => maildir::place(to, mailbox),
        ExportFormat::Eml => eml::place(to, mailbox),
    };
    let there: Vec<PathBuf> = mailboxes.iter().map(place).filter(|path| is_there(path)).collect();
    if let (Some(path), false) = (there.first(), options.resume) {
        return Err(CarryError::Exists(path.clone()));
    }
    options.disk.make_folder(to)?;
    let mut carried = BTreeMap::new();
    for mailbox in mailboxes {
        if there.contains(&place(mailbox)) {
            carried.insert(mailbox.clone(), Carried::default());
            continue;
        }
        let messages = match options.format {
            ExportFormat::Mbox => mbox::write(account, to, mailbox, options, bystander)?,
            ExportFormat::Maildir => maildir::write(account, to, mailbox, options, bystander)?,
            ExportFormat::Eml => eml::write(account, to, mailbox, options, bystander)?,
        };
        carried.insert(mailbox.clone(), Carried { messages, present: 0 });
    }
    if options.format == ExportFormat::Maildir {
        maildir::subscribe(account, to, mailboxes, &options.disk)?;
    }
    Ok(carried)
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Opens each message of a mailbox by UID; those that go away meanwhile are passed over, those that cannot be read
/// are faults. Answers how many there were.
fn each_message(
    account: &dyn Account,
    mailbox: &MailboxName,
    bystander: &mut dyn Bystander,
    mut write: impl FnMut(&Detail, Box<dyn Body>) -> Result<(), CarryError>,
) -> Result<u64, CarryError> {
    let uids = account.flags(mailbox, &UidSet::all())?;
    let uids: Vec<Uid> = uids.into_iter().map(|(uid, _, _)| uid).collect();
    let mut count = 0;
    for slice in uids.chunks(SLICE) {
        for detail in account.details(mailbox, &slice.iter().copied().collect())? {
            let uid = detail.entry.uid;
            let body = match account.open(mailbox, uid) {
                Ok(body) => body,
                Err(error) if is_gone(&error) => continue,
                Err(error @ StoreError::Disk(_)) => {
                    bystander.fault(&format!("{mailbox}, UID {uid}: {}", crate::mail::Cause::of(&error)));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            write(&detail, body)?;
            count += 1;
            bystander.advance(detail.entry.size);
        }
    }
    Ok(count)
}

fn is_gone(error: &StoreError) -> bool {
    match error {
        StoreError::NoMessage { .. } => true,
        StoreError::Disk(error) => error.source.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Writes a message into a new file whose time is its INTERNALDATE.
fn write_file(disk: &Disk, path: &Path, date: i64, body: &mut dyn Body) -> Result<(), DiskError> {
    let mut file = disk.create(path)?;
    let date = Duration::from_secs(u64::try_from(date).unwrap_or(0));
    let date = SystemTime::UNIX_EPOCH
        .checked_add(date)
        .unwrap_or(SystemTime::UNIX_EPOCH);
    io::copy(body, &mut file)
        .and_then(|_| file.set_modified(date))
        .map_err(DiskError::at("write", path))
}

/// Removes what an export that was killed left half done.
fn sweep(path: &Path) -> Result<(), DiskError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.map_err(DiskError::at("remove", path))
}
