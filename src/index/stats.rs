//! What an index is made of: how much room its tables take.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::open::BUSY;
use super::{FullText, Index, IndexError};

/// A table of a database, with its indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// Its name; of a full text table the one under which it is asked, its parts counted with it.
    pub name: String,
    /// Rows; none where they are not counted.
    pub rows: Option<u64>,
    /// Bytes of its pages.
    pub bytes: u64,
    /// Bytes of these in which nothing is.
    pub unused: u64,
}

/// What the tables of a database take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseSize {
    /// The tables, by name; a last one without a name is what no table uses.
    pub tables: Vec<TableSize>,
    /// Cards that are compressed alone.
    pub single_cards: u64,
    /// Cards in packs.
    pub packed_cards: u64,
    /// Packs.
    pub packs: u64,
}

impl Index {
    /// How much room its tables take. Reads every page of it.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn sizes_of_tables(&self) -> Result<DatabaseSize, IndexError> {
        let measured = || {
            let count = |sql: &str| self.connection.query_row(sql, [], |row| row.get(0));
            Ok(DatabaseSize {
                tables: tables(&self.connection)?,
                single_cards: count("SELECT count(*) FROM content WHERE card IS NOT NULL")?,
                packed_cards: count("SELECT coalesce(sum(live), 0) FROM pack")?,
                packs: count("SELECT count(*) FROM pack")?,
            })
        };
        measured().map_err(IndexError::at(self.path()))
    }
}

impl FullText {
    /// How much room the tables of the full text at `path` take; none where there is none, which is not made.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn sizes_of_tables(path: &Path) -> Result<Option<DatabaseSize>, IndexError> {
        if !path.exists() {
            return Ok(None);
        }
        let measured = || {
            // Reading a database in WAL mode writes beside it, so it is not opened for reading alone.
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY)?;
            tables(&connection)
        };
        let tables = measured().map_err(IndexError::at(path))?;
        Ok(Some(DatabaseSize {
            tables,
            ..DatabaseSize::default()
        }))
    }
}

// The bundled SQLite has `dbstat`; its pages belong to tables and to indexes, which count with their table.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<TableSize>> {
    let mut owners = BTreeMap::new();
    let mut kinds = connection.prepare("SELECT name, tbl_name, type, sql FROM sqlite_schema")?;
    let mut rows = kinds.query([])?;
    let mut virtual_tables = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, table): (String, String) = (row.get(0)?, row.get(1)?);
        let kind: String = row.get(2)?;
        let sql: Option<String> = row.get(3)?;
        if sql.is_some_and(|sql| sql.starts_with("CREATE VIRTUAL TABLE")) {
            virtual_tables.push(name);
        } else if kind == "table" || kind == "index" {
            owners.insert(name, table);
        }
    }
    // The parts of a virtual table bear its name and another word: `body_words_data`.
    let owner = |name: &str| {
        let table = owners.get(name).map_or(name, String::as_str);
        let whole = virtual_tables.iter().find(|whole| {
            let rest = table.strip_prefix(whole.as_str());
            rest.is_some_and(|rest| rest.starts_with('_'))
        });
        whole.map_or(table, String::as_str).to_owned()
    };
    let mut sizes: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut pages = connection.prepare("SELECT name, sum(pgsize), sum(unused) FROM dbstat GROUP BY name")?;
    let mut rows = pages.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let (bytes, unused): (u64, u64) = (row.get(1)?, row.get(2)?);
        let size = sizes.entry(owner(&name)).or_default();
        *size = (size.0 + bytes, size.1 + unused);
    }
    let mut tables = Vec::with_capacity(sizes.len() + 1);
    for (name, (bytes, unused)) in sizes {
        let counted = owners.contains_key(&name) && !name.starts_with("sqlite_");
        let quoted = name.replace('"', "\"\"");
        let sql = format!("SELECT count(*) FROM \"{quoted}\"");
        let rows = counted.then(|| connection.query_row(&sql, [], |row| row.get(0)));
        tables.push(TableSize {
            rows: rows.transpose()?,
            name,
            bytes,
            unused,
        });
    }
    // Free pages, and those that say where others lie (auto_vacuum), are no table's.
    let sql = "SELECT page_count * page_size, freelist_count * page_size \
               FROM pragma_page_count, pragma_page_size, pragma_freelist_count";
    let (whole, free): (u64, u64) = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let of_tables = tables.iter().map(|table| table.bytes).sum();
    tables.push(TableSize {
        name: String::new(),
        rows: None,
        bytes: whole.saturating_sub(of_tables),
        unused: free,
    });
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_take_the_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.sqlite");
        let index = Index::open(&path).unwrap();
        let sizes = index.sizes_of_tables().unwrap();
        let (rest, tables) = sizes.tables.split_last().unwrap();
        let page = 2048;
        assert_eq!((rest.name.as_str(), rest.unused), ("", 0));
        assert!(rest.bytes <= page, "{} bytes are no table's", rest.bytes);
        assert!(
            tables
                .iter()
                .all(|table| table.bytes >= page && table.unused < table.bytes)
        );
        let message = sizes.tables.iter().find(|table| table.name == "message").unwrap();
        assert_eq!(message.rows, Some(0));
        assert!(sizes.tables.iter().all(|table| !table.name.contains("autoindex")));
    }

    #[test]
    fn full_text_counts_as_its_tables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fulltext.sqlite");
        assert_eq!(FullText::sizes_of_tables(&path).unwrap(), None);
        assert!(!path.exists(), "asking makes nothing");
        let text = FullText::open(&path).unwrap();
        let sizes = FullText::sizes_of_tables(&path).unwrap().unwrap();
        let names: Vec<&str> = sizes.tables.iter().map(|table| table.name.as_str()).collect();
        assert!(
            names.contains(&"body_words") && names.contains(&"vocabulary"),
            "{names:?}"
        );
        assert!(names.iter().all(|name| !name.ends_with("_data")), "{names:?}");
        drop(text);
    }
}
