//! `envelope`: RFC 5228 §5.4, with the parts of RFC 6009 (envelope-dsn, envelope-deliverby).

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::address::AddressPart;
use super::arguments::Arguments;
use super::basic::any_field;
use super::checker::{Checker, TestKind};
use super::date::{Zone, iso8601};
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
    let zone = match checker.has(Extension::EnvelopeDeliverby) {
        true => Zone::take(&mut arguments, checker, false),
        false => Some(Zone::Local),
    };
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
        zone: zone?,
        names: names.into_iter().map(|(_, text)| text).collect(),
        matching: tags?.with_keys(checker, keys?)?,
    }))
}

#[derive(Debug)]
struct EnvelopeTest {
    part: AddressPart,
    /// Of `bytimeabsolute` (RFC 6009 §5).
    zone: Zone,
    names: Vec<Text>,
    matching: Matching,
}

impl Test for EnvelopeTest {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let mut parts = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let name = name.value(run)?.to_ascii_lowercase();
            let values = self.values(run, &name)?;
            parts.push((name, values.into_iter().map(Value::from).collect()));
        }
        any_field(&self.matching, run, parts)
    }
}

impl EnvelopeTest {
    fn values(&self, run: &Run<'_>, name: &str) -> Result<Vec<String>, Stop> {
        let incoming = run.incoming();
        let transport = &incoming.transport;
        let delimiters = &run.options().delimiters;
        let owned = |value: Option<&str>| value.map(str::to_owned).into_iter().collect::<Vec<_>>();
        // RFC 6009 §3: the part of an address is taken of the others too, whatever comes out.
        let part_of = |value: Option<&str>| owned(value.and_then(|value| self.part.of(value, delimiters)));
        Ok(match name {
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
            "envid" => part_of(transport.envid),
            // RFC 6009 §3: each condition by itself.
            "notify" => {
                let conditions = transport.notify.into_iter().flat_map(|notify| notify.split(','));
                conditions.flat_map(|condition| part_of(Some(condition))).collect()
            }
            "orcpt" if self.part == AddressPart::All => owned(transport.orcpt),
            // Less the type of the address, which is no part of it.
            "orcpt" => part_of(
                transport
                    .orcpt
                    .map(|orcpt| orcpt.split_once(';').map_or(orcpt, |(_, address)| address)),
            ),
            "ret" => part_of(transport.ret),
            "bytimeabsolute" => self.absolute_time(run)?.into_iter().collect(),
            _ => deliver_by(transport.by, name),
        })
    }

    // RFC 6009 §5: as the date part "iso8601" of RFC 5260, in the zone of `:zone`.
    fn absolute_time(&self, run: &Run<'_>) -> Result<Option<String>, Stop> {
        let by = run.incoming().transport.by.and_then(by_value);
        let seconds = by.and_then(|(time, _)| time.parse::<i64>().ok());
        let then = seconds.and_then(|seconds| run.now.checked_add(SignedDuration::from_secs(seconds)).ok());
        match then {
            Some(then) => Ok(Some(iso8601(&self.zone.of(run, &then.to_zoned(TimeZone::UTC))?))),
            None => Ok(None),
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

// RFC 2852 §4: by-value = by-time ";" by-mode [by-trace]. The time, and the letters behind it.
fn by_value(by: &str) -> Option<(&str, &str)> {
    let (time, mode) = by.split_once(';')?;
    // i;ascii-numeric knows no plus sign.
    Some((time.strip_prefix('+').unwrap_or(time), mode))
}

// RFC 6009 §5
fn deliver_by(by: Option<&str>, name: &str) -> Vec<String> {
    let Some((time, mode)) = by.and_then(by_value) else {
        return Vec::new();
    };
    let traced = mode.len() > 1 && mode.ends_with(['T', 't']);
    let value = match name {
        "bytimerelative" => Some(time),
        "bymode" => mode.get(..1),
        "bytrace" => Some(if traced { "true" } else { "false" }),
        _ => None,
    };
    value.map(str::to_owned).into_iter().collect()
}
