//! What became of deliveries: written down, and told with what is there of their messages now.

use crate::index::{Durability, HistoryKey, Index, PastDelivery, Record, Transaction};
use crate::mail::{MailboxName, Uid};
use crate::store::{Explained, StoreError};

use super::account::{LocalAccount, now};
use super::lock;

impl LocalAccount {
    /// See [`crate::store::Deliveries::record`].
    pub(super) fn write_history(&self, record: &Record) -> Result<(), StoreError> {
        if self.options.history.is_none() {
            return Ok(());
        }
        let mut index = lock(&self.index);
        let transaction = index.begin(Durability::Process)?;
        self.put_history(&transaction, record)?;
        Ok(transaction.commit()?)
    }

    /// The same within a transaction.
    pub(super) fn put_history(&self, transaction: &Transaction<'_>, record: &Record) -> Result<(), StoreError> {
        match self.options.history {
            Some(_) => Ok(transaction.put_history(record, self.options.history_entries)?),
            None => Ok(()),
        }
    }

    /// Forgets what has had its time; all of it where nothing is kept.
    pub(super) fn forget_history(
        &self,
        transaction: &Transaction<'_>,
        now: i64,
    ) -> Result<(), crate::index::IndexError> {
        let (kept, entries) = self.kept_history();
        let before = now.saturating_sub(i64::try_from(kept).unwrap_or(i64::MAX));
        transaction.forget_history(before, entries)
    }

    /// How much is kept: for how many seconds, of how many deliveries.
    pub(super) fn kept_history(&self) -> (u64, usize) {
        match self.options.history {
            Some(kept) => (kept.as_secs(), self.options.history_entries),
            None => (0, 0),
        }
    }

    /// See [`crate::store::Deliveries::history`].
    pub(super) fn read_history(&self, key: &HistoryKey, limit: usize) -> Result<Vec<Explained>, StoreError> {
        lock(&self.index).snapshot(|index| {
            let mut found = match key {
                HistoryKey::Message { mailbox, uid } => self.history_of_message(index, mailbox, *uid, limit)?,
                key => index.history(key, limit)?,
            };
            // What upkeep has not yet forgotten has had its time all the same.
            let kept = self.options.history.unwrap_or_default().as_secs();
            let since = now().saturating_sub(i64::try_from(kept).unwrap_or(i64::MAX));
            found.retain(|delivery| delivery.time >= since);
            found.into_iter().map(|delivery| explained(index, delivery)).collect()
        })
    }

    // A message knows its delivery wherever it was moved; of one that is gone only the history does.
    fn history_of_message(
        &self,
        index: &Index,
        mailbox: &MailboxName,
        uid: Uid,
        limit: usize,
    ) -> Result<Vec<PastDelivery>, StoreError> {
        let filed = || {
            let mailbox = mailbox.clone();
            index.history(&HistoryKey::Message { mailbox, uid }, limit)
        };
        let Some(row) = index.mailbox(mailbox)? else {
            return Ok(filed()?);
        };
        let Some(message) = index.messages(&row, &uid.into())?.pop() else {
            return Ok(filed()?);
        };
        let Some(stored) = index.cards(&[message.content])?.remove(&message.content) else {
            return Ok(Vec::new());
        };
        let summary = stored.card.summary();
        let mut found = match stored.delivery.map(|delivery| delivery.id).or(summary.delivery_id) {
            Some(id) => index.history(&HistoryKey::Delivery(id), limit)?,
            None => Vec::new(),
        };
        if let (true, Some(id)) = (found.is_empty(), summary.message_id) {
            found = index.history(&HistoryKey::MessageId(id), limit)?;
        }
        Ok(found)
    }
}

fn explained(index: &Index, delivery: PastDelivery) -> Result<Explained, StoreError> {
    let contents = index.contents_of(&delivery)?;
    let cards = index.cards(&contents)?;
    let (mut subject, mut copies) = (None, Vec::new());
    for content in contents {
        let Some(stored) = cards.get(&content) else { continue };
        let summary = stored.card.summary();
        let brought = stored.delivery.as_ref().map(|delivery| delivery.id.clone());
        if brought.or(summary.delivery_id).as_deref() == Some(delivery.id.as_str()) {
            subject = Some(summary.subject);
            copies.extend(index.places_of(content)?);
        }
    }
    copies.sort();
    Ok(Explained {
        delivery,
        subject,
        copies,
    })
}
