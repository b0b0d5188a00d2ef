//! Comparing, variables and flags, sentence by sentence: RFC 4790, RFC 5228 §2.7, RFC 5229, RFC 5231, RFC 5232,
//! RFC 5233.

use super::*;

#[test]
fn relations() {
    let mail = "To: jon@example.org, tim@example.org, ann@example.org\r\nCc: bob@example.net\r\n\
        X-Priority: 3\r\nSubject: _\r\nX-Text: abc\r\n\r\n";
    answers(
        "\"relational\",\"comparator-i;ascii-numeric\"",
        mail,
        &[
            // RFC 5231 §7
            (
                "header :value \"lt\" :comparator \"i;ascii-numeric\" [\"x-priority\"] [\"4\"]",
                true,
            ),
            (
                "address :count \"gt\" :comparator \"i;ascii-numeric\" [\"to\"] [\"2\"]",
                true,
            ),
            (
                "address :count \"gt\" :comparator \"i;ascii-numeric\" [\"to\"] [\"3\"]",
                false,
            ),
            (
                "address :count \"ge\" :comparator \"i;ascii-numeric\" [\"to\", \"cc\"] [\"4\"]",
                true,
            ),
            // RFC 5231 §4.2: of header, the fields.
            ("header :count \"eq\" [\"to\", \"cc\"] \"2\"", true),
            ("header :count \"eq\" \"x-none\" \"0\"", true),
            (
                "header :value \"eq\" :comparator \"i;ascii-numeric\" \"x-none\" \"0\"",
                false,
            ),
            // RFC 5231 §4.1: text.
            ("header :value \"gt\" \"x-text\" \"ABB\"", true),
            ("header :value \"le\" \"x-text\" \"ABC\"", true),
            ("header :value \"ne\" \"x-text\" \"abc\"", false),
            ("header :value \"gt\" :comparator \"i;octet\" \"x-text\" \"ABZ\"", true),
            // RFC 4790 §9.1.1: what does not begin with a digit is greater than every number.
            (
                "header :value \"gt\" :comparator \"i;ascii-numeric\" \"x-text\" \"999999999999\"",
                true,
            ),
            (
                "header :value \"eq\" :comparator \"i;ascii-numeric\" \"x-text\" \"none\"",
                true,
            ),
            // RFC 4790 §9.2.1: letters are compared as upper case.
            ("header :value \"gt\" \"subject\" \"a\"", true),
        ],
    );
    let error = |source: &str| evaluate(source, MAIL).error.expect(source).message;
    let value = |relation: &str| {
        error(&format!(
            "require \"relational\"; if header :value \"{relation}\" \"a\" \"b\" {{ keep; }}"
        ))
    };
    assert!(value("=").contains("no relation"));
    let both = "require \"relational\"; if header :is :value \"gt\" \"a\" \"b\" { keep; }";
    assert!(error(both).contains("does not go together"));
}

#[test]
fn strings_and_match_variables() {
    answers(
        "\"variables\",\"relational\",\"comparator-i;ascii-numeric\"",
        MAIL,
        &[
            // RFC 5229 §5: an empty string counts 0.
            ("string :count \"eq\" [\"a\", \"\", \"${none}\"] \"1\"", true),
            ("string \"${none}\" \"\"", true),
            // RFC 5229 §3.2: as short as they can be, from the left.
            (
                "allof (string :matches \"a-b-c\" \"*-*\", string \"${1}|${2}\" \"a|b-c\")",
                true,
            ),
            ("allof (string :matches \"x\" \"*\", string \"${9}${10}\" \"\")", true),
            // A test that fails leaves them as they were.
            (
                "allof (string :matches \"abc\" \"?*\", not string :matches \"abc\" \"x*\", string \"${1}\" \"a\")",
                true,
            ),
            // Only :matches and :regex set them.
            (
                "allof (string :matches \"abc\" \"?*\", string :contains \"xyz\" \"y\", string \"${1}\" \"a\")",
                true,
            ),
            ("allof (string :matches \"abc\" \"\\\\?*\", true)", false),
            // The first key that fits.
            (
                "allof (string :matches \"abc\" [\"x*\", \"a*\", \"*c\"], string \"${1}\" \"bc\")",
                true,
            ),
        ],
    );
}

#[test]
fn flags_in_one_string_are_a_list() {
    let head = "require [\"imap4flags\",\"variables\",\"relational\",\"comparator-i;ascii-numeric\"];";
    // RFC 5232 §2, §4
    for (source, expected) in [
        ("setflag \"a b\"; if hasflag \"c b\" { discard; }", "discard"),
        ("setflag \"a b\"; if hasflag \"a b\" { discard; }", "discard"),
        ("setflag \"a b\"; if hasflag \"ab\" { discard; }", "keep [a b]"),
        (
            "setflag \"label\"; if hasflag :contains \"x abe\" { discard; }",
            "discard",
        ),
        (
            "setflag \"label\"; if hasflag :matches \"x l*\" { discard; }",
            "discard",
        ),
        (
            "setflag \"a b\"; set \"f\" \"c B\"; if hasflag \"${f}\" { discard; }",
            "discard",
        ),
        (
            "set \"f\" \"a b\"; if hasflag :count \"eq\" :comparator \"i;ascii-numeric\" \"f\" \"2\" { discard; }",
            "discard",
        ),
        (
            "set \"f\" \"a b\"; set \"g\" \"c\"; if hasflag [\"f\", \"g\"] \"C\" { discard; }",
            "discard",
        ),
        (
            "addflag \"f\" [\"a\", \"A b\"]; if string \"${f}\" \"a b\" { discard; }",
            "discard",
        ),
        (
            "set \"f\" \"a b c\"; removeflag \"f\" \"B\"; if string \"${f}\" \"a c\" { discard; }",
            "discard",
        ),
        ("setflag \"a\"; setflag \"\"; keep;", "keep"),
    ] {
        assert_eq!(
            words(&evaluate(&format!("{head} {source}"), MAIL)),
            expected,
            "{source}"
        );
    }
}

#[test]
fn parts_of_addresses() {
    let mail = "To: \"Ken\" <ken+sieve@example.org>, <joe@example.com>\r\nCc: group: a+@example.net;\r\n\r\n";
    answers(
        "\"subaddress\",\"relational\",\"comparator-i;ascii-numeric\"",
        mail,
        &[
            // RFC 5233 §4, §5
            ("address :user \"to\" \"ken\"", true),
            ("address :detail \"to\" \"sieve\"", true),
            ("address :localpart \"to\" \"ken+sieve\"", true),
            ("address :user \"to\" \"joe\"", true),
            // §4: without a separator there is no detail; with nothing behind it, it is empty.
            ("address :detail \"to\" \"\"", false),
            ("address :detail \"cc\" \"\"", true),
            ("address :detail :count \"eq\" \"to\" \"1\"", true),
            // RFC 5228 §5.1: never the name.
            ("address :contains \"to\" \"Ken\\\"\"", false),
            ("address :all \"to\" \"JOE@example.com\"", true),
        ],
    );
}
