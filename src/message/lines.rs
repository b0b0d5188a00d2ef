//! Line ends: counted as they pass, taken away for the mailbox, put back for IMAP.

use std::io::{self, Read, Write};

use memchr::{memchr, memchr_iter};

/// Bytes that are read, changed and written at a time.
pub(super) const CHUNK: usize = 64 * 1024;

/// Counts line ends in bytes that come in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LineCount {
    pub(super) size: u64,
    pub(super) crlf: u64,
    pub(super) bare_lf: u64,
    /// Line ends CR CR LF.
    pub(super) doubled: u64,
    /// Whether the first line ends in CRLF; none while there is no line end.
    pub(super) first: Option<bool>,
    last: [u8; 2],
}

impl LineCount {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for at in memchr_iter(b'\n', bytes) {
            let before = |back: usize| match at.checked_sub(back) {
                Some(at) => bytes[at],
                None => self.last[2 + at - back],
            };
            let crlf = before(1) == b'\r';
            if crlf {
                self.crlf += 1;
                self.doubled += u64::from(before(2) == b'\r');
            } else {
                self.bare_lf += 1;
            }
            self.first.get_or_insert(crlf);
        }
        self.size += bytes.len() as u64;
        match *bytes {
            [] => {}
            [last] => self.last = [self.last[1], last],
            [.., before, last] => self.last = [before, last],
        }
    }

    /// Whether every line ends in CRLF, so that the CRs can be left out and put back.
    pub(super) fn all_crlf(&self) -> bool {
        self.crlf > 0 && self.bare_lf == 0 && self.doubled == 0 && self.last == *b"\r\n"
    }

    /// The size once every LF without CR has become CRLF.
    pub(super) fn crlf_size(&self) -> u64 {
        self.size + self.bare_lf
    }
}

/// Writes a stored file as IMAP sends it: every LF without CR becomes CRLF, a lone CR stays.
///
/// # Errors
/// Whatever `from` and `to` return.
pub fn write_crlf(mut from: impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut input = vec![0; CHUNK];
    let mut output = Vec::with_capacity(CHUNK + CHUNK / 8);
    let mut last = 0;
    loop {
        let length = read_some(&mut from, &mut input)?;
        let bytes = &input[..length];
        let Some(&end) = bytes.last() else { return Ok(()) };
        output.clear();
        let mut start = 0;
        for at in memchr_iter(b'\n', bytes) {
            let before = if at == 0 { last } else { bytes[at - 1] };
            if before != b'\r' {
                output.extend_from_slice(&bytes[start..at]);
                output.push(b'\r');
                start = at;
            }
        }
        output.extend_from_slice(&bytes[start..]);
        to.write_all(&output)?;
        last = end;
    }
}

/// The same for bytes in memory.
pub(super) fn to_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    let mut start = 0;
    for at in memchr_iter(b'\n', bytes) {
        if at == 0 || bytes[at - 1] != b'\r' {
            out.extend_from_slice(&bytes[start..at]);
            out.push(b'\r');
            start = at;
        }
    }
    out.extend_from_slice(&bytes[start..]);
    out
}

/// Writes bytes all of whose lines end in CRLF with LF alone, so many at a time. Other CRs stay.
pub(super) fn write_lf(mut from: impl Read, to: &mut impl Write, piece: usize) -> io::Result<()> {
    let mut input = vec![0; piece];
    let mut output = Vec::with_capacity(piece + 1);
    let mut held = false;
    loop {
        let length = read_some(&mut from, &mut input)?;
        let mut bytes = &input[..length];
        output.clear();
        if held && bytes.first() != Some(&b'\n') {
            output.push(b'\r');
        }
        if bytes.is_empty() {
            return to.write_all(&output);
        }
        while let Some(at) = memchr(b'\n', bytes) {
            let line = &bytes[..at];
            output.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
            output.push(b'\n');
            bytes = &bytes[at + 1..];
        }
        held = bytes.ends_with(b"\r");
        output.extend_from_slice(bytes.strip_suffix(b"\r").unwrap_or(bytes));
        to.write_all(&output)?;
    }
}

pub(super) fn read_some(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reader that gives what it has in pieces of a few bytes.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len());
            (&self.0[..length]).read_exact(&mut buffer[..length])?;
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    #[test]
    fn puts_crs_where_none_are() {
        for (stored, sent) in [
            ("", ""),
            ("a\nb\n", "a\r\nb\r\n"),
            ("a\r\nb\nc", "a\r\nb\r\nc"),
            ("a\rb\n\n", "a\rb\r\n\r\n"),
            ("\r", "\r"),
        ] {
            for size in 1..4 {
                let mut out = Vec::new();
                write_crlf(Pieces(stored.as_bytes(), size), &mut out).unwrap();
                assert_eq!(String::from_utf8_lossy(&out), sent);
            }
            assert_eq!(to_crlf(stored.as_bytes()), sent.as_bytes());
        }
    }

    #[test]
    fn counts() {
        for (text, all, crlf, bare_lf) in [
            ("", false, 0, 0),
            ("a", false, 0, 0),
            ("a\r\n", true, 1, 0),
            ("a\r\nb", false, 1, 0),
            ("a\r\nb\n", false, 1, 1),
            ("a\rb\r\n", true, 1, 0),
            ("a\r\r\n", false, 1, 0),
            ("\r\n\r\n", true, 2, 0),
        ] {
            for size in 1..5 {
                let mut count = LineCount::default();
                text.as_bytes().chunks(size).for_each(|piece| count.feed(piece));
                assert_eq!(
                    (count.all_crlf(), count.crlf, count.bare_lf),
                    (all, crlf, bare_lf),
                    "{text:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn what_loses_its_crs_gets_them_back(text in "([ab\r]{0,3}\r\n){1,9}", size in 1usize..9) {
            let mut count = LineCount::default();
            count.feed(text.as_bytes());
            let (mut stored, mut sent) = (Vec::new(), Vec::new());
            write_lf(Pieces(text.as_bytes(), size), &mut stored, CHUNK).unwrap();
            prop_assert_eq!(stored.len() as u64, count.size - count.crlf);
            if count.all_crlf() {
                write_crlf(Pieces(&stored, size), &mut sent).unwrap();
                prop_assert_eq!(sent, text.as_bytes());
            }
        }
    }
}
