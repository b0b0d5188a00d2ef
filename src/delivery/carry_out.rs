//! Carrying out a plan: stage, submit, publish, and then what holds nothing up.

use crate::mail::{Address, Flags, MailboxName, Outcome, Refusal, SpecialUse};
use crate::message::Message;
use crate::sieve::{Action, Fcc, Plan, RedirectDsn, VacationReply};
use crate::store::{Published, Remembered, Step, StoreError};

use super::errand::Errand;
use super::failure::{Failure, over_quota};
use super::notices::placements;
use super::outward::Redirected;
use super::quota::Room;
use super::{Delivery, Sorter};

/// A plan sorted by stroke.
#[derive(Default)]
pub(super) struct Wishes {
    pub(super) files: Vec<Filing>,
    pub(super) redirects: Vec<Redirect>,
    pub(super) pipes: Vec<Pipe>,
    pub(super) vacations: Vec<VacationReply>,
    pub(super) notifications: Vec<Notify>,
    pub(super) remember: Vec<(Remembered, u64)>,
}

/// A copy for a mailbox, as a script wants it.
pub(super) struct Filing {
    pub(super) mailbox: MailboxName,
    pub(super) flags: Flags,
    pub(super) create: bool,
    pub(super) special_use: Option<SpecialUse>,
    pub(super) edition: Option<Message>,
}

/// A redirect.
pub(super) struct Redirect {
    pub(super) address: Address,
    pub(super) dsn: RedirectDsn,
    pub(super) edition: Option<Message>,
}

/// A message for a program.
pub(super) struct Pipe {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    pub(super) attempt: bool,
    pub(super) edition: Option<Message>,
}

/// A notification.
pub(super) struct Notify {
    pub(super) method: String,
    pub(super) addresses: Vec<Address>,
    pub(super) from: Option<String>,
    pub(super) message: String,
    pub(super) importance: u8,
    pub(super) fcc: Option<Fcc>,
}

impl Wishes {
    // A plan that rejects wants nothing else; its reason comes back as the error.
    fn of(plan: Plan, keep_in: &MailboxName) -> Result<Wishes, String> {
        let mut wishes = Wishes::default();
        for planned in plan.actions {
            let edition = planned.edition;
            match planned.action {
                Action::Keep { flags } => wishes.files.push(Filing {
                    mailbox: keep_in.clone(),
                    flags,
                    create: true,
                    special_use: None,
                    edition,
                }),
                Action::FileInto {
                    mailbox,
                    flags,
                    create,
                    special_use,
                    ..
                } => wishes.files.push(Filing {
                    mailbox,
                    flags,
                    create,
                    special_use,
                    edition,
                }),
                Action::Redirect { address, dsn, .. } => wishes.redirects.push(Redirect { address, dsn, edition }),
                Action::Pipe {
                    program,
                    arguments,
                    attempt,
                    ..
                } => wishes.pipes.push(Pipe {
                    program,
                    arguments,
                    attempt,
                    edition,
                }),
                Action::Discard => {}
                Action::Reject { reason, .. } => return Err(reason),
                Action::Vacation(reply) => wishes.vacations.push(reply),
                Action::Notify {
                    method,
                    addresses,
                    from,
                    message,
                    importance,
                    fcc,
                    // RFC 5436 §2.5: no option is defined for mailto.
                    options: _,
                } => wishes.notifications.push(Notify {
                    method,
                    addresses,
                    from,
                    message,
                    importance,
                    fcc,
                }),
            }
        }
        wishes.remember = plan
            .remember
            .into_iter()
            .map(|(id, seconds)| (Remembered::Duplicate(id), seconds))
            .collect();
        Ok(wishes)
    }

    // Whether something leaves the store, which no transaction takes back.
    fn reach_out(&self) -> bool {
        let Wishes {
            redirects,
            pipes,
            vacations,
            notifications,
            ..
        } = self;
        !(redirects.is_empty() && pipes.is_empty() && vacations.is_empty() && notifications.is_empty())
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
        let mut copies = self.copies(delivery, std::mem::take(&mut wishes.files));
        if !copies.is_empty()
            && let Some(outcome) = self.full(delivery, Room::In(&copies.sizes()))?
        {
            return Ok((outcome, Vec::new()));
        }
        let mut staged = copies.stage(delivery)?;
        let Redirected {
            to: redirected,
            kept,
            silent,
        } = self.reach_out(delivery, &wishes, !copies.is_empty())?;
        if kept && copies.keep_in_inbox(delivery) {
            // Staged anew: what was staged, nobody has seen yet.
            staged = copies.stage(delivery)?;
        }
        let remember = std::mem::take(&mut wishes.remember);
        let outcome = match staged {
            Some(staged) => {
                let publication = self.publication(delivery, copies.targets(), remember);
                let published = match staged.publish(publication.clone()) {
                    // Others may have made room that the index does not know of yet.
                    Err(StoreError::OverQuota { .. }) => {
                        delivery.account.reconcile()?;
                        match copies.stage(delivery)? {
                            Some(staged) => staged.publish(publication),
                            None => Ok(Published::Placed(Vec::new())),
                        }
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
            errands.extend(self.tell_delivered(delivery, &outcome, silent));
        }
        if matches!(&outcome, Outcome::Delivered { placements, .. } if !placements.is_empty())
            && self.watches(delivery.found)
        {
            errands.push(Errand::warn(delivery));
        }
        Ok((outcome, errands))
    }

    // Answers who got it, and whether a copy must stay here because somebody did not.
    fn reach_out(&self, delivery: &Delivery<'_>, wishes: &Wishes, filed: bool) -> Result<Redirected, Failure> {
        let mut done = self.redirect(delivery, &wishes.redirects)?;
        let elsewhere = filed || done.kept || !done.to.is_empty();
        let (piped, kept_too) = self.pipe(delivery, &wishes.pipes, elsewhere)?;
        done.to.extend(piped);
        done.kept |= kept_too;
        Ok(done)
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
}
