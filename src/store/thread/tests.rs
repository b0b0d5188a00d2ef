//! The rules of RFC 5256, one after the other, and what hostile mail would make of them.

use proptest::prelude::*;

use super::super::search::few::{Few, inbox, uid};
use super::*;

/// A message: UID, id, References, subject.
type Sketch<'a> = (u32, &'a str, &'a str, &'a str);

fn few(messages: &[Sketch]) -> Few {
    let texts: Vec<String> = messages
        .iter()
        .map(|(_, id, references, subject)| {
            let ids: Vec<String> = references.split_whitespace().map(|id| format!("<{id}@x>")).collect();
            format!(
                "Message-ID: <{id}@x>\r\nReferences: {}\r\nSubject: {subject}\r\n\r\n",
                ids.join(" ")
            )
        })
        .collect();
    let mut few = Few::texts(&texts);
    for ((entry, _), (number, ..)) in few.all.iter_mut().zip(messages) {
        entry.uid = uid(*number);
    }
    few
}

fn threads(few: &Few, by: ThreadBy) -> String {
    thread(few, &inbox(), by, &SearchKey::All).unwrap().to_string()
}

#[test]
fn the_examples_of_the_rfc() {
    let messages = [
        (2, "2", "", "a"),
        (3, "3", "", "b"),
        (4, "4", "3 6", "b"),
        (6, "6", "3", "b"),
        (7, "7", "3 6 44", "b"),
        (23, "23", "3 6 4", "b"),
        (44, "44", "3 6", "b"),
        (96, "96", "44 7", "b"),
    ];
    assert_eq!(
        threads(&few(&messages), ThreadBy::References),
        "(2)(3 6 (4 23)(44 7 96))"
    );
    let siblings = [(3, "3", "gone", ""), (5, "5", "gone", "")];
    assert_eq!(threads(&few(&siblings), ThreadBy::References), "((3)(5))");
    assert_eq!(threads(&few(&[]), ThreadBy::References), "");
}

#[test]
fn threads_by_references() {
    for (what, messages, expected) in [
        ("alone", &[(1, "a", "", "x"), (2, "b", "", "y")][..], "(1)(2)"),
        (
            "an answer before what it answers",
            &[(1, "b", "a", ""), (2, "a", "", "")],
            "(2 1)",
        ),
        ("one missing between", &[(1, "a", "", ""), (2, "c", "a b", "")], "(1 2)"),
        ("all missing above one", &[(1, "d", "a b c", "")], "(1)"),
        (
            "missing ones with several below",
            &[(1, "c", "a b", ""), (2, "d", "a b", "")],
            "((1)(2))",
        ),
        (
            "missing ones one above the other",
            &[(1, "c", "a b", ""), (2, "d", "a", "")],
            "((1)(2))",
        ),
        (
            "the first link stays",
            &[
                (1, "a", "", ""),
                (2, "b", "", ""),
                (3, "x", "a c", ""),
                (4, "y", "b c", ""),
            ],
            "(1 (3)(4))(2)",
        ),
        (
            "a message's own word counts more",
            &[(1, "a", "", ""), (2, "x", "a b", ""), (3, "b", "", "")],
            "(1)(3 2)",
        ),
        (
            "its own word counts, even later",
            &[(1, "b", "c", ""), (2, "c", "", ""), (3, "x", "a b", "")],
            "(2 1 3)",
        ),
        (
            "two copies",
            &[(1, "a", "", ""), (2, "a", "", ""), (3, "b", "a", "")],
            "(1 3)(2)",
        ),
        ("a loop of two", &[(1, "a", "b", ""), (2, "b", "a", "")], "(2 1)"),
        (
            "a loop of three",
            &[(1, "a", "c", ""), (2, "b", "a", ""), (3, "c", "b", "")],
            "(3 1 2)",
        ),
        ("itself", &[(1, "a", "a", ""), (2, "b", "b b", "")], "(1)(2)"),
        ("a loop in one field", &[(1, "x", "a b a", "")], "(1)"),
        ("quoted ids", &[(1, "\"a\"", "", ""), (2, "b", "a", "")], "(1 2)"),
    ] {
        assert_eq!(threads(&few(messages), ThreadBy::References), expected, "{what}");
    }
}

#[test]
fn in_reply_to_counts_without_references() {
    let message = |id: &str, more: &str| format!("Message-ID: <{id}@x>\r\n{more}\r\n\r\n");
    for (first, second, expected) in [
        ("A: b", "In-Reply-To: <a@x> <c@x>", "(1 2)"),
        ("A: b", "In-Reply-To: <c@x>\r\nReferences: <a@x>", "(1 2)"),
        ("A: b", "In-Reply-To: <a@x>\r\nReferences: none", "(1 2)"),
        ("A: b", "In-Reply-To: your message of today", "(1)(2)"),
    ] {
        let few = Few::texts(&[message("a", first), message("b", second)]);
        assert_eq!(threads(&few, ThreadBy::References), expected, "{second}");
    }
    // Without an id of its own a message is of no other's.
    let few = Few::texts(&["A: b\r\n\r\n".to_owned(), "References: <a@x>\r\n\r\n".to_owned()]);
    assert_eq!(threads(&few, ThreadBy::References), "(1)(2)");
}

#[test]
fn subjects_bring_together() {
    for (what, messages, expected, refs) in [
        (
            "an answer without references",
            &[(1, "a", "", "x"), (2, "b", "", "Re: x")][..],
            "(1 2)",
            "(1)(2)",
        ),
        (
            "the answer first",
            &[(1, "a", "", "Re: x"), (2, "b", "", "x")],
            "(2 1)",
            "(1)(2)",
        ),
        (
            "two that are no answers",
            &[(1, "a", "", "x"), (2, "b", "", "X")],
            "((1)(2))",
            "(1)(2)",
        ),
        (
            "two answers",
            &[(1, "a", "", "re: x"), (2, "b", "", "x (fwd)")],
            "((1)(2))",
            "(1)(2)",
        ),
        (
            "three",
            &[(1, "a", "", "x"), (2, "b", "", "x"), (3, "c", "", "Re: x")],
            "((1)(2)(3))",
            "(1)(2)(3)",
        ),
        (
            "no subject",
            &[(1, "a", "", ""), (2, "b", "", "Re:")],
            "(1)(2)",
            "(1)(2)",
        ),
        (
            "a missing one and one",
            &[(1, "c", "m", "x"), (2, "d", "m", "y"), (3, "a", "", "x")],
            "((1)(2)(3))",
            "((1)(2))(3)",
        ),
        (
            "two missing ones",
            &[
                (1, "c", "m", "x"),
                (2, "d", "m", "y"),
                (3, "e", "n", "x"),
                (4, "f", "n", "z"),
            ],
            "((1)(2)(3)(4))",
            "((1)(2))((3)(4))",
        ),
        (
            "only at the top",
            &[(1, "a", "", "y"), (2, "b", "a", "x"), (3, "c", "", "x")],
            "(1 2)(3)",
            "(1 2)(3)",
        ),
    ] {
        let few = few(messages);
        assert_eq!(threads(&few, ThreadBy::References), expected, "{what}");
        assert_eq!(threads(&few, ThreadBy::Refs), refs, "{what}");
    }
}

#[test]
fn siblings_stand_by_date() {
    let message = |id: &str, answers: &str, day: &str| {
        format!(
            "Message-ID: <{id}@x>\r\nReferences: <{answers}@x>\r\nDate: {day} Nov 2026 12:00:00 +0000\r\nSubject: {answers}\r\n\r\n"
        )
    };
    let few = Few::texts(&[
        message("a", "0", "9"),
        message("b", "a", "7"),
        message("c", "a", "5"),
        message("d", "1", "3"),
        message("e", "gone", "4"),
        message("f", "gone", "2"),
    ]);
    assert_eq!(threads(&few, ThreadBy::References), "((6)(5))(4)(1 (3)(2))");
    // By arrival of the last: the whole conversation moves, its messages stand as before.
    assert_eq!(threads(&few, ThreadBy::Refs), "(1 (3)(2))(4)((6)(5))");
    assert_eq!(threads(&few, ThreadBy::OrderedSubject), "(6 5)(4)(3 2)(1)");
}

#[test]
fn threads_by_subject() {
    let messages = [
        (1, "a", "", "x"),
        (2, "b", "", "y"),
        (3, "c", "", "Re: x"),
        (4, "d", "", "[l] X (fwd)"),
        (5, "e", "", ""),
    ];
    assert_eq!(threads(&few(&messages), ThreadBy::OrderedSubject), "(1 (3)(4))(2)(5)");
    assert_eq!(threads(&few(&messages[..3]), ThreadBy::OrderedSubject), "(1 3)(2)");
}

#[test]
fn only_what_was_searched_for() {
    let few = few(&[(1, "a", "", "x"), (2, "b", "a", "x"), (3, "c", "a b", "y")]);
    let key = SearchKey::parse("not uid 2", None).unwrap();
    let threads = thread(&few, &inbox(), ThreadBy::References, &key).unwrap();
    assert_eq!(threads.to_string(), "(1 3)");
}

#[test]
fn names() {
    for by in [ThreadBy::OrderedSubject, ThreadBy::References, ThreadBy::Refs] {
        assert_eq!(ThreadBy::parse(&by.name().to_lowercase()), Some(by));
    }
    assert_eq!(ThreadBy::parse("subject"), None);
}

fn item(number: u32, references: Vec<u32>) -> Item {
    Item {
        uid: uid(number + 1),
        sent: i64::from(number),
        arrived: i64::from(number),
        subject: "x".to_owned(),
        is_reply: true,
        id: Some(number),
        references,
    }
}

// Whoever walks to the top of the chain for each message never comes to an end with these.
#[test]
fn hostile_references_take_little_time_and_stack() {
    const MANY: u32 = 100_000;
    type Refers = fn(u32) -> Vec<u32>;
    let shapes: [(&str, Refers); 5] = [
        ("a chain", |n| (n > 0).then(|| n - 1).into_iter().collect()),
        ("a chain, the last first", |n| {
            (n + 1 < MANY).then_some(n + 1).into_iter().collect()
        }),
        ("all in one loop", |n| vec![(n + 1) % MANY]),
        ("a chain, and pairs at its end", |n| match n {
            0 => vec![],
            n if n < MANY / 2 => vec![n - 1],
            n if n % 2 == 0 => vec![n + 1],
            _ => vec![MANY / 2 - 1],
        }),
        ("many to each", |n| {
            (0..50).map(|k| (n * 31 + k * 7919) % MANY).collect()
        }),
    ];
    for (what, refers) in shapes {
        let items: Vec<Item> = (0..MANY).map(|n| item(n, refers(n))).collect();
        let ids = (0..MANY).map(|n| ([u64::from(n), 0], n)).collect();
        let gathered = Gathered {
            items,
            ids,
            ..Gathered::default()
        };
        let threads = references::threads(gathered, true).to_string();
        let numbers = threads
            .split(|c: char| !c.is_ascii_digit())
            .filter(|word| !word.is_empty());
        let mut numbers: Vec<u32> = numbers.map(|word| word.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(1..=MANY), "{what}");
    }
}

proptest! {
    #[test]
    fn each_message_stands_once(
        messages in proptest::collection::vec((0u32..12, proptest::collection::vec(0u32..12, 0..4), 0usize..3), 0..15),
    ) {
        let items = messages.iter().zip(0..).map(|((id, references, subject), n)| Item {
            id: (*id > 1).then_some(*id),
            subject: ["", "x", "y"][*subject].to_owned(),
            is_reply: n % 2 == 0,
            ..item(n, references.clone())
        });
        let items: Vec<Item> = items.collect();
        for subjects in [false, true] {
            let items = items.iter().map(|item| Item { subject: item.subject.clone(), references: item.references.clone(), ..*item });
            let gathered = Gathered {
                items: items.collect(),
                ids: (0..12).map(|n| ([u64::from(n), 0], n)).collect(),
                ..Gathered::default()
            };
            let Threads(threads) = references::threads(gathered, subjects);
            let mut seen = Vec::new();
            let mut rest: Vec<(&Thread, bool)> = threads.iter().map(|thread| (thread, true)).collect();
            while let Some((thread, top)) = rest.pop() {
                // Dummies stand only at the top, with several children.
                prop_assert!(thread.uid.is_some() || (top && thread.children.len() > 1));
                seen.extend(thread.uid.map(Uid::value));
                rest.extend(thread.children.iter().map(|child| (child, false)));
            }
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(1..=u32::try_from(messages.len()).unwrap()));
        }
    }
}
