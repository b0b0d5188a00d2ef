//! Messages copied and moved into other mailboxes, and appended.
//!
//! A copy is a link to the same file under a new name, a move is one rename: a reader finds the
//! message in one mailbox or in the other, and INTERNALDATE, which is the file's time, goes along.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::index::{FileRow, MailboxRow, MessageRow, Transaction};
use crate::mail::{Flags, MailboxName, ModSeq, Uid, UidSet, UidValidity};
use crate::maildir::{DiskError, FileName, KeywordLetters, Minted, Place, Seen, open_message};
use crate::message::{Letter, Message};
use crate::store::{Publication, Published, StoreError, Target, Transferred};

use super::account::{LocalAccount, file_row, now, seen};
use super::flags::TRIES;
use super::identity::Identified;
use super::letters::{assign_under, letters_of};
use super::publish::LocalStaged;
use super::uidlist::Lists;

/// A file under its new name.
struct Arrived {
    message: MessageRow,
    uid: Uid,
    file: FileRow,
}

impl LocalAccount {
    /// Copies messages, or moves them.
    pub(super) fn transfer(
        &self,
        from: &MailboxName,
        uids: &UidSet,
        to: &MailboxName,
        moving: bool,
    ) -> Result<Transferred, StoreError> {
        self.change_in(Some(to), |transaction, lists| {
            let mut target = self.numbered(transaction, to, lists)?;
            // Read now: it may be the same mailbox.
            transaction.update_mailbox(&target)?;
            let source = self.row_within(transaction, from)?;
            let messages = transaction.messages(&source, uids)?;
            let arrived = self.bring_files(&source, &mut target, messages, moving, lists)?;
            if !arrived.is_empty() {
                let modseq = self.next_modseq(&mut target)?;
                self.record_arrivals(transaction, &mut target, &arrived, modseq)?;
                transaction.update_mailbox(&target)?;
            }
            if moving && !arrived.is_empty() {
                // Read again: it may be the same mailbox.
                let mut source = self.row_within(transaction, from)?;
                let modseq = self.next_modseq(&mut source)?;
                for Arrived { message, .. } in &arrived {
                    transaction.expunge(&mut source, message, modseq)?;
                }
                transaction.update_mailbox(&source)?;
            }
            Ok(Transferred {
                validity: target.validity,
                uids: arrived
                    .iter()
                    .map(|arrived| (arrived.message.uid, arrived.uid))
                    .collect(),
            })
        })
    }

    // The row of a mailbox in which UIDs can be given.
    pub(super) fn numbered(
        &self,
        transaction: &Transaction<'_>,
        name: &MailboxName,
        lists: &mut Lists,
    ) -> Result<MailboxRow, StoreError> {
        let row = self.row_within(transaction, name)?;
        let mut identified = Identified {
            adopt_from: row.uid_next,
            row,
            past_mark: false,
            anew: false,
        };
        self.prepare_numbers(transaction, &mut identified, lists)?;
        match lists.may_number(name) {
            true => Ok(identified.row),
            false => Err(self.list_is_held(name)),
        }
    }

    pub(super) fn list_is_held(&self, name: &MailboxName) -> StoreError {
        let path = self.folders.folder(name).path().join("dovecot-uidlist");
        DiskError::at("lock", path)(std::io::ErrorKind::WouldBlock.into()).into()
    }

    // Where one fails, those before it go back.
    fn bring_files(
        &self,
        source: &MailboxRow,
        target: &mut MailboxRow,
        messages: Vec<MessageRow>,
        moving: bool,
        lists: &mut Lists,
    ) -> Result<Vec<Arrived>, StoreError> {
        let folder = self.folders.folder(&target.name);
        let flags = messages.iter().map(|message| &message.flags);
        let keywords = assign_under(&self.options.disk, folder.path(), flags, lists.lock_of(&target.name))?;
        let mut done: Vec<(PathBuf, PathBuf)> = Vec::new();
        let mut arrived = Vec::new();
        let brought = messages.into_iter().try_for_each(|message| {
            let from = self.folders.folder(&source.name);
            let find = || match from.find(&seen(&message.file)) {
                Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(None),
                path => path.map(Some),
            };
            // Another program removed it: it is not there to be copied.
            let Some(mut path) = find()? else { return Ok(()) };
            let (uid, new) = self.new_name(target, &message, &path, &keywords)?;
            let to = folder.path().join(new.relative_path());
            for tried in 1.. {
                match self.move_or_link(&path, &folder.tmp(), &to, moving) {
                    // Or renamed it in between.
                    Err(error) if error.source.kind() == std::io::ErrorKind::NotFound && tried < TRIES => {
                        let Some(found) = find()? else { return Ok(()) };
                        path = found;
                    }
                    brought => {
                        brought?;
                        break;
                    }
                }
            }
            done.push((path, to));
            arrived.push(Arrived {
                message,
                uid,
                file: file_row(&new),
            });
            Ok(())
        });
        let flushed = brought.and_then(|()| {
            let new: Vec<(Uid, &str)> = arrived
                .iter()
                .map(|it: &Arrived| (it.uid, it.file.base.as_str()))
                .collect();
            self.enter(lists, &target.name, &new)?;
            self.flush_transfer(&done, moving)
        });
        if let Err(error) = flushed {
            for (path, to) in done.iter().rev() {
                // The old name is free again where it was moved, and stands where it was copied.
                let back = if moving && !path.exists() {
                    fs::rename(to, path)
                } else {
                    fs::remove_file(to)
                };
                if let Err(error) = back {
                    tracing::warn!(path = %to.display(), %error, "cannot take back a message that could not be copied as a whole");
                }
            }
            return Err(error);
        }
        Ok(arrived)
    }

    fn new_name(
        &self,
        target: &mut MailboxRow,
        message: &MessageRow,
        path: &std::path::Path,
        keywords: &KeywordLetters,
    ) -> Result<(Uid, Seen), StoreError> {
        let old = FileName {
            base: &message.file.base,
            letters: "",
        };
        let stored = match old.stored_size() {
            Some(stored) => stored,
            None => open_message(path)
                .and_then(|file| file.length())
                .map_err(DiskError::at("open", path))?,
        };
        let uid = self.next_uid(target)?;
        let minted = Minted::new(&self.options.host, None, stored, message.size);
        let letters = letters_of(&message.flags, keywords, seen(&message.file).flag_letters());
        let in_new = !message.file.in_cur && letters.is_empty();
        let new = Seen {
            base: minted.with_uid(uid, target.validity),
            letters,
            place: if in_new { Place::New } else { Place::Cur },
        };
        Ok((uid, new))
    }

    // Where they arrived first: until that is durable the old names must not be gone for good.
    fn flush_transfer(&self, done: &[(PathBuf, PathBuf)], moving: bool) -> Result<(), StoreError> {
        let parents = |paths: &mut dyn Iterator<Item = &PathBuf>| -> BTreeSet<PathBuf> {
            paths.filter_map(|path| path.parent()).map(PathBuf::from).collect()
        };
        for folder in parents(&mut done.iter().map(|(_, to)| to)) {
            self.options.disk.flush_folder(&folder)?;
        }
        if !moving {
            return Ok(());
        }
        for (path, _) in done {
            // There still where the bytes had to be copied to another file system.
            let _ = fs::remove_file(path);
        }
        for folder in parents(&mut done.iter().map(|(path, _)| path)) {
            self.options.disk.flush_folder(&folder)?;
        }
        Ok(())
    }

    fn record_arrivals(
        &self,
        transaction: &Transaction<'_>,
        target: &mut MailboxRow,
        arrived: &[Arrived],
        modseq: ModSeq,
    ) -> Result<(), StoreError> {
        let now = now();
        for Arrived { message, uid, file } in arrived {
            let new = MessageRow {
                uid: *uid,
                modseq,
                save_date: now,
                file: file.clone(),
                ..message.clone()
            };
            transaction.insert_message(target, &new)?;
        }
        Ok(())
    }

    pub(super) fn append_message(
        &self,
        mailbox: &MailboxName,
        message: &Message,
        flags: &Flags,
        internal_date: Option<i64>,
    ) -> Result<(UidValidity, Uid), StoreError> {
        if !self.folders.folder(mailbox).exists() {
            return Err(self.no_mailbox(mailbox));
        }
        let staged = LocalStaged::write(self, &Letter::plain(message.clone()), None, internal_date)?;
        let published = crate::store::Staged::publish(
            Box::new(staged),
            Publication {
                targets: vec![Target {
                    mailbox: mailbox.clone(),
                    flags: flags.clone(),
                }],
                id: Default::default(),
                remember: Vec::new(),
                quota: None,
                history: None,
            },
        )?;
        let Published::Placed(placements) = published else {
            unreachable!("a message without a redelivery key was never there before")
        };
        let placed = placements.first().expect("there was one mailbox");
        let uid = placed.uid.ok_or_else(|| self.list_is_held(mailbox))?;
        let index = super::lock(&self.index);
        Ok((self.row(&index, mailbox)?.validity, uid))
    }
}
