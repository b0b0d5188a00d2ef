//! The fields of a part's header that say what the part is.

use super::content::Content;
use super::structure::Mime;
use super::suspicion;

/// Bytes of a Content-ID that are kept.
const WORD_MAX: usize = 256;
/// How often a header is asked for its boundary before it has ended.
const ASKED_MAX: u8 = 8;

/// What `suspicion` wants to know of the part headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits {
    /// Weight of the Content-Type fields in part headers that speak of messages.
    pub(super) messages: u64,
    /// Whether a part header has Content-Type or Content-Transfer-Encoding twice, or two
    /// part headers would have in the eyes of someone who ends them at empty lines only.
    pub(super) merged: bool,
}

/// The fields that are collected. The first four say what a part is, the first eight are Content-* fields; the
/// others are those of ENVELOPE (RFC 9051 §7.5.2).
const FIELDS: [&str; 18] = [
    "content-type",
    "content-disposition",
    "content-transfer-encoding",
    "content-id",
    "content-description",
    "content-md5",
    "content-language",
    "content-location",
    "date",
    "subject",
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "in-reply-to",
    "message-id",
];
const TYPE: usize = 0;
const ENCODING: usize = 2;
/// What is beyond is told, but has no influence on how the message is read.
const DECIDING: usize = 4;
const CONTENT: usize = 8;

/// Collects the Content-* fields of one part from its header lines, and those of ENVELOPE
/// where the part is a message within a message.
#[derive(Default)]
pub(super) struct PartHeader {
    message: bool,
    current: Option<Current>,
    values: [Option<Vec<u8>>; FIELDS.len()],
    asked: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Current {
    /// The index of a field.
    Field(usize),
    /// A second one of a kind: the first counts.
    Repeated(usize),
}

impl PartHeader {
    /// A header of a message within a message, or of a part.
    pub(super) fn new(message: bool) -> PartHeader {
        PartHeader {
            message,
            ..PartHeader::default()
        }
    }

    /// Takes one line; whether something of it had to be left out.
    pub(super) fn line(&mut self, line: &[u8], max: usize, traits: &mut Traits) -> bool {
        let content = if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            line
        } else {
            self.end_field(traits);
            let Some((field, content)) = field_of(line, self.message) else {
                return false;
            };
            if self.values[field].is_some() {
                traits.merged |= matches!(field, TYPE | ENCODING);
                if field < DECIDING {
                    traits.messages += suspicion::weight(content);
                }
                self.current = Some(Current::Repeated(field));
                return false;
            }
            self.values[field] = Some(Vec::new());
            self.current = Some(Current::Field(field));
            content
        };
        let Some(Current::Field(field)) = self.current else {
            return false;
        };
        let Some(value) = &mut self.values[field] else {
            return false;
        };
        let room = max - value.len();
        value.extend_from_slice(&content[..content.len().min(room)]);
        content.len() > room && field < DECIDING
    }

    /// Whether `text` is the boundary of the multipart that the lines so far describe.
    /// Asked only a few times of a header, since it takes a while to find out.
    pub(super) fn announces(&mut self, text: &[u8]) -> bool {
        let Some(value) = &self.values[TYPE] else {
            return false;
        };
        if self.asked == ASKED_MAX || text.is_empty() || memchr::memmem::find(value, text).is_none() {
            return false;
        }
        self.asked += 1;
        let content = Content::parse(value);
        let boundary = content.parameter("boundary");
        content.value.starts_with("multipart/") && boundary.is_some_and(|it| it.value.trim_ascii_end() == text)
    }

    /// Whether the last line belongs to a field that says what the part is.
    pub(super) fn is_content(&self) -> bool {
        matches!(self.current, Some(Current::Field(field) | Current::Repeated(field)) if field < DECIDING)
    }

    /// The unfolded values of Content-Type, Content-Disposition,
    /// Content-Transfer-Encoding and Content-ID, and the other fields.
    pub(super) fn finish(mut self, traits: &mut Traits) -> ([Option<Vec<u8>>; DECIDING], Mime) {
        self.end_field(traits);
        let mut values = self.values;
        let mut told = |index: usize| values[index].take().map(|value| value.trim_ascii().to_vec());
        let [description, md5, language, location] = std::array::from_fn(|index| told(DECIDING + index));
        let envelope = (CONTENT..FIELDS.len()).filter_map(|index| Some((FIELDS[index], told(index)?)));
        let mime = Mime {
            description,
            md5,
            language,
            location,
            envelope: envelope.collect(),
            ..Mime::default()
        };
        (std::array::from_fn(|index| values[index].take()), mime)
    }

    fn end_field(&mut self, traits: &mut Traits) {
        if self.current.take() == Some(Current::Field(TYPE)) {
            let value = self.values[TYPE].as_deref();
            traits.messages += suspicion::weight(value.unwrap_or_default());
        }
    }
}

/// The index of the field that starts with this line, and its value.
fn field_of(line: &[u8], message: bool) -> Option<(usize, &[u8])> {
    // Most fields are told apart by their first letter.
    let first = line.first()?.to_ascii_lowercase();
    if first != b'c' && !(message && b"dsfrtbim".contains(&first)) {
        return None;
    }
    let colon = line.iter().take(64).position(|byte| *byte == b':')?;
    let name = line[..colon].trim_ascii_end();
    let known = if message { &FIELDS[..] } else { &FIELDS[..CONTENT] };
    let field = known
        .iter()
        .position(|known| name.eq_ignore_ascii_case(known.as_bytes()))?;
    Some((field, &line[colon + 1..]))
}

/// A short word for people: trimmed, without control characters.
pub(super) fn word(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw.trim_ascii());
    text.chars().filter(|c| !c.is_control()).take(WORD_MAX).collect()
}
