//! The program under test: its configuration, `serve`, and the commands beside it.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::child::{Running, run};
use super::lmtp::{Carriage, Client, Reply};
use super::place::{MAIL_USER, Place, free_address, give_to_mail_user, is_root, wait_until};

/// A site: a configuration in a place, and `serve` where it was started.
pub struct Postroom {
    pub config: PathBuf,
    /// Where accounts lie.
    pub root: PathBuf,
    /// LMTP over TCP.
    pub lmtp: SocketAddr,
    /// SMTP.
    pub smtp: SocketAddr,
    /// LMTP over a Unix socket that every user may write to.
    pub socket: PathBuf,
    log: PathBuf,
    running: Option<Running>,
}

/// What a test may want otherwise than usual.
#[derive(Default)]
pub struct Wishes<'a> {
    /// Run as [`MAIL_USER`], as a site does; the tests must run as root then.
    pub as_mail_user: bool,
    /// Where accounts lie, if not in a new folder.
    pub root: Option<PathBuf>,
    /// Site scripts that run before the user's.
    pub before: Option<&'a Path>,
    /// The script of users without one.
    pub default: Option<&'a Path>,
    /// The only local parts there are; else any.
    pub users: Option<&'a [&'a str]>,
    /// Site scripts that run after the user's.
    pub after: Option<&'a Path>,
    /// A file that lists the accounts, in place of `users`.
    pub table: Option<&'a Path>,
    /// The accounts are those of the system.
    pub system: bool,
    /// Whole sections that stand in the configuration too: limits, log, store, delivery.
    pub more: &'a str,
    /// The submission server.
    pub submission: Option<SocketAddr>,
    /// Where SMTP listens, if not at a new address.
    pub smtp: Option<SocketAddr>,
}

impl Wishes<'_> {
    /// As a site runs it beside an MTA: under a user of its own, with the users ann and bob.
    pub fn site() -> Wishes<'static> {
        Wishes {
            as_mail_user: true,
            users: Some(&["ann", "bob"]),
            ..Wishes::default()
        }
    }
}

impl Postroom {
    /// Writes a configuration for the domain example.org; nothing runs yet.
    pub fn configured(place: &Place, wishes: &Wishes) -> Postroom {
        let root = wishes.root.clone().unwrap_or_else(|| place.folder("vmail"));
        // A folder of its own, so that its owner may make and remove the socket.
        let socket = place.folder("run").join("lmtp");
        let (lmtp, smtp) = (free_address(), wishes.smtp.unwrap_or_else(free_address));
        if wishes.as_mail_user {
            assert!(is_root());
            give_to_mail_user(&root);
            give_to_mail_user(&place.path("run"));
        }
        let config = place.file("postroom.toml", configuration(&root, lmtp, smtp, &socket, wishes));
        Postroom {
            config,
            root,
            lmtp,
            smtp,
            socket,
            log: place.path("postroom.log"),
            running: None,
        }
    }

    /// [`Postroom::configured`], with `serve` started and listening.
    pub fn serving(place: &Place, wishes: &Wishes) -> Postroom {
        let mut postroom = Postroom::configured(place, wishes);
        postroom.serve();
        postroom
    }

    /// Starts `serve` and waits until it answers.
    pub fn serve(&mut self) {
        self.serve_by(self.command(&["serve"]));
    }

    /// As [`Postroom::serve`], by a command that becomes it.
    pub fn serve_by(&mut self, command: Command) {
        let mut running = Running::start("postroom serve", command, &self.log);
        wait_until("postroom answers", || {
            running.assert_alive();
            Client::lmtp(self.lmtp).is_ok()
        });
        self.running = Some(running);
    }

    /// The running `serve`.
    pub fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("it was started")
    }

    /// The log of `serve`.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// `postroom ARGUMENTS --config FILE`, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postroom"));
        command.args(arguments).arg("--config").arg(&self.config);
        command
    }

    /// Runs a command that must succeed and returns its standard output.
    pub fn run(&self, arguments: &[&str]) -> Vec<u8> {
        run(&mut self.command(arguments))
    }

    /// Runs a command with this standard input, however it ends.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("postroom starts");
        // A command may end before it has read everything.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        child.wait_with_output().expect("it ends")
    }

    /// The mailboxes of a user: `mailbox list --json`.
    pub fn mailboxes(&self, user: &str) -> Vec<Value> {
        array(&self.run(&["mailbox", "list", "--json", user]))
    }

    /// One mailbox out of [`Postroom::mailboxes`].
    pub fn mailbox(&self, user: &str, name: &str) -> Value {
        let all = self.mailboxes(user);
        all.iter()
            .find(|it| it["name"] == name)
            .unwrap_or_else(|| panic!("{user} has no {name}: {all:?}"))
            .clone()
    }

    /// The messages of a mailbox: `message list --json`.
    pub fn messages(&self, user: &str, mailbox: &str) -> Vec<Value> {
        array(&self.run(&["message", "list", "--json", user, mailbox]))
    }

    /// The bytes of a message as IMAP sends them.
    pub fn show(&self, user: &str, mailbox: &str, uid: u64) -> Vec<u8> {
        self.run(&["message", "show", user, mailbox, &uid.to_string()])
    }

    /// The bytes of a message as they lie on disk, by way of the program.
    pub fn show_raw(&self, user: &str, mailbox: &str, uid: u64) -> Vec<u8> {
        self.run(&["message", "show", "--raw", user, mailbox, &uid.to_string()])
    }

    /// How many messages a mailbox has; none where there is no such mailbox.
    pub fn count(&self, user: &str, mailbox: &str) -> u64 {
        let mailboxes = self.mailboxes(user);
        let found = mailboxes.iter().find(|it| it["name"] == mailbox);
        found.map_or(0, |it| it["messages"].as_u64().expect("a number"))
    }

    /// The messages of a mailbox as they lie on disk, in order of UID.
    pub fn texts(&self, user: &str, mailbox: &str) -> Vec<String> {
        let messages = self.messages(user, mailbox);
        let uids = messages.iter().map(|it| it["uid"].as_u64().expect("a UID"));
        let raw = uids.map(|uid| self.show_raw(user, mailbox, uid));
        raw.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }

    /// Sends one message by LMTP and returns the reply to each recipient.
    pub fn send(&self, from: &str, to: &[&str], message: &str) -> Vec<Reply> {
        let mut client = Client::lmtp(self.lmtp).expect("a session");
        client
            .send(from, to, message.as_bytes(), Carriage::Data)
            .expect("a reply")
    }

    /// Sends one message by SMTP and returns the reply to it.
    pub fn send_by_smtp(&self, from: &str, to: &[&str], message: &str) -> Reply {
        let mut client = Client::smtp(self.smtp).expect("a session");
        let replies = client
            .send(from, to, message.as_bytes(), Carriage::Data)
            .expect("a reply");
        replies.into_iter().next().expect("one reply")
    }

    /// The home of a user of example.org.
    pub fn home(&self, local_part: &str) -> PathBuf {
        self.root.join("example.org").join(local_part)
    }

    /// Gives a user an active script.
    pub fn give_script(&self, local_part: &str, script: &str) {
        let home = self.home(local_part);
        fs::create_dir_all(home.join("sieve")).expect("a folder");
        fs::write(home.join("sieve/main.sieve"), script).expect("a script");
        let _ = fs::remove_file(home.join(".dovecot.sieve")); // There may be one from before.
        std::os::unix::fs::symlink("sieve/main.sieve", home.join(".dovecot.sieve")).expect("a link");
        let owner = fs::read_to_string(&self.config).expect("the configuration");
        if owner.contains("\nuser = ") {
            give_to_mail_user(&self.root);
        }
    }
}

fn configuration(root: &Path, lmtp: SocketAddr, smtp: SocketAddr, socket: &Path, wishes: &Wishes) -> String {
    let list = |items: &[&str]| serde_json::to_string(items).expect("strings");
    let path = |path: Option<&Path>| path.map(|path| path.to_str().expect("UTF-8").to_owned());
    let mut text = format!("hostname = \"mx.example.org\"\nroot = {root:?}\n");
    if wishes.as_mail_user {
        text += &format!("user = {MAIL_USER:?}\n");
    }
    for (protocol, address) in [("lmtp", lmtp.to_string()), ("smtp", smtp.to_string())] {
        text += &format!("\n[[listen]]\nprotocol = {protocol:?}\naddress = {address:?}\n");
    }
    text += &format!(
        "\n[[listen]]\nprotocol = \"lmtp\"\naddress = \"unix:{}\"\nmode = \"0666\"\n",
        socket.display()
    );
    text += "\n[directory]\ndomains = [\"example.org\"]\n";
    match path(wishes.table) {
        _ if wishes.system => text += "kind = \"passwd\"\n",
        Some(table) => text += &format!("kind = \"table\"\nfile = {table:?}\n"),
        None => text += "kind = \"static\"\n",
    }
    if let Some(users) = wishes.users {
        text += &format!("users = {}\n", list(users));
    }
    text += "\n[sieve]\n";
    if let Some(before) = path(wishes.before) {
        text += &format!("before = {}\n", list(&[&before]));
    }
    if let Some(after) = path(wishes.after) {
        text += &format!("after = {}\n", list(&[&after]));
    }
    if let Some(default) = path(wishes.default) {
        text += &format!("default = {default:?}\n");
    }
    if let Some(server) = wishes.submission {
        text += &format!("\n[submission]\nserver = \"{server}\"\n");
    }
    text + wishes.more
}

fn array(json: &[u8]) -> Vec<Value> {
    match serde_json::from_slice(json) {
        Ok(Value::Array(items)) => items,
        other => panic!("not a JSON array: {other:?}\n{}", String::from_utf8_lossy(json)),
    }
}

/// Takes off what we put before a message: our trace fields and nothing else. Panics if the message does not end
/// in `expected`, or something else stands before it.
pub fn without_trace<'a>(stored: &'a [u8], expected: &[u8], what: &str) -> &'a [u8] {
    assert!(
        stored.ends_with(expected),
        "{what}: came back otherwise\n--- sent ---\n{:.2000}\n--- came back ---\n{:.3000}",
        String::from_utf8_lossy(expected),
        String::from_utf8_lossy(stored)
    );
    let (trace, message) = stored.split_at(stored.len() - expected.len());
    let trace = std::str::from_utf8(trace).unwrap_or_else(|_| panic!("{what}: trace fields are not UTF-8"));
    let mut names = Vec::new();
    for line in trace.lines().filter(|line| !line.starts_with([' ', '\t'])) {
        names.push(line.split(':').next().expect("a name").to_ascii_lowercase());
    }
    names.sort_unstable();
    let known = ["delivered-to", "received", "return-path", "x-original-to"];
    assert!(
        names.iter().all(|name| known.contains(&name.as_str())),
        "{what}: before the message stands\n{trace}"
    );
    assert!(
        names.windows(2).all(|pair| pair[0] != pair[1]),
        "{what}: a trace field twice\n{trace}"
    );
    for name in ["received", "return-path"] {
        assert!(names.iter().any(|it| it == name), "{what}: no {name} in\n{trace}");
    }
    message
}

/// A message as IMAP sends it: every LF without CR becomes CRLF, a lone CR stays.
pub fn with_crlf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    for (at, byte) in message.iter().enumerate() {
        if *byte == b'\n' && (at == 0 || message[at - 1] != b'\r') {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}
