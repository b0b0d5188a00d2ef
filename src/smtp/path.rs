//! Paths: `<user@domain>` with what may stand around it (RFC 5321 §4.1.2).

use crate::mail::Address;

/// Reads `Path` or `<>` at the start of `text`.
///
/// Gives the mailbox, none for `<>`, and what follows the closing bracket; none
/// where there is no such path. A source route is read over (RFC 5321 §3.6.1).
pub(super) fn parse(text: &str) -> Option<(Option<Address>, &str)> {
    let inside = text.strip_prefix('<')?;
    // RFC 5321 §4.1.2: Path = "<" [ A-d-l ":" ] Mailbox ">"
    let mailbox = if inside.starts_with('@') {
        after_route(inside)?
    } else {
        inside
    };
    let end = closing_bracket(mailbox)?;
    let (mailbox, rest) = (&mailbox[..end], &mailbox[end + 1..]);
    if mailbox.is_empty() {
        // `<@a:>` is not the null path.
        return inside.starts_with('>').then_some((None, rest));
    }
    Some((Some(Address::parse(mailbox).ok()?), rest))
}

// RFC 5321 §4.1.2: A-d-l = At-domain *( "," At-domain ); a colon in brackets is IPv6.
fn after_route(text: &str) -> Option<&str> {
    let mut literal = false;
    for (at, c) in text.char_indices() {
        match c {
            '[' => literal = true,
            ']' => literal = false,
            ':' if !literal => return Some(&text[at + 1..]),
            '>' | '<' | '"' | '\\' | ' ' => return None,
            _ => {}
        }
    }
    None
}

// The first `>` that is not within a quoted string.
fn closing_bracket(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        for (text, mailbox, rest) in [
            ("<>", None, ""),
            ("<> SIZE=1", None, " SIZE=1"),
            ("<ann@example.org>", Some("ann@example.org"), ""),
            ("<ann@example.org> X", Some("ann@example.org"), " X"),
            ("<postmaster>", Some("postmaster"), ""),
            ("<@a,@b:ann@example.org>", Some("ann@example.org"), ""),
            ("<@[IPv6:::1],@b:ann@example.org>", Some("ann@example.org"), ""),
            ("<\"a> b\"@example.org>x", Some("\"a> b\"@example.org"), "x"),
            ("<\"a\\\">\"@example.org>", Some("\"a\\\">\"@example.org"), ""),
        ] {
            let (address, after) = parse(text).expect(text);
            assert_eq!((address.map(|a| a.to_string()).as_deref(), after), (mailbox, rest));
        }
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "ann@example.org",
            "<ann@example.org",
            "<<ann@example.org>>",
            "<@a:>",
            "<@a>",
            "<@a ann@example.org>",
            "< ann@example.org>",
            "<\"\"@example.org>",
            "<\"a@example.org>",
            "<a\\>@b>",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
