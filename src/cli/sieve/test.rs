//! What a script would do with a message.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::config::Config;
use crate::mail::{Address, MailboxName, ReversePath};
use crate::message::Message;
use crate::sieve::{
    Account, Engine, Evaluation, Incoming, Location, Script, ScriptFolders, ScriptName, Scripts, Transport, load,
    report,
};

use super::super::fault::{Fault, exit};
use super::super::{print, print_json, rooms};
use super::trace;

/// Try a script on a message.
#[derive(Debug, clap::Args)]
pub(in super::super) struct Test {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Show what the script tested and did, line by line
    #[arg(long)]
    trace: bool,
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

pub(super) fn test(config: &Config, test: &Test) -> Result<u8, Fault> {
    let reverse_path = match test.from.as_str() {
        "" | "<>" => ReversePath::Null,
        text => ReversePath::Address(
            Address::parse(text).map_err(|error| Fault::new(exit::USAGE, format!("--from {text}: {error}")))?,
        ),
    };
    let bytes = fs::read(&test.message).map_err(|error| Fault::file(&test.message, &error))?;
    let evaluation = evaluate(config, test, &Message::from_bytes(bytes), &reverse_path)?;
    let separator = config.store.separator;
    if test.json {
        let mut json = report(&evaluation, separator);
        if let Some(trace) = &evaluation.trace {
            json["trace"] = trace::describe(trace);
        }
        print_json(&json)?;
    } else {
        print(&for_people(&evaluation, separator))?;
    }
    Ok(if evaluation.error.is_some() {
        exit::DATAERR
    } else {
        exit::OK
    })
}

fn evaluate(config: &Config, test: &Test, message: &Message, reverse_path: &ReversePath) -> Result<Evaluation, Fault> {
    let Test { script, to, .. } = test;
    let options = rooms::sieve_options(config);
    let limit = options.max_script_size;
    let user = load(std::slice::from_ref(script), limit)
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
    let scripts = Scripts {
        user,
        ..Scripts::default()
    };
    let engine = Engine::new(options);
    Ok(match test.trace {
        true => engine.trace(&scripts, &incoming, &account),
        false => engine.run(&scripts, &incoming, &account),
    })
}

fn for_people(evaluation: &Evaluation, separator: char) -> String {
    let json = report(evaluation, separator);
    let mut text = String::new();
    if let Some(trace) = &evaluation.trace {
        text.push_str(&format!("{}\n", trace::for_people(trace)));
    }
    if let Some(error) = &evaluation.error {
        text.push_str(&format!("{}\n\n", error.illustrated()));
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
