//! The scripts that a user has.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config::Config;
use crate::mail::{Cause, nearest};
use crate::sieve::{ScriptName, Storage, StorageError};

use super::super::carrying::whose;
use super::super::fault::{Fault, exit};
use super::super::named::count;
use super::super::{print, print_json, rooms, table};
use super::{check, script_file, script_name};

/// Store a script.
#[derive(Debug, clap::Args)]
pub(in super::super) struct Put {
    /// Have it filter the user's mail from now on
    #[arg(long)]
    activate: bool,
    /// The user: an address, or a name
    user: String,
    /// The script's name
    name: String,
    /// Its file; - for standard input
    file: PathBuf,
}

/// The scripts of a user. Whoever was root is the owner of the user's mail when this is found.
pub(super) struct Owned<'a> {
    pub(super) storage: Storage,
    pub(super) user: &'a str,
}

impl<'a> Owned<'a> {
    pub(super) fn find(config: &Config, user: &'a str) -> Result<Owned<'a>, Fault> {
        let found = rooms::find(config, user)?;
        rooms::become_owner(config, &found.home)?;
        let storage = Storage::new(&found.home, rooms::storage_options(config));
        Ok(Owned { storage, user })
    }

    /// What went wrong, with the remedy.
    pub(super) fn fault(&self, error: StorageError, name: Option<&ScriptName>) -> Fault {
        let code = match &error {
            StorageError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                let what = format!("{}{}", Cause::of(&error), whose());
                return Fault::new(exit::NOPERM, what);
            }
            StorageError::Io { .. } | StorageError::Locked { .. } => exit::TEMPFAIL,
            _ => exit::DATAERR,
        };
        let of = name.map_or_else(String::new, |name| format!("{name} of {}: ", self.user));
        let remedy = match &error {
            StorageError::NoScript => format!("; {}", self.meant(name)),
            StorageError::Exists => "; delete that one first, or take another name".to_owned(),
            StorageError::TooManyScripts { .. } => " ([sieve] max_scripts)".to_owned(),
            StorageError::TooLarge { .. } => " ([sieve] max_script_size)".to_owned(),
            StorageError::OverQuota { .. } => " ([sieve] quota)".to_owned(),
            _ => String::new(),
        };
        Fault::new(code, format!("{of}{}{remedy}", Cause::of(&error)))
    }

    fn meant(&self, name: Option<&ScriptName>) -> String {
        let stored = self.storage.list().unwrap_or_default();
        let known: Vec<(String, &ScriptName)> = stored
            .iter()
            .map(|script| (script.name.as_str().to_lowercase(), &script.name))
            .collect();
        let near = name.and_then(|name| nearest(name.as_str(), known.iter().map(|(lower, _)| lower.as_str())));
        match near.and_then(|near| known.iter().find(|(lower, _)| lower == near)) {
            Some((_, near)) => format!("did you mean `{near}`?"),
            None => format!("`postroom sieve list {}` names those there are", self.user),
        }
    }
}

/// What a script's text is, or why it cannot be had.
pub(super) fn readable<T>(read: Result<T, StorageError>, owned: &Owned<'_>, name: &ScriptName) -> Result<T, Fault> {
    read.map_err(|error| owned.fault(error, Some(name)))
}

pub(super) fn list(config: &Config, user: &str, json: bool) -> Result<u8, Fault> {
    let owned = Owned::find(config, user)?;
    let scripts = owned.storage.list().map_err(|error| owned.fault(error, None))?;
    if json {
        let described = scripts.iter().map(|script| {
            json!({
                "name": script.name.as_str(),
                "active": script.active,
                "size": script.size,
            })
        });
        return print_json(&described.collect::<Value>());
    }
    let rows = scripts.iter().map(|script| {
        [
            script.name.to_string(),
            if script.active { "active" } else { "" }.to_owned(),
            script.size.to_string(),
        ]
    });
    print(&table(["name", "active", "bytes"], rows))?;
    match owned.storage.stray_link().map_err(|error| owned.fault(error, None))? {
        None => Ok(exit::OK),
        Some(target) => print(&format!(
            ".dovecot.sieve leads to {}, which is none of these{}; `postroom sieve activate {user} NAME` changes that\n",
            target.display(),
            if runs(&owned, &target) {
                " and filters the mail"
            } else {
                " and is missing"
            },
        )),
    }
}

fn runs(owned: &Owned<'_>, target: &Path) -> bool {
    owned.storage.home().join(target).is_file()
}

pub(super) fn get(config: &Config, user: &str, name: &str) -> Result<u8, Fault> {
    let name = script_name(name)?;
    let owned = Owned::find(config, user)?;
    let source = readable(owned.storage.read(&name), &owned, &name)?;
    let mut output = io::stdout().lock();
    match output.write_all(&source).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::new(exit::TEMPFAIL, format!("cannot print the script: {error}")))
        }
        _ => Ok(exit::OK),
    }
}

pub(super) fn put(config: &Config, put: &Put) -> Result<u8, Fault> {
    let name = script_name(&put.name)?;
    // Read before root becomes the owner of the mail, who may not read this file.
    let script = script_file(config, &put.file, name.as_str())?;
    let owned = Owned::find(config, &put.user)?;
    let checked = rooms::engine(config).check(&script);
    if !checked.errors.is_empty() {
        let shown = check::for_people(&script.name, &checked);
        let what = format!("{name} of {} is not stored:\n\n{}", owned.user, shown.trim_end());
        return Err(Fault::new(exit::DATAERR, what));
    }
    let done = owned
        .storage
        .write(&name, &script.source)
        .and_then(|()| match put.activate {
            true => owned.storage.activate(Some(&name)),
            false => Ok(()),
        });
    readable(done, &owned, &name)?;
    for warning in &checked.warnings {
        print(&format!("{}\n\n", warning.illustrated_warning()))?;
    }
    let warned = match checked.warnings.len() {
        0 => String::new(),
        warnings => format!(" with {}", count(warnings, "warning")),
    };
    let state = match put.activate {
        true => " and active",
        false => "",
    };
    print(&format!("{name} of {}: stored{state}{warned}\n", owned.user))
}

pub(super) fn activate(config: &Config, user: &str, name: Option<&str>) -> Result<u8, Fault> {
    let name = name.map(script_name).transpose()?;
    let owned = Owned::find(config, user)?;
    let done = owned.storage.activate(name.as_ref());
    done.map_err(|error| owned.fault(error, name.as_ref()))?;
    match name {
        Some(name) => print(&format!("{name} of {user}: active\n")),
        None => print(&format!("{user}: no script is active\n")),
    }
}

pub(super) fn rename(config: &Config, user: &str, from: &str, to: &str) -> Result<u8, Fault> {
    let (from, to) = (script_name(from)?, script_name(to)?);
    let owned = Owned::find(config, user)?;
    owned.storage.rename(&from, &to).map_err(|error| {
        let name = if matches!(error, StorageError::Exists) {
            &to
        } else {
            &from
        };
        owned.fault(error, Some(name))
    })?;
    print(&format!("{from} of {user}: is {to} now\n"))
}

pub(super) fn delete(config: &Config, user: &str, name: &str) -> Result<u8, Fault> {
    let name = script_name(name)?;
    let owned = Owned::find(config, user)?;
    readable(owned.storage.delete(&name), &owned, &name)?;
    print(&format!("{name} of {user}: deleted\n"))
}
