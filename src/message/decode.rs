//! Values into text, addresses, dates: RFC 2047, RFC 2231, RFC 5322.
//!
//! The decoding is mail-parser's. Some of its readers take time by the square of the
//! length, so each gets one value, cut to a size at which that does not matter.

use std::borrow::Cow;

use jiff::Zoned;
use jiff::tz::Offset;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::parsers::MessageStream;
use mail_parser::{Address, DateTime, HeaderValue, MessageParser, PartType};
use memchr::memchr3_iter;

use super::content::Parameter;

/// Bytes of a value that are decoded.
const VALUE_MAX: usize = 16 * 1024;
/// Addresses or message ids of one field.
const LIST_MAX: usize = 1000;

/// A mailbox of a header field (RFC 5322 §3.4), as its sender wrote it: not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name, decoded.
    pub name: Option<String>,
    /// What stands where the address should be.
    pub address: Option<String>,
}

/// Unstructured text (RFC 5322 §3.2.5) with its encoded words (RFC 2047) decoded.
/// Control characters become spaces.
#[must_use]
pub fn text(raw: &[u8]) -> String {
    match MessageStream::new(&line(raw)).parse_unstructured() {
        HeaderValue::Text(text) => printable(&text),
        HeaderValue::TextList(list) => printable(&list.concat()),
        _ => String::new(),
    }
}

/// The mailboxes of an address list; those of groups are included, group names are not.
#[must_use]
pub fn mailboxes(raw: &[u8]) -> Vec<Mailbox> {
    let raw = line(raw);
    let HeaderValue::Address(address) = MessageStream::new(&raw).parse_address() else {
        return Vec::new();
    };
    let list = match &address {
        Address::List(list) => list.iter().collect::<Vec<_>>(),
        Address::Group(groups) => groups.iter().flat_map(|group| &group.addresses).collect(),
    };
    list.into_iter()
        .take(LIST_MAX)
        .map(|address| {
            let mailbox = Mailbox {
                name: address.name.as_deref().map(printable),
                address: address.address.as_deref().map(printable),
            };
            joined(&mailbox, &raw).unwrap_or(mailbox)
        })
        .collect()
}

// RFC 5322 §3.4.1: addr-spec = local-part "@" domain, where the local part may be a quoted string. Without angle
// brackets mail-parser takes that for the name.
fn joined(mailbox: &Mailbox, raw: &[u8]) -> Option<Mailbox> {
    let domain = mailbox.address.as_deref().filter(|address| address.starts_with('@'))?;
    if domain[1..].contains('@') || !follows_quote(domain, &String::from_utf8_lossy(raw)) {
        return None;
    }
    let local = local_part(mailbox.name.as_deref().unwrap_or_default());
    Some(Mailbox {
        name: None,
        address: Some(format!("{local}{domain}")),
    })
}

// Whether the domain stands behind a closing quote somewhere, with nothing but white space between them.
fn follows_quote(domain: &str, raw: &str) -> bool {
    raw.match_indices(domain)
        .any(|(at, _)| raw[..at].trim_end_matches([' ', '\t']).ends_with('"'))
}

// RFC 5322 §3.2.3 dot-atom, or else §3.2.4 quoted-string: `\` and `"` have a backslash before them.
fn local_part(text: &str) -> String {
    let is_atext = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let is_atom = |word: &str| !word.is_empty() && word.chars().all(is_atext);
    match text.split('.').all(is_atom) {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// The message ids of a field (RFC 5322 §3.6.4), without angle brackets.
#[must_use]
pub fn message_ids(raw: &[u8]) -> Vec<String> {
    match MessageStream::new(&line(raw)).parse_id() {
        HeaderValue::Text(id) => vec![printable(&id)],
        HeaderValue::TextList(ids) => ids.iter().take(LIST_MAX).map(|id| printable(id)).collect(),
        _ => Vec::new(),
    }
}

/// A date (RFC 5322 §3.3) in seconds since 1970; none where it is no date.
#[must_use]
pub fn date(raw: &[u8]) -> Option<i64> {
    // A date is short; the rest can only be comments.
    let raw = line(&raw[..raw.len().min(256)]);
    match MessageStream::new(&raw).parse_date() {
        HeaderValue::DateTime(date) if date.is_valid() && date.year > 0 => Some(date.to_timestamp()),
        _ => None,
    }
}

/// The day that a date (RFC 5322 §3.3) names, as it was written and whatever its time zone: in days since
/// 1970. None where it is no date.
#[must_use]
pub fn day(raw: &[u8]) -> Option<i64> {
    let raw = line(&raw[..raw.len().min(256)]);
    let HeaderValue::DateTime(date) = MessageStream::new(&raw).parse_date() else {
        return None;
    };
    let midnight = DateTime {
        year: date.year,
        month: date.month,
        day: date.day,
        ..DateTime::default()
    };
    (date.is_valid() && date.year > 0).then(|| midnight.to_timestamp().div_euclid(86400))
}

/// A date (RFC 5322 §3.3) with the time zone that stands in it; none where it is no date.
#[must_use]
pub fn zoned_date(raw: &[u8]) -> Option<Zoned> {
    let raw = line(&raw[..raw.len().min(256)]);
    let HeaderValue::DateTime(mut date) = MessageStream::new(&raw).parse_date() else {
        return None;
    };
    // RFC 5322 §3.3 knows leap seconds; the second before one is as near as it gets.
    if date.second == 60 {
        date.second = 59;
    }
    if !date.is_valid() || date.year == 0 {
        return None;
    }
    let small = |number: u8| i8::try_from(number).ok();
    let written = jiff::civil::DateTime::new(
        i16::try_from(date.year).ok()?,
        small(date.month)?,
        small(date.day)?,
        small(date.hour)?,
        small(date.minute)?,
        small(date.second)?,
        0,
    );
    let east = (i32::from(date.tz_hour) * 60 + i32::from(date.tz_minute)) * 60;
    let offset = Offset::from_seconds(if date.tz_before_gmt { -east } else { east });
    written.ok()?.to_zoned(offset.ok()?.to_time_zone()).ok()
}

/// A parameter (RFC 2231 §4), or the encoded words that many programs write instead.
#[must_use]
pub fn parameter(parameter: &Parameter) -> String {
    let value = &parameter.value;
    if !parameter.extended {
        return text(value);
    }
    let mut pieces = value.splitn(3, |byte| *byte == b'\'');
    let (charset, encoded) = match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(encoded)) => (charset, encoded),
        _ => (&b""[..], &value[..]),
    };
    let bytes = percent_decoded(encoded);
    printable(&match charset_decoder(charset) {
        Some(decode) => decode(&bytes),
        None => String::from_utf8_lossy(&bytes).into_owned(),
    })
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    bytes
}

/// Parses a whole message with mail-parser, for what needs its decoded bodies.
///
/// Only for a message that is [safe](super::Message::safe_for_parsers). None where there is
/// no header, and where the parts that come out are not a tree: a part that holds itself
/// or an earlier one, or that two parts hold, which would keep a visitor walking for ever.
#[must_use]
pub fn parse_whole(raw: &[u8]) -> Option<mail_parser::Message<'_>> {
    let message = MessageParser::default().parse(raw)?;
    let mut all = vec![&message];
    while let Some(message) = all.pop() {
        let mut held = vec![false; message.parts.len()];
        for (index, part) in message.parts.iter().enumerate() {
            match &part.body {
                PartType::Message(message) => all.push(message),
                PartType::Multipart(children) => {
                    for child in children {
                        let child = usize::try_from(*child).ok()?;
                        let seen = held.get_mut(child)?;
                        if child <= index || *seen {
                            return None;
                        }
                        *seen = true;
                    }
                }
                _ => {}
            }
        }
    }
    Some(message)
}

// One bounded value as a line that ends, without NUL and with the folds taken out, since a
// line feed would end it early.
fn line(raw: &[u8]) -> Vec<u8> {
    let raw = &raw[..raw.len().min(VALUE_MAX)];
    let mut line = Vec::with_capacity(raw.len() + 1);
    let mut start = 0;
    for at in memchr3_iter(b'\n', b'\r', 0, raw) {
        line.extend_from_slice(&raw[start..at]);
        start = at + 1;
    }
    line.extend_from_slice(&raw[start..]);
    line.push(b'\n');
    line
}

/// Bytes as text, with a mark for each that is none.
pub(super) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    // Several times as fast, where that is all there is to it.
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

fn printable(text: &str) -> String {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decodes_text() {
        for (raw, decoded) in [
            (" Hello, world", "Hello, world"),
            ("=?utf-8?q?caf=C3=A9?= x", "café x"),
            ("=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"),
            ("=?iso-8859-1?B?6Q==?=", "é"),
            ("=?utf-8?q?a=0D=0ABcc:_x?=", "a  Bcc: x"),
            ("=?utf-8?q?broken", "=?utf-8?q?broken"),
            ("a\0b\tc\r\n d", "ab\tc d".replace('\t', " ").as_str()),
            ("", ""),
        ] {
            assert_eq!(text(raw.as_bytes()), decoded, "{raw:?}");
        }
    }

    #[test]
    fn decodes_addresses() {
        let mailbox = |name: Option<&str>, address: &str| Mailbox {
            name: name.map(str::to_owned),
            address: Some(address.to_owned()),
        };
        for (raw, decoded) in [
            ("ann@example.org", vec![mailbox(None, "ann@example.org")]),
            (
                "\"Ann, B.\" <ann@example.org>, =?utf-8?q?B=C3=B6b?= <bob@example.org>",
                vec![
                    mailbox(Some("Ann, B."), "ann@example.org"),
                    mailbox(Some("Böb"), "bob@example.org"),
                ],
            ),
            ("friends: ann@example.org;", vec![mailbox(None, "ann@example.org")]),
            // RFC 5322 §3.4.1: a quoted string in front of the domain is the local part.
            ("\"a b\"@example.org", vec![mailbox(None, "\"a b\"@example.org")]),
            (
                "\"a b\"@example.org, \"c d\" <e@example.org>, \"f@g\"@example.org",
                vec![
                    mailbox(None, "\"a b\"@example.org"),
                    mailbox(Some("c d"), "e@example.org"),
                    mailbox(None, "\"f@g\"@example.org"),
                ],
            ),
            ("\"a b\" @example.org", vec![mailbox(None, "\"a b\"@example.org")]),
            ("\"a.b\"@example.org", vec![mailbox(None, "a.b@example.org")]),
            (
                "\"a\\\"b\\\\c\"@example.org",
                vec![mailbox(None, "\"a\\\"b\\\\c\"@example.org")],
            ),
            ("\"\"@example.org", vec![mailbox(None, "\"\"@example.org")]),
            (
                "Name <\"a b\"@example.org>",
                vec![mailbox(Some("Name"), "\"a b\"@example.org")],
            ),
            (
                "group: \"a b\"@example.org;",
                vec![mailbox(None, "\"a b\"@example.org")],
            ),
            // Not the name before angle brackets, however odd what stands in them.
            ("\"Ann\" <@example.org>", vec![mailbox(Some("Ann"), "@example.org")]),
            ("", vec![]),
        ] {
            assert_eq!(mailboxes(raw.as_bytes()), decoded, "{raw}");
        }
    }

    #[test]
    fn decodes_ids_and_dates() {
        assert_eq!(message_ids(b" <a@b>\r\n <c@d>"), ["a@b", "c@d"]);
        assert!(message_ids(b"").is_empty());
        assert_eq!(date(b" Thu, 1 Jan 1970 01:00:10 +0100"), Some(10));
        assert_eq!(date(b"yesterday"), None);
        for (raw, expected) in [
            ("Thu, 1 Jan 1970 23:30:00 -0500", Some(0)),
            ("Fri, 2 Jan 1970 00:30:00 +0500", Some(1)),
            ("31 Dec 1969 12:00:00 GMT", Some(-1)),
            ("31 Feb", None),
            ("", None),
        ] {
            assert_eq!(day(raw.as_bytes()), expected, "{raw}");
        }
    }

    #[test]
    fn keeps_the_zone_of_a_date() {
        for (raw, expected) in [
            ("Mon, 1 Jun 2026 12:34:56 +0530", Some("2026-06-01T12:34:56+05:30")),
            (
                "Thu, 1 Jan 1970 23:30:00 -0500 (EST)",
                Some("1970-01-01T23:30:00-05:00"),
            ),
            ("31 Dec 2016 23:59:60 +0000", Some("2016-12-31T23:59:59+00:00")),
            ("1 Jun 2026 12:34:00 GMT", Some("2026-06-01T12:34:00+00:00")),
            // RFC 5260 §4: not valid by the rules of the calendar.
            ("29 Feb 2026 12:00:00 +0000", None),
            ("32 Jan 2026 12:00:00 +0000", None),
            ("1 Jun 2026 25:00:00 +0000", None),
            ("yesterday", None),
            ("", None),
        ] {
            let shown = zoned_date(raw.as_bytes()).map(|date| date.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string());
            assert_eq!(shown.as_deref(), expected, "{raw}");
        }
    }

    #[test]
    fn decodes_parameters() {
        for (value, extended, decoded) in [
            ("utf-8'en'caf%C3%A9", true, "café"),
            ("iso-8859-1''%e9", true, "é"),
            ("%41%4", true, "A%4"),
            ("=?utf-8?q?caf=C3=A9.pdf?=", false, "café.pdf"),
            ("a%20b", false, "a%20b"),
        ] {
            let value = value.as_bytes().to_vec();
            assert_eq!(parameter(&Parameter { value, extended }), decoded);
        }
    }

    #[test]
    fn a_cyclic_tree_is_refused() {
        let cyclic = "Content-Type: multipart/mixed; boundary=A\n\n--A\nContent-Type: message/rfc822\n\n\
                      Content-Type: message/rfc822\n\nA: b\n\nx\n--A\nContent-Type: message/rfc822\n\nA: b\n\nx\n--A--\n";
        assert!(MessageParser::default().parse(cyclic).is_some());
        assert!(parse_whole(cyclic.as_bytes()).is_none());
        assert!(!super::super::Message::from_bytes(cyclic).safe_for_parsers());
    }

    proptest! {
        #[test]
        fn nothing_panics(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (text(&raw), mailboxes(&raw), message_ids(&raw), date(&raw));
            let _ = parameter(&Parameter { value: raw, extended: true });
        }

        #[test]
        fn no_date_panics(raw in "[A-Za-z0-9(),:+ -]{0,50}") {
            let _ = (date(raw.as_bytes()), zoned_date(raw.as_bytes()));
        }
    }
}
