//! `spamtest` and `virustest`: RFC 5235, from the header fields that a site's scanners write.

use std::fmt;
use std::str::FromStr;

use regex::Regex;

use super::arguments::Arguments;
use super::checker::{Checker, TestKind};
use super::extension::Extension;
use super::matching::{MatchTags, Matching, Value};
use super::program::Test;
use super::run::{Run, Stop};
use super::text::Text;
use crate::sieve::error::Place;
use crate::sieve::syntax::Call;

/// Where scores of spam and virus scanners come from (RFC 5235); without them nothing was tested.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpamSettings {
    /// For `spamtest`.
    pub spam: Option<Scanner>,
    /// For `virustest`.
    pub virus: Option<Scanner>,
}

/// What a scanner writes into the messages that it has seen.
///
/// - rspamd's `X-Spamd-Result: default: False [4.20 / 15.00]; ...`: the field
///   `X-Spamd-Result: \[(-?[0-9.]+) /`, the maximum in `X-Spamd-Result: / ([0-9.]+)\]`.
/// - rspamd's `X-Spam-Level: ****`, SpamAssassin's too: the field `X-Spam-Level`, its length, of at most 15.
/// - SpamAssassin's `X-Spam-Status: No, score=-3.2 required=5.0`: the field
///   `X-Spam-Status: score=(-?[0-9.]+)`, the maximum in `X-Spam-Status: required=([0-9.]+)`.
/// - `X-Virus-Scanned: Found to be clean.`: the field `X-Virus-Scanned: Found to be (\w+)`, and the texts
///   `clean` for 1, `infected` for 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanner {
    /// The field with the result. Of several the topmost counts, which only the site can have written.
    pub field: FieldPattern,
    /// How it is read.
    pub scale: Scale,
}

/// How the result of a scanner becomes a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scale {
    /// It is a score, which at this maximum is the worst.
    Score(Maximum),
    /// Its length is.
    Length(Maximum),
    /// It is one of some texts.
    Text(Vec<Verdict>),
}

/// The score at which a message is surely spam.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Maximum {
    /// Always the same.
    Points(Points),
    /// The scanner writes it.
    Field(FieldPattern),
}

/// A text that a scanner writes, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The value of `spamtest`, 0 to 10, or of `virustest`, 0 to 5.
    pub value: u8,
    /// The text, whose case does not matter.
    pub text: String,
}

/// A score, to the thousandth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Points(i64);

/// The name of a header field, and what in it counts.
#[derive(Clone, Debug)]
pub struct FieldPattern {
    name: String,
    pattern: Option<Regex>,
}

/// Why a text is no [`FieldPattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldPatternError {
    /// What stands before the colon.
    #[error("{0:?} is not the name of a header field")]
    Name(String),
    /// What stands behind it.
    #[error("{0:?} is not a regular expression")]
    Expression(String),
    /// Which part of the field counts is not said.
    #[error("the regular expression {0:?} must have one group in parentheses: what counts")]
    Groups(String),
}

/// As in `X-Spam-Status: score=(-?[0-9.]+)`: the name alone, or a colon and a regular expression with one group.
impl FromStr for FieldPattern {
    type Err = FieldPatternError;

    fn from_str(text: &str) -> Result<FieldPattern, FieldPatternError> {
        let (name, pattern) = match text.split_once(':') {
            Some((name, pattern)) => (name, Some(pattern.trim_start())),
            None => (text, None),
        };
        if !super::fields::is_field_name(name) {
            return Err(FieldPatternError::Name(name.to_owned()));
        }
        let pattern = match pattern {
            None | Some("") => None,
            Some(pattern) => {
                let regex = Regex::new(pattern).map_err(|_| FieldPatternError::Expression(pattern.to_owned()))?;
                if regex.captures_len() != 2 {
                    return Err(FieldPatternError::Groups(pattern.to_owned()));
                }
                Some(regex)
            }
        };
        Ok(FieldPattern {
            name: name.to_owned(),
            pattern,
        })
    }
}

impl fmt::Display for FieldPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pattern {
            Some(pattern) => write!(f, "{}: {pattern}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl PartialEq for FieldPattern {
    fn eq(&self, other: &FieldPattern) -> bool {
        let pattern = |this: &FieldPattern| this.pattern.as_ref().map(|regex| regex.as_str().to_owned());
        self.name == other.name && pattern(self) == pattern(other)
    }
}

impl Eq for FieldPattern {}

impl FieldPattern {
    // What counts of the topmost field.
    fn find(&self, run: &mut Run<'_>) -> Option<String> {
        let values = run.subject.values(&self.name);
        let value = values.first()?;
        let Some(pattern) = &self.pattern else {
            return Some(value.trim().to_owned());
        };
        let found = pattern.captures(value)?.get(1)?;
        Some(found.as_str().trim().to_owned())
    }
}

/// A number with at most nine digits before the point; what is behind three digits after it is cut.
impl FromStr for Points {
    type Err = ();

    fn from_str(text: &str) -> Result<Points, ()> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() > 9 || whole.len() + fraction.len() == 0 || !is_number(whole) || !is_number(fraction) {
            return Err(());
        }
        let number = |text: &str| text.bytes().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        let thousandths = fraction.bytes().chain(*b"000").take(3).collect::<Vec<u8>>();
        let thousandths = thousandths
            .iter()
            .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        Ok(Points(sign * (number(whole) * 1000 + thousandths)))
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, fraction) = (self.0.abs() / 1000, self.0.abs() % 1000);
        let fraction = format!("{fraction:03}");
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

impl Points {
    /// Whether a score can be compared with it.
    #[must_use]
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }
}

impl Scanner {
    // How bad the message is, of `worst`; none where it was not tested.
    fn value(&self, run: &mut Run<'_>, worst: u8) -> Option<Rating> {
        let found = self.field.find(run)?;
        let (score, maximum) = match &self.scale {
            Scale::Text(verdicts) => {
                let verdict = verdicts
                    .iter()
                    .find(|verdict| verdict.text.eq_ignore_ascii_case(&found))?;
                // RFC 5235 §2: 0 is not tested, 1 is clean.
                let steps = i64::from(verdict.value.min(worst).checked_sub(1)?);
                return Some(Rating {
                    score: steps,
                    maximum: i64::from(worst) - 1,
                });
            }
            Scale::Score(maximum) => (found.parse::<Points>().ok()?.0, maximum),
            Scale::Length(maximum) => {
                let length = i64::try_from(found.chars().count()).unwrap_or(i64::MAX / 1000);
                (length.saturating_mul(1000), maximum)
            }
        };
        let maximum = match maximum {
            Maximum::Points(points) => *points,
            Maximum::Field(field) => field.find(run)?.parse().ok()?,
        };
        maximum.is_positive().then(|| Rating {
            score: score.clamp(0, maximum.0),
            maximum: maximum.0,
        })
    }
}

/// A score between 0 and a maximum above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rating {
    score: i64,
    maximum: i64,
}

impl Rating {
    // As many steps as there are between the best and the worst value.
    fn of(self, steps: i64) -> i64 {
        self.score.saturating_mul(steps) / self.maximum
    }
}

pub(super) const TESTS: &[TestKind] = &[
    TestKind {
        name: "spamtest",
        from: &[Extension::SpamTest, Extension::SpamTestPlus],
        compile: compile_spamtest,
    },
    TestKind {
        name: "virustest",
        from: &[Extension::VirusTest],
        compile: |checker, call| {
            let mut arguments = Arguments::of_test(call);
            let tags = MatchTags::take(&mut arguments, checker);
            compile(checker, arguments, tags, Range::Virus)
        },
    },
];

/// What a test compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    /// 0 to 10.
    Spam,
    /// 0 to 100.
    Percent,
    /// 0 to 5.
    Virus,
}

// RFC 5235 §2.2, §2.3: spamtest [":percent"] [COMPARATOR] [MATCH-TYPE] <value: string>
fn compile_spamtest(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let tags = MatchTags::take(&mut arguments, checker);
    let percent = arguments.tag(checker, "percent", Some(Extension::SpamTestPlus));
    let scale = if percent.is_some() { Range::Percent } else { Range::Spam };
    compile(checker, arguments, tags, scale)
}

// RFC 5235 §2.4: virustest [COMPARATOR] [MATCH-TYPE] <value: string>
fn compile(
    checker: &mut Checker<'_>,
    mut arguments: Arguments<'_>,
    tags: Option<MatchTags>,
    scale: Range,
) -> Option<Box<dyn Test>> {
    let key = arguments.placed_text(checker, "a value");
    arguments.end(checker)?;
    let (place, key) = key?;
    check_value(checker, scale, place, &key);
    Some(Box::new(ScanTest {
        scale,
        matching: tags?.with_keys(checker, vec![(place, key)])?,
    }))
}

fn check_value(checker: &mut Checker<'_>, scale: Range, place: Place, key: &Text) {
    let most = match scale {
        Range::Spam => 10,
        Range::Percent => 100,
        Range::Virus => 5,
    };
    let number = key.constant().and_then(|key| key.parse::<u64>().ok());
    if number.is_some_and(|number| number > most) {
        checker.warn(place, format!("the value is at most {most}"));
    }
}

#[derive(Debug)]
struct ScanTest {
    scale: Range,
    matching: Matching,
}

impl Test for ScanTest {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let settings = &run.options().spam;
        let (name, scanner, worst) = match self.scale {
            Range::Spam | Range::Percent => ("spamtest", &settings.spam, 10),
            Range::Virus => ("virustest", &settings.virus, 5),
        };
        let rating = scanner.as_ref().and_then(|scanner| scanner.value(run, worst));
        // RFC 5235 §2.3: what was not tested counts 0.
        if self.matching.counts() && rating.is_none() {
            return self.matching.any(run, name, &[]);
        }
        let value = match (rating, self.scale) {
            (None, _) => 0,
            (Some(rating), Range::Percent) => rating.of(100),
            (Some(rating), _) => rating.of(i64::from(worst) - 1) + 1,
        };
        self.matching.any(run, name, &[Value::from(value.to_string())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_fields() {
        for text in ["X-Spam-Level", "X-Spam-Status: score=(-?[0-9.]+)"] {
            let pattern: FieldPattern = text.parse().unwrap();
            assert_eq!(pattern.to_string(), text);
            assert_eq!(pattern, text.parse().unwrap());
        }
        for (text, error) in [
            ("", FieldPatternError::Name(String::new())),
            ("X Spam", FieldPatternError::Name("X Spam".to_owned())),
            ("X-Spam: (", FieldPatternError::Expression("(".to_owned())),
            ("X-Spam: score", FieldPatternError::Groups("score".to_owned())),
            ("X-Spam: (a)(b)", FieldPatternError::Groups("(a)(b)".to_owned())),
        ] {
            assert_eq!(text.parse::<FieldPattern>(), Err(error), "{text}");
        }
    }

    #[test]
    fn points() {
        for (text, shown) in [
            ("5", Some("5")),
            ("-3.20", Some("-3.2")),
            ("+0.1239", Some("0.123")),
            (".5", Some("0.5")),
            ("-0.5", Some("-0.5")),
            ("15.", Some("15")),
            ("", None),
            (".", None),
            ("-", None),
            ("1e5", None),
            ("1,5", None),
            ("1234567890", None),
        ] {
            let points = text.parse::<Points>().ok().map(|points| points.to_string());
            assert_eq!(points.as_deref(), shown, "{text}");
        }
        assert!(!"0".parse::<Points>().unwrap().is_positive());
    }
}
