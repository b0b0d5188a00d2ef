//! A folder as the `maildir` crate sees it, for checks.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use super::{DiskError, Folder, Place};

/// What an independent reader finds in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Base names of all messages that carry an info part, or lie in `new/`.
    pub bases: BTreeSet<String>,
    /// Files in `cur/` without `:2,`, which the reader counts but does not name.
    pub unnamed: usize,
}

/// Lists the messages of a folder with the `maildir` crate.
///
/// # Errors
/// Where a part cannot be read. The crate takes such a part for an empty one, so it
/// is opened here first.
pub fn audit(folder: &Folder) -> Result<Audit, DiskError> {
    for place in [Place::New, Place::Cur] {
        let path = folder.path().join(place.as_str());
        fs::read_dir(&path).map_err(DiskError::at("read", path))?;
    }
    let reader = maildir::Maildir::from(folder.path().to_owned());
    let mut audit = Audit::default();
    for entry in reader.list_new().chain(reader.list_cur()) {
        match entry {
            // Nobody reads what is no regular file.
            Ok(entry) if !entry.path().is_file() => {}
            Ok(entry) => {
                audit.bases.insert(entry.id().to_owned());
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => audit.unnamed += 1,
            Err(error) => return Err(DiskError::at("read", folder.path())(error)),
        }
    }
    Ok(audit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::MailboxName;
    use crate::maildir::{Disk, Folders};

    #[test]
    fn sees_what_lies_there_and_refuses_what_cannot_be_read() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folders::new(home.path().to_owned())
            .create(&Disk::default(), &MailboxName::inbox())
            .unwrap();
        for name in ["new/1.a.host", "cur/2.b.host:2,FS", "cur/3.c.host"] {
            fs::write(home.path().join(name), "x").unwrap();
        }
        let bases = ["1.a.host", "2.b.host"].map(str::to_owned).into();
        assert_eq!(audit(&folder).unwrap(), Audit { bases, unnamed: 1 });
        fs::remove_dir_all(folder.new_()).unwrap();
        assert!(audit(&folder).is_err());
    }
}
