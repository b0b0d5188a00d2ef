//! Mail of our own making, sent when the delivery stands and was answered.

use crate::mail::{Address, Cause, DeliveryId, ReversePath};
use crate::submission::Content;

use super::{Delivery, Sorter};

/// A vacation reply or a notification that is still to be sent. It needs no memory: what
/// must not be sent twice was remembered before.
#[must_use = "it is sent by Sorter::run_errands"]
pub struct Errand {
    what: &'static str,
    id: DeliveryId,
    user: String,
    to: Vec<Address>,
    content: Content,
}

impl Errand {
    pub(super) fn of(delivery: &Delivery<'_>, what: &'static str, to: Vec<Address>, content: Content) -> Errand {
        Errand {
            what,
            id: delivery.parcel.id.clone(),
            user: delivery.found.user.clone(),
            to,
            content,
        }
    }
}

impl Sorter {
    /// Sends what a delivery left to be sent; where it cannot leave, the log says so, and the
    /// delivery stands all the same.
    pub fn run_errands(&self, errands: Vec<Errand>) {
        for errand in errands {
            let Errand {
                what,
                id,
                user,
                to,
                content,
            } = errand;
            let addresses = to.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            match self.submitter.submit(&ReversePath::Null, &to, &content) {
                Ok(_) => tracing::info!(%id, %user, to = %addresses, "{what} sent"),
                Err(error) => {
                    let cause = Cause::of(&error);
                    tracing::warn!(%id, %user, to = %addresses, %cause, "{what} not sent");
                }
            }
        }
    }
}
