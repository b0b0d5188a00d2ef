//! One run of one script: answers the questions of sieve-rs, and turns what the printed
//! script does back into steps.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sieve::runtime::{RuntimeError, Variable};
use sieve::{Context, Envelope, Event, Input, Mailbox};

use super::print::{DETAIL_ITEM, SIZE_ITEM, UNKNOWN, USER_ITEM};
use super::{Compiled, Evaluator};
use crate::mail::MailboxName;
use crate::sieve::engine::Task;
use crate::sieve::error::Fault;
use crate::sieve::evaluator::Compiled as AnyCompiled;
use crate::sieve::step::{Executed, Ran, Step, VacationStep};
use crate::sieve::{ErrorKind, Incoming, Location, Origin, Period, RedirectDsn, ScriptError, ScriptName};

/// The internal variable of RFC 5232, by the name that sieve-rs gives it.
const FLAGS: &str = "__flags";

pub(super) struct Run<'a> {
    pub(super) evaluator: &'a Evaluator,
    pub(super) task: Task<'a>,
    pub(super) compiled: &'a Compiled,
}

/// Why an attempt did not end in [`Ran`].
enum Stop {
    /// An included script looks into the body.
    NeedsWhole,
    Failed(ScriptError),
}

impl Run<'_> {
    /// Runs the script on the header, and on the whole message only where a script looks
    /// into it: a message need not be in memory to be filed by its fields.
    pub(super) fn run(self) -> Result<Ran, ScriptError> {
        // A message that its parser does not survive has no body for a script.
        let may_be_whole = self.task.incoming.message.safe_for_parsers();
        let mut whole = may_be_whole && self.compiled.needs_whole();
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.attempt(whole, may_be_whole))) {
                Ok(Ok(ran)) => return Ok(ran),
                Ok(Err(Stop::NeedsWhole)) => whole = true,
                Ok(Err(Stop::Failed(error))) => return Err(error),
                Err(_) => return Err(self.error("the Sieve engine failed while running this script")),
            }
        }
    }

    fn error(&self, message: impl Into<String>) -> ScriptError {
        Fault::new(None, message).of(self.task.script, ErrorKind::Runtime)
    }

    fn attempt(&self, whole: bool, may_be_whole: bool) -> Result<Ran, Stop> {
        let bytes = self.bytes(whole, may_be_whole)?;
        let mut context = self.context(&bytes);
        let mut steps = Steps::new(&self.evaluator.mark);
        let mut included = false;
        let mut input = Input::script(self.task.script.name.as_str(), self.compiled.sieve.clone());
        while let Some(result) = context.run(input) {
            let event = result.map_err(|error| Stop::Failed(self.runtime_error(&error, included)))?;
            input = match event {
                Event::IncludeScript { name, optional } => {
                    included = true;
                    self.include(name, optional, may_be_whole && !whole)?
                }
                Event::MailboxExists { mailboxes, special_use } => {
                    Input::from(special_use.is_empty() && mailboxes.iter().all(|mailbox| self.exists(mailbox)))
                }
                Event::DuplicateId { id, expiry, last } => {
                    let seen = self.task.account.seen(&id);
                    steps.remember(seen, id, expiry, last);
                    Input::from(seen)
                }
                Event::ListContains { .. } => Input::False,
                Event::FileInto {
                    folder,
                    flags,
                    mailbox_id,
                    ..
                } => {
                    steps
                        .action(mailbox_id.as_deref().unwrap_or_default(), folder, flags)
                        .map_err(|message| Stop::Failed(self.error(message)))?;
                    Input::False
                }
                // The printed script cancels no implicit keep: this is the end.
                Event::Keep { flags, .. } => {
                    return Ok(Ran {
                        steps: self.executed(steps.steps),
                        flags,
                        edition: None,
                    });
                }
                _ => {
                    let message = "the script does what is not supported: it changes the message or its envelope";
                    return Err(Stop::Failed(self.error(message)));
                }
            };
        }
        Err(Stop::Failed(
            self.error("the Sieve engine did not run this script to its end"),
        ))
    }

    fn executed(&self, steps: Vec<Step>) -> Vec<Executed> {
        let origin = Origin {
            script: self.task.script.name.as_str().into(),
            line: None,
        };
        let executed = |step| Executed {
            step,
            origin: origin.clone(),
            edition: None,
        };
        steps.into_iter().map(executed).collect()
    }

    fn bytes(&self, whole: bool, safe: bool) -> Result<Cow<'_, [u8]>, Stop> {
        let message = self.task.incoming.message;
        if whole {
            return message
                .bytes()
                .map_err(|error| Stop::Failed(self.error(format!("cannot read the message: {error}"))));
        }
        if !safe {
            return Ok(Cow::Owned(message.tamed_header()));
        }
        let mut header = message.header().bytes().to_vec();
        header.extend_from_slice(b"\r\n");
        Ok(Cow::Owned(header))
    }

    fn context<'x>(&'x self, bytes: &'x [u8]) -> Context<'x> {
        let incoming = self.task.incoming;
        let mut envelope = vec![
            (Envelope::From, Variable::from(incoming.reverse_path.to_string())),
            (Envelope::To, Variable::from(incoming.recipient.to_string())),
        ];
        if let Some(original) = incoming.original {
            envelope.push((Envelope::Orcpt, Variable::from(original.to_string())));
        }
        let size = i64::try_from(incoming.message.size()).unwrap_or(i64::MAX);
        let context = self
            .evaluator
            .runtime
            .filter(bytes)
            .with_envelope_list(envelope)
            .with_env_variable(SIZE_ITEM, Variable::from(size))
            .with_env_variable(USER_ITEM, user_part(incoming).to_owned())
            .with_env_variable(DETAIL_ITEM, incoming.detail.unwrap_or_default().to_owned())
            .with_env_variable("host", incoming.hostname.to_owned())
            .with_env_variable("domain", incoming.recipient.domain().to_owned());
        if self.task.flags.is_empty() {
            return context;
        }
        context.with_global_variable(FLAGS, self.task.flags.join(" "))
    }

    fn exists(&self, mailbox: &Mailbox) -> bool {
        let Mailbox::Name(name) = mailbox else { return false };
        MailboxName::parse(name, self.task.incoming.separator)
            .is_ok_and(|name| name.is_inbox() || self.task.account.mailbox_exists(&name))
    }

    // RFC 6609 §3.2
    fn include(&self, name: sieve::Script, optional: bool, header_only: bool) -> Result<Input, Stop> {
        let location = match name {
            sieve::Script::Personal(_) => Location::Personal,
            sieve::Script::Global(_) => Location::Global,
        };
        let failed = |message| Stop::Failed(self.error(message));
        let checked = ScriptName::parse(name.as_str()).map_err(|error| failed(format!("include: {error}")))?;
        let found = self
            .task
            .account
            .include(location, &checked)
            .map_err(|error| failed(format!("include: cannot read {:?}: {error}", name.as_str())))?;
        let Some(script) = found else {
            if optional {
                return Ok(Input::False);
            }
            return Err(failed(format!("include: there is no script {:?}", name.as_str())));
        };
        let compiled = (self.task.compile)(&script).map_err(Stop::Failed)?;
        let AnyCompiled::SieveRs(compiled) = &*compiled else {
            return Err(failed("include: it is not for this engine".to_owned()));
        };
        if header_only && compiled.needs_whole() {
            return Err(Stop::NeedsWhole);
        }
        Ok(Input::script(name, compiled.sieve.clone()))
    }

    fn runtime_error(&self, error: &RuntimeError, included: bool) -> ScriptError {
        let mut place = None;
        let message = match error {
            RuntimeError::TooManyIncludes => {
                let depth = self.evaluator.max_include_depth;
                format!("scripts include one another more than {depth} deep")
            }
            RuntimeError::CPULimitReached => {
                let limit = self.evaluator.max_instructions;
                format!("the script takes more than {limit} instructions")
            }
            RuntimeError::ScriptErrorMessage(message) => message.clone(),
            RuntimeError::InvalidInstruction(invalid) => {
                place = self.compiled.printed.place(invalid.line_num()).filter(|_| !included);
                let name = invalid.name();
                format!("{:?} is not known here", name.strip_prefix(UNKNOWN).unwrap_or(name))
            }
            RuntimeError::CapabilityNotAllowed(capability) => {
                format!("the extension \"{capability}\" is not supported")
            }
            RuntimeError::CapabilityNotSupported(name) => format!("the extension {name:?} is not supported"),
        };
        Fault::new(place, message).of(self.task.script, ErrorKind::Runtime)
    }
}

// The local part less the detail and the one character before it.
fn user_part<'a>(incoming: &Incoming<'a>) -> &'a str {
    let local = incoming.recipient.local();
    let without = incoming.detail.and_then(|detail| local.strip_suffix(detail));
    let Some(without) = without else { return local };
    let mut characters = without.chars();
    characters.next_back();
    characters.as_str()
}

/// The steps so far, and the arguments that came ahead of a command.
struct Steps<'a> {
    mark: &'a str,
    steps: Vec<Step>,
    vacation: VacationStep,
    importance: Option<String>,
    message: String,
}

impl<'a> Steps<'a> {
    fn new(mark: &'a str) -> Steps<'a> {
        Steps {
            mark,
            steps: Vec::new(),
            vacation: VacationStep::default(),
            importance: None,
            message: String::new(),
        }
    }

    // RFC 7352 §3: an id is remembered when it is new, with :last also when it is not.
    fn remember(&mut self, seen: bool, id: String, seconds: u64, last: bool) {
        if !seen || last {
            self.steps.push(Step::Remember { id, seconds });
        }
    }

    fn action(&mut self, mailbox_id: &str, text: String, flags: Vec<String>) -> Result<(), String> {
        let kind = mailbox_id
            .strip_prefix(self.mark)
            .and_then(|rest| rest.strip_prefix(':'))
            .ok_or("the Sieve engine did something the script does not say")?;
        let (kind, detail) = kind.split_once(':').unwrap_or((kind, ""));
        let has = |word: &str| detail.split(':').any(|part| part == word);
        match kind {
            "keep" => self.steps.push(Step::Keep { flags }),
            "discard" => self.steps.push(Step::Discard),
            "fileinto" => self.steps.push(Step::FileInto {
                mailbox: text,
                flags,
                copy: has("copy"),
                create: has("create"),
                special_use: None,
            }),
            "redirect" => self.steps.push(Step::Redirect {
                address: text,
                copy: has("copy"),
                dsn: RedirectDsn::default(),
            }),
            "reject" | "ereject" => self.steps.push(Step::Reject {
                reason: text,
                ereject: kind == "ereject",
            }),
            "vacation" => self.vacation(text, detail),
            "notify" => {
                let step = Step::Notify {
                    method: text,
                    from: None,
                    options: Vec::new(),
                    fcc: None,
                    message: std::mem::take(&mut self.message),
                    importance: self.importance.take(),
                };
                self.steps.push(step);
            }
            "notify.importance" => self.importance = Some(text),
            "notify.message" => self.message = text,
            _ => self.vacation_argument(kind, detail, text),
        }
        Ok(())
    }

    fn vacation(&mut self, reason: String, hash: &str) {
        let mut step = std::mem::take(&mut self.vacation);
        step.reason = reason;
        if step.handle.is_empty() {
            step.handle = hash.to_owned();
        }
        self.steps.push(Step::Vacation(step));
    }

    fn vacation_argument(&mut self, kind: &str, detail: &str, text: String) {
        let step = &mut self.vacation;
        match kind {
            "vacation.days" => step.period = detail.parse().ok().map(Period::Days),
            "vacation.seconds" => step.period = detail.parse().ok().map(Period::Seconds),
            "vacation.mime" => step.mime = true,
            "vacation.subject" => step.subject = Some(text),
            "vacation.from" => step.from = Some(text),
            "vacation.handle" => step.handle = text,
            "vacation.address" => step.addresses.push(text),
            _ => {}
        }
    }
}
