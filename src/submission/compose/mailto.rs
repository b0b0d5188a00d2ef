//! The mailto URI of a notification (RFC 6068): its subject, its body, and who else gets it.

use crate::mail::Address;

/// What of a mailto URI is used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mailto {
    /// `subject=`, decoded.
    pub subject: Option<String>,
    /// `body=`, decoded.
    pub body: Option<String>,
    /// `cc=`: they get it too.
    pub cc: Vec<Address>,
    /// `bcc=`: they get it too, and stand nowhere in it.
    pub bcc: Vec<Address>,
}

impl Mailto {
    /// Reads the header fields of a URI. RFC 5436 §2.7 has some of them set by nobody but us, From, Date,
    /// Message-ID and Auto-Submitted among them, and RFC 6068 §4 has those ignored that could do harm: all but
    /// these are left out. The addresses of the path and of `to=` are the caller's.
    pub(super) fn parse(uri: &str) -> Mailto {
        let mut mailto = Mailto::default();
        let Some((_, fields)) = uri.split_once('?') else {
            return mailto;
        };
        for (name, value) in fields.split('&').filter_map(|field| field.split_once('=')) {
            if name.eq_ignore_ascii_case("subject") {
                mailto.subject = Some(decoded(value));
            } else if name.eq_ignore_ascii_case("body") {
                mailto.body = Some(decoded(value));
            } else if name.eq_ignore_ascii_case("cc") {
                mailto.cc.extend(addresses(value));
            } else if name.eq_ignore_ascii_case("bcc") {
                mailto.bcc.extend(addresses(value));
            }
        }
        mailto
    }
}

// RFC 6068 §2: addr-spec *("," addr-spec), where a comma within one is encoded.
fn addresses(list: &str) -> impl Iterator<Item = Address> {
    let parsed = list
        .split(',')
        .filter_map(|text| Address::parse(decoded(text).trim()).ok());
    parsed.filter(|address| !address.domain().is_empty())
}

// RFC 3986 §2.1. A plus sign stands for itself (RFC 6068 §5).
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        match (first, after) {
            (b'%', [high, low, after @ ..]) if let (Some(high), Some(low)) = (digit(*high), digit(*low)) => {
                bytes.push(high * 16 + low);
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_get_it_too() {
        let mailto = Mailto::parse(
            "mailto:a@b?cc=c@d,%22e%2Cf%22@g&BCC=h@i&cc=j%0D%0ABcc:k@l,m&from=n@o&In-Reply-To=%3Cp@q%3E&auto-submitted=no",
        );
        let texts = |list: &[Address]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(&mailto.cc), ["c@d", "\"e,f\"@g"]);
        assert_eq!(texts(&mailto.bcc), ["h@i"]);
        assert_eq!((mailto.subject, mailto.body), (None, None));
    }

    #[test]
    fn parses() {
        for (uri, subject, body) in [
            ("mailto:ann@example.org", None, None),
            ("mailto:a@b?", None, None),
            (
                "mailto:a@b?Subject=new%20mail&bcc=x@y&body=a%0D%0Ab+c",
                Some("new mail"),
                Some("a\r\nb+c"),
            ),
            ("mailto:a@b?subject=%C3%A4%zz%", Some("ä%zz%"), None),
            ("mailto:a@b?subject=%FF", Some("\u{fffd}"), None),
        ] {
            let mailto = Mailto::parse(uri);
            assert_eq!(
                (mailto.subject.as_deref(), mailto.body.as_deref()),
                (subject, body),
                "{uri}"
            );
        }
    }
}
