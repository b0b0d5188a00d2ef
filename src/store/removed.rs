//! What was removed and is still kept.

use crate::mail::{Flags, MailboxName};
use crate::message::Summary;

/// A message that was removed and can be put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// What [`Account::restore`](super::Account::restore) knows it by.
    pub id: String,
    /// The mailbox it was in.
    pub mailbox: MailboxName,
    /// When it was removed, in seconds since 1970.
    pub removed: i64,
    /// Bytes with all lines ending in CRLF.
    pub size: u64,
    /// Its flags and keywords.
    pub flags: Flags,
    /// INTERNALDATE, in seconds since 1970.
    pub internal_date: i64,
    /// What a list shows of it.
    pub summary: Summary,
}
