//! Telling a sender who asked for it that his message arrived: NOTIFY=SUCCESS (RFC 3461 §6.2).
//!
//! An MTA leaves that to us, since we announce DSN.

use crate::mail::Outcome;
use crate::submission::{Status, StatusAction};

use super::errand::Errand;
use super::{Delivery, Sorter};

impl Sorter {
    /// The notification, where it is owed. `silent`: it was redirected to where nobody will tell.
    pub(super) fn tell_delivered(&self, delivery: &Delivery<'_>, outcome: &Outcome, silent: bool) -> Option<Errand> {
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
        let action = match placements.is_empty() && !redirected.is_empty() {
            false => StatusAction::Delivered,
            true if silent => StatusAction::Relayed,
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
