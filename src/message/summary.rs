//! What the index keeps of a message.

use super::decode::{date, lossy, mailboxes, message_ids, text};
use super::header::Header;
use super::structure::{Part, Structure};
use super::thread_id::normal_id;

/// Characters of a decoded field that are kept.
const TEXT_MAX: usize = 1000;
/// Characters of a message id that are kept.
const ID_MAX: usize = 250;
/// Message ids of References that are kept: the first, and the last ones.
const REFERENCES_MAX: usize = 100;

/// The decoded fields of a message: without control characters, at most 1,000 characters
/// each, message ids without angle brackets and at most 250.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Message-ID.
    pub message_id: Option<String>,
    /// The first id of In-Reply-To.
    pub in_reply_to: Option<String>,
    /// References, oldest first, at most 100.
    pub references: Vec<String>,
    /// Subject.
    pub subject: String,
    /// From, as `Name <address>` separated by commas.
    pub from: String,
    /// To, likewise.
    pub to: String,
    /// Cc, likewise.
    pub cc: String,
    /// Date, in seconds since 1970.
    pub date: Option<i64>,
    /// Whether a part looks like an attachment to people.
    pub attachments: bool,
    /// The delivery id, where the topmost Received field is postroom's.
    pub delivery_id: Option<String>,
}

/// The message ids that a message names, as the [`Summary`] has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Message-ID.
    pub message_id: Option<String>,
    /// The first id of In-Reply-To.
    pub in_reply_to: Option<String>,
    /// References, oldest first, at most 100.
    pub references: Vec<String>,
}

impl Ids {
    pub(super) fn of_fields(header: &Header) -> Ids {
        let raw = |name| header.first(name).map(|field| field.unfolded());
        let ids = |name| raw(name).map(|raw| message_ids(&raw)).unwrap_or_default();
        Ids {
            message_id: message_id(header),
            in_reply_to: ids("In-Reply-To").into_iter().next().and_then(id),
            references: references(ids("References")),
        }
    }
}

impl Summary {
    /// Reads the fields, and of the parts whether one is an attachment.
    #[must_use]
    pub fn of(header: &Header, structure: &Structure) -> Summary {
        Summary::of_fields(header, has_attachment(structure))
    }

    pub(super) fn of_fields(header: &Header, attachments: bool) -> Summary {
        let raw = |name| header.first(name).map(|field| field.unfolded());
        let people = |name| raw(name).map(|raw| list(&raw)).unwrap_or_default();
        let Ids {
            message_id,
            in_reply_to,
            references,
        } = Ids::of_fields(header);
        Summary {
            message_id,
            in_reply_to,
            references,
            subject: raw("Subject").map(|raw| cut(text(&raw), TEXT_MAX)).unwrap_or_default(),
            from: people("From"),
            to: people("To"),
            cc: people("Cc"),
            date: raw("Date").and_then(|raw| date(&raw)),
            attachments,
            delivery_id: raw("Received").and_then(|raw| delivery_id(&raw)),
        }
    }
}

/// The Message-ID alone, as the [`Summary`] has it.
pub(super) fn message_id(header: &Header) -> Option<String> {
    let field = header.first("Message-ID")?;
    message_ids(&field.unfolded()).into_iter().next().and_then(id)
}

/// Whether a part looks like an attachment to people.
pub(super) fn has_attachment(structure: &Structure) -> bool {
    structure.parts.iter().any(|part| is_attachment(structure, part))
}

/// A message id in the form in which the index compares it: its first 250 characters, [normal](normal_id).
#[must_use]
pub fn kept_id(id: &str) -> String {
    normal_id(&cut(id.to_owned(), ID_MAX)).into_owned()
}

fn id(id: String) -> Option<String> {
    let id = cut(id, ID_MAX);
    (!id.is_empty()).then_some(id)
}

fn references(ids: Vec<String>) -> Vec<String> {
    let surplus = ids.len().saturating_sub(REFERENCES_MAX);
    let kept = ids.into_iter().enumerate();
    kept.filter(|(index, _)| *index == 0 || *index > surplus)
        .filter_map(|(_, text)| id(text))
        .collect()
}

fn list(raw: &[u8]) -> String {
    let mut list = String::new();
    for mailbox in mailboxes(raw) {
        if list.len() > TEXT_MAX * 4 {
            break;
        }
        if !list.is_empty() {
            list.push_str(", ");
        }
        match (mailbox.name, mailbox.address) {
            (Some(name), Some(address)) => list.push_str(&format!("{name} <{address}>")),
            (name, address) => list.push_str(&name.or(address).unwrap_or_default()),
        }
    }
    cut(list, TEXT_MAX)
}

fn cut(mut text: String, characters: usize) -> String {
    // No more characters than bytes.
    if text.len() <= characters {
        return text;
    }
    if let Some((end, _)) = text.char_indices().nth(characters) {
        text.truncate(end);
    }
    text
}

fn is_attachment(structure: &Structure, part: &Part) -> bool {
    let within = part.parent.map(|parent| &structure.parts[parent]);
    let signature = part.kind == "application" && part.subtype.ends_with("-signature");
    match part.disposition.as_deref() {
        _ if part.kind == "multipart" || signature => false,
        Some("attachment") => true,
        Some("inline") => part.filename.is_some() && matches!(part.kind.as_str(), "application" | "message"),
        // Pictures of a page, and the machine's part of a report, are no attachments.
        _ if within.is_some_and(|within| matches!(within.subtype.as_str(), "related" | "report" | "encrypted")) => {
            false
        }
        _ if part.kind == "text" => part.filename.is_some() || part.name.is_some(),
        _ => !within.is_some_and(Part::is_message) || part.kind != "message",
    }
}

// Our own Received field, as `trace` writes it: "by HOST (postroom) ... id ID".
fn delivery_id(received: &[u8]) -> Option<String> {
    let text = lossy(received);
    let mut words = text.split_ascii_whitespace();
    words.find(|word| *word == "(postroom)")?;
    words.find(|word| *word == "id")?;
    let id = crate::mail::DeliveryId::from_stored(words.next()?.trim_end_matches(';'))?;
    Some(id.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Message;
    use super::*;

    fn summary(text: &str) -> Summary {
        let message = Message::from_bytes(text);
        Summary::of(message.header(), message.structure())
    }

    #[test]
    fn reads_the_fields() {
        let summary = summary(
            "Received: from a by mx.example.org (postroom) with LMTP id 01ABC;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n\
             Message-ID: <1@example.org>\r\nIn-Reply-To: <0@example.org>\r\nReferences: <x@y>\r\n <0@example.org>\r\n\
             Subject: =?utf-8?q?caf=C3=A9?=\r\nFrom: Ann <ann@example.org>\r\nTo: bob@example.org,\r\n \"C, D\" <c@d>\r\n\
             Date: Thu, 1 Jan 1970 00:01:00 +0000\r\n\r\nbody\r\n",
        );
        let expected = Summary {
            message_id: Some("1@example.org".into()),
            in_reply_to: Some("0@example.org".into()),
            references: vec!["x@y".into(), "0@example.org".into()],
            subject: "café".into(),
            from: "Ann <ann@example.org>".into(),
            to: "bob@example.org, C, D <c@d>".into(),
            cc: String::new(),
            date: Some(60),
            attachments: false,
            delivery_id: Some("01ABC".into()),
        };
        assert_eq!(summary, expected);
    }

    #[test]
    fn the_message_id_alone_is_the_same() {
        for text in [
            "Message-ID: <1@example.org> <2@example.org>\n\n",
            "message-id:\r\n <a@b>\r\nMessage-ID: <c@d>\r\n\r\n",
            "Message-ID:\n\n",
            "Subject: x\n\n",
        ] {
            let message = Message::from_bytes(text);
            assert_eq!(message.message_id(), summary(text).message_id.as_deref(), "{text}");
        }
        assert_eq!(Message::from_bytes("Message-ID: <a@b>\n\n").message_id(), Some("a@b"));
    }

    #[test]
    fn lengths_are_bounded() {
        let ids: String = (0..500).map(|n| format!(" <{n}@{}>\r\n", "x".repeat(20))).collect();
        let long = summary(&format!("Subject: {}\nReferences:{ids}\n", "é".repeat(5000)));
        assert_eq!(long.subject.chars().count(), TEXT_MAX);
        assert_eq!(long.references.len(), REFERENCES_MAX);
        assert!(long.references[0].starts_with("0@"));
        assert!(long.references[99].starts_with("499@"));
    }

    #[test]
    fn another_hosts_received_is_not_ours() {
        for text in [
            "Received: by mx (other) id X1;\n\n",
            "Received: by mx id X1;\nReceived: by mx (postroom) id X2;\n\n",
            "Received: by mx (postroom) id ../x;\n\n",
        ] {
            assert_eq!(summary(text).delivery_id, None);
        }
    }

    #[test]
    fn attachments() {
        let mixed =
            |part: &str| format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b\n{part}\n\nx\n--b--\n");
        for (text, expected) in [
            ("A: b\n\nhi\n".to_owned(), false),
            ("Content-Type: application/pdf\n\nhi\n".to_owned(), true),
            (mixed("Content-Type: application/pdf"), true),
            (mixed("Content-Type: message/rfc822"), true),
            (mixed("Content-Disposition: attachment"), true),
            (mixed("Content-Type: text/plain; name=x.txt"), true),
            (mixed("Content-Type: text/html"), false),
            (mixed("Content-Type: application/pgp-signature; name=s.asc"), false),
            (mixed("Content-Type: image/png").replace("mixed", "related"), false),
        ] {
            assert_eq!(summary(&text).attachments, expected, "{text}");
        }
    }
}
