//! Deliveries that are being carried out at this moment.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The redelivery keys of deliveries under way.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    keys: Mutex<HashSet<u64>>,
    ended: Condvar,
}

/// A delivery under way; it is no more when this is dropped.
#[derive(Debug)]
pub(super) struct Alone<'a> {
    under_way: &'a UnderWay,
    key: u64,
}

impl UnderWay {
    /// Begins a delivery, once the same one is no more under way.
    pub(super) fn begin(&self, key: u64) -> Alone<'_> {
        let is_under_way = |keys: &mut HashSet<u64>| keys.contains(&key);
        let mut keys = self
            .ended
            .wait_while(self.keys(), is_under_way)
            .unwrap_or_else(PoisonError::into_inner);
        keys.insert(key);
        Alone { under_way: self, key }
    }

    // A set is whole between any two statements, whoever died with it.
    fn keys(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.under_way.keys().remove(&self.key);
        self.under_way.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn one_at_a_time() {
        let under_way = UnderWay::default();
        let _other = under_way.begin(2);
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _alone = under_way.begin(1);
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        drop(under_way.begin(1));
    }
}
