//! The mailboxes that a new account gets beside INBOX.
//!
//! They are made in one go and flushed once, since the first delivery waits for them: INBOX last, so
//! that an account whose making was interrupted is still new.

use std::sync::Arc;
use std::time::Duration;

use crate::index::Durability;
use crate::mail::{MailboxName, SpecialUse};
use crate::maildir::{Disk, Folders, Marks, Subscriptions};
use crate::store::StoreError;

use super::account::LocalAccount;
use super::{Options, lock};

/// Nobody else can know the account yet.
const PATIENCE: Duration = Duration::from_secs(1);

/// An account at its opening.
pub(super) struct Founding {
    /// Those it is opened with: a new one's, with no flush for each step.
    pub(super) options: Arc<Options>,
    new: bool,
    fsync: bool,
}

impl Founding {
    pub(super) fn of(options: &Arc<Options>, folders: &Folders) -> Founding {
        let new = !options.create.is_empty() && !folders.folder(&MailboxName::inbox()).exists();
        let fsync = options.disk.fsync;
        let disk = Disk {
            fsync: fsync && !new,
            ..options.disk
        };
        let options = match new {
            true => Arc::new(Options {
                disk,
                ..Options::clone(options)
            }),
            false => options.clone(),
        };
        Founding { options, new, fsync }
    }

    pub(super) fn make_folders(&self, folders: &Folders) -> Result<(), StoreError> {
        let disk = &self.options.disk;
        let inbox = MailboxName::inbox();
        if self.new {
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

    /// Once the mailboxes are numbered.
    pub(super) fn finish(&self, account: &LocalAccount) -> Result<(), StoreError> {
        if !self.new {
            return Ok(());
        }
        self.give_uses(account)?;
        account.note_subscriptions()?;
        let disk = Disk {
            fsync: self.fsync,
            ..self.options.disk
        };
        Ok(disk.flush_file_system(account.folders.folder(&MailboxName::inbox()).path())?)
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
