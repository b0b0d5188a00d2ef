//! The bytes of a message and what is read from them.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::index::Delivery;
use crate::mail::EmailId;
use crate::maildir::DiskError;
use crate::message::{Card, Letter, Limits, scan};
use crate::store::StoreError;

/// What all copies of a message share.
#[derive(Debug)]
pub(super) struct Content {
    /// As they are stored.
    pub(super) bytes: Arc<[u8]>,
    /// Bytes with all lines ending in CRLF.
    pub(super) size: u64,
    pub(super) email_id: EmailId,
    pub(super) card: Card,
    /// The delivery that brought it.
    pub(super) delivery: Option<Delivery>,
}

impl Content {
    /// Of a message with or without the trace fields of a delivery.
    pub(super) fn of_letter(letter: &Letter) -> Result<Arc<Content>, StoreError> {
        let mut bytes = Vec::new();
        letter.write_to(&mut bytes).map_err(unread)?;
        let delivery = letter.received().map(|(id, reverse_path, recipient)| Delivery {
            id: id.to_string(),
            reverse_path: reverse_path.to_string(),
            recipient: recipient.map(ToString::to_string).unwrap_or_default(),
        });
        Content::of_bytes(bytes, delivery)
    }

    fn of_bytes(bytes: Vec<u8>, delivery: Option<Delivery>) -> Result<Arc<Content>, StoreError> {
        let scanned = scan(&bytes[..], &Limits::default()).map_err(unread)?;
        let card = Card::of_file(&scanned, |range| piece(&bytes, &range)).map_err(unread)?;
        Ok(Arc::new(Content {
            size: scanned.crlf_size,
            email_id: EmailId::of_digest(&scanned.digest),
            card,
            delivery,
            bytes: bytes.into(),
        }))
    }
}

fn piece(bytes: &[u8], range: &Range<u64>) -> io::Result<Vec<u8>> {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    let piece = bytes.get(at(range.start)..at(range.end));
    piece
        .map(<[u8]>::to_vec)
        .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

// A large message that is received lies in a file without a name.
fn unread(error: io::Error) -> StoreError {
    DiskError::at("read", "a received message")(error).into()
}
