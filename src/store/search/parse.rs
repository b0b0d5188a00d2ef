//! The search syntax of IMAP, as people type it: RFC 9051 §9, `search-key`.

use crate::mail::{EmailId, Flags, SystemFlag, ThreadId, Uid, UidSet, nearest};

use super::error::SearchError;
use super::key::{Day, FieldKey, Period, SearchKey};
use super::token::{Kind, Token, tokens};

/// Bytes of a search.
const TEXT_MAX: usize = 64 * 1024;
/// Parentheses, OR and NOT within one another.
const NESTING_MAX: usize = 50;
/// BODY and TEXT keys: each is asked of the full text index, and its answers for all messages are kept.
const TEXTS_MAX: usize = 64;

impl SearchKey {
    /// Parses keys that stand side by side and must all be met, such as
    /// `from ann since 1-Nov-2026 not seen`; `highest` is what `*` means in UID sets.
    ///
    /// Case does not matter. A text is a word or stands in quotes, in UTF-8. A date is `1-Nov-2026` or
    /// `2026-11-01`. The message numbers and charsets of IMAP are not taken: they belong to its sessions.
    ///
    /// # Errors
    /// [`SearchError`] names the word that is wrong, where it stands, and what may be meant.
    pub fn parse(text: &str, highest: Option<Uid>) -> Result<SearchKey, SearchError> {
        if text.len() > TEXT_MAX {
            return Err(SearchError::TooLong { max: TEXT_MAX });
        }
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
            highest,
            texts: 0,
        };
        let mut keys = Vec::new();
        while parser.at < parser.tokens.len() {
            keys.push(parser.key(0)?);
        }
        if keys.is_empty() {
            return Err(SearchError::Empty);
        }
        Ok(conjunction(keys))
    }
}

fn conjunction(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.len() {
        1 => keys.swap_remove(0),
        _ => SearchKey::And(keys),
    }
}

/// All keys, in lower case, and what each takes.
const KEYS: [(&str, Key); 44] = [
    ("all", Key::Plain(|| SearchKey::All)),
    ("answered", Key::Plain(|| SearchKey::Flag(SystemFlag::Answered))),
    ("bcc", Key::Text(|text| SearchKey::Field(FieldKey::Bcc, text))),
    ("before", Key::Date(|day| SearchKey::Arrived(Period::Before(day)))),
    ("body", Key::Text(SearchKey::Body)),
    ("cc", Key::Text(|text| SearchKey::Field(FieldKey::Cc, text))),
    ("deleted", Key::Plain(|| SearchKey::Flag(SystemFlag::Deleted))),
    ("draft", Key::Plain(|| SearchKey::Flag(SystemFlag::Draft))),
    ("emailid", Key::Word("an object identifier", email_id)),
    ("flagged", Key::Plain(|| SearchKey::Flag(SystemFlag::Flagged))),
    ("from", Key::Text(|text| SearchKey::Field(FieldKey::From, text))),
    ("header", Key::Header),
    ("keyword", Key::Word("a keyword", keyword)),
    (
        "larger",
        Key::Word("a number of bytes", |word| Some(SearchKey::Larger(number(word)?))),
    ),
    ("modseq", Key::ModSeq),
    // RFC 3501 §6.4.4: (RECENT UNSEEN), not RECENT, RECENT.
    ("new", Key::Plain(SearchKey::none)),
    ("not", Key::Not),
    ("old", Key::Plain(|| SearchKey::All)),
    (
        "older",
        Key::Word("a number of seconds, not 0", |word| {
            Some(SearchKey::Older(seconds(word)?))
        }),
    ),
    ("on", Key::Date(|day| SearchKey::Arrived(Period::On(day)))),
    ("or", Key::Or),
    ("recent", Key::Plain(SearchKey::none)),
    ("savedatesupported", Key::Plain(|| SearchKey::SaveDateSupported)),
    ("savedbefore", Key::Date(|day| SearchKey::Saved(Period::Before(day)))),
    ("savedon", Key::Date(|day| SearchKey::Saved(Period::On(day)))),
    ("savedsince", Key::Date(|day| SearchKey::Saved(Period::Since(day)))),
    ("seen", Key::Plain(|| SearchKey::Flag(SystemFlag::Seen))),
    ("sentbefore", Key::Date(|day| SearchKey::Sent(Period::Before(day)))),
    ("senton", Key::Date(|day| SearchKey::Sent(Period::On(day)))),
    ("sentsince", Key::Date(|day| SearchKey::Sent(Period::Since(day)))),
    ("since", Key::Date(|day| SearchKey::Arrived(Period::Since(day)))),
    (
        "smaller",
        Key::Word("a number of bytes", |word| Some(SearchKey::Smaller(number(word)?))),
    ),
    ("subject", Key::Text(|text| SearchKey::Field(FieldKey::Subject, text))),
    ("text", Key::Text(SearchKey::Text)),
    ("threadid", Key::Word("an object identifier", thread_id)),
    ("to", Key::Text(|text| SearchKey::Field(FieldKey::To, text))),
    ("uid", Key::Uid),
    (
        "unanswered",
        Key::Plain(|| SearchKey::Flag(SystemFlag::Answered).negated()),
    ),
    (
        "undeleted",
        Key::Plain(|| SearchKey::Flag(SystemFlag::Deleted).negated()),
    ),
    ("undraft", Key::Plain(|| SearchKey::Flag(SystemFlag::Draft).negated())),
    (
        "unflagged",
        Key::Plain(|| SearchKey::Flag(SystemFlag::Flagged).negated()),
    ),
    (
        "unkeyword",
        Key::Word("a keyword", |word| keyword(word).map(SearchKey::negated)),
    ),
    ("unseen", Key::Plain(|| SearchKey::Flag(SystemFlag::Seen).negated())),
    (
        "younger",
        Key::Word("a number of seconds, not 0", |word| {
            Some(SearchKey::Younger(seconds(word)?))
        }),
    ),
];

/// What stands behind a key.
#[derive(Clone, Copy)]
enum Key {
    Plain(fn() -> SearchKey),
    Text(fn(String) -> SearchKey),
    Date(fn(Day) -> SearchKey),
    Word(&'static str, fn(&str) -> Option<SearchKey>),
    Header,
    ModSeq,
    Not,
    Or,
    Uid,
}

fn keyword(word: &str) -> Option<SearchKey> {
    let valid = !word.starts_with('\\') && Flags::new().insert(word).is_ok();
    valid.then(|| SearchKey::Keyword(word.to_owned()))
}

// An identifier that is none of ours names no message (RFC 8474 §4: letters, digits, "_" and "-").
fn object_id<T>(word: &str, parse: fn(&str) -> Option<T>, key: fn(T) -> SearchKey) -> Option<SearchKey> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let is_one = (1..=255).contains(&word.len()) && word.bytes().all(valid);
    is_one.then(|| parse(word).map_or_else(SearchKey::none, key))
}

fn email_id(word: &str) -> Option<SearchKey> {
    object_id(word, EmailId::parse, SearchKey::EmailId)
}

fn thread_id(word: &str) -> Option<SearchKey> {
    object_id(word, ThreadId::parse, SearchKey::ThreadId)
}

// RFC 9051 §9: number64, at most 63 bits.
fn number(word: &str) -> Option<u64> {
    let number = word.parse().ok().filter(|number| i64::try_from(*number).is_ok());
    number.filter(|_| word.bytes().all(|byte| byte.is_ascii_digit()))
}

// RFC 5032 §4: nz-number.
fn seconds(word: &str) -> Option<u32> {
    number(word)
        .and_then(|number| u32::try_from(number).ok())
        .filter(|seconds| *seconds > 0)
}

// RFC 9051 §9: date-text = date-day "-" date-month "-" date-year; or ISO 8601's year, month, day.
fn date(word: &str) -> Option<Day> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let mut pieces = word.trim_start_matches(' ').split('-');
    let (first, month, last) = (pieces.next()?, pieces.next()?, pieces.next()?);
    if pieces.next().is_some() {
        return None;
    }
    let digits = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        let valid = lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i16>().ok().filter(|_| valid)
    };
    let named = MONTHS
        .iter()
        .zip(1..)
        .find(|(name, _)| name.eq_ignore_ascii_case(month));
    let (year, month, day) = match named {
        Some((_, month)) => (digits(last, 4..=4)?, month, digits(first, 1..=2)?),
        None => (
            digits(first, 4..=4)?,
            digits(month, 2..=2)?.try_into().ok()?,
            digits(last, 2..=2)?,
        ),
    };
    Day::new(year, month, day.try_into().ok()?)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    highest: Option<Uid>,
    texts: usize,
}

/// The key that is being read, for errors.
#[derive(Clone, Copy)]
struct Head {
    name: &'static str,
    position: usize,
}

impl Parser {
    fn key(&mut self, depth: usize) -> Result<SearchKey, SearchError> {
        let token = self.tokens.get(self.at).cloned();
        let token = token.ok_or(SearchError::Empty)?; // Callers look first.
        let position = token.position;
        if depth > NESTING_MAX {
            return Err(SearchError::TooDeep {
                position,
                max: NESTING_MAX,
            });
        }
        self.at += 1;
        match token.kind {
            Kind::Open => self.group(position, depth),
            Kind::Close => Err(SearchError::Parenthesis {
                position,
                fault: "closes none",
            }),
            Kind::Atom(word) => self.named(&word, position, depth),
            Kind::Quoted(word) => Err(SearchError::UnknownKey {
                word,
                position,
                nearest: None,
            }),
        }
    }

    fn group(&mut self, position: usize, depth: usize) -> Result<SearchKey, SearchError> {
        let mut keys = Vec::new();
        loop {
            match self.tokens.get(self.at) {
                None => {
                    let fault = "is not closed";
                    return Err(SearchError::Parenthesis { position, fault });
                }
                Some(token) if matches!(token.kind, Kind::Close) => break,
                Some(_) => keys.push(self.key(depth + 1)?),
            }
        }
        self.at += 1;
        if keys.is_empty() {
            let fault = "holds no key";
            return Err(SearchError::Parenthesis { position, fault });
        }
        Ok(conjunction(keys))
    }

    fn named(&mut self, word: &str, position: usize, depth: usize) -> Result<SearchKey, SearchError> {
        let Some((name, key)) = KEYS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) else {
            return Err(unknown(word, position));
        };
        let head = Head { name, position };
        self.texts += usize::from(matches!(*name, "body" | "text"));
        if self.texts > TEXTS_MAX {
            return Err(SearchError::TooManyTexts { max: TEXTS_MAX });
        }
        Ok(match key {
            Key::Plain(key) => key(),
            Key::Text(key) => key(self.text(head, "a text")?.0),
            Key::Date(key) => key(self.value(head, "a date such as 1-Nov-2026", date)?),
            Key::Word(needs, parse) => self.value(head, needs, parse)?,
            Key::Header => {
                let name = self.value(head, "the name of a header field", field_name)?;
                SearchKey::Header(name, self.text(head, "a text (\"\" for any)")?.0)
            }
            Key::ModSeq => self.modseq(head)?,
            Key::Not => self.operand(head, depth)?.negated(),
            Key::Or => {
                let one = self.operand(head, depth)?;
                SearchKey::Or(Box::new(one), Box::new(self.operand(head, depth)?))
            }
            Key::Uid => {
                let highest = self.highest;
                let set = |word: &str| UidSet::parse(word, highest).ok();
                SearchKey::Uid(self.value(head, "a set of UIDs such as 1,3:5,9:*", set)?)
            }
        })
    }

    // RFC 7162 §3.1.5: "MODSEQ" [<"> "/flags/" attr-flag <"> SP ("priv" / "shared" / "all")] SP mod-sequence.
    // MODSEQs are kept for whole messages, which §3.1.5 allows.
    fn modseq(&mut self, head: Head) -> Result<SearchKey, SearchError> {
        let entry = self.tokens.get(self.at).and_then(Token::word);
        if entry.is_some_and(|word| word.to_ascii_lowercase().starts_with("/flags/")) {
            self.at += 1;
            self.value(head, "one of priv, shared, all", |word| {
                let known = ["priv", "shared", "all"];
                known.iter().any(|kind| kind.eq_ignore_ascii_case(word)).then_some(())
            })?;
        }
        self.value(head, "a number", |word| Some(SearchKey::ModSeq(number(word)?)))
    }

    fn operand(&mut self, head: Head, depth: usize) -> Result<SearchKey, SearchError> {
        let end = self
            .tokens
            .get(self.at)
            .is_none_or(|token| matches!(token.kind, Kind::Close));
        if end {
            return Err(missing(head, "a key"));
        }
        self.key(depth + 1)
    }

    fn text(&mut self, head: Head, needs: &'static str) -> Result<(String, usize), SearchError> {
        let word = self
            .tokens
            .get(self.at)
            .and_then(|token| Some((token.word()?.to_owned(), token.position)));
        let word = word.ok_or_else(|| missing(head, needs))?;
        self.at += 1;
        Ok(word)
    }

    fn value<T>(
        &mut self,
        head: Head,
        needs: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, SearchError> {
        let (word, position) = self.text(head, needs)?;
        let value = parse(&word);
        value.ok_or(SearchError::Value {
            key: head.name,
            word,
            position,
            needs,
        })
    }
}

fn missing(head: Head, needs: &'static str) -> SearchError {
    SearchError::Missing {
        key: head.name,
        position: head.position,
        needs,
    }
}

fn unknown(word: &str, position: usize) -> SearchError {
    let word = word.to_owned();
    if word.bytes().all(|byte| byte.is_ascii_digit() || b",:*".contains(&byte)) {
        return SearchError::Number { word, position };
    }
    let nearest = nearest(&word, KEYS.iter().map(|(name, _)| *name));
    SearchError::UnknownKey {
        word,
        position,
        nearest,
    }
}

// RFC 5322 §2.2: printable ASCII without the colon.
fn field_name(word: &str) -> Option<String> {
    let name = word.strip_suffix(':').unwrap_or(word);
    let valid = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    valid.then(|| name.to_owned())
}
