//! Where a message lies while it is received and delivered: memory, or a file without a name.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::intake::Intake;
use super::message::Message;
use super::pool::{Pool, Share};
use super::structure::Limits;

/// Bytes written to the file at a time.
const WRITE: usize = 64 * 1024;

/// How messages are kept until they are delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolOptions {
    /// Bytes of a message that stay in memory; a larger one goes to a file.
    pub memory: usize,
    /// The directory of these files, which have no name and vanish with the process.
    pub directory: PathBuf,
    /// Bytes of the header in which fields are listed.
    pub header: usize,
}

impl Default for SpoolOptions {
    fn default() -> SpoolOptions {
        SpoolOptions {
            memory: 256 * 1024,
            directory: std::env::temp_dir(),
            header: Limits::default().header,
        }
    }
}

/// Why a message cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file cannot be created, written or read.
    #[error("cannot keep a message of {size} bytes in {directory}")]
    Io {
        /// The directory of the options.
        directory: PathBuf,
        /// Bytes received so far.
        size: u64,
        /// What the system said.
        source: io::Error,
    },
}

/// A message that is being received.
pub struct Spool {
    options: SpoolOptions,
    intake: Intake,
    /// What is not in the file: all, or what was not written yet.
    buffer: Vec<u8>,
    /// What of the memory of all messages the buffer takes.
    share: Option<Share>,
    file: Option<File>,
    size: u64,
    from_line: FromLine,
}

/// What becomes of a leading `From ` line.
enum FromLine {
    Kept,
    /// It is to be dropped, and so many of its first bytes were seen.
    Awaited(usize),
    /// Its end is awaited.
    Dropping,
}

const FROM: &[u8] = b"From ";

impl Spool {
    /// An empty message.
    #[must_use]
    pub fn new(options: &SpoolOptions) -> Spool {
        let limits = Limits {
            header: options.header,
            ..Limits::default()
        };
        Spool {
            options: options.clone(),
            intake: Intake::with_digest(&limits),
            buffer: Vec::new(),
            share: None,
            file: None,
            size: 0,
            from_line: FromLine::Kept,
        }
    }

    /// A message that somebody else has kept, in a file from its start on: a short one is taken into memory, a long one
    /// stays there.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn take_over(file: File, options: &SpoolOptions) -> io::Result<Message> {
        let Spool { mut intake, .. } = Spool::new(options);
        let (mut buffer, mut size) = (vec![0; WRITE], 0);
        let mut kept = Some(Vec::new());
        loop {
            let length = file.read_at(&mut buffer, size)?;
            if length == 0 {
                break;
            }
            intake.feed(&buffer[..length]);
            size += length as u64;
            kept = kept.filter(|kept| kept.len() + length <= options.memory);
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(&buffer[..length]);
            }
        }
        let bytes = kept.map_or(Bytes::File(file), |kept| Bytes::Memory(kept, None));
        Ok(Message::new(bytes, intake.finish()))
    }

    /// Tries whether a file can be made where large messages wait.
    ///
    /// # Errors
    /// [`SpoolError::Io`] with the folder.
    pub fn check(options: &SpoolOptions) -> Result<(), SpoolError> {
        let directory = &options.directory;
        let made = tempfile::tempfile_in(directory);
        made.map(drop).map_err(|source| SpoolError::Io {
            directory: directory.clone(),
            size: 0,
            source,
        })
    }

    /// Drops a first line that starts with `From `, as MTAs put it before a message they pipe.
    #[must_use]
    pub fn without_from_line(mut self) -> Spool {
        self.from_line = FromLine::Awaited(0);
        self
    }

    /// Takes its memory from what all messages share: where that is used up, it goes to a file at once.
    #[must_use]
    pub fn within(mut self, pool: &Arc<Pool>) -> Spool {
        self.share = Some(Share::of(pool));
        self
    }

    /// Whether so many bytes more stay in memory; for these there is room then. Else [`Spool::write`] writes to the file,
    /// which may take a while.
    pub fn fits(&mut self, more: usize) -> bool {
        let full = match self.file {
            None => self.options.memory,
            Some(_) => WRITE,
        };
        let needed = self.buffer.len() + more;
        if needed > full {
            return false;
        }
        if needed > self.buffer.capacity() {
            let capacity = (self.buffer.capacity() * 2).clamp(needed, full);
            if self.share.as_mut().is_some_and(|share| !share.resize(capacity)) {
                return false;
            }
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
        true
    }

    /// Takes the next bytes, in pieces of any size.
    ///
    /// # Errors
    /// [`SpoolError`] where the file cannot be created or written.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), SpoolError> {
        while let FromLine::Awaited(seen) = self.from_line {
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(());
            };
            if *first != FROM[seen] {
                self.from_line = FromLine::Kept;
                self.take(&FROM[..seen])?;
            } else {
                bytes = rest;
                self.from_line = match seen + 1 {
                    5 => FromLine::Dropping,
                    seen => FromLine::Awaited(seen),
                };
            }
        }
        if let FromLine::Dropping = self.from_line {
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                return Ok(());
            };
            self.from_line = FromLine::Kept;
            bytes = &bytes[end + 1..];
        }
        self.take(bytes)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        self.intake.feed(bytes);
        self.size += bytes.len() as u64;
        if self.fits(bytes.len()) {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.spill(bytes).map_err(|source| self.error(source))
    }

    fn spill(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.options.directory)?),
        };
        file.write_all(&self.buffer)?;
        self.buffer.clear();
        self.buffer.shrink_to(WRITE);
        if let Some(share) = &mut self.share {
            // It never grows here, so there is room.
            share.resize(self.buffer.capacity());
        }
        if bytes.len() < self.buffer.capacity() {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        file.write_all(bytes)
    }

    /// Whether all of it lies in memory, so that to end it waits for no disk.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.file.is_none()
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.size
    }

    /// Whether nothing was taken so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Ends the message.
    ///
    /// # Errors
    /// [`SpoolError`] where the rest cannot be written.
    pub fn finish(mut self) -> Result<Message, SpoolError> {
        if let FromLine::Awaited(seen) = self.from_line {
            self.from_line = FromLine::Kept;
            self.take(&FROM[..seen])?;
        }
        if self.file.is_some() {
            self.spill(&[]).map_err(|source| self.error(source))?;
        }
        let content = match self.file {
            Some(file) => Bytes::File(file),
            None => {
                self.buffer.shrink_to_fit();
                if let Some(share) = &mut self.share {
                    share.resize(self.buffer.capacity());
                }
                Bytes::Memory(self.buffer, self.share)
            }
        };
        Ok(Message::new(content, self.intake.finish()))
    }

    fn error(&self, source: io::Error) -> SpoolError {
        SpoolError::Io {
            directory: self.options.directory.clone(),
            size: self.size,
            source,
        }
    }
}

/// The bytes of a message, which never change.
#[derive(Debug)]
pub(super) enum Bytes {
    /// With what they take of the memory of all messages.
    Memory(
        Vec<u8>,
        #[expect(dead_code, reason = "it is given back when the bytes are gone")] Option<Share>,
    ),
    File(File),
    /// One behind the other; none is empty, and none is made of pieces itself.
    Pieces(Vec<Stretch>),
}

/// A stretch of other bytes, as part of a message.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// Where it stands in the message.
    pub(super) at: u64,
    pub(super) bytes: Arc<Bytes>,
    pub(super) range: Range<u64>,
}

impl Bytes {
    /// A file with all of them, for another process, which may read and not change them: others may be given the same.
    pub(super) fn to_file(&self) -> io::Result<File> {
        if let Bytes::File(file) = self {
            // Opened anew for reading. It is its owner's alone, so that another user cannot open it for writing.
            return File::open(format!("/proc/self/fd/{}", file.as_raw_fd()));
        }
        let memory = memfd_create("postroom-message", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let (mut file, mut buffer, mut at) = (File::from(memory), vec![0; WRITE], 0);
        loop {
            let length = self.read_at(at, &mut buffer)?;
            if length == 0 {
                break;
            }
            file.write_all(&buffer[..length])?;
            at += length as u64;
        }
        fcntl_add_seals(
            &file,
            SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
        )?;
        Ok(file)
    }

    /// How many lie in memory.
    pub(super) fn held(&self) -> usize {
        match self {
            Bytes::Memory(bytes, _) => bytes.len(),
            Bytes::File(_) => 0,
            Bytes::Pieces(stretches) => stretches.iter().map(|stretch| stretch.bytes.held()).sum(),
        }
    }

    /// Reads from `offset`; zero is the end.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Bytes::Memory(bytes, _) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let length = buffer.len().min(bytes.len() - start);
                buffer[..length].copy_from_slice(&bytes[start..start + length]);
                Ok(length)
            }
            Bytes::File(file) => file.read_at(buffer, offset),
            Bytes::Pieces(stretches) => {
                let behind = stretches.partition_point(|stretch| stretch.at <= offset);
                let Some(stretch) = behind.checked_sub(1).map(|index| &stretches[index]) else {
                    return Ok(0);
                };
                let start = stretch.range.start + (offset - stretch.at);
                let left = usize::try_from(stretch.range.end.saturating_sub(start)).unwrap_or(usize::MAX);
                let length = buffer.len().min(left);
                stretch.bytes.read_at(start, &mut buffer[..length])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spooled(memory: usize, pieces: &[&str]) -> Message {
        let options = SpoolOptions {
            memory,
            ..SpoolOptions::default()
        };
        let mut spool = Spool::new(&options).without_from_line();
        for piece in pieces {
            spool.write(piece.as_bytes()).unwrap();
        }
        spool.finish().unwrap()
    }

    #[test]
    fn another_process_takes_a_message_over() {
        let text = "A: b\r\n\r\nbody\n".repeat(10);
        for (first, second) in [(1000, 1000), (1000, 3), (3, 1000), (3, 3)] {
            let message = spooled(first, &[&text]);
            let options = SpoolOptions {
                memory: second,
                ..SpoolOptions::default()
            };
            let mut file = message.to_file().unwrap();
            assert!(
                file.write_all(b"other").is_err() && file.set_len(0).is_err(),
                "nobody changes it"
            );
            let taken = Spool::take_over(file, &options).unwrap();
            assert_eq!(taken.bytes().unwrap(), text.as_bytes());
            assert_eq!(taken.digest(), message.digest());
            assert_eq!(taken.is_in_memory(), second == 1000);
        }
    }

    #[test]
    fn a_from_line_is_dropped() {
        for (pieces, kept) in [
            (&["From ann Mon\nA: b\n"][..], "A: b\n"),
            (&["Fr", "om ", "ann Mon\r", "\nA: b\n"], "A: b\n"),
            (&["Fr", "om: ann\n"], "From: ann\n"),
            (&["Fro"], "Fro"),
            (&["From ann"], ""),
            (&["A: b\nFrom x\n"], "A: b\nFrom x\n"),
        ] {
            let message = spooled(1000, pieces);
            assert_eq!(message.bytes().unwrap().as_ref(), kept.as_bytes());
            assert_eq!(message.size(), kept.len() as u64);
        }
    }

    #[test]
    fn memory_and_file_hold_the_same() {
        let text = "Subject: x\r\n\r\n".to_owned() + &"0123456789\r\n".repeat(30_000);
        for (memory, size) in [(0, 1), (10, 100_000), (100_000, 7), (1 << 20, 7), (0, 1 << 20)] {
            let pieces: Vec<&str> = (0..text.len())
                .step_by(size)
                .map(|at| &text[at..text.len().min(at + size)])
                .collect();
            let message = spooled(memory, &pieces);
            assert_eq!(message.bytes().unwrap().as_ref(), text.as_bytes());
            assert_eq!(message.digest(), Message::from_bytes(text.clone()).digest());
        }
    }

    #[test]
    fn what_all_share_is_never_exceeded_and_given_back() {
        let pool = Arc::new(Pool::new(100_000));
        let text = "Subject: x\r\n\r\n".to_owned() + &"0123456789\r\n".repeat(5_000);
        let mut messages = Vec::new();
        for piece in [1, 700, 70_000].repeat(4) {
            let mut spool = Spool::new(&SpoolOptions::default()).within(&pool);
            for bytes in text.as_bytes().chunks(piece) {
                spool.write(bytes).unwrap();
                assert!(pool.used() <= 100_000);
            }
            messages.push(spool.finish().unwrap());
        }
        let in_memory = |message: &&Message| message.is_in_memory();
        assert_eq!(messages.iter().filter(in_memory).count(), 1, "others went to files");
        for message in &messages {
            assert_eq!(message.bytes().unwrap().as_ref(), text.as_bytes());
        }
        drop(messages);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let options = SpoolOptions {
            memory: 0,
            directory: "/nonexistent/spool".into(),
            ..SpoolOptions::default()
        };
        let error = Spool::new(&options).write(b"x").unwrap_err();
        assert!(error.to_string().contains("/nonexistent/spool"));
        assert!(std::error::Error::source(&error).is_some());
    }
}
