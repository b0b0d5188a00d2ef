//! `message` and `expire`: found, moved, copied, flagged, removed.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use support::place::{Place, is_root};
use support::postroom::{Postroom, Wishes};

const ANN: &str = "ann@example.org";

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

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

/// A site where ann has four messages; the third answers the first.
fn site(place: &Place, more: &str) -> Postroom {
    let postroom = configured(place, more);
    for (number, from, subject, answers) in [
        (1, "Ann <ann@example.org>", "plans", ""),
        (2, "Bob <bob@example.org>", "=?utf-8?q?=C3=9Cber_alles?=", ""),
        (3, "Bob <bob@example.org>", "Re: plans", "<1@example.net>"),
        (4, "Eve <eve@example.net>", "=?utf-8?q?red_=1B[31m?=", ""),
    ] {
        deliver(
            &postroom,
            ANN,
            &format!(
                "From: {from}\nSubject: {subject}\nMessage-ID: <{number}@example.net>\nReferences: {answers}\n\
                 Date: Sun, 0{number} Nov 2026 10:00:00 +0000\n\nthe body of {number}\n"
            ),
        );
    }
    postroom
}

fn deliver(postroom: &Postroom, user: &str, message: &str) {
    let output = postroom.run_with_input(&["deliver", "-d", user, "-f", ""], message.as_bytes());
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

/// The UIDs that a command's JSON names, in its order.
fn uids(postroom: &Postroom, arguments: &[&str]) -> Vec<u64> {
    let output: Value = serde_json::from_slice(&postroom.run(arguments)).expect("JSON");
    let all = output.as_array().expect("an array").iter();
    all.map(|it| it["uid"].as_u64().unwrap_or(0)).collect()
}

#[test]
fn found() {
    let place = Place::new();
    let postroom = site(&place, "");
    postroom.run(&["message", "flag", ANN, "INBOX", "--uids", "1", "--add", "\\Seen"]);
    for (key, more, expected) in [
        ("all", &[][..], &[1, 2, 3, 4][..]),
        ("from bob not seen", &[], &[2, 3]),
        ("or seen subject \"über\"", &[], &[1, 2]),
        ("sentsince 2026-11-03", &[], &[3, 4]),
        ("body \"body of 2\"", &[], &[2]),
        ("uid 2:*", &[], &[2, 3, 4]),
        ("flagged", &[], &[]),
        ("all", &["--sort", "(reverse date)"], &[4, 3, 2, 1]),
        ("from bob", &["--sort", "reverse arrival subject"], &[3, 2]),
        ("all", &["--thread", "references"], &[1, 3, 2, 4]),
        ("all", &["--thread", "OrderedSubject"], &[1, 3, 2, 4]),
        ("from bob", &["--thread", "refs"], &[2, 3]),
    ] {
        let mut arguments = vec!["message", "search", "--json", ANN, "INBOX", key];
        arguments.extend(more);
        assert_eq!(uids(&postroom, &arguments), expected, "{key} {more:?}");
    }
    for (set, expected) in [("2:3,99", &[2, 3][..]), ("*", &[4]), ("3:*", &[3, 4]), ("99", &[])] {
        let listed = uids(&postroom, &["message", "list", "--json", "--uids", set, ANN, "INBOX"]);
        assert_eq!(listed, expected, "{set}");
    }
    let threads = postroom.run(&[
        "message",
        "search",
        "--json",
        "--thread",
        "references",
        ANN,
        "INBOX",
        "all",
    ]);
    let threads: Value = serde_json::from_slice(&threads).expect("JSON");
    let answer = &threads[1];
    assert_eq!(
        (&answer["thread"], &answer["depth"], &answer["parent"]),
        (&json!(0), &json!(1), &json!(1))
    );
    dialogue(
        &postroom,
        &[
            (
                &["message", "search", ANN, "INBOX", "all"],
                0,
                &["Über alles", "red  [31m"],
            ),
            (
                &["message", "search", "--thread", "references", ANN, "INBOX", "all"],
                0,
                &["· Re: plans"],
            ),
            (
                &["message", "search", ANN, "INBOX", "fron bob"],
                64,
                &["character 1", "did you mean `from`?"],
            ),
            (
                &["message", "search", ANN, "INBOX", "since yesterday"],
                64,
                &["yesterday"],
            ),
            (&["message", "search", ANN, "INBOX", ""], 64, &["empty"]),
            (&["message", "search", ANN, "INBOX"], 64, &["KEY"]),
            (
                &["message", "search", "--sort", "dat", ANN, "INBOX", "all"],
                64,
                &["did you mean `date`?"],
            ),
            (
                &["message", "search", "--thread", "subject", ANN, "INBOX", "all"],
                64,
                &["orderedsubject"],
            ),
            (
                &["message", "search", ANN, "INBX", "all"],
                65,
                &["did you mean `INBOX`?"],
            ),
            (
                &["message", "search", "eve@example.org", "INBOX", "all"],
                67,
                &["eve@example.org"],
            ),
            (&["message", "list", "--uids", "1:x", ANN, "INBOX"], 64, &["--uids"]),
            // Nothing was delivered to bob: his INBOX is empty.
            (
                &["message", "search", "bob@example.org", "INBOX", "all"],
                0,
                &["subject"],
            ),
            (
                &["message", "search", "bob@example.org", "Sent", "all"],
                65,
                &["no mail yet"],
            ),
        ],
    );
}

#[test]
fn moved_and_copied() {
    let place = Place::new();
    let postroom = site(&place, "");
    dialogue(
        &postroom,
        &[
            (&["message", "move", ANN, "INBOX", "Old"], 64, &["--uids", "--search"]),
            (
                &["message", "move", "--uids", "1", ANN, "INBOX", "Old"],
                65,
                &["no mailbox Old"],
            ),
            (
                &["message", "move", "--uids", "1", ANN, "INBX", "INBOX"],
                65,
                &["did you mean `INBOX`?"],
            ),
            (
                &["message", "move", "--uids", "0", ANN, "INBOX", "INBOX"],
                64,
                &["--uids"],
            ),
            (
                &["message", "move", "--search", "fron x", ANN, "INBOX", "INBOX"],
                64,
                &["`from`"],
            ),
            (&["message", "copy", "--uids", "1", ANN, "INBOX", "a..b"], 64, &["a..b"]),
            (
                &[
                    "message", "copy", "--create", "--uids", "1:3", "--search", "from bob", ANN, "INBOX", "Old",
                ],
                0,
                &["2 messages copied from INBOX to Old; UIDs 2:3 became 1:2"],
            ),
            (
                &["message", "move", "--search", "from eve", ANN, "INBOX", "Old"],
                0,
                &["1 message moved from INBOX to Old; UIDs 4 became 3"],
            ),
            (
                &["message", "move", "--uids", "99", ANN, "INBOX", "Old"],
                0,
                &["0 messages moved from INBOX to Old\n"],
            ),
        ],
    );
    assert_eq!(uids(&postroom, &["message", "list", "--json", ANN, "INBOX"]), [1, 2, 3]);
    assert_eq!(uids(&postroom, &["message", "list", "--json", ANN, "Old"]), [1, 2, 3]);
    assert!(postroom.show(ANN, "Old", 3).ends_with(b"the body of 4\r\n"));
    postroom.run(&["index", "check", ANN]);
}

#[test]
fn flagged() {
    let place = Place::new();
    let postroom = site(&place, "");
    let flags = |uid: usize| postroom.messages(ANN, "INBOX")[uid - 1]["flags"].clone();
    dialogue(
        &postroom,
        &[
            (&["message", "flag", ANN, "INBOX", "--add", "\\Seen"], 64, &["--uids"]),
            (&["message", "flag", ANN, "INBOX", "--uids", "1"], 64, &["--add"]),
            (
                &["message", "flag", ANN, "INBOX", "--uids", "1", "--add", "\\Sen"],
                64,
                &["\\Sen"],
            ),
            (
                &["message", "flag", ANN, "INBOX", "--uids", "1", "--add", "a(b"],
                64,
                &["a(b"],
            ),
            (
                &[
                    "message", "flag", ANN, "INBOX", "--uids", "1", "--set", "a", "--add", "b",
                ],
                64,
                &["--set"],
            ),
            (
                &[
                    "message", "flag", ANN, "INBOX", "--uids", "1", "--add", "a b", "--remove", "B",
                ],
                64,
                &["both"],
            ),
            (
                &[
                    "message",
                    "flag",
                    ANN,
                    "INBOX",
                    "--uids",
                    "1:2",
                    "--add",
                    "\\Seen todo",
                    "--add",
                    "$Junk",
                ],
                0,
                &["flags set on 2 messages of INBOX"],
            ),
        ],
    );
    assert_eq!(flags(2), json!(["\\Seen", "$Junk", "todo"]));
    postroom.run(&[
        "message",
        "flag",
        ANN,
        "INBOX",
        "--search",
        "keyword todo",
        "--add",
        "\\Flagged",
        "--remove",
        "$JUNK \\Seen",
    ]);
    assert_eq!(flags(1), json!(["\\Flagged", "todo"]));
    postroom.run(&["message", "flag", ANN, "INBOX", "--uids", "1", "--set", "\\Draft"]);
    postroom.run(&["message", "flag", ANN, "INBOX", "--uids", "2", "--set", ""]);
    assert_eq!(
        (flags(1), flags(2), flags(3)),
        (json!(["\\Draft"]), json!([]), json!([]))
    );
    // Marked only: nothing is removed without `expunge`.
    postroom.run(&["message", "flag", ANN, "INBOX", "--uids", "1:*", "--add", "\\Deleted"]);
    assert_eq!(postroom.count(ANN, "INBOX"), 4);
    postroom.run(&["index", "check", ANN]);
}

#[test]
fn removed() {
    let place = Place::new();
    let postroom = site(&place, "");
    postroom.run(&["message", "flag", ANN, "INBOX", "--uids", "1:2", "--add", "\\Deleted"]);
    dialogue(
        &postroom,
        &[
            (
                &["message", "expunge", ANN, "INBOX"],
                0,
                &["Über alles", "without --execute"],
            ),
            (
                &["message", "expunge", "--uids", "3:*", ANN, "INBOX"],
                0,
                &["Re: plans", "without --execute"],
            ),
            (
                &["message", "expunge", "--execute", ANN, "Inbx"],
                65,
                &["did you mean `INBOX`?"],
            ),
            (
                &["message", "expunge", "--execute", "--search", "x", ANN, "INBOX"],
                64,
                &["x"],
            ),
        ],
    );
    assert_eq!(uids(&postroom, &["message", "expunge", "--json", ANN, "INBOX"]), [1, 2]);
    assert_eq!(postroom.count(ANN, "INBOX"), 4, "only shown");
    // Those that are chosen go whatever their flags; else those that have \Deleted.
    dialogue(
        &postroom,
        &[
            (
                &["message", "expunge", "--execute", "--uids", "3", ANN, "INBOX"],
                0,
                &["1 message of INBOX removed"],
            ),
            (
                &["message", "expunge", "--execute", ANN, "INBOX"],
                0,
                &["2 messages of INBOX removed"],
            ),
            (
                &["message", "expunge", "--execute", ANN, "INBOX"],
                0,
                &["0 messages of INBOX removed"],
            ),
        ],
    );
    assert_eq!(uids(&postroom, &["message", "list", "--json", ANN, "INBOX"]), [4]);
    let gone = uids(
        &postroom,
        &[
            "message",
            "expunge",
            "--json",
            "--execute",
            "--search",
            "all",
            ANN,
            "INBOX",
        ],
    );
    assert_eq!((gone, postroom.count(ANN, "INBOX")), (vec![4], 0));
    postroom.run(&["index", "check", ANN]);
}

#[test]
fn brought_back() {
    let place = Place::new();
    let postroom = site(&place, "[store]\nkeep_expunged = \"14 days\"\n");
    let listed = |more: &[&str]| {
        let mut arguments = vec!["message", "undelete", "--json", ANN];
        arguments.extend(more);
        let found: Value = serde_json::from_slice(&postroom.run(&arguments)).expect("JSON");
        found.as_array().expect("an array").clone()
    };
    assert!(listed(&[]).is_empty());
    postroom.run(&["message", "flag", ANN, "INBOX", "--uids", "2", "--add", "\\Seen todo"]);
    let before = postroom.messages(ANN, "INBOX")[1].clone();
    let body = postroom.show(ANN, "INBOX", 2);
    postroom.run(&["message", "copy", "--create", "--uids", "1:2", ANN, "INBOX", "Old"]);
    dialogue(
        &postroom,
        &[
            (&["message", "undelete", "bob@example.org", "x"], 65, &["no mail yet"]),
            (&["message", "undelete", "eve@example.org"], 67, &["eve@example.org"]),
            (
                &["message", "undelete", ANN, "../../../etc/passwd"],
                65,
                &["undelete", "--list"],
            ),
            (&["message", "undelete", "--all", ANN, "x"], 64, &["--all"]),
            (
                &["message", "expunge", "--execute", "--uids", "2:3", ANN, "INBOX"],
                0,
                &["message undelete"],
            ),
            (&["mailbox", "delete", "--execute", ANN, "Old"], 0, &["deleted"]),
            (
                &["message", "undelete", "--list", ANN],
                0,
                &["Re: plans", "Old", "INBOX"],
            ),
        ],
    );
    assert_eq!((listed(&[]).len(), listed(&["--mailbox", "Old"]).len()), (4, 2));
    let inbox = listed(&["--mailbox", "INBOX"]);
    let second = inbox
        .iter()
        .find(|it| it["message_id"] == "2@example.net")
        .expect("it is kept");
    assert_eq!(second["flags"], before["flags"]);
    let id = second["id"].as_str().expect("an id");
    dialogue(
        &postroom,
        &[
            (
                &["message", "undelete", ANN, id],
                0,
                &["in INBOX with UID 5", "1 message brought back"],
            ),
            (&["message", "undelete", ANN, id], 65, &["no removed message"]),
        ],
    );
    let after = postroom.messages(ANN, "INBOX").pop().expect("it is back");
    for same in ["flags", "internaldate", "emailid", "subject"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_eq!(postroom.show(ANN, "INBOX", 5), body);
    // The mailbox is made again.
    postroom.run(&["message", "undelete", "--all", "--mailbox", "Old", ANN]);
    assert_eq!((postroom.count(ANN, "Old"), listed(&[]).len()), (2, 1));
    postroom.run(&["index", "check", ANN]);
}

#[test]
fn what_is_not_kept_is_said() {
    let place = Place::new();
    let postroom = site(&place, "");
    postroom.run(&["message", "expunge", "--execute", "--uids", "1", ANN, "INBOX"]);
    dialogue(&postroom, &[(&["message", "undelete", ANN], 0, &["keep_expunged"])]);
}

/// Makes what a user has in a mailbox older, as the index has it.
fn age(postroom: &Postroom, local_part: &str, mailbox: &str, days: i64) {
    let index = rusqlite::Connection::open(postroom.home(local_part).join("index.sqlite")).expect("the index");
    let sql = "UPDATE message SET savedate = savedate - 86400 * ?1 \
               WHERE mailbox = (SELECT id FROM mailbox WHERE name = ?2)";
    index.execute(sql, rusqlite::params![days, mailbox]).expect("aged");
}

#[test]
fn what_is_old_in_one_mailbox() {
    let place = Place::new();
    let postroom = site(&place, "");
    let expire = |when: &str, more: &[&str]| {
        let mut arguments = vec!["expire", "--json", "--saved-before", when];
        arguments.extend(more);
        arguments.extend([ANN, "INBOX"]);
        let found: Value = serde_json::from_slice(&postroom.run(&arguments)).expect("JSON");
        found[0]["uids"].as_str().expect("a set").to_owned()
    };
    age(&postroom, "ann", "INBOX", 3);
    deliver(&postroom, ANN, "Subject: new\n\nnew\n");
    for (when, expected) in [
        ("4d", ""),
        ("2 days", "1:4"),
        ("2000-01-01", ""),
        ("9000-01-01", "1:5"),
        ("9000-01-01T12:00:00Z", "1:5"),
    ] {
        assert_eq!(expire(when, &[]), expected, "{when}");
    }
    dialogue(
        &postroom,
        &[
            (
                &["expire", "--saved-before", "2d", ANN, "INBOX"],
                0,
                &["plans", "without --execute"],
            ),
            (
                &["expire", "--saved-before", "2d", ANN, "INBX"],
                65,
                &["did you mean `INBOX`?"],
            ),
            (&["expire", "--saved-before", "2d", "eve", "INBOX"], 67, &["eve"]),
            (
                &["expire", "--saved-before", "soon", ANN, "INBOX"],
                64,
                &["soon", "30d"],
            ),
            (&["expire", ANN, "INBOX"], 64, &["--saved-before"]),
            (&["expire", "--saved-before", "2d", ANN], 64, &["MAILBOX"]),
            (&["expire"], 64, &["USER"]),
            (&["expire", "--all", ANN], 64, &["--all"]),
            (&["expire", ANN], 78, &["[[expire]]"]),
            (&["expire", "--all"], 78, &["[[expire]]"]),
        ],
    );
    assert_eq!(postroom.count(ANN, "INBOX"), 5, "only shown");
    assert_eq!(expire("2d", &["--execute"]), "1:4");
    assert_eq!(uids(&postroom, &["message", "list", "--json", ANN, "INBOX"]), [5]);
    postroom.run(&["index", "check", ANN]);
}

#[test]
fn what_is_old_by_the_settings() {
    let place = Place::new();
    let rules = "[[expire]]\nmailbox = \"Trash.keep\"\nafter = \"1000 days\"\n\
                 [[expire]]\nmailbox = \"Trash*\"\nafter = \"30 days\"\n";
    let postroom = site(&place, rules);
    for mailbox in ["Trash", "Trash.keep"] {
        postroom.run(&["message", "copy", "--create", "--uids", "1:2", ANN, "INBOX", mailbox]);
        age(&postroom, "ann", mailbox, 31);
    }
    // bob has no mailbox that is meant, and of others nothing was delivered.
    deliver(&postroom, "bob@example.org", "Subject: x\n\nx\n");
    age(&postroom, "ann", "INBOX", 2000);
    for arguments in [&["expire", "--json", ANN][..], &["expire", "--json", "--all"]] {
        let found: Value = serde_json::from_slice(&postroom.run(arguments)).expect("JSON");
        let found: Vec<_> = found.as_array().expect("an array").iter().collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (&found[0]["mailbox"], &found[0]["uids"]),
            (&json!("Trash"), &json!("1:2"))
        );
        assert_eq!(found[0]["user"], ANN);
    }
    dialogue(
        &postroom,
        &[
            (&["expire", "--all"], 0, &["Trash", "without --execute"]),
            (&["expire", "--all", "--execute"], 0, &["2 messages removed"]),
            (&["expire", "--all", "--execute"], 0, &["0 messages removed"]),
        ],
    );
    assert_eq!(
        ["INBOX", "Trash", "Trash.keep"].map(|mailbox| postroom.count(ANN, mailbox)),
        [4, 0, 2]
    );
    // One account that cannot be opened is told, and does not keep the others from theirs.
    age(&postroom, "ann", "Trash.keep", 1000);
    fs::remove_file(postroom.home("bob").join("index.sqlite")).expect("the index");
    fs::create_dir(postroom.home("bob").join("index.sqlite")).expect("in its way");
    dialogue(
        &postroom,
        &[(
            &["expire", "--all", "--execute"],
            75,
            &["2 messages removed", "bob@example.org: ", "1 of 2 accounts"],
        )],
    );
    assert_eq!(postroom.count(ANN, "Trash.keep"), 0);
}

#[test]
fn as_root_it_becomes_the_user_whose_mail_it_is() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let rules = "[[expire]]\nmailbox = \"INBOX\"\nafter = \"30 days\"\n";
    let postroom = Postroom::configured(
        &place,
        &Wishes {
            as_mail_user: true,
            more: rules,
            ..Wishes::default()
        },
    );
    for subject in ["old", "older"] {
        deliver(&postroom, ANN, &format!("Subject: {subject}\n\nx\n"));
    }
    age(&postroom, "ann", "INBOX", 40);
    let commands: &[(&[&str], i32, &[&str])] = &[
        (
            &["message", "expunge", "--uids", "1", "--execute", ANN, "INBOX"],
            0,
            &["1 message"],
        ),
        (&["mailbox", "create", ANN, "Trash"], 0, &["made"]),
        (
            &["message", "flag", ANN, "INBOX", "--uids", "2", "--add", "work"],
            0,
            &["1 message"],
        ),
        (
            &["message", "copy", ANN, "INBOX", "Trash", "--uids", "2"],
            0,
            &["1 message"],
        ),
        // Any user is one here: those with a home are found.
        (&["expire", "--all", "--execute"], 0, &["1 message removed"]),
    ];
    dialogue(&postroom, commands);
    assert_eq!((postroom.count(ANN, "INBOX"), postroom.count(ANN, "Trash")), (0, 1));
    let owner = fs::metadata(&postroom.root).expect("the root").uid();
    assert_ne!(owner, 0);
    assert_eq!(owners(&postroom.root), [owner].into());

    // Without `user`, in a root of root's, it does not touch as root what belongs to another.
    let text = fs::read_to_string(&postroom.config).expect("the configuration");
    fs::write(&postroom.config, text.replace("\nuser = ", "\n#user = ")).expect("written");
    std::os::unix::fs::chown(&postroom.root, Some(0), Some(0)).expect("chown");
    dialogue(
        &postroom,
        &[(&["expire", "--all", "--execute"], 75, &["set `user`", "1 of 1 account"])],
    );
}

/// The owners of all below a folder.
fn owners(folder: &Path) -> BTreeSet<u32> {
    let mut owners = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        owners.insert(fs::symlink_metadata(&path).expect("it is there").uid());
        if path.is_dir() {
            owners.extend(self::owners(&path));
        }
    }
    owners
}
