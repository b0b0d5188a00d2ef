//! The text of a message that a search looks at.

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use super::decode::{parameter, text};
use super::header::Header;
use super::html::text_of_html;
use super::structure::{Part, Structure};
use super::transfer::{self, in_charset};
use super::words::{Needle, fold_into, words};

/// Bytes of decoded text of the body that are searched.
const BODY_MAX: usize = 1024 * 1024;
/// Bytes of a message that are read for that.
const READ_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of the header's text, and of the attachments' names.
const HEADER_MAX: usize = 256 * 1024;
/// Bytes of the header of a message within the message that are read.
const NESTED_MAX: u64 = 64 * 1024;

/// Where to look, as the keys of IMAP's SEARCH have it (RFC 9051 §6.4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The header fields of the message, one at a time: `name: value`, the value decoded. A
    /// text that HEADER, FROM or SUBJECT finds is here, too.
    Header,
    /// BODY: the text parts, decoded, of HTML what is seen, and who wrote what to whom in
    /// messages within the message.
    Body,
    /// TEXT: all of these, and the names of attachments.
    Text,
}

/// The decoded, folded text of one message, for comparing only: at most 1 MiB of the body,
/// 256 KiB of the header and as much of file names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    header: String,
    body: String,
    names: String,
    cut: bool,
}

impl Text {
    /// Reads the text parts of a message whose header and structure are known.
    ///
    /// # Errors
    /// Whatever `from` returns; content that cannot be decoded is left out.
    pub fn read(header: &Header, structure: &Structure, from: &mut (impl Read + Seek)) -> io::Result<Text> {
        let mut reading = Reading {
            text: Text::default(),
            from,
            left: READ_MAX,
        };
        reading.text.cut = header.is_truncated() || structure.truncated.is_some();
        for field in header.fields() {
            let line = format!("{}: {}", field.name(), text(&field.unfolded()));
            reading.text.cut |= !add(&mut reading.text.header, &line, HEADER_MAX);
        }
        for part in &structure.parts {
            let nested = part.parent.is_some_and(|parent| structure.parts[parent].is_message());
            if nested {
                reading.nested(part)?;
            }
            if let Some(name) = part.filename.as_ref().or(part.name.as_ref()) {
                reading.text.cut |= !add(&mut reading.text.names, &parameter(name), HEADER_MAX);
            }
            if is_text(part) {
                reading.leaf(part)?;
            }
        }
        Ok(reading.text)
    }

    /// Whether the needle is in it.
    #[must_use]
    pub fn contains(&self, scope: Scope, needle: &Needle) -> bool {
        let all = [&self.header, &self.body, &self.names];
        let looked_at = match scope {
            Scope::Header => &all[..1],
            Scope::Body => &all[1..2],
            Scope::Text => &all[..],
        };
        looked_at.iter().any(|text| text.contains(needle.as_str()))
    }

    /// Whether the message goes on beyond the bounds, where nothing is found.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// The distinct words of the header, the body and the names.
    pub(crate) fn words(&self) -> [HashSet<&str>; 3] {
        [words(&self.header), words(&self.body), words(&self.names)]
    }
}

// Text parts, and reports such as message/delivery-status, which are lines of text.
fn is_text(part: &Part) -> bool {
    let report = part.kind == "message" && !matches!(part.subtype.as_str(), "partial" | "external-body");
    part.kind == "text" || (report && !part.is_message())
}

// Adds one text, kept apart from the others; whether all of it had room.
fn add(to: &mut String, text: &str, max: usize) -> bool {
    let room = max.saturating_sub(to.len());
    let kept = &text[..text.floor_char_boundary(room)];
    fold_into(kept, to);
    to.push('\n');
    kept.len() == text.len()
}

struct Reading<'a, R> {
    text: Text,
    from: &'a mut R,
    left: u64,
}

impl<R: Read + Seek> Reading<'_, R> {
    fn bytes(&mut self, range: &Range<u64>, max: u64) -> io::Result<Vec<u8>> {
        let wanted = range.end.saturating_sub(range.start);
        let length = wanted.min(max).min(self.left);
        self.text.cut |= length < wanted;
        self.left -= length;
        let mut bytes = Vec::new();
        self.from.seek(SeekFrom::Start(range.start))?;
        self.from.by_ref().take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn nested(&mut self, part: &Part) -> io::Result<()> {
        let bytes = self.bytes(&part.header, NESTED_MAX)?;
        let header = Header::parse(bytes, 1000, false);
        for name in ["From", "To", "Cc", "Subject"] {
            for field in header.all(name) {
                self.text.cut |= !add(&mut self.text.body, &text(&field.unfolded()), BODY_MAX);
            }
        }
        Ok(())
    }

    fn leaf(&mut self, part: &Part) -> io::Result<()> {
        if self.text.body.len() >= BODY_MAX {
            self.text.cut |= !part.body.is_empty();
            return Ok(());
        }
        let raw = self.bytes(&part.body, READ_MAX)?;
        let mut decoded = in_charset(part, transfer::decoded(part, raw));
        if part.is("text", "html") {
            decoded = text_of_html(&decoded);
        }
        self.text.cut |= !add(&mut self.text.body, &decoded, BODY_MAX);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::super::{Limits, scan};
    use super::*;

    fn text_of(message: &[u8]) -> Text {
        let scanned = scan(message, &Limits::default()).unwrap();
        Text::read(&scanned.header, &scanned.structure, &mut Cursor::new(message)).unwrap()
    }

    const MIXED: &[u8] = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nX-Odd: Value\nContent-Type: multipart/mixed; boundary=b\n\n\
        preamble\n--b\n\nplain text\nover lines\n--b\nContent-Type: text/html; charset=utf-8\n\
        Content-Transfer-Encoding: quoted-printable\n\n<p>caf=C3=A9 so=\nft</p><style>hidden</style>\n\
        --b\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: base64\n\nw+RkZXI=\n_footer_\n\
        --b\nContent-Type: application/pdf; name=\"Invoice 7.pdf\"\n\nbytes\n\
        --b\nContent-Type: message/rfc822\n\nFrom: Bob <bob@example.org>\nX: no\nSubject: inner\n\ninner text\n--b--\nepilogue\n";

    #[test]
    fn finds_where_it_is() {
        let text = text_of(MIXED);
        assert!(!text.is_cut());
        for (needle, header, body, anywhere) in [
            ("subject: GRÜSSE", true, false, true),
            ("odd", true, false, true),
            ("TEXT OVER", false, true, true),
            ("Café Soft", false, true, true),
            ("hidden", false, false, false),
            ("\u{c3}\u{e4}der", false, true, true),
            ("invoice 7", false, false, true),
            ("bytes", false, false, false),
            ("bob@example", false, true, true),
            ("inner", false, true, true),
            ("inner inner", false, false, false),
            ("preamble", false, false, false),
            ("", true, true, true),
        ] {
            let needle = Needle::new(needle);
            let found = [Scope::Header, Scope::Body, Scope::Text].map(|scope| text.contains(scope, &needle));
            assert_eq!(found, [header, body, anywhere], "{needle:?}");
        }
    }

    #[test]
    fn decodes_what_is_not_quite_right() {
        for (head, body, needle) in [
            ("", &b"caf\xe9"[..], "café"),
            ("", "café".as_bytes(), "café"),
            ("Content-Type: text/plain; charset=koi8-r\n", b"\xf0\xd2\xc9", "при"),
            ("Content-Type: text/plain; charset=gbk\n", b"\xc4\xe3\xba\xc3", "你好"),
            ("Content-Type: text/plain; charset=nonsense\n", "é".as_bytes(), "é"),
            (
                "Content-Transfer-Encoding: quoted-printable\n",
                b"1+1=2 =ZZ =41=",
                "1+1=2 =zz a",
            ),
            ("Content-Transfer-Encoding: quoted-printable\n", b"a= \r\nb", "ab"),
            (
                "Content-Type: message/delivery-status\n",
                b"Final-Recipient: x",
                "recipient: x",
            ),
        ] {
            let message = [b"A: b\n", head.as_bytes(), b"\n", body].concat();
            assert!(
                text_of(&message).contains(Scope::Body, &Needle::new(needle)),
                "{needle}"
            );
        }
    }

    #[test]
    fn is_bounded() {
        let long = format!("A: b\n\n{}end", "word ".repeat(BODY_MAX / 5));
        let text = text_of(long.as_bytes());
        assert!(text.is_cut() && text.body.len() <= BODY_MAX + 1);
        assert!(!text.contains(Scope::Body, &Needle::new("end")));
        let bomb = format!("Content-Type: text/html\n\n{}x", "<p>".repeat(2_000_000));
        assert!(text_of(bomb.as_bytes()).is_cut());
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0usize..6) {
            let head = ["", "Content-Transfer-Encoding: base64\n", "Content-Transfer-Encoding: quoted-printable\n",
                "Content-Type: text/html\n", "Content-Type: text/plain; charset=utf-7\n",
                "Content-Type: text/html; charset=iso-2022-jp\n"][kind];
            let _ = text_of(&[head.as_bytes(), b"\n", &bytes].concat());
        }
    }
}
