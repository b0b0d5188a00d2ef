//! An address with the name of whom it belongs to.

use mail_parser::parsers::MessageStream;

use crate::mail::Address;

/// Bytes of a text that are looked at for an address.
const TEXT_MAX: usize = 1000;

/// A display name and an address (RFC 5322 §3.4); the name may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedAddress {
    /// The display name, decoded.
    pub name: String,
    /// The address.
    pub address: Address,
}

impl NamedAddress {
    /// Reads the first address of a text such as `Ann Example <ann@example.org>`; none where
    /// there is no valid one, or a line end in it.
    #[must_use]
    pub fn parse(text: &str) -> Option<NamedAddress> {
        if text.len() > TEXT_MAX || text.contains(|c: char| c.is_control() && c != '\t') {
            return None;
        }
        let line = format!("{text}\n");
        let parsed = MessageStream::new(line.as_bytes()).parse_address();
        let first = parsed.as_address()?.first()?;
        Some(NamedAddress {
            name: first.name().unwrap_or_default().to_owned(),
            address: Address::parse(first.address()?.trim()).ok()?,
        })
    }
}

impl From<Address> for NamedAddress {
    fn from(address: Address) -> NamedAddress {
        NamedAddress {
            name: String::new(),
            address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        for (text, name, address) in [
            ("ann@example.org", "", "ann@example.org"),
            ("<ann@example.org>", "", "ann@example.org"),
            ("Ann <ann@example.org>, bob@example.org", "Ann", "ann@example.org"),
            ("\"Ann, me\" <ann@example.org>", "Ann, me", "ann@example.org"),
            ("Änn <jörg@exämple.org>", "Änn", "jörg@exämple.org"),
            ("=?utf-8?Q?=C3=84nn?= <ann@example.org>", "Änn", "ann@example.org"),
        ] {
            let parsed = NamedAddress::parse(text).expect(text);
            assert_eq!(
                (parsed.name.as_str(), parsed.address.to_string().as_str()),
                (name, address),
                "{text}"
            );
        }
        let injected = "Ann <ann@example.org>\r\nBcc: bob@example.org";
        for text in ["", "Ann", "<>", "@", "a b@", injected, &"a".repeat(2000)] {
            let parsed = NamedAddress::parse(text);
            // A lone word may be a system user's bare local part.
            assert!(
                parsed.as_ref().is_none_or(|a| a.address.domain().is_empty()),
                "{text:?} {parsed:?}"
            );
        }
    }
}
