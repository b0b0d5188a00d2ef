//! Folders of a Maildir++ tree: the INBOX at the root, `.A.B` for the mailbox A.B.
//!
//! A folder that is being deleted first gets a name that nobody lists,
//! `postroom-deleted.*` without a leading dot, and then goes file by file. What a crash
//! left of it is removed by [`Folders::sweep`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::mail::MailboxName;

use super::{Disk, DiskError, utf7};

/// How the names of folders begin that are being deleted.
const DELETED: &str = "postroom-deleted.";

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

/// A folder being deleted that is older than this belongs to a process that died.
const ABANDONED: Duration = Duration::from_secs(60);

impl Folders {
    /// The tree below `root`, which is also the INBOX.
    #[must_use]
    pub fn new(root: PathBuf) -> Folders {
        Folders { root }
    }

    /// The folder of a mailbox, there or not.
    #[must_use]
    pub fn folder(&self, name: &MailboxName) -> Folder {
        match name.is_inbox() {
            true => Folder {
                path: self.root.clone(),
            },
            false => Folder {
                path: self.root.join(self.below_root(name)),
            },
        }
    }

    /// The folder's name below the root; empty for INBOX.
    #[must_use]
    pub fn below_root(&self, name: &MailboxName) -> String {
        match name.is_inbox() {
            true => String::new(),
            false => format!(".{}", utf7::encode(name.as_str())),
        }
    }

    /// The mailbox whose folder has this name below the root; none where it is no such name, and for
    /// INBOX, whose folder has none.
    #[must_use]
    pub fn mailbox_of(&self, below_root: &str) -> Option<MailboxName> {
        let name = utf7::decode(below_root.strip_prefix('.')?)?;
        MailboxName::parse(&name, '.').ok()
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
            let name = file_name.to_str().and_then(|name| self.mailbox_of(name));
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

    /// Renames a folder and those of the mailboxes below it, durably, and returns the old
    /// and new name of each. The mailbox itself need not have a folder where one below has.
    /// A crash midway leaves each folder whole, under its old or its new name.
    ///
    /// # Errors
    /// `NotFound` where there is nothing to rename; `AlreadyExists` where any new name is
    /// taken; `InvalidInput` for the INBOX (whose messages move, not its folder), for a
    /// new name below the old, and for names that become too long; else the operating
    /// system's. Nothing is renamed then.
    pub fn rename(
        &self,
        disk: &Disk,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<Vec<(MailboxName, MailboxName)>, DiskError> {
        let moves = self.planned(from, to)?;
        for (done, (old, new)) in moves.iter().enumerate() {
            if let Err(error) = disk.rename_folder_new(self.folder(old).path(), self.folder(new).path()) {
                for (old, new) in moves[..done].iter().rev() {
                    let _ = disk.rename_folder_new(self.folder(new).path(), self.folder(old).path());
                }
                return Err(error);
            }
        }
        disk.flush_folder(&self.root)?;
        Ok(moves)
    }

    fn planned(&self, from: &MailboxName, to: &MailboxName) -> Result<Vec<(MailboxName, MailboxName)>, DiskError> {
        let refused = |kind: io::ErrorKind| DiskError::at("rename", self.folder(from).path)(kind.into());
        let below = format!("{from}.");
        if from.is_inbox() || to.is_inbox() || to.as_str().starts_with(&below) {
            return Err(refused(io::ErrorKind::InvalidInput));
        }
        let mut moves = Vec::new();
        for old in self.list()? {
            let Some(rest) = old.as_str().strip_prefix(from.as_str()) else {
                continue;
            };
            if rest.is_empty() || rest.starts_with('.') {
                let new = MailboxName::parse(&format!("{to}{rest}"), '.');
                let new = new.map_err(|_| refused(io::ErrorKind::InvalidInput))?;
                if fs::symlink_metadata(self.folder(&new).path()).is_ok() {
                    return Err(refused(io::ErrorKind::AlreadyExists));
                }
                moves.push((old, new));
            }
        }
        if moves.is_empty() {
            return Err(refused(io::ErrorKind::NotFound));
        }
        Ok(moves)
    }

    /// Takes the folder of a mailbox with all that is in it out of the tree, durably; those below it stay. It is
    /// deleted by [`Deleted::finish`], or at last by [`Folders::sweep`], unless it is put back.
    ///
    /// # Errors
    /// `InvalidInput` for the INBOX, `NotFound` where there is no such folder, else the
    /// operating system's; the folder is then there as before.
    pub fn delete(&self, disk: &Disk, name: &MailboxName) -> Result<Deleted, DiskError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let folder = self.folder(name);
        if name.is_inbox() {
            return Err(DiskError::at("delete", folder.path)(io::ErrorKind::InvalidInput.into()));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (time, count) = (now.as_nanos(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let leftover = self
            .root
            .join(format!("{DELETED}{time}.P{}Q{count}", std::process::id()));
        disk.rename_folder_new(&folder.path, &leftover)?;
        let deleted = Deleted {
            folder: folder.path,
            leftover,
        };
        match disk.flush_folder(&self.root) {
            Ok(()) => Ok(deleted),
            Err(error) => {
                deleted.put_back(disk);
                Err(error)
            }
        }
    }

    /// Removes what crashes left of folders that were being deleted.
    pub fn sweep(&self) {
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let is_leftover = entry.file_name().to_str().is_some_and(|name| name.starts_with(DELETED));
            if is_leftover && is_abandoned(&entry.path()) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove_leftover(&entry.path());
            }
        }
    }
}

/// A folder that is no longer in the tree.
#[derive(Debug)]
pub struct Deleted {
    folder: PathBuf,
    leftover: PathBuf,
}

impl Deleted {
    /// Removes it for good; what cannot be removed is left to [`Folders::sweep`].
    pub fn finish(self) {
        remove_leftover(&self.leftover);
    }

    /// Puts it back as it was, as far as that can be done; durably, for that it was taken out may be durable.
    pub fn put_back(self, disk: &Disk) {
        let put_back = disk.rename_folder_new(&self.leftover, &self.folder);
        if let Err(error) = put_back.and_then(|()| disk.flush_parent(&self.folder)) {
            tracing::warn!(path = %self.leftover.display(), %error, "cannot put a mailbox back that could not be deleted");
        }
    }
}

// Who deletes a mailbox may still put it back; after a minute he is gone.
fn is_abandoned(leftover: &Path) -> bool {
    let name = leftover.file_name().and_then(|name| name.to_str());
    let time = name.and_then(|name| name.strip_prefix(DELETED)?.split('.').next()?.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    time.is_none_or(|time: u128| now.as_nanos().abs_diff(time) > ABANDONED.as_nanos())
}

// Another process may be removing the same.
fn remove_leftover(path: &Path) {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove what is left of a deleted mailbox");
        }
        _ => {}
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

    fn made(names: &[&str]) -> (tempfile::TempDir, Folders) {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::new(home.path().to_owned());
        for name in names {
            let folder = folders.create(&Disk::default(), &mailbox(name)).unwrap();
            fs::write(folder.cur().join("1.a.host:2,S"), name).unwrap();
        }
        (home, folders)
    }

    fn mailbox(name: &str) -> MailboxName {
        MailboxName::parse(name, '.').unwrap()
    }

    fn listed(folders: &Folders) -> Vec<String> {
        folders.list().unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn mailboxes_are_renamed_with_those_below() {
        let long = "x".repeat(250);
        let long_below = format!("A.{}", "y".repeat(100));
        for (there, from, to, after) in [
            (
                &["INBOX", "A", "A.B", "AB"][..],
                "A",
                "X",
                Ok(&["AB", "INBOX", "X", "X.B"][..]),
            ),
            (&["A.B", "A.B.C"], "A", "X.Y", Ok(&["X.Y.B", "X.Y.B.C"])),
            (&["A", "T\u{ea}te"], "T\u{ea}te", "A.&", Ok(&["A", "A.&"])),
            (&["A", "X"], "A", "X", Err(io::ErrorKind::AlreadyExists)),
            (&["A", "A.B", "X.B"], "A", "X", Err(io::ErrorKind::AlreadyExists)),
            (&["A"], "A", "A", Err(io::ErrorKind::AlreadyExists)),
            (&["A"], "A", "A.B", Err(io::ErrorKind::InvalidInput)),
            (&["A"], "A", "INBOX", Err(io::ErrorKind::InvalidInput)),
            (&["INBOX"], "INBOX", "A", Err(io::ErrorKind::InvalidInput)),
            (&["A", &long_below], "A", &long, Err(io::ErrorKind::InvalidInput)),
            (&["AB"], "A", "X", Err(io::ErrorKind::NotFound)),
        ] {
            let (_home, folders) = made(there);
            let before = listed(&folders);
            let moved = folders.rename(&Disk::default(), &mailbox(from), &mailbox(to));
            assert_eq!(
                moved.as_ref().map(|_| ()).map_err(|error| error.source.kind()),
                after.map(|_| ())
            );
            match after {
                Ok(after) => assert_eq!(listed(&folders), after),
                Err(_) => assert_eq!(listed(&folders), before),
            }
            for (old, new) in moved.unwrap_or_default() {
                let file = folders.folder(&new).cur().join("1.a.host:2,S");
                assert_eq!(fs::read_to_string(file).unwrap(), old.as_str());
            }
        }
    }

    #[test]
    fn deleted_mailboxes_are_gone_and_leftovers_are_no_mailboxes() {
        let (home, folders) = made(&["INBOX", "A", "A.B"]);
        folders.delete(&Disk::default(), &mailbox("A")).unwrap().finish();
        assert_eq!(listed(&folders), ["A.B", "INBOX"]);
        for name in ["A", "INBOX"] {
            assert!(folders.delete(&Disk::default(), &mailbox(name)).is_err());
        }
        // What a crash leaves, ours and Dovecot's.
        for leftover in ["postroom-deleted.1.P2Q3", "..DOVECOT-TRASHED"] {
            for part in ["cur", "new", "tmp"] {
                fs::create_dir_all(home.path().join(leftover).join(part)).unwrap();
            }
        }
        fs::write(home.path().join("postroom-deleted.file"), "").unwrap();
        assert_eq!(listed(&folders), ["A.B", "INBOX"]);
        folders.sweep();
        assert!(!home.path().join("postroom-deleted.1.P2Q3").exists());
        assert_eq!(listed(&folders), ["A.B", "INBOX"]);
    }
}
