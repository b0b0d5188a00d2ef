//! Which header fields a test looks at: their names, of several the one that `:index` picks (RFC 5260 §6), and with
//! `:mime` those of which parts (RFC 5703 §4).

use super::arguments::Arguments;
use super::checker::Checker;
use super::extension::Extension;
use super::matching::Value;
use super::mime_fields::MimeTags;
use super::run::{Run, Stop};
use super::text::Text;
use crate::message::{Field, Header};
use crate::sieve::error::Place;

/// A field's value as it was written, unfolded.
pub(super) type Raw = Vec<u8>;

/// The fields of a test.
#[derive(Debug)]
pub(super) struct Fields {
    names: Vec<Text>,
    index: Option<Index>,
    mime: Option<MimeTags>,
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
        Index::take_from(arguments, checker, Some(Extension::Index))
    }

    /// The same of a command that has them of its own, or by another extension.
    pub(super) fn take_from(
        arguments: &mut Arguments<'_>,
        checker: &mut Checker<'_>,
        from: Option<Extension>,
    ) -> Option<Index> {
        let number = arguments.tagged_number(checker, "index", from);
        let last = arguments.tag(checker, "last", from);
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
        things.get(self.position(things.len())?)
    }

    /// Its place among `count` things, from 0.
    pub(super) fn position(self, count: usize) -> Option<usize> {
        match self.last {
            false => Some(self.number - 1).filter(|at| *at < count),
            true => count.checked_sub(self.number),
        }
    }
}

impl Fields {
    /// Takes `:index` and `:last`; the names are taken by [`Fields::names`], in their turn.
    pub(super) fn take_tags(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Fields {
        Fields {
            names: Vec::new(),
            index: Index::take(arguments, checker),
            mime: None,
        }
    }

    /// Takes `:mime` and `:anychild` alone: RFC 5260 §6 has `:index` for `header`, `address` and `date` only.
    pub(super) fn take_any(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Fields {
        Fields {
            names: Vec::new(),
            index: None,
            mime: MimeTags::take(arguments, checker, false),
        }
    }

    /// The same with `:mime` and `:anychild`; with `aspects`, the tags that pick a piece of a value, too.
    pub(super) fn take_mime_tags(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>, aspects: bool) -> Fields {
        Fields {
            mime: MimeTags::take(arguments, checker, aspects),
            ..Fields::take_tags(arguments, checker)
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
        if let Some(mime) = &self.mime {
            let wanted = mime.wanted(run)?;
            return self.of_parts(run, mime, |name, unfolded| wanted.of(name, unfolded));
        }
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
    pub(super) fn raw(&self, run: &mut Run<'_>) -> Result<Vec<(String, Vec<Raw>)>, Stop> {
        if let Some(mime) = &self.mime {
            return self.of_parts(run, mime, |_, unfolded| vec![unfolded.to_vec()]);
        }
        let mut all = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let name = name.value(run)?.into_owned();
            let picked = self.picked(run.subject.header(), &name, |_, unfolded| vec![unfolded.to_vec()]);
            all.push((name, picked));
        }
        Ok(all)
    }

    // Each name with what its fields in all the parts are made into.
    fn of_parts<T>(
        &self,
        run: &mut Run<'_>,
        mime: &MimeTags,
        make: impl Fn(&str, &[u8]) -> Vec<T>,
    ) -> Result<Vec<(String, Vec<T>)>, Stop> {
        let mut all = Vec::with_capacity(self.names.len());
        for name in &self.names {
            all.push((name.value(run)?.into_owned(), Vec::new()));
        }
        for part in mime.parts(run) {
            run.spend(1)?;
            let other = match part {
                0 => None,
                _ => Some(run.part_header(part)?),
            };
            let header = other.as_deref().unwrap_or_else(|| run.subject.header());
            for (name, made) in &mut all {
                made.extend(self.picked(header, name, &make));
            }
        }
        Ok(all)
    }

    fn picked<T>(&self, header: &Header, name: &str, make: impl Fn(&str, &[u8]) -> Vec<T>) -> Vec<T> {
        let fields: Vec<Field<'_>> = header.all(name).collect();
        let picked: &[Field<'_>] = match self.index.map(|index| index.position(fields.len())) {
            None => &fields,
            Some(Some(at)) => &fields[at..=at],
            Some(None) => &[],
        };
        picked.iter().flat_map(|field| make(name, &field.unfolded())).collect()
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
