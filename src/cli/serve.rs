//! `postroom serve`: open the doors, give up root's rights and all others that it does not need, serve.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::Uid;

use crate::config::{self, ClientCertificates, Config, ListenAddress, ListenProtocol, ListenTls};
use crate::delivery::Sorter;
use crate::directory::Source;
use crate::privsep::Monitor;
use crate::server::{
    self, Certificate, Clients, Control, Doors, Listen, Network, Passed, Place, Plaintext, Protocol, Reread, Security,
    TlsOptions,
};
use crate::smtp::{self, Door};
use crate::{managesieve, message, telemetry};

use super::confine::{self, Confined, Reach};
use super::fault::{Fault, exit};
use super::privsep;
use super::rooms::{self, Identity, Who};

/// Octets that a command line may always have (RFC 5321 §4.5.3.1.4).
const COMMAND_LINE_LEAST: usize = 512;

pub(super) fn run(file: Option<&Path>) -> Result<u8, Fault> {
    let (config, source) = Config::find_with_source(file)?;
    telemetry::start(&config.log).map_err(|error| Fault::config(&error))?;
    let mut passed = Passed::take().map_err(|error| {
        Fault::new(
            exit::CONFIG,
            format!("cannot take the sockets that systemd passed: {error}"),
        )
    })?;
    check(&config)?;
    raise_file_limit();
    let identity = rooms::identity(&config)?;
    let doors = Doors::bind(&listen_all(&config, identity.as_ref())?, &mut passed)
        .map_err(|error| Fault::new(exit::CONFIG, error.to_string()))?;
    for socket in passed.rest() {
        tracing::warn!("systemd passed the socket {socket}, for which there is no [[listen]]: nobody is let in there");
    }
    let control = source.as_deref().and_then(control);
    make_roots(&config, identity.as_ref())?;
    // While there is the right to: keys are root's.
    let certificate = certificate(&config, None)?.0;
    let monitor = privsep::start(&config, source.as_deref(), identity.as_ref())?;
    match &identity {
        Some(identity) => rooms::become_identity(identity)?,
        None if Uid::effective().is_root() => {
            tracing::warn!("running as root: set `user` to the account that owns the mail");
        }
        None => {}
    }
    let confined = confine::confine(&Reach::of_server(&config, source.as_deref()))?;
    let held = Held {
        confined,
        identity,
        monitor,
    };
    let site = site(&config, &held, certificate.clone())?;
    confine::check_homes(&config, &held.confined, &site.sorter);
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    if source.is_none() {
        super::print(&welcome(&config, &doors))?;
    }
    let reread = reread(source, config, held, certificate);
    server::run(doors, site, reread, control)
        .map_err(|error| Fault::new(exit::TEMPFAIL, format!("cannot serve: {error}")))?;
    Ok(exit::OK)
}

// Two servers with one configuration serve different doors, if at all; SIGHUP reaches the other.
fn control(source: &Path) -> Option<Control> {
    match Control::open(source) {
        Ok(control) => Some(control),
        Err(error) => {
            tracing::warn!(%error, "`postroom reload` will not reach this server; SIGHUP does");
            None
        }
    }
}

/// What was decided at the start, for good.
struct Held {
    confined: Confined,
    identity: Option<Identity>,
    /// Who starts deliveries for system accounts.
    monitor: Option<Arc<Monitor>>,
}

/// What a configuration comes to, once root's rights are given up.
fn site(config: &Config, held: &Held, certificate: Option<Arc<Certificate>>) -> Result<server::Site, Fault> {
    let listen = listen_all(config, held.identity.as_ref())?;
    let who = held.monitor.clone().map_or(Who::All, Who::Others);
    let sorter = rooms::sorter_in(config, &held.confined, who)?;
    if has_scripts_door(config) {
        check_logins(&sorter)?;
    }
    let spool = rooms::spool(config);
    message::Spool::check(&spool)
        .map_err(|error| Fault::new(exit::CONFIG, crate::mail::Cause::of(&error).to_string()))?;
    let managesieve = managesieve_options(config, &sorter, certificate.clone());
    Ok(server::Site {
        listen,
        options: options(config, spool, managesieve, certificate),
        sorter,
        notes: Vec::new(),
    })
}

/// Reads the file again for each reload.
fn reread(
    source: Option<PathBuf>,
    started_with: Config,
    held: Held,
    mut certificate: Option<Arc<Certificate>>,
) -> Reread {
    Box::new(move || {
        let Some(path) = &source else {
            return Err("there is no configuration file that could be read again".to_owned());
        };
        let reread = || -> Result<_, Fault> {
            let config = Config::load(path)?;
            check(&config)?;
            if privsep::is_wanted(&config) != held.monitor.is_some() {
                return Err(Fault::new(exit::CONFIG, "[directory] kind changes with a restart"));
            }
            make_roots(&config, held.identity.as_ref())?;
            let (shown, trouble) = self::certificate(&config, certificate.as_ref())?;
            let mut site = site(&config, &held, shown.clone())?;
            site.notes.extend(trouble);
            site.notes.extend(waits_for_restart(&started_with, &config));
            site.notes
                .extend(confine::out_of_reach(&held.confined, &started_with, &config, path));
            confine::check_homes(&config, &held.confined, &site.sorter);
            site.notes.extend(config.warnings());
            // Last: the agents of deliveries from now on keep to it.
            if let Some(monitor) = &held.monitor {
                monitor
                    .reload()
                    .map_err(|error| Fault::new(exit::CONFIG, error.to_string()))?;
            }
            Ok((site, shown))
        };
        let (site, shown) = reread().map_err(|fault| fault.message)?;
        certificate = shown;
        Ok(site)
    })
}

fn waits_for_restart(started_with: &Config, now: &Config) -> Option<String> {
    let least = |config: &Config| match config.directory.source {
        Source::Passwd { minimum_uid } => Some(minimum_uid),
        Source::Static { .. } | Source::Table { .. } => None,
    };
    let changes = [
        ("user", started_with.user != now.user),
        ("group", started_with.group != now.group),
        ("[log]", started_with.log != now.log),
        ("minimum_uid", least(started_with) != least(now)),
    ];
    let changed: Vec<&str> = changes.iter().filter(|(_, it)| *it).map(|(name, _)| *name).collect();
    (!changed.is_empty()).then(|| format!("{} changes with a restart", changed.join(", ")))
}

fn check(config: &Config) -> Result<(), Fault> {
    if config.listen.is_empty() {
        return Err(Fault::new(
            exit::CONFIG,
            "there is no [[listen]] section: name a door, such as\n\n    [[listen]]\n    protocol = \"lmtp\"\n    address = \"127.0.0.1:24\"",
        ));
    }
    privsep::check(config)
}

fn listen_all(config: &Config, identity: Option<&Identity>) -> Result<Vec<Listen>, Fault> {
    config.listen.iter().map(|door| listen(door, identity)).collect()
}

fn listen(door: &crate::config::Listen, identity: Option<&Identity>) -> Result<Listen, Fault> {
    let place = match &door.address {
        ListenAddress::Tcp(address) => Place::Tcp(*address),
        ListenAddress::Systemd(name) => Place::Systemd(name.clone()),
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
    let allow = match (&door.allow, protocol) {
        (Some(allow), _) => allow.clone(),
        // Whoever may deliver past the MTA in front comes past its filters; users log in.
        (None, Protocol::Mail(_)) => Network::near(),
        (None, Protocol::ManageSieve) => Network::all(),
    };
    Ok(Listen {
        protocol,
        place,
        allow,
        trusted: door.trusted.clone(),
        proxy: door.proxy,
        security: match door.tls {
            ListenTls::None => Security::None,
            ListenTls::StartTls => Security::StartTls,
            ListenTls::Required => Security::Required,
            ListenTls::Implicit => Security::Implicit,
        },
    })
}

// The folders of all homes and of the indexes, made while there is the right to, for who will use them: a process that
// is confined cannot make them.
fn make_roots(config: &Config, identity: Option<&Identity>) -> Result<(), Fault> {
    // Homes of system accounts are made by whoever makes the accounts.
    if privsep::is_wanted(config) {
        return Ok(());
    }
    let roots = std::iter::once(&config.root).chain(&config.store.index_root);
    roots
        .filter(|root| !root.exists())
        .try_for_each(|root| make_root(root, identity))
}

fn make_root(root: &Path, identity: Option<&Identity>) -> Result<(), Fault> {
    let failed = |error: std::io::Error| {
        Fault::new(
            exit::CONFIG,
            format!("cannot create the root {}: {error}", root.display()),
        )
    };
    fs::create_dir_all(root).map_err(failed)?;
    if let Some(identity) = identity.filter(|_| Uid::effective().is_root()) {
        nix::unistd::chown(root, Some(identity.uid), Some(identity.gid)).map_err(|errno| failed(errno.into()))?;
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

fn wants_certificate(config: &Config) -> bool {
    has_scripts_door(config) || config.listen.iter().any(|door| door.tls != ListenTls::None)
}

/// The certificate to show. On a reload the present one stays where the same files cannot be read now, as when only root
/// may read the key; then a trouble is told of, too.
fn certificate(
    config: &Config,
    present: Option<&Arc<Certificate>>,
) -> Result<(Option<Arc<Certificate>>, Option<String>), Fault> {
    let Some(tls) = config.tls.as_ref().filter(|_| wants_certificate(config)) else {
        return Ok((None, None));
    };
    let options = tls_options(tls);
    match present.filter(|present| *present.options() == options) {
        Some(present) => {
            let trouble = present.reload().err();
            let trouble = trouble.map(|error| format!("{error}; the certificate stays as it was"));
            Ok((Some(present.clone()), trouble))
        }
        None => match Certificate::load(options) {
            Ok(certificate) => Ok((Some(Arc::new(certificate)), None)),
            Err(error) => Err(Fault::new(exit::CONFIG, error.to_string())),
        },
    }
}

fn tls_options(tls: &config::TlsSettings) -> TlsOptions {
    let asked = |required| {
        let authorities = tls.client_ca.clone().unwrap_or_default();
        Clients::Asked { authorities, required }
    };
    TlsOptions {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        clients: match tls.client_certificates {
            ClientCertificates::None => Clients::NotAsked,
            ClientCertificates::Optional => asked(false),
            ClientCertificates::Required => asked(true),
        },
        handshake: tls.handshake_timeout,
    }
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

fn options(
    config: &Config,
    spool: message::SpoolOptions,
    managesieve: server::ManageSieve,
    certificate: Option<Arc<Certificate>>,
) -> server::Options {
    let limits = &config.limits;
    server::Options {
        connections: limits.connections,
        connections_per_peer: limits.connections_per_peer,
        deliveries: server::Bounds {
            at_once: limits.deliveries,
            of_one: limits.deliveries_per_account,
            waiting: limits.waiting,
            waiting_of_one: limits.waiting_per_account,
            patience: limits.wait,
        },
        lookups: limits.lookups,
        lookup_timeout: limits.lookup_timeout,
        idle: limits.idle_timeout,
        transaction: limits.transaction,
        spool,
        memory: limits.memory_total,
        certificate,
        session: smtp::Options {
            hostname: config.hostname.clone(),
            message_size: config.limits.message_size,
            recipients: config.limits.recipients,
            command_line: config.limits.command_line.max(COMMAND_LINE_LEAST),
            errors: config.limits.errors,
            commands_without_mail: config.limits.commands_without_mail,
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
