//! The message on its way in: DATA (RFC 5321 §4.1.1.4) and BDAT (RFC 3030).
//!
//! A message refused midway is read to its end, so that the next command is found;
//! the refusal is said where the client expects the reply.

use std::ops::Range;

use super::super::command::Chunk;
use super::super::{Door, DotEvent, Reply};
use super::{Advance, Session, State, Step, out_of_order};
use crate::mail::{Envelope, Forwarded};

/// A message that is coming in.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    received: u64,
    /// Why the rest of it is read over.
    pub(super) refusal: Option<Reply>,
}

impl Session {
    /// The message cannot be kept; called at [`Step::MessageStart`] or [`Step::Content`].
    ///
    /// Before the 354 the reply answers DATA. Later the rest of the message, or of the
    /// chunk, is read over, and the reply then given, once for each recipient under
    /// LMTP. The spool may be dropped now; [`Step::MessageDropped`] does not follow.
    pub fn message_refused(&mut self, reply: Reply) {
        if matches!(self.state, State::DataBegin) {
            self.state = State::Command;
            self.transaction = None;
            self.reply(reply);
            return;
        }
        if let Some(message) = self.message() {
            message.refusal.get_or_insert(reply);
        }
    }

    pub(super) fn begin_data(&mut self) {
        let Some(transaction) = &mut self.transaction else {
            return self.bad(out_of_order("MAIL comes first"));
        };
        if transaction.recipients.is_empty() {
            // RFC 2033 §4.2
            return self.bad(out_of_order("There are no valid recipients"));
        }
        if transaction.parameters.binary {
            // RFC 3030 §3: what has no lines has no line that ends it.
            return self.bad(out_of_order("BINARYMIME is sent by BDAT"));
        }
        if transaction.message.is_some() {
            // RFC 3030 §2: DATA and BDAT do not mix.
            return self.bad(out_of_order("BDAT has begun the message"));
        }
        transaction.message = Some(Incoming::default());
        self.state = State::DataBegin;
        self.steps.push_back(Step::MessageStart);
    }

    pub(super) fn data(&mut self, input: &[u8]) -> Advance {
        let State::Data(decoder) = &mut self.state else {
            return Advance::More;
        };
        match decoder.next(input) {
            DotEvent::NeedMore => Advance::More,
            DotEvent::Content(range) => self.content(range),
            DotEvent::End(length) => {
                self.state = State::Command;
                self.end_message();
                Advance::Consumed(length)
            }
        }
    }

    pub(super) fn begin_chunk(&mut self, chunk: Chunk) {
        let refusal = match &self.transaction {
            None => Some(out_of_order("MAIL comes first")),
            Some(transaction) if transaction.recipients.is_empty() => {
                Some(out_of_order("There are no valid recipients"))
            }
            Some(_) => None,
        };
        // What no message could be is not read over: nothing bounds the time of who is in no transaction.
        let limit = self.options.message_size;
        if let Some(refusal) = refusal.clone().filter(|_| limit > 0 && chunk.size > limit) {
            return self.close(refusal);
        }
        self.state = State::Chunk {
            remaining: chunk.size,
            last: chunk.last,
            size: chunk.size,
            out_of_order: refusal.clone(),
        };
        if refusal.is_none() {
            self.announce_chunk(&chunk);
        }
    }

    // Begins the message with its first chunk. What is wrong with a chunk is wrong with
    // the message (RFC 3030 §2): its octets are missing, so no later chunk may complete it.
    fn announce_chunk(&mut self, chunk: &Chunk) {
        let limit = self.options.message_size;
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        let begun = transaction.message.is_some();
        let message = transaction.message.get_or_insert_default();
        if message.refusal.is_some() {
            return;
        }
        message.refusal.clone_from(&chunk.fault);
        // Known before a byte of it came.
        if limit > 0 && message.received.saturating_add(chunk.size) > limit {
            message.refusal.get_or_insert_with(|| Reply::too_large(limit));
        }
        match (&message.refusal, begun) {
            (None, false) => self.steps.push_back(Step::MessageStart),
            (Some(_), true) => self.steps.push_back(Step::MessageDropped),
            _ => {}
        }
    }

    pub(super) fn chunk(&mut self, input: &[u8]) -> Advance {
        let State::Chunk {
            remaining,
            out_of_order,
            ..
        } = &mut self.state
        else {
            return Advance::More;
        };
        if *remaining == 0 {
            self.end_chunk();
            return Advance::Consumed(0);
        }
        if input.is_empty() {
            return Advance::More;
        }
        let length = usize::try_from(*remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
        *remaining -= length as u64;
        if out_of_order.is_some() {
            return Advance::Consumed(length);
        }
        self.content(0..length)
    }

    fn end_chunk(&mut self) {
        let State::Chunk {
            last,
            size,
            out_of_order,
            ..
        } = std::mem::replace(&mut self.state, State::Command)
        else {
            return;
        };
        if let Some(reply) = out_of_order {
            // The octets are lost: nothing that follows in this transaction is a message.
            self.transaction = None;
            return self.bad(reply);
        }
        if last {
            return self.end_message();
        }
        let refusal = self.message().and_then(|message| message.refusal.clone());
        let received = || Reply::new(250, (2, 0, 0), &format!("{size} octets received"));
        self.reply(refusal.unwrap_or_else(received));
    }

    // Counts content (RFC 1870 §5: without stuffed dots) and hands it out, unless it is refused.
    fn content(&mut self, range: Range<usize>) -> Advance {
        let limit = self.options.message_size;
        let Some(message) = self.message() else {
            return Advance::Consumed(range.end);
        };
        message.received = message.received.saturating_add(range.len() as u64);
        let too_large = limit > 0 && message.received > limit;
        if message.refusal.is_none() && too_large {
            message.refusal = Some(Reply::too_large(limit));
            self.steps.push_back(Step::MessageDropped);
            return Advance::Consumed(range.end);
        }
        if message.refusal.is_some() {
            return Advance::Consumed(range.end);
        }
        Advance::Content(range)
    }

    fn end_message(&mut self) {
        let client = self.client();
        let Some(transaction) = self.transaction.take() else {
            return;
        };
        self.errors = 0;
        self.idle_commands = 0;
        self.forwarded = Forwarded::default();
        let Some(refusal) = transaction.message.and_then(|message| message.refusal) else {
            self.steps.push_back(Step::MessageEnd(Box::new(Envelope {
                reverse_path: transaction.reverse_path,
                recipients: transaction.recipients,
                others: 0,
                smtputf8: transaction.parameters.smtputf8,
                dsn: transaction.parameters.dsn,
                prdr: transaction.parameters.prdr,
                client,
            })));
            return;
        };
        // RFC 2033 §4.2: one reply for each accepted recipient, also where all are refused.
        let replies = match self.options.door {
            Door::Lmtp => transaction.recipients.len(),
            Door::Smtp => 1,
        };
        self.steps.extend(std::iter::repeat_n(Step::Reply(refusal), replies));
    }

    fn message(&mut self) -> Option<&mut Incoming> {
        self.transaction.as_mut().and_then(|t| t.message.as_mut())
    }
}
