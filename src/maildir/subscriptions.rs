//! Which mailboxes the user subscribed to: Dovecot's `subscriptions`, Courier's
//! `courierimapsubscribed`, at the root of the Maildir.
//!
//! Dovecot's has one name a line in modified UTF-7, as its folders have. Version 2 opens
//! with `V\t2` and an empty line and separates levels by TAB, where TAB, CR, LF, NUL and
//! 0x01 inside a level are written 0x01 and a letter; version 1 has plain names, levels
//! separated by `.`. New files get version 2, as Dovecot 2.3 gives them; one that is
//! there keeps its version. Courier's has `INBOX.A.B` for the mailbox A.B, in modified
//! UTF-7, or in UTF-8 where a later Courier wrote it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::mail::MailboxName;

use super::disk::read_if_there;
use super::lock::DotLock;
use super::{Disk, DiskError, utf7};

/// The first lines of version 2.
const VERSION_2: &[u8] = b"V\t2\n\n";
/// A lock on a `subscriptions` that did not change for so long is stale, as in Dovecot.
const STALE: Duration = Duration::from_secs(30);

/// The subscriptions of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriptions {
    form: Form,
    /// The lines without their end, in their order; those that are no names of ours too.
    lines: Vec<Vec<u8>>,
}

/// How names are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    Tabs,
    Courier,
}

impl Subscriptions {
    /// Reads Dovecot's file; none where there is no such file.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn read(root: &Path) -> Result<Option<Subscriptions>, DiskError> {
        Ok(read_if_there(&path(root))?.map(|content| Subscriptions::parse(&content)))
    }

    /// Reads Courier's file; none where there is no such file.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn read_courier(root: &Path) -> Result<Option<Subscriptions>, DiskError> {
        let content = read_if_there(&root.join("courierimapsubscribed"))?;
        Ok(content.map(|content| Subscriptions::of_lines(Form::Courier, &content)))
    }

    /// The mailboxes, in the order of the file, each once. Lines that are no mailbox names
    /// are passed over.
    #[must_use]
    pub fn names(&self) -> Vec<MailboxName> {
        let mut seen = std::collections::HashSet::new();
        let names = self.lines.iter().filter_map(|line| self.form.decode(line));
        names.filter(|name| seen.insert(name.clone())).collect()
    }

    /// Subscribes to mailboxes (true) or unsubscribes from them (false) in Dovecot's file,
    /// durably and under Dovecot's lock, waiting for that at most `patience`; all other
    /// lines stay. True where it was done or there was nothing to do, false where another
    /// program held the lock too long.
    ///
    /// # Errors
    /// Where the file cannot be read or replaced; it then stands as before.
    pub fn alter(
        disk: &Disk,
        root: &Path,
        changes: &[(&MailboxName, bool)],
        patience: Duration,
    ) -> Result<bool, DiskError> {
        let Some(lock) = DotLock::acquire(&path(root), STALE, patience)? else {
            return Ok(false);
        };
        let stood = Subscriptions::read(root)?;
        let mut altered = stood.clone().unwrap_or(Subscriptions {
            form: Form::Tabs,
            lines: Vec::new(),
        });
        for (name, subscribed) in changes {
            altered.set(name, *subscribed);
        }
        if stood
            .as_ref()
            .map_or(altered.lines.is_empty(), |stood| *stood == altered)
        {
            return Ok(true);
        }
        lock.replace(disk, &altered.to_bytes())?;
        Ok(true)
    }

    fn set(&mut self, name: &MailboxName, subscribed: bool) {
        let form = self.form;
        let is_it = |line: &Vec<u8>| form.decode(line).as_ref() == Some(name);
        if !subscribed {
            self.lines.retain(|line| !is_it(line));
            // What is left of a list of version 1 must not be taken for one of version 2.
            while form == Form::Plain && self.to_bytes().starts_with(VERSION_2) {
                self.lines.remove(1);
            }
        } else if !self.lines.iter().any(is_it) {
            self.lines.push(form.encode(name));
        }
    }

    fn parse(content: &[u8]) -> Subscriptions {
        match content.strip_prefix(VERSION_2) {
            Some(lines) => Subscriptions::of_lines(Form::Tabs, lines),
            None => Subscriptions::of_lines(Form::Plain, content),
        }
    }

    fn of_lines(form: Form, content: &[u8]) -> Subscriptions {
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        let lines = content.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
        Subscriptions {
            form,
            lines: if content.is_empty() {
                Vec::new()
            } else {
                lines.collect()
            },
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut content = match self.form {
            Form::Tabs => VERSION_2.to_vec(),
            Form::Plain | Form::Courier => Vec::new(),
        };
        for line in &self.lines {
            content.extend_from_slice(line);
            content.push(b'\n');
        }
        content
    }
}

impl Form {
    fn decode(self, line: &[u8]) -> Option<MailboxName> {
        let line = std::str::from_utf8(line).ok()?;
        let name = match self {
            Form::Plain => utf7::decode(line)?,
            Form::Tabs => {
                let levels: Option<Vec<_>> = line.split('\t').map(|level| utf7::decode(&unescape(level))).collect();
                let levels = levels?;
                // A separator inside a level is another level on disk.
                if levels.iter().any(|level| level.contains('.')) {
                    return None;
                }
                levels.join(".")
            }
            Form::Courier if line == "INBOX" => line.to_owned(),
            Form::Courier => {
                let below = line.strip_prefix("INBOX.")?;
                utf7::decode(below).or_else(|| (!below.is_ascii()).then(|| below.to_owned()))?
            }
        };
        MailboxName::parse(&name, '.').ok()
    }

    fn encode(self, name: &MailboxName) -> Vec<u8> {
        let encoded = utf7::encode(name.as_str());
        match self {
            Form::Plain => encoded,
            Form::Tabs => encoded.replace('.', "\t"),
            Form::Courier if name.is_inbox() => encoded,
            Form::Courier => format!("INBOX.{encoded}"),
        }
        .into_bytes()
    }
}

// What Dovecot writes for bytes that would end a level or a line.
fn unescape(level: &str) -> String {
    let mut text = String::with_capacity(level.len());
    let mut chars = level.chars();
    while let Some(c) = chars.next() {
        if c != '\u{1}' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('0') => text.push('\0'),
            Some('1') => text.push('\u{1}'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('n') => text.push('\n'),
            other => text.extend(other),
        }
    }
    text
}

fn path(root: &Path) -> PathBuf {
    root.join("subscriptions")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    const DISK: Disk = Disk {
        fsync: false,
        file_mode: 0o600,
        folder_mode: 0o700,
    };

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text, '.').unwrap()
    }

    fn names(subscriptions: &Subscriptions) -> Vec<String> {
        subscriptions.names().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_form_is_read() {
        let cases: [(&[u8], &[&str]); 6] = [
            (b"", &[]),
            (b"V\t2\n\n", &[]),
            (
                b"V\t2\n\nArchive\tT&AOo-te\nFoo&-Bar\nINBOX\nFoo&-Bar\n",
                &["Archive.T\u{ea}te", "Foo&Bar", "INBOX"],
            ),
            (
                b"INBOX\nArchive.T&AOo-te\nno/name\n\xff\n\nlast",
                &["INBOX", "Archive.T\u{ea}te", "last"],
            ),
            // What would be no name of ours: a dot or a TAB inside a level, broken encoding.
            (b"V\t2\n\na.b\na\x01tb\n&x\na\t\tb\n..\nok\n", &["ok"]),
            (b"V\t1\n\na\n", &["a"]),
        ];
        for (content, expected) in cases {
            assert_eq!(names(&Subscriptions::parse(content)), expected, "{content:?}");
        }
        let content = "INBOX\nINBOX.A.T&AOo-te\nINBOX.T\u{ea}te\n#shared.x\nOther\n";
        let courier = Subscriptions::of_lines(Form::Courier, content.as_bytes());
        assert_eq!(names(&courier), ["INBOX", "A.T\u{ea}te", "T\u{ea}te"]);
    }

    #[test]
    fn changes_keep_version_and_what_is_not_understood() {
        let cases: [(Option<&[u8]>, &[u8]); 4] = [
            (None, b"V\t2\n\nA\tB\nT&AOo-te\n"),
            (Some(b"V\t2\n\n&x\nOld\nA\tB\n"), b"V\t2\n\n&x\nA\tB\nT&AOo-te\n"),
            (Some(b"\xff\nOld\nkept"), b"\xff\nkept\nA.B\nT&AOo-te\n"),
            (Some(b"V\t2\nOld\n\n\nA.B"), b"V\t2\nA.B\nT&AOo-te\n"),
        ];
        for (before, after) in cases {
            let home = tempfile::tempdir().unwrap();
            if let Some(before) = before {
                fs::write(path(home.path()), before).unwrap();
            }
            let (a, t, old) = (name("A.B"), name("T\u{ea}te"), name("Old"));
            let changes = [(&a, true), (&old, false), (&t, true), (&t, true)];
            assert!(Subscriptions::alter(&DISK, home.path(), &changes, Duration::ZERO).unwrap());
            assert_eq!(fs::read(path(home.path())).unwrap(), after, "{before:?}");
            assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "the lock ended");
        }
    }

    #[test]
    fn nothing_to_do_writes_nothing_and_a_held_lock_says_so() {
        let home = tempfile::tempdir().unwrap();
        let a = name("A");
        assert!(Subscriptions::alter(&DISK, home.path(), &[(&a, false)], Duration::ZERO).unwrap());
        assert!(!path(home.path()).exists());
        fs::write(home.path().join("subscriptions.lock"), "").unwrap();
        assert!(!Subscriptions::alter(&DISK, home.path(), &[(&a, true)], Duration::ZERO).unwrap());
        assert_eq!(Subscriptions::read(home.path()).unwrap(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_all_lines_stay(content in proptest::collection::vec(any::<u8>(), 0..80)) {
            let read = Subscriptions::parse(&content);
            let _ = read.names();
            prop_assert_eq!(Subscriptions::parse(&read.to_bytes()), read);
        }

        #[test]
        fn names_come_back(levels in proptest::collection::vec("[^\\p{C}./\u{fffd}]{1,8}", 1..4)) {
            let name = name(&levels.join("."));
            for form in [Form::Plain, Form::Tabs, Form::Courier] {
                prop_assert_eq!(form.decode(&form.encode(&name)), Some(name.clone()));
            }
        }
    }
}
