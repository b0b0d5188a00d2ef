//! Changes of single files that are durable when they return.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use super::StorageError;

/// In the folder of the scripts: who changes them has it locked.
const LOCK: &str = ".postroom-lock";
/// What becomes a script or a link by a rename. One name is enough for those who hold the lock, and what a crash left
/// is taken away by the next.
const TEMPORARY: &str = ".postroom-new";
/// How long a change waits for others: as long as one of the index.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// Held by the one process that changes the scripts of an account; free when it is dropped, or its process ends.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(folder: &Path) -> Result<Lock, StorageError> {
        let path = folder.join(LOCK);
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
        // Over NFS an exclusive lock wants a file that is open for writing.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.custom_flags(flags.bits().cast_signed()).open(&path);
        let file = file.map_err(StorageError::at(&path))?;
        let end = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::Error(error)) => return Err(StorageError::at(&path)(error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                    let path = folder.to_owned();
                    return Err(StorageError::Locked { path });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            }
        }
    }
}

/// Makes a folder and those above it that are missing, each durable in the one above.
pub(super) fn make_folder(path: &Path) -> Result<(), StorageError> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = above {
        make_folder(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(StorageError::at(path)(error)),
        // Another process may have made it just now.
        Err(error) if !path.is_dir() => Err(StorageError::at(path)(error)),
        _ => flush(above.unwrap_or(Path::new("."))),
    }
}

/// Writes a file of a folder, new or in place of one.
pub(super) fn replace(folder: &Path, name: &str, content: &[u8]) -> Result<(), StorageError> {
    let (new, path) = (folder.join(TEMPORARY), folder.join(name));
    let written = write_new(&new, &mut &*content).map_err(StorageError::at(&path));
    finish(
        written.and_then(|()| fs::rename(&new, &path).map_err(StorageError::at(&path))),
        &new,
    )?;
    flush(folder)
}

/// Makes a link in a folder, new or in place of a link or a file.
pub(super) fn replace_link(folder: &Path, name: &str, target: &Path) -> Result<(), StorageError> {
    // Beside the link, whose folder may be the one of the mail: a name that says whose it is.
    let (new, path) = (folder.join(format!("{name}{TEMPORARY}")), folder.join(name));
    let made = remove_if_there(&new).and_then(|()| symlink(target, &new));
    finish(
        made.and_then(|()| fs::rename(&new, &path))
            .map_err(StorageError::at(&path)),
        &new,
    )?;
    flush(folder)
}

/// Gives a file a second name in a folder, or makes a copy where the file system or its rules have no links.
pub(super) fn duplicate(file: &Path, folder: &Path, name: &str) -> Result<(), StorageError> {
    use rustix::io::Errno;
    let path = folder.join(name);
    match fs::hard_link(file, &path) {
        Ok(()) => flush(folder),
        // Done before, and interrupted then.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && has_both_names(file, &path) => flush(folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(StorageError::Exists),
        // Linux has none of files that are another's (protected_hardlinks), some file systems none at all.
        Err(error)
            if [Errno::PERM, Errno::NOTSUP, Errno::MLINK, Errno::XDEV]
                .map(Errno::raw_os_error)
                .iter()
                .any(|code| error.raw_os_error() == Some(*code)) =>
        {
            copy(file, folder, &path)
        }
        Err(error) => Err(StorageError::at(&path)(error)),
    }
}

pub(super) fn copy(file: &Path, folder: &Path, path: &Path) -> Result<(), StorageError> {
    match same_content(file, path)? {
        None => {}
        // As with a link: the copy was made before, and what followed was interrupted.
        Some(true) => return flush(folder),
        Some(false) => return Err(StorageError::Exists),
    }
    let new = folder.join(TEMPORARY);
    let copied = File::open(file)
        .and_then(|mut content| write_new(&new, &mut content))
        .and_then(|()| fs::rename(&new, path));
    finish(copied.map_err(StorageError::at(path)), &new)?;
    flush(folder)
}

/// Removes a file or a link from a folder; nothing happens where it is gone.
pub(super) fn remove(folder: &Path, name: &str) -> Result<(), StorageError> {
    let path = folder.join(name);
    remove_if_there(&path).map_err(StorageError::at(&path))?;
    flush(folder)
}

/// Whether two files say the same; none where the second is missing, even as a link to nothing.
pub(super) fn same_content(file: &Path, other: &Path) -> Result<Option<bool>, StorageError> {
    let there = match fs::symlink_metadata(other) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(StorageError::at(other))?,
    };
    let metadata = fs::metadata(file).map_err(StorageError::at(file))?;
    if !there.is_file() || there.len() != metadata.len() {
        return Ok(Some(false));
    }
    let read = |path: &Path| fs::read(path).map_err(StorageError::at(path));
    Ok(Some(read(file)? == read(other)?))
}

// Where case does not count in names, one name is found under two; it has but one link.
fn has_both_names(file: &Path, other: &Path) -> bool {
    let number = |path: &Path| {
        fs::symlink_metadata(path)
            .map(|it| (it.dev(), it.ino(), it.nlink()))
            .ok()
    };
    number(file).is_some_and(|one| one.2 > 1 && number(other) == Some(one))
}

fn write_new(path: &Path, content: &mut dyn Read) -> io::Result<()> {
    remove_if_there(path)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(content, &mut file)?;
    file.flush()?;
    file.sync_all()
}

// What did not get its name is of no use.
fn finish(done: Result<(), StorageError>, temporary: &PathBuf) -> Result<(), StorageError> {
    if done.is_err() {
        let _ = fs::remove_file(temporary);
    }
    done
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn flush(folder: &Path) -> Result<(), StorageError> {
    let flushed = File::open(folder).and_then(|folder| folder.sync_all());
    flushed.map_err(StorageError::at(folder))
}
