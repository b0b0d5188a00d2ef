//! What is left to do when the delivery stands and was answered: mail of our own making, and
//! a look at how full the account is now.

use std::io::Read;

use crate::directory::Found;
use crate::mail::{Address, Cause, DeliveryId, ReversePath};
use crate::message::{Letter, Message};
use crate::sieve::Fcc;
use crate::store::{ActionKind, ActionResult, PastAction, Record, StoreError, Target};
use crate::submission::{Content, Dsn};

use super::copies::make;
use super::{Delivery, Sorter, history, key, notices};

/// A vacation reply, a notification or a report that is still to be sent, or warnings that may be due.
/// It needs no memory: what must not be sent twice was remembered before, and who is to be
/// warned is seen again at the next delivery.
#[must_use = "it is done by Sorter::run_errands"]
pub struct Errand {
    id: DeliveryId,
    found: Box<Found>,
    task: Task,
    note: Option<Note>,
}

/// What is written down once an errand is done.
struct Note {
    recipient: String,
    action: PastAction,
}

enum Task {
    Send(Mail),
    Warn,
}

/// Mail of our own making.
pub(super) struct Mail {
    /// What it is: a reply of `vacation`, a notification, or a report; none for a delivery status notification.
    pub(super) kind: Option<ActionKind>,
    pub(super) to: Vec<Address>,
    pub(super) content: Content,
    pub(super) fcc: Option<Fcc>,
}

impl Errand {
    pub(super) fn send(delivery: &Delivery<'_>, mail: Mail) -> Errand {
        let action = mail.kind.and_then(|kind| delivery.chronicle.for_errand(kind));
        let note = action.map(|action| Note {
            recipient: delivery.recipient.address.to_string(),
            action,
        });
        Errand {
            note,
            ..Errand::new(delivery, Task::Send(mail))
        }
    }

    /// A delivery status notification.
    pub(super) fn tell(delivery: &Delivery<'_>, sender: Address, content: Content) -> Errand {
        let mail = Mail {
            kind: None,
            to: vec![sender],
            content,
            fcc: None,
        };
        Errand::new(delivery, Task::Send(mail))
    }

    /// Warnings about the quota, where thresholds were crossed.
    pub(super) fn warn(delivery: &Delivery<'_>) -> Errand {
        Errand::new(delivery, Task::Warn)
    }

    /// Bytes that it holds in memory, about.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.task {
            Task::Send(mail) => mail.content.held(),
            Task::Warn => 0,
        }
    }

    /// Leaves it undone, which the log says.
    pub fn leave(self, why: &str) {
        let Errand { id, found, task, .. } = self;
        match task {
            Task::Send(mail) => {
                let (what, to) = (mail.what(), addresses(&mail.to));
                tracing::warn!(%id, user = %found.user, to, "{what} not sent: {why}");
            }
            // Who is to be warned is seen again at the next delivery.
            Task::Warn => tracing::debug!(%id, user = %found.user, "the quota is not looked at: {why}"),
        }
    }

    fn new(delivery: &Delivery<'_>, task: Task) -> Errand {
        Errand {
            id: delivery.parcel.id.clone(),
            found: Box::new(delivery.found.clone()),
            task,
            note: None,
        }
    }
}

impl Mail {
    // By what name the log knows it.
    fn what(&self) -> &'static str {
        match self.kind {
            Some(ActionKind::Vacation) => "vacation reply",
            Some(ActionKind::Report) => "report",
            Some(_) => "notification",
            None => "delivery status notification",
        }
    }
}

fn addresses(to: &[Address]) -> String {
    to.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Sorter {
    /// Does what a delivery left to be done; where it cannot be, the log says so, and the
    /// delivery stands all the same.
    pub fn run_errands(&self, errands: Vec<Errand>) {
        for Errand { id, found, task, note } in errands {
            match task {
                Task::Send(mail) => {
                    let failure = self.send(&id, &found, &mail).err();
                    if let Some(note) = note {
                        self.note(id, &found, note, failure);
                    }
                }
                Task::Warn => self.warn_of_usage(&found),
            }
        }
    }

    fn note(&self, id: DeliveryId, found: &Found, note: Note, failure: Option<Cause>) {
        // Opening an account that was removed meanwhile would make it anew.
        if !found.home.is_dir() {
            return;
        }
        let Ok(account) = self.store.account(&found.user, &found.home) else {
            return;
        };
        let mut action = note.action;
        if let Some(cause) = failure {
            (action.result, action.reason) = (ActionResult::Failed, Some(cause.to_string()));
        }
        let record = Record::More {
            id,
            recipient: note.recipient,
            actions: vec![action],
        };
        history::write(account.as_ref(), &record);
    }

    fn send(&self, id: &DeliveryId, found: &Found, mail: &Mail) -> Result<(), Cause> {
        let Mail { to, content, fcc, .. } = mail;
        let (what, user) = (mail.what(), &found.user);
        let addresses = addresses(to);
        // RFC 5230 §5.1, RFC 3834 §3.3: nobody is to hear what became of it.
        let sent = self
            .submitter
            .submit_with(&Dsn::never(), &ReversePath::Null, to, content);
        match sent {
            Ok(_) => tracing::info!(%id, %user, to = %addresses, "{what} sent"),
            Err(error) => {
                let cause = Cause::of(&error);
                tracing::warn!(%id, %user, to = %addresses, %cause, "{what} not sent");
                return Err(cause);
            }
        }
        // RFC 8580 §3: of what was not sent there is no copy.
        if let Some(fcc) = fcc
            && let Some(first) = to.first()
            && let Err(error) = self.file_copy(id, found, (content, first), fcc)
        {
            let mailbox = fcc.mailbox.as_str();
            tracing::warn!(%id, %user, mailbox, cause = %Cause::of(&error), "no copy of the {what} is filed");
        }
        Ok(())
    }

    // Within the quota, as all that is filed; where a mailbox is missing it is made only with `:create`.
    fn file_copy(
        &self,
        id: &DeliveryId,
        found: &Found,
        (content, to): (&Content, &Address),
        fcc: &Fcc,
    ) -> Result<(), StoreError> {
        // Opening an account that was removed meanwhile would make it anew.
        if !found.home.is_dir() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        // It lies in memory, where nothing fails to be read.
        let _ = content.reader().read_to_end(&mut bytes);
        let message = Message::from_bytes(bytes);
        let account = self.store.account(&found.user, &found.home)?;
        let may_make = fcc.create || self.options.create_mailboxes;
        if may_make && !account.has_mailbox(&fcc.mailbox)? {
            make(account.as_ref(), &fcc.mailbox, fcc.special_use)?;
        }
        // Each generated message has an id of its own, so that the key is one too.
        let key = key::redelivery_key(&message, &ReversePath::Null, to);
        let target = Target {
            mailbox: fcc.mailbox.clone(),
            flags: fcc.flags.clone(),
        };
        let quota = Some(found.quota.clone());
        notices::put(account.as_ref(), &Letter::plain(message), key, target, id, quota)
    }
}
