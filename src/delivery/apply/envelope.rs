//! The envelope of a message that is there: what its trace fields say of the one it came in.

use crate::directory::{Directory, Found};
use crate::mail::{Address, ReversePath};
use crate::message::{Message, mailboxes};

/// Whom a message was for.
pub(super) struct For {
    pub(super) address: Address,
    pub(super) detail: Option<String>,
}

/// RFC 5321 §4.4: the reverse path stands in Return-Path. Without one, as in mail that a mail program put there, it is
/// null.
pub(super) fn reverse_path(message: &Message) -> ReversePath {
    address(message, "Return-Path").map_or(ReversePath::Null, ReversePath::Address)
}

/// What Delivered-To says, where that is an address of this account, and the account's main address otherwise; none
/// where it has no address.
pub(super) fn recipient(message: &Message, found: &Found, directory: &dyn Directory) -> Option<For> {
    let delivered = address(message, "Delivered-To").and_then(|address| {
        let of = directory.find(&address).ok().flatten()?;
        (of.user == found.user).then_some(For {
            address,
            detail: of.detail,
        })
    });
    delivered.or_else(|| {
        Some(For {
            address: found.addresses.first()?.clone(),
            detail: None,
        })
    })
}

fn address(message: &Message, field: &str) -> Option<Address> {
    let field = message.header().first(field)?;
    let mailbox = mailboxes(field.value()).into_iter().next()?;
    Address::parse(mailbox.address.as_deref()?).ok()
}
