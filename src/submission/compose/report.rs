//! Reports of abuse: RFC 5965, in a multipart/report of RFC 6522.

use crate::mail::{Address, ReversePath};
use crate::message::{Message, Summary};
use crate::submission::Content;
use crate::submission::compose::multipart::{end, header_part, original_header, part};
use crate::submission::compose::{Composer, Fields, ascii_form, date_of, unique};

/// What a report says, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// To whom.
    pub to: Address,
    /// What kind of report, such as `abuse` (RFC 5965 §3.1): one word.
    pub feedback_type: String,
    /// Words for a person.
    pub text: String,
    /// Whether only the header of the message goes along, and not all of it.
    pub headers_only: bool,
    /// MAIL FROM of the message.
    pub reverse_path: ReversePath,
    /// Whom it was for.
    pub recipient: Address,
}

impl Composer {
    /// A report about `original`, which lies in it as it came. Sent with the null reverse path.
    #[must_use]
    pub fn report(&self, report: &Report, original: &Message) -> Content {
        // RFC 2045 §6.4: what holds the parts is of the widest of their encodings.
        let encoding = match report.headers_only || is_seven_bit(original) {
            true => "7bit",
            false => "8bit",
        };
        let boundary = format!("=_{}", unique());
        let mut fields = self.fields_of_report(report, original);
        let content_type = format!("multipart/report; report-type=feedback-report; boundary=\"{boundary}\"");
        fields.plain("Content-Type", &content_type);
        fields.plain("Content-Transfer-Encoding", encoding);
        fields.end();
        part(&mut fields, &boundary);
        fields.text_body(&report.text);
        part(&mut fields, &boundary);
        self.feedback(&mut fields, report, original);
        part(&mut fields, &boundary);
        // RFC 5965 §2: the third part is the whole message, or its header.
        if report.headers_only {
            header_part(&mut fields, &original_header(original).unwrap_or_default(), false);
            fields.raw(&end(&boundary));
            return Content::new(fields.finish());
        }
        fields.plain("Content-Type", "message/rfc822");
        fields.plain("Content-Disposition", "attachment");
        fields.plain("Content-Transfer-Encoding", encoding);
        fields.end();
        Content::around(fields.finish(), original, end(&boundary))
    }

    fn fields_of_report(&self, report: &Report, original: &Message) -> Fields {
        let summary = Summary::of(original.header(), original.structure());
        // RFC 5965 §2: the subject is that of the message, with a prefix at most.
        let subject = format!("FW: {}", summary.subject);
        let to = [report.to.clone().into()];
        let mut fields = self.fields(&self.postmaster(), &to, &subject, "auto-generated (report)");
        fields.references(&summary);
        fields
    }

    // RFC 5965 §3.1, §3.2
    fn feedback(&self, fields: &mut Fields, report: &Report, original: &Message) {
        fields.plain("Content-Type", "message/feedback-report");
        fields.plain("Content-Transfer-Encoding", "7bit");
        fields.end();
        fields.plain("Feedback-Type", &report.feedback_type);
        fields.plain("User-Agent", concat!("postroom/", env!("CARGO_PKG_VERSION")));
        fields.plain("Version", "1");
        let sender = report.reverse_path.address().map(path).unwrap_or_default();
        fields.plain("Original-Mail-From", &format!("<{sender}>"));
        fields.plain("Original-Rcpt-To", &format!("<{}>", path(&report.recipient)));
        fields.plain("Arrival-Date", &date_of(original.received()));
        fields.plain("Reporting-MTA", &format!("dns; {}", self.hostname));
    }
}

// What cannot be read now cannot be sent later.
fn is_seven_bit(message: &Message) -> bool {
    Content::of(message, false).needs().is_ok_and(|needs| !needs.eight_bit)
}

// The fields of the second part are ASCII.
fn path(address: &Address) -> String {
    match address.is_ascii() {
        true => address.to_string(),
        false => ascii_form(&address.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use mail_parser::{MessageParser, MimeHeaders, PartType};

    use super::*;
    use crate::submission::compose::tests::{bytes, check, composer};

    fn report(headers_only: bool) -> Report {
        Report {
            to: Address::parse("abuse@example.net").unwrap(),
            feedback_type: "abuse".to_owned(),
            text: "Grüße,\n--=_ what slipped through".to_owned(),
            headers_only,
            reverse_path: ReversePath::Address(Address::parse("bob@example.com").unwrap()),
            recipient: Address::parse("ann@example.org").unwrap(),
        }
    }

    /// The text without the lines of somebody else, which are as long as they are.
    fn own_lines(written: &str, original: &str) -> String {
        if original.is_empty() {
            return written.to_owned();
        }
        written.replace(original, "A: b\r\n\r\nc\r\n")
    }

    #[test]
    fn the_whole_message_lies_in_it() {
        for original in [
            "From: bob@example.com\r\nSubject: Gr\r\n\r\n.\r\n--=_x\r\nlast\r\n",
            "Subject: =?utf-8?Q?Gr=C3=BC=0D=0ABcc:_x@y?=\r\nMessage-ID: <1@example.com>\r\n\r\nno end",
            "Subject: 8\r\n\r\nGrüße\r\n",
            "\r\nno header\r\n",
            "",
        ] {
            let written = bytes(&composer().report(&report(false), &Message::from_bytes(original)));
            check(&own_lines(&written, original));
            let header = written.split("\r\n\r\n").next().unwrap();
            let eight_bit = header.contains("\r\nContent-Transfer-Encoding: 8bit");
            assert_eq!(eight_bit, !original.is_ascii(), "{written}");
            assert!(
                !header.contains("\r\nBcc") && header.contains("\r\nSubject: "),
                "{written}"
            );
            assert!(
                header.contains("\r\nAuto-Submitted: auto-generated (report)\r\n"),
                "{written}"
            );
            let parsed = MessageParser::new().parse(written.as_bytes()).unwrap();
            let kinds: Vec<_> = parsed.parts.iter().filter_map(|part| part.content_type()).collect();
            let kinds: Vec<_> = kinds
                .iter()
                .map(|kind| (kind.ctype(), kind.subtype().unwrap()))
                .collect();
            let expected = [
                ("multipart", "report"),
                ("text", "plain"),
                ("message", "feedback-report"),
                ("message", "rfc822"),
            ];
            assert_eq!(kinds, expected, "{written}");
            let (_, rest) = written.split_once("\r\nContent-Type: message/rfc822\r\n").unwrap();
            let (_, held) = rest.split_once("\r\n\r\n").unwrap();
            let boundary = held.rfind("\r\n--=_").unwrap();
            assert_eq!(&held[..boundary], original, "{written}");
        }
    }

    #[test]
    fn or_its_header_alone() {
        let original = "Subject: Grüße\r\nTo: ann@example.org\r\n\r\nsecret\r\n";
        let written = bytes(&composer().report(&report(true), &Message::from_bytes(original)));
        check(&written);
        assert!(written.is_ascii() && !written.contains("secret"), "{written}");
        let parsed = MessageParser::new().parse(written.as_bytes()).unwrap();
        let last = parsed.parts.last().unwrap();
        assert_eq!(last.content_type().unwrap().subtype(), Some("rfc822-headers"));
        let PartType::Text(text) = &last.body else {
            panic!("{written}")
        };
        assert_eq!(text.trim_end(), "Subject: Grüße\r\nTo: ann@example.org", "{written}");
    }

    #[test]
    fn the_fields_for_machines() {
        for (reverse_path, expected) in [
            (ReversePath::Null, "<>"),
            (
                ReversePath::Address(Address::parse("jörg@example.com").unwrap()),
                "<j\\x{F6}rg@example.com>",
            ),
        ] {
            let report = Report {
                reverse_path,
                feedback_type: "not-spam".to_owned(),
                ..report(true)
            };
            let original = Message::from_bytes("Subject: x\r\n\r\n");
            let written = bytes(&composer().report(&report, &original));
            let (_, rest) = written
                .split_once("\r\nContent-Type: message/feedback-report\r\n")
                .unwrap();
            let fields = rest.split("\r\n\r\n").nth(1).unwrap();
            let names: Vec<_> = fields.lines().filter_map(|line| line.split(": ").next()).collect();
            let all = [
                "Feedback-Type",
                "User-Agent",
                "Version",
                "Original-Mail-From",
                "Original-Rcpt-To",
                "Arrival-Date",
                "Reporting-MTA",
            ];
            assert_eq!(names, all, "{written}");
            for line in [
                "Feedback-Type: not-spam",
                "Version: 1",
                &format!("Original-Mail-From: {expected}"),
                "Original-Rcpt-To: <ann@example.org>",
                "Reporting-MTA: dns; mx.example.org",
            ] {
                assert!(fields.lines().any(|field| field == line), "no {line} in {written}");
            }
        }
    }
}
