//! Waiting for changes of a mailbox, whoever makes them.
//!
//! Whatever happens to a message renames, makes or removes a file in `new/` or `cur/`, so the
//! kernel tells of it, in this process and of others. Where the kernel has no more watches to
//! give, the folder's times are looked at once a second.

use std::thread;
use std::time::{Duration, Instant};

use crate::mail::{MailboxName, ModSeq, Uid};
use crate::maildir::Watcher;
use crate::store::{StoreError, Watch};

use super::account::LocalAccount;
use super::lock;

/// How often a folder is looked at that cannot be watched.
const LOOK: Duration = Duration::from_secs(1);

/// A watch on one mailbox.
pub(super) struct LocalWatch<'account> {
    account: &'account LocalAccount,
    mailbox: MailboxName,
    watcher: Option<Watcher>,
    /// UIDNEXT and HIGHESTMODSEQ that the caller knows.
    known: (Uid, ModSeq),
}

impl LocalAccount {
    pub(super) fn begin_watch(&self, mailbox: &MailboxName) -> Result<LocalWatch<'_>, StoreError> {
        let watcher = Watcher::new(&self.folders.folder(mailbox));
        if let Err(error) = &watcher {
            tracing::debug!(user = %self.user, %mailbox, %error, "cannot watch a folder; it is looked at once a second");
        }
        Ok(LocalWatch {
            account: self,
            mailbox: mailbox.clone(),
            watcher: watcher.ok(),
            known: self.numbers(mailbox)?,
        })
    }

    fn numbers(&self, mailbox: &MailboxName) -> Result<(Uid, ModSeq), StoreError> {
        let row = self.row(&lock(&self.index), mailbox)?;
        Ok((row.uid_next, row.highest_modseq))
    }
}

impl LocalWatch<'_> {
    // Whether the index has something new, once what others did is in it.
    fn look(&mut self) -> Result<bool, StoreError> {
        let now = self.account.sound(|| {
            self.account.reconcile_all(&mut lock(&self.account.index), false)?;
            self.account.numbers(&self.mailbox)
        })?;
        let changed = now != self.known;
        self.known = now;
        Ok(changed)
    }
}

impl Watch for LocalWatch<'_> {
    fn wait(&mut self, timeout: Duration) -> Result<bool, StoreError> {
        let end = Instant::now().checked_add(timeout);
        loop {
            if self.look()? {
                return Ok(true);
            }
            let left = end.map_or(LOOK, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(false);
            }
            match &self.watcher {
                // An hour at a time, should the clock be asked for more than it can count.
                Some(watcher) => match watcher.wait(left.min(Duration::from_secs(3600))) {
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(user = %self.account.user, %error, "a watch ended; the folder is looked at once a second");
                        self.watcher = None;
                    }
                },
                None => thread::sleep(left.min(LOOK)),
            }
        }
    }
}
