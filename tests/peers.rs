//! postroom behind real mail programs: Postfix, Exim and OpenSMTPD in front, swaks and smtp-source as clients. Each runs as a private instance. The configuration is that of docs/MTA.md.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::child::run;
use support::documents::snippet_with;
use support::exim::Exim;
use support::lmtp::{Carriage, Client};
use support::opensmtpd::OpenSmtpd;
use support::peers::{self, present, program, root, unpacked};
use support::place::{MAIL_USER, Place, free_address, wait_until};
use support::postfix::Postfix;
use support::postroom::{Postroom, Wishes};

const MESSAGE: &str = "From: sender@example.org\r\nTo: ann@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
    Message-ID: <one@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: 8bit\r\n\r\n";
const BODY: &str = ".\r\n..two dots\r\nGr\u{fc}\u{df}e, \u{4f60}\u{597d}\r\n\r\nthe end\r\n";

const LMTP_SOCKET: &str = "/run/postroom/lmtp";
const LMTP_TCP: &str = "127.0.0.1:24";
const PROGRAM: &str = "/usr/bin/postroom";

/// Hands a message to an MTA by SMTP.
fn hand_over(smtp: std::net::SocketAddr, from: &str, to: &[&str]) {
    let message = format!("{MESSAGE}{BODY}");
    let mut client = Client::smtp(smtp).expect("the MTA");
    let replies = client
        .send(from, to, message.as_bytes(), Carriage::Data)
        .expect("a reply");
    assert!(replies.iter().all(|reply| reply.code == 250), "{replies:?}");
}

/// Waits until a mailbox has this many messages and returns them.
fn wait_for(postroom: &Postroom, user: &str, mailbox: &str, count: usize) -> Vec<Value> {
    let found = || {
        let exists = postroom.mailboxes(user).iter().any(|it| it["name"] == mailbox);
        if exists {
            postroom.messages(user, mailbox)
        } else {
            Vec::new()
        }
    };
    wait_until(&format!("{user} has {count} in {mailbox}"), || found().len() >= count);
    let all = found();
    assert_eq!(all.len(), count, "{user} {mailbox}: {all:?}");
    all
}

/// Panics unless the one message in a user's INBOX is ours, whole, with its envelope sender kept.
fn assert_arrived(postroom: &Postroom, user: &str, from: &str) {
    let messages = wait_for(postroom, user, "INBOX", 1);
    let stored = postroom.show(user, "INBOX", messages[0]["uid"].as_u64().expect("a UID"));
    let text = String::from_utf8(stored).expect("UTF-8");
    assert!(
        text.ends_with(&format!("\r\n\r\n{BODY}")),
        "the body came otherwise:\n{text}"
    );
    assert!(
        text.starts_with(&format!("Return-Path: <{from}>\r\n")),
        "no Return-Path at the top:\n{text}"
    );
    assert_eq!(messages[0]["message_id"], "one@example.org");
    assert_eq!(messages[0]["subject"], "Gr\u{fc}\u{df}e");
}

/// Panics unless a bounce for `failed` reached the user.
fn assert_bounced(postroom: &Postroom, user: &str, failed: &str) {
    let messages = wait_for(postroom, user, "INBOX", 1);
    let stored = postroom.show(user, "INBOX", messages[0]["uid"].as_u64().expect("a UID"));
    let text = String::from_utf8_lossy(&stored);
    assert!(text.starts_with("Return-Path: <>\r\n"), "{text}");
    assert!(
        text.contains(failed) && text.contains("5.1.1"),
        "no bounce for {failed}:\n{text}"
    );
}

/// A script that stands for /usr/bin/postroom: it runs the program from where any user may, with the test's
/// configuration.
fn installed(place: &Place, postroom: &Postroom) -> PathBuf {
    let binary = place.path("postroom-binary");
    fs::copy(env!("CARGO_BIN_EXE_postroom"), &binary).expect("a copy");
    let script = format!(
        "#!/bin/sh\nexec {} \"$@\" --config {}\n",
        binary.display(),
        postroom.config.display()
    );
    let path = place.file("postroom", script);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

// ---- Postfix ----

/// Mail through this Postfix arrives, and that to an unknown user bounces to its sender.
fn assert_postfix_delivers(postroom: &Postroom, postfix: &Postfix) {
    hand_over(postfix.smtp, "sender@example.net", &["ann@example.org"]);
    assert_arrived(postroom, "ann@example.org", "sender@example.net");
    hand_over(postfix.smtp, "bob@example.org", &["nobody@example.org"]);
    assert_bounced(postroom, "bob@example.org", "nobody@example.org");
    wait_until("Postfix's queue is empty", || {
        postfix.queued().contains("queue is empty")
    });
}

#[test]
fn postfix_over_the_unix_socket() {
    if !peers::postfix() {
        return;
    }
    let place = Place::new();
    let postroom = Postroom::serving(&place, &Wishes::site());
    let main = snippet_with("postfix-unix", &[(LMTP_SOCKET, text(&postroom.socket))]);
    assert_postfix_delivers(&postroom, &Postfix::start(&place, &main, ""));
}

#[test]
fn postfix_over_tcp() {
    if !peers::postfix() {
        return;
    }
    let place = Place::new();
    let postroom = Postroom::serving(&place, &Wishes::site());
    let main = snippet_with("postfix-tcp", &[(LMTP_TCP, &postroom.lmtp.to_string())]);
    assert_postfix_delivers(&postroom, &Postfix::start(&place, &main, ""));
}

/// Postfix's queue id, by XFORWARD, and an address beyond ASCII.
#[test]
fn postfix_names_its_queue_entry() {
    if !root() || !present(&["postfix"]) {
        return;
    }
    let place = Place::new();
    let trusting = free_address();
    let door = format!("\n[[listen]]\nprotocol = \"lmtp\"\naddress = \"{trusting}\"\ntrusted = [\"127.0.0.1\"]\n");
    let postroom = Postroom::serving(
        &place,
        &Wishes {
            more: &door,
            ..Wishes::default()
        },
    );
    let main = format!(
        "virtual_mailbox_domains = example.org\nvirtual_transport = lmtp:inet:{}:{}\nlmtp_send_xforward_command = yes\n",
        trusting.ip(),
        trusting.port()
    );
    let postfix = Postfix::start(&place, &main, "");
    let mut client = Client::smtp(postfix.smtp).expect("the MTA");
    for command in [
        "MAIL FROM:<jörg@example.net> SMTPUTF8",
        "RCPT TO:<änn@example.org>",
        "DATA",
    ] {
        let reply = client.command(command).expect("a reply");
        assert!(reply.is_positive(), "{reply:?}");
    }
    client
        .write(format!("{MESSAGE}body\r\n.\r\n").as_bytes())
        .expect("sent");
    let reply = client.reply().expect("a reply");
    let queue_id = reply.text.split_whitespace().last().expect("an id").to_owned();
    assert_eq!(reply.code, 250, "{reply:?}");
    let messages = wait_for(&postroom, "änn@example.org", "INBOX", 1);
    let shown = postroom.show("änn@example.org", "INBOX", messages[0]["uid"].as_u64().expect("a UID"));
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.starts_with("Return-Path: <jörg@example.net>\r\n"), "{shown}");
    assert!(shown.contains("with UTF8LMTP"), "{shown}");
    let log = postroom.log();
    assert!(log.contains(&format!("queue_id=\"{queue_id}\"")), "{queue_id}: {log}");
    let told = postroom.run(&["explain", "--json", "änn@example.org", &queue_id]);
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains(&queue_id) && told.contains("jörg@example.net"), "{told}");
}

#[test]
fn postfix_by_pipe() {
    if !peers::postfix() {
        return;
    }
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::site());
    let program = installed(&place, &postroom);
    let master = snippet_with(
        "postfix-pipe-master",
        &[(PROGRAM, text(&program)), ("vmail", MAIL_USER)],
    );
    assert_postfix_delivers(
        &postroom,
        &Postfix::start(&place, &snippet_with("postfix-pipe-main", &[]), &master),
    );
}

/// A small file system for one test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, mebibytes: u32) -> SmallDisk {
        let size = format!("size={mebibytes}m,mode=0755");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "postroom-test"])
            .arg(&at));
        SmallDisk(at)
    }

    fn grow(&self, mebibytes: u32) {
        run(Command::new("mount")
            .args(["-o", &format!("remount,size={mebibytes}m")])
            .arg(&self.0));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process may still be ending.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn full_disk_defers_until_there_is_space() {
    if !peers::postfix() {
        return;
    }
    let place = Place::new();
    let disk = SmallDisk::mount(place.folder("vmail"), 8);
    let wishes = Wishes {
        root: Some(place.path("vmail")),
        ..Wishes::site()
    };
    let postroom = Postroom::serving(&place, &wishes);
    let main = snippet_with("postfix-unix", &[(LMTP_SOCKET, text(&postroom.socket))]);
    let postfix = Postfix::start(&place, &main, "");

    let large = |subject: &str| format!("Subject: {subject}\r\n\r\n{}", "0123456789abcdef\r\n".repeat(150_000));
    let mut client = Client::smtp(postfix.smtp).expect("Postfix");
    for subject in ["first", "second", "third", "fourth"] {
        let replies = client.send(
            "bob@example.org",
            &["ann@example.org"],
            large(subject).as_bytes(),
            Carriage::Data,
        );
        assert_eq!(replies.expect("a reply")[0].code, 250);
    }
    postfix.wait_for_log(&["status=deferred", "452 4.3.1"]);
    disk.grow(64);
    // What is being tried just now is not flushed, so ask again.
    wait_until("all has arrived", || {
        postfix.flush();
        postfix.queued().contains("queue is empty")
    });
    let messages = wait_for(&postroom, "ann@example.org", "INBOX", 4);
    let mut subjects: Vec<_> = messages
        .iter()
        .map(|it| it["subject"].as_str().expect("text"))
        .collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["first", "fourth", "second", "third"]);
    postroom.run(&["index", "check", "ann@example.org"]);
    assert!(
        postroom
            .mailboxes("bob@example.org")
            .iter()
            .all(|it| it["messages"] == 0),
        "something bounced"
    );
}

// ---- Exim ----

fn exim(place: &Place, transport: &str) -> Option<Exim> {
    let folder = unpacked("exim4-daemon-light")?;
    root().then(|| Exim::start(place, &folder, &snippet_with("exim-router", &[]), transport))
}

/// Mail through this Exim arrives, and that to an unknown user bounces to its sender.
fn assert_mta_delivers(postroom: &Postroom, smtp: std::net::SocketAddr) {
    hand_over(smtp, "sender@example.net", &["ann@example.org"]);
    assert_arrived(postroom, "ann@example.org", "sender@example.net");
    hand_over(smtp, "bob@example.org", &["nobody@example.org"]);
    assert_bounced(postroom, "bob@example.org", "nobody@example.org");
}

#[test]
fn exim_over_the_unix_socket() {
    if !root() {
        return;
    }
    let place = Place::new();
    let postroom = Postroom::serving(&place, &Wishes::site());
    let Some(exim) = exim(
        &place,
        &snippet_with("exim-unix", &[(LMTP_SOCKET, text(&postroom.socket))]),
    ) else {
        return;
    };
    assert_mta_delivers(&postroom, exim.smtp);
}

#[test]
fn exim_over_tcp() {
    if !root() {
        return;
    }
    let place = Place::new();
    let postroom = Postroom::serving(&place, &Wishes::site());
    let port = format!("port = {}", postroom.lmtp.port());
    let Some(exim) = exim(&place, &snippet_with("exim-tcp", &[("port = 24", &port)])) else {
        return;
    };
    assert_mta_delivers(&postroom, exim.smtp);
}

#[test]
fn exim_by_pipe() {
    if !root() {
        return;
    }
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::site());
    let program = installed(&place, &postroom);
    let transport = snippet_with("exim-pipe", &[(PROGRAM, text(&program)), ("vmail", MAIL_USER)]);
    let Some(exim) = exim(&place, &transport) else { return };
    assert_mta_delivers(&postroom, exim.smtp);
}

// ---- OpenSMTPD ----

/// A reply for each recipient (PRDR): who is refused is bounced by Exim, and nobody else is kept waiting.
#[test]
fn exim_hears_of_each_recipient() {
    let place = Place::new();
    let postroom = Postroom::serving(&place, &Wishes::default());
    postroom.give_script("ann", "require \"reject\";\nreject \"not today\";\n");
    let transport = format!(
        "postroom:\n  driver = smtp\n  hosts = 127.0.0.1\n  port = {}\n  allow_localhost\n  hosts_override\n  \
         hosts_try_prdr = *\n  hosts_avoid_tls = *\n",
        postroom.smtp.port()
    );
    let Some(exim) = exim(&place, &transport) else {
        return;
    };
    hand_over(exim.smtp, "cy@example.org", &["ann@example.org", "bob@example.org"]);
    assert_arrived(&postroom, "bob@example.org", "cy@example.org");
    let bounces = wait_for(&postroom, "cy@example.org", "INBOX", 1);
    let bounce = postroom.show("cy@example.org", "INBOX", bounces[0]["uid"].as_u64().expect("a UID"));
    let bounce = String::from_utf8_lossy(&bounce);
    assert!(
        bounce.contains("ann@example.org") && bounce.contains("not today"),
        "{bounce}"
    );
    assert!(bounce.contains("mta.example.org"), "Exim writes it: {bounce}");
    assert_eq!(postroom.count("ann@example.org", "INBOX"), 0);
}

#[test]
fn opensmtpd_over_the_unix_socket() {
    let Some(folder) = unpacked("opensmtpd").filter(|_| root()) else {
        return;
    };
    let place = Place::new();
    let postroom = Postroom::serving(&place, &Wishes::site());
    let lines = snippet_with(
        "opensmtpd-lmtp",
        &[(LMTP_SOCKET, text(&postroom.socket)), ("vmail", MAIL_USER)],
    );
    let opensmtpd = OpenSmtpd::start(&place, &folder, &lines);
    hand_over(opensmtpd.smtp, "sender@example.net", &["ann@example.org"]);
    assert_arrived(&postroom, "ann@example.org", "sender@example.net");
    // It takes the refusal for a temporary one, as docs/MTA.md says.
    hand_over(opensmtpd.smtp, "bob@example.org", &["nobody@example.org"]);
    wait_until("OpenSMTPD reports the refusal", || {
        opensmtpd.log().contains("550 5.1.1")
    });
}

#[test]
fn opensmtpd_by_pipe() {
    let Some(folder) = unpacked("opensmtpd").filter(|_| root()) else {
        return;
    };
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::site());
    let program = installed(&place, &postroom);
    let lines = snippet_with("opensmtpd-pipe", &[(PROGRAM, text(&program)), ("vmail", MAIL_USER)]);
    let opensmtpd = OpenSmtpd::start(&place, &folder, &lines);
    assert_mta_delivers(&postroom, opensmtpd.smtp);
}

// ---- clients ----

#[test]
fn swaks_by_lmtp_and_smtp() {
    if !present(&["swaks"]) {
        return;
    }
    let place = Place::new();
    let postroom = Postroom::serving(
        &place,
        &Wishes {
            users: Some(&["ann", "bob"]),
            ..Wishes::default()
        },
    );
    let swaks = |arguments: &[&str]| {
        Command::new("swaks")
            .args(["--from", "s@example.net"])
            .args(arguments)
            .output()
            .expect("swaks")
    };
    let (lmtp, smtp) = (postroom.lmtp.to_string(), postroom.smtp.to_string());
    let (both, unknown) = ("ann@example.org,bob@example.org", "ann@example.org,nobody@example.org");
    for (arguments, done, expected) in [
        (
            vec!["--protocol", "LMTP", "--server", &lmtp, "--to", both],
            true,
            "<-  250 2.1.5",
        ),
        (
            vec![
                "--protocol",
                "LMTP",
                "--socket",
                text(&postroom.socket),
                "--to",
                both,
                "--pipeline",
            ],
            true,
            "<-  250 2.1.5",
        ),
        (
            vec!["--protocol", "ESMTP", "--server", &smtp, "--to", both],
            true,
            "<-  250 2.",
        ),
        (
            vec!["--protocol", "LMTP", "--server", &lmtp, "--to", unknown],
            true,
            "<** 550 5.1.1",
        ),
        (
            vec!["--protocol", "ESMTP", "--server", &smtp, "--to", "nobody@example.org"],
            false,
            "<** 550 5.1.1",
        ),
        (
            vec![
                "--protocol",
                "ESMTP",
                "--server",
                &smtp,
                "--to",
                "ann@elsewhere.example",
            ],
            false,
            "<** 550 5.",
        ),
    ] {
        let output = swaks(&arguments);
        let shown = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.success(), done, "{arguments:?}:\n{shown}");
        assert!(shown.contains(expected), "{arguments:?}: no {expected:?} in\n{shown}");
    }
    wait_for(&postroom, "ann@example.org", "INBOX", 4);
    wait_for(&postroom, "bob@example.org", "INBOX", 3);
}

#[test]
fn smtp_source_loads_it() {
    if !present(&["smtp-source"]) {
        return;
    }
    let place = Place::new();
    let postroom = Postroom::serving(&place, &Wishes::default());
    let smtp_source = program("smtp-source").expect("it is present");
    for (protocol, server, to) in [
        ("-L", postroom.lmtp.to_string(), "ann"),
        ("-4", postroom.smtp.to_string(), "bob"),
    ] {
        let to = format!("{to}@example.org");
        let server = format!("inet:{server}");
        run(Command::new(&smtp_source)
            .args([protocol, "-d", "-s", "8", "-m", "200", "-l", "4096"])
            .args(["-f", "load@example.net", "-t", &to, &server]));
        wait_for(&postroom, &to, "INBOX", 200);
        postroom.run(&["index", "check", &to]);
    }
}
