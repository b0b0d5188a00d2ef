//! The message as the script has changed it by now, and what tests read from its header.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::io;
use std::rc::Rc;

use super::entities::Entities;
use super::matching::Value;
use super::run::Stop;
use crate::message::{Header, Limits, Message, Piece, Structure, text};

/// The message that tests look at and actions take.
///
/// What was done to its header changes nothing in how its parts are read (RFC 5293 §7 allows that), until the
/// message itself is replaced.
pub(super) struct Subject<'a> {
    original: &'a Message,
    edited: Option<Edited>,
    /// The message as it was before it was enclosed (RFC 5703 §6); none where it was not, `Some(None)` where
    /// that is the one that came.
    enclosed: Option<Option<Message>>,
    /// Decoded values by name in lower case; emptied when the header changes.
    decoded: Vec<(Box<str>, Rc<[Value]>)>,
    /// What was read of its parts; emptied when they change.
    pub(super) entities: Entities,
}

/// A message that differs from the one that came.
struct Edited {
    /// Where the body and the parts come from.
    base: Message,
    /// The header in place of that of `base`, where it differs: fields, without the empty line.
    block: Option<(Vec<u8>, Header)>,
    message: OnceCell<Message>,
}

impl<'a> Subject<'a> {
    /// A message that came, as scripts before this one left it.
    pub(super) fn new(original: &'a Message, edition: Option<&Message>) -> Subject<'a> {
        let mut subject = Subject {
            original,
            edited: None,
            enclosed: None,
            decoded: Vec::new(),
            entities: Entities::default(),
        };
        if let Some(edition) = edition {
            subject.set_message(edition.clone());
        }
        subject
    }

    /// The message whose parts tests look at: its header may differ from [`Subject::header`].
    pub(super) fn base(&self) -> &Message {
        self.edited.as_ref().map_or(self.original, |edited| &edited.base)
    }

    /// The parts of the message.
    pub(super) fn structure(&self) -> &Structure {
        self.base().structure()
    }

    /// The index behind the last part within a part.
    pub(super) fn end_of_part(&self, index: usize) -> usize {
        let parts = &self.structure().parts;
        let Some(part) = parts.get(index) else { return index + 1 };
        let after = parts[index + 1..].iter().position(|other| other.depth <= part.depth);
        after.map_or(parts.len(), |after| index + 1 + after)
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
        let base = self.base();
        match self.block() {
            None => base.size(),
            Some(block) => {
                let body = base.size().saturating_sub(base.structure().root().body.start);
                block.len() as u64 + self.empty_line().len() as u64 + body
            }
        }
    }

    /// All bytes of the header as it is now, without the empty line.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub(super) fn header_block(&self) -> Result<Cow<'_, [u8]>, Stop> {
        if let Some(block) = self.block() {
            return Ok(Cow::Borrowed(block));
        }
        let base = self.base();
        let kept = base.header().bytes();
        let end = base.structure().root().header.end;
        if kept.len() as u64 == end {
            return Ok(Cow::Borrowed(kept));
        }
        base.head(usize::try_from(end).unwrap_or(usize::MAX))
            .map_err(unreadable)
    }

    /// The header and the empty line, to stand before the body of [`Subject::base`].
    ///
    /// # Errors
    /// Where they cannot be read.
    pub(super) fn head(&self) -> Result<Piece, Stop> {
        Ok(match self.block() {
            None => Piece::Own(0..self.base().structure().root().body.start),
            Some(block) => Piece::Text([block, self.empty_line().as_bytes()].concat()),
        })
    }

    // Nothing stands between the header and the body of a message that has no body.
    fn empty_line(&self) -> &'static str {
        let base = self.base();
        let root = base.structure().root();
        let header_only = root.body.start == root.header.end && root.body.start == base.size();
        if header_only { "" } else { base.line_end() }
    }

    fn block(&self) -> Option<&[u8]> {
        let (block, _) = self.edited.as_ref()?.block.as_ref()?;
        Some(block)
    }

    /// The message as it is now.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn message(&self) -> Result<Message, Stop> {
        let Some(edited) = &self.edited else {
            return Ok(self.original.clone());
        };
        if edited.block.is_none() {
            return Ok(edited.base.clone());
        }
        if let Some(message) = edited.message.get() {
            return Ok(message.clone());
        }
        let base = &edited.base;
        let body = base.structure().root().body.start;
        let pieces = vec![self.head()?, Piece::Own(body..base.size())];
        let message = base.composed(pieces).map_err(unreadable)?;
        Ok(edited.message.get_or_init(|| message).clone())
    }

    /// Whether [`Subject::message`] has to put the message together.
    pub(super) fn is_apart(&self) -> bool {
        let edited = self.edited.as_ref();
        edited.is_some_and(|edited| edited.block.is_some() && edited.message.get().is_none())
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

    /// The message less its enclosures, for what they do not affect (RFC 5703 §6).
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn open_edition(&self) -> Result<Option<Message>, Stop> {
        match &self.enclosed {
            Some(before) => Ok(before.clone()),
            None => self.edition(),
        }
    }

    /// Puts another header in place: fields, each with its line end.
    pub(super) fn set_header(&mut self, block: Vec<u8>) {
        let header = parsed(&block);
        let base = self.base().clone();
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
        self.entities = Entities::default();
        self.edited = Some(Edited {
            base: message,
            block: None,
            message: OnceCell::new(),
        });
    }

    /// Puts a message in place that encloses the one there is.
    ///
    /// # Errors
    /// Where that one cannot be read.
    pub(super) fn enclose(&mut self, message: Message) -> Result<(), Stop> {
        if self.enclosed.is_none() {
            self.enclosed = Some(self.edition()?);
        }
        self.set_message(message);
        Ok(())
    }
}

/// The message cannot be read: the script cannot go on.
pub(super) fn unreadable(error: io::Error) -> Stop {
    Stop::error(format!("cannot read the message: {error}"))
}

/// The fields of a header block, as far as they are listed in any message.
pub(super) fn parsed(block: &[u8]) -> Header {
    let limit = Limits::default().header;
    match block.get(..limit) {
        Some(beginning) if block.len() > limit => Header::of_block(beginning, false),
        _ => Header::of_block(block, true),
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
