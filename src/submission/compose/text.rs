//! Text bodies: CRLF lines that any transport takes (RFC 2045 §6).

/// Characters of a quoted-printable line before its soft break (RFC 2045 §6.7 rule 5: 76 in all).
const QUOTED_LINE: usize = 75;

/// The transfer encoding and the encoded text, which is empty or ends in CRLF.
pub(super) fn encode(text: &str) -> (&'static str, Vec<u8>) {
    // NUL has no place in text; that there was something is not hidden.
    encode_bytes(text.replace('\0', "\u{fffd}").as_bytes())
}

/// The same for bytes that need not be UTF-8.
pub(super) fn encode_bytes(bytes: &[u8]) -> (&'static str, Vec<u8>) {
    let lines = lines(bytes);
    let is_plain = |line: &&[u8]| line.len() <= 78 && line.iter().all(|b| matches!(b, b' '..=b'~' | b'\t'));
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16);
    if lines.iter().all(is_plain) {
        for line in lines {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
        return ("7bit", out);
    }
    for line in lines {
        quote(line, &mut out);
    }
    ("quoted-printable", out)
}

/// The lines without their ends, be those CRLF, LF or CR.
fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest
            .iter()
            .position(|b| matches!(b, b'\r' | b'\n'))
            .unwrap_or(rest.len());
        lines.push(&rest[..end]);
        rest = &rest[end..];
        rest = rest.strip_prefix(b"\r\n").or(rest.get(1..)).unwrap_or_default();
    }
    lines
}

// RFC 2045 §6.7
fn quote(line: &[u8], out: &mut Vec<u8>) {
    let mut length = 0;
    for (at, byte) in line.iter().enumerate() {
        let literal = match byte {
            b'=' => false,
            b' ' | b'\t' => at + 1 < line.len(),
            byte => byte.is_ascii_graphic(),
        };
        if length + if literal { 1 } else { 3 } > QUOTED_LINE {
            out.extend_from_slice(b"=\r\n");
            length = 0;
        }
        if literal {
            out.push(*byte);
            length += 1;
        } else {
            out.extend_from_slice(format!("={byte:02X}").as_bytes());
            length += 3;
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes() {
        let long = "x".repeat(80);
        let broken = format!("{}=\r\n{}\r\n", "x".repeat(75), "x".repeat(5));
        for (text, encoding, encoded) in [
            ("", "7bit", ""),
            ("a\tb \n.\n", "7bit", "a\tb \r\n.\r\n"),
            ("a\rb\r\nc\n\nd", "7bit", "a\r\nb\r\nc\r\n\r\nd\r\n"),
            (
                "ä=\u{1} \n \nb c",
                "quoted-printable",
                "=C3=A4=3D=01=20\r\n=20\r\nb c\r\n",
            ),
            (&long, "quoted-printable", &broken),
            ("\0", "quoted-printable", "=EF=BF=BD\r\n"),
        ] {
            let (found, bytes) = encode(text);
            assert_eq!(
                (found, std::str::from_utf8(&bytes).unwrap()),
                (encoding, encoded),
                "{text:?}"
            );
        }
    }
}
