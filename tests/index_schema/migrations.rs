//! An index that an earlier version wrote is opened and nothing in it is lost.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use postroom::index::Index;
use postroom::mail::UidSet;
use rusqlite::Connection;

use crate::fixture::{self, BOOT, INDEX};
use crate::support::child::run;
use crate::support::place::Place;
use crate::support::postroom::{Postroom, Wishes};
use crate::support::relay::Relay;
use crate::{ANN, assert_paths, column, open, reader};

/// The schemas of which there is a fixture.
const SCHEMAS: [u32; 3] = [1, 2, 3];

/// As [`reader`], but it may write, so that closing it leaves no log.
fn tidy(home: &Path) -> Connection {
    Connection::open(home.join(INDEX)).unwrap()
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap()
        .trim()
        .to_owned()
}

/// What no migration may change, in words that every schema understands.
fn kept(index: &Connection) -> Vec<String> {
    let mut kept = Vec::new();
    for sql in [
        "SELECT 'mailbox ' || concat_ws(' ', name, mailboxid, uidvalidity, messages, unseen, size) FROM mailbox ORDER BY name",
        "SELECT 'message ' || concat_ws(' ', name, uid, modseq, flags, keywords, internaldate, message.size, letters, place) \
         FROM message JOIN mailbox ON mailbox.id = mailbox ORDER BY name, uid",
        "SELECT 'expunged ' || concat_ws(' ', name, uid, modseq) FROM expunged JOIN mailbox ON mailbox.id = mailbox ORDER BY 1",
        "SELECT 'step ' || concat_ws(' ', redelivery, step, delivery, tried) FROM step ORDER BY 1",
        "SELECT 'memory ' || concat_ws(' ', kind, id, until) FROM memory ORDER BY 1",
    ] {
        kept.extend(column(index, sql));
    }
    kept
}

/// What became of deliveries; nothing where the schema has no history.
fn history(index: &Connection) -> Vec<String> {
    if version(index) < 3 {
        return Vec::new();
    }
    column(
        index,
        "SELECT concat_ws(' ', delivery, recipient, message_id, ending, action, target, uid, script, result) \
         FROM deliveries LEFT JOIN delivery_actions USING (entry) ORDER BY entry, number",
    )
}

/// What comes next in each mailbox.
fn next(index: &Connection) -> Vec<String> {
    column(
        index,
        "SELECT concat_ws(' ', name, uidnext, highestmodseq) FROM mailbox ORDER BY name",
    )
}

fn restored(place: &Place, schema: u32, boot: &str) -> PathBuf {
    let home = place.folder(&format!("schema-{schema}-{}", boot.len()));
    fixture::restore(&fixture::folder(schema), &home, boot);
    home
}

fn version(index: &Connection) -> u32 {
    index
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

/// What was made, whatever comments stand in it.
fn schema_of(index: &Connection) -> BTreeSet<String> {
    let code = |sql: &str| -> Vec<String> {
        let lines = sql.lines().filter_map(|line| line.split("--").next());
        lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
    };
    let objects = fixture::objects(index).into_iter();
    objects
        .map(|object| format!("{} {} {}", object.kind, object.name, code(&object.sql).join(" ")))
        .collect()
}

/// The index is one of today, with all that was in it before, and nothing is left to do.
fn assert_of_today(home: &Path, before: &[String]) {
    for _ in 0..2 {
        let account = open(home);
        let index = reader(home);
        assert_eq!(kept(&index), before);
        let count = before.iter().filter(|line| line.starts_with("message ")).count();
        // Before the check, which reconciles.
        assert_paths(home, &*account, count);
        assert_eq!(account.check().unwrap(), Vec::<String>::new());
        assert_eq!(kept(&index), before);
        for mailbox in account.mailboxes().unwrap() {
            for detail in account.details(&mailbox.name, &UidSet::all()).unwrap() {
                let card = &detail.card;
                assert!(card.envelope().starts_with(b"(") && card.body_structure.starts_with(b"("));
                assert!(!card.header.is_empty() && !card.parts.is_empty());
            }
        }
    }
}

#[test]
fn indexes_of_every_schema_are_opened() {
    for schema in SCHEMAS {
        for boot in [boot().as_str(), "another"] {
            let place = Place::new();
            let home = restored(&place, schema, boot);
            let (before, numbers) = (kept(&reader(&home)), next(&reader(&home)));
            let history = history(&reader(&home));
            assert_eq!(history.is_empty(), schema < 3);
            assert!(
                ["expunged ", "step ", "memory "]
                    .iter()
                    .all(|it| before.iter().any(|line| line.starts_with(it)))
            );
            assert_of_today(&home, &before);
            assert_eq!(self::history(&reader(&home)), history);
            // After a power cut it goes on above what may have been given.
            assert_eq!(next(&reader(&home)) == numbers, boot != "another", "schema {schema}");
        }
    }
}

#[test]
fn a_migration_that_was_interrupted_goes_on() {
    for (logged, half) in [(false, false), (true, false), (false, true)] {
        let place = Place::new();
        let home = restored(&place, 1, &boot());
        let before = kept(&reader(&home));
        // The tables are of today, no file was read yet.
        let index = Index::open(&home.join(INDEX)).unwrap();
        assert!(index.is_migrated());
        if logged {
            index.keep_log();
        }
        drop(index);
        let unread = "SELECT count(*) || '' FROM messages WHERE emailid IS NULL";
        let undone = if logged { reader(&home) } else { tidy(&home) };
        assert_ne!(column(&undone, unread), ["0"]);
        drop(undone);
        assert_eq!(home.join("index.sqlite-wal").exists(), logged);
        if half {
            // Those of some messages were.
            drop(open(&home));
            let index = tidy(&home);
            index
                .execute("UPDATE content SET emailid = x'', card = NULL WHERE id % 2 = 0", [])
                .unwrap();
        }
        assert_of_today(&home, &before);
        assert_eq!(column(&reader(&home), unread), ["0"]);
    }
}

#[test]
fn a_migrated_index_has_the_schema_of_a_new_one() {
    let place = Place::new();
    drop(Index::open(&place.path(INDEX)).unwrap());
    let fresh = reader(&place.path(""));
    for schema in SCHEMAS.into_iter().filter(|schema| *schema < version(&fresh)) {
        let home = restored(&place, schema, BOOT);
        drop(open(&home));
        assert_eq!(schema_of(&reader(&home)), schema_of(&fresh), "schema {schema}");
        assert_eq!(version(&reader(&home)), version(&fresh));
    }
}

#[test]
fn what_a_fixture_holds_comes_back() {
    let place = Place::new();
    let home = restored(&place, 1, BOOT);
    drop(open(&home));
    let copy = place.folder("copy");
    fixture::write(&home, &copy);
    let again = place.folder("again");
    fixture::restore(&copy, &again, BOOT);
    assert_eq!(kept(&reader(&again)), kept(&reader(&home)));
    assert_eq!(schema_of(&reader(&again)), schema_of(&reader(&home)));
}

#[test]
fn an_index_of_a_later_schema_is_refused_with_the_remedy() {
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::default());
    postroom.run_with_input(&["deliver", "-d", ANN, "-f", "s@example.net"], b"Subject: x\n\nbody\n");
    let path = postroom.home("ann").join(INDEX);
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let written = fs::metadata(&path).unwrap().mtime_nsec();
    let output = postroom.run_with_input(&["message", "list", "--json", ANN, "INBOX"], b"");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("schema 99") && said.contains("use the newer postroom"),
        "{said}"
    );
    assert_eq!(fs::metadata(&path).unwrap().mtime_nsec(), written);
}

#[test]
fn writes_the_fixture_where_asked() {
    let Some(program) = std::env::var_os("POSTROOM_WRITE_FIXTURE") else {
        return;
    };
    let (place, relay) = (Place::new(), Relay::new());
    let wishes = Wishes {
        submission: Some(relay.address),
        ..Wishes::default()
    };
    let postroom = Postroom::configured(&place, &wishes);
    let home = postroom.home("ann");
    postroom.give_script("ann", SCRIPT);
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).arg("--config").arg(&postroom.config);
        command
    };
    for (subject, more) in MESSAGES {
        let message = format!(
            "From: Sender <s@example.net>\nTo: {ANN}\nSubject: {subject}\nDate: Thu, 1 Jan 2026 10:00:00 +0000\n{more}"
        );
        let file = place.file("message", message);
        let mut deliver = command(&["deliver", "-d", ANN, "-f", "s@example.net"]);
        run(deliver.stdin(fs::File::open(file).unwrap()));
    }
    let check = || drop(run(&mut command(&["index", "check", ANN])));
    check();
    let inbox = home.join("Maildir");
    let new = || -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(inbox.join("new"))
            .unwrap()
            .map(|it| it.unwrap().path())
            .collect();
        files.sort();
        files
    };
    // One was read and answered, one is gone, and one came from another program.
    let read = format!("cur/{}:2,RS", new()[0].file_name().unwrap().to_str().unwrap());
    fs::rename(&new()[0], inbox.join(read)).unwrap();
    fs::remove_file(new().last().unwrap()).unwrap();
    let foreign = inbox.join(".Entw&APw-rfe/cur/1767225600.4711_0.other.example:2,FSa");
    fs::write(&foreign, "Subject: a draft\nMessage-ID: <draft@example.org>\n\nbegun\n").unwrap();
    fs::write(inbox.join(".Entw&APw-rfe/dovecot-keywords"), "0 later\n").unwrap();
    // So that the times of the folders are old enough to be believed.
    sleep(Duration::from_secs(3));
    check();
    sleep(Duration::from_secs(3));
    check();
    fixture::write(&home, &fixture::folder(version(&reader(&home))));
}

const SCRIPT: &str = "require [\"fileinto\", \"mailbox\", \"copy\", \"imap4flags\", \"vacation\"];\n\
    if header :contains \"subject\" \"flagged\" { keep :flags [\"\\\\Flagged\", \"todo\", \"$Junk\"]; stop; }\n\
    if header :contains \"subject\" \"twice\" { fileinto :create \"Entwürfe\"; keep; stop; }\n\
    if header :contains \"subject\" \"lists\" { fileinto :create \"Lists.日本\"; stop; }\n\
    if header :contains \"subject\" \"away\" { vacation :days 7 \"Away\"; redirect :copy \"r@example.com\"; }\n";

/// Subject, and what follows.
const MESSAGES: [(&str, &str); 6] = [
    ("plain", "Message-ID: <1@example.net>\n\nbody\n"),
    (
        "flagged",
        "Message-ID: <2@example.net>\nReferences: <1@example.net>\n\n8-bit: grüße\n",
    ),
    ("twice", "Message-ID: <3@example.net>\n\nin two mailboxes\n"),
    (
        "=?utf-8?q?lists_gr=C3=BC=C3=9Fe?=",
        "Message-ID: <4@example.net>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\n\
         Content-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\nAAAA\n--b--\n",
    ),
    ("away", "Message-ID: <5@example.net>\n\nanswered\n"),
    ("gone", "\nto be expunged, without a Message-ID\n"),
];
