//! What is remembered about deliveries: steps that are done, and things for some time.

use std::collections::BTreeMap;

use crate::index::{Remembered, Step};
use crate::mail::DeliveryId;

use super::now;

/// Seconds for which a delivery is remembered after its last try: seven days.
const STEP_KEPT: i64 = 7 * 86_400;

/// What an account remembers.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Who did a step of a redelivery first, and when that was last tried.
    steps: BTreeMap<(u64, String), (DeliveryId, i64)>,
    /// Until when something is remembered.
    until: BTreeMap<String, i64>,
}

impl Memory {
    pub(super) fn step(&self, key: u64, step: &Step) -> Option<DeliveryId> {
        let (id, tried) = self.steps.get(&(key, step_text(step)))?;
        (now() <= tried + STEP_KEPT).then(|| id.clone())
    }

    /// A step that is known keeps its first delivery.
    pub(super) fn put_step(&mut self, key: u64, step: &Step, id: &DeliveryId) {
        let first = self.step(key, step).unwrap_or_else(|| id.clone());
        self.steps.insert((key, step_text(step)), (first, now()));
    }

    /// Keeps all steps of a key for seven more days: it was tried again.
    pub(super) fn touch(&mut self, key: u64) {
        let of_key = self.steps.iter_mut().filter(|((own, _), _)| *own == key);
        of_key.for_each(|(_, (_, tried))| *tried = now());
    }

    pub(super) fn remembers(&self, what: &Remembered) -> bool {
        self.until.get(&text(what)).is_some_and(|until| *until > now())
    }

    pub(super) fn remember(&mut self, what: &Remembered, seconds: u64) {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        self.until.insert(text(what), now().saturating_add(seconds));
    }

    pub(super) fn forget(&mut self, what: &Remembered) {
        self.until.remove(&text(what));
    }
}

fn step_text(step: &Step) -> String {
    match step {
        Step::Done => "done".to_owned(),
        Step::Placed(validity) => format!("in {validity}"),
        Step::PlacedIn(mailbox_id) => format!("in {mailbox_id}"),
        Step::Redirected(address) => format!("redirect {}", address.folded()),
        Step::Piped(label) => format!("pipe {label}"),
    }
}

fn text(what: &Remembered) -> String {
    match what {
        Remembered::Reply { handle, address } => format!("reply {} {handle}", address.folded()),
        Remembered::Duplicate(id) => format!("duplicate {id}"),
        Remembered::Notice(about) => format!("notice {about}"),
        Remembered::Reached(threshold) => format!("reached {}% {}", threshold.percent, threshold.unit),
        Remembered::Correspondents { from, to } => format!("correspondents {} {from}", to.folded()),
    }
}
