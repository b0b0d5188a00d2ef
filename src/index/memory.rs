//! What was already done: steps of deliveries that may come again, and replies sent.

use rusqlite::params;

use crate::mail::{Address, DeliveryId, Threshold, UidValidity};

use super::open::Rows;
use super::{Index, IndexError, Transaction};

/// Seconds for which a delivery is remembered after its last try: seven days, longer
/// than MTAs keep a message in their queue.
const STEP_KEPT: i64 = 7 * 86_400;

/// One step of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// All of it.
    Done,
    /// A copy in the mailbox of this UIDVALIDITY.
    Placed(UidValidity),
    /// A copy in the mailbox of this MAILBOXID, where its UIDVALIDITY may be that of another too.
    PlacedIn(String),
    /// A redirect.
    Redirected(Address),
    /// A program took it: its name, and what tells its arguments from others.
    Piped(String),
}

impl Step {
    fn to_text(&self) -> String {
        match self {
            Step::Done => "done".to_owned(),
            Step::Placed(validity) => format!("in {validity}"),
            Step::PlacedIn(mailbox_id) => format!("in {mailbox_id}"),
            Step::Redirected(address) => format!("redirect {}", address.folded()),
            Step::Piped(label) => format!("pipe {label}"),
        }
    }
}

/// What is remembered until a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// A vacation reply with this handle to this address (RFC 5230 §4.2).
    Reply {
        /// The handle.
        handle: String,
        /// To whom.
        address: Address,
    },
    /// An id of a `duplicate` test (RFC 7352).
    Duplicate(String),
    /// A notice to the owner about this.
    Notice(String),
    /// A delivery from this sender, under this recipient address.
    Correspondents {
        /// The reverse path.
        from: String,
        /// The recipient.
        to: Address,
    },
    /// A threshold of the quota that was reached.
    Reached(Threshold),
}

impl Remembered {
    fn key(&self) -> (&'static str, String) {
        match self {
            Remembered::Reply { handle, address } => ("reply", format!("{} {handle}", address.folded())),
            Remembered::Duplicate(id) => ("duplicate", id.clone()),
            Remembered::Notice(about) => ("notice", about.clone()),
            Remembered::Correspondents { from, to } => ("correspondents", format!("{} {from}", to.folded())),
            Remembered::Reached(Threshold { percent, unit }) => ("reached", format!("{percent}% {unit}")),
        }
    }
}

impl Index {
    /// The delivery that already did this step of the redelivery `key`.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn step(&self, key: u64, step: &Step) -> Result<Option<DeliveryId>, IndexError> {
        let ids = self.rows(STEP, params![stored(key), step.to_text()], |row| {
            row.get::<_, String>(0)
        })?;
        Ok(ids.first().and_then(|id| DeliveryId::from_stored(id)))
    }

    /// Whether this is still remembered at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn remembers(&self, what: &Remembered, now: i64) -> Result<bool, IndexError> {
        let (kind, id) = what.key();
        Ok(!self.rows(REMEMBERED, params![kind, id, now], |_| Ok(()))?.is_empty())
    }
}

const REMEMBERED: &str = "SELECT 1 FROM memory WHERE kind = ? AND id = ? AND until > ?";
const STEP: &str = "SELECT delivery FROM step WHERE redelivery = ? AND step = ?";

impl Transaction<'_> {
    /// As [`Index::step`].
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn step(&self, key: u64, step: &Step) -> Result<Option<DeliveryId>, IndexError> {
        let ids = self.rows(STEP, params![stored(key), step.to_text()], |row| {
            row.get::<_, String>(0)
        })?;
        Ok(ids.first().and_then(|id| DeliveryId::from_stored(id)))
    }

    /// Remembers a step done at `now`; one that is known keeps its first delivery id.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn put_step(&self, key: u64, step: &Step, id: &DeliveryId, now: i64) -> Result<(), IndexError> {
        self.execute(
            "INSERT INTO step (redelivery, step, delivery, tried) VALUES (?, ?, ?, ?) \
             ON CONFLICT DO UPDATE SET tried = max(tried, excluded.tried)",
            params![stored(key), step.to_text(), id.as_str(), now],
        )
        .map(drop)
    }

    /// Keeps all steps of a key for seven more days: it was tried again.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn touch_steps(&self, key: u64, now: i64) -> Result<(), IndexError> {
        self.execute(
            "UPDATE step SET tried = ? WHERE redelivery = ?",
            params![now, stored(key)],
        )
        .map(drop)
    }

    /// As [`Index::remembers`].
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn remembers(&self, what: &Remembered, now: i64) -> Result<bool, IndexError> {
        let (kind, id) = what.key();
        Ok(!self.rows(REMEMBERED, params![kind, id, now], |_| Ok(()))?.is_empty())
    }

    /// Remembers something until a time, in seconds since 1970.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn remember(&self, what: &Remembered, until: i64) -> Result<(), IndexError> {
        let (kind, id) = what.key();
        self.execute(
            "INSERT INTO memory (kind, id, until) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until = excluded.until",
            params![kind, id, until],
        )
        .map(drop)
    }

    /// Forgets one thing before its time.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn unremember(&self, what: &Remembered) -> Result<(), IndexError> {
        let (kind, id) = what.key();
        self.execute("DELETE FROM memory WHERE kind = ? AND id = ?", params![kind, id])
            .map(drop)
    }

    /// Forgets what has had its time.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn forget(&self, now: i64) -> Result<(), IndexError> {
        self.execute("DELETE FROM step WHERE tried < ?", [now - STEP_KEPT])?;
        self.execute("DELETE FROM memory WHERE until <= ?", [now]).map(drop)
    }
}

// SQLite's integers are signed; the bits are kept.
fn stored(key: u64) -> i64 {
    i64::from_ne_bytes(key.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Durability;

    #[test]
    fn steps_keep_their_first_id_and_end() {
        let home = tempfile::tempdir().unwrap();
        let mut index = Index::open(&home.path().join("index.sqlite")).unwrap();
        let (first, second) = (DeliveryId::new(), DeliveryId::new());
        let transaction = index.begin(Durability::Process).unwrap();
        transaction.put_step(u64::MAX, &Step::Done, &first, 1000).unwrap();
        transaction.put_step(u64::MAX, &Step::Done, &second, 2000).unwrap();
        transaction.forget(2000 + STEP_KEPT).unwrap();
        assert_eq!(transaction.step(u64::MAX, &Step::Done).unwrap(), Some(first));
        transaction.forget(2001 + STEP_KEPT).unwrap();
        assert_eq!(transaction.step(u64::MAX, &Step::Done).unwrap(), None);
    }

    #[test]
    fn replies_are_remembered_for_their_time_without_regard_to_case() {
        let home = tempfile::tempdir().unwrap();
        let mut index = Index::open(&home.path().join("index.sqlite")).unwrap();
        let reply = |address: &str| Remembered::Reply {
            handle: "h".into(),
            address: address.parse().unwrap(),
        };
        let transaction = index.begin(Durability::Power).unwrap();
        transaction.remember(&reply("Ann@example.org"), 100).unwrap();
        transaction.commit().unwrap();
        assert!(index.remembers(&reply("ann@example.org"), 99).unwrap());
        assert!(!index.remembers(&reply("ann@example.org"), 100).unwrap());
        assert!(!index.remembers(&reply("bob@example.org"), 99).unwrap());
    }
}
