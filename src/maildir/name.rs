//! File names of messages: `<secs>.M<usec>P<pid>Q<n>R<key>.<host>,S=..,W=..,U=..,V=..:2,<flags>`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::mail::{Flags, SystemFlag, Uid, UidValidity};

/// A base name of ours without the UID, which publishing allocates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted(String);

impl Minted {
    /// A new unique name for a message of `stored` bytes on disk and `crlf` bytes
    /// with all lines ending in CRLF; `key` is the redelivery key of a delivery.
    #[must_use]
    pub fn new(host: &str, key: Option<u64>, stored: u64, crlf: u64) -> Minted {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, micros, pid) = (now.as_secs(), now.subsec_micros(), std::process::id());
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let host: String = host.chars().map(safe_in_host).take(64).collect();
        let key = key.map(|key| format!("R{key:016x}")).unwrap_or_default();
        Minted(format!(
            "{seconds}.M{micros}P{pid}Q{count}{key}.{host},S={stored},W={crlf}"
        ))
    }

    /// The name while the file is in `tmp/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The base name under which the file is published.
    #[must_use]
    pub fn with_uid(&self, uid: Uid, validity: UidValidity) -> String {
        format!("{},U={uid},V={validity}", self.0)
    }
}

// What would end a host name or a Maildir name: `/`, `:` and `,` (Dovecot escapes alike).
fn safe_in_host(c: char) -> char {
    if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
        c
    } else {
        '_'
    }
}

/// A file name taken apart. It may be ours or that of any other program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileName<'a> {
    /// All before the flags: what names the message as long as it lives.
    pub base: &'a str,
    /// The letters behind `:2,`.
    pub letters: &'a str,
}

impl<'a> FileName<'a> {
    /// Splits a name at its `:2,`. A name with another info part keeps no flags.
    #[must_use]
    pub fn parse(name: &'a str) -> FileName<'a> {
        match name.split_once(':') {
            Some((base, info)) => FileName {
                base,
                letters: info.strip_prefix("2,").unwrap_or(""),
            },
            None => FileName {
                base: name,
                letters: "",
            },
        }
    }

    /// `S=`: bytes on disk.
    #[must_use]
    pub fn stored_size(&self) -> Option<u64> {
        self.field("S=")?.parse().ok()
    }

    /// `W=`: bytes with all lines ending in CRLF.
    #[must_use]
    pub fn crlf_size(&self) -> Option<u64> {
        self.field("W=")?.parse().ok()
    }

    /// `U=` and `V=`: the UID it was given, and the UIDVALIDITY under which it counts.
    #[must_use]
    pub fn uid(&self) -> Option<(Uid, UidValidity)> {
        let uid = Uid::new(self.field("U=")?.parse().ok()?)?;
        Some((uid, UidValidity::new(self.field("V=")?.parse().ok()?)?))
    }

    /// The redelivery key, in names that we gave.
    #[must_use]
    pub fn key(&self) -> Option<u64> {
        let unique = self.base.split('.').nth(1)?;
        let (before, hex) = unique.rsplit_once('R')?;
        let ours = before.starts_with('M') && before.contains('P') && before.contains('Q') && hex.len() == 16;
        ours.then(|| u64::from_str_radix(hex, 16).ok()).flatten()
    }

    /// The system flags among the letters.
    #[must_use]
    pub fn system_flags(&self) -> Flags {
        let mut flags = Flags::new();
        for flag in SystemFlag::ALL {
            if self.letters.contains(flag.letter()) {
                flags.set(flag);
            }
        }
        flags
    }

    fn field(&self, key: &str) -> Option<&'a str> {
        self.base.split(',').skip(1).find_map(|field| field.strip_prefix(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_names_come_back() {
        let minted = Minted::new("mx.example.org", Some(0x0123_4567_89ab_cdef), 100, 110);
        let base = minted.with_uid(Uid::new(7).unwrap(), UidValidity::new(99).unwrap());
        let text = format!("{base}:2,FSa");
        let name = FileName::parse(&text);
        assert_eq!(name.base, base);
        assert_eq!(name.stored_size(), Some(100));
        assert_eq!(name.crlf_size(), Some(110));
        assert_eq!(name.uid(), Some((Uid::new(7).unwrap(), UidValidity::new(99).unwrap())));
        assert_eq!(name.key(), Some(0x0123_4567_89ab_cdef));
        assert_eq!(name.system_flags().to_string(), "\\Flagged \\Seen");
    }

    #[test]
    fn hostile_hosts_cannot_break_a_name() {
        let minted = Minted::new("a/b:c,d\n..", None, 1, 1);
        assert!(!minted.as_str().contains(['/', ':', '\n']));
        assert_eq!(FileName::parse(minted.as_str()).stored_size(), Some(1));
    }

    #[test]
    fn names_of_others() {
        for (text, base, letters, size, uid) in [
            ("1204680122.27c448ef.host", "1204680122.27c448ef.host", "", None, None),
            ("1.2.host,S=5:2,S", "1.2.host,S=5", "S", Some(5), None),
            ("1.2.host,U=0,V=1:2,", "1.2.host,U=0,V=1", "", None, None),
            ("1.2.host,U=3:2,", "1.2.host,U=3", "", None, None),
            ("1.2.host:1,x", "1.2.host", "", None, None),
            ("", "", "", None, None),
        ] {
            let name = FileName::parse(text);
            assert_eq!(
                (name.base, name.letters, name.stored_size(), name.uid()),
                (base, letters, size, uid)
            );
            assert_eq!(name.key(), None);
        }
    }
}
