//! ENVELOPE, BODYSTRUCTURE, BODY and the sections of a message: what our card says of a file is compared with what
//! Dovecot says of it over IMAP. And over the corpus: the card of a delivery is that of the file it becomes.
//!
//! With `POSTROOM_COMPARE` set the corpus is compared with what Dovecot says, too, and what differs is printed: it
//! differs where mail is broken (docs of `message::Card` say how it is read here), and it is for people to judge.
//!
//! Known to differ, and made equal here before comparing:
//! - Dovecot writes MISSING_MAILBOX and MISSING_DOMAIN where we write empty strings;
//! - it writes words of the MIME grammar as they stand, we in lower case;
//! - where the empty line after a part's header is the line end before a boundary, it counts it to the boundary, we
//!   to the header;
//! - it makes every run of white space in a field one space, we leave it.

mod support;

use std::fs;

use postroom::mail::ReversePath;
use postroom::message::{Card, Letter, Limits, Message, Trace, scan, write_crlf};
use support::corpus::{Sample, samples};
use support::dovecot::Dovecot;
use support::peers::{present, root};
use support::place::{Place, give_to_mail_user};

/// A value of an IMAP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Nil,
    Text(String),
    List(Vec<Value>),
}

/// Reads values until the end or a closing parenthesis.
fn values(text: &mut &[u8]) -> Vec<Value> {
    let mut list = Vec::new();
    while let Some((&first, rest)) = text.split_first() {
        match first {
            b' ' | b'\r' | b'\n' => *text = rest,
            b')' => break,
            b'(' => {
                *text = rest;
                list.push(Value::List(values(text)));
                *text = text.strip_prefix(b")").expect("a closed list");
            }
            b'"' => list.push(Value::Text(shown(&quoted(text)))),
            b'{' => list.push(Value::Text(shown(&literal(text)))),
            _ => {
                let end = text
                    .iter()
                    .position(|byte| b" ()\r\n".contains(byte))
                    .unwrap_or(text.len());
                let (atom, rest) = text.split_at(end);
                *text = rest;
                list.push(if atom == b"NIL" {
                    Value::Nil
                } else {
                    Value::Text(shown(atom))
                });
            }
        }
    }
    list
}

fn quoted(text: &mut &[u8]) -> Vec<u8> {
    let mut value = Vec::new();
    let mut at = 1;
    while text[at] != b'"' {
        at += usize::from(text[at] == b'\\');
        value.push(text[at]);
        at += 1;
    }
    *text = &text[at + 1..];
    value
}

fn literal(text: &mut &[u8]) -> Vec<u8> {
    let end = text.iter().position(|byte| *byte == b'}').expect("a literal");
    let length: usize = str::from_utf8(&text[1..end])
        .expect("digits")
        .parse()
        .expect("a number");
    let (value, rest) = text[end + 3..].split_at(length);
    *text = rest;
    value.to_vec()
}

fn shown(value: &[u8]) -> String {
    let text: String = value.iter().map(|byte| char::from(*byte)).collect();
    let text = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    match text.as_str() {
        "MISSING_MAILBOX" | "MISSING_DOMAIN" => String::new(),
        _ => text,
    }
}

/// The values of one FETCH answer by their names.
fn fetched(answer: &[u8]) -> Vec<(String, Value)> {
    let all = values(&mut &*answer);
    let Some(Value::List(list)) = all.into_iter().find(|it| matches!(it, Value::List(_))) else {
        return Vec::new();
    };
    list.chunks_exact(2)
        .map(|pair| match &pair[0] {
            Value::Text(name) => (name.clone(), pair[1].clone()),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn lower(value: &Value) -> Value {
    match value {
        Value::Nil => Value::Nil,
        Value::Text(text) => Value::Text(text.to_ascii_lowercase()),
        Value::List(list) => Value::List(list.iter().map(lower).collect()),
    }
}

fn card_of(file: &[u8]) -> Card {
    let scanned = scan(file, &Limits::default()).expect("memory");
    Card::of_file(&scanned, |range| {
        Ok(file[range.start as usize..range.end as usize].to_vec())
    })
    .expect("memory")
}

/// What Dovecot says otherwise of these files.
fn differences(samples: &[Sample]) -> Vec<String> {
    let place = Place::new();
    let root = place.folder("mail");
    let maildir = place.folder("mail/example.org/ann/Maildir");
    for folder in ["cur", "new", "tmp"] {
        fs::create_dir_all(maildir.join(folder)).expect("a folder");
    }
    for (number, sample) in samples.iter().enumerate() {
        let name = format!("{}.M1P1.mx", 1_700_000_000 + number);
        fs::write(maildir.join("new").join(name), &sample.bytes).expect("a file");
    }
    give_to_mail_user(&root);
    let dovecot = Dovecot::start(&place, &root);
    let cards: Vec<Card> = samples.iter().map(|it| card_of(&it.bytes)).collect();
    let mut commands = Vec::new();
    for (number, card) in cards.iter().enumerate() {
        commands.push(format!(
            "FETCH {} (ENVELOPE BODYSTRUCTURE BODY BODY.PEEK[])",
            number + 1
        ));
        commands.extend(
            sections(card)
                .iter()
                .map(|it| format!("FETCH {} BODY.PEEK[{it}]", number + 1)),
        );
    }
    let mut answers = dovecot.answers("ann@example.org", "INBOX", &commands).into_iter();
    let mut found = Vec::new();
    for (sample, card) in samples.iter().zip(&cards) {
        let (status, answer) = answers.next().expect("an answer");
        assert!(status.starts_with("OK"), "{}: {status}", sample.name);
        let mut sent = Vec::new();
        write_crlf(&sample.bytes[..], &mut sent).expect("memory");
        for (name, theirs) in fetched(&answer) {
            let ours = match name.as_str() {
                "ENVELOPE" => values(&mut card.envelope().as_slice()).remove(0),
                "BODYSTRUCTURE" => lower(&values(&mut card.body_structure.as_slice()).remove(0)),
                "BODY" => lower(&values(&mut card.body().as_slice()).remove(0)),
                "BODY[]" => Value::Text(shown(&sent)),
                _ => continue,
            };
            let theirs = if name.starts_with("BODY") && name != "BODY[]" {
                lower(&theirs)
            } else {
                theirs
            };
            if ours != theirs {
                found.push(format!(
                    "{} {name}\n  {}",
                    sample.name,
                    first_difference(&ours, &theirs)
                ));
            }
        }
        for section in sections(card) {
            let (status, answer) = answers.next().expect("an answer");
            let theirs = status.starts_with("OK").then(|| section_of(&answer)).flatten();
            let extent = card.section(&section.parse().expect("a section")).expect("it is there");
            let ours = &sent[extent.crlf.start as usize..extent.crlf.end as usize];
            if section.ends_with(".MIME") && ours.strip_suffix(b"\r\n") == theirs.as_deref() {
                continue;
            }
            // Dovecot says NIL of what is empty.
            if theirs.as_deref().unwrap_or_default() != ours {
                found.push(format!(
                    "{} [{section}]\n  {:?}\n  {:?}",
                    sample.name,
                    short(ours),
                    theirs.as_deref().map(short)
                ));
            }
        }
    }
    found
}

/// The first place at which two values differ.
fn first_difference(ours: &Value, theirs: &Value) -> String {
    if let (Value::List(ours), Value::List(theirs)) = (ours, theirs)
        && let Some((ours, theirs)) = ours.iter().zip(theirs).find(|(ours, theirs)| ours != theirs)
    {
        return first_difference(ours, theirs);
    }
    format!(
        "{}\n  {}",
        short(format!("{ours:?}").as_bytes()),
        short(format!("{theirs:?}").as_bytes())
    )
}

fn short(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    if text.len() <= 300 {
        return text;
    }
    format!(
        "{}...{}",
        &text[..text.floor_char_boundary(150)],
        &text[text.ceil_char_boundary(text.len() - 100)..]
    )
}

/// All sections that a client may ask for.
fn sections(card: &Card) -> Vec<String> {
    let mut all = vec!["HEADER".to_owned(), "TEXT".to_owned()];
    for span in card.parts.iter().skip(1) {
        let number = &span.section;
        all.extend([number.clone(), format!("{number}.MIME")]);
        if span.inner.is_some() {
            all.extend([format!("{number}.HEADER"), format!("{number}.TEXT")]);
        }
    }
    all
}

fn section_of(answer: &[u8]) -> Option<Vec<u8>> {
    let at = answer.iter().position(|byte| *byte == b']')?;
    let mut rest = &answer[at + 2..];
    match rest.first()? {
        b'"' => Some(quoted(&mut rest)),
        b'{' => Some(literal(&mut rest)),
        _ => None,
    }
}

/// Messages as they come, one for each thing that is to be got right.
fn made() -> Vec<Sample> {
    let usual = "Date: Mon, 1 Jan 2024 10:00:00 +0100\nSubject: one\nMessage-ID: <1@example.org>\n";
    let mixed = |parts: &[&str]| {
        let parts: String = parts.iter().map(|part| format!("--b\n{part}\n")).collect();
        format!("{usual}Content-Type: multipart/mixed; boundary=\"b\"\n\nPreamble\n{parts}--b--\nEpilogue\n")
    };
    let texts = [
        format!("{usual}From: Ann <ann@example.org>\nTo: bob@example.org\n\nbody\n"),
        format!(
            "{usual}From: \"Ann, \\\"B\\\"\" <ann@example.org>\nSender: list@example.org\nReply-To:\nTo: a@b, C D <c@d>,\n e@f (G)\n\n"
        ),
        format!("{usual}From: =?utf-8?q?J=C3=B6?= <jo@example.org>\nTo: undisclosed-recipients:;\n\nx\n"),
        format!(
            "{usual}To: friends: ann@a, Bob <bob@b>;, c@c\nCc: <@x,@y:ann@example.org>\nBcc: \"a b\"@example.org\n\nx\n"
        ),
        format!("{usual}From: ann@[192.0.2.1]\nTo: ann\nCc: Ann B <ann>\nIn-Reply-To: <1@a>\n <2@a>\n\nx\n"),
        "Subject:\nMessage-ID:\nDate:\nFrom:\nTo:\n\nempty fields\n".to_owned(),
        "Subject: folded\n over\n\tlines\n\n".to_owned(),
        "Subject: grüße \"quoted\" back\\slash\nFrom: Jö <jo@example.org>\n\ngrüße\n".to_owned(),
        "\nno header\n".to_owned(),
        mixed(&["\none", "Content-Type: text/html; charset=utf-8\n\n<p>two</p>\n"]),
        mixed(&[
            "Content-Type: IMAGE/PNG; name=\"a b.png\"\nContent-Disposition: Attachment; filename=\"a b.png\"; size=3\n\
             Content-ID: <1@a>\nContent-Description: a\n picture\nContent-Transfer-Encoding: BASE64\n\
             Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\nContent-Language: de, en\nContent-Location: http://a/b\n\nQUJD\n",
        ]),
        mixed(&["Content-Type: application/pdf;\n name*0*=utf-8''gr%C3%BC;\n name*1*=%C3%9Fe;\n name*2=\".pdf\"\n\nx"]),
        mixed(&["Content-Type: application/pdf; name*0=\"long \"; name*1=name\n\nx"]),
        mixed(&["Content-Type: message/rfc822\n\nSubject: inner\nFrom: Ann <ann@a>\nTo: b@c,\n d@e\n\nbody\nof two\n"]),
        mixed(&[
            "Content-Type: message/rfc822\n\nSubject: inner\nContent-Type: multipart/alternative; boundary=c\n\n\
             --c\n\none\n--c\nContent-Type: text/html\n\ntwo\n--c--\n",
            "\nlast",
        ]),
        mixed(&[
            "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: 1\n\none\n--d\n\nSubject: 2\n\ntwo\n--d--\n",
        ]),
        format!("{usual}Content-Type: message/rfc822\n\nSubject: inner\n\nbody\n"),
        format!("{usual}Content-Type: multipart/mixed; boundary=b\n\nno parts\n"),
        mixed(&["", "\n", "A: b\n", "\n\n"]),
        format!("{usual}Content-Type: multipart/mixed; boundary=b\n\n--b\n\nnever closed\n"),
        format!(
            "{usual}Content-Type: text/plain; format=flowed; charset=\"iso-8859-1\"\nContent-Transfer-Encoding: 8bit\n\nx"
        ),
    ];
    let mut all: Vec<Sample> = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        for (ends, text) in [("LF", text.clone()), ("CRLF", text.replace('\n', "\r\n"))] {
            all.push(Sample {
                name: format!("{number} ({ends})"),
                bytes: text.into(),
            });
        }
    }
    all
}

#[test]
fn dovecot_says_the_same() {
    if !root() || !present(&["dovecot", "python3"]) {
        return;
    }
    let found = differences(&made());
    assert!(found.is_empty(), "{}\n{} differences", found.join("\n"), found.len());
}

#[test]
fn dovecot_and_the_corpus() {
    if std::env::var_os("POSTROOM_COMPARE").is_none() || !root() || !present(&["dovecot", "python3"]) {
        return;
    }
    let found = differences(&samples());
    println!("{}\n{} differences", found.join("\n"), found.len());
}

#[test]
fn a_delivery_has_the_card_of_its_file() {
    let trace = Trace {
        return_path: ReversePath::Null,
        received: None,
        original_to: None,
        delivered_to: Some("ann@example.org".parse().expect("an address")),
        extra: Vec::new(),
    };
    for sample in samples().into_iter().chain(made()) {
        for bytes in [sample.bytes.clone(), support::postroom::with_crlf(&sample.bytes)] {
            let letter = Letter::new(Message::from_bytes(bytes), &trace);
            let mut file = Vec::new();
            letter.write_to(&mut file).expect("memory");
            let card = Card::of_letter(&letter).expect("memory");
            assert!(card == card_of(&file), "{}", sample.name);
            assert!(
                card.envelope().len() <= 65_536 && card.body_structure.len() <= 65_536,
                "{}",
                sample.name
            );
        }
    }
}
