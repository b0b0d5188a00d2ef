//! Scripts that fail: the message is kept, and the error says where.

use super::*;

#[test]
fn what_does_not_compile_is_kept_with_the_place() {
    for (source, line, column, words) in [
        ("keep", 1, 1, "semicolon"),
        ("keep\ndiscard;", 2, 1, "semicolon"),
        ("stop\nkeep;", 2, 1, ""),
        ("keep;\n  fileinto \"A\";", 2, 3, "require \"fileinto\""),
        ("require \"no-such-thing\";", 1, 9, "no-such-thing"),
        ("require [\"fileinto\",\n \"editheader\"];", 2, 2, "editheader"),
        (
            "require \"foreverypart\"; require \"replace\"; foreverypart { replace \"x\"; }",
            1,
            33,
            "replace",
        ),
        ("keep; require \"fileinto\";", 1, 7, "before"),
        ("nonsense;", 1, 1, "nonsense"),
        ("if nonsense { keep; }", 1, 4, "nonsense"),
        ("if header \"a\" { keep; }", 1, 15, ""),
        ("keep \"x\";", 1, 6, "keep"),
        ("discard :now;", 1, 9, "now"),
        ("redirect :copy \"a@b.c\";", 1, 10, "copy"),
        ("redirect;", 1, 1, "string"),
        ("if size 1K { keep; }", 1, 4, "size"),
        ("\nelse { keep; }", 2, 1, ""),
        ("\"abc", 1, 1, "end"),
        ("require \"variables\"; set \"a b\" \"x\";", 1, 26, "variable"),
        (
            "require [\"variables\",\"fileinto\"]; fileinto \"${env.home}\";",
            1,
            44,
            "namespace",
        ),
        (
            "require \"variables\"; set \"envelope.from\" \"x@y.z\";",
            1,
            26,
            "namespace",
        ),
        (
            "if header :comparator \"i;ascii-numeric\" \"a\" \"1\" { keep; }",
            1,
            23,
            "comparator",
        ),
        (
            "if header :comparator \"i;klingon\" \"a\" \"1\" { keep; }",
            1,
            23,
            "klingon",
        ),
        ("if header :value \"gt\" \"a\" \"1\" { keep; }", 1, 11, "relational"),
        ("if environment \"a\" \"b\" { keep; }", 1, 4, "environment"),
        ("require \"imap4flags\"; keep :flags;", 1, 28, "flags"),
        (
            "require \"regex\"; if header :regex \"a\" \"[\" { keep; }",
            1,
            39,
            "regular",
        ),
    ] {
        let evaluation = evaluate(source, MAIL);
        assert_eq!(evaluation.plan, Plan::keep(), "{source}");
        let error = evaluation.error.expect(source);
        assert_eq!(error.kind, ErrorKind::Compile, "{source}");
        assert!(error.message.contains(words), "{source}: {error}");
        assert_eq!(
            (error.line, error.column),
            (Some(line), Some(column)),
            "{source}: {error}"
        );
    }
}

#[test]
fn what_is_not_text_does_not_compile() {
    let scripts = Scripts {
        user: Some(Script::new("user", *b"keep;\n# caf\xe9\n")),
        ..Scripts::default()
    };
    let evaluation = evaluate_with(&scripts, MAIL.as_bytes(), "a@example.com", Options::default());
    let error = evaluation.error.unwrap();
    assert_eq!((error.line, error.column), (Some(2), Some(6)));
    assert_eq!(evaluation.plan, Plan::keep());
}

#[test]
fn scripts_are_bounded() {
    let options = Options {
        max_script_size: 10,
        ..Options::default()
    };
    let evaluation = evaluate_with(&user("keep; keep; keep;"), MAIL.as_bytes(), "a@example.com", options);
    assert!(evaluation.error.unwrap().message.contains("10 bytes"));
    let options = Options {
        max_instructions: 20,
        ..Options::default()
    };
    let evaluation = evaluate_with(&user(&"keep;".repeat(50)), MAIL.as_bytes(), "a@example.com", options);
    assert_eq!(
        words(&evaluation),
        "keep; error: the script takes more than 20 instructions"
    );
    let many: String = (0..300).map(|n| format!("set \"v{n}\" \"x\";")).collect();
    let evaluation = evaluate(&format!("require \"variables\"; {many} discard;"), MAIL);
    assert_eq!(words(&evaluation), "keep; error: more than 200 variables");
}

#[test]
fn includes() {
    let head = "require [\"include\",\"fileinto\"];";
    for (source, expected) in [
        ("include \"files\";", "fileinto Lists"),
        ("include :personal \"files\"; keep;", "fileinto Lists; keep"),
        ("include :global \"spam\";", "fileinto Junk"),
        ("include \"stops\"; fileinto \"A\";", "keep"),
        ("include \"returns\"; fileinto \"A\";", "fileinto A"),
        ("include :once \"files\"; include :once \"files\";", "fileinto Lists"),
        ("include :optional \"none\"; fileinto \"A\";", "fileinto A"),
        (
            "include \"none\"; fileinto \"A\";",
            "keep; error: include: there is no script \"none\"",
        ),
        (
            "include :global \"files\";",
            "keep; error: include: there is no script \"files\"",
        ),
        (
            "include \"itself\";",
            "keep; error: scripts include one another more than 10 deep",
        ),
        (
            "include \"unreadable\";",
            "keep; error: include: cannot read \"unreadable\": broken disk",
        ),
    ] {
        assert_eq!(words(&evaluate(&format!("{head}{source}"), MAIL)), expected, "{source}");
    }
    for name in ["../x", "/etc/passwd", ".hidden", "a/b"] {
        let evaluation = evaluate(&format!("{head} include \"{name}\";"), MAIL);
        assert!(
            evaluation
                .error
                .unwrap()
                .message
                .starts_with("include: the script name"),
            "{name}"
        );
    }
    let error = evaluate(&format!("{head} include \"broken\";"), MAIL).error.unwrap();
    assert_eq!(
        (error.script.as_str(), error.kind, error.line),
        ("broken.sieve", ErrorKind::Compile, Some(3))
    );
}

#[test]
fn nothing_of_a_failed_script_counts() {
    table(&[
        (
            "require \"fileinto\"; redirect \"a@example.net\"; fileinto \"A\"; fileinto \"../x\";",
            "keep; error: fileinto: the mailbox name \"../x\" has an empty level",
        ),
        (
            "require [\"duplicate\",\"fileinto\"]; if duplicate { stop; } fileinto \"a/b\";",
            "keep; error: fileinto: the mailbox name \"a/b\" has '/', which is not allowed",
        ),
    ]);
}

#[test]
fn hostile_mail_is_seen_without_its_body() {
    // Messages in messages, deeper than any parser should follow.
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(5_000);
    let mail = format!("Subject: deep\r\n{nested}");
    let source = "require [\"body\",\"fileinto\"]; if body :contains \"x\" { discard; } \
        elsif header \"subject\" \"deep\" { if size :over 100K { fileinto \"Deep\"; } }";
    assert_eq!(words(&evaluate(source, &mail)), "fileinto Deep");
}

#[test]
fn strange_mail_does_no_harm() {
    for mail in ["", "\r\n", "no header at all", ":\r\n", "\0\0\0", "Subject"] {
        assert_eq!(
            words(&evaluate("if header :contains \"subject\" \"x\" { discard; }", mail)),
            "keep",
            "{mail:?}"
        );
        assert_eq!(
            words(&evaluate(
                "require \"body\"; if body :contains \"zz\" { discard; }",
                mail
            )),
            "keep",
            "{mail:?}"
        );
    }
}
