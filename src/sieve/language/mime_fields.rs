//! `mime`: the header fields of parts, and what their values are made of (RFC 5703 §4).

use super::arguments::Arguments;
use super::checker::Checker;
use super::extension::Extension;
use super::matching::Value;
use super::run::{Run, Stop};
use super::subject::decoded;
use super::text::Text;
use crate::message::{Content, parameter};

/// `:mime` with what may go along.
#[derive(Debug)]
pub(super) struct MimeTags {
    /// `:anychild`: the part at hand and all within it.
    any_child: bool,
    aspect: Aspect,
}

/// What of a field's value is compared (MIMEOPTS).
#[derive(Debug)]
enum Aspect {
    Whole,
    Type,
    Subtype,
    ContentType,
    Parameters(Vec<Text>),
}

/// The same for one test.
pub(super) enum Wanted {
    Whole,
    Type,
    Subtype,
    ContentType,
    /// Names in lower case.
    Parameters(Vec<String>),
}

impl MimeTags {
    /// Takes `:mime` and `:anychild`; with `aspects`, those of `header`, too. None without `:mime`.
    pub(super) fn take(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>, aspects: bool) -> Option<MimeTags> {
        const MIME: Option<Extension> = Some(Extension::Mime);
        let mime = arguments.tag(checker, "mime", MIME);
        let any_child = arguments.tag(checker, "anychild", MIME);
        let mut found = None;
        let mut aspect = Aspect::Whole;
        if aspects {
            found = arguments.one_of(checker, &[("type", MIME), ("subtype", MIME), ("contenttype", MIME)]);
            aspect = match found.map(|(tag, _)| tag) {
                Some("type") => Aspect::Type,
                Some("subtype") => Aspect::Subtype,
                Some("contenttype") => Aspect::ContentType,
                _ => Aspect::Whole,
            };
            let place = arguments.place();
            if let Some(names) = arguments.tagged_texts(checker, "param", MIME) {
                let place = names.first().map_or(place, |(place, _)| *place);
                if let Some((tag, _)) = found {
                    return arguments.wrong_tag(
                        checker,
                        place,
                        &format!("`:param` does not go together with `:{tag}`"),
                    );
                }
                found = Some(("param", place));
                aspect = Aspect::Parameters(names.into_iter().map(|(_, text)| text).collect());
            }
        }
        if mime.is_some() {
            checker.needs_whole = true;
            return Some(MimeTags {
                any_child: any_child.is_some(),
                aspect,
            });
        }
        if let Some((tag, place)) = any_child.map(|place| ("anychild", place)).or(found) {
            let message = format!("`:{tag}` stands only with `:mime`");
            return arguments.wrong_tag(checker, place, &message);
        }
        None
    }

    /// The indices of the parts whose fields are looked at.
    pub(super) fn parts(&self, run: &Run<'_>) -> std::ops::Range<usize> {
        let part = run.part_at_hand();
        match self.any_child {
            true => part..run.subject.end_of_part(part),
            false => part..part + 1,
        }
    }

    /// What is compared, with the values of variables.
    pub(super) fn wanted(&self, run: &Run<'_>) -> Result<Wanted, Stop> {
        Ok(match &self.aspect {
            Aspect::Whole => Wanted::Whole,
            Aspect::Type => Wanted::Type,
            Aspect::Subtype => Wanted::Subtype,
            Aspect::ContentType => Wanted::ContentType,
            Aspect::Parameters(names) => {
                let names = names.iter().map(|name| Ok(name.value(run)?.to_ascii_lowercase()));
                Wanted::Parameters(names.collect::<Result<_, Stop>>()?)
            }
        })
    }
}

impl Wanted {
    /// The values of a field.
    pub(super) fn of(&self, name: &str, unfolded: &[u8]) -> Vec<Value> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let content = || Content::parse(unfolded);
        let of_type = |pick: fn(&str) -> &str| Value::from(pick(content().value()));
        match self {
            Wanted::Whole => vec![decoded(unfolded).into()],
            Wanted::Parameters(names) => {
                let content = content();
                let found = names.iter().filter_map(|name| content.parameter(name));
                found.map(|found| parameter(&found).into()).collect()
            }
            // RFC 5703 §4.1: of Content-Disposition the disposition stands for the type; other fields are blank.
            Wanted::Type if is("Content-Type") => vec![of_type(|value| value.split('/').next().unwrap_or_default())],
            Wanted::Subtype if is("Content-Type") => {
                vec![of_type(|value| {
                    value.split_once('/').map_or("", |(_, subtype)| subtype)
                })]
            }
            Wanted::ContentType if is("Content-Type") => vec![of_type(|value| value)],
            Wanted::Type | Wanted::ContentType if is("Content-Disposition") => vec![of_type(|value| value)],
            Wanted::Type | Wanted::Subtype | Wanted::ContentType => vec!["".into()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let names = |names: &[&str]| Wanted::Parameters(names.iter().map(|name| (*name).to_owned()).collect());
        for (wanted, name, value, values) in [
            (Wanted::Type, "Content-Type", "Text/HTML; charset=x", &["text"][..]),
            (Wanted::Subtype, "content-type", "Text/HTML; charset=x", &["html"]),
            (Wanted::ContentType, "Content-Type", " text / html", &["text/html"]),
            (Wanted::Subtype, "Content-Type", "text", &[""]),
            (
                Wanted::Type,
                "Content-Disposition",
                "Attachment; filename=x",
                &["attachment"],
            ),
            (Wanted::Subtype, "Content-Disposition", "attachment", &[""]),
            (
                Wanted::ContentType,
                "Content-Disposition",
                "attachment",
                &["attachment"],
            ),
            (Wanted::Type, "Subject", "a/b", &[""]),
            (Wanted::Whole, "Subject", "=?utf-8?q?=C3=A9?=", &["é"]),
            (names(&["charset"]), "Content-Type", "a/b; Charset=X", &["X"]),
            (names(&["x", "y"]), "Content-Type", "a/b; y=2; x=1", &["1", "2"]),
            (
                names(&["filename"]),
                "Content-Disposition",
                "a; filename*=utf-8''%C3%A9.pdf",
                &["é.pdf"],
            ),
            (
                names(&["filename"]),
                "Content-Disposition",
                "a; filename*0=\"a b\"; filename*1=c",
                &["a bc"],
            ),
            (
                names(&["filename"]),
                "Content-Disposition",
                "a; filename=\"=?utf-8?q?=C3=A9?=\"",
                &["é"],
            ),
            (names(&["filename"]), "Content-Disposition", "a", &[]),
        ] {
            let found = wanted.of(name, value.as_bytes());
            let found: Vec<&str> = found.iter().map(AsRef::as_ref).collect();
            assert_eq!(found, values, "{name}: {value}");
        }
    }
}
