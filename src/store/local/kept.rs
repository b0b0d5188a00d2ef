//! What the index keeps of a message, made ready before a transaction begins.

use std::cell::RefCell;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ring::digest::{Context, SHA256};

use crate::index::{Delivery, NewContent, StoredCard};
use crate::mail::{DeliveryId, EmailId};
use crate::maildir::open_message;
use crate::message::{self, Card, Letter, Limits};

/// Files that are worth a thread of their own.
const FILES_EACH: usize = 16;
/// Threads that read files: a disk and a database wait for one another, not for more.
const READERS: usize = 4;

/// A file, read.
pub(super) struct Content {
    pub(super) new: NewContent,
    /// The delivery id that its trace fields name.
    pub(super) delivery: Option<DeliveryId>,
    /// Bytes with all lines ending in CRLF.
    pub(super) size: u64,
    /// INTERNALDATE: the file's time, in seconds since 1970.
    pub(super) written: i64,
    /// When it was last renamed or otherwise changed: all that a file knows of SAVEDATE.
    pub(super) changed: i64,
}

/// What the index keeps of a letter whose stored bytes have this digest.
pub(super) fn of_letter(letter: &Letter, digest: &[u8; 32]) -> io::Result<NewContent> {
    let delivery = letter.received().map(|(id, reverse_path, recipient)| Delivery {
        id: id.to_string(),
        reverse_path: reverse_path.to_string(),
        recipient: recipient.map(ToString::to_string).unwrap_or_default(),
    });
    let card = Card::of_letter(letter)?;
    Ok(NewContent::new(
        EmailId::of_digest(digest),
        &StoredCard { card, delivery },
    ))
}

/// Reads files, several at a time. None where another program took one away, or where it cannot
/// be read: that is logged, and tried again next time.
pub(super) fn of_files<P: AsRef<Path> + Sync>(paths: &[P]) -> Vec<Option<Content>> {
    let readers = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(READERS));
    let each = paths.len().div_ceil(readers).max(FILES_EACH);
    if paths.len() <= each {
        return paths.iter().map(|path| of_file(path.as_ref())).collect();
    }
    std::thread::scope(|scope| {
        let read = |paths: &[P]| paths.iter().map(|path| of_file(path.as_ref())).collect::<Vec<_>>();
        let readers: Vec<_> = paths
            .chunks(each)
            .map(|paths| (paths.len(), scope.spawn(move || read(paths))))
            .collect();
        // A reader that panicked read nothing; its files are tried again next time.
        let found = readers.into_iter().map(|(length, reader)| {
            reader
                .join()
                .unwrap_or_else(|_| std::iter::repeat_with(|| None).take(length).collect())
        });
        found.flatten().collect()
    })
}

fn of_file(path: &Path) -> Option<Content> {
    match read(path) {
        Ok(content) => Some(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read a message; it is left out of the index");
            None
        }
    }
}

fn read(path: &Path) -> io::Result<Content> {
    let metadata = std::fs::metadata(path)?;
    let mut file = open_message(path)?;
    let scanned = message::scan(&mut file, &Limits::default())?;
    let file = RefCell::new(file);
    let card = Card::of_file(&scanned, |range| {
        let mut file = file.borrow_mut();
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(range.start))?;
        Read::take(&mut *file, range.end - range.start).read_to_end(&mut bytes)?;
        Ok(bytes)
    })?;
    let delivery = card.summary.delivery_id.as_deref().and_then(DeliveryId::from_stored);
    Ok(Content {
        new: NewContent::new(
            EmailId::of_digest(&scanned.digest),
            &StoredCard { card, delivery: None },
        ),
        delivery,
        size: scanned.crlf_size,
        written: metadata.mtime(),
        changed: metadata.ctime(),
    })
}

/// Writes on, and takes the SHA-256 of what passes.
pub(super) struct Hashing<W> {
    to: W,
    context: Context,
}

impl<W: Write> Hashing<W> {
    pub(super) fn new(to: W) -> Hashing<W> {
        Hashing {
            to,
            context: Context::new(&SHA256),
        }
    }

    /// The digest of all that was written; fails where the last of it could not be.
    pub(super) fn finish(mut self) -> io::Result<[u8; 32]> {
        self.to.flush()?;
        let mut digest = [0; 32];
        digest.copy_from_slice(self.context.finish().as_ref());
        Ok(digest)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.context.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
