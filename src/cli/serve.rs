//! `postroom serve`: open the doors, give up root's rights, serve.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nix::unistd::Uid;

use crate::config::{self, Config, ListenAddress, ListenProtocol};
use crate::delivery::Sorter;
use crate::directory::Source;
use crate::server::{self, Certificate, Doors, Listen, Place, Plaintext, Protocol};
use crate::smtp::{self, Door};
use crate::{managesieve, message, telemetry};

use super::fault::{Fault, exit};
use super::rooms::{self, Identity};

pub(super) fn run(file: Option<&Path>) -> Result<u8, Fault> {
    let (config, source) = Config::find_with_source(file)?;
    telemetry::start(&config.log).map_err(|error| Fault::config(&error))?;
    check(&config)?;
    raise_file_limit();
    let identity = rooms::identity(&config)?;
    let listen = config
        .listen
        .iter()
        .map(|door| listen(door, identity.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    let doors = Doors::bind(&listen).map_err(|error| Fault::new(exit::CONFIG, error.to_string()))?;
    make_root(&config, identity.as_ref())?;
    // While there is the right to: keys are root's.
    let certificate = certificate(&config)?;
    match &identity {
        Some(identity) => rooms::become_identity(identity)?,
        None if Uid::effective().is_root() => {
            tracing::warn!("running as root: set `user` to the account that owns the mail");
        }
        None => {}
    }
    let sorter = rooms::sorter(&config)?;
    if has_scripts_door(&config) {
        check_logins(&sorter)?;
    }
    let spool = rooms::spool(&config);
    message::Spool::check(&spool)
        .map_err(|error| Fault::new(exit::CONFIG, crate::mail::Cause::of(&error).to_string()))?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    for (protocol, place) in doors.places() {
        tracing::info!("listening: {protocol} on {place}");
    }
    if source.is_none() {
        super::print(&welcome(&config, &doors))?;
    }
    let managesieve = managesieve_options(&config, &sorter, certificate);
    server::run(doors, sorter, options(&config, spool, managesieve))
        .map_err(|error| Fault::new(exit::TEMPFAIL, format!("cannot serve: {error}")))?;
    Ok(exit::OK)
}

fn check(config: &Config) -> Result<(), Fault> {
    if config.listen.is_empty() {
        return Err(Fault::new(
            exit::CONFIG,
            "there is no [[listen]] section: name a door, such as\n\n    [[listen]]\n    protocol = \"lmtp\"\n    address = \"127.0.0.1:24\"",
        ));
    }
    if matches!(config.directory.source, Source::Passwd { .. }) {
        return Err(Fault::new(
            exit::CONFIG,
            "[directory] kind = \"passwd\" serves `deliver` only, which the MTA runs as the user: choose static or table",
        ));
    }
    Ok(())
}

fn listen(door: &crate::config::Listen, identity: Option<&Identity>) -> Result<Listen, Fault> {
    let place = match &door.address {
        ListenAddress::Tcp(address) => Place::Tcp(*address),
        ListenAddress::Unix(path) => Place::Unix {
            path: path.clone(),
            mode: door.mode,
            owner: match &door.owner {
                Some(name) => Some(rooms::user(name)?.uid),
                None => identity
                    .map(|identity| identity.uid)
                    .filter(|_| Uid::effective().is_root()),
            },
            group: match &door.group {
                Some(name) => Some(rooms::group(name)?),
                None => identity
                    .map(|identity| identity.gid)
                    .filter(|_| Uid::effective().is_root()),
            },
        },
    };
    let protocol = match door.protocol {
        ListenProtocol::Lmtp => Protocol::Mail(Door::Lmtp),
        ListenProtocol::Smtp => Protocol::Mail(Door::Smtp),
        ListenProtocol::ManageSieve => Protocol::ManageSieve,
    };
    Ok(Listen { protocol, place })
}

// The folder of all homes, made while there is the right to, for who will use it.
fn make_root(config: &Config, identity: Option<&Identity>) -> Result<(), Fault> {
    if config.root.exists() {
        return Ok(());
    }
    let failed = |error: std::io::Error| {
        Fault::new(
            exit::CONFIG,
            format!("cannot create the root {}: {error}", config.root.display()),
        )
    };
    fs::create_dir_all(&config.root).map_err(failed)?;
    if let Some(identity) = identity.filter(|_| Uid::effective().is_root()) {
        nix::unistd::chown(&config.root, Some(identity.uid), Some(identity.gid))
            .map_err(|errno| failed(errno.into()))?;
    }
    Ok(())
}

// Each connection and each open account takes descriptors: as many as the system allows.
pub(super) fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    ) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}

fn has_scripts_door(config: &Config) -> bool {
    let mut doors = config.listen.iter();
    doors.any(|door| door.protocol == ListenProtocol::ManageSieve)
}

fn certificate(config: &Config) -> Result<Option<Arc<Certificate>>, Fault> {
    let Some(tls) = config.tls.as_ref().filter(|_| has_scripts_door(config)) else {
        return Ok(None);
    };
    let certificate = Certificate::load(&tls.certificate, &tls.key);
    certificate
        .map(|certificate| Some(Arc::new(certificate)))
        .map_err(|error| Fault::new(exit::CONFIG, error.to_string()))
}

// A door through which nobody can come is a mistake.
fn check_logins(sorter: &Sorter) -> Result<(), Fault> {
    match sorter.directory().logins() {
        Ok(0) => tracing::warn!("nobody can log in: no account has a password; `postroom password hash` makes hashes"),
        Ok(_) => {}
        Err(error) => return Err(Fault::config(&error)),
    }
    Ok(())
}

fn managesieve_options(config: &Config, sorter: &Sorter, certificate: Option<Arc<Certificate>>) -> server::ManageSieve {
    server::ManageSieve {
        connections: config.managesieve.connections,
        idle: config.managesieve.idle_timeout,
        plaintext: match config.managesieve.plaintext {
            config::Plaintext::Loopback => Plaintext::Loopback,
            config::Plaintext::Always => Plaintext::Always,
            config::Plaintext::Never => Plaintext::Never,
        },
        storage: rooms::storage_options(config),
        session: managesieve::Options {
            extensions: sorter.engine().extensions(),
            max_redirects: config.sieve.max_redirects,
            script_size: config.sieve.max_script_size,
            ..managesieve::Options::default()
        },
        certificate,
    }
}

fn options(config: &Config, spool: message::SpoolOptions, managesieve: server::ManageSieve) -> server::Options {
    server::Options {
        connections: config.limits.connections,
        deliveries: config.limits.deliveries,
        idle: config.limits.idle_timeout,
        spool,
        session: smtp::Options {
            hostname: config.hostname.clone(),
            message_size: config.limits.message_size,
            recipients: config.limits.recipients,
            ..smtp::Options::default()
        },
        managesieve,
    }
}

fn welcome(config: &Config, doors: &Doors) -> String {
    let root = std::path::absolute(&config.root).unwrap_or_else(|_| config.root.clone());
    let mut text = String::from("There is no configuration file, so postroom chose:\n\n");
    for (protocol, place) in doors.places() {
        text.push_str(&format!("    {protocol} on {place}\n"));
    }
    text.push_str(&format!("    mail below {}\n", root.display()));
    text.push_str(&format!(
        "    every user of {}\n\n",
        config.directory.domains.join(" and ")
    ));
    text.push_str("Send a first message from another terminal, and look at it:\n\n");
    text.push_str("    printf 'Subject: hello\\n\\nFirst message.\\n' | postroom send --to you@example.org -\n");
    text.push_str("    postroom message list you@example.org INBOX\n\n");
    text.push_str("Stop with Ctrl-C. `postroom config reference` describes all settings.\n");
    text
}
