//! `postroom quota`: what an account may hold, and what it does hold.

use std::path::Path;

use serde_json::{Value, json};

use crate::config::Config;
use crate::directory::{Found, show_size};
use crate::mail::{MailboxName, Quota, QuotaUnit, Usage};
use crate::store::{Counts, MailboxStatus, Store};

use super::fault::Fault;
use super::rooms;

/// Show and count what accounts hold.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show the quota of a user, what is used of it, and how each mailbox counts
    Show {
        /// Print a JSON object
        #[arg(long)]
        json: bool,
        /// The user: an address, or a name
        user: String,
    },
    /// Count all messages of a user anew, mend counts that are wrong, and write `maildirsize`
    /// where it is used
    Recalculate {
        /// The user: an address, or a name
        user: String,
    },
}

const UNITS: [QuotaUnit; 2] = [QuotaUnit::Bytes, QuotaUnit::Messages];

pub(super) fn run(file: Option<&Path>, command: &Command) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    match command {
        Command::Show { json, user } => show(&config, user, *json),
        Command::Recalculate { user } => recalculate(&config, user),
    }
}

fn show(config: &Config, user: &str, json: bool) -> Result<u8, Fault> {
    let found = rooms::find(config, user)?;
    let mailboxes = match rooms::account(config, user)? {
        Some(account) => account.mailboxes()?,
        None => Vec::new(),
    };
    let quota = &found.quota;
    let used = quota.usage(mailboxes.iter().map(|mailbox| {
        let Counts { size, messages, .. } = mailbox.counts;
        (mailbox.name.as_str(), count(size), count(messages))
    }));
    let separator = config.store.separator;
    if json {
        return super::print_json(&describe(&found, used, &mailboxes, separator));
    }
    let totals = UNITS.map(|unit| {
        [
            unit.to_string(),
            used.of(unit).to_string(),
            limit_words(quota, unit),
            percent(quota, used, unit).map_or_else(|| "-".to_owned(), |percent| format!("{percent}%")),
        ]
    });
    super::print(&super::table(["quota", "used", "limit", "percent"], totals))?;
    let rows = mailboxes.iter().map(|mailbox| {
        [
            mailbox.name.to_separated(separator),
            mailbox.counts.size.to_string(),
            mailbox.counts.messages.to_string(),
            rule_words(quota, &mailbox.name),
        ]
    });
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return super::print("");
    }
    super::print(&format!(
        "\n{}",
        super::table(["mailbox", "bytes", "messages", "counts"], rows)
    ))
}

fn describe(found: &Found, used: Usage, mailboxes: &[MailboxStatus], separator: char) -> Value {
    let quota = &found.quota;
    let total = |unit| {
        json!({
            "used": used.of(unit),
            "limit": quota.limit(unit),
            "percent": percent(quota, used, unit),
        })
    };
    let mailboxes = mailboxes.iter().map(|mailbox| {
        json!({
            "name": mailbox.name.to_separated(separator),
            "size": mailbox.counts.size,
            "messages": mailbox.counts.messages,
            "counts": quota.counts(mailbox.name.as_str()),
            "bytes_limit": quota.limit_in(mailbox.name.as_str(), QuotaUnit::Bytes),
            "messages_limit": quota.limit_in(mailbox.name.as_str(), QuotaUnit::Messages),
        })
    });
    json!({
        "user": found.user,
        "bytes": total(QuotaUnit::Bytes),
        "messages": total(QuotaUnit::Messages),
        "mailboxes": mailboxes.collect::<Value>(),
    })
}

// How much is used of a limit; more than a hundred where a mailbox has extra room.
fn percent(quota: &Quota, used: Usage, unit: QuotaUnit) -> Option<u64> {
    let limit = quota.limit(unit)?;
    let percent = u128::from(used.of(unit)) * 100 / u128::from(limit.max(1));
    Some(u64::try_from(percent).unwrap_or(u64::MAX))
}

fn limit_words(quota: &Quota, unit: QuotaUnit) -> String {
    match (quota.limit(unit), unit) {
        (None, _) => "none".to_owned(),
        (Some(limit), QuotaUnit::Bytes) if show_size(limit) != format!("{limit} B") => {
            format!("{limit} ({})", show_size(limit))
        }
        (Some(limit), _) => limit.to_string(),
    }
}

fn rule_words(quota: &Quota, name: &MailboxName) -> String {
    if !quota.counts(name.as_str()) {
        return "no".to_owned();
    }
    let own = UNITS.map(|unit| {
        let limit = quota.limit_in(name.as_str(), unit);
        limit
            .filter(|limit| quota.limit(unit) != Some(*limit))
            .map(|limit| format!("{limit} {unit}"))
    });
    let own: Vec<String> = own.into_iter().flatten().collect();
    match own.is_empty() {
        true => "yes".to_owned(),
        false => format!("yes, up to {}", own.join(", ")),
    }
}

fn recalculate(config: &Config, user: &str) -> Result<u8, Fault> {
    let Some((store, found)) = rooms::store_of(config, user)? else {
        return super::print(&format!("{user}: has no mail yet\n"));
    };
    let recount = store.account(&found.user, &found.home)?.recount(&found.quota)?;
    for drift in &recount.drift {
        let name = drift.mailbox.to_separated(config.store.separator);
        let words = |counts: Counts| {
            let Counts {
                messages, unseen, size, ..
            } = counts;
            format!("{messages} messages, {unseen} unseen, {size} bytes")
        };
        let (was, is) = (words(drift.was), words(drift.is));
        super::print(&format!("{user}: {name} had {was}; it has {is}\n"))?;
    }
    let Usage { bytes, messages } = recount.usage;
    let written = if recount.maildirsize {
        "; maildirsize is written"
    } else {
        ""
    };
    super::print(&format!(
        "{user}: {bytes} bytes in {messages} messages count{written}\n"
    ))?;
    // What the account fell below meanwhile is done now, not at the next delivery.
    rooms::sorter(config)?.warn_of_usage(&found);
    Ok(super::fault::exit::OK)
}

fn count(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
