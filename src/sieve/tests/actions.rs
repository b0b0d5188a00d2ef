//! What actions come out, and how they go together.

use super::*;

#[test]
fn keeps() {
    table(&[
        ("", "keep"),
        ("# nothing", "keep"),
        ("keep;", "keep"),
        ("keep; keep;", "keep"),
        ("stop; discard;", "keep"),
        ("discard;", "discard"),
        // sieve-rs loses these keeps.
        ("keep; discard;", "keep"),
        ("discard; keep;", "keep"),
        (
            "require \"fileinto\"; keep; fileinto \"Lists\";",
            "keep; fileinto Lists",
        ),
        (
            "require \"fileinto\"; fileinto \"Lists\"; keep;",
            "fileinto Lists; keep",
        ),
        ("keep; redirect \"a@example.net\";", "keep; redirect a@example.net"),
        ("if true { keep; } discard;", "keep"),
        ("if header :is \"subject\" \"hello\" { keep; stop; } discard;", "keep"),
        ("require \"include\"; include \"keeps\"; discard;", "keep"),
        (
            "require \"include\"; include \"keeps\"; redirect \"a@example.net\";",
            "keep; redirect a@example.net",
        ),
    ]);
}

#[test]
fn files_and_redirects() {
    table(&[
        ("require \"fileinto\"; fileinto \"Lists\";", "fileinto Lists"),
        ("require \"fileinto\"; fileinto \"inbox\";", "fileinto INBOX"),
        (
            "require [\"fileinto\",\"copy\"]; fileinto :copy \"Lists\";",
            "fileinto Lists copy; keep",
        ),
        (
            "require [\"fileinto\",\"mailbox\"]; fileinto :create \"New.One\";",
            "fileinto New.One create",
        ),
        (
            "require [\"fileinto\",\"copy\"]; fileinto :copy \"Lists\"; discard;",
            "fileinto Lists copy",
        ),
        ("redirect \"a@example.net\";", "redirect a@example.net"),
        (
            "require \"copy\"; redirect :copy \"a@example.net\";",
            "redirect a@example.net copy; keep",
        ),
        ("redirect \"Ann <a@example.net>\";", "redirect a@example.net"),
        // A mailbox gets the message once, an address one redirect.
        (
            "require [\"fileinto\",\"copy\"]; fileinto :copy \"A\"; fileinto \"A\"; fileinto \"A\";",
            "fileinto A",
        ),
        (
            "redirect \"a@example.net\"; redirect \"A@Example.net\";",
            "redirect a@example.net",
        ),
        ("require \"fileinto\"; fileinto \"INBOX\"; keep;", "fileinto INBOX"),
        // Never to oneself.
        ("redirect \"ME@example.org\";", "keep"),
        ("redirect \"me@example.org\"; discard;", "keep"),
        (
            "require \"fileinto\"; redirect \"me@example.org\"; fileinto \"Lists\";",
            "fileinto Lists",
        ),
        (
            "require \"reject\"; redirect \"me@example.org\"; reject \"No.\";",
            "reject \"No.\"",
        ),
        (
            "redirect \"alias@example.org\"; redirect \"a@example.net\";",
            "redirect a@example.net",
        ),
        (
            "require \"special-use\"; require \"fileinto\"; fileinto :specialuse \"\\\\Junk\" \"Spam\";",
            "fileinto Spam",
        ),
    ]);
}

#[test]
fn flags() {
    let head = "require [\"imap4flags\",\"fileinto\",\"variables\",\"copy\"];";
    for (source, expected) in [
        ("keep :flags \"\\\\Seen\";", "keep [\\Seen]"),
        (
            "addflag \"\\\\Flagged\"; addflag [\"$label\", \"\\\\seen\"];",
            "keep [\\Flagged \\Seen $label]",
        ),
        (
            "setflag \"a b\"; removeflag \"a\"; fileinto \"Lists\";",
            "fileinto Lists [b]",
        ),
        (
            "setflag \"\\\\Seen\"; fileinto :copy \"A\"; setflag \"\\\\Flagged\";",
            "fileinto A [\\Seen] copy; keep [\\Flagged]",
        ),
        ("setflag \"a\"; keep; setflag \"b\"; discard;", "keep [a]"),
        (
            "fileinto :flags \"a\" \"X\"; fileinto :flags [\"b\"] \"X\";",
            "fileinto X [a b]",
        ),
        (
            "setflag \"mine\" \"\\\\Deleted\"; keep :flags \"${mine}\";",
            "keep [\\Deleted]",
        ),
        ("if hasflag \"x\" { discard; }", "keep"),
        ("setflag \"x\"; if hasflag \"x\" { discard; }", "discard"),
        ("keep :flags [\"\\\\Bogus\", \"no(t\", \"ok\"];", "keep [ok]"),
    ] {
        assert_eq!(words(&evaluate(&format!("{head}{source}"), MAIL)), expected, "{source}");
    }
}

#[test]
fn rejects() {
    let head = "require [\"reject\",\"ereject\",\"fileinto\",\"copy\",\"vacation\"];";
    let conflict = |with: &str| format!("keep; error: reject does not go together with {with}");
    for (source, expected) in [
        ("reject \"No.\";", "reject \"No.\"".to_owned()),
        (
            "ereject text:\nNo,\nnever.\n.\n;",
            "reject \"No,\\nnever.\\n\" ereject".to_owned(),
        ),
        ("discard; reject \"No.\";", "reject \"No.\"".to_owned()),
        ("reject \"No.\"; keep;", conflict("keep")),
        ("keep; reject \"No.\";", conflict("keep")),
        ("reject \"No.\"; fileinto \"A\";", conflict("fileinto")),
        (
            "redirect :copy \"a@example.net\"; reject \"No.\";",
            conflict("redirect"),
        ),
        ("reject \"No.\"; vacation \"Away\";", conflict("vacation")),
        (
            "reject \"No.\"; ereject \"No.\";",
            "keep; error: reject: a message can be rejected only once".to_owned(),
        ),
    ] {
        assert_eq!(words(&evaluate(&format!("{head}{source}"), MAIL)), expected, "{source}");
    }
}

#[test]
fn redirects_have_a_limit() {
    let redirects =
        |count: usize| -> String { (0..count).map(|n| format!("redirect \"a{n}@example.net\";")).collect() };
    let evaluation = evaluate(&redirects(4), MAIL);
    assert_eq!((evaluation.plan.actions.len(), &evaluation.error), (4, &None));
    assert_eq!(
        words(&evaluate(&redirects(5), MAIL)),
        "keep; error: redirect: more than 4 addresses are not allowed"
    );
}

#[test]
fn notifies() {
    let head = "require [\"enotify\",\"fileinto\"];";
    for (source, expected) in [
        (
            "notify \"mailto:a@example.net\";",
            "notify mailto:a@example.net \"\" 2; keep",
        ),
        (
            "notify :importance \"1\" :message \"New\" \"mailto:a@example.net\"; discard;",
            "notify mailto:a@example.net \"New\" 1; discard",
        ),
        (
            "notify \"xmpp:a@example.net\";",
            "keep; error: notify: the method \"xmpp:a@example.net\" is not supported",
        ),
        (
            "if valid_notify_method \"mailto:a@example.net\" { discard; }",
            "discard",
        ),
    ] {
        assert_eq!(words(&evaluate(&format!("{head}{source}"), MAIL)), expected, "{source}");
    }
}

#[test]
fn names_are_checked() {
    for mailbox in ["../x", "a/b", "..", "", "a..b", "/etc/passwd"] {
        let head = "require [\"fileinto\",\"variables\"];";
        for (source, kind) in [
            (format!("fileinto \"{mailbox}\";"), ErrorKind::Compile),
            (
                format!("set \"m\" \"{mailbox}\"; fileinto \"${{m}}\";"),
                ErrorKind::Runtime,
            ),
        ] {
            let evaluation = evaluate(&format!("{head}{source}"), MAIL);
            assert_eq!(evaluation.plan, Plan::keep(), "{source}");
            assert_eq!(evaluation.error.unwrap().kind, kind, "{source}");
        }
    }
    let nul = "require [\"fileinto\",\"encoded-character\"]; fileinto \"a${hex:00}b\";";
    assert_eq!(evaluate(nul, MAIL).plan, Plan::keep());
    for address in ["", "no one", "a@", "@b", "a@b\r\nBcc: c@d", "a@b, c@d"] {
        for source in [
            format!("redirect \"{address}\";"),
            format!("require \"variables\"; set \"a\" \"{address}\"; redirect \"${{a}}\";"),
        ] {
            let evaluation = evaluate(&source, MAIL);
            assert_eq!(evaluation.plan, Plan::keep(), "{source}");
            assert!(
                evaluation.error.unwrap().message.contains("is not an address"),
                "{source}"
            );
        }
    }
}

#[test]
fn nobody_can_name_our_marks() {
    let source = "require [\"fileinto\",\"mailbox\"]; fileinto :mailboxid \"keep\" \"Lists\";";
    let error = evaluate(source, MAIL).error.unwrap();
    assert_eq!((error.kind, error.line), (ErrorKind::Compile, Some(1)));
}
