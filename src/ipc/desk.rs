//! Where requests are served: so many at once, each on a thread of its own.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Counts who is served.
#[derive(Debug)]
pub struct Desk {
    at_once: usize,
    busy: Mutex<usize>,
    changed: Condvar,
}

impl Desk {
    /// Nobody is served yet; `at_once` at most will be, or one where it is 0.
    #[must_use]
    pub fn new(at_once: usize) -> Arc<Desk> {
        Arc::new(Desk {
            at_once: at_once.max(1),
            busy: Mutex::new(0),
            changed: Condvar::new(),
        })
    }

    /// Waits until there is room, and serves on another thread. Where the system has none to give, the request is
    /// dropped with all that it holds: its socket is closed, and who asked tries again.
    pub fn serve(self: &Arc<Desk>, request: impl FnOnce() + Send + 'static) {
        let full = |busy: &mut usize| *busy >= self.at_once;
        let waited = self.changed.wait_while(lock(&self.busy), full);
        *waited.unwrap_or_else(PoisonError::into_inner) += 1;
        let busy = Busy(self.clone());
        let _ = thread::Builder::new().spawn(move || {
            let _busy = busy;
            request();
        });
    }

    /// How many are served.
    #[must_use]
    pub fn busy(&self) -> usize {
        *lock(&self.busy)
    }

    /// Waits until all are served.
    pub fn close(&self) {
        drop(self.changed.wait_while(lock(&self.busy), |busy| *busy > 0));
    }
}

/// One who is served, until dropped.
struct Busy(Arc<Desk>);

impl Drop for Busy {
    fn drop(&mut self) {
        *lock(&self.0.busy) -= 1;
        self.0.changed.notify_all();
    }
}

// It is a number: whole whoever panicked.
fn lock(busy: &Mutex<usize>) -> MutexGuard<'_, usize> {
    busy.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_at_once_and_all_at_last() {
        let desk = Desk::new(3);
        let (at_once, most, served) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let counts = Arc::new((at_once, most, served));
        for number in 0..20 {
            let counts = counts.clone();
            desk.serve(move || {
                let (at_once, most, served) = &*counts;
                most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(2));
                at_once.fetch_sub(1, Ordering::SeqCst);
                served.fetch_add(1, Ordering::SeqCst);
                assert!(number != 7, "one dies, and gives its place back");
            });
        }
        desk.close();
        assert_eq!(desk.busy(), 0);
        assert_eq!(counts.2.load(Ordering::SeqCst), 20);
        assert_eq!(counts.1.load(Ordering::SeqCst), 3);
    }
}
