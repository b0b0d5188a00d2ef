//! What a delivery asks of an account.

use crate::index::{HistoryKey, PastDelivery, Record, Remembered, Step};
use crate::mail::{DeliveryId, Flags, MailboxName, Placement, Quota, Uid};
use crate::message::Letter;

use super::StoreError;

/// The side of an account at which deliveries come in, and what is remembered about them.
pub trait Deliveries: Send + Sync {
    /// Writes a message durably where no reader sees it. Dropped unpublished, it is gone.
    ///
    /// # Errors
    /// Where it cannot be written; nothing is left then.
    fn stage(&self, letter: &Letter, key: u64) -> Result<Box<dyn Staged + '_>, StoreError>;

    /// The delivery that already did this step of the redelivery `key`.
    ///
    /// # Errors
    /// Where that cannot be told.
    fn step(&self, key: u64, step: &Step) -> Result<Option<DeliveryId>, StoreError>;

    /// Remembers a step, durably.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn put_step(&self, key: u64, step: &Step, id: &DeliveryId) -> Result<(), StoreError>;

    /// Whether this is still remembered.
    ///
    /// # Errors
    /// Where that cannot be told.
    fn remembers(&self, what: &Remembered) -> Result<bool, StoreError>;

    /// Remembers something for some seconds, durably, unless it is still remembered;
    /// answers whether it was new. Of two who ask at once one gets true.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn remember(&self, what: &Remembered, seconds: u64) -> Result<bool, StoreError>;

    /// Writes down what became of a delivery, for [`Deliveries::history`]; of one that is published it is
    /// written with it ([`Publication::history`]). A power cut may take it. Nothing happens where the store
    /// keeps no history.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn record(&self, record: &Record) -> Result<(), StoreError>;

    /// The last deliveries that a key names, at most `limit`, in the order in which they were, each with
    /// what is there of its message now. Empty where none is remembered.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn history(&self, key: &HistoryKey, limit: usize) -> Result<Vec<Explained>, StoreError>;
}

/// A delivery of the past, and what is there of its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// What became of it then.
    pub delivery: PastDelivery,
    /// The message's subject, decoded, where a copy of the message is there.
    pub subject: Option<String>,
    /// Where copies of the message are now, by mailbox and UID.
    pub copies: Vec<(MailboxName, Uid)>,
}

/// A message on the disk that no reader sees yet.
pub trait Staged: Send {
    /// Writes an edition of the message durably beside it: the copy that these mailboxes get in its place.
    /// Redelivery knows no editions: it is one delivery, with one key.
    ///
    /// # Errors
    /// Where it cannot be written; it is as if it had not been asked for then.
    fn add_edition(&mut self, letter: &Letter, mailboxes: &[MailboxName]) -> Result<(), StoreError>;

    /// Puts it into mailboxes: durable, numbered and visible when this returns. Of a
    /// delivery that was done before nothing is done again.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`]; or where not all of it could be done: what was done is
    /// remembered under its key.
    fn publish(self: Box<Self>, publication: Publication) -> Result<Published, StoreError>;
}

/// Into which mailboxes a message goes, and what is remembered with it.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Where it goes; each mailbox once, and all must exist.
    pub targets: Vec<Target>,
    /// The delivery.
    pub id: DeliveryId,
    /// What to remember with it, each for some seconds.
    pub remember: Vec<(Remembered, u64)>,
    /// The limits that hold for it. Looked at in the transaction that publishes, so that no
    /// two share the last room; not for the rest of a delivery of which a part was done.
    pub quota: Option<Quota>,
    /// What is written down of it; the store fills in the UIDs of the copies. Where an earlier delivery did
    /// all of it, nothing is.
    pub history: Option<Record>,
}

impl Record {
    /// Gives the copies that were filed their UIDs.
    pub(super) fn placed(&mut self, placements: &[Placement]) {
        let actions = match self {
            Record::Whole(delivery) => &mut delivery.actions,
            Record::More { actions, .. } => actions,
        };
        for action in actions
            .iter_mut()
            .filter(|action| action.kind.files() && action.uid.is_none())
        {
            let filed = |placement: &&Placement| Some(placement.mailbox.as_str()) == action.target.as_deref();
            action.uid = placements.iter().find(filed).and_then(|placement| placement.uid);
        }
    }
}

/// One mailbox that gets a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which.
    pub mailbox: MailboxName,
    /// With which flags.
    pub flags: Flags,
}

/// What publishing did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// The copies that were made now.
    Placed(Vec<Placement>),
    /// Nothing: this earlier delivery did all of it.
    Before(DeliveryId),
}
