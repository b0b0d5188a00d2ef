//! `postroom explain`: what it says of deliveries that were made in earnest.

mod support;

use std::fs;
use std::process::Output;

use serde_json::{Value, json};
use support::place::{Place, wait_until};
use support::postroom::{Postroom, Wishes};
use support::relay::Relay;

const ANN: &str = "ann@example.org";
const SENDER: &str = "s@example.net";
const SCRIPT: &str = "require [\"fileinto\", \"mailbox\", \"copy\", \"vacation\", \"reject\", \"enotify\"];\n\
    if header :contains \"subject\" \"lists\" { fileinto :create \"Lists.Rust\"; redirect :copy \"bob@example.net\"; stop; }\n\
    if header :contains \"subject\" \"nothing\" { discard; stop; }\n\
    if header :contains \"subject\" \"unwanted\" { reject \"Not here.\"; stop; }\n\
    if header :contains \"subject\" \"nowhere\" { fileinto \"Missing\"; stop; }\n\
    if header :contains \"subject\" \"away\" { vacation :days 7 \"Away\"; stop; }\n\
    if header :contains \"subject\" \"tell\" { notify \"mailto:me@example.net\"; stop; }\n\
    if header :contains \"subject\" \"elsewhere\" { redirect \"bob@example.net\"; stop; }\n";

fn site(place: &Place, relay: &Relay, more: &str) -> Postroom {
    let wishes = Wishes {
        submission: Some(relay.address),
        more,
        ..Wishes::default()
    };
    let mut postroom = Postroom::configured(place, &wishes);
    postroom.give_script("ann", SCRIPT);
    postroom.serve();
    postroom
}

/// With a field of an MTA that greeted by the name that our client greets by.
fn message(subject: &str, number: u32) -> String {
    format!(
        "Received: from c (c [192.0.2.1]) by client.example.net (Postfix) with ESMTPS id 4bXyz{number}\r\n\
         \tfor <{ANN}>; Sat, 28 Nov 2026 12:00:01 +0000 (UTC)\r\nFrom: {SENDER}\r\nTo: {ANN}\r\nSubject: {subject}\r\n\
         Message-ID: <{number}@example.net>\r\n\r\nbody\r\n"
    )
}

fn send(postroom: &Postroom, subject: &str, number: u32) -> u16 {
    postroom.send(SENDER, &[ANN], &message(subject, number))[0].code
}

fn explain(postroom: &Postroom, arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["explain", "--json", ANN];
    all.extend(arguments);
    let output = postroom.run(&all);
    serde_json::from_slice(&output).expect("a JSON array")
}

/// The one delivery of this message.
fn only(postroom: &Postroom, number: u32) -> Value {
    let mut told = explain(postroom, &[&format!("{number}@example.net")]);
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

fn text(postroom: &Postroom, arguments: &[&str]) -> String {
    let mut all = vec!["explain", ANN];
    all.extend(arguments);
    String::from_utf8(postroom.run(&all)).expect("UTF-8")
}

/// What was done, a line each: action, target, uid, result, reason.
fn actions(told: &Value) -> Vec<String> {
    let word = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let line = |action: &Value| {
        let keys = ["action", "target", "uid", "result", "reason"];
        keys.map(|key| word(&action[key])).join(" ")
    };
    told["actions"].as_array().expect("an array").iter().map(line).collect()
}

/// The script is named, and its line where the engine knows it.
fn assert_asked_for(action: &Value, line: u32) {
    assert_eq!(action["script"], "sieve/main.sieve", "{action}");
    assert!(action["line"].is_null() || action["line"] == line, "{action}");
}

#[test]
fn one_that_was_filed_and_redirected() {
    let (place, relay) = (Place::new(), Relay::new());
    let postroom = site(&place, &relay, "");
    assert_eq!(send(&postroom, "for lists", 1), 250);
    assert_eq!(relay.awaited().to, ["bob@example.net"]);
    let told = only(&postroom, 1);
    assert_eq!(
        actions(&told),
        ["fileinto Lists.Rust 1 done -", "redirect bob@example.net - done -"]
    );
    assert_asked_for(&told["actions"][0], 2);
    assert_asked_for(&told["actions"][1], 2);
    for (key, expected) in [
        ("queue_id", json!("4bXyz1")),
        ("reverse_path", json!(SENDER)),
        ("recipient", json!(ANN)),
        ("original", Value::Null),
        ("message_id", json!("1@example.net")),
        ("size", json!(message("for lists", 1).len())),
        ("ending", json!("delivered")),
        ("reason", Value::Null),
        ("subject", json!("for lists")),
        ("copies", json!([{"mailbox": "Lists.Rust", "uid": 1}])),
    ] {
        assert_eq!(told[key], expected, "{key}: {told}");
    }
    let id = told["delivery"].as_str().expect("an id");
    assert!(postroom.log().contains(id));
    for arguments in [
        &["<1@example.net>"][..],
        &[id],
        &[&id.to_lowercase()],
        &["4bXyz1"],
        &["1", "--mailbox", "Lists.Rust"],
        &[],
        &["--last", "1"],
    ] {
        assert_eq!(
            explain(&postroom, arguments),
            std::slice::from_ref(&told),
            "{arguments:?}"
        );
    }
    let text = text(&postroom, &["1@example.net"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].ends_with(&format!(
            "  {id} (queue id 4bXyz1)  from {SENDER} to {ANN}  {} B",
            told["size"]
        )),
        "{text}"
    );
    assert_eq!(lines[1], "  \"for lists\"");
    assert!(
        lines[2].starts_with("  filed into Lists.Rust (uid 1)") && lines[2].contains("  sieve/main.sieve"),
        "{text}"
    );
    assert!(
        lines[3].starts_with("  redirected to bob@example.net") && lines[3].contains("  sieve/main.sieve"),
        "{text}"
    );
    assert_eq!(lines.len(), 4, "{text}");
}

#[test]
fn one_that_left_no_copy() {
    let (place, relay) = (Place::new(), Relay::new());
    let postroom = site(&place, &relay, "");
    for (number, subject, code, ending, action, words) in [
        (1, "nothing", 250, "delivered", "discard - - done -", "  discarded"),
        (
            2,
            "unwanted",
            550,
            "refused",
            "reject Not here. - done -",
            "  rejected: Not here.  ",
        ),
        (
            3,
            "elsewhere",
            250,
            "delivered",
            "redirect bob@example.net - done -",
            "  redirected to bob@example.net  ",
        ),
    ] {
        assert_eq!(send(&postroom, subject, number), code, "{subject}");
        let told = only(&postroom, number);
        assert_eq!(actions(&told), [action]);
        // Not every engine says which script discarded it.
        if subject != "nothing" || !told["actions"][0]["script"].is_null() {
            assert_asked_for(&told["actions"][0], [3, 4, 8][number as usize - 1]);
        }
        assert_eq!((&told["ending"], &told["subject"]), (&json!(ending), &Value::Null));
        assert!(text(&postroom, &[&format!("{number}@example.net")]).contains(words));
    }
    assert_eq!(only(&postroom, 2)["reason"], "the filter rejects it");
    assert_eq!(explain(&postroom, &[]).len(), 3);
}

#[test]
fn one_that_comes_again() {
    let (place, relay) = (Place::new(), Relay::new());
    let postroom = site(&place, &relay, "");
    send(&postroom, "plain", 1);
    send(&postroom, "plain", 1);
    let told = explain(&postroom, &["1@example.net"]);
    assert_eq!(told.len(), 2);
    assert_eq!(actions(&told[0]), ["keep INBOX 1 done -"]);
    assert_eq!(
        (&told[1]["ending"], &told[1]["reason"]),
        (&json!("before"), &told[0]["delivery"])
    );
    assert_eq!(actions(&told[1]), [""; 0]);
    let text = text(&postroom, &["1@example.net"]);
    let first = told[0]["delivery"].as_str().expect("an id");
    assert!(text.contains(&format!("it was delivered before as {first}")), "{text}");
    // The message itself is that of the first.
    assert_eq!(explain(&postroom, &["1"]), told[..1]);
}

#[test]
fn vacations_and_notifications() {
    let (place, relay) = (Place::new(), Relay::new());
    let postroom = site(&place, &relay, "");
    send(&postroom, "away", 1);
    assert_eq!(relay.awaited().to, [SENDER]);
    let ended = |number, count| {
        wait_until("it is written down", || {
            actions(&only(&postroom, number)).len() == count
        });
        let told = only(&postroom, number);
        (actions(&told), told)
    };
    let (done, told) = ended(1, 2);
    assert_eq!(done, ["keep INBOX 1 done -", "vacation s@example.net - done -"]);
    assert_asked_for(&told["actions"][1], 6);
    send(&postroom, "away", 2);
    assert_eq!(
        actions(&only(&postroom, 2))[1],
        "vacation s@example.net - withheld this sender got one not long ago"
    );
    let list = format!("List-Id: <x.example.net>\r\n{}", message("away", 3));
    postroom.send("t@example.net", &[ANN], &list);
    assert!(
        actions(&only(&postroom, 3))
            .contains(&"vacation - - withheld the field List-Id marks automatic or list mail".to_owned())
    );
    let words = "  no vacation reply: the field List-Id marks automatic or list mail\n";
    assert!(text(&postroom, &["3@example.net"]).contains(words));
    send(&postroom, "tell", 4);
    assert_eq!(relay.awaited().to, ["me@example.net"]);
    assert_eq!(ended(4, 2).0[1], "notify mailto:me@example.net - done -");
    let automatic = format!("Auto-Submitted: auto-generated\r\n{}", message("tell", 5));
    postroom.send(SENDER, &[ANN], &automatic);
    assert!(actions(&only(&postroom, 5)).contains(&"notify - - withheld it was sent by a program".to_owned()));
    relay.answer("MAIL", "550 5.7.1 not from you");
    postroom.send("u@example.net", &[ANN], &message("away", 6));
    let failed = &ended(6, 2).0[1];
    assert!(
        failed.starts_with("vacation u@example.net - failed ") && failed.contains("not from you"),
        "{failed}"
    );
}

#[test]
fn what_could_not_be_done() {
    let (place, relay) = (Place::new(), Relay::new());
    let postroom = site(&place, &relay, "");
    send(&postroom, "nowhere", 1);
    let told = actions(&only(&postroom, 1));
    assert!(
        told[0].starts_with("fileinto Missing - failed there is no such mailbox"),
        "{told:?}"
    );
    // The notice to the owner came first.
    assert_eq!(told[1..], ["keep INBOX 2 done -"]);
    relay.answer("RCPT", "550 5.1.1 gone");
    send(&postroom, "elsewhere", 2);
    let told = actions(&only(&postroom, 2));
    assert!(
        told[0].starts_with("redirect bob@example.net - failed ") && told[0].contains("gone"),
        "{told:?}"
    );
    assert_eq!(told[1..], ["keep INBOX 4 done -"]);
    assert!(text(&postroom, &["4"]).contains("  not redirected to bob@example.net: "));
    // For a passing reason: each try is told of, the last that was deferred and the one that was not.
    relay.take_all();
    relay.answer("RCPT", "451 4.3.0 later");
    for _ in 0..2 {
        assert_eq!(send(&postroom, "elsewhere", 3), 451);
    }
    relay.take_all();
    assert_eq!(send(&postroom, "elsewhere", 3), 250);
    let told = explain(&postroom, &["3@example.net"]);
    let endings: Vec<&Value> = told.iter().map(|told| &told["ending"]).collect();
    assert_eq!(endings, ["deferred", "delivered"]);
    assert!(
        told[0]["reason"]
            .as_str()
            .expect("words")
            .contains("cannot redirect to bob@example.net"),
        "{told:?}"
    );
    assert!(
        actions(&told[0])[0].starts_with("redirect bob@example.net - failed "),
        "{told:?}"
    );
    assert_eq!(actions(&told[1]), ["redirect bob@example.net - done -"]);
}

#[test]
fn a_script_that_is_broken() {
    let (place, relay) = (Place::new(), Relay::new());
    let postroom = site(&place, &relay, "");
    postroom.give_script("ann", "keep;\nif {\n");
    send(&postroom, "plain", 1);
    let told = only(&postroom, 1);
    let error = &told["actions"][0];
    assert_eq!(
        (&error["action"], &error["result"]),
        (&json!("error"), &json!("failed"))
    );
    assert_eq!(
        (&error["script"], &error["line"]),
        (&json!("sieve/main.sieve"), &json!(2))
    );
    assert_eq!(actions(&told)[1..], ["keep INBOX 2 done -"]);
    let text = text(&postroom, &["2"]);
    assert!(
        text.contains("  a script failed: ") && text.contains("  sieve/main.sieve line 2\n"),
        "{text}"
    );
}

#[test]
fn what_was_refused_without_a_filter() {
    let (place, relay) = (Place::new(), Relay::new());
    let table = place.file("users.toml", format!("[\"{ANN}\"]\nquota = \"2 KiB\"\n"));
    let wishes = Wishes {
        submission: Some(relay.address),
        table: Some(&table),
        more: "\n[limits]\nhops = 3\n",
        ..Wishes::default()
    };
    let postroom = Postroom::serving(&place, &wishes);
    let large = message("large", 1) + &"x".repeat(70).repeat(40) + "\r\n";
    assert_eq!(postroom.send(SENDER, &[ANN], &large)[0].code, 552);
    let told = only(&postroom, 1);
    assert_eq!(
        (&told["ending"], &told["reason"]),
        (&json!("refused"), &json!("the account is full"))
    );
    assert_eq!(actions(&told), ["keep INBOX - withheld -"]);
    assert!(text(&postroom, &["1@example.net"]).contains("  refused: the account is full\n  not kept in INBOX\n"));
    let circling = "Received: by x; now\r\n".repeat(3) + &message("in circles", 2);
    assert_eq!(postroom.send(SENDER, &[ANN], &circling)[0].code, 554);
    let told = only(&postroom, 2);
    assert_eq!(told["reason"], "the message goes round in circles");
    // The topmost field is of another host than the one that greeted.
    assert_eq!(told["queue_id"], Value::Null);
}

#[test]
fn one_that_was_moved_or_removed_since() {
    let (place, relay) = (Place::new(), Relay::new());
    let postroom = site(&place, &relay, "");
    send(&postroom, "plain", 1);
    send(&postroom, "plain", 2);
    postroom.run(&["mailbox", "create", ANN, "Archive"]);
    postroom.run(&["message", "move", ANN, "INBOX", "Archive", "--uids", "1"]);
    let told = explain(&postroom, &["1", "--mailbox", "Archive"]);
    assert_eq!(told[0]["message_id"], "1@example.net");
    assert!(
        text(&postroom, &["1", "--mailbox", "Archive"])
            .ends_with("  kept in INBOX (uid 1)\n  now in Archive (uid 1)\n")
    );
    // By another program, and the index made anew.
    let inbox = postroom.home("ann").join("Maildir/new");
    let file = fs::read_dir(&inbox)
        .expect("a folder")
        .next()
        .expect("one")
        .expect("an entry");
    fs::remove_file(file.path()).expect("removed");
    for command in ["check", "rebuild"] {
        postroom.run(&["index", command, ANN]);
        assert!(text(&postroom, &["2"]).ends_with("  kept in INBOX (uid 2)\n  no copy of it is there any more\n"));
        assert_eq!(
            explain(&postroom, &["1", "--mailbox", "Archive"])[0]["message_id"],
            "1@example.net"
        );
    }
}

#[test]
fn one_that_was_piped() {
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::default());
    let arguments = ["deliver", "-d", ANN, "-f", "", "-a", "a.n.n@example.org", "-m", "Other"];
    let output = postroom.run_with_input(&arguments, message("plain", 7).as_bytes());
    assert!(output.status.success(), "{output:?}");
    let told = only(&postroom, 7);
    assert_eq!(
        (&told["queue_id"], &told["original"], &told["reverse_path"]),
        (&json!("4bXyz7"), &json!("a.n.n@example.org"), &json!(""))
    );
    assert_eq!(actions(&told), ["keep Other 1 done -"]);
    let text = text(&postroom, &["4bXyz7"]);
    assert!(
        text.contains("  from <> to ann@example.org (a.n.n@example.org)  "),
        "{text}"
    );
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn nothing_is_found() {
    let (place, relay) = (Place::new(), Relay::new());
    let postroom = site(&place, &relay, "\n[history]\nkeep = \"7 days\"\nentries = 5\n");
    // Nothing was ever delivered.
    let (code, out, err) = said(&postroom.run_with_input(&["explain", ANN], b""));
    assert!(
        code == Some(0) && out.contains("7 days") && err.is_empty(),
        "{out}{err}"
    );
    send(&postroom, "plain", 1);
    for arguments in [&["2@example.net"][..], &["2"], &["ABC"], &["1", "--mailbox", "Nothing"]] {
        let mut all = vec!["explain", "--json", ANN];
        all.extend(arguments);
        let (code, out, err) = said(&postroom.run_with_input(&all, b""));
        assert_eq!((code, out.as_str()), (Some(65), "[]\n"), "{arguments:?}");
        assert!(
            err.contains("7 days") && err.contains("at most 5") && err.contains("--last"),
            "{err}"
        );
    }
    for (arguments, code) in [
        (&["explain", ANN, "x@y", "--mailbox", "INBOX"][..], 64),
        (&["explain", ANN, "--mailbox", "INBOX"], 64),
        (&["explain", "nobody@example.com"], 67),
    ] {
        assert_eq!(
            postroom.run_with_input(arguments, b"").status.code(),
            Some(code),
            "{arguments:?}"
        );
    }
}

#[test]
fn what_is_not_to_be_kept() {
    let (place, relay) = (Place::new(), Relay::new());
    let mut postroom = site(&place, &relay, "\n[history]\nkeep = \"1 s\"\n");
    send(&postroom, "plain", 1);
    send(&postroom, "nothing", 2);
    wait_until("it had its time", || explain(&postroom, &[]).is_empty());
    let keep = |postroom: &Postroom, time: &str| {
        let text = fs::read_to_string(&postroom.config).expect("the configuration");
        let line = text
            .lines()
            .find(|line| line.starts_with("keep = "))
            .expect("a setting");
        fs::write(&postroom.config, text.replace(line, &format!("keep = {time:?}"))).expect("written");
    };
    postroom.running().terminate();
    keep(&postroom, "none");
    postroom.serve();
    send(&postroom, "plain", 3);
    send(&postroom, "nothing", 4);
    let (code, out, err) = said(&postroom.run_with_input(&["explain", ANN], b""));
    assert!(code == Some(0) && out.contains("is not kept"), "{out}{err}");
    // What there was is gone, and nothing came.
    postroom.running().terminate();
    keep(&postroom, "30 days");
    assert_eq!(explain(&postroom, &[]), [Value::Null; 0]);
}
