//! One message, immutable, shared by all its recipients.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::header::Header;
use super::intake::{Intake, Learnt};
use super::lines::LineCount;
use super::spool::Bytes;
use super::structure::{Limits, Structure};
use super::summary::message_id;

/// A received message. Cloning is cheap: the clones share the bytes and all that is known of them.
#[derive(Clone)]
pub struct Message {
    bytes: Arc<Bytes>,
    learnt: Arc<Learnt>,
    copies: Arc<Copies>,
    received: SystemTime,
}

/// Files with the letters of one message, as far as they may be shared.
pub type Copies = Mutex<Vec<Written>>;

/// A file to which a letter was written, durably.
#[derive(Debug)]
pub struct Written {
    /// The trace fields before the message.
    pub trace: Vec<u8>,
    /// The file, under whatever name.
    pub file: File,
    /// The SHA-256 of its bytes.
    pub digest: [u8; 32],
}

impl Message {
    pub(super) fn new(bytes: Bytes, learnt: Learnt) -> Message {
        Message {
            bytes: Arc::new(bytes),
            learnt: Arc::new(learnt),
            copies: Arc::default(),
            received: SystemTime::now(),
        }
    }

    /// A message held in memory, read within the default [`Limits`].
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Message {
        let bytes = bytes.into();
        let mut intake = Intake::with_digest(&Limits::default());
        intake.feed(&bytes);
        Message::new(Bytes::Memory(bytes, None), intake.finish())
    }

    #[cfg(test)]
    pub(super) fn is_in_memory(&self) -> bool {
        matches!(&*self.bytes, Bytes::Memory(..))
    }

    /// When the last of it came: one time for all its recipients, so that their copies are alike.
    #[must_use]
    pub fn received(&self) -> SystemTime {
        self.received
    }

    /// The same message, which came at another time: before it was handed to this process.
    #[must_use]
    pub fn came_at(mut self, received: SystemTime) -> Message {
        self.received = received;
        self
    }

    /// A file with its bytes, from which another process can take it over, and which that cannot change: the one in which
    /// it lies, or a new one in memory.
    ///
    /// # Errors
    /// Where the system has no file to give.
    pub fn to_file(&self) -> io::Result<File> {
        self.bytes.to_file()
    }

    pub(super) fn copies(&self) -> &Copies {
        &self.copies
    }

    /// Bytes as received.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.learnt.lines.size
    }

    /// Bytes once every LF without CR has become CRLF.
    #[must_use]
    pub fn crlf_size(&self) -> u64 {
        self.learnt.lines.crlf_size()
    }

    /// Whether every line ends in CRLF, so that the CRs can be left out and put back
    /// without a trace. Not so for an empty message, an unfinished last line, or a line
    /// that ends in CR CR LF.
    #[must_use]
    pub fn all_crlf(&self) -> bool {
        self.learnt.lines.all_crlf()
    }

    /// How many lines end in LF without CR.
    #[must_use]
    pub fn bare_lf(&self) -> u64 {
        self.learnt.lines.bare_lf
    }

    /// How its lines end: as the first of them does, in CRLF where there is none.
    #[must_use]
    pub fn line_end(&self) -> &'static str {
        match self.learnt.lines.first {
            Some(false) => "\n",
            Some(true) | None => "\r\n",
        }
    }

    pub(super) fn bytes_of(&self) -> &Arc<Bytes> {
        &self.bytes
    }

    pub(super) fn with_time_of(self, other: &Message) -> Message {
        Message {
            received: other.received,
            ..self
        }
    }

    pub(super) fn lines(&self) -> &LineCount {
        &self.learnt.lines
    }

    /// The header fields.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.learnt.header
    }

    /// The Message-ID, as the [`Summary`](super::Summary) has it; read once for all clones.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        let id = self.learnt.message_id.get_or_init(|| message_id(self.header()));
        id.as_deref()
    }

    /// The MIME parts.
    #[must_use]
    pub fn structure(&self) -> &Structure {
        &self.learnt.structure
    }

    /// SHA-256 of all bytes but the fields that an MTA adds for each attempt:
    /// Return-Path, Envelope-to and Delivery-date.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.learnt.digest
    }

    /// Whether [`parse_whole`](super::parse_whole) and others built on mail-parser may
    /// read the whole message: at most 200 parts, 20 levels, a header of 256 KiB, fields of
    /// 64 KiB, and nothing hidden in it that would send that parser astray. Where not,
    /// [`tamed_header`](Message::tamed_header) is what they may read.
    #[must_use]
    pub fn safe_for_parsers(&self) -> bool {
        self.learnt.safe
    }

    /// The header and an empty line, cut down to what any parser survives: see [`Header::tamed`].
    #[must_use]
    pub fn tamed_header(&self) -> Vec<u8> {
        self.header().tamed()
    }

    /// Its bytes that lie in memory and not in a file.
    #[must_use]
    pub fn held(&self) -> usize {
        self.bytes.held()
    }

    /// Reads from the start, independently of other readers.
    #[must_use]
    pub fn reader(&self) -> MessageReader {
        MessageReader {
            bytes: Arc::clone(&self.bytes),
            offset: 0,
        }
    }

    /// The bytes of a range, as far as they are there.
    ///
    /// # Errors
    /// Where its file cannot be read.
    pub fn range(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let length = range.end.min(self.size()).saturating_sub(range.start);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let mut reader = self.reader();
        reader.offset = range.start;
        reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The whole message in memory; borrowed where it lies there.
    ///
    /// # Errors
    /// Where its file cannot be read.
    pub fn bytes(&self) -> io::Result<Cow<'_, [u8]>> {
        self.head(usize::MAX)
    }

    /// Its first `length` bytes, or all where it is shorter.
    ///
    /// # Errors
    /// Where its file cannot be read.
    pub fn head(&self, length: usize) -> io::Result<Cow<'_, [u8]>> {
        if let Bytes::Memory(bytes, _) = &*self.bytes {
            return Ok(Cow::Borrowed(&bytes[..length.min(bytes.len())]));
        }
        let length = length.min(usize::try_from(self.size()).unwrap_or(usize::MAX));
        let mut bytes = vec![0; length];
        self.reader().read_exact(&mut bytes)?;
        Ok(Cow::Owned(bytes))
    }
}

/// Clones of one message are equal; two messages that came are not, even where their bytes are.
impl PartialEq for Message {
    fn eq(&self, other: &Message) -> bool {
        Arc::ptr_eq(&self.bytes, &other.bytes)
    }
}

impl Eq for Message {}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({} bytes)", self.size())
    }
}

/// Reads a [`Message`] from its start.
#[derive(Clone, Debug)]
pub struct MessageReader {
    bytes: Arc<Bytes>,
    offset: u64,
}

impl Read for MessageReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.bytes.read_at(self.offset, buffer)?;
        self.offset += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_digest_leaves_out_what_attempts_add() {
        let digest = |text: &str| Message::from_bytes(text).digest();
        let plain = digest("Subject: x\r\n\r\nReturn-Path: <a>\r\n");
        for same in [
            "Return-Path: <a>\r\nSubject: x\r\n\r\nReturn-Path: <a>\r\n",
            "return-path: <a>\r\n folded\r\nEnvelope-To: b\r\nSubject: x\r\nDelivery-date: y\r\n\r\nReturn-Path: <a>\r\n",
        ] {
            assert_eq!(digest(same), plain);
        }
        for other in [
            "Subject: x\r\n\r\nReturn-Path: <b>\r\n",
            "Subject: x\n\r\nReturn-Path: <a>\r\n",
            "Subject: x\r\nReceived: y\r\n\r\nReturn-Path: <a>\r\n",
        ] {
            assert_ne!(digest(other), plain);
        }
    }

    #[test]
    fn the_digest_of_plain_mail_is_sha256() {
        let text = b"A: b\n\nc\n";
        let sha = ring::digest::digest(&ring::digest::SHA256, text);
        assert_eq!(Message::from_bytes(&text[..]).digest(), sha.as_ref());
    }

    #[test]
    fn header_ends() {
        for (text, header, truncated) in [
            ("A: b\r\n\r\nbody", "A: b\r\n", false),
            ("A: b\n\nbody", "A: b\n", false),
            ("A: b\n", "A: b\n", false),
            ("A: b", "A: b", false),
            ("\nbody", "", false),
            ("", "", false),
        ] {
            let message = Message::from_bytes(text);
            assert_eq!(message.header().bytes(), header.as_bytes(), "{text:?}");
            assert_eq!(message.header().is_truncated(), truncated, "{text:?}");
            assert_eq!(message.structure().root().header, message.header().range());
        }
    }

    #[test]
    fn header_limit() {
        let text = "A: 1\nB: 2\n\nbody";
        for (limit, names, truncated) in [
            (0, &[][..], true),
            (4, &[], true),
            (5, &[], true),
            (9, &["A"], true),
            (10, &["A"], true),
            (11, &["A", "B"], false),
            (20, &["A", "B"], false),
        ] {
            let limits = Limits {
                header: limit,
                ..Limits::default()
            };
            for size in [1, 3, 100] {
                let mut intake = Intake::with_digest(&limits);
                text.as_bytes().chunks(size).for_each(|piece| intake.feed(piece));
                let learnt = intake.finish();
                let listed: Vec<_> = learnt.header.fields().map(|f| f.name().to_owned()).collect();
                assert_eq!(listed, names, "{limit}");
                assert_eq!(learnt.header.is_truncated(), truncated, "{limit}");
                assert_eq!(learnt.digest, Message::from_bytes(text).digest());
            }
        }
    }

    #[test]
    fn a_header_that_ends_at_the_limit_is_the_same_in_pieces() {
        let text = "A: b\nContent-Type: multipart/mixed; boundary=a\n--a\nContent-Type: text/plain";
        for limit in 40..60 {
            let limits = Limits {
                header: limit,
                ..Limits::default()
            };
            let learn = |size| {
                let mut intake = Intake::with_digest(&limits);
                text.as_bytes().chunks(size).for_each(|piece| intake.feed(piece));
                let learnt = intake.finish();
                (learnt.header, learnt.digest)
            };
            for size in 1..10 {
                assert_eq!(learn(usize::MAX), learn(size), "limit {limit}, pieces of {size}");
            }
        }
    }

    #[test]
    fn readers_are_independent() {
        let message = Message::from_bytes("abc");
        let (mut one, mut two) = (message.reader(), message.reader());
        let mut text = String::new();
        one.read_to_string(&mut text).unwrap();
        two.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcabc");
        assert_eq!(message.head(2).unwrap().as_ref(), b"ab");
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            lines in proptest::collection::vec(prop_oneof![
                Just("Content-Type: multipart/mixed; boundary=a"), Just("Return-Path: x"), Just("A: b"),
                Just("--a"), Just(""), Just(" x"), Just("x"), Just("From x"), Just("Content-Type: message/rfc822"),
            ], 0..12),
            crlf in any::<bool>(),
            limit in 0usize..100,
            size in 1usize..20,
        ) {
            let text = lines.join(if crlf { "\r\n" } else { "\n" });
            let limits = Limits { header: limit, ..Limits::default() };
            let learn = |size| {
                let mut intake = Intake::with_digest(&limits);
                text.as_bytes().chunks(size).for_each(|piece| intake.feed(piece));
                intake.finish()
            };
            let (whole, pieces) = (learn(usize::MAX), learn(size));
            prop_assert_eq!(&whole.header, &pieces.header);
            prop_assert_eq!(whole.structure, pieces.structure);
            prop_assert_eq!((whole.digest, whole.safe), (pieces.digest, pieces.safe));
        }
    }
}
