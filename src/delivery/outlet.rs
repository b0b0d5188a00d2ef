//! A bound on redirects: an MTA that says nothing takes no more than some of the places of deliveries.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a redirect waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lets so many redirects through at once; others wait a little, and are told to come again.
#[derive(Debug)]
pub(super) struct Outlet {
    most: usize,
    inside: Mutex<usize>,
    left: Condvar,
}

/// The turn of one redirect, until dropped.
#[derive(Debug)]
pub(super) struct Passing<'a>(&'a Outlet);

impl Outlet {
    pub(super) fn new(most: usize) -> Outlet {
        Outlet {
            most: most.max(1),
            inside: Mutex::new(0),
            left: Condvar::new(),
        }
    }

    /// A turn; none where as many are at it, and stay so.
    pub(super) fn pass(&self) -> Option<Passing<'_>> {
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |inside: &mut usize| *inside >= self.most;
        let waited = self.left.wait_timeout_while(inside, PATIENCE, full);
        let (mut inside, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return None;
        }
        *inside += 1;
        Some(Passing(self))
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        *self.0.inside.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_and_no_more() {
        let outlet = Outlet::new(2);
        let first = outlet.pass().unwrap();
        let _second = outlet.pass().unwrap();
        assert!(outlet.pass().is_none());
        std::thread::scope(|scope| {
            let third = scope.spawn(|| outlet.pass().is_some());
            drop(first);
            assert!(third.join().unwrap());
        });
        assert_eq!(*outlet.inside.lock().unwrap(), 1);
    }
}
