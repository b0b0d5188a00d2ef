//! `${hex:...}` and `${unicode:...}` in strings, where `encoded-character` is required (RFC 5228 §2.4.2.4).

/// Decodes the encoded characters of a string.
///
/// # Errors
/// Says which code is no character, or that the octets are no text.
pub(in crate::sieve) fn decode(text: &str) -> Result<String, String> {
    let mut decoded: Vec<u8> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        decoded.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        match encoded(rest)? {
            Some((bytes, length)) => {
                decoded.extend_from_slice(&bytes);
                rest = &rest[length..];
            }
            None => {
                decoded.extend_from_slice(b"${");
                rest = &rest[2..];
            }
        }
    }
    decoded.extend_from_slice(rest.as_bytes());
    String::from_utf8(decoded).map_err(|_| "the ${hex:...} of this string do not make UTF-8 text".to_owned())
}

// encoded-arb-octets = "${hex:" hex-pair-seq "}"; encoded-unicode-char = "${unicode:"
// unicode-hex-seq "}". What does not fit the grammar stands for itself.
fn encoded(text: &str) -> Result<Option<(Vec<u8>, usize)>, String> {
    let Some(end) = text.find('}') else {
        return Ok(None);
    };
    let Some((kind, codes)) = text[2..end].split_once(':') else {
        return Ok(None);
    };
    let unicode = kind.eq_ignore_ascii_case("unicode");
    if !unicode && !kind.eq_ignore_ascii_case("hex") {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    for code in codes.split([' ', '\t', '\r', '\n']).filter(|code| !code.is_empty()) {
        let hex = code.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some(number) = u32::from_str_radix(code, 16).ok().filter(|_| hex) else {
            return Ok(None);
        };
        if unicode {
            let c = char::from_u32(number).ok_or_else(|| format!("U+{code} is no character"))?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else if let (Ok(byte), 1..=2) = (u8::try_from(number), code.len()) {
            bytes.push(byte);
        } else {
            return Ok(None);
        }
    }
    Ok((!bytes.is_empty()).then_some((bytes, end + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_characters() {
        // RFC 5228 §2.4.2.4
        for (text, decoded) in [
            ("$${hex:40}", "$@"),
            ("${hex: 40 }", "@"),
            ("${HEX: 40}", "@"),
            ("${hex:40", "${hex:40"),
            ("${hex:400}", "${hex:400}"),
            ("${hex:4${hex:30}}", "${hex:40}"),
            ("${unicode:40}", "@"),
            ("${ unicode:40}", "${ unicode:40}"),
            ("${UNICODE:40}", "@"),
            ("${UnICoDE:0000040}", "@"),
            ("${Unicode:40}", "@"),
            ("${Unicode:Cool}", "${Unicode:Cool}"),
            ("${hex:c3 a4}", "ä"),
            ("${unicode:e4 1F600}", "ä😀"),
            ("${hex:}", "${hex:}"),
            ("no code", "no code"),
        ] {
            assert_eq!(decode(text).as_deref(), Ok(decoded), "{text}");
        }
        for text in ["${unicode:200000}", "${unicode:D800}", "${hex:c3}"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
