//! Deliveries, and what is remembered about them.

use std::sync::Barrier;
use std::thread;
use std::time::SystemTime;

use super::fixture::{Fixture, letter, missing, name, placed, publication};
use crate::index::{Delivery, Remembered, Step};
use crate::mail::{Client, DeliveryId, Protocol, Quota, ReversePath};
use crate::message::{Letter, Message, Received, Trace};
use crate::store::{Publication, Published, StoreError};

pub(super) fn a_copy_lies_in_each_mailbox(at: &Fixture) {
    at.create("A");
    at.create("B");
    at.fill::<2>("A");
    let highest = at.highest("A");
    let made = placed(
        at.deliver(1, &[("B", "\\Seen $Label1"), ("INBOX", ""), ("A", "\\Flagged")])
            .unwrap(),
    );
    let mut mailboxes: Vec<&str> = made.iter().map(|(mailbox, _)| mailbox.as_str()).collect();
    mailboxes.sort_unstable();
    assert_eq!(mailboxes, ["A", "B", "INBOX"]);
    let mut written = Vec::new();
    for (mailbox, uid) in made {
        assert_eq!(at.uids(&mailbox).last(), Some(&uid));
        written.push((at.flags(&mailbox, uid), at.bytes(&mailbox, uid)));
    }
    written.sort();
    let flags: Vec<&str> = written.iter().map(|(flags, _)| flags.as_str()).collect();
    assert_eq!(flags, ["", "\\Flagged", "\\Seen $Label1"]);
    assert!(written.iter().all(|(_, bytes)| *bytes == written[0].1));
    assert_eq!(at.changes("A", highest).0.len(), 1);
}

pub(super) fn the_letter_comes_back(at: &Fixture) {
    at.deliver(7, &[("INBOX", "")]).unwrap();
    let mut bytes = Vec::new();
    letter(7).write_to(&mut bytes).unwrap();
    let entry = &at.entries("INBOX")[0];
    assert_eq!(
        (at.bytes("INBOX", entry.uid), entry.size),
        (bytes, letter(7).crlf_size())
    );
    assert_eq!(at.detail("INBOX", entry.uid).card.summary().subject, "delivery 7");
    assert!(entry.save_date >= entry.internal_date);
}

pub(super) fn a_message_knows_its_delivery(at: &Fixture) {
    at.create("A");
    let id = DeliveryId::new();
    let trace = Trace {
        return_path: ReversePath::Address("bob@example.org".parse().unwrap()),
        received: Some(Received {
            client: Client::new("client.example.org", None, Protocol::Lmtp),
            hostname: "mx.example.org".to_owned(),
            id: id.clone(),
            recipient: Some("ann@example.org".parse().unwrap()),
            time: SystemTime::now(),
        }),
        original_to: None,
        delivered_to: None,
        extra: Vec::new(),
    };
    let letter = Letter::new(Message::from_bytes("Subject: x\r\n\r\n"), &trace);
    let account = at.account();
    let staged = account.stage(&letter, 1).unwrap();
    staged.publish(publication(id.clone(), &[("INBOX", "")])).unwrap();
    let copied = at.copy("INBOX", [at.uids("INBOX")[0]], "A");
    let expected = Delivery {
        id: id.to_string(),
        reverse_path: "bob@example.org".to_owned(),
        recipient: "ann@example.org".to_owned(),
    };
    assert_eq!(at.detail("INBOX", copied.uids[0].0).delivery, Some(expected.clone()));
    assert_eq!(at.detail("A", copied.uids[0].1).delivery, Some(expected));
    let [appended] = at.fill("A");
    assert_eq!(at.detail("A", appended).delivery, None);
}

pub(super) fn unpublished_it_is_nothing(at: &Fixture) {
    let before = at.status("INBOX");
    let account = at.account();
    let staged = account.stage(&letter(1), 1).unwrap();
    assert_eq!(at.status("INBOX"), before);
    drop(staged);
    account.reconcile().unwrap();
    assert_eq!((at.status("INBOX"), at.uids("INBOX").len()), (before, 0));
    assert_eq!(account.step(1, &Step::Done).unwrap(), None);
    placed(at.deliver(1, &[("INBOX", "")]).unwrap());
}

pub(super) fn done_before_it_is_not_done_again(at: &Fixture) {
    at.create("A");
    let account = at.account();
    let (first, second) = (DeliveryId::new(), DeliveryId::new());
    let publish = |id: &DeliveryId, mailbox| {
        let staged = account.stage(&letter(7), 7).unwrap();
        staged.publish(publication(id.clone(), &[(mailbox, "")])).unwrap()
    };
    placed(publish(&first, "INBOX"));
    let validity = at.status("INBOX").validity;
    for step in [Step::Done, Step::Placed(validity)] {
        assert_eq!(account.step(7, &step).unwrap(), Some(first.clone()));
    }
    assert_eq!(publish(&second, "INBOX"), Published::Before(first.clone()));
    // Also where a filter files it elsewhere now.
    assert_eq!(publish(&second, "A"), Published::Before(first));
    assert_eq!((at.uids("INBOX").len(), at.uids("A").len()), (1, 0));
    placed(at.deliver(8, &[("INBOX", "")]).unwrap());
}

pub(super) fn gone_it_does_not_come_back(at: &Fixture) {
    let made = placed(at.deliver(7, &[("INBOX", "")]).unwrap());
    at.remove("INBOX", [made[0].1]);
    assert!(matches!(at.deliver(7, &[("INBOX", "")]), Ok(Published::Before(_))));
    assert!(at.uids("INBOX").is_empty());
}

pub(super) fn with_one_mailbox_missing_none_gets_it(at: &Fixture) {
    let before = at.status("INBOX").counts;
    missing(at.deliver(7, &[("INBOX", ""), ("Gone", "")]), "Gone");
    assert_eq!(at.status("INBOX").counts, before);
    assert_eq!(at.names(), ["INBOX"]);
    at.create("Gone");
    assert_eq!(placed(at.deliver(7, &[("INBOX", ""), ("Gone", "")]).unwrap()).len(), 2);
}

pub(super) fn of_a_plan_half_done_the_rest_is_done(at: &Fixture) {
    at.create("A");
    let account = at.account();
    let placed_in = Step::Placed(at.status("A").validity);
    account.put_step(7, &placed_in, &DeliveryId::new()).unwrap();
    let rest = placed(at.deliver(7, &[("A", ""), ("INBOX", "")]).unwrap());
    assert_eq!((rest.len(), rest[0].0.as_str()), (1, "INBOX"));
    assert_eq!((at.uids("A").len(), at.uids("INBOX").len()), (0, 1));
    assert!(matches!(
        at.deliver(7, &[("A", ""), ("INBOX", "")]),
        Ok(Published::Before(_))
    ));
}

pub(super) fn a_plan_whose_steps_are_done_is_done(at: &Fixture) {
    let account = at.account();
    let first = DeliveryId::new();
    let placed_in = Step::Placed(at.status("INBOX").validity);
    account.put_step(7, &placed_in, &first).unwrap();
    assert_eq!(account.step(7, &Step::Done).unwrap(), None);
    assert_eq!(
        at.deliver(7, &[("INBOX", "")]).unwrap(),
        Published::Before(first.clone())
    );
    assert_eq!(account.step(7, &Step::Done).unwrap(), Some(first));
    assert!(at.uids("INBOX").is_empty());
}

pub(super) fn a_step_keeps_its_first_delivery(at: &Fixture) {
    let account = at.account();
    let (first, second) = (DeliveryId::new(), DeliveryId::new());
    let redirected = |address: &str| Step::Redirected(address.parse().unwrap());
    for key in [0, u64::MAX] {
        assert_eq!(account.step(key, &redirected("bob@example.org")).unwrap(), None);
        account.put_step(key, &redirected("Bob@example.org"), &first).unwrap();
        account.put_step(key, &redirected("bob@example.org"), &second).unwrap();
        assert_eq!(
            account.step(key, &redirected("BOB@example.org")).unwrap(),
            Some(first.clone())
        );
        assert_eq!(account.step(key, &redirected("ann@example.org")).unwrap(), None);
        assert_eq!(account.step(key, &Step::Done).unwrap(), None);
    }
    assert_eq!(account.step(1, &redirected("bob@example.org")).unwrap(), None);
}

pub(super) fn things_are_remembered_for_their_time(at: &Fixture) {
    let account = at.account();
    let reply = |handle: &str, address: &str| Remembered::Reply {
        handle: handle.to_owned(),
        address: address.parse().unwrap(),
    };
    assert!(account.remember(&reply("h", "Bob@example.org"), 1000).unwrap());
    assert!(!account.remember(&reply("h", "bob@example.org"), 1000).unwrap());
    assert!(account.remembers(&reply("h", "BOB@example.org")).unwrap());
    for other in [
        reply("g", "bob@example.org"),
        reply("h", "ann@example.org"),
        Remembered::Duplicate("x".to_owned()),
        Remembered::Notice("x".to_owned()),
    ] {
        assert!(!account.remembers(&other).unwrap(), "{other:?}");
        assert!(account.remember(&other, u64::MAX).unwrap(), "{other:?}");
        assert!(account.remembers(&other).unwrap(), "{other:?}");
    }
    let brief = Remembered::Duplicate("brief".to_owned());
    for _ in 0..2 {
        assert!(account.remember(&brief, 0).unwrap());
        assert!(!account.remembers(&brief).unwrap());
    }
}

pub(super) fn a_publication_remembers(at: &Fixture) {
    let account = at.account();
    let what = Remembered::Correspondents {
        from: "bob@example.org".to_owned(),
        to: "ann@example.org".parse().unwrap(),
    };
    let mut publication = publication(DeliveryId::new(), &[("INBOX", "")]);
    publication.remember.push((what.clone(), 1000));
    let staged = account.stage(&letter(1), 1).unwrap();
    assert!(!account.remembers(&what).unwrap());
    staged.publish(publication).unwrap();
    assert!(account.remembers(&what).unwrap());
}

pub(super) fn editions_lie_where_they_belong(at: &Fixture) {
    let made = placed(deliver_editions(at, EDITED).unwrap());
    let mut mailboxes: Vec<&str> = made.iter().map(|(mailbox, _)| mailbox.as_str()).collect();
    mailboxes.sort_unstable();
    assert_eq!(mailboxes, ["A", "B", "C", "INBOX"]);
    assert_editions(at);
    for (mailbox, uid) in made {
        assert_eq!(at.uids(&mailbox), [uid], "{mailbox}");
        let whole = edition(mailbox.as_str()).crlf_size();
        assert_eq!(at.entry(&mailbox, uid).size, whole, "{mailbox}");
    }
    assert_eq!(at.flags("B", at.uids("B")[0]), "\\Seen");
    // The key is that of the message, whatever the editions.
    assert!(matches!(deliver_editions(at, EDITED), Ok(Published::Before(_))));
    assert!(matches!(at.deliver(7, &[("INBOX", "")]), Ok(Published::Before(_))));
    assert_editions(at);
}

pub(super) fn of_editions_half_done_the_rest_is_done(at: &Fixture) {
    for name in ["A", "B", "C"] {
        at.create(name);
    }
    let account = at.account();
    for name in ["A", "INBOX"] {
        let placed_in = Step::Placed(at.status(name).validity);
        account.put_step(7, &placed_in, &DeliveryId::new()).unwrap();
    }
    let rest = placed(deliver_editions(at, EDITED).unwrap());
    let mut mailboxes: Vec<&str> = rest.iter().map(|(mailbox, _)| mailbox.as_str()).collect();
    mailboxes.sort_unstable();
    assert_eq!(mailboxes, ["B", "C"]);
    assert_eq!((at.uids("A").len(), at.uids("INBOX").len()), (0, 0));
    for name in ["B", "C"] {
        assert_eq!(at.bytes(name, at.uids(name)[0]), bytes_of(&edition(name)), "{name}");
    }
    assert!(matches!(deliver_editions(at, EDITED), Ok(Published::Before(_))));
}

pub(super) fn editions_count_by_their_own_size(at: &Fixture) {
    let sizes = ["INBOX", "A", "B", "C"].map(|name| edition(name).crlf_size());
    assert!(sizes[1] != sizes[0]);
    let all: u64 = sizes.iter().sum();
    let limited = |bytes| Quota {
        bytes: Some(bytes),
        ..Quota::default()
    };
    let deliver = |bytes| {
        let mut publication = publication(DeliveryId::new(), EDITED);
        publication.quota = Some(limited(bytes));
        publish_editions(at, publication)
    };
    assert!(matches!(deliver(all - 1), Err(StoreError::OverQuota { .. })));
    assert!(at.uids("A").is_empty());
    assert_eq!(placed(deliver(all).unwrap()).len(), 4);
}

pub(super) fn an_edition_that_nobody_gets_is_nothing(at: &Fixture) {
    let made = placed(deliver_editions(at, &[("INBOX", "")]).unwrap());
    assert_eq!(at.bytes("INBOX", made[0].1), bytes_of(&edition("INBOX")));
    assert!(at.uids("A").is_empty());
    let of_one = placed(publish_editions_of(at, 8, publication(DeliveryId::new(), &[("A", "")])).unwrap());
    assert_eq!(of_one.len(), 1);
    assert_eq!(at.bytes("A", of_one[0].1), bytes_of(&edition("A")));
    at.account().reconcile().unwrap();
    assert_eq!((at.uids("INBOX").len(), at.uids("A").len()), (1, 1));
}

const EDITED: &[(&str, &str)] = &[("A", ""), ("INBOX", ""), ("B", "\\Seen"), ("C", "")];

// A and B share an edition, C has one of its own, INBOX has the message.
fn edition(mailbox: &str) -> Letter {
    match mailbox {
        "A" | "B" => letter(700),
        "C" => letter(7000),
        _ => letter(7),
    }
}

fn bytes_of(letter: &Letter) -> Vec<u8> {
    let mut bytes = Vec::new();
    letter.write_to(&mut bytes).unwrap();
    bytes
}

fn deliver_editions(at: &Fixture, targets: &[(&str, &str)]) -> Result<Published, StoreError> {
    publish_editions(at, publication(DeliveryId::new(), targets))
}

fn publish_editions(at: &Fixture, publication: Publication) -> Result<Published, StoreError> {
    publish_editions_of(at, 7, publication)
}

fn publish_editions_of(at: &Fixture, key: u64, publication: Publication) -> Result<Published, StoreError> {
    for name in ["A", "B", "C"] {
        at.create(name);
    }
    let account = at.account();
    let mut staged = account.stage(&edition("INBOX"), key)?;
    staged.add_edition(&edition("A"), &[name("A"), name("B")])?;
    staged.add_edition(&edition("C"), &[name("C")])?;
    staged.publish(publication)
}

fn assert_editions(at: &Fixture) {
    for name in ["A", "B", "C", "INBOX"] {
        let uids = at.uids(name);
        assert_eq!(uids.len(), 1, "{name}");
        assert_eq!(at.bytes(name, uids[0]), bytes_of(&edition(name)), "{name}");
    }
}

pub(super) fn two_at_once_make_one_copy(at: &Fixture) {
    for key in 0..10 {
        let start = Barrier::new(2);
        let deliver = || {
            let account = at.account();
            let staged = account.stage(&letter(key), key).unwrap();
            start.wait();
            staged.publish(publication(DeliveryId::new(), &[("INBOX", "")]))
        };
        let both = thread::scope(|scope| [scope.spawn(deliver), scope.spawn(deliver)].map(|one| one.join().unwrap()));
        let made = both
            .iter()
            .filter(|one| matches!(one, Ok(Published::Placed(_))))
            .count();
        // The other one is told that it was done, or that it is being done and to try again.
        let other = |one: &&Result<_, _>| matches!(one, Ok(Published::Before(_)) | Err(StoreError::UnderWay { .. }));
        assert_eq!((made, both.iter().filter(other).count()), (1, 1), "{both:?}");
        assert_eq!(at.status("INBOX").counts.messages, key as i64 + 1);
    }
}

pub(super) fn of_two_who_remember_one_is_first(at: &Fixture) {
    for round in 0..10 {
        let what = Remembered::Duplicate(format!("round {round}"));
        let start = Barrier::new(2);
        let remember = || {
            let account = at.account();
            start.wait();
            account.remember(&what, 1000).unwrap()
        };
        let both = thread::scope(|scope| [scope.spawn(remember), scope.spawn(remember)].map(|one| one.join().unwrap()));
        assert_eq!(both.iter().filter(|first| **first).count(), 1);
    }
}

pub(super) fn many_at_once_have_numbers_of_their_own(at: &Fixture) {
    at.create("A");
    let deliver = |session: u64| {
        let keys = (0..10).map(|count| session * 100 + count);
        let targets = [("INBOX", ""), ("A", "\\Seen")];
        let made = keys.flat_map(|key| placed(at.deliver(key, &targets).unwrap()));
        made.collect::<Vec<_>>()
    };
    let made = thread::scope(|scope| {
        let sessions: Vec<_> = (0..4).map(|session| scope.spawn(move || deliver(session))).collect();
        let made = sessions.into_iter().flat_map(|session| session.join().unwrap());
        made.collect::<Vec<_>>()
    });
    for mailbox in ["INBOX", "A"] {
        let mut uids: Vec<_> = made
            .iter()
            .filter(|(to, _)| to == mailbox)
            .map(|(_, uid)| *uid)
            .collect();
        uids.sort();
        assert_eq!((at.uids(mailbox), uids.len()), (uids.clone(), 40));
    }
    assert!(at.account().has_mailbox(&name("A")).unwrap());
}
