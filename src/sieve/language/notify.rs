//! `notify` and its tests: RFC 5435, with the method `mailto` (RFC 5436) and `:fcc` (RFC 8580).

use super::address::check_mailbox_address;
use super::arguments::Arguments;
use super::checker::{Checker, CommandKind, TestKind};
use super::extension::Extension;
use super::fcc::FileCopy;
use super::mailto::{self, Method};
use super::matching::{MatchTags, Matching, Value};
use super::program::{Execute, Flow, Test};
use super::run::{Run, Stop};
use super::text::Text;
use crate::sieve::error::Place;
use crate::sieve::step::Step;
use crate::sieve::syntax::{Call, Command};

const NOBODY: &str = "the mailto URI names no address";

pub(super) const COMMANDS: &[CommandKind] = &[CommandKind {
    name: "notify",
    from: &[Extension::Enotify],
    compile,
}];

pub(super) const TESTS: &[TestKind] = &[
    TestKind {
        name: "valid_notify_method",
        from: &[Extension::Enotify],
        compile: compile_valid,
    },
    TestKind {
        name: "notify_method_capability",
        from: &[Extension::Enotify],
        compile: compile_capability,
    },
];

// notify [":from" string] [":importance" <"1" / "2" / "3">] [":options" string-list] [":message" string]
// [":fcc" string] <method: string>
fn compile(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let from = arguments.tagged_text(checker, "from", None);
    let importance = arguments.tagged_text(checker, "importance", None);
    let options = arguments.tagged_texts(checker, "options", None).unwrap_or_default();
    let message = arguments.tagged_text(checker, "message", None);
    let fcc = FileCopy::take(&mut arguments, checker);
    let method = arguments.placed_text(checker, "the URI of a method");
    arguments.end(checker)?;
    let (place, method) = method?;
    check_method(checker, place, &method)?;
    check(checker, from.as_ref(), check_mailbox_address)?;
    check(checker, importance.as_ref(), check_importance)?;
    for option in &options {
        check(checker, Some(option), check_option)?;
    }
    let text = |given: Option<(Place, Text)>| given.map(|(_, text)| text);
    Some(Box::new(Notify {
        method,
        from: text(from),
        importance: text(importance),
        options: options.into_iter().map(|(_, text)| text).collect(),
        message: text(message),
        fcc,
    }))
}

fn check(
    checker: &mut Checker<'_>,
    given: Option<&(Place, Text)>,
    right: fn(&str) -> Result<(), String>,
) -> Option<()> {
    match given.and_then(|(place, text)| Some((place, right(text.constant()?)))) {
        Some((place, Err(message))) => checker.error(*place, message),
        _ => Some(()),
    }
}

// RFC 5435 §3.2: a method that is not here is an error where it is executed: a script may ask for it before.
fn check_method(checker: &mut Checker<'_>, place: Place, method: &Text) -> Option<()> {
    match method.constant().map(mailto::method) {
        Some(Method::Wrong(message)) => checker.error(place, message),
        Some(Method::Unknown) => {
            checker.warn(
                place,
                "this site notifies by \"mailto:\" only; executed, this is an error",
            );
            Some(())
        }
        Some(Method::Mailto { recipients: 0, .. }) => checker.error(place, NOBODY),
        Some(Method::Mailto { ignored, .. }) => {
            for name in ignored {
                checker.warn(place, format!("the field \"{name}\" of the URI is ignored"));
            }
            Some(())
        }
        None => Some(()),
    }
}

// RFC 5435 §3.4
fn check_importance(text: &str) -> Result<(), String> {
    match text {
        "1" | "2" | "3" => Ok(()),
        _ => Err(format!("\"{text}\" is not an importance: it is \"1\", \"2\" or \"3\"")),
    }
}

// RFC 5435 §3.5: option = l-d *l-d-p "=" value
fn check_option(text: &str) -> Result<(), String> {
    let name = text.split_once('=').map_or("", |(name, _)| name);
    let mut bytes = name.bytes();
    let right = bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    match right {
        true => Ok(()),
        false => Err(format!("\"{text}\" is not an option: it is written as \"name=value\"")),
    }
}

#[derive(Debug)]
struct Notify {
    method: Text,
    from: Option<Text>,
    importance: Option<Text>,
    options: Vec<Text>,
    message: Option<Text>,
    fcc: Option<FileCopy>,
}

impl Execute for Notify {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let method = self.method.value(run)?.into_owned();
        let refused = |message: String| Stop::error(format!("notify: {message}"));
        match mailto::method(&method) {
            Method::Mailto { recipients: 0, .. } => return Err(refused(NOBODY.to_owned())),
            Method::Mailto { .. } => {}
            Method::Wrong(message) => return Err(refused(message)),
            Method::Unknown => return Err(refused(format!("the method {method:?} is not supported"))),
        }
        let given = |run: &Run<'_>, text: &Option<Text>| match text {
            Some(text) => text.value(run).map(|text| Some(text.into_owned())),
            None => Ok(None),
        };
        let importance = given(run, &self.importance)?;
        if let Some(importance) = &importance {
            check_importance(importance).map_err(refused)?;
        }
        // RFC 5435 §3.3: a sender that is none is left out.
        let from = given(run, &self.from)?.filter(|from| check_mailbox_address(from).is_ok());
        let mut options = Vec::with_capacity(self.options.len());
        for option in &self.options {
            let option = option.value(run)?.into_owned();
            check_option(&option).map_err(refused)?;
            options.push(option);
        }
        let message = given(run, &self.message)?.unwrap_or_default();
        let fcc = match &self.fcc {
            Some(fcc) => Some(fcc.value(run)?),
            None => None,
        };
        run.act(Step::Notify {
            method,
            from,
            options,
            message,
            importance,
            fcc,
        })?;
        Ok(Flow::Next)
    }
}

// RFC 5435 §4: valid_notify_method <notification-uris: string-list>
fn compile_valid(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let methods = arguments.texts(checker, "URIs of methods");
    arguments.end(checker)?;
    Some(Box::new(Valid {
        methods: methods?.into_iter().map(|(_, text)| text).collect(),
    }))
}

#[derive(Debug)]
struct Valid {
    methods: Vec<Text>,
}

impl Test for Valid {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        for text in &self.methods {
            let method = text.value(run)?;
            if !matches!(mailto::method(&method), Method::Mailto { .. }) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

// RFC 5435 §5: notify_method_capability [COMPARATOR] [MATCH-TYPE] <notification-uri: string>
// <notification-capability: string> <key-list: string-list>
fn compile_capability(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let tags = MatchTags::take(&mut arguments, checker);
    let method = arguments.text(checker, "the URI of a method");
    let capability = arguments.placed_text(checker, "a capability");
    let keys = arguments.texts(checker, "keys");
    arguments.end(checker)?;
    let (place, capability) = capability?;
    if let Some(constant) = capability.constant()
        && !constant.eq_ignore_ascii_case("online")
    {
        checker.warn(
            place,
            format!("there is no capability \"{constant}\"; the one there is is \"online\""),
        );
    }
    Some(Box::new(Capability {
        method: method?,
        capability,
        matching: tags?.with_keys(checker, keys?)?,
    }))
}

#[derive(Debug)]
struct Capability {
    method: Text,
    capability: Text,
    matching: Matching,
}

impl Test for Capability {
    // RFC 5435 §5: what is not known fails. RFC 5436 §2.6: nobody can say whether a reader of mail is there.
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let known = matches!(mailto::method(&self.method.value(run)?), Method::Mailto { .. })
            && self.capability.value(run)?.eq_ignore_ascii_case("online");
        match known {
            true => self.matching.any(run, "online", &[Value::from("maybe")]),
            false => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        for (text, right) in [
            ("timeout=3", true),
            ("x-1._b=", true),
            ("a=b=c", true),
            ("=x", false),
            ("-a=b", false),
            ("a b=c", false),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(check_option(text).is_ok(), right, "{text}");
        }
    }
}
