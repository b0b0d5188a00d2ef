//! Rows of messages: the hot ones of a mailbox, and the cold ones behind them.

use rusqlite::{Row, params};

use crate::mail::{Flags, ModSeq, Uid};
use crate::message::Summary;

use super::{Index, IndexError, MailboxRow, Transaction};

/// A message of a mailbox as listings have it.
#[derive(Clone, Debug)]
pub struct MessageRow {
    /// UID.
    pub uid: Uid,
    /// MODSEQ.
    pub modseq: ModSeq,
    /// Flags and keywords.
    pub flags: Flags,
    /// INTERNALDATE, in seconds since 1970.
    pub internal_date: i64,
    /// Bytes with all lines ending in CRLF.
    pub size: u64,
    /// Its file.
    pub file: FileRow,
    /// What its header says.
    pub content: ContentRow,
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

/// What the index keeps of a header.
#[derive(Clone, Debug)]
pub struct ContentRow {
    /// Message-ID.
    pub message_id: Option<String>,
    /// Subject, decoded.
    pub subject: String,
    /// From, decoded.
    pub from: String,
    /// To, decoded.
    pub to: String,
    /// Date, in seconds since 1970.
    pub date: Option<i64>,
    /// Whether a part is an attachment.
    pub attachments: bool,
}

/// A message about to enter a mailbox.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// UID.
    pub uid: Uid,
    /// MODSEQ.
    pub modseq: ModSeq,
    /// Flags and keywords.
    pub flags: &'a Flags,
    /// INTERNALDATE, in seconds since 1970.
    pub internal_date: i64,
    /// Bytes with all lines ending in CRLF.
    pub size: u64,
    /// Its file.
    pub file: &'a FileRow,
    /// What its header says.
    pub summary: &'a Summary,
    /// The delivery that brought it, where known.
    pub delivery: Option<&'a str>,
}

/// What a reconcile needs of each message.
#[derive(Clone, Debug)]
pub(crate) struct KnownRow {
    pub(crate) uid: Uid,
    pub(crate) flags: Flags,
    pub(crate) size: u64,
    pub(crate) file: FileRow,
}

impl Index {
    /// The messages of a mailbox by UID.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn messages(&self, mailbox: i64) -> Result<Vec<MessageRow>, IndexError> {
        let sql = format!("{LISTING} WHERE mailbox = ? ORDER BY uid");
        self.rows(&sql, [mailbox], read_message)
    }

    /// One message of a mailbox.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn message(&self, mailbox: i64, uid: Uid) -> Result<Option<MessageRow>, IndexError> {
        let sql = format!("{LISTING} WHERE mailbox = ? AND uid = ?");
        Ok(self.rows(&sql, params![mailbox, uid.value()], read_message)?.pop())
    }
}

const LISTING: &str = "SELECT uid, modseq, flags, keywords, internaldate, size, place, base, letters, message_id, subject, \
                       sender, recipients, sent, attachments FROM message JOIN content ON content.id = message.content";

impl Transaction<'_> {
    /// Adds a message and counts it in `mailbox`, which the caller then writes.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn insert_message(&self, mailbox: &mut MailboxRow, new: &NewMessage<'_>) -> Result<(), IndexError> {
        let Summary {
            message_id,
            in_reply_to,
            references,
            subject,
            from,
            to,
            cc,
            date,
            attachments,
            ..
        } = new.summary;
        self.execute(
            "INSERT INTO content (message_id, in_reply_to, refs, subject, sender, recipients, copies, sent, attachments, \
             delivery) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![message_id, in_reply_to, references.join(" "), subject, from, to, cc, date, attachments, new.delivery],
        )?;
        let content = self.inner.last_insert_rowid();
        let size = i64::try_from(new.size).unwrap_or(i64::MAX);
        self.execute(
            "INSERT INTO message (mailbox, uid, modseq, flags, keywords, internaldate, size, place, base, letters, content) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                mailbox.id,
                new.uid.value(),
                new.modseq.value(),
                new.flags.bits(),
                keywords(new.flags),
                new.internal_date,
                size,
                new.file.in_cur,
                new.file.base,
                new.file.letters,
                content,
            ],
        )?;
        mailbox.counts.messages += 1;
        mailbox.counts.size += size;
        mailbox.counts.unseen += unseen(new.flags);
        Ok(())
    }

    /// All messages of a mailbox with what identifies their files.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub(crate) fn known(&self, mailbox: &MailboxRow) -> Result<Vec<KnownRow>, IndexError> {
        let sql = "SELECT uid, flags, keywords, size, place, base, letters FROM message WHERE mailbox = ?";
        self.rows(sql, [mailbox.id], |row| {
            Ok(KnownRow {
                uid: read_uid(row, 0)?,
                flags: read_flags(row, 1)?,
                size: row.get(3)?,
                file: FileRow {
                    in_cur: row.get(4)?,
                    base: row.get(5)?,
                    letters: row.get(6)?,
                },
            })
        })
    }

    /// The UIDs of a mailbox that are known to be gone, among those from `first` on.
    ///
    /// # Errors
    /// Where they cannot be read.
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
        known: &KnownRow,
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
        mailbox.counts.unseen += unseen(flags) - unseen(&known.flags);
        Ok(())
    }

    /// Removes a message whose file is gone, and remembers its UID.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn expunge(&self, mailbox: &mut MailboxRow, known: &KnownRow, modseq: ModSeq) -> Result<(), IndexError> {
        let key = params![mailbox.id, known.uid.value()];
        self.execute(
            "DELETE FROM content WHERE id = (SELECT content FROM message WHERE mailbox = ? AND uid = ?)",
            key,
        )?;
        self.execute("DELETE FROM message WHERE mailbox = ? AND uid = ?", key)?;
        self.execute(
            "INSERT OR REPLACE INTO expunged (mailbox, uid, modseq) VALUES (?, ?, ?)",
            params![mailbox.id, known.uid.value(), modseq.value()],
        )?;
        mailbox.counts.messages -= 1;
        mailbox.counts.size -= i64::try_from(known.size).unwrap_or(i64::MAX);
        mailbox.counts.unseen -= unseen(&known.flags);
        Ok(())
    }
}

fn unseen(flags: &Flags) -> i64 {
    i64::from(!flags.has(crate::mail::SystemFlag::Seen))
}

fn keywords(flags: &Flags) -> String {
    flags.keywords().collect::<Vec<_>>().join(" ")
}

fn read_uid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uid> {
    Uid::new(row.get(column)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, 0))
}

fn read_flags(row: &Row<'_>, column: usize) -> rusqlite::Result<Flags> {
    let keywords: String = row.get(column + 1)?;
    Ok(Flags::from_stored(
        row.get(column)?,
        keywords.split(' ').filter(|keyword| !keyword.is_empty()),
    ))
}

fn read_message(row: &Row<'_>) -> rusqlite::Result<MessageRow> {
    Ok(MessageRow {
        uid: read_uid(row, 0)?,
        modseq: ModSeq::new(row.get(1)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(1, 0))?,
        flags: read_flags(row, 2)?,
        internal_date: row.get(4)?,
        size: row.get(5)?,
        file: FileRow {
            in_cur: row.get(6)?,
            base: row.get(7)?,
            letters: row.get(8)?,
        },
        content: ContentRow {
            message_id: row.get(9)?,
            subject: row.get(10)?,
            from: row.get(11)?,
            to: row.get(12)?,
            date: row.get(13)?,
            attachments: row.get(14)?,
        },
    })
}
