//! What happens behind deliveries, and what becomes of a damaged index.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::index::{FullText, Verdict};
use crate::mail::{Flags, SpecialUse, Uid, UidSet};
use crate::message::{Message, Needle, Scope};
use crate::store::{Alteration, SearchKey, search};

fn options() -> Options {
    Options {
        disk: Disk {
            fsync: false,
            ..Disk::default()
        },
        host: "mx.example.org".to_owned(),
        open_accounts: 4,
        subscribe: true,
        ..Options::default()
    }
}

fn keeping() -> Options {
    Options {
        keep_expunged: Some(Duration::from_secs(3600)),
        ..options()
    }
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '.').unwrap()
}

fn inbox() -> MailboxName {
    MailboxName::inbox()
}

fn flags(words: &[&str]) -> Flags {
    let mut flags = Flags::new();
    words.iter().for_each(|word| {
        flags.insert(word).unwrap();
    });
    flags
}

/// One account in a folder, and the store that it was opened by.
struct Home {
    folder: tempfile::TempDir,
    store: LocalStore,
}

impl Home {
    fn of(options: Options) -> Home {
        Home {
            folder: tempfile::tempdir().unwrap(),
            store: LocalStore::new(options),
        }
    }

    fn account(&self) -> Arc<dyn Account> {
        self.store.account("ann@example.org", self.folder.path()).unwrap()
    }

    /// Closed and opened again.
    fn anew(&mut self, options: Options) {
        self.store = LocalStore::new(options);
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn append(&self, mailbox: &str, text: &str) -> Uid {
        let message = Message::from_bytes(format!("Subject: hello\n\n{text}\n"));
        let added = self
            .account()
            .append(&name(mailbox), &message, &flags(&[]), Some(1_000_000));
        added.unwrap().1
    }

    fn uids(&self, mailbox: &str) -> Vec<u32> {
        let entries = self.account().entries(&name(mailbox), &UidSet::all()).unwrap();
        entries.iter().map(|entry| entry.uid.value()).collect()
    }

    fn tend(&self) -> bool {
        self.account().tend(Instant::now() + Duration::from_secs(60)).unwrap()
    }

    fn full_text(&self) -> FullText {
        FullText::open(&self.path("fulltext.sqlite")).unwrap()
    }

    fn verdicts(&self, needle: &str) -> Vec<(u32, Verdict)> {
        let narrowed = self
            .account()
            .narrow(&inbox(), Scope::Body, &Needle::new(needle), &UidSet::all());
        narrowed
            .unwrap()
            .into_iter()
            .map(|(uid, verdict)| (uid.value(), verdict))
            .collect()
    }

    fn found(&self, key: &str) -> Vec<u32> {
        let key = SearchKey::parse(key, None).unwrap();
        let found = search(self.account().as_ref(), &inbox(), &key).unwrap();
        found.into_iter().map(Uid::value).collect()
    }

    fn close(&self) {
        self.account().reconcile().unwrap();
        assert_eq!(self.account().check().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn words_are_entered_behind_deliveries_and_taken_out() {
    use Verdict::{No, Yes};
    let mut home = Home::of(options());
    for text in ["one apple", "two pears", "three apples"] {
        home.append("INBOX", text);
    }
    assert_eq!(home.verdicts("apple"), [], "nothing is known yet");
    assert_eq!(home.found("body apple"), [1, 3]);
    assert!(!home.path("fulltext.sqlite").exists());
    assert!(home.tend() && home.tend());
    assert_eq!(home.verdicts("apple"), [(1, Yes), (2, No), (3, Yes)]);
    assert_eq!(home.found("body apple"), [1, 3]);
    // Another program reads the first, and nobody has looked since.
    let new = fs::read_dir(home.path("Maildir/new"))
        .unwrap()
        .flatten()
        .next()
        .unwrap();
    let seen = format!("{}:2,S", new.file_name().to_str().unwrap());
    home.append("INBOX", "four plums");
    fs::rename(new.path(), home.path("Maildir/cur").join(seen)).unwrap();
    fs::remove_file(home.path("fulltext.sqlite")).unwrap();
    assert!(home.tend());
    assert_eq!(home.verdicts("pl"), [(1, Yes), (2, No), (3, Yes), (4, Yes)]);
    // What goes is taken out, and its number may come again.
    home.account()
        .remove(&inbox(), &UidSet::parse("3:4", None).unwrap())
        .unwrap();
    home.append("INBOX", "five apples");
    assert!(home.tend());
    assert_eq!(home.full_text().known().unwrap().len(), 3);
    assert_eq!(home.verdicts("apple"), [(1, Yes), (2, No), (5, Yes)]);
    // A new index counts anew; a setting ends it.
    home.account().rebuild().unwrap();
    let sixth = home.append("INBOX", "six pears").value();
    assert!(home.tend());
    assert_eq!(home.verdicts("pear"), [(1, No), (2, Yes), (5, No), (sixth, Yes)]);
    home.anew(Options {
        fulltext: false,
        ..options()
    });
    assert_eq!(home.verdicts("pear"), []);
    assert_eq!(home.found("body pear"), [2, sixth]);
    home.close();
}

#[test]
fn it_goes_on_in_steps_where_it_stopped() {
    let mut home = Home::of(options());
    for at in 0..450 {
        home.append("INBOX", &format!("number{at}"));
    }
    let (mut turns, mut known) = (0, Vec::new());
    while !home.account().tend(Instant::now()).unwrap() {
        turns += 1;
        assert!(turns < 1000, "it gets nowhere");
        if home.path("fulltext.sqlite").exists() {
            known.push(home.full_text().known().unwrap().len());
        }
        // As after a crash: another process knows only what is on the disk.
        home.anew(options());
        if turns == 1 {
            home.append("INBOX", "in between");
        }
    }
    assert!(turns > 4 && known.contains(&200), "{turns} {known:?}");
    assert_eq!(home.full_text().known().unwrap().len(), 451);
    assert_eq!(
        home.found("body number44"),
        [45, 441, 442, 443, 444, 445, 446, 447, 448, 449, 450]
    );
    let packs = "SELECT count(*), sum(live) FROM pack";
    let index = rusqlite::Connection::open(home.path("index.sqlite")).unwrap();
    let count = |sql: &str| {
        index
            .query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
            .unwrap()
    };
    let (number, live) = count(packs);
    assert!(number > 3 && (330..451).contains(&live), "{number} packs with {live}");
    let details = home.account().details(&inbox(), &UidSet::all()).unwrap();
    assert!(details.iter().all(|detail| detail.card.summary().subject == "hello"));
    // Packs of which little is left are taken apart.
    let kept: UidSet = (1..=40).map(|at| Uid::new(at * 10).unwrap()).collect();
    let all: UidSet = (1..=440)
        .filter(|at| at % 10 != 0)
        .map(|at| Uid::new(at).unwrap())
        .collect();
    home.account().remove(&inbox(), &all).unwrap();
    assert!(home.tend());
    assert!(count("SELECT count(*), 0 FROM pack").0 < 3);
    assert_eq!(home.account().details(&inbox(), &kept).unwrap().len(), 40);
    home.close();
}

#[test]
fn a_damaged_full_text_index_is_made_anew() {
    let home = Home::of(options());
    for text in ["one apple", "two pears"] {
        home.append("INBOX", text);
    }
    for damage in [
        &b"no database at all, but long enough to look at"[..],
        b"",
        &[0x5a; 40_000],
    ] {
        assert!(home.tend());
        let path = home.path("fulltext.sqlite");
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        match damage.len() {
            0 => file.set_len(5000).unwrap(),
            few => file.write_all_at(damage, if few > 4096 { 4096 } else { 0 }).unwrap(),
        }
        assert_eq!(home.found("body apple"), [1]);
        assert!(home.tend());
        assert_eq!(home.verdicts("apple").len(), 2);
        assert!(!home.path("index.sqlite.damaged").exists(), "the index is not to blame");
    }
}

/// Ways in which an index is damaged.
const DAMAGES: [&str; 9] = [
    "header",
    "all but the header",
    "a few pages",
    "short",
    "half a header",
    "empty",
    "blank log",
    "broken log",
    "no database",
];

fn damage(path: &Path, how: &str) {
    let open = |path: &Path| fs::OpenOptions::new().write(true).read(true).open(path).unwrap();
    let log = PathBuf::from(format!("{}-wal", path.display()));
    if !how.ends_with("log") {
        // Otherwise all that counts may be in the log still.
        let connection = rusqlite::Connection::open(path).unwrap();
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    let length = fs::metadata(path).unwrap().len();
    match how {
        "header" => open(path).write_all_at(&[0xa5; 100], 0).unwrap(),
        "all but the header" => open(path)
            .write_all_at(&vec![0x5a; length as usize - 4096], 4096)
            .unwrap(),
        "a few pages" => open(path).write_all_at(&[0; 3 * 4096], 2 * 4096).unwrap(),
        "short" => open(path).set_len(length / 2).unwrap(),
        "half a header" => open(path).set_len(50).unwrap(),
        "empty" => open(path).set_len(0).unwrap(),
        "no database" => open(path)
            .write_all_at(&b"nothing ".repeat(length as usize / 8), 0)
            .unwrap(),
        _ => {
            let Ok(length) = fs::metadata(&log).map(|log| log.len() as usize) else {
                return;
            };
            let byte = if how == "blank log" { 0 } else { 0x77 };
            open(&log).write_all_at(&vec![byte; length], 0).unwrap();
        }
    }
}

fn numbers(home: &Home) -> Vec<(u32, String, Flags)> {
    let details = home.account().details(&inbox(), &UidSet::all()).unwrap();
    let number = |detail: crate::store::Detail| {
        let base = detail.path.file_name().unwrap().to_str().unwrap();
        (detail.entry.uid.value(), base[..20].to_owned(), detail.entry.flags)
    };
    details.into_iter().map(number).collect()
}

fn filled() -> Home {
    let home = Home::of(options());
    for at in 0..30 {
        home.append("INBOX", &format!("number {at} {}", "text ".repeat(100)));
    }
    home.account().create_mailbox(&name("Lists")).unwrap();
    let some = UidSet::parse("3:9", None).unwrap();
    home.account()
        .alter(&inbox(), &some, &Alteration::Add(flags(&["\\Seen", "todo"])), None)
        .unwrap();
    home.account()
        .remove(&inbox(), &UidSet::parse("30", None).unwrap())
        .unwrap();
    home
}

#[test]
fn an_index_damaged_while_it_was_closed_is_made_anew() {
    for how in DAMAGES {
        let mut home = filled();
        let (before, status) = (numbers(&home), home.account().status(&inbox()).unwrap());
        // Killed: the log stays behind.
        let log = home.path("index.sqlite-wal");
        let saved = fs::read(&log).unwrap();
        home.anew(options());
        if how.ends_with("log") {
            fs::write(&log, saved).unwrap();
        }
        damage(&home.path("index.sqlite"), how);
        let uid = home.append("INBOX", "after it");
        assert!(uid >= status.uid_next, "{how}: {uid} was given before");
        let mut after = numbers(&home);
        after.pop();
        assert_eq!(after, before, "{how}");
        assert_eq!(
            home.account().status(&inbox()).unwrap().validity,
            status.validity,
            "{how}"
        );
        home.close();
    }
}

#[test]
fn an_index_damaged_while_it_is_open_holds_no_delivery_up() {
    for how in DAMAGES {
        let home = filled();
        let (before, status) = (numbers(&home), home.account().status(&inbox()).unwrap());
        let held = home.account();
        damage(&home.path("index.sqlite"), how);
        let mut last = status.uid_next.value() - 1;
        for at in 0..5 {
            let uid = home.append("INBOX", &format!("after {how} {at}")).value();
            assert!(uid > last, "{how}: {uid} was given before");
            last = uid;
        }
        let mut after = numbers(&home);
        after.truncate(before.len());
        assert_eq!(after, before, "{how}");
        // Who held on to it reads on as well.
        assert_eq!(
            held.entries(&inbox(), &UidSet::all()).unwrap().len(),
            before.len() + 5,
            "{how}"
        );
        drop(held);
        home.close();
        assert_eq!(numbers(&home).len(), before.len() + 5, "{how}");
    }
}

#[test]
fn of_two_who_have_a_damaged_index_open_one_moves_it() {
    let home = filled();
    let other = LocalStore::new(options());
    let theirs = other.account("ann@example.org", home.folder.path()).unwrap();
    let ours = home.account();
    assert_eq!(theirs.entries(&inbox(), &UidSet::all()).unwrap().len(), 29);
    damage(&home.path("index.sqlite"), "all but the header");
    let read = |account: &dyn Account| account.details(&inbox(), &UidSet::all()).unwrap().len();
    assert_eq!(read(&*ours), 29);
    let anew = fs::read(home.path("index.sqlite.damaged")).unwrap();
    assert_eq!(read(&*theirs), 29);
    assert_eq!(
        fs::read(home.path("index.sqlite.damaged")).unwrap(),
        anew,
        "the good one stayed"
    );
    // Both write into the same one; whoever closes last leaves its log alone.
    for account in [&ours, &theirs] {
        let message = Message::from_bytes(b"A: b\n\nc\n".to_vec());
        account.append(&inbox(), &message, &flags(&[]), None).unwrap();
    }
    drop((theirs, other));
    assert_eq!(home.uids("INBOX").len(), 31);
    drop(ours);
    home.close();
}

#[test]
fn a_log_left_by_a_crash_while_an_index_was_moved_is_nobodys() {
    let mut home = filled();
    let log = fs::read(home.path("index.sqlite-wal")).unwrap();
    assert!(!log.is_empty());
    let before = numbers(&home);
    home.anew(options());
    fs::rename(home.path("index.sqlite"), home.path("index.sqlite.damaged")).unwrap();
    fs::write(home.path("index.sqlite-wal"), log).unwrap();
    assert_eq!(numbers(&home), before);
    home.close();
}

#[test]
fn what_is_removed_can_be_brought_back() {
    let home = Home::of(keeping());
    let account = home.account();
    account.create_mailbox(&name("Lists.Rüst")).unwrap();
    let first = home.append("INBOX", "first");
    let second = home.append("Lists.Rüst", "second");
    let set = |uid: Uid, words: &[&str], mailbox: &MailboxName| {
        account
            .alter(mailbox, &uid.into(), &Alteration::Set(flags(words)), None)
            .unwrap();
    };
    set(second, &["\\Seen", "\\Flagged", "todo"], &name("Lists.Rüst"));
    let entry = account.entries(&name("Lists.Rüst"), &UidSet::all()).unwrap()[0].clone();
    account.remove(&inbox(), &first.into()).unwrap();
    account.delete_mailbox(&name("Lists.Rüst")).unwrap();
    assert_eq!(account.usage().unwrap().messages, 0);
    home.close();
    let mut removed = account.removed().unwrap();
    removed.sort_by_key(|removed| removed.mailbox.clone());
    assert_eq!(removed.len(), 2);
    assert_eq!(
        (removed[0].mailbox.as_str(), removed[0].flags.is_empty()),
        ("INBOX", true)
    );
    let second = &removed[1];
    assert_eq!(second.flags, entry.flags);
    assert_eq!((second.size, second.internal_date), (entry.size, entry.internal_date));
    assert_eq!(second.summary.subject, "hello");
    for removed in &removed {
        let (mailbox, uid) = account.restore(&removed.id).unwrap();
        let back = account.entries(&mailbox, &uid.into()).unwrap().remove(0);
        assert_eq!(
            (back.flags, back.internal_date, back.size),
            (removed.flags.clone(), 1_000_000, removed.size)
        );
        assert!(matches!(
            account.restore(&removed.id),
            Err(StoreError::NoRemoved { .. })
        ));
    }
    assert_eq!(home.uids("INBOX"), [2]);
    assert!(account.removed().unwrap().is_empty());
    // MOVE keeps nothing, a mailbox of nothing neither.
    account.move_to(&inbox(), &UidSet::all(), &name("Lists.Rüst")).unwrap();
    assert!(account.removed().unwrap().is_empty());
    home.close();
}

#[test]
fn an_id_names_nothing_else() {
    let home = Home::of(keeping());
    let uid = home.append("INBOX", "text");
    let account = home.account();
    account.remove(&inbox(), &uid.into()).unwrap();
    let id = account.removed().unwrap().remove(0).id;
    let seconds = id.split('/').nth(1).unwrap();
    fs::write(home.path("secret"), "A: b\n\nc\n").unwrap();
    let kept = home.path("Maildir/postroom-expunged/INBOX");
    std::os::unix::fs::symlink(home.path("secret"), kept.join(seconds).join("link:2,S")).unwrap();
    std::os::unix::fs::symlink(home.folder.path(), kept.join("77")).unwrap();
    for id in [
        "",
        "/",
        "INBOX//x",
        "../../secret",
        "INBOX/../secret",
        "INBOX/77/secret",
        &format!("INBOX/{seconds}/../../secret"),
        &format!("INBOX/{seconds}/link:2,S"),
        &format!("INBOX/{seconds}/."),
        &format!("INBOX/+{seconds}/{}", id.rsplit('/').next().unwrap()),
        &format!("../INBOX/{seconds}/{}", id.rsplit('/').next().unwrap()),
        &format!("{id}/"),
    ] {
        assert!(matches!(account.restore(id), Err(StoreError::NoRemoved { .. })), "{id}");
    }
    assert_eq!(account.removed().unwrap().len(), 1);
    account.restore(&id).unwrap();
}

#[test]
fn what_is_brought_back_stands_in_dovecot_s_list() {
    let home = Home::of(Options {
        dovecot_uidlist: true,
        ..keeping()
    });
    let uid = home.append("INBOX", "text");
    home.account().remove(&inbox(), &uid.into()).unwrap();
    let id = home.account().removed().unwrap().remove(0).id;
    let (_, uid) = home.account().restore(&id).unwrap();
    let list = crate::maildir::DovecotUidList::read(&home.path("Maildir")).unwrap();
    let list = list.unwrap().unwrap();
    let last = list.records().last().unwrap();
    assert_eq!((last.uid, list.next.value()), (uid, 3));
    assert!(home.path("Maildir/new").join(last.base().unwrap()).exists());
    home.close();
}

#[test]
fn what_had_its_time_goes() {
    let mut home = Home::of(keeping());
    let uid = home.append("INBOX", "text");
    home.account().remove(&inbox(), &uid.into()).unwrap();
    let kept = home.path("Maildir/postroom-expunged/INBOX");
    fs::create_dir_all(kept.join("1000000")).unwrap();
    fs::write(kept.join("1000000/1.a.host:2,S"), "A: b\n\nc\n").unwrap();
    fs::create_dir_all(kept.join("somebody's")).unwrap();
    assert_eq!(home.account().removed().unwrap().len(), 2);
    assert!(home.tend());
    assert_eq!(home.account().removed().unwrap().len(), 1);
    home.anew(options());
    assert!(home.tend());
    assert!(home.account().removed().unwrap().is_empty());
    assert!(kept.join("somebody's").exists());
}

#[test]
fn a_new_account_gets_its_mailboxes_once() {
    let founding = || Options {
        create: ["Drafts", "Junk", "Lists.All"].map(name).to_vec(),
        ..options()
    };
    let mut home = Home::of(founding());
    let account = home.account();
    let statuses = account.mailboxes().unwrap();
    let uses: Vec<_> = statuses
        .iter()
        .map(|status| (status.name.as_str(), status.special_use))
        .collect();
    assert_eq!(
        uses,
        [
            ("Drafts", Some(SpecialUse::Drafts)),
            ("INBOX", None),
            ("Junk", Some(SpecialUse::Junk)),
            ("Lists.All", None)
        ]
    );
    let subscribed: Vec<_> = account
        .subscriptions()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(subscribed, ["Drafts", "INBOX", "Junk", "Lists.All"]);
    account.delete_mailbox(&name("Junk")).unwrap();
    drop(account);
    home.close();
    home.anew(founding());
    assert!(!home.account().has_mailbox(&name("Junk")).unwrap());
    // An index that was lost knows the uses again; an account that was there is not new.
    home.anew(options());
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(home.path(&format!("index.sqlite{ending}")));
    }
    assert_eq!(
        home.account().status(&name("Drafts")).unwrap().special_use,
        Some(SpecialUse::Drafts)
    );
    let old = Home::of(options());
    old.append("INBOX", "text");
    let old = Home {
        store: LocalStore::new(founding()),
        ..old
    };
    assert_eq!(old.account().mailboxes().unwrap().len(), 1);
}
