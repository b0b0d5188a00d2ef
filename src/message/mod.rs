//! The letter: one message, immutable, and what can be read from it.
//!
//! `server` and `cli` fill a [`Spool`] while a message arrives; it becomes one
//! [`Message`], shared by all recipients, whose header fields and MIME parts are
//! known by then. `delivery` makes a [`Letter`] of it, the form in which a
//! mailbox keeps it, and `store` asks for the [`Card`] that `index` writes down. Files
//! that lie in a mailbox already are read by [`scan`], and have the same card; their
//! [`Text`] is what a search looks at.
//!
//! The structure is read by a scanner of our own, in linear time and within
//! [`Limits`]; only values that it has cut out, and messages that are
//! [safe](Message::safe_for_parsers), reach the crate mail-parser. Broken or hostile
//! mail is never an error here: it only yields less. What can fail is reading
//! and writing files.

mod card;
mod compose;
mod content;
mod decode;
mod encode;
mod header;
mod html;
mod intake;
mod letter;
mod lines;
mod mbox;
#[allow(clippy::module_inception)]
mod message;
mod part;
mod part_header;
mod pool;
mod queue_id;
mod scanner;
mod spool;
mod structure;
mod summary;
mod suspicion;
mod text;
mod thread_id;
mod trace;
mod transfer;
mod words;

pub use card::{Card, Extent, NoSection, Place, Section, SectionText, SortKeys, Span, body};
pub use compose::Piece;
pub use content::{Content, Parameter};
pub use decode::{Mailbox, date, day, mailboxes, message_ids, parameter, parse_whole, text, zoned_date};
pub use encode::{encoded_field, encoded_mailboxes, encoded_text};
pub use header::{Field, Header};
pub use html::text_of_html;
pub use intake::{Scanned, scan};
pub use letter::Letter;
pub use lines::write_crlf;
pub use mbox::{FromLine, Mbox, MboxForm, MboxMessage, status_flags, write_mbox};
pub use message::{Copies, Message, MessageReader, Written};
pub use pool::Pool;
pub use queue_id::queue_id;
pub use spool::{Spool, SpoolError, SpoolOptions};
pub use structure::{Bound, Limits, Mime, Part, Position, Structure};
pub use summary::{Ids, Summary, kept_id};
pub use text::{Scope, Text};
pub use thread_id::{ThreadCandidates, message_key, normal_id, thread_candidates};
pub use trace::{Received, Trace};
pub(crate) use words::Clause;
pub use words::Needle;
