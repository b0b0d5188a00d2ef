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

use self::print::Printed;
use super::error::{Fault, Place};
use super::syntax::{self, Position, SyntaxError};
use super::{Account, Incoming, Options, Script, ScriptError, Trace, step::Ran};

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

    /// It warns of nothing.
    pub(super) fn warnings(&self) -> &[Fault] {
        &[]
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
        let source = std::str::from_utf8(source).map_err(|error| not_utf8(source, error.valid_up_to()))?;
        let commands = syntax::parse(source).map_err(Fault::from)?;
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
    pub(super) fn run(
        &self,
        script: &Script,
        compiled: &Compiled,
        flags: &[String],
        incoming: &Incoming<'_>,
        account: &dyn Account,
        compile: &dyn Fn(&Script) -> Result<Arc<Compiled>, ScriptError>,
        _: Option<&mut Trace>,
    ) -> Result<Ran, ScriptError> {
        run::Run {
            evaluator: self,
            script,
            compiled,
            flags,
            incoming,
            account,
            compile,
        }
        .run()
    }
}

impl From<SyntaxError> for Fault {
    fn from(error: SyntaxError) -> Fault {
        let known = error.position.line > 0;
        Fault::new(known.then(|| at(error.position)), error.message)
    }
}

fn at(position: Position) -> Place {
    Place {
        line: position.line,
        column: position.column,
        length: 1,
    }
}

fn not_utf8(source: &[u8], valid: usize) -> Fault {
    let before = String::from_utf8_lossy(&source[..valid]);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    let place = Position {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
    };
    Fault::new(Some(at(place)), "a script must be UTF-8 text")
}

fn fault(error: &CompileError, printed: &Printed) -> Fault {
    // It finds an expression bad when it has read on to the next token.
    let late = usize::from(matches!(error.error_type(), ErrorType::InvalidRegex(_)));
    let place: Option<Position> = printed.place(error.line_num().saturating_sub(late));
    let message = error.to_string();
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(message, _)| message);
    Fault::new(place.map(at), message)
}

// A fixed mark would do too, were it not that a script could then name it; where there is
// no randomness, that costs its owner a wrong action in his own mail.
fn random_mark() -> String {
    let mut bytes = [0; 12];
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
