//! The mail that postroom writes itself: replies, notices, notifications, reports, bounces.
//!
//! Whatever came from outside (a subject, a name, a script's text) is encoded or dropped, so that
//! nothing in it can become a header field. Everything sent says that no person sent it
//! (Auto-Submitted, RFC 3834 §5), so that no other machine answers.

mod field;
mod mailto;
mod multipart;
mod named_address;
mod notification;
mod report;
mod status;
mod text;
mod vacation;

use std::fmt::Write as _;
use std::time::SystemTime;

use jiff::Zoned;
use ring::rand::{SecureRandom, SystemRandom};

use crate::mail::{Address, DeliveryId};
use crate::submission::Content;

use field::Fields;
pub(super) use field::ascii_form;
pub use named_address::NamedAddress;
pub use notification::Notification;
pub use report::Report;
pub use status::{Status, StatusAction};
pub use vacation::Vacation;

/// Writes mail in this site's name.
#[derive(Clone, Debug)]
pub struct Composer {
    hostname: String,
    notices_from: Address,
}

impl Composer {
    /// A writer. Characters that no host name has are dropped from `hostname`.
    #[must_use]
    pub fn new(hostname: &str, notices_from: Address) -> Composer {
        let kept = |c: &char| c.is_ascii_alphanumeric() || ".-_[]:".contains(*c);
        let hostname: String = hostname.chars().filter(kept).collect();
        Composer {
            hostname: if hostname.is_empty() {
                "localhost".to_owned()
            } else {
                hostname
            },
            notices_from,
        }
    }

    /// Our own name.
    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// A few words of the house to `to`, such as that a filter failed. Sent with the null
    /// reverse path.
    #[must_use]
    pub fn notice(&self, to: &Address, subject: &str, text: &str) -> Content {
        let mut fields = self.fields(&self.postmaster(), &[to.clone().into()], subject, "auto-generated");
        fields.text_body(text);
        Content::new(fields.finish())
    }

    /// The fields that all our mail begins with.
    fn fields(&self, from: &NamedAddress, to: &[NamedAddress], subject: &str, auto_submitted: &str) -> Fields {
        let mut fields = Fields::new(&self.hostname);
        fields.addresses("From", std::slice::from_ref(from));
        fields.addresses("To", to);
        fields.text("Subject", subject);
        fields.plain("Date", &date());
        fields.plain("Message-ID", &format!("<{}@{}>", unique(), self.hostname));
        fields.plain("Auto-Submitted", auto_submitted);
        fields.plain("MIME-Version", "1.0");
        fields
    }

    fn postmaster(&self) -> NamedAddress {
        NamedAddress {
            name: "Mail Delivery System".to_owned(),
            address: self.notices_from.clone(),
        }
    }
}

fn date() -> String {
    date_of(SystemTime::now())
}

// RFC 5322 §3.3. A clock outside of the years that it can write gives the first of 1970.
fn date_of(time: SystemTime) -> String {
    let zoned = Zoned::try_from(time).ok();
    let written = zoned.and_then(|zoned| jiff::fmt::rfc2822::to_string(&zoned).ok());
    written.unwrap_or_else(|| "Thu, 01 Jan 1970 00:00:00 +0000".to_owned())
}

/// What nobody can guess or give again: for Message-ID and boundaries.
fn unique() -> String {
    let mut random = [0; 8];
    let mut text = format!("{}.", DeliveryId::new());
    // The id alone is unique; without the system's randomness it can only be guessed.
    let _ = SystemRandom::new().fill(&mut random);
    for byte in random {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Read;

    use mail_parser::{MessageParser, MimeHeaders};

    use super::*;

    pub(in crate::submission) fn composer() -> Composer {
        Composer::new("mx.example.org", Address::parse("postmaster@example.org").unwrap())
    }

    pub(in crate::submission) fn bytes(content: &Content) -> String {
        let mut bytes = String::new();
        content.reader().read_to_string(&mut bytes).unwrap();
        bytes
    }

    /// What holds for all generated mail: fields, short CRLF lines, nothing lone.
    pub(in crate::submission) fn check(text: &str) {
        let parsed = MessageParser::new().parse(text.as_bytes()).unwrap();
        assert!(parsed.date().is_some() && parsed.message_id().is_some(), "{text}");
        for name in [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "Auto-Submitted",
            "MIME-Version",
        ] {
            let field = format!("{name}: ").to_lowercase();
            let header = text.split("\r\n\r\n").next().unwrap().to_lowercase();
            let count = header.split("\r\n").filter(|line| line.starts_with(&field)).count();
            assert_eq!(count, 1, "{name} in {text}");
        }
        assert!(text.ends_with("\r\n"));
        let lines = text.strip_suffix("\r\n").unwrap().split("\r\n");
        for line in lines {
            assert!(line.len() <= 78 && !line.contains(['\r', '\n', '\0']), "{line:?}");
        }
    }

    #[test]
    fn a_notice_is_read_as_written() {
        let to = Address::parse("ann@example.org").unwrap();
        for (subject, text) in [
            (
                "Your filter failed",
                "Line 3: no such thing\n.\nFrom here on, all was kept.",
            ),
            (
                "Ihr Filter ist mißraten: Zeile drei, und noch viel mehr davon",
                "Grüße = \"x\" \n\n",
            ),
            ("a\r\nBcc: bob@example.org\r\n\r\nbody", "a\r\nb\rc\0d\n"),
            ("", ""),
            ("=?utf-8?Q?looks_encoded?=", "x"),
            (&"long ".repeat(80), &"y".repeat(3000)),
            (&"W".repeat(300), &"ä".repeat(300)),
        ] {
            let content = composer().notice(&to, subject, text);
            let written = bytes(&content);
            check(&written);
            let parsed = MessageParser::new().parse(written.as_bytes()).unwrap();
            let expected = subject.replace(char::is_control, " ");
            let expected: Vec<_> = expected.split_whitespace().collect();
            let found: Vec<_> = parsed.subject().unwrap_or_default().split_whitespace().collect();
            assert_eq!(found, expected, "{written}");
            assert!(
                parsed.header_raw("Bcc").is_none() && parsed.bcc().is_none(),
                "{written}"
            );
            let body = parsed.body_text(0).unwrap_or_default().replace("\r\n", "\n");
            let expected = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
            assert_eq!(body.trim_end(), expected.trim_end(), "{written}");
            assert_eq!(parsed.content_type().unwrap().ctype(), "text");
            assert!(!content.needs().unwrap().eight_bit);
        }
    }

    #[test]
    fn a_host_name_cannot_break_a_field() {
        let composer = Composer::new("mx\r\nBcc: x@y", Address::parse("a@b").unwrap());
        assert_eq!(composer.hostname(), "mxBcc:xy");
        assert_eq!(
            Composer::new("ö\n", Address::parse("a@b").unwrap()).hostname(),
            "localhost"
        );
    }
}
