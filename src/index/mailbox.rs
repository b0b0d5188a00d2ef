//! Rows of mailboxes: identity, what comes next, counts.

use std::collections::BTreeSet;

use rusqlite::{Row, params};

use crate::mail::{MailboxName, ModSeq, SpecialUse, Uid, UidValidity};

use super::open::Rows;
use super::{Index, IndexError, Transaction};

const COLUMNS: &str = "id, name, folder, mailboxid, special_use, uidvalidity, uidnext, highestmodseq, uids_reserved, \
                       modseqs_reserved, messages, unseen, deleted, size, new_stamp, cur_stamp";
/// Counts of a table of messages.
const RECOUNT: &str = "SELECT count(*), coalesce(sum(flags & 8 = 0), 0), coalesce(sum(flags & 4 <> 0), 0), \
                       coalesce(sum(size), 0) FROM message WHERE mailbox = ?";

/// A mailbox as the index has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxRow {
    /// The row's number.
    pub id: i64,
    /// Its name.
    pub name: MailboxName,
    /// Its folder below the Maildir; empty for INBOX.
    pub folder: String,
    /// MAILBOXID (RFC 8474).
    pub mailbox_id: String,
    /// What it is for (RFC 6154).
    pub special_use: Option<SpecialUse>,
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
    /// Those with `\Deleted`.
    pub deleted: i64,
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

    /// One mailbox.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn mailbox(&self, name: &MailboxName) -> Result<Option<MailboxRow>, IndexError> {
        mailbox(self, name)
    }

    /// The names that are subscribed to.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn subscriptions(&self) -> Result<BTreeSet<String>, IndexError> {
        let names = self.rows("SELECT name FROM subscription", [], |row| row.get(0))?;
        Ok(names.into_iter().collect())
    }

    /// The counts of a mailbox, made anew from its messages, for checks.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn recount(&self, mailbox: &MailboxRow) -> Result<Counts, IndexError> {
        let counts = self.rows(RECOUNT, [mailbox.id], |row| read_counts(row, 0))?;
        Ok(counts.into_iter().next().unwrap_or_default())
    }

    /// Name, bytes and messages of each mailbox.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn sizes(&self) -> Result<Vec<(String, u64, u64)>, IndexError> {
        self.rows(SIZES, [], read_size)
    }

    /// The counts of the whole account.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn usage(&self) -> Result<Counts, IndexError> {
        let sql = "SELECT coalesce(sum(messages), 0), coalesce(sum(unseen), 0), coalesce(sum(deleted), 0), \
                   coalesce(sum(size), 0) FROM mailbox";
        let counts = self.rows(sql, [], |row| read_counts(row, 0))?;
        Ok(counts.into_iter().next().unwrap_or_default())
    }
}

const SIZES: &str = "SELECT name, size, messages FROM mailbox";

impl Transaction<'_> {
    /// As [`Index::recount`].
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn recount(&self, mailbox: &MailboxRow) -> Result<Counts, IndexError> {
        let counts = self.rows(RECOUNT, [mailbox.id], |row| read_counts(row, 0))?;
        Ok(counts.into_iter().next().unwrap_or_default())
    }

    /// As [`Index::sizes`].
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn sizes(&self) -> Result<Vec<(String, u64, u64)>, IndexError> {
        self.rows(SIZES, [], read_size)
    }

    /// All mailboxes by name.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn mailboxes(&self) -> Result<Vec<MailboxRow>, IndexError> {
        self.rows(&format!("SELECT {COLUMNS} FROM mailbox ORDER BY name"), [], read)
    }

    /// As [`Index::mailbox`].
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn mailbox(&self, name: &MailboxName) -> Result<Option<MailboxRow>, IndexError> {
        mailbox(self, name)
    }

    /// Adds a mailbox; the row's number is filled in.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn insert_mailbox(&self, mailbox: &mut MailboxRow) -> Result<(), IndexError> {
        self.execute(
            "INSERT INTO mailbox (name, folder, mailboxid, special_use, uidvalidity, uidnext, highestmodseq, uids_reserved, \
             modseqs_reserved) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                mailbox.name.as_str(),
                mailbox.folder,
                mailbox.mailbox_id,
                mailbox.special_use.map(SpecialUse::as_str),
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
             unseen = ?, deleted = ?, size = ?, new_stamp = ?, cur_stamp = ? WHERE id = ?",
            params![
                mailbox.uid_next.value(),
                mailbox.highest_modseq.value(),
                mailbox.uids_reserved,
                mailbox.modseqs_reserved,
                counts.messages,
                counts.unseen,
                counts.deleted,
                counts.size,
                stamps.0,
                stamps.1,
                mailbox.id,
            ],
        )
        .map(drop)
    }

    /// Gives a mailbox the name, the folder and the special use in `mailbox`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn rename_mailbox(&self, mailbox: &MailboxRow) -> Result<(), IndexError> {
        self.execute(
            "UPDATE mailbox SET name = ?, folder = ?, special_use = ? WHERE id = ?",
            params![
                mailbox.name.as_str(),
                mailbox.folder,
                mailbox.special_use.map(SpecialUse::as_str),
                mailbox.id
            ],
        )
        .map(drop)
    }

    /// Removes a mailbox whose folder is gone, with all its messages.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn delete_mailbox(&self, mailbox: &MailboxRow) -> Result<(), IndexError> {
        let contents = "SELECT content FROM message WHERE mailbox = ?";
        let contents: Vec<i64> = self.rows(contents, [mailbox.id], |row| row.get(0))?;
        self.execute("DELETE FROM mailbox WHERE id = ?", [mailbox.id])?;
        contents.into_iter().try_for_each(|content| self.drop_content(content))
    }

    /// Writes all names that are subscribed to.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn put_subscriptions<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), IndexError> {
        self.execute("DELETE FROM subscription", [])?;
        for name in names {
            self.execute("INSERT OR IGNORE INTO subscription (name) VALUES (?)", [name])?;
        }
        Ok(())
    }
}

fn mailbox(reader: &impl Rows, name: &MailboxName) -> Result<Option<MailboxRow>, IndexError> {
    let sql = format!("SELECT {COLUMNS} FROM mailbox WHERE name = ?");
    Ok(reader.rows(&sql, [name.as_str()], read)?.pop())
}

fn read_counts(row: &Row<'_>, column: usize) -> rusqlite::Result<Counts> {
    Ok(Counts {
        messages: row.get(column)?,
        unseen: row.get(column + 1)?,
        deleted: row.get(column + 2)?,
        size: row.get(column + 3)?,
    })
}

// A count that has drifted below zero is none.
fn read_size(row: &Row<'_>) -> rusqlite::Result<(String, u64, u64)> {
    let count = |column| {
        let count: i64 = row.get(column)?;
        Ok::<_, rusqlite::Error>(u64::try_from(count).unwrap_or(0))
    };
    Ok((row.get(0)?, count(1)?, count(2)?))
}

fn read(row: &Row<'_>) -> rusqlite::Result<MailboxRow> {
    let name: String = row.get(1)?;
    let special_use: Option<String> = row.get(4)?;
    let out_of_range = |column: usize| rusqlite::Error::IntegralValueOutOfRange(column, 0);
    Ok(MailboxRow {
        id: row.get(0)?,
        name: MailboxName::parse(&name, '.').map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
        })?,
        folder: row.get(2)?,
        mailbox_id: row.get(3)?,
        special_use: special_use.as_deref().and_then(SpecialUse::parse),
        validity: UidValidity::new(row.get(5)?).ok_or_else(|| out_of_range(5))?,
        uid_next: Uid::new(row.get(6)?).ok_or_else(|| out_of_range(6))?,
        highest_modseq: ModSeq::new(row.get(7)?).ok_or_else(|| out_of_range(7))?,
        uids_reserved: row.get(8)?,
        modseqs_reserved: row.get(9)?,
        counts: read_counts(row, 10)?,
        stamps: (row.get(14)?, row.get(15)?),
    })
}
