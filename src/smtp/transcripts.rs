//! Dialogues with a session, each also replayed byte by byte and in random pieces.
//!
//! `->` is a line of the client, `=>` bytes without the CRLF added; both know the
//! escapes `\r \n \0 \xNN`. `<-` is how a line of the server begins, `<+` stands for the
//! whole reply to LHLO or EHLO that ends in these, `==` is what the server is told:
//! `start`, `dropped`, `message "..." from to`, `close`.

use std::sync::Arc;

use proptest::prelude::*;

use super::client::{ClientOptions, Dsn, Mail, StartTls, transact};
use super::{Door, LineEnds, Options, Reply, Session, Step, prdr_replies};
use crate::mail::{Address, DeliveryId, Outcome, Recipient, ReversePath};

mod extensions;
mod smuggling;

/// A server in memory: ann, bob and others live here, and some make trouble.
pub(super) struct House {
    session: Session,
    buffer: Vec<u8>,
    content: Vec<u8>,
    log: Vec<String>,
    output: Vec<u8>,
    door: Door,
    closed: bool,
}

impl House {
    fn new(options: Options) -> House {
        let door = options.door;
        let session = Session::new(Arc::new(options), None);
        let mut house = House {
            session,
            buffer: Vec::new(),
            content: Vec::new(),
            log: Vec::new(),
            output: Vec::new(),
            door,
            closed: false,
        };
        let greeting = house.session.greeting();
        house.say(&greeting);
        house
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while !self.closed {
            let (consumed, step) = self.session.next(&self.buffer);
            assert!(consumed <= self.buffer.len());
            let more = step == Step::NeedMore;
            self.act(step);
            self.buffer.drain(..consumed.min(self.buffer.len()));
            if more {
                return;
            }
        }
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::NeedMore => {}
            Step::Reply(reply) => self.say(&reply),
            Step::Recipient(recipient) => self.look_up(&recipient),
            Step::MessageStart => {
                self.log.push("== start".to_owned());
                self.content.clear();
                let local = self
                    .session
                    .reverse_path()
                    .and_then(ReversePath::address)
                    .map(Address::local);
                if local == Some("nospool") {
                    self.session.message_refused(Reply::too_busy());
                }
            }
            Step::Content(range) => {
                self.content.extend_from_slice(&self.buffer[range]);
                let local = self
                    .session
                    .reverse_path()
                    .and_then(ReversePath::address)
                    .map(Address::local);
                if local == Some("full") {
                    self.session.message_refused(Reply::disk_full());
                }
            }
            Step::MessageDropped => self.log.push("== dropped".to_owned()),
            Step::StartTls => {
                self.log.push("== tls".to_owned());
                // What stands behind STARTTLS in the clear goes.
                self.buffer.clear();
                self.session.tls_started(extensions::tls());
            }
            Step::MessageEnd(envelope) => {
                let to: Vec<String> = envelope.recipients.iter().map(|r| r.address.to_string()).collect();
                let content = self.content.escape_ascii();
                let line = format!("== message \"{content}\" {} {}", envelope.reverse_path, to.join(","));
                self.log.push(format!("{line} {}", envelope.client.protocol));
                self.log.extend(extensions::seen(&envelope));
                if envelope.prdr {
                    let outcomes: Vec<Outcome> = to.iter().map(|address| extensions::outcome(address)).collect();
                    let replies = prdr_replies(&outcomes, &DeliveryId::from_stored("01ABC").unwrap(), false);
                    return replies.iter().for_each(|reply| self.say(reply));
                }
                let replies = if self.door == Door::Lmtp { to.len() } else { 1 };
                for address in to.iter().take(replies) {
                    self.say(&settle(address));
                }
            }
            Step::Close(reply) => {
                self.say(&reply);
                self.log.push("== close".to_owned());
                self.closed = true;
            }
        }
    }

    fn look_up(&mut self, recipient: &Recipient) {
        match recipient.address.local() {
            "nobody" => self.session.recipient_refused(Reply::unknown_user()),
            "fail" => self.session.recipient_refused(Reply::lookup_failed()),
            _ => self.session.recipient_accepted(),
        }
    }

    fn say(&mut self, reply: &Reply) {
        let bytes = reply.to_bytes();
        let text = String::from_utf8(bytes.clone()).unwrap();
        self.log
            .extend(text.split_terminator("\r\n").map(|line| format!("<- {line}")));
        self.output.extend(bytes);
    }
}

fn settle(address: &str) -> Reply {
    match address {
        "bob@example.org" => Reply::over_quota(),
        _ => Reply::new(250, (2, 1, 5), &format!("<{address}> Delivered")),
    }
}

fn options(door: Door) -> Options {
    Options {
        door,
        message_size: 60,
        recipients: 3,
        command_line: 128,
        errors: 3,
        commands_without_mail: 12,
        ..Options::default()
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        rest = tail;
        let (byte, taken) = match (first, tail) {
            (b'\\', [b'r', ..]) => (b'\r', 1),
            (b'\\', [b'n', ..]) => (b'\n', 1),
            (b'\\', [b'0', ..]) => (0, 1),
            (b'\\', [b'x', a, b, ..]) => {
                let digits = [*a, *b];
                (
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap(),
                    3,
                )
            }
            (byte, _) => (*byte, 0),
        };
        bytes.push(byte);
        rest = &rest[taken..];
    }
    bytes
}

/// The reply to LHLO or EHLO: what every door announces, and these, separated by commas.
fn hello(more: &str) -> Vec<String> {
    const COMMON: &str =
        "localhost, PIPELINING, SIZE 60, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES, CHUNKING, BINARYMIME";
    let words: Vec<&str> = COMMON.split(", ").chain(more.split(", ")).collect();
    let separator = |at| if at + 1 < words.len() { '-' } else { ' ' };
    let line = |(at, word): (usize, &&str)| format!("<- 250{}{word}", separator(at));
    words.iter().enumerate().map(line).collect()
}

/// The client's bytes, piece by piece, each with the lines expected after it.
fn script(transcript: &str) -> Vec<(Vec<u8>, Vec<String>)> {
    let mut script = vec![(Vec::new(), Vec::new())];
    for line in transcript.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        if let Some(text) = line.strip_prefix("-> ").or((line == "->").then_some("")) {
            script.push(([unescape(text), b"\r\n".to_vec()].concat(), Vec::new()));
        } else if let Some(text) = line.strip_prefix("=> ") {
            script.push((unescape(text), Vec::new()));
        } else if let Some((_, expected)) = script.last_mut() {
            match line.strip_prefix("<+ ") {
                Some(more) => expected.extend(hello(more)),
                None => expected.push(line.to_owned()),
            }
        }
    }
    script
}

fn check(transcript: &str, log: &[String], expected: &[String]) {
    let matches = log.len() == expected.len() && log.iter().zip(expected).all(|(l, e)| l.starts_with(e.as_str()));
    assert!(matches, "{transcript}\nexpected {expected:#?}\ngot {log:#?}");
}

/// Line by line with the expected answers between, then all at once, byte by byte and in pieces.
fn play(options: &Options, transcript: &str) {
    let script = script(transcript);
    let mut house = House::new(options.clone());
    for (bytes, expected) in &script {
        house.feed(bytes);
        check(transcript, &std::mem::take(&mut house.log), expected);
    }
    let bytes: Vec<u8> = script.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
    let expected: Vec<String> = script.into_iter().flat_map(|(_, expected)| expected).collect();
    for size in [1, 2, 3, 5, 7, 64, bytes.len().max(1)] {
        let mut house = House::new(options.clone());
        bytes.chunks(size).for_each(|piece| house.feed(piece));
        check(transcript, &house.log, &expected);
    }
}

const LMTP: &[&str] = &[
    // A delivery to several, one of them unknown, one over quota.
    "<- 220 localhost LMTP
     -> LHLO mta
     <- 250-localhost
     <- 250-PIPELINING
     <- 250-SIZE 60
     <- 250-8BITMIME
     <- 250-SMTPUTF8
     <- 250-ENHANCEDSTATUSCODES
     <- 250-CHUNKING
     <- 250-BINARYMIME
     <- 250 DSN
     -> MAIL FROM:<ann@example.com> SIZE=9 BODY=8BITMIME
     <- 250 2.1.0
     -> RCPT TO:<ann@example.org>
     <- 250 2.1.5
     -> RCPT TO:<nobody@example.org>
     <- 550 5.1.1
     -> RCPT TO:<fail@example.org>
     <- 451 4.3.0
     -> RCPT TO:<@a,@b:bob@example.org>
     <- 250 2.1.5
     -> DATA
     == start
     <- 354
     -> a
     -> ..b
     -> .
     == message \"a\\r\\n.b\\r\\n\" ann@example.com ann@example.org,bob@example.org LMTP
     <- 250 2.1.5 <ann@example.org>
     <- 552 5.2.2
     -> QUIT
     <- 221 2.0.0
     == close",
    // An empty message, then another; UTF-8 only when asked for.
    "<- 220
     -> LHLO mta
     <+ DSN
     -> MAIL FROM:<>
     <- 250
     -> RCPT TO:<j\\xc3\\xb6rg@example.org>
     <- 553 5.6.7
     -> RCPT TO:<postmaster>
     <- 250
     -> DATA
     == start
     <- 354
     -> .
     == message \"\"  postmaster LMTP
     <- 250
     -> MAIL FROM:<j\\xc3\\xb6rg@example.com>
     <- 553 5.6.7
     -> MAIL FROM:<j\\xc3\\xb6rg@example.com> SMTPUTF8
     <- 250
     -> RCPT TO:<ann>
     <- 250
     -> DATA
     == start
     <- 354
     -> .
     == message \"\" j\u{f6}rg@example.com ann UTF8LMTP
     <- 250",
    // Order, and errors until it is enough.
    "<- 220
     -> MAIL FROM:<>
     <- 503 5.5.1
     -> EHLO x
     <- 500 5.5.1
     -> NOOP
     <- 250
     -> RCPT TO:<ann@example.org>
     <- 503 5.5.1
     -> DATA
     <- 421 4.7.0
     == close
     -> QUIT",
    // Lines that are none: answered once, at once, and read over.
    "<- 220
     => NOOP\\n
     <- 500 5.5.2
     => RSET\\nNOOP\\rNOOP
     -> DATA
     -> NOOP \\rNOOP
     <- 501 5.5.2
     -> NOOP \\xff\\xfe
     <- 501 5.5.2
     -> NOOP
     <- 250
     => \\n
     <- 421 4.7.0
     == close",
    "<- 220
     => NOOP 45678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678
     <- 500 5.5.2 Line too long
     => 45678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\\r
     => \\nNOOP\\r\\n
     <- 250",
    // Much without mail.
    "<- 220
     -> NOOP
     <- 250
     -> noop x
     <- 250
     -> VRFY ann
     <- 252
     -> HELP
     <- 214
     -> RSET
     <- 250
     -> RSET
     <- 250
     -> RSET
     <- 250
     -> RSET
     <- 250
     -> RSET
     <- 250
     -> RSET
     <- 250
     -> RSET
     <- 250
     -> RSET
     <- 250
     -> RSET
     <- 421 4.7.0
     == close",
];

const HELLO: &str = "<- 220
     -> LHLO mta
     <+ DSN
     -> MAIL FROM:<ann@example.com>
     <- 250
     -> RCPT TO:<ann@example.org>
     <- 250
     -> RCPT TO:<bob@example.org>
     <- 250
     ";

const AFTER_HELLO: &[&str] = &[
    // Too many recipients; MAIL twice; no RCPT left out by RSET.
    "-> RCPT TO:<c@example.org>
     <- 250
     -> RCPT TO:<d@example.org>
     <- 452 4.5.3
     -> MAIL FROM:<>
     <- 503 5.5.1
     -> RSET
     <- 250
     -> DATA
     <- 503 5.5.1
     -> MAIL FROM:<> SIZE=61
     <- 552 5.3.4
     -> MAIL FROM:<> SIZE=60
     <- 250
     -> RCPT TO:<nobody@example.org>
     <- 550 5.1.1
     -> DATA
     <- 503 5.5.1",
    // Too large: read to its end, one reply for each.
    "-> DATA
     == start
     <- 354
     -> 0123456789012345678901234567890123456789
     => 01234567890123456789
     == dropped
     -> x
     -> .x
     -> .
     <- 552 5.3.4
     <- 552 5.3.4
     -> MAIL FROM:<>
     <- 250",
    // Smuggling: whatever stands there is inside the message.
    "-> DATA
     == start
     <- 354
     => a\\n.\\nb\\n.\\r\\nc\\r\\n.\\nd\\r.\\re\\r\\n.\\rf
     -> 
     -> .
     == message \"a\\n.\\nb\\n.\\r\\nc\\r\\n\\nd\\r.\\re\\r\\n\\rf\\r\\n\"
     <- 250
     <- 552",
    "-> DATA
     == start
     <- 354
     => x\\n.\\r\\nMAIL FROM:<root@example.org>\\r\\nDATA
     -> 
     -> .
     == message \"x\\n.\\r\\nMAIL FROM:<root@example.org>\\r\\nDATA\\r\\n\"
     <- 250
     <- 552",
    // Chunks, verbatim, dots and all.
    "-> BDAT 5
     == start
     => \\r\\n.\\r\\n
     <- 250 2.0.0 5 octets
     -> NOOP
     <- 250
     -> BDAT 0
     <- 250
     -> DATA
     <- 503 5.5.1
     -> RCPT TO:<c@example.org>
     <- 503 5.5.1
     -> BDAT 3 LAST
     => a\\n.
     == message \"\\r\\n.\\r\\na\\n.\"
     <- 250
     <- 552
     -> MAIL FROM:<>
     <- 250
     -> RCPT TO:<ann@example.org>
     <- 250
     -> BDAT 0 LAST
     == start
     == message \"\"  ann@example.org
     <- 250",
    // RSET between chunks; a chunk out of order is read over.
    "-> BDAT 1
     == start
     => a
     <- 250
     -> RSET
     == dropped
     <- 250
     -> BDAT 6
     => QUIT\\r\\n
     <- 503 5.5.1
     -> BDAT 6 LAST
     => QUIT\\r\\n
     <- 503 5.5.1
     -> MAIL FROM:<>
     <- 250
     -> BDAT 6 LAST
     => QUIT\\r\\n
     <- 503 5.5.1
     -> RCPT TO:<ann@example.org>
     <- 421
     == close",
    // A chunk that is too large, known before it comes.
    "-> BDAT 60
     == start
     => 012345678901234567890123456789012345678901234567890123456789
     <- 250
     -> BDAT 6
     == dropped
     => QUIT\\r\\n
     <- 552 5.3.4
     -> BDAT 6 LAST
     => QUIT\\r\\n
     <- 552 5.3.4
     <- 552 5.3.4
     -> MAIL FROM:<>
     <- 250",
    // A chunk lost makes the message lost.
    "-> BDAT 1
     == start
     => a
     <- 250
     -> BDAT 6 FIRST
     == dropped
     => QUIT\\r\\n
     <- 501 5.5.4
     -> BDAT 1 LAST
     => b
     <- 501 5.5.4
     <- 501 5.5.4",
    "-> BDAT x
     <- 501 5.5.4
     == close
     -> QUIT",
    "=> BDAT 6\\n
     <- 500 5.5.2
     == close
     -> QUIT",
    // The server cannot keep it.
    "-> RSET
     <- 250
     -> MAIL FROM:<nospool@example.com>
     <- 250
     -> RCPT TO:<ann@example.org>
     <- 250
     -> DATA
     == start
     <- 451 4.3.0
     -> MAIL FROM:<full@example.com>
     <- 250
     -> RCPT TO:<ann@example.org>
     <- 250
     -> RCPT TO:<bob@example.org>
     <- 250
     -> DATA
     == start
     <- 354
     -> a
     -> .
     <- 452 4.3.1
     <- 452 4.3.1
     -> MAIL FROM:<full@example.com>
     <- 250
     -> RCPT TO:<ann@example.org>
     <- 250
     -> RCPT TO:<bob@example.org>
     <- 250
     -> BDAT 1
     == start
     => a
     <- 452 4.3.1
     -> BDAT 1 LAST
     => a
     <- 452 4.3.1
     <- 452 4.3.1
     -> QUIT
     <- 221
     == close",
];

const SMTP: &[&str] = &["<- 220 localhost ESMTP
     -> LHLO x
     <- 500 5.5.1
     -> HELO mta
     <- 250 localhost
     -> MAIL FROM:<ann@example.com>
     <- 250
     -> RCPT TO:<Postmaster>
     <- 250
     -> RCPT TO:<ann>
     <- 501 5.1.3
     -> RCPT TO:<ann@example.org>
     <- 250
     -> DATA
     == start
     <- 354
     -> a
     -> .
     == message \"a\\r\\n\" ann@example.com Postmaster,ann@example.org SMTP
     <- 250
     -> MAIL FROM:<ann@example.com>
     <- 250
     -> EHLO mta
     <+ DSN, PRDR
     -> RCPT TO:<ann@example.org>
     <- 503 5.5.1
     -> MAIL FROM:<full@example.com>
     <- 250
     -> RCPT TO:<ann@example.org>
     <- 250
     -> RCPT TO:<bob@example.org>
     <- 250
     -> DATA
     == start
     <- 354
     -> a
     -> .
     <- 452 4.3.1
     -> MAIL FROM:<> SMTPUTF8
     <- 250
     -> RCPT TO:<ann@example.org>
     <- 250
     -> BDAT 1 LAST
     == start
     => a
     == message \"a\"  ann@example.org UTF8SMTP
     <- 250"];

#[test]
fn lmtp() {
    for transcript in LMTP {
        play(&options(Door::Lmtp), transcript);
    }
    for transcript in AFTER_HELLO {
        play(&options(Door::Lmtp), &format!("{HELLO}{transcript}"));
    }
}

#[test]
fn smtp() {
    for transcript in SMTP {
        play(&options(Door::Smtp), transcript);
    }
}

#[test]
fn a_line_without_end_is_given_up() {
    let mut house = House::new(Options::default());
    house.feed(b"LHLO ");
    for _ in 0..100 {
        house.feed(&[b'x'; 1000]);
        assert!(house.buffer.len() < 4096 || house.closed);
    }
    assert!(house.closed);
    assert_eq!(
        house.log[1..],
        [
            "<- 500 5.5.2 Line too long",
            "<- 421 4.7.0 Too many errors, closing",
            "== close"
        ]
    );
}

#[test]
fn a_step_not_answered_comes_again() {
    let mut session = Session::new(Arc::new(Options::default()), None);
    let input = b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.org>\r\nQUIT\r\n";
    let mut at = 0;
    let step = loop {
        let (consumed, step) = session.next(&input[at..]);
        at += consumed;
        if matches!(step, Step::Recipient(_)) {
            break step;
        }
    };
    assert_eq!(session.next(&input[at..]), (0, step));
    session.recipient_accepted();
    session.recipient_accepted();
    assert!(matches!(session.next(&input[at..]), (0, Step::Reply(reply)) if reply.is_positive()));
    assert!(matches!(session.next(&input[at..]), (6, Step::Close(_))));
    assert!(matches!(session.next(&[]), (0, Step::Close(_))));
}

/// A server on the other end of a stream: what is written is answered at once.
struct Wire {
    house: House,
    at: usize,
}

impl std::io::Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(self.house.output.len() - self.at).min(7);
        buffer[..length].copy_from_slice(&self.house.output[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

impl std::io::Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(11);
        self.house.feed(&buffer[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn hand_over(door: Door, line_ends: LineEnds, message: &[u8]) -> (Vec<u8>, Vec<u16>) {
    let house = House::new(Options {
        door,
        ..Options::default()
    });
    let mut wire = Wire { house, at: 0 };
    let options = ClientOptions {
        door,
        hostname: "mta".to_owned(),
        starttls: StartTls::IfOffered,
        line_ends,
    };
    let recipients = [
        "ann@example.org",
        "nobody@example.org",
        "bob@example.org",
        "j\u{f6}rg@example.org",
    ];
    let mail = Mail {
        reverse_path: ReversePath::Null,
        recipients: recipients.iter().map(|text| Address::parse(text).unwrap()).collect(),
        size: Some(message.len() as u64),
        eight_bit: false,
        smtputf8: false,
        dsn: Dsn::default(),
    };
    let report = transact(&mut wire, options, mail, &mut &message[..], &mut |_| {}).unwrap();
    let codes = report.recipients.iter().map(|(_, reply)| reply.code()).collect();
    (wire.house.content, codes)
}

#[test]
fn client_and_session_understand_each_other() {
    for (message, arrives) in [
        (&b""[..], &b""[..]),
        (b"a\n.\n.\r\n", b"a\r\n.\r\n.\r\n"),
        (b".", b".\r\n"),
    ] {
        let (content, codes) = hand_over(Door::Lmtp, LineEnds::Crlf, message);
        assert_eq!((content.as_slice(), codes), (arrives, vec![250, 550, 552, 250]));
        let (content, codes) = hand_over(Door::Smtp, LineEnds::Crlf, message);
        assert_eq!((content.as_slice(), codes), (arrives, vec![250, 550, 250, 250]));
    }
}

proptest! {
    #[test]
    fn pieces_change_nothing(which in 0..AFTER_HELLO.len(), cuts in prop::collection::vec(1usize..40, 1..60)) {
        let script = script(&format!("{HELLO}{}", AFTER_HELLO[which]));
        let bytes: Vec<u8> = script.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let expected: Vec<String> = script.into_iter().flat_map(|(_, expected)| expected).collect();
        let mut house = House::new(options(Door::Lmtp));
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, tail) = rest.split_at(rest.len().min(*cut));
            house.feed(piece);
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        check(AFTER_HELLO[which], &house.log, &expected);
    }

    #[test]
    fn any_bytes_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 1usize..50) {
        let mut house = House::new(options(Door::Smtp));
        bytes.chunks(cut).for_each(|piece| house.feed(piece));
    }

    #[test]
    fn any_words_are_borne_alike(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "LHLO x", "MAIL FROM:<>", "RCPT TO:<ann@example.org>", "RCPT TO:<nobody@example.org>", "DATA", "BDAT 4",
                "BDAT 3 LAST", "BDAT 99", "RSET", "NOOP", ".", "..", "\r\n", "\n", "\r", "\0", "abcd", "QUIT", "\u{e9}",
            ]),
            0..60,
        ),
        cut in 1usize..20,
    ) {
        let bytes = words.join("\r\n").into_bytes();
        let options = Options { errors: 100, commands_without_mail: 100, ..options(Door::Lmtp) };
        let (mut whole, mut pieces) = (House::new(options.clone()), House::new(options));
        whole.feed(&bytes);
        bytes.chunks(cut).for_each(|piece| pieces.feed(piece));
        prop_assert_eq!(whole.log, pieces.log);
    }

    #[test]
    fn messages_arrive_as_sent(message in prop::collection::vec(prop::sample::select(b"a.\r\n".to_vec()), 0..60)) {
        let (content, _) = hand_over(Door::Lmtp, LineEnds::Verbatim, &message);
        let ends = message.is_empty() || message.ends_with(b"\r\n");
        let expected = if ends { message } else { [&message[..], b"\r\n"].concat() };
        prop_assert_eq!(content, expected);
    }
}
