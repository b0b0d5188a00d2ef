//! Address lists as ENVELOPE tells them: RFC 5322 §3.4 with what RFC 5322 §4.4 and broken mail add.
//!
//! The bytes are read once, from start to end. Nothing is decoded, nothing is refused: what is no
//! address comes out as one without a domain, as its reader would see it.

/// What stands between two commas, or what begins or ends a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A mailbox.
    Mailbox(Mailbox),
    /// The name of a group, whose mailboxes follow.
    Group(Vec<u8>),
    /// The end of the group.
    GroupEnd,
}

/// A mailbox, without quotes and comments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mailbox {
    /// The display name, or else a comment.
    pub(super) name: Option<Vec<u8>>,
    /// The source route (RFC 5322 §4.4), without its colon.
    pub(super) route: Option<Vec<u8>>,
    /// What stands before the last `@`.
    pub(super) local: Vec<u8>,
    /// What stands after it; empty where there is none.
    pub(super) domain: Vec<u8>,
}

/// Reads an unfolded value, at most `max` mailboxes and groups of it. A group that was begun is ended.
pub(super) fn address_list(raw: &[u8], max: usize) -> Vec<Item> {
    let mut reader = Reader {
        rest: raw,
        items: Vec::new(),
        entry: Entry::default(),
        in_group: false,
    };
    while reader.items.len() < max && reader.step() {}
    if reader.items.len() < max {
        reader.end_entry();
    }
    if reader.in_group {
        reader.items.push(Item::GroupEnd);
    }
    reader.items
}

struct Reader<'a> {
    rest: &'a [u8],
    items: Vec<Item>,
    entry: Entry,
    in_group: bool,
}

/// What was read since the last comma.
#[derive(Default)]
struct Entry {
    /// Words, one space between those that stand apart.
    words: Words,
    comment: Option<Vec<u8>>,
    /// What stands within angle brackets, and the route before it.
    angle: Option<(Words, Option<Vec<u8>>)>,
}

#[derive(Default)]
struct Words {
    text: Vec<u8>,
    /// Whether white space was seen after the text.
    gap: bool,
    /// Where the last `@` without quotes stands.
    at: Option<usize>,
}

impl Words {
    fn push(&mut self, byte: u8) {
        self.close_gap();
        self.text.push(byte);
    }

    fn close_gap(&mut self) {
        if std::mem::take(&mut self.gap) && !self.text.is_empty() {
            self.text.push(b' ');
        }
    }

    fn push_at(&mut self) {
        self.close_gap();
        self.at = Some(self.text.len());
        self.text.push(b'@');
    }

    // RFC 5322 §3.4.1: addr-spec = local-part "@" domain
    fn halves(&self) -> (Vec<u8>, Vec<u8>) {
        match self.at {
            Some(at) => (
                self.text[..at].trim_ascii().to_vec(),
                self.text[at + 1..].trim_ascii().to_vec(),
            ),
            None => (self.text.clone(), Vec::new()),
        }
    }
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Reads on; false at the end.
    fn step(&mut self) -> bool {
        let Some(byte) = self.next() else { return false };
        match byte {
            b',' => self.end_entry(),
            b';' => {
                self.end_entry();
                if std::mem::take(&mut self.in_group) {
                    self.items.push(Item::GroupEnd);
                }
            }
            b'(' => {
                let comment = self.comment();
                self.entry.comment = Some(comment).filter(|it| !it.is_empty());
            }
            _ if self.entry.angle.is_some() => {
                if byte == b'"' {
                    self.quoted(&mut Words::default());
                }
            }
            b'<' => self.angle(),
            // RFC 5322 §3.4: group = display-name ":" [group-list] ";" [CFWS]
            b':' if !self.in_group && self.entry.words.at.is_none() => {
                let entry = std::mem::take(&mut self.entry);
                self.items.push(Item::Group(entry.words.text));
                self.in_group = true;
            }
            _ => {
                let mut words = std::mem::take(&mut self.entry.words);
                self.word(byte, &mut words);
                self.entry.words = words;
            }
        }
        true
    }

    /// What has the same meaning within angle brackets and without.
    fn word(&mut self, byte: u8, words: &mut Words) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => words.gap = true,
            b'"' => self.quoted(words),
            b'@' => words.push_at(),
            // RFC 5322 §3.4.1: domain-literal = "[" *([FWS] dtext) [FWS] "]"
            b'[' if words.text.ends_with(b"@") => {
                words.push(b'[');
                while let Some(byte) = self.next() {
                    words.push(byte);
                    if byte == b']' {
                        break;
                    }
                }
            }
            b'\\' => {
                if let Some(byte) = self.next() {
                    words.push(byte);
                }
            }
            _ => words.push(byte),
        }
    }

    // RFC 5322 §3.4: angle-addr = "<" addr-spec ">", §4.4: obs-angle-addr = "<" obs-route addr-spec ">"
    fn angle(&mut self) {
        let mut words = Words::default();
        let mut route = None;
        while let Some(byte) = self.next() {
            match byte {
                b'>' => break,
                b'<' => {}
                b'(' => drop(self.comment()),
                b':' if words.text.starts_with(b"@") && route.is_none() => {
                    route = Some(std::mem::take(&mut words).text);
                }
                // The bracket is missing.
                b',' if !words.text.starts_with(b"@") => {
                    self.entry.angle = Some((words, route));
                    return self.end_entry();
                }
                _ => self.word(byte, &mut words),
            }
        }
        self.entry.angle = Some((words, route));
    }

    fn quoted(&mut self, words: &mut Words) {
        words.close_gap();
        while let Some(byte) = self.next() {
            match byte {
                b'"' => break,
                b'\\' => words.text.extend(self.next()),
                _ => words.text.push(byte),
            }
        }
    }

    // RFC 5322 §3.2.2; nested comments are counted, not recursed into.
    fn comment(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut open = 1usize;
        while let Some(byte) = self.next() {
            match byte {
                b'\\' => {
                    text.extend(self.next());
                    continue;
                }
                b'(' => open += 1,
                b')' => open -= 1,
                _ => {}
            }
            if open == 0 {
                break;
            }
            text.push(byte);
        }
        text.trim_ascii().to_vec()
    }

    fn end_entry(&mut self) {
        let entry = std::mem::take(&mut self.entry);
        let (address, name, route) = match entry.angle {
            Some((address, route)) => (address, entry.words.text, route),
            None if entry.words.text.is_empty() => return,
            None => (entry.words, Vec::new(), None),
        };
        // Several words without an address are a name; a comment would say that they are an address.
        let (name, address) = match address.at {
            None if name.is_empty() && entry.comment.is_none() && address.text.contains(&b' ') => {
                (address.text, Words::default())
            }
            _ => (name, address),
        };
        let (local, domain) = address.halves();
        self.items.push(Item::Mailbox(Mailbox {
            name: if name.is_empty() { entry.comment } else { Some(name) },
            route,
            local,
            domain,
        }));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(raw: &str) -> String {
        let items = address_list(raw.as_bytes(), 100);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let shown = items.iter().map(|item| match item {
            Item::Group(name) => format!("{}:", text(name)),
            Item::GroupEnd => ";".to_owned(),
            Item::Mailbox(it) => {
                let route = it.route.as_ref().map(|it| text(it) + " ").unwrap_or_default();
                let name = it.name.as_ref().map(|it| text(it) + " ").unwrap_or_default();
                format!("{name}<{route}{}|{}>", text(&it.local), text(&it.domain))
            }
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn reads_lists() {
        for (raw, items) in [
            ("", ""),
            (" , ,", ""),
            ("ann@example.org", "<ann|example.org>"),
            ("<ann@example.org>", "<ann|example.org>"),
            ("Ann  B. <ann@example.org>, bob@x", "Ann B. <ann|example.org> <bob|x>"),
            ("\"Ann, \\\"B\\\"\" <ann@example.org>", "Ann, \"B\" <ann|example.org>"),
            ("ann@example.org (Ann (the) B)", "Ann (the) B <ann|example.org>"),
            ("Ann <ann@example.org> (no)", "Ann <ann|example.org>"),
            (
                "=?utf-8?q?a_b?= =?utf-8?q?c?= <a@b>",
                "=?utf-8?q?a_b?= =?utf-8?q?c?= <a|b>",
            ),
            ("ann @ example.org", "<ann|example.org>"),
            ("\"a b@c\"@example.org", "<a b@c|example.org>"),
            ("<\"a b\"@example.org>", "<a b|example.org>"),
            ("ann@[IPv6:::1], bob@[192.0.2.1]", "<ann|[IPv6:::1]> <bob|[192.0.2.1]>"),
            ("<@a,@b:ann@example.org>", "<@a,@b ann|example.org>"),
            (
                "friends: ann@a, Bob <bob@b>;, c@c",
                "friends: <ann|a> Bob <bob|b> ; <c|c>",
            ),
            ("undisclosed-recipients:;", "undisclosed-recipients: ;"),
            ("a: b@c", "a: <b|c> ;"),
            ("a@b; c@d", "<a|b> <c|d>"),
            ("ann", "<ann|>"),
            ("Ann B, c@d", "Ann B <|> <c|d>"),
            ("ann at example.org (Ann B)", "Ann B <ann at example.org|>"),
            ("Ann B <>", "Ann B <|>"),
            ("Ann <ann@a, Bob <bob@b>", "Ann <ann|a> Bob <bob|b>"),
            ("a@b@c", "<a@b|c>"),
            ("Ann <<a@b>>", "Ann <a|b>"),
            ("\"open", "<open|>"),
            ("(open", ""),
            ("x <a@b", "x <a|b>"),
        ] {
            assert_eq!(shown(raw), items, "{raw}");
        }
    }

    #[test]
    fn a_list_is_cut_and_its_group_ended() {
        let items = address_list(b"a: b@c, d@e, f@g;", 2);
        assert_eq!(items.len(), 3);
        assert_eq!(items.last(), Some(&Item::GroupEnd));
    }

    proptest! {
        #[test]
        fn groups_are_closed(raw in "[a@,:;<>\"()\\\\\\[ ]{0,60}", max in 1usize..9) {
            let mut open = false;
            for item in address_list(raw.as_bytes(), max) {
                match item {
                    Item::Group(_) => prop_assert!(!std::mem::replace(&mut open, true)),
                    Item::GroupEnd => prop_assert!(std::mem::replace(&mut open, false)),
                    Item::Mailbox(_) => {}
                }
            }
            prop_assert!(!open);
        }
    }
}
