//! `postroom serve` as a process: its sockets, whose it is, how long it waits, and how it stops.

mod support;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Output;

use nix::sys::signal::Signal;
use support::lmtp::{Client, Reply};
use support::place::{MAIL_USER, Place, is_root, wait_until};
use support::postroom::{Postroom, Wishes};

const ANN: &str = "ann@example.org";
const MESSAGE: &str = "Subject: hello\r\n\r\nbody\r\n";

#[track_caller]
fn assert_is(reply: &Reply, code: u16, enhanced: &str) {
    assert!(
        reply.code == code && reply.text.starts_with(enhanced),
        "not {code} {enhanced}: {reply:?}"
    );
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A session that has begun to send a message.
fn in_the_middle(postroom: &Postroom, from: &str) -> Client {
    let mut client = Client::lmtp(postroom.lmtp).expect("a session");
    for (line, code) in [
        (&*format!("MAIL FROM:<{from}>"), 250),
        ("RCPT TO:<ann@example.org>", 250),
        ("DATA", 354),
    ] {
        assert_is(&client.command(line).expect("a reply"), code, "");
    }
    client.write(b"Subject: half\r\n\r\nfirst\r\n").expect("sent");
    client
}

#[test]
fn stops_when_messages_are_finished() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let place = Place::new();
        let mut postroom = Postroom::serving(&place, &Wishes::default());
        let mut idle = Client::lmtp(postroom.lmtp).expect("a session");
        let mut between = Client::smtp(postroom.smtp).expect("a session");
        between.command("MAIL FROM:<s@example.net>").expect("a reply");
        let mut busy = in_the_middle(&postroom, "s@example.net");
        postroom.running().signal(signal);
        for client in [&mut idle, &mut between] {
            assert_is(&client.reply().expect("a farewell"), 421, "4.3.2");
            assert!(client.reply().is_err(), "closed after 421");
        }
        wait_until("nobody else is let in", || Client::lmtp(postroom.lmtp).is_err());
        postroom.running().assert_alive();
        // What is behind the message in the pipeline begins no other.
        busy.write(b"second\r\n.\r\nMAIL FROM:<s@example.net>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n")
            .expect("sent");
        assert_is(&busy.reply().expect("a reply"), 250, "2.1.5");
        assert_is(&busy.reply().expect("a farewell"), 421, "4.3.2");
        assert!(postroom.running().terminate().success());
        assert!(!postroom.socket.exists(), "the socket is gone too");
        let texts = postroom.texts(ANN, "INBOX");
        assert!(
            texts.len() == 1 && texts[0].ends_with("\n\nfirst\nsecond\n"),
            "{texts:?}"
        );
    }
}

#[test]
fn told_twice_it_waits_for_no_session() {
    let place = Place::new();
    let mut postroom = Postroom::serving(&place, &Wishes::default());
    let mut busy = in_the_middle(&postroom, "s@example.net");
    postroom.running().signal(Signal::SIGTERM);
    wait_until("nobody else is let in", || Client::lmtp(postroom.lmtp).is_err());
    postroom.running().assert_alive();
    assert!(postroom.running().terminate().success());
    assert!(busy.reply().is_err(), "no 250 for what was not finished");
    assert_eq!(postroom.count(ANN, "INBOX"), 0);
}

#[test]
fn nothing_of_half_a_message() {
    let place = Place::new();
    let mut postroom = Postroom::serving(&place, &Wishes::default());
    drop(in_the_middle(&postroom, "s@example.net"));
    let _killed = in_the_middle(&postroom, "t@example.net");
    postroom.running().kill();
    assert_eq!(postroom.count(ANN, "INBOX"), 0);
    postroom.serve();
    assert_is(&postroom.send("s@example.net", &[ANN], MESSAGE)[0], 250, "2.1.5");
    assert_eq!(postroom.count(ANN, "INBOX"), 1);
}

#[test]
fn waits_so_long_and_for_so_many() {
    let place = Place::new();
    let more = "\n[limits]\nidle_timeout = \"1 s\"\n";
    let postroom = Postroom::serving(
        &place,
        &Wishes {
            more,
            ..Wishes::default()
        },
    );
    let mut idle = Client::lmtp(postroom.lmtp).expect("a session");
    let mut half = in_the_middle(&postroom, "s@example.net");
    for client in [&mut idle, &mut half] {
        assert_is(&client.reply().expect("a farewell"), 421, "4.4.2");
        assert!(client.reply().is_err(), "closed after 421");
    }
    assert_eq!(postroom.count(ANN, "INBOX"), 0);

    let place = Place::new();
    let more = "\n[limits]\nconnections = 2\n";
    let postroom = Postroom::serving(
        &place,
        &Wishes {
            more,
            ..Wishes::default()
        },
    );
    let mut held = Vec::new();
    wait_until("two are let in", || {
        held.extend(Client::lmtp(postroom.lmtp)); // The one that looked whether it answers may still be there.
        held.len() == 2
    });
    let mut third = Client::silent(postroom.smtp, false).expect("a connection");
    assert_is(&third.reply().expect("a farewell"), 421, "4.3.2");
    assert!(third.reply().is_err(), "closed after 421");
    assert_is(&held[0].command("NOOP").expect("a reply"), 250, "2.0.0");
    drop(held);
    wait_until("there is room again", || Client::smtp(postroom.smtp).is_ok());
}

#[test]
fn its_socket() {
    let place = Place::new();
    let mut postroom = Postroom::configured(&place, &Wishes::default());
    let mut settings = "mode = \"0640\"".to_owned();
    if is_root() {
        settings += &format!("\nowner = {MAIL_USER:?}\ngroup = {MAIL_USER:?}");
    }
    let text = fs::read_to_string(&postroom.config).expect("the configuration");
    fs::write(&postroom.config, text.replace("mode = \"0666\"", &settings)).expect("the configuration");
    postroom.serve();
    let metadata = fs::metadata(&postroom.socket).expect("a socket");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
    if is_root() {
        let user = nix::unistd::User::from_name(MAIL_USER)
            .expect("passwd")
            .expect("a user");
        assert_eq!((metadata.uid(), metadata.gid()), (user.uid.as_raw(), user.gid.as_raw()));
    }
    assert!(Client::lmtp_unix(&postroom.socket).is_ok());

    // A second one does not take it away.
    let output = postroom.run_with_input(&["serve"], b"");
    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    assert!(Client::lmtp_unix(&postroom.socket).is_ok());
    // After a crash it is taken over, and after a stop made again.
    postroom.running().kill();
    assert!(postroom.socket.exists());
    for _ in 0..2 {
        postroom.serve();
        assert!(Client::lmtp_unix(&postroom.socket).is_ok());
        assert!(postroom.running().terminate().success());
    }
    // What is no socket is left alone.
    fs::write(&postroom.socket, "precious").expect("a file");
    let output = postroom.run_with_input(&["serve"], b"");
    assert!(
        output.status.code() == Some(78) && said(&output).contains("remove it"),
        "{}",
        said(&output)
    );
    assert_eq!(fs::read_to_string(&postroom.socket).expect("a file"), "precious");
}

/// Demands that all below belongs to [`MAIL_USER`], and counts it.
fn assert_owned(path: &Path) -> usize {
    let user = nix::unistd::User::from_name(MAIL_USER)
        .expect("passwd")
        .expect("a user");
    let metadata = fs::symlink_metadata(path).expect("there");
    let owner = (metadata.uid(), metadata.gid());
    assert_eq!(owner, (user.uid.as_raw(), user.gid.as_raw()), "{}", path.display());
    if !metadata.is_dir() {
        return 1;
    }
    let entries = fs::read_dir(path).expect("a folder");
    1 + entries
        .map(|entry| assert_owned(&entry.expect("an entry").path()))
        .sum::<usize>()
}

#[test]
fn becomes_the_user_of_the_mail() {
    if !is_root() {
        return eprintln!("skipped: needs root");
    }
    let place = Place::new();
    let wishes = Wishes {
        as_mail_user: true,
        ..Wishes::default()
    };
    let mut postroom = Postroom::serving(&place, &wishes);
    let status = fs::read_to_string(format!("/proc/{}/status", postroom.running().id())).expect("a status");
    let user = nix::unistd::User::from_name(MAIL_USER)
        .expect("passwd")
        .expect("a user");
    for (field, id) in [("Uid:", user.uid.as_raw()), ("Gid:", user.gid.as_raw())] {
        let line = status.lines().find(|line| line.starts_with(field)).expect("a field");
        let ids: Vec<u32> = line
            .split_whitespace()
            .skip(1)
            .map(|id| id.parse().expect("an id"))
            .collect();
        assert_eq!(ids, [id; 4], "{line}");
    }
    let groups = status
        .lines()
        .find(|line| line.starts_with("Groups:"))
        .expect("a field");
    assert!(!groups.split_whitespace().any(|group| group == "0"), "{groups}");

    assert_is(&postroom.send("s@example.net", &[ANN], MESSAGE)[0], 250, "2.1.5");
    // Commands of root leave nothing of root's behind, not even in a home that they make.
    let output = postroom.run_with_input(
        &["deliver", "-d", "bob@example.org", "-f", "s@example.net"],
        b"Subject: x\n\n",
    );
    assert!(output.status.success(), "{}", said(&output));
    for user in [ANN, "bob@example.org", "nothing-yet@example.org"] {
        postroom.mailboxes(user);
        postroom.run(&["index", "check", user]);
        postroom.run(&["index", "rebuild", user]);
    }
    assert!(assert_owned(&postroom.root) > 10);
    let mut modes: Vec<(bool, u32)> = Vec::new();
    for path in ["Maildir", "Maildir/new", "Maildir/postroom-mailbox", "index.sqlite"] {
        let metadata = fs::metadata(postroom.home("ann").join(path)).expect("there");
        modes.push((metadata.is_dir(), metadata.permissions().mode() & 0o777));
    }
    assert_eq!(modes, [(true, 0o700), (true, 0o700), (false, 0o600), (false, 0o600)]);
}

#[test]
fn deliver_as_root_without_a_user_becomes_the_homes_owner() {
    if !is_root() {
        return eprintln!("skipped: needs root");
    }
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::default());
    fs::create_dir_all(postroom.home("ann")).expect("a home");
    support::place::give_to_mail_user(&postroom.root);
    let deliver = ["deliver", "-d", ANN, "-f", "s@example.net"];
    let output = postroom.run_with_input(&deliver, b"Subject: x\n\nbody\n");
    assert!(output.status.success(), "{}", said(&output));
    postroom.run(&["index", "rebuild", ANN]);
    assert_eq!(postroom.count(ANN, "INBOX"), 1);
    assert_owned(&postroom.root);
}

#[test]
fn a_folder_it_may_not_write_to() {
    if !is_root() {
        return eprintln!("skipped: needs root");
    }
    let place = Place::new();
    let wishes = Wishes {
        as_mail_user: true,
        ..Wishes::default()
    };
    let postroom = Postroom::serving(&place, &wishes);
    assert_is(&postroom.send("s@example.net", &[ANN], MESSAGE)[0], 250, "2.1.5");
    let home = postroom.home("ann");
    for (folder, mode) in [(home.join("Maildir/tmp"), 0o500), (home.join("Maildir/new"), 0o500)] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).expect("permissions");
        let message = MESSAGE.replace("hello", &folder.display().to_string());
        let replies = postroom.send("s@example.net", &[ANN, "bob@example.org"], &message);
        assert_is(&replies[0], 451, "4.3.0");
        assert_is(&replies[1], 250, "2.1.5");
        let log = postroom.log();
        let line = log
            .lines()
            .rfind(|line| line.contains("status=\"deferred\""))
            .expect("a line");
        for words in [
            folder.to_str().expect("UTF-8"),
            "ermission denied",
            "make that the owner",
            MAIL_USER,
        ] {
            assert!(line.contains(words), "no {words:?} in {line}");
        }
        let told = replies[0].text.split(['(', ')']).nth(1).expect("an id");
        assert!(line.contains(told), "{replies:?} {line}");
        assert!(!replies[0].text.contains('/'), "the sender learns little: {replies:?}");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("permissions");
        assert_is(&postroom.send("s@example.net", &[ANN], &message)[0], 250, "2.1.5");
    }
    assert_eq!(postroom.count(ANN, "INBOX"), 3);
    postroom.run(&["index", "check", ANN]);
    let left = fs::read_dir(home.join("Maildir/tmp")).expect("a folder").count();
    assert_eq!(left, 0, "nothing stays in tmp/");
}
