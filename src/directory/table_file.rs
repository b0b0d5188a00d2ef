//! The file of a table: TOML, or lines like those of passwd(5).
//!
//! TOML has one table for each account, all of whose keys may be left out:
//!
//! ```toml
//! ["ann@example.org"]
//! home = "example.org/ann"        # below the root, or a whole path
//! quota = "1 GiB"                 # or "none"
//! quota_messages = 100000
//! aliases = ["info@example.org", "@example.net"]   # "@domain": all else in it
//! ```
//!
//! The other form is `address:password:uid:gid:gecos:home:shell:extra`, as Dovecot's
//! passwd-file has it. Of `extra` the words `quota=`, `quota_messages=`, `aliases=`
//! (separated by commas) and `userdb_quota_rule=*:storage=1G` count; the other
//! fields may be empty and are not used.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{parse_quota, parse_size};

/// How the file of a table is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableFormat {
    /// By its name: `.toml` is TOML, any other is like passwd(5).
    #[default]
    Auto,
    /// TOML.
    Toml,
    /// Like passwd(5).
    Passwd,
}

/// Why a table cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file could not be read.
    #[error("cannot read the table {file}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line says what it must not.
    #[error("{file}:{line}: {what}")]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

/// One account as its file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where it begins, from 1.
    pub line: usize,
    pub address: String,
    pub home: Option<String>,
    /// None: the default counts.
    pub quota: Option<Option<u64>>,
    /// None: the default counts.
    pub quota_messages: Option<Option<u64>>,
    pub aliases: Vec<String>,
}

/// A line and what is wrong with it.
pub(super) type Fault = (usize, String);

/// Reads the entries of a file.
pub(super) fn parse(file: &Path, format: TableFormat, text: &str) -> Result<Vec<Entry>, Fault> {
    let is_toml = || {
        file.extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("toml"))
    };
    match format {
        TableFormat::Toml => parse_toml(text),
        TableFormat::Passwd => parse_passwd(text),
        TableFormat::Auto if is_toml() => parse_toml(text),
        TableFormat::Auto => parse_passwd(text),
    }
}

fn parse_toml(text: &str) -> Result<Vec<Entry>, Fault> {
    let line = |span: Range<usize>| {
        text.as_bytes()[..span.start.min(text.len())]
            .split(|b| *b == b'\n')
            .count()
    };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(1, line);
        (at, error.message().replace('\n', "; "))
    })?;
    let mut entries = Vec::new();
    for (address, value) in table.get_ref() {
        let at = line(address.span());
        let DeValue::Table(keys) = value.get_ref() else {
            let what = format!("{:?} must be a table: [\"ann@example.org\"]", address.get_ref());
            return Err((at, what));
        };
        let mut entry = Entry {
            line: at,
            address: address.get_ref().to_string(),
            ..Entry::default()
        };
        for (key, value) in keys {
            set_key(&mut entry, key.get_ref(), value).map_err(|what| (line(value.span()), what))?;
        }
        entries.push(entry);
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn set_key(entry: &mut Entry, key: &str, value: &Spanned<DeValue<'_>>) -> Result<(), String> {
    let value = value.get_ref();
    match key {
        "home" => entry.home = Some(value.as_str().ok_or("home must be a text")?.to_owned()),
        "quota" => entry.quota = Some(limit(value).ok_or("quota must be a size, such as \"1 GiB\", or \"none\"")?),
        "quota_messages" => {
            let wrong = "quota_messages must be a whole number or \"none\"";
            entry.quota_messages = Some(limit(value).ok_or(wrong)?);
        }
        "aliases" => {
            let wrong = "aliases must be a list of addresses";
            let texts = value.as_array().ok_or(wrong)?.iter();
            let aliases = texts.map(|text| text.get_ref().as_str().map(str::to_owned));
            entry.aliases = aliases.collect::<Option<_>>().ok_or(wrong)?;
        }
        _ => {
            return Err(format!(
                "{key:?} is no key of an account; there are home, quota, quota_messages, aliases"
            ));
        }
    }
    Ok(())
}

fn limit(value: &DeValue<'_>) -> Option<Option<u64>> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => Some(Some(number.as_str().parse().ok()?)),
        value => parse_quota(value.as_str()?),
    }
}

fn parse_passwd(text: &str) -> Result<Vec<Entry>, Fault> {
    let lines = text.lines().enumerate();
    let used = lines.filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    used.map(|(at, line)| passwd_line(at + 1, line.trim()).map_err(|what| (at + 1, what)))
        .collect()
}

fn passwd_line(at: usize, line: &str) -> Result<Entry, String> {
    let fields: Vec<&str> = line.splitn(8, ':').collect();
    let field = |at: usize| fields.get(at).copied().filter(|text| !text.is_empty());
    let home = field(5);
    if home.is_some_and(|home| home.contains('%')) {
        return Err("the home has a %, but there are no variables here: write the path out".to_owned());
    }
    let mut entry = Entry {
        line: at,
        address: field(0)
            .ok_or("the line has no address before the first colon")?
            .to_owned(),
        home: home.map(str::to_owned),
        ..Entry::default()
    };
    for word in field(7).unwrap_or_default().split_whitespace() {
        if let Some((key, value)) = word.split_once('=') {
            extra(&mut entry, key, value)?;
        }
    }
    Ok(entry)
}

fn extra(entry: &mut Entry, key: &str, value: &str) -> Result<(), String> {
    let wrong = || format!("{key}={value} is no limit; write a size such as 1GiB, or none");
    match key {
        "quota" => entry.quota = Some(parse_quota(value).ok_or_else(wrong)?),
        "quota_messages" => entry.quota_messages = Some(parse_quota(value).ok_or_else(wrong)?),
        "aliases" => entry.aliases = value.split(',').filter(|a| !a.is_empty()).map(str::to_owned).collect(),
        "userdb_quota_rule" => quota_rule(entry, value).ok_or_else(wrong)?,
        _ => {}
    }
    Ok(())
}

// Dovecot's rule `*:storage=1G` or `*:bytes=…` or `*:messages=…`; rules of single
// mailboxes do not count for the account.
fn quota_rule(entry: &mut Entry, rule: &str) -> Option<()> {
    let Some(limits) = rule.strip_prefix("*:") else {
        return Some(());
    };
    for limit in limits.split(':') {
        let (kind, value) = limit.split_once('=')?;
        match kind {
            "storage" => entry.quota = Some(Some(rule_size(value, 1024)?)),
            "bytes" => entry.quota = Some(Some(rule_size(value, 1)?)),
            "messages" => entry.quota_messages = Some(Some(value.parse().ok()?)),
            _ => return None,
        }
    }
    Some(())
}

// Its units are binary, by one letter; without one, `storage` counts kibibytes.
fn rule_size(value: &str, unit: u64) -> Option<u64> {
    match value.as_bytes().last()? {
        b'0'..=b'9' => value.parse::<u64>().ok()?.checked_mul(unit),
        b'B' | b'b' => parse_size(value),
        _ => parse_size(&format!("{value}iB")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_toml() {
        let text = "# who\n[\"ann@example.org\"]\nquota = \"1 GiB\"\naliases = [\"a@example.org\", \"@example.net\"]\n\n\
                    [\"bob@example.org\"]\nhome = \"/srv/bob\"\nquota = \"none\"\nquota_messages = 10\n";
        let entries = parse_toml(text).unwrap();
        assert_eq!(
            entries,
            [
                Entry {
                    line: 2,
                    address: "ann@example.org".into(),
                    quota: Some(Some(1 << 30)),
                    aliases: vec!["a@example.org".into(), "@example.net".into()],
                    ..Entry::default()
                },
                Entry {
                    line: 6,
                    address: "bob@example.org".into(),
                    home: Some("/srv/bob".into()),
                    quota: Some(None),
                    quota_messages: Some(Some(10)),
                    ..Entry::default()
                },
            ]
        );
    }

    #[test]
    fn reads_lines() {
        let text = "# who\nann@example.org:{PLAIN}x:1000:1000::/srv/ann::quota=1GiB aliases=a@example.org,@example.net\n\
                    bob@example.org\ncy@example.org:::::::userdb_quota_rule=*:storage=2G:messages=7 proxy=y\n";
        let entries = parse_passwd(text).unwrap();
        assert_eq!(entries[0].home.as_deref(), Some("/srv/ann"));
        assert_eq!(entries[0].quota, Some(Some(1 << 30)));
        assert_eq!(entries[0].aliases, ["a@example.org", "@example.net"]);
        assert_eq!((entries[1].line, entries[1].address.as_str()), (3, "bob@example.org"));
        assert_eq!(entries[2].quota, Some(Some(2 << 30)));
        assert_eq!(entries[2].quota_messages, Some(Some(7)));
    }

    #[test]
    fn names_the_line() {
        for (text, line, word) in [
            ("[\"a@b\"]\nhome = 1", 2, "home"),
            ("[\"a@b\"]\n\nquotta = 1", 3, "quotta"),
            ("[\"a@b\"]\nquota = \"much\"", 2, "quota"),
            ("[\"a@b\"]\naliases = [1]", 2, "aliases"),
            ("x = 1", 1, "table"),
            ("[\"a@b\"]\nhome = \"x", 2, ""),
            ("[\"a@b\"]\n[\"a@b\"]", 2, "duplicate"),
        ] {
            let (at, what) = parse_toml(text).unwrap_err();
            assert_eq!(at, line, "{text}: {what}");
            assert!(what.contains(word), "{text}: {what}");
        }
        for text in ["ok@b\n:x", "ok@b\na@b:::::/srv/%d/%n", "ok@b\na@b:::::::quota=x"] {
            assert_eq!(parse_passwd(text).unwrap_err().0, 2, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,200}", lines in "([a@:%=,.*\"\\[\\]{}#\n ]|quota|userdb_quota_rule=\\*:|home){0,60}") {
            for text in [text, lines] {
                let _ = parse_toml(&text);
                let _ = parse_passwd(&text);
            }
        }
    }
}
