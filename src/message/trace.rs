//! The trace fields that postroom puts before a message: RFC 5321 §4.4.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::mail::{Address, Client, DeliveryId, Protocol, ReversePath};

/// Columns of a line, where it can be folded (RFC 5322 §2.1.1).
const COLUMNS: usize = 78;
/// Bytes of a line that are never exceeded (RFC 5322 §2.1.1).
const LINE_MAX: usize = 998;

/// What is written before a message.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Return-Path: the sender of the envelope.
    pub return_path: ReversePath,
    /// Our Received field.
    pub received: Option<Received>,
    /// X-Original-To: the recipient before aliases.
    pub original_to: Option<Address>,
    /// Delivered-To: the recipient.
    pub delivered_to: Option<Address>,
    /// Other fields, name and value. One whose name is no field name is left out.
    pub extra: Vec<(String, String)>,
}

/// What the Received field says.
#[derive(Clone, Debug)]
pub struct Received {
    /// Who handed the message over.
    pub client: Client,
    /// Our name.
    pub hostname: String,
    /// The name of the delivery.
    pub id: DeliveryId,
    /// The recipient; only where there is no other one.
    pub recipient: Option<Address>,
    /// When it was received.
    pub time: SystemTime,
}

impl Trace {
    /// The fields, lines ending in CRLF: Return-Path, Delivered-To, X-Original-To, Received, others.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut fields = Fields::default();
        // RFC 5321 §4.4: return-path-line stands first.
        fields.add("Return-Path", &[&format!("<{}>", self.return_path)]);
        for (name, address) in [
            ("Delivered-To", &self.delivered_to),
            ("X-Original-To", &self.original_to),
        ] {
            if let Some(address) = address {
                fields.add(name, &[&address.to_string()]);
            }
        }
        if let Some(received) = &self.received {
            received.add_to(&mut fields);
        }
        for (name, value) in &self.extra {
            if is_field_name(name) {
                fields.add(name, &[value]);
            }
        }
        fields.0.into_bytes()
    }
}

impl Received {
    /// The field alone, lines ending in CRLF.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut fields = Fields::default();
        self.add_to(&mut fields);
        fields.0.into_bytes()
    }

    fn add_to(&self, fields: &mut Fields) {
        let lines = self.lines();
        fields.add("Received", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    }

    // RFC 5321 §4.4: Time-stamp-line = "Received:" FWS Stamp; from, by, with, id and for in this order.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let pipe = self.client.protocol == Protocol::Pipe;
        if !pipe {
            lines.extend(self.from());
        }
        let mut by = format!("by {} (postroom)", domain(&self.hostname));
        if !pipe {
            // Writing to a string cannot fail.
            let _ = write!(by, " with {}", self.client.protocol);
        }
        lines.push(format!("{by} id {}", self.id));
        if let Some(recipient) = &self.recipient {
            lines.push(format!("for <{recipient}>"));
        }
        // RFC 8314 §7.4: the cipher suite is a clause of its own.
        if let Some(tls) = &self.client.tls {
            lines.push(format!("tls {}", domain(&tls.cipher)));
        }
        if let Some(last) = lines.last_mut() {
            last.push(';');
        }
        lines.push(date(self.time));
        lines
    }

    // Extended-Domain = Domain / ( Domain FWS "(" TCP-info ")" ) / ( address-literal FWS "(" TCP-info ")" )
    fn from(&self) -> Option<String> {
        let literal = self.client.address.map(|address| match address {
            IpAddr::V4(address) => format!("[{address}]"),
            IpAddr::V6(address) => format!("[IPv6:{address}]"),
        });
        let helo = (!self.client.helo.is_empty()).then(|| domain(&self.client.helo));
        match (helo, literal) {
            (Some(helo), Some(literal)) => Some(format!("from {helo} ({literal})")),
            (Some(only), None) | (None, Some(only)) => Some(format!("from {only}")),
            (None, None) => None,
        }
    }
}

/// The date and time as RFC 5322 §3.3 writes it, at the local offset.
fn date(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let local = time.to_zoned(TimeZone::system());
    local.strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
}

// A name the client gave may be anything: what could end the word or begin a comment goes.
fn domain(name: &str) -> String {
    let harmless = |c: char| !c.is_control() && !c.is_whitespace() && !"()<>;\\\",".contains(c);
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    if name.len() <= 255 && name.bytes().all(usual) {
        return name.to_owned();
    }
    name.chars()
        .take(255)
        .map(|c| if harmless(c) { c } else { '?' })
        .collect()
}

// RFC 5322 §3.6.8
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
}

#[derive(Default)]
struct Fields(String);

impl Fields {
    /// Adds a field whose lines may be folded further at spaces.
    fn add(&mut self, name: &str, lines: &[&str]) {
        self.0.push_str(name);
        self.0.push(':');
        let mut column = name.len() + 1;
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                self.fold(&mut column);
            }
            // A value cannot begin a new line of its own: control characters become spaces.
            for word in line
                .split(|c: char| c == ' ' || c.is_control())
                .filter(|word| !word.is_empty())
            {
                self.word(word, &mut column);
            }
        }
        self.0.push_str("\r\n");
    }

    fn word(&mut self, word: &str, column: &mut usize) {
        let folded = self.0.ends_with('\t');
        let first = self.0.ends_with(':');
        if !folded && !first && *column + 1 + word.len() > COLUMNS {
            self.fold(column);
        } else if !folded {
            self.0.push(' ');
            *column += 1;
        }
        let mut rest = word;
        while *column + rest.len() > LINE_MAX {
            let end = rest.floor_char_boundary(LINE_MAX - *column);
            self.0.push_str(&rest[..end]);
            rest = &rest[end..];
            self.fold(column);
        }
        self.0.push_str(rest);
        *column += rest.len();
    }

    fn fold(&mut self, column: &mut usize) {
        self.0.push_str("\r\n\t");
        *column = 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn trace(helo: &str, address: Option<&str>, protocol: Protocol) -> Trace {
        Trace {
            return_path: ReversePath::Address("ann@example.org".parse().unwrap()),
            received: Some(Received {
                client: Client::new(helo, address.map(|address| address.parse().unwrap()), protocol),
                hostname: "mx.example.org".to_owned(),
                id: DeliveryId::from_stored("01ABC").unwrap(),
                recipient: Some("bob@example.org".parse().unwrap()),
                time: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            }),
            original_to: Some("b@example.org".parse().unwrap()),
            delivered_to: Some("bob@example.org".parse().unwrap()),
            extra: Vec::new(),
        }
    }

    fn written(trace: &Trace) -> String {
        String::from_utf8(trace.to_bytes()).unwrap()
    }

    #[test]
    fn writes_the_fields() {
        let stamp = date(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        assert_eq!(
            written(&trace("a.example.org", Some("192.0.2.1"), Protocol::Lmtp)),
            format!(
                "Return-Path: <ann@example.org>\r\nDelivered-To: bob@example.org\r\nX-Original-To: b@example.org\r\n\
                 Received: from a.example.org ([192.0.2.1])\r\n\tby mx.example.org (postroom) with LMTP id 01ABC\r\n\
                 \tfor <bob@example.org>;\r\n\t{stamp}\r\n"
            )
        );
        for (helo, address, protocol, expected) in [
            (
                "",
                None,
                Protocol::Pipe,
                "Received: by mx.example.org (postroom) id 01ABC\r\n",
            ),
            (
                "",
                None,
                Protocol::Lmtp,
                "Received: by mx.example.org (postroom) with LMTP id",
            ),
            (
                "a",
                None,
                Protocol::Esmtp,
                "Received: from a\r\n\tby mx.example.org (postroom) with ESMTP",
            ),
            ("", Some("::1"), Protocol::Smtp, "Received: from [IPv6:::1]\r\n\tby"),
            (
                "a)\r\nX: y",
                Some("::1"),
                Protocol::Smtp,
                "Received: from a???X:?y ([IPv6:::1])\r\n",
            ),
        ] {
            let written = written(&trace(helo, address, protocol));
            assert!(written.contains(expected), "{written}");
        }
    }

    #[test]
    fn dates_are_rfc_5322() {
        let stamp = date(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        assert_eq!(super::super::date(stamp.as_bytes()), Some(1_700_000_000), "{stamp}");
    }

    #[test]
    fn our_id_is_found_again() {
        let message = super::super::Message::from_bytes(trace("a", None, Protocol::Lmtp).to_bytes());
        let summary = super::super::Summary::of(message.header(), message.structure());
        assert_eq!(summary.delivery_id.as_deref(), Some("01ABC"));
    }

    #[test]
    fn the_null_path_and_no_recipient() {
        let mut trace = trace("a", None, Protocol::Lmtp);
        trace.return_path = ReversePath::Null;
        trace.received.as_mut().unwrap().recipient = None;
        let written = written(&trace);
        assert!(written.starts_with("Return-Path: <>\r\n"));
        assert!(written.contains(" id 01ABC;\r\n\t"));
    }

    proptest! {
        #[test]
        fn nothing_can_be_injected(name in "[a-zA-Z:\r\n -]{0,9}", value in any::<String>(), long in "x{0,2000}", helo in any::<String>()) {
            let mut trace = trace(&helo, None, Protocol::Lmtp);
            trace.extra = vec![(name.clone(), value), ("X-Long".to_owned(), long)];
            let written = written(&trace);
            let expected = 5 + usize::from(is_field_name(&name));
            let fields = written.split("\r\n").filter(|line| !line.is_empty() && !line.starts_with('\t'));
            prop_assert_eq!(fields.count(), expected);
            prop_assert!(!written.replace("\r\n", "").contains(['\r', '\n']));
            prop_assert!(written.split("\r\n").all(|line| line.len() <= LINE_MAX));
        }
    }
}
