//! `environment`: RFC 5183, and the items and the namespace `env` of `vnd.dovecot.environment`.

use super::arguments::Arguments;
use super::checker::{Checker, TestKind};
use super::extension::Extension;
use super::matching::{MatchTags, Matching, Value};
use super::program::Test;
use super::run::{Run, Stop};
use super::text::Text;
use crate::mail::nearest;
use crate::sieve::syntax::Call;

pub(super) const TESTS: &[TestKind] = &[TestKind {
    name: "environment",
    from: &[Extension::Environment],
    compile,
}];

/// Every item, those of RFC 5183 §4.1 first.
const ITEMS: [&str; 10] = [
    "domain",
    "host",
    "location",
    "name",
    "phase",
    "remote-host",
    "remote-ip",
    "version",
    "vnd.dovecot.default-mailbox",
    "vnd.dovecot.username",
];

// environment [COMPARATOR] [MATCH-TYPE] <name: string> <key-list: string-list>
fn compile(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let tags = MatchTags::take(&mut arguments, checker);
    let item = arguments.placed_text(checker, "the name of an item");
    let keys = arguments.texts(checker, "keys");
    arguments.end(checker)?;
    let (place, item) = item?;
    if let Some(name) = item.constant().map(str::to_ascii_lowercase)
        && !ITEMS.contains(&name.as_str())
        && !name.starts_with("vnd.")
    {
        let near = nearest(&name, ITEMS).map(|near| format!("; did you mean \"{near}\"?"));
        checker.warn(
            place,
            format!("there is no item \"{name}\"{}", near.unwrap_or_default()),
        );
    }
    Some(Box::new(Environment {
        item,
        matching: tags?.with_keys(checker, keys?)?,
    }))
}

#[derive(Debug)]
struct Environment {
    item: Text,
    matching: Matching,
}

impl Test for Environment {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let name = self.item.value(run)?;
        // RFC 5183 §4: an unknown item fails the test, whatever the keys.
        match run.environment_item(&name) {
            Some(item) => self.matching.any(run, &name, &[Value::from(item)]),
            None => Ok(false),
        }
    }
}

/// An item of the environment; none where it is not known.
pub(super) fn item(run: &Run<'_>, name: &str) -> Option<String> {
    let incoming = run.incoming();
    let transport = &incoming.transport;
    Some(match name.to_ascii_lowercase().as_str() {
        "domain" => incoming.recipient.domain().to_owned(),
        "host" => incoming.hostname.to_owned(),
        "location" => "MDA".to_owned(),
        "name" => "postroom".to_owned(),
        "phase" => "during".to_owned(),
        "remote-host" => transport.remote_host?.to_owned(),
        "remote-ip" => transport.remote_ip?.to_string(),
        "version" => env!("CARGO_PKG_VERSION").to_owned(),
        "vnd.dovecot.default-mailbox" | "vnd.dovecot.default_mailbox" => "INBOX".to_owned(),
        "vnd.dovecot.username" => incoming.user.to_owned(),
        _ => return None,
    })
}
