//! `postroom expire`: messages that have been in a mailbox for long are removed.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::config::{Config, ExpireRule, parse_age};
use crate::directory::Found;
use crate::mail::{Cause, MailboxName, Uid, UidSet};
use crate::store::{Account, Store};

use super::fault::{Fault, exit};
use super::message::{date, rows};
use super::named::{Named, count};
use super::progress::Progress;
use super::removal::{Removal, remove};
use super::rooms;

/// Remove what is old. By SAVEDATE (RFC 8514): how long a message has been in this mailbox.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Do it
    #[arg(long)]
    execute: bool,
    /// Print a JSON array: for each mailbox the user, the moment, the messages, their bytes and UIDs
    #[arg(long)]
    json: bool,
    /// In the mailboxes of all accounts, as the [[expire]] sections of the configuration say
    #[arg(long, conflicts_with_all = ["user", "saved_before"])]
    all: bool,
    /// Those that came into the mailbox before this day (2026-11-01, in UTC) or moment, or so long ago (30d, 2 weeks)
    #[arg(long, value_name = "WHEN", requires = "mailbox")]
    saved_before: Option<String>,
    /// The user: an address, or a name; without a mailbox, as the [[expire]] sections say
    #[arg(required_unless_present = "all")]
    user: Option<String>,
    /// The mailbox
    #[arg(requires = "saved_before")]
    mailbox: Option<String>,
}

/// Messages of one mailbox that have had their time.
struct Due {
    user: String,
    mailbox: MailboxName,
    before: i64,
    /// With their bytes.
    messages: Vec<(Uid, u64)>,
}

impl Due {
    fn uids(&self) -> impl Iterator<Item = Uid> {
        self.messages.iter().map(|(uid, _)| *uid)
    }

    fn bytes(&self) -> u64 {
        self.messages.iter().map(|(_, bytes)| bytes).sum()
    }
}

pub(super) fn run(file: Option<&Path>, arguments: &Arguments) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    match (&arguments.user, &arguments.mailbox, &arguments.saved_before) {
        (Some(user), Some(mailbox), Some(when)) => one_mailbox(&config, arguments, user, mailbox, when),
        (Some(user), ..) => one_account(&config, arguments, user),
        (None, ..) => all_accounts(&config, arguments),
    }
}

fn one_mailbox(config: &Config, arguments: &Arguments, user: &str, mailbox: &str, when: &str) -> Result<u8, Fault> {
    let before = moment(when, now()).ok_or_else(|| {
        let what =
            format!("--saved-before {when}: write a day (2026-11-01), a moment (2026-11-01T12:00:00Z) or an age (30d)");
        Fault::new(exit::USAGE, what)
    })?;
    let (named, status) = Named::with_mailbox(config, user, mailbox)?;
    let due = due(&*named.account, user, &status.name, before)?;
    if !arguments.json && !arguments.execute {
        super::print(&rows(&named, &status.name, &due.uids().collect::<Vec<_>>())?)?;
        return super::print(super::DRY_RUN);
    }
    let due = carry_out(&*named.account, due, arguments.execute)?;
    report(config, arguments, &[due])
}

fn one_account(config: &Config, arguments: &Arguments, user: &str) -> Result<u8, Fault> {
    rules(config)?;
    let due = match Named::find(config, user)? {
        Some(named) => by_rules(config, &*named.account, user, arguments.execute)?,
        None => Vec::new(),
    };
    report(config, arguments, &due)
}

fn all_accounts(config: &Config, arguments: &Arguments) -> Result<u8, Fault> {
    rules(config)?;
    // The table may be root's to read, and the homes their owner's to list.
    let directory = rooms::directory(config)?;
    rooms::become_owner(config, &config.root)?;
    let listed = directory.accounts();
    let listed = listed.map_err(|error| Fault::new(exit::TEMPFAIL, Cause::of(&error).to_string()))?;
    let accounts = listed.ok_or_else(|| {
        let what =
            "the accounts of [directory] kind = \"passwd\" cannot be listed: each user runs `postroom expire USER`";
        Fault::new(exit::CONFIG, what)
    })?;
    let store = rooms::store(config);
    let progress = Progress::new(accounts.len(), "accounts");
    let (mut due, mut failed) = (Vec::new(), 0);
    for found in &accounts {
        progress.at(&found.user);
        match of_account(config, &store, found, arguments.execute) {
            Ok(more) => due.extend(more),
            Err(fault) => {
                failed += 1;
                progress.say(&format!("postroom: {}: {}", found.user, fault.message));
            }
        }
        progress.step(1);
    }
    drop(progress);
    report(config, arguments, &due)?;
    if failed > 0 {
        let what = format!(
            "{failed} of {} could not be looked through",
            count(accounts.len(), "account")
        );
        return Err(Fault::new(exit::TEMPFAIL, what));
    }
    Ok(exit::OK)
}

fn of_account(config: &Config, store: &impl Store, found: &Found, execute: bool) -> Result<Vec<Due>, Fault> {
    if !rooms::has_mail(config, &found.home)? {
        return Ok(Vec::new());
    }
    rooms::refuse_foreign(&found.home, &found.user)?;
    let account = store.account(&found.user, &found.home)?;
    account.reconcile()?;
    by_rules(config, &*account, &found.user, execute)
}

fn rules(config: &Config) -> Result<&[ExpireRule], Fault> {
    if config.expire.is_empty() {
        let what = "the configuration has no [[expire]] section: write one, with mailbox = \"Trash\" and after = \"30 days\", \
                    or name a mailbox and --saved-before";
        return Err(Fault::new(exit::CONFIG, what));
    }
    Ok(&config.expire)
}

fn by_rules(config: &Config, account: &dyn Account, user: &str, execute: bool) -> Result<Vec<Due>, Fault> {
    let now = now();
    let mut all = Vec::new();
    for mailbox in account.mailboxes()? {
        let rule = config
            .expire
            .iter()
            .find(|rule| rule.mailbox.matches(mailbox.name.as_str()));
        let Some(rule) = rule.filter(|_| mailbox.counts.messages > 0) else {
            continue;
        };
        let age = i64::try_from(rule.after.as_secs()).unwrap_or(i64::MAX);
        let due = due(account, user, &mailbox.name, now.saturating_sub(age))?;
        if !due.messages.is_empty() {
            all.push(carry_out(account, due, execute)?);
        }
    }
    Ok(all)
}

fn due(account: &dyn Account, user: &str, mailbox: &MailboxName, before: i64) -> Result<Due, Fault> {
    let entries = account.entries(mailbox, &UidSet::all())?;
    let old = entries.iter().filter(|entry| entry.save_date < before);
    Ok(Due {
        user: user.to_owned(),
        mailbox: mailbox.clone(),
        before,
        messages: old.map(|entry| (entry.uid, entry.size)).collect(),
    })
}

// What another program removed meanwhile is not ours.
fn carry_out(account: &dyn Account, mut due: Due, execute: bool) -> Result<Due, Fault> {
    if execute && !due.messages.is_empty() {
        let uids: Vec<Uid> = due.uids().collect();
        let gone: UidSet = remove(account, &due.mailbox, &uids, Removal::Any, None)?
            .into_iter()
            .collect();
        due.messages.retain(|(uid, _)| gone.contains(*uid));
    }
    Ok(due)
}

fn report(config: &Config, arguments: &Arguments, due: &[Due]) -> Result<u8, Fault> {
    let separator = config.store.separator;
    if arguments.json {
        return super::print_json(&due.iter().map(|due| describe(due, separator)).collect());
    }
    let rows = due.iter().map(|due| {
        [
            due.user.clone(),
            due.mailbox.to_separated(separator),
            date(due.before),
            due.messages.len().to_string(),
            due.bytes().to_string(),
        ]
    });
    super::print(&super::table(
        ["user", "mailbox", "saved before", "messages", "bytes"],
        rows,
    ))?;
    let messages = count(due.iter().map(|due| due.messages.len()).sum(), "message");
    match arguments.execute {
        true => super::print(&format!("{messages} removed\n")),
        false => super::print(super::DRY_RUN),
    }
}

fn describe(due: &Due, separator: char) -> Value {
    json!({
        "user": due.user,
        "mailbox": due.mailbox.to_separated(separator),
        "saved_before": date(due.before),
        "messages": due.messages.len(),
        "size": due.bytes(),
        "uids": due.uids().collect::<UidSet>().to_string(),
    })
}

// In seconds since 1970; a day begins in UTC.
fn moment(text: &str, now: i64) -> Option<i64> {
    if let Some(age) = parse_age(text) {
        return now.checked_sub(i64::try_from(age.as_secs()).ok()?);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.as_second());
    }
    // What is more than a day would be read as one.
    let day: Date = text.parse().ok().filter(|_| text.len() == "2026-11-01".len())?;
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for (text, expected) in [
            ("1970-01-02", Some(86_400)),
            ("1970-01-02T00:00:01Z", Some(86_401)),
            ("1970-01-02T01:00:00+01:00", Some(86_400)),
            ("1d", Some(1_000_000 - 86_400)),
            ("2 weeks", Some(1_000_000 - 14 * 86_400)),
            ("12 hours", Some(1_000_000 - 12 * 3600)),
            ("1970-01-02T00:00:00", None),
            ("30", None),
            ("yesterday", None),
            ("1970-02-30", None),
            ("", None),
            ("-1d", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(moment(text, 1_000_000), expected, "{text}");
        }
    }
}
