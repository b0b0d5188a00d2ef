//! Quotas: what counts, what is over the limit, what was crossed.

use crate::index::Remembered;
use crate::mail::{Crossing, MailboxName, Quota, Threshold, Usage};
use crate::store::quota::crossings;
use crate::store::{Recount, StoreError};

use super::MemoryAccount;
use super::state::{State, count};

impl MemoryAccount {
    pub(super) fn used(state: &State, quota: &Quota) -> Usage {
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        quota.usage(state.mailboxes.iter().map(|(name, mailbox)| {
            let counts = count(mailbox.messages.values());
            (name.as_str().to_owned(), number(counts.size), number(counts.messages))
        }))
    }

    pub(super) fn check_quota<'a>(
        &self,
        state: &State,
        quota: &Quota,
        copies: impl Iterator<Item = (&'a MailboxName, u64)> + Clone,
    ) -> Result<(), StoreError> {
        let admitted = quota.admits_into(MemoryAccount::used(state, quota), copies);
        admitted.map_err(|over| StoreError::OverQuota {
            user: self.user.clone(),
            unit: over.unit,
            used: over.used,
            limit: over.limit,
        })
    }

    pub(super) fn crossed(&self, quota: &Quota, thresholds: &[Threshold]) -> Result<Vec<Crossing>, StoreError> {
        self.write(|state| {
            let used = MemoryAccount::used(state, quota);
            let was_reached = |threshold| Ok(state.memory.remembers(&Remembered::Reached(threshold)));
            let crossed = crossings(quota, used, thresholds, was_reached)?;
            for crossing in &crossed {
                let memory = Remembered::Reached(crossing.threshold);
                match crossing.reached {
                    true => state.memory.remember(&memory, u64::MAX),
                    false => state.memory.forget(&memory),
                }
            }
            Ok(crossed)
        })
    }

    /// The counts are made from the messages whenever they are asked for.
    pub(super) fn count_anew(&self, quota: &Quota) -> Result<Recount, StoreError> {
        self.read(|state| {
            Ok(Recount {
                usage: MemoryAccount::used(state, quota),
                ..Recount::default()
            })
        })
    }
}
