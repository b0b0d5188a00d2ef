//! What a plan wants done, sorted by the stroke in which it is done.

use crate::mail::{Address, Flags, MailboxName, SpecialUse};
use crate::message::Message;
use crate::sieve::{Action, Fcc, FeedbackReport, Plan, RedirectDsn, VacationReply};
use crate::store::Remembered;

/// A plan sorted by stroke.
#[derive(Default)]
pub(super) struct Wishes {
    pub(super) files: Vec<Filing>,
    pub(super) redirects: Vec<Redirect>,
    pub(super) pipes: Vec<Pipe>,
    pub(super) vacations: Vec<VacationReply>,
    pub(super) notifications: Vec<Notify>,
    pub(super) reports: Vec<FeedbackReport>,
    /// The reason with which it is rejected: then nothing of it is filed, redirected or answered.
    pub(super) reject: Option<String>,
    pub(super) remember: Vec<(Remembered, u64)>,
}

/// A copy for a mailbox, as a script wants it.
pub(super) struct Filing {
    pub(super) mailbox: MailboxName,
    pub(super) flags: Flags,
    pub(super) create: bool,
    pub(super) special_use: Option<SpecialUse>,
    pub(super) edition: Option<Message>,
}

/// A redirect.
pub(super) struct Redirect {
    pub(super) address: Address,
    pub(super) dsn: RedirectDsn,
    pub(super) edition: Option<Message>,
}

/// A message for a program.
pub(super) struct Pipe {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    pub(super) attempt: bool,
    pub(super) edition: Option<Message>,
}

/// A notification.
pub(super) struct Notify {
    pub(super) method: String,
    pub(super) addresses: Vec<Address>,
    pub(super) from: Option<String>,
    pub(super) message: String,
    pub(super) importance: u8,
    pub(super) fcc: Option<Fcc>,
}

impl Wishes {
    /// Sorts a plan; what it keeps goes into `keep_in`.
    pub(super) fn of(plan: Plan, keep_in: &MailboxName) -> Wishes {
        let mut wishes = Wishes::default();
        for planned in plan.actions {
            let edition = planned.edition;
            match planned.action {
                Action::Keep { flags } => wishes.files.push(Filing {
                    mailbox: keep_in.clone(),
                    flags,
                    create: true,
                    special_use: None,
                    edition,
                }),
                Action::FileInto {
                    mailbox,
                    flags,
                    create,
                    special_use,
                    ..
                } => wishes.files.push(Filing {
                    mailbox,
                    flags,
                    create,
                    special_use,
                    edition,
                }),
                Action::Redirect { address, dsn, .. } => wishes.redirects.push(Redirect { address, dsn, edition }),
                Action::Pipe {
                    program,
                    arguments,
                    attempt,
                    ..
                } => wishes.pipes.push(Pipe {
                    program,
                    arguments,
                    attempt,
                    edition,
                }),
                Action::Discard => {}
                Action::Reject { reason, .. } => wishes.reject = Some(reason),
                Action::Vacation(reply) => wishes.vacations.push(reply),
                Action::Notify {
                    method,
                    addresses,
                    from,
                    message,
                    importance,
                    fcc,
                    // RFC 5436 §2.5: no option is defined for mailto.
                    options: _,
                } => wishes.notifications.push(Notify {
                    method,
                    addresses,
                    from,
                    message,
                    importance,
                    fcc,
                }),
                Action::Report(report) => wishes.reports.push(report),
            }
        }
        wishes.remember = plan
            .remember
            .into_iter()
            .map(|(id, seconds)| (Remembered::Duplicate(id), seconds))
            .collect();
        wishes
    }

    /// Whether something leaves the store, which no transaction takes back.
    pub(super) fn reach_out(&self) -> bool {
        let Wishes {
            redirects,
            pipes,
            vacations,
            notifications,
            reports,
            ..
        } = self;
        let mail = !(vacations.is_empty() && notifications.is_empty() && reports.is_empty());
        mail || !(redirects.is_empty() && pipes.is_empty())
    }
}
