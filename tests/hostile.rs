//! Mail that was made to harm: it is kept as it came, costs no more than its size, and others do not wait for it.

mod support;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::lmtp::{Carriage, Client};
use support::place::Place;
use support::postroom::{Postroom, Wishes, with_crlf, without_trace};

const ANN: &str = "ann@example.org";

/// Looks at all that a script can look at, and finds nothing.
const SCRIPT: &str = r#"
require ["body", "envelope", "fileinto", "mailbox", "mime", "foreverypart", "date", "index", "regex", "relational"];
if anyof (header :contains ["subject", "x-none", "received", "references", "list-id"] "no such word",
          header :matches "subject" "*a*b*c*d*none",
          header :regex "subject" "(a+)+none",
          address :domain :is ["from", "to", "cc", "bcc", "reply-to"] "none.example",
          address :all :contains ["from", "to", "cc"] "no such word",
          header :mime :anychild :contains "content-type" "no such word",
          header :mime :anychild :param "filename" :contains "content-disposition" "none.exe",
          address :mime :anychild :contains "from" "no such word",
          date :value "ge" "date" "year" "9999",
          body :raw :contains "a word that no message has",
          body :content "text" :contains "a word that no message has",
          body :text :contains "a word that no message has") {
    fileinto :create "Found";
}
foreverypart {
    if header :mime :type "content-type" "video" { fileinto :create "Film"; break; }
}
"#;

/// One kind of hostile mail: what it begins with, what stands in it over and over (`#` is its number there), its end.
struct Kind {
    name: &'static str,
    start: &'static str,
    piece: &'static str,
    end: &'static str,
}

impl Kind {
    fn of_size(&self, size: usize) -> Vec<u8> {
        let mut mail = self.start.as_bytes().to_vec();
        for number in 0.. {
            if mail.len() + self.end.len() >= size {
                break;
            }
            mail.extend_from_slice(self.piece.replace('#', &number.to_string()).as_bytes());
        }
        mail.extend_from_slice(self.end.as_bytes());
        mail
    }
}

const fn kind(name: &'static str, start: &'static str, piece: &'static str, end: &'static str) -> Kind {
    Kind {
        name,
        start,
        piece,
        end,
    }
}

const TEXT: &str = "\r\n\r\ntext\r\n";
const MULTIPART: &str = "Content-Type: multipart/mixed; boundary=A\r\n\r\n";
const PLAIN: &str = "Subject: x\r\n\r\n";

const KINDS: &[Kind] = &[
    kind("fields", "", "X-#: y\r\n", TEXT),
    kind("one long field", "Subject: ", "word ", TEXT),
    kind("one folded field", "Subject: x", "\r\n word", TEXT),
    kind("a name without end", "", "X", ": y\r\n\r\ntext\r\n"),
    kind("addresses", "To: ", "a#@b.example,\r\n ", "c@d\r\n\r\ntext\r\n"),
    kind("groups", "To: ", "g: a@b, c@d;, ", TEXT),
    kind("comments", "Date: ", "(", TEXT),
    kind("angle brackets", "From: ", "<<<<@", TEXT),
    kind("message ids", "References:", " <#@example.org>\r\n", "\r\ntext\r\n"),
    kind(
        "encoded words",
        "Subject: ",
        "=?utf-8?q?=C3=A4?=\r\n ",
        "x\r\n\r\ntext\r\n",
    ),
    kind("encoded words without end", "Subject: ", "=?utf-8?q?", TEXT),
    kind("parameters", "Content-Type: text/plain", "; p#=v", TEXT),
    kind("RFC 2231", "Content-Disposition: attachment", ";\r\n name*#*=%41", TEXT),
    kind("parts", MULTIPART, "--A\r\n\r\nx\r\n", "--A--\r\n"),
    kind(
        "multiparts that never begin",
        MULTIPART,
        "--A\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n",
        "",
    ),
    kind(
        "multiparts nested",
        "",
        "Content-Type: multipart/mixed; boundary=b#\r\n\r\n--b#\r\n",
        "",
    ),
    kind("messages nested", "", "Content-Type: message/rfc822\r\n\r\n", ""),
    kind(
        "digests nested",
        "",
        "Content-Type: multipart/digest; boundary=b#\r\n\r\n--b#\r\n\r\n",
        "",
    ),
    kind("headers in the text", PLAIN, "Content-Type: message/rfc822\r\n", ""),
    kind("one line", PLAIN, "x", ""),
    kind("line feeds", PLAIN, "\n", ""),
    kind("carriage returns", PLAIN, "\r", "\r\n"),
    kind("NULs", PLAIN, "\0", "\r\n"),
    kind("NULs in the header", "Subject: x", "\0", TEXT),
    kind("dots", PLAIN, ".\r\n", ""),
    kind("no header at all", "", "no field at all\r\n", ""),
    kind(
        "a false charset",
        "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n",
        "\x1b$B~{\x1b(B\u{e4}",
        "\r\n",
    ),
    kind(
        "an unknown charset",
        "Content-Type: text/plain; charset=x-none\r\n\r\n",
        "\u{e4}",
        "\r\n",
    ),
    kind(
        "broken base64",
        "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        "=A==\r\n",
        "",
    ),
    kind(
        "broken quoted-printable",
        "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
        "=\r\n=Z",
        "\r\n",
    ),
    kind("HTML opened", "Content-Type: text/html\r\n\r\n", "<div>", "\r\n"),
    kind("HTML without end", "Content-Type: text/html\r\n\r\n", "<a ", "\r\n"),
    kind("HTML entities", "Content-Type: text/html\r\n\r\n", "&a&#x;&amp", "\r\n"),
];

fn serving(place: &Place) -> Postroom {
    let mut postroom = Postroom::configured(place, &Wishes::default());
    postroom.give_script("ann", SCRIPT);
    postroom.serve();
    postroom
}

fn deliver(postroom: &Postroom, to: &str, mail: &[u8]) {
    let mut client = Client::lmtp(postroom.lmtp).expect("a session");
    let replies = client.send("s@example.net", &[to], mail, Carriage::Chunks(1 << 20));
    let replies = replies.expect("a reply");
    assert_eq!(replies[0].code, 250, "{replies:?}");
}

/// The messages as they are listed, without what a new index gives anew.
fn listed(postroom: &Postroom) -> Vec<Value> {
    let mut messages = postroom.messages(ANN, "INBOX");
    for message in &mut messages {
        let message = message.as_object_mut().expect("an object");
        message.remove("modseq");
        message.remove("savedate");
    }
    messages
}

/// Processor time of the server, in milliseconds.
fn used(postroom: &mut Postroom) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", postroom.running().id())).expect("it runs");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("a name")
        .split_ascii_whitespace()
        .collect();
    let ticks: u64 = [fields[11], fields[12]]
        .iter()
        .map(|it| it.parse::<u64>().expect("ticks"))
        .sum();
    // A hundred in a second, on every Linux that is built as it comes.
    ticks * 10
}

#[test]
fn it_is_kept_as_it_came() {
    let place = Place::new();
    let postroom = serving(&place);
    for (kind, uid) in KINDS.iter().zip(1..) {
        let mail = kind.of_size(100_000);
        deliver(&postroom, ANN, &mail);
        let shown = postroom.show(ANN, "INBOX", uid);
        let expected = with_crlf(&mail);
        without_trace(&shown, &expected, kind.name);
    }
    assert_eq!(postroom.mailboxes(ANN).len(), 1, "nothing was found in it");
    // The script does look.
    deliver(
        &postroom,
        ANN,
        b"Subject: x\r\n\r\nthis has a word that no message has\r\n",
    );
    assert_eq!(postroom.count(ANN, "Found"), 1);
    postroom.run(&["index", "check", ANN]);
    let before = listed(&postroom);
    postroom.run(&["index", "rebuild", ANN]);
    assert_eq!(listed(&postroom), before);
    let log = postroom.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn it_costs_no_more_than_its_size() {
    const SIZE: usize = 400_000;
    let place = Place::new();
    let mut postroom = serving(&place);
    deliver(&postroom, ANN, b"Subject: first\r\n\r\nthe account is made\r\n");
    for kind in KINDS {
        let mut times = [0, 0];
        for (time, size) in times.iter_mut().zip([SIZE, 4 * SIZE]) {
            let before = used(&mut postroom);
            deliver(&postroom, ANN, &kind.of_size(size));
            *time = used(&mut postroom) - before;
        }
        let [once, four_times] = times;
        // The square of four would be sixteen; small times are nothing but the clock's ticks.
        let bound = 8 * once + 500;
        assert!(
            four_times <= bound,
            "{}: {once} ms, four times as large {four_times} ms",
            kind.name
        );
    }
}

#[test]
fn others_do_not_wait_for_it() {
    let place = Place::new();
    let postroom = serving(&place);
    let over = AtomicBool::new(false);
    let slowest = thread::scope(|scope| {
        scope.spawn(|| {
            for kind in KINDS.iter().cycle() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                deliver(&postroom, ANN, &kind.of_size(1_000_000));
            }
        });
        let mut client = Client::lmtp(postroom.lmtp).expect("a session");
        let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
        for number in 0.. {
            let mail = format!("Subject: {number}\r\n\r\nsmall\r\n");
            let sent = Instant::now();
            let replies = client.send("s@example.net", &["bob@example.org"], mail.as_bytes(), Carriage::Data);
            slowest = slowest.max(sent.elapsed());
            if replies.as_ref().is_ok_and(|replies| replies[0].code != 250) || replies.is_err() {
                over.store(true, Ordering::Relaxed);
                panic!("{replies:?}");
            }
            if begun.elapsed() > Duration::from_secs(5) {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
        slowest
    });
    // Far more than it takes on a busy machine, far less than one that waits for the mail beside it to be looked at.
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
}

/// What stands around a dot that is no end of data, and how it must lie in the file.
#[test]
fn nothing_is_smuggled_past_the_checks() {
    let place = Place::new();
    let postroom = serving(&place);
    let evil = "MAIL FROM:<root@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n";
    let ends = ["\n", "\r", "\r\r\n", "\n\r", "\r\n\r", "\0", "\r\n\0", "\r\0\n", ""];
    let mut uid = 0;
    for before in ends.iter().chain(&["\r\n"]) {
        for after in ends {
            let wire = format!("Subject: x\r\n\r\na{before}.{after}{evil}.\r\n");
            if format!("{before}.{after}").contains("\r\n.\r\n") {
                continue; // It is the end, whatever stands behind it.
            }
            let mut client = Client::lmtp(postroom.lmtp).expect("a session");
            for line in ["MAIL FROM:<s@example.net>", "RCPT TO:<ann@example.org>", "DATA"] {
                assert!(client.command(line).expect("a reply").is_positive());
            }
            // In two packets, cut in the middle of the false end.
            let (first, second) = wire.split_at(wire.find('.').expect("a dot") + 1);
            client.write(first.as_bytes()).expect("taken");
            thread::sleep(Duration::from_millis(2));
            client.write(second.as_bytes()).expect("taken");
            assert_eq!(client.reply().expect("a reply").code, 250);
            assert_eq!(client.command("NOOP").expect("a reply").code, 250);
            uid += 1;
            let content = wire.strip_suffix(".\r\n").expect("the end");
            let content = content.replace("\r\n.", "\r\n");
            // Lines that all end in CR LF lie there with LF, anything else as it came.
            let stored = postroom.show_raw(ANN, "INBOX", uid);
            let restored = with_crlf(&stored);
            let plain = with_crlf(content.as_bytes()) == content.as_bytes() && !content.contains("\r\r\n");
            let stored = if plain { &restored } else { &stored };
            without_trace(stored, content.as_bytes(), &format!("{before:?} {after:?}"));
        }
    }
    assert_eq!(postroom.count(ANN, "INBOX"), uid);
    assert!(!postroom.home("bob").exists());
}
