//! Mail carried in and out: whole mailboxes from and to mbox files, Maildirs and trees of `.eml` files.
//!
//! Called by the commands `import` and `export`. What is carried in is read from a [`Source`],
//! which was looked through before; a part of it that cannot be read is a fault that is told
//! to the [`Bystander`] with file and place, and the rest goes on. What fails in the store or at
//! the destination ends in a [`CarryError`].
//!
//! An import may be run again, after it was killed or from a source that has grown: a message
//! is there already where the mailbox has one with the same bytes (EMAILID) and the same
//! INTERNALDATE that no earlier message of this run was taken for. So two equal messages in
//! the source become two, however often it is run.
//!
//! | file | subject |
//! | --- | --- |
//! | `source.rs` | what there is to import, whatever its layout |
//! | `names.rs` | folders and files as names of mailboxes |
//! | `maildir.rs`, `eml.rs` | the messages of one folder |
//! | `present.rs` | what a mailbox has already |
//! | `import.rs` | messages into an account |
//! | `export/` | mailboxes out of an account |

mod eml;
mod export;
mod import;
mod maildir;
mod names;
mod present;
mod source;

use std::path::{Path, PathBuf};

use super::StoreError;
use crate::maildir::DiskError;
use crate::message::SpoolError;

pub use export::{ExportFormat, ExportOptions, export};
pub use import::{ImportOptions, import};
pub use source::{Source, SourceFormat};

/// Who is told how it goes.
pub trait Bystander {
    /// So many bytes more are done.
    fn advance(&mut self, bytes: u64);

    /// Something could not be carried: which file, where in it, and why.
    fn fault(&mut self, what: &str);

    /// A file of a tree is no mail of the formats that are taken.
    fn passed_over(&mut self, path: &Path) {
        let _ = path;
    }
}

/// What became of one mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Messages that were carried.
    pub messages: u64,
    /// Messages that were there already.
    pub present: u64,
}

/// Why carrying ended.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// The account.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The destination.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A message could not be kept while it was read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Something has the name already under which a mailbox would be written.
    #[error("{} is there already: nothing is overwritten", .0.display())]
    Exists(PathBuf),
}
