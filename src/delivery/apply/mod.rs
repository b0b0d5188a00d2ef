//! A script run over mail that is there already: what would become of each message, and doing it.
//!
//! Called by `cli::sieve`. [`Sorter::apply`] begins; [`Application::judge`] says what a script wants of messages and
//! touches nothing; [`Application::carry_out`] does it. `keep` leaves a message where it is, whatever mailbox that is.
//!
//! It can be stopped at any moment and done again: a message is first copied to where else it shall be, then flagged,
//! then redirected, and moved last, each by one operation of the store that is done or not. What was done is seen in the
//! mailboxes themselves: a copy by its EMAILID (RFC 8474), a redirect by the keyword [`REDIRECTED`].
//!
//! Nobody is answered about old mail: replies of `vacation`, notifications, refusals and programs are never carried
//! out, and redirects only where they are asked for; a message that is not redirected stays. Ids of `duplicate`
//! (RFC 7352) are neither asked nor remembered: at its own delivery each message left one.
//!
//! | file | subject |
//! | --- | --- |
//! | `judge.rs` | from a plan to deeds |
//! | `carry_out.rs` | deeds done |
//! | `envelope.rs` | the envelope, from the trace fields of a message |
//! | `standing.rs` | what a script hears about the account |

mod carry_out;
mod envelope;
mod judge;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;

use crate::directory::Found;
use crate::mail::{Address, EmailId, Flags, MailboxName, ReversePath, SpecialUse, Uid};
use crate::message::{Message, SpoolError, SpoolOptions};
use crate::sieve::{Script, ScriptError, ScriptFolders, Scripts};
use crate::store::{Account, StoreError};
use crate::submission::SubmitError;

use super::Sorter;

/// The keyword of a message that was redirected, so that it is not done again.
pub const REDIRECTED: &str = "$Redirected";

/// What may be done that cannot be undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct May {
    /// Remove what a script discards, where no mailbox is for `\Trash`.
    pub expunge: bool,
    /// Redirect.
    pub redirect: bool,
}

/// What is to become of one message.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// The message.
    pub uid: Uid,
    /// What is to be done, in this order.
    pub deeds: Vec<Deed>,
    /// What the script wants and is not done.
    pub undone: Vec<Undone>,
    /// The script failed: nothing is done.
    pub error: Option<ScriptError>,
}

impl Ruling {
    /// Whether the message stays as it is, as the script wants.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.deeds.is_empty() && self.undone.is_empty() && self.error.is_none()
    }
}

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Copy it into a mailbox, and give the copy these flags too.
    Copy {
        /// Which.
        mailbox: MailboxName,
        /// Flags to add.
        flags: Flags,
    },
    /// A copy is there: give it these flags.
    FlagCopy {
        /// In which mailbox.
        mailbox: MailboxName,
        /// The copy.
        uid: Uid,
        /// Flags to add.
        flags: Flags,
    },
    /// Give it these flags; where it is moved it takes them with it.
    Flag(Flags),
    /// Send it to an address.
    Redirect {
        /// To whom.
        address: Address,
        /// With which sender.
        reverse_path: ReversePath,
        /// What is sent.
        message: Message,
    },
    /// Move it to a mailbox.
    Move {
        /// Which.
        mailbox: MailboxName,
        /// Because it is discarded, or lives on elsewhere alone.
        discarded: bool,
    },
    /// Remove it.
    Expunge,
}

/// Something that a script wants and that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// What, as `redirect to bob@example.net`.
    pub what: String,
    /// Why not, and the remedy where there is one.
    pub why: String,
}

/// A message whose redirect was not taken. It stays where it is.
#[derive(Debug)]
pub struct NotRedirected {
    /// The message.
    pub uid: Uid,
    /// To whom it should have gone.
    pub address: Address,
    /// Why it did not.
    pub error: SubmitError,
}

/// Why a script cannot be run over a mailbox any further; what was done stands.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A message cannot be held.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// A message cannot be read.
    #[error("cannot read the message with UID {uid}")]
    Read {
        /// Which.
        uid: Uid,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A script on its way through a mailbox.
pub struct Application<'a> {
    sorter: &'a Sorter,
    found: &'a Found,
    account: &'a dyn Account,
    mailbox: &'a MailboxName,
    scripts: Scripts,
    folders: ScriptFolders,
    spool: SpoolOptions,
    may: May,
    trash: Option<MailboxName>,
    /// What lies in the mailboxes into which something was copied.
    copies: HashMap<MailboxName, HashMap<EmailId, Standing>>,
    /// Mailboxes that are to be made, and what they are for.
    missing: HashMap<MailboxName, Option<SpecialUse>>,
}

/// A message that lies in a mailbox, or is about to.
#[derive(Clone, Debug)]
struct Standing {
    uid: Option<Uid>,
    flags: Flags,
}

impl Sorter {
    /// Runs a script over a mailbox of an account. Scripts of the site do not run with it.
    ///
    /// # Errors
    /// Where the mailboxes cannot be listed.
    pub fn apply<'a>(
        &'a self,
        (found, account): (&'a Found, &'a dyn Account),
        mailbox: &'a MailboxName,
        script: Script,
        spool: SpoolOptions,
        may: May,
    ) -> Result<Application<'a>, ApplyError> {
        let mut mailboxes = account.mailboxes()?.into_iter();
        let trash = mailboxes.find(|mailbox| mailbox.special_use == Some(SpecialUse::Trash));
        Ok(Application {
            sorter: self,
            found,
            account,
            mailbox,
            scripts: Scripts {
                user: Some(script),
                ..Scripts::default()
            },
            folders: self.script_folders(found),
            spool,
            may,
            trash: trash.map(|mailbox| mailbox.name),
            copies: HashMap::new(),
            missing: HashMap::new(),
        })
    }
}
