//! A submission server that takes mail, or answers as its test says, and shows what it got.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use super::place::wait_until;

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    /// The parameters of MAIL and RCPT, as they stood behind the paths.
    pub parameters: String,
    /// As sent, dots unstuffed, lines ending in LF.
    pub text: String,
}

/// The server; its thread ends with the test program.
pub struct Relay {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    silent: bool,
    mails: Vec<Mail>,
    answers: Vec<(&'static str, &'static str)>,
}

impl Relay {
    pub fn new() -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || converse(&stream, &shared)); // A peer that hangs up is no error.
            }
        });
        Relay { address, state }
    }

    /// From now on a command that begins so is answered so; `.` is the end of a message.
    pub fn answer(&self, command: &'static str, reply: &'static str) {
        self.lock().answers.push((command, reply));
    }

    /// From now on takes everything.
    pub fn take_all(&self) {
        self.lock().answers.clear();
    }

    /// Whether it says nothing, not even its greeting, until told otherwise.
    pub fn keep_silent(&self, silent: bool) {
        self.lock().silent = silent;
    }

    /// The one message that was taken, or will be: what holds no reply up comes after it.
    pub fn awaited(&self) -> Mail {
        wait_until("a message is taken", || !self.lock().mails.is_empty());
        let mails = self.taken();
        assert_eq!(mails.len(), 1, "{mails:?}");
        mails.into_iter().next().expect("one")
    }

    /// All that was taken since this was last asked.
    pub fn taken(&self) -> Vec<Mail> {
        std::mem::take(&mut self.lock().mails)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with it")
    }
}

fn converse(stream: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let say = |text: &str| (&*stream).write_all(format!("{text}\r\n").as_bytes());
    wait_until("it may speak", || {
        !state.lock().expect("no thread panics with it").silent
    });
    say("220 relay.example.net")?;
    let mut lines = BufReader::new(stream);
    let mut mail = None::<Mail>;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let answer = answer_to(state, &line);
        let refused = answer.is_some();
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let path = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let parameters = line.trim_end().rsplit('>').next().unwrap_or_default();
        match (verb.as_str(), &mut mail) {
            ("EHLO", _) if !refused => say("250-relay.example.net\r\n250-8BITMIME\r\n250 SMTPUTF8")?,
            ("DATA", Some(mail)) if !refused => {
                say("354 go on")?;
                mail.text = content(&mut lines)?;
                let answer = answer_to(state, ".");
                if answer.is_none() {
                    state.lock().expect("no thread panics with it").mails.push(mail.clone());
                }
                say(answer.unwrap_or("250 2.0.0 taken"))?;
            }
            ("MAIL", _) if !refused => {
                let (from, to, text) = (path(), Vec::new(), String::new());
                mail = Some(Mail {
                    from,
                    to,
                    parameters: parameters.to_owned(),
                    text,
                });
                say("250 2.1.0 OK")?;
            }
            ("RCPT", Some(mail)) if !refused => {
                mail.to.push(path());
                mail.parameters.push_str(parameters);
                say("250 2.1.5 OK")?;
            }
            ("QUIT", _) => return say("221 2.0.0 bye"),
            _ => say(answer.unwrap_or("250 2.0.0 OK"))?,
        }
    }
}

fn answer_to(state: &Mutex<State>, command: &str) -> Option<&'static str> {
    let state = state.lock().expect("no thread panics with it");
    let found = state.answers.iter().find(|(start, _)| command.starts_with(start));
    found.map(|(_, reply)| *reply)
}

fn content(lines: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&line);
        match line.trim_end_matches(['\r', '\n']) {
            "." => return Ok(text),
            line => text.push_str(line.strip_prefix('.').unwrap_or(line)),
        }
        text.push('\n');
    }
}
