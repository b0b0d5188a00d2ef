//! What was removed, kept for a time: `postroom-expunged/FOLDER/SECONDS/FILE` in the Maildir.
//!
//! FOLDER is the folder of the mailbox, or `INBOX`; SECONDS is when it was removed. The name of the
//! first has no dot in front, so no reader of Maildir++ takes it for a mailbox, and nothing in it
//! counts for a quota. A `dovecot-keywords` beside the files says what their letters mean.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::index::MessageRow;
use crate::mail::{MailboxName, Uid};
use crate::maildir::{DiskError, FileName, Folder, KeywordLetters, Minted, Place, Seen};
use crate::store::{Removed, StoreError};

use super::account::{LocalAccount, file_row, now, until};
use super::kept;
use super::letters::{assign_under, flags_of, letters_of};

/// The folder's name.
pub(super) const KEPT: &str = "postroom-expunged";
/// What stands for INBOX, which has no folder name of its own.
const INBOX: &str = "INBOX";
/// The names of keywords, as Dovecot has them.
pub(super) const KEYWORDS: &str = "dovecot-keywords";
/// Seconds between two times of looking for what has had its time: an hour.
const PURGING: i64 = 3600;

/// Where messages go that are removed at one moment.
pub(super) struct Keep(PathBuf);

/// The messages of one mailbox that were removed at one moment.
struct Moment {
    mailbox: MailboxName,
    seconds: i64,
    path: PathBuf,
}

impl LocalAccount {
    /// Makes the place for what is removed from a mailbox now; none where nothing is kept.
    pub(super) fn keep(&self, mailbox: &MailboxName) -> Result<Option<Keep>, StoreError> {
        if self.options.keep_expunged.is_none() {
            return Ok(None);
        }
        let path = self.kept_root().join(self.kept_name(mailbox)).join(now().to_string());
        self.options.disk.make_folder(&path)?;
        let keywords = self.folders.folder(mailbox).path().join(KEYWORDS);
        match fs::copy(&keywords, path.join(KEYWORDS)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DiskError::at("copy", keywords)(error).into()),
            _ => Ok(Some(Keep(path))),
        }
    }

    /// Removes a file: to where it is kept, or for good.
    pub(super) fn discard(&self, path: &Path, keep: Option<&Keep>) -> Result<(), DiskError> {
        let Some(Keep(kept)) = keep else {
            return fs::remove_file(path).map_err(DiskError::at("remove", path));
        };
        let to = kept.join(path.file_name().unwrap_or_default());
        self.move_or_link(path, kept, &to, true)?;
        // There still where it had to be copied to another file system.
        let _ = fs::remove_file(path);
        Ok(())
    }

    /// Makes what was kept durable; before its old names are gone for good.
    pub(super) fn flush_kept(&self, keep: Option<&Keep>) -> Result<(), DiskError> {
        keep.map_or(Ok(()), |Keep(path)| self.options.disk.flush_folder(path))
    }

    /// Keeps all messages of a folder that is to be deleted, which has them still: they are linked. Adds the
    /// links to `kept`, so that they can be taken back.
    pub(super) fn keep_all(&self, mailbox: &MailboxName, kept: &mut Vec<PathBuf>) -> Result<(), StoreError> {
        let folder = self.folders.folder(mailbox);
        if self.options.keep_expunged.is_none() || !folder.exists() {
            return Ok(());
        }
        let mut keep = None;
        for place in [Place::New, Place::Cur] {
            for file in folder.list(place)?.files {
                if keep.is_none() {
                    keep = self.keep(mailbox)?;
                }
                let Some(Keep(moment)) = &keep else { continue };
                let path = folder.path().join(file.relative_path());
                let to = moment.join(path.file_name().unwrap_or_default());
                match self.move_or_link(&path, moment, &to, false) {
                    Err(error) if error.source.kind() == io::ErrorKind::NotFound => {}
                    linked => {
                        linked?;
                        kept.push(to);
                    }
                }
            }
        }
        Ok(self.flush_kept(keep.as_ref())?)
    }

    /// See [`crate::store::Account::removed`].
    pub(super) fn list_removed(&self) -> Result<Vec<Removed>, StoreError> {
        let mut moments = self.moments()?;
        moments.sort_by_key(|moment| std::cmp::Reverse(moment.seconds));
        let mut removed = Vec::new();
        for Moment { mailbox, seconds, path } in moments {
            let keywords = KeywordLetters::read(&path)?;
            for name in file_names(&path)? {
                let Some((summary, size, internal_date)) = kept::summary(&path.join(&name)) else {
                    continue;
                };
                removed.push(Removed {
                    id: format!("{}/{seconds}/{name}", self.kept_name(&mailbox)),
                    mailbox: mailbox.clone(),
                    removed: seconds,
                    size,
                    flags: flags_of(&kept_file(&name), &keywords),
                    internal_date,
                    summary,
                });
            }
        }
        Ok(removed)
    }

    /// See [`crate::store::Account::restore`].
    pub(super) fn bring_back(&self, id: &str) -> Result<(MailboxName, Uid), StoreError> {
        let unknown = || StoreError::NoRemoved {
            user: self.user.clone(),
            id: id.to_owned(),
        };
        let (moment, name) = self.find_removed(id)?.ok_or_else(unknown)?;
        let path = moment.path.join(&name);
        // One file is no pack: its card lies alone.
        let read = kept::of_files(std::slice::from_ref(&path)).pop();
        let content = read
            .and_then(|mut batch| batch.contents.pop().flatten())
            .ok_or_else(unknown)?;
        let flags = flags_of(&kept_file(&name), &KeywordLetters::read(&moment.path)?);
        self.make_mailbox(&moment.mailbox)?;
        let uid = self.change_in(Some(&moment.mailbox), |transaction, lists| {
            let mut row = self.numbered(transaction, &moment.mailbox, lists)?;
            let folder = self.folders.folder(&moment.mailbox);
            let uid = self.next_uid(&mut row)?;
            let modseq = self.next_modseq(&mut row)?;
            let stored = kept_name(&name).stored_size().unwrap_or(content.size);
            let held = lists.lock_of(&moment.mailbox);
            let keywords = assign_under(&self.options.disk, folder.path(), [&flags], held)?;
            let letters = letters_of(&flags, &keywords, kept_file(&name).flag_letters());
            let was_new = !name.contains(":2,") && letters.is_empty();
            let back = Seen {
                base: Minted::new(&self.options.host, None, stored, content.size).with_uid(uid, row.validity),
                letters,
                place: if was_new { Place::New } else { Place::Cur },
            };
            self.enter(lists, &moment.mailbox, &[(uid, &back.base)])?;
            self.put_back(&folder, &path, &back)?;
            let message = MessageRow {
                uid,
                modseq,
                flags: flags.clone(),
                internal_date: content.written,
                save_date: now(),
                size: content.size,
                file: file_row(&back),
                content: transaction.put_content(&content.new)?,
            };
            transaction.insert_message(&mut row, &message)?;
            transaction.update_mailbox(&row)?;
            Ok(uid)
        })?;
        let _ = remove_empty(&moment.path);
        Ok((moment.mailbox, uid))
    }

    fn put_back(&self, folder: &Folder, path: &Path, back: &Seen) -> Result<(), StoreError> {
        let to = folder.path().join(back.relative_path());
        self.move_or_link(path, &folder.tmp(), &to, true)?;
        let part = if back.place == Place::Cur {
            folder.cur()
        } else {
            folder.new_()
        };
        if let Err(error) = self.options.disk.flush_folder(&part) {
            let _ = fs::rename(&to, path);
            return Err(error.into());
        }
        let _ = fs::remove_file(path);
        if let Some(kept) = path.parent() {
            self.options.disk.flush_folder(kept)?;
        }
        Ok(())
    }

    /// Removes for good what was kept long enough; all, where nothing is to be kept any more.
    pub(super) fn purge_removed(&self, end: Instant) -> Result<bool, StoreError> {
        let now = now();
        if self.purge_at.load(Ordering::Relaxed) > now {
            return Ok(true);
        }
        let kept = self.options.keep_expunged.map_or(0, |kept| kept.as_secs());
        for moment in self.moments()? {
            if until(moment.seconds, kept) > now {
                continue;
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            match fs::remove_dir_all(&moment.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %moment.path.display(), %error, "cannot remove expunged messages that had their time");
                }
                _ => {
                    let _ = moment.path.parent().map(fs::remove_dir);
                }
            }
        }
        self.purge_at.store(now + PURGING, Ordering::Relaxed);
        Ok(true)
    }

    fn kept_root(&self) -> PathBuf {
        self.folders.folder(&MailboxName::inbox()).path().join(KEPT)
    }

    fn kept_name(&self, mailbox: &MailboxName) -> String {
        match mailbox.is_inbox() {
            true => INBOX.to_owned(),
            false => self.folders.below_root(mailbox),
        }
    }

    // Folders that are no mailboxes, and names that are no times, are nobody's.
    fn moments(&self) -> Result<Vec<Moment>, StoreError> {
        let mut moments = Vec::new();
        for folder in folder_names(&self.kept_root())? {
            let Some(mailbox) = self.kept_mailbox(&folder) else {
                continue;
            };
            for time in folder_names(&self.kept_root().join(&folder))? {
                if let Some(seconds) = seconds(&time) {
                    moments.push(Moment {
                        mailbox: mailbox.clone(),
                        seconds,
                        path: self.kept_root().join(&folder).join(time),
                    });
                }
            }
        }
        Ok(moments)
    }

    fn kept_mailbox(&self, folder: &str) -> Option<MailboxName> {
        match folder {
            INBOX => Some(MailboxName::inbox()),
            folder => self.folders.mailbox_of(folder),
        }
    }

    // Only what a listing would show is found, so an id leads nowhere else.
    fn find_removed(&self, id: &str) -> Result<Option<(Moment, String)>, StoreError> {
        let parts: Vec<&str> = id.split('/').collect();
        let [folder, time, name] = parts[..] else {
            return Ok(None);
        };
        let (Some(mailbox), Some(seconds)) = (self.kept_mailbox(folder), seconds(time)) else {
            return Ok(None);
        };
        let path = self.kept_root().join(folder).join(time);
        let real = |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
        if ![self.kept_root(), self.kept_root().join(folder), path.clone()]
            .iter()
            .all(|path| real(path))
        {
            return Ok(None);
        }
        let found = file_names(&path)?.into_iter().find(|found| found == name);
        Ok(found.map(|name| {
            let moment = Moment { mailbox, seconds, path };
            (moment, name)
        }))
    }
}

fn kept_name(name: &str) -> FileName<'_> {
    FileName::parse(name)
}

fn kept_file(name: &str) -> Seen {
    let FileName { base, letters } = kept_name(name);
    Seen {
        base: base.to_owned(),
        letters: letters.to_owned(),
        place: Place::Cur,
    }
}

fn seconds(name: &str) -> Option<i64> {
    name.parse().ok().filter(|seconds: &i64| seconds.to_string() == name)
}

// Without what is still there of others, such as the names of keywords.
fn remove_empty(path: &Path) -> io::Result<()> {
    if file_names(path).is_ok_and(|names| names.is_empty()) {
        fs::remove_dir_all(path)?;
        path.parent().map_or(Ok(()), fs::remove_dir)?;
    }
    Ok(())
}

fn file_names(folder: &Path) -> Result<Vec<String>, DiskError> {
    let mut names = names(folder, fs::FileType::is_file)?;
    names.retain(|name| !name.starts_with('.') && !name.starts_with(KEYWORDS));
    Ok(names)
}

fn folder_names(folder: &Path) -> Result<Vec<String>, DiskError> {
    names(folder, fs::FileType::is_dir)
}

// Sorted; none where there is no such folder.
fn names(folder: &Path, kind: fn(&fs::FileType) -> bool) -> Result<Vec<String>, DiskError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(DiskError::at("read", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(DiskError::at("read", folder))?;
        if entry.file_type().is_ok_and(|found| kind(&found)) {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    names.sort();
    Ok(names)
}
