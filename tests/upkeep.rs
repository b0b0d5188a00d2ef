//! What happens behind deliveries at the real door: words are indexed, also after kill -9; a damaged index is
//! set aside while mail goes on coming in; new accounts get their mailboxes.

mod support;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use support::place::{Place, wait_until};
use support::postroom::{Postroom, Wishes};

const ANN: &str = "ann@example.org";

fn message(number: u32) -> String {
    format!(
        "Subject: number {number}\r\n\r\nword{number} {}\r\n",
        "and more ".repeat(50)
    )
}

fn deliver(postroom: &Postroom, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let reply = postroom.send("s@example.net", &[ANN], &message(number)).remove(0);
        assert_eq!(reply.code, 250, "{number}: {reply:?}");
    }
}

/// Messages that the full text index of ann knows.
fn known(postroom: &Postroom) -> u32 {
    let path = postroom.home("ann").join("fulltext.sqlite");
    let connection = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
    let count = connection.and_then(|it| it.query_row("SELECT count(*) FROM message", [], |row| row.get(0)));
    count.unwrap_or(0)
}

fn kill(postroom: &mut Postroom) {
    let id = Pid::from_raw(i32::try_from(postroom.running().id()).expect("a process id"));
    nix::sys::signal::kill(id, Signal::SIGKILL).expect("it runs");
    postroom.running().kill(); // Reaps it.
}

#[test]
fn words_are_indexed_behind_deliveries_and_after_a_crash() {
    let place = Place::new();
    let mut postroom = Postroom::serving(&place, &Wishes::default());
    deliver(&postroom, 0..300);
    // Killed at whatever point it has come to.
    wait_until("it has begun", || known(&postroom) > 0);
    kill(&mut postroom);
    let before = known(&postroom);
    postroom.serve();
    // So many are worth opening an account for.
    deliver(&postroom, 300..316);
    wait_until("all is caught up", || known(&postroom) == 316);
    assert!(before <= 316);
    postroom.run(&["index", "check", ANN]);
    // What was rebuilt is tended at once; what nobody wants is not made.
    fs::remove_file(postroom.home("ann").join("fulltext.sqlite")).expect("removed");
    postroom.run(&["index", "rebuild", ANN]);
    assert_eq!(known(&postroom), 316);
    kill(&mut postroom);
    let place = Place::new();
    let without = Postroom::configured(
        &place,
        &Wishes {
            more: "\n[search]\nfulltext = false\n",
            ..Wishes::default()
        },
    );
    let text = message(1);
    without.run_with_input(&["deliver", "-d", ANN], text.as_bytes());
    without.run(&["index", "rebuild", ANN]);
    assert!(!without.home("ann").join("fulltext.sqlite").exists());
}

fn spoil(index: &Path, round: u32) {
    // So that the database holds what counts, and the server looks at it again.
    if round % 5 < 4 {
        let connection = rusqlite::Connection::open(index).expect("it opens");
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(index)
        .expect("the index");
    let length = file.metadata().expect("its length").len();
    let log = index.with_file_name("index.sqlite-wal");
    let done = match round % 5 {
        0 => file.write_all_at(&[0xa5; 100], 0),
        1 => file.set_len(length / 2),
        2 => file.write_all_at(&vec![0x5a; usize::try_from(length).expect("small")], 0),
        3 => file.write_all_at(&[0; 8192], 8192),
        // The log, where all that is new lies.
        _ => fs::metadata(&log).and_then(|found| {
            let log = fs::OpenOptions::new().write(true).open(&log)?;
            log.write_all_at(&vec![0; usize::try_from(found.len()).expect("small")], 0)
        }),
    };
    done.expect("it is spoilt");
}

#[test]
fn an_index_is_spoilt_again_and_again_while_mail_comes_in() {
    let place = Place::new();
    let postroom = Postroom::serving(&place, &Wishes::default());
    deliver(&postroom, 0..20);
    let numbers = |postroom: &Postroom| {
        let messages = postroom.messages(ANN, "INBOX");
        let number = |it: &serde_json::Value| (it["uid"].as_u64(), it["subject"].clone());
        messages.iter().map(number).collect::<Vec<_>>()
    };
    let (first, validity) = (
        numbers(&postroom),
        postroom.mailbox(ANN, "INBOX")["uidvalidity"].clone(),
    );
    let (next, stop) = (AtomicU32::new(20), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    deliver(&postroom, number..number + 1);
                }
            });
        }
        for round in 0..10 {
            let goal = next.load(Ordering::Relaxed) + 40;
            wait_until("mail comes in", || next.load(Ordering::Relaxed) > goal);
            spoil(&postroom.home("ann").join("index.sqlite"), round);
        }
        let goal = next.load(Ordering::Relaxed) + 40;
        wait_until("mail comes in", || next.load(Ordering::Relaxed) > goal);
        stop.store(true, Ordering::Relaxed);
    });
    // What the last round spoilt need not have been met yet.
    postroom.run(&["index", "rebuild", ANN]);
    postroom.run(&["index", "check", ANN]);
    let after = numbers(&postroom);
    assert_eq!(after[..20], first);
    assert_eq!(
        after.len(),
        next.load(Ordering::Relaxed) as usize,
        "each was answered with 250 and is there once"
    );
    let mut subjects: Vec<String> = after.iter().map(|(_, subject)| subject.to_string()).collect();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), after.len());
    assert_eq!(postroom.mailbox(ANN, "INBOX")["uidvalidity"], validity);
    assert!(postroom.home("ann").join("index.sqlite.damaged").exists());
    let log = postroom.log();
    assert!(log.contains("the index is damaged; it was set aside"), "{log}");
}

#[test]
fn a_new_account_gets_its_mailboxes_before_its_first_message() {
    let place = Place::new();
    let more = "\n[mailboxes]\ncreate = [\"Drafts\", \"Junk\", \"Sent\", \"Trash\", \"Archive\"]\n";
    let postroom = Postroom::configured(
        &place,
        &Wishes {
            more,
            ..Wishes::default()
        },
    );
    postroom.give_script("ann", "require \"fileinto\"; fileinto \"Junk\";");
    postroom.run_with_input(&["deliver", "-d", ANN], message(1).as_bytes());
    assert_eq!(postroom.count(ANN, "Junk"), 1);
    let names: Vec<String> = postroom
        .mailboxes(ANN)
        .iter()
        .map(|it| it["name"].to_string())
        .collect();
    assert_eq!(names.len(), 6, "{names:?}");
    let subscribed = fs::read_to_string(postroom.home("ann").join("Maildir/subscriptions")).expect("subscriptions");
    assert!(
        ["Archive", "Drafts", "Junk", "Sent", "Trash"]
            .iter()
            .all(|name| subscribed.contains(name))
    );
    postroom.run(&["index", "check", ANN]);
}
