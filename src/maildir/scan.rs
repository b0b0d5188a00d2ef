//! What lies in a folder, and whether that can have changed.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{DiskError, FileName, Folder};

/// Directory times younger than this may hide a change in the same tick.
const SETTLED: Duration = Duration::from_secs(2);
/// Files in `tmp/` older than this were left by a writer that died (as others have it: 36 hours).
const ABANDONED: Duration = Duration::from_secs(36 * 3600);

/// In which part of a folder a file lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// `new/`.
    New,
    /// `cur/`.
    Cur,
}

impl Place {
    /// The name of the part.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Place::New => "new",
            Place::Cur => "cur",
        }
    }
}

/// A file seen in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its base name.
    pub base: String,
    /// The letters of its flags; or `/` and the ending of its name, where that is not as
    /// others write it (`cur/` without `:2,`, `new/` with it, another info part).
    pub letters: String,
    /// Where it lies.
    pub place: Place,
}

impl Seen {
    /// The file's path within its folder.
    #[must_use]
    pub fn relative_path(&self) -> PathBuf {
        relative_path(&self.base, &self.letters, self.place)
    }

    /// The letters of its flags, whatever its name ends in.
    #[must_use]
    pub fn flag_letters(&self) -> &str {
        match self.letters.strip_prefix('/') {
            Some(ending) => FileName::parse(ending).letters,
            None => &self.letters,
        }
    }

    fn parse(name: &str, place: Place) -> Seen {
        let FileName { base, letters } = FileName::parse(name);
        let usual = relative_path(base, letters, place).file_name() == Some(name.as_ref());
        Seen {
            base: base.to_owned(),
            letters: if usual {
                letters.to_owned()
            } else {
                format!("/{}", &name[base.len()..])
            },
            place,
        }
    }
}

/// The path, within its folder, of a file with this base name and these flags.
#[must_use]
pub(super) fn relative_path(base: &str, letters: &str, place: Place) -> PathBuf {
    let mut path = PathBuf::from(place.as_str());
    match (place, letters.strip_prefix('/')) {
        (_, Some(ending)) => path.push(format!("{base}{ending}")),
        (Place::New, None) if letters.is_empty() => path.push(base),
        _ => path.push(format!("{base}:2,{letters}")),
    }
    path
}

/// The time of change of one part of a folder, in nanoseconds; zero is "unknown".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp(i64);

impl Stamp {
    /// A stamp read back from the index.
    #[must_use]
    pub fn from_stored(nanoseconds: i64) -> Stamp {
        Stamp(nanoseconds)
    }

    /// The number that the index keeps.
    #[must_use]
    pub fn stored(self) -> i64 {
        self.0
    }

    /// Whether this and `now` prove that nothing changed in between.
    #[must_use]
    pub fn proves_unchanged(self, now: Stamp) -> bool {
        self.0 != 0 && self == now
    }

    fn of(metadata: &Metadata) -> Stamp {
        let stamp = metadata
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.mtime_nsec());
        Stamp(stamp)
    }

    // A change in the tick in which we looked leaves the same time.
    fn if_settled(self, now: SystemTime) -> Stamp {
        let changed = SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(self.0).unwrap_or(0));
        match now.duration_since(changed) {
            Ok(age) if age > SETTLED => self,
            _ => Stamp::default(),
        }
    }
}

/// All that lies in `new/` or `cur/`.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The files.
    pub files: Vec<Seen>,
    /// The time of change, where it was old enough to be trusted later.
    pub stamp: Stamp,
}

impl Folder {
    /// The time of change of one part as it is now.
    ///
    /// # Errors
    /// Where the part cannot be examined.
    pub fn stamp(&self, place: Place) -> Result<Stamp, DiskError> {
        let path = self.path().join(place.as_str());
        fs::metadata(&path)
            .map(|metadata| Stamp::of(&metadata))
            .map_err(DiskError::at("examine", path))
    }

    /// Lists one part. Names that are not UTF-8, hidden files, and what is neither a file
    /// nor a link are passed over.
    ///
    /// # Errors
    /// Where the part cannot be read to its end: an unreadable folder is never an empty one.
    pub fn list(&self, place: Place) -> Result<Listing, DiskError> {
        let path = self.path().join(place.as_str());
        // The time is taken before the names: what changes meanwhile shows next time.
        let stamp = self.stamp(place)?.if_settled(SystemTime::now());
        let mut files = Vec::new();
        for entry in fs::read_dir(&path).map_err(DiskError::at("read", &path))? {
            let entry = entry.map_err(DiskError::at("read", &path))?;
            let is_other = entry
                .file_type()
                .is_ok_and(|kind| !kind.is_file() && !kind.is_symlink());
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str().filter(|name| !name.starts_with('.') && !is_other) else {
                continue;
            };
            files.push(Seen::parse(name, place));
        }
        Ok(Listing { files, stamp })
    }

    /// The path of a message; where it is not where it was last seen, both parts are searched.
    ///
    /// # Errors
    /// `NotFound` where no file has this base name any more.
    pub fn find(&self, seen: &Seen) -> Result<PathBuf, DiskError> {
        let path = self.path().join(seen.relative_path());
        if path.exists() {
            return Ok(path);
        }
        for place in [Place::New, Place::Cur] {
            if let Some(found) = self.list(place)?.files.iter().find(|file| file.base == seen.base) {
                return Ok(self.path().join(found.relative_path()));
            }
        }
        Err(DiskError::at("find", path)(io::ErrorKind::NotFound.into()))
    }

    /// Removes what writers that died left in `tmp/` 36 hours ago or more.
    pub fn sweep(&self) {
        self.sweep_older(ABANDONED);
    }

    // By the time of the last change of any kind: a message that is being appended has its
    // INTERNALDATE as its time already, which may lie years back.
    fn sweep_older(&self, than: Duration) {
        let abandoned = |path: &Path| {
            let seconds = |metadata: Metadata| u64::try_from(metadata.ctime()).unwrap_or(0);
            let changed = fs::metadata(path).map(|metadata| UNIX_EPOCH + Duration::from_secs(seconds(metadata)));
            changed.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > than))
        };
        for entry in fs::read_dir(self.tmp()).into_iter().flatten().flatten() {
            if abandoned(&entry.path()) && fs::remove_file(entry.path()).is_ok() {
                tracing::info!(path = %entry.path().display(), "removed a file that a writer left unfinished");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::MailboxName;
    use crate::maildir::{Disk, Folders};

    fn folder() -> (tempfile::TempDir, Folder) {
        let home = tempfile::tempdir().unwrap();
        let folder = Folders::new(home.path().to_owned())
            .create(&Disk::default(), &MailboxName::inbox())
            .unwrap();
        (home, folder)
    }

    #[test]
    fn lists_and_finds_what_moved() {
        let (_home, folder) = folder();
        fs::write(folder.new_().join("1.a.host"), "x").unwrap();
        fs::write(folder.cur().join("2.b.host:2,S"), "y").unwrap();
        fs::write(folder.cur().join(".hidden"), "").unwrap();
        fs::create_dir(folder.cur().join("folder")).unwrap();
        let new = folder.list(Place::New).unwrap().files;
        assert_eq!(
            new,
            [Seen {
                base: "1.a.host".into(),
                letters: String::new(),
                place: Place::New
            }]
        );
        assert_eq!(folder.list(Place::Cur).unwrap().files[0].letters, "S");
        fs::rename(folder.new_().join("1.a.host"), folder.cur().join("1.a.host:2,RS")).unwrap();
        assert_eq!(folder.find(&new[0]).unwrap(), folder.cur().join("1.a.host:2,RS"));
        fs::remove_file(folder.cur().join("1.a.host:2,RS")).unwrap();
        assert_eq!(folder.find(&new[0]).unwrap_err().source.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn an_unreadable_folder_is_an_error() {
        let (_home, folder) = folder();
        fs::remove_dir(folder.new_()).unwrap();
        assert!(folder.list(Place::New).is_err());
    }

    #[test]
    fn young_times_prove_nothing() {
        let (_home, folder) = folder();
        assert_eq!(folder.list(Place::New).unwrap().stamp, Stamp::default());
        let old = SystemTime::now() - Duration::from_secs(10);
        fs::File::open(folder.new_()).unwrap().set_modified(old).unwrap();
        let stamp = folder.list(Place::New).unwrap().stamp;
        assert!(stamp.proves_unchanged(folder.stamp(Place::New).unwrap()));
        fs::write(folder.new_().join("1.a.host"), "x").unwrap();
        assert!(!stamp.proves_unchanged(folder.stamp(Place::New).unwrap()));
    }

    #[test]
    fn only_abandoned_files_are_swept() {
        let (_home, folder) = folder();
        let dated = folder.tmp().join("dated");
        let file = fs::File::create(&dated).unwrap();
        // As a message that is being appended with a date of its own.
        file.set_modified(SystemTime::now() - Duration::from_secs(40 * 3600))
            .unwrap();
        folder.sweep();
        assert!(dated.exists());
        std::thread::sleep(Duration::from_millis(10));
        folder.sweep_older(Duration::ZERO);
        assert!(!dated.exists());
    }
}
