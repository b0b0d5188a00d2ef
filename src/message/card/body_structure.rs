//! BODYSTRUCTURE, and BODY made from it: RFC 9051 §7.5.2.

use std::borrow::Cow;
use std::io::Write;

use super::super::structure::{Mime, Part, Structure};
use super::envelope::{self, envelope};
use super::strings::{STRING_MAX, nstring, string};

/// Bytes after which parts are told without their details, and no more of them but the first of
/// each multipart that has none yet. The rest of 64 KiB is for what must follow.
const DETAILED_MAX: usize = 40 * 1024;

/// A part that is not there, where the grammar asks for one.
const NO_PART: &[u8] = b"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)";

/// The structure with extension data.
pub(super) fn body_structure(structure: &Structure) -> Vec<u8> {
    let mut children = vec![Vec::new(); structure.parts.len()];
    for (index, part) in structure.parts.iter().enumerate() {
        if let Some(parent) = part.parent {
            children[parent].push(index);
        }
    }
    let mut writer = Writer {
        out: Vec::with_capacity(256),
        parts: &structure.parts,
        children,
    };
    writer.part(0);
    writer.out
}

struct Writer<'a> {
    out: Vec<u8>,
    parts: &'a [Part],
    children: Vec<Vec<usize>>,
}

impl Writer<'_> {
    // body = "(" (body-type-1part / body-type-mpart) ")"
    // The depth of the recursion is that of the structure, which is limited.
    fn part(&mut self, index: usize) {
        let part = &self.parts[index];
        self.out.push(b'(');
        if part.kind == "multipart" {
            self.multipart(index);
        } else {
            self.single(index);
        }
        self.out.push(b')');
    }

    // body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
    // body-ext-mpart = body-fld-param [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc ...
    fn multipart(&mut self, index: usize) {
        let part = &self.parts[index];
        for number in 0..self.children[index].len() {
            if number > 0 && self.out.len() > DETAILED_MAX {
                break;
            }
            self.part(self.children[index][number]);
        }
        if self.children[index].is_empty() {
            self.out.extend_from_slice(NO_PART);
        }
        self.out.push(b' ');
        string(&mut self.out, part.subtype.as_bytes(), STRING_MAX);
        self.detail(b" NIL", |out| {
            out.push(b' ');
            parameters(out, &part.mime.parameters, false);
        });
        self.extension(part);
    }

    // body-type-1part = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part]
    fn single(&mut self, index: usize) {
        let part = &self.parts[index];
        string(&mut self.out, part.kind.as_bytes(), STRING_MAX);
        self.out.push(b' ');
        string(&mut self.out, part.subtype.as_bytes(), STRING_MAX);
        // body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP body-fld-octets
        self.detail(b" NIL NIL NIL", |out| {
            out.push(b' ');
            parameters(out, &part.mime.parameters, part.kind == "text");
            for value in [&part.mime.id, &part.mime.description] {
                out.push(b' ');
                nstring(out, value.as_deref(), STRING_MAX);
            }
        });
        self.out.push(b' ');
        let encoding = part.encoding.as_deref().filter(|it| !it.is_empty());
        string(&mut self.out, encoding.unwrap_or("7bit").as_bytes(), STRING_MAX);
        self.number(part.crlf_size);
        // body-type-msg = media-message SP body-fields SP envelope SP body SP body-fld-lines
        if part.is_message() {
            self.message(index);
        }
        if part.is_message() || part.kind == "text" {
            self.number(part.lines);
        }
        // body-ext-1part = body-fld-md5 [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc ...
        self.detail(b" NIL", |out| {
            out.push(b' ');
            nstring(out, part.mime.md5.as_deref(), STRING_MAX);
        });
        self.extension(part);
    }

    fn message(&mut self, index: usize) {
        self.out.push(b' ');
        let Some(&inner) = self.children[index].first() else {
            // It is encoded, or lies too deep.
            self.out.extend_from_slice(envelope::EMPTY);
            self.out.push(b' ');
            return self.out.extend_from_slice(NO_PART);
        };
        let fields = &self.parts[inner].mime.envelope;
        self.detail(envelope::EMPTY, |out| {
            let field = |name: &str| fields.iter().find(|(known, _)| *known == name);
            out.extend_from_slice(&envelope(|name| Some(Cow::Borrowed(field(name)?.1.as_slice()))));
        });
        self.out.push(b' ');
        self.part(inner);
    }

    fn extension(&mut self, part: &Part) {
        self.detail(b" NIL NIL NIL", |out| {
            out.push(b' ');
            disposition(out, part);
            out.push(b' ');
            language(out, &part.mime);
            out.push(b' ');
            nstring(out, part.mime.location.as_deref(), STRING_MAX);
        });
    }

    fn number(&mut self, number: u64) {
        // Writing to memory cannot fail.
        let _ = write!(self.out, " {number}");
    }

    /// Appends what `write` writes where there is room for it, else what stands for nothing.
    fn detail(&mut self, nothing: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len();
        if start <= DETAILED_MAX {
            write(&mut self.out);
            if self.out.len() <= DETAILED_MAX {
                return;
            }
            self.out.truncate(start);
        }
        self.out.extend_from_slice(nothing);
    }
}

// body-fld-param = "(" string SP string *(SP string SP string) ")" / nil
// RFC 2045 §5.2: text without a charset is us-ascii.
fn parameters(out: &mut Vec<u8>, parameters: &[(String, Vec<u8>)], text: bool) {
    let charset = text
        && !parameters
            .iter()
            .any(|(name, _)| name == "charset" || name == "charset*");
    let default = charset.then_some(("charset", &b"us-ascii"[..]));
    let written = parameters.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
    let mut before: &[u8] = b"(";
    for (name, value) in written.chain(default) {
        out.extend_from_slice(before);
        string(out, name.as_bytes(), STRING_MAX);
        out.push(b' ');
        string(out, value, 1024);
        before = b" ";
    }
    out.extend_from_slice(if before == b"(" { b"NIL" } else { b")" });
}

// body-fld-dsp = "(" string SP body-fld-param ")" / nil
fn disposition(out: &mut Vec<u8>, part: &Part) {
    let Some(disposition) = &part.disposition else {
        return out.extend_from_slice(b"NIL");
    };
    out.push(b'(');
    string(out, disposition.as_bytes(), STRING_MAX);
    out.push(b' ');
    parameters(out, &part.mime.disposition_parameters, false);
    out.push(b')');
}

// body-fld-lang = nstring / "(" string *(SP string) ")"
fn language(out: &mut Vec<u8>, mime: &Mime) {
    let value = mime.language.as_deref().unwrap_or_default();
    let mut before: &[u8] = b"(";
    // RFC 3282 §2: Content-Language = "Content-Language" ":" 1#Language-tag
    for tag in value.split(|byte| *byte == b',') {
        let tag = tag.trim_ascii();
        if !tag.is_empty() {
            out.extend_from_slice(before);
            string(out, tag, 64);
            before = b" ";
        }
    }
    out.extend_from_slice(if before == b"(" { b"NIL" } else { b")" });
}

/// BODY of a BODYSTRUCTURE that a [`Card`](super::Card) holds: the same without extension data.
#[must_use]
pub fn body(structure: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(structure.len());
    let mut cutter = Cutter {
        text: structure,
        at: 0,
        out: &mut out,
    };
    cutter.body();
    out
}

/// Walks over what was written above.
struct Cutter<'a> {
    text: &'a [u8],
    at: usize,
    out: &'a mut Vec<u8>,
}

impl Cutter<'_> {
    fn body(&mut self) {
        self.copy(1);
        if self.text.get(self.at) == Some(&b'(') {
            while self.text.get(self.at) == Some(&b'(') {
                self.body();
            }
            // The space and the subtype.
            self.items(1);
        } else {
            let start = self.at;
            self.items(2);
            let kind = &self.text[start..self.at];
            let (text, message) = (
                kind.starts_with(b"\"text\""),
                matches!(kind, b"\"message\" \"rfc822\"" | b"\"message\" \"global\""),
            );
            self.items(5);
            if message {
                self.items(1);
                self.copy(1);
                self.body();
            }
            self.items(usize::from(text || message));
        }
        while self.at < self.text.len() && self.text[self.at] != b')' {
            self.item();
        }
        self.copy(1);
    }

    fn copy(&mut self, bytes: usize) {
        let end = self.text.len().min(self.at + bytes);
        self.out.extend_from_slice(&self.text[self.at..end]);
        self.at = end;
    }

    /// Copies values with the space before each.
    fn items(&mut self, count: usize) {
        for _ in 0..count {
            let start = self.at;
            self.item();
            self.out.extend_from_slice(&self.text[start..self.at]);
        }
    }

    /// Goes past a space and a value: a string, a list, a number, NIL.
    fn item(&mut self) {
        let mut depth = 0usize;
        self.at += usize::from(self.text.get(self.at) == Some(&b' '));
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'(' => depth += 1,
                b')' if depth <= 1 => {
                    self.at += depth;
                    return;
                }
                b')' => depth -= 1,
                b' ' if depth == 0 => return,
                b'"' => self.quoted(),
                b'{' => self.literal(),
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Goes to the closing quote.
    fn quoted(&mut self) {
        self.at += 1;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'"' => return,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    /// Goes to the last byte of `{n}CRLF...`.
    fn literal(&mut self) {
        let rest = &self.text[self.at + 1..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let length = rest[..digits]
            .iter()
            .fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        self.at += digits + 3 + length;
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Message;
    use super::*;

    fn of(text: &str) -> String {
        String::from_utf8_lossy(&body_structure(Message::from_bytes(text).structure())).into_owned()
    }

    #[test]
    fn writes_structures() {
        for (text, structure, without) in [
            (
                "A: b\n\nc\n",
                r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1 NIL NIL NIL NIL)"#,
                r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1)"#,
            ),
            (
                "Content-Type: image/png; name=\"a) \\\"b\"\nContent-ID: <1@a>\nContent-Description: x\n y\n\
                 Content-Transfer-Encoding: BASE64\nContent-MD5: abc=\nContent-Language: de, en\nContent-Location: http://a/\n\
                 Content-Disposition: inline; filename*0=a; filename*1=b\n\nQQ==\n",
                "(\"image\" \"png\" (\"name\" \"a) \\\"b\") \"<1@a>\" \"x y\" \"base64\" 6 \"abc=\" \
                 (\"inline\" (\"filename\" \"ab\")) (\"de\" \"en\") \"http://a/\")",
                "(\"image\" \"png\" (\"name\" \"a) \\\"b\") \"<1@a>\" \"x y\" \"base64\" 6)",
            ),
            (
                "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n2\n--b\nContent-Type: text/html; name=caf\u{e9}\n\n3\n--b--\n",
                "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 1 NIL NIL NIL NIL)\
                 (\"text\" \"html\" (\"name\" {5}\r\ncaf\u{e9} \"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL) \
                 \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)",
                "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 1)\
                 (\"text\" \"html\" (\"name\" {5}\r\ncaf\u{e9} \"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) \"mixed\")",
            ),
            (
                "Content-Type: message/rfc822\n\nSubject: )\nFrom: ann@a\n\nx\n",
                "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 30 (NIL \")\" ((NIL NIL \"ann\" \"a\")) ((NIL NIL \"ann\" \"a\")) \
                 ((NIL NIL \"ann\" \"a\")) NIL NIL NIL NIL NIL) \
                 (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1 NIL NIL NIL NIL) 4 NIL NIL NIL NIL)",
                "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 30 (NIL \")\" ((NIL NIL \"ann\" \"a\")) ((NIL NIL \"ann\" \"a\")) \
                 ((NIL NIL \"ann\" \"a\")) NIL NIL NIL NIL NIL) \
                 (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1) 4)",
            ),
            (
                "Content-Type: multipart/mixed\n\n",
                "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) \"mixed\" NIL NIL NIL NIL)",
                "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")",
            ),
        ] {
            assert_eq!(of(text), structure);
            assert_eq!(String::from_utf8_lossy(&body(of(text).as_bytes())), without);
        }
    }

    #[test]
    fn a_flood_is_cut() {
        let long = format!("; name=\"{}\"", "x".repeat(1000));
        let head = "Content-Type: multipart/mixed; boundary=b\n\n";
        let nested = |depth: usize| -> String {
            (0..depth)
                .map(|level| {
                    format!(
                        "Content-Type: multipart/{}; boundary=b{level}\n\n--b{level}\n",
                        "y".repeat(100)
                    )
                })
                .collect()
        };
        for text in [
            format!("{head}{}", format!("--b\nContent-Type: a/b{long}\n\nx\n").repeat(2000)),
            format!("{head}{}", "--b\n\nx\n".repeat(2000)),
            nested(49) + &format!("Content-Type: a/b{long}\n\n"),
            format!(
                "{head}--b\nContent-Type: a/b{}\n\nx\n{}",
                long.repeat(7),
                format!("--b\nContent-Type: a/b{long}\n\nx\n").repeat(60)
            ) + "--b\n"
                + &nested(48),
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: ".to_owned()
                + &format!(
                    "{}\n\nContent-Type: message/rfc822\nContent-Transfer-Encoding: ",
                    "e".repeat(128)
                )
                .repeat(60),
        ] {
            let sent = of(&text);
            assert!(sent.len() <= 64 * 1024, "{}", sent.len());
            let (open, close) = (sent.matches('(').count(), sent.matches(')').count());
            assert_eq!(open, close, "{}", &sent[..200]);
            let body = String::from_utf8(body(sent.as_bytes())).unwrap();
            assert_eq!(body.matches('(').count(), body.matches(')').count());
        }
    }
}
