//! `serve` and the agents of system accounts give up what they do not need, as `[confinement]` says.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, ListenAddress, Relay};
use crate::confinement::{self, Confinement, Folders, Helper, Mode, Rules, Scripts};
use crate::delivery::Sorter;
use crate::directory::Source;
use crate::mail::Cause;
use crate::submission::program::{Direct, Runner};

use super::fault::{Fault, exit};
use super::{privsep, rooms};

/// How long a program that warns of a quota may run at most.
const WARNING_TIME: Duration = Duration::from_secs(60);
/// Programs that run beside those of deliveries: for replies and warnings.
const BESIDE_DELIVERIES: usize = 32;
/// How many homes outside the roots are named at the start.
const NAMED: usize = 10;

/// How this process is held.
#[derive(Clone, Debug)]
pub(super) struct Confined {
    /// Who runs programs.
    pub(super) runner: Arc<dyn Runner>,
    /// The roots below which homes lie; none where the process is not confined to them.
    pub(super) roots: Option<Vec<PathBuf>>,
}

/// What a process may reach.
pub(super) struct Reach<'a> {
    config: &'a Config,
    /// The files that are read again when they change.
    files: Vec<&'a Path>,
    /// Where mail lies that this process delivers.
    homes: Vec<PathBuf>,
    sockets: Vec<PathBuf>,
    is_agent: bool,
}

impl Default for Confined {
    fn default() -> Confined {
        Confined {
            runner: Arc::new(Direct),
            roots: None,
        }
    }
}

impl<'a> Reach<'a> {
    /// Of `serve`. Homes of system accounts are their agents' matter.
    pub(super) fn of_server(config: &'a Config, file: Option<&'a Path>) -> Reach<'a> {
        let homes = std::iter::once(&config.root).chain(&config.confinement.roots);
        Reach {
            config,
            files: file.into_iter().chain(secrets(config)).collect(),
            homes: match privsep::is_wanted(config) {
                true => Vec::new(),
                false => homes.map(|home| really(home)).collect(),
            },
            sockets: sockets(config),
            is_agent: false,
        }
    }

    /// Of an account's agent.
    pub(super) fn of_agent(config: &'a Config, home: &Path) -> Reach<'a> {
        Reach {
            config,
            files: Vec::new(),
            homes: vec![really(home)],
            sockets: Vec::new(),
            is_agent: true,
        }
    }

    fn tell(&self, confined: &Confinement) {
        let homes: Vec<String> = self.homes.iter().map(|home| home.display().to_string()).collect();
        // What holds an agent holds its server too, which has said so.
        if self.is_agent {
            return tracing::debug!("confined by {confined}: mail lies below {}", homes.join(" and "));
        }
        match homes.is_empty() {
            true => tracing::info!("confined by {confined}: mail is delivered by a process of each account"),
            false => tracing::info!("confined by {confined}: mail lies below {}", homes.join(" and ")),
        }
        if let Some(lacks) = confined.lacks() {
            tracing::warn!("the confinement is not whole, since this kernel lacks something: {lacks}");
        }
    }
}

// As it is in truth: what is a link now may be another one later.
fn really(folder: &Path) -> PathBuf {
    let really = folder.canonicalize().or_else(|_| std::path::absolute(folder));
    really.unwrap_or_else(|_| folder.to_owned())
}

/// Confines this process for good, with a helper outside; to be called when the
/// doors are open and what root alone may read is read, before any thread runs.
pub(super) fn confine(reach: &Reach<'_>) -> Result<Confined, Fault> {
    let mode = reach.config.confinement.mode;
    if mode == Mode::Off {
        if !reach.is_agent {
            tracing::info!("not confined: [confinement] mode = \"off\"");
        }
        return Ok(Confined::default());
    }
    rooms::set_umask(reach.config);
    let failed = |error: &(dyn std::error::Error + 'static)| Fault::new(exit::TEMPFAIL, Cause::of(error).to_string());
    let helper = Helper::start(&reach.rules()).map_err(|error| failed(&error))?;
    let confined = confinement::confine(mode, &reach.folders()).map_err(|error| Fault::config(&error))?;
    let landlock = confined.as_ref().is_some_and(|confined| confined.landlock.is_some());
    if let Some(confined) = confined {
        reach.tell(&confined);
    }
    Ok(Confined {
        runner: Arc::new(helper),
        roots: landlock.then(|| reach.homes.clone()),
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
    let (before, after) = (
        Reach::of_server(started_with, Some(file)),
        Reach::of_server(now, Some(file)),
    );
    let wider = is_held && before.folders().lacks(&after.folders());
    let now_run = after.rules();
    let programs = !now_run.is_empty() && before.rules() != now_run;
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

impl Reach<'_> {
    fn rules(&self) -> Rules {
        let config = self.config;
        let programs = &config.programs;
        let warnings = &config.quota.warnings;
        // What deliveries run is run by who delivers.
        let delivers = !self.homes.is_empty();
        Rules {
            sendmail: match &config.submission.relay {
                Relay::Sendmail(program) => Some(program.clone()),
                Relay::None | Relay::Server { .. } => None,
            },
            scripts: programs.folder.clone().filter(|_| delivers).map(|folder| Scripts {
                folder,
                roots: self.homes.clone(),
            }),
            warnings: warnings
                .iter()
                .filter(|_| delivers)
                .map(|warning| warning.command.clone())
                .filter(|command| !command.is_empty())
                .collect(),
            time: config.submission.timeout.max(programs.timeout).max(WARNING_TIME),
            output: programs.output,
            at_once: config.limits.deliveries + BESIDE_DELIVERIES,
        }
    }

    fn folders(&self) -> Folders {
        let config = self.config;
        let mut folders = Folders {
            mail: self.homes.clone(),
            scratch: temporary(),
            sockets: self.sockets.clone(),
            abstract_sockets: env::var_os("NOTIFY_SOCKET")
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"@")),
            ..Folders::default()
        };
        if !self.homes.is_empty() {
            folders.mail.extend(config.store.index_root.clone());
        }
        folders.scratch.extend(config.store.spool.clone());
        for file in &self.files {
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
