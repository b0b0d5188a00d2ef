//! Addresses of the envelope: RFC 5321 §4.1.2, with UTF-8 as in RFC 6531 §3.3.

use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Octets a local part may have here. RFC 5321 §4.5.3.1.1 has 64, but the return paths
/// of mailing lists (VERP, SRS) are longer in practice, and their mail must come in.
const LOCAL_PART_MAX: usize = 255;
/// Octets a domain may have (RFC 5321 §4.5.3.1.2).
const DOMAIN_MAX: usize = 255;

/// A mailbox of the envelope, `local@domain`, or a bare local part.
///
/// The local part is kept without its quotes and escapes; [`fmt::Display`]
/// writes them back where the grammar asks for them. The bare form exists for
/// `<postmaster>` (RFC 5321 §4.5.1) and for system users.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: String,
    domain: String,
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing before the `@`, or nothing at all.
    #[error("the local part is empty")]
    EmptyLocalPart,
    /// More than 255 octets before the `@`.
    #[error("the local part is longer than 255 octets")]
    LocalPartTooLong,
    /// More than 255 octets after the `@`.
    #[error("the domain is longer than 255 octets")]
    DomainTooLong,
    /// A character that the grammar does not allow here.
    #[error("{0:?} is not allowed in an address here")]
    Forbidden(char),
    /// A quoted local part without its closing quote.
    #[error("the quoted local part does not end")]
    Unclosed,
    /// A domain with an empty, overlong or ill-formed label, or a bad literal.
    #[error("the domain {0:?} is not valid")]
    Domain(String),
}

impl Address {
    /// Parses `Mailbox` (RFC 5321 §4.1.2), without angle brackets or source
    /// route; also a bare local part.
    ///
    /// # Errors
    /// [`AddressError`] names the first thing that the grammar does not allow.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let (local, rest) = match text.strip_prefix('"') {
            Some(quoted) => quoted_string(quoted)?,
            None => dot_string(text)?,
        };
        if local.is_empty() {
            return Err(AddressError::EmptyLocalPart);
        }
        if local.len() > LOCAL_PART_MAX {
            return Err(AddressError::LocalPartTooLong);
        }
        let domain = match rest.strip_prefix('@') {
            Some(domain) => {
                check_domain(domain)?;
                domain
            }
            None if rest.is_empty() => "",
            None => return Err(AddressError::Forbidden(rest.chars().next().unwrap_or('@'))),
        };
        Ok(Address {
            local,
            domain: domain.to_owned(),
        })
    }

    /// The same domain with another local part.
    ///
    /// # Errors
    /// [`AddressError`] where `local` is empty, too long or has control characters.
    pub fn with_local(&self, local: &str) -> Result<Address, AddressError> {
        if local.is_empty() {
            return Err(AddressError::EmptyLocalPart);
        }
        if local.len() > LOCAL_PART_MAX {
            return Err(AddressError::LocalPartTooLong);
        }
        if let Some(c) = local.chars().find(|c| c.is_control()) {
            return Err(AddressError::Forbidden(c));
        }
        Ok(Address {
            local: local.to_owned(),
            domain: self.domain.clone(),
        })
    }

    /// The local part, without quotes and escapes.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain as written; empty for a bare local part.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether the address needs no SMTPUTF8 (RFC 6531) on the wire.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.is_ascii()
    }

    /// Whether both name the same mailbox when the case of letters is ignored.
    #[must_use]
    pub fn same_mailbox(&self, other: &Address) -> bool {
        self.folded() == other.folded()
    }

    /// The address in lower case, for use as a key.
    #[must_use]
    pub fn folded(&self) -> String {
        self.to_string().to_lowercase()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            f.write_str(&self.local)?;
        } else {
            f.write_str("\"")?;
            for c in self.local.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_str("\\")?;
                }
                f.write_char(c)?;
            }
            f.write_str("\"")?;
        }
        if self.domain.is_empty() {
            return Ok(());
        }
        f.write_str("@")?;
        f.write_str(&self.domain)
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        Address::parse(text)
    }
}

/// The return address of the envelope (RFC 5321 §4.1.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`: a notification, which must never be answered (RFC 5321 §4.5.5).
    Null,
    /// Where failures are reported.
    Address(Address),
}

impl ReversePath {
    /// The address, where there is one.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        match self {
            ReversePath::Null => None,
            ReversePath::Address(address) => Some(address),
        }
    }
}

/// Without angle brackets; the null path is the empty text.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().map_or(Ok(()), |address| address.fmt(f))
    }
}

// RFC 5321 §4.1.2: Quoted-string = DQUOTE *QcontentSMTP DQUOTE
fn quoted_string(text: &str) -> Result<(String, &str), AddressError> {
    let mut local = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Ok((local, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, c)) if !c.is_control() => local.push(c),
                Some((_, c)) => return Err(AddressError::Forbidden(c)),
                None => return Err(AddressError::Unclosed),
            },
            c if c.is_control() => return Err(AddressError::Forbidden(c)),
            c => local.push(c),
        }
    }
    Err(AddressError::Unclosed)
}

// RFC 5321 §4.1.2: Dot-string = Atom *("." Atom). Leading, trailing and doubled
// dots are taken too: real senders have them, and a reply must reach them.
fn dot_string(text: &str) -> Result<(String, &str), AddressError> {
    let end = text.find('@').unwrap_or(text.len());
    let (local, rest) = text.split_at(end);
    match local.chars().find(|c| *c != '.' && !is_atext(*c)) {
        Some(c) => Err(AddressError::Forbidden(c)),
        None => Ok((local.to_owned(), rest)),
    }
}

fn is_dot_string(local: &str) -> bool {
    !local.is_empty() && local.chars().all(|c| c == '.' || is_atext(c))
}

// RFC 5322 §3.2.3 atext; RFC 6531 §3.3 adds UTF8-non-ascii.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control())
}

fn check_domain(domain: &str) -> Result<(), AddressError> {
    if domain.len() > DOMAIN_MAX {
        return Err(AddressError::DomainTooLong);
    }
    let valid = match domain.strip_prefix('[') {
        Some(literal) => literal.strip_suffix(']').is_some_and(is_address_literal),
        None => domain.split('.').all(is_label),
    };
    if valid {
        Ok(())
    } else {
        Err(AddressError::Domain(domain.to_owned()))
    }
}

// RFC 5321 §4.1.3
fn is_address_literal(literal: &str) -> bool {
    match literal.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => literal[5..].parse::<Ipv6Addr>().is_ok(),
        _ => literal.parse::<Ipv4Addr>().is_ok(),
    }
}

// RFC 5321 §4.1.2: sub-domain = Let-dig [Ldh-str] / U-label. The underscore is
// not in the grammar, but it is in the world's host names.
fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|c| {
            c.is_ascii_alphanumeric()
                || c == '-'
                || c == '_'
                || (!c.is_ascii() && !c.is_control() && !c.is_whitespace())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for (text, local, domain) in [
            ("ann@example.org", "ann", "example.org"),
            ("Postmaster", "Postmaster", ""),
            ("\"a b\"@example.org", "a b", "example.org"),
            ("\"a\\\"b\"@example.org", "a\"b", "example.org"),
            ("a..b@example.org", "a..b", "example.org"),
            ("jörg@exämple.org", "jörg", "exämple.org"),
            ("a@[127.0.0.1]", "a", "[127.0.0.1]"),
            ("a@[IPv6:::1]", "a", "[IPv6:::1]"),
            ("a/b@example.org", "a/b", "example.org"),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!((address.local(), address.domain()), (local, domain), "{text}");
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn refuses() {
        let long = format!("{}@example.org", "a".repeat(256));
        for text in [
            "",
            "@",
            "@example.org",
            "\"\"@example.org",
            "\"a@example.org",
            "a b@example.org",
            "a@",
            "a@b..c",
            "a@-b",
            "a@b c",
            "a@[1.2.3]",
            "a@b@c",
            "<a@b>",
            "a\0@b",
            "\"a\r\n\"@b",
            "a@b\n",
            "\"a\"b@c",
            long.as_str(),
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn same_mailbox_ignores_case() {
        let (a, b) = (
            Address::parse("Ann@Example.ORG").unwrap(),
            Address::parse("ann@example.org").unwrap(),
        );
        assert!(a.same_mailbox(&b));
        assert_ne!(a, b);
    }
}
