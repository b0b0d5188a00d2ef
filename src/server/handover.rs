//! From a complete message to its deliveries, their replies and their log lines.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinError;

use crate::delivery::{Errand, Parcel, Status, failed};
use crate::directory::Found;
use crate::mail::{Address, Cause, Deferral, DeliveryId, Envelope, Outcome, Recipient, ReversePath};
use crate::message::{Message, SpoolError, Summary};
use crate::smtp::{EnhancedStatus, Reply, enhanced_status, one_reply, prdr_replies};
use crate::telemetry::{About, Line};

use super::Shared;

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
        let parcel = Arc::new(Parcel {
            message,
            envelope,
            id: DeliveryId::new(),
        });
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
        vec![self.tell_refused(&outcomes, reply, refused, utf8).await]
    }

    // The reply, once the sender is told who of several recipients was refused.
    async fn tell_refused(&self, outcomes: &[Outcome], reply: Reply, refused: Vec<usize>, utf8: bool) -> Reply {
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
        let (shared, parcel) = (self.shared.clone(), self.parcel.clone());
        let reported = tokio::task::spawn_blocking(move || shared.sorter.report_refused(&parcel, &failures)).await;
        match reported {
            Ok(Ok(())) => reply,
            Ok(Err(error)) => {
                tracing::warn!(%id, cause = %Cause::of(&error), "cannot notify the sender of refused recipients");
                Reply::trouble(id)
            }
            Err(panic) => Reply::of(&died(&panic), id, utf8),
        }
    }

    // Recipients are independent (invariant 5); their outcomes come back in RCPT order.
    async fn deliver(&self) -> Vec<Outcome> {
        let mut under_way = Vec::new();
        for (at, recipient) in self.parcel.envelope.recipients.iter().enumerate() {
            let found = self.accounts.get(&recipient.address).cloned();
            let (shared, parcel, begun) = (self.shared.clone(), self.parcel.clone(), self.begun);
            // The semaphore is never closed.
            let permit = shared.deliveries.clone().acquire_owned().await.ok();
            let (answer, answered) = oneshot::channel();
            let task = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let (outcome, errands) = deliver_one(&shared, &parcel, at, found, begun);
                // Nobody listens where the connection is gone.
                let _ = answer.send(outcome);
                shared.errands.add(errands);
            });
            under_way.push((task, answered));
        }
        let mut outcomes = Vec::new();
        for (task, answered) in under_way {
            outcomes.push(match answered.await {
                Ok(outcome) => outcome,
                Err(_) => task.await.map_or_else(|panic| died(&panic), |()| lost()),
            });
        }
        outcomes
    }
}

fn lost() -> Outcome {
    Outcome::Deferred(Deferral::Trouble(Cause::new("the delivery did not end")))
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
            shared.tender.delivered(&found);
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
    let summary = Summary::of(parcel.message.header(), parcel.message.structure());
    let about = About {
        id: &parcel.id,
        from: &parcel.envelope.reverse_path,
        to: &recipient.address,
        user,
        message_id: summary.message_id.as_deref(),
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
    utf8: bool,
) -> Reply {
    let about = About {
        id,
        from: reverse_path,
        to: &recipient.address,
        user: None,
        message_id: None,
        size: 0,
        code: &dotted(enhanced_status(outcome)),
        time: Duration::ZERO,
    };
    Line::of(outcome, &about).record();
    Reply::of(outcome, id, utf8)
}

/// The outcome of a thread that panicked: the message stays with the MTA.
pub(super) fn died(panic: &JoinError) -> Outcome {
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
