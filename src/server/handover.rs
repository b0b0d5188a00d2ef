//! From a complete message to its deliveries, their replies and their log lines.

use std::collections::HashMap;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::delivery::{Errand, Parcel, Status, failed};
use crate::directory::Found;
use crate::mail::{Address, Cause, Deferral, DeliveryId, Envelope, Outcome, Recipient, ReversePath};
use crate::message::{Message, SpoolError};
use crate::smtp::{EnhancedStatus, Reply, enhanced_status, one_reply, prdr_replies};
use crate::telemetry::{About, Line};

use super::Shared;
use super::turns::Busy;

/// Recipients of one message that are served or wait at once, so that one message does not take every place.
const ABREAST: usize = 32;

/// A message with all its recipients.
pub(super) struct Consignment {
    shared: Arc<Shared>,
    parcel: Arc<Parcel>,
    accounts: HashMap<Address, Found>,
    begun: Instant,
}

impl Consignment {
    pub(super) fn new(
        shared: Arc<Shared>,
        message: Message,
        envelope: Envelope,
        accounts: HashMap<Address, Found>,
        begun: Instant,
    ) -> Consignment {
        let parcel = Arc::new(Parcel::new(message, envelope, DeliveryId::new()));
        Consignment {
            shared,
            parcel,
            accounts,
            begun,
        }
    }

    /// RFC 2033 §4.2: one reply for each accepted recipient, in RCPT order.
    pub(super) async fn lmtp_replies(self, utf8: bool) -> Vec<Reply> {
        let outcomes = self.deliver().await;
        outcomes
            .iter()
            .map(|outcome| Reply::of(outcome, &self.parcel.id, utf8))
            .collect()
    }

    /// One reply for all; where some were refused, their sender gets a notification. With PRDR one for each.
    pub(super) async fn smtp_replies(self, utf8: bool) -> Vec<Reply> {
        let outcomes = self.deliver().await;
        let Parcel { id, envelope, .. } = &*self.parcel;
        if envelope.prdr {
            return prdr_replies(&outcomes, id, utf8);
        }
        let (reply, refused) = one_reply(&outcomes, id, utf8);
        vec![self.tell_refused(&outcomes, reply, refused).await]
    }

    // The reply, once the sender is told who of several recipients was refused.
    async fn tell_refused(&self, outcomes: &[Outcome], reply: Reply, refused: Vec<usize>) -> Reply {
        let Parcel { id, envelope, .. } = &*self.parcel;
        let failures: Vec<_> = refused
            .into_iter()
            // RFC 3461 §4.1: who does not want to hear of failures does not.
            .filter(|at| envelope.recipients[*at].dsn.on_failure())
            .map(|at| failure(id, &envelope.recipients[at], &outcomes[at]))
            .collect();
        if failures.is_empty() {
            return reply;
        }
        match self.report(failures).await {
            Ok(()) => reply,
            Err(cause) => {
                tracing::warn!(%id, %cause, "cannot notify the sender of refused recipients");
                Reply::trouble(id)
            }
        }
    }

    // An MTA that says nothing holds up no more than so many of these.
    async fn report(&self, failures: Vec<Status>) -> Result<(), Cause> {
        let (shared, parcel) = (self.shared.clone(), self.parcel.clone());
        let turn = shared.house.reports.turn(()).await.map_err(|busy| Cause::of(&busy))?;
        let reported = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            shared.sorter.report_refused(&parcel, &failures)
        });
        match reported.await {
            Ok(reported) => reported.map_err(|error| Cause::of(&error)),
            Err(panic) => Err(Cause::of(&panic)),
        }
    }

    // Recipients are independent (invariant 5); their outcomes come back in RCPT order.
    async fn deliver(&self) -> Vec<Outcome> {
        let recipients = self.parcel.envelope.recipients.len();
        // Most messages have one: it needs no task of its own. In a box, so that idle connections do not hold its room.
        if recipients == 1 {
            let (_, outcome) = Box::pin(self.deliver_to(0, true)).await;
            return vec![outcome];
        }
        let mut outcomes: Vec<Outcome> = (0..recipients).map(|_| lost()).collect();
        let (mut under_way, mut next) = (JoinSet::new(), 0);
        loop {
            while next < recipients && under_way.len() < ABREAST {
                under_way.spawn(self.deliver_to(next, false));
                next += 1;
            }
            match under_way.join_next().await {
                Some(Ok((at, outcome))) => outcomes[at] = outcome,
                Some(Err(panic)) => drop(died(&panic)),
                None => return outcomes,
            }
        }
    }

    /// Waits for the account's turn, and delivers; `alone` where the task has nothing else to do meanwhile.
    fn deliver_to(&self, at: usize, alone: bool) -> impl Future<Output = (usize, Outcome)> + use<> {
        let (shared, parcel, begun) = (self.shared.clone(), self.parcel.clone(), self.begun);
        let address = &parcel.envelope.recipients[at].address;
        let found = self.accounts.get(address).cloned();
        let account = found
            .as_ref()
            .map_or_else(|| address.to_string(), |found| found.user.clone());
        async move {
            let turn = match shared.house.deliveries.turn(account).await {
                Ok(turn) => turn,
                Err(busy) => {
                    let outcome = too_busy("deliveries", busy);
                    let user = found.map(|found| found.user);
                    let recipient = &parcel.envelope.recipients[at];
                    record(&outcome, &parcel, recipient, user.as_deref(), begun.elapsed());
                    return (at, outcome);
                }
            };
            // Nobody else keeps the threads busy: this one goes on by itself, which saves waking another and being woken.
            if alone && turn.is_only_one() {
                return (at, deliver_here(&shared, &parcel, at, found, begun));
            }
            let (answer, answered) = oneshot::channel();
            let task = tokio::task::spawn_blocking(move || {
                let (outcome, errands) = deliver_one(&shared, &parcel, at, found, begun);
                drop(turn);
                // Nobody listens where the connection is gone.
                let _ = answer.send(outcome);
                shared.house.errands.add(&shared.sorter, errands);
            });
            match answered.await {
                Ok(outcome) => (at, outcome),
                Err(_) => (at, task.await.map_or_else(|panic| died(&panic), |()| lost())),
            }
        }
    }
}

/// The outcome of what nobody has time for.
pub(super) fn too_busy(what: &str, busy: Busy) -> Outcome {
    Outcome::Deferred(Deferral::Trouble(Cause::new(format!(
        "too many {what} at once: {busy}"
    ))))
}

/// The outcome of a lookup that does not end.
pub(super) fn too_slow() -> Outcome {
    Outcome::Deferred(Deferral::Trouble(Cause::new(
        "the lookup of the recipient takes longer than [limits] lookup_timeout",
    )))
}

fn lost() -> Outcome {
    Outcome::Deferred(Deferral::Trouble(Cause::new("the delivery did not end")))
}

fn deliver_here(shared: &Shared, parcel: &Parcel, at: usize, found: Option<Found>, begun: Instant) -> Outcome {
    let delivered = in_place(|| {
        let (outcome, errands) = deliver_one(shared, parcel, at, found, begun);
        // Where no thread can be had for them, whoever adds them runs them: that, too, may block.
        shared.house.errands.add(&shared.sorter, errands);
        outcome
    });
    delivered.unwrap_or_else(|panic| died(&panic))
}

// Does what may block while another thread takes the place of this one among those that serve connections. The words of
// a panic where it ends in one.
fn in_place<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(|| tokio::task::block_in_place(work))).map_err(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or(panic.downcast_ref::<&str>().copied());
        words.unwrap_or("a panic without words").to_owned()
    })
}

fn deliver_one(
    shared: &Shared,
    parcel: &Parcel,
    at: usize,
    found: Option<Found>,
    begun: Instant,
) -> (Outcome, Vec<Errand>) {
    let recipient = &parcel.envelope.recipients[at];
    let reverse_path = &parcel.envelope.reverse_path;
    let size = parcel.message.size();
    let found = found.map_or_else(|| shared.sorter.resolve(&recipient.address, reverse_path, size), Ok);
    let ((outcome, errands), user) = match found {
        Ok(found) => {
            let delivered = shared.sorter.deliver(parcel, recipient, &found, None);
            shared.house.tender.delivered(&shared.sorter, &found);
            (delivered, Some(found.user))
        }
        Err(outcome) => ((outcome, Vec::new()), None),
    };
    record(&outcome, parcel, recipient, user.as_deref(), begun.elapsed());
    (outcome, errands)
}

/// What a notification says of a recipient who was refused: the reply in full.
pub(crate) fn failure(id: &DeliveryId, recipient: &Recipient, outcome: &Outcome) -> Status {
    let diagnostic = Reply::of(outcome, id, true).to_string();
    failed(recipient, enhanced_status(outcome), diagnostic, outcome)
}

/// The log line of a message for one recipient.
pub(crate) fn record(outcome: &Outcome, parcel: &Parcel, recipient: &Recipient, user: Option<&str>, time: Duration) {
    let about = About {
        id: &parcel.id,
        from: &parcel.envelope.reverse_path,
        to: &recipient.address,
        user,
        message_id: parcel.message.message_id(),
        queue_id: parcel.queue_id(),
        size: parcel.message.size(),
        code: &dotted(enhanced_status(outcome)),
        time,
    };
    Line::of(outcome, &about).record();
}

/// The reply to a recipient that is refused before there is a message, and its log line.
pub(crate) fn refuse(
    outcome: &Outcome,
    id: &DeliveryId,
    reverse_path: &ReversePath,
    recipient: &Recipient,
    queue_id: Option<&str>,
    utf8: bool,
) -> Reply {
    let about = About {
        id,
        from: reverse_path,
        to: &recipient.address,
        user: None,
        message_id: None,
        queue_id,
        size: 0,
        code: &dotted(enhanced_status(outcome)),
        time: Duration::ZERO,
    };
    Line::of(outcome, &about).record();
    Reply::of(outcome, id, utf8)
}

/// The outcome of a thread that panicked: the message stays with the MTA.
pub(super) fn died(panic: &dyn Display) -> Outcome {
    tracing::error!(%panic, "a delivery ended in a fault of postroom; please report it");
    Outcome::Deferred(Deferral::Trouble(Cause::new(format!("fault in postroom: {panic}"))))
}

/// The outcome of a message that could not be spooled.
pub(super) fn spool_outcome(error: &SpoolError) -> Outcome {
    let cause = Cause::of(error);
    let full = [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT].map(rustix::io::Errno::raw_os_error);
    match error {
        SpoolError::Io { source, .. } if source.raw_os_error().is_some_and(|code| full.contains(&code)) => {
            Outcome::Deferred(Deferral::DiskFull(cause))
        }
        _ => Outcome::Deferred(Deferral::Trouble(cause)),
    }
}

fn dotted((class, subject, detail): EnhancedStatus) -> String {
    format!("{class}.{subject}.{detail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_fault_in_place_is_told_and_ends_nothing_else() {
        let here = tokio::spawn(async {
            let fault: Result<(), _> = in_place(|| panic!("on purpose, {}", 1));
            let plain: Result<(), _> = in_place(|| panic!("on purpose"));
            let done = in_place(|| 3);
            // Others are served meanwhile, although there is one thread for all.
            let served = in_place(|| {
                let (served, other) = std::sync::mpsc::channel();
                tokio::spawn(async move { served.send(()) });
                other.recv_timeout(Duration::from_secs(60))
            });
            let words = [fault, plain].map(Result::unwrap_err);
            (words, done, served)
        });
        let (words, done, served) = here.await.unwrap();
        assert_eq!(words, ["on purpose, 1", "on purpose"]);
        assert_eq!((done, served), (Ok(3), Ok(Ok(()))));
    }
}
