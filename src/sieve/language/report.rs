//! `report` of `vnd.dovecot.report`, as Pigeonhole's specification "Sending Abuse Feedback Reports" has it: a report
//! in the format of RFC 5965 about the message.

use super::arguments::Arguments;
use super::checker::{Checker, CommandKind};
use super::extension::Extension;
use super::program::{Execute, Flow};
use super::run::{Run, Stop};
use super::text::Text;
use crate::sieve::collect::envelope_address;
use crate::sieve::error::Place;
use crate::sieve::step::Step;
use crate::sieve::syntax::Command;

/// Characters of a type; those that are registered (RFC 5965 §7.3) have 12 at most.
const TYPE_MAX: usize = 64;

pub(super) const COMMANDS: &[CommandKind] = &[CommandKind {
    name: "report",
    from: &[Extension::DovecotReport],
    compile,
}];

// §3: report [":headers_only"] <feedback-type: string> <message: string> <recipient: string>
fn compile(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let headers_only = arguments.tag(checker, "headers_only", None).is_some();
    let feedback_type = arguments.placed_text(checker, "a type of feedback, such as \"abuse\"");
    let message = arguments.text(checker, "a message");
    let address = arguments.placed_text(checker, "an address");
    arguments.end(checker)?;
    let feedback_type = checked(checker, feedback_type?, check_type);
    let address = checked(checker, address?, check_address);
    Some(Box::new(Report {
        headers_only,
        feedback_type: feedback_type?,
        message: message?,
        address: address?,
    }))
}

fn checked(
    checker: &mut Checker<'_>,
    (place, text): (Place, Text),
    right: fn(&str) -> Result<(), String>,
) -> Option<Text> {
    match text.constant().map(right) {
        Some(Err(message)) => checker.error(place, message),
        _ => Some(text),
    }
}

// §3: a token of RFC 2045 §5.1; white space around it is not part of it.
fn check_type(text: &str) -> Result<(), String> {
    let token = text.trim_matches([' ', '\t']);
    let special = |c: char| !c.is_ascii_graphic() || "()<>@,;:\\\"/[]?=".contains(c);
    match token.is_empty() || token.len() > TYPE_MAX || token.contains(special) {
        true => Err(format!(
            "\"{}\" is not a type of feedback: it is one word, such as \"abuse\", \"fraud\" or \"not-spam\"",
            text.escape_debug()
        )),
        false => Ok(()),
    }
}

fn check_address(text: &str) -> Result<(), String> {
    match envelope_address(text) {
        Ok(address) if address.domain().is_empty() => Err(format!("{text:?} is not an address: it has no domain")),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{text:?} is not an address: {error}")),
    }
}

#[derive(Debug)]
struct Report {
    headers_only: bool,
    feedback_type: Text,
    message: Text,
    address: Text,
}

impl Execute for Report {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let refused = |message: String| Stop::error(format!("report: {message}"));
        let feedback_type = self.feedback_type.value(run)?.into_owned();
        check_type(&feedback_type).map_err(refused)?;
        let address = self.address.value(run)?.into_owned();
        check_address(&address).map_err(refused)?;
        let message = self.message.value(run)?.into_owned();
        run.act(Step::Report {
            feedback_type: feedback_type.trim_matches([' ', '\t']).to_owned(),
            address,
            message,
            headers_only: self.headers_only,
        })?;
        Ok(Flow::Next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        let long = "x".repeat(64);
        for (text, right) in [
            ("abuse", true),
            (" not-spam\t", true),
            ("opt_out.2", true),
            (long.as_str(), true),
            (&format!("{long}x"), false),
            ("", false),
            ("  ", false),
            ("a b", false),
            ("a/b", false),
            ("a;b=c", false),
            ("abuse\r\nX: y", false),
            ("äbuse", false),
        ] {
            assert_eq!(check_type(text).is_ok(), right, "{text:?}");
        }
    }
}
