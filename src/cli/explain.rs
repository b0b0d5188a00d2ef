//! `postroom explain`: what became of a message, and why it is where it is.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::config::{Config, show_age, show_period};
use crate::mail::{MailboxName, Uid};
use crate::store::{ActionKind, ActionResult, Ending, Explained, HistoryKey, PastAction};

use super::fault::{Fault, exit};
use super::message::date;
use super::named::{Named, name};

/// Deliveries that are shown where nothing is asked for.
const LAST: usize = 10;
/// Deliveries of one message that are shown.
const OF_ONE: usize = 100;
/// How far to the right the scripts stand at most.
const COLUMN_MAX: usize = 56;

/// Explain what became of a message.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
    /// The mailbox of the UID [default: INBOX]
    #[arg(long, value_name = "MAILBOX", requires = "message")]
    mailbox: Option<String>,
    /// The last so many deliveries [default: 10; of one message 100]
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// The user: an address, or a name
    user: String,
    /// What is asked for: a UID, a Message-ID, the id of a delivery as the log and the Received field have it, or the
    /// id in the MTA's queue; without it, the last deliveries
    message: Option<String>,
}

pub(super) fn run(file: Option<&Path>, arguments: &Arguments) -> Result<u8, Fault> {
    let config = Config::find(file)?;
    let keys = keys(&config, arguments)?;
    let limit = arguments
        .last
        .unwrap_or(if arguments.message.is_some() { OF_ONE } else { LAST });
    let mut found = Vec::new();
    if let Some(named) = Named::find(&config, &arguments.user)? {
        for key in keys {
            found = named.account.history(&key, limit)?;
            if !found.is_empty() {
                break;
            }
        }
    }
    let spoken = |mailbox: &str| spoken(mailbox, config.store.separator);
    if arguments.json {
        super::print_json(&found.iter().map(|explained| describe(explained, &spoken)).collect())?;
    } else {
        let told: Vec<String> = found.iter().map(|explained| tell(explained, &spoken)).collect();
        super::print(&told.join("\n"))?;
    }
    match (&arguments.message, found.is_empty()) {
        (Some(message), true) => Err(Fault::new(exit::DATAERR, nothing(&config, &arguments.user, message))),
        (None, true) if !arguments.json => super::print(&format!(
            "{}: no delivery is remembered; {}\n",
            arguments.user,
            kept(&config)
        )),
        _ => Ok(exit::OK),
    }
}

// What a text may mean, the likeliest first.
fn keys(config: &Config, arguments: &Arguments) -> Result<Vec<HistoryKey>, Fault> {
    let Some(text) = &arguments.message else {
        return Ok(vec![HistoryKey::All]);
    };
    let others = || {
        vec![
            HistoryKey::Delivery(text.to_ascii_uppercase()),
            HistoryKey::Queue(text.clone()),
            HistoryKey::MessageId(text.clone()),
        ]
    };
    let uid = text.parse().ok().and_then(Uid::new);
    match (uid, &arguments.mailbox) {
        (Some(uid), mailbox) => {
            let mailbox = mailbox.as_deref().map(|mailbox| name(config, mailbox)).transpose()?;
            let mailbox = mailbox.unwrap_or_else(MailboxName::inbox);
            let mut keys = vec![HistoryKey::Message { mailbox, uid }];
            // A queue id may have no letter.
            if arguments.mailbox.is_none() {
                keys.extend(others());
            }
            Ok(keys)
        }
        (None, Some(_)) => {
            let what = format!("--mailbox goes with a UID, and {text:?} is none");
            Err(Fault::new(exit::USAGE, what))
        }
        (None, None) if text.contains('@') => Ok(vec![HistoryKey::MessageId(text.clone())]),
        (None, None) => Ok(others()),
    }
}

fn nothing(config: &Config, user: &str, message: &str) -> String {
    format!(
        "{user}: no delivery of {message} is remembered; {}. Ask by Message-ID, by UID (with --mailbox where it is not \
         INBOX), by the delivery id that log and Received field have, or by the MTA's queue id; `postroom explain {user} \
         --last 20` shows the last ones",
        kept(config)
    )
}

fn kept(config: &Config) -> String {
    match config.history.keep {
        Some(time) => format!(
            "what became of deliveries is kept for {} ([history] keep), of at most {} of them",
            match time.as_secs() % 3600 {
                0 => show_age(time),
                _ => show_period(time),
            },
            config.history.entries
        ),
        None => "what became of deliveries is not kept ([history] keep = \"none\")".to_owned(),
    }
}

// The index separates levels by a dot.
fn spoken(mailbox: &str, separator: char) -> String {
    match MailboxName::parse(mailbox, '.') {
        Ok(name) => name.to_separated(separator),
        Err(_) => mailbox.to_owned(),
    }
}

fn tell(explained: &Explained, spoken: &dyn Fn(&str) -> String) -> String {
    let Explained {
        delivery,
        subject,
        copies,
    } = explained;
    let queue_id = delivery.queue_id.as_ref();
    let queue_id = queue_id.map_or_else(String::new, |id| format!(" (queue id {id})"));
    let sender = match delivery.reverse_path.as_str() {
        "" => "<>",
        sender => sender,
    };
    let original = delivery
        .original
        .as_ref()
        .filter(|original| **original != delivery.recipient);
    let original = original.map_or_else(String::new, |original| format!(" ({original})"));
    let mut text = format!(
        "{}  {}{queue_id}  from {sender} to {}{original}  {}\n",
        local(delivery.time),
        delivery.id,
        delivery.recipient,
        rounded(delivery.size)
    );
    let mut lines: Vec<(String, String)> = Vec::new();
    lines.extend(
        subject
            .as_ref()
            .map(|subject| (format!("\"{subject}\""), String::new())),
    );
    lines.extend(ending(&delivery.ending).map(|words| (words, String::new())));
    lines.extend(
        delivery
            .actions
            .iter()
            .map(|action| (words(action, spoken), origin(action))),
    );
    lines.extend(whereabouts(explained, copies, spoken).map(|words| (words, String::new())));
    let beside = lines.iter().filter(|(_, origin)| !origin.is_empty());
    let width = beside
        .map(|(words, _)| words.chars().count())
        .max()
        .unwrap_or(0)
        .min(COLUMN_MAX);
    for (words, origin) in lines {
        text.push_str(format!("  {words:width$}  {origin}").trim_end());
        text.push('\n');
    }
    text
}

fn ending(ending: &Ending) -> Option<String> {
    match ending {
        Ending::Delivered => None,
        Ending::Before(id) => Some(format!(
            "sent again: it was delivered before as {id}, and nothing was done now"
        )),
        Ending::Refused(why) => Some(format!("refused: {why}")),
        Ending::Deferred(why) => Some(format!("deferred, to be tried again: {why}")),
    }
}

fn words(action: &PastAction, spoken: &dyn Fn(&str) -> String) -> String {
    let target = action.target.as_deref().unwrap_or_default();
    let mailbox = || spoken(target);
    let done = action.result == ActionResult::Done;
    let said = match (action.kind, action.result) {
        (ActionKind::Keep, ActionResult::Done) => format!("kept in {}{}", mailbox(), uid(action)),
        (ActionKind::Keep, _) => format!("not kept in {}", mailbox()),
        (ActionKind::FileInto, ActionResult::Done) => format!("filed into {}{}", mailbox(), uid(action)),
        (ActionKind::FileInto, _) => format!("not filed into {}", mailbox()),
        (ActionKind::Redirect, _) => format!("{}redirected to {target}", not(done)),
        (ActionKind::Discard, _) => format!("{}discarded", not(done)),
        (ActionKind::Reject, ActionResult::Done) => format!("rejected: {target}"),
        (ActionKind::Reject, _) => "not rejected".to_owned(),
        (ActionKind::Vacation, ActionResult::Done) => format!("vacation reply sent to {target}"),
        (ActionKind::Vacation, _) if target.is_empty() => "no vacation reply".to_owned(),
        (ActionKind::Vacation, _) => format!("no vacation reply to {target}"),
        (ActionKind::Notify, ActionResult::Done) => format!("notification sent to {target}"),
        (ActionKind::Notify, _) if target.is_empty() => "no notification".to_owned(),
        (ActionKind::Notify, _) => format!("no notification to {target}"),
        (ActionKind::Report, _) => format!("{}reported to {target}", not(done)),
        (ActionKind::Pipe, _) => format!("{}given to the program {target}", not(done)),
        (ActionKind::Error, _) => format!("a script failed: {target}"),
        (ActionKind::Remark, _) => target.to_owned(),
    };
    match &action.reason {
        Some(reason) => format!("{said}: {reason}"),
        None => said,
    }
}

fn not(done: bool) -> &'static str {
    if done { "" } else { "not " }
}

fn uid(action: &PastAction) -> String {
    action.uid.map_or_else(String::new, |uid| format!(" (uid {uid})"))
}

fn origin(action: &PastAction) -> String {
    match (&action.script, action.line) {
        (Some(script), Some(line)) => format!("{script} line {line}"),
        (Some(script), None) => script.clone(),
        (None, _) => String::new(),
    }
}

// Only where it is not where it was put.
fn whereabouts(
    explained: &Explained,
    copies: &[(MailboxName, Uid)],
    spoken: &dyn Fn(&str) -> String,
) -> Option<String> {
    let filed = |action: &&PastAction| action.kind.files() && action.result == ActionResult::Done;
    let mut filed: Vec<(&str, Option<Uid>)> = explained
        .delivery
        .actions
        .iter()
        .filter(filed)
        .map(|action| (action.target.as_deref().unwrap_or_default(), action.uid))
        .collect();
    filed.sort();
    let there: Vec<(&str, Option<Uid>)> = copies
        .iter()
        .map(|(mailbox, uid)| (mailbox.as_str(), Some(*uid)))
        .collect();
    if filed == there {
        return None;
    }
    let listed: Vec<String> = copies
        .iter()
        .map(|(mailbox, uid)| format!("{} (uid {uid})", spoken(mailbox.as_str())))
        .collect();
    Some(match listed.is_empty() {
        true => "no copy of it is there any more".to_owned(),
        false => format!("now in {}", listed.join(", ")),
    })
}

fn local(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

// To a tenth of the largest unit that is not more than it.
fn rounded(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(power, _)| bytes >> power > 0) {
        Some((power, unit)) => {
            let tenths = (u128::from(bytes) * 10) >> power;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

fn describe(explained: &Explained, spoken: &dyn Fn(&str) -> String) -> Value {
    let Explained {
        delivery,
        subject,
        copies,
    } = explained;
    let action = |action: &PastAction| {
        let target = match (&action.target, action.kind.files()) {
            (Some(target), true) => Some(spoken(target)),
            (target, _) => target.clone(),
        };
        json!({
            "action": action.kind.as_str(),
            "target": target,
            "uid": action.uid.map(Uid::value),
            "script": action.script,
            "line": action.line,
            "result": action.result.as_str(),
            "reason": action.reason,
        })
    };
    let copy = |(mailbox, uid): &(MailboxName, Uid)| json!({"mailbox": spoken(mailbox.as_str()), "uid": uid.value()});
    json!({
        "delivery": delivery.id.as_str(),
        "queue_id": delivery.queue_id,
        "time": date(delivery.time),
        "reverse_path": delivery.reverse_path,
        "recipient": delivery.recipient,
        "original": delivery.original,
        "message_id": delivery.message_id,
        "size": delivery.size,
        "ending": delivery.ending.as_str(),
        "reason": delivery.ending.reason(),
        "actions": delivery.actions.iter().map(action).collect::<Vec<_>>(),
        "subject": subject,
        "copies": copies.iter().map(copy).collect::<Vec<_>>(),
    })
}
