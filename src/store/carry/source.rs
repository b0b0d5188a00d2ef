//! What there is to import: a file or a tree is looked through before anything is changed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::names::{levels_of_directory, levels_of_mbox, mailbox};
use super::{Bystander, eml};
use crate::mail::MailboxName;
use crate::maildir::{Subscriptions, open_regular};
use crate::message::FromLine;

/// Bytes in which an mbox is looked for where somebody says that there is one.
const SAMPLE: usize = 64 * 1024;
/// How deep a tree may be.
const DEEPEST: usize = 32;

/// Which kinds of files are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceFormat {
    /// All, each told by what it is.
    #[default]
    Auto,
    /// mbox files.
    Mbox,
    /// Maildirs: Maildir++ folders `.A.B` and plain nested ones `A/B`.
    Maildir,
    /// Files with one message each.
    Eml,
}

/// What there is to import.
#[derive(Debug, Default)]
pub struct Source {
    pub(super) parts: Vec<Part>,
    /// The mailboxes that the user of the source had subscribed to; none where it does not say.
    pub(super) subscribed: Option<BTreeSet<MailboxName>>,
}

/// The messages of one mailbox, or some of them.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) mailbox: MailboxName,
    pub(super) messages: Messages,
}

#[derive(Debug)]
pub(super) enum Messages {
    /// A file, and what to call it.
    Mbox(File, String),
    /// One message in a file.
    Single(File, String),
    /// A Maildir folder.
    Maildir(PathBuf),
    /// `.eml` files of a folder.
    Eml(PathBuf),
}

struct Search<'a> {
    source: Source,
    format: SourceFormat,
    below: Option<&'a MailboxName>,
    bystander: &'a mut dyn Bystander,
}

impl Source {
    /// Looks through a file or a tree. `below` is the mailbox of a single file, or of the root of a tree, all
    /// other mailboxes of which then go below it; without it that is INBOX. What cannot be read is a fault.
    ///
    /// # Errors
    /// Where the path itself cannot be read, or is nothing of this format.
    pub fn find(
        path: &Path,
        format: SourceFormat,
        below: Option<&MailboxName>,
        bystander: &mut dyn Bystander,
    ) -> io::Result<Source> {
        if !fs::metadata(path)?.is_dir() {
            let is_eml = eml::is_eml(path);
            return Source::of_file(open_regular(path)?, &path.display().to_string(), is_eml, format, below);
        }
        fs::read_dir(path)?;
        let mut search = Search {
            source: Source::default(),
            format,
            below,
            bystander,
        };
        search.directory(path, &mut Vec::new());
        if search.allows(SourceFormat::Maildir) {
            search.subscriptions(path);
        }
        match search.source.parts.is_empty() {
            true => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "holds no Maildir, mbox or .eml file",
            )),
            false => Ok(search.source),
        }
    }

    /// A message or an mbox that comes through a pipe; it waits in a file without a name in `directory`.
    ///
    /// # Errors
    /// Where it cannot be read or kept.
    pub fn read(
        from: &mut impl Read,
        directory: &Path,
        format: SourceFormat,
        below: Option<&MailboxName>,
    ) -> io::Result<Source> {
        let mut file = tempfile::tempfile_in(directory)?;
        io::copy(from, &mut file)?;
        file.flush()?;
        file.rewind()?;
        Source::of_file(file, "standard input", false, format, below)
    }

    fn of_file(
        file: File,
        name: &str,
        is_eml: bool,
        format: SourceFormat,
        below: Option<&MailboxName>,
    ) -> io::Result<Source> {
        let messages = match format {
            SourceFormat::Maildir => return Err(io::Error::new(io::ErrorKind::NotADirectory, "a Maildir is a folder")),
            SourceFormat::Eml => Messages::Single(file, name.to_owned()),
            SourceFormat::Mbox => Messages::Mbox(file, name.to_owned()),
            SourceFormat::Auto if !is_eml && is_mbox(&file) => Messages::Mbox(file, name.to_owned()),
            SourceFormat::Auto => Messages::Single(file, name.to_owned()),
        };
        Ok(Source {
            parts: vec![Part {
                mailbox: below.cloned().unwrap_or_else(MailboxName::inbox),
                messages,
            }],
            subscribed: None,
        })
    }

    /// Bytes that there are to read, as far as it is known: about.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.messages.bytes()).sum()
    }
}

impl Messages {
    fn bytes(&self) -> u64 {
        let of_folder = |path: &Path| -> u64 {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries
                .filter_map(|entry| entry.metadata().ok())
                .filter(fs::Metadata::is_file)
                .map(|metadata| metadata.len())
                .sum()
        };
        match self {
            Messages::Mbox(file, _) | Messages::Single(file, _) => file.metadata().map_or(0, |metadata| metadata.len()),
            Messages::Maildir(path) => of_folder(&path.join("new")) + of_folder(&path.join("cur")),
            Messages::Eml(path) => of_folder(path),
        }
    }
}

impl Search<'_> {
    fn allows(&self, format: SourceFormat) -> bool {
        matches!(self.format, SourceFormat::Auto) || self.format == format
    }

    fn directory(&mut self, path: &Path, levels: &mut Vec<String>) {
        let is_maildir = is_maildir(path);
        let mut entries = match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => return self.bystander.fault(&format!("{}: {error}", path.display())),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        if is_maildir && self.allows(SourceFormat::Maildir) {
            self.add(levels, Messages::Maildir(path.to_owned()));
        }
        if self.allows(SourceFormat::Eml) && entries.iter().any(|entry| eml::is_eml(&entry.path())) {
            self.add(levels, Messages::Eml(path.to_owned()));
        }
        for entry in entries {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    if is_maildir && matches!(name.as_str(), "cur" | "new" | "tmp") {
                        continue;
                    }
                    let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                    self.below(&path, &name, is_link, levels);
                }
                Ok(metadata) if metadata.is_file() && !is_maildir && !eml::is_eml(&path) => {
                    self.perhaps_mbox(&path, &name, levels);
                }
                Ok(_) => {}
                Err(error) => self.bystander.fault(&format!("{}: {error}", path.display())),
            }
        }
    }

    fn below(&mut self, path: &Path, name: &str, is_link: bool, levels: &mut Vec<String>) {
        // What is hidden and no Maildir++ folder is no mail.
        if name.starts_with('.') && !is_maildir(path) {
            return;
        }
        if is_link {
            let path = path.display();
            return self
                .bystander
                .fault(&format!("{path}: a symbolic link to a folder is not followed"));
        }
        if levels.len() >= DEEPEST {
            return self.bystander.fault(&format!("{}: lies too deep", path.display()));
        }
        let above = levels.len();
        levels.extend(levels_of_directory(name));
        self.directory(path, levels);
        levels.truncate(above);
    }

    fn perhaps_mbox(&mut self, path: &Path, name: &str, levels: &[String]) {
        if !self.allows(SourceFormat::Mbox) || name.starts_with('.') {
            return self.pass_over(path);
        }
        let file = match open_regular(path) {
            Ok(file) => file,
            Err(error) => return self.bystander.fault(&format!("{}: {error}", path.display())),
        };
        if !is_mbox(&file) && (self.format != SourceFormat::Mbox || !has_mbox(&file)) {
            return self.pass_over(path);
        }
        let mut levels = levels.to_vec();
        // Apple Mail has X.mbox/mbox.
        let in_mbox = path
            .parent()
            .is_some_and(|parent| parent.extension().is_some_and(|ending| ending == "mbox"));
        if name != "mbox" || !in_mbox {
            levels.extend(levels_of_mbox(name));
        }
        self.add(&levels, Messages::Mbox(file, path.display().to_string()));
    }

    // An empty file, or a list that we wrote, is nothing that somebody could miss.
    fn pass_over(&mut self, path: &Path) {
        let is_list = path.file_name().is_some_and(|name| name == eml::INDEX);
        if !is_list && fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0) {
            self.bystander.passed_over(path);
        }
    }

    fn add(&mut self, levels: &[String], messages: Messages) {
        match mailbox(levels, self.below) {
            Ok(mailbox) => self.source.parts.push(Part { mailbox, messages }),
            Err(error) => self.bystander.fault(&format!("{}: {error}", levels.join("/"))),
        }
    }

    fn subscriptions(&mut self, root: &Path) {
        let read = match Subscriptions::read(root) {
            Ok(None) => Subscriptions::read_courier(root),
            read => read,
        };
        let names = match read {
            Ok(Some(subscriptions)) => subscriptions.names(),
            Ok(None) => return,
            Err(error) => return self.bystander.fault(&error.to_string()),
        };
        let placed = names.iter().filter_map(|name| {
            let levels: Vec<String> = name.levels().map(str::to_owned).collect();
            mailbox(&levels, self.below).ok()
        });
        self.source.subscribed = Some(placed.collect());
    }
}

fn is_maildir(path: &Path) -> bool {
    path.join("cur").is_dir() && path.join("new").is_dir()
}

// Empty lines may stand first.
fn is_mbox(file: &File) -> bool {
    let start = start(file, 64);
    let blank = start.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    start[blank..].starts_with(b"From ")
}

// Also one whose beginning is lost.
fn has_mbox(file: &File) -> bool {
    let start = start(file, SAMPLE);
    let mut lines = start.split(|byte| *byte == b'\n');
    lines.any(|line| FromLine::parse(line).is_some_and(|found| found.date.is_some()))
}

fn start(file: &File, length: usize) -> Vec<u8> {
    let mut start = vec![0; length];
    let length = file.read_at(&mut start, 0).unwrap_or(0);
    start.truncate(length);
    start
}
