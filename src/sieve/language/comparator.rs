//! Comparators: RFC 4790, RFC 5228 §2.7.3, RFC 5051.

use std::borrow::Cow;
use std::cmp::Ordering;

use unicode_normalization::UnicodeNormalization;

/// How two strings are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Comparator {
    /// `i;octet`: as they are.
    Octet,
    /// `i;ascii-casemap`: ASCII letters without case.
    #[default]
    AsciiCasemap,
    /// `i;ascii-numeric`: the numbers they start with; text without one is the largest (RFC 4790 §9.1.1).
    AsciiNumeric,
    /// `i;unicode-casemap`: all letters without case, decomposed.
    UnicodeCasemap,
}

impl Comparator {
    pub(super) const NAMES: [(&'static str, Comparator); 4] = [
        ("i;octet", Comparator::Octet),
        ("i;ascii-casemap", Comparator::AsciiCasemap),
        ("i;ascii-numeric", Comparator::AsciiNumeric),
        ("i;unicode-casemap", Comparator::UnicodeCasemap),
    ];

    pub(super) fn name(self) -> &'static str {
        let known = Comparator::NAMES.iter().find(|(_, comparator)| *comparator == self);
        known.map_or("", |(name, _)| name)
    }

    /// A string in the form in which equal ones are the same to the letter. Not for numbers.
    pub(super) fn folded(self, text: &str) -> Cow<'_, str> {
        match self {
            Comparator::Octet | Comparator::AsciiNumeric => Cow::Borrowed(text),
            Comparator::AsciiCasemap if !text.bytes().any(|byte| byte.is_ascii_uppercase()) => Cow::Borrowed(text),
            Comparator::AsciiCasemap => Cow::Owned(text.to_ascii_lowercase()),
            // RFC 5051 §2: to titlecase, then decomposed (RFC 5051 means compatibility decomposition).
            Comparator::UnicodeCasemap => Cow::Owned(text.chars().flat_map(char::to_uppercase).nfkd().collect()),
        }
    }

    /// Whether it compares numbers.
    pub(super) fn is_numeric(self) -> bool {
        self == Comparator::AsciiNumeric
    }

    pub(super) fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Comparator::AsciiNumeric => compare_numbers(digits(a), digits(b)),
            Comparator::AsciiCasemap => {
                // RFC 4790 §9.2.1: as upper case, so that "_" comes after letters.
                let folded = |text: &'_ str| text.bytes().map(|byte| byte.to_ascii_uppercase()).collect::<Vec<u8>>();
                folded(a).cmp(&folded(b))
            }
            _ => self.folded(a).as_bytes().cmp(self.folded(b).as_bytes()),
        }
    }
}

// The digits that a text starts with, without leading zeros; none where it starts with no digit.
fn digits(text: &str) -> Option<&str> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    (end > 0).then(|| text[..end].trim_start_matches('0'))
}

// As long as they like: a number need not fit into anything.
fn compare_numbers(a: Option<&str>, b: Option<&str>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares() {
        use Ordering::{Equal, Greater, Less};
        for (comparator, a, b, order) in [
            (Comparator::Octet, "a", "A", Greater),
            (Comparator::AsciiCasemap, "a", "A", Equal),
            (Comparator::AsciiCasemap, "B", "a", Greater),
            (Comparator::AsciiCasemap, "_", "a", Greater),
            (Comparator::AsciiCasemap, "Ä", "ä", Less),
            (Comparator::AsciiNumeric, "007", "7x", Equal),
            (Comparator::AsciiNumeric, "10", "9", Greater),
            (Comparator::AsciiNumeric, "x", "99999999999999999999999", Greater),
            (Comparator::AsciiNumeric, "", "x", Equal),
            (Comparator::AsciiNumeric, "0", "00", Equal),
            (Comparator::AsciiNumeric, "-1", "1", Greater),
            (Comparator::UnicodeCasemap, "Ä", "ä", Equal),
            (Comparator::UnicodeCasemap, "a\u{308}", "Ä", Equal),
            (Comparator::UnicodeCasemap, "a", "ä", Less),
        ] {
            assert_eq!(comparator.compare(a, b), order, "{a} {b}");
        }
    }
}
