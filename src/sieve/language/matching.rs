//! Comparing values with keys: match types (RFC 5228 §2.7.1, RFC 5231, draft-ietf-sieve-regex, RFC 6134)
//! and the match variables that they set (RFC 5229 §3.2).

use std::cmp::Ordering;
use std::rc::Rc;

use memchr::memmem::Finder;

use super::arguments::Arguments;
use super::checker::Checker;
use super::comparator::Comparator;
use super::extension::Extension;
use super::glob::Glob;
use super::lists::check_list_name;
use super::regex::{Expression, compile as compile_regex};
use super::run::{Run, Stop};
use super::text::Text;
use crate::mail::nearest;
use crate::sieve::error::Place;

/// A value that a test compares.
pub(super) type Value = Rc<str>;

/// The tags of a test that compares: `:comparator` and the match type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MatchTags {
    pub(super) kind: MatchType,
    pub(super) comparator: Comparator,
}

/// How a value and a key go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MatchType {
    Is,
    Contains,
    Matches,
    Regex,
    /// `:value` (RFC 5231 §4.1).
    Value(Relation),
    /// `:count` (RFC 5231 §4.2).
    Count(Relation),
    /// `:list` (RFC 6134).
    List,
}

/// RFC 5231 §4: relational-match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Gt,
    Ge,
    Lt,
    Le,
    Eq,
    Ne,
}

/// Tags and keys of a test that compares.
#[derive(Debug)]
pub(super) struct Matching {
    tags: MatchTags,
    keys: Vec<Key>,
    captures: bool,
}

#[derive(Debug)]
enum Key {
    Ready(Pattern),
    /// It has variables.
    Late(Text),
    /// It has variables, and each of its words is a key.
    LateWords(Text),
}

#[derive(Debug)]
struct Pattern {
    text: Box<str>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// In the comparator's folded form.
    Is(Box<str>),
    /// Likewise.
    Contains(Box<Finder<'static>>),
    Matches(Glob),
    Regex(Box<Expression>),
    /// The text is all that is needed.
    Plain,
}

impl Relation {
    const NAMES: [(&'static str, Relation); 6] = [
        ("gt", Relation::Gt),
        ("ge", Relation::Ge),
        ("lt", Relation::Lt),
        ("le", Relation::Le),
        ("eq", Relation::Eq),
        ("ne", Relation::Ne),
    ];

    fn holds(self, order: Ordering) -> bool {
        match self {
            Relation::Gt => order.is_gt(),
            Relation::Ge => order.is_ge(),
            Relation::Lt => order.is_lt(),
            Relation::Le => order.is_le(),
            Relation::Eq => order.is_eq(),
            Relation::Ne => order.is_ne(),
        }
    }
}

impl MatchTags {
    /// Takes `:comparator` and the match type, `:is` where there is none.
    pub(super) fn take(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Option<MatchTags> {
        let explicit = arguments.peek("comparator");
        let comparator = take_comparator(arguments, checker);
        let kind = take_match_type(arguments, checker);
        let (comparator, (kind, place)) = (comparator?, kind?);
        let plain = matches!(
            kind,
            MatchType::Is | MatchType::Value(_) | MatchType::Count(_) | MatchType::List
        );
        // RFC 4790 §9.1.1: i;ascii-numeric has no substrings.
        if comparator == Comparator::AsciiNumeric && !plain {
            return checker.error(
                place,
                "the comparator \"i;ascii-numeric\" compares whole numbers only: with `:is`, `:value` or `:count`",
            );
        }
        // RFC 6134: whoever keeps the list compares.
        if explicit && kind == MatchType::List {
            return checker.error(place, "`:list` does not go together with `:comparator`");
        }
        if let MatchType::Count(relation) = kind
            && !matches!(relation, Relation::Eq | Relation::Ne)
            && comparator != Comparator::AsciiNumeric
        {
            checker.warn(
                place,
                "without `:comparator \"i;ascii-numeric\"` numbers are compared as text: \"9\" is greater than \"10\"",
            );
        }
        Some(MatchTags { kind, comparator })
    }

    /// With the keys of the test.
    pub(super) fn with_keys(self, checker: &mut Checker<'_>, keys: Vec<(Place, Text)>) -> Option<Matching> {
        let keys: Vec<Option<Key>> = keys
            .into_iter()
            .map(|(place, text)| self.key(checker, place, text))
            .collect();
        Some(Matching {
            tags: self,
            keys: keys.into_iter().collect::<Option<_>>()?,
            captures: true,
        })
    }

    /// The same, where a string is as good as the list of its words: flags (RFC 5232 §2).
    pub(super) fn with_words(self, checker: &mut Checker<'_>, keys: Vec<(Place, Text)>) -> Option<Matching> {
        // Numbers, expressions and lists are no flags.
        if !matches!(
            self.kind,
            MatchType::Is | MatchType::Contains | MatchType::Matches | MatchType::Value(_)
        ) {
            return self.with_keys(checker, keys);
        }
        let mut words = Vec::with_capacity(keys.len());
        for (place, text) in keys {
            match text.constant() {
                None => words.push(Some(Key::LateWords(text))),
                Some(constant) => words.extend(
                    constant
                        .split_ascii_whitespace()
                        .map(|word| self.key(checker, place, Text::Constant(word.into()))),
                ),
            }
        }
        Some(Matching {
            tags: self,
            captures: true,
            keys: words.into_iter().collect::<Option<_>>()?,
        })
    }

    fn key(self, checker: &mut Checker<'_>, place: Place, text: Text) -> Option<Key> {
        let Some(constant) = text.constant() else {
            return Some(Key::Late(text));
        };
        if matches!(self.kind, MatchType::Count(_)) && constant.parse::<u64>().is_err() {
            checker.warn(place, "`:count` compares a number with this, which is none");
        }
        if self.kind == MatchType::List
            && let Err(message) = check_list_name(constant)
        {
            return checker.error(place, message);
        }
        match self.pattern(constant) {
            Ok(pattern) => {
                if let Form::Regex(expression) = &pattern.form {
                    checker.expressions += expression.size();
                }
                Some(Key::Ready(pattern))
            }
            Err(message) => checker.error(place, message),
        }
    }

    fn pattern(self, text: &str) -> Result<Pattern, String> {
        let folded = || self.comparator.folded(text);
        let form = match self.kind {
            MatchType::Is if self.comparator != Comparator::AsciiNumeric => Form::Is(folded().into()),
            MatchType::Contains => Form::Contains(Box::new(Finder::new(folded().as_bytes()).into_owned())),
            MatchType::Matches => Form::Matches(Glob::new(text, self.comparator)),
            MatchType::Regex => Form::Regex(Box::new(compile_regex(text, self.comparator)?)),
            _ => Form::Plain,
        };
        Ok(Pattern {
            text: text.into(),
            form,
        })
    }
}

fn take_comparator(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Option<Comparator> {
    if !arguments.peek("comparator") {
        // Asked for, so that a mistyped tag finds it.
        arguments.tag(checker, "comparator", None);
        return Some(Comparator::default());
    }
    let (place, name) = arguments.tagged_constant(checker, "comparator", None)?;
    let found = Comparator::NAMES.iter().find(|(known, _)| *known == name);
    let Some((_, comparator)) = found else {
        let help =
            nearest(&name, Comparator::NAMES.map(|(known, _)| known)).map(|near| format!("did you mean \"{near}\"?"));
        return checker.error_with_help(place, format!("there is no comparator \"{name}\""), help);
    };
    // RFC 5228 §2.7.3: these two need not be required.
    let extension = match comparator {
        Comparator::Octet | Comparator::AsciiCasemap => return Some(*comparator),
        Comparator::AsciiNumeric => Extension::AsciiNumeric,
        Comparator::UnicodeCasemap => Extension::UnicodeCasemap,
    };
    let what = format!("the comparator \"{}\"", comparator.name());
    checker.needs(place, &what, extension).then_some(*comparator)
}

fn take_match_type(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Option<(MatchType, Place)> {
    const SIMPLE: [(&str, Option<Extension>); 5] = [
        ("is", None),
        ("contains", None),
        ("matches", None),
        ("regex", Some(Extension::Regex)),
        ("list", Some(Extension::Extlists)),
    ];
    let mut found = arguments.one_of(checker, &SIMPLE).map(|(tag, place)| {
        let kind = match tag {
            "contains" => MatchType::Contains,
            "matches" => MatchType::Matches,
            "regex" => MatchType::Regex,
            "list" => MatchType::List,
            _ => MatchType::Is,
        };
        (kind, place)
    });
    for (tag, kind) in [
        ("value", MatchType::Value as fn(Relation) -> MatchType),
        ("count", MatchType::Count),
    ] {
        let present = arguments.peek(tag);
        let Some((place, name)) = arguments.tagged_constant(checker, tag, Some(Extension::Relational)) else {
            if present {
                return None;
            }
            continue;
        };
        if found.is_some() {
            return checker.error(place, format!("`:{tag}` does not go together with another match type"));
        }
        let relation = Relation::NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&name));
        let Some((_, relation)) = relation else {
            let help = Some("it is one of \"gt\", \"ge\", \"lt\", \"le\", \"eq\", \"ne\"".to_owned());
            return checker.error_with_help(place, format!("\"{name}\" is no relation"), help);
        };
        found = Some((kind(*relation), place));
    }
    Some(found.unwrap_or((MatchType::Is, arguments.place())))
}

impl Matching {
    /// The same, that sets no match variables.
    pub(super) fn without_captures(self) -> Matching {
        Matching {
            captures: false,
            ..self
        }
    }

    /// Whether the number of values is what counts, so that all of them are wanted.
    pub(super) fn counts(&self) -> bool {
        matches!(self.tags.kind, MatchType::Count(_))
    }

    /// Whether any value goes with any key. `of` says where the values come from, for the trace.
    ///
    /// # Errors
    /// Where a limit is met, a late expression is none, or a list cannot be read.
    pub(super) fn any(&self, run: &mut Run<'_>, of: &str, values: &[Value]) -> Result<bool, Stop> {
        if self.counts() {
            let count: Value = values.len().to_string().into();
            return self.value(run, of, &count);
        }
        for value in values {
            if self.value(run, of, value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn value(&self, run: &mut Run<'_>, of: &str, value: &Value) -> Result<bool, Stop> {
        run.work(value.len(), self.keys.len())?;
        let mut folded = None;
        for key in &self.keys {
            let late;
            let patterns = match key {
                Key::Ready(pattern) => std::slice::from_ref(pattern),
                Key::Late(_) | Key::LateWords(_) => {
                    late = self.late(run, key)?;
                    late.as_slice()
                }
            };
            for pattern in patterns {
                if self.fits(run, pattern, value, &mut folded)? {
                    run.note_value(of, value, Some(&pattern.text));
                    return Ok(true);
                }
            }
        }
        run.note_value(of, value, None);
        Ok(false)
    }

    // The keys that there are once variables are filled in.
    fn late(&self, run: &mut Run<'_>, key: &Key) -> Result<Vec<Pattern>, Stop> {
        let pattern = |text: &str| self.tags.pattern(text).map_err(Stop::error);
        match key {
            Key::Ready(_) => Ok(Vec::new()),
            Key::Late(text) => {
                let text = text.value(run)?;
                run.work(text.len(), 1)?;
                Ok(vec![pattern(&text)?])
            }
            Key::LateWords(text) => {
                let text = text.value(run)?;
                run.work(text.len(), 1)?;
                text.split_ascii_whitespace().map(pattern).collect()
            }
        }
    }

    fn fits(
        &self,
        run: &mut Run<'_>,
        pattern: &Pattern,
        value: &Value,
        folded: &mut Option<Value>,
    ) -> Result<bool, Stop> {
        let comparator = self.tags.comparator;
        let fold = |folded: &mut Option<Value>| -> Value {
            let fold = || match comparator.folded(value) {
                std::borrow::Cow::Borrowed(_) => Rc::clone(value),
                std::borrow::Cow::Owned(folded) => folded.into(),
            };
            Rc::clone(folded.get_or_insert_with(fold))
        };
        Ok(match &pattern.form {
            Form::Is(key) if comparator == Comparator::AsciiCasemap => key.eq_ignore_ascii_case(value),
            Form::Is(key) => **key == *fold(folded),
            Form::Contains(finder) => finder.find(fold(folded).as_bytes()).is_some(),
            Form::Matches(glob) => {
                if !self.captures || !run.captures() {
                    return Ok(glob.matches(value, None));
                }
                let mut captures = Vec::new();
                let matched = glob.matches(value, Some(&mut captures));
                if matched {
                    run.set_matches(captures);
                }
                matched
            }
            Form::Regex(regex) if !self.captures => regex.is_match(value),
            Form::Regex(regex) => regex_fits(run, regex, value),
            Form::Plain => match self.tags.kind {
                MatchType::Value(relation) | MatchType::Count(relation) => {
                    relation.holds(comparator.compare(value, &pattern.text))
                }
                MatchType::List => run.list_contains(&pattern.text, value)?,
                _ => comparator.compare(value, &pattern.text).is_eq(),
            },
        })
    }
}

fn regex_fits(run: &mut Run<'_>, regex: &Expression, value: &str) -> bool {
    if !run.captures() {
        return regex.is_match(value);
    }
    let Some(found) = regex.captures(value) else {
        return false;
    };
    run.set_matches(found);
    true
}
