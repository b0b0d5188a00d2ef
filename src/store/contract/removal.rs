//! What goes: RFC 9051 §6.4.3, RFC 4315.

use std::io::Read;

use super::fixture::{Fixture, name, set};
use crate::mail::UidSet;
use crate::store::StoreError;

pub(super) fn an_expunge_takes_the_deleted_ones(at: &Fixture) {
    let uids = at.fill::<4>("INBOX");
    at.alter("INBOX", [uids[0], uids[3]], "+\\Deleted \\Seen");
    at.alter("INBOX", [uids[2]], "+\\Seen \\Flagged todo");
    let highest = at.highest("INBOX");
    assert_eq!(at.expunge("INBOX"), [uids[0], uids[3]]);
    assert_eq!(at.uids("INBOX"), [uids[1], uids[2]]);
    assert!(at.highest("INBOX") > highest);
    assert!(at.expunge("INBOX").is_empty());
}

pub(super) fn an_expunge_takes_only_those_named(at: &Fixture) {
    let uids = at.fill::<4>("INBOX");
    at.alter("INBOX", uids, "+\\Deleted");
    at.alter("INBOX", [uids[2]], "-\\Deleted");
    let expunged = at.account().expunge(&name("INBOX"), &set([uids[3], uids[2], uids[1]]));
    assert_eq!(expunged.unwrap(), [uids[1], uids[3]]);
    assert_eq!(at.uids("INBOX"), [uids[0], uids[2]]);
}

pub(super) fn a_removal_asks_for_no_flag(at: &Fixture) {
    let uids = at.fill::<4>("INBOX");
    at.alter("INBOX", [uids[0]], "+\\Deleted");
    assert_eq!(at.remove("INBOX", [uids[2], uids[0]]), [uids[0], uids[2]]);
    assert_eq!(at.remove("INBOX", [uids[2], uids[1]]), [uids[1]]);
    assert_eq!(at.uids("INBOX"), [uids[3]]);
}

pub(super) fn with_nothing_to_take_nothing_changes(at: &Fixture) {
    let uids = at.fill::<2>("INBOX");
    at.alter("INBOX", [uids[1]], "+\\Deleted");
    let before = at.status("INBOX");
    let beyond = UidSet::range(before.uid_next..=before.uid_next);
    let account = at.account();
    assert!(account.expunge(&name("INBOX"), &set([uids[0]])).unwrap().is_empty());
    assert!(account.expunge(&name("INBOX"), &UidSet::default()).unwrap().is_empty());
    assert!(account.remove(&name("INBOX"), &beyond).unwrap().is_empty());
    assert_eq!(at.status("INBOX"), before);
}

pub(super) fn what_is_gone_cannot_be_opened(at: &Fixture) {
    let uids = at.fill::<2>("INBOX");
    at.alter("INBOX", [uids[0]], "+\\Deleted");
    at.expunge("INBOX");
    at.remove("INBOX", [uids[1]]);
    for uid in uids {
        let opened = at.account().open(&name("INBOX"), uid).map(drop);
        assert!(matches!(opened, Err(StoreError::NoMessage { .. })), "{opened:?}");
    }
    assert_eq!(at.account().usage().unwrap().messages, 0);
}

pub(super) fn a_body_that_is_open_stays(at: &Fixture) {
    let [uid] = at.fill("INBOX");
    let account = at.account();
    let mut body = account.open(&name("INBOX"), uid).unwrap();
    at.remove("INBOX", [uid]);
    let mut text = String::new();
    body.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("body\n"), "{text}");
}
