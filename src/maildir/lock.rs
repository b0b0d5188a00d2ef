//! Dovecot's lock files: `NAME.lock` beside the file NAME.
//!
//! One is held by whoever made it (`O_EXCL`); its content `pid:hostname` says who. As
//! Dovecot does, a waiter takes away the lock of a process of this host that is no
//! more, once the lock is two seconds old, and any lock when neither it nor the file
//! it guards was touched for so long as that file's locks live (120 s for
//! `dovecot-uidlist`). Unlike Dovecot's processes ours have threads: a lock with our
//! own number is stale only where no thread of ours holds it.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::disk::open_regular;
use super::{Disk, DiskError};

/// A uidlist's lock that was not touched for so long is stale.
const UIDLIST_STALE: Duration = Duration::from_secs(120);
/// How often a lock that is held for long is touched.
const TOUCH: Duration = Duration::from_secs(10);
/// So old is a lock before anybody asks whether its process still lives.
const ASK: Duration = Duration::from_secs(2);
/// How often to look again.
const PAUSE: Duration = Duration::from_millis(20);

/// The lock files that threads of this process hold, with their device and inode.
static HELD: Mutex<BTreeMap<PathBuf, (u64, u64)>> = Mutex::new(BTreeMap::new());

/// `dovecot-uidlist.lock`: Dovecot's lock on a folder's small files, held until dropped.
///
/// Who has it alone may write `dovecot-uidlist` and `dovecot-keywords`. Whoever holds it
/// for longer than a moment calls [`UidListLock::keep`] meanwhile.
#[derive(Debug)]
pub struct UidListLock {
    folder: PathBuf,
    lock: DotLock,
}

impl UidListLock {
    /// Takes the lock of a folder, waiting at most `patience`; none where another holds it longer.
    ///
    /// # Errors
    /// Where the lock file cannot be made, as in a folder that is not there.
    pub fn acquire(folder: &Path, patience: Duration) -> Result<Option<UidListLock>, DiskError> {
        let who = format!("{}:{}", std::process::id(), hostname());
        let lock = DotLock::acquire(&folder.join("dovecot-uidlist"), UIDLIST_STALE, patience)?;
        let Some(mut lock) = lock else {
            return Ok(None);
        };
        // Without its content the lock holds all the same, until it is too old.
        let _ = lock.file.write_all(who.as_bytes());
        Ok(Some(UidListLock {
            folder: folder.to_owned(),
            lock,
        }))
    }

    /// The folder whose lock this is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Touches the lock where ten seconds passed since that was done. Work that may take
    /// longer than a few seconds calls this between its steps; it costs nothing most times.
    ///
    /// False says that another took the lock away: nothing must be written any more.
    ///
    /// # Errors
    /// Where the lock file cannot be examined or touched.
    pub fn keep(&mut self) -> Result<bool, DiskError> {
        self.lock.keep()
    }
}

/// `NAME.lock` in general.
#[derive(Debug)]
pub(super) struct DotLock {
    guarded: PathBuf,
    path: PathBuf,
    file: File,
    identity: (u64, u64),
    touched: Instant,
}

impl DotLock {
    /// Takes the lock of the file `guarded`; the lock file is made empty.
    pub(super) fn acquire(guarded: &Path, stale: Duration, patience: Duration) -> Result<Option<DotLock>, DiskError> {
        let mut path = guarded.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let begun = Instant::now();
        loop {
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return DotLock::made(guarded, path, file).map(Some),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let removed = remove_stale(&path, guarded, stale);
                    if !removed && begun.elapsed() >= patience {
                        return Ok(None);
                    }
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(DiskError::at("create", path)(error)),
            }
        }
    }

    fn made(guarded: &Path, path: PathBuf, file: File) -> Result<DotLock, DiskError> {
        let identity = file.metadata().map(|it| identity(&it));
        let identity = identity.map_err(DiskError::at("examine", &path))?;
        held().insert(path.clone(), identity);
        Ok(DotLock {
            guarded: guarded.to_owned(),
            path,
            file,
            identity,
            touched: Instant::now(),
        })
    }

    fn keep(&mut self) -> Result<bool, DiskError> {
        if self.touched.elapsed() < TOUCH {
            return Ok(true);
        }
        if !self.is_ours() {
            return Ok(false);
        }
        let touched = self.file.set_modified(SystemTime::now());
        touched.map_err(DiskError::at("touch", &self.path))?;
        self.touched = Instant::now();
        Ok(true)
    }

    /// Writes `content` into the lock file and makes that the guarded file, durably: thus
    /// Dovecot replaces its small files, and the lock ends with it.
    pub(super) fn replace(mut self, disk: &Disk, content: &[u8]) -> Result<(), DiskError> {
        let written = self.file.write_all(content);
        let written = written.and_then(|()| self.file.set_permissions(Permissions::from_mode(disk.file_mode)));
        written.map_err(DiskError::at("write", &self.path))?;
        disk.flush(&self.file, &self.path)?;
        if !self.is_ours() {
            return Err(DiskError::at("keep", &self.path)(io::Error::other(
                "another program took the lock away",
            )));
        }
        fs::rename(&self.path, &self.guarded).map_err(DiskError::at("replace", &self.guarded))?;
        disk.flush_parent(&self.guarded)
    }

    fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|it| identity(&it) == self.identity)
    }
}

impl Drop for DotLock {
    fn drop(&mut self) {
        // Another's, where ours was taken away as stale, stays.
        if self.is_ours() {
            let _ = fs::remove_file(&self.path);
        }
        // Another thread may have made its own by now.
        let mut held = held();
        if held.get(&self.path) == Some(&self.identity) {
            held.remove(&self.path);
        }
    }
}

fn held() -> std::sync::MutexGuard<'static, BTreeMap<PathBuf, (u64, u64)>> {
    // A map of paths is whole whatever a thread that panicked was about.
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

// Takes away a lock that nobody can hold any more; true where it is worth trying again at once.
fn remove_stale(path: &Path, guarded: &Path, stale: Duration) -> bool {
    let Ok(seen) = fs::symlink_metadata(path) else {
        return true;
    };
    let is_silent = || is_older(&seen, stale) && is_untouched(guarded, stale);
    if !holder_is_gone(path, &seen) && !is_silent() {
        return false;
    }
    // Between our judging and our removing, another may have removed it and made its own.
    let same = |now: &Metadata| identity(now) == identity(&seen) && now.mtime_nsec() == seen.mtime_nsec();
    if !fs::symlink_metadata(path).is_ok_and(|now| same(&now)) {
        return true;
    }
    tracing::info!(path = %path.display(), "removed a lock whose holder is gone");
    fs::remove_file(path).is_ok()
}

fn is_older(metadata: &Metadata, age: Duration) -> bool {
    metadata
        .modified()
        .is_ok_and(|time| time.elapsed().is_ok_and(|elapsed| elapsed > age))
}

fn is_untouched(guarded: &Path, stale: Duration) -> bool {
    fs::metadata(guarded).map_or(true, |metadata| is_older(&metadata, stale))
}

fn holder_is_gone(path: &Path, seen: &Metadata) -> bool {
    if !is_older(seen, ASK) {
        return false;
    }
    let mut text = String::new();
    let read = open_regular(path).and_then(|file| file.take(512).read_to_string(&mut text));
    let Some((pid, host)) = read.ok().and_then(|_| text.trim_end_matches('\n').split_once(':')) else {
        return false;
    };
    let Some(pid) = pid.parse().ok().and_then(rustix::process::Pid::from_raw) else {
        return false;
    };
    if host != hostname() {
        return false;
    }
    if pid == rustix::process::getpid() {
        return !held().contains_key(path);
    }
    rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH)
}

fn hostname() -> String {
    nix::unistd::gethostname().map_or_else(|_| String::new(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acquire(folder: &Path) -> Option<UidListLock> {
        UidListLock::acquire(folder, Duration::ZERO).unwrap()
    }

    fn age(path: &Path, seconds: u64) {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds))
            .unwrap();
    }

    #[test]
    fn one_holder_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let mut lock = acquire(home.path()).unwrap();
        let content = fs::read_to_string(home.path().join("dovecot-uidlist.lock")).unwrap();
        assert_eq!(content, format!("{}:{}", std::process::id(), hostname()));
        assert!(acquire(home.path()).is_none());
        assert!(lock.keep().unwrap());
        drop(lock);
        assert!(acquire(home.path()).is_some());
        assert!(UidListLock::acquire(&home.path().join("missing"), Duration::ZERO).is_err());
    }

    #[test]
    fn locks_of_the_dead_and_the_silent_end() {
        // A process that was, and is no more.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let (gone, own, host) = (child.id(), std::process::id(), hostname());
        for (content, lock_age, list_age, free) in [
            (format!("{gone}:{host}"), 5, None, true),
            (format!("{gone}:{host}"), 0, None, false),
            (format!("{gone}:elsewhere"), 5, None, false),
            (format!("1:{host}"), 5, None, false),
            // Of an earlier run of ours under the same number, as in a container.
            (format!("{own}:{host}"), 5, None, true),
            (String::new(), 5, None, false),
            (String::new(), 130, None, true),
            (String::new(), 130, Some(10), false),
            (String::new(), 130, Some(130), true),
            ("x:y\u{0}".to_owned(), 5, None, false),
        ] {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("dovecot-uidlist.lock");
            fs::write(&path, &content).unwrap();
            age(&path, lock_age);
            if let Some(list_age) = list_age {
                fs::write(home.path().join("dovecot-uidlist"), "").unwrap();
                age(&home.path().join("dovecot-uidlist"), list_age);
            }
            let patience = Duration::from_millis(if free { 5000 } else { 50 });
            let lock = UidListLock::acquire(home.path(), patience).unwrap();
            assert_eq!(lock.is_some(), free, "{content:?} {lock_age} {list_age:?}");
        }
    }

    #[test]
    fn a_lock_of_our_own_thread_is_not_that_of_the_dead() {
        let home = tempfile::tempdir().unwrap();
        let _lock = acquire(home.path()).unwrap();
        age(&home.path().join("dovecot-uidlist.lock"), 60);
        assert!(acquire(home.path()).is_none());
    }

    #[test]
    fn a_lock_that_was_taken_away_is_noticed_and_left() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("dovecot-uidlist.lock");
        let mut lock = acquire(home.path()).unwrap();
        // Another inode under the name.
        fs::write(home.path().join("other"), "1:other").unwrap();
        fs::rename(home.path().join("other"), &path).unwrap();
        lock.lock.touched = Instant::now().checked_sub(TOUCH).unwrap();
        assert!(!lock.keep().unwrap());
        drop(lock);
        assert!(path.exists());
    }

    #[test]
    fn long_work_touches() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("dovecot-uidlist.lock");
        let mut lock = acquire(home.path()).unwrap();
        age(&path, 60);
        lock.lock.touched = Instant::now().checked_sub(TOUCH).unwrap();
        assert!(lock.keep().unwrap());
        assert!(!is_older(&fs::metadata(&path).unwrap(), Duration::from_secs(30)));
    }
}
