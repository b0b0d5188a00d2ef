//! Where the parts of a message lie, by the numbers that IMAP gives them: RFC 9051 §6.4.5.

use std::ops::Range;

use super::super::structure::{Part, Position, Structure};

/// Bytes of all section numbers together; they are long only where parts lie deep.
const NUMBERS_MAX: usize = 32 * 1024;

/// A place in a message, counted in bytes from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// In the stored file.
    pub stored: u64,
    /// In what IMAP sends, where every line ends in CRLF.
    pub crlf: u64,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Bytes of the stored file.
    pub stored: Range<u64>,
    /// Bytes of what IMAP sends.
    pub crlf: Range<u64>,
}

/// Where one part lies.
///
/// The message itself has no number. A body that is no multipart is part 1 of its message; a
/// multipart that is the body of a message within the message has no span of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The section number, as `1.2`; empty for the message itself.
    pub section: String,
    /// Where its header starts.
    pub header: Place,
    /// Where its body starts: after the empty line.
    pub body: Place,
    /// Where its body ends.
    pub end: Place,
    /// Where it is a message within the message (its header starts where `body` says): where the body of that one starts.
    pub inner: Option<Place>,
}

impl From<Range<Place>> for Extent {
    fn from(range: Range<Place>) -> Extent {
        Extent {
            stored: range.start.stored..range.end.stored,
            crlf: range.start.crlf..range.end.crlf,
        }
    }
}

/// The spans of all parts, and whether these are all.
pub(super) fn spans(structure: &Structure, place: impl Fn(Position) -> Place) -> (Vec<Span>, bool) {
    let parts = &structure.parts;
    let root = structure.root();
    let mut spans = vec![Span {
        section: String::new(),
        header: Place::default(),
        body: place(root.body_start),
        end: place(root.body_end),
        inner: None,
    }];
    let mut numbers: Vec<String> = Vec::with_capacity(parts.len());
    let mut children = vec![0u32; parts.len()];
    let mut inner = vec![None; parts.len()];
    for part in parts.iter() {
        if let Some(parent) = part.parent
            && parts[parent].is_message()
        {
            inner[parent] = Some(place(part.body_start));
        }
    }
    let mut room = NUMBERS_MAX;
    for (index, part) in parts.iter().enumerate() {
        let number = match part.parent {
            Some(parent) if parts[parent].kind == "multipart" => {
                children[parent] += 1;
                dotted(&numbers[parent], children[parent])
            }
            // The body of a message: a multipart's parts are numbered as if they were the message's.
            parent => {
                let message = parent.map_or("", |parent| numbers[parent].as_str());
                if part.kind == "multipart" {
                    numbers.push(message.to_owned());
                    continue;
                }
                dotted(message, 1)
            }
        };
        let Some(left) = room.checked_sub(number.len()) else {
            return (spans, false);
        };
        room = left;
        spans.push(span(part, number.clone(), inner[index], &place));
        numbers.push(number);
    }
    // The header of a body that is no multipart is that of the message.
    if root.kind != "multipart"
        && let Some(first) = spans.get_mut(1)
    {
        first.header = Place::default();
    }
    (spans, true)
}

fn span(part: &Part, section: String, inner: Option<Place>, place: impl Fn(Position) -> Place) -> Span {
    let end = place(part.body_end);
    Span {
        section,
        header: place(part.header_start),
        body: place(part.body_start),
        end,
        // The line end before a boundary may be the one that ends the header of the message within.
        inner: inner.map(|inner| inner.min(end)),
    }
}

fn dotted(before: &str, number: u32) -> String {
    if before.is_empty() {
        number.to_string()
    } else {
        format!("{before}.{number}")
    }
}
