//! `vacation`: whether a message may be answered, and with what (RFC 5230, RFC 6131).

use std::fmt;

use super::collect::clean_text;
use super::engine::{Incoming, Options};
use super::step::VacationStep;
use super::{Fcc, Period, VacationReply};
use crate::mail::Address;
use crate::message::{Message, text};

/// Characters of a subject.
const SUBJECT_MAX: usize = 256;
/// Characters of the text; a reply is no way to send files.
const REASON_MAX: usize = 1 << 20;

/// Why `vacation` sends nothing (RFC 5230 §4.5, §4.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoReply {
    /// The sender is null: a notification is never answered.
    NullSender,
    /// The sender is a list or a program.
    Robot(Address),
    /// The sender is the recipient.
    OwnAddress(Address),
    /// A header field says that the message came from a list or a program.
    Field(String),
    /// No own address stands in To, Cc, Bcc or their Resent- forms.
    NotAddressed,
}

impl fmt::Display for NoReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoReply::NullSender => f.write_str("the sender is null"),
            NoReply::Robot(address) => write!(f, "{address} is a list or a program"),
            NoReply::OwnAddress(address) => write!(f, "{address} is an own address"),
            NoReply::Field(name) => write!(f, "the field {name} marks automatic or list mail"),
            NoReply::NotAddressed => f.write_str("no own address stands in To or Cc; :addresses can name more"),
        }
    }
}

/// The reply, or why there is none.
pub(super) fn reply(
    step: &VacationStep,
    fcc: Option<Fcc>,
    options: &Options,
    incoming: &Incoming<'_>,
) -> Result<VacationReply, NoReply> {
    let sender = incoming.reverse_path.address().ok_or(NoReply::NullSender)?;
    if is_robot(sender) {
        return Err(NoReply::Robot(sender.clone()));
    }
    let own = own_addresses(step, incoming);
    if own.contains(&sender.folded()) {
        return Err(NoReply::OwnAddress(sender.clone()));
    }
    check_fields(incoming, &own)?;
    Ok(VacationReply {
        address: sender.clone(),
        subject: subject(step, incoming),
        message: step.reason.chars().take(REASON_MAX).collect(),
        mime: step.mime,
        from: step.from.as_deref().map(one_line).filter(|from| !from.is_empty()),
        period: period(step.period, options),
        handle: step.handle.clone(),
        fcc,
    })
}

/// Whether a program sent the message of its own accord (RFC 3834 §5).
pub(super) fn is_automatic(message: &Message) -> bool {
    let fields = message.header().all("Auto-Submitted");
    fields.into_iter().any(|field| {
        let value = String::from_utf8_lossy(field.value()).to_lowercase();
        words(&value).next() != Some("no")
    })
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value
        .split([',', ';', ' ', '\t', '\r', '\n'])
        .filter(|word| !word.is_empty())
}

// RFC 5230 §4.6: "owner-", "-request" and the names of list managers.
fn is_robot(sender: &Address) -> bool {
    let local = sender.local().to_lowercase();
    matches!(local.as_str(), "mailer-daemon" | "listserv" | "majordomo")
        || local.starts_with("owner-")
        || local.ends_with("-owner")
        || local.ends_with("-request")
        || local.ends_with("-bounces")
        || local.contains("-bounces+")
}

fn own_addresses(step: &VacationStep, incoming: &Incoming<'_>) -> Vec<String> {
    let known = incoming.own_addresses.iter().chain([incoming.recipient]);
    let mut own: Vec<String> = known.chain(incoming.original).map(Address::folded).collect();
    own.extend(step.addresses.iter().map(|address| address.trim().to_lowercase()));
    own.retain(|address| !address.is_empty());
    own
}

// RFC 5230 §4.5 and §4.6, RFC 3834 §2.
fn check_fields(incoming: &Incoming<'_>, own: &[String]) -> Result<(), NoReply> {
    let mut addressed = false;
    for field in incoming.message.header().fields() {
        let name = field.name().to_ascii_lowercase();
        let value = String::from_utf8_lossy(field.value()).to_lowercase();
        let automatic = match name.as_str() {
            "auto-submitted" => words(&value).next() != Some("no"),
            "precedence" => words(&value).any(|word| matches!(word, "bulk" | "list" | "junk")),
            "x-auto-response-suppress" => words(&value).any(|word| matches!(word, "all" | "oof" | "autoreply")),
            // RFC 2369 §3, RFC 2919 §3.
            "list-id" | "list-help" | "list-subscribe" | "list-unsubscribe" | "list-post" | "list-owner"
            | "list-archive" => true,
            "to" | "cc" | "bcc" | "resent-to" | "resent-cc" | "resent-bcc" => {
                addressed = addressed || own.iter().any(|address| names(&value, address));
                false
            }
            _ => false,
        };
        if automatic {
            return Err(NoReply::Field(field.name().to_string()));
        }
    }
    if addressed { Ok(()) } else { Err(NoReply::NotAddressed) }
}

// Whether an address stands in a list of addresses, both in lower case. An address has no
// encoded words, so the raw text will do; that it might stand in a comment is no harm.
fn names(list: &str, address: &str) -> bool {
    let part_of_address = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.@".contains(c);
    list.match_indices(address).any(|(at, _)| {
        let before = list[..at].chars().next_back();
        let after = list[at + address.len()..].chars().next();
        !before.is_some_and(part_of_address) && !after.is_some_and(part_of_address)
    })
}

// RFC 5230 §4.4: without :subject it is "Auto: " and the subject of the message.
fn subject(step: &VacationStep, incoming: &Incoming<'_>) -> String {
    let given = step
        .subject
        .as_deref()
        .map(one_line)
        .filter(|subject| !subject.is_empty());
    given.unwrap_or_else(|| {
        let field = incoming.message.header().first("Subject");
        let original = field.map(|field| one_line(&text(field.value()))).unwrap_or_default();
        if original.is_empty() {
            "Automated reply".to_owned()
        } else {
            one_line(&format!("Auto: {original}"))
        }
    })
}

// Never a line end: what follows one would be a header field of the reply.
fn one_line(text: &str) -> String {
    let spaced: String = clean_text(text, SUBJECT_MAX * 4)
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .take(SUBJECT_MAX)
        .collect();
    spaced.trim().to_owned()
}

// RFC 5230 §4.1: a site has a least and a greatest number of days. RFC 6131 §2: seconds
// may be 0, which answers every message.
fn period(given: Option<Period>, options: &Options) -> Period {
    match given {
        None => Period::Days(options.vacation_default_days),
        Some(Period::Days(days)) => Period::Days(days.clamp(1, options.vacation_max_days)),
        Some(Period::Seconds(seconds)) => Period::Seconds(seconds.min(options.vacation_max_days * 86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_whole_addresses() {
        for (list, found) in [
            ("me@example.org", true),
            ("\"me\" <me@example.org>, x@example.org", true),
            ("group: x@y.z,\r\n me@example.org;", true),
            ("some@example.org", false),
            ("me@example.org.uk", false),
            ("me@example.orgs", false),
            ("", false),
        ] {
            assert_eq!(names(list, "me@example.org"), found, "{list:?}");
        }
    }

    #[test]
    fn knows_robots() {
        for (address, robot) in [
            ("MAILER-DAEMON@example.org", true),
            ("owner-list@example.org", true),
            ("list-request@example.org", true),
            ("list-bounces+me=example.org@example.com", true),
            ("Majordomo@example.org", true),
            ("request@example.org", false),
            ("ann@example.org", false),
        ] {
            assert_eq!(is_robot(&Address::parse(address).unwrap()), robot, "{address}");
        }
    }

    #[test]
    fn a_subject_is_one_line() {
        assert_eq!(one_line("a\r\nBcc: x\u{0}\ty"), "a Bcc: x y");
        assert_eq!(one_line(&"x".repeat(1000)).len(), 256);
    }

    #[test]
    fn periods_have_limits() {
        let options = Options::default();
        for (given, period) in [
            (None, Period::Days(7)),
            (Some(Period::Days(0)), Period::Days(1)),
            (Some(Period::Days(9999)), Period::Days(365)),
            (Some(Period::Seconds(0)), Period::Seconds(0)),
            (Some(Period::Seconds(u64::MAX)), Period::Seconds(365 * 86_400)),
        ] {
            assert_eq!(super::period(given, &options), period);
        }
    }
}
