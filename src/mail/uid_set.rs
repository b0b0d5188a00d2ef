//! Sets of UIDs: RFC 9051 §9, `sequence-set`.

use std::fmt;
use std::ops::RangeInclusive;

use super::Uid;

/// Ranges that one text may name.
const RANGES_MAX: usize = 100_000;

/// A set of UIDs, kept as ranges that ascend and do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UidSet {
    ranges: Vec<(Uid, Uid)>,
}

/// Why a text is no set of UIDs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UidSetError {
    /// Not a number from 1 to 4294967295, nor `*`.
    #[error("{0:?} is not a UID: a set is written as 1,3:5,9:*")]
    Number(String),
    /// More ranges than one command needs.
    #[error("the set has more than {RANGES_MAX} ranges")]
    TooMany,
}

impl UidSet {
    /// Every UID there is.
    #[must_use]
    pub fn all() -> UidSet {
        UidSet::range(Uid::new(1).expect("one is not zero")..=Uid::new(u32::MAX).expect("the highest is not zero"))
    }

    /// The UIDs of one range; those between the two, in whichever order they stand (RFC 9051 §9, `seq-range`).
    #[must_use]
    pub fn range(range: RangeInclusive<Uid>) -> UidSet {
        let (start, end) = range.into_inner();
        UidSet {
            ranges: vec![(start.min(end), start.max(end))],
        }
    }

    /// Parses `1,3:5,9:*`; `*` is `highest`, the highest UID in the mailbox, or without one the range's other end.
    ///
    /// # Errors
    /// [`UidSetError`] names the word that is no UID.
    pub fn parse(text: &str, highest: Option<Uid>) -> Result<UidSet, UidSetError> {
        let number = |word: &str| match word {
            "*" => Ok(None),
            word if word.bytes().all(|byte| byte.is_ascii_digit()) => match word.parse().ok().and_then(Uid::new) {
                Some(uid) => Ok(Some(uid)),
                None => Err(UidSetError::Number(word.to_owned())),
            },
            word => Err(UidSetError::Number(word.to_owned())),
        };
        let mut ranges = Vec::new();
        for range in text.split(',') {
            if ranges.len() == RANGES_MAX {
                return Err(UidSetError::TooMany);
            }
            let (start, end) = range.split_once(':').unwrap_or((range, range));
            let (start, end) = (number(start)?.or(highest), number(end)?.or(highest));
            if let (Some(start), Some(end)) = (start.or(end), end.or(start)) {
                ranges.push((start.min(end), start.max(end)));
            }
        }
        Ok(UidSet::normal(ranges))
    }

    /// Whether it holds a UID.
    #[must_use]
    pub fn contains(&self, uid: Uid) -> bool {
        let after = self.ranges.partition_point(|(start, _)| *start <= uid);
        after > 0 && self.ranges[after - 1].1 >= uid
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = RangeInclusive<Uid>> {
        self.ranges.iter().map(|(start, end)| *start..=*end)
    }

    fn normal(mut ranges: Vec<(Uid, Uid)>) -> UidSet {
        ranges.sort_unstable();
        let mut normal: Vec<(Uid, Uid)> = Vec::with_capacity(ranges.len());
        for (start, end) in ranges {
            match normal.last_mut() {
                Some(last) if start.value() <= last.1.value().saturating_add(1) => last.1 = last.1.max(end),
                _ => normal.push((start, end)),
            }
        }
        UidSet { ranges: normal }
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> UidSet {
        UidSet::normal(uids.into_iter().map(|uid| (uid, uid)).collect())
    }
}

impl From<Uid> for UidSet {
    fn from(uid: Uid) -> UidSet {
        UidSet::range(uid..=uid)
    }
}

/// As IMAP writes it; nothing for the empty set, which IMAP cannot write.
impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (start, end)) in self.ranges.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            match start == end {
                true => write!(f, "{comma}{start}")?,
                false => write!(f, "{comma}{start}:{end}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(value: u32) -> Uid {
        Uid::new(value).unwrap()
    }

    #[test]
    fn parses_and_prints() {
        for (text, highest, expected) in [
            ("1", None, "1"),
            ("3,1,2", None, "1:3"),
            ("5:2,9", None, "2:5,9"),
            ("7:*", Some(9), "7:9"),
            ("12:*", Some(9), "9:12"),
            ("*", Some(4), "4"),
            ("*", None, ""),
            ("7:*", None, "7"),
            ("4294967295,1:2,2:6", None, "1:6,4294967295"),
        ] {
            let set = UidSet::parse(text, highest.map(uid)).unwrap();
            assert_eq!(set.to_string(), expected, "{text}");
        }
        for text in ["", "0", "1,", "a", "1:", "4294967296", "-1", "1 2", "+1"] {
            assert!(
                matches!(UidSet::parse(text, None), Err(UidSetError::Number(_))),
                "{text:?}"
            );
        }
        assert_eq!(
            UidSet::parse(&"1,".repeat(RANGES_MAX + 1), None),
            Err(UidSetError::TooMany)
        );
    }

    #[test]
    fn holds() {
        let set = UidSet::parse("2:4,7", None).unwrap();
        let held: Vec<u32> = (1..10).filter(|value| set.contains(uid(*value))).collect();
        assert_eq!(held, [2, 3, 4, 7]);
        assert_eq!([4, 2, 3, 7].map(uid).into_iter().collect::<UidSet>(), set);
        assert!(UidSet::all().contains(uid(u32::MAX)) && !UidSet::default().contains(uid(1)));
    }
}
