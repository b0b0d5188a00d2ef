//! `spamtest` and `virustest`: RFC 5235.

use super::*;

const REQUIRE: &str = "\"spamtest\",\"spamtestplus\",\"virustest\",\"relational\",\"comparator-i;ascii-numeric\"";

fn field(text: &str) -> FieldPattern {
    text.parse().unwrap()
}

fn points(text: &str) -> Maximum {
    Maximum::Points(text.parse().unwrap())
}

fn scored(spam: Scanner, mail: &str, rows: &[(&str, bool)]) {
    let options = Options {
        spam: SpamSettings {
            spam: Some(spam.clone()),
            virus: None,
        },
        ..Options::default()
    };
    for (test, expected) in rows {
        let source = format!("require [{REQUIRE}]; if {test} {{ discard; }}");
        let evaluation = evaluate_with(&user(&source), mail.as_bytes(), "a@example.com", options.clone());
        let expected = if *expected { "discard" } else { "keep" };
        assert_eq!(words(&evaluation), expected, "{test} {mail:?} {spam:?}");
    }
}

#[test]
fn without_a_scanner_nothing_was_tested() {
    // RFC 5235 §2.2, §2.3, §2.4
    answers(
        REQUIRE,
        "X-Spam-Score: 99\r\n\r\n",
        &[
            ("spamtest \"0\"", true),
            ("spamtest :percent \"0\"", true),
            ("spamtest :count \"eq\" \"0\"", true),
            ("spamtest :percent :count \"ge\" \"1\"", false),
            ("virustest \"0\"", true),
            ("spamtest :value \"ge\" :comparator \"i;ascii-numeric\" \"1\"", false),
        ],
    );
}

#[test]
fn scores() {
    let spamassassin = Scanner {
        field: field("X-Spam-Status: score=(-?[0-9.]+)"),
        scale: Scale::Score(Maximum::Field(field("X-Spam-Status: required=([0-9.]+)"))),
    };
    for (score, value, percent) in [
        ("-3.2", "1", "0"),
        ("0.0", "1", "0"),
        ("0.5", "1", "10"),
        ("3.2", "6", "64"),
        ("4.99", "9", "99"),
        ("5.0", "10", "100"),
        ("50", "10", "100"),
    ] {
        let mail = format!("X-Spam-Status: No, score={score} required=5.0\r\n\r\n");
        scored(
            spamassassin.clone(),
            &mail,
            &[
                (&format!("spamtest \"{value}\""), true),
                (&format!("spamtest :percent \"{percent}\""), true),
                ("spamtest :count \"eq\" \"1\"", true),
                ("virustest \"0\"", true),
            ],
        );
    }
    for untested in [
        "Subject: x\r\n\r\n",
        "X-Spam-Status: No, score=3.2\r\n\r\n",
        "X-Spam-Status: No, score=3.2 required=0\r\n\r\n",
        "X-Spam-Status: No, score=. required=5.0\r\n\r\n",
        // The topmost field is the site's own; what a sender wrote below it is none.
        "X-Spam-Status: skipped\r\nX-Spam-Status: No, score=1 required=5.0\r\n\r\n",
    ] {
        scored(
            spamassassin.clone(),
            untested,
            &[
                ("spamtest \"0\"", true),
                ("spamtest :percent :count \"eq\" \"0\"", true),
            ],
        );
    }
    let rspamd = Scanner {
        field: field(r"X-Spamd-Result: \[(-?[0-9.]+) /"),
        scale: Scale::Score(Maximum::Field(field(r"X-Spamd-Result: / ([0-9.]+)\]"))),
    };
    let mail = "X-Spamd-Result: default: False [7.50 / 15.00];\r\n\tR_SPF_ALLOW(-0.20)[+mx]\r\n\r\n";
    scored(
        rspamd,
        mail,
        &[
            ("spamtest \"5\"", true),
            (
                "spamtest :percent :value \"eq\" :comparator \"i;ascii-numeric\" \"50\"",
                true,
            ),
        ],
    );
}

#[test]
fn lengths_and_words() {
    let level = Scanner {
        field: field("X-Spam-Level"),
        scale: Scale::Length(points("15")),
    };
    for (stars, value) in [("", "1"), ("***", "2"), ("*******", "5"), ("******************", "10")] {
        let mail = format!("X-Spam-Level: {stars}\r\n\r\n");
        scored(level.clone(), &mail, &[(&format!("spamtest \"{value}\""), true)]);
    }
    let verdict = |value, text: &str| Verdict {
        value,
        text: text.to_owned(),
    };
    let virus = Scanner {
        field: field("X-Virus-Scanned: Found to be (.+)\\."),
        scale: Scale::Text(vec![verdict(1, "clean"), verdict(5, "infected"), verdict(0, "unknown")]),
    };
    let options = Options {
        spam: SpamSettings {
            spam: None,
            virus: Some(virus),
        },
        ..Options::default()
    };
    for (found, value) in [("clean", "1"), ("INFECTED", "5"), ("unknown", "0"), ("strange", "0")] {
        let mail = format!("X-Virus-Scanned: Found to be {found}.\r\n\r\n");
        let source = format!("require [{REQUIRE}]; if virustest \"{value}\" {{ discard; }}");
        let evaluation = evaluate_with(&user(&source), mail.as_bytes(), "a@example.com", options.clone());
        assert_eq!(words(&evaluation), "discard", "{found}");
    }
    let words = Scanner {
        field: field("X-Spam-Flag"),
        scale: Scale::Text(vec![verdict(1, "NO"), verdict(10, "YES"), verdict(4, "MAYBE")]),
    };
    for (flag, value, percent) in [("no", "1", "0"), ("Yes", "10", "100"), ("maybe", "4", "33")] {
        let mail = format!("X-Spam-Flag: {flag}\r\n\r\n");
        let rows = [
            (format!("spamtest \"{value}\""), true),
            (format!("spamtest :percent \"{percent}\""), true),
        ];
        let rows: Vec<(&str, bool)> = rows.iter().map(|(test, yes)| (test.as_str(), *yes)).collect();
        scored(words.clone(), &mail, &rows);
    }
}

#[test]
fn percent_needs_spamtestplus() {
    let source = "require \"spamtest\"; if spamtest :percent \"0\" { discard; }";
    let error = evaluate(source, MAIL).error.unwrap();
    assert!(error.message.contains("spamtestplus"), "{error}");
    table(&[
        // RFC 5235 §2.3: spamtestplus alone brings the test.
        ("require \"spamtestplus\"; if spamtest \"0\" { discard; }", "discard"),
        (
            "require \"spamtestplus\"; if spamtest :percent \"0\" { discard; }",
            "discard",
        ),
    ]);
    assert_eq!(
        warnings("require \"virustest\"; if virustest \"6\" { discard; }").len(),
        1
    );
}
