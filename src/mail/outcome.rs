//! What became of one message for one recipient.

use std::sync::Arc;

use super::{DeliveryId, MailboxName, Uid};

/// Every way out of a delivery. One place turns it into a reply, one into a log line.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Done as the filter wished; nothing more is owed to the sender.
    Delivered {
        /// The id under which the log knows it: the earlier one where `again`.
        id: DeliveryId,
        /// Where copies lie; empty where it was only redirected or discarded.
        placements: Vec<Placement>,
        /// Addresses to which it was redirected.
        redirected: Vec<String>,
        /// Whether the same delivery was already done before (nothing was done now).
        again: bool,
    },
    /// Will never be delivered; the sender is to be told.
    Refused(Refusal),
    /// Not now; the MTA keeps it and tries again.
    Deferred(Deferral),
}

/// A copy of a message in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// Its UID there; none where it gets that later, because Dovecot held its list.
    pub uid: Option<Uid>,
}

/// Why a message is refused for good.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// No such user.
    UnknownUser,
    /// The account is full.
    OverQuota,
    /// Larger than the limit in bytes.
    TooLarge(u64),
    /// The filter refuses it, with this reason for the sender.
    Rejected(String),
    /// The message has passed here too often.
    Loop,
}

/// Why a message is not delivered now.
#[derive(Clone, Debug)]
pub enum Deferral {
    /// The account is full, and the site wants that to be temporary.
    OverQuota,
    /// The disk is full.
    DiskFull(Cause),
    /// Whatever else went wrong; the cause is for the log, not for the sender.
    Trouble(Cause),
}

/// What went wrong, for the postmaster's eyes: the chain of errors as one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause(Arc<str>);

impl Cause {
    /// The text of an error and of all its sources.
    #[must_use]
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Cause {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let more = error.to_string();
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            source = error.source();
        }
        Cause(text.into())
    }

    /// A cause in words.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Cause {
        Cause(text.into())
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
