//! The shipped filters on real deliveries, the examples on messages, and delivering again.

mod support;

mod filters {
    mod examples;
}

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::child::run;
use support::lmtp::{Carriage, Client, Reply};
use support::place::Place;
use support::postroom::{Postroom, Wishes};

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("filters").join(name)
}

fn send(postroom: &Postroom, from: &str, to: &[&str], message: &str) -> Vec<Reply> {
    let mut client = Client::lmtp(postroom.lmtp).expect("a session");
    client
        .send(from, to, message.as_bytes(), Carriage::Data)
        .expect("a reply")
}

fn count(postroom: &Postroom, user: &str, mailbox: &str) -> u64 {
    let mailboxes = postroom.mailboxes(user);
    let found = mailboxes.iter().find(|it| it["name"] == mailbox);
    found.map_or(0, |it| it["messages"].as_u64().expect("a number"))
}

const SPAM: &[(&str, bool)] = &[
    ("X-Spam-Flag: YES", true),
    ("X-Spam-Flag: NO", false),
    ("X-Spam-Status: Yes, score=7.1 required=5.0 tests=BAYES_99", true),
    ("X-Spam-Status: No, score=-1.0 required=5.0 tests=NONE", false),
    ("X-Spam: Yes", true),
    ("X-Spam: No", false),
    (
        "X-Spamd-Result: default: True [15.20 / 15.00];\r\n\tBAYES_SPAM(5.10)[100.00%]",
        true,
    ),
    (
        "X-Spamd-Result: default: False [-0.10 / 15.00];\r\n\tARC_NA(0.00)[]",
        false,
    ),
    ("Subject: X-Spam-Flag: YES", false),
];

#[test]
fn spam_goes_to_junk() {
    let place = Place::new();
    let (before, default) = (shipped("before"), shipped("default.sieve"));
    let wishes = Wishes {
        before: Some(&before),
        default: Some(&default),
        ..Wishes::default()
    };
    let postroom = Postroom::serving(&place, &wishes);
    for (number, (field, junk)) in SPAM.iter().enumerate() {
        let user = format!("user{number}@example.org");
        let replies = send(
            &postroom,
            "s@example.net",
            &[&user],
            &format!("{field}\r\n\r\nbody\r\n"),
        );
        assert_eq!(replies[0].code, 250, "{field}: {replies:?}");
        let expected = if *junk { (0, 1) } else { (1, 0) };
        let found = (count(&postroom, &user, "INBOX"), count(&postroom, &user, "Junk"));
        assert_eq!(found, expected, "{field}: (INBOX, Junk)\n{}", postroom.log());
    }
}

#[test]
fn every_shipped_script_runs() {
    let place = Place::new();
    let message = place.file(
        "message",
        "From: a@example.net\nSubject: hello\nList-Id: <x.example.net>\n\nbody\n",
    );
    for script in ["before/10-spam.sieve", "default.sieve", "examples/user.sieve"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postroom"));
        let out = run(command
            .args(["sieve", "test", "--json"])
            .arg(shipped(script))
            .arg(&message));
        let answer: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(answer["error"], Value::Null, "{script}");
        assert!(
            answer["actions"].as_array().is_some_and(|it| !it.is_empty()),
            "{script}: {answer}"
        );
    }
}

/// The delivery id out of a reply.
fn id(reply: &Reply) -> String {
    assert_eq!(reply.code, 250, "{reply:?}");
    let mut words = reply.text.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .rfind(|word| word.len() == 13)
        .unwrap_or_else(|| panic!("no id in {reply:?}"))
        .to_owned()
}

#[test]
fn delivering_again_is_harmless() {
    let place = Place::new();
    let mut postroom = Postroom::serving(&place, &Wishes::default());
    let both = ["ann@example.org", "bob@example.org"];
    let first = send(&postroom, "s@example.net", &both, "Subject: once\r\n\r\nbody\r\n");
    let ids: Vec<String> = first.iter().map(id).collect();

    let again = [
        ("the same bytes", "Subject: once\r\n\r\nbody\r\n"),
        (
            "fields that an MTA adds for each try",
            "Return-Path: <s@example.net>\r\nEnvelope-to: ann@example.org\r\n\
          Delivery-date: Mon, 1 Jan 2024 00:00:00 +0000\r\nSubject: once\r\n\r\nbody\r\n",
        ),
    ];
    for restart in [false, true] {
        if restart {
            assert!(postroom.running().terminate().success());
            postroom.serve();
        }
        for (what, message) in again {
            let replies = send(&postroom, "s@example.net", &both, message);
            assert_eq!(replies.iter().map(id).collect::<Vec<_>>(), ids, "{what}: another id");
            for user in both {
                assert_eq!(count(&postroom, user, "INBOX"), 1, "{what}: {user}");
            }
        }
    }

    // Without the index the base name still knows it.
    assert!(postroom.running().terminate().success());
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _ = std::fs::remove_file(postroom.home("ann").join(name)); // The last two need not be there.
    }
    postroom.run(&["index", "rebuild", "ann@example.org"]);
    postroom.serve();
    let replies = send(&postroom, "s@example.net", &["ann@example.org"], again[0].1);
    assert_eq!(
        (replies[0].code, count(&postroom, "ann@example.org", "INBOX")),
        (250, 1)
    );

    // Another envelope or other bytes are another delivery.
    for (from, message) in [
        ("t@example.net", again[0].1),
        ("s@example.net", "Subject: twice\r\n\r\nbody\r\n"),
    ] {
        let before = count(&postroom, "ann@example.org", "INBOX");
        assert_ne!(id(&send(&postroom, from, &["ann@example.org"], message)[0]), ids[0]);
        assert_eq!(count(&postroom, "ann@example.org", "INBOX"), before + 1);
    }
}
