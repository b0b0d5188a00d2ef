//! Flags and keywords as letters of file names.

use std::path::Path;

use crate::mail::{Flags, SystemFlag};
use crate::maildir::{Disk, DiskError, FileName, KeywordLetters, Seen, UidListLock};

/// The flags that a file's name says.
pub(super) fn flags_of(file: &Seen, keywords: &KeywordLetters) -> Flags {
    let name = FileName {
        base: &file.base,
        letters: file.flag_letters(),
    };
    let mut flags = name.system_flags();
    for keyword in keywords.keywords(name.letters) {
        // What is no keyword for IMAP stays in the file name only.
        let _ = flags.insert(keyword);
    }
    flags
}

/// The keywords of a folder, with a letter for each that any of these flags has and that can get one.
pub(super) fn assign<'a>(
    disk: &Disk,
    folder: &Path,
    flags: impl IntoIterator<Item = &'a Flags>,
) -> Result<KeywordLetters, DiskError> {
    assign_under(disk, folder, flags, None)
}

/// As [`assign`], also for who holds the lock of the folder.
pub(super) fn assign_under<'a>(
    disk: &Disk,
    folder: &Path,
    flags: impl IntoIterator<Item = &'a Flags>,
    lock: Option<&UidListLock>,
) -> Result<KeywordLetters, DiskError> {
    let mut keywords: Vec<&str> = flags.into_iter().flat_map(Flags::keywords).collect();
    keywords.sort_unstable();
    keywords.dedup();
    if keywords.is_empty() {
        return Ok(KeywordLetters::default());
    }
    match lock {
        Some(lock) => KeywordLetters::assign_under(disk, lock, keywords.iter().copied()),
        None => KeywordLetters::assign(disk, folder, keywords.iter().copied()),
    }
}

/// The letters of a file name, in the order of ASCII, as others write them. Of the letters
/// that it had, those that stand for nothing we know stay.
pub(super) fn letters_of(flags: &Flags, keywords: &KeywordLetters, had: &str) -> String {
    let system = SystemFlag::ALL.into_iter().filter(|flag| flags.has(*flag));
    let mut letters: Vec<char> = system.map(SystemFlag::letter).collect();
    letters.extend(flags.keywords().filter_map(|keyword| keywords.letter(keyword)));
    let known = |letter: char| SystemFlag::ALL.into_iter().any(|flag| flag.letter() == letter);
    letters.extend(
        had.chars()
            .filter(|letter| letter.is_ascii_uppercase() && !known(*letter)),
    );
    letters.sort_unstable();
    letters.dedup();
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maildir::Place;

    #[test]
    fn flags_become_letters_and_come_back() {
        let home = tempfile::tempdir().unwrap();
        let mut flags = Flags::new();
        for name in ["\\Seen", "\\Flagged", "$Junk", "todo"] {
            flags.insert(name).unwrap();
        }
        let keywords = assign(&Disk::default(), home.path(), [&flags]).unwrap();
        // `P` (passed) is a flag that IMAP does not have.
        let letters = letters_of(&flags, &keywords, "PRb");
        assert_eq!(letters, "FPSab");
        let file = Seen {
            base: "1.a.host".into(),
            letters,
            place: Place::Cur,
        };
        assert_eq!(flags_of(&file, &keywords), flags);
        assert_eq!(letters_of(&Flags::new(), &keywords, "FPSab"), "P");
    }
}
