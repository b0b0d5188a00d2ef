//! load ADDRESS SESSIONS SECONDS MESSAGES SIZE USERS: an LMTP load, and what came of it as one line of JSON.
//!
//! Every session is a thread with one connection, pipelined as Postfix does it (RFC 2920). Before the clock starts,
//! every user and every session has had a small message. The load ends after SECONDS or MESSAGES, whichever comes first.
//! Built with `rustc -O` by tests/bench/run; standard library only.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

struct Plan {
    address: String,
    sessions: u64,
    length: Duration,
    messages: u64,
    users: u64,
    body: Vec<u8>,
    run: u32,
}

struct Session<'a> {
    plan: &'a Plan,
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

static SENT: AtomicU64 = AtomicU64::new(0);

fn main() {
    let argument = |at: usize| {
        env::args()
            .nth(at)
            .unwrap_or_else(|| panic!("argument {at} is missing"))
    };
    let number = |at: usize| {
        argument(at)
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("argument {at} is no number"))
    };
    let plan = Plan {
        address: argument(1),
        sessions: number(2),
        length: Duration::from_secs_f64(argument(3).parse().expect("seconds")),
        messages: number(4),
        body: body(number(5)),
        users: number(6),
        run: std::process::id(),
    };
    let start = Barrier::new(usize::try_from(plan.sessions).expect("small") + 1);
    let latencies = Mutex::new(Vec::new());
    let seconds = thread::scope(|scope| {
        for number in 0..plan.sessions {
            let (plan, start, latencies) = (&plan, &start, &latencies);
            scope.spawn(move || {
                let mut session = Session::open(plan).unwrap_or_else(|error| fail(&error));
                for user in
                    (number..plan.users.max(plan.sessions)).step_by(usize::try_from(plan.sessions).expect("small"))
                {
                    session
                        .send(user % plan.users, "warm-up", b"\r\n.\r\n")
                        .unwrap_or_else(|error| fail(&error));
                }
                start.wait();
                let mine = session.load(number);
                latencies.lock().expect("no panic under it").extend(mine);
            });
        }
        start.wait();
        Instant::now()
    })
    .elapsed();
    let mut latencies = latencies.into_inner().expect("no panic under it");
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1_000.0;
    println!(
        "{{\"messages\": {}, \"seconds\": {:.3}, \"p50\": {:.2}, \"p99\": {:.2}}}",
        latencies.len(),
        seconds.as_secs_f64(),
        at(0.5),
        at(0.99)
    );
}

/// Ends the whole run: the other sessions would wait for this one for ever.
fn fail(error: &io::Error) -> ! {
    eprintln!("load: {error}");
    std::process::exit(1);
}

fn body(size: u64) -> Vec<u8> {
    let line = b"The quick brown fox jumps over the lazy dog; 0123456789 and once more.\r\n";
    let size = usize::try_from(size).expect("it fits");
    let mut body: Vec<u8> = line.iter().copied().cycle().take(size.saturating_sub(600)).collect();
    body.extend_from_slice(b"\r\n.\r\n");
    body
}

impl Session<'_> {
    fn open(plan: &Plan) -> io::Result<Session<'_>> {
        let writer = TcpStream::connect(&plan.address)?;
        writer.set_nodelay(true)?;
        let mut session = Session {
            plan,
            reader: BufReader::new(writer.try_clone()?),
            writer,
        };
        session.expect("220")?;
        session.writer.write_all(b"LHLO client.example.net\r\n")?;
        session.expect("250")?;
        Ok(session)
    }

    fn load(&mut self, number: u64) -> Vec<Duration> {
        let start = Instant::now();
        let mut latencies = Vec::new();
        let mut user = number;
        while start.elapsed() < self.plan.length && SENT.fetch_add(1, Ordering::Relaxed) < self.plan.messages {
            let before = Instant::now();
            self.send(user % self.plan.users, "load", &self.plan.body)
                .unwrap_or_else(|error| fail(&error));
            latencies.push(before.elapsed());
            user += self.plan.sessions;
        }
        latencies
    }

    fn send(&mut self, user: u64, what: &str, body: &[u8]) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let to = format!("user{user}@example.org");
        self.writer
            .write_all(format!("MAIL FROM:<load@example.net>\r\nRCPT TO:<{to}>\r\nDATA\r\n").as_bytes())?;
        for code in ["250", "250", "354"] {
            self.expect(code)?;
        }
        let header = format!(
            "Received: from relay.example.net (relay.example.net [192.0.2.1])\r\n\
             \tby mx.example.org (Postfix) with ESMTPS id {number:010};\r\n\tMon, 1 Jan 2024 00:00:00 +0000 (UTC)\r\n\
             Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nFrom: A Load <load@example.net>\r\nTo: A User <{to}>\r\n\
             Subject: {what} {number}\r\nMessage-ID: <{}.{number}@example.net>\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=us-ascii\r\n\r\n",
            self.plan.run
        );
        self.writer.write_all(header.as_bytes())?;
        self.writer.write_all(body)?;
        self.expect("250")
    }

    fn expect(&mut self, code: &str) -> io::Result<()> {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            if !line.starts_with(code) {
                return Err(io::Error::other(format!("{code} expected: {line:?}")));
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}
