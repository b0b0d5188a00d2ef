//! Replies as they come from a server (RFC 5321 §4.2).

use super::super::reply::{EnhancedStatus, Reply};
use super::ClientError;

/// Octets of one reply with all its lines.
const REPLY_MAX: usize = 16_384;

/// Reads one reply, with all its lines, from the start of `input`.
///
/// Gives how many bytes it took; none where more must be read. A LF alone ends a line
/// here: a reply is only shown and counted, and some servers write it so.
///
/// # Errors
/// [`ClientError::BadReply`] for what is no reply, or one of more than 16 KiB.
pub fn parse_reply(input: &[u8]) -> Result<Option<(usize, Reply)>, ClientError> {
    let (mut lines, mut code, mut consumed) = (Vec::new(), None, 0);
    for line in input[..input.len().min(REPLY_MAX)].split_inclusive(|b| *b == b'\n') {
        let Some(text) = line.strip_suffix(b"\n") else {
            break;
        };
        consumed += line.len();
        let (this, last, text) = parse_line(text.strip_suffix(b"\r").unwrap_or(text))?;
        if code.is_some_and(|code| code != this) {
            return Err(ClientError::BadReply("its lines have different codes"));
        }
        code = Some(this);
        lines.push(text);
        if last {
            return Ok(Some((consumed, reply(this, lines))));
        }
    }
    if input.len() >= REPLY_MAX {
        return Err(ClientError::BadReply("it does not end"));
    }
    Ok(None)
}

// RFC 5321 §4.2: Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
fn parse_line(line: &[u8]) -> Result<(u16, bool, String), ClientError> {
    let bad = ClientError::BadReply("a line does not begin with a code");
    let (code, rest) = match line {
        [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let digits = [a, b, c].map(|digit| u16::from(digit - b'0'));
            (digits[0] * 100 + digits[1] * 10 + digits[2], rest)
        }
        _ => return Err(bad),
    };
    let (last, text) = match rest {
        [] => (true, rest),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return Err(bad),
    };
    let text = String::from_utf8_lossy(text);
    Ok((
        code,
        last,
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
    ))
}

// RFC 2034 §4: the same status at the start of every line, of the class of the code.
fn reply(code: u16, lines: Vec<String>) -> Reply {
    let first = lines.first().and_then(|line| enhanced(line));
    let Some((status, _)) = first.filter(|(status, _)| u16::from(status.0) == code / 100) else {
        return Reply::received(code, None, lines);
    };
    let without = |line: &String| match enhanced(line) {
        Some((other, rest)) if other == status => rest.to_owned(),
        _ => line.clone(),
    };
    Reply::received(code, Some(status), lines.iter().map(without).collect())
}

// RFC 3463 §2: status-code = class "." subject "." detail
fn enhanced(line: &str) -> Option<(EnhancedStatus, &str)> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut numbers = word.split('.');
    let (class, subject, detail) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let digits = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if numbers.next().is_some() || ![class, subject, detail].into_iter().all(digits) {
        return None;
    }
    let status = (class.parse().ok()?, subject.parse().ok()?, detail.parse().ok()?);
    Some((status, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parses() {
        for (wire, shown, length) in [
            (&b"250 2.1.5 OK\r\nmore"[..], "250 2.1.5 OK", 14),
            (b"250-a\r\n250 b\r\n", "250 a b", 14),
            (b"550-5.7.1 a\r\n550 5.7.1 b\r\n", "550 5.7.1 a b", 26),
            (b"250\r\n", "250", 5),
            (b"250 ok\n", "250 ok", 7),
            (b"250 5.1.1 x\r\n", "250 5.1.1 x", 13),
            (b"250 1.2.3.4 x\r\n", "250 1.2.3.4 x", 15),
            (b"250 \xff\x1b[2J\r\n", "250 \u{fffd} [2J", 11),
        ] {
            let (consumed, reply) = parse_reply(wire).unwrap().unwrap();
            assert_eq!((consumed, reply.to_string().as_str()), (length, shown));
        }
        let (_, reply) = parse_reply(b"250 5.1.1 x\r\n").unwrap().unwrap();
        assert_eq!(reply.enhanced(), None);
    }

    #[test]
    fn waits_and_refuses() {
        for wire in [&b""[..], b"250", b"250 ok\r", b"250-a\r\n", b"250-a\r\n250 b"] {
            assert!(parse_reply(wire).unwrap().is_none(), "{}", wire.escape_ascii());
        }
        let endless = b"250-a\r\n".repeat(3000);
        for wire in [
            &b"\r\n"[..],
            b"hi\r\n",
            b"2500\r\n",
            b"650 x\r\n",
            b"250-a\r\n251 b\r\n",
            b"25\r\n",
            &endless,
        ] {
            assert!(parse_reply(wire).is_err(), "{}", wire.escape_ascii());
        }
        assert!(parse_reply(&[b'2'; 20_000]).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_reply(&bytes);
        }
    }
}
