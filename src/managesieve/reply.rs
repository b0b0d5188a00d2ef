//! Responses (RFC 5804 §1.1, §1.3, §4).

use crate::sieve::{Checked, ScriptError, ScriptName};

use super::request::{Answer, Refusal};
use super::{Options, Protection};

/// Octets of a quoted string; longer ones are literals (RFC 5804 §4).
const QUOTED_MAX: usize = 1024;
/// Errors of a script that are told at once.
const ERRORS_MAX: usize = 50;

/// A response, or several: lines in UTF-8, each ending in CRLF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply(Vec<u8>);

impl Reply {
    /// As it is written to the client.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// To a client that was silent for too long.
    #[must_use]
    pub fn idle() -> Reply {
        Reply::bye("Disconnected for inactivity")
    }

    /// To a client whose server stops.
    #[must_use]
    pub fn shutting_down() -> Reply {
        Reply::response("BYE", Some("TRYLATER"), "The server is shutting down")
    }

    /// To a client that is one too many.
    #[must_use]
    pub fn too_many_connections() -> Reply {
        Reply::response("BYE", Some("TRYLATER"), "There are too many connections")
    }

    pub(super) fn ok(text: &str) -> Reply {
        Reply::response("OK", None, text)
    }

    pub(super) fn no(text: &str) -> Reply {
        Reply::response("NO", None, text)
    }

    pub(super) fn no_with(code: &str, text: &str) -> Reply {
        Reply::response("NO", Some(code), text)
    }

    pub(super) fn bye(text: &str) -> Reply {
        Reply::response("BYE", None, text)
    }

    /// RFC 5804 §2.13: the tag comes back as it was.
    pub(super) fn tagged(tag: &[u8]) -> Reply {
        let mut reply = Reply(b"OK (TAG ".to_vec());
        reply.string(tag);
        reply.0.extend_from_slice(b") \"Done\"\r\n");
        reply
    }

    /// RFC 5804 §2.1: what a mechanism without a challenge says to have the client go on.
    pub(super) fn empty_challenge() -> Reply {
        Reply(b"\"\"\r\n".to_vec())
    }

    /// RFC 5804 §1.7: the capabilities, and `OK`.
    pub(super) fn capabilities(options: &Options, protection: Protection, owner: Option<&str>, text: &str) -> Reply {
        let mut reply = Reply::default();
        reply.capability("IMPLEMENTATION", Some("postroom"));
        reply.capability("SIEVE", Some(&options.extensions.join(" ")));
        if options.extensions.contains(&"enotify") {
            reply.capability("NOTIFY", Some("mailto"));
        }
        reply.capability("SASL", Some(if protection.allows_plain() { "PLAIN" } else { "" }));
        if protection.offers_tls() && owner.is_none() {
            reply.capability("STARTTLS", None);
        }
        reply.capability("MAXREDIRECTS", Some(&options.max_redirects.to_string()));
        reply.capability("UNAUTHENTICATE", None);
        if let Some(owner) = owner {
            reply.capability("OWNER", Some(owner));
        }
        reply.capability("VERSION", Some("1.0"));
        reply.0.extend_from_slice(&Reply::ok(text).0);
        reply
    }

    pub(super) fn answer(answer: &Answer) -> Reply {
        match answer {
            Answer::Done => Reply::ok("Done"),
            Answer::Checked(checked) => Reply::checked(checked),
            Answer::Scripts(scripts) => Reply::scripts(scripts),
            Answer::Script(source) => Reply::script(source),
            Answer::Refused(refusal) => Reply::refusal(refusal),
        }
    }

    fn checked(checked: &Checked) -> Reply {
        match (checked.errors.is_empty(), checked.warnings.is_empty()) {
            (false, _) => Reply::no(&told(&checked.errors)),
            (true, false) => Reply::response("OK", Some("WARNINGS"), &told(&checked.warnings)),
            (true, true) => Reply::ok("Done"),
        }
    }

    fn scripts(scripts: &[(ScriptName, bool)]) -> Reply {
        let mut reply = Reply::default();
        for (name, active) in scripts {
            reply.string(name.as_str().as_bytes());
            reply
                .0
                .extend_from_slice(if *active { b" ACTIVE\r\n" } else { b"\r\n" });
        }
        reply.0.extend_from_slice(&Reply::ok("Done").0);
        reply
    }

    // Always a literal, as clients expect it.
    fn script(source: &[u8]) -> Reply {
        let mut reply = Reply::default();
        reply.literal(source);
        reply.0.extend_from_slice(b"\r\n");
        reply.0.extend_from_slice(&Reply::ok("Done").0);
        reply
    }

    // RFC 5804 §1.3.
    fn refusal(refusal: &Refusal) -> Reply {
        match refusal {
            Refusal::NoScript => Reply::no_with("NONEXISTENT", "There is no script of that name"),
            Refusal::Exists => Reply::no_with("ALREADYEXISTS", "There is a script of that name already"),
            Refusal::Active => Reply::no_with("ACTIVE", "The script is active: activate another one first"),
            Refusal::TooManyScripts(text) => Reply::no_with("QUOTA/MAXSCRIPTS", text),
            Refusal::TooLarge(text) => Reply::no_with("QUOTA/MAXSIZE", text),
            Refusal::OverQuota(text) => Reply::no_with("QUOTA", text),
            Refusal::TryLater => Reply::no_with("TRYLATER", "This failed for now: try again later"),
            Refusal::Other(text) => Reply::no(text),
        }
    }

    // RFC 5804 §4: response-oknobye = ("OK" / "NO" / "BYE") [SP "(" resp-code ")"] [SP string] CRLF
    fn response(word: &str, code: Option<&str>, text: &str) -> Reply {
        let mut reply = Reply(word.as_bytes().to_vec());
        if let Some(code) = code {
            reply.0.extend_from_slice(format!(" ({code})").as_bytes());
        }
        reply.0.push(b' ');
        reply.string(text.as_bytes());
        reply.0.extend_from_slice(b"\r\n");
        reply
    }

    fn capability(&mut self, name: &str, value: Option<&str>) {
        self.string(name.as_bytes());
        if let Some(value) = value {
            self.0.push(b' ');
            self.string(value.as_bytes());
        }
        self.0.extend_from_slice(b"\r\n");
    }

    fn string(&mut self, text: &[u8]) {
        if text.len() > QUOTED_MAX || text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | b'\0')) {
            return self.literal(text);
        }
        self.0.push(b'"');
        for byte in text {
            if matches!(byte, b'"' | b'\\') {
                self.0.push(b'\\');
            }
            self.0.push(*byte);
        }
        self.0.push(b'"');
    }

    // RFC 5804 §4: literal-s2c = "{" number "}" CRLF *OCTET
    fn literal(&mut self, text: &[u8]) {
        self.0.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
        self.0.extend_from_slice(text);
    }
}

/// RFC 5804 §2.6: what is wrong, each with its line, in one text for people.
fn told(errors: &[ScriptError]) -> String {
    let mut lines: Vec<String> = errors.iter().take(ERRORS_MAX).map(line_of).collect();
    if errors.len() > ERRORS_MAX {
        lines.push(format!("and {} more", errors.len() - ERRORS_MAX));
    }
    lines.join("\r\n")
}

fn line_of(error: &ScriptError) -> String {
    let mut text = match (error.line, error.column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: {}", error.message),
        (Some(line), None) => format!("line {line}: {}", error.message),
        _ => error.message.clone(),
    };
    if let Some(help) = &error.help {
        text.push_str("; ");
        text.push_str(help);
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
