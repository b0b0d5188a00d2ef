//! How a search compares text: what counts as equal, and which words a text is made of.
//!
//! Text and needle are folded alike, character by character, so that a needle is in a text
//! exactly where its folded form is in the folded text. Words are made the same way, from
//! the class of each character alone: whatever words a needle has inside, the text around
//! it has them too. That is what lets `index` rule messages out without reading them.

use std::collections::HashSet;

/// Characters of a word that are kept in one piece.
const PIECE: usize = 64;
/// How far the pieces of a longer one lie apart: whatever is no longer lies within a piece.
const STEP: usize = 32;
/// Clauses of a needle: more narrow no further.
const CLAUSES_MAX: usize = 32;

/// Puts text into the form in which it is compared, behind what `folded` holds.
///
/// Upper and lower case are one (as by the full mapping of Unicode: `ß` is `ss`, `ς` is
/// `σ`), any run of white space and control characters is one space, and characters that
/// are not seen (soft hyphen, zero-width space and joiners) are not there. No line feed
/// comes out, so one may be used to keep texts apart.
pub(super) fn fold_into(text: &str, folded: &mut String) {
    folded.reserve(text.len());
    for c in text.chars() {
        match c {
            'a'..='z' | '0'..='9' => folded.push(c),
            'A'..='Z' => folded.push(c.to_ascii_lowercase()),
            _ if c.is_whitespace() || c.is_control() => {
                if !folded.ends_with(' ') {
                    folded.push(' ');
                }
            }
            _ if c.is_ascii() => folded.push(c),
            '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => {}
            // By way of upper case, since some letters have one of those but two of these.
            _ => folded.extend(c.to_uppercase().flat_map(char::to_lowercase)),
        }
    }
}

/// What is searched for: a substring, as IMAP's SEARCH has it (RFC 9051 §6.4.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Needle {
    folded: String,
}

impl Needle {
    /// A needle of decoded text. Case, and the length of a run of white space, do not matter.
    #[must_use]
    pub fn new(text: &str) -> Needle {
        let mut folded = String::new();
        fold_into(text, &mut folded);
        Needle { folded }
    }

    /// The form in which it is compared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.folded
    }

    /// Whether a text that is no [`Text`](super::Text), such as a field that the index
    /// keeps decoded, contains it.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        let mut folded = String::new();
        fold_into(text, &mut folded);
        folded.contains(&self.folded)
    }

    /// What the words of any text that contains the needle are known to be: a text without
    /// does not contain it.
    pub(crate) fn clauses(&self) -> Vec<Clause> {
        let mut clauses = Vec::new();
        for run in runs(&self.folded) {
            if clauses.len() >= CLAUSES_MAX {
                break;
            }
            let open = (run.start == 0, run.start + run.text.len() == self.folded.len());
            let single = run.text.chars().nth(1).is_none();
            match open {
                (false, false) => run.pieces(|piece| clauses.push(Clause::Is(piece.to_owned()))),
                // Pairs do not depend on what stands beside them.
                _ if run.class == Class::Ideograph && !single => {
                    run.pieces(|piece| clauses.push(Clause::Is(piece.to_owned())));
                }
                _ if run.class == Class::Ideograph => clauses.push(Clause::Holds(run.text.to_owned())),
                (true, false) => clauses.push(Clause::Ends(last(run.text).to_owned())),
                (false, true) => clauses.push(Clause::Starts(first(run.text).to_owned())),
                (true, true) => clauses.push(Clause::Holds(first(run.text).to_owned())),
            }
        }
        clauses.truncate(CLAUSES_MAX);
        clauses
    }

    /// Whether a text with words that meet the one [clause](Needle::clauses) is known to
    /// contain the needle.
    pub(crate) fn is_certain(&self) -> bool {
        let mut runs = runs(&self.folded);
        let Some(run) = runs.next().filter(|run| run.text.len() == self.folded.len()) else {
            return false;
        };
        let most = match run.class {
            Class::Letters => STEP,
            Class::Ideograph => 2,
        };
        run.text.chars().nth(most).is_none()
    }
}

fn first(text: &str) -> &str {
    text.char_indices().nth(STEP).map_or(text, |(end, _)| &text[..end])
}

fn last(text: &str) -> &str {
    let start = text.char_indices().rev().nth(STEP - 1);
    start.map_or(text, |(start, _)| &text[start..])
}

/// What is known of one word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    /// This is a word.
    Is(String),
    /// A word starts with it.
    Starts(String),
    /// A word ends in it.
    Ends(String),
    /// A word contains it.
    Holds(String),
}

/// The distinct words of a folded text, in no order.
///
/// A word is a run of letters and digits. Of more than 64 characters there are overlapping
/// pieces, and a run of a script that is written without spaces has a word for each two
/// characters that stand together.
pub(super) fn words(folded: &str) -> HashSet<&str> {
    let mut words = HashSet::new();
    for run in runs(folded) {
        run.pieces(|piece| {
            words.insert(piece);
        });
    }
    words
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Letters,
    /// Of a script that does not divide words by spaces.
    Ideograph,
}

impl Class {
    fn of(c: char) -> Option<Class> {
        match c {
            'a'..='z' | '0'..='9' => Some(Class::Letters),
            _ if c.is_ascii() || !c.is_alphanumeric() => None,
            // Thai, Lao; Burmese; Khmer; kana; kana and Chinese characters; the rest of these.
            '\u{e00}'..='\u{eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{3040}'..='\u{30ff}'
            | '\u{31f0}'..='\u{31ff}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{ff66}'..='\u{ff9f}'
            | '\u{20000}'..='\u{3ffff}' => Some(Class::Ideograph),
            _ => Some(Class::Letters),
        }
    }
}

/// Characters of one class that stand together, as many as there are.
#[derive(Clone, Copy)]
struct Run<'a> {
    text: &'a str,
    start: usize,
    class: Class,
}

fn runs(folded: &str) -> impl Iterator<Item = Run<'_>> {
    let mut characters = folded.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, class) = characters.find_map(|(at, c)| Some((at, Class::of(c)?)))?;
        while characters.next_if(|(_, c)| Class::of(*c) == Some(class)).is_some() {}
        let end = characters.peek().map_or(folded.len(), |(at, _)| *at);
        Some(Run {
            text: &folded[start..end],
            start,
            class,
        })
    })
}

impl<'a> Run<'a> {
    fn pieces(&self, mut each: impl FnMut(&'a str)) {
        let (length, step) = match self.class {
            Class::Letters if self.text.len() <= PIECE => return each(self.text),
            Class::Letters => (PIECE, STEP),
            Class::Ideograph => (2, 1),
        };
        let starts: Vec<usize> = self.text.char_indices().map(|(at, _)| at).collect();
        let mut from = 0;
        loop {
            let start = starts[from];
            let Some(end) = starts.get(from + length) else {
                return each(&self.text[start..]);
            };
            each(&self.text[start..*end]);
            from += step;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> String {
        Needle::new(text).folded
    }

    #[test]
    fn folds() {
        for (text, expected) in [
            ("Hello,\r\n\t World", "hello, world"),
            ("STRASSE straße", "strasse strasse"),
            ("ΟΔΟΣ οδος οδοσ", "οδοσ οδοσ οδοσ"),
            ("ÄÖÉ", "äöé"),
            ("\u{212a}elvin", "kelvin"),
            ("in\u{ad}visi\u{200b}ble", "invisible"),
            ("a \u{200b} b\0c", "a b c"),
        ] {
            assert_eq!(folded(text), expected, "{text:?}");
            assert!(Needle::new(expected).is_in(text), "{text:?}");
        }
    }

    #[test]
    fn divides_into_words() {
        for (text, expected) in [
            ("mail-box 2026_x, é", &["2026", "box", "mail", "x", "é"][..]),
            ("東京都2020", &["2020", "京都", "東京"]),
            ("字 a字", &["a", "字"]),
            ("...", &[]),
        ] {
            let text = folded(text);
            let mut found: Vec<_> = words(&text).into_iter().collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{text}");
        }
        let long = "é".repeat(100);
        let lengths: HashSet<_> = words(&long).iter().map(|word| word.chars().count()).collect();
        assert_eq!(lengths, HashSet::from([64, 36]));
    }

    #[test]
    fn knows_what_a_needle_asks() {
        let is = |word: &str| Clause::Is(word.to_owned());
        let starts = |word: &str| Clause::Starts(word.to_owned());
        let ends = |word: &str| Clause::Ends(word.to_owned());
        let holds = |word: &str| Clause::Holds(word.to_owned());
        for (needle, clauses, certain) in [
            ("Needle", vec![holds("needle")], true),
            ("one two three", vec![ends("one"), is("two"), starts("three")], false),
            ("(one)", vec![is("one")], false),
            ("one ", vec![ends("one")], false),
            ("東京", vec![is("東京")], true),
            ("京", vec![holds("京")], true),
            ("京都府", vec![is("京都"), is("都府")], false),
            ("x京", vec![ends("x"), holds("京")], false),
            ("--", vec![], false),
            ("", vec![], false),
        ] {
            let needle = Needle::new(needle);
            assert_eq!(needle.clauses(), clauses, "{needle:?}");
            assert_eq!(needle.is_certain(), certain, "{needle:?}");
        }
        let long = Needle::new(&"x".repeat(33));
        assert!(!long.is_certain() && long.clauses() == [holds(&"x".repeat(32))]);
        assert_eq!(Needle::new(&"many words ".repeat(1000)).clauses().len(), CLAUSES_MAX);
        assert_eq!(Needle::new(&"東京".repeat(1000)).clauses().len(), CLAUSES_MAX);
    }

    fn meets(words: &HashSet<&str>, clause: &Clause) -> bool {
        match clause {
            Clause::Is(word) => words.contains(word.as_str()),
            Clause::Starts(start) => words.iter().any(|word| word.starts_with(start)),
            Clause::Ends(end) => words.iter().any(|word| word.ends_with(end)),
            Clause::Holds(part) => words.iter().any(|word| word.contains(part)),
        }
    }

    proptest! {
        // A text that contains the needle has the words that the needle asks for; where they
        // are certain, one that has them contains it.
        #[test]
        fn clauses_rule_nothing_out_that_is_there(
            text in "([a-cA-C]{1,3}|[ab]{60,150}|[ .,-]{1,2}|[東京都กข]{1,4}|[ßéÉ\u{301}\u{ad}]){0,30}",
            from in 0usize..300, length in 1usize..120, other in "[a-c東京]{1,3}",
        ) {
            let text = folded(&text);
            let words = words(&text);
            let needle: String = text.chars().skip(from % (text.chars().count() + 1)).take(length).collect();
            for needle in [Needle::new(&needle), Needle::new(&other)] {
                let met = needle.clauses().iter().all(|clause| meets(&words, clause));
                let contained = text.contains(needle.as_str());
                prop_assert!(met || !contained, "{needle:?} in {text:?}");
                prop_assert!(contained || !met || !needle.is_certain(), "{needle:?} not in {text:?}");
            }
        }
    }
}
