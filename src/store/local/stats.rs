//! How much room an account's index takes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::index::{DatabaseSize, FullText, Index};
use crate::store::{Account, Counts, StoreError};

use super::LocalStore;
use super::account::{INDEX, index_folder};

/// The name of the full text in the folder of the index.
const FULL_TEXT: &str = "fulltext.sqlite";

/// What an account's index takes, beside its mail.
#[derive(Clone, Debug)]
pub struct IndexStats {
    /// The database of the index.
    pub path: PathBuf,
    /// Its bytes on disk, with the log beside it.
    pub bytes: u64,
    /// Its tables.
    pub index: DatabaseSize,
    /// The full text, where there is one: its bytes on disk, and its tables.
    pub full_text: Option<(u64, DatabaseSize)>,
    /// What is in the account's mailboxes.
    pub mail: Counts,
}

impl LocalStore {
    /// How much room the index of an account takes. It reads all pages of the index, and no mail.
    ///
    /// # Errors
    /// Where the account cannot be opened, or its index not be read.
    pub fn index_stats(&self, user: &str, home: &Path) -> Result<IndexStats, StoreError> {
        let account: std::sync::Arc<dyn Account> = crate::store::Store::account(self, user, home)?;
        account.reconcile()?;
        let folder = index_folder(&self.options, user, home);
        let path = folder.join(INDEX);
        let full_text = folder.join(FULL_TEXT);
        let index = Index::open(&path)?;
        Ok(IndexStats {
            bytes: on_disk(&path),
            index: index.sizes_of_tables()?,
            full_text: FullText::sizes_of_tables(&full_text)?.map(|sizes| (on_disk(&full_text), sizes)),
            mail: account.usage()?,
            path,
        })
    }
}

// A file that is not there takes nothing.
fn on_disk(path: &Path) -> u64 {
    let with = |ending: &str| {
        let mut file = path.as_os_str().to_owned();
        file.push(ending);
        fs::metadata(file).map_or(0, |metadata| metadata.len())
    };
    with("") + with("-wal")
}
