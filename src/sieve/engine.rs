//! The seam of the room: scripts, a message and its surroundings in, an [`Evaluation`] out.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::collect::{Collected, collect};
use super::evaluator::{Compiled, Evaluator};
use super::merge::Merged;
use super::{Location, Plan, Script, ScriptName, Scripts, cache::Cache};
use crate::mail::{Address, MailboxName, ReversePath};
use crate::message::Message;

/// The limits of evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Redirects of one message by all its scripts; one more is a run-time error.
    pub max_redirects: usize,
    /// Instructions of one script, those of its includes counted with it.
    pub max_instructions: usize,
    /// Scripts that include one another (RFC 6609 §3.2).
    pub max_include_depth: usize,
    /// Bytes of one script.
    pub max_script_size: usize,
    /// Compiled scripts kept in memory, about 35 KB each.
    pub cached_scripts: usize,
    /// Days of `vacation` without `:days` or `:seconds` (RFC 5230 §4.1).
    pub vacation_default_days: u64,
    /// The most days of `vacation`; more is taken for this.
    pub vacation_max_days: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            max_redirects: 4,
            max_instructions: 100_000,
            max_include_depth: 10,
            max_script_size: 1 << 20,
            cached_scripts: 256,
            vacation_default_days: 7,
            vacation_max_days: 365,
        }
    }
}

/// A message for one recipient.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The message.
    pub message: &'a Message,
    /// MAIL FROM.
    pub reverse_path: &'a ReversePath,
    /// RCPT TO, with its detail.
    pub recipient: &'a Address,
    /// The recipient before aliases, where known.
    pub original: Option<&'a Address>,
    /// What followed the delimiter in the recipient's local part.
    pub detail: Option<&'a str>,
    /// The account's own addresses: never redirected to, and `vacation` answers only
    /// mail to one of them.
    pub own_addresses: &'a [Address],
    /// What separates the levels of mailbox names in scripts.
    pub separator: char,
    /// Our name, for `environment "host"` (RFC 5183).
    pub hostname: &'a str,
}

/// What scripts can ask about the account. Answers have no effect.
pub trait Account {
    /// Whether a mailbox exists (RFC 5490 §3.1).
    fn mailbox_exists(&self, mailbox: &MailboxName) -> bool;
    /// Whether an id of `duplicate` is remembered (RFC 7352).
    fn seen(&self, id: &str) -> bool;
    /// The script that `include` names; none where there is no such script.
    ///
    /// # Errors
    /// What reading it failed with; it becomes a run-time error of the script.
    fn include(&self, location: Location, name: &ScriptName) -> io::Result<Option<Script>>;
}

/// What became of a script that did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// [`Script::name`] of the script at fault.
    pub script: String,
    /// Before it ran, or while.
    pub kind: ErrorKind,
    /// What is wrong, for the script's owner.
    pub message: String,
    /// Where, counted from 1, as far as known.
    pub line: Option<u32>,
    /// Where in the line, counted from 1.
    pub column: Option<u32>,
}

/// When a script failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// It did not compile: nothing of it ran.
    Compile,
    /// It stopped while running: nothing of it counts.
    Runtime,
}

impl ScriptError {
    pub(super) fn runtime(script: &Script, message: impl Into<String>) -> ScriptError {
        ScriptError {
            script: script.name.clone(),
            kind: ErrorKind::Runtime,
            message: message.into(),
            line: None,
            column: None,
        }
    }

    pub(super) fn compile(script: &Script, fault: &Fault) -> ScriptError {
        ScriptError {
            script: script.name.clone(),
            kind: ErrorKind::Compile,
            message: fault.message.clone(),
            line: fault.line,
            column: fault.column,
        }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.script)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ScriptError {}

/// Why a script does not compile; without its name, so that it can be cached by content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
}

/// Something that the log should say, though the scripts ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A redirect to an own address was taken for a keep.
    RedirectToSelf(Address),
    /// `vacation` was executed, but the message must not be answered.
    NoReply(super::NoReply),
    /// `notify` was executed, but the message was sent by a program.
    NoNotification,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::RedirectToSelf(address) => write!(f, "redirect to {address} kept: it is an own address"),
            Note::NoReply(why) => write!(f, "no vacation reply: {why}"),
            Note::NoNotification => f.write_str("no notification: the field Auto-Submitted marks automatic mail"),
        }
    }
}

/// How the evaluation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// What is to be done; after an error, what scripts before it wanted, and a keep.
    pub plan: Plan,
    /// The script that failed; none after it ran.
    pub error: Option<ScriptError>,
    /// Things for the log.
    pub notes: Vec<Note>,
}

/// Evaluates scripts; shared by all threads.
#[derive(Debug)]
pub struct Engine {
    options: Options,
    evaluator: Evaluator,
    cache: Cache<Arc<Compiled>>,
}

impl Engine {
    /// An engine with those limits and an empty cache.
    #[must_use]
    pub fn new(options: Options) -> Engine {
        Engine {
            evaluator: Evaluator::new(&options),
            cache: Cache::new(options.cached_scripts),
            options,
        }
    }

    /// Whether evaluating may read the whole message into memory, because a script looks
    /// at more than header fields and size, or includes one that might. A caller that
    /// bounds memory runs few such evaluations of large messages at a time.
    #[must_use]
    pub fn needs_whole(&self, scripts: &Scripts) -> bool {
        let may = |script| {
            self.compile(script)
                .is_ok_and(|compiled| compiled.needs_whole() || compiled.includes())
        };
        scripts.sequence().any(may)
    }

    /// Checks a script without running it.
    ///
    /// # Errors
    /// [`ScriptError`] says why it does not compile.
    pub fn check(&self, script: &Script) -> Result<(), ScriptError> {
        self.compile(script).map(|_| ())
    }

    /// Runs the scripts in order. A script runs only if the one before it kept the
    /// message, implicitly or by `keep`; where it is kept is decided by the last one
    /// that runs. A script that fails ends the sequence with a keep (DESIGN.md,
    /// invariant 7).
    #[must_use]
    pub fn run(&self, scripts: &Scripts, incoming: &Incoming<'_>, account: &dyn Account) -> Evaluation {
        let mut merged = Merged::default();
        for script in scripts.sequence() {
            match self.run_one(script, incoming, account, &merged) {
                Ok(collected) => merged.add(collected),
                Err(error) => return merged.fail(error),
            }
            if !merged.keeps() {
                break;
            }
        }
        merged.finish()
    }

    fn run_one(
        &self,
        script: &Script,
        incoming: &Incoming<'_>,
        account: &dyn Account,
        before: &Merged,
    ) -> Result<Collected, ScriptError> {
        let compiled = self.compile(script)?;
        let compile = |script: &Script| self.compile(script);
        let ran = self
            .evaluator
            .run(script, &compiled, before.flags(), incoming, account, &compile)?;
        collect(ran, &self.options, incoming, before).map_err(|message| ScriptError::runtime(script, message))
    }

    fn compile(&self, script: &Script) -> Result<Arc<Compiled>, ScriptError> {
        if script.source.len() > self.options.max_script_size {
            let message = format!("the script is larger than {} bytes", self.options.max_script_size);
            return Err(ScriptError::compile(
                script,
                &Fault {
                    message,
                    line: None,
                    column: None,
                },
            ));
        }
        let compile = || self.evaluator.compile(&script.source).map(Arc::new);
        self.cache
            .find_or_insert(&script.source, compile)
            .map_err(|fault| ScriptError::compile(script, &fault))
    }
}
