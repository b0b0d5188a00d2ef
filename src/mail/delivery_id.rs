//! The name of one delivery, in the reply, in the log and in the Received field.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Crockford's base 32: no letter that is read as a digit.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// An id given to a message when it is accepted, the same for all its recipients.
///
/// 13 letters and digits: milliseconds since 1970, process and a counter, so
/// that ids sort by time and two processes never give the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(String);

impl DeliveryId {
    /// A new id.
    #[must_use]
    pub fn new() -> DeliveryId {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let milliseconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        // 41 bits of time, 12 of the process, 12 of the counter: 65 bits, 13 digits.
        let value = (u128::from(milliseconds & 0x1ff_ffff_ffff) << 24)
            | (u128::from(std::process::id() & 0xfff) << 12)
            | u128::from(count & 0xfff);
        let digits = (0..13)
            .rev()
            .map(|place| char::from(DIGITS[((value >> (5 * place)) & 31) as usize]));
        DeliveryId(digits.collect())
    }

    /// An id read back from the index or a Received field: up to 64 letters and digits.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<DeliveryId> {
        let valid = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric());
        valid.then(|| DeliveryId(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for DeliveryId {
    fn default() -> DeliveryId {
        DeliveryId::new()
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_plain() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| DeliveryId::new()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(
            ids.iter()
                .all(|id| id.as_str().len() == 13 && DeliveryId::from_stored(id.as_str()).is_some())
        );
    }

    #[test]
    fn from_stored_refuses_what_could_break_a_line() {
        assert_eq!(DeliveryId::from_stored("a\r\nb"), None);
        assert_eq!(DeliveryId::from_stored(""), None);
    }
}
