//! `postroom config`: the configuration, checked, shown, described.

use std::path::Path;

use crate::config::{self, Config};

use super::fault::{Fault, exit};
use super::rooms;

/// Check and show the configuration.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check the configuration and say what is wrong with it
    Check,
    /// Print all settings as they are in force
    Show,
    /// Print the description of all settings, as Markdown
    Reference,
}

pub(super) fn run(file: Option<&Path>, command: &Command) -> Result<u8, Fault> {
    match command {
        Command::Check => check(file),
        Command::Show => super::print(&Config::find(file)?.to_toml()),
        Command::Reference => super::print(&config::reference()),
    }
}

fn check(file: Option<&Path>) -> Result<u8, Fault> {
    let (config, source) = Config::find_with_source(file)?;
    rooms::directory(&config)?;
    rooms::identity(&config)?;
    for warning in config.warnings() {
        super::print(&format!("warning: {warning}\n"))?;
    }
    let name = source.map_or_else(|| "the built-in defaults".to_owned(), |path| path.display().to_string());
    super::print(&format!("{name}: in order\n"))?;
    Ok(exit::OK)
}
