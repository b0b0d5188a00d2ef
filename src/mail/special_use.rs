//! What a mailbox is for: RFC 6154, RFC 8457.

use std::fmt;

/// A special use of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpecialUse {
    /// `\All`: every message.
    All,
    /// `\Archive`.
    Archive,
    /// `\Drafts`.
    Drafts,
    /// `\Flagged`: every flagged message.
    Flagged,
    /// `\Important` (RFC 8457).
    Important,
    /// `\Junk`.
    Junk,
    /// `\Sent`.
    Sent,
    /// `\Trash`.
    Trash,
}

impl SpecialUse {
    /// All of them.
    pub const ALL: [SpecialUse; 8] = [
        SpecialUse::All,
        SpecialUse::Archive,
        SpecialUse::Drafts,
        SpecialUse::Flagged,
        SpecialUse::Important,
        SpecialUse::Junk,
        SpecialUse::Sent,
        SpecialUse::Trash,
    ];

    /// IMAP's word without the backslash.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SpecialUse::All => "All",
            SpecialUse::Archive => "Archive",
            SpecialUse::Drafts => "Drafts",
            SpecialUse::Flagged => "Flagged",
            SpecialUse::Important => "Important",
            SpecialUse::Junk => "Junk",
            SpecialUse::Sent => "Sent",
            SpecialUse::Trash => "Trash",
        }
    }

    /// Reads the word, with the backslash or without; its case is ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<SpecialUse> {
        let word = text.strip_prefix('\\').unwrap_or(text);
        SpecialUse::ALL
            .into_iter()
            .find(|special| special.as_str().eq_ignore_ascii_case(word))
    }
}

/// With the backslash, as IMAP writes it.
impl fmt::Display for SpecialUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\\{}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_read_as_they_were_written() {
        for special in SpecialUse::ALL {
            assert_eq!(SpecialUse::parse(&special.to_string()), Some(special));
            assert_eq!(SpecialUse::parse(&special.as_str().to_lowercase()), Some(special));
        }
        assert_eq!(SpecialUse::parse("\\Noselect"), None);
    }
}
