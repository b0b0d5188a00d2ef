//! `postroom-uidlist`: the UIDs of files that others named, in the form of Dovecot's v3.
//!
//! ```text
//! 3 V1767225600 N18
//! 17 :1767225590.27c448ef.host
//! ```
//!
//! A line is flushed before its UID is shown to anyone. The list is only ever
//! appended to while the index's write lock is held, and rewritten when most of
//! its lines are of files that are gone.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::mail::{Uid, UidValidity};

use super::disk::read_regular;
use super::{Disk, DiskError};

/// The list of one folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UidList {
    /// Base name to UID, where the list's UIDVALIDITY is the mailbox's.
    pub uids: HashMap<String, Uid>,
    lines: usize,
    /// Whether the file ends within a line, as a torn write leaves it.
    torn: bool,
}

impl UidList {
    /// Reads the list of a folder. A list under another UIDVALIDITY counts for
    /// nothing, a line that is not understood is passed over.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn read(folder: &Path, validity: UidValidity) -> Result<UidList, DiskError> {
        let path = path(folder);
        match read_regular(&path) {
            Ok(bytes) => Ok(UidList::parse(&String::from_utf8_lossy(&bytes), validity)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(UidList::default()),
            Err(error) => Err(DiskError::at("read", path)(error)),
        }
    }

    /// Adds UIDs durably. `live` says whether a file still exists, for when the
    /// list is rewritten.
    ///
    /// # Errors
    /// Where the list cannot be written; the UIDs must then not be shown.
    pub fn add(
        &mut self,
        disk: &Disk,
        folder: &Path,
        validity: UidValidity,
        new: &[(Uid, String)],
        live: impl Fn(&str) -> bool,
    ) -> Result<(), DiskError> {
        if new.is_empty() {
            return Ok(());
        }
        self.uids.extend(new.iter().map(|(uid, base)| (base.clone(), *uid)));
        self.lines += new.len();
        let kept = self.uids.keys().filter(|base| live(base)).count();
        if self.torn || self.lines == new.len() || self.lines > 64 + 2 * kept {
            self.uids.retain(|base, _| live(base));
            return self.rewrite(disk, folder, validity);
        }
        let path = path(folder);
        let text: String = new.iter().map(|(uid, base)| format!("{uid} :{base}\n")).collect();
        let mut file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(DiskError::at("open", &path))?;
        file.write_all(text.as_bytes()).map_err(DiskError::at("write", &path))?;
        disk.flush(&file, &path)
    }

    fn rewrite(&mut self, disk: &Disk, folder: &Path, validity: UidValidity) -> Result<(), DiskError> {
        let mut entries: Vec<_> = self.uids.iter().collect();
        entries.sort_by_key(|(_, uid)| **uid);
        let next = entries.last().map_or(1, |(_, uid)| uid.value().saturating_add(1));
        let mut text = format!("3 V{validity} N{next}\n");
        for (base, uid) in &entries {
            text.push_str(&format!("{uid} :{base}\n"));
        }
        disk.replace(&path(folder), text.as_bytes())?;
        (self.lines, self.torn) = (entries.len(), false);
        Ok(())
    }

    fn parse(text: &str, validity: UidValidity) -> UidList {
        let mut lines = text.split_inclusive('\n');
        let header = format!("3 V{validity} ");
        if !lines.next().is_some_and(|line| line.starts_with(&header)) {
            return UidList::default();
        }
        let mut list = UidList {
            torn: !text.ends_with('\n'),
            ..UidList::default()
        };
        for line in lines.filter_map(|line| line.strip_suffix('\n')) {
            list.lines += 1;
            let Some((front, base)) = line.split_once(" :") else {
                continue;
            };
            let uid = front.split(' ').next().and_then(|uid| Uid::new(uid.parse().ok()?));
            if let Some(uid) = uid {
                list.uids.insert(base.to_owned(), uid);
            }
        }
        list
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("postroom-uidlist")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn uid(value: u32) -> Uid {
        Uid::new(value).unwrap()
    }

    #[test]
    fn added_uids_come_back_under_their_validity_only() {
        let (home, disk) = (tempfile::tempdir().unwrap(), Disk::default());
        let validity = UidValidity::new(9).unwrap();
        let mut list = UidList::read(home.path(), validity).unwrap();
        list.add(&disk, home.path(), validity, &[(uid(3), "a".into())], |_| true)
            .unwrap();
        list.add(&disk, home.path(), validity, &[(uid(5), "b :c".into())], |_| true)
            .unwrap();
        let read = UidList::read(home.path(), validity).unwrap();
        assert_eq!(
            read.uids,
            HashMap::from([("a".into(), uid(3)), ("b :c".into(), uid(5))])
        );
        assert!(
            UidList::read(home.path(), UidValidity::new(8).unwrap())
                .unwrap()
                .uids
                .is_empty()
        );
    }

    #[test]
    fn a_torn_last_line_is_passed_over_and_mended() {
        let (home, disk) = (tempfile::tempdir().unwrap(), Disk::default());
        let validity = UidValidity::new(9).unwrap();
        fs::write(path(home.path()), "3 V9 N2\n1 :a\n2 :b").unwrap();
        let mut list = UidList::read(home.path(), validity).unwrap();
        assert_eq!(list.uids, HashMap::from([("a".into(), uid(1))]));
        list.add(&disk, home.path(), validity, &[(uid(4), "c".into())], |_| true)
            .unwrap();
        assert_eq!(fs::read_to_string(path(home.path())).unwrap(), "3 V9 N5\n1 :a\n4 :c\n");
    }

    #[test]
    fn lines_of_files_that_are_gone_are_dropped_in_time() {
        let (home, disk) = (tempfile::tempdir().unwrap(), Disk::default());
        let validity = UidValidity::new(9).unwrap();
        let mut list = UidList::default();
        for n in 1..=200 {
            let live = n.to_string();
            list.add(&disk, home.path(), validity, &[(uid(n), live.clone())], |base| {
                base == live
            })
            .unwrap();
        }
        assert!(fs::read_to_string(path(home.path())).unwrap().lines().count() < 80);
        assert_eq!(UidList::read(home.path(), validity).unwrap().uids["200"], uid(200));
    }
}
