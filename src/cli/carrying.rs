//! What `import` and `export` share: who watches them, and how they end.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use nix::unistd::Uid;
use serde_json::json;

use crate::config::Config;
use crate::mail::{Cause, MailboxName};
use crate::store::{Bystander, Carried, CarryError};

use super::fault::{Fault, exit};
use super::rooms;

/// Shows on a terminal how far it is, and tells what could not be carried.
pub(super) struct Watcher {
    bar: ProgressBar,
    faults: u64,
    passed_over: Option<(u64, PathBuf)>,
}

impl Watcher {
    /// Nothing is shown yet.
    pub(super) fn new() -> Watcher {
        Watcher {
            bar: ProgressBar::hidden(),
            faults: 0,
            passed_over: None,
        }
    }

    /// Shows a bar, where standard error is a terminal.
    pub(super) fn begin(&mut self, bytes: u64) {
        if !io::stderr().is_terminal() {
            return;
        }
        self.bar = ProgressBar::new(bytes);
        let style = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left");
        if let Ok(style) = style {
            self.bar.set_style(style);
        }
    }

    /// Ends it: 65 where something could not be carried.
    pub(super) fn end(self, what: &str) -> Result<u8, Fault> {
        if let Some((count, path)) = &self.passed_over {
            let path = path.display();
            let _ = writeln!(
                io::stderr(),
                "postroom: {count} files are no mail and were passed over, as {path}"
            );
        }
        match self.faults {
            0 => Ok(exit::OK),
            faults => Err(Fault::new(
                exit::DATAERR,
                format!("{faults} parts, named above, were not {what}; all else was"),
            )),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Bystander for Watcher {
    fn advance(&mut self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn fault(&mut self, what: &str) {
        self.faults += 1;
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "postroom: {what}");
        });
    }

    fn passed_over(&mut self, path: &Path) {
        self.passed_over.get_or_insert_with(|| (0, path.to_owned())).0 += 1;
    }
}

impl From<CarryError> for Fault {
    fn from(error: CarryError) -> Fault {
        let words = Cause::of(&error).to_string();
        match error {
            CarryError::Store(error) => Fault::from(error),
            CarryError::Disk(error) if error.source.kind() == io::ErrorKind::PermissionDenied => {
                Fault::new(exit::NOPERM, words + &whose())
            }
            CarryError::Disk(_) | CarryError::Spool(_) => Fault::new(exit::TEMPFAIL, words),
            CarryError::Exists(_) => Fault::new(exit::DATAERR, words),
        }
    }
}

/// Whose permissions count: as root a command becomes the owner of the mail.
pub(super) fn whose() -> String {
    match nix::unistd::User::from_uid(Uid::effective()) {
        Ok(Some(user)) => format!("; this ran as {}", user.name),
        _ => format!("; this ran as uid {}", Uid::effective()),
    }
}

/// Makes a folder that the owner of the mail may write to, while the process is still root.
pub(super) fn make_destination(config: &Config, home: &Path, to: &Path) -> Result<(), Fault> {
    if !Uid::effective().is_root() || fs::symlink_metadata(to).is_ok() {
        return Ok(());
    }
    let failed = |error: io::Error| Fault::new(exit::NOPERM, format!("cannot create {}: {error}", to.display()));
    let owner = match rooms::identity(config)? {
        Some(identity) => Some((identity.uid.as_raw(), identity.gid.as_raw())),
        None => fs::metadata(home).ok().map(|home| (home.uid(), home.gid())),
    };
    if let Some(parent) = to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::DirBuilder::new()
        .mode(config.store.folder_mode)
        .create(to)
        .map_err(failed)?;
    match owner {
        // Whoever owns the folder above may have put a link in its place.
        Some((uid, gid)) => lchown(to, Some(uid), Some(gid)).map_err(failed),
        None => Ok(()),
    }
}

/// Prints what became of each mailbox.
pub(super) fn print_carried(
    config: &Config,
    carried: &BTreeMap<MailboxName, Carried>,
    heads: [&str; 2],
    json: bool,
) -> Result<u8, Fault> {
    let separator = config.store.separator;
    if json {
        let one = |(name, carried): (&MailboxName, &Carried)| {
            json!({
                "mailbox": name.to_separated(separator),
                heads[0]: carried.messages,
                heads[1]: carried.present,
            })
        };
        return super::print_json(&carried.iter().map(one).collect());
    }
    let rows = carried.iter().map(|(name, carried)| {
        [
            name.to_separated(separator),
            carried.messages.to_string(),
            carried.present.to_string(),
        ]
    });
    super::print(&super::table(["mailbox", heads[0], &heads[1].replace('_', " ")], rows))
}
