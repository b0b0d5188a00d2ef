//! The message as the script has changed it by now, and what tests read from its header.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::rc::Rc;

use super::matching::Value;
use super::run::Stop;
use crate::message::{Header, Message, text};

/// The message that tests look at and actions take.
pub(super) struct Subject<'a> {
    original: &'a Message,
    edited: Option<Edited>,
    /// Decoded values by name in lower case; emptied when the header changes.
    decoded: Vec<(Box<str>, Rc<[Value]>)>,
}

/// A message that differs from the one that came.
struct Edited {
    /// Where the body comes from.
    base: Message,
    /// The header in place of that of `base`, where it differs: fields, with or without an empty line.
    block: Option<(Vec<u8>, Header)>,
    message: OnceCell<Message>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(original: &'a Message) -> Subject<'a> {
        Subject {
            original,
            edited: None,
            decoded: Vec::new(),
        }
    }

    /// The header as it is now.
    pub(super) fn header(&self) -> &Header {
        match &self.edited {
            Some(Edited {
                block: Some((_, header)),
                ..
            }) => header,
            Some(edited) => edited.base.header(),
            None => self.original.header(),
        }
    }

    /// The decoded values of the fields of a name, in order (RFC 5228 §2.4.2.2, §5.7).
    pub(super) fn values(&mut self, name: &str) -> Rc<[Value]> {
        if let Some((_, values)) = self.decoded.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return Rc::clone(values);
        }
        let fields = self.header().all(name);
        let values: Rc<[Value]> = fields.map(|field| decoded(&field.unfolded()).into()).collect();
        self.decoded.push((name.into(), Rc::clone(&values)));
        values
    }

    /// Bytes of the message that came; of the edited one where it was edited.
    pub(super) fn size(&self) -> u64 {
        match &self.edited {
            None => self.original.size(),
            Some(Edited { base, block: None, .. }) => base.size(),
            Some(Edited {
                base,
                block: Some((block, _)),
                ..
            }) => {
                let body = base.structure().root().body.start;
                base.size().saturating_sub(body) + block.len() as u64 + 2
            }
        }
    }

    /// The message as it is now.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn message(&self) -> Result<Message, Stop> {
        let Some(edited) = &self.edited else {
            return Ok(self.original.clone());
        };
        let Some((block, _)) = &edited.block else {
            return Ok(edited.base.clone());
        };
        if let Some(message) = edited.message.get() {
            return Ok(message.clone());
        }
        let bytes = edited
            .base
            .bytes()
            .map_err(|error| Stop::error(format!("cannot read the message: {error}")))?;
        let body = usize::try_from(edited.base.structure().root().body.start).unwrap_or(usize::MAX);
        let mut whole = block.clone();
        whole.extend_from_slice(if block.ends_with(b"\r\n") || block.is_empty() {
            b"\r\n"
        } else {
            b"\n"
        });
        whole.extend_from_slice(bytes.get(body..).unwrap_or_default());
        let message = Message::from_bytes(whole);
        Ok(edited.message.get_or_init(|| message).clone())
    }

    /// The same; none where it is the one that came.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn edition(&self) -> Result<Option<Message>, Stop> {
        match &self.edited {
            None => Ok(None),
            Some(_) => self.message().map(Some),
        }
    }

    /// Puts another header in place: fields, each with its line end.
    #[expect(dead_code, reason = "editheader comes next")]
    pub(super) fn set_header(&mut self, block: Vec<u8>) {
        let complete = !self.header().is_truncated();
        let header = Header::of_block(&block, complete);
        let base = match self.edited.take() {
            Some(edited) => edited.base,
            None => self.original.clone(),
        };
        self.decoded.clear();
        self.edited = Some(Edited {
            base,
            block: Some((block, header)),
            message: OnceCell::new(),
        });
    }

    /// Puts another message in place.
    pub(super) fn set_message(&mut self, message: Message) {
        self.decoded.clear();
        self.edited = Some(Edited {
            base: message,
            block: None,
            message: OnceCell::new(),
        });
    }
}

/// A field's value: encoded words decoded, without white space around it.
pub(super) fn decoded(unfolded: &[u8]) -> Cow<'_, str> {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~');
    if unfolded.iter().all(plain)
        && !unfolded.windows(2).any(|pair| pair == b"=?")
        && let Ok(text) = std::str::from_utf8(unfolded)
    {
        return Cow::Borrowed(text.trim());
    }
    Cow::Owned(text(unfolded))
}
