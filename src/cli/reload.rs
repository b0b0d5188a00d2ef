//! `postroom reload`: the running server reads its configuration again.

use std::path::Path;

use nix::unistd::Uid;

use crate::config::Config;
use crate::server::{Control, ControlError};

use super::fault::{Fault, exit};
use super::rooms;

pub(super) fn run(file: Option<&Path>) -> Result<u8, Fault> {
    // Checked here too: a fault is told with its line even where no server runs.
    let (config, source) = Config::find_with_source(file)?;
    let Some(source) = source else {
        let what = "there is no configuration file that could be read again";
        return Err(Fault::new(exit::CONFIG, what));
    };
    let user = rooms::identity(&config)?.map_or(Uid::effective(), |identity| identity.uid);
    match Control::reload(&source, user) {
        Ok(notes) => super::print(&format!("reloaded {}\n{notes}", source.display())),
        Err(error) => Err(fault(&error)),
    }
}

fn fault(error: &ControlError) -> Fault {
    let code = match error {
        ControlError::Refused(_) => exit::CONFIG,
        ControlError::Stranger { .. } => exit::NOPERM,
        ControlError::Nobody(_) | ControlError::Silent(_) => exit::TEMPFAIL,
    };
    let what = match error {
        ControlError::Refused(why) => format!("the server keeps the configuration it has: {why}"),
        error => error.to_string(),
    };
    Fault::new(code, what)
}
