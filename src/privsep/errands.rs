//! What an agent's deliveries leave to be done, one after the other and behind them all.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::delivery::{Errand, Sorter};

/// Errands that wait; when there are more, new ones are not done.
const WAITING: usize = 200;
/// How long errands are begun after a stop.
const PATIENCE: Duration = Duration::from_secs(50);

/// The queue and its thread.
pub(super) struct Errands {
    queue: Option<SyncSender<Errand>>,
    thread: Option<JoinHandle<()>>,
    /// When none is begun any more.
    end: Arc<OnceLock<Instant>>,
}

impl Errands {
    pub(super) fn start(sorter: Arc<Sorter>) -> std::io::Result<Errands> {
        let (queue, waiting) = sync_channel(WAITING);
        let end = Arc::<OnceLock<Instant>>::default();
        let its = end.clone();
        let thread = thread::Builder::new().name("errands".to_owned());
        let thread = thread.spawn(move || work(&sorter, &waiting, &its))?;
        Ok(Errands {
            queue: Some(queue),
            thread: Some(thread),
            end,
        })
    }

    /// Has errands done soon; returns at once.
    pub(super) fn add(&self, errands: Vec<Errand>) {
        let Some(queue) = &self.queue else { return };
        for errand in errands {
            match queue.try_send(errand) {
                Ok(()) => {}
                Err(TrySendError::Full(errand)) => errand.leave("too much waits for the submission server"),
                Err(TrySendError::Disconnected(errand)) => errand.leave("its thread ended in a fault of postroom"),
            }
        }
    }
}

/// Waits for those that wait, but not for as long as a submission server that says nothing would have it.
impl Drop for Errands {
    fn drop(&mut self) {
        self.end.get_or_init(|| Instant::now() + PATIENCE);
        self.queue = None;
        // A panic was logged where it happened.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn work(sorter: &Sorter, waiting: &Receiver<Errand>, end: &OnceLock<Instant>) {
    for errand in waiting {
        match end.get().is_some_and(|end| Instant::now() >= *end) {
            false => sorter.run_errands(vec![errand]),
            true => errand.leave("postroom is stopping"),
        }
    }
}
