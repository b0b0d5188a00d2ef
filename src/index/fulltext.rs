//! Which messages may contain a text: a database of its own, so that filling it never
//! holds up a delivery, and losing it loses nothing.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::IndexError;
use super::network::refuse_network;
use super::open::BUSY;
use super::vocabulary;
use crate::mail::EmailId;
use crate::message::{Clause, Needle, Scope, Text};

/// The schema, and the way in which text is divided into words: where either changes, all
/// is made anew.
const VERSION: i64 = 2;
/// Words that may stand for a part of one, for each message that is asked for: looking all
/// of more up takes longer than reading the messages. And for however many messages.
const WORDS_EACH: usize = 4;
const WORDS_LEAST: usize = 256;
const WORDS_MAX: usize = 16 * 1024;
/// Pages that one step of tidying up writes.
const STEP: i64 = 128;
/// The tables of words, in the order in which [`Text::words`] has them.
const TABLES: [&str; 3] = ["header_words", "body_words", "name_words"];

/// What the full text index knows of a message and a needle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The message does not contain it.
    No,
    /// Only reading the message tells: see [`Text::contains`].
    Maybe,
    /// The message contains it.
    Yes,
}

/// How far the full text index has come with its index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Which index: the numbers of another mean nothing.
    pub epoch: String,
    /// The number of the last content that was entered.
    pub content: i64,
    /// The last row of the full text index whose message was looked for.
    pub swept: i64,
    /// Messages that came or went since the words were last tidied up.
    pub entered: i64,
}

/// The full text index of one account.
///
/// What it does not know yet it rules out for nobody: a message that was not
/// [added](FullText::add) is a [`Verdict::Maybe`].
#[derive(Debug)]
pub struct FullText {
    connection: Connection,
    path: PathBuf,
}

impl FullText {
    /// Opens it, making it where it is missing. One that is damaged, or that another version
    /// wrote, is emptied and made anew.
    ///
    /// # Errors
    /// Where it can neither be opened nor made.
    pub fn open(path: &Path) -> Result<FullText, IndexError> {
        match FullText::prepared(path, false) {
            Err(error) if error.is_damaged() || matches!(error, IndexError::Newer { .. }) => FullText::open_anew(path),
            opened => opened,
        }
    }

    /// Empties it, whatever is in it, and makes it anew: what to do where anything else
    /// returns an error that [is damage](IndexError::is_damaged). Others may have it open:
    /// they find it empty.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn open_anew(path: &Path) -> Result<FullText, IndexError> {
        FullText::prepared(path, true)
    }

    fn prepared(path: &Path, anew: bool) -> Result<FullText, IndexError> {
        refuse_network(path)?;
        let mut connection = Connection::open(path).map_err(IndexError::at(path))?;
        connection.busy_timeout(BUSY).map_err(IndexError::at(path))?;
        if anew {
            reset(&connection).map_err(IndexError::at(path))?;
        }
        prepare(&mut connection).map_err(IndexError::at(path))?;
        is_known(&connection, path)?;
        Ok(FullText {
            connection,
            path: path.to_owned(),
        })
    }

    /// Whether each message is still missing, and ought to be [added](FullText::add).
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn missing(&self, ids: &[EmailId]) -> Result<Vec<bool>, IndexError> {
        let rows = self.rows_of(ids).map_err(self.at())?;
        Ok(rows.iter().map(Option::is_none).collect())
    }

    /// All messages that it knows, for finding out which of them are gone.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn known(&self) -> Result<Vec<EmailId>, IndexError> {
        let all = || {
            let mut statement = self.connection.prepare_cached("SELECT email FROM message")?;
            let rows = statement.query_map([], |row| row.get(0).map(EmailId))?;
            rows.collect::<rusqlite::Result<_>>()
        };
        all().map_err(self.at())
    }

    /// Enters messages, in one transaction; those that are there already are left as they
    /// are. A batch of some 200 (or 8 MiB, since their text
    /// is in memory) costs each of them least.
    ///
    /// A power cut may take the last batches; they are [missing](FullText::missing) again.
    ///
    /// # Errors
    /// Where it cannot be written; then none of them is entered.
    pub fn add(&mut self, batch: &[(EmailId, Text)]) -> Result<(), IndexError> {
        self.add_and_note(batch, None)
    }

    /// As [`FullText::add`], and notes in the same transaction how far that goes.
    ///
    /// # Errors
    /// As [`FullText::add`]; then nothing is noted either.
    pub fn add_and_note(&mut self, batch: &[(EmailId, Text)], progress: Option<&Progress>) -> Result<(), IndexError> {
        let add = |connection: &Connection| {
            let mut vocabulary = HashSet::new();
            for (email, text) in batch {
                let sql = "INSERT OR IGNORE INTO message (email) VALUES (?)";
                if connection.prepare_cached(sql)?.execute([email.0])? == 0 {
                    continue;
                }
                let id = connection.last_insert_rowid();
                for (table, words) in TABLES.iter().zip(text.words()) {
                    if words.is_empty() {
                        continue;
                    }
                    let joined = words.iter().copied().collect::<Vec<_>>().join(" ");
                    let sql = format!("INSERT INTO {table} (rowid, words) VALUES (?, ?)");
                    connection.prepare_cached(&sql)?.execute(params![id, joined])?;
                    vocabulary.extend(words);
                }
            }
            vocabulary::add(connection, vocabulary)?;
            progress.map_or(Ok(()), |progress| note(connection, progress))
        };
        self.write(add)
    }

    /// Takes messages out, in one transaction; those that are not there are no error.
    ///
    /// # Errors
    /// Where it cannot be written; then all of them are left.
    pub fn remove(&mut self, ids: &[EmailId]) -> Result<(), IndexError> {
        self.write(|connection| {
            let mut count = 0;
            for email in ids {
                let sql = "DELETE FROM message WHERE email = ? RETURNING id";
                let mut statement = connection.prepare_cached(sql)?;
                let Some(id) = statement.query_row([email.0], |row| row.get::<_, i64>(0)).optional()? else {
                    continue;
                };
                count += 1;
                for table in TABLES {
                    let sql = format!("DELETE FROM {table} WHERE rowid = ?");
                    connection.prepare_cached(&sql)?.execute([id])?;
                }
            }
            connection
                .execute("UPDATE removed SET messages = messages + ?", [count])
                .map(drop)
        })
    }

    /// How far it has come.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn progress(&self) -> Result<Progress, IndexError> {
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Progress {
                epoch: row.get(0)?,
                content: row.get(1)?,
                swept: row.get(2)?,
                entered: row.get(3)?,
            })
        };
        let sql = "SELECT epoch, content, swept, entered FROM progress";
        self.connection.query_row(sql, [], read).map_err(self.at())
    }

    /// Notes how far it has come.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn note(&mut self, progress: &Progress) -> Result<(), IndexError> {
        self.write(|connection| note(connection, progress))
    }

    /// Some of the messages that it knows, with the numbers of their rows, from behind one of them on.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn known_after(&self, row: i64, limit: usize) -> Result<Vec<(i64, EmailId)>, IndexError> {
        let some = || {
            let sql = "SELECT id, email FROM message WHERE id > ? ORDER BY id LIMIT ?";
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![row, limit], |row| Ok((row.get(0)?, EmailId(row.get(1)?))))?;
            rows.collect::<rusqlite::Result<_>>()
        };
        some().map_err(self.at())
    }

    /// The number of the last row: about how many messages it knows, told at once.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn last_row(&self) -> Result<i64, IndexError> {
        let sql = "SELECT coalesce(max(id), 0) FROM message";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(self.at())
    }

    /// Says of each of `ids` whether the needle may be in it, as far as is known without
    /// reading it. All are `Maybe` where the needle has no words, or a part of too many.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn narrow(&self, scope: Scope, needle: &Needle, ids: &[EmailId]) -> Result<Vec<Verdict>, IndexError> {
        // Of one moment: a message may be entered while this looks.
        let snapshot = self.connection.unchecked_transaction().map_err(self.at())?;
        is_known(&snapshot, &self.path)?;
        let narrow = || {
            let Some(found) = self.rows_with(scope, &needle.clauses(), ids.len())? else {
                return Ok(vec![Verdict::Maybe; ids.len()]);
            };
            let hit = if needle.is_certain() {
                Verdict::Yes
            } else {
                Verdict::Maybe
            };
            let verdict = |row: &Option<i64>| match row {
                None => Verdict::Maybe,
                Some(row) if found.contains(row) => hit,
                Some(_) => Verdict::No,
            };
            Ok(self.rows_of(ids)?.iter().map(verdict).collect())
        };
        narrow().map_err(self.at())
    }

    /// Tidies up for at most about `time`, in small transactions: fewer and smaller tables
    /// of words, free space given back. Whether it came to the end.
    ///
    /// # Errors
    /// Where it cannot be written; what was done before stands.
    pub fn optimize(&mut self, time: Duration) -> Result<bool, IndexError> {
        let end = Instant::now() + time;
        for table in TABLES {
            // The first of these says that all is to become one, the others go on with it.
            let mut pages = -STEP;
            loop {
                if Instant::now() >= end {
                    return Ok(false);
                }
                let before = self.connection.total_changes();
                let sql = format!("INSERT INTO {table} ({table}, rank) VALUES ('merge', ?)");
                self.write(|connection| connection.prepare_cached(&sql)?.execute([pages]).map(drop))?;
                // Nothing but the asking itself was written.
                if self.connection.total_changes() - before < 2 {
                    break;
                }
                pages = STEP;
            }
        }
        self.write(|connection| {
            let worn = "SELECT messages > 100 AND messages > (SELECT count(*) / 4 FROM message) FROM removed";
            let worn = connection.query_row(worn, [], |row| row.get(0))?;
            vocabulary::tidy(connection, worn)?;
            if worn {
                connection.execute("UPDATE removed SET messages = 0", [])?;
            }
            Ok(())
        })?;
        for pragma in ["PRAGMA incremental_vacuum", "PRAGMA wal_checkpoint(TRUNCATE)"] {
            self.run(pragma).map_err(self.at())?;
        }
        Ok(true)
    }

    /// Bytes of the database.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn size(&self) -> Result<u64, IndexError> {
        let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(self.at())
    }

    fn at(&self) -> impl FnOnce(rusqlite::Error) -> IndexError {
        IndexError::at(&self.path)
    }

    // To its end: one page is given back for each step.
    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }

    fn write(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<(), IndexError> {
        let path = &self.path;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(IndexError::at(path))?;
        is_known(&transaction, path)?;
        work(&transaction).map_err(IndexError::at(path))?;
        transaction.commit().map_err(IndexError::at(path))
    }

    // Which messages have words that meet all clauses, within one of the tables; none
    // where the clauses leave it open.
    fn rows_with(&self, scope: Scope, clauses: &[Clause], ids: usize) -> rusqlite::Result<Option<HashSet<i64>>> {
        let most = ids.saturating_mul(WORDS_EACH).clamp(WORDS_LEAST, WORDS_MAX);
        let mut asked = Vec::new();
        for clause in clauses {
            asked.extend(vocabulary::find(&self.connection, clause, most)?);
        }
        if asked.is_empty() {
            return Ok(None);
        }
        // The rarest first, as far as that is known.
        asked.sort_by_key(Vec::len);
        let tables = match scope {
            Scope::Header => &TABLES[..1],
            Scope::Body => &TABLES[1..2],
            Scope::Text => &TABLES[..],
        };
        let mut all = HashSet::new();
        for table in tables {
            let mut rows: Option<HashSet<i64>> = None;
            for words in &asked {
                let with = self.rows_with_one(table, words, rows.as_ref())?;
                let done = with.is_empty();
                rows = Some(with);
                if done {
                    break;
                }
            }
            all.extend(rows.unwrap_or_default());
        }
        Ok(Some(all))
    }

    fn rows_with_one(
        &self,
        table: &str,
        words: &[String],
        of: Option<&HashSet<i64>>,
    ) -> rusqlite::Result<HashSet<i64>> {
        let sql = format!("SELECT rowid FROM {table} WHERE {table} MATCH ?");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut found = HashSet::new();
        for word in words {
            // A word has no quotation mark in it.
            let mut rows = statement.query([format!("\"{word}\"")])?;
            while let Some(row) = rows.next()? {
                let id = row.get(0)?;
                if of.is_none_or(|of| of.contains(&id)) {
                    found.insert(id);
                }
            }
        }
        Ok(found)
    }

    fn rows_of(&self, ids: &[EmailId]) -> rusqlite::Result<Vec<Option<i64>>> {
        const MANY: usize = 1000;
        if ids.len() < MANY {
            let mut statement = self
                .connection
                .prepare_cached("SELECT id FROM message WHERE email = ?")?;
            let row = |id: &EmailId| statement.query_row([id.0], |row| row.get(0)).optional();
            return ids.iter().map(row).collect();
        }
        let mut statement = self.connection.prepare_cached("SELECT email, id FROM message")?;
        let all = statement.query_map([], |row| Ok((EmailId(row.get(0)?), row.get(1)?)))?;
        let all = all.collect::<rusqlite::Result<HashMap<EmailId, i64>>>()?;
        Ok(ids.iter().map(|id| all.get(id).copied()).collect())
    }
}

fn note(connection: &Connection, progress: &Progress) -> rusqlite::Result<()> {
    let sql = "UPDATE progress SET epoch = ?, content = ?, swept = ?, entered = ?";
    let Progress {
        epoch,
        content,
        swept,
        entered,
    } = progress;
    connection
        .prepare_cached(sql)?
        .execute(params![epoch, content, swept, entered])
        .map(drop)
}

// SQLite's own way to empty a database in whatever state it is. Deleting the file would pull
// it away from under those who have it open, whose last words then go to the new one's log.
fn reset(connection: &Connection) -> rusqlite::Result<()> {
    let flag = DbConfig::SQLITE_DBCONFIG_RESET_DATABASE;
    // It must have looked at the file before; what it finds does not matter.
    let _ = version(connection);
    connection.set_db_config(flag, true)?;
    let done = connection
        .pragma_update(None, "auto_vacuum", "INCREMENTAL")
        .and_then(|()| connection.execute_batch("VACUUM"));
    connection.set_db_config(flag, false)?;
    done
}

// Makes the schema where there is none.
fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    // Space is given back only where it is said before the first table.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    if version(connection)? == 0 {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have made it while we waited.
        if version(&transaction)? == 0 {
            transaction.execute_batch(include_str!("fulltext.sql"))?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        transaction.commit()?;
    }
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

// Asked within each transaction: another version may have made it anew since it was opened.
fn is_known(connection: &Connection, path: &Path) -> Result<(), IndexError> {
    let path = || path.to_owned();
    match version(connection).map_err(IndexError::at(&path()))? {
        VERSION => Ok(()),
        found => Err(IndexError::Newer { path: path(), found }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;

    use super::*;
    use crate::message::{Limits, scan};

    fn id(number: u8) -> EmailId {
        EmailId([number; 16])
    }

    fn text(message: &str) -> Text {
        let scanned = scan(message.as_bytes(), &Limits::default()).unwrap();
        Text::read(&scanned.header, &scanned.structure, &mut Cursor::new(message)).unwrap()
    }

    fn filled(path: &Path) -> FullText {
        let mut full = FullText::open(path).unwrap();
        let batch = [
            (id(1), text("Subject: The budget of spring\n\nMore money, said Ann.\n")),
            (
                id(2),
                text("Subject: Hi\nContent-Type: text/plain; name=budget.txt\n\nOur springboard broke.\n"),
            ),
            (id(3), text("Subject: 東京都\n\nMoneyless.\n")),
        ];
        full.add(&batch).unwrap();
        full
    }

    #[test]
    fn narrows() {
        use Verdict::{Maybe, No, Yes};
        let home = tempfile::tempdir().unwrap();
        let full = filled(&home.path().join("fulltext.sqlite"));
        for (scope, needle, verdicts) in [
            (Scope::Body, "SPRING", [No, Yes, No]),
            (Scope::Header, "spring", [Yes, No, No]),
            (Scope::Text, "spring", [Yes, Yes, No]),
            (Scope::Text, "udge", [Yes, Yes, No]),
            (Scope::Header, "udge", [Yes, Yes, No]),
            (Scope::Body, "one", [Yes, No, Yes]),
            (Scope::Body, "ore money", [Maybe, No, No]),
            (Scope::Body, "money, sad", [No, No, No]),
            (Scope::Text, "spring more", [No, No, No]),
            (Scope::Header, "京", [No, No, Yes]),
            (Scope::Header, "東京都", [No, No, Maybe]),
            (Scope::Text, "nowhere", [No, No, No]),
            (Scope::Text, " ,", [Maybe; 3]),
            (Scope::Text, "", [Maybe; 3]),
        ] {
            let ids = [id(1), id(2), id(3), id(4)];
            let found = full.narrow(scope, &Needle::new(needle), &ids).unwrap();
            assert_eq!(found[..3], verdicts, "{needle}");
            assert_eq!(found[3], Maybe, "{needle}: nothing is known of the fourth");
        }
    }

    #[test]
    fn knows_what_it_has() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("fulltext.sqlite");
        let mut full = filled(&path);
        full.add(&[(id(1), text("A: other\n\n"))]).unwrap();
        full.remove(&[id(2), id(9)]).unwrap();
        drop(full);
        let mut full = FullText::open(&path).unwrap();
        assert_eq!(full.missing(&[id(1), id(2), id(3)]).unwrap(), [false, true, false]);
        assert_eq!(full.known().unwrap(), [id(1), id(3)]);
        let found = |full: &FullText, needle: &str| {
            let ids = [id(1), id(2), id(3)];
            full.narrow(Scope::Text, &Needle::new(needle), &ids).unwrap()
        };
        assert_eq!(found(&full, "board"), [Verdict::No, Verdict::Maybe, Verdict::No]);
        full.add(&[(id(2), text("A: b\n\nboardroom"))]).unwrap();
        assert_eq!(found(&full, "board"), [Verdict::No, Verdict::Yes, Verdict::No]);
        assert_eq!(found(&full, "springboard"), [Verdict::No; 3]);
    }

    #[test]
    fn tidies_up_and_finds_the_same() {
        let home = tempfile::tempdir().unwrap();
        let mut full = filled(&home.path().join("fulltext.sqlite"));
        for number in 10..250 {
            let message = format!(
                "Subject: number{number}\n\ncommon words, and rare{}\n",
                u32::from(number) * 7
            );
            full.add(&[(id(number), text(&message))]).unwrap();
        }
        let gone: Vec<EmailId> = (20..200).map(id).collect();
        full.remove(&gone).unwrap();
        let (size, known) = (full.size().unwrap(), full.known().unwrap());
        let find = |full: &FullText| {
            ["number2", "ber3", "common", "rare", "money"]
                .map(|needle| full.narrow(Scope::Text, &Needle::new(needle), &known).unwrap())
        };
        let before = find(&full);
        assert!(!full.optimize(Duration::ZERO).unwrap());
        assert!(full.optimize(Duration::from_secs(60)).unwrap());
        assert_eq!(find(&full), before);
        assert!(full.size().unwrap() < size);
        let lone = Clause::Holds("number100".to_owned());
        assert_eq!(vocabulary::find(&full.connection, &lone, 9).unwrap(), Some(vec![]));
    }

    #[test]
    fn many_batches_are_few_values() {
        let home = tempfile::tempdir().unwrap();
        let mut full = FullText::open(&home.path().join("fulltext.sqlite")).unwrap();
        for number in 0..200 {
            full.add(&[(id(number), text(&format!("A: b\n\nword{number}\n")))])
                .unwrap();
        }
        let sql = "SELECT count(*) FROM vocabulary";
        let values: usize = full.connection.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(values, 3 + 1, "200 is 310 to the base of 8");
        let part = Clause::Holds("d1".to_owned());
        assert_eq!(
            vocabulary::find(&full.connection, &part, 111)
                .unwrap()
                .map(|it| it.len()),
            Some(111)
        );
        assert_eq!(vocabulary::find(&full.connection, &part, 110).unwrap(), None);
    }

    #[test]
    fn what_is_damaged_or_unknown_is_made_anew() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("fulltext.sqlite");
        let full = filled(&path);
        full.connection.pragma_update(None, "user_version", 99).unwrap();
        drop(full);
        assert!(FullText::open(&path).unwrap().known().unwrap().is_empty());
        fs::write(&path, "this is no database, but long enough to look at".repeat(100)).unwrap();
        assert!(FullText::open(&path).unwrap().known().unwrap().is_empty());
        drop(filled(&path));
        // In the middle, which opening does not see.
        let mut bytes = fs::read(&path).unwrap();
        bytes[4096..].fill(0x5a);
        fs::write(&path, bytes).unwrap();
        let opened = FullText::open(&path).and_then(|full| full.known());
        assert!(opened.is_err_and(|error| error.is_damaged()));
        let anew = FullText::open_anew(&path).unwrap();
        assert!(anew.known().unwrap().is_empty());
        let vacuum: i64 = anew
            .connection
            .pragma_query_value(None, "auto_vacuum", |row| row.get(0))
            .unwrap();
        assert_eq!(vacuum, 2, "incremental");
    }

    #[test]
    fn those_who_have_it_open_find_it_made_anew() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("fulltext.sqlite");
        let mut old = filled(&path);
        let new = FullText::open_anew(&path).unwrap();
        assert_eq!(old.missing(&[id(1)]).unwrap(), [true]);
        old.add(&[(id(5), text("A: b\n\nc\n"))]).unwrap();
        assert_eq!(new.known().unwrap(), [id(5)]);
        new.connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(old.remove(&[id(5)]), Err(IndexError::Newer { found: 99, .. })));
        let narrowed = old.narrow(Scope::Body, &Needle::new("c"), &[id(5)]);
        assert!(matches!(narrowed, Err(IndexError::Newer { .. })));
    }

    #[test]
    fn two_open_it_at_once() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("fulltext.sqlite");
        std::thread::scope(|scope| {
            for number in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    let mut full = FullText::open(path).unwrap();
                    full.add(&[(id(number), text("A: b\n\nc\n"))]).unwrap();
                });
            }
        });
        assert_eq!(FullText::open(&path).unwrap().known().unwrap().len(), 4);
    }
}
