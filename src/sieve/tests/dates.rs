//! `date`, `currentdate`, `:index`: RFC 5260.

use super::*;

const REQUIRE: &str = "\"date\",\"index\",\"relational\",\"variables\",\"comparator-i;ascii-numeric\"";

const DATED: &str = "Date: Mon, 1 Jun 2026 23:34:56 -0430\r\n\
    Received: from a by b; Tue, 2 Jun 2026 10:00:00 +0200\r\n\
    Received: from c by a (x; y); Tue, 2 Jun 2026 09:59:00 +0200\r\n\
    X-Bad: 29 Feb 2026 10:00:00 +0000\r\nX-Empty:\r\n\r\n";

#[test]
fn parts_of_dates_in_fields() {
    answers(
        REQUIRE,
        DATED,
        &[
            // §4.1
            ("date :originalzone \"date\" \"date\" \"2026-06-01\"", true),
            ("date :zone \"+0000\" \"date\" \"date\" \"2026-06-02\"", true),
            ("date :zone \"-0430\" \"date\" \"time\" \"23:34:56\"", true),
            ("date :zone \"+0000\" \"date\" \"zone\" \"+0000\"", true),
            ("date :originalzone \"DATE\" \"ZONE\" \"-0430\"", true),
            (
                "allof (string \"\" \"\", date :zone \"+1400\" \"date\" \"hour\" \"18\")",
                true,
            ),
            // §4.2
            ("date :originalzone \"date\" \"weekday\" \"1\"", true),
            ("date :originalzone \"date\" \"julian\" \"61192\"", true),
            (
                "date :originalzone \"date\" \"iso8601\" \"2026-06-01T23:34:56-04:30\"",
                true,
            ),
            (
                "date :originalzone \"date\" \"std11\" \"Mon, 01 Jun 2026 23:34:56 -0430\"",
                true,
            ),
            // §4: the end of a field with a semicolon; of several fields the first.
            ("date :originalzone \"received\" \"minute\" \"00\"", true),
            ("date :index 2 :originalzone \"received\" \"minute\" \"59\"", true),
            ("date :last :index 1 :originalzone \"received\" \"minute\" \"59\"", true),
            ("date :index 3 :originalzone \"received\" \"minute\" \"59\"", false),
            // §4: no field, no date, no day of the calendar.
            ("date :matches \"x-none\" \"date\" \"*\"", false),
            ("date :matches \"x-bad\" \"date\" \"*\"", false),
            ("date :matches \"x-empty\" \"date\" \"*\"", false),
            // §4: :count
            ("date :count \"eq\" \"date\" \"date\" \"1\"", true),
            ("date :count \"eq\" \"x-none\" \"date\" \"0\"", true),
            ("date :count \"eq\" \"x-bad\" \"date\" \"0\"", true),
            // §4.4: the example.
            (
                "allof (header :is \"x-none\" \"\", date :value \"ge\" :originalzone \"date\" \"hour\" \"09\", \
                 date :value \"lt\" :originalzone \"date\" \"hour\" \"17\")",
                false,
            ),
            (
                "anyof (date :is \"received\" \"weekday\" \"0\", date :is \"received\" \"weekday\" \"2\")",
                true,
            ),
        ],
    );
}

#[test]
fn now() {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let tomorrow = now.checked_add(jiff::SignedDuration::from_hours(24)).unwrap();
    let day = |moment: &jiff::Zoned| moment.strftime("%Y-%m-%d").to_string();
    let (today, tomorrow) = (day(&now), day(&tomorrow));
    // §5.1: between two days.
    let between = format!(
        "allof (currentdate :zone \"+0000\" :value \"ge\" \"date\" \"{today}\", \
         currentdate :zone \"+0000\" :value \"le\" \"date\" \"{tomorrow}\")"
    );
    answers(
        REQUIRE,
        MAIL,
        &[
            (between.as_str(), true),
            ("currentdate :value \"lt\" \"year\" \"2020\"", false),
            ("currentdate :matches \"iso8601\" \"????-??-??T??:??:??*\"", true),
            ("currentdate :zone \"+0530\" \"zone\" \"+0530\"", true),
            ("currentdate :count \"eq\" \"year\" \"1\"", true),
            // §4.3: numbers without a zero before them.
            (
                "currentdate :value \"ge\" :comparator \"i;ascii-numeric\" \"month\" \"1\"",
                true,
            ),
        ],
    );
    // One moment for the whole run.
    let source = format!(
        "require [{REQUIRE},\"fileinto\"]; if currentdate :matches :zone \"+0000\" \"iso8601\" \"*\" {{ set \"a\" \"${{1}}\"; }} \
         if currentdate :zone \"+0000\" \"iso8601\" \"${{a}}\" {{ discard; }}"
    );
    assert_eq!(words(&evaluate(&source, MAIL)), "discard");
}

#[test]
fn constants_are_checked() {
    for (test, at, message) in [
        ("date :zone \"CET\" \"date\" \"hour\" \"1\"", "\"CET\"", "no time zone"),
        ("date \"date\" \"hours\" \"1\"", "\"hours\"", "no part \"hours\""),
        (
            "date :zone \"+0100\" :originalzone \"date\" \"hour\" \"1\"",
            ":originalzone",
            "`:zone`",
        ),
        ("date \"da te\" \"hour\" \"1\"", "\"da te\"", "name of a header field"),
        (
            "currentdate :originalzone \"hour\" \"1\"",
            ":originalzone",
            "no tag `:originalzone`",
        ),
        // RFC 5260 §6: of the tests only these three have it.
        ("exists :index 1 \"date\"", ":index", "no tag `:index`"),
        ("date :index 0 \"date\" \"hour\" \"1\"", "0 ", "from 1"),
        ("date :last \"date\" \"hour\" \"1\"", ":last", ":index"),
    ] {
        let source = format!("if {test} {{ discard; }}");
        let column = u32::try_from(source.find(at).expect(at) + 1).unwrap();
        let source = format!("require [\"date\",\"index\"];\n{source}");
        let error = evaluate(&source, MAIL).error.expect(test);
        assert_eq!(error.kind, ErrorKind::Compile, "{test}");
        assert!(error.message.contains(message), "{test}: {error}");
        assert_eq!((error.line, error.column), (Some(2), Some(column)), "{test}: {error}");
    }
    // With variables the same is found out when it runs.
    for source in [
        "set \"z\" \"CET\"; if date :zone \"${z}\" \"date\" \"hour\" \"1\" { discard; }",
        "set \"p\" \"hours\"; if date \"date\" \"${p}\" \"1\" { discard; }",
    ] {
        let evaluation = evaluate(&format!("require [{REQUIRE}]; {source}"), MAIL);
        assert_eq!(evaluation.error.expect(source).kind, ErrorKind::Runtime);
    }
    for (test, warned) in [
        ("currentdate \"hour\" \"9\"", true),
        ("currentdate \"date\" \"1.6.2026\"", true),
        ("currentdate \"hour\" \"09\"", false),
        ("currentdate :contains \"date\" \"2026\"", false),
        (
            "currentdate :value \"ge\" :comparator \"i;ascii-numeric\" \"hour\" \"9\"",
            false,
        ),
    ] {
        let warnings = warnings(&format!("require [{REQUIRE}]; if {test} {{ discard; }}"));
        assert_eq!(!warnings.is_empty(), warned, "{test}: {warnings:?}");
    }
}

#[test]
fn one_of_several_fields() {
    // §6.1
    let mail = "Received: from a\r\nReceived: from b\r\nReceived: from c\r\n\
        To: x@example.org\r\nTo: y@example.com\r\n\r\n";
    answers(
        REQUIRE,
        mail,
        &[
            ("header :index 1 \"received\" \"from a\"", true),
            ("header :index 2 \"received\" [\"from a\", \"from b\"]", true),
            ("header :index 1 :last \"received\" \"from c\"", true),
            ("header :index 3 :last \"received\" \"from a\"", true),
            ("header :index 4 :contains \"received\" \"\"", false),
            ("header :index 4 :last :contains \"received\" \"\"", false),
            ("address :index 2 :domain \"to\" \"example.com\"", true),
            ("address :index 1 :domain \"to\" \"example.com\"", false),
            ("header :index 2 :count \"eq\" [\"received\", \"to\"] \"2\"", true),
        ],
    );
}
