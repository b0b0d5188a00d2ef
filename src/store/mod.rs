//! The message store: accounts, mailboxes, messages, as the rooms above see them.
//!
//! Called by `delivery`, by the commands, and by any program that links the
//! library to read mail. [`LocalStore`] keeps a Maildir and an index beside it;
//! other stores can stand behind the same traits. Everything ends in a
//! [`StoreError`].
//!
//! | trait | subject |
//! | --- | --- |
//! | [`Store`] | a place with accounts |
//! | [`Deliveries`] | stage, publish, what was done before, what became of each |
//! | [`Mailboxes`] | list, status, create, rename, delete, subscribe, annotate |
//! | [`Messages`] | entries, open, flags, copy, move, append, expunge, changes, watch |
//! | [`Account`] | all of these, the upkeep of the index, what was removed |

mod carry;
#[cfg(test)]
mod contract;
mod deliveries;
mod error;
mod local;
mod mailboxes;
mod memory;
mod messages;
mod quota;
mod removed;
mod search;
mod sort;
mod thread;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::mail::{Crossing, MailboxName, Quota, Threshold, Uid, Usage};

pub use crate::index::{
    ActionKind, ActionResult, Counts, DatabaseSize, Delivery, Ending, HistoryKey, PastAction, PastDelivery, Record,
    Remembered, Step, TableSize, Verdict,
};
pub use crate::maildir::Disk;
pub use carry::{
    Bystander, Carried, CarryError, ExportFormat, ExportOptions, ImportOptions, Source, SourceFormat, export, import,
};
pub use deliveries::{Deliveries, Explained, Publication, Published, Staged, Target};
pub use error::StoreError;
pub use local::{IndexStats, LocalStore, Options};
pub use mailboxes::{MailboxStatus, Mailboxes};
pub use memory::MemoryStore;
pub use messages::{Alteration, Altered, Body, Changes, Detail, Entry, Incoming, Messages, Transferred, Watch};
pub use quota::{Drift, Recount};
pub use removed::Removed;
pub use search::{Day, FieldKey, Period, SearchError, SearchKey, search};
pub use sort::{SortBy, SortError, SortKey, sort};
pub use thread::{Thread, ThreadBy, Threads, thread};

/// A place with accounts.
pub trait Store: Send + Sync {
    /// Opens an account, making it where it is missing. `user` names it in messages
    /// and where the index lies apart from the mail; `home` is the folder of its mail.
    ///
    /// # Errors
    /// Where it can be neither opened nor made.
    fn account(&self, user: &str, home: &Path) -> Result<Arc<dyn Account>, StoreError>;
}

/// One account: its mailboxes, their messages, and what is remembered about its deliveries.
///
/// All methods may block on the disk, and may be called from many threads.
pub trait Account: Deliveries + Mailboxes + Messages {
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

    /// What counts for a quota, as the index has it.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn quota_usage(&self, quota: &Quota) -> Result<Usage, StoreError>;

    /// The thresholds of a quota that what is used has crossed since this was last asked,
    /// in their order. It is remembered durably: of two who ask at once one is told.
    ///
    /// # Errors
    /// Where it cannot be told; it will be then.
    fn quota_crossings(&self, quota: &Quota, thresholds: &[Threshold]) -> Result<Vec<Crossing>, StoreError>;

    /// Brings the index up to what other programs did, counts all messages anew, and
    /// rewrites what is kept of the usage for other programs.
    ///
    /// # Errors
    /// Where the mail cannot be read or the counts not be written.
    fn recount(&self, quota: &Quota) -> Result<Recount, StoreError>;

    /// Compares index and mail and says in words what does not agree; empty where all does.
    ///
    /// # Errors
    /// Where one of them cannot be read.
    fn check(&self) -> Result<Vec<String>, StoreError>;

    /// Whether the index was made just now, when the account was opened, of all mail that was there: to
    /// [rebuild](Account::rebuild) it would do the same again.
    fn is_indexed_anew(&self) -> bool {
        false
    }

    /// Makes the index anew from the mail, with the same UIDVALIDITY and UIDs.
    ///
    /// # Errors
    /// Where the mail cannot be read; the index is then as it was.
    fn rebuild(&self) -> Result<(), StoreError>;

    /// Does what can wait, until all is done (true) or `until` has come: enters messages into the full
    /// text index, compresses what lies about, forgets what has had its time. In small steps, so that a
    /// delivery never waits for more than one of them; what a crash interrupts goes on next time.
    ///
    /// # Errors
    /// Where a step fails; those before it stand.
    fn tend(&self, until: Instant) -> Result<bool, StoreError>;

    /// The messages that were expunged or removed, or whose mailbox was deleted, by this program, and that
    /// are still kept, the last ones first. Empty where none are.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn removed(&self) -> Result<Vec<Removed>, StoreError>;

    /// Puts a message back that was removed, by the id that [`Account::removed`] gave it: into its mailbox,
    /// which is made where it is missing, with its flags and INTERNALDATE and a new UID.
    ///
    /// # Errors
    /// [`StoreError::NoRemoved`], or where it fails on the disk; it is then kept as before.
    fn restore(&self, id: &str) -> Result<(MailboxName, Uid), StoreError>;
}
