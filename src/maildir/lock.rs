//! `dovecot-uidlist.lock`: Dovecot's lock on a folder's small files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::DiskError;

/// A lock whose file was not touched for so long is stale.
const STALE: Duration = Duration::from_secs(120);
/// How often to look again.
const PAUSE: Duration = Duration::from_millis(20);

/// The lock, held until dropped.
pub(super) struct UidListLock {
    path: PathBuf,
}

impl UidListLock {
    /// Takes the lock of a folder, waiting at most `patience`; none where another holds it longer.
    pub(super) fn take(folder: &Path, patience: Duration) -> Result<Option<UidListLock>, DiskError> {
        let path = folder.join("dovecot-uidlist.lock");
        let begun = Instant::now();
        loop {
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(mut file) => {
                    // Dovecot writes who holds it; only people read it.
                    let _ = write!(file, "{}:postroom", std::process::id());
                    return Ok(Some(UidListLock { path }));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if is_stale(&path) {
                        let _ = fs::remove_file(&path);
                        continue;
                    }
                    if begun.elapsed() >= patience {
                        return Ok(None);
                    }
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(DiskError::at("create", path)(error)),
            }
        }
    }
}

impl Drop for UidListLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn is_stale(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > STALE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_stale_locks_end() {
        let home = tempfile::tempdir().unwrap();
        let lock = UidListLock::take(home.path(), Duration::ZERO).unwrap();
        assert!(lock.is_some());
        assert!(
            UidListLock::take(home.path(), Duration::from_millis(30))
                .unwrap()
                .is_none()
        );
        drop(lock);
        fs::write(home.path().join("dovecot-uidlist.lock"), "1:gone").unwrap();
        let old = std::time::SystemTime::now() - STALE - Duration::from_secs(5);
        let file = fs::File::options()
            .write(true)
            .open(home.path().join("dovecot-uidlist.lock"))
            .unwrap();
        file.set_modified(old).unwrap();
        assert!(UidListLock::take(home.path(), Duration::ZERO).unwrap().is_some());
    }
}
