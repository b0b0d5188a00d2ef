//! The schema of the index as others see it: what docs/INDEX.md says of it, what the views answer, and that an
//! index written by each earlier version is opened.
//!
//! `POSTROOM_WRITE_FIXTURE=target/debug/postroom cargo test --test index_schema fixture` writes the fixture of the
//! schema that this program (of whatever version) makes.

#[path = "index_schema/fixture.rs"]
mod fixture;
#[path = "index_schema/migrations.rs"]
mod migrations;
#[path = "index_schema/pop3.rs"]
mod pop3;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use fixture::INDEX;
use flate2::read::ZlibDecoder;
use postroom::index::Index;
use postroom::mail::{EmailId, Flags, MailboxName, ThreadId, UidSet};
use postroom::message::Message;
use postroom::store::{Account, Disk, LocalStore, Options, Store};
use rusqlite::{Connection, OpenFlags};
use support::place::Place;
use support::postroom::{Postroom, Wishes, with_crlf};

const ANN: &str = "ann@example.org";

/// Opens the account in a home as a new process would.
fn open(home: &Path) -> Arc<dyn Account> {
    let store = LocalStore::new(Options {
        disk: Disk {
            fsync: false,
            ..Disk::default()
        },
        host: "mx.example.org".into(),
        open_accounts: 8,
        ..Options::default()
    });
    store.account(ANN, home).unwrap()
}

/// Reads the index as another program would.
fn reader(home: &Path) -> Connection {
    Connection::open_with_flags(home.join(INDEX), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// The first column of all rows.
fn column(index: &Connection, sql: &str) -> Vec<String> {
    let mut statement = index.prepare(sql).unwrap();
    statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

// What is documented

/// `(object, column)` for each row of a table below a heading that names a table or view.
fn documented() -> BTreeSet<(String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/INDEX.md")).unwrap();
    let (mut object, mut found) = (None, BTreeSet::new());
    for line in text.lines() {
        if line.starts_with('#') {
            object = line.strip_prefix("### `").and_then(|rest| rest.split('`').next());
        }
        let column = line.strip_prefix("| `").and_then(|rest| rest.split('`').next());
        if let (Some(object), Some(column)) = (object, column) {
            assert!(
                found.insert((object.to_owned(), column.to_owned())),
                "{object}.{column} stands there twice"
            );
        }
    }
    found
}

#[test]
fn every_column_is_documented_and_nothing_else() {
    let place = Place::new();
    drop(Index::open(&place.path(INDEX)).unwrap());
    let index = reader(&place.path(""));
    let objects = fixture::objects(&index);
    let named = objects.iter().filter(|object| object.kind != "index");
    let real: BTreeSet<_> = named
        .flat_map(|object| {
            fixture::columns(&index, &object.name)
                .into_iter()
                .map(|it| (object.name.clone(), it))
        })
        .collect();
    let documented = documented();
    let missing: Vec<_> = real.difference(&documented).collect();
    let invented: Vec<_> = documented.difference(&real).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "missing: {missing:?}\ninvented: {invented:?}"
    );
}

/// The fields of a card, or the cards of a pack.
fn fields(mut text: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
        let (name, length) = std::str::from_utf8(&text[..end]).unwrap().split_once(' ').unwrap();
        let (value, rest) = text[end + 1..].split_at(length.parse().unwrap());
        found.push((name.to_owned(), value.to_owned()));
        text = rest.strip_prefix(b"\n").unwrap();
    }
    found
}

#[test]
fn every_field_of_a_card_is_documented_and_nothing_else() {
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::default());
    let text = "From: S <s@example.net>\nTo: a@example.org\nCc: c@example.org\nSubject: Re: all of it\n\
                Date: Thu, 1 Jan 2026 10:00:00 +0000\nMessage-ID: <2@example.net>\nIn-Reply-To: <1@example.net>\n\
                References: <0@example.net> <1@example.net>\nMIME-Version: 1.0\n\
                Content-Type: multipart/mixed; boundary=b\n\n--b\n\nthe beginning\n--b\n\
                Content-Type: application/pdf; name=a.pdf\nContent-Disposition: attachment\n\nAAAA\n";
    // More parts than are told.
    let text = text.to_owned() + &"--b\n\nx\n".repeat(20_000) + "--b--\n";
    let output = postroom.run_with_input(&["deliver", "-d", ANN, "-f", "s@example.net"], text.as_bytes());
    assert!(output.status.success(), "{output:?}");
    let index = reader(&postroom.home("ann"));
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, usize>(1)?));
    let (cards, slot) = index.query_row("SELECT cards, slot FROM messages", [], row).unwrap();
    let mut text = Vec::new();
    ZlibDecoder::new(&cards[..]).read_to_end(&mut text).unwrap();
    let card: BTreeMap<String, Vec<u8>> = fields(&fields(&text)[slot].1).into_iter().collect();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/INDEX.md")).unwrap();
    let chapter = page
        .split("\n## Cards\n")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let rows = chapter
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let documented: BTreeSet<String> = rows
        .flat_map(|names| names.split(", "))
        .map(|name| name.replace('`', ""))
        .collect();
    assert_eq!(card.keys().cloned().collect::<BTreeSet<_>>(), documented);
    assert!(card["header"].ends_with(b"\r\n\r\n") && card["cut"].starts_with(b"parts"));
    assert_eq!(card["reverse-path"], b"s@example.net");
}

// What the views answer

#[test]
fn a_listing_of_flags_reads_one_table_in_its_order() {
    let place = Place::new();
    drop(Index::open(&place.path(INDEX)).unwrap());
    let index = reader(&place.path(""));
    let sql = "EXPLAIN QUERY PLAN SELECT uid, seen, uidl FROM messages WHERE mailbox = 'INBOX' ORDER BY uid";
    let mut statement = index.prepare(sql).unwrap();
    let plan = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
    let plan: Vec<String> = plan.map(Result::unwrap).collect();
    assert!(plan.iter().all(|step| step.starts_with("SEARCH")), "{plan:?}");
    assert!(
        !plan
            .iter()
            .any(|step| step.contains("content") || step.contains("pack")),
        "{plan:?}"
    );
}

#[test]
fn the_path_leads_to_the_file_whatever_its_name() {
    let place = Place::new();
    let home = place.folder("home");
    let account = open(&home);
    let mailboxes = ["INBOX", "Entwürfe", "A&B.日本語", "it's 100%_a"];
    let names = [
        "new/1700000001.a.host",
        "new/1700000002.a.host:2,S",
        "new/1700000003.a.host:2,",
        "cur/1700000004.a.host:2,",
        "cur/1700000005.a.host:2,FSZab",
        "cur/1700000006.a.host",
        "cur/1700000007.a.host:1,x",
        "cur/1700000008.a.host:2,S:2,T",
        "cur/1700000009.a.host,S=7,W=8,U=3,V=5:2,",
        "cur/1700000010.a.host,:2,RS",
        "cur/it's 100%_\\ 'quoted'\tand odd:2,S",
        "cur/grüße-日本語:2,S",
        "new/,W=1,U=1,V=1",
        "cur/:2,S",
    ];
    for name in mailboxes.map(|name| MailboxName::parse(name, '.').unwrap()) {
        if !name.is_inbox() {
            account.create_mailbox(&name).unwrap();
        }
        let folder = match name.is_inbox() {
            true => home.join("Maildir"),
            false => home.join("Maildir").join(
                &column(
                    &reader(&home),
                    &format!(
                        "SELECT folder FROM mailboxes WHERE name = '{}'",
                        name.as_str().replace('\'', "''")
                    ),
                )[0],
            ),
        };
        for file in names {
            fs::write(
                folder.join(file),
                format!("Subject: {} {file:?}\n\nbody\n", name.as_str()),
            )
            .unwrap();
        }
        // Names of ours, in which the last fields stand in other columns of the index.
        let text = format!("Subject: {} own\n\nbody\n", name.as_str());
        let message = Message::from_bytes(text.as_bytes());
        for flags in [&[][..], &["\\Seen", "todo"]] {
            let mut own = Flags::new();
            flags.iter().for_each(|flag| own.insert(flag).unwrap());
            account.append(&name, &message, &own, None).unwrap();
        }
    }
    account.reconcile().unwrap();
    assert_paths(&home, &*account, mailboxes.len() * (names.len() + 2));
}

/// All that the view says of messages agrees with what the library says.
fn assert_paths(home: &Path, account: &dyn Account, expected: usize) {
    let index = reader(home);
    let mut seen = 0;
    for mailbox in account.mailboxes().unwrap() {
        let sql = "SELECT path, emailid, threadid, size FROM messages WHERE mailbox = ? ORDER BY uid";
        let mut statement = index.prepare(sql).unwrap();
        let rows = statement.query_map([mailbox.name.as_str()], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, u64>(3)?,
            ))
        });
        let rows: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
        let details = account.details(&mailbox.name, &UidSet::all()).unwrap();
        assert_eq!(rows.len(), details.len());
        for ((path, email_id, thread_id, size), detail) in rows.iter().zip(&details) {
            let path = Path::new("Maildir").join(path);
            assert_eq!(path, detail.path);
            let stored = fs::read(home.join(&path)).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            assert_eq!(with_crlf(&stored).len() as u64, *size, "{path:?}");
            assert_eq!(EmailId::parse(email_id), Some(detail.entry.email_id));
            assert_eq!(ThreadId::parse(thread_id), Some(detail.entry.thread_id));
            let header = String::from_utf8(detail.card.header.clone()).unwrap();
            assert!(
                with_crlf(&stored).starts_with(header.as_bytes()),
                "{path:?} is another message than {header}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, expected);
}

#[test]
fn object_ids_are_spelled_as_the_library_does() {
    let place = Place::new();
    let path = place.path(INDEX);
    drop(Index::open(&path).unwrap());
    let index = Connection::open(&path).unwrap();
    let mailbox = "INSERT INTO mailbox (id, name, folder, mailboxid, uidvalidity, uidnext, highestmodseq, uids_reserved, \
                   modseqs_reserved) VALUES (1, 'INBOX', '', 'M1', 4294967295, 9, 9, 9, 9)";
    index.execute(mailbox, []).unwrap();
    for (uid, thread) in [
        (1, 0),
        (2, 1),
        (3, i64::MAX),
        (4, i64::MIN),
        (5, -1),
        (6, 0x0123_4567_89ab),
    ] {
        let mut email = [0; 16];
        email[8..].copy_from_slice(&thread.to_be_bytes());
        let content = "INSERT INTO content (id, emailid, threadid) VALUES (?, ?, ?)";
        index.execute(content, rusqlite::params![uid, email, thread]).unwrap();
        let message = "INSERT INTO message VALUES (1, ?1, 1, 0, '', 0, 0, 0, 0, 'b', '', ?1)";
        index.execute(message, [uid]).unwrap();
        let spelled = format!("SELECT emailid || ' ' || threadid || ' ' || uidl FROM messages WHERE uid = {uid}");
        let expected = format!(
            "{} {} {uid:08x}ffffffff",
            EmailId(email),
            ThreadId(thread.cast_unsigned())
        );
        assert_eq!(column(&index, &spelled), [expected]);
    }
    // One that is still to be read has no ids yet.
    index
        .execute("UPDATE content SET emailid = x'' WHERE id = 1", [])
        .unwrap();
    let missing = "SELECT uid || '' FROM messages WHERE emailid IS NULL AND threadid IS NULL AND cards IS NULL";
    assert_eq!(column(&index, missing), ["1"]);
}
