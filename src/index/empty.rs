//! A new index as bytes: its file is written at once, instead of running the statements of the schema in it, which cost a
//! third of the processor time of a first delivery.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::LazyLock;

use rusqlite::Connection;

use super::schema;

/// Settings that hold only where they are made before the first table.
pub(super) fn shape(connection: &Connection) -> rusqlite::Result<()> {
    // An account of few messages has more tables than pages full, and a delivery touches eight
    // pages. What packs leave free goes back to the file system.
    connection.pragma_update(None, "page_size", 2048)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")
}

/// Puts an empty index where there is no file, without a flush; false where that fails or there is one.
pub(super) fn plant(path: &Path) -> bool {
    static EMPTY: LazyLock<Option<Vec<u8>>> = LazyLock::new(|| empty().ok());
    let Some(empty) = EMPTY.as_ref() else { return false };
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = Path::new(&temporary);
    // As a whole: what another process opened half written it would call damaged.
    let _ = fs::remove_file(temporary);
    // With the permissions that SQLite gives.
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(temporary);
    let written = opened.and_then(|mut file| file.write_all(empty));
    let planted = written.and_then(|()| fs::hard_link(temporary, path));
    let _ = fs::remove_file(temporary);
    planted.is_ok()
}

// The bytes of an index that has its tables and nothing in them.
fn empty() -> rusqlite::Result<Vec<u8>> {
    let mut connection = Connection::open_in_memory()?;
    shape(&connection)?;
    schema::create(&connection)?;
    let mut bytes = connection.serialize("main")?.to_vec();
    // Both versions of the file format that say that there may be a log (SQLite's file format §1.3.2).
    bytes[18..20].fill(2);
    Ok(bytes)
}
