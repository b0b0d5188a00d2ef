//! The mailboxes of an account.

use std::collections::BTreeSet;

use crate::index::Counts;
use crate::mail::{AnnotationName, Annotations, MailboxName, ModSeq, SpecialUse, Uid, UidValidity};

use super::StoreError;

/// What is asked of the mailboxes of an account: RFC 9051 §6.3, RFC 6154, RFC 8474, RFC 5464.
pub trait Mailboxes: Send + Sync {
    /// All mailboxes by name, as the index has them.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn mailboxes(&self) -> Result<Vec<MailboxStatus>, StoreError>;

    /// One mailbox (STATUS, RFC 9051 §6.3.11), as the index has it.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where it cannot be read.
    fn status(&self, name: &MailboxName) -> Result<MailboxStatus, StoreError>;

    /// Whether a mailbox exists.
    ///
    /// # Errors
    /// Where that cannot be told.
    fn has_mailbox(&self, name: &MailboxName) -> Result<bool, StoreError>;

    /// Makes a mailbox (RFC 9051 §6.3.4); nothing happens where it exists. Mailboxes above it in the
    /// hierarchy are not made.
    ///
    /// # Errors
    /// Where it cannot be made.
    fn create_mailbox(&self, name: &MailboxName) -> Result<(), StoreError>;

    /// Renames a mailbox and all below it (RFC 9051 §6.3.6): each keeps its UIDVALIDITY, UIDs and
    /// MAILBOXID. Renaming INBOX moves its messages into a new mailbox and leaves INBOX, and the
    /// mailboxes below it, where they are. Subscriptions stay as they are.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], [`StoreError::MailboxExists`], [`StoreError::Forbidden`] where the new name
    /// lies below the old one; or where it fails on the disk.
    fn rename_mailbox(&self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError>;

    /// Deletes a mailbox with all its messages (RFC 9051 §6.3.5); those below it stay.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], [`StoreError::Forbidden`] for INBOX, or where it fails on the disk.
    fn delete_mailbox(&self, name: &MailboxName) -> Result<(), StoreError>;

    /// Says what a mailbox is for (RFC 6154); of two mailboxes with the same use clients take one, so
    /// another that had it loses it.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where it cannot be written.
    fn set_special_use(&self, name: &MailboxName, special_use: Option<SpecialUse>) -> Result<(), StoreError>;

    /// The names that are subscribed to (RFC 9051 §6.3.7), also such as no longer exist.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn subscriptions(&self) -> Result<BTreeSet<MailboxName>, StoreError>;

    /// Subscribes to a name, or ends that.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn subscribe(&self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError>;

    /// The annotations (RFC 5464) of a mailbox, or of the server for this account where none is named. They
    /// go along when it is renamed, and end with it.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where they cannot be read.
    fn annotations(&self, mailbox: Option<&MailboxName>) -> Result<Annotations, StoreError>;

    /// One annotation; none where it has no value.
    ///
    /// # Errors
    /// As [`Mailboxes::annotations`].
    fn annotation(&self, mailbox: Option<&MailboxName>, name: &AnnotationName) -> Result<Option<String>, StoreError> {
        Ok(self.annotations(mailbox)?.get(name).map(str::to_owned))
    }

    /// Gives an annotation a value, or takes it away, durably.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], [`StoreError::Annotation`], or where it cannot be written.
    fn set_annotation(
        &self,
        mailbox: Option<&MailboxName>,
        name: &AnnotationName,
        value: Option<&str>,
    ) -> Result<(), StoreError>;
}

/// A mailbox with its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxStatus {
    /// Its name.
    pub name: MailboxName,
    /// MAILBOXID (RFC 8474).
    pub mailbox_id: String,
    /// UIDVALIDITY.
    pub validity: UidValidity,
    /// UIDNEXT.
    pub uid_next: Uid,
    /// HIGHESTMODSEQ (RFC 7162).
    pub highest_modseq: ModSeq,
    /// What it is for (RFC 6154).
    pub special_use: Option<SpecialUse>,
    /// Messages, unseen and deleted ones, bytes.
    pub counts: Counts,
}
