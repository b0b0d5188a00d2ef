//! Annotations.

use std::thread;

use super::fixture::{Fixture, missing, name};
use crate::mail::{AnnotationError, AnnotationName, Annotations, MailboxName};
use crate::store::StoreError;

fn key(text: &str) -> AnnotationName {
    AnnotationName::parse(text).unwrap()
}

fn set(at: &Fixture, mailbox: Option<&str>, annotation: &str, value: Option<&str>) -> Result<(), StoreError> {
    let mailbox = mailbox.map(name);
    at.account().set_annotation(mailbox.as_ref(), &key(annotation), value)
}

fn get(at: &Fixture, mailbox: Option<&str>, annotation: &str) -> Option<String> {
    let mailbox = mailbox.map(name);
    at.account().annotation(mailbox.as_ref(), &key(annotation)).unwrap()
}

fn all(at: &Fixture, mailbox: Option<&MailboxName>) -> Vec<(String, String)> {
    let all = at.account().annotations(mailbox).unwrap();
    all.iter()
        .map(|(name, value)| (name.to_string(), value.to_owned()))
        .collect()
}

pub(super) fn each_mailbox_and_the_server_has_its_own(at: &Fixture) {
    at.create("A");
    for mailbox in [None, Some("INBOX"), Some("A")] {
        assert_eq!(get(at, mailbox, "/private/comment"), None);
        let value = format!("about {mailbox:?}\nin two lines");
        set(at, mailbox, "/private/Comment", Some(&value)).unwrap();
        set(at, mailbox, "/shared/comment", Some("")).unwrap();
    }
    for mailbox in [None, Some("INBOX"), Some("A")] {
        let value = format!("about {mailbox:?}\nin two lines");
        assert_eq!(get(at, mailbox, "/PRIVATE/comment"), Some(value.clone()));
        let expected = [("/private/comment", value.as_str()), ("/shared/comment", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(all(at, mailbox.map(name).as_ref()), expected);
    }
    set(at, Some("A"), "/private/comment", Some("other")).unwrap();
    set(at, Some("INBOX"), "/private/comment", None).unwrap();
    set(at, Some("INBOX"), "/private/comment", None).unwrap();
    assert_eq!(get(at, Some("A"), "/private/comment").as_deref(), Some("other"));
    assert_eq!(get(at, Some("INBOX"), "/private/comment"), None);
    assert_eq!(get(at, Some("INBOX"), "/shared/comment").as_deref(), Some(""));
    at.account().rebuild().unwrap();
    assert_eq!(get(at, Some("A"), "/private/comment").as_deref(), Some("other"));
}

pub(super) fn they_go_along_and_end_with_their_mailbox(at: &Fixture) {
    at.create("A");
    at.create("A.B");
    set(at, Some("A.B"), "/private/comment", Some("mine")).unwrap();
    at.rename("A", "C").unwrap();
    assert_eq!(get(at, Some("C.B"), "/private/comment").as_deref(), Some("mine"));
    assert_eq!(get(at, Some("C"), "/private/comment"), None);
    at.account().delete_mailbox(&name("C.B")).unwrap();
    at.create("C.B");
    assert_eq!(get(at, Some("C.B"), "/private/comment"), None);
}

pub(super) fn a_missing_mailbox_has_none(at: &Fixture) {
    missing(set(at, Some("A"), "/private/comment", Some("x")), "A");
    missing(at.account().annotations(Some(&name("A"))), "A");
    missing(at.account().annotation(Some(&name("A")), &key("/private/comment")), "A");
}

pub(super) fn there_is_room_for_some(at: &Fixture) {
    let refused = |result: Result<(), StoreError>| match result {
        Err(StoreError::Annotation { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    let long = "x".repeat(Annotations::VALUE_MAX + 1);
    assert!(matches!(
        refused(set(at, None, "/private/long", Some(&long))),
        AnnotationError::TooLong(_)
    ));
    set(at, None, "/private/long", Some(&long[1..])).unwrap();
    for number in 1..Annotations::ENTRIES_MAX {
        set(at, None, &format!("/private/{number}"), Some("x")).unwrap();
    }
    assert!(matches!(
        refused(set(at, None, "/private/more", Some("x"))),
        AnnotationError::TooMany(_)
    ));
    assert_eq!(
        get(at, None, "/private/long").map(|value| value.len()),
        Some(long.len() - 1)
    );
    assert_eq!(all(at, None).len(), Annotations::ENTRIES_MAX);
}

pub(super) fn of_two_who_write_both_are_heard(at: &Fixture) {
    let write = |who: &str| {
        for number in 0..20 {
            set(at, Some("INBOX"), &format!("/private/{who}/{number}"), Some(who)).unwrap();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| write("one"));
        scope.spawn(|| write("two"));
    });
    assert_eq!(all(at, Some(&MailboxName::inbox())).len(), 40);
}
