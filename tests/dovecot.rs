//! postroom beside a real Dovecot: what it delivers is read over IMAP and POP3, what is changed over IMAP is taken
//! over. The configuration is that of docs/MTA.md.

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;
use support::documents::snippet_with;
use support::dovecot::{Dovecot, Seen};
use support::lmtp::{Carriage, Client};
use support::peers::{self, present, root};
use support::place::{MAIL_USER, Place, wait_until};
use support::postfix::Postfix;
use support::postroom::{Postroom, Wishes, with_crlf};

const SCRIPT: &str = "require [\"fileinto\", \"mailbox\", \"imap4flags\", \"copy\"];\n\
    addflag \"\\\\Flagged\";\naddflag \"$Work\";\n\
    if header :contains \"subject\" \"filed\" {\n\
      fileinto :create :flags [\"\\\\Seen\", \"$Label1\"] \"Archive.Gr\u{fc}\u{df}e\";\n\
    }\n";

#[test]
fn dovecot_reads_what_came_through_postfix() {
    if !peers::postfix() || !present(&["dovecot", "python3"]) {
        return;
    }
    let place = Place::new();
    let mut postroom = Postroom::configured(&place, &Wishes::site());
    postroom.give_script("ann", SCRIPT);
    postroom.serve();
    let socket = postroom.socket.to_str().expect("UTF-8");
    let main = snippet_with("postfix-unix", &[("/run/postroom/lmtp", socket)]);
    let postfix = Postfix::start(&place, &main, "");
    let mut client = Client::smtp(postfix.smtp).expect("Postfix");
    for (number, sample) in support::corpus::samples()
        .iter()
        .filter(|it| it.bytes.len() < 500_000)
        .take(60)
        .enumerate()
    {
        let subject = if number % 2 == 0 { "filed" } else { "kept" };
        let mut message = format!("Subject: {subject} {number}\r\n").into_bytes();
        message.extend_from_slice(&canonical(&sample.bytes));
        let replies = client
            .send("bob@example.org", &["ann@example.org"], &message, Carriage::Data)
            .expect("a reply");
        assert!(replies.iter().all(|it| it.code == 250), "{}: {replies:?}", sample.name);
    }
    wait_until("Postfix's queue is empty", || {
        postfix.queued().contains("queue is empty")
    });

    let dovecot = Dovecot::start(&place, &postroom.root);
    let user = "ann@example.org";
    // In modified UTF-7 (RFC 3501 §5.1.3), as IMAP names it.
    for (ours, theirs) in [("INBOX", "INBOX"), ("Archive.Gr\u{fc}\u{df}e", "Archive.Gr&APwA3w-e")] {
        let messages = postroom.messages(user, ours);
        assert!(messages.len() > 5, "{ours}: {messages:?}");
        let (_, seen) = dovecot.by_imap(user, theirs);
        assert_same(&postroom, user, ours, &messages, &seen, true);
        if ours == "INBOX" {
            assert_same(&postroom, user, ours, &messages, &dovecot.by_pop3(user), false);
        }
        // Dovecot has moved files from new/ to cur/ by now, and POP3 has set \Seen: the UIDs stay.
        let uids = |all: &[Value]| all.iter().map(|it| it["uid"].as_u64()).collect::<Vec<_>>();
        assert_eq!(uids(&postroom.messages(user, ours)), uids(&messages));
        postroom.run(&["index", "check", user]);
    }
    let flags = &postroom.messages(user, "INBOX")[0]["flags"];
    assert!(
        flags.as_array().expect("a list").contains(&Value::from("\\Seen")),
        "POP3 set it: {flags}"
    );
}

#[test]
fn takes_over_what_dovecot_changes() {
    if !root() || !present(&["dovecot", "python3"]) {
        return;
    }
    let place = Place::new();
    let postroom = Postroom::serving(&place, &Wishes::site());
    let user = "ann@example.org";
    let mut client = Client::lmtp(postroom.lmtp).expect("a session");
    let mut deliver = |subject: &str| {
        let message = format!("Subject: {subject}\r\n\r\nbody\r\n");
        let replies = client
            .send("s@example.net", &[user], message.as_bytes(), Carriage::Data)
            .expect("a reply");
        assert_eq!(replies[0].code, 250, "{replies:?}");
    };
    ["flagged", "moved", "expunged", "left"]
        .into_iter()
        .for_each(&mut deliver);
    let before = postroom.messages(user, "INBOX");
    let uid = |all: &[Value], subject: &str| {
        all.iter()
            .find(|it| it["subject"] == subject)
            .and_then(|it| it["uid"].as_u64())
            .expect(subject)
    };
    let highest = uid(&before, "left");

    Dovecot::start(&place, &postroom.root).change(user);
    deliver("after");
    let after = postroom.messages(user, "INBOX");
    let subjects: Vec<_> = after.iter().map(|it| it["subject"].as_str().expect("text")).collect();
    assert_eq!(subjects.len(), 4, "{subjects:?}");
    for kept in ["flagged", "left"] {
        assert_eq!(uid(&after, kept), uid(&before, kept));
    }
    for new in ["appended", "after"] {
        assert!(uid(&after, new) > highest, "{after:?}");
    }
    let flags = |subject: &str| {
        let message = after.iter().find(|it| it["subject"] == subject).expect(subject);
        let mut flags: Vec<_> = message["flags"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| it.to_string())
            .collect();
        flags.sort_unstable();
        flags.join(" ")
    };
    assert_eq!(flags("flagged"), r#""$Done" "\\Flagged" "\\Seen""#);
    assert_eq!(flags("appended"), r#""\\Answered""#);
    assert_eq!(flags("left"), "");
    let appended = after.iter().find(|it| it["subject"] == "appended").expect("it");
    assert!(
        appended["internaldate"]
            .as_str()
            .expect("text")
            .starts_with("2020-01-02T"),
        "{appended}"
    );
    assert_eq!(postroom.messages(user, "Archive")[0]["subject"], "moved");
    postroom.run(&["index", "check", user]);
    assert_owned_by_mail_user(&postroom.root);
}

/// The commands above ran as root; nothing they made may shut the daemon out.
fn assert_owned_by_mail_user(path: &Path) {
    let user = nix::unistd::User::from_name(MAIL_USER)
        .expect("passwd")
        .expect("the user mail");
    assert_eq!(
        fs::symlink_metadata(path).expect("it exists").uid(),
        user.uid.as_raw(),
        "{}",
        path.display()
    );
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            assert_owned_by_mail_user(&entry.expect("an entry").path());
        }
    }
}

/// Every line ended with CRLF and none of the bytes that Postfix itself changes.
fn canonical(message: &[u8]) -> Vec<u8> {
    let kept: Vec<u8> = message
        .iter()
        .copied()
        .filter(|byte| *byte != b'\r' && *byte != 0)
        .collect();
    with_crlf(&kept)
}

fn assert_same(postroom: &Postroom, user: &str, mailbox: &str, ours: &[Value], theirs: &[Seen], with_flags: bool) {
    assert_eq!(ours.len(), theirs.len(), "{mailbox}");
    let known = |flags: Vec<String>| {
        let mut flags: Vec<String> = flags.into_iter().filter(|flag| flag != "\\Recent").collect();
        flags.sort_unstable();
        flags
    };
    let mut expected: Vec<_> = ours
        .iter()
        .map(|it| {
            let flags = it["flags"].as_array().expect("a list");
            let flags = flags.iter().map(|it| it.as_str().expect("a flag").to_owned()).collect();
            (
                postroom.show(user, mailbox, it["uid"].as_u64().expect("a UID")),
                known(flags),
            )
        })
        .collect();
    // Dovecot numbers files in its own order.
    let mut found: Vec<_> = theirs
        .iter()
        .map(|it| (it.bytes.clone(), known(it.flags.clone())))
        .collect();
    expected.sort();
    found.sort();
    for ((our_bytes, our_flags), (their_bytes, their_flags)) in expected.iter().zip(&found) {
        let shown = String::from_utf8_lossy(our_bytes);
        assert!(
            our_bytes == their_bytes,
            "{mailbox}: Dovecot reads otherwise:\n{shown}\n---\n{}",
            String::from_utf8_lossy(their_bytes)
        );
        assert!(
            !with_flags || our_flags == their_flags,
            "{mailbox}: {our_flags:?} against {their_flags:?}:\n{shown:.500}"
        );
    }
}
