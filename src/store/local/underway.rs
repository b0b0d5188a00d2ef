//! How a process finds out that another one left a publication or a change undone.
//!
//! Between the rename of a file and the commit of its row a process may be killed, or its commit may fail. Then the index
//! lacks a file whose delivery was, or may have been, answered for, or has one that was moved or removed. So whoever
//! publishes, or changes files and rows, turns a mark before his first rename, and the same in the index with his rows.
//! Where the two differ under the index's write lock, somebody did not come to his end, and whoever finds that, at
//! opening the account or with the next delivery or change, takes in how the files are.
//!
//! The mark is the length of a file beside the index, which goes up by one each time and begins anew at some length:
//! changing that takes no room on a full disk, and outlives the process. So it also tells an index whose last commits are
//! gone, or that was put back from a backup. Nothing is flushed: after a new start of the machine all folders are read in
//! any case.

use std::fs::{self, File, OpenOptions};
use std::io;
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
/// The mark in the index; none is zero.
const FACT: &str = "published";
/// It is below this.
const CYCLE: u64 = 256;

/// How a mark that was turned stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(u64);

impl LocalAccount {
    /// Takes in what a commit left out that failed, ours or another's, or that never came.
    pub(super) fn catch_up_with_all(&self, index: &mut Index) -> Result<(), StoreError> {
        // Without the write lock it may be one who is in the middle of it.
        if settled(index.fact(FACT)?) == self.mark() || !self.is_undone(&index.begin(Durability::Process)?)? {
            return self.catch_up(index);
        }
        self.behind.store(true, Ordering::Relaxed);
        self.catch_up(index)?;
        let transaction = index.begin(Durability::Process)?;
        settle(&transaction, Mark(self.mark()))?;
        Ok(transaction.commit()?)
    }

    /// Whether a publication or change before this transaction did not come to its end.
    pub(super) fn is_undone(&self, transaction: &Transaction<'_>) -> Result<bool, StoreError> {
        Ok(settled(transaction.fact(FACT)?) != self.mark())
    }

    /// Turns the mark: from here on, until [`settle`] is committed, the index may be behind the files. Answers how it
    /// stands now; none, and it is not turned, where one before did not come to its end.
    pub(super) fn turn_mark(&self, transaction: &Transaction<'_>) -> Result<Option<Mark>, StoreError> {
        let settled = settled(transaction.fact(FACT)?);
        let turned = self.open_mark().and_then(|file| {
            if file.metadata()?.len() != settled {
                return Ok(None);
            }
            let turned = (settled + 1) % CYCLE;
            file.set_len(turned)?;
            self.tended.store(false, Ordering::Relaxed);
            Ok(Some(Mark(turned)))
        });
        Ok(turned.map_err(DiskError::at("mark", self.mark_path()))?)
    }

    /// Turns the mark back, within the transaction in which it was turned: no file was changed.
    pub(super) fn turn_back(&self, Mark(turned): Mark) {
        // Where it stays, files and rows are compared for nothing.
        let _ = self
            .open_mark()
            .and_then(|file| file.set_len((turned + CYCLE - 1) % CYCLE));
    }

    fn open_mark(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).mode(self.options.disk.file_mode);
        // The home may be one in which its owner works: no link is followed, no FIFO waited for.
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
        options.open(self.mark_path())
    }

    // Nobody turns it but who has the write lock.
    fn mark(&self) -> u64 {
        fs::symlink_metadata(self.mark_path()).map_or(0, |file| file.len())
    }

    fn mark_path(&self) -> PathBuf {
        let mut name = self.index_path.as_os_str().to_owned();
        name.push(ENDING);
        PathBuf::from(name)
    }
}

/// Writes down with the rows that all files have theirs, as far as this mark goes.
pub(super) fn settle(transaction: &Transaction<'_>, Mark(mark): Mark) -> Result<(), StoreError> {
    Ok(transaction.put_fact(FACT, &mark.to_string())?)
}

fn settled(fact: Option<String>) -> u64 {
    fact.and_then(|fact| fact.parse().ok()).unwrap_or(0)
}
