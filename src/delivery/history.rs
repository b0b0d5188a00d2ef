//! What is written down of a delivery: what its scripts wanted, and what came of it.
//!
//! Whoever carries the plan out says each time, in a line, how an action ended. What is published is written
//! down with it; the rest when the delivery ends, or when its errands do. Nothing of this can fail a delivery.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::mail::{Cause, Deferral, MailboxName, Outcome, Refusal};
use crate::message::kept_id;
use crate::sieve::{Action, Evaluation, FolderError, Note, Origin, Plan};
use crate::store::{Account, ActionKind, ActionResult, Ending, PastAction, PastDelivery, Record, Target};

use super::Delivery;

/// The user's active script: a link to one that has a name.
const ACTIVE: &str = ".dovecot.sieve";

/// What one delivery has done so far.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    actions: RefCell<Vec<Noted>>,
    begun: Cell<bool>,
}

#[derive(Debug)]
struct Noted {
    action: PastAction,
    state: State,
}

/// How far an action is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is wanted.
    Wanted,
    /// An errand does it, and writes it down.
    Errand,
    /// It ended.
    Ended,
    /// That is written down.
    Written,
}

impl Chronicle {
    /// What the scripts want, and what they said.
    pub(super) fn evaluated(&self, delivery: &Delivery<'_>, evaluation: &Evaluation) {
        for note in &evaluation.notes {
            let (kind, target, reason) = match note {
                Note::NoReply(why) => (ActionKind::Vacation, None, Some(why.to_string())),
                Note::NoNotification => (ActionKind::Notify, None, Some("it was sent by a program".to_owned())),
                Note::RedirectToSelf(address) => (
                    ActionKind::Redirect,
                    Some(address.to_string()),
                    Some("it is an own address".to_owned()),
                ),
                Note::NoReport(address, why) => (ActionKind::Report, Some(address.to_string()), Some(why.to_string())),
                note => (ActionKind::Remark, Some(note.to_string()), None),
            };
            let result = match reason {
                Some(_) => ActionResult::Withheld,
                None => ActionResult::Done,
            };
            let done = PastAction::done(kind, target);
            self.ended(PastAction { result, reason, ..done });
        }
        if let Some(error) = &evaluation.error {
            self.ended(PastAction {
                script: Some(script(&error.script, &delivery.found.home)),
                line: error.line,
                result: ActionResult::Failed,
                ..PastAction::done(ActionKind::Error, Some(error.message.clone()))
            });
        }
        self.planned(delivery, &evaluation.plan);
    }

    /// A script cannot be read, so the message is kept.
    pub(super) fn unreadable(&self, delivery: &Delivery<'_>, error: &FolderError) {
        let failed = PastAction::done(ActionKind::Error, Some(Cause::of(error).to_string()));
        self.ended(PastAction {
            result: ActionResult::Failed,
            ..failed
        });
        self.planned(delivery, &Plan::keep());
    }

    fn planned(&self, delivery: &Delivery<'_>, plan: &Plan) {
        let home = &delivery.found.home;
        for planned in &plan.actions {
            let (kind, target) = wanted(&planned.action, delivery.keep_in);
            let wanted = PastAction {
                script: planned.origin.as_ref().map(|origin| script(&origin.script, home)),
                line: planned.origin.as_ref().and_then(|origin: &Origin| origin.line),
                ..PastAction::done(kind, target)
            };
            let state = match kind {
                ActionKind::Discard => State::Ended,
                _ => State::Wanted,
            };
            self.push(wanted, state);
        }
        if plan.actions.is_empty() {
            self.ended(PastAction::done(ActionKind::Discard, None));
        }
    }

    /// An action was done.
    pub(super) fn done(&self, kind: ActionKind, target: &str) {
        self.end(kind, target, ActionResult::Done, None);
    }

    /// An action could not be done.
    pub(super) fn failed(&self, kind: ActionKind, target: &str, why: &str) {
        self.end(kind, target, ActionResult::Failed, Some(why));
    }

    /// An action was not to be done.
    pub(super) fn withheld(&self, kind: ActionKind, target: &str, why: &str) {
        self.end(kind, target, ActionResult::Withheld, Some(why));
    }

    fn end(&self, kind: ActionKind, target: &str, result: ActionResult, why: Option<&str>) {
        let mut actions = self.actions.borrow_mut();
        let is_it = |noted: &&mut Noted| {
            noted.state == State::Wanted && noted.action.kind == kind && noted.action.target.as_deref() == Some(target)
        };
        let (reason, found) = (why.map(str::to_owned), actions.iter_mut().find(is_it));
        match found {
            Some(noted) => {
                (noted.action.result, noted.action.reason) = (result, reason);
                noted.state = State::Ended;
            }
            None => {
                let done = PastAction::done(kind, Some(target.to_owned()));
                let action = PastAction { result, reason, ..done };
                let state = State::Ended;
                actions.push(Noted { action, state });
            }
        }
    }

    /// What an errand is to write down once it is done: the next action of its kind.
    pub(super) fn for_errand(&self, kind: ActionKind) -> Option<PastAction> {
        let mut actions = self.actions.borrow_mut();
        let mut wanted = actions.iter_mut().filter(|noted| noted.state == State::Wanted);
        let noted = wanted.find(|noted| noted.action.kind == kind)?;
        noted.state = State::Errand;
        Some(noted.action.clone())
    }

    /// What is written down with a message that is published into these mailboxes.
    pub(super) fn for_publication(&self, delivery: &Delivery<'_>, targets: &[Target]) -> Option<Record> {
        for target in targets {
            let mut actions = self.actions.borrow_mut();
            let files = |noted: &&mut Noted| {
                let action = &noted.action;
                noted.state == State::Wanted
                    && action.kind.files()
                    && action.target.as_deref() == Some(target.mailbox.as_str())
            };
            match actions.iter_mut().find(files) {
                Some(noted) => noted.state = State::Ended,
                // Where it goes in place of what could not be done.
                None => actions.push(Noted {
                    action: PastAction::done(ActionKind::Keep, Some(target.mailbox.to_string())),
                    state: State::Ended,
                }),
            }
        }
        let actions = self.unwritten();
        Some(match self.begun.replace(true) {
            false => whole(delivery, Ending::Delivered, actions),
            true => more(delivery, actions),
        })
    }

    /// Writes down what is not written yet.
    pub(super) fn close(&self, delivery: &Delivery<'_>, outcome: &Outcome) {
        let record = match outcome {
            Outcome::Delivered {
                placements,
                again: false,
                ..
            } if !placements.is_empty() => match self.unwritten() {
                actions if actions.is_empty() => return,
                actions => more(delivery, actions),
            },
            Outcome::Delivered { id, again: true, .. } => whole(delivery, Ending::Before(id.to_string()), Vec::new()),
            Outcome::Delivered { .. } => {
                self.settle(|_| false);
                whole(delivery, Ending::Delivered, self.all())
            }
            Outcome::Refused(refusal) => {
                self.settle(|action| action.kind == ActionKind::Reject && matches!(refusal, Refusal::Rejected(_)));
                whole(delivery, Ending::Refused(refused(refusal)), self.all())
            }
            Outcome::Deferred(deferral) => {
                self.settle(|_| false);
                whole(delivery, Ending::Deferred(deferred(deferral)), self.all())
            }
        };
        write(delivery.account, &record);
    }

    // Of a delivery that published nothing: what is still wanted was done, or was not to be. A copy was not made.
    fn settle(&self, is_done: impl Fn(&PastAction) -> bool) {
        for noted in self.actions.borrow_mut().iter_mut() {
            let open = noted.state == State::Wanted && !is_done(&noted.action);
            let unfiled = noted.action.kind.files() && noted.action.result == ActionResult::Done;
            if open || unfiled {
                noted.action.result = ActionResult::Withheld;
            }
            if noted.state == State::Wanted {
                noted.state = State::Ended;
            }
        }
    }

    fn ended(&self, action: PastAction) {
        self.push(action, State::Ended);
    }

    fn push(&self, action: PastAction, state: State) {
        self.actions.borrow_mut().push(Noted { action, state });
    }

    fn unwritten(&self) -> Vec<PastAction> {
        self.take(|state| state == State::Ended)
    }

    // Of a publication that failed, what was to be written with it too.
    fn all(&self) -> Vec<PastAction> {
        self.take(|state| matches!(state, State::Ended | State::Written))
    }

    fn take(&self, is_wanted: impl Fn(State) -> bool) -> Vec<PastAction> {
        let mut actions = self.actions.borrow_mut();
        let wanted = actions.iter_mut().filter(|noted| is_wanted(noted.state));
        let take = |noted: &mut Noted| {
            noted.state = State::Written;
            noted.action.clone()
        };
        wanted.map(take).collect()
    }
}

/// More actions of a delivery.
pub(super) fn more(delivery: &Delivery<'_>, actions: Vec<PastAction>) -> Record {
    Record::More {
        id: delivery.parcel.id.clone(),
        recipient: delivery.recipient.address.to_string(),
        actions,
    }
}

/// Writes it down; where that fails the log says so.
pub(super) fn write(account: &dyn Account, record: &Record) {
    if let Err(error) = account.record(record) {
        let id = match record {
            Record::Whole(delivery) => &delivery.id,
            Record::More { id, .. } => id,
        };
        tracing::warn!(%id, cause = %Cause::of(&error), "what became of a delivery could not be written down");
    }
}

fn whole(delivery: &Delivery<'_>, ending: Ending, actions: Vec<PastAction>) -> Record {
    let Delivery { parcel, recipient, .. } = delivery;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Record::Whole(Box::new(PastDelivery {
        id: parcel.id.clone(),
        queue_id: parcel.queue_id().map(str::to_owned),
        time: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        reverse_path: parcel.envelope.reverse_path.to_string(),
        recipient: recipient.address.to_string(),
        original: recipient.original.as_ref().map(ToString::to_string),
        message_id: parcel.message.message_id().map(kept_id).filter(|id| !id.is_empty()),
        size: parcel.message.size(),
        ending,
        actions,
    }))
}

fn wanted(action: &Action, keep_in: Option<&MailboxName>) -> (ActionKind, Option<String>) {
    match action {
        Action::Keep { .. } => {
            let mailbox = keep_in.map_or_else(|| MailboxName::inbox().to_string(), ToString::to_string);
            (ActionKind::Keep, Some(mailbox))
        }
        Action::FileInto { mailbox, .. } => (ActionKind::FileInto, Some(mailbox.to_string())),
        Action::Redirect { address, .. } => (ActionKind::Redirect, Some(address.to_string())),
        Action::Pipe { program, .. } => (ActionKind::Pipe, Some(program.clone())),
        Action::Discard => (ActionKind::Discard, None),
        Action::Reject { reason, .. } => (ActionKind::Reject, Some(reason.clone())),
        Action::Vacation(reply) => (ActionKind::Vacation, Some(reply.address.to_string())),
        Action::Notify { method, .. } => (ActionKind::Notify, Some(method.clone())),
        Action::Report(report) => (ActionKind::Report, Some(report.address.to_string())),
    }
}

fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::UnknownUser => "there is no such user".to_owned(),
        Refusal::OverQuota => "the account is full".to_owned(),
        Refusal::TooLarge(limit) => format!("the message is larger than {limit} bytes"),
        Refusal::Rejected(_) => "the filter rejects it".to_owned(),
        Refusal::Loop => "the message goes round in circles".to_owned(),
    }
}

fn deferred(deferral: &Deferral) -> String {
    match deferral {
        Deferral::OverQuota => "the account is full".to_owned(),
        Deferral::DiskFull(cause) | Deferral::Trouble(cause) => cause.to_string(),
    }
}

// As its owner knows it: below his home, and not by the link that says which one is active.
fn script(name: &str, home: &Path) -> String {
    let Ok(below) = Path::new(name).strip_prefix(home) else {
        return name.to_owned();
    };
    let linked = match below.as_os_str() == ACTIVE {
        true => fs::read_link(name).ok(),
        false => None,
    };
    let linked = linked.map(|path| path.strip_prefix(home).map(Path::to_owned).unwrap_or(path));
    linked.as_deref().unwrap_or(below).display().to_string()
}
