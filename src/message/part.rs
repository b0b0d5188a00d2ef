//! Reading one part of a message: its header fields, its content, its text, what stands around its parts.
//!
//! Called by `sieve`, for tests of parts. How much is read is the caller's to say; what a part holds is never an
//! error, only what cannot be read is.

use std::io;
use std::ops::Range;

use super::header::Header;
use super::message::Message;
use super::structure::{Limits, Part};
use super::transfer;

/// Bytes of a part's header that are read; fields beyond them are not listed.
const HEADER_MAX: u64 = 64 * 1024;

impl Message {
    /// The header fields of one of its parts, of the first 64 KiB.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn part_header(&self, part: &Part) -> io::Result<Header> {
        let length = part.header.end - part.header.start;
        let bytes = self.range(first(&part.header, HEADER_MAX))?;
        Ok(Header::parse(bytes, Limits::default().fields, length > HEADER_MAX))
    }

    /// The body of one of its parts as it was sent; of a longer one the first `max` bytes.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn part_body(&self, part: &Part, max: u64) -> io::Result<Vec<u8>> {
        self.range(first(&part.body, max))
    }

    /// The same without its transfer encoding (RFC 2045 §6). Of an unknown encoding it stays as it is.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn part_content(&self, part: &Part, max: u64) -> io::Result<Vec<u8>> {
        Ok(transfer::decoded(part, self.part_body(part, max)?))
    }

    /// The content of one of its parts as text, whatever charset it claims.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn part_text(&self, part: &Part, max: u64) -> io::Result<String> {
        Ok(transfer::in_charset(part, self.part_content(part, max)?))
    }

    /// The same; none where its transfer encoding or its charset is not known, or its bytes are none of that charset.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn part_known_text(&self, part: &Part, max: u64) -> io::Result<Option<String>> {
        let known = ["7bit", "8bit", "binary", "base64", "quoted-printable"];
        if part.encoding.as_deref().is_some_and(|word| !known.contains(&word)) {
            return Ok(None);
        }
        Ok(transfer::in_known_charset(part, self.part_content(part, max)?))
    }

    /// What stands before the first and behind the last part of a multipart (RFC 2046 §5.1.1), of each the first
    /// `max` bytes. Where no part was found in it, its whole body stands before.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn around_parts(&self, index: usize, max: u64) -> io::Result<[Vec<u8>; 2]> {
        let structure = self.structure();
        let Some(part) = structure.parts.get(index) else {
            return Ok([Vec::new(), Vec::new()]);
        };
        let children: Vec<&Part> = structure.children(index).map(|child| &structure.parts[child]).collect();
        let (Some(first_child), Some(last_child)) = (children.first(), children.last()) else {
            return Ok([self.part_body(part, max)?, Vec::new()]);
        };
        // A delimiter that could be longer is not found as one.
        let line = Limits::default().parameters as u64;
        let before = part.body.start..first_child.header.start;
        let mut prologue = self.range(first(&before, max))?;
        if before.end - before.start <= max {
            without_delimiter(&mut prologue);
        }
        // Where parts were left out, they stand behind the last one that is known.
        if structure.truncated.is_some() {
            return Ok([prologue, Vec::new()]);
        }
        let after = last_child.body.end..part.body.end.max(last_child.body.end);
        let epilogue = self.range(first(&after, max.saturating_add(line)))?;
        Ok([prologue, behind_delimiter(epilogue)])
    }
}

fn first(range: &Range<u64>, max: u64) -> Range<u64> {
    range.start..range.end.min(range.start.saturating_add(max))
}

// delimiter := CRLF "--" boundary, and its line end: the last line, with the line end before it.
fn without_delimiter(text: &mut Vec<u8>) {
    let end = text.len().saturating_sub(1);
    let line = memchr::memrchr(b'\n', &text[..end]).map_or(0, |at| at + 1);
    text.truncate(line);
    if text.ends_with(b"\n") {
        text.pop();
    }
    if text.ends_with(b"\r") {
        text.pop();
    }
}

// A line end, the line of the close-delimiter, and what comes then.
fn behind_delimiter(text: Vec<u8>) -> Vec<u8> {
    let start = match text.as_slice() {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => 0,
    };
    match memchr::memchr(b'\n', &text[start..]) {
        Some(end) => text[start + end + 1..].to_vec(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIXED: &str = "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npre\r\nface\r\n--b\r\nX: y\r\n\
        Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9\r\n\
        --b\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nM\r\n--b\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\
        x\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n/w==\r\n--b--\r\nepi\r\n";

    #[test]
    fn reads_parts() {
        let message = Message::from_bytes(MIXED);
        let part = |index: usize| &message.structure().parts[index];
        let header = message.part_header(part(1)).unwrap();
        assert_eq!(header.fields().map(|field| field.name()).collect::<Vec<_>>().len(), 3);
        assert_eq!(message.part_body(part(1), 4).unwrap(), b"caf=");
        assert_eq!(message.part_content(part(1), 100).unwrap(), b"caf\xe9");
        assert_eq!(message.part_text(part(1), 100).unwrap(), "café");
        let known = |index| message.part_known_text(part(index), 100).unwrap();
        assert_eq!(known(1).as_deref(), Some("café"));
        assert_eq!([known(2), known(3), known(4)], [None, None, None]);
        assert_eq!(message.part_text(part(3), 100).unwrap(), "x");
    }

    #[test]
    fn reads_what_stands_around_parts() {
        let head = "Content-Type: multipart/mixed; boundary=b\n\n";
        for (body, before, after) in [
            ("pre\n--b\n\nx\n--b--\nepi\n", "pre", "epi\n"),
            ("pre\n\n--b\n\nx\n--b--", "pre\n", ""),
            ("--b\n\nx\n--b--\n", "", ""),
            ("\n--b\n\nx", "", ""),
            ("nothing", "nothing", ""),
            ("a\r\nb\r\n--b\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--\r\nc", "a\r\nb", "c"),
            ("--b\n--b--\nepi", "", "epi"),
        ] {
            let message = Message::from_bytes(format!("{head}{body}"));
            let around = message.around_parts(0, 1000).unwrap();
            assert_eq!(around, [before.as_bytes(), after.as_bytes()], "{body:?}");
        }
        let message = Message::from_bytes(format!("{head}{}\n--b\n\nx", "y".repeat(100)));
        assert_eq!(message.around_parts(0, 10).unwrap()[0], b"yyyyyyyyyy");
        assert_eq!(message.around_parts(7, 10).unwrap(), [b"", b""]);
    }

    proptest! {
        #[test]
        fn nothing_panics(lines in proptest::collection::vec(prop_oneof![
            Just("Content-Type: multipart/mixed; boundary=a"), Just("content-type: message/rfc822"), Just("--a"),
            Just("--a--"), Just(""), Just("x"), Just("Content-Transfer-Encoding: base64"),
        ], 0..20), end in prop_oneof![Just("\n"), Just("\r\n")]) {
            let message = Message::from_bytes(lines.join(end));
            for (index, part) in message.structure().parts.iter().enumerate() {
                message.part_header(part).unwrap();
                message.part_text(part, 10).unwrap();
                message.part_known_text(part, 100).unwrap();
                message.around_parts(index, 100).unwrap();
            }
        }
    }
}
