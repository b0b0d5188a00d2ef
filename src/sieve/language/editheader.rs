//! `addheader` and `deleteheader`: RFC 5293.

use std::ops::Range;

use super::arguments::Arguments;
use super::checker::{Checker, CommandKind};
use super::extension::Extension;
use super::fields::{Index, check_name, is_field_name};
use super::matching::{MatchTags, Matching};
use super::program::{Execute, Flow};
use super::run::{Run, Stop};
use super::subject::{decoded, parsed};
use super::text::Text;
use crate::message::encoded_field;
use crate::sieve::EditHeaderRules;
use crate::sieve::error::Place;
use crate::sieve::syntax::Command;

pub(super) const COMMANDS: &[CommandKind] = &[
    CommandKind {
        name: "addheader",
        from: &[Extension::EditHeader],
        compile: compile_add,
    },
    CommandKind {
        name: "deleteheader",
        from: &[Extension::EditHeader],
        compile: compile_delete,
    },
];

/// RFC 5293 §6: never deleted.
const NOT_DELETED: [&str; 2] = ["Received", "Auto-Submitted"];
/// RFC 5293 §4: a limit of the length is not below this.
const LEAST_LIMIT: usize = 998;

impl EditHeaderRules {
    fn may_add(&self, name: &str) -> bool {
        is_subject(name) || !listed(&self.protected, name) && !listed(&self.forbid_add, name)
    }

    fn may_delete(&self, name: &str) -> bool {
        let never = NOT_DELETED.iter().any(|known| known.eq_ignore_ascii_case(name));
        let here = || !listed(&self.protected, name) && !listed(&self.forbid_delete, name);
        is_subject(name) || !never && here()
    }
}

// RFC 5293 §6: scripts must be let to add and delete it.
fn is_subject(name: &str) -> bool {
    name.eq_ignore_ascii_case("Subject")
}

fn listed(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

// The name of a field; where it is known now, it is checked now.
fn take_name(
    arguments: &mut Arguments<'_>,
    checker: &mut Checker<'_>,
    may: fn(&EditHeaderRules, &str) -> bool,
) -> Option<Text> {
    let (place, name) = arguments.placed_text(checker, "the name of a header field")?;
    if let Some(constant) = name.constant() {
        check_name(checker, place, constant)?;
        if !may(&checker.options.editheader, constant) {
            warn_of_rule(checker, place, constant);
        }
    }
    Some(name)
}

fn warn_of_rule(checker: &mut Checker<'_>, place: Place, name: &str) {
    checker.warn(
        place,
        format!("this does nothing: scripts may not change the field \"{name}\" so"),
    );
}

// What a name has become at run time (RFC 5293 §4, §5: an error where it is none).
fn name_now(run: &Run<'_>, name: &Text) -> Result<String, Stop> {
    let name = name.value(run)?;
    match is_field_name(&name) {
        true => Ok(name.into_owned()),
        false => Err(Stop::error(format!("{name:?} cannot be the name of a header field"))),
    }
}

// addheader [":last"] <field-name: string> <value: string>
fn compile_add(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let last = arguments.tag(checker, "last", None).is_some();
    let name = take_name(&mut arguments, checker, EditHeaderRules::may_add);
    let value = arguments.placed_text(checker, "a value");
    arguments.end(checker)?;
    let (name, (place, value)) = (name?, value?);
    if let (Some(name), Some(value)) = (name.constant(), value.constant())
        && let Err(message) = field(&checker.options.editheader, name, value, "\r\n")
    {
        return checker.error(place, message);
    }
    Some(Box::new(AddHeader { last, name, value }))
}

// RFC 5293 §4: encoded and folded where it must be; an error where it is too long.
fn field(rules: &EditHeaderRules, name: &str, value: &str, line_end: &str) -> Result<String, String> {
    let field = encoded_field(name, value, line_end);
    let limit = rules.max_header_size.max(LEAST_LIMIT);
    if field.len() - line_end.len() > limit {
        return Err(format!("the field \"{name}\" would be longer than {limit} bytes"));
    }
    Ok(field)
}

#[derive(Debug)]
struct AddHeader {
    last: bool,
    name: Text,
    value: Text,
}

impl Execute for AddHeader {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let name = name_now(run, &self.name)?;
        let value = self.value.value(run)?;
        let rules = &run.options().editheader;
        if !rules.may_add(&name) {
            run.note(|| format!("nothing is added: scripts may not add the field {name}"));
            return Ok(Flow::Next);
        }
        let line_end = run.subject.base().line_end();
        let field = field(rules, &name, &value, line_end).map_err(Stop::error)?;
        let mut block = run.subject.header_block()?.into_owned();
        run.work(block.len(), 1)?;
        let at = match self.last {
            true => end_of(&mut block, line_end),
            // Behind a line that is no field, such as the `From ` of an mbox file.
            false => run
                .subject
                .header()
                .fields()
                .next()
                .map_or(0, |field| position(field.offset())),
        };
        block.splice(at..at, field.into_bytes());
        run.subject.set_header(block);
        Ok(Flow::Next)
    }
}

// The end of the header, where a line begins.
fn end_of(block: &mut Vec<u8>, line_end: &str) -> usize {
    if !block.is_empty() && !block.ends_with(b"\n") {
        block.extend_from_slice(line_end.as_bytes());
    }
    block.len()
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

// deleteheader [":index" <fieldno: number> [":last"]] [COMPARATOR] [MATCH-TYPE]
//     <field-name: string> [<value-patterns: string-list>]
fn compile_delete(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let index = Index::take_from(&mut arguments, checker, None);
    let tags = MatchTags::take(&mut arguments, checker);
    let name = take_name(&mut arguments, checker, EditHeaderRules::may_delete);
    let keys = match arguments.remaining() {
        0 => Some(None),
        _ => arguments.texts(checker, "patterns").map(Some),
    };
    arguments.end(checker)?;
    let (tags, keys) = (tags?, keys?);
    let patterns = match keys {
        Some(keys) => Some(tags.with_keys(checker, keys)?.without_captures()),
        None => None,
    };
    Some(Box::new(DeleteHeader {
        index,
        name: name?,
        patterns,
    }))
}

#[derive(Debug)]
struct DeleteHeader {
    index: Option<Index>,
    name: Text,
    /// Without any, all values.
    patterns: Option<Matching>,
}

impl Execute for DeleteHeader {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let name = name_now(run, &self.name)?;
        if !run.options().editheader.may_delete(&name) {
            run.note(|| format!("nothing is deleted: scripts may not delete the field {name}"));
            return Ok(Flow::Next);
        }
        let mut block = run.subject.header_block()?.into_owned();
        run.work(block.len(), 1)?;
        let doomed = self.doomed(run, &block, &name)?;
        if doomed.is_empty() {
            run.note(|| format!("no field {name} is deleted"));
            return Ok(Flow::Next);
        }
        let mut at = 0;
        let mut doomed = doomed.into_iter().peekable();
        block.retain(|_| {
            while doomed.next_if(|range| range.end <= at).is_some() {}
            let kept = doomed.peek().is_none_or(|range| !range.contains(&at));
            at += 1;
            kept
        });
        run.subject.set_header(block);
        Ok(Flow::Next)
    }
}

impl DeleteHeader {
    // Where the fields lie that go. RFC 5293 §5: `:index` counts before values are compared.
    fn doomed(&self, run: &mut Run<'_>, block: &[u8], name: &str) -> Result<Vec<Range<usize>>, Stop> {
        let header = parsed(block);
        let fields: Vec<_> = header.all(name).collect();
        let chosen = match self.index.map(|index| index.position(fields.len())) {
            None => 0..fields.len(),
            Some(Some(at)) => at..at + 1,
            Some(None) => 0..0,
        };
        let mut doomed = Vec::new();
        for field in &fields[chosen] {
            let goes = match &self.patterns {
                None => true,
                Some(patterns) => patterns.any(run, name, &[decoded(&field.unfolded()).into()])?,
            };
            if goes {
                let range = field.range();
                doomed.push(position(range.start)..position(range.end));
            }
        }
        Ok(doomed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let rules = EditHeaderRules {
            protected: names(&["X-Both", "Subject"]),
            forbid_add: names(&["X-Add", "subject"]),
            forbid_delete: names(&["X-Delete"]),
            ..EditHeaderRules::default()
        };
        for (name, add, delete) in [
            ("x-both", false, false),
            ("x-add", false, true),
            ("X-DELETE", true, false),
            ("SUBJECT", true, true),
            ("received", true, false),
            ("Auto-submitted", true, false),
            ("X-Other", true, true),
        ] {
            assert_eq!((rules.may_add(name), rules.may_delete(name)), (add, delete), "{name}");
        }
    }
}
