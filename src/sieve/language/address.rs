//! Parts of addresses: RFC 5228 §2.7.4, RFC 5233.

use super::arguments::Arguments;
use super::checker::Checker;
use super::extension::Extension;
use crate::mail::Address;
use crate::message::{Mailbox, mailboxes};

/// The part of an address that a test compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressPart {
    All,
    LocalPart,
    Domain,
    /// What stands before the delimiter in the local part (RFC 5233 §4).
    User,
    /// What stands behind it.
    Detail,
}

impl AddressPart {
    /// Takes the tag, `:all` where there is none.
    pub(super) fn take(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> AddressPart {
        let tags = [
            ("all", None),
            ("localpart", None),
            ("domain", None),
            ("user", Some(Extension::Subaddress)),
            ("detail", Some(Extension::Subaddress)),
        ];
        match arguments.one_of(checker, &tags).map(|(tag, _)| tag) {
            Some("localpart") => AddressPart::LocalPart,
            Some("domain") => AddressPart::Domain,
            Some("user") => AddressPart::User,
            Some("detail") => AddressPart::Detail,
            _ => AddressPart::All,
        }
    }

    /// The part of an address; none where it has no such part.
    pub(super) fn of<'a>(self, address: &'a str, delimiters: &str) -> Option<&'a str> {
        let (local, domain) = split(address);
        match self {
            AddressPart::All => Some(address),
            AddressPart::LocalPart => Some(local),
            AddressPart::Domain => domain,
            AddressPart::User => Some(
                local
                    .split_once(|c| delimiters.contains(c))
                    .map_or(local, |(user, _)| user),
            ),
            // RFC 5233 §4: without a delimiter there is no detail, which is not the same as an empty one.
            AddressPart::Detail => local.split_once(|c| delimiters.contains(c)).map(|(_, detail)| detail),
        }
    }
}

// RFC 5228 §2.7.4: the local part is compared without its quotes; those who write addresses seldom know that
// they are there, so they stay where they are needed.
fn split(address: &str) -> (&str, Option<&str>) {
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            let bare = local.strip_prefix('"').and_then(|local| local.strip_suffix('"'));
            (
                bare.filter(|bare| !bare.contains(['"', '\\'])).unwrap_or(local),
                Some(domain),
            )
        }
        None => (address, None),
    }
}

/// Checks one mailbox of RFC 5322 §3.4, such as `Ann <ann@example.org>`.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn check_mailbox_address(text: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("\"{}\" is not an address: {why}", text.escape_debug()));
    if text.contains(char::is_control) {
        return wrong("it has a control character");
    }
    let mailboxes = mailboxes(text.as_bytes());
    let address = match mailboxes.as_slice() {
        [
            Mailbox {
                address: Some(address), ..
            },
        ] => address,
        [_, _, ..] => return wrong("it is more than one"),
        _ => return wrong("it has no \"@\" and domain"),
    };
    match Address::parse(address) {
        Ok(address) if address.domain().is_empty() => wrong("it has no domain"),
        Ok(_) => Ok(()),
        Err(error) => wrong(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailbox_addresses() {
        for (text, right) in [
            ("ann@example.org", true),
            ("Ann <ann@example.org>", true),
            ("\"Ann, B.\" <ann@example.org>", true),
            ("Änn <ann@example.org>", true),
            ("ann", false),
            ("", false),
            ("Ann <>", false),
            ("a@example.org, b@example.org", false),
            ("a@example.org\r\nBcc: b@example.org", false),
            ("Ann <ann@exa mple.org>", false),
        ] {
            assert_eq!(check_mailbox_address(text).is_ok(), right, "{text:?}");
        }
    }

    #[test]
    fn parts() {
        use AddressPart::{All, Detail, Domain, LocalPart, User};
        for (part, address, expected) in [
            (All, "a+b@c.d", Some("a+b@c.d")),
            (LocalPart, "a+b@c.d", Some("a+b")),
            (LocalPart, "\"a b\"@c.d", Some("a b")),
            (Domain, "a+b@c.d", Some("c.d")),
            (Domain, "a", None),
            (User, "a+b@c.d", Some("a")),
            (User, "a@c.d", Some("a")),
            (Detail, "a+b+c@c.d", Some("b+c")),
            (Detail, "a+@c.d", Some("")),
            (Detail, "a@c.d", None),
            (Detail, "a-b@c.d", None),
        ] {
            assert_eq!(part.of(address, "+"), expected, "{address}");
        }
        assert_eq!(Detail.of("a-b@c.d", "+-"), Some("b"));
    }
}
