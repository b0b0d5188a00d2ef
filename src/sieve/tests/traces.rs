//! What a trace tells.

use super::*;

fn told(source: &str) -> Vec<String> {
    let message = Message::from_bytes(MAIL);
    let recipient = Address::parse("me@example.org").unwrap();
    let incoming = incoming(&message, &ReversePath::Null, &recipient, &[]);
    let evaluation = Engine::new(Options::default()).trace(&user(source), &incoming, &Fixture);
    let trace = evaluation.trace.expect("a trace");
    assert!(!trace.truncated);
    let line = |line: &TraceLine| {
        let what = match &line.event {
            TraceEvent::Test(text) => format!("test {text}"),
            TraceEvent::Value { of, value, matched } => format!("{of}: {value} ~ {matched:?}"),
            TraceEvent::Result(answer) => format!("{answer}"),
            TraceEvent::Command(text) => text.clone(),
            TraceEvent::Note(text) => format!("({text})"),
        };
        format!(
            "{} {}{what}",
            line.line,
            "  ".repeat(usize::try_from(line.depth).unwrap())
        )
    };
    trace.lines.iter().map(line).collect()
}

#[test]
fn a_trace_tells_every_line() {
    let source = "require [\"fileinto\", \"variables\"];\n\
        if anyof (header :is \"subject\" \"Bye\",\n\
        \x20         address :domain \"from\" [\"example.net\",\n\
        \x20                                 \"example.com\"]) {\n\
        \x20   set \"where\" \"Lists\";\n\
        \x20   fileinto \"${where}\";\n\
        \x20   stop;\n\
        }\n\
        discard;\n";
    assert_eq!(
        told(source),
        [
            "1 (script user)",
            "2   test anyof (header :is \"subject\" \"Bye\", address :domain \"from\" [\"example.net\", \"example.com\"])",
            "2     test header :is \"subject\" \"Bye\"",
            "2       subject: Hello ~ None",
            "2       false",
            "3     test address :domain \"from\" [\"example.net\", \"example.com\"]",
            "3       from: example.com ~ Some(\"example.com\")",
            "3       true",
            "2     true",
            "5   set \"where\" \"Lists\"",
            "5     (where = \"Lists\")",
            "6   fileinto \"${where}\"",
            "7   stop",
        ]
    );
}

#[test]
fn a_trace_goes_into_included_scripts_and_tells_of_errors() {
    let source = "require [\"include\"];\ninclude \"files\";\ninclude :optional \"none\";\nredirect \"a@b.c\";\ninclude \"none\";";
    assert_eq!(
        told(source),
        [
            "1 (script user)",
            "2 include \"files\"",
            "2   (script files.sieve)",
            "1   fileinto \"Lists\"",
            "3 include :optional \"none\"",
            "3   (there is no script \"none\")",
            "4 redirect \"a@b.c\"",
            "5 include \"none\"",
            "5 (the script stops: include: there is no script \"none\")",
        ]
    );
}

#[test]
fn actions_know_their_line() {
    let source =
        "require [\"include\",\"fileinto\"];\n\ninclude \"files\";\nif true {\n  redirect \"a@example.net\";\n}\n";
    let evaluation = evaluate(source, MAIL);
    let origins: Vec<_> = evaluation
        .plan
        .actions
        .iter()
        .map(|planned| planned.origin.as_ref().map(|origin| (&*origin.script, origin.line)))
        .collect();
    assert_eq!(origins, [Some(("files.sieve", Some(1))), Some(("user", Some(5)))]);
    // The implicit keep is nobody's.
    assert_eq!(evaluate("", MAIL).plan.actions[0].origin, None);
}

#[test]
fn a_run_without_a_trace_has_none() {
    assert_eq!(evaluate("keep;", MAIL).trace, None);
}
