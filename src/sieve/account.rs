//! What scripts can ask about an account and its site.

use std::io;

use super::{Location, Script, ScriptName};
use crate::mail::{MailboxName, SpecialUse};

/// What scripts can ask about the account. Answers have no effect. What an implementor leaves
/// out has the answer of an account that knows nothing of it.
pub trait Account {
    /// Whether a mailbox exists (RFC 5490 §3.1).
    fn mailbox_exists(&self, mailbox: &MailboxName) -> bool;

    /// Whether an id of `duplicate` is remembered (RFC 7352).
    fn seen(&self, id: &str) -> bool;

    /// The script that `include` names; none where there is no such script.
    ///
    /// # Errors
    /// What reading it failed with; it becomes a run-time error of the script.
    fn include(&self, location: Location, name: &ScriptName) -> io::Result<Option<Script>>;

    /// The mailbox with this MAILBOXID (RFC 8474, RFC 9042).
    fn mailbox_with_id(&self, _id: &str) -> Option<MailboxName> {
        None
    }

    /// The mailbox that is for this (RFC 6154, RFC 8579).
    fn mailbox_for(&self, _special_use: SpecialUse) -> Option<MailboxName> {
        None
    }

    /// What a mailbox is for (RFC 8579 §3).
    fn special_use(&self, _mailbox: &MailboxName) -> Option<SpecialUse> {
        None
    }

    /// An annotation (RFC 5464) of a mailbox, or of the server where none is named (RFC 5490 §3.3, §4).
    fn annotation(&self, _mailbox: Option<&MailboxName>, _name: &str) -> Option<String> {
        None
    }

    /// Whether a list holds a value (RFC 6134); none where there is no such list.
    ///
    /// # Errors
    /// What reading it failed with; it becomes a run-time error of the script.
    fn list_contains(&self, _list: &str, _value: &str) -> io::Result<Option<bool>> {
        Ok(None)
    }

    /// The addresses of a list to which a message may be redirected (RFC 6134, `redirect :list`); none
    /// where there is no such list.
    ///
    /// # Errors
    /// What reading it failed with; it becomes a run-time error of the script.
    fn list_members(&self, _list: &str) -> io::Result<Option<Vec<String>>> {
        Ok(None)
    }

    /// Runs one of the site's programs (`vnd.dovecot.filter`, `vnd.dovecot.execute`) with this standard
    /// input.
    ///
    /// # Errors
    /// [`ProgramError`]. [`ProgramError::None`] becomes a run-time error of the script, unless it only asks; the
    /// others are for the log, and the script goes on as if the program had refused.
    fn run_program(&self, name: &str, _arguments: &[String], _input: &[u8]) -> Result<ProgramOutput, ProgramError> {
        Err(ProgramError::None(name.to_owned()))
    }
}

/// How a program ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramOutput {
    /// Whether its exit status was 0.
    pub success: bool,
    /// What it wrote to its standard output.
    pub output: Vec<u8>,
}

/// Why a program did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// No such program.
    #[error("there is no program {0:?} for scripts on this site")]
    None(String),
    /// It ran for too long.
    #[error("the program {name:?} took longer than {seconds} s")]
    Late {
        /// Its name.
        name: String,
        /// The limit.
        seconds: u64,
    },
    /// It wrote too much.
    #[error("the program {name:?} wrote more than {limit} bytes")]
    Flood {
        /// Its name.
        name: String,
        /// The limit.
        limit: u64,
    },
    /// It could not be started or spoken with.
    #[error("the program {name:?} cannot be run")]
    Io {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}
