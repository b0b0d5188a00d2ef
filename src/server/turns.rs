//! Whose turn it is: so many at once in all and for each key, so many that wait, for so long.
//!
//! One key that holds its places for long (an account that is locked, an address whose directory hangs) leaves the
//! others to the rest, and nothing piles up: who finds the queue full is told so at once.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// How many may do something, and how many may wait for it; what does not find its place is deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At once.
    pub at_once: usize,
    /// At once with one key.
    pub of_one: usize,
    /// Waiting.
    pub waiting: usize,
    /// Waiting with one key.
    pub waiting_of_one: usize,
    /// How long they wait.
    pub patience: Duration,
}

/// Why it is not somebody's turn, and will not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Busy {
    /// So many wait.
    #[error("{0} wait already")]
    All(usize),
    /// So many with the same key wait.
    #[error("{0} for the same one wait already")]
    One(usize),
    /// It waited as long as it may.
    #[error("it was nobody's turn for {0:?}")]
    Patience(Duration),
}

/// Those who are at it, and those who wait.
#[derive(Debug)]
pub(super) struct Turns<K: Eq + Hash + Clone>(Mutex<State<K>>);

#[derive(Debug)]
struct State<K: Eq + Hash + Clone> {
    bounds: Bounds,
    at_it: usize,
    by_key: HashMap<K, usize>,
    waiting: VecDeque<(K, oneshot::Sender<Turn<K>>)>,
}

/// The right to do it, until dropped.
#[derive(Debug)]
pub(super) struct Turn<K: Eq + Hash + Clone> {
    turns: Arc<Turns<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Turns<K> {
    pub(super) fn new(bounds: Bounds) -> Turns<K> {
        Turns(Mutex::new(State {
            bounds,
            at_it: 0,
            by_key: HashMap::new(),
            waiting: VecDeque::new(),
        }))
    }

    /// Other bounds from now on; who has a turn or waits keeps it.
    pub(super) fn set(self: &Arc<Turns<K>>, bounds: Bounds) {
        self.lock().bounds = bounds;
        self.give();
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Busy`] at once where too many wait, or when patience is at its end.
    pub(super) async fn turn(self: &Arc<Turns<K>>, key: K) -> Result<Turn<K>, Busy> {
        let (given, patience) = {
            let mut state = self.lock();
            if state.has_room(&key) {
                state.begin(&key);
                return Ok(Turn {
                    turns: self.clone(),
                    key,
                });
            }
            (state.queue(key)?, state.bounds.patience)
        };
        match tokio::time::timeout(patience, given).await {
            Ok(Ok(turn)) => Ok(turn),
            // Nobody drops a sender who waits.
            Ok(Err(_)) | Err(_) => Err(Busy::Patience(patience)),
        }
    }

    /// Gives turns to those who wait, in their order, as far as there is room.
    fn give(self: &Arc<Turns<K>>) {
        loop {
            let next = self.lock().next();
            let Some((key, sender)) = next else { return };
            // Who has gone meanwhile gives it back by dropping it, for which the lock must be free.
            let _ = sender.send(Turn {
                turns: self.clone(),
                key,
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // Each change of it is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> Turn<K> {
    /// Whether nobody else has one at the moment.
    pub(super) fn is_only_one(&self) -> bool {
        self.turns.lock().at_it == 1
    }
}

impl<K: Eq + Hash + Clone> State<K> {
    fn has_room(&self, key: &K) -> bool {
        let its = self.by_key.get(key).copied().unwrap_or(0);
        self.at_it < self.bounds.at_once.max(1) && its < self.bounds.of_one.max(1)
    }

    fn begin(&mut self, key: &K) {
        self.at_it += 1;
        *self.by_key.entry(key.clone()).or_default() += 1;
    }

    fn queue(&mut self, key: K) -> Result<oneshot::Receiver<Turn<K>>, Busy> {
        let of_one = |waiting: &VecDeque<(K, _)>| waiting.iter().filter(|(other, _)| *other == key).count();
        if self.waiting.len() >= self.bounds.waiting || of_one(&self.waiting) >= self.bounds.waiting_of_one {
            // Not those whose patience ended.
            self.waiting.retain(|(_, sender)| !sender.is_closed());
        }
        if self.waiting.len() >= self.bounds.waiting {
            return Err(Busy::All(self.waiting.len()));
        }
        let its = of_one(&self.waiting);
        if its >= self.bounds.waiting_of_one {
            return Err(Busy::One(its));
        }
        let (sender, given) = oneshot::channel();
        self.waiting.push_back((key, sender));
        Ok(given)
    }

    fn next(&mut self) -> Option<(K, oneshot::Sender<Turn<K>>)> {
        if self.at_it >= self.bounds.at_once.max(1) {
            return None;
        }
        let at = self.waiting.iter().position(|(key, _)| self.has_room(key))?;
        let (key, sender) = self.waiting.remove(at)?;
        self.begin(&key);
        Some((key, sender))
    }
}

impl<K: Eq + Hash + Clone> Drop for Turn<K> {
    fn drop(&mut self) {
        {
            let mut state = self.turns.lock();
            state.at_it -= 1;
            if let Some(its) = state.by_key.get_mut(&self.key) {
                *its -= 1;
                if *its == 0 {
                    state.by_key.remove(&self.key);
                }
            }
        }
        self.turns.give();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        at_once: 3,
        of_one: 2,
        waiting: 3,
        waiting_of_one: 2,
        patience: Duration::from_secs(60),
    };

    fn waits(turns: &Arc<Turns<&'static str>>, key: &'static str) -> tokio::task::JoinHandle<bool> {
        let turns = turns.clone();
        tokio::spawn(async move { turns.turn(key).await.is_ok() })
    }

    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn one_leaves_room_for_others() {
        let turns = Arc::new(Turns::new(BOUNDS));
        let first = turns.turn("ann").await.unwrap();
        let _second = turns.turn("ann").await.unwrap();
        let third = waits(&turns, "ann");
        let _fourth = waits(&turns, "ann");
        settle().await;
        assert_eq!(turns.turn("ann").await.unwrap_err(), Busy::One(2));
        let bob = turns.turn("bob").await.unwrap();
        let eve = waits(&turns, "eve");
        settle().await;
        assert_eq!(turns.turn("dan").await.unwrap_err(), Busy::All(3));
        drop(bob);
        assert!(eve.await.unwrap(), "eve does not wait for ann");
        drop(first);
        assert!(third.await.unwrap());
    }

    #[tokio::test]
    async fn patience_ends_and_leaves_nothing() {
        let turns = Arc::new(Turns::new(Bounds {
            patience: Duration::from_millis(5),
            ..BOUNDS
        }));
        let held = [turns.turn("ann").await.unwrap(), turns.turn("ann").await.unwrap()];
        for _ in 0..20 {
            let busy = turns.turn("ann").await.unwrap_err();
            assert_eq!(busy, Busy::Patience(Duration::from_millis(5)));
        }
        drop(held);
        let state = turns.lock();
        assert_eq!((state.at_it, state.by_key.len(), state.waiting.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn wider_bounds_let_in_who_waits() {
        let turns = Arc::new(Turns::new(Bounds { at_once: 1, ..BOUNDS }));
        let _held = turns.turn("ann").await.unwrap();
        let bob = waits(&turns, "bob");
        settle().await;
        turns.set(BOUNDS);
        assert!(bob.await.unwrap());
    }
}
