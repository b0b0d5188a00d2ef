//! `postroom password`: hashes for the directory.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::{process, thread};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

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
    give_back_on_signals().map_err(unreadable)?;
    let first = prompted("Password: ")?;
    match first == prompted("Once more: ")? {
        true => Ok(first),
        false => Err(Fault::new(exit::DATAERR, "these were two passwords")),
    }
}

fn prompted(prompt: &str) -> Result<String, Fault> {
    let mut terminal = io::stderr();
    terminal.write_all(prompt.as_bytes()).map_err(unreadable)?;
    let _silent = Silence::begin().map_err(unreadable)?;
    let read = line();
    let _ = terminal.write_all(b"\n"); // The one that was typed was not shown.
    read
}

fn unreadable(error: io::Error) -> Fault {
    Fault::new(exit::TEMPFAIL, format!("cannot read the password: {error}"))
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

// Ctrl-C at the prompt, or whoever ends the program, must not leave a terminal that shows nothing. The exit code is
// that of the shells for a program that a signal ended.
fn give_back_on_signals() -> io::Result<()> {
    let before = tcgetattr(io::stdin())?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let (interrupt, terminate, hangup) = (SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup());
    let (mut interrupted, mut terminated, mut hung_up) = (signal(interrupt)?, signal(terminate)?, signal(hangup)?);
    drop(entered);
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let caught = runtime.block_on(async {
            tokio::select! {
                _ = interrupted.recv() => interrupt,
                _ = terminated.recv() => terminate,
                _ = hung_up.recv() => hangup,
            }
        });
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
        process::exit(128 + caught.as_raw_value());
    })?;
    Ok(())
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
