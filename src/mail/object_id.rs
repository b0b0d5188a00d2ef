//! Identifiers of messages and threads: RFC 8474.

use std::fmt;

/// EMAILID (RFC 8474 §5.1): the same for all copies of the same bytes in an account.
///
/// The first half of the SHA-256 of the stored bytes, so that an index made anew says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailId(pub [u8; 16]);

/// THREADID (RFC 8474 §5.2): the same for all messages of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadId(pub u64);

impl EmailId {
    /// The identifier of bytes with this SHA-256.
    #[must_use]
    pub fn of_digest(digest: &[u8; 32]) -> EmailId {
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        EmailId(id)
    }

    /// Reads what [`fmt::Display`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<EmailId> {
        let digits = text.strip_prefix('E').filter(|digits| digits.len() == 32)?;
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let value = u128::from_str_radix(digits, 16)
            .ok()
            .filter(|_| digits.bytes().all(lower))?;
        Some(EmailId(value.to_be_bytes()))
    }
}

impl ThreadId {
    /// Reads what [`fmt::Display`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<ThreadId> {
        let digits = text.strip_prefix('T').filter(|digits| digits.len() == 16)?;
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let value = u64::from_str_radix(digits, 16)
            .ok()
            .filter(|_| digits.bytes().all(lower))?;
        Some(ThreadId(value))
    }
}

/// `E` and 32 digits.
impl fmt::Display for EmailId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{:032x}", u128::from_be_bytes(self.0))
    }
}

/// `T` and 16 digits.
impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_read_as_they_were_written() {
        let mut digest = [7; 32];
        digest[0] = 0;
        let id = EmailId::of_digest(&digest);
        assert_eq!(id.to_string(), "E00070707070707070707070707070707");
        assert_eq!(EmailId::parse(&id.to_string()), Some(id));
        let thread = ThreadId(0xab);
        assert_eq!(thread.to_string(), "T00000000000000ab");
        assert_eq!(ThreadId::parse(&thread.to_string()), Some(thread));
        for text in [
            "",
            "E",
            "T",
            "E+0070707070707070707070707070707",
            "T00000000000000AB",
            "T00000000000000abc",
        ] {
            assert_eq!((EmailId::parse(text), ThreadId::parse(text)), (None, None), "{text:?}");
        }
    }
}
