//! What is wrong with an index.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::schema;

/// What is wrong with an index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// SQLite could not do it.
    #[error("the index {} failed", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
    /// It is damaged, or no database at all.
    #[error("the index {} is damaged: `postroom index rebuild USER` makes it anew from the Maildir", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
    /// It was written by a newer postroom.
    #[error("the index {} has schema {found}, this postroom knows {}: use the newer postroom", path.display(), schema::VERSION)]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
    /// It would lie on a network file system, where SQLite's locks do not hold.
    #[error(
        "the index {} would lie on a network file system ({kind}): set [store] index_root to a folder on a local disk",
        path.display()
    )]
    Network {
        /// The database.
        path: PathBuf,
        /// Which file system.
        kind: &'static str,
    },
    /// Its folder cannot be examined.
    #[error("cannot examine the folder of the index {}", path.display())]
    Folder {
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl IndexError {
    /// Whether it failed because the disk is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self, IndexError::Sqlite { source, .. } if source.sqlite_error_code() == Some(ErrorCode::DiskFull))
    }

    /// Whether the file itself is damaged, so that only a new one helps.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        matches!(self, IndexError::Damaged { .. })
    }

    pub(super) fn at(path: &Path) -> impl FnOnce(rusqlite::Error) -> IndexError {
        let path = path.to_owned();
        move |source| match is_damage(&source) {
            true => IndexError::Damaged { path, source },
            false => IndexError::Sqlite { path, source },
        }
    }
}

// SQLite says so, or a value is there that nobody writes.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    match error {
        Error::IntegralValueOutOfRange(..) | Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) => true,
        error => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ),
    }
}
