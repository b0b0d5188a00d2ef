//! How much processor time the scripts of an account may take within a minute: one account with a costly
//! script does not hold up the mail of all others.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The time after which what was taken is forgotten.
const WINDOW: Duration = Duration::from_secs(60);
/// Accounts that are remembered before those whose minute is over are dropped.
const ACCOUNTS_MAX: usize = 10_000;

/// What each account's scripts took.
#[derive(Debug, Default)]
pub(super) struct Budget {
    taken: Mutex<HashMap<String, Taken>>,
}

#[derive(Debug)]
struct Taken {
    since: Instant,
    time: Duration,
}

/// Measures the processor time of this thread.
pub(super) struct Meter {
    before: Duration,
}

impl Meter {
    pub(super) fn start() -> Meter {
        Meter { before: thread_time() }
    }

    pub(super) fn taken(&self) -> Duration {
        thread_time().saturating_sub(self.before)
    }
}

impl Budget {
    /// Whether an account has taken that much within its minute.
    pub(super) fn is_spent(&self, user: &str, limit: Duration) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get(user) {
            None => false,
            Some(entry) if entry.since.elapsed() >= WINDOW => {
                taken.remove(user);
                false
            }
            Some(entry) => entry.time >= limit,
        }
    }

    /// Adds what a run took. Runs of less than a millisecond would only fill the table.
    pub(super) fn add(&self, user: &str, time: Duration) {
        if time < Duration::from_millis(1) {
            return;
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= ACCOUNTS_MAX {
            taken.retain(|_, entry| entry.since.elapsed() < WINDOW);
        }
        if let Some(entry) = taken.get_mut(user) {
            if entry.since.elapsed() >= WINDOW {
                entry.since = Instant::now();
                entry.time = Duration::ZERO;
            }
            entry.time += time;
            return;
        }
        let since = Instant::now();
        taken.insert(user.to_owned(), Taken { since, time });
    }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_spends_its_own() {
        let budget = Budget::default();
        let limit = Duration::from_millis(30);
        budget.add("ann", Duration::from_millis(20));
        budget.add("ann", Duration::from_micros(999));
        assert!(!budget.is_spent("ann", limit));
        budget.add("ann", Duration::from_millis(10));
        assert!(budget.is_spent("ann", limit));
        assert!(!budget.is_spent("bob", limit));
        budget.taken.lock().unwrap().get_mut("ann").unwrap().since -= WINDOW;
        assert!(!budget.is_spent("ann", limit));
    }

    #[test]
    fn a_meter_counts_work() {
        let meter = Meter::start();
        let mut number = 1u64;
        while meter.taken() < Duration::from_millis(2) {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
        assert!(number > 0);
    }
}
