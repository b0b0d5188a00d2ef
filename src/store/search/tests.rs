//! Every key, on four messages.

use proptest::prelude::*;

use super::few::{Few, inbox, uid};
use super::*;
use crate::mail::{EmailId, SystemFlag, ThreadId};

const DAY: i64 = 86400;

const ONE: &str = "From: \"Ann, the first\" <ann@example.org>\r\nTo: bob@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from\r\n here\r\n\
    Date: Sun, 1 Nov 2026 23:30:00 -0500\r\nX-Tag: yes\r\n\r\nThe quick brown fox.\r\n";
const TWO: &str = "From: =?iso-8859-1?q?B=F6b?= <bob@example.org>\r\nCc: Carol <carol@example.org>\r\nSubject: Re: lunch\r\n\
    Date: Mon, 2 Nov 2026 01:00:00 +0000\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Transfer-Encoding: base64\r\n\r\nSnVtcHMgb3Zlcg==\r\n\
    --b\r\nContent-Type: application/pdf; name=\"Menu.pdf\"\r\n\r\nsecret\r\n--b--\r\n";
const THREE: &str = "From: dan@example.org\r\nBcc: eve@example.org\r\nX-Tag:\r\n\r\nthe lazy dog, over there\r\n";
const FOUR: &str = "\r\nno header at all\r\n";

fn four() -> Few {
    let mut few = Few::of([ONE, TWO, THREE, FOUR].map(str::as_bytes));
    let days = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"];
    for ((entry, _), day) in few.all.iter_mut().zip(days) {
        let moment: jiff::Timestamp = format!("{day}T23:59:59Z").parse().unwrap();
        entry.internal_date = moment.as_second();
        entry.save_date = moment.as_second() + DAY;
    }
    few.all[0].0.flags.set(SystemFlag::Seen);
    few.all[0].0.flags.set(SystemFlag::Answered);
    few.all[1].0.flags.set(SystemFlag::Flagged);
    few.all[1].0.flags.insert("$Work").unwrap();
    few.all[2].0.flags.set(SystemFlag::Deleted);
    few.all[2].0.flags.set(SystemFlag::Draft);
    few
}

fn found(few: &Few, text: &str) -> Vec<u32> {
    let key = SearchKey::parse(text, Some(uid(4))).unwrap_or_else(|error| panic!("{text}: {error}"));
    let found = search(few, &inbox(), &key).unwrap();
    found.into_iter().map(Uid::value).collect()
}

#[test]
fn finds_by_every_key() {
    let few = four();
    for (text, expected) in [
        ("all", &[1, 2, 3, 4][..]),
        ("seen", &[1]),
        ("unseen", &[2, 3, 4]),
        ("answered", &[1]),
        ("UNANSWERED deleted", &[3]),
        ("undeleted flagged", &[2]),
        ("unflagged undraft", &[1, 4]),
        ("draft", &[3]),
        ("keyword $work", &[2]),
        ("unkeyword $WORK", &[1, 3, 4]),
        ("keyword $Other", &[]),
        ("recent", &[]),
        ("new", &[]),
        ("old", &[1, 2, 3, 4]),
        ("uid 2:3", &[2, 3]),
        ("uid *", &[4]),
        ("uid 9:*", &[4]),
        ("not uid 2,3", &[1, 4]),
        ("before 2-Nov-2026", &[1]),
        ("on 2026-11-02", &[2]),
        ("since \" 2-nov-2026\"", &[2, 3, 4]),
        ("sentbefore 2-Nov-2026", &[1]),
        ("senton 1-Nov-2026", &[1]),
        ("senton 2-Nov-2026", &[2]),
        ("sentsince 1-Jan-1970", &[1, 2]),
        ("not sentsince 1-Jan-1970", &[3, 4]),
        ("savedon 3-Nov-2026", &[2]),
        ("savedbefore 3-Nov-2026", &[1]),
        ("savedsince 4-Nov-2026", &[3, 4]),
        ("savedatesupported", &[1, 2, 3, 4]),
        ("larger 150", &[1, 2]),
        ("smaller 21", &[4]),
        ("larger 20 smaller 21", &[]),
        ("modseq 103", &[3, 4]),
        ("modseq 0", &[1, 2, 3, 4]),
        ("modseq \"/flags/\\\\draft\" all 104", &[4]),
        ("from ann", &[1]),
        ("from \"Ann, the first <ann@\"", &[1]),
        ("from \"\\\"ann, the\"", &[1]),
        ("from BÖB", &[2]),
        ("from example.org", &[1, 2, 3]),
        ("to BOB", &[1]),
        ("cc carol", &[2]),
        ("cc \"\"", &[2]),
        ("bcc eve@", &[3]),
        ("subject GRÜSSE", &[1]),
        ("subject \"grüße from here\"", &[1]),
        ("subject re:", &[2]),
        ("subject \"\"", &[1, 2]),
        ("header x-tag \"\"", &[1, 3]),
        ("header X-Tag: YES", &[1]),
        ("header subject lunch", &[2]),
        ("header none \"\"", &[]),
        ("body \"QUICK  brown\"", &[1]),
        ("body over", &[2, 3]),
        ("body ann", &[]),
        ("body secret", &[]),
        ("body \"\"", &[1, 2, 3, 4]),
        ("text ann", &[1]),
        ("text over", &[2, 3]),
        ("text menu.pdf", &[2]),
        ("text \"x-tag: yes\"", &[1]),
        ("text header", &[4]),
        ("or seen draft", &[1, 3]),
        ("or (from ann subject lunch) or deleted uid 4", &[3, 4]),
        ("not (from ann)", &[2, 3, 4]),
        ("not body over not from ann", &[4]),
        ("from example.org since 2-Nov-2026 not draft", &[2]),
        ("older 1 younger 1", &[]),
        ("emailid abc", &[]),
        ("not threadid x-y", &[1, 2, 3, 4]),
    ] {
        assert_eq!(found(&few, text), expected, "{text}");
    }
    let (first, third) = (&few.all[0].0, &few.all[2].0);
    assert_eq!(found(&few, &format!("emailid {}", first.email_id)), [1]);
    assert_eq!(found(&few, &format!("threadid {}", third.thread_id)), [3]);
}

#[test]
fn age_is_counted_from_now() {
    let mut few = four();
    let now = jiff::Timestamp::now().as_second();
    for ((entry, _), age) in few.all.iter_mut().zip([0, 1000, 100_000, -1000]) {
        entry.internal_date = now - age;
    }
    assert_eq!(found(&few, "younger 900"), [1, 4]);
    assert_eq!(found(&few, "older 900"), [2, 3]);
    assert_eq!(found(&few, "older 900 younger 50000"), [2]);
}

#[test]
fn asks_no_more_than_it_must() {
    let asked = |few: &Few| std::mem::take(&mut *few.asked.lock().unwrap());
    let mut few = four();
    for (text, cards, opened) in [
        ("seen larger 3 since 1-Nov-2026", 0, &[][..]),
        ("unseen from bob", 3, &[]),
        ("or all from bob", 0, &[]),
        ("uid 2 from bob body jumps", 1, &[2]),
        ("from nobody body jumps", 4, &[]),
        ("body jumps", 0, &[1, 2, 3, 4]),
        // What the header has is not looked for in the file.
        ("text example.org", 4, &[4]),
        ("seen text \"\"", 0, &[]),
    ] {
        found(&few, text);
        assert_eq!(asked(&few), (cards, opened.to_vec()), "{text}");
    }
    few.candidates = Some(vec![2, 3]);
    assert_eq!(found(&few, "body over"), [2, 3]);
    assert_eq!(asked(&few), (0, vec![2, 3]));
    assert_eq!(found(&few, "not body jumps"), [1, 3, 4]);
    assert_eq!(asked(&few), (0, vec![2, 3]));
    few.certain = vec![2];
    assert_eq!(found(&few, "body over"), [2, 3]);
    assert_eq!(asked(&few), (0, vec![3]), "of the second it is sure");
    few.certain.clear();
    few.candidates = Some(vec![]);
    assert_eq!(found(&few, "or text over seen"), [1]);
    assert_eq!(asked(&few), (0, vec![]));
}

#[test]
fn what_vanishes_is_not_found() {
    let mut few = four();
    few.gone.extend([2, 3]);
    for (text, expected) in [
        ("body over", &[][..]),
        ("not body over", &[1, 4]),
        ("not from nobody", &[1, 4]),
        ("text example.org", &[1]),
        ("uid 2", &[2]),
    ] {
        assert_eq!(found(&few, text), expected, "{text}");
    }
}

#[test]
fn many_messages_come_in_slices() {
    let messages: Vec<String> = (0..SLICE * 2 + 1)
        .map(|n| format!("Subject: number {n}\n\nbody\n"))
        .collect();
    let few = Few::texts(&messages);
    assert_eq!(found(&few, "subject number").len(), messages.len());
    assert_eq!(found(&few, "subject \"number 1000\" not body none"), [1001]);
}

#[test]
fn object_ids_are_read() {
    let (email, thread) = (EmailId([7; 16]), ThreadId(7));
    let parse = |text: String| SearchKey::parse(&text, None).unwrap();
    assert_eq!(parse(format!("emailid {email}")), SearchKey::EmailId(email));
    assert_eq!(parse(format!("threadid {thread}")), SearchKey::ThreadId(thread));
}

#[test]
fn says_what_is_wrong() {
    for (text, expected) in [
        ("", "the search is empty; `all` finds every message"),
        (
            "form ann",
            "\"form\" at character 1 is no search key; did you mean `from`?",
        ),
        ("seen xyzzyx", "\"xyzzyx\" at character 6 is no search key"),
        ("\u{e4}\u{e4} unsen", "\"\u{e4}\u{e4}\" at character 1 is no search key"),
        (
            "1:5",
            "\"1:5\" at character 1 stands where a key should; a message is named by `uid 1:5`",
        ),
        ("\"from\" ann", "\"from\" at character 1 is no search key"),
        ("seen from", "from at character 6 needs a text behind it"),
        ("from (seen)", "from at character 1 needs a text behind it"),
        ("not", "not at character 1 needs a key behind it"),
        ("(or seen)", "or at character 2 needs a key behind it"),
        (
            "since yesterday",
            "\"yesterday\" at character 7 is not a date such as 1-Nov-2026, which since needs",
        ),
        (
            "on 31-Feb-2026",
            "\"31-Feb-2026\" at character 4 is not a date such as 1-Nov-2026, which on needs",
        ),
        (
            "larger 1k",
            "\"1k\" at character 8 is not a number of bytes, which larger needs",
        ),
        (
            "older 0",
            "\"0\" at character 7 is not a number of seconds, not 0, which older needs",
        ),
        (
            "uid a",
            "\"a\" at character 5 is not a set of UIDs such as 1,3:5,9:*, which uid needs",
        ),
        (
            "keyword \\Seen",
            "\"\\\\Seen\" at character 9 is not a keyword, which keyword needs",
        ),
        (
            "header \"a b\" c",
            "\"a b\" at character 8 is not the name of a header field, which header needs",
        ),
        (
            "header x",
            "header at character 1 needs a text (\"\" for any) behind it",
        ),
        (
            "emailid a@b",
            "\"a@b\" at character 9 is not an object identifier, which emailid needs",
        ),
        ("subject \"x", "the quote at character 9 is not closed"),
        ("(seen", "the parenthesis at character 1 is not closed"),
        ("seen)", "the parenthesis at character 5 closes none"),
        ("seen ()", "the parenthesis at character 6 holds no key"),
        (
            "modseq /flags/\\seen x 1",
            "\"x\" at character 21 is not one of priv, shared, all, which modseq needs",
        ),
    ] {
        let error = SearchKey::parse(text, None).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text}");
    }
}

#[test]
fn is_bounded() {
    assert!(SearchKey::parse(&"not ".repeat(50).replace("not not", "not (not").replace('(', ""), None).is_err());
    assert!(SearchKey::parse(&format!("{}seen", "not ".repeat(50)), None).is_ok());
    for text in [
        format!("{}seen", "not ".repeat(51)),
        format!("{}seen{}", "(".repeat(51), ")".repeat(51)),
        format!("{}seen", "or seen ".repeat(51)),
        "(".repeat(60_000),
    ] {
        let error = SearchKey::parse(&text, None).unwrap_err();
        assert!(matches!(error, SearchError::TooDeep { max: 50, .. }), "{error}");
    }
    assert!(matches!(
        SearchKey::parse(&"seen ".repeat(20_000), None),
        Err(SearchError::TooLong { .. })
    ));
    assert!(SearchKey::parse(&"seen ".repeat(13_000), None).is_ok());
}

#[test]
fn texts_are_read_as_written() {
    for (text, expected) in [
        ("subject a\\b", "a\\b"),
        ("subject \"a \\\"b\\\" \\\\\"", "a \"b\" \\"),
        ("subject not", "not"),
        ("subject \u{65e5}\u{672c}", "\u{65e5}\u{672c}"),
        ("subject \"\"", ""),
    ] {
        let expected = SearchKey::Field(FieldKey::Subject, expected.to_owned());
        assert_eq!(SearchKey::parse(text, None), Ok(expected), "{text}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(text in "(([a-z]{1,8}|not|or|from|since|uid|header|modseq|[0-9:*,-]{1,5}|\\PC{0,3})[ ()\"\\\\]{0,2}){0,12}") {
        if let Ok(key) = SearchKey::parse(&text, None) {
            let few = four();
            let found = search(&few, &inbox(), &key).unwrap();
            let others = search(&few, &inbox(), &key.negated()).unwrap();
            // A message is found by a key or by its negation, never by both.
            prop_assert_eq!(found.len() + others.len(), 4);
            prop_assert!(found.iter().all(|uid| !others.contains(uid)));
        }
    }
}
