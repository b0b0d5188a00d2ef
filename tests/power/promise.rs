//! What the worker was promised by a moment of its run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::model::Recording;
use super::script::{Do, SCRIPT};

/// What must hold from a moment on.
#[derive(Clone, Debug, Default)]
pub struct Promise {
    /// How many lines the worker had said.
    pub said: usize,
    /// Whether what was remembered must still be.
    pub memory: bool,
    /// Lines of the script that succeeded.
    pub done: BTreeSet<usize>,
    /// Lines that failed, with the error.
    pub failed: BTreeMap<usize, String>,
    /// The line that had begun and not ended.
    pub under_way: Option<usize>,
    /// Where deliveries that succeeded lie: mailbox and UID by key.
    pub placed: BTreeMap<u64, Vec<(String, u64)>>,
    /// Deliveries that a client or another program may have taken away from where they were delivered.
    pub removed: BTreeSet<u64>,
    /// Where a message is on its way: its key, from where, to where. It is in one of them at least.
    pub moves: Vec<(u64, String, String)>,
    /// Mailboxes with a name that may be the old or the new one.
    pub renames: Vec<(String, String)>,
    /// UIDs that a client was told are gone; mailboxes likewise.
    pub gone: BTreeSet<(String, u64)>,
    pub deleted: BTreeSet<String>,
    /// A flag that was set on a message, by key.
    pub flags: BTreeMap<(String, u64), String>,
    /// UIDVALIDITY and HIGHESTMODSEQ of mailboxes that were shown.
    pub mailboxes: BTreeMap<String, (u64, u64)>,
    /// The file, by its base name, of every UID that was shown; and its highest MODSEQ.
    pub shown: BTreeMap<(String, u64), (String, u64)>,
    /// The UIDs of messages that are being taken away, by mailbox and key.
    pub taken: BTreeMap<(String, u64), u64>,
    /// The delivery that each UID was given to, and those that were given to two.
    pub given: BTreeMap<(String, u64), u64>,
    pub twice: Vec<(String, u64)>,
    /// The highest UID of each mailbox that was given.
    pub uids: BTreeMap<String, u64>,
}

impl Promise {
    /// What was promised before the operation `at`.
    pub fn at(recording: &Recording, at: usize) -> Promise {
        let mut promise = Promise {
            memory: true,
            ..Promise::default()
        };
        for (_, said) in recording.said.iter().take_while(|(before, _)| *before <= at) {
            promise.said += 1;
            promise.hear(said);
        }
        promise
    }

    fn hear(&mut self, said: &Value) {
        let line = |key: &str| said[key].as_u64().and_then(|line| usize::try_from(line).ok());
        if let Some(line) = line("begin") {
            self.under_way = Some(line);
            self.begin(&SCRIPT[line]);
        }
        if let Some(line) = line("failed") {
            self.under_way = None;
            self.failed.insert(line, said["error"].to_string());
        }
        if let Some(line) = line("ack") {
            self.under_way = None;
            self.done.insert(line);
            self.hear_places(line, &said["placed"]);
            self.succeed(&SCRIPT[line]);
            self.hear_shown(&said["shown"]);
        }
    }

    // What is being taken away need not be where it was.
    fn begin(&mut self, step: &Do) {
        match *step {
            Do::Remove(mailbox, key) | Do::Expunge(mailbox, key) => drop(self.take(mailbox, key)),
            Do::Move(from, key, to) if self.take(from, key) => {
                self.moves.push((key, from.to_owned(), to.to_owned()));
            }
            Do::Rename(from, to) => self.renames.push((from.to_owned(), to.to_owned())),
            Do::Delete(mailbox) => self.forget(mailbox),
            _ => {}
        }
    }

    fn succeed(&mut self, step: &Do) {
        match *step {
            Do::Expunge(mailbox, key) => {
                let told = self.taken.get(&(mailbox.to_owned(), key)).copied();
                self.gone.extend(told.map(|uid| (mailbox.to_owned(), uid)));
            }
            Do::Move(_, key, _) => self.moves.retain(|(moving, ..)| *moving != key),
            Do::Rename(from, to) => {
                self.renames.clear();
                self.rename(from, to);
            }
            Do::Delete(mailbox) => drop(self.deleted.insert(mailbox.to_owned())),
            Do::Flag(mailbox, key, flag) => drop(self.flags.insert((mailbox.to_owned(), key), flag.to_owned())),
            _ => {}
        }
    }

    fn hear_places(&mut self, line: usize, placed: &Value) {
        let key = match SCRIPT[line] {
            Do::Deliver(key, ..) | Do::Copy(_, key, _) | Do::Move(_, key, _) => key,
            _ => return,
        };
        let places = self.placed.entry(key).or_default();
        for place in placed.as_array().into_iter().flatten() {
            let (Some(mailbox), Some(uid)) = (place[0].as_str(), place[1].as_u64()) else {
                continue;
            };
            places.push((mailbox.to_owned(), uid));
            if self.given.insert((mailbox.to_owned(), uid), key).is_some() {
                self.twice.push((mailbox.to_owned(), uid));
            }
            let highest = self.uids.entry(mailbox.to_owned()).or_default();
            *highest = (*highest).max(uid);
        }
    }

    fn hear_shown(&mut self, shown: &Value) {
        for (mailbox, numbers) in shown.as_object().into_iter().flatten() {
            let number = |key: &str| numbers[key].as_u64().unwrap_or_default();
            self.mailboxes
                .insert(mailbox.clone(), (number("validity"), number("modseq")));
            for message in numbers["messages"].as_array().into_iter().flatten() {
                let (Some(uid), Some(modseq), Some(base)) =
                    (message[0].as_u64(), message[1].as_u64(), message[2].as_str())
                else {
                    continue;
                };
                self.shown.insert((mailbox.clone(), uid), (base.to_owned(), modseq));
                let highest = self.uids.entry(mailbox.clone()).or_default();
                *highest = (*highest).max(uid);
            }
        }
    }

    /// Whether it was there.
    fn take(&mut self, mailbox: &str, key: u64) -> bool {
        self.removed.insert(key);
        let places = self.placed.entry(key).or_default();
        let Some(at) = places.iter().position(|(place, _)| place == mailbox) else {
            return false;
        };
        let (place, uid) = places.remove(at);
        self.taken.insert((place, key), uid);
        true
    }

    fn forget(&mut self, mailbox: &str) {
        for places in self.placed.values_mut() {
            places.retain(|(place, _)| place != mailbox);
        }
        self.mailboxes.remove(mailbox);
        self.uids.remove(mailbox);
        self.shown.retain(|(place, _), _| place != mailbox);
    }

    /// A mailbox has another name: all that was promised of it stands.
    pub fn rename(&mut self, from: &str, to: &str) {
        let name = |place: String| if place == from { to.to_owned() } else { place };
        let places = self.placed.values_mut().flatten();
        places.for_each(|(place, _)| *place = name(std::mem::take(place)));
        self.mailboxes = std::mem::take(&mut self.mailboxes)
            .into_iter()
            .map(|(it, is)| (name(it), is))
            .collect();
        self.uids = std::mem::take(&mut self.uids)
            .into_iter()
            .map(|(it, is)| (name(it), is))
            .collect();
        let shown = std::mem::take(&mut self.shown).into_iter();
        self.shown = shown.map(|((it, uid), is)| ((name(it), uid), is)).collect();
        let given = std::mem::take(&mut self.given).into_iter();
        self.given = given.map(|((it, uid), is)| ((name(it), uid), is)).collect();
    }
}
