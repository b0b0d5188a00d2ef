//! `dovecot-uidlist`: the UIDs that Dovecot gave, and `courierimapuiddb`, those that Courier gave.
//!
//! ```text
//! 3 V1795354127 N3 Gf944330d0dee026bfe5e000083ecc375
//! 1 :1795354125.M244147P24321.vm,S=17,W=20
//! 2 W20 :1795354125.M257610P24324.vm
//! ```
//!
//! This is version 3: keys of one letter with their value, then the base name. Version 1,
//! which is Courier's too, has `1 <uidvalidity> <next uid>` and `<uid> <file name>`. What
//! Dovecot cannot read it drops as a whole and numbers all messages anew, so nothing is
//! appended here that it would not take, and a list that it would drop is [`Damage`].
//!
//! Dovecot reads on from where it last stopped when the file has grown, and from the
//! beginning when it was replaced. `N` may be less than follows from the last line, but
//! must never become less than it was.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::mail::{Uid, UidValidity};

use super::disk::{open_in_place, open_regular, read_if_there};
use super::uidlist_line::{END, Header, Span, parse_record, to_lines};
use super::{Disk, DiskError, UidListLock};

/// Why Dovecot would drop a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Damage {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A list as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DovecotUidList {
    /// The mailbox's UIDVALIDITY.
    pub validity: UidValidity,
    /// The UID that Dovecot would give next.
    pub next: Uid,
    /// Keys of the header that are neither V nor N, as they stand: `G…` is the mailbox's GUID.
    keys: Vec<Vec<u8>>,
    content: Vec<u8>,
    records: Vec<Span>,
    appendable: bool,
}

/// One message of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UidRecord<'a> {
    /// Its UID.
    pub uid: Uid,
    /// Its keys with their values, separated by spaces: S size, W size with CRLF, P POP3
    /// UIDL, O POP3 order, G GUID.
    keys: &'a [u8],
    base: &'a [u8],
}

impl<'a> UidRecord<'a> {
    /// The base name of its file; none where that is not UTF-8 (such files we pass over).
    #[must_use]
    pub fn base(&self) -> Option<&'a str> {
        std::str::from_utf8(self.base).ok()
    }

    /// The value of a key, such as `P`; none where the record has no such key.
    #[must_use]
    pub fn value(&self, key: char) -> Option<&'a str> {
        let mut fields = self.keys.split(|byte| *byte == b' ');
        fields.find_map(|field| std::str::from_utf8(field).ok()?.strip_prefix(key))
    }
}

impl DovecotUidList {
    /// Reads `dovecot-uidlist` of a folder; none where there is no such file.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Result<DovecotUidList, Damage>>, DiskError> {
        Ok(read_if_there(&path(folder))?.map(DovecotUidList::parse))
    }

    /// Reads `courierimapuiddb` of a folder; none where there is no such file.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn read_courier(folder: &Path) -> Result<Option<Result<DovecotUidList, Damage>>, DiskError> {
        Ok(read_if_there(&folder.join("courierimapuiddb"))?.map(DovecotUidList::parse))
    }

    /// The UIDVALIDITY that `dovecot-uidlist` of a folder begins with, at the cost of its first bytes;
    /// none where there is no such file, or one that begins otherwise.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn validity_of(folder: &Path) -> Result<Option<UidValidity>, DiskError> {
        let path = path(folder);
        let mut head = Vec::new();
        match open_regular(&path).and_then(|file| file.take(END as u64).read_to_end(&mut head)) {
            Ok(_) => {
                let end = memchr::memchr(b'\n', &head).unwrap_or(head.len());
                Ok(Header::parse(&head[..end]).ok().map(|header| header.validity))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::at("read", path)(error)),
        }
    }

    /// A list for a folder that has none, or a damaged one; nothing is written before
    /// something is appended or raised. Dovecot adds the GUID.
    #[must_use]
    pub fn new(validity: UidValidity, next: Uid) -> DovecotUidList {
        DovecotUidList {
            validity,
            next,
            keys: Vec::new(),
            content: Vec::new(),
            records: Vec::new(),
            appendable: false,
        }
    }

    /// The messages, UIDs ascending.
    pub fn records(&self) -> impl Iterator<Item = UidRecord<'_>> {
        self.records.iter().map(|span| UidRecord {
            uid: span.uid,
            keys: &self.content[span.keys.0..span.keys.1],
            base: &self.content[span.base.0..span.base.1],
        })
    }

    /// Base name to UID. Where a name stands twice the last counts, as in Dovecot.
    #[must_use]
    pub fn uids(&self) -> HashMap<&str, Uid> {
        self.records()
            .filter_map(|record| Some((record.base()?, record.uid)))
            .collect()
    }

    /// The mailbox's GUID, 32 hexadecimal digits.
    #[must_use]
    pub fn guid(&self) -> Option<&str> {
        let key = self.keys.iter().find_map(|key| key.strip_prefix(b"G"))?;
        std::str::from_utf8(key).ok()
    }

    /// Adds messages durably: by appending, or by replacing a list that cannot be appended
    /// to (version 1, one that ends within a line). UIDs ascend and are not below `next`.
    ///
    /// # Errors
    /// Where the list cannot be written, it then stands as before; `InvalidInput` for what
    /// Dovecot would not take.
    pub fn append(&mut self, disk: &Disk, lock: &UidListLock, new: &[(Uid, &str)]) -> Result<(), DiskError> {
        let (lines, next) = to_lines(lock, self.next, new)?;
        if !self.appendable {
            let mut content = self.to_bytes(next, |_| true);
            content.extend_from_slice(&lines);
            return self.replace(disk, lock, content);
        }
        append_lines(disk, lock, &lines)?;
        let from = self.content.len();
        self.content.extend_from_slice(&lines);
        // Lines made by `to_lines` are understood: they hold a UID above the last one and a name.
        let _ = self.scan(from, 0, 3);
        Ok(())
    }

    /// Raises `N` durably, so that Dovecot gives no UID below `next`; nothing is written where
    /// it would give none.
    ///
    /// # Errors
    /// Where the list cannot be replaced; it then stands as before.
    pub fn raise(&mut self, disk: &Disk, lock: &UidListLock, next: Uid) -> Result<(), DiskError> {
        if next <= self.next && !self.content.is_empty() {
            return Ok(());
        }
        self.replace(disk, lock, self.to_bytes(next.max(self.next), |_| true))
    }

    /// Replaces the file by this list, less the records that `keep` refuses and those
    /// whose name stands again further down. All keys are kept.
    ///
    /// # Errors
    /// Where the list cannot be replaced; it then stands as before.
    pub fn rewrite(
        &mut self,
        disk: &Disk,
        lock: &UidListLock,
        keep: impl Fn(&UidRecord<'_>) -> bool,
    ) -> Result<(), DiskError> {
        self.replace(disk, lock, self.to_bytes(self.next, keep))
    }

    fn replace(&mut self, disk: &Disk, lock: &UidListLock, content: Vec<u8>) -> Result<(), DiskError> {
        let path = path(lock.folder());
        let list = DovecotUidList::parse(content)
            .map_err(|damage| DiskError::at("replace", &path)(io::Error::new(io::ErrorKind::InvalidInput, damage)))?;
        disk.replace(&path, &list.content)?;
        *self = list;
        Ok(())
    }

    fn to_bytes(&self, next: Uid, keep: impl Fn(&UidRecord<'_>) -> bool) -> Vec<u8> {
        let mut content = format!("3 V{} N{next}", self.validity).into_bytes();
        for key in &self.keys {
            content.push(b' ');
            content.extend_from_slice(key);
        }
        content.push(b'\n');
        let last: HashMap<&[u8], Uid> = self.records().map(|record| (record.base, record.uid)).collect();
        for record in self.records() {
            if last[record.base] != record.uid || !keep(&record) {
                continue;
            }
            content.extend_from_slice(record.uid.to_string().as_bytes());
            if !record.keys.is_empty() {
                content.push(b' ');
                content.extend_from_slice(record.keys);
            }
            content.extend_from_slice(b" :");
            content.extend_from_slice(record.base);
            content.push(b'\n');
        }
        content
    }

    fn parse(content: Vec<u8>) -> Result<DovecotUidList, Damage> {
        let end = content.iter().position(|byte| *byte == b'\n').unwrap_or(content.len());
        let header = Header::parse(&content[..end]).map_err(|reason| Damage { line: 1, reason })?;
        let mut list = DovecotUidList {
            validity: header.validity,
            next: header.next,
            keys: header.keys,
            appendable: header.version == 3 && content.ends_with(b"\n"),
            records: Vec::new(),
            content,
        };
        list.scan(end + 1, 1, header.version)?;
        Ok(list)
    }

    // Takes the records from `from` on, of which `before` lines stand above.
    fn scan(&mut self, from: usize, before: usize, version: u8) -> Result<(), Damage> {
        let mut start = from;
        let mut line = before;
        // A last line without its end is being written, or was never written out: not read.
        while let Some(length) = memchr::memchr(b'\n', self.content.get(start..).unwrap_or_default()) {
            line += 1;
            let end = start + length;
            let span = parse_record(&self.content[start..end], version).map_err(|reason| Damage { line, reason })?;
            let uid = span.uid;
            let damage = |reason| Err(Damage { line, reason });
            if self.records.last().is_some_and(|last| last.uid >= uid) {
                return damage("the UID does not ascend");
            }
            if version == 1 && uid >= self.next {
                return damage("the UID is not below the next UID");
            }
            // Not the highest number: `parse_record` refuses that.
            self.next = self.next.max(uid.next().unwrap_or(uid));
            let moved = |(from, to): (usize, usize)| (start + from, start + to);
            self.records.push(Span {
                uid,
                keys: moved(span.keys),
                base: moved(span.base),
            });
            start = end + 1;
        }
        Ok(())
    }
}

/// The end of a list to which lines can be appended: what a delivery needs, at a cost that
/// does not grow with the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UidListEnd {
    /// The mailbox's UIDVALIDITY.
    pub validity: UidValidity,
    /// The UID that Dovecot would give next.
    pub next: Uid,
}

impl UidListEnd {
    /// Reads the header and the last line. None where there is no list, or one that must be
    /// read as a whole first: of version 1, damaged at its ends, or ending within a line.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn read(lock: &UidListLock) -> Result<Option<UidListEnd>, DiskError> {
        let path = path(lock.folder());
        match read_ends(&path) {
            Ok((head, tail)) => Ok(UidListEnd::parse(&head, &tail)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::at("read", path)(error)),
        }
    }

    /// As [`DovecotUidList::append`].
    ///
    /// # Errors
    /// As [`DovecotUidList::append`].
    pub fn append(&mut self, disk: &Disk, lock: &UidListLock, new: &[(Uid, &str)]) -> Result<(), DiskError> {
        let (lines, next) = to_lines(lock, self.next, new)?;
        append_lines(disk, lock, &lines)?;
        self.next = next;
        Ok(())
    }

    fn parse(head: &[u8], tail: &[u8]) -> Option<UidListEnd> {
        let end = memchr::memchr(b'\n', head)?;
        let header = Header::parse(&head[..end]).ok().filter(|header| header.version == 3)?;
        let lines = tail.strip_suffix(b"\n")?;
        let whole = tail.len() < END;
        let mut next = header.next;
        match memchr::memrchr(b'\n', lines) {
            Some(at) => next = next.max(parse_record(&lines[at + 1..], 3).ok()?.uid.next()?),
            // The header alone.
            None if whole => {}
            None => return None,
        }
        Some(UidListEnd {
            validity: header.validity,
            next,
        })
    }
}

// The first and the last bytes of a file.
fn read_ends(path: &Path) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut file = open_regular(path)?;
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    (&file).take(END as u64).read_to_end(&mut head)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END as u64)))?;
    file.take(END as u64).read_to_end(&mut tail)?;
    Ok((head, tail))
}

fn append_lines(disk: &Disk, lock: &UidListLock, lines: &[u8]) -> Result<(), DiskError> {
    if lines.is_empty() {
        return Ok(());
    }
    let path = path(lock.folder());
    let mut file = open_in_place(&path, OpenOptions::new().append(true)).map_err(DiskError::at("open", &path))?;
    let length = file.metadata().map_err(DiskError::at("examine", &path))?.len();
    let written = file.write_all(lines).map_err(DiskError::at("write", &path));
    let written = written.and_then(|()| disk.flush(&file, &path));
    if written.is_err() {
        // Half a line would be the end of the whole list.
        let _ = file.set_len(length);
    }
    written
}

fn path(folder: &Path) -> PathBuf {
    folder.join("dovecot-uidlist")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const DISK: Disk = Disk {
        fsync: false,
        file_mode: 0o600,
        folder_mode: 0o700,
    };

    fn uid(value: u32) -> Uid {
        Uid::new(value).unwrap()
    }

    fn parse(text: &str) -> Result<DovecotUidList, Damage> {
        DovecotUidList::parse(text.as_bytes().to_vec())
    }

    fn locked(text: Option<&str>) -> (tempfile::TempDir, UidListLock) {
        let home = tempfile::tempdir().unwrap();
        if let Some(text) = text {
            fs::write(path(home.path()), text).unwrap();
        }
        let lock = UidListLock::acquire(home.path(), Duration::ZERO).unwrap().unwrap();
        (home, lock)
    }

    #[test]
    fn a_header_beyond_its_bound_is_read_by_nobody() {
        let long = format!("3 V17 N9 X{} V18\n", "x".repeat(END));
        assert_eq!(parse(&long).unwrap_err().line, 1);
        let (home, lock) = locked(Some(&long));
        assert_eq!(DovecotUidList::validity_of(home.path()).unwrap(), None);
        assert!(UidListEnd::read(&lock).unwrap().is_none());
    }

    #[test]
    fn a_header_that_is_read_can_be_written_again() {
        let header = |keys: usize, next: u32| format!("3 V17 N{next} X{}\n", "x".repeat(keys));
        let longest = (0..END).rev().find(|keys| parse(&header(*keys, 9)).is_ok()).unwrap();
        let (_home, lock) = locked(Some(&header(longest, 9)));
        let mut list = parse(&header(longest, 9)).unwrap();
        list.raise(&DISK, &lock, uid(4_000_000_000)).unwrap();
        assert_eq!(UidListEnd::read(&lock).unwrap().unwrap().next, uid(4_000_000_000));
    }

    #[test]
    fn its_ends_say_what_the_whole_says_however_long_it_is() {
        // What is read of both ends is the same, overlaps, or lies apart.
        for length in (END - 40..END + 40).chain(2 * END - 40..2 * END + 40) {
            let mut text = "3 V17 N9\n".to_owned();
            for uid in 1.. {
                let line = format!("{uid} :{}\n", "x".repeat(30));
                let left = length - text.len();
                if left < 2 * line.len() {
                    text.push_str(&format!("{uid} :"));
                    text.push_str(&"y".repeat(length - text.len() - 1));
                    text.push('\n');
                    break;
                }
                text.push_str(&line);
            }
            assert_eq!(text.len(), length);
            let whole = parse(&text).unwrap();
            let (_home, lock) = locked(Some(&text));
            let ends = UidListEnd::read(&lock).unwrap().unwrap();
            assert_eq!(
                (ends.validity, ends.next),
                (whole.validity, whole.next),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn both_versions_are_read() {
        let list = parse("3 V17 N9 Gf944330d0dee026bfe5e000083ecc375 Xy\n1 :a\n5 W20 Pp1 :b,S=3\n7 :c:2,S\n").unwrap();
        assert_eq!((list.validity.value(), list.next), (17, uid(9)));
        assert_eq!(list.guid(), Some("f944330d0dee026bfe5e000083ecc375"));
        let records: Vec<_> = list.records().collect();
        assert_eq!(records[1].base(), Some("b,S=3"));
        assert_eq!(
            (records[1].value('W'), records[1].value('P'), records[1].value('G')),
            (Some("20"), Some("p1"), None)
        );
        assert_eq!(
            list.uids(),
            HashMap::from([("a", uid(1)), ("b,S=3", uid(5)), ("c", uid(7))])
        );
        let list = parse("1 17 9\n3 a.b:2,RS\n8 c:x y\n").unwrap();
        assert_eq!(list.uids(), HashMap::from([("a.b", uid(3)), ("c", uid(8))]));
        assert_eq!((list.next, list.appendable), (uid(9), false));
        // The header is only raised now and then.
        assert_eq!(parse("3 V1 N2\n7 :a\n").unwrap().next, uid(8));
        // A name again: the last counts. A line that is being written: not yet.
        assert_eq!(
            parse("3 V1 N2\n7 :a\n8 :a\n9 :b").unwrap().uids(),
            HashMap::from([("a", uid(8))])
        );
    }

    #[test]
    fn what_dovecot_drops_is_damage() {
        for (text, line) in [
            ("", 1),
            ("\n", 1),
            ("2 17 9\n", 1),
            ("3V17 N9\n", 1),
            ("3 V17\n", 1),
            ("3 V0 N1\n", 1),
            ("3 V99999999999 N1\n", 1),
            ("3 V17 N1 Gxyz\n", 1),
            ("1 17\n", 1),
            ("3 V17 N9\nx\n", 2),
            ("3 V17 N9\n1 :a\n\n", 3),
            ("3 V17 N9\n2 :a\n2 :b\n", 3),
            ("3 V17 N9\n2 :a\n1 :b\n", 3),
            ("3 V17 N9\n0 :a\n", 2),
            ("3 V17 N9\n4294967295 :a\n", 2),
            ("3 V17 N9\n4294967297 :a\n", 2),
            ("3 V17 N9\n1 a\n", 2),
            ("3 V17 N9\n1 :\n", 2),
            ("3 V17 N9\n1 :../a\n", 2),
            ("1 17 9\n9 a\n", 2),
            ("1 17 9\n9\n", 2),
        ] {
            assert_eq!(parse(text).map_err(|damage| damage.line), Err(line), "{text:?}");
        }
    }

    #[test]
    fn messages_are_appended_and_keys_kept() {
        let cases = [
            // (before, after)
            ("3 V17 N9 Qz\n1 W2 :a\n", "3 V17 N9 Qz\n1 W2 :a\n9 :x\n12 :y\n"),
            ("3 V17 N9 Qz\n1 W2 :a\n2 :to", "3 V17 N13 Qz\n1 W2 :a\n9 :x\n12 :y\n"),
            ("1 17 9\n1 a:2,S\n", "3 V17 N13\n1 :a\n9 :x\n12 :y\n"),
            ("3 V17 N9\n", "3 V17 N9\n9 :x\n12 :y\n"),
        ];
        for (before, after) in cases {
            let (home, lock) = locked(Some(before));
            let mut list = DovecotUidList::read(home.path()).unwrap().unwrap().unwrap();
            list.append(&DISK, &lock, &[(uid(9), "x"), (uid(12), "y:2,S")]).unwrap();
            assert_eq!(fs::read_to_string(path(home.path())).unwrap(), after);
            assert_eq!(DovecotUidList::read(home.path()).unwrap(), Some(Ok(list)));
        }
    }

    #[test]
    fn what_dovecot_would_not_take_is_not_appended() {
        let before = "3 V17 N9\n1 :a\n";
        let (home, lock) = locked(Some(before));
        let mut list = DovecotUidList::read(home.path()).unwrap().unwrap().unwrap();
        let mut end = UidListEnd::read(&lock).unwrap().unwrap();
        for new in [
            &[(uid(8), "x")][..],
            &[(uid(9), "x"), (uid(9), "y")],
            &[(uid(9), "")],
            &[(uid(9), ":2,S")],
            &[(uid(9), "a/b")],
            &[(uid(9), "a\nb")],
            &[(uid(u32::MAX), "x")],
        ] {
            assert!(list.append(&DISK, &lock, new).is_err(), "{new:?}");
            assert!(end.append(&DISK, &lock, new).is_err(), "{new:?}");
        }
        assert_eq!(fs::read_to_string(path(home.path())).unwrap(), before);
    }

    #[test]
    fn raised_made_and_thinned() {
        let (home, lock) = locked(None);
        assert_eq!(DovecotUidList::read(home.path()).unwrap(), None);
        let mut list = DovecotUidList::new(UidValidity::new(17).unwrap(), uid(4));
        list.raise(&DISK, &lock, uid(2)).unwrap();
        let text = || fs::read_to_string(path(home.path())).unwrap();
        assert_eq!(text(), "3 V17 N4\n");
        list.append(&DISK, &lock, &[(uid(4), "a"), (uid(5), "b")]).unwrap();
        list.raise(&DISK, &lock, uid(6)).unwrap();
        assert_eq!(text(), "3 V17 N4\n4 :a\n5 :b\n");
        list.raise(&DISK, &lock, uid(100)).unwrap();
        assert_eq!(text(), "3 V17 N100\n4 :a\n5 :b\n");
        list.rewrite(&DISK, &lock, |record| record.base() != Some("a")).unwrap();
        assert_eq!(text(), "3 V17 N100\n5 :b\n");
        list.append(&DISK, &lock, &[(uid(100), "b")]).unwrap();
        list.rewrite(&DISK, &lock, |_| true).unwrap();
        assert_eq!(text(), "3 V17 N101\n100 :b\n");
    }

    #[test]
    fn the_end_says_what_the_whole_says() {
        let long = format!(
            "3 V17 N3\n{}",
            (1..2000).map(|n| format!("{n} :name{n}\n")).collect::<String>()
        );
        for (text, next) in [
            ("3 V17 N9\n", Some(9)),
            ("3 V17 N9\n12 :a\n", Some(13)),
            (&long, Some(2000)),
            ("1 17 9\n1 a\n", None),
            ("3 V17 N9\n12 :a\n13", None),
            ("3 V17 N9\nx\n", None),
            ("", None),
        ] {
            let (_home, lock) = locked(Some(text));
            let end = UidListEnd::read(&lock).unwrap();
            assert_eq!(end.map(|end| end.next.value()), next, "{text:.30?}");
        }
        let (_home, lock) = locked(None);
        assert_eq!(UidListEnd::read(&lock).unwrap(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = UidListEnd::parse(&bytes, &bytes);
            let _ = DovecotUidList::parse(bytes);
        }

        #[test]
        fn lists_come_back(text in "[13] (V?[0-9]{1,3} ?){1,2}(N[1-9]{1,2})?( [GXZ][a-z0-9]{0,3})?\n([0-9]{1,2} ?([A-Z]x )*:?[a-c]{0,2}(:2,S)?\n){0,6}") {
            if let Ok(list) = parse(&text) {
                let again = DovecotUidList::parse(list.to_bytes(list.next, |_| true)).expect("sound");
                prop_assert_eq!(again.uids(), list.uids());
                prop_assert_eq!((again.next, again.validity, &again.keys), (list.next, list.validity, &list.keys));
                prop_assert_eq!(again.to_bytes(list.next, |_| true), list.to_bytes(list.next, |_| true));
            }
        }
    }
}
