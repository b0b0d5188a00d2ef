//! The message between DATA and the final dot: RFC 5321 §4.5.2, transparency.

use std::ops::Range;

use memchr::memmem;

/// Takes the message out of what follows DATA, in slices of the input itself.
///
/// The one rule for line ends: **only CR LF ends a line.** So only CR LF `.` CR LF
/// ends the message (or `.` CR LF as its very first line), and only a dot after a
/// true CR LF, or at the very start, was stuffed and is taken away. A CR or LF
/// alone is content like any other byte and is kept as it came: LF `.` LF,
/// LF `.` CR LF, CR LF `.` LF, CR `.` CR and the like are inside the message, whatever
/// another server may have taken them for. That leaves nothing to smuggle a second
/// message with.
#[derive(Clone, Debug, Default)]
pub struct DotDecoder {
    before: Before,
}

/// What stands before the next byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    /// Nothing yet, or CR LF.
    #[default]
    LineStart,
    /// A CR.
    Cr,
    /// Anything else.
    Other,
}

/// What the next bytes of the input are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DotEvent {
    /// Too few bytes to tell; show them again with more behind.
    NeedMore,
    /// This range of the input is content; all to its end is consumed.
    Content(Range<usize>),
    /// The message ended; so many bytes belong to its end.
    End(usize),
}

impl DotDecoder {
    /// A decoder that stands right behind DATA's CR LF.
    #[must_use]
    pub fn new() -> DotDecoder {
        DotDecoder::default()
    }

    /// What `input` begins with. At most two bytes are ever left waiting for more.
    pub fn next(&mut self, input: &[u8]) -> DotEvent {
        let start = match (self.before, input) {
            (_, []) | (Before::LineStart, [b'.'] | [b'.', b'\r']) => return DotEvent::NeedMore,
            (Before::LineStart, [b'.', b'\r', b'\n', ..]) => {
                *self = DotDecoder::new();
                return DotEvent::End(3);
            }
            // RFC 5321 §4.5.2: the first character is deleted where others follow on the line.
            (Before::LineStart, [b'.', ..]) => 1,
            _ => 0,
        };
        let lf_completes = self.before == Before::Cr && input[0] == b'\n';
        let rest = &input[start..];
        let length = match rest {
            [b'\n', b'.', ..] if lf_completes => 1,
            _ => memmem::find(rest, b"\r\n.").map_or(rest.len(), |at| at + 2),
        };
        self.before = match &rest[..length] {
            [b'\n'] if lf_completes => Before::LineStart,
            [.., b'\r', b'\n'] => Before::LineStart,
            [.., b'\r'] => Before::Cr,
            _ => Before::Other,
        };
        DotEvent::Content(start..start + length)
    }
}

/// What a [`DotEncoder`] does with a LF that has no CR before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnds {
    /// It becomes CR LF, as the protocol wants all lines (RFC 5321 §2.3.8). The
    /// choice towards servers that are not ours: some take LF for a line's end.
    #[default]
    Crlf,
    /// It stays. Only towards a server that keeps to [`DotDecoder`]'s rule.
    Verbatim,
}

/// Writes a message as it stands between DATA and the final dot.
#[derive(Clone, Debug)]
pub struct DotEncoder {
    line_ends: LineEnds,
    before: Before,
}

impl DotEncoder {
    /// An encoder at the start of a message.
    #[must_use]
    pub fn new(line_ends: LineEnds) -> DotEncoder {
        DotEncoder {
            line_ends,
            before: Before::LineStart,
        }
    }

    /// Appends the encoded form of the next piece, cut anywhere, to `out`.
    pub fn encode(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len());
        for line in piece.split_inclusive(|b| *b == b'\n') {
            self.encode_line(line, out);
        }
    }

    /// Appends a CR LF where the message does not end in one, and the final dot.
    pub fn finish(self, out: &mut Vec<u8>) {
        if self.before != Before::LineStart {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }

    // A line, or a part of one: no LF but as its last byte.
    fn encode_line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        if self.before == Before::LineStart && line.first() == Some(&b'.') {
            out.push(b'.');
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            out.extend_from_slice(line);
            self.before = if line.ends_with(b"\r") {
                Before::Cr
            } else {
                Before::Other
            };
            return;
        };
        let after_cr = if text.is_empty() {
            self.before == Before::Cr
        } else {
            text.ends_with(b"\r")
        };
        out.extend_from_slice(text);
        if !after_cr && self.line_ends == LineEnds::Crlf {
            out.push(b'\r');
        }
        out.push(b'\n');
        let ended = after_cr || self.line_ends == LineEnds::Crlf;
        self.before = if ended { Before::LineStart } else { Before::Other };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Content, whether it ended, and what is left over.
    fn decode(pieces: &[&[u8]]) -> (Vec<u8>, bool, Vec<u8>) {
        let (mut decoder, mut content, mut buffer) = (DotDecoder::new(), Vec::new(), Vec::new());
        for (at, piece) in pieces.iter().enumerate() {
            buffer.extend_from_slice(piece);
            loop {
                match decoder.next(&buffer) {
                    DotEvent::NeedMore => break,
                    DotEvent::Content(range) => {
                        content.extend_from_slice(&buffer[range.clone()]);
                        buffer.drain(..range.end);
                    }
                    DotEvent::End(length) => {
                        buffer.drain(..length);
                        buffer.extend(pieces[at + 1..].concat());
                        return (content, true, buffer);
                    }
                }
            }
            assert!(buffer.len() <= 2);
        }
        (content, false, buffer)
    }

    #[test]
    fn only_crlf_dot_crlf_ends() {
        for (wire, content, rest) in [
            (&b".\r\n"[..], &b""[..], &b""[..]),
            (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", b"QUIT\r\n"),
            (b"a\r\n..\r\n.\r\n", b"a\r\n.\r\n", b""),
            (b"..a\r\n.\r\n", b".a\r\n", b""),
            (b".a\r\n.\r\n", b"a\r\n", b""),
            (b"\r\n.\r\n", b"\r\n", b""),
            (b"a\n.\n\r\n.\r\n", b"a\n.\n\r\n", b""),
            (b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n", b""),
            (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\nb\r\n", b""),
            (b"a\r.\rb\r\n.\r\n", b"a\r.\rb\r\n", b""),
            (b"a\r\n.\rb\r\n.\r\n", b"a\r\n\rb\r\n", b""),
            (b"a\r\n.\r\r\n.\r\n", b"a\r\n\r\r\n", b""),
            (b"a\r.\r\nb\r\n.\r\n", b"a\r.\r\nb\r\n", b""),
            (b"a\n\r.\r\nb\r\n.\r\n", b"a\n\r.\r\nb\r\n", b""),
            (b"a\r\n\0.\r\n.\r\n", b"a\r\n\0.\r\n", b""),
            (b"a\r\r\n.\r\n", b"a\r\r\n", b""),
        ] {
            let expected = (content.to_vec(), true, rest.to_vec());
            assert_eq!(decode(&[wire]), expected, "{}", wire.escape_ascii());
            let bytes: Vec<&[u8]> = wire.chunks(1).collect();
            assert_eq!(decode(&bytes), expected, "{} byte by byte", wire.escape_ascii());
        }
        for wire in [
            &b"a\n.\n"[..],
            b"a\n.\r\n",
            b"a\r\n.\n",
            b"a\r.\r",
            b"a\r\n.\r",
            b"\n.\r\n",
            b"a.\r\n",
        ] {
            assert!(!decode(&[wire]).1, "{}", wire.escape_ascii());
        }
    }

    #[test]
    fn encodes() {
        for (message, crlf, verbatim) in [
            (&b""[..], &b".\r\n"[..], &b".\r\n"[..]),
            (b"a", b"a\r\n.\r\n", b"a\r\n.\r\n"),
            (b"a\n", b"a\r\n.\r\n", b"a\n\r\n.\r\n"),
            (b".\n.\r\n", b"..\r\n..\r\n.\r\n", b"..\n.\r\n.\r\n"),
            (b"a\r\n.b\r\n", b"a\r\n..b\r\n.\r\n", b"a\r\n..b\r\n.\r\n"),
            (b"a\r.\r\n", b"a\r.\r\n.\r\n", b"a\r.\r\n.\r\n"),
            (b"\r", b"\r\r\n.\r\n", b"\r\r\n.\r\n"),
        ] {
            for (line_ends, expected) in [(LineEnds::Crlf, crlf), (LineEnds::Verbatim, verbatim)] {
                let (mut whole, mut bytes) = (Vec::new(), Vec::new());
                let mut encoder = DotEncoder::new(line_ends);
                encoder.encode(message, &mut whole);
                encoder.finish(&mut whole);
                let mut encoder = DotEncoder::new(line_ends);
                message.chunks(1).for_each(|byte| encoder.encode(byte, &mut bytes));
                encoder.finish(&mut bytes);
                assert_eq!(whole.escape_ascii().to_string(), expected.escape_ascii().to_string());
                assert_eq!(bytes, whole);
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(message in "[a.\r\n]{0,40}", cut in 1usize..9) {
            let mut wire = Vec::new();
            let mut encoder = DotEncoder::new(LineEnds::Verbatim);
            encoder.encode(message.as_bytes(), &mut wire);
            encoder.finish(&mut wire);
            let ends = message.is_empty() || message.ends_with("\r\n");
            let expected = if ends { message } else { message + "\r\n" };
            let pieces: Vec<&[u8]> = wire.chunks(cut).collect();
            prop_assert_eq!(decode(&pieces), (expected.into_bytes(), true, Vec::new()));
        }
    }
}
