//! ENVELOPE: RFC 9051 §7.5.2.

use std::borrow::Cow;

use super::address_list::{Item, Mailbox, address_list};
use super::strings::{STRING_MAX, nstring, string};

/// Mailboxes and groups of one field.
const ADDRESSES_MAX: usize = 1000;
/// Bytes of Subject and of In-Reply-To.
const TEXT_MAX: usize = 4 * 1024;
/// Bytes of From, Sender and Reply-To, each.
const SENDER_MAX: usize = 6 * 1024;
/// Bytes of To, Cc and Bcc together. With all others the whole stays below 64 KiB.
const RECIPIENTS_MAX: usize = 34 * 1024;

/// What is sent of a message that has no header.
pub(super) const EMPTY: &[u8] = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)";

/// The envelope of the fields that `field` finds by their names in lower case: unfolded, trimmed.
// envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP
//   env-cc SP env-bcc SP env-in-reply-to SP env-message-id ")"
pub(super) fn envelope<'a>(field: impl Fn(&str) -> Option<Cow<'a, [u8]>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let addresses = |name: &str, max: usize| match field(name) {
        Some(raw) => list(&address_list(&raw, ADDRESSES_MAX), max),
        None => NIL.to_vec(),
    };
    out.push(b'(');
    nstring(&mut out, field("date").as_deref(), STRING_MAX);
    out.push(b' ');
    nstring(&mut out, field("subject").as_deref(), TEXT_MAX);
    out.push(b' ');
    let from = addresses("from", SENDER_MAX);
    out.extend_from_slice(&from);
    for name in ["sender", "reply-to"] {
        out.push(b' ');
        // Where the field is absent or empty, the value is that of From.
        let own = addresses(name, SENDER_MAX);
        out.extend_from_slice(if own == NIL { &from } else { &own });
    }
    let mut room = RECIPIENTS_MAX;
    for name in ["to", "cc", "bcc"] {
        out.push(b' ');
        let own = addresses(name, room);
        room = room.saturating_sub(own.len());
        out.extend_from_slice(&own);
    }
    out.push(b' ');
    nstring(&mut out, field("in-reply-to").as_deref(), TEXT_MAX);
    out.push(b' ');
    nstring(&mut out, field("message-id").as_deref(), STRING_MAX);
    out.push(b')');
    out
}

const NIL: &[u8] = b"NIL";
const GROUP_END: &[u8] = b"(NIL NIL NIL NIL)";

// env-from = "(" 1*address ")" / nil
fn list(items: &[Item], max: usize) -> Vec<u8> {
    let mut out = vec![b'('];
    let mut in_group = false;
    for item in items {
        let address = address(item);
        // A group that is open is always ended.
        if out.len() + address.len() + GROUP_END.len() + 1 > max && *item != Item::GroupEnd {
            break;
        }
        out.extend_from_slice(&address);
        in_group = match item {
            Item::Group(_) => true,
            Item::GroupEnd => false,
            Item::Mailbox(_) => in_group,
        };
    }
    if in_group {
        out.extend_from_slice(GROUP_END);
    }
    if out.len() == 1 {
        return NIL.to_vec();
    }
    out.push(b')');
    out
}

// address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
// "(NIL NIL name NIL)" starts a group, so a mailbox without a domain has an empty one.
fn address(item: &Item) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    match item {
        Item::GroupEnd => out.extend_from_slice(GROUP_END),
        Item::Group(name) => {
            out.extend_from_slice(b"(NIL NIL ");
            string(&mut out, name, STRING_MAX);
            out.extend_from_slice(b" NIL)");
        }
        Item::Mailbox(Mailbox {
            name,
            route,
            local,
            domain,
        }) => {
            out.push(b'(');
            nstring(&mut out, name.as_deref(), STRING_MAX);
            out.push(b' ');
            nstring(&mut out, route.as_deref(), STRING_MAX);
            out.push(b' ');
            string(&mut out, local, STRING_MAX);
            out.push(b' ');
            string(&mut out, domain, STRING_MAX);
            out.push(b')');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::super::Message;
    use super::*;

    fn of(text: &str) -> Vec<u8> {
        let message = Message::from_bytes(text);
        envelope(|name| Some(message.header().first(name)?.unfolded()))
    }

    #[test]
    fn writes_envelopes() {
        for (text, expected) in [
            ("", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"),
            (
                "Date: Mon, 1 Jan 2024 00:00:00 +0000\nSubject: =?utf-8?q?a?=\n b \"c\"\nFrom: Ann <ann@a>\nSender:\n\
                 Reply-To: list@a\nTo: g: bob@b;\nMessage-ID:\nIn-Reply-To: <1@a>\n <2@a>\n\n",
                "(\"Mon, 1 Jan 2024 00:00:00 +0000\" \"=?utf-8?q?a?= b \\\"c\\\"\" ((\"Ann\" NIL \"ann\" \"a\")) \
                 ((\"Ann\" NIL \"ann\" \"a\")) ((NIL NIL \"list\" \"a\")) \
                 ((NIL NIL \"g\" NIL)(NIL NIL \"bob\" \"b\")(NIL NIL NIL NIL)) NIL NIL \"<1@a> <2@a>\" \"\")",
            ),
            (
                "Subject: caf\u{e9}\nTo: ann\n\n",
                "(NIL {5}\r\ncaf\u{e9} NIL NIL NIL ((NIL NIL \"ann\" \"\")) NIL NIL NIL NIL)",
            ),
        ] {
            assert_eq!(String::from_utf8_lossy(&of(text)), expected);
        }
    }

    #[test]
    fn a_flood_is_cut() {
        let people = "g: ".to_owned() + &"\"Quoted \\\"Name\\\"\" <someone@example.org>,\n ".repeat(20_000);
        let long = "x".repeat(30_000) + "@b, y@z";
        let text = format!(
            "Subject: {long}\nDate: {long}\nMessage-ID: {long}\nIn-Reply-To: {long}\nFrom: {people}\nSender: {people}\n\
             Reply-To: {people}\nTo: {long}\nCc: {people}\nBcc: {people}\n\n"
        );
        let sent = of(&text);
        assert!(sent.len() <= 64 * 1024, "{}", sent.len());
        let text = String::from_utf8(sent).unwrap();
        assert_eq!(
            text.matches("\"g\" NIL)").count(),
            text.matches("(NIL NIL NIL NIL)").count()
        );
        assert!(text.ends_with("x\")"));
    }
}
