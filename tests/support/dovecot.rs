//! A private Dovecot as IMAP and POP3 server on our Maildirs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::child::{Running, run};
use super::documents::snippet_with;
use super::peers::program;
use super::place::{MAIL_USER, PATIENCE, Place, free_address, wait_until};

/// A running Dovecot.
pub struct Dovecot {
    imap: SocketAddr,
    pop3: SocketAddr,
    place: PathBuf,
    running: Running,
}

/// A message as a mail program sees it.
pub struct Seen {
    pub uid: u64,
    pub flags: Vec<String>,
    pub bytes: Vec<u8>,
}

impl Dovecot {
    /// Starts one on the accounts below `root`, with the settings of docs/MTA.md.
    pub fn start(place: &Place, root: &Path) -> Dovecot {
        let (imap, pop3) = (free_address(), free_address());
        let base = place.folder("dovecot");
        let root = root.display().to_string();
        let user = format!("uid={MAIL_USER} gid={MAIL_USER}");
        let documented = snippet_with("dovecot", &[("/var/vmail", &root), ("uid=vmail gid=vmail", &user)]);
        let private = format!(
            "base_dir = {base}/run\nstate_dir = {base}/state\nlog_path = {base}/log\nprotocols = imap pop3\n\
             listen = 127.0.0.1\nssl = no\ndisable_plaintext_auth = no\nfirst_valid_uid = 1\nfirst_valid_gid = 1\n\
             default_client_limit = 100\ndefault_process_limit = 20\n\
             service imap-login {{\n  inet_listener imap {{\n    port = {imap}\n  }}\n  inet_listener imaps {{\n    port = 0\n  }}\n}}\n\
             service pop3-login {{\n  inet_listener pop3 {{\n    port = {pop3}\n  }}\n  inet_listener pop3s {{\n    port = 0\n  }}\n}}\n\
             passdb {{\n  driver = static\n  args = password=secret\n}}\n",
            base = base.display(),
            imap = imap.port(),
            pop3 = pop3.port(),
        );
        let config = place.file("dovecot/dovecot.conf", private + &documented);
        let mut command = Command::new(program("dovecot").expect("dovecot"));
        command.arg("-F").arg("-c").arg(&config);
        let mut running = Running::start("Dovecot", command, &place.path("dovecot/log"));
        wait_until("Dovecot answers", || {
            running.assert_alive();
            [imap, pop3]
                .iter()
                .all(|it| std::net::TcpStream::connect_timeout(it, PATIENCE).is_ok())
        });
        Dovecot {
            imap,
            pop3,
            place: base,
            running,
        }
    }

    /// The messages of a mailbox over IMAP, in order of UID, and its UIDVALIDITY.
    pub fn by_imap(&self, user: &str, mailbox: &str) -> (u64, Vec<Seen>) {
        let answer = self.read_back("imap", self.imap, user, mailbox);
        (answer["uidvalidity"].as_u64().expect("a number"), seen(&answer))
    }

    /// The messages of INBOX over POP3.
    pub fn by_pop3(&self, user: &str) -> Vec<Seen> {
        seen(&self.read_back("pop3", self.pop3, user, "INBOX"))
    }

    /// Changes INBOX as tests/support/change.py says.
    pub fn change(&self, user: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/change.py");
        run(Command::new("python3")
            .arg(script)
            .args([&self.imap.port().to_string(), user, "secret"]));
    }

    /// The answers to IMAP commands in a mailbox that was selected: the last line without its tag, and what came
    /// before it.
    pub fn answers(&self, user: &str, mailbox: &str, commands: &[String]) -> Vec<(String, Vec<u8>)> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/fetch.py");
        let lines = self.place.join("commands");
        std::fs::write(&lines, commands.join("\n")).expect("a file");
        let out = run(Command::new("python3")
            .arg(script)
            .args([&self.imap.port().to_string(), user, "secret", mailbox])
            .stdin(std::fs::File::open(lines).expect("a file")));
        let answers: Vec<Value> = serde_json::from_slice(&out).expect("JSON");
        let text = |it: &Value, key: &str| it[key].as_str().expect("text").to_owned();
        answers
            .iter()
            .map(|it| (text(it, "status"), from_latin_1(&text(it, "text"))))
            .collect()
    }

    fn read_back(&self, protocol: &str, server: SocketAddr, user: &str, mailbox: &str) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/read_back.py");
        let port = server.port().to_string();
        let out = run(Command::new("python3")
            .arg(script)
            .args([protocol, &port, user, "secret", mailbox]));
        serde_json::from_slice(&out).expect("JSON")
    }
}

fn seen(answer: &Value) -> Vec<Seen> {
    let list = answer["messages"].as_array().expect("a list");
    list.iter()
        .map(|it| Seen {
            uid: it["uid"].as_u64().expect("a number"),
            flags: it["flags"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|it| it.as_str().expect("a flag").into())
                .collect(),
            bytes: from_latin_1(it["bytes"].as_str().expect("text")),
        })
        .collect()
}

/// One character for each byte: JSON has no bytes.
fn from_latin_1(text: &str) -> Vec<u8> {
    let bytes = text.chars().map(|it| u8::try_from(u32::from(it)).expect("Latin-1"));
    bytes.collect()
}
