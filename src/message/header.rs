//! The header fields as they were received: RFC 5322 §2.2.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr_iter};

use super::structure::Limits;

/// The header of a message: its fields, raw and in order.
///
/// Lines that are no field (a leading `From ` line, text without a colon) and what
/// continues them are not listed, nor is what lies beyond the limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    bytes: Vec<u8>,
    fields: Vec<Place>,
    truncated: bool,
}

/// Where a field lies in the header.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    start: usize,
    name_end: usize,
    value: usize,
    end: usize,
}

/// One header field.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    bytes: &'a [u8],
    place: &'a Place,
}

impl Header {
    /// Lists the fields of a header, without the empty line that ends it.
    /// `truncated` says that `bytes` is only its beginning.
    pub(super) fn parse(mut bytes: Vec<u8>, fields: usize, mut truncated: bool) -> Header {
        bytes.shrink_to_fit();
        let mut places: Vec<Place> = Vec::new();
        // Whether a continuation line belongs to the last field that was listed.
        let mut continues = false;
        let mut start = 0;
        while start < bytes.len() {
            let end = memchr(b'\n', &bytes[start..]).map(|end| start + end + 1);
            let cut = truncated && end.is_none();
            let end = end.unwrap_or(bytes.len());
            let line = &bytes[start..end];
            if matches!(line[0], b' ' | b'\t') {
                if let (true, Some(last)) = (continues, places.last_mut()) {
                    last.end = end;
                }
            } else if let Some((name_end, value)) = split(line) {
                if places.len() == fields {
                    truncated = true;
                    break;
                }
                places.push(Place {
                    start,
                    name_end: start + name_end,
                    value: start + value,
                    end,
                });
                continues = true;
            } else {
                continues = false;
            }
            if cut {
                break;
            }
            start = end;
        }
        // The last field may go on beyond what is here.
        if truncated && continues && places.last().is_some_and(|last| last.end == bytes.len()) {
            places.pop();
        }
        Header {
            bytes,
            fields: places,
            truncated,
        }
    }

    /// Lists the fields of a header block as [`Card`](super::Card) keeps it, the empty line with it; `complete` says
    /// that the block is the whole header.
    #[must_use]
    pub fn of_block(block: &[u8], complete: bool) -> Header {
        let end = match block.strip_suffix(b"\r\n\r\n") {
            Some(fields) => fields.len() + 2,
            None if block == b"\r\n" => 0,
            None => block.len(),
        };
        Header::parse(block[..end].to_vec(), Limits::default().fields, !complete)
    }

    /// The fields, in order.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = Field<'_>> + ExactSizeIterator {
        self.fields.iter().map(|place| Field {
            bytes: &self.bytes,
            place,
        })
    }

    /// The fields called `name`, without regard to case, in order.
    pub fn all(&self, name: &str) -> impl DoubleEndedIterator<Item = Field<'_>> {
        self.fields().filter(move |field| field.is(name))
    }

    /// The topmost field called `name`.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<Field<'_>> {
        self.all(name).next()
    }

    /// How many fields are called `name`.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.all(name).count()
    }

    /// The bytes of the header from the start of the message, without the empty line
    /// that ends it; only the beginning where it [is truncated](Header::is_truncated).
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the header lies in the message, as far as it is kept.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        0..self.bytes.len() as u64
    }

    /// Whether there are fields beyond the limits, which are not listed.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// The header in a form that other parsers survive: only fields, each of at most
    /// 8 KiB and Content-Type and Content-Disposition of at most 1 KiB, 1,000 fields and
    /// 256 KiB in all, and the empty line.
    #[must_use]
    pub fn tamed(&self) -> Vec<u8> {
        let mut tamed = Vec::with_capacity(self.bytes.len().min(TAMED_MAX) + 2);
        let mut end: &[u8] = b"\r\n";
        for field in self.fields().take(TAMED_FIELDS_MAX) {
            let raw = field.raw();
            if !raw.ends_with(b"\r\n") && raw.ends_with(b"\n") {
                end = b"\n";
            }
            let content = field.is("Content-Type") || field.is("Content-Disposition");
            let kept = shortened(raw, if content { 1024 } else { 8 * 1024 });
            if tamed.len() + kept.len() + 2 > TAMED_MAX {
                break;
            }
            tamed.extend_from_slice(kept);
            if !kept.ends_with(b"\n") {
                tamed.extend_from_slice(end);
            }
        }
        tamed.extend_from_slice(end);
        tamed
    }
}

const TAMED_MAX: usize = 256 * 1024;
const TAMED_FIELDS_MAX: usize = 1000;

// As many whole lines as fit, or else a part of the first.
fn shortened(raw: &[u8], max: usize) -> &[u8] {
    if raw.len() <= max {
        return raw;
    }
    let end = memchr::memrchr(b'\n', &raw[..max]).map_or(max, |end| end + 1);
    &raw[..end]
}

impl<'a> Field<'a> {
    /// The name as written, without the colon.
    #[must_use]
    pub fn name(&self) -> &'a str {
        // `split` lets only printable ASCII through.
        str::from_utf8(&self.bytes[self.place.start..self.place.name_end]).unwrap_or_default()
    }

    /// Whether the field is called `name`, without regard to case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.bytes[self.place.start..self.place.name_end].eq_ignore_ascii_case(name.as_bytes())
    }

    /// What follows the colon, as received: white space and folds included, without the last line end.
    #[must_use]
    pub fn value(&self) -> &'a [u8] {
        let value = &self.bytes[self.place.value..self.place.end];
        let value = value.strip_suffix(b"\n").unwrap_or(value);
        value.strip_suffix(b"\r").unwrap_or(value)
    }

    /// The value unfolded (RFC 5322 §2.2.3), without white space around it.
    #[must_use]
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        let value = self.value().trim_ascii();
        let mut rest = value;
        let mut unfolded = Vec::new();
        for end in memchr_iter(b'\n', value) {
            let line = &value[value.len() - rest.len()..end];
            unfolded.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
            rest = &value[end + 1..];
        }
        if rest.len() == value.len() {
            return Cow::Borrowed(value);
        }
        unfolded.extend_from_slice(rest);
        Cow::Owned(unfolded)
    }

    /// The whole field, its last line end included.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        &self.bytes[self.place.start..self.place.end]
    }

    /// Bytes from the start of the message to the field.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.place.start as u64
    }

    /// Where the whole field lies in the message.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.place.start as u64..self.place.end as u64
    }
}

// RFC 5322 §2.2: field-name is printable ASCII without the colon; §4.5: white space may
// stand before the colon. Returns the end of the name and the start of the value.
fn split(line: &[u8]) -> Option<(usize, usize)> {
    let colon = memchr(b':', line)?;
    let name = line[..colon].trim_ascii_end();
    let valid = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    valid.then_some((name.len(), colon + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Vec<(String, String)> {
        let header = Header::parse(text.into(), 100, false);
        let fields = header.fields();
        fields
            .map(|f| (f.name().to_owned(), String::from_utf8_lossy(&f.unfolded()).into_owned()))
            .collect()
    }

    #[test]
    fn lists_fields() {
        for (text, fields) in [
            ("", &[][..]),
            ("A: b\r\nC:d\n", &[("A", "b"), ("C", "d")]),
            ("A: b\r\n c\n\td\r\n", &[("A", "b c\td")]),
            ("A: b", &[("A", "b")]),
            ("A : b\n", &[("A", "b")]),
            ("From ann@example.org Mon Jan  1 10:00:00 2024\nA: b\n", &[("A", "b")]),
            ("no colon\n goes: on\nA: b\n", &[("A", "b")]),
            (" A: b\nC: d\n", &[("C", "d")]),
            ("two words: b\n: c\nA:\n", &[("A", "")]),
            ("A: b\n \n c\n", &[("A", "b  c")]),
            ("A: a\rb\r\n", &[("A", "a\rb")]),
            ("A: a\0b\n", &[("A", "a\0b")]),
        ] {
            let listed = listed(text);
            let listed: Vec<_> = listed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(listed, fields, "{text:?}");
        }
    }

    #[test]
    fn eight_bit_values_stay_as_they_are() {
        let header = Header::parse(b"Subject: caf\xe9\r\nN\xe4me: x\r\n".to_vec(), 100, false);
        assert_eq!(header.first("subject").unwrap().value(), b" caf\xe9");
        assert_eq!(header.fields().len(), 1);
    }

    #[test]
    fn reads_a_block() {
        for (block, bytes) in [
            (&b"A: b\r\nC: d\r\n\r\n"[..], &b"A: b\r\nC: d\r\n"[..]),
            (b"A: b\r\n", b"A: b\r\n"),
            (b"\r\n", b""),
            (b"", b""),
        ] {
            assert_eq!(Header::of_block(block, true).bytes(), bytes);
        }
        assert_eq!(Header::of_block(b"A: b\r\nC: d\r\n\r\n", true).fields().len(), 2);
    }

    #[test]
    fn limits() {
        let header = Header::parse(b"A: 1\nB: 2\nC: 3\n".to_vec(), 2, false);
        assert!(header.is_truncated());
        assert_eq!(header.fields().map(|f| f.name()).collect::<Vec<_>>(), ["A", "B"]);
        for cut in ["A: 1\nB: 2\n", "A: 1\nB: 2\n c", "A: 1\nB: 2", "A: 1\nB"] {
            let header = Header::parse(cut.into(), 100, true);
            assert_eq!(header.fields().map(|f| f.name()).collect::<Vec<_>>(), ["A"], "{cut:?}");
        }
    }

    #[test]
    fn finds_by_name() {
        let header = Header::parse(b"Received: 1\nX: y\nreceived: 2\n".to_vec(), 100, false);
        assert_eq!(header.count("RECEIVED"), 2);
        assert_eq!(header.first("Received").unwrap().unfolded().as_ref(), b"1");
        assert_eq!(header.all("Received").next_back().unwrap().offset(), 17);
        assert_eq!(header.first("X").unwrap().raw(), b"X: y\n");
        assert_eq!(header.first("X").unwrap().range(), 12..17);
    }

    #[test]
    fn tames() {
        let flood = format!("Content-Type: a/b{}\r\nX: y\r\njunk\r\n", ";\r\n x=y".repeat(10_000));
        let tamed = Header::parse(flood.into(), 100, false).tamed();
        assert!(tamed.len() < 1100);
        assert!(
            tamed.ends_with(b";\r\nX: y\r\n\r\n"),
            "{}",
            String::from_utf8_lossy(&tamed)
        );
        let long = format!("X: {}\nY: z\n", "x".repeat(100_000));
        let tamed = Header::parse(long.into(), 100, false).tamed();
        assert!(tamed.len() < 8300);
        assert!(tamed.ends_with(b"x\nY: z\n\n"));
    }
}
