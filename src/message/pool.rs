//! The memory that all messages of a process share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes for all messages together.
#[derive(Debug)]
pub struct Pool {
    most: AtomicUsize,
    used: AtomicUsize,
}

/// What one message takes of it; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    pool: Arc<Pool>,
    bytes: usize,
}

impl Pool {
    /// A pool of so many bytes, of which none is used.
    #[must_use]
    pub fn new(most: usize) -> Pool {
        Pool {
            most: AtomicUsize::new(most),
            used: AtomicUsize::new(0),
        }
    }

    /// Another size from now on. Who has more than that keeps it.
    pub fn set(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Bytes that are used.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Share {
    pub(super) fn of(pool: &Arc<Pool>) -> Share {
        Share {
            pool: pool.clone(),
            bytes: 0,
        }
    }

    /// Takes so many bytes in place of those it had; false, and nothing changes, where the pool does not have them.
    pub(super) fn resize(&mut self, bytes: usize) -> bool {
        if bytes <= self.bytes {
            self.pool.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            self.bytes = bytes;
            return true;
        }
        let (more, most) = (bytes - self.bytes, self.pool.most.load(Ordering::Relaxed));
        let fits = |used: usize| used.checked_add(more).filter(|used| *used <= most);
        let taken = self.pool.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        if taken.is_ok() {
            self.bytes = bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}
