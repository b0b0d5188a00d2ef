//! The shelf beside a real Dovecot: what Dovecot keeps in a Maildir is read, and Dovecot takes what is written.

mod support;

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::Duration;

use postroom::mail::{MailboxName, Uid, UidValidity};
use postroom::maildir::{
    Disk, DovecotUidList, FileName, Folders, KeywordLetters, Minted, Place as Part, Subscriptions, UidListEnd,
    UidListLock, highest_uidvalidity, open_message, raise_uidvalidity,
};
use support::doveadm::Doveadm;
use support::peers::{present, root};
use support::place::{PATIENCE, Place};

const DISK: Disk = Disk {
    fsync: true,
    file_mode: 0o600,
    folder_mode: 0o700,
};

fn account(place: &Place) -> Option<Doveadm> {
    (root() && present(&["dovecot", "doveadm", "setpriv"])).then(|| Doveadm::new(place))
}

fn uidlist(folder: &Path) -> DovecotUidList {
    let list = DovecotUidList::read(folder).expect("readable");
    list.expect("a list").expect("sound")
}

fn lock(folder: &Path) -> UidListLock {
    let lock = UidListLock::acquire(folder, PATIENCE).expect("no error");
    lock.expect("had in time")
}

fn uids_of(uids: &[Uid]) -> Vec<String> {
    uids.iter().map(ToString::to_string).collect()
}

/// Puts a message below `new/`, as a delivery does, and returns its base name.
fn put(folder: &Path, number: usize) -> String {
    let text = format!("Subject: ours {number}\n\nbody\n");
    let length = text.len() as u64;
    let base = Minted::new("host", None, length, length + 3).as_str().to_owned();
    let temporary = folder.join("tmp").join(&base);
    fs::write(&temporary, text).expect("written");
    fs::rename(temporary, folder.join("new").join(&base)).expect("renamed");
    base
}

#[test]
fn what_dovecot_keeps_is_read() {
    let place = Place::new();
    let Some(dovecot) = account(&place) else {
        return;
    };
    let body = "some words, again and again\n".repeat(60_000);
    for (number, kind) in ["", "gz", "zstd", "gz", "bz2"].iter().enumerate() {
        let message = format!("Subject: {kind} {number}\n\n{body}");
        let save = format!("plugin/zlib_save={kind}");
        let options = ["mail_plugins=zlib", &save];
        dovecot.save("INBOX", &message, if kind.is_empty() { &[] } else { &options });
    }
    dovecot.run(&["flags", "add", "\\Flagged $Junk Work", "mailbox", "INBOX", "uid", "2"]);
    dovecot.run(&["expunge", "mailbox", "INBOX", "uid", "4"]);
    let names = ["Archive.T\u{ea}te", "Foo&Bar", "a b"];
    for name in names {
        dovecot.run(&["mailbox", "create", "-s", name]);
    }

    let maildir = dovecot.maildir();
    let list = uidlist(&maildir);
    assert_eq!(list.validity.value(), dovecot.status("uidvalidity", "INBOX"));
    assert_eq!(list.next.value(), dovecot.status("uidnext", "INBOX"));
    let uids = list.uids();
    // The GUID is the base name; of a message that it compressed, the base name as it was before the sizes came.
    let by_guid: HashMap<&str, Uid> = uids
        .iter()
        .map(|(base, uid)| (base.split(',').next().expect("one at least"), *uid))
        .collect();
    let guids = dovecot.fetch("guid", "INBOX");
    let found = guids.iter().filter_map(|guid| guid.split(',').next());
    let found: Vec<Uid> = found.map(|guid| by_guid[guid]).collect();
    assert_eq!(uids_of(&found), dovecot.fetch("uid", "INBOX"));

    let subscriptions = Subscriptions::read(&maildir).expect("readable").expect("there");
    let subscribed: Vec<_> = subscriptions.names().iter().map(ToString::to_string).collect();
    assert_eq!(subscribed, names);

    let letters = KeywordLetters::read(&maildir).expect("readable");
    let folder = Folders::new(maildir.clone()).folder(&MailboxName::inbox());
    let mut kinds = HashMap::new();
    for seen in [Part::New, Part::Cur]
        .into_iter()
        .flat_map(|part| folder.list(part).expect("readable").files)
    {
        let uid = uids[seen.base.as_str()].value();
        let keywords: Vec<_> = letters.keywords(seen.flag_letters()).collect();
        assert_eq!(keywords, if uid == 2 { vec!["$Junk", "Work"] } else { vec![] });
        let opened = open_message(&folder.path().join(seen.relative_path()));
        let mut file = match opened {
            Ok(file) => file,
            Err(error) => {
                kinds.insert(uid, error.to_string());
                continue;
            }
        };
        let mut text = String::new();
        file.read_to_string(&mut text).expect("UTF-8");
        assert!(text.ends_with(&body), "UID {uid}");
        assert_eq!(
            FileName::parse(&seen.base).stored_size(),
            Some(file.length().expect("its length"))
        );
        kinds.insert(uid, file.is_compressed().to_string());
    }
    assert_eq!(
        (kinds[&1].as_str(), kinds[&2].as_str(), kinds[&3].as_str()),
        ("false", "true", "true")
    );
    assert!(kinds[&5].contains("bzip2"), "{kinds:?}");
    assert_eq!(kinds.len(), 4);
}

#[test]
fn dovecot_takes_what_is_written() {
    let place = Place::new();
    let Some(dovecot) = account(&place) else {
        return;
    };
    let maildir = dovecot.maildir();
    dovecot.save("INBOX", "Subject: first\n\nbody\n", &[]);
    let validity = dovecot.status("uidvalidity", "INBOX");
    let mut session = dovecot.imap();
    session.run("SELECT INBOX");

    // A message appended, the next UID raised, a list replaced: under the eyes of a session that has it open.
    let mut given = HashMap::new();
    for (number, next) in [(1, 2), (2, 3), (3, 1000), (4, 1001)] {
        let lock = lock(&maildir);
        let mut list = uidlist(&maildir);
        let next = Uid::new(next).expect("not zero");
        list.raise(&DISK, &lock, next).expect("raised");
        let mut end = UidListEnd::read(&lock).expect("readable").expect("appendable");
        assert_eq!((end.validity.value(), end.next), (validity, next));
        let base = put(&maildir, number);
        end.append(&DISK, &lock, &[(next, &base)]).expect("appended");
        if number == 4 {
            uidlist(&maildir).rewrite(&DISK, &lock, |_| true).expect("replaced");
        }
        drop(lock);
        given.insert(base, next.to_string());
        session.run("NOOP");
        let answer = session.run("UID FETCH 1:* (UID)");
        assert!(
            answer.iter().any(|line| line.contains(&format!("UID {next})"))),
            "{answer:?}"
        );
    }
    dovecot.save("INBOX", "Subject: last\n\nbody\n", &[]);
    assert_eq!(dovecot.fetch("uid", "INBOX"), ["1", "2", "3", "1000", "1001", "1002"]);
    for (guid, uid) in dovecot.fetch("guid", "INBOX").iter().zip(dovecot.fetch("uid", "INBOX")) {
        assert!(given.get(guid).is_none_or(|ours| *ours == uid), "{guid} {uid}");
    }
    assert_eq!(dovecot.status("uidvalidity", "INBOX"), validity);

    // A folder of ours, with a list of ours.
    let name = MailboxName::parse("Ours.Gr\u{fc}\u{df}e", '.').expect("a name");
    let folder = Folders::new(maildir.clone()).create(&DISK, &name).expect("made");
    let ours = UidValidity::new(4_000_000_000).expect("not zero");
    let base = put(folder.path(), 9);
    let held = lock(folder.path());
    let seventh = Uid::new(7).expect("not zero");
    let mut list = DovecotUidList::new(ours, seventh);
    list.append(&DISK, &held, &[(seventh, &base)]).expect("written");
    drop(held);
    raise_uidvalidity(&DISK, &maildir, ours).expect("raised");
    assert!(Subscriptions::alter(&DISK, &maildir, &[(&name, true)], PATIENCE).expect("written"));
    assert_eq!(dovecot.fetch("uid", name.as_str()), ["7"]);
    assert_eq!(dovecot.status("uidvalidity", name.as_str()), ours.value());
    assert_eq!(dovecot.run(&["mailbox", "list", "-s"]), format!("{name}\n"));
    assert_eq!(
        uidlist(folder.path()).guid().map(str::len),
        Some(32),
        "Dovecot added it"
    );
    // Dovecot goes on above what we gave, and we see it.
    dovecot.run(&["mailbox", "create", "-s", "Theirs"]);
    assert_eq!(dovecot.status("uidvalidity", "Theirs"), ours.value() + 1);
    assert_eq!(highest_uidvalidity(&maildir).expect("readable"), ours.next());
    // Both programs' subscriptions stand.
    assert_eq!(dovecot.run(&["mailbox", "list", "-s"]).lines().count(), 2);
    assert_no_complaints(&dovecot);
}

#[test]
fn both_number_messages_at_once() {
    let place = Place::new();
    let Some(dovecot) = account(&place) else {
        return;
    };
    let maildir = dovecot.maildir();
    dovecot.save("INBOX", "Subject: first\n\nbody\n", &[]);
    let validity = dovecot.status("uidvalidity", "INBOX");
    let mut given = HashMap::new();
    thread::scope(|scope| {
        for worker in 0..2 {
            let dovecot = &dovecot;
            scope.spawn(move || {
                for number in 0..10 {
                    dovecot.save("INBOX", &format!("Subject: theirs {worker} {number}\n\nbody\n"), &[]);
                }
            });
        }
        let mut session = dovecot.imap();
        session.run("SELECT INBOX");
        for number in 0..40 {
            let lock = lock(&maildir);
            let mut end = UidListEnd::read(&lock).expect("readable").expect("appendable");
            let uid = end.next;
            let base = put(&maildir, number);
            end.append(&DISK, &lock, &[(uid, &base)]).expect("appended");
            drop(lock);
            given.insert(base, uid.to_string());
            session.run("NOOP");
            session.run("STORE 1 +FLAGS (\\Seen)");
            thread::sleep(Duration::from_millis(10));
        }
    });
    let theirs: HashMap<_, _> = dovecot
        .fetch("guid", "INBOX")
        .into_iter()
        .zip(dovecot.fetch("uid", "INBOX"))
        .collect();
    assert_eq!(theirs.len(), 61);
    for (base, uid) in &given {
        assert_eq!(theirs.get(base), Some(uid), "{base}");
    }
    let list = uidlist(&maildir);
    assert_eq!(list.validity.value(), validity);
    assert_eq!(list.uids().len(), 61);
    assert_no_complaints(&dovecot);
}

fn assert_no_complaints(dovecot: &Doveadm) {
    let log = dovecot.log();
    assert!(!log.contains("Error") && !log.contains("Warning"), "{log}");
}
