//! The copies that stay here: which mailboxes get which edition, with which trace fields.

use crate::mail::{Cause, Flags, MailboxName, SpecialUse};
use crate::message::{Letter, Message, Received, Trace};
use crate::store::{Account, ActionKind, Publication, Remembered, Staged, StoreError, Target};

use super::wishes::Filing;
use super::{CORRESPONDENTS_KEPT, DeliveredTo, Delivery, Sorter, correspondents};

/// Copies for mailboxes: each mailbox once, each edition of the message with the mailboxes that get it.
pub(super) struct Copies {
    trace: Trace,
    /// What stands first is what the store writes for mailboxes that no edition names.
    editions: Vec<Edition>,
}

/// One edition, and who gets it.
struct Edition {
    /// None: as it came.
    message: Option<Message>,
    letter: Letter,
    targets: Vec<Target>,
}

impl Copies {
    pub(super) fn is_empty(&self) -> bool {
        self.editions.is_empty()
    }

    /// Each mailbox with the bytes that it gets, as IMAP counts them.
    pub(super) fn sizes(&self) -> Vec<(MailboxName, u64)> {
        let sizes = self.editions.iter().flat_map(|edition| {
            let size = edition.letter.crlf_size();
            edition.targets.iter().map(move |target| (target.mailbox.clone(), size))
        });
        sizes.collect()
    }

    pub(super) fn targets(&self) -> Vec<Target> {
        let targets = self.editions.iter().flat_map(|edition| &edition.targets);
        targets.cloned().collect()
    }

    /// Writes all editions durably; none where there is no copy.
    pub(super) fn stage<'a>(&self, delivery: &'a Delivery<'_>) -> Result<Option<Box<dyn Staged + 'a>>, StoreError> {
        let Some((first, others)) = self.editions.split_first() else {
            return Ok(None);
        };
        let mut staged = delivery.account.stage(&first.letter, delivery.key)?;
        for edition in others {
            let mailboxes: Vec<MailboxName> = edition.targets.iter().map(|target| target.mailbox.clone()).collect();
            staged.add_edition(&edition.letter, &mailboxes)?;
        }
        Ok(Some(staged))
    }

    // The message as it came, for INBOX; false where INBOX gets a copy anyway.
    pub(super) fn keep_in_inbox(&mut self, delivery: &Delivery<'_>) -> bool {
        let inbox = Target {
            mailbox: MailboxName::inbox(),
            flags: Flags::new(),
        };
        !self.has(&inbox.mailbox) && {
            self.add(delivery, inbox, None);
            true
        }
    }

    fn has(&self, mailbox: &MailboxName) -> bool {
        let mut targets = self.editions.iter().flat_map(|edition| &edition.targets);
        targets.any(|target| target.mailbox == *mailbox)
    }

    fn add(&mut self, delivery: &Delivery<'_>, target: Target, message: Option<Message>) {
        match self.editions.iter_mut().find(|edition| edition.message == message) {
            Some(edition) => edition.targets.push(target),
            None => {
                let text = message.as_ref().unwrap_or(&delivery.parcel.message);
                let letter = Letter::new(text.clone(), &self.trace).to(&delivery.recipient.address);
                self.editions.push(Edition {
                    message,
                    letter,
                    targets: vec![target],
                });
            }
        }
    }
}

impl Sorter {
    // All mailboxes exist then: what cannot be made is replaced by INBOX.
    pub(super) fn copies(&self, delivery: &Delivery<'_>, files: Vec<Filing>) -> Copies {
        let mut copies = Copies {
            trace: self.trace(delivery),
            editions: Vec::new(),
        };
        for filing in files {
            let Filing {
                mailbox,
                flags,
                create,
                special_use,
                edition,
            } = filing;
            let mailbox = match self.ready(delivery, &mailbox, create, special_use) {
                Ok(()) => mailbox,
                Err(why) => {
                    let name = mailbox.to_separated(self.options.separator);
                    self.tell_of_action(delivery, &format!("file into {name}"), &why);
                    delivery.chronicle.failed(ActionKind::FileInto, mailbox.as_str(), &why);
                    MailboxName::inbox()
                }
            };
            if !copies.has(&mailbox) {
                copies.add(delivery, Target { mailbox, flags }, edition);
            }
        }
        copies
    }

    fn ready(
        &self,
        delivery: &Delivery<'_>,
        mailbox: &MailboxName,
        create: bool,
        special_use: Option<SpecialUse>,
    ) -> Result<(), String> {
        match delivery.account.has_mailbox(mailbox) {
            Ok(true) => Ok(()),
            Ok(false) if create || self.options.create_mailboxes || mailbox.is_inbox() => {
                let made = make(delivery.account, mailbox, special_use);
                made.map_err(|error| Cause::of(&error).to_string())
            }
            Ok(false) => Err("there is no such mailbox; `fileinto :create` would make it".to_owned()),
            Err(error) => Err(Cause::of(&error).to_string()),
        }
    }

    fn trace(&self, delivery: &Delivery<'_>) -> Trace {
        let Delivery { parcel, recipient, .. } = delivery;
        let envelope = &parcel.envelope;
        let shown = envelope.is_to_one().then(|| recipient.address.clone());
        let delivered_to = match self.options.delivered_to {
            DeliveredTo::Single => shown.clone(),
            DeliveredTo::Always => Some(recipient.address.clone()),
            DeliveredTo::Never => None,
        };
        let original = recipient
            .original
            .clone()
            .filter(|original| *original != recipient.address);
        Trace {
            return_path: envelope.reverse_path.clone(),
            received: Some(Received {
                client: envelope.client.clone(),
                hostname: self.options.hostname.clone(),
                id: parcel.id.clone(),
                recipient: shown,
                time: parcel.message.received(),
            }),
            original_to: original,
            delivered_to,
            extra: Vec::new(),
        }
    }

    pub(super) fn publication(
        &self,
        delivery: &Delivery<'_>,
        targets: Vec<Target>,
        mut remember: Vec<(Remembered, u64)>,
    ) -> Publication {
        let Delivery {
            parcel,
            recipient,
            found,
            ..
        } = delivery;
        if found.quota.is_limited() {
            let pair = correspondents(&parcel.envelope.reverse_path, &recipient.address);
            remember.push((pair, CORRESPONDENTS_KEPT));
        }
        Publication {
            history: delivery.chronicle.for_publication(delivery, &targets),
            targets,
            id: parcel.id.clone(),
            remember,
            quota: Some(found.quota.clone()),
        }
    }
}

/// Makes a mailbox, and says what it is for (RFC 8579 §4): a message is filed whether or not that can be said.
pub(super) fn make(
    account: &dyn Account,
    mailbox: &MailboxName,
    special_use: Option<SpecialUse>,
) -> Result<(), StoreError> {
    account.create_mailbox(mailbox)?;
    if special_use.is_some()
        && let Err(error) = account.set_special_use(mailbox, special_use)
    {
        let cause = Cause::of(&error);
        tracing::warn!(%mailbox, %cause, "a mailbox was made, but what it is for is not recorded");
    }
    Ok(())
}
