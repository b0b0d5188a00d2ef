//! Delivery status notifications: RFC 3464 in RFC 6522, RFC 6533 for addresses beyond ASCII.

use std::io::Read;

use crate::mail::{Address, MessageDsn, ReversePath};
use crate::message::{Message, Summary};
use crate::submission::Content;
use crate::submission::compose::multipart::{end, header_part, original_header, part};
use crate::submission::compose::{Composer, Fields, ascii_form, date, unique};

/// Bytes of a message that is given back whole; of a larger one its header comes back (RFC 3461 §4.3).
const MESSAGE_MAX: u64 = 256 * 1024;
/// Characters kept of a diagnostic.
const DIAGNOSTIC_MAX: usize = 900;

/// What became of the message for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// RCPT TO.
    pub recipient: Address,
    /// The address before aliases, where known.
    pub original: Option<Address>,
    /// The recipient as the sender wrote it (RFC 3464 §2.3.1), as [`crate::mail::RecipientDsn::orcpt`].
    pub orcpt: Option<String>,
    /// What was done.
    pub action: StatusAction,
    /// The enhanced status code, such as `5.2.2` (RFC 3463).
    pub status: String,
    /// The reply as SMTP would have given it, such as `552 5.2.2 The mailbox is full`; empty: none.
    pub diagnostic: String,
    /// Words for the sender: why, and for a rejected message the script's reason.
    pub explanation: String,
}

/// Action (RFC 3464 §2.3.3); of the delayed and the expanded only an MTA can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusAction {
    /// It will not be delivered.
    Failed,
    /// It is delivered.
    Delivered,
    /// It was handed to a system that does not tell what becomes of it.
    Relayed,
}

impl StatusAction {
    fn as_str(self) -> &'static str {
        match self {
            StatusAction::Failed => "failed",
            StatusAction::Delivered => "delivered",
            StatusAction::Relayed => "relayed",
        }
    }
}

impl Composer {
    /// Tells the sender what became of `original`, all of `recipients` alike: the bounce of a message that was
    /// refused or rejected (RFC 5429 §2.1), or that it was delivered. Sent with the null reverse path to
    /// `reverse_path`.
    ///
    /// None for the null reverse path, which is never answered (RFC 5321 §6.1), and where
    /// there is nothing to tell.
    #[must_use]
    pub fn delivery_status(
        &self,
        (reverse_path, dsn): (&ReversePath, &MessageDsn),
        recipients: &[Status],
        original: &Message,
    ) -> Option<Content> {
        let sender = reverse_path.address()?;
        let action = recipients.first()?.action;
        // RFC 6533 §3: a sender with an ASCII address may read his mail where nothing but ASCII
        // arrives; one with another address cannot.
        let global = !sender.is_ascii();
        let boundary = format!("=_{}", unique());
        let mut fields = self.report_fields(action, sender, original, &boundary);
        part(&mut fields, &boundary);
        fields.text_body(&self.explanation(action, recipients));
        part(&mut fields, &boundary);
        self.machine_part(&mut fields, dsn, recipients, global);
        // RFC 3461 §4.3: RET is for notifications of failure.
        let wanted = action == StatusAction::Failed && dsn.wants_all_back();
        if let Some(whole) = wanted.then(|| whole(original)).flatten() {
            part(&mut fields, &boundary);
            message_part(&mut fields, &whole);
        } else if let Some(header) = original_header(original) {
            part(&mut fields, &boundary);
            header_part(&mut fields, &header, global);
        }
        fields.raw(&end(&boundary));
        Some(Content::new(fields.finish()))
    }

    fn report_fields(&self, action: StatusAction, sender: &Address, original: &Message, boundary: &str) -> Fields {
        let subject = match action {
            StatusAction::Failed => "Your message could not be delivered",
            StatusAction::Delivered => "Your message was delivered",
            StatusAction::Relayed => "Your message was sent on",
        };
        let mut fields = self.fields(&self.postmaster(), &[sender.clone().into()], subject, "auto-replied");
        fields.thread(&Summary::of(original.header(), original.structure()));
        let content_type = format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\"");
        fields.plain("Content-Type", &content_type);
        fields.end();
        fields
    }

    fn explanation(&self, action: StatusAction, recipients: &[Status]) -> String {
        let what = match action {
            StatusAction::Failed => "was not delivered to the following recipients; nobody will try again.",
            StatusAction::Delivered => "was delivered to the following recipients, as you asked to be told.",
            StatusAction::Relayed => {
                "was sent on for the following recipients, to a mail system that does not tell\n\
                 what becomes of it. You asked to be told of its delivery; this is all there is to tell."
            }
        };
        let mut words = format!("This is the mail system at {}.\n\nYour message {what}\n", self.hostname);
        for status in recipients {
            let address = status.original.as_ref().unwrap_or(&status.recipient);
            words.push_str(&format!("\n<{address}>\n"));
            for line in status.explanation.lines() {
                words.push_str(&format!("    {line}\n"));
            }
        }
        words
    }

    // RFC 3464 §2: the fields of the message, then those of each recipient, empty lines between.
    fn machine_part(&self, fields: &mut Fields, dsn: &MessageDsn, recipients: &[Status], global: bool) {
        let (kind, encoding) = match global {
            true => ("message/global-delivery-status", "8bit"),
            false => ("message/delivery-status", "7bit"),
        };
        fields.plain("Content-Type", kind);
        fields.plain("Content-Transfer-Encoding", encoding);
        fields.end();
        if let Some(envid) = &dsn.envid {
            fields.plain("Original-Envelope-Id", &diagnostic(envid, global));
        }
        fields.plain("Reporting-MTA", &format!("dns; {}", self.hostname));
        fields.plain("Arrival-Date", &date());
        for recipient in recipients {
            fields.end();
            if let Some(original) = original_recipient(recipient, global) {
                fields.plain("Original-Recipient", &original);
            }
            fields.plain("Final-Recipient", &typed_address(&recipient.recipient, global));
            fields.plain("Action", recipient.action.as_str());
            fields.plain("Status", &status(&recipient.status, recipient.action));
            if !recipient.diagnostic.is_empty() {
                let diagnostic = diagnostic(&recipient.diagnostic, global);
                fields.plain("Diagnostic-Code", &format!("smtp; {diagnostic}"));
            }
        }
    }
}

// RFC 3464 §2.3.2; RFC 6533 §3 for the type utf-8.
fn typed_address(address: &Address, global: bool) -> String {
    match (address.is_ascii(), global) {
        (true, _) => format!("rfc822; {address}"),
        (false, true) => format!("utf-8; {address}"),
        (false, false) => format!("utf-8; {}", ascii_form(&address.to_string())),
    }
}

// RFC 3464 §2.3.1: as it was given with ORCPT, even where that is no address of mail.
fn original_recipient(status: &Status, global: bool) -> Option<String> {
    if let Some(original) = &status.original {
        return Some(typed_address(original, global));
    }
    let (kind, address) = status.orcpt.as_deref()?.split_once(';')?;
    let legible = |c: char| if c.is_ascii() || global { c } else { '?' };
    Some(format!("{kind}; {}", address.chars().map(legible).collect::<String>()))
}

// RFC 3464 §2.3.4, RFC 3463 §2: three numbers. Anything else would make the field unreadable.
fn status(status: &str, action: StatusAction) -> String {
    let class = if action == StatusAction::Failed { "5" } else { "2" };
    let numbers: Vec<_> = status.split('.').collect();
    let is_number = |text: &&str| (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let valid = numbers.len() == 3 && numbers.iter().all(is_number) && numbers[0] == class;
    if valid {
        status.to_owned()
    } else {
        format!("{class}.0.0")
    }
}

fn diagnostic(text: &str, global: bool) -> String {
    let legible = |c: char| if c.is_ascii() || global { c } else { '?' };
    // A word longer than a line may be could not be folded.
    let words = text
        .split_whitespace()
        .map(|word| word.chars().take(200).map(legible).collect::<String>());
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars().take(DIAGNOSTIC_MAX).collect()
}

/// The message, where it is not too large to go back and can be read.
fn whole(original: &Message) -> Option<Vec<u8>> {
    if original.size() > MESSAGE_MAX {
        return None;
    }
    let mut bytes = Vec::new();
    original.reader().read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

// RFC 2046 §5.2.1: a message in a message is encoded in no other way.
fn message_part(fields: &mut Fields, message: &[u8]) {
    fields.plain("Content-Type", "message/rfc822");
    fields.plain(
        "Content-Transfer-Encoding",
        if message.is_ascii() { "7bit" } else { "8bit" },
    );
    fields.end();
    fields.raw(message);
}

#[cfg(test)]
mod tests {
    use mail_parser::{MessageParser, MimeHeaders, PartType};

    use super::*;
    use crate::submission::compose::multipart::HEADER_MAX;
    use crate::submission::compose::tests::{bytes, check, composer};

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn failure(recipient: &str) -> Status {
        Status {
            recipient: address(recipient),
            original: None,
            orcpt: None,
            action: StatusAction::Failed,
            status: "5.7.1".to_owned(),
            diagnostic: "550 5.7.1 Größe\r\nBcc: x@y".to_owned(),
            explanation: "The recipient refuses it:\r\nnot on a Sunday".to_owned(),
        }
    }

    fn report(sender: &str, failures: &[Status], original: &[u8]) -> String {
        report_with(&MessageDsn::default(), sender, failures, original)
    }

    fn report_with(dsn: &MessageDsn, sender: &str, failures: &[Status], original: &[u8]) -> String {
        let sender = ReversePath::Address(address(sender));
        let original = Message::from_bytes(original);
        let content = composer().delivery_status((&sender, dsn), failures, &original).unwrap();
        bytes(&content)
    }

    fn parts(report: &str) -> Vec<(String, String)> {
        let message = MessageParser::new().parse(report.as_bytes()).unwrap();
        let part = |part: &mail_parser::MessagePart| {
            let kind = part.content_type().unwrap();
            let kind = format!("{}/{}", kind.ctype(), kind.subtype().unwrap());
            let body = match &part.body {
                PartType::Text(text) => text.to_string(),
                _ => String::from_utf8_lossy(part.contents()).into_owned(),
            };
            (kind, body)
        };
        message.parts.iter().map(part).collect()
    }

    #[test]
    fn the_null_reverse_path_is_never_answered() {
        let original = Message::from_bytes("A: b\r\n\r\n".as_bytes());
        assert!(
            composer()
                .delivery_status(
                    (&ReversePath::Null, &MessageDsn::default()),
                    &[failure("a@b")],
                    &original
                )
                .is_none()
        );
        let sender = ReversePath::Address(address("a@b"));
        assert!(
            composer()
                .delivery_status((&sender, &MessageDsn::default()), &[], &original)
                .is_none()
        );
    }

    #[test]
    fn a_report_has_three_parts() {
        let mut second = failure("jörg@example.org");
        second.original = Some(address("info@example.org"));
        second.status = "5.2.2\r\nX: y".to_owned();
        let original = "Message-ID: <1@example.com>\r\nSubject: Grüße\r\nTo: x\r\n\r\nsecret body\r\n";
        let report = report(
            "bob@example.com",
            &[failure("ann@example.org"), second],
            original.as_bytes(),
        );
        check(&report);
        assert!(report.is_ascii() && !report.contains("secret"), "{report}");
        assert!(report.contains("\r\nReferences: <1@example.com>\r\n"), "{report}");
        let parts = parts(&report);
        let kinds: Vec<_> = parts.iter().map(|part| part.0.as_str()).collect();
        let expected = [
            "multipart/report",
            "text/plain",
            "message/delivery-status",
            "text/rfc822-headers",
        ];
        assert_eq!(kinds, expected, "{report}");
        assert!(parts[1].1.contains("<ann@example.org>") && parts[1].1.contains("not on a Sunday"));
        assert!(parts[1].1.contains("<info@example.org>"));
        let groups: Vec<_> = parts[2].1.trim_end().split("\r\n\r\n").collect();
        assert_eq!(groups.len(), 3, "{report}");
        assert!(groups[0].starts_with("Reporting-MTA: dns; mx.example.org\r\n"));
        assert_eq!(
            groups[1],
            "Final-Recipient: rfc822; ann@example.org\r\nAction: failed\r\nStatus: 5.7.1\r\n\
             Diagnostic-Code: smtp; 550 5.7.1 Gr??e Bcc: x@y"
        );
        assert_eq!(
            groups[2],
            "Original-Recipient: rfc822; info@example.org\r\n\
             Final-Recipient: utf-8; j\\x{F6}rg@example.org\r\nAction: failed\r\nStatus: 5.0.0\r\n\
             Diagnostic-Code: smtp; 550 5.7.1 Gr??e Bcc: x@y"
        );
        assert!(parts[3].1.contains("Subject: Grüße"), "{report}");
    }

    #[test]
    fn an_international_sender_gets_an_international_report() {
        let original = "Subject: Grüße\n\nx\n".as_bytes();
        let report = report("jörg@exämple.com", &[failure("änn@example.org")], original);
        let kinds: Vec<_> = parts(&report).into_iter().map(|part| part.0).collect();
        assert_eq!(kinds[2..], ["message/global-delivery-status", "message/global-headers"]);
        assert!(
            report.contains("\r\nFinal-Recipient: utf-8; änn@example.org\r\n"),
            "{report}"
        );
        assert!(Content::new(report.into_bytes()).needs().unwrap().smtputf8);
    }

    #[test]
    fn the_original_header_is_bounded() {
        let long = format!("A: b\r\n{}", "B: c\r\n".repeat(20_000));
        for (original, lines) in [
            (b"".as_slice(), Some(0)),
            (b"\r\nbody", Some(0)),
            (b"A: b\r\nC: \xff\xfe\r\n\r\nx", Some(2)),
            (b"A: b\n--=_x\n\nx", Some(2)),
            (long.as_bytes(), None),
        ] {
            let message = Message::from_bytes(original);
            let header = original_header(&message).unwrap();
            assert!(header.len() <= HEADER_MAX);
            let found = header.iter().filter(|byte| **byte == b'\n').count();
            assert!(lines.is_none_or(|lines| lines == found), "{header:?}");
            assert_eq!(parts(&report("a@b", &[failure("a@b")], original)).len(), 4);
        }
    }

    #[test]
    fn a_sender_hears_what_he_asked_for() {
        let dsn = MessageDsn {
            ret: Some(crate::mail::Ret::Full),
            envid: Some("QQ 1".to_owned()),
        };
        let mut recipient = failure("ann@example.org");
        recipient.orcpt = Some("x400;/S=ann/".to_owned());
        let original = "Subject: x\r\n\r\nthe body\r\n".as_bytes();
        let bounced = report_with(&dsn, "bob@example.com", &[recipient.clone()], original);
        check(&bounced);
        assert!(
            bounced.contains("\r\nOriginal-Envelope-Id: QQ 1\r\nReporting-MTA:"),
            "{bounced}"
        );
        assert!(
            bounced.contains("\r\nOriginal-Recipient: x400; /S=ann/\r\n"),
            "{bounced}"
        );
        assert!(
            bounced.contains("message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: x\r\n\r\nthe body\r\n"),
            "{bounced}"
        );
        let large = [original, &b"x".repeat(300 * 1024)].concat();
        let bounced = report_with(&dsn, "bob@example.com", &[recipient.clone()], &large);
        assert!(
            bounced.contains("text/rfc822-headers") && bounced.len() < 4096,
            "{bounced}"
        );
        (recipient.action, recipient.diagnostic) = (StatusAction::Delivered, String::new());
        recipient.status = "2.1.5".to_owned();
        let told = report_with(&dsn, "bob@example.com", &[recipient], original);
        check(&told);
        assert!(told.contains("\r\nAction: delivered\r\nStatus: 2.1.5\r\n"), "{told}");
        assert!(
            told.contains("text/rfc822-headers") && !told.contains("Diagnostic-Code"),
            "{told}"
        );
        assert!(told.contains("Subject: Your message was delivered"), "{told}");
    }

    #[test]
    fn statuses() {
        for (given, written) in [
            ("5.2.2", "5.2.2"),
            ("5.7.100", "5.7.100"),
            ("4.2.2", "5.0.0"),
            ("5.2", "5.0.0"),
            ("5.x.2", "5.0.0"),
            ("", "5.0.0"),
        ] {
            assert_eq!(status(given, StatusAction::Failed), written);
        }
    }
}
