//! Cards as rows keep them.

use crate::message::{Card, Place, SortKeys, Span};

use super::record::{Fields, fields};

/// How well a card that lies alone is compressed, from 1 to 9: it happens on the path of a delivery.
pub(super) const LEVEL: u32 = 1;

/// A card, and the delivery that brought the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredCard {
    /// The card.
    pub card: Card,
    /// The delivery; none where the message came in another way, or the index was made anew.
    pub delivery: Option<Delivery>,
}

/// The delivery that brought a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, as in the log.
    pub id: String,
    /// The reverse path; empty for the null sender.
    pub reverse_path: String,
    /// The recipient.
    pub recipient: String,
}

impl StoredCard {
    /// What the column `card` holds.
    #[must_use]
    pub fn compressed(&self) -> Vec<u8> {
        let mut alone = Fields::default();
        alone.put("card", self.written());
        alone.compressed(LEVEL)
    }

    // The header stands first: what repeats pieces of it then takes next to nothing.
    fn written(&self) -> Vec<u8> {
        let StoredCard { card, delivery } = self;
        let Card { summary, sort, .. } = card;
        let mut written = Fields::default();
        let mut put = |name: &str, value: &[u8]| {
            if !value.is_empty() {
                written.put(name, value);
            }
        };
        put("header", &card.header);
        put("envelope", &card.envelope);
        put("bodystructure", &card.body_structure);
        put(
            "message-id",
            summary.message_id.as_deref().unwrap_or_default().as_bytes(),
        );
        put(
            "in-reply-to",
            summary.in_reply_to.as_deref().unwrap_or_default().as_bytes(),
        );
        put("references", summary.references.join(" ").as_bytes());
        put("subject", summary.subject.as_bytes());
        put("from", summary.from.as_bytes());
        put("to", summary.to.as_bytes());
        put("cc", summary.cc.as_bytes());
        put(
            "date",
            summary.date.map(|date| date.to_string()).unwrap_or_default().as_bytes(),
        );
        put("attachments", if summary.attachments { b"1" } else { b"" });
        put(
            "received-id",
            summary.delivery_id.as_deref().unwrap_or_default().as_bytes(),
        );
        put("preview", card.preview.as_bytes());
        put("parts", parts(&card.parts).as_bytes());
        let cut = [(card.parts_complete, "parts"), (card.header_complete, "header")];
        let cut: Vec<&str> = cut
            .into_iter()
            .filter(|(complete, _)| !complete)
            .map(|(_, what)| what)
            .collect();
        put("cut", cut.join(" ").as_bytes());
        if let Some(delivery) = delivery {
            put("delivery", delivery.id.as_bytes());
            put("reverse-path", delivery.reverse_path.as_bytes());
            put("recipient", delivery.recipient.as_bytes());
        }
        put("sort", sort_keys(sort).as_bytes());
        written.into_bytes()
    }

    /// Reads what [`StoredCard::compressed`] wrote; fields that are missing are empty.
    pub(super) fn parse(text: &[u8]) -> StoredCard {
        let mut card = Card {
            parts_complete: true,
            header_complete: true,
            ..Card::default()
        };
        let mut delivery = None;
        for (name, value) in fields(text) {
            let text = || String::from_utf8_lossy(value).into_owned();
            let words = || text().split(' ').map(str::to_owned).collect();
            match name {
                "header" => card.header = value.to_vec(),
                "envelope" => card.envelope = value.to_vec(),
                "bodystructure" => card.body_structure = value.to_vec(),
                "message-id" => card.summary.message_id = Some(text()),
                "in-reply-to" => card.summary.in_reply_to = Some(text()),
                "references" => card.summary.references = words(),
                "subject" => card.summary.subject = text(),
                "from" => card.summary.from = text(),
                "to" => card.summary.to = text(),
                "cc" => card.summary.cc = text(),
                "date" => card.summary.date = text().parse().ok(),
                "attachments" => card.summary.attachments = true,
                "received-id" => card.summary.delivery_id = Some(text()),
                "preview" => card.preview = text(),
                "sort" => card.sort = read_sort_keys(&text()),
                "parts" => card.parts = read_parts(&text()),
                "cut" => {
                    card.parts_complete = !text().contains("parts");
                    card.header_complete = !text().contains("header");
                }
                "delivery" => delivery.get_or_insert_with(Delivery::default).id = text(),
                "reverse-path" => delivery.get_or_insert_with(Delivery::default).reverse_path = text(),
                "recipient" => delivery.get_or_insert_with(Delivery::default).recipient = text(),
                // A field of a later postroom.
                _ => {}
            }
        }
        StoredCard { card, delivery }
    }
}

// One key a line; none of them holds a line end.
fn sort_keys(keys: &SortKeys) -> String {
    let SortKeys {
        subject,
        is_reply_or_forward,
        from,
        to,
        cc,
        display_from,
        display_to,
    } = keys;
    let reply = if *is_reply_or_forward { "1" } else { "" };
    [subject, reply, from, to, cc, display_from, display_to].join("\n")
}

fn read_sort_keys(text: &str) -> SortKeys {
    let mut lines = text.split('\n').map(str::to_owned);
    let mut line = || lines.next().unwrap_or_default();
    SortKeys {
        subject: line(),
        is_reply_or_forward: !line().is_empty(),
        from: line(),
        to: line(),
        cc: line(),
        display_from: line(),
        display_to: line(),
    }
}

// `1.2 300/310 350/362 900/930`: a number (or `-` for the message itself), then the places of header, body and
// end, and of the body within the message that a part is; each in the file and in what IMAP sends.
fn parts(spans: &[Span]) -> String {
    let line = |span: &Span| {
        let section = if span.section.is_empty() { "-" } else { &span.section };
        let places = [Some(span.header), Some(span.body), Some(span.end), span.inner];
        let places = places
            .into_iter()
            .flatten()
            .map(|place| format!(" {}/{}", place.stored, place.crlf));
        format!("{section}{}\n", places.collect::<String>())
    };
    spans.iter().map(line).collect()
}

fn read_parts(text: &str) -> Vec<Span> {
    let place = |word: &str| {
        let (stored, crlf) = word.split_once('/')?;
        Some(Place {
            stored: stored.parse().ok()?,
            crlf: crlf.parse().ok()?,
        })
    };
    let span = |line: &str| {
        let mut words = line.split(' ');
        let section = words
            .next()
            .filter(|section| *section != "-")
            .unwrap_or_default()
            .to_owned();
        Some(Span {
            section,
            header: place(words.next()?)?,
            body: place(words.next()?)?,
            end: place(words.next()?)?,
            inner: words.next().and_then(place),
        })
    };
    text.lines().filter_map(span).collect()
}
