//! The lines of `dovecot-uidlist`: what Dovecot takes for one, and what we write.

use std::io;

use crate::mail::{Uid, UidValidity};

use super::{DiskError, UidListLock};

/// Bytes at either end of a list that are read for its first and its last line alone. A header is shorter,
/// or who reads the first bytes would take another one for it; file names have at most 255.
pub(super) const END: usize = 4096;
/// The keys of a header take no more: with its two numbers, which may grow, it stays below [`END`].
const LONGEST_KEYS: usize = END - 96;

/// Where a record stands in the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) uid: Uid,
    pub(super) keys: (usize, usize),
    pub(super) base: (usize, usize),
}

// The lines of new messages, and the next UID after them.
pub(super) fn to_lines(lock: &UidListLock, mut next: Uid, new: &[(Uid, &str)]) -> Result<(Vec<u8>, Uid), DiskError> {
    let refused = |reason: &'static str| {
        DiskError::at("append to", lock.folder().join("dovecot-uidlist"))(io::Error::new(
            io::ErrorKind::InvalidInput,
            reason,
        ))
    };
    let mut lines = Vec::new();
    for (uid, base) in new {
        let base = base.split(':').next().unwrap_or_default();
        if *uid < next {
            return Err(refused("the UID does not ascend"));
        }
        if base.is_empty() || base.contains(['/', '\n', '\r', '\0']) {
            return Err(refused("not a file name"));
        }
        next = uid.next().ok_or_else(|| refused("no UID is left"))?;
        lines.extend_from_slice(format!("{uid} :{base}\n").as_bytes());
    }
    Ok((lines, next))
}

/// The first line.
pub(super) struct Header {
    pub(super) version: u8,
    pub(super) validity: UidValidity,
    pub(super) next: Uid,
    pub(super) keys: Vec<Vec<u8>>,
}

impl Header {
    pub(super) fn parse(line: &[u8]) -> Result<Header, &'static str> {
        if line.len() >= END {
            return Err("the header is too long");
        }
        let (version, rest) = match line {
            [version @ (b'1' | b'3'), b' ', rest @ ..] => (version - b'0', rest),
            _ => return Err("not a version that is known"),
        };
        let mut fields = rest.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
        let mut keys = Vec::new();
        let (mut validity, mut next) = (0, 0);
        if version == 1 {
            validity = fields.next().map_or(0, number);
            next = fields.next().map_or(0, number);
        } else {
            for field in fields {
                match field[0] {
                    b'V' => validity = number(&field[1..]),
                    b'N' => next = number(&field[1..]),
                    b'G' if field.len() != 33 || !field[1..].iter().all(u8::is_ascii_hexdigit) => {
                        return Err("the GUID is not 32 hexadecimal digits");
                    }
                    _ => keys.push(field.to_vec()),
                }
            }
        }
        if keys.iter().map(|key| key.len() + 1).sum::<usize>() > LONGEST_KEYS {
            return Err("the header is too long");
        }
        Ok(Header {
            version,
            validity: UidValidity::new(validity).ok_or("no UIDVALIDITY")?,
            next: Uid::new(next).ok_or("no next UID")?,
            keys,
        })
    }
}

// One record; the spans count from the start of the line.
pub(super) fn parse_record(line: &[u8], version: u8) -> Result<Span, &'static str> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // Dovecot keeps the highest number for itself.
    let uid = Uid::new(number(&line[..digits])).filter(|uid| uid.value() < u32::MAX);
    let Some(uid) = uid.filter(|_| line.get(digits) == Some(&b' ')) else {
        return Err("no UID");
    };
    let spaces = |at: usize| at + line[at..].iter().take_while(|byte| **byte == b' ').count();
    let mut at = spaces(digits);
    let mut keys = (at, at);
    if version == 3 {
        while line.get(at).is_some_and(|byte| *byte != b':') {
            let end = at + line[at..].iter().take_while(|byte| **byte != b' ').count();
            keys.1 = end;
            at = spaces(end);
        }
        at = (at + 1).min(line.len());
    }
    let base = &line[at..];
    let base = &base[..memchr::memchr(b':', base).unwrap_or(base.len())];
    match (base.is_empty(), memchr::memchr(b'/', &line[at..])) {
        (false, None) => Ok(Span {
            uid,
            keys,
            base: (at, at + base.len()),
        }),
        (true, _) => Err("no file name"),
        (_, Some(_)) => Err("a file name with a slash"),
    }
}

// The number at the start; zero where there is none, or one that is too large.
fn number(text: &[u8]) -> u32 {
    let mut value: u32 = 0;
    for digit in text.iter().take_while(|byte| byte.is_ascii_digit()) {
        let next = value
            .checked_mul(10)
            .and_then(|it| it.checked_add(u32::from(digit - b'0')));
        match next {
            Some(next) => value = next,
            None => return 0,
        }
    }
    value
}
