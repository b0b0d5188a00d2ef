//! A key made ready: which parts of it each step can decide.

use std::cell::OnceCell;
use std::collections::HashMap;

use crate::index::Verdict;
use crate::mail::{Uid, UidSet};
use crate::message::{Card, Field, Header, Needle, Scope, Text, day, mailboxes, text};

use super::super::StoreError;
use super::super::messages::Entry;
use super::key::{Day, FieldKey, Period, SearchKey};

/// Bytes of a field that are decoded at once; longer ones in pieces of whole lines.
const PIECE: usize = 8 * 1024;

/// What is known of one message so far.
pub(super) struct Known<'a> {
    pub(super) entry: &'a Entry,
    pub(super) card: Option<&'a Card>,
    pub(super) text: Option<&'a Text>,
    header: OnceCell<Header>,
}

impl<'a> Known<'a> {
    pub(super) fn of(entry: &'a Entry) -> Known<'a> {
        Known {
            entry,
            card: None,
            text: None,
            header: OnceCell::new(),
        }
    }

    fn header(&self) -> Option<&Header> {
        let card = self.card?;
        Some(self.header.get_or_init(|| card.fields()))
    }
}

/// A key made ready for many messages.
pub(super) struct Plan {
    test: Test,
    now: i64,
}

enum Test {
    Always(bool),
    All(Vec<Test>),
    Either(Box<(Test, Test)>),
    Not(Box<Test>),
    /// Decided by the entry.
    Entry(SearchKey),
    Sent(Period),
    Field {
        name: String,
        addresses: bool,
        needle: Needle,
    },
    Text {
        scope: Scope,
        needle: Needle,
        /// What the full text index is sure of.
        certain: HashMap<Uid, bool>,
    },
}

impl Plan {
    pub(super) fn new(key: &SearchKey, now: i64) -> Plan {
        Plan {
            test: Test::new(key),
            now,
        }
    }

    /// A set outside of which nothing meets the key.
    pub(super) fn uids(&self) -> UidSet {
        let tests = match &self.test {
            Test::All(tests) => &tests[..],
            test => std::slice::from_ref(test),
        };
        let named = tests.iter().find_map(|test| match test {
            Test::Entry(SearchKey::Uid(uids)) => Some(uids.clone()),
            _ => None,
        });
        named.unwrap_or_else(UidSet::all)
    }

    /// Whether a message meets the key; none where that is not known yet.
    pub(super) fn verdict(&self, known: &Known) -> Option<bool> {
        self.test.verdict(known, self.now)
    }

    /// Whether cards can decide something.
    pub(super) fn asks_cards(&self) -> bool {
        self.test.any(&|test| match test {
            Test::Sent(_) | Test::Field { .. } => true,
            Test::Text { scope, .. } => *scope == Scope::Text,
            _ => false,
        })
    }

    /// Asks the full text index for each text; answers whether it was sure of anything.
    pub(super) fn narrow(
        &mut self,
        mut index: impl FnMut(Scope, &Needle) -> Result<Vec<(Uid, Verdict)>, StoreError>,
    ) -> Result<bool, StoreError> {
        let mut narrowed = false;
        let mut tests = vec![&mut self.test];
        while let Some(test) = tests.pop() {
            match test {
                Test::All(all) => tests.extend(all),
                Test::Either(both) => tests.extend([&mut both.0, &mut both.1]),
                Test::Not(test) => tests.push(test),
                Test::Text { scope, needle, certain } => {
                    let verdicts = index(*scope, needle)?.into_iter();
                    *certain = verdicts
                        .filter(|(_, verdict)| *verdict != Verdict::Maybe)
                        .map(|(uid, verdict)| (uid, verdict == Verdict::Yes))
                        .collect();
                    narrowed |= !certain.is_empty();
                }
                _ => {}
            }
        }
        Ok(narrowed)
    }
}

impl Test {
    fn new(key: &SearchKey) -> Test {
        match key {
            SearchKey::All | SearchKey::SaveDateSupported => Test::Always(true),
            SearchKey::And(keys) => Test::All(keys.iter().map(Test::new).collect()),
            SearchKey::Or(one, other) => Test::Either(Box::new((Test::new(one), Test::new(other)))),
            SearchKey::Not(key) => Test::Not(Box::new(Test::new(key))),
            SearchKey::Sent(period) => Test::Sent(*period),
            SearchKey::Body(text) | SearchKey::Text(text) if text.is_empty() => Test::Always(true),
            SearchKey::Field(field, text) => Test::Field {
                name: field.name().to_owned(),
                addresses: *field != FieldKey::Subject,
                needle: Needle::new(text),
            },
            SearchKey::Header(name, text) => Test::Field {
                name: name.clone(),
                addresses: false,
                needle: Needle::new(text),
            },
            SearchKey::Body(text) => Test::text(Scope::Body, text),
            SearchKey::Text(text) => Test::text(Scope::Text, text),
            SearchKey::Flag(_)
            | SearchKey::Keyword(_)
            | SearchKey::Uid(_)
            | SearchKey::Arrived(_)
            | SearchKey::Saved(_)
            | SearchKey::Older(_)
            | SearchKey::Younger(_)
            | SearchKey::Larger(_)
            | SearchKey::Smaller(_)
            | SearchKey::ModSeq(_)
            | SearchKey::EmailId(_)
            | SearchKey::ThreadId(_) => Test::Entry(key.clone()),
        }
    }

    fn text(scope: Scope, text: &str) -> Test {
        Test::Text {
            scope,
            needle: Needle::new(text),
            certain: HashMap::new(),
        }
    }

    fn any(&self, what: &impl Fn(&Test) -> bool) -> bool {
        match self {
            Test::All(tests) => tests.iter().any(|test| test.any(what)),
            Test::Either(both) => both.0.any(what) || both.1.any(what),
            Test::Not(test) => test.any(what),
            test => what(test),
        }
    }

    fn verdict(&self, known: &Known, now: i64) -> Option<bool> {
        match self {
            Test::Always(verdict) => Some(*verdict),
            Test::All(tests) => conjunction(tests.iter().map(|test| test.verdict(known, now))),
            Test::Either(both) => {
                let neither = [&both.0, &both.1].map(|test| test.verdict(known, now).map(|verdict| !verdict));
                conjunction(neither.into_iter()).map(|neither| !neither)
            }
            Test::Not(test) => test.verdict(known, now).map(|verdict| !verdict),
            Test::Entry(key) => Some(meets(key, known.entry, now)),
            Test::Sent(period) => {
                let date = known.header()?.first("Date");
                let day = date.and_then(|field| day(&field.unfolded())).map(Day::since_epoch);
                Some(day.is_some_and(|day| period.contains(day)))
            }
            Test::Field {
                name,
                addresses,
                needle,
            } => {
                let mut fields = known.header()?.all(name);
                Some(fields.any(|field| is_in_field(needle, &field, *addresses)))
            }
            Test::Text { scope, needle, certain } => text_verdict(*scope, needle, certain, known),
        }
    }
}

// False if one is, else unknown if one is.
fn conjunction(verdicts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for verdict in verdicts {
        match verdict {
            Some(false) => return Some(false),
            Some(true) => {}
            None => all = None,
        }
    }
    all
}

// What an entry alone decides; all other keys were made other tests.
fn meets(key: &SearchKey, entry: &Entry, now: i64) -> bool {
    // RFC 5032 §3: seconds before now, the moment itself included in both.
    let age = now.saturating_sub(entry.internal_date);
    match key {
        SearchKey::Flag(flag) => entry.flags.has(*flag),
        SearchKey::Keyword(keyword) => entry.flags.has_keyword(keyword),
        SearchKey::Uid(uids) => uids.contains(entry.uid),
        SearchKey::Arrived(period) => period.contains(Day::of(entry.internal_date)),
        SearchKey::Saved(period) => period.contains(Day::of(entry.save_date)),
        SearchKey::Older(seconds) => age >= i64::from(*seconds),
        SearchKey::Younger(seconds) => age <= i64::from(*seconds),
        SearchKey::Larger(size) => entry.size > *size,
        SearchKey::Smaller(size) => entry.size < *size,
        SearchKey::ModSeq(modseq) => entry.modseq.value() >= *modseq,
        SearchKey::EmailId(id) => entry.email_id == *id,
        SearchKey::ThreadId(id) => entry.thread_id == *id,
        _ => false,
    }
}

fn text_verdict(scope: Scope, needle: &Needle, certain: &HashMap<Uid, bool>, known: &Known) -> Option<bool> {
    if let Some(verdict) = certain.get(&known.entry.uid) {
        return Some(*verdict);
    }
    if let Some(text) = known.text {
        return Some(text.contains(scope, needle));
    }
    let mut fields = known.header().filter(|_| scope == Scope::Text)?.fields();
    let found = fields.any(|field| needle.is_in(&format!("{}: {}", field.name(), decoded(&field))));
    found.then_some(true)
}

fn is_in_field(needle: &Needle, field: &Field, addresses: bool) -> bool {
    let text = decoded(field);
    if needle.is_in(&text) {
        return true;
    }
    // People see no quotes and comments of an address list.
    addresses && text.contains(['"', '(', '\\']) && needle.is_in(&people(field))
}

fn people(field: &Field) -> String {
    let people = mailboxes(&field.unfolded()).into_iter();
    let people = people.map(|mailbox| match (mailbox.name, mailbox.address) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (name, address) => name.or(address).unwrap_or_default(),
    });
    people.collect::<Vec<_>>().join(", ")
}

// All of a field, however long: the pieces into which it is cut end in white space if they can.
fn decoded(field: &Field) -> String {
    let raw = field.value().trim_ascii();
    if raw.len() <= PIECE {
        return text(&field.unfolded());
    }
    let mut all = String::with_capacity(raw.len());
    let (mut before, mut rest): (&[u8], &[u8]) = (&[], raw);
    while !rest.is_empty() {
        let most = rest.len().min(PIECE);
        let space = rest[..most].iter().rposition(u8::is_ascii_whitespace);
        let cut = space.filter(|_| most < rest.len()).map_or(most, |space| space + 1);
        let (piece, after) = rest.split_at(cut);
        // RFC 2047 §6.2: the white space between encoded words is not displayed.
        let words = before.trim_ascii().ends_with(b"?=") && piece.trim_ascii().starts_with(b"=?");
        if before.last().is_some_and(u8::is_ascii_whitespace) && !words {
            all.push(' ');
        }
        all.push_str(&text(piece));
        (before, rest) = (piece, after);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_fields_are_decoded_whole() {
        for (unit, expected) in [
            ("word\r\n ", "word "),
            ("=?utf-8?q?w=C3=B6rd?=\r\n ", "wörd"),
            ("word ", "word "),
            ("word", "word"),
        ] {
            let block = format!("Subject: {}end\r\n\r\n", unit.repeat(10_000));
            let header = Header::of_block(block.as_bytes(), true);
            let all = decoded(&header.first("Subject").unwrap());
            let space = if unit.starts_with('=') { " " } else { "" };
            assert!(all == format!("{}{space}end", expected.repeat(10_000)), "{unit:?}");
        }
    }
}
