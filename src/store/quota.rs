//! What a store says of quotas.

use crate::index::Counts;
use crate::mail::{Crossing, MailboxName, Quota, Threshold, Usage};

use super::StoreError;

/// What counting anew found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recount {
    /// What counts for the quota.
    pub usage: Usage,
    /// The mailboxes whose counts were wrong, and are mended now.
    pub drift: Vec<Drift>,
    /// Whether `maildirsize` was written.
    pub maildirsize: bool,
}

/// A mailbox whose counts did not agree with its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Which.
    pub mailbox: MailboxName,
    /// What the index had.
    pub was: Counts,
    /// What its messages make.
    pub is: Counts,
}

/// The thresholds whose memory does not agree with what is used now.
pub(super) fn crossings(
    quota: &Quota,
    used: Usage,
    thresholds: &[Threshold],
    was_reached: impl Fn(Threshold) -> Result<bool, StoreError>,
) -> Result<Vec<Crossing>, StoreError> {
    let mut crossings: Vec<Crossing> = Vec::new();
    for threshold in thresholds {
        let threshold = *threshold;
        let Some(limit) = quota.limit(threshold.unit) else {
            continue;
        };
        let used = used.of(threshold.unit);
        let reached = threshold.is_reached(used, limit);
        let known = crossings.iter().any(|crossing| crossing.threshold == threshold);
        if !known && was_reached(threshold)? != reached {
            crossings.push(Crossing {
                threshold,
                reached,
                used,
                limit,
            });
        }
    }
    Ok(crossings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::QuotaUnit;

    #[test]
    fn what_was_crossed() {
        let quota = Quota {
            bytes: Some(100),
            ..Quota::default()
        };
        let threshold = |percent, unit| Threshold { percent, unit };
        let thresholds = [
            threshold(80, QuotaUnit::Bytes),
            threshold(95, QuotaUnit::Bytes),
            threshold(80, QuotaUnit::Bytes),
            threshold(80, QuotaUnit::Messages),
        ];
        for (used, reached, expected) in [
            (79, &[][..], &[][..]),
            (80, &[], &[(80, true)]),
            (80, &[80], &[]),
            (99, &[80], &[(95, true)]),
            (99, &[], &[(80, true), (95, true)]),
            (10, &[80, 95], &[(80, false), (95, false)]),
            (90, &[80, 95], &[(95, false)]),
        ] {
            let usage = Usage {
                bytes: used,
                messages: u64::MAX,
            };
            let found = crossings(&quota, usage, &thresholds, |threshold| {
                Ok(reached.contains(&threshold.percent))
            });
            let found: Vec<(u32, bool)> = found
                .unwrap()
                .iter()
                .map(|it| (it.threshold.percent, it.reached))
                .collect();
            assert_eq!(found, expected, "{used} {reached:?}");
        }
    }
}
