//! `debug_log` of `vnd.dovecot.debug`: what a script says for the log.

use super::arguments::Arguments;
use super::checker::{Checker, CommandKind};
use super::extension::Extension;
use super::program::{Execute, Flow};
use super::run::{Run, Stop};
use super::text::Text;
use crate::sieve::collect::clean_text;
use crate::sieve::step::Step;
use crate::sieve::syntax::Command;

/// Characters of a message for the log.
const MESSAGE_MAX: usize = 1024;

pub(super) const COMMANDS: &[CommandKind] = &[CommandKind {
    name: "debug_log",
    from: &[Extension::DovecotDebug],
    compile,
}];

// debug_log <message: string>
fn compile(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let message = arguments.text(checker, "a message");
    arguments.end(checker)?;
    Some(Box::new(DebugLog { message: message? }))
}

#[derive(Debug)]
struct DebugLog {
    message: Text,
}

impl Execute for DebugLog {
    // One line of the log, whatever the message holds.
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let message = clean_text(&self.message.value(run)?, MESSAGE_MAX);
        let words: Vec<&str> = message.split_whitespace().collect();
        run.act(Step::Remark(format!("debug_log: {}", words.join(" "))))?;
        Ok(Flow::Next)
    }
}
