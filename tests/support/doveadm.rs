//! Dovecot's commands on one account, without a running server.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::place::{MAIL_USER, Place, give_to_mail_user};

/// An account that Dovecot alone filled so far.
pub struct Doveadm {
    config: PathBuf,
    home: PathBuf,
    log: PathBuf,
}

impl Doveadm {
    /// An account without a Maildir. Files that this thread makes from now on belong to the mail user, as they would
    /// in a site: Dovecot reads no mail as root.
    pub fn new(place: &Place) -> Doveadm {
        let (base, home) = (place.folder("dovecot"), place.folder("home"));
        let log = place.file("dovecot/log", "");
        let config = format!(
            "base_dir = {base}/run\nstate_dir = {base}/state\nlog_path = {log}\nfirst_valid_uid = 0\n\
             first_valid_gid = 0\nmail_uid = {MAIL_USER}\nmail_gid = {MAIL_USER}\nmail_home = {home}\n\
             mail_location = maildir:~/Maildir\nssl = no\nnamespace inbox {{\n  inbox = yes\n  separator = .\n}}\n",
            base = base.display(),
            log = log.display(),
            home = home.display(),
        );
        let config = place.file("dovecot/dovecot.conf", config);
        give_to_mail_user(&home);
        give_to_mail_user(&base);
        let user = nix::unistd::User::from_name(MAIL_USER)
            .expect("passwd")
            .expect("the user mail");
        nix::unistd::setfsgid(user.gid);
        nix::unistd::setfsuid(user.uid);
        Doveadm { config, home, log }
    }

    /// The Maildir.
    pub fn maildir(&self) -> PathBuf {
        self.home.join("Maildir")
    }

    /// The home, with the Maildir in it.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A shell command for the mail user that speaks IMAP, logged in, and reads what the zlib plugin compressed.
    pub fn tunnel(&self) -> String {
        format!(
            "env USER=ann HOME={home} {imap} -c {config} -o mail_plugins=zlib",
            home = self.home.display(),
            imap = imap_program().display(),
            config = self.config.display(),
        )
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("USER", "ann")
            .env("HOME", &self.home)
            .arg("-c")
            .arg(&self.config);
        command.stderr(Stdio::inherit());
        command
    }

    /// Runs `doveadm` with these words, which must succeed, and returns what it prints.
    pub fn run(&self, words: &[&str]) -> String {
        let output = self.command("doveadm").args(words).output().expect("doveadm");
        assert!(output.status.success(), "{words:?}: {}", self.log());
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Saves a message; `options` are settings as `name=value`.
    pub fn save(&self, mailbox: &str, message: &str, options: &[&str]) {
        let mut command = self.command("doveadm");
        for option in options {
            command.args(["-o", option]);
        }
        command.args(["save", "-m", mailbox]).stdin(Stdio::piped());
        let mut child = command.spawn().expect("doveadm");
        let mut input = child.stdin.take().expect("its input");
        input.write_all(message.as_bytes()).expect("it reads");
        drop(input);
        assert!(child.wait().expect("it ends").success(), "{}", self.log());
    }

    /// One field of each message of a mailbox, in order of UID; the field has one line.
    pub fn fetch(&self, field: &str, mailbox: &str) -> Vec<String> {
        let printed = self.run(&["-f", "flow", "fetch", field, "mailbox", mailbox]);
        let prefix = format!("{field}=");
        printed
            .lines()
            .map(|line| line.strip_prefix(&prefix).expect(line).to_owned())
            .collect()
    }

    /// A number that `mailbox status` prints.
    pub fn status(&self, field: &str, mailbox: &str) -> u32 {
        let printed = self.run(&["-f", "flow", "mailbox", "status", field, mailbox]);
        let (_, value) = printed.trim_end().rsplit_once('=').expect("a value");
        value.parse().expect("a number")
    }

    /// What Dovecot complained of.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log")
    }

    /// A session of IMAP that is logged in.
    pub fn imap(&self) -> Imap {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", MAIL_USER, "--regid", MAIL_USER, "--clear-groups"]);
        command.arg(imap_program()).arg("-c").arg(&self.config);
        command.env("USER", "ann").env("HOME", &self.home);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("imap");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Imap { child, input, output }
    }
}

impl Drop for Doveadm {
    fn drop(&mut self) {
        // So that the place can be removed.
        nix::unistd::setfsuid(nix::unistd::geteuid());
        nix::unistd::setfsgid(nix::unistd::getegid());
    }
}

fn imap_program() -> &'static Path {
    Path::new("/usr/lib/dovecot/imap")
}

/// A session of IMAP; ended when dropped.
pub struct Imap {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Imap {
    /// Sends a command, which must succeed, and returns the lines of its answer.
    pub fn run(&mut self, command: &str) -> Vec<String> {
        write!(self.input, "a {command}\r\n").expect("it reads");
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(
                self.output.read_line(&mut line).expect("it writes") > 0,
                "it ended: {lines:?}"
            );
            if let Some(end) = line.strip_prefix("a ") {
                assert!(end.starts_with("OK"), "{command}: {end}");
                return lines;
            }
            lines.push(line.trim_end().to_owned());
        }
    }
}

impl Drop for Imap {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
