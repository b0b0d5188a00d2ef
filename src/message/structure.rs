//! What the scanner says of a message: its MIME parts and where they lie.

use std::ops::Range;

use super::content::Parameter;

/// How far a message is looked into. Beyond a limit its bytes are kept, but not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the header in which fields are listed.
    pub header: usize,
    /// Fields that are listed.
    pub fields: usize,
    /// MIME parts, the message itself included.
    pub parts: usize,
    /// Multiparts and messages within one another.
    pub nesting: usize,
    /// Bytes of a boundary. RFC 2046 §5.1.1 allows 70; real mail has longer ones.
    pub boundary: usize,
    /// Bytes of one Content-* field, and of one line that may be a boundary.
    pub parameters: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header: 1024 * 1024,
            fields: 10_000,
            parts: 1000,
            nesting: 50,
            boundary: 200,
            parameters: 8 * 1024,
        }
    }
}

/// A limit that a message went beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// [`Limits::parts`]: later parts are not listed.
    Parts,
    /// [`Limits::nesting`]: what lies deeper is one part.
    Nesting,
    /// [`Limits::boundary`]: that multipart is one part.
    Boundary,
    /// [`Limits::parameters`], or too many parameters: the rest of them is not known.
    Parameters,
}

/// The MIME parts of a message, in the order in which they stand (RFC 2045, RFC 2046).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// The parts; the first is the message itself, and parents come before their children.
    pub parts: Vec<Part>,
    /// The first limit that was met, if any.
    pub truncated: Option<Bound>,
}

/// One MIME part. Offsets are bytes from the start of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The index of the multipart or message that holds it; none for the first.
    pub parent: Option<usize>,
    /// How many parts hold it.
    pub depth: usize,
    /// Content-Type before the slash, in lower case; the default of RFC 2045 §5.2 where there is none.
    pub kind: String,
    /// Content-Type after the slash, in lower case.
    pub subtype: String,
    /// Parameter `charset` of Content-Type.
    pub charset: Option<Parameter>,
    /// Parameter `name` of Content-Type.
    pub name: Option<Parameter>,
    /// Parameter `boundary` of Content-Type.
    pub boundary: Option<Vec<u8>>,
    /// Content-Disposition in lower case, without parameters (RFC 2183).
    pub disposition: Option<String>,
    /// Parameter `filename` of Content-Disposition.
    pub filename: Option<Parameter>,
    /// Content-Transfer-Encoding in lower case (RFC 2045 §6).
    pub encoding: Option<String>,
    /// Content-ID as written, with its angle brackets.
    pub id: Option<String>,
    /// The header, without the empty line that ends it.
    pub header: Range<u64>,
    /// The body, without the line end that belongs to the boundary after it.
    pub body: Range<u64>,
    /// Line ends in the body, as BODYSTRUCTURE counts lines (RFC 9051 §7.5.2).
    pub lines: u64,
    /// Bytes of the body once every line ends in CRLF.
    pub crlf_size: u64,
    /// The start of the header.
    pub header_start: Position,
    /// The start of the body.
    pub body_start: Position,
    /// The end of the body.
    pub body_end: Position,
    /// What BODYSTRUCTURE tells beyond the fields above.
    pub mime: Mime,
}

/// A place in a message, with what lies before it. The offset in another form of the message, with
/// other line ends, follows from these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes from the start of the message.
    pub offset: u64,
    /// Line ends, with CR or without.
    pub lines: u64,
    /// Line ends without CR.
    pub bare_lf: u64,
}

/// Fields of a part's header as they were written: unfolded, trimmed, not decoded. Of all parts
/// together 256 KiB are kept; of those beyond, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mime {
    /// The parameters of Content-Type, the sections of RFC 2231 §3 joined; an extended one's name ends in `*`.
    pub parameters: Vec<(String, Vec<u8>)>,
    /// The parameters of Content-Disposition, likewise.
    pub disposition_parameters: Vec<(String, Vec<u8>)>,
    /// Content-ID.
    pub id: Option<Vec<u8>>,
    /// Content-Description.
    pub description: Option<Vec<u8>>,
    /// Content-MD5 (RFC 1864).
    pub md5: Option<Vec<u8>>,
    /// Content-Language (RFC 3282).
    pub language: Option<Vec<u8>>,
    /// Content-Location (RFC 2557).
    pub location: Option<Vec<u8>>,
    /// The fields of ENVELOPE, where this is a message within the message: name in lower case, and value.
    pub envelope: Vec<(&'static str, Vec<u8>)>,
}

impl Mime {
    /// Bytes of all values.
    pub(super) fn size(&self) -> usize {
        let parameters = self.parameters.iter().chain(&self.disposition_parameters);
        let single = [&self.id, &self.description, &self.md5, &self.language, &self.location];
        parameters.map(|(name, value)| name.len() + value.len()).sum::<usize>()
            + single.into_iter().flatten().map(Vec::len).sum::<usize>()
            + self.envelope.iter().map(|(_, value)| value.len()).sum::<usize>()
    }
}

impl Structure {
    /// The message itself.
    ///
    /// Never missing: the scanner starts with it.
    #[must_use]
    pub fn root(&self) -> &Part {
        &self.parts[0]
    }

    /// The indices of the parts that `part` holds, in order.
    pub fn children(&self, part: usize) -> impl Iterator<Item = usize> {
        let rest = self.parts.iter().enumerate().skip(part + 1);
        rest.filter(move |(_, child)| child.parent == Some(part))
            .map(|(index, _)| index)
    }
}

impl Part {
    /// Whether the type is `kind/subtype`, both in lower case.
    #[must_use]
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind == kind && self.subtype == subtype
    }

    /// Whether it is a whole message, `message/rfc822` or `message/global` (RFC 6532 §3.7).
    #[must_use]
    pub fn is_message(&self) -> bool {
        self.kind == "message" && matches!(self.subtype.as_str(), "rfc822" | "global")
    }

    /// Whether the body stands as it is, without a transfer encoding.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        // RFC 2045 §6.1: 7bit is the default. Unknown words are read as if they were missing.
        !matches!(self.encoding.as_deref(), Some("base64" | "quoted-printable"))
    }
}
