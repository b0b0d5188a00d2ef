//! Names of mailboxes: checked once, then safe to use as folder names.

use std::fmt;

/// Octets a folder name may have on disk, the leading dot included.
const FOLDER_MAX: usize = 255;

/// The name of a mailbox: `INBOX`, or levels none of which can leave the account.
///
/// Levels are separated by `.` here and on disk (Maildir++); what users see is
/// written with the site's separator by [`MailboxName::to_separated`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxName(String);

/// Why a text is not a mailbox name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailboxNameError {
    /// Nothing, or two separators with nothing between them.
    #[error("the mailbox name {0:?} has an empty level")]
    EmptyLevel(String),
    /// A control character, a slash or the separator of the disk inside a level.
    #[error("the mailbox name {name:?} has {character:?}, which is not allowed")]
    Forbidden {
        /// The name as given.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// Longer than a folder name may be once encoded.
    #[error("the mailbox name {0:?} is longer than a folder name may be")]
    TooLong(String),
}

impl MailboxName {
    /// The mailbox that always exists (RFC 9051 §5.1).
    #[must_use]
    pub fn inbox() -> MailboxName {
        MailboxName("INBOX".to_owned())
    }

    /// Parses a name whose levels are separated by `separator`, `.` or `/`.
    ///
    /// # Errors
    /// [`MailboxNameError`] names what is wrong; the name never leaves the account.
    pub fn parse(text: &str, separator: char) -> Result<MailboxName, MailboxNameError> {
        // RFC 9051 §5.1: INBOX is matched without case.
        if text.eq_ignore_ascii_case("INBOX") {
            return Ok(MailboxName::inbox());
        }
        let mut levels: Vec<&str> = text.split(separator).collect();
        if levels.iter().any(|level| level.is_empty()) {
            return Err(MailboxNameError::EmptyLevel(text.to_owned()));
        }
        let forbidden = |c: &char| c.is_control() || matches!(c, '/' | '.' | '\u{fffd}');
        if let Some(character) = levels.iter().flat_map(|level| level.chars()).find(forbidden) {
            return Err(MailboxNameError::Forbidden {
                name: text.to_owned(),
                character,
            });
        }
        if levels[0].eq_ignore_ascii_case("INBOX") {
            levels[0] = "INBOX";
        }
        let name = levels.join(".");
        if encoded_length(&name) + 1 > FOLDER_MAX {
            return Err(MailboxNameError::TooLong(text.to_owned()));
        }
        Ok(MailboxName(name))
    }

    /// Whether this is the INBOX.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }

    /// The levels joined by `.`, as in the index.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The levels, outermost first.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// The name as users write it where `separator` is the site's.
    #[must_use]
    pub fn to_separated(&self, separator: char) -> String {
        self.0.replace('.', separator.encode_utf8(&mut [0; 4]))
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// RFC 3501 §5.1.3: what the name takes in modified UTF-7, from above.
fn encoded_length(name: &str) -> usize {
    let mut length = 0;
    let mut run = 0;
    for c in name.chars().chain(['.']) {
        if matches!(c, ' '..='~') {
            if run > 0 {
                length += 2 + (run * 16usize).div_ceil(6);
            }
            run = 0;
            length += if c == '&' { 2 } else { 1 };
        } else {
            run += c.len_utf16();
        }
    }
    length - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        for (text, separator, name) in [
            ("inbox", '.', "INBOX"),
            ("Inbox.Lists", '.', "INBOX.Lists"),
            ("Archive.2026", '.', "Archive.2026"),
            ("Archive/2026", '/', "Archive.2026"),
            ("Entwürfe", '.', "Entwürfe"),
            ("a b", '.', "a b"),
        ] {
            let parsed = MailboxName::parse(text, separator).expect(text);
            assert_eq!(parsed.as_str(), name);
            assert_eq!(
                MailboxName::parse(&parsed.to_separated(separator), separator),
                Ok(parsed)
            );
        }
    }

    #[test]
    fn refuses_what_could_leave_the_account() {
        for text in [
            "", ".", "..", "../x", "a/b", "/etc", "a..b", ".a", "a.", "a\0b", "a\nb", "a\u{7f}", "a\u{85}",
        ] {
            assert!(MailboxName::parse(text, '.').is_err(), "{text:?}");
        }
        for text in ["", "/", "..", "../x", "a//b", "a.b", "/a"] {
            assert!(MailboxName::parse(text, '/').is_err(), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_is_too_long_on_disk() {
        assert!(MailboxName::parse(&"a".repeat(254), '.').is_ok());
        assert!(MailboxName::parse(&"a".repeat(255), '.').is_err());
        assert!(MailboxName::parse(&"ä".repeat(100), '.').is_err());
        assert!(MailboxName::parse(&"ä".repeat(90), '.').is_ok());
    }
}
