//! From what one script said to checked actions: names, addresses, limits, and which
//! actions go together.

use std::collections::BTreeSet;

use super::engine::{Incoming, NoReport, Note, Options};
use super::merge::{Merged, disposes};
use super::step::{Executed, FccStep, Ran, Step};
use super::{Action, Fcc, FeedbackReport, Origin, Planned, RedirectDsn, vacation};
use crate::mail::{Address, Flags, MailboxName, SpecialUse};
use crate::message::{Content, Message};

/// Characters of a reason for the sender (RFC 5321 §4.5.3.1.5 bounds a reply's line; a
/// reply may have several).
const REASON_MAX: usize = 4096;

/// What one script that ended well wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Collected {
    /// In order of execution; an explicit keep stands in its place.
    pub(super) actions: Vec<Planned>,
    /// Neither was the implicit keep cancelled without an explicit one.
    pub(super) keeps: bool,
    /// The internal flags variable at the end (RFC 5232 §2).
    pub(super) flags: Vec<String>,
    /// The message at the end, where a script has changed it.
    pub(super) edition: Option<Message>,
    pub(super) remember: Vec<(String, u64)>,
    pub(super) notes: Vec<Note>,
}

/// Why the steps of a script cannot be done: the run-time error that it ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) message: String,
    /// The step at fault.
    pub(super) origin: Option<Origin>,
}

/// Checks the steps of one script.
///
/// # Errors
/// [`Refused`]: the script ends with it, and nothing of it counts.
pub(super) fn collect(
    ran: Ran,
    options: &Options,
    incoming: &Incoming<'_>,
    before: &Merged,
) -> Result<Collected, Refused> {
    let mut collector = Collector {
        options,
        incoming,
        before,
        implicit_keep: true,
        explicit_keep: false,
        vacation: false,
        to_self: false,
        origin: None,
        edition: None,
        collected: Collected::default(),
    };
    for Executed { step, origin, edition } in ran.steps {
        collector.origin = Some(origin.clone());
        collector.edition = edition;
        let refused = |message| Refused {
            message,
            origin: Some(origin),
        };
        collector.step(step).map_err(refused)?;
    }
    collector
        .check_reject()
        .map_err(|message| Refused { message, origin: None })?;
    let mut collected = collector.collected;
    // What was redirected to an own address is not lost, whatever was discarded besides.
    let stays = collector.to_self && !collected.actions.iter().any(|planned| disposes(planned));
    let implicit_keep = collector.implicit_keep || stays;
    collected.keeps = implicit_keep || collector.explicit_keep;
    if implicit_keep && !collector.explicit_keep {
        let keep = Action::Keep {
            flags: valid_flags(&ran.flags),
        };
        collected.actions.push(Planned {
            edition: ran.edition.clone(),
            ..Planned::new(keep)
        });
    }
    collected.flags = ran.flags;
    collected.edition = ran.edition;
    Ok(collected)
}

struct Collector<'a> {
    options: &'a Options,
    incoming: &'a Incoming<'a>,
    before: &'a Merged,
    implicit_keep: bool,
    explicit_keep: bool,
    vacation: bool,
    to_self: bool,
    /// Of the step at hand.
    origin: Option<Origin>,
    edition: Option<Message>,
    collected: Collected,
}

impl Collector<'_> {
    fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Keep { flags } => {
                self.explicit_keep = true;
                self.push(Action::Keep {
                    flags: valid_flags(&flags),
                });
            }
            Step::FileInto {
                mailbox,
                flags,
                copy,
                create,
                special_use,
            } => {
                let mailbox = MailboxName::parse(&mailbox, self.incoming.separator)
                    .map_err(|error| format!("fileinto: {error}"))?;
                self.implicit_keep &= copy;
                self.push(Action::FileInto {
                    mailbox,
                    flags: valid_flags(&flags),
                    copy,
                    create,
                    special_use: special_use.as_deref().and_then(SpecialUse::parse),
                });
            }
            Step::Redirect { address, copy, dsn } => self.redirect(&address, copy, dsn)?,
            Step::Pipe {
                program,
                arguments,
                copy,
                attempt,
            } => {
                self.implicit_keep &= copy;
                self.push(Action::Pipe {
                    program,
                    arguments,
                    copy,
                    attempt,
                });
            }
            Step::Discard => self.implicit_keep = false,
            Step::Reject { reason, ereject } => self.reject(&reason, ereject)?,
            Step::Vacation(step) => self.vacation(&step)?,
            step @ Step::Notify { .. } => self.notify(step)?,
            Step::Report {
                feedback_type,
                address,
                message,
                headers_only,
            } => {
                let address = outward_address("report", &address)?;
                self.report(FeedbackReport {
                    address,
                    feedback_type,
                    message,
                    headers_only,
                })?;
            }
            Step::Remark(text) => self.collected.notes.push(Note::Remark(text)),
            Step::Remember { id, seconds } => self.collected.remember.push((id, seconds)),
        }
        Ok(())
    }

    fn push(&mut self, action: Action) {
        self.collected.actions.push(Planned {
            action,
            edition: self.edition.clone(),
            origin: self.origin.clone(),
        });
    }

    fn redirect(&mut self, text: &str, copy: bool, dsn: RedirectDsn) -> Result<(), String> {
        let address = outward_address("redirect", text)?;
        if self.is_own(&address) {
            // Never to oneself: the message would come back. It stays kept instead.
            self.to_self = true;
            self.collected.notes.push(Note::RedirectToSelf(address));
            return Ok(());
        }
        self.implicit_keep &= copy;
        self.check_addresses("redirect", &address)?;
        self.push(Action::Redirect { address, copy, dsn });
        Ok(())
    }

    // One bound for all to whom the message leaves, be it redirected or reported.
    fn check_addresses(&self, command: &str, address: &Address) -> Result<(), String> {
        let all = self.before.actions().chain(&self.collected.actions);
        let mut addresses: BTreeSet<String> = all
            .filter_map(|planned| leaves_for(planned))
            .map(Address::folded)
            .collect();
        addresses.insert(address.folded());
        let limit = self.options.max_redirects;
        match addresses.len() > limit {
            true => Err(format!("{command}: more than {limit} addresses are not allowed")),
            false => Ok(()),
        }
    }

    // vnd.dovecot.report §3: never to the account that runs the script. A report about a report would make two
    // accounts write to each other for ever.
    fn report(&mut self, report: FeedbackReport) -> Result<(), String> {
        let withheld = if self.is_own(&report.address) {
            Some(NoReport::OwnAddress)
        } else {
            is_report(self.incoming.message).then_some(NoReport::IsReport)
        };
        if let Some(why) = withheld {
            self.collected.notes.push(Note::NoReport(report.address, why));
            return Ok(());
        }
        self.check_addresses("report", &report.address)?;
        self.push(Action::Report(report));
        Ok(())
    }

    fn is_own(&self, address: &Address) -> bool {
        let own = self.incoming.own_addresses.iter();
        own.chain([self.incoming.recipient])
            .any(|own| own.same_mailbox(address))
    }

    // RFC 5429 §2.5: one reject at most; it cancels the implicit keep.
    fn reject(&mut self, reason: &str, ereject: bool) -> Result<(), String> {
        let is_reject = |planned: &Planned| matches!(planned.action, Action::Reject { .. });
        if self.collected.actions.iter().any(is_reject) {
            return Err("reject: a message can be rejected only once".to_owned());
        }
        self.implicit_keep = false;
        self.push(Action::Reject {
            reason: clean_text(reason, REASON_MAX),
            ereject,
        });
        Ok(())
    }

    // RFC 5429 §2.5: not together with vacation, nor with what delivers the message:
    // it is either delivered or refused (RFC 5321 §4.2.5).
    fn check_reject(&self) -> Result<(), String> {
        let actions = || self.collected.actions.iter().chain(self.before.actions());
        if !actions().any(|planned| matches!(planned.action, Action::Reject { .. })) {
            return Ok(());
        }
        let other = actions().find_map(|planned| match planned.action {
            Action::Keep { .. } => Some("keep"),
            Action::FileInto { .. } => Some("fileinto"),
            Action::Redirect { .. } => Some("redirect"),
            Action::Vacation(_) => Some("vacation"),
            Action::Pipe { .. } => Some("pipe"),
            Action::Reject { .. } | Action::Discard | Action::Notify { .. } | Action::Report(_) => None,
        });
        match other.or(self.vacation.then_some("vacation")) {
            Some(other) => Err(format!("reject does not go together with {other}")),
            None => Ok(()),
        }
    }

    // RFC 5230 §4.7: a second vacation in one script is an error.
    fn vacation(&mut self, step: &super::step::VacationStep) -> Result<(), String> {
        if self.vacation {
            return Err("vacation: a script can execute it only once".to_owned());
        }
        self.vacation = true;
        let fcc = self.fcc(step.fcc.as_ref())?;
        // RFC 5293 §7: it examines the fields as they are by now. Auto-Submitted cannot be deleted.
        let incoming = Incoming {
            message: self.edition.as_ref().unwrap_or(self.incoming.message),
            ..*self.incoming
        };
        match vacation::reply(step, fcc, self.options, &incoming) {
            Ok(reply) => self.push(Action::Vacation(reply)),
            Err(why) => self.collected.notes.push(Note::NoReply(why)),
        }
        Ok(())
    }

    // RFC 8580 §3
    fn fcc(&self, step: Option<&FccStep>) -> Result<Option<Fcc>, String> {
        let Some(step) = step else { return Ok(None) };
        let mailbox =
            MailboxName::parse(&step.mailbox, self.incoming.separator).map_err(|error| format!(":fcc: {error}"))?;
        Ok(Some(Fcc {
            mailbox,
            flags: valid_flags(step.flags.as_deref().unwrap_or_default()),
            create: step.create,
            special_use: step.special_use.as_deref().and_then(SpecialUse::parse),
        }))
    }

    fn notify(&mut self, step: Step) -> Result<(), String> {
        let Step::Notify {
            method,
            from,
            options,
            message,
            importance,
            fcc,
        } = step
        else {
            return Ok(());
        };
        let fcc = self.fcc(fcc.as_ref())?;
        // RFC 5435 §3.2: "mailto" is the method that every implementation has.
        let addresses = mailto(&method).ok_or_else(|| format!("notify: the method {method:?} is not supported"))?;
        let mut parsed = Vec::new();
        for address in addresses {
            let checked = Address::parse(&address);
            parsed.push(checked.map_err(|error| format!("notify: {address:?} is not an address: {error}"))?);
        }
        let importance = match importance.as_deref() {
            Some("1") => 1,
            None | Some("2") => 2,
            Some("3") => 3,
            Some(other) => return Err(format!("notify: {other:?} is not an importance: it is 1, 2 or 3")),
        };
        // RFC 5436 §2.7: two owners who notify each other of notifications would never end.
        if vacation::is_automatic(self.incoming.message) {
            self.collected.notes.push(Note::NoNotification);
            return Ok(());
        }
        self.push(Action::Notify {
            method,
            addresses: parsed,
            from,
            options,
            message,
            importance,
            fcc,
        });
        Ok(())
    }
}

fn leaves_for(action: &Action) -> Option<&Address> {
    match action {
        Action::Redirect { address, .. } | Action::Report(FeedbackReport { address, .. }) => Some(address),
        _ => None,
    }
}

// RFC 5965 §2
fn is_report(message: &Message) -> bool {
    let field = message.header().first("Content-Type");
    let content = field.map(|field| Content::parse(&field.unfolded()));
    let kind = content.and_then(|content| content.parameter("report-type"));
    kind.is_some_and(|kind| kind.value.eq_ignore_ascii_case(b"feedback-report"))
}

// To whom a command sends something: somebody at a domain.
fn outward_address(command: &str, text: &str) -> Result<Address, String> {
    let address = envelope_address(text).map_err(|error| format!("{command}: {text:?} is not an address: {error}"))?;
    match address.domain().is_empty() {
        true => Err(format!("{command}: {text:?} is not an address: it has no domain")),
        false => Ok(address),
    }
}

/// The flags of RFC 5232; what is not a flag is left out (§2: unknown flags are ignored).
pub(super) fn valid_flags(names: &[String]) -> Flags {
    let mut flags = Flags::new();
    for name in names {
        let _ = flags.insert(name);
    }
    flags
}

/// Text for a person: line ends and tabs stay, other control characters do not.
pub(super) fn clean_text(text: &str, max: usize) -> String {
    let wanted = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let lines = text.replace("\r\n", "\n");
    lines.chars().filter(wanted).take(max).collect()
}

// RFC 5228 §2.4.2.3: a script's address may have a display name and angle brackets.
pub(super) fn envelope_address(text: &str) -> Result<Address, crate::mail::AddressError> {
    let text = text.trim();
    if let (Some(open), Some(inner)) = (text.rfind('<'), text.strip_suffix('>'))
        && !text.starts_with('"')
    {
        return Address::parse(&inner[open + 1..]);
    }
    Address::parse(text)
}

// RFC 6068 §2: mailto:addr-spec *("," addr-spec) [ "?" hfields ], percent-encoded. Header
// fields other than `to` change nothing here.
fn mailto(method: &str) -> Option<Vec<String>> {
    let (scheme, rest) = method.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("mailto") {
        return None;
    }
    let (to, fields) = rest.split_once('?').unwrap_or((rest, ""));
    let more = fields.split('&').filter_map(|field| {
        let (name, value) = field.split_once('=')?;
        name.eq_ignore_ascii_case("to").then_some(value)
    });
    let lists = std::iter::once(to).chain(more);
    let addresses = lists.flat_map(|list| list.split(',')).filter(|part| !part.is_empty());
    Some(addresses.map(percent_decode).collect())
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mailto() {
        for (method, addresses) in [
            ("mailto:a@example.org", vec!["a@example.org"]),
            (
                "MAILTO:a%2Bb@example.org,c@example.org?subject=x&to=d@example.org",
                vec!["a+b@example.org", "c@example.org", "d@example.org"],
            ),
            ("mailto:", vec![]),
        ] {
            assert_eq!(mailto(method).expect(method), addresses, "{method}");
        }
        assert_eq!(mailto("xmpp:a@example.org"), None);
        assert_eq!(mailto("a@example.org"), None);
    }

    #[test]
    fn reads_addresses_of_scripts() {
        for (text, address) in [
            ("a@example.org", "a@example.org"),
            ("<a@example.org>", "a@example.org"),
            ("Ann <a@example.org>", "a@example.org"),
        ] {
            assert_eq!(envelope_address(text).expect(text).to_string(), address);
        }
        for text in [
            "",
            "<>",
            "a@b c",
            "a@example.org\r\nBcc: x@example.org",
            "a, b@example.org",
        ] {
            assert!(envelope_address(text).is_err(), "{text:?}");
        }
    }
}
