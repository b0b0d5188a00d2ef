//! What scripts may ask about the account.

use std::io;

use crate::mail::MailboxName;
use crate::sieve::{Account as Asked, Location, Script, ScriptFolders, ScriptName};
use crate::store::{Account, Remembered};

/// Answers a script from the store.
pub(super) struct Inquiry<'a> {
    pub(super) account: &'a dyn Account,
    pub(super) folders: &'a ScriptFolders,
}

impl Asked for Inquiry<'_> {
    fn mailbox_exists(&self, mailbox: &MailboxName) -> bool {
        self.account.has_mailbox(mailbox).unwrap_or(false)
    }

    // Where it cannot be told, the message counts as not seen: rather twice than lost.
    fn seen(&self, id: &str) -> bool {
        self.account
            .remembers(&Remembered::Duplicate(id.to_owned()))
            .unwrap_or(false)
    }

    fn include(&self, location: Location, name: &ScriptName) -> io::Result<Option<Script>> {
        self.folders.include(location, name)
    }
}
