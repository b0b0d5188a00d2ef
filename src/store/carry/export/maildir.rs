//! A mailbox as a folder of a Maildir++ tree.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Bystander, CarryError, ExportOptions, each_message, sweep, write_file};
use crate::mail::{Flags, MailboxName, SystemFlag, UidSet};
use crate::maildir::{Disk, DiskError, FileName, Folders, KeywordLetters, Subscriptions};
use crate::store::{Account, Detail};

/// How long to wait for another program that is changing the subscriptions.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn place(to: &Path, mailbox: &MailboxName) -> PathBuf {
    let folder = Folders::new(to.to_owned()).folder(mailbox);
    match mailbox.is_inbox() {
        true => folder.cur(),
        false => folder.path().to_owned(),
    }
}

pub(super) fn write(
    account: &dyn Account,
    to: &Path,
    mailbox: &MailboxName,
    options: &ExportOptions,
    bystander: &mut dyn Bystander,
) -> Result<u64, CarryError> {
    let disk = &options.disk;
    let tree = Folders::new(to.to_owned());
    // Without a leading dot: no reader takes it for a folder.
    let unfinished = to.join(format!("postroom-unfinished{}", tree.below_root(mailbox)));
    sweep(&unfinished)?;
    // The parts of INBOX are moved one by one: only those of a whole one.
    let finished = to.join("postroom-finished");
    if mailbox.is_inbox() && super::is_there(&finished) {
        if !options.resume {
            return Err(CarryError::Exists(finished));
        }
        move_inbox(disk, &finished, to)?;
        return Ok(account.flags(mailbox, &UidSet::all())?.len() as u64);
    }
    let inside = Folders::new(unfinished.clone()).folder(&MailboxName::inbox());
    for part in [inside.path().to_owned(), inside.tmp(), inside.new_(), inside.cur()] {
        disk.make_folder(&part)?;
    }
    let letters = letters(account, mailbox, &unfinished, disk, bystander)?;
    let count = each_message(account, mailbox, bystander, |detail, mut body| {
        let path = unfinished.join(path(detail, &letters));
        write_file(disk, &path, detail.entry.internal_date, &mut *body)?;
        Ok(())
    })?;
    if !mailbox.is_inbox() {
        disk.create(&unfinished.join("maildirfolder"))?;
    }
    disk.flush_file_system(&unfinished)?;
    match mailbox.is_inbox() {
        false => disk.rename_folder_new(&unfinished, &place(to, mailbox))?,
        true => {
            disk.rename_folder_new(&unfinished, &finished)?;
            move_inbox(disk, &finished, to)?;
        }
    }
    disk.flush_folder(to)?;
    Ok(count)
}

// Its parts lie at the root of the tree; `cur` comes last, and nothing that is there is replaced.
fn move_inbox(disk: &Disk, finished: &Path, to: &Path) -> Result<(), DiskError> {
    for part in ["dovecot-keywords", "tmp", "new", "cur"] {
        let from = finished.join(part);
        // A run that was killed between these renames has moved it already.
        if super::is_there(&from) {
            disk.rename_folder_new(&from, &to.join(part))?;
        }
    }
    sweep(finished)
}

fn letters(
    account: &dyn Account,
    mailbox: &MailboxName,
    folder: &Path,
    disk: &Disk,
    bystander: &mut dyn Bystander,
) -> Result<KeywordLetters, CarryError> {
    let flags = account.flags(mailbox, &UidSet::all())?;
    let mut keywords: Vec<&str> = flags.iter().flat_map(|(_, _, flags)| flags.keywords()).collect();
    keywords.sort_unstable();
    keywords.dedup();
    if keywords.is_empty() {
        return Ok(KeywordLetters::default());
    }
    let letters = KeywordLetters::assign(disk, folder, keywords.iter().copied())?;
    for keyword in keywords.into_iter().filter(|keyword| letters.letter(keyword).is_none()) {
        bystander.fault(&format!(
            "{mailbox}: a Maildir has letters for 26 keywords; {keyword} got none"
        ));
    }
    Ok(letters)
}

// The base name stays, less what says its UID here.
fn path(detail: &Detail, keywords: &KeywordLetters) -> PathBuf {
    let name = detail.path.file_name().unwrap_or_default().to_string_lossy();
    let base = FileName::parse(&name).base;
    let base = base.split_once(",U=").map_or(base, |(front, _)| front);
    let letters = flag_letters(&detail.entry.flags, keywords);
    let in_new = detail.path.parent().is_some_and(|parent| parent.ends_with("new"));
    match letters.is_empty() && in_new {
        true => PathBuf::from(format!("new/{base}")),
        false => PathBuf::from(format!("cur/{base}:2,{letters}")),
    }
}

fn flag_letters(flags: &Flags, keywords: &KeywordLetters) -> String {
    let system = SystemFlag::ALL.into_iter().filter(|flag| flags.has(*flag));
    let mut letters: Vec<char> = system.map(SystemFlag::letter).collect();
    letters.extend(flags.keywords().filter_map(|keyword| keywords.letter(keyword)));
    letters.sort_unstable();
    letters.into_iter().collect()
}

/// Writes the subscriptions to those that were exported.
pub(super) fn subscribe(
    account: &dyn Account,
    to: &Path,
    mailboxes: &[MailboxName],
    disk: &Disk,
) -> Result<(), CarryError> {
    let subscribed = account.subscriptions()?;
    let wanted = mailboxes.iter().filter(|mailbox| subscribed.contains(*mailbox));
    let changes: Vec<_> = wanted.map(|mailbox| (mailbox, true)).collect();
    Subscriptions::alter(disk, to, &changes, PATIENCE)?;
    Ok(())
}
