//! The fields of a part's header that say what the part is.

use super::content::Content;
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

/// Collects the Content-* fields of one part from its header lines.
#[derive(Default)]
pub(super) struct PartHeader {
    current: Option<ContentField>,
    values: [Option<Vec<u8>>; 4],
    asked: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ContentField {
    Type,
    Disposition,
    Encoding,
    Id,
    /// A second one of a kind: the first counts.
    Repeated,
}

impl PartHeader {
    /// Takes one line; whether something of it had to be left out.
    pub(super) fn line(&mut self, line: &[u8], max: usize, traits: &mut Traits) -> bool {
        let content = if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            line
        } else {
            self.end_field(traits);
            let Some((field, content)) = ContentField::of(line) else {
                return false;
            };
            if self.values[field as usize].is_some() {
                traits.merged |= matches!(field, ContentField::Type | ContentField::Encoding);
                traits.messages += suspicion::weight(content);
                self.current = Some(ContentField::Repeated);
                return false;
            }
            self.values[field as usize] = Some(Vec::new());
            self.current = Some(field);
            content
        };
        let Some(value) = self
            .current
            .and_then(|field| self.values.get_mut(field as usize)?.as_mut())
        else {
            return false;
        };
        let room = max - value.len();
        value.extend_from_slice(&content[..content.len().min(room)]);
        content.len() > room
    }

    /// Whether `text` is the boundary of the multipart that the lines so far describe.
    /// Asked only a few times of a header, since it takes a while to find out.
    pub(super) fn announces(&mut self, text: &[u8]) -> bool {
        let Some(value) = &self.values[ContentField::Type as usize] else {
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

    /// Whether the last line belongs to a field that is looked at.
    pub(super) fn is_content(&self) -> bool {
        self.current.is_some()
    }

    /// The unfolded values of Content-Type, Content-Disposition,
    /// Content-Transfer-Encoding and Content-ID.
    pub(super) fn finish(mut self, traits: &mut Traits) -> [Option<Vec<u8>>; 4] {
        self.end_field(traits);
        self.values
    }

    fn end_field(&mut self, traits: &mut Traits) {
        if self.current.take() == Some(ContentField::Type) {
            let value = self.values[ContentField::Type as usize].as_deref();
            traits.messages += suspicion::weight(value.unwrap_or_default());
        }
    }
}

impl ContentField {
    fn of(line: &[u8]) -> Option<(ContentField, &[u8])> {
        // Most fields are told apart by their first letter.
        if !line.first()?.eq_ignore_ascii_case(&b'c') {
            return None;
        }
        let colon = line.iter().take(64).position(|byte| *byte == b':')?;
        let name = line[..colon].trim_ascii_end();
        let field = [
            (&b"content-type"[..], ContentField::Type),
            (b"content-disposition", ContentField::Disposition),
            (b"content-transfer-encoding", ContentField::Encoding),
            (b"content-id", ContentField::Id),
        ];
        let (_, field) = field.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?;
        Some((field, &line[colon + 1..]))
    }
}

/// A short word for people: trimmed, without control characters.
pub(super) fn word(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw.trim_ascii());
    text.chars().filter(|c| !c.is_control()).take(WORD_MAX).collect()
}
