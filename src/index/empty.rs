//! A new index as bytes: its file is written at once, instead of running the statements of the schema in it, which cost a
//! third of the processor time of a first delivery.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::LazyLock;

use rusqlite::Connection;
use rustix::fs::{AtFlags, CWD, OFlags, linkat};

use super::schema;

/// Settings that hold only where they are made before the first table.
pub(super) fn shape(connection: &Connection) -> rusqlite::Result<()> {
    // An account of few messages has more tables than pages full, and a delivery touches eight
    // pages. What packs leave free goes back to the file system.
    connection.pragma_update(None, "page_size", 2048)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")
}

/// Puts an empty index where there is no file, without a flush; false where there is one, or where the file system does
/// not make files without a name.
pub(super) fn plant(path: &Path) -> bool {
    static EMPTY: LazyLock<Option<Vec<u8>>> = LazyLock::new(|| empty().ok());
    let Some(empty) = EMPTY.as_ref() else { return false };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // It gets its name as a whole: what another process opened half written it would call damaged, and a kill leaves
    // nothing.
    let opened = OpenOptions::new()
        .write(true)
        .custom_flags(OFlags::TMPFILE.bits().cast_signed())
        // The permissions that SQLite gives.
        .mode(0o644)
        .open(folder.unwrap_or(Path::new(".")));
    let planted = opened.and_then(|mut file| {
        file.write_all(empty)?;
        // open(2), "O_TMPFILE".
        let open = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(linkat(CWD, &open, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    });
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
