//! What users and other programs may leave in a home: nothing of it holds up a delivery or a reader for ever.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;
use std::thread;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use support::place::{Place, wait_until};
use support::postroom::{Postroom, Wishes};

const MESSAGE: &str = "Subject: hello\n\nbody\n";
const KINDS: &[&str] = &["fifo", "device", "folder", "dangling", "circle", "garbage"];

fn make(kind: &str, path: &Path) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    match kind {
        "fifo" => mkfifo(path, Mode::S_IRWXU).expect("a FIFO"),
        "device" => symlink("/dev/zero", path).expect("a link"),
        "folder" => fs::create_dir(path).expect("a folder"),
        "dangling" => symlink("nowhere", path).expect("a link"),
        "circle" => symlink(path.file_name().expect("a name"), path).expect("a link"),
        _ => fs::write(path, [b"\xff\0\n:".as_slice(); 1000].concat()).expect("a file"),
    }
}

/// Runs a command in a thread: one that waits for ever fails the test rather than holding it up.
fn ends(postroom: &Postroom, arguments: &[&str], what: &str) -> Output {
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            let mut bounded = vec!["60", env!("CARGO_BIN_EXE_postroom")];
            bounded.extend(arguments);
            let mut command = std::process::Command::new("timeout");
            command.args(bounded).arg("--config").arg(&postroom.config);
            let message = postroom.config.with_file_name("message");
            fs::write(&message, MESSAGE).expect("a file");
            command
                .stdin(fs::File::open(message).expect("a file"))
                .output()
                .expect("it runs")
        });
        wait_until(what, || running.is_finished());
        running.join().expect("no panic")
    })
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

#[test]
fn in_place_of_the_script() {
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::default());
    for kind in KINDS {
        make(kind, &postroom.home(kind).join(".dovecot.sieve"));
        let user = format!("{kind}@example.org");
        let output = ends(&postroom, &["deliver", "-d", &user, "-f", "s@example.net"], kind);
        assert_eq!(code(&output), 0, "{kind}: {output:?}");
        // A link to nothing is no script; of anything else the owner is told.
        let expected = if *kind == "dangling" { 1 } else { 2 };
        assert_eq!(postroom.count(&user, "INBOX"), expected, "{kind}");
    }
}

#[test]
fn among_the_messages() {
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::default());
    let user = "ann@example.org";
    let deliver = ["deliver", "-d", user, "-f", "s@example.net"];
    assert_eq!(code(&ends(&postroom, &deliver, "before")), 0);
    for kind in KINDS {
        for name in [format!("new/1.{kind}.host"), format!("cur/2.{kind}.host:2,S")] {
            make(kind, &postroom.home("ann").join("Maildir").join(name));
        }
    }
    for arguments in [
        &["mailbox", "list", user][..],
        &["message", "list", user, "INBOX"],
        &["index", "check", user],
        &["index", "rebuild", user],
        &["index", "check", user],
    ] {
        let output = ends(&postroom, arguments, "it ends");
        assert_eq!(code(&output), 0, "{arguments:?}: {output:?}");
    }
    // The two of garbage are messages, whatever they say.
    assert_eq!(postroom.count(user, "INBOX"), 3);
}

#[test]
fn in_place_of_a_small_file() {
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::default());
    for name in [
        "postroom-mailbox",
        "dovecot-keywords",
        "dovecot-uidlist",
        "postroom-uidlist",
    ] {
        for kind in KINDS {
            let local = format!("{name}.{kind}");
            let user = format!("{local}@example.org");
            let maildir = postroom.home(&local).join("Maildir");
            for part in ["new", "cur", "tmp"] {
                fs::create_dir_all(maildir.join(part)).expect("a folder");
            }
            fs::write(maildir.join("cur/1.other.host:2,Sa"), MESSAGE).expect("a message of another program");
            make(kind, &maildir.join(name));
            let output = ends(&postroom, &["deliver", "-d", &user, "-f", "s@example.net"], &local);
            // Kept, or left with the MTA and the reason in the log.
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            match code(&output) {
                0 => assert_eq!(postroom.count(&user, "INBOX"), 2, "{local}: {said}"),
                75 => assert!(said.contains(name), "{local}: {said}"),
                other => panic!("{local}: {other} {said}"),
            }
            assert!(
                ["garbage", "dangling"].contains(kind) <= output.status.success(),
                "{local}: {said}"
            );
        }
    }
}
