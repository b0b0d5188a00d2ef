//! Anything in any order: after each step a store is as the store in memory.
//!
//! Stores may leave gaps between UIDs and choose MODSEQs as they like. So a message
//! goes by its place among all that its mailbox ever had, and MODSEQs by what
//! [`changes`](crate::store::Messages::changes) says since earlier moments.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::fixture::{Fixture, alteration, flags, letter, name, publication};
use crate::index::Counts;
use crate::mail::{DeliveryId, EmailId, ModSeq, SpecialUse, ThreadId, Uid, UidSet, UidValidity};
use crate::message::Message;
use crate::store::{Entry, MemoryStore, Published, StoreError};

const NAMES: [&str; 7] = ["INBOX", "A", "A.b", "A.b.c", "B", "B.b", "INBOX.x"];
/// Where messages go: mostly where there are some.
const BUSY: [&str; 8] = ["INBOX", "INBOX", "INBOX", "A", "A", "A.b", "B", "B.b"];
const FLAGS: [&str; 6] = [
    "",
    "\\Seen",
    "\\Deleted",
    "\\Seen \\Deleted",
    "todo",
    "\\Flagged $Junk todo",
];
const CHANGES: [&str; 8] = [
    "+\\Seen",
    "-\\Seen",
    "=",
    "+\\Deleted",
    "-\\Deleted",
    "+todo",
    "=\\Flagged $Junk",
    "-todo \\Deleted",
];
const TEXTS: [&str; 7] = [
    "Message-ID: <1@example.org>\r\n\r\none\r\n",
    "Message-ID: <1@example.org>\n\none\n",
    "Message-ID: <2@example.org>\r\nReferences: <1@example.org>\r\n\r\ntwo\r\n",
    "Message-ID: <3@example.org>\r\nReferences: <1@example.org> <2@example.org>\r\n\r\nthree\r\n",
    "Subject: x\r\n\nmixed\r\n",
    "Subject: x\r\n\r\nno end",
    "",
];
/// Dates below this were given with the message; later ones say when the test ran.
const GIVEN: i64 = 1000;

#[derive(Clone, Debug)]
enum Step {
    Create(&'static str),
    Delete(&'static str),
    Rename(&'static str, &'static str),
    Use(&'static str, Option<SpecialUse>),
    Subscribe(&'static str, bool),
    Append(&'static str, &'static str, &'static str, i64),
    Deliver(u64, Vec<(&'static str, &'static str)>),
    /// With the moment since which they must be unchanged.
    Alter(&'static str, Chosen, &'static str, Option<Index>),
    Copy(&'static str, Chosen, &'static str),
    Move(&'static str, Chosen, &'static str),
    Expunge(&'static str, Chosen),
    Remove(&'static str, Chosen),
    Reconcile,
}

/// Of eight messages that ever were in a mailbox, these.
type Chosen = u8;

fn step() -> impl Strategy<Value = Step> {
    let mailbox = || prop::sample::select(&NAMES[..]);
    let busy = || prop::sample::select(&BUSY[..]);
    let words = || prop::sample::select(&FLAGS[..]);
    let text = prop::sample::select(&TEXTS[..]);
    let change = prop::sample::select(&CHANGES[..]);
    let uses = prop::option::of(prop::sample::select(vec![SpecialUse::Junk, SpecialUse::Sent]));
    let targets = (subsequence(&NAMES[..], 1..3), vec(words(), 2));
    let targets = targets.prop_map(|(mailboxes, words)| mailboxes.into_iter().zip(words).collect());
    let since = prop::option::weighted(0.3, any::<Index>());
    prop_oneof![
        3 => mailbox().prop_map(Step::Create),
        2 => mailbox().prop_map(Step::Delete),
        2 => (mailbox(), mailbox()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (mailbox(), uses).prop_map(|(mailbox, special_use)| Step::Use(mailbox, special_use)),
        2 => (mailbox(), any::<bool>()).prop_map(|(mailbox, on)| Step::Subscribe(mailbox, on)),
        6 => (busy(), text, words(), 0..GIVEN).prop_map(|(to, text, words, date)| Step::Append(to, text, words, date)),
        4 => (0u64..6, targets).prop_map(|(key, targets)| Step::Deliver(key, targets)),
        4 => (busy(), any::<u8>(), change, since).prop_map(|(at, of, change, since)| Step::Alter(at, of, change, since)),
        3 => (busy(), any::<u8>(), busy()).prop_map(|(from, of, to)| Step::Copy(from, of, to)),
        3 => (busy(), any::<u8>(), busy()).prop_map(|(from, of, to)| Step::Move(from, of, to)),
        1 => (busy(), any::<u8>()).prop_map(|(at, of)| Step::Expunge(at, of)),
        1 => (busy(), any::<u8>()).prop_map(|(at, of)| Step::Remove(at, of)),
        1 => Just(Step::Reconcile),
    ]
}

pub(super) fn any_sequence_ends_as_in_memory(fresh: &dyn Fn() -> Fixture) {
    let config = Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    };
    let ran = TestRunner::new(config).run(&vec(step(), 1..40), |steps| {
        let (mut store, mut model) = (Side::of(fresh()), Side::of(Fixture::of(MemoryStore::new())));
        let begun = ["A", "A.b", "B.b"].map(Step::Create);
        for step in begun.iter().chain(&steps) {
            let id = DeliveryId::new();
            let said = [&mut store, &mut model].map(|side| side.take(step, &id));
            agree(said, step, "says")?;
            agree([&store, &model].map(Side::picture), step, "holds")?;
            store.fixture.holds();
        }
        store.fixture.close();
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
}

fn agree<T: PartialEq + std::fmt::Debug>([store, model]: [T; 2], step: &Step, what: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(
        store,
        model,
        "after {:?} the store {} the left, that in memory the right",
        step,
        what
    );
    Ok(())
}

/// A store, and what it was seen to hold so far.
struct Side {
    fixture: Fixture,
    seen: BTreeMap<UidValidity, Seen>,
    /// The mailboxes that were there at the last look.
    alive: BTreeSet<UidValidity>,
}

/// What a mailbox was seen to hold.
#[derive(Default)]
struct Seen {
    /// All UIDs there ever were, ascending.
    uids: Vec<Uid>,
    /// HIGHESTMODSEQ after each step, and how many UIDs there had been then.
    moments: Vec<(ModSeq, usize)>,
}

/// What a store answered to a step: words, and messages by mailbox and UID.
type Said = (String, Vec<(String, Uid)>);

impl Side {
    fn of(fixture: Fixture) -> Side {
        let mut side = Side {
            fixture,
            seen: BTreeMap::new(),
            alive: BTreeSet::new(),
        };
        side.look();
        side
    }

    /// Takes a step; answers what the store said, in terms that are the same for all stores.
    fn take(&mut self, step: &Step, id: &DeliveryId) -> (String, Vec<(String, usize)>) {
        let said = self.act(step, id);
        self.look();
        match said {
            Ok((words, messages)) => {
                let place = |(mailbox, uid): (String, Uid)| {
                    let place = self.seen_of(&mailbox).uids.binary_search(&uid);
                    (mailbox, place.unwrap_or_else(|_| panic!("UID {uid} is in no listing")))
                };
                (words, messages.into_iter().map(place).collect())
            }
            Err(error) => (refusal(step, &error), Vec::new()),
        }
    }

    fn act(&self, step: &Step, id: &DeliveryId) -> Result<Said, StoreError> {
        let account = self.fixture.account();
        let done = |()| (String::new(), Vec::new());
        let at = |mailbox: &str, uids: Vec<Uid>| {
            let messages = uids.into_iter().map(|uid| (mailbox.to_owned(), uid));
            (String::new(), messages.collect())
        };
        match step {
            Step::Create(mailbox) => account.create_mailbox(&name(mailbox)).map(done),
            Step::Delete(mailbox) => account.delete_mailbox(&name(mailbox)).map(done),
            Step::Rename(from, to) => account.rename_mailbox(&name(from), &name(to)).map(done),
            Step::Use(mailbox, special_use) => account.set_special_use(&name(mailbox), *special_use).map(done),
            Step::Subscribe(mailbox, on) => account.subscribe(&name(mailbox), *on).map(done),
            Step::Append(mailbox, text, words, date) => {
                let message = Message::from_bytes(*text);
                let appended = account.append(&name(mailbox), &message, &flags(words), Some(*date));
                appended.map(|(_, uid)| at(mailbox, vec![uid]))
            }
            Step::Deliver(key, targets) => {
                let staged = account.stage(&letter(*key), *key)?;
                staged.publish(publication(id.clone(), targets)).map(published)
            }
            Step::Alter(mailbox, of, change, since) => {
                let since = since.as_ref().and_then(|since| self.moment(mailbox, since));
                let altered = account.alter(&name(mailbox), &self.chosen(mailbox, *of), &alteration(change), since)?;
                let entries = altered.entries.iter().map(|entry| entry.uid).collect();
                let modified = self.places(mailbox, &altered.modified, usize::MAX);
                Ok((format!("left alone {modified:?}"), at(mailbox, entries).1))
            }
            Step::Copy(from, of, to) | Step::Move(from, of, to) => {
                let uids = self.chosen(from, *of);
                let transferred = match step {
                    Step::Copy(..) => account.copy(&name(from), &uids, &name(to)),
                    _ => account.move_to(&name(from), &uids, &name(to)),
                }?;
                let (old, new): (Vec<_>, Vec<_>) = transferred.uids.into_iter().unzip();
                Ok((String::new(), [at(from, old).1, at(to, new).1].concat()))
            }
            Step::Expunge(mailbox, of) => {
                let gone = account.expunge(&name(mailbox), &self.chosen(mailbox, *of));
                gone.map(|gone| at(mailbox, gone))
            }
            Step::Remove(mailbox, of) => {
                let gone = account.remove(&name(mailbox), &self.chosen(mailbox, *of));
                gone.map(|gone| at(mailbox, gone))
            }
            Step::Reconcile => account.reconcile().map(done),
        }
    }

    /// Notes the UIDs and HIGHESTMODSEQs of this moment.
    fn look(&mut self) {
        let highest = self.seen.keys().last().copied();
        let before = std::mem::take(&mut self.alive);
        for status in self.fixture.account().mailboxes().unwrap() {
            let new = !before.contains(&status.validity);
            assert!(
                !new || Some(status.validity) > highest,
                "UIDVALIDITY {} is not new",
                status.validity
            );
            self.alive.insert(status.validity);
            let uids = self.fixture.uids(status.name.as_str());
            let seen = self.seen.entry(status.validity).or_default();
            for uid in uids {
                if let Err(place) = seen.uids.binary_search(&uid) {
                    assert_eq!(place, seen.uids.len(), "UID {uid} is below one that was there before");
                    seen.uids.push(uid);
                }
            }
            seen.moments.push((status.highest_modseq, seen.uids.len()));
            assert!(seen.moments.is_sorted(), "HIGHESTMODSEQ goes back");
        }
    }

    fn seen_of(&self, mailbox: &str) -> &Seen {
        &self.seen[&self.fixture.status(mailbox).validity]
    }

    fn exists(&self, mailbox: &str) -> bool {
        self.fixture.account().has_mailbox(&name(mailbox)).unwrap()
    }

    fn chosen(&self, mailbox: &str, of: Chosen) -> UidSet {
        if !self.exists(mailbox) {
            return UidSet::all();
        }
        let uids = self.seen_of(mailbox).uids.iter().enumerate();
        let chosen = uids.filter(|(place, _)| of >> (place % 8) & 1 == 1);
        chosen.map(|(_, uid)| *uid).collect()
    }

    fn moment(&self, mailbox: &str, index: &Index) -> Option<ModSeq> {
        let moments = self.exists(mailbox).then(|| &self.seen_of(mailbox).moments)?;
        Some(index.get(moments).0)
    }

    /// The places of the UIDs of a set, of those before `end`.
    fn places(&self, mailbox: &str, set: &UidSet, end: usize) -> Vec<usize> {
        let uids = self.seen_of(mailbox).uids.iter().take(end).enumerate();
        let held = uids.filter(|(_, uid)| set.contains(**uid));
        held.map(|(place, _)| place).collect()
    }

    /// All that the store holds, in terms that are the same for all stores.
    fn picture(&self) -> Picture {
        let account = self.fixture.account();
        let statuses = account.mailboxes().unwrap();
        let mut threads = Vec::new();
        let mailboxes = statuses.iter().map(|status| {
            let mailbox = status.name.as_str();
            MailboxPicture {
                name: mailbox.to_owned(),
                age: statuses.iter().filter(|other| other.validity < status.validity).count(),
                special_use: status.special_use,
                counts: status.counts,
                messages: self.messages(mailbox, &mut threads),
                changes: self.changes(mailbox),
            }
        });
        Picture {
            mailboxes: mailboxes.collect(),
            subscriptions: account
                .subscriptions()
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    }

    fn messages(&self, mailbox: &str, threads: &mut Vec<ThreadId>) -> Vec<MessagePicture> {
        let uids = &self.seen_of(mailbox).uids;
        let message = |entry: Entry| {
            let known = threads.iter().position(|thread| *thread == entry.thread_id);
            let thread = known.unwrap_or_else(|| {
                threads.push(entry.thread_id);
                threads.len() - 1
            });
            MessagePicture {
                place: uids.binary_search(&entry.uid).unwrap(),
                flags: entry.flags.to_string(),
                date: Some(entry.internal_date).filter(|date| *date < GIVEN),
                size: entry.size,
                email_id: entry.email_id,
                thread,
            }
        };
        self.fixture.entries(mailbox).into_iter().map(message).collect()
    }

    // Of UIDs that came after such a moment and went again a store may speak or not.
    fn changes(&self, mailbox: &str) -> Vec<(Vec<usize>, Vec<usize>)> {
        let moments = &self.seen_of(mailbox).moments;
        let count = moments.len();
        let some = [
            count - 1,
            count.saturating_sub(2),
            count.saturating_sub(4),
            count / 2,
            0,
        ];
        let change = |at: usize| {
            let (since, known) = moments[at];
            let (changed, vanished) = self.fixture.changes(mailbox, since);
            let changed: UidSet = changed.into_iter().collect();
            (
                self.places(mailbox, &changed, usize::MAX),
                self.places(mailbox, &vanished, known),
            )
        };
        some.map(change).to_vec()
    }
}

fn published(published: Published) -> Said {
    match published {
        Published::Placed(made) => {
            let messages = made
                .into_iter()
                .map(|copy| (copy.mailbox.to_string(), copy.uid.unwrap()));
            let mut messages: Vec<_> = messages.collect();
            messages.sort();
            (String::new(), messages)
        }
        Published::Before(id) => (format!("before: {id}"), Vec::new()),
    }
}

fn refusal(step: &Step, error: &StoreError) -> String {
    let refusal = match (step, error) {
        // Where two things are in the way either may be named.
        (Step::Rename(..), StoreError::NoMailbox { .. }) => "refused",
        (_, StoreError::MailboxExists { .. } | StoreError::Forbidden { .. }) => "refused",
        (_, StoreError::NoMailbox { .. }) => "missing",
        (_, error) => return format!("failed: {error:?}"),
    };
    refusal.to_owned()
}

#[derive(Debug, PartialEq)]
struct Picture {
    mailboxes: Vec<MailboxPicture>,
    subscriptions: Vec<String>,
}

#[derive(Debug, PartialEq)]
struct MailboxPicture {
    name: String,
    /// How many were made before it.
    age: usize,
    special_use: Option<SpecialUse>,
    counts: Counts,
    messages: Vec<MessagePicture>,
    /// Since some moments: what changed, and what of the UIDs of then is gone.
    changes: Vec<(Vec<usize>, Vec<usize>)>,
}

#[derive(Debug, PartialEq)]
struct MessagePicture {
    place: usize,
    flags: String,
    date: Option<i64>,
    size: u64,
    email_id: EmailId,
    /// The same number for all of one thread.
    thread: usize,
}
