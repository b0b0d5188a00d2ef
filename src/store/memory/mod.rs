//! A store in memory: what the traits mean, in the plainest words.
//!
//! Called by tests, ours and those of programs that use the library; nothing
//! survives it. Where another store and this one differ the contract tests say who
//! is wrong. Everything ends in a [`StoreError`], and nothing is half done then.
//!
//! | file | subject |
//! | --- | --- |
//! | `mod.rs` | the store and its accounts |
//! | `state.rs` | what an account holds, and the numbers it gives |
//! | `content.rs` | the bytes of a message and what is read from them |
//! | `threads.rs` | which conversation a message belongs to |
//! | `history.rs` | what became of deliveries |
//! | `memory.rs` | what is remembered about deliveries |
//! | `deliveries.rs`, `mailboxes.rs`, `messages.rs` | the traits of these names |
//! | `watch.rs` | waiting for a change |

mod content;
mod deliveries;
mod history;
mod mailboxes;
#[allow(clippy::module_inception)]
mod memory;
mod messages;
mod quota;
mod state;
mod threads;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::index::Counts;
use crate::mail::{Crossing, MailboxName, Quota, Threshold, Uid, Usage};

use super::{Account, Recount, Removed, Store, StoreError};
use state::{Mailbox, State};

/// A store in memory, for tests of programs that use the library; nothing survives it.
///
/// It does all that the traits say but to last: an account is there as long as the store,
/// and whoever opens it under the same home again finds it as it was.
#[derive(Debug, Default)]
pub struct MemoryStore {
    accounts: Mutex<BTreeMap<PathBuf, Arc<MemoryAccount>>>,
}

impl MemoryStore {
    /// A store without accounts.
    #[must_use]
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }
}

impl Store for MemoryStore {
    fn account(&self, user: &str, home: &Path) -> Result<Arc<dyn Account>, StoreError> {
        let mut accounts = lock(&self.accounts);
        let opened = accounts
            .entry(home.to_owned())
            .or_insert_with(|| Arc::new(MemoryAccount::new(user)));
        Ok(opened.clone())
    }
}

/// One account.
#[derive(Debug)]
struct MemoryAccount {
    user: String,
    state: Mutex<State>,
    /// Rung after every change of the state.
    changed: Condvar,
}

impl MemoryAccount {
    fn new(user: &str) -> MemoryAccount {
        MemoryAccount {
            user: user.to_owned(),
            state: Mutex::new(State::new()),
            changed: Condvar::new(),
        }
    }

    fn read<T>(&self, question: impl FnOnce(&State) -> Result<T, StoreError>) -> Result<T, StoreError> {
        question(&lock(&self.state))
    }

    fn write<T>(&self, change: impl FnOnce(&mut State) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let done = change(&mut lock(&self.state));
        self.changed.notify_all();
        done
    }

    fn mailbox<'state>(&self, state: &'state State, name: &MailboxName) -> Result<&'state Mailbox, StoreError> {
        state.mailboxes.get(name).ok_or_else(|| self.no_mailbox(name))
    }

    fn mailbox_mut<'state>(
        &self,
        state: &'state mut State,
        name: &MailboxName,
    ) -> Result<&'state mut Mailbox, StoreError> {
        state.mailboxes.get_mut(name).ok_or_else(|| self.no_mailbox(name))
    }

    fn no_mailbox(&self, name: &MailboxName) -> StoreError {
        StoreError::NoMailbox {
            user: self.user.clone(),
            name: name.clone(),
        }
    }

    fn no_uid_left(&self, name: &MailboxName) -> StoreError {
        StoreError::NoUidLeft {
            user: self.user.clone(),
            name: name.clone(),
        }
    }
}

impl Account for MemoryAccount {
    /// Nobody else changes this mail.
    fn reconcile(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn usage(&self) -> Result<Counts, StoreError> {
        self.read(|state| {
            let all = state.mailboxes.values().flat_map(|mailbox| mailbox.messages.values());
            Ok(state::count(all))
        })
    }

    fn quota_usage(&self, quota: &Quota) -> Result<Usage, StoreError> {
        self.read(|state| Ok(MemoryAccount::used(state, quota)))
    }

    fn quota_crossings(&self, quota: &Quota, thresholds: &[Threshold]) -> Result<Vec<Crossing>, StoreError> {
        self.crossed(quota, thresholds)
    }

    fn recount(&self, quota: &Quota) -> Result<Recount, StoreError> {
        self.count_anew(quota)
    }

    fn check(&self) -> Result<Vec<String>, StoreError> {
        self.read(|state| Ok(state.findings()))
    }

    /// There is no index beside the mail.
    fn rebuild(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Nothing waits here.
    fn tend(&self, _: Instant) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// What is removed is gone.
    fn removed(&self) -> Result<Vec<Removed>, StoreError> {
        Ok(Vec::new())
    }

    fn restore(&self, id: &str) -> Result<(MailboxName, Uid), StoreError> {
        Err(StoreError::NoRemoved {
            user: self.user.clone(),
            id: id.to_owned(),
        })
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

// A change asks all that may fail before it alters anything, so a thread that died in
// between leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
