//! The language: Sieve as its RFCs have it, compiled and run.
//!
//! Called by the room's engine. [`Evaluator::compile`] ends in a [`Program`] or in all faults of the
//! script; [`Program::run`] in the steps that were executed, or in the error that stopped it. Nothing here
//! has an effect: what a script wants done comes out as values (`sieve::step`).
//!
//! ```text
//! commands --checker--> Program --run--> steps
//! ```
//!
//! The checker looks every command and test up by name ([`commands`], [`tests`]); each lives in the file
//! of its RFC, with how it is compiled and how it runs side by side. `arguments` reads tags and
//! positional arguments, `matching` compares, `text` has strings with variables, `subject` the message as
//! the script has changed it by then, `entities` what was read of its parts.

mod actions;
mod address;
mod arguments;
mod basic;
mod body;
mod checker;
mod comparator;
mod control;
mod date;
mod debug;
mod duplicate;
mod editheader;
mod entities;
mod envelope;
mod environment;
mod extension;
mod extracttext;
mod fcc;
mod fields;
mod flags;
mod glob;
mod include;
mod lists;
mod mailbox;
mod mailto;
mod matching;
mod metadata;
mod mime_fields;
mod notify;
mod parts;
mod program;
mod programs;
mod regex;
mod reject;
mod replace;
mod report;
mod run;
mod spam;
mod subject;
mod text;
mod vacation;
mod variables;

use self::checker::{CommandKind, TestKind};
use self::extension::{Extension, Extensions};
pub(super) use self::program::Program;
pub use self::spam::{FieldPattern, FieldPatternError, Maximum, Points, Scale, Scanner, SpamSettings, Verdict};
use super::engine::Options;
use super::error::Fault;
use super::syntax;

/// Compiles scripts.
#[derive(Debug)]
pub(super) struct Evaluator {
    options: Options,
    offered: Extensions,
}

impl Evaluator {
    pub(super) fn new(options: &Options) -> Evaluator {
        Evaluator {
            options: options.clone(),
            offered: offered(options),
        }
    }

    /// The extensions that scripts may require.
    pub(super) fn extensions(&self) -> Vec<&'static str> {
        self.offered.iter().map(Extension::name).collect()
    }

    /// Compiles the text of a script.
    ///
    /// # Errors
    /// All its faults, in the order of their places.
    pub(super) fn compile(&self, source: &[u8]) -> Result<Program, Vec<Fault>> {
        let source = syntax::text(source).map_err(|fault| vec![fault])?;
        let (commands, errors) = syntax::parse(source);
        let errors = errors
            .into_iter()
            .map(|error| Fault::new(Some(error.position), error.message))
            .collect();
        checker::check(source, &commands, errors, &self.options, self.offered)
    }
}

impl Program {
    /// Whether the script looks at more than header fields and size.
    pub(super) fn needs_whole(&self) -> bool {
        self.needs_whole
    }

    /// Whether it includes others.
    pub(super) fn includes(&self) -> bool {
        self.includes
    }

    /// Bytes of memory that its regular expressions take, about.
    pub(super) fn expressions(&self) -> usize {
        self.expressions
    }

    /// What compiles, but is probably not what its owner means.
    pub(super) fn warnings(&self) -> &[Fault] {
        &self.warnings
    }
}

// What needs something of the site is offered only where the site has it.
fn offered(options: &Options) -> Extensions {
    let mut offered = Extensions::default();
    for extension in Extension::ALL {
        offered.insert(*extension);
    }
    for (extension, allowed) in [
        (Extension::DovecotPipe, options.programs.pipe),
        (Extension::DovecotFilter, options.programs.filter),
        (Extension::DovecotExecute, options.programs.execute),
    ] {
        if !allowed {
            offered.remove(extension);
        }
    }
    offered
}

/// Every command but `require` and `if` with its branches, which the checker knows itself.
fn commands() -> impl Iterator<Item = &'static CommandKind> {
    [
        actions::COMMANDS,
        control::COMMANDS,
        debug::COMMANDS,
        editheader::COMMANDS,
        extracttext::COMMANDS,
        flags::COMMANDS,
        include::COMMANDS,
        notify::COMMANDS,
        parts::COMMANDS,
        programs::COMMANDS,
        reject::COMMANDS,
        replace::COMMANDS,
        report::COMMANDS,
        vacation::COMMANDS,
        variables::COMMANDS,
    ]
    .into_iter()
    .flatten()
}

/// Every test.
fn tests() -> impl Iterator<Item = &'static TestKind> {
    [
        basic::TESTS,
        body::TESTS,
        control::TESTS,
        date::TESTS,
        duplicate::TESTS,
        envelope::TESTS,
        environment::TESTS,
        flags::TESTS,
        lists::TESTS,
        mailbox::TESTS,
        metadata::TESTS,
        notify::TESTS,
        programs::TESTS,
        spam::TESTS,
        variables::TESTS,
    ]
    .into_iter()
    .flatten()
}
