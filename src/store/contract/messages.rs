//! Messages: RFC 9051 §2.3, §6.3.12, RFC 8474, RFC 8514.

use std::io::{Read, Seek, SeekFrom};

use super::fixture::{Fixture, flags, missing, name, now};
use crate::index::Counts;
use crate::mail::{EmailId, Uid, UidSet};
use crate::message::{Message, write_crlf};
use crate::store::{Incoming, StoreError};

pub(super) fn uids_ascend(at: &Fixture) {
    at.create("A");
    let uids = at.fill::<5>("INBOX");
    assert!(uids.is_sorted_by(|one, next| one < next));
    assert_eq!(at.uids("INBOX"), uids);
    for uid in at.fill::<3>("A") {
        assert_eq!(
            at.status("A").validity,
            at.account().status(&name("A")).unwrap().validity
        );
        assert!(uid < at.status("A").uid_next);
    }
    let message = Message::from_bytes("A: b\r\n\r\n");
    let appended = at.account().append(&name("A"), &message, &flags(""), None);
    let status = at.status("A");
    assert_eq!(appended.unwrap(), (status.validity, *at.uids("A").last().unwrap()));
}

pub(super) fn many_appended_at_once_keep_their_order(at: &Fixture) {
    let alone = at.fill::<1>("INBOX")[0];
    // Few and many are written in different ways.
    for count in [0, 3, 50] {
        at.account().remove(&name("INBOX"), &UidSet::all()).unwrap();
        let incoming = |number: i64| Incoming {
            message: Message::from_bytes(format!("Subject: {number}\r\n\r\nx\r\n")),
            flags: flags(if number % 2 == 0 { "\\Seen todo" } else { "" }),
            internal_date: Some(1_500_000_000 + number),
        };
        let all: Vec<Incoming> = (0..count).map(incoming).collect();
        let uids = at.account().append_all(&name("INBOX"), &all).unwrap();
        assert_eq!(at.uids("INBOX"), uids);
        assert!(uids.iter().all(|uid| *uid > alone) && uids.is_sorted_by(|one, next| one < next));
        for ((number, uid), sent) in (0..count).zip(&uids).zip(&all) {
            let entry = at.entry("INBOX", *uid);
            assert_eq!(
                (entry.internal_date, &entry.flags),
                (1_500_000_000 + number, &sent.flags)
            );
            assert_eq!(at.bytes("INBOX", *uid), format!("Subject: {number}\n\nx\n").as_bytes());
        }
    }
    let one = [Incoming {
        message: Message::from_bytes("A: b\r\n"),
        flags: flags(""),
        internal_date: None,
    }];
    missing(at.account().append_all(&name("No"), &one), "No");
}

pub(super) fn a_uid_is_never_given_again(at: &Fixture) {
    let mut highest = at.fill::<3>("INBOX")[2];
    for _ in 0..3 {
        let next = at.status("INBOX").uid_next;
        at.remove("INBOX", [highest]);
        assert!(at.status("INBOX").uid_next >= next);
        let [uid] = at.fill("INBOX");
        assert!(uid > highest && uid >= next);
        highest = uid;
    }
    at.account().remove(&name("INBOX"), &UidSet::all()).unwrap();
    assert!(at.fill::<1>("INBOX")[0] > highest);
}

pub(super) fn crlf_is_kept_as_lf(at: &Fixture) {
    let text = "Subject: x\r\n\r\none\r\n\r\ntwo \r three\r\n";
    let uid = at.append("INBOX", text, "");
    assert_eq!(at.bytes("INBOX", uid), text.replace("\r\n", "\n").as_bytes());
    assert_eq!(at.entry("INBOX", uid).size, text.len() as u64);
}

pub(super) fn other_line_ends_come_back_as_they_are(at: &Fixture) {
    for text in [
        "A: b\n\nc\n",
        "A: b\r\n\r\nc",
        "A: b\r\n\nc\r\n",
        "A: b\n\nc\r\r\n",
        "A: b\r\r\n\r\n",
        "A: b\r\n\r\nc\r",
        "A: b\n\n\0\u{ff}\n",
        "\n",
        "no header",
        "",
    ] {
        let uid = at.append("INBOX", text, "");
        let stored = at.bytes("INBOX", uid);
        assert_eq!(String::from_utf8_lossy(&stored), text, "{text:?}");
        let mut sent = Vec::new();
        write_crlf(&stored[..], &mut sent).unwrap();
        assert_eq!(at.entry("INBOX", uid).size, sent.len() as u64, "{text:?}");
    }
}

pub(super) fn a_large_message_comes_back(at: &Fixture) {
    let lines: String = (0..30_000)
        .map(|line| format!("line {line} of a large message\r\n"))
        .collect();
    let text = format!("Subject: large\r\n\r\n{lines}");
    let uid = at.append("INBOX", &text, "");
    let mut sent = Vec::new();
    write_crlf(&at.bytes("INBOX", uid)[..], &mut sent).unwrap();
    assert!(sent == text.as_bytes());
    assert_eq!(at.entry("INBOX", uid).size, text.len() as u64);
}

pub(super) fn flags_and_date_are_kept(at: &Fixture) {
    let message = Message::from_bytes("A: b\r\n\r\n");
    let words = "\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk $label1";
    for (words, date) in [
        (words, 1_000_000_000),
        ("", 0),
        ("$MDNSent", 1),
        ("\\Seen", 4_000_000_000),
    ] {
        let appended = at.account().append(&name("INBOX"), &message, &flags(words), Some(date));
        let entry = at.entry("INBOX", appended.unwrap().1);
        assert_eq!((entry.flags, entry.internal_date), (flags(words), date));
    }
}

pub(super) fn without_a_date_it_is_now(at: &Fixture) {
    let before = now();
    let [uid] = at.fill("INBOX");
    let message = Message::from_bytes("Date: Thu, 1 Jan 1998 00:00:00 +0000\r\n\r\n");
    let dated = at.account().append(&name("INBOX"), &message, &flags(""), Some(5));
    let (entry, dated) = (at.entry("INBOX", uid), at.entry("INBOX", dated.unwrap().1));
    assert_eq!(dated.internal_date, 5);
    for time in [entry.internal_date, entry.save_date, dated.save_date] {
        assert!((before..=now()).contains(&time), "{time}");
    }
}

pub(super) fn the_email_id_is_that_of_the_bytes(at: &Fixture) {
    at.create("A");
    at.deliver(1, &[("INBOX", "\\Seen"), ("A", "")]).unwrap();
    at.append("INBOX", "A: b\r\n\r\nc\r\n", "");
    at.append("A", "A: b\n\nc\n", "todo");
    at.append("A", "A: b\r\n\nc\n", "");
    let ids = |mailbox| {
        let of_bytes = |uid: &Uid| {
            let digest = ring::digest::digest(&ring::digest::SHA256, &at.bytes(mailbox, *uid));
            EmailId::of_digest(digest.as_ref().try_into().unwrap())
        };
        let ids: Vec<EmailId> = at.entries(mailbox).iter().map(|entry| entry.email_id).collect();
        assert_eq!(ids, at.uids(mailbox).iter().map(of_bytes).collect::<Vec<_>>());
        ids
    };
    let (inbox, a) = (ids("INBOX"), ids("A"));
    assert_eq!(inbox[..], a[..2]);
    assert!(inbox[0] != inbox[1] && a[2] != a[1]);
}

pub(super) fn a_reply_belongs_to_the_thread(at: &Fixture) {
    at.create("A");
    let thread = |mailbox: &str, text: &str| {
        let uid = at.append(mailbox, text, "");
        at.entry(mailbox, uid).thread_id
    };
    let first = thread("INBOX", "Message-ID: <1@example.org>\r\n\r\n");
    for reply in [
        "Message-ID: <2@example.org>\r\nIn-Reply-To: <1@example.org>\r\n\r\n",
        "Message-ID: <3@example.org>\r\nReferences: <1@example.org> <2@example.org>\r\n\r\n",
        "References: <1@example.org>\r\n\r\n",
    ] {
        assert_eq!((thread("INBOX", reply), thread("A", reply)), (first, first), "{reply}");
    }
    // The answer can come before what it answers.
    let reply = thread(
        "A",
        "Message-ID: <5@example.org>\r\nReferences: <4@example.org>\r\n\r\n",
    );
    assert_ne!(reply, first);
    assert_eq!(thread("INBOX", "Message-ID: <4@example.org>\r\n\r\n"), reply);
}

pub(super) fn strangers_have_threads_of_their_own(at: &Fixture) {
    let texts = [
        "Message-ID: <1@example.org>\r\nSubject: x\r\n\r\n",
        "Message-ID: <2@example.org>\r\nSubject: x\r\n\r\n",
        "Subject: x\r\n\r\n",
        "Subject: y\r\n\r\n",
    ];
    let threads = texts.map(|text| {
        let uid = at.append("INBOX", text, "");
        at.entry("INBOX", uid).thread_id
    });
    let mut different = threads.to_vec();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), threads.len(), "{threads:?}");
}

pub(super) fn details_say_what_entries_say(at: &Fixture) {
    let [first, second, third] = at.fill("INBOX");
    at.alter("INBOX", [second], "+\\Seen");
    at.remove("INBOX", [first]);
    for uid in [second, third] {
        assert_eq!(at.detail("INBOX", uid).entry, at.entry("INBOX", uid));
    }
    assert_eq!(at.detail("INBOX", third).card.summary().subject, "INBOX 2");
    let details = at.account().details(&name("INBOX"), &UidSet::all()).unwrap();
    let entries: Vec<_> = details.into_iter().map(|detail| detail.entry).collect();
    assert_eq!(entries, at.entries("INBOX"));
}

pub(super) fn a_set_names_messages(at: &Fixture) {
    let uids = at.fill::<7>("INBOX");
    at.remove("INBOX", [uids[1], uids[4]]);
    let u = |at: usize| uids[at].value();
    let highest = u(6);
    for (set, expected) in [
        (format!("{}", u(2)), &[2][..]),
        (format!("{}:{}", u(3), u(0)), &[0, 2, 3]),
        ("*".to_owned(), &[6]),
        (format!("{}:*", u(4)), &[5, 6]),
        (format!("{}:*", highest + 10), &[6]),
        (format!("{},{},{}", u(5), u(0), u(4)), &[0, 5]),
        (format!("{}", highest + 1), &[]),
        (format!("1:{}", u32::MAX), &[0, 2, 3, 5, 6]),
    ] {
        let parsed = UidSet::parse(&set, Some(uids[6])).unwrap();
        let entries = at.account().entries(&name("INBOX"), &parsed).unwrap();
        let named: Vec<Uid> = entries.iter().map(|entry| entry.uid).collect();
        assert_eq!(named, expected.iter().map(|at| uids[*at]).collect::<Vec<_>>(), "{set}");
        let flags = at.account().flags(&name("INBOX"), &parsed).unwrap();
        let expected: Vec<_> = entries.into_iter().map(|it| (it.uid, it.modseq, it.flags)).collect();
        assert_eq!(flags, expected, "{set}");
        let details = at.account().details(&name("INBOX"), &parsed).unwrap();
        assert!(details.iter().map(|detail| detail.entry.uid).eq(named), "{set}");
    }
    assert!(
        at.account()
            .entries(&name("INBOX"), &UidSet::default())
            .unwrap()
            .is_empty()
    );
}

pub(super) fn a_missing_message_cannot_be_opened(at: &Fixture) {
    let [uid] = at.fill("INBOX");
    let next = at.status("INBOX").uid_next;
    match at.account().open(&name("INBOX"), next).map(drop) {
        Err(StoreError::NoMessage { mailbox, uid, .. }) => assert_eq!((mailbox, uid), (name("INBOX"), next)),
        other => panic!("{other:?}"),
    }
    assert!(!at.bytes("INBOX", uid).is_empty());
}

pub(super) fn a_body_is_read_from_anywhere(at: &Fixture) {
    let uid = at.append("INBOX", "Subject: x\r\n\r\n0123456789", "");
    let account = at.account();
    let mut body = account.open(&name("INBOX"), uid).unwrap();
    let mut piece = [0; 4];
    for (offset, expected) in [(-4, b"6789"), (-10, b"0123"), (-7, b"3456")] {
        body.seek(SeekFrom::End(offset)).unwrap();
        body.read_exact(&mut piece).unwrap();
        assert_eq!(&piece, expected);
    }
    body.seek(SeekFrom::Start(9)).unwrap();
    body.read_exact(&mut piece).unwrap();
    assert_eq!(&piece, b"x\r\n\r");
}

pub(super) fn an_append_to_a_missing_mailbox_leaves_nothing(at: &Fixture) {
    at.fill::<1>("INBOX");
    let before = at.account().usage().unwrap();
    let message = Message::from_bytes("A: b\r\n\r\n");
    let refused = at.account().append(&name("Gone"), &message, &flags("\\Seen"), None);
    missing(refused, "Gone");
    assert_eq!((at.account().usage().unwrap(), at.names().len()), (before, 1));
}

pub(super) fn counts_follow(at: &Fixture) {
    at.create("A");
    let counts = |mailbox: &str| {
        let Counts {
            messages,
            unseen,
            deleted,
            size,
        } = at.status(mailbox).counts;
        (messages, unseen, deleted, size)
    };
    let first = at.append("INBOX", "A: b\r\n\r\n", "");
    assert_eq!(counts("INBOX"), (1, 1, 0, 8));
    at.append("INBOX", "A: b\n\n12345", "\\Seen \\Deleted");
    assert_eq!(counts("INBOX"), (2, 1, 1, 21));
    at.alter("INBOX", [first], "=\\Seen");
    assert_eq!(counts("INBOX"), (2, 0, 1, 21));
    at.copy("INBOX", [first], "A");
    assert_eq!((counts("INBOX"), counts("A")), ((2, 0, 1, 21), (1, 0, 0, 8)));
    at.move_to("INBOX", [first], "A");
    assert_eq!((counts("INBOX"), counts("A")), ((1, 0, 1, 13), (2, 0, 0, 16)));
    at.expunge("INBOX");
    assert_eq!(counts("INBOX"), (0, 0, 0, 0));
    at.deliver(1, &[("INBOX", "\\Deleted")]).unwrap();
    let size = at.entries("INBOX")[0].size as i64;
    assert_eq!(counts("INBOX"), (1, 1, 1, size));
    let usage = at.account().usage().unwrap();
    assert_eq!(
        (usage.messages, usage.unseen, usage.deleted, usage.size),
        (3, 1, 1, size + 16)
    );
}
