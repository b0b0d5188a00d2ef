//! System accounts in `serve`: their monitor and their agents.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nix::unistd::Uid;

use crate::config::{Config, RedirectFrom};
use crate::directory::Source;
use crate::mail::Cause;
use crate::privsep::{self, Monitor, Rules};
use crate::telemetry;

use super::confine::{self, Reach};
use super::fault::{Fault, exit};
use super::rooms::{self, Identity, Who};

/// Whether mail is delivered by a process of each account.
pub(super) fn is_wanted(config: &Config) -> bool {
    matches!(config.directory.source, Source::Passwd { .. })
}

/// What must be so for that; `serve` says what else.
pub(super) fn check(config: &Config) -> Result<(), Fault> {
    let wrong = |what: &str| {
        Err(Fault::new(
            exit::CONFIG,
            format!("[directory] kind = \"passwd\" {what}"),
        ))
    };
    if !is_wanted(config) {
        return Ok(());
    }
    if config.user.is_none() {
        return wrong("needs the setting `user`: an account of its own as which postroom speaks with the network");
    }
    if config.confinement.roots.is_empty() {
        return wrong("needs the folders below which homes lie:\n\n    [confinement]\n    roots = [\"/home\"]");
    }
    if config.submission.redirect_sender == RedirectFrom::Srs {
        return wrong(
            "does not go with redirect_sender = \"srs\": mail is redirected by a process of each user, \
             and each could read the secret",
        );
    }
    Ok(())
}

/// Starts the monitor, where it is wanted, while there is the right to.
pub(super) fn start(
    config: &Config,
    file: Option<&Path>,
    identity: Option<&Identity>,
) -> Result<Option<Arc<Monitor>>, Fault> {
    let (Source::Passwd { minimum_uid }, Some(file)) = (&config.directory.source, file) else {
        return Ok(None);
    };
    if !Uid::effective().is_root() || identity.is_none_or(|identity| identity.uid.is_root()) {
        let what = "[directory] kind = \"passwd\" delivers to each account as its owner: start `serve` as root (it becomes \
                    `user`, who must be another), or have the MTA run `postroom deliver` as the owner";
        return Err(Fault::new(exit::NOPERM, what));
    }
    let failed = |error: &(dyn std::error::Error + 'static)| Fault::new(exit::CONFIG, Cause::of(error).to_string());
    let file = std::path::absolute(file).map_err(|error| failed(&error))?;
    // What the monitor is told is text.
    if file.to_str().is_none() {
        return Err(Fault::new(
            exit::CONFIG,
            format!("the path of the configuration is not UTF-8: {}", file.display()),
        ));
    }
    let monitor = Monitor::start(&Rules {
        minimum_uid: *minimum_uid,
        roots: config.confinement.roots.clone(),
        file,
    });
    monitor
        .map(|monitor| Some(Arc::new(monitor)))
        .map_err(|error| failed(&error))
}

/// `postroom helper monitor`.
pub(super) fn watch() -> std::io::Result<()> {
    privsep::watch(load)
}

fn load(file: &Path) -> Result<String, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let config = Config::parse(&text, &file.display().to_string()).map_err(|error| error.to_string())?;
    check(&config).map_err(|fault| fault.message)?;
    match is_wanted(&config) {
        true => Ok(text),
        false => Err("[directory] kind changes with a restart".to_owned()),
    }
}

/// `postroom helper agent`.
pub(super) fn deliver() -> Result<u8, Fault> {
    let failed = |error: std::io::Error| Fault::new(exit::TEMPFAIL, format!("an agent of `postroom serve`: {error}"));
    let (start, channel) = privsep::begin().map_err(failed)?;
    let config =
        Config::parse(&start.config, &start.file.display().to_string()).map_err(|error| Fault::config(&error))?;
    telemetry::start(&config.log).map_err(|error| Fault::config(&error))?;
    let confined = confine::confine(&Reach::of_agent(&config, &start.account.home))?;
    let sorter = rooms::sorter_in(&config, &confined, Who::One(start.account.clone()))?;
    privsep::serve(sorter, start.account, rooms::spool(&config), &channel).map_err(failed)?;
    Ok(exit::OK)
}
