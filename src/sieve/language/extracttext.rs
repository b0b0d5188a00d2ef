//! `extracttext`: the text of a part into a variable (RFC 5703 §7).

use super::arguments::Arguments;
use super::checker::{Checker, CommandKind};
use super::entities::{CONTENT_MAX, for_people, type_of};
use super::extension::Extension;
use super::program::{Execute, Flow};
use super::run::{Run, Stop};
use super::subject::unreadable;
use super::variables::{Modifier, modified, take_modifiers, take_name};
use crate::sieve::syntax::Command;

pub(super) const COMMANDS: &[CommandKind] = &[CommandKind {
    name: "extracttext",
    from: &[Extension::ExtractText],
    compile,
}];

// extracttext [MODIFIER] [":first" number] <varname: string>
fn compile(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let place = command.call.position;
    checker.needs_whole = true;
    let variables = checker.needs(place, "`extracttext`", Extension::Variables);
    let modifiers = take_modifiers(&mut arguments, checker);
    let first = arguments.tagged_number(checker, "first", None).map(|(_, first)| first);
    let name = take_name(&mut arguments, checker);
    arguments.end(checker)?;
    // RFC 5703 §7: elsewhere it would always find nothing.
    if checker.loops.is_empty() {
        return checker.error(place, "`extracttext` stands only within `foreverypart`");
    }
    if !variables {
        return None;
    }
    Some(Box::new(ExtractText {
        modifiers: modifiers?,
        first,
        name: name?,
    }))
}

#[derive(Debug)]
struct ExtractText {
    modifiers: Vec<Modifier>,
    /// Characters.
    first: Option<u64>,
    name: Box<str>,
}

impl Execute for ExtractText {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let mut text = extracted(run)?;
        if let Some(first) = self.first {
            let first = usize::try_from(first).unwrap_or(usize::MAX);
            if let Some((end, _)) = text.char_indices().nth(first) {
                text.truncate(end);
            }
        }
        run.set_variable(&self.name, modified(&self.modifiers, text))?;
        Ok(Flow::Next)
    }
}

// RFC 5703 §7: empty where the transfer encoding or the charset is unknown, or the content is none of them. What
// holds parts has no text of its own.
fn extracted(run: &mut Run<'_>) -> Result<String, Stop> {
    let base = run.subject.base().clone();
    let Some(part) = base.structure().parts.get(run.part_at_hand()) else {
        return Ok(String::new());
    };
    if type_of(part).0 == "multipart" || part.is_message() {
        return Ok(String::new());
    }
    let length = (part.body.end - part.body.start).min(CONTENT_MAX);
    run.work(usize::try_from(length).unwrap_or(usize::MAX), 1)?;
    let text = base.part_known_text(part, CONTENT_MAX).map_err(unreadable)?;
    Ok(text.map(|text| for_people(part, text)).unwrap_or_default())
}
