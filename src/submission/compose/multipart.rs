//! What every report in several parts has (RFC 6522): the line before a part, and what it gives back of the
//! original's header.

use crate::message::Message;
use crate::submission::compose::{Fields, text};

/// Bytes of the original's header that are given back.
pub(super) const HEADER_MAX: usize = 64 * 1024;

/// Begins a part (RFC 2046 §5.1.1).
pub(super) fn part(fields: &mut Fields, boundary: &str) {
    fields.raw(format!("\r\n--{boundary}\r\n").as_bytes());
}

/// What stands behind the last part.
pub(super) fn end(boundary: &str) -> Vec<u8> {
    format!("\r\n--{boundary}--\r\n").into_bytes()
}

/// The header of the original up to its empty line; whole lines only, at most [`HEADER_MAX`]
/// bytes. None where it cannot be read again: the report stands without it (RFC 6522 §3).
pub(super) fn original_header(original: &Message) -> Option<Vec<u8>> {
    let head = original.head(HEADER_MAX).ok()?;
    let mut header = Vec::new();
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let is_whole = line.ends_with(b"\n");
        if !is_whole || line == b"\n" || line == b"\r\n" {
            break;
        }
        header.extend_from_slice(line);
    }
    Some(header)
}

/// The part that holds it. RFC 6522 §4: text/rfc822-headers, quoted-printable where broken headers need it;
/// RFC 6533 §6: message/global-headers.
pub(super) fn header_part(fields: &mut Fields, header: &[u8], global: bool) {
    let (encoding, body) = text::encode_bytes(header);
    let is_utf8 = global && !header.is_ascii() && std::str::from_utf8(header).is_ok();
    fields.plain(
        "Content-Type",
        if is_utf8 {
            "message/global-headers"
        } else {
            "text/rfc822-headers"
        },
    );
    fields.plain("Content-Transfer-Encoding", encoding);
    fields.end();
    fields.raw(&body);
}
