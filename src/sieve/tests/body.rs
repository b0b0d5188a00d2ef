//! `body`, RFC 5173.

use super::*;

const MIXED: &str = "From: a@example.com\r\nSubject: MAKE nothing\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    Prologue here\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\
    \r\nthe missile is =E4t the caf=E9\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>project <b>schedule</b></p>\r\n\
    --b\r\nContent-Type: audio/mp3\r\nContent-Transfer-Encoding: base64\r\n\r\nTUFLRSBNT05FWSBGQVNU\r\n\
    --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner one\r\nContent-Type: text/x-odd\r\n\r\ninner words\r\n\
    --b--\r\nEpilogue there\r\n";

fn check(mail: &str, rows: &[(&str, bool)]) {
    for (test, expected) in rows {
        let source = format!(
            "require [\"body\",\"relational\",\"comparator-i;ascii-numeric\",\"variables\",\"regex\"]; \
             set \"kind\" \"text\"; if {test} {{ discard; }}"
        );
        let expected = if *expected { "discard" } else { "keep" };
        assert_eq!(words(&evaluate(&source, mail)), expected, "{test}");
    }
}

#[test]
fn the_examples_of_rfc_5173() {
    let source = r#"require ["body", "fileinto"];
        if body :raw :contains "MAKE MONEY FAST" { discard; stop; }
        if body :content "text" :contains ["missile", "coordinates"] { fileinto "secrets"; }
        if body :content "audio/mp3" :contains "" { fileinto "jukebox"; }
        if body :text :contains "project schedule" { fileinto "project.schedule"; }"#;
    assert_eq!(
        words(&evaluate(source, MIXED)),
        "fileinto secrets; fileinto jukebox; fileinto project.schedule"
    );
    let plain = MIXED.replace("Prologue here", "make MONEY fast");
    assert_eq!(words(&evaluate(source, &plain)), "discard");
}

#[test]
fn raw_is_all_behind_the_header() {
    // RFC 5173 §5.1
    check(
        MIXED,
        &[
            ("body :raw :contains \"subject: make\"", false),
            ("body :raw :contains \"caf=E9\"", true),
            ("body :raw :contains \"café\"", false),
            ("body :raw :contains \"--b\"", true),
            ("body :raw :contains \"content-type: audio/mp3\"", true),
            ("body :raw :matches \"Prologue*there?*\"", true),
            ("body :raw :count \"eq\" :comparator \"i;ascii-numeric\" \"1\"", true),
        ],
    );
}

#[test]
fn content_is_chosen_by_type() {
    // RFC 5173 §5.2
    check(
        MIXED,
        &[
            ("body :content \"text\" :contains \"ät the café\"", true),
            ("body :content \"TEXT/Plain\" :contains \"missile\"", true),
            ("body :content \"text/html\" :contains \"missile\"", false),
            ("body :content \"text/html\" :contains \"<b>schedule\"", true),
            ("body :content [\"image\", \"${kind}\"] :contains \"missile\"", true),
            ("body :content \"\" :contains \"MAKE MONEY\"", true),
            ("body :content \"audio\" :is \"make money fast\"", true),
            ("body :content \"text\" :contains \"inner words\"", true),
            ("body :content \"text/x-odd\" :is \"inner words\"", true),
            // These are the types of no part.
            ("body :content \"text/\" :contains \"\"", false),
            ("body :content \"/plain\" :contains \"\"", false),
            ("body :content \"text/plain/x\" :contains \"\"", false),
            ("body :content \"image\" :contains \"\"", false),
            // Of containers what is theirs alone.
            ("body :content \"multipart\" :is \"Prologue here\"", true),
            ("body :content \"multipart/mixed\" :contains \"Epilogue\"", true),
            ("body :content \"multipart\" :contains \"missile\"", false),
            ("body :content \"multipart\" :contains \"--b\"", false),
            ("body :content \"message/rfc822\" :contains \"subject: inner\"", true),
            ("body :content \"message\" :contains \"inner words\"", false),
            ("body :content \"message\" :contains \"\"", true),
            (
                "body :content \"multipart\" :count \"eq\" :comparator \"i;ascii-numeric\" \"2\"",
                true,
            ),
            (
                "body :content \"text\" :count \"eq\" :comparator \"i;ascii-numeric\" \"3\"",
                true,
            ),
        ],
    );
}

#[test]
fn text_is_for_people() {
    // RFC 5173 §5.3, and the default of §5
    check(
        MIXED,
        &[
            ("body :text :contains \"café\"", true),
            ("body :contains \"café\"", true),
            ("body :contains \"project schedule\"", true),
            ("body :contains \"<b>\"", false),
            ("body :contains \"MAKE MONEY\"", false),
            ("body :comparator \"i;octet\" :contains \"MISSILE\"", false),
            ("body :regex \"missile.*caf\"", true),
        ],
    );
}

#[test]
fn wildcards_set_no_variables() {
    // RFC 5173 §6
    let head = "require [\"body\",\"variables\",\"regex\",\"fileinto\"]; if header :matches \"subject\" \"*\" {} ";
    for test in ["body :matches \"b*\"", "body :regex \"b(.*)\""] {
        let source = format!("{head} if {test} {{ fileinto \"${{1}}\"; }}");
        assert_eq!(words(&evaluate(&source, MAIL)), "fileinto Hello", "{test}");
    }
}

#[test]
fn without_an_empty_line_there_is_no_body() {
    // RFC 5173 §4
    for (mail, expected) in [
        ("Subject: x\r\n", false),
        ("Subject: x", false),
        ("", false),
        ("Subject: x\r\n\r\n", true),
        ("Subject: x\n\n", true),
    ] {
        check(
            mail,
            &[("body :raw :contains \"\"", expected), ("body :is \"\"", expected)],
        );
    }
}

#[test]
fn what_cannot_be_a_multipart_is_text() {
    // RFC 2045 §5.2
    check(
        "Content-Type: multipart/mixed\r\n\r\nbuy now\r\n",
        &[
            ("body :contains \"buy now\"", true),
            ("body :content \"text/plain\" :contains \"buy now\"", true),
            ("body :content \"multipart\" :contains \"\"", false),
        ],
    );
}

#[test]
fn faults() {
    for (test, column, words) in [
        ("body :raw :text \"x\"", 27, "does not go together"),
        ("body :content \"text\" :raw \"x\"", 31, "does not go together"),
        ("body", 17, "needs keys"),
        ("body :content \"x\"", 17, "needs keys"),
    ] {
        let source = format!("require \"body\";if {test} {{ keep; }}").replace("body\";if", "body\";\nif");
        let error = evaluate(&source, MAIL).error.expect(test);
        assert!(error.message.contains(words), "{test}: {error}");
        assert_eq!(error.line, Some(2), "{test}: {error}");
        assert!(error.column.is_some_and(|at| at <= column), "{test}: {error}");
    }
}

#[test]
fn hostile_bodies_cost_little() {
    let began = std::time::Instant::now();
    let base64 = "QUJD".repeat(19) + "\r\n";
    let giant = format!(
        "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        base64.repeat(100_000)
    );
    let source = "require \"body\"; if body :contains \"zzz\" { discard; }";
    assert_eq!(words(&evaluate(source, &giant)), "keep");
    let many = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
        "--b\r\n\r\nx\r\n".repeat(50_000)
    );
    assert_eq!(words(&evaluate(source, &many)), "keep");
    let deep: String = (0..5000)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
        .collect();
    let all = "require \"body\"; if body :content \"\" :contains \"zzz\" { discard; }";
    assert_eq!(words(&evaluate(all, &deep)), "keep");
    let nul = "Content-Type: text/html; charset=utf-16\r\n\r\n\0\0\u{fffd}<<<<&&&&\0";
    assert_eq!(words(&evaluate(all, nul)), "keep");
    let page = format!("Content-Type: text/html\r\n\r\n{}", "<a<b&".repeat(500_000));
    assert_eq!(words(&evaluate(source, &page)), "keep");
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn parts_are_bounded() {
    let mail = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
        "--b\r\n\r\nx\r\n".repeat(20)
    );
    let options = Options {
        max_parts: 10,
        ..Options::default()
    };
    let source = "require \"body\"; if body :contains \"y\" { discard; }";
    let evaluation = evaluate_with(&user(source), mail.as_bytes(), "a@example.com", options);
    assert_eq!(
        words(&evaluation),
        "keep; error: the script looks at more than 10 parts"
    );
    // A part that was looked at once is known.
    let again = source.to_owned() + &" if body :contains \"y\" { discard; }".repeat(200);
    assert_eq!(words(&evaluate(&again, &mail)), "keep");
}
