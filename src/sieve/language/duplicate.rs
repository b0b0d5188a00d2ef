//! `duplicate`: RFC 7352.

use ring::digest;

use super::arguments::Arguments;
use super::checker::{Checker, TestKind};
use super::extension::Extension;
use super::fields::check_name;
use super::program::Test;
use super::run::{Run, Stop};
use super::text::Text;
use crate::sieve::step::Step;
use crate::sieve::syntax::Call;

/// Seconds that an id is remembered without `:seconds`.
const SECONDS: u64 = 7 * 86_400;
/// The most of `:seconds`; more is taken for this (RFC 7352 §3.1).
const SECONDS_MAX: u64 = 90 * 86_400;
/// Bytes of an id that is remembered as it is; of a longer one its hash is.
const ID_MAX: usize = 200;

pub(super) const TESTS: &[TestKind] = &[TestKind {
    name: "duplicate",
    from: &[Extension::Duplicate],
    compile,
}];

// duplicate [":handle" <handle: string>] [":header" <header-name: string> / ":uniqueid" <value: string>]
// [":seconds" <timeout: number>] [":last"]
fn compile(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let handle = arguments.tagged_text(checker, "handle", None);
    let header = arguments.tagged_text(checker, "header", None);
    let unique = arguments.tagged_text(checker, "uniqueid", None);
    let seconds = arguments.tagged_number(checker, "seconds", None);
    let last = arguments.tag(checker, "last", None).is_some();
    arguments.end(checker)?;
    let what = match (header, unique) {
        (Some(_), Some((place, _))) => {
            return checker.error(place, "`:uniqueid` does not go together with `:header`");
        }
        (Some((place, name)), None) => {
            if let Some(name) = name.constant() {
                check_name(checker, place, name)?;
            }
            What::Field(name)
        }
        (None, Some((_, value))) => What::Value(value),
        (None, None) => What::MessageId,
    };
    if let Some((place, seconds)) = seconds
        && seconds > SECONDS_MAX
    {
        checker.warn(
            place,
            format!("more than {SECONDS_MAX} seconds are taken for {SECONDS_MAX}"),
        );
    }
    Some(Box::new(Duplicate {
        handle: handle.map(|(_, text)| text),
        what,
        seconds: seconds.map_or(SECONDS, |(_, seconds)| seconds.min(SECONDS_MAX)),
        last,
    }))
}

/// What makes a message the same as another.
#[derive(Debug)]
enum What {
    MessageId,
    Field(Text),
    Value(Text),
}

#[derive(Debug)]
struct Duplicate {
    handle: Option<Text>,
    what: What,
    seconds: u64,
    last: bool,
}

impl Duplicate {
    // RFC 7352 §3: the first of several fields, without white space around it; none where there is none.
    fn value(&self, run: &mut Run<'_>) -> Result<Option<String>, Stop> {
        let name = match &self.what {
            What::Value(text) => return Ok(Some(text.value(run)?.into_owned())),
            What::MessageId => "Message-ID".to_owned(),
            What::Field(name) => name.value(run)?.into_owned(),
        };
        let values = run.subject.values(&name);
        Ok(values.first().map(|value| value.trim().to_owned()))
    }
}

impl Test for Duplicate {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let handle = match &self.handle {
            Some(text) => text.value(run)?.into_owned(),
            None => String::new(),
        };
        // RFC 7352 §3: what has no id is no duplicate of anything.
        let Some(value) = self.value(run)?.filter(|value| !value.is_empty()) else {
            run.note(|| "the message has no such id, so it is no duplicate".to_owned());
            return Ok(false);
        };
        let id = remembered(&handle, &value);
        let seen = run.account().seen(&id);
        run.note_value("duplicate", &id.as_str().into(), None);
        // RFC 7352 §3: remembered once all is done, so that equal tests of one run have equal answers. With
        // :last the time counts anew.
        if !seen || self.last {
            run.act(Step::Remember {
                id,
                seconds: self.seconds,
            })?;
        }
        Ok(seen)
    }
}

// RFC 7352 §5.1: the id of a message is the same to the test by itself, by :header "Message-ID", and by
// :uniqueid with the text of that field.
fn remembered(handle: &str, value: &str) -> String {
    let bare = value.strip_prefix('<').and_then(|value| value.strip_suffix('>'));
    let bare = bare
        .filter(|bare| !bare.contains(['<', '>', ' ', '\t']))
        .unwrap_or(value);
    let id = format!("{handle}{bare}");
    if id.len() <= ID_MAX {
        return id;
    }
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&(handle.len() as u64).to_be_bytes());
    context.update(id.as_bytes());
    let hash: String = context
        .finish()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for (handle, value, id) in [
            ("", "<1@example.com>", "1@example.com"),
            ("", "1@example.com", "1@example.com"),
            ("h", "<1@example.com>", "h1@example.com"),
            ("", "<1@a> <2@b>", "<1@a> <2@b>"),
            ("", "<", "<"),
        ] {
            assert_eq!(remembered(handle, value), id, "{handle} {value}");
        }
        let long = "x".repeat(1000);
        let id = remembered("", &long);
        assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
        assert_ne!(remembered("x", &long), remembered("", &format!("x{long}")));
    }
}
