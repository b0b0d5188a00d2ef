//! PREVIEW: RFC 8970.

use std::io;

use mail_parser::decoders::charsets::map::charset_decoder;

use super::super::html::text_of_html;
use super::super::structure::{Part, Structure};
use super::super::transfer::decoded as decoded_transfer;

/// Bytes of a part that are read.
pub(super) const PIECE: usize = 16 * 1024;
/// Characters of a preview. RFC 8970 §3.1 allows 200; a screen shows fewer, and every one takes its place
/// in the index: the last 72 would take 28 bytes of each message.
const CHARACTERS: usize = 128;
/// Parts that are read until one has text.
const TRIED: usize = 3;

/// The beginning of the first text that is to be read by people. `piece` reads the first
/// [`PIECE`] bytes of a part's body.
pub(super) fn preview(
    structure: &Structure,
    mut piece: impl FnMut(&Part) -> io::Result<Vec<u8>>,
) -> io::Result<String> {
    for part in texts(structure).take(TRIED) {
        let raw = piece(part)?;
        let cut = raw.len() == PIECE;
        let preview = preview_of(part, &raw, cut);
        if !preview.is_empty() {
            return Ok(preview);
        }
    }
    Ok(String::new())
}

/// Text parts that are no attachments and lie in no other message.
fn texts(structure: &Structure) -> impl Iterator<Item = &Part> {
    let parts = &structure.parts;
    let mut outside = Vec::with_capacity(parts.len());
    for part in parts {
        let attached = part.disposition.as_deref() == Some("attachment");
        outside.push(
            !attached
                && part
                    .parent
                    .is_none_or(|parent| outside[parent] && !parts[parent].is_message()),
        );
    }
    let text = |part: &&Part| part.is("text", "plain") || part.is("text", "html");
    let listed = parts.iter().zip(outside).filter(|(_, outside)| *outside);
    listed.map(|(part, _)| part).filter(text)
}

fn preview_of(part: &Part, raw: &[u8], cut: bool) -> String {
    let bytes = decoded_transfer(part, raw.to_vec());
    let charset = part.charset.as_ref().map(|charset| charset.value.as_slice());
    let mut text = decoded(&bytes, charset.unwrap_or_default());
    // A character may be cut in two.
    if cut {
        text.truncate(text.trim_end_matches(char::REPLACEMENT_CHARACTER).len());
    }
    if part.subtype == "html" {
        return one_line(text_of_html(&text).lines());
    }
    // What the sender quotes is not what he writes; but he may write nothing.
    let own = one_line(text.lines().filter(|line| !line.starts_with('>')));
    if own.is_empty() { one_line(text.lines()) } else { own }
}

/// Unknown charsets are read as UTF-8 where that works, else as the usual single bytes.
fn decoded(bytes: &[u8], charset: &[u8]) -> String {
    let is = |name: &str| charset.eq_ignore_ascii_case(name.as_bytes());
    if charset.is_empty() || is("utf-8") || is("us-ascii") || is("utf8") {
        return guessed(bytes);
    }
    match charset_decoder(charset) {
        Some(decode) => decode(bytes),
        None => guessed(bytes),
    }
}

fn guessed(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        // The end may be cut.
        Err(error) if error.error_len().is_none() => String::from_utf8_lossy(bytes).into_owned(),
        Err(_) => match charset_decoder(b"windows-1252") {
            Some(decode) => decode(bytes),
            None => String::from_utf8_lossy(bytes).into_owned(),
        },
    }
}

/// Words with one space between them, until there are enough characters.
fn one_line<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    let mut characters = 0;
    let mut gap = false;
    for c in lines.flat_map(|line| line.chars().chain(['\n'])) {
        if is_unseen(c) {
            continue;
        }
        if c.is_whitespace() || c.is_control() {
            gap = characters > 0;
            continue;
        }
        let wanted = 1 + usize::from(gap);
        if characters + wanted > CHARACTERS {
            break;
        }
        if std::mem::take(&mut gap) {
            line.push(' ');
        }
        line.push(c);
        characters += wanted;
    }
    line
}

/// Characters without a width, with which some senders fill the space of the preview, and those
/// that turn the direction of writing.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::Message;
    use super::*;

    fn of(text: &str) -> String {
        let message = Message::from_bytes(text);
        let piece = |part: &Part| message.range(part.body.start..part.body.end.min(part.body.start + PIECE as u64));
        preview(message.structure(), piece).unwrap()
    }

    #[test]
    fn shows_the_first_text() {
        let mixed = |parts: &[&str]| {
            let parts: String = parts.iter().map(|part| format!("--b\n{part}\n")).collect();
            format!("Content-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n")
        };
        for (text, preview) in [
            ("A: b\n\n  Hello,\n\n\tworld \u{7}!\n".to_owned(), "Hello, world !"),
            ("A: b\n\n> quoted\nmine\n".into(), "mine"),
            ("A: b\n\n> quoted\n".into(), "> quoted"),
            (
                "Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<p>caf=C3=\n=A9</p><p>x</p>=\n".into(),
                "café x",
            ),
            (
                "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: base64\n\n6WEg\n6Q==\n".into(),
                "éa é",
            ),
            ("A: b\n\nab\u{200b}\u{ad}c\n".into(), "abc"),
            (
                mixed(&["Content-Disposition: attachment\n\nno", "Content-Type: message/rfc822\n\nA: b\n\nno", "\n \n", "\nyes"]),
                "yes",
            ),
            (mixed(&["Content-Type: image/png\n\nno"]), ""),
            ("A: b\n".into(), ""),
        ] {
            assert_eq!(of(&text), preview, "{text}");
        }
    }

    #[test]
    fn single_bytes_without_a_charset() {
        assert_eq!(guessed(b"caf\xe9 x"), "café x");
        assert_eq!(guessed(b"caf\xc3"), "caf\u{fffd}");
    }

    #[test]
    fn lengths_are_bounded() {
        let long = of(&format!("A: b\n\n{}\n", "\u{e9} ".repeat(20_000)));
        assert_eq!(long.chars().count(), CHARACTERS - 1);
        let odd = of(&format!("A: b\n\nx{}\n", "\u{e9}".repeat(20_000)));
        assert_eq!(odd.chars().count(), CHARACTERS);
        assert_eq!(of(&format!("A: b\n\n{}x\n", " ".repeat(20_000))), "");
    }

    proptest! {
        #[test]
        fn is_one_line(
            raw in proptest::collection::vec(any::<u8>(), 0..300),
            encoding in prop_oneof![Just("7bit"), Just("base64"), Just("quoted-printable")],
            charset in prop_oneof![Just("utf-8"), Just("utf-7"), Just("utf-16"), Just("iso-2022-jp"), Just("gb18030"), Just("x")],
            kind in prop_oneof![Just("html"), Just("plain")],
        ) {
            let mut message = format!("Content-Type: text/{kind}; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n").into_bytes();
            message.extend_from_slice(&raw);
            let message = Message::from_bytes(message);
            let shown = preview(message.structure(), |part| message.range(part.body.clone())).unwrap();
            prop_assert!(shown.chars().count() <= CHARACTERS);
            prop_assert!(!shown.contains(char::is_control));
            prop_assert_eq!(shown.trim(), &shown);
        }
    }
}
