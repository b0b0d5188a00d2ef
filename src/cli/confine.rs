//! `serve` gives up what it does not need, as `[confinement]` says; and the processes of its helper.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;

use crate::config::{Config, ListenAddress, Relay};
use crate::confinement::{self, Folders, Helper, Mode, Rules, Scripts};
use crate::delivery::Sorter;
use crate::directory::Source;
use crate::mail::Cause;
use crate::submission::program::{Direct, Runner};

use super::fault::{Fault, exit};
use super::rooms;

/// How long a program that warns of a quota may run at most.
const WARNING_TIME: Duration = Duration::from_secs(60);
/// Programs that run beside those of deliveries: for replies and warnings.
const BESIDE_DELIVERIES: usize = 32;
/// How many homes outside the roots are named at the start.
const NAMED: usize = 10;

/// The helper's processes. `serve` starts them; nobody else has a use for them.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start the worker, and start it again when it dies
    Keep,
    /// Run programs
    Work,
}

pub(super) fn run(command: &Command) -> Result<u8, Fault> {
    let ended = match command {
        Command::Keep => confinement::keep(),
        Command::Work => confinement::work(),
    };
    ended.map_err(|error| Fault::new(exit::TEMPFAIL, format!("the helper of `postroom serve`: {error}")))?;
    Ok(exit::OK)
}

/// How this process is held.
#[derive(Clone, Debug)]
pub(super) struct Confined {
    /// Who runs programs.
    pub(super) runner: Arc<dyn Runner>,
    /// The roots below which homes lie; none where the process is not confined to them.
    pub(super) roots: Option<Vec<PathBuf>>,
}

impl Default for Confined {
    fn default() -> Confined {
        Confined {
            runner: Arc::new(Direct),
            roots: None,
        }
    }
}

/// Confines this process for good, with a helper outside. To be called when the doors are open and what root alone may
/// read is read, before any thread runs.
pub(super) fn confine(config: &Config, file: Option<&Path>) -> Result<Confined, Fault> {
    let mode = config.confinement.mode;
    if mode == Mode::Off {
        tracing::info!("not confined: [confinement] mode = \"off\"");
        return Ok(Confined::default());
    }
    rooms::set_umask(config);
    let failed = |error: &(dyn std::error::Error + 'static)| Fault::new(exit::TEMPFAIL, Cause::of(error).to_string());
    let helper = Helper::start(&rules(config)).map_err(|error| failed(&error))?;
    let folders = folders(config, file);
    let confined = confinement::confine(mode, &folders).map_err(|error| Fault::config(&error))?;
    let landlock = confined.as_ref().is_some_and(|confined| confined.landlock.is_some());
    if let Some(confined) = confined {
        let roots: Vec<String> = roots(config).iter().map(|root| root.display().to_string()).collect();
        tracing::info!("confined by {confined}: mail lies below {}", roots.join(" and "));
        if let Some(lacks) = confined.lacks() {
            tracing::warn!("the confinement is not whole, since this kernel lacks something: {lacks}");
        }
    }
    Ok(Confined {
        runner: Arc::new(helper),
        roots: landlock.then(|| roots(config)),
    })
}

/// Says which accounts get no mail, because their homes lie outside.
pub(super) fn check_homes(config: &Config, confined: &Confined, sorter: &Sorter) {
    let (Some(roots), Source::Table { .. }) = (&confined.roots, &config.directory.source) else {
        return;
    };
    // What is wrong with the table is said where it is asked.
    let accounts = sorter.directory().accounts().ok().flatten().unwrap_or_default();
    let outside = accounts.iter().filter(|found| {
        let place = found.home.ancestors().find_map(|folder| folder.canonicalize().ok());
        place.is_none_or(|place| !roots.iter().any(|root| place.starts_with(root)))
    });
    for found in outside.take(NAMED) {
        tracing::error!(
            user = %found.user,
            home = %found.home.display(),
            "a home lies neither below `root` nor below [confinement] roots: its mail is deferred until a folder around it stands there and postroom is restarted"
        );
    }
}

/// What a configuration that is read again asks for beyond what the process was confined to at its start.
pub(super) fn out_of_reach(confined: &Confined, started_with: &Config, now: &Config, file: &Path) -> Option<String> {
    if started_with.confinement.mode == Mode::Off {
        return None;
    }
    let is_held = confined.roots.is_some();
    let wider = is_held && folders(started_with, Some(file)).lacks(&folders(now, Some(file)));
    let now_run = rules(now);
    let programs = !now_run.is_empty() && rules(started_with) != now_run;
    let mode = started_with.confinement != now.confinement;
    let parts = [
        wider.then_some("folders or ports that it may not touch"),
        programs.then_some("other programs or limits of programs"),
        mode.then_some("another [confinement]"),
    ];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    let asked = parts.join(", ");
    (!asked.is_empty())
        .then(|| format!("the running server is confined to what it was started with; {asked}: restart it"))
}

// As they are in truth: what is a link now may be another one later.
fn roots(config: &Config) -> Vec<PathBuf> {
    let roots = std::iter::once(&config.root).chain(&config.confinement.roots);
    let really = |root: &PathBuf| root.canonicalize().or_else(|_| std::path::absolute(root));
    roots.filter_map(|root| really(root).ok()).collect()
}

fn rules(config: &Config) -> Rules {
    let programs = &config.programs;
    let warnings = &config.quota.warnings;
    Rules {
        sendmail: match &config.submission.relay {
            Relay::Sendmail(program) => Some(program.clone()),
            Relay::None | Relay::Server { .. } => None,
        },
        scripts: programs.folder.clone().map(|folder| Scripts {
            folder,
            roots: roots(config),
        }),
        warnings: warnings
            .iter()
            .map(|warning| warning.command.clone())
            .filter(|command| !command.is_empty())
            .collect(),
        time: config.submission.timeout.max(programs.timeout).max(WARNING_TIME),
        output: programs.output,
        at_once: config.limits.deliveries + BESIDE_DELIVERIES,
    }
}

fn folders(config: &Config, file: Option<&Path>) -> Folders {
    let mut folders = Folders {
        mail: roots(config),
        scratch: temporary(),
        sockets: sockets(config),
        abstract_sockets: env::var_os("NOTIFY_SOCKET").is_some_and(|name| name.as_encoded_bytes().starts_with(b"@")),
        ..Folders::default()
    };
    folders.mail.extend(config.store.index_root.clone());
    folders.scratch.extend(config.store.spool.clone());
    for file in file.into_iter().chain(secrets(config)) {
        folders.read_around(file);
    }
    for scripts in scripts(config) {
        folders.read_at(scripts);
    }
    folders.read_around(Path::new("/etc/resolv.conf"));
    if let Relay::Server { address, ca_file, .. } = &config.submission.relay {
        folders.ports.push(address.port);
        folders.read_around(ca_file);
    }
    folders
}

// Where SQLite and we make files without names, in the order in which SQLite looks (its os_unix.c).
fn temporary() -> Vec<PathBuf> {
    let named: Vec<PathBuf> = ["SQLITE_TMPDIR", "TMPDIR"]
        .into_iter()
        .filter_map(env::var_os)
        .map(PathBuf::from)
        .collect();
    match named.is_empty() {
        true => vec!["/var/tmp".into(), "/tmp".into()],
        false => named,
    }
}

fn sockets(config: &Config) -> Vec<PathBuf> {
    let doors = config.listen.iter().filter_map(|door| match &door.address {
        ListenAddress::Unix(path) => path.parent(),
        ListenAddress::Tcp(_) | ListenAddress::Systemd(_) => None,
    });
    doors.map(Path::to_owned).collect()
}

// Files that are read again when they change.
fn secrets(config: &Config) -> Vec<&Path> {
    let directory: Option<&PathBuf> = match &config.directory.source {
        Source::Static { passwords, .. } => passwords.as_ref(),
        Source::Table { file, .. } => Some(file),
        Source::Passwd { .. } => None,
    };
    let tls = config.tls.as_ref();
    [
        directory,
        config.submission.srs_secret_file.as_ref(),
        tls.map(|tls| &tls.certificate),
        tls.map(|tls| &tls.key),
        tls.and_then(|tls| tls.client_ca.as_ref()),
    ]
    .into_iter()
    .flatten()
    .map(PathBuf::as_path)
    .collect()
}

fn scripts(config: &Config) -> Vec<&Path> {
    let sieve = &config.sieve;
    let site = sieve.before.iter().chain(&sieve.after).chain(&sieve.default);
    let domains = config.sieve_domains.iter();
    let domains = domains.flat_map(|domain| domain.before.iter().chain(&domain.after).chain(&domain.default));
    let all = site.chain(domains).chain(&sieve.lists);
    all.map(PathBuf::as_path).collect()
}
