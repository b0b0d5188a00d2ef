//! Deliveries that this process has no right to make.

use crate::directory::Found;
use crate::mail::{Address, Outcome, Recipient, ReversePath};

use super::Parcel;

/// Who makes deliveries in another process, which has the rights of the account's owner: filter, mailboxes, history and
/// errands are all there. Of an account that was found here, only its name counts.
pub trait Elsewhere: Send + Sync {
    /// Whether the mail of an address may come, asked at RCPT TO; `size` is the declared one in bytes. The outcome where
    /// it may not.
    fn refuses(&self, found: &Found, address: &Address, reverse_path: &ReversePath, size: u64) -> Option<Outcome>;

    /// Delivers a message to one recipient.
    fn deliver(&self, found: &Found, parcel: &Parcel, recipient: &Recipient) -> Outcome;
}
