//! Folders of a Maildir++ tree: the INBOX at the root, `.A.B` for the mailbox A.B.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::mail::MailboxName;

use super::{Disk, DiskError, utf7};

/// The tree of one account.
#[derive(Clone, Debug)]
pub struct Folders {
    root: PathBuf,
}

/// One folder: `tmp/`, `new/` and `cur/` with the messages of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
}

impl Folders {
    /// The tree below `root`, which is also the INBOX.
    #[must_use]
    pub fn new(root: PathBuf) -> Folders {
        Folders { root }
    }

    /// The folder of a mailbox, there or not.
    #[must_use]
    pub fn folder(&self, name: &MailboxName) -> Folder {
        if name.is_inbox() {
            return Folder {
                path: self.root.clone(),
            };
        }
        Folder {
            path: self.root.join(format!(".{}", utf7::encode(name.as_str()))),
        }
    }

    /// The mailboxes that have a folder, INBOX among them where the root has a `cur/`.
    /// Folders whose names are no mailbox names are passed over.
    ///
    /// # Errors
    /// Where the root is there and cannot be read.
    pub fn list(&self) -> Result<Vec<MailboxName>, DiskError> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(DiskError::at("read", &self.root)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(DiskError::at("read", &self.root))?;
            let file_name = entry.file_name();
            let Some(encoded) = file_name.to_str().and_then(|name| name.strip_prefix('.')) else {
                continue;
            };
            let name = utf7::decode(encoded).and_then(|name| MailboxName::parse(&name, '.').ok());
            if let Some(name) = name.filter(|name| self.folder(name).exists()) {
                names.push(name);
            }
        }
        let inbox = MailboxName::inbox();
        if self.folder(&inbox).exists() && !names.contains(&inbox) {
            names.push(inbox);
        }
        names.sort();
        Ok(names)
    }

    /// Makes the folder of a mailbox, durably; nothing happens where it is there.
    ///
    /// # Errors
    /// The operating system's, with the path that could not be made.
    pub fn create(&self, disk: &Disk, name: &MailboxName) -> Result<Folder, DiskError> {
        let folder = self.folder(name);
        if folder.exists() {
            return Ok(folder);
        }
        disk.make_folder(&folder.path)?;
        for part in [folder.tmp(), folder.new_(), folder.cur()] {
            disk.make_folder(&part)?;
        }
        if !name.is_inbox() {
            let marker = folder.path.join("maildirfolder");
            match disk.create(&marker) {
                Err(error) if error.source.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => disk.flush_folder(&folder.path)?,
            }
        }
        Ok(folder)
    }
}

impl Folder {
    /// The folder itself, where its small files lie.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `tmp/`: files being written.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// `new/`: messages that no client has seen.
    #[must_use]
    pub fn new_(&self) -> PathBuf {
        self.path.join("new")
    }

    /// `cur/`: messages with flags.
    #[must_use]
    pub fn cur(&self) -> PathBuf {
        self.path.join("cur")
    }

    /// Whether all three parts are there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.cur().is_dir() && self.new_().is_dir() && self.tmp().is_dir()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_listed_and_read_by_the_maildir_crate() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::new(home.path().join("Maildir"));
        assert!(folders.list().unwrap().is_empty());
        for name in ["INBOX", "Archive.2026", "Entwürfe"] {
            let name = MailboxName::parse(name, '.').unwrap();
            folders.create(&Disk::default(), &name).unwrap();
            folders.create(&Disk::default(), &name).unwrap();
        }
        let names: Vec<_> = folders.list().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["Archive.2026", "Entwürfe", "INBOX"]);
        let other = maildir::Maildir::from(home.path().join("Maildir"));
        assert_eq!(other.list_subdirs().filter(Result::is_ok).count(), 2);
        assert!(home.path().join("Maildir/.Entw&APw-rfe/maildirfolder").is_file());
    }

    #[test]
    fn what_is_no_mailbox_is_not_listed() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::new(home.path().to_owned());
        fs::create_dir_all(home.path().join(".half/cur")).unwrap();
        fs::create_dir_all(home.path().join(".&bad/cur")).unwrap();
        fs::write(home.path().join(".file"), "").unwrap();
        assert!(folders.list().unwrap().is_empty());
    }
}
