//! What a store can fail with.

use crate::index::IndexError;
use crate::mail::{AnnotationError, MailboxName, QuotaUnit, Uid};
use crate::maildir::DiskError;

/// What went wrong in a store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// An operation on the Maildir.
    #[error(transparent)]
    Disk(std::sync::Arc<DiskError>),
    /// An operation on the index.
    #[error(transparent)]
    Index(std::sync::Arc<IndexError>),
    /// A mailbox that does not exist.
    #[error("{user} has no mailbox {name}")]
    NoMailbox {
        /// The account.
        user: String,
        /// The mailbox.
        name: MailboxName,
    },
    /// A mailbox that stands in the way.
    #[error("{user} has a mailbox {name} already")]
    MailboxExists {
        /// The account.
        user: String,
        /// The mailbox.
        name: MailboxName,
    },
    /// What the rules of mailboxes do not allow.
    #[error("{name} of {user}: {reason}")]
    Forbidden {
        /// The account.
        user: String,
        /// The mailbox.
        name: MailboxName,
        /// Why not.
        reason: &'static str,
    },
    /// A message that does not exist.
    #[error("{mailbox} of {user} has no message with UID {uid}")]
    NoMessage {
        /// The account.
        user: String,
        /// The mailbox.
        mailbox: MailboxName,
        /// The UID.
        uid: Uid,
    },
    /// A removed message that is not kept, or no longer.
    #[error("{user} has no removed message {id:?}: `postroom message undelete {user} --list` names those there are")]
    NoRemoved {
        /// The account.
        user: String,
        /// What it was asked for by.
        id: String,
    },
    /// All four thousand million UIDs of a mailbox were given.
    #[error("{name} of {user} has no UIDs left: move its messages to a new mailbox")]
    NoUidLeft {
        /// The account.
        user: String,
        /// The mailbox.
        name: MailboxName,
    },
    /// The same delivery is being made by another session at this moment, or was when
    /// that session died.
    #[error("the same delivery to {user} is under way in another session")]
    UnderWay {
        /// The account.
        user: String,
    },
    /// An annotation that cannot be written.
    #[error("cannot annotate a mailbox or the server for {user}")]
    Annotation {
        /// The account.
        user: String,
        /// Why not.
        #[source]
        source: AnnotationError,
    },
    /// There is no room for a message.
    #[error("{user} is over quota: {used} of {limit} {unit}")]
    OverQuota {
        /// The account.
        user: String,
        /// What is counted.
        unit: QuotaUnit,
        /// What is used of it without the message.
        used: u64,
        /// The limit for where it was to go.
        limit: u64,
    },
}

impl StoreError {
    /// Whether it failed because the disk, or the user's share of it, is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            StoreError::Disk(error) => {
                let full = [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT].map(rustix::io::Errno::raw_os_error);
                error.source.raw_os_error().is_some_and(|code| full.contains(&code))
            }
            StoreError::Index(error) => error.is_disk_full(),
            _ => false,
        }
    }

    /// Whether the index is damaged; it can be set aside and made anew.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        matches!(self, StoreError::Index(error) if error.is_damaged())
    }
}

impl From<DiskError> for StoreError {
    fn from(error: DiskError) -> StoreError {
        StoreError::Disk(error.into())
    }
}

impl From<IndexError> for StoreError {
    fn from(error: IndexError) -> StoreError {
        StoreError::Index(error.into())
    }
}
