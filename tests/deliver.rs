//! `postroom deliver`: one message from standard input, for MTAs that run a command.

mod support;

use std::process::Output;

use support::place::Place;
use support::place::wait_until;
use support::postroom::{Postroom, Wishes, without_trace};

const MESSAGE: &str = "Subject: piped\nX-Extra: a\n\nfirst\nsecond\n";

fn site(place: &Place) -> Postroom {
    Postroom::configured(
        place,
        &Wishes {
            users: Some(&["ann", "bob"]),
            ..Wishes::default()
        },
    )
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `deliver` and demands this exit code and this enhanced code at the start of its standard output.
fn assert_ends(postroom: &Postroom, arguments: &[&str], code: i32, enhanced: &str) -> String {
    let mut all = vec!["deliver"];
    all.extend(arguments);
    let output = postroom.run_with_input(&all, MESSAGE.as_bytes());
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}{complaints}",
        said(&output)
    );
    assert!(
        said(&output).starts_with(enhanced),
        "{arguments:?}: no {enhanced} first in {:?}",
        said(&output)
    );
    said(&output)
}

fn only_message(postroom: &Postroom, user: &str, mailbox: &str) -> String {
    let messages = postroom.messages(user, mailbox);
    assert_eq!(messages.len(), 1, "{messages:?}");
    let uid = messages[0]["uid"].as_u64().expect("a UID");
    String::from_utf8(postroom.show_raw(user, mailbox, uid)).expect("UTF-8")
}

#[test]
fn an_unknown_user_has_a_line_too() {
    let place = Place::new();
    let postroom = site(&place);
    let arguments = ["deliver", "-d", "nobody@example.org", "-f", "s@example.net", "-e"];
    let output = postroom.run_with_input(&arguments, MESSAGE.as_bytes());
    assert_eq!(output.status.code(), Some(67));
    let log = String::from_utf8_lossy(&output.stderr);
    for words in [
        "from=\"s@example.net\"",
        "to=\"nobody@example.org\"",
        "status=\"refused\"",
        "code=\"5.1.1\"",
    ] {
        assert!(log.contains(words), "no {words} in {log:?}");
    }
}

#[test]
fn reads_over_what_is_too_large() {
    let place = Place::new();
    let postroom = Postroom::configured(
        &place,
        &Wishes {
            more: "\n[limits]\nmessage_size = \"10000\"\n",
            ..Wishes::default()
        },
    );
    let large = format!("Subject: large\n\n{}", "0123456789abcdef\n".repeat(100_000));
    let arguments = ["deliver", "-d", "ann@example.org", "-f", "s@example.net", "-e"];
    let output = postroom.run_with_input(&arguments, large.as_bytes());
    assert_eq!((output.status.code(), &said(&output)[..6]), (Some(77), "5.3.4 "));
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let size = log.split(" size=").nth(1).and_then(|rest| rest.split(' ').next());
    let size: usize = size.and_then(|size| size.parse().ok()).expect("a size");
    assert!(size < 100_000, "no more than that is kept on the way: {log}");
}

#[test]
fn exit_codes() {
    let place = Place::new();
    let postroom = site(&place);
    postroom.give_script("bob", "require \"reject\";\nreject \"not today\";\n");
    for (arguments, code, enhanced) in [
        (&["-d", "ann@example.org", "-f", "s@example.net"][..], 0, "2.1.5 "),
        (&["-d", "ANN@example.org", "-f", "s2@example.net", "-e"], 0, "2.1.5 "),
        (&["-d", "nobody@example.org", "-f", "s@example.net", "-e"], 67, "5.1.1 "),
        (
            &["-d", "ann@elsewhere.example", "-f", "s@example.net", "-e"],
            67,
            "5.1.1 ",
        ),
        (&["-d", "../ann@example.org", "-f", "s@example.net", "-e"], 67, "5.1."),
        (
            &["-d", "bob@example.org", "-f", "s@example.net", "-e"],
            77,
            "5.7.1 not today",
        ),
        // Its own faults never bounce mail.
        (&["-d", "ann@example.org", "--no-such-flag"], 75, "4.3."),
        (&["-f", "s@example.net"], 75, "4.3."),
        (&["-d", "ann@example.org", "-p", "/nonexistent/message"], 75, "4.3."),
    ] {
        assert_ends(&postroom, arguments, code, enhanced);
    }
    assert_eq!(postroom.messages("ann@example.org", "INBOX").len(), 2);
}

#[test]
fn a_broken_configuration_defers() {
    let place = Place::new();
    let postroom = site(&place);
    for text in ["no_such_key = 1\n", "hostname = [\n", ""] {
        if text.is_empty() {
            std::fs::remove_file(&postroom.config).expect("removed");
        } else {
            place.file("postroom.toml", text);
        }
        assert_ends(&postroom, &["-d", "ann@example.org", "-f", "s@example.net"], 75, "4.3.");
    }
}

#[test]
fn keeps_bytes_and_drops_the_from_line() {
    let place = Place::new();
    let postroom = site(&place);
    let with_from = format!("From s@example.net  Mon Jan  1 00:00:00 2024\n{MESSAGE}");
    for input in [with_from.as_bytes(), MESSAGE.as_bytes()] {
        // The From_ line is the MTA's, not the message's: the second is the same delivery again.
        let arguments = ["deliver", "-d", "ann@example.org", "-f", "s@example.net"];
        let output = postroom.run_with_input(&arguments, input);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    let stored = only_message(&postroom, "ann@example.org", "INBOX");
    without_trace(stored.as_bytes(), MESSAGE.as_bytes(), "piped");
}

#[test]
fn sender_and_original_recipient() {
    let place = Place::new();
    let postroom = site(&place);
    for (from, original, user, expected) in [
        ("", "info@example.com", "ann@example.org", "Return-Path: <>\n"),
        (
            "s@example.net",
            "bob@example.org",
            "bob@example.org",
            "Return-Path: <s@example.net>\n",
        ),
    ] {
        assert_ends(
            &postroom,
            &["-d", user, "-f", from, "-a", original, "-m", ""],
            0,
            "2.1.5 ",
        );
        let stored = only_message(&postroom, user, "INBOX");
        assert!(stored.starts_with(expected), "{stored}");
        let says = stored.contains(&format!("X-Original-To: {original}\n"));
        assert_eq!(says, original != user, "X-Original-To only where it differs:\n{stored}");
    }
}

#[test]
fn into_a_mailbox_and_from_a_file() {
    let place = Place::new();
    let postroom = site(&place);
    let file = place.file("message", MESSAGE);
    let file = file.to_str().expect("UTF-8");
    assert_ends(
        &postroom,
        &["-d", "ann@example.org", "-f", "s@example.net", "-m", "Archive.2026"],
        0,
        "2.1.5 ",
    );
    only_message(&postroom, "ann@example.org", "Archive.2026");
    assert_ends(
        &postroom,
        &["-d", "bob@example.org", "-f", "s@example.net", "-p", file],
        0,
        "2.1.5 ",
    );
    let stored = only_message(&postroom, "bob@example.org", "INBOX");
    without_trace(stored.as_bytes(), MESSAGE.as_bytes(), "from a file");
    // What no mailbox may be called never leaves the home, nor loses the message.
    assert_ends(
        &postroom,
        &["-d", "ann@example.org", "-f", "t@example.net", "-m", "../../bob"],
        0,
        "2.1.5 ",
    );
    assert_eq!(postroom.messages("bob@example.org", "INBOX").len(), 1);
    only_message(&postroom, "ann@example.org", "INBOX");
}

#[test]
fn without_e_it_writes_the_bounce_itself() {
    let place = Place::new();
    // The same site takes the bounce by SMTP.
    let server = support::place::free_address();
    let mut postroom = Postroom::configured(
        &place,
        &Wishes {
            users: Some(&["ann", "bob"]),
            submission: Some(server),
            smtp: Some(server),
            ..Wishes::default()
        },
    );
    postroom.give_script("ann", "require \"reject\";\nreject \"not today\";\n");
    postroom.serve();
    assert_ends(&postroom, &["-d", "ann@example.org", "-f", "bob@example.org"], 0, "");
    wait_until("the bounce arrives", || {
        postroom
            .mailboxes("bob@example.org")
            .iter()
            .any(|it| it["messages"] == 1)
    });
    let bounce = only_message(&postroom, "bob@example.org", "INBOX");
    assert!(bounce.starts_with("Return-Path: <>\n"), "{bounce}");
    for words in [
        "multipart/report",
        "message/delivery-status",
        "not today",
        "ann@example.org",
        "Subject: piped",
    ] {
        assert!(bounce.contains(words), "no {words:?} in\n{bounce}");
    }
    // To the null sender there is none (RFC 5321 §6.1).
    assert_ends(&postroom, &["-d", "ann@example.org", "-f", ""], 0, "");
    assert_eq!(postroom.messages("bob@example.org", "INBOX").len(), 1);
}
