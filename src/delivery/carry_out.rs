//! Carrying out a plan: stage, submit, publish, and then what holds nothing up.

use crate::mail::{MailboxName, Outcome, Refusal};
use crate::sieve::{FeedbackReport, Plan};
use crate::store::{Published, Remembered, Step, StoreError};

use super::errand::Errand;
use super::failure::{Failure, over_quota};
use super::notices::placements;
use super::outward::Redirected;
use super::quota::Room;
use super::wishes::{Notify, Wishes};
use super::{Delivery, Sorter};

impl Sorter {
    pub(super) fn carry_out(&self, delivery: &Delivery<'_>, plan: Plan) -> Result<(Outcome, Vec<Errand>), Failure> {
        let keep_in = delivery.keep_in.cloned().unwrap_or_else(MailboxName::inbox);
        let mut wishes = Wishes::of(plan, &keep_in);
        if let Some(reason) = wishes.reject.take() {
            return self.reject(delivery, reason, wishes);
        }
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
        let mut sent = self.reach_out(delivery, &wishes, !copies.is_empty())?;
        let redirected = std::mem::take(&mut sent.to);
        if sent.kept && copies.keep_in_inbox(delivery) {
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
            errands.extend(self.notices(delivery, wishes.notifications, wishes.reports));
            errands.extend(self.tell_delivered(delivery, &outcome, &sent));
        }
        if matches!(&outcome, Outcome::Delivered { placements, .. } if !placements.is_empty())
            && self.watches(delivery.found)
        {
            errands.push(Errand::warn(delivery));
        }
        Ok((outcome, errands))
    }

    // RFC 5435 §7, vnd.dovecot.report §3: who is told of the message is told of one that is refused, too.
    fn reject(
        &self,
        delivery: &Delivery<'_>,
        reason: String,
        wishes: Wishes,
    ) -> Result<(Outcome, Vec<Errand>), Failure> {
        // What was delivered before is not bounced now, whatever the filter says meanwhile.
        if let Some(outcome) = self.again(delivery)? {
            return Ok((outcome, Vec::new()));
        }
        let errands = self.notices(delivery, wishes.notifications, wishes.reports);
        Ok((Outcome::Refused(Refusal::Rejected(reason)), errands))
    }

    fn notices(
        &self,
        delivery: &Delivery<'_>,
        notifications: Vec<Notify>,
        reports: Vec<FeedbackReport>,
    ) -> Vec<Errand> {
        let mut errands = self.notifications(delivery, notifications);
        errands.extend(self.reports(delivery, reports));
        errands
    }

    // Answers who got it, and whether a copy must stay here because somebody did not.
    fn reach_out(&self, delivery: &Delivery<'_>, wishes: &Wishes, filed: bool) -> Result<Redirected, Failure> {
        let mut done = self.redirect(delivery, &wishes.redirects)?;
        let elsewhere = filed || done.kept || !done.to.is_empty();
        let (piped, kept_too) = self.pipe(delivery, &wishes.pipes, elsewhere)?;
        done.piped = !piped.is_empty();
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
