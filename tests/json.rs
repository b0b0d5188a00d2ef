//! What other programs read: the JSON of commands and of the log.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::place::Place;
use support::postroom::{Postroom, Wishes};
use support::relay::Relay;

const ANN: &str = "ann@example.org";
const MESSAGE: &str = "Subject: hello\r\nMessage-ID: <1@example.net>\r\n\r\nbody\r\n";

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn only_ann() -> Wishes<'static> {
    Wishes {
        users: Some(&["ann"]),
        ..Wishes::default()
    }
}

/// A site where ann has one message, and nothing runs.
fn site(place: &Place) -> Postroom {
    let postroom = Postroom::configured(place, &only_ann());
    let output = postroom.run_with_input(&["deliver", "-d", ANN, "-f", "s@example.net"], MESSAGE.as_bytes());
    assert!(output.status.success(), "{}", said(&output));
    postroom
}

fn sieve_test(place: &Place, script: &str, more: &[&str]) -> (Option<i32>, Value) {
    let script = place.file("test.sieve", script);
    let message = place.file(
        "test.eml",
        "From: s@example.com\nTo: me@example.org\nSubject: hello\n\nbody\n",
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_postroom"));
    command
        .args(["sieve", "test", "--json"])
        .args(more)
        .arg(script)
        .arg(message);
    let output = command.output().expect("it runs");
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    (output.status.code(), answer)
}

#[test]
fn sieve_test_json() {
    let place = Place::new();
    place.file("x.sieve", "discard;\n");
    place.file("global/x.sieve", "stop;\n");
    let keep = json!([{"action": "keep", "flags": []}]);
    for (script, more, actions) in [
        ("", &[][..], keep.clone()),
        ("keep;", &[], keep.clone()),
        ("discard;", &[], json!([{"action": "discard"}])),
        ("discard; keep;", &[], keep.clone()),
        (
            "require [\"fileinto\", \"imap4flags\", \"mailbox\", \"copy\"];\n\
             fileinto :copy :create :flags \"\\\\Seen\" \"A.B\"; fileinto \"A.B\";",
            &[],
            json!([{"action": "fileinto", "mailbox": "A.B", "flags": ["\\Seen"], "copy": false, "create": true}]),
        ),
        (
            "redirect \"x@example.com\"; redirect \"X@example.com\";",
            &[],
            json!([{"action": "redirect", "address": "x@example.com", "copy": false}]),
        ),
        (
            "require \"reject\"; reject \"no\";",
            &[],
            json!([{"action": "reject", "reason": "no"}]),
        ),
        (
            "require \"ereject\"; ereject \"no\";",
            &[],
            json!([{"action": "ereject", "reason": "no"}]),
        ),
        (
            "require \"include\"; include \"x\";",
            &[],
            json!([{"action": "discard"}]),
        ),
        (
            // RFC 6609 §3.1: `stop` there ends all of it.
            "require \"include\"; include :global \"x\"; discard;",
            &[],
            keep.clone(),
        ),
        (
            "require \"vacation\"; vacation \"Away\";",
            &["--from", ""],
            keep.clone(),
        ),
        ("if mailboxexists \"INBOX\" { discard; }", &[], Value::Null),
        (
            "require \"envelope\"; if envelope \"from\" \"a@b.example\" { discard; }",
            &["--from", "a@b.example"],
            json!([{"action": "discard"}]),
        ),
        (
            "require \"envelope\"; if envelope \"to\" \"a@b.example\" { discard; }",
            &["--to", "a@b.example"],
            json!([{"action": "discard"}]),
        ),
    ] {
        let (code, answer) = sieve_test(&place, script, more);
        if actions.is_null() {
            assert_eq!(code, Some(65), "{script}: {answer}");
            continue;
        }
        assert_eq!(
            (code, &answer),
            (Some(0), &json!({"actions": actions, "error": null})),
            "{script}"
        );
    }
    let (code, answer) = sieve_test(
        &place,
        "require \"vacation\"; vacation :days 3 :subject \"S\" \"Away\";",
        &[],
    );
    let action = answer["actions"]
        .as_array()
        .and_then(|it| it.iter().find(|it| it["action"] == "vacation"));
    let expected = json!({"action": "vacation", "address": "sender@example.com", "subject": "S", "message": "Away",
        "mime": false, "from": null, "days": 3});
    assert_eq!((code, action), (Some(0), Some(&expected)), "{answer}");
    for (script, kind, line) in [
        ("keep;\nif {\n", "compile", json!(2)),
        ("nonsense;\n", "compile", json!(1)),
        (
            "require \"include\"; include \"gone\"; discard;",
            "runtime",
            Value::Null,
        ),
    ] {
        let (code, answer) = sieve_test(&place, script, &[]);
        let error = &answer["error"];
        assert_eq!((code, &error["kind"]), (Some(65), &json!(kind)), "{script}: {answer}");
        assert!(
            error["message"].as_str().is_some_and(|text| !text.is_empty()),
            "{answer}"
        );
        assert!(
            error.get("column").is_some() && (line.is_null() || error["line"] == line),
            "{answer}"
        );
        if kind == "runtime" {
            assert_eq!(answer["actions"], keep, "what is left: the keep");
        }
    }
}

#[test]
fn lists_in_json() {
    let place = Place::new();
    let postroom = site(&place);
    let mailbox = postroom.mailbox(ANN, "INBOX");
    for (field, value) in [("messages", 1), ("unseen", 1), ("uidnext", 2)] {
        assert_eq!(mailbox[field], value, "{mailbox}");
    }
    let raw = postroom.show_raw(ANN, "INBOX", 1);
    let size = support::postroom::with_crlf(&raw).len();
    assert_eq!(mailbox["size"], size, "as IMAP counts it: {mailbox}");
    assert!(
        mailbox["uidvalidity"].is_u64() && mailbox["highestmodseq"].is_u64(),
        "{mailbox}"
    );
    let message = &postroom.messages(ANN, "INBOX")[0];
    for (field, value) in [
        ("uid", json!(1)),
        ("flags", json!([])),
        ("size", json!(size)),
        ("message_id", json!("1@example.net")),
        ("subject", json!("hello")),
        ("from", json!("")),
    ] {
        assert_eq!(message[field], value, "{field}: {message}");
    }
    let date = message["internaldate"].as_str().expect("a date");
    assert!(date.parse::<jiff::Timestamp>().is_ok(), "RFC 3339: {date}");
    let path = message["path"].as_str().expect("a path");
    assert_eq!(fs::read(postroom.home("ann").join(path)).expect("below the home"), raw);
    // Nobody wrote to this user, and asking makes nothing.
    let place = Place::new();
    let postroom = Postroom::configured(&place, &only_ann());
    assert_eq!(postroom.mailboxes(ANN), Vec::<Value>::new());
    assert_eq!(postroom.messages(ANN, "INBOX"), Vec::<Value>::new());
    assert!(!postroom.home("ann").exists());
}

#[test]
fn one_log_line_for_a_recipient() {
    let place = Place::new();
    let relay = Relay::new();
    let table = place.file(
        "users.toml",
        "[\"ann@example.org\"]\n[\"red@example.org\"]\n[\"gone@example.org\"]\n[\"no@example.org\"]\n\
         [\"full@example.org\"]\nquota = \"10\"\n[\"later@example.org\"]\n",
    );
    let mut postroom = Postroom::configured(
        &place,
        &Wishes {
            table: Some(&table),
            submission: Some(relay.address),
            more: "\n[log]\nformat = \"json\"\n",
            ..Wishes::default()
        },
    );
    postroom.give_script("red", "redirect \"out@example.net\";");
    postroom.give_script("later", "redirect \"late@example.net\";");
    postroom.give_script("gone", "discard;");
    postroom.give_script("no", "require \"reject\"; reject \"no\";");
    postroom.serve();
    relay.answer("RCPT TO:<late", "451 4.3.0 later");
    let to = ["ann", "red", "gone", "no", "full", "later", "nobody"].map(|user| format!("{user}@example.org"));
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    postroom.send("s@example.net", &to, MESSAGE);
    postroom.send("s@example.net", &[ANN], MESSAGE);
    let log = postroom.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("every line is JSON"))
        .collect();
    let mut mail: Vec<&Value> = lines.iter().filter(|line| line.get("status").is_some()).collect();
    mail.sort_by_key(|line| to.iter().position(|to| line["to"] == *to));
    let found: Vec<(&str, &str, &str)> = mail
        .iter()
        .map(|line| {
            ["to", "status", "code"]
                .map(|field| line[field].as_str().expect("a text"))
                .into()
        })
        .collect();
    let expected = [
        ("ann@example.org", "delivered", "2.1.5"),
        ("ann@example.org", "duplicate", "2.1.5"),
        ("red@example.org", "redirected", "2.1.5"),
        ("gone@example.org", "discarded", "2.1.5"),
        ("no@example.org", "refused", "5.7.1"),
        ("full@example.org", "refused", "5.2.2"),
        ("later@example.org", "deferred", "4.3.0"),
        ("nobody@example.org", "refused", "5.1.1"),
    ];
    assert_eq!(found, expected, "{log}");
    for line in &mail {
        let names: BTreeSet<&str> = line
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        for field in [
            "id", "from", "to", "user", "mailbox", "uid", "msgid", "size", "status", "code", "seconds",
        ] {
            assert!(names.contains(field), "no {field} in {line}");
        }
        assert_eq!(line["from"], "s@example.net");
        assert!(line["size"].is_u64() && line["seconds"].is_number(), "{line}");
        let unhappy = ["refused", "deferred"].contains(&line["status"].as_str().expect("a text"));
        assert_eq!(line.get("cause").is_some(), unhappy, "{line}");
    }
    let delivered = mail[0];
    for (field, value) in [
        ("user", ANN),
        ("mailbox", "INBOX"),
        ("uid", "1"),
        ("msgid", "1@example.net"),
    ] {
        assert_eq!(delivered[field], value, "{delivered}");
    }
    assert_eq!(delivered["size"], MESSAGE.len());
    assert_eq!(delivered["id"], mail[1]["id"]);
}
