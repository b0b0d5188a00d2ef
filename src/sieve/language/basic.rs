//! The tests of RFC 5228 §5 that look at header fields and size.

use super::address::AddressPart;
use super::arguments::Arguments;
use super::checker::{Checker, TestKind};
use super::fields::Fields;
use super::matching::{MatchTags, Matching, Value};
use super::program::Test;
use super::run::{Run, Stop};
use crate::message::mailboxes;
use crate::sieve::syntax::Call;

pub(super) const TESTS: &[TestKind] = &[
    TestKind {
        name: "address",
        from: &[],
        compile: compile_address,
    },
    TestKind {
        name: "exists",
        from: &[],
        compile: compile_exists,
    },
    TestKind {
        name: "header",
        from: &[],
        compile: compile_header,
    },
    TestKind {
        name: "size",
        from: &[],
        compile: compile_size,
    },
];

// header [:mime] [:anychild] [MIMEOPTS] [COMPARATOR] [MATCH-TYPE] <header-names: string-list> <key-list: string-list>
fn compile_header(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let tags = MatchTags::take(&mut arguments, checker);
    let fields = Fields::take_mime_tags(&mut arguments, checker, true).names(&mut arguments, checker);
    let keys = arguments.texts(checker, "keys");
    arguments.end(checker)?;
    Some(Box::new(HeaderTest {
        fields: fields?,
        matching: tags?.with_keys(checker, keys?)?,
    }))
}

#[derive(Debug)]
struct HeaderTest {
    fields: Fields,
    matching: Matching,
}

impl Test for HeaderTest {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let fields = self.fields.values(run)?;
        any_field(&self.matching, run, fields)
    }
}

/// Compares the values of several fields; what counts is counted over all of them.
pub(super) fn any_field(
    matching: &Matching,
    run: &mut Run<'_>,
    fields: Vec<(String, Vec<Value>)>,
) -> Result<bool, Stop> {
    if matching.counts() {
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let of = names.join(", ");
        let values: Vec<Value> = fields.into_iter().flat_map(|(_, values)| values).collect();
        return matching.any(run, &of, &values);
    }
    for (name, values) in &fields {
        if matching.any(run, name, values)? {
            return Ok(true);
        }
    }
    Ok(false)
}

// address [:mime] [:anychild] [COMPARATOR] [ADDRESS-PART] [MATCH-TYPE] <header-list: string-list> <key-list: string-list>
fn compile_address(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let tags = MatchTags::take(&mut arguments, checker);
    let part = AddressPart::take(&mut arguments, checker);
    let fields = Fields::take_mime_tags(&mut arguments, checker, false).names(&mut arguments, checker);
    let keys = arguments.texts(checker, "keys");
    let place = arguments.place();
    arguments.end(checker)?;
    let fields = fields?;
    // RFC 5228 §5.1: only fields that hold addresses make sense.
    let text = [
        "subject",
        "date",
        "message-id",
        "received",
        "content-type",
        "references",
        "in-reply-to",
        "list-id",
    ];
    for name in fields.constant_names() {
        if text.iter().any(|text| text.eq_ignore_ascii_case(name)) {
            checker.warn(
                place,
                format!("the field \"{name}\" holds no addresses; `header` tests its text"),
            );
        }
    }
    Some(Box::new(AddressTest {
        part,
        fields,
        matching: tags?.with_keys(checker, keys?)?,
    }))
}

#[derive(Debug)]
struct AddressTest {
    part: AddressPart,
    fields: Fields,
    matching: Matching,
}

impl Test for AddressTest {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let mut fields = Vec::new();
        for (name, raw) in self.fields.raw(run)? {
            let addresses = raw.iter().flat_map(|value| addresses(value));
            let parts = addresses.filter_map(|address| {
                let part = self.part.of(&address, &run.options().delimiters);
                part.map(Value::from)
            });
            let parts = parts.collect();
            fields.push((name, parts));
        }
        any_field(&self.matching, run, fields)
    }
}

/// The addresses of a field, without display names.
pub(super) fn addresses(raw: &[u8]) -> Vec<String> {
    let mailboxes = mailboxes(raw).into_iter();
    mailboxes.filter_map(|mailbox| mailbox.address).collect()
}

// exists [:mime] [:anychild] <header-names: string-list>
fn compile_exists(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let fields = Fields::take_any(&mut arguments, checker).names(&mut arguments, checker);
    arguments.end(checker)?;
    Some(Box::new(Exists { fields: fields? }))
}

#[derive(Debug)]
struct Exists {
    fields: Fields,
}

impl Test for Exists {
    // RFC 5228 §5.5: all of them.
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let fields = self.fields.values(run)?;
        Ok(fields.iter().all(|(_, values)| !values.is_empty()))
    }
}

// size <":over" / ":under"> <limit: number>
fn compile_size(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let tag = arguments.one_of(checker, &[("over", None), ("under", None)]);
    let limit = arguments.number(checker, "a size in bytes");
    arguments.end(checker)?;
    let Some((tag, _)) = tag else {
        return checker.error(call.position, "`size` needs `:over` or `:under`");
    };
    Some(Box::new(SizeTest {
        over: tag == "over",
        limit: limit?,
    }))
}

#[derive(Debug)]
struct SizeTest {
    over: bool,
    limit: u64,
}

impl Test for SizeTest {
    // RFC 5228 §5.9: a message of exactly the limit is neither over nor under.
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        let size = run.subject.size();
        run.note_value("size", &size.to_string().into(), None);
        Ok(match self.over {
            true => size > self.limit,
            false => size < self.limit,
        })
    }
}
