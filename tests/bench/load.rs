//! load ADDRESS [NAME=NUMBER]...: an LMTP load, and what came of it as one line of JSON.
//!
//! | name | default | |
//! | --- | ---: | --- |
//! | `sessions` | 1 | threads, each with one connection, pipelined as Postfix does it (RFC 2920) |
//! | `seconds` | 1 | the load ends after these, or after so many `messages`, whichever comes first |
//! | `messages` | 1000000000 | |
//! | `size` | 4096 | bytes of a message |
//! | `users` | 1 | user0, user1 ...; one after the other |
//! | `recipients` | 1 | of each message: this user and those that follow |
//! | `rate` | 0 | 0: a session sends when its last message was answered (closed loop); else messages a second, each sent at a time that was fixed before (open loop), by whichever session is free |
//! | `warm` | 1 | 1: before the clock starts, every user and every session has had a small message |
//!
//! Latencies are milliseconds: of a closed loop from the first command, of an open loop from the planned time, so that
//! what waits for a session counts. Built with `rustc -O` by tests/bench; standard library only.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

struct Plan {
    address: String,
    sessions: u64,
    length: Duration,
    messages: u64,
    users: u64,
    recipients: u64,
    rate: f64,
    warm: bool,
    body: Vec<u8>,
    run: u32,
}

struct Session<'a> {
    plan: &'a Plan,
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

static TAKEN: AtomicU64 = AtomicU64::new(0);
static START: OnceLock<Instant> = OnceLock::new();

fn main() {
    let plan = Plan {
        address: env::args().nth(1).expect("the address is missing"),
        sessions: number("sessions", 1.0) as u64,
        length: Duration::from_secs_f64(number("seconds", 1.0)),
        messages: number("messages", 1e9) as u64,
        users: number("users", 1.0) as u64,
        recipients: number("recipients", 1.0) as u64,
        rate: number("rate", 0.0),
        warm: number("warm", 1.0) > 0.0,
        body: body(number("size", 4096.0) as usize),
        run: std::process::id(),
    };
    let ready = Barrier::new(plan.sessions as usize);
    let latencies = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for number in 0..plan.sessions {
            let (plan, ready, latencies) = (&plan, &ready, &latencies);
            scope.spawn(move || {
                let mine = Session::run(plan, number, ready).unwrap_or_else(|error| fail(&error));
                latencies.lock().expect("no panic under it").extend(mine);
            });
        }
    });
    let seconds = START.get().expect("all sessions ran").elapsed();
    let mut latencies = latencies.into_inner().expect("no panic under it");
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1_000.0;
    println!(
        "{{\"messages\": {}, \"seconds\": {:.4}, \"p50\": {:.3}, \"p99\": {:.3}}}",
        latencies.len(),
        seconds.as_secs_f64(),
        at(0.5),
        at(0.99)
    );
}

fn number(name: &str, default: f64) -> f64 {
    let given = env::args().find_map(|word| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned));
    given.map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

/// Ends the whole run: the other sessions would wait for this one for ever.
fn fail(error: &io::Error) -> ! {
    eprintln!("load: {error}");
    std::process::exit(1);
}

fn body(size: usize) -> Vec<u8> {
    let line = b"The quick brown fox jumps over the lazy dog; 0123456789 and once more.\r\n";
    let mut body: Vec<u8> = line.iter().copied().cycle().take(size.saturating_sub(600)).collect();
    body.extend_from_slice(b"\r\n.\r\n");
    body
}

impl Session<'_> {
    fn run(plan: &Plan, number: u64, ready: &Barrier) -> io::Result<Vec<Duration>> {
        let mut session = Session::open(plan)?;
        let warm = if plan.warm { plan.users.max(plan.sessions) } else { 0 };
        for user in (number..warm).step_by(plan.sessions as usize) {
            session.send(user % plan.users, 1, "warm-up", b"\r\n.\r\n")?;
        }
        ready.wait();
        let start = *START.get_or_init(Instant::now);
        session.load(start)
    }

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

    fn load(&mut self, start: Instant) -> io::Result<Vec<Duration>> {
        let plan = self.plan;
        let mut latencies = Vec::new();
        loop {
            let number = TAKEN.fetch_add(1, Ordering::Relaxed);
            let planned = start
                + Duration::from_secs_f64(if plan.rate > 0.0 {
                    number as f64 / plan.rate
                } else {
                    0.0
                });
            let over = planned.max(Instant::now()) - start >= plan.length;
            // An open loop sends all that was planned, late or not.
            let over = if plan.rate > 0.0 {
                planned - start >= plan.length
            } else {
                over
            };
            if over || number >= plan.messages {
                return Ok(latencies);
            }
            thread::sleep(planned.saturating_duration_since(Instant::now()));
            let since = if plan.rate > 0.0 { planned } else { Instant::now() };
            self.send(
                number * plan.recipients % plan.users,
                plan.recipients,
                "load",
                &plan.body,
            )?;
            latencies.push(since.elapsed());
        }
    }

    fn send(&mut self, user: u64, recipients: u64, what: &str, body: &[u8]) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut commands = String::from("MAIL FROM:<load@example.net>\r\n");
        for next in 0..recipients {
            commands += &format!("RCPT TO:<user{}@example.org>\r\n", (user + next) % self.plan.users);
        }
        self.writer.write_all((commands + "DATA\r\n").as_bytes())?;
        for _ in 0..=recipients {
            self.expect("250")?;
        }
        self.expect("354")?;
        let header = format!(
            "Received: from relay.example.net (relay.example.net [192.0.2.1])\r\n\
             \tby mx.example.org (Postfix) with ESMTPS id {number:010};\r\n\tMon, 1 Jan 2024 00:00:00 +0000 (UTC)\r\n\
             Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nFrom: A Load <load@example.net>\r\n\
             To: A User <user{user}@example.org>\r\n\
             Subject: {what} {number}\r\nMessage-ID: <{}.{number}@example.net>\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=us-ascii\r\n\r\n",
            self.plan.run
        );
        self.writer.write_all(header.as_bytes())?;
        self.writer.write_all(body)?;
        // RFC 2033 §4.2: a reply for each recipient.
        (0..recipients).try_for_each(|_| self.expect("250"))
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
