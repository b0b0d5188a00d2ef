//! Replies of `vacation`, notifications and reports: composed here, sent behind the delivery.

use crate::sieve::{FeedbackReport, NoReport, VacationReply};
use crate::store::{ActionKind, Remembered};
use crate::submission::{NamedAddress, Notification, Report, Vacation};

use super::errand::{Errand, Mail};
use super::wishes::Notify;
use super::{Delivery, Sorter};

impl Sorter {
    // At most once: it is remembered, durably, before it is sent.
    pub(super) fn replies(&self, delivery: &Delivery<'_>, replies: Vec<VacationReply>) -> Vec<Errand> {
        let mut errands = Vec::new();
        let Delivery {
            parcel,
            recipient,
            found,
            account,
            ..
        } = delivery;
        for reply in replies {
            // RFC 5230 §4.5: nobody is answered by himself, by whatever of his addresses he writes.
            if let Ok(Some(sender)) = self.directory.find(&reply.address)
                && sender.user == found.user
            {
                tracing::info!(id = %parcel.id, user = %found.user, "no vacation reply: {} is an own address", reply.address);
                continue;
            }
            let memory = Remembered::Reply {
                handle: reply.handle,
                address: reply.address.clone(),
            };
            match account.remember(&memory, reply.period.seconds()) {
                Ok(true) => {}
                Ok(false) => {
                    let why = "this sender got one not long ago";
                    let to = reply.address.to_string();
                    delivery.chronicle.withheld(ActionKind::Vacation, &to, why);
                    continue;
                }
                Err(error) => {
                    let (why, to) = ("it could not be remembered", reply.address.to_string());
                    delivery.chronicle.failed(ActionKind::Vacation, &to, why);
                    tracing::warn!(id = %parcel.id, user = %found.user, %error, "no vacation reply: it could not be remembered");
                    continue;
                }
            }
            let own = found.addresses.first().unwrap_or(&recipient.address);
            let vacation = Vacation {
                to: reply.address.clone().into(),
                from: named(reply.from.as_deref()).unwrap_or_else(|| own.clone().into()),
                subject: reply.subject,
                text: reply.message,
                mime: reply.mime,
            };
            errands.push(Errand::send(
                delivery,
                Mail {
                    kind: Some(ActionKind::Vacation),
                    to: vec![reply.address],
                    content: self.submitter.composer().vacation(&vacation, &parcel.message),
                    fcc: reply.fcc,
                },
            ));
        }
        errands
    }

    pub(super) fn notifications(&self, delivery: &Delivery<'_>, notifications: Vec<Notify>) -> Vec<Errand> {
        let mut errands = Vec::new();
        let Delivery {
            parcel,
            recipient,
            found,
            ..
        } = delivery;
        let owner = found.addresses.first().unwrap_or(&recipient.address);
        for notify in notifications {
            let Notify {
                method,
                addresses,
                from,
                message,
                importance,
                fcc,
            } = notify;
            let notification = Notification {
                to: addresses,
                owner: owner.clone(),
                from: named(from.as_deref()),
                method,
                message,
                importance,
            };
            let to = notification.recipients();
            if to.is_empty() {
                let method = notification.method;
                delivery
                    .chronicle
                    .failed(ActionKind::Notify, &method, "only mailto is known");
                tracing::warn!(id = %parcel.id, user = %found.user, method, "no notification: only mailto is known");
                continue;
            }
            errands.push(Errand::send(
                delivery,
                Mail {
                    kind: Some(ActionKind::Notify),
                    to,
                    content: self.submitter.composer().notification(&notification, &parcel.message),
                    fcc,
                },
            ));
        }
        errands
    }

    pub(super) fn reports(&self, delivery: &Delivery<'_>, reports: Vec<FeedbackReport>) -> Vec<Errand> {
        let mut errands = Vec::new();
        let Delivery {
            parcel,
            recipient,
            found,
            ..
        } = delivery;
        for report in reports {
            // By whatever of his addresses: the filter knows some of them only.
            if let Ok(Some(reader)) = self.directory.find(&report.address)
                && reader.user == found.user
            {
                let to = report.address.to_string();
                let why = NoReport::OwnAddress.to_string();
                delivery.chronicle.withheld(ActionKind::Report, &to, &why);
                tracing::info!(id = %parcel.id, user = %found.user, "no report to {to}: {why}");
                continue;
            }
            let known_as = recipient.original.as_ref().unwrap_or(&recipient.address);
            let composed = Report {
                to: report.address.clone(),
                feedback_type: report.feedback_type,
                text: report.message,
                headers_only: report.headers_only,
                reverse_path: parcel.envelope.reverse_path.clone(),
                recipient: known_as.clone(),
            };
            errands.push(Errand::send(
                delivery,
                Mail {
                    kind: Some(ActionKind::Report),
                    to: vec![report.address],
                    content: self.submitter.composer().report(&composed, &parcel.message),
                    fcc: None,
                },
            ));
        }
        errands
    }
}

// What is no address of a mailbox anywhere is as if it were not there.
fn named(from: Option<&str>) -> Option<NamedAddress> {
    NamedAddress::parse(from?).filter(|from| !from.address.domain().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_has_a_domain() {
        assert_eq!(named(Some("Ann <ann@example.org>")).unwrap().name, "Ann");
        for text in [
            None,
            Some("ann"),
            Some(""),
            Some("ann@example.org\r\nBcc: bob@example.org"),
        ] {
            assert_eq!(named(text), None, "{text:?}");
        }
    }
}
