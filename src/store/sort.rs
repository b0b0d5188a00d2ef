//! Sort: the messages that meet a key, in an order (RFC 5256 §3, RFC 5957).

use std::cmp::Ordering;
use std::fmt;

use crate::mail::{MailboxName, Uid, UidSet, nearest};
use crate::message::SortKeys;

use super::StoreError;
use super::messages::{Detail, Entry, Messages};
use super::search::{SLICE, SearchKey, search_entries};

/// Criteria of one order.
const KEYS_MAX: usize = 100;

/// What messages are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortBy {
    /// ARRIVAL: INTERNALDATE.
    Arrival,
    /// CC: what stands before the `@` of the first address of Cc.
    Cc,
    /// DATE: the moment of the Date field; INTERNALDATE where there is none (RFC 5256 §2.2).
    Date,
    /// DISPLAYFROM: the name that is shown for the first address of From (RFC 5957).
    DisplayFrom,
    /// DISPLAYTO: likewise of To.
    DisplayTo,
    /// FROM: what stands before the `@` of the first address of From.
    From,
    /// SIZE: RFC822.SIZE.
    Size,
    /// SUBJECT: the base subject (RFC 5256 §2.1).
    Subject,
    /// TO: what stands before the `@` of the first address of To.
    To,
}

const NAMES: [(&str, SortBy); 9] = [
    ("arrival", SortBy::Arrival),
    ("cc", SortBy::Cc),
    ("date", SortBy::Date),
    ("displayfrom", SortBy::DisplayFrom),
    ("displayto", SortBy::DisplayTo),
    ("from", SortBy::From),
    ("size", SortBy::Size),
    ("subject", SortBy::Subject),
    ("to", SortBy::To),
];

/// One criterion of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SortKey {
    /// By what.
    pub by: SortBy,
    /// Whether the greatest comes first (REVERSE).
    pub reverse: bool,
}

/// Why a text is no order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SortError {
    /// A word that is no criterion.
    #[error("{word:?} is nothing to sort by{}", nearest.map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
    Unknown {
        /// The word.
        word: String,
        /// The criterion that may be meant.
        nearest: Option<&'static str>,
    },
    /// REVERSE with no criterion behind it.
    #[error("`reverse` needs something to sort by behind it")]
    Reverse,
    /// No criterion at all, or more than anybody needs.
    #[error("an order has 1 to {KEYS_MAX} criteria, such as (reverse date subject)")]
    Count,
}

impl SortKey {
    /// Parses criteria as IMAP writes them, `(REVERSE DATE FROM)`; case does not matter, and the parentheses
    /// may be missing.
    ///
    /// # Errors
    /// [`SortError`] names the word that is none.
    pub fn parse_list(text: &str) -> Result<Vec<SortKey>, SortError> {
        let text = text.trim();
        let inside = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
        let mut keys = Vec::new();
        let mut reverse = false;
        for word in inside.unwrap_or(text).split_whitespace() {
            if !reverse && word.eq_ignore_ascii_case("reverse") {
                reverse = true;
                continue;
            }
            let known = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
            let (_, by) = known.ok_or_else(|| SortError::Unknown {
                word: word.to_owned(),
                nearest: nearest(word, NAMES.iter().map(|(name, _)| *name).chain(["reverse"])),
            })?;
            keys.push(SortKey { by: *by, reverse });
            reverse = false;
        }
        match keys.len() {
            _ if reverse => Err(SortError::Reverse),
            1..=KEYS_MAX => Ok(keys),
            _ => Err(SortError::Count),
        }
    }
}

/// As IMAP writes it.
impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = NAMES.iter().find(|(_, by)| *by == self.by);
        let name = known.map_or("", |(name, _)| *name).to_ascii_uppercase();
        write!(f, "{}{name}", if self.reverse { "REVERSE " } else { "" })
    }
}

/// The messages of a mailbox that meet a key, sorted by the first criterion, those that are alike by the next, and
/// those alike in all by UID. Opens no file unless the search does.
///
/// # Errors
/// [`StoreError::NoMailbox`], or where messages cannot be read.
pub fn sort<M: Messages + ?Sized>(
    messages: &M,
    mailbox: &MailboxName,
    order: &[SortKey],
    key: &SearchKey,
) -> Result<Vec<Uid>, StoreError> {
    let entries = search_entries(messages, mailbox, key)?;
    let mut rows = if order.iter().all(|key| matches!(key.by, SortBy::Arrival | SortBy::Size)) {
        entries.iter().map(|entry| Row::of(entry, None, order)).collect()
    } else {
        let mut rows = Vec::with_capacity(entries.len());
        for slice in entries.chunks(SLICE) {
            let uids: UidSet = slice.iter().map(|entry| entry.uid).collect();
            let details = messages.details(mailbox, &uids)?;
            rows.extend(details.iter().map(|detail| Row::of(&detail.entry, Some(detail), order)));
        }
        rows
    };
    rows.sort_unstable_by(|a, b| a.compare(b, order));
    Ok(rows.into_iter().map(|row| row.uid).collect())
}

struct Row {
    uid: Uid,
    values: Vec<Value>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(String),
}

impl Row {
    fn of(entry: &Entry, detail: Option<&Detail>, order: &[SortKey]) -> Row {
        let mut keys = None;
        let mut text = |key: fn(&SortKeys) -> &String| {
            let keys = keys.get_or_insert_with(|| detail.map(|detail| detail.card.sort_keys()).unwrap_or_default());
            Value::Text(key(keys).clone())
        };
        let mut value = |by: SortBy| match by {
            SortBy::Arrival => Value::Number(entry.internal_date),
            SortBy::Size => Value::Number(i64::try_from(entry.size).unwrap_or(i64::MAX)),
            SortBy::Date => Value::Number(detail.map_or(entry.internal_date, sent)),
            SortBy::Cc => text(|keys| &keys.cc),
            SortBy::DisplayFrom => text(|keys| &keys.display_from),
            SortBy::DisplayTo => text(|keys| &keys.display_to),
            SortBy::From => text(|keys| &keys.from),
            SortBy::Subject => text(|keys| &keys.subject),
            SortBy::To => text(|keys| &keys.to),
        };
        Row {
            uid: entry.uid,
            values: order.iter().map(|key| value(key.by)).collect(),
        }
    }

    // RFC 5256 §3: REVERSE turns one criterion round; the last resort, the number, stays ascending.
    fn compare(&self, other: &Row, order: &[SortKey]) -> Ordering {
        let both = self.values.iter().zip(&other.values).zip(order);
        let mut unlike = both.map(|((own, others), key)| match key.reverse {
            true => others.cmp(own),
            false => own.cmp(others),
        });
        unlike
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
            .then(self.uid.cmp(&other.uid))
    }
}

/// The sent date of RFC 5256 §2.2, in seconds since 1970.
pub(super) fn sent(detail: &Detail) -> i64 {
    detail.card.date().unwrap_or(detail.entry.internal_date)
}

#[cfg(test)]
mod tests {
    use super::super::search::few::{Few, inbox};
    use super::*;

    fn sorted(few: &Few, order: &str, key: &str) -> Vec<u32> {
        let (order, key) = (
            SortKey::parse_list(order).unwrap(),
            SearchKey::parse(key, None).unwrap(),
        );
        let sorted = sort(few, &inbox(), &order, &key).unwrap();
        sorted.into_iter().map(Uid::value).collect()
    }

    #[test]
    fn sorts_by_every_criterion() {
        let mut few = Few::of([
            &b"From: Zoe <bob@example.org>\r\nTo: x@y\r\nSubject: Re: b\r\nDate: 3 Nov 2026 12:00:00 +0000\r\n\r\nlong body\r\n"[..],
            b"From: <Ann@example.org>\r\nTo: Bob <z@y>\r\nCc: b@c\r\nSubject: A\r\nDate: 3 Nov 2026 11:30:00 -0100\r\n\r\n",
            b"From: ann@example.com\r\nCc: a@c\r\nSubject: fwd: [x] c\r\n\r\n",
            b"Subject: b (fwd)\r\nDate: 1 Jan 2020 00:00:00 +0000\r\n\r\n",
        ]);
        for ((entry, _), arrived) in few.all.iter_mut().zip([40, 30, 20, 10]) {
            entry.internal_date = arrived;
        }
        for (order, expected) in [
            ("ARRIVAL", [4, 3, 2, 1]),
            ("REVERSE ARRIVAL", [1, 2, 3, 4]),
            ("DATE", [3, 4, 1, 2]),
            ("(reverse date)", [2, 1, 4, 3]),
            ("SIZE", [4, 3, 2, 1]),
            ("SUBJECT", [2, 1, 4, 3]),
            ("REVERSE SUBJECT", [3, 1, 4, 2]),
            ("FROM", [4, 2, 3, 1]),
            ("FROM REVERSE SUBJECT", [4, 3, 2, 1]),
            ("TO", [3, 4, 1, 2]),
            ("CC", [1, 4, 3, 2]),
            ("DISPLAYFROM", [4, 3, 2, 1]),
            ("DISPLAYTO", [3, 4, 2, 1]),
            ("REVERSE TO ARRIVAL", [2, 1, 4, 3]),
        ] {
            assert_eq!(sorted(&few, order, "all"), expected, "{order}");
        }
        assert_eq!(sorted(&few, "SUBJECT", "uid 1:2"), [2, 1]);
        few.asked.lock().unwrap().0 = 0;
        sorted(&few, "REVERSE SIZE ARRIVAL", "all");
        assert_eq!(few.asked.lock().unwrap().0, 0);
    }

    #[test]
    fn parses() {
        let keys = SortKey::parse_list(" (Reverse Date from REVERSE size) ").unwrap();
        let shown: Vec<String> = keys.iter().map(SortKey::to_string).collect();
        assert_eq!(shown, ["REVERSE DATE", "FROM", "REVERSE SIZE"]);
        for (text, expected) in [
            ("", "an order has 1 to 100 criteria, such as (reverse date subject)"),
            ("()", "an order has 1 to 100 criteria, such as (reverse date subject)"),
            ("(date", "\"(date\" is nothing to sort by; did you mean `date`?"),
            (
                "revers date",
                "\"revers\" is nothing to sort by; did you mean `reverse`?",
            ),
            (
                "reverse reverse date",
                "\"reverse\" is nothing to sort by; did you mean `reverse`?",
            ),
            ("date reverse", "`reverse` needs something to sort by behind it"),
            ("colour", "\"colour\" is nothing to sort by"),
            (
                &"date ".repeat(101),
                "an order has 1 to 100 criteria, such as (reverse date subject)",
            ),
        ] {
            assert_eq!(SortKey::parse_list(text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
