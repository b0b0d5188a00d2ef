//! Opens what is left as a store, and holds it against the promise: invariants 1 to 5.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use postroom::mail::{Uid, UidSet};
use postroom::store::{Account, LocalStore, Published, Store, StoreError};
use rusqlite::config::DbConfig;

use super::cuts::Kind;
use super::promise::Promise;
use super::script::{self, Do, HOME, SCRIPT, USER};
use super::worker::{base_of, deliver};

/// What was special about a state in which all held.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// SQLite called the index damaged, and it was set aside.
    pub damaged: bool,
    /// The index had been opened under another start of the machine.
    pub restarted: bool,
}

/// A message as it is found: its UID, MODSEQ, base name and bytes.
struct Message {
    uid: u64,
    modseq: u64,
    flags: String,
    base: String,
    bytes: Vec<u8>,
}

struct Check<'a> {
    promise: &'a Promise,
    home: &'a Path,
    account: Arc<dyn Account>,
    /// Keys by the bytes of their messages.
    ours: HashMap<Vec<u8>, u64>,
}

type Checked = Result<(), String>;

/// Checks the home below `root`. Says in words what does not hold.
pub fn verify(root: &Path, promise: &Promise, kind: Kind) -> Result<Found, String> {
    if let Some((mailbox, uid)) = promise.twice.first() {
        return Err(format!("{mailbox}: UID {uid} was given to two messages"));
    }
    let home = root.join(HOME);
    let restarted = kind == Kind::Power && another_start(&home);
    let store = script::store(false, true);
    let (account, damaged) = open(&store, &home).map_err(|error| format!("it does not open: {}", chain(&error)))?;
    let mut promise = promise.clone();
    for (from, to) in std::mem::take(&mut promise.renames) {
        let has = |name: &str| account.has_mailbox(&script::mailbox_name(name)).unwrap_or_default();
        if has(&to) && !has(&from) {
            promise.rename(&from, &to);
        }
    }
    let promise = &promise;
    let ours = SCRIPT.iter().flat_map(|step| match step {
        Do::Deliver(key, lines, _) => vec![
            (script::letter(*key, *lines).1, *key),
            (script::edition(*key, *lines).1, *key),
        ],
        _ => Vec::new(),
    });
    let check = Check {
        promise,
        home: &home,
        account,
        ours: ours.collect(),
    };
    check.agreement("at first")?;
    check.mailboxes()?;
    check.messages()?;
    check.told()?;
    if promise.memory && !damaged {
        check.memory()?;
    }
    check.again()?;
    check.new_ones()?;
    check.messages()?;
    check.agreement("at last")?;
    Ok(Found { damaged, restarted })
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

// As a start of the machine does: what names the time since the last one is another. The log stays as it lies there.
fn another_start(home: &Path) -> bool {
    let index = home.join("index.sqlite");
    if !index.exists() {
        return false;
    }
    let change = || {
        let connection = rusqlite::Connection::open(&index)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.execute("UPDATE fact SET value = 'another start' WHERE name = 'boot'", [])
    };
    // An index that is empty, or damaged, has nothing to be changed.
    change().is_ok_and(|changed| changed == 1)
}

fn open(store: &LocalStore, home: &Path) -> Result<(Arc<dyn Account>, bool), StoreError> {
    let account = store.account(USER, home)?;
    account.check()?;
    Ok((account, home.join("index.sqlite.damaged").exists()))
}

impl Check<'_> {
    fn agreement(&self, when: &str) -> Checked {
        let findings = self
            .account
            .check()
            .map_err(|error| format!("no check {when}: {}", chain(&error)))?;
        match findings.is_empty() {
            true => Ok(()),
            false => Err(format!("index and Maildir do not agree {when}: {findings:?}")),
        }
    }

    // Invariant 2 and 3: UIDVALIDITY stands, MODSEQ does not go back, UIDNEXT is above all that was given.
    fn mailboxes(&self) -> Checked {
        let found: BTreeMap<_, _> = self
            .account
            .mailboxes()
            .map_err(|error| chain(&error))?
            .into_iter()
            .map(|status| (status.name.to_string(), status))
            .collect();
        let mut validities: Vec<_> = found.values().map(|status| status.validity).collect();
        validities.sort_unstable();
        validities.dedup();
        if validities.len() != found.len() {
            return Err("two mailboxes share a UIDVALIDITY".to_owned());
        }
        for (name, (validity, modseq)) in &self.promise.mailboxes {
            let status = found.get(name).ok_or_else(|| format!("{name} is gone"))?;
            if u64::from(status.validity.value()) != *validity {
                return Err(format!("{name}: UIDVALIDITY was {validity}, is {}", status.validity));
            }
            if status.highest_modseq.value() < *modseq {
                return Err(format!(
                    "{name}: HIGHESTMODSEQ was {modseq}, is {}",
                    status.highest_modseq
                ));
            }
            let highest = self.promise.uids.get(name).copied().unwrap_or_default();
            if u64::from(status.uid_next.value()) <= highest {
                return Err(format!(
                    "{name}: UID {highest} was given, UIDNEXT is {}",
                    status.uid_next
                ));
            }
        }
        Ok(())
    }

    fn found(&self) -> Result<BTreeMap<String, Vec<Message>>, String> {
        let mut found = BTreeMap::new();
        for status in self.account.mailboxes().map_err(|error| chain(&error))? {
            let details = self.account.details(&status.name, &UidSet::all());
            let mut messages = Vec::new();
            for detail in details.map_err(|error| chain(&error))? {
                let path = self.home.join(&detail.path);
                messages.push(Message {
                    uid: u64::from(detail.entry.uid.value()),
                    modseq: detail.entry.modseq.value(),
                    flags: detail.entry.flags.to_string(),
                    base: base_of(&path),
                    bytes: fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?,
                });
            }
            found.insert(status.name.to_string(), messages);
        }
        Ok(found)
    }

    // Invariants 1, 2 and 4: what was delivered is there, whole, once, under its UID; no UID names another message.
    fn messages(&self) -> Checked {
        let found = self.found()?;
        for (mailbox, messages) in &found {
            let mut keys: Vec<u64> = Vec::new();
            for message in messages {
                let Message { uid, base, .. } = message;
                let edited = message.bytes.windows(10).any(|bytes| bytes == b"X-Edited: ");
                match self.ours.get(&message.bytes) {
                    Some(_) if edited != mailbox.starts_with(script::EDITED) => {
                        return Err(format!("{mailbox}: UID {uid} is another edition"));
                    }
                    Some(key) => keys.push(*key),
                    None if base.ends_with(".other") || message.bytes.ends_with(b"behind the cut\n") => {}
                    None => {
                        return Err(format!(
                            "{mailbox}: UID {uid} is not whole: {} bytes of {base}",
                            message.bytes.len()
                        ));
                    }
                }
                let shown = self.promise.shown.get(&(mailbox.clone(), *uid));
                if let Some((was, modseq)) = shown {
                    if was != base {
                        return Err(format!("{mailbox}: UID {uid} was {was}, is {base}"));
                    }
                    if message.modseq < *modseq {
                        return Err(format!(
                            "{mailbox}: UID {uid} had MODSEQ {modseq}, has {}",
                            message.modseq
                        ));
                    }
                }
            }
            let count = keys.len();
            keys.sort_unstable();
            keys.dedup();
            if keys.len() != count {
                return Err(format!("{mailbox}: a message is there twice"));
            }
        }
        for (key, places) in self
            .promise
            .placed
            .iter()
            .filter(|(key, _)| !self.promise.removed.contains(key))
        {
            for (mailbox, uid) in places {
                let there = found
                    .get(mailbox)
                    .into_iter()
                    .flatten()
                    .find(|message| message.uid == *uid);
                if there.and_then(|message| self.ours.get(&message.bytes)) != Some(key) {
                    return Err(format!("{mailbox}: message {key} is not there under UID {uid}"));
                }
            }
        }
        Ok(())
    }

    // What a client was told: flags, what is gone, what lies elsewhere now.
    fn told(&self) -> Checked {
        let found = self.found()?;
        let of = |mailbox: &str, key: u64| {
            let messages = found.get(mailbox).into_iter().flatten();
            messages.filter(move |it| self.ours.get(&it.bytes) == Some(&key))
        };
        for ((mailbox, key), flag) in &self.promise.flags {
            let mut copies = of(mailbox, *key);
            if !copies.all(|message| message.flags.split(' ').any(|it| it == flag)) {
                return Err(format!("{mailbox}: message {key} has lost its {flag}"));
            }
        }
        for (key, from, to) in &self.promise.moves {
            // In this model a name may be in two folders after a cut: see `model`.
            if of(from, *key).count() + of(to, *key).count() == 0 {
                return Err(format!("message {key} is lost on its way from {from} to {to}"));
            }
        }
        for (mailbox, uid) in &self.promise.gone {
            if found
                .get(mailbox)
                .into_iter()
                .flatten()
                .any(|message| message.uid == *uid)
            {
                return Err(format!("{mailbox}: UID {uid} was expunged and is back"));
            }
        }
        match self.promise.deleted.iter().find(|mailbox| found.contains_key(*mailbox)) {
            Some(mailbox) => Err(format!("{mailbox} was deleted and is back")),
            None => Ok(()),
        }
    }

    // What was remembered so as not to be done twice.
    fn memory(&self) -> Checked {
        for line in &self.promise.done {
            for what in SCRIPT[*line].remembered() {
                let remembered = self.account.remembers(&what).map_err(|error| chain(&error))?;
                if !remembered {
                    return Err(format!("line {line}: it is forgotten"));
                }
            }
            if let Do::Redirected(key) = SCRIPT[*line] {
                let step = self
                    .account
                    .step(key, &script::redirected())
                    .map_err(|error| chain(&error))?;
                step.ok_or_else(|| format!("line {line}: the step is forgotten"))?;
            }
        }
        Ok(())
    }

    // Invariant 4: what is sent again makes no second copy; what was under way, or failed, is there once then.
    fn again(&self) -> Checked {
        let mut sent = Vec::new();
        for (line, step) in SCRIPT.iter().enumerate() {
            let Do::Deliver(key, lines, to) = step else { continue };
            let promise = self.promise;
            let done = promise.done.contains(&line);
            if promise.removed.contains(key)
                || !(done || promise.failed.contains_key(&line) || promise.under_way == Some(line))
            {
                continue;
            }
            let published = deliver(self.account.as_ref(), *key, *lines, to)
                .map_err(|error| format!("message {key} sent again: {error}"))?;
            if done && !matches!(published, Published::Before(_)) {
                return Err(format!("message {key} sent again is delivered anew: {published:?}"));
            }
            sent.push((*key, *to));
        }
        let found = self.found()?;
        for (key, to) in sent {
            for (mailbox, _) in to {
                let copies = found[*mailbox]
                    .iter()
                    .filter(|it| self.ours.get(&it.bytes) == Some(&key))
                    .count();
                if copies != 1 {
                    return Err(format!("{mailbox}: message {key} sent again is there {copies} times"));
                }
            }
        }
        Ok(())
    }

    // New deliveries get numbers above all that were given.
    fn new_ones(&self) -> Checked {
        for (nth, (mailbox, (_, modseq))) in self.promise.mailboxes.iter().enumerate() {
            let key = 1_000 + nth as u64;
            let published = new_delivery(self.account.as_ref(), key, mailbox)?;
            let highest = self.promise.uids.get(mailbox).copied().unwrap_or_default();
            if u64::from(published.value()) <= highest {
                return Err(format!(
                    "{mailbox}: UID {published} is given again, up to {highest} were"
                ));
            }
            let entries = self.account.entries(&script::mailbox_name(mailbox), &UidSet::all());
            let entries = entries.map_err(|error| chain(&error))?;
            let entry = entries.iter().find(|entry| entry.uid == published);
            let entry = entry.ok_or_else(|| format!("{mailbox}: the new UID {published} is not listed"))?;
            if entry.modseq.value() <= *modseq {
                return Err(format!(
                    "{mailbox}: MODSEQ {} is given again, up to {modseq} were",
                    entry.modseq
                ));
            }
        }
        Ok(())
    }
}

fn new_delivery(account: &dyn Account, key: u64, mailbox: &str) -> Result<Uid, String> {
    use postroom::mail::{DeliveryId, ReversePath};
    use postroom::message::{Letter, Message, Trace};
    use postroom::store::Publication;
    let trace = Trace {
        return_path: ReversePath::Null,
        received: None,
        original_to: None,
        delivered_to: None,
        extra: Vec::new(),
    };
    let text = format!("Subject: new {key}\r\n\r\nbehind the cut\r\n");
    let publication = Publication {
        targets: script::targets(&[(mailbox, "")]),
        id: DeliveryId::new(),
        remember: Vec::new(),
        quota: None,
        history: None,
    };
    let letter = Letter::new(Message::from_bytes(text), &trace);
    let published = account
        .stage(&letter, key)
        .and_then(|staged| staged.publish(publication));
    match published.map_err(|error| format!("{mailbox}: no new delivery: {}", chain(&error)))? {
        Published::Placed(places) if places.len() == 1 => places[0]
            .uid
            .ok_or_else(|| format!("{mailbox}: a new delivery has no UID")),
        published => Err(format!("{mailbox}: a new delivery ends in {published:?}")),
    }
}
