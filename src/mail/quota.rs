//! Quota: how much an account may hold, and how each mailbox counts.

use std::fmt;

use super::{MailboxName, MailboxNameError};

/// The limits of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of all messages that count, with lines ending in CRLF; none: no limit.
    pub bytes: Option<u64>,
    /// Number of messages that count; none: no limit.
    pub messages: Option<u64>,
    /// How single mailboxes count; the first that matches does.
    pub rules: Vec<QuotaRule>,
}

/// How some mailboxes count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaRule {
    /// Which.
    pub mailboxes: MailboxPattern,
    /// How.
    pub effect: QuotaEffect,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaEffect {
    /// What lies there does not count, and no limit keeps anything out.
    Ignore,
    /// When something goes there, the limits of the account are so much higher.
    Extra {
        /// More bytes.
        bytes: Extra,
        /// More messages.
        messages: Extra,
    },
}

/// By how much a limit is higher; lower where it is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// An amount.
    Amount(i64),
    /// A hundredth part of the limit, so many times.
    Percent(i32),
}

/// A mailbox, or all whose names begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxPattern {
    start: String,
    open: bool,
}

/// Why a text is no [`MailboxPattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailboxPatternError {
    /// The limits of the account are what counts for all mailboxes.
    #[error("a rule cannot be for all mailboxes: name them, or how their names begin")]
    All,
    /// An asterisk that does not end the text.
    #[error("in {0:?} the asterisk does not stand at the end")]
    Asterisk(String),
    /// What stands before the asterisk, or all of it, is no name.
    #[error(transparent)]
    Name(#[from] MailboxNameError),
}

/// What an account holds of what counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes, all lines ending in CRLF.
    pub bytes: u64,
    /// Messages.
    pub messages: u64,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaUnit {
    /// Bytes.
    Bytes,
    /// Messages.
    Messages,
}

/// A limit that something would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// Of what.
    pub unit: QuotaUnit,
    /// What is used without it.
    pub used: u64,
    /// The limit.
    pub limit: u64,
}

/// A part of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Threshold {
    /// Hundredths of the limit.
    pub percent: u32,
    /// Of which limit.
    pub unit: QuotaUnit,
}

/// A threshold that was passed since it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Which.
    pub threshold: Threshold,
    /// Whether what is used reaches it now; else it has fallen below.
    pub reached: bool,
    /// What is used.
    pub used: u64,
    /// The limit.
    pub limit: u64,
}

impl Quota {
    /// Whether there is any limit.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.bytes.is_some() || self.messages.is_some()
    }

    /// Whether what lies in a mailbox, named as in the index, counts.
    #[must_use]
    pub fn counts(&self, mailbox: &str) -> bool {
        !matches!(self.effect(mailbox), Some(QuotaEffect::Ignore))
    }

    /// What counts of mailboxes, each with its name as in the index, bytes and messages.
    pub fn usage(&self, mailboxes: impl IntoIterator<Item = (impl AsRef<str>, u64, u64)>) -> Usage {
        let counted = mailboxes.into_iter().filter(|(name, ..)| self.counts(name.as_ref()));
        counted.fold(Usage::default(), |sum, (_, bytes, messages)| Usage {
            bytes: sum.bytes.saturating_add(bytes),
            messages: sum.messages.saturating_add(messages),
        })
    }

    /// The limit of the account itself.
    #[must_use]
    pub fn limit(&self, unit: QuotaUnit) -> Option<u64> {
        match unit {
            QuotaUnit::Bytes => self.bytes,
            QuotaUnit::Messages => self.messages,
        }
    }

    /// The limit that counts for what goes into a mailbox; none where there is none.
    #[must_use]
    pub fn limit_in(&self, mailbox: &str, unit: QuotaUnit) -> Option<u64> {
        let limit = self.limit(unit)?;
        match (self.effect(mailbox), unit) {
            (None, _) => Some(limit),
            (Some(QuotaEffect::Ignore), _) => None,
            (Some(QuotaEffect::Extra { bytes, .. }), QuotaUnit::Bytes) => Some(bytes.on_top_of(limit)),
            (Some(QuotaEffect::Extra { messages, .. }), QuotaUnit::Messages) => Some(messages.on_top_of(limit)),
        }
    }

    /// Whether a message of `size` bytes has room in the account, whatever its mailbox.
    ///
    /// # Errors
    /// The limit that it would pass.
    pub fn admits(&self, used: Usage, size: u64) -> Result<(), OverLimit> {
        self.fits(used, |unit| {
            self.limit(unit).into_iter().map(|limit| (limit, size)).collect()
        })
    }

    /// Whether copies of so many bytes have room, each in its mailbox.
    ///
    /// # Errors
    /// The limit that one would pass.
    pub fn admits_into<'a>(
        &self,
        used: Usage,
        copies: impl Iterator<Item = (&'a MailboxName, u64)> + Clone,
    ) -> Result<(), OverLimit> {
        self.fits(used, |unit| {
            let limited = |(name, size): (&MailboxName, u64)| Some((self.limit_in(name.as_str(), unit)?, size));
            copies.clone().filter_map(limited).collect()
        })
    }

    // Each copy under its own limit, those with the lowest first: the order of the copies does
    // not count.
    fn fits(&self, used: Usage, copies: impl Fn(QuotaUnit) -> Vec<(u64, u64)>) -> Result<(), OverLimit> {
        for (unit, used) in [(QuotaUnit::Bytes, used.bytes), (QuotaUnit::Messages, used.messages)] {
            let mut copies = copies(unit);
            copies.sort_unstable();
            let mut total = used;
            for (limit, size) in copies {
                total = total.saturating_add(match unit {
                    QuotaUnit::Bytes => size.max(1),
                    QuotaUnit::Messages => 1,
                });
                if total > limit {
                    return Err(OverLimit { unit, used, limit });
                }
            }
        }
        Ok(())
    }

    fn effect(&self, mailbox: &str) -> Option<QuotaEffect> {
        let rule = self.rules.iter().find(|rule| rule.mailboxes.matches(mailbox))?;
        Some(rule.effect)
    }
}

impl Usage {
    /// One of the two.
    #[must_use]
    pub fn of(&self, unit: QuotaUnit) -> u64 {
        match unit {
            QuotaUnit::Bytes => self.bytes,
            QuotaUnit::Messages => self.messages,
        }
    }
}

impl Default for Extra {
    fn default() -> Extra {
        Extra::Amount(0)
    }
}

impl Extra {
    /// A limit and this; never below zero, never beyond what can be counted.
    #[must_use]
    pub fn on_top_of(self, limit: u64) -> u64 {
        let more = match self {
            Extra::Amount(amount) => i128::from(amount),
            Extra::Percent(percent) => i128::from(limit) * i128::from(percent) / 100,
        };
        let sum = i128::from(limit) + more;
        u64::try_from(sum.max(0)).unwrap_or(u64::MAX)
    }
}

impl Threshold {
    /// Whether what is used reaches this part of the limit.
    #[must_use]
    pub fn is_reached(&self, used: u64, limit: u64) -> bool {
        u128::from(used) * 100 >= u128::from(limit) * u128::from(self.percent)
    }
}

impl MailboxPattern {
    /// A mailbox's name, or the beginning of names with an asterisk behind it: `Lists.*` are
    /// the children of Lists, `Lists*` is Lists too. Levels are separated by `.` or `/`.
    ///
    /// # Errors
    /// [`MailboxPatternError`] says what is wrong.
    pub fn parse(text: &str) -> Result<MailboxPattern, MailboxPatternError> {
        // No level can have the one or the other, so it needs no setting to tell them apart.
        let separator = if text.contains('/') { '/' } else { '.' };
        let (start, open) = match text.strip_suffix('*') {
            Some(start) => (start, true),
            None => (text, false),
        };
        if start.contains('*') {
            return Err(MailboxPatternError::Asterisk(text.to_owned()));
        }
        if open && start.is_empty() {
            return Err(MailboxPatternError::All);
        }
        let whole = start.strip_suffix(separator).filter(|_| open);
        let mut name = MailboxName::parse(whole.unwrap_or(start), separator)?.to_string();
        if whole.is_some() {
            name.push('.');
        }
        Ok(MailboxPattern { start: name, open })
    }

    /// Whether a mailbox, named as in the index, is meant.
    #[must_use]
    pub fn matches(&self, mailbox: &str) -> bool {
        match self.open {
            true => mailbox.starts_with(&self.start),
            false => mailbox == self.start,
        }
    }
}

impl fmt::Display for MailboxPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asterisk = if self.open { "*" } else { "" };
        write!(f, "{}{asterisk}", self.start)
    }
}

impl fmt::Display for QuotaUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            QuotaUnit::Bytes => "bytes",
            QuotaUnit::Messages => "messages",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(pattern: &str, effect: QuotaEffect) -> QuotaRule {
        QuotaRule {
            mailboxes: MailboxPattern::parse(pattern).expect(pattern),
            effect,
        }
    }

    fn extra(bytes: Extra, messages: Extra) -> QuotaEffect {
        QuotaEffect::Extra { bytes, messages }
    }

    fn quota() -> Quota {
        Quota {
            bytes: Some(1000),
            messages: Some(10),
            rules: vec![
                rule("Trash", extra(Extra::Amount(200), Extra::Percent(50))),
                rule("Junk*", QuotaEffect::Ignore),
                rule("Trash*", extra(Extra::Percent(-50), Extra::Amount(-99))),
            ],
        }
    }

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("Trash", "Trash", true),
            ("Trash", "Trash.Old", false),
            ("inbox", "INBOX", true),
            ("Lists.*", "Lists.Rust", true),
            ("Lists/*", "Lists.Rust", true),
            ("Lists.*", "Lists", false),
            ("Lists*", "Lists", true),
            ("Lists*", "Listsandmore", true),
            ("Archive/2026", "Archive.2026", true),
            ("Archive.2026", "Archive.20261", false),
        ] {
            let parsed = MailboxPattern::parse(pattern).expect(pattern);
            assert_eq!(parsed.matches(name), expected, "{pattern} {name}");
            assert_eq!(MailboxPattern::parse(&parsed.to_string()), Ok(parsed));
        }
        for pattern in ["", "*", "a*b", "**", ".*", "a..b", "../x", "a\0", "Lists.", "a//*"] {
            assert!(MailboxPattern::parse(pattern).is_err(), "{pattern:?}");
        }
    }

    #[test]
    fn limits_of_mailboxes() {
        for (name, bytes, messages) in [
            ("INBOX", Some(1000), Some(10)),
            ("Trash", Some(1200), Some(15)),
            ("Trash.Old", Some(500), Some(0)),
            ("Junk", None, None),
        ] {
            let limits = [QuotaUnit::Bytes, QuotaUnit::Messages].map(|unit| quota().limit_in(name, unit));
            assert_eq!(limits, [bytes, messages], "{name}");
        }
        let unlimited = Quota { bytes: None, ..quota() };
        assert_eq!(unlimited.limit_in("Trash", QuotaUnit::Bytes), None);
        for (extra, limit, expected) in [
            (Extra::Amount(i64::MAX), u64::MAX, u64::MAX),
            (Extra::Percent(i32::MAX), u64::MAX, u64::MAX),
            (Extra::Percent(i32::MIN), u64::MAX, 0),
            (Extra::Amount(i64::MIN), 1, 0),
            (Extra::Percent(10), 15, 16),
        ] {
            assert_eq!(extra.on_top_of(limit), expected, "{extra:?} {limit}");
        }
    }

    #[test]
    fn what_has_room() {
        let names = |list: &str| -> Vec<MailboxName> {
            let names = list.split_whitespace();
            names.map(|name| MailboxName::parse(name, '.').unwrap()).collect()
        };
        for (bytes, messages, size, mailboxes, expected) in [
            (0, 0, 1000, "INBOX", None),
            (0, 0, 1001, "INBOX", Some((QuotaUnit::Bytes, 1000))),
            (900, 9, 100, "INBOX", None),
            (900, 10, 100, "INBOX", Some((QuotaUnit::Messages, 10))),
            (1000, 0, 0, "INBOX", Some((QuotaUnit::Bytes, 1000))),
            (1000, 10, 200, "Trash", None),
            (1000, 10, 201, "Trash", Some((QuotaUnit::Bytes, 1200))),
            (5000, 500, 900, "Junk", None),
            (5000, 500, 900, "Junk INBOX", Some((QuotaUnit::Bytes, 1000))),
            (800, 0, 200, "INBOX Trash", None),
            (800, 0, 200, "Trash INBOX", None),
            (900, 0, 101, "Trash INBOX", Some((QuotaUnit::Bytes, 1000))),
            (800, 0, 200, "INBOX Lists", Some((QuotaUnit::Bytes, 1000))),
            (u64::MAX, 0, u64::MAX, "INBOX", Some((QuotaUnit::Bytes, 1000))),
        ] {
            let names = names(mailboxes);
            let copies = names.iter().map(|name| (name, size));
            let over = quota().admits_into(Usage { bytes, messages }, copies).err();
            assert_eq!(
                over.map(|over| (over.unit, over.limit)),
                expected,
                "{bytes} {size} {mailboxes}"
            );
        }
        let copies = |sizes: [u64; 2]| names("INBOX Trash").into_iter().zip(sizes).collect::<Vec<_>>();
        for (sizes, admitted) in [
            ([600, 600], true),
            ([1000, 200], true),
            ([1001, 0], false),
            ([600, 601], false),
        ] {
            let copies = copies(sizes);
            let copies = copies.iter().map(|(name, size)| (name, *size));
            assert_eq!(
                quota().admits_into(Usage::default(), copies).is_ok(),
                admitted,
                "{sizes:?}"
            );
        }
        assert!(Quota::default().admits(Usage::default(), u64::MAX).is_ok());
        assert!(quota().admits(Usage::default(), 1001).is_err());
    }

    #[test]
    fn what_counts() {
        let mailboxes = [("INBOX", 5, 1), ("Junk.Old", 100, 10), ("Trash", 7, 2)];
        assert_eq!(quota().usage(mailboxes), Usage { bytes: 12, messages: 3 });
        assert_eq!(quota().usage([("A", u64::MAX, 1), ("B", 1, 1)]).bytes, u64::MAX);
    }

    #[test]
    fn thresholds() {
        for (percent, used, limit, reached) in [
            (80, 79, 100, false),
            (80, 80, 100, true),
            (100, u64::MAX, u64::MAX, true),
            (100, u64::MAX - 1, u64::MAX, false),
            (1, 0, 0, true),
        ] {
            let unit = QuotaUnit::Bytes;
            assert_eq!(
                Threshold { percent, unit }.is_reached(used, limit),
                reached,
                "{percent} {used}"
            );
        }
    }
}
