//! What scripts ask about the account: RFC 5490, RFC 6134, RFC 7352, RFC 8579, RFC 9042.

use super::*;

#[test]
fn mailboxes() {
    let require = "\"mailbox\",\"mailboxid\",\"special-use\",\"fileinto\"";
    answers(
        require,
        MAIL,
        &[
            // RFC 5490 §3.1
            ("mailboxexists \"inbox\"", true),
            ("mailboxexists [\"Lists\", \"Work.Urgent\"]", true),
            ("mailboxexists [\"Lists\", \"Partners\"]", false),
            // RFC 9042
            ("mailboxidexists \"F1\"", true),
            ("mailboxidexists [\"F1\", \"F2\"]", false),
            // RFC 8579 §3
            ("specialuse_exists \"\\\\Archive\"", true),
            ("specialuse_exists \"\\\\archive\"", true),
            ("specialuse_exists [\"\\\\Archive\", \"\\\\Junk\"]", false),
            ("specialuse_exists \"Lists\" \"\\\\Archive\"", true),
            ("specialuse_exists \"INBOX\" \"\\\\Archive\"", false),
            ("specialuse_exists \"None\" \"\\\\Archive\"", false),
        ],
    );
    for (source, expected) in [
        // RFC 9042 §4: by its id, else by its name.
        ("fileinto :mailboxid \"F1\" \"Other\";", "fileinto Lists"),
        ("fileinto :mailboxid \"F2\" \"Other\";", "fileinto Other"),
        ("fileinto :mailboxid \"F2\" :create \"Other\";", "fileinto Other create"),
        ("fileinto :mailboxid \"F1\" :create \"Other\";", "fileinto Lists"),
        // RFC 8579 §4
        ("fileinto :specialuse \"\\\\Archive\" \"Other\";", "fileinto Lists"),
        ("fileinto :specialuse \"\\\\Junk\" \"Other\";", "fileinto Other"),
    ] {
        let source = format!("require [{require}]; {source}");
        assert_eq!(words(&evaluate(&source, MAIL)), expected, "{source}");
    }
    for (source, message) in [
        (
            "fileinto :mailboxid \"F1\" :specialuse \"\\\\Junk\" \"Other\";",
            "does not go together",
        ),
        ("if specialuse_exists \"\\\\Spam\" { keep; }", "no special use"),
        ("if specialuse_exists \"Junk\" { keep; }", "no special use"),
        ("if mailboxidexists { keep; }", "ids of mailboxes"),
    ] {
        let error = evaluate(&format!("require [{require}]; {source}"), MAIL)
            .error
            .expect(source);
        assert_eq!(error.kind, ErrorKind::Compile, "{source}");
        assert!(error.message.contains(message), "{source}: {error}");
    }
    assert_eq!(
        warnings("require \"mailbox\"; if mailboxexists \"a..b\" { keep; }").len(),
        1
    );
}

#[test]
fn annotations() {
    answers(
        "\"mboxmetadata\",\"servermetadata\",\"relational\"",
        MAIL,
        &[
            // RFC 5490 §3.3
            (
                "metadata :is \"INBOX\" \"/private/vendor/vendor.isode/auto-replies\" \"on\"",
                true,
            ),
            (
                "metadata :contains \"INBOX\" \"/shared/comment\" [\"x\", \"of all\"]",
                true,
            ),
            ("metadata :count \"eq\" \"INBOX\" \"/shared/comment\" \"1\"", true),
            ("metadata :contains \"INBOX\" \"/shared/none\" \"\"", false),
            ("metadata :contains \"Nowhere\" \"/shared/comment\" \"\"", false),
            // RFC 5490 §3.4
            ("metadataexists \"INBOX\" \"/shared/comment\"", true),
            (
                "metadataexists \"INBOX\" [\"/shared/comment\", \"/private/comment\"]",
                false,
            ),
            ("metadataexists \"Lists\" \"/shared/comment\"", false),
            // RFC 5490 §4
            (
                "servermetadata :matches \"/private/vendor/vendor.isode/auto-replies\" \"o*\"",
                true,
            ),
            ("servermetadata \"/shared/comment\" \"x\"", false),
            (
                "servermetadataexists [\"/private/vendor/vendor.isode/auto-replies\"]",
                true,
            ),
            ("servermetadataexists \"/shared/comment\"", false),
        ],
    );
    for name in [
        "comment",
        "/comment",
        "/private/",
        "/private//a",
        "/shared/a*",
        "/shared/ä",
    ] {
        let source = format!("require \"servermetadata\"; if servermetadataexists \"{name}\" {{ keep; }}");
        let error = evaluate(&source, MAIL).error.expect(name);
        assert!(error.message.contains("name of an annotation"), "{error}");
    }
}

#[test]
fn lists() {
    let require = "\"extlists\",\"envelope\",\"variables\",\"date\"";
    answers(
        require,
        MAIL,
        &[
            // RFC 6134
            ("envelope :list \"from\" \":addrbook:default\"", true),
            ("address :list \"from\" [\":addrbook:default\"]", true),
            ("address :list \"to\" \":addrbook:default\"", false),
            (
                "date :list :originalzone \"date\" \"date\" \"tag:example.com,2011-01-01:localHolidays\"",
                true,
            ),
            ("string :list \"sender@example.com\" \":addrbook:default\"", true),
            // RFC 6134
            ("valid_ext_list \":addrbook:default\"", true),
            (
                "valid_ext_list [\":addrbook:default\", \"tag:example.com,2026:none\"]",
                false,
            ),
        ],
    );
    for (source, expected) in [
        // RFC 6134
        (
            "redirect :list \"tag:example.com,2010-05-28:mylist\";",
            "redirect a@example.net; redirect b@example.net",
        ),
        (
            "redirect :list \"tag:example.com,2026:none\";",
            "keep; error: redirect: there is no list \"tag:example.com,2026:none\"",
        ),
        (
            "if string :list \"x\" \"tag:example.com,2026:none\" { discard; }",
            "keep; error: there is no list \"tag:example.com,2026:none\"",
        ),
        (
            "if valid_ext_list \"tag:example.com,2026:broken\" { discard; }",
            "keep; error: cannot read the list \"tag:example.com,2026:broken\": broken disk",
        ),
        (
            "if string :list :comparator \"i;octet\" \"x\" \":addrbook:default\" { discard; }",
            "keep; error: `:list` does not go together with `:comparator`",
        ),
    ] {
        let source = format!("require [{require}]; {source}");
        assert_eq!(words(&evaluate(&source, MAIL)), expected, "{source}");
    }
    for source in [
        "if string :list \"x\" \"my list\" { discard; }",
        "if string :list \"x\" \"\" { discard; }",
        "redirect :list \"my list\";",
    ] {
        let error = evaluate(&format!("require [{require}]; {source}"), MAIL)
            .error
            .expect(source);
        assert!(error.message.contains("name of a list"), "{source}: {error}");
    }
}

#[test]
fn duplicates() {
    let twice = "Message-ID: <2@example.com>\r\nX-Id:  seen-before \r\nX-Id: other\r\n\r\n";
    let bare = "Subject: x\r\n\r\n";
    let week = 7 * 86_400;
    for (test, mail, expected) in [
        // RFC 7352 §5.1: three ways to say the same.
        ("duplicate", twice, format!("keep; remember 2@example.com {week}")),
        (
            "duplicate :header \"message-id\"",
            twice,
            format!("keep; remember 2@example.com {week}"),
        ),
        (
            "allof (header :matches \"message-id\" \"*\", duplicate :uniqueid \"${0}\")",
            twice,
            format!("keep; remember 2@example.com {week}"),
        ),
        // §3: the first of several fields, without white space around it.
        ("duplicate :header \"x-id\"", twice, "discard".to_owned()),
        (
            "duplicate :last :seconds 1800 :header \"x-id\"",
            twice,
            "discard; remember seen-before 1800".to_owned(),
        ),
        (
            "duplicate :handle \"h\" :seconds 9999999999 :uniqueid \"a\"",
            twice,
            format!("keep; remember ha {}", 90 * 86_400),
        ),
        // §3: what is not there is no duplicate.
        ("duplicate", bare, "keep".to_owned()),
        ("duplicate :header \"x-id\"", bare, "keep".to_owned()),
        ("duplicate :uniqueid \"${none}\"", bare, "keep".to_owned()),
        // §3: equal tests of one run have equal answers.
        (
            "anyof (duplicate :uniqueid \"a\", duplicate :uniqueid \"a\")",
            bare,
            format!("keep; remember a {week}; remember a {week}"),
        ),
    ] {
        let source = format!("require [\"duplicate\",\"variables\"]; if {test} {{ discard; }}");
        assert_eq!(words(&evaluate(&source, mail)), expected, "{test}");
    }
    // §3: nothing is remembered where the script fails.
    let source = "require [\"duplicate\",\"ihave\"]; if duplicate { discard; } error \"no\";";
    assert_eq!(words(&evaluate(source, MAIL)), "keep; error: no");
    let source = "require \"duplicate\"; if duplicate :header \"a\" :uniqueid \"b\" { discard; }";
    let error = evaluate(source, MAIL).error.unwrap();
    assert!(error.message.contains("does not go together"), "{error}");
}
