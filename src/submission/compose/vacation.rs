//! Vacation replies: RFC 5230 §5.

use crate::message::{Message, Summary};
use crate::submission::Content;
use crate::submission::compose::{Composer, Fields, NamedAddress};

/// Ids that References repeats at most: the first and the latest.
const REFERENCES_MAX: usize = 30;
/// Octets of a line of an entity (RFC 5322 §2.1.1).
const LINE_MAX: usize = 998;
/// Octets of a field of an entity, and of a word in it.
const FIELD_MAX: usize = 2000;
const WORD_MAX: usize = 500;

/// What a vacation reply says, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vacation {
    /// To whom: the reverse path of the message it answers (RFC 5230 §5.6).
    pub to: NamedAddress,
    /// The script's `:from`, or the user's own address (RFC 5230 §5.1).
    pub from: NamedAddress,
    /// The subject, decoded (RFC 5230 §5.5).
    pub subject: String,
    /// The text, or a MIME entity where `mime`.
    pub text: String,
    /// `:mime` (RFC 5230 §4.5).
    pub mime: bool,
}

impl Composer {
    /// The reply to `original`. Sent with the null reverse path (RFC 5230 §5.1).
    #[must_use]
    pub fn vacation(&self, reply: &Vacation, original: &Message) -> Content {
        // RFC 5230 §5.8; the comment says which machine's answer it is (RFC 3834 §5.1).
        let to = std::slice::from_ref(&reply.to);
        let mut fields = self.fields(&reply.from, to, &reply.subject, "auto-replied (vacation)");
        fields.thread(&Summary::of(original.header(), original.structure()));
        if reply.mime {
            entity(&mut fields, &reply.text);
        } else {
            fields.text_body(&reply.text);
        }
        Content::new(fields.finish())
    }
}

impl Fields {
    // RFC 5230 §5.8, RFC 5322 §3.6.4: the original's Message-ID, and its References (or its
    // In-Reply-To, if that is one id) before it.
    pub(super) fn thread(&mut self, original: &Summary) {
        self.ids("In-Reply-To", original.message_id.as_deref().into_iter());
        self.references(original);
    }

    pub(super) fn references(&mut self, original: &Summary) {
        let Some(id) = original.message_id.as_deref() else {
            return;
        };
        let mut earlier: Vec<&str> = original.references.iter().map(String::as_str).collect();
        if earlier.is_empty() {
            earlier.extend(original.in_reply_to.as_deref());
        }
        let dropped = earlier.len().saturating_sub(REFERENCES_MAX);
        earlier.drain(usize::from(dropped > 0)..(dropped + usize::from(dropped > 0)).min(earlier.len()));
        self.ids("References", earlier.into_iter().chain([id]));
    }
}

// RFC 5230 §4.5: a MIME entity, header and body. Only its Content fields are taken over, and
// those in ASCII: a script may describe its text, not address it.
fn entity(fields: &mut Fields, entity: &str) {
    let entity = entity
        .replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace('\0', "\u{fffd}");
    let (header, body) = match entity.strip_prefix('\n') {
        Some(body) => ("", body),
        None => entity.split_once("\n\n").unwrap_or((&entity, "")),
    };
    let unfolded = header.replace("\n ", " ").replace("\n\t", " ");
    let mut written: Vec<String> = Vec::new();
    for (name, value) in unfolded.split('\n').filter_map(|line| line.split_once(':')) {
        // RFC 2045 §3: each of them once.
        let known = |name: &str| written.iter().any(|known| known.eq_ignore_ascii_case(name));
        if is_content_field(name) && value.is_ascii() && fits(value) && !known(name) {
            written.push(name.to_owned());
            fields.plain(name, value);
        }
    }
    let has_encoding = written
        .iter()
        .any(|name| name.eq_ignore_ascii_case("Content-Transfer-Encoding"));
    if !has_encoding && !body.is_ascii() {
        fields.plain("Content-Transfer-Encoding", "8bit");
    }
    fields.end();
    for line in body.lines() {
        for piece in pieces(line) {
            fields.raw(piece.as_bytes());
            fields.raw(b"\r\n");
        }
    }
}

// What could not be folded into lines of RFC 5322 §2.1.1, or describes no text.
fn fits(value: &str) -> bool {
    value.len() <= FIELD_MAX && value.split_whitespace().all(|word| word.len() <= WORD_MAX)
}

// RFC 5321 §4.5.3.1.6: a server may refuse a longer line, or cut it anywhere.
fn pieces(line: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), line);
    while rest.len() > LINE_MAX {
        let (piece, more) = rest.split_at(rest.floor_char_boundary(LINE_MAX));
        pieces.push(piece);
        rest = more;
    }
    pieces.push(rest);
    pieces
}

fn is_content_field(name: &str) -> bool {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    name.get(..8)
        .is_some_and(|start| start.eq_ignore_ascii_case("Content-"))
        && name.bytes().all(is_name)
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;
    use crate::mail::Address;
    use crate::submission::compose::tests::{bytes, check, composer};

    const ORIGINAL: &str = "Message-ID: <3@example.com>\r\nReferences: <1@example.com>\r\n <2@example.com>\r\n\
        Subject: hello\r\n\r\nx\r\n";

    fn vacation(text: &str, mime: bool) -> Vacation {
        Vacation {
            to: Address::parse("bob@example.com").unwrap().into(),
            from: NamedAddress::parse("Änn <ann@example.org>").unwrap(),
            subject: "Auto: hello\r\nBcc: x@example.org".to_owned(),
            text: text.to_owned(),
            mime,
        }
    }

    #[test]
    fn a_reply_joins_the_thread() {
        let original = Message::from_bytes(ORIGINAL.as_bytes());
        let written = bytes(&composer().vacation(&vacation("Grüße\nAnn", false), &original));
        check(&written);
        assert!(written.contains("\r\nIn-Reply-To: <3@example.com>\r\n"), "{written}");
        let references = "\r\nReferences: <1@example.com> <2@example.com> <3@example.com>\r\n";
        assert!(written.contains(references), "{written}");
        assert!(
            written.contains("\r\nAuto-Submitted: auto-replied (vacation)\r\n"),
            "{written}"
        );
        let parsed = MessageParser::new().parse(written.as_bytes()).unwrap();
        assert_eq!(parsed.body_text(0).unwrap().trim_end(), "Grüße\r\nAnn");
        assert_eq!(parsed.from().unwrap().first().unwrap().name(), Some("Änn"));
        assert!(parsed.bcc().is_none());
    }

    #[test]
    fn long_references_keep_the_first_and_the_latest() {
        let ids: String = (0..60).map(|n| format!(" <{n}@x>\r\n")).collect();
        let original = Message::from_bytes(format!("Message-ID: <m@x>\r\nReferences:{ids}\r\nx\r\n").into_bytes());
        let written = bytes(&composer().vacation(&vacation("", false), &original));
        check(&written);
        let all: Vec<_> = written
            .split_whitespace()
            .filter(|word| word.ends_with("@x>"))
            .collect();
        assert_eq!(all[1], "<0@x>", "{written}");
        assert!(
            all.len() <= REFERENCES_MAX + 2 && all.ends_with(&["<59@x>", "<m@x>"]),
            "{written}"
        );
    }

    #[test]
    fn an_entity_is_bounded() {
        let original = Message::from_bytes("\r\nx\r\n".as_bytes());
        let long = "ä".repeat(2000);
        let text = format!(
            "Content-Type: text/plain; charset=utf-8\ncontent-type: text/html\nContent-Description: {}\n\n{long}\nend",
            "x".repeat(501)
        );
        let written = bytes(&composer().vacation(&vacation(&text, true), &original));
        assert!(written.split("\r\n").all(|line| line.len() <= LINE_MAX), "{written}");
        assert_eq!(written.to_lowercase().matches("content-type:").count(), 1, "{written}");
        assert!(!written.contains("Content-Description"), "{written}");
        let body = written.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(body.replace("\r\n", ""), format!("{long}end"));
    }

    #[test]
    fn of_an_entity_only_content_fields_are_taken() {
        let original = Message::from_bytes("\r\nx\r\n".as_bytes());
        for (text, expected) in [
            (
                "Content-Type: text/html;\n charset=utf-8\nBcc: x@y\nContent-Description: ä\nSubject: z\n\n<b>\r\n.\r\nü",
                "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<b>\r\n.\r\nü\r\n",
            ),
            ("\nplain", "\r\n\r\nplain\r\n"),
            ("Content-Type: text/plain", "Content-Type: text/plain\r\n\r\n"),
            ("Content-Type : text/html\n\nx", "MIME-Version: 1.0\r\n\r\nx\r\n"),
        ] {
            let written = bytes(&composer().vacation(&vacation(text, true), &original));
            check(&written);
            assert!(written.ends_with(expected), "{written}");
            assert!(!written.contains("x@y") && !written.contains("z\r\n"), "{written}");
            assert!(!written.contains("In-Reply-To"));
        }
    }
}
