//! `postroom-annotations`: what people and programs noted about a mailbox (RFC 5464), beside its
//! messages; `postroom-server-annotations` in the INBOX: the same about the server, for this account.
//!
//! The first line names the form. An annotation is its name, a space, the number of bytes of its value,
//! LF, the value, LF:
//!
//! ```text
//! postroom-annotations 1
//! /private/comment 14
//! from the party
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::mail::{AnnotationName, Annotations};

use super::disk::read_if_there;
use super::{Disk, DiskError};

/// The first line.
const HEAD: &str = "postroom-annotations 1\n";

/// What is annotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Annotated {
    /// The mailbox whose folder it is.
    Mailbox,
    /// The server; the folder is that of the INBOX.
    Server,
}

impl Annotated {
    /// Reads the annotations in a folder; none where there is no file. What is behind a place that cannot be
    /// understood is left out.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn read(self, folder: &Path) -> Result<Annotations, DiskError> {
        let content = read_if_there(&self.path(folder))?;
        Ok(content.map(|content| parse(&content)).unwrap_or_default())
    }

    /// Writes all annotations of a folder durably.
    ///
    /// # Errors
    /// As [`Disk::replace`]; those before then stand.
    pub fn write(self, disk: &Disk, folder: &Path, annotations: &Annotations) -> Result<(), DiskError> {
        let path = self.path(folder);
        if !annotations.is_empty() {
            return disk.replace(&path, written(annotations).as_bytes());
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(DiskError::at("remove", path)(error)),
            Ok(()) => disk.flush_folder(folder),
        }
    }

    fn path(self, folder: &Path) -> PathBuf {
        folder.join(match self {
            Annotated::Mailbox => "postroom-annotations",
            Annotated::Server => "postroom-server-annotations",
        })
    }
}

fn written(annotations: &Annotations) -> String {
    let mut text = HEAD.to_owned();
    for (name, value) in annotations.iter() {
        text.push_str(&format!("{name} {}\n{value}\n", value.len()));
    }
    text
}

fn parse(content: &[u8]) -> Annotations {
    let mut annotations = Annotations::default();
    let mut rest = content.strip_prefix(HEAD.as_bytes()).unwrap_or_default();
    while let Some((name, value, behind)) = first(rest) {
        // One that would not be taken today is passed over.
        let _ = annotations.set(&name, Some(value));
        rest = behind;
    }
    annotations
}

fn first(content: &[u8]) -> Option<(AnnotationName, &str, &[u8])> {
    let end = content.iter().position(|byte| *byte == b'\n')?;
    // A name may have spaces.
    let (name, length) = std::str::from_utf8(&content[..end]).ok()?.rsplit_once(' ')?;
    let (value, rest) = content[end + 1..].split_at_checked(length.parse().ok()?)?;
    let value = std::str::from_utf8(value).ok()?;
    Some((AnnotationName::parse(name).ok()?, value, rest.strip_prefix(b"\n")?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DISK: Disk = Disk {
        fsync: false,
        file_mode: 0o600,
        folder_mode: 0o700,
    };

    fn some(entries: &[(&str, &str)]) -> Annotations {
        let mut annotations = Annotations::default();
        for (name, value) in entries {
            annotations
                .set(&AnnotationName::parse(name).unwrap(), Some(value))
                .unwrap();
        }
        annotations
    }

    #[test]
    fn come_back_and_go() {
        let home = tempfile::tempdir().unwrap();
        let (mailbox, server) = (
            some(&[
                ("/private/comment", "two\nlines\n"),
                ("/shared/a b", ""),
                ("/shared/c", "/shared/d 1\nx\n"),
            ]),
            some(&[("/shared/admin", "mailto:postmaster@example.org")]),
        );
        assert!(Annotated::Mailbox.read(home.path()).unwrap().is_empty());
        Annotated::Mailbox.write(&DISK, home.path(), &mailbox).unwrap();
        Annotated::Server.write(&DISK, home.path(), &server).unwrap();
        assert_eq!(Annotated::Mailbox.read(home.path()).unwrap(), mailbox);
        assert_eq!(Annotated::Server.read(home.path()).unwrap(), server);
        for _ in 0..2 {
            Annotated::Mailbox
                .write(&DISK, home.path(), &Annotations::default())
                .unwrap();
            assert!(Annotated::Mailbox.read(home.path()).unwrap().is_empty());
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_before_damage_counts() {
        for (text, count) in [
            ("", 0),
            ("postroom-annotations 2\n/private/a 1\nx\n", 0),
            ("postroom-annotations 1\n/private/a 1\nx\n/private/b 9\nx\n", 1),
            (
                "postroom-annotations 1\n/private/a 1\nx\nnonsense\n/private/b 1\nx\n",
                1,
            ),
            ("postroom-annotations 1\n/private/a 99999999999999999999\nx\n", 0),
            ("postroom-annotations 1\n/private/a 1\nx\n/private/b 1\ny", 1),
        ] {
            assert_eq!(parse(text.as_bytes()).iter().count(), count, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_value_comes_back(values in prop::collection::vec("(\\PC|[\r\n\t]){0,20}", 0..5)) {
            let mut annotations = Annotations::default();
            for (number, value) in values.iter().enumerate() {
                annotations.set(&AnnotationName::parse(&format!("/private/{number}")).unwrap(), Some(value)).unwrap();
            }
            prop_assert_eq!(parse(written(&annotations).as_bytes()), annotations);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&[HEAD.as_bytes(), &bytes].concat());
        }
    }
}
