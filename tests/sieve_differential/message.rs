//! Messages by chance: fields that are folded, encoded, doubled, missing or odd, and bodies of every kind.

use super::chance::Chance;

/// A message in pieces, so that it can be made smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Each field with its folding, lines ending in LF, the last one left out.
    pub fields: Vec<String>,
    /// Bytes, since a body may be in any charset; lines ending in LF. None: the message ends with its header.
    pub body: Option<Vec<u8>>,
    /// Lines end in CRLF.
    pub crlf: bool,
}

impl Mail {
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in &self.fields {
            bytes.extend_from_slice(field.as_bytes());
            bytes.push(b'\n');
        }
        if let Some(body) = &self.body {
            bytes.push(b'\n');
            bytes.extend_from_slice(body);
        }
        if !self.crlf {
            return bytes;
        }
        let mut all = Vec::with_capacity(bytes.len() + bytes.len() / 16);
        for byte in bytes {
            if byte == b'\n' {
                all.push(b'\r');
            }
            all.push(byte);
        }
        all
    }

    /// Every message that is this one less something.
    pub fn smaller(&self) -> Vec<Mail> {
        let mut all = Vec::new();
        if self.crlf {
            all.push(Mail {
                crlf: false,
                ..self.clone()
            });
        }
        for at in 0..self.fields.len() {
            let mut copy = self.clone();
            copy.fields.remove(at);
            all.push(copy);
        }
        let Some(body) = &self.body else { return all };
        let lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
        let with = |lines: &[&[u8]]| Mail {
            body: Some(lines.concat()),
            ..self.clone()
        };
        if lines.len() > 3 {
            all.push(with(&lines[..lines.len() / 2]));
            all.push(with(&lines[lines.len() / 2..]));
        }
        for at in 0..lines.len().min(40) {
            all.push(with(&[&lines[..at], &lines[at + 1..]].concat()));
        }
        all
    }
}

/// A message that every action applies to: it may be answered and is addressed to the account.
pub fn plain(chance: &mut Chance) -> Mail {
    let subject = chance.pick(SUBJECTS).0;
    Mail {
        fields: vec![
            "From: Sender <sender@example.com>".to_owned(),
            "To: me@example.org".to_owned(),
            format!("Subject: {subject}"),
            "Message-ID: <1@example.com>".to_owned(),
        ],
        body: Some(b"some text\n".to_vec()),
        crlf: chance.percent(50),
    }
}

/// Any message.
pub fn any(chance: &mut Chance) -> Mail {
    let mut fields = Vec::new();
    for name in ["From", "To", "Cc", "Reply-To", "Sender", "Resent-To"] {
        if chance.percent(if matches!(name, "From" | "To") { 90 } else { 30 }) {
            fields.push(format!("{name}: {}", addresses(chance)));
        }
    }
    for _ in 0..chance.below(3) {
        let subject = chance.pick(SUBJECTS).0;
        fields.push(fold(chance, &format!("Subject: {subject}")));
    }
    if chance.percent(70) {
        fields.push(format!("Date: {}", chance.pick(DATES)));
    }
    for _ in 0..chance.below(4) {
        let name = chance.pick(&[
            "X-Test",
            "x-test",
            "X-TEST",
            "X-Num",
            "X-Empty",
            "List-Id",
            "X-Spam-Score",
        ]);
        let value = chance.pick(VALUES);
        let space = chance.of_all(&[" ", "", "  "]);
        fields.push(fold(chance, &format!("{name}:{space}{value}")));
    }
    for _ in 0..chance.below(3) {
        let date = chance.pick(DATES);
        fields.push(format!("Received: from a.example by b.example with SMTP;\n\t{date}"));
    }
    shuffle(chance, &mut fields);
    let (more, body) = body(chance, 0);
    fields.extend(more);
    if chance.percent(2) {
        fields.clear();
    }
    Mail {
        fields,
        body: (!chance.percent(3)).then_some(body),
        crlf: chance.percent(50),
    }
}

/// Subjects as they stand in a message, and as a reader sees them.
pub const SUBJECTS: &[(&str, &str)] = &[
    ("Hello", "Hello"),
    ("hello World", "hello World"),
    ("[tag] hello world hello", "[tag] hello world hello"),
    ("=?utf-8?q?Gr=C3=BC=C3=9Fe?= an alle", "Grüße an alle"),
    ("=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
    ("=?iso-8859-1?q?Gr=FC=DFe?= =?iso-8859-1?q?_zwei?=", "Grüße zwei"),
    ("=?utf-8?b?R3LD?= =?utf-8?b?vMOfZQ==?=", "Grüße"),
    ("=?x-unknown?q?what?=", "=?x-unknown?q?what?="),
    ("=?utf-8?q?broken", "=?utf-8?q?broken"),
    ("a*b?c\\d", "a*b?c\\d"),
    ("", ""),
    ("ÄÖÜ raw utf-8", "ÄÖÜ raw utf-8"),
    ("back\\slash \"quoted\"", "back\\slash \"quoted\""),
    ("trailing   ", "trailing"),
];

/// Values of other fields.
pub const VALUES: &[&str] = &[
    "hello",
    "HELLO",
    "hello world",
    "10",
    "010",
    "9",
    "99 bottles",
    "-3",
    "2.5",
    "18446744073709551616",
    "",
    "Users of it <users.lists.example.org>",
    "a, b, c",
    "yes",
    "a b  c",
    "x=1; y=2",
    "text/plain; charset=\"utf-8\"",
    "=?utf-8?q?=E4=BD=A0=E5=A5=BD?=",
    "a*b",
    "(a comment)",
];

/// Dates, good and bad.
pub const DATES: &[&str] = &[
    "Mon, 01 Jun 2026 12:00:00 +0000",
    "1 Jun 2026 23:30:15 -0500",
    "Sun, 29 Feb 2004 00:00:59 +0530",
    "Thu, 31 Dec 2009 23:59:60 +0000",
    "Fri, 21 Nov 97 09:55:06 -0600",
    "Tue, 3 Mar 2020 4:5 EST",
    "Wed, 11 Nov 2026 12:00:00 GMT (comment)",
    "no date at all",
    "",
];

const ADDRESSES: &[&str] = &[
    "sender@example.com",
    "me@example.org",
    "me+det@example.org",
    "me+a+b@example.org",
    "Ann Lee <ann@example.org>",
    "\"Lee, Ann\" <ann.lee@Example.ORG>",
    "friends: a@x.example, Bob <b@y.example>;",
    "undisclosed-recipients:;",
    "(comment) c@z.example (more)",
    "<@relay.example:d@z.example>",
    "\"odd local\"@example.net",
    "\"quo\\\"ted\"@example.net",
    "nobody",
    "<>",
    "=?utf-8?q?J=C3=B6rg?= <joerg@example.de>",
    "ann@[192.0.2.1]",
    "br\u{f6}ken@example.org",
    "ANN@EXAMPLE.ORG",
    "a.b.c@sub.example.org",
];

fn addresses(chance: &mut Chance) -> String {
    let count = if chance.percent(70) { 1 } else { chance.below(4) };
    let all: Vec<&str> = (0..count).map(|_| *chance.pick(ADDRESSES)).collect();
    let between = if chance.percent(80) { ", " } else { ",\n\t" };
    all.join(between)
}

/// Puts a line end before some spaces.
fn fold(chance: &mut Chance, field: &str) -> String {
    if !chance.percent(30) {
        return field.to_owned();
    }
    let mut folded = String::new();
    for (at, c) in field.char_indices() {
        let inside = at > 0 && field[at..].chars().any(|c| c != ' ');
        if c == ' ' && inside && chance.percent(40) {
            folded.push('\n');
        }
        folded.push(c);
    }
    folded
}

fn shuffle(chance: &mut Chance, fields: &mut [String]) {
    for at in (1..fields.len()).rev() {
        fields.swap(at, chance.below(at + 1));
    }
}

/// The fields that say what a body is, and the body.
fn body(chance: &mut Chance, depth: usize) -> (Vec<String>, Vec<u8>) {
    let kind = if depth == 0 && chance.percent(40) {
        0
    } else {
        chance.below(9)
    };
    let fields = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<String>>();
    match kind {
        0 => (Vec::new(), text(chance)),
        1 => (fields(&["Content-Type: text/plain; charset=utf-8"]), text(chance)),
        2 => {
            let head = [
                "Content-Type: text/plain; charset=utf-8",
                "Content-Transfer-Encoding: base64",
            ];
            (fields(&head), b"aGVsbG8gd29ybGQgR3LDvMOfZQo=\n".to_vec())
        }
        3 => {
            let head = [
                "Content-Type: text/plain;\n\tcharset=\"iso-8859-1\"",
                "Content-Transfer-Encoding: quoted-printable",
            ];
            (
                fields(&head),
                b"hello Gr=FC=DFe and a long line that is =\nbroken =3D here\n".to_vec(),
            )
        }
        4 => {
            let html = b"<html><body><p>hello <b>world</b></p></body></html>\n".to_vec();
            (fields(&["Content-Type: text/html; charset=us-ascii"]), html)
        }
        5 => {
            let head = [
                "Content-Type: application/pdf; name=\"report.pdf\"",
                "Content-Disposition: attachment; filename=\"report.pdf\"",
                "Content-Transfer-Encoding: base64",
            ];
            (fields(&head), b"JVBERi0xLjQgaGVsbG8K\n".to_vec())
        }
        6 if depth < 3 => {
            let mut inner = b"From: inner@example.net\nSubject: inner hello\n".to_vec();
            let (more, content) = body(chance, depth + 1);
            more.iter().for_each(|field| inner.extend(format!("{field}\n").bytes()));
            inner.push(b'\n');
            inner.extend(content);
            (fields(&["Content-Type: message/rfc822"]), inner)
        }
        _ if depth < 3 => multipart(chance, depth),
        _ => (Vec::new(), text(chance)),
    }
}

fn multipart(chance: &mut Chance, depth: usize) -> (Vec<String>, Vec<u8>) {
    let boundary = format!("b{depth}");
    let kind = chance.pick(&["mixed", "alternative", "related"]);
    let mut bytes = Vec::new();
    if chance.percent(30) {
        bytes.extend(b"a preamble hello\n");
    }
    for _ in 0..=chance.below(3) {
        bytes.extend(format!("--{boundary}\n").bytes());
        let (fields, content) = body(chance, depth + 1);
        fields
            .iter()
            .for_each(|field| bytes.extend(format!("{field}\n").bytes()));
        bytes.push(b'\n');
        bytes.extend(content);
        if chance.percent(50) {
            bytes.push(b'\n');
        }
    }
    if chance.percent(90) {
        bytes.extend(format!("--{boundary}--\n").bytes());
    }
    if chance.percent(20) {
        bytes.extend(b"an epilogue hello\n");
    }
    (
        vec![format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"")],
        bytes,
    )
}

fn text(chance: &mut Chance) -> Vec<u8> {
    let lines = [
        "hello world\n",
        "Hello\n",
        "some text\n",
        "\n",
        "Gr\u{fc}\u{df}e\n",
        "a line with 10\n",
        ".\n",
    ];
    let mut text = String::new();
    for _ in 0..chance.below(4) {
        text.push_str(chance.of_all(&lines));
    }
    text.into_bytes()
}
