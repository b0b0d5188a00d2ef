//! Waiting for a change.

use std::sync::PoisonError;
use std::time::Duration;

use crate::mail::{MailboxName, ModSeq, UidValidity};
use crate::store::{StoreError, Watch};

use super::state::State;
use super::{MemoryAccount, lock};

/// A watch of one mailbox.
pub(super) struct MemoryWatch<'account> {
    account: &'account MemoryAccount,
    mailbox: MailboxName,
    seen: Mark,
}

/// What differs after every change of the messages: a mailbox made anew has another UIDVALIDITY.
type Mark = (UidValidity, ModSeq);

impl<'account> MemoryWatch<'account> {
    pub(super) fn new(account: &'account MemoryAccount, name: &MailboxName) -> Result<Self, StoreError> {
        let seen = account.read(|state| mark(state, name).ok_or_else(|| account.no_mailbox(name)))?;
        Ok(MemoryWatch {
            account,
            mailbox: name.clone(),
            seen,
        })
    }
}

impl Watch for MemoryWatch<'_> {
    /// A mailbox that is gone can no longer be watched.
    fn wait(&mut self, timeout: Duration) -> Result<bool, StoreError> {
        let unchanged = |state: &mut State| mark(state, &self.mailbox) == Some(self.seen);
        let waited = self
            .account
            .changed
            .wait_timeout_while(lock(&self.account.state), timeout, unchanged);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let now = mark(&state, &self.mailbox).ok_or_else(|| self.account.no_mailbox(&self.mailbox))?;
        Ok(std::mem::replace(&mut self.seen, now) != now)
    }
}

fn mark(state: &State, name: &MailboxName) -> Option<Mark> {
    let mailbox = state.mailboxes.get(name)?;
    Some((mailbox.validity, mailbox.highest_modseq))
}
