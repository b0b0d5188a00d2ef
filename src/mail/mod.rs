//! The words: what every room calls the things of mail. No I/O here.
//!
//! Each type is checked where it is made, so that the rooms can pass it on
//! without looking again: an [`Address`] was parsed, a [`MailboxName`] can name
//! nothing outside its account, a [`Uid`] is never zero.

mod address;
mod annotation;
mod delivery_id;
mod dsn;
mod envelope;
mod flags;
mod mailbox_name;
mod nearest;
mod numbers;
mod object_id;
mod outcome;
mod quota;
mod special_use;
mod uid_set;

pub use address::{Address, AddressError, ReversePath};
pub use annotation::{AnnotationError, AnnotationName, Annotations};
pub use delivery_id::DeliveryId;
pub use dsn::{MessageDsn, Notify, RecipientDsn, Ret};
pub use envelope::{Client, Envelope, Forwarded, Protocol, Recipient, Tls};
pub use flags::{Flags, FlagsError, SystemFlag};
pub use mailbox_name::{MailboxName, MailboxNameError};
pub use nearest::nearest;
pub use numbers::{ModSeq, Uid, UidValidity};
pub use object_id::{EmailId, ThreadId};
pub use outcome::{Cause, Deferral, Outcome, Placement, Refusal};
pub use quota::{
    Crossing, Extra, MailboxPattern, MailboxPatternError, OverLimit, Quota, QuotaEffect, QuotaRule, QuotaUnit,
    Threshold, Usage,
};
pub use special_use::SpecialUse;
pub use uid_set::{UidSet, UidSetError};
