//! The flush of a whole file system, shared by all who wait for one.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use rustix::io::Errno;

use super::lock;
use super::pool::Pool;
use crate::maildir::{Disk, DiskError};

/// A flush of a file system that somebody waits for.
#[derive(Debug)]
struct Wanted {
    device: u64,
    path: PathBuf,
    /// Its end, and the system's error where it failed.
    done: Mutex<Option<Result<(), i32>>>,
}

static WANTED: LazyLock<Pool<Wanted>> = LazyLock::new(Pool::default);

/// On which file system a path lies.
pub(super) fn device_of(path: &Path) -> Result<u64, DiskError> {
    let found = fs::metadata(path).map_err(DiskError::at("examine", path))?;
    Ok(found.dev())
}

/// Flushes the file system of a folder, once for all who wait for that; answers its device.
pub(super) fn flush_together(disk: &Disk, path: &Path) -> Result<u64, DiskError> {
    let device = device_of(path)?;
    let wanted = Arc::new(Wanted {
        device,
        path: path.to_owned(),
        done: Mutex::default(),
    });
    let is_done = |wanted: &Wanted| lock(&wanted.done).is_some();
    WANTED.join(&wanted, is_done, |batch| {
        let mut flushed = HashMap::new();
        for wanted in batch {
            let done = flushed.entry(wanted.device).or_insert_with(|| {
                let done = disk.flush_file_system(&wanted.path);
                // An error is told once only, so all who waited must hear of it.
                done.map_err(|error| error.source.raw_os_error().unwrap_or(Errno::IO.raw_os_error()))
            });
            *lock(&wanted.done) = Some(*done);
        }
    });
    let done = lock(&wanted.done).take();
    match done {
        Some(done) => done
            .map_err(io::Error::from_raw_os_error)
            .map_err(DiskError::at("flush the file system of", path))?,
        // Whoever flushed for all died on the way.
        None => disk.flush_file_system(path)?,
    }
    Ok(device)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_flush_that_is_shared_ends_for_all_and_fails_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let device = fs::metadata(folder.path()).unwrap().dev();
        thread::scope(|scope| {
            let flush = || flush_together(&Disk::default(), folder.path());
            let flushes: Vec<_> = (0..8).map(|_| scope.spawn(flush)).collect();
            for flush in flushes {
                assert_eq!(flush.join().unwrap().unwrap(), device);
            }
        });
        let missing = folder.path().join("missing");
        let error = flush_together(&Disk::default(), &missing).unwrap_err();
        assert_eq!(
            (error.path.as_path(), error.source.kind()),
            (missing.as_path(), io::ErrorKind::NotFound)
        );
    }
}
