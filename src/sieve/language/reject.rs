//! `reject` and `ereject`: RFC 5429.

use super::arguments::Arguments;
use super::checker::{Checker, CommandKind};
use super::extension::Extension;
use super::program::{Execute, Flow};
use super::run::{Run, Stop};
use super::text::Text;
use crate::sieve::step::Step;
use crate::sieve::syntax::Command;

pub(super) const COMMANDS: &[CommandKind] = &[
    CommandKind {
        name: "reject",
        from: &[Extension::Reject],
        compile: |checker, command| compile(checker, command, false),
    },
    CommandKind {
        name: "ereject",
        from: &[Extension::Ereject],
        compile: |checker, command| compile(checker, command, true),
    },
];

// RFC 5429 §2.1, §2.2: reject <reason: string>, ereject <reason: string>
fn compile(checker: &mut Checker<'_>, command: &Command, ereject: bool) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let reason = arguments.text(checker, "a reason");
    arguments.end(checker)?;
    Some(Box::new(Reject {
        reason: reason?,
        ereject,
    }))
}

#[derive(Debug)]
struct Reject {
    reason: Text,
    ereject: bool,
}

impl Execute for Reject {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let reason = self.reason.value(run)?.into_owned();
        run.act(Step::Reject {
            reason,
            ereject: self.ereject,
        })?;
        Ok(Flow::Next)
    }
}
