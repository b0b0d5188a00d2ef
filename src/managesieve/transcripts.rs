//! Dialogues with a session, each also replayed cut in two at every byte, and byte by byte.
//!
//! `->` is a line of the client, `=>` bytes without the CRLF added; both know the escapes
//! `\r \n \0 \xNN`. `<-` is a line of the server, or how it begins where it ends in `…`; `==` is what
//! the server is told: `tls`, `login user password`, `close`.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Answer, Credentials, Options, Protection, Refusal, Request, Session, Step};
use crate::sieve::{Checked, ErrorKind, ScriptError, ScriptName};

const PLAIN: Protection = Protection {
    has_certificate: true,
    tls: false,
    plaintext: true,
};
const STRICT: Protection = Protection {
    has_certificate: true,
    tls: false,
    plaintext: false,
};
const BARE: Protection = Protection {
    has_certificate: false,
    tls: false,
    plaintext: false,
};

/// A server in memory, where ann's password is `secret` and everything takes its course.
struct House {
    session: Session,
    buffer: Vec<u8>,
    log: Vec<String>,
    scripts: BTreeMap<String, Vec<u8>>,
    active: Option<String>,
    closed: bool,
}

impl House {
    fn new(protection: Protection) -> House {
        let options = Options {
            extensions: vec!["fileinto", "enotify"],
            script_size: 60,
            errors: 6,
            logins: 2,
            commands_before_login: 12,
            ..Options::default()
        };
        let session = Session::new(Arc::new(options), protection);
        let mut house = House {
            session,
            buffer: Vec::new(),
            log: Vec::new(),
            scripts: BTreeMap::new(),
            active: None,
            closed: false,
        };
        let greeting = house.session.greeting();
        house.say(greeting.bytes());
        house
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while !self.closed {
            let (consumed, step) = self.session.next(&self.buffer);
            assert!(consumed <= self.buffer.len());
            self.buffer.drain(..consumed);
            match step {
                Step::NeedMore => {
                    assert!(self.buffer.is_empty(), "it takes all that it is shown");
                    return;
                }
                Step::Reply(reply) => self.say(reply.bytes()),
                Step::StartTls => {
                    self.log.push("== tls".to_owned());
                    self.buffer.clear();
                    self.session.secured();
                }
                Step::Authenticate(credentials) => self.log_in(&credentials),
                Step::Request(request) => {
                    let answer = self.carry_out(request).unwrap_or_else(Answer::Refused);
                    self.session.answer(&answer);
                }
                Step::Close(reply) => {
                    self.say(reply.bytes());
                    self.log.push("== close".to_owned());
                    self.closed = true;
                }
            }
        }
    }

    fn log_in(&mut self, Credentials { user, password }: &Credentials) {
        self.log.push(format!("== login {user} {password}"));
        match (user.as_str(), password.as_str()) {
            ("ann", "secret") => self.session.logged_in("ann@example.org"),
            ("later", _) => self.session.login_deferred(),
            _ => self.session.login_refused(),
        }
    }

    fn carry_out(&mut self, request: Request) -> Result<Answer, Refusal> {
        let known = |scripts: &BTreeMap<String, Vec<u8>>, name: &ScriptName| match scripts.contains_key(name.as_str()) {
            true => Ok(name.to_string()),
            false => Err(Refusal::NoScript),
        };
        Ok(match request {
            Request::HaveSpace { size, .. } if size > 60 => return Err(Refusal::TooLarge("too large".to_owned())),
            Request::HaveSpace { .. } if self.scripts.len() > 2 => {
                return Err(Refusal::TooManyScripts("too many".to_owned()));
            }
            Request::HaveSpace { .. } => Answer::Done,
            Request::PutScript { name, source } => {
                let checked = check(&source);
                if checked.errors.is_empty() {
                    self.scripts.insert(name.to_string(), source);
                }
                Answer::Checked(checked)
            }
            Request::CheckScript(source) => Answer::Checked(check(&source)),
            Request::ListScripts => {
                let active = |name: &String| self.active.as_ref() == Some(name);
                let all = self
                    .scripts
                    .keys()
                    .map(|name| (ScriptName::parse(name).unwrap(), active(name)));
                Answer::Scripts(all.collect())
            }
            Request::SetActive(name) => {
                self.active = name.map(|name| known(&self.scripts, &name)).transpose()?;
                Answer::Done
            }
            Request::GetScript(name) => Answer::Script(self.scripts[&known(&self.scripts, &name)?].clone()),
            Request::DeleteScript(name) if self.active.as_deref() == Some(name.as_str()) => {
                return Err(Refusal::Active);
            }
            Request::DeleteScript(name) => {
                let name = known(&self.scripts, &name)?;
                self.scripts.remove(&name);
                Answer::Done
            }
            Request::RenameScript { from, to } => {
                let from = known(&self.scripts, &from)?;
                if self.scripts.contains_key(to.as_str()) {
                    return Err(Refusal::Exists);
                }
                let source = self.scripts.remove(&from).unwrap();
                self.scripts.insert(to.to_string(), source);
                Answer::Done
            }
        })
    }

    fn say(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).expect("UTF-8");
        assert!(text.ends_with("\r\n"), "{text:?}");
        let lines = text.strip_suffix("\r\n").unwrap().split("\r\n");
        self.log
            .extend(lines.map(|line| format!("<- {}", line.replace('\n', "\\n"))));
    }
}

// A checker that knows two words.
fn check(source: &[u8]) -> Checked {
    let text = String::from_utf8(source.to_vec()).expect("the session has checked that");
    let found = |word: &str, help: Option<&str>| {
        let lines = text.lines().enumerate().filter(|(_, line)| line.contains(word));
        let errors = lines.map(|(at, line)| ScriptError {
            script: String::new(),
            kind: ErrorKind::Compile,
            message: format!("this is {word}"),
            line: Some(u32::try_from(at).unwrap() + 1),
            column: line.find(word).map(|column| u32::try_from(column).unwrap() + 1),
            length: 3,
            excerpt: Some(line.to_owned()),
            help: help.map(str::to_owned),
        });
        errors.collect()
    };
    Checked {
        errors: found("bad", Some("write \"good\"")),
        warnings: found("odd", None),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        match behind {
            [b'r', ..] => out.push(b'\r'),
            [b'n', ..] => out.push(b'\n'),
            [b'0', ..] => out.push(0),
            [b'x', high, low, ..] => {
                let digits = [*high, *low];
                out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                rest = &rest[2..];
            }
            _ => {
                out.push(b'\\');
                continue;
            }
        }
        rest = &rest[1..];
    }
    out
}

/// Plays a dialogue, then replays it in pieces, which must come to the same.
fn play(protection: Protection, dialogue: &str) {
    let lines = || dialogue.lines().map(str::trim_start).filter(|line| !line.is_empty());
    let expected: Vec<&str> = lines()
        .filter(|line| !line.starts_with("->") && !line.starts_with("=>"))
        .collect();
    // What comes behind STARTTLS waits for TLS, so a segment ends there.
    let mut segments = vec![Vec::new()];
    for line in lines() {
        let bytes = match (line.strip_prefix("-> "), line.strip_prefix("=> ")) {
            (Some(text), _) => [unescape(text), b"\r\n".to_vec()].concat(),
            (_, Some(text)) => unescape(text),
            _ => continue,
        };
        segments.last_mut().unwrap().extend_from_slice(&bytes);
        if bytes.eq_ignore_ascii_case(b"STARTTLS\r\n") {
            segments.push(Vec::new());
        }
    }
    let run = |pieces: &dyn Fn(&[u8]) -> Vec<Vec<u8>>| {
        let mut house = House::new(protection);
        for piece in segments.iter().flat_map(|segment| pieces(segment)) {
            house.feed(&piece);
        }
        house.log
    };
    let whole = run(&|segment| vec![segment.to_vec()]);
    compare(&whole, &expected);
    assert_eq!(
        run(&|segment| segment.iter().map(|byte| vec![*byte]).collect()),
        whole,
        "byte by byte"
    );
    let longest = segments.iter().map(Vec::len).max().unwrap();
    for cut in 1..longest {
        let cut_in_two = |segment: &[u8]| {
            let (first, second) = segment.split_at(cut.min(segment.len()));
            vec![first.to_vec(), second.to_vec()]
        };
        assert_eq!(run(&cut_in_two), whole, "cut at {cut}");
    }
}

fn compare(log: &[String], expected: &[&str]) {
    // The greeting is looked at by one test alone.
    let greeting = log.iter().position(|line| line.starts_with("<- OK")).unwrap();
    let begins = expected
        .first()
        .is_some_and(|line| line.starts_with("<- \"IMPLEMENTATION\""));
    let log = if begins { log } else { &log[greeting + 1..] };
    let same = |(line, expected): (&String, &&str)| match expected.strip_suffix('…') {
        Some(beginning) => line.starts_with(beginning),
        None => line == expected,
    };
    assert!(
        log.len() == expected.len() && log.iter().zip(expected).all(same),
        "expected\n{}\nbut\n{}",
        expected.join("\n"),
        log.join("\n")
    );
}

/// The dialogues of one who is logged in.
fn play_logged_in(dialogue: &str) {
    let login = "-> AUTHENTICATE \"PLAIN\" \"AGFubgBzZWNyZXQ=\"\n<- OK \"You are logged in\"\n";
    let (first, rest) = login.split_once('\n').unwrap();
    play(PLAIN, &format!("{first}\n== login ann secret\n{rest}{dialogue}"));
}

#[test]
fn greets_with_what_it_can() {
    play(
        STRICT,
        r#"
        <- "IMPLEMENTATION" "postroom"
        <- "SIEVE" "fileinto enotify"
        <- "NOTIFY" "mailto"
        <- "SASL" ""
        <- "STARTTLS"
        <- "MAXREDIRECTS" "4"
        <- "UNAUTHENTICATE"
        <- "VERSION" "1.0"
        <- OK "postroom is ready"
        -> AUTHENTICATE "PLAIN" "AGFubgBzZWNyZXQ="
        <- NO (ENCRYPT-NEEDED) "Use STARTTLS first"
        -> starttls
        <- OK "Begin TLS now"
        == tls
        <- "IMPLEMENTATION" "postroom"
        <- "SIEVE" "fileinto enotify"
        <- "NOTIFY" "mailto"
        <- "SASL" "PLAIN"
        <- "MAXREDIRECTS" "4"
        <- "UNAUTHENTICATE"
        <- "VERSION" "1.0"
        <- OK "TLS is in force"
        -> STARTTLS
        <- NO "TLS is not to be had, or is in force already"
        -> Authenticate "plain" "AGFubgBzZWNyZXQ="
        == login ann secret
        <- OK "You are logged in"
        -> CAPABILITY
        <- "IMPLEMENTATION" "postroom"
        <- "SIEVE" "fileinto enotify"
        <- "NOTIFY" "mailto"
        <- "SASL" "PLAIN"
        <- "MAXREDIRECTS" "4"
        <- "UNAUTHENTICATE"
        <- "OWNER" "ann@example.org"
        <- "VERSION" "1.0"
        <- OK "Done"
        -> STARTTLS
        <- NO "STARTTLS comes before the login"
        -> LOGOUT
        <- OK "Bye"
        == close
        "#,
    );
}

#[test]
fn logs_in_by_plain_in_every_form() {
    play(
        PLAIN,
        r#"
        -> AUTHENTICATE "PLAIN"
        <- ""
        -> "AGFubgBzZWNyZXQ="
        == login ann secret
        <- OK "You are logged in"
        -> AUTHENTICATE "PLAIN" "AGFubgBzZWNyZXQ="
        <- NO "You are logged in already"
        -> UNAUTHENTICATE
        <- OK "You are logged out"
        -> UNAUTHENTICATE
        <- NO "Nobody is logged in"
        -> AUTHENTICATE "PLAIN"
        <- ""
        -> {16+}
        => AGFubgBzZWNyZXQ=\r\n
        == login ann secret
        <- OK "You are logged in"
        -> unauthenticate
        <- OK "You are logged out"
        -> AUTHENTICATE {5+}
        => PLAIN {20+}\r\nYW5uAGFubgBzZWNyZXQ=\r\n
        == login ann secret
        <- OK "You are logged in"
        "#,
    );
}

#[test]
fn refuses_logins() {
    play(
        PLAIN,
        r#"
        -> AUTHENTICATE "PLAIN"
        <- ""
        -> "*"
        <- NO "The login is cancelled"
        -> AUTHENTICATE "LOGIN"
        <- NO "There is no such mechanism: use PLAIN"
        -> AUTHENTICATE "PLAIN" "not base 64"
        <- NO "This is no response of PLAIN"
        -> AUTHENTICATE "PLAIN" "Ym9iAGFubgBzZWNyZXQ="
        <- NO "Nobody can log in for another user"
        -> AUTHENTICATE "PLAIN"
        <- ""
        -> NOOP
        <- NO "A response is a string"
        -> AUTHENTICATE "PLAIN" "AGxhdGVyAHg="
        == login later x
        <- NO (TRYLATER) "Nobody can log in for now: try again later"
        -> AUTHENTICATE "PLAIN" "AGFubgB3cm9uZw=="
        == login ann wrong
        <- NO "This user and password do not belong together"
        -> AUTHENTICATE "PLAIN" "AGV2ZQBzZWNyZXQ="
        == login eve secret
        <- NO "This user and password do not belong together"
        <- BYE "Too many logins have failed"
        == close
        "#,
    );
    play(
        BARE,
        r#"
        -> AUTHENTICATE "PLAIN"
        <- NO (AUTH-TOO-WEAK) "Passwords are not taken without TLS, which is not to be had here"
        -> STARTTLS
        <- NO "TLS is not to be had, or is in force already"
        "#,
    );
}

#[test]
fn nothing_goes_without_a_login() {
    play(
        PLAIN,
        r#"
        -> HAVESPACE "x" 1
        <- NO "Log in first"
        -> PUTSCRIPT "x" {5+}
        => keep;\r\n
        <- NO "Log in first"
        -> LISTSCRIPTS
        <- NO "Log in first"
        -> SETACTIVE ""
        <- NO "Log in first"
        -> GETSCRIPT "x"
        <- NO "Log in first"
        -> NOOP "it is open to all"
        <- OK (TAG "it is open to all") "Done"
        -> CHECKSCRIPT "keep;"
        <- NO "Log in first"
        -> DELETESCRIPT "x"
        <- BYE "Too many errors"
        == close
        "#,
    );
    let many = "-> NOOP\n<- OK \"Done\"\n".repeat(12);
    play(
        PLAIN,
        &format!("{many}-> NOOP\n<- BYE \"Too many commands without a login\"\n== close\n"),
    );
}

#[test]
fn scripts_come_and_go() {
    play_logged_in(
        r#"
        -> HAVESPACE "one" 60
        <- OK "Done"
        -> HAVESPACE "one" 61
        <- NO (QUOTA/MAXSIZE) "too large"
        -> LISTSCRIPTS
        <- OK "Done"
        -> PUTSCRIPT "one" {14+}
        => keep;\r\nstop;\r\n\r\n
        <- OK "Done"
        -> putscript {4+}
        => "two "keep;"\r\n
        <- OK "Done"
        -> PUTSCRIPT "\\\"three\\\"" "\"odd\""
        <- NO "the script name…
        -> LISTSCRIPTS
        <- "\"two"
        <- "one"
        <- OK "Done"
        -> SETACTIVE "one"
        <- OK "Done"
        -> LISTSCRIPTS
        <- "\"two"
        <- "one" ACTIVE
        <- OK "Done"
        -> GETSCRIPT "one"
        <- {14}
        <- keep;
        <- stop;
        <- 
        <- OK "Done"
        -> DELETESCRIPT "one"
        <- NO (ACTIVE) "The script is active: activate another one first"
        -> RENAMESCRIPT "one" "\"two"
        <- NO (ALREADYEXISTS) "There is a script of that name already"
        "#,
    );
}

#[test]
fn scripts_are_missing_or_there_already() {
    play_logged_in(
        r#"
        -> PUTSCRIPT "one" "keep;"
        <- OK "Done"
        -> PUTSCRIPT "two" ""
        <- OK "Done"
        -> RENAMESCRIPT "one" "two"
        <- NO (ALREADYEXISTS) "There is a script of that name already"
        -> RENAMESCRIPT "one" "drei"
        <- OK "Done"
        -> GETSCRIPT "one"
        <- NO (NONEXISTENT) "There is no script of that name"
        -> SETACTIVE "one"
        <- NO (NONEXISTENT) "There is no script of that name"
        -> SETACTIVE ""
        <- OK "Done"
        -> DELETESCRIPT "drei"
        <- OK "Done"
        -> DELETESCRIPT "drei"
        <- NO (NONEXISTENT) "There is no script of that name"
        -> GETSCRIPT "two"
        <- {0}
        <- 
        <- OK "Done"
        "#,
    );
}

#[test]
fn tells_all_errors_with_their_lines() {
    play_logged_in(
        r#"
        -> PUTSCRIPT "x" {19+}
        => keep;\r\n bad;\r\nbad;\n\r\n
        <- NO {88}
        <- line 2, column 2: this is bad; write "good"
        <- line 3, column 1: this is bad; write "good"
        -> LISTSCRIPTS
        <- OK "Done"
        -> CHECKSCRIPT "bad"
        <- NO "line 1, column 1: this is bad; write \"good\""
        -> CHECKSCRIPT "odd"
        <- OK (WARNINGS) "line 1, column 1: this is odd"
        -> PUTSCRIPT "x" "odd"
        <- OK (WARNINGS) "line 1, column 1: this is odd"
        -> LISTSCRIPTS
        <- "x"
        <- OK "Done"
        -> CHECKSCRIPT {9+}
        => keep;\r\n\x00\x01\r\n
        <- NO "line 2: there is a NUL"
        -> CHECKSCRIPT {3+}
        => \n\n\xff\r\n
        <- NO "line 3: there is something that is not UTF-8"
        "#,
    );
}

#[test]
fn what_is_too_large_is_read_over() {
    let script = "x".repeat(3000);
    play_logged_in(&format!(
        "-> PUTSCRIPT \"x\" {{3000+}}\n=> {script}\\r\\n\n\
         <- NO (QUOTA/MAXSIZE) \"The script has 3000 bytes; 60 are allowed\"\n\
         -> GETSCRIPT {{3000+}}\n=> {script}\\r\\n\n<- NO \"The string is too long\"\n\
         -> NOOP\n<- OK \"Done\"\n\
         -> NOOP {{99999999999999999999+}}\n<- BYE \"The literal is too large\"\n== close\n"
    ));
    play_logged_in("-> PUTSCRIPT \"x\" {99999999+}\n<- BYE \"The literal is too large\"\n== close\n");
}

#[test]
fn wrong_lines_are_one_error_each() {
    play_logged_in(
        r#"
        -> FROBNICATE
        <- NO "There is no such command"
        -> GETSCRIPT
        <- NO "GETSCRIPT takes a name, a string"
        -> GETSCRIPT x
        <- NO "GETSCRIPT takes a name, a string"
        -> (
        <- NO "This is neither a word nor a string"
        -> NOOP "a"NOOP
        <- NO "A space must stand between words"
        -> HAVESPACE "x" "1"
        <- NO "HAVESPACE takes a name and a number of octets"
        -> 
        <- BYE "Too many errors"
        == close
        "#,
    );
    play_logged_in(
        r#"
        => NOOP\nLOGOUT\r\n
        <- NO "Lines end with CR LF"
        => NOOP\rLOGOUT\r\n
        <- NO "Lines end with CR LF"
        -> NOOP "no end
        <- NO "A quoted string has no end of line in it, and no NUL"
        -> SETACTIVE ( {8+}
        => LOGOUT\r\n {8+}\r\nLOGOUT\r\n\r\n
        <- NO "This is neither a word nor a string"
        -> NOOP "\y"
        <- NO "In a string, \\ stands before \" and \\ alone"
        "#,
    );
}

#[test]
fn what_stands_behind_starttls_is_forgotten() {
    let mut house = House::new(STRICT);
    house.feed(b"STARTTLS\r\nNOOP \"injected\"\r\nAUTHENTICATE \"PL");
    house.feed(b"NOOP \"tls\"\r\n");
    let log = house.log.join("\n");
    assert!(!log.contains("injected"), "{log}");
    assert!(log.ends_with("<- OK (TAG \"tls\") \"Done\""), "{log}");
}

proptest! {
    #[test]
    fn no_input_makes_it_panic(
        pieces in prop::collection::vec(
            prop_oneof![
                Just(b"\r\n".to_vec()),
                Just(b"AUTHENTICATE \"PLAIN\" \"AGFubgBzZWNyZXQ=\"\r\n".to_vec()),
                Just(b"STARTTLS\r\n".to_vec()),
                Just(b"PUTSCRIPT \"x\" {".to_vec()),
                Just(b"9+}\r\n".to_vec()),
                Just(b"RENAMESCRIPT \"x\" \"y\"\r\n".to_vec()),
                Just(b"{99999999999999+}".to_vec()),
                "[A-Z]{1,12} [\"{}+0-9 \\\\\r\n]{0,9}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..40),
            ],
            0..30,
        ),
        cut in any::<prop::sample::Index>(),
    ) {
        let input = pieces.concat();
        let mut house = House::new(PLAIN);
        let (first, second) = input.split_at(if input.is_empty() { 0 } else { cut.index(input.len()) });
        house.feed(first);
        house.feed(second);
    }
}
