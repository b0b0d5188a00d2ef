//! `postroom password hash` at a terminal.

mod support;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use support::place::wait_until;

/// A program at a terminal of its own, which is this test.
struct Terminal {
    ours: File,
    theirs: File,
    child: Child,
}

impl Terminal {
    fn asking() -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let path = name.into_string().expect("ASCII");
        let theirs = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .expect("its other end");
        let end = || Stdio::from(theirs.try_clone().expect("a copy"));
        // A session of its own, so that Ctrl-C means this program.
        let child = Command::new("setsid")
            .args(["--ctty", env!("CARGO_BIN_EXE_postroom"), "password", "hash"])
            .stdin(end())
            .stdout(Stdio::piped())
            .stderr(end())
            .spawn()
            .expect("postroom starts");
        let ours = File::from(master);
        Terminal { ours, theirs, child }
    }

    fn shows_what_is_typed(&self) -> bool {
        let modes = tcgetattr(&self.theirs).expect("its settings").local_modes;
        modes.contains(LocalModes::ECHO)
    }

    /// Waits until it is asked for a password, and types.
    fn types(&mut self, text: &str) {
        let mut shown = String::new();
        while !shown.ends_with(": ") {
            let mut bytes = [0; 256];
            let read = self.ours.read(&mut bytes).expect("a prompt");
            shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        wait_until("nothing is shown", || !self.shows_what_is_typed());
        self.ours.write_all(text.as_bytes()).expect("typed");
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("it ends", || {
            status = self.child.try_wait().expect("its status");
            status.is_some()
        });
        status.expect("it ended")
    }
}

#[test]
fn what_is_typed_is_not_shown() {
    let mut terminal = Terminal::asking();
    assert!(terminal.child.try_wait().expect("its status").is_none());
    terminal.types("secret\n");
    terminal.types("secret\n");
    assert!(terminal.ended().success());
    let mut hash = String::new();
    let mut output = terminal.child.stdout.take().expect("a pipe");
    output.read_to_string(&mut hash).expect("a hash");
    assert!(hash.contains("$argon2id$"), "{hash}");
    assert!(terminal.shows_what_is_typed());
}

#[test]
fn whoever_ends_it_gets_the_terminal_back() {
    for (signal, code) in [(None, 130), (Some(Signal::SIGTERM), 143), (Some(Signal::SIGHUP), 129)] {
        let mut terminal = Terminal::asking();
        match signal {
            None => terminal.types("secr\u{3}"),
            Some(signal) => {
                terminal.types("secr");
                let process = nix::unistd::Pid::from_raw(terminal.child.id().cast_signed());
                nix::sys::signal::kill(process, signal).expect("sent");
            }
        }
        assert_eq!(terminal.ended().code(), Some(code), "{signal:?}");
        assert!(terminal.shows_what_is_typed(), "{signal:?}");
    }
}
