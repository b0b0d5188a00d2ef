//! `vacation`: to whom, and with what.

use super::*;

fn reply_to(source: &str, mail: &str, from: &str) -> Evaluation {
    let source = format!("require [\"vacation\",\"vacation-seconds\",\"variables\",\"encoded-character\"];{source}");
    evaluate_with(&user(&source), mail.as_bytes(), from, Options::default())
}

fn reply(source: &str) -> VacationReply {
    let evaluation = reply_to(source, MAIL, "sender@example.com");
    let actions: Vec<&Action> = evaluation.plan.actions.iter().map(|planned| &planned.action).collect();
    match actions.as_slice() {
        [Action::Vacation(reply), Action::Keep { .. }] => reply.clone(),
        other => panic!("{source}: {other:?} {:?}", evaluation.error),
    }
}

#[test]
fn arguments_arrive() {
    let plain = reply("vacation \"Away\";");
    assert_eq!(plain.address.to_string(), "sender@example.com");
    assert_eq!(
        (plain.subject.as_str(), plain.message.as_str()),
        ("Auto: Hello", "Away")
    );
    assert_eq!((plain.mime, plain.from, plain.period), (false, None, Period::Days(7)));
    assert!(!plain.handle.is_empty());
    let full = reply(
        "vacation :days 3 :subject \"Gone\" :from \"Me <me@example.org>\" :addresses [\"a@example.org\"] \
         :mime :handle \"h\" text:\nContent-Type: text/plain\n\n..dot\n.\n;",
    );
    assert_eq!((full.subject.as_str(), full.handle.as_str()), ("Gone", "h"));
    assert_eq!((full.mime, full.period), (true, Period::Days(3)));
    assert_eq!(full.from.as_deref(), Some("Me <me@example.org>"));
    assert_eq!(full.message, "Content-Type: text/plain\r\n\r\n.dot\r\n");
    assert_eq!(reply("vacation :seconds 0 \"Away\";").period, Period::Seconds(0));
    assert_eq!(reply("vacation :days 0 \"Away\";").period, Period::Days(1));
}

#[test]
fn faults_of_vacation_are_found_at_once() {
    for (source, message) in [
        ("vacation :days 3 :seconds 3 \"Away\";", "`:days`"),
        ("vacation :from \"nobody\" \"Away\";", "is not an address"),
        (
            "vacation :from \"a@example.org, b@example.org\" \"Away\";",
            "more than one",
        ),
        (
            "vacation :from \"x${hex:0a}y@example.org\" \"Away\";",
            "control character",
        ),
        (
            "vacation :addresses [\"a@example.org\", \"a b\"] \"Away\";",
            "\"a b\" is not an address",
        ),
        ("vacation :mime \"Away\";", "MIME header"),
        ("vacation :mime text:\nBcc: a@example.net\n\nAway\n.\n;", "\"Bcc\""),
        ("vacation :days \"3\" \"Away\";", "a number is expected"),
        ("vacation :handel \"x\" \"Away\";", "no tag `:handel`"),
        ("vacation;", "a reason"),
    ] {
        let evaluation = reply_to(source, MAIL, "sender@example.com");
        let error = evaluation.error.expect(source);
        assert_eq!(error.kind, ErrorKind::Compile, "{source}");
        assert!(error.message.contains(message), "{source}: {error}");
    }
    // With variables a sender that is none is left out, a header that is none is an error.
    assert_eq!(
        reply("set \"f\" \"nobody\"; vacation :from \"${f}\" \"Away\";").from,
        None
    );
    let error = reply_to(
        "set \"m\" \"Away\"; vacation :mime \"${m}\";",
        MAIL,
        "sender@example.com",
    )
    .error;
    assert_eq!(error.unwrap().kind, ErrorKind::Runtime);
    let source = "require \"vacation\"; vacation :seconds 3 \"Away\";";
    let error = evaluate(source, MAIL).error.unwrap();
    assert!(error.message.contains("require \"vacation-seconds\""), "{error}");
}

#[test]
fn a_handle_is_of_the_text_as_written() {
    // As it always was, so that replies that were sent are remembered after an upgrade.
    assert_eq!(reply("vacation \"Away\";").handle, "cb1b8d7ce3401d1dcf52ae4a60e070a9");
    assert_eq!(
        reply("vacation :subject \"Gone\" :from \"me@example.org\" :mime \"Content-Type: text/plain\";").handle,
        "ccaac01e0122878cebf9e992d7b5a811"
    );
    let handle = |source: &str| reply(source).handle;
    assert_eq!(handle("vacation \"Away\";"), handle("vacation :days 3 \"Away\";"));
    assert_ne!(handle("vacation \"Away\";"), handle("vacation \"Gone\";"));
    let entity = "\"Content-Type: text/plain\";";
    assert_ne!(
        handle(&format!("vacation {entity}")),
        handle(&format!("vacation :mime {entity}"))
    );
    let set = |value: &str| format!("set \"a\" \"{value}\"; vacation \"Re ${{a}}\";");
    assert_eq!(handle(&set("x")), handle(&set("y")));
    assert_eq!(reply(&set("x")).message, "Re x");
}

#[test]
fn no_line_end_gets_into_a_subject() {
    let evil = "From: a@example.com\r\nTo: me@example.org\r\nSubject: =?utf-8?q?a=0D=0ABcc:_x@example.net?=\r\n\r\n";
    for source in [
        "vacation \"Away\";",
        "vacation :subject \"a${hex:0d 0a}Bcc: x@example.net\" \"Away\";",
        "if header :matches \"subject\" \"*\" { set \"f\" \"x@example.org${hex:0a}y\"; \
         vacation :subject \"Re: ${1}\" :from \"${f}\" \"Away\"; }",
    ] {
        let evaluation = reply_to(source, evil, "sender@example.com");
        let Some(Action::Vacation(reply)) = evaluation.plan.actions.first().map(|planned| &planned.action) else {
            panic!("{source}: {evaluation:?}");
        };
        assert!(!reply.subject.contains(['\r', '\n']), "{source}: {:?}", reply.subject);
        assert!(reply.subject.contains("Bcc"), "{source}: {:?}", reply.subject);
        assert!(
            !reply.from.clone().unwrap_or_default().contains(['\r', '\n']),
            "{source}"
        );
    }
}

#[test]
fn who_is_answered() {
    let mail = |fields: &str| format!("{fields}\r\nSubject: x\r\n\r\n");
    for (fields, from, answered) in [
        ("To: me@example.org", "sender@example.com", true),
        ("To: Me <ME@example.org>, b@example.com", "sender@example.com", true),
        ("To: b@example.com\r\nCc: alias@example.org", "sender@example.com", true),
        ("Resent-To: me+lists@example.org", "sender@example.com", true),
        ("To: given@example.org", "sender@example.com", true),
        ("To: other@example.org", "sender@example.com", false),
        ("X: y", "sender@example.com", false),
        ("To: me@example.org", "", false),
        ("To: me@example.org", "me@example.org", false),
        ("To: me@example.org", "Alias@example.org", false),
        ("To: me@example.org", "given@example.org", false),
        ("To: me@example.org", "owner-list@example.com", false),
        ("To: me@example.org", "list-request@example.com", false),
        ("To: me@example.org", "MAILER-DAEMON@example.com", false),
        (
            "To: me@example.org\r\nAuto-Submitted: auto-replied",
            "sender@example.com",
            false,
        ),
        (
            "To: me@example.org\r\nAuto-Submitted: No (comment)",
            "sender@example.com",
            true,
        ),
        (
            "To: me@example.org\r\nList-Id: <x.example.com>",
            "sender@example.com",
            false,
        ),
        ("To: me@example.org\r\nPrecedence: Bulk", "sender@example.com", false),
        (
            "To: me@example.org\r\nPrecedence: first-class",
            "sender@example.com",
            true,
        ),
        (
            "To: me@example.org\r\nX-Auto-Response-Suppress: OOF, DR",
            "sender@example.com",
            false,
        ),
    ] {
        let evaluation = reply_to(
            "vacation :addresses \"given@example.org\" \"Away\";",
            &mail(fields),
            from,
        );
        let is_reply = |planned: &Planned| matches!(planned.action, Action::Vacation(_));
        assert_eq!(
            evaluation.plan.actions.iter().any(is_reply),
            answered,
            "{fields} {from}"
        );
        assert_eq!(evaluation.notes.is_empty(), answered, "{fields} {from}");
        assert_eq!(evaluation.error, None);
    }
}

#[test]
fn vacation_goes_with_other_actions() {
    for (source, expected) in [
        (
            "vacation \"Away\"; discard;",
            "vacation sender@example.com \"Auto: Hello\" \"Away\"; discard",
        ),
        (
            "redirect \"a@example.net\"; vacation \"Away\";",
            "redirect a@example.net; vacation sender@example.com \"Auto: Hello\" \"Away\"",
        ),
        (
            "vacation \"Away\"; vacation \"Gone\";",
            "keep; error: vacation: a script can execute it only once",
        ),
    ] {
        assert_eq!(
            words(&reply_to(source, MAIL, "sender@example.com")),
            expected,
            "{source}"
        );
    }
}

#[test]
fn the_report_keeps_its_contract() {
    let source = "require [\"fileinto\",\"copy\",\"vacation\",\"imap4flags\"]; \
        fileinto :copy :flags \"\\\\Seen\" \"Lists\"; vacation :days 3 \"Away\"; redirect :copy \"a@example.net\";";
    let report = report(&evaluate(source, MAIL), '.');
    assert_eq!(
        report,
        serde_json::json!({
            "actions": [
                {"action": "fileinto", "mailbox": "Lists", "flags": ["\\Seen"], "copy": true, "create": false},
                {"action": "vacation", "address": "sender@example.com", "subject": "Auto: Hello",
                 "message": "Away", "mime": false, "from": null, "days": 3},
                {"action": "redirect", "address": "a@example.net", "copy": true},
                {"action": "keep", "flags": []},
            ],
            "error": null,
        })
    );
    let report = super::report(&evaluate("kep;", MAIL), '.');
    assert_eq!(
        report["error"],
        serde_json::json!({"kind": "compile", "message": "there is no command \"kep\"", "line": 1, "column": 1})
    );
}

#[test]
fn automatic_mail_notifies_nobody() {
    for (field, notified) in [
        ("Auto-Submitted: auto-notified; owner-email=\"bob@example.org\"", false),
        ("Auto-Submitted: auto-replied", false),
        ("Auto-Submitted: no", true),
        ("Precedence: bulk", true),
    ] {
        let mail = format!("To: me@example.org\r\n{field}\r\n\r\n");
        let evaluation = evaluate("require \"enotify\"; notify \"mailto:bob@example.org\";", &mail);
        let kept = if notified {
            "notify mailto:bob@example.org \"\" 2; keep"
        } else {
            "keep"
        };
        assert_eq!(words(&evaluation), kept, "{field}");
        assert_eq!(evaluation.notes.is_empty(), notified, "{field}");
    }
}
