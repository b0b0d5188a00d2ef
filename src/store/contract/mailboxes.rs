//! Mailboxes: RFC 9051 §6.3, RFC 6154, RFC 8474.

use std::time::Duration;

use super::fixture::{Fixture, alteration, flags, identity, missing, name, set};
use crate::index::Counts;
use crate::mail::{ModSeq, SpecialUse, Uid, UidSet};
use crate::message::Message;
use crate::store::StoreError;

pub(super) fn a_new_account_has_an_empty_inbox(at: &Fixture) {
    assert_eq!(at.names(), ["INBOX"]);
    let status = at.status("INBOX");
    assert_eq!((status.counts, status.special_use), (Counts::default(), None));
    assert!(at.account().has_mailbox(&name("INBOX")).unwrap());
    assert!(!at.account().has_mailbox(&name("A")).unwrap());
    assert!(at.uids("INBOX").is_empty());
}

pub(super) fn created_twice_it_is_the_same(at: &Fixture) {
    at.create("A");
    let uids = at.fill::<2>("A");
    let before = at.status("A");
    at.create("A");
    assert_eq!((at.status("A"), at.uids("A")), (before, uids.to_vec()));
    let before = at.status("INBOX");
    at.create("INBOX");
    assert_eq!(at.status("INBOX"), before);
}

pub(super) fn those_above_are_not_made(at: &Fixture) {
    at.create("A.b.c");
    assert_eq!(at.names(), ["A.b.c", "INBOX"]);
    missing(at.account().status(&name("A")), "A");
    assert!(!at.account().has_mailbox(&name("A.b")).unwrap());
}

pub(super) fn they_stand_by_name(at: &Fixture) {
    for mailbox in ["b", "A.b", "a", "A", "Entwürfe", "A b", "INBOX.x"] {
        at.create(mailbox);
    }
    let names: Vec<_> = ["A", "A b", "A.b", "Entwürfe", "INBOX", "INBOX.x", "a", "b"].into();
    assert_eq!(at.names(), names);
}

pub(super) fn each_has_numbers_of_its_own(at: &Fixture) {
    for mailbox in ["A", "B", "A.b"] {
        at.create(mailbox);
    }
    // That they differ is asked of every fixture; here that they grow.
    let validities = ["INBOX", "A", "B", "A.b"].map(|mailbox| at.status(mailbox).validity);
    assert!(validities.is_sorted_by(|one, next| one < next), "{validities:?}");
    at.holds();
}

pub(super) fn made_again_it_has_a_higher_validity(at: &Fixture) {
    let mut highest = at.status("INBOX").validity;
    for _ in 0..3 {
        at.create("A");
        let status = at.status("A");
        assert!(status.validity > highest);
        assert_eq!(status.counts, Counts::default());
        highest = status.validity;
        at.fill::<1>("A");
        at.account().delete_mailbox(&name("A")).unwrap();
    }
    at.create("B");
    assert!(at.status("B").validity > highest);
}

pub(super) fn the_list_says_what_the_status_says(at: &Fixture) {
    at.create("A");
    at.fill::<2>("A");
    at.fill::<1>("INBOX");
    for status in at.account().mailboxes().unwrap() {
        assert_eq!(at.account().status(&status.name).unwrap(), status);
    }
}

pub(super) fn one_that_is_missing_is_an_error(at: &Fixture) {
    let account = at.account();
    let (gone, all, uid) = (name("Gone"), UidSet::all(), Uid::new(1).unwrap());
    let message = Message::from_bytes("A: b\r\n\r\n");
    let since = ModSeq::new(1).unwrap();
    missing(account.status(&gone), "Gone");
    missing(account.rename_mailbox(&gone, &name("A")), "Gone");
    missing(account.delete_mailbox(&gone), "Gone");
    missing(account.set_special_use(&gone, Some(SpecialUse::Junk)), "Gone");
    missing(account.entries(&gone, &all), "Gone");
    missing(account.flags(&gone, &all), "Gone");
    missing(account.details(&gone, &all), "Gone");
    missing(account.open(&gone, uid).map(drop), "Gone");
    missing(account.alter(&gone, &all, &alteration("+\\Seen"), None), "Gone");
    missing(account.copy(&gone, &all, &name("INBOX")), "Gone");
    missing(account.move_to(&gone, &all, &name("INBOX")), "Gone");
    missing(account.append(&gone, &message, &flags(""), None), "Gone");
    missing(account.expunge(&gone, &set([uid])), "Gone");
    missing(account.remove(&gone, &set([uid])), "Gone");
    missing(account.changes(&gone, since), "Gone");
    let watched = account.watch(&gone).map(|mut watch| watch.wait(Duration::ZERO));
    missing(watched.map(drop), "Gone");
    assert_eq!(at.names(), ["INBOX"]);
}

pub(super) fn renamed_it_keeps_its_numbers(at: &Fixture) {
    at.create("A");
    let [first, second] = at.fill("A");
    at.remove("A", [second]);
    let (before, entry) = (at.status("A"), at.entry("A", first));
    at.rename("A", "B.c").unwrap();
    missing(at.account().status(&name("A")), "A");
    let after = at.status("B.c");
    assert_eq!(identity(&after), identity(&before));
    assert_eq!((after.counts, after.uid_next), (before.counts, before.uid_next));
    assert!(after.highest_modseq >= before.highest_modseq);
    assert_eq!(at.entries("B.c"), [entry]);
    assert!(at.bytes("B.c", first).ends_with(b"body\n"));
    assert!(at.fill::<1>("B.c")[0] > second);
}

pub(super) fn renamed_those_below_come_along(at: &Fixture) {
    for mailbox in ["A", "A.b", "A.b.c", "AB", "A b", "B"] {
        at.create(mailbox);
    }
    let [uid] = at.fill("A.b.c");
    let before = at.status("A.b.c");
    at.rename("A", "C.d").unwrap();
    assert_eq!(at.names(), ["A b", "AB", "B", "C.d", "C.d.b", "C.d.b.c", "INBOX"]);
    assert_eq!(identity(&at.status("C.d.b.c")), identity(&before));
    assert_eq!(at.uids("C.d.b.c"), [uid]);
}

pub(super) fn a_name_with_others_below_is_renamed_too(at: &Fixture) {
    at.create("A.b");
    at.create("A.c.d");
    let [uid] = at.fill("A.b");
    at.rename("A", "B").unwrap();
    assert_eq!(at.names(), ["B.b", "B.c.d", "INBOX"]);
    assert_eq!(at.uids("B.b"), [uid]);
    missing(at.rename("A", "C"), "A");
}

pub(super) fn renamed_onto_another_it_stays(at: &Fixture) {
    at.create("A");
    at.create("B");
    at.fill::<1>("A");
    let before = at.account().mailboxes().unwrap();
    for to in ["B", "INBOX", "A"] {
        let refused = at.rename("A", to);
        assert!(
            matches!(&refused, Err(StoreError::MailboxExists { name, .. }) if name.as_str() == to),
            "{refused:?}"
        );
    }
    assert!(matches!(at.rename("INBOX", "B"), Err(StoreError::MailboxExists { .. })));
    assert_eq!(at.account().mailboxes().unwrap(), before);
}

pub(super) fn renamed_where_one_below_would_meet_another_it_stays(at: &Fixture) {
    for mailbox in ["A", "A.b", "A.c", "B.c"] {
        at.create(mailbox);
    }
    let before = at.account().mailboxes().unwrap();
    assert!(matches!(at.rename("A", "B"), Err(StoreError::MailboxExists { .. })));
    assert_eq!(at.account().mailboxes().unwrap(), before);
}

pub(super) fn renamed_below_itself_it_stays(at: &Fixture) {
    at.create("A");
    let refused = at.rename("A", "A.b");
    assert!(matches!(refused, Err(StoreError::Forbidden { .. })), "{refused:?}");
    assert_eq!(at.names(), ["A", "INBOX"]);
    // Another that only begins like it is not below it.
    at.rename("A", "AB").unwrap();
    at.create("A.b.c");
    at.rename("A.b.c", "A.b").unwrap();
    assert_eq!(at.names(), ["A.b", "AB", "INBOX"]);
}

pub(super) fn the_inbox_renamed_is_emptied(at: &Fixture) {
    at.create("INBOX.x");
    let uids = at.fill::<3>("INBOX");
    at.alter("INBOX", [uids[1]], "=\\Flagged todo");
    let (before, entries) = (at.status("INBOX"), at.entries("INBOX"));
    at.rename("INBOX", "Old").unwrap();
    assert_eq!(at.names(), ["INBOX", "INBOX.x", "Old"]);
    let after = at.status("INBOX");
    assert_eq!((identity(&after), after.counts), (identity(&before), Counts::default()));
    let (changed, vanished) = at.changes("INBOX", before.highest_modseq);
    assert_eq!((changed, vanished), (vec![], set(uids)));
    assert!(at.status("Old").validity > before.validity);
    let moved = at.entries("Old");
    assert_eq!(moved.len(), 3);
    for (old, new) in entries.iter().zip(&moved) {
        assert_eq!(
            (&new.flags, new.internal_date, new.email_id),
            (&old.flags, old.internal_date, old.email_id)
        );
    }
    let [uid] = at.fill("INBOX");
    assert!(uid > uids[2]);
    // Also below itself: it stays where it is.
    at.rename("INBOX", "INBOX.y").unwrap();
    assert_eq!((at.uids("INBOX").len(), at.uids("INBOX.y").len()), (0, 1));
}

pub(super) fn a_name_left_by_a_rename_is_free(at: &Fixture) {
    at.create("A");
    at.fill::<2>("A");
    at.rename("A", "B").unwrap();
    at.create("A");
    assert!(at.status("A").validity > at.status("B").validity);
    assert_eq!((at.uids("A").len(), at.uids("B").len()), (0, 2));
    at.account().delete_mailbox(&name("B")).unwrap();
    at.rename("A", "B").unwrap();
    assert!(at.uids("B").is_empty());
}

pub(super) fn deleted_those_below_stay(at: &Fixture) {
    at.create("A");
    at.create("A.b");
    let [uid] = at.fill("A.b");
    at.account().delete_mailbox(&name("A")).unwrap();
    assert_eq!(
        (at.names(), at.uids("A.b")),
        (vec!["A.b".to_owned(), "INBOX".to_owned()], vec![uid])
    );
    missing(at.account().entries(&name("A"), &UidSet::all()), "A");
    missing(at.account().delete_mailbox(&name("A")), "A");
}

pub(super) fn the_inbox_is_never_deleted(at: &Fixture) {
    let [uid] = at.fill("INBOX");
    let refused = at.account().delete_mailbox(&name("INBOX"));
    assert!(matches!(refused, Err(StoreError::Forbidden { .. })), "{refused:?}");
    assert_eq!(at.uids("INBOX"), [uid]);
}

pub(super) fn deleted_it_uses_nothing(at: &Fixture) {
    at.create("A");
    at.fill::<1>("INBOX");
    let before = at.account().usage().unwrap();
    at.fill::<3>("A");
    assert_eq!(at.account().usage().unwrap().messages, 4);
    at.account().delete_mailbox(&name("A")).unwrap();
    assert_eq!(at.account().usage().unwrap(), before);
}

pub(super) fn subscriptions_outlive_mailboxes(at: &Fixture) {
    let account = at.account();
    let before = account.subscriptions().unwrap();
    at.create("A");
    for subscribed in ["A", "A", "Never.made"] {
        account.subscribe(&name(subscribed), true).unwrap();
    }
    account.subscribe(&name("Unknown"), false).unwrap();
    let mut expected = before.clone();
    expected.extend([name("A"), name("Never.made")]);
    assert_eq!(account.subscriptions().unwrap(), expected);
    at.rename("A", "B").unwrap();
    assert_eq!(account.subscriptions().unwrap(), expected);
    at.create("A");
    account.delete_mailbox(&name("A")).unwrap();
    assert_eq!(account.subscriptions().unwrap(), expected);
    for subscribed in ["A", "Never.made"] {
        account.subscribe(&name(subscribed), false).unwrap();
    }
    assert_eq!(account.subscriptions().unwrap(), before);
}

pub(super) fn a_special_use_moves(at: &Fixture) {
    let account = at.account();
    let uses = || {
        let mailboxes = account.mailboxes().unwrap();
        let uses = mailboxes.into_iter().map(|status| status.special_use);
        uses.collect::<Vec<_>>()
    };
    at.create("A");
    at.create("B");
    account.set_special_use(&name("A"), Some(SpecialUse::Junk)).unwrap();
    account.set_special_use(&name("B"), Some(SpecialUse::Sent)).unwrap();
    assert_eq!(uses(), [Some(SpecialUse::Junk), Some(SpecialUse::Sent), None]);
    account.set_special_use(&name("B"), Some(SpecialUse::Junk)).unwrap();
    assert_eq!(uses(), [None, Some(SpecialUse::Junk), None]);
    account.set_special_use(&name("A"), None).unwrap();
    account.set_special_use(&name("INBOX"), None).unwrap();
    assert_eq!(uses(), [None, Some(SpecialUse::Junk), None]);
}

pub(super) fn a_special_use_goes_along_and_ends(at: &Fixture) {
    at.create("A");
    at.account()
        .set_special_use(&name("A"), Some(SpecialUse::Trash))
        .unwrap();
    at.rename("A", "B").unwrap();
    assert_eq!(at.status("B").special_use, Some(SpecialUse::Trash));
    at.account().set_special_use(&name("B"), None).unwrap();
    assert_eq!(at.status("B").special_use, None);
    at.account()
        .set_special_use(&name("B"), Some(SpecialUse::Trash))
        .unwrap();
    at.account().delete_mailbox(&name("B")).unwrap();
    at.create("B");
    assert_eq!(at.status("B").special_use, None);
}

pub(super) fn opened_again_all_is_as_it_was(at: &Fixture) {
    at.create("A");
    at.fill::<2>("A");
    let first = at.account();
    let second = at.account();
    assert_eq!(first.mailboxes().unwrap(), second.mailboxes().unwrap());
    second.create_mailbox(&name("B")).unwrap();
    assert!(first.has_mailbox(&name("B")).unwrap());
    drop((first, second));
    assert_eq!((at.names().len(), at.uids("A").len()), (3, 2));
}

pub(super) fn an_upkeep_changes_no_number(at: &Fixture) {
    at.create("A");
    let [first, second, third] = at.fill("A");
    at.alter("A", [first], "=\\Seen todo");
    at.remove("A", [second]);
    at.copy("A", [first, third], "INBOX");
    let account = at.account();
    let (status, entries) = (account.mailboxes().unwrap(), at.entries("A"));
    account.reconcile().unwrap();
    assert_eq!(
        (account.mailboxes().unwrap(), at.entries("A")),
        (status.clone(), entries.clone())
    );
    account.rebuild().unwrap();
    // MODSEQ and SAVEDATE may be higher then: a client asks once more, and sees the same.
    let account = at.account();
    for (before, after) in status.iter().zip(account.mailboxes().unwrap()) {
        assert_eq!((identity(before), before.counts), (identity(&after), after.counts));
        assert!(after.uid_next >= before.uid_next && after.highest_modseq >= before.highest_modseq);
    }
    for (before, after) in entries.iter().zip(at.entries("A")) {
        let what_stays = |entry: &crate::store::Entry| {
            (
                entry.uid,
                entry.flags.clone(),
                entry.internal_date,
                entry.size,
                entry.email_id,
                entry.thread_id,
            )
        };
        assert_eq!(what_stays(before), what_stays(&after));
    }
    assert_eq!(at.entries("A").len(), 2);
}
