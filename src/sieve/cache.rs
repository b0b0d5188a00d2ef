//! Compiled scripts by the hash of their text, least recently used thrown out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ring::digest;

use super::error::Fault;

type Key = [u8; 32];
type Made<T> = Result<T, Vec<Fault>>;

/// A bounded cache; failures are kept too, so that a broken script is not compiled
/// again for each message.
#[derive(Debug)]
pub(super) struct Cache<T> {
    entries: Mutex<Entries<T>>,
    capacity: usize,
}

#[derive(Debug)]
struct Entries<T> {
    map: HashMap<Key, (u64, Made<T>)>,
    clock: u64,
}

impl<T: Clone> Cache<T> {
    pub(super) fn new(capacity: usize) -> Cache<T> {
        let entries = Entries {
            map: HashMap::new(),
            clock: 0,
        };
        Cache {
            entries: Mutex::new(entries),
            capacity: capacity.max(1),
        }
    }

    /// What was made of `source` before, or what `make` makes of it now. Two threads may
    /// make the same thing at once; it is not worth a wait.
    pub(super) fn find_or_insert(&self, source: &[u8], make: impl FnOnce() -> Made<T>) -> Made<T> {
        // The whole hash, so that two users share an entry only for the same text.
        let mut key = Key::default();
        key.copy_from_slice(digest::digest(&digest::SHA256, source).as_ref());
        if let Some(made) = self.find(&key) {
            return made;
        }
        let made = make();
        self.insert(key, made.clone());
        made
    }

    fn find(&self, key: &Key) -> Option<Made<T>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.clock += 1;
        let clock = entries.clock;
        let (used, made) = entries.map.get_mut(key)?;
        *used = clock;
        Some(made.clone())
    }

    fn insert(&self, key: Key, made: Made<T>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.map.len() >= self.capacity {
            let oldest = entries
                .map
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                entries.map.remove(&oldest);
            }
        }
        let clock = entries.clock;
        entries.map.insert(key, (clock, made));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_used_last() {
        let cache = Cache::new(2);
        let mut made = Vec::new();
        for source in ["a", "b", "a", "c", "a", "b"] {
            let got = cache.find_or_insert(source.as_bytes(), || {
                made.push(source);
                Ok(source)
            });
            assert_eq!(got, Ok(source));
        }
        assert_eq!(made, ["a", "b", "c", "b"]);
    }
}
