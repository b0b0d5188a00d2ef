//! A mailbox as a folder of `.eml` files.

use std::path::{Path, PathBuf};

use super::super::eml::{INDEX, list};
use super::{Bystander, CarryError, ExportOptions, each_message, sweep, write_file};
use crate::mail::MailboxName;
use crate::store::Account;

pub(super) fn place(to: &Path, mailbox: &MailboxName) -> PathBuf {
    folder(to, mailbox).join(INDEX)
}

fn folder(to: &Path, mailbox: &MailboxName) -> PathBuf {
    mailbox.levels().fold(to.to_owned(), |path, level| path.join(level))
}

pub(super) fn write(
    account: &dyn Account,
    to: &Path,
    mailbox: &MailboxName,
    options: &ExportOptions,
    bystander: &mut dyn Bystander,
) -> Result<u64, CarryError> {
    let disk = &options.disk;
    let folder = folder(to, mailbox);
    disk.make_folder(&folder)?;
    let validity = account.status(mailbox)?.validity;
    let mut written = Vec::new();
    let count = each_message(account, mailbox, bystander, |detail, mut body| {
        let name = format!("{}.eml", detail.entry.uid);
        let path = folder.join(&name);
        // Without the list it is what an export that was killed left.
        if options.resume {
            sweep(&path)?;
        }
        write_file(disk, &path, detail.entry.internal_date, &mut *body)?;
        written.push((name, detail.entry.clone()));
        Ok(())
    })?;
    disk.flush_file_system(&folder)?;
    let list = list(mailbox, validity.value(), &written);
    disk.replace(&folder.join(INDEX), format!("{list:#}\n").as_bytes())?;
    Ok(count)
}
