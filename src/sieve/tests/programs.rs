//! Programs of the site: `vnd.dovecot.pipe`, `filter`, `execute`; and `vnd.dovecot.debug`.

use super::*;

const REQUIRE: &str = "require [\"vnd.dovecot.pipe\",\"vnd.dovecot.filter\",\"vnd.dovecot.execute\",\"copy\",\"variables\",\
    \"fileinto\",\"reject\"];";

fn run(source: &str) -> Evaluation {
    let options = Options {
        programs: Programs {
            pipe: true,
            filter: true,
            execute: true,
        },
        ..Options::default()
    };
    evaluate_with(
        &user(&format!("{REQUIRE} {source}")),
        MAIL.as_bytes(),
        "sender@example.com",
        options,
    )
}

fn edition(evaluation: &Evaluation) -> String {
    let edition = evaluation
        .plan
        .actions
        .last()
        .and_then(|planned| planned.edition.clone());
    let bytes = edition.map(|message| message.bytes().unwrap().into_owned());
    String::from_utf8(bytes.unwrap_or_default()).unwrap()
}

#[test]
fn pipes() {
    for (source, expected) in [
        ("pipe \"printer\";", "pipe printer"),
        ("pipe :copy \"printer\" [\"A4\", \"draft\"];", "pipe printer copy; keep"),
        ("pipe :try \"printer\"; discard;", "pipe printer"),
        (
            "pipe \"a\"; pipe \"a\";",
            "keep; error: pipe: a script can execute it only once for the program \"a\"",
        ),
        (
            "pipe \"a\"; reject \"No.\";",
            "keep; error: reject does not go together with pipe",
        ),
    ] {
        assert_eq!(words(&run(source)), expected, "{source}");
    }
    let evaluation = run("set \"a\" \"x y\"; pipe :try \"printer\" [\"${a}\", \"z\"];");
    assert_eq!(
        evaluation.plan.actions[0].action,
        Action::Pipe {
            program: "printer".to_owned(),
            arguments: vec!["x y".to_owned(), "z".to_owned()],
            copy: false,
            attempt: true,
        }
    );
}

#[test]
fn filters() {
    let changed = run("filter \"upper\";");
    assert_eq!(words(&changed), "keep");
    assert_eq!(edition(&changed), MAIL.to_ascii_uppercase());
    // Tests and actions behind it see the new message; what came before it keeps the old one.
    let evaluation = run(
        "fileinto :copy \"A\"; if filter \"upper\" { if header :comparator \"i;octet\" \"subject\" \"HELLO\" { \
         fileinto \"B\"; } }",
    );
    assert_eq!(words(&evaluation), "fileinto A copy; fileinto B");
    assert_eq!(evaluation.plan.actions[0].edition, None);
    assert_eq!(edition(&evaluation), MAIL.to_ascii_uppercase());
    // A program that fails, or says nothing, changes nothing.
    for source in [
        "filter \"refuses\";",
        "filter \"silent\";",
        "filter \"late\";",
        "if filter \"none\" { discard; }",
        "if filter \"refuses\" { discard; }",
        "if filter \"silent\" { discard; }",
    ] {
        let evaluation = run(source);
        assert_eq!(
            (words(&evaluation).as_str(), edition(&evaluation).as_str()),
            ("keep", ""),
            "{source}"
        );
    }
    assert_eq!(
        words(&run("filter \"none\";")),
        "keep; error: there is no program \"none\" for scripts on this site"
    );
    assert_eq!(
        run("filter \"late\";").notes,
        [Note::Remark("the program \"late\" took longer than 10 s".to_owned())]
    );
}

#[test]
fn a_filter_ends_loops_through_the_parts_of_what_it_replaced() {
    let mail = "To: me@example.org\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
        --x\r\n\r\none\r\n--x\r\n\r\ntwo\r\n--x--\r\n";
    for (source, expected) in [
        // Without it: the message and its two parts.
        (
            "foreverypart { set \"n\" \"x${n}\"; fileinto :copy \"${n}\"; }",
            "fileinto x copy; fileinto xx copy; fileinto xxx copy; keep",
        ),
        (
            "foreverypart { set \"n\" \"x${n}\"; filter \"upper\"; fileinto :copy \"${n}\"; }",
            "fileinto x copy; keep",
        ),
        // The part at hand is the new message, whose header the tests of parts read.
        (
            "foreverypart { if header :mime :subtype \"content-type\" \"plain\" { filter \"upper\"; } \
             if header :mime :comparator \"i;octet\" :type \"content-type\" \"multipart\" { set \"n\" \"x${n}\"; \
             fileinto :copy \"${n}\"; } }",
            "fileinto x copy; keep",
        ),
        (
            "foreverypart { foreverypart { filter \"upper\"; set \"n\" \"x${n}\"; fileinto :copy \"${n}\"; } \
             set \"n\" \"y${n}\"; fileinto :copy \"${n}\"; }",
            "fileinto x copy; fileinto yx copy; keep",
        ),
    ] {
        let require = "require [\"vnd.dovecot.filter\",\"copy\",\"variables\",\"fileinto\",\"mime\",\"foreverypart\"];";
        let options = Options {
            programs: Programs {
                filter: true,
                ..Programs::default()
            },
            ..Options::default()
        };
        let scripts = user(&format!("{require} {source}"));
        let evaluation = evaluate_with(&scripts, mail.as_bytes(), "sender@example.com", options);
        assert_eq!(words(&evaluation), expected, "{source}");
    }
}

#[test]
fn executes() {
    for (source, expected) in [
        (
            "execute :output \"o\" \"echo\" [\"a\", \"b\"]; fileinto \"${o}\";",
            "fileinto a b",
        ),
        (
            "execute :input \"abc\" :output \"o\" \"upper\"; fileinto \"${o}\";",
            "fileinto ABC",
        ),
        (
            "set \"i\" \"abc\"; execute :input \"${i}\" :output \"o\" \"upper\"; fileinto \"${o}\";",
            "fileinto ABC",
        ),
        (
            "execute :pipe :output \"o\" \"upper\"; if string :contains :comparator \"i;octet\" \"${o}\" \"BODY TEXT\" { discard; }",
            "discard",
        ),
        // §7: a failure leaves the variable as it is.
        (
            "set \"o\" \"A\"; execute :output \"o\" \"refuses\"; fileinto \"${o}\";",
            "fileinto A",
        ),
        ("if execute \"echo\" { discard; }", "discard"),
        ("if execute \"refuses\" { discard; }", "keep"),
        ("if execute \"late\" { discard; }", "keep"),
        ("if not execute \"none\" { discard; }", "discard"),
        (
            "execute \"none\";",
            "keep; error: there is no program \"none\" for scripts on this site",
        ),
    ] {
        assert_eq!(words(&run(source)), expected, "{source}");
    }
}

#[test]
fn faults_are_found_at_once() {
    let many: String = (0..33).map(|n| format!("\"{n}\",")).collect();
    let many = format!("pipe \"a\" [{}];", many.trim_end_matches(','));
    for (source, message) in [
        ("pipe \"../sh\";", "name of a program"),
        ("pipe \"\";", "name of a program"),
        ("pipe \"a/b\";", "name of a program"),
        ("pipe \"${a}\";", "cannot have variables"),
        ("pipe;", "the name of a program"),
        ("pipe \"a\" \"b\" \"c\";", "no further argument"),
        (many.as_str(), "at most 32"),
        ("filter :try \"a\";", "no tag `:try`"),
        ("execute :input \"a\" :pipe \"b\";", "does not go together"),
        ("execute :output \"1x\" \"b\";", "not the name of a variable"),
        ("if pipe \"a\" { keep; }", "is a command"),
    ] {
        let error = run(source).error.expect(source);
        assert_eq!(error.kind, ErrorKind::Compile, "{source}");
        assert!(error.message.contains(message), "{source}: {error}");
    }
    // Off unless the site has them.
    for extension in ["vnd.dovecot.pipe", "vnd.dovecot.filter", "vnd.dovecot.execute"] {
        let error = evaluate(&format!("require \"{extension}\";"), MAIL)
            .error
            .expect(extension);
        assert!(error.message.contains("no extension"), "{error}");
    }
}

#[test]
fn a_script_speaks_to_the_log() {
    let source = "require [\"vnd.dovecot.debug\",\"variables\",\"encoded-character\"]; set \"a\" \"x\"; \
        debug_log \"a is ${a}${hex:0a}and more\";";
    let evaluation = evaluate(source, MAIL);
    assert_eq!(words(&evaluation), "keep");
    assert_eq!(
        evaluation.notes,
        [Note::Remark("debug_log: a is x and more".to_owned())]
    );
}
