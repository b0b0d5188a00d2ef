//! What can wait is done behind the deliveries: accounts are tended once they are quiet.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::delivery::Sorter;
use crate::directory::Found;
use crate::mail::Cause;

/// How long an account must be quiet.
const QUIET: Duration = Duration::from_secs(2);
/// How long one that is never quiet waits at most.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one account is tended before it is another's turn, and before a stop is heard.
const TURN: Duration = Duration::from_millis(300);

/// The thread that tends accounts; it ends when this is dropped.
pub(super) struct Tender {
    accounts: Arc<Accounts>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Accounts {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    by_home: BTreeMap<PathBuf, Turn>,
    stopping: bool,
}

/// One account that waits.
struct Turn {
    user: String,
    /// The sorting table that delivered to it last.
    sorter: Arc<Sorter>,
    /// When it may be tended.
    due: Instant,
    /// When it is, quiet or not.
    at_last: Instant,
}

impl Tender {
    /// Starts the thread; where the system has none to give nothing is tended, and that is logged.
    pub(super) fn start() -> Tender {
        let accounts = Arc::<Accounts>::default();
        let its = accounts.clone();
        let thread = thread::Builder::new()
            .name("tender".to_owned())
            .spawn(move || its.tend_all());
        if let Err(error) = &thread {
            tracing::warn!(%error, "no thread for the upkeep of accounts; it is done by commands only");
        }
        Tender {
            accounts,
            thread: thread.ok(),
        }
    }

    /// Something was delivered to an account.
    pub(super) fn delivered(&self, sorter: &Arc<Sorter>, found: &Found) {
        if !sorter.opens_accounts() {
            return;
        }
        let now = Instant::now();
        let mut waiting = lock(&self.accounts.waiting);
        let turn = waiting.by_home.entry(found.home.clone()).or_insert_with(|| Turn {
            user: found.user.clone(),
            sorter: sorter.clone(),
            due: now,
            at_last: now + PATIENCE,
        });
        turn.sorter = sorter.clone();
        turn.due = (now + QUIET).min(turn.at_last);
        // Nobody is woken for what is not due yet, unless the thread sleeps for good.
        if waiting.by_home.len() == 1 {
            self.accounts.changed.notify_one();
        }
    }
}

impl Drop for Tender {
    fn drop(&mut self) {
        lock(&self.accounts.waiting).stopping = true;
        self.accounts.changed.notify_one();
        // A panic was logged where it happened.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Accounts {
    fn tend_all(&self) {
        while let Some((home, user, sorter)) = self.next() {
            // Removed or renamed meanwhile: opening it would make it anew.
            if !home.is_dir() {
                continue;
            }
            let tended = sorter
                .account(&user, &home)
                .and_then(|account| account.tend(Instant::now() + TURN));
            match tended {
                Ok(true) => {}
                Ok(false) => self.again(home, user, sorter),
                Err(error) => {
                    tracing::warn!(user, cause = %Cause::of(&error), "the upkeep of an account failed; it is tried again after the next delivery");
                }
            }
        }
    }

    /// Waits for an account that is due; none when it is time to stop.
    fn next(&self) -> Option<(PathBuf, String, Arc<Sorter>)> {
        let mut waiting = lock(&self.waiting);
        loop {
            if waiting.stopping {
                return None;
            }
            let first = waiting.by_home.iter().min_by_key(|(_, turn)| turn.due);
            let first = first.map(|(home, turn)| (home.clone(), turn.due));
            let now = Instant::now();
            waiting = match first {
                None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some((home, due)) if due <= now => {
                    let turn = waiting.by_home.remove(&home)?;
                    return Some((home, turn.user, turn.sorter));
                }
                Some((_, due)) => {
                    let slept = self.changed.wait_timeout(waiting, due - now);
                    slept.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    // Behind those that are due now; a delivery meanwhile has put it there already.
    fn again(&self, home: PathBuf, user: String, sorter: Arc<Sorter>) {
        let now = Instant::now();
        lock(&self.waiting).by_home.entry(home).or_insert(Turn {
            user,
            sorter,
            due: now,
            at_last: now + PATIENCE,
        });
    }
}

// Each change of the map is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
