//! What is said over a stream: a length of four bytes, the greatest first, and so many bytes.

use std::io::{self, Read, Write};

/// Says something.
///
/// # Errors
/// Where the other side is gone, or it is 4 GiB or more.
pub fn put(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(bytes)
}

/// Hears what [`put`] said, of `limit` bytes at most.
///
/// # Errors
/// Where the other side is gone, or says more.
pub fn take(stream: &mut impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more than was agreed"));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Whether an error says that the other side is gone.
#[must_use]
pub fn is_lost(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_heard() {
        let mut said = Vec::new();
        put(&mut said, b"one").unwrap();
        put(&mut said, b"").unwrap();
        let mut said = said.as_slice();
        assert_eq!(take(&mut said, 3).unwrap(), b"one");
        assert_eq!(take(&mut said, 0).unwrap(), b"");
        assert!(take(&mut said, 9).is_err(), "nothing more");
    }

    #[test]
    fn no_more_than_was_agreed() {
        let mut said = Vec::new();
        put(&mut said, b"four").unwrap();
        assert!(take(&mut said.as_slice(), 3).is_err());
        let long = u32::MAX.to_be_bytes();
        assert!(take(&mut long.as_slice(), 1 << 20).is_err());
        assert!(take(&mut &b"\0\0"[..], 1 << 20).is_err());
    }
}
