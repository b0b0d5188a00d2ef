//! Indexes that are closed with their log, changes that did not come to their end, and when things are forgotten.

use std::fs;
use std::time::{Duration, Instant};

use super::account::LocalAccount;
use super::tests::{Home, INBOX, deliver, name};
use super::{lock, mending};
use crate::index::Durability;
use crate::mail::{Flags, MailboxName, SystemFlag, UidSet};
use crate::store::{Account, Alteration, Mailboxes, Messages, Published, StoreError};

const LOG: &str = "index.sqlite-wal";

fn seen() -> Alteration {
    let mut flags = Flags::new();
    flags.insert("\\Seen").unwrap();
    Alteration::Add(flags)
}

fn is_seen(account: &dyn Account) -> Vec<bool> {
    let flags = account.flags(&MailboxName::inbox(), &UidSet::all()).unwrap();
    flags.iter().map(|(_, _, flags)| flags.has(SystemFlag::Seen)).collect()
}

fn log_size(home: &Home) -> Option<u64> {
    fs::metadata(home.path(LOG)).ok().map(|log| log.len())
}

fn is_undone(account: &LocalAccount) -> bool {
    let mut index = lock(&account.index);
    let transaction = index.begin(Durability::Process).unwrap();
    account.is_undone(&transaction).unwrap()
}

#[test]
fn a_short_log_stays_until_the_account_is_tended() {
    let home = Home::keeping_logs();
    home.deliver(1, INBOX);
    let home = home.closed();
    assert!(log_size(&home).is_some_and(|size| size > 0));
    // What another program brought meanwhile: nobody looks for it where nothing was left undone.
    fs::write(home.path("Maildir/new/1.other.host"), "A: b\n\nc\n").unwrap();
    let account = home.account();
    assert_eq!(account.usage().unwrap().messages, 1);
    assert!(matches!(home.deliver(1, INBOX), Published::Before(_)));
    home.deliver(2, INBOX);
    assert_eq!(account.usage().unwrap().messages, 2);
    drop(account);
    let home = home.closed();
    let account = home.account();
    assert!(account.tend(Instant::now() + Duration::from_secs(60)).unwrap());
    drop(account);
    let home = home.closed();
    assert_eq!(log_size(&home), None);
    assert_eq!(home.uids("INBOX").len(), 3);
    home.close();
}

#[test]
fn a_long_log_is_taken_in_by_who_closes() {
    let home = Home::keeping_logs();
    let mut key = 0;
    while log_size(&home).unwrap_or(0) <= mending::LOG_KEPT {
        key += 1;
        home.deliver(key, INBOX);
    }
    let home = home.closed();
    assert_eq!(log_size(&home), None);
    assert_eq!(home.uids("INBOX").len() as u64, key);
    home.close();
}

#[test]
fn who_does_not_keep_logs_takes_in_what_was_left() {
    let home = Home::keeping_logs();
    home.deliver(1, INBOX);
    let home = home.closed().restarted();
    assert!(log_size(&home).is_some());
    home.account();
    let home = home.restarted();
    assert_eq!(log_size(&home), None);
    home.close();
}

#[test]
fn a_change_that_failed_midway_is_known_to_others() {
    let home = Home::keeping_logs();
    (1..=2).for_each(|key| drop(home.deliver(key, INBOX)));
    let other = home.other();
    let connection = rusqlite::Connection::open(home.path("index.sqlite")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON message BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    connection.execute_batch(refuse).unwrap();
    let account = home.account();
    assert!(
        account
            .alter(&MailboxName::inbox(), &UidSet::all(), &seen(), None)
            .is_err()
    );
    connection.execute_batch("DROP TRIGGER refuse").unwrap();
    drop((connection, account));
    // The files have their flag, the rows have not.
    assert_eq!(is_seen(&other), [false, false]);
    assert!(is_undone(&other));
    deliver(&other, 3, INBOX).unwrap();
    assert_eq!(is_seen(&other), [true, true, false]);
    assert!(!is_undone(&other));
    drop(other);
    home.close();
}

// Closes the account with its index as it was before `change`.
fn closed_without(home: Home, change: impl FnOnce(&Home)) -> Home {
    let files = ["index.sqlite", LOG, "index.sqlite-shm"];
    let before = files.map(|file| fs::read(home.path(file)).unwrap());
    change(&home);
    let home = home.closed();
    for (file, bytes) in files.iter().zip(before) {
        fs::write(home.path(file), bytes).unwrap();
    }
    home
}

#[test]
fn a_change_that_was_killed_is_taken_in_at_the_next_opening() {
    let home = Home::keeping_logs();
    (1..=2).for_each(|key| drop(home.deliver(key, INBOX)));
    let home = closed_without(home, |home| {
        let altered = home
            .account()
            .alter(&MailboxName::inbox(), &UidSet::all(), &seen(), None);
        assert_eq!(altered.unwrap().entries.len(), 2);
    });
    assert_eq!(is_seen(home.account().as_ref()), [true, true]);
    home.close();
}

#[test]
fn an_index_whose_last_commits_are_gone_is_known() {
    for lost in 1..=4 {
        let home = Home::keeping_logs();
        home.deliver(1, INBOX);
        let home = closed_without(home, |home| {
            (2..2 + lost).for_each(|key| drop(home.deliver(key, INBOX)))
        });
        assert_eq!(is_seen(home.account().as_ref()).len() as u64, 1 + lost);
        assert!(matches!(home.deliver(2, INBOX), Published::Before(_)), "{lost}");
        home.close();
    }
}

#[test]
fn what_changes_nothing_leaves_nothing_undone_and_writes_nothing() {
    let home = Home::keeping_logs();
    home.deliver(1, INBOX);
    let account = home.other();
    account
        .alter(&MailboxName::inbox(), &UidSet::all(), &seen(), None)
        .unwrap();
    let size = log_size(&home);
    let none = account
        .expunge(&MailboxName::inbox(), &UidSet::all())
        .map(|gone| gone.len());
    assert_eq!(none.unwrap(), 0);
    account
        .alter(&MailboxName::inbox(), &UidSet::all(), &seen(), None)
        .unwrap();
    let missing = account.delete_mailbox(&name("Missing"));
    assert!(matches!(missing, Err(StoreError::NoMailbox { .. })));
    assert_eq!(log_size(&home), size);
    assert!(!is_undone(&account));
    drop(account);
    home.close();
}

#[test]
fn what_had_its_time_is_forgotten_once_a_day_however_often_the_account_is_opened() {
    let home = Home::new();
    home.deliver(1, INBOX);
    let connection = || rusqlite::Connection::open(home.path("index.sqlite")).unwrap();
    let old = "INSERT INTO memory VALUES ('notice', 'old', 1)";
    let is_kept = || -> bool {
        let sql = "SELECT EXISTS (SELECT 1 FROM memory WHERE id = 'old')";
        connection().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    connection().execute(old, []).unwrap();
    deliver(&home.other(), 2, INBOX).unwrap();
    assert!(is_kept());
    let noted: String = connection()
        .query_row("SELECT value FROM fact WHERE name = 'forgotten'", [], |row| row.get(0))
        .unwrap();
    let (time, span) = noted.split_once(' ').unwrap();
    let others = [
        format!("0 {span}"),
        format!("99999999999 {span}"),
        format!("{time} 0 0"),
        String::new(),
    ];
    for (key, past) in (3..).zip(others) {
        connection()
            .execute("INSERT OR IGNORE INTO memory VALUES ('notice', 'old', 1)", [])
            .unwrap();
        let sql = "UPDATE fact SET value = ? WHERE name = 'forgotten'";
        assert_eq!(connection().execute(sql, [&past]).unwrap(), 1);
        deliver(&home.other(), key, INBOX).unwrap();
        assert!(!is_kept(), "{past}");
    }
    home.close();
}
