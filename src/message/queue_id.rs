//! The id under which the last MTA had a message in its queue, from the Received field that it wrote.

use super::decode::lossy;
use super::header::Header;

/// Bytes of the field that are looked at.
const FIELD_MAX: usize = 4096;
/// Bytes of an id that is one: those of MTAs have 8 to 40.
const ID_MAX: usize = 100;

/// The id clause of the topmost Received field (RFC 5321 §4.4), where the field says that it was written by
/// `host`, or whoever wrote it where no host is given. Most MTAs write their queue id there.
#[must_use]
pub fn queue_id(header: &Header, host: Option<&str>) -> Option<String> {
    let field = header.first("Received")?.unfolded();
    let text = lossy(&field[..field.len().min(FIELD_MAX)]);
    let (mut by, mut id) = (Clause::new("by"), Clause::new("id"));
    words(&text, |word| {
        by.see(word);
        id.see(word);
    });
    if let Some(host) = host {
        // Extended-Domain: what stands in parentheses behind it is a comment here.
        let by = by.value?;
        let same = |one: &str, other: &str| {
            one.trim_end_matches('.')
                .eq_ignore_ascii_case(other.trim_end_matches('.'))
        };
        if !same(&by, host) {
            return None;
        }
    }
    let id = id.value?;
    // ID = CFWS "ID" FWS ( Atom / msg-id )
    let id = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(&id);
    let is_id = !id.is_empty() && id.len() <= ID_MAX && id.bytes().all(|byte| byte.is_ascii_graphic());
    is_id.then(|| id.to_owned())
}

/// The word behind the first one that is a keyword.
struct Clause {
    keyword: &'static str,
    seen: bool,
    value: Option<String>,
}

impl Clause {
    fn new(keyword: &'static str) -> Clause {
        Clause {
            keyword,
            seen: false,
            value: None,
        }
    }

    fn see(&mut self, word: &str) {
        if !self.seen {
            self.seen = word.eq_ignore_ascii_case(self.keyword);
        } else if self.value.is_none() {
            self.value = Some(word.to_owned());
        }
    }
}

// Shows the words before the date, without comments (RFC 5322 §3.2.2), which nest and hold anything. A word of a
// quoted string is none that is looked for.
fn words(text: &str, mut show: impl FnMut(&str)) {
    let mut word = String::new();
    let (mut depth, mut quoted) = (0_u32, false);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' if depth > 0 || quoted => drop(characters.next()),
            '"' if depth == 0 => {
                quoted = !quoted;
                word.push(c);
            }
            _ if quoted => word.push(c),
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            ';' => break,
            _ if c.is_whitespace() => {}
            _ => {
                word.push(c);
                continue;
            }
        }
        if !quoted && !word.is_empty() {
            show(&word);
            word.clear();
        }
    }
    if !word.is_empty() {
        show(&word);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Message;
    use super::*;

    fn found(received: &str, host: Option<&str>) -> Option<String> {
        let message = Message::from_bytes(format!("Received: {received}\r\nSubject: x\r\n\r\n"));
        queue_id(message.header(), host)
    }

    #[test]
    fn shapes_of_mtas() {
        for (host, received, expected) in [
            (
                "mail.example.org",
                "from client.example.com (client.example.com [192.0.2.1])\r\n\
                 \t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\
                 \t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)\r\n\
                 \t(No client certificate requested)\r\n\
                 \tby mail.example.org (Postfix) with ESMTPS id 4bXyz12Qw3z9sT8\r\n\
                 \tfor <ann@example.org>; Sat, 28 Nov 2026 12:00:01 +0000 (UTC)",
                Some("4bXyz12Qw3z9sT8"),
            ),
            (
                "mail.example.org",
                "by mail.example.org (Postfix, from userid 1000)\r\n\tid 3F2A1B0C9D; Sat, 28 Nov 2026 12:00:01 +0000 (UTC)",
                Some("3F2A1B0C9D"),
            ),
            (
                "mx.example.org",
                "from client.example.com ([192.0.2.1]:41234 helo=client)\r\n\
                 \tby mx.example.org with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384\r\n\
                 \t(Exim 4.98)\r\n\t(envelope-from <s@example.net>)\r\n\tid 1tGABC-00000001xyz-0aBc\r\n\
                 \tfor ann@example.org;\r\n\tSat, 28 Nov 2026 12:00:01 +0000",
                Some("1tGABC-00000001xyz-0aBc"),
            ),
            (
                "mx.example.org",
                "from root by mx.example.org with local (Exim 4.94.2)\r\n\t(envelope-from <root@example.org>)\r\n\
                 \tid 1nABCD-0001Xy-Ze; Sat, 28 Nov 2026 12:00:01 +0000",
                Some("1nABCD-0001Xy-Ze"),
            ),
            (
                "mail.example.org",
                "from client.example.com (client.example.com [192.0.2.1])\r\n\tby mail.example.org (OpenSMTPD) with ESMTPS id 5e8f1a2b \
                 (TLSv1.3:TLS_AES_256_GCM_SHA384:256:NO)\r\n\tfor <ann@example.org>;\r\n\tSat, 28 Nov 2026 12:00:01 +0000 (UTC)",
                Some("5e8f1a2b"),
            ),
            (
                "mail.example.org",
                "from client.example.com (client.example.com [192.0.2.1])\r\n\
                 \tby mail.example.org (8.18.1/8.18.1/Debian-6) with ESMTPS id 4ASC01xY012345\r\n\
                 \t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NOT)\r\n\
                 \tfor <ann@example.org>; Sat, 28 Nov 2026 12:00:01 GMT",
                Some("4ASC01xY012345"),
            ),
            // Another host wrote it, or nobody says who.
            (
                "other.example.org",
                "by mail.example.org (Postfix) with ESMTP id 4bXyz",
                None,
            ),
            (
                "mail.example.org",
                "from mail.example.org (x) with ESMTP id 4bXyz",
                None,
            ),
            (
                "mail.example.org",
                "(qmail 1234 invoked by uid 89); 28 Nov 2026 12:00:01 -0000",
                None,
            ),
            // Case and a final dot are no difference.
            (
                "Mail.Example.ORG",
                "BY mail.example.org. (x) ID 4bXyz; x",
                Some("4bXyz"),
            ),
            ("h", "by h id <1@h>;", Some("1@h")),
            // What stands in comments, in quotes or behind the date does not count.
            ("h", "by h (a (id x) \\) id y) with SMTP id z; x", Some("z")),
            ("h", "from \"by x id y\" by h id z;", Some("z")),
            ("h", "by h; id x", None),
            ("h", "by h id", None),
            ("h", "by h id gr\u{fc}n", None),
            ("h", "by h (never ends id x", None),
        ] {
            assert_eq!(found(received, Some(host)).as_deref(), expected, "{received}");
        }
        assert_eq!(found("by anybody id x", None).as_deref(), Some("x"));
        assert_eq!(found(&format!("by h id {}", "x".repeat(101)), None), None);
        assert_eq!(found(&format!("by h ({}) id x", "x".repeat(5000)), None), None);
        let message = Message::from_bytes("Subject: x\r\n\r\n");
        assert_eq!(queue_id(message.header(), None), None);
    }

    #[test]
    fn only_the_topmost_counts() {
        let message = Message::from_bytes("Received: by a with SMTP; x\r\nReceived: by b id 1; x\r\n\r\n");
        assert_eq!(queue_id(message.header(), None), None);
        assert_eq!(queue_id(message.header(), Some("b")), None);
    }

    proptest! {
        #[test]
        fn any_text_yields_a_word_or_nothing(text in "([ ()\"\\\\;<>]|by|id|h|\\PC){0,60}") {
            if let Some(id) = found(&text, None) {
                prop_assert!(!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
