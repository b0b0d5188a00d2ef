//! Checks of single values: what is written in, what the rooms take out.

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::ListenAddress;
use super::kinds::{Written, Wrong};
use crate::directory::{FolderName, parse_extra, parse_percent, parse_quota, parse_size};
use crate::mail::{Address, Extra};
use crate::sieve::{Points, Verdict};

/// The longest period: clocks can be asked to wait no longer than this.
const PERIOD_MAX: Duration = Duration::from_secs(366 * 86_400);
/// The longest age: a century, so that a moment so long ago can still be written.
const AGE_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);
/// Octets of a Unix socket's path, its closing zero not counted (unix(7)).
const SOCKET_PATH_MAX: usize = 107;

pub(super) fn wrong(written: &Written<'_>) -> Wrong {
    Wrong {
        span: written.span(),
        why: None,
    }
}

pub(super) fn because(written: &Written<'_>, why: impl ToString) -> Wrong {
    Wrong {
        span: written.span(),
        why: Some(why.to_string()),
    }
}

pub(super) fn text<'a>(written: &'a Written<'_>) -> Result<&'a str, Wrong> {
    let text = written.get_ref().as_str().ok_or_else(|| wrong(written))?;
    if text.contains('\0') {
        return Err(because(written, "the text has a NUL"));
    }
    Ok(text)
}

pub(super) fn number(written: &Written<'_>) -> Option<u64> {
    let number = written.get_ref().as_integer()?;
    let value = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
    u64::try_from(value).ok()
}

pub(super) fn whole(written: &Written<'_>, least: usize) -> Result<usize, Wrong> {
    let value = number(written).and_then(|value| usize::try_from(value).ok());
    value.filter(|value| *value >= least).ok_or_else(|| wrong(written))
}

/// A score above 0.
pub(super) fn points(written: &Written<'_>) -> Option<Points> {
    let value = written.get_ref();
    let text = match (value.as_integer(), value.as_float()) {
        (Some(number), _) if number.radix() == 10 => number.as_str(),
        (_, Some(number)) => number.as_str(),
        _ => return None,
    };
    text.parse().ok().filter(|points: &Points| points.is_positive())
}

/// `1 = No`
pub(super) fn verdict(text: &str) -> Option<Verdict> {
    let (value, word) = text.split_once('=')?;
    let value: u8 = value.trim().parse().ok().filter(|value| *value <= 10)?;
    let text = word.trim();
    (!text.is_empty()).then(|| Verdict {
        value,
        text: text.to_owned(),
    })
}

pub(super) fn size(written: &Written<'_>) -> Option<u64> {
    let bytes = number(written).or_else(|| parse_size(written.get_ref().as_str()?))?;
    (bytes > 0).then_some(bytes)
}

pub(super) fn limit(written: &Written<'_>) -> Result<Option<u64>, Wrong> {
    let limit = number(written).map(Some);
    let limit = limit.or_else(|| parse_quota(written.get_ref().as_str()?));
    limit.ok_or_else(|| wrong(written))
}

pub(super) fn extra(written: &Written<'_>) -> Option<Extra> {
    let amount = number(written).and_then(|number| i64::try_from(number).ok());
    let extra = amount.map(Extra::Amount);
    extra.or_else(|| parse_extra(written.get_ref().as_str()?))
}

pub(super) fn percent(written: &Written<'_>) -> Option<u32> {
    let digits = written.get_ref().as_str()?.strip_suffix('%')?;
    parse_percent(digits).filter(|percent| *percent > 0)
}

const PERIODS: &[(&str, u64)] = &[
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("min", 60_000),
    ("s", 1000),
    ("ms", 1),
    ("day", 86_400_000),
    ("days", 86_400_000),
];

pub(super) fn period(written: &Written<'_>) -> Option<Duration> {
    let period = match written.get_ref().as_str() {
        Some(text) => {
            let (digits, unit) = amount(text);
            let (_, factor) = PERIODS.iter().find(|(name, _)| *name == unit)?;
            Duration::from_millis(digits.parse::<u64>().ok()?.checked_mul(*factor)?)
        }
        None => Duration::from_secs(number(written)?),
    };
    (!period.is_zero() && period <= PERIOD_MAX).then_some(period)
}

const AGES: &[(&str, u64)] = &[
    ("days", 86_400),
    ("day", 86_400),
    ("d", 86_400),
    ("weeks", 7 * 86_400),
    ("week", 7 * 86_400),
    ("w", 7 * 86_400),
    ("hours", 3600),
    ("hour", 3600),
    ("h", 3600),
];

/// A length of time after which something is old, such as `30 days`, `2 weeks` or `12h`; none where the text is
/// none, or longer than a century.
#[must_use]
pub fn parse_age(text: &str) -> Option<Duration> {
    let (digits, unit) = amount(text);
    let (_, factor) = AGES.iter().find(|(name, _)| *name == unit)?;
    let age = Duration::from_secs(digits.parse::<u64>().ok()?.checked_mul(*factor)?);
    (!age.is_zero() && age <= AGE_MAX).then_some(age)
}

/// An age as [`parse_age`] reads it: in days, or in hours where it is not whole days.
#[must_use]
pub fn show_age(age: Duration) -> String {
    let hours = age.as_secs() / 3600;
    match (hours / 24, hours % 24) {
        (1, 0) => "1 day".to_owned(),
        (days, 0) => format!("{days} days"),
        _ if hours == 1 => "1 hour".to_owned(),
        _ => format!("{hours} hours"),
    }
}

// A number and its unit, with or without spaces between.
fn amount(text: &str) -> (&str, &str) {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (&text[..digits], text[digits..].trim_start())
}

/// A time in the largest unit of which it is a whole number, as `30 d` or `90 s`.
#[must_use]
pub fn show_period(period: Duration) -> String {
    let milliseconds = period.as_millis();
    let whole = |unit: &&(&str, u64)| milliseconds.is_multiple_of(u128::from(unit.1));
    match PERIODS.iter().find(whole) {
        Some((name, factor)) => format!("{} {name}", milliseconds / u128::from(*factor)),
        None => format!("{milliseconds} ms"),
    }
}

pub(super) fn mode(written: &Written<'_>) -> Option<u32> {
    let mode = match written.get_ref() {
        DeValue::Integer(number) if number.radix() == 8 => u32::from_str_radix(number.as_str(), 8).ok()?,
        // A plain 660 would be decimal: who writes it means something else.
        DeValue::String(text) if text.len() <= 4 && text.bytes().all(|b| matches!(b, b'0'..=b'7')) => {
            u32::from_str_radix(text, 8).ok()?
        }
        _ => return None,
    };
    (mode <= 0o777).then_some(mode)
}

pub(super) fn path(written: &Written<'_>, folder: &Path) -> Result<PathBuf, Wrong> {
    match text(written)? {
        "" => Err(wrong(written)),
        path => Ok(folder.join(path)),
    }
}

pub(super) fn home_folder(written: &Written<'_>) -> Result<PathBuf, Wrong> {
    let path = Path::new(text(written)?);
    let inside = |step: Component<'_>| matches!(step, Component::Normal(_) | Component::CurDir);
    if path.as_os_str().is_empty() || !path.components().all(inside) {
        return Err(wrong(written));
    }
    Ok(path.to_owned())
}

pub(super) fn account(written: &Written<'_>) -> Result<String, Wrong> {
    let name = text(written)?;
    match FolderName::local_part(name) {
        Some(_) if !name.contains(':') => Ok(name.to_owned()),
        _ => Err(wrong(written)),
    }
}

pub(super) fn domain(written: &Written<'_>) -> Result<String, Wrong> {
    let domain = text(written)?;
    match Address::parse(&format!("postmaster@{domain}")) {
        Ok(address) if FolderName::domain(address.domain()).is_some() => Ok(domain.to_owned()),
        _ => Err(wrong(written)),
    }
}

pub(super) fn address(written: &Written<'_>) -> Result<Address, Wrong> {
    Address::parse(text(written)?).map_err(|error| because(written, error))
}

pub(super) fn delimiters(written: &Written<'_>) -> Result<String, Wrong> {
    let signs = text(written)?;
    let usable = |c: char| "!#$%&'*+-/=?^_`{|}~.".contains(c);
    if signs.chars().all(usable) {
        Ok(signs.to_owned())
    } else {
        Err(wrong(written))
    }
}

pub(super) fn socket(written: &Written<'_>, folder: &Path) -> Result<ListenAddress, Wrong> {
    let text = text(written)?;
    if let Some(name) = text.strip_prefix("systemd:") {
        // sd_listen_fds_with_names(3)
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        return match is_name {
            true => Ok(ListenAddress::Systemd(name.to_owned())),
            false => Err(wrong(written)),
        };
    }
    let Some(path) = text.strip_prefix("unix:") else {
        let address = text.parse::<SocketAddr>().map_err(|_| wrong(written))?;
        return Ok(ListenAddress::Tcp(address));
    };
    if path.is_empty() {
        return Err(wrong(written));
    }
    let path = folder.join(path);
    if path.as_os_str().len() > SOCKET_PATH_MAX {
        let why = format!("the path of a Unix socket has at most {SOCKET_PATH_MAX} octets");
        return Err(because(written, why));
    }
    Ok(ListenAddress::Unix(path))
}
