//! The parts of a message: RFC 5703.

use super::*;

const MIXED: &str = "From: Ann <ann@example.com>\r\nTo: me@example.org\r\nSubject: top\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=a\r\n\r\npre\r\n--a\r\n\
    Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\
    Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9 text\r\n--b\r\n\
    Content-Type: text/html\r\n\r\n<p>caf&eacute;</p>\r\n--b--\r\n--a\r\n\
    Content-Type: application/exe; name=\"x.com\"\r\nContent-Disposition: attachment; filename*=utf-8''sch%C3%B6n.EXE\r\n\r\n\
    MZ\r\n--a\r\nContent-Type: message/rfc822\r\n\r\nFrom: bob@example.net\r\nSubject: inner\r\n\r\ninner text\r\n--a--\r\nepi\r\n";

const HEAD: &str = "require [\"mime\",\"foreverypart\",\"extracttext\",\"replace\",\"enclose\",\"variables\",\"relational\",\
    \"comparator-i;ascii-numeric\",\"fileinto\",\"copy\",\"imap4flags\",\"editheader\",\"body\",\"index\",\"vacation\"];";

fn run(source: &str, mail: &str) -> Evaluation {
    evaluate(&format!("{HEAD}{source}"), mail)
}

/// What a variable `v` is at the end.
fn shows(rows: &[(&str, &str)]) {
    for (source, expected) in rows {
        let evaluation = run(&format!("{source} keep; fileinto \"<${{v}}>\";"), MIXED);
        assert_eq!(words(&evaluation), format!("keep; fileinto <{expected}>"), "{source}");
    }
}

#[test]
fn tests_of_fields() {
    // RFC 5703 §4.1, §4.2, §4.3
    for (test, expected) in [
        ("header :mime :type \"Content-Type\" \"multipart\"", true),
        ("header :mime :subtype \"Content-Type\" \"mixed\"", true),
        ("header :mime :contenttype \"Content-Type\" \"multipart/mixed\"", true),
        ("header :mime :contenttype \"Content-Type\" \"text/html\"", false),
        (
            "header :mime :anychild :contenttype \"Content-Type\" \"text/html\"",
            true,
        ),
        (
            "header :mime :anychild :contenttype \"Content-Type\" \"text/plain; charset=iso-8859-1\"",
            false,
        ),
        ("header :mime :param \"boundary\" \"content-type\" \"a\"", true),
        (
            "header :mime :anychild :param [\"name\", \"filename\"] [\"content-type\", \"content-disposition\"] \"x.com\"",
            true,
        ),
        (
            "header :mime :anychild :param \"FileName\" :matches \"content-disposition\" \"schön.*\"",
            true,
        ),
        (
            "header :mime :anychild :param \"filename\" :matches \"content-disposition\" \"*.exe\"",
            true,
        ),
        (
            "header :mime :anychild :param \"filename\" \"content-type\" \"x.com\"",
            false,
        ),
        (
            "header :mime :anychild :type \"content-disposition\" \"attachment\"",
            true,
        ),
        (
            "header :mime :anychild :contenttype \"content-disposition\" \"attachment\"",
            true,
        ),
        ("header :mime :anychild :subtype \"content-disposition\" \"\"", true),
        ("header :mime :type \"subject\" \"\"", true),
        ("header :mime :subtype \"x-none\" \"\"", false),
        ("header :mime \"subject\" \"top\"", true),
        ("header :mime \"subject\" \"inner\"", false),
        ("header :mime :anychild \"subject\" \"inner\"", true),
        ("header \"subject\" \"inner\"", false),
        (
            "header :mime :anychild :count \"eq\" :comparator \"i;ascii-numeric\" \"subject\" \"2\"",
            true,
        ),
        (
            "header :mime :anychild :count \"eq\" :comparator \"i;ascii-numeric\" \"content-type\" \"6\"",
            true,
        ),
        ("header :mime :anychild :index 2 \"subject\" \"top\"", false),
        ("header :mime :anychild :index 1 :last \"subject\" \"inner\"", true),
        ("address :mime :domain \"from\" \"example.com\"", true),
        ("address :mime \"from\" \"bob@example.net\"", false),
        ("address :mime :anychild :localpart \"from\" \"bob\"", true),
        ("exists :mime \"content-disposition\"", false),
        ("exists :mime :anychild \"content-disposition\"", true),
        ("exists :mime :anychild [\"content-disposition\", \"x-none\"]", false),
        ("exists :mime :anychild [\"content-disposition\", \"subject\"]", true),
    ] {
        let expected = if expected { "discard" } else { "keep" };
        assert_eq!(
            words(&run(&format!("if {test} {{ discard; }}"), MIXED)),
            expected,
            "{test}"
        );
    }
}

#[test]
fn loops_go_through_all_parts() {
    // RFC 5703 §3: depth first, the message itself before all.
    let source = "foreverypart { if header :mime :subtype :matches \"content-type\" \"*\" { set \"k\" \"${1}\"; } \
        else { set \"k\" \"none\"; } set \"v\" \"${v} ${k}\"; }";
    shows(&[(source, " mixed alternative plain html exe rfc822 none")]);
}

#[test]
fn loops_within_loops() {
    let count = |source: &str| words(&run(source, MIXED)).matches("fileinto").count();
    // An inner loop goes through what the part at hand holds.
    for (source, expected) in [
        (
            "set \"n\" \"\"; foreverypart { set \"n\" \"x${n}\"; fileinto :copy \"${n}\"; }",
            7,
        ),
        (
            "foreverypart { if header :mime :subtype \"content-type\" \"alternative\" \
             { foreverypart { set \"n\" \"x${n}\"; fileinto :copy \"${n}\"; } } }",
            2,
        ),
        (
            "foreverypart { if header :mime :contenttype \"content-type\" \"text/html\" \
             { foreverypart { fileinto :copy \"A\"; } } }",
            0,
        ),
        (
            "foreverypart { set \"n\" \"x${n}\"; fileinto :copy \"${n}\"; break; }",
            1,
        ),
        (
            "foreverypart { foreverypart { set \"n\" \"x${n}\"; fileinto :copy \"${n}\"; break; } }",
            3,
        ),
        (
            "foreverypart :name \"outer\" { foreverypart :name \"inner\" \
             { set \"n\" \"x${n}\"; fileinto :copy \"${n}\"; break :name \"outer\"; } }",
            1,
        ),
        // The name of an inner loop hides that of an outer one.
        (
            "foreverypart :name \"x\" { foreverypart :name \"x\" \
             { set \"n\" \"x${n}\"; fileinto :copy \"${n}\"; break :name \"x\"; } }",
            3,
        ),
        ("foreverypart { stop; } fileinto \"A\";", 0),
    ] {
        assert_eq!(count(source), expected, "{source}");
    }
}

#[test]
fn faults() {
    for (source, words) in [
        ("break;", "only within `foreverypart`"),
        ("foreverypart { break :name \"x\"; }", "no loop \"x\""),
        (
            "foreverypart :name \"x\" { foreverypart { break :name \"X\"; } }",
            "no loop \"X\"",
        ),
        ("foreverypart;", "commands in braces"),
        ("foreverypart \"x\" { keep; }", "no further argument"),
        ("extracttext \"x\";", "only within `foreverypart`"),
        ("foreverypart { extracttext \"a b\"; }", "not the name of a variable"),
        (
            "foreverypart { extracttext :first \"x\" \"a\"; }",
            "a number is expected",
        ),
        ("if header :anychild \"a\" \"b\" { keep; }", "only with `:mime`"),
        ("if header :type \"a\" \"b\" { keep; }", "only with `:mime`"),
        (
            "if header :mime :type :subtype \"a\" \"b\" { keep; }",
            "does not go together",
        ),
        (
            "if header :mime :param \"x\" :type \"a\" \"b\" { keep; }",
            "does not go together",
        ),
        ("if exists :mime :type \"a\" { keep; }", "no tag `:type`"),
        ("if address :mime :param \"x\" \"a\" \"b\" { keep; }", "no tag `:param`"),
        ("replace :from \"nobody\" \"x\";", "no list of addresses"),
        ("replace;", "needs a replacement"),
        ("enclose :headers \"a b\" \"x\";", "cannot be the name"),
        ("enclose;", "needs a text"),
    ] {
        let error = run(source, MIXED).error.expect(source);
        assert_eq!(error.kind, ErrorKind::Compile, "{source}");
        assert!(error.message.contains(words), "{source}: {error}");
    }
    for (source, words) in [
        (
            "require \"foreverypart\"; foreverypart { extracttext \"x\"; }",
            "extracttext",
        ),
        (
            "require [\"foreverypart\",\"extracttext\"]; foreverypart { extracttext \"x\"; }",
            "variables",
        ),
        ("if header :mime \"a\" \"b\" { keep; }", "require \"mime\""),
        ("foreverypart { keep; }", "foreverypart"),
        ("enclose \"x\";", "enclose"),
    ] {
        let error = evaluate(source, MIXED).error.expect(source);
        assert!(error.message.contains(words), "{source}: {error}");
    }
}

#[test]
fn text_is_extracted() {
    // RFC 5703 §7
    let of = |kind: &str, command: &str| {
        format!("foreverypart {{ if header :mime :contenttype \"content-type\" \"{kind}\" {{ {command} break; }} }}")
    };
    shows(&[
        (&of("text/plain", "extracttext \"v\";"), "café text"),
        (&of("text/plain", "extracttext :first 4 \"v\";"), "café"),
        (&of("text/plain", "extracttext :first 0 \"v\";"), ""),
        (&of("text/plain", "extracttext :upper :first 4 \"v\";"), "CAFÉ"),
        (&of("text/plain", "extracttext :length \"v\";"), "9"),
        (&of("application/exe", "extracttext \"v\";"), "MZ"),
        (&of("multipart/mixed", "set \"v\" \"x\"; extracttext \"v\";"), ""),
        (&of("message/rfc822", "set \"v\" \"x\"; extracttext \"v\";"), ""),
        ("foreverypart { extracttext \"v\"; }", "inner text"),
    ]);
    for (fields, body, expected) in [
        ("Content-Type: text/plain; charset=nonsense", "x", ""),
        ("Content-Type: text/plain; charset=koi8-r", "x", "x"),
        ("Content-Transfer-Encoding: x-uuencode", "x", ""),
        ("Content-Type: text/html", "<b>x</b>&amp;", "x&"),
    ] {
        let mail = format!("{fields}\r\n\r\n{body}");
        let evaluation = run("foreverypart { extracttext \"v\"; } fileinto \"<${v}>\";", &mail);
        assert_eq!(words(&evaluation), format!("fileinto <{expected}>"), "{fields}");
    }
}

/// The message after a script.
fn after(source: &str, mail: &str) -> String {
    let evaluation = run(source, mail);
    assert_eq!(evaluation.error, None, "{source}");
    edition(&evaluation, mail)
}

#[test]
fn parts_are_replaced() {
    // RFC 5703 §9, with §5
    let source = r#"foreverypart {
        if anyof (header :mime :contenttype :is "Content-Type" "application/exe",
                  header :mime :param "filename" :matches ["Content-Type", "Content-Disposition"] "*.com") {
            replace "Executable attachment removed by user filter";
        }
    }"#;
    let expected = MIXED.replace(
        "Content-Type: application/exe; name=\"x.com\"\r\nContent-Disposition: attachment; \
         filename*=utf-8''sch%C3%B6n.EXE\r\n\r\nMZ\r\n",
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
         Executable attachment removed by user filter\r\n",
    );
    assert_ne!(expected, MIXED);
    assert_eq!(after(source, MIXED), expected);
    // With LF, too.
    let lf = |text: &str| text.replace("\r\n", "\n");
    assert_eq!(after(source, &lf(MIXED)), lf(&expected));
    // Fields of other kinds stay.
    let mail = "Content-Type: multipart/mixed; boundary=a\n\n--a\nX-Mine: 1\nContent-Type: a/b\n\nx\n--a--\n";
    assert_eq!(
        after(
            "foreverypart { if header :mime :type \"content-type\" \"a\" { replace text:\ntwo\nlines é\n.\n; } }",
            mail
        ),
        "Content-Type: multipart/mixed; boundary=a\n\n--a\nX-Mine: 1\nContent-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: quoted-printable\n\ntwo\nlines =C3=A9\n\n--a--\n"
    );
}

#[test]
fn replacing_a_multipart_changes_the_loop() {
    // RFC 5703 §5: the loop does not go into what is gone.
    let source = "foreverypart { set \"n\" \"x${n}\"; \
        if header :mime :subtype \"content-type\" \"alternative\" { replace \"gone\"; } } \
        foreverypart { set \"m\" \"y${m}\"; } fileinto \"${n}${m}\";";
    let evaluation = run(source, MIXED);
    assert_eq!(words(&evaluation), "fileinto xxxxxyyyyy");
    assert!(!edition(&evaluation, MIXED).contains("caf"));
    // What stands in its place is seen at once, but not gone through by this loop.
    let source = "foreverypart { set \"n\" \"x${n}\"; \
        if header :mime :subtype \"content-type\" \"alternative\" { replace :mime text:\n\
        Content-Type: multipart/mixed; boundary=new\n\n--new\n\none\n--new\n\ntwo\n--new\n\nthree\n--new--\n.\n; \
        if header :mime :param \"boundary\" \"content-type\" \"new\" { set \"b\" \"seen\"; } } } \
        foreverypart { set \"m\" \"y${m}\"; } fileinto \"${n}${b}${m}\";";
    assert_eq!(words(&run(source, MIXED)), "fileinto xxxxxseenyyyyyyyy");
    // An outer loop goes on behind it.
    let source = "foreverypart { set \"n\" \"x${n}\"; foreverypart { \
        if header :mime :subtype \"content-type\" \"alternative\" { replace \"gone\"; } } } fileinto \"${n}\";";
    assert_eq!(words(&run(source, MIXED)), "fileinto xxxxx");
    // All at once.
    let source = "foreverypart { set \"n\" \"x${n}\"; replace \"all gone\"; } fileinto \"${n}\";";
    let evaluation = run(source, MIXED);
    assert_eq!(words(&evaluation), "fileinto x");
    assert!(edition(&evaluation, MIXED).ends_with("\r\n\r\nall gone\r\n"));
}

#[test]
fn a_whole_message_is_replaced() {
    // RFC 5703 §5
    let fields = "From: Ann <ann@example.com>\r\nTo: me@example.org\r\nSubject: top\r\n";
    let text =
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n";
    assert_eq!(after("replace \"new\";", MIXED), format!("{fields}{text}new\r\n"));
    let source =
        "replace :subject \"Änderung\r\nBcc: x\" :from \"Filter <filter@example.org>, x@example.org\" \"new\";";
    let original = "Original-From: Ann <ann@example.com>\r\nTo: me@example.org\r\nOriginal-Subject: top\r\n";
    let new = "Subject: =?utf-8?B?w4RuZGVydW5n?= Bcc: x\r\nFrom: Filter <filter@example.org>, x@example.org\r\n";
    assert_eq!(after(source, MIXED), format!("{original}{new}{text}new\r\n"));
    // `:subject` and `:from` are for the whole message.
    let source =
        "foreverypart { if header :mime :type \"content-type\" \"application\" { replace :subject \"x\" \"new\"; } }";
    assert!(!after(source, MIXED).contains("Original-Subject"));
    let source =
        "replace :mime text:\nContent-Type: text/html; charset=utf-8\nSubject: no\nX-Odd: no\n\n<p>é</p>\n.\n;";
    assert_eq!(
        after(source, MIXED),
        format!(
            "{fields}MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\
             \r\n<p>é</p>\r\n"
        )
    );
    // What was edited before, and what is afterwards.
    let source = "addheader \"X-One\" \"1\"; replace \"new\"; addheader \"X-Two\" \"2\"; \
        if allof (exists \"x-one\", body \"new\r\n\") { fileinto :copy \"A\"; }";
    let evaluation = run(source, MIXED);
    assert_eq!(words(&evaluation), "fileinto A copy; keep");
    assert_eq!(
        edition(&evaluation, MIXED),
        format!("X-Two: 2\r\nX-One: 1\r\n{fields}{text}new\r\n")
    );
    assert_eq!(
        after("replace \"new\";", "Subject: x"),
        format!("Subject: x\r\n{text}new\r\n")
    );
    // An error, where it is known only when the script runs.
    let source = "set \"v\" \"nobody\"; replace :from \"${v}\" \"new\";";
    assert!(words(&run(source, MIXED)).starts_with("keep; error: replace: \"nobody\""));
}

#[test]
fn a_replacement_cannot_end_the_multipart() {
    let mail = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: x/y\r\n\r\n1\r\n--a\r\n\r\n2\r\n--a--\r\n";
    let replace = |how: &str, text: &str| {
        format!(
            "foreverypart {{ if header :mime :type \"content-type\" \"x\" {{ replace {how} text:\n{text}\n.\n; }} }}"
        )
    };
    let edited = after(&replace("", "one\n--a\nContent-Type: evil/x\n\n--a--"), mail);
    assert_eq!(
        Message::from_bytes(edited.clone()).structure().parts.len(),
        3,
        "{edited}"
    );
    let evaluation = run(&replace(":mime", "Content-Type: text/plain\n\n--a\n"), mail);
    assert_eq!(
        words(&evaluation),
        "keep; error: replace: the text holds a boundary of the message"
    );
}

#[test]
fn messages_are_enclosed() {
    // RFC 5703 §9 and §6
    let source = r#"foreverypart {
        if header :mime :param "filename" :matches ["Content-Type", "Content-Disposition"]
            ["*.com", "*.exe", "*.vbs"] {
            enclose :subject "Warning" text:
WARNING! The enclosed message contains executable attachments.
.
;
            break;
        }
    }"#;
    let enclosed = after(source, MIXED);
    let message = Message::from_bytes(enclosed.clone());
    let kinds: Vec<String> = message
        .structure()
        .parts
        .iter()
        .map(|part| format!("{}/{}", part.kind, part.subtype))
        .collect();
    assert_eq!(
        kinds[..4],
        ["multipart/mixed", "text/plain", "message/rfc822", "multipart/mixed"]
    );
    assert_eq!(kinds.len(), 10);
    let inner = &message.structure().parts[2];
    assert_eq!(message.range(inner.body.clone()).unwrap(), MIXED.as_bytes());
    let field = |name: &str| {
        let field = message
            .header()
            .first(name)
            .unwrap_or_else(|| panic!("{name} in {enclosed}"));
        String::from_utf8_lossy(&field.unfolded()).into_owned()
    };
    assert_eq!(field("Subject"), "Warning");
    assert_eq!(field("From"), "me@example.org");
    assert!(crate::message::date(field("Date").as_bytes()).is_some());
    assert!(field("Message-ID").ends_with("@mx.example.org>"));
    assert!(message.header().first("To").is_none());
    // Fields that are asked for; Subject of the message where none is given.
    let mail = MAIL.replace(
        "Subject: Hello",
        "Subject: =?utf-8?q?Hell=C3=B6?=\r\nX-Two: a\r\nX-Two: b",
    );
    let enclosed = after(
        "enclose :headers [\"From\", \"x-two\", \"DATE\", \"Content-Type\", \"x-none\"] \"See below\";",
        &mail,
    );
    for (field, count) in [
        ("From: Sender <sender@example.com>\r\n", 2),
        ("X-Two: a\r\nX-Two: b\r\n", 2),
        ("Date: Mon, 01 Jun 2026", 2),
        ("Subject: =?utf-8?q?Hell=C3=B6?=\r\n", 2),
        ("Message-ID: <1@example.com>", 1),
        ("\r\n\r\nSee below\r\n--=_", 1),
    ] {
        assert_eq!(enclosed.matches(field).count(), count, "{field}: {enclosed}");
    }
    // The same message gives the same.
    let again = after(
        "enclose :headers [\"From\", \"x-two\", \"DATE\", \"Content-Type\", \"x-none\"] \"See below\";",
        &mail,
    );
    assert_eq!(enclosed, again);
}

#[test]
fn enclosing_says_how_the_message_is_made() {
    for (body, encoding) in [
        ("plain\r\n".to_owned(), None),
        ("é\r\n".to_owned(), Some("8bit")),
        ("a\rb\r\n".to_owned(), Some("binary")),
        ("a\0b\r\n".to_owned(), Some("binary")),
        (format!("{}\r\n", "x".repeat(998)), None),
        (format!("{}\r\n", "x".repeat(1000)), Some("binary")),
    ] {
        let enclosed = after("enclose \"x\";", &format!("Subject: y\r\n\r\n{body}"));
        let message = Message::from_bytes(enclosed.clone());
        let encodings: Vec<Option<&str>> = message
            .structure()
            .parts
            .iter()
            .map(|part| part.encoding.as_deref())
            .collect();
        assert_eq!(encodings[0], encoding, "{body:?}");
        assert_eq!(encodings[2], encoding, "{body:?}");
    }
}

#[test]
fn enclosures_and_what_follows() {
    // RFC 5703 §6: not what is redirected; each time anew; later actions see the new message.
    let source = "addheader \"X\" \"1\"; enclose :subject \"one\" \"x\"; addheader \"Y\" \"2\"; redirect :copy \"a@example.net\"; \
        enclose :subject \"two\" \"y\"; if header \"subject\" \"two\" { fileinto :copy \"A\"; } \
        if not header \"y\" \"2\" { fileinto :copy \"B\"; }";
    let evaluation = run(source, MAIL);
    assert_eq!(
        words(&evaluation),
        "redirect a@example.net copy; fileinto A copy; fileinto B copy; keep"
    );
    let redirected = evaluation.plan.actions[0]
        .edition
        .as_ref()
        .unwrap()
        .bytes()
        .unwrap()
        .into_owned();
    assert_eq!(String::from_utf8(redirected).unwrap(), format!("X: 1\r\n{MAIL}"));
    assert_eq!(edition(&evaluation, MAIL).matches("multipart/mixed").count(), 2);
    // A loop goes on within the enclosed message.
    let source = "foreverypart { set \"n\" \"x${n}\"; if header :mime :type \"content-type\" \"application\" { \
        enclose \"Beware\"; replace \"removed\"; } } fileinto \"${n}\";";
    let evaluation = run(source, MIXED);
    assert_eq!(words(&evaluation), "fileinto xxxxxxx");
    let edited = edition(&evaluation, MIXED);
    assert!(
        edited.contains("Beware") && edited.contains("removed") && !edited.contains("MZ"),
        "{edited}"
    );
    assert!(edited.contains("inner text"));
    // Who is answered is the sender all the same.
    let source = "enclose :subject \"one\" \"x\"; vacation \"Away\";";
    assert!(words(&run(source, MAIL)).starts_with("vacation sender@example.com \"Auto: Hello\""));
}

#[test]
fn editing_within_a_loop() {
    let source = "foreverypart { set \"n\" \"x${n}\"; addheader \"X\" \"${n}\"; deleteheader \"Content-Type\"; \
        if header :mime \"x\" \"x\" { fileinto :copy \"A\"; } } fileinto \"${n}\";";
    let evaluation = run(source, MIXED);
    assert_eq!(words(&evaluation), "fileinto A copy; fileinto xxxxxxx");
    // When the message is put together anew its parts are those that its header announces.
    let source = "foreverypart { set \"n\" \"x${n}\"; deleteheader \"Content-Type\"; \
        if header :mime :type \"content-type\" \"application\" { replace \"y\"; } } fileinto \"${n}\";";
    let evaluation = run(source, MIXED);
    assert_eq!(words(&evaluation), "fileinto xxxxx");
}

#[test]
fn hostile_parts_cost_little() {
    let began = std::time::Instant::now();
    let all = "foreverypart { if header :mime :anychild :contenttype \"content-type\" \"x/y\" { discard; } }";
    let replace = "foreverypart { if header :mime :type \"content-type\" \"text\" { replace \"x\"; } } \
        foreverypart { extracttext \"v\"; } enclose \"y\";";
    let many = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
        "--b\r\nContent-Type: text/x\r\n\r\nx\r\n".repeat(50_000)
    );
    let deep: String = (0..5000)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
        .collect();
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(5000);
    let flood = format!("Content-Type: text/plain{}\r\n\r\nx", "; x=y".repeat(100_000));
    let nul = "Content-Type: multipart/mixed; boundary=\"\0\"\r\n\r\n--\0\r\n\0: \0\r\n\r\n\0\r\n--\0--".to_owned();
    let empty = String::new();
    for mail in [&many, &deep, &nested, &flood, &nul, &empty] {
        for source in [all, replace, "replace \"x\";", "enclose \"x\"; replace \"y\";"] {
            let evaluation = run(source, mail);
            assert!(!evaluation.plan.actions.is_empty());
            for planned in &evaluation.plan.actions {
                if let Some(edition) = &planned.edition {
                    assert!(edition.size() < mail.len() as u64 + 10_000);
                }
            }
        }
    }
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
