//! How a process finds out that another one left a publication undone.
//!
//! Between the rename of a file and the commit of its row a process may be killed, or its commit may fail. Then the index
//! lacks a file whose delivery was, or may have been, answered for. A process that opens the account afterwards sees that
//! the index was not closed, and one whose own commit failed remembers it; but one that had it open all the time would not
//! know, and deliver the same message again. So a publication turns a mark before its first rename, and the same in the
//! index with its rows. Where the two differ under the index's write lock, somebody did not come to his end.
//!
//! The mark is the length of a file beside the index, 0 or 1: changing that takes no room on a full disk, and outlives the
//! process. Nothing is flushed: after a new start of the machine all folders are read in any case.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use rustix::fs::OFlags;

use super::account::LocalAccount;
use crate::index::{Durability, Index, Transaction};
use crate::maildir::DiskError;
use crate::store::StoreError;

/// What is put behind the name of the index.
const ENDING: &str = "-publishing";
/// The mark in the index.
const FACT: &str = "published";

impl LocalAccount {
    /// Takes in what a commit left out that failed, ours or another's, or that never came.
    pub(super) fn catch_up_with_all(&self, index: &mut Index) -> Result<(), StoreError> {
        // Without the write lock it may be one who is in the middle of it.
        let settled = index.fact(FACT)?.is_some();
        if settled == self.mark() || !self.is_undone(&index.begin(Durability::Process)?)? {
            return self.catch_up(index);
        }
        self.behind.store(true, Ordering::Relaxed);
        self.catch_up(index)?;
        let transaction = index.begin(Durability::Process)?;
        settle(&transaction, self.mark())?;
        Ok(transaction.commit()?)
    }

    /// Whether a publication before this transaction did not come to its end.
    pub(super) fn is_undone(&self, transaction: &Transaction<'_>) -> Result<bool, StoreError> {
        Ok(transaction.fact(FACT)?.is_some() != self.mark())
    }

    /// Turns the mark: from here on, until [`settle`] is committed, the index may lack files. Answers how it stands now;
    /// none, and it is not turned, where a publication before did not come to its end.
    pub(super) fn begin_publication(&self, transaction: &Transaction<'_>) -> Result<Option<bool>, StoreError> {
        let settled = transaction.fact(FACT)?.is_some();
        let path = self.mark_path();
        let mut options = OpenOptions::new();
        options.write(true).create(true).mode(self.options.disk.file_mode);
        // The home may be one in which its owner works: no link is followed, no FIFO waited for.
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
        let turned = options.open(&path).and_then(|file| {
            if (file.metadata()?.len() == 1) != settled {
                return Ok(None);
            }
            file.set_len(u64::from(!settled))?;
            Ok(Some(!settled))
        });
        Ok(turned.map_err(DiskError::at("mark", path))?)
    }

    // Nobody turns it but who has the write lock.
    fn mark(&self) -> bool {
        fs::symlink_metadata(self.mark_path()).is_ok_and(|file| file.len() == 1)
    }

    fn mark_path(&self) -> PathBuf {
        let mut name = self.index_path.as_os_str().to_owned();
        name.push(ENDING);
        PathBuf::from(name)
    }
}

/// Writes down with the rows that all files have theirs, as far as this mark goes.
pub(super) fn settle(transaction: &Transaction<'_>, mark: bool) -> Result<(), StoreError> {
    match mark {
        true => transaction.put_fact(FACT, "1")?,
        false => transaction.forget_fact(FACT)?,
    }
    Ok(())
}
