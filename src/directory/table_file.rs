//! The file of a table: TOML, or lines like those of passwd(5).
//!
//! TOML has one table for each account, all of whose keys may be left out:
//!
//! ```toml
//! ["ann@example.org"]
//! home = "example.org/ann"        # below the root, or a whole path
//! quota = "1 GiB"                 # or "none"
//! quota_messages = 100000
//! password = "{ARGON2ID}$argon2id$…"               # for logins; `postroom password hash` makes it
//! aliases = ["info@example.org", "@example.net"]   # "@domain": all else in it
//! quota_mailbox = [
//!     { name = "Trash", extra = "10%" },           # or "100 MiB"; extra_messages = 100
//!     { name = "Junk*", ignore = true },
//! ]
//! ```
//!
//! The other form is `address:password:uid:gid:gecos:home:shell:extra`, as Dovecot's
//! passwd-file has it. Of `extra` the words `quota=`, `quota_messages=`, `aliases=`
//! (separated by commas), `userdb_quota_rule=*:storage=1G` and
//! `userdb_quota_rule2=Trash:storage=+100M` (or `:ignore`) count; the password is for
//! logins, and the other fields are not used. All but the address may be empty.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::password::{PasswordField, PasswordHash};
use super::{parse_extra, parse_quota, parse_size};
use crate::mail::{Extra, MailboxPattern, QuotaEffect, QuotaRule};

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
    /// How single mailboxes count.
    pub rules: Vec<QuotaRule>,
    pub password: PasswordField,
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
            let done = match key.get_ref().as_ref() {
                "quota_mailbox" => add_rules(&mut entry, value),
                key => set_key(&mut entry, key, value).map_err(|what| (value.span(), what)),
            };
            done.map_err(|(span, what)| (line(span), what))?;
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
        "password" => {
            let hash = PasswordHash::parse(value.as_str().ok_or("password must be a text")?);
            entry.password = PasswordField::Hash(hash.map_err(|error| error.to_string())?);
        }
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
                "{key:?} is no key of an account; there are home, quota, quota_messages, quota_mailbox, aliases, password"
            ));
        }
    }
    Ok(())
}

fn add_rules(entry: &mut Entry, value: &Spanned<DeValue<'_>>) -> Result<(), (Range<usize>, String)> {
    let wrong = "quota_mailbox must be a list of rules: [{ name = \"Trash\", extra = \"10%\" }]";
    let rules = value.get_ref().as_array();
    for rule in rules.ok_or((value.span(), wrong.to_owned()))?.iter() {
        let found = match rule.get_ref() {
            DeValue::Table(keys) => mailbox_rule(keys),
            _ => Err(wrong.to_owned()),
        };
        entry.rules.push(found.map_err(|what| (rule.span(), what))?);
    }
    Ok(())
}

fn mailbox_rule(keys: &DeTable<'_>) -> Result<QuotaRule, String> {
    let (mut mailboxes, mut ignore) = (None, false);
    let (mut bytes, mut messages) = (None, None);
    for (key, value) in keys {
        let value = value.get_ref();
        match key.get_ref().as_ref() {
            "name" => mailboxes = Some(pattern(value.as_str().ok_or("name must be a text")?)?),
            "extra" => bytes = Some(extra_of(value).ok_or("extra must be a size or a percentage, such as \"10%\"")?),
            "extra_messages" => {
                let wrong = "extra_messages must be a number or a percentage, such as \"10%\"";
                messages = Some(extra_of(value).ok_or(wrong)?);
            }
            "ignore" => ignore = value.as_bool().ok_or("ignore must be true or false")?,
            key => {
                return Err(format!(
                    "{key:?} is no key of a rule; there are name, extra, extra_messages, ignore"
                ));
            }
        }
    }
    let effect = match (ignore, bytes.or(messages)) {
        (true, Some(_)) => return Err("a mailbox that is ignored needs no extra".to_owned()),
        (false, None) => return Err("the rule says nothing: write extra, extra_messages or ignore".to_owned()),
        (true, None) => QuotaEffect::Ignore,
        (false, Some(_)) => QuotaEffect::Extra {
            bytes: bytes.unwrap_or_default(),
            messages: messages.unwrap_or_default(),
        },
    };
    Ok(QuotaRule {
        mailboxes: mailboxes.ok_or("the rule has no name of a mailbox")?,
        effect,
    })
}

fn pattern(text: &str) -> Result<MailboxPattern, String> {
    MailboxPattern::parse(text).map_err(|error| error.to_string())
}

fn extra_of(value: &DeValue<'_>) -> Option<Extra> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => Some(Extra::Amount(number.as_str().parse().ok()?)),
        value => parse_extra(value.as_str()?),
    }
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
        password: field(1).map_or(PasswordField::None, PasswordField::parse),
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
        _ if is_quota_rule(key) => {
            return quota_rule(entry, value).ok_or_else(|| {
                format!("{key}={value} is no rule; write *:storage=1G, Trash:storage=+100M or Trash:ignore")
            });
        }
        _ => {}
    }
    Ok(())
}

// `userdb_quota_rule`, `userdb_quota_rule2` and so on.
fn is_quota_rule(key: &str) -> bool {
    let number = key.strip_prefix("userdb_quota_rule");
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

// Dovecot's rule `*:storage=1G` (or `bytes=…`, `messages=…`; 0 is no limit) for the account,
// `Trash:storage=+100M` (or `+10%`) or `Trash:ignore` for mailboxes.
fn quota_rule(entry: &mut Entry, rule: &str) -> Option<()> {
    let (mailbox, limits) = rule.split_once(':')?;
    if !matches!(mailbox, "*" | "?") {
        entry.rules.push(QuotaRule {
            mailboxes: MailboxPattern::parse(mailbox).ok()?,
            effect: rule_effect(limits)?,
        });
        return Some(());
    }
    let some = |limit: u64| (limit > 0).then_some(limit);
    for limit in limits.split(':') {
        let (kind, value) = limit.split_once('=')?;
        match kind {
            "storage" => entry.quota = Some(some(rule_size(value, 1024)?)),
            "bytes" => entry.quota = Some(some(rule_size(value, 1)?)),
            "messages" => entry.quota_messages = Some(some(value.parse().ok()?)),
            _ => return None,
        }
    }
    Some(())
}

// An amount without a sign is on top as well.
fn rule_effect(limits: &str) -> Option<QuotaEffect> {
    if limits == "ignore" {
        return Some(QuotaEffect::Ignore);
    }
    let (mut bytes, mut messages) = (Extra::default(), Extra::default());
    for limit in limits.split(':') {
        let (kind, value) = limit.split_once('=')?;
        match kind {
            "storage" => bytes = rule_extra(value, 1024)?,
            "bytes" => bytes = rule_extra(value, 1)?,
            "messages" => messages = rule_extra(value, 1)?,
            _ => return None,
        }
    }
    Some(QuotaEffect::Extra { bytes, messages })
}

fn rule_extra(value: &str, unit: u64) -> Option<Extra> {
    if value.ends_with('%') {
        return parse_extra(value);
    }
    let (sign, amount) = match value.strip_prefix('-') {
        Some(amount) => (-1, amount),
        None => (1, value.strip_prefix('+').unwrap_or(value)),
    };
    let amount = i64::try_from(rule_size(amount, unit)?).ok()?;
    Some(Extra::Amount(sign * amount))
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
    fn rules_of_mailboxes() {
        let extra = |bytes, messages| QuotaEffect::Extra { bytes, messages };
        let none = Extra::default();
        for (rule, name, effect) in [
            ("Trash:storage=+100M", "Trash", extra(Extra::Amount(100 << 20), none)),
            ("Trash:storage=+10%%", "Trash", extra(Extra::Percent(10), none)),
            ("Trash:storage=1", "Trash", extra(Extra::Amount(1024), none)),
            (
                "Lists/*:bytes=-5:messages=+7",
                "Lists.*",
                extra(Extra::Amount(-5), Extra::Amount(7)),
            ),
            ("SPAM:ignore", "SPAM", QuotaEffect::Ignore),
        ] {
            let text = format!("ann@example.org:::::::userdb_quota_rule=*:storage=0 userdb_quota_rule2={rule}");
            let entries = parse_passwd(&text).expect(rule);
            assert_eq!(entries[0].rules[0].mailboxes.to_string(), name);
            assert_eq!(entries[0].rules[0].effect, effect, "{rule}");
            assert_eq!(entries[0].quota, Some(None), "0 is no limit");
        }
        let text = "[\"a@b\"]\nquota_mailbox = [\n  { name = \"Trash\", extra = \"10%\", extra_messages = 5 },\n  \
                    { name = \"Junk*\", ignore = true },\n]\n[[\"c@b\".quota_mailbox]]\nname = \"x\"\nextra = -7\n";
        let entries = parse_toml(text).unwrap();
        assert_eq!(entries[0].rules[0].effect, extra(Extra::Percent(10), Extra::Amount(5)));
        assert_eq!(entries[0].rules[1].effect, QuotaEffect::Ignore);
        assert_eq!(entries[1].rules[0].effect, extra(Extra::Amount(-7), none));
    }

    #[test]
    fn names_the_line() {
        for (text, line, word) in [
            ("[\"a@b\"]\nhome = 1", 2, "home"),
            ("[\"a@b\"]\n\nquotta = 1", 3, "quotta"),
            ("[\"a@b\"]\nquota = \"much\"", 2, "quota"),
            ("[\"a@b\"]\naliases = [1]", 2, "aliases"),
            ("[\"a@b\"]\nquota_mailbox = 1", 2, "list of rules"),
            (
                "[\"a@b\"]\nquota_mailbox = [\n{ name = \"x\", extra = 1 },\n{ name = \"x\" }]",
                4,
                "nothing",
            ),
            (
                "[\"a@b\"]\nquota_mailbox = [{ name = \"*\", ignore = true }]",
                2,
                "all mailboxes",
            ),
            (
                "[\"a@b\"]\nquota_mailbox = [{ name = \"x\", ignore = true, extra = 1 }]",
                2,
                "no extra",
            ),
            ("[\"a@b\"]\nquota_mailbox = [{ extra = \"1%\" }]", 2, "no name"),
            (
                "[\"a@b\"]\n\n[[\"a@b\".quota_mailbox]]\nname = \"x\"\nmore = 1",
                3,
                "\"more\" is no key",
            ),
            ("x = 1", 1, "table"),
            ("[\"a@b\"]\nhome = \"x", 2, ""),
            ("[\"a@b\"]\n[\"a@b\"]", 2, "duplicate"),
        ] {
            let (at, what) = parse_toml(text).unwrap_err();
            assert_eq!(at, line, "{text}: {what}");
            assert!(what.contains(word), "{text}: {what}");
        }
        for text in [
            "ok@b\n:x",
            "ok@b\na@b:::::/srv/%d/%n",
            "ok@b\na@b:::::::quota=x",
            "ok@b\na@b:::::::userdb_quota_rule=*:ignore",
            "ok@b\na@b:::::::userdb_quota_rule2=Trash:storage=x",
            "ok@b\na@b:::::::userdb_quota_rule2=a..b:ignore",
        ] {
            assert_eq!(parse_passwd(text).unwrap_err().0, 2, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,200}", lines in "([a@:%=,.*\"\\[\\]{}#\n ]|quota|userdb_quota_rule=\\*:|userdb_quota_rule2=Trash:storage=|quota_mailbox|name|extra|home){0,60}") {
            for text in [text, lines] {
                let _ = parse_toml(&text);
                let _ = parse_passwd(&text);
            }
        }
    }
}
