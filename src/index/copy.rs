//! An index copied while others write to it.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::{Durability, Index, IndexError};

impl Index {
    /// Copies the index as it is at the moment at which `first` ends. While `first` runs nobody writes to the index;
    /// while the copy is made they may again. The copy takes itself for one from another start of the machine, so
    /// that whoever opens it gives no number again that the original gave since.
    ///
    /// # Errors
    /// Those of `first`, or where the copy cannot be made.
    pub fn copy<E: From<IndexError>>(&mut self, to: &Path, first: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let path = self.path().to_owned();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&path, flags).map_err(IndexError::at(&path))?;
        let writers_wait = self.begin(Durability::Process)?;
        first()?;
        // A read transaction is the moment that is copied.
        let moment = reader
            .execute_batch("BEGIN")
            .and_then(|()| reader.query_row("SELECT count(*) FROM fact", [], |_| Ok(())));
        moment.map_err(IndexError::at(&path))?;
        drop(writers_wait);
        copy(&reader, to).map_err(IndexError::at(to))?;
        Ok(())
    }
}

fn copy(from: &Connection, to: &Path) -> rusqlite::Result<()> {
    let mut target = Connection::open(to)?;
    let backup = Backup::new(from, &mut target)?;
    while backup.step(-1)? != StepResult::Done {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    drop(backup);
    target.execute("DELETE FROM fact WHERE name = 'boot'", [])?;
    Ok(())
}
