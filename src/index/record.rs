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
use std::sync::{Mutex, PoisonError};

use flate2::read::ZlibDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};

/// Bytes that a pack may have once it is decompressed: a damaged one must not fill the memory.
const PACK_MAX: u64 = 64 * 1024 * 1024;
/// Compressors that are kept for the next card, a quarter of a mebibyte each: as many as work at a time, about.
const SPARE: usize = 4;

// Making one anew clears more memory than a delivery otherwise touches.
static SPARES: Mutex<Vec<(u32, Compress)>> = Mutex::new(Vec::new());

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
        let mut compress = spare(level);
        let mut written = Vec::with_capacity(self.0.len() / 2 + 64);
        loop {
            // All of it is here already, so each round goes on where the last one had no room left.
            let read = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
            match compress.compress_vec(&self.0[read..], &mut written, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => break,
                Ok(_) => written.reserve(written.len().max(64)),
                // It fails only where it is used in a wrong order; a card that cannot be read is taken for an empty one.
                Err(_) => return Vec::new(),
            }
        }
        give_back(level, compress);
        written
    }
}

fn spare(level: u32) -> Compress {
    let mut spares = SPARES.lock().unwrap_or_else(PoisonError::into_inner);
    match spares.iter().position(|(of, _)| *of == level) {
        Some(at) => spares.swap_remove(at).1,
        None => Compress::new(Compression::new(level), true),
    }
}

fn give_back(level: u32, mut compress: Compress) {
    compress.reset();
    let mut spares = SPARES.lock().unwrap_or_else(PoisonError::into_inner);
    if spares.len() < SPARE {
        spares.push((level, compress));
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
        // A compressor is used again, whatever it compressed before.
        assert_eq!(written.compressed(6), written.compressed(6));
        let noise: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        let mut large = Fields::default();
        large.put("noise", &noise);
        for level in [1, 6] {
            let text = decompress(&large.compressed(level)).unwrap();
            assert_eq!(fields(&text).next(), Some(("noise", &noise[..])));
            assert_eq!(decompress(&written.compressed(level)).unwrap(), written.0);
        }
        // What is cut off yields the fields before it.
        assert_eq!(fields(&text[..text.len() - 2]).count(), 2);
        assert_eq!(fields(b"subject 99999999999999999999\nx\n").count(), 0);
        assert!(decompress(b"no such thing").is_err());
    }
}
