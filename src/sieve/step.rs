//! What a script said, before anything of it is checked: the words between an
//! evaluator and the rest of the room.
//!
//! An evaluator knows Sieve; it knows nothing of sites, limits, own addresses or how
//! actions go together. It reports what was executed, in order, with the strings as
//! they came out of the script.

use super::Period;

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
    },
    /// `redirect`.
    Redirect { address: String, copy: bool },
    /// `discard`.
    Discard,
    /// `reject` or `ereject`.
    Reject { reason: String, ereject: bool },
    /// `vacation`, whether or not a reply will be sent.
    Vacation(VacationStep),
    /// `notify`.
    Notify {
        method: String,
        message: String,
        importance: Option<String>,
    },
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
}

/// How one script ended, when it ended well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) steps: Vec<Step>,
    /// The internal variable of RFC 5232 at the end.
    pub(super) flags: Vec<String>,
}
