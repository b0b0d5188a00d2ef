//! The messages of a mailbox.

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use crate::mail::{Flags, MailboxName, ModSeq, SystemFlag, Uid, UidSet, UidValidity};
use crate::message::{Letter, Message};
use crate::store::{Alteration, Altered, Body, Changes, Detail, Entry, Messages, StoreError, Transferred, Watch};

use super::content::Content;
use super::state::{Kept, Mailbox, State, unique};
use super::watch::MemoryWatch;
use super::{MemoryAccount, now};

impl Messages for MemoryAccount {
    fn entries(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Entry>, StoreError> {
        self.read(|state| {
            let chosen = self.mailbox(state, mailbox)?.chosen(uids);
            Ok(chosen.map(|kept| kept.entry.clone()).collect())
        })
    }

    fn flags(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<(Uid, ModSeq, Flags)>, StoreError> {
        let flags = |kept: &Kept| (kept.entry.uid, kept.entry.modseq, kept.entry.flags.clone());
        self.read(|state| Ok(self.mailbox(state, mailbox)?.chosen(uids).map(flags).collect()))
    }

    fn details(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Detail>, StoreError> {
        let detail = |kept: &Kept| Detail {
            entry: kept.entry.clone(),
            card: kept.content.card.clone(),
            delivery: kept.content.delivery.clone(),
            path: PathBuf::new(),
        };
        self.read(|state| Ok(self.mailbox(state, mailbox)?.chosen(uids).map(detail).collect()))
    }

    fn open(&self, mailbox: &MailboxName, uid: Uid) -> Result<Box<dyn Body>, StoreError> {
        self.read(|state| {
            let kept = self.mailbox(state, mailbox)?.messages.get(&uid);
            let kept = kept.ok_or_else(|| StoreError::NoMessage {
                user: self.user.clone(),
                mailbox: mailbox.clone(),
                uid,
            })?;
            Ok(Box::new(Cursor::new(Arc::clone(&kept.content.bytes))) as Box<dyn Body>)
        })
    }

    fn alter(
        &self,
        mailbox: &MailboxName,
        uids: &UidSet,
        alteration: &Alteration,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Altered, StoreError> {
        self.write(|state| {
            let mailbox = self.mailbox_mut(state, mailbox)?;
            // RFC 7162 §3.1.3: what changed since is left alone.
            let changed_since = |kept: &&Kept| unchanged_since.is_some_and(|since| kept.entry.modseq > since);
            let (left_alone, named): (Vec<&Kept>, Vec<&Kept>) = mailbox.chosen(uids).partition(changed_since);
            let modified = uids_of(left_alone).into_iter().collect();
            let named = uids_of(named);
            Ok(Altered {
                entries: alter(mailbox, &named, alteration),
                modified,
            })
        })
    }

    fn copy(&self, mailbox: &MailboxName, uids: &UidSet, to: &MailboxName) -> Result<Transferred, StoreError> {
        self.write(|state| self.transfer(state, mailbox, uids, to, false))
    }

    fn move_to(&self, mailbox: &MailboxName, uids: &UidSet, to: &MailboxName) -> Result<Transferred, StoreError> {
        self.write(|state| self.transfer(state, mailbox, uids, to, true))
    }

    fn append(
        &self,
        mailbox: &MailboxName,
        message: &Message,
        flags: &Flags,
        internal_date: Option<i64>,
    ) -> Result<(UidValidity, Uid), StoreError> {
        let content = Content::of_letter(&Letter::plain(message.clone()))?;
        self.write(|state| {
            if !self.mailbox(state, mailbox)?.has_room(1) {
                return Err(self.no_uid_left(mailbox));
            }
            let thread = state.threads.place(content.email_id, &content.card.ids());
            let mailbox = self.mailbox_mut(state, mailbox)?;
            let modseq = mailbox.next_modseq();
            let date = internal_date.unwrap_or_else(now);
            let uid = mailbox.add(content, unique(flags), date, thread, modseq);
            Ok((mailbox.validity, uid))
        })
    }

    fn expunge(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Uid>, StoreError> {
        self.write(|state| {
            let mailbox = self.mailbox_mut(state, mailbox)?;
            let deleted = mailbox
                .chosen(uids)
                .filter(|kept| kept.entry.flags.has(SystemFlag::Deleted));
            let gone = uids_of(deleted);
            mailbox.remove(&gone);
            Ok(gone)
        })
    }

    fn remove(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Uid>, StoreError> {
        self.write(|state| {
            let mailbox = self.mailbox_mut(state, mailbox)?;
            let gone = uids_of(mailbox.chosen(uids));
            mailbox.remove(&gone);
            Ok(gone)
        })
    }

    fn changes(&self, mailbox: &MailboxName, since: ModSeq) -> Result<Changes, StoreError> {
        self.read(|state| {
            let mailbox = self.mailbox(state, mailbox)?;
            let entries = mailbox.messages.values().map(|kept| &kept.entry);
            let gone = mailbox.expunged.iter();
            Ok(Changes {
                highest_modseq: mailbox.highest_modseq,
                changed: entries.filter(|entry| entry.modseq > since).cloned().collect(),
                vanished: gone.filter(|(_, at)| **at > since).map(|(uid, _)| *uid).collect(),
            })
        })
    }

    fn watch(&self, mailbox: &MailboxName) -> Result<Box<dyn Watch + '_>, StoreError> {
        Ok(Box::new(MemoryWatch::new(self, mailbox)?))
    }
}

impl MemoryAccount {
    /// Copies messages, or moves them.
    pub(super) fn transfer(
        &self,
        state: &mut State,
        from: &MailboxName,
        uids: &UidSet,
        to: &MailboxName,
        moving: bool,
    ) -> Result<Transferred, StoreError> {
        let chosen: Vec<Kept> = self.mailbox(state, from)?.chosen(uids).cloned().collect();
        let target = self.mailbox_mut(state, to)?;
        if !target.has_room(chosen.len()) {
            return Err(self.no_uid_left(to));
        }
        let mut transferred = Transferred {
            validity: target.validity,
            uids: Vec::new(),
        };
        if chosen.is_empty() {
            return Ok(transferred);
        }
        let modseq = target.next_modseq();
        for Kept { entry, content } in &chosen {
            let flags = entry.flags.clone();
            let uid = target.add(content.clone(), flags, entry.internal_date, entry.thread_id, modseq);
            transferred.uids.push((entry.uid, uid));
        }
        if moving {
            self.mailbox_mut(state, from)?.remove(&uids_of(&chosen));
        }
        Ok(transferred)
    }
}

/// Alters flags, with one MODSEQ for all that changes; answers the messages named as they are then.
fn alter(mailbox: &mut Mailbox, named: &[Uid], alteration: &Alteration) -> Vec<Entry> {
    let becomes = |flags: &Flags| unique(&alteration.apply(flags));
    let changes = |uid: &Uid| {
        let flags = &mailbox.messages[uid].entry.flags;
        !same(flags, &becomes(flags))
    };
    let changed: Vec<Uid> = named.iter().copied().filter(changes).collect();
    if !changed.is_empty() {
        let modseq = mailbox.next_modseq();
        for uid in changed {
            let kept = mailbox.messages.get_mut(&uid);
            let Kept { entry, .. } = kept.expect("it was chosen from these messages");
            entry.flags = becomes(&entry.flags);
            entry.modseq = modseq;
        }
    }
    named.iter().map(|uid| mailbox.messages[uid].entry.clone()).collect()
}

/// Whether both are the same flags and keywords; the case of keywords is ignored.
fn same(one: &Flags, other: &Flags) -> bool {
    one.difference(other).is_empty() && other.difference(one).is_empty()
}

fn uids_of<'state>(kept: impl IntoIterator<Item = &'state Kept>) -> Vec<Uid> {
    kept.into_iter().map(|kept| kept.entry.uid).collect()
}
