//! URIs of the notification method `mailto`: RFC 5436 §2, RFC 6068.

use crate::mail::Address;

/// What a URI of a notification method is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// A `mailto:`.
    Mailto {
        /// How many addresses it names. RFC 6068 §2: none is right; but nobody can be notified then.
        recipients: usize,
        /// Its header fields that mean nothing here.
        ignored: Vec<String>,
    },
    /// A `mailto:` that is broken, and how.
    Wrong(String),
    /// Another method, or none.
    Unknown,
}

/// Reads a URI. RFC 6068 §2: mailtoURI = "mailto:" [ to ] [ hfields ]
pub(super) fn method(uri: &str) -> Method {
    match uri.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mailto") => match mailto(rest) {
            Ok((recipients, ignored)) => Method::Mailto { recipients, ignored },
            Err(why) => Method::Wrong(format!("\"{}\" is not a mailto URI: {why}", uri.escape_debug())),
        },
        _ => Method::Unknown,
    }
}

fn mailto(rest: &str) -> Result<(usize, Vec<String>), String> {
    // RFC 3986 §2: a URI is ASCII without spaces.
    if let Some(c) = rest
        .chars()
        .find(|c| !c.is_ascii_graphic() || "<>\"{}|\\^`".contains(*c))
    {
        return Err(format!("{c:?} must be written with percent signs"));
    }
    let (to, fields) = match rest.split_once('?') {
        Some((to, fields)) => (to, Some(fields)),
        None => (rest, None),
    };
    let mut recipients = check_addresses(to)?;
    let mut ignored = Vec::new();
    for field in fields.iter().flat_map(|fields| fields.split('&')) {
        let Some((name, value)) = field.split_once('=') else {
            return Err(format!("\"{field}\" has no equals sign"));
        };
        let name = decoded(name)?;
        let text = decoded(value)?;
        match name.to_ascii_lowercase().as_str() {
            "to" => recipients += check_addresses(value)?,
            "body" => continue,
            "subject" => {}
            "" => return Err("a field has no name".to_owned()),
            _ => ignored.push(name),
        }
        // RFC 6068 §5 has line ends in the body; in a field one would begin another.
        if text.contains(['\r', '\n', '\0']) {
            return Err("a field holds a line end".to_owned());
        }
    }
    Ok((recipients, ignored))
}

// RFC 6068 §2: to = addr-spec *("," addr-spec). How many they are.
fn check_addresses(list: &str) -> Result<usize, String> {
    let mut count = 0;
    for part in list.split(',').filter(|part| !part.is_empty()) {
        let text = decoded(part)?;
        match Address::parse(&text) {
            Ok(address) if address.domain().is_empty() => return Err(format!("{text:?} has no domain")),
            Ok(_) => count += 1,
            Err(error) => return Err(format!("{text:?} is not an address: {error}")),
        }
    }
    Ok(count)
}

// RFC 3986 §2.1: pct-encoded = "%" HEXDIG HEXDIG
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let digits = rest.get(at + 1..at + 3).unwrap_or_default();
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u8::from_str_radix(digits, 16) {
            Ok(byte) if hex => bytes.push(byte),
            _ => return Err("two hexadecimal digits must follow a percent sign".to_owned()),
        }
        rest = &rest[at + 3..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map_err(|_| "what is behind percent signs is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods() {
        let right = |recipients: usize, ignored: &[&str]| Method::Mailto {
            recipients,
            ignored: ignored.iter().map(|name| (*name).to_owned()).collect(),
        };
        for (uri, expected) in [
            ("mailto:a@example.org", right(1, &[])),
            ("MAILTO:a%2Bb@example.org,c@example.org", right(2, &[])),
            ("mailto:?to=a@example.org", right(1, &[])),
            ("mailto:", right(0, &[])),
            ("mailto:?subject=x", right(0, &[])),
            // RFC 5436 §3
            (
                "mailto:alm@example.com?Cc=tim@example.com&From=x",
                right(1, &["Cc", "From"]),
            ),
            ("mailto:a@example.org?subject=a%20b&body=x%0D%0Ay", right(1, &[])),
            ("xmpp:a@example.org", Method::Unknown),
            ("a@example.org", Method::Unknown),
            ("", Method::Unknown),
        ] {
            assert_eq!(method(uri), expected, "{uri}");
        }
        for uri in [
            "mailto:nobody",
            "mailto:a@",
            "mailto:a b@example.org",
            "mailto:a%2@example.org",
            "mailto:a%zz@example.org",
            "mailto:a%ff@example.org",
            "mailto:a@example.org?subject",
            "mailto:a@example.org?=x",
            "mailto:a@example.org?subject=x%0D%0ABcc:b@example.org",
            "mailto:a@example.org?to=none",
            "mailto:a%0D%0A@example.org",
        ] {
            assert!(matches!(method(uri), Method::Wrong(_)), "{uri}: {:?}", method(uri));
        }
    }
}
