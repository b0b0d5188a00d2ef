//! `postroom sieve test`: what a script would do with a message.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::mail::{Address, MailboxName, ReversePath};
use crate::message::Message;
use crate::sieve::{
    Account, Engine, Evaluation, Incoming, Location, Options, Script, ScriptFolders, ScriptName, Scripts, Transport,
    load, report,
};

use super::fault::{Fault, exit};

/// Try Sieve scripts.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Say what a script would do with a message; nothing is done
    Test {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        /// The sender; empty for none
        #[arg(long, default_value = "sender@example.com", value_name = "ADDR")]
        from: String,
        /// The recipient
        #[arg(long, default_value = "me@example.org", value_name = "ADDR")]
        to: Address,
        /// The script
        script: PathBuf,
        /// The message
        message: PathBuf,
    },
}

/// An account with INBOX alone, to which nothing was ever delivered.
struct Untouched {
    folders: ScriptFolders,
}

impl Account for Untouched {
    fn mailbox_exists(&self, mailbox: &MailboxName) -> bool {
        mailbox.is_inbox()
    }

    fn seen(&self, _: &str) -> bool {
        false
    }

    fn include(&self, location: Location, name: &ScriptName) -> io::Result<Option<Script>> {
        self.folders.include(location, name)
    }
}

pub(super) fn run(file: Option<&Path>, command: &Command) -> Result<u8, Fault> {
    let Command::Test {
        json,
        from,
        to,
        script,
        message,
    } = command;
    let config = Config::find(file)?;
    let reverse_path = match from.as_str() {
        "" | "<>" => ReversePath::Null,
        text => ReversePath::Address(
            Address::parse(text).map_err(|error| Fault::new(exit::USAGE, format!("--from {text}: {error}")))?,
        ),
    };
    let bytes = fs::read(message).map_err(|error| Fault::file(message, &error))?;
    let evaluation = evaluate(&config, script, &Message::from_bytes(bytes), &reverse_path, to)?;
    let separator = config.store.separator;
    if *json {
        super::print_json(&report(&evaluation, separator))?;
    } else {
        super::print(&for_people(&evaluation, separator))?;
    }
    Ok(if evaluation.error.is_some() {
        exit::DATAERR
    } else {
        exit::OK
    })
}

fn evaluate(
    config: &Config,
    script: &Path,
    message: &Message,
    reverse_path: &ReversePath,
    to: &Address,
) -> Result<Evaluation, Fault> {
    let options = Options {
        max_redirects: config.sieve.max_redirects,
        ..Options::default()
    };
    let limit = options.max_script_size;
    let user = load(&[script.to_owned()], limit)
        .map_err(|error| Fault::new(exit::DATAERR, error.to_string()))?
        .pop();
    let own = [to.clone()];
    let detail = to
        .local()
        .split_once(|c| config.directory.delimiters.contains(c))
        .map(|(_, detail)| detail);
    let incoming = Incoming {
        message,
        reverse_path,
        recipient: to,
        original: None,
        detail,
        own_addresses: &own,
        separator: config.store.separator,
        hostname: &config.hostname,
        user: own[0].local(),
        transport: Transport::default(),
    };
    let account = Untouched {
        folders: ScriptFolders::beside(script, limit),
    };
    Ok(Engine::new(options).run(
        &Scripts {
            user,
            ..Scripts::default()
        },
        &incoming,
        &account,
    ))
}

fn for_people(evaluation: &Evaluation, separator: char) -> String {
    let json = report(evaluation, separator);
    let mut text = String::new();
    if let Some(error) = &evaluation.error {
        text.push_str(&format!("error: {error}\n"));
    }
    for note in &evaluation.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    for action in json["actions"].as_array().into_iter().flatten() {
        let name = action["action"].as_str().unwrap_or_default();
        text.push_str(name);
        for (key, value) in action
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| *key != "action")
        {
            text.push_str(&format!(" {key}={value}"));
        }
        text.push('\n');
    }
    text
}
