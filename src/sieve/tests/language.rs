//! The language itself: what sieve-rs would read otherwise.

use super::*;

#[test]
fn strings_are_read_by_the_rfc() {
    let mail = "Subject: a\\b\r\nX-Dollar: ${x}\r\n\r\n";
    for (source, expected) in [
        // A backslash at the end of a string.
        (r#"if header :contains "subject" "a\\" { discard; }"#, "discard"),
        (r#"if header :is "subject" "a\\b" { discard; }"#, "discard"),
        (r#"if header :is "subject" "a\b" { discard; }"#, "keep"),
        (r#"require "fileinto"; fileinto "\n\t\x";"#, "fileinto ntx"),
        // Without variables, ${x} is text.
        (r#"if header :is "x-dollar" "${x}" { discard; }"#, "discard"),
        (
            r#"require "variables"; if header :is "x-dollar" "${x}" { discard; }"#,
            "keep",
        ),
        (r#"require "fileinto"; fileinto "${hex:41}";"#, "fileinto ${hex:41}"),
        (
            r#"require ["fileinto","encoded-character"]; fileinto "${hex:41}${unicode:e4}";"#,
            "fileinto Aä",
        ),
        (
            r#"require ["fileinto","variables"]; set "a" "b"; fileinto "${A}${a-b}${unset}";"#,
            "fileinto b${a-b}",
        ),
        (
            "require \"regex\"; if header :regex \"subject\" \"^a\\\\\\\\b$\" { discard; }",
            "discard",
        ),
    ] {
        assert_eq!(words(&evaluate(source, mail)), expected, "{source}");
    }
}

#[test]
fn long_strings_compile() {
    let long = "x".repeat(100_000);
    let source = format!("require \"reject\"; reject text:\n{long}\n.\n;");
    assert!(words(&evaluate(&source, MAIL)).starts_with("reject \"xxx"));
}

#[test]
fn variables_outlive_their_block() {
    let head = "require [\"variables\",\"fileinto\",\"imap4flags\",\"include\"];";
    for (source, expected) in [
        ("if true { set \"a\" \"X\"; } fileinto \"${a}\";", "fileinto X"),
        (
            "if true { if true { set \"a\" \"X\"; } else { set \"a\" \"Y\"; } } fileinto \"${a}\";",
            "fileinto X",
        ),
        (
            "if true { setflag \"f\" \"\\\\Seen\"; } keep :flags \"${f}\";",
            "keep [\\Seen]",
        ),
        ("set :upper \"a\" \"x\"; fileinto \"${a}\";", "fileinto X"),
        ("set :length \"n\" \"äbc\"; fileinto \"n${n}\";", "fileinto n3"),
        (
            "if header :matches \"subject\" \"He*\" { set \"a\" \"${1}\"; } fileinto \"${a}\";",
            "fileinto llo",
        ),
        // Match variables, too.
        (
            "if true { if header :matches \"subject\" \"H*\" { } } fileinto \"${1}\";",
            "fileinto ello",
        ),
        (
            "if not header :matches \"subject\" \"H*\" { stop; } fileinto \"${01}\";",
            "fileinto ello",
        ),
        (
            "if header :matches \"subject\" \"H*o\" { if header \"subject\" \"H${1}o\" { fileinto \"${0}\"; } }",
            "fileinto Hello",
        ),
        (
            "if allof (header :matches \"subject\" \"H*\", string \"${1}\" \"ello\") { fileinto \"${1}\"; }",
            "fileinto ello",
        ),
        (
            "if header :matches \"subject\" \"x*\" { } elsif header :matches \"subject\" \"He*\" { fileinto \"${1}\"; }",
            "fileinto llo",
        ),
        (
            "if header :matches \"subject\" \"H*lo\" { } if header :matches \"subject\" \"H${1}*\" { fileinto \"A${1}B\"; }",
            "fileinto AloB",
        ),
        (
            "if header :matches \"subject\" \"H*\" { if header :matches \"subject\" \"no*\" { } fileinto \"${1}\"; }",
            "fileinto ello",
        ),
        (
            "global \"where\"; include \"global\"; fileinto \"${where}\";",
            "fileinto Lists",
        ),
    ] {
        assert_eq!(words(&evaluate(&format!("{head}{source}"), MAIL)), expected, "{source}");
    }
}

#[test]
fn size_is_that_of_the_message() {
    let mail = format!("Subject: x\r\n\r\n{}", "y".repeat(200_000));
    let size = mail.len();
    for (source, expected) in [
        ("if size :over 100K { discard; }".to_owned(), "discard"),
        ("if size :over 1M { discard; }".to_owned(), "keep"),
        ("if size :under 1M { discard; }".to_owned(), "discard"),
        ("if not size :under 100K { discard; }".to_owned(), "discard"),
        (format!("if size :over {size} {{ discard; }}"), "keep"),
        (format!("if size :under {size} {{ discard; }}"), "keep"),
        (
            format!("if anyof (false, size :over {}) {{ discard; }}", size - 1),
            "discard",
        ),
        (
            format!("if allof (true, not size :over {}) {{ discard; }}", size - 1),
            "keep",
        ),
        ("if size :over 10G { discard; }".to_owned(), "keep"),
        // With the whole message in memory, too.
        (
            "require \"body\"; if body :contains \"y\" { if size :over 100K { discard; } }".to_owned(),
            "discard",
        ),
    ] {
        assert_eq!(words(&evaluate(&source, &mail)), expected, "{source}");
    }
}

#[test]
fn the_body_is_read_only_where_a_script_looks_into_it() {
    let engine = Engine::new(Options::default());
    for (source, whole) in [
        ("keep;", false),
        ("if size :over 1M { discard; }", false),
        ("require \"body\"; keep;", false),
        ("require \"body\"; if body :contains \"x\" { discard; }", true),
        (
            "require \"mime\"; if header :mime :contains \"content-type\" \"x\" { discard; }",
            true,
        ),
        ("require \"foreverypart\"; foreverypart { keep; }", true),
        ("require \"include\"; include \"x\";", true),
        ("broken", false),
    ] {
        assert_eq!(engine.needs_whole(&user(source)), whole, "{source}");
    }
    table(&[
        (
            "require \"body\"; if body :contains \"body text\" { discard; }",
            "discard",
        ),
        ("require \"include\"; include \"body\";", "fileinto Lists"),
        (
            "require [\"foreverypart\",\"extracttext\",\"variables\",\"fileinto\"]; \
             foreverypart { extracttext :first 4 \"t\"; } fileinto \"${t}\";",
            "fileinto body",
        ),
    ]);
}

#[test]
fn several_keys_of_a_string_test_all_count() {
    let head = "require [\"variables\",\"environment\",\"relational\"]; set \"a\" \"x\";";
    for (test, expected) in [
        ("string \"${a}\" [\"x\", \"y\"]", "discard"),
        ("string \"${a}\" [\"y\", \"x\"]", "discard"),
        ("not string \"${a}\" [\"x\", \"y\"]", "keep"),
        ("string :matches \"${a}\" [\"?\", \"zz\"]", "discard"),
        ("string :count \"eq\" [\"${a}\", \"b\"] [\"2\"]", "discard"),
        ("environment \"name\" [\"postroom\", \"other\"]", "discard"),
        ("environment :is \"host\" \"mx.example.org\"", "discard"),
    ] {
        let source = format!("{head} if {test} {{ discard; }}");
        let source = source.replace(":count \"eq\" [", ":count \"eq\" :comparator \"i;octet\" [");
        assert_eq!(words(&evaluate(&source, MAIL)), expected, "{test}");
    }
}

#[test]
fn tests_ask_the_account() {
    let head = "require [\"mailbox\",\"duplicate\",\"mboxmetadata\",\"servermetadata\",\"spamtest\",\"relational\",\
        \"comparator-i;ascii-numeric\",\"special-use\",\"envelope\",\"subaddress\"];";
    for (test, expected) in [
        ("mailboxexists \"Lists\"", "discard"),
        ("mailboxexists [\"INBOX\", \"Work.Urgent\"]", "discard"),
        ("mailboxexists [\"Lists\", \"None\"]", "keep"),
        ("mailboxexists \"../x\"", "keep"),
        ("not mailboxexists \"None\"", "discard"),
        ("duplicate :uniqueid \"seen-before\"", "discard"),
        ("duplicate :uniqueid \"new\"", "keep; remember new 604800"),
        (
            "duplicate :handle \"h\" :seconds 60 :uniqueid \"new\"",
            "keep; remember hnew 60",
        ),
        (
            "duplicate :last :uniqueid \"seen-before\"",
            "discard; remember seen-before 604800",
        ),
        ("duplicate", "keep; remember 1@example.com 604800"),
        ("metadataexists \"INBOX\" \"/private/comment\"", "keep"),
        ("servermetadata \"/shared/x\" \"y\"", "keep"),
        (
            "spamtest :value \"eq\" :comparator \"i;ascii-numeric\" \"0\"",
            "discard",
        ),
        ("specialuse_exists \"\\\\Junk\"", "keep"),
        ("envelope \"from\" \"sender@example.com\"", "discard"),
        ("envelope :detail \"to\" \"lists\"", "discard"),
        ("envelope :user \"to\" \"me\"", "discard"),
        ("envelope :detail [\"to\"] [\"x\", \"LISTS\"]", "discard"),
        ("envelope :detail :matches \"to\" \"*z*\"", "keep"),
        ("not envelope :detail \"to\" [\"lists\", \"x\"]", "keep"),
        (
            "envelope :detail :count \"eq\" :comparator \"i;ascii-numeric\" \"to\" \"1\"",
            "discard",
        ),
        ("envelope :detail :contains \"from\" \"\"", "keep"),
        ("address :domain \"from\" \"example.com\"", "discard"),
        ("exists [\"from\", \"date\"]", "discard"),
        ("exists [\"from\", \"x-none\"]", "keep"),
    ] {
        let source = format!("{head} if {test} {{ discard; }}");
        assert_eq!(words(&evaluate(&source, MAIL)), expected, "{test}");
    }
}

#[test]
fn the_example_of_rfc_5228() {
    // RFC 5228 §9
    let source = r#"
        require ["fileinto"];
        if header :is "Sender" "owner-ietf-mta-filters@imc.org" {
            fileinto "filter";
        } elsif address :DOMAIN :is ["From", "To"] "example.com" {
            keep;
        } elsif anyof (NOT address :all :contains ["To", "Cc", "Bcc"] "me@example.com",
                       header :matches "subject" ["*make*money*fast*", "*university*dipl*mas*"]) {
            fileinto "spam";
        } else {
            fileinto "personal";
        }"#;
    for (mail, expected) in [
        ("Sender: owner-ietf-mta-filters@imc.org\r\n\r\n", "fileinto filter"),
        ("From: a@example.com\r\n\r\n", "keep"),
        ("From: a@b.example\r\nTo: x@c.example\r\n\r\n", "fileinto spam"),
        (
            "From: a@b.example\r\nTo: x@c.example\r\nCc: me@example.com.\r\nSubject: MAKE money FAST\r\n\r\n",
            "fileinto spam",
        ),
        (
            "From: a@b.example\r\nCc: Me <me@example.com.au>\r\n\r\n",
            "fileinto personal",
        ),
    ] {
        assert_eq!(words(&evaluate(source, mail)), expected, "{mail}");
    }
}

#[test]
fn scripts_ask_what_there_is() {
    let head = "require \"ihave\";";
    for (source, expected) in [
        (
            "if ihave \"fileinto\" { fileinto \"A\"; } else { discard; }",
            "fileinto A",
        ),
        (
            "if ihave [\"fileinto\", \"mailboxid\"] { fileinto :mailboxid \"a\" \"b\"; }",
            "fileinto b",
        ),
        // What is not here may be written, but not executed.
        (
            "if ihave \"no-such-thing\" { nosuchcommand; } else { discard; }",
            "discard",
        ),
        (
            "if ihave [\"fileinto\", \"no-such-thing\"] { fileinto :nosuchtag \"A\"; } else { fileinto \"B\"; }",
            "fileinto B",
        ),
        (
            "if allof (ihave \"no-such-thing\", nosuchtest \"x\") { discard; }",
            "keep",
        ),
        (
            "if anyof (ihave \"no-such-thing\", nosuchtest \"x\") { discard; }",
            "keep; error: there is no test \"nosuchtest\"",
        ),
        (
            "if not ihave \"no-such-thing\" { discard; } elsif nosuchtest { keep; }",
            "discard",
        ),
        (
            "if not ihave \"no-such-thing\" { nosuchcommand; }",
            "keep; error: there is no command \"nosuchcommand\"",
        ),
        (
            "if not ihave \"no-such-thing\" { stop; } nosuchcommand :x 1 { keep; }",
            "keep",
        ),
        // Where everything that was asked for is here, what is not known is a mistake.
        ("nosuchcommand;", "keep; error: there is no command \"nosuchcommand\""),
        (
            "if nosuchtest { keep; }",
            "keep; error: there is no test \"nosuchtest\"",
        ),
        (
            "if ihave \"fcc\" { vacation :fcc \"Sent\" \"x\"; }",
            "keep; error: \"vacation\" needs `require \"vacation\"`",
        ),
        ("error \"not today\";", "keep; error: not today"),
        ("error;", "keep; error: `error` needs a message"),
    ] {
        assert_eq!(words(&evaluate(&format!("{head}{source}"), MAIL)), expected, "{source}");
    }
}
