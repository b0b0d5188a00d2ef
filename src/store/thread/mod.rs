//! Thread: the messages that meet a key, as conversations (RFC 5256 §3).
//!
//! Called by the commands and by servers; works on the messages of any store, from what the index has of
//! them. Ends in trees of UIDs or a [`StoreError`]. Whatever the messages say of one another, this takes little
//! more time than their number, and no more stack for a deep tree than for a flat one.

mod forest;
mod references;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

use crate::mail::{MailboxName, Uid, UidSet};
use crate::message::normal_id;

use super::StoreError;
use super::messages::{Detail, Messages};
use super::search::{SLICE, SearchKey, search_entries};
use super::sort::sent;

/// How conversations are made out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThreadBy {
    /// ORDEREDSUBJECT: all of one base subject (RFC 5256 §2.1) answer the oldest of them.
    OrderedSubject,
    /// REFERENCES: by the ids in the messages, then by base subjects.
    References,
    /// REFS: by the ids alone, the conversation with the latest INTERNALDATE last (draft-ietf-morg-inthread).
    Refs,
}

impl ThreadBy {
    /// IMAP's name of it, without regard to case; none for any other word.
    #[must_use]
    pub fn parse(name: &str) -> Option<ThreadBy> {
        let all = [ThreadBy::OrderedSubject, ThreadBy::References, ThreadBy::Refs];
        all.into_iter().find(|by| by.name().eq_ignore_ascii_case(name))
    }

    /// IMAP's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ThreadBy::OrderedSubject => "ORDEREDSUBJECT",
            ThreadBy::References => "REFERENCES",
            ThreadBy::Refs => "REFS",
        }
    }
}

/// A message and those that answer it.
#[derive(Default)]
pub struct Thread {
    /// Which; none for one that is missing and has at least two answers.
    pub uid: Option<Uid>,
    /// What answers it, oldest first.
    pub children: Vec<Thread>,
}

/// The conversations of a mailbox.
#[derive(Debug, Default)]
pub struct Threads(pub Vec<Thread>);

/// The messages of a mailbox that meet a key, as conversations. Opens no file unless the search does.
///
/// # Errors
/// [`StoreError::NoMailbox`], or where messages cannot be read.
pub fn thread<M: Messages + ?Sized>(
    messages: &M,
    mailbox: &MailboxName,
    by: ThreadBy,
    key: &SearchKey,
) -> Result<Threads, StoreError> {
    let entries = search_entries(messages, mailbox, key)?;
    let mut gathered = Gathered::default();
    for slice in entries.chunks(SLICE) {
        let uids: UidSet = slice.iter().map(|entry| entry.uid).collect();
        for detail in messages.details(mailbox, &uids)? {
            gathered.add(&detail, by);
        }
    }
    Ok(match by {
        ThreadBy::OrderedSubject => ordered_subject(gathered.items),
        ThreadBy::References => references::threads(gathered, true),
        ThreadBy::Refs => references::threads(gathered, false),
    })
}

/// What is known of one message; those of a mailbox stand in the order of their UIDs.
struct Item {
    uid: Uid,
    sent: i64,
    arrived: i64,
    subject: String,
    is_reply: bool,
    id: Option<u32>,
    /// Of References, or else of In-Reply-To.
    references: Vec<u32>,
}

/// What is known of all.
#[derive(Default)]
struct Gathered {
    items: Vec<Item>,
    /// The ids as numbers. Of each 128 bits are kept, made with keys that no sender knows: a mailbox may
    /// name millions of ids that are long.
    ids: HashMap<[u64; 2], u32>,
    keys: [RandomState; 2],
}

impl Gathered {
    fn add(&mut self, detail: &Detail, by: ThreadBy) {
        let (summary, keys) = (detail.card.summary(), detail.card.sort_keys());
        let mut item = Item {
            uid: detail.entry.uid,
            sent: sent(detail),
            arrived: detail.entry.internal_date,
            subject: String::new(),
            is_reply: keys.is_reply_or_forward,
            id: None,
            references: Vec::new(),
        };
        if by != ThreadBy::Refs {
            item.subject = keys.subject;
        }
        if by != ThreadBy::OrderedSubject {
            item.id = summary.message_id.as_deref().and_then(|id| self.number(id));
            item.references = summary.references.iter().filter_map(|id| self.number(id)).collect();
            if item.references.is_empty() {
                item.references = summary.in_reply_to.iter().filter_map(|id| self.number(id)).collect();
            }
        }
        self.items.push(item);
    }

    fn number(&mut self, id: &str) -> Option<u32> {
        let id = normal_id(id);
        // RFC 5322 §3.6.4: msg-id = id-left "@" id-right; other words stand in old In-Reply-To fields.
        let (left, right) = id.rsplit_once('@')?;
        if left.is_empty() || right.is_empty() || id.contains(char::is_whitespace) {
            return None;
        }
        let number = u32::try_from(self.ids.len()).ok()?;
        let key = [0, 1].map(|half: usize| self.keys[half].hash_one(&id));
        Some(*self.ids.entry(key).or_insert(number))
    }
}

// RFC 5256 §3: sorted by base subject and sent date, split where the subject changes, the
// conversations sorted by their first message; its answers are siblings.
fn ordered_subject(mut items: Vec<Item>) -> Threads {
    items.sort_by_key(|item| item.sent);
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut threads: Vec<Thread> = Vec::new();
    for item in items {
        let thread = Thread {
            uid: Some(item.uid),
            children: Vec::new(),
        };
        match places.get(&item.subject) {
            Some(place) => threads[*place].children.push(thread),
            None => {
                places.insert(item.subject, threads.len());
                threads.push(thread);
            }
        }
    }
    Threads(threads)
}

/// Takes no more stack for a deep tree.
impl Drop for Thread {
    fn drop(&mut self) {
        let mut rest = std::mem::take(&mut self.children);
        while let Some(mut thread) = rest.pop() {
            rest.append(&mut thread.children);
        }
    }
}

/// As IMAP writes it (RFC 5256 §4, thread-list): `(3 6 (4 23)(44 7 96))`.
impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        enum Step<'a> {
            Open(&'a Thread),
            Members(&'a Thread),
            Close,
        }
        let mut steps = vec![Step::Open(self)];
        while let Some(step) = steps.pop() {
            let thread = match step {
                Step::Close => {
                    f.write_str(")")?;
                    continue;
                }
                Step::Open(thread) => {
                    f.write_str("(")?;
                    steps.push(Step::Close);
                    thread
                }
                Step::Members(thread) => thread,
            };
            if let Some(uid) = thread.uid {
                let space = if thread.children.is_empty() { "" } else { " " };
                write!(f, "{uid}{space}")?;
            }
            match &thread.children[..] {
                [only] => steps.push(Step::Members(only)),
                children => steps.extend(children.iter().rev().map(Step::Open)),
            }
        }
        Ok(())
    }
}

/// As [`Thread`] is displayed, since a tree of any depth must not need more stack.
impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As IMAP writes them, one behind the other: `(2)(3 6 (4 23)(44 7 96))`.
impl fmt::Display for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|thread| thread.fmt(f))
    }
}

#[cfg(test)]
mod tests;
