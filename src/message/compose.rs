//! A message made of pieces of another one and of new bytes: what a filter has edited.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::intake::Intake;
use super::lines::CHUNK;
use super::message::Message;
use super::spool::{Bytes, Stretch};
use super::structure::Limits;

/// Bytes up to which such a message is put together in memory; a larger one shares the bytes of the other.
const MEMORY: u64 = 256 * 1024;

/// A piece of a message that is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// New bytes.
    Text(Vec<u8>),
    /// Bytes of the other message, counted from its start.
    Own(Range<u64>),
}

impl Message {
    /// Another message, made of pieces of this one and of new bytes. It is read once, from its start to its
    /// end, and came when this one came.
    ///
    /// # Errors
    /// Where a piece cannot be read.
    pub fn composed(&self, pieces: Vec<Piece>) -> io::Result<Message> {
        let mut stretches = Vec::with_capacity(pieces.len());
        let mut size = 0;
        for piece in pieces {
            match piece {
                Piece::Text(text) => {
                    let range = 0..text.len() as u64;
                    push(&mut stretches, &mut size, &Arc::new(Bytes::Memory(text, None)), range);
                }
                Piece::Own(range) => {
                    let end = range.end.min(self.size());
                    self.push_own(&mut stretches, &mut size, range.start.min(end)..end);
                }
            }
        }
        let pieces = Bytes::Pieces(stretches);
        let message = if size <= MEMORY {
            let bytes = whole(&pieces, size)?;
            let mut intake = Intake::with_digest(&Limits::default());
            intake.feed(&bytes);
            Message::new(Bytes::Memory(bytes, None), intake.finish())
        } else {
            let mut intake = Intake::with_digest(&Limits::default());
            read(&pieces, size, |bytes| intake.feed(bytes))?;
            Message::new(pieces, intake.finish())
        };
        Ok(message.with_time_of(self))
    }

    // What is made of pieces itself gives those, so that no read goes through many layers.
    fn push_own(&self, to: &mut Vec<Stretch>, size: &mut u64, range: Range<u64>) {
        let Bytes::Pieces(own) = &**self.bytes_of() else {
            return push(to, size, self.bytes_of(), range);
        };
        for stretch in own {
            let length = stretch.range.end - stretch.range.start;
            let start = range.start.saturating_sub(stretch.at).min(length);
            let end = range.end.saturating_sub(stretch.at).min(length);
            let from = stretch.range.start;
            push(to, size, &stretch.bytes, from + start..from + end);
        }
    }
}

fn push(to: &mut Vec<Stretch>, size: &mut u64, bytes: &Arc<Bytes>, range: Range<u64>) {
    let length = range.end.saturating_sub(range.start);
    if length > 0 {
        to.push(Stretch {
            at: *size,
            bytes: Arc::clone(bytes),
            range,
        });
        *size += length;
    }
}

fn whole(bytes: &Bytes, size: u64) -> io::Result<Vec<u8>> {
    let mut whole = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    read(bytes, size, |chunk| whole.extend_from_slice(chunk))?;
    Ok(whole)
}

fn read(bytes: &Bytes, size: u64, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while at < size {
        let wanted = usize::try_from(size - at).unwrap_or(usize::MAX).min(CHUNK);
        match bytes.read_at(at, &mut buffer[..wanted])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                take(&buffer[..length]);
                at += length as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn bytes(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.reader().read_to_end(&mut bytes).unwrap();
        assert_eq!(message.bytes().unwrap().as_ref(), bytes);
        assert_eq!(message.digest(), Message::from_bytes(bytes.clone()).digest());
        bytes
    }

    #[test]
    fn pieces_make_a_message() {
        let one = Message::from_bytes("A: b\n\nbody\n");
        let text = |text: &str| Piece::Text(text.into());
        let backward = Piece::Own(Range { start: 9, end: 3 });
        for (pieces, expected) in [
            (vec![], ""),
            (vec![Piece::Own(0..1000)], "A: b\n\nbody\n"),
            (vec![text("X: y\n"), Piece::Own(0..11)], "X: y\nA: b\n\nbody\n"),
            (vec![Piece::Own(5..6), text(""), backward, text("x")], "\nx"),
        ] {
            let message = one.composed(pieces).unwrap();
            assert_eq!(bytes(&message), expected.as_bytes());
            assert_eq!(message.received(), one.received());
        }
        let edited = one.composed(vec![text("X: y\n"), Piece::Own(0..11)]).unwrap();
        assert_eq!(edited.header().count("X"), 1);
    }

    #[test]
    fn large_ones_share_their_bytes() {
        let body = "0123456789\n".repeat(100_000);
        let first = Message::from_bytes(format!("A: b\n\n{body}"));
        let mut message = first.clone();
        let mut expected = bytes(&first);
        for round in 0..20u64 {
            let line = format!("X{round}: y\n");
            let size = message.size();
            let pieces = vec![
                Piece::Text(line.clone().into()),
                Piece::Own(0..1000),
                Piece::Own(1500..size - round),
            ];
            message = message.composed(pieces).unwrap();
            let end = expected.len() - round as usize;
            expected = [line.as_bytes(), &expected[..1000], &expected[1500..end]].concat();
        }
        assert!(bytes(&message) == expected);
        let Bytes::Pieces(stretches) = &**message.bytes_of() else {
            panic!("in memory");
        };
        assert!(stretches.iter().all(|it| !matches!(&*it.bytes, Bytes::Pieces(_))));
    }

    proptest! {
        #[test]
        fn any_pieces(cuts in proptest::collection::vec((0u64..300_000, 0u64..300_000), 0..6)) {
            let text: Vec<u8> = (0..290_000u32).map(|n| (n % 251) as u8).collect();
            let message = Message::from_bytes(text.clone());
            let pieces = cuts.iter().map(|(start, end)| Piece::Own(*start..*end)).collect();
            let made = message.composed(pieces).unwrap();
            let expected: Vec<u8> = cuts.iter().flat_map(|(start, end)| {
                let end = (*end as usize).min(text.len());
                text[(*start as usize).min(end)..end].to_vec()
            }).collect();
            prop_assert!(bytes(&made) == expected);
        }
    }
}
