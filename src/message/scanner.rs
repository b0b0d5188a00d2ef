//! The MIME scanner: fed with pieces of a message, cut anywhere, it builds the [`Structure`].
//!
//! It works line by line and keeps of a line only its beginning; of the message
//! it keeps the boundaries of the multiparts that are open. Each byte is looked at
//! a few times, however deep the nesting: a line that starts with `--` is compared
//! with the open boundaries of its own length, nothing else is compared at all.

use std::ops::Range;

use memchr::memchr;

use super::content::Content;
use super::part_header::{PartHeader, Traits, word};
use super::structure::{Bound, Limits, Mime, Part, Position, Structure};

/// Bytes of parameters kept for the whole message, so that many parts stay small.
const KEPT_MAX: usize = 256 * 1024;

pub(super) struct Scanner {
    limits: Limits,
    parts: Vec<Part>,
    truncated: Option<Bound>,
    /// The part being read and all that hold it, outermost first.
    open: Vec<Open>,
    mode: Mode,
    line: Line,
    at: Position,
    /// The length of the end of the line before this one.
    last_end: u64,
    kept: usize,
    /// Likewise of what is only told of the parts.
    told: usize,
    root_end: Option<Range<u64>>,
    traits: Traits,
}

struct Open {
    part: usize,
    /// The boundary of a multipart until its end was seen.
    boundary: Option<Vec<u8>>,
    /// The position at which the body starts.
    start: Position,
}

enum Mode {
    Header(Box<PartHeader>),
    /// A leaf, or what stands before, between or after parts.
    Body,
}

/// The line that is being received.
#[derive(Default)]
struct Line {
    start: Vec<u8>,
    length: u64,
    last: u8,
}

impl Scanner {
    pub(super) fn new(limits: &Limits) -> Scanner {
        let mut scanner = Scanner {
            limits: limits.clone(),
            parts: Vec::new(),
            truncated: None,
            open: Vec::new(),
            mode: Mode::Body,
            line: Line::default(),
            at: Position::default(),
            last_end: 0,
            kept: 0,
            told: 0,
            root_end: None,
            traits: Traits::default(),
        };
        scanner.start_part();
        scanner
    }

    /// Takes the next bytes of the message.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        let cap = self.limits.parameters;
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            if self.line.length == 0 {
                // The usual case: the whole line is here, nothing needs copying.
                let (line, crlf) = match line.strip_suffix(b"\r") {
                    Some(line) => (line, true),
                    None => (line, false),
                };
                let whole = line.len() <= cap;
                self.line(&line[..line.len().min(cap)], whole, end as u64 + 1, 1 + u64::from(crlf));
            } else {
                self.line.push(line, cap);
                self.buffered_line(1);
            }
        }
        self.line.push(bytes, cap);
    }

    /// What ends the header of the message, once it was seen: an empty line, or nothing
    /// where the first boundary stands in its place.
    pub(super) fn root_end(&self) -> Option<Range<u64>> {
        self.root_end.clone()
    }

    /// Ends the message.
    pub(super) fn finish(mut self) -> (Structure, Traits) {
        if self.line.length > 0 {
            self.buffered_line(0);
        }
        self.end_headers();
        let end = self.at;
        while !self.open.is_empty() {
            self.close_part(end);
        }
        let structure = Structure {
            parts: self.parts,
            truncated: self.truncated,
        };
        (structure, self.traits)
    }

    fn buffered_line(&mut self, line_feed: u64) {
        let mut line = std::mem::take(&mut self.line);
        let crlf = line_feed == 1 && line.last == b'\r';
        let content = line.length - u64::from(crlf);
        let whole = content <= self.limits.parameters as u64;
        let kept = if whole {
            content as usize
        } else {
            self.limits.parameters
        };
        line.start.truncate(kept);
        let end = line_feed + u64::from(crlf);
        self.line(&line.start, whole, line.length + line_feed, end);
        // The buffer is used again for the next line that comes in pieces.
        line.start.clear();
        self.line.start = line.start;
    }

    /// One line: its beginning without the line end, whether that is all of it,
    /// its length with the line end, and the length of that.
    fn line(&mut self, line: &[u8], whole: bool, length: u64, end: u64) {
        let next = Position {
            offset: self.at.offset + length,
            lines: self.at.lines + u64::from(end > 0),
            bare_lf: self.at.bare_lf + u64::from(end == 1),
        };
        let found = match line.strip_prefix(b"--") {
            Some(text) if whole => self.find_boundary(text).or_else(|| self.find_own(text)),
            _ => None,
        };
        if let Some((level, last)) = found {
            self.boundary(level, last, next);
        } else if let Mode::Header(header) = &mut self.mode {
            if line.is_empty() && whole {
                self.at = next;
                self.end_header(end);
            } else if header.line(line, self.limits.parameters, &mut self.traits) || !whole && header.is_content() {
                self.truncated.get_or_insert(Bound::Parameters);
            }
        }
        self.at = next;
        self.last_end = end;
    }

    // RFC 2046 §5.1.1:
    //   delimiter := CRLF "--" boundary
    //   close-delimiter := delimiter "--"
    // each followed by transport-padding, which is white space.
    // The innermost multipart is asked first; an outer boundary ends all within it.
    fn find_boundary(&self, text: &[u8]) -> Option<(usize, bool)> {
        let text = text.trim_ascii_end();
        let closing = text.strip_suffix(b"--");
        for (level, open) in self.open.iter().enumerate().rev() {
            let Some(boundary) = &open.boundary else {
                continue;
            };
            if boundary == text {
                return Some((level, false));
            }
            if closing.is_some_and(|text| boundary == text) {
                return Some((level, true));
            }
        }
        None
    }

    // In broken mail a multipart's first boundary comes without an empty line before it.
    fn find_own(&mut self, text: &[u8]) -> Option<(usize, bool)> {
        let Mode::Header(header) = &mut self.mode else {
            return None;
        };
        if !header.announces(text.trim_ascii_end()) {
            return None;
        }
        self.end_header(0);
        self.traits.merged = true;
        self.find_boundary(text)
    }

    fn boundary(&mut self, level: usize, last: bool, next: Position) {
        if let Mode::Header(_) = self.mode {
            self.traits.merged = true;
            self.end_headers();
        }
        // The line end before the boundary belongs to the boundary.
        let mut end = self.at;
        end.offset -= self.last_end;
        end.lines -= u64::from(self.last_end > 0);
        end.bare_lf -= u64::from(self.last_end == 1);
        while self.open.len() > level + 1 {
            self.close_part(end);
        }
        self.mode = Mode::Body;
        if last {
            self.open[level].boundary = None;
        } else if self.parts.len() < self.limits.parts {
            self.at = next;
            self.start_part();
        } else {
            self.truncated.get_or_insert(Bound::Parts);
        }
    }

    fn start_part(&mut self) {
        let offset = self.at.offset;
        self.parts.push(Part {
            parent: self.open.last().map(|open| open.part),
            depth: self.open.len(),
            kind: String::new(),
            subtype: String::new(),
            charset: None,
            name: None,
            boundary: None,
            disposition: None,
            filename: None,
            encoding: None,
            id: None,
            header: offset..offset,
            body: offset..offset,
            lines: 0,
            crlf_size: 0,
            header_start: self.at,
            body_start: self.at,
            body_end: self.at,
            mime: Mime::default(),
        });
        let parent = self.open.last().map(|open| &self.parts[open.part]);
        self.mode = Mode::Header(Box::new(PartHeader::new(parent.is_some_and(Part::is_message))));
        self.open.push(Open {
            part: self.parts.len() - 1,
            boundary: None,
            start: self.at,
        });
    }

    /// The header ended just before `self.at`, with an empty line of `empty` bytes.
    fn end_header(&mut self, empty: u64) {
        let Mode::Header(header) = std::mem::replace(&mut self.mode, Mode::Body) else {
            return;
        };
        let at = self.at;
        if self.parts.len() == 1 {
            self.root_end = Some(at.offset - empty..at.offset);
        }
        // The first part is there from the start, so some part is always open.
        let Some(open) = self.open.last_mut() else { return };
        open.start = at;
        let index = open.part;
        self.describe(index, *header);
        let part = &mut self.parts[index];
        part.header.end = at.offset - empty;
        part.body = at.offset..at.offset;
        (part.body_start, part.body_end) = (at, at);
        self.descend(index);
    }

    /// Ends a header that has no empty line: the part has no body. Where it would be a
    /// message, that one is empty, so there may be a second header to end.
    fn end_headers(&mut self) {
        while matches!(self.mode, Mode::Header(_)) {
            self.end_header(0);
        }
    }

    fn describe(&mut self, index: usize, header: PartHeader) {
        let in_digest = self.parts[index]
            .parent
            .is_some_and(|parent| self.parts[parent].is("multipart", "digest"));
        let ([kind, disposition, encoding, id], mut mime) = header.finish(&mut self.traits);
        let content = Content::parse(&kind.unwrap_or_default());
        let disposition = disposition.map(|value| Content::parse(&value));
        let cut = content.cut || disposition.as_ref().is_some_and(|content| content.cut);
        let (kind, subtype) = match content.value.split_once('/') {
            Some((kind, subtype)) if !kind.is_empty() && !subtype.is_empty() => (kind, subtype),
            // RFC 2046 §5.1.5
            _ if in_digest => ("message", "rfc822"),
            // RFC 2045 §5.2
            _ => ("text", "plain"),
        };
        mime.parameters = content.joined();
        mime.disposition_parameters = disposition.as_ref().map(Content::joined).unwrap_or_default();
        let part = &mut self.parts[index];
        part.kind = kind.to_owned();
        part.subtype = subtype.to_owned();
        part.charset = content.parameter("charset");
        part.name = content.parameter("name");
        part.boundary = content.parameter("boundary").map(|parameter| parameter.value);
        part.filename = disposition.as_ref().and_then(|content| content.parameter("filename"));
        part.disposition = disposition
            .map(|content| content.value)
            .filter(|value| !value.is_empty());
        part.encoding = encoding.map(|value| Content::parse(&value).value);
        part.id = id.as_deref().map(word);
        mime.id = id.map(|value| value.trim_ascii().to_vec());
        self.told += mime.size();
        if self.told <= KEPT_MAX {
            part.mime = mime;
        }
        self.kept += [&part.charset, &part.name, &part.filename]
            .into_iter()
            .flatten()
            .map(|parameter| parameter.value.len())
            .sum::<usize>();
        if self.kept > KEPT_MAX {
            (part.charset, part.name, part.filename) = (None, None, None);
        }
        if cut || self.kept > KEPT_MAX {
            self.truncated.get_or_insert(Bound::Parameters);
        }
    }

    /// Goes into a multipart or a message.
    fn descend(&mut self, index: usize) {
        let part = &self.parts[index];
        let multipart = part.kind == "multipart";
        // RFC 2046 §5.2.1: a message is not encoded; where it is, its structure is out of sight.
        let message = part.is_message() && part.is_identity();
        if !multipart && !message {
            return;
        }
        if self.open.len() > self.limits.nesting {
            self.truncated.get_or_insert(Bound::Nesting);
        } else if message {
            if self.parts.len() < self.limits.parts {
                self.start_part();
            } else {
                self.truncated.get_or_insert(Bound::Parts);
            }
        } else if let Some(boundary) = &part.boundary {
            // RFC 2046 §5.1.1: bchars may not end with a space.
            let boundary = boundary.trim_ascii_end().to_vec();
            if boundary.len() > self.limits.boundary {
                self.truncated.get_or_insert(Bound::Boundary);
            } else if let (false, Some(open)) = (boundary.is_empty(), self.open.last_mut()) {
                open.boundary = Some(boundary);
            }
        }
    }

    fn close_part(&mut self, end: Position) {
        let Some(open) = self.open.pop() else { return };
        let (part, start) = (&mut self.parts[open.part], open.start);
        // Where the boundary follows the header at once, its line end is the header's.
        if end.offset <= start.offset {
            return;
        }
        part.body = start.offset..end.offset;
        part.body_end = end;
        part.lines = end.lines - start.lines;
        part.crlf_size = end.offset - start.offset + (end.bare_lf - start.bare_lf);
    }
}

impl Line {
    fn push(&mut self, bytes: &[u8], cap: usize) {
        let Some(&last) = bytes.last() else { return };
        let room = cap - self.start.len();
        self.start.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length += bytes.len() as u64;
        self.last = last;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scan_pieces(text: &[u8], size: usize, limits: &Limits) -> (Structure, Traits) {
        let mut scanner = Scanner::new(limits);
        text.chunks(size).for_each(|piece| scanner.feed(piece));
        scanner.finish()
    }

    /// The parts as `depth kind/subtype body`, one a line.
    fn tree(text: &str) -> Vec<String> {
        let (structure, _) = scan_pieces(text.as_bytes(), usize::MAX, &Limits::default());
        let parts = structure.parts.iter();
        parts
            .map(|part| {
                let body = &text[part.body.start as usize..part.body.end as usize];
                let body = if part.depth == 0 { "" } else { body };
                format!("{} {}/{} {body:?} {}", part.depth, part.kind, part.subtype, part.lines)
            })
            .collect()
    }

    #[test]
    fn finds_parts() {
        let head = "Content-Type: multipart/mixed; boundary=\"b\"\n\n";
        for (text, parts) in [
            ("A: b\n\nc\n", &["0 text/plain \"\" 1"][..]),
            ("A: b\n", &["0 text/plain \"\" 0"]),
            ("", &["0 text/plain \"\" 0"]),
            ("Content-Type: multipart/mixed\n\n--\n", &["0 multipart/mixed \"\" 1"]),
            (
                "pre\n--b\nA: b\n\n1\n2\n--b\nContent-Type: text/html\n\n3\n--b--\nepi\n--b\n",
                &[
                    "0 multipart/mixed \"\" 13",
                    "1 text/plain \"1\\n2\" 1",
                    "1 text/html \"3\" 0",
                ],
            ),
            // Mid-line, prefix and suffix are no boundaries; padding is allowed.
            (
                "x--b\n--bb\n--b \t\r\n\nx --b\n--b x\n--b--x\n--b-- ",
                &["0 multipart/mixed \"\" 7", "1 text/plain \"x --b\\n--b x\\n--b--x\" 2"],
            ),
            // No empty line, nothing at all, only a header.
            (
                "--b\nA: b\n--b\n--b\nContent-Type: a/b\n\n--b\n\n--b--",
                &[
                    "0 multipart/mixed \"\" 8",
                    "1 text/plain \"\" 0",
                    "1 text/plain \"\" 0",
                    "1 a/b \"\" 0",
                    "1 text/plain \"\" 0",
                ],
            ),
            // Blanks where the empty line should be.
            (
                " \n--b\n\n1\n--b--\n",
                &["0 multipart/mixed \"\" 4", "1 text/plain \"1\" 0"],
            ),
            // The end is missing.
            ("--b\n\nc\n", &["0 multipart/mixed \"\" 3", "1 text/plain \"c\\n\" 1"]),
        ] {
            let text = if text.starts_with(' ') {
                head.trim_end().to_owned() + "\n" + text
            } else if parts[0].contains("multipart/mixed") && !text.starts_with('C') {
                head.to_owned() + text
            } else {
                text.to_owned()
            };
            assert_eq!(tree(&text), parts, "{text}");
        }
    }

    #[test]
    fn finds_nested_parts() {
        for (text, parts) in [
            // An outer boundary ends what is within, closed or not.
            (
                "Content-Type: multipart/a; boundary=a\n\n--a\nContent-Type: multipart/b; boundary=ab\n\n--ab\n\n1\n--a\n\n2\n--ab\n--a--\n",
                &[
                    "0 multipart/a \"\" 11",
                    "1 multipart/b \"--ab\\n\\n1\" 2",
                    "2 text/plain \"1\" 0",
                    "1 text/plain \"2\\n--ab\" 1",
                ][..],
            ),
            // One boundary for two multiparts: the inner one has it until it is closed.
            (
                "Content-Type: multipart/a; boundary=a\n\n--a\nContent-Type: multipart/b; boundary=a\n\n--a\n\n1\n--a--\n--a--\n",
                &[
                    "0 multipart/a \"\" 8",
                    "1 multipart/b \"--a\\n\\n1\\n--a--\" 3",
                    "2 text/plain \"1\" 0",
                ],
            ),
            (
                "Content-Type: message/rfc822\n\nContent-Type: text/html\n\nx\n",
                &["0 message/rfc822 \"\" 3", "1 text/html \"x\\n\" 1"],
            ),
            (
                "Content-Type: message/rfc822\nContent-Transfer-Encoding: BASE64\n\nQQ==\n",
                &["0 message/rfc822 \"\" 1"],
            ),
            (
                "Content-Type: message/rfc822",
                &["0 message/rfc822 \"\" 0", "1 text/plain \"\" 0"],
            ),
            (
                "Content-Type: multipart/digest; boundary=a\n\n--a\n\nSubject: x\n\n1\n--a\nContent-Type: text/plain\n\n2\n--a--\n",
                &[
                    "0 multipart/digest \"\" 10",
                    "1 message/rfc822 \"Subject: x\\n\\n1\" 2",
                    "2 text/plain \"1\" 0",
                    "1 text/plain \"2\" 0",
                ],
            ),
        ] {
            assert_eq!(tree(text), parts, "{text}");
        }
    }

    #[test]
    fn reads_content_fields() {
        let text = "CONTENT-type : Text/HTML;\r\n\tcharset=\"UTF-8\"; name*0=a;\r\n name*1=b\r\nContent-type: a/b\r\n\
                    Content-Disposition: Attachment; filename=x y.txt\r\nContent-Transfer-Encoding: Base64 (x)\r\n\
                    Content-ID: <1@example.org>\r\n\r\nQQ==\r\nQQ==\n";
        let (structure, traits) = scan_pieces(text.as_bytes(), 7, &Limits::default());
        let part = structure.root();
        assert!(part.is("text", "html"));
        let value = |parameter: &Option<super::super::Parameter>| parameter.clone().map(|p| p.value);
        assert_eq!(value(&part.charset).as_deref(), Some(&b"UTF-8"[..]));
        assert_eq!(value(&part.name).as_deref(), Some(&b"ab"[..]));
        assert_eq!(value(&part.filename).as_deref(), Some(&b"x y.txt"[..]));
        assert_eq!(part.disposition.as_deref(), Some("attachment"));
        assert_eq!(part.encoding.as_deref(), Some("base64"));
        assert_eq!(part.id.as_deref(), Some("<1@example.org>"));
        assert_eq!((part.lines, part.crlf_size), (2, 12));
        assert!(traits.merged);
    }

    #[test]
    fn limits_are_kept() {
        let limits = Limits {
            parts: 3,
            nesting: 2,
            boundary: 70,
            parameters: 130,
            ..Limits::default()
        };
        let head = "Content-Type: multipart/mixed; boundary=b\n\n";
        let part = "--b\n\nx\n";
        let message = "Content-Type: message/rfc822\n\n";
        for (text, parts, truncated) in [
            (format!("{head}{part}{part}"), 3, None),
            (format!("{head}{part}{part}{part}--b--\n"), 3, Some(Bound::Parts)),
            (message.repeat(2), 3, None),
            (message.repeat(3), 3, Some(Bound::Nesting)),
            (
                format!("Content-Type: multipart/mixed; boundary={}\n\n--", "x".repeat(71)),
                1,
                Some(Bound::Boundary),
            ),
            (
                format!("Content-Type: a/b; x={}\n", "x".repeat(131)),
                1,
                Some(Bound::Parameters),
            ),
            (
                format!("Content-Type: a/b{}\n", ";\n x=yyyy".repeat(20)),
                1,
                Some(Bound::Parameters),
            ),
            (format!("Subject: {}\n", "x".repeat(1000)), 1, None),
        ] {
            let (structure, _) = scan_pieces(text.as_bytes(), 11, &limits);
            assert_eq!(
                (structure.parts.len(), structure.truncated),
                (parts, truncated),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            lines in proptest::collection::vec(prop_oneof![
                Just("Content-Type: multipart/mixed; boundary=a"),
                Just("Content-Type: multipart/digest; boundary=ab"),
                Just("content-type: message/rfc822"),
                Just(" ; name=\"x\"; charset=y"),
                Just("--a"), Just("--ab"), Just("--a--"), Just("--ab-- "), Just(""), Just("text: x"), Just("x\0\u{e9}"),
                Just("Content-Disposition: attachment; filename=abcdefghijklmnopqrstuvwxyz"),
            ], 0..30),
            ends in proptest::collection::vec(prop_oneof![Just("\n"), Just("\r\n"), Just("\r"), Just("\r\r\n")], 30),
            size in 1usize..20,
        ) {
            let text: String = lines.iter().zip(ends).flat_map(|(line, end)| [*line, end]).collect();
            let limits = Limits { parameters: 60, parts: 9, nesting: 3, ..Limits::default() };
            let whole = scan_pieces(text.as_bytes(), usize::MAX, &limits);
            for part in &whole.0.parts {
                let range = &text.as_bytes()[part.body.start as usize..part.body.end as usize];
                prop_assert_eq!(part.lines, range.iter().filter(|byte| **byte == b'\n').count() as u64);
                let bare = (0..range.len()).filter(|at| range[*at] == b'\n' && (*at == 0 || range[*at - 1] != b'\r'));
                prop_assert_eq!(part.crlf_size, (range.len() + bare.count()) as u64);
                prop_assert_eq!(part.body.start..part.body.end, part.body_start.offset..part.body_end.offset);
                for at in [part.header_start, part.body_start, part.body_end] {
                    let before = &text.as_bytes()[..at.offset as usize];
                    let bare = (0..before.len()).filter(|at| before[*at] == b'\n' && (*at == 0 || before[*at - 1] != b'\r'));
                    prop_assert_eq!(at.lines, before.iter().filter(|byte| **byte == b'\n').count() as u64);
                    prop_assert_eq!(at.bare_lf, bare.count() as u64);
                }
                prop_assert!(part.header.start <= part.header.end && part.header.end <= part.body.start);
                if let Some(parent) = part.parent {
                    let parent = &whole.0.parts[parent];
                    prop_assert!(parent.body.start <= part.header.start);
                    prop_assert!(part.body.end <= parent.body.end.max(part.body.start));
                }
            }
            prop_assert_eq!(whole, scan_pieces(text.as_bytes(), size, &limits));
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), size in 1usize..50) {
            let whole = scan_pieces(&bytes, usize::MAX, &Limits::default());
            prop_assert_eq!(whole, scan_pieces(&bytes, size, &Limits::default()));
        }
    }
}
