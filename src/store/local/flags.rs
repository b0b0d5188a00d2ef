//! Flags altered, messages removed.
//!
//! The file changes first and its folder is flushed, then the rows are committed. So what a
//! client was told survives a power cut in the file, and what only the file says after one is
//! taken in by the next reconcile.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;

use crate::index::{FileRow, MailboxRow, MessageRow, Transaction};
use crate::mail::{Flags, MailboxName, ModSeq, SystemFlag, Uid, UidSet};
use crate::maildir::{DiskError, Folder, KeywordLetters, Place, Seen};
use crate::store::{Alteration, Altered, StoreError};

use super::account::{LocalAccount, file_row, seen};
use super::expunged::Keep;
use super::letters::{assign, flags_of, letters_of};
use super::reading::entries;

/// How often a file is looked for that others rename at the time.
pub(super) const TRIES: usize = 10;

/// A message whose file was renamed.
struct Renamed {
    message: MessageRow,
    file: FileRow,
    flags: Flags,
}

impl LocalAccount {
    pub(super) fn alter_flags(
        &self,
        mailbox: &MailboxName,
        uids: &UidSet,
        alteration: &Alteration,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Altered, StoreError> {
        // Who delivers takes Dovecot's lock first and the index's then, so never the other way round.
        let folder = self.folders.folder(mailbox);
        if let Alteration::Set(flags) | Alteration::Add(flags) = alteration
            && folder.exists()
        {
            assign(&self.options.disk, folder.path(), [flags])?;
        }
        let is_modified = |message: &MessageRow| unchanged_since.is_some_and(|since| message.modseq > since);
        let (named, modified) = self.change(|transaction| {
            let mut row = self.row_within(transaction, mailbox)?;
            let (modified, named): (Vec<_>, Vec<_>) =
                transaction.messages(&row, uids)?.into_iter().partition(is_modified);
            let renamed = self.rename_all(&row, &named, alteration)?;
            self.record_flags(transaction, &mut row, &renamed)?;
            let named: UidSet = named.iter().map(|message| message.uid).collect();
            Ok((named, modified.iter().map(|message| message.uid).collect()))
        })?;
        let index = super::lock(&self.index);
        let row = self.row(&index, mailbox)?;
        let entries = entries(&index, index.messages(&row, &named)?)?;
        Ok(Altered { entries, modified })
    }

    // Gives all files the letters of their new flags. A file that is gone is left to the next reconcile.
    fn rename_all(
        &self,
        row: &MailboxRow,
        messages: &[MessageRow],
        alteration: &Alteration,
    ) -> Result<Vec<Renamed>, StoreError> {
        let folder = self.folders.folder(&row.name);
        let wanted: Vec<Flags> = messages
            .iter()
            .map(|message| alteration.apply(&message.flags))
            .collect();
        let changing: Vec<_> = messages
            .iter()
            .zip(wanted)
            .filter(|(message, flags)| message.flags != *flags)
            .collect();
        let keywords = KeywordLetters::read(folder.path())?;
        let (mut renamed, mut elsewhere) = (Vec::new(), None);
        for (message, flags) in changing {
            let mut flags = flags;
            let mut from = seen(&message.file);
            let file = follow(&folder, &mut from, &mut elsewhere, |from, moved| {
                if moved {
                    // Another program was there first: what the file says now is altered.
                    let known = KeywordLetters::read(folder.path())?;
                    flags = alteration.apply(&flags_of(from, &known));
                }
                self.rename_file(&folder, from, &flags, &keywords)
            })?;
            renamed.extend(file.map(|file| Renamed {
                message: message.clone(),
                file,
                flags,
            }));
        }
        if !renamed.is_empty() {
            self.options.disk.flush_folder(&folder.cur())?;
        }
        if renamed.iter().any(|renamed| !renamed.message.file.in_cur) {
            self.options.disk.flush_folder(&folder.new_())?;
        }
        Ok(renamed)
    }

    fn rename_file(
        &self,
        folder: &Folder,
        from: &Seen,
        flags: &Flags,
        keywords: &KeywordLetters,
    ) -> Result<FileRow, DiskError> {
        let to = Seen {
            base: from.base.clone(),
            letters: letters_of(flags, keywords, from.flag_letters()),
            place: Place::Cur,
        };
        // A keyword may get no letter; then only the index knows it.
        if to != *from {
            let path = |file: &Seen| folder.path().join(file.relative_path());
            self.options.disk.rename_new(&path(from), &path(&to))?;
        }
        Ok(file_row(&to))
    }

    fn record_flags(
        &self,
        transaction: &Transaction<'_>,
        row: &mut MailboxRow,
        renamed: &[Renamed],
    ) -> Result<(), StoreError> {
        if renamed.is_empty() {
            return Ok(());
        }
        // RFC 7162 §3.1: one change may give all of its messages the same MODSEQ.
        let modseq = self.next_modseq(row)?;
        for Renamed { message, file, flags } in renamed {
            transaction.update_message(row, message, file, Some((flags, modseq)))?;
        }
        Ok(transaction.update_mailbox(row)?)
    }

    /// Removes messages, with `only_deleted` those with `\Deleted`.
    pub(super) fn take_out(
        &self,
        mailbox: &MailboxName,
        uids: &UidSet,
        only_deleted: bool,
    ) -> Result<Vec<Uid>, StoreError> {
        self.change(|transaction| {
            let mut row = self.row_within(transaction, mailbox)?;
            let mut messages = transaction.messages(&row, uids)?;
            messages.retain(|message| !only_deleted || message.flags.has(SystemFlag::Deleted));
            if messages.is_empty() {
                return Ok(Vec::new());
            }
            let folder = self.folders.folder(mailbox);
            let keep = self.keep(mailbox)?;
            let mut elsewhere = None;
            for message in &messages {
                self.remove_file(&folder, &seen(&message.file), &mut elsewhere, keep.as_ref())?;
            }
            self.flush_kept(keep.as_ref())?;
            for (part, path) in [(true, folder.cur()), (false, folder.new_())] {
                if messages.iter().any(|message| message.file.in_cur == part) {
                    self.options.disk.flush_folder(&path)?;
                }
            }
            let modseq = self.next_modseq(&mut row)?;
            for message in &messages {
                transaction.expunge(&mut row, message, modseq)?;
            }
            transaction.update_mailbox(&row)?;
            self.shrunk.store(true, Ordering::Relaxed);
            Ok(messages.iter().map(|message| message.uid).collect())
        })
    }

    // Gone is gone, whoever did it.
    fn remove_file(
        &self,
        folder: &Folder,
        file: &Seen,
        elsewhere: &mut Option<Elsewhere>,
        keep: Option<&Keep>,
    ) -> Result<(), StoreError> {
        let mut file = file.clone();
        let removed = follow(folder, &mut file, elsewhere, |file, _| {
            self.discard(&folder.path().join(file.relative_path()), keep)
        });
        Ok(removed.map(drop)?)
    }
}

/// Works on a file that other programs may rename at the time: where it is not under its name, it
/// is searched, and the work done there. `work` is told whether it was. None where it is gone.
/// `elsewhere`: where all files lay when first one was not found; one listing serves all that another program
/// moved before.
fn follow<T>(
    folder: &Folder,
    file: &mut Seen,
    elsewhere: &mut Option<Elsewhere>,
    mut work: impl FnMut(&Seen, bool) -> Result<T, DiskError>,
) -> Result<Option<T>, DiskError> {
    for moved in (0..TRIES).map(|tried| tried > 0) {
        match work(file, moved) {
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => {}
            done => return done.map(Some),
        }
        let found = match moved {
            false => {
                let listed = match elsewhere.take() {
                    Some(listed) => listed,
                    None => list_all(folder)?,
                };
                elsewhere.insert(listed).get(&file.base).cloned()
            }
            true => search(folder, &file.base)?,
        };
        match found {
            Some(found) => *file = found,
            None => return Ok(None),
        }
    }
    Err(DiskError::at("find", folder.path().join(file.relative_path()))(
        io::ErrorKind::ResourceBusy.into(),
    ))
}

/// Files by their base names.
type Elsewhere = HashMap<String, Seen>;

// Twice, as below; the second is the newer word.
fn list_all(folder: &Folder) -> Result<Elsewhere, DiskError> {
    let mut all = HashMap::new();
    for place in [Place::New, Place::Cur, Place::New, Place::Cur] {
        all.extend(
            folder
                .list(place)?
                .files
                .into_iter()
                .map(|file| (file.base.clone(), file)),
        );
    }
    Ok(all)
}

// Where a file lies that is not where it was last seen. A rename at the time can hide it from one
// listing, so it is gone only where a second has not got it either.
fn search(folder: &Folder, base: &str) -> Result<Option<Seen>, DiskError> {
    for place in [Place::New, Place::Cur, Place::New, Place::Cur] {
        if let Some(found) = folder.list(place)?.files.into_iter().find(|file| file.base == base) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
