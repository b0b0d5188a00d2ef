//! The kinds of values: how each is written, checked and printed.

use std::marker::PhantomData;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::written::{
    account, address, because, delimiters, domain, extra, home_folder, limit, mode, number, parse_age, path, percent,
    period, points, show_age, show_period, size, socket, text, verdict, whole, wrong,
};
use super::{HostPort, ListenAddress, RedirectFrom};
use crate::directory::{show_extra, show_size};
use crate::mail::{Address, Extra, MailboxName, MailboxPattern};
use crate::server::{Network, NetworkError};
use crate::sieve::{FieldPattern, FieldPatternError, Points, Verdict};

/// A kind of value.
pub(super) trait Kind {
    /// The value as the rooms take it.
    type Value;

    /// What a person must write: "a size, such as \"50 MiB\"".
    fn expected() -> String;

    /// Checks what is written; relative paths count from `folder`.
    fn read(written: &Written<'_>, folder: &Path) -> Result<Self::Value, Wrong>;

    /// What it is when nothing is written; none: it must be written.
    fn absent() -> Option<Self::Value> {
        None
    }

    /// As TOML; none: nothing is to be written.
    fn show(value: &Self::Value) -> Option<String>;
}

/// A value of the file, with its place.
pub(super) type Written<'a> = Spanned<DeValue<'a>>;

/// A place where something else is expected.
pub(super) struct Wrong {
    pub span: Range<usize>,
    /// More than the kind's [`Kind::expected`] says.
    pub why: Option<String>,
}

/// A text as TOML has it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Nothing, or a value.
pub(super) struct Optional<K>(PhantomData<K>);

impl<K: Kind> Kind for Optional<K> {
    type Value = Option<K::Value>;

    fn expected() -> String {
        K::expected()
    }

    fn read(written: &Written<'_>, folder: &Path) -> Result<Self::Value, Wrong> {
        K::read(written, folder).map(Some)
    }

    fn absent() -> Option<Self::Value> {
        Some(None)
    }

    fn show(value: &Self::Value) -> Option<String> {
        K::show(value.as_ref()?)
    }
}

/// Values in brackets.
pub(super) struct List<K>(PhantomData<K>);

impl<K: Kind> Kind for List<K> {
    type Value = Vec<K::Value>;

    fn expected() -> String {
        format!("a list in brackets, each of it {}", K::expected())
    }

    fn read(written: &Written<'_>, folder: &Path) -> Result<Self::Value, Wrong> {
        let values = written.get_ref().as_array().ok_or_else(|| wrong(written))?;
        values.iter().map(|value| K::read(value, folder)).collect()
    }

    fn show(value: &Self::Value) -> Option<String> {
        let values: Vec<String> = value.iter().filter_map(K::show).collect();
        Some(format!("[{}]", values.join(", ")))
    }
}

/// One of a few words.
pub(super) struct OneOf<T>(PhantomData<T>);

/// The words of a [`OneOf`].
pub(super) trait Choice: Copy + PartialEq + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

impl<T: Choice> Kind for OneOf<T> {
    type Value = T;

    fn expected() -> String {
        let words: Vec<String> = T::WORDS.iter().map(|(word, _)| quoted(word)).collect();
        match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.join(""),
        }
    }

    fn read(written: &Written<'_>, _: &Path) -> Result<T, Wrong> {
        let text = text(written)?;
        let known = T::WORDS.iter().find(|(word, _)| *word == text);
        known.map(|(_, value)| *value).ok_or_else(|| wrong(written))
    }

    fn show(value: &T) -> Option<String> {
        let known = T::WORDS.iter().find(|(_, other)| other == value);
        known.map(|(word, _)| quoted(word))
    }
}

/// Declares the kinds whose values are read and shown by an expression each.
macro_rules! kinds {
    ($($(#[$doc:meta])+ $name:ident: $value:ty, $expected:expr,
        read |$written:ident, $folder:ident| $read:expr, show |$shown:ident| $show:expr;)+) => {$(
        $(#[$doc])+
        pub(super) struct $name;

        impl Kind for $name {
            type Value = $value;

            fn expected() -> String {
                $expected.to_owned()
            }

            fn read($written: &Written<'_>, $folder: &Path) -> Result<$value, Wrong> {
                $read
            }

            fn show($shown: &$value) -> Option<String> {
                Some($show)
            }
        }
    )+};
}

kinds! {
    /// Yes or no.
    Flag: bool, "true or false",
        read |written, _folder| written.get_ref().as_bool().ok_or_else(|| wrong(written)),
        show |value| value.to_string();
    /// A whole number from 0.
    Number: usize, "a whole number",
        read |written, _folder| whole(written, 0),
        show |value| value.to_string();
    /// A whole number from 1.
    Count: usize, "a whole number, at least 1",
        read |written, _folder| whole(written, 1),
        show |value| value.to_string();
    /// A user id.
    UserId: u32, "a user id",
        read |written, _folder| number(written).and_then(|id| u32::try_from(id).ok()).ok_or_else(|| wrong(written)),
        show |value| value.to_string();
    /// Bytes; never zero.
    Size: u64, "a size, such as \"50 MiB\", or a number of bytes",
        read |written, _folder| size(written).ok_or_else(|| wrong(written)),
        show |value| quoted(&show_size(*value));
    /// Bytes in memory; never zero.
    Memory: usize, "a size, such as \"256 KiB\", or a number of bytes",
        read |written, _folder| size(written).and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(|| wrong(written)),
        show |value| quoted(&show_size(*value as u64));
    /// Bytes an account may have.
    QuotaBytes: Option<u64>, "a size, such as \"1 GiB\", or \"none\"",
        read |written, _folder| limit(written),
        show |value| value.map_or_else(|| quoted("none"), |bytes| quoted(&show_size(bytes)));
    /// Messages an account may have.
    QuotaMessages: Option<u64>, "a whole number, or \"none\"",
        read |written, _folder| limit(written),
        show |value| value.map_or_else(|| quoted("none"), |messages| messages.to_string());
    /// Bytes on top of a quota.
    ExtraBytes: Extra, "a size or a part of the quota, such as \"100 MiB\" or \"10%\"",
        read |written, _folder| extra(written).ok_or_else(|| wrong(written)),
        show |value| quoted(&show_extra(*value, true));
    /// Messages on top of a quota.
    ExtraMessages: Extra, "a whole number or a part of the quota, such as 100 or \"10%\"",
        read |written, _folder| extra(written).ok_or_else(|| wrong(written)),
        show |value| quoted(&show_extra(*value, false));
    /// Hundredths; never zero.
    Percent: u32, "a part of the quota, such as \"80%\"",
        read |written, _folder| percent(written).ok_or_else(|| wrong(written)),
        show |value| quoted(&format!("{value}%"));
    /// A mailbox, or all whose names begin alike.
    Mailboxes: MailboxPattern, "the name of a mailbox, or its beginning and an asterisk, such as \"Lists*\"",
        read |written, _folder| MailboxPattern::parse(text(written)?).map_err(|error| because(written, error)),
        show |value| quoted(&value.to_string());
    /// A word of a command.
    Word: String, "a text",
        read |written, _folder| text(written).map(str::to_owned),
        show |value| quoted(value);
    /// A header field that may be kept from scripts (RFC 5293 §6: Subject may not).
    FieldName: String, "the name of a header field other than Subject, without its colon",
        read |written, _folder| match text(written)? {
            name if name.eq_ignore_ascii_case("Subject") => {
                Err(because(written, "scripts may always change Subject (RFC 5293 §6)"))
            }
            name if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') => {
                Ok(name.to_owned())
            }
            _ => Err(wrong(written)),
        },
        show |value| quoted(value);
    /// A time; never zero.
    Period: Duration, "a time, such as \"30 s\", \"5 min\" or \"1 h\", or a number of seconds",
        read |written, _folder| period(written).ok_or_else(|| wrong(written)),
        show |value| quoted(&show_period(*value));
    /// How old something is; never zero.
    Age: Duration, "an age, such as \"30 days\", \"2 weeks\" or \"12 hours\"",
        read |written, _folder| written.get_ref().as_str().and_then(parse_age).ok_or_else(|| wrong(written)),
        show |value| quoted(&show_age(*value));
    /// A time, or none.
    Lasting: Option<Duration>, "a time, such as \"14 days\" or \"12 h\", or \"none\"",
        read |written, _folder| match written.get_ref().as_str() {
            Some("none") => Ok(None),
            _ => period(written).map(Some).ok_or_else(|| wrong(written)),
        },
        show |value| value.map_or_else(|| quoted("none"), |time| quoted(&show_period(time)));
    /// A mailbox by its name; its levels are separated by dots.
    NewMailbox: MailboxName, "the name of a mailbox",
        read |written, _folder| MailboxName::parse(text(written)?, '.').map_err(|error| because(written, error)),
        show |value| quoted(value.as_str());
    /// Permissions of a file.
    Mode: u32, "permissions in octal digits, such as \"0660\"",
        read |written, _folder| mode(written).ok_or_else(|| wrong(written)),
        show |value| quoted(&format!("{value:04o}"));
    /// A file or folder.
    PathTo: PathBuf, "a path",
        read |written, folder| path(written, folder),
        show |value| quoted(&value.to_string_lossy());
    /// A folder in a home.
    HomeFolder: PathBuf, "a folder below the home, or \".\" for the home itself",
        read |written, _folder| home_folder(written),
        show |value| quoted(&value.to_string_lossy());
    /// The name of a user or a group of the system.
    Account: String, "the name of a user or group of the system",
        read |written, _folder| account(written),
        show |value| quoted(value);
    /// The name of a host or of a mail domain.
    Domain: String, "a domain, such as \"example.org\"",
        read |written, _folder| domain(written),
        show |value| quoted(value);
    /// An address of a user, or a local part alone.
    User: String, "a user, such as \"ann\" or \"ann@example.org\"",
        read |written, _folder| address(written).map(|address| address.to_string()),
        show |value| quoted(value);
    /// A whole address.
    Mailbox: Address, "an address, such as \"postmaster@example.org\"",
        read |written, _folder| address(written)
            .and_then(|address| if address.domain().is_empty() { Err(wrong(written)) } else { Ok(address) }),
        show |value| quoted(&value.to_string());
    /// The sender of redirects.
    Sender: RedirectFrom, "\"original\", \"recipient\", \"srs\" or an address",
        read |written, folder| match text(written)? {
            "original" => Ok(RedirectFrom::Original),
            "recipient" => Ok(RedirectFrom::Recipient),
            "srs" => Ok(RedirectFrom::Srs),
            _ => Mailbox::read(written, folder).map(RedirectFrom::Fixed),
        },
        show |value| match value {
            RedirectFrom::Original => quoted("original"),
            RedirectFrom::Recipient => quoted("recipient"),
            RedirectFrom::Srs => quoted("srs"),
            RedirectFrom::Fixed(address) => quoted(&address.to_string()),
        };
    /// What stands between user and detail.
    Delimiters: String, "signs each of which may stand between user and detail, such as \"+\" or \"+-\", or \"\" for none",
        read |written, _folder| delimiters(written),
        show |value| quoted(value);
    /// What stands between levels of mailboxes.
    Separator: char, "\".\" or \"/\"",
        read |written, _folder| match text(written)? {
            "." => Ok('.'),
            "/" => Ok('/'),
            _ => Err(wrong(written)),
        },
        show |value| quoted(&value.to_string());
    /// Where to listen.
    Socket: ListenAddress, "\"unix:/path\", an IP address and a port such as \"127.0.0.1:24\" or \"[::1]:24\", or \"systemd:name\"",
        read |written, folder| socket(written, folder),
        show |value| quoted(&value.to_string());
    /// Those who come to a door.
    Peer: Network, "an address or a network, such as \"127.0.0.1\" or \"2001:db8::/32\", or \"unix\"",
        read |written, _folder| text(written)?.parse().map_err(|error: NetworkError| because(written, error)),
        show |value| quoted(&value.to_string());
    /// A header field of a scanner, and what of it counts.
    ScanField: FieldPattern, "a header field, such as \"X-Spam-Level\" or \"X-Spam-Status: score=(-?[0-9.]+)\"",
        read |written, _folder| text(written)?.parse().map_err(|error: FieldPatternError| because(written, error)),
        show |value| quoted(&value.to_string());
    /// What a scanner counts up to; more than 0.
    Score: Points, "a number above 0, such as 15 or 6.5",
        read |written, _folder| points(written).ok_or_else(|| wrong(written)),
        show |value| value.to_string();
    /// A word of a scanner, and its value.
    ScanText: Verdict, "a number from 0 to 10 and a word for it, such as \"1 = No\"",
        read |written, _folder| verdict(text(written)?).ok_or_else(|| wrong(written)),
        show |value| quoted(&format!("{} = {}", value.value, value.text));
    /// A server and its port.
    Server: HostPort, "a host and a port, such as \"127.0.0.1:25\" or \"mx.example.org:587\"",
        read |written, _folder| text(written)?.parse().map_err(|()| wrong(written)),
        show |value| quoted(&value.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<K: Kind>(text: &str) -> Option<String> {
        let written = DeValue::parse(text).expect(text);
        let value = K::read(&written, Path::new("/etc/postroom")).ok()?;
        let shown = K::show(&value).expect("a value");
        let again = DeValue::parse(&shown).expect("TOML");
        let again = K::read(&again, Path::new("/elsewhere"))
            .ok()
            .and_then(|value| K::show(&value));
        assert_eq!(again.as_deref(), Some(shown.as_str()), "what is shown is read back");
        Some(shown)
    }

    #[test]
    fn values_are_read_and_shown() {
        type Read = fn(&str) -> Option<String>;
        let table: &[(Read, &str, Option<&str>)] = &[
            (read::<Size>, "\"50 MiB\"", Some("\"50 MiB\"")),
            (read::<Size>, "1048576", Some("\"1 MiB\"")),
            (read::<Size>, "1_000", Some("\"1000 B\"")),
            (read::<Size>, "0", None),
            (read::<Size>, "-1", None),
            (read::<Size>, "1.5", None),
            (read::<Size>, "\"50\\u00a0MiB\"", Some("\"50 MiB\"")),
            (read::<QuotaBytes>, "\"none\"", Some("\"none\"")),
            (read::<QuotaMessages>, "10", Some("10")),
            (read::<ExtraBytes>, "\"+10%\"", Some("\"10%\"")),
            (read::<ExtraBytes>, "1024", Some("\"1 KiB\"")),
            (read::<ExtraBytes>, "\"-1 MiB\"", Some("\"-1 MiB\"")),
            (read::<ExtraBytes>, "\"lots\"", None),
            (read::<ExtraMessages>, "100", Some("\"100\"")),
            (read::<ExtraMessages>, "\"5%\"", Some("\"5%\"")),
            (read::<Percent>, "\"80%\"", Some("\"80%\"")),
            (read::<Percent>, "\"0%\"", None),
            (read::<Percent>, "80", None),
            (read::<Mailboxes>, "\"Lists/*\"", Some("\"Lists.*\"")),
            (read::<Mailboxes>, "\"*\"", None),
            (read::<FieldName>, "\"X-Spam\"", Some("\"X-Spam\"")),
            (read::<FieldName>, "\"subject\"", None),
            (read::<FieldName>, "\"X-Spam:\"", None),
            (read::<FieldName>, "\"\"", None),
            (read::<Period>, "\"300s\"", Some("\"5 min\"")),
            (read::<Period>, "90", Some("\"90 s\"")),
            (read::<Period>, "\"1500 ms\"", Some("\"1500 ms\"")),
            (read::<Period>, "\"0 s\"", None),
            (read::<Period>, "\"5 m\"", None),
            (read::<Period>, "\"9999999 d\"", None),
            (read::<Age>, "\"30 days\"", Some("\"30 days\"")),
            (read::<Age>, "\"2w\"", Some("\"14 days\"")),
            (read::<Age>, "\"1 day\"", Some("\"1 day\"")),
            (read::<Age>, "\"36h\"", Some("\"36 hours\"")),
            (read::<Age>, "\"0 days\"", None),
            (read::<Age>, "\"30\"", None),
            (read::<Age>, "30", None),
            (read::<Age>, "\"5 m\"", None),
            (read::<Age>, "\"99999999999999999999 days\"", None),
            (read::<Age>, "\"40000 days\"", None),
            (read::<Mode>, "\"0660\"", Some("\"0660\"")),
            (read::<Mode>, "\"600\"", Some("\"0600\"")),
            (read::<Mode>, "0o600", Some("\"0600\"")),
            (read::<Mode>, "660", None),
            (read::<Mode>, "\"4755\"", None),
            (read::<PathTo>, "\"x/y\"", Some("\"/etc/postroom/x/y\"")),
            (read::<PathTo>, "\"/x\"", Some("\"/x\"")),
            (read::<PathTo>, "\"a\\u0000b\"", None),
            (read::<HomeFolder>, "\".\"", Some("\".\"")),
            (read::<HomeFolder>, "\"../x\"", None),
            (read::<HomeFolder>, "\"/x\"", None),
            (read::<Socket>, "\"unix:/run/x\"", Some("\"unix:/run/x\"")),
            (read::<Socket>, "\"[::1]:24\"", Some("\"[::1]:24\"")),
            (read::<Socket>, "\"localhost\"", None),
            (read::<Socket>, "\"unix:\"", None),
            (read::<Server>, "\"mx.example.org:587\"", Some("\"mx.example.org:587\"")),
            (read::<Server>, "\"mx.example.org\"", Some("\"mx.example.org:25\"")),
            (read::<Server>, "\"[::1]:25\"", Some("\"[::1]:25\"")),
            (read::<Server>, "\"a b:25\"", None),
            (read::<ScanField>, "'X-S: \\[(\\d+)'", Some("'X-S: \\[(\\d+)'")),
            (read::<ScanField>, "\"X-S: score\"", None),
            (read::<ScanField>, "\"X S\"", None),
            (read::<Score>, "15", Some("15")),
            (read::<Score>, "6.50", Some("6.5")),
            (read::<Score>, "0", None),
            (read::<Score>, "-1.5", None),
            (read::<Score>, "inf", None),
            (read::<Score>, "\"5\"", None),
            (read::<ScanText>, "\"1=a = b\"", Some("\"1 = a = b\"")),
            (read::<ScanText>, "\"11 = x\"", None),
            (read::<ScanText>, "\"1 =\"", None),
            (read::<ScanText>, "\"x\"", None),
            (read::<Server>, "\"x:0\"", None),
            (read::<Delimiters>, "\"+-\"", Some("\"+-\"")),
            (read::<Delimiters>, "\"a\"", None),
            (read::<Separator>, "\"/\"", Some("\"/\"")),
            (read::<Separator>, "\"~\"", None),
            (read::<Domain>, "\"../x\"", None),
            (read::<Mailbox>, "\"ann\"", None),
            (read::<Sender>, "\"srs\"", Some("\"srs\"")),
            (read::<Sender>, "\"ann@example.org\"", Some("\"ann@example.org\"")),
            (read::<Sender>, "\"sender\"", None),
            (read::<User>, "\"ann\"", Some("\"ann\"")),
            (read::<Account>, "\"../x\"", None),
            (read::<Flag>, "\"yes\"", None),
            (read::<List<Domain>>, "[\"a.b\", \"c\"]", Some("[\"a.b\", \"c\"]")),
            (read::<List<Domain>>, "\"a.b\"", None),
            (read::<List<Domain>>, "[1]", None),
        ];
        for (read, text, expected) in table {
            assert_eq!(read(text).as_deref(), *expected, "{text}");
        }
    }
}
