//! Text into header fields and bodies that any transport takes: RFC 5322 §2.2, RFC 2047, RFC 2045 §6.
//!
//! Whatever the text, it stays within its field or body: no line end and no control character of it comes out.

use mail_builder::encoders::Base64Encoder;

use super::decode::Mailbox;

/// Characters of a line (RFC 5322 §2.1.1).
const LINE: usize = 78;
/// Characters of a line with encoded words (RFC 2047 §2).
const ENCODED_LINE: usize = 76;
/// A longer word is encoded, so that no line becomes longer than 998 characters (RFC 5322 §2.1.1).
const WORD_MAX: usize = 900;
/// Characters of `=?utf-8?B?` and `?=`.
const AROUND: usize = 12;
/// Characters of a quoted-printable line before its soft break (RFC 2045 §6.7 rule 5: 76 in all).
const QUOTED_LINE: usize = 75;

/// A whole header field with unstructured text, folded, with `line_end` at the ends of its lines.
///
/// ASCII stands as it is given; words with other characters become encoded words. Line ends and control characters
/// become spaces, and white space around the text is left out.
#[must_use]
pub fn encoded_field(name: &str, text: &str, line_end: &str) -> String {
    let clean = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
    let text: String = text.replace("\r\n", " ").chars().map(clean).collect();
    let text = text.trim_matches([' ', '\t']);
    let mut field = Folding::new(name, line_end);
    let mut rest = text;
    while !rest.is_empty() {
        let (gap, word, after) = next_word(rest);
        rest = after;
        if is_plain(word) {
            field.word(gap, word);
            continue;
        }
        // RFC 2047 §6.2: white space between two encoded words is not seen, so it goes into them.
        let mut end = word.len();
        while !rest.is_empty() {
            let (between, next, after) = next_word(rest);
            if is_plain(next) {
                break;
            }
            end += between.len() + next.len();
            rest = after;
        }
        let start = text.len() - rest.len() - end;
        field.encoded(gap, &text[start..start + end]);
    }
    field.finish()
}

/// A whole header field with addresses. What has no address is left out.
#[must_use]
pub fn encoded_mailboxes(name: &str, mailboxes: &[Mailbox], line_end: &str) -> String {
    let mut field = Folding::new(name, line_end);
    let mut first = true;
    for mailbox in mailboxes {
        let Some(address) = &mailbox.address else { continue };
        let address: String = address.chars().filter(|c| !c.is_control() && *c != ' ').collect();
        if !first {
            field.text.push(',');
            field.length += 1;
        }
        let gap = if first { "" } else { " " };
        first = false;
        let shown = mailbox.name.as_deref().unwrap_or_default().trim();
        if shown.is_empty() {
            field.word(gap, &address);
            continue;
        }
        phrase(&mut field, gap, shown);
        field.word(" ", &format!("<{address}>"));
    }
    field.finish()
}

/// Text as the body of a text/plain part in UTF-8: its transfer encoding and its bytes, with `line_end` at the ends
/// of its lines. No line begins with `--`, so that none is the boundary of a multipart around it.
#[must_use]
pub fn encoded_text(text: &str, line_end: &str) -> (&'static str, Vec<u8>) {
    // NUL has no place in text; that there was something is not hidden.
    let text = text.replace('\0', "\u{fffd}");
    let lines = lines(&text);
    let plain = |line: &&str| {
        line.len() <= LINE
            && line.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
            && !line.starts_with("--")
            && !line.ends_with([' ', '\t'])
    };
    let all = lines.iter().all(plain);
    let mut bytes = Vec::with_capacity(text.len() + text.len() / 16);
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            bytes.extend_from_slice(line_end.as_bytes());
        }
        if all {
            bytes.extend_from_slice(line.as_bytes());
        } else {
            quote(line, line_end, &mut bytes);
        }
    }
    (if all { "7bit" } else { "quoted-printable" }, bytes)
}

/// A field while its words are added.
struct Folding<'a> {
    text: String,
    line_end: &'a str,
    /// Of the line at hand.
    length: usize,
    /// Nothing stands behind the colon yet.
    empty: bool,
}

impl Folding<'_> {
    fn new<'a>(name: &str, line_end: &'a str) -> Folding<'a> {
        Folding {
            text: format!("{name}:"),
            line_end,
            length: name.len() + 1,
            empty: true,
        }
    }

    // The white space before the word stays as it is; where the line would be too long, its last character
    // begins the next one, so that no line is of white space alone. Never before the first word: some readers
    // take such a field for an empty one.
    fn piece(&mut self, gap: &str, word: &str, line: usize) {
        let gap = if self.empty { " " } else { gap };
        if !self.empty && !gap.is_empty() && self.length + gap.len() + word.len() > line {
            let (before, last) = gap.split_at(gap.len() - 1);
            self.text.push_str(before);
            self.text.push_str(self.line_end);
            self.text.push_str(last);
            self.length = 1;
        } else {
            self.text.push_str(gap);
            self.length += gap.len();
        }
        self.text.push_str(word);
        self.length += word.len();
        self.empty = false;
    }

    fn word(&mut self, gap: &str, word: &str) {
        self.piece(gap, word, LINE);
    }

    // RFC 2047 §5: each word is whole characters.
    fn encoded(&mut self, gap: &str, text: &str) {
        let mut gap = gap;
        let mut rest = text;
        while !rest.is_empty() {
            // Behind a long name the first word is a short one.
            let taken = if self.empty { self.length } else { 1 };
            let octets = (ENCODED_LINE.saturating_sub(taken + 1 + AROUND) / 4 * 3).clamp(6, 45);
            let end = rest.floor_char_boundary(octets);
            let (chunk, after) = rest.split_at(end);
            // Writing into memory does not fail, and base 64 is ASCII.
            let base64 = Base64Encoder::new().encode(chunk.as_bytes()).unwrap_or_default();
            let word = format!("=?utf-8?B?{}?=", String::from_utf8_lossy(&base64));
            self.piece(gap, &word, ENCODED_LINE);
            gap = " ";
            rest = after;
        }
    }

    fn finish(mut self) -> String {
        if self.empty {
            self.text.push(' ');
        }
        self.text.push_str(self.line_end);
        self.text
    }
}

// White space, the word behind it, and what follows. The text does not end with white space.
fn next_word(text: &str) -> (&str, &str, &str) {
    let start = text.find(|c| !matches!(c, ' ' | '\t')).unwrap_or(text.len());
    let (gap, rest) = text.split_at(start);
    let end = rest.find([' ', '\t']).unwrap_or(rest.len());
    let (word, rest) = rest.split_at(end);
    (gap, word, rest)
}

fn is_plain(word: &str) -> bool {
    word.len() <= WORD_MAX && word.bytes().all(|byte| byte.is_ascii_graphic())
}

// RFC 5322 §3.2.5: phrase = atoms, a quoted string, or encoded words.
fn phrase(field: &mut Folding<'_>, gap: &str, name: &str) {
    let is_atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let printable = name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !printable || name.contains("=?") || name.len() > LINE {
        let clean: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        field.encoded(gap, &clean);
    } else if name
        .split(' ')
        .all(|word| !word.is_empty() && word.chars().all(is_atom))
    {
        let gaps = std::iter::once(gap).chain(std::iter::repeat(" "));
        name.split(' ').zip(gaps).for_each(|(word, gap)| field.word(gap, word));
    } else {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        field.word(gap, &format!("\"{quoted}\""));
    }
}

// The lines without their ends, be those CRLF, LF or CR; the last may be empty.
fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(['\r', '\n']) {
        lines.push(&rest[..end]);
        rest = &rest[end..];
        rest = rest.strip_prefix("\r\n").unwrap_or(&rest[1..]);
    }
    lines.push(rest);
    lines
}

// RFC 2045 §6.7
fn quote(line: &str, line_end: &str, to: &mut Vec<u8>) {
    let mut length = 0;
    for (at, byte) in line.bytes().enumerate() {
        let literal = match byte {
            b'=' => false,
            // A line of hyphens could be a boundary.
            b'-' => at > 0,
            b' ' | b'\t' => at + 1 < line.len(),
            byte => byte.is_ascii_graphic(),
        };
        if length + if literal { 1 } else { 3 } > QUOTED_LINE {
            to.push(b'=');
            to.extend_from_slice(line_end.as_bytes());
            length = 0;
        }
        if literal && !(length == 0 && byte == b'-') {
            to.push(byte);
            length += 1;
        } else {
            to.extend_from_slice(format!("={byte:02X}").as_bytes());
            length += 3;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Message, mailboxes, text};
    use super::*;

    #[test]
    fn fields() {
        let long = "word ".repeat(30);
        let folded = encoded_field("Subject", &long, "\n");
        assert!(folded.lines().count() > 1 && folded.lines().all(|line| line.len() <= LINE));
        for (value, field) in [
            ("", "X-Name: \r\n"),
            ("a  b", "X-Name: a  b\r\n"),
            (" a\r\nBcc: x\r\n", "X-Name: a Bcc: x\r\n"),
            ("a\r\n b\0c\u{85}", "X-Name: a  b c\r\n"),
            ("é", "X-Name: =?utf-8?B?w6k=?=\r\n"),
            ("Jörg <a@b.c>", "X-Name: =?utf-8?B?SsO2cmc=?= <a@b.c>\r\n"),
            ("é  é x", "X-Name: =?utf-8?B?w6kgIMOp?= x\r\n"),
            ("=?utf-8?Q?=C3=A9?=", "X-Name: =?utf-8?Q?=C3=A9?=\r\n"),
        ] {
            assert_eq!(encoded_field("X-Name", value, "\r\n"), field, "{value:?}");
        }
    }

    #[test]
    fn addresses() {
        for (list, field) in [
            ("a@b.c", "From: a@b.c\n"),
            ("Ann B <a@b.c>, d@e.f", "From: Ann B <a@b.c>, d@e.f\n"),
            ("\"B., \\\"A\\\"\" <a@b.c>", "From: \"B., \\\"A\\\"\" <a@b.c>\n"),
            ("Jörg <a@b.c>", "From: =?utf-8?B?SsO2cmc=?= <a@b.c>\n"),
        ] {
            let mailboxes = mailboxes(list.as_bytes());
            assert_eq!(encoded_mailboxes("From", &mailboxes, "\n"), field, "{list}");
        }
        let hostile = Mailbox {
            name: Some("a\r\nBcc: x".to_owned()),
            address: Some("a@b\r\n.c".to_owned()),
        };
        let field = encoded_mailboxes("From", &[hostile], "\r\n");
        assert_eq!(field.matches("\r\n").count(), 1, "{field}");
        assert_eq!(encoded_mailboxes("From", &[], "\n"), "From: \n");
    }

    #[test]
    fn bodies() {
        let long = "x".repeat(80);
        let broken = format!("{}=\n{}", "x".repeat(75), "x".repeat(5));
        for (text, encoding, bytes) in [
            ("", "7bit", ""),
            ("a\r\nb\rc\n", "7bit", "a\nb\nc\n"),
            ("ä=\n x ", "quoted-printable", "=C3=A4=3D\n x=20"),
            ("a\n--b\n-c", "quoted-printable", "a\n=2D-b\n=2Dc"),
            ("\0", "quoted-printable", "=EF=BF=BD"),
            (&long, "quoted-printable", &broken),
        ] {
            let (found, encoded) = encoded_text(text, "\n");
            assert_eq!(
                (found, str::from_utf8(&encoded).unwrap()),
                (encoding, bytes),
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn fields_are_read_as_written(name in "[!-9;-~]{1,100}", value in "[a-c\u{e4}\u{1f600}]{0,30}( {1,2}[a-c\u{e4}]{1,60}){0,30}") {
            let field = encoded_field(&name, &value, "\r\n");
            let message = Message::from_bytes(format!("{field}\r\n"));
            prop_assert_eq!(message.header().fields().len(), 1);
            let read = message.header().first(&name).unwrap().unfolded();
            // Readers may take two blanks beside an encoded word for one.
            let text = text(&read);
            let read: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
            let written: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
            prop_assert_eq!(read, written);
            prop_assert!(field.lines().all(|line| line.len() <= 78 + name.len()));
        }

        #[test]
        fn nothing_leaves_its_field(value in "\\PC{0,20}[\r\n\0\t =?-]{0,9}\\PC{0,20}[\r\n\0\t =?]{0,9}") {
            let field = encoded_field("X", &value, "\n");
            prop_assert!(field.is_ascii() && field.ends_with('\n'));
            let lines = field.strip_suffix('\n').unwrap().split('\n').skip(1);
            for line in lines {
                prop_assert!(line.starts_with([' ', '\t']) && !line.trim().is_empty());
            }
        }

        #[test]
        fn bodies_are_read_as_written(lines in proptest::collection::vec("[-=a\u{e4} .]{0,100}", 0..6)) {
            let written = lines.join("\r\n");
            let (encoding, bytes) = encoded_text(&written, "\r\n");
            let head = format!("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
            let body = String::from_utf8(bytes).unwrap();
            prop_assert!(body.lines().all(|line| line.len() <= 78 && !line.starts_with("--")));
            let message = Message::from_bytes(format!("{head}{body}"));
            prop_assert_eq!(message.part_text(message.structure().root(), 10_000).unwrap(), written);
        }
    }
}
