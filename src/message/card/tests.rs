use proptest::prelude::*;

use super::super::{Limits, Message, Trace, scan, write_crlf};
use super::*;
use crate::mail::ReversePath;

fn letter(text: &[u8]) -> (Letter, Vec<u8>) {
    let trace = Trace {
        return_path: ReversePath::Null,
        received: None,
        original_to: None,
        delivered_to: Some("ann@example.org".parse().unwrap()),
        extra: Vec::new(),
    };
    let letter = Letter::new(Message::from_bytes(text), &trace);
    let mut file = Vec::new();
    letter.write_to(&mut file).unwrap();
    (letter, file)
}

fn card_of_file(file: &[u8]) -> Card {
    let scanned = scan(file, &Limits::default()).unwrap();
    Card::of_file(&scanned, |range| {
        Ok(file[range.start as usize..range.end as usize].to_vec())
    })
    .unwrap()
}

fn with_crlf(file: &[u8]) -> Vec<u8> {
    let mut sent = Vec::new();
    write_crlf(file, &mut sent).unwrap();
    sent
}

/// The card, after the two ways of making it were compared, and all of its places.
fn card(text: &[u8]) -> Card {
    let (letter, file) = letter(text);
    let card = Card::of_letter(&letter).unwrap();
    assert_eq!(card, card_of_file(&file), "{}", String::from_utf8_lossy(text));
    let sent = with_crlf(&file);
    for span in &card.parts {
        for (from, to) in [(span.header, span.body), (span.body, span.end)] {
            let stored = &file[from.stored as usize..to.stored as usize];
            let crlf = &sent[from.crlf as usize..to.crlf as usize];
            assert_eq!(with_crlf(stored), crlf, "{span:?}");
        }
        let inner = span.inner.unwrap_or(span.body);
        assert!(span.body <= inner && inner <= span.end, "{span:?}");
    }
    let whole = &card.parts[0];
    assert_eq!((whole.header, whole.section.as_str()), (Place::default(), ""));
    assert_eq!(
        whole.end,
        Place {
            stored: file.len() as u64,
            crlf: sent.len() as u64
        }
    );
    if card.header_complete {
        assert_eq!(card.header, sent[..whole.body.crlf as usize]);
    } else {
        assert!(sent.starts_with(&card.header));
    }
    card
}

fn read<'a>(file: &'a [u8], card: &Card, section: &str) -> Option<&'a str> {
    let extent = card.section(&section.parse().unwrap())?;
    str::from_utf8(&file[extent.stored.start as usize..extent.stored.end as usize]).ok()
}

#[test]
fn sections_are_numbered() {
    let text = "Subject: outer\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\none\n\
                --a\nContent-Type: multipart/alternative; boundary=b\n\n--b\nX: y\n\ntwo.one\n--b\n\ntwo.two\n--b--\n\
                --a\nContent-Type: message/rfc822\n\nSubject: inner\nContent-Type: multipart/mixed; boundary=c\n\n\
                --c\n\nthree.one\n--c--\n\
                --a\nContent-Type: message/rfc822\n\nSubject: plain\n\nfour.one\n--a--\n";
    for text in [text.to_owned(), text.replace('\n', "\r\n")] {
        let (_, file) = letter(text.as_bytes());
        let card = card(text.as_bytes());
        let sections: Vec<_> = card.parts.iter().map(|span| span.section.as_str()).collect();
        assert_eq!(sections, ["", "1", "2", "2.1", "2.2", "3", "3.1", "4", "4.1"]);
        for (section, found) in [
            ("1", Some("one")),
            ("1.MIME", Some("\n")),
            ("2.1", Some("two.one")),
            ("2.1.MIME", Some("X: y\n\n")),
            ("2.2", Some("two.two")),
            (
                "3.HEADER",
                Some("Subject: inner\nContent-Type: multipart/mixed; boundary=c\n\n"),
            ),
            ("3.TEXT", Some("--c\n\nthree.one\n--c--")),
            ("3.1", Some("three.one")),
            ("4", Some("Subject: plain\n\nfour.one")),
            ("4.MIME", Some("Content-Type: message/rfc822\n\n")),
            ("4.TEXT", Some("four.one")),
            ("4.1", Some("four.one")),
            ("4.1.MIME", Some("Subject: plain\n\n")),
            ("1.TEXT", None),
            ("5", None),
            ("1.1", None),
        ] {
            assert_eq!(read(&file, &card, section), found, "{section}");
        }
        assert_eq!(read(&file, &card, ""), str::from_utf8(&file).ok());
        assert!(read(&file, &card, "TEXT").unwrap().starts_with("--a\n"));
        assert!(read(&file, &card, "HEADER").unwrap().ends_with("boundary=a\n\n"));
        assert_eq!(card.preview, "one");
        assert_eq!(card.summary().subject, "outer");
    }
}

#[test]
fn a_message_without_parts_is_part_one() {
    for text in [
        "Subject: x\r\n\r\nbody\r\n",
        "Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nbody\r\n",
    ] {
        let (_, file) = letter(text.as_bytes());
        let card = card(text.as_bytes());
        assert_eq!(read(&file, &card, "1"), read(&file, &card, "TEXT"));
        assert_eq!(read(&file, &card, "1.MIME"), read(&file, &card, "HEADER"));
        assert_eq!(read(&file, &card, "1.1"), text.contains("rfc822").then_some("body\n"));
    }
}

#[test]
fn a_boundary_may_take_the_line_end_of_the_header_before_it() {
    let text = "Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\n\r\n--a--\r\n";
    let (_, file) = letter(text.as_bytes());
    let card = card(text.as_bytes());
    for section in ["1", "1.HEADER", "1.TEXT"] {
        assert_eq!(read(&file, &card, section), Some(""), "{section}");
    }
}

#[test]
fn long_headers_are_cut_at_a_line() {
    for end in ["\n", "\r\n"] {
        for (lines, complete) in [(10, true), (104_000, true), (105_000, false), (130_000, false)] {
            let text = format!(
                "Subject: x{end}{}{end}body{end}",
                format!("X: 34567{end}").repeat(lines)
            );
            let card = card(text.as_bytes());
            assert_eq!(card.header_complete, complete, "{lines}");
            assert!(card.header.len() <= HEADER_MAX && card.header.ends_with(b"\r\n"));
            assert_eq!(card.preview, "body");
        }
    }
}

#[test]
fn the_preview_reads_the_same_bytes() {
    for count in [8191, 8192, 8193, 16_383, 16_384] {
        for line in ["\r\n", "a\r\n", "\r", "\n"] {
            card(format!("A: b\r\n\r\n{}x\r\n", line.repeat(count)).as_bytes());
        }
    }
}

#[test]
fn hostile_structures_stay_small() {
    let deep = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n".repeat(100);
    let wide = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}",
        "--b\n\nx\n".repeat(5000)
    );
    for (text, complete) in [(deep, false), (wide, false)] {
        let card = card(text.as_bytes());
        assert!(card.parts.len() <= 1001);
        assert!(card.body_structure.len() <= 64 * 1024);
        assert_eq!(card.parts_complete, complete);
    }
}

#[test]
fn the_digest_is_of_all_bytes() {
    let file = b"Return-Path: <>\nA: b\n\nc\n";
    let sha = ring::digest::digest(&ring::digest::SHA256, file);
    assert_eq!(scan(&file[..], &Limits::default()).unwrap().digest, sha.as_ref());
}

proptest! {
    #[test]
    fn a_letter_and_its_file_have_one_card(
        lines in proptest::collection::vec(prop_oneof![
            Just("Content-Type: multipart/mixed; boundary=a"), Just("Content-Type: multipart/digest; boundary=ab"),
            Just("content-type: message/rfc822"), Just(" ; name=\"x\"; charset=y"), Just("Subject: Re: x"),
            Just("From: Ann <ann@example.org>, g: b@c;"), Just("Content-Transfer-Encoding: base64"),
            Just("--a"), Just("--ab"), Just("--a--"), Just("--ab-- "), Just(""), Just(""), Just("text: x"), Just("x\0\u{e9}"),
        ], 0..30),
        ends in prop_oneof![
            Just(vec!["\r\n"; 30]), Just(vec!["\n"; 30]),
            proptest::collection::vec(prop_oneof![Just("\n"), Just("\r\n"), Just("\r"), Just("\r\r\n")], 30),
        ],
    ) {
        let text: String = lines.iter().zip(ends).flat_map(|(line, end)| [*line, end]).collect();
        let card = card(text.as_bytes());
        let body = String::from_utf8_lossy(&card.body()).into_owned();
        prop_assert_eq!(body.matches('(').count(), body.matches(')').count());
    }
}
