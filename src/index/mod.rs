//! The catalogue: one SQLite database for each account.
//!
//! Called by `store::local`, which holds the Maildir beside it. Everything here
//! happens in a [`Transaction`] (writes) or on the [`Index`] (reads), and ends in
//! an [`IndexError`] that names the file. The schema is `schema.sql`
//! and `history.sql`.
//!
//! Beside it lies a second database, [`FullText`]: words, for searching. It is filled
//! behind delivery, only ever narrows a search, and may be lost at any time.

mod card;
mod content;
mod copy;
mod empty;
mod error;
mod fulltext;
mod history;
mod mailbox;
mod memory;
mod message;
mod network;
mod open;
mod record;
mod schema;
mod stats;
mod vocabulary;

pub use card::{Delivery, StoredCard};
pub(crate) use content::PACK_CARDS;
pub use content::{Gathered, NewContent, NewPack};
pub use error::IndexError;
pub use fulltext::{FullText, Progress, Verdict};
pub use history::{ActionKind, ActionResult, Ending, HistoryKey, PastAction, PastDelivery, Record};
pub use mailbox::{Counts, MailboxRow};
pub use memory::{Remembered, Step};
pub use message::{FileRow, MessageRow};
pub use open::{Durability, Index, Transaction};
pub use stats::{DatabaseSize, TableSize};
