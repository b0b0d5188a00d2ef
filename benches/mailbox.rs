//! What a mailbox costs as it grows: `cargo bench --bench mailbox`, with the number of messages
//! behind `--` (100,000 where none is given) and the folder of mail in `POSTROOM_CORPUS`.
//!
//! The mailbox is made of files as another program would leave them: the corpus over and over,
//! each copy with a Message-ID of its own, or messages of 4 KiB where there is no corpus.
//! `TMPDIR` says on which file system. Nothing is deleted before the end.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use postroom::mail::{DeliveryId, Flags, MailboxName, ReversePath, Uid, UidSet};
use postroom::message::{Letter, Message, Trace};
use postroom::store::{Account, Alteration, LocalStore, Options, Publication, Store, Target};

/// Times that each of the short questions is asked; the median counts.
const TIMES: usize = 15;

fn main() {
    let number = std::env::args()
        .skip(1)
        .find_map(|word| word.parse().ok())
        .unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("a folder for the mail");
    let home = folder.path().join("home");
    let mail = fill(&home.join("Maildir"), number);
    println!("{number} messages, {:.1} MB of mail\n", mail as f64 / 1e6);
    println!("| what | figure |\n| --- | ---: |");
    let start = Instant::now();
    let account = open(&home);
    let adopted = start.elapsed();
    said(
        "adopted, files a second",
        format!("{:.0}", number as f64 / adopted.as_secs_f64()),
    );
    let start = Instant::now();
    account.rebuild().expect("rebuilt");
    said(
        "rebuilt, files a second",
        format!("{:.0}", number as f64 / start.elapsed().as_secs_f64()),
    );
    said(
        "index, of the mail",
        format!("{:.1} %", 100.0 * index_size(&home) as f64 / mail as f64),
    );
    questions(account.as_ref());
    // Closed, with nothing left to look at.
    std::thread::sleep(Duration::from_millis(2100));
    account.reconcile().expect("reconciled");
    drop(account);
    let opened = median(|| drop(open(&home)));
    said("account opened", format!("{:.2} ms", milliseconds(opened)));
    deliveries(open(&home).as_ref(), folder.path());
}

fn said(what: &str, figure: impl std::fmt::Display) {
    println!("| {what} | {figure} |");
}

fn median(work: impl Fn()) -> Duration {
    let mut times: Vec<Duration> = (0..TIMES)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[TIMES / 2]
}

fn questions(account: &dyn Account) {
    let inbox = MailboxName::inbox();
    let all = account.entries(&inbox, &UidSet::all()).expect("entries");
    let flags = median(|| drop(account.flags(&inbox, &UidSet::all()).expect("flags")));
    said("flags of all", format!("{:.1} ms", milliseconds(flags)));
    let entries = median(|| drop(account.entries(&inbox, &UidSet::all()).expect("entries")));
    said("entries of all", format!("{:.1} ms", milliseconds(entries)));
    let last: UidSet = all.iter().rev().take(50).map(|entry| entry.uid).collect();
    let envelopes = |uids: &UidSet| -> Vec<Vec<u8>> {
        let details = account.details(&inbox, uids).expect("details");
        details.iter().map(|detail| detail.card.envelope()).collect()
    };
    let details = median(|| drop(envelopes(&last)));
    said("the last 50 envelopes", format!("{:.2} ms", milliseconds(details)));
    let spread: UidSet = all.iter().step_by(all.len() / 50).map(|entry| entry.uid).collect();
    let details = median(|| drop(envelopes(&spread)));
    said("50 envelopes from anywhere", format!("{:.2} ms", milliseconds(details)));
    let reconcile = median(|| account.reconcile().expect("reconciled"));
    said(
        "reconcile, nothing changed",
        format!("{:.3} ms", milliseconds(reconcile)),
    );
    let start = Instant::now();
    let seen = Alteration::Add(Flags::from_stored(8, []));
    let some: UidSet = all.iter().take(10_000).map(|entry| entry.uid).collect();
    account.alter(&inbox, &some, &seen, None).expect("altered");
    said(
        "flags of 10,000 altered",
        format!("{:.0} ms", milliseconds(start.elapsed())),
    );
    let uid = all.last().map_or(Uid::new(1).expect("one"), |entry| entry.uid);
    let message = median(|| drop(account.open(&inbox, uid).expect("opened")));
    said("message opened", format!("{:.3} ms", milliseconds(message)));
}

// The same deliveries into the mailbox and into an empty one, by turns.
fn deliveries(full: &dyn Account, folder: &Path) {
    const EACH: u64 = 100;
    let empty = open(&folder.join("empty"));
    let (mut into_full, mut into_empty) = (Duration::ZERO, Duration::ZERO);
    for round in 0..5 {
        for (account, time) in [(full, &mut into_full), (empty.as_ref(), &mut into_empty)] {
            let start = Instant::now();
            (0..EACH).for_each(|number| deliver(account, round * EACH + number));
            *time += start.elapsed();
        }
    }
    let each = |time: Duration| milliseconds(time) / 500.0;
    said("a delivery into it", format!("{:.2} ms", each(into_full)));
    said("a delivery into an empty one", format!("{:.2} ms", each(into_empty)));
    said(
        "ratio",
        format!("{:.2}", into_full.as_secs_f64() / into_empty.as_secs_f64()),
    );
}

fn deliver(account: &dyn Account, number: u64) {
    let mut text = format!("Subject: message {number}\r\nMessage-ID: <new-{number}@example.net>\r\n\r\n");
    while text.len() < 4096 {
        text.push_str("The quick brown fox jumps over the lazy dog; 0123456789 and once more.\r\n");
    }
    let trace = Trace {
        return_path: ReversePath::Null,
        received: None,
        original_to: None,
        delivered_to: None,
        extra: Vec::new(),
    };
    let target = Target {
        mailbox: MailboxName::inbox(),
        flags: Flags::new(),
    };
    let publication = Publication {
        targets: vec![target],
        id: DeliveryId::new(),
        remember: Vec::new(),
        quota: None,
        history: None,
    };
    let letter = Letter::new(Message::from_bytes(text), &trace);
    let staged = account.stage(&letter, number).expect("staged");
    staged.publish(publication).expect("published");
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn open(home: &Path) -> std::sync::Arc<dyn Account> {
    let store = LocalStore::new(Options {
        host: "mx.example.org".to_owned(),
        open_accounts: 512,
        ..Options::default()
    });
    store.account("ann", home).expect("an account")
}

// Makes the files; answers their bytes.
fn fill(maildir: &Path, number: usize) -> u64 {
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(maildir.join(part)).expect("a folder");
    }
    let originals = corpus();
    let mut bytes = 0;
    for copy in 0..number {
        let path = maildir.join(format!("cur/{}.M{copy}P1.bench:2,", 1_700_000_000 + copy / 10));
        let mut file = File::create(path).expect("a file");
        let own = if copy < originals.len() {
            String::new()
        } else {
            format!("X-Copy: {copy}\n")
        };
        let original = &originals[copy % originals.len()];
        file.write_all(own.as_bytes())
            .and_then(|()| file.write_all(original))
            .expect("written");
        bytes += (own.len() + original.len()) as u64;
    }
    // Directory times are trusted only when older than two seconds.
    std::thread::sleep(Duration::from_millis(2100));
    bytes
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = std::env::var_os("POSTROOM_CORPUS").map(PathBuf::from);
    let Some(folder) = folder.map(|folder| folder.join("lists")) else {
        let body = "The quick brown fox jumps over the lazy dog; 0123456789 and once more.\n".repeat(56);
        let message = |number| format!("Subject: message {number}\nMessage-ID: <{number}@example.net>\n\n{body}");
        return (0..1000).map(|number| message(number).into_bytes()).collect();
    };
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let read = |path: &PathBuf| String::from_utf8_lossy(&fs::read(path).expect("a message")).replace("\r\n", "\n");
    paths.iter().map(|path| read(path).into_bytes()).collect()
}

fn index_size(home: &Path) -> u64 {
    let connection = rusqlite::Connection::open(home.join("index.sqlite")).expect("the index");
    // What tidying leaves to the next messages is no part of the index.
    connection
        .execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("tidied");
    let sql = "SELECT name, sum(pgsize), sum(payload) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 9";
    let mut statement = connection.prepare(sql).expect("dbstat");
    let tables = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    for table in tables.expect("tables") {
        let (name, size, payload): (String, i64, i64) = table.expect("a table");
        said(&format!("of it {name}"), format!("{size} bytes, {payload} used"));
    }
    fs::metadata(home.join("index.sqlite")).expect("the index").len()
}
