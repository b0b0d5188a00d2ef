//! The message between DATA and the final dot: what is taken out of it, in whatever pieces it comes, is what a decoder
//! by the book takes out, and what is put in comes out again.
//!
//! The first byte gives the places of the cuts; with its last bit the others become few: dots, CR, LF, NUL and letters.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postroom::smtp::{DotDecoder, DotEncoder, DotEvent, LineEnds};

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    let bytes: Vec<u8> = match first & 1 {
        0 => bytes.to_vec(),
        _ => bytes.iter().map(|byte| b".\r\n.\r\n\0a"[usize::from(byte & 7)]).collect(),
    };
    let cut = 1 + usize::from(first >> 1) % 11;
    decodes(&bytes, cut);
    comes_back(&bytes, cut, LineEnds::Verbatim);
    let wire = comes_back(&bytes, cut, LineEnds::Crlf);
    nobody_ends_early(&wire);
});

fn decodes(wire: &[u8], cut: usize) {
    let expected = by_the_book(wire);
    for size in [wire.len().max(1), cut, 1] {
        let taken = take(wire, size);
        assert_eq!(taken.ended, expected.is_some());
        if let Some((content, length)) = &expected {
            assert_eq!((&taken.content, taken.consumed), (content, *length));
        }
    }
}

struct Taken {
    content: Vec<u8>,
    consumed: usize,
    ended: bool,
}

fn take(wire: &[u8], size: usize) -> Taken {
    let mut decoder = DotDecoder::new();
    let (mut content, mut from, mut to) = (Vec::new(), 0, 0);
    while to < wire.len() {
        to = (to + size).min(wire.len());
        loop {
            match decoder.next(&wire[from..to]) {
                DotEvent::NeedMore => break,
                DotEvent::Content(range) => {
                    assert!(!range.is_empty());
                    content.extend_from_slice(&wire[from + range.start..from + range.end]);
                    from += range.end;
                }
                DotEvent::End(length) => {
                    let consumed = from + length;
                    return Taken {
                        content,
                        consumed,
                        ended: true,
                    };
                }
            }
        }
        assert!(to - from <= 2);
    }
    Taken {
        content,
        consumed: from,
        ended: false,
    }
}

/// RFC 5321 §4.5.2: lines end in CR LF and in nothing else.
fn by_the_book(wire: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut content, mut at) = (Vec::new(), 0);
    loop {
        let end = at + wire[at..].windows(2).position(|pair| pair == b"\r\n")? + 2;
        match &wire[at..end] {
            b".\r\n" => return Some((content, end)),
            [b'.', line @ ..] | line => content.extend_from_slice(line),
        }
        at = end;
    }
}

fn comes_back(message: &[u8], cut: usize, line_ends: LineEnds) -> Vec<u8> {
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    let mut encoder = DotEncoder::new(line_ends);
    encoder.encode(message, &mut whole);
    encoder.finish(&mut whole);
    let mut encoder = DotEncoder::new(line_ends);
    message.chunks(cut).for_each(|piece| encoder.encode(piece, &mut pieces));
    encoder.finish(&mut pieces);
    assert_eq!(pieces, whole);

    let mut expected = Vec::new();
    for (at, byte) in message.iter().enumerate() {
        let alone = *byte == b'\n' && !message[..at].ends_with(b"\r");
        if alone && line_ends == LineEnds::Crlf {
            expected.push(b'\r');
        }
        expected.push(*byte);
    }
    if !expected.is_empty() && !expected.ends_with(b"\r\n") {
        expected.extend_from_slice(b"\r\n");
    }
    assert_eq!(by_the_book(&whole), Some((expected, whole.len())));
    whole
}

/// With all line ends made CR LF, one who takes LF alone for a line's end finds the same end.
fn nobody_ends_early(wire: &[u8]) {
    let lines = wire.strip_suffix(b".\r\n").expect("an end");
    let mut lines = lines.split(|byte| *byte == b'\n');
    assert!(!lines.any(|line| matches!(line, b"." | b".\r")));
}
