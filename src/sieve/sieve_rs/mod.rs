//! Evaluation by the sieve-rs crate; its types stay in this folder.
//!
//! What it gets wrong is worked around here: a script is printed anew before it sees it
//! ([`print`]), it runs where a panic does no harm, and it sees no more of a message than
//! its parser survives.

mod actions;
mod arguments;
mod conditions;
mod extensions;
mod print;
mod run;
mod strings;
mod variables;

use std::fmt;
use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use sieve::compiler::{CompileError, ErrorType};
use sieve::{Compiler, Runtime, Sieve};

pub(super) use self::extensions::SUPPORTED;
use self::print::Printed;
use super::engine::Task;
use super::error::{Fault, Place};
use super::syntax::{self, SyntaxError};
use super::{Options, ScriptError, step::Ran};

/// Compiles and runs scripts with sieve-rs.
pub(super) struct Evaluator {
    compiler: Compiler,
    runtime: Runtime,
    /// Starts the `:mailboxid` of every action; no script can know it.
    mark: String,
    max_instructions: usize,
    max_include_depth: usize,
}

/// A script compiled.
pub(super) struct Compiled {
    sieve: Arc<Sieve>,
    printed: Printed,
}

impl Compiled {
    /// Whether the script looks at more than header fields and size.
    pub(super) fn needs_whole(&self) -> bool {
        self.printed.needs_whole
    }

    /// Whether it includes others.
    pub(super) fn includes(&self) -> bool {
        self.printed.includes
    }
}

impl fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluator").finish_non_exhaustive()
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").finish_non_exhaustive()
    }
}

impl Evaluator {
    pub(super) fn new(options: &Options) -> Evaluator {
        // Printing a script makes it longer, and one command several.
        let script_size = options.max_script_size.saturating_mul(64);
        let compiler = Compiler::new()
            .with_max_script_size(script_size)
            .with_max_string_size(script_size)
            .with_max_variable_name_size(64)
            .with_max_nested_blocks(64)
            .with_max_nested_tests(64)
            .with_max_header_size(script_size)
            .with_max_includes(256);
        let runtime = Runtime::new()
            .with_cpu_limit(options.max_instructions)
            .with_max_nested_includes(options.max_include_depth)
            .with_max_variable_size(64 * 1024)
            .with_valid_notification_uri("mailto")
            .without_capabilities(extensions::UNSUPPORTED)
            .with_env_variable("name", "postroom")
            .with_env_variable("version", env!("CARGO_PKG_VERSION"))
            .with_env_variable("location", "MDA")
            .with_env_variable("phase", "during");
        Evaluator {
            compiler,
            runtime,
            mark: random_mark(),
            max_instructions: options.max_instructions,
            max_include_depth: options.max_include_depth,
        }
    }

    /// Compiles the text of a script.
    pub(super) fn compile(&self, source: &[u8]) -> Result<Compiled, Vec<Fault>> {
        self.compile_one(source).map_err(|fault| vec![fault])
    }

    fn compile_one(&self, source: &[u8]) -> Result<Compiled, Fault> {
        let source = syntax::text(source)?;
        let (commands, errors) = syntax::parse(source);
        if let Some(error) = errors.into_iter().next() {
            return Err(error.into());
        }
        let mut printed = print::print(&commands, &self.mark).map_err(Fault::from)?;
        let text = std::mem::take(&mut printed.text);
        // It has been seen to panic; a script must not take the caller with it.
        let compile = std::panic::AssertUnwindSafe(|| self.compiler.compile(text.as_bytes()));
        match std::panic::catch_unwind(compile) {
            Ok(Ok(sieve)) => Ok(Compiled {
                sieve: Arc::new(sieve),
                printed,
            }),
            Ok(Err(error)) => Err(fault(&error, &printed)),
            Err(_) => Err(Fault::new(None, "the Sieve engine cannot compile this script")),
        }
    }

    /// Runs a compiled script.
    pub(super) fn run(&self, task: &Task<'_>, compiled: &Compiled) -> Result<Ran, ScriptError> {
        run::Run {
            evaluator: self,
            task: *task,
            compiled,
        }
        .run()
    }
}

impl From<SyntaxError> for Fault {
    fn from(error: SyntaxError) -> Fault {
        let known = error.position.line > 0;
        Fault::new(known.then_some(error.position), error.message)
    }
}

fn fault(error: &CompileError, printed: &Printed) -> Fault {
    // It finds an expression bad when it has read on to the next token.
    let late = usize::from(matches!(error.error_type(), ErrorType::InvalidRegex(_)));
    let place: Option<Place> = printed.place(error.line_num().saturating_sub(late));
    let message = error.to_string();
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(message, _)| message);
    Fault::new(place, message)
}

// A fixed mark would do too, were it not that a script could then name it; where there is
// no randomness, that costs its owner a wrong action in his own mail.
fn random_mark() -> String {
    let mut bytes = [0; 12];
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
