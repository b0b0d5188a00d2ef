//! Flags and keywords: RFC 9051 §2.3.2, §6.4.6, RFC 7162 §3.1.

use super::fixture::{Fixture, alteration, flags, name, set};
use crate::mail::{Uid, UidSet};

pub(super) fn are_set_added_and_taken_away(at: &Fixture) {
    let [uid, other] = at.fill("INBOX");
    for (change, expected) in [
        ("+\\Seen", "\\Seen"),
        ("+\\Flagged todo", "\\Flagged \\Seen todo"),
        ("+\\Seen", "\\Flagged \\Seen todo"),
        ("-\\Flagged \\Draft other", "\\Seen todo"),
        ("=\\Answered $Work done", "\\Answered $Work done"),
        ("-$Work", "\\Answered done"),
        ("=", ""),
        (
            "=\\Answered \\Flagged \\Deleted \\Seen \\Draft",
            "\\Answered \\Flagged \\Deleted \\Seen \\Draft",
        ),
        ("-\\Deleted", "\\Answered \\Flagged \\Seen \\Draft"),
    ] {
        let altered = at.alter("INBOX", [uid], change);
        assert_eq!(altered.entries, [at.entry("INBOX", uid)], "{change}");
        assert_eq!(
            (at.flags("INBOX", uid).as_str(), altered.modified.is_empty()),
            (expected, true),
            "{change}"
        );
    }
    assert_eq!(at.flags("INBOX", other), "");
}

pub(super) fn what_was_so_before_keeps_its_modseq(at: &Fixture) {
    let uids = at.fill::<3>("INBOX");
    at.alter("INBOX", [uids[0], uids[1]], "+\\Seen todo");
    let (before, highest) = (at.entries("INBOX"), at.highest("INBOX"));
    for change in ["+\\Seen", "+todo", "=\\Seen todo", "-\\Draft", "-other", "+"] {
        let altered = at.alter("INBOX", [uids[0], uids[1]], change);
        assert_eq!(altered.entries, before[..2], "{change}");
        assert_eq!(
            (at.entries("INBOX"), at.highest("INBOX")),
            (before.clone(), highest),
            "{change}"
        );
    }
    // Of several only those that change.
    at.alter("INBOX", uids, "+\\Seen");
    let after = at.entries("INBOX");
    assert_eq!(after[..2], before[..2]);
    assert!(after[2].modseq > highest);
}

pub(super) fn what_changes_gets_a_modseq_above_all_before(at: &Fixture) {
    let uids = at.fill::<3>("INBOX");
    for change in ["+\\Seen", "+todo", "=", "+\\Deleted"] {
        let highest = at.highest("INBOX");
        let altered = at.alter("INBOX", [uids[2], uids[0]], change);
        let named: Vec<Uid> = altered.entries.iter().map(|entry| entry.uid).collect();
        assert_eq!(named, [uids[0], uids[2]], "by UID");
        assert!(altered.entries.iter().all(|entry| entry.modseq > highest), "{change}");
        assert!(at.entry("INBOX", uids[1]).modseq <= highest);
    }
    let highest = at.highest("INBOX");
    let [uid] = at.fill("INBOX");
    assert!(at.entry("INBOX", uid).modseq > highest);
}

pub(super) fn what_changed_since_is_left_alone(at: &Fixture) {
    let uids = at.fill::<3>("INBOX");
    let since = at.highest("INBOX");
    at.alter("INBOX", [uids[1]], "+\\Flagged");
    let altered = at.alter_since("INBOX", uids, "+\\Seen", Some(since));
    assert_eq!(altered.modified, set([uids[1]]));
    let named: Vec<Uid> = altered.entries.iter().map(|entry| entry.uid).collect();
    assert_eq!(
        named,
        [uids[0], uids[2]],
        "a message is altered or left alone, not both"
    );
    assert_eq!(
        uids.map(|uid| at.flags("INBOX", uid)),
        ["\\Seen", "\\Flagged", "\\Seen"]
    );
    // Also where nothing would have changed.
    let altered = at.alter_since("INBOX", [uids[1]], "+\\Flagged", Some(since));
    assert_eq!((altered.entries.len(), altered.modified), (0, set([uids[1]])));
    // The MODSEQ itself is not above itself.
    let modseq = at.entry("INBOX", uids[1]).modseq;
    let altered = at.alter_since("INBOX", [uids[1]], "+\\Seen", Some(modseq));
    assert_eq!((altered.entries.len(), altered.modified.is_empty()), (1, true));
    assert_eq!(at.flags("INBOX", uids[1]), "\\Flagged \\Seen");
}

pub(super) fn named_but_missing_they_are_passed_over(at: &Fixture) {
    let uids = at.fill::<3>("INBOX");
    at.remove("INBOX", [uids[1]]);
    let before = at.highest("INBOX");
    let beyond = at.status("INBOX").uid_next;
    let altered = at.alter_since("INBOX", [uids[1], beyond], "+\\Seen", None);
    assert!(altered.entries.is_empty() && altered.modified.is_empty());
    assert_eq!(at.highest("INBOX"), before);
    let altered = at.alter("INBOX", [uids[0], uids[1], beyond], "+\\Seen");
    assert_eq!(altered.entries, [at.entry("INBOX", uids[0])]);
}

pub(super) fn keywords_ignore_case(at: &Fixture) {
    let uid = at.append("INBOX", "A: b\r\n\r\n", "$Work");
    let before = at.entry("INBOX", uid);
    for change in ["+$work", "+$WORK", "=$WORK", "-$other"] {
        at.alter("INBOX", [uid], change);
        assert_eq!(at.entry("INBOX", uid), before, "{change}");
    }
    at.alter("INBOX", [uid], "+todo");
    at.alter("INBOX", [uid], "-$WORK");
    assert_eq!(at.flags("INBOX", uid), "todo");
    // Said in two ways at once it is one all the same.
    at.alter("INBOX", [uid], "+done DONE");
    assert_eq!(at.entry("INBOX", uid).flags.keywords().count(), 2);
    let uid = at.append("INBOX", "A: b\r\n\r\n", "$junk $Junk");
    assert_eq!(at.entry("INBOX", uid).flags.keywords().count(), 1);
    at.alter("INBOX", [uid], "-$JUNK");
    assert_eq!(at.flags("INBOX", uid), "");
}

pub(super) fn many_keywords_are_kept(at: &Fixture) {
    let many: Vec<String> = (0..60).map(|keyword| format!("keyword{keyword}")).collect();
    let many = many.join(" ");
    let uids = at.fill::<2>("INBOX");
    at.alter("INBOX", [uids[0]], &format!("+{many}"));
    at.alter("INBOX", [uids[1]], "+keyword59 \\Seen");
    assert_eq!(at.entry("INBOX", uids[0]).flags, flags(&many));
    assert_eq!(at.flags("INBOX", uids[1]), "\\Seen keyword59");
    at.create("A");
    at.copy("INBOX", [uids[0]], "A");
    assert_eq!(at.entries("A")[0].flags, flags(&many));
}

pub(super) fn ten_thousand_at_once(at: &Fixture) {
    let account = at.account();
    at.fill::<10>("INBOX");
    for _ in 0..10 {
        account.copy(&name("INBOX"), &UidSet::all(), &name("INBOX")).unwrap();
    }
    let before = account.status(&name("INBOX")).unwrap();
    let altered = account.alter(&name("INBOX"), &UidSet::all(), &alteration("+\\Seen"), None);
    let entries = altered.unwrap().entries;
    assert_eq!(entries.len(), 10_240);
    assert!(entries.iter().all(|entry| entry.modseq > before.highest_modseq));
    let counts = account.status(&name("INBOX")).unwrap().counts;
    assert_eq!((counts.messages, counts.unseen), (10_240, 0));
    let changes = account.changes(&name("INBOX"), before.highest_modseq).unwrap();
    assert_eq!(changes.changed, entries);
}

pub(super) fn unseen_and_deleted_are_counted(at: &Fixture) {
    let uids = at.fill::<3>("INBOX");
    for (change, unseen, deleted) in [
        ("+\\Seen \\Deleted", 1, 2),
        ("+\\Seen", 1, 2),
        ("-\\Deleted", 1, 0),
        ("=", 3, 0),
        ("=\\Deleted", 3, 2),
        ("=\\Seen", 1, 0),
    ] {
        at.alter("INBOX", [uids[0], uids[2]], change);
        let counts = at.status("INBOX").counts;
        assert_eq!(
            (counts.messages, counts.unseen, counts.deleted),
            (3, unseen, deleted),
            "{change}"
        );
    }
}
