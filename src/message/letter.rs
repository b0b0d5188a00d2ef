//! A message as it is written into a mailbox: our trace fields, then the message.

use std::io::{self, Write};

use super::lines::{CHUNK, read_some, write_lf};
use super::message::{Copies, Message};
use super::trace::Trace;
use crate::mail::{Address, DeliveryId, ReversePath};

/// A message with the trace fields of one delivery before it.
///
/// A message all of whose lines end in CRLF is written with LF, any other byte for byte;
/// the trace fields end their lines as its first line does.
#[derive(Clone, Debug)]
pub struct Letter {
    message: Message,
    trace: Vec<u8>,
    trace_crlf_size: u64,
    received: Option<(DeliveryId, ReversePath, Option<Address>)>,
    /// Whether the same bytes may be those of another recipient.
    shared: bool,
}

impl Letter {
    /// Puts trace fields before a message.
    #[must_use]
    pub fn new(message: Message, trace: &Trace) -> Letter {
        let received = trace.received.as_ref().map(|received| {
            let recipient = received.recipient.as_ref().or(trace.delivered_to.as_ref());
            (received.id.clone(), trace.return_path.clone(), recipient.cloned())
        });
        let named = [&trace.original_to, &trace.delivered_to]
            .into_iter()
            .any(Option::is_some);
        let shared = matches!(&received, Some((_, _, None))) && !named;
        let mut trace = trace.to_bytes();
        let trace_crlf_size = trace.len() as u64;
        if message.all_crlf() || message.lines().first != Some(true) {
            trace.retain(|byte| *byte != b'\r');
        }
        Letter {
            message,
            trace,
            trace_crlf_size,
            received,
            shared,
        }
    }

    /// A message by itself, as APPEND brings it.
    #[must_use]
    pub fn plain(message: Message) -> Letter {
        Letter {
            message,
            trace: Vec::new(),
            trace_crlf_size: 0,
            received: None,
            shared: false,
        }
    }

    /// The same for a recipient whom the trace fields do not name.
    #[must_use]
    pub fn to(mut self, recipient: &Address) -> Letter {
        if let Some((_, _, named)) = &mut self.received {
            *named = Some(recipient.clone());
        }
        self
    }

    /// Where a store notes the file of this letter, so that other recipients of the same bytes get links to
    /// it; none where the trace fields name the recipient, so that nobody else has the same.
    #[must_use]
    pub fn copies(&self) -> Option<&Copies> {
        self.shared.then(|| self.message.copies())
    }

    /// The delivery that brings it: its id, the reverse path, and the recipient where it is known.
    #[must_use]
    pub fn received(&self) -> Option<(&DeliveryId, &ReversePath, Option<&Address>)> {
        let (id, reverse_path, recipient) = self.received.as_ref()?;
        Some((id, reverse_path, recipient.as_ref()))
    }

    /// Bytes that [`write_to`](Letter::write_to) writes: `S=` of the file name.
    #[must_use]
    pub fn stored_size(&self) -> u64 {
        let lines = self.message.lines();
        let dropped = if self.message.all_crlf() { lines.crlf } else { 0 };
        self.trace.len() as u64 + lines.size - dropped
    }

    /// Bytes once every line ends in CRLF, as IMAP counts: `W=` of the file name.
    #[must_use]
    pub fn crlf_size(&self) -> u64 {
        self.trace_crlf_size + self.message.crlf_size()
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The trace fields as they are written.
    #[must_use]
    pub fn trace(&self) -> &[u8] {
        &self.trace
    }

    /// Bytes of the trace fields once every line ends in CRLF.
    pub(super) fn trace_crlf_size(&self) -> u64 {
        self.trace_crlf_size
    }

    /// Writes the letter.
    ///
    /// # Errors
    /// Where the message cannot be read or `to` fails; then part of it has been written.
    pub fn write_to(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.trace)?;
        let mut reader = self.message.reader();
        // A small message is read at once, and the end of it with one byte more.
        let piece = usize::try_from(self.message.lines().size).map_or(CHUNK, |size| CHUNK.min(size + 1));
        if self.message.all_crlf() {
            return write_lf(reader, to, piece);
        }
        let mut buffer = vec![0; piece];
        loop {
            match read_some(&mut reader, &mut buffer)? {
                0 => return Ok(()),
                length => to.write_all(&buffer[..length])?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{scan, write_crlf};
    use super::*;
    use crate::mail::ReversePath;
    use crate::message::Limits;

    fn trace() -> Trace {
        Trace {
            return_path: ReversePath::Null,
            received: None,
            original_to: None,
            delivered_to: Some("ann@example.org".parse().unwrap()),
            extra: Vec::new(),
        }
    }

    fn stored(text: &[u8]) -> (Letter, Vec<u8>) {
        let letter = Letter::new(Message::from_bytes(text), &trace());
        let mut out = Vec::new();
        letter.write_to(&mut out).unwrap();
        (letter, out)
    }

    #[test]
    fn lines() {
        for (received, kept) in [
            (
                "A: b\r\n\r\nc\r\n",
                "Return-Path: <>\nDelivered-To: ann@example.org\nA: b\n\nc\n",
            ),
            (
                "A: b\n\nc\n",
                "Return-Path: <>\nDelivered-To: ann@example.org\nA: b\n\nc\n",
            ),
            (
                "A: b\r\n\r\nc",
                "Return-Path: <>\r\nDelivered-To: ann@example.org\r\nA: b\r\n\r\nc",
            ),
            (
                "A: b\r\n\nc\r\n",
                "Return-Path: <>\r\nDelivered-To: ann@example.org\r\nA: b\r\n\nc\r\n",
            ),
            ("", "Return-Path: <>\nDelivered-To: ann@example.org\n"),
        ] {
            assert_eq!(String::from_utf8_lossy(&stored(received.as_bytes()).1), kept);
        }
    }

    proptest! {
        #[test]
        fn sizes_are_what_is_written(text in "([abc:-]{0,4}(\r\n|\n|\r|\r\r\n)?){0,20}") {
            let (letter, out) = stored(text.as_bytes());
            prop_assert_eq!(letter.stored_size(), out.len() as u64);
            let mut sent = Vec::new();
            write_crlf(&out[..], &mut sent).unwrap();
            prop_assert_eq!(letter.crlf_size(), sent.len() as u64);
            let scanned = scan(&out[..], &Limits::default()).unwrap();
            prop_assert_eq!((scanned.size, scanned.crlf_size), (letter.stored_size(), letter.crlf_size()));
            if letter.message().all_crlf() {
                prop_assert_eq!(sent, [&trace().to_bytes(), text.as_bytes()].concat());
            }
        }
    }
}
