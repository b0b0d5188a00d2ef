//! Rows of messages: what changes about them in a mailbox, and where their files are.

use std::borrow::Cow;

use rusqlite::{Row, params};

use crate::mail::{EmailId, Flags, ModSeq, SystemFlag, ThreadId, Uid, UidSet};

use super::open::Rows;
use super::{Index, IndexError, MailboxRow, Transaction};

/// A message of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// UID.
    pub uid: Uid,
    /// MODSEQ.
    pub modseq: ModSeq,
    /// Flags and keywords.
    pub flags: Flags,
    /// INTERNALDATE, in seconds since 1970.
    pub internal_date: i64,
    /// SAVEDATE (RFC 8514), in seconds since 1970.
    pub save_date: i64,
    /// Bytes with all lines ending in CRLF.
    pub size: u64,
    /// Its file.
    pub file: FileRow,
    /// The number of the row with its card.
    pub content: i64,
}

/// Where the file of a message was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// The base name.
    pub base: String,
    /// The letters of its flags, or `/` and the name's ending, where that is another.
    pub letters: String,
    /// Whether it lies in `cur/`, not in `new/`.
    pub in_cur: bool,
}

const COLUMNS: &str = "uid, modseq, flags, keywords, internaldate, savedate, size, place, base, letters, content";

impl Index {
    /// The messages of a mailbox among these, by UID.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn messages(&self, mailbox: &MailboxRow, uids: &UidSet) -> Result<Vec<MessageRow>, IndexError> {
        messages(self, mailbox, uids)
    }

    /// UID, MODSEQ and flags of the messages of a mailbox among these, by UID.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn flags(&self, mailbox: &MailboxRow, uids: &UidSet) -> Result<Vec<(Uid, ModSeq, Flags)>, IndexError> {
        let sql = "SELECT uid, modseq, flags, keywords FROM message WHERE mailbox = ? AND uid BETWEEN ? AND ?";
        let mut flags = Vec::new();
        for range in uids.ranges() {
            let range = params![mailbox.id, range.start().value(), range.end().value()];
            flags.extend(self.rows(sql, range, |row| {
                Ok((read_uid(row, 0)?, read_modseq(row, 1)?, read_flags(row, 2)?))
            })?);
        }
        Ok(flags)
    }

    /// EMAILID and THREADID of these messages; zeros for a file that is still to be read.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn identities(&self, contents: &[i64]) -> Result<Vec<(EmailId, ThreadId)>, IndexError> {
        let sql = "SELECT emailid, threadid FROM content WHERE id = ?";
        let identity = |id: &i64| {
            let found = self.rows(sql, [id], |row| {
                let email_id: Vec<u8> = row.get(0)?;
                let email_id = EmailId(email_id.try_into().unwrap_or_default());
                Ok((email_id, ThreadId(row.get::<_, i64>(1)?.cast_unsigned())))
            })?;
            Ok(found.into_iter().next().unwrap_or((EmailId([0; 16]), ThreadId(0))))
        };
        contents.iter().map(identity).collect()
    }

    /// The messages of a mailbox that are new or changed since a MODSEQ, by UID.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn changed_since(&self, mailbox: &MailboxRow, since: ModSeq) -> Result<Vec<MessageRow>, IndexError> {
        let sql = format!("SELECT {COLUMNS} FROM message WHERE mailbox = ? AND modseq > ? ORDER BY uid");
        self.rows(&sql, params![mailbox.id, since.value()], |row| {
            read_message(row, mailbox)
        })
    }

    /// The messages of a mailbox that have no card, for checks.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn without_card(&self, mailbox: &MailboxRow) -> Result<Vec<Uid>, IndexError> {
        let sql = "SELECT uid FROM message LEFT JOIN content ON content.id = message.content \
                   LEFT JOIN pack ON pack.id = content.pack \
                   WHERE mailbox = ? AND (coalesce(emailid, x'') = x'' OR card IS NULL AND cards IS NULL)";
        self.rows(sql, [mailbox.id], |row| read_uid(row, 0))
    }

    /// The UIDs of a mailbox that are gone since a MODSEQ.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn vanished_since(&self, mailbox: &MailboxRow, since: ModSeq) -> Result<UidSet, IndexError> {
        let sql = "SELECT uid FROM expunged WHERE mailbox = ? AND modseq > ?";
        let uids = self.rows(sql, params![mailbox.id, since.value()], |row| read_uid(row, 0))?;
        Ok(uids.into_iter().collect())
    }
}

impl Transaction<'_> {
    /// As [`Index::messages`].
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn messages(&self, mailbox: &MailboxRow, uids: &UidSet) -> Result<Vec<MessageRow>, IndexError> {
        messages(self, mailbox, uids)
    }

    /// The messages whose cards are in this row, with the numbers of their mailboxes.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub(crate) fn holders(&self, content: i64) -> Result<Vec<(i64, Uid)>, IndexError> {
        let sql = "SELECT mailbox, uid FROM message WHERE content = ?";
        self.rows(sql, [content], |row| Ok((row.get(0)?, read_uid(row, 1)?)))
    }

    /// UIDs and files of the messages of a mailbox, by UID; `in_new`: only of those that lie in `new/`.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub(crate) fn files(&self, mailbox: &MailboxRow, in_new: bool) -> Result<Vec<(Uid, FileRow)>, IndexError> {
        let (by, some) = match in_new {
            true => ("INDEXED BY message_new ", "AND place = 0 "),
            false => ("", ""),
        };
        let sql =
            format!("SELECT uid, size, place, base, letters FROM message {by}WHERE mailbox = ? {some}ORDER BY uid");
        self.rows(&sql, [mailbox.id], |row| {
            let uid = read_uid(row, 0)?;
            let file = FileRow {
                in_cur: row.get(2)?,
                base: lengthened(row.get(3)?, mailbox, uid, row.get(1)?),
                letters: row.get(4)?,
            };
            Ok((uid, file))
        })
    }

    /// Adds a message and counts it in `mailbox`, which the caller then writes.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn insert_message(&self, mailbox: &mut MailboxRow, new: &MessageRow) -> Result<(), IndexError> {
        let size = signed(new.size);
        self.execute(
            "INSERT INTO message (mailbox, uid, modseq, flags, keywords, internaldate, savedate, size, place, base, \
             letters, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                mailbox.id,
                new.uid.value(),
                new.modseq.value(),
                new.flags.bits(),
                keywords(&new.flags),
                new.internal_date,
                new.save_date,
                size,
                new.file.in_cur,
                shortened(&new.file.base, mailbox, new.uid, new.size),
                new.file.letters,
                new.content,
            ],
        )?;
        mailbox.counts.messages += 1;
        mailbox.counts.size += size;
        count_flags(mailbox, &new.flags, 1);
        Ok(())
    }

    /// Whether a UID of a mailbox is known to be gone.
    ///
    /// # Errors
    /// Where that cannot be read.
    pub(crate) fn is_expunged(&self, mailbox: &MailboxRow, uid: Uid) -> Result<bool, IndexError> {
        let sql = "SELECT 1 FROM expunged WHERE mailbox = ? AND uid = ?";
        Ok(!self.rows(sql, params![mailbox.id, uid.value()], |_| Ok(()))?.is_empty())
    }

    /// Records where a file lies now, and its flags with a new MODSEQ where they changed.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn update_message(
        &self,
        mailbox: &mut MailboxRow,
        known: &MessageRow,
        file: &FileRow,
        change: Option<(&Flags, ModSeq)>,
    ) -> Result<(), IndexError> {
        self.execute(
            "UPDATE message SET place = ?, letters = ? WHERE mailbox = ? AND uid = ?",
            params![file.in_cur, file.letters, mailbox.id, known.uid.value()],
        )?;
        let Some((flags, modseq)) = change else { return Ok(()) };
        self.execute(
            "UPDATE message SET flags = ?, keywords = ?, modseq = ? WHERE mailbox = ? AND uid = ?",
            params![
                flags.bits(),
                keywords(flags),
                modseq.value(),
                mailbox.id,
                known.uid.value()
            ],
        )?;
        count_flags(mailbox, &known.flags, -1);
        count_flags(mailbox, flags, 1);
        Ok(())
    }

    /// Removes a message whose file is gone, and remembers its UID.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn expunge(
        &self,
        mailbox: &mut MailboxRow,
        known: &MessageRow,
        modseq: ModSeq,
    ) -> Result<(), IndexError> {
        self.execute(
            "DELETE FROM message WHERE mailbox = ? AND uid = ?",
            params![mailbox.id, known.uid.value()],
        )?;
        self.drop_content(known.content)?;
        self.execute(
            "INSERT OR REPLACE INTO expunged (mailbox, uid, modseq) VALUES (?, ?, ?)",
            params![mailbox.id, known.uid.value(), modseq.value()],
        )?;
        mailbox.counts.messages -= 1;
        mailbox.counts.size -= signed(known.size);
        count_flags(mailbox, &known.flags, -1);
        Ok(())
    }
}

fn messages(reader: &impl Rows, mailbox: &MailboxRow, uids: &UidSet) -> Result<Vec<MessageRow>, IndexError> {
    let sql = format!("SELECT {COLUMNS} FROM message WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid");
    let mut found = Vec::new();
    for range in uids.ranges() {
        let range = params![mailbox.id, range.start().value(), range.end().value()];
        found.extend(reader.rows(&sql, range, |row| read_message(row, mailbox))?);
    }
    Ok(found)
}

fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn count_flags(mailbox: &mut MailboxRow, flags: &Flags, by: i64) {
    if !flags.has(SystemFlag::Seen) {
        mailbox.counts.unseen += by;
    }
    if flags.has(SystemFlag::Deleted) {
        mailbox.counts.deleted += by;
    }
}

fn keywords(flags: &Flags) -> String {
    flags.keywords().collect::<Vec<_>>().join(" ")
}

// What a base name of ours says last stands in other columns. No file name has a slash.
fn ending(mailbox: &MailboxRow, uid: Uid, size: u64) -> String {
    format!(",W={size},U={uid},V={}", mailbox.validity)
}

fn shortened<'a>(base: &'a str, mailbox: &MailboxRow, uid: Uid, size: u64) -> Cow<'a, str> {
    match base.strip_suffix(&ending(mailbox, uid, size)) {
        Some(front) => Cow::Owned(format!("{front}/")),
        None => Cow::Borrowed(base),
    }
}

fn lengthened(base: String, mailbox: &MailboxRow, uid: Uid, size: u64) -> String {
    match base.strip_suffix('/') {
        Some(front) => front.to_owned() + &ending(mailbox, uid, size),
        None => base,
    }
}

pub(super) fn read_uid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uid> {
    Uid::new(row.get(column)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, 0))
}

fn read_modseq(row: &Row<'_>, column: usize) -> rusqlite::Result<ModSeq> {
    ModSeq::new(row.get(column)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, 0))
}

fn read_flags(row: &Row<'_>, column: usize) -> rusqlite::Result<Flags> {
    let keywords = row.get_ref(column + 1)?.as_str()?;
    Ok(Flags::from_stored(
        row.get(column)?,
        keywords.split(' ').filter(|keyword| !keyword.is_empty()),
    ))
}

fn read_message(row: &Row<'_>, mailbox: &MailboxRow) -> rusqlite::Result<MessageRow> {
    let (uid, size) = (read_uid(row, 0)?, row.get(6)?);
    Ok(MessageRow {
        uid,
        modseq: read_modseq(row, 1)?,
        flags: read_flags(row, 2)?,
        internal_date: row.get(4)?,
        save_date: row.get(5)?,
        size,
        file: FileRow {
            in_cur: row.get(7)?,
            base: lengthened(row.get(8)?, mailbox, uid, size),
            letters: row.get(9)?,
        },
        content: row.get(10)?,
    })
}
