//! An account for one rule, and short words for what is done to it.

use std::io::Read;
use std::sync::Arc;

use crate::index::Counts;
use crate::mail::{
    DeliveryId, Flags, MailboxName, ModSeq, Placement, ReversePath, SystemFlag, Uid, UidSet, UidValidity,
};
use crate::message::{Letter, Message, Trace};
use crate::store::{
    Account, Alteration, Altered, Detail, Entry, MailboxStatus, Publication, Published, Store, StoreError, Target,
    Transferred,
};

/// A store with one account that nobody used before.
pub(super) struct Fixture {
    store: Box<dyn Store>,
    home: tempfile::TempDir,
}

impl Fixture {
    pub(super) fn of(store: impl Store + 'static) -> Fixture {
        Fixture {
            store: Box::new(store),
            home: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) fn account(&self) -> Arc<dyn Account> {
        self.store.account("ann@example.org", self.home.path()).unwrap()
    }

    pub(super) fn create(&self, mailbox: &str) {
        self.account().create_mailbox(&name(mailbox)).unwrap();
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        self.account().rename_mailbox(&name(from), &name(to))
    }

    pub(super) fn names(&self) -> Vec<String> {
        let mailboxes = self.account().mailboxes().unwrap();
        mailboxes.into_iter().map(|status| status.name.to_string()).collect()
    }

    pub(super) fn status(&self, mailbox: &str) -> MailboxStatus {
        self.account().status(&name(mailbox)).unwrap()
    }

    pub(super) fn highest(&self, mailbox: &str) -> ModSeq {
        self.status(mailbox).highest_modseq
    }

    pub(super) fn append(&self, mailbox: &str, text: &str, words: &str) -> Uid {
        let message = Message::from_bytes(text);
        let appended = self.account().append(&name(mailbox), &message, &flags(words), None);
        appended.unwrap().1
    }

    /// Appends messages that differ, without flags.
    pub(super) fn fill<const N: usize>(&self, mailbox: &str) -> [Uid; N] {
        std::array::from_fn(|at| self.append(mailbox, &format!("Subject: {mailbox} {at}\r\n\r\nbody\r\n"), ""))
    }

    pub(super) fn deliver(&self, key: u64, targets: &[(&str, &str)]) -> Result<Published, StoreError> {
        let account = self.account();
        account
            .stage(&letter(key), key)?
            .publish(publication(DeliveryId::new(), targets))
    }

    pub(super) fn entries(&self, mailbox: &str) -> Vec<Entry> {
        self.account().entries(&name(mailbox), &UidSet::all()).unwrap()
    }

    pub(super) fn entry(&self, mailbox: &str, uid: Uid) -> Entry {
        let mut entries = self.account().entries(&name(mailbox), &UidSet::from(uid)).unwrap();
        assert_eq!(entries.len(), 1, "UID {uid}");
        entries.remove(0)
    }

    pub(super) fn detail(&self, mailbox: &str, uid: Uid) -> Detail {
        let mut details = self.account().details(&name(mailbox), &UidSet::from(uid)).unwrap();
        assert_eq!(details.len(), 1, "UID {uid}");
        details.remove(0)
    }

    pub(super) fn uids(&self, mailbox: &str) -> Vec<Uid> {
        self.entries(mailbox).iter().map(|entry| entry.uid).collect()
    }

    pub(super) fn flags(&self, mailbox: &str, uid: Uid) -> String {
        self.entry(mailbox, uid).flags.to_string()
    }

    pub(super) fn bytes(&self, mailbox: &str, uid: Uid) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut body = self.account().open(&name(mailbox), uid).unwrap();
        body.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Alters flags: `+\Seen todo`, `-\Seen`, `=\Seen`.
    pub(super) fn alter<const N: usize>(&self, mailbox: &str, uids: [Uid; N], change: &str) -> Altered {
        self.alter_since(mailbox, uids, change, None)
    }

    pub(super) fn alter_since<const N: usize>(
        &self,
        mailbox: &str,
        uids: [Uid; N],
        change: &str,
        unchanged_since: Option<ModSeq>,
    ) -> Altered {
        self.account()
            .alter(&name(mailbox), &set(uids), &alteration(change), unchanged_since)
            .unwrap()
    }

    pub(super) fn copy<const N: usize>(&self, from: &str, uids: [Uid; N], to: &str) -> Transferred {
        self.account().copy(&name(from), &set(uids), &name(to)).unwrap()
    }

    pub(super) fn move_to<const N: usize>(&self, from: &str, uids: [Uid; N], to: &str) -> Transferred {
        self.account().move_to(&name(from), &set(uids), &name(to)).unwrap()
    }

    pub(super) fn expunge(&self, mailbox: &str) -> Vec<Uid> {
        self.account().expunge(&name(mailbox), &UidSet::all()).unwrap()
    }

    pub(super) fn remove<const N: usize>(&self, mailbox: &str, uids: [Uid; N]) -> Vec<Uid> {
        self.account().remove(&name(mailbox), &set(uids)).unwrap()
    }

    /// The UIDs that are new or changed since, and those that are gone.
    pub(super) fn changes(&self, mailbox: &str, since: ModSeq) -> (Vec<Uid>, UidSet) {
        let changes = self.account().changes(&name(mailbox), since).unwrap();
        assert_eq!(changes.highest_modseq, self.highest(mailbox));
        let changed = changes.changed.into_iter().map(|entry| entry.uid).collect();
        (changed, changes.vanished)
    }

    /// What holds at every moment: numbers ascend and are below what comes next, counts are
    /// those of the messages, no two mailboxes share an identity.
    pub(super) fn holds(&self) {
        let account = self.account();
        let (mut validities, mut ids, mut all) = (Vec::new(), Vec::new(), Counts::default());
        for status in account.mailboxes().unwrap() {
            let entries = account.entries(&status.name, &UidSet::all()).unwrap();
            assert!(entries.is_sorted_by(|one, next| one.uid < next.uid), "{}", status.name);
            for entry in &entries {
                assert!(
                    entry.uid < status.uid_next && entry.modseq <= status.highest_modseq,
                    "{entry:?}"
                );
            }
            assert_eq!(status.counts, counted(&entries), "{}", status.name);
            all.messages += status.counts.messages;
            all.unseen += status.counts.unseen;
            all.deleted += status.counts.deleted;
            all.size += status.counts.size;
            assert!(!validities.contains(&status.validity) && !ids.contains(&status.mailbox_id));
            validities.push(status.validity);
            ids.push(status.mailbox_id);
        }
        assert_eq!(account.usage().unwrap(), all);
    }

    pub(super) fn close(&self) {
        self.holds();
        assert_eq!(self.account().check().unwrap(), Vec::<String>::new());
    }
}

fn counted(entries: &[Entry]) -> Counts {
    let with = |flag| entries.iter().filter(|entry| entry.flags.has(flag)).count() as i64;
    Counts {
        messages: entries.len() as i64,
        unseen: entries.len() as i64 - with(SystemFlag::Seen),
        deleted: with(SystemFlag::Deleted),
        size: entries.iter().map(|entry| entry.size as i64).sum(),
    }
}

pub(super) fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '.').unwrap()
}

pub(super) fn flags(words: &str) -> Flags {
    let mut flags = Flags::new();
    words.split_whitespace().for_each(|word| flags.insert(word).unwrap());
    flags
}

pub(super) fn alteration(change: &str) -> Alteration {
    let (how, words) = change.split_at(1);
    match how {
        "+" => Alteration::Add(flags(words)),
        "-" => Alteration::Remove(flags(words)),
        _ => Alteration::Set(flags(words)),
    }
}

pub(super) fn set<const N: usize>(uids: [Uid; N]) -> UidSet {
    uids.into_iter().collect()
}

pub(super) fn letter(key: u64) -> Letter {
    let message = Message::from_bytes(format!("Subject: delivery {key}\r\n\r\nbody {key}\r\n"));
    let trace = Trace {
        return_path: ReversePath::Null,
        received: None,
        original_to: None,
        delivered_to: None,
        extra: Vec::new(),
    };
    Letter::new(message, &trace)
}

pub(super) fn publication(id: DeliveryId, targets: &[(&str, &str)]) -> Publication {
    let targets = targets.iter().map(|(mailbox, words)| Target {
        mailbox: name(mailbox),
        flags: flags(words),
    });
    Publication {
        targets: targets.collect(),
        id,
        remember: Vec::new(),
        quota: None,
        history: None,
    }
}

/// Where copies were made now.
pub(super) fn placed(published: Published) -> Vec<(String, Uid)> {
    let Published::Placed(placements) = published else {
        panic!("{published:?}")
    };
    let place = |Placement { mailbox, uid }| (MailboxName::to_string(&mailbox), uid.unwrap());
    placements.into_iter().map(place).collect()
}

/// Asserts that a mailbox is missing, by its name.
#[track_caller]
pub(super) fn missing<T>(result: Result<T, StoreError>, mailbox: &str) {
    match result.map(drop) {
        Err(StoreError::NoMailbox { name, .. }) => assert_eq!(name.as_str(), mailbox),
        other => panic!("{mailbox} is missing, but: {other:?}"),
    }
}

/// The identity of a mailbox.
pub(super) fn identity(status: &MailboxStatus) -> (UidValidity, String) {
    (status.validity, status.mailbox_id.clone())
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs() as i64
}
