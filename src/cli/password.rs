//! `postroom password`: hashes for the directory.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::directory::PasswordHash;

use super::fault::{Fault, exit};

/// The longest password that is read, in bytes.
const LONGEST: u64 = 1024;

/// Make password hashes for the directory.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Read a password from standard input and print its argon2id hash, as the directory's file takes it
    Hash,
}

pub(super) fn run(command: &Command) -> Result<u8, Fault> {
    let Command::Hash = command;
    let password = match io::stdin().is_terminal() {
        true => asked()?,
        false => line()?,
    };
    let password = password.trim_end_matches(['\n', '\r']);
    if password.is_empty() || password.contains('\0') {
        return Err(Fault::new(
            exit::DATAERR,
            "the password must not be empty, nor have a NUL",
        ));
    }
    let hash = PasswordHash::create(password).map_err(|error| Fault::new(exit::TEMPFAIL, error.to_string()))?;
    super::print(&format!("{hash}\n"))
}

fn asked() -> Result<String, Fault> {
    let first = prompted("Password: ")?;
    match first == prompted("Once more: ")? {
        true => Ok(first),
        false => Err(Fault::new(exit::DATAERR, "these were two passwords")),
    }
}

fn prompted(prompt: &str) -> Result<String, Fault> {
    let failed = |error: io::Error| Fault::new(exit::TEMPFAIL, format!("cannot read the password: {error}"));
    let mut terminal = io::stderr();
    terminal.write_all(prompt.as_bytes()).map_err(failed)?;
    let _silent = Silence::begin().map_err(failed)?;
    let read = line();
    let _ = terminal.write_all(b"\n"); // The one that was typed was not shown.
    read
}

fn line() -> Result<String, Fault> {
    let mut line = String::new();
    match io::stdin().lock().take(LONGEST + 1).read_line(&mut line) {
        Ok(read) if read as u64 > LONGEST => {
            let what = format!("the password has more than {LONGEST} bytes");
            Err(Fault::new(exit::DATAERR, what))
        }
        Ok(_) => Ok(line),
        Err(error) => Err(Fault::new(exit::DATAERR, format!("cannot read the password: {error}"))),
    }
}

/// The terminal shows nothing of what is typed, until this is dropped.
struct Silence(Termios);

impl Silence {
    fn begin() -> io::Result<Silence> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Silence(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
