//! The processes beside `serve`.

use clap::Subcommand;

use super::fault::{Fault, exit};
use super::privsep;
use crate::confinement;

/// The processes beside `serve`, which starts them; nobody else has a use for them.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start the worker, and start it again when it dies
    Keep,
    /// Run programs
    Work,
    /// Look system accounts up, and start their agents
    Monitor,
    /// Deliver as one system account
    Agent,
}

pub(super) fn run(command: &Command) -> Result<u8, Fault> {
    let ended = match command {
        Command::Keep => confinement::keep(),
        Command::Work => confinement::work(),
        Command::Monitor => privsep::watch(),
        Command::Agent => return privsep::deliver(),
    };
    ended.map_err(|error| Fault::new(exit::TEMPFAIL, format!("a helper of `postroom serve`: {error}")))?;
    Ok(exit::OK)
}
