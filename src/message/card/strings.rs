//! Strings as IMAP sends them: RFC 9051 §4.3, in the form that RFC 3501 knows, too.

use std::io::Write;

/// Bytes of a string that are sent where nothing else is said.
pub(super) const STRING_MAX: usize = 1000;

/// Appends a string, quoted where it can be, else a literal. At most `max` bytes of it, without
/// NULs; CR and LF become spaces.
pub(super) fn string(to: &mut Vec<u8>, text: &[u8], max: usize) {
    let text = cut(text, max);
    if text.is_ascii() {
        return quoted(to, text);
    }
    // RFC 9051 §9: literal = "{" number64 ["+"] "}" CRLF *CHAR8, and CHAR8 is no NUL.
    // RFC 3501 §9: QUOTED-CHAR is 7-bit.
    let bytes: Vec<u8> = sendable(text).collect();
    // Writing to memory cannot fail.
    let _ = write!(to, "{{{}}}\r\n", bytes.len());
    to.extend_from_slice(&bytes);
}

/// Appends a string, or NIL.
pub(super) fn nstring(to: &mut Vec<u8>, text: Option<&[u8]>, max: usize) {
    match text {
        Some(text) => string(to, text, max),
        None => to.extend_from_slice(b"NIL"),
    }
}

// RFC 9051 §9: quoted = DQUOTE *QUOTED-CHAR DQUOTE
fn quoted(to: &mut Vec<u8>, text: &[u8]) {
    to.push(b'"');
    for byte in sendable(text) {
        if matches!(byte, b'"' | b'\\') {
            to.push(b'\\');
        }
        to.push(byte);
    }
    to.push(b'"');
}

fn sendable(text: &[u8]) -> impl Iterator<Item = u8> {
    let kept = text.iter().filter(|byte| **byte != 0);
    kept.map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte })
}

/// The beginning of a text that does not end within a character of UTF-8.
fn cut(text: &[u8], max: usize) -> &[u8] {
    if text.len() <= max {
        return text;
    }
    let starts = (max.saturating_sub(3)..=max)
        .rev()
        .find(|at| text[*at] & 0b1100_0000 != 0b1000_0000);
    &text[..starts.unwrap_or(max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_strings() {
        for (text, sent) in [
            (&b""[..], &b"\"\""[..]),
            (b"a b", b"\"a b\""),
            (b"a\"\\b", b"\"a\\\"\\\\b\""),
            (b"a\rb\0c", b"\"a bc\""),
            (b"caf\xe9", b"{4}\r\ncaf\xe9"),
            (b"\xe9\0\n", b"{2}\r\n\xe9 "),
            (b"1234567890", b"\"12345678\""),
            ("1234567\u{e9}".as_bytes(), b"\"1234567\""),
            ("12345\u{20ac}x".as_bytes(), "{8}\r\n12345\u{20ac}".as_bytes()),
        ] {
            let mut out = Vec::new();
            string(&mut out, text, 8);
            assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(sent));
        }
    }
}
