//! A case on an engine of ours.

use std::collections::BTreeMap;
use std::io;

use postroom::mail::{Address, MailboxName, ReversePath};
use postroom::message::Message;
use postroom::sieve::{
    Account, Action, Engine, ErrorKind, Evaluation, Incoming, Location, Note, Script, ScriptName, Scripts, Transport,
};

use super::case::{Case, MAILBOXES};
use super::outcome::{Effects, Outcome, Vacation, mailbox, shown};

/// What this engine does with the case.
pub fn outcome(engine: &Engine, case: &Case) -> Outcome {
    let message = Message::from_bytes(case.message.bytes());
    let reverse_path = ReversePath::Address(Address::parse(case.sender).expect("a sender"));
    let recipient = Address::parse(case.recipient).expect("a recipient");
    let own = [Address::parse("me@example.org").expect("an address")];
    let incoming = Incoming {
        message: &message,
        reverse_path: &reverse_path,
        recipient: &recipient,
        original: None,
        detail: recipient.local().split_once('+').map(|(_, detail)| detail),
        own_addresses: &own,
        separator: '.',
        hostname: "mx.example.org",
        user: "me@example.org",
        transport: Transport::default(),
    };
    let script = |text: &String| Script::new("script", text.as_bytes());
    let included = case.texts_included();
    let scripts = Scripts {
        before: case.texts_before().iter().map(script).collect(),
        user: Some(script(&case.text())),
        ..Scripts::default()
    };
    told(&engine.run(&scripts, &incoming, &Home(&included)))
}

/// An account with a few mailboxes, and scripts to include.
#[derive(Debug)]
struct Home<'a>(&'a BTreeMap<&'a str, String>);

impl Account for Home<'_> {
    fn mailbox_exists(&self, mailbox: &MailboxName) -> bool {
        mailbox.is_inbox() || MAILBOXES.contains(&mailbox.as_str())
    }

    fn seen(&self, _: &str) -> bool {
        false
    }

    fn include(&self, _: Location, name: &ScriptName) -> io::Result<Option<Script>> {
        let found = self.0.get(name.as_str());
        Ok(found.map(|text| Script::new(name.as_str(), text.as_bytes())))
    }
}

fn told(evaluation: &Evaluation) -> Outcome {
    match evaluation.error.as_ref().map(|error| error.kind) {
        Some(ErrorKind::Compile) => return Outcome::Refused,
        Some(ErrorKind::Runtime) => return Outcome::Failed,
        None => {}
    }
    let mut effects = Effects::default();
    for planned in &evaluation.plan.actions {
        add(&mut effects, planned);
    }
    if evaluation.notes.iter().any(|note| matches!(note, Note::NoReply(_))) {
        effects.vacation = Some(Vacation::Withheld);
    }
    Outcome::Done(effects)
}

fn add(effects: &mut Effects, action: &Action) {
    let lower = |flags: &postroom::mail::Flags| flags.names().map(str::to_lowercase).collect();
    match action {
        Action::Keep { flags } => drop(effects.filed.insert("INBOX".to_owned(), lower(flags))),
        Action::FileInto {
            mailbox: name,
            flags,
            create,
            ..
        } => {
            let name = mailbox(&name.to_separated('.'));
            if *create {
                effects.created.insert(name.clone());
            }
            effects.filed.insert(name, lower(flags));
        }
        Action::Redirect { address, .. } => drop(effects.redirected.insert(address.to_string().to_lowercase())),
        Action::Reject { reason, .. } => effects.rejected = Some(shown(reason)),
        Action::Vacation(reply) => {
            effects.vacation = Some(Vacation::Reply {
                // Without :subject we make one and sieve-test shows none.
                subject: Some(reply.subject.clone()).filter(|subject| !made_up(subject)),
                message: reply.message.replace("\r\n", "\n"),
                seconds: reply.period.seconds(),
            });
        }
        Action::Notify {
            addresses,
            message,
            importance,
            ..
        } => {
            for address in addresses {
                let told = (address.to_string(), *importance, message.replace("\r\n", "\n"));
                effects.notified.push(told);
            }
        }
        Action::Report(report) => {
            let reported = (report.address.to_string().to_lowercase(), report.feedback_type.clone());
            effects.reported.insert(reported);
        }
        Action::Discard | Action::Pipe { .. } => {}
    }
}

fn made_up(subject: &str) -> bool {
    subject.starts_with("Auto: ") || subject == "Automated reply"
}
