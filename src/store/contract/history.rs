//! What became of deliveries.

use super::fixture::{Fixture, name, placed, publication};
use crate::index::{ActionKind, ActionResult, Ending, HistoryKey, PastAction, PastDelivery, Record};
use crate::mail::{Client, DeliveryId, Protocol, ReversePath, Uid};
use crate::message::{Letter, Message, Received, Trace};
use crate::store::{Explained, Published};

const RECIPIENT: &str = "ann@example.org";

/// A delivery with one action a mailbox, and one that fails.
fn past(id: &DeliveryId, message_id: &str, mailboxes: &[&str]) -> PastDelivery {
    let filed = mailboxes.iter().map(|mailbox| PastAction {
        script: Some("sieve/main.sieve".to_owned()),
        line: Some(3),
        ..PastAction::done(ActionKind::FileInto, Some((*mailbox).to_owned()))
    });
    let failed = PastAction {
        result: ActionResult::Failed,
        reason: Some("550 gone".to_owned()),
        ..PastAction::done(ActionKind::Redirect, Some("bob@example.net".to_owned()))
    };
    PastDelivery {
        id: id.clone(),
        queue_id: Some(format!("Q{id}")),
        time: super::fixture::now(),
        reverse_path: "s@example.net".to_owned(),
        recipient: RECIPIENT.to_owned(),
        original: Some("a@example.org".to_owned()),
        message_id: Some(message_id.to_owned()),
        size: 1234,
        ending: Ending::Delivered,
        actions: filed.chain([failed]).collect(),
    }
}

fn whole(past: PastDelivery) -> Record {
    Record::Whole(Box::new(past))
}

/// Publishes a message of a delivery with its history.
fn publish(at: &Fixture, key: u64, id: &DeliveryId, message_id: &str, mailboxes: &[&str]) -> Published {
    let trace = Trace {
        return_path: ReversePath::Null,
        received: Some(Received {
            client: Client::new("", None, Protocol::Lmtp),
            hostname: "mx.example.org".to_owned(),
            id: id.clone(),
            recipient: None,
            time: std::time::SystemTime::now(),
        }),
        original_to: None,
        delivered_to: None,
        extra: Vec::new(),
    };
    let text = format!("Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?= {key}\r\nMessage-ID: <{message_id}>\r\n\r\nbody\r\n");
    let letter = Letter::new(Message::from_bytes(text), &trace);
    let targets: Vec<_> = mailboxes.iter().map(|mailbox| (*mailbox, "")).collect();
    let mut publication = publication(id.clone(), &targets);
    publication.history = Some(whole(past(id, message_id, mailboxes)));
    at.account().stage(&letter, key).unwrap().publish(publication).unwrap()
}

fn ask(at: &Fixture, key: HistoryKey) -> Vec<Explained> {
    at.account().history(&key, 10).unwrap()
}

fn ids(at: &Fixture, key: HistoryKey) -> Vec<DeliveryId> {
    ask(at, key)
        .into_iter()
        .map(|explained| explained.delivery.id)
        .collect()
}

fn message(mailbox: &str, uid: Uid) -> HistoryKey {
    HistoryKey::Message {
        mailbox: name(mailbox),
        uid,
    }
}

pub(super) fn what_is_published_is_told_by_every_key(at: &Fixture) {
    at.create("A");
    at.fill::<3>("A");
    let id = DeliveryId::new();
    let copies = placed(publish(at, 1, &id, "1@example.net", &["INBOX", "A"]));
    let mut expected = past(&id, "1@example.net", &["INBOX", "A"]);
    for action in &mut expected.actions {
        let copy = copies
            .iter()
            .find(|(mailbox, _)| Some(mailbox) == action.target.as_ref());
        action.uid = copy.map(|(_, uid)| *uid);
    }
    let mut there: Vec<_> = copies.iter().map(|(mailbox, uid)| (name(mailbox), *uid)).collect();
    there.sort();
    for key in [
        HistoryKey::All,
        HistoryKey::Delivery(id.to_string()),
        HistoryKey::Queue(format!("Q{id}")),
        HistoryKey::MessageId("1@example.net".to_owned()),
        HistoryKey::MessageId("<1@example.net>".to_owned()),
        message("INBOX", copies[0].1),
        message("A", copies[1].1),
    ] {
        let told = ask(at, key.clone());
        assert_eq!(told.len(), 1, "{key:?}");
        // A second may have begun meanwhile.
        expected.time = told[0].delivery.time;
        assert_eq!(told[0].delivery, expected, "{key:?}");
        assert_eq!(told[0].subject.as_deref(), Some("grüße 1"));
        assert_eq!(told[0].copies, there);
    }
    for key in [
        HistoryKey::Delivery("1@example.net".to_owned()),
        HistoryKey::Queue(id.to_string()),
        HistoryKey::MessageId("2@example.net".to_owned()),
        message("INBOX", copies[0].1.next().unwrap()),
        message("missing", copies[0].1),
        // These were there before.
        message("A", at.uids("A")[0]),
    ] {
        assert_eq!(ask(at, key.clone()), [], "{key:?}");
    }
}

pub(super) fn a_message_that_was_moved_knows_its_delivery(at: &Fixture) {
    at.create("A");
    let (id, other) = (DeliveryId::new(), DeliveryId::new());
    let uid = placed(publish(at, 1, &id, "1@example.net", &["INBOX"]))[0].1;
    // Another delivery of the same message is another one.
    publish(at, 2, &other, "1@example.net", &["INBOX"]);
    let moved = at.move_to("INBOX", [uid], "A").uids[0].1;
    let told = ask(at, message("A", moved));
    assert_eq!((told.len(), &told[0].delivery.id), (1, &id));
    assert_eq!(told[0].copies, [(name("A"), moved)]);
    assert_eq!(told[0].delivery.actions[0].target.as_deref(), Some("INBOX"));
    // Where it was filed nothing is any more, and that is remembered.
    assert_eq!(ids(at, message("INBOX", uid)), std::slice::from_ref(&id));
    at.remove("A", [moved]);
    let told = ask(at, HistoryKey::Delivery(id.to_string()));
    assert_eq!((told[0].subject.as_deref(), told[0].copies.len()), (None, 0));
    assert_eq!(ids(at, HistoryKey::MessageId("1@example.net".to_owned())), [id, other]);
}

pub(super) fn what_came_in_another_way_is_known_by_its_message_id(at: &Fixture) {
    let id = DeliveryId::new();
    at.account().record(&whole(past(&id, "1@example.net", &[]))).unwrap();
    let uid = at.append("INBOX", "Message-ID: <1@example.net>\r\n\r\nappended\r\n", "");
    let told = ask(at, message("INBOX", uid));
    assert_eq!((told.len(), &told[0].delivery.id), (1, &id));
    // It is no copy of what was delivered.
    assert_eq!(told[0].copies, []);
}

pub(super) fn what_is_recorded_is_told_and_more_is_added(at: &Fixture) {
    let account = at.account();
    let all: [DeliveryId; 3] = std::array::from_fn(|_| DeliveryId::new());
    for id in &all {
        account.record(&whole(past(id, "1@example.net", &[]))).unwrap();
    }
    let reply = PastAction::done(ActionKind::Vacation, Some("s@example.net".to_owned()));
    for (id, recipient) in [
        (all[1].clone(), RECIPIENT),
        (all[1].clone(), "b@example.org"),
        (DeliveryId::new(), RECIPIENT),
    ] {
        let more = Record::More {
            id,
            recipient: recipient.to_owned(),
            actions: vec![reply.clone()],
        };
        account.record(&more).unwrap();
    }
    let told = ask(at, HistoryKey::MessageId("1@example.net".to_owned()));
    let counts: Vec<usize> = told.iter().map(|told| told.delivery.actions.len()).collect();
    assert_eq!(counts, [1, 2, 1]);
    assert_eq!(told[1].delivery.actions.last(), Some(&reply));
    // The last ones, in their order.
    let last = account.history(&HistoryKey::All, 2).unwrap();
    let last: Vec<_> = last.into_iter().map(|told| told.delivery.id).collect();
    assert_eq!(last, all[1..]);
}

pub(super) fn done_before_nothing_is_written_down(at: &Fixture) {
    let (first, second) = (DeliveryId::new(), DeliveryId::new());
    publish(at, 1, &first, "1@example.net", &["INBOX"]);
    assert_eq!(
        publish(at, 1, &second, "1@example.net", &["INBOX"]),
        Published::Before(first.clone())
    );
    assert_eq!(ids(at, HistoryKey::All), [first]);
}

pub(super) fn deferred_again_it_stands_there_once(at: &Fixture) {
    let account = at.account();
    let all: [DeliveryId; 4] = std::array::from_fn(|_| DeliveryId::new());
    let later = || Ending::Deferred("later".to_owned());
    for (id, message_id, ending) in [
        (&all[0], "1@example.net", later()),
        (&all[1], "2@example.net", later()),
        (&all[2], "1@example.net", later()),
        (&all[3], "1@example.net", Ending::Delivered),
    ] {
        let past = past(id, message_id, &[]);
        account.record(&whole(PastDelivery { ending, ..past })).unwrap();
    }
    assert_eq!(ids(at, HistoryKey::All), all[1..]);
    assert_eq!(ask(at, HistoryKey::All)[1].delivery.ending, later());
}
