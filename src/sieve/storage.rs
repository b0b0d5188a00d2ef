//! The scripts of an account, below its home: `sieve/NAME.sieve`, and `.dovecot.sieve`, a link
//! to the active one.
//!
//! Called by ManageSieve and by the commands; deliveries read the same files (`folder.rs`).
//! Every change becomes visible by one rename, whose bytes are durable before it: a delivery,
//! another program or a crash at any point finds the old or the new, and the active script
//! is never missing meanwhile. Our own processes take turns by a lock; others may change the
//! files beside us.
//!
//! `.dovecot.sieve` may be a file in place of a link, the only script of its user: it is shown
//! as the active script `dovecot.orig`, and the first change moves it into `sieve/` under that
//! name (`dovecot.orig-2` where there is another such script), with a link in its place. So
//! does Pigeonhole, and nothing is ever overwritten. A link that leads out of `sieve/` is shown
//! as no active script, and replaced by the next [`Storage::activate`]; what it led to stays.

mod disk;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ScriptName;
use super::folder::{self, ACTIVE, FolderError, PERSONAL};
use disk::Lock;

/// The name that a script gets which stands in the place of the link.
const ADOPTED: &str = "dovecot.orig";
/// The largest script that is read though none that large may be written: its owner may want to shorten it.
const READ_MAX: usize = 16 << 20;

/// How much a user may keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// Scripts.
    pub max_scripts: usize,
    /// Bytes of all scripts together.
    pub max_total: u64,
    /// Bytes of one script.
    pub max_script_size: usize,
}

impl Default for StorageOptions {
    fn default() -> StorageOptions {
        StorageOptions {
            max_scripts: 100,
            max_total: 8 << 20,
            max_script_size: 1 << 20,
        }
    }
}

/// A script that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub name: ScriptName,
    /// Whether it is the one that filters the user's mail.
    pub active: bool,
    /// Its bytes.
    pub size: u64,
}

/// What went wrong with the scripts of an account; the limits are numbers of bytes or scripts.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Nothing has that name (RFC 5804 §1.3, NONEXISTENT).
    #[error("there is no script of that name")]
    NoScript,
    /// The new name is taken (RFC 5804 §1.3, ALREADYEXISTS).
    #[error("there is a script of that name already")]
    Exists,
    /// The active script is not deleted (RFC 5804 §1.3, ACTIVE).
    #[error("the script is active: deactivate it first, or activate another")]
    Active,
    /// One script more than there may be (RFC 5804 §1.3, QUOTA/MAXSCRIPTS).
    #[error("there are {limit} scripts, as many as there may be: delete one first")]
    TooManyScripts {
        /// The limit.
        limit: usize,
    },
    /// Larger than a script may be (RFC 5804 §1.3, QUOTA/MAXSIZE).
    #[error("the script has {size} bytes; {limit} are allowed")]
    TooLarge {
        /// Its bytes.
        size: u64,
        /// The limit.
        limit: usize,
    },
    /// No room among the others (RFC 5804 §1.3, QUOTA).
    #[error("all scripts would have {total} bytes; {limit} are allowed: delete one first")]
    OverQuota {
        /// Bytes of all with this one.
        total: u64,
        /// The limit.
        limit: u64,
    },
    /// `.dovecot.sieve` is neither a link nor a file.
    #[error("{} is neither a link nor a file: move it away", path.display())]
    NotALink {
        /// It.
        path: PathBuf,
    },
    /// Other processes change these scripts without end.
    #[error("the scripts in {} are being changed by another process: try again", path.display())]
    Locked {
        /// Their folder.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl StorageError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> StorageError {
        let path = path.to_owned();
        move |source| StorageError::Io { path, source }
    }
}

/// What `.dovecot.sieve` is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Link {
    /// There is none.
    None,
    /// A link to a script, which may be missing.
    Script(ScriptName),
    /// A link to something else.
    Elsewhere(PathBuf),
    /// A script itself.
    File,
}

/// The scripts of one account.
#[derive(Clone, Debug)]
pub struct Storage {
    home: PathBuf,
    folder: PathBuf,
    options: StorageOptions,
}

impl Storage {
    /// The scripts below a home. Nothing is read or made yet.
    #[must_use]
    pub fn new(home: &Path, options: StorageOptions) -> Storage {
        Storage {
            home: home.to_owned(),
            folder: home.join(PERSONAL),
            options,
        }
    }

    /// The home below which they lie.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The scripts by name; files that have the name of no script are passed over.
    ///
    /// # Errors
    /// [`StorageError::NotALink`], or where they cannot be read.
    pub fn list(&self) -> Result<Vec<Stored>, StorageError> {
        let active = match self.link()? {
            Link::File => Some(self.adopted()?),
            Link::Script(name) => Some((name, true)),
            Link::None | Link::Elsewhere(_) => None,
        };
        let mut stored = self.stored()?;
        for script in &mut stored {
            script.active = matches!(&active, Some((name, _)) if *name == script.name);
        }
        if let Some((name, false)) = active {
            let path = self.home.join(ACTIVE);
            let size = fs::metadata(&path).map_err(StorageError::at(&path))?.len();
            stored.push(Stored {
                name,
                active: true,
                size,
            });
        }
        stored.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(stored)
    }

    /// The text of a script.
    ///
    /// # Errors
    /// [`StorageError::NoScript`], [`StorageError::TooLarge`] far beyond what may be written, or where it
    /// cannot be read.
    pub fn read(&self, name: &ScriptName) -> Result<Vec<u8>, StorageError> {
        let mut path = self.path(name);
        if self.link()? == Link::File && self.adopted()? == (name.clone(), false) {
            path = self.home.join(ACTIVE);
        }
        let limit = self.options.max_script_size.max(READ_MAX);
        match folder::read(&path, limit) {
            Ok(script) => Ok(script.source.to_vec()),
            Err(FolderError::TooLarge { path, limit }) => {
                let size = fs::metadata(&path).map_err(StorageError::at(&path))?.len();
                Err(StorageError::TooLarge { size, limit })
            }
            Err(FolderError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Err(StorageError::NoScript)
            }
            Err(FolderError::Io { path, source }) => Err(StorageError::Io { path, source }),
        }
    }

    /// Where `.dovecot.sieve` leads when that is none of the user's scripts: to one that stands in no list and runs all
    /// the same, or to nothing.
    ///
    /// # Errors
    /// [`StorageError::NotALink`], or where it cannot be read.
    pub fn stray_link(&self) -> Result<Option<PathBuf>, StorageError> {
        match self.link()? {
            Link::Elsewhere(target) => Ok(Some(target)),
            Link::Script(name) if !self.path(&name).is_file() => Ok(Some(self.path(&name))),
            _ => Ok(None),
        }
    }

    /// Whether there is room for a script of that many bytes (RFC 5804 §2.5). In place of one of that name the
    /// difference counts; who makes a script smaller is never refused.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`], [`StorageError::TooManyScripts`], [`StorageError::OverQuota`], or where the
    /// scripts cannot be read.
    pub fn has_space(&self, name: &ScriptName, size: u64) -> Result<(), StorageError> {
        let StorageOptions {
            max_scripts,
            max_total,
            max_script_size,
        } = self.options;
        if usize::try_from(size).map_or(true, |size| size > max_script_size) {
            let limit = max_script_size;
            return Err(StorageError::TooLarge { size, limit });
        }
        let scripts = self.list()?;
        let replaced = scripts.iter().find(|script| script.name == *name);
        if replaced.is_none() && scripts.len() >= max_scripts {
            return Err(StorageError::TooManyScripts { limit: max_scripts });
        }
        let others = scripts.iter().filter(|script| script.name != *name);
        let total = others.map(|script| script.size).sum::<u64>().saturating_add(size);
        if total > max_total && replaced.is_none_or(|replaced| size > replaced.size) {
            let limit = max_total;
            return Err(StorageError::OverQuota { total, limit });
        }
        Ok(())
    }

    /// Writes a script, new or in place of one of that name; durable when this returns. An active one stays
    /// active, and another does not become it.
    ///
    /// # Errors
    /// Those of [`Storage::has_space`], or where it cannot be written; the old one then stands.
    pub fn write(&self, name: &ScriptName, source: &[u8]) -> Result<(), StorageError> {
        let _lock = self.lock()?;
        let link = self.adopt()?;
        self.has_space(name, source.len() as u64)?;
        self.forget_dangling(&link, name)?;
        disk::replace(&self.folder, &name.file_name(), source)
    }

    /// Makes a script the active one, or with none has no script of the user's run (RFC 5804 §2.8).
    ///
    /// # Errors
    /// [`StorageError::NoScript`], or where the link cannot be replaced; the old one then stands.
    pub fn activate(&self, name: Option<&ScriptName>) -> Result<(), StorageError> {
        match name {
            None if self.link()? == Link::None => return Ok(()),
            // Before a folder is made for the lock.
            Some(name) => self.must_exist(name)?,
            None => {}
        }
        let _lock = self.lock()?;
        let link = self.adopt()?;
        let Some(name) = name else {
            return disk::remove(&self.home, ACTIVE);
        };
        self.must_exist(name)?;
        match link {
            Link::Script(active) if active == *name => Ok(()),
            _ => self.point_to(name),
        }
    }

    /// Renames a script (RFC 5804 §2.11); the active one stays active. Killed in between, both names may be there, and
    /// the same renaming can be done again.
    ///
    /// # Errors
    /// [`StorageError::NoScript`], [`StorageError::Exists`], or where it fails on the disk.
    pub fn rename(&self, from: &ScriptName, to: &ScriptName) -> Result<(), StorageError> {
        self.must_exist(from)?;
        if from == to {
            return Err(StorageError::Exists);
        }
        let _lock = self.lock()?;
        let link = self.adopt()?;
        self.must_exist(from)?;
        self.forget_dangling(&link, to)?;
        // The new name is there before the link leads to it, and the link leads to it before the old one goes.
        disk::duplicate(&self.path(from), &self.folder, &to.file_name())?;
        if link == Link::Script(from.clone()) {
            self.point_to(to)?;
        }
        disk::remove(&self.folder, &from.file_name())
    }

    /// Deletes a script (RFC 5804 §2.10).
    ///
    /// # Errors
    /// [`StorageError::NoScript`], [`StorageError::Active`], or where it fails on the disk.
    pub fn delete(&self, name: &ScriptName) -> Result<(), StorageError> {
        self.must_exist(name)?;
        let _lock = self.lock()?;
        let link = self.adopt()?;
        self.must_exist(name)?;
        // RFC 5804 §2.10: the active script must not be deleted.
        if link == Link::Script(name.clone()) {
            return Err(StorageError::Active);
        }
        disk::remove(&self.folder, &name.file_name())
    }

    fn path(&self, name: &ScriptName) -> PathBuf {
        self.folder.join(name.file_name())
    }

    fn lock(&self) -> Result<Lock, StorageError> {
        disk::make_folder(&self.folder)?;
        Lock::take(&self.folder)
    }

    fn must_exist(&self, name: &ScriptName) -> Result<(), StorageError> {
        match self.list()?.iter().any(|script| script.name == *name) {
            true => Ok(()),
            false => Err(StorageError::NoScript),
        }
    }

    // The scripts in the folder, in no order and none of them active.
    fn stored(&self) -> Result<Vec<Stored>, StorageError> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(StorageError::at(&self.folder))?,
        };
        let mut scripts = Vec::new();
        for entry in entries {
            let entry = entry.map_err(StorageError::at(&self.folder))?;
            let Some(name) = script_name(&entry.file_name()) else {
                continue;
            };
            // Links are followed: users and sites share scripts so. What is gone meanwhile is no script.
            if let Ok(metadata) = fs::metadata(entry.path())
                && metadata.is_file()
            {
                let size = metadata.len();
                let active = false;
                scripts.push(Stored { name, active, size });
            }
        }
        Ok(scripts)
    }

    fn link(&self) -> Result<Link, StorageError> {
        let path = self.home.join(ACTIVE);
        let metadata = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Link::None),
            metadata => metadata.map_err(StorageError::at(&path))?,
        };
        if metadata.is_file() {
            return Ok(Link::File);
        }
        if !metadata.is_symlink() {
            return Err(StorageError::NotALink { path });
        }
        let target = fs::read_link(&path).map_err(StorageError::at(&path))?;
        Ok(match self.named_by(&target) {
            Some(name) => Link::Script(name),
            None => Link::Elsewhere(target),
        })
    }

    // However the link is written: relative, whole, through other links.
    fn named_by(&self, target: &Path) -> Option<ScriptName> {
        let path = self.home.join(target);
        let name = script_name(path.file_name()?)?;
        let folder = fs::canonicalize(path.parent()?).ok()?;
        (folder == fs::canonicalize(&self.folder).ok()?).then_some(name)
    }

    // The name of a script that stands in the place of the link, and whether the folder has it already: adopting it
    // was interrupted.
    fn adopted(&self) -> Result<(ScriptName, bool), StorageError> {
        let file = self.home.join(ACTIVE);
        for number in 1u64.. {
            let text = match number {
                1 => ADOPTED.to_owned(),
                number => format!("{ADOPTED}-{number}"),
            };
            // A number of any length leaves the name far below the longest there may be.
            let Ok(name) = ScriptName::parse(&text) else { break };
            match disk::same_content(&file, &self.path(&name))? {
                None => return Ok((name, false)),
                Some(true) => return Ok((name, true)),
                Some(false) => {}
            }
        }
        Err(StorageError::Exists)
    }

    // Moves a script that stands in the place of the link to the others. Called with the lock held.
    fn adopt(&self) -> Result<Link, StorageError> {
        let link = self.link()?;
        if link != Link::File {
            return Ok(link);
        }
        let (name, there) = self.adopted()?;
        if !there {
            disk::duplicate(&self.home.join(ACTIVE), &self.folder, &name.file_name())?;
        }
        self.point_to(&name)?;
        Ok(Link::Script(name))
    }

    // A script that comes to be where the link leads to nothing would be active unasked.
    fn forget_dangling(&self, link: &Link, name: &ScriptName) -> Result<(), StorageError> {
        if *link == Link::Script(name.clone()) && fs::metadata(self.path(name)).is_err() {
            return disk::remove(&self.home, ACTIVE);
        }
        Ok(())
    }

    fn point_to(&self, name: &ScriptName) -> Result<(), StorageError> {
        let target = Path::new(PERSONAL).join(name.file_name());
        disk::replace_link(&self.home, ACTIVE, &target)
    }
}

// None where a file has the name of no script.
fn script_name(file: &OsStr) -> Option<ScriptName> {
    let stem = file.to_str()?.strip_suffix(".sieve")?;
    ScriptName::parse(stem).ok()
}
