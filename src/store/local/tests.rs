//! The local store against files as others leave them, and against what is lost.
//!
//! Every test ends in [`Home::close`], which runs the check.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::account::LocalAccount;
use super::{LocalStore, Options};
use crate::index::{Durability, Index};
use crate::mail::{Client, DeliveryId, Flags, MailboxName, Protocol, ReversePath, Uid, UidSet};
use crate::maildir::Disk;
use crate::message::{Letter, Message, Received, Trace};
use crate::store::{
    Account, Detail, MailboxStatus, Publication, Published, Remembered, Step, Store, StoreError, Target,
};

/// An account in a folder of its own.
pub(super) struct Home {
    folder: tempfile::TempDir,
    store: LocalStore,
    /// Whether Dovecot's lists are written.
    shared: bool,
}

impl Home {
    pub(super) fn new() -> Home {
        Home {
            folder: tempfile::tempdir().unwrap(),
            store: store(),
            shared: false,
        }
    }

    /// One beside a Dovecot, whose lists are written.
    pub(super) fn shared() -> Home {
        let store = store_with(true);
        Home {
            store,
            shared: true,
            ..Home::new()
        }
    }

    /// One whose accounts are closed with a short log.
    pub(super) fn keeping_logs() -> Home {
        let mut options = Options::clone(&store().options);
        options.keep_logs = true;
        Home {
            store: LocalStore::new(options),
            ..Home::new()
        }
    }

    /// The same account as another process opens it.
    pub(super) fn other(&self) -> LocalAccount {
        LocalAccount::open(&self.store.options, "ann@example.org", self.folder.path()).unwrap()
    }

    /// Closes the account: its store opens it anew when it is asked for.
    pub(super) fn closed(self) -> Home {
        Home {
            store: LocalStore::new(Options::clone(&self.store.options)),
            ..self
        }
    }

    pub(super) fn account(&self) -> Arc<dyn Account> {
        self.store.account("ann@example.org", self.folder.path()).unwrap()
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// What a restart leaves: the files alone.
    pub(super) fn restarted(self) -> Home {
        Home {
            store: store_with(self.shared),
            ..self
        }
    }

    pub(super) fn without_index(self) -> Home {
        let home = self.restarted();
        for file in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
            let _ = fs::remove_file(home.path(file));
        }
        home
    }

    pub(super) fn deliver(&self, key: u64, targets: &[(&str, &str)]) -> Published {
        deliver(self.account().as_ref(), key, targets).unwrap()
    }

    pub(super) fn status(&self, mailbox: &str) -> MailboxStatus {
        let account = self.account();
        account.reconcile().unwrap();
        let found = account
            .mailboxes()
            .unwrap()
            .into_iter()
            .find(|status| status.name.as_str() == mailbox);
        found.unwrap_or_else(|| panic!("no {mailbox}"))
    }

    pub(super) fn messages(&self, mailbox: &str) -> Vec<Detail> {
        let account = self.account();
        account.reconcile().unwrap();
        account.details(&name(mailbox), &UidSet::all()).unwrap()
    }

    pub(super) fn uids(&self, mailbox: &str) -> Vec<u32> {
        self.messages(mailbox)
            .iter()
            .map(|entry| entry.entry.uid.value())
            .collect()
    }

    pub(super) fn file(&self, mailbox: &str, uid: u32) -> PathBuf {
        let entries = self.messages(mailbox);
        let entry = entries.iter().find(|entry| entry.entry.uid.value() == uid).unwrap();
        self.folder.path().join(&entry.path)
    }

    pub(super) fn close(&self) {
        assert_eq!(self.account().check().unwrap(), Vec::<String>::new());
    }
}

fn store() -> LocalStore {
    store_with(false)
}

fn store_with(dovecot_uidlist: bool) -> LocalStore {
    LocalStore::new(Options {
        disk: Disk {
            fsync: false,
            ..Disk::default()
        },
        host: "mx.example.org".to_owned(),
        open_accounts: 4,
        dovecot_uidlist,
        ..Options::default()
    })
}

pub(super) fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '.').unwrap()
}

fn letter(key: u64) -> Letter {
    let message = Message::from_bytes(format!("Subject: message {key}\r\n\r\nbody {key}\r\n"));
    let trace = Trace {
        return_path: ReversePath::Null,
        received: None,
        original_to: None,
        delivered_to: None,
        extra: Vec::new(),
    };
    Letter::new(message, &trace)
}

pub(super) fn deliver(account: &dyn Account, key: u64, targets: &[(&str, &str)]) -> Result<Published, StoreError> {
    let targets = targets.iter().map(|(mailbox, words)| {
        account.create_mailbox(&name(mailbox))?;
        let mut flags = Flags::new();
        words.split_whitespace().for_each(|word| flags.insert(word).unwrap());
        Ok(Target {
            mailbox: name(mailbox),
            flags,
        })
    });
    let publication = Publication {
        targets: targets.collect::<Result<_, StoreError>>()?,
        id: DeliveryId::new(),
        remember: Vec::new(),
        quota: None,
        history: None,
    };
    account.stage(&letter(key), key)?.publish(publication)
}

pub(super) fn placed(published: &Published) -> Vec<(String, u32)> {
    match published {
        Published::Placed(places) => places
            .iter()
            .map(|p| (p.mailbox.to_string(), p.uid.unwrap().value()))
            .collect(),
        Published::Before(_) => panic!("done before"),
    }
}

pub(super) const INBOX: &[(&str, &str)] = &[("INBOX", "")];

#[test]
fn a_delivery_is_numbered_listed_and_read() {
    let home = Home::new();
    assert_eq!(placed(&home.deliver(1, INBOX)), [("INBOX".to_owned(), 1)]);
    let filed = home.deliver(2, &[("Lists.work", "\\Seen $Label1"), ("INBOX", "\\Flagged")]);
    assert_eq!(placed(&filed), [("Lists.work".to_owned(), 1), ("INBOX".to_owned(), 2)]);
    let entries = home.messages("INBOX");
    assert_eq!(entries[0].card.summary().subject, "message 1");
    assert!(entries[0].path.starts_with("Maildir/new") && entries[1].path.to_string_lossy().ends_with(":2,F"));
    let filed = &home.messages("Lists.work")[0];
    assert_eq!(filed.entry.flags.to_string(), "\\Seen $Label1");
    assert!(filed.path.to_string_lossy().ends_with(":2,Sa"));
    let status = home.status("INBOX");
    assert_eq!(
        (status.counts.messages, status.counts.unseen, status.uid_next.value()),
        (2, 2, 3)
    );
    assert_eq!(home.status("Lists.work").counts.unseen, 0);
    let mut bytes = Vec::new();
    home.account()
        .open(&name("INBOX"), Uid::new(1).unwrap())
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    assert!(
        bytes.ends_with(b"Subject: message 1\n\nbody 1\n"),
        "{}",
        String::from_utf8_lossy(&bytes)
    );
    home.close();
}

#[test]
fn nothing_is_left_of_a_message_that_is_not_published() {
    let home = Home::new();
    let account = home.account();
    drop(account.stage(&letter(1), 1).unwrap());
    assert_eq!(fs::read_dir(home.path("Maildir/tmp")).unwrap().count(), 0);
    let missing = Target {
        mailbox: name("Missing"),
        flags: Flags::new(),
    };
    let publication = Publication {
        targets: vec![missing],
        id: DeliveryId::new(),
        remember: Vec::new(),
        quota: None,
        history: None,
    };
    let refused = account.stage(&letter(1), 1).unwrap().publish(publication);
    assert!(matches!(refused, Err(StoreError::NoMailbox { .. })));
    assert_eq!(fs::read_dir(home.path("Maildir/tmp")).unwrap().count(), 0);
    home.close();
}

#[test]
fn sent_again_is_not_delivered_again() {
    let home = Home::new();
    home.deliver(7, INBOX);
    let first = home.account().step(7, &Step::Done).unwrap().unwrap();
    assert_eq!(home.deliver(7, INBOX), Published::Before(first.clone()));
    let home = home.restarted();
    assert_eq!(home.deliver(7, &[("Elsewhere", "")]), Published::Before(first));
    // A new index knows the key from the file's name.
    let home = home.without_index();
    assert!(matches!(home.deliver(7, INBOX), Published::Before(_)));
    assert_eq!(home.uids("INBOX"), [1]);
    home.close();
}

#[test]
fn of_a_plan_half_done_only_the_rest_is_done() {
    let home = Home::new();
    home.deliver(7, &[("A", "")]);
    // As after a crash between two copies: files and their keys, but no index that says "done".
    let home = home.without_index();
    let rest = placed(&home.deliver(7, &[("A", ""), ("INBOX", "")]));
    assert_eq!(
        rest.iter().map(|(mailbox, _)| mailbox.as_str()).collect::<Vec<_>>(),
        ["INBOX"]
    );
    assert_eq!((home.uids("A").len(), home.uids("INBOX").len()), (1, 1));
    home.close();
}

#[test]
fn a_lost_index_comes_back_with_the_same_numbers() {
    let home = Home::new();
    (1..=5).for_each(|key| drop(home.deliver(key, &[("INBOX", ""), ("Archive", "\\Seen")])));
    let before = [home.status("INBOX"), home.status("Archive")];
    let dates = |home: &Home| {
        home.messages("Archive")
            .iter()
            .map(|entry| entry.entry.internal_date)
            .collect::<Vec<_>>()
    };
    let arrived = dates(&home);
    fs::remove_file(home.file("INBOX", 5)).unwrap();
    fs::remove_file(home.file("INBOX", 2)).unwrap();
    let home = home.without_index();
    assert_eq!(home.uids("INBOX"), [1, 3, 4]);
    assert_eq!(home.uids("Archive"), [1, 2, 3, 4, 5]);
    assert_eq!(dates(&home), arrived);
    for before in before {
        let after = home.status(before.name.as_str());
        assert_eq!(
            (after.validity, &after.mailbox_id),
            (before.validity, &before.mailbox_id)
        );
        assert!(after.highest_modseq > before.highest_modseq, "MODSEQ never goes back");
    }
    // UID 5 was given, though no file and no index says so any more.
    assert!(placed(&home.deliver(9, INBOX))[0].1 > 5);
    home.close();
}

#[test]
fn rebuild_gives_the_same_numbers_while_the_store_is_open() {
    let home = Home::new();
    (1..=3).for_each(|key| drop(home.deliver(key, INBOX)));
    fs::write(home.path("Maildir/new/1000.foreign.host"), "Subject: foreign\n\nx\n").unwrap();
    let (uids, validity) = (home.uids("INBOX"), home.status("INBOX").validity);
    assert_eq!(uids, [1, 2, 3, 4]);
    home.account().rebuild().unwrap();
    assert_eq!(home.uids("INBOX"), uids);
    assert_eq!(home.status("INBOX").validity, validity);
    home.close();
}

#[test]
fn files_of_others_keep_their_numbers_through_a_lost_index() {
    let home = Home::new();
    home.deliver(1, INBOX);
    for file in ["2000.b.host", "1000.a.host"] {
        fs::write(home.path("Maildir/new").join(file), format!("Subject: {file}\n\nx\n")).unwrap();
    }
    fs::write(home.path("Maildir/cur/3000.c.host:2,RS"), "Subject: c\n\nx\n").unwrap();
    let subjects = |home: &Home| -> Vec<(u32, String)> {
        let entries = home.messages("INBOX");
        entries
            .iter()
            .map(|entry| (entry.entry.uid.value(), entry.card.summary().subject.clone()))
            .collect()
    };
    let before = subjects(&home);
    // In the order of arrival that their names tell.
    let expected = ["message 1", "1000.a.host", "2000.b.host", "c"];
    assert_eq!(
        before.iter().map(|(_, subject)| subject.as_str()).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(home.messages("INBOX")[3].entry.flags.to_string(), "\\Answered \\Seen");
    let home = home.without_index();
    assert_eq!(subjects(&home), before);
    home.close();
}

#[test]
fn what_others_do_to_flags_and_places_is_followed() {
    let home = Home::new();
    (1..=3).for_each(|key| drop(home.deliver(key, INBOX)));
    let modseq = |uid: u32| home.messages("INBOX")[uid as usize - 1].entry.modseq;
    let (first, second) = (modseq(1), modseq(2));
    let move_to_cur = |uid: u32, letters: &str| {
        let from = home.file("INBOX", uid);
        let base = from
            .file_name()
            .unwrap()
            .to_string_lossy()
            .split(':')
            .next()
            .unwrap()
            .to_owned();
        fs::rename(&from, home.path("Maildir/cur").join(format!("{base}:2,{letters}"))).unwrap();
    };
    move_to_cur(1, "");
    move_to_cur(2, "FS");
    assert_eq!(modseq(1), first, "moving from new/ to cur/ changes no flag");
    assert!(modseq(2) > second);
    assert_eq!(home.messages("INBOX")[1].entry.flags.to_string(), "\\Flagged \\Seen");
    assert_eq!(home.status("INBOX").counts.unseen, 2);
    fs::write(home.path("Maildir/dovecot-keywords"), "0 $Work\n").unwrap();
    move_to_cur(2, "Sa");
    assert_eq!(home.messages("INBOX")[1].entry.flags.to_string(), "\\Seen $Work");
    fs::remove_file(home.file("INBOX", 3)).unwrap();
    assert_eq!(home.uids("INBOX"), [1, 2]);
    assert_eq!(placed(&home.deliver(4, INBOX))[0].1, 4);
    home.close();
}

#[test]
fn a_file_moved_between_folders_gets_a_number_of_its_new_folder() {
    let home = Home::new();
    home.deliver(1, &[("A", "")]);
    (2..=3).for_each(|key| drop(home.deliver(key, INBOX)));
    let from = home.file("INBOX", 2);
    fs::rename(&from, home.path("Maildir/.A/new").join(from.file_name().unwrap())).unwrap();
    assert_eq!((home.uids("INBOX"), home.uids("A")), (vec![1], vec![1, 2]));
    // And back: its old UID in the INBOX is known to be gone.
    let from = home.file("A", 2);
    fs::rename(&from, home.path("Maildir/new").join(from.file_name().unwrap())).unwrap();
    assert_eq!((home.uids("INBOX"), home.uids("A")), (vec![1, 3], vec![1]));
    let home = home.without_index();
    assert_eq!((home.uids("INBOX"), home.uids("A")), (vec![1, 3], vec![1]));
    home.close();
}

#[test]
fn uidvalidity_grows_over_folders_that_are_gone() {
    let home = Home::new();
    home.deliver(1, &[("A", "")]);
    let (inbox, first) = (home.status("INBOX").validity, home.status("A").validity);
    assert!(first > inbox);
    fs::remove_dir_all(home.path("Maildir/.A")).unwrap();
    home.account().reconcile().unwrap();
    assert_eq!(home.account().mailboxes().unwrap().len(), 1);
    let home = home.without_index();
    home.deliver(2, &[("A", "")]);
    assert!(home.status("A").validity > first);
    home.close();
}

#[test]
fn a_folder_that_was_renamed_keeps_its_numbers_and_a_copied_one_does_not() {
    let home = Home::new();
    (1..=2).for_each(|key| drop(home.deliver(key, &[("A", "")])));
    let before = home.status("A");
    fs::rename(home.path("Maildir/.A"), home.path("Maildir/.B")).unwrap();
    let after = home.status("B");
    assert_eq!((after.validity, after.mailbox_id), (before.validity, before.mailbox_id));
    assert_eq!(home.uids("B"), [1, 2]);
    let folders = [home.path("Maildir/.B"), home.path("Maildir/.C")];
    assert!(
        std::process::Command::new("cp")
            .arg("-r")
            .args(folders)
            .status()
            .unwrap()
            .success()
    );
    assert!(home.status("C").validity > after.validity);
    assert_eq!(home.status("B").validity, after.validity);
    home.close();
}

#[test]
fn after_a_power_cut_no_number_is_given_twice() {
    let home = Home::new();
    home.deliver(1, INBOX);
    let old = fs::read(home.path("index.sqlite")).unwrap();
    let checkpoint = |home: &Home| {
        let connection = rusqlite::Connection::open(home.path("index.sqlite")).unwrap();
        connection
            .pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))
            .unwrap();
    };
    checkpoint(&home);
    let rolled_back = fs::read(home.path("index.sqlite")).unwrap();
    assert_ne!(old, rolled_back);
    (2..=4).for_each(|key| drop(home.deliver(key, INBOX)));
    fs::remove_file(home.file("INBOX", 4)).unwrap();
    // The index of before, as a power cut leaves it, opened after the machine started again.
    let home = home.without_index();
    fs::write(home.path("index.sqlite"), rolled_back).unwrap();
    let mut index = Index::open(&home.path("index.sqlite")).unwrap();
    let transaction = index.begin(Durability::Power).unwrap();
    transaction.put_fact("boot", "another start of the machine").unwrap();
    transaction.commit().unwrap();
    drop(index);
    assert_eq!(home.uids("INBOX"), [1, 2, 3]);
    assert!(placed(&home.deliver(9, INBOX))[0].1 > 4);
    home.close();
}

#[test]
fn an_index_that_cannot_be_written_costs_no_delivery() {
    let home = Home::new();
    home.deliver(1, INBOX);
    let connection = rusqlite::Connection::open(home.path("index.sqlite")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON content BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    connection.execute_batch(refuse).unwrap();
    assert_eq!(placed(&home.deliver(2, INBOX)), [("INBOX".to_owned(), 2)]);
    connection.execute_batch("DROP TRIGGER refuse").unwrap();
    drop(connection);
    // The next delivery first takes in what the index lacks, its key included. The numbers that were
    // answered meanwhile are passed over, for their files may be gone again.
    assert_eq!(placed(&home.deliver(3, INBOX)), [("INBOX".to_owned(), 1025)]);
    assert!(matches!(home.deliver(2, INBOX), Published::Before(_)));
    assert_eq!(home.uids("INBOX"), [1, 2, 1025]);
    home.close();
}

#[test]
fn a_full_batch_and_two_stores_at_once_give_each_number_once() {
    let home = Home::new();
    home.account();
    let other = store();
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let store = if thread % 2 == 0 { &home.store } else { &other };
            let path = home.folder.path();
            scope.spawn(move || {
                let account = store.account("ann@example.org", path).unwrap();
                for n in 0..20 {
                    deliver(account.as_ref(), 1 + thread * 1000 + n, INBOX).unwrap();
                }
            });
        }
    });
    assert_eq!(home.uids("INBOX"), (1..=160).collect::<Vec<u32>>());
    let reader = maildir::Maildir::from(home.path("Maildir"));
    assert_eq!(reader.count_new(), 160);
    home.close();
}

#[test]
fn one_delivery_sent_by_two_sessions_at_once_is_one() {
    let home = Home::new();
    let account = home.account();
    let done: Vec<_> = std::thread::scope(|scope| {
        let deliver = || deliver(account.as_ref(), 7, INBOX);
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(deliver)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(
        done.iter()
            .filter(|done| matches!(done, Ok(Published::Placed(_))))
            .count(),
        1
    );
    assert_eq!(home.uids("INBOX"), [1]);
    home.close();
}

#[test]
fn uids_go_on_over_the_end_of_a_reserved_block() {
    let home = Home::new();
    let account = home.account();
    for key in 1..=1030 {
        deliver(account.as_ref(), key, INBOX).unwrap();
    }
    assert_eq!(home.uids("INBOX"), (1..=1030).collect::<Vec<u32>>());
    let home = home.without_index();
    assert_eq!(home.uids("INBOX").len(), 1030);
    assert!(placed(&home.deliver(2000, INBOX))[0].1 > 1030);
    home.close();
}

#[test]
fn who_opens_an_account_without_an_index_hears_that_it_was_made() {
    let home = Home::new();
    (1..=3).for_each(|key| drop(home.deliver(key, INBOX)));
    let uids = home.uids("INBOX");
    let home = home.without_index();
    assert!(home.account().is_indexed_anew());
    assert_eq!(home.uids("INBOX"), uids);
    // Another process has it made by then.
    let home = home.restarted();
    assert!(!home.account().is_indexed_anew());
    home.close();
}

#[test]
fn an_index_taken_away_under_an_open_account_is_made_again() {
    let home = Home::new();
    home.deliver(1, INBOX);
    for file in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _ = fs::remove_file(home.path(file));
    }
    home.deliver(2, INBOX);
    assert_eq!(home.uids("INBOX").len(), 2);
    assert_eq!(home.uids("INBOX")[0], 1);
    home.close();
}

#[test]
fn a_folder_that_vanishes_under_an_open_account_refuses_and_comes_back() {
    let home = Home::new();
    home.deliver(1, &[("A", "")]);
    let account = home.account();
    fs::remove_dir_all(home.path("Maildir/.A")).unwrap();
    let target = Target {
        mailbox: name("A"),
        flags: Flags::new(),
    };
    let publication = Publication {
        targets: vec![target],
        id: DeliveryId::new(),
        remember: Vec::new(),
        quota: None,
        history: None,
    };
    let refused = account.stage(&letter(2), 2).unwrap().publish(publication);
    assert!(matches!(refused, Err(StoreError::NoMailbox { .. })));
    home.deliver(2, &[("A", "")]);
    assert_eq!(home.uids("A"), [2]);
    home.close();
}

#[test]
fn a_folder_put_back_from_a_backup_brings_its_own_numbers() {
    let home = Home::new();
    home.deliver(1, &[("A", "")]);
    let before = home.status("A").validity;
    fs::rename(home.path("Maildir/.A"), home.path("backup")).unwrap();
    home.account().reconcile().unwrap();
    home.deliver(2, &[("A", "")]);
    assert!(home.status("A").validity > before);
    fs::remove_dir_all(home.path("Maildir/.A")).unwrap();
    fs::rename(home.path("backup"), home.path("Maildir/.A")).unwrap();
    assert_eq!((home.status("A").validity, home.uids("A")), (before, vec![1]));
    home.close();
}

#[test]
fn memories_are_new_once() {
    let home = Home::new();
    let reply = Remembered::Reply {
        handle: "h".into(),
        address: "a@b.c".parse().unwrap(),
    };
    let account = home.account();
    assert!(account.remember(&reply, 3600).unwrap());
    assert!(!account.remember(&reply, 3600).unwrap());
    assert!(account.remembers(&reply).unwrap());
    assert!(account.remember(&Remembered::Duplicate("x".into()), 0).unwrap());
    assert!(!account.remembers(&Remembered::Duplicate("x".into())).unwrap());
    home.close();
}

#[test]
fn more_accounts_than_may_be_open_all_get_their_mail() {
    let home = Home::new();
    for round in 0..2u64 {
        for n in 0..10u64 {
            let account = home
                .store
                .account(&format!("u{n}"), &home.path(&format!("u{n}")))
                .unwrap();
            deliver(account.as_ref(), round * 100 + n, INBOX).unwrap();
        }
    }
    for n in 0..10 {
        let account = home
            .store
            .account(&format!("u{n}"), &home.path(&format!("u{n}")))
            .unwrap();
        assert_eq!(account.usage().unwrap().messages, 2);
        assert_eq!(account.check().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn what_does_not_agree_is_found() {
    let home = Home::new();
    home.deliver(1, INBOX);
    let connection = rusqlite::Connection::open(home.path("index.sqlite")).unwrap();
    connection
        .execute_batch("UPDATE mailbox SET unseen = 5, uidnext = 1")
        .unwrap();
    drop(connection);
    let findings = home.account().check().unwrap();
    assert!(
        findings.iter().any(|finding| finding.contains("counts")),
        "{findings:?}"
    );
    assert!(
        findings.iter().any(|finding| finding.contains("UIDNEXT")),
        "{findings:?}"
    );
    home.account().rebuild().unwrap();
    home.close();
}

#[test]
fn a_maildir_taken_away_under_an_open_account_is_made_again() {
    let home = Home::new();
    home.deliver(1, INBOX);
    let account = home.account();
    fs::remove_dir_all(home.path("Maildir")).unwrap();
    assert_eq!(
        placed(&deliver(account.as_ref(), 2, INBOX).unwrap()),
        [("INBOX".to_owned(), 2)]
    );
    assert_eq!(home.uids("INBOX"), [2]);
    home.close();
}

#[test]
fn a_rebuild_without_the_small_file_keeps_the_numbers_that_the_index_knew() {
    let home = Home::new();
    (1..=3).for_each(|key| drop(home.deliver(key, INBOX)));
    let before = home.status("INBOX");
    fs::remove_file(home.path("Maildir/postroom-mailbox")).unwrap();
    home.account().rebuild().unwrap();
    let after = home.status("INBOX");
    assert_eq!((after.validity, after.mailbox_id), (before.validity, before.mailbox_id));
    assert_eq!(home.uids("INBOX"), [1, 2, 3]);
    assert!(placed(&home.deliver(4, INBOX))[0].1 > 3);
    home.close();
}

#[test]
fn a_process_killed_before_its_commit_leaves_no_second_copy() {
    let home = Home::new();
    home.deliver(1, INBOX);
    let files = ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"];
    let before = files.map(|file| fs::read(home.path(file)).unwrap());
    home.deliver(2, INBOX);
    // The file is there, the index is as before: killed between rename and commit.
    let home = home.restarted();
    for (file, bytes) in files.iter().zip(before) {
        fs::write(home.path(file), bytes).unwrap();
    }
    assert!(matches!(home.deliver(2, INBOX), Published::Before(_)));
    assert_eq!(home.uids("INBOX"), [1, 2]);
    home.close();
}

#[test]
fn what_one_process_left_undone_another_knows_that_was_there_all_the_time() {
    let home = Home::new();
    home.deliver(1, INBOX);
    let other = home.other();
    deliver(&other, 2, INBOX).unwrap();
    // The file is in its place, and the commit fails, or the process dies before it.
    let connection = rusqlite::Connection::open(home.path("index.sqlite")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON content BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    connection.execute_batch(refuse).unwrap();
    home.deliver(3, INBOX);
    connection.execute_batch("DROP TRIGGER refuse").unwrap();
    drop(connection);
    assert!(matches!(deliver(&other, 3, INBOX), Ok(Published::Before(_))));
    assert!(matches!(home.deliver(3, INBOX), Published::Before(_)));
    // What came to its end is settled.
    for key in 4..8 {
        let account: &dyn Account = if key % 2 == 0 { &other } else { &*home.account() };
        assert!(matches!(deliver(account, key, INBOX), Ok(Published::Placed(_))));
        assert!(
            !other
                .is_undone(&super::lock(&other.index).begin(Durability::Process).unwrap())
                .unwrap()
        );
    }
    assert_eq!(home.uids("INBOX").len(), 7);
    drop(other);
    home.close();
}

#[test]
fn a_mailbox_that_could_not_be_taken_in_gives_no_number_twice() {
    let home = Home::new();
    (1..=3).for_each(|key| drop(home.deliver(key, &[("A", "")])));
    fs::rename(home.path("Maildir/.A"), home.path("away")).unwrap();
    home.account().reconcile().unwrap();
    fs::rename(home.path("away"), home.path("Maildir/.A")).unwrap();
    // The folder is back, and something in it cannot be read.
    fs::create_dir(home.path("Maildir/.A/dovecot-keywords")).unwrap();
    assert!(deliver(home.account().as_ref(), 4, &[("A", "")]).is_err());
    fs::remove_dir(home.path("Maildir/.A/dovecot-keywords")).unwrap();
    assert!(placed(&home.deliver(5, &[("A", "")]))[0].1 > 3);
    assert_eq!(home.uids("A")[..3], [1, 2, 3]);
    home.close();
}

#[test]
fn a_backup_put_back_gives_no_number_again() {
    let home = Home::new();
    home.deliver(1, INBOX);
    let modseq = |status: MailboxStatus| status.highest_modseq;
    let copy = tempfile::tempdir().unwrap();
    let to = copy.path().join("copy");
    home.store.back_up("ann@example.org", home.folder.path(), &to).unwrap();
    // More than were reserved when the copy was made.
    (2..1200).for_each(|key| drop(home.deliver(key, INBOX)));
    let given = home.status("INBOX");
    let restored = home.store.account("bob@example.org", &to).unwrap();
    let published = deliver(restored.as_ref(), 5000, INBOX).unwrap();
    assert!(placed(&published)[0].1 > given.uid_next.value());
    let status = restored.status(&name("INBOX")).unwrap();
    assert_eq!(status.validity, given.validity);
    assert!(modseq(status) > modseq(given));
    assert_eq!(restored.check().unwrap(), Vec::<String>::new());
}

#[test]
fn an_account_that_was_moved_away_gets_no_delivery_by_its_old_name() {
    let home = Home::new();
    home.deliver(1, INBOX);
    let held = home.account();
    let elsewhere = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(home.folder.path()).unwrap() {
        let entry = entry.unwrap();
        fs::rename(entry.path(), elsewhere.path().join(entry.file_name())).unwrap();
    }
    // The index that is open belongs to the other account now: a row in it would have no file.
    assert!(held.stage(&letter(2), 2).is_err());
    assert!(!home.path("Maildir").exists());
    drop(held);
    let moved = home.store.account("bob@example.org", elsewhere.path()).unwrap();
    assert_eq!(moved.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_message_for_several_is_written_once() {
    let home = Home::new();
    let message = Message::from_bytes("Subject: to all\r\n\r\nbody\r\n");
    let client = Client::new("mx", None, Protocol::Lmtp);
    let letter = |recipient: Option<&str>| {
        let recipient = recipient.map(|recipient| recipient.parse().unwrap());
        let received = Received {
            client: client.clone(),
            hostname: "mx.example.org".to_owned(),
            id: DeliveryId::from_stored("01ABC").unwrap(),
            recipient,
            time: message.received(),
        };
        let trace = Trace {
            return_path: ReversePath::Null,
            received: Some(received),
            original_to: None,
            delivered_to: None,
            extra: Vec::new(),
        };
        Letter::new(message.clone(), &trace)
    };
    let inode = |user: &str, key: u64, letter: &Letter| {
        let account = home.store.account(user, &home.path(user)).unwrap();
        let publication = Publication {
            targets: vec![Target {
                mailbox: name("INBOX"),
                flags: Flags::new(),
            }],
            id: DeliveryId::new(),
            remember: Vec::new(),
            quota: None,
            history: None,
        };
        let staged = account.stage(&letter.clone().to(&format!("{user}@example.org").parse().unwrap()), key);
        staged.unwrap().publish(publication).unwrap();
        let details = account.details(&name("INBOX"), &UidSet::all()).unwrap();
        assert_eq!(
            details.last().unwrap().delivery.as_ref().unwrap().recipient,
            format!("{user}@example.org")
        );
        assert_eq!(account.check().unwrap(), Vec::<String>::new());
        let path = home.path(user).join(&details.last().unwrap().path);
        (fs::metadata(&path).unwrap().ino(), path)
    };
    let (first, path) = inode("ann", 1, &letter(None));
    let (second, other) = inode("bob", 2, &letter(None));
    assert_eq!(first, second);
    // Whose trace fields name them have files of their own.
    assert_ne!(inode("cy", 3, &letter(Some("cy@example.org"))).0, first);
    // The file is gone under all its names: it cannot be linked any more.
    fs::remove_file(path).unwrap();
    fs::remove_file(other).unwrap();
    let (third, path) = inode("dan", 4, &letter(None));
    assert_eq!(inode("eve", 5, &letter(None)).0, third);
    assert!(fs::read_to_string(path).unwrap().ends_with("\n\nbody\n"));
}

#[test]
fn an_account_is_had_while_another_publishes() {
    let home = Home::new();
    let account = LocalAccount::open(&home.store.options, "ann@example.org", home.folder.path()).unwrap();
    let _publishing = super::lock(&account.index);
    assert!(account.is_current());
}

#[test]
fn a_delivery_that_the_index_lacks_is_known_after_the_account_was_closed() {
    let home = Home::new();
    home.deliver(1, INBOX);
    let connection = rusqlite::Connection::open(home.path("index.sqlite")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON content BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    connection.execute_batch(refuse).unwrap();
    home.deliver(2, INBOX);
    connection.execute_batch("DROP TRIGGER refuse").unwrap();
    drop(connection);
    let home = home.restarted();
    assert!(matches!(home.deliver(2, INBOX), Published::Before(_)));
    assert_eq!(home.uids("INBOX"), [1, 2]);
    home.close();
}

#[test]
fn names_with_other_endings_are_messages_too() {
    let home = Home::new();
    let names = [
        "cur/1.a.host",
        "cur/2.b.host:1,S",
        "cur/3.c.host:2,S",
        "new/4.d.host:2,",
        "new/5.e.host:2,F",
    ];
    home.account();
    for file in names {
        fs::write(home.path("Maildir").join(file), format!("Subject: {file}\n\nx\n")).unwrap();
    }
    let listed = |home: &Home| -> Vec<(String, String)> {
        let text = |entry: &Detail| (entry.path.display().to_string(), entry.entry.flags.to_string());
        home.messages("INBOX").iter().map(text).collect()
    };
    let flags = ["", "", "\\Seen", "", "\\Flagged"];
    let expected: Vec<_> = names
        .iter()
        .zip(flags)
        .map(|(name, flags)| (format!("Maildir/{name}"), flags.to_owned()))
        .collect();
    assert_eq!(listed(&home), expected);
    assert!(home.account().open(&name("INBOX"), Uid::new(1).unwrap()).is_ok());
    // Another program sets a flag.
    fs::rename(home.path("Maildir/cur/1.a.host"), home.path("Maildir/cur/1.a.host:2,S")).unwrap();
    assert_eq!(
        listed(&home)[0],
        ("Maildir/cur/1.a.host:2,S".to_owned(), "\\Seen".to_owned())
    );
    assert_eq!(home.uids("INBOX"), [1, 2, 3, 4, 5]);
    home.close();
}

#[test]
fn a_file_that_cannot_be_read_takes_no_number() {
    let home = Home::new();
    home.deliver(1, INBOX);
    std::os::unix::fs::symlink("nowhere", home.path("Maildir/new/1.a.host")).unwrap();
    (0..3).for_each(|_| home.account().reconcile().unwrap());
    assert_eq!(home.status("INBOX").uid_next.value(), 2);
    fs::remove_file(home.path("Maildir/new/1.a.host")).unwrap();
    home.close();
}

#[test]
fn a_line_whose_transaction_failed_takes_no_uid_from_a_delivery() {
    let home = Home::new();
    home.deliver(1, INBOX);
    // Another program's file, older than the delivery that follows; the list has it, the index not.
    fs::write(home.path("Maildir/new/1700000000.a.other"), "Subject: theirs\n\nx\n").unwrap();
    let validity = home.account().mailboxes().unwrap()[0].validity;
    let list = format!("3 V{validity} N3\n2 :1700000000.a.other\n");
    fs::write(home.path("Maildir/postroom-uidlist"), list).unwrap();
    assert_eq!(placed(&home.deliver(2, INBOX)), [("INBOX".to_owned(), 2)]);
    let home = home.without_index();
    let entries = home.messages("INBOX");
    let second = entries.iter().find(|detail| detail.entry.uid.value() == 2).unwrap();
    assert!(
        second.path.to_string_lossy().contains("R0000000000000002"),
        "{second:?}"
    );
    assert_eq!(entries.len(), 3);
    home.close();
}
