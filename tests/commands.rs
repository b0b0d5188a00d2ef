//! The command line: exit codes and words about mistakes, of the user, the configuration and the index.

mod support;

use std::fs;
use std::process::{Command, Output};

use support::place::{Place, free_address};
use support::postroom::{Postroom, Wishes};

const ANN: &str = "ann@example.org";
const MESSAGE: &str = "Subject: hello\r\nMessage-ID: <1@example.net>\r\n\r\nbody\r\n";

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn only_ann() -> Wishes<'static> {
    Wishes {
        users: Some(&["ann"]),
        ..Wishes::default()
    }
}

/// A site where ann has one message, and nothing runs.
fn site(place: &Place) -> Postroom {
    let postroom = Postroom::configured(place, &only_ann());
    let output = postroom.run_with_input(&["deliver", "-d", ANN, "-f", "s@example.net"], MESSAGE.as_bytes());
    assert!(output.status.success(), "{}", said(&output));
    postroom
}

#[test]
fn exit_codes() {
    let place = Place::new();
    let postroom = site(&place);
    let script = place.file("x.sieve", "keep;\n");
    let broken = place.file("broken.sieve", "if {\n");
    let message = place.file("x.eml", "Subject: x\n\n");
    let [script, broken, message] = [&script, &broken, &message].map(|path| path.to_str().expect("UTF-8"));
    let nobody = free_address().to_string();
    for (arguments, code, words) in [
        (&["mailbox", "list", ANN][..], 0, "INBOX"),
        (&["mailbox", "list", "ann"], 0, "INBOX"),
        (&["message", "list", ANN, "INBOX"], 0, "hello"),
        (&["message", "show", ANN, "INBOX", "1"], 0, "body\r\n"),
        (&["index", "check", ANN], 0, "agree"),
        (&["index", "rebuild", ANN], 0, "1 messages"),
        (&["config", "check"], 0, "in order"),
        (&["config", "show"], 0, "hostname"),
        (&["config", "reference"], 0, "hostname"),
        (&["sieve", "test", script, message], 0, "keep"),
        // Usage.
        (&["no-such-command"], 64, "no-such-command"),
        (&["serve", "--no-such-flag"], 64, "--no-such-flag"),
        (&["mailbox", "list"], 64, "USER"),
        (&["message", "show", ANN, "INBOX", "x"], 64, "x"),
        (&["message", "show", ANN, "INBOX", "0"], 64, "UID"),
        (&["message", "list", ANN, "a..b"], 64, "a..b"),
        (&["message", "list", ANN, "../x"], 64, "../x"),
        (&["sieve", "test", "--to", "@", script, message], 64, "--to"),
        (&["sieve", "test", "--from", "a b", script, message], 64, "--from"),
        (&["send", "--to", ANN], 64, ""),
        // Data.
        (&["message", "show", ANN, "INBOX", "999"], 65, "999"),
        (&["message", "show", ANN, "No", "1"], 65, "No"),
        (&["message", "list", ANN, "No"], 65, "No"),
        (&["sieve", "test", broken, message], 65, "broken.sieve"),
        (
            &["sieve", "test", "/nonexistent.sieve", message],
            65,
            "/nonexistent.sieve",
        ),
        (&["sieve", "test", script, "/nonexistent.eml"], 65, "/nonexistent.eml"),
        // No such user.
        (&["mailbox", "list", "nobody@example.org"], 67, "nobody@example.org"),
        (&["message", "list", "ann@example.com", "INBOX"], 67, "ann@example.com"),
        (&["message", "show", "../ann", "INBOX", "1"], 67, "../ann"),
        (&["index", "check", "nobody"], 67, "nobody"),
        (&["index", "rebuild", "nobody"], 67, "nobody"),
        // Try again.
        (&["send", "--server", &nobody, "--to", ANN, message], 75, &nobody),
    ] {
        let output = postroom.run_with_input(arguments, b"");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(
            said(&output).contains(words),
            "{arguments:?}: no {words:?} in {}",
            said(&output)
        );
        // What a script would do, and that it would not compile, is an answer.
        let is_fault = code != 0 && !arguments.contains(&broken);
        assert_eq!(!output.stderr.is_empty(), is_fault, "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn without_words() {
    for (arguments, code) in [
        (&[][..], 64),
        (&["--help"], 0),
        (&["--version"], 0),
        (&["serve", "--help"], 0),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postroom"));
        let output = command.args(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn send_says_what_was_answered() {
    let place = Place::new();
    let mut postroom = Postroom::configured(&place, &only_ann());
    postroom.serve();
    let file = place.file("x.eml", MESSAGE);
    let file = file.to_str().expect("UTF-8");
    for (to, code, words) in [
        (&[ANN][..], 0, "250 2.1.5"),
        (&["nobody@example.org"], 77, "550 5.1.1"),
        (&[ANN, "nobody@example.org"], 77, "550 5.1.1"),
    ] {
        let mut arguments = vec!["send"];
        to.iter().for_each(|to| arguments.extend(["--to", to]));
        arguments.push(file);
        let output = postroom.run_with_input(&arguments, b"");
        assert_eq!(output.status.code(), Some(code), "{to:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{to:?}: {}", said(&output));
    }
    assert_eq!(postroom.count(ANN, "INBOX"), 2);
}

#[test]
fn mistakes_in_the_configuration() {
    let place = Place::new();
    let postroom = Postroom::configured(&place, &only_ann());
    let good = fs::read_to_string(&postroom.config).expect("the configuration");
    for (mistake, words) in [
        ("hostnme = \"x\"", "hostname"),
        ("limits.mesage_size = \"1 MiB\"", "message_size"),
        ("limit.message_size = \"1 MiB\"", "limits"),
        ("limits.message_size = \"1 pound\"", "1 pound"),
        ("limits.recipients = -1", "-1"),
        ("log.format = \"jsn\"", "json"),
        ("[[listen", ""),
    ] {
        // The third line of the file.
        let text = format!("\n\n{mistake}\n{good}");
        fs::write(&postroom.config, &text).expect("the configuration");
        for arguments in [
            &["config", "check"][..],
            &["serve"],
            &["mailbox", "list", ANN],
            &["index", "check", ANN],
        ] {
            let output = postroom.run_with_input(arguments, b"");
            assert_eq!(
                output.status.code(),
                Some(78),
                "{mistake} {arguments:?}: {}",
                said(&output)
            );
            for words in [words, "postroom.toml:3:"] {
                assert!(
                    said(&output).contains(words),
                    "{mistake} {arguments:?}: no {words:?} in {}",
                    said(&output)
                );
            }
        }
        let output = postroom.run_with_input(&["deliver", "-d", ANN], MESSAGE.as_bytes());
        assert_eq!(output.status.code(), Some(75), "{mistake}");
    }
    // A file that says nothing wrong of things that are not there.
    for (text, words) in [
        (Some(format!("user = \"no-such-user\"\n{good}")), "no-such-user"),
        (None, "postroom.toml"),
    ] {
        match text {
            Some(text) => fs::write(&postroom.config, text).expect("the configuration"),
            None => fs::remove_file(&postroom.config).expect("removed"),
        }
        for arguments in [&["config", "check"][..], &["serve"]] {
            let output = postroom.run_with_input(arguments, b"");
            assert_eq!(output.status.code(), Some(78), "{arguments:?}: {}", said(&output));
            assert!(said(&output).contains(words), "{arguments:?}: {}", said(&output));
        }
    }
}

#[test]
fn what_config_shows_is_a_configuration() {
    let place = Place::new();
    let postroom = Postroom::configured(&place, &only_ann());
    let shown = postroom.run(&["config", "show"]);
    fs::write(&postroom.config, &shown).expect("the configuration");
    postroom.run(&["config", "check"]);
    assert_eq!(postroom.run(&["config", "show"]), shown);
    let reference = String::from_utf8(postroom.run(&["config", "reference"])).expect("UTF-8");
    let keys = String::from_utf8(shown).expect("UTF-8");
    for key in keys
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, _)| key)
    {
        assert!(reference.contains(&format!("{key}`\n")), "the reference has no {key}");
    }
}

#[test]
fn deliver_knows_four_exit_codes() {
    let place = Place::new();
    let postroom = Postroom::configured(&place, &only_ann());
    let config = postroom.config.to_str().expect("UTF-8").to_owned();
    let folder = place.path("").to_str().expect("UTF-8").to_owned();
    let broken = place.file("broken.toml", "hostnme = 1\n");
    let broken = broken.to_str().expect("UTF-8");
    let in_the_way = place.file("file", "");
    let rootless = place.file(
        "rootless.toml",
        format!("root = {in_the_way:?}\n[directory]\ndomains = [\"example.org\"]\n"),
    );
    let rootless = rootless.to_str().expect("UTF-8");
    for (arguments, code) in [
        (
            &["deliver", "-d", ANN, "-f", "s@example.net", "--config", &config][..],
            0,
        ),
        (&["deliver", "-d", ANN, "-f", "<>", "--config", &config], 0),
        (&["--config", &config, "deliver", "-d", ANN, "-f", ""], 0),
        (&["deliver", "-d", "nobody", "--config", &config], 67),
        (&["deliver", "-d", "", "--config", &config], 67),
        (&["deliver", "-d", "a/b@example.org", "--config", &config], 67),
        (&["deliver", "--config", &config], 75),
        (&["deliver"], 75),
        (&["deliver", "-x", "--config", &config], 75),
        (&["--config", &config, "deliver", "-x"], 75),
        (&["deliver", "-d", ANN, "-f", "not an address", "--config", &config], 75),
        (&["deliver", "-d", ANN, "-a", "not an address", "--config", &config], 75),
        (&["deliver", "-d", ANN, "-p", &folder, "--config", &config], 75),
        (&["deliver", "-d", ANN, "-p", "/nonexistent", "--config", &config], 75),
        (&["deliver", "-d", ANN, "--config", broken], 75),
        (&["deliver", "-d", ANN, "--config", "/nonexistent"], 75),
        (&["deliver", "-d", ANN, "--config", rootless], 75),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postroom"));
        command
            .args(arguments)
            .stdin(fs::File::open(&in_the_way).expect("an empty file"));
        let output = command.output().expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        let first = String::from_utf8_lossy(&output.stdout).chars().next();
        let class = match code {
            0 => '2',
            67 => '5',
            _ => '4',
        };
        assert_eq!(
            first,
            Some(class),
            "{arguments:?}: the status stands first\n{}",
            said(&output)
        );
    }
}

#[test]
fn index_check_and_rebuild() {
    for damage in [
        "UPDATE mailbox SET messages = 7",
        "UPDATE mailbox SET size = 1",
        "UPDATE mailbox SET unseen = 5",
        "DELETE FROM content",
        "UPDATE mailbox SET uidnext = 1",
        // The file itself: all of it, and all but its first page.
        "0",
        "4096",
    ] {
        let place = Place::new();
        let postroom = site(&place);
        let before = (postroom.mailboxes(ANN), postroom.messages(ANN, "INBOX"));
        let index = postroom.home("ann").join("index.sqlite");
        let connection = rusqlite::Connection::open(&index).expect("it opens");
        connection.pragma_update(None, "foreign_keys", false).expect("a pragma");
        if let Ok(start) = damage.parse::<usize>() {
            connection
                .pragma_update(None, "journal_mode", "delete")
                .expect("a pragma");
            drop(connection);
            let mut bytes = fs::read(&index).expect("the index");
            bytes[start..].fill(b'x');
            fs::write(&index, bytes).expect("overwritten");
        } else {
            connection.execute(damage, []).expect("it is damaged");
        }
        let output = postroom.run_with_input(&["index", "check", ANN], b"");
        // What SQLite calls corrupt is made anew at once.
        let (code, words) = match damage.parse::<usize>() {
            Ok(_) => (0, "index.sqlite.damaged"),
            Err(_) => (65, "postroom index rebuild"),
        };
        assert_eq!(output.status.code(), Some(code), "{damage}: {}", said(&output));
        assert!(said(&output).contains(words), "the remedy: {}", said(&output));
        let output = postroom.run_with_input(&["index", "rebuild", ANN], b"");
        assert!(output.status.success(), "{damage}: {}", said(&output));
        postroom.run(&["index", "check", ANN]);
        let after = (postroom.mailboxes(ANN), postroom.messages(ANN, "INBOX"));
        assert_eq!(after.0[0]["uidvalidity"], before.0[0]["uidvalidity"], "{damage}");
        assert_eq!(after.1[0]["uid"], before.1[0]["uid"], "{damage}");
        assert_eq!(after.0[0]["messages"], 1, "{damage}");
        assert_eq!(after.1[0]["subject"], "hello", "{damage}");
        let again = postroom.run_with_input(&["deliver", "-d", ANN, "-f", "t@example.net"], MESSAGE.as_bytes());
        assert!(again.status.success(), "{damage}: {}", said(&again));
        assert!(
            postroom.messages(ANN, "INBOX")[1]["uid"].as_u64() > after.1[0]["uid"].as_u64(),
            "{damage}"
        );
    }
}
