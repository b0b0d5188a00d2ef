//! What is given once: UIDVALIDITY, UIDs and MODSEQs.
//!
//! The index says what comes next; the file `postroom-mailbox` says up to where
//! the index may count without writing that file again. So a power cut that takes
//! the index's last commits, or the whole index, never gives a number twice: it
//! goes on above the reserved mark.

use crate::index::{Counts, MailboxRow, Step, Transaction};
use crate::mail::{MailboxName, ModSeq, Uid, UidValidity};
use crate::maildir::{Marks, highest_uidvalidity, raise_uidvalidity};

use super::account::{LocalAccount, now};
use super::uidlist::Lists;
use crate::store::StoreError;

/// UIDs reserved at a time: a flush of about a millisecond for each so many deliveries.
pub(super) const UID_BLOCK: u32 = 1024;
/// MODSEQs reserved at a time.
pub(super) const MODSEQ_BLOCK: u64 = 8192;
/// The fact that holds the highest UIDVALIDITY ever given.
const HIGHEST: &str = "highest-uidvalidity";

/// The row of a mailbox, and which numbers of its files still count.
pub(super) struct Identified {
    pub(super) row: MailboxRow,
    /// The lowest UID in a file's name or list that a file without a row may claim.
    /// UIDs below were shown or passed over, and a client would not look for them.
    pub(super) adopt_from: Uid,
    /// Whether UIDs up to the reserved mark may have been given without a row.
    pub(super) past_mark: bool,
    /// Whether it was numbered just now, so that nothing was ever given.
    pub(super) anew: bool,
}

impl LocalAccount {
    /// The row of a mailbox whose folder exists. A folder without a row is taken in:
    /// with its own numbers where it has the file, else with those that another server gave
    /// it, else with a new UIDVALIDITY.
    pub(super) fn identify(
        &self,
        transaction: &Transaction<'_>,
        name: &MailboxName,
        lists: &Lists,
    ) -> Result<Identified, StoreError> {
        if let Some(mut row) = transaction.mailbox(name)? {
            let folder = self.folders.below_root(name);
            // Schema 1 did not say it.
            if row.folder != folder {
                row.folder = folder;
                transaction.rename_mailbox(&row)?;
            }
            return Ok(Identified {
                adopt_from: row.uid_next,
                row,
                past_mark: false,
                anew: false,
            });
        }
        let folder = self.folders.folder(name);
        let Some(marks) = Marks::read(folder.path())? else {
            if name.is_inbox() {
                self.adopt_subscriptions(transaction)?;
            }
            let adopted = self.adopt(transaction, name, None, lists)?;
            return adopted.map_or_else(|| self.number_anew(transaction, name), Ok);
        };
        // Two folders of Dovecot's may have the same UIDVALIDITY, but no MAILBOXID is given twice.
        let holder = transaction
            .mailboxes()?
            .into_iter()
            .find(|row| row.mailbox_id == marks.mailbox_id);
        match holder {
            None => self.take_in(transaction, name, &marks),
            // Another program renamed the folder: the mailbox keeps all its numbers (RFC 9051 §6.3.6).
            Some(mut row) if !self.folders.folder(&row.name).exists() => {
                row.name = name.clone();
                row.folder = self.folders.below_root(name);
                transaction.rename_mailbox(&row)?;
                Ok(Identified {
                    adopt_from: row.uid_next,
                    row,
                    past_mark: false,
                    anew: false,
                })
            }
            // A copy of a folder, its small file included: the numbers belong to the other.
            Some(_) => self.number_anew(transaction, name),
        }
    }

    /// As [`Self::identify`], but the folder's own file has the last word: a folder put
    /// back from a backup brings its numbers, and a file that is missing is written again.
    pub(super) fn identify_by_folder(
        &self,
        transaction: &Transaction<'_>,
        name: &MailboxName,
        lists: &Lists,
    ) -> Result<Identified, StoreError> {
        let mut identified = self.identify(transaction, name, lists)?;
        let marks = Marks::read(self.folders.folder(name).path())?;
        let row = &identified.row;
        match marks {
            Some(marks) if marks.validity != row.validity || marks.mailbox_id != row.mailbox_id => {
                transaction.delete_mailbox(row)?;
                self.identify(transaction, name, lists)
            }
            Some(_) => Ok(identified),
            None => {
                self.reserve(&mut identified.row)?;
                Ok(identified)
            }
        }
    }

    pub(super) fn number_anew(
        &self,
        transaction: &Transaction<'_>,
        name: &MailboxName,
    ) -> Result<Identified, StoreError> {
        let validity = self.next_validity(transaction, name)?;
        let mut marks = self.first_marks(name, validity, own_id(validity), first_uid(), first_modseq(), None)?;
        marks.others.clear();
        marks.write(&self.options.disk, self.folders.folder(name).path())?;
        let mut row = self.new_row(name, &marks);
        row.highest_modseq = first_modseq();
        transaction.insert_mailbox(&mut row)?;
        Ok(Identified {
            row,
            adopt_from: first_uid(),
            past_mark: false,
            anew: true,
        })
    }

    // Invariant 2: UIDVALIDITY grows strictly within an account, also over folders that are gone,
    // and Dovecot gives none of ours.
    fn next_validity(&self, transaction: &Transaction<'_>, name: &MailboxName) -> Result<UidValidity, StoreError> {
        let inbox = self.folders.folder(&MailboxName::inbox());
        let inbox_marks = Marks::read(inbox.path())?;
        let theirs = highest_uidvalidity(inbox.path())?;
        let marked = inbox_marks
            .as_ref()
            .and_then(|marks| marks.highest_validity)
            .map(UidValidity::value);
        let noted = transaction.fact(HIGHEST)?.and_then(|value| value.parse().ok());
        let used = transaction.mailboxes()?.iter().map(|row| row.validity.value()).max();
        let given = [marked, noted, used, theirs.map(UidValidity::value)];
        let highest: u32 = given.into_iter().flatten().max().unwrap_or(0);
        let clock = u32::try_from(now()).unwrap_or(u32::MAX);
        let next = UidValidity::new(clock.max(highest.saturating_add(1))).filter(|next| next.value() > highest);
        let next = next.ok_or_else(|| self.no_uid_left(name))?;
        if theirs.is_some() || self.options.dovecot_uidlist {
            raise_uidvalidity(&self.options.disk, inbox.path(), next)?;
        }
        self.note_validity(transaction, name, next)?;
        Ok(next)
    }

    /// Notes that a UIDVALIDITY was given in the account, by whomever.
    pub(super) fn note_validity(
        &self,
        transaction: &Transaction<'_>,
        name: &MailboxName,
        given: UidValidity,
    ) -> Result<(), StoreError> {
        let noted = transaction.fact(HIGHEST)?.and_then(|value| value.parse().ok());
        if noted.is_none_or(|noted: u32| noted < given.value()) {
            transaction.put_fact(HIGHEST, &given.to_string())?;
        }
        let inbox = self.folders.folder(&MailboxName::inbox());
        // The INBOX's own file is about to be written.
        let marks = Marks::read(inbox.path())?.filter(|marks| !name.is_inbox() && marks.highest_validity < Some(given));
        if let Some(mut marks) = marks {
            marks.highest_validity = Some(given);
            marks.write(&self.options.disk, inbox.path())?;
        }
        Ok(())
    }

    /// The next UID of a mailbox; the caller writes the row.
    pub(super) fn next_uid(&self, row: &mut MailboxRow) -> Result<Uid, StoreError> {
        if row.uid_next.value() > row.uids_reserved {
            self.reserve(row)?;
        }
        let uid = row.uid_next;
        row.uid_next = uid.next().ok_or_else(|| self.no_uid_left(&row.name))?;
        Ok(uid)
    }

    /// Passes over UIDs below `next`, which another program gave; the caller writes the row.
    pub(super) fn raise_next(&self, row: &mut MailboxRow, next: Uid) -> Result<(), StoreError> {
        row.uid_next = row.uid_next.max(next);
        match row.uid_next.value() > row.uids_reserved.saturating_add(1) {
            true => self.reserve(row),
            false => Ok(()),
        }
    }

    /// The next MODSEQ of a mailbox; the caller writes the row.
    pub(super) fn next_modseq(&self, row: &mut MailboxRow) -> Result<ModSeq, StoreError> {
        let next = row.highest_modseq.next().ok_or_else(|| self.no_uid_left(&row.name))?;
        row.highest_modseq = next;
        if next.value() > row.modseqs_reserved {
            self.reserve(row)?;
        }
        Ok(row.highest_modseq)
    }

    /// Raises the reserved marks above what the row needs next.
    pub(super) fn reserve(&self, row: &mut MailboxRow) -> Result<(), StoreError> {
        let folder = self.folders.folder(&row.name);
        let stood = Marks::read(folder.path())?.filter(|marks| marks.validity == row.validity);
        // Marks above ours: the index is older than the file, so numbers up to there were given.
        if let Some(marks) = &stood {
            if marks.uids > row.uids_reserved {
                row.uid_next = row.uid_next.max(self.after(&row.name, marks.uids)?);
            }
            if marks.modseqs > row.modseqs_reserved {
                let above = ModSeq::new(marks.modseqs + 1).unwrap_or(row.highest_modseq);
                row.highest_modseq = row.highest_modseq.max(above);
            }
        }
        let marks = Marks {
            validity: row.validity,
            mailbox_id: row.mailbox_id.clone(),
            uids: row.uid_next.value().saturating_add(UID_BLOCK - 1),
            modseqs: row.highest_modseq.value() + MODSEQ_BLOCK,
            highest_validity: stood.as_ref().and_then(|marks| marks.highest_validity),
            special_use: stood.as_ref().and_then(|marks| marks.special_use),
            others: stood.map(|marks| marks.others).unwrap_or_default(),
        };
        marks.write(&self.options.disk, folder.path())?;
        (row.uids_reserved, row.modseqs_reserved) = (marks.uids, marks.modseqs);
        Ok(())
    }

    /// Moves what comes next above the reserved marks, where numbers may have been
    /// given of which the index does not know.
    pub(super) fn skip_past_marks(&self, row: &mut MailboxRow) -> Result<(), StoreError> {
        let folder = self.folders.folder(&row.name);
        let marks = Marks::read(folder.path())?.filter(|marks| marks.validity == row.validity);
        let (uids, modseqs) = match &marks {
            Some(marks) => (
                marks.uids.max(row.uids_reserved),
                marks.modseqs.max(row.modseqs_reserved),
            ),
            None => (row.uids_reserved, row.modseqs_reserved),
        };
        row.uid_next = row.uid_next.max(self.after(&row.name, uids)?);
        row.highest_modseq = row
            .highest_modseq
            .max(ModSeq::new(modseqs).unwrap_or(row.highest_modseq));
        (row.uids_reserved, row.modseqs_reserved) = (uids, modseqs);
        Ok(())
    }

    fn after(&self, name: &MailboxName, uid: u32) -> Result<Uid, StoreError> {
        uid.checked_add(1)
            .and_then(Uid::new)
            .ok_or_else(|| self.no_uid_left(name))
    }

    fn take_in(
        &self,
        transaction: &Transaction<'_>,
        name: &MailboxName,
        marks: &Marks,
    ) -> Result<Identified, StoreError> {
        let mut row = self.new_row(name, marks);
        transaction.insert_mailbox(&mut row)?;
        Ok(Identified {
            row,
            adopt_from: first_uid(),
            past_mark: true,
            anew: false,
        })
    }

    pub(super) fn new_row(&self, name: &MailboxName, marks: &Marks) -> MailboxRow {
        MailboxRow {
            id: 0,
            name: name.clone(),
            folder: self.folders.below_root(name),
            mailbox_id: marks.mailbox_id.clone(),
            special_use: marks.special_use,
            validity: marks.validity,
            uid_next: first_uid(),
            highest_modseq: ModSeq::new(marks.modseqs).unwrap_or_else(first_modseq),
            uids_reserved: marks.uids,
            modseqs_reserved: marks.modseqs,
            counts: Counts::default(),
            stamps: (0, 0),
        }
    }

    fn no_uid_left(&self, name: &MailboxName) -> StoreError {
        StoreError::NoUidLeft {
            user: self.user.clone(),
            name: name.clone(),
        }
    }
}

/// The step of a delivery that is done once a copy is in a mailbox.
pub(super) fn placed_in(row: &MailboxRow) -> Step {
    match row.mailbox_id == own_id(row.validity) {
        true => Step::Placed(row.validity),
        // Taken over from another server: another folder may have the same UIDVALIDITY.
        false => Step::PlacedIn(row.mailbox_id.clone()),
    }
}

// The MAILBOXID of a mailbox whose UIDVALIDITY is ours, and so no other's.
fn own_id(validity: UidValidity) -> String {
    format!("M{:08x}", validity.value())
}

pub(super) fn first_uid() -> Uid {
    Uid::new(1).expect("one is not zero")
}

pub(super) fn first_modseq() -> ModSeq {
    ModSeq::new(1).expect("one is not zero")
}
