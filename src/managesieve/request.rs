//! What a session asks of the server, and what it is answered.

use std::fmt;

use crate::sieve::{Checked, ScriptName};

/// Who wants to log in, by SASL PLAIN (RFC 4616).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user, as given: an address or a name.
    pub user: String,
    /// The password. It is not among what `Debug` prints.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What is to be done with the scripts of the user who is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// RFC 5804 §2.5: say whether there is room for a script of that many bytes.
    HaveSpace {
        /// Its name.
        name: ScriptName,
        /// Its bytes.
        size: u64,
    },
    /// RFC 5804 §2.6: check a script, and store it where it compiles. It is UTF-8 and has no NUL.
    PutScript {
        /// Its name.
        name: ScriptName,
        /// Its text.
        source: Vec<u8>,
    },
    /// RFC 5804 §2.7: all scripts.
    ListScripts,
    /// RFC 5804 §2.8: check a script, and make it the active one; none: no script runs.
    SetActive(Option<ScriptName>),
    /// RFC 5804 §2.9: the text of a script.
    GetScript(ScriptName),
    /// RFC 5804 §2.10: delete a script that is not active.
    DeleteScript(ScriptName),
    /// RFC 5804 §2.11: rename a script.
    RenameScript {
        /// Its name.
        from: ScriptName,
        /// Its new name, which no script has.
        to: ScriptName,
    },
    /// RFC 5804 §2.12: check a script and store nothing.
    CheckScript(Vec<u8>),
}

/// What became of a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// The script was checked: with errors nothing was done, without it is done.
    Checked(Checked),
    /// The scripts by name, and whether each is the active one.
    Scripts(Vec<(ScriptName, bool)>),
    /// The text of a script.
    Script(Vec<u8>),
    /// Nothing was done.
    Refused(Refusal),
}

/// Why nothing was done; the text is for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `NONEXISTENT`.
    NoScript,
    /// `ALREADYEXISTS`.
    Exists,
    /// `ACTIVE`.
    Active,
    /// `QUOTA/MAXSCRIPTS`.
    TooManyScripts(String),
    /// `QUOTA/MAXSIZE`.
    TooLarge(String),
    /// `QUOTA`.
    OverQuota(String),
    /// `TRYLATER`: for a reason that passes.
    TryLater,
    /// For a reason that somebody must remove.
    Other(String),
}
