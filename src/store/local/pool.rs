//! Work that is shared: of all who wait, one does it for all.
//!
//! While one leader works, others gather; when he is done those he worked for go on
//! at once, and one of the rest leads the next batch. So a flush is shared by as many
//! as have come while the last one ran, and nobody waits for a flush that is not his.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::lock;

/// Those who wait, and whether somebody leads.
#[derive(Debug)]
pub(super) struct Pool<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: Vec<Arc<T>>,
    led: bool,
}

/// Ends the leadership, also where the leader panics.
struct Leader<'pool, T>(&'pool Pool<T>);

impl<T> Drop for Leader<'_, T> {
    fn drop(&mut self) {
        lock(&self.0.state).led = false;
        self.0.changed.notify_all();
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Pool<T> {
        let state = State {
            waiting: Vec::new(),
            led: false,
        };
        Pool {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }
}

impl<T> Pool<T> {
    /// Adds `item` and waits until `is_done` says so of it; or leads, with all items that
    /// wait. Returns without it done only where the leader who took it panicked.
    pub(super) fn join(&self, item: &Arc<T>, is_done: impl Fn(&T) -> bool, lead: impl FnOnce(&[Arc<T>])) {
        let mut state = lock(&self.state);
        state.waiting.push(item.clone());
        while !is_done(item) {
            if !state.led {
                if !state.waiting.iter().any(|waiting| Arc::ptr_eq(waiting, item)) {
                    return;
                }
                state.led = true;
                let batch = std::mem::take(&mut state.waiting);
                drop(state);
                let _leader = Leader(self);
                return lead(&batch);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn everybody_is_served_once() {
        let (pool, served, batches) = (Pool::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let item = Arc::new(AtomicBool::new(false));
                        let is_done = |item: &AtomicBool| item.load(Ordering::SeqCst);
                        pool.join(&item, is_done, |batch| {
                            batches.fetch_add(1, Ordering::SeqCst);
                            for item in batch {
                                assert!(!item.swap(true, Ordering::SeqCst), "served twice");
                                served.fetch_add(1, Ordering::SeqCst);
                            }
                        });
                        assert!(item.load(Ordering::SeqCst));
                    }
                });
            }
        });
        assert_eq!(served.load(Ordering::SeqCst), 800);
        assert!(batches.load(Ordering::SeqCst) <= 800);
    }

    #[test]
    fn a_leader_who_dies_leaves_the_pool_to_others() {
        let pool = Pool::<AtomicBool>::default();
        let item = Arc::new(AtomicBool::new(false));
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.join(&item, |_| false, |_| panic!("on purpose"));
        }));
        assert!(died.is_err());
        let led = AtomicBool::new(false);
        pool.join(&item, |_| false, |batch| led.store(batch.len() == 1, Ordering::SeqCst));
        assert!(led.load(Ordering::SeqCst));
    }
}
