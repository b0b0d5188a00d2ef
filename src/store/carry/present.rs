//! What a mailbox has already.

use std::collections::BTreeMap;
use std::io;

use crate::mail::{EmailId, MailboxName, UidSet};
use crate::message::{Letter, Message};
use crate::store::{Account, StoreError};

use ring::digest::{Context, SHA256};

/// The messages of a mailbox that no message of this run was taken for yet: how many there are
/// of the same bytes and INTERNALDATE.
#[derive(Debug, Default)]
pub(super) struct Present(BTreeMap<(EmailId, i64), u32>);

impl Present {
    pub(super) fn read(account: &dyn Account, mailbox: &MailboxName) -> Result<Present, StoreError> {
        let mut present = BTreeMap::new();
        for entry in account.entries(mailbox, &UidSet::all())? {
            *present.entry((entry.email_id, entry.internal_date)).or_default() += 1;
        }
        Ok(Present(present))
    }

    /// Whether a message is there; it is taken for this one then. Without a date any will do.
    pub(super) fn take(&mut self, message: &Message, date: Option<i64>) -> io::Result<bool> {
        if self.0.is_empty() {
            return Ok(false);
        }
        let id = email_id(message)?;
        let (earliest, latest) = date.map_or((i64::MIN, i64::MAX), |date| (date, date));
        let found = self.0.range_mut((id, earliest)..=(id, latest)).next();
        let Some((key, count)) = found else { return Ok(false) };
        let key = *key;
        *count -= 1;
        if *count == 0 {
            self.0.remove(&key);
        }
        Ok(true)
    }
}

// That of the bytes as they would be stored.
fn email_id(message: &Message) -> io::Result<EmailId> {
    let mut digest = Digest(Context::new(&SHA256));
    Letter::plain(message.clone()).write_to(&mut digest)?;
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.0.finish().as_ref());
    Ok(EmailId::of_digest(&bytes))
}

struct Digest(Context);

impl io::Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
