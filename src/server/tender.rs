//! What can wait is done behind the deliveries: accounts are tended once they are quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::delivery::Sorter;
use crate::directory::Found;
use crate::mail::Cause;

/// Deliveries that are worth opening an account for: what is to be done costs about the same for one and for some.
const SOME: u32 = 16;
/// How long an account must be quiet that got some.
const QUIET: Duration = Duration::from_secs(2);
/// How long one must be quiet that got fewer. A search reads what is not in the full text index from the files.
const QUIET_FEW: Duration = Duration::from_secs(10 * 60);
/// How long one that got some and is never quiet waits at most.
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
    /// When each of them is due.
    by_due: BTreeSet<(Instant, PathBuf)>,
    /// Until when the thread sleeps; none where for good, or where it works.
    wakes: Option<Instant>,
    stopping: bool,
}

/// One account that waits.
struct Turn {
    user: String,
    /// The sorting table that delivered to it last.
    sorter: Arc<Sorter>,
    when: When,
}

/// When an account may be tended.
#[derive(Clone, Copy)]
struct When {
    /// Deliveries to it since it was tended last.
    deliveries: u32,
    due: Instant,
    /// When it is due, quiet or not; none before it got some.
    at_last: Option<Instant>,
}

impl When {
    /// Nothing was delivered yet.
    fn never(now: Instant) -> When {
        When {
            deliveries: 0,
            due: now + QUIET_FEW,
            at_last: None,
        }
    }

    /// Its turn ended before it was done.
    fn unfinished(now: Instant) -> When {
        When {
            deliveries: SOME,
            due: now,
            at_last: Some(now + PATIENCE),
        }
    }

    fn delivered(&mut self, now: Instant) {
        self.deliveries = self.deliveries.saturating_add(1);
        if self.deliveries < SOME {
            self.due = now + QUIET_FEW;
            return;
        }
        let at_last = *self.at_last.get_or_insert(now + PATIENCE);
        self.due = (now + QUIET).min(at_last);
    }
}

impl Waiting {
    fn put(&mut self, home: PathBuf, turn: Turn) {
        self.by_due.insert((turn.when.due, home.clone()));
        self.by_home.insert(home, turn);
    }

    fn take(&mut self, home: &Path) -> Option<Turn> {
        let (home, turn) = self.by_home.remove_entry(home)?;
        self.by_due.remove(&(turn.when.due, home));
        Some(turn)
    }
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
        let mut turn = waiting.take(&found.home).unwrap_or_else(|| Turn {
            user: found.user.clone(),
            sorter: sorter.clone(),
            when: When::never(now),
        });
        turn.sorter = sorter.clone();
        turn.when.delivered(now);
        let due = turn.when.due;
        waiting.put(found.home.clone(), turn);
        // Nobody is woken for what is not due when it will wake anyhow.
        if waiting.wakes.is_none_or(|wakes| due < wakes) {
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
            let first = waiting.by_due.first().cloned();
            let now = Instant::now();
            waiting.wakes = first.as_ref().map(|(due, _)| *due).filter(|due| *due > now);
            waiting = match first {
                None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some((due, home)) if due <= now => {
                    let turn = waiting.take(&home)?;
                    return Some((home, turn.user, turn.sorter));
                }
                Some((due, _)) => {
                    let slept = self.changed.wait_timeout(waiting, due - now);
                    slept.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    // Behind those that are due now; a delivery meanwhile has put it there already.
    fn again(&self, home: PathBuf, user: String, sorter: Arc<Sorter>) {
        let now = Instant::now();
        let mut waiting = lock(&self.waiting);
        let turn = waiting.take(&home).unwrap_or(Turn {
            user,
            sorter,
            when: When::unfinished(now),
        });
        waiting.put(home, turn);
    }
}

// Each change of the map is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn few_deliveries_wait_long_and_some_a_moment() {
        let start = Instant::now();
        let mut when = When::never(start);
        for n in 1..SOME {
            let now = start + n * SECOND;
            when.delivered(now);
            assert_eq!(when.due, now + QUIET_FEW, "{n}");
        }
        let now = start + 100 * SECOND;
        when.delivered(now);
        assert_eq!(when.due, now + QUIET);
    }

    #[test]
    fn one_that_is_never_quiet_is_due_at_last() {
        let start = Instant::now();
        let mut when = When::never(start);
        (0..1000).for_each(|n| when.delivered(start + n * SECOND));
        assert_eq!(when.due, start + (SOME - 1) * SECOND + PATIENCE);
        let mut when = When::unfinished(start);
        assert_eq!(when.due, start);
        when.delivered(start + SECOND);
        assert_eq!(when.due, start + SECOND + QUIET);
    }
}
