//! The catalogue: one SQLite database for each account.
//!
//! Called by `store::local`, which holds the Maildir beside it. Everything here
//! happens in a [`Transaction`] (writes) or on the [`Index`] (reads), and ends in
//! an [`IndexError`] that names the file. The schema is `schema.sql`.

mod mailbox;
mod memory;
mod message;
mod open;

pub use mailbox::{Counts, MailboxRow};
pub use memory::{Remembered, Step};
pub(crate) use message::KnownRow;
pub use message::{ContentRow, FileRow, MessageRow, NewMessage};
pub use open::{Durability, Index, IndexError, Transaction};
