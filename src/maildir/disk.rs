//! Writes that are durable when they return, renames that replace nothing, and reads
//! that never wait.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags};

/// The largest file beside the messages that is read: a list of some two million names.
const LARGEST: u64 = 256 << 20;

/// How files are made: with which modes, and whether they are flushed.
#[derive(Clone, Copy, Debug)]
pub struct Disk {
    /// Whether to flush; false only for tests.
    pub fsync: bool,
    /// Mode of new files.
    pub file_mode: u32,
    /// Mode of new folders.
    pub folder_mode: u32,
}

impl Default for Disk {
    fn default() -> Disk {
        Disk {
            fsync: true,
            file_mode: 0o600,
            folder_mode: 0o700,
        }
    }
}

/// An operation on a path that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub struct DiskError {
    /// What was tried, as a verb.
    pub operation: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl DiskError {
    /// For `map_err`: names the operation and the path.
    pub fn at(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> DiskError {
        let path = path.into();
        move |source| DiskError {
            operation,
            path,
            source,
        }
    }
}

/// Opens a regular file for reading. What else may have its name (a FIFO, a device) would
/// hold up its reader for ever, and is refused.
///
/// # Errors
/// The operating system's; `InvalidInput` for what is no regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open_in_place(path, OpenOptions::new().read(true))
}

// As `open_regular`, for other ways to open: what is beside the messages and written in place.
pub(super) fn open_in_place(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // For a FIFO, O_NONBLOCK is what keeps open(2) from waiting; for a file it is nothing.
    let file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

// A small file as a whole.
pub(super) fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = open_regular(path)?;
    if file.take(LARGEST + 1).read_to_end(&mut content)? as u64 > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(content)
}

// The same, and none where there is no such file.
pub(super) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    match read_regular(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DiskError::at("read", path)(error)),
    }
}

impl Disk {
    /// Creates a file that must not exist.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn create(&self, path: &Path) -> Result<File, DiskError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(self.file_mode);
        options.open(path).map_err(DiskError::at("create", path))
    }

    /// Flushes the bytes of a file.
    ///
    /// # Errors
    /// The operating system's, with the path. The bytes must then be taken as lost.
    pub fn flush(&self, file: &File, path: &Path) -> Result<(), DiskError> {
        if !self.fsync {
            return Ok(());
        }
        file.sync_data().map_err(DiskError::at("flush", path))
    }

    /// Flushes the entries of a folder: names made, renamed or removed in it.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn flush_folder(&self, path: &Path) -> Result<(), DiskError> {
        if !self.fsync {
            return Ok(());
        }
        File::open(path)
            .and_then(|folder| folder.sync_all())
            .map_err(DiskError::at("flush", path))
    }

    /// Flushes all that was written to the file system on which a folder lies: many new files at once.
    ///
    /// # Errors
    /// The operating system's, with the path. What was not flushed before must then be taken as lost.
    pub fn flush_file_system(&self, path: &Path) -> Result<(), DiskError> {
        if !self.fsync {
            return Ok(());
        }
        File::open(path)
            .and_then(|folder| Ok(rustix::fs::syncfs(folder)?))
            .map_err(DiskError::at("flush the file system of", path))
    }

    /// Makes a folder and those above it that are missing, each durable in the one above.
    ///
    /// # Errors
    /// The operating system's, with the path of the folder that could not be made.
    pub fn make_folder(&self, path: &Path) -> Result<(), DiskError> {
        match fs::DirBuilder::new().mode(self.folder_mode).create(path) {
            Ok(()) => self.flush_parent(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.parent().is_some_and(|p| p != path) => {
                if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                    self.make_folder(parent)?;
                }
                match fs::DirBuilder::new().mode(self.folder_mode).create(path) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        Err(DiskError::at("create", path)(error))
                    }
                    _ => self.flush_parent(path),
                }
            }
            Err(error) => Err(DiskError::at("create", path)(error)),
        }
    }

    /// Renames a file; fails where the new name exists.
    ///
    /// # Errors
    /// `AlreadyExists` where the new name is taken, else the operating system's.
    pub fn rename_new(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let renamed = match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // File systems without RENAME_NOREPLACE: link(2) does not replace either.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                fs::hard_link(from, to).and_then(|()| fs::remove_file(from))
            }
            other => other.map_err(io::Error::from),
        };
        renamed.map_err(DiskError::at("rename a message to", to))
    }

    /// Renames a folder; fails where the new name exists. The caller flushes the one above.
    ///
    /// # Errors
    /// `AlreadyExists` where the new name is taken, else the operating system's.
    pub fn rename_folder_new(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let renamed = match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // File systems without RENAME_NOREPLACE: rename(2) replaces no folder that has anything in it.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if fs::symlink_metadata(to).is_err() => {
                fs::rename(from, to)
            }
            other => other.map_err(io::Error::from),
        };
        renamed.map_err(DiskError::at("rename a folder to", to))
    }

    /// Replaces a small file as a whole: a reader sees the old or the new, also after a power cut.
    ///
    /// # Errors
    /// The operating system's, with the path; the old file then stands.
    pub fn replace(&self, path: &Path, content: &[u8]) -> Result<(), DiskError> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}.new", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let _ = fs::remove_file(&temporary);
        let written = self.create(&temporary).and_then(|mut file| {
            file.write_all(content).map_err(DiskError::at("write", &temporary))?;
            self.flush(&file, &temporary)?;
            fs::rename(&temporary, path).map_err(DiskError::at("replace", path))
        });
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written?;
        self.flush_parent(path)
    }

    /// Flushes the folder in which a path lies.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub fn flush_parent(&self, path: &Path) -> Result<(), DiskError> {
        match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => self.flush_folder(Path::new(".")),
            Some(parent) => self.flush_folder(parent),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_to_any_depth_and_twice() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b/c");
        Disk::default().make_folder(&deep).unwrap();
        Disk::default().make_folder(&deep).unwrap();
        assert!(deep.is_dir());
        fs::write(home.path().join("file"), "x").unwrap();
        assert!(Disk::default().make_folder(&home.path().join("file/below")).is_err());
    }

    #[test]
    fn renames_replace_nothing() {
        let home = tempfile::tempdir().unwrap();
        let (from, to) = (home.path().join("from"), home.path().join("to"));
        fs::write(&from, "from").unwrap();
        fs::write(&to, "to").unwrap();
        let error = Disk::default().rename_new(&from, &to).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&to).unwrap(), "to");
    }

    #[test]
    fn replaces_as_a_whole() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("marks");
        Disk::default().replace(&path, b"one").unwrap();
        Disk::default().replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_fifo_in_place_of_a_file_holds_nobody_up() {
        use crate::mail::{MailboxName, UidValidity};
        use crate::maildir::{
            DovecotUidList, MailSize, Subscriptions, UidListEnd, UidListLock, courier_keywords, open_message,
            raise_uidvalidity,
        };
        use std::time::Duration;
        let (home, disk) = (tempfile::tempdir().unwrap(), Disk::default());
        let root = home.path();
        fs::create_dir(root.join("courierimapkeywords")).unwrap();
        for name in [
            "dovecot-uidlist",
            "courierimapuiddb",
            "subscriptions",
            "maildirsize",
            "dovecot-uidvalidity",
            "courierimapkeywords/:list",
        ] {
            nix::unistd::mkfifo(&root.join(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        let lock = UidListLock::acquire(root, Duration::ZERO).unwrap().unwrap();
        assert!(UidListEnd::read(&lock).is_err());
        assert!(DovecotUidList::read(root).is_err());
        assert!(DovecotUidList::read_courier(root).is_err());
        let inbox = MailboxName::inbox();
        assert!(Subscriptions::alter(&disk, root, &[(&inbox, true)], Duration::ZERO).is_err());
        assert!(MailSize::read(root).is_err());
        assert!(MailSize::append(root, 1, 1).is_err());
        assert!(raise_uidvalidity(&disk, root, UidValidity::new(7).unwrap()).is_err());
        assert!(courier_keywords(root).is_err());
        assert!(open_message(&root.join("maildirsize")).is_err());
    }
}
