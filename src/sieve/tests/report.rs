//! `report` of `vnd.dovecot.report`.

use super::*;

const REQUIRE: &str = "require [\"vnd.dovecot.report\",\"variables\",\"fileinto\",\"reject\",\"copy\",\"editheader\",\
    \"enotify\",\"vacation\"];";

fn planned(source: &str) -> String {
    words(&evaluate(&format!("{REQUIRE} {source}"), MAIL))
}

#[test]
fn it_goes_with_other_actions() {
    for (source, expected) in [
        // The specification's own example (§5), less what asks for IMAP.
        (
            "report \"abuse\" \"This spam message slipped through.\" \"spam-report@example.net\";",
            "report abuse spam-report@example.net \"This spam message slipped through.\"; keep",
        ),
        (
            "report :headers_only \" not-spam \" \"x\" \"Desk <desk@example.net>\"; discard;",
            "report not-spam desk@example.net \"x\" headers; discard",
        ),
        (
            "set \"t\" \"fraud\"; if header :matches \"from\" \"*<*>\" \
             { report \"${t}\" \"from ${2}\" \"desk@example.net\"; } fileinto \"Lists\";",
            "report fraud desk@example.net \"from sender@example.com\"; fileinto Lists",
        ),
        (
            "report \"abuse\" \"x\" \"desk@example.net\"; reject \"no\";",
            "report abuse desk@example.net \"x\"; reject \"no\"",
        ),
        // §3: one for each type and recipient, the first.
        (
            "report \"abuse\" \"x\" \"desk@example.net\"; report \"Abuse\" \"y\" \"desk@EXAMPLE.net\"; \
             report \"fraud\" \"z\" \"desk@example.net\";",
            "report abuse desk@example.net \"x\"; report fraud desk@example.net \"z\"; keep",
        ),
    ] {
        assert_eq!(planned(source), expected, "{source}");
    }
}

#[test]
fn it_counts_with_redirects() {
    let report = |number: usize| format!("report \"abuse\" \"x\" \"r{number}@example.net\";");
    let reports: String = (1..=4).map(report).collect();
    let all = (1..=4)
        .map(|number| format!("report abuse r{number}@example.net \"x\"; "))
        .collect::<String>()
        + "keep";
    assert_eq!(planned(&reports), all);
    assert_eq!(
        planned(&format!("{reports} report \"fraud\" \"x\" \"r1@example.net\";"))
            .matches("report")
            .count(),
        5
    );
    let too_many = "more than 4 addresses are not allowed";
    for (more, command) in [
        (report(5), "report"),
        ("redirect :copy \"a@example.net\";".to_owned(), "redirect"),
    ] {
        assert_eq!(
            planned(&(reports.clone() + &more)),
            format!("keep; error: {command}: {too_many}")
        );
    }
    // To whom it is redirected anyway, a report is no more.
    let same = "redirect :copy \"r1@example.net\";";
    assert!(!planned(&(reports + same)).contains("error"), "{same}");
}

#[test]
fn faults_are_found_at_once() {
    for (source, message) in [
        ("report;", "a type of feedback"),
        ("report \"abuse\";", "a message"),
        ("report \"abuse\" \"x\";", "an address"),
        ("report \"abuse\" \"x\" 1;", "a string"),
        ("report :frop \"abuse\" \"x\" \"a@example.net\";", "no tag `:frop`"),
        ("report \"abuse\" \"x\" \"a@example.net\" { }", "not a block"),
        ("report \"?????\" \"x\" \"a@example.net\";", "is not a type of feedback"),
        ("report \"\" \"x\" \"a@example.net\";", "is not a type of feedback"),
        ("report \"abuse\" \"x\" \"nobody\";", "is not an address"),
        ("report \"abuse\" \"x\" \"a@b c\";", "is not an address"),
    ] {
        let error = evaluate(&format!("{REQUIRE} {source}"), MAIL).error.expect(source);
        assert_eq!(error.kind, ErrorKind::Compile, "{source}");
        assert!(error.message.contains(message), "{source}: {error}");
    }
    let error = evaluate("report \"abuse\" \"x\" \"a@example.net\";", MAIL)
        .error
        .unwrap();
    assert!(error.message.contains("require \"vnd.dovecot.report\""), "{error}");
    for (source, expected) in [
        (
            "set \"t\" \"a b\"; report \"${t}\" \"x\" \"a@example.net\";",
            "keep; error: report: \"a b\" is not a type of feedback: it is one word, such as \"abuse\", \"fraud\" or \
             \"not-spam\"",
        ),
        (
            "set \"a\" \"nobody\"; report \"abuse\" \"x\" \"${a}\";",
            "keep; error: report: \"nobody\" is not an address: it has no domain",
        ),
    ] {
        assert_eq!(planned(source), expected, "{source}");
    }
}

// §3: never to the account itself; and no report about a report, so that nothing goes round.
#[test]
fn nothing_goes_round() {
    let report = |to: &str, mail: &str| {
        let evaluation = evaluate(&format!("{REQUIRE} report \"abuse\" \"x\" \"{to}\";"), mail);
        assert_eq!(evaluation.error, None);
        (words(&evaluation), evaluation.notes)
    };
    for own in ["me@example.org", "Alias@example.org", "me+lists@example.org"] {
        let (plan, notes) = report(own, MAIL);
        assert_eq!((plan.as_str(), notes.len()), ("keep", 1), "{own}");
        assert!(notes[0].to_string().ends_with("it is an own address"), "{}", notes[0]);
    }
    for (field, reported) in [
        (
            "Content-Type: multipart/report;\r\n report-type=\"Feedback-Report\"; boundary=x",
            false,
        ),
        (
            "Content-Type: multipart/report; report-type=delivery-status; boundary=x",
            true,
        ),
        // What programs send is what is reported most.
        ("Auto-Submitted: auto-generated", true),
        ("Precedence: bulk", true),
    ] {
        let (plan, notes) = report(
            "desk@example.net",
            &format!("{field}\r\nTo: me@example.org\r\n\r\nx\r\n"),
        );
        assert_eq!(plan.contains("report"), reported, "{field}");
        assert_eq!(notes.is_empty(), reported, "{field}");
    }
}

#[test]
fn it_is_about_the_message_as_it_came() {
    let source = "addheader \"X-Edited\" \"yes\"; report \"abuse\" \"x\" \"desk@example.net\";";
    let evaluation = evaluate(&format!("{REQUIRE} {source}"), MAIL);
    let is_report = |planned: &&Planned| matches!(planned.action, Action::Report(_));
    let report = evaluation.plan.actions.iter().find(is_report).unwrap();
    assert_eq!(report.edition, None);
    assert!(edition(&evaluation, MAIL).contains("X-Edited"));
}

#[test]
fn the_object_for_programs() {
    let evaluation = evaluate(
        &format!("{REQUIRE} report :headers_only \"abuse\" \"x\" \"desk@example.net\"; discard;"),
        MAIL,
    );
    let expected = serde_json::json!({
        "action": "report", "address": "desk@example.net", "feedback_type": "abuse", "message": "x", "headers_only": true,
    });
    assert_eq!(super::report(&evaluation, '.')["actions"][0], expected);
}
