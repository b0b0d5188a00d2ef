//! Rows of mailboxes: identity, what comes next, counts.

use rusqlite::{Row, params};

use crate::mail::{MailboxName, ModSeq, Uid, UidValidity};

use super::{Index, IndexError, Transaction};

const COLUMNS: &str = "id, name, mailboxid, uidvalidity, uidnext, highestmodseq, uids_reserved, modseqs_reserved, \
                       messages, unseen, size, new_stamp, cur_stamp";

/// A mailbox as the index has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxRow {
    /// The row's number.
    pub id: i64,
    /// Its name.
    pub name: MailboxName,
    /// MAILBOXID (RFC 8474).
    pub mailbox_id: String,
    /// UIDVALIDITY.
    pub validity: UidValidity,
    /// UIDNEXT: the UID that the next message gets.
    pub uid_next: Uid,
    /// HIGHESTMODSEQ.
    pub highest_modseq: ModSeq,
    /// The reserved high-water marks, as in `postroom-mailbox`.
    pub uids_reserved: u32,
    /// See `uids_reserved`.
    pub modseqs_reserved: u64,
    /// Counts of its messages.
    pub counts: Counts,
    /// Directory times of `new/` and `cur/` at the last reconcile, in nanoseconds.
    pub stamps: (i64, i64),
}

/// Counts of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All messages.
    pub messages: i64,
    /// Those without `\Seen`.
    pub unseen: i64,
    /// Bytes, all lines ending in CRLF.
    pub size: i64,
}

impl Index {
    /// All mailboxes by name.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn mailboxes(&self) -> Result<Vec<MailboxRow>, IndexError> {
        self.rows(&format!("SELECT {COLUMNS} FROM mailbox ORDER BY name"), [], read)
    }

    /// The counts of a mailbox, made anew from its messages, for checks.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn recount(&self, mailbox: &MailboxRow) -> Result<Counts, IndexError> {
        let sql =
            "SELECT count(*), coalesce(sum(flags & 8 = 0), 0), coalesce(sum(size), 0) FROM message WHERE mailbox = ?";
        let counts = self.rows(sql, [mailbox.id], |row| {
            Ok(Counts {
                messages: row.get(0)?,
                unseen: row.get(1)?,
                size: row.get(2)?,
            })
        })?;
        Ok(counts.into_iter().next().unwrap_or_default())
    }

    /// The counts of the whole account.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn usage(&self) -> Result<Counts, IndexError> {
        let sql = "SELECT coalesce(sum(messages), 0), coalesce(sum(unseen), 0), coalesce(sum(size), 0) FROM mailbox";
        let counts = self.rows(sql, [], |row| {
            Ok(Counts {
                messages: row.get(0)?,
                unseen: row.get(1)?,
                size: row.get(2)?,
            })
        })?;
        Ok(counts.into_iter().next().unwrap_or_default())
    }
}

impl Transaction<'_> {
    /// All mailboxes by name.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn mailboxes(&self) -> Result<Vec<MailboxRow>, IndexError> {
        self.rows(&format!("SELECT {COLUMNS} FROM mailbox ORDER BY name"), [], read)
    }

    /// One mailbox.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn mailbox(&self, name: &MailboxName) -> Result<Option<MailboxRow>, IndexError> {
        let sql = format!("SELECT {COLUMNS} FROM mailbox WHERE name = ?");
        Ok(self.rows(&sql, [name.as_str()], read)?.pop())
    }

    /// Adds a mailbox; the row's number is filled in.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn insert_mailbox(&self, mailbox: &mut MailboxRow) -> Result<(), IndexError> {
        self.execute(
            "INSERT INTO mailbox (name, mailboxid, uidvalidity, uidnext, highestmodseq, uids_reserved, modseqs_reserved) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                mailbox.name.as_str(),
                mailbox.mailbox_id,
                mailbox.validity.value(),
                mailbox.uid_next.value(),
                mailbox.highest_modseq.value(),
                mailbox.uids_reserved,
                mailbox.modseqs_reserved,
            ],
        )?;
        mailbox.id = self.inner.last_insert_rowid();
        Ok(())
    }

    /// Writes all of a mailbox that changes: what comes next, marks, counts, stamps.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn update_mailbox(&self, mailbox: &MailboxRow) -> Result<(), IndexError> {
        let MailboxRow { counts, stamps, .. } = mailbox;
        self.execute(
            "UPDATE mailbox SET uidnext = ?, highestmodseq = ?, uids_reserved = ?, modseqs_reserved = ?, messages = ?, \
             unseen = ?, size = ?, new_stamp = ?, cur_stamp = ? WHERE id = ?",
            params![
                mailbox.uid_next.value(),
                mailbox.highest_modseq.value(),
                mailbox.uids_reserved,
                mailbox.modseqs_reserved,
                counts.messages,
                counts.unseen,
                counts.size,
                stamps.0,
                stamps.1,
                mailbox.id,
            ],
        )
        .map(drop)
    }

    /// Gives a mailbox the name in `mailbox`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn rename_mailbox(&self, mailbox: &MailboxRow) -> Result<(), IndexError> {
        self.execute(
            "UPDATE mailbox SET name = ? WHERE id = ?",
            params![mailbox.name.as_str(), mailbox.id],
        )
        .map(drop)
    }

    /// Removes a mailbox whose folder is gone, with all its messages.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn delete_mailbox(&self, mailbox: &MailboxRow) -> Result<(), IndexError> {
        self.execute(
            "DELETE FROM content WHERE id IN (SELECT content FROM message WHERE mailbox = ?)",
            [mailbox.id],
        )?;
        self.execute("DELETE FROM mailbox WHERE id = ?", [mailbox.id]).map(drop)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<MailboxRow> {
    let name: String = row.get(1)?;
    let out_of_range = |column: usize| rusqlite::Error::IntegralValueOutOfRange(column, 0);
    Ok(MailboxRow {
        id: row.get(0)?,
        name: MailboxName::parse(&name, '.').map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
        })?,
        mailbox_id: row.get(2)?,
        validity: UidValidity::new(row.get(3)?).ok_or_else(|| out_of_range(3))?,
        uid_next: Uid::new(row.get(4)?).ok_or_else(|| out_of_range(4))?,
        highest_modseq: ModSeq::new(row.get(5)?).ok_or_else(|| out_of_range(5))?,
        uids_reserved: row.get(6)?,
        modseqs_reserved: row.get(7)?,
        counts: Counts {
            messages: row.get(8)?,
            unseen: row.get(9)?,
            size: row.get(10)?,
        },
        stamps: (row.get(11)?, row.get(12)?),
    })
}
