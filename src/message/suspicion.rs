//! Which messages may be handed whole to the crate mail-parser.
//!
//! mail-parser 0.11 reads a message in its own way: a boundary counts in mid-line,
//! white space counts for nothing in a field's name, an empty line may have blanks. So a
//! message can look harmless to our scanner and be deep, wide or cyclic in its eyes.
//! Therefore the bytes themselves are watched for what it needs to go wrong, wherever
//! they stand: the text `Content-Type:`, and what follows it.

use std::collections::HashSet;

use memchr::memchr;

use super::header::Header;
use super::part_header::Traits;
use super::structure::{Part, Structure};

const PARTS_MAX: usize = 200;
const DEPTH_MAX: usize = 20;
const FIELD_MAX: usize = 64 * 1024;
const HEADER_MAX: usize = 256 * 1024;
/// Bytes of one Content-Type or Content-Disposition: parameters cost the square of their number.
const CONTENT_MAX: usize = 8 * 1024;
/// Texts `Content-Type:` anywhere, each of which could start a part.
const MARKS_MAX: u64 = 400;
/// Bytes walked over in vain: a multipart whose boundary never comes costs a walk to the end.
const WALK_MAX: u64 = 256 * 1024 * 1024;
/// Such multiparts that are borne in a message of any size.
const WALKS_FREE: u64 = 4;
/// Bytes of a field name that are looked back at.
const BACK: usize = 64;

/// Watches the bytes of a message as they come.
#[derive(Default)]
pub(super) struct Watch {
    /// The last bytes before the piece at hand.
    before: Vec<u8>,
    field: Option<Watched>,
    marks: u64,
    multiparts: u64,
    messages: u64,
    longest: usize,
    size: u64,
    /// Whether a name was written with white space in it.
    odd: bool,
}

/// A Content-Type or Content-Disposition that is being received.
#[derive(Default)]
struct Watched {
    /// Whether it is a Content-Type.
    is_type: bool,
    value: Vec<u8>,
    length: usize,
    after_line_feed: bool,
}

/// How much a Content-Type value speaks of messages within messages.
///
/// A tree becomes cyclic in mail-parser where, within a multipart, a message's own root
/// is a message again, and after it comes a third message before the multipart ends:
/// the end is then counted for the first message, whose index in its parent is taken for
/// an index in itself. Less than three messages cannot do it, but one digest
/// can, since the parts of a digest are messages without saying so (RFC 2046 §5.1.5).
pub(super) fn weight(value: &[u8]) -> u64 {
    let value = value.to_ascii_lowercase();
    count(&value, b"rfc822") + count(&value, b"global") + 3 * count(&value, b"digest")
}

fn count(text: &[u8], word: &[u8]) -> u64 {
    memchr::memmem::find_iter(text, word).count() as u64
}

impl Watch {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            if self.field.is_some() {
                at = self.follow(bytes, at);
            } else if let Some(colon) = memchr(b':', &bytes[at..]) {
                at += colon;
                self.field = self.content_field(&bytes[..at]);
                at += 1;
            } else {
                break;
            }
        }
        self.size += bytes.len() as u64;
        self.remember(bytes);
    }

    fn remember(&mut self, bytes: &[u8]) {
        self.before
            .extend_from_slice(&bytes[bytes.len().saturating_sub(BACK)..]);
        let surplus = self.before.len().saturating_sub(BACK);
        self.before.drain(..surplus);
    }

    // The field, if the text before a colon ends in the name of one with parameters. The
    // white space that mail-parser overlooks in a name is overlooked here, but remembered:
    // our scanner does not take such a line for a field.
    fn content_field(&mut self, bytes: &[u8]) -> Option<Watched> {
        let back = bytes.iter().rev().chain(self.before.iter().rev()).take(BACK);
        let mut back = back.skip_while(|byte| byte.is_ascii_whitespace()).peekable();
        let names: [&[u8]; 3] = [b"content-type", b"content-disposition", b"content-transfer-encoding"];
        let last = back.peek()?.to_ascii_lowercase();
        let name = names.into_iter().find(|name| name.last() == Some(&last))?;
        let mut odd = false;
        let mut wanted = name.iter().rev();
        let mut letter = wanted.next();
        for byte in back {
            let Some(expected) = letter else { break };
            if byte.is_ascii_whitespace() {
                odd = true;
            } else if byte.eq_ignore_ascii_case(expected) {
                letter = wanted.next();
            } else {
                return None;
            }
        }
        // A name that blanks stretch beyond what is looked back at is taken for one, too.
        self.odd |= odd;
        (name != names[2]).then(|| Watched {
            is_type: name == names[0],
            ..Watched::default()
        })
    }

    // Takes what belongs to the field: up to a line feed that no white space follows.
    fn follow(&mut self, bytes: &[u8], mut at: usize) -> usize {
        let Some(field) = &mut self.field else { return at };
        while at < bytes.len() {
            if field.after_line_feed && !matches!(bytes[at], b' ' | b'\t') {
                self.settle();
                return at;
            }
            let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end + 1);
            field.after_line_feed = bytes[end - 1] == b'\n';
            field.length += end - at;
            let room = CONTENT_MAX.saturating_sub(field.value.len());
            field.value.extend_from_slice(&bytes[at..end.min(at + room)]);
            at = end;
        }
        at
    }

    fn settle(&mut self) {
        let Some(mut field) = self.field.take() else { return };
        self.longest = self.longest.max(field.length);
        let messages = weight(&field.value);
        field.value.make_ascii_lowercase();
        let multiparts = count(&field.value, b"multipart");
        // Fields within the field: a boundary in mid-line starts a part there.
        field.value.retain(|byte| !byte.is_ascii_whitespace());
        let within = count(&field.value, b"content-type:");
        self.marks += 1 + within;
        if field.is_type || within > 0 {
            self.messages += messages;
            self.multiparts += multiparts;
        }
    }

    /// Whether a whole parse is safe, once the message has ended.
    pub(super) fn finish(mut self, header: &Header, structure: &Structure, traits: Traits) -> bool {
        self.settle();
        let small = structure.truncated.is_none()
            && structure.parts.len() <= PARTS_MAX
            && structure.parts.iter().all(|part| part.depth <= DEPTH_MAX)
            && !header.is_truncated()
            && header.bytes().len() <= HEADER_MAX
            && header.fields().all(|field| field.raw().len() <= FIELD_MAX);
        // A multipart in which parts were found does not send anyone to the end of the message.
        let found = (1..structure.parts.len()).filter_map(|part| structure.parts[part].parent);
        let found = found.collect::<HashSet<_>>().len() as u64;
        let walks = self.multiparts.saturating_sub(found);
        let cheap = self.marks <= MARKS_MAX
            && self.longest <= CONTENT_MAX
            && (walks <= WALKS_FREE || walks.saturating_mul(self.size) <= WALK_MAX);
        let messages = structure.parts.iter().filter(|part| part.is_message());
        let nested = messages.clone().any(|part| {
            let parent = part.parent.map(|parent| &structure.parts[parent]);
            parent.is_some_and(Part::is_message)
        });
        // What is encoded is out of our sight, but not out of mail-parser's, which takes the
        // last of two fields, and the encoding even from an encoded word.
        let plain = |part: &Part| matches!(part.encoding.as_deref(), None | Some("7bit" | "8bit" | "binary"));
        let encoded = messages.clone().any(|part| !plain(part)) || (self.messages > 0 && traits.merged);
        let hidden = self.messages > traits.messages;
        let cyclic = self.messages >= 3 && nested;
        small && cheap && !self.odd && !encoded && !hidden && !cyclic
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Message, parse_whole};

    const MULTIPART: &str = "Content-Type: multipart/mixed; boundary=A\n\n";
    const RFC822: &str = "Content-Type: message/rfc822\n\n";

    #[test]
    fn tells_safe_from_unsafe() {
        let forwarded = format!("--A\n{RFC822}Subject: x\n\nhi\n").repeat(5);
        for (text, safe) in [
            ("Subject: x\n\nhi\n".to_owned(), true),
            (format!("{MULTIPART}{forwarded}--A--\n"), true),
            // A bounce quotes a header.
            (
                format!("{MULTIPART}--A\n\nContent-Type: multipart/digest\n--A\n{RFC822}Subject: x\n\n"),
                false,
            ),
            (
                format!("{MULTIPART}--A\n\nContent-Type: multipart/mixed\n--A\n{RFC822}Subject: x\n\n"),
                true,
            ),
            // A file called digest is not a digest.
            ("Content-Disposition: attachment; filename=digest\n\n".to_owned(), true),
            // Deep, wide, long.
            (RFC822.repeat(30), false),
            (format!("{MULTIPART}{}", "--A\n\n".repeat(300)), false),
            (format!("Subject: {}\n\n", "x".repeat(70_000)), false),
            (format!("Content-Type: a/b{}\n\n", ";x=y".repeat(3000)), false),
            // Out of sight.
            (format!("Content-Transfer-Encoding: base64\n{RFC822}QQ==\n"), false),
            (format!("Content-Transfer-Enc oding: base64\n{RFC822}QQ==\n"), false),
            (
                format!("Content-Transfer-Encoding: =?a?q?base64?=\n{RFC822}QQ==\n"),
                false,
            ),
            (
                format!("Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n{RFC822}QQ==\n"),
                false,
            ),
            (
                format!(
                    "{MULTIPART}--A\nContent-Type: message/rfc822\n--A\nContent-Transfer-Encoding: base64\n\nQQ==\n"
                ),
                false,
            ),
            (format!("Subject: x\n\n{RFC822}"), false),
            // Walks to the end.
            (
                format!(
                    "{MULTIPART}{}{}",
                    "--A\nContent-Type: multipart/x; boundary=B\n\n".repeat(150),
                    "x".repeat(3_000_000)
                ),
                false,
            ),
            (
                format!(
                    "{MULTIPART}{}",
                    "--A\nContent-Type: multipart/x; boundary=B\n\n--B\n\n".repeat(50)
                ),
                true,
            ),
            // The same where only mail-parser sees it.
            (format!("{MULTIPART}x--A\n{}", RFC822.repeat(30)), false),
            (
                format!("{MULTIPART}x--A\nC on tent-Type: a/b{}\n\n", ";x=y".repeat(3000)),
                false,
            ),
            (
                format!("{MULTIPART}x--A{}", "Content-Type: a/b\n\n--A".repeat(500)),
                false,
            ),
            (
                format!("{MULTIPART}--A\n{RFC822}x\n \n{RFC822}A: b\n\nx\n--A\n{RFC822}A: b\n\nx\n--A--\n"),
                false,
            ),
        ] {
            assert_eq!(
                Message::from_bytes(text.clone()).safe_for_parsers(),
                safe,
                "{}",
                &text[..text.len().min(200)]
            );
        }
    }

    proptest! {
        // Whatever is called safe comes out of mail-parser as a tree.
        #[test]
        fn safe_messages_are_trees(lines in proptest::collection::vec(prop_oneof![
            Just("Content-Type: multipart/mixed; boundary=a"),
            Just("Content-Type: multipart/digest; boundary=b"),
            Just("content-type: message/rfc822"),
            Just("Content-Transfer-Encoding: base64"),
            Just(""), Just("--a"), Just("--b"), Just("x--a"), Just("--a--"), Just("--b--"), Just("x"), Just(" "), Just("A: b"),
        ], 0..25)) {
            let text = format!("Content-Type: multipart/mixed; boundary=a\n\n{}", lines.join("\n"));
            if Message::from_bytes(text.clone()).safe_for_parsers() {
                prop_assert!(parse_whole(text.as_bytes()).is_some());
            }
        }
    }
}
