//! Scripts on disk: the site's files and folders, the user's active script, and what
//! they include.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{Location, Script, ScriptName};

/// The link to the active script, in the account's home.
pub(super) const ACTIVE: &str = ".dovecot.sieve";
/// The folder of the user's scripts, in the account's home.
pub(super) const PERSONAL: &str = "sieve";

/// A script that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The file system said no.
    #[error("cannot read the script {path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Larger than a script may be.
    #[error("the script {path} is larger than {limit} bytes")]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
}

impl FolderError {
    /// Whether trying again is no help until somebody mends it.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        use io::ErrorKind::{InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied};
        match self {
            FolderError::TooLarge { .. } => true,
            FolderError::Io { source, .. } => {
                matches!(
                    source.kind(),
                    NotFound | NotADirectory | IsADirectory | PermissionDenied | InvalidInput
                ) || source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
            }
        }
    }
}

/// Loads a setting such as `[sieve] before`: each path is a script, or a folder of
/// `*.sieve` files, which run in order of name. Other files in a folder are left out, and
/// so are names with a leading dot.
///
/// # Errors
/// [`FolderError`] names the file that cannot be read or is larger than `limit` bytes.
pub fn load(paths: &[PathBuf], limit: usize) -> Result<Vec<Script>, FolderError> {
    let mut scripts = Vec::new();
    for path in paths {
        if !path.is_dir() {
            scripts.push(read(path, limit)?);
            continue;
        }
        for file in files_of(path).map_err(|source| io_error(path, source))? {
            scripts.push(read(&file, limit)?);
        }
    }
    Ok(scripts)
}

/// Loads the user's active script: what `.dovecot.sieve` in the home is or links to; none
/// where there is no such file, or it is a link to nothing.
///
/// # Errors
/// [`FolderError`] as in [`load`].
pub fn load_user(home: &Path, limit: usize) -> Result<Option<Script>, FolderError> {
    match read(&home.join(ACTIVE), limit) {
        Err(FolderError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        script => script.map(Some),
    }
}

/// Where `include` finds scripts (RFC 6609 §3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScriptFolders {
    /// `:personal`, the default.
    pub personal: Option<PathBuf>,
    /// `:global`.
    pub global: Option<PathBuf>,
    /// Bytes of one script.
    pub limit: usize,
}

impl ScriptFolders {
    /// Those of a user: `sieve/` in the home, and the site's.
    #[must_use]
    pub fn of_user(home: &Path, global: Option<PathBuf>, limit: usize) -> ScriptFolders {
        ScriptFolders {
            personal: Some(home.join(PERSONAL)),
            global,
            limit,
        }
    }

    /// Those of a script that is tried on its own: its folder, and `global/` in it.
    #[must_use]
    pub fn beside(script: &Path, limit: usize) -> ScriptFolders {
        let folder = script.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        ScriptFolders {
            personal: Some(folder.to_owned()),
            global: Some(folder.join("global")),
            limit,
        }
    }

    /// The script that `include` names; none where there is none.
    ///
    /// # Errors
    /// What reading failed with; too large a script is [`io::ErrorKind::FileTooLarge`].
    pub fn include(&self, location: Location, name: &ScriptName) -> io::Result<Option<Script>> {
        let folder = match location {
            Location::Personal => &self.personal,
            Location::Global => &self.global,
        };
        let Some(folder) = folder else { return Ok(None) };
        match read(&folder.join(name.file_name()), self.limit) {
            Ok(script) => Ok(Some(script)),
            Err(FolderError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(FolderError::Io { source, .. }) => Err(source),
            Err(error @ FolderError::TooLarge { .. }) => Err(io::Error::new(io::ErrorKind::FileTooLarge, error)),
        }
    }
}

fn files_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "sieve") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

pub(super) fn read(path: &Path, limit: usize) -> Result<Script, FolderError> {
    let error = |source| io_error(path, source);
    // A FIFO or a device would hold up every delivery; O_NONBLOCK keeps open(2) itself from it.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path).map_err(error)?;
    let metadata = file.metadata().map_err(error)?;
    if !metadata.is_file() {
        return Err(error(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    // One byte more, so that the end is seen without room for another piece.
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX).min(limit);
    let mut source = Vec::with_capacity(size + 1);
    file.take(limit as u64 + 1).read_to_end(&mut source).map_err(error)?;
    if source.len() > limit {
        return Err(FolderError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(Script::new(path.display().to_string(), source))
}

fn io_error(path: &Path, source: io::Error) -> FolderError {
    FolderError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_in_order_of_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.sieve", "a.sieve", "c.txt", ".d.sieve"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let single = folder.path().join("c.txt");
        let scripts = load(&[folder.path().to_owned(), single], 100).unwrap();
        let sources: Vec<_> = scripts.iter().map(|script| &script.source[..]).collect();
        assert_eq!(sources, [b"a.sieve", b"b.sieve", &b"c.txt"[..]]);
        assert!(matches!(
            load(&[folder.path().to_owned()], 3),
            Err(FolderError::TooLarge { limit: 3, .. })
        ));
        assert!(load(&[folder.path().join("none")], 3).is_err());
    }

    #[test]
    fn the_active_script_is_what_the_link_says() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(load_user(home.path(), 100).unwrap(), None);
        fs::create_dir(home.path().join("sieve")).unwrap();
        std::os::unix::fs::symlink("sieve/x.sieve", home.path().join(ACTIVE)).unwrap();
        assert_eq!(load_user(home.path(), 100).unwrap(), None);
        fs::write(home.path().join("sieve/x.sieve"), "keep;").unwrap();
        let script = load_user(home.path(), 100).unwrap().unwrap();
        assert_eq!(&script.source[..], b"keep;");
    }

    #[test]
    fn includes_come_from_their_folders() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("global")).unwrap();
        fs::write(folder.path().join("x.sieve"), "personal").unwrap();
        fs::write(folder.path().join("global/x.sieve"), "global").unwrap();
        let folders = ScriptFolders::beside(&folder.path().join("main.sieve"), 100);
        let name = ScriptName::parse("x").unwrap();
        for (location, text) in [(Location::Personal, "personal"), (Location::Global, "global")] {
            let script = folders.include(location, &name).unwrap().unwrap();
            assert_eq!(&script.source[..], text.as_bytes());
        }
        let none = ScriptName::parse("y").unwrap();
        assert_eq!(folders.include(Location::Personal, &none).unwrap(), None);
    }
}
