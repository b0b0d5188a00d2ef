//! Search: which messages of a mailbox meet a key (RFC 9051 §6.4.4).
//!
//! Called by `sort` and `thread`, by the commands, and by servers; works on the messages of any store. What
//! the index has of every message (flags, dates, sizes) is asked first; cards are fetched only of those about
//! which that leaves a doubt, and files opened only for BODY and TEXT of those still in doubt. Ends in UIDs or
//! a [`StoreError`]; a message that vanishes meanwhile is not found, and no error.

mod error;
#[cfg(test)]
pub(super) mod few;
mod key;
mod parse;
mod plan;
mod token;

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::mail::{MailboxName, Uid, UidSet};
use crate::maildir::DiskError;
use crate::message::{Limits, Text, scan};

use super::StoreError;
use super::messages::{Entry, Messages};

pub use error::SearchError;
pub use key::{Day, FieldKey, Period, SearchKey};
use plan::{Known, Plan};

/// Messages whose cards are in memory at one time.
pub(super) const SLICE: usize = 500;

/// The messages of a mailbox that meet a key, ascending.
///
/// # Errors
/// [`StoreError::NoMailbox`], or where messages cannot be read.
pub fn search<M: Messages + ?Sized>(
    messages: &M,
    mailbox: &MailboxName,
    key: &SearchKey,
) -> Result<Vec<Uid>, StoreError> {
    let found = search_entries(messages, mailbox, key)?;
    Ok(found.into_iter().map(|entry| entry.uid).collect())
}

/// The same, with what is known of each message then.
pub(super) fn search_entries<M: Messages + ?Sized>(
    messages: &M,
    mailbox: &MailboxName,
    key: &SearchKey,
) -> Result<Vec<Entry>, StoreError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let mut plan = Plan::new(key, now);
    let mut entries = messages.entries(mailbox, &plan.uids())?;
    entries.sort_unstable_by_key(|entry| entry.uid);
    let mut verdicts: Vec<Option<bool>> = entries.iter().map(|entry| plan.verdict(&Known::of(entry))).collect();
    let open: UidSet = entries
        .iter()
        .zip(&verdicts)
        .filter(|(_, verdict)| verdict.is_none())
        .map(|(entry, _)| entry.uid)
        .collect();
    if !open.is_empty() && plan.narrow(|scope, needle| messages.narrow(mailbox, scope, needle, &open))? {
        for (entry, verdict) in entries.iter().zip(&mut verdicts) {
            *verdict = verdict.or_else(|| plan.verdict(&Known::of(entry)));
        }
    }
    let doubtful: Vec<usize> = (0..entries.len()).filter(|index| verdicts[*index].is_none()).collect();
    for slice in doubtful.chunks(SLICE) {
        look_closer(messages, mailbox, &plan, slice, &entries, &mut verdicts)?;
    }
    let found = entries.into_iter().zip(verdicts);
    Ok(found
        .filter(|(_, verdict)| *verdict == Some(true))
        .map(|(entry, _)| entry)
        .collect())
}

fn look_closer<M: Messages + ?Sized>(
    messages: &M,
    mailbox: &MailboxName,
    plan: &Plan,
    slice: &[usize],
    entries: &[Entry],
    verdicts: &mut [Option<bool>],
) -> Result<(), StoreError> {
    let uids: UidSet = slice.iter().map(|index| entries[*index].uid).collect();
    let mut details = if plan.asks_cards() {
        messages.details(mailbox, &uids)?
    } else {
        Vec::new()
    };
    details.sort_unstable_by_key(|detail| detail.entry.uid);
    for &index in slice {
        let entry = &entries[index];
        let detail = details.binary_search_by_key(&entry.uid, |detail| detail.entry.uid);
        let card = detail.ok().map(|at| &details[at].card);
        if plan.asks_cards() && card.is_none() {
            verdicts[index] = Some(false); // It vanished.
            continue;
        }
        let mut known = Known::of(entry);
        known.card = card;
        verdicts[index] = plan.verdict(&known);
        if verdicts[index].is_none() {
            let text = text(messages, mailbox, entry.uid)?;
            known.text = text.as_ref();
            verdicts[index] = text.as_ref().and_then(|_| plan.verdict(&known)).or(Some(false));
        }
    }
    Ok(())
}

// None where the message has vanished.
fn text<M: Messages + ?Sized>(messages: &M, mailbox: &MailboxName, uid: Uid) -> Result<Option<Text>, StoreError> {
    let mut body = match messages.open(mailbox, uid) {
        Ok(body) => body,
        Err(StoreError::NoMessage { .. }) => return Ok(None),
        Err(StoreError::Disk(error)) if error.source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = scan(&mut body, &Limits::default())
        .and_then(|scanned| Text::read(&scanned.header, &scanned.structure, &mut body));
    match text {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DiskError::at("read", format!("message {uid} of {mailbox}"))(error).into()),
    }
}

#[cfg(test)]
mod tests;
