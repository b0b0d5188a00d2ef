//! A mailbox of a few messages in memory, for the tests of search, sort and thread.

use std::collections::BTreeSet;
use std::io::{self, Cursor};
use std::path::PathBuf;
use std::sync::Mutex;

use crate::index::Verdict;
use crate::mail::{EmailId, Flags, MailboxName, ModSeq, ThreadId, Uid, UidSet, UidValidity};
use crate::maildir::DiskError;
use crate::message::{Card, Limits, Message, Needle, Scope, message_key, scan};

use super::super::StoreError;
use super::super::messages::{Alteration, Altered, Body, Changes, Detail, Entry, Messages, Transferred, Watch};

/// Some messages, and what was asked about them.
#[derive(Default)]
pub(in crate::store) struct Few {
    pub(in crate::store) all: Vec<(Entry, Vec<u8>)>,
    /// UIDs whose card or file is gone although their entry was there.
    pub(in crate::store) gone: BTreeSet<u32>,
    /// The messages that the full text index does not rule out; none where there is no such index.
    pub(in crate::store) candidates: Option<Vec<u32>>,
    /// Those of which it is sure.
    pub(in crate::store) certain: Vec<u32>,
    /// UIDs whose details were asked for, and whose files were opened.
    pub(in crate::store) asked: Mutex<(usize, Vec<u32>)>,
}

pub(in crate::store) fn uid(value: u32) -> Uid {
    Uid::new(value).unwrap()
}

pub(in crate::store) fn inbox() -> MailboxName {
    MailboxName::inbox()
}

impl Few {
    /// Messages with the UIDs from 1; they arrived one second after the other.
    pub(in crate::store) fn of<'a>(messages: impl IntoIterator<Item = &'a [u8]>) -> Few {
        let mut few = Few::default();
        for (message, number) in messages.into_iter().zip(1..) {
            let scanned = scan(message, &Limits::default()).unwrap();
            let entry = Entry {
                uid: uid(number),
                modseq: ModSeq::new(u64::from(number) + 100).unwrap(),
                flags: Flags::new(),
                internal_date: i64::from(number),
                save_date: i64::from(number),
                size: scanned.crlf_size,
                email_id: EmailId::of_digest(&scanned.digest),
                thread_id: ThreadId(message_key(&number.to_string())),
            };
            few.all.push((entry, message.to_vec()));
        }
        few
    }

    pub(in crate::store) fn texts(messages: &[String]) -> Few {
        Few::of(messages.iter().map(|message| message.as_bytes()))
    }

    fn there(&self, uids: &UidSet) -> impl Iterator<Item = &(Entry, Vec<u8>)> {
        self.all.iter().filter(|(entry, _)| uids.contains(entry.uid))
    }
}

impl Messages for Few {
    fn entries(&self, _: &MailboxName, uids: &UidSet) -> Result<Vec<Entry>, StoreError> {
        Ok(self.there(uids).map(|(entry, _)| entry.clone()).collect())
    }

    fn flags(&self, _: &MailboxName, uids: &UidSet) -> Result<Vec<(Uid, ModSeq, Flags)>, StoreError> {
        let entries = self.there(uids).map(|(entry, _)| entry);
        Ok(entries
            .map(|entry| (entry.uid, entry.modseq, entry.flags.clone()))
            .collect())
    }

    fn details(&self, _: &MailboxName, uids: &UidSet) -> Result<Vec<Detail>, StoreError> {
        let left = self
            .there(uids)
            .filter(|(entry, _)| !self.gone.contains(&entry.uid.value()));
        let details = left.map(|(entry, bytes)| {
            let scanned = scan(&bytes[..], &Limits::default()).unwrap();
            let read = |range: std::ops::Range<u64>| Ok(bytes[range.start as usize..range.end as usize].to_vec());
            Detail {
                entry: entry.clone(),
                card: Card::of_file(&scanned, read).unwrap(),
                delivery: None,
                path: PathBuf::new(),
            }
        });
        let details: Vec<_> = details.collect();
        self.asked.lock().unwrap().0 += details.len();
        Ok(details)
    }

    fn open(&self, _: &MailboxName, uid: Uid) -> Result<Box<dyn Body>, StoreError> {
        self.asked.lock().unwrap().1.push(uid.value());
        let found = self.all.iter().find(|(entry, _)| entry.uid == uid);
        if self.gone.contains(&uid.value()) {
            return Err(DiskError::at("open", "it")(io::ErrorKind::NotFound.into()).into());
        }
        Ok(Box::new(Cursor::new(found.unwrap().1.clone())))
    }

    fn narrow(&self, _: &MailboxName, _: Scope, _: &Needle, uids: &UidSet) -> Result<Vec<(Uid, Verdict)>, StoreError> {
        let Some(candidates) = &self.candidates else {
            return Ok(Vec::new());
        };
        let verdict = |uid: Uid| match uid.value() {
            sure if self.certain.contains(&sure) => Verdict::Yes,
            open if candidates.contains(&open) => Verdict::Maybe,
            _ => Verdict::No,
        };
        let asked = self.there(uids).map(|(entry, _)| entry.uid);
        Ok(asked.map(|uid| (uid, verdict(uid))).collect())
    }

    fn alter(&self, _: &MailboxName, _: &UidSet, _: &Alteration, _: Option<ModSeq>) -> Result<Altered, StoreError> {
        unreachable!("nothing is searched by altering")
    }

    fn copy(&self, _: &MailboxName, _: &UidSet, _: &MailboxName) -> Result<Transferred, StoreError> {
        unreachable!("nothing is searched by copying")
    }

    fn move_to(&self, _: &MailboxName, _: &UidSet, _: &MailboxName) -> Result<Transferred, StoreError> {
        unreachable!("nothing is searched by moving")
    }

    fn append(
        &self,
        _: &MailboxName,
        _: &Message,
        _: &Flags,
        _: Option<i64>,
    ) -> Result<(UidValidity, Uid), StoreError> {
        unreachable!("nothing is searched by appending")
    }

    fn expunge(&self, _: &MailboxName, _: &UidSet) -> Result<Vec<Uid>, StoreError> {
        unreachable!("nothing is searched by expunging")
    }

    fn remove(&self, _: &MailboxName, _: &UidSet) -> Result<Vec<Uid>, StoreError> {
        unreachable!("nothing is searched by removing")
    }

    fn changes(&self, _: &MailboxName, _: ModSeq) -> Result<Changes, StoreError> {
        unreachable!("nothing is searched by its changes")
    }

    fn watch(&self, _: &MailboxName) -> Result<Box<dyn Watch + '_>, StoreError> {
        unreachable!("nothing is searched by watching")
    }
}
