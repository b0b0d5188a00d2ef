//! The mailto URI of a notification (RFC 6068): its subject and body.

/// What of a mailto URI is used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mailto {
    /// `subject=`, decoded.
    pub subject: Option<String>,
    /// `body=`, decoded.
    pub body: Option<String>,
}

impl Mailto {
    /// Reads the header fields of a URI; all but subject and body are left out
    /// (RFC 6068 §4: those that could do harm are to be ignored).
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
            }
        }
        mailto
    }
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
