//! From the actions of several scripts to one [`Plan`]: each mailbox once, each address
//! once, one keep, and `discard` only where nothing else is done.

use super::collect::{Collected, valid_flags};
use super::engine::{Evaluation, Note};
use super::{Action, Plan, Planned, ScriptError};
use crate::mail::Flags;
use crate::message::Message;

/// What the scripts so far want.
#[derive(Clone, Debug, Default)]
pub(super) struct Merged {
    ran: bool,
    actions: Vec<Planned>,
    /// The last script kept the message; its keep stands among the actions.
    keeps: bool,
    /// Flags of keeps that a following script decided upon anew.
    kept_flags: Flags,
    flags: Vec<String>,
    /// The message as the last script left it, where one has changed it.
    edition: Option<Message>,
    remember: Vec<(String, u64)>,
    notes: Vec<Note>,
}

impl Merged {
    pub(super) fn actions(&self) -> impl Iterator<Item = &Planned> {
        let pending = |planned: &&Planned| !matches!(planned.action, Action::Keep { .. });
        self.actions.iter().filter(pending)
    }

    /// The internal flags variable with which the next script starts.
    pub(super) fn flags(&self) -> &[String] {
        &self.flags
    }

    /// The message with which the next script starts; none where it is the one that came.
    pub(super) fn edition(&self) -> Option<&Message> {
        self.edition.as_ref()
    }

    pub(super) fn keeps(&self) -> bool {
        self.keeps
    }

    /// Adds what the next script wants. The keep of the one before is its to renew: it
    /// ran only because of that keep.
    pub(super) fn add(&mut self, collected: Collected) {
        self.ran = true;
        self.take_keep();
        for action in collected.actions {
            self.push(action);
        }
        self.keeps = collected.keeps;
        self.flags = collected.flags;
        self.edition = collected.edition;
        self.remember.extend(collected.remember);
        self.notes.extend(collected.notes);
    }

    /// A script failed: nothing of it counts, and the message is kept.
    pub(super) fn fail(mut self, error: ScriptError) -> Evaluation {
        self.ran = true;
        self.take_keep();
        self.push(Planned::new(Action::Keep { flags: Flags::new() }));
        let mut evaluation = self.finish();
        evaluation.error = Some(error);
        evaluation
    }

    /// All scripts ran, or one ended the sequence.
    pub(super) fn finish(mut self) -> Evaluation {
        if !self.ran {
            return self.evaluation(Plan::keep());
        }
        if !self.actions.iter().any(|planned| disposes(planned)) {
            self.actions.push(Planned::new(Action::Discard));
        }
        let kept_flags = std::mem::take(&mut self.kept_flags);
        for planned in &mut self.actions {
            if let Action::Keep { flags } = &mut planned.action {
                *flags = union(flags, &kept_flags);
            }
        }
        let plan = Plan {
            actions: std::mem::take(&mut self.actions),
            remember: std::mem::take(&mut self.remember),
        };
        self.evaluation(plan)
    }

    fn evaluation(self, plan: Plan) -> Evaluation {
        Evaluation {
            plan,
            error: None,
            notes: self.notes,
            trace: None,
        }
    }

    fn take_keep(&mut self) {
        let kept_flags = &mut self.kept_flags;
        self.actions.retain(|planned| {
            if let Action::Keep { flags } = &planned.action {
                *kept_flags = union(kept_flags, flags);
                return false;
            }
            true
        });
    }

    fn push(&mut self, planned: Planned) {
        let merged = self
            .actions
            .iter_mut()
            .any(|known| absorb(&mut known.action, &planned.action));
        if !merged {
            self.actions.push(planned);
        }
    }
}

/// Whether an action decides where the message goes: without any it is discarded.
pub(super) fn disposes(action: &Action) -> bool {
    matches!(
        action,
        Action::Keep { .. }
            | Action::FileInto { .. }
            | Action::Redirect { .. }
            | Action::Pipe { .. }
            | Action::Reject { .. }
    )
}

// Whether `known` does what `new` wants too; where it does, it takes over its flags.
fn absorb(known: &mut Action, new: &Action) -> bool {
    match (known, new) {
        (Action::Keep { flags }, Action::Keep { flags: more }) => {
            *flags = union(flags, more);
            true
        }
        (Action::FileInto { mailbox, flags, .. }, Action::Keep { flags: more }) if mailbox.is_inbox() => {
            *flags = union(flags, more);
            true
        }
        // A script that runs after this one may drop a keep, but not what was filed.
        (
            known @ Action::Keep { .. },
            Action::FileInto {
                mailbox,
                flags: more,
                copy,
                create,
                special_use,
            },
        ) if mailbox.is_inbox() => {
            let flags = match known {
                Action::Keep { flags } => union(flags, more),
                _ => more.clone(),
            };
            *known = Action::FileInto {
                mailbox: mailbox.clone(),
                flags,
                copy: *copy,
                create: *create,
                special_use: *special_use,
            };
            true
        }
        (
            Action::FileInto {
                mailbox,
                flags,
                copy,
                create,
                special_use,
            },
            Action::FileInto {
                mailbox: same,
                flags: more,
                copy: also_copy,
                create: also_create,
                special_use: also_for,
            },
        ) if mailbox == same => {
            *flags = union(flags, more);
            *copy &= also_copy;
            *create |= also_create;
            *special_use = special_use.or(*also_for);
            true
        }
        (
            Action::Redirect { address, copy, .. },
            Action::Redirect {
                address: same,
                copy: also_copy,
                ..
            },
        ) if address.same_mailbox(same) => {
            *copy &= also_copy;
            true
        }
        // A sender gets one reply: that of the first script.
        (Action::Vacation(_), Action::Vacation(_)) => true,
        (Action::Notify { .. }, Action::Notify { .. }) => false,
        // vnd.dovecot.report §3: one for each type and recipient, the first.
        (Action::Report(known), Action::Report(new)) => {
            known.feedback_type.eq_ignore_ascii_case(&new.feedback_type) && known.address.same_mailbox(&new.address)
        }
        _ => false,
    }
}

fn union(a: &Flags, b: &Flags) -> Flags {
    let names: Vec<String> = a.names().chain(b.names()).map(str::to_owned).collect();
    valid_flags(&names)
}
