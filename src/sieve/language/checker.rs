//! From the grammar of a script to a [`Program`]: every name, argument and constant is checked, and all
//! faults are told at once.

use super::Program;
use super::control::{self, If};
use super::extension::{Extension, Extensions};
use super::program::{Block, Condition, Execute, Statement, Test};
use super::text::Text;
use crate::mail::nearest;
use crate::sieve::engine::Options;
use crate::sieve::error::{Fault, Place};
use crate::sieve::syntax::{Call, Command};

/// Faults that are told of one script.
const FAULTS_MAX: usize = 100;

/// A command of the language.
pub(super) struct CommandKind {
    pub(super) name: &'static str,
    /// The extensions any of which brings it; none for RFC 5228's own.
    pub(super) from: &'static [Extension],
    pub(super) compile: fn(&mut Checker<'_>, &Command) -> Option<Box<dyn Execute>>,
}

/// A test of the language.
pub(super) struct TestKind {
    pub(super) name: &'static str,
    /// The extensions any of which brings it; none for RFC 5228's own.
    pub(super) from: &'static [Extension],
    pub(super) compile: fn(&mut Checker<'_>, &Call) -> Option<Box<dyn Test>>,
}

/// Compiles one script.
pub(super) struct Checker<'s> {
    pub(super) options: &'s Options,
    errors: Vec<Fault>,
    warnings: Vec<Fault>,
    offered: Extensions,
    required: Extensions,
    /// An extension was asked for by `ihave` that is not here: what is not known may belong to it, and is an
    /// error only where it is executed (RFC 5463 §4).
    lenient: bool,
    /// Something other than `require` was seen.
    began: bool,
    /// A test or action looks beyond header fields and size.
    pub(super) needs_whole: bool,
    pub(super) includes: bool,
    /// Bytes of the regular expressions so far.
    pub(super) expressions: usize,
    /// The `foreverypart` loops around, with their names (RFC 5703 §3).
    pub(super) loops: Vec<Option<String>>,
}

/// Compiles the commands of a script.
///
/// # Errors
/// All faults, in the order of their places.
pub(super) fn check(
    source: &str,
    commands: &[Command],
    syntax: Vec<Fault>,
    options: &Options,
    offered: Extensions,
) -> Result<Program, Vec<Fault>> {
    let mut checker = Checker {
        options,
        errors: syntax,
        warnings: Vec::new(),
        offered,
        required: Extensions::default(),
        lenient: false,
        began: false,
        needs_whole: false,
        includes: false,
        expressions: 0,
        loops: Vec::new(),
    };
    let block = checker.block(commands);
    let Checker {
        mut errors,
        mut warnings,
        ..
    } = checker;
    if !errors.is_empty() {
        errors.sort_by_key(|fault| fault.place);
        errors.dedup();
        return Err(errors);
    }
    warnings.sort_by_key(|fault| fault.place);
    Ok(Program {
        source: source.into(),
        block,
        warnings,
        needs_whole: checker.needs_whole,
        includes: checker.includes,
        expressions: checker.expressions,
        captures: checker.required.has(Extension::Variables),
    })
}

impl Checker<'_> {
    /// Notes an error. Answers nothing, so that a compiling function can end with it.
    pub(super) fn error<T>(&mut self, place: Place, message: impl Into<String>) -> Option<T> {
        self.fault(Fault::new(Some(place), message))
    }

    /// The same, with what would be right.
    pub(super) fn error_with_help<T>(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Option<T> {
        self.fault(Fault {
            help,
            ..Fault::new(Some(place), message)
        })
    }

    fn fault<T>(&mut self, fault: Fault) -> Option<T> {
        if self.errors.len() < FAULTS_MAX {
            self.errors.push(fault);
        }
        None
    }

    pub(super) fn warn(&mut self, place: Place, message: impl Into<String>) {
        if self.warnings.len() < FAULTS_MAX {
            self.warnings.push(Fault::new(Some(place), message));
        }
    }

    /// Whether the script required an extension.
    pub(super) fn has(&self, extension: Extension) -> bool {
        self.required.has(extension)
    }

    /// Whether scripts of this site may require it.
    pub(super) fn offers(&self, extension: Extension) -> bool {
        self.offered.has(extension)
    }

    /// Whether the script required an extension; an error at `place` where it did not.
    pub(super) fn needs(&mut self, place: Place, what: &str, extension: Extension) -> bool {
        if self.has(extension) {
            return true;
        }
        let name = extension.name();
        if !self.offers(extension) {
            self.error::<()>(
                place,
                format!("{what} belongs to the extension \"{name}\", which this site does not have"),
            );
            return false;
        }
        self.error_with_help::<()>(
            place,
            format!("{what} needs `require \"{name}\"`"),
            Some(format!("add \"{name}\" to the `require` at the top of the script")),
        );
        false
    }

    /// From here on an extension may be used.
    pub(super) fn require(&mut self, extension: Extension) {
        self.required.insert(extension);
        if let Some(implied) = extension.implied() {
            self.required.insert(implied);
        }
    }

    /// What is not known may belong to an extension that is not here.
    pub(super) fn be_lenient(&mut self) {
        self.lenient = true;
    }

    /// The extensions of this site.
    pub(super) fn extension_names(&self) -> Vec<&'static str> {
        self.offered.iter().map(Extension::name).collect()
    }

    /// A string as it stands in the script.
    pub(super) fn text(&mut self, place: Place, text: &str) -> Option<Text> {
        Text::compile(self, place, text)
    }

    /// The commands of a block.
    pub(super) fn block(&mut self, commands: &[Command]) -> Block {
        let mut statements = Vec::with_capacity(commands.len());
        let mut rest = commands;
        while let Some((command, after)) = rest.split_first() {
            rest = after;
            if command.call.name == "require" {
                control::require(self, command, self.began);
                continue;
            }
            self.began = true;
            if command.call.name == "if" {
                let more = rest
                    .iter()
                    .take_while(|next| matches!(next.call.name.as_str(), "elsif" | "else"))
                    .count();
                let (others, after) = rest.split_at(more);
                rest = after;
                statements.extend(self.leniently(command, |checker| If::compile(checker, command, others)));
                continue;
            }
            statements.extend(self.leniently(command, |checker| checker.command(command)));
        }
        self.warn_of_unreachable(commands);
        Block(statements)
    }

    // RFC 5463 §4: after an `ihave` of what is not here, a fault counts where it is executed.
    fn leniently(
        &mut self,
        command: &Command,
        compile: impl FnOnce(&mut Self) -> Option<Box<dyn Execute>>,
    ) -> Option<Statement> {
        let before = self.errors.len();
        let mut compiled = compile(self);
        if let Some(fails) = self.excused(before) {
            compiled = Some(Box::new(fails));
        }
        Some(Statement {
            place: command.call.position,
            extent: command.call.extent,
            does: compiled?,
        })
    }

    // What stands for a part whose faults, all behind `before`, count only where it is executed.
    fn excused(&mut self, before: usize) -> Option<control::Fails> {
        let message = self.errors.get(before).filter(|_| self.lenient)?.message.clone();
        self.errors.truncate(before);
        Some(control::Fails { message })
    }

    fn command(&mut self, command: &Command) -> Option<Box<dyn Execute>> {
        let call = &command.call;
        let kind = super::commands().find(|kind| kind.name == call.name);
        let Some(kind) = kind else {
            return self.unknown_command(call);
        };
        self.needs_any(call, kind.from)?;
        (kind.compile)(self, command)
    }

    fn unknown_command(&mut self, call: &Call) -> Option<Box<dyn Execute>> {
        let name = &call.name;
        if matches!(name.as_str(), "elsif" | "else") {
            return self.error(call.position, format!("there is no `if` before this `{name}`"));
        }
        if super::tests().any(|kind| kind.name == name) {
            return self.error_with_help(
                call.position,
                format!("\"{name}\" is a test and stands only behind `if` or in another test"),
                Some(format!("write `if {name} ... {{ ... }}`")),
            );
        }
        let names = super::commands()
            .map(|kind| kind.name)
            .chain(["if", "elsif", "else", "require"]);
        let help = nearest(name, names).map(|near| format!("did you mean `{near}`?"));
        self.error_with_help(call.position, format!("there is no command \"{name}\""), help)
    }

    /// A test with what is needed to trace it.
    pub(super) fn condition(&mut self, call: &Call) -> Option<Condition> {
        let before = self.errors.len();
        let mut test = self.test(call);
        if let Some(fails) = self.excused(before) {
            test = Some(Box::new(fails));
        }
        Some(Condition {
            place: call.position,
            extent: call.extent,
            test: test?,
        })
    }

    fn test(&mut self, call: &Call) -> Option<Box<dyn Test>> {
        let kind = super::tests().find(|kind| kind.name == call.name);
        let Some(kind) = kind else {
            return self.unknown_test(call);
        };
        self.needs_any(call, kind.from)?;
        (kind.compile)(self, call)
    }

    fn unknown_test<T>(&mut self, call: &Call) -> Option<T> {
        let name = &call.name;
        if super::commands().any(|kind| kind.name == name) {
            return self.error_with_help(
                call.position,
                format!("\"{name}\" is a command, and a test is expected here"),
                Some("commands of an `if` stand in braces behind its test".to_owned()),
            );
        }
        let help = nearest(name, super::tests().map(|kind| kind.name)).map(|near| format!("did you mean `{near}`?"));
        self.error_with_help(call.position, format!("there is no test \"{name}\""), help)
    }

    fn needs_any(&mut self, call: &Call, from: &[Extension]) -> Option<()> {
        let Some(first) = from.first() else {
            return Some(());
        };
        if from.iter().any(|extension| self.has(*extension)) {
            return Some(());
        }
        self.needs(call.position, &format!("\"{}\"", call.name), *first)
            .then_some(())
    }

    fn warn_of_unreachable(&mut self, commands: &[Command]) {
        let ends = |command: &Command| matches!(command.call.name.as_str(), "stop" | "return" | "break");
        if let Some(at) = commands.iter().position(ends)
            && let Some(next) = commands.get(at + 1)
        {
            let name = &commands[at].call.name;
            self.warn(
                next.call.position,
                format!("this is never executed: it stands behind `{name}`"),
            );
        }
    }
}
