//! Where a filter puts a message: mailboxes, flags, nowhere, and INBOX where nothing else can be done.

mod support;

use std::fs;

use support::place::Place;
use support::postroom::{Postroom, Wishes};

const ANN: &str = "ann@example.org";
const MESSAGE: &str = "Subject: to be filed\r\nMessage-ID: <1@example.net>\r\n\r\nbody\r\n";

fn site(place: &Place, script: &str) -> Postroom {
    let mut postroom = Postroom::configured(place, &Wishes::default());
    postroom.give_script("ann", script);
    postroom.serve();
    postroom
}

fn deliver(postroom: &Postroom, message: &str) {
    let reply = &postroom.send("s@example.net", &[ANN], message)[0];
    assert_eq!(reply.code, 250, "{reply:?}\n{}", postroom.log());
}

/// The mailboxes that hold messages, as `NAME COUNT`.
fn filled(postroom: &Postroom) -> Vec<String> {
    let mailboxes = postroom.mailboxes(ANN);
    let filled = mailboxes.iter().filter(|it| it["messages"] != 0);
    let mut filled: Vec<String> = filled
        .map(|it| format!("{} {}", it["name"].as_str().expect("a name"), it["messages"]))
        .collect();
    filled.sort();
    filled
}

#[test]
fn where_it_goes() {
    for (script, expected) in [
        ("keep;", &["INBOX 1"][..]),
        ("discard;", &[]),
        ("keep; discard;", &["INBOX 1"]),
        ("fileinto :create \"Lists\";", &["Lists 1"]),
        ("fileinto :create \"Lists\"; keep;", &["INBOX 1", "Lists 1"]),
        ("fileinto :create \"Lists\"; fileinto \"Lists\";", &["Lists 1"]),
        ("fileinto :copy :create \"Lists\";", &["INBOX 1", "Lists 1"]),
        ("fileinto \"INBOX\";", &["INBOX 1"]),
        ("fileinto \"inbox\";", &["INBOX 1"]),
        ("fileinto :create \"a.b.c\";", &["a.b.c 1"]),
        ("fileinto :create \"Entwürfe.日本\";", &["Entwürfe.日本 1"]),
        ("fileinto :create \"R&D\";", &["R&D 1"]),
        // Into no mailbox that there is: INBOX, and the owner is told.
        ("fileinto \"Missing\";", &["INBOX 2"]),
        ("fileinto :create \"../../bob\";", &["INBOX 2"]),
        ("fileinto :create \"a/b\";", &["INBOX 2"]),
        ("fileinto :create \"\";", &["INBOX 2"]),
        ("fileinto :create \".\";", &["INBOX 2"]),
        ("fileinto :create \"a..b\";", &["INBOX 2"]),
        (
            "fileinto \"Missing\"; fileinto :create \"Lists\";",
            &["INBOX 2", "Lists 1"],
        ),
        ("if mailboxexists \"Lists\" { discard; }", &["INBOX 1"]),
    ] {
        let place = Place::new();
        let requires = "require [\"fileinto\", \"mailbox\", \"copy\"];\n";
        let postroom = site(&place, &format!("{requires}{script}\n"));
        deliver(&postroom, MESSAGE);
        assert_eq!(filled(&postroom), expected, "{script}\n{}", postroom.log());
        postroom.run(&["index", "check", ANN]);
        let outside: Vec<_> = fs::read_dir(postroom.root.join("example.org"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(outside, ["ann"], "{script}: beside the home");
    }
}

#[test]
fn names_on_disk() {
    let place = Place::new();
    let postroom = site(
        &place,
        "require [\"fileinto\", \"mailbox\"];\n\
         fileinto :create \"Entwürfe.日本\";\nfileinto :create \"R&D\";\nfileinto :create \"A.B\";\n",
    );
    deliver(&postroom, MESSAGE);
    let maildir = postroom.home("ann").join("Maildir");
    for (mailbox, folder) in [
        // RFC 3501 §5.1.3.
        ("Entwürfe.日本", ".Entw&APw-rfe.&ZeVnLA-"),
        ("R&D", ".R&-D"),
        ("A.B", ".A.B"),
    ] {
        let path = maildir.join(folder);
        for name in ["new", "cur", "tmp", "maildirfolder"] {
            assert!(path.join(name).exists(), "{mailbox}: no {name} in {}", path.display());
        }
        assert_eq!(
            fs::read_dir(path.join("new")).expect("a folder").count(),
            1,
            "{mailbox}"
        );
        let listed = postroom.messages(ANN, mailbox);
        let listed = listed[0]["path"].as_str().expect("a path");
        assert!(postroom.home("ann").join(listed).is_file(), "{mailbox}: {listed}");
    }
    assert!(!maildir.join("maildirfolder").exists(), "never in the root");
}

#[test]
fn a_folder_that_cannot_be_made() {
    let place = Place::new();
    let script = "require [\"fileinto\", \"mailbox\"];\nfileinto :create \"Blocked\";\n";
    let postroom = site(&place, script);
    let maildir = postroom.home("ann").join("Maildir");
    fs::create_dir_all(&maildir).expect("a folder");
    fs::write(maildir.join(".Blocked"), "in the way").expect("a file");
    deliver(&postroom, MESSAGE);
    deliver(&postroom, &MESSAGE.replace("<1@", "<2@"));
    assert_eq!(filled(&postroom), ["INBOX 3"], "two messages, one notice");
    postroom.run(&["index", "check", ANN]);
    // Out of the way, it works.
    fs::remove_file(maildir.join(".Blocked")).expect("removed");
    deliver(&postroom, &MESSAGE.replace("<1@", "<3@"));
    assert_eq!(filled(&postroom), ["Blocked 1", "INBOX 3"]);
}

#[test]
fn flags_and_keywords() {
    for (script, file_name, flags) in [
        ("setflag \"\\\\Seen\"; keep;", ":2,S", &["\\Seen"][..]),
        (
            "keep :flags [\"\\\\Flagged\", \"\\\\Seen\"];",
            ":2,FS",
            &["\\Flagged", "\\Seen"],
        ),
        ("addflag \"$Work\"; keep;", ":2,a", &["$Work"]),
        (
            "addflag [\"$Work\", \"\\\\Answered\"]; fileinto \"INBOX\";",
            ":2,Ra",
            &["$Work", "\\Answered"],
        ),
        ("setflag \"\\\\Recent\"; keep;", "", &[]),
    ] {
        let place = Place::new();
        let postroom = site(&place, &format!("require [\"imap4flags\", \"fileinto\"];\n{script}\n"));
        deliver(&postroom, MESSAGE);
        let message = &postroom.messages(ANN, "INBOX")[0];
        let path = message["path"].as_str().expect("a path");
        let folder = if file_name.is_empty() {
            "Maildir/new/"
        } else {
            "Maildir/cur/"
        };
        assert!(
            path.starts_with(folder) && path.ends_with(file_name),
            "{script}: {path}"
        );
        let mut found: Vec<&str> = message["flags"]
            .as_array()
            .expect("flags")
            .iter()
            .flat_map(|it| it.as_str())
            .collect();
        found.sort_unstable();
        assert_eq!(found, flags, "{script}");
        let keywords = fs::read_to_string(postroom.home("ann").join("Maildir/dovecot-keywords"));
        if script.contains("$Work") {
            assert_eq!(keywords.expect("dovecot-keywords"), "0 $Work\n");
        }
        // What stands on disk is enough.
        postroom.run(&["index", "rebuild", ANN]);
        assert_eq!(
            postroom.messages(ANN, "INBOX")[0]["flags"],
            message["flags"],
            "{script}: rebuilt"
        );
        let unseen = u64::from(!flags.contains(&"\\Seen"));
        assert_eq!(postroom.mailbox(ANN, "INBOX")["unseen"], unseen, "{script}");
    }
}

#[test]
fn seen_before() {
    let place = Place::new();
    let postroom = site(
        &place,
        "require [\"duplicate\", \"fileinto\", \"mailbox\"];\nif duplicate { fileinto :create \"Twice\"; }\n",
    );
    // The same Message-ID in other bytes: no redelivery, but a duplicate (RFC 7352).
    for number in 0..3 {
        deliver(&postroom, &MESSAGE.replace("body", &format!("body {number}")));
    }
    deliver(&postroom, &MESSAGE.replace("<1@", "<2@"));
    assert_eq!(filled(&postroom), ["INBOX 2", "Twice 2"]);
}

#[test]
fn scripts_of_the_site() {
    let place = Place::new();
    let before = place.folder("before");
    let after = place.folder("after");
    let spam = "require [\"fileinto\", \"mailbox\"];\n\
        if header :contains \"Subject\" \"spam\" { fileinto :create \"Junk\"; stop; }\n";
    fs::write(before.join("10-spam.sieve"), spam).expect("a script");
    fs::write(before.join("notes.txt"), "no script").expect("a file");
    let large =
        "require [\"fileinto\", \"mailbox\", \"copy\"];\nif size :over 1K { fileinto :copy :create \"Large\"; }\n";
    fs::write(after.join("90-large.sieve"), large).expect("a script");
    let default = place.file(
        "default.sieve",
        "require [\"fileinto\", \"mailbox\"];\nfileinto :create \"Default\";\n",
    );
    let wishes = Wishes {
        before: Some(&before),
        after: Some(&after),
        default: Some(&default),
        ..Wishes::default()
    };
    let mut postroom = Postroom::configured(&place, &wishes);
    postroom.give_script(
        "bob",
        "require [\"fileinto\", \"mailbox\"];\nfileinto :create \"Own\";\n",
    );
    postroom.serve();
    let large = format!("Subject: large\r\n\r\n{}\r\n", "0123456789\r\n".repeat(200));
    for (user, message, mailbox) in [
        (ANN, "Subject: hello\r\n\r\nbody\r\n", "Default"),
        (ANN, "Subject: spam\r\n\r\nbody\r\n", "Junk"),
        ("bob@example.org", "Subject: hello\r\n\r\nbody\r\n", "Own"),
        ("bob@example.org", "Subject: spam\r\n\r\nbody\r\n", "Junk"),
    ] {
        assert_eq!(postroom.send("s@example.net", &[user], message)[0].code, 250);
        assert_eq!(
            postroom.count(user, mailbox),
            1,
            "{user}: {message}\n{}",
            postroom.log()
        );
        assert_eq!(postroom.count(user, "INBOX"), 0, "{user}: {message}");
    }
    // The script after runs where the one before it leaves a keep; bob's and the default leave none.
    postroom.give_script("eve", "keep;\n");
    assert_eq!(
        postroom.send("s@example.net", &["eve@example.org"], &large)[0].code,
        250
    );
    let counts = ["INBOX", "Large"].map(|mailbox| postroom.count("eve@example.org", mailbox));
    assert_eq!(counts, [1, 1]);
    assert_eq!(
        postroom.send("s@example.net", &["bob@example.org"], &large)[0].code,
        250
    );
    let counts = ["Own", "Large"].map(|mailbox| postroom.count("bob@example.org", mailbox));
    assert_eq!(counts, [2, 0]);
}

#[test]
fn a_broken_script_of_the_site() {
    let place = Place::new();
    let before = place.file("before.sieve", "if {\n");
    let wishes = Wishes {
        before: Some(&before),
        ..Wishes::default()
    };
    let mut postroom = Postroom::configured(&place, &wishes);
    postroom.give_script(
        "ann",
        "require [\"fileinto\", \"mailbox\"];\nfileinto :create \"Lists\";\n",
    );
    postroom.serve();
    deliver(&postroom, MESSAGE);
    assert_eq!(
        filled(&postroom),
        ["INBOX 2"],
        "the message and a notice\n{}",
        postroom.log()
    );
}

#[test]
fn a_missing_mailbox_is_made_where_the_site_wants_it() {
    let place = Place::new();
    let wishes = Wishes {
        more: "[delivery]\ncreate_mailboxes = true\n",
        ..Wishes::default()
    };
    let mut postroom = Postroom::configured(&place, &wishes);
    postroom.give_script("ann", "require \"fileinto\";\nfileinto \"Lists\";\n");
    postroom.serve();
    deliver(&postroom, MESSAGE);
    assert_eq!(filled(&postroom), ["Lists 1"]);
}

#[test]
fn scripts_of_a_domain() {
    let place = Place::new();
    let marking = |name: &str| {
        let script = format!("require [\"fileinto\", \"mailbox\", \"copy\"];\nfileinto :copy :create \"{name}\";\n");
        place.file(&format!("{name}.sieve"), script)
    };
    let filing = |name: &str| {
        let script = format!("require [\"fileinto\", \"mailbox\"];\nfileinto :create \"{name}\";\n");
        place.file(&format!("{name}.sieve"), script)
    };
    let (before, after, default) = (marking("Before"), marking("After"), filing("Default"));
    let of_b = [marking("BeforeB"), marking("AfterB"), filing("DefaultB")];
    let table = place.file(
        "users.toml",
        "[\"ann@example.org\"]\n[\"bob@b.example\"]\naliases = [\"bob@example.org\"]\n[\"eve@c.example\"]\n",
    );
    let [before_b, after_b, default_b] = of_b;
    let more = format!(
        "[[sieve.domain]]\nname = \"B.example\"\nbefore = [{before_b:?}]\nafter = [{after_b:?}]\ndefault = {default_b:?}\n\
         [[sieve.domain]]\nname = \"c.example\"\n"
    );
    let wishes = Wishes {
        table: Some(&table),
        before: Some(&before),
        after: Some(&after),
        default: Some(&default),
        more: &more,
        ..Wishes::default()
    };
    let postroom = Postroom::serving(&place, &wishes);
    let kept = |user: &str| {
        let mailboxes = postroom.mailboxes(user);
        let mut filled: Vec<String> = mailboxes
            .iter()
            .filter(|it| it["messages"] != 0)
            .map(|it| format!("{} {}", it["name"].as_str().expect("a name"), it["messages"]))
            .collect();
        filled.sort();
        filled.join(" ")
    };
    for (address, user, expected) in [
        ("ann@example.org", "ann@example.org", "Before 1 Default 1"),
        ("bob@b.example", "bob@b.example", "Before 1 BeforeB 1 DefaultB 1"),
        // The domain is that of the account, not that of the address.
        ("bob@example.org", "bob@b.example", "Before 2 BeforeB 2 DefaultB 2"),
        ("eve@c.example", "eve@c.example", "Before 1 Default 1"),
    ] {
        let message = format!("Subject: to {address}\r\n\r\nbody\r\n");
        let reply = &postroom.send("s@example.net", &[address], &message)[0];
        assert_eq!(reply.code, 250, "{reply:?}\n{}", postroom.log());
        assert_eq!(kept(user), expected, "{address}\n{}", postroom.log());
    }
    // What the user's script keeps passes on to the domain's and then to the site's.
    let home = postroom.root.join("b.example/bob");
    fs::write(home.join(".dovecot.sieve"), "keep;\n").expect("a script");
    postroom.send("s@example.net", &["bob@b.example"], "Subject: own\r\n\r\nbody\r\n");
    let expected = "After 1 AfterB 1 Before 3 BeforeB 3 DefaultB 2 INBOX 1";
    assert_eq!(kept("bob@b.example"), expected, "{}", postroom.log());
}
