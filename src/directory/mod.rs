//! Who lives here: addresses to accounts.
//!
//! [`open`] makes the [`Directory`] of the settings; `server` asks it at RCPT TO,
//! `delivery` and `cli` before they open an account. A lookup ends in an account,
//! in none (the sender is told 550), or in a [`LookupError`] (try again). An address
//! that could name something outside the root ([`FolderName`]) is never found.
//! Where users log in, `server` asks [`Directory::authenticate`].

mod accounts;
mod fixed;
mod folder_name;
mod matching;
mod passwd;
mod password;
mod passwords;
mod quantity;
mod table;
mod table_file;
mod watched;

use std::path::{Path, PathBuf};

use crate::mail::{Address, Quota};

pub use fixed::Static;
pub use folder_name::FolderName;
pub use passwd::{Own, Passwd, SystemAccount, SystemAccounts};
pub use password::{PasswordHash, PasswordHashError};
pub use quantity::{parse_extra, parse_percent, parse_quota, parse_size, show_extra, show_size};
pub use table::Table;
pub use table_file::{TableError, TableFormat};

/// An account, as found for one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The account's name, as logs and commands have it: its main address in lower
    /// case, or a system user's name.
    pub user: String,
    /// Where its mail lies.
    pub home: PathBuf,
    /// What stood behind the delimiter in the local part (RFC 5233 `:detail`).
    pub detail: Option<String>,
    /// The most bytes and messages the account may hold.
    pub quota: Quota,
    /// All addresses under which it gets mail, the main one first.
    pub addresses: Vec<Address>,
}

/// Why a lookup has no answer; always temporary.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The accounts could not be listed.
    #[error("cannot list the accounts in {}", place.display())]
    Unlisted {
        /// The folder or file.
        place: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The source could not be read.
    #[error("cannot look up {address} in {source_name}")]
    Unreadable {
        /// What was looked up.
        address: String,
        /// The file or service.
        source_name: String,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The table was never in order.
    #[error(transparent)]
    Table(TableError),
    /// The file of passwords was never in order.
    #[error(transparent)]
    Passwords(TableError),
    /// There is nothing that passwords could be held against.
    #[error("nobody can log in: {0}")]
    NoPasswords(&'static str),
}

/// A source of accounts. Lookups may block; they run on threads that may.
pub trait Directory: Send + Sync {
    /// The account that gets the mail of an address; none where there is none.
    ///
    /// # Errors
    /// [`LookupError`] where the source cannot tell: the MTA must try again.
    fn find(&self, address: &Address) -> Result<Option<Found>, LookupError>;

    /// Whether [`Directory::find`] answers from memory, so that it needs no thread that may block.
    fn answers_at_once(&self) -> bool {
        false
    }

    /// The account of a name given on the command line: an address or a user name.
    ///
    /// # Errors
    /// As [`Directory::find`].
    fn find_user(&self, user: &str) -> Result<Option<Found>, LookupError>;

    /// All accounts, by name; where anybody is a user, those that have a home. None where they cannot be listed.
    ///
    /// # Errors
    /// [`LookupError::Unlisted`] where the source cannot be read.
    fn accounts(&self) -> Result<Option<Vec<Found>>, LookupError>;

    /// The account of a user, as [`Directory::find_user`] takes it, where this is its password; none where it is
    /// another, or there is no such user, or one without a password, all of which take the same time.
    ///
    /// It is meant to be slow and to take memory, often 64 MiB: callers bound how many run at once.
    ///
    /// # Errors
    /// [`LookupError::NoPasswords`] where this directory has none at all; else as [`Directory::find`].
    fn authenticate(&self, user: &str, password: &str) -> Result<Option<Found>, LookupError>;

    /// How many accounts have a password, for a server that starts.
    ///
    /// # Errors
    /// As [`Directory::authenticate`].
    fn logins(&self) -> Result<usize, LookupError>;
}

/// The settings of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where accounts come from.
    pub source: Source,
    /// The domains whose mail is taken, the main one first. Domains are matched without case.
    pub domains: Vec<String>,
    /// Characters each of which may stand between user and detail; empty: none does.
    pub delimiters: String,
    /// Whether `Ann` and `ann` are two users.
    pub case_sensitive: bool,
    /// Who gets the mail of `postmaster` where no account has that name (RFC 5321 §4.5.1).
    pub postmaster: Option<Address>,
    /// The limits of accounts that have none of their own; its rules come behind theirs.
    pub quota: Quota,
}

/// Where accounts come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Users of the domains; home `{root}/{domain}/{local}`.
    Static {
        /// Local parts or whole addresses; none: any local part.
        users: Option<Vec<String>>,
        /// The file of their passwords, `user:hash` in each line; none: nobody can log in.
        passwords: Option<PathBuf>,
    },
    /// A file that lists the accounts; see [`Table`].
    Table {
        /// The file.
        file: PathBuf,
        /// How it is written.
        format: TableFormat,
    },
    /// The accounts of the system; see [`Passwd`].
    Passwd {
        /// The least user id that gets mail.
        minimum_uid: u32,
    },
}

/// Why a directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Every source but a table and the system's accounts lives by its domains.
    #[error("the directory has no domains")]
    NoDomains,
    /// A domain that cannot be a folder below the root.
    #[error("{0:?} is not a domain that can have a folder")]
    Domain(String),
    /// A user that cannot have a folder, or is of another domain.
    #[error("{0:?} is not a user of the domains that can have a folder")]
    User(String),
    /// The setting `postmaster` names nobody.
    #[error("the postmaster {0} is no user of this directory")]
    Postmaster(Address),
    /// The table could not be loaded the first time.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// Opens the directory of the settings; homes lie below `root` where nothing says otherwise.
///
/// # Errors
/// [`OpenError`] names the domain, the user, or the line of the table that is at fault.
pub fn open(options: &Options, root: &Path) -> Result<Box<dyn Directory>, OpenError> {
    Ok(match &options.source {
        Source::Static { .. } => Box::new(Static::open(options, root)?),
        Source::Table { file, format } => Box::new(Table::open(options, file, *format, root)?),
        Source::Passwd { minimum_uid } => {
            let minimum_uid = *minimum_uid;
            Box::new(Passwd::open(options, Box::new(Own { minimum_uid })))
        }
    })
}
