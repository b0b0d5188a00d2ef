//! Sections as values: the trait behind `sections.rs`, and reading one with all its faults.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::mail::nearest;

use super::error::Fault;
use super::kinds::{Kind, Written};
use super::sections::SECTIONS;

/// A section of the file.
pub(super) trait Section: Sized {
    /// Its description.
    const INFO: Info;

    /// Reads all its settings; none where one is at fault.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;

    /// Its settings as TOML, in the order of the description.
    fn lines(&self) -> Vec<String>;
}

/// The description of a section.
#[derive(Clone, Copy)]
pub(super) struct Info {
    /// Its name; empty for the top of the file.
    pub name: &'static str,
    /// Whether it may stand there several times.
    pub repeated: bool,
    /// What it is about.
    pub about: &'static [&'static str],
    /// What can be set.
    pub settings: &'static [Setting],
}

/// The description of a setting.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub key: &'static str,
    /// Its documentation, by lines.
    pub about: &'static [&'static str],
    /// What is expected.
    pub expected: fn() -> String,
    /// Its default as TOML; none where there is none.
    pub default: Option<&'static str>,
    /// Whether it must be written.
    pub required: fn() -> bool,
    /// What the example file sets it to.
    pub set: Option<&'static str>,
    /// What the example file shows in a comment, where that is not the default.
    pub shown: Option<&'static str>,
}

impl Info {
    /// The section as it stands in the file.
    pub fn heading(&self) -> String {
        match self.repeated {
            _ if self.name.is_empty() => "the top of the file".to_owned(),
            true => format!("[[{}]]", self.name),
            false => format!("[{}]", self.name),
        }
    }
}

/// One section while it is read.
pub(super) struct Reader<'a> {
    info: Info,
    table: Option<&'a DeTable<'a>>,
    /// The heading's place.
    span: Range<usize>,
    folder: &'a Path,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Reader<'a> {
    /// A reader of a section that may be absent; unknown keys become faults at once.
    pub fn new(
        info: Info,
        table: Option<&'a DeTable<'a>>,
        span: Range<usize>,
        folder: &'a Path,
        faults: &'a mut Vec<Fault>,
    ) -> Reader<'a> {
        let mut reader = Reader {
            info,
            table,
            span,
            folder,
            faults,
        };
        reader.check_keys();
        reader
    }

    /// Whether the file says something about a key.
    pub fn has(&self, key: &str) -> bool {
        self.written(key).is_some()
    }

    /// A setting of the file, or its default.
    pub fn setting<K: Kind>(&mut self, key: &str, default: Option<&str>) -> Option<K::Value> {
        let Some(written) = self.written(key) else {
            return self.default::<K>(key, default);
        };
        match K::read(written, self.folder) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let expected = K::expected();
                let (what, help) = match wrong.why {
                    Some(why) => (
                        format!("`{key}` is not right: {why}"),
                        Some(format!("write {expected}")),
                    ),
                    None => (format!("`{key}` must be {expected}"), None),
                };
                self.fault(wrong.span, what, help);
                None
            }
        }
    }

    /// Adds a fault at the value of a key, or at the heading where it is absent.
    pub fn wrong(&mut self, key: &str, what: impl Into<String>, help: &str) {
        let span = self.written(key).map_or(self.span.clone(), |written| written.span());
        self.fault(span, what.into(), Some(help.to_owned()));
    }

    fn default<K: Kind>(&mut self, key: &str, default: Option<&str>) -> Option<K::Value> {
        let value = match default {
            None => K::absent(),
            Some(text) => {
                let written = DeValue::parse(text).ok();
                written.and_then(|written| K::read(&written, self.folder).ok())
            }
        };
        if value.is_none() {
            let what = format!("`{key}` is missing in {}", self.info.heading());
            self.wrong("", what, &format!("write {}", K::expected()));
        }
        value
    }

    fn written(&self, key: &str) -> Option<&'a Written<'a>> {
        let mut pairs = self.table?.iter();
        pairs.find(|(known, _)| known.get_ref() == key).map(|(_, value)| value)
    }

    fn fault(&mut self, span: Range<usize>, what: String, help: Option<String>) {
        self.faults.push(Fault {
            line: 0,
            what,
            help,
            span,
        });
    }

    fn check_keys(&mut self) {
        let known = known_keys(&self.info);
        for (key, _) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let what = format!(
                "there is no setting `{}` in {}",
                name.escape_debug(),
                self.info.heading()
            );
            self.fault(key.span(), what, Some(remedy(name, &known)));
        }
    }
}

// The settings of a section, and the sections that may stand in it: `[quota.x]` is `x` of `[quota]`.
fn known_keys(info: &Info) -> Vec<&'static str> {
    let keys = info.settings.iter().map(|setting| setting.key);
    let sections = SECTIONS.iter().filter_map(|section| match info.name {
        "" => Some(section.name),
        name => section.name.strip_prefix(name)?.strip_prefix('.'),
    });
    keys.chain(sections.filter(|name| !name.is_empty() && !name.contains('.')))
        .collect()
}

fn remedy(name: &str, known: &[&str]) -> String {
    let has = |section: &&Info| section.settings.iter().any(|setting| setting.key == name);
    if let Some(section) = SECTIONS.iter().find(has) {
        return format!("`{name}` belongs in {}", section.heading());
    }
    if let Some(near) = nearest(name, known.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    let known: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
    format!("known here are {}", known.join(", "))
}
