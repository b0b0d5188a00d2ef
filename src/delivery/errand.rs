//! What is left to do when the delivery stands and was answered: mail of our own making, and
//! a look at how full the account is now.

use crate::directory::Found;
use crate::mail::{Address, Cause, DeliveryId, ReversePath};
use crate::submission::Content;

use super::{Delivery, Sorter};

/// A vacation reply or a notification that is still to be sent, or warnings that may be due.
/// It needs no memory: what must not be sent twice was remembered before, and who is to be
/// warned is seen again at the next delivery.
#[must_use = "it is done by Sorter::run_errands"]
pub struct Errand {
    id: DeliveryId,
    user: String,
    task: Task,
}

enum Task {
    Send {
        what: &'static str,
        to: Vec<Address>,
        content: Content,
    },
    Warn {
        found: Box<Found>,
    },
}

impl Errand {
    pub(super) fn of(delivery: &Delivery<'_>, what: &'static str, to: Vec<Address>, content: Content) -> Errand {
        Errand::new(delivery, Task::Send { what, to, content })
    }

    /// Warnings about the quota, where thresholds were crossed.
    pub(super) fn warn(delivery: &Delivery<'_>) -> Errand {
        let found = Box::new(delivery.found.clone());
        Errand::new(delivery, Task::Warn { found })
    }

    fn new(delivery: &Delivery<'_>, task: Task) -> Errand {
        Errand {
            id: delivery.parcel.id.clone(),
            user: delivery.found.user.clone(),
            task,
        }
    }
}

impl Sorter {
    /// Does what a delivery left to be done; where it cannot be, the log says so, and the
    /// delivery stands all the same.
    pub fn run_errands(&self, errands: Vec<Errand>) {
        for Errand { id, user, task } in errands {
            match task {
                Task::Send { what, to, content } => self.send(&id, &user, what, &to, &content),
                Task::Warn { found } => self.warn_of_usage(&found),
            }
        }
    }

    fn send(&self, id: &DeliveryId, user: &str, what: &str, to: &[Address], content: &Content) {
        let addresses = to.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        match self.submitter.submit(&ReversePath::Null, to, content) {
            Ok(_) => tracing::info!(%id, %user, to = %addresses, "{what} sent"),
            Err(error) => {
                let cause = Cause::of(&error);
                tracing::warn!(%id, %user, to = %addresses, %cause, "{what} not sent");
            }
        }
    }
}
