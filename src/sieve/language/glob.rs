//! `:matches`: wildcards (RFC 5228 §2.7.1), with what they stood for (RFC 5229 §3.2). Each `*` takes as
//! little as it can, and time grows with the product of the lengths at worst.

use super::comparator::Comparator;

/// A pattern with wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    /// What stands between the `*`.
    segments: Vec<Vec<Token>>,
    comparator: Comparator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Literal(char),
    /// `?`
    Any,
}

impl Glob {
    pub(super) fn new(pattern: &str, comparator: Comparator) -> Glob {
        let mut segments = vec![Vec::new()];
        let mut characters = pattern.chars();
        while let Some(c) = characters.next() {
            let token = match c {
                '*' => {
                    segments.push(Vec::new());
                    continue;
                }
                '?' => Token::Any,
                // A backslash at the very end stands for itself.
                '\\' => Token::Literal(characters.next().unwrap_or('\\')),
                c => Token::Literal(c),
            };
            if let Some(last) = segments.last_mut() {
                last.push(token);
            }
        }
        Glob { segments, comparator }
    }

    /// Whether the whole value fits. `captures` gets the value and what each wildcard stood for, in order.
    pub(super) fn matches(&self, value: &str, mut captures: Option<&mut Vec<String>>) -> bool {
        let mut taken: Vec<(usize, usize)> = Vec::new();
        if !self.find(value, &mut taken) {
            return false;
        }
        if let Some(captures) = captures.as_mut() {
            captures.clear();
            captures.push(value.to_owned());
            captures.extend(taken.iter().map(|(start, end)| value[*start..*end].to_owned()));
        }
        true
    }

    // Where each segment stands, from the left, as early as it can; the last one stands at the end.
    fn find(&self, value: &str, taken: &mut Vec<(usize, usize)>) -> bool {
        let Some((first, rest)) = self.segments.split_first() else {
            return value.is_empty();
        };
        let Some(mut at) = self.fits(first, value, 0, taken) else {
            return false;
        };
        let Some((last, middle)) = rest.split_last() else {
            return at == value.len();
        };
        for segment in middle {
            let Some((start, end)) = self.seek(segment, value, at, taken) else {
                return false;
            };
            debug_assert!(start >= at);
            at = end;
        }
        self.at_end(last, value, at, taken)
    }

    fn seek(
        &self,
        segment: &[Token],
        value: &str,
        from: usize,
        taken: &mut Vec<(usize, usize)>,
    ) -> Option<(usize, usize)> {
        let before = taken.len();
        taken.push((from, from));
        let starts = value[from..]
            .char_indices()
            .map(|(at, _)| from + at)
            .chain([value.len()]);
        for start in starts {
            taken.truncate(before + 1);
            if let Some(end) = self.fits(segment, value, start, taken) {
                taken[before] = (from, start);
                return Some((start, end));
            }
        }
        None
    }

    fn at_end(&self, segment: &[Token], value: &str, from: usize, taken: &mut Vec<(usize, usize)>) -> bool {
        let start = match segment.len() {
            0 => Some(value.len()),
            length => value.char_indices().nth_back(length - 1).map(|(at, _)| at),
        };
        let Some(start) = start.filter(|start| *start >= from) else {
            return false;
        };
        taken.push((from, start));
        self.fits(segment, value, start, taken) == Some(value.len())
    }

    // The end of a segment that stands there.
    fn fits(&self, segment: &[Token], value: &str, at: usize, taken: &mut Vec<(usize, usize)>) -> Option<usize> {
        let before = taken.len();
        let mut at = at;
        let mut characters = value[at..].chars();
        for token in segment {
            let c = characters.next();
            let fits = match (token, c) {
                (_, None) => false,
                (Token::Any, Some(c)) => {
                    taken.push((at, at + c.len_utf8()));
                    true
                }
                (Token::Literal(wanted), Some(c)) => self.same(*wanted, c),
            };
            if !fits {
                taken.truncate(before);
                return None;
            }
            at += c.map_or(0, char::len_utf8);
        }
        Some(at)
    }

    fn same(&self, a: char, b: char) -> bool {
        a == b
            || match self.comparator {
                Comparator::Octet | Comparator::AsciiNumeric => false,
                Comparator::AsciiCasemap => a.eq_ignore_ascii_case(&b),
                Comparator::UnicodeCasemap => a.to_uppercase().eq(b.to_uppercase()),
            }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, value, captures) in [
            ("*", "", Some(&[""][..])),
            ("*", "abc", Some(&["abc"])),
            ("?", "", None),
            ("??", "äb", Some(&["ä", "b"])),
            ("a*c", "abc", Some(&["b"])),
            ("a*c", "abcd", None),
            ("*a*b", "xaybzb", Some(&["x", "ybz"])),
            ("*b*", "abcb", Some(&["a", "cb"])),
            ("A*", "abc", Some(&["bc"])),
            ("a\\*", "a*", Some(&[])),
            ("a\\*", "ab", None),
            ("\\?*", "?x", Some(&["x"])),
            ("\\\\", "\\", Some(&[])),
            ("a\\", "a\\", Some(&[])),
            ("**", "ab", Some(&["", "ab"])),
            ("*?*", "ab", Some(&["", "a", "b"])),
            ("", "", Some(&[])),
            ("", "a", None),
            ("*ab", "aab", Some(&["a"])),
            ("ab*ab", "ab", None),
            ("?*?", "a", None),
            // RFC 5229 §3.2
            (
                "[*] *",
                "[acme-users] [fwd] version 1.0 is out",
                Some(&["acme-users", "[fwd] version 1.0 is out"]),
            ),
            ("*@**.example.org", "tom@x.example.org", Some(&["tom", "", "x"])),
        ] {
            let glob = Glob::new(pattern, Comparator::AsciiCasemap);
            let mut found = Vec::new();
            let matched = glob.matches(value, Some(&mut found));
            assert_eq!(matched, captures.is_some(), "{pattern} {value}");
            if let Some(captures) = captures {
                assert_eq!(found[1..], *captures, "{pattern} {value}");
                assert_eq!(found[0], value);
            }
        }
        assert!(!Glob::new("A", Comparator::Octet).matches("a", None));
        assert!(Glob::new("Ä*", Comparator::UnicodeCasemap).matches("ä", None));
    }

    fn slow(pattern: &[char], value: &[char]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some(('*', rest)) => (0..=value.len()).any(|at| slow(rest, &value[at..])),
            Some(('?', rest)) => !value.is_empty() && slow(rest, &value[1..]),
            Some((c, rest)) => value.first() == Some(c) && slow(rest, &value[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab?*ä]{0,8}", value in "[abä]{0,10}") {
            let glob = Glob::new(&pattern, Comparator::Octet);
            let of = |text: &str| text.chars().collect::<Vec<_>>();
            let mut captures = Vec::new();
            let matched = glob.matches(&value, Some(&mut captures));
            prop_assert_eq!(matched, slow(&of(&pattern), &of(&value)));
            if matched {
                let wildcards = pattern.matches(['*', '?']).count();
                prop_assert_eq!(captures.len(), wildcards + 1);
                let mut parts = captures[1..].iter();
                let rebuilt: String = pattern
                    .chars()
                    .map(|c| if matches!(c, '*' | '?') { parts.next().unwrap().clone() } else { c.to_string() })
                    .collect();
                prop_assert_eq!(rebuilt, value);
            }
        }
    }
}
