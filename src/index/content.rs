//! What the index keeps of messages whatever mailbox they are in: cards, and the packs that hold them.

use std::collections::HashMap;

use rusqlite::params;

use crate::mail::{EmailId, ThreadId, Uid};
use crate::message::{ThreadCandidates, message_key, thread_candidates};

use super::card::StoredCard;
use super::open::Rows;
use super::record::{Fields, decompress, fields};
use super::{Index, IndexError, Transaction};

/// Cards that go into one pack. More are a little smaller together; all of them are decompressed for one.
pub(crate) const PACK_CARDS: usize = 96;
/// The newest cards lie alone: they are what is asked for most, and go first.
const ALONE: usize = 50;
/// Bytes of cards that close a pack early.
const PACK_BYTES: usize = 512 * 1024;
/// How well packs are compressed, from 1 to 9: it happens behind the deliveries.
const PACK_LEVEL: u32 = 6;
/// How well a card that lies alone is compressed.
const ALONE_LEVEL: u32 = 1;
/// Cards that are worth a pack of their own.
const PACK_MIN: usize = 32;

/// A message about to be kept: all that takes time is done before the transaction begins.
#[derive(Clone, Debug)]
pub struct NewContent {
    email_id: EmailId,
    threads: ThreadCandidates,
    message_key: Option<u64>,
    card: Card,
}

/// A card on its way into the index.
#[derive(Clone, Debug)]
enum Card {
    /// As the column `card` will hold it.
    Alone(Vec<u8>),
    /// As it is written, for a pack.
    Written(Vec<u8>),
}

/// Cards compressed together, about to be kept.
#[derive(Clone, Debug)]
pub struct NewPack {
    held: usize,
    cards: Vec<u8>,
}

impl NewPack {
    /// Puts the cards of messages into a pack, in order; none where they are too few for one, and
    /// lie alone then.
    #[must_use]
    pub fn of<'a>(contents: impl IntoIterator<Item = &'a mut NewContent>) -> Option<NewPack> {
        let contents: Vec<&mut NewContent> = contents.into_iter().collect();
        if contents.len() < PACK_MIN {
            contents.into_iter().for_each(NewContent::compress);
            return None;
        }
        let mut pack = Fields::default();
        for content in &contents {
            if let Card::Written(card) = &content.card {
                pack.put("card", card);
            }
        }
        let held = contents.len();
        let cards = pack.compressed(PACK_LEVEL);
        Some(NewPack { held, cards })
    }
}

impl NewContent {
    /// Makes ready what the index keeps of a message whose card will lie alone at first.
    #[must_use]
    pub fn new(email_id: EmailId, stored: &StoredCard) -> NewContent {
        let mut content = NewContent::for_pack(email_id, stored);
        content.compress();
        content
    }

    /// Makes ready what the index keeps of a message that comes together with [others](NewPack::of).
    #[must_use]
    pub fn for_pack(email_id: EmailId, stored: &StoredCard) -> NewContent {
        let ids = stored.card.ids();
        NewContent {
            email_id,
            threads: thread_candidates(&ids, &email_id),
            message_key: ids.message_id.as_deref().map(message_key),
            card: Card::Written(stored.written()),
        }
    }

    fn compress(&mut self) {
        if let Card::Written(card) = &self.card {
            self.card = Card::Alone(alone(card));
        }
    }

    // The column `card`: nothing for one that is in a pack.
    fn column(&self) -> Option<&[u8]> {
        match &self.card {
            Card::Alone(card) => Some(card),
            Card::Written(_) => None,
        }
    }
}

/// Cards that lie alone, and what they are together.
#[derive(Debug)]
pub struct Gathered {
    cards: Vec<(i64, Vec<u8>)>,
    packed: Vec<u8>,
}

impl Gathered {
    /// Compresses cards that [`Index::cards_alone`] found; none where they are too few for a pack.
    /// It takes as long as a flush does, so nothing is locked meanwhile.
    #[must_use]
    pub fn of(mut cards: Vec<(i64, Vec<u8>)>) -> Option<Gathered> {
        if cards.len() < PACK_CARDS + ALONE {
            return None;
        }
        cards.truncate(PACK_CARDS);
        let (mut pack, mut packed) = (Fields::default(), 0);
        for (_, card) in &cards {
            // One that is damaged stays by itself, as a card without a single field.
            let text = decompress(card).unwrap_or_default();
            let card = fields(&text).next().map_or(&[][..], |(_, card)| card);
            pack.put("card", card);
            packed += 1;
            if pack.len() > PACK_BYTES {
                break;
            }
        }
        cards.truncate(packed);
        Some(Gathered {
            cards,
            packed: pack.compressed(PACK_LEVEL),
        })
    }
}

impl Transaction<'_> {
    /// Keeps a message, unless the same bytes are kept already; answers the number of its row.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn put_content(&self, new: &NewContent) -> Result<i64, IndexError> {
        Ok(self.put_content_of(new, None)?.0)
    }

    /// As [`Transaction::put_content`], for a message whose card lies in this place of a pack; answers
    /// also whether the place is wanted.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn put_content_of(&self, new: &NewContent, place: Option<(i64, usize)>) -> Result<(i64, bool), IndexError> {
        let same = "SELECT id FROM content WHERE emailid = ?";
        if let Some(id) = self.rows(same, [new.email_id.0], |row| row.get(0))?.pop() {
            return Ok((id, false));
        }
        let (pack, slot) = place.unzip();
        let thread_id = self.thread(new)?;
        self.execute(
            "INSERT INTO content (emailid, threadid, message_key, card, pack, slot) VALUES (?, ?, ?, ?, ?, ?)",
            params![
                new.email_id.0,
                thread_id.0.cast_signed(),
                new.message_key.map(key),
                new.column(),
                pack,
                slot
            ],
        )?;
        Ok((self.inner.last_insert_rowid(), true))
    }

    /// Keeps a pack of which nothing is wanted yet; answers the number of its row.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn put_pack(&self, new: &NewPack) -> Result<i64, IndexError> {
        let sql = "INSERT INTO pack (held, live, cards) VALUES (?, 0, ?)";
        self.execute(sql, params![new.held, new.cards])?;
        Ok(self.inner.last_insert_rowid())
    }

    /// Says how many cards of a pack are wanted; one of which none is goes away.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn count_pack(&self, pack: i64, live: usize) -> Result<(), IndexError> {
        self.execute("UPDATE pack SET live = ? WHERE id = ?", params![live, pack])?;
        self.execute("DELETE FROM pack WHERE id = ? AND live = 0", [pack])
            .map(drop)
    }

    /// Reads what was missing of a message that is known by its file's name only.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn fill_content(
        &self,
        id: i64,
        new: &NewContent,
        place: Option<(i64, usize)>,
    ) -> Result<(), IndexError> {
        let thread_id = self.thread(new)?;
        let (pack, slot) = place.unzip();
        self.execute(
            "UPDATE content SET emailid = ?, threadid = ?, message_key = ?, card = ?, pack = ?, slot = ? WHERE id = ?",
            params![
                new.email_id.0,
                thread_id.0.cast_signed(),
                new.message_key.map(key),
                new.column(),
                pack,
                slot,
                id
            ],
        )
        .map(drop)
    }

    // RFC 8474 §5.2: once given it stays, so the conversation of the first that was here counts.
    fn thread(&self, new: &NewContent) -> Result<ThreadId, IndexError> {
        for key in &new.threads.keys {
            let known = "SELECT threadid FROM content WHERE message_key = ? ORDER BY id LIMIT 1";
            let found = self.rows(known, [self::key(*key)], |row| row.get::<_, i64>(0))?;
            if let Some(id) = found.first() {
                return Ok(ThreadId(id.cast_unsigned()));
            }
        }
        Ok(new.threads.default)
    }

    /// Forgets a message that is in no mailbox any more.
    pub(super) fn drop_content(&self, id: i64) -> Result<(), IndexError> {
        let wanted = "SELECT 1 FROM message WHERE content = ? LIMIT 1";
        if !self.rows(wanted, [id], |_| Ok(()))?.is_empty() {
            return Ok(());
        }
        let pack: Option<i64> = self
            .rows("SELECT pack FROM content WHERE id = ?", [id], |row| row.get(0))?
            .pop()
            .flatten();
        self.execute("DELETE FROM content WHERE id = ?", [id])?;
        if let Some(pack) = pack {
            self.execute("UPDATE pack SET live = live - 1 WHERE id = ?", [pack])?;
            self.execute("DELETE FROM pack WHERE id = ? AND live = 0", [pack])?;
        }
        Ok(())
    }

    /// Puts cards that lay alone into the pack that was made of them; answers whether it was done.
    /// It is not where one of them is gone by now, or another card stands in its place.
    ///
    /// # Errors
    /// Where they cannot be read or written.
    pub fn put_gathered(&self, pack: &Gathered) -> Result<bool, IndexError> {
        let same = "SELECT 1 FROM content WHERE id = ? AND card = ?";
        for (id, card) in &pack.cards {
            if self.rows(same, params![id, card], |_| Ok(()))?.is_empty() {
                return Ok(false);
            }
        }
        self.execute(
            "INSERT INTO pack (held, live, cards) VALUES (?1, ?1, ?2)",
            params![pack.cards.len(), pack.packed],
        )?;
        let number = self.inner.last_insert_rowid();
        for (slot, (id, _)) in pack.cards.iter().enumerate() {
            self.execute(
                "UPDATE content SET card = NULL, pack = ?, slot = ? WHERE id = ?",
                params![number, slot, id],
            )?;
        }
        Ok(true)
    }

    /// Takes a pack apart that holds mostly what nobody wants any more; answers whether there was one.
    ///
    /// # Errors
    /// Where it cannot be read or written.
    pub fn unpack_sparse(&self) -> Result<bool, IndexError> {
        let sparse = "SELECT id, cards FROM pack WHERE live * 4 < held LIMIT 1";
        let found = self.rows(sparse, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        let Some((pack, cards)) = found.into_iter().next() else {
            return Ok(false);
        };
        let text = decompress(&cards).unwrap_or_default();
        let cards: Vec<&[u8]> = fields(&text).map(|(_, card)| card).collect();
        let wanted = "SELECT id, slot FROM content WHERE pack = ?";
        let wanted: Vec<(i64, usize)> = self.rows(wanted, [pack], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for (id, slot) in wanted {
            self.execute(
                "UPDATE content SET card = ?, pack = NULL, slot = NULL WHERE id = ?",
                params![alone(cards.get(slot).copied().unwrap_or_default()), id],
            )?;
        }
        self.execute("DELETE FROM pack WHERE id = ?", [pack])?;
        Ok(true)
    }
}

impl Index {
    /// Cards by the numbers of their rows; one that is missing or damaged is left out.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn cards(&self, contents: &[i64]) -> Result<HashMap<i64, StoredCard>, IndexError> {
        let mut cards = HashMap::with_capacity(contents.len());
        let mut last: Option<(i64, Vec<u8>)> = None;
        for id in contents {
            if cards.contains_key(id) {
                continue;
            }
            let Some(place) = self.place_of_card(*id)? else {
                continue;
            };
            let (text, slot) = match place {
                CardPlace::Alone(card) => {
                    last = None;
                    (decompress(&card).unwrap_or_default(), 0)
                }
                CardPlace::In { pack, slot } => {
                    let text = match last.take() {
                        Some((known, text)) if known == pack => text,
                        _ => self.pack(pack)?,
                    };
                    last = Some((pack, text));
                    (Vec::new(), slot)
                }
            };
            let text = last.as_ref().map_or(&text, |(_, text)| text);
            if let Some((_, card)) = fields(text).nth(slot) {
                cards.insert(*id, StoredCard::parse(card));
            }
        }
        Ok(cards)
    }

    /// The oldest cards that lie alone, as many as [`Gathered::of`] asks for.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn cards_alone(&self) -> Result<Vec<(i64, Vec<u8>)>, IndexError> {
        let alone = "SELECT id, card FROM content WHERE pack IS NULL AND card IS NOT NULL ORDER BY id LIMIT ?";
        self.rows(alone, [PACK_CARDS + ALONE], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Numbers and EMAILIDs of messages whose files were read, with numbers above `after`, ascending.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn contents_after(&self, after: i64, limit: usize) -> Result<Vec<(i64, EmailId)>, IndexError> {
        let sql = "SELECT id, emailid FROM content WHERE id > ? AND emailid <> x'' ORDER BY id LIMIT ?";
        self.rows(sql, params![after, limit], read_identity)
    }

    /// Likewise, with numbers up to `last`, descending.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn contents_up_to(&self, last: i64, limit: usize) -> Result<Vec<(i64, EmailId)>, IndexError> {
        let sql = "SELECT id, emailid FROM content WHERE id <= ? AND emailid <> x'' ORDER BY id DESC LIMIT ?";
        self.rows(sql, params![last, limit], read_identity)
    }

    /// Which of these messages are in no mailbox any more.
    ///
    /// # Errors
    /// Where that cannot be read.
    pub fn gone(&self, ids: &[EmailId]) -> Result<Vec<EmailId>, IndexError> {
        let mut gone = Vec::new();
        for id in ids {
            let sql = "SELECT 1 FROM content WHERE emailid = ? LIMIT 1";
            if self.rows(sql, [id.0], |_| Ok(()))?.is_empty() {
                gone.push(*id);
            }
        }
        Ok(gone)
    }

    /// A mailbox, by its row's number, that has the message in this row, and the UID it has there.
    ///
    /// # Errors
    /// Where that cannot be read.
    pub fn holder(&self, content: i64) -> Result<Option<(i64, Uid)>, IndexError> {
        let sql = "SELECT mailbox, uid FROM message WHERE content = ? LIMIT 1";
        let holder = self.rows(sql, [content], |row| {
            Ok((row.get(0)?, super::message::read_uid(row, 1)?))
        })?;
        Ok(holder.into_iter().next())
    }

    fn place_of_card(&self, id: i64) -> Result<Option<CardPlace>, IndexError> {
        let sql = "SELECT card, pack, slot FROM content WHERE id = ?";
        let place = self.rows(sql, [id], |row| {
            let pack: Option<i64> = row.get(1)?;
            Ok(match pack {
                Some(pack) => Some(CardPlace::In {
                    pack,
                    slot: row.get::<_, Option<usize>>(2)?.unwrap_or(0),
                }),
                None => row.get::<_, Option<Vec<u8>>>(0)?.map(CardPlace::Alone),
            })
        })?;
        Ok(place.into_iter().next().flatten())
    }

    fn pack(&self, pack: i64) -> Result<Vec<u8>, IndexError> {
        let cards: Vec<Vec<u8>> = self.rows("SELECT cards FROM pack WHERE id = ?", [pack], |row| row.get(0))?;
        Ok(cards
            .first()
            .and_then(|cards| decompress(cards).ok())
            .unwrap_or_default())
    }

    /// The rows of messages whose files are still to be read.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub(crate) fn unread_contents(&self, after: i64, limit: usize) -> Result<Vec<i64>, IndexError> {
        let sql = "SELECT id FROM content WHERE emailid = x'' AND id > ? ORDER BY id LIMIT ?";
        self.rows(sql, params![after, limit], |row| row.get(0))
    }
}

// A card that lies alone, compressed: it happens on the path of a delivery.
fn alone(card: &[u8]) -> Vec<u8> {
    let mut alone = Fields::default();
    alone.put("card", card);
    alone.compressed(ALONE_LEVEL)
}

// Six bytes of a key are enough to find a message by, and SQLite keeps them in six.
pub(super) fn key(key: u64) -> i64 {
    (key >> 16).cast_signed()
}

fn read_identity(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, EmailId)> {
    Ok((row.get(0)?, EmailId(row.get(1)?)))
}

/// Where a card lies.
enum CardPlace {
    Alone(Vec<u8>),
    In { pack: i64, slot: usize },
}
