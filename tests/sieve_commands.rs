//! `sieve`: scripts stored, checked, activated, tried, and run over mail that is there.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Output;

use serde_json::{Value, json};
use support::place::{Place, is_root};
use support::postroom::{Postroom, Wishes};
use support::relay::Relay;

const ANN: &str = "ann@example.org";
const MESSAGE: &str = "From: bob@example.net\nSubject: hello\nMessage-ID: <1@example.net>\n\nbody\n";
const FILING: &str = "require [\"fileinto\", \"mailbox\"];\nfileinto :create \"Lists\";\n";

fn configured(place: &Place, more: &str) -> Postroom {
    Postroom::configured(
        place,
        &Wishes {
            users: Some(&["ann", "bob"]),
            more,
            ..Wishes::default()
        },
    )
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

fn deliver(postroom: &Postroom, message: &str) {
    let output = postroom.run_with_input(&["deliver", "-d", ANN, "-f", "bob@example.net"], message.as_bytes());
    assert!(output.status.success(), "{}", said(&output));
}

/// Runs commands one after the other, each with this standard input; each must end with this code and say these words.
#[track_caller]
fn dialogue(postroom: &Postroom, steps: &[(&[&str], &str, i32, &[&str])]) {
    for (arguments, input, code, words) in steps {
        let output = postroom.run_with_input(arguments, input.as_bytes());
        let said = said(&output);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {said}");
        for words in *words {
            assert!(said.contains(words), "{arguments:?}: no {words:?} in {said}");
        }
    }
}

/// `a b*`: the scripts by name, the active one with an asterisk.
fn listed(postroom: &Postroom) -> String {
    let output: Value = serde_json::from_slice(&postroom.run(&["sieve", "list", "--json", ANN])).expect("JSON");
    let scripts = output.as_array().expect("an array").iter();
    let words: Vec<String> = scripts
        .map(|it| {
            let mark = if it["active"] == true { "*" } else { "" };
            format!("{}{mark}", it["name"].as_str().expect("a name"))
        })
        .collect();
    words.join(" ")
}

#[test]
fn scripts_come_and_go() {
    let place = Place::new();
    let postroom = configured(&place, "max_scripts = 3\nmax_script_size = 200\nquota = 300\n");
    let file = place.file("filing.sieve", FILING);
    let file = file.to_str().expect("UTF-8");
    let large = format!("# {}\n", "x".repeat(190));
    let larger = format!("# {}\n", "x".repeat(200));
    dialogue(
        &postroom,
        &[
            (&["sieve", "list", ANN], "", 0, &["name", "active", "bytes"]),
            (
                &["sieve", "get", ANN, "a"],
                "",
                65,
                &["no script of that name", "postroom sieve list ann"],
            ),
            (
                &["sieve", "put", ANN, "filing", file],
                "",
                0,
                &["filing of ann@example.org: stored\n"],
            ),
            (&["sieve", "get", ANN, "filing"], "", 0, &[FILING]),
            (&["sieve", "get", ANN, "filling"], "", 65, &["did you mean `filing`?"]),
            (&["sieve", "activate", ANN, "filing"], "", 0, &["active"]),
            (&["sieve", "list", ANN], "", 0, &["filing  active  "]),
            (
                &["sieve", "delete", ANN, "filing"],
                "",
                65,
                &["is active", "deactivate"],
            ),
            (
                &["sieve", "put", ANN, "bad", "-"],
                "keep;\nkep;\n",
                65,
                &["bad", "is not stored", "kep", "^"],
            ),
            (&["sieve", "get", ANN, "bad"], "", 65, &["no script"]),
            (&["sieve", "put", ANN, "filing", "-"], "kep;", 65, &["is not stored"]),
            (&["sieve", "get", ANN, "filing"], "", 0, &[FILING]),
            (&["sieve", "put", ANN, "large", "-"], &large, 0, &["stored"]),
            (
                &["sieve", "put", ANN, "large", "-"],
                &larger,
                65,
                &["larger than 200 bytes", "max_script_size"],
            ),
            (
                &["sieve", "put", ANN, "more", "-"],
                &large,
                65,
                &["300 are allowed", "[sieve] quota"],
            ),
            (
                &["sieve", "put", ANN, "--activate", "été 1", "-"],
                "stop;",
                0,
                &["été 1", "stored and active"],
            ),
            (
                &["sieve", "put", ANN, "four", "-"],
                "keep;",
                65,
                &["[sieve] max_scripts"],
            ),
            (
                &["sieve", "rename", ANN, "été 1", "large"],
                "",
                65,
                &["large of", "already", "another name"],
            ),
            (&["sieve", "rename", ANN, "été 1", "summer"], "", 0, &["is summer now"]),
        ],
    );
    assert_eq!(listed(&postroom), "filing large summer*");
    dialogue(
        &postroom,
        &[
            (&["sieve", "deactivate", ANN], "", 0, &["no script is active"]),
            (&["sieve", "delete", ANN, "summer"], "", 0, &["deleted"]),
            (&["sieve", "delete", ANN, "summer"], "", 65, &["no script"]),
            (&["sieve", "put", ANN, "../x", "-"], "keep;", 64, &["not allowed"]),
            (
                &["sieve", "put", ANN, "x", "/nonexistent.sieve"],
                "",
                65,
                &["/nonexistent.sieve"],
            ),
            (&["sieve", "list", "nobody@example.org"], "", 67, &["no such user"]),
        ],
    );
    assert_eq!(listed(&postroom), "filing large");
    assert!(!postroom.home("bob").exists());
    postroom.run(&["sieve", "list", "bob@example.org"]);
    postroom.run(&["sieve", "deactivate", "bob@example.org"]);
    assert!(!postroom.home("bob").exists(), "asking makes nothing");
}

#[test]
fn what_is_active_filters() {
    let place = Place::new();
    let postroom = configured(&place, "");
    let filed = |mailbox: &str| postroom.count(ANN, mailbox);
    postroom.run_with_input(&["sieve", "put", ANN, "lists", "-"], FILING.as_bytes());
    deliver(&postroom, "Subject: 1\n\nbody\n");
    assert_eq!((filed("INBOX"), filed("Lists")), (1, 0));
    postroom.run(&["sieve", "activate", ANN, "lists"]);
    deliver(&postroom, "Subject: 2\n\nbody\n");
    assert_eq!((filed("INBOX"), filed("Lists")), (1, 1));
    postroom.run(&["sieve", "rename", ANN, "lists", "other"]);
    deliver(&postroom, "Subject: 3\n\nbody\n");
    assert_eq!((filed("INBOX"), filed("Lists")), (1, 2));
    postroom.run(&["sieve", "deactivate", ANN]);
    deliver(&postroom, "Subject: 4\n\nbody\n");
    assert_eq!((filed("INBOX"), filed("Lists")), (2, 2));
}

#[test]
fn what_others_left_is_said() {
    let place = Place::new();
    let postroom = configured(&place, "");
    let home = postroom.home("ann");
    fs::create_dir_all(&home).expect("a home");
    fs::write(home.join(".dovecot.sieve"), FILING).expect("a script");
    assert_eq!(listed(&postroom), "dovecot.orig*");
    dialogue(
        &postroom,
        &[
            (&["sieve", "get", ANN, "dovecot.orig"], "", 0, &[FILING]),
            (&["sieve", "delete", ANN, "dovecot.orig"], "", 65, &["active"]),
            (
                &["sieve", "put", ANN, "new", "--activate", "-"],
                "keep;",
                0,
                &["active"],
            ),
            (&["sieve", "get", ANN, "dovecot.orig"], "", 0, &[FILING]),
        ],
    );
    assert_eq!(listed(&postroom), "dovecot.orig new*");
    let elsewhere = place.file("elsewhere.sieve", "discard;");
    for (target, words) in [
        (elsewhere.to_str().expect("UTF-8"), "filters the mail"),
        ("gone", "is missing"),
    ] {
        fs::remove_file(home.join(".dovecot.sieve")).expect("a link");
        symlink(target, home.join(".dovecot.sieve")).expect("a link");
        dialogue(
            &postroom,
            &[(
                &["sieve", "list", ANN],
                "",
                0,
                &[target, words, "activate ann@example.org NAME"],
            )],
        );
    }
    fs::remove_file(home.join(".dovecot.sieve")).expect("a link");
    fs::create_dir(home.join(".dovecot.sieve")).expect("a folder");
    dialogue(
        &postroom,
        &[(
            &["sieve", "list", ANN],
            "",
            65,
            &["neither a link nor a file: move it away"],
        )],
    );
}

#[test]
fn checked() {
    let place = Place::new();
    let postroom = configured(&place, "");
    let broken = place.file("broken.sieve", "keep;\n  fileinto \"x\";\n");
    let (good, broken) = (place.file("good.sieve", "keep;\n"), broken.to_str().expect("UTF-8"));
    let good = good.to_str().expect("UTF-8");
    postroom.run(&["sieve", "put", ANN, "mine", good]);
    fs::write(postroom.home("ann").join("sieve/theirs.sieve"), "kep;").expect("a script");
    dialogue(
        &postroom,
        &[
            (&["sieve", "check", good], "", 0, &["good.sieve: no errors\n"]),
            (&["sieve", "check", "-"], "keep;", 0, &["no errors"]),
            (&["sieve", "check", "--user", ANN, "mine"], "", 0, &["mine: no errors"]),
            (
                &["sieve", "check", "--user", ANN, "theirs"],
                "",
                65,
                &["kep", "theirs: 1 error"],
            ),
            (
                &["sieve", "check", "--user", ANN, "none"],
                "",
                65,
                &["no script of that name"],
            ),
            (
                &["sieve", "check", broken],
                "",
                65,
                &["broken.sieve:2", "fileinto", "broken.sieve: 1 error"],
            ),
            (&["sieve", "check", "/nonexistent"], "", 65, &["/nonexistent"]),
        ],
    );
    let output = postroom.run_with_input(&["sieve", "check", "--json", broken], b"");
    assert_eq!(output.status.code(), Some(65));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let error = &found["errors"][0];
    assert_eq!(error["line"], 2, "{found}");
    for field in ["message", "column", "length", "help"] {
        assert!(error.get(field).is_some(), "{field}: {found}");
    }
    let output = postroom.run(&["sieve", "check", "--json", good]);
    let found: Value = serde_json::from_slice(&output).expect("JSON");
    assert_eq!(found, json!({"errors": [], "warnings": []}));
}

#[test]
fn a_trace_only_where_it_is_wanted() {
    let place = Place::new();
    let postroom = configured(&place, "");
    let script = place.file("x.sieve", "if header :contains \"Subject\" \"hello\" { discard; }\n");
    let message = place.file("x.eml", MESSAGE);
    let [script, message] = [&script, &message].map(|path| path.to_str().expect("UTF-8"));
    let json = |arguments: &[&str]| -> Value {
        let output = postroom.run(&[&["sieve", "test", "--json"], arguments, &[script, message]].concat());
        serde_json::from_slice(&output).expect("JSON")
    };
    assert_eq!(json(&[]), json!({"actions": [{"action": "discard"}], "error": null}));
    assert!(json(&["--trace"])["trace"].is_array());
    dialogue(
        &postroom,
        &[(&["sieve", "test", "--trace", script, message], "", 0, &["discard"])],
    );
}

/// `INBOX 2, Lists 1`: the mailboxes that hold messages.
fn filled(postroom: &Postroom) -> String {
    let mailboxes = postroom.mailboxes(ANN);
    let filled = mailboxes.iter().filter(|it| it["messages"] != 0);
    let mut filled: Vec<String> = filled
        .map(|it| format!("{} {}", it["name"].as_str().expect("a name"), it["messages"]))
        .collect();
    filled.sort();
    filled.join(", ")
}

const SORTING: &str = "require [\"fileinto\", \"mailbox\", \"copy\", \"imap4flags\"];\n\
    if header :contains \"Subject\" \"list\" { fileinto :create :flags \"\\\\Seen\" \"Lists\"; }\n\
    elsif header :contains \"Subject\" \"both\" { fileinto :copy :create \"Copies\"; }\n\
    elsif header :contains \"Subject\" \"spam\" { discard; }\n\
    elsif header :contains \"Subject\" \"mark\" { addflag \"$marked\"; }\n\
    elsif header :contains \"Subject\" \"on\" { redirect \"carl@example.net\"; }\n";

#[test]
fn a_script_over_mail_that_is_there() {
    let place = Place::new();
    let relay = Relay::new();
    let wishes = Wishes {
        users: Some(&["ann", "bob"]),
        submission: Some(relay.address),
        ..Wishes::default()
    };
    let postroom = Postroom::configured(&place, &wishes);
    for subject in ["list 1", "list 2", "both", "spam", "mark", "on", "plain"] {
        deliver(
            &postroom,
            &format!("From: bob@example.net\nSubject: {subject}\n\n{subject}\n"),
        );
    }
    let apply: &[&str] = &["sieve", "apply", ANN, "INBOX"];
    dialogue(
        &postroom,
        &[(apply, "", 65, &["no active script", "--script or --file"])],
    );
    postroom.run_with_input(&["sieve", "put", ANN, "--activate", "sorting", "-"], SORTING.as_bytes());
    dialogue(
        &postroom,
        &[
            (
                apply,
                "",
                0,
                &[
                    "moved to Lists",
                    "gets \\Seen",
                    "copied to Copies",
                    "not done: discard",
                    "gets $marked",
                    "not done: redirect to carl@example.net (only --redirect",
                    "INBOX of ann@example.org: 7 messages looked at, 2 moved, 1 copied, 3 flagged, 2 with something",
                    "nothing is done without --execute",
                ],
            ),
            (&["sieve", "apply", ANN, "None"], "", 65, &["no mailbox None"]),
            (
                &["sieve", "apply", "--script", "sort", ANN, "INBOX"],
                "",
                65,
                &["did you mean `sorting`?"],
            ),
            (
                &["sieve", "apply", "--file", "-", ANN, "INBOX"],
                "kep;",
                65,
                &["nothing is done", "kep"],
            ),
        ],
    );
    assert_eq!(filled(&postroom), "INBOX 7");
    let first = &["sieve", "apply", "--execute", "--search", "subject 1", ANN, "INBOX"];
    dialogue(&postroom, &[(first, "", 0, &["1 message looked at, 1 moved"])]);
    assert_eq!(filled(&postroom), "INBOX 6, Lists 1");
    let execute: &[&str] = &["sieve", "apply", "--execute", "--json", ANN, "INBOX"];
    let done: Value = serde_json::from_slice(&postroom.run(execute)).expect("JSON");
    let lists = &done[0];
    assert_eq!(
        (&lists["uid"], &lists["subject"]),
        (&json!(2), &json!("list 2")),
        "{done}"
    );
    let expected =
        json!([{"action": "flag", "flags": ["\\Seen"]}, {"action": "move", "mailbox": "Lists", "discarded": false}]);
    assert_eq!(lists["actions"], expected);
    assert_eq!(filled(&postroom), "Copies 1, INBOX 5, Lists 2");
    assert_eq!(postroom.messages(ANN, "Lists")[1]["flags"], json!(["\\Seen"]));
    // Again nothing is done.
    let again: Value = serde_json::from_slice(&postroom.run(execute)).expect("JSON");
    let left: Vec<&Value> = again
        .as_array()
        .expect("an array")
        .iter()
        .map(|it| &it["actions"])
        .collect();
    assert_eq!(left, [&json!([]), &json!([])], "{again}");
    assert_eq!(filled(&postroom), "Copies 1, INBOX 5, Lists 2");
    assert!(relay.taken().is_empty());
    // A redirect that is not taken leaves the message where it is.
    relay.answer("RCPT", "451 4.3.0 later");
    let all: &[&str] = &["sieve", "apply", "--execute", "--redirect", "--expunge", ANN, "INBOX"];
    dialogue(
        &postroom,
        &[(
            all,
            "",
            75,
            &[
                "failed: redirect to carl@example.net",
                "removed for good",
                "1 not redirected",
            ],
        )],
    );
    assert_eq!(filled(&postroom), "Copies 1, INBOX 4, Lists 2");
    relay.take_all();
    dialogue(
        &postroom,
        &[(all, "", 0, &["redirected to carl@example.net", "1 redirected"])],
    );
    let mails = relay.taken();
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!(
        (mails[0].from.as_str(), &mails[0].to[..]),
        ("bob@example.net", &["carl@example.net".to_owned()][..])
    );
    assert_eq!(filled(&postroom), "Copies 1, INBOX 3, Lists 2");
    dialogue(&postroom, &[(all, "", 0, &["3 messages looked at\n"])]);
    assert!(relay.taken().is_empty());
}

#[test]
fn discarded_mail_goes_to_the_trash_that_there_is() {
    let place = Place::new();
    let postroom = configured(&place, "\n[mailboxes]\ncreate = [\"Trash\"]\n");
    deliver(&postroom, MESSAGE);
    let arguments = ["sieve", "apply", "--execute", "--expunge", "--file", "-", ANN, "INBOX"];
    dialogue(
        &postroom,
        &[(&arguments, "discard;", 0, &["discarded: moved to Trash"])],
    );
    assert_eq!(filled(&postroom), "Trash 1");
    let failing = ["sieve", "apply", "--execute", "--file", "-", ANN, "Trash"];
    let script = "require \"include\"; include \"gone\"; discard;";
    dialogue(
        &postroom,
        &[(
            &failing,
            script,
            65,
            &["error: ", "gone", "1 with an error of the script"],
        )],
    );
    assert_eq!(filled(&postroom), "Trash 1");
}

#[test]
fn killed_in_the_middle_and_run_again() {
    const MESSAGES: usize = 400;
    let place = Place::new();
    let postroom = configured(&place, "\n[store]\nfsync = false\n");
    let mut mbox = String::new();
    for number in 0..MESSAGES {
        mbox.push_str(&format!(
            "From bob@example.net Sun Nov  1 10:00:00 2026\nFrom: bob@example.net\nSubject: {number}\n\nbody {number}\n\n"
        ));
    }
    let mbox = place.file("mail.mbox", mbox);
    postroom.run(&["import", ANN, mbox.to_str().expect("UTF-8")]);
    assert_eq!(postroom.count(ANN, "INBOX"), MESSAGES as u64);
    let script = place.file(
        "x.sieve",
        "require [\"fileinto\", \"mailbox\"]; fileinto :create \"A\"; fileinto :create \"B\";",
    );
    let arguments = [
        "sieve",
        "apply",
        "--execute",
        "--file",
        script.to_str().expect("UTF-8"),
        ANN,
        "INBOX",
    ];
    let subjects = |mailbox: &str| -> Vec<usize> {
        if postroom.count(ANN, mailbox) == 0 {
            return Vec::new();
        }
        let messages = postroom.messages(ANN, mailbox);
        let subjects = messages.iter().map(|it| it["subject"].as_str().expect("a subject"));
        let mut numbers: Vec<usize> = subjects.map(|subject| subject.parse().expect("a number")).collect();
        numbers.sort_unstable();
        numbers
    };
    let maildir = postroom.home("ann").join("Maildir");
    let files = |folder: &str| -> usize {
        let count = |below: &str| fs::read_dir(maildir.join(folder).join(below)).map_or(0, Iterator::count);
        count("new") + count("cur")
    };
    let all: Vec<usize> = (0..MESSAGES).collect();
    // Copies to B are made first, then messages are moved to A: killed in either, a little later each time.
    for (round, folder) in [".B", ".A", ".B", ".A", ".A"].into_iter().enumerate() {
        let enough = files(folder) + 1 + 7 * round;
        let mut child = postroom.command(&arguments).spawn().expect("it starts");
        while files(folder) < enough && child.try_wait().expect("its state").is_none() {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        let (here, there, copied) = (subjects("INBOX"), subjects("A"), subjects("B"));
        assert!(!here.is_empty(), "round {round}: it was not killed in the middle");
        let mut either = [here, there.clone()].concat();
        either.sort_unstable();
        assert_eq!(either, all, "round {round}: each is in one of the two");
        assert!(
            copied.windows(2).all(|pair| pair[0] < pair[1]),
            "round {round}: no copy twice"
        );
        assert!(
            there.iter().all(|it| copied.contains(it)),
            "round {round}: copied before it is moved"
        );
    }
    postroom.run(&arguments);
    assert_eq!(
        [subjects("INBOX"), subjects("A"), subjects("B")],
        [Vec::new(), all.clone(), all]
    );
}

#[test]
fn nothing_comes_to_belong_to_root() {
    if !is_root() {
        eprintln!("skipped: not root");
        return;
    }
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::site());
    // Only root may read it.
    let file = place.file("filing.sieve", FILING);
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("permissions");
    postroom.run(&[
        "sieve",
        "put",
        "--activate",
        ANN,
        "filing",
        file.to_str().expect("UTF-8"),
    ]);
    let home = postroom.home("ann");
    for path in ["", "sieve", "sieve/filing.sieve", ".dovecot.sieve"] {
        let metadata = fs::symlink_metadata(home.join(path)).expect("it is there");
        assert_ne!(metadata.uid(), 0, "{path}");
    }
}
