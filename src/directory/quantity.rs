//! Sizes in bytes, and what comes on top of a limit, as people write them.

use crate::mail::Extra;

/// Units from the largest to the smallest; the binary ones first, as they are printed.
const UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];
/// As many units as are used for printing.
const BINARY: usize = 4;
/// TOML's integers end here.
const MOST: u64 = i64::MAX as u64;

/// Bytes of a text such as `50 MiB`, `1GB` or `1048576`; the case of units is ignored.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim_start();
    let factor = match unit {
        "" => 1,
        unit => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
    };
    number.checked_mul(factor).filter(|bytes| *bytes <= MOST)
}

/// A limit: a size, or `none`.
#[must_use]
pub fn parse_quota(text: &str) -> Option<Option<u64>> {
    if text.trim() == "none" {
        return Some(None);
    }
    parse_size(text).map(Some)
}

/// The size in the largest binary unit in which it is a whole number: `50 MiB`, `1000 B`.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    let whole = |unit: &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(unit.1);
    match UNITS[..BINARY].iter().find(whole) {
        Some((name, factor)) => format!("{} {name}", bytes / factor),
        None => format!("{bytes} B"),
    }
}

/// What comes on top of a limit: `10%`, a size or a number; a sign may stand before it.
#[must_use]
pub fn parse_extra(text: &str) -> Option<Extra> {
    let text = text.trim();
    let (negative, amount) = match text.strip_prefix('-') {
        Some(amount) => (true, amount),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some(number) = amount.strip_suffix('%') {
        // In files of Dovecot's a percent sign is written twice.
        let percent = parse_percent(number.strip_suffix('%').unwrap_or(number))?;
        let percent = i32::try_from(percent).ok()?;
        return Some(Extra::Percent(if negative { -percent } else { percent }));
    }
    let amount = i64::try_from(parse_size(amount)?).ok()?;
    Some(Extra::Amount(if negative { -amount } else { amount }))
}

/// A number of hundredths, without its sign.
#[must_use]
pub fn parse_percent(digits: &str) -> Option<u32> {
    let digits = digits.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|percent| is_number && *percent <= 1_000_000)
}

/// As [`parse_extra`] reads it; an amount is one of bytes where `bytes` says so.
#[must_use]
pub fn show_extra(extra: Extra, bytes: bool) -> String {
    match extra {
        Extra::Percent(percent) => format!("{percent}%"),
        Extra::Amount(amount) if bytes => {
            let sign = if amount < 0 { "-" } else { "" };
            format!("{sign}{}", show_size(amount.unsigned_abs()))
        }
        Extra::Amount(amount) => amount.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        for (text, bytes) in [
            ("50 MiB", Some(50 << 20)),
            ("50MiB", Some(50 << 20)),
            ("1 gib", Some(1 << 30)),
            ("1 MB", Some(1_000_000)),
            ("0", Some(0)),
            (" 7 B ", Some(7)),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("1.5 GiB", None),
            ("50 M", None),
            ("50 MiB x", None),
            ("99999999 TiB", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text:?}");
        }
        assert_eq!(parse_quota("none"), Some(None));
    }

    #[test]
    fn prints_what_it_parses() {
        for bytes in [0, 1, 1000, 1024, 50 << 20, (1 << 40) * 3, 1 << 20 | 1, MOST] {
            assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }
        assert_eq!(show_size(50 << 20), "50 MiB");
    }

    #[test]
    fn extras() {
        for (text, expected, shown) in [
            ("10%", Some(Extra::Percent(10)), "10%"),
            ("+10%%", Some(Extra::Percent(10)), "10%"),
            ("-5 %", Some(Extra::Percent(-5)), "-5%"),
            ("100 MiB", Some(Extra::Amount(100 << 20)), "100 MiB"),
            ("-1 KiB", Some(Extra::Amount(-1024)), "-1 KiB"),
            ("0", Some(Extra::Amount(0)), "0 B"),
            ("", None, ""),
            ("%", None, ""),
            ("--1", None, ""),
            ("-+1", None, ""),
            ("1.5%", None, ""),
            ("9999999%", None, ""),
            ("+5%5%", None, ""),
        ] {
            assert_eq!(parse_extra(text), expected, "{text:?}");
            if let Some(extra) = expected {
                assert_eq!(show_extra(extra, true), shown);
                assert_eq!(parse_extra(shown), expected);
            }
        }
        assert_eq!(show_extra(Extra::Amount(-7), false), "-7");
    }
}
