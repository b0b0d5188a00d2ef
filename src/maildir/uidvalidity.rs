//! `dovecot-uidvalidity`: the last UIDVALIDITY that Dovecot gave in an account.
//!
//! At the root of the Maildir stand `dovecot-uidvalidity`, whose content is the number in
//! eight hexadecimal digits, and an empty `dovecot-uidvalidity.XXXXXXXX`, in whose name the
//! same number stands. To give the next, Dovecot reads the content, renames the file of
//! that number to the next number, and writes the content. Where no such file is there it
//! tries the ten numbers after, then takes the highest number of all such names; where
//! there are none, the time. So the name is what counts, and the content a hint.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::mail::UidValidity;

use super::disk::{open_in_place, read_if_there};
use super::{Disk, DiskError};

/// The name of the file with the content; with a dot and the digits behind, of the other.
const FILE: &str = "dovecot-uidvalidity";
/// How often to look again where Dovecot renames under our hands.
const TRIES: usize = 10;

/// The highest UIDVALIDITY that Dovecot knows to be given in the account; none where it
/// keeps no such files.
///
/// # Errors
/// Where the root or the file is there and cannot be read.
pub fn highest_uidvalidity(root: &Path) -> Result<Option<UidValidity>, DiskError> {
    let content = read_if_there(&root.join(FILE))?;
    let content = content.and_then(|content| parse(std::str::from_utf8(&content).ok()?));
    Ok(content.max(highest_name(root)?))
}

/// Sees to it that Dovecot gives no UIDVALIDITY up to `given`, durably.
///
/// # Errors
/// Where the files cannot be read, made or renamed.
pub fn raise_uidvalidity(disk: &Disk, root: &Path, given: UidValidity) -> Result<(), DiskError> {
    let new = named(root, given);
    for _ in 0..TRIES {
        let made = match highest_name(root)? {
            Some(highest) if highest >= given => return Ok(()),
            Some(highest) => fs::rename(named(root, highest), &new),
            // Dovecot's own has this mode: nobody writes into it.
            None => OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o444)
                .open(&new)
                .map(drop),
        };
        match made {
            Ok(()) => {
                write_content(disk, root, given)?;
                return disk.flush_folder(root);
            }
            // Dovecot gave one meanwhile, or another of us was here.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {}
            Err(error) => return Err(DiskError::at("rename", new)(error)),
        }
    }
    Err(DiskError::at("rename", new)(io::ErrorKind::ResourceBusy.into()))
}

// In place, as Dovecot writes it: a reader that meets another number than the name's searches on.
fn write_content(disk: &Disk, root: &Path, given: UidValidity) -> Result<(), DiskError> {
    let path = root.join(FILE);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(disk.file_mode);
    let mut file = open_in_place(&path, &mut options).map_err(DiskError::at("open", &path))?;
    let digits = format!("{:08x}", given.value());
    file.write_all(digits.as_bytes())
        .map_err(DiskError::at("write", &path))?;
    disk.flush(&file, &path)
}

fn highest_name(root: &Path) -> Result<Option<UidValidity>, DiskError> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DiskError::at("read", root)(error)),
    };
    let mut highest = None;
    for entry in entries {
        let entry = entry.map_err(DiskError::at("read", root))?;
        let file_name = entry.file_name();
        let digits = file_name
            .to_str()
            .and_then(|name| name.strip_prefix(FILE)?.strip_prefix('.'));
        highest = highest.max(digits.and_then(parse));
    }
    Ok(highest)
}

fn parse(digits: &str) -> Option<UidValidity> {
    let is_ours = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    UidValidity::new(is_ours.then(|| u32::from_str_radix(digits, 16).ok()).flatten()?)
}

fn named(root: &Path, validity: UidValidity) -> PathBuf {
    root.join(format!("{FILE}.{:08x}", validity.value()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validity(value: u32) -> UidValidity {
        UidValidity::new(value).unwrap()
    }

    #[test]
    fn raised_from_whatever_stands() {
        for (content, names, before, after) in [
            (None, &[][..], None, 0x6b00_0000),
            (Some("6a000000"), &[0x6a00_0000][..], Some(0x6a00_0000), 0x6b00_0000),
            // A crash of Dovecot between the two files, or copies of several.
            (
                Some("6a000000"),
                &[0x6a00_0001, 0x6a00_0003],
                Some(0x6a00_0003),
                0x6b00_0000,
            ),
            (Some("6a000009"), &[], Some(0x6a00_0009), 0x6b00_0000),
            (Some("junk"), &[0x6c00_0000], Some(0x6c00_0000), 0x6c00_0000),
        ] {
            let home = tempfile::tempdir().unwrap();
            let root = home.path();
            if let Some(content) = content {
                fs::write(root.join(FILE), content).unwrap();
            }
            for name in names {
                fs::write(named(root, validity(*name)), "").unwrap();
            }
            fs::write(root.join("dovecot-uidvalidity.lock"), "").unwrap();
            assert_eq!(highest_uidvalidity(root).unwrap(), before.map(validity));
            raise_uidvalidity(&Disk::default(), root, validity(0x6b00_0000)).unwrap();
            assert_eq!(highest_uidvalidity(root).unwrap(), Some(validity(after)));
            assert!(named(root, validity(after)).exists());
            raise_uidvalidity(&Disk::default(), root, validity(0x6b00_0000)).unwrap();
            assert_eq!(highest_uidvalidity(root).unwrap(), Some(validity(after)));
        }
        assert_eq!(highest_uidvalidity(Path::new("/nonexistent")).unwrap(), None);
    }
}
