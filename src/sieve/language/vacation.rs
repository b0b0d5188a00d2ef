//! `vacation`: RFC 5230, with `:seconds` (RFC 6131) and `:fcc` (RFC 8580).

use ring::digest;

use super::address::check_mailbox_address;
use super::arguments::Arguments;
use super::checker::{Checker, CommandKind};
use super::extension::Extension;
use super::fcc::FileCopy;
use super::program::{Execute, Flow};
use super::run::{Run, Stop};
use super::text::Text;
use crate::message::Header;
use crate::sieve::Period;
use crate::sieve::collect::envelope_address;
use crate::sieve::error::Place;
use crate::sieve::step::{Step, VacationStep};
use crate::sieve::syntax::{Call, Command, Value};

pub(super) const COMMANDS: &[CommandKind] = &[CommandKind {
    name: "vacation",
    from: &[Extension::Vacation],
    compile,
}];

// vacation [":days" number / ":seconds" number] [":subject" string] [":from" string] [":addresses" string-list]
// [":mime"] [":handle" string] [":fcc" string] <reason: string>
fn compile(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let period = take_period(&mut arguments, checker);
    let subject = arguments.tagged_text(checker, "subject", None);
    let from = arguments.tagged_text(checker, "from", None);
    let addresses = arguments.tagged_texts(checker, "addresses", None).unwrap_or_default();
    let mime = arguments.tag(checker, "mime", None).is_some();
    let handle = arguments.tagged_text(checker, "handle", None);
    let fcc = FileCopy::take(&mut arguments, checker);
    let reason = arguments.placed_text(checker, "a reason");
    arguments.end(checker)?;
    let (place, reason) = reason?;
    if mime && let Some(Err(message)) = reason.constant().map(check_entity) {
        return checker.error(place, message);
    }
    check_from(checker, from.as_ref())?;
    check_addresses(checker, &addresses)?;
    Some(Box::new(Vacation {
        period,
        subject: subject.map(|(_, text)| text),
        from: from.map(|(_, text)| text),
        addresses: addresses.into_iter().map(|(_, text)| text).collect(),
        mime,
        handle: handle.map_or_else(
            || Handle::Hash(hash(&command.call, mime)),
            |(_, text)| Handle::Given(text),
        ),
        fcc,
        reason,
    }))
}

fn take_period(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Option<Period> {
    let days = arguments.tagged_number(checker, "days", None);
    let seconds = arguments.tagged_number(checker, "seconds", Some(Extension::VacationSeconds));
    match (days, seconds) {
        // RFC 6131 §2
        (Some(_), Some((place, _))) => checker.error(place, "`:seconds` does not go together with `:days`"),
        (Some((_, days)), None) => Some(Period::Days(days)),
        (None, Some((_, seconds))) => Some(Period::Seconds(seconds)),
        (None, None) => None,
    }
}

// RFC 5230 §4.3
fn check_from(checker: &mut Checker<'_>, from: Option<&(Place, Text)>) -> Option<()> {
    match from.and_then(|(place, text)| Some((place, check_mailbox_address(text.constant()?)))) {
        Some((place, Err(message))) => checker.error(*place, message),
        _ => Some(()),
    }
}

fn check_addresses(checker: &mut Checker<'_>, addresses: &[(Place, Text)]) -> Option<()> {
    let mut right = Some(());
    for (place, text) in addresses {
        if let Some(constant) = text.constant()
            && let Err(error) = envelope_address(constant)
        {
            right = checker.error(*place, format!("\"{constant}\" is not an address: {error}"));
        }
    }
    right
}

// RFC 5230 §4.4: with :mime the reason is an entity of RFC 2045 §2.4, its header and its body.
fn check_entity(text: &str) -> Result<(), String> {
    let wrong = "with `:mime` the text begins with the fields of a MIME header, such as \
        \"Content-Type: text/plain; charset=utf-8\", and an empty line";
    if text.starts_with("\r\n") || text.starts_with('\n') {
        return Ok(());
    }
    let end = ["\r\n\r\n", "\n\n"].into_iter().filter_map(|gap| text.find(gap)).min();
    let block = &text[..end.unwrap_or(text.len())];
    let header = Header::of_block(block.as_bytes(), true);
    let lines = block.lines().filter(|line| !line.starts_with([' ', '\t'])).count();
    if header.fields().len() != lines || lines == 0 {
        return Err(wrong.to_owned());
    }
    let foreign = header.fields().find(|field| {
        let name = field.name().to_ascii_lowercase();
        !name.starts_with("content-") && name != "mime-version"
    });
    match foreign {
        Some(field) => Err(format!(
            "with `:mime` only fields of MIME can stand before the text, not \"{}\"",
            field.name()
        )),
        None => Ok(()),
    }
}

#[derive(Debug)]
enum Handle {
    Given(Text),
    Hash(String),
}

// RFC 5230 §4.2: without :handle, what is the same in all parameters is the same reply. Taken of the script's
// text: a reply that quotes the subject is still the same.
fn hash(call: &Call, mime: bool) -> String {
    let text_of = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    let behind = |tag: &str| {
        let at = call
            .arguments
            .iter()
            .position(|argument| matches!(&argument.value, Value::Tag(name) if name == tag));
        at.and_then(|at| text_of(&call.arguments.get(at + 1)?.value))
    };
    let reason = call.arguments.last().and_then(|argument| text_of(&argument.value));
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [behind("subject"), behind("from"), reason] {
        if let Some(text) = &part {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        context.update(&[u8::from(part.is_none()), u8::from(mime)]);
    }
    let hash = context.finish();
    hash.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Debug)]
struct Vacation {
    period: Option<Period>,
    subject: Option<Text>,
    from: Option<Text>,
    addresses: Vec<Text>,
    mime: bool,
    handle: Handle,
    fcc: Option<FileCopy>,
    reason: Text,
}

impl Vacation {
    // RFC 5230 §4.3: a sender that is none is left out, rather than the reply.
    fn sender(&self, run: &mut Run<'_>) -> Result<Option<String>, Stop> {
        let Some(text) = &self.from else { return Ok(None) };
        let from = text.value(run)?.into_owned();
        match check_mailbox_address(&from) {
            Ok(()) => Ok(Some(from)),
            Err(message) => {
                run.note(|| format!("`:from` is left out: {message}"));
                Ok(None)
            }
        }
    }
}

impl Execute for Vacation {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let from = self.sender(run)?;
        let mut addresses = Vec::with_capacity(self.addresses.len());
        for text in &self.addresses {
            let address = text.value(run)?;
            addresses.extend(envelope_address(&address).ok().map(|address| address.to_string()));
        }
        let reason = self.reason.value(run)?.into_owned();
        if self.mime {
            check_entity(&reason).map_err(Stop::error)?;
        }
        let step = VacationStep {
            reason,
            subject: match &self.subject {
                Some(text) => Some(text.value(run)?.into_owned()),
                None => None,
            },
            from,
            addresses,
            mime: self.mime,
            period: self.period,
            handle: match &self.handle {
                Handle::Given(text) => text.value(run)?.into_owned(),
                Handle::Hash(hash) => hash.clone(),
            },
            fcc: match &self.fcc {
                Some(fcc) => Some(fcc.value(run)?),
                None => None,
            },
        };
        run.act(Step::Vacation(step))?;
        Ok(Flow::Next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities() {
        for (text, right) in [
            ("Content-Type: text/plain\r\n\r\nAway", true),
            (
                "MIME-Version: 1.0\r\nContent-Type: text/plain;\r\n charset=utf-8\r\n\r\nA: b",
                true,
            ),
            ("Content-Type: text/plain\n\nAway", true),
            ("Content-Type: text/plain", true),
            ("\r\nOnly text", true),
            ("Away", false),
            ("", false),
            ("Content-Type: text/plain\r\nAway", false),
            ("Content-Type: text/plain\r\nBcc: a@example.org\r\n\r\nAway", false),
        ] {
            assert_eq!(check_entity(text).is_ok(), right, "{text:?}");
        }
    }
}
