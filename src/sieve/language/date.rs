//! `date` and `currentdate`: RFC 5260.

use jiff::Zoned;
use jiff::tz::{Offset, TimeZone};

use super::arguments::Arguments;
use super::checker::{Checker, TestKind};
use super::extension::Extension;
use super::fields::{Index, check_name};
use super::matching::{MatchTags, MatchType, Matching, Value};
use super::program::Test;
use super::run::{Run, Stop};
use super::text::Text;
use crate::mail::nearest;
use crate::message::zoned_date;
use crate::sieve::error::Place;
use crate::sieve::syntax::Call;

pub(super) const TESTS: &[TestKind] = &[
    TestKind {
        name: "date",
        from: &[Extension::Date],
        compile: compile_date,
    },
    TestKind {
        name: "currentdate",
        from: &[Extension::Date],
        compile: compile_currentdate,
    },
];

/// The time zone of a date's parts (RFC 5260 §4.1).
#[derive(Debug)]
pub(super) enum Zone {
    /// The server's.
    Local,
    /// The one in the date.
    Original,
    /// `:zone`, as it was written.
    Given(Text),
}

impl Zone {
    /// Takes `:zone`, and `:originalzone` where `original`.
    pub(super) fn take(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>, original: bool) -> Option<Zone> {
        let given = arguments.peek("zone");
        let zone = arguments.tagged_text(checker, "zone", Some(Extension::Date));
        let original = match original {
            true => arguments.tag(checker, "originalzone", Some(Extension::Date)),
            false => None,
        };
        match (zone, original) {
            (Some(_), Some(place)) => checker.error(place, "`:originalzone` does not go together with `:zone`"),
            (None, _) if given => None,
            (None, Some(_)) => Some(Zone::Original),
            (None, None) => Some(Zone::Local),
            (Some((place, text)), None) => match text.constant().map(parse_zone) {
                Some(Err(message)) => checker.error(place, message),
                _ => Some(Zone::Given(text)),
            },
        }
    }

    /// A moment in this zone.
    pub(super) fn of(&self, run: &Run<'_>, moment: &Zoned) -> Result<Zoned, Stop> {
        Ok(match self {
            Zone::Original => moment.clone(),
            Zone::Local => moment.with_time_zone(TimeZone::system()),
            Zone::Given(text) => {
                let offset = parse_zone(&text.value(run)?).map_err(Stop::error)?;
                moment.with_time_zone(offset.to_time_zone())
            }
        })
    }
}

// RFC 5260 §4.1: time-zone = ( "+" / "-" ) 4DIGIT
fn parse_zone(text: &str) -> Result<Offset, String> {
    let wrong = || format!("\"{text}\" is no time zone: it is written as \"+0100\" or \"-0530\"");
    let (sign, digits) = match text.as_bytes() {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return Err(wrong()),
    };
    let digit = |at: usize| match digits.get(at) {
        Some(digit @ b'0'..=b'9') => Ok(i32::from(digit - b'0')),
        _ => Err(wrong()),
    };
    let hours = digit(0)? * 10 + digit(1)?;
    let minutes = digit(2)? * 10 + digit(3)?;
    if digits.len() != 4 || hours > 23 || minutes > 59 {
        return Err(wrong());
    }
    Offset::from_seconds(sign * (hours * 60 + minutes) * 60).map_err(|_| wrong())
}

/// A part of a date (RFC 5260 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Year,
    Month,
    Day,
    Date,
    Julian,
    Hour,
    Minute,
    Second,
    Time,
    Iso8601,
    Std11,
    Zone,
    Weekday,
}

impl Part {
    /// Each with its name and what it looks like, a digit as `0`.
    const ALL: [(&'static str, Part, &'static str); 13] = [
        ("year", Part::Year, "0000"),
        ("month", Part::Month, "00"),
        ("day", Part::Day, "00"),
        ("date", Part::Date, "0000-00-00"),
        ("julian", Part::Julian, ""),
        ("hour", Part::Hour, "00"),
        ("minute", Part::Minute, "00"),
        ("second", Part::Second, "00"),
        ("time", Part::Time, "00:00:00"),
        ("iso8601", Part::Iso8601, ""),
        ("std11", Part::Std11, ""),
        ("zone", Part::Zone, ""),
        ("weekday", Part::Weekday, "0"),
    ];

    fn parse(text: &str) -> Result<Part, String> {
        let known = Part::ALL.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text));
        known
            .map(|(_, part, _)| *part)
            .ok_or_else(|| format!("a date has no part \"{text}\""))
    }

    fn name_and_shape(self) -> (&'static str, &'static str) {
        let known = Part::ALL.iter().find(|(_, part, _)| *part == self);
        known.map_or(("", ""), |(name, _, shape)| (name, shape))
    }

    fn of(self, moment: &Zoned) -> String {
        let format = match self {
            Part::Year => "%Y",
            Part::Month => "%m",
            Part::Day => "%d",
            Part::Date => "%Y-%m-%d",
            Part::Julian => return modified_julian_day(moment).to_string(),
            Part::Hour => "%H",
            Part::Minute => "%M",
            Part::Second => "%S",
            Part::Time => "%H:%M:%S",
            Part::Iso8601 => return iso8601(moment),
            Part::Std11 => "%a, %d %b %Y %H:%M:%S %z",
            Part::Zone => "%z",
            Part::Weekday => "%w",
        };
        moment.strftime(format).to_string()
    }
}

/// The "iso8601" of RFC 5260 §4.2, which is RFC 3339's form.
pub(super) fn iso8601(moment: &Zoned) -> String {
    let zone = if moment.offset() == Offset::UTC { "Z" } else { "%:z" };
    moment.strftime(&format!("%Y-%m-%dT%H:%M:%S{zone}")).to_string()
}

// RFC 5260 §4.2: days since 17 November 1858, of the date in its zone.
fn modified_julian_day(moment: &Zoned) -> i64 {
    let first = jiff::civil::date(1858, 11, 17);
    moment.date().duration_since(first).as_secs().div_euclid(86_400)
}

/// What both tests have in common.
#[derive(Debug)]
struct PartTest {
    zone: Zone,
    part: Text,
    matching: Matching,
}

impl PartTest {
    // The part and the keys, which come last.
    fn take(
        arguments: &mut Arguments<'_>,
        checker: &mut Checker<'_>,
        tags: Option<MatchTags>,
        zone: Option<Zone>,
    ) -> Option<PartTest> {
        let part = arguments.placed_text(checker, "a part of the date");
        let keys = arguments.texts(checker, "keys");
        let (place, part) = part?;
        let tags = tags?;
        let keys = keys?;
        if let Some(name) = part.constant() {
            check_part(checker, place, name, tags, &keys)?;
        }
        Some(PartTest {
            zone: zone?,
            part,
            matching: tags.with_keys(checker, keys)?,
        })
    }

    fn test(&self, run: &mut Run<'_>, moment: Option<&Zoned>) -> Result<bool, Stop> {
        let name = self.part.value(run)?.into_owned();
        let part = Part::parse(&name).map_err(Stop::error)?;
        let values: Vec<Value> = match moment {
            None => Vec::new(),
            Some(moment) => vec![part.of(&self.zone.of(run, moment)?).into()],
        };
        self.matching.any(run, &name, &values)
    }
}

fn check_part(
    checker: &mut Checker<'_>,
    place: Place,
    name: &str,
    tags: MatchTags,
    keys: &[(Place, Text)],
) -> Option<()> {
    let part = match Part::parse(name) {
        Ok(part) => part,
        Err(message) => {
            let near = nearest(name, Part::ALL.map(|(name, ..)| name));
            return checker.error_with_help(place, message, near.map(|near| format!("did you mean \"{near}\"?")));
        }
    };
    let (name, shape) = part.name_and_shape();
    if !matches!(tags.kind, MatchType::Is | MatchType::Value(_)) || shape.is_empty() {
        return Some(());
    }
    let wrong = |text: &str| {
        text.len() != shape.len()
            || text.bytes().zip(shape.bytes()).any(|(byte, shape)| match shape {
                b'0' => !byte.is_ascii_digit(),
                sign => byte != sign,
            })
    };
    // A number without its leading zero is the same to i;ascii-numeric.
    let number = |text: &str| tags.comparator.is_numeric() && text.bytes().all(|byte| byte.is_ascii_digit());
    for (place, key) in keys {
        if let Some(key) = key.constant().filter(|key| wrong(key) && !number(key)) {
            checker.warn(
                *place,
                format!("the part \"{name}\" looks like \"{shape}\", which \"{key}\" does not"),
            );
        }
    }
    Some(())
}

// date [<":zone" <time-zone: string>> / ":originalzone"] [COMPARATOR] [MATCH-TYPE] <header-name: string>
// <date-part: string> <key-list: string-list>
fn compile_date(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let tags = MatchTags::take(&mut arguments, checker);
    let zone = Zone::take(&mut arguments, checker, true);
    let index = Index::take(&mut arguments, checker);
    let field = arguments.placed_text(checker, "the name of a header field");
    let part = PartTest::take(&mut arguments, checker, tags, zone);
    arguments.end(checker)?;
    let (place, field) = field?;
    if let Some(name) = field.constant() {
        check_name(checker, place, name)?;
    }
    Some(Box::new(DateTest {
        field,
        index,
        part: part?,
    }))
}

#[derive(Debug)]
struct DateTest {
    field: Text,
    index: Option<Index>,
    part: PartTest,
}

impl Test for DateTest {
    // RFC 5260 §4: of several fields the first, of several dates in it the last; what is no date is not there.
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let name = self.field.value(run)?.into_owned();
        let fields: Vec<_> = run.subject.header().all(&name).collect();
        let field = match self.index {
            None => fields.first(),
            Some(index) => index.pick(&fields),
        };
        let moment = field.and_then(|field| last_date(&field.unfolded()));
        self.part.test(run, moment.as_ref())
    }
}

fn last_date(value: &[u8]) -> Option<Zoned> {
    let start = memchr::memrchr(b';', value).map_or(0, |semicolon| semicolon + 1);
    zoned_date(&value[start..])
}

// currentdate [":zone" <time-zone: string>] [COMPARATOR] [MATCH-TYPE] <date-part: string> <key-list: string-list>
fn compile_currentdate(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let tags = MatchTags::take(&mut arguments, checker);
    let zone = Zone::take(&mut arguments, checker, false);
    let part = PartTest::take(&mut arguments, checker, tags, zone);
    arguments.end(checker)?;
    Some(Box::new(CurrentDate { part: part? }))
}

#[derive(Debug)]
struct CurrentDate {
    part: PartTest,
}

impl Test for CurrentDate {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let now = run.now.to_zoned(TimeZone::UTC);
        self.part.test(run, Some(&now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_date() {
        let moment = zoned_date(b"Mon, 1 Jun 2026 02:03:04 +0530").unwrap();
        for (name, expected) in [
            ("year", "2026"),
            ("MONTH", "06"),
            ("day", "01"),
            ("date", "2026-06-01"),
            ("julian", "61192"),
            ("hour", "02"),
            ("minute", "03"),
            ("second", "04"),
            ("time", "02:03:04"),
            ("iso8601", "2026-06-01T02:03:04+05:30"),
            ("std11", "Mon, 01 Jun 2026 02:03:04 +0530"),
            ("zone", "+0530"),
            ("weekday", "1"),
        ] {
            assert_eq!(Part::parse(name).unwrap().of(&moment), expected, "{name}");
        }
        let utc = moment.with_time_zone(TimeZone::UTC);
        for (part, expected) in [
            (Part::Date, "2026-05-31"),
            (Part::Julian, "61191"),
            (Part::Weekday, "0"),
            // RFC 5260 §4.2: an offset of 0 has a positive sign.
            (Part::Zone, "+0000"),
            (Part::Iso8601, "2026-05-31T20:33:04Z"),
        ] {
            assert_eq!(part.of(&utc), expected, "{part:?}");
        }
        let before = jiff::civil::date(1858, 11, 16).to_zoned(TimeZone::UTC).unwrap();
        assert_eq!(Part::Julian.of(&before), "-1");
    }

    #[test]
    fn zones() {
        for (text, seconds) in [
            ("+0100", Some(3600)),
            ("-0530", Some(-19_800)),
            ("-0000", Some(0)),
            ("+2359", Some(86_340)),
            ("0100", None),
            ("+100", None),
            ("+01:00", None),
            ("+01000", None),
            ("+2400", None),
            ("+0060", None),
            ("CET", None),
            ("", None),
        ] {
            let offset = parse_zone(text).ok().map(Offset::seconds);
            assert_eq!(offset, seconds, "{text}");
        }
    }
}
