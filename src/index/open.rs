//! Opening: which schema an index has, how durable its commits are.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use super::IndexError;
use super::empty::{plant, shape};
use super::network::refuse_network;
use super::schema::{self, Made};

/// How long a writer waits for another process before it gives up.
pub(super) const BUSY: Duration = Duration::from_secs(10);

/// The open index of one account.
#[derive(Debug)]
pub struct Index {
    pub(super) connection: Connection,
    path: PathBuf,
    /// Of commits, as it is set now; none before the first.
    durability: Option<Durability>,
    /// Whether no commit is flushed, however durable it is to be.
    unflushed: bool,
    made: Made,
    lacking: bool,
}

/// A write: holds SQLite's write lock from its beginning, rolled back unless committed.
#[derive(Debug)]
pub struct Transaction<'index> {
    pub(super) inner: rusqlite::Transaction<'index>,
    path: &'index Path,
}

/// How far a commit reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Survives a crash of the process; a power cut may take it, and files bring it back.
    Process,
    /// Survives a power cut: for what a client was shown and no file holds.
    Power,
}

fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

// A log begins with one of two numbers (SQLite's file format §4.1). SQLite takes one that does not
// for empty, so what was committed since the last checkpoint is missing, and nobody says so.
fn is_blanked(log: &Path) -> bool {
    let mut start = [0; 4];
    let read = std::fs::File::open(log).and_then(|mut file| io::Read::read_exact(&mut file, &mut start));
    read.is_ok() && !matches!(u32::from_be_bytes(start), 0x377f_0682 | 0x377f_0683)
}

impl Index {
    /// Opens the index at `path`, making it where it is missing.
    ///
    /// # Errors
    /// [`IndexError`]; nothing is changed then.
    pub fn open(path: &Path) -> Result<Index, IndexError> {
        Index::open_at(path, false)
    }

    /// As [`Index::open`], without a flush before [`Index::flush_commits`]: for a new account, all of which is flushed
    /// together before anything is promised of it.
    ///
    /// # Errors
    /// [`IndexError`]; nothing is changed then.
    pub fn open_unflushed(path: &Path) -> Result<Index, IndexError> {
        Index::open_at(path, true)
    }

    fn open_at(path: &Path, unflushed: bool) -> Result<Index, IndexError> {
        refuse_network(path)?;
        let log = log_of(path);
        let logged = log.exists();
        let lacking = logged && is_blanked(&log);
        // A log that is there would be taken for that of the new file.
        let planted = unflushed && !logged && plant(path);
        let mut connection = Connection::open(path).map_err(IndexError::at(path))?;
        if unflushed {
            let off = connection.pragma_update(None, "synchronous", "OFF");
            off.map_err(IndexError::at(path))?;
        }
        let made = match prepare(&mut connection, path)? {
            Made::Before if planted => Made::Now,
            made => made,
        };
        Ok(Index {
            connection,
            path: path.to_owned(),
            durability: None,
            unflushed,
            made,
            lacking,
        })
    }

    /// From here on commits are flushed as their durability says.
    pub fn flush_commits(&mut self) {
        self.unflushed = false;
    }

    /// Whether its log was there and empty of meaning, so that its last commits may be lost.
    #[must_use]
    pub fn is_lacking(&self) -> bool {
        self.lacking
    }

    /// Closing leaves the log as it is, instead of taking what it holds into the database's file and removing it: that
    /// is left to a later opening.
    pub fn keep_log(&self) {
        // It sets a flag in memory. Where it fails, closing tidies up as always.
        let _ = self
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }

    /// Bytes of the log.
    #[must_use]
    pub fn log_size(&self) -> u64 {
        std::fs::metadata(log_of(&self.path)).map_or(0, |log| log.len())
    }

    /// Whether opening made it.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.made == Made::Now
    }

    /// Whether opening made it out of one with an earlier schema, or another opening did that has
    /// not yet read the Maildir.
    #[must_use]
    pub fn is_migrated(&self) -> bool {
        matches!(self.made, Made::From(_))
    }

    /// The database's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a write, waiting at most ten seconds for another process.
    ///
    /// # Errors
    /// Where the lock cannot be had.
    pub fn begin(&mut self, durability: Durability) -> Result<Transaction<'_>, IndexError> {
        let level = match durability {
            Durability::Process => "NORMAL",
            Durability::Power => "FULL",
        };
        if self.durability != Some(durability) && !self.unflushed {
            self.connection
                .pragma_update(None, "synchronous", level)
                .map_err(IndexError::at(&self.path))?;
            self.durability = Some(durability);
        }
        let inner = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(IndexError::at(&self.path))?;
        Ok(Transaction {
            inner,
            path: &self.path,
        })
    }

    /// Reads as of one moment, whatever others commit meanwhile.
    ///
    /// # Errors
    /// Those of `read`, or where the moment cannot be had.
    pub fn snapshot<T, E: From<IndexError>>(&self, read: impl FnOnce(&Index) -> Result<T, E>) -> Result<T, E> {
        let moment = self
            .connection
            .unchecked_transaction()
            .map_err(IndexError::at(&self.path))?;
        let read = read(self);
        drop(moment);
        read
    }

    /// A fact about the index itself.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn fact(&self, name: &str) -> Result<Option<String>, IndexError> {
        Ok(self.rows(FACT, [name], |row| row.get(0))?.pop())
    }

    /// SQLite's own check of the file; empty where it finds nothing.
    ///
    /// # Errors
    /// Where the check itself cannot run.
    pub fn integrity(&self) -> Result<Vec<String>, IndexError> {
        self.rows("PRAGMA integrity_check(20)", [], |row| row.get::<_, String>(0))
            .map(|lines| lines.into_iter().filter(|line| line != "ok").collect())
    }
}

/// What can be asked, within a transaction and outside.
pub(super) trait Rows {
    /// The rows that `sql` finds, each read by `read`.
    fn rows<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, IndexError>;
}

impl Rows for Index {
    fn rows<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, IndexError> {
        rows(&self.connection, sql, parameters, read).map_err(IndexError::at(&self.path))
    }
}

impl Rows for Transaction<'_> {
    fn rows<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, IndexError> {
        self.is_open()?;
        rows(&self.inner, sql, parameters, read).map_err(IndexError::at(self.path))
    }
}

const FACT: &str = "SELECT value FROM fact WHERE name = ?";

impl Transaction<'_> {
    /// As [`Index::fact`].
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn fact(&self, name: &str) -> Result<Option<String>, IndexError> {
        Ok(self.rows(FACT, [name], |row| row.get(0))?.pop())
    }

    /// Does `work` as a whole: where it fails, the rest of the transaction stands and
    /// nothing of this is left in it.
    ///
    /// # Errors
    /// Those of `work`, or where the index cannot be written.
    pub fn whole<T, E: From<IndexError>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.execute("SAVEPOINT whole", [])?;
        let done = work();
        if done.is_err() {
            // Fails only where SQLite has taken back all of the transaction.
            let _ = self.execute("ROLLBACK TO whole", []);
            let _ = self.execute("RELEASE whole", []);
            return done;
        }
        self.execute("RELEASE whole", [])?;
        done
    }

    /// Rows that this connection inserted, changed or deleted, of this transaction and of those before.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.inner.total_changes()
    }

    /// Makes it so.
    ///
    /// # Errors
    /// Where nothing of it was made so.
    pub fn commit(self) -> Result<(), IndexError> {
        self.inner.commit().map_err(IndexError::at(self.path))
    }

    /// Gives free pages back to the file system, at most so many, where more are free than `keep`; answers whether it did.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn give_back(&self, pages: usize, keep: usize) -> Result<bool, IndexError> {
        let free: Vec<usize> = self.rows("PRAGMA freelist_count", [], |row| row.get(0))?;
        let spare = free.first().is_some_and(|free| *free > keep);
        if spare {
            // A row for each page.
            self.rows(&format!("PRAGMA incremental_vacuum({pages})"), [], |_| Ok(()))?;
        }
        // Made by an earlier postroom, it may keep what it has.
        let left: Vec<usize> = self.rows("PRAGMA freelist_count", [], |row| row.get(0))?;
        Ok(spare && left < free)
    }

    /// Writes a fact about the index itself.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn put_fact(&self, name: &str, value: &str) -> Result<(), IndexError> {
        self.execute("INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)", [name, value])
            .map(drop)
    }

    pub(super) fn execute(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<usize, IndexError> {
        self.is_open()?;
        let done = self
            .inner
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(parameters));
        done.map_err(IndexError::at(self.path))
    }

    // Where the disk is full or fails, SQLite may take back the whole transaction. What is
    // done behind that would be done without the write lock, and at once for good.
    fn is_open(&self) -> Result<(), IndexError> {
        match self.inner.is_autocommit() {
            false => Ok(()),
            true => {
                let aborted = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK);
                Err(IndexError::at(self.path)(rusqlite::Error::SqliteFailure(aborted, None)))
            }
        }
    }
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_map(parameters, read)?.collect()
}

// Returns what had to be done about the schema.
fn prepare(connection: &mut Connection, path: &Path) -> Result<Made, IndexError> {
    let failed = || IndexError::at(path);
    connection.busy_timeout(BUSY).map_err(failed())?;
    connection.set_prepared_statement_cache_capacity(64);
    // Else a statement that a partial index might serve is compiled anew for each value that is bound.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(failed())?;
    let known = schema::version(connection).map_err(failed())?;
    if known == 0 {
        shape(connection).map_err(failed())?;
    }
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
        .map_err(failed())?;
    connection.pragma_update(None, "foreign_keys", true).map_err(failed())?;
    if known == schema::VERSION {
        return schema::of_today(connection).map_err(failed());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed())?;
    // Another process may have done it while we waited.
    let made = match schema::version(&transaction).map_err(failed())? {
        schema::VERSION => schema::of_today(&transaction).map_err(failed())?,
        found if found > schema::VERSION => {
            let path = path.to_owned();
            return Err(IndexError::Newer { path, found });
        }
        0 => {
            schema::create(&transaction).map_err(failed())?;
            Made::Now
        }
        found => {
            schema::migrate(&transaction, found).map_err(failed())?;
            Made::From(found)
        }
    };
    transaction.commit().map_err(failed())?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn opens_twice_and_knows_when_it_was_made() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("index.sqlite");
        assert!(Index::open(&path).unwrap().is_fresh());
        let mut index = Index::open(&path).unwrap();
        assert!(!index.is_fresh());
        assert_eq!(index.fact("boot").unwrap(), None);
        let transaction = index.begin(Durability::Power).unwrap();
        transaction.put_fact("boot", "x").unwrap();
        transaction.commit().unwrap();
        assert_eq!(index.fact("boot").unwrap().as_deref(), Some("x"));
        assert!(index.integrity().unwrap().is_empty());
    }

    #[test]
    fn an_index_that_is_planted_is_as_one_that_is_made() {
        let home = tempfile::tempdir().unwrap();
        let (planted, made) = (home.path().join("planted"), home.path().join("made"));
        let says = |index: &Index| {
            let pragma = |name: &str| -> rusqlite::types::Value {
                index
                    .connection
                    .pragma_query_value(None, name, |row| row.get(0))
                    .unwrap()
            };
            let pragmas = ["page_size", "auto_vacuum", "journal_mode", "user_version", "encoding"].map(pragma);
            let sql = "SELECT type, name, sql FROM sqlite_schema";
            let objects = index.rows(sql, [], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, Option<String>>(2)?,
                ))
            });
            (pragmas, objects.unwrap())
        };
        // Else what follows would compare two that are made. It wants a file system with O_TMPFILE.
        let by_itself = home.path().join("by itself");
        assert!(plant(&by_itself) && !plant(&by_itself));
        std::fs::remove_file(&by_itself).unwrap();
        let (one, other) = (Index::open_unflushed(&planted).unwrap(), Index::open(&made).unwrap());
        assert!(one.is_fresh() && other.is_fresh() && one.integrity().unwrap().is_empty());
        assert_eq!(says(&one), says(&other));
        drop(one);
        assert!(!Index::open_unflushed(&planted).unwrap().is_fresh());
        assert_eq!(
            std::fs::metadata(&planted).unwrap().mode(),
            std::fs::metadata(&made).unwrap().mode()
        );
        // Beside a log that an index left which is gone.
        let lost = home.path().join("lost");
        std::fs::write(home.path().join("lost-wal"), "of another").unwrap();
        assert!(Index::open_unflushed(&lost).unwrap().is_fresh());
        drop(other);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 3);
    }

    #[test]
    fn commits_of_a_new_account_are_flushed_from_a_moment_on() {
        let home = tempfile::tempdir().unwrap();
        let mut index = Index::open_unflushed(&home.path().join("index.sqlite")).unwrap();
        let flushes = |index: &mut Index, durability| -> i64 {
            let transaction = index.begin(durability).unwrap();
            transaction.put_fact("boot", "x").unwrap();
            transaction.commit().unwrap();
            let connection = &index.connection;
            connection
                .pragma_query_value(None, "synchronous", |row| row.get(0))
                .unwrap()
        };
        assert_eq!(flushes(&mut index, Durability::Power), 0);
        index.flush_commits();
        assert_eq!(flushes(&mut index, Durability::Power), 2);
        assert_eq!(flushes(&mut index, Durability::Process), 1);
    }

    #[test]
    fn refuses_a_newer_schema_and_what_is_no_database() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("index.sqlite");
        let index = Index::open(&path).unwrap();
        index.connection.pragma_update(None, "user_version", 99).unwrap();
        drop(index);
        assert!(matches!(Index::open(&path), Err(IndexError::Newer { found: 99, .. })));
        let other = home.path().join("other.sqlite");
        std::fs::write(&other, "this is no database, but long enough to look at".repeat(30)).unwrap();
        assert!(matches!(Index::open(&other), Err(IndexError::Damaged { .. })));
    }

    #[test]
    fn free_pages_go_back_to_the_file_system() {
        let home = tempfile::tempdir().unwrap();
        let mut index = Index::open(&home.path().join("index.sqlite")).unwrap();
        let transaction = index.begin(Durability::Process).unwrap();
        transaction.put_fact("large", &"x".repeat(2_000_000)).unwrap();
        transaction.put_fact("large", "").unwrap();
        transaction.commit().unwrap();
        let transaction = index.begin(Durability::Process).unwrap();
        let steps = (0..100)
            .take_while(|_| transaction.give_back(256, 100).unwrap())
            .count();
        assert_eq!(steps, 4);
        assert!(!transaction.give_back(256, 100).unwrap());
        transaction.commit().unwrap();
    }

    #[test]
    fn nothing_is_written_behind_a_transaction_that_sqlite_ended() {
        let home = tempfile::tempdir().unwrap();
        let mut index = Index::open(&home.path().join("index.sqlite")).unwrap();
        let transaction = index.begin(Durability::Process).unwrap();
        transaction.put_fact("one", "x").unwrap();
        // What SQLite does by itself where the disk is full.
        transaction.inner.execute_batch("ROLLBACK").unwrap();
        assert!(transaction.put_fact("two", "x").is_err() && transaction.fact("one").is_err());
        assert!(transaction.commit().is_err());
        assert_eq!((index.fact("one").unwrap(), index.fact("two").unwrap()), (None, None));
    }

    #[test]
    fn work_that_fails_is_taken_back_alone() {
        let home = tempfile::tempdir().unwrap();
        let mut index = Index::open(&home.path().join("index.sqlite")).unwrap();
        let transaction = index.begin(Durability::Process).unwrap();
        for name in ["one", "two", "three"] {
            let done = transaction.whole(|| {
                transaction.put_fact(name, "x")?;
                if name == "two" {
                    transaction.execute("no SQL", []).map(drop)
                } else {
                    Ok(())
                }
            });
            assert_eq!(done.is_err(), name == "two");
        }
        transaction.commit().unwrap();
        let known = ["one", "two", "three"].map(|name| index.fact(name).unwrap().is_some());
        assert_eq!(known, [true, false, true]);
    }
}
