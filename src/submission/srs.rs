//! The Sender Rewriting Scheme: senders of redirects at a domain of our own, so that SPF holds, and back again.
//!
//! `ann@example.com` becomes `SRS0=HHHHH=TT=example.com=ann@srs.example.org`: a hash that only we can make, the day, and
//! the sender. A bounce to that address finds its way back for three weeks. A sender that somebody else rewrote so is
//! not wrapped twice: `SRS1=HHHHH=forwarder==HHH=TT=...@srs.example.org` names who knows more.
//!
//! The hash is in base 32, which no change of case on the way can hurt.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::hmac;

use crate::mail::Address;

/// Characters of the hash: 25 bits, which nobody guesses with a mail for each try.
const HASH: usize = 5;
/// Days after which a bounce comes too late: MTAs give up within five.
const VALID: u64 = 21;
/// Days that a time stamp can tell apart: two characters of base 32.
const DAYS: u64 = 1024;
/// Octets of a local part (RFC 5321 §4.5.3.1.1).
const LOCAL_MAX: usize = 64;
/// RFC 4648 §6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Rewrites senders, and reads what it rewrote.
#[derive(Clone)]
pub struct Srs {
    domain: String,
    key: hmac::Key,
}

/// Why an address is not read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrsError {
    /// It is none that was rewritten, or not for our domain.
    #[error("it is no SRS address of this site")]
    Foreign,
    /// It begins as one and goes on otherwise.
    #[error("it is no whole SRS address")]
    Malformed,
    /// Its hash is not ours.
    #[error("its hash is wrong: it was not made here, or with another secret")]
    Forged,
    /// It was made more than three weeks ago.
    #[error("it is older than {VALID} days")]
    Expired,
}

impl Srs {
    /// Rewrites to addresses in `domain`; the secret must be the same wherever they are read back.
    #[must_use]
    pub fn new(domain: &str, secret: &[u8]) -> Srs {
        Srs {
            domain: domain.to_lowercase(),
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
        }
    }

    /// The sender at our domain; none where it cannot be written so: too long, or not in plain words.
    #[must_use]
    pub fn encode(&self, sender: &Address) -> Option<Address> {
        self.encode_at(sender, today())
    }

    /// The sender of a redirect: rewritten, unless it is a user of this system or in our domain already, where SPF
    /// has nothing to object to. None as with [`Srs::encode`].
    pub(super) fn rewritten(&self, sender: &Address) -> Option<Address> {
        let domain = sender.domain().to_lowercase();
        match domain.is_empty() || domain == self.domain {
            true => Some(sender.clone()),
            false => self.encode(sender),
        }
    }

    /// Who stood in a rewritten address: whom a bounce to it is for.
    ///
    /// # Errors
    /// [`SrsError`]: nothing may be sent on then.
    pub fn decode(&self, address: &Address) -> Result<Address, SrsError> {
        self.decode_at(address, today())
    }

    fn encode_at(&self, sender: &Address, today: u64) -> Option<Address> {
        let (local, domain) = (sender.local(), sender.domain());
        let local = match tagged(local) {
            Some((Tag::Once, rest)) => self.wrapped(domain, rest),
            Some((Tag::Again, rest)) => {
                let (_, rest) = rest.split_at_checked(1)?.1.split_once('=')?;
                let (forwarder, rest) = rest.split_once('=')?;
                self.wrapped(forwarder, rest)
            }
            None => {
                let stamp = stamp(today);
                let hash = self.hash(&[&stamp, domain, local]);
                format!("SRS0={hash}={stamp}={domain}={local}")
            }
        };
        if local.len() > LOCAL_MAX {
            return None;
        }
        Address::parse(&format!("{local}@{}", self.domain)).ok()
    }

    // `rest` is what followed SRS0, its separator included.
    fn wrapped(&self, forwarder: &str, rest: &str) -> String {
        let hash = self.hash(&[forwarder, rest]);
        format!("SRS1={hash}={forwarder}={rest}")
    }

    fn decode_at(&self, address: &Address, today: u64) -> Result<Address, SrsError> {
        if address.domain().to_lowercase() != self.domain {
            return Err(SrsError::Foreign);
        }
        let (tag, rest) = tagged(address.local()).ok_or(SrsError::Foreign)?;
        let rest = rest.get(1..).ok_or(SrsError::Malformed)?;
        let (hash, rest) = rest.split_once('=').ok_or(SrsError::Malformed)?;
        let original = match tag {
            Tag::Once => {
                let mut parts = rest.splitn(3, '=');
                let [Some(stamp), Some(domain), Some(local)] = [parts.next(), parts.next(), parts.next()] else {
                    return Err(SrsError::Malformed);
                };
                self.check(hash, &[stamp, domain, local])?;
                if !is_recent(stamp, today).ok_or(SrsError::Malformed)? {
                    return Err(SrsError::Expired);
                }
                format!("{local}@{domain}")
            }
            Tag::Again => {
                let (forwarder, rest) = rest.split_once('=').ok_or(SrsError::Malformed)?;
                self.check(hash, &[forwarder, rest])?;
                format!("SRS0{rest}@{forwarder}")
            }
        };
        Address::parse(&original).map_err(|_| SrsError::Malformed)
    }

    fn check(&self, hash: &str, parts: &[&str]) -> Result<(), SrsError> {
        let same = self.hash(parts).eq_ignore_ascii_case(hash);
        same.then_some(()).ok_or(SrsError::Forged)
    }

    // Without case, for relays may change it; NUL stands in no address, so no two lists of parts run together.
    fn hash(&self, parts: &[&str]) -> String {
        let text = parts.join("\0").to_lowercase();
        let tag = hmac::sign(&self.key, text.as_bytes());
        let bits = tag
            .as_ref()
            .iter()
            .take(8)
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        (0..HASH).map(|at| sign(bits >> (64 - 5 * (at + 1)))).collect()
    }
}

impl fmt::Debug for Srs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Srs")
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

/// How often an address was rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    /// SRS0.
    Once,
    /// SRS1.
    Again,
}

// The tag, and the rest with the separator, which is one of three.
fn tagged(local: &str) -> Option<(Tag, &str)> {
    let (tag, rest) = local.split_at_checked(4)?;
    let tag = match tag.to_ascii_uppercase().as_str() {
        "SRS0" => Tag::Once,
        "SRS1" => Tag::Again,
        _ => return None,
    };
    rest.starts_with(['=', '+', '-']).then_some((tag, rest))
}

fn today() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since.as_secs() / 86_400
}

fn stamp(day: u64) -> String {
    [sign(day >> 5), sign(day)].into_iter().collect()
}

// None: it is no time stamp. A day ahead is another clock of ours.
fn is_recent(stamp: &str, today: u64) -> Option<bool> {
    let value = |c: u8| BASE32.iter().position(|known| *known == c.to_ascii_uppercase());
    let [high, low] = stamp.as_bytes() else { return None };
    let day = (value(*high)? * 32 + value(*low)?) as u64;
    Some((today + 1 + DAYS - day) % DAYS <= VALID + 1)
}

fn sign(bits: u64) -> char {
    char::from(BASE32[usize::try_from(bits % 32).unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 20_000;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn srs() -> Srs {
        Srs::new("srs.Example.org", b"secret")
    }

    fn encoded(sender: &str) -> String {
        srs().encode_at(&address(sender), DAY).expect(sender).to_string()
    }

    fn decoded(text: &str, day: u64) -> Result<String, SrsError> {
        srs().decode_at(&address(text), day).map(|address| address.to_string())
    }

    #[test]
    fn a_sender_comes_back() {
        for sender in [
            "ann@example.com",
            "a=b+c@example.com",
            "Ann.Lee@Example.COM",
            "jörg@exämple.com",
            "SRS@x.y",
            "srs0@x.y",
        ] {
            let there = encoded(sender);
            assert!(
                there.starts_with("SRS0=") && there.ends_with("@srs.example.org"),
                "{there}"
            );
            assert_eq!(decoded(&there, DAY).unwrap(), address(sender).to_string(), "{there}");
        }
        let there = encoded("ann@example.com");
        let (hash, rest) = there[5..].split_once('=').unwrap();
        assert_eq!((hash.len(), rest), (HASH, "RA=example.com=ann@srs.example.org"));
    }

    #[test]
    fn what_another_site_rewrote_is_wrapped_once() {
        for (sender, back) in [
            (
                "SRS0=HHH=TT=source.com=user@forward.com",
                "SRS0=HHH=TT=source.com=user@forward.com",
            ),
            (
                "srs0+HHH=TT=source.com=user@forward.com",
                "SRS0+HHH=TT=source.com=user@forward.com",
            ),
            (
                "SRS1=HHH=forward.com==HHH=TT=source.com=user@second.com",
                "SRS0=HHH=TT=source.com=user@forward.com",
            ),
        ] {
            let there = encoded(sender);
            assert!(there.starts_with("SRS1=") && there.contains("=forward.com"), "{there}");
            assert_eq!(decoded(&there, DAY + 500).unwrap(), back, "{there}");
        }
        assert_eq!(srs().encode_at(&address("SRS1=x@second.com"), DAY), None);
    }

    #[test]
    fn a_change_of_case_on_the_way_does_no_harm() {
        for sender in ["ann@example.com", "SRS0=HHH=TT=source.com=user@forward.com"] {
            let there = encoded(sender);
            for changed in [there.to_lowercase(), there.to_uppercase()] {
                let back = decoded(&changed, DAY).expect(&changed);
                assert!(back.eq_ignore_ascii_case(sender), "{back}");
            }
        }
    }

    #[test]
    fn nothing_else_is_sent_on() {
        let (once, again) = (
            encoded("ann@example.com"),
            encoded("SRS0=HHH=TT=source.com=user@forward.com"),
        );
        for (from, to, error) in [
            ("=ann@", "=bob@", SrsError::Forged),
            ("example.com", "example.net", SrsError::Forged),
            ("=RA=", "=RB=", SrsError::Forged),
            ("@srs.example.org", "@example.org", SrsError::Foreign),
            ("SRS0=", "SRS2=", SrsError::Foreign),
            ("SRS0=", "SRS0", SrsError::Foreign),
            ("=example.com=ann", "", SrsError::Malformed),
        ] {
            let changed = once.replace(from, to);
            assert_ne!(changed, once);
            assert_eq!(decoded(&changed, DAY), Err(error), "{changed}");
        }
        for (from, to) in [("forward.com", "other.com"), ("=user@", "=root@"), ("==HHH", "=+HHH")] {
            assert_eq!(decoded(&again.replace(from, to), DAY), Err(SrsError::Forged));
        }
        for text in [
            "SRS0=@srs.example.org",
            "SRS1=a@srs.example.org",
            "SRS0=a=b@srs.example.org",
            "SRS1=a=b@srs.example.org",
        ] {
            assert!(decoded(text, DAY).is_err(), "{text}");
        }
        let other = Srs::new("srs.example.org", b"another secret");
        assert_eq!(other.decode_at(&address(&once), DAY), Err(SrsError::Forged));
    }

    #[test]
    fn bounces_come_back_for_three_weeks() {
        for made in [DAY, 1023, 1024, 0] {
            let there = srs().encode_at(&address("ann@example.com"), made).unwrap().to_string();
            for (later, valid) in [
                (0, true),
                (1, true),
                (21, true),
                (22, false),
                (500, false),
                (1022, false),
            ] {
                assert_eq!(decoded(&there, made + later).is_ok(), valid, "{made} and {later} days");
            }
        }
        // A clock that is a day behind.
        let tomorrow = srs()
            .encode_at(&address("ann@example.com"), DAY + 1)
            .unwrap()
            .to_string();
        assert!(decoded(&tomorrow, DAY).is_ok());
    }

    #[test]
    fn what_does_not_fit_is_not_rewritten() {
        let long = |count| srs().encode_at(&address(&format!("{}@example.com", "x".repeat(count))), DAY);
        let overhead = "SRS0=HHHHH=TT=example.com=".len();
        assert!(long(LOCAL_MAX - overhead).is_some());
        for sender in [
            long(LOCAL_MAX - overhead + 1),
            srs().encode_at(&address("\"a b\"@example.com"), DAY),
        ] {
            assert_eq!(sender, None);
        }
    }
}
