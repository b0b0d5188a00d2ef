//! What is wrong with a script.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config::Config;
use crate::sieve::{Checked, Script, ScriptError};

use super::super::fault::{Fault, exit};
use super::super::named::count;
use super::super::{print, print_json, rooms};
use super::scripts::{Owned, readable};

/// Check a script.
#[derive(Debug, clap::Args)]
pub(in super::super) struct Check {
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Check a script that this user has
    #[arg(long)]
    user: Option<String>,
    /// The script's file, - for standard input; with --user its name
    #[arg(value_name = "FILE|NAME")]
    script: PathBuf,
}

pub(super) fn check(config: &Config, check: &Check) -> Result<u8, Fault> {
    let script = match &check.user {
        Some(user) => stored(config, user, &check.script)?,
        None => super::script_file(config, &check.script, "(standard input)")?,
    };
    let checked = rooms::engine(config).check(&script);
    match check.json {
        true => print_json(&describe(&checked))?,
        false => print(&for_people(&script.name, &checked))?,
    };
    Ok(match checked.errors.is_empty() {
        true => exit::OK,
        false => exit::DATAERR,
    })
}

fn stored(config: &Config, user: &str, name: &Path) -> Result<Script, Fault> {
    let name = super::script_name(&name.to_string_lossy())?;
    let owned = Owned::find(config, user)?;
    let source = readable(owned.storage.read(&name), &owned, &name)?;
    Ok(Script::new(name.as_str(), source))
}

/// Errors and warnings of a script, each with its line.
pub(super) fn for_people(name: &str, checked: &Checked) -> String {
    let mut text = String::new();
    for error in &checked.errors {
        text.push_str(&format!("{}\n\n", error.illustrated()));
    }
    for warning in &checked.warnings {
        text.push_str(&format!("{}\n\n", warning.illustrated_warning()));
    }
    let errors = match checked.errors.len() {
        0 => "no errors".to_owned(),
        errors => count(errors, "error"),
    };
    let warnings = match checked.warnings.len() {
        0 => String::new(),
        warnings => format!(", {}", count(warnings, "warning")),
    };
    text.push_str(&format!("{name}: {errors}{warnings}\n"));
    text
}

fn describe(checked: &Checked) -> Value {
    let all = |errors: &[ScriptError]| -> Value {
        let described = errors.iter().map(|error| {
            json!({
                "message": error.message,
                "line": error.line,
                "column": error.column,
                "length": error.length,
                "help": error.help,
            })
        });
        described.collect()
    };
    json!({"errors": all(&checked.errors), "warnings": all(&checked.warnings)})
}
