//! Words to commands (RFC 5804 §2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::sieve::ScriptName;

use super::lexer::Word;
use super::reply::Reply;
use super::request::{Credentials, Request};

/// A command.
pub(super) enum Command {
    Capability,
    StartTls,
    Authenticate {
        mechanism: String,
        /// As it came, in base 64.
        initial: Option<Vec<u8>>,
    },
    Unauthenticate,
    Logout,
    Noop(Option<Vec<u8>>),
    Scripts(Request),
}

/// The arguments that are not read yet.
struct Arguments {
    words: std::vec::IntoIter<Word>,
    /// What the command takes, for people.
    usage: &'static str,
}

/// Reads a command.
///
/// # Errors
/// The reply to what is none.
pub(super) fn parse(words: Vec<Word>, script_size: usize) -> Result<Command, Reply> {
    let mut words = words.into_iter();
    let Some(Word::Atom(name)) = words.next() else {
        return Err(Reply::no("A command begins with its name"));
    };
    // RFC 5804 §1.1: names of commands are without case.
    let name = name.to_ascii_uppercase();
    let usage = usage(&name).ok_or_else(|| Reply::no("There is no such command"))?;
    let mut arguments = Arguments { words, usage };
    let command = arguments.command(&name, script_size)?;
    match arguments.words.next() {
        Some(_) => Err(arguments.wrong()),
        None => Ok(command),
    }
}

fn usage(name: &str) -> Option<&'static str> {
    Some(match name {
        "CAPABILITY" => "CAPABILITY takes no argument",
        "STARTTLS" => "STARTTLS takes no argument",
        "AUTHENTICATE" => "AUTHENTICATE takes a mechanism, and may take a first response",
        "UNAUTHENTICATE" => "UNAUTHENTICATE takes no argument",
        "LOGOUT" => "LOGOUT takes no argument",
        "NOOP" => "NOOP may take a tag, a string",
        "HAVESPACE" => "HAVESPACE takes a name and a number of octets",
        "PUTSCRIPT" => "PUTSCRIPT takes a name and a script, both strings",
        "LISTSCRIPTS" => "LISTSCRIPTS takes no argument",
        "SETACTIVE" => "SETACTIVE takes a name, or an empty string",
        "GETSCRIPT" => "GETSCRIPT takes a name, a string",
        "DELETESCRIPT" => "DELETESCRIPT takes a name, a string",
        "RENAMESCRIPT" => "RENAMESCRIPT takes the old name and the new one",
        "CHECKSCRIPT" => "CHECKSCRIPT takes a script, a string",
        _ => return None,
    })
}

impl Arguments {
    fn command(&mut self, name: &str, script_size: usize) -> Result<Command, Reply> {
        Ok(Command::Scripts(match name {
            "CAPABILITY" => return Ok(Command::Capability),
            "STARTTLS" => return Ok(Command::StartTls),
            "UNAUTHENTICATE" => return Ok(Command::Unauthenticate),
            "LOGOUT" => return Ok(Command::Logout),
            "NOOP" => return Ok(Command::Noop(self.optional()?)),
            "AUTHENTICATE" => {
                return Ok(Command::Authenticate {
                    mechanism: self.text()?.to_ascii_uppercase(),
                    initial: self.optional()?,
                });
            }
            "HAVESPACE" => Request::HaveSpace {
                name: self.name()?,
                size: self.number()?,
            },
            "PUTSCRIPT" => Request::PutScript {
                name: self.name()?,
                source: self.script(script_size)?,
            },
            "SETACTIVE" => Request::SetActive(self.optional_name()?),
            "GETSCRIPT" => Request::GetScript(self.name()?),
            "DELETESCRIPT" => Request::DeleteScript(self.name()?),
            "RENAMESCRIPT" => Request::RenameScript {
                from: self.name()?,
                to: self.name()?,
            },
            "CHECKSCRIPT" => Request::CheckScript(self.script(script_size)?),
            _ => Request::ListScripts,
        }))
    }

    fn wrong(&self) -> Reply {
        Reply::no(self.usage)
    }

    fn string(&mut self) -> Result<Vec<u8>, Reply> {
        match self.words.next() {
            Some(Word::Text(text)) => Ok(text),
            Some(Word::TooLarge(_)) => Err(Reply::no("The string is too long")),
            _ => Err(self.wrong()),
        }
    }

    fn optional(&mut self) -> Result<Option<Vec<u8>>, Reply> {
        match self.words.len() {
            0 => Ok(None),
            _ => self.string().map(Some),
        }
    }

    // RFC 5804 §1.2: strings are UTF-8.
    fn text(&mut self) -> Result<String, Reply> {
        String::from_utf8(self.string()?).map_err(|_| Reply::no("The string is not UTF-8"))
    }

    fn name(&mut self) -> Result<ScriptName, Reply> {
        named(&self.text()?)
    }

    // RFC 5804 §2.8: the empty string stands for no script.
    fn optional_name(&mut self) -> Result<Option<ScriptName>, Reply> {
        let text = self.text()?;
        match text.is_empty() {
            true => Ok(None),
            false => named(&text).map(Some),
        }
    }

    fn number(&mut self) -> Result<u64, Reply> {
        match self.words.next() {
            Some(Word::Atom(digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                // More than that is certainly too large, too.
                Ok(digits.parse().unwrap_or(u64::MAX))
            }
            _ => Err(self.wrong()),
        }
    }

    fn script(&mut self, limit: usize) -> Result<Vec<u8>, Reply> {
        let source = match self.words.next() {
            Some(Word::Text(source)) => source,
            Some(Word::TooLarge(size)) => {
                let text = format!("The script has {size} bytes; {limit} are allowed");
                return Err(Reply::no_with("QUOTA/MAXSIZE", &text));
            }
            _ => return Err(self.wrong()),
        };
        let bad = match std::str::from_utf8(&source) {
            Ok(text) => text.find('\0').map(|at| (at, "a NUL")),
            Err(error) => Some((error.valid_up_to(), "something that is not UTF-8")),
        };
        let Some((at, what)) = bad else { return Ok(source) };
        let line = 1 + source[..at].iter().filter(|byte| **byte == b'\n').count();
        Err(Reply::no(&format!("line {line}: there is {what}")))
    }
}

fn named(text: &str) -> Result<ScriptName, Reply> {
    ScriptName::parse(text).map_err(|error| Reply::no(&error.to_string()))
}

/// RFC 5804 §2.1: what answers the empty challenge is one string on a line.
///
/// # Errors
/// The reply to anything else.
pub(super) fn response(words: Vec<Word>) -> Result<Vec<u8>, Reply> {
    match <[Word; 1]>::try_from(words) {
        Ok([Word::Text(text)]) => Ok(text),
        _ => Err(Reply::no("A response is a string")),
    }
}

/// RFC 4616 §2: message = [authzid] UTF8NUL authcid UTF8NUL passwd, here in base 64.
///
/// # Errors
/// The reply to what is none.
pub(super) fn plain(base64: &[u8]) -> Result<Credentials, Reply> {
    let bad = || Reply::no("This is no response of PLAIN");
    let message = STANDARD.decode(base64).map_err(|_| bad())?;
    let message = String::from_utf8(message).map_err(|_| bad())?;
    let fields: Vec<&str> = message.split('\0').collect();
    let [authorize, user, password] = fields[..] else {
        return Err(bad());
    };
    if user.is_empty() || password.is_empty() {
        return Err(bad());
    }
    // Nobody acts for another.
    if !authorize.is_empty() && authorize != user {
        return Err(Reply::no("Nobody can log in for another user"));
    }
    Ok(Credentials {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}
