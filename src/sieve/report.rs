//! An evaluation as `sieve test --json` prints it; the contract stands in DESIGN.md.

use serde_json::{Map, Value, json};

use super::{Action, ErrorKind, Evaluation, FeedbackReport, Period, ScriptError, VacationReply};
use crate::mail::Flags;

/// The object `{"actions": [...], "error": ...}`. Each action is an object whose `action`
/// is its name in Sieve; mailbox names are written with `separator`.
#[must_use]
pub fn report(evaluation: &Evaluation, separator: char) -> Value {
    let actions: Vec<Value> = evaluation
        .plan
        .actions
        .iter()
        .map(|planned| describe(planned, separator))
        .collect();
    json!({
        "actions": actions,
        "error": evaluation.error.as_ref().map(describe_error),
    })
}

fn describe(action: &Action, separator: char) -> Value {
    match action {
        Action::Keep { flags } => json!({"action": "keep", "flags": names(flags)}),
        Action::FileInto {
            mailbox,
            flags,
            copy,
            create,
            ..
        } => json!({
            "action": "fileinto",
            "mailbox": mailbox.to_separated(separator),
            "flags": names(flags),
            "copy": copy,
            "create": create,
        }),
        Action::Redirect { address, copy, .. } => {
            json!({"action": "redirect", "address": address.to_string(), "copy": copy})
        }
        Action::Pipe {
            program,
            arguments,
            copy,
            ..
        } => json!({"action": "pipe", "program": program, "arguments": arguments, "copy": copy}),
        Action::Discard => json!({"action": "discard"}),
        Action::Reject { reason, ereject } => {
            let name = if *ereject { "ereject" } else { "reject" };
            json!({"action": name, "reason": reason})
        }
        Action::Vacation(reply) => describe_vacation(reply),
        Action::Notify {
            method,
            addresses,
            message,
            importance,
            ..
        } => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            json!({
                "action": "notify",
                "method": method,
                "addresses": addresses,
                "message": message,
                "importance": importance,
            })
        }
        Action::Report(FeedbackReport {
            address,
            feedback_type,
            message,
            headers_only,
        }) => json!({
            "action": "report",
            "address": address.to_string(),
            "feedback_type": feedback_type,
            "message": message,
            "headers_only": headers_only,
        }),
    }
}

fn describe_vacation(reply: &VacationReply) -> Value {
    let mut object = Map::new();
    object.insert("action".to_owned(), json!("vacation"));
    object.insert("address".to_owned(), json!(reply.address.to_string()));
    object.insert("subject".to_owned(), json!(reply.subject));
    object.insert("message".to_owned(), json!(reply.message));
    object.insert("mime".to_owned(), json!(reply.mime));
    object.insert("from".to_owned(), json!(reply.from));
    let (unit, number) = match reply.period {
        Period::Days(days) => ("days", days),
        Period::Seconds(seconds) => ("seconds", seconds),
    };
    object.insert(unit.to_owned(), json!(number));
    Value::Object(object)
}

fn describe_error(error: &ScriptError) -> Value {
    let kind = match error.kind {
        ErrorKind::Compile => "compile",
        ErrorKind::Runtime => "runtime",
    };
    json!({
        "kind": kind,
        "message": error.message,
        "line": error.line,
        "column": error.column,
    })
}

fn names(flags: &Flags) -> Vec<&str> {
    flags.names().collect()
}
