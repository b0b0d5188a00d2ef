//! Reading an mbox, whoever wrote it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use memchr::memchr;

use super::FromLine;
use super::status::Status;
use crate::mail::Flags;
use crate::message::lines::CHUNK;

/// How the lines begin that stand before messages.
pub(super) const FROM: &[u8] = b"From ";
/// Bytes of a header in which Content-Length is looked for.
const HEADER: usize = 256 * 1024;

/// Which kind of mbox a file is: how the end of a message is found, and what becomes of `>From `.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MboxForm {
    /// As the file shows: by Content-Length where every message of the file has one that leads to the next
    /// message, and then without quoting where lines beginning with `From ` stand in messages; else as mboxrd.
    #[default]
    Any,
    /// Any number of `>` before `From `: one is taken off.
    Mboxrd,
    /// `>From `: the `>` is taken off; `>>From ` stays.
    Mboxo,
    /// Content-Length counts, and quoting is as in mboxrd.
    Mboxcl,
    /// Content-Length counts, and nothing is quoted.
    Mboxcl2,
}

/// An mbox being read.
pub struct Mbox {
    lines: Lines,
    form: MboxForm,
    next: Option<Separator>,
    skipped: u64,
}

/// A message of an mbox; its bytes went to the writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MboxMessage {
    /// The line before it.
    pub from_line: FromLine,
    /// Where that line begins in the file, in bytes.
    pub offset: u64,
    /// The number of that line, from 1.
    pub line: u64,
    /// The flags that [`write_mbox`](super::write_mbox) wrote before it; none in files of other programs.
    pub flags: Option<Flags>,
}

#[derive(Clone, Debug)]
struct Separator {
    from_line: FromLine,
    offset: u64,
    line: u64,
}

impl Mbox {
    /// Begins at the start of a file. With [`MboxForm::Any`] and a Content-Length in the first message it is read
    /// once to see whether they count.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn open(file: File, form: MboxForm) -> io::Result<Mbox> {
        let form = match form {
            MboxForm::Any => detect(&file)?,
            form => form,
        };
        let mut mbox = Mbox {
            lines: Lines::new(file),
            form,
            next: None,
            skipped: 0,
        };
        mbox.find_first()?;
        Ok(mbox)
    }

    /// Bytes before the first message, which belong to none. An empty line or two are nothing.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Bytes of the file that were read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next.as_ref().map_or(self.lines.position, |next| next.offset)
    }

    /// The next message, whose bytes are written to `to`; none at the end.
    ///
    /// # Errors
    /// Whatever the file and `to` return.
    pub fn next_message(&mut self, to: &mut impl Write) -> io::Result<Option<MboxMessage>> {
        let Some(Separator {
            from_line,
            offset,
            line,
        }) = self.next.take()
        else {
            return Ok(None);
        };
        let counted = match self.form {
            MboxForm::Mboxcl | MboxForm::Mboxcl2 => self.lines.counted()?,
            _ => None,
        };
        let flags = self.copy(to, counted)?;
        Ok(Some(MboxMessage {
            from_line,
            offset,
            line,
            flags,
        }))
    }

    fn find_first(&mut self) -> io::Result<()> {
        // Empty lines before the first message are no loss.
        let (mut blank, mut only_blank) = (true, true);
        while let Some(piece) = self.lines.next()? {
            if let Some(found) = self.lines.separator(&piece, blank, only_blank)? {
                self.next = Some(found);
                break;
            }
            blank = piece.starts && is_blank(self.lines.bytes(&piece));
            only_blank &= blank;
        }
        self.skipped = if only_blank { 0 } else { self.position() };
        Ok(())
    }

    // Up to the next separator, or to where a Content-Length leads.
    fn copy(&mut self, to: &mut impl Write, counted: Option<u64>) -> io::Result<Option<Flags>> {
        let mut out = Out::new(to);
        let mut top = Top::default();
        let mut blank: Option<Vec<u8>> = None;
        while let Some(piece) = self.lines.next()? {
            let inside = counted.is_some_and(|end| piece.offset < end);
            if !inside && let Some(found) = self.lines.separator(&piece, blank.is_some(), false)? {
                self.next = Some(found);
                blank = None;
                break;
            }
            if let Some(blank) = blank.take() {
                out.put(&blank)?;
            }
            let bytes = self.lines.bytes(&piece);
            if top.takes(bytes, piece.starts) {
                continue;
            }
            out.put(&top.left())?;
            if piece.starts && !inside && is_blank(bytes) {
                blank = Some(bytes.to_vec());
                continue;
            }
            out.put(unquoted(bytes, piece.starts, self.form))?;
        }
        // The last message's empty line goes with it, too.
        drop(blank);
        out.put(&top.left())?;
        out.finish()?;
        Ok(top.flags)
    }
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

fn unquoted(line: &[u8], starts: bool, form: MboxForm) -> &[u8] {
    let quoted = match form {
        _ if !starts || line.first() != Some(&b'>') => false,
        MboxForm::Mboxcl2 => false,
        MboxForm::Mboxo => line[1..].starts_with(FROM),
        MboxForm::Any | MboxForm::Mboxrd | MboxForm::Mboxcl => {
            let quotes = line.iter().take_while(|byte| **byte == b'>').count();
            line[quotes..].starts_with(FROM)
        }
    };
    if quoted { &line[1..] } else { line }
}

/// The three lines of ours, as long as they may be them.
#[derive(Default)]
struct Top {
    held: Vec<Vec<u8>>,
    flags: Option<Flags>,
    over: bool,
}

impl Top {
    fn takes(&mut self, line: &[u8], starts: bool) -> bool {
        if self.over || !starts || !Status::is_line(self.held.len(), line) {
            self.over = true;
            return false;
        }
        self.held.push(line.to_vec());
        if let [first, second, third] = self.held.as_slice() {
            self.flags = Status::parse([first, second, third]);
            self.over = true;
            if self.flags.is_some() {
                self.held.clear();
            }
        }
        true
    }

    // What was held and is the message's own.
    fn left(&mut self) -> Vec<u8> {
        if self.over {
            std::mem::take(&mut self.held).concat()
        } else {
            Vec::new()
        }
    }
}

/// Lines gathered into larger pieces.
struct Out<'to, W: Write> {
    to: &'to mut W,
    gathered: Vec<u8>,
}

impl<'to, W: Write> Out<'to, W> {
    fn new(to: &'to mut W) -> Out<'to, W> {
        Out {
            to,
            gathered: Vec::with_capacity(CHUNK),
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.gathered.len() + bytes.len() > CHUNK {
            self.to.write_all(&self.gathered)?;
            self.gathered.clear();
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        self.to.write_all(&self.gathered)
    }
}

/// A line, or as much of it as the buffer holds.
struct Piece {
    start: usize,
    end: usize,
    /// Where it lies in the file.
    offset: u64,
    /// Whether it is the beginning of its line.
    starts: bool,
}

struct Lines {
    file: File,
    buffer: Vec<u8>,
    start: usize,
    /// Where `buffer[start]` lies in the file.
    position: u64,
    read: u64,
    number: u64,
    in_line: bool,
    over: bool,
}

impl Lines {
    fn new(file: File) -> Lines {
        Lines {
            file,
            buffer: Vec::with_capacity(CHUNK),
            start: 0,
            position: 0,
            read: 0,
            number: 0,
            in_line: false,
            over: false,
        }
    }

    fn bytes(&self, piece: &Piece) -> &[u8] {
        &self.buffer[piece.start..piece.end]
    }

    fn next(&mut self) -> io::Result<Option<Piece>> {
        let mut end = memchr(b'\n', &self.buffer[self.start..]);
        if end.is_none() {
            self.fill()?;
            end = memchr(b'\n', &self.buffer[self.start..]);
        }
        let length = end.map_or(self.buffer.len() - self.start, |end| end + 1);
        if length == 0 {
            return Ok(None);
        }
        let piece = Piece {
            start: self.start,
            end: self.start + length,
            offset: self.position,
            starts: !self.in_line,
        };
        self.number += u64::from(piece.starts);
        self.start += length;
        self.position += length as u64;
        self.in_line = end.is_none();
        Ok(Some(piece))
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        while !self.over && self.buffer.len() < CHUNK {
            let from = self.buffer.len();
            self.buffer.resize(CHUNK, 0);
            let read = read_at(&self.file, &mut self.buffer[from..], self.read);
            self.buffer.truncate(from + *read.as_ref().unwrap_or(&0));
            let read = read?;
            self.read += read as u64;
            self.over = read == 0;
        }
        Ok(())
    }

    // A message begins with a `From ` line that has a date, behind an empty line; or where that is missing, before
    // what looks like a header field. The first line of a file may do without a date.
    fn separator(&self, piece: &Piece, blank: bool, first: bool) -> io::Result<Option<Separator>> {
        let line = self.bytes(piece);
        if !piece.starts || !line.starts_with(FROM) {
            return Ok(None);
        }
        let Some(from_line) = FromLine::parse(line).filter(|found| first || found.date.is_some()) else {
            return Ok(None);
        };
        if !blank && !first && !self.field_follows()? {
            return Ok(None);
        }
        Ok(Some(Separator {
            from_line,
            offset: piece.offset,
            line: self.number,
        }))
    }

    fn field_follows(&self) -> io::Result<bool> {
        let mut start = [0; 128];
        let length = read_at(&self.file, &mut start, self.position)?;
        Ok(is_field(&start[..length]))
    }

    /// Where the message ends that begins here, if its Content-Length leads to the next one or to the end.
    fn counted(&self) -> io::Result<Option<u64>> {
        counted(&self.file, self.position)
    }
}

// RFC 5322 §2.2: a name of printable characters, a colon.
fn is_field(line: &[u8]) -> bool {
    let name = line
        .iter()
        .take_while(|byte| matches!(byte, b'!'..=b'9' | b';'..=b'~'))
        .count();
    name > 0 && line.get(name) == Some(&b':')
}

fn counted(file: &File, start: u64) -> io::Result<Option<u64>> {
    let mut header = vec![0; 4096];
    loop {
        let length = read_at(file, &mut header, start)?;
        if let Some((end, length)) = content_length(&header[..length]) {
            let end = (start + end as u64).checked_add(length);
            return Ok(match end {
                Some(end) if leads_on(file, end)? => Some(end),
                _ => None,
            });
        }
        if length < header.len() || header.len() >= HEADER {
            return Ok(None);
        }
        header.resize(HEADER, 0);
    }
}

// The end of the header and the value of its Content-Length.
fn content_length(header: &[u8]) -> Option<(usize, u64)> {
    let (mut at, mut value) = (0, None);
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        if is_blank(line) {
            return Some((at, value?));
        }
        let name = b"Content-Length:";
        if line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name) {
            let digits = std::str::from_utf8(line[name.len()..].trim_ascii()).ok()?;
            value = digits.parse().ok();
        }
    }
    None
}

fn leads_on(file: &File, end: u64) -> io::Result<bool> {
    let mut after = vec![0; 512];
    let length = read_at(file, &mut after, end)?;
    let after = &after[..length];
    if after.is_empty() {
        return Ok(file.metadata()?.len() == end);
    }
    let rest = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\n"));
    let rest = rest.unwrap_or(after);
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(rest.is_empty() || FromLine::parse(line).is_some_and(|found| found.date.is_some()))
}

// By Content-Length only where every message has one that leads on: one alone may be a message's own, and wrong.
fn detect(file: &File) -> io::Result<MboxForm> {
    let mut lines = Lines::new(file.try_clone()?);
    let mut end = match lines.next()? {
        Some(piece) if FromLine::parse(lines.bytes(&piece)).is_some() => lines.counted()?,
        _ => None,
    };
    if end.is_none() {
        return Ok(MboxForm::Mboxrd);
    }
    let mut form = MboxForm::Mboxcl;
    let mut blank = false;
    while let Some(piece) = lines.next()? {
        let inside = end.is_some_and(|end| piece.offset < end);
        let separates = lines.separator(&piece, blank, false)?.is_some();
        let line = lines.bytes(&piece);
        blank = is_blank(line) && piece.starts;
        if inside && piece.starts && line.starts_with(FROM) {
            form = MboxForm::Mboxcl2;
        }
        if !inside && separates {
            end = lines.counted()?;
            if end.is_none() {
                return Ok(MboxForm::Mboxrd);
            }
        } else if !inside && !blank {
            return Ok(MboxForm::Mboxrd);
        }
    }
    Ok(form)
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(length) => read += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::read;
    use super::*;

    const DATE: &str = "Tue Nov 14 22:13:20 2023";

    fn bodies(text: &str, form: MboxForm) -> Vec<String> {
        let messages = read(text.as_bytes(), form);
        messages
            .into_iter()
            .map(|(_, bytes)| String::from_utf8(bytes).unwrap())
            .collect()
    }

    #[test]
    fn messages_are_told_apart() {
        let cases: [(&str, &[&str]); 10] = [
            ("", &[]),
            (
                "From a D\nS: 1\n\nb\n\nFrom b D\nS: 2\n\nc\n",
                &["S: 1\n\nb\n", "S: 2\n\nc\n"],
            ),
            (
                "From a D\r\nS: 1\r\n\r\nb\r\n\r\nFrom b D\r\nc: 2\r\n",
                &["S: 1\r\n\r\nb\r\n", "c: 2\r\n"],
            ),
            ("From a D\nS: 1\n\nb\n\n\nFrom b D\n\n", &["S: 1\n\nb\n\n", ""]),
            // No date, so no message; and one without an empty line before it.
            (
                "From a D\nS: 1\n\nFrom here on\n\nFrom there\nb\n",
                &["S: 1\n\nFrom here on\n\nFrom there\nb\n"],
            ),
            ("From a D\nS: 1\n\nb\nFrom b D\nS: 2\n", &["S: 1\n\nb\n", "S: 2\n"]),
            (
                "From a D\nS: 1\n\nb\nFrom b D\nwords\n",
                &["S: 1\n\nb\nFrom b D\nwords\n"],
            ),
            // The first needs no date.
            ("From a\nS: 1\n\nb", &["S: 1\n\nb"]),
            ("\n\nFrom a D\nS: 1\n", &["S: 1\n"]),
            (
                "From a D\nX: y\n\n>From x\n>>From y\n> From z\n",
                &["X: y\n\nFrom x\n>From y\n> From z\n"],
            ),
        ];
        for (text, expected) in cases {
            let text = text.replace(" D", &format!(" {DATE}"));
            let expected: Vec<String> = expected
                .iter()
                .map(|body| body.replace(" D", &format!(" {DATE}")))
                .collect();
            assert_eq!(bodies(&text, MboxForm::Any), expected, "{text:?}");
        }
    }

    #[test]
    fn content_length_counts_where_it_is_right_everywhere() {
        let inner = format!("one\n\nFrom b {DATE}\nS: no\n\n>From two\n");
        let with = |length: usize| {
            format!("From a {DATE}\nContent-Length: {length}\n\n{inner}\nFrom c {DATE}\ncontent-length: 4\n\nend\n\n")
        };
        let right = bodies(&with(inner.len()), MboxForm::Any);
        assert_eq!(
            right,
            [
                format!("Content-Length: {}\n\n{inner}", inner.len()),
                "content-length: 4\n\nend\n".into()
            ]
        );
        assert_eq!(bodies(&with(inner.len() + 2), MboxForm::Any).len(), 3);
        // One that leads over the next message, in a file where another has none.
        let hidden = format!("From a {DATE}\nContent-Length: LEN\n\nx\n\nFrom b {DATE}\nS: 2\n\ny\n");
        let length = hidden.split("\n\n").skip(1).map(|part| part.len() + 2).sum::<usize>() - 2;
        let hidden = hidden.replace("LEN", &length.to_string()) + &format!("\nFrom c {DATE}\nS: 3\n\nz\n");
        assert_eq!(bodies(&hidden, MboxForm::Any).len(), 3);
        assert_eq!(bodies(&hidden, MboxForm::Mboxcl).len(), 2);
    }

    #[test]
    fn each_form_takes_off_its_own_quotes() {
        let text = format!("From a {DATE}\nS: 1\n\n>From x\n>>From y\n");
        for (form, expected) in [
            (MboxForm::Mboxrd, "S: 1\n\nFrom x\n>From y\n"),
            (MboxForm::Mboxo, "S: 1\n\nFrom x\n>>From y\n"),
            (MboxForm::Mboxcl, "S: 1\n\nFrom x\n>From y\n"),
            (MboxForm::Mboxcl2, "S: 1\n\n>From x\n>>From y\n"),
        ] {
            assert_eq!(bodies(&text, form), [expected]);
        }
    }

    #[test]
    fn says_where_a_message_stands_and_what_belongs_to_none() {
        let text = format!("lost\nwords\n\nFrom a {DATE}\nS: 1\n\nb\n\nFrom b {DATE}\nS: 2\n");
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut mbox = Mbox::open(file, MboxForm::Any).unwrap();
        assert_eq!(mbox.skipped(), 12);
        let first = mbox.next_message(&mut io::sink()).unwrap().unwrap();
        let second = mbox.next_message(&mut io::sink()).unwrap().unwrap();
        assert_eq!((first.offset, first.line, second.line), (12, 4, 9));
        assert_eq!(&text[usize::try_from(second.offset).unwrap()..][..6], "From b");
        assert_eq!(mbox.next_message(&mut io::sink()).unwrap(), None);
        assert_eq!(mbox.position(), text.len() as u64);
    }

    #[test]
    fn lines_longer_than_the_buffer_pass() {
        let long = "x".repeat(3 * CHUNK + 5);
        let text = format!("From a {DATE}\nS: 1\n\n{long}From {long}\n\nFrom b {DATE}\nS: 2\n");
        assert_eq!(
            bodies(&text, MboxForm::Any),
            [format!("S: 1\n\n{long}From {long}\n"), "S: 2\n".into()]
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_none_is_lost(text in "((>?From a Tue Nov 14 22:13:20 2023)?[ -z\r]{0,3}(Content-Length: [0-9]{1,2})?\n?){0,12}") {
            for form in [MboxForm::Any, MboxForm::Mboxo, MboxForm::Mboxcl2] {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(text.as_bytes()).unwrap();
                let mut mbox = Mbox::open(file, form).unwrap();
                let mut seen = mbox.skipped();
                while let Some(found) = mbox.next_message(&mut io::sink()).unwrap() {
                    prop_assert!(found.offset >= seen);
                    seen = found.offset;
                }
                prop_assert_eq!(mbox.position(), text.len() as u64);
            }
        }
    }
}
