//! The example in docs/examples answers as the commands do.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::ANN;
use crate::support::peers;
use crate::support::place::Place;
use crate::support::postroom::{Postroom, Wishes, with_crlf};

#[test]
fn the_pop3_example_answers_as_the_commands_do() {
    if !peers::present(&["python3"]) {
        return;
    }
    let place = Place::new();
    let postroom = Postroom::configured(&place, &Wishes::default());
    let dotted = "Subject: dots\r\n\r\n.\r\n..two\r\nlast";
    let texts = [
        "Subject: plain\n\none\ntwo\nthree\n",
        dotted,
        "From: s@example.net\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\nContent-Type: multipart/mixed; boundary=b\n\n\
         --b\n\ntext\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n--b--\n",
        "Subject: no body\n\n",
        "Subject: mixed\r\n\r\none\ntwo\r\nand a lone \r here\n",
    ];
    for text in texts {
        let output = postroom.run_with_input(&["deliver", "-d", ANN, "-f", "s@example.net"], text.as_bytes());
        assert!(output.status.success(), "{output:?}");
    }
    let inbox = postroom.home("ann").join("Maildir");
    // By other programs: a foreign name, a compressed file, one that was moved behind the index's back.
    fs::write(inbox.join("cur/1700000000.foreign"), "Subject: foreign\n\nbody\n").unwrap();
    let packed = Command::new("python3")
        .args([
            "-c",
            "import gzip,sys; sys.stdout.buffer.write(gzip.compress(b'Subject: packed\\n\\nbody\\n'))",
        ])
        .output();
    fs::write(inbox.join("cur/1700000009.packed,S=22:2,S"), packed.unwrap().stdout).unwrap();
    postroom.run(&["index", "check", ANN]);
    let messages = postroom.messages(ANN, "INBOX");
    assert_eq!(messages.len(), texts.len() + 2);
    let moved = messages[1]["path"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    fs::rename(inbox.join("new").join(&moved), inbox.join(format!("cur/{moved}:2,RS"))).unwrap();

    let mut client = Pop3::start(&place, &postroom.home("ann"));
    let sizes: Vec<u64> = messages.iter().map(|it| it["size"].as_u64().unwrap()).collect();
    let uids: Vec<u64> = messages.iter().map(|it| it["uid"].as_u64().unwrap()).collect();
    let validity = postroom.mailbox(ANN, "INBOX")["uidvalidity"].as_u64().unwrap();
    let total: u64 = sizes.iter().sum();
    assert_eq!(client.one("STAT"), format!("+OK {} {total}", sizes.len()));
    let numbered = |values: &[String]| -> String {
        values
            .iter()
            .enumerate()
            .map(|(at, value)| format!("{} {value}\r\n", at + 1))
            .collect()
    };
    let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
    let uidls: Vec<String> = uids.iter().map(|uid| format!("{uid:08x}{validity:08x}")).collect();
    assert_eq!(client.many("LIST"), numbered(&sizes).into_bytes());
    assert_eq!(client.many("UIDL"), numbered(&uidls).into_bytes());
    assert_eq!(client.one("LIST 2"), format!("+OK 2 {}", sizes[1]));
    for (at, uid) in uids.iter().enumerate() {
        let mut shown = with_crlf(&postroom.show(ANN, "INBOX", *uid));
        if !shown.ends_with(b"\n") {
            shown.extend_from_slice(b"\r\n");
        }
        let number = at + 1;
        assert!(client.many(&format!("RETR {number}")) == shown, "RETR {number}");
        let text = String::from_utf8_lossy(&shown).into_owned();
        let header = &text[..text.find("\r\n\r\n").unwrap() + 4];
        let first = text[header.len()..].split_inclusive('\n').next().unwrap_or_default();
        assert_eq!(
            String::from_utf8_lossy(&client.many(&format!("TOP {number} 0"))),
            header
        );
        assert_eq!(
            String::from_utf8_lossy(&client.many(&format!("TOP {number} 1"))),
            format!("{header}{first}")
        );
        assert!(client.many(&format!("TOP {number} 1000")) == shown, "TOP {number} 1000");
    }
    for wrong in ["RETR 99", "RETR", "TOP 1 x", "XYZ", ""] {
        assert!(client.one(wrong).starts_with("-ERR"), "{wrong}");
    }
    assert_eq!(client.one("QUIT"), "+OK");
}

/// The example, running.
struct Pop3 {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Pop3 {
    fn start(place: &Place, home: &Path) -> Pop3 {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/pop3.py");
        let errors = fs::File::create(place.path("pop3.log")).unwrap();
        let mut child = Command::new("python3")
            .args([&script, home])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut client = Pop3 {
            child,
            input,
            output: BufReader::new(output),
        };
        let greeting = String::from_utf8(client.line()).unwrap();
        assert!(
            greeting.starts_with("+OK"),
            "{}",
            fs::read_to_string(place.path("pop3.log")).unwrap()
        );
        client
    }

    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.output.read_until(b'\n', &mut line).unwrap();
        line
    }

    fn one(&mut self, command: &str) -> String {
        self.input.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        String::from_utf8(self.line()).unwrap().trim_end().to_owned()
    }

    /// A reply of many lines, dots taken away again.
    fn many(&mut self, command: &str) -> Vec<u8> {
        assert_eq!(self.one(command), "+OK", "{command}");
        let mut text = Vec::new();
        loop {
            match self.line().as_slice() {
                b".\r\n" => return text,
                b"" => panic!("{command}: cut off after {}", String::from_utf8_lossy(&text)),
                line => text.extend_from_slice(line.strip_prefix(b".").unwrap_or(line)),
            }
        }
    }
}

impl Drop for Pop3 {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may have ended by itself.
        let _ = self.child.wait();
    }
}
