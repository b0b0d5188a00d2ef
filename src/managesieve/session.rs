//! The session: which commands are in order, and what they become.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Options;
use super::command::{self, Command};
use super::lexer::{Fault, Lexer};
use super::reply::Reply;
use super::request::{Answer, Credentials, Request};

/// Octets of literals that somebody may send who is not logged in: enough for any password.
const STRANGERS_LITERALS: usize = 4 * 1024;
/// Room beside the script for the names in literals of one command.
const NAMES: usize = 2 * 1024;

/// What the server is to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Read more.
    NeedMore,
    /// Write this.
    Reply(Reply),
    /// Write what there is to write, forget all bytes that were read and not consumed, and make TLS; then
    /// [`Session::secured`]. Whoever put bytes behind STARTTLS is not who speaks afterwards (RFC 5804 §2.2).
    StartTls,
    /// Find out whether these open an account; then [`Session::logged_in`], [`Session::login_refused`] or
    /// [`Session::login_deferred`].
    Authenticate(Credentials),
    /// Carry this out for the owner who is logged in; then [`Session::answer`].
    Request(Request),
    /// Write this and close. There is no step after this one.
    Close(Reply),
}

/// How the connection is protected, and what may go over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Whether the server has a certificate.
    pub has_certificate: bool,
    /// Whether TLS is in force.
    pub tls: bool,
    /// Whether passwords may come without TLS, over the loopback interface for one.
    pub plaintext: bool,
}

impl Protection {
    /// Whether `SASL PLAIN` may be used.
    pub(super) fn allows_plain(self) -> bool {
        self.tls || self.plaintext
    }

    /// Whether STARTTLS may be used.
    pub(super) fn offers_tls(self) -> bool {
        self.has_certificate && !self.tls
    }
}

/// The server's side of one connection; see the module for how to drive it.
pub struct Session {
    options: Arc<Options>,
    protection: Protection,
    lexer: Lexer,
    state: State,
    steps: VecDeque<Step>,
    owner: Option<String>,
    errors: usize,
    logins: usize,
    strangers_commands: usize,
}

enum State {
    /// A command comes next.
    Command,
    /// The response of PLAIN comes next (RFC 5804 §2.1).
    Response,
    /// The server is to call back.
    Waiting,
    /// [`Step::Close`] was given.
    Closed(Reply),
}

impl Session {
    /// A session that was not greeted yet.
    #[must_use]
    pub fn new(options: Arc<Options>, protection: Protection) -> Session {
        Session {
            options,
            protection,
            lexer: Lexer::new(),
            state: State::Command,
            steps: VecDeque::new(),
            owner: None,
            errors: 0,
            logins: 0,
            strangers_commands: 0,
        }
    }

    /// The capabilities to begin with (RFC 5804 §1.7).
    #[must_use]
    pub fn greeting(&self) -> Reply {
        self.capabilities("postroom is ready")
    }

    /// Whether somebody is logged in: such a client may be silent for longer.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        self.owner.is_some()
    }

    /// The next step, and how many bytes of `input` are done with.
    ///
    /// `input` is all that was read and not yet consumed. Nothing stays unconsumed at [`Step::NeedMore`],
    /// unless the session waits to be called back.
    pub fn next(&mut self, input: &[u8]) -> (usize, Step) {
        let mut consumed = 0;
        loop {
            if let Some(step) = self.steps.pop_front() {
                return (consumed, step);
            }
            match &self.state {
                State::Closed(reply) => return (input.len(), Step::Close(reply.clone())),
                State::Waiting => return (consumed, Step::NeedMore),
                State::Command | State::Response => {}
            }
            let literals = match self.owner {
                Some(_) => self.options.script_size + NAMES,
                None => STRANGERS_LITERALS,
            };
            let (taken, read) = self.lexer.read(&input[consumed..], literals);
            consumed += taken;
            match read {
                None => return (consumed, Step::NeedMore),
                Some(Ok(words)) => self.words(words),
                Some(Err(Fault::Syntax(what))) => self.bad(Reply::no(what)),
                Some(Err(Fault::Lost(what))) => self.state = State::Closed(Reply::bye(what)),
            }
        }
    }

    /// TLS is in force. RFC 5804 §2.2: the capabilities are told anew, without being asked for.
    pub fn secured(&mut self) {
        self.protection.tls = true;
        self.lexer = Lexer::new();
        self.state = State::Command;
        let reply = self.capabilities("TLS is in force");
        self.reply(reply);
    }

    /// The credentials are those of this owner.
    pub fn logged_in(&mut self, owner: &str) {
        self.owner = Some(owner.to_owned());
        self.logins = 0;
        self.state = State::Command;
        self.reply(Reply::ok("You are logged in"));
    }

    /// The credentials are nobody's.
    pub fn login_refused(&mut self) {
        self.state = State::Command;
        self.reply(Reply::no("This user and password do not belong together"));
        self.logins += 1;
        if self.logins >= self.options.logins {
            self.state = State::Closed(Reply::bye("Too many logins have failed"));
        }
    }

    /// Nobody can say now whose the credentials are.
    pub fn login_deferred(&mut self) {
        self.state = State::Command;
        self.reply(Reply::no_with("TRYLATER", "Nobody can log in for now: try again later"));
    }

    /// What became of [`Step::Request`].
    pub fn answer(&mut self, answer: &Answer) {
        self.state = State::Command;
        self.reply(Reply::answer(answer));
    }

    fn words(&mut self, words: Vec<super::lexer::Word>) {
        if matches!(self.state, State::Response) {
            self.state = State::Command;
            return match command::response(words) {
                Ok(response) => self.respond(&response),
                Err(reply) => self.bad(reply),
            };
        }
        if self.owner.is_none() {
            self.strangers_commands += 1;
            if self.strangers_commands > self.options.commands_before_login {
                self.state = State::Closed(Reply::bye("Too many commands without a login"));
                return;
            }
        }
        match command::parse(words, self.options.script_size) {
            Ok(command) => self.obey(command),
            Err(reply) => self.bad(reply),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Capability => {
                let reply = self.capabilities("Done");
                self.reply(reply);
            }
            Command::Noop(None) => self.reply(Reply::ok("Done")),
            Command::Noop(Some(tag)) => self.reply(Reply::tagged(&tag)),
            Command::Logout => self.state = State::Closed(Reply::ok("Bye")),
            Command::StartTls => self.start_tls(),
            Command::Authenticate { mechanism, initial } => self.authenticate(&mechanism, initial),
            // RFC 5804 §2.14.1: TLS stays in force.
            Command::Unauthenticate if self.owner.take().is_some() => self.reply(Reply::ok("You are logged out")),
            Command::Unauthenticate => self.bad(Reply::no("Nobody is logged in")),
            Command::Scripts(_) if self.owner.is_none() => self.bad(Reply::no("Log in first")),
            Command::Scripts(request) => {
                self.state = State::Waiting;
                self.steps.push_back(Step::Request(request));
            }
        }
    }

    fn start_tls(&mut self) {
        if self.owner.is_some() {
            return self.bad(Reply::no("STARTTLS comes before the login"));
        }
        if !self.protection.offers_tls() {
            return self.bad(Reply::no("TLS is not to be had, or is in force already"));
        }
        self.state = State::Waiting;
        self.reply(Reply::ok("Begin TLS now"));
        self.steps.push_back(Step::StartTls);
    }

    fn authenticate(&mut self, mechanism: &str, initial: Option<Vec<u8>>) {
        if self.owner.is_some() {
            return self.bad(Reply::no("You are logged in already"));
        }
        if mechanism != "PLAIN" {
            return self.bad(Reply::no("There is no such mechanism: use PLAIN"));
        }
        if !self.protection.allows_plain() {
            // RFC 5804 §1.3: the one where STARTTLS helps, the other where nothing does.
            return self.bad(match self.protection.offers_tls() {
                true => Reply::no_with("ENCRYPT-NEEDED", "Use STARTTLS first"),
                false => Reply::no_with(
                    "AUTH-TOO-WEAK",
                    "Passwords are not taken without TLS, which is not to be had here",
                ),
            });
        }
        match initial {
            Some(response) => self.respond(&response),
            None => {
                self.state = State::Response;
                self.reply(Reply::empty_challenge());
            }
        }
    }

    fn respond(&mut self, response: &[u8]) {
        // RFC 5804 §2.1: the client wants to stop.
        if response == b"*" {
            return self.bad(Reply::no("The login is cancelled"));
        }
        match command::plain(response) {
            Ok(credentials) => {
                self.state = State::Waiting;
                self.steps.push_back(Step::Authenticate(credentials));
            }
            Err(reply) => self.bad(reply),
        }
    }

    fn capabilities(&self, text: &str) -> Reply {
        Reply::capabilities(&self.options, self.protection, self.owner.as_deref(), text)
    }

    fn reply(&mut self, reply: Reply) {
        self.steps.push_back(Step::Reply(reply));
    }

    fn bad(&mut self, reply: Reply) {
        self.errors += 1;
        match self.errors > self.options.errors {
            true => self.state = State::Closed(Reply::bye("Too many errors")),
            false => {
                self.state = State::Command;
                self.reply(reply);
            }
        }
    }
}
