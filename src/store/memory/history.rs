//! What became of deliveries.

use crate::index::{ActionKind, Ending, HistoryKey, PastAction, PastDelivery, Record};
use crate::mail::{MailboxName, Uid};
use crate::message::kept_id;
use crate::store::Explained;

use super::state::{Kept, State};

/// Deliveries that are kept.
const ENTRIES: usize = 10_000;

pub(super) fn write(history: &mut Vec<PastDelivery>, record: Record) {
    match record {
        Record::Whole(delivery) => {
            // Of one that is deferred again and again the last try stays.
            if matches!(delivery.ending, Ending::Deferred(_)) {
                history.retain(|known| !matches!(known.ending, Ending::Deferred(_)) || !is_same(known, &delivery));
            }
            history.push(*delivery);
            let surplus = history.len().saturating_sub(ENTRIES);
            history.drain(..surplus);
        }
        Record::More { id, recipient, actions } => {
            let mut last = history.iter_mut().rev();
            if let Some(known) = last.find(|known| known.id == id && known.recipient == recipient) {
                known.actions.extend(actions);
            }
        }
    }
}

fn is_same(one: &PastDelivery, other: &PastDelivery) -> bool {
    let identity = |delivery: &PastDelivery| {
        let PastDelivery {
            reverse_path,
            recipient,
            message_id,
            size,
            ..
        } = delivery.clone();
        (reverse_path, recipient, message_id, size)
    };
    identity(one) == identity(other)
}

pub(super) fn read(state: &State, key: &HistoryKey, limit: usize) -> Vec<Explained> {
    let mut found = match key {
        HistoryKey::Message { mailbox, uid } => of_message(state, mailbox, *uid),
        key => matching(state, key),
    };
    let surplus = found.len().saturating_sub(limit);
    found.drain(..surplus);
    found.into_iter().map(|delivery| explained(state, delivery)).collect()
}

fn matching(state: &State, key: &HistoryKey) -> Vec<PastDelivery> {
    let filed = |action: &PastAction, mailbox: &MailboxName, uid: Uid| {
        let files = matches!(action.kind, ActionKind::Keep | ActionKind::FileInto);
        files && action.target.as_deref() == Some(mailbox.as_str()) && action.uid == Some(uid)
    };
    let is_meant = |delivery: &&PastDelivery| match key {
        HistoryKey::All => true,
        HistoryKey::Delivery(id) => delivery.id.as_str() == id,
        HistoryKey::Queue(id) => delivery.queue_id.as_ref() == Some(id),
        HistoryKey::MessageId(id) => delivery.message_id == Some(HistoryKey::normal(id)),
        HistoryKey::Message { mailbox, uid } => delivery.actions.iter().any(|action| filed(action, mailbox, *uid)),
    };
    state.history.iter().filter(is_meant).cloned().collect()
}

fn of_message(state: &State, mailbox: &MailboxName, uid: Uid) -> Vec<PastDelivery> {
    let message = state
        .mailboxes
        .get(mailbox)
        .and_then(|mailbox| mailbox.messages.get(&uid));
    let Some(message) = message else {
        let mailbox = mailbox.clone();
        return matching(state, &HistoryKey::Message { mailbox, uid });
    };
    let delivery = delivery_of(message).map(|id| matching(state, &HistoryKey::Delivery(id)));
    let found = delivery.unwrap_or_default();
    match message.content.card.summary().message_id {
        Some(id) if found.is_empty() => matching(state, &HistoryKey::MessageId(kept_id(&id))),
        _ => found,
    }
}

fn delivery_of(message: &Kept) -> Option<String> {
    let brought = message.content.delivery.as_ref().map(|delivery| delivery.id.clone());
    brought.or_else(|| message.content.card.summary().delivery_id)
}

fn explained(state: &State, delivery: PastDelivery) -> Explained {
    let (mut subject, mut copies) = (None, Vec::new());
    for (name, mailbox) in &state.mailboxes {
        for (uid, message) in &mailbox.messages {
            if delivery_of(message).as_deref() == Some(delivery.id.as_str()) {
                subject = Some(message.content.card.summary().subject);
                copies.push((name.clone(), *uid));
            }
        }
    }
    Explained {
        delivery,
        subject,
        copies,
    }
}
