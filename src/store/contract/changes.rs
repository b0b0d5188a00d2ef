//! What happened since, and waiting for it: RFC 7162 §3.1.4, §3.2.6, RFC 9051 §6.3.13.

use std::time::Duration;

use super::fixture::{Fixture, name, set};
use crate::mail::{ModSeq, UidSet};

/// Longer than any change takes to be seen.
const LONG: Duration = Duration::from_secs(30);
/// Long enough to see a change that is not there.
const SHORT: Duration = Duration::from_millis(20);

pub(super) fn since_now_there_are_none(at: &Fixture) {
    let nothing = (vec![], UidSet::default());
    assert_eq!(at.changes("INBOX", at.highest("INBOX")), nothing);
    let uids = at.fill::<2>("INBOX");
    at.alter("INBOX", [uids[0]], "+\\Seen");
    at.remove("INBOX", [uids[1]]);
    assert_eq!(at.changes("INBOX", at.highest("INBOX")), nothing);
}

pub(super) fn new_and_altered_messages_are_told(at: &Fixture) {
    let uids = at.fill::<3>("INBOX");
    let since = at.highest("INBOX");
    at.alter("INBOX", [uids[2], uids[1]], "+\\Seen");
    at.alter("INBOX", [uids[1]], "-\\Seen");
    let [new] = at.fill("INBOX");
    let changes = at.account().changes(&name("INBOX"), since).unwrap();
    assert_eq!(
        changes.changed,
        [uids[1], uids[2], new].map(|uid| at.entry("INBOX", uid))
    );
    assert!(changes.vanished.is_empty());
    assert_eq!(changes.highest_modseq, at.highest("INBOX"));
}

pub(super) fn gone_messages_are_told(at: &Fixture) {
    let uids = at.fill::<4>("INBOX");
    at.remove("INBOX", [uids[0]]);
    let since = at.highest("INBOX");
    at.alter("INBOX", [uids[1]], "+\\Deleted");
    at.expunge("INBOX");
    let between = at.highest("INBOX");
    at.remove("INBOX", [uids[3]]);
    assert_eq!(at.changes("INBOX", since), (vec![], set([uids[1], uids[3]])));
    assert_eq!(at.changes("INBOX", between), (vec![], set([uids[3]])));
}

pub(super) fn both_ends_of_a_move_tell(at: &Fixture) {
    at.create("A");
    let uids = at.fill::<2>("INBOX");
    let (here, there) = (at.highest("A"), at.highest("INBOX"));
    let moved = at.move_to("INBOX", [uids[0]], "A");
    assert_eq!(at.changes("INBOX", there), (vec![], set([uids[0]])));
    assert_eq!(at.changes("A", here), (vec![moved.uids[0].1], UidSet::default()));
}

pub(super) fn since_the_beginning_all_are_told(at: &Fixture) {
    let first = at.highest("INBOX");
    let uids = at.fill::<3>("INBOX");
    at.remove("INBOX", [uids[1]]);
    let expected = (vec![uids[0], uids[2]], set([uids[1]]));
    assert_eq!(at.changes("INBOX", first), expected);
    assert_eq!(at.changes("INBOX", ModSeq::new(1).unwrap()), expected);
}

pub(super) fn what_came_and_went_is_only_gone(at: &Fixture) {
    let [kept] = at.fill("INBOX");
    let since = at.highest("INBOX");
    let [uid] = at.fill("INBOX");
    at.alter("INBOX", [uid, kept], "+\\Seen");
    at.remove("INBOX", [uid]);
    let (changed, vanished) = at.changes("INBOX", since);
    assert_eq!(changed, [kept]);
    // Whether a UID that no client saw is told is left to the store.
    assert!(!vanished.contains(kept));
}

pub(super) fn a_watch_wakes_at_each(at: &Fixture) {
    at.create("A");
    let [first, second, third] = at.fill("INBOX");
    let [other] = at.fill("A");
    let steps: [(&str, &dyn Fn()); 8] = [
        ("append", &|| {
            at.append("INBOX", "A: b\r\n\r\n", "");
        }),
        ("flags", &|| drop(at.alter("INBOX", [first], "+\\Seen"))),
        ("delivery", &|| drop(at.deliver(1, &[("INBOX", "")]).unwrap())),
        ("copy", &|| drop(at.copy("A", [other], "INBOX"))),
        ("move into", &|| drop(at.move_to("A", [other], "INBOX"))),
        ("move away", &|| drop(at.move_to("INBOX", [first], "A"))),
        ("removal", &|| drop(at.remove("INBOX", [second]))),
        ("expunge", &|| {
            at.alter("INBOX", [third], "+\\Deleted");
            at.expunge("INBOX");
        }),
    ];
    let account = at.account();
    let mut watch = account.watch(&name("INBOX")).unwrap();
    for (step, act) in steps {
        let before = at.highest("INBOX");
        act();
        assert!(watch.wait(LONG).unwrap(), "{step}");
        assert!(at.highest("INBOX") > before, "{step}");
        // One change may be told more than once, but not for ever.
        let told = (0..100).take_while(|_| watch.wait(SHORT).unwrap()).count();
        assert!(told < 100, "{step}");
    }
}

pub(super) fn a_watch_wakes_at_nothing_else(at: &Fixture) {
    let [uid] = at.fill("INBOX");
    let account = at.account();
    let mut watch = account.watch(&name("INBOX")).unwrap();
    // What was before the watch may still be on its way.
    while watch.wait(SHORT).unwrap() {}
    at.entries("INBOX");
    at.bytes("INBOX", uid);
    at.alter("INBOX", [uid], "-\\Seen");
    assert!(!watch.wait(SHORT).unwrap());
    assert!(!watch.wait(Duration::ZERO).unwrap());
}

pub(super) fn a_watch_wakes_who_waits(at: &Fixture) {
    let account = at.account();
    let mut watch = account.watch(&name("INBOX")).unwrap();
    while watch.wait(SHORT).unwrap() {}
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || watch.wait(LONG).unwrap());
        at.fill::<1>("INBOX");
        assert!(waiting.join().unwrap());
    });
}

pub(super) fn a_watch_ends_with_its_mailbox(at: &Fixture) {
    at.create("A");
    let account = at.account();
    let mut watch = account.watch(&name("A")).unwrap();
    account.delete_mailbox(&name("A")).unwrap();
    // An error, or the news that something happened: whoever looks then finds it gone.
    assert!(watch.wait(LONG).unwrap_or(true));
}
