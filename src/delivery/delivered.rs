//! Telling a sender who asked for it that his message arrived: NOTIFY=SUCCESS (RFC 3461 §6.2).
//!
//! An MTA leaves that to us, since we announce DSN.

use crate::mail::Outcome;
use crate::submission::{Status, StatusAction};

use super::errand::Errand;
use super::outward::Redirected;
use super::{Delivery, Sorter};

impl Sorter {
    /// The notification, where it is owed.
    pub(super) fn tell_delivered(
        &self,
        delivery: &Delivery<'_>,
        outcome: &Outcome,
        sent: &Redirected,
    ) -> Option<Errand> {
        let Delivery { parcel, recipient, .. } = delivery;
        let Outcome::Delivered {
            placements, redirected, ..
        } = outcome
        else {
            return None;
        };
        if !recipient.dsn.on_success() {
            return None;
        }
        // RFC 3461 §6.2.1: whom it was sent on to with the same wish, the next server tells.
        let only_sent_on = placements.is_empty() && !sent.piped && !redirected.is_empty();
        let action = match only_sent_on {
            false => StatusAction::Delivered,
            true if sent.silent => StatusAction::Relayed,
            true => return None,
        };
        let status = Status {
            recipient: recipient.address.clone(),
            original: recipient.original.clone(),
            orcpt: recipient.dsn.orcpt.clone(),
            action,
            status: "2.1.5".to_owned(),
            diagnostic: String::new(),
            explanation: String::new(),
        };
        let reverse_path = &parcel.envelope.reverse_path;
        let composer = self.submitter.composer();
        let content = composer.delivery_status((reverse_path, &parcel.envelope.dsn), &[status], &parcel.message)?;
        Some(Errand::tell(delivery, reverse_path.address()?.clone(), content))
    }
}
