//! How a command fails: an exit code and words.

use std::error::Error;
use std::fmt::Display;
use std::path::Path;

use crate::config::ConfigError;
use crate::mail::Cause;
use crate::store::StoreError;

/// Exit codes of sysexits(3).
pub(super) mod exit {
    pub(crate) const OK: u8 = 0;
    pub(crate) const USAGE: u8 = 64;
    pub(crate) const DATAERR: u8 = 65;
    pub(crate) const NOUSER: u8 = 67;
    pub(crate) const TEMPFAIL: u8 = 75;
    pub(crate) const NOPERM: u8 = 77;
    pub(crate) const CONFIG: u8 = 78;
}

/// Why a command failed.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: u8,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(code: u8, message: impl Into<String>) -> Fault {
        Fault {
            code,
            message: message.into(),
        }
    }

    /// An error of the configuration: what, and why.
    pub(super) fn config(error: &(dyn Error + 'static)) -> Fault {
        Fault::new(exit::CONFIG, Cause::of(error).to_string())
    }

    /// A file that cannot be read, or is not what it should be.
    pub(super) fn file(path: &Path, error: &impl Display) -> Fault {
        Fault::new(exit::DATAERR, format!("{}: {error}", path.display()))
    }
}

impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Fault {
        Fault::new(exit::CONFIG, error.to_string())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        let code = match &error {
            StoreError::NoMailbox { .. }
            | StoreError::NoMessage { .. }
            | StoreError::MailboxExists { .. }
            | StoreError::NoRemoved { .. }
            | StoreError::Annotation { .. }
            | StoreError::Forbidden { .. } => exit::DATAERR,
            error if error.is_damaged() => exit::DATAERR,
            _ => exit::TEMPFAIL,
        };
        Fault::new(code, Cause::of(&error).to_string())
    }
}
