//! The same message again, after whatever happened in between: one copy, and the id of the first time.

mod support;

use std::fs;
use std::thread;

use support::lmtp::Reply;
use support::place::{Place, wait_until};
use support::postroom::{Postroom, Wishes};
use support::relay::Relay;

const ANN: &str = "ann@example.org";
const BOB: &str = "bob@example.org";
const MESSAGE: &str = "Subject: once\r\nMessage-ID: <1@example.net>\r\n\r\nbody\r\n";

/// The delivery id out of a reply.
#[track_caller]
fn id(reply: &Reply) -> String {
    assert_eq!(reply.code, 250, "{reply:?}");
    let mut words = reply.text.split(|c: char| !c.is_ascii_alphanumeric());
    let id = words.rfind(|word| word.len() == 13);
    id.unwrap_or_else(|| panic!("no id in {reply:?}")).to_owned()
}

/// What happens between two attempts, while nothing runs.
fn forget(postroom: &Postroom, names: &[&str]) {
    for name in names {
        let _ = fs::remove_file(postroom.home("ann").join(name)); // The last two need not be there.
    }
}

const INDEX: &[&str] = &["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"];

#[test]
fn after_a_crash_and_without_the_index() {
    let place = Place::new();
    let mut postroom = Postroom::serving(&place, &Wishes::default());
    let first = id(&postroom.send("s@example.net", &[ANN], MESSAGE)[0]);
    for (what, lost) in [
        ("a crash", &[][..]),
        ("a crash that cost the index", INDEX),
        ("another crash", &[]),
    ] {
        postroom.running().kill();
        forget(&postroom, lost);
        postroom.serve();
        let again = id(&postroom.send("s@example.net", &[ANN], MESSAGE)[0]);
        // An index made anew knows that it was delivered from the file's name, but the id from its Received field.
        assert_eq!(again, first, "after {what}");
        assert_eq!(postroom.count(ANN, "INBOX"), 1, "after {what}");
        postroom.run(&["index", "check", ANN]);
    }
    // Even read and moved by another program meanwhile.
    let path = postroom.messages(ANN, "INBOX")[0]["path"]
        .as_str()
        .expect("a path")
        .to_owned();
    let file = postroom.home("ann").join(&path);
    let name = file.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
    fs::rename(
        &file,
        postroom.home("ann").join("Maildir/cur").join(format!("{name}:2,S")),
    )
    .expect("moved");
    assert_eq!(id(&postroom.send("s@example.net", &[ANN], MESSAGE)[0]), first);
    // Even deleted: the user has seen it.
    fs::remove_file(postroom.home("ann").join("Maildir/cur").join(format!("{name}:2,S"))).expect("removed");
    assert_eq!(postroom.count(ANN, "INBOX"), 0);
    assert_eq!(id(&postroom.send("s@example.net", &[ANN], MESSAGE)[0]), first);
    assert_eq!(postroom.count(ANN, "INBOX"), 0);
}

#[test]
fn in_other_company() {
    let place = Place::new();
    let postroom = Postroom::serving(&place, &Wishes::default());
    let both = postroom.send("s@example.net", &[ANN, BOB], MESSAGE);
    let (ann, bob) = (id(&both[0]), id(&both[1]));
    for to in [&[BOB][..], &[BOB, ANN], &[ANN], &["eve@example.org", ANN]] {
        for (reply, to) in postroom.send("s@example.net", to, MESSAGE).iter().zip(to) {
            match *to {
                ANN => assert_eq!(id(reply), ann),
                BOB => assert_eq!(id(reply), bob),
                _ => assert_ne!(id(reply), ann),
            }
        }
    }
    // By the other door, and by pipe, it is the same delivery.
    assert_eq!(id(&postroom.send_by_smtp("s@example.net", &[ANN], MESSAGE)), ann);
    let output = postroom.run_with_input(&["deliver", "-d", ANN, "-f", "s@example.net"], MESSAGE.as_bytes());
    assert!(String::from_utf8_lossy(&output.stdout).contains(&ann), "{output:?}");
    for user in [ANN, BOB, "eve@example.org"] {
        assert_eq!(postroom.count(user, "INBOX"), 1, "{user}");
    }
    // The same recipient twice in one transaction is one delivery too.
    let message = MESSAGE.replace("once", "twice named");
    let replies = postroom.send("s@example.net", &[ANN, BOB, ANN], &message);
    assert_eq!(replies.len(), 3);
    assert_eq!(id(&replies[0]), id(&replies[2]));
    assert_eq!(postroom.count(ANN, "INBOX"), 2);
}

#[test]
fn with_a_filter_that_files_redirects_and_replies() {
    let place = Place::new();
    let relay = Relay::new();
    let mut postroom = Postroom::configured(
        &place,
        &Wishes {
            submission: Some(relay.address),
            ..Wishes::default()
        },
    );
    postroom.give_script(
        "ann",
        "require [\"fileinto\", \"mailbox\", \"copy\", \"vacation\"];\n\
         fileinto :create \"One\";\nfileinto :create \"Two\";\nredirect :copy \"out@example.net\";\n\
         vacation \"Away.\";\nkeep;\n",
    );
    postroom.serve();
    let message = format!("To: {ANN}\r\n{MESSAGE}");
    let first = id(&postroom.send("s@example.net", &[ANN], &message)[0]);
    let mut sent = Vec::new();
    wait_until("a redirect and a reply are taken", || {
        sent.extend(relay.taken());
        sent.len() >= 2
    });
    let counts = |postroom: &Postroom| ["INBOX", "One", "Two"].map(|mailbox| postroom.count(ANN, mailbox));
    for lost in [&[][..], INDEX] {
        postroom.running().kill();
        forget(&postroom, lost);
        postroom.serve();
        assert_eq!(
            id(&postroom.send("s@example.net", &[ANN], &message)[0]),
            first,
            "{lost:?}"
        );
        assert_eq!(counts(&postroom), [1, 1, 1], "{lost:?}");
        // A vacation at most once; a redirect at least once: only the index knew of it.
        let sent: Vec<Vec<String>> = relay.taken().into_iter().map(|mail| mail.to).collect();
        let expected: &[&[&str]] = if lost.is_empty() { &[] } else { &[&["out@example.net"]] };
        assert_eq!(sent, expected, "{lost:?}");
        postroom.run(&["index", "check", ANN]);
    }
    // Another filter meanwhile changes nothing about what was done.
    postroom.give_script(
        "ann",
        "require [\"fileinto\", \"mailbox\"];\nfileinto :create \"Three\";\n",
    );
    assert_eq!(id(&postroom.send("s@example.net", &[ANN], &message)[0]), first);
    assert_eq!((counts(&postroom), postroom.count(ANN, "Three")), ([1, 1, 1], 0));
}

#[test]
fn with_a_filter_that_leaves_nothing() {
    let place = Place::new();
    let relay = Relay::new();
    let mut postroom = Postroom::configured(
        &place,
        &Wishes {
            submission: Some(relay.address),
            ..Wishes::default()
        },
    );
    postroom.give_script("ann", "redirect \"out@example.net\";\n");
    postroom.serve();
    let first = id(&postroom.send("s@example.net", &[ANN], MESSAGE)[0]);
    for _ in 0..2 {
        assert_eq!(id(&postroom.send("s@example.net", &[ANN], MESSAGE)[0]), first);
        postroom.running().kill();
        postroom.serve();
    }
    assert_eq!(relay.taken().len(), 1);
    assert_eq!(postroom.count(ANN, "INBOX"), 0);
}

#[test]
fn at_once() {
    let place = Place::new();
    let relay = Relay::new();
    let mut postroom = Postroom::configured(
        &place,
        &Wishes {
            submission: Some(relay.address),
            ..Wishes::default()
        },
    );
    postroom.give_script("bob", "require \"copy\";\nredirect :copy \"out@example.net\";\n");
    postroom.serve();
    for user in [ANN, BOB] {
        let attempt = || postroom.send("s@example.net", &[user], MESSAGE).remove(0);
        let replies: Vec<Reply> = thread::scope(|scope| {
            let attempts: Vec<_> = (0..8).map(|_| scope.spawn(attempt)).collect();
            attempts.into_iter().map(|it| it.join().expect("a reply")).collect()
        });
        for reply in &replies {
            assert_eq!(id(reply), id(&replies[0]), "{user}");
        }
        assert_eq!(postroom.count(user, "INBOX"), 1, "{user}");
    }
    assert_eq!(relay.taken().len(), 1, "one redirect");
    // The same recipient twice in one transaction.
    let replies = postroom.send("s@example.net", &[BOB, BOB], &MESSAGE.replace("once", "named twice"));
    assert_eq!(id(&replies[0]), id(&replies[1]));
    assert_eq!((relay.taken().len(), postroom.count(BOB, "INBOX")), (1, 2));
}

#[test]
fn a_filter_that_would_now_refuse_it() {
    for (first, then) in [
        ("keep;", "require \"reject\"; reject \"no more\";"),
        ("keep;", "discard;"),
        (
            "require [\"duplicate\", \"reject\"]; if duplicate { reject \"seen before\"; }",
            "",
        ),
        ("require \"duplicate\"; if duplicate { discard; }", ""),
        (
            "redirect \"out@example.net\";",
            "require \"reject\"; reject \"no more\";",
        ),
    ] {
        let place = Place::new();
        let relay = Relay::new();
        let mut postroom = Postroom::configured(
            &place,
            &Wishes {
                submission: Some(relay.address),
                ..Wishes::default()
            },
        );
        postroom.give_script("ann", first);
        postroom.serve();
        let before = id(&postroom.send("s@example.net", &[ANN], MESSAGE)[0]);
        if !then.is_empty() {
            postroom.give_script("ann", then);
        }
        // The MTA did not hear the 250: to refuse it now would bounce what was delivered.
        for _ in 0..2 {
            let again = id(&postroom.send("s@example.net", &[ANN], MESSAGE)[0]);
            assert_eq!(again, before, "{first} {then}");
        }
        let copies = u64::from(!first.starts_with("redirect"));
        assert_eq!(postroom.count(ANN, "INBOX"), copies, "{first} {then}");
    }
}

#[test]
fn another_message_with_the_same_message_id_is_delivered() {
    let place = Place::new();
    let postroom = Postroom::serving(&place, &Wishes::default());
    let first = id(&postroom.send("s@example.net", &[ANN], MESSAGE)[0]);
    let mut ids = vec![first.clone()];
    for (from, other) in [
        ("s@example.net", MESSAGE.replace("body", "another body")),
        ("s@example.net", MESSAGE.replace("once", "another subject")),
        (
            "s@example.net",
            format!("Received: from a by b; Sat, 28 Nov 2026 10:00:00 +0000\r\n{MESSAGE}"),
        ),
        ("s@example.net", MESSAGE.replace("\r\nbody\r\n", "\r\nbody\r\n\r\n")),
        ("", MESSAGE.to_owned()),
        ("other@example.net", MESSAGE.to_owned()),
    ] {
        let new = id(&postroom.send(from, &[ANN], &other)[0]);
        assert!(!ids.contains(&new), "{from} {other}");
        ids.push(new);
        assert_eq!(postroom.count(ANN, "INBOX"), ids.len() as u64, "{from} {other}");
    }
    // What an MTA adds anew for each attempt makes no other message.
    let again = format!("Return-Path: <s@example.net>\r\nDelivery-date: Sat, 28 Nov 2026 10:00:00 +0000\r\n{MESSAGE}");
    assert_eq!(id(&postroom.send("s@example.net", &[ANN], &again)[0]), first);
    assert_eq!(postroom.count(ANN, "INBOX"), ids.len() as u64);
}

#[test]
fn for_those_who_were_deferred() {
    let place = Place::new();
    let relay = Relay::new();
    let mut postroom = Postroom::configured(
        &place,
        &Wishes {
            submission: Some(relay.address),
            ..Wishes::default()
        },
    );
    postroom.give_script("bob", "redirect \"out@example.net\";\n");
    postroom.serve();
    relay.answer("RCPT", "451 4.3.0 Later");
    let replies = postroom.send("s@example.net", &[BOB, ANN, "eve@example.org"], MESSAGE);
    let codes: Vec<u16> = replies.iter().map(|reply| reply.code).collect();
    assert_eq!(codes, [451, 250, 250]);
    let (ann, eve) = (id(&replies[1]), id(&replies[2]));
    // The MTA tries again for the one, and for more of them where it lost a reply.
    assert_eq!(postroom.send("s@example.net", &[BOB], MESSAGE)[0].code, 451);
    relay.take_all();
    postroom.running().kill();
    postroom.serve();
    let bob = id(&postroom.send("s@example.net", &[BOB], MESSAGE)[0]);
    let replies = postroom.send("s@example.net", &["eve@example.org", BOB, ANN], MESSAGE);
    assert_eq!(replies.iter().map(id).collect::<Vec<_>>(), [eve, bob, ann]);
    assert_eq!(relay.taken().len(), 1);
    let counts = [ANN, BOB, "eve@example.org"].map(|user| postroom.count(user, "INBOX"));
    assert_eq!(counts, [1, 0, 1]);
}

#[test]
fn of_a_plan_half_done_when_the_server_died() {
    let place = Place::new();
    let relay = Relay::new();
    let mut postroom = Postroom::configured(
        &place,
        &Wishes {
            submission: Some(relay.address),
            ..Wishes::default()
        },
    );
    postroom.give_script(
        "ann",
        "require [\"copy\", \"fileinto\", \"mailbox\"];\n\
         redirect :copy \"one@example.net\";\nredirect :copy \"two@example.net\";\nfileinto :create \"Filed\";\nkeep;\n",
    );
    postroom.serve();
    // The first redirect is taken, the second is not; nothing is filed yet.
    relay.answer("RCPT TO:<two@", "451 4.3.0 Later");
    assert_eq!(postroom.send("s@example.net", &[ANN], MESSAGE)[0].code, 451);
    let to = |relay: &Relay| relay.taken().into_iter().flat_map(|mail| mail.to).collect::<Vec<_>>();
    assert_eq!(to(&relay), ["one@example.net"]);
    assert_eq!(postroom.count(ANN, "INBOX") + postroom.count(ANN, "Filed"), 0);
    for _ in 0..2 {
        postroom.running().kill();
        postroom.serve();
        assert_eq!(postroom.send("s@example.net", &[ANN], MESSAGE)[0].code, 451);
        assert_eq!(to(&relay), [""; 0]);
    }
    relay.take_all();
    let first = id(&postroom.send("s@example.net", &[ANN], MESSAGE)[0]);
    assert_eq!(to(&relay), ["two@example.net"]);
    postroom.running().kill();
    postroom.serve();
    assert_eq!(id(&postroom.send("s@example.net", &[ANN], MESSAGE)[0]), first);
    assert_eq!(to(&relay), [""; 0]);
    assert_eq!([postroom.count(ANN, "INBOX"), postroom.count(ANN, "Filed")], [1, 1]);
    postroom.run(&["index", "check", ANN]);
}
