//! How a card is written down: named fields, many cards in a pack, all compressed.
//!
//! ```text
//! subject 11
//! Hello there
//! ```
//!
//! A field is its name, a space, the number of its bytes, a line feed, the bytes, a
//! line feed. A card is a list of fields; a pack is a list of fields named `card`.
//! Cards of a mailbox repeat one another (the same lists, the same servers), so that
//! together they take half of what each takes alone; docs/PERFORMANCE.md has the figures.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// Bytes that a pack may have once it is decompressed: a damaged one must not fill the memory.
const PACK_MAX: u64 = 64 * 1024 * 1024;

/// Fields being written.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    pub(super) fn put(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        // Writing into a vector cannot fail.
        let _ = writeln!(self.0, "{name} {}", value.len());
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// What stands in a column `card` or `cards`.
    pub(super) fn compressed(&self, level: u32) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::with_capacity(self.0.len() / 2), Compression::new(level));
        // Writing into a vector cannot fail.
        let _ = encoder.write_all(&self.0);
        encoder.finish().unwrap_or_default()
    }
}

/// The fields of a text, in order; ends where it is damaged.
pub(super) fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    std::iter::from_fn(move || {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (name, length) = std::str::from_utf8(&bytes[..end]).ok()?.split_once(' ')?;
        let length: usize = length.parse().ok()?;
        let (value, rest) = bytes[end + 1..].split_at_checked(length)?;
        bytes = rest.strip_prefix(b"\n")?;
        Some((name, value))
    })
}

/// Reads a column `card` or `cards`.
pub(super) fn decompress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(bytes.len() * 4);
    ZlibDecoder::new(bytes).take(PACK_MAX).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back() {
        let mut written = Fields::default();
        written.put("subject", "two\nlines");
        written.put("empty", b"");
        written.put("bytes", [0xff, b'\n', 0]);
        let text = decompress(&written.compressed(6)).unwrap();
        let read: Vec<_> = fields(&text).collect();
        assert_eq!(
            read,
            [
                ("subject", &b"two\nlines"[..]),
                ("empty", b""),
                ("bytes", &[0xff, b'\n', 0])
            ]
        );
        // What is cut off yields the fields before it.
        assert_eq!(fields(&text[..text.len() - 2]).count(), 2);
        assert_eq!(fields(b"subject 99999999999999999999\nx\n").count(), 0);
        assert!(decompress(b"no such thing").is_err());
    }
}
