//! What a trusted peer says of the client it speaks for: XCLIENT and XFORWARD, as Postfix has them.
//!
//! XFORWARD tells from whom the peer had the message, for logs and filters; XCLIENT puts
//! that client in the place of the peer. Both are words of `NAME=value`, the value in xtext.

use std::net::IpAddr;

use super::{Reply, xtext};
use crate::mail::Forwarded;

/// The attributes that are announced with XCLIENT.
pub(super) const XCLIENT: &str = "XCLIENT NAME ADDR PORT PROTO HELO";
/// The attributes that are announced with XFORWARD.
pub(super) const XFORWARD: &str = "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE";
/// Octets of a value that are kept.
const VALUE_MAX: usize = 255;

/// What was said; a value that the peer does not have is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes(Vec<(Attribute, Option<String>)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attribute {
    Name,
    Addr,
    Helo,
    Ident,
    /// PORT, PROTO and SOURCE: they are well formed, and nothing here asks for them.
    Other,
}

/// Reads the words behind the verb.
pub(super) fn parse(argument: &str) -> Result<Attributes, Reply> {
    let bad = || Reply::new(501, (5, 5, 4), "Write words of NAME=value, the value in xtext");
    let mut attributes = Vec::new();
    for word in argument.split(' ').filter(|word| !word.is_empty()) {
        let (name, value) = word.split_once('=').ok_or_else(bad)?;
        let attribute = match name.to_ascii_uppercase().as_str() {
            "NAME" => Attribute::Name,
            "ADDR" => Attribute::Addr,
            "HELO" => Attribute::Helo,
            "IDENT" => Attribute::Ident,
            "PORT" | "PROTO" | "SOURCE" => Attribute::Other,
            _ => return Err(Reply::new(501, (5, 5, 4), "This attribute was not announced")),
        };
        let value = xtext::decode(value)
            .filter(|value| value.len() <= VALUE_MAX)
            .ok_or_else(bad)?;
        let absent =
            value.is_empty() || ["[UNAVAILABLE]", "[TEMPUNAVAIL]"].contains(&value.to_ascii_uppercase().as_str());
        if attribute == Attribute::Addr && !absent && address(&value).is_none() {
            return Err(bad());
        }
        attributes.push((attribute, (!absent).then_some(value)));
    }
    match attributes.is_empty() {
        true => Err(bad()),
        false => Ok(Attributes(attributes)),
    }
}

impl Attributes {
    /// Adds what was said to what is known; later words replace earlier ones.
    pub(super) fn add_to(self, forwarded: &mut Forwarded) {
        for (attribute, value) in self.0 {
            match attribute {
                Attribute::Name => forwarded.name = value,
                Attribute::Addr => forwarded.address = value.as_deref().and_then(address),
                Attribute::Helo => forwarded.helo = value,
                Attribute::Ident => forwarded.queue_id = value,
                Attribute::Other => {}
            }
        }
    }

    /// The address that was given; none where the word is not there.
    pub(super) fn address(&self) -> Option<Option<IpAddr>> {
        let mut given = self
            .0
            .iter()
            .rev()
            .filter(|(attribute, _)| *attribute == Attribute::Addr);
        given.next().map(|(_, value)| value.as_deref().and_then(address))
    }
}

// RFC 5321 §4.1.3 without the brackets: IPv6 has a tag, which some clients leave out.
fn address(text: &str) -> Option<IpAddr> {
    let tagged = text.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    let bare = if tagged { &text[5..] } else { text };
    bare.parse().ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_said_of_the_client() {
        let mut forwarded = Forwarded::default();
        for words in [
            "NAME=client.example.com ADDR=192.0.2.9 PORT=4711 PROTO=ESMTP",
            "helo=host+2Bx IDENT=4bXy SOURCE=REMOTE",
            "NAME=[UNAVAILABLE]",
        ] {
            parse(words).unwrap().add_to(&mut forwarded);
        }
        let expected = Forwarded {
            name: None,
            address: Some("192.0.2.9".parse().unwrap()),
            helo: Some("host+x".to_owned()),
            queue_id: Some("4bXy".to_owned()),
        };
        assert_eq!(forwarded, expected);
        let address = |words| parse(words).unwrap().address();
        assert_eq!(address("ADDR=IPv6:2001:db8::1"), Some("2001:db8::1".parse().ok()));
        assert_eq!(address("ADDR=[TEMPUNAVAIL]"), Some(None));
        assert_eq!(address("NAME=x"), None);
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for words in ["", "NAME", "NAME=a=b", "ADDR=example.org", "LOGIN=x", "IDENT=a+0Ab"] {
            assert_eq!(parse(words).unwrap_err().code(), 501, "{words}");
        }
        let long = format!("IDENT={}", "x".repeat(VALUE_MAX + 1));
        assert_eq!(parse(&long).unwrap_err().code(), 501);
    }
}
