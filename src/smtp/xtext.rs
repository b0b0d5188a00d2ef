//! xtext (RFC 3461 §4): any text as one word of a command, and the addresses that DSN spells with it (RFC 6533 §3).

use std::fmt::Write;

/// Reads xtext: `+` and two hexadecimal digits stand for an octet; none where it is not xtext, or not UTF-8
/// once decoded. Control characters are none that a value of ours may have.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => hexadecimal(*rest.next()?)? << 4 | hexadecimal(*rest.next()?)?,
            b'=' => return None,
            byte if byte.is_ascii_graphic() || !byte.is_ascii() => *byte,
            _ => return None,
        });
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains(char::is_control))
}

/// Writes a text as xtext; octets beyond ASCII too.
pub(super) fn encode(text: &str) -> String {
    let mut coded = String::with_capacity(text.len());
    for byte in text.bytes() {
        // Writing to a String does not fail.
        let _ = match byte {
            b'+' | b'=' => write!(coded, "+{byte:02X}"),
            byte if byte.is_ascii_graphic() => write!(coded, "{}", char::from(byte)),
            _ => write!(coded, "+{byte:02X}"),
        };
    }
    coded
}

/// Reads the address of ORCPT behind its type: xtext for `rfc822`, and for `utf-8` UTF-8 or `\x{...}`.
pub(super) fn decode_address(kind: &str, text: &str) -> Option<String> {
    match kind.eq_ignore_ascii_case("utf-8") {
        true => decode_utf8(text),
        false => decode(text),
    }
}

/// Writes an address with its type, as ORCPT has it: `utf-8` where it needs it, in ASCII unless `smtputf8`.
pub(super) fn encode_address(address: &str, smtputf8: bool) -> String {
    let mut text = String::from(if address.is_ascii() { "rfc822;" } else { "utf-8;" });
    for c in address.chars() {
        let plain = c.is_ascii_graphic() && !matches!(c, '+' | '=' | '\\');
        // Writing to a String does not fail.
        let _ = match c {
            _ if plain || !c.is_ascii() && smtputf8 => write!(text, "{c}"),
            _ if address.is_ascii() => write!(text, "+{:02X}", u32::from(c)),
            _ => write!(text, "\\x{{{:02X}}}", u32::from(c)),
        };
    }
    text
}

fn hexadecimal(digit: u8) -> Option<u8> {
    // RFC 3461 §4: upper case alone; clients write either.
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

// RFC 6533 §3: EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"
fn decode_utf8(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        decoded.push_str(&rest[..at]);
        let point = rest[at..].strip_prefix("\\x{")?;
        let (digits, after) = point.split_once('}')?;
        decoded.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        rest = after;
    }
    decoded.push_str(rest);
    (!decoded.contains(char::is_control)).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_come_back() {
        for (coded, text) in [
            ("", Some("")),
            ("ann+2Bx@example.org", Some("ann+x@example.org")),
            ("a+2bb", Some("a+b")),
            ("gr+C3+BC+C3+9F", Some("grüß")),
            ("a=b", None),
            ("a b", None),
            ("a+", None),
            ("a+2", None),
            ("a+2G", None),
            ("a+0D+0A", None),
            ("a+FF", None),
        ] {
            assert_eq!(decode(coded).as_deref(), text, "{coded}");
        }
        for text in ["", "a+b=c d", "grüß", "100%"] {
            assert_eq!(decode(&encode(text)).as_deref(), Some(text));
            assert!(encode(text).bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }

    #[test]
    fn addresses_are_spelled_for_the_wire_and_read_again() {
        for (address, smtputf8, spelled) in [
            ("a=b@example.org", false, "rfc822;a+3Db@example.org"),
            ("\"a b\"@example.org", true, "rfc822;\"a+20b\"@example.org"),
            (
                "jörg+x@exämple.org",
                false,
                "utf-8;j\\x{F6}rg\\x{2B}x@ex\\x{E4}mple.org",
            ),
            ("jörg@exämple.org", true, "utf-8;jörg@exämple.org"),
        ] {
            assert_eq!(encode_address(address, smtputf8), spelled);
            let (kind, text) = spelled.split_once(';').unwrap();
            assert_eq!(decode_address(kind, text).as_deref(), Some(address));
        }
        for broken in ["\\", "\\x{}", "\\x{110000}", "\\x{41", "\\x{D}"] {
            assert_eq!(decode_address("UTF-8", broken), None, "{broken}");
        }
    }
}
