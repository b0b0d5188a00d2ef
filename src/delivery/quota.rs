//! Quotas: whether a message has room, and who is told when an account fills up.
//!
//! Before a delivery is carried out the index is asked; the store decides once more in the
//! transaction that publishes. Warnings are run behind the delivery, and never matter to it.

use std::time::Duration;

use crate::directory::{Found, show_size};
use crate::mail::{
    Address, Cause, Crossing, DeliveryId, MailboxName, Outcome, OverLimit, QuotaUnit, ReversePath, Threshold,
};
use crate::store::Account;
use crate::submission::program::{End, Environment, Heard, Job, Runner};

use super::failure::{self, Failure};
use super::{Sorter, correspondents};

/// How long a program that warns may run.
const WARNING_TIME: Duration = Duration::from_secs(60);

/// What happens when an account crosses a threshold of its quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaWarning {
    /// The threshold.
    pub threshold: Threshold,
    /// Whether it happens when the account falls below it, not when it is reached.
    pub below: bool,
    /// Whether the owner gets a message.
    pub message: bool,
    /// A program and its arguments, in which `{user}`, `{percent}`, `{used}` and `{limit}` are
    /// replaced; empty: none.
    pub command: Vec<String>,
}

impl QuotaWarning {
    fn is_due(&self, crossing: &Crossing) -> bool {
        crossing.threshold == self.threshold && crossing.reached != self.below
    }
}

/// Room for what is asked.
#[derive(Clone, Copy)]
pub(super) enum Room<'a> {
    /// For a message of so many bytes, before it is known where it goes.
    Anywhere(u64),
    /// For copies of so many bytes, each in its mailbox.
    In(&'a [(MailboxName, u64)]),
}

impl Sorter {
    // Asked before and after the message; what the index says is looked at again when it
    // says "full", because users delete with other programs.
    pub(super) fn is_full(
        &self,
        found: &Found,
        recipient: &Address,
        reverse_path: &ReversePath,
        room: Room<'_>,
    ) -> Result<Option<Outcome>, Failure> {
        if !found.quota.is_limited() {
            return Ok(None);
        }
        let account = self.store.account(&found.user, &found.home)?;
        if over_limit(found, account.as_ref(), room)?.is_none() {
            return Ok(None);
        }
        account.reconcile()?;
        let Some(OverLimit { unit, used, limit }) = over_limit(found, account.as_ref(), room)? else {
            return Ok(None);
        };
        tracing::info!(user = %found.user, to = %recipient, "no room: {used} of {limit} {unit} are used");
        // It may be the very delivery that filled the box, sent again.
        let remembered = account.remembers(&correspondents(reverse_path, recipient))?;
        Ok(Some(failure::over_quota(self.options.refuse_over_quota && !remembered)))
    }

    /// Whether anything is to be done at thresholds of this account.
    pub(super) fn watches(&self, found: &Found) -> bool {
        let limited = |warning: &QuotaWarning| found.quota.limit(warning.threshold.unit).is_some();
        self.options.warnings.iter().any(limited)
    }

    /// Does what is due where the account has crossed thresholds since it was last looked at;
    /// where something of it fails, the log says so.
    pub fn warn_of_usage(&self, found: &Found) {
        if let Err(failure) = self.warn(found) {
            let cause = Cause::of(&failure);
            tracing::warn!(user = %found.user, %cause, "cannot warn of the quota");
        }
    }

    fn warn(&self, found: &Found) -> Result<(), Failure> {
        // Opening an account that was removed meanwhile would make it anew.
        if !self.watches(found) || !found.home.is_dir() {
            return Ok(());
        }
        let warnings = &self.options.warnings;
        let thresholds: Vec<Threshold> = warnings.iter().map(|warning| warning.threshold).collect();
        let account = self.store.account(&found.user, &found.home)?;
        let crossings = account.quota_crossings(&found.quota, &thresholds)?;
        let told = |crossing: &&Crossing| {
            let due = |warning: &QuotaWarning| warning.message && warning.is_due(crossing);
            warnings.iter().any(due)
        };
        let told: Vec<&Crossing> = crossings.iter().filter(told).collect();
        let percent = |crossing: &&&Crossing| crossing.threshold.percent;
        let highest = told.iter().filter(|crossing| crossing.reached).max_by_key(percent);
        let lowest = told.iter().filter(|crossing| !crossing.reached).min_by_key(percent);
        for crossing in highest.into_iter().chain(lowest) {
            if let Err(failure) = self.tell(found, account.as_ref(), crossing) {
                tracing::warn!(user = %found.user, cause = %Cause::of(&failure), "cannot tell the owner of the quota");
            }
        }
        // Programs last: one may take its time.
        for crossing in &crossings {
            let Crossing {
                threshold,
                reached,
                used,
                limit,
            } = crossing;
            let (percent, unit) = (threshold.percent, threshold.unit);
            let how = if *reached { "reached" } else { "fell below" };
            tracing::info!(user = %found.user, "the account {how} {percent}% of its quota: {used} of {limit} {unit}");
            for warning in warnings.iter().filter(|warning| warning.is_due(crossing)) {
                run(self.submitter.runner(), &warning.command, found, crossing);
            }
        }
        Ok(())
    }

    fn tell(&self, found: &Found, account: &dyn Account, crossing: &Crossing) -> Result<(), Failure> {
        let Some(owner) = found.addresses.first() else {
            return Ok(());
        };
        let (subject, text) = words(crossing);
        self.post_notice(account, owner, &DeliveryId::new(), &subject, &text)
    }
}

// The limit that the message would pass.
fn over_limit(found: &Found, account: &dyn Account, room: Room<'_>) -> Result<Option<OverLimit>, Failure> {
    let used = account.quota_usage(&found.quota)?;
    let admitted = match room {
        Room::Anywhere(size) => found.quota.admits(used, size),
        Room::In(copies) => {
            let copies = copies.iter().map(|(mailbox, size)| (mailbox, *size));
            found.quota.admits_into(used, copies)
        }
    };
    Ok(admitted.err())
}

fn words(crossing: &Crossing) -> (String, String) {
    let Crossing {
        threshold,
        reached,
        used,
        limit,
    } = crossing;
    let held = match threshold.unit {
        QuotaUnit::Bytes => format!("{} of {}", rounded(*used), show_size(*limit)),
        QuotaUnit::Messages => format!("{used} of {limit} messages"),
    };
    let percent = used.saturating_mul(100) / (*limit).max(1);
    match reached {
        true => (
            format!("Your mailbox is {percent} % full"),
            format!(
                "Your mailbox holds {held}, which is {percent} %.\n\n\
                 When it is full, no more mail can be delivered to you. Please delete what you no longer need,\n\
                 and empty the folder that your mail program moves deleted messages to.\n"
            ),
        ),
        false => (
            format!("Your mailbox is less than {} % full again", threshold.percent),
            format!("Your mailbox holds {held}, which is {percent} %.\n"),
        ),
    }
}

// To a tenth of the largest unit that is not more than it.
fn rounded(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(power, _)| bytes >> power > 0) {
        Some((power, unit)) => {
            let tenths = (u128::from(bytes) * 10) >> power;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

// By argv, without a shell; what it does or fails to do is its own affair.
fn run(runner: &dyn Runner, command: &[String], found: &Found, crossing: &Crossing) {
    let Some((program, arguments)) = command.split_first() else {
        return;
    };
    let values = [
        ("user", found.user.clone()),
        ("percent", crossing.threshold.percent.to_string()),
        ("used", crossing.used.to_string()),
        ("limit", crossing.limit.to_string()),
    ];
    let arguments = arguments.iter().map(|argument| replaced(argument, &values)).collect();
    let [(_, user), (_, percent), (_, used), (_, limit)] = values;
    let job = Job {
        program: program.into(),
        arguments,
        environment: Environment::With(vec![
            ("USER", user),
            ("PERCENT", percent),
            ("USED", used),
            ("LIMIT", limit),
        ]),
        folder: None,
        input: None,
        time: WARNING_TIME,
        output: None,
    };
    match runner.run(job) {
        Ok(Heard::All(End::Exited(status, _), _)) if status.success() => {}
        Ok(Heard::All(End::Exited(status, output), _)) => {
            tracing::warn!(user = %found.user, program, %status, "the quota warning failed: {output}");
        }
        Ok(Heard::All(End::Killed, _) | Heard::TooMuch) => {
            tracing::warn!(user = %found.user, program, "the quota warning was ended: its time was up")
        }
        Err(error) => tracing::warn!(user = %found.user, program, %error, "the quota warning cannot be run"),
    }
}

// Each name in braces once, from left to right: what is put in is not looked at again.
fn replaced(argument: &str, values: &[(&str, String)]) -> String {
    let mut text = String::new();
    let mut rest = argument;
    while let Some(at) = rest.find('{') {
        let (before, behind) = rest.split_at(at);
        text.push_str(before);
        let found = values.iter().find_map(|(name, value)| {
            let rest = behind.strip_prefix('{')?.strip_prefix(name)?.strip_prefix('}')?;
            Some((value, rest))
        });
        rest = match found {
            Some((value, rest)) => {
                text.push_str(value);
                rest
            }
            None => {
                text.push('{');
                &behind[1..]
            }
        };
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_braces_are_replaced_once() {
        let values = [("user", "{percent}".to_owned()), ("percent", "80".to_owned())];
        for (argument, expected) in [
            ("{user}", "{percent}"),
            ("--at={percent}%", "--at=80%"),
            ("{{percent}}", "{80}"),
            ("{other} {", "{other} {"),
            ("", ""),
            ("ä{percent}ö", "ä80ö"),
        ] {
            assert_eq!(replaced(argument, &values), expected);
        }
    }

    #[test]
    fn words_of_a_warning() {
        let crossing = |unit, reached, used| Crossing {
            threshold: Threshold { percent: 80, unit },
            reached,
            used,
            limit: 1 << 30,
        };
        for (crossing, subject, part) in [
            (
                crossing(QuotaUnit::Bytes, true, 900 << 20),
                "87 % full",
                "900.0 MiB of 1 GiB",
            ),
            (crossing(QuotaUnit::Bytes, false, 10), "less than 80 %", "10 B of 1 GiB"),
            (
                crossing(QuotaUnit::Messages, true, 1 << 30),
                "100 % full",
                "1073741824 of 1073741824 messages",
            ),
            (crossing(QuotaUnit::Bytes, true, u64::MAX), "% full", "16777215.9 TiB"),
        ] {
            let (found, text) = words(&crossing);
            assert!(found.contains(subject) && text.contains(part), "{found}\n{text}");
        }
    }
}
