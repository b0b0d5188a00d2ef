//! A Maildir with a SQLite index beside it, for each account.
//!
//! | file | subject |
//! | --- | --- |
//! | `mod.rs` | the store: which accounts are open |
//! | `account.rs` | opening one account; what readers ask |
//! | `adoption.rs` | what Dovecot or Courier gave a folder, taken over |
//! | `history.rs` | what became of deliveries |
//! | `homes.rs` | whole accounts: copied, moved, removed |
//! | `identity.rs` | UIDVALIDITY, UIDs and MODSEQs: what is given once |
//! | `kept.rs` | what the index keeps of a message, made ready beforehand |
//! | `letters.rs` | flags and keywords as letters of file names |
//! | `once.rs` | one message for several recipients, written once |
//! | `pool.rs` | deliveries that wait, and the one who publishes for all |
//! | `publish.rs` | stage and publish: the durable path of a delivery |
//! | `quota.rs` | what is used, counted exactly, and written down for others |
//! | `reconcile.rs` | what other programs did to the Maildir |
//! | `reading.rs` | what readers ask |
//! | `flags.rs` | flags altered, messages removed |
//! | `transfer.rs` | messages copied, moved, appended |
//! | `mailboxes.rs` | mailboxes made, renamed, deleted, subscribed to, annotated |
//! | `together.rs` | many messages added at once |
//! | `uidlist.rs` | UIDs that are shared with Dovecot |
//! | `watch.rs` | waiting for changes |
//! | `check.rs` | whether index and Maildir agree |
//! | `stats.rs` | how much room an index takes |
//! | `mending.rs` | a damaged index, set aside and made anew |
//! | `founding.rs` | the mailboxes of a new account |
//! | `flush.rs` | the flush of a file system, shared |
//! | `upkeep.rs` | what can wait: the full text index, packs, forgetting |
//! | `expunged.rs` | what was removed and is kept for a time |

mod account;
mod adoption;
mod check;
#[cfg(test)]
mod closing_tests;
mod expunged;
mod flags;
mod flush;
mod founding;
mod history;
mod homes;
mod identity;
mod kept;
mod letters;
mod mailboxes;
mod mending;
mod once;
mod pool;
mod publish;
mod quota;
mod reading;
mod reconcile;
mod stats;
#[cfg(test)]
mod tests;
mod together;
mod transfer;
mod uidlist;
mod underway;
mod upkeep;
#[cfg(test)]
mod upkeep_tests;
mod watch;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::mail::MailboxName;
use crate::maildir::Disk;

use super::{Account, Store, StoreError};
use account::LocalAccount;
pub use stats::IndexStats;

/// How the local store keeps mail.
#[derive(Clone, Debug)]
pub struct Options {
    /// Modes and flushes.
    pub disk: Disk,
    /// The Maildir below the home; `.` where the home is the Maildir.
    pub maildir: PathBuf,
    /// Where the indexes lie, one folder a user; none: in the homes.
    pub index_root: Option<PathBuf>,
    /// This host's name, for file names.
    pub host: String,
    /// How many accounts stay open.
    pub open_accounts: usize,
    /// Whether an index whose log is short is closed with it. That saves most of what closing costs, for whoever opens
    /// the same accounts again and again and tends them.
    pub keep_logs: bool,
    /// Whether accounts with a quota get a `maildirsize`; where there is one, it is kept
    /// up in any case.
    pub maildirsize: bool,
    /// Whether `fulltext.sqlite` is kept; without it searches for text read files.
    pub fulltext: bool,
    /// How long messages that are removed can be brought back; none: they are gone at once.
    pub keep_expunged: Option<Duration>,
    /// How long it is remembered what became of deliveries; none: it is not.
    pub history: Option<Duration>,
    /// Of how many deliveries, about, at most.
    pub history_entries: usize,
    /// The mailboxes that a new account gets beside INBOX; those with the name of a special use (RFC 6154) get it.
    pub create: Vec<MailboxName>,
    /// Whether it is subscribed to these.
    pub subscribe: bool,
    /// Whether messages are entered in Dovecot's `dovecot-uidlist`, under its lock.
    pub dovecot_uidlist: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            disk: Disk::default(),
            maildir: "Maildir".into(),
            index_root: None,
            host: "localhost".to_owned(),
            open_accounts: 256,
            keep_logs: false,
            maildirsize: false,
            dovecot_uidlist: false,
            fulltext: true,
            keep_expunged: None,
            history: Some(Duration::from_secs(30 * 86_400)),
            history_entries: 10_000,
            create: Vec::new(),
            subscribe: false,
        }
    }
}

/// The store on local disks.
#[derive(Debug)]
pub struct LocalStore {
    options: Arc<Options>,
    open: Mutex<OpenAccounts>,
}

/// The accounts that are open, with the time of their last use.
#[derive(Debug, Default)]
struct OpenAccounts {
    clock: u64,
    slots: HashMap<PathBuf, (u64, Arc<Slot>)>,
}

/// One account, opened by whoever needs it first while others wait here and not for the whole store.
type Slot = Mutex<Option<Arc<LocalAccount>>>;

impl LocalStore {
    /// A store with no account open yet.
    #[must_use]
    pub fn new(options: Options) -> LocalStore {
        LocalStore {
            options: Arc::new(options),
            open: Mutex::default(),
        }
    }

    fn slot(&self, home: &Path) -> Arc<Slot> {
        // Closing an index flushes it: that happens once the accounts are no longer held. Declared first, dropped last.
        let _evicted;
        let mut open = lock(&self.open);
        open.clock += 1;
        let clock = open.clock;
        if let Some((used, slot)) = open.slots.get_mut(home) {
            *used = clock;
            return slot.clone();
        }
        if open.slots.len() >= self.options.open_accounts.max(1) {
            let oldest = open
                .slots
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(home, _)| home.clone());
            _evicted = oldest.and_then(|home| open.slots.remove(&home));
        }
        let slot = Arc::<Slot>::default();
        open.slots.insert(home.to_owned(), (clock, slot.clone()));
        slot
    }
}

impl Store for LocalStore {
    fn account(&self, user: &str, home: &Path) -> Result<Arc<dyn Account>, StoreError> {
        Ok(self.open_account(user, home)?)
    }
}

impl LocalStore {
    fn open_account(&self, user: &str, home: &Path) -> Result<Arc<LocalAccount>, StoreError> {
        let slot = self.slot(home);
        let mut account = lock(&slot);
        if let Some(account) = account.as_ref().filter(|account| account.is_current()) {
            return Ok(account.clone());
        }
        let opened = Arc::new(LocalAccount::open(&self.options, user, home)?);
        *account = Some(opened.clone());
        Ok(opened)
    }
}

// What these locks guard is whole between any two statements, so a thread that died
// in between leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
