//! `postroom index`: the index against its Maildir.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::config::Config;
use crate::directory::show_size;
use crate::store::{DatabaseSize, IndexStats, Store, TableSize};

use super::fault::{Fault, exit};
use super::rooms;

/// How long the account is tended at a time.
const TURN: Duration = Duration::from_secs(10);

/// Check an index, measure it, or make it anew.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Compare the index of a user with the Maildir; exits with 65 where they do not agree
    Check {
        /// The user: an address, or a name
        user: String,
    },
    /// Make the index of a user anew from the Maildir, with the same UIDVALIDITY and UIDs
    Rebuild {
        /// The user: an address, or a name
        user: String,
    },
    /// Show how much room the index of a user takes, table by table, beside the mail
    Stats {
        /// Print a JSON object
        #[arg(long)]
        json: bool,
        /// The user: an address, or a name
        user: String,
    },
}

pub(super) fn run(file: Option<&Path>, command: &Command) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    match command {
        Command::Check { user } => check(&config, user),
        Command::Rebuild { user } => rebuild(&config, user),
        Command::Stats { json, user } => stats(&config, user, *json),
    }
}

fn check(config: &Config, user: &str) -> Result<u8, Fault> {
    let Some(account) = rooms::account(config, user)? else {
        return no_mail(user);
    };
    let findings = account.check()?;
    if findings.is_empty() {
        return super::print(&format!("{user}: index and Maildir agree\n"));
    }
    for finding in &findings {
        super::print(&format!("{user}: {finding}\n"))?;
    }
    Err(Fault::new(
        exit::DATAERR,
        format!(
            "{user}: {} findings; `postroom index rebuild {user}` makes the index anew",
            findings.len()
        ),
    ))
}

fn rebuild(config: &Config, user: &str) -> Result<u8, Fault> {
    let Some((store, found)) = rooms::store_of(config, user)? else {
        return no_mail(user);
    };
    // One that is damaged is set aside by the store.
    let account = store.account(&found.user, &found.home)?;
    if !account.is_indexed_anew() {
        account.rebuild()?;
    }
    while !account.tend(Instant::now() + TURN)? {}
    let mailboxes = account.mailboxes()?;
    let messages: i64 = mailboxes.iter().map(|mailbox| mailbox.counts.messages).sum();
    super::print(&format!(
        "{user}: {messages} messages in {} mailboxes\n",
        mailboxes.len()
    ))
}

fn no_mail(user: &str) -> Result<u8, Fault> {
    super::print(&format!("{user}: has no mail yet\n"))
}

fn stats(config: &Config, user: &str, json: bool) -> Result<u8, Fault> {
    let Some((store, found)) = rooms::store_of(config, user)? else {
        return no_mail(user);
    };
    let stats = store.index_stats(&found.user, &found.home)?;
    if json {
        return super::print_json(&describe(&stats));
    }
    let full_text = stats.full_text.as_ref();
    let databases = [("index", &stats.index)]
        .into_iter()
        .chain(full_text.map(|(_, sizes)| ("full text", sizes)));
    let tables = databases.flat_map(|(database, sizes)| sizes.tables.iter().map(move |table| (database, table)));
    let rows = tables.map(|(database, table)| {
        [
            database.to_owned(),
            spoken(table).to_owned(),
            table.rows.map_or_else(String::new, |rows| rows.to_string()),
            table.bytes.to_string(),
            table.unused.to_string(),
        ]
    });
    super::print(&super::table(["database", "table", "rows", "bytes", "unused"], rows))?;
    super::print(&format!("\n{}", summary(&stats)))
}

fn spoken(table: &TableSize) -> &str {
    match table.name.as_str() {
        "" => "(no table)",
        name => name,
    }
}

fn summary(stats: &IndexStats) -> String {
    let mail = u64::try_from(stats.mail.size).unwrap_or(0);
    let part = |bytes: u64| match percent(bytes, mail) {
        Some(percent) => format!("{bytes} bytes ({}), {percent:.1} % of the mail", show_size(bytes)),
        None => format!("{bytes} bytes ({})", show_size(bytes)),
    };
    let sizes = &stats.index;
    let mut lines = vec![
        format!(
            "mail: {} messages, {mail} bytes ({})",
            stats.mail.messages,
            show_size(mail)
        ),
        format!(
            "cards: {} alone, {} in {} packs",
            sizes.single_cards, sizes.packed_cards, sizes.packs
        ),
        format!("index: {}", part(stats.bytes)),
    ];
    match &stats.full_text {
        Some((bytes, _)) => lines.push(format!("full text: {}", part(*bytes))),
        None => lines.push("full text: none".to_owned()),
    }
    lines.join("\n") + "\n"
}

fn describe(stats: &IndexStats) -> Value {
    let mail = u64::try_from(stats.mail.size).unwrap_or(0);
    let database = |bytes: u64, sizes: &DatabaseSize| {
        json!({
            "bytes": bytes,
            "percent": percent(bytes, mail),
            "tables": sizes.tables.iter().map(|table| json!({
                "name": spoken(table),
                "rows": table.rows,
                "bytes": table.bytes,
                "unused": table.unused,
            })).collect::<Value>(),
        })
    };
    json!({
        "path": stats.path.to_string_lossy(),
        "messages": stats.mail.messages,
        "size": mail,
        "cards": {
            "alone": stats.index.single_cards,
            "packed": stats.index.packed_cards,
            "packs": stats.index.packs,
        },
        "index": database(stats.bytes, &stats.index),
        "fulltext": stats.full_text.as_ref().map(|(bytes, sizes)| database(*bytes, sizes)),
    })
}

// A part of the mail in hundredths, to a tenth.
fn percent(bytes: u64, mail: u64) -> Option<f64> {
    let tenths = (u128::from(bytes) * 1000).checked_div(u128::from(mail))?;
    Some(u32::try_from(tenths).map_or(f64::INFINITY, f64::from) / 10.0)
}
