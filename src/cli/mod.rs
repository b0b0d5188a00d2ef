//! The commands, one file each.
//!
//! Called by `main`. Every command ends in an exit code of sysexits(3); what went
//! wrong, and the remedy, is said on standard error.

mod account;
mod carrying;
mod config;
mod confine;
mod deliver;
mod expire;
mod explain;
mod export;
mod fault;
mod helper;
mod import;
mod index;
mod mailbox;
mod message;
mod named;
mod password;
mod privsep;
mod progress;
mod quota;
mod reload;
mod removal;
mod rooms;
mod send;
mod serve;
mod sieve;
mod srs;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use fault::{Fault, exit};

/// Mail delivery agent and mailbox store: takes messages by LMTP or SMTP, runs each
/// user's Sieve filter, and keeps them in Maildir folders with a SQLite index.
#[derive(Debug, Parser)]
#[command(
    name = "postroom",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The configuration file [default: /etc/postroom/postroom.toml where it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Listen for messages and deliver them, until stopped by SIGTERM
    Serve,
    /// Have the running server read its configuration again; it stays as it was where there is a fault in it
    Reload,
    /// Deliver one message from standard input, for MTAs that pipe
    Deliver(deliver::Arguments),
    /// Hand messages to an LMTP server and print each reply
    Send(send::Arguments),
    /// Try Sieve scripts
    #[command(subcommand)]
    Sieve(sieve::Command),
    /// Show and change mailboxes
    #[command(subcommand)]
    Mailbox(mailbox::Command),
    /// Show, find and change messages
    #[command(subcommand)]
    Message(message::Command),
    /// Explain why a message is where it is, and where else it went
    Explain(explain::Arguments),
    /// Remove messages that have been in a mailbox for long. Without --execute nothing is done: what would go is shown
    Expire(expire::Arguments),
    /// Show and count what accounts hold
    #[command(subcommand)]
    Quota(quota::Command),
    /// Import mailboxes from mbox files, Maildirs and .eml files
    Import(import::Arguments),
    /// Export mailboxes as mbox files, a Maildir or .eml files
    Export(export::Arguments),
    /// List, copy, move and remove accounts
    #[command(subcommand)]
    Account(account::Command),
    /// Check an index against its Maildir, measure it, or make it anew
    #[command(subcommand)]
    Index(index::Command),
    /// Rewrite senders of redirects (SRS), read them back, and return bounces to them
    #[command(subcommand)]
    Srs(srs::Command),
    /// Make password hashes for the directory
    #[command(subcommand)]
    Password(password::Command),
    /// Check and show the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// The processes beside `serve`, which starts them
    #[command(subcommand, hide = true)]
    Helper(helper::Command),
}

/// What commands that destroy say where they were not told to do it.
const DRY_RUN: &str = "nothing is done without --execute\n";

/// The program: reads the arguments, runs the command, answers its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let delivers = delivers(&arguments);
    let parsed = match Arguments::try_parse_from(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => {
            let code = if error.use_stderr() {
                failed(delivers, exit::USAGE)
            } else {
                exit::OK
            };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match run(parsed) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            let code = failed(delivers, fault.code);
            let _ = writeln!(io::stderr(), "postroom: {}", fault.message);
            ExitCode::from(code)
        }
    }
}

// Known before the arguments are understood: whether the command is `deliver`.
fn delivers(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        if word == "--config" {
            words.next();
        } else if !word.as_encoded_bytes().starts_with(b"-") {
            return word == "deliver";
        }
    }
    false
}

// A typo in an MTA's configuration never bounces mail: `deliver` asks to try again, in
// words that pipe(8) reads. RFC 3463 §3.4: X.3.5 is "system incorrectly configured".
fn failed(delivers: bool, code: u8) -> u8 {
    if !delivers {
        return code;
    }
    let status = match code {
        exit::USAGE | exit::CONFIG => "4.3.5",
        _ => "4.3.0",
    };
    let _ = print(&format!("{status} Try again later\n"));
    exit::TEMPFAIL
}

/// The command line as clap knows it, for the man page.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

fn run(Arguments { command, config: file }: Arguments) -> Result<u8, Fault> {
    let file = file.as_deref();
    match command {
        Command::Serve => serve::run(file),
        Command::Reload => reload::run(file),
        Command::Deliver(arguments) => deliver::run(file, &arguments),
        Command::Send(arguments) => send::run(file, &arguments),
        Command::Sieve(command) => sieve::run(file, &command),
        Command::Mailbox(command) => mailbox::run(file, &command),
        Command::Message(command) => message::run(file, &command),
        Command::Explain(arguments) => explain::run(file, &arguments),
        Command::Expire(arguments) => expire::run(file, &arguments),
        Command::Quota(command) => quota::run(file, &command),
        Command::Srs(command) => srs::run(file, &command),
        Command::Import(arguments) => import::run(file, &arguments),
        Command::Export(arguments) => export::run(file, &arguments),
        Command::Account(command) => account::run(file, &command),
        Command::Index(command) => index::run(file, &command),
        Command::Password(command) => password::run(&command),
        Command::Config(command) => config::run(file, &command),
        Command::Helper(command) => helper::run(&command),
    }
}

/// Writes to standard output; a reader that went away is no error.
fn print(text: &str) -> Result<u8, Fault> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Fault::new(
            exit::TEMPFAIL,
            format!("cannot write to standard output: {error}"),
        )),
        _ => Ok(exit::OK),
    }
}

fn print_json(value: &serde_json::Value) -> Result<u8, Fault> {
    print(&format!("{value:#}\n"))
}

/// A table for people.
fn table<const N: usize>(heads: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(heads);
    for row in rows {
        table.add_row(row);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{}\n", lines.join("\n"))
}
