//! `postroom account`: accounts as a whole.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::config::Config;
use crate::directory::{Directory, FolderName, Found};
use crate::mail::{Cause, Quota};
use crate::store::{Counts, LocalStore, Store, StoreError};

use super::carrying::whose;
use super::fault::{Fault, exit};
use super::rooms;

/// List, copy, move and remove accounts.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the accounts of the directory, and the homes below `root` that no account has, with what they hold
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Remove an account with all its mail. Without --execute nothing is done: what would go is shown
    Remove {
        /// Do it
        #[arg(long)]
        execute: bool,
        /// The user, or one whom the directory no longer knows: an address, or a name
        user: String,
    },
    /// Move an account to the home of another user of the directory, which must not be there yet
    Rename {
        /// The user as the account is called now
        user: String,
        /// The user whose home it becomes
        new_user: String,
    },
    /// Copy an account into a new folder as it is at one moment, while mail comes in
    Backup {
        /// The user: an address, or a name
        user: String,
        /// The new folder
        destination: PathBuf,
    },
}

pub(super) fn run(file: Option<&Path>, command: &Command) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    match command {
        Command::List { json } => list(&config, *json),
        Command::Remove { execute, user } => remove(&config, user, *execute),
        Command::Rename { user, new_user } => rename(&config, user, new_user),
        Command::Backup { user, destination } => back_up(&config, user, destination),
    }
}

/// A home, and whose it is.
struct Home {
    user: String,
    path: PathBuf,
    quota: Quota,
    known: bool,
}

impl Home {
    fn of(found: Found) -> Home {
        Home {
            user: found.user,
            path: found.home,
            quota: found.quota,
            known: true,
        }
    }

    fn unknown(user: String, path: PathBuf) -> Home {
        Home {
            user,
            path,
            quota: Quota::default(),
            known: false,
        }
    }

    fn has_mail(&self, config: &Config) -> bool {
        self.path.join(&config.store.maildir).join("cur").is_dir()
    }
}

/// What an account holds, as its index has it.
struct Held {
    mailboxes: usize,
    messages: i64,
    bytes: i64,
}

fn list(config: &Config, json: bool) -> Result<u8, Fault> {
    // The table may be root's to read, and the homes their owner's to list.
    let directory = rooms::directory(config)?;
    rooms::become_owner(config, &config.root)?;
    let homes = homes(config, &*directory)?;
    let store = rooms::store(config);
    let mut unread = 0;
    let mut rows = Vec::new();
    for home in homes {
        let looked_at = rooms::refuse_foreign(&home.path, &home.user)
            .and_then(|()| rooms::has_mail(config, &home.path))
            .and_then(|_| held(config, &store, &home).map_err(Fault::from));
        let held = match looked_at {
            Ok(held) => Some(held),
            Err(fault) => {
                unread += 1;
                eprintln!("postroom: {}: {}", home.user, fault.message);
                None
            }
        };
        rows.push((home, held));
    }
    if json {
        super::print_json(&rows.iter().map(describe).collect())?;
    } else {
        super::print(&super::table(
            ["user", "mailboxes", "messages", "bytes", "limit", "directory", "home"],
            rows.iter().map(row),
        ))?;
    }
    match unread {
        0 => Ok(exit::OK),
        unread => Err(Fault::new(
            exit::TEMPFAIL,
            format!("{unread} accounts, named above, cannot be read"),
        )),
    }
}

fn row((home, held): &(Home, Option<Held>)) -> [String; 7] {
    let number = |number: fn(&Held) -> i64| {
        held.as_ref()
            .map_or_else(|| "?".to_owned(), |held| number(held).to_string())
    };
    [
        home.user.clone(),
        held.as_ref()
            .map_or_else(|| "?".to_owned(), |held| held.mailboxes.to_string()),
        number(|held| held.messages),
        number(|held| held.bytes),
        home.quota
            .bytes
            .map_or_else(|| "none".to_owned(), |limit| limit.to_string()),
        if home.known { "yes" } else { "no" }.to_owned(),
        home.path.display().to_string(),
    ]
}

fn describe((home, held): &(Home, Option<Held>)) -> serde_json::Value {
    json!({
        "user": home.user,
        "home": home.path.to_string_lossy(),
        "in_directory": home.known,
        "mailboxes": held.as_ref().map(|held| held.mailboxes),
        "messages": held.as_ref().map(|held| held.messages),
        "bytes": held.as_ref().map(|held| held.bytes),
        "bytes_limit": home.quota.bytes,
        "messages_limit": home.quota.messages,
    })
}

fn held(config: &Config, store: &LocalStore, home: &Home) -> Result<Held, StoreError> {
    if !home.has_mail(config) {
        return Ok(Held {
            mailboxes: 0,
            messages: 0,
            bytes: 0,
        });
    }
    let account = store.account(&home.user, &home.path)?;
    let Counts { messages, size, .. } = account.usage()?;
    Ok(Held {
        mailboxes: account.mailboxes()?.len(),
        messages,
        bytes: size,
    })
}

fn homes(config: &Config, directory: &dyn Directory) -> Result<Vec<Home>, Fault> {
    let listed = directory.accounts();
    let listed = listed.map_err(|error| Fault::new(exit::TEMPFAIL, Cause::of(&error).to_string()))?;
    if listed.is_none() {
        eprintln!("postroom: this directory cannot list its accounts; those that have a home below `root` follow");
    }
    let mut homes: Vec<Home> = listed.into_iter().flatten().map(Home::of).collect();
    for domain in folders(&config.root) {
        for local in folders(&config.root.join(&domain)) {
            let path = config.root.join(&domain).join(&local);
            let home = Home::unknown(format!("{local}@{domain}"), path);
            if home.has_mail(config) && homes.iter().all(|known| known.path != home.path) {
                homes.push(home);
            }
        }
    }
    homes.sort_by(|a, b| a.user.cmp(&b.user));
    Ok(homes)
}

// Those that can be a domain's or a user's.
fn folders(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let names = folders.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| FolderName::domain(name).is_some()).collect()
}

// Whom the directory no longer knows may still have a home below `root`.
fn home(config: &Config, user: &str) -> Result<Home, Fault> {
    let missing = match rooms::find(config, user) {
        Ok(found) => return Ok(Home::of(found)),
        Err(fault) if fault.code == exit::NOUSER => fault,
        Err(fault) => return Err(fault),
    };
    let folders = user
        .rsplit_once('@')
        .and_then(|(local, domain)| Some((FolderName::local_part(local)?, FolderName::domain(domain)?)));
    let path = folders.map(|(local, domain)| local.below(&domain.below(&config.root)));
    let home = path.map(|path| Home::unknown(user.to_owned(), path));
    home.filter(|home| home.has_mail(config)).ok_or(missing)
}

fn remove(config: &Config, user: &str, execute: bool) -> Result<u8, Fault> {
    let home = home(config, user)?;
    if !home.path.exists() {
        return super::print(&format!("{user}: has no mail yet\n"));
    }
    check_removable(config, &home)?;
    rooms::become_owner(config, &home.path)?;
    let store = rooms::store(config);
    let held = held(config, &store, &home).map_or_else(
        |error| format!("an account that cannot be read ({})", Cause::of(&error)),
        |held| {
            let Held {
                mailboxes,
                messages,
                bytes,
            } = held;
            format!("{messages} messages, {bytes} bytes, in {mailboxes} mailboxes")
        },
    );
    let path = home.path.display();
    if !execute {
        super::print(&format!(
            "{}: {held}, scripts and index in {path} would be removed\n",
            home.user
        ))?;
        return super::print("Nothing was removed: --execute does it\n");
    }
    // Closes the account before its home goes.
    drop(store);
    rooms::store(config)
        .remove_account(&home.user, &home.path)
        .map_err(with_owner)?;
    super::print(&format!("{}: {held} in {path} removed\n", home.user))?;
    if home.known {
        super::print("The directory still knows this user: mail for it makes a new home\n")?;
    }
    Ok(exit::OK)
}

// What is not below `root` may hold more than mail; another's home inside would go along.
fn check_removable(config: &Config, home: &Home) -> Result<(), Fault> {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (root, path) = (real(&config.root), real(&home.path));
    if !path.starts_with(&root) || path == root {
        return Err(Fault::new(
            exit::USAGE,
            format!(
                "{} does not lie below `root` ({}), so it may hold more than mail: remove what is to go by hand",
                home.path.display(),
                config.root.display()
            ),
        ));
    }
    let others = rooms::directory(config)?.accounts().ok().flatten().unwrap_or_default();
    match others
        .iter()
        .map(|other| real(&other.home))
        .find(|other| *other != path && other.starts_with(&path))
    {
        Some(other) => Err(Fault::new(
            exit::USAGE,
            format!(
                "{} lies in {}: remove that account first",
                other.display(),
                path.display()
            ),
        )),
        None => Ok(()),
    }
}

fn rename(config: &Config, user: &str, new_user: &str) -> Result<u8, Fault> {
    let old = home(config, user)?;
    let new = rooms::find(config, new_user)?;
    if old.path == new.home {
        return Err(Fault::new(exit::USAGE, format!("{user} and {new_user} have one home")));
    }
    if !old.path.exists() {
        return super::print(&format!("{user}: has no mail yet\n"));
    }
    if new.home.exists() {
        return Err(Fault::new(
            exit::DATAERR,
            format!("{new_user} has a home already: {}", new.home.display()),
        ));
    }
    rooms::become_owner(config, &old.path)?;
    rooms::store(config)
        .move_account((&old.user, &old.path), (&new.user, &new.home))
        .map_err(with_owner)?;
    super::print(&format!(
        "{}: {} is {} now\n",
        new.user,
        old.path.display(),
        new.home.display()
    ))?;
    if old.known {
        super::print(&format!(
            "The directory still knows {}: mail for it makes a new home\n",
            old.user
        ))?;
    }
    Ok(exit::OK)
}

fn back_up(config: &Config, user: &str, to: &Path) -> Result<u8, Fault> {
    let Some((store, found)) = rooms::store_of(config, user)? else {
        return super::print(&format!("{user}: has no mail yet\n"));
    };
    if fs::symlink_metadata(to).is_ok() {
        return Err(Fault::new(
            exit::DATAERR,
            format!("{} is there already: nothing is overwritten", to.display()),
        ));
    }
    store.back_up(&found.user, &found.home, to).map_err(with_owner)?;
    super::print(&format!("{}: copied to {}\n", found.user, to.display()))
}

fn with_owner(error: StoreError) -> Fault {
    let denied = match &error {
        StoreError::Disk(error) => error.source.kind() == std::io::ErrorKind::PermissionDenied,
        _ => false,
    };
    let fault = Fault::from(error);
    match denied {
        true => Fault::new(exit::NOPERM, fault.message + &whose()),
        false => fault,
    }
}
