//! What tests read of the parts of a message (RFC 5173, RFC 5703), each part once.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::matching::Value;
use super::run::{Run, Stop};
use super::subject::unreadable;
use crate::message::{Header, Part, text_of_html};

/// Bytes of one part, or of a whole body, that are read; what is longer is cut, and the trace says so.
pub(super) const CONTENT_MAX: u64 = 16 * 1024 * 1024;

/// Bytes of a message within the message in which its header is looked for.
const HEADER_MAX: u64 = 1024 * 1024;

/// What was read so far.
#[derive(Default)]
pub(super) struct Entities {
    /// The parts that were counted.
    seen: HashSet<usize>,
    headers: HashMap<usize, Rc<Header>>,
    contents: HashMap<(usize, Form), Rc<[Value]>>,
}

/// The form in which a part's content is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// As it was sent (RFC 5173 §5.1).
    Raw,
    /// Decoded (RFC 5173 §5.2).
    Content,
    /// As text for people: without the marks of HTML (RFC 5173 §5.3).
    Text,
}

impl Run<'_> {
    /// The header of a part; of the message itself as it is now.
    ///
    /// # Errors
    /// Where a limit is met or the message cannot be read.
    pub(super) fn part_header(&mut self, index: usize) -> Result<Rc<Header>, Stop> {
        if let Some(header) = self.subject.entities.headers.get(&index) {
            return Ok(Rc::clone(header));
        }
        let base = self.subject.base();
        let header = match base.structure().parts.get(index) {
            Some(part) if index > 0 => base.part_header(part).map_err(unreadable)?,
            _ => return Ok(Rc::new(Header::default())),
        };
        self.visit_part(index, header.bytes().len())?;
        let header = Rc::new(header);
        self.subject.entities.headers.insert(index, Rc::clone(&header));
        Ok(header)
    }

    /// The strings that a part's content is: of a multipart what stands around its parts, of a message its header.
    ///
    /// # Errors
    /// Where a limit is met or the message cannot be read.
    pub(super) fn part_content(&mut self, index: usize, form: Form) -> Result<Rc<[Value]>, Stop> {
        if let Some(values) = self.subject.entities.contents.get(&(index, form)) {
            return Ok(Rc::clone(values));
        }
        let base = self.subject.base().clone();
        let Some(part) = base.structure().parts.get(index) else {
            return Ok(Rc::new([]));
        };
        let length = part.body.end - part.body.start;
        if length > CONTENT_MAX {
            self.note(|| format!("of {length} bytes the first {CONTENT_MAX} are looked at"));
        }
        self.visit_part(index, usize::try_from(length.min(CONTENT_MAX)).unwrap_or(usize::MAX))?;
        let texts = match form {
            Form::Raw => vec![text(base.part_body(part, CONTENT_MAX).map_err(unreadable)?)],
            // RFC 5173 §5.2: the prologue and the epilogue, each a string of its own. Without either an empty one
            // says that the part is there.
            Form::Content if type_of(part).0 == "multipart" => {
                let around = base.around_parts(index, CONTENT_MAX).map_err(unreadable)?;
                let [prologue, epilogue] = around.map(text);
                match epilogue.is_empty() {
                    true => vec![prologue],
                    false if prologue.is_empty() => vec![epilogue],
                    false => vec![prologue, epilogue],
                }
            }
            // RFC 5173 §5.2: its header, as one string.
            Form::Content if part.is_message() => {
                vec![text(header_of(
                    base.part_content(part, HEADER_MAX).map_err(unreadable)?,
                ))]
            }
            Form::Content if type_of(part).0 != "text" => {
                vec![text(base.part_content(part, CONTENT_MAX).map_err(unreadable)?)]
            }
            Form::Content => vec![base.part_text(part, CONTENT_MAX).map_err(unreadable)?],
            Form::Text => vec![for_people(part, base.part_text(part, CONTENT_MAX).map_err(unreadable)?)],
        };
        let values: Rc<[Value]> = texts.into_iter().map(Value::from).collect();
        self.subject.entities.contents.insert((index, form), Rc::clone(&values));
        Ok(values)
    }

    /// Counts a part that is looked at for the first time, and the work of reading so many bytes of it.
    ///
    /// # Errors
    /// Where there were too many.
    pub(super) fn visit_part(&mut self, index: usize, bytes: usize) -> Result<(), Stop> {
        if self.subject.entities.seen.insert(index) {
            let limit = self.options().max_parts;
            if self.parts >= limit {
                return Err(Stop::error(format!("the script looks at more than {limit} parts")));
            }
            self.parts += 1;
        }
        self.work(bytes, 1)
    }
}

/// The type by which a part is read. RFC 2045 §5.2: what cannot be so is text, such as a multipart that names no
/// boundary.
pub(super) fn type_of(part: &Part) -> (&str, &str) {
    let names_none = part
        .boundary
        .as_ref()
        .is_none_or(|boundary| boundary.trim_ascii().is_empty());
    match part.kind.as_str() {
        "multipart" if names_none => ("text", "plain"),
        kind => (kind, &part.subtype),
    }
}

/// Text for people: of a page what is seen.
pub(super) fn for_people(part: &Part, text: String) -> String {
    match part.is("text", "html") {
        true => text_of_html(&text),
        false => text,
    }
}

fn text(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

// Up to the empty line.
fn header_of(mut message: Vec<u8>) -> Vec<u8> {
    let mut start = 0;
    let empty = memchr::memchr_iter(b'\n', &message).find_map(|end| {
        let begin = std::mem::replace(&mut start, end + 1);
        matches!(&message[begin..end], b"" | b"\r").then_some(begin)
    });
    if let Some(end) = empty {
        message.truncate(end);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_end_at_the_empty_line() {
        for (message, header) in [
            ("A: b\nC: d\n\nx\n", "A: b\nC: d\n"),
            ("A: b\r\n\r\nx", "A: b\r\n"),
            ("\nx", ""),
            ("A: b", "A: b"),
            ("A: b\n", "A: b\n"),
            ("", ""),
        ] {
            assert_eq!(header_of(message.into()), header.as_bytes(), "{message:?}");
        }
    }
}
