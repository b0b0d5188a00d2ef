//! `postroom sieve`: scripts tried, checked, and those that users have.
//!
//! | file | commands |
//! | --- | --- |
//! | `test.rs` | test |
//! | `check.rs` | check |
//! | `scripts.rs` | list, get, put, activate, deactivate, rename, delete |
//! | `apply.rs` | apply |
//! | `trace.rs` | what a script tested and did, for `test --trace` |

mod apply;
mod check;
mod scripts;
mod test;
mod trace;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::config::Config;
use crate::sieve::{Script, ScriptName};

use super::fault::{Fault, exit};

/// Try Sieve scripts, and change those that users have.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Say what a script would do with a message; nothing is done
    Test(test::Test),
    /// Show all that is wrong with a script, and what looks wrong in it
    Check(check::Check),
    /// List the scripts of a user
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        /// The user: an address, or a name
        user: String,
    },
    /// Print a script of a user
    Get {
        /// The user: an address, or a name
        user: String,
        /// The script's name
        name: String,
    },
    /// Store a script for a user, in place of one of that name; one with errors is refused
    Put(scripts::Put),
    /// Make a script the one that filters the user's mail
    Activate {
        /// The user: an address, or a name
        user: String,
        /// The script's name
        name: String,
    },
    /// Have no script of the user's filter the mail; scripts of the site run on
    Deactivate {
        /// The user: an address, or a name
        user: String,
    },
    /// Rename a script; the active one stays active
    Rename {
        /// The user: an address, or a name
        user: String,
        /// The script's name
        from: String,
        /// Its new name
        to: String,
    },
    /// Delete a script that is not active
    Delete {
        /// The user: an address, or a name
        user: String,
        /// The script's name
        name: String,
    },
    /// Run the active script over mail that is there already; without --execute nothing is done: what would be is
    /// shown. What is kept stays in its mailbox, and scripts of the site do not run. Old mail is neither answered nor
    /// refused, and stopping the command and running it again does no harm
    Apply(apply::Apply),
}

pub(super) fn run(file: Option<&Path>, command: &Command) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    match command {
        Command::Test(arguments) => test::test(&config, arguments),
        Command::Check(arguments) => check::check(&config, arguments),
        Command::List { json, user } => scripts::list(&config, user, *json),
        Command::Get { user, name } => scripts::get(&config, user, name),
        Command::Put(arguments) => scripts::put(&config, arguments),
        Command::Activate { user, name } => scripts::activate(&config, user, Some(name)),
        Command::Deactivate { user } => scripts::activate(&config, user, None),
        Command::Rename { user, from, to } => scripts::rename(&config, user, from, to),
        Command::Delete { user, name } => scripts::delete(&config, user, name),
        Command::Apply(arguments) => apply::apply(&config, arguments),
    }
}

/// A script's name as it is typed.
fn script_name(text: &str) -> Result<ScriptName, Fault> {
    ScriptName::parse(text).map_err(|error| Fault::new(exit::USAGE, error.to_string()))
}

/// The script in a file, or on standard input where the file is `-`; `name` is what it is called then.
fn script_file(config: &Config, file: &Path, name: &str) -> Result<Script, Fault> {
    let is_input = file.as_os_str() == "-";
    let limit = config.sieve.max_script_size;
    let mut source = Vec::new();
    // One byte more shows that it is too large.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = match is_input {
        true => io::stdin().lock().take(most).read_to_end(&mut source),
        false => File::open(file).and_then(|file| file.take(most).read_to_end(&mut source)),
    };
    let name = if is_input {
        name.to_owned()
    } else {
        file.display().to_string()
    };
    read.map_err(|error| Fault::new(exit::DATAERR, format!("{name}: {error}")))?;
    if source.len() > limit {
        let what = format!("{name} is larger than {limit} bytes: [sieve] max_script_size allows no more");
        return Err(Fault::new(exit::DATAERR, what));
    }
    Ok(Script::new(name, source))
}
