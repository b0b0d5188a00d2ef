//! What is no end of data: every pair of line ends around a dot, cut at every place, by DATA and among chunks.
//!
//! Behind the false end stands a transaction of its own. A server that took it for the end would have a second message,
//! from somebody whom the one in front of it never let in.

use proptest::prelude::*;

use super::{House, options};
use crate::smtp::{Door, Options};

/// What some server somewhere takes, or took, for the end of a line; and what is none.
const ENDS: &[&str] = &[
    "\r\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n\r", "\n\n", "\r\r", "\0", "\r\n\0", "\0\r\n", "\r\0\n", " \r\n",
    "\t\n", "\u{85}", "\u{2028}", "\x0b", "\x0c", "",
];

const SMUGGLED: &str =
    "MAIL FROM:<root@example.org>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nx";

fn house() -> House {
    House::new(Options {
        message_size: 0,
        ..options(Door::Lmtp)
    })
}

/// The envelope of one message to one recipient, up to the content.
fn envelope(command: &str) -> String {
    format!("LHLO mta\r\nMAIL FROM:<ann@example.com>\r\nRCPT TO:<ann@example.org>\r\n{command}")
}

/// The messages that came, as the log tells them.
fn messages(house: &House) -> Vec<&String> {
    house.log.iter().filter(|line| line.starts_with("== message")).collect()
}

/// How the message with this content is told.
fn told(content: &[u8]) -> String {
    format!(
        "== message \"{}\" ann@example.com ann@example.org LMTP",
        content.escape_ascii()
    )
}

/// RFC 5321 §4.5.2 by the book: split at CR LF, up to the line with a dot alone; a dot in front of others goes.
fn by_the_book(wire: &str) -> Vec<u8> {
    let mut content = Vec::new();
    for line in wire.split_inclusive("\r\n") {
        if line == ".\r\n" {
            break;
        }
        // `split_inclusive` ends only at CR LF, and the dialogue ends in one.
        content.extend_from_slice(line.strip_prefix('.').unwrap_or(line).as_bytes());
    }
    content
}

#[test]
fn only_crlf_dot_crlf_ends_whatever_stands_around_the_dot() {
    for before in ENDS {
        for after in ENDS {
            let wire = format!("Subject: x\r\n\r\na{before}.{after}{SMUGGLED}\r\n.\r\n");
            let dialogue = format!("{}{wire}", envelope("DATA\r\n")).into_bytes();
            let ends = (*before, *after) == ("\r\n", "\r\n") || wire.contains("\r\n.\r\nMAIL");
            let mut expected = vec![told(&by_the_book(&wire))];
            if ends {
                expected.push(told(b"Subject: smuggled\r\n\r\nx\r\n").replace("ann@example.com", "root@example.org"));
            }
            // In two pieces, cut at each place, and byte by byte.
            for cut in 0..=dialogue.len() {
                let mut house = house();
                let (first, second) = dialogue.split_at(cut);
                house.feed(first);
                house.feed(second);
                assert_eq!(
                    messages(&house),
                    expected.iter().collect::<Vec<_>>(),
                    "{before:?} {after:?} {cut}"
                );
            }
            let mut house = house();
            dialogue.chunks(1).for_each(|byte| house.feed(byte));
            assert_eq!(
                messages(&house),
                expected.iter().collect::<Vec<_>>(),
                "{before:?} {after:?}"
            );
            // Behind a true end the rest is commands, good or bad.
            let ended = format!("{before}.{after}").contains("\r\n.\r\n");
            assert!(ended || house.log.last().is_some_and(|reply| reply.starts_with("<- 250")));
        }
    }
}

#[test]
fn at_the_start_of_the_message_too() {
    for after in ENDS.iter().filter(|after| !after.starts_with("\r\n")) {
        let wire = format!(".{after}{SMUGGLED}\r\n.\r\n");
        let dialogue = format!("{}{wire}", envelope("DATA\r\n")).into_bytes();
        for cut in 0..=dialogue.len() {
            let mut house = house();
            house.feed(&dialogue[..cut]);
            house.feed(&dialogue[cut..]);
            assert_eq!(messages(&house), [&told(&by_the_book(&wire))], "{after:?} {cut}");
        }
    }
}

#[test]
fn chunks_have_no_end_but_their_size() {
    for before in ENDS {
        for after in ENDS {
            let content = format!("a{before}.{after}{SMUGGLED}\r\n.\r\n");
            let (head, tail) = content.as_bytes().split_at(2);
            // DATA among them is refused, and what follows it is a command (RFC 3030 §2).
            let parts = [
                envelope(&format!("BDAT {}\r\n", head.len())).into_bytes(),
                head.to_vec(),
                b"DATA\r\n".to_vec(),
                format!("BDAT {} LAST\r\n", tail.len()).into_bytes(),
                tail.to_vec(),
                b"NOOP\r\n".to_vec(),
            ];
            let dialogue = parts.concat();
            for size in [1, 2, 3, 7, dialogue.len()] {
                let mut house = house();
                dialogue.chunks(size).for_each(|piece| house.feed(piece));
                assert_eq!(
                    messages(&house),
                    [&told(content.as_bytes())],
                    "{before:?} {after:?} {size}"
                );
                assert!(house.log.iter().any(|line| line.starts_with("<- 503 5.5.1")));
                assert!(house.log.last().is_some_and(|reply| reply.starts_with("<- 250 2.0.0")));
            }
        }
    }
}

#[test]
fn a_command_line_with_a_bare_line_end_is_not_two() {
    for end in ["\n", "\r", "\n\r", "\r\r", "\0", "\x0b", "\u{85}"] {
        for cut in 1..4 {
            let mut house = house();
            let line = format!("NOOP{end}MAIL FROM:<root@example.org>{end}RCPT TO:<ann@example.org>\r\nDATA\r\n");
            let dialogue = format!("LHLO mta\r\n{line}");
            dialogue.as_bytes().chunks(cut).for_each(|piece| house.feed(piece));
            // One reply to the line, whatever it is, and no transaction for DATA.
            let replies: Vec<&str> = house.log.iter().filter_map(|line| line.strip_prefix("<- ")).collect();
            let after = replies.iter().rposition(|line| *line == "250 DSN").unwrap() + 1;
            assert_eq!(replies.len() - after, 2, "{end:?}: {replies:?}");
            assert!(replies[after + 1].starts_with("503 5.5.1"), "{end:?}: {replies:?}");
        }
    }
}

proptest! {
    // Line ends, dots, NULs and commands in any order, in any pieces: the content is what the book says, and what
    // follows is what follows the first true end.
    #[test]
    fn any_content_is_what_the_book_says(
        words in prop::collection::vec(
            prop::sample::select(vec!["\r\n", "\n", "\r", ".", "..", "\0", "a", "\r\n.", ".\r\n", "RSET\r\n"]),
            0..40,
        ),
        cuts in prop::collection::vec(1usize..9, 1..20),
    ) {
        let wire = format!("{}\r\n.\r\n", words.concat());
        let dialogue = format!("{}{wire}", envelope("DATA\r\n")).into_bytes();
        let mut house = house();
        let mut rest = dialogue.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, tail) = rest.split_at(rest.len().min(*cut));
            house.feed(piece);
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(messages(&house), [&told(&by_the_book(&wire))]);
    }
}
