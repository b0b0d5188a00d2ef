//! One run of a script: its variables, its limits, what it executed, and the trace of it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use super::matching::Value;
use super::parts::PartLoop;
use super::program::{Block, Condition, Execute, Flow, Program, Statement};
use super::subject::Subject;
use super::text::MATCHES_MAX;
use crate::sieve::engine::{Options, Task};
use crate::sieve::error::{Fault, Place};
use crate::sieve::step::{Executed, Ran, Step};
use crate::sieve::trace::{self, Trace, TraceEvent, TraceLine};
use crate::sieve::{Account, ErrorKind, Incoming, Location, Origin, Script, ScriptError, ScriptName};

/// Bytes that are looked at for one instruction.
const BYTES_PER_INSTRUCTION: usize = 4096;
/// Instructions between two looks at the clock.
const CLOCK_EVERY: usize = 64;

/// Why a script does not run on.
#[derive(Debug)]
pub(super) enum Stop {
    /// An error of the command or test at hand.
    Error {
        message: String,
        /// Of the innermost test or command, once it is known.
        place: Option<Place>,
    },
    /// The same, with script and place.
    Failed(Box<ScriptError>),
}

impl Stop {
    pub(super) fn error(message: impl Into<String>) -> Stop {
        Stop::Error {
            message: message.into(),
            place: None,
        }
    }

    fn at(self, here: Place) -> Stop {
        match self {
            Stop::Error { message, place } => Stop::Error {
                message,
                place: place.or(Some(here)),
            },
            failed @ Stop::Failed(_) => failed,
        }
    }
}

/// A script that is running.
pub(super) struct Run<'a> {
    pub(super) task: &'a Task<'a>,
    pub(super) subject: Subject<'a>,
    /// The internal variable of RFC 5232 §2.
    pub(super) flags: Vec<String>,
    /// When it began: the same for all its tests (RFC 5260 §5).
    pub(super) now: jiff::Timestamp,
    /// The MIME parts looked at so far.
    pub(super) parts: usize,
    /// The `foreverypart` loops that run, the innermost last (RFC 5703 §3).
    pub(super) loops: Vec<PartLoop>,
    /// Scripts that ran, for `include :once` (RFC 6609 §3.2).
    pub(super) included: HashSet<(Location, ScriptName)>,
    /// Scripts within one another.
    pub(super) depth: usize,
    steps: Vec<Executed>,
    globals: HashMap<Box<str>, String>,
    matches: Vec<String>,
    frame: Frame,
    here: Place,
    instructions: usize,
    began: Instant,
    trace: Option<&'a mut Trace>,
    trace_depth: u32,
    values_noted: usize,
}

/// What belongs to one script, an included one too.
struct Frame {
    script: Script,
    name: Arc<str>,
    source: Arc<str>,
    captures: bool,
    variables: HashMap<Box<str>, String>,
    /// Names that mean global variables (RFC 6609 §3.4).
    global_names: HashSet<Box<str>>,
}

impl Frame {
    fn new(script: &Script, program: &Program) -> Frame {
        Frame {
            script: script.clone(),
            name: script.name.as_str().into(),
            source: Arc::clone(&program.source),
            captures: program.captures,
            variables: HashMap::new(),
            global_names: HashSet::new(),
        }
    }
}

impl Program {
    /// Runs the script.
    ///
    /// # Errors
    /// What stopped it, with its place.
    pub(in crate::sieve) fn run(&self, task: &Task<'_>, trace: Option<&mut Trace>) -> Result<Ran, ScriptError> {
        let mut run = Run {
            task,
            subject: Subject::new(task.incoming.message, task.edition),
            flags: task.flags.to_vec(),
            now: jiff::Timestamp::now(),
            parts: 0,
            loops: Vec::new(),
            included: HashSet::new(),
            depth: 0,
            steps: Vec::new(),
            globals: HashMap::new(),
            matches: Vec::new(),
            frame: Frame::new(task.script, self),
            here: Place::default(),
            instructions: 0,
            began: Instant::now(),
            trace,
            trace_depth: 0,
            values_noted: 0,
        };
        run.note(|| format!("script {}", task.script.name));
        let ended = run.block(&self.block).map(drop).and_then(|()| run.subject.edition());
        match ended {
            Ok(edition) => Ok(Ran {
                steps: run.steps,
                flags: run.flags,
                edition,
            }),
            Err(stop) => {
                let error = run.failed(stop);
                run.note(|| format!("the script stops: {}", error.message));
                Err(error)
            }
        }
    }
}

impl<'a> Run<'a> {
    pub(super) fn incoming(&self) -> &'a Incoming<'a> {
        self.task.incoming
    }

    pub(super) fn account(&self) -> &'a dyn Account {
        self.task.account
    }

    pub(super) fn options(&self) -> &'a Options {
        self.task.options
    }

    /// Runs commands until one of them says otherwise.
    pub(super) fn block(&mut self, block: &Block) -> Result<Flow, Stop> {
        for statement in &block.0 {
            match self.statement(statement)? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &Statement) -> Result<Flow, Stop> {
        self.here = statement.place;
        let ran = self.spend(1).and_then(|()| {
            if self.trace.is_some() && statement.does.is_traced() {
                let text = self.source_text(statement.extent);
                self.trace_line(statement.place.line, TraceEvent::Command(text));
            }
            self.trace_depth += 1;
            let flow = statement.does.execute(self);
            self.trace_depth -= 1;
            flow
        });
        ran.map_err(|stop| Stop::Failed(Box::new(self.failed(stop.at(statement.place)))))
    }

    /// Asks a test.
    pub(super) fn check(&mut self, condition: &Condition) -> Result<bool, Stop> {
        self.spend(1).map_err(|stop| stop.at(condition.place))?;
        if self.trace.is_none() {
            return condition.test.test(self).map_err(|stop| stop.at(condition.place));
        }
        let line = condition.place.line;
        let text = self.source_text(condition.extent);
        self.trace_line(line, TraceEvent::Test(text));
        let outer = std::mem::replace(&mut self.here, condition.place);
        self.values_noted = 0;
        self.trace_depth += 1;
        let answer = condition.test.test(self).map_err(|stop| stop.at(condition.place));
        self.here = outer;
        if let Ok(answer) = answer {
            self.trace_line(line, TraceEvent::Result(answer));
        }
        self.trace_depth -= 1;
        answer
    }

    /// Counts instructions.
    ///
    /// # Errors
    /// Where the script has taken too many, or too long.
    pub(super) fn spend(&mut self, instructions: usize) -> Result<(), Stop> {
        let before = self.instructions;
        self.instructions = before.saturating_add(instructions);
        let limit = self.options().max_instructions;
        if self.instructions > limit {
            return Err(Stop::error(format!("the script takes more than {limit} instructions")));
        }
        if before / CLOCK_EVERY != self.instructions / CLOCK_EVERY && self.began.elapsed() > self.options().run_time {
            let limit = self.options().run_time.as_secs();
            return Err(Stop::error(format!("the script takes longer than {limit} seconds")));
        }
        Ok(())
    }

    /// Counts the work of comparing so many bytes with so many keys.
    ///
    /// # Errors
    /// As [`Run::spend`].
    pub(super) fn work(&mut self, bytes: usize, keys: usize) -> Result<(), Stop> {
        self.spend((bytes / BYTES_PER_INSTRUCTION + 1).saturating_mul(keys))
    }

    /// Notes an executed action.
    ///
    /// # Errors
    /// Where there are too many, or the changed message cannot be read.
    pub(super) fn act(&mut self, step: Step) -> Result<(), Stop> {
        let limit = self.options().max_actions;
        if self.steps.len() >= limit {
            return Err(Stop::error(format!("a script may execute at most {limit} actions")));
        }
        if self.subject.is_apart() {
            self.work(usize::try_from(self.subject.size()).unwrap_or(usize::MAX), 1)?;
        }
        // RFC 5293 §7: what is refused is the message that came; so is what is reported (RFC 5965 §2). RFC 5703 §6: an
        // enclosure does not affect what is redirected, nor who is answered.
        let edition = match &step {
            Step::Reject { .. } | Step::Report { .. } => None,
            Step::Redirect { .. } | Step::Vacation(_) | Step::Notify { .. } => self.subject.open_edition()?,
            _ => self.subject.edition()?,
        };
        let executed = Executed {
            step,
            origin: Origin {
                script: Arc::clone(&self.frame.name),
                line: Some(self.here.line),
            },
            edition,
        };
        self.steps.push(executed);
        Ok(())
    }

    /// Whether an action was executed already.
    pub(super) fn has_step(&self, is: impl Fn(&Step) -> bool) -> bool {
        self.steps.iter().any(|executed| is(&executed.step))
    }

    /// A variable's value, empty where it was never set (RFC 5229 §3).
    pub(super) fn variable(&self, name: &str) -> &str {
        let found = match self.global_name(name) {
            Some(global) => self.globals.get(global),
            None => self.frame.variables.get(name),
        };
        found.map_or("", String::as_str)
    }

    /// Sets a variable.
    ///
    /// # Errors
    /// Where there are too many.
    pub(super) fn set_variable(&mut self, name: &str, mut value: String) -> Result<(), Stop> {
        let limit = self.options().max_variable_size;
        if value.len() > limit {
            // RFC 5229 §6: what is longer than the limit is truncated.
            value.truncate(value.floor_char_boundary(limit));
            self.note(|| format!("the value of {name} is cut to {limit} bytes"));
        }
        self.note(|| format!("{name} = \"{}\"", trace::shown(&value)));
        let global = self.global_name(name).map(Box::from);
        let most = self.options().max_variables;
        let (variables, name) = match &global {
            Some(global) => (&mut self.globals, &**global),
            None => (&mut self.frame.variables, name),
        };
        if let Some(known) = variables.get_mut(name) {
            *known = value;
            return Ok(());
        }
        if variables.len() >= most {
            return Err(Stop::error(format!("a script may set at most {most} variables")));
        }
        variables.insert(name.into(), value);
        Ok(())
    }

    // The name of a global variable without its namespace; none for a script's own.
    fn global_name<'n>(&self, name: &'n str) -> Option<&'n str> {
        match name.strip_prefix("global.") {
            Some(global) => Some(global),
            None => self.frame.global_names.contains(name).then_some(name),
        }
    }

    /// From now on this name means the global variable (RFC 6609 §3.4).
    pub(super) fn declare_global(&mut self, name: &str) {
        self.frame.global_names.insert(name.into());
    }

    /// Whether tests set match variables.
    pub(super) fn captures(&self) -> bool {
        self.frame.captures
    }

    /// `${0}` and so on (RFC 5229 §3.2).
    pub(super) fn match_variable(&self, index: usize) -> &str {
        self.matches.get(index).map_or("", String::as_str)
    }

    pub(super) fn set_matches(&mut self, mut matches: Vec<String>) {
        matches.truncate(MATCHES_MAX + 1);
        self.matches = matches;
    }

    /// Whether an external list holds a value (RFC 6134).
    ///
    /// # Errors
    /// Where there is no such list, or it cannot be read.
    pub(super) fn list_contains(&mut self, list: &str, value: &str) -> Result<bool, Stop> {
        match self.account().list_contains(list, value) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(Stop::error(format!("there is no list \"{list}\""))),
            Err(error) => Err(Stop::error(format!("cannot read the list \"{list}\": {error}"))),
        }
    }

    /// Runs another script within this one, with variables of its own (RFC 6609 §3.1).
    ///
    /// # Errors
    /// Its error.
    pub(super) fn nested(&mut self, script: &Script, program: &Program) -> Result<Flow, Stop> {
        let outer = std::mem::replace(&mut self.frame, Frame::new(script, program));
        let here = self.here;
        self.depth += 1;
        self.note(|| format!("script {}", script.name));
        let flow = self.block(&program.block);
        self.depth -= 1;
        self.frame = outer;
        self.here = here;
        flow
    }

    /// Notes something in the trace.
    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        if self.trace.is_some() {
            let text = text();
            self.trace_line(self.here.line.max(1), TraceEvent::Note(text));
        }
    }

    /// Notes in the trace what a value was compared with.
    pub(super) fn note_value(&mut self, of: &str, value: &Value, matched: Option<&str>) {
        if self.trace.is_none() {
            return;
        }
        self.values_noted += 1;
        if self.values_noted > trace::VALUES_MAX && matched.is_none() {
            return;
        }
        let event = TraceEvent::Value {
            of: of.to_owned(),
            value: trace::shown(value),
            matched: matched.map(trace::shown),
        };
        self.trace_line(self.here.line, event);
    }

    fn trace_line(&mut self, line: u32, event: TraceEvent) {
        if let Some(trace) = &mut self.trace {
            trace.push(TraceLine {
                script: Arc::clone(&self.frame.name),
                line,
                depth: self.trace_depth,
                event,
            });
        }
    }

    fn source_text(&self, (start, end): (u32, u32)) -> String {
        let offset = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        let text = self.frame.source.get(offset(start)..offset(end)).unwrap_or_default();
        let words: Cow<'_, str> = match text.contains(['\n', '\t']) {
            true => text.split_whitespace().collect::<Vec<_>>().join(" ").into(),
            false => text.into(),
        };
        trace::shown(&words)
    }

    fn failed(&self, stop: Stop) -> ScriptError {
        match stop {
            Stop::Failed(error) => *error,
            Stop::Error { message, place } => Fault::new(place, message).of(&self.frame.script, ErrorKind::Runtime),
        }
    }

    /// An item of the environment (RFC 5183); none where it is not known.
    pub(super) fn environment_item(&self, item: &str) -> Option<String> {
        super::environment::item(self, item)
    }
}

/// What runs a command that holds others without being one itself.
impl Execute for Block {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        run.block(self)
    }

    fn is_traced(&self) -> bool {
        false
    }
}
