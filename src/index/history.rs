//! What became of deliveries, kept for some days, for whoever asks why a message is where it is.
//!
//! A row for each delivery and one for each of its actions, added at the end of their tables. To ask is to
//! read them all, some megabytes at most.

use std::collections::BTreeSet;

use rusqlite::{Row, params};

use crate::mail::{DeliveryId, MailboxName, Uid};
use crate::message::{kept_id, message_key};

use super::open::Rows;
use super::{Index, IndexError, Transaction};

/// Characters of a reason, a target or a name that are kept.
const TEXT_MAX: usize = 500;
/// Actions of one delivery that are kept.
const ACTIONS_MAX: usize = 200;
/// Rows among which those of a delivery are that was made just now.
const NEWEST: i64 = 1000;
/// Messages with one Message-ID that are looked at.
const CONTENTS_MAX: usize = 50;
/// How often the oldest rows are counted off.
const CAP_EVERY: i64 = 64;

/// What is written down of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// All of it.
    Whole(Box<PastDelivery>),
    /// More actions of one that was written down before; of one that was not they are dropped.
    More {
        /// The delivery.
        id: DeliveryId,
        /// Its recipient.
        recipient: String,
        /// The actions.
        actions: Vec<PastAction>,
    },
}

/// A delivery for one recipient, as it was. Of texts the first 500 characters are kept, of actions 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastDelivery {
    /// Its id, as in the log.
    pub id: DeliveryId,
    /// The id under which the MTA that handed it over had it in its queue, where that is known.
    pub queue_id: Option<String>,
    /// When it ended, in seconds since 1970.
    pub time: i64,
    /// MAIL FROM; empty for the null sender.
    pub reverse_path: String,
    /// RCPT TO.
    pub recipient: String,
    /// The recipient before aliases, where that is known.
    pub original: Option<String>,
    /// Message-ID, without angle brackets, in the form in which ids are compared.
    pub message_id: Option<String>,
    /// Bytes, as received.
    pub size: u64,
    /// What the sender was told.
    pub ending: Ending,
    /// What was done, and what was not, in order.
    pub actions: Vec<PastAction>,
}

/// What the sender of a delivery was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// That it was delivered.
    Delivered,
    /// The same: this delivery had done it before, and nothing was done.
    Before(String),
    /// That it never will be, for this reason.
    Refused(String),
    /// To try again later, for this reason. Of one that is tried and deferred again and again, the last try is kept.
    Deferred(String),
}

/// An action of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastAction {
    /// What kind.
    pub kind: ActionKind,
    /// Into which mailbox (levels joined by `.`), to which address, by which method, to which program; or what was
    /// said.
    pub target: Option<String>,
    /// The UID of the copy that was filed.
    pub uid: Option<Uid>,
    /// The script that asked for it; none where no script did.
    pub script: Option<String>,
    /// The line of the script, counted from 1, where that is known.
    pub line: Option<u32>,
    /// What came of it.
    pub result: ActionResult,
    /// Why it failed or was withheld.
    pub reason: Option<String>,
}

impl PastAction {
    /// An action that was done, of no script.
    #[must_use]
    pub fn done(kind: ActionKind, target: Option<String>) -> PastAction {
        PastAction {
            kind,
            target,
            uid: None,
            script: None,
            line: None,
            result: ActionResult::Done,
            reason: None,
        }
    }
}

/// What came of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionResult {
    /// It was done.
    Done,
    /// It could not be done.
    Failed,
    /// It was not to be done.
    Withheld,
}

/// Declares an enum whose values are words of a column.
macro_rules! words {
    ($(#[$about:meta])+ $name:ident { $($(#[$doc:meta])+ $variant:ident = $word:literal,)+ }) => {
        $(#[$about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$doc])+ $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word in the index.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }
        }
    };
}

words! {
    /// Kinds of actions.
    ActionKind {
        /// A copy in INBOX, or in the mailbox that stands for it.
        Keep = "keep",
        /// A copy in a mailbox.
        FileInto = "fileinto",
        /// To another address.
        Redirect = "redirect",
        /// Nowhere.
        Discard = "discard",
        /// Refused by the script.
        Reject = "reject",
        /// An automatic reply.
        Vacation = "vacation",
        /// A notification.
        Notify = "notify",
        /// A report of abuse.
        Report = "report",
        /// To a program.
        Pipe = "pipe",
        /// A script that failed.
        Error = "error",
        /// What a script, or who ran it, has to say.
        Remark = "remark",
    }
}

impl ActionKind {
    /// Whether it makes a copy in a mailbox.
    #[must_use]
    pub fn files(self) -> bool {
        matches!(self, ActionKind::Keep | ActionKind::FileInto)
    }
}

impl ActionResult {
    /// The word in the index.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ActionResult::Done => "done",
            ActionResult::Failed => "failed",
            ActionResult::Withheld => "withheld",
        }
    }
}

impl Ending {
    /// The word in the index.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Ending::Delivered => "delivered",
            Ending::Before(_) => "before",
            Ending::Refused(_) => "refused",
            Ending::Deferred(_) => "deferred",
        }
    }

    /// The earlier delivery, or why; none of what was delivered.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Ending::Delivered => None,
            Ending::Before(reason) | Ending::Refused(reason) | Ending::Deferred(reason) => Some(reason),
        }
    }

    fn of(word: &str, reason: Option<String>) -> Ending {
        let reason = reason.unwrap_or_default();
        match word {
            "before" => Ending::Before(reason),
            "refused" => Ending::Refused(reason),
            "deferred" => Ending::Deferred(reason),
            _ => Ending::Delivered,
        }
    }
}

/// Which deliveries are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryKey {
    /// All.
    All,
    /// The one with this id; several where it had several recipients of the account.
    Delivery(String),
    /// Those with this id in the MTA's queue.
    Queue(String),
    /// Those of messages with this Message-ID, with angle brackets or without.
    MessageId(String),
    /// The one that brought the message which has this UID; where there is none, the one that had a copy filed
    /// under it.
    Message {
        /// The mailbox.
        mailbox: MailboxName,
        /// The UID.
        uid: Uid,
    },
}

impl HistoryKey {
    /// A Message-ID in the form in which it is kept.
    #[must_use]
    pub fn normal(id: &str) -> String {
        let id = id.trim();
        let bare = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id);
        cut(&kept_id(bare))
    }
}

const COLUMNS: &str =
    "id, delivery, queue_id, time, reverse_path, recipient, original, message_id, size, ending, reason";

impl Index {
    /// The last deliveries that a key names, at most `limit`, in the order in which they were. Of
    /// [`HistoryKey::Message`] those that had a copy filed there.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn history(&self, key: &HistoryKey, limit: usize) -> Result<Vec<PastDelivery>, IndexError> {
        let filed = "id IN (SELECT history FROM history_action WHERE target = ? AND uid = ?)";
        let (which, mut values): (&str, Vec<rusqlite::types::Value>) = match key {
            HistoryKey::All => ("1", Vec::new()),
            HistoryKey::Delivery(id) => ("delivery = ?", vec![id.clone().into()]),
            HistoryKey::Queue(id) => ("queue_id = ?", vec![id.clone().into()]),
            HistoryKey::MessageId(id) => ("message_id = ?", vec![HistoryKey::normal(id).into()]),
            HistoryKey::Message { mailbox, uid } => {
                let values = vec![mailbox.as_str().to_owned().into(), i64::from(uid.value()).into()];
                (filed, values)
            }
        };
        values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        let sql = format!("SELECT {COLUMNS} FROM history WHERE {which} ORDER BY id DESC LIMIT ?");
        let rows = self.rows(&sql, rusqlite::params_from_iter(values), read_delivery)?;
        let mut found = Vec::new();
        // What a later version or nobody wrote is passed over.
        for (id, delivery) in rows.into_iter().rev() {
            let Some(mut delivery) = delivery else { continue };
            let sql = "SELECT action, target, uid, script, line, result, reason FROM history_action \
                       WHERE history = ? ORDER BY number";
            let actions = self.rows(sql, [id], read_action)?;
            delivery.actions = actions.into_iter().flatten().collect();
            found.push(delivery);
        }
        Ok(found)
    }

    /// The numbers of what may be the message of a delivery, in whatever mailbox: it has its Message-ID, or lies
    /// where a copy was filed.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn contents_of(&self, delivery: &PastDelivery) -> Result<Vec<i64>, IndexError> {
        let mut found = BTreeSet::new();
        if let Some(id) = &delivery.message_id {
            let sql = "SELECT id FROM content WHERE message_key = ? ORDER BY id DESC LIMIT ?";
            let key = super::content::key(message_key(id));
            found.extend(self.rows(sql, params![key, CONTENTS_MAX], |row| row.get::<_, i64>(0))?);
        }
        for action in &delivery.actions {
            if let Some(uid) = action.uid {
                let sql = "SELECT content FROM message JOIN mailbox ON mailbox.id = mailbox WHERE name = ? AND uid = ?";
                found.extend(self.rows(sql, params![action.target, uid.value()], |row| row.get::<_, i64>(0))?);
            }
        }
        Ok(found.into_iter().collect())
    }

    /// The mailboxes in which a message is, each with its UID there.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn places_of(&self, content: i64) -> Result<Vec<(MailboxName, Uid)>, IndexError> {
        let sql = "SELECT name, uid FROM message JOIN mailbox ON mailbox.id = mailbox WHERE content = ?";
        let places = self.rows(sql, [content], |row| {
            let name = MailboxName::parse(&row.get::<_, String>(0)?, '.').ok();
            Ok(name.zip(Uid::new(row.get(1)?)))
        })?;
        Ok(places.into_iter().flatten().collect())
    }
}

impl Transaction<'_> {
    /// Writes a delivery down; at most about `entries` are kept.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn put_history(&self, record: &Record, entries: usize) -> Result<(), IndexError> {
        match record {
            Record::Whole(delivery) => {
                let id = self.insert_delivery(delivery)?;
                self.insert_actions(id, 0, &delivery.actions)?;
                match id % CAP_EVERY {
                    0 => self.drop_history(id - i64::try_from(entries).unwrap_or(i64::MAX)),
                    _ => Ok(()),
                }
            }
            Record::More { id, recipient, actions } => match self.written(id, recipient)? {
                Some((id, number)) => self.insert_actions(id, number, actions),
                None => Ok(()),
            },
        }
    }

    /// Forgets deliveries before a time, in seconds since 1970, and all but the last `entries`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn forget_history(&self, before: i64, entries: usize) -> Result<(), IndexError> {
        // They stand in the order of their times, as far as the clock went forward.
        let first = "SELECT id FROM history WHERE time >= ? ORDER BY id LIMIT 1";
        let first: Option<i64> = self.rows(first, [before], |row| row.get(0))?.pop();
        let last = self.rows("SELECT coalesce(max(id), 0) FROM history", [], |row| row.get(0))?;
        let last: i64 = last.first().copied().unwrap_or(0);
        let surplus = last - i64::try_from(entries).unwrap_or(i64::MAX);
        self.drop_history(first.map_or(last, |first| first - 1).max(surplus))
    }

    fn drop_history(&self, up_to: i64) -> Result<(), IndexError> {
        self.execute("DELETE FROM history_action WHERE history <= ?", [up_to])?;
        self.execute("DELETE FROM history WHERE id <= ?", [up_to]).map(drop)
    }

    fn insert_delivery(&self, delivery: &PastDelivery) -> Result<i64, IndexError> {
        let PastDelivery {
            id,
            queue_id,
            time,
            reverse_path,
            recipient,
            original,
            message_id,
            size,
            ending,
            ..
        } = delivery;
        if matches!(ending, Ending::Deferred(_)) {
            self.drop_last_deferral(delivery)?;
        }
        let sql = "INSERT INTO history (delivery, queue_id, time, reverse_path, recipient, original, message_id, \
                   size, ending, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values = params![
            id.as_str(),
            queue_id.as_deref().map(cut),
            time,
            cut(reverse_path),
            cut(recipient),
            original.as_deref().map(cut),
            message_id.as_deref().map(cut),
            size,
            ending.as_str(),
            ending.reason().map(cut)
        ];
        self.execute(sql, values)?;
        Ok(self.inner.last_insert_rowid())
    }

    // MTAs try for days, at last every hour.
    fn drop_last_deferral(&self, delivery: &PastDelivery) -> Result<(), IndexError> {
        let sql = "SELECT id FROM history WHERE ending = 'deferred' AND reverse_path = ? AND recipient = ? \
                   AND message_id IS ? AND size = ?";
        let values = params![
            cut(&delivery.reverse_path),
            cut(&delivery.recipient),
            delivery.message_id.as_deref().map(cut),
            delivery.size
        ];
        for id in self.rows(sql, values, |row| row.get::<_, i64>(0))? {
            self.execute("DELETE FROM history_action WHERE history = ?", [id])?;
            self.execute("DELETE FROM history WHERE id = ?", [id])?;
        }
        Ok(())
    }

    // The row of a delivery of a moment ago, and the number of its next action.
    fn written(&self, id: &DeliveryId, recipient: &str) -> Result<Option<(i64, usize)>, IndexError> {
        let sql = "SELECT id, (SELECT coalesce(max(number) + 1, 0) FROM history_action WHERE history = id) FROM history \
                   WHERE id > (SELECT max(id) FROM history) - ? AND delivery = ? AND recipient = ? \
                   ORDER BY id DESC LIMIT 1";
        let values = params![NEWEST, id.as_str(), cut(recipient)];
        Ok(self.rows(sql, values, |row| Ok((row.get(0)?, row.get(1)?)))?.pop())
    }

    fn insert_actions(&self, id: i64, number: usize, actions: &[PastAction]) -> Result<(), IndexError> {
        let sql = "INSERT INTO history_action (history, number, action, target, uid, script, line, result, reason) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        for (number, action) in (number..ACTIONS_MAX).zip(actions) {
            let values = params![
                id,
                number,
                action.kind.as_str(),
                action.target.as_deref().map(cut),
                action.uid.map(Uid::value),
                action.script.as_deref().map(cut),
                action.line,
                action.result.as_str(),
                action.reason.as_deref().map(cut)
            ];
            self.execute(sql, values)?;
        }
        Ok(())
    }
}

fn read_delivery(row: &Row<'_>) -> rusqlite::Result<(i64, Option<PastDelivery>)> {
    let ending = Ending::of(&row.get::<_, String>(9)?, row.get(10)?);
    let Some(id) = DeliveryId::from_stored(&row.get::<_, String>(1)?) else {
        return Ok((row.get(0)?, None));
    };
    let delivery = PastDelivery {
        id,
        queue_id: row.get(2)?,
        time: row.get(3)?,
        reverse_path: row.get(4)?,
        recipient: row.get(5)?,
        original: row.get(6)?,
        message_id: row.get(7)?,
        size: row.get(8)?,
        ending,
        actions: Vec::new(),
    };
    Ok((row.get(0)?, Some(delivery)))
}

fn read_action(row: &Row<'_>) -> rusqlite::Result<Option<PastAction>> {
    let (kind, result): (String, String) = (row.get(0)?, row.get(5)?);
    let kind = ActionKind::ALL.iter().find(|known| known.as_str() == kind);
    let results = [ActionResult::Done, ActionResult::Failed, ActionResult::Withheld];
    let result = results.into_iter().find(|known| known.as_str() == result);
    let Some((kind, result)) = kind.zip(result) else {
        return Ok(None);
    };
    Ok(Some(PastAction {
        kind: *kind,
        target: row.get(1)?,
        uid: row.get::<_, Option<u32>>(2)?.and_then(Uid::new),
        script: row.get(3)?,
        line: row.get(4)?,
        result,
        reason: row.get(6)?,
    }))
}

// One line of it: what is kept is shown on one.
fn cut(text: &str) -> String {
    let characters = text.chars().take(TEXT_MAX);
    characters.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Durability;

    fn delivery(number: i64, ending: Ending) -> PastDelivery {
        PastDelivery {
            id: DeliveryId::from_stored(&format!("D{number}")).unwrap(),
            queue_id: Some(format!("4bXyz{number}")),
            time: 1000 + number,
            reverse_path: "s@example.net".into(),
            recipient: "ann@example.org".into(),
            original: (number == 1).then(|| "a@example.org".into()),
            message_id: (number != 2).then(|| format!("{number}@example.net")),
            size: 700,
            ending,
            actions: vec![
                PastAction {
                    uid: Uid::new(17),
                    script: Some("sieve/main.sieve".into()),
                    line: Some(12),
                    ..PastAction::done(ActionKind::FileInto, Some("Lists".into()))
                },
                PastAction {
                    result: ActionResult::Failed,
                    reason: Some("two\nlines".into()),
                    ..PastAction::done(ActionKind::Redirect, Some("bob@example.net".into()))
                },
            ],
        }
    }

    fn put(index: &mut Index, entries: usize, deliveries: impl IntoIterator<Item = PastDelivery>) {
        let transaction = index.begin(Durability::Process).unwrap();
        for delivery in deliveries {
            let record = Record::Whole(Box::new(delivery));
            transaction.put_history(&record, entries).unwrap();
        }
        transaction.commit().unwrap();
    }

    fn ids(index: &Index, key: &HistoryKey) -> Vec<String> {
        let found = index.history(key, usize::MAX).unwrap();
        found.into_iter().map(|delivery| delivery.id.to_string()).collect()
    }

    fn count(index: &Index, table: &str) -> i64 {
        let counted = index.rows(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
        counted.unwrap()[0]
    }

    #[test]
    fn deliveries_come_back_by_each_key() {
        let home = tempfile::tempdir().unwrap();
        let mut index = Index::open(&home.path().join("index.sqlite")).unwrap();
        let endings = [
            Ending::Delivered,
            Ending::Before("D0".into()),
            Ending::Refused("no".into()),
            Ending::Deferred("later".into()),
        ];
        let all: Vec<_> = (1..)
            .zip(endings)
            .map(|(number, ending)| delivery(number, ending))
            .collect();
        put(&mut index, 10, all.clone());
        let mut read = index.history(&HistoryKey::All, 10).unwrap();
        for delivery in &mut read {
            assert_eq!(delivery.actions[1].reason.as_deref(), Some("two lines"));
            delivery.actions[1].reason = Some("two\nlines".into());
        }
        assert_eq!(read, all);
        assert_eq!(index.history(&HistoryKey::All, 2).unwrap().len(), 2);
        let message = |mailbox: &str, uid| HistoryKey::Message {
            mailbox: MailboxName::parse(mailbox, '.').unwrap(),
            uid: Uid::new(uid).unwrap(),
        };
        for (key, expected) in [
            (HistoryKey::Delivery("D2".into()), &["D2"][..]),
            (HistoryKey::Queue("4bXyz3".into()), &["D3"]),
            (HistoryKey::Queue("4bXyz".into()), &[]),
            (HistoryKey::MessageId("1@example.net".into()), &["D1"]),
            (HistoryKey::MessageId(" <\"1\"@example.net> ".into()), &["D1"]),
            (message("Lists", 17), &["D1", "D2", "D3", "D4"]),
            (message("Lists", 18), &[]),
            (message("INBOX", 17), &[]),
        ] {
            assert_eq!(ids(&index, &key), expected, "{key:?}");
        }
    }

    #[test]
    fn more_is_added_to_what_is_there_and_to_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let mut index = Index::open(&home.path().join("index.sqlite")).unwrap();
        put(
            &mut index,
            10,
            [delivery(1, Ending::Delivered), delivery(2, Ending::Delivered)],
        );
        let transaction = index.begin(Durability::Process).unwrap();
        let more = |id: &str, recipient: &str| Record::More {
            id: DeliveryId::from_stored(id).unwrap(),
            recipient: recipient.into(),
            actions: vec![PastAction::done(ActionKind::Vacation, Some("s@example.net".into())); 2],
        };
        for (id, recipient) in [
            ("D1", "ann@example.org"),
            ("D1", "other@example.org"),
            ("D9", "ann@example.org"),
        ] {
            transaction.put_history(&more(id, recipient), 10).unwrap();
        }
        transaction.commit().unwrap();
        let kinds = |id: &str| -> Vec<&str> {
            let found = index.history(&HistoryKey::Delivery(id.into()), 1).unwrap();
            found[0].actions.iter().map(|action| action.kind.as_str()).collect()
        };
        assert_eq!(kinds("D1"), ["fileinto", "redirect", "vacation", "vacation"]);
        assert_eq!(kinds("D2"), ["fileinto", "redirect"]);
        assert_eq!(count(&index, "history"), 2);
    }

    #[test]
    fn one_that_is_deferred_again_stands_there_once() {
        let home = tempfile::tempdir().unwrap();
        let mut index = Index::open(&home.path().join("index.sqlite")).unwrap();
        let deferred = |number, message| PastDelivery {
            message_id: delivery(message, Ending::Delivered).message_id,
            ..delivery(number, Ending::Deferred("later".into()))
        };
        let delivered = PastDelivery {
            message_id: delivery(1, Ending::Delivered).message_id,
            ..delivery(7, Ending::Delivered)
        };
        put(
            &mut index,
            10,
            [
                deferred(1, 1),
                deferred(2, 3),
                deferred(3, 1),
                deferred(4, 2),
                deferred(5, 2),
                delivered,
            ],
        );
        assert_eq!(ids(&index, &HistoryKey::All), ["D2", "D3", "D5", "D7"]);
        assert_eq!(count(&index, "history_action"), 8);
    }

    #[test]
    fn the_oldest_go_by_number_and_by_time() {
        let home = tempfile::tempdir().unwrap();
        let mut index = Index::open(&home.path().join("index.sqlite")).unwrap();
        put(
            &mut index,
            100,
            (1..=640).map(|number| delivery(number, Ending::Delivered)),
        );
        assert_eq!((count(&index, "history"), count(&index, "history_action")), (100, 200));
        let forget = |index: &mut Index, before, entries| {
            let transaction = index.begin(Durability::Process).unwrap();
            transaction.forget_history(before, entries).unwrap();
            transaction.commit().unwrap();
            (count(index, "history"), count(index, "history_action"))
        };
        assert_eq!(forget(&mut index, 0, 100), (100, 200));
        assert_eq!(forget(&mut index, 0, 50), (50, 100));
        assert_eq!(forget(&mut index, 1631, 50), (10, 20));
        assert_eq!(ids(&index, &HistoryKey::All)[0], "D631");
        assert_eq!(forget(&mut index, 9999, 50), (0, 0));
        put(&mut index, 100, [delivery(1, Ending::Delivered)]);
        assert_eq!(ids(&index, &HistoryKey::All), ["D1"]);
    }

    #[test]
    fn texts_and_actions_are_bounded() {
        let home = tempfile::tempdir().unwrap();
        let mut index = Index::open(&home.path().join("index.sqlite")).unwrap();
        let long = "ä".repeat(TEXT_MAX + 1);
        let action = PastAction::done(ActionKind::Remark, Some(long.clone()));
        let past = PastDelivery {
            reverse_path: long.clone(),
            message_id: Some(HistoryKey::normal(&long)),
            actions: vec![action; ACTIONS_MAX + 1],
            ..delivery(1, Ending::Refused(long.clone()))
        };
        put(&mut index, 10, [past]);
        let found = &index.history(&HistoryKey::MessageId(long), 1).unwrap()[0];
        assert_eq!(found.actions.len(), ACTIONS_MAX);
        let kept = "ä".repeat(TEXT_MAX);
        assert_eq!(found.reverse_path, kept);
        assert_eq!(found.actions[0].target.as_ref(), Some(&kept));
        assert_eq!(found.ending, Ending::Refused(kept));
    }
}
