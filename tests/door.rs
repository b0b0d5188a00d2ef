//! The doors: what is taken, what is refused and with which words, and what is written down about it.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::lmtp::{Carriage, Client, Reply};
use support::place::Place;
use support::postroom::{Postroom, Wishes};

const ANN: &str = "ann@example.org";
const BOB: &str = "bob@example.org";
const MESSAGE: &str = "Subject: hello\r\n\r\nbody\r\n";

fn site(place: &Place, more: &str) -> Postroom {
    Postroom::serving(
        place,
        &Wishes {
            more,
            ..Wishes::default()
        },
    )
}

fn is(reply: &Reply, code: u16, enhanced: &str) -> bool {
    reply.code == code && reply.text.starts_with(enhanced)
}

#[track_caller]
fn assert_is(reply: &Reply, code: u16, enhanced: &str) {
    assert!(is(reply, code, enhanced), "not {code} {enhanced}: {reply:?}");
}

/// Every file and folder below, in order.
fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(all_below(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

#[test]
fn unknown_and_hostile_recipients() {
    let place = Place::new();
    let postroom = Postroom::serving(
        &place,
        &Wishes {
            more: "[store]\nfsync = true\n",
            ..Wishes::default()
        },
    );
    let root = postroom.root.clone();
    let overlong = format!("{}@example.org", "a".repeat(300));
    let long = format!("{}@example.org", "a".repeat(65));
    let before = all_below(&place.path(""));
    for recipient in [
        "ann@elsewhere.example",
        "../x@example.org",
        "..@example.org",
        ".@example.org",
        ".hidden@example.org",
        "a/b@example.org",
        "a\\b@example.org",
        "\"../x\"@example.org",
        "\"a/b\"@example.org",
        "\"..\"@example.org",
        "\".hidden\"@example.org",
        "\"\"@example.org",
        "\"a\0b\"@example.org",
        "a\0b@example.org",
        "\"a\u{7f}b\"@example.org",
        "ann@../example.org",
        "ann@example.org/../x",
        "ann@[127.0.0.1]",
        "+@example.org",
        "@example.org",
        "ann@",
        &overlong,
        &long,
    ] {
        for lmtp in [true, false] {
            let mut client = if lmtp {
                Client::lmtp(postroom.lmtp)
            } else {
                Client::smtp(postroom.smtp)
            }
            .expect("a session");
            assert_is(&client.command("MAIL FROM:<s@example.net>").expect("a reply"), 250, "");
            let reply = client.command(&format!("RCPT TO:<{recipient}>")).expect("a reply");
            assert!(
                [500, 501, 550, 553].contains(&reply.code) && reply.text.starts_with("5."),
                "{recipient:?}: {reply:?}"
            );
            assert_is(&client.command("NOOP").expect("a reply"), 250, "");
        }
    }
    assert_eq!(all_below(&root), Vec::<PathBuf>::new());
    let after: Vec<PathBuf> = all_below(&place.path(""))
        .into_iter()
        .filter(|path| !before.contains(path))
        .collect();
    assert_eq!(after, Vec::<PathBuf>::new());
}

#[test]
fn only_the_users_there_are() {
    let place = Place::new();
    let table = place.file(
        "users.toml",
        "[\"ann@example.org\"]\naliases = [\"info@example.org\"]\n[\"bob@example.org\"]\n",
    );
    let postroom = Postroom::serving(
        &place,
        &Wishes {
            table: Some(&table),
            ..Wishes::default()
        },
    );
    for (recipient, code, enhanced) in [
        (ANN, 250, "2.1.5"),
        ("ANN@Example.Org", 250, "2.1.5"),
        ("ann+lists@example.org", 250, "2.1.5"),
        ("info@example.org", 250, "2.1.5"),
        ("nobody@example.org", 550, "5.1.1"),
        ("nobody+ann@example.org", 550, "5.1.1"),
        ("ann@example.com", 550, "5.1.1"),
    ] {
        for mut client in [
            Client::lmtp(postroom.lmtp).expect("a session"),
            Client::smtp(postroom.smtp).expect("a session"),
        ] {
            client.command("MAIL FROM:<s@example.net>").expect("a reply");
            assert_is(
                &client.command(&format!("RCPT TO:<{recipient}>")).expect("a reply"),
                code,
                enhanced,
            );
        }
    }
    assert_is(
        &postroom.send("s@example.net", &["info@example.org"], MESSAGE)[0],
        250,
        "2.1.5",
    );
    assert_eq!(postroom.count(ANN, "INBOX"), 1);
}

#[test]
fn over_quota() {
    let place = Place::new();
    let table = place.file(
        "users.toml",
        "[\"ann@example.org\"]\nquota = \"2000\"\n[\"bob@example.org\"]\n[\"eve@example.org\"]\nquota_messages = 1\n",
    );
    for (setting, code, enhanced) in [("refuse", 552, "5.2.2"), ("defer", 452, "4.2.2")] {
        let place = Place::new();
        let more = format!("\n[delivery]\nover_quota = {setting:?}\n");
        let postroom = Postroom::serving(
            &place,
            &Wishes {
                table: Some(&table),
                more: &more,
                ..Wishes::default()
            },
        );
        let large = format!("Subject: large\r\n\r\n{}", "0123456789abcdef\r\n".repeat(150));
        let replies = postroom.send("s@example.net", &[ANN, BOB], &large);
        assert_is(&replies[0], code, enhanced);
        assert_is(&replies[1], 250, "2.1.5");
        assert_eq!((postroom.count(ANN, "INBOX"), postroom.count(BOB, "INBOX")), (0, 1));
        // It is told at RCPT where the size is declared.
        let mut client = Client::lmtp(postroom.lmtp).expect("a session");
        client.command("MAIL FROM:<s@example.net> SIZE=3000").expect("a reply");
        assert_is(
            &client.command("RCPT TO:<ann@example.org>").expect("a reply"),
            code,
            enhanced,
        );
        assert_is(
            &client.command("RCPT TO:<bob@example.org>").expect("a reply"),
            250,
            "2.1.5",
        );
        // Small ones go in; and what filled the box may come again.
        let eve = ["eve@example.org"];
        assert_is(&postroom.send("s@example.net", &eve, MESSAGE)[0], 250, "2.1.5");
        assert_is(&postroom.send("t@example.net", &eve, MESSAGE)[0], code, enhanced);
        assert_is(
            &postroom.send("s@example.net", &eve, &MESSAGE.replace("hello", "x"))[0],
            452,
            "4.2.2",
        );
        // Room again, made by another program.
        let path = postroom.messages(eve[0], "INBOX")[0]["path"]
            .as_str()
            .expect("a path")
            .to_owned();
        fs::remove_file(postroom.home("eve").join(path)).expect("removed");
        assert_is(&postroom.send("t@example.net", &eve, MESSAGE)[0], 250, "2.1.5");
    }
}

#[test]
fn detail_and_utf8() {
    let place = Place::new();
    let mut postroom = Postroom::configured(&place, &Wishes::default());
    postroom.give_script(
        "ann",
        "require [\"envelope\", \"subaddress\", \"variables\", \"fileinto\", \"mailbox\"];\n\
         if envelope :detail :matches \"to\" \"*\" { set :lower \"d\" \"${1}\"; }\n\
         if string :is \"${d}\" \"lists\" { fileinto :create \"Lists\"; }\n",
    );
    postroom.serve();
    assert_is(
        &postroom.send("s@example.net", &["ann+lists@example.org"], MESSAGE)[0],
        250,
        "2.1.5",
    );
    assert_is(&postroom.send("s@example.net", &[ANN], MESSAGE)[0], 250, "2.1.5");
    assert_eq!((postroom.count(ANN, "Lists"), postroom.count(ANN, "INBOX")), (1, 1));

    let mut client = Client::lmtp(postroom.lmtp).expect("a session");
    client.command("MAIL FROM:<s@example.net>").expect("a reply");
    let reply = client.command("RCPT TO:<jürgen@example.org>").expect("a reply");
    assert!(
        [550, 553].contains(&reply.code) && reply.text.starts_with("5.6.7"),
        "without SMTPUTF8: {reply:?}"
    );
    client.command("RSET").expect("a reply");
    for (line, code) in [
        ("MAIL FROM:<müller@example.net> SMTPUTF8", 250),
        ("RCPT TO:<jürgen@example.org>", 250),
        ("DATA", 354),
        ("Subject: Grüße\r\n\r\nbody\r\n.", 250),
    ] {
        assert_is(&client.command(line).expect("a reply"), code, "");
    }
    let texts = postroom.texts("jürgen@example.org", "INBOX");
    assert_eq!(texts.len(), 1);
    assert!(
        texts[0].starts_with("Return-Path: <müller@example.net>\n"),
        "{}",
        texts[0]
    );
    assert!(texts[0].contains("with UTF8LMTP"), "RFC 6531 §4.3: {}", texts[0]);
}

#[test]
fn too_large_and_too_often() {
    let place = Place::new();
    let postroom = site(&place, "\n[limits]\nmessage_size = \"10000\"\n");
    let large = format!("Subject: large\r\n\r\n{}", "0123456789abcdef\r\n".repeat(1000));
    for lmtp in [true, false] {
        let mut client = if lmtp {
            Client::lmtp(postroom.lmtp)
        } else {
            Client::smtp(postroom.smtp)
        }
        .expect("a session");
        assert_is(
            &client.command("MAIL FROM:<s@example.net> SIZE=10001").expect("a reply"),
            552,
            "5.3.4",
        );
        for carriage in [Carriage::Data, Carriage::Chunks(4096), Carriage::Chunks(100_000)] {
            let replies = client
                .send("s@example.net", &[ANN], large.as_bytes(), carriage)
                .expect("replies");
            assert_is(&replies[0], 552, "5.3.4");
            assert_is(&client.command("RSET").expect("in step"), 250, "2.0.0");
        }
        // The session goes on.
        let replies = client
            .send("s@example.net", &[ANN], MESSAGE.as_bytes(), Carriage::Data)
            .expect("replies");
        assert_is(&replies[0], 250, "2.");
    }
    assert_eq!(postroom.count(ANN, "INBOX"), 1, "by both doors it is the same delivery");
    for (hops, code, enhanced) in [(100, 250, "2."), (101, 554, "5.4.6")] {
        let message = format!("{}{MESSAGE}", "Received: by x.example.net\r\n".repeat(hops));
        assert_is(&postroom.send("s@example.net", &[ANN], &message)[0], code, enhanced);
        assert_is(
            &postroom.send_by_smtp("s@example.net", &[ANN], &message),
            code,
            enhanced,
        );
    }
}

#[test]
fn all_in_one_packet() {
    let place = Place::new();
    let postroom = site(&place, "");
    let transaction = "MAIL FROM:<s@example.net>\r\nRCPT TO:<ann@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n\
        Subject: hello\r\n\r\n..body\r\n.\r\n";
    let chunks = "MAIL FROM:<t@example.net>\r\nRCPT TO:<ann@example.org>\r\nBDAT 10\r\nSubject: xBDAT 8 LAST\r\n\r\n\r\nbodyQUIT\r\n";
    for (lmtp, hello, codes) in [
        (
            true,
            "LHLO",
            &[220, 250, 250, 250, 250, 354, 250, 250, 250, 250, 250, 250, 221][..],
        ),
        (
            false,
            "EHLO",
            &[220, 250, 250, 250, 250, 354, 250, 250, 250, 250, 250, 221],
        ),
    ] {
        let address = if lmtp { postroom.lmtp } else { postroom.smtp };
        let mut client = Client::silent(address, lmtp).expect("a connection");
        let all = format!("{hello} c.example.net\r\n{transaction}{chunks}");
        client.write(all.as_bytes()).expect("sent");
        let replies = client.replies_to_the_end();
        let found: Vec<u16> = replies.iter().map(|reply| reply.code).collect();
        assert_eq!(found, codes, "{replies:?}");
    }
    let texts = postroom.texts(ANN, "INBOX");
    assert_eq!(texts.len(), 2);
    assert!(texts[0].ends_with("\n\n.body\n"), "{}", texts[0]);
    // The last line has no end, so nothing is changed in it.
    assert!(texts[1].ends_with("Subject: x\r\n\r\nbody"), "{:?}", texts[1]);
}

#[test]
fn trace_fields() {
    let both = [ANN, BOB];
    for (setting, to, delivered_to, for_clause) in [
        ("single", &both[..1], true, true),
        ("single", &both[..], false, false),
        ("always", &both[..], true, false),
        ("never", &both[..1], false, true),
    ] {
        let place = Place::new();
        let postroom = site(&place, &format!("\n[delivery]\ndelivered_to = {setting:?}\n"));
        let replies = postroom.send("s@example.net", to, MESSAGE);
        let text = postroom.texts(ANN, "INBOX").remove(0);
        let header = text
            .split("\n\n")
            .next()
            .expect("a header")
            .replace("\n\t", " ")
            .replace("\n ", " ");
        let what = format!("{setting} {to:?}:\n{header}");
        assert!(header.starts_with("Return-Path: <s@example.net>\n"), "{what}");
        assert_eq!(
            header.contains("Delivered-To: ann@example.org\n"),
            delivered_to,
            "{what}"
        );
        assert_eq!(header.contains(" for <ann@example.org>"), for_clause, "{what}");
        assert!(!header.contains(BOB) && !header.contains("X-Original-To"), "{what}");
        assert!(
            header.contains("by mx.example.org") && header.contains("with LMTP"),
            "{what}"
        );
        assert!(
            header.contains("client.example.net") && header.contains("127.0.0.1"),
            "{what}"
        );
        let id = header
            .split(" id ")
            .nth(1)
            .and_then(|rest| rest.split([' ', ';']).next())
            .expect("an id");
        assert!(replies[0].text.contains(id), "{what}\n{replies:?}");
    }
}
