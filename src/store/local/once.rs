//! One message for several recipients of one user id: written once, linked for the rest.
//!
//! Whose trace fields name no recipient, the letters of one message are the same bytes. The first
//! is written and flushed while the others wait; they then get a link to its file, which costs
//! neither a write nor a flush of data. Where the file system has no links, or the accounts lie on
//! different ones, each is written for itself.

use std::fs::{File, Metadata};
use std::io::{self, BufWriter};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, linkat};

use crate::maildir::{Disk, DiskError};
use crate::message::{Letter, Written};

use super::kept::Hashing;
use super::lock;

/// Bytes that are written at a time; a smaller letter is written at once.
const PIECE: usize = 64 * 1024;

/// Makes the file of a letter at `path`, durable but for its name; answers what the file system says
/// of it and the SHA-256 of its bytes. `create` makes an empty file there.
pub(super) fn write(
    disk: &Disk,
    letter: &Letter,
    path: &Path,
    internal_date: Option<i64>,
    create: impl FnOnce() -> Result<File, DiskError>,
) -> Result<(Metadata, [u8; 32]), DiskError> {
    let examine = |file: &File| file.metadata().map_err(DiskError::at("examine", path));
    let Some(copies) = letter.copies().filter(|_| internal_date.is_none()) else {
        let file = create()?;
        let digest = fill(disk, letter, path, &file, internal_date)?;
        return Ok((examine(&file)?, digest));
    };
    // Whoever comes while the first is being written waits for its file.
    let mut copies = lock(copies);
    if let Some(written) = copies.iter().find(|written| written.trace == letter.trace())
        && link(&written.file, path).is_ok()
    {
        return Ok((examine(&written.file)?, written.digest));
    }
    let file = create()?;
    let digest = fill(disk, letter, path, &file, None)?;
    let metadata = examine(&file)?;
    copies.retain(|written| written.trace != letter.trace());
    copies.push(Written {
        trace: letter.trace().to_vec(),
        file,
        digest,
    });
    Ok((metadata, digest))
}

fn fill(
    disk: &Disk,
    letter: &Letter,
    path: &Path,
    file: &File,
    internal_date: Option<i64>,
) -> Result<[u8; 32], DiskError> {
    let failed = || DiskError::at("write", path);
    let piece = usize::try_from(letter.stored_size()).map_or(PIECE, |size| PIECE.min(size));
    let mut writer = Hashing::new(BufWriter::with_capacity(piece, file));
    letter.write_to(&mut writer).map_err(failed())?;
    let digest = writer.finish().map_err(failed())?;
    if let Some(date) = internal_date {
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(date).unwrap_or(0)));
        file.set_modified(time.unwrap_or(SystemTime::UNIX_EPOCH))
            .map_err(failed())?;
    }
    disk.flush(file, path)?;
    Ok(digest)
}

// The file may have another name by now, so it is named by its descriptor (open(2), "O_TMPFILE").
fn link(file: &File, path: &Path) -> io::Result<()> {
    let name = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, &name, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}
