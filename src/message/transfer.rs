//! What a part's body says without its transfer encoding (RFC 2045 §6) and in UTF-8.
//!
//! Nothing here fails: what is wrong in an encoding stands for itself or is left out. All of it takes time by
//! the length of the body.

use mail_parser::decoders::charsets::map::charset_decoder;

use super::decode::parameter;
use super::structure::Part;

/// The body of a part without its transfer encoding.
pub(super) fn decoded(part: &Part, raw: Vec<u8>) -> Vec<u8> {
    match part.encoding.as_deref() {
        Some("base64") => base64(&raw),
        Some("quoted-printable") => quoted_printable(&raw),
        _ => raw,
    }
}

/// A body as text. What claims no charset, or ASCII, is often UTF-8, and else the Latin of old.
pub(super) fn in_charset(part: &Part, bytes: Vec<u8>) -> String {
    let charset = charset_of(part);
    let bytes = match (charset.as_str(), String::from_utf8(bytes)) {
        ("us-ascii" | "ascii" | "utf-8" | "utf8", Ok(text)) => return text,
        (_, Ok(text)) => text.into_bytes(),
        (_, Err(error)) => error.into_bytes(),
    };
    match charset_decoder(charset.as_bytes()) {
        Some(decode) => decode(&bytes),
        None => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

/// The same; none where the charset is not known, or the bytes are none of it. A part that says nothing is
/// not held to ASCII.
pub(super) fn in_known_charset(part: &Part, bytes: Vec<u8>) -> Option<String> {
    let charset = charset_of(part);
    if part.charset.is_none() || matches!(charset.as_str(), "us-ascii" | "ascii") {
        return Some(in_charset(part, bytes));
    }
    if matches!(charset.as_str(), "utf-8" | "utf8") {
        return String::from_utf8(bytes).ok();
    }
    let text = charset_decoder(charset.as_bytes())?(&bytes);
    (!text.contains(char::REPLACEMENT_CHARACTER)).then_some(text)
}

// RFC 2045 §5.2: us-ascii where none is named.
fn charset_of(part: &Part) -> String {
    let named = part.charset.as_ref().map(parameter);
    named.map_or("us-ascii".to_owned(), |name| name.to_ascii_lowercase())
}

// RFC 2045 §6.8: characters outside of the alphabet are ignored.
fn base64(raw: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(raw.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for byte in raw {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            // What was padded ends; more may follow.
            b'=' => {
                (bits, count) = (0, 0);
                continue;
            }
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

// RFC 2045 §6.7
fn quoted_printable(raw: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut at = 0;
    let digit = |at: usize| raw.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    while at < raw.len() {
        if raw[at] != b'=' {
            bytes.push(raw[at]);
            at += 1;
        } else if let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) {
            bytes.push((high * 16 + low) as u8);
            at += 3;
        } else {
            // A soft line break, which blanks may follow.
            let blanks = raw[at + 1..].iter().take_while(|byte| b" \t\r".contains(byte)).count();
            let end = at + 1 + blanks;
            match raw.get(end) {
                Some(b'\n') => at = end + 1,
                None => at = end,
                Some(_) => {
                    bytes.push(b'=');
                    at += 1;
                }
            }
        }
    }
    bytes
}
