//! `mailbox`: made, renamed, subscribed to, deleted; and `index stats`.

mod support;

use std::process::Output;

use serde_json::{Value, json};
use support::place::Place;
use support::postroom::{Postroom, Wishes};

const ANN: &str = "ann@example.org";
const MESSAGE: &str = "Subject: hello\r\n\r\nbody\r\n";

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

fn site(place: &Place, more: &str) -> Postroom {
    Postroom::configured(
        place,
        &Wishes {
            users: Some(&["ann", "bob"]),
            more,
            ..Wishes::default()
        },
    )
}

fn deliver(postroom: &Postroom, mailbox: &str) {
    let output = postroom.run_with_input(&["deliver", "-d", ANN, "-f", "", "-m", mailbox], MESSAGE.as_bytes());
    assert!(output.status.success(), "{}", said(&output));
}

/// Runs commands one after the other; each must end with this code and say these words.
#[track_caller]
fn dialogue(postroom: &Postroom, steps: &[(&[&str], i32, &[&str])]) {
    for (arguments, code, words) in steps {
        let output = postroom.run_with_input(arguments, b"");
        let said = said(&output);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {said}");
        for words in *words {
            assert!(said.contains(words), "{arguments:?}: no {words:?} in {said}");
        }
        assert_eq!(output.stderr.is_empty(), *code == 0, "{arguments:?}: {said}");
    }
}

fn names(postroom: &Postroom) -> Vec<String> {
    let all = postroom.mailboxes(ANN);
    all.iter()
        .map(|it| it["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn made_renamed_and_deleted() {
    let place = Place::new();
    let postroom = site(&place, "");
    dialogue(
        &postroom,
        &[
            (&["mailbox", "status", ANN, "INBOX"], 65, &["no mail yet"]),
            (&["mailbox", "delete", ANN, "X"], 65, &["no mail yet"]),
            // An account to which nothing was delivered is made.
            (
                &["mailbox", "create", ANN, "Archive.2026"],
                0,
                &["Archive.2026 is made"],
            ),
            (
                &["mailbox", "create", ANN, "Archive.2026"],
                65,
                &["Archive.2026 already"],
            ),
            (&["mailbox", "create", ANN, "INBOX"], 65, &["already"]),
            (&["mailbox", "create", ANN, "a..b"], 64, &["a..b"]),
            (&["mailbox", "create", "eve@example.org", "X"], 67, &["eve@example.org"]),
            (
                &["mailbox", "create", "--special-use", "Sant", ANN, "X"],
                64,
                &["did you mean `Sent`?"],
            ),
            (
                &["mailbox", "create", "--special-use", "xyzzyx", ANN, "X"],
                64,
                &["Archive", "none"],
            ),
        ],
    );
    assert_eq!(names(&postroom), ["Archive.2026", "INBOX"]);
    deliver(&postroom, "Archive.2026");
    let before = postroom.mailbox(ANN, "Archive.2026");
    dialogue(
        &postroom,
        &[
            (
                &["mailbox", "status", ANN, "archive.2026"],
                65,
                &["did you mean `Archive.2026`?"],
            ),
            (&["mailbox", "status", ANN, "zzzzzzz"], 65, &["postroom mailbox list"]),
            (
                &["mailbox", "rename", ANN, "Archve.2026", "Old"],
                65,
                &["did you mean `Archive.2026`?"],
            ),
            (&["mailbox", "rename", ANN, "Archive.2026", "INBOX"], 65, &["already"]),
            (
                &["mailbox", "rename", ANN, "Archive.2026", "Archive.2026.x"],
                65,
                &["below"],
            ),
            (&["mailbox", "rename", ANN, "Archive.2026", "Old"], 0, &["is Old now"]),
            (
                &["mailbox", "rename", ANN, "Archive.2026", "Old"],
                65,
                &["no mailbox Archive.2026"],
            ),
        ],
    );
    let after = postroom.mailbox(ANN, "Old");
    for number in ["uidvalidity", "mailboxid", "uidnext", "messages"] {
        assert_eq!(after[number], before[number], "{number}");
    }
    dialogue(
        &postroom,
        &[
            (
                &["mailbox", "delete", ANN, "INBOX"],
                65,
                &["cannot be deleted", "message expunge"],
            ),
            (&["mailbox", "delete", ANN, "Odl"], 65, &["did you mean `Old`?"]),
            (&["mailbox", "delete", ANN, "Old"], 0, &["Old", "without --execute"]),
        ],
    );
    assert_eq!(names(&postroom), ["INBOX", "Old"], "only shown");
    let shown = postroom.run(&["mailbox", "delete", "--json", "--execute", ANN, "Old"]);
    let shown: Value = serde_json::from_slice(&shown).expect("JSON");
    assert_eq!((&shown[0]["name"], &shown[0]["messages"]), (&json!("Old"), &json!(1)));
    assert_eq!(names(&postroom), ["INBOX"]);
    postroom.run(&["index", "check", ANN]);
}

#[test]
fn renaming_inbox_moves_its_messages() {
    let place = Place::new();
    let postroom = site(&place, "");
    deliver(&postroom, "");
    dialogue(
        &postroom,
        &[(
            &["mailbox", "rename", ANN, "INBOX", "Old"],
            0,
            &["messages of INBOX are in Old"],
        )],
    );
    assert_eq!((postroom.count(ANN, "INBOX"), postroom.count(ANN, "Old")), (0, 1));
    postroom.run(&["index", "check", ANN]);
}

#[test]
fn subscriptions_and_special_use() {
    let place = Place::new();
    let postroom = site(&place, "[store]\nseparator = \"/\"\n");
    dialogue(
        &postroom,
        &[
            (&["mailbox", "unsubscribe", ANN, "Sent"], 65, &["no subscription"]),
            (
                &[
                    "mailbox",
                    "create",
                    "--special-use",
                    "\\sent",
                    "--subscribe",
                    ANN,
                    "Mail/Sent",
                ],
                0,
                &["Mail/Sent is made"],
            ),
            (&["mailbox", "create", ANN, "Gone"], 0, &[]),
            (&["mailbox", "subscribe", ANN, "Gone"], 0, &["subscribed to Gone"]),
            (
                &["mailbox", "subscribe", ANN, "Mail/Snet"],
                65,
                &["did you mean `Mail/Sent`?"],
            ),
        ],
    );
    let sent = postroom.mailbox(ANN, "Mail/Sent");
    assert_eq!(
        (&sent["special_use"], &sent["subscribed"]),
        (&json!("\\Sent"), &json!(true))
    );
    let status = postroom.run(&["mailbox", "status", "--json", ANN, "Mail/Sent"]);
    assert_eq!(serde_json::from_slice::<Value>(&status).expect("JSON"), sent);
    let inbox = postroom.mailbox(ANN, "INBOX");
    assert_eq!(
        (&inbox["special_use"], &inbox["subscribed"]),
        (&Value::Null, &json!(false))
    );
    dialogue(
        &postroom,
        &[
            (
                &["mailbox", "special-use", ANN, "Gone", "Sent"],
                0,
                &["Gone is \\Sent now"],
            ),
            (&["mailbox", "special-use", ANN, "Gone", "Outbox"], 64, &["Outbox"]),
            (
                &["mailbox", "special-use", ANN, "Gon", "Trash"],
                65,
                &["did you mean `Gone`?"],
            ),
        ],
    );
    assert_eq!(
        postroom.mailbox(ANN, "Mail/Sent")["special_use"],
        Value::Null,
        "one has it"
    );
    assert_eq!(postroom.mailbox(ANN, "Gone")["special_use"], "\\Sent");
    dialogue(
        &postroom,
        &[
            (&["mailbox", "special-use", ANN, "Gone", "none"], 0, &["no special use"]),
            (
                &["mailbox", "delete", "--execute", ANN, "Gone"],
                0,
                &["deleted", "mailbox unsubscribe"],
            ),
            (&["mailbox", "unsubscribe", ANN, "Gone"], 0, &["no longer subscribed"]),
            (&["mailbox", "unsubscribe", ANN, "Gone"], 65, &["no subscription"]),
        ],
    );
    let subscriptions = std::fs::read_to_string(postroom.home("ann").join("Maildir/subscriptions"));
    assert!(!subscriptions.expect("the file").contains("Gone"));
}

#[test]
fn what_the_index_takes() {
    let place = Place::new();
    let postroom = site(&place, "");
    dialogue(
        &postroom,
        &[
            (&["index", "stats", ANN], 0, &["no mail yet"]),
            (&["index", "stats", "eve"], 67, &["eve"]),
        ],
    );
    deliver(&postroom, "");
    dialogue(
        &postroom,
        &[(
            &["index", "stats", ANN],
            0,
            &["message", "% of the mail", "1 alone", "full text"],
        )],
    );
    let stats = postroom.run(&["index", "stats", "--json", ANN]);
    let stats: Value = serde_json::from_slice(&stats).expect("JSON");
    assert_eq!((&stats["messages"], &stats["cards"]["alone"]), (&json!(1), &json!(1)));
    let tables = stats["index"]["tables"].as_array().expect("tables");
    let message = tables
        .iter()
        .find(|table| table["name"] == "message")
        .expect("the messages");
    assert_eq!(message["rows"], 1);
    let all: u64 = tables.iter().map(|table| table["bytes"].as_u64().expect("bytes")).sum();
    assert!(all > 0 && stats["index"]["bytes"].as_u64() >= Some(all), "{stats:#}");
}

#[test]
fn annotations_are_set_shown_and_taken_away() {
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::default());
    let annotate = |arguments: &[&str]| {
        let mut all = vec!["mailbox", "annotate", "ann@example.org"];
        all.extend(arguments);
        let output = postroom.run_with_input(&all, b"");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let expect = |arguments: &[&str], code: i32, words: &str| {
        let (ended, said) = annotate(arguments);
        assert!(
            ended == Some(code) && said.contains(words),
            "{arguments:?}: {ended:?} {said}"
        );
    };
    // Asking makes no account.
    expect(&["", "/private/comment"], 65, "the server has no annotation");
    assert!(!postroom.home("ann").exists());
    expect(&["INBOX", "/private/comment"], 65, "no mail yet");
    expect(
        &["", "/Shared/Admin", "mailto:p@example.org"],
        0,
        "/shared/admin of the server is set",
    );
    expect(&["INBOX", "/private/comment", "two\nlines"], 0, "of INBOX is set");
    assert_eq!(
        annotate(&["INBOX", "/PRIVATE/comment"]),
        (Some(0), "two\nlines\n".to_owned())
    );
    assert_eq!(
        annotate(&["", "/shared/admin"]),
        (Some(0), "mailto:p@example.org\n".to_owned())
    );
    expect(&["INBOX"], 0, "/private/comment  two lines");
    for (file, words) in [
        ("postroom-annotations", "/private/comment 9\ntwo\nlines\n"),
        (
            "postroom-server-annotations",
            "/shared/admin 20\nmailto:p@example.org\n",
        ),
    ] {
        let text = std::fs::read_to_string(postroom.home("ann").join("Maildir").join(file)).expect(file);
        assert_eq!(text, format!("postroom-annotations 1\n{words}"));
    }
    expect(&["INBOX", "/private/comment", "--remove"], 0, "is taken away");
    expect(&["INBOX", "/private/comment"], 65, "has no annotation");
    expect(&["INBOX", "/other/comment", "x"], 64, "no name of an annotation");
    expect(&["INBOX", "/private/comment", "x", "--remove"], 64, "--remove");
    expect(&["INBOX", "--remove"], 64, "NAME");
    expect(&["Missing", "/private/comment", "x"], 65, "no mailbox Missing");
    expect(
        &["", "/private/long", &"x".repeat(20_000)],
        65,
        "longer than 16384 bytes",
    );
    postroom.run(&["index", "check", "ann@example.org"]);
}
