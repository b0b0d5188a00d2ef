//! Whole accounts: copied while mail comes in, moved, removed.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::index::{Durability, Index};
use crate::maildir::{Disk, DiskError, Folders, Marks};
use crate::store::{Account, StoreError};

use super::account::{INDEX, LocalAccount, index_folder};
use super::{LocalStore, lock};

/// How often a folder is listed again in which another program moves files about.
const TRIES: usize = 10;
/// UIDs and MODSEQs that an account may give between a backup and the day on which that is put back.
const AHEAD_UIDS: u32 = 1 << 20;
/// See [`AHEAD_UIDS`].
const AHEAD_MODSEQS: u64 = 1 << 32;
/// What lies beside the Maildir and belongs to the account.
const BESIDE: [&str; 2] = ["sieve", ".dovecot.sieve"];

impl LocalStore {
    /// Copies an account into a new folder as it is at one moment, while mail comes in: Maildir, scripts and index. The
    /// message files are links to the same bytes where they can be. Deliveries wait only while the files that came
    /// or went since the copy began are linked. What the index says is true of the copied files, and a copy put in
    /// the place of a home (its index in its place, where that is another folder) is that account.
    ///
    /// # Errors
    /// `AlreadyExists` where the folder is there; else where something cannot be read or written. Nothing is left then.
    pub fn back_up(&self, user: &str, home: &Path, to: &Path) -> Result<(), StoreError> {
        if fs::symlink_metadata(to).is_ok() {
            return Err(DiskError::at("create", to)(io::ErrorKind::AlreadyExists.into()).into());
        }
        let unfinished = beside(to, "unfinished");
        sweep(&unfinished)?;
        let account = self.open_account(user, home)?;
        account.reconcile()?;
        let done = back_up(&account, &self.options.disk, home, &unfinished).and_then(|()| {
            self.options.disk.rename_folder_new(&unfinished, to)?;
            Ok(self.options.disk.flush_parent(to)?)
        });
        if done.is_err() {
            let _ = fs::remove_dir_all(&unfinished);
        }
        done
    }

    /// Moves an account to another home and name, its index with it. Nobody publishes meanwhile; a delivery
    /// to the old home makes a new one there.
    ///
    /// # Errors
    /// `AlreadyExists` where the new home or its index is there; else where they cannot be moved.
    pub fn move_account(&self, old: (&str, &Path), new: (&str, &Path)) -> Result<(), StoreError> {
        let disk = &self.options.disk;
        let folders = [old, new].map(|(user, home)| index_folder(&self.options, user, home));
        let [old_index, new_index] = &folders;
        for path in [new.1, new_index] {
            if fs::symlink_metadata(path).is_ok() {
                return Err(DiskError::at("rename a folder to", path)(io::ErrorKind::AlreadyExists.into()).into());
            }
        }
        if let Some(parent) = new.1.parent() {
            disk.make_folder(parent)?;
        }
        let path = old_index.join(INDEX);
        let mut index = path.exists().then(|| Index::open(&path)).transpose()?;
        let writers_wait = index
            .as_mut()
            .map(|index| index.begin(Durability::Process))
            .transpose()?;
        disk.rename_folder_new(old.1, new.1)?;
        let apart = old_index != old.1 && old_index.exists();
        if apart && let Err(error) = disk.rename_folder_new(old_index, new_index) {
            disk.rename_folder_new(new.1, old.1)?;
            return Err(error.into());
        }
        drop(writers_wait);
        if let Some(index) = &index {
            // Its log goes by the old name, where another may lie soon.
            index.keep_log();
        }
        for path in [old.1, new.1] {
            disk.flush_parent(path)?;
        }
        Ok(())
    }

    /// Removes an account with all its mail. The home first gets a name that is nobody's, so that a delivery
    /// finds either all of it or none; what a crash leaves under that name may be removed at any time.
    ///
    /// # Errors
    /// Where it cannot be moved away, it then stands as before; or not be removed, with the path that is left.
    pub fn remove_account(&self, user: &str, home: &Path) -> Result<(), StoreError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let aside = beside(home, &format!("{}.removed", now.as_nanos()));
        let name = aside.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.move_account((user, home), (&name, &aside))?;
        let index = index_folder(&self.options, &name, &aside);
        for path in [&aside, &index] {
            sweep(path)?;
        }
        Ok(())
    }
}

// Hidden, so that it is nobody's home.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(what);
    path.with_file_name(name)
}

fn sweep(path: &Path) -> Result<(), DiskError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DiskError::at("remove", path)(error)),
        _ => Ok(()),
    }
}

fn back_up(account: &LocalAccount, disk: &Disk, home: &Path, to: &Path) -> Result<(), StoreError> {
    let options = &account.options;
    disk.make_folder(to)?;
    // A home in which there is more than mail, as that of a system's user, is not taken as a whole.
    let parts: Vec<PathBuf> = match options.maildir == Path::new(".") {
        true => vec![PathBuf::new()],
        false => std::iter::once(options.maildir.clone())
            .chain(BESIDE.map(PathBuf::from))
            .filter(|part| fs::symlink_metadata(home.join(part)).is_ok())
            .collect(),
    };
    let mirror_all = || -> Result<(), StoreError> {
        for part in &parts {
            let (from, to) = (home.join(part), to.join(part));
            if let Some(parent) = to.parent() {
                disk.make_folder(parent)?;
            }
            mirror(disk, &from, &to)?;
        }
        Ok(())
    };
    mirror_all()?;
    lock(&account.index).copy(&to.join(INDEX), mirror_all)?;
    raise_marks(disk, to.join(&options.maildir))?;
    Ok(disk.flush_file_system(to)?)
}

// The original goes on giving numbers; put in its place much later, the copy must not give them again.
fn raise_marks(disk: &Disk, maildir: PathBuf) -> Result<(), StoreError> {
    let folders = Folders::new(maildir);
    for name in folders.list()? {
        let folder = folders.folder(&name);
        if let Some(mut marks) = Marks::read(folder.path())? {
            marks.uids = marks.uids.max(marks.uids.saturating_add(AHEAD_UIDS).min(u32::MAX / 2));
            marks.modseqs = marks
                .modseqs
                .max(marks.modseqs.saturating_add(AHEAD_MODSEQS).min(1 << 62));
            marks.write(disk, folder.path())?;
        }
    }
    Ok(())
}

// Makes `to` what `from` is. Message files do not change: those that are there stay.
fn mirror(disk: &Disk, from: &Path, to: &Path) -> Result<(), DiskError> {
    let metadata = fs::symlink_metadata(from).map_err(DiskError::at("examine", from))?;
    if metadata.is_symlink() {
        let target = fs::read_link(from).map_err(DiskError::at("read", from))?;
        return match symlink(&target, to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(DiskError::at("create", to)(error)),
            _ => Ok(()),
        };
    }
    if metadata.is_dir() {
        return mirror_folder(disk, from, to);
    }
    if !metadata.is_file() {
        return Ok(());
    }
    let is_message = is_message(from);
    if is_message && fs::symlink_metadata(to).is_ok() {
        return Ok(());
    }
    if is_message && fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to).map_err(DiskError::at("copy", from))?;
    let time = metadata.modified().map_err(DiskError::at("examine", from))?;
    let copied = fs::File::options().write(true).open(to);
    copied
        .and_then(|file| file.set_modified(time))
        .map_err(DiskError::at("write", to))
}

// Those that were removed and are kept are as many and as large as others.
fn is_message(path: &Path) -> bool {
    let Some(parent) = path.parent() else { return false };
    let in_mailbox = parent.ends_with("cur") || parent.ends_with("new");
    let is_kept = parent
        .components()
        .any(|part| part.as_os_str() == super::expunged::KEPT);
    let is_list = path.file_name().is_some_and(|name| name == super::expunged::KEYWORDS);
    in_mailbox || is_kept && !is_list
}

fn mirror_folder(disk: &Disk, from: &Path, to: &Path) -> Result<(), DiskError> {
    disk.make_folder(to)?;
    for _ in 0..TRIES {
        let wanted = names(from)?;
        for gone in names(to)?.difference(&wanted) {
            let path = to.join(gone);
            let removed = if path.is_dir() && !path.is_symlink() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(DiskError::at("remove", &path))?;
        }
        let mut settled = true;
        for name in &wanted {
            match mirror(disk, &from.join(name), &to.join(name)) {
                // Another program renamed it: it has another name now.
                Err(error) if error.source.kind() == io::ErrorKind::NotFound => settled = false,
                mirrored => mirrored?,
            }
        }
        if settled {
            return Ok(());
        }
    }
    let error = io::Error::new(io::ErrorKind::WouldBlock, "another program keeps changing it");
    Err(DiskError::at("copy", from)(error))
}

// What is copied of a folder: not the databases, which are copied as such or made anew, nor locks, nor what is being
// written, nor what is being deleted.
fn names(folder: &Path) -> Result<HashSet<OsString>, DiskError> {
    let mut names = HashSet::new();
    if folder.ends_with("tmp") {
        return Ok(names);
    }
    for entry in fs::read_dir(folder).map_err(DiskError::at("read", folder))? {
        let name = entry.map_err(DiskError::at("read", folder))?.file_name();
        let text = name.to_string_lossy();
        let database = [INDEX, "fulltext.sqlite"].iter().any(|base| text.starts_with(base));
        if !database && !text.ends_with(".lock") && !text.starts_with("postroom-deleted.") {
            names.insert(name);
        }
    }
    Ok(names)
}
