//! All that is learnt of a message while its bytes pass once.

use std::io::{self, Read};
use std::sync::OnceLock;

use ring::digest::{Context, SHA256};

use super::header::Header;
use super::lines::{CHUNK, LineCount, read_some};
use super::scanner::Scanner;
use super::structure::{Limits, Structure};
use super::suspicion::Watch;

/// Fields that an MTA adds anew for each attempt, left out of the digest.
const PER_ATTEMPT: [&str; 3] = ["Return-Path", "Envelope-to", "Delivery-date"];

/// What is known of a file in a mailbox after reading it once.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// Bytes as stored.
    pub size: u64,
    /// Bytes as IMAP sends them, all lines ending in CRLF.
    pub crlf_size: u64,
    /// The header fields.
    pub header: Header,
    /// The MIME parts.
    pub structure: Structure,
    /// SHA-256 of all bytes as stored.
    pub digest: [u8; 32],
}

/// Reads a stored message from its start to its end.
///
/// # Errors
/// Whatever `from` returns; the content is never an error.
pub fn scan(mut from: impl Read, limits: &Limits) -> io::Result<Scanned> {
    let mut intake = Intake::new(limits);
    let mut digest = Context::new(&SHA256);
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = read_some(&mut from, &mut buffer)?;
        if length == 0 {
            break;
        }
        intake.feed(&buffer[..length]);
        digest.update(&buffer[..length]);
    }
    let learnt = intake.finish();
    Ok(Scanned {
        size: learnt.lines.size,
        crlf_size: learnt.lines.crlf_size(),
        header: learnt.header,
        structure: learnt.structure,
        digest: finished(digest),
    })
}

/// Takes a message in pieces.
pub(super) struct Intake {
    limits: Limits,
    scanner: Scanner,
    lines: LineCount,
    watch: Watch,
    head: Head,
    digest: Option<Context>,
}

/// The header, collected until its end or the limit is reached.
enum Head {
    Open(Vec<u8>),
    Done(Header),
}

/// What is known once all has been taken.
pub(super) struct Learnt {
    pub(super) lines: LineCount,
    pub(super) header: Header,
    pub(super) structure: Structure,
    /// Zeros where none was asked for.
    pub(super) digest: [u8; 32],
    pub(super) safe: bool,
    /// The Message-ID, once somebody asked for it.
    pub(super) message_id: OnceLock<Option<String>>,
}

impl Intake {
    pub(super) fn new(limits: &Limits) -> Intake {
        Intake {
            limits: limits.clone(),
            scanner: Scanner::new(limits),
            lines: LineCount::default(),
            watch: Watch::default(),
            head: Head::Open(Vec::new()),
            digest: None,
        }
    }

    pub(super) fn with_digest(limits: &Limits) -> Intake {
        Intake {
            digest: Some(Context::new(&SHA256)),
            ..Intake::new(limits)
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        // What is known where the limit is passed decides whether the header is whole: in
        // whatever pieces a message comes, one ends there.
        if let Head::Open(head) = &self.head
            && let Some((to_limit, rest)) = bytes.split_at_checked(self.limits.header.saturating_add(1) - head.len())
            && !rest.is_empty()
        {
            self.take(to_limit);
            return self.take(rest);
        }
        self.take(bytes);
    }

    fn take(&mut self, bytes: &[u8]) {
        self.lines.feed(bytes);
        self.watch.feed(bytes);
        self.scanner.feed(bytes);
        let mut rest = bytes;
        if let Head::Open(head) = &mut self.head {
            let end = self.scanner.root_end();
            let wanted = end
                .as_ref()
                .map_or(self.limits.header, |end| self.limits.header.min(clamped(end.end)));
            let (taken, after) = bytes.split_at(bytes.len().min(wanted.saturating_sub(head.len())));
            head.extend_from_slice(taken);
            rest = after;
            if end.is_some() || !rest.is_empty() {
                self.end_head();
            }
        }
        self.hash(rest);
    }

    fn end_head(&mut self) {
        let Head::Open(head) = &mut self.head else { return };
        let mut head = std::mem::take(head);
        // Without an end the message is all header.
        let size = self.lines.size;
        let end = self.scanner.root_end().unwrap_or(size..size);
        // A boundary that ends it is known only once its line has ended.
        let whole = head.len() as u64 >= end.end;
        let end = head.split_off(if whole { clamped(end.start) } else { head.len() });
        let header = Header::parse(head, self.limits.fields, !whole);
        if self.digest.is_some() {
            self.hash_header(&header);
        }
        self.hash(&end);
        self.head = Head::Done(header);
    }

    fn hash_header(&mut self, header: &Header) {
        let bytes = header.bytes();
        let mut from = 0;
        for field in header.fields() {
            if PER_ATTEMPT.iter().any(|name| field.is(name)) {
                let start = clamped(field.offset());
                self.hash(&bytes[from..start]);
                from = start + field.raw().len();
            }
        }
        self.hash(&bytes[from..]);
    }

    fn hash(&mut self, bytes: &[u8]) {
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
    }

    pub(super) fn finish(mut self) -> Learnt {
        self.end_head();
        let header = match self.head {
            Head::Done(header) => header,
            Head::Open(_) => Header::default(),
        };
        let (structure, traits) = self.scanner.finish();
        Learnt {
            safe: self.watch.finish(&header, &structure, traits),
            lines: self.lines,
            header,
            structure,
            digest: self.digest.map(finished).unwrap_or_default(),
            message_id: OnceLock::new(),
        }
    }
}

fn finished(context: Context) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

fn clamped(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
