//! Script, message, expected plan.

use std::io;

use super::*;
use crate::mail::{Address, MailboxName, ReversePath, SpecialUse};
use crate::message::Message;

mod account;
mod actions;
mod body;
mod dates;
mod editheader;
mod envelopes;
mod errors;
mod language;
mod mime;
mod notify;
mod programs;
mod relational;
mod replies;
mod report;
mod sequences;
#[cfg(feature = "sieve-rs")]
mod sieve_rs;
mod spam;
mod traces;

/// A message that is addressed to the recipient.
const MAIL: &str = "From: Sender <sender@example.com>\r\nTo: me@example.org\r\nSubject: Hello\r\n\
    Message-ID: <1@example.com>\r\nDate: Mon, 01 Jun 2026 12:00:00 +0000\r\n\r\nbody text\r\n";

/// INBOX, Lists (an archive, with the id `F1`) and Work.Urgent; `seen-before` was seen; a few scripts to include,
/// annotations, lists and programs.
struct Fixture;

impl Account for Fixture {
    fn mailbox_exists(&self, mailbox: &MailboxName) -> bool {
        ["INBOX", "Lists", "Work.Urgent"].contains(&mailbox.as_str())
    }

    fn seen(&self, id: &str) -> bool {
        id.contains("seen-before")
    }

    fn include(&self, location: Location, name: &ScriptName) -> io::Result<Option<Script>> {
        let source = match (location, name.as_str()) {
            (Location::Personal, "keeps") => "keep;",
            (Location::Personal, "files") => "require \"fileinto\"; fileinto \"Lists\";",
            (Location::Personal, "stops") => "stop;",
            (Location::Personal, "returns") => "require [\"include\",\"fileinto\"]; return; fileinto \"Lists\";",
            (Location::Personal, "body") => {
                "require [\"body\",\"fileinto\"]; if body :contains \"text\" { fileinto \"Lists\"; }"
            }
            (Location::Personal, "broken") => "keep\n;\nfoo;",
            (Location::Personal, "itself") => "require \"include\"; include \"itself\";",
            (Location::Personal, "global") => {
                "require [\"include\",\"variables\"]; global \"where\"; set \"where\" \"Lists\";"
            }
            (Location::Global, "spam") => "require \"fileinto\"; fileinto \"Junk\";",
            (_, "unreadable") => return Err(io::Error::other("broken disk")),
            _ => return Ok(None),
        };
        Ok(Some(Script::new(format!("{name}.sieve"), source.as_bytes())))
    }

    fn mailbox_with_id(&self, id: &str) -> Option<MailboxName> {
        (id == "F1").then(|| MailboxName::parse("Lists", '.').unwrap())
    }

    fn mailbox_for(&self, special_use: SpecialUse) -> Option<MailboxName> {
        (special_use == SpecialUse::Archive).then(|| MailboxName::parse("Lists", '.').unwrap())
    }

    fn special_use(&self, mailbox: &MailboxName) -> Option<SpecialUse> {
        (mailbox.as_str() == "Lists").then_some(SpecialUse::Archive)
    }

    fn annotation(&self, mailbox: Option<&MailboxName>, name: &str) -> Option<String> {
        let value = match (mailbox.map(MailboxName::as_str), name) {
            (Some("INBOX"), "/private/vendor/vendor.isode/auto-replies") => "on",
            (Some("INBOX"), "/shared/comment") => "Mail of all",
            (None, "/private/vendor/vendor.isode/auto-replies") => "off",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn list_contains(&self, list: &str, value: &str) -> io::Result<Option<bool>> {
        match list {
            ":addrbook:default" => Ok(Some(value == "sender@example.com")),
            "tag:example.com,2011-01-01:localHolidays" => Ok(Some(value == "2026-06-01")),
            "tag:example.com,2026:broken" => Err(io::Error::other("broken disk")),
            _ => Ok(None),
        }
    }

    fn list_members(&self, list: &str) -> io::Result<Option<Vec<String>>> {
        let members = ["a@example.net", "b@example.net"].map(str::to_owned).to_vec();
        Ok((list == "tag:example.com,2010-05-28:mylist").then_some(members))
    }

    fn run_program(&self, name: &str, arguments: &[String], input: &[u8]) -> Result<ProgramOutput, ProgramError> {
        let (success, output) = match name {
            "upper" => (true, input.to_ascii_uppercase()),
            "echo" => (true, arguments.join(" ").into_bytes()),
            "silent" => (true, Vec::new()),
            "refuses" => (false, b"no".to_vec()),
            "late" => {
                return Err(ProgramError::Late {
                    name: name.to_owned(),
                    seconds: 10,
                });
            }
            _ => return Err(ProgramError::None(name.to_owned())),
        };
        Ok(ProgramOutput { success, output })
    }
}

fn incoming<'a>(
    message: &'a Message,
    reverse_path: &'a ReversePath,
    recipient: &'a Address,
    own_addresses: &'a [Address],
) -> Incoming<'a> {
    Incoming {
        message,
        reverse_path,
        recipient,
        original: None,
        detail: None,
        own_addresses,
        separator: '.',
        hostname: "mx.example.org",
        user: "me@example.org",
        transport: Transport::default(),
    }
}

fn evaluate_with(scripts: &Scripts, mail: &[u8], from: &str, options: Options) -> Evaluation {
    evaluate_over(scripts, mail, from, options, Transport::default())
}

fn evaluate_over(scripts: &Scripts, mail: &[u8], from: &str, options: Options, transport: Transport<'_>) -> Evaluation {
    let message = Message::from_bytes(mail);
    let reverse_path = match from {
        "" => ReversePath::Null,
        from => ReversePath::Address(Address::parse(from).unwrap()),
    };
    let recipient = Address::parse("me+lists@example.org").unwrap();
    let own = [
        Address::parse("me@example.org").unwrap(),
        Address::parse("alias@example.org").unwrap(),
    ];
    let incoming = Incoming {
        detail: Some("lists"),
        transport,
        ..incoming(&message, &reverse_path, &recipient, &own)
    };
    Engine::new(options).run(scripts, &incoming, &Fixture)
}

fn user(source: &str) -> Scripts {
    Scripts {
        user: Some(Script::new("user", source.as_bytes())),
        ..Scripts::default()
    }
}

fn evaluate(source: &str, mail: &str) -> Evaluation {
    evaluate_with(&user(source), mail.as_bytes(), "sender@example.com", Options::default())
}

/// The actions in one line, such as `keep [\Seen]; fileinto Lists`.
fn words(evaluation: &Evaluation) -> String {
    let flags = |flags: &crate::mail::Flags| match flags.to_string() {
        none if none.is_empty() => none,
        some => format!(" [{some}]"),
    };
    let word = |is: &bool, word: &str| if *is { format!(" {word}") } else { String::new() };
    let describe = |action: &Action| match action {
        Action::Keep { flags: f } => format!("keep{}", flags(f)),
        Action::FileInto {
            mailbox,
            flags: f,
            copy,
            create,
            ..
        } => format!(
            "fileinto {mailbox}{}{}{}",
            flags(f),
            word(copy, "copy"),
            word(create, "create")
        ),
        Action::Redirect { address, copy, .. } => format!("redirect {address}{}", word(copy, "copy")),
        Action::Pipe { program, copy, .. } => format!("pipe {program}{}", word(copy, "copy")),
        Action::Discard => "discard".to_owned(),
        Action::Reject { reason, ereject } => format!("reject {reason:?}{}", word(ereject, "ereject")),
        Action::Vacation(reply) => format!("vacation {} {:?} {:?}", reply.address, reply.subject, reply.message),
        Action::Notify {
            method,
            message,
            importance,
            ..
        } => format!("notify {method} {message:?} {importance}"),
        Action::Report(report) => format!(
            "report {} {} {:?}{}",
            report.feedback_type,
            report.address,
            report.message,
            word(&report.headers_only, "headers")
        ),
    };
    let mut described: Vec<String> = evaluation
        .plan
        .actions
        .iter()
        .map(|planned| describe(planned))
        .collect();
    described.extend(
        evaluation
            .plan
            .remember
            .iter()
            .map(|(id, seconds)| format!("remember {id} {seconds}")),
    );
    if let Some(error) = &evaluation.error {
        described.push(format!("error: {}", error.message));
    }
    described.join("; ")
}

/// What the compiler warns of.
fn warnings(source: &str) -> Vec<String> {
    let checked = Engine::new(Options::default()).check(&Script::new("user", source.as_bytes()));
    assert_eq!(checked.errors, Vec::new(), "{source}");
    checked.warnings.into_iter().map(|warning| warning.message).collect()
}

/// Whether each test of an `if` answers yes for a message, under the same `require`.
fn answers(require: &str, mail: &str, rows: &[(&str, bool)]) {
    for (test, expected) in rows {
        let source = format!("require [{require}]; if {test} {{ discard; }}");
        let expected = if *expected { "discard" } else { "keep" };
        assert_eq!(words(&evaluate(&source, mail)), expected, "{test}");
    }
}

/// The message that the last action is about: as it came, or as the script has changed it.
fn edition(evaluation: &Evaluation, mail: &str) -> String {
    let planned = evaluation.plan.actions.last().unwrap();
    match &planned.edition {
        Some(message) => String::from_utf8_lossy(&message.bytes().unwrap()).into_owned(),
        None => mail.to_owned(),
    }
}

/// Each script's plan for [`MAIL`].
fn table(rows: &[(&str, &str)]) {
    for (source, expected) in rows {
        assert_eq!(words(&evaluate(source, MAIL)), *expected, "{source}");
    }
}
