//! The line before a message: `From <sender> <date>`.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;

/// The line before a message of an mbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FromLine {
    /// The envelope's sender; empty for none, which other programs write as `MAILER-DAEMON` or `-`.
    pub sender: String,
    /// When the message came, in seconds since 1970; none where the line does not say it. Without a
    /// zone it is taken as UTC (RFC 4155, appendix A).
    pub date: Option<i64>,
}

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
/// Bytes of a line in which a date is looked for.
const LONGEST: usize = 1024;

impl FromLine {
    /// Reads the line; none where it does not begin with `From `.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<FromLine> {
        let rest = line.strip_prefix(b"From ")?;
        let rest = &rest[..rest.len().min(LONGEST)];
        let words: Vec<&[u8]> = rest
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .collect();
        // A sender may have spaces in quotes, and may look like a day: the last that fits counts.
        let found = (0..words.len()).rev().find_map(|at| Some((at, date(&words[at..])?)));
        let sender = words[..found.map_or(words.len().min(1), |(at, _)| at)].join(&b' ');
        let sender = String::from_utf8_lossy(&sender).into_owned();
        Some(FromLine {
            sender: match sender.as_str() {
                "-" | "MAILER-DAEMON" | "<>" => String::new(),
                _ => sender,
            },
            date: found.map(|(_, date)| date),
        })
    }
}

// asctime's: weekday month day hh:mm[:ss] [zone] year [zone].
fn date(words: &[&[u8]]) -> Option<i64> {
    let [weekday, month, day, time, rest @ ..] = words else {
        return None;
    };
    if !DAYS.contains(weekday) {
        return None;
    }
    let month = MONTHS.iter().position(|known| known == month)?;
    let mut clock = time.split(|byte| *byte == b':').map(number);
    let (hour, minute) = (clock.next()??, clock.next()??);
    let second = clock.next().unwrap_or(Some(0))?;
    let year_at = rest
        .iter()
        .take(3)
        .position(|word| word.len() == 4 && number(word).is_some())?;
    let zones = rest[..year_at].iter().chain(rest.get(year_at + 1));
    let offset = zones.filter_map(|word| zone(word)).next().unwrap_or(0);
    let small = |value: i64| i8::try_from(value).ok();
    let moment = DateTime::new(
        i16::try_from(number(rest[year_at])?).ok()?,
        small(i64::try_from(month).ok()? + 1)?,
        small(number(day)?)?,
        small(hour)?,
        small(minute)?,
        // A leap second.
        small(second.min(59))?,
        0,
    );
    let moment = moment.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(moment.timestamp().as_second() - offset)
}

fn number(word: &[u8]) -> Option<i64> {
    let digits = word.len() <= 4 && word.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(word).ok()?.parse().ok()).flatten()
}

// Seconds east of UTC.
fn zone(word: &[u8]) -> Option<i64> {
    let (sign, digits) = word.split_first()?;
    let value = number(digits).filter(|_| digits.len() == 4)?;
    let seconds = value / 100 * 3600 + value % 100 * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// The line with its end; without a date it says the start of 1970.
impl fmt::Display for FromLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = !self.sender.is_empty() && !self.sender.chars().any(|c| c.is_whitespace() || c.is_control());
        let sender = if plain { &self.sender } else { "MAILER-DAEMON" };
        let date = self.date.and_then(|date| Timestamp::from_second(date).ok());
        let date = date.unwrap_or(Timestamp::UNIX_EPOCH).strftime("%a %b %e %H:%M:%S %Y");
        writeln!(f, "From {sender} {date}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_programs_write() {
        let at = Some(1_700_000_000);
        for (line, sender, date) in [
            ("From a@b.c Tue Nov 14 22:13:20 2023\n", "a@b.c", at),
            ("From a@b.c  Tue Nov 14 22:13:20 2023\r\n", "a@b.c", at),
            ("From - Tue Nov 14 22:13:20 2023", "", at),
            ("From MAILER-DAEMON Tue Nov 14 22:13:20 2023", "", at),
            ("From a@b.c Tue Nov 14 23:13:20 2023 +0100", "a@b.c", at),
            ("From a@b.c Tue Nov 14 17:13:20 -0500 2023", "a@b.c", at),
            ("From a@b.c Tue Nov 14 22:13:20 UTC 2023", "a@b.c", at),
            ("From a@b.c Tue Nov 14 22:13 2023", "a@b.c", Some(1_699_999_980)),
            (
                "From \"a b\"@c Tue Nov  4 22:13:20 2023 remote from x",
                "\"a b\"@c",
                Some(1_699_136_000),
            ),
            ("From a@b.c", "a@b.c", None),
            ("From here on it goes", "here", None),
            ("From a@b.c Tue Nov 31 22:13:20 2023", "a@b.c", None),
            ("From a@b.c Tue Nov 14 99:13:20 2023", "a@b.c", None),
            ("From ", "", None),
        ] {
            let found = FromLine::parse(line.as_bytes()).unwrap();
            assert_eq!((found.sender.as_str(), found.date), (sender, date), "{line:?}");
        }
        assert_eq!(FromLine::parse(b"From: ann"), None);
        assert_eq!(FromLine::parse(b">From a"), None);
    }

    #[test]
    fn writes_what_it_reads() {
        for (sender, written) in [
            ("ann@example.org", "ann@example.org"),
            ("", "MAILER-DAEMON"),
            ("a b", "MAILER-DAEMON"),
        ] {
            let line = FromLine {
                sender: sender.into(),
                date: Some(1_699_136_000),
            };
            let text = line.to_string();
            assert_eq!(text, format!("From {written} Sat Nov  4 22:13:20 2023\n"));
            assert_eq!(FromLine::parse(text.as_bytes()).unwrap().date, line.date);
        }
    }
}
