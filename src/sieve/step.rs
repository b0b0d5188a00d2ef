//! What a script said, before anything of it is checked: the words between an
//! evaluator and the rest of the room.
//!
//! An evaluator knows Sieve; it knows nothing of sites, limits, own addresses or how
//! actions go together. It reports what was executed, in order, with the strings as
//! they came out of the script.

use super::{Origin, Period, RedirectDsn};
use crate::message::Message;

/// An executed command, where it stands, and the message as it was by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Executed {
    pub(super) step: Step,
    pub(super) origin: Origin,
    /// None where the script has not changed the message.
    pub(super) edition: Option<Message>,
}

/// One executed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// `keep`, written out.
    Keep { flags: Vec<String> },
    /// `fileinto`.
    FileInto {
        mailbox: String,
        flags: Vec<String>,
        copy: bool,
        create: bool,
        /// `:specialuse`, as written; `mailbox` is what is left where no mailbox has it.
        special_use: Option<String>,
    },
    /// `redirect`.
    Redirect {
        address: String,
        copy: bool,
        dsn: RedirectDsn,
    },
    /// `pipe` of `vnd.dovecot.pipe`.
    Pipe {
        program: String,
        arguments: Vec<String>,
        copy: bool,
        attempt: bool,
    },
    /// `discard`.
    Discard,
    /// `reject` or `ereject`.
    Reject { reason: String, ereject: bool },
    /// `vacation`, whether or not a reply will be sent.
    Vacation(VacationStep),
    /// `notify`.
    Notify {
        method: String,
        from: Option<String>,
        options: Vec<String>,
        message: String,
        importance: Option<String>,
        fcc: Option<FccStep>,
    },
    /// `report` of `vnd.dovecot.report`.
    Report {
        feedback_type: String,
        address: String,
        message: String,
        headers_only: bool,
    },
    /// What the script does besides, for the log: `vnd.dovecot.debug`, headers it must not change.
    Remark(String),
    /// A `duplicate` test whose id is to be remembered (RFC 7352).
    Remember { id: String, seconds: u64 },
}

/// The arguments of `vacation` (RFC 5230 §4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct VacationStep {
    pub(super) reason: String,
    pub(super) subject: Option<String>,
    pub(super) from: Option<String>,
    pub(super) addresses: Vec<String>,
    pub(super) mime: bool,
    pub(super) period: Option<Period>,
    pub(super) handle: String,
    pub(super) fcc: Option<FccStep>,
}

/// The arguments of `:fcc` (RFC 8580 §3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FccStep {
    pub(super) mailbox: String,
    /// None without `:flags`.
    pub(super) flags: Option<Vec<String>>,
    pub(super) create: bool,
    pub(super) special_use: Option<String>,
}

/// How one script ended, when it ended well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) steps: Vec<Executed>,
    /// The internal variable of RFC 5232 at the end.
    pub(super) flags: Vec<String>,
    /// The message at the end, where the script changed it: what the implicit keep keeps.
    pub(super) edition: Option<Message>,
}
