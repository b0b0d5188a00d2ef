//! Message files to read from, whether plain or compressed by Dovecot's zlib plugin.
//!
//! Dovecot compresses under the ordinary names, so only the first bytes tell. No message
//! begins with those of gzip, Zstandard or LZ4: a header field begins with printable
//! ASCII (RFC 5322 §2.2), and these do not, or not only. Those of bzip2 could be a field
//! name; they count where the ten bytes of its first block's head are there in full.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use tempfile::SpooledTempFile;

use super::{FileName, open_regular};

/// What is decompressed into memory; more goes into an unlinked file.
const IN_MEMORY: usize = 1 << 20;
/// What a compressed message whose name does not tell its size may have decompressed.
const LARGEST: u64 = 1 << 30;

/// A message opened to be read, from any place.
///
/// What is read is what was delivered: a compressed file was decompressed when it was opened.
#[derive(Debug)]
pub struct MessageFile(Source);

#[derive(Debug)]
enum Source {
    Plain(File),
    Decompressed(SpooledTempFile, u64),
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip (RFC 1952), which is read.
    Gzip,
    /// Zstandard (RFC 8878), which is read.
    Zstandard,
    /// bzip2, which is not read.
    Bzip2,
    /// LZ4 in Dovecot's framing, which is not read.
    Lz4,
    /// xz, which is not read.
    Xz,
}

impl Compression {
    /// What the first bytes of a file say; none for a plain message.
    #[must_use]
    pub fn detect(start: &[u8]) -> Option<Compression> {
        // RFC 1952 §2.3.1: ID1 ID2 CM, deflate being the only method.
        match start {
            [0x1f, 0x8b, 0x08, ..] => Some(Compression::Gzip),
            // RFC 8878 §3.1.1: the magic number, little-endian.
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Compression::Zstandard),
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y', ..] => Some(Compression::Bzip2),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Compression::Xz),
            _ if start.starts_with(b"Dovecot-LZ4\r\x2a\x9b\xc5") => Some(Compression::Lz4),
            _ => None,
        }
    }

    /// The name people know it by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Zstandard => "zstd",
            Compression::Bzip2 => "bzip2",
            Compression::Lz4 => "lz4",
            Compression::Xz => "xz",
        }
    }
}

/// A compressed message that cannot be read; the cause of an [`io::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressedError {
    /// A kind that is not read here.
    #[error("the message is compressed with {}, which is not read; Dovecot can save it anew with gzip or zstd", .0.as_str())]
    Unsupported(Compression),
    /// More came out than the name says, or than is allowed.
    #[error("decompressed, the message is longer than the {0} bytes it may have")]
    TooLong(u64),
}

/// Opens a message file. One that is compressed is decompressed into memory, or, beyond
/// 1 MiB, into an unlinked file in the system's folder for such; it may grow to the size
/// that its name tells (`S=`, before compression), or to 1 GiB where it tells none.
///
/// # Errors
/// The operating system's; `InvalidInput` for what is no regular file; `Unsupported` and
/// `InvalidData` with a [`CompressedError`] inside; `InvalidData` where what is compressed
/// is damaged.
pub fn open_message(path: &Path) -> io::Result<MessageFile> {
    let file = open_regular(path)?;
    let mut start = [0; 16];
    let length = file.read_at(&mut start, 0)?;
    let Some(compression) = Compression::detect(&start[..length]) else {
        return Ok(MessageFile(Source::Plain(file)));
    };
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let limit = FileName::parse(name).stored_size().unwrap_or(LARGEST).min(LARGEST);
    let (content, length) = decompress(compression, file, limit)?;
    Ok(MessageFile(Source::Decompressed(content, length)))
}

impl MessageFile {
    /// Whether the file on disk is compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        matches!(self.0, Source::Decompressed(..))
    }

    /// The bytes that can be read.
    ///
    /// # Errors
    /// Where the file cannot be examined.
    pub fn length(&self) -> io::Result<u64> {
        match &self.0 {
            Source::Plain(file) => Ok(file.metadata()?.len()),
            Source::Decompressed(_, length) => Ok(*length),
        }
    }
}

impl Read for MessageFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Source::Plain(file) => file.read(buffer),
            Source::Decompressed(content, _) => content.read(buffer),
        }
    }
}

impl Seek for MessageFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        match &mut self.0 {
            Source::Plain(file) => file.seek(position),
            Source::Decompressed(content, _) => content.seek(position),
        }
    }
}

fn decompress(compression: Compression, file: File, limit: u64) -> io::Result<(SpooledTempFile, u64)> {
    let mut file = io::BufReader::new(file);
    let mut content = SpooledTempFile::new(IN_MEMORY);
    let mut length = 0;
    match compression {
        Compression::Gzip => copy(
            flate2::bufread::MultiGzDecoder::new(file),
            &mut content,
            &mut length,
            limit,
        )?,
        Compression::Zstandard => {
            // RFC 8878 §3: one or more frames.
            while !io::BufRead::fill_buf(&mut file)?.is_empty() {
                let mut frame = ruzstd::decoding::StreamingDecoder::new(&mut file).map_err(damaged)?;
                copy(&mut frame, &mut content, &mut length, limit)?;
                // The checksum is optional, and compared by nobody else.
                let stored = frame.decoder.get_checksum_from_data();
                if stored.is_some() && stored != frame.decoder.get_calculated_checksum() {
                    return Err(damaged(io::Error::other("the checksum is not that of the message")));
                }
            }
        }
        other => {
            let error = CompressedError::Unsupported(other);
            return Err(io::Error::new(io::ErrorKind::Unsupported, error));
        }
    }
    content.rewind()?;
    Ok((content, length))
}

fn copy(mut from: impl Read, to: &mut SpooledTempFile, length: &mut u64, limit: u64) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // Of the file system's own errors only those have a number.
            Err(error) if error.raw_os_error().is_some() => return Err(error),
            Err(error) => return Err(damaged(error)),
        };
        *length += read as u64;
        if *length > limit {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                CompressedError::TooLong(limit),
            ));
        }
        to.write_all(&buffer[..read])?;
    }
}

fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn open(name: &str, content: &[u8]) -> io::Result<MessageFile> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(name);
        fs::write(&path, content).unwrap();
        open_message(&path)
    }

    fn text(length: usize) -> Vec<u8> {
        b"Subject: x\n\nbody of some words\n"
            .iter()
            .copied()
            .cycle()
            .take(length)
            .collect()
    }

    #[test]
    fn plain_and_compressed_files_read_alike() {
        for length in [0, 1, 5000, IN_MEMORY + 100_000] {
            let content = text(length);
            let two = [gzip(&content[..length / 2]), gzip(&content[length / 2..])].concat();
            let frames = [zstd(&content[..length / 2]), zstd(&content[length / 2..])].concat();
            for (stored, compressed) in [
                (content.clone(), false),
                (gzip(&content), true),
                (two, true),
                (zstd(&content), true),
                (frames, true),
            ] {
                for name in ["1.a.host:2,S", &format!("1.a.host,S={length}:2,")] {
                    let mut file = open(name, &stored).unwrap();
                    assert_eq!(file.is_compressed(), compressed);
                    assert_eq!(file.length().unwrap(), length as u64);
                    let mut read = Vec::new();
                    file.read_to_end(&mut read).unwrap();
                    assert!(read == content);
                    let from = (length / 3) as u64;
                    file.seek(SeekFrom::Start(from)).unwrap();
                    read.clear();
                    file.read_to_end(&mut read).unwrap();
                    assert!(read == content[length / 3..]);
                }
            }
        }
    }

    #[test]
    fn bombs_end_at_the_size_that_the_name_tells() {
        let content = vec![b'x'; 3 << 20];
        for stored in [gzip(&content), zstd(&content)] {
            let error = open("1.a.host,S=1000000:2,", &stored).unwrap_err();
            let cause = error.get_ref().unwrap().downcast_ref();
            assert_eq!(cause, Some(&CompressedError::TooLong(1_000_000)));
        }
    }

    #[test]
    fn what_is_not_read_says_so() {
        for (start, kind) in [
            (&b"BZh91AY&SY\x01\x02"[..], Compression::Bzip2),
            (b"Dovecot-LZ4\r\x2a\x9b\xc5\0", Compression::Lz4),
            (b"\xfd7zXZ\0\0", Compression::Xz),
        ] {
            let error = open("1.a.host", start).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(error.to_string().contains(kind.as_str()), "{error}");
        }
        // Header fields, if odd ones.
        for start in [&b"BZh9: x\n\n"[..], b"Dovecot-LZ4: x\n\n", b"\x1f\x8b", b""] {
            assert!(!open("1.a.host", start).unwrap().is_compressed(), "{start:?}");
        }
    }

    #[test]
    fn damaged_files_are_errors() {
        for stored in [gzip(&text(5000)), zstd(&text(5000))] {
            let error = open("1.a.host", &stored[..stored.len() / 2]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        assert!(open("1.a.host", b"\x28\xb5\x2f\xfd").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(zstandard: bool, tail in proptest::collection::vec(any::<u8>(), 0..60)) {
            let start: &[u8] = if zstandard { b"\x28\xb5\x2f\xfd" } else { b"\x1f\x8b\x08" };
            let _ = open("1.a.host,S=100000", &[start, &tail].concat());
        }
    }
}
