//! A bound on the memory of filters: few large messages at a time.

use std::sync::{Condvar, Mutex, PoisonError};

/// Messages up to this many bytes pass at once.
const SMALL: u64 = 1024 * 1024;

/// Lets large messages pass while they fit in a budget; others wait.
#[derive(Debug)]
pub(super) struct Gate {
    budget: u64,
    inside: Mutex<u64>,
    left: Condvar,
}

/// The right to hold so many bytes, until dropped.
#[derive(Debug)]
pub(super) struct Passage<'gate> {
    gate: &'gate Gate,
    bytes: u64,
}

impl Gate {
    /// A gate for `budget` bytes in all.
    pub(super) fn new(budget: u64) -> Gate {
        Gate {
            budget,
            inside: Mutex::new(0),
            left: Condvar::new(),
        }
    }

    /// Waits until `bytes` fit. What is larger than the whole budget passes alone.
    pub(super) fn pass(&self, bytes: u64) -> Passage<'_> {
        let bytes = if bytes <= SMALL { 0 } else { bytes.min(self.budget) };
        if bytes > 0 {
            let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
            let full = |inside: &mut u64| *inside + bytes > self.budget;
            let mut inside = self
                .left
                .wait_while(inside, full)
                .unwrap_or_else(PoisonError::into_inner);
            *inside += bytes;
        }
        Passage { gate: self, bytes }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            *self.gate.inside.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
            self.gate.left.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn large_messages_never_exceed_the_budget() {
        let (gate, inside, most) = (Gate::new(40 << 20), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for size in [20u64 << 20, 30 << 20, 10 << 20, 100 << 20, 5 << 20, 100].repeat(5) {
                let (gate, inside, most) = (&gate, &inside, &most);
                scope.spawn(move || {
                    let passage = gate.pass(size);
                    let now = inside.fetch_add(passage.bytes, Ordering::SeqCst) + passage.bytes;
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::yield_now();
                    inside.fetch_sub(passage.bytes, Ordering::SeqCst);
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 40 << 20);
        assert_eq!(*gate.inside.lock().unwrap(), 0);
    }
}
