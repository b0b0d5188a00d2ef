//! The seam of the room: scripts, a message and its surroundings in, an [`Evaluation`] out.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::budget::{Budget, Meter};
use super::collect::{Collected, Refused, collect};
use super::error::{Fault, Place};
use super::evaluator::{Compiled, Evaluator};
use super::merge::Merged;
use super::{Account, Checked, ErrorKind, Plan, Script, ScriptError, Scripts, SpamSettings, Trace, cache::Cache};
use crate::mail::{Address, ReversePath};
use crate::message::Message;

/// Bytes that a compiled script takes for each of its text, about, without its regular expressions.
const BYTES_PER_BYTE: usize = 16;

/// The limits of evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What evaluates scripts.
    pub engine: EngineKind,
    /// Characters each of which may stand between user and detail (RFC 5233).
    pub delimiters: String,
    /// Redirects of one message by all its scripts; one more is a run-time error.
    pub max_redirects: usize,
    /// Actions of one script; one more is a run-time error.
    pub max_actions: usize,
    /// Bytes of a variable's value; what is longer is cut (RFC 5229 §6).
    pub max_variable_size: usize,
    /// Variables of one script.
    pub max_variables: usize,
    /// MIME parts that one run looks at.
    pub max_parts: usize,
    /// How long a script may run.
    pub run_time: Duration,
    /// How much processor time the scripts of one account may take within a minute.
    pub user_time: Duration,
    /// Which programs of the site scripts may run.
    pub programs: Programs,
    /// What separates the levels of mailbox names in scripts, for names that are known when a script is compiled.
    pub separator: char,
    /// Where spam and virus scores come from (RFC 5235).
    pub spam: SpamSettings,
    /// What scripts may do to the header (RFC 5293 §6).
    pub editheader: EditHeaderRules,
    /// Instructions of one script, those of its includes counted with it.
    pub max_instructions: usize,
    /// Scripts that include one another (RFC 6609 §3.2).
    pub max_include_depth: usize,
    /// Bytes of one script.
    pub max_script_size: usize,
    /// Compiled scripts kept in memory, about 35 KB each without regular expressions.
    pub cached_scripts: usize,
    /// Bytes of memory that they may take together, about: the one used last is kept whatever it takes.
    pub cached_bytes: usize,
    /// Days of `vacation` without `:days` or `:seconds` (RFC 5230 §4.1).
    pub vacation_default_days: u64,
    /// The most days of `vacation`; more is taken for this.
    pub vacation_max_days: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            engine: EngineKind::Postroom,
            delimiters: "+".to_owned(),
            max_actions: 64,
            max_variable_size: 64 * 1024,
            max_variables: 200,
            max_parts: 1000,
            run_time: Duration::from_secs(10),
            user_time: Duration::from_secs(30),
            programs: Programs::default(),
            separator: '.',
            spam: SpamSettings::default(),
            editheader: EditHeaderRules::default(),
            max_redirects: 4,
            max_instructions: 100_000,
            max_include_depth: 10,
            max_script_size: 1 << 20,
            cached_scripts: 256,
            cached_bytes: 64 << 20,
            vacation_default_days: 7,
            vacation_max_days: 365,
        }
    }
}

/// Which header fields scripts may add and delete (RFC 5293 §6), by name and without regard to case. Subject is
/// always theirs to change; Received and Auto-Submitted are never deleted. What is not allowed is not done, and is
/// no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditHeaderRules {
    /// Fields that are neither added nor deleted.
    pub protected: Vec<String>,
    /// Fields that are not added.
    pub forbid_add: Vec<String>,
    /// Fields that are not deleted.
    pub forbid_delete: Vec<String>,
    /// Bytes of a field that is added, once it is encoded; more is a run-time error. At least 998.
    pub max_header_size: usize,
}

impl Default for EditHeaderRules {
    fn default() -> EditHeaderRules {
        EditHeaderRules {
            protected: Vec::new(),
            forbid_add: Vec::new(),
            forbid_delete: Vec::new(),
            max_header_size: 8 * 1024,
        }
    }
}

/// Which of the extensions that run the site's programs there are; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// `vnd.dovecot.pipe`
    pub pipe: bool,
    /// `vnd.dovecot.filter`
    pub filter: bool,
    /// `vnd.dovecot.execute`
    pub execute: bool,
}

/// What evaluates scripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// Our own engine.
    #[default]
    Postroom,
    /// The crate sieve-rs, where the library is built with it; without it nothing compiles.
    SieveRs,
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
    /// The account's name: its scripts share a budget of processor time.
    pub user: &'a str,
    /// How the message came.
    pub transport: Transport<'a>,
}

/// What scripts can ask about the way a message came: RFC 5183, RFC 6009.
#[derive(Clone, Copy, Debug, Default)]
pub struct Transport<'a> {
    /// The peer's address, for `environment "remote-ip"`.
    pub remote_ip: Option<IpAddr>,
    /// The peer's name as it gave it, for `environment "remote-host"`.
    pub remote_host: Option<&'a str>,
    /// NOTIFY of the recipient (RFC 3461 §4.1).
    pub notify: Option<&'a str>,
    /// ORCPT of the recipient (RFC 3461 §4.2), `rfc822;` and an address; decoded from xtext (RFC 6009 §3).
    pub orcpt: Option<&'a str>,
    /// RET (RFC 3461 §4.3).
    pub ret: Option<&'a str>,
    /// ENVID (RFC 3461 §4.4); decoded from xtext (RFC 6009 §3).
    pub envid: Option<&'a str>,
    /// BY (RFC 2852), as it was given.
    pub by: Option<&'a str>,
}

/// One script that is to run, and all it may look at.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) script: &'a Script,
    /// The internal variable of RFC 5232, as the script before left it.
    pub(super) flags: &'a [String],
    /// The message as the script before left it; none where it is the one that came.
    pub(super) edition: Option<&'a Message>,
    pub(super) incoming: &'a Incoming<'a>,
    pub(super) account: &'a dyn Account,
    pub(super) options: &'a Options,
    /// Compiles an included script.
    pub(super) compile: &'a dyn Fn(&Script) -> Result<Arc<Compiled>, ScriptError>,
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
    /// `report` was executed, but no report goes to this address.
    NoReport(Address, NoReport),
    /// What a script says for the log.
    Remark(String),
}

/// Why a report is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReport {
    /// It would come back to the account.
    OwnAddress,
    /// The message is a report itself: two who report to each other would never end.
    IsReport,
}

impl fmt::Display for NoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoReport::OwnAddress => "it is an own address",
            NoReport::IsReport => "the message is a report itself",
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::RedirectToSelf(address) => write!(f, "redirect to {address} kept: it is an own address"),
            Note::NoReply(why) => write!(f, "no vacation reply: {why}"),
            Note::NoReport(address, why) => write!(f, "no report to {address}: {why}"),
            Note::Remark(text) => f.write_str(text),
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
    /// What was tested and done, where [`Engine::trace`] ran the scripts.
    pub trace: Option<Trace>,
}

/// Evaluates scripts; shared by all threads.
#[derive(Debug)]
pub struct Engine {
    options: Options,
    evaluator: Evaluator,
    cache: Cache<Arc<Compiled>>,
    budget: Budget,
}

impl Engine {
    /// An engine with those limits and an empty cache.
    #[must_use]
    pub fn new(options: Options) -> Engine {
        Engine {
            evaluator: Evaluator::new(&options),
            cache: Cache::new(options.cached_scripts, options.cached_bytes),
            budget: Budget::default(),
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

    /// The extensions that scripts may require, by name.
    #[must_use]
    pub fn extensions(&self) -> Vec<&'static str> {
        self.evaluator.extensions()
    }

    /// Checks a script without running it: all its errors, and what looks wrong in it.
    #[must_use]
    pub fn check(&self, script: &Script) -> Checked {
        let told = |faults: Vec<Fault>| faults.into_iter().map(|fault| fault.of(script, ErrorKind::Compile));
        match self.compiled(&script.source) {
            Ok(compiled) => Checked {
                errors: Vec::new(),
                warnings: told(compiled.warnings().to_vec()).collect(),
            },
            Err(faults) => Checked {
                errors: told(faults).collect(),
                warnings: Vec::new(),
            },
        }
    }

    /// Runs the scripts in order. A script runs only if the one before it kept the
    /// message, implicitly or by `keep`; where it is kept is decided by the last one
    /// that runs. A script that fails ends the sequence with a keep (DESIGN.md,
    /// invariant 7).
    #[must_use]
    pub fn run(&self, scripts: &Scripts, incoming: &Incoming<'_>, account: &dyn Account) -> Evaluation {
        self.evaluate(scripts, incoming, account, false)
    }

    /// The same, noting every test and action on the way.
    #[must_use]
    pub fn trace(&self, scripts: &Scripts, incoming: &Incoming<'_>, account: &dyn Account) -> Evaluation {
        self.evaluate(scripts, incoming, account, true)
    }

    fn evaluate(&self, scripts: &Scripts, incoming: &Incoming<'_>, account: &dyn Account, tracing: bool) -> Evaluation {
        let mut trace = tracing.then(Trace::default);
        let mut merged = Merged::default();
        for script in scripts.sequence() {
            match self.run_one(script, incoming, account, &merged, trace.as_mut()) {
                Ok(collected) => merged.add(collected),
                Err(error) => {
                    let evaluation = merged.fail(error);
                    return Evaluation { trace, ..evaluation };
                }
            }
            if !merged.keeps() {
                break;
            }
        }
        Evaluation {
            trace,
            ..merged.finish()
        }
    }

    fn run_one(
        &self,
        script: &Script,
        incoming: &Incoming<'_>,
        account: &dyn Account,
        before: &Merged,
        trace: Option<&mut Trace>,
    ) -> Result<Collected, ScriptError> {
        let (user, limit) = (incoming.user, self.options.user_time);
        if self.budget.is_spent(user, limit) {
            let seconds = limit.as_secs();
            let message = format!("the scripts of {user} took more than {seconds} s of processor time within a minute");
            return Err(Fault::new(None, message).of(script, ErrorKind::Runtime));
        }
        let compiled = self.compile(script)?;
        let task = Task {
            script,
            flags: before.flags(),
            edition: before.edition(),
            incoming,
            account,
            options: &self.options,
            compile: &|script: &Script| self.compile(script),
        };
        let meter = Meter::start();
        let ran = self.evaluator.run(&task, &compiled, trace);
        self.budget.add(user, meter.taken());
        let ran = ran?;
        collect(ran, &self.options, incoming, before).map_err(|refused| refused_by(script, refused))
    }

    fn compile(&self, script: &Script) -> Result<Arc<Compiled>, ScriptError> {
        let first = |faults: Vec<Fault>| {
            faults
                .into_iter()
                .next()
                .unwrap_or_else(|| Fault::new(None, "it is broken"))
        };
        self.compiled(&script.source)
            .map_err(|faults| first(faults).of(script, ErrorKind::Compile))
    }

    fn compiled(&self, source: &[u8]) -> Result<Arc<Compiled>, Vec<Fault>> {
        let limit = self.options.max_script_size;
        if source.len() > limit {
            let message = format!("the script is larger than {limit} bytes");
            return Err(vec![Fault::new(None, message)]);
        }
        let compile = || self.evaluator.compile(source).map(Arc::new);
        let size = |made: &Result<Arc<Compiled>, Vec<Fault>>| {
            let expressions = made.as_ref().map_or(0, |compiled| compiled.expressions());
            source.len().saturating_mul(BYTES_PER_BYTE) + expressions
        };
        self.cache.find_or_insert(source, compile, size)
    }
}

fn refused_by(script: &Script, refused: Refused) -> ScriptError {
    let Some(origin) = refused.origin else {
        return Fault::new(None, refused.message).of(script, ErrorKind::Runtime);
    };
    let place = |line| Place {
        line,
        column: 1,
        length: 1,
    };
    let fault = Fault::new(origin.line.map(place), refused.message);
    let named = Script::new(&*origin.script, Arc::clone(&script.source));
    let error = fault.of(&named, ErrorKind::Runtime);
    // Of an included script the text is not at hand.
    let known = *origin.script == *script.name;
    ScriptError {
        excerpt: error.excerpt.filter(|_| known),
        ..error
    }
}
