//! A model of a file system that knows what was flushed.
//!
//! A recording is a list of operations in the order in which they were done. Bytes of a file are safe once the file was
//! flushed, an entry of a folder once the folder was; the one never implies the other. A name that moves between two
//! folders appears in the one and vanishes from the other; it may be in both after a power cut, and is never in none.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::trace::Call;

/// What an entry of a folder names. Folder 0 is the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    File(usize),
    Folder(usize),
}

/// One operation.
#[derive(Clone, Debug)]
pub enum Op {
    /// A name appears in a folder, replacing what it named.
    Add { folder: usize, name: String, node: Node },
    /// A name vanishes. `after`: the operation by which the same move made it appear in another folder.
    Remove {
        folder: usize,
        name: String,
        after: Option<usize>,
    },
    /// A name changes within a folder, at once.
    Move {
        folder: usize,
        from: String,
        to: String,
        node: Node,
    },
    /// Bytes of a file.
    Write { file: usize, offset: usize, bytes: Vec<u8> },
    /// The size of a file.
    Resize { file: usize, size: usize },
    /// What was done to the file or folder before is safe.
    Flush(Node),
    /// All is safe.
    FlushAll,
}

/// A run: its operations, what the worker said between them, and its calls.
#[derive(Debug, Default)]
pub struct Recording {
    pub ops: Vec<Op>,
    /// For each operation, the number of the one that made it safe; none did: the largest number.
    pub safe: Vec<usize>,
    /// What was said, with the number of operations before it.
    pub said: Vec<(usize, Value)>,
    pub calls: Vec<Call>,
    /// How many files and folders there ever were.
    pub files: usize,
    pub folders: usize,
}

/// What becomes of an operation that was not flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Kept,
    Lost,
    /// Of bytes, some sectors of this size: chosen by the seed.
    Torn {
        seed: u64,
        sector: usize,
    },
}

/// Files and folders as they lie on a disk.
#[derive(Debug)]
pub struct Image {
    pub files: Vec<Vec<u8>>,
    pub folders: Vec<BTreeMap<String, Node>>,
}

impl Op {
    /// Whether a flush of this file or folder makes it safe.
    fn is_of(&self, node: Node) -> bool {
        match (self, node) {
            (Op::Add { folder, .. } | Op::Remove { folder, .. } | Op::Move { folder, .. }, Node::Folder(flushed)) => {
                *folder == flushed
            }
            (Op::Write { file, .. } | Op::Resize { file, .. }, Node::File(flushed)) => *file == flushed,
            _ => false,
        }
    }

    /// Whether it changes names, and not bytes.
    pub fn is_entry(&self) -> bool {
        matches!(self, Op::Add { .. } | Op::Remove { .. } | Op::Move { .. })
    }

    pub fn is_flush(&self) -> bool {
        matches!(self, Op::Flush(_) | Op::FlushAll)
    }
}

impl Recording {
    /// Adds an operation; answers its number.
    pub fn push(&mut self, op: Op) -> usize {
        let number = self.ops.len();
        for earlier in 0..number {
            let safe = match &op {
                Op::Flush(node) => self.ops[earlier].is_of(*node),
                Op::FlushAll => true,
                _ => break,
            };
            if !safe || self.safe[earlier] != usize::MAX {
                continue;
            }
            self.safe[earlier] = number;
            // A move that left its old folder for good has arrived in the new one.
            if let Op::Remove { after: Some(added), .. } = self.ops[earlier] {
                self.safe[added] = self.safe[added].min(number);
            }
        }
        self.ops.push(op);
        self.safe.push(usize::MAX);
        number
    }

    /// The operations before `at` that a power cut then may take.
    pub fn unsafe_at(&self, at: usize) -> Vec<usize> {
        (0..at)
            .filter(|number| self.safe[*number] >= at && !self.ops[*number].is_flush())
            .collect()
    }

    /// What a cut before the operation `at` leaves, where those not flushed have this fate.
    pub fn image(&self, at: usize, fate: impl Fn(usize) -> Fate) -> Image {
        let mut image = Image {
            files: vec![Vec::new(); self.files],
            folders: vec![BTreeMap::new(); self.folders],
        };
        let fate = |number: usize| match self.safe[number] < at {
            true => Fate::Kept,
            false => fate(number),
        };
        for (number, op) in self.ops[..at].iter().enumerate() {
            let fate = match op {
                Op::Remove { after: Some(added), .. } if fate(*added) == Fate::Lost => Fate::Lost,
                _ => fate(number),
            };
            image.apply(op, fate);
        }
        image
    }

    /// The operations at a place, for people.
    pub fn around(&self, at: usize) -> String {
        let words = self.ops[at.saturating_sub(3)..at].iter().map(|op| match op {
            Op::Write { file, offset, bytes } => {
                format!("Write {{ file: {file}, offset: {offset}, {} bytes }}", bytes.len())
            }
            op => format!("{op:?}"),
        });
        format!("behind {:?}", words.collect::<Vec<_>>())
    }
}

impl Image {
    fn apply(&mut self, op: &Op, fate: Fate) {
        if fate == Fate::Lost {
            return;
        }
        match op {
            Op::Add { folder, name, node } => {
                self.folders[*folder].insert(name.clone(), *node);
            }
            Op::Remove { folder, name, .. } => {
                self.folders[*folder].remove(name);
            }
            Op::Move { folder, from, to, node } => {
                // Where the old name came to be something else meanwhile, only the new one changes.
                if self.folders[*folder].get(from) == Some(node) {
                    self.folders[*folder].remove(from);
                }
                self.folders[*folder].insert(to.clone(), *node);
            }
            Op::Resize { file, size } => self.files[*file].resize(*size, 0),
            Op::Write { file, offset, bytes } => write(&mut self.files[*file], *offset, bytes, fate),
            Op::Flush(_) | Op::FlushAll => {}
        }
    }

    /// A number for all that can be reached, and for what goes with it.
    pub fn hash(&self, with: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        with.hash(&mut hasher);
        let mut links = HashMap::new();
        self.hash_folder(0, &mut links, &mut hasher);
        hasher.finish()
    }

    fn hash_folder(&self, folder: usize, links: &mut HashMap<usize, usize>, hasher: &mut DefaultHasher) {
        for (name, node) in &self.folders[folder] {
            name.hash(hasher);
            match node {
                Node::Folder(folder) => self.hash_folder(*folder, links, hasher),
                Node::File(file) => {
                    let next = links.len();
                    links.entry(*file).or_insert(next).hash(hasher);
                    self.files[*file].hash(hasher);
                }
            }
        }
        u8::MAX.hash(hasher);
    }

    /// Makes it so below a folder. The shared memory of SQLite is no file to outlive a power cut, nor the death of all
    /// who share it.
    pub fn write_below(&self, path: &Path) {
        self.write_folder(0, path, &mut HashMap::new());
    }

    fn write_folder(&self, folder: usize, path: &Path, links: &mut HashMap<usize, PathBuf>) {
        for (name, node) in self.folders[folder].iter().filter(|(name, _)| !name.ends_with("-shm")) {
            let path = path.join(name);
            match node {
                Node::Folder(folder) => {
                    fs::create_dir(&path).expect("a folder");
                    self.write_folder(*folder, &path, links);
                }
                Node::File(file) => match links.entry(*file) {
                    Entry::Occupied(first) => fs::hard_link(first.get(), &path).expect("a link"),
                    Entry::Vacant(first) => {
                        fs::write(&path, &self.files[*file]).expect("a file");
                        first.insert(path);
                    }
                },
            }
        }
    }
}

fn write(file: &mut Vec<u8>, offset: usize, bytes: &[u8], fate: Fate) {
    let end = offset + bytes.len();
    let Fate::Torn { seed, sector } = fate else {
        file.resize(file.len().max(end), 0);
        file[offset..end].copy_from_slice(bytes);
        return;
    };
    let mut chance = super::cuts::Chance::new(seed);
    // The size may be written, and the bytes not.
    if chance.one_of(2) == 0 {
        file.resize(file.len().max(end), 0);
    }
    let mut start = offset;
    while start < end {
        let stop = ((start / sector + 1) * sector).min(end);
        if chance.one_of(2) == 0 {
            file.resize(file.len().max(stop), 0);
            file[start..stop].copy_from_slice(&bytes[start - offset..stop - offset]);
        }
        start = stop;
    }
}
