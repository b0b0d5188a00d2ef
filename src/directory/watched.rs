//! A file that is read again when it changes.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::table_file::TableError;
use crate::mail::Cause;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// A file changed later than this before it was read may change again unseen.
const SETTLED: Duration = Duration::from_secs(2);

/// What a file says.
pub(super) trait Content: Sized {
    /// What it is made of, for the log: "accounts".
    const WHAT: &'static str;

    /// How many there are.
    fn count(&self) -> usize;
}

/// A file and what it said when it was last in order.
///
/// The file is looked at when somebody asks, at most once a second. One that is
/// broken or gone leaves what was known as it was, and an error in the log.
pub(super) struct Watched<T> {
    file: PathBuf,
    pub(super) interval: Duration,
    loaded: Mutex<Option<Loaded<T>>>,
}

struct Loaded<T> {
    content: Arc<T>,
    stamp: Option<Stamp>,
    checked: Instant,
}

/// What tells one version of the file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    changed: (i64, i64),
    modified: (i64, i64),
    /// Whether it was long unchanged when it was read.
    settled: bool,
}

impl<T: Content> Watched<T> {
    /// Of a file that was not read yet.
    pub(super) fn new(file: &Path) -> Watched<T> {
        Watched {
            file: file.to_owned(),
            interval: INTERVAL,
            loaded: Mutex::new(None),
        }
    }

    /// The file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// What the file says, or said when it was last in order; `read` makes it of the text.
    ///
    /// # Errors
    /// [`TableError`] where it was never in order since the start.
    pub(super) fn get(&self, read: impl Fn(&str) -> Result<T, TableError>) -> Result<Arc<T>, TableError> {
        // A thread that panicked here left the last good content behind.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = loaded.as_mut() {
            if loaded.checked.elapsed() >= self.interval {
                self.refresh(loaded, &read);
                loaded.checked = Instant::now();
            }
            return Ok(Arc::clone(&loaded.content));
        }
        let stamp = self.stamp()?;
        let content = Arc::new(self.load(&read)?);
        *loaded = Some(Loaded {
            content: Arc::clone(&content),
            stamp: Some(stamp),
            checked: Instant::now(),
        });
        Ok(content)
    }

    fn refresh(&self, loaded: &mut Loaded<T>, read: &impl Fn(&str) -> Result<T, TableError>) {
        let (file, what) = (self.file.display(), T::WHAT);
        let stamp = match self.stamp() {
            Ok(stamp) => stamp,
            Err(error) => {
                if loaded.stamp.take().is_some() {
                    let cause = Cause::of(&error);
                    tracing::warn!("{cause}; the {what} stay as they were until it is back");
                }
                return;
            }
        };
        if loaded.stamp.is_some_and(|known| known.settled && known == stamp) {
            return;
        }
        let is_new = loaded.stamp.is_none_or(|known| !known.same_file(&stamp));
        match self.load(read) {
            Ok(content) => {
                if is_new {
                    tracing::info!("read {file} again: {} {what}", content.count());
                }
                loaded.content = Arc::new(content);
            }
            Err(error) if is_new => {
                let cause = Cause::of(&error);
                tracing::error!("{cause}; the {what} stay as they were until this is mended");
            }
            Err(_) => {}
        }
        loaded.stamp = Some(stamp);
    }

    fn load(&self, read: impl Fn(&str) -> Result<T, TableError>) -> Result<T, TableError> {
        let text = fs::read_to_string(&self.file).map_err(|error| self.unreadable(error))?;
        read(&text)
    }

    fn stamp(&self) -> Result<Stamp, TableError> {
        let metadata = fs::metadata(&self.file).map_err(|error| self.unreadable(error))?;
        Ok(Stamp::of(&metadata, SystemTime::now()))
    }

    fn unreadable(&self, source: std::io::Error) -> TableError {
        TableError::Unreadable {
            file: self.file.clone(),
            source,
        }
    }
}

impl Stamp {
    fn of(metadata: &Metadata, now: SystemTime) -> Stamp {
        // A clock that was set back makes a file look new for a while: read it again then.
        let age = metadata.modified().ok().and_then(|time| now.duration_since(time).ok());
        Stamp {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            settled: age.is_some_and(|age| age > SETTLED),
        }
    }

    fn same_file(&self, other: &Stamp) -> bool {
        Stamp { settled: true, ..*self }
            == Stamp {
                settled: true,
                ..*other
            }
    }
}
