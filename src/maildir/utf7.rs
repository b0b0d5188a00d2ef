//! Modified UTF-7 (RFC 3501 §5.1.3): folder names as Dovecot writes them.

/// The digits of modified base 64: `,` where base 64 has `/`, no padding.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Encodes a name for the disk.
pub(super) fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    let mut units: Vec<u16> = Vec::new();
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            flush(&mut units, &mut encoded);
            encoded.push(c);
            if c == '&' {
                encoded.push('-');
            }
        } else {
            units.extend(c.encode_utf16(&mut [0; 2]).iter());
        }
    }
    flush(&mut units, &mut encoded);
    encoded
}

/// Decodes a name found on the disk; none where it is not the one encoding of a name.
pub(crate) fn decode(encoded: &str) -> Option<String> {
    let mut name = String::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(at) = rest.find('&') {
        name.push_str(&rest[..at]);
        let end = at + rest[at..].find('-')?;
        let digits = &rest[at + 1..end];
        if digits.is_empty() {
            name.push('&');
        } else {
            name.push_str(&decode_run(digits)?);
        }
        rest = &rest[end + 1..];
    }
    name.push_str(rest);
    // One name, one folder: an encoding that we would not write is not taken.
    (encode(&name) == encoded).then_some(name)
}

fn flush(units: &mut Vec<u16>, encoded: &mut String) {
    if units.is_empty() {
        return;
    }
    encoded.push('&');
    let (mut bits, mut count) = (0u32, 0u32);
    for unit in units.drain(..) {
        bits = (bits << 16) | u32::from(unit);
        count += 16;
        while count >= 6 {
            count -= 6;
            encoded.push(digit(bits >> count));
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        encoded.push(digit(bits << (6 - count)));
    }
    encoded.push('-');
}

fn digit(bits: u32) -> char {
    char::from(DIGITS[(bits & 63) as usize])
}

fn decode_run(digits: &str) -> Option<String> {
    let mut units = Vec::new();
    let (mut bits, mut count) = (0u32, 0u32);
    for byte in digits.bytes() {
        let value = DIGITS.iter().position(|digit| *digit == byte)?;
        bits = (bits << 6) | u32::try_from(value).ok()?;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push(u16::try_from(bits >> count).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_names() {
        // RFC 3501 §5.1.3 has the first two.
        for (name, encoded) in [
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("a&b", "a&-b"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("Отправленные", "&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-"),
            ("😀", "&2D3eAA-"),
            ("plain", "plain"),
        ] {
            assert_eq!(encode(name), encoded);
            assert_eq!(decode(encoded).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_is_not_the_one_encoding_is_refused() {
        for encoded in ["&", "&!-", "&AGE-", "a&APw", "&APw-&APw-", "&2D0-", "ü", "&A-", "&APx-"] {
            assert_eq!(decode(encoded), None, "{encoded}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "\\PC{0,40}") {
            prop_assert_eq!(decode(&encode(&name)), Some(name));
        }

        #[test]
        fn no_text_panics(text in "[&A-Za-z,+-]{0,20}") {
            let _ = decode(&text);
        }
    }
}
