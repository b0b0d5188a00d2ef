//! Actions as values: what the scripts want done, in order.

use std::ops::Deref;
use std::sync::Arc;

use crate::mail::{Address, Flags, MailboxName, SpecialUse};
use crate::message::Message;

/// What is to be done with one message for one recipient.
///
/// `keep` and `fileinto` of one mailbox appear once; an address gets one
/// redirect. Empty means discarded on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The actions, in the order in which they are carried out.
    pub actions: Vec<Planned>,
    /// Ids of `duplicate` tests (RFC 7352) to remember once the plan is carried out,
    /// each with the seconds it is remembered.
    pub remember: Vec<(String, u64)>,
}

impl Plan {
    /// The implicit keep alone (RFC 5228 §2.10.2).
    #[must_use]
    pub fn keep() -> Plan {
        Plan {
            actions: vec![Planned::new(Action::Keep { flags: Flags::new() })],
            remember: Vec::new(),
        }
    }
}

/// An action with the message that it is about and the command that asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What is to be done.
    pub action: Action,
    /// The message as the script had changed it by then (RFC 5293, RFC 5703); none where it is the one that
    /// came.
    pub edition: Option<Message>,
    /// The command; none for the implicit keep.
    pub origin: Option<Origin>,
}

impl Planned {
    /// An action of no script, about the message that came.
    #[must_use]
    pub fn new(action: Action) -> Planned {
        Planned {
            action,
            edition: None,
            origin: None,
        }
    }
}

impl Deref for Planned {
    type Target = Action;

    fn deref(&self) -> &Action {
        &self.action
    }
}

/// Where in which script an action was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// [`Script::name`](super::Script::name) of the script, an included one too.
    pub script: Arc<str>,
    /// The line, counted from 1, where it is known.
    pub line: Option<u32>,
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
        /// `:specialuse` (RFC 8579 §4), where no mailbox had it: what a mailbox that is made for this message
        /// is for.
        special_use: Option<SpecialUse>,
    },
    /// To another address (RFC 5228 §4.2).
    Redirect {
        /// To whom.
        address: Address,
        /// `:copy` (RFC 3894).
        copy: bool,
        /// What the next server is asked for (RFC 6009).
        dsn: RedirectDsn,
    },
    /// To a program of the site, on its standard input (`vnd.dovecot.pipe`).
    Pipe {
        /// Its name in the site's folder.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
        /// `:copy`.
        copy: bool,
        /// `:try`: a failure is no error.
        attempt: bool,
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
        /// `:from` (RFC 5435 §3.3), where given.
        from: Option<String>,
        /// `:options` (RFC 5435 §3.5), each `name=value`.
        options: Vec<String>,
        /// The text; empty where the script gave none.
        message: String,
        /// 1 high, 2 normal, 3 low.
        importance: u8,
        /// `:fcc` (RFC 8580).
        fcc: Option<Fcc>,
    },
    /// A report about the message as it came (RFC 5965, `vnd.dovecot.report`).
    Report(FeedbackReport),
}

/// A report of abuse, or of the opposite (RFC 5965).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedbackReport {
    /// To whom; never to the account itself.
    pub address: Address,
    /// What kind of report, such as `abuse`: one word.
    pub feedback_type: String,
    /// Words for a person.
    pub message: String,
    /// `:headers_only`: without the body of the message.
    pub headers_only: bool,
}

/// A copy of a message that an action writes, for a mailbox (RFC 8580).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fcc {
    /// Which.
    pub mailbox: MailboxName,
    /// Flags to set; without `:flags`, `\\Seen` is up to who files it.
    pub flags: Flags,
    /// `:create`.
    pub create: bool,
    /// As with `fileinto`.
    pub special_use: Option<SpecialUse>,
}

/// What `redirect` asks of the next server (RFC 6009 §4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedirectDsn {
    /// `:notify`: a value for NOTIFY (RFC 3461 §4.1).
    pub notify: Option<String>,
    /// `:ret`: a value for RET (RFC 3461 §4.3).
    pub ret: Option<String>,
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
    /// `:fcc` (RFC 8580).
    pub fcc: Option<Fcc>,
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
