//! Copies and moves: RFC 9051 §6.4.7, §6.4.8, RFC 8474, RFC 8514.

use super::fixture::{Fixture, flags, missing, name, now, set};
use crate::mail::{Uid, UidSet};
use crate::message::Message;
use crate::store::{Entry, Transferred};

/// A message with flags and a date of its own, and its entry.
fn flagged(at: &Fixture) -> Entry {
    let message = Message::from_bytes("Message-ID: <1@example.org>\r\nSubject: flagged\r\n\r\nbody\r\n");
    let words = flags("\\Flagged \\Deleted todo");
    let appended = at
        .account()
        .append(&name("INBOX"), &message, &words, Some(1_000_000_000));
    at.entry("INBOX", appended.unwrap().1)
}

/// What a copy has of its original.
fn belongings(entry: &Entry) -> (String, i64, u64, crate::mail::EmailId, crate::mail::ThreadId) {
    let Entry {
        flags,
        internal_date,
        size,
        email_id,
        thread_id,
        ..
    } = entry;
    (flags.to_string(), *internal_date, *size, *email_id, *thread_id)
}

fn new_uids(transferred: &Transferred) -> Vec<Uid> {
    transferred.uids.iter().map(|(_, new)| *new).collect()
}

pub(super) fn a_copy_keeps_what_belongs_to_the_message(at: &Fixture) {
    at.create("A");
    at.fill::<2>("A");
    let (original, before, highest) = (flagged(at), now(), at.highest("A"));
    let copied = at.copy("INBOX", [original.uid], "A");
    assert_eq!(copied.validity, at.status("A").validity);
    let [(old, new)] = copied.uids[..] else {
        panic!("{copied:?}")
    };
    assert_eq!(old, original.uid);
    let copy = at.entry("A", new);
    assert_eq!(belongings(&copy), belongings(&original));
    assert!((before..=now()).contains(&copy.save_date) && copy.modseq > highest);
    assert_eq!(at.bytes("A", new), at.bytes("INBOX", old));
    assert_eq!(
        at.detail("A", new).card.summary(),
        at.detail("INBOX", old).card.summary()
    );
}

pub(super) fn copies_ascend(at: &Fixture) {
    at.create("A");
    at.fill::<2>("A");
    let uids = at.fill::<5>("INBOX");
    let highest = *at.uids("A").last().unwrap();
    let copied = at.copy("INBOX", [uids[4], uids[0], uids[2]], "A");
    let old: Vec<Uid> = copied.uids.iter().map(|(old, _)| *old).collect();
    assert_eq!(old, [uids[0], uids[2], uids[4]]);
    let new = new_uids(&copied);
    assert!(new.is_sorted_by(|one, next| one < next) && new[0] > highest);
    assert_eq!(at.uids("A")[2..], new);
}

pub(super) fn the_source_of_a_copy_is_unchanged(at: &Fixture) {
    at.create("A");
    let uids = at.fill::<3>("INBOX");
    let (status, entries) = (at.status("INBOX"), at.entries("INBOX"));
    at.copy("INBOX", uids, "A");
    assert_eq!((at.status("INBOX"), at.entries("INBOX")), (status, entries));
}

pub(super) fn a_copy_to_or_from_a_missing_mailbox_does_nothing(at: &Fixture) {
    let uids = at.fill::<2>("INBOX");
    let before = (at.account().mailboxes().unwrap(), at.entries("INBOX"));
    missing(at.account().copy(&name("INBOX"), &set(uids), &name("Gone")), "Gone");
    missing(at.account().copy(&name("Gone"), &set(uids), &name("INBOX")), "Gone");
    assert_eq!((at.account().mailboxes().unwrap(), at.entries("INBOX")), before);
}

pub(super) fn a_copy_of_nothing_does_nothing(at: &Fixture) {
    at.create("A");
    let [uid] = at.fill("INBOX");
    at.remove("INBOX", [uid]);
    let before = at.account().mailboxes().unwrap();
    let copied = at.copy("INBOX", [uid], "A");
    let moved = at.move_to("INBOX", [uid], "A");
    let nothing = Transferred {
        validity: at.status("A").validity,
        uids: vec![],
    };
    assert_eq!((copied, moved), (nothing.clone(), nothing));
    assert_eq!(at.account().mailboxes().unwrap(), before);
}

pub(super) fn a_copy_into_its_own_mailbox_is_a_second_message(at: &Fixture) {
    let original = flagged(at);
    let copied = at.copy("INBOX", [original.uid], "INBOX");
    let [first, second] = &at.entries("INBOX")[..] else {
        panic!("not two")
    };
    assert_eq!((first, vec![second.uid]), (&original, new_uids(&copied)));
    assert_eq!(belongings(first), belongings(second));
}

pub(super) fn a_copy_changes_and_stays_by_itself(at: &Fixture) {
    at.create("A");
    let [uid] = at.fill("INBOX");
    let bytes = at.bytes("INBOX", uid);
    let copy = new_uids(&at.copy("INBOX", [uid], "A"))[0];
    at.alter("A", [copy], "=\\Seen todo");
    assert_eq!(at.flags("INBOX", uid), "");
    at.alter("INBOX", [uid], "+\\Draft");
    assert_eq!(at.flags("A", copy), "\\Seen todo");
    let second = new_uids(&at.copy("A", [copy], "INBOX"))[0];
    at.remove("INBOX", [uid]);
    assert_eq!(
        (at.bytes("A", copy), at.bytes("INBOX", second)),
        (bytes.clone(), bytes.clone())
    );
    at.account().delete_mailbox(&name("A")).unwrap();
    assert_eq!(at.bytes("INBOX", second), bytes);
}

pub(super) fn moved_it_is_gone_there_and_here_once(at: &Fixture) {
    at.create("A");
    let uids = at.fill::<4>("INBOX");
    let (here, there) = (at.highest("A"), at.highest("INBOX"));
    let moved = at.move_to("INBOX", [uids[3], uids[1]], "A");
    let old: Vec<Uid> = moved.uids.iter().map(|(old, _)| *old).collect();
    assert_eq!((old, moved.validity), (vec![uids[1], uids[3]], at.status("A").validity));
    assert_eq!(
        (at.uids("INBOX"), at.uids("A")),
        (vec![uids[0], uids[2]], new_uids(&moved))
    );
    let gone = at.account().entries(&name("INBOX"), &set([uids[1], uids[3]])).unwrap();
    assert!(gone.is_empty());
    assert!(at.highest("A") > here && at.highest("INBOX") > there);
    assert_eq!(at.account().usage().unwrap().messages, 4);
}

pub(super) fn a_move_keeps_what_belongs_to_the_message(at: &Fixture) {
    at.create("A");
    let (original, before) = (flagged(at), now());
    let bytes = at.bytes("INBOX", original.uid);
    let moved = new_uids(&at.move_to("INBOX", [original.uid], "A"))[0];
    let entry = at.entry("A", moved);
    assert_eq!(
        (belongings(&entry), at.bytes("A", moved)),
        (belongings(&original), bytes)
    );
    assert!((before..=now()).contains(&entry.save_date));
}

pub(super) fn a_move_to_a_missing_mailbox_does_nothing(at: &Fixture) {
    let uids = at.fill::<2>("INBOX");
    let before = (at.account().mailboxes().unwrap(), at.entries("INBOX"));
    missing(
        at.account().move_to(&name("INBOX"), &UidSet::all(), &name("Gone")),
        "Gone",
    );
    missing(at.account().move_to(&name("Gone"), &set(uids), &name("INBOX")), "Gone");
    assert_eq!((at.account().mailboxes().unwrap(), at.entries("INBOX")), before);
    assert!(!at.bytes("INBOX", uids[1]).is_empty());
}

pub(super) fn moved_into_its_own_mailbox_it_is_there_once(at: &Fixture) {
    let original = flagged(at);
    let [other] = at.fill("INBOX");
    let moved = at.move_to("INBOX", [original.uid], "INBOX");
    let [(old, new)] = moved.uids[..] else {
        panic!("{moved:?}")
    };
    assert_eq!(old, original.uid);
    let mut uids = vec![new, other];
    uids.sort();
    assert_eq!(at.uids("INBOX"), uids);
    assert_eq!(belongings(&at.entry("INBOX", new)), belongings(&original));
}

pub(super) fn moved_back_it_has_a_new_uid(at: &Fixture) {
    at.create("A");
    let uids = at.fill::<2>("INBOX");
    let mut uid = uids[1];
    for _ in 0..3 {
        let there = new_uids(&at.move_to("INBOX", [uid], "A"))[0];
        let back = new_uids(&at.move_to("A", [there], "INBOX"))[0];
        assert!(back > uid);
        uid = back;
    }
    assert_eq!((at.uids("INBOX"), at.uids("A")), (vec![uids[0], uid], vec![]));
}
