//! Many messages removed, a few at a time: a delivery never waits for all of them.

use crate::mail::{MailboxName, Uid, UidSet};
use crate::store::{Account, StoreError};

use super::progress::Progress;

/// Messages that are removed in one transaction, while deliveries wait. Each takes an `unlink`, which on a busy
/// disk can be a millisecond.
pub(super) const SLICE: usize = 500;

/// Which messages are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    /// All that are named.
    Any,
    /// Those of them that have `\Deleted` at that moment.
    Deleted,
}

/// Removes messages and shows how far that is; answers which they were. Those removed before an error stay removed.
pub(super) fn remove(
    account: &dyn Account,
    mailbox: &MailboxName,
    uids: &[Uid],
    removal: Removal,
    bar: Option<&Progress>,
) -> Result<Vec<Uid>, StoreError> {
    let mut gone = Vec::new();
    for slice in uids.chunks(SLICE) {
        let set: UidSet = slice.iter().copied().collect();
        gone.extend(match removal {
            Removal::Any => account.remove(mailbox, &set)?,
            Removal::Deleted => account.expunge(mailbox, &set)?,
        });
        if let Some(bar) = bar {
            bar.step(slice.len());
        }
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::mail::Flags;
    use crate::message::Message;
    use crate::store::{MemoryStore, Store};

    #[test]
    fn what_is_more_than_a_slice() {
        let account = MemoryStore::new().account("ann", Path::new("/ann")).unwrap();
        let inbox = MailboxName::inbox();
        let message = Message::from_bytes(b"Subject: x\n\nx\n".to_vec());
        let mut deleted = Flags::new();
        deleted.insert("\\Deleted").unwrap();
        let mut uids = Vec::new();
        for number in 0..SLICE + 10 {
            let flags = if number % 2 == 0 { &deleted } else { &Flags::new() };
            uids.push(account.append(&inbox, &message, flags, None).unwrap().1);
        }
        let gone = remove(&*account, &inbox, &uids, Removal::Deleted, None).unwrap();
        assert_eq!(gone, uids.iter().step_by(2).copied().collect::<Vec<_>>());
        let gone = remove(&*account, &inbox, &uids, Removal::Any, None).unwrap();
        assert_eq!(gone, uids.iter().skip(1).step_by(2).copied().collect::<Vec<_>>());
        assert_eq!(account.status(&inbox).unwrap().counts.messages, 0);
    }
}
