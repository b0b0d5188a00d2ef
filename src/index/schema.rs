//! The schema of the index: made, and made out of an earlier one.

use rusqlite::Connection;

/// The schema that this program writes: SQLite's `user_version`.
pub(super) const VERSION: i64 = 3;

const TABLES: &str = include_str!("schema.sql");
const HISTORY: &str = include_str!("history.sql");
const VIEWS: &str = include_str!("views.sql");

/// What opening had to do about the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// Nothing.
    Before,
    /// The index is new.
    Now,
    /// It had this earlier schema, or has what was left of that unread.
    From(i64),
}

/// The schema of an index; zero where it has none yet.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// What opening finds in an index that has the schema of today: a migration whose process ended
/// before the Maildir was read left mailboxes without their folder.
pub(super) fn of_today(connection: &Connection) -> rusqlite::Result<Made> {
    let unfinished = "SELECT EXISTS (SELECT 1 FROM mailbox WHERE folder = '' AND name <> 'INBOX')";
    match connection.query_row(unfinished, [], |row| row.get(0))? {
        true => Ok(Made::From(1)),
        false => Ok(Made::Before),
    }
}

/// Makes all tables and views.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    for statements in [TABLES, HISTORY, VIEWS] {
        connection.execute_batch(&without_comments(statements))?;
    }
    connection.pragma_update(None, "user_version", VERSION)
}

// SQLite keeps the statements as they are given, and every account has its index. No string in them has `--`.
fn without_comments(statements: &str) -> String {
    let line = |line: &str| line.split("--").next().map(|line| line.trim_end().to_owned() + "\n");
    statements.lines().filter_map(line).collect()
}

/// Puts what an index of schema `found` holds into tables of today. An index that was migrated and
/// one that is new are made by the same statements.
pub(super) fn migrate(connection: &Connection, found: i64) -> rusqlite::Result<()> {
    match found {
        1 => fill_anew(connection, include_str!("migrations/from_1.sql")),
        2 => add_history(connection),
        _ => Err(rusqlite::Error::InvalidQuery),
    }
}

// Schema 3 added tables and views. A large index is not copied for that.
fn add_history(connection: &Connection) -> rusqlite::Result<()> {
    let views = objects(connection)?.into_iter().filter(|(kind, _)| kind == "view");
    for (_, name) in views {
        connection.execute_batch(&format!("DROP VIEW \"{name}\""))?;
    }
    connection.execute_batch(&without_comments(HISTORY))?;
    connection.execute_batch(&without_comments(VIEWS))?;
    connection.pragma_update(None, "user_version", VERSION)
}

// The old tables are set aside, the new ones made as in a new index, and then filled.
fn fill_anew(connection: &Connection, take_over: &str) -> rusqlite::Result<()> {
    for (kind, name) in objects(connection)? {
        match kind.as_str() {
            "table" => connection.execute_batch(&format!("ALTER TABLE \"{name}\" RENAME TO \"old_{name}\""))?,
            "view" => connection.execute_batch(&format!("DROP VIEW \"{name}\""))?,
            _ => connection.execute_batch(&format!("DROP INDEX \"{name}\""))?,
        }
    }
    create(connection)?;
    connection.execute_batch(take_over)?;
    // The last made first: those refer to the others.
    for (_, name) in objects(connection)?
        .iter()
        .rev()
        .filter(|(_, name)| name.starts_with("old_"))
    {
        connection.execute_batch(&format!("DROP TABLE \"{name}\""))?;
    }
    Ok(())
}

// Tables, views and indexes that somebody made, in the order in which that was done.
fn objects(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "SELECT type, name FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' \
               ORDER BY type = 'table', rowid";
    let mut statement = connection.prepare(sql)?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
