//! `maildirsize`: the size of an account as Maildir++ keeps it, for other programs.
//!
//! ```text
//! 1000000S,1000C
//! 123456 87
//! 2043 1
//! -2043 -1
//! ```
//!
//! The first line is the quota; the sums of the columns are bytes and messages. Who adds
//! or removes a message appends a line in one write, without a lock. The file is
//! calculated anew when it has grown to 5,120 bytes, or when it says that the account is
//! over quota and is older than 15 minutes.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::disk::{open_in_place, open_regular};
use super::{Disk, DiskError};

/// A file of this many bytes is calculated anew.
const WORN: u64 = 5120;
/// So old is a file that says "over quota" when it is no longer believed.
const BELIEVED: Duration = Duration::from_secs(15 * 60);
/// No more is read of a file: others let theirs grow only by a few lines beyond the limit.
const LARGEST: u64 = 1 << 20;

/// What `maildirsize` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailSize {
    /// The quota as written: members `<number>S` (bytes) and `<number>C` (messages), joined by commas.
    pub limits: String,
    /// Bytes of all messages; others' errors can make it negative.
    pub bytes: i64,
    /// Messages; likewise.
    pub messages: i64,
    /// Bytes of the file itself.
    pub length: u64,
    /// Time since the file was last written to; zero where its time is to come.
    pub age: Duration,
}

impl MailSize {
    /// Reads the file; none where there is none, or one without a first line or with a line
    /// of something else than two numbers (which is to be calculated anew).
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn read(root: &Path) -> Result<Option<MailSize>, DiskError> {
        let path = path(root);
        let read = open_regular(&path).and_then(|file| {
            let metadata = file.metadata()?;
            let mut content = Vec::new();
            file.take(LARGEST).read_to_end(&mut content)?;
            let age = metadata.modified()?.elapsed().unwrap_or_default();
            Ok((content, metadata.len(), age))
        });
        match read {
            Ok((content, length, age)) => Ok(MailSize::parse(&content, length, age)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::at("read", path)(error)),
        }
    }

    /// Whether the file is to be calculated anew: grown too long, or old and `over_quota`.
    #[must_use]
    pub fn is_worn(&self, over_quota: bool) -> bool {
        self.length >= WORN || (over_quota && self.age > BELIEVED)
    }

    /// Adds a line for messages that came (positive) or went (negative). Nothing is done
    /// where there is no file; true where the line was added.
    ///
    /// # Errors
    /// Where the file cannot be written to.
    pub fn append(root: &Path, bytes: i64, messages: i64) -> Result<bool, DiskError> {
        let path = path(root);
        let opened = open_in_place(&path, OpenOptions::new().append(true));
        let written = opened.and_then(|mut file| {
            // One write, so that lines of several writers do not mix.
            file.write_all(format!("{bytes} {messages}\n").as_bytes())
        });
        match written {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(DiskError::at("append to", path)(error)),
        }
    }

    /// Writes the file anew below `tmp/` and puts it in place. `limits` is the first line,
    /// such as `1000000S,1000C`.
    ///
    /// # Errors
    /// Where it cannot be written; the old file then stands.
    pub fn replace(disk: &Disk, root: &Path, limits: &str, bytes: i64, messages: i64) -> Result<(), DiskError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let (seconds, count) = (now.as_secs(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let name = format!("{seconds}.P{}Q{count}.maildirsize", std::process::id());
        let (temporary, path) = (root.join("tmp").join(name), path(root));
        let written = disk.create(&temporary).and_then(|mut file| {
            let content = format!("{}\n{bytes} {messages}\n", limits.lines().next().unwrap_or_default());
            file.write_all(content.as_bytes())
                .map_err(DiskError::at("write", &temporary))?;
            disk.flush(&file, &temporary)?;
            fs::rename(&temporary, &path).map_err(DiskError::at("replace", &path))
        });
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn parse(content: &[u8], length: u64, age: Duration) -> Option<MailSize> {
        let text = std::str::from_utf8(content).ok()?;
        let (limits, rest) = text.split_once('\n')?;
        let mut size = MailSize {
            limits: limits.trim_end().to_owned(),
            bytes: 0,
            messages: 0,
            length,
            age,
        };
        // Courier pads its lines with spaces. A line without its end is torn.
        for line in rest.split_inclusive('\n') {
            let mut numbers = line.strip_suffix('\n')?.split_ascii_whitespace();
            let (bytes, messages) = (
                numbers.next()?.parse::<i64>().ok()?,
                numbers.next()?.parse::<i64>().ok()?,
            );
            if numbers.next().is_some() {
                return None;
            }
            size.bytes = size.bytes.checked_add(bytes)?;
            size.messages = size.messages.checked_add(messages)?;
        }
        Some(size)
    }
}

fn path(root: &Path) -> PathBuf {
    root.join("maildirsize")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sums_are_read() {
        let parse = |text: &str| MailSize::parse(text.as_bytes(), 0, Duration::ZERO);
        for (text, sums) in [
            ("1000S,10C\n", Some((0, 0))),
            ("1000S,10C\n   500    3   \n-200 -1\n", Some((300, 2))),
            ("\n1 1\n", Some((1, 1))),
            ("1S\n-5 -1\n", Some((-5, -1))),
            ("", None),
            ("1000S", None),
            ("1000S\n5", None),
            ("1000S\n5 1", None),
            ("1000S\n5\n", None),
            ("1000S\n5 1 1\n", None),
            ("1000S\nx y\n", None),
            ("1000S\n9223372036854775807 1\n1 1\n", None),
        ] {
            assert_eq!(parse(text).map(|size| (size.bytes, size.messages)), sums, "{text:?}");
        }
        assert_eq!(parse("1000S,10C  \n").unwrap().limits, "1000S,10C");
    }

    #[test]
    fn written_appended_and_replaced() {
        let home = tempfile::tempdir().unwrap();
        let (root, disk) = (home.path(), Disk::default());
        fs::create_dir(root.join("tmp")).unwrap();
        assert!(!MailSize::append(root, 1, 1).unwrap());
        assert_eq!(MailSize::read(root).unwrap(), None);
        MailSize::replace(&disk, root, "1000S,10C", 500, 3).unwrap();
        assert!(MailSize::append(root, -200, -1).unwrap());
        let size = MailSize::read(root).unwrap().unwrap();
        assert_eq!(
            (size.limits.as_str(), size.bytes, size.messages, size.length),
            ("1000S,10C", 300, 2, 24)
        );
        assert_eq!(fs::read_dir(root.join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn worn_by_length_or_by_age() {
        for (length, minutes, over_quota, worn) in [
            (5119, 0, true, false),
            (5120, 0, false, true),
            (100, 16, false, false),
            (100, 16, true, true),
            (100, 14, true, false),
        ] {
            let age = Duration::from_secs(minutes * 60);
            let size = MailSize::parse(b"1S\n", length, age).unwrap();
            assert_eq!(size.is_worn(over_quota), worn, "{length} {minutes} {over_quota}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content in "[0-9SC, \n-]{0,60}") {
            let _ = MailSize::parse(content.as_bytes(), 0, Duration::ZERO);
        }
    }
}
