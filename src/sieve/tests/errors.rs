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
        ("require [\"fileinto\",\n \"fileinot\"];", 2, 2, "fileinot"),
        ("keep; require \"fileinto\";", 1, 7, "before"),
        ("nonsense;", 1, 1, "nonsense"),
        ("if nonsense { keep; }", 1, 4, "nonsense"),
        ("if header \"a\" { keep; }", 1, 4, "needs keys"),
        ("keep \"x\";", 1, 6, "keep"),
        ("discard :now;", 1, 9, "now"),
        ("redirect :copy \"a@b.c\";", 1, 10, "copy"),
        ("redirect;", 1, 1, "needs an address"),
        ("redirect 5;", 1, 10, "an address is expected here"),
        ("redirect \"nobody\";", 1, 10, "is not an address"),
        ("if not { keep; }", 1, 4, "one test"),
        (
            "if header :is :contains \"a\" \"b\" { keep; }",
            1,
            15,
            "does not go together",
        ),
        ("if header \"a\" :is \"b\" { keep; }", 1, 15, "must stand before"),
        ("if header :is :is \"a\" \"b\" { keep; }", 1, 15, "given twice"),
        ("if header \"a:\" \"b\" { keep; }", 1, 11, "header field"),
        ("if size :over \"1K\" { keep; }", 1, 15, "a number"),
        ("if (true) { keep; }", 1, 1, "one test"),
        ("if true keep;", 1, 9, "in braces"),
        (
            "if true { keep; } else { stop; } elsif true { keep; }",
            1,
            34,
            "behind `else`",
        ),
        ("if true { keep; } else \"a\" { stop; }", 1, 24, "no argument"),
        ("if keep { stop; }", 1, 4, "is a command"),
        ("header \"a\" \"b\";", 1, 1, "is a test"),
        ("keep { stop; }", 1, 6, "semicolon"),
        (
            "require \"envelope\"; if envelope \"form\" \"a\" { keep; }",
            1,
            33,
            "no part",
        ),
        (
            "require \"envelope\"; if envelope \"orcpt\" \"a\" { keep; }",
            1,
            33,
            "envelope-dsn",
        ),
        (
            "require \"index\"; if header :index 0 \"a\" \"b\" { keep; }",
            1,
            35,
            "from 1",
        ),
        (
            "require \"index\"; if header :last \"a\" \"b\" { keep; }",
            1,
            28,
            ":index",
        ),
        (
            "require [\"relational\"]; if header :value \"xx\" \"a\" \"b\" { keep; }",
            1,
            42,
            "no relation",
        ),
        (
            "require \"comparator-i;ascii-numeric\"; if header :comparator \"i;ascii-numeric\" :contains \"a\" \"1\" { keep; }",
            1,
            79,
            "whole numbers",
        ),
        ("require \"include\"; include \"../x\";", 1, 28, "script name"),
        (
            "require [\"special-use\",\"fileinto\"]; fileinto :specialuse \"\\\\Junkk\" \"a\";",
            1,
            58,
            "special use",
        ),
        (
            "require [\"redirect-dsn\"]; redirect :notify \"MAYBE\" \"a@example.net\";",
            1,
            44,
            "NEVER",
        ),
        (
            "require \"variables\"; set :lower :upper \"a\" \"b\";",
            1,
            33,
            "does not go together",
        ),
        (
            "require \"encoded-character\"; redirect \"${unicode:D800}@example.net\";",
            1,
            39,
            "no character",
        ),
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
fn all_errors_are_told_in_one_pass() {
    let source = "require [\"fileinto\", \"vacaton\"];\n\
        if header :contians \"subject\" \"x\" {\n\
        \x20   fileino \"Lists\";\n\
        \x20   redirect \"nobody\"\n\
        }\n\
        keep :flags \"\\\\Seen\";\n\
        = stop;\n";
    let checked = Engine::new(Options::default()).check(&Script::new("user", source.as_bytes()));
    let told: Vec<_> = checked
        .errors
        .iter()
        .map(|error| {
            (
                error.line.unwrap(),
                error.length,
                error.message.as_str(),
                error.help.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                1,
                9,
                "there is no extension \"vacaton\" here",
                Some("did you mean \"vacation\"?")
            ),
            (
                2,
                9,
                "`header` has no tag `:contians`",
                Some("did you mean `:contains`?")
            ),
            (
                3,
                7,
                "there is no command \"fileino\"",
                Some("did you mean `fileinto`?")
            ),
            (4, 8, "a semicolon is missing behind \"redirect\"", None),
            (4, 8, "\"nobody\" is not an address: it has no domain", None),
            (
                6,
                6,
                "`:flags` needs `require \"imap4flags\"`",
                Some("add \"imap4flags\" to the `require` at the top of the script")
            ),
            (7, 1, "'=' is not allowed here", None),
        ]
    );
    assert_eq!(
        checked.errors[2].illustrated(),
        "error: there is no command \"fileino\"\n --> user:3:5\n  |\n3 |     fileino \"Lists\";\n  |     ^^^^^^^\n  |\n  \
         = help: did you mean `fileinto`?"
    );
}

#[test]
fn what_looks_wrong_is_warned_of() {
    let warned = |source: &str| {
        let checked = Engine::new(Options::default()).check(&Script::new("user", source.as_bytes()));
        assert_eq!(checked.errors, [], "{source}");
        checked.warnings
    };
    for (source, line, words) in [
        ("stop;\nkeep;", 2, "never executed"),
        ("require \"imap4flags\";\nkeep :flags \"\\\\Sen\";", 2, "ignored"),
        ("if address \"subject\" \"x\" { keep; }", 1, "holds no addresses"),
        (
            "require \"relational\"; if header :count \"gt\" \"to\" \"9\" { keep; }",
            1,
            "as text",
        ),
        (
            "require \"environment\"; if environment \"hots\" \"x\" { keep; }",
            1,
            "did you mean \"host\"",
        ),
    ] {
        let warnings = warned(source);
        assert_eq!(warnings.len(), 1, "{source}: {warnings:?}");
        assert_eq!(warnings[0].line, Some(line), "{source}");
        assert!(warnings[0].message.contains(words), "{source}: {}", warnings[0].message);
    }
    assert_eq!(warned("if true { stop; } keep;"), []);
}

#[test]
fn a_runtime_error_has_its_place() {
    let source = "require [\"fileinto\",\"variables\"];\nset \"x\" \"a/b\";\nif true {\n    fileinto \"${x}\";\n}\n";
    let error = evaluate(source, MAIL).error.unwrap();
    assert_eq!(
        (error.kind, error.line, error.column, error.length),
        (ErrorKind::Runtime, Some(4), Some(5), 8)
    );
    assert_eq!(error.excerpt.as_deref(), Some("    fileinto \"${x}\";"));
    // Where actions do not go together, the place is that of the last of them.
    let error = evaluate("keep;\nredirect \"a@example.net\";\nredirect \"b@c.d\";redirect \"e@f.g\";\nredirect \"h@i.j\";\nredirect \"k@l.m\";", MAIL)
        .error
        .unwrap();
    assert_eq!(
        (error.line, error.excerpt.as_deref()),
        (Some(5), Some("redirect \"k@l.m\";"))
    );
}

#[test]
fn limits_are_kept() {
    for (options, source, words) in [
        (
            Options {
                max_actions: 3,
                ..Options::default()
            },
            "keep; keep; keep; keep;".to_owned(),
            "at most 3 actions",
        ),
        (
            Options {
                max_variable_size: 100_000,
                ..Options::default()
            },
            format!(
                "require [\"variables\",\"fileinto\"]; set \"a\" \"{}\"; set \"a\" \"{}\";",
                "x".repeat(50_000),
                "${a}".repeat(100)
            ),
            "longer than 1048576 bytes",
        ),
        (
            Options {
                run_time: std::time::Duration::ZERO,
                ..Options::default()
            },
            "if true {}".repeat(100),
            "longer than 0 seconds",
        ),
    ] {
        let evaluation = evaluate_with(&user(&source), MAIL.as_bytes(), "a@example.com", options);
        assert_eq!(evaluation.plan, Plan::keep());
        let error = evaluation.error.expect(words);
        assert!(error.message.contains(words), "{error}");
    }
}

#[test]
fn an_account_has_a_budget_of_its_own() {
    let costly = format!(
        "require [\"variables\"]; set \"a\" \"{}\"; {}",
        "a".repeat(50_000),
        "if string :matches \"${a}\" \"*a?a?a?a?a?a?b*\" { discard; }".repeat(20)
    );
    let engine = Engine::new(Options {
        user_time: std::time::Duration::from_millis(2),
        ..Options::default()
    });
    let run = |source: &str, account: &str| {
        let message = Message::from_bytes(MAIL);
        let me = Address::parse("me@example.org").unwrap();
        let incoming = Incoming {
            user: account,
            ..incoming(&message, &ReversePath::Null, &me, &[])
        };
        engine.run(&user(source), &incoming, &Fixture)
    };
    assert_eq!(run(&costly, "ann").error, None);
    let error = run("keep;", "ann").error.unwrap();
    assert!(error.message.contains("processor time"), "{error}");
    assert_eq!(run("discard;", "bob").error, None);
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
    assert_eq!(
        words(&evaluation),
        "keep; error: a script may set at most 200 variables"
    );
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
            "require [\"fileinto\",\"variables\"]; set \"x\" \"../x\"; redirect \"a@example.net\"; fileinto \"A\"; \
             fileinto \"${x}\";",
            "keep; error: fileinto: the mailbox name \"../x\" has an empty level",
        ),
        (
            "require [\"duplicate\",\"fileinto\",\"variables\"]; set \"x\" \"a/b\"; if duplicate { stop; } fileinto \"${x}\";",
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
