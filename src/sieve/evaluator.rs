//! Which evaluator runs a script: our own, or sieve-rs where it is built in and chosen.

use super::engine::{EngineKind, Options, Task};
use super::error::Fault;
#[cfg(feature = "sieve-rs")]
use super::sieve_rs;
use super::step::Ran;
use super::{ScriptError, Trace, language};

/// Compiles scripts and runs them.
#[derive(Debug)]
pub(super) enum Evaluator {
    Own(Box<language::Evaluator>),
    #[cfg(feature = "sieve-rs")]
    SieveRs(Box<sieve_rs::Evaluator>),
    /// sieve-rs was chosen and is not built in.
    #[cfg(not(feature = "sieve-rs"))]
    Missing,
}

/// A script compiled by one of them.
#[derive(Debug)]
pub(super) enum Compiled {
    Own(language::Program),
    #[cfg(feature = "sieve-rs")]
    SieveRs(sieve_rs::Compiled),
}

impl Compiled {
    /// Whether the script looks at more than header fields and size.
    pub(super) fn needs_whole(&self) -> bool {
        match self {
            Compiled::Own(program) => program.needs_whole(),
            #[cfg(feature = "sieve-rs")]
            Compiled::SieveRs(compiled) => compiled.needs_whole(),
        }
    }

    /// Whether it includes others.
    pub(super) fn includes(&self) -> bool {
        match self {
            Compiled::Own(program) => program.includes(),
            #[cfg(feature = "sieve-rs")]
            Compiled::SieveRs(compiled) => compiled.includes(),
        }
    }

    /// Bytes of memory that its regular expressions take, about, where that is known.
    pub(super) fn expressions(&self) -> usize {
        match self {
            Compiled::Own(program) => program.expressions(),
            #[cfg(feature = "sieve-rs")]
            Compiled::SieveRs(_) => 0,
        }
    }

    /// What compiles, but is probably not what its owner means.
    pub(super) fn warnings(&self) -> &[Fault] {
        match self {
            Compiled::Own(program) => program.warnings(),
            #[cfg(feature = "sieve-rs")]
            Compiled::SieveRs(_) => &[],
        }
    }
}

impl Evaluator {
    pub(super) fn new(options: &Options) -> Evaluator {
        match options.engine {
            EngineKind::Postroom => Evaluator::Own(Box::new(language::Evaluator::new(options))),
            #[cfg(feature = "sieve-rs")]
            EngineKind::SieveRs => Evaluator::SieveRs(Box::new(sieve_rs::Evaluator::new(options))),
            #[cfg(not(feature = "sieve-rs"))]
            EngineKind::SieveRs => Evaluator::Missing,
        }
    }

    /// The extensions that scripts may require.
    pub(super) fn extensions(&self) -> Vec<&'static str> {
        match self {
            Evaluator::Own(own) => own.extensions(),
            #[cfg(feature = "sieve-rs")]
            Evaluator::SieveRs(_) => sieve_rs::SUPPORTED.to_vec(),
            #[cfg(not(feature = "sieve-rs"))]
            Evaluator::Missing => Vec::new(),
        }
    }

    pub(super) fn compile(&self, source: &[u8]) -> Result<Compiled, Vec<Fault>> {
        match self {
            Evaluator::Own(own) => own.compile(source).map(Compiled::Own),
            #[cfg(feature = "sieve-rs")]
            Evaluator::SieveRs(evaluator) => evaluator.compile(source).map(Compiled::SieveRs),
            #[cfg(not(feature = "sieve-rs"))]
            Evaluator::Missing => Err(vec![Fault::new(
                None,
                "this postroom is built without sieve-rs, which `[sieve] engine` asks for",
            )]),
        }
    }

    pub(super) fn run(
        &self,
        task: &Task<'_>,
        compiled: &Compiled,
        trace: Option<&mut Trace>,
    ) -> Result<Ran, ScriptError> {
        match (self, compiled) {
            (_, Compiled::Own(program)) => program.run(task, trace),
            #[cfg(feature = "sieve-rs")]
            (Evaluator::SieveRs(evaluator), Compiled::SieveRs(compiled)) => evaluator.run(task, compiled),
            // One engine compiles and runs.
            #[cfg(feature = "sieve-rs")]
            (Evaluator::Own(_), Compiled::SieveRs(_)) => Ok(Ran::default()),
        }
    }
}
