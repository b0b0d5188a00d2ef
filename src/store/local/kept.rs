//! What the index keeps of a message, made ready before a transaction begins.

use std::cell::RefCell;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ring::digest::{Context, SHA256};

use crate::index::{Delivery, NewContent, NewPack, PACK_CARDS, StoredCard};
use crate::mail::{DeliveryId, EmailId};
use crate::maildir::open_message;
use crate::message::{self, Card, Letter, Limits, Summary};

use super::lock;

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

/// Files that were read together, and the pack of their cards where they are enough for one.
pub(super) struct Batch {
    pub(super) pack: Option<NewPack>,
    /// In order; none where another program took a file away, or where it cannot be read: that is
    /// logged, and tried again next time.
    pub(super) contents: Vec<Option<Content>>,
}

/// Reads files, some batches at a time; they come back in order.
pub(super) fn of_files(paths: &[PathBuf]) -> Vec<Batch> {
    let parts: Vec<&[PathBuf]> = paths.chunks(PACK_CARDS).collect();
    if parts.len() < 2 {
        return parts.into_iter().map(batch).collect();
    }
    let readers = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(READERS));
    let next = AtomicUsize::new(0);
    let read: Vec<Mutex<Option<Batch>>> = parts.iter().map(|_| Mutex::default()).collect();
    let reader = || {
        while let (at, Some(part)) = take_next(&next, &parts) {
            *lock(&read[at]) = Some(batch(part));
        }
    };
    thread::scope(|scope| {
        let readers: Vec<_> = (0..readers).map(|_| scope.spawn(reader)).collect();
        // What a reader that panicked did not read is tried again next time.
        readers.into_iter().for_each(|reader| drop(reader.join()));
    });
    let nothing = |part: &[PathBuf]| Batch {
        pack: None,
        contents: part.iter().map(|_| None).collect(),
    };
    let read = read.into_iter().map(|batch| lock(&batch).take());
    read.zip(parts)
        .map(|(batch, part)| batch.unwrap_or_else(|| nothing(part)))
        .collect()
}

fn take_next<'a, T: ?Sized>(next: &AtomicUsize, of: &[&'a T]) -> (usize, Option<&'a T>) {
    let at = next.fetch_add(1, Ordering::Relaxed);
    (at, of.get(at).copied())
}

fn batch(paths: &[PathBuf]) -> Batch {
    let mut contents: Vec<Option<Content>> = paths.iter().map(|path| of_file(path)).collect();
    let new = contents.iter_mut().flatten().map(|content| &mut content.new);
    Batch {
        pack: NewPack::of(new),
        contents,
    }
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

/// What a list shows of a file, its bytes with all lines ending in CRLF, its INTERNALDATE. None where it
/// cannot be read.
pub(super) fn summary(path: &Path) -> Option<(Summary, u64, i64)> {
    let summary = || {
        let written = std::fs::metadata(path)?.mtime();
        let scanned = message::scan(&mut open_message(path)?, &Limits::default())?;
        let summary = Summary::of(&scanned.header, &scanned.structure);
        Ok::<_, io::Error>((summary, scanned.crlf_size, written))
    };
    summary()
        .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "cannot read a removed message"))
        .ok()
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
    let delivery = card.summary().delivery_id.as_deref().and_then(DeliveryId::from_stored);
    Ok(Content {
        new: NewContent::for_pack(
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
