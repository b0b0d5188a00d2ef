//! Compiled scripts by the hash of their text, least recently used thrown out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ring::digest;

use super::error::Fault;

type Key = [u8; 32];
type Made<T> = Result<T, Vec<Fault>>;

/// A cache that is bounded by number and by bytes; failures are kept too, so that a broken script is not compiled
/// again for each message.
#[derive(Debug)]
pub(super) struct Cache<T> {
    entries: Mutex<Entries<T>>,
    number: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Entries<T> {
    map: HashMap<Key, Entry<T>>,
    clock: u64,
    /// Of all entries.
    bytes: usize,
}

#[derive(Debug)]
struct Entry<T> {
    used: u64,
    size: usize,
    made: Made<T>,
}

impl<T: Clone> Cache<T> {
    /// An empty one that keeps so many entries, of so many bytes together; always the last one.
    pub(super) fn new(number: usize, bytes: usize) -> Cache<T> {
        let entries = Entries {
            map: HashMap::new(),
            clock: 0,
            bytes: 0,
        };
        Cache {
            entries: Mutex::new(entries),
            number: number.max(1),
            bytes,
        }
    }

    /// What was made of `source` before, or what `make` makes of it now, of which `size` tells the bytes. Two threads
    /// may make the same thing at once; it is not worth a wait.
    pub(super) fn find_or_insert(
        &self,
        source: &[u8],
        make: impl FnOnce() -> Made<T>,
        size: impl FnOnce(&Made<T>) -> usize,
    ) -> Made<T> {
        // The whole hash, so that two users share an entry only for the same text.
        let mut key = Key::default();
        key.copy_from_slice(digest::digest(&digest::SHA256, source).as_ref());
        if let Some(made) = self.find(&key) {
            return made;
        }
        let made = make();
        self.insert(key, size(&made), made.clone());
        made
    }

    fn find(&self, key: &Key) -> Option<Made<T>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.clock += 1;
        let clock = entries.clock;
        let entry = entries.map.get_mut(key)?;
        entry.used = clock;
        Some(entry.made.clone())
    }

    fn insert(&self, key: Key, size: usize, made: Made<T>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&key);
        while !entries.map.is_empty()
            && (entries.map.len() >= self.number || entries.bytes.saturating_add(size) > self.bytes)
        {
            entries.remove_oldest();
        }
        let used = entries.clock;
        entries.bytes += size;
        entries.map.insert(key, Entry { used, size, made });
    }
}

impl<T> Entries<T> {
    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.map.remove(key) {
            self.bytes -= entry.size;
        }
    }

    fn remove_oldest(&mut self) {
        let oldest = self.map.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key);
        if let Some(oldest) = oldest {
            self.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the sources are made when they are asked for in this order; one takes ten bytes for each of its own.
    fn made(number: usize, bytes: usize, sources: &[&'static str]) -> Vec<&'static str> {
        let cache = Cache::new(number, bytes);
        let mut made = Vec::new();
        for source in sources {
            let make = || {
                made.push(*source);
                Ok(*source)
            };
            assert_eq!(
                cache.find_or_insert(source.as_bytes(), make, |_| source.len() * 10),
                Ok(*source)
            );
        }
        let entries = cache.entries.lock().unwrap();
        assert_eq!(
            entries.bytes,
            entries.map.values().map(|entry| entry.size).sum::<usize>()
        );
        assert!(entries.map.len() <= number && (entries.bytes <= bytes || entries.map.len() == 1));
        made
    }

    #[test]
    fn keeps_what_was_used_last() {
        assert_eq!(made(2, 1000, &["a", "b", "a", "c", "a", "b"]), ["a", "b", "c", "b"]);
    }

    #[test]
    fn keeps_so_many_bytes() {
        // Three of one byte fit, and one of two beside one.
        assert_eq!(made(9, 30, &["a", "b", "c", "a", "b", "c"]), ["a", "b", "c"]);
        assert_eq!(made(9, 30, &["a", "b", "cc", "b", "a"]), ["a", "b", "cc", "a"]);
        // What is larger than all that fits is kept alone, while nothing else is asked for.
        assert_eq!(made(9, 30, &["a", "large", "large", "a"]), ["a", "large", "a"]);
    }
}
