//! Mailboxes made, renamed, deleted, subscribed to, annotated.
//!
//! The folder is the mailbox; its small file carries the numbers and the special use along. So
//! the folder changes first, durably, and the row follows.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::index::Durability;
use crate::mail::{AnnotationName, Annotations, MailboxName, SpecialUse, UidSet};
use crate::maildir::{Annotated, DiskError, Folder, Marks, Subscriptions};
use crate::store::StoreError;

use super::account::LocalAccount;
use super::lock;

/// How long to wait for another program that is changing the subscriptions.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

impl LocalAccount {
    pub(super) fn make_mailbox(&self, name: &MailboxName) -> Result<(), StoreError> {
        let folder = self.folders.create(&self.options.disk, name)?;
        let mut index = lock(&self.index);
        if index.mailbox(name)?.is_some() && folder.exists() {
            return Ok(());
        }
        let mut lists = self.lock_lists([name]);
        let transaction = index.begin(Durability::Process)?;
        let mut identified = self.identify(&transaction, name, &lists)?;
        if identified.past_mark {
            self.reconcile_mailbox(&transaction, &mut identified, true, &mut lists)?;
        }
        self.prepare_numbers(&transaction, &mut identified, &mut lists)?;
        transaction.update_mailbox(&identified.row)?;
        Ok(transaction.commit()?)
    }

    pub(super) fn rename(&self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        if to.as_str().starts_with(&format!("{from}.")) && !from.is_inbox() {
            return Err(self.forbidden(to, "a mailbox cannot be renamed to a name below its own"));
        }
        if self.folders.folder(to).exists() {
            return Err(StoreError::MailboxExists {
                user: self.user.clone(),
                name: to.clone(),
            });
        }
        if from.is_inbox() {
            // RFC 9051 §6.3.6: INBOX itself stays, empty.
            self.make_mailbox(to)?;
            return self.transfer(from, &UidSet::all(), to, true).map(drop);
        }
        self.change(|transaction| {
            let renamed = self.folders.rename(&self.options.disk, from, to);
            let renamed = renamed.map_err(|error| match error.source.kind() {
                io::ErrorKind::NotFound => self.no_mailbox(from),
                io::ErrorKind::AlreadyExists => StoreError::MailboxExists {
                    user: self.user.clone(),
                    name: to.clone(),
                },
                _ => error.into(),
            })?;
            for (old, new) in renamed {
                if let Some(mut row) = transaction.mailbox(&old)? {
                    row.folder = self.folders.below_root(&new);
                    row.name = new;
                    transaction.rename_mailbox(&row)?;
                }
            }
            Ok(())
        })
    }

    pub(super) fn delete(&self, name: &MailboxName) -> Result<(), StoreError> {
        if name.is_inbox() {
            return Err(self.forbidden(name, "INBOX cannot be deleted"));
        }
        let (mut taken, mut kept) = (None, Vec::new());
        let deleted = self.change(|transaction| {
            let row = transaction.mailbox(name)?;
            self.keep_all(name, &mut kept)?;
            self.shrunk.store(true, Ordering::Relaxed);
            match self.folders.delete(&self.options.disk, name) {
                Err(error) if error.source.kind() == io::ErrorKind::NotFound && row.is_some() => {}
                Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Err(self.no_mailbox(name)),
                folder => taken = Some(folder?),
            }
            Ok(row.map_or(Ok(()), |row| transaction.delete_mailbox(&row))?)
        });
        if deleted.is_err() {
            kept.iter().for_each(|path| drop(fs::remove_file(path)));
        }
        match (taken, &deleted) {
            (Some(folder), Ok(())) => folder.finish(),
            // What was not deleted is there as before.
            (Some(folder), Err(_)) => folder.put_back(&self.options.disk),
            (None, _) => {}
        }
        deleted
    }

    pub(super) fn mark_special_use(
        &self,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<(), StoreError> {
        self.change(|transaction| {
            self.row_within(transaction, name)?;
            for mut row in transaction.mailboxes()? {
                let wanted = match row.name == *name {
                    true => special_use,
                    // Of two with the same use no client would know which to take.
                    false if special_use.is_some() && row.special_use == special_use => None,
                    false => continue,
                };
                if let Some(mut marks) = Marks::read(self.folders.folder(&row.name).path())? {
                    marks.special_use = wanted;
                    marks.write(&self.options.disk, self.folders.folder(&row.name).path())?;
                }
                row.special_use = wanted;
                transaction.rename_mailbox(&row)?;
            }
            Ok(())
        })
    }

    /// The subscriptions as the file has them.
    pub(super) fn read_subscriptions(&self) -> Result<BTreeSet<MailboxName>, StoreError> {
        let root = self.folders.folder(&MailboxName::inbox());
        let read = Subscriptions::read(root.path())?;
        Ok(read
            .map(|subscriptions| subscriptions.names())
            .unwrap_or_default()
            .into_iter()
            .collect())
    }

    pub(super) fn alter_subscription(&self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
        let root = self.folders.folder(&MailboxName::inbox());
        if !Subscriptions::alter(&self.options.disk, root.path(), &[(name, subscribed)], PATIENCE)? {
            let path = root.path().join("subscriptions");
            return Err(DiskError::at("lock", path)(io::ErrorKind::WouldBlock.into()).into());
        }
        self.note_subscriptions()
    }

    /// Takes the file's subscriptions into the index, for those who read only that.
    pub(super) fn note_subscriptions(&self) -> Result<(), StoreError> {
        let names = self.read_subscriptions()?;
        let mut index = lock(&self.index);
        let known = index.subscriptions()?;
        if known
            .iter()
            .map(String::as_str)
            .eq(names.iter().map(MailboxName::as_str))
        {
            return Ok(());
        }
        let transaction = index.begin(Durability::Process)?;
        transaction.put_subscriptions(names.iter().map(MailboxName::as_str))?;
        Ok(transaction.commit()?)
    }

    /// The annotations as the file has them.
    pub(super) fn read_annotations(&self, mailbox: Option<&MailboxName>) -> Result<Annotations, StoreError> {
        let (annotated, folder) = self.annotated(mailbox)?;
        Ok(annotated.read(folder.path())?)
    }

    // Read and written while nobody else writes to the index: of two who annotate both are heard.
    pub(super) fn annotate(
        &self,
        mailbox: Option<&MailboxName>,
        name: &AnnotationName,
        value: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut index = lock(&self.index);
        let _alone = index.begin(Durability::Process)?;
        let (annotated, folder) = self.annotated(mailbox)?;
        let mut annotations = annotated.read(folder.path())?;
        let set = annotations.set(name, value);
        set.map_err(|source| StoreError::Annotation {
            user: self.user.clone(),
            source,
        })?;
        Ok(annotated.write(&self.options.disk, folder.path(), &annotations)?)
    }

    fn annotated(&self, mailbox: Option<&MailboxName>) -> Result<(Annotated, Folder), StoreError> {
        let Some(name) = mailbox else {
            return Ok((Annotated::Server, self.folders.folder(&MailboxName::inbox())));
        };
        let folder = self.folders.folder(name);
        match folder.exists() {
            true => Ok((Annotated::Mailbox, folder)),
            false => Err(self.no_mailbox(name)),
        }
    }

    fn forbidden(&self, name: &MailboxName, reason: &'static str) -> StoreError {
        StoreError::Forbidden {
            user: self.user.clone(),
            name: name.clone(),
            reason,
        }
    }
}
