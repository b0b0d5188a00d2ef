//! A new account, and the mailboxes that it gets beside INBOX.
//!
//! All of it, index and folders, is made in one go and flushed once, since the first delivery waits for it; accounts that
//! are made at the same time share that flush. INBOX comes last, so that an account whose making was interrupted is still
//! new. Until its index names a start of the machine it may not be flushed, and whoever opens it flushes it: another
//! process may be about to, or have died.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::index::{Durability, Index, IndexError};
use crate::mail::{MailboxName, SpecialUse};
use crate::maildir::{Disk, Folders, Marks, Subscriptions};
use crate::store::StoreError;

use super::account::LocalAccount;
use super::flush::{device_of, flush_together};
use super::{Options, lock};

/// Nobody else can know the account yet.
const PATIENCE: Duration = Duration::from_secs(1);

/// An account at its opening.
pub(super) struct Founding {
    /// Those it is opened with: a new one's, with no flush for each step.
    pub(super) options: Arc<Options>,
    new: bool,
    /// Whether no step is flushed by itself.
    at_once: bool,
    fsync: bool,
}

impl Founding {
    pub(super) fn of(options: &Arc<Options>, folders: &Folders, index: &Path) -> Founding {
        let new = !folders.folder(&MailboxName::inbox()).exists();
        // An index that was there before says of the start of the machine what is not true of new folders.
        let at_once = new && !index.exists();
        let fsync = options.disk.fsync;
        let disk = Disk {
            fsync: fsync && !at_once,
            ..options.disk
        };
        let options = match at_once {
            true => Arc::new(Options {
                disk,
                ..Options::clone(options)
            }),
            false => options.clone(),
        };
        Founding {
            options,
            new,
            at_once,
            fsync,
        }
    }

    /// How its index is opened.
    pub(super) fn way_to_open(&self) -> impl FnOnce(&Path) -> Result<Index, IndexError> + use<> {
        match self.at_once {
            true => Index::open_unflushed,
            false => Index::open,
        }
    }

    pub(super) fn make_folders(&self, folders: &Folders, index_folder: &Path) -> Result<(), StoreError> {
        let disk = &self.options.disk;
        let inbox = MailboxName::inbox();
        // A home in which there is a Maildir is there.
        if self.new || self.options.index_root.is_some() {
            disk.make_folder(index_folder)?;
        }
        if !self.new {
            return Ok(());
        }
        if !self.options.create.is_empty() {
            for name in self.options.create.iter().filter(|name| !name.is_inbox()) {
                folders.create(disk, name)?;
            }
            if self.options.subscribe {
                let names = self.options.create.iter().chain([&inbox]);
                let subscribed: Vec<_> = names.map(|name| (name, true)).collect();
                Subscriptions::alter(disk, folders.folder(&inbox).path(), &subscribed, PATIENCE)?;
            }
        }
        folders.create(disk, &inbox)?;
        Ok(())
    }

    /// Once the mailboxes are numbered; `founded`: whether the index named a start of the machine when it was opened.
    pub(super) fn finish(&self, account: &LocalAccount, founded: bool) -> Result<(), StoreError> {
        if self.new && !self.options.create.is_empty() {
            self.give_uses(account)?;
            account.note_subscriptions()?;
        }
        if self.at_once || !founded {
            lock(&account.index).flush_commits();
            self.flush(account)?;
        }
        Ok(())
    }

    fn flush(&self, account: &LocalAccount) -> Result<(), StoreError> {
        let disk = Disk {
            fsync: self.fsync,
            ..self.options.disk
        };
        let inbox = account.folders.folder(&MailboxName::inbox());
        let flushed = flush_together(&disk, inbox.path())?;
        let beside = account.index_path.parent().unwrap_or(Path::new("."));
        if device_of(beside)? != flushed {
            flush_together(&disk, beside)?;
        }
        Ok(())
    }

    fn give_uses(&self, account: &LocalAccount) -> Result<(), StoreError> {
        let mut index = lock(&account.index);
        let transaction = index.begin(Durability::Process)?;
        for mut row in transaction.mailboxes()? {
            let special_use = SpecialUse::parse(row.name.as_str());
            let folder = account.folders.folder(&row.name);
            if special_use.is_none() || row.special_use.is_some() || !self.options.create.contains(&row.name) {
                continue;
            }
            if let Some(mut marks) = Marks::read(folder.path())? {
                marks.special_use = special_use;
                marks.write(&self.options.disk, folder.path())?;
            }
            row.special_use = special_use;
            transaction.rename_mailbox(&row)?;
        }
        Ok(transaction.commit()?)
    }
}
