//! `notify` and its tests, `:fcc`: RFC 5435, RFC 5436, RFC 8580.

use super::*;

const REQUIRE: &str = "require [\"enotify\",\"fileinto\",\"variables\",\"fcc\",\"mailbox\",\"imap4flags\",\
    \"special-use\",\"mailboxid\",\"vacation\"];";

fn notification(source: &str) -> Action {
    let evaluation = evaluate(&format!("{REQUIRE} {source}"), MAIL);
    let planned = evaluation.plan.actions.first();
    match planned.map(|planned| planned.action.clone()) {
        Some(action @ (Action::Notify { .. } | Action::Vacation(_))) => action,
        other => panic!("{source}: {other:?} {:?}", evaluation.error),
    }
}

#[test]
fn arguments_arrive() {
    // RFC 5435 §3.7, with the method that there is here.
    let action = notification(
        "if header :matches \"subject\" \"*\" { notify :from \"Me <me@example.org>\" :importance \"3\" \
         :options [\"a=b\"] :message \"[SIEVE] ${1}\" \"mailto:alm@example.com?subject=x\"; }",
    );
    assert_eq!(
        action,
        Action::Notify {
            method: "mailto:alm@example.com?subject=x".to_owned(),
            addresses: vec![Address::parse("alm@example.com").unwrap()],
            from: Some("Me <me@example.org>".to_owned()),
            options: vec!["a=b".to_owned()],
            message: "[SIEVE] Hello".to_owned(),
            importance: 3,
            fcc: None,
        }
    );
    // RFC 5435 §3.3: a sender that is none is left out.
    let Action::Notify { from, .. } =
        notification("set \"f\" \"nobody\"; notify :from \"${f}\" \"mailto:a@example.net\";")
    else {
        panic!("no notification");
    };
    assert_eq!(from, None);
}

#[test]
fn faults_are_found_at_once() {
    for (source, message) in [
        ("notify \"mailto:nobody\";", "not a mailto URI"),
        ("notify \"mailto:\";", "names no address"),
        (
            "notify :importance \"4\" \"mailto:a@example.net\";",
            "not an importance",
        ),
        ("notify :importance 1 \"mailto:a@example.net\";", "a string is expected"),
        ("notify :from \"nobody\" \"mailto:a@example.net\";", "is not an address"),
        ("notify :options \"x\" \"mailto:a@example.net\";", "not an option"),
        ("notify :method \"mailto:a@example.net\";", "no tag `:method`"),
        ("notify;", "the URI of a method"),
        ("notify :create \"mailto:a@example.net\";", "only with `:fcc`"),
        ("vacation :specialuse \"\\\\Sent\" \"x\";", "only with `:fcc`"),
        ("vacation :fcc \"../x\" \"x\";", "mailbox name"),
        ("vacation :fcc \"Sent\" :specialuse \"Sent\" \"x\";", "special use"),
    ] {
        let evaluation = evaluate(&format!("{REQUIRE} {source}"), MAIL);
        let error = evaluation.error.expect(source);
        assert_eq!(error.kind, ErrorKind::Compile, "{source}");
        assert!(error.message.contains(message), "{source}: {error}");
    }
    // RFC 5435 §3.2: a script may say what it would do with another method, but not do it.
    for (source, expected) in [
        (
            "if valid_notify_method \"xmpp:a@example.net\" { notify \"xmpp:a@example.net\"; } else { discard; }",
            "discard",
        ),
        (
            "set \"m\" \"mailto:\"; notify \"${m}\";",
            "keep; error: notify: the mailto URI names no address",
        ),
        (
            "notify \"tel:+14085551212\";",
            "keep; error: notify: the method \"tel:+14085551212\" is not supported",
        ),
        (
            "set \"i\" \"high\"; notify :importance \"${i}\" \"mailto:a@example.net\";",
            "keep; error: notify: \"high\" is not an importance: it is \"1\", \"2\" or \"3\"",
        ),
    ] {
        assert_eq!(
            words(&evaluate(&format!("{REQUIRE} {source}"), MAIL)),
            expected,
            "{source}"
        );
    }
    let warnings = |method: &str| warnings(&format!("require \"enotify\"; notify \"{method}\";"));
    assert_eq!(warnings("mailto:a@example.net?subject=x").len(), 0);
    assert_eq!(warnings("mailto:a@example.net?X-Priority=1&cc=b@example.net").len(), 2);
    assert_eq!(warnings("xmpp:a@example.net").len(), 1);
}

#[test]
fn methods_and_their_capabilities() {
    answers(
        "\"enotify\",\"relational\",\"comparator-i;ascii-numeric\"",
        MAIL,
        &[
            // RFC 5435 §4
            ("valid_notify_method \"mailto:alm@example.com\"", true),
            (
                "valid_notify_method [\"mailto:a@example.com\", \"http://gw.example.net/notify?test\"]",
                false,
            ),
            ("valid_notify_method \"mailto:\"", true),
            ("valid_notify_method \"mailto:nobody\"", false),
            // RFC 5435 §5, RFC 5436 §2.6
            (
                "notify_method_capability \"mailto:a@example.com\" \"Online\" \"maybe\"",
                true,
            ),
            (
                "notify_method_capability \"mailto:a@example.com\" \"online\" [\"yes\", \"no\"]",
                false,
            ),
            (
                "notify_method_capability :count \"eq\" \"mailto:a@example.com\" \"online\" \"1\"",
                true,
            ),
            (
                "notify_method_capability :contains \"mailto:a@example.com\" \"other\" \"\"",
                false,
            ),
            (
                "notify_method_capability :contains \"xmpp:tim@example.com?message;subject=SIEVE\" \"Online\" \"\"",
                false,
            ),
        ],
    );
}

#[test]
fn a_copy_of_what_is_sent() {
    let fcc = |source: &str| match notification(source) {
        Action::Notify { fcc, .. } => fcc,
        Action::Vacation(reply) => reply.fcc,
        _ => None,
    };
    let expected = |mailbox: &str, flags: &[&str], create| {
        let mut set = crate::mail::Flags::new();
        for flag in flags {
            set.insert(flag).unwrap();
        }
        Some(Fcc {
            mailbox: MailboxName::parse(mailbox, '.').unwrap(),
            flags: set,
            create,
            special_use: None,
        })
    };
    for (source, copy) in [
        ("vacation \"Away\";", None),
        // RFC 8580: the examples, by their form.
        (
            "vacation :days 7 :from \"hemingway@example.com\" :fcc \"INBOX.Sent\" \"Gone\";",
            expected("INBOX.Sent", &[], false),
        ),
        (
            "vacation :flags [\"\\\\Seen\"] :fcc \"Sent\" :create \"Gone\";",
            expected("Sent", &["\\Seen"], true),
        ),
        (
            "notify :fcc \"Sent\" :message \"x\" \"mailto:a@example.net\";",
            expected("Sent", &[], false),
        ),
        // RFC 8579, RFC 9042
        (
            "vacation :specialuse \"\\\\Archive\" :fcc \"Other\" \"Gone\";",
            expected("Lists", &[], false),
        ),
        (
            "vacation :mailboxid \"F1\" :fcc \"Other\" \"Gone\";",
            expected("Lists", &[], false),
        ),
        (
            "set \"m\" \"Sent\"; vacation :fcc \"${m}\" \"Gone\";",
            expected("Sent", &[], false),
        ),
        // RFC 8580 §3.1: flags set before belong to the message that came.
        (
            "setflag \"a\"; vacation :fcc \"Sent\" \"Gone\";",
            expected("Sent", &[], false),
        ),
    ] {
        assert_eq!(fcc(source), copy, "{source}");
    }
    let error = evaluate("require \"vacation\"; vacation :fcc \"Sent\" \"Gone\";", MAIL)
        .error
        .unwrap();
    assert!(error.message.contains("require \"fcc\""), "{error}");
}
