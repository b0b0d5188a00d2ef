//! Going through the parts of a message: `foreverypart` and `break` (RFC 5703 §3).

use super::arguments::Arguments;
use super::checker::{Checker, CommandKind};
use super::extension::Extension;
use super::program::{Block, Execute, Flow};
use super::run::{Run, Stop};
use crate::message::Message;
use crate::sieve::syntax::Command;

pub(super) const COMMANDS: &[CommandKind] = &[
    CommandKind {
        name: "foreverypart",
        from: &[Extension::ForEveryPart],
        compile: compile_loop,
    },
    CommandKind {
        name: "break",
        from: &[Extension::ForEveryPart],
        compile: compile_break,
    },
];

/// A loop that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartLoop {
    /// The index of the part at hand.
    pub(super) part: usize,
    next: usize,
    /// Behind the last part of the loop.
    end: usize,
}

// foreverypart [":name" string] block
fn compile_loop(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_test(&command.call);
    let name = arguments.tagged_constant(checker, "name", None).map(|(_, name)| name);
    let ended = arguments.end(checker);
    checker.needs_whole = true;
    let Some(commands) = &command.block else {
        return checker.error(command.end, "behind `foreverypart` commands in braces are expected");
    };
    checker.loops.push(name.clone());
    let block = checker.block(commands);
    checker.loops.pop();
    ended?;
    Some(Box::new(ForEveryPart {
        name: name.map(Box::from),
        block,
    }))
}

// break [":name" string]
fn compile_break(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let name = arguments.tagged_constant(checker, "name", None);
    arguments.end(checker)?;
    if checker.loops.is_empty() {
        return checker.error(command.call.position, "`break` stands only within `foreverypart`");
    }
    if let Some((place, name)) = &name
        && !checker.loops.iter().flatten().any(|known| known == name)
    {
        let help = Some(format!(
            "write `foreverypart :name \"{name}\"` at the loop that it ends"
        ));
        return checker.error_with_help(*place, format!("there is no loop \"{name}\" around this"), help);
    }
    Some(Box::new(Break {
        name: name.map(|(_, name)| name.into()),
    }))
}

#[derive(Debug)]
struct ForEveryPart {
    name: Option<Box<str>>,
    block: Block,
}

impl Execute for ForEveryPart {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        // RFC 5703 §3: within another loop, through what its part holds; else through the message, which is the
        // first part itself.
        let (first, end) = match run.loops.last() {
            Some(outer) => (outer.part + 1, run.subject.end_of_part(outer.part)),
            None => (0, run.subject.structure().parts.len()),
        };
        run.loops.push(PartLoop {
            part: first,
            next: first,
            end,
        });
        let flow = self.iterate(run);
        run.loops.pop();
        flow
    }
}

impl ForEveryPart {
    fn iterate(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        while run.next_part()? {
            match run.block(&self.block)? {
                Flow::Next => {}
                // RFC 5703 §3: the innermost loop, or the innermost of that name.
                Flow::Break(name) if name.is_none() || name == self.name => return Ok(Flow::Next),
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }
}

#[derive(Debug)]
struct Break {
    name: Option<Box<str>>,
}

impl Execute for Break {
    fn execute(&self, _: &mut Run<'_>) -> Result<Flow, Stop> {
        Ok(Flow::Break(self.name.clone()))
    }
}

impl Run<'_> {
    /// The index of the part that commands and tests are about: that of the innermost loop, or the message.
    pub(super) fn part_at_hand(&self) -> usize {
        self.loops.last().map_or(0, |part_loop| part_loop.part)
    }

    // Goes on with the innermost loop; no where its parts are over.
    fn next_part(&mut self) -> Result<bool, Stop> {
        let Some(part_loop) = self.loops.last_mut().filter(|it| it.next < it.end) else {
            return Ok(false);
        };
        let index = part_loop.next;
        part_loop.part = index;
        part_loop.next = index + 1;
        self.visit_part(index, 0)?;
        self.note(|| format!("part {}", index + 1));
        Ok(true)
    }

    /// Puts a message in place in which one part, with all that it held, has become another. Loops that run go on
    /// behind it (RFC 5703 §5).
    pub(super) fn replace_part(&mut self, message: Message, part: usize) {
        let (old_end, old_count) = (self.subject.end_of_part(part), self.subject.structure().parts.len());
        self.subject.set_message(message);
        let (end, count) = (self.subject.end_of_part(part), self.subject.structure().parts.len());
        // A limit, or a header that was edited, may have changed more than this part.
        let same_rest = count.checked_sub(end) == old_count.checked_sub(old_end);
        let moved = |index: usize| match index {
            _ if !same_rest => 0,
            index if index >= old_end => index - old_end + end,
            index if index > part => end,
            index => index,
        };
        for part_loop in &mut self.loops {
            part_loop.next = moved(part_loop.next);
            part_loop.end = moved(part_loop.end);
        }
    }

    /// Puts another message in place. It has parts of its own, so that loops that run end with the part at hand,
    /// which is the message now.
    pub(super) fn replace_message(&mut self, message: Message) {
        self.subject.set_message(message);
        for part_loop in &mut self.loops {
            *part_loop = PartLoop {
                part: 0,
                next: 0,
                end: 0,
            };
        }
    }

    /// Puts a message in place that holds the one there is as its part `by`. Loops that run go on in it.
    ///
    /// # Errors
    /// Where the one there is cannot be read.
    pub(super) fn enclose(&mut self, message: Message, by: usize) -> Result<(), Stop> {
        self.subject.enclose(message)?;
        let count = self.subject.structure().parts.len();
        for part_loop in &mut self.loops {
            part_loop.part += by;
            part_loop.next += by;
            part_loop.end = count.min(part_loop.end + by);
        }
        Ok(())
    }
}
