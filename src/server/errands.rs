//! What deliveries leave to be done, done behind them by threads of its own: an MTA that says nothing holds up no
//! delivery, only what is sent.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::delivery::{Errand, Sorter};

/// Errands run at once.
const AT_ONCE: usize = 16;
/// Errands that wait; when there are more, new ones are not done.
const WAITING: usize = 1000;
/// Bytes that those hold in memory.
const HELD: usize = 64 << 20;
/// How long a thread waits for work before it ends.
const IDLE: Duration = Duration::from_secs(10);
/// How long errands are begun after a stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// The queue of errands and its threads. Dropped, it waits for those that have begun, and for a minute begins those
/// that wait.
pub(super) struct Errands {
    queue: Arc<Queue>,
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// With the sorting table that left them.
    waiting: VecDeque<(Arc<Sorter>, Errand)>,
    held: usize,
    threads: usize,
    idle: usize,
    /// Since when none is begun.
    end: Option<Instant>,
}

impl Errands {
    pub(super) fn new() -> Errands {
        Errands {
            queue: Arc::new(Queue {
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
        }
    }

    /// Has errands done soon; returns at once.
    pub(super) fn add(&self, sorter: &Arc<Sorter>, errands: Vec<Errand>) {
        for errand in errands {
            self.queue.add(sorter, errand);
        }
    }
}

impl Drop for Errands {
    fn drop(&mut self) {
        let Queue { state, changed, .. } = &*self.queue;
        let mut state = lock(state);
        state.end = Some(Instant::now() + PATIENCE);
        changed.notify_all();
        let ended = changed.wait_while(state, |state| state.threads > 0);
        let mut state = ended.unwrap_or_else(PoisonError::into_inner);
        for (_, errand) in mem::take(&mut state.waiting) {
            errand.leave("postroom is stopping");
        }
    }
}

impl Queue {
    fn add(self: &Arc<Queue>, sorter: &Arc<Sorter>, errand: Errand) {
        let mut state = lock(&self.state);
        if state.waiting.len() >= WAITING || state.held + errand.size() > HELD {
            drop(state);
            return errand.leave("too much waits for the submission server");
        }
        state.held += errand.size();
        state.waiting.push_back((sorter.clone(), errand));
        if state.idle >= state.waiting.len() {
            self.changed.notify_one();
        } else if state.threads < AT_ONCE {
            state.threads += 1;
            drop(state);
            self.start();
        }
    }

    fn start(self: &Arc<Queue>) {
        let queue = self.clone();
        let thread = thread::Builder::new().name("errand".to_owned());
        if let Err(error) = thread.spawn(move || queue.work()) {
            tracing::warn!(%error, "no thread for replies; they wait");
            // Where another thread is at work, it is that one's; else this one does it.
            let last = {
                let mut state = lock(&self.state);
                state.threads -= 1;
                state.threads == 0
            };
            if last {
                lock(&self.state).threads += 1;
                self.work();
            }
        }
    }

    fn work(&self) {
        let counted = Counted(self);
        while let Some((sorter, errand)) = self.next() {
            sorter.run_errands(vec![errand]);
        }
        // Counted out by `next`, so that whoever adds one meanwhile knows.
        mem::forget(counted);
    }

    /// Waits for an errand; without one this thread is counted out.
    fn next(&self) -> Option<(Arc<Sorter>, Errand)> {
        let mut state = lock(&self.state);
        loop {
            let ended = state.end.is_some_and(|end| Instant::now() >= end);
            if !ended && let Some((sorter, errand)) = state.waiting.pop_front() {
                state.held -= errand.size();
                return Some((sorter, errand));
            }
            if state.end.is_some() {
                break;
            }
            state.idle += 1;
            let waited = self.changed.wait_timeout(state, IDLE);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && state.waiting.is_empty() {
                break;
            }
        }
        self.count_out(&mut state);
        None
    }

    fn count_out(&self, state: &mut State) {
        state.threads -= 1;
        self.changed.notify_all();
    }
}

/// Counts a thread out that panics.
struct Counted<'a>(&'a Queue);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.count_out(&mut lock(&self.0.state));
    }
}

// Each change of it is whole.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
