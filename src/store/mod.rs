//! The message store: accounts, mailboxes, messages, as the rooms above see them.
//!
//! Called by `delivery`, by the commands, and by any program that links the
//! library to read mail. [`LocalStore`] keeps a Maildir and an index beside it;
//! other stores can stand behind the same traits. Everything ends in a
//! [`StoreError`].

mod error;
mod local;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::mail::{DeliveryId, Flags, MailboxName, ModSeq, Placement, Uid, UidValidity};
use crate::message::Letter;

pub use crate::index::{Counts, MessageRow, Remembered, Step};
pub use crate::maildir::Disk;
pub use error::StoreError;
pub use local::{LocalStore, Options};

/// A place with accounts.
pub trait Store: Send + Sync {
    /// Opens an account, making it where it is missing. `user` names it in messages
    /// and where the index lies apart from the mail; `home` is the folder of its mail.
    ///
    /// # Errors
    /// Where it can be neither opened nor made.
    fn account(&self, user: &str, home: &Path) -> Result<Arc<dyn Account>, StoreError>;
}

/// One account: its mailboxes, and what is remembered about its deliveries.
///
/// All methods may block on the disk, and may be called from many threads.
pub trait Account: Send + Sync {
    /// Writes a message durably where no reader sees it. Dropped unpublished, it is gone.
    ///
    /// # Errors
    /// Where it cannot be written; nothing is left then.
    fn stage(&self, letter: &Letter, key: u64) -> Result<Box<dyn Staged + '_>, StoreError>;

    /// Whether a mailbox exists.
    ///
    /// # Errors
    /// Where that cannot be told.
    fn has_mailbox(&self, name: &MailboxName) -> Result<bool, StoreError>;

    /// Makes a mailbox; nothing happens where it exists.
    ///
    /// # Errors
    /// Where it cannot be made.
    fn create_mailbox(&self, name: &MailboxName) -> Result<(), StoreError>;

    /// Brings the index up to what other programs did to the mail; costs a few
    /// system calls a mailbox where they did nothing.
    ///
    /// # Errors
    /// Where a folder cannot be read; the index then is as it was for that folder.
    fn reconcile(&self) -> Result<(), StoreError>;

    /// The counts of all mailboxes together, as the index has them.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn usage(&self) -> Result<Counts, StoreError>;

    /// All mailboxes by name, as the index has them.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn mailboxes(&self) -> Result<Vec<MailboxStatus>, StoreError>;

    /// The messages of a mailbox by UID, as the index has them.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where they cannot be read.
    fn messages(&self, mailbox: &MailboxName) -> Result<Vec<MessageEntry>, StoreError>;

    /// The bytes of a message as they are stored.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], [`StoreError::NoMessage`], or where it cannot be read.
    fn open(&self, mailbox: &MailboxName, uid: Uid) -> Result<Box<dyn Read + Send>, StoreError>;

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

    /// Compares index and mail and says in words what does not agree; empty where all does.
    ///
    /// # Errors
    /// Where one of them cannot be read.
    fn check(&self) -> Result<Vec<String>, StoreError>;

    /// Makes the index anew from the mail, with the same UIDVALIDITY and UIDs.
    ///
    /// # Errors
    /// Where the mail cannot be read; the index is then as it was.
    fn rebuild(&self) -> Result<(), StoreError>;
}

/// A message on the disk that no reader sees yet.
pub trait Staged: Send {
    /// Puts it into mailboxes: durable, numbered and visible when this returns. Of a
    /// delivery that was done before nothing is done again.
    ///
    /// # Errors
    /// Where not all of it could be done; what was done is remembered under its key.
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

/// A mailbox with its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxStatus {
    /// Its name.
    pub name: MailboxName,
    /// MAILBOXID (RFC 8474).
    pub mailbox_id: String,
    /// UIDVALIDITY.
    pub validity: UidValidity,
    /// UIDNEXT.
    pub uid_next: Uid,
    /// HIGHESTMODSEQ (RFC 7162).
    pub highest_modseq: ModSeq,
    /// Messages, unseen ones, bytes.
    pub counts: Counts,
}

/// A message of a mailbox.
#[derive(Clone, Debug)]
pub struct MessageEntry {
    /// What the index has.
    pub row: MessageRow,
    /// Its file, below the home.
    pub path: std::path::PathBuf,
}
