//! A dialogue of commands and bytes with `smtp::Session`, compared with a model of it.
//!
//! The session is shown the bytes a flight at a time, and again cut at random places: the answers must be the same.
//! What it said is then held against a reader of our own that knows framing alone: where a command line ends, what
//! DATA and BDAT frame, and that each command has one reply, each recipient of a message a reply of its own.
//!
//! Input: two bytes of options, two for the places of the cuts, then the dialogue. In it a byte from 0x80 on stands for
//! a whole line out of [`LINES`], 0xFF for the end of a flight; with the last bit of options all bytes are as they are.

#![no_main]

use std::net::IpAddr;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use postroom::mail::{Address, ReversePath, Tls};
use postroom::smtp::{Door, Options, Reply, Session, Step};

const LINES: &[&str] = &[
    "LHLO a\r\n",
    "EHLO a\r\n",
    "HELO a\r\n",
    "MAIL FROM:<>\r\n",
    "MAIL FROM:<full@x> SIZE=10\r\n",
    "MAIL FROM:<nospool@x>\r\n",
    "MAIL FROM:<a@x> BODY=BINARYMIME SMTPUTF8\r\n",
    "MAIL FROM:<a@x> RET=HDRS ENVID=a+2Bb\r\n",
    "MAIL FROM:<a@x> PRDR\r\n",
    "RCPT TO:<a@x>\r\n",
    "RCPT TO:<no@x>\r\n",
    "RCPT TO:<postmaster> NOTIFY=NEVER ORCPT=rfc822;a+2B@x\r\n",
    "DATA\r\n",
    "BDAT 0\r\n",
    "BDAT 3\r\n",
    "BDAT 5 LAST\r\n",
    "BDAT 0 LAST\r\n",
    "BDAT 4 LAS\r\n",
    "BDAT x\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "QUIT\r\n",
    "STARTTLS\r\n",
    "XCLIENT ADDR=192.0.2.1 NAME=a\r\n",
    "XFORWARD IDENT=a HELO=b\r\n",
    ".\r\n",
    "\r\n.\r\n",
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r\n..",
    "VRFY a\r\n",
    "\r\n",
    "\n",
    "\r",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

/// What happened, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Reply(u16),
    Recipient(Address),
    Start,
    Dropped,
    /// The message was whole: its content and its recipients.
    End(Vec<u8>, Vec<Address>),
    Tls,
    Close,
}

fuzz_target!(|data: &[u8]| {
    let [first, second, seed_low, seed_high, dialogue @ ..] = data else { return };
    let options = Options {
        door: if first & 1 == 0 { Door::Lmtp } else { Door::Smtp },
        starttls: first & 2 != 0,
        require_tls: first & 4 != 0,
        message_size: if first & 8 == 0 { 0 } else { 60 },
        command_line: if first & 16 == 0 { 512 } else { 70 },
        errors: if first & 32 == 0 { 100 } else { 3 },
        commands_without_mail: if first & 64 == 0 { 100 } else { 5 },
        recipients: if first & 128 == 0 { 100 } else { 2 },
        ..Options::default()
    };
    let (trusted, tls_from_the_start) = (second & 1 != 0, second & 2 != 0);
    let flights = flights(dialogue, second & 128 != 0);
    let session = || {
        let mut session = Session::new(Arc::new(options.clone()), None::<IpAddr>);
        if trusted {
            session.trust_peer();
        }
        if tls_from_the_start {
            session.tls_started(tls());
        }
        session
    };
    let whole = House::new(session(), &options).hear(&flights, usize::MAX, 0);
    let seed = u32::from(*seed_low) | u32::from(*seed_high) << 8;
    assert_eq!(House::new(session(), &options).hear(&flights, 9, seed), whole);
    assert_eq!(House::new(session(), &options).hear(&flights, 1, seed), whole);
    Model::new(&flights, whole, &options).compare();
});

fn flights(dialogue: &[u8], verbatim: bool) -> Vec<Vec<u8>> {
    let mut flights = vec![Vec::new()];
    for byte in dialogue {
        let flight = flights.last_mut().expect("never empty");
        match byte {
            _ if verbatim => flight.push(*byte),
            0xff => flights.push(Vec::new()),
            0x80.. => flight.extend_from_slice(LINES[usize::from(byte - 0x80) % LINES.len()].as_bytes()),
            _ => flight.push(*byte),
        }
    }
    flights
}

fn tls() -> Tls {
    Tls {
        version: "TLSv1.3".to_owned(),
        cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
        peer: None,
    }
}

/// A server without sockets.
struct House {
    session: Session,
    door: Door,
    limit: u64,
    line: usize,
    buffer: Vec<u8>,
    /// The content of the message that has begun.
    content: Option<Vec<u8>>,
    tls_began: bool,
    events: Vec<Event>,
}

impl House {
    fn new(session: Session, options: &Options) -> House {
        House {
            session,
            door: options.door,
            limit: options.message_size,
            line: options.command_line,
            buffer: Vec::new(),
            content: None,
            tls_began: false,
            events: Vec::new(),
        }
    }

    /// Shows the flights in pieces of at most `most` bytes.
    fn hear(mut self, flights: &[Vec<u8>], most: usize, seed: u32) -> Vec<Event> {
        let mut chance = seed;
        for flight in flights {
            let mut rest = &flight[..];
            loop {
                chance = chance.wrapping_mul(1_103_515_245).wrapping_add(12345);
                let (piece, after) = rest.split_at(rest.len().min(1 + (chance >> 16) as usize % most));
                let piece = if most == usize::MAX { rest } else { piece };
                self.buffer.extend_from_slice(piece);
                rest = if most == usize::MAX { &[] } else { after };
                if !self.go_on() {
                    return self.events;
                }
                // What comes with STARTTLS, in whatever pieces, is thrown away.
                if std::mem::take(&mut self.tls_began) || rest.is_empty() {
                    break;
                }
            }
        }
        self.events
    }

    /// Acts until the session asks for more; false once it is closed.
    fn go_on(&mut self) -> bool {
        loop {
            let (consumed, step) = self.session.next(&self.buffer);
            assert!(consumed <= self.buffer.len());
            match step {
                Step::NeedMore => {
                    self.buffer.drain(..consumed);
                    assert!(self.buffer.len() < self.line.max(64));
                    return true;
                }
                Step::Reply(reply) => self.say(&reply),
                Step::Recipient(recipient) => {
                    self.events.push(Event::Recipient(recipient.address.clone()));
                    if recipient.address.local() == "no" {
                        self.session.recipient_refused(Reply::unknown_user());
                    } else {
                        self.session.recipient_accepted();
                    }
                }
                Step::MessageStart => {
                    assert!(self.content.is_none());
                    self.events.push(Event::Start);
                    self.content = Some(Vec::new());
                    if self.sender_is("nospool") {
                        self.content = None;
                        self.session.message_refused(Reply::too_busy());
                    }
                }
                Step::Content(range) => {
                    assert!(range.end == consumed && !range.is_empty());
                    let content = self.content.as_mut().expect("a message has begun");
                    content.extend_from_slice(&self.buffer[range]);
                    assert!(self.limit == 0 || content.len() as u64 <= self.limit);
                    // With a limit it depends on the pieces which of the two refusals comes first.
                    if self.limit == 0 && self.sender_is("full") {
                        self.content = None;
                        self.session.message_refused(Reply::disk_full());
                    }
                }
                Step::MessageDropped => {
                    assert!(self.content.take().is_some());
                    self.events.push(Event::Dropped);
                }
                Step::MessageEnd(envelope) => {
                    let content = self.content.take().expect("a message has begun");
                    let recipients = envelope.recipients.into_iter().map(|it| it.address).collect();
                    assert!(self.door == Door::Smtp || !envelope.prdr);
                    self.events.push(Event::End(content, recipients));
                }
                Step::StartTls => {
                    self.events.push(Event::Tls);
                    self.session.tls_started(tls());
                    self.buffer.clear();
                    self.tls_began = true;
                    continue;
                }
                Step::Close(reply) => {
                    well_formed(&reply);
                    self.events.push(Event::Close);
                    let again = self.session.next(&self.buffer[consumed..]);
                    assert_eq!(again, (0, Step::Close(reply)));
                    return false;
                }
            }
            self.buffer.drain(..consumed);
        }
    }

    fn sender_is(&self, local: &str) -> bool {
        let sender = self.session.reverse_path().and_then(ReversePath::address);
        sender.is_some_and(|sender| sender.local() == local)
    }

    fn say(&mut self, reply: &Reply) {
        well_formed(reply);
        self.events.push(Event::Reply(reply.code()));
    }
}

/// RFC 5321 §4.2: each line has the code, and nothing in it ends it early.
fn well_formed(reply: &Reply) {
    let bytes = reply.to_bytes();
    let text = std::str::from_utf8(&bytes).expect("text");
    let lines: Vec<&str> = text.strip_suffix("\r\n").expect("an end").split("\r\n").collect();
    for (at, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&reply.code().to_string()) && !line.contains(char::is_control));
        assert_eq!(line.as_bytes()[3], if at + 1 == lines.len() { b' ' } else { b'-' });
    }
}

/// Reads the dialogue by its framing, and takes the events as they must come.
struct Model {
    stream: Vec<u8>,
    /// Where flights end.
    ends: Vec<usize>,
    at: usize,
    events: std::vec::IntoIter<Event>,
    door: Door,
    line: usize,
    /// The recipients that were accepted.
    accepted: Vec<Address>,
    /// The chunks that came.
    chunks: Option<Vec<u8>>,
}

/// The dialogue has nothing more.
struct Over;

impl Model {
    fn new(flights: &[Vec<u8>], events: Vec<Event>, options: &Options) -> Model {
        let ends = flights.iter().scan(0, |end, flight| {
            *end += flight.len();
            Some(*end)
        });
        Model {
            ends: ends.collect(),
            stream: flights.concat(),
            at: 0,
            events: events.into_iter(),
            door: options.door,
            line: options.command_line.max(64),
            accepted: Vec::new(),
            chunks: None,
        }
    }

    fn compare(mut self) {
        while self.command().is_ok() {}
        assert_eq!(self.events.as_slice(), []);
    }

    fn command(&mut self) -> Result<(), Over> {
        let rest = &self.stream[self.at..];
        let window = &rest[..rest.len().min(self.line)];
        let line = match window.iter().position(|byte| *byte == b'\n') {
            Some(end) if end > 0 && window[end - 1] == b'\r' => window[..end - 1].to_vec(),
            None if window.len() < self.line => return Err(Over),
            end => return self.bad_line(end.map_or(window.len(), |end| end + 1)),
        };
        self.at += line.len() + 2;
        let upper = line.trim_ascii_end().to_ascii_uppercase();
        let mut words = upper.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        match words.next() {
            _ if upper.starts_with(b"BDAT") => {
                let (size, last) = chunk_of(&line, &upper);
                self.chunk(size, last)
            }
            Some(b"DATA") => self.data(),
            Some(b"RCPT") => {
                let recipient = match self.events.as_slice().first() {
                    Some(Event::Recipient(address)) => Some(address.clone()),
                    _ => None,
                };
                if recipient.is_some() {
                    self.events.next();
                }
                if self.reply()? == 250 {
                    self.accepted.push(recipient.expect("it was asked for"));
                }
                Ok(())
            }
            verb => {
                let verb = verb.map(<[u8]>::to_vec).unwrap_or_default();
                self.other(&verb)
            }
        }
    }

    fn other(&mut self, verb: &[u8]) -> Result<(), Over> {
        let dropped = self.take(&Event::Dropped);
        let code = self.reply()?;
        let anew = [&b"LHLO"[..], b"EHLO", b"HELO", b"RSET", b"MAIL"].contains(&verb) && code == 250;
        if anew || (verb == b"XCLIENT" && code == 220) {
            self.forget();
        } else {
            assert!(!dropped);
        }
        if verb == b"STARTTLS" && code == 220 {
            assert!(self.take(&Event::Tls));
            // RFC 3207 §5: whatever was read with it goes.
            self.at = self.ends.iter().copied().find(|end| *end >= self.at).expect("a flight ends");
            self.forget();
        }
        Ok(())
    }

    // One reply, or the end where a chunk was meant; then on to a true CR LF.
    fn bad_line(&mut self, length: usize) -> Result<(), Over> {
        self.reply()?;
        // A CR that was the last of the line may begin its end.
        let from = self.at + length - usize::from(self.stream[self.at + length - 1] == b'\r');
        let end = find(&self.stream[from..], b"\r\n");
        match end {
            Some(end) if end < 65_536 - self.line => {
                self.at = from + end + 2;
                Ok(())
            }
            // Beyond 64 KiB the session gives up; nearly so, it depends on where the line was cut.
            _ => {
                self.events = Vec::new().into_iter();
                Err(Over)
            }
        }
    }

    fn data(&mut self) -> Result<(), Over> {
        let started = self.take(&Event::Start);
        if self.reply()? != 354 {
            if started {
                self.forget();
            }
            return Ok(());
        }
        assert!(started && self.chunks.is_none() && !self.accepted.is_empty());
        let (content, length) = match decode(&self.stream[self.at..]) {
            Some(decoded) => decoded,
            None => {
                self.take(&Event::Dropped);
                return Err(Over);
            }
        };
        self.at += length;
        self.end(content)
    }

    fn chunk(&mut self, size: Option<u64>, last: bool) -> Result<(), Over> {
        let started = self.take(&Event::Start);
        assert!(!started || self.chunks.is_none());
        self.take(&Event::Dropped);
        let Some(size) = size else {
            // Where the next command begins is not known.
            assert!(self.take(&Event::Close));
            return Err(Over);
        };
        let rest = &self.stream[self.at..];
        if (rest.len() as u64) < size {
            return Err(Over);
        }
        let octets = &rest[..size as usize];
        self.at += octets.len();
        if started {
            self.chunks = Some(Vec::new());
        }
        if let Some(chunks) = &mut self.chunks {
            chunks.extend_from_slice(octets);
        }
        if last && !self.accepted.is_empty() {
            let content = self.chunks.take().unwrap_or_default();
            return self.end(content);
        }
        self.reply().map(drop)
    }

    // The message, or its refusal: once for each recipient under LMTP.
    fn end(&mut self, content: Vec<u8>) -> Result<(), Over> {
        self.take(&Event::Dropped);
        let recipients = std::mem::take(&mut self.accepted);
        self.chunks = None;
        if let Some(Event::End(..)) = self.events.as_slice().first() {
            assert_eq!(self.events.next(), Some(Event::End(content, recipients)));
            return Ok(());
        }
        let replies = if self.door == Door::Lmtp { recipients.len() } else { 1 };
        let first = self.reply()?;
        assert!(first >= 400);
        for _ in 1..replies {
            assert_eq!(self.reply()?, first);
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.accepted.clear();
        self.chunks = None;
    }

    fn take(&mut self, event: &Event) -> bool {
        let is_next = self.events.as_slice().first() == Some(event);
        if is_next {
            self.events.next();
        }
        is_next
    }

    fn reply(&mut self) -> Result<u16, Over> {
        match self.events.next() {
            Some(Event::Reply(code)) => Ok(code),
            Some(Event::Close) => Err(Over),
            other => panic!("a reply is due before {}, not {other:?}", self.at),
        }
    }
}

/// What a line that begins with BDAT says of its chunk; no size where it cannot be read.
fn chunk_of(line: &[u8], upper: &[u8]) -> (Option<u64>, bool) {
    let control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    let Some(rest) = upper.strip_prefix(b"BDAT ").filter(|_| std::str::from_utf8(line).is_ok()) else {
        return (None, false);
    };
    let mut words = rest.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let size = words.next().filter(|word| word.iter().all(u8::is_ascii_digit));
    let size = size.and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
    let last = words.next() == Some(b"LAST");
    (size.filter(|_| !line.iter().any(control)), last)
}

/// RFC 5321 §4.5.2, by the book: lines end in CR LF, and a line with a dot alone ends all. The content, and
/// how many bytes it was.
fn decode(wire: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut content, mut at) = (Vec::new(), 0);
    loop {
        let end = at + find(&wire[at..], b"\r\n")? + 2;
        match &wire[at..end] {
            b".\r\n" => return Some((content, end)),
            [b'.', line @ ..] | line => content.extend_from_slice(line),
        }
        at = end;
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
