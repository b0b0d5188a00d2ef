//! Redirects: what leaves, what stays, and what a second attempt does.

mod support;

use support::place::{Place, free_address};
use support::postroom::{Postroom, Wishes, without_trace};
use support::relay::Relay;

const ANN: &str = "ann@example.org";
const BOB: &str = "bob@example.org";
const MESSAGE: &str = "Subject: on its way\r\nMessage-ID: <1@example.net>\r\n\r\nbody\r\n";
const STORED: &str = "Subject: on its way\nMessage-ID: <1@example.net>\n\nbody\n";

/// A site in front of a relay, where ann has this script.
fn site(place: &Place, relay: &Relay, script: &str) -> Postroom {
    let mut postroom = Postroom::configured(
        place,
        &Wishes {
            submission: Some(relay.address),
            ..Wishes::default()
        },
    );
    postroom.give_script("ann", script);
    postroom.serve();
    postroom
}

/// A site that hands its redirects to itself.
fn site_in_a_circle(place: &Place, scripts: &[(&str, &str)]) -> Postroom {
    let smtp = free_address();
    let mut postroom = Postroom::configured(
        place,
        &Wishes {
            submission: Some(smtp),
            smtp: Some(smtp),
            ..Wishes::default()
        },
    );
    for (user, script) in scripts {
        postroom.give_script(user, script);
    }
    postroom.serve();
    postroom
}

fn subjects(postroom: &Postroom, user: &str) -> Vec<String> {
    let messages = postroom.messages(user, "INBOX");
    messages
        .iter()
        .map(|it| it["subject"].as_str().expect("a subject").to_owned())
        .collect()
}

#[test]
fn arrives_at_the_other_server() {
    let (here, there) = (Place::new(), Place::new());
    let other = Postroom::serving(&there, &Wishes::default());
    let mut postroom = Postroom::configured(
        &here,
        &Wishes {
            submission: Some(other.smtp),
            ..Wishes::default()
        },
    );
    postroom.give_script("ann", "redirect \"bob@example.org\";\n");
    postroom.serve();
    for (from, return_path) in [
        ("s@example.net", "Return-Path: <s@example.net>\n"),
        ("", "Return-Path: <>\n"),
    ] {
        assert_eq!(postroom.send(from, &[ANN], MESSAGE)[0].code, 250);
        assert_eq!(postroom.count(ANN, "INBOX"), 0);
        let texts = other.texts(BOB, "INBOX");
        let text = texts.last().expect("it arrived");
        assert!(text.starts_with(return_path), "{text}");
        let forwarded = format!("X-Postroom-Redirected-From: {ANN}\n{STORED}");
        without_trace(text.as_bytes(), forwarded.as_bytes(), "redirected");
    }
    assert_eq!(other.count(BOB, "INBOX"), 2);
}

#[test]
fn the_sender_is_whom_the_site_names() {
    let secret = "0123456789abcdef0123456789abcdef";
    for (wanted, prefix) in [
        ("\"recipient\"", ANN),
        ("\"bounces@example.org\"", "bounces@example.org"),
        ("\"srs\"", "SRS0="),
    ] {
        let place = Place::new();
        let relay = Relay::new();
        let file = place.file("secret", format!("{secret}\n"));
        let more =
            format!("redirect_sender = {wanted}\nsrs_domain = \"srs.example.org\"\nsrs_secret_file = {file:?}\n");
        let mut postroom = Postroom::configured(
            &place,
            &Wishes {
                submission: Some(relay.address),
                more: &more,
                ..Wishes::default()
            },
        );
        postroom.give_script("ann", "redirect \"out@example.net\";\n");
        postroom.serve();
        assert_eq!(postroom.send("s@example.net", &[ANN], MESSAGE)[0].code, 250);
        assert_eq!(postroom.send("", &[ANN], MESSAGE)[0].code, 250);
        let [mail, bounce] = &relay.taken()[..] else {
            panic!("two redirects")
        };
        assert!(mail.from.starts_with(prefix), "{wanted}: {}", mail.from);
        assert_eq!(bounce.from, "", "{wanted}: a bounce stays one");
        if prefix == "SRS0=" {
            returns(&postroom, &relay, &mail.from);
        }
    }
}

/// The bounce of what was redirected finds its way back to the sender; nothing else does.
fn returns(postroom: &Postroom, relay: &Relay, rewritten: &str) {
    let decoded = postroom.run(&["srs", "decode", rewritten]);
    assert_eq!(decoded, b"s@example.net\n");
    assert_eq!(
        postroom.run(&["srs", "decode", &rewritten.to_lowercase()]),
        b"s@example.net\n"
    );
    let encoded = postroom.run(&["srs", "encode", "s@example.net"]);
    assert_eq!(String::from_utf8_lossy(&encoded).trim_end(), rewritten);
    let bounce = "Subject: undeliverable\n\nno such user\n";
    let return_to = |from: &str, to: &str| {
        let output = postroom.run_with_input(&["srs", "return", "-f", from, to], bounce.as_bytes());
        output.status.code()
    };
    assert_eq!(return_to("", rewritten), Some(0));
    let [mail] = &relay.taken()[..] else {
        panic!("one bounce")
    };
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("", &["s@example.net".to_owned()][..])
    );
    assert_eq!(mail.text, bounce);
    let forged = rewritten.replace("=s@", "=eve@");
    for (from, to, code) in [
        ("spammer@example.com", rewritten, 77),
        ("", &forged, 67),
        ("", ANN, 67),
        ("", "x@srs.example.org", 67),
    ] {
        assert_eq!(return_to(from, to), Some(code), "{from:?} {to}");
    }
    assert!(relay.taken().is_empty());
    relay.answer("RCPT", "451 4.3.0 later");
    assert_eq!(return_to("", rewritten), Some(75));
}

#[test]
fn refused_for_good_it_stays() {
    let place = Place::new();
    let relay = Relay::new();
    let postroom = site(&place, &relay, "redirect \"gone@example.net\";\n");
    for (at, reply) in [
        ("MAIL", "550 5.7.1 not from you"),
        ("RCPT", "550 5.1.1 gone"),
        ("DATA", "554 5.5.1 nobody"),
        (".", "554 5.7.1 spam"),
    ] {
        relay.take_all();
        relay.answer(at, reply);
        let message = format!("Subject: refused at {at}\r\n\r\nbody\r\n");
        let before = subjects(&postroom, ANN);
        assert_eq!(postroom.send("s@example.net", &[ANN], &message)[0].code, 250, "{at}");
        let subjects = subjects(&postroom, ANN);
        assert!(subjects.contains(&format!("refused at {at}")), "{subjects:?}");
        // The owner is told of one thing once a day.
        let added = if before.is_empty() { 2 } else { 1 };
        assert_eq!(subjects.len(), before.len() + added, "{at}: {subjects:?}");
    }
    let notices = postroom.texts(ANN, "INBOX");
    let notice = notices.iter().find(|text| text.contains("gone@example.net"));
    let notice = notice.expect("a notice that names the address");
    assert!(
        notice.contains("Return-Path: <>\n") && notice.contains("Auto-Submitted: auto-"),
        "{notice}"
    );
    assert!(relay.taken().is_empty());
}

#[test]
fn deferred_nothing_happens_and_later_all_of_it_once() {
    let cases = [
        ("redirect :copy \"out@example.net\"; keep;", ["out@example.net", ""], 1),
        ("redirect \"out@example.net\";", ["out@example.net", ""], 0),
        // Of a plan half done only the rest is done.
        (
            "redirect \"out@example.net\"; redirect :copy \"late@example.net\"; keep;",
            ["out@example.net", "late@example.net"],
            1,
        ),
    ];
    for (script, addresses, copies) in cases {
        let place = Place::new();
        let relay = Relay::new();
        let script = format!("require \"copy\";\n{script}\n");
        let postroom = site(&place, &relay, &script);
        let late = if addresses[1].is_empty() {
            "RCPT"
        } else {
            "RCPT TO:<late"
        };
        relay.answer(late, "451 4.3.0 later");
        for _ in 0..2 {
            let reply = &postroom.send("s@example.net", &[ANN], MESSAGE)[0];
            assert!(
                reply.code == 451 && reply.text.starts_with("4.3.0 "),
                "{script}: {reply:?}"
            );
            assert_eq!(postroom.count(ANN, "INBOX"), 0, "{script}");
        }
        relay.take_all();
        for _ in 0..2 {
            let reply = &postroom.send("s@example.net", &[ANN], MESSAGE)[0];
            assert_eq!(reply.code, 250, "{script}: {reply:?}");
            assert_eq!(postroom.count(ANN, "INBOX"), copies, "{script}");
        }
        let mut sent: Vec<String> = relay.taken().into_iter().flat_map(|mail| mail.to).collect();
        sent.sort_by_key(|to| addresses.iter().position(|address| address == to));
        let expected: Vec<&str> = addresses.into_iter().filter(|it| !it.is_empty()).collect();
        assert_eq!(sent, expected, "{script}: one redirect to each");
        postroom.run(&["index", "check", ANN]);
    }
}

#[test]
fn without_a_server_it_is_deferred_with_the_cause() {
    for submission in [None, Some(free_address())] {
        let place = Place::new();
        let mut postroom = Postroom::configured(
            &place,
            &Wishes {
                submission,
                ..Wishes::default()
            },
        );
        postroom.give_script("ann", "redirect \"out@example.net\";\n");
        postroom.serve();
        let reply = &postroom.send("s@example.net", &[ANN], MESSAGE)[0];
        assert_eq!(reply.code, 451, "{reply:?}");
        let cause = if submission.is_some() {
            "refused"
        } else {
            "[submission]"
        };
        let log = postroom.log();
        let line = log
            .lines()
            .find(|line| line.contains("status=\"deferred\""))
            .unwrap_or(&log);
        assert!(line.contains("out@example.net") && line.contains(cause), "{log}");
    }
}

#[test]
fn what_comes_back_is_kept() {
    for (scripts, at_ann) in [
        (&[("ann", "redirect \"ann@example.org\";")][..], "to oneself"),
        (
            &[
                ("ann", "redirect \"bob@example.org\";"),
                ("bob", "redirect \"ann@example.org\";"),
            ],
            "in a circle",
        ),
        (
            &[("ann", "redirect \"ann+x@example.org\";")],
            "to oneself with a detail",
        ),
    ] {
        let place = Place::new();
        let postroom = site_in_a_circle(&place, scripts);
        assert_eq!(postroom.send("s@example.net", &[ANN], MESSAGE)[0].code, 250, "{at_ann}");
        let subjects = subjects(&postroom, ANN);
        let kept = subjects.iter().filter(|it| *it == "on its way").count();
        assert_eq!(kept, 1, "{at_ann}: {subjects:?}\n{}", postroom.log());
        assert_eq!(postroom.count(BOB, "INBOX"), 0, "{at_ann}");
    }
}

#[test]
fn more_redirects_than_allowed_are_an_error_of_the_script() {
    let place = Place::new();
    let relay = Relay::new();
    let many: String = (0..9).map(|n| format!("redirect \"n{n}@example.net\";\n")).collect();
    let postroom = site(&place, &relay, &many);
    assert_eq!(postroom.send("s@example.net", &[ANN], MESSAGE)[0].code, 250);
    assert!(relay.taken().is_empty());
    let subjects = subjects(&postroom, ANN);
    assert_eq!(subjects.len(), 2, "the message and a notice: {subjects:?}");
}
