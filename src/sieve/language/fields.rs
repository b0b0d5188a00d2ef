//! Which header fields a test looks at: their names, and of several the one that `:index` picks (RFC 5260 §6).

use super::arguments::Arguments;
use super::checker::Checker;
use super::extension::Extension;
use super::matching::Value;
use super::run::{Run, Stop};
use super::text::Text;
use crate::sieve::error::Place;

/// The fields of a test.
#[derive(Debug)]
pub(super) struct Fields {
    names: Vec<Text>,
    index: Option<Index>,
}

/// One of several fields of a name, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Index {
    number: usize,
    /// Counted from the last one.
    last: bool,
}

impl Index {
    /// Takes `:index` and `:last`.
    pub(super) fn take(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Option<Index> {
        let number = arguments.tagged_number(checker, "index", Some(Extension::Index));
        let last = arguments.tag(checker, "last", Some(Extension::Index));
        match (number, last) {
            (Some((place, 0)), _) => checker.error(place, "`:index` counts from 1"),
            (Some((_, number)), last) => Some(Index {
                number: usize::try_from(number).unwrap_or(usize::MAX),
                last: last.is_some(),
            }),
            (None, Some(place)) => checker.error(place, "`:last` stands only with `:index`"),
            (None, None) => None,
        }
    }

    /// The one of some things that it picks.
    pub(super) fn pick<T>(self, things: &[T]) -> Option<&T> {
        let at = match self.last {
            false => self.number - 1,
            true => things.len().checked_sub(self.number)?,
        };
        things.get(at)
    }
}

impl Fields {
    /// Takes `:index` and `:last`; the names are taken by [`Fields::names`], in their turn.
    pub(super) fn take_tags(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Fields {
        Fields {
            names: Vec::new(),
            index: Index::take(arguments, checker),
        }
    }

    /// Takes the names.
    pub(super) fn names(mut self, arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Option<Fields> {
        let names = arguments.texts(checker, "names of header fields")?;
        for (place, name) in &names {
            if let Some(name) = name.constant() {
                check_name(checker, *place, name)?;
            }
        }
        self.names = names.into_iter().map(|(_, text)| text).collect();
        Some(self)
    }

    /// The names that are known when the script is compiled.
    pub(super) fn constant_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(Text::constant)
    }

    /// Each name with the decoded values of its fields.
    pub(super) fn values(&self, run: &mut Run<'_>) -> Result<Vec<(String, Vec<Value>)>, Stop> {
        let mut all = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let name = name.value(run)?.into_owned();
            let values = run.subject.values(&name);
            let picked = match self.index {
                None => values.to_vec(),
                Some(index) => index.pick(&values).into_iter().cloned().collect(),
            };
            all.push((name, picked));
        }
        Ok(all)
    }

    /// Each name with its fields as they were written, unfolded.
    pub(super) fn raw(&self, run: &Run<'_>) -> Result<Vec<(String, Vec<Vec<u8>>)>, Stop> {
        let mut all = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let name = name.value(run)?.into_owned();
            let fields = run.subject.header().all(&name);
            let fields: Vec<Vec<u8>> = fields.map(|field| field.unfolded().into_owned()).collect();
            let picked = match self.index {
                None => fields,
                Some(index) => index.pick(&fields).into_iter().cloned().collect(),
            };
            all.push((name, picked));
        }
        Ok(all)
    }
}

/// RFC 5322 §2.2: printable ASCII without the colon.
pub(super) fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
}

/// A name of a header field that is known when the script is compiled.
pub(super) fn check_name(checker: &mut Checker<'_>, place: Place, name: &str) -> Option<()> {
    if is_field_name(name) {
        return Some(());
    }
    let bare = name.trim_end_matches(':');
    let help = is_field_name(bare).then(|| format!("write \"{bare}\", without the colon"));
    checker.error_with_help(place, format!("\"{name}\" cannot be the name of a header field"), help)
}
