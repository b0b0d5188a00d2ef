//! A mailbox as one mbox file.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{Bystander, CarryError, ExportOptions, each_message, sweep};
use crate::mail::MailboxName;
use crate::maildir::DiskError;
use crate::message::{FromLine, write_mbox};
use crate::store::{Account, Detail};

pub(super) fn place(to: &Path, mailbox: &MailboxName) -> PathBuf {
    to.join(format!("{mailbox}.mbox"))
}

pub(super) fn write(
    account: &dyn Account,
    to: &Path,
    mailbox: &MailboxName,
    options: &ExportOptions,
    bystander: &mut dyn Bystander,
) -> Result<u64, CarryError> {
    let disk = &options.disk;
    let unfinished = to.join(format!(".{mailbox}.mbox.unfinished"));
    sweep(&unfinished)?;
    let file = disk.create(&unfinished)?;
    let mut writer = BufWriter::with_capacity(64 * 1024, &file);
    let failed = || DiskError::at("write", &unfinished);
    let count = each_message(account, mailbox, bystander, |detail, body| {
        write_mbox(&mut writer, &from_line(detail), &detail.entry.flags, body).map_err(failed())?;
        Ok(())
    })?;
    writer.flush().map_err(failed())?;
    drop(writer);
    disk.flush(&file, &unfinished)?;
    disk.rename_new(&unfinished, &place(to, mailbox))?;
    disk.flush_folder(to)?;
    Ok(count)
}

fn from_line(detail: &Detail) -> FromLine {
    let sender = detail.delivery.as_ref().map(|delivery| delivery.reverse_path.as_str());
    let sender = sender.unwrap_or_default();
    let bare = sender.strip_prefix('<').and_then(|sender| sender.strip_suffix('>'));
    FromLine {
        sender: bare.unwrap_or(sender).to_owned(),
        date: Some(detail.entry.internal_date),
    }
}
