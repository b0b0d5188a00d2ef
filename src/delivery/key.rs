//! The redelivery key: what makes two deliveries the same one, sent again.

use ring::digest::{Context, SHA256};

use crate::mail::{Address, ReversePath};
use crate::message::Message;

/// The first 64 bits of a SHA-256 over reverse path, recipient and the message's
/// digest, which leaves out what an MTA adds for each attempt. The case of the recipient
/// does not count: an MTA may write it otherwise the next time, and accounts of their own
/// have memories of their own.
pub(super) fn redelivery_key(message: &Message, reverse_path: &ReversePath, recipient: &Address) -> u64 {
    let mut context = Context::new(&SHA256);
    for part in [reverse_path.to_string(), recipient.folded()] {
        context.update(part.as_bytes());
        // No address has a NUL, so no two pairs run together.
        context.update(&[0]);
    }
    context.update(&message.digest());
    let digest = context.finish();
    let first = digest.as_ref().first_chunk::<8>().copied().unwrap_or_default();
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_delivery_has_the_same_key_and_no_other_has() {
        let address = |text: &str| Address::parse(text).unwrap();
        let from = |text: &str| ReversePath::Address(address(text));
        let message = |text: &str| Message::from_bytes(text.as_bytes().to_vec());
        let key = redelivery_key(
            &message("Subject: x\r\n\r\nbody\r\n"),
            &from("a@b.c"),
            &address("d@e.f"),
        );
        let again = message("Return-Path: <a@b.c>\r\nDelivery-date: now\r\nSubject: x\r\n\r\nbody\r\n");
        assert_eq!(redelivery_key(&again, &from("a@b.c"), &address("d@e.f")), key);
        assert_eq!(redelivery_key(&again, &from("a@b.c"), &address("D@E.F")), key);
        for (text, sender, recipient) in [
            ("Subject: y\r\n\r\nbody\r\n", from("a@b.c"), "d@e.f"),
            ("Subject: x\r\n\r\nbody\r\n", from("x@b.c"), "d@e.f"),
            ("Subject: x\r\n\r\nbody\r\n", ReversePath::Null, "d@e.f"),
            ("Subject: x\r\n\r\nbody\r\n", from("a@b.c"), "x@e.f"),
        ] {
            assert_ne!(redelivery_key(&message(text), &sender, &address(recipient)), key);
        }
    }
}
