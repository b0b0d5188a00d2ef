//! A home with its index as text, so that what an earlier version wrote can be read in a review and opened again.
//!
//! `index.sql` is the index as SQL. `home.txt` holds the files: `folder NANOSECONDS PATH`, and
//! `file NANOSECONDS BYTES PATH` with the bytes on the next line, the times being those of the last change:
//! directory times stand in the index too.

use std::fmt::Write;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::Connection;

/// The index in a home.
pub const INDEX: &str = "index.sqlite";
/// What stands in a fixture in place of the id of a start of the machine.
pub const BOOT: &str = "the machine of the fixture";

/// Where the fixture of a schema lies.
pub fn folder(schema: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/schema-{schema}"))
}

/// Writes a home down.
pub fn write(home: &Path, fixture: &Path) {
    fs::create_dir_all(fixture).unwrap();
    let index = Connection::open(home.join(INDEX)).unwrap();
    fs::write(fixture.join("index.sql"), dump(&index)).unwrap();
    let mut text = Vec::new();
    write_folder(home, "Maildir", &mut text);
    fs::write(fixture.join("home.txt"), text).unwrap();
}

/// Makes the home again, as if it had last been open under this start of the machine.
pub fn restore(fixture: &Path, home: &Path, boot: &str) {
    let text = fs::read(fixture.join("home.txt")).unwrap();
    let (mut rest, mut folders) = (&text[..], Vec::new());
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(&rest[..end]).unwrap();
        rest = &rest[end + 1..];
        let words: Vec<&str> = line.splitn(if line.starts_with("file") { 4 } else { 3 }, ' ').collect();
        let (path, time) = (home.join(words[words.len() - 1]), words[1].parse().unwrap());
        if words[0] == "folder" {
            fs::create_dir_all(&path).unwrap();
            folders.push((path, time));
        } else {
            let (content, behind) = rest.split_at(words[2].parse().unwrap());
            rest = &behind[1..];
            fs::write(&path, content).unwrap();
            set_time(&path, time);
        }
    }
    // What is made in a folder changes its time.
    folders.iter().for_each(|(path, time)| set_time(path, *time));
    let sql = fs::read_to_string(fixture.join("index.sql")).unwrap();
    let index = Connection::open(home.join(INDEX)).unwrap();
    index.execute_batch(&sql).unwrap();
    index
        .execute("UPDATE fact SET value = ? WHERE name = 'boot'", [boot])
        .unwrap();
}

fn set_time(path: &Path, nanoseconds: u64) {
    let time = UNIX_EPOCH + Duration::from_nanos(nanoseconds);
    File::open(path).unwrap().set_modified(time).unwrap();
}

fn write_folder(home: &Path, path: &str, text: &mut Vec<u8>) {
    let time = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec()
    };
    text.extend_from_slice(format!("folder {} {path}\n", time(&home.join(path))).as_bytes());
    let mut entries: Vec<_> = fs::read_dir(home.join(path)).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{path}/{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            write_folder(home, &name, text);
            continue;
        }
        let content = fs::read(entry.path()).unwrap();
        text.extend_from_slice(format!("file {} {} {name}\n", time(&entry.path()), content.len()).as_bytes());
        text.extend_from_slice(&content);
        text.push(b'\n');
    }
}

fn dump(index: &Connection) -> String {
    let mut sql = String::from("PRAGMA foreign_keys = OFF;\nBEGIN;\n");
    let (tables, others): (Vec<_>, Vec<_>) = objects(index).into_iter().partition(|object| object.kind == "table");
    for table in &tables {
        writeln!(sql, "{};", table.sql).unwrap();
    }
    for table in &tables {
        let columns = columns(index, &table.name);
        let quoted: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
        let rows = format!("SELECT {} FROM {}", quoted.join(" || ', ' || "), table.name);
        let mut statement = index.prepare(&rows).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: String = row.get(0).unwrap();
            writeln!(sql, "INSERT INTO {} VALUES ({values});", table.name).unwrap();
        }
    }
    for object in &others {
        writeln!(sql, "{};", object.sql).unwrap();
    }
    let version: i64 = index
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    writeln!(sql, "PRAGMA user_version = {version};\nCOMMIT;").unwrap();
    let boot: String = index
        .query_row("SELECT value FROM fact WHERE name = 'boot'", [], |row| row.get(0))
        .unwrap();
    sql.replace(&boot, BOOT)
}

/// A table, view or index that the schema makes.
#[derive(Debug, PartialEq, Eq)]
pub struct Object {
    pub kind: String,
    pub name: String,
    pub sql: String,
}

/// All of them, in the order in which they were made.
pub fn objects(index: &Connection) -> Vec<Object> {
    let sql = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid";
    let mut statement = index.prepare(sql).unwrap();
    let object = |row: &rusqlite::Row<'_>| {
        Ok(Object {
            kind: row.get(0)?,
            name: row.get(1)?,
            sql: row.get(2)?,
        })
    };
    statement.query_map([], object).unwrap().map(Result::unwrap).collect()
}

/// The columns of a table or view.
pub fn columns(index: &Connection, object: &str) -> Vec<String> {
    let mut statement = index.prepare("SELECT name FROM pragma_table_info(?)").unwrap();
    statement
        .query_map([object], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}
