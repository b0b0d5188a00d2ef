//! Actions as values: what the scripts want done, in order.

use crate::mail::{Address, Flags, MailboxName};

/// What is to be done with one message for one recipient.
///
/// `keep` and `fileinto` of one mailbox appear once; an address gets one
/// redirect. Empty means discarded on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The actions, in the order in which they are carried out.
    pub actions: Vec<Action>,
    /// Ids of `duplicate` tests (RFC 7352) to remember once the plan is carried out,
    /// each with the seconds it is remembered.
    pub remember: Vec<(String, u64)>,
}

impl Plan {
    /// The implicit keep alone (RFC 5228 §2.10.2).
    #[must_use]
    pub fn keep() -> Plan {
        Plan {
            actions: vec![Action::Keep { flags: Flags::new() }],
            remember: Vec::new(),
        }
    }
}

/// One action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Into INBOX, explicit or implicit (RFC 5228 §4.3).
    Keep {
        /// Flags to set (RFC 5232).
        flags: Flags,
    },
    /// Into a mailbox (RFC 5228 §4.1).
    FileInto {
        /// Which.
        mailbox: MailboxName,
        /// Flags to set (RFC 5232).
        flags: Flags,
        /// `:copy` (RFC 3894): it did not cancel the implicit keep.
        copy: bool,
        /// `:create` (RFC 5490 §3.2).
        create: bool,
    },
    /// To another address (RFC 5228 §4.2).
    Redirect {
        /// To whom.
        address: Address,
        /// `:copy` (RFC 3894).
        copy: bool,
    },
    /// Nothing else delivers, redirects or rejects (RFC 5228 §4.4).
    Discard,
    /// Refused, with the reason for the sender (RFC 5429).
    Reject {
        /// Words for the sender.
        reason: String,
        /// `ereject` rather than `reject`.
        ereject: bool,
    },
    /// An automatic reply (RFC 5230). All conditions but the memory of earlier
    /// replies were met.
    Vacation(VacationReply),
    /// A notification (RFC 5435).
    Notify {
        /// The method's URI, such as `mailto:ann@example.org`.
        method: String,
        /// The addresses in it, where it is a `mailto`.
        addresses: Vec<Address>,
        /// The text; empty where the script gave none.
        message: String,
        /// 1 high, 2 normal, 3 low.
        importance: u8,
    },
}

/// The reply of `vacation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VacationReply {
    /// To whom: the reverse path.
    pub address: Address,
    /// The subject, decoded; never with a line end.
    pub subject: String,
    /// The text, or a MIME entity where `mime`.
    pub message: String,
    /// `:mime`.
    pub mime: bool,
    /// `:from`, where given.
    pub from: Option<String>,
    /// How long the sender gets no second reply.
    pub period: Period,
    /// What counts as the same reply: `:handle`, or a hash of its parameters.
    pub handle: String,
}

/// The period of `vacation`, in the unit in which the script gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// `:days` (RFC 5230 §4.1).
    Days(u64),
    /// `:seconds` (RFC 6131).
    Seconds(u64),
}

impl Period {
    /// The period in seconds.
    #[must_use]
    pub fn seconds(self) -> u64 {
        match self {
            Period::Days(days) => days.saturating_mul(86_400),
            Period::Seconds(seconds) => seconds,
        }
    }
}
