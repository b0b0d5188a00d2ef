//! The recorder: what the worker's system calls did to the files below the root.
//!
//! Every call that changes a file below the root becomes an operation of the model. A call that the model does not know
//! ends the recording with its name: nothing is left out in silence.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::model::{Node, Op, Recording};
use super::strace::{self, Wish, bytes, gathered, split, text};

/// The folder that is recorded, in the place of a recording.
pub const ROOT: &str = "root";

/// A call of the worker, for letting it fail.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    /// Which of the thread's calls of this name it is, from one.
    pub number: usize,
    pub below_home: bool,
    /// The line of the script.
    pub step: usize,
}

/// Records a run of the worker in `place`.
pub fn record(place: &Path, wish: Wish<'_>) -> Result<Recording, String> {
    let log = strace::run(place, wish)?;
    let mut reader = Reader::new(place.join(ROOT), strace::says(place));
    for line in strace::whole_lines(&log) {
        reader.line(&line)?;
    }
    match reader.ended {
        true => Ok(reader.recording),
        false => Err("the worker did not come to its end".to_owned()),
    }
}

/// What a file descriptor stands for.
#[derive(Clone, Copy, Debug)]
enum Open {
    File { file: usize, at: usize, append: bool },
    Folder(usize),
    Says,
}

struct Reader {
    root: PathBuf,
    says: PathBuf,
    recording: Recording,
    /// All operations applied: what names mean at the moment.
    folders: Vec<HashMap<String, Node>>,
    files: Vec<Vec<u8>>,
    open: HashMap<i64, Open>,
    counts: HashMap<(String, String), usize>,
    step: usize,
    ended: bool,
}

/// A name in a folder below the root.
struct Named {
    folder: usize,
    name: String,
}

impl Reader {
    fn new(root: PathBuf, says: PathBuf) -> Reader {
        Reader {
            root,
            says,
            recording: Recording {
                folders: 1,
                ..Recording::default()
            },
            folders: vec![HashMap::new()],
            files: Vec::new(),
            open: HashMap::new(),
            counts: HashMap::new(),
            step: 0,
            ended: false,
        }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let (thread, rest) = line.split_once(' ').unwrap_or_default();
        let parts = rest.rsplit_once(" = ").and_then(|(call, result)| {
            let (name, arguments) = call.trim_end().strip_suffix(')')?.split_once('(')?;
            Some((name, arguments, result))
        });
        let Some((name, arguments, result)) = parts else {
            return Ok(()); // The end of a process.
        };
        let arguments = split(arguments);
        let count = self.counts.entry((thread.to_owned(), name.to_owned())).or_default();
        *count += 1;
        let call = Call {
            name: name.to_owned(),
            number: *count,
            below_home: self.concerns(name, &arguments),
            step: self.step,
        };
        self.recording.calls.push(call);
        match result.split(' ').next().unwrap_or_default().parse::<i64>() {
            Ok(result) if result >= 0 => self.call(name, &arguments, result),
            _ => Ok(()),
        }
    }

    /// Whether a call names something below the root, or has it open.
    fn concerns(&self, name: &str, arguments: &[&str]) -> bool {
        let opened = arguments
            .first()
            .and_then(|it| it.parse().ok())
            .and_then(|it: i64| self.open.get(&it));
        let by_number = name != "mmap" && matches!(opened, Some(Open::File { .. } | Open::Folder(_)));
        let by_path = arguments
            .iter()
            .filter(|it| it.starts_with('"') && !name.contains("write"));
        by_number
            || by_path
                .map(|it| text(it))
                .any(|path| path.starts_with(self.root.to_string_lossy().as_ref()))
    }

    fn call(&mut self, name: &str, arguments: &[&str], result: i64) -> Result<(), String> {
        let argument = |at: usize| arguments.get(at).copied().unwrap_or_default();
        let number = |at: usize| argument(at).parse::<i64>().unwrap_or(-1);
        let size = |at: usize| usize::try_from(number(at)).unwrap_or_default();
        let done = usize::try_from(result).unwrap_or_default();
        match name {
            "openat" => {
                return self.opened(argument(0), argument(1), argument(2), result);
            }
            "write" => self.written(number(0), None, &bytes(argument(1))[..done])?,
            "pwrite64" => self.written(number(0), Some(size(3)), &bytes(argument(1))[..done])?,
            "writev" => self.written(number(0), None, &gathered(argument(1))[..done])?,
            "copy_file_range" => return self.copied(number(0), number(2), done),
            "sendfile" => return self.copied(number(1), number(0), done),
            "ftruncate" => {
                if let Some(Open::File { file, .. }) = self.open.get(&number(0)) {
                    self.resize(*file, size(1));
                }
            }
            "fsync" | "fdatasync" => match self.open.get(&number(0)).copied() {
                Some(Open::File { file, .. }) => drop(self.recording.push(Op::Flush(Node::File(file)))),
                Some(Open::Folder(folder)) => drop(self.recording.push(Op::Flush(Node::Folder(folder)))),
                _ => {}
            },
            "sync" | "syncfs" => drop(self.recording.push(Op::FlushAll)),
            "rename" => return self.renamed(self.named("", argument(0))?, self.named("", argument(1))?),
            "renameat" | "renameat2" => {
                return self.renamed(
                    self.named(argument(0), argument(1))?,
                    self.named(argument(2), argument(3))?,
                );
            }
            "link" => return self.linked(self.node_at("", argument(0))?, self.named("", argument(1))?),
            "linkat" => {
                return self.linked(
                    self.node_at(argument(0), argument(1))?,
                    self.named(argument(2), argument(3))?,
                );
            }
            "unlink" | "rmdir" => self.named("", argument(0))?.into_iter().for_each(|it| self.remove(it)),
            "unlinkat" => {
                let named = self.named(argument(0), argument(1))?;
                named.into_iter().for_each(|it| self.remove(it));
            }
            "mkdir" => self
                .named("", argument(0))?
                .into_iter()
                .for_each(|it| self.make_folder(it)),
            "mkdirat" => {
                let named = self.named(argument(0), argument(1))?;
                named.into_iter().for_each(|it| self.make_folder(it));
            }
            "close" => drop(self.open.remove(&number(0))),
            "dup" => self.doubled(number(0), result),
            "fcntl" if argument(1).starts_with("F_DUPFD") => self.doubled(number(0), result),
            "lseek" => {
                if let Some(Open::File { at, .. }) = self.open.get_mut(&number(0)) {
                    *at = done;
                }
            }
            "mmap" => return self.mapped(argument(2), argument(3), number(4)),
            "fcntl" => {}
            other if self.concerns(other, arguments) => return Err(format!("the model does not know {other}")),
            _ => {}
        }
        Ok(())
    }

    /// The folder and name of a path below the root; none where it lies elsewhere. `folder` is the number of an open
    /// folder at which a relative path begins.
    fn named(&self, folder: &str, path: &str) -> Result<Option<Named>, String> {
        let path = PathBuf::from(text(path));
        let begin = folder.parse().ok().and_then(|number: i64| self.open.get(&number));
        let (mut folder, below) = match (begin, path.strip_prefix(&self.root)) {
            (Some(Open::Folder(folder)), _) if path.is_relative() => (*folder, path.as_path()),
            (_, Ok(below)) => (0, below),
            _ => return Ok(None),
        };
        let strange = || format!("the model has no {}", path.display());
        let mut names = Vec::new();
        for component in below.components() {
            match component {
                Component::Normal(name) => names.push(name.to_str().ok_or_else(strange)?),
                Component::CurDir => {}
                _ => return Err(strange()),
            }
        }
        let Some((last, above)) = names.split_last() else {
            return Ok(None);
        };
        for name in above {
            match self.folders[folder].get(*name) {
                Some(Node::Folder(below)) => folder = *below,
                _ => return Err(strange()),
            }
        }
        let name = (*last).to_owned();
        Ok(Some(Named { folder, name }))
    }

    fn opened(&mut self, folder: &str, path: &str, flags: &str, number: i64) -> Result<(), String> {
        self.open.remove(&number);
        let named = self.named(folder, path)?;
        let path = PathBuf::from(text(path));
        if path == self.says {
            self.open.insert(number, Open::Says);
            return Ok(());
        }
        if flags.contains("O_TMPFILE") && path.starts_with(&self.root) {
            let open = Open::File {
                file: self.make_file(),
                at: 0,
                append: false,
            };
            self.open.insert(number, open);
            return Ok(());
        }
        if path == self.root {
            self.open.insert(number, Open::Folder(0));
            return Ok(());
        }
        let Some(named) = named else {
            return Ok(());
        };
        let node = match self.folders[named.folder].get(&named.name) {
            Some(node) => *node,
            None if flags.contains("O_CREAT") => {
                let node = Node::File(self.make_file());
                self.add(named, node);
                node
            }
            None => return Err(format!("the model has no {}", path.display())),
        };
        let open = match node {
            Node::Folder(folder) => Open::Folder(folder),
            Node::File(file) => {
                if flags.contains("O_TRUNC") && !self.files[file].is_empty() {
                    self.resize(file, 0);
                }
                let append = flags.contains("O_APPEND");
                Open::File { file, at: 0, append }
            }
        };
        self.open.insert(number, open);
        Ok(())
    }

    fn written(&mut self, number: i64, offset: Option<usize>, bytes: &[u8]) -> Result<(), String> {
        match self.open.get_mut(&number) {
            Some(Open::File { file, at, append }) => {
                let file = *file;
                let start = match offset {
                    Some(offset) => offset,
                    None if *append => self.files[file].len(),
                    None => *at,
                };
                if offset.is_none() {
                    *at = start + bytes.len();
                }
                let end = start + bytes.len();
                let now = &mut self.files[file];
                now.resize(now.len().max(end), 0);
                now[start..end].copy_from_slice(bytes);
                self.recording.push(Op::Write {
                    file,
                    offset: start,
                    bytes: bytes.to_vec(),
                });
            }
            Some(Open::Says) => self.said(bytes)?,
            _ => {}
        }
        Ok(())
    }

    fn said(&mut self, bytes: &[u8]) -> Result<(), String> {
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if let Some(begun) = value["begin"].as_u64() {
            self.step = usize::try_from(begun).unwrap_or_default();
        }
        self.ended |= value["end"] == true;
        self.recording.said.push((self.recording.ops.len(), value));
        Ok(())
    }

    fn copied(&mut self, from: i64, to: i64, length: usize) -> Result<(), String> {
        let Some(Open::File { file, at, .. }) = self.open.get_mut(&from) else {
            return match self.open.get(&to) {
                Some(_) => Err("the model does not know bytes from elsewhere".to_owned()),
                None => Ok(()),
            };
        };
        let bytes = self.files[*file][*at..*at + length].to_vec();
        *at += length;
        self.written(to, None, &bytes)
    }

    fn resize(&mut self, file: usize, size: usize) {
        self.files[file].resize(size, 0);
        self.recording.push(Op::Resize { file, size });
    }

    fn add(&mut self, Named { folder, name }: Named, node: Node) -> usize {
        self.folders[folder].insert(name.clone(), node);
        self.recording.push(Op::Add { folder, name, node })
    }

    fn remove(&mut self, Named { folder, name }: Named) {
        self.folders[folder].remove(&name);
        let after = None;
        self.recording.push(Op::Remove { folder, name, after });
    }

    /// A file that has no name yet.
    fn make_file(&mut self) -> usize {
        self.files.push(Vec::new());
        self.recording.files += 1;
        self.files.len() - 1
    }

    fn make_folder(&mut self, named: Named) {
        let node = Node::Folder(self.folders.len());
        self.folders.push(HashMap::new());
        self.recording.folders += 1;
        self.add(named, node);
    }

    /// What a path below the root names, or that of an open file; none where it lies elsewhere.
    fn node_at(&self, folder: &str, path: &str) -> Result<Option<Node>, String> {
        if let Some(number) = text(path).strip_prefix("/proc/self/fd/") {
            let open = number.parse().ok().and_then(|number: i64| self.open.get(&number));
            return Ok(match open {
                Some(Open::File { file, .. }) => Some(Node::File(*file)),
                _ => None,
            });
        }
        let named = self.named(folder, path)?;
        named.map(|named| self.node(&named)).transpose()
    }

    fn node(&self, named: &Named) -> Result<Node, String> {
        let node = self.folders[named.folder].get(&named.name).copied();
        node.ok_or_else(|| format!("the model has no {}", named.name))
    }

    fn renamed(&mut self, from: Option<Named>, to: Option<Named>) -> Result<(), String> {
        let (from, to) = match (from, to) {
            (Some(from), Some(to)) => (from, to),
            (None, None) => return Ok(()),
            _ => return Err("the model does not know a move from or to elsewhere".to_owned()),
        };
        let node = self.node(&from)?;
        self.folders[from.folder].remove(&from.name);
        if from.folder == to.folder {
            self.folders[to.folder].insert(to.name.clone(), node);
            self.recording.push(Op::Move {
                folder: from.folder,
                from: from.name,
                to: to.name,
                node,
            });
            return Ok(());
        }
        let added = self.add(to, node);
        self.recording.push(Op::Remove {
            folder: from.folder,
            name: from.name,
            after: Some(added),
        });
        Ok(())
    }

    fn linked(&mut self, node: Option<Node>, to: Option<Named>) -> Result<(), String> {
        match (node, to) {
            (Some(node), Some(to)) => drop(self.add(to, node)),
            (None, Some(_)) => return Err("the model does not know a link from elsewhere".to_owned()),
            (_, None) => {}
        }
        Ok(())
    }

    fn doubled(&mut self, number: i64, result: i64) {
        self.open.remove(&result);
        if let Some(open) = self.open.get(&number).copied() {
            self.open.insert(result, open);
        }
    }

    // Writes through memory leave no trace; only SQLite's shared memory, which is made anew, may be written so.
    fn mapped(&self, protection: &str, flags: &str, number: i64) -> Result<(), String> {
        let Some(Open::File { file, .. }) = self.open.get(&number) else {
            return Ok(());
        };
        let entries = self.folders.iter().flatten();
        let name = entries
            .filter(|(_, node)| **node == Node::File(*file))
            .map(|(name, _)| name);
        let written = protection.contains("PROT_WRITE") && flags.contains("MAP_SHARED");
        match written && !name.clone().any(|name| name.ends_with("-shm")) {
            true => Err(format!(
                "the model does not know how {:?} is written through memory",
                name.collect::<Vec<_>>()
            )),
            false => Ok(()),
        }
    }
}
