//! Any bytes as one of the small files beside the messages: reading them ends, and what is written after reading is
//! read again as it was. The first byte says which file.

#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use postroom::mail::{AnnotationName, Flags, MailboxName, Uid, UidValidity};
use postroom::maildir::{
    Annotated, Disk, DovecotUidList, FileName, KeywordLetters, MailSize, Marks, Subscriptions, UidList, UidListEnd,
    UidListLock, courier_keywords,
};

/// A folder in memory, where there is one.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let home = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = tempfile::tempdir_in(home).expect("a folder");
    fs::create_dir(folder.path().join("tmp")).expect("a folder");
    fs::create_dir(folder.path().join("courierimapkeywords")).expect("a folder");
    folder
});

const DISK: Disk = Disk {
    fsync: false,
    file_mode: 0o600,
    folder_mode: 0o700,
};

fuzz_target!(|data: &[u8]| {
    let Some((which, content)) = data.split_first() else { return };
    let folder = FOLDER.path();
    match which % 9 {
        0 => with_file(folder, "dovecot-uidlist", content, dovecot_uidlist),
        1 => with_file(folder, "postroom-uidlist", content, uidlist),
        2 => with_file(folder, "maildirsize", content, maildirsize),
        3 => with_file(folder, "dovecot-keywords", content, keywords),
        4 => with_file(folder, "postroom-mailbox", content, marks),
        5 => with_file(folder, "postroom-annotations", content, annotations),
        6 => with_file(folder, "subscriptions", content, subscriptions),
        7 => with_file(folder, "courierimapuiddb", content, |folder| {
            let _ = DovecotUidList::read_courier(folder).expect("it is there");
            fs::rename(folder.join("courierimapuiddb"), folder.join("courierimapkeywords/:list")).expect("a file");
            let keywords = courier_keywords(folder).expect("it is there");
            assert!(keywords.values().all(|keywords| !keywords.is_empty()));
        }),
        _ => file_name(&String::from_utf8_lossy(content)),
    }
});

fn with_file(folder: &Path, name: &str, content: &[u8], look: impl FnOnce(&Path)) {
    fs::write(folder.join(name), content).expect("a file");
    look(folder);
    let _ = fs::remove_file(folder.join(name));
}

fn dovecot_uidlist(folder: &Path) {
    let read = || DovecotUidList::read(folder).expect("it can be read").expect("it is there");
    let mut lock = UidListLock::acquire(folder, Duration::ZERO).expect("no fault").expect("it is free");
    let end = UidListEnd::read(&lock).expect("it can be read");
    let Ok(mut list) = read() else { return };
    let (validity, next) = (list.validity, list.next);
    assert_eq!(DovecotUidList::validity_of(folder).expect("it can be read"), Some(validity));
    if let Some(end) = end {
        assert_eq!((end.validity, end.next), (validity, next));
    }
    let uids: Vec<Uid> = list.records().map(|record| record.uid).collect();
    assert!(uids.windows(2).all(|pair| pair[0] < pair[1]) && uids.last().is_none_or(|last| *last < next));
    for record in list.records() {
        assert!(record.base().is_none_or(|base| !base.is_empty() && !base.contains([':', '/', '\n'])));
        let _ = record.value('W');
    }
    let mut bases = list.uids().into_iter().map(|(base, uid)| (base.to_owned(), uid)).collect::<Vec<_>>();
    bases.sort();
    if next.next().is_none() {
        return;
    }
    list.append(&DISK, &lock, &[(next, "1.M2P3.host,S=4:2,S")]).expect("it is appended");
    assert_eq!(read().as_ref(), Ok(&list));
    assert_eq!(list.uids().get("1.M2P3.host,S=4"), Some(&next));
    list.rewrite(&DISK, &lock, |_| true).expect("it is written");
    assert_eq!(read().as_ref(), Ok(&list));
    assert!((list.validity, Some(list.next)) == (validity, next.next()));
    for (base, uid) in bases.iter().filter(|(base, _)| base != "1.M2P3.host,S=4") {
        assert_eq!(list.uids().get(base.as_str()), Some(uid));
    }
    let end = UidListEnd::read(&lock).expect("it can be read");
    assert!(end.is_none_or(|end| (end.validity, end.next) == (list.validity, list.next)));
    assert!(lock.keep().expect("no fault"));
}

fn uidlist(folder: &Path) {
    let validity = UidValidity::new(9).expect("not zero");
    let mut list = UidList::read(folder, validity).expect("it can be read");
    let before = list.uids.clone();
    let new = [(Uid::new(77).expect("not zero"), "new :name".to_owned())];
    list.add(&DISK, folder, validity, &new, |_| true).expect("it is written");
    let read = UidList::read(folder, validity).expect("it can be read");
    assert_eq!(read.uids.get("new :name"), Some(&new[0].0));
    for (base, uid) in before.iter().filter(|(base, _)| *base != "new :name") {
        assert_eq!(read.uids.get(base), Some(uid), "{base:?}");
    }
    assert_eq!(read.uids.len(), list.uids.len());
    let other = UidValidity::new(8).expect("not zero");
    assert!(UidList::read(folder, other).expect("it can be read").uids.is_empty());
}

fn maildirsize(folder: &Path) {
    let Some(size) = MailSize::read(folder).expect("it can be read") else { return };
    let _ = size.is_worn(true);
    assert!(MailSize::append(folder, 10, 1).expect("it is written"));
    let appended = MailSize::read(folder).expect("it can be read");
    if let (Some(bytes), Some(messages)) = (size.bytes.checked_add(10), size.messages.checked_add(1)) {
        let appended = appended.expect("two numbers more");
        assert_eq!((appended.bytes, appended.messages), (bytes, messages));
    }
    MailSize::replace(&DISK, folder, &size.limits, size.bytes, size.messages).expect("it is written");
    let replaced = MailSize::read(folder).expect("it can be read").expect("it is there");
    assert_eq!((replaced.bytes, replaced.messages, replaced.limits), (size.bytes, size.messages, size.limits));
}

fn keywords(folder: &Path) {
    let before = KeywordLetters::read(folder).expect("it can be read");
    let after = KeywordLetters::assign(&DISK, folder, ["$Junk", "new", "$junk"].into_iter()).expect("it is written");
    assert_eq!(KeywordLetters::read(folder).expect("it can be read"), after);
    for letter in 'a'..='z' {
        let letter = letter.to_string();
        let stood: Vec<&str> = before.keywords(&letter).collect();
        assert!(stood.is_empty() || after.keywords(&letter).eq(stood));
    }
    if let Some(letter) = after.letter("$JUNK") {
        let letter = letter.to_string();
        assert!(after.keywords(&letter).all(|keyword| keyword.eq_ignore_ascii_case("$junk")));
    }
}

fn marks(folder: &Path) {
    let Some(marks) = Marks::read(folder).expect("it can be read") else { return };
    marks.write(&DISK, folder).expect("it is written");
    assert_eq!(Marks::read(folder).expect("it can be read"), Some(marks));
}

fn annotations(folder: &Path) {
    let mut annotations = Annotated::Mailbox.read(folder).expect("it can be read");
    Annotated::Mailbox.write(&DISK, folder, &annotations).expect("it is written");
    assert_eq!(Annotated::Mailbox.read(folder).expect("it can be read"), annotations);
    let name = AnnotationName::parse("/private/comment").expect("a name");
    if annotations.set(&name, Some("a\n/private/b 1\nx\n")).is_ok() {
        Annotated::Mailbox.write(&DISK, folder, &annotations).expect("it is written");
        assert_eq!(Annotated::Mailbox.read(folder).expect("it can be read"), annotations);
    }
}

fn subscriptions(folder: &Path) {
    let before = Subscriptions::read(folder).expect("it can be read").expect("it is there").names();
    let new = MailboxName::parse("Archive.2026", '.').expect("a name");
    assert!(Subscriptions::alter(&DISK, folder, &[(&new, true)], Duration::ZERO).expect("it is written"));
    let after = Subscriptions::read(folder).expect("it can be read").expect("it is there").names();
    assert!(after.contains(&new) && before.iter().all(|name| after.contains(name)));
    assert!(Subscriptions::alter(&DISK, folder, &[(&new, false)], Duration::ZERO).expect("it is written"));
    let left = Subscriptions::read(folder).expect("it can be read").map(|it| it.names()).unwrap_or_default();
    assert!(!left.contains(&new) && left.len() + 1 == after.len());
}

fn file_name(text: &str) {
    let name = FileName::parse(text);
    assert!(text.starts_with(name.base) && text.ends_with(name.letters) && !name.base.contains(':'));
    let flags: Flags = name.system_flags();
    let _ = (flags, name.stored_size(), name.crlf_size(), name.uid(), name.key());
}
