//! The card: what the index keeps of a message, so that a server opens the file only to send a body.
//!
//! `store` makes one of each [`Letter`] that it publishes and of each file that it finds; `index`
//! writes it down. Both ways give the same card: the places of the parts, counted while the message
//! was received, are turned into those of the file, and what is read of the body is read in the form
//! in which it is stored. Only the first pieces of a text are read again, for its preview.
//!
//! Nothing here fails but reading. What a hostile message holds is cut: ENVELOPE and BODYSTRUCTURE
//! stay within 64 KiB and stay valid, the header block within 1 MiB, the preview within 128 characters.

mod address_list;
mod body_structure;
mod envelope;
mod preview;
mod section;
mod sort_keys;
mod spans;
mod strings;

use std::io;
use std::ops::Range;

use memchr::memchr;

use super::decode::date;
use super::header::Header;
use super::intake::Scanned;
use super::letter::Letter;
use super::lines::to_crlf;
use super::structure::{Part, Position, Structure};
use super::summary::{Ids, Summary, has_attachment};

pub use body_structure::body;
pub use section::{NoSection, Section, SectionText};
pub use sort_keys::SortKeys;
pub use spans::{Extent, Place, Span};

/// Bytes of the header block that are kept.
const HEADER_MAX: usize = 1024 * 1024;

/// What the index keeps of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// Whether a part looks like an attachment to people.
    pub attachments: bool,
    /// BODYSTRUCTURE (RFC 9051 §7.5.2) with its extension data and parentheses, at most 64 KiB.
    ///
    /// After 40 KiB parts are told without parameters and extension data, and the last parts of each
    /// multipart not at all. Words of the grammar are in lower case; text without a charset is `us-ascii`;
    /// parameters in sections (RFC 2231) are joined. A multipart without parts, and a message that is encoded
    /// or lies too deep, holds one empty text. `message/global` is told as IMAP4rev2 does, with an envelope.
    pub body_structure: Vec<u8>,
    /// PREVIEW (RFC 8970): the beginning of the text, at most 128 characters on one line.
    pub preview: String,
    /// Where the message and its parts lie, in the order in which they stand; the message itself comes first.
    pub parts: Vec<Span>,
    /// Whether no limit was met. Else the message may have parts that `parts` does not name, nor BODYSTRUCTURE.
    pub parts_complete: bool,
    /// The header as IMAP sends it: all lines end in CRLF, with the empty line, where there is one. Of
    /// a longer header the lines that begin it, at most 1 MiB.
    pub header: Vec<u8>,
    /// Whether `header` is all of it.
    pub header_complete: bool,
}

impl Card {
    /// Makes the card of a letter, as it will be stored.
    ///
    /// # Errors
    /// Where the message cannot be read; a piece of it is, for the preview.
    pub fn of_letter(letter: &Letter) -> io::Result<Card> {
        let message = letter.message();
        let form = Form::of(letter);
        let raw = [letter.trace(), message.header().bytes()].concat();
        Card::make(&raw, message.header(), message.structure(), form, |part| {
            form.read_stored(part.body.clone(), preview::PIECE, |range| message.range(range))
        })
    }

    /// Makes the card of a file that was [scanned](super::scan). `read` gives bytes of the file; it is asked for at
    /// most three pieces of 16 KiB. Bytes that are not there any more are left out.
    ///
    /// # Errors
    /// Whatever `read` returns.
    pub fn of_file(scanned: &Scanned, read: impl Fn(Range<u64>) -> io::Result<Vec<u8>>) -> io::Result<Card> {
        let form = Form::default();
        let header = &scanned.header;
        Card::make(header.bytes(), header, &scanned.structure, form, |part| {
            form.read_stored(part.body.clone(), preview::PIECE, &read)
        })
    }

    /// The place of a [`Section`] (RFC 9051 §6.4.5), in the file and in what IMAP sends; none where
    /// there is no such part.
    #[must_use]
    pub fn section(&self, section: &Section) -> Option<Extent> {
        section.find(&self.parts)
    }

    /// The header's fields. Reading them takes a few microseconds, as does what follows; it is not kept beside
    /// the header, because it would take half as much room again as the header does compressed.
    #[must_use]
    pub fn fields(&self) -> Header {
        Header::of_block(&self.header, self.header_complete)
    }

    /// ENVELOPE (RFC 9051 §7.5.2) with its parentheses, at most 64 KiB.
    ///
    /// What holds 8-bit bytes is a literal, so that it may be sent to clients of both IMAP4rev1 and
    /// IMAP4rev2. Encoded words stay as they are, folds are taken out, NULs are left out. Of fields that
    /// stand twice the first counts. A mailbox without a domain has an empty one, since NIL would begin a
    /// group. Of a field that is too long the first addresses are told, at most 1,000.
    #[must_use]
    pub fn envelope(&self) -> Vec<u8> {
        let fields = self.fields();
        envelope::envelope(|name| Some(fields.first(name)?.unfolded()))
    }

    /// The decoded fields.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary::of_fields(&self.fields(), self.attachments)
    }

    /// The message ids that say to which thread it belongs.
    #[must_use]
    pub fn ids(&self) -> Ids {
        Ids::of_fields(&self.fields())
    }

    /// What SORT and THREAD compare (RFC 5256, RFC 5957).
    #[must_use]
    pub fn sort_keys(&self) -> SortKeys {
        SortKeys::of(&self.fields())
    }

    /// Date, in seconds since 1970.
    #[must_use]
    pub fn date(&self) -> Option<i64> {
        date(&self.fields().first("Date")?.unfolded())
    }

    /// BODY, which is BODYSTRUCTURE without extension data.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        body(&self.body_structure)
    }

    fn make(
        raw: &[u8],
        header: &Header,
        structure: &Structure,
        form: Form,
        piece: impl FnMut(&Part) -> io::Result<Vec<u8>>,
    ) -> io::Result<Card> {
        let root = structure.root();
        let block = Block::new(raw, header, root);
        let (parts, parts_complete) = spans::spans(structure, |position| form.place(position));
        Ok(Card {
            attachments: has_attachment(structure),
            body_structure: body_structure::body_structure(structure),
            preview: preview::preview(structure, piece)?,
            parts,
            parts_complete: parts_complete && structure.truncated.is_none(),
            header: block.bytes,
            header_complete: block.complete,
        })
    }
}

/// The header block with its line ends made CRLF.
struct Block {
    bytes: Vec<u8>,
    complete: bool,
}

impl Block {
    /// Of the bytes of a header as they lie before the body, without the empty line.
    fn new(raw: &[u8], header: &Header, root: &Part) -> Block {
        let mut bytes = to_crlf(raw);
        let whole = header.bytes().len() as u64 == root.header.end - root.header.start;
        let complete = whole && bytes.len() <= HEADER_MAX;
        if !complete {
            bytes.truncate(HEADER_MAX);
            bytes.truncate(memchr::memrchr(b'\n', &bytes).map_or(0, |end| end + 1));
        }
        let empty = if complete && root.body.start > root.header.end {
            2
        } else {
            0
        };
        bytes.extend_from_slice(&b"\r\n"[..empty]);
        Block { bytes, complete }
    }
}

/// How the places in a message that was scanned become those of the stored file.
#[derive(Clone, Copy, Default)]
struct Form {
    /// Bytes of the trace fields, as stored and with CRLF.
    before: Place,
    /// Whether the CRs of its line ends are left out.
    without_cr: bool,
}

impl Form {
    fn of(letter: &Letter) -> Form {
        Form {
            before: Place {
                stored: letter.trace().len() as u64,
                crlf: letter.trace_crlf_size(),
            },
            without_cr: letter.message().all_crlf(),
        }
    }

    fn place(self, position: Position) -> Place {
        let left_out = if self.without_cr { position.lines } else { 0 };
        Place {
            stored: self.before.stored + position.offset - left_out,
            crlf: self.before.crlf + position.offset + position.bare_lf,
        }
    }

    /// The first bytes of a range, which begins a line, in the stored form.
    fn read_stored(
        self,
        range: Range<u64>,
        length: usize,
        read: impl Fn(Range<u64>) -> io::Result<Vec<u8>>,
    ) -> io::Result<Vec<u8>> {
        // A line end is two bytes at most, so twice the length is enough.
        let wanted = if self.without_cr { 2 * length } else { length } as u64;
        let mut bytes = read(range.start..range.end.min(range.start + wanted))?;
        if self.without_cr {
            without_cr(&mut bytes);
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// Takes the CR away from each CRLF.
fn without_cr(bytes: &mut Vec<u8>) {
    let (mut kept, mut start) = (0, 0);
    while let Some(found) = memchr(b'\n', &bytes[start..]) {
        let end = start + found;
        let line = end - usize::from(end > start && bytes[end - 1] == b'\r');
        bytes.copy_within(start..line, kept);
        kept += line - start;
        bytes[kept] = b'\n';
        kept += 1;
        start = end + 1;
    }
    bytes.copy_within(start.., kept);
    bytes.truncate(kept + bytes.len() - start);
}

#[cfg(test)]
mod tests;
