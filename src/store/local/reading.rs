//! What readers ask: mailboxes, entries, details, bytes.

use crate::index::{Index, MailboxRow, MessageRow};
use crate::mail::{Flags, MailboxName, ModSeq, Uid, UidSet};
use crate::maildir::{DiskError, open_message};
use crate::store::{Body, Changes, Detail, Entry, StoreError};

use super::account::{LocalAccount, seen};
use super::lock;

impl LocalAccount {
    pub(super) fn read_flags(
        &self,
        mailbox: &MailboxName,
        uids: &UidSet,
    ) -> Result<Vec<(Uid, ModSeq, Flags)>, StoreError> {
        let index = lock(&self.index);
        let row = self.row(&index, mailbox)?;
        Ok(index.flags(&row, uids)?)
    }

    pub(super) fn read_entries(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Entry>, StoreError> {
        let index = lock(&self.index);
        // Numbers of contents are given again: rows and what they refer to must be of one moment.
        index.snapshot(|index| {
            let row = self.row(index, mailbox)?;
            entries(index, index.messages(&row, uids)?)
        })
    }

    pub(super) fn read_details(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Detail>, StoreError> {
        lock(&self.index).snapshot(|index| self.details_of(index, mailbox, uids))
    }

    fn details_of(&self, index: &Index, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Detail>, StoreError> {
        let row = self.row(index, mailbox)?;
        let rows = index.messages(&row, uids)?;
        let paths: Vec<_> = rows
            .iter()
            .map(|row| self.path_below_home(mailbox, &row.file))
            .collect();
        let contents: Vec<i64> = rows.iter().map(|row| row.content).collect();
        let mut cards = index.cards(&contents)?;
        let entries = entries(index, rows)?;
        let details = entries.into_iter().zip(contents).zip(paths);
        Ok(details
            .map(|((entry, content), path)| {
                let stored = cards.remove(&content).unwrap_or_default();
                Detail {
                    entry,
                    card: stored.card,
                    delivery: stored.delivery,
                    path,
                }
            })
            .collect())
    }

    pub(super) fn open_message(&self, mailbox: &MailboxName, uid: Uid) -> Result<Box<dyn Body>, StoreError> {
        let index = lock(&self.index);
        let row = self.row(&index, mailbox)?;
        let missing = || StoreError::NoMessage {
            user: self.user.clone(),
            mailbox: mailbox.clone(),
            uid,
        };
        let message = index.messages(&row, &uid.into())?.pop().ok_or_else(missing)?;
        drop(index);
        let path = self.folders.folder(mailbox).find(&seen(&message.file))?;
        let file = open_message(&path).map_err(DiskError::at("open", path))?;
        Ok(Box::new(file))
    }

    pub(super) fn read_changes(&self, mailbox: &MailboxName, since: ModSeq) -> Result<Changes, StoreError> {
        let index = lock(&self.index);
        // One snapshot, so that HIGHESTMODSEQ is that of the rest.
        index.snapshot(|index| {
            let row: MailboxRow = self.row(index, mailbox)?;
            Ok(Changes {
                highest_modseq: row.highest_modseq,
                changed: entries(index, index.changed_since(&row, since)?)?,
                vanished: index.vanished_since(&row, since)?,
            })
        })
    }
}

/// Rows as readers see them.
pub(super) fn entries(index: &Index, rows: Vec<MessageRow>) -> Result<Vec<Entry>, StoreError> {
    let contents: Vec<i64> = rows.iter().map(|row| row.content).collect();
    let identities = index.identities(&contents)?;
    let entry = |(row, (email_id, thread_id)): (MessageRow, _)| Entry {
        uid: row.uid,
        modseq: row.modseq,
        flags: row.flags,
        internal_date: row.internal_date,
        save_date: row.save_date,
        size: row.size,
        email_id,
        thread_id,
    };
    Ok(rows.into_iter().zip(identities).map(entry).collect())
}
