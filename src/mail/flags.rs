//! Flags and keywords: RFC 9051 §2.3.2.

use std::collections::BTreeSet;
use std::fmt;

/// A system flag (RFC 9051 §2.3.2). `\Recent` is not kept: it belongs to sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SystemFlag {
    /// `\Answered`, letter R.
    Answered = 1,
    /// `\Flagged`, letter F.
    Flagged = 2,
    /// `\Deleted`, letter T.
    Deleted = 4,
    /// `\Seen`, letter S.
    Seen = 8,
    /// `\Draft`, letter D.
    Draft = 16,
}

impl SystemFlag {
    /// All of them, in the order in which IMAP servers list them.
    pub const ALL: [SystemFlag; 5] = [
        SystemFlag::Answered,
        SystemFlag::Flagged,
        SystemFlag::Deleted,
        SystemFlag::Seen,
        SystemFlag::Draft,
    ];

    /// IMAP's spelling, with the backslash.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SystemFlag::Answered => "\\Answered",
            SystemFlag::Flagged => "\\Flagged",
            SystemFlag::Deleted => "\\Deleted",
            SystemFlag::Seen => "\\Seen",
            SystemFlag::Draft => "\\Draft",
        }
    }

    /// The letter in a Maildir file name.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            SystemFlag::Answered => 'R',
            SystemFlag::Flagged => 'F',
            SystemFlag::Deleted => 'T',
            SystemFlag::Seen => 'S',
            SystemFlag::Draft => 'D',
        }
    }
}

/// The flags and keywords of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    system: u8,
    keywords: BTreeSet<String>,
}

/// Why a text is not a flag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagsError {
    /// A backslash before a word that is no system flag a client may set.
    #[error("{0:?} is not a system flag; keywords have no backslash")]
    System(String),
    /// Not an atom (RFC 9051 §9, flag-keyword), or longer than 255 octets.
    #[error("{0:?} is not a keyword: it must be an atom of at most 255 letters, digits and signs")]
    Keyword(String),
}

impl Flags {
    /// No flag at all.
    #[must_use]
    pub fn new() -> Flags {
        Flags::default()
    }

    /// Adds a flag or keyword in IMAP's spelling; the case of system flags is ignored.
    ///
    /// # Errors
    /// [`FlagsError`] where the text is neither.
    pub fn insert(&mut self, name: &str) -> Result<(), FlagsError> {
        if name.starts_with('\\') {
            let known = SystemFlag::ALL
                .into_iter()
                .find(|flag| flag.name().eq_ignore_ascii_case(name));
            let flag = known.ok_or_else(|| FlagsError::System(name.to_owned()))?;
            self.set(flag);
            return Ok(());
        }
        if name.is_empty() || name.len() > 255 || !name.chars().all(is_atom_char) {
            return Err(FlagsError::Keyword(name.to_owned()));
        }
        // RFC 9051 §2.3.2: their case does not tell keywords apart.
        if !self.has_keyword(name) {
            self.keywords.insert(name.to_owned());
        }
        Ok(())
    }

    /// Adds a system flag.
    pub fn set(&mut self, flag: SystemFlag) {
        self.system |= flag as u8;
    }

    /// Whether a system flag is set.
    #[must_use]
    pub fn has(&self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    /// The system flags as bits: the values of [`SystemFlag`], as the index keeps them.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.system
    }

    /// The flags of [`Flags::bits`] and a list of keywords; what is not valid is left out.
    #[must_use]
    pub fn from_stored<'a>(bits: u8, keywords: impl IntoIterator<Item = &'a str>) -> Flags {
        let mut flags = Flags {
            system: bits & 31,
            keywords: BTreeSet::new(),
        };
        for keyword in keywords {
            if !keyword.starts_with('\\') {
                let _ = flags.insert(keyword);
            }
        }
        flags
    }

    /// The keywords, sorted.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.keywords.iter().map(String::as_str)
    }

    /// These and those. A keyword that is in both keeps its spelling here.
    #[must_use]
    pub fn union(&self, more: &Flags) -> Flags {
        let mut both = self.clone();
        both.system |= more.system;
        let new = more.keywords.iter().filter(|keyword| !self.has_keyword(keyword));
        both.keywords.extend(new.cloned());
        both
    }

    /// These without those.
    #[must_use]
    pub fn difference(&self, less: &Flags) -> Flags {
        let kept = self.keywords.iter().filter(|keyword| !less.has_keyword(keyword));
        Flags {
            system: self.system & !less.system,
            keywords: kept.cloned().collect(),
        }
    }

    /// Whether a keyword is set; case is ignored (RFC 9051 §2.3.2).
    #[must_use]
    pub fn has_keyword(&self, keyword: &str) -> bool {
        self.keywords.iter().any(|own| own.eq_ignore_ascii_case(keyword))
    }

    /// Whether there is neither flag nor keyword.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_empty()
    }

    /// All of them in IMAP's spelling, system flags first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let set = SystemFlag::ALL.into_iter().filter(|flag| self.has(*flag));
        let mut names: Vec<&str> = set.map(SystemFlag::name).collect();
        names.extend(self.keywords());
        names.into_iter()
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        f.write_str(&names.join(" "))
    }
}

// RFC 9051 §9: flag-keyword = atom, less what atom-specials take away.
fn is_atom_char(c: char) -> bool {
    c.is_ascii_graphic() && !"(){%*\"\\]".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserts_and_prints() {
        let mut flags = Flags::new();
        for name in ["$Junk", "\\seen", "\\Flagged"] {
            flags.insert(name).unwrap();
        }
        assert_eq!(flags.to_string(), "\\Flagged \\Seen $Junk");
        assert_eq!(Flags::from_stored(flags.bits(), flags.keywords()), flags);
    }

    #[test]
    fn unites_and_differs() {
        let flags = |names: &[&str]| {
            let mut flags = Flags::new();
            names.iter().for_each(|name| flags.insert(name).unwrap());
            flags
        };
        let both = flags(&["\\Seen", "$Junk"]).union(&flags(&["\\Draft", "$junk", "todo"]));
        assert_eq!(both, flags(&["\\Seen", "\\Draft", "$Junk", "todo"]));
        assert_eq!(
            both.difference(&flags(&["\\Seen", "$JUNK"])),
            flags(&["\\Draft", "todo"])
        );
    }

    #[test]
    fn a_keyword_is_kept_once_whatever_its_case() {
        let flags = Flags::from_stored(0, ["$Junk", "$JUNK", "todo"]);
        assert_eq!(flags.keywords().collect::<Vec<_>>(), ["$Junk", "todo"]);
    }

    #[test]
    fn refuses() {
        for name in ["", "\\Recent", "\\*", "a b", "a(b", "a\r\nb", "ä", &"k".repeat(256)] {
            assert!(Flags::new().insert(name).is_err(), "{name:?}");
        }
    }
}
