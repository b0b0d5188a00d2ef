//! Messages listed, found and printed.

use std::collections::HashMap;
use std::io::{self, BufReader, BufWriter, Write};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::Config;
use crate::mail::{MailboxName, Uid, UidSet};
use crate::message::write_crlf;
use crate::store::{self, Detail, SearchKey, SortKey, Thread, ThreadBy, Threads};

use super::super::fault::{Fault, exit};
use super::super::named::{Named, name, no_mail, search_key, uid_set};
use super::super::{print, print_json, table};

/// Messages whose details are in memory at one time.
const SLICE: usize = 500;
/// How long a search of texts waits for the words of new messages to be indexed; it reads those that are not.
const TENDING: Duration = Duration::from_secs(2);
/// Steps by which an answer's subject is moved to the right at most.
const INDENT_MAX: usize = 20;

/// Find messages.
#[derive(Debug, clap::Args)]
pub(in super::super) struct Search {
    /// Print a JSON array; with --thread each message has thread, depth and parent
    #[arg(long)]
    json: bool,
    /// In this order, such as '(reverse date subject)': arrival, cc, date, displayfrom, displayto, from, size, subject,
    /// to (RFC 5256, RFC 5957)
    #[arg(long, value_name = "ORDER", conflicts_with = "thread")]
    sort: Option<String>,
    /// As conversations: references, orderedsubject (RFC 5256) or refs
    #[arg(long, value_name = "BY")]
    thread: Option<String>,
    /// The user: an address, or a name
    user: String,
    /// The mailbox
    mailbox: String,
    /// What to search for, in the keys of IMAP's SEARCH (RFC 9051, section 6.4.4); dates are written 1-Nov-2026 or
    /// 2026-11-01, and days are in UTC
    key: String,
}

pub(super) fn list(config: &Config, user: &str, mailbox: &str, uids: Option<&str>, json: bool) -> Result<u8, Fault> {
    let Some((named, mailbox)) = readable(config, user, mailbox)? else {
        return print_rows(Vec::new(), json);
    };
    let set = match uids {
        Some(text) => uid_set(&named, &mailbox, text)?,
        None => UidSet::all(),
    };
    let flags = named.account.flags(&mailbox, &set)?;
    let uids: Vec<Uid> = flags.into_iter().map(|(uid, _, _)| uid).collect();
    print_messages(&named, &mailbox, &uids, json)
}

pub(super) fn search(config: &Config, search: &Search) -> Result<u8, Fault> {
    let usage = |words: String| Fault::new(exit::USAGE, words);
    let order = search.sort.as_deref().map(SortKey::parse_list).transpose();
    let order = order.map_err(|error| usage(format!("--sort: {error}")))?;
    let thread_by = search.thread.as_deref().map(|word| {
        let by = ThreadBy::parse(word);
        by.ok_or_else(|| usage(format!("--thread {word}: write references, orderedsubject or refs")))
    });
    let thread_by = thread_by.transpose()?;
    let Some((named, mailbox)) = readable(config, &search.user, &search.mailbox)? else {
        return print_rows(Vec::new(), search.json);
    };
    let key: SearchKey = search_key(&named, &mailbox, &search.key)?;
    let account = &*named.account;
    if asks_text(&key) {
        // The search is as right without it, and slower.
        let _ = account.tend(Instant::now() + TENDING);
    }
    if let Some(by) = thread_by {
        let threads = store::thread(account, &mailbox, by, &key)?;
        return print_threads(&named, &mailbox, &threads, search.json);
    }
    let uids = match order {
        Some(order) => store::sort(account, &mailbox, &order, &key)?,
        None => store::search(account, &mailbox, &key)?,
    };
    print_messages(&named, &mailbox, &uids, search.json)
}

fn asks_text(key: &SearchKey) -> bool {
    match key {
        SearchKey::Body(_) | SearchKey::Text(_) => true,
        SearchKey::And(keys) => keys.iter().any(asks_text),
        SearchKey::Or(one, other) => asks_text(one) || asks_text(other),
        SearchKey::Not(key) => asks_text(key),
        _ => false,
    }
}

// The account and its mailbox; none where nothing was delivered yet and the INBOX is meant.
fn readable<'a>(config: &Config, user: &'a str, mailbox: &str) -> Result<Option<(Named<'a>, MailboxName)>, Fault> {
    let name = name(config, mailbox)?;
    match Named::find(config, user)? {
        Some(named) => {
            let status = named.mailbox(&name)?;
            Ok(Some((named, status.name)))
        }
        None if name.is_inbox() => Ok(None),
        None => Err(no_mail(user, mailbox)),
    }
}

pub(super) fn show(config: &Config, user: &str, mailbox: &str, uid: u32, raw: bool) -> Result<u8, Fault> {
    let uid = Uid::new(uid).ok_or_else(|| Fault::new(exit::USAGE, "a UID is never 0"))?;
    let (named, mailbox) = Named::with_mailbox(config, user, mailbox)?;
    let mut message = BufReader::new(named.account.open(&mailbox.name, uid)?);
    let mut output = BufWriter::new(io::stdout().lock());
    let written = match raw {
        true => io::copy(&mut message, &mut output).map(drop),
        false => write_crlf(message, &mut output),
    };
    match written.and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::new(exit::TEMPFAIL, format!("cannot print the message: {error}")))
        }
        _ => Ok(exit::OK),
    }
}

/// Prints messages in this order.
pub(super) fn print_messages(named: &Named<'_>, mailbox: &MailboxName, uids: &[Uid], json: bool) -> Result<u8, Fault> {
    if json {
        return print_json(&in_order(named, mailbox, uids, describe)?.into());
    }
    print(&rows(named, mailbox, uids)?)
}

/// A table of messages in this order, for people.
pub(in super::super) fn rows(named: &Named<'_>, mailbox: &MailboxName, uids: &[Uid]) -> Result<String, Fault> {
    Ok(table(HEADS, in_order(named, mailbox, uids, row)?))
}

fn print_rows(rows: Vec<[String; 6]>, json: bool) -> Result<u8, Fault> {
    match json {
        true => print_json(&json!([])),
        false => print(&table(HEADS, rows)),
    }
}

const HEADS: [&str; 6] = ["uid", "date", "bytes", "flags", "from", "subject"];

// What is said of each message that is still there. Cards are large, so only a slice of them is in memory.
fn in_order<T>(
    named: &Named<'_>,
    mailbox: &MailboxName,
    uids: &[Uid],
    say: impl Fn(&Detail) -> T,
) -> Result<Vec<T>, Fault> {
    let mut said = Vec::with_capacity(uids.len());
    for slice in uids.chunks(SLICE) {
        let details = named.account.details(mailbox, &slice.iter().copied().collect())?;
        let details: HashMap<Uid, Detail> = details.into_iter().map(|detail| (detail.entry.uid, detail)).collect();
        said.extend(slice.iter().filter_map(|uid| details.get(uid)).map(&say));
    }
    Ok(said)
}

/// A message's place among the conversations.
struct Place {
    thread: usize,
    depth: usize,
    parent: Option<Uid>,
    uid: Option<Uid>,
}

fn print_threads(named: &Named<'_>, mailbox: &MailboxName, threads: &Threads, json: bool) -> Result<u8, Fault> {
    let places = places(&threads.0);
    let uids: Vec<Uid> = places.iter().filter_map(|place| place.uid).collect();
    if json {
        let said = in_order(named, mailbox, &uids, |it| (it.entry.uid, describe(it)))?;
        let mut known: HashMap<Uid, Value> = said.into_iter().collect();
        let described = places.iter().filter_map(|place| {
            let mut value = match place.uid {
                Some(uid) => known.remove(&uid)?,
                None => json!({"uid": null}),
            };
            value["thread"] = place.thread.into();
            value["depth"] = place.depth.into();
            value["parent"] = place.parent.map(Uid::value).into();
            Some(value)
        });
        return print_json(&described.collect::<Value>());
    }
    let said = in_order(named, mailbox, &uids, |it| (it.entry.uid, row(it)))?;
    let mut known: HashMap<Uid, [String; 6]> = said.into_iter().collect();
    let rows = places.iter().filter_map(|place| {
        let mut row = match place.uid {
            Some(uid) => known.remove(&uid)?,
            None => ["", "", "", "", "", "(missing)"].map(str::to_owned),
        };
        // The table takes away what is only space.
        row[5].insert_str(0, &"· ".repeat(place.depth.min(INDENT_MAX)));
        Some(row)
    });
    print(&table(HEADS, rows))
}

// From the first message down. A mailbox can hold conversations deeper than the stack.
fn places(threads: &[Thread]) -> Vec<Place> {
    let mut places = Vec::new();
    let mut waiting: Vec<(&Thread, usize, usize, Option<Uid>)> = Vec::new();
    for (number, thread) in threads.iter().enumerate() {
        waiting.push((thread, number, 0, None));
        while let Some((thread, number, depth, parent)) = waiting.pop() {
            places.push(Place {
                thread: number,
                depth,
                parent,
                uid: thread.uid,
            });
            let children = thread.children.iter().rev();
            waiting.extend(children.map(|child| (child, number, depth + 1, thread.uid)));
        }
    }
    places
}

fn row(Detail { entry, card, .. }: &Detail) -> [String; 6] {
    let summary = card.summary();
    [
        entry.uid.to_string(),
        date(entry.internal_date),
        entry.size.to_string(),
        entry.flags.to_string(),
        shortened(&summary.from),
        shortened(&summary.subject),
    ]
}

fn describe(detail: &Detail) -> Value {
    let (entry, summary) = (&detail.entry, detail.card.summary());
    json!({
        "uid": entry.uid.value(),
        "modseq": entry.modseq.value(),
        "flags": entry.flags.names().collect::<Vec<_>>(),
        "size": entry.size,
        "internaldate": date(entry.internal_date),
        "savedate": date(entry.save_date),
        "emailid": entry.email_id.to_string(),
        "threadid": entry.thread_id.to_string(),
        "message_id": summary.message_id,
        "subject": summary.subject,
        "from": summary.from,
        "to": summary.to,
        "date": summary.date.map(date),
        "attachments": summary.attachments,
        "preview": detail.card.preview,
        "path": detail.path.to_string_lossy(),
    })
}

/// RFC 3339; a date beyond what it can say is the start of 1970.
pub(in super::super) fn date(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

pub(in super::super) fn shortened(text: &str) -> String {
    const COLUMNS: usize = 40;
    match text.char_indices().nth(COLUMNS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_searches_ask_for_text() {
        for (text, expected) in [
            ("from ann", false),
            ("not (seen or from ann body x)", true),
            ("text x", true),
            ("header x body", false),
        ] {
            let key = SearchKey::parse(text, None).expect(text);
            assert_eq!(asks_text(&key), expected, "{text}");
        }
    }

    #[test]
    fn conversations_are_walked_from_above() {
        let thread = |uid, children| Thread {
            uid: Uid::new(uid),
            children,
        };
        let threads = [
            thread(2, vec![]),
            thread(0, vec![thread(3, vec![thread(6, vec![])]), thread(4, vec![])]),
        ];
        let found = places(&threads);
        let value = |uid: Option<Uid>| uid.map_or(0, Uid::value);
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.thread, it.depth, value(it.parent), value(it.uid)))
            .collect();
        assert_eq!(
            found,
            [(0, 0, 0, 2), (1, 0, 0, 0), (1, 1, 0, 3), (1, 2, 3, 6), (1, 1, 0, 4)]
        );
    }

    #[test]
    fn a_deep_conversation_needs_no_stack() {
        let mut deep = Thread::default();
        for uid in 1..200_000 {
            deep = Thread {
                uid: Uid::new(uid),
                children: vec![deep],
            };
        }
        assert_eq!(places(&[deep]).last().map(|it| it.depth), Some(199_999));
    }
}
