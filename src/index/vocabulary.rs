//! The words that some message has, searched for those that hold a needle.
//!
//! FTS5 finds a word by its beginning only. The needle of an IMAP search may lie anywhere
//! in it, so the distinct words stand a second time in a few large values, through which
//! such a needle is found at the speed of memory. Each batch adds a value; as many as
//! `FANOUT` of one level become one of the next, so that each word is written a few times
//! over, and how much is read for a search is bounded by the words, not by the batches.

use memchr::memmem;
use rusqlite::{Connection, params};

use crate::message::Clause;

/// Values of one level that become one of the next.
const FANOUT: usize = 8;
/// Bytes from which a value is left as it is, so that what is in memory at a time is bounded.
const LARGE: usize = 4 * 1024 * 1024;
/// The level of values that were tidied up.
const TIDY: i64 = 100;

/// Adds words of messages; each word may be there before.
pub(super) fn add<'a>(connection: &Connection, words: impl IntoIterator<Item = &'a str>) -> rusqlite::Result<()> {
    let words: Vec<_> = words.into_iter().map(str::as_bytes).collect();
    if words.is_empty() {
        return Ok(());
    }
    put(connection, 0, &joined(words))?;
    for level in 0..TIDY {
        let small = "SELECT id FROM vocabulary WHERE level = ? AND length(words) < ?";
        let ids = ids(connection, small, params![level, LARGE])?;
        if ids.len() < FANOUT {
            break;
        }
        merge(connection, &ids, level + 1)?;
    }
    Ok(())
}

/// Makes few values of many; or, `anew`, takes the words from the index, where some may be
/// there no more.
pub(super) fn tidy(connection: &Connection, anew: bool) -> rusqlite::Result<()> {
    if anew {
        return make_anew(connection);
    }
    let small = "SELECT id FROM vocabulary WHERE length(words) < ? ORDER BY length(words)";
    for some in ids(connection, small, [LARGE])?.chunks(FANOUT) {
        if some.len() > 1 {
            merge(connection, some, TIDY)?;
        }
    }
    Ok(())
}

fn make_anew(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM vocabulary", [])?;
    let terms = "SELECT term FROM header_terms UNION SELECT term FROM body_terms UNION SELECT term FROM name_terms";
    let mut statement = connection.prepare(terms)?;
    let mut rows = statement.query([])?;
    let mut words = b"\n".to_vec();
    while let Some(row) = rows.next()? {
        words.extend_from_slice(row.get_ref(0)?.as_bytes()?);
        words.push(b'\n');
        if words.len() > LARGE {
            put(connection, TIDY, &words)?;
            words.truncate(1);
        }
    }
    if words.len() > 1 {
        put(connection, TIDY, &words)
    } else {
        Ok(())
    }
}

fn ids(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map(parameters, |row| row.get(0))?.collect()
}

/// The words that meet a clause; none where they are more than `most`.
pub(super) fn find(connection: &Connection, clause: &Clause, most: usize) -> rusqlite::Result<Option<Vec<String>>> {
    let pattern = match clause {
        Clause::Is(word) => return Ok(Some(vec![word.clone()])),
        Clause::Starts(start) => format!("\n{start}"),
        Clause::Ends(end) => format!("{end}\n"),
        Clause::Holds(part) => part.clone(),
    };
    let finder = memmem::Finder::new(&pattern);
    let mut found = Vec::new();
    let mut statement = connection.prepare_cached("SELECT words FROM vocabulary")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let words = row.get_ref(0)?.as_bytes()?;
        let mut from = 0;
        while let Some(at) = finder.find(&words[from..]) {
            // Of a pattern that begins or ends with the line feed, the other end is within the word.
            let within = from + at + usize::from(pattern.starts_with('\n'));
            let start = memchr::memrchr(b'\n', &words[..within]).map_or(0, |end| end + 1);
            let end = memchr::memchr(b'\n', &words[within..]).map_or(words.len(), |end| within + end);
            found.push(String::from_utf8_lossy(&words[start..end]).into_owned());
            from = end;
        }
        if found.len() > 2 * most {
            found.sort_unstable();
            found.dedup();
            if found.len() > most {
                return Ok(None);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok((found.len() <= most).then_some(found))
}

fn merge(connection: &Connection, ids: &[i64], level: i64) -> rusqlite::Result<()> {
    let mut values = Vec::with_capacity(ids.len());
    for id in ids {
        let mut taken = connection.prepare_cached("DELETE FROM vocabulary WHERE id = ? RETURNING words")?;
        values.push(taken.query_row([id], |row| row.get::<_, Vec<u8>>(0))?);
    }
    let words = values.iter().flat_map(|value| value.split(|byte| *byte == b'\n'));
    put(
        connection,
        level,
        &joined(words.filter(|word| !word.is_empty()).collect()),
    )
}

fn joined(mut words: Vec<&[u8]>) -> Vec<u8> {
    words.sort_unstable();
    words.dedup();
    let mut joined = b"\n".to_vec();
    for word in words {
        joined.extend_from_slice(word);
        joined.push(b'\n');
    }
    joined
}

fn put(connection: &Connection, level: i64, words: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO vocabulary (level, words) VALUES (?, ?)")?
        .execute(params![level, words])
        .map(drop)
}
