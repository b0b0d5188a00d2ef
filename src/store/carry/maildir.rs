//! The messages of a Maildir folder, whoever filled it.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Bystander, DiskError};
use crate::mail::Flags;
use crate::maildir::{DovecotUidList, FileName, KeywordLetters, courier_keywords};

/// A message file, and what its name and the files beside it say.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) flags: Flags,
    /// INTERNALDATE: the file's time.
    pub(super) date: i64,
    pub(super) size: u64,
}

/// The messages of a folder by UID where Dovecot, Courier or we gave them one, else by time.
pub(super) fn messages(folder: &Path, bystander: &mut dyn Bystander) -> Result<Vec<Found>, DiskError> {
    let letters = KeywordLetters::read(folder)?;
    let courier = courier_keywords(folder)?;
    let list = match DovecotUidList::read(folder)? {
        Some(Ok(list)) => Some(list),
        // Only their order is lost.
        _ => DovecotUidList::read_courier(folder)?.and_then(Result::ok),
    };
    let uids = list.as_ref().map(DovecotUidList::uids).unwrap_or_default();
    let mut found = Vec::new();
    for part in ["new", "cur"] {
        let path = folder.join(part);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(DiskError::at("read", &path))?,
        };
        for entry in entries {
            let path = entry.map_err(DiskError::at("read", &path))?.path();
            let Some(name) = path
                .file_name()
                .filter(|name| !name.as_encoded_bytes().starts_with(b"."))
            else {
                continue;
            };
            let metadata = match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => continue,
                Ok(metadata) => metadata,
                Err(error) => {
                    bystander.fault(&format!("{}: {error}", path.display()));
                    continue;
                }
            };
            let name = name.to_string_lossy();
            let name = FileName::parse(&name);
            let order = order(&uids, &name, metadata.mtime());
            found.push((
                order,
                Found {
                    flags: flags(&name, &letters, &courier),
                    date: metadata.mtime(),
                    size: metadata.len(),
                    path,
                },
            ));
        }
    }
    found.sort_by(|(one, a), (other, b)| one.cmp(other).then_with(|| a.path.cmp(&b.path)));
    Ok(found.into_iter().map(|(_, found)| found).collect())
}

fn order(uids: &HashMap<&str, crate::mail::Uid>, name: &FileName<'_>, time: i64) -> (u32, i64) {
    let own = || name.uid().map(|(uid, _)| uid);
    let uid = uids.get(name.base).copied().or_else(own);
    (uid.map_or(u32::MAX, |uid| uid.value()), time)
}

fn flags(name: &FileName<'_>, letters: &KeywordLetters, courier: &HashMap<String, Vec<String>>) -> Flags {
    let mut flags = name.system_flags();
    let own = courier.get(name.base).into_iter().flatten().map(String::as_str);
    for keyword in letters.keywords(name.letters).chain(own) {
        // What is no keyword for IMAP cannot be kept.
        let _ = flags.insert(keyword);
    }
    // Passed on: RFC 9051 §2.3.2 has a keyword for it.
    if name.letters.contains('P') {
        let _ = flags.insert("$Forwarded");
    }
    flags
}
