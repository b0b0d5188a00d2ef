//! What a script hears about the account when it runs over old mail.

use std::io;

use crate::mail::{MailboxName, SpecialUse};
use crate::sieve::{Account, Location, ProgramError, ProgramOutput, Script, ScriptName};

use super::super::inquiry::Inquiry;

/// Answers as at a delivery, but for what each message left behind at its own.
pub(super) struct Asked<'a>(pub(super) Inquiry<'a>);

impl Account for Asked<'_> {
    fn mailbox_exists(&self, mailbox: &MailboxName) -> bool {
        self.0.mailbox_exists(mailbox)
    }

    // The delivery of each message left its id: all of them would be duplicates of themselves.
    fn seen(&self, _: &str) -> bool {
        false
    }

    fn include(&self, location: Location, name: &ScriptName) -> io::Result<Option<Script>> {
        self.0.include(location, name)
    }

    fn mailbox_with_id(&self, id: &str) -> Option<MailboxName> {
        self.0.mailbox_with_id(id)
    }

    fn mailbox_for(&self, special_use: SpecialUse) -> Option<MailboxName> {
        self.0.mailbox_for(special_use)
    }

    fn special_use(&self, mailbox: &MailboxName) -> Option<SpecialUse> {
        self.0.special_use(mailbox)
    }

    fn annotation(&self, mailbox: Option<&MailboxName>, name: &str) -> Option<String> {
        self.0.annotation(mailbox, name)
    }

    fn list_contains(&self, list: &str, value: &str) -> io::Result<Option<bool>> {
        self.0.list_contains(list, value)
    }

    fn list_members(&self, list: &str) -> io::Result<Option<Vec<String>>> {
        self.0.list_members(list)
    }

    // What a program does is done, also where a run is only to show something.
    fn run_program(&self, name: &str, _: &[String], _: &[u8]) -> Result<ProgramOutput, ProgramError> {
        Err(ProgramError::Io {
            name: name.to_owned(),
            source: io::Error::other("no program runs over mail that is there already"),
        })
    }
}
