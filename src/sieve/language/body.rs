//! `body`: RFC 5173.

use super::arguments::Arguments;
use super::checker::{Checker, TestKind};
use super::entities::{Form, type_of};
use super::extension::Extension;
use super::matching::{MatchTags, Matching, Value};
use super::program::Test;
use super::run::{Run, Stop};
use super::text::Text;
use crate::message::Part;
use crate::sieve::error::Place;
use crate::sieve::syntax::Call;

pub(super) const TESTS: &[TestKind] = &[TestKind {
    name: "body",
    from: &[Extension::Body],
    compile,
}];

/// What of the body is compared (RFC 5173 §5).
#[derive(Debug)]
enum Transform {
    /// All of it, as it was sent.
    Raw,
    /// The parts of these types, decoded.
    Content(Vec<Text>),
    /// The text parts, as text for people.
    Text,
}

// body [COMPARATOR] [MATCH-TYPE] [BODY-TRANSFORM] <key-list: string-list>
fn compile(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    checker.needs_whole = true;
    let tags = MatchTags::take(&mut arguments, checker);
    let transform = take_transform(&mut arguments, checker);
    let keys = arguments.texts(checker, "keys");
    arguments.end(checker)?;
    Some(Box::new(Body {
        transform: transform?,
        // RFC 5173 §6: wildcards of this test set no match variables.
        matching: tags?.with_keys(checker, keys?)?.without_captures(),
    }))
}

fn take_transform(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Option<Transform> {
    let simple = arguments.one_of(checker, &[("raw", None), ("text", None)]);
    let place = arguments.place();
    let Some(types) = arguments.tagged_texts(checker, "content", None) else {
        // RFC 5173 §5: `:text` is the default.
        return Some(match simple {
            Some(("raw", _)) => Transform::Raw,
            _ => Transform::Text,
        });
    };
    if let Some((tag, _)) = simple {
        let message = format!("`:content` does not go together with `:{tag}`");
        return arguments.wrong_tag(checker, types.first().map_or(place, |(place, _)| *place), &message);
    }
    for (place, text) in &types {
        warn_of_type(checker, *place, text);
    }
    Some(Transform::Content(types.into_iter().map(|(_, text)| text).collect()))
}

fn warn_of_type(checker: &mut Checker<'_>, place: Place, text: &Text) {
    if let Some(constant) = text.constant()
        && ContentType::parse(constant).is_none()
    {
        checker.warn(
            place,
            format!("\"{constant}\" is the type of no part: write a type such as \"text\", or \"text/html\""),
        );
    }
}

#[derive(Debug)]
struct Body {
    transform: Transform,
    matching: Matching,
}

impl Test for Body {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        // RFC 5173 §4: where no empty line follows the header there is nothing to match, not even with "".
        let root = run.subject.structure().root();
        if root.body.start == root.header.end && root.body.is_empty() {
            return Ok(false);
        }
        let wanted = match &self.transform {
            Transform::Raw => {
                let values = run.part_content(0, Form::Raw)?;
                return self.matching.any(run, "body", &values);
            }
            Transform::Text => vec![ContentType {
                kind: "text".to_owned(),
                subtype: None,
            }],
            Transform::Content(types) => {
                let mut wanted = Vec::with_capacity(types.len());
                for text in types {
                    wanted.extend(ContentType::parse(&text.value(run)?));
                }
                wanted
            }
        };
        self.parts(run, &wanted)
    }
}

impl Body {
    fn parts(&self, run: &mut Run<'_>, wanted: &[ContentType]) -> Result<bool, Stop> {
        let parts = run.subject.structure().parts.iter().enumerate();
        let fitting = parts.filter(|(_, part)| wanted.iter().any(|wanted| wanted.fits(part)));
        let fitting: Vec<(usize, String)> = fitting
            .map(|(index, part)| {
                (
                    index,
                    format!("body, part {}: {}/{}", index + 1, part.kind, part.subtype),
                )
            })
            .collect();
        let form = match self.transform {
            Transform::Text => Form::Text,
            _ => Form::Content,
        };
        let mut counted: Vec<Value> = Vec::new();
        for (index, of) in fitting {
            let values = run.part_content(index, form)?;
            if self.matching.counts() {
                counted.extend(values.iter().cloned());
            } else if self.matching.any(run, &of, &values)? {
                return Ok(true);
            }
        }
        match self.matching.counts() {
            true => self.matching.any(run, "body", &counted),
            false => Ok(false),
        }
    }
}

/// One of the types of `:content` (RFC 5173 §5.2).
struct ContentType {
    /// Empty for all.
    kind: String,
    subtype: Option<String>,
}

impl ContentType {
    /// None where no part can have it.
    fn parse(text: &str) -> Option<ContentType> {
        let text = text.to_ascii_lowercase();
        match text.split_once('/') {
            None => Some(ContentType {
                kind: text,
                subtype: None,
            }),
            Some((kind, subtype)) if !kind.is_empty() && !subtype.is_empty() && !subtype.contains('/') => {
                Some(ContentType {
                    kind: kind.to_owned(),
                    subtype: Some(subtype.to_owned()),
                })
            }
            Some(_) => None,
        }
    }

    fn fits(&self, part: &Part) -> bool {
        let (kind, subtype) = type_of(part);
        let wanted = self.subtype.as_ref();
        self.kind.is_empty() || self.kind == kind && wanted.is_none_or(|wanted| wanted == subtype)
    }
}
