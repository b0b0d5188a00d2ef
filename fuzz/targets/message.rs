//! Any bytes as a message: header, MIME parts, what the index keeps of it and what filters read, the same in whatever
//! pieces it comes and in whatever form it lies, and all of it within the message.
//!
//! The first byte gives the places of the cuts; with its last bit lines of the message end in CRLF.

#![no_main]

use std::io::{Cursor, Read};
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use postroom::mail::{Address, Client, DeliveryId, Protocol, ReversePath};
use postroom::message::{
    Card, Header, Letter, Limits, Message, Parameter, Received, Scope, Section, SectionText, Spool, SpoolOptions, Text,
    Trace, date, day, encoded_field, mailboxes, message_ids, parameter, parse_whole, scan, text, zoned_date,
};

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    let bytes = match first & 1 {
        0 => bytes.to_vec(),
        _ => String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\n', "\r\n").into_bytes(),
    };
    let message = Message::from_bytes(&bytes[..]);
    in_pieces(&message, &bytes, 1 + usize::from(first >> 1));
    fields_lie_in_the_header(message.header(), &bytes);
    parts_lie_in_their_parents(&message, &bytes);
    parts_are_read(&message);
    as_filed(&message);
    for field in message.header().fields().take(20) {
        values(&field.unfolded());
    }
    values(&bytes[..bytes.len().min(300)]);
    if message.safe_for_parsers() && !bytes.is_empty() {
        // None where it has no header; what matters is that it ends.
        let _ = parse_whole(&bytes);
    }
});

fn in_pieces(message: &Message, bytes: &[u8], size: usize) {
    let options = SpoolOptions {
        memory: 1 << 20,
        directory: std::env::temp_dir(),
        ..SpoolOptions::default()
    };
    let mut spool = Spool::new(&options);
    for piece in bytes.chunks(size) {
        spool.write(piece).expect("it stays in memory");
    }
    let other = spool.finish().expect("it stays in memory");
    assert_eq!(other.bytes().expect("memory"), bytes);
    assert_eq!(other.structure(), message.structure());
    assert_eq!(other.header(), message.header());
    assert_eq!(other.digest(), message.digest());
    assert_eq!(other.safe_for_parsers(), message.safe_for_parsers());
    assert_eq!((other.size(), other.crlf_size()), (message.size(), message.crlf_size()));
    assert_eq!(message.crlf_size(), crlf_size(bytes));
}

/// Bytes once each LF without CR has one.
fn crlf_size(bytes: &[u8]) -> u64 {
    let bare = (0..bytes.len()).filter(|at| bytes[*at] == b'\n' && (*at == 0 || bytes[at - 1] != b'\r'));
    (bytes.len() + bare.count()) as u64
}

fn fields_lie_in_the_header(header: &Header, bytes: &[u8]) {
    assert!(bytes.starts_with(header.bytes()));
    let mut before = 0;
    for field in header.fields() {
        let range = field.range();
        assert!(range.start >= before && range.end <= header.bytes().len() as u64);
        before = range.end;
        assert_eq!(field.raw(), &bytes[range.start as usize..range.end as usize]);
        assert!(field.raw().starts_with(field.name().as_bytes()) && !field.name().is_empty());
        assert!(field.name().bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
        assert!(!field.unfolded().contains(&b'\n'));
        assert!(header.first(field.name()).is_some_and(|first| first.offset() <= field.offset()));
    }
    let tamed = header.tamed();
    assert!(tamed.ends_with(b"\n") && tamed.len() <= 256 * 1024 + 2);
}

fn parts_lie_in_their_parents(message: &Message, bytes: &[u8]) {
    let parts = &message.structure().parts;
    assert_eq!((parts[0].parent, parts[0].depth), (None, 0));
    assert!(parts.len() <= Limits::default().parts);
    for (index, part) in parts.iter().enumerate() {
        assert!(part.header.start <= part.header.end && part.header.end <= part.body.start);
        assert!(part.body.start <= part.body.end && part.body.end <= bytes.len() as u64);
        let body = &bytes[part.body.start as usize..part.body.end as usize];
        let lines = body.iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(part.lines, lines);
        let before = part.body.start > 0 && bytes[part.body.start as usize - 1] == b'\r';
        assert!(part.crlf_size == crlf_size(body) || before);
        assert_eq!(part.depth <= Limits::default().nesting + 1, true);
        let Some(parent) = part.parent else { continue };
        assert!(parent < index && part.depth == parts[parent].depth + 1);
        let holder = &parts[parent];
        assert!(holder.kind == "multipart" || holder.is_message());
        assert!(holder.body.start <= part.header.start, "{index}");
        assert!(part.body.end <= holder.body.end.max(part.body.start), "{index}");
        let elder = message.structure().children(parent).take_while(|child| *child < index).last();
        assert!(elder.is_none_or(|elder| parts[elder].body.end <= part.header.start));
    }
}

fn parts_are_read(message: &Message) {
    const MAX: u64 = 4096;
    for (index, part) in message.structure().parts.iter().enumerate().take(30) {
        let _ = message.part_header(part).expect("memory");
        assert!(message.part_body(part, MAX).expect("memory").len() as u64 <= MAX);
        let _ = message.part_content(part, MAX).expect("memory");
        let _ = message.part_text(part, MAX).expect("memory");
        let _ = message.part_known_text(part, MAX).expect("memory");
        let _ = message.around_parts(index, MAX).expect("memory");
    }
}

/// The card of a letter is that of the file to which it was written.
fn as_filed(message: &Message) {
    let trace = Trace {
        return_path: ReversePath::Null,
        received: Some(Received {
            client: Client::new(&helo(message), None, Protocol::Lmtp),
            hostname: "mx.example.org".to_owned(),
            id: DeliveryId::from_stored("01ABC").expect("an id"),
            recipient: Address::parse("ann@example.org").ok(),
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        }),
        original_to: None,
        delivered_to: Address::parse("ann@example.org").ok(),
        extra: vec![("X-Spam-Flag".to_owned(), helo(message))],
    };
    adds_its_fields_alone(&trace);
    for letter in [Letter::plain(message.clone()), Letter::new(message.clone(), &trace)] {
        let mut file = Vec::new();
        letter.write_to(&mut file).expect("memory");
        assert_eq!((file.len() as u64, crlf_size(&file)), (letter.stored_size(), letter.crlf_size()));
        let scanned = scan(Cursor::new(&file), &Limits::default()).expect("memory");
        let card = Card::of_file(&scanned, |range| {
            let end = (range.end as usize).min(file.len());
            Ok(file.get(range.start as usize..end).unwrap_or_default().to_vec())
        });
        let card = card.expect("memory");
        assert_eq!(Card::of_letter(&letter).expect("memory"), card);
        card_is_sound(&card, &file);
        let text = Text::read(&scanned.header, &scanned.structure, &mut Cursor::new(&file)).expect("memory");
        let _ = text.contains(Scope::Text, &postroom::message::Needle::new("a"));
    }
}

/// Some text that the client chose.
fn helo(message: &Message) -> String {
    String::from_utf8_lossy(&message.header().bytes()[..message.header().bytes().len().min(300)]).into_owned()
}

fn adds_its_fields_alone(trace: &Trace) {
    let bytes = trace.to_bytes();
    assert_eq!(crlf_size(&bytes), bytes.len() as u64);
    assert!(bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 999));
    let message = Message::from_bytes([&bytes[..], b"\r\n"].concat());
    let names: Vec<&str> = message.header().fields().map(|field| field.name()).collect();
    assert_eq!(names, ["Return-Path", "Delivered-To", "Received", "X-Spam-Flag"]);
    assert_eq!(message.header().bytes(), bytes);
}

fn card_is_sound(card: &Card, file: &[u8]) {
    for form in [card.envelope(), card.body_structure.clone(), card.body()] {
        assert!(form.len() <= 64 * 1024);
        let rest = imap_value(&form).unwrap_or_else(|| panic!("{}", form.escape_ascii()));
        assert_eq!(rest, b"", "{}", form.escape_ascii());
    }
    assert!(card.preview.chars().count() <= 128 && !card.preview.contains(char::is_control));
    let summary = card.summary();
    for text in [&summary.subject, &summary.from, &summary.to, &summary.cc] {
        assert!(text.chars().count() <= 1000 && !text.contains(char::is_control));
    }
    let _ = (card.sort_keys(), card.date());
    for span in &card.parts {
        assert!(span.header <= span.body && span.body <= span.end);
        assert!(span.end.stored <= file.len() as u64 && span.end.stored <= span.end.crlf);
        for text in [None, Some(SectionText::Header), Some(SectionText::Text), Some(SectionText::Mime)] {
            let section = Section {
                part: span.section.clone(),
                text,
            };
            let Some(extent) = card.section(&section) else { continue };
            let stored = &file[extent.stored.start as usize..extent.stored.end as usize];
            let crlf = extent.crlf.end - extent.crlf.start;
            // A piece may begin between CR and LF only in broken mail; there they may differ by one.
            assert!(crlf_size(stored).abs_diff(crlf) <= 1, "{section:?}");
        }
    }
}

/// The next value of RFC 9051's grammar: NIL, number, quoted string, literal, or values in parentheses. What follows it.
fn imap_value(form: &[u8]) -> Option<&[u8]> {
    match form {
        [b'(', rest @ ..] => {
            let mut rest = rest;
            loop {
                rest = match rest {
                    [b')', rest @ ..] => return Some(rest),
                    [b' ', rest @ ..] => rest,
                    _ => rest,
                };
                rest = imap_value(rest)?;
            }
        }
        [b'"', rest @ ..] => {
            let mut at = 0;
            loop {
                match rest.get(at)? {
                    b'"' => return Some(&rest[at + 1..]),
                    b'\\' => {
                        assert!(matches!(rest.get(at + 1), Some(b'"' | b'\\')));
                        at += 2;
                    }
                    // RFC 9051 §9: TEXT-CHAR is any of the 127 but CR and LF.
                    byte => {
                        assert!(matches!(byte, 1..=0x7f) && !b"\r\n".contains(byte), "{byte:#x} in a quoted string");
                        at += 1;
                    }
                }
            }
        }
        [b'{', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b'}')?;
            let length: usize = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
            let (value, after) = rest[end + 1..].strip_prefix(b"\r\n")?.split_at_checked(length)?;
            assert!(!value.contains(&0));
            Some(after)
        }
        _ => {
            let end = form.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(form.len());
            let word = &form[..end];
            let known = word == b"NIL" || (!word.is_empty() && word.iter().all(u8::is_ascii_digit));
            known.then_some(&form[end..])
        }
    }
}

/// Decoding a value, whatever it is, gives text without control characters.
fn values(raw: &[u8]) {
    let plain = |text: &str| assert!(!text.contains(char::is_control), "{text:?}");
    plain(&text(raw));
    for mailbox in mailboxes(raw) {
        [mailbox.name, mailbox.address].iter().flatten().for_each(|text| plain(text));
    }
    message_ids(raw).iter().for_each(|id| plain(id));
    let _ = (date(raw), day(raw), zoned_date(raw));
    for extended in [false, true] {
        plain(&parameter(&Parameter {
            value: raw.to_vec(),
            extended,
        }));
    }
    let told = text(raw);
    let field = encoded_field("Subject", &told, "\r\n");
    let message = Message::from_bytes(format!("{field}\r\n"));
    assert_eq!(message.header().fields().count(), 1);
    assert!(field.split("\r\n").all(|line| line.len() <= 998 && line.is_ascii()));
    let mut unread = Vec::new();
    message.reader().read_to_end(&mut unread).expect("memory");
    assert_eq!(unread.len(), field.len() + 2);
}
