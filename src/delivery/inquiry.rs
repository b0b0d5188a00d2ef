//! What scripts may ask about the account.

use std::io;
use std::path::Path;

use crate::mail::{AnnotationName, MailboxName, SpecialUse};
use crate::sieve::{Account as Asked, Location, ProgramError, ProgramOutput, Script, ScriptFolders, ScriptName};
use crate::store::{Account, MailboxStatus, Remembered};

use super::lists::Lists;
use super::programs::is_gone;
use super::{Delivery, Sorter};

/// Answers a script from the store, the site's programs and the lists.
pub(super) struct Inquiry<'a> {
    pub(super) sorter: &'a Sorter,
    pub(super) account: &'a dyn Account,
    pub(super) home: &'a Path,
    pub(super) folders: &'a ScriptFolders,
    /// The delivery for which programs may run; none for mail that is there, which no program sees again.
    pub(super) delivery: Option<&'a Delivery<'a>>,
}

impl Inquiry<'_> {
    fn lists(&self) -> Lists {
        Lists::new(self.sorter.options.lists.as_deref(), self.home)
    }

    // As the index has it: of one whose folder another program took away, its existence is asked for apart.
    fn mailbox_where(&self, wanted: impl Fn(&MailboxStatus) -> bool) -> Option<MailboxName> {
        let mut mailboxes = self.account.mailboxes().ok()?.into_iter();
        let found = mailboxes.find(wanted)?;
        self.mailbox_exists(&found.name).then_some(found.name)
    }
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

    // RFC 5490 §3.3, §4: what cannot be told is an annotation that does not exist.
    fn annotation(&self, mailbox: Option<&MailboxName>, name: &str) -> Option<String> {
        let name = AnnotationName::parse(name).ok()?;
        self.account.annotation(mailbox, &name).ok().flatten()
    }

    fn include(&self, location: Location, name: &ScriptName) -> io::Result<Option<Script>> {
        self.folders.include(location, name)
    }

    fn mailbox_with_id(&self, id: &str) -> Option<MailboxName> {
        self.mailbox_where(|status| status.mailbox_id == id)
    }

    fn mailbox_for(&self, special_use: SpecialUse) -> Option<MailboxName> {
        self.mailbox_where(|status| status.special_use == Some(special_use))
    }

    fn special_use(&self, mailbox: &MailboxName) -> Option<SpecialUse> {
        let status = self.account.status(mailbox).ok()?;
        status.special_use
    }

    fn list_contains(&self, list: &str, value: &str) -> io::Result<Option<bool>> {
        self.lists().contains(list, value)
    }

    fn list_members(&self, list: &str) -> io::Result<Option<Vec<String>>> {
        self.lists().members(list)
    }

    fn run_program(&self, name: &str, arguments: &[String], input: &[u8]) -> Result<ProgramOutput, ProgramError> {
        let (Some(programs), Some(delivery)) = (&self.sorter.options.programs, self.delivery) else {
            return Err(ProgramError::None(name.to_owned()));
        };
        let call = self.sorter.call(delivery, name, arguments);
        let answer = programs.ask(self.sorter.submitter.runner(), &call, input);
        if let Err(error) = &answer
            && is_gone(error)
        {
            delivery.unanswered.set(true);
        }
        answer
    }
}
