//! Carrying out a plan: stage, submit, publish, and then what holds nothing up.

use crate::mail::{Address, Cause, Flags, MailboxName, Outcome, Refusal};
use crate::message::{Letter, Received, Trace};
use crate::sieve::{Action, Plan, VacationReply};
use crate::store::{Publication, Published, Remembered, Step, StoreError, Target};
use crate::submission::{Content, Kind, NamedAddress, Notification, Vacation, already_redirected};

use super::errand::Errand;
use super::failure::{Failure, over_quota};
use super::notices::placements;
use super::quota::Room;
use super::{CORRESPONDENTS_KEPT, DeliveredTo, Delivery, Sorter, correspondents};

/// A plan sorted by stroke.
#[derive(Default)]
struct Wishes {
    files: Vec<(MailboxName, Flags, bool)>,
    redirects: Vec<Address>,
    vacations: Vec<VacationReply>,
    notifications: Vec<(String, Vec<Address>, String, u8)>,
    remember: Vec<(Remembered, u64)>,
}

impl Wishes {
    // A plan that rejects wants nothing else; its reason comes back as the error.
    fn of(plan: Plan, keep_in: &MailboxName) -> Result<Wishes, String> {
        let mut wishes = Wishes::default();
        for planned in plan.actions {
            match planned.action {
                Action::Keep { flags } => wishes.files.push((keep_in.clone(), flags, true)),
                Action::FileInto {
                    mailbox, flags, create, ..
                } => wishes.files.push((mailbox, flags, create)),
                Action::Redirect { address, .. } => wishes.redirects.push(address),
                Action::Discard | Action::Pipe { .. } => {}
                Action::Reject { reason, .. } => return Err(reason),
                Action::Vacation(reply) => wishes.vacations.push(reply),
                Action::Notify {
                    method,
                    addresses,
                    message,
                    importance,
                    ..
                } => {
                    wishes.notifications.push((method, addresses, message, importance));
                }
            }
        }
        wishes.remember = plan
            .remember
            .into_iter()
            .map(|(id, seconds)| (Remembered::Duplicate(id), seconds))
            .collect();
        Ok(wishes)
    }

    // Whether something leaves this host, which no transaction takes back.
    fn reach_out(&self) -> bool {
        !self.redirects.is_empty() || !self.vacations.is_empty() || !self.notifications.is_empty()
    }
}

impl Sorter {
    pub(super) fn carry_out(&self, delivery: &Delivery<'_>, plan: Plan) -> Result<(Outcome, Vec<Errand>), Failure> {
        let keep_in = delivery.keep_in.cloned().unwrap_or_else(MailboxName::inbox);
        let mut wishes = match Wishes::of(plan, &keep_in) {
            Ok(wishes) => wishes,
            // What was delivered before is not bounced now, whatever the filter says meanwhile.
            Err(reason) => {
                let refused = Outcome::Refused(Refusal::Rejected(reason));
                return Ok((self.again(delivery)?.unwrap_or(refused), Vec::new()));
            }
        };
        // Sent twice at once, it would reach out twice, and of its copies one would be deferred.
        let _alone = self.under_way.begin(delivery.key);
        // Where copies are all there is to do, publishing asks for itself.
        if (wishes.reach_out() || wishes.files.is_empty())
            && let Some(outcome) = self.again(delivery)?
        {
            return Ok((outcome, Vec::new()));
        }
        let mut targets = self.targets(delivery, std::mem::take(&mut wishes.files));
        let letter =
            Letter::new(delivery.parcel.message.clone(), &self.trace(delivery)).to(&delivery.recipient.address);
        if !targets.is_empty()
            && let Some(outcome) = self.full(delivery, Room::In(letter.crlf_size(), &targets))?
        {
            return Ok((outcome, Vec::new()));
        }
        let stage = || delivery.account.stage(&letter, delivery.key);
        let mut staged = match targets.is_empty() {
            true => None,
            false => Some(stage()?),
        };
        let (redirected, kept) = self.redirect(delivery, &wishes.redirects)?;
        if kept && !targets.iter().any(|target| target.mailbox.is_inbox()) {
            targets.push(Target {
                mailbox: MailboxName::inbox(),
                flags: Flags::new(),
            });
            staged = Some(staged.map_or_else(stage, Ok)?);
        }
        let remember = std::mem::take(&mut wishes.remember);
        let outcome = match staged {
            Some(staged) => {
                let publication = self.publication(delivery, targets, remember);
                let published = match staged.publish(publication.clone()) {
                    // Others may have made room that the index does not know of yet.
                    Err(StoreError::OverQuota { .. }) => {
                        delivery.account.reconcile()?;
                        stage()?.publish(publication)
                    }
                    published => published,
                };
                self.published(delivery, published, redirected)?
            }
            None => self.record(delivery, &wishes, remember, redirected)?,
        };
        let mut errands = Vec::new();
        if !matches!(outcome, Outcome::Delivered { again: true, .. }) {
            errands.extend(self.replies(delivery, wishes.vacations));
            errands.extend(self.notifications(delivery, wishes.notifications));
        }
        if matches!(&outcome, Outcome::Delivered { placements, .. } if !placements.is_empty())
            && self.watches(delivery.found)
        {
            errands.push(Errand::warn(delivery));
        }
        Ok((outcome, errands))
    }

    // Asked before what cannot be undone, and before a refusal: was all of it done before?
    fn again(&self, delivery: &Delivery<'_>) -> Result<Option<Outcome>, Failure> {
        let Delivery { account, key, .. } = delivery;
        let Some(id) = account.step(*key, &Step::Done)? else {
            return Ok(None);
        };
        // It is remembered from the last try on.
        account.put_step(*key, &Step::Done, &id)?;
        Ok(Some(Outcome::Delivered {
            id,
            placements: Vec::new(),
            redirected: Vec::new(),
            again: true,
        }))
    }

    fn full(&self, delivery: &Delivery<'_>, room: Room<'_>) -> Result<Option<Outcome>, Failure> {
        let Delivery {
            parcel,
            recipient,
            found,
            ..
        } = delivery;
        let reverse_path = &parcel.envelope.reverse_path;
        match self.is_full(found, &recipient.address, reverse_path, room)? {
            None => Ok(None),
            Some(full) => Ok(Some(self.again(delivery)?.unwrap_or(full))),
        }
    }

    // Each mailbox once, all existing: what cannot be made is replaced by INBOX.
    fn targets(&self, delivery: &Delivery<'_>, files: Vec<(MailboxName, Flags, bool)>) -> Vec<Target> {
        let mut targets: Vec<Target> = Vec::new();
        for (mailbox, flags, create) in files {
            let mailbox = match self.ready(delivery, &mailbox, create) {
                Ok(()) => mailbox,
                Err(why) => {
                    let name = mailbox.to_separated(self.options.separator);
                    self.tell_of_action(delivery, &format!("file into {name}"), &why);
                    MailboxName::inbox()
                }
            };
            if !targets.iter().any(|target| target.mailbox == mailbox) {
                targets.push(Target { mailbox, flags });
            }
        }
        targets
    }

    fn ready(&self, delivery: &Delivery<'_>, mailbox: &MailboxName, create: bool) -> Result<(), String> {
        match delivery.account.has_mailbox(mailbox) {
            Ok(true) => Ok(()),
            Ok(false) if create || self.options.create_mailboxes || mailbox.is_inbox() => delivery
                .account
                .create_mailbox(mailbox)
                .map_err(|error| Cause::of(&error).to_string()),
            Ok(false) => Err("there is no such mailbox; `fileinto :create` would make it".to_owned()),
            Err(error) => Err(Cause::of(&error).to_string()),
        }
    }

    fn trace(&self, delivery: &Delivery<'_>) -> Trace {
        let Delivery { parcel, recipient, .. } = delivery;
        let envelope = &parcel.envelope;
        let alone = envelope.recipients.len() == 1;
        let shown = alone.then(|| recipient.address.clone());
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

    // Answers to whom it was redirected, and whether a copy must stay here because a
    // redirect was refused for good or would make a loop.
    fn redirect(&self, delivery: &Delivery<'_>, addresses: &[Address]) -> Result<(Vec<String>, bool), Failure> {
        let Delivery {
            parcel,
            recipient,
            found,
            account,
            key,
            ..
        } = delivery;
        let owner = found.addresses.first().unwrap_or(&recipient.address);
        let (mut redirected, mut kept) = (Vec::new(), false);
        for address in addresses {
            let about = format!("redirect to {address}");
            if already_redirected(parcel.message.header(), owner) {
                self.tell_of_action(
                    delivery,
                    &about,
                    "the message has come back from an earlier redirect of yours",
                );
                kept = true;
                continue;
            }
            let step = Step::Redirected(address.clone());
            if account.step(*key, &step)?.is_none() {
                let content = Content::redirect(&parcel.message, owner, parcel.envelope.smtputf8);
                let sent =
                    self.submitter
                        .submit(&parcel.envelope.reverse_path, std::slice::from_ref(address), &content);
                match sent {
                    Ok(_) => account.put_step(*key, &step, &parcel.id)?,
                    Err(error) if error.kind() == Kind::Permanent => {
                        self.tell_of_action(delivery, &about, &Cause::of(&error).to_string());
                        kept = true;
                        continue;
                    }
                    Err(source) => {
                        return Err(Failure::Redirect {
                            address: address.to_string(),
                            source,
                        });
                    }
                }
            }
            redirected.push(address.to_string());
        }
        Ok((redirected, kept))
    }

    fn publication(
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
            targets,
            id: parcel.id.clone(),
            remember,
            quota: Some(found.quota.clone()),
        }
    }

    fn published(
        &self,
        delivery: &Delivery<'_>,
        published: Result<Published, StoreError>,
        redirected: Vec<String>,
    ) -> Result<Outcome, Failure> {
        let id = &delivery.parcel.id;
        let published = match published {
            Err(error @ StoreError::OverQuota { .. }) => {
                tracing::info!(%id, "{error}");
                // Other deliveries took the room meanwhile. What was redirected is not bounced too.
                return Ok(over_quota(self.options.refuse_over_quota && redirected.is_empty()));
            }
            published => published?,
        };
        let before = match &published {
            Published::Before(id) => Some(id.clone()),
            Published::Placed(_) => None,
        };
        Ok(Outcome::Delivered {
            again: before.is_some(),
            id: before.unwrap_or_else(|| id.clone()),
            placements: placements(published),
            redirected,
        })
    }

    // Nothing is filed: what reached out is remembered, so that it is not done again.
    fn record(
        &self,
        delivery: &Delivery<'_>,
        wishes: &Wishes,
        remember: Vec<(Remembered, u64)>,
        redirected: Vec<String>,
    ) -> Result<Outcome, Failure> {
        let Delivery {
            parcel, account, key, ..
        } = delivery;
        if wishes.reach_out() {
            account.put_step(*key, &Step::Done, &parcel.id)?;
        }
        for (what, seconds) in remember {
            account.remember(&what, seconds)?;
        }
        Ok(Outcome::Delivered {
            id: parcel.id.clone(),
            placements: Vec::new(),
            redirected,
            again: false,
        })
    }

    // At most once: it is remembered, durably, before it is sent.
    fn replies(&self, delivery: &Delivery<'_>, replies: Vec<VacationReply>) -> Vec<Errand> {
        let mut errands = Vec::new();
        let Delivery {
            parcel,
            recipient,
            found,
            account,
            ..
        } = delivery;
        for reply in replies {
            let memory = Remembered::Reply {
                handle: reply.handle,
                address: reply.address.clone(),
            };
            match account.remember(&memory, reply.period.seconds()) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    tracing::warn!(id = %parcel.id, user = %found.user, %error, "no vacation reply: it could not be remembered");
                    continue;
                }
            }
            let own = found.addresses.first().unwrap_or(&recipient.address);
            let nameless = |address: &Address| NamedAddress {
                name: String::new(),
                address: address.clone(),
            };
            let vacation = Vacation {
                to: nameless(&reply.address),
                from: reply
                    .from
                    .as_deref()
                    .and_then(NamedAddress::parse)
                    .unwrap_or_else(|| nameless(own)),
                subject: reply.subject,
                text: reply.message,
                mime: reply.mime,
            };
            let content = self.submitter.composer().vacation(&vacation, &parcel.message);
            errands.push(Errand::of(delivery, "vacation reply", vec![reply.address], content));
        }
        errands
    }

    fn notifications(
        &self,
        delivery: &Delivery<'_>,
        notifications: Vec<(String, Vec<Address>, String, u8)>,
    ) -> Vec<Errand> {
        let mut errands = Vec::new();
        let Delivery {
            parcel,
            recipient,
            found,
            ..
        } = delivery;
        let owner = found.addresses.first().unwrap_or(&recipient.address);
        for (method, to, message, importance) in notifications {
            if to.is_empty() {
                tracing::warn!(id = %parcel.id, user = %found.user, method, "no notification: only mailto is known");
                continue;
            }
            let notification = Notification {
                to: to.clone(),
                owner: owner.clone(),
                from: None,
                method,
                message,
                importance,
            };
            let content = self.submitter.composer().notification(&notification, &parcel.message);
            errands.push(Errand::of(delivery, "notification", to, content));
        }
        errands
    }
}
