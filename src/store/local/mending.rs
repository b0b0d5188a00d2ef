//! A damaged index: set aside, and made anew from the Maildir while deliveries go on.
//!
//! Files may only be moved from under a database with care: whoever closes it last tidies up its log
//! by *name*. So it is opened, moved and closed under a lock on its folder; the one who moves it first
//! looks whether the file under that name is the one that he found damaged, and whoever closes one that
//! was moved leaves all files alone.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use rustix::fs::FlockOperation;

use crate::index::{Index, IndexError};
use crate::mail::Cause;
use crate::maildir::DiskError;
use crate::store::StoreError;

use super::account::LocalAccount;
use super::lock;

/// What is put behind the name of an index that was set aside.
const DAMAGED: &str = ".damaged";

/// Bytes of a log with which an index may be closed: some deliveries. An opening reads it.
pub(super) const LOG_KEPT: u64 = 256 * 1024;

/// Device and inode of an index.
type Identity = (u64, u64);

/// Opens an index in this way; one that is damaged is set aside for a new one.
pub(super) fn open_sound(
    user: &str,
    path: &Path,
    way: impl FnOnce(&Path) -> Result<Index, IndexError>,
) -> Result<(Index, Identity), StoreError> {
    let shared = lock_folder(path, FlockOperation::LockShared)?;
    let opened = way(path)
        .map_err(StoreError::from)
        .and_then(|index| identified(index, path));
    drop(shared);
    match opened {
        Err(error) if error.is_damaged() => {
            let _alone = lock_folder(path, FlockOperation::LockExclusive)?;
            // Another process may have made a new one by now.
            match open(path) {
                Err(error) if error.is_damaged() => {
                    set_aside(user, path, &error)?;
                    open(path)
                }
                opened => opened,
            }
        }
        opened => opened,
    }
}

fn open(path: &Path) -> Result<(Index, Identity), StoreError> {
    identified(Index::open(path)?, path)
}

fn identified(index: Index, path: &Path) -> Result<(Index, Identity), StoreError> {
    let metadata = fs::metadata(path).map_err(DiskError::at("examine", path))?;
    Ok((index, (metadata.dev(), metadata.ino())))
}

/// Which index has this name now.
pub(super) fn identity_of(path: &Path) -> Option<Identity> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

// The database first: without it SQLite takes what is left of its log for nobody's, and removes it.
// Of earlier ones that were set aside none stays.
fn set_aside(user: &str, path: &Path, error: &StoreError) -> Result<(), StoreError> {
    let with = |ending: &str| -> PathBuf {
        let mut path = path.as_os_str().to_owned();
        path.push(ending);
        path.into()
    };
    let aside = with(DAMAGED);
    for ending in ["", "-wal", "-shm"] {
        let (from, to) = (with(ending), with(&format!("{DAMAGED}{ending}")));
        let moved = fs::rename(&from, &to).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => match fs::remove_file(&to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
            _ => Err(error),
        });
        moved.map_err(DiskError::at("move", from))?;
    }
    tracing::error!(
        user,
        cause = %Cause::of(error),
        aside = %aside.display(),
        "the index is damaged; it was set aside and is made anew from the Maildir, with the same UIDs. Look after \
         the disk; `postroom index check {user}` compares both, and the file that was set aside can be removed"
    );
    Ok(())
}

// Never inherited by a program that is run, and given back when it is dropped.
fn lock_folder(path: &Path, how: FlockOperation) -> Result<File, DiskError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let failed = || DiskError::at("lock", folder);
    let file = File::open(folder).map_err(failed())?;
    loop {
        match rustix::fs::flock(&file, how) {
            Err(rustix::io::Errno::INTR) => {}
            // A file system without such locks: the identity is all there is.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => break,
            locked => {
                locked.map_err(|errno| failed()(errno.into()))?;
                break;
            }
        }
    }
    Ok(file)
}

impl LocalAccount {
    /// Whether an error says that this account's index is damaged: not another database of it.
    pub(super) fn is_of_index(&self, error: &StoreError) -> bool {
        match error {
            StoreError::Index(error) => {
                matches!(&**error, IndexError::Damaged { path, .. } if *path == self.index_path)
            }
            _ => false,
        }
    }

    /// Does something that is the same when it is done twice; where it finds the index damaged, once more
    /// with a new one.
    pub(super) fn sound<T>(&self, work: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let seen = *lock(&self.identity);
        match work() {
            Err(error) if self.is_of_index(&error) => {
                self.mend_unless_done(&error, seen)?;
                work()
            }
            done => done,
        }
    }

    /// Does something that may only be done once; where it finds the index damaged it fails, and the next
    /// who comes has a new one.
    pub(super) fn sound_next_time<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let seen = *lock(&self.identity);
        let done = work();
        if let Err(error) = &done
            && self.is_of_index(error)
        {
            self.mend_unless_done(error, seen)?;
        }
        done
    }

    // Another thread may have been faster while this one waited for the index.
    fn mend_unless_done(&self, damage: &StoreError, seen: Identity) -> Result<(), StoreError> {
        let mut index = lock(&self.index);
        let current = *lock(&self.identity);
        match current == seen {
            true => self.mend(&mut index, damage),
            false => Ok(()),
        }
    }

    /// Puts a new index in the place of this one, which is damaged.
    pub(super) fn mend(&self, index: &mut Index, damage: &StoreError) -> Result<(), StoreError> {
        let mended = self.replace(index, damage).and_then(|()| match self.recover(index)? {
            true => self.note_boot(index),
            false => Ok(()),
        });
        mended.inspect_err(|error| {
            tracing::error!(user = %self.user, cause = %Cause::of(error), "cannot make a damaged index anew");
        })
    }

    fn replace(&self, index: &mut Index, damage: &StoreError) -> Result<(), StoreError> {
        let path = &self.index_path;
        let _alone = lock_folder(path, FlockOperation::LockExclusive)?;
        let mut identity = lock(&self.identity);
        // Another process may have made a new one.
        if identity_of(path).is_none_or(|found| found == *identity) {
            set_aside(&self.user, path, damage)?;
        }
        let (new, found) = open(path)?;
        // What closes now must not touch the files of the new one.
        index.keep_log();
        *index = new;
        *identity = found;
        Ok(())
    }
}

impl Drop for LocalAccount {
    /// SQLite removes its log by name when it closes. Where the index was moved away, another may have that
    /// name by now, and its log must stay.
    fn drop(&mut self) {
        // Nobody moves the index while it closes; the lock goes when all is closed.
        *lock(&self.closing) = lock_folder(&self.index_path, FlockOperation::LockShared).ok();
        let index = lock(&self.index);
        // A log of a few deliveries is not worth tidying up as long as more may come.
        let lasts = self.options.keep_logs && !self.tended.load(Ordering::Relaxed);
        if lasts && (1..=LOG_KEPT).contains(&index.log_size()) || !self.is_current() {
            index.keep_log();
        }
    }
}
