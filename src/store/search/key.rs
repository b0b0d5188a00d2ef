//! What is searched for: RFC 9051 §6.4.4 and what later documents added.

use std::fmt;

use crate::mail::{EmailId, SystemFlag, ThreadId, UidSet};

/// A day as IMAP's keys name it: without time and time zone.
///
/// INTERNALDATE and SAVEDATE are moments; their day is taken in UTC, so that the answer does not depend on
/// where the server stands. A Date field's day is the one that is written in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(i64);

impl Day {
    /// The day of the calendar; none where there is no such day. `month` and `day` count from 1.
    #[must_use]
    pub fn new(year: i16, month: i8, day: i8) -> Option<Day> {
        let midnight = jiff::civil::Date::new(year, month, day).ok()?.at(0, 0, 0, 0);
        let moment = midnight.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Day::of(moment.timestamp().as_second()))
    }

    /// The day in UTC of a moment, in seconds since 1970.
    #[must_use]
    pub fn of(seconds: i64) -> Day {
        Day(seconds.div_euclid(86400))
    }

    /// The day that lies so many days after the first of 1970.
    #[must_use]
    pub fn since_epoch(days: i64) -> Day {
        Day(days)
    }
}

/// Which days a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// Earlier than this day (BEFORE).
    Before(Day),
    /// Within this day (ON).
    On(Day),
    /// On this day or later (SINCE).
    Since(Day),
}

impl Period {
    /// Whether a day lies in it.
    #[must_use]
    pub fn contains(self, day: Day) -> bool {
        match self {
            Period::Before(end) => day < end,
            Period::On(only) => day == only,
            Period::Since(start) => day >= start,
        }
    }
}

/// A field whose text IMAP's search has a key for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldKey {
    /// BCC.
    Bcc,
    /// CC.
    Cc,
    /// FROM.
    From,
    /// SUBJECT.
    Subject,
    /// TO.
    To,
}

impl FieldKey {
    /// The field's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FieldKey::Bcc => "Bcc",
            FieldKey::Cc => "Cc",
            FieldKey::From => "From",
            FieldKey::Subject => "Subject",
            FieldKey::To => "To",
        }
    }
}

/// What a message must be like. A tree; the negations of IMAP (UNSEEN, UNKEYWORD, ...) are [`SearchKey::Not`].
///
/// Texts are substrings of what people see: fields are decoded (RFC 2047), bodies too; upper and lower case
/// are one, any white space is one space ([`Needle`](crate::message::Needle)).
///
/// IMAP4rev1's RECENT, NEW and OLD speak of `\Recent`, which belongs to a session and is not kept here: for
/// the store no message is recent. RECENT and NEW are [`SearchKey::none`], OLD is [`SearchKey::All`]; a
/// server whose sessions know their recent messages writes [`SearchKey::Uid`] in their place. Likewise the
/// numbers that a session gives to messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    /// ALL: every message.
    All,
    /// All of these; with none of them every message.
    And(Vec<SearchKey>),
    /// OR: one of the two, or both.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// NOT.
    Not(Box<SearchKey>),
    /// ANSWERED, DELETED, DRAFT, FLAGGED, SEEN: has the flag.
    Flag(SystemFlag),
    /// KEYWORD: has the keyword, without regard to case.
    Keyword(String),
    /// UID: is one of these.
    Uid(UidSet),
    /// BEFORE, ON, SINCE: INTERNALDATE.
    Arrived(Period),
    /// SENTBEFORE, SENTON, SENTSINCE: the Date field. A message without one is sent in no period.
    Sent(Period),
    /// SAVEDBEFORE, SAVEDON, SAVEDSINCE (RFC 8514 §4.3): when it came into this mailbox.
    Saved(Period),
    /// SAVEDATESUPPORTED (RFC 8514 §4.3): true of every message here.
    SaveDateSupported,
    /// OLDER (RFC 5032 §3): INTERNALDATE lies so many seconds back, or more.
    Older(u32),
    /// YOUNGER (RFC 5032 §3): INTERNALDATE lies so many seconds back, or less.
    Younger(u32),
    /// LARGER: RFC822.SIZE is above this number of bytes.
    Larger(u64),
    /// SMALLER: RFC822.SIZE is below this number of bytes.
    Smaller(u64),
    /// MODSEQ (RFC 7162 §3.1.5): its MODSEQ is this or higher.
    ModSeq(u64),
    /// EMAILID (RFC 8474 §6).
    EmailId(EmailId),
    /// THREADID (RFC 8474 §6).
    ThreadId(ThreadId),
    /// FROM, TO, CC, BCC, SUBJECT: a field of this name contains the text; with an empty text, it has such a field.
    Field(FieldKey, String),
    /// HEADER: a field of this name contains the text; with an empty text, it has such a field.
    Header(String, String),
    /// BODY: the decoded text parts contain it; of HTML, what is seen.
    Body(String),
    /// TEXT: the header, the decoded text parts, or an attachment's name contain it.
    Text(String),
}

impl SearchKey {
    /// What no message meets.
    #[must_use]
    pub fn none() -> SearchKey {
        SearchKey::Not(Box::new(SearchKey::All))
    }

    /// What does not meet this key.
    #[must_use]
    pub fn negated(self) -> SearchKey {
        SearchKey::Not(Box::new(self))
    }
}

/// As ISO 8601 writes it.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = self.0.checked_mul(86400).map(jiff::Timestamp::from_second);
        match moment {
            Some(Ok(moment)) => write!(f, "{}", moment.to_zoned(jiff::tz::TimeZone::UTC).date()),
            _ => write!(f, "day {} since 1970", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days() {
        let day = |y, m, d| Day::new(y, m, d).unwrap();
        assert_eq!(day(1970, 1, 1), Day::of(0));
        assert_eq!(Day::of(86399), day(1970, 1, 1));
        assert_eq!(Day::of(-1), day(1969, 12, 31));
        assert_eq!(Day::new(2026, 2, 29), None);
        assert_eq!(day(2026, 11, 1).to_string(), "2026-11-01");
        assert_eq!(
            Day::since_epoch(i64::MAX).to_string(),
            format!("day {} since 1970", i64::MAX)
        );
    }

    #[test]
    fn periods() {
        let day = Day::of(0);
        for (other, expected) in [
            (-1, [true, false, false]),
            (0, [false, true, true]),
            (1, [false, false, true]),
        ] {
            let periods = [Period::Before(day), Period::On(day), Period::Since(day)];
            assert_eq!(
                periods.map(|period| period.contains(Day::since_epoch(other))),
                expected,
                "{other}"
            );
        }
    }
}
