//! The extensions of Sieve that scripts may require, by the names that IANA registered.

/// Declares the extensions with their names, in the order of the names.
macro_rules! extensions {
    ($($variant:ident = $name:literal,)+) => {
        /// An extension that a script can require (RFC 5228 §3.2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Extension {
            $($variant,)+
        }

        impl Extension {
            pub(super) const ALL: &'static [Extension] = &[$(Extension::$variant),+];

            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Extension::$variant => $name,)+
                }
            }
        }
    };
}

extensions! {
    Body = "body",
    AsciiCasemap = "comparator-i;ascii-casemap",
    AsciiNumeric = "comparator-i;ascii-numeric",
    Octet = "comparator-i;octet",
    UnicodeCasemap = "comparator-i;unicode-casemap",
    Copy = "copy",
    Date = "date",
    Duplicate = "duplicate",
    EditHeader = "editheader",
    Enclose = "enclose",
    EncodedCharacter = "encoded-character",
    Enotify = "enotify",
    Envelope = "envelope",
    EnvelopeDeliverby = "envelope-deliverby",
    EnvelopeDsn = "envelope-dsn",
    Environment = "environment",
    Ereject = "ereject",
    Extlists = "extlists",
    ExtractText = "extracttext",
    Fcc = "fcc",
    FileInto = "fileinto",
    ForEveryPart = "foreverypart",
    Ihave = "ihave",
    Imap4Flags = "imap4flags",
    Include = "include",
    Index = "index",
    Mailbox = "mailbox",
    MailboxId = "mailboxid",
    MboxMetadata = "mboxmetadata",
    Mime = "mime",
    RedirectDsn = "redirect-dsn",
    Regex = "regex",
    Reject = "reject",
    Relational = "relational",
    Replace = "replace",
    ServerMetadata = "servermetadata",
    SpamTest = "spamtest",
    SpamTestPlus = "spamtestplus",
    SpecialUse = "special-use",
    Subaddress = "subaddress",
    Vacation = "vacation",
    VacationSeconds = "vacation-seconds",
    Variables = "variables",
    VirusTest = "virustest",
    DovecotDebug = "vnd.dovecot.debug",
    DovecotEnvironment = "vnd.dovecot.environment",
    DovecotExecute = "vnd.dovecot.execute",
    DovecotFilter = "vnd.dovecot.filter",
    DovecotPipe = "vnd.dovecot.pipe",
    DovecotReport = "vnd.dovecot.report",
}

impl Extension {
    pub(super) fn parse(name: &str) -> Option<Extension> {
        Extension::ALL
            .iter()
            .copied()
            .find(|extension| extension.name() == name)
    }

    /// What it brings along: RFC 6131 §2 (vacation), RFC 5235 §3.3 (spamtest), RFC 8580 §3 none.
    pub(super) fn implied(self) -> Option<Extension> {
        match self {
            Extension::VacationSeconds => Some(Extension::Vacation),
            Extension::SpamTestPlus => Some(Extension::SpamTest),
            Extension::DovecotEnvironment => Some(Extension::Environment),
            _ => None,
        }
    }
}

/// A set of extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extensions(u64);

impl Extensions {
    pub(super) fn insert(&mut self, extension: Extension) {
        self.0 |= 1 << extension as u8;
    }

    pub(super) fn remove(&mut self, extension: Extension) {
        self.0 &= !(1 << extension as u8);
    }

    pub(super) fn has(self, extension: Extension) -> bool {
        self.0 & (1 << extension as u8) != 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Extension> {
        Extension::ALL
            .iter()
            .copied()
            .filter(move |extension| self.has(*extension))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_found() {
        let names: Vec<&str> = Extension::ALL.iter().map(|extension| extension.name()).collect();
        assert!(names.is_sorted());
        for extension in Extension::ALL {
            assert_eq!(Extension::parse(extension.name()), Some(*extension));
        }
        assert_eq!(Extension::parse("Fileinto"), None);
    }

    #[test]
    fn a_set_holds_each() {
        let mut set = Extensions::default();
        for extension in Extension::ALL {
            assert!(!set.has(*extension));
            set.insert(*extension);
            assert!(set.has(*extension));
        }
        assert_eq!(set.iter().count(), Extension::ALL.len());
        set.remove(Extension::Copy);
        assert!(!set.has(Extension::Copy));
    }
}
