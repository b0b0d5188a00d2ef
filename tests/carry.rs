//! Mail carried in and out: mbox, Maildir and `.eml`, ours and other programs'. `POSTROOM_CORPUS` as in tests/corpus.rs.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use support::child::run;
use support::corpus::samples;
use support::dovecot::Dovecot;
use support::peers::{present, root};
use support::place::{Place, give_to_mail_user};
use support::postroom::{Postroom, Wishes};

const ANN: &str = "ann@example.org";
const BOB: &str = "bob@example.org";
const CAROL: &str = "carol@example.org";
const FROM: &str = "From ann@example.org Tue Nov 14 22:13:20 2023\n";

fn site() -> (Place, Postroom) {
    let place = Place::new();
    let wishes = Wishes {
        more: "\n[store]\nfsync = false\n",
        ..Wishes::default()
    };
    let postroom = Postroom::configured(&place, &wishes);
    (place, postroom)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Runs a command and answers its exit code and all it said.
fn said(postroom: &Postroom, arguments: &[&str]) -> (i32, String) {
    let output = postroom.run_with_input(arguments, b"");
    let words = [output.stdout, output.stderr].concat();
    (
        output.status.code().expect("it ended"),
        String::from_utf8_lossy(&words).into_owned(),
    )
}

fn set_time(path: &Path, seconds: u64) {
    let file = fs::File::options().write(true).open(path).expect("a file");
    file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds))
        .expect("a time");
}

fn summary(postroom: &Postroom, user: &str, mailbox: &str) -> Vec<(String, String, String)> {
    let one = |it: &Value| {
        (
            it["subject"].to_string(),
            it["flags"].to_string(),
            it["internaldate"].to_string(),
        )
    };
    postroom.messages(user, mailbox).iter().map(one).collect()
}

/// What becomes of bytes that are stored: all lines ending in CRLF, they lose the CR.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let crlf = bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| *byte != b'\n' || (at > 0 && bytes[at - 1] == b'\r'));
    let doubled = bytes.windows(3).any(|three| three == b"\r\r\n");
    if !crlf || doubled || !bytes.ends_with(b"\r\n") {
        return bytes.to_vec();
    }
    let is_end = |at: usize| bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n');
    (0..bytes.len()).filter(|at| !is_end(*at)).map(|at| bytes[at]).collect()
}

/// The exported files of a folder by UID.
fn exported(folder: &Path) -> Vec<Vec<u8>> {
    let list: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).expect("a list")).expect("JSON");
    let messages = list["messages"].as_array().expect("an array");
    messages
        .iter()
        .map(|it| fs::read(folder.join(it["file"].as_str().expect("a name"))).expect("a message"))
        .collect()
}

#[test]
fn the_corpus_comes_back_byte_for_byte() {
    let (place, postroom) = site();
    let samples = samples();
    let source = place.folder("source");
    for (number, sample) in samples.iter().enumerate() {
        let path = place.file(&format!("source/{}.eml", number + 1), &sample.bytes);
        set_time(&path, 1_600_000_000 + number as u64);
    }
    let same = |folder: &Path, expected: &dyn Fn(&[u8]) -> Vec<u8>| {
        let back = exported(&folder.join("INBOX"));
        assert_eq!(back.len(), samples.len());
        for (sample, bytes) in samples.iter().zip(&back) {
            let expected = expected(&sample.bytes);
            assert_eq!(
                String::from_utf8_lossy(bytes),
                String::from_utf8_lossy(&expected),
                "{}",
                sample.name
            );
            assert!(*bytes == expected, "{}", sample.name);
        }
    };
    postroom.run(&["import", ANN, text(&source)]);
    let eml = place.path("eml");
    postroom.run(&["export", ANN, text(&eml), "--format", "eml"]);
    same(&eml, &|bytes| stored(bytes));

    postroom.run(&["export", ANN, text(&place.path("maildir")), "--format", "maildir"]);
    postroom.run(&["import", BOB, text(&place.path("maildir"))]);
    postroom.run(&["export", BOB, text(&place.path("bob")), "--format", "eml"]);
    same(&place.path("bob"), &|bytes| stored(bytes));
    assert_eq!(summary(&postroom, BOB, "INBOX"), summary(&postroom, ANN, "INBOX"));

    postroom.run(&["export", ANN, text(&place.path("mbox")), "--format", "mbox"]);
    postroom.run(&["import", CAROL, text(&place.path("mbox"))]);
    postroom.run(&["export", CAROL, text(&place.path("carol")), "--format", "eml"]);
    same(&place.path("carol"), &|bytes| {
        let mut bytes = stored(bytes);
        // What mbox cannot say: that the last line has no end.
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        stored(&bytes)
    });
    // Again: all is there.
    let counts = [ANN, BOB, CAROL].map(|user| postroom.count(user, "INBOX"));
    for (user, source) in [(ANN, "source"), (BOB, "maildir"), (CAROL, "mbox"), (BOB, "eml")] {
        let said = said(&postroom, &["import", user, text(&place.path(source)), "--json"]).1;
        let carried: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(carried[0]["imported"], 0, "{user} {source}: {said}");
    }
    assert_eq!([ANN, BOB, CAROL].map(|user| postroom.count(user, "INBOX")), counts);
    for user in [ANN, BOB, CAROL] {
        postroom.run(&["index", "check", user]);
    }
}

#[test]
fn equal_messages_are_counted_and_never_doubled() {
    let (place, postroom) = site();
    let message = format!("{FROM}Subject: twice\n\nx\n\n");
    let mbox = place.file("mbox", message.repeat(2) + &format!("{FROM}Subject: once\n\ny\n\n"));
    for round in 0..3 {
        postroom.run(&["import", ANN, text(&mbox)]);
        assert_eq!(postroom.count(ANN, "INBOX"), 3, "round {round}");
    }
    // One that is gone comes again; a source that has grown brings what is new.
    place.file("mbox", message.repeat(3));
    postroom.run(&["import", ANN, text(&mbox)]);
    assert_eq!(postroom.count(ANN, "INBOX"), 4);
    // From a pipe, and into another mailbox.
    let output = postroom.run_with_input(&["import", ANN, "-", "--mailbox", "Piped.Mail"], message.as_bytes());
    assert!(output.status.success());
    assert_eq!(postroom.count(ANN, "Piped.Mail"), 1);
    let output = postroom.run_with_input(&["import", ANN, "-", "--mailbox", "Piped"], b"Subject: one\n\nx\n");
    assert!(output.status.success());
    assert_eq!(postroom.count(ANN, "Piped"), 1);
    assert_eq!(summary(&postroom, ANN, "INBOX")[0].2, "\"2023-11-14T22:13:20Z\"");
}

#[test]
fn flags_dates_and_folders_of_every_kind_of_tree() {
    let (place, postroom) = site();
    let message = |subject: &str| format!("Subject: {subject}\n\nx\n");
    for (path, subject) in [
        ("tree/cur/1.a.h:2,FS", "inbox"),
        ("tree/new/2.a.h", "new"),
        ("tree/.Archive.T&AOo-te/cur/3.a.h:2,RPa", "plus plus"),
        ("tree/Lists/Rust/cur/4.a.h:2,T", "nested"),
        ("tree/Lists/.hidden/cur/5.a.h:2,", "hidden"),
        ("tree/v1.2/cur/6.a.h:2,D", "dot"),
    ] {
        let path = place.file(path, message(subject));
        set_time(&path, 1_500_000_000);
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(path.parent().unwrap().parent().unwrap().join(part)).unwrap();
        }
    }
    place.file("tree/.Archive.T&AOo-te/dovecot-keywords", "0 $Work\n");
    place.file("tree/subscriptions", "V\t2\n\nArchive\tT&AOo-te\n");
    postroom.run(&["import", ANN, text(&place.path("tree"))]);
    for (mailbox, subject, flags) in [
        ("INBOX", "inbox", r#"["\\Flagged","\\Seen"]"#),
        (
            "Archive.T\u{ea}te",
            "plus plus",
            r#"["\\Answered","$Forwarded","$Work"]"#,
        ),
        ("Lists.Rust", "nested", r#"["\\Deleted"]"#),
        ("Lists.hidden", "hidden", "[]"),
        ("v1_2", "dot", r#"["\\Draft"]"#),
    ] {
        let found = summary(&postroom, ANN, mailbox);
        let expected = (
            format!("{subject:?}"),
            flags.to_owned(),
            "\"2017-07-14T02:40:00Z\"".to_owned(),
        );
        assert_eq!(found[0], expected, "{mailbox}");
    }
    let subscriptions = fs::read_to_string(postroom.home("ann").join("Maildir/subscriptions")).unwrap();
    assert_eq!(subscriptions, "V\t2\n\nArchive\tT&AOo-te\n");

    // A Thunderbird profile, and below another mailbox.
    place.file(
        "tb/Inbox",
        "From - Tue Nov 14 22:13:20 2023\nX-Mozilla-Status: 0005\nSubject: tb\n\nx\n",
    );
    place.file("tb/Inbox.msf", "// not mail");
    place.file(
        "tb/Old.sbd/Sub",
        format!("{FROM}Status: RO\nX-Status: A\nX-Keywords: todo\nSubject: sub\n\nx\n"),
    );
    postroom.run(&["import", BOB, text(&place.path("tb")), "--mailbox", "Thunderbird"]);
    assert_eq!(summary(&postroom, BOB, "Thunderbird")[0].1, r#"["\\Flagged","\\Seen"]"#);
    assert_eq!(
        summary(&postroom, BOB, "Thunderbird.Old.Sub")[0].1,
        r#"["\\Answered","\\Seen","todo"]"#
    );

    // Dates of .eml files.
    let dated = "Received: from a by b; Tue, 14 Nov 2023 23:13:20 +0100\nSubject: d\n\nx\n";
    let eml = place.file("one.eml", dated);
    set_time(&eml, 1_500_000_000);
    for (choice, date) in [
        ("file", "\"2017-07-14T02:40:00Z\""),
        ("header", "\"2023-11-14T22:13:20Z\""),
    ] {
        postroom.run(&["import", CAROL, text(&eml), "--mailbox", choice, "--date", choice]);
        assert_eq!(summary(&postroom, CAROL, choice)[0].2, date);
    }
}

#[test]
fn what_is_broken_is_named_and_the_rest_is_imported() {
    let (place, postroom) = site();
    place.file("tree/a", format!("lost words\n\n{FROM}Subject: kept\n\nx\n"));
    place.file("tree/cur.eml", "Subject: one\n\nx\n");
    // Not a mailbox, so no fault either.
    place.file("tree/notes.txt", "words");
    place.file(
        &format!("tree/{}", "long".repeat(64 - 1)),
        format!("{FROM}Subject: long\n\nx\n"),
    );
    place.file("tree/m/cur/1.a.h:2,S", "BZh91AY&SYxxxxxxxx");
    place.file("tree/m/cur/2.a.h:2,S", "Subject: good\n\nx\n");
    fs::create_dir_all(place.path("tree/m/new")).unwrap();
    std::os::unix::fs::symlink(place.path("tree/m"), place.path("tree/link")).unwrap();
    let said = said(&postroom, &["import", ANN, text(&place.path("tree"))]);
    assert_eq!(said.0, 65, "{}", said.1);
    for words in [
        "2 files are no mail and were passed over",
        "tree/m/cur/1.a.h:2,S: ",
        "tree/link: ",
    ] {
        assert!(said.1.contains(words), "{words} in {}", said.1);
    }
    // One whose beginning is lost is an mbox only where somebody says so.
    let said = self::said(
        &postroom,
        &["import", ANN, text(&place.path("tree")), "--format", "mbox"],
    );
    assert_eq!(said.0, 65, "{}", said.1);
    assert!(said.1.contains("tree/a: byte 0, line 1: 12 bytes"), "{}", said.1);
    assert_eq!(postroom.count(ANN, "a"), 1);
    assert_eq!(postroom.count(ANN, "m"), 1);
    assert_eq!(postroom.count(ANN, "INBOX"), 1);
    postroom.run(&["index", "check", ANN]);
}

#[test]
fn wrong_uses_of_import_and_export() {
    let (place, postroom) = site();
    let mbox = place.file("mbox", format!("{FROM}Subject: x\n\nx\n"));
    postroom.run(&["import", ANN, text(&mbox), "--mailbox", "Archive"]);
    let empty = place.folder("empty");
    let there = place.folder("there");
    place.file("there/Archive.mbox", "mine");
    let path = |name: &str| text(&place.path(name)).to_owned();
    for (arguments, code, words) in [
        (
            vec!["import", "nobody@example.com", text(&mbox)],
            67,
            "nobody@example.com",
        ),
        (vec!["import", ANN, "/nonexistent"], 65, "/nonexistent"),
        (vec!["import", ANN, text(&empty)], 65, "holds no"),
        (vec!["import", ANN, text(&mbox), "--mailbox", "a..b"], 64, "a..b"),
        (
            vec!["import", ANN, text(&mbox), "--format", "maildir"],
            65,
            "a Maildir is a folder",
        ),
        (vec!["export", ANN, &path("new")], 64, "--format"),
        (
            vec!["export", ANN, &path("new"), "--format", "mbox", "--mailbox", "Archve"],
            65,
            "did you mean Archive?",
        ),
        (
            vec!["export", ANN, text(&there), "--format", "mbox"],
            65,
            "Archive.mbox is there already",
        ),
        (
            vec!["account", "remove", "nobody@example.com"],
            67,
            "nobody@example.com",
        ),
        (vec!["account", "backup", ANN, text(&there)], 65, "there already"),
        (vec!["account", "rename", ANN, ANN], 64, "one home"),
    ] {
        let said = said(&postroom, &arguments);
        assert_eq!(said.0, code, "{arguments:?}: {}", said.1);
        assert!(said.1.contains(words), "{arguments:?}: {}", said.1);
    }
    assert_eq!(fs::read(there.join("Archive.mbox")).unwrap(), b"mine");
    assert!(!place.path("there/INBOX.mbox").exists());
    // What is there stays, the rest is added.
    postroom.run(&["export", ANN, text(&there), "--format", "mbox", "--resume"]);
    assert_eq!(fs::read(there.join("Archive.mbox")).unwrap(), b"mine");
    assert!(place.path("there/INBOX.mbox").exists());
}

#[test]
fn an_export_that_was_stopped_goes_on() {
    let (place, postroom) = site();
    let mbox = place.file(
        "mbox",
        format!("{FROM}Status: RO\nX-Keywords: $Work\nSubject: x\n\nx\n"),
    );
    for mailbox in ["INBOX", "A", "A.B"] {
        postroom.run(&["import", ANN, text(&mbox), "--mailbox", mailbox]);
    }
    // What a run leaves that was killed: before its name is given, and for INBOX between two renames.
    place.file("mbox-out/.A.mbox.unfinished", "half");
    place.file("eml-out/A/1.eml", "half");
    place.file("maildir-out/postroom-unfinished.A/cur/half", "half");
    place.file("maildir-out/new/1.a.h", "Subject: moved\n\nx\n");
    place.file("maildir-out/postroom-finished/cur/2.a.h:2,S", "Subject: waiting\n\nx\n");
    for (format, there) in [("mbox", 3), ("eml", 3), ("maildir", 4)] {
        let to = place.path(&format!("{format}-out"));
        let arguments = ["export", ANN, text(&to), "--format", format];
        if format != "mbox" {
            assert_ne!(said(&postroom, &arguments).0, 0, "{format}: nothing is overwritten");
        }
        postroom.run(&[&arguments[..], &["--resume"]].concat());
        let user = format!("{format}@example.org");
        postroom.run(&["import", &user, text(&to)]);
        let counts: u64 = ["INBOX", "A", "A.B"]
            .iter()
            .map(|mailbox| postroom.count(&user, mailbox))
            .sum();
        assert_eq!(counts, there, "{format}");
        assert_eq!(
            summary(&postroom, &user, "A.B"),
            summary(&postroom, ANN, "A.B"),
            "{format}"
        );
        let left = fs::read_dir(&to)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(left.filter(|name| name.contains("finished")).count(), 0, "{format}");
    }
}

#[test]
fn an_import_that_was_killed_is_finished_by_the_next() {
    let (place, postroom) = site();
    let mut mbox = String::new();
    for number in 0..4_000 {
        mbox += &format!("{FROM}Subject: {number}\nMessage-ID: <{number}@x>\n\nbody of {number}\n\n");
    }
    let mbox = place.file("mbox", mbox);
    for wait in [300, 600, 900] {
        let mut child = postroom.command(&["import", ANN, text(&mbox)]);
        let mut child = child.stdout(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(wait));
        let _ = child.kill();
        child.wait().expect("it ended");
    }
    postroom.run(&["import", ANN, text(&mbox)]);
    let subjects: std::collections::BTreeSet<String> = postroom
        .messages(ANN, "INBOX")
        .iter()
        .map(|it| it["subject"].to_string())
        .collect();
    assert_eq!((postroom.count(ANN, "INBOX"), subjects.len()), (4_000, 4_000));
    postroom.run(&["index", "check", ANN]);
}

#[test]
fn python_reads_and_writes_the_same() {
    if !present(&["python3"]) {
        return;
    }
    let (place, postroom) = site();
    let script = place.file(
        "write.py",
        r#"
import mailbox, sys
box = mailbox.mbox(sys.argv[1] + "/box.mbox")
for number, flags in enumerate(["", "R", "RO", "ROAF", "D"]):
    message = mailbox.mboxMessage(f"Subject: {number}\n\nFrom the body\n>From quoted\n".encode())
    message.set_flags(flags)
    message.set_from("ann@example.org", __import__("time").gmtime(1700000000 + number))
    box.add(message)
box.flush()
tree = mailbox.Maildir(sys.argv[1] + "/tree")
sub = tree.add_folder("Sub")
for number, flags in enumerate(["", "S", "FRS"]):
    message = mailbox.MaildirMessage(f"Subject: {number}\n\nbody\n".encode())
    message.set_subdir("cur")
    message.set_flags(flags)
    message.set_date(1700000000 + number)
    sub.add(message)
"#,
    );
    let files = place.folder("python");
    run(Command::new("python3").arg(script).arg(&files));
    postroom.run(&["import", ANN, text(&files.join("box.mbox"))]);
    postroom.run(&["import", ANN, text(&files.join("tree"))]);
    let flags = |mailbox: &str| -> Vec<String> {
        let mut all = summary(&postroom, ANN, mailbox);
        all.sort();
        all.into_iter().map(|(_, flags, _)| flags).collect()
    };
    assert_eq!(
        flags("INBOX"),
        [
            "[]",
            r#"["\\Seen"]"#,
            r#"["\\Seen"]"#,
            r#"["\\Answered","\\Flagged","\\Seen"]"#,
            r#"["\\Deleted"]"#
        ]
    );
    assert_eq!(
        flags("Sub"),
        ["[]", r#"["\\Seen"]"#, r#"["\\Answered","\\Flagged","\\Seen"]"#]
    );
    assert_eq!(summary(&postroom, ANN, "INBOX")[4].2, "\"2023-11-14T22:13:24Z\"");
    // Python quotes as mboxo does, and reads no quotes.
    assert!(postroom.texts(ANN, "INBOX")[0].contains("\nFrom the body\nFrom quoted\n"));

    postroom.run(&["export", ANN, text(&place.path("out")), "--format", "mbox"]);
    let script = place.file(
        "read.py",
        "import json, mailbox, sys\nbox = mailbox.mbox(sys.argv[1])\n\
         print(json.dumps([[m['Subject'], ''.join(sorted(m.get_flags())), m.get_from(), m.get_payload()] for m in box]))\n",
    );
    let out = run(Command::new("python3").arg(script).arg(place.path("out/INBOX.mbox")));
    let read: Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(read.as_array().expect("an array").len(), 5);
    assert_eq!(read[3][1], "AFOR");
    assert_eq!(read[3][2], "MAILER-DAEMON Tue Nov 14 22:13:23 2023");
    assert_eq!(read[3][3], ">From the body\n>From quoted\n");
}

#[test]
fn dovecot_reads_the_exported_maildir() {
    if !root() || !present(&["dovecot", "python3"]) {
        return;
    }
    let (place, postroom) = site();
    let mut mbox = String::new();
    for (number, fields) in [
        "",
        "Status: RO\n",
        "Status: RO\nX-Status: AF\n",
        "X-Keywords: $Work todo\n",
    ]
    .iter()
    .enumerate()
    {
        mbox += &format!("{FROM}{fields}Subject: {number}\n\nx\n\n");
    }
    let mbox = place.file("mbox", mbox);
    for mailbox in ["INBOX", "Archive.Gr\u{fc}n"] {
        postroom.run(&["import", ANN, text(&mbox), "--mailbox", mailbox]);
    }
    let home = place.folder("dovecot-root/example.org/ann");
    postroom.run(&["export", ANN, text(&home.join("Maildir")), "--format", "maildir"]);
    give_to_mail_user(&place.path("dovecot-root"));
    let dovecot = Dovecot::start(&place, &place.path("dovecot-root"));
    for (ours, theirs) in [("INBOX", "INBOX"), ("Archive.Gr\u{fc}n", "Archive.Gr&APw-n")] {
        let (_, seen) = dovecot.by_imap(ANN, theirs);
        let mut theirs: Vec<(String, Vec<String>)> = seen
            .into_iter()
            .map(|it| {
                let mut flags = it.flags;
                flags.retain(|flag| flag != "\\Recent");
                flags.sort();
                (String::from_utf8_lossy(&it.bytes).replace("\r\n", "\n"), flags)
            })
            .collect();
        theirs.sort();
        let messages = postroom.messages(ANN, ours);
        let mut expected: Vec<(String, Vec<String>)> = postroom
            .texts(ANN, ours)
            .into_iter()
            .zip(&messages)
            .map(|(bytes, it)| {
                let flags = it["flags"].as_array().expect("an array").iter();
                let mut flags: Vec<String> = flags.map(|flag| flag.as_str().expect("text").to_owned()).collect();
                flags.sort();
                (bytes, flags)
            })
            .collect();
        expected.sort();
        assert_eq!(theirs, expected, "{ours}");
    }
}

#[test]
fn accounts_are_listed_renamed_and_removed() {
    let (place, mut postroom) = site();
    postroom.serve();
    postroom.send("x@example.net", &[ANN, BOB], "Subject: x\r\n\r\nx\r\n");
    fs::create_dir_all(postroom.root.join("gone.example/carol/Maildir/cur")).unwrap();
    fs::create_dir_all(postroom.root.join("gone.example/carol/Maildir/new")).unwrap();
    fs::create_dir_all(postroom.root.join("gone.example/carol/Maildir/tmp")).unwrap();
    let list = || -> Vec<Value> {
        let out = postroom.run(&["account", "list", "--json"]);
        serde_json::from_slice::<Value>(&out)
            .expect("JSON")
            .as_array()
            .expect("an array")
            .clone()
    };
    let all = list();
    let names: Vec<_> = all
        .iter()
        .map(|it| (it["user"].as_str().unwrap(), &it["in_directory"], &it["messages"]))
        .collect();
    assert_eq!(
        names,
        [
            (ANN, &Value::from(true), &Value::from(1)),
            (BOB, &Value::from(true), &Value::from(1)),
            ("carol@gone.example", &Value::from(false), &Value::from(0)),
        ]
    );
    // A dry run does nothing, and one whom the directory does not know may be removed.
    postroom.run(&["account", "remove", "carol@gone.example"]);
    assert_eq!(list().len(), 3);
    postroom.run(&["account", "remove", "carol@gone.example", "--execute"]);
    assert!(!postroom.root.join("gone.example/carol").exists());
    assert_eq!(fs::read_dir(postroom.root.join("gone.example")).unwrap().count(), 0);

    // While the server has both open: mail for the old name makes a new home, and nothing is mixed up.
    assert_eq!(said(&postroom, &["account", "rename", ANN, BOB]).0, 65);
    postroom.run(&["account", "rename", ANN, CAROL]);
    for round in 0..3 {
        let reply = &postroom.send("x@example.net", &[ANN], &format!("Subject: again {round}\r\n\r\nx\r\n"))[0];
        assert_eq!(reply.code, 250, "{reply:?}");
    }
    assert_eq!((postroom.count(ANN, "INBOX"), postroom.count(CAROL, "INBOX")), (3, 1));
    postroom.run(&["account", "remove", ANN, "--execute"]);
    assert!(!postroom.home("ann").exists());
    postroom.send("x@example.net", &[ANN], "Subject: once more\r\n\r\nx\r\n");
    assert_eq!(postroom.count(ANN, "INBOX"), 1);
    for user in [ANN, BOB, CAROL] {
        postroom.run(&["index", "check", user]);
    }
    drop(place);
}

#[test]
fn a_home_that_is_more_than_mail_is_not_removed() {
    let place = Place::new();
    let outside = place.folder("outside");
    let table = place.file(
        "accounts.toml",
        format!(
            "[\"ann@example.org\"]\nhome = {outside:?}\n[\"bob@example.org\"]\nhome = \"homes\"\n\
             [\"carol@example.org\"]\nhome = \"homes/carol\"\n"
        ),
    );
    let wishes = Wishes {
        table: Some(&table),
        ..Wishes::default()
    };
    let postroom = Postroom::configured(&place, &wishes);
    let mbox = place.file("mbox", format!("{FROM}Subject: x\n\nx\n"));
    for user in [ANN, BOB, CAROL] {
        let (code, words) = said(&postroom, &["import", user, text(&mbox)]);
        assert_eq!(code, 0, "{words}");
    }
    for user in [ANN, BOB] {
        let (code, words) = said(&postroom, &["account", "remove", user, "--execute"]);
        assert_eq!(code, 64, "{words}");
    }
    postroom.run(&["account", "remove", CAROL, "--execute"]);
    assert_eq!((postroom.count(ANN, "INBOX"), postroom.count(BOB, "INBOX")), (1, 1));
}

#[test]
fn a_backup_taken_while_mail_comes_in_is_an_account() {
    let (place, mut postroom) = site();
    postroom.serve();
    let send = |number: u32| {
        let reply = &postroom.send("x@example.net", &[ANN], &format!("Subject: {number}\r\n\r\nx\r\n"))[0];
        assert_eq!(reply.code, 250, "{reply:?}");
    };
    (0..20).for_each(send);
    postroom.give_script("ann", "keep;\n");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut number = 20;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                send(number);
                number += 1;
            }
            number
        });
        for round in 0..5 {
            let to = place.path(&format!("backup-{round}"));
            postroom.run(&["account", "backup", ANN, text(&to)]);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        sender.join().expect("it sent")
    });
    assert_eq!(postroom.count(ANN, "INBOX"), u64::from(sent));
    let live = postroom.messages(ANN, "INBOX");
    for round in 0..5 {
        // Put back by plain copying.
        let from = place.path(&format!("backup-{round}"));
        let user = format!("restored-{round}@example.org");
        let home = postroom.home(&format!("restored-{round}"));
        run(Command::new("cp").arg("-r").arg(&from).arg(&home));
        let files = fs::read_dir(home.join("Maildir/new")).unwrap().count();
        let before = fs::metadata(home.join("index.sqlite")).unwrap().len();
        assert!(before > 0 && home.join("sieve/main.sieve").is_file() && home.join(".dovecot.sieve").is_symlink());
        let messages = postroom.messages(&user, "INBOX");
        assert_eq!(messages.len(), files, "{user}");
        assert!(files >= 20);
        for (ours, theirs) in live.iter().zip(&messages) {
            assert_eq!((&ours["uid"], &ours["subject"]), (&theirs["uid"], &theirs["subject"]));
        }
        postroom.run(&["index", "check", &user]);
    }
}
