//! Names from outside that become folders: checked once, here.

use std::path::{Path, PathBuf};

/// Octets a folder's name may have on disk.
const FOLDER_MAX: usize = 255;
/// Octets a local part may have (RFC 5321 §4.5.3.1.1).
const LOCAL_PART_MAX: usize = 64;

/// A name that is exactly one visible folder below another one.
///
/// Never empty, never with a leading dot, with no slash, backslash or control
/// character, and not longer than a folder's name may be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FolderName(String);

impl FolderName {
    /// Checks a domain; none where it cannot be a folder.
    #[must_use]
    pub fn domain(text: &str) -> Option<FolderName> {
        FolderName::checked(text, FOLDER_MAX)
    }

    /// Checks a local part, its detail already cut off; none where it cannot be a folder.
    #[must_use]
    pub fn local_part(text: &str) -> Option<FolderName> {
        FolderName::checked(text, LOCAL_PART_MAX)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder of this name in `parent`.
    #[must_use]
    pub fn below(&self, parent: &Path) -> PathBuf {
        parent.join(&self.0)
    }

    fn checked(text: &str, most: usize) -> Option<FolderName> {
        // A leading dot would be a hidden folder, a Maildir++ one, `.` or `..`.
        let fits = !text.is_empty() && text.len() <= most && !text.starts_with('.');
        let plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | '\u{2028}' | '\u{2029}' | '\u{fffd}');
        (fits && text.chars().all(plain)).then(|| FolderName(text.to_owned()))
    }
}

/// What an attacker might send as a local part; nothing of it may ever be a folder.
#[cfg(test)]
pub(super) const HOSTILE: &[&str] = &[
    "",
    ".",
    "..",
    "../ann",
    "../../etc/passwd",
    "..\\ann",
    "/",
    "/etc",
    "ann/../bob",
    "ann/",
    "ann/Maildir",
    "a\\b",
    ".ann",
    ".hidden",
    "...",
    "ann\0",
    "\0",
    "ann\n",
    "ann\r\nRCPT TO:<bob>",
    "\u{1b}[31mann",
    "\u{7f}",
    "ann\u{85}",
    "ann\u{2028}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_plain_names() {
        for name in [
            "ann",
            "ann.b",
            "a..b",
            "jörg",
            "a b",
            "o'neil",
            "%d",
            "~",
            "-rf",
            &"a".repeat(64),
        ] {
            let folder = FolderName::local_part(name).expect(name);
            assert_eq!(
                folder.below(Path::new("/r")).components().count(),
                3,
                "{name:?} must be one folder"
            );
        }
        assert!(FolderName::domain(&"a".repeat(255)).is_some());
        assert!(FolderName::domain(&"a".repeat(256)).is_none());
    }

    #[test]
    fn refuses_hostile_names() {
        for name in HOSTILE {
            assert_eq!(FolderName::local_part(name), None, "{name:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_leaves_its_parent(name in ".*") {
            if let Some(folder) = FolderName::local_part(&name) {
                let path = folder.below(Path::new("/root"));
                assert_eq!(path.parent(), Some(Path::new("/root")));
                assert_eq!(path.file_name(), Some(std::ffi::OsStr::new(&name)));
            }
        }
    }
}
