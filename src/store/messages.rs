//! The messages of a mailbox.

use std::io::{Read, Seek};
use std::path::PathBuf;
use std::time::Duration;

use crate::index::{Delivery, Verdict};
use crate::mail::{EmailId, Flags, MailboxName, ModSeq, ThreadId, Uid, UidSet, UidValidity};
use crate::message::{Card, Message, Needle, Scope};

use super::StoreError;

/// What is asked of the messages of an account's mailboxes: RFC 9051 §6.4, RFC 7162.
///
/// UIDs that name no message are passed over, as IMAP's UID commands do (RFC 9051 §6.4.9).
pub trait Messages: Send + Sync {
    /// What changes about messages, and their numbers, by UID. Reads no file.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where they cannot be read.
    fn entries(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Entry>, StoreError>;

    /// UID, MODSEQ and flags alone, by UID: what a client asks of all messages when it opens a mailbox.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where they cannot be read.
    fn flags(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<(Uid, ModSeq, Flags)>, StoreError>;

    /// All that the index has of messages, by UID. Reads no file.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where they cannot be read.
    fn details(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Detail>, StoreError>;

    /// The bytes of a message as they are stored, decompressed where another program compressed them.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], [`StoreError::NoMessage`], or where it cannot be read.
    fn open(&self, mailbox: &MailboxName, uid: Uid) -> Result<Box<dyn Body>, StoreError>;

    /// Alters flags and keywords (STORE, RFC 9051 §6.4.6). With `unchanged_since` a message whose MODSEQ is
    /// above it stays as it is (RFC 7162 §3.1.3). One transaction, whatever the number of messages.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where it cannot be written; nothing is altered then in the index.
    fn alter(
        &self,
        mailbox: &MailboxName,
        uids: &UidSet,
        alteration: &Alteration,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Altered, StoreError>;

    /// Copies messages with flags and INTERNALDATE into a mailbox (RFC 9051 §6.4.7): all or none.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`] for either, or where it fails on the disk.
    fn copy(&self, mailbox: &MailboxName, uids: &UidSet, to: &MailboxName) -> Result<Transferred, StoreError>;

    /// Moves messages (RFC 9051 §6.4.8): none is ever in both or in neither for a reader.
    ///
    /// # Errors
    /// As [`Messages::copy`].
    fn move_to(&self, mailbox: &MailboxName, uids: &UidSet, to: &MailboxName) -> Result<Transferred, StoreError>;

    /// Adds a message (APPEND, RFC 9051 §6.3.12), durably. A message all of whose lines end in CRLF is
    /// kept with LF. Without a date INTERNALDATE is now; it is in seconds since 1970.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where it cannot be written; nothing is left then.
    fn append(
        &self,
        mailbox: &MailboxName,
        message: &Message,
        flags: &Flags,
        internal_date: Option<i64>,
    ) -> Result<(UidValidity, Uid), StoreError>;

    /// Adds many messages in their order, durably when it returns: cheaper than one by one.
    ///
    /// # Errors
    /// As [`Messages::append`]; some of the messages may be there then.
    fn append_all(&self, mailbox: &MailboxName, messages: &[Incoming]) -> Result<Vec<Uid>, StoreError> {
        let append = |new: &Incoming| self.append(mailbox, &new.message, &new.flags, new.internal_date);
        messages.iter().map(|new| append(new).map(|(_, uid)| uid)).collect()
    }

    /// Removes the messages with `\Deleted` among these (EXPUNGE, UID EXPUNGE of RFC 4315); answers which they were.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where it fails on the disk.
    fn expunge(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Uid>, StoreError>;

    /// Removes messages whatever their flags (POP3's DELE, JMAP's destroy); answers which they were.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where it fails on the disk.
    fn remove(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Uid>, StoreError>;

    /// What happened in a mailbox after a MODSEQ (CHANGEDSINCE, VANISHED; RFC 7162 §3.1.4, §3.2.6).
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where it cannot be read.
    fn changes(&self, mailbox: &MailboxName, since: ModSeq) -> Result<Changes, StoreError>;

    /// Watches a mailbox for changes, by this process and by others (IDLE, RFC 9051 §6.3.13).
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where it cannot be watched.
    fn watch(&self, mailbox: &MailboxName) -> Result<Box<dyn Watch + '_>, StoreError>;

    /// Which of these messages contain a text, as far as that is known without reading them. Those
    /// that are not named, and all in a store without a full text index, are [`Verdict::Maybe`].
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where it cannot be read.
    fn narrow(
        &self,
        mailbox: &MailboxName,
        scope: Scope,
        needle: &Needle,
        uids: &UidSet,
    ) -> Result<Vec<(Uid, Verdict)>, StoreError> {
        let _ = (mailbox, scope, needle, uids);
        Ok(Vec::new())
    }
}

/// A message that is to be added.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its bytes.
    pub message: Message,
    /// Its flags and keywords.
    pub flags: Flags,
    /// INTERNALDATE, in seconds since 1970; none: now.
    pub internal_date: Option<i64>,
}

/// The bytes of a message.
pub trait Body: Read + Seek + Send {}

impl<T: Read + Seek + Send> Body for T {}

/// What changes about a message in a mailbox, and its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// UID.
    pub uid: Uid,
    /// MODSEQ (RFC 7162).
    pub modseq: ModSeq,
    /// Flags and keywords.
    pub flags: Flags,
    /// INTERNALDATE, in seconds since 1970.
    pub internal_date: i64,
    /// SAVEDATE (RFC 8514): when it came into this mailbox, in seconds since 1970.
    pub save_date: i64,
    /// RFC822.SIZE: bytes with all lines ending in CRLF.
    pub size: u64,
    /// EMAILID (RFC 8474).
    pub email_id: EmailId,
    /// THREADID (RFC 8474).
    pub thread_id: ThreadId,
}

/// All that the index has of a message.
#[derive(Clone, Debug)]
pub struct Detail {
    /// What changes, and its numbers.
    pub entry: Entry,
    /// What stays as it is.
    pub card: Card,
    /// The delivery that brought it, where that is known.
    pub delivery: Option<Delivery>,
    /// Its file, below the home; empty in a store without files.
    pub path: PathBuf,
}

/// How flags are altered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// They become these (FLAGS).
    Set(Flags),
    /// These are added (+FLAGS).
    Add(Flags),
    /// These are taken away (-FLAGS).
    Remove(Flags),
}

impl Alteration {
    /// What becomes of flags.
    #[must_use]
    pub fn apply(&self, flags: &Flags) -> Flags {
        match self {
            // A keyword that was there keeps its spelling.
            Alteration::Set(new) => flags.difference(&flags.difference(new)).union(new),
            Alteration::Add(more) => flags.union(more),
            Alteration::Remove(less) => flags.difference(less),
        }
    }
}

/// What altering flags did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Altered {
    /// The messages named, as they are now; those whose flags were so before keep their MODSEQ.
    pub entries: Vec<Entry>,
    /// Those that had changed since and were left alone (MODIFIED, RFC 7162 §3.1.3).
    pub modified: UidSet,
}

/// Messages that came into another mailbox (COPYUID, RFC 9051 §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// UIDVALIDITY of the mailbox they came into.
    pub validity: UidValidity,
    /// The old UID and the new one of each, ascending.
    pub uids: Vec<(Uid, Uid)>,
}

/// What happened in a mailbox after a MODSEQ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The mailbox's HIGHESTMODSEQ at that moment.
    pub highest_modseq: ModSeq,
    /// Messages that are new or whose flags changed, by UID.
    pub changed: Vec<Entry>,
    /// UIDs that are gone.
    pub vanished: UidSet,
}

/// Watches one mailbox.
pub trait Watch: Send {
    /// Waits until something may have changed since the last call (or since the watch began), or until the time is over;
    /// answers whether something did. What other programs did is in the index when this returns.
    ///
    /// # Errors
    /// Where it can no longer be watched.
    fn wait(&mut self, timeout: Duration) -> Result<bool, StoreError>;
}
