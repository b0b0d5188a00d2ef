//! What an account holds, and the numbers it gives: each once, and ever higher ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::index::{Counts, PastDelivery};
use crate::mail::{
    Annotations, Flags, MailboxName, ModSeq, SpecialUse, SystemFlag, ThreadId, Uid, UidSet, UidValidity,
};
use crate::store::{Entry, MailboxStatus};

use super::content::Content;
use super::memory::Memory;
use super::now;
use super::threads::Threads;

/// All of one account.
#[derive(Debug)]
pub(super) struct State {
    pub(super) mailboxes: BTreeMap<MailboxName, Mailbox>,
    pub(super) subscriptions: BTreeSet<MailboxName>,
    /// Those of the server.
    pub(super) annotations: Annotations,
    pub(super) threads: Threads,
    pub(super) memory: Memory,
    /// What became of deliveries, in the order in which they were.
    pub(super) history: Vec<PastDelivery>,
    /// The highest UIDVALIDITY given, also to mailboxes that are gone.
    highest_validity: u32,
}

/// One mailbox.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) id: String,
    pub(super) validity: UidValidity,
    pub(super) uid_next: Uid,
    pub(super) highest_modseq: ModSeq,
    pub(super) special_use: Option<SpecialUse>,
    pub(super) annotations: Annotations,
    pub(super) messages: BTreeMap<Uid, Kept>,
    /// The UIDs that are gone, with the MODSEQ of their going.
    pub(super) expunged: BTreeMap<Uid, ModSeq>,
}

/// A message in a mailbox.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) entry: Entry,
    pub(super) content: Arc<Content>,
}

impl State {
    pub(super) fn new() -> State {
        let mut state = State {
            mailboxes: BTreeMap::new(),
            subscriptions: BTreeSet::new(),
            annotations: Annotations::default(),
            threads: Threads::default(),
            memory: Memory::default(),
            history: Vec::new(),
            highest_validity: 0,
        };
        state.create(&MailboxName::inbox());
        state
    }

    /// Makes a mailbox where there is none.
    pub(super) fn create(&mut self, name: &MailboxName) {
        if !self.mailboxes.contains_key(name) {
            self.highest_validity += 1;
            let validity = UidValidity::new(self.highest_validity).expect("one was added, so it is not zero");
            self.mailboxes.insert(name.clone(), Mailbox::new(validity));
        }
    }

    /// What is wrong, in words.
    pub(super) fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        let mut validities = BTreeSet::new();
        for (name, mailbox) in &self.mailboxes {
            if !validities.insert(mailbox.validity) || mailbox.validity.value() > self.highest_validity {
                findings.push(format!("{name}: UIDVALIDITY {} is not its own", mailbox.validity));
            }
            for (uid, kept) in &mailbox.messages {
                let known = mailbox.expunged.contains_key(uid) || *uid >= mailbox.uid_next;
                if known || kept.entry.uid != *uid || kept.entry.modseq > mailbox.highest_modseq {
                    findings.push(format!("{name}: UID {uid} has a wrong number"));
                }
            }
        }
        findings
    }
}

impl Mailbox {
    fn new(validity: UidValidity) -> Mailbox {
        Mailbox {
            id: format!("M{:08x}", validity.value()),
            validity,
            uid_next: Uid::new(1).expect("one is not zero"),
            highest_modseq: ModSeq::new(1).expect("one is not zero"),
            special_use: None,
            annotations: Annotations::default(),
            messages: BTreeMap::new(),
            expunged: BTreeMap::new(),
        }
    }

    pub(super) fn status(&self, name: &MailboxName) -> MailboxStatus {
        MailboxStatus {
            name: name.clone(),
            mailbox_id: self.id.clone(),
            validity: self.validity,
            uid_next: self.uid_next,
            highest_modseq: self.highest_modseq,
            special_use: self.special_use,
            counts: count(self.messages.values()),
        }
    }

    /// The messages that a set names, by UID.
    pub(super) fn chosen(&self, uids: &UidSet) -> impl Iterator<Item = &Kept> {
        let ranges: Vec<_> = uids.ranges().collect();
        let kept = ranges.into_iter().flat_map(|range| self.messages.range(range));
        kept.map(|(_, kept)| kept)
    }

    /// Whether so many messages more can be numbered.
    pub(super) fn has_room(&self, messages: usize) -> bool {
        let left = u32::MAX - self.uid_next.value();
        u32::try_from(messages).is_ok_and(|messages| messages <= left)
    }

    /// The MODSEQ of a change that begins now: one for all that it changes.
    pub(super) fn next_modseq(&mut self) -> ModSeq {
        let next = self.highest_modseq.next();
        self.highest_modseq = next.expect("64 bits of changes last longer than any process");
        self.highest_modseq
    }

    /// Adds a message; the caller asked for [`Mailbox::has_room`].
    pub(super) fn add(
        &mut self,
        content: Arc<Content>,
        flags: Flags,
        internal_date: i64,
        thread_id: ThreadId,
        modseq: ModSeq,
    ) -> Uid {
        let uid = self.uid_next;
        self.uid_next = uid.next().expect("the caller asked whether there is room");
        let entry = Entry {
            uid,
            modseq,
            flags,
            internal_date,
            save_date: now(),
            size: content.size,
            email_id: content.email_id,
            thread_id,
        };
        self.messages.insert(uid, Kept { entry, content });
        uid
    }

    /// Removes messages that are there, and remembers that they are gone.
    pub(super) fn remove(&mut self, uids: &[Uid]) {
        if uids.is_empty() {
            return;
        }
        let modseq = self.next_modseq();
        for uid in uids {
            self.messages.remove(uid);
            self.expunged.insert(*uid, modseq);
        }
    }
}

/// Counts messages.
pub(super) fn count<'state>(messages: impl Iterator<Item = &'state Kept>) -> Counts {
    let mut counts = Counts::default();
    for Kept { entry, .. } in messages {
        counts.messages += 1;
        counts.unseen += i64::from(!entry.flags.has(SystemFlag::Seen));
        counts.deleted += i64::from(entry.flags.has(SystemFlag::Deleted));
        counts.size += i64::try_from(entry.size).unwrap_or(i64::MAX);
    }
    counts
}

/// The flags with each keyword once: their case does not tell them apart (RFC 9051 §2.3.2).
pub(super) fn unique(flags: &Flags) -> Flags {
    let mut unique = Flags::from_stored(flags.bits(), []);
    for keyword in flags.keywords() {
        unique = unique.union(&Flags::from_stored(0, [keyword]));
    }
    unique
}
