//! mbox: many messages in one file, read whatever wrote it, and written as mboxrd.
//!
//! A message stands behind a line `From <sender> <date>` and before an empty line. Who wrote
//! the file decides what becomes of lines of a message that begin with `From `: mboxo puts
//! `>` before them, mboxrd before those that already have `>` too, mboxcl and mboxcl2 say in
//! a field Content-Length how far the message reaches, and mboxcl2 changes no line.
//!
//! Flags of a mailbox stand in header fields. What is written here begins each message with
//! exactly three fields, `Status`, `X-Status` and `X-Keywords`, which are not the message's
//! and are taken off again by whoever reads it here; those of other programs stay in the
//! message, and its flags are read from them. So what was written comes back byte for byte,
//! if only it ends with a line end: mbox cannot say that one is missing.

mod from_line;
mod reader;
mod status;

use std::io::{self, BufRead, BufReader, Read, Write};

use crate::mail::Flags;

pub use from_line::FromLine;
pub use reader::{Mbox, MboxForm, MboxMessage};
pub use status::status_flags;

/// Appends a message to an mbox as mboxrd: the line before it, its flags, its bytes with `>` before each line that
/// begins with `From ` behind any number of `>`, a line end where it has none, and an empty line.
///
/// # Errors
/// Whatever `message` and `to` return.
pub fn write_mbox(to: &mut impl Write, from_line: &FromLine, flags: &Flags, message: impl Read) -> io::Result<()> {
    to.write_all(from_line.to_string().as_bytes())?;
    to.write_all(status::Status::of(flags).to_string().as_bytes())?;
    let mut message = BufReader::with_capacity(super::lines::CHUNK, message);
    let (mut at_start, mut last) = (true, b'\n');
    loop {
        // Pieces of a line that is longer than the buffer are no new lines.
        let piece = message.fill_buf()?;
        if piece.is_empty() {
            break;
        }
        if at_start {
            last = quote(to, &mut message)?.unwrap_or(last);
            at_start = false;
            continue;
        }
        let end = memchr::memchr(b'\n', piece).map(|end| end + 1);
        let length = end.unwrap_or(piece.len());
        to.write_all(&piece[..length])?;
        last = piece[length - 1];
        at_start = end.is_some();
        message.consume(length);
    }
    to.write_all(if last == b'\n' { b"\n" } else { b"\n\n" })
}

// At the start of a line: writes as many `>` as there are, and one more where `From ` follows. Answers its last byte.
fn quote(to: &mut impl Write, message: &mut impl BufRead) -> io::Result<Option<u8>> {
    let mut start = Vec::with_capacity(8);
    loop {
        let piece = message.fill_buf()?;
        let Some(byte) = piece.first().copied() else { break };
        let quotes = start.iter().take_while(|byte| **byte == b'>').count();
        let wanted = reader::FROM.get(start.len() - quotes).copied();
        let fits = Some(byte) == wanted || (byte == b'>' && start.len() == quotes);
        if !fits {
            break;
        }
        message.consume(1);
        start.push(byte);
        if start.ends_with(reader::FROM) {
            to.write_all(b">")?;
            break;
        }
        // So many `>` are a line of their own.
        if start.len() == super::lines::CHUNK {
            break;
        }
    }
    to.write_all(&start)?;
    Ok(start.last().copied())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(bytes: &[u8]) -> std::fs::File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    pub(super) fn read(bytes: &[u8], form: MboxForm) -> Vec<(MboxMessage, Vec<u8>)> {
        let mut mbox = Mbox::open(file(bytes), form).unwrap();
        let mut messages = Vec::new();
        loop {
            let mut message = Vec::new();
            match mbox.next_message(&mut message).unwrap() {
                Some(found) => messages.push((found, message)),
                None => return messages,
            }
        }
    }

    fn from_line() -> FromLine {
        FromLine {
            sender: "ann@example.org".into(),
            date: Some(1_700_000_000),
        }
    }

    #[test]
    fn is_written_as_others_read_it() {
        let mut flags = Flags::new();
        for name in ["\\Seen", "\\Flagged", "$Work"] {
            flags.insert(name).unwrap();
        }
        let mut written = Vec::new();
        let message = b"Subject: x\n\nFrom here\n>From there\n>>Fro\nFrom";
        write_mbox(&mut written, &from_line(), &flags, &message[..]).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "From ann@example.org Tue Nov 14 22:13:20 2023\nStatus: RO\nX-Status: F\nX-Keywords: $Work\n\
             Subject: x\n\n>From here\n>>From there\n>>Fro\nFrom\n\n"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(
            messages in proptest::collection::vec("(>{0,2}(From )?[ a:\r]{0,3}(Status: x|X-Status: y|X-Keywords:)?\n){0,6}", 1..4),
        ) {
            let mut written = Vec::new();
            let mut flags = Flags::new();
            flags.insert("\\Answered").unwrap();
            for message in &messages {
                write_mbox(&mut written, &from_line(), &flags, message.as_bytes()).unwrap();
            }
            let back = read(&written, MboxForm::Any);
            prop_assert_eq!(back.len(), messages.len());
            for ((found, bytes), message) in back.iter().zip(&messages) {
                prop_assert_eq!(String::from_utf8_lossy(bytes), message.as_str());
                prop_assert_eq!(&found.flags, &Some(flags.clone()));
                prop_assert_eq!(&found.from_line, &from_line());
            }
        }
    }
}
