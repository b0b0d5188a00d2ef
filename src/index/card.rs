//! Cards as rows keep them.

use crate::message::{Card, Place, Span};

use super::record::{Fields, fields};

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
    // The header stands first: what repeats pieces of it then takes next to nothing.
    pub(super) fn written(&self) -> Vec<u8> {
        let StoredCard { card, delivery } = self;
        let mut written = Fields::default();
        let mut put = |name: &str, value: &[u8]| {
            if !value.is_empty() {
                written.put(name, value);
            }
        };
        put("header", &card.header);
        put("bodystructure", &card.body_structure);
        put("attachments", if card.attachments { b"1" } else { b"" });
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
        written.into_bytes()
    }

    /// Reads what [`StoredCard::written`] wrote; fields that are missing are empty.
    pub(super) fn parse(text: &[u8]) -> StoredCard {
        let mut card = Card {
            parts_complete: true,
            header_complete: true,
            ..Card::default()
        };
        let mut delivery = None;
        for (name, value) in fields(text) {
            let text = || String::from_utf8_lossy(value).into_owned();
            match name {
                "header" => card.header = value.to_vec(),
                "bodystructure" => card.body_structure = value.to_vec(),
                "attachments" => card.attachments = true,
                "preview" => card.preview = text(),
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

// A line for each part: its section number (`-` for the message itself), then where its header starts, where its
// body starts and ends, and where the body of the message begins that the part is. Each place is `bytes/more`: bytes
// of the file since the place before (the first since the start), and how many more IMAP sends there because lines
// end in CRLF. Places like those of the line before are left out: the text of a plain message, part 1, is its body.
fn parts(spans: &[Span]) -> String {
    let mut text = String::new();
    let mut before = String::new();
    for span in spans {
        let mut last = Place::default();
        let mut places = String::new();
        for place in [Some(span.header), Some(span.body), Some(span.end), span.inner]
            .into_iter()
            .flatten()
        {
            let stored = i128::from(place.stored) - i128::from(last.stored);
            let more = i128::from(place.crlf) - i128::from(last.crlf) - stored;
            places.push_str(&format!(" {stored}/{more}"));
            last = place;
        }
        text.push_str(if span.section.is_empty() { "-" } else { &span.section });
        if places != before {
            text.push_str(&places);
        }
        text.push('\n');
        before = places;
    }
    text
}

fn read_parts(text: &str) -> Vec<Span> {
    let mut before: Vec<Place> = Vec::new();
    let span = |line: &str| {
        let mut words = line.split(' ');
        let section = words.next().filter(|section| *section != "-").unwrap_or_default();
        let places = words.map(read_place).collect::<Option<Vec<_>>>()?;
        if !places.is_empty() {
            before = places
                .iter()
                .scan((0_i64, 0_i64), |(stored, crlf), (more_stored, more)| {
                    *stored = stored.checked_add(*more_stored)?;
                    *crlf = crlf.checked_add(*more_stored)?.checked_add(*more)?;
                    Some(Place {
                        stored: u64::try_from(*stored).ok()?,
                        crlf: u64::try_from(*crlf).ok()?,
                    })
                })
                .collect();
        }
        Some(Span {
            section: section.to_owned(),
            header: *before.first()?,
            body: *before.get(1)?,
            end: *before.get(2)?,
            inner: before.get(3).copied(),
        })
    };
    text.lines().filter_map(span).collect()
}

fn read_place(word: &str) -> Option<(i64, i64)> {
    let (stored, more) = word.split_once('/')?;
    Some((stored.parse().ok()?, more.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::ReversePath;
    use crate::message::{Letter, Message, Trace};

    fn card(text: &str) -> Card {
        let trace = Trace {
            return_path: ReversePath::Null,
            received: None,
            original_to: None,
            delivered_to: None,
            extra: Vec::new(),
        };
        Card::of_letter(&Letter::new(Message::from_bytes(text), &trace)).unwrap()
    }

    #[test]
    fn cards_come_back() {
        let inner = "Subject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\nhi\r\n--i--\r\n";
        let mixed = format!(
            "Subject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\ntext\r\n--o\r\n\
             Content-Type: message/rfc822\r\n\r\n{inner}--o\r\nContent-Disposition: attachment\r\n\r\nx\r\n--o--\r\n"
        );
        for text in [
            "",
            "Subject: plain\n\nbody\n",
            "\n",
            "no header",
            &mixed,
            &mixed.replace("\r\n", "\n"),
        ] {
            for delivery in [
                None,
                Some(Delivery {
                    id: "01A".into(),
                    ..Delivery::default()
                }),
            ] {
                let stored = StoredCard {
                    card: card(text),
                    delivery,
                };
                assert_eq!(StoredCard::parse(&stored.written()), stored, "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_no_part_is_left_out() {
        for text in [
            "1 a/b",
            "1",
            "- 1/2",
            "- 5/0 -9/0 1/1",
            "- 9223372036854775807/0 9223372036854775807/0 1/1",
        ] {
            assert_eq!(read_parts(text), [], "{text}");
        }
    }
}
