//! Which conversation a message belongs to: THREADID, RFC 8474 §5.2.

use std::collections::BTreeMap;

use crate::mail::{EmailId, ThreadId};
use crate::message::{Ids, message_key, thread_candidates};

/// The conversations of an account.
#[derive(Debug, Default)]
pub(super) struct Threads {
    of_message: BTreeMap<u64, ThreadId>,
    of_bytes: BTreeMap<EmailId, ThreadId>,
}

impl Threads {
    /// The conversation of a message: that of the same bytes, else that of the nearest message
    /// before it that was ever here, else the one that its oldest reference begins.
    pub(super) fn place(&mut self, email_id: EmailId, ids: &Ids) -> ThreadId {
        let candidates = thread_candidates(ids, &email_id);
        let before = || candidates.keys.iter().find_map(|key| self.of_message.get(key));
        let known = self.of_bytes.get(&email_id).or_else(before).copied();
        let thread = known.unwrap_or(candidates.default);
        if let Some(id) = &ids.message_id {
            self.of_message.entry(message_key(id)).or_insert(thread);
        }
        self.of_bytes.insert(email_id, thread);
        thread
    }
}
