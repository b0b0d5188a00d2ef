//! `addheader` and `deleteheader`, RFC 5293.

use super::*;
use crate::sieve::EditHeaderRules;

const HELLOS: &str = "Received: one\r\nX-Hello: 1\r\nSubject: s\r\nX-Hello: two\r\n folded\r\nReceived: two\r\n\
    x-hello: =?utf-8?q?dr=C3=A9i?=\r\n\r\nbody\r\n";

fn header(source: &str, mail: &str) -> String {
    let evaluation = evaluate(
        &format!("require [\"editheader\",\"variables\",\"relational\",\"regex\"]; {source}"),
        mail,
    );
    assert_eq!(evaluation.error, None, "{source}");
    edition(&evaluation, mail)
}

#[test]
fn fields_are_added() {
    // RFC 5293 §4
    for (source, mail, expected) in [
        (
            "addheader \"X-New\" \"v\";",
            "A: b\r\n\r\nx",
            "X-New: v\r\nA: b\r\n\r\nx",
        ),
        (
            "addheader :last \"X-New\" \"v\";",
            "A: b\r\n\r\nx",
            "A: b\r\nX-New: v\r\n\r\nx",
        ),
        (
            "addheader \"X\" \"1\"; addheader \"X\" \"2\";",
            "A: b\n\nx\n",
            "X: 2\nX: 1\nA: b\n\nx\n",
        ),
        (
            "addheader :last \"X\" \"1\"; addheader :last \"X\" \"2\";",
            "A: b\n\nx",
            "A: b\nX: 1\nX: 2\n\nx",
        ),
        ("addheader \"X\" \" v \";", "\nbody", "X: v\n\nbody"),
        ("addheader :last \"X\" \"\";", "\r\nbody", "X: \r\n\r\nbody"),
        // Without an empty line, without anything.
        ("addheader \"X\" \"v\";", "A: b", "X: v\r\nA: b"),
        ("addheader :last \"X\" \"v\";", "A: b", "A: b\r\nX: v\r\n"),
        ("addheader :last \"X\" \"v\";", "", "X: v\r\n"),
        (
            "addheader \"X\" \"v\";",
            "From a Mon Jan\nA: b\n\n",
            "From a Mon Jan\nX: v\nA: b\n\n",
        ),
        // Encoded, and never more than one field.
        ("addheader \"X\" \"ä\";", "A: b\n\n", "X: =?utf-8?B?w6Q=?=\nA: b\n\n"),
        (
            "addheader \"X\" \"a\r\nBcc: x\r\n\r\nb\";",
            "A: b\n\n",
            "X: a Bcc: x  b\nA: b\n\n",
        ),
        (
            "set \"v\" \"a\nB: c\"; addheader \"X\" \"${v}\";",
            "A: b\n\n",
            "X: a B: c\nA: b\n\n",
        ),
    ] {
        assert_eq!(header(source, mail), expected, "{source} {mail:?}");
    }
    let long = format!("addheader \"X\" \"{}\";", "word ".repeat(100));
    let folded = header(&long, "A: b\r\n\r\n");
    assert!(folded.split("\r\n").all(|line| line.len() <= 78), "{folded}");
}

#[test]
fn fields_are_deleted() {
    // RFC 5293 §5
    let without = |fields: &[&str]| {
        fields
            .iter()
            .fold(HELLOS.to_owned(), |mail, field| mail.replace(field, ""))
    };
    let (one, two, three) = (
        "X-Hello: 1\r\n",
        "X-Hello: two\r\n folded\r\n",
        "x-hello: =?utf-8?q?dr=C3=A9i?=\r\n",
    );
    for (source, gone) in [
        ("deleteheader \"x-HELLO\";", &[one, two, three][..]),
        ("deleteheader \"X-None\";", &[]),
        ("deleteheader :index 1 \"X-Hello\";", &[one]),
        ("deleteheader :index 2 \"X-Hello\";", &[two]),
        ("deleteheader :index 4 \"X-Hello\";", &[]),
        ("deleteheader :index 1 :last \"X-Hello\";", &[three]),
        ("deleteheader :index 3 :last \"X-Hello\";", &[one]),
        ("deleteheader :index 4 :last \"X-Hello\";", &[]),
        ("deleteheader :is \"X-Hello\" \"TWO folded\";", &[two]),
        (
            "deleteheader :contains \"X-Hello\" [\"nothing\", \"dréi\", \"1\"];",
            &[one, three],
        ),
        (
            "deleteheader :comparator \"i;octet\" :is \"X-Hello\" \"TWO folded\";",
            &[],
        ),
        ("deleteheader :matches \"X-Hello\" \"*\";", &[one, two, three]),
        ("deleteheader :regex \"X-Hello\" \"^.$\";", &[one]),
        ("deleteheader :value \"gt\" \"X-Hello\" \"e\";", &[two]),
        // The count comes before the values.
        ("deleteheader :index 1 :contains \"X-Hello\" \"two\";", &[]),
        ("deleteheader :index 2 :contains \"X-Hello\" \"two\";", &[two]),
        // RFC 5293 §7: the first and the third.
        (
            "deleteheader :index 1 \"X-Hello\"; deleteheader :index 2 \"X-Hello\";",
            &[one, three],
        ),
        (
            "addheader \"X-Hello\" \"World\"; deleteheader :index 1 \"X-Hello\";",
            &[],
        ),
        ("deleteheader \"Subject\";", &["Subject: s\r\n"]),
        // RFC 5293 §6: silently ignored.
        ("deleteheader \"Received\";", &[]),
        ("deleteheader :index 1 :is \"received\" \"one\";", &[]),
    ] {
        assert_eq!(header(source, HELLOS), without(gone), "{source}");
    }
    assert_eq!(
        header("deleteheader \"auto-submitted\";", "Auto-Submitted: yes\n\n"),
        "Auto-Submitted: yes\n\n"
    );
    assert_eq!(header("deleteheader \"A\";", "A: b\n\nx"), "\nx");
    assert_eq!(header("deleteheader \"A\";", "A: b"), "");
}

#[test]
fn tests_see_the_change() {
    // RFC 5293 §7
    let head = "require [\"editheader\",\"fileinto\",\"copy\",\"relational\",\"comparator-i;ascii-numeric\"];";
    for (source, expected) in [
        (
            "addheader \"X-Hello\" \"World\"; if header :contains \"X-Hello\" \"World\" { fileinto \"international\"; }",
            "fileinto international",
        ),
        (
            "if header \"subject\" \"hello\" { deleteheader \"Subject\"; } if exists \"subject\" { discard; }",
            "keep",
        ),
        (
            "addheader \"X-To\" \"Ann <ann@example.net>\"; if address \"x-to\" \"ann@example.net\" { discard; }",
            "discard",
        ),
        (
            "addheader \"X\" \"1\"; addheader \"X\" \"2\"; \
             if header :count \"eq\" :comparator \"i;ascii-numeric\" \"x\" \"2\" { discard; }",
            "discard",
        ),
        // The same message all the same: a mailbox gets it once.
        ("keep; addheader \"X-Flavor\" \"vanilla\"; keep;", "keep"),
        ("addheader \"X\" \"y\"; discard;", "discard"),
    ] {
        assert_eq!(words(&evaluate(&format!("{head}{source}"), MAIL)), expected, "{source}");
    }
    // "X: ", the value and the line end.
    for (over, expected) in [(MAIL.len() + 104, "discard"), (MAIL.len() + 105, "keep")] {
        let value = "y".repeat(100);
        let source = format!("{head} addheader \"X\" \"{value}\"; if size :over {over} {{ discard; }}");
        assert_eq!(words(&evaluate(&source, MAIL)), expected, "{over}");
    }
}

#[test]
fn actions_take_the_message_as_it_is_by_then() {
    // RFC 5293 §7
    let source = "require [\"editheader\",\"fileinto\",\"copy\"]; fileinto :copy \"A\"; addheader \"X\" \"1\"; \
        fileinto :copy \"B\"; redirect :copy \"a@example.net\"; addheader \"Y\" \"2\";";
    let evaluation = evaluate(source, MAIL);
    let heads: Vec<Option<String>> = evaluation
        .plan
        .actions
        .iter()
        .map(|planned| {
            let bytes = planned.edition.as_ref()?.bytes().unwrap().into_owned();
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.ends_with(MAIL));
            Some(text[..text.len() - MAIL.len()].to_owned())
        })
        .collect();
    let head = |text: &str| Some(text.to_owned());
    assert_eq!(
        heads,
        [None, head("X: 1\r\n"), head("X: 1\r\n"), head("Y: 2\r\nX: 1\r\n")]
    );
    // After an error the message that came is kept.
    let source = "require [\"editheader\",\"fileinto\"]; addheader \"X\" \"1\"; redirect \"not an address\";";
    assert_eq!(
        edition(&evaluate(&source.replace("\"not an address\"", "\"a@\""), MAIL), MAIL),
        MAIL
    );
}

#[test]
fn scripts_hand_the_message_on() {
    let script = |name: &str, source: &str| Script::new(name, source.as_bytes());
    let head = "require [\"editheader\",\"fileinto\"];";
    let scripts = Scripts {
        before: vec![script("before", &format!("{head} addheader \"X-Site\" \"seen\";"))],
        user: Some(script(
            "user",
            &format!("{head} if header \"x-site\" \"seen\" {{ addheader \"X-User\" \"too\"; }}"),
        )),
        ..Scripts::default()
    };
    let evaluation = evaluate_with(&scripts, MAIL.as_bytes(), "sender@example.com", Options::default());
    assert_eq!(words(&evaluation), "keep");
    assert_eq!(
        edition(&evaluation, MAIL),
        format!("X-User: too\r\nX-Site: seen\r\n{MAIL}")
    );
}

#[test]
fn vacation_looks_at_the_fields_as_they_are() {
    // RFC 5293 §7
    let vacation =
        "require [\"editheader\",\"vacation\"]; addheader \"List-Id\" \"<x.example.org>\"; vacation \"Away\";";
    assert_eq!(words(&evaluate(vacation, MAIL)), "keep");
    let subject = "require [\"editheader\",\"vacation\"]; deleteheader \"Subject\"; addheader \"Subject\" \"New\"; \
        vacation \"Away\";";
    assert!(words(&evaluate(subject, MAIL)).contains("\"Auto: New\""));
}

#[test]
fn a_site_may_forbid_fields() {
    // RFC 5293 §6
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let options = Options {
        editheader: EditHeaderRules {
            protected: names(&["X-Spam"]),
            forbid_add: names(&["X-Add"]),
            forbid_delete: names(&["X-Keep"]),
            max_header_size: 10,
        },
        ..Options::default()
    };
    let mail = "X-Spam: 1\r\nX-Keep: 2\r\nX-Add: 3\r\n\r\n";
    let source = "require [\"editheader\",\"variables\"]; addheader \"x-spam\" \"0\"; deleteheader \"X-SPAM\"; \
        addheader \"X-Add\" \"4\"; deleteheader \"X-Add\"; set \"n\" \"x-keep\"; deleteheader \"${n}\"; \
        addheader \"X-Keep\" \"5\";";
    let evaluation = evaluate_with(&user(source), mail.as_bytes(), "a@example.com", options.clone());
    assert_eq!(evaluation.error, None);
    assert_eq!(
        edition(&evaluation, mail),
        "X-Keep: 5\r\nX-Spam: 1\r\nX-Keep: 2\r\n\r\n"
    );
    let warnings = Engine::new(options.clone())
        .check(&Script::new("x", source.as_bytes()))
        .warnings;
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    // A limit of the length is at least 998.
    for (length, fits) in [(900, true), (1100, false)] {
        let source = format!(
            "require \"editheader\"; addheader \"X\" \"{}\";",
            "ab ".repeat(length / 3)
        );
        let evaluation = evaluate_with(&user(&source), mail.as_bytes(), "a@example.com", options.clone());
        assert_eq!(evaluation.error.is_none(), fits, "{length}");
    }
}

#[test]
fn faults() {
    for (source, column, words) in [
        ("addheader \"X Y\" \"z\";", 33, "cannot be the name"),
        ("addheader \"X:\" \"z\";", 33, "cannot be the name"),
        ("addheader \"\" \"z\";", 33, "cannot be the name"),
        ("addheader \"X\u{e4}\" \"z\";", 33, "cannot be the name"),
        ("addheader \"X\";", 23, "needs a value"),
        ("deleteheader \"X Y\";", 36, "cannot be the name"),
        ("deleteheader :last \"X\";", 36, "stands only with"),
        ("deleteheader :index 0 \"X\";", 43, "counts from 1"),
        ("deleteheader :regex \"X\" \"[\";", 36, "needs `require"),
        ("deleteheader;", 23, "needs the name"),
        ("deleteheader \"X\" \"y\" \"z\";", 44, "no further argument"),
    ] {
        let error = evaluate(&format!("require \"editheader\"; {source}"), MAIL)
            .error
            .expect(source);
        assert_eq!(error.kind, ErrorKind::Compile, "{source}");
        assert!(error.message.contains(words), "{source}: {error}");
        assert_eq!(error.column, Some(column), "{source}: {error}");
    }
    let late = "require [\"editheader\",\"variables\"]; set \"n\" \"a b\"; addheader \"${n}\" \"x\";";
    let error = evaluate(late, MAIL).error.unwrap();
    assert_eq!((error.kind, error.line), (ErrorKind::Runtime, Some(1)));
}

#[test]
fn long_headers_lose_nothing() {
    // More fields, and more bytes, than are ever listed.
    let fields: String = (0..20_000).map(|n| format!("X-{n}: {}\r\n", "y".repeat(100))).collect();
    let mail = format!("{fields}\r\nbody\r\n");
    let source =
        "require \"editheader\"; addheader \"New\" \"1\"; addheader :last \"New\" \"2\"; deleteheader \"X-3\";";
    let evaluation = evaluate(source, &mail);
    assert_eq!(words(&evaluation), "keep");
    let expected = format!(
        "New: 1\r\n{}New: 2\r\n\r\nbody\r\n",
        fields.replace(&format!("X-3: {}\r\n", "y".repeat(100)), "")
    );
    assert!(edition(&evaluation, &mail) == expected);
}

#[test]
fn editions_of_large_messages_share_their_bodies() {
    let mail = format!("Subject: x\r\n\r\n{}", "0123456789abcdef\r\n".repeat(20_000));
    let source = "require [\"editheader\",\"fileinto\",\"copy\"];".to_owned()
        + &(0..20)
            .map(|n| format!("addheader \"X\" \"{n}\"; fileinto :copy \"M{n}\";"))
            .collect::<String>();
    let evaluation = evaluate(&source, &mail);
    assert_eq!(evaluation.error, None);
    assert_eq!(evaluation.plan.actions.len(), 21);
    assert!(edition(&evaluation, &mail).ends_with(&mail));
}
