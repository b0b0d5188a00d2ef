//! `dovecot-keywords`: which letter of a file name stands for which keyword.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::disk::read_regular;
use super::lock::UidListLock;
use super::{Disk, DiskError};

/// Letters that Maildir leaves for keywords: `a` to `z`.
const LETTERS: usize = 26;
/// How long a delivery waits for Dovecot's lock; without it the keyword is left out of the name.
const PATIENCE: Duration = Duration::from_secs(1);

/// The keywords of a folder; the place in the list is the letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeywordLetters(Vec<Option<String>>);

impl KeywordLetters {
    /// Reads the file of a folder; empty where there is none. Lines that are not
    /// `<number> <keyword>` are passed over.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn read(folder: &Path) -> Result<KeywordLetters, DiskError> {
        let path = folder.join("dovecot-keywords");
        match read_regular(&path) {
            Ok(bytes) => Ok(KeywordLetters::parse(&String::from_utf8_lossy(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(KeywordLetters::default()),
            Err(error) => Err(DiskError::at("read", path)(error)),
        }
    }

    /// Gives each of `keywords` a letter, writing the file where one is new.
    /// A keyword beyond the 26th, or one for which Dovecot's lock could not be had
    /// within a second, gets none.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn assign<'a>(
        disk: &Disk,
        folder: &Path,
        keywords: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<KeywordLetters, DiskError> {
        let known = KeywordLetters::read(folder)?;
        let mut wanted = known.clone();
        keywords.clone().for_each(|keyword| wanted.add(keyword));
        // All have one, or there is none left: no lock is worth it.
        if wanted == known {
            return Ok(known);
        }
        match UidListLock::acquire(folder, PATIENCE)? {
            Some(lock) => KeywordLetters::assign_under(disk, &lock, keywords),
            None => Ok(known),
        }
    }

    /// As [`KeywordLetters::assign`], for who holds the folder's lock already.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn assign_under<'a>(
        disk: &Disk,
        lock: &UidListLock,
        keywords: impl Iterator<Item = &'a str>,
    ) -> Result<KeywordLetters, DiskError> {
        let folder = lock.folder();
        let known = KeywordLetters::read(folder)?;
        let mut letters = known.clone();
        for keyword in keywords {
            letters.add(keyword);
        }
        if letters == known {
            return Ok(letters);
        }
        disk.replace(&folder.join("dovecot-keywords"), letters.to_text().as_bytes())?;
        Ok(letters)
    }

    /// The letter of a keyword; their case is ignored (RFC 9051 §2.3.2).
    #[must_use]
    pub fn letter(&self, keyword: &str) -> Option<char> {
        let at = self
            .0
            .iter()
            .position(|known| known.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(keyword)))?;
        Some(char::from(b'a' + u8::try_from(at).ok()?))
    }

    /// The keywords behind the letters of a file name.
    pub fn keywords<'a>(&'a self, letters: &'a str) -> impl Iterator<Item = &'a str> {
        letters
            .bytes()
            .filter(u8::is_ascii_lowercase)
            .filter_map(|letter| self.0.get(usize::from(letter - b'a'))?.as_deref())
    }

    fn add(&mut self, keyword: &str) {
        if self.letter(keyword).is_some() {
            return;
        }
        match self.0.iter().position(Option::is_none) {
            Some(gap) => self.0[gap] = Some(keyword.to_owned()),
            None if self.0.len() < LETTERS => self.0.push(Some(keyword.to_owned())),
            None => {}
        }
    }

    fn parse(text: &str) -> KeywordLetters {
        let mut letters = KeywordLetters::default();
        for line in text.lines() {
            // All of them, or a name would lose one each time the file is written.
            let line = line.trim_end_matches('\r');
            let Some((number, keyword)) = line.split_once(' ') else {
                continue;
            };
            let Some(at) = number.parse::<usize>().ok().filter(|at| *at < LETTERS) else {
                continue;
            };
            if letters.0.len() <= at {
                letters.0.resize(at + 1, None);
            }
            letters.0[at] = Some(keyword.to_owned());
        }
        letters
    }

    fn to_text(&self) -> String {
        let named = self
            .0
            .iter()
            .enumerate()
            .filter_map(|(at, keyword)| Some((at, keyword.as_ref()?)));
        named.map(|(at, keyword)| format!("{at} {keyword}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn letters_are_given_and_kept() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("dovecot-keywords"), "0 $Junk\n2 work\nbad\n99 x\n").unwrap();
        let letters = KeywordLetters::assign(&Disk::default(), home.path(), ["new", "$Junk"].into_iter()).unwrap();
        assert_eq!(letters.letter("$Junk"), Some('a'));
        assert_eq!(letters.letter("new"), Some('b'));
        assert_eq!(letters.keywords("acSZ").collect::<Vec<_>>(), ["$Junk", "work"]);
        assert_eq!(KeywordLetters::read(home.path()).unwrap(), letters);
        assert!(!home.path().join("dovecot-uidlist.lock").exists());
    }

    #[test]
    fn line_ends_of_others_are_no_part_of_a_name() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("dovecot-keywords"), "0 work\r\n1 home\r\r\r\n").unwrap();
        for new in ["one", "two"] {
            let letters = KeywordLetters::assign(&Disk::default(), home.path(), [new].into_iter()).unwrap();
            assert_eq!(letters.keywords("ab").collect::<Vec<_>>(), ["work", "home"]);
            assert_eq!(KeywordLetters::read(home.path()).unwrap(), letters);
        }
    }

    #[test]
    fn a_27th_keyword_does_not_write_the_file_each_time() {
        use std::os::unix::fs::MetadataExt;
        let home = tempfile::tempdir().unwrap();
        let names: Vec<_> = (0..27).map(|n| format!("k{n}")).collect();
        let assign = || {
            KeywordLetters::assign(&Disk::default(), home.path(), names.iter().map(String::as_str)).unwrap();
            fs::metadata(home.path().join("dovecot-keywords")).unwrap().ctime_nsec()
        };
        assert_eq!(assign(), assign());
    }

    #[test]
    fn there_are_26() {
        let mut letters = KeywordLetters::default();
        (0..30).for_each(|n| letters.add(&format!("k{n}")));
        assert_eq!(letters.letter("k25"), Some('z'));
        assert_eq!(letters.letter("k26"), None);
    }
}
