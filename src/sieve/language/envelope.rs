//! `envelope`: RFC 5228 §5.4, with the parts of RFC 6009 (envelope-dsn, envelope-deliverby).

use super::address::AddressPart;
use super::arguments::Arguments;
use super::basic::any_field;
use super::checker::{Checker, TestKind};
use super::extension::Extension;
use super::matching::{MatchTags, Matching, Value};
use super::program::Test;
use super::run::{Run, Stop};
use super::text::Text;
use crate::mail::nearest;
use crate::sieve::syntax::Call;

pub(super) const TESTS: &[TestKind] = &[TestKind {
    name: "envelope",
    from: &[Extension::Envelope],
    compile,
}];

/// The parts of an envelope, and the extension that brings each.
const PARTS: [(&str, Option<Extension>); 10] = [
    ("from", None),
    ("to", None),
    ("envid", Some(Extension::EnvelopeDsn)),
    ("notify", Some(Extension::EnvelopeDsn)),
    ("orcpt", Some(Extension::EnvelopeDsn)),
    ("ret", Some(Extension::EnvelopeDsn)),
    ("bymode", Some(Extension::EnvelopeDeliverby)),
    ("bytimeabsolute", Some(Extension::EnvelopeDeliverby)),
    ("bytimerelative", Some(Extension::EnvelopeDeliverby)),
    ("bytrace", Some(Extension::EnvelopeDeliverby)),
];

// envelope [COMPARATOR] [ADDRESS-PART] [MATCH-TYPE] <envelope-part: string-list> <key-list: string-list>
fn compile(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let tags = MatchTags::take(&mut arguments, checker);
    let part = AddressPart::take(&mut arguments, checker);
    let names = arguments.texts(checker, "parts of the envelope");
    let keys = arguments.texts(checker, "keys");
    arguments.end(checker)?;
    let names = names?;
    for (place, name) in &names {
        let Some(name) = name.constant() else { continue };
        let known = PARTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        match known {
            Some((_, None)) => {}
            Some((known, Some(extension))) => {
                if !checker.needs(*place, &format!("the envelope part \"{known}\""), *extension) {
                    return None;
                }
            }
            None => {
                let near = nearest(name, PARTS.map(|(known, _)| known));
                let help = near.map(|near| format!("did you mean \"{near}\"?"));
                return checker.error_with_help(*place, format!("an envelope has no part \"{name}\""), help);
            }
        }
    }
    Some(Box::new(EnvelopeTest {
        part,
        names: names.into_iter().map(|(_, text)| text).collect(),
        matching: tags?.with_keys(checker, keys?)?,
    }))
}

#[derive(Debug)]
struct EnvelopeTest {
    part: AddressPart,
    names: Vec<Text>,
    matching: Matching,
}

impl Test for EnvelopeTest {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let mut parts = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let name = name.value(run)?.to_ascii_lowercase();
            let values = self.values(run, &name);
            parts.push((name, values.into_iter().map(Value::from).collect()));
        }
        any_field(&self.matching, run, parts)
    }
}

impl EnvelopeTest {
    fn values(&self, run: &Run<'_>, name: &str) -> Vec<String> {
        let incoming = run.incoming();
        let transport = &incoming.transport;
        let delimiters = &run.options().delimiters;
        let owned = |value: Option<&str>| value.map(str::to_owned).into_iter().collect::<Vec<_>>();
        match name {
            // RFC 5228 §5.4: the null reverse path is "", whatever the part.
            "from" => match incoming.reverse_path.address() {
                None => vec![String::new()],
                Some(address) => owned(self.part.of(&address.to_string(), delimiters)),
            },
            // The directory knows where the detail begins.
            "to" if self.part == AddressPart::Detail => owned(incoming.detail),
            "to" if self.part == AddressPart::User => {
                owned(Some(user_part(incoming.recipient.local(), incoming.detail)))
            }
            "to" => owned(self.part.of(&incoming.recipient.to_string(), delimiters)),
            "envid" => owned(transport.envid),
            "notify" => transport
                .notify
                .into_iter()
                .flat_map(|notify| notify.split(','))
                .map(str::to_owned)
                .collect(),
            "orcpt" => owned(transport.orcpt),
            "ret" => owned(transport.ret),
            _ => deliver_by(transport.by, name),
        }
    }
}

// The local part less the detail and the one character before it.
fn user_part<'a>(local: &'a str, detail: Option<&str>) -> &'a str {
    let Some(without) = detail.and_then(|detail| local.strip_suffix(detail)) else {
        return local;
    };
    let mut characters = without.chars();
    characters.next_back();
    characters.as_str()
}

// RFC 2852 §4: by-value = by-time ";" by-mode [by-trace], RFC 6009 §5
fn deliver_by(by: Option<&str>, name: &str) -> Vec<String> {
    let Some((time, mode)) = by.and_then(|by| by.split_once(';')) else {
        return Vec::new();
    };
    let traced = mode.len() > 1 && mode.ends_with(['T', 't']);
    let value = match name {
        "bytimerelative" => Some(time.to_owned()),
        "bytimeabsolute" => time.parse::<i64>().ok().and_then(absolute),
        "bymode" => mode.get(..1).map(str::to_ascii_uppercase),
        "bytrace" => Some(if traced { "true" } else { "false" }.to_owned()),
        _ => None,
    };
    value.into_iter().collect()
}

fn absolute(seconds: i64) -> Option<String> {
    let now = jiff::Timestamp::now();
    let then = now.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
    Some(then.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
