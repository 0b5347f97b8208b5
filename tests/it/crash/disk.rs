//! A disk and the memory in front of it: what programs did to a folder, what of it was flushed, and
//! what a power cut may leave.
//!
//! # The model
//! POSIX's word and no more. `fsync` of a file brings its bytes and its length to the disk; `fsync` of
//! a folder brings the names in it. Nothing else does: not closing, not time, not a flush of anything
//! else, nor does a new file's own flush bring its name along, as it does on most real file systems.
//! What was not flushed may survive or not, in any order, sector by sector, each as it was after any
//! number of the writes to it; lengths and names likewise. One sector is written whole or not at all.

mod tests;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::chance::Chance;

/// What a program did to the folder. Paths are relative to it.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    MakeFolder(PathBuf),
    /// A name for a new, empty file; where there is one already, nothing.
    Create(PathBuf),
    Write {
        path: PathBuf,
        at: usize,
        bytes: Vec<u8>,
    },
    Resize {
        path: PathBuf,
        length: usize,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Link {
        from: PathBuf,
        to: PathBuf,
    },
    Remove(PathBuf),
    /// A flush that ended; it began as the event of this number.
    Flush {
        path: PathBuf,
        began: usize,
    },
}

/// How a power cut treats what was not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// It is gone.
    Nothing,
    /// It is all there, as after `kill -9`.
    Everything,
    /// Sectors of 512 bytes survive or not.
    Sectors,
    /// The same with pages of 4096 bytes, as the page cache writes them.
    Pages,
    /// Every file and every folder is either as it was flushed, or as it was last.
    Files,
    /// Names and lengths survive, bytes do not: new bytes read as zeros.
    Lengths,
}

impl Fate {
    pub(super) const ALL: [Self; 6] =
        [Self::Nothing, Self::Everything, Self::Sectors, Self::Pages, Self::Files, Self::Lengths];
}

/// A tree of files and folders, and what happened to it since it was last flushed.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    nodes: Vec<Node>,
    events: usize,
}

#[derive(Debug, Clone)]
enum Node {
    File { flushed: Vec<u8>, since: Vec<(usize, Edit)> },
    Folder { flushed: Names, since: Vec<(usize, Naming)> },
}

type Names = BTreeMap<String, usize>;

#[derive(Debug, Clone)]
enum Edit {
    Write { at: usize, bytes: Vec<u8> },
    Resize(usize),
}

impl Edit {
    /// Where the bytes that it sets end, or the file.
    fn end(&self) -> usize {
        match self {
            Self::Write { at, bytes } => at + bytes.len(),
            Self::Resize(length) => *length,
        }
    }
}

#[derive(Debug, Clone)]
enum Naming {
    Give(String, usize),
    Take(String),
    Change { from: String, to: String },
}

impl Naming {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Give(name, node) => drop(names.insert(name.clone(), *node)),
            Self::Take(name) => drop(names.remove(name)),
            Self::Change { from, to } => {
                // Where the name that is changed did not survive, the change did not either.
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

/// The folder that everything is in.
const ROOT: usize = 0;

impl Disk {
    /// An empty folder.
    pub(super) fn empty() -> Self {
        let root = Node::Folder { flushed: Names::new(), since: Vec::new() };
        Self { nodes: vec![root], events: 0 }
    }

    /// What lies in a folder, all of it flushed.
    pub(super) fn holding(folder: &Path) -> Self {
        let mut disk = Self::empty();
        disk.take_in(folder, ROOT);
        disk
    }

    fn take_in(&mut self, folder: &Path, into: usize) {
        for found in fs::read_dir(folder).expect("a folder") {
            let found = found.expect("an entry");
            let name = found.file_name().to_string_lossy().into_owned();
            if is_index(Path::new(&name)) {
                continue;
            }
            let node = if found.file_type().expect("a type").is_dir() {
                let node = self.add(Node::Folder { flushed: Names::new(), since: Vec::new() });
                self.take_in(&found.path(), node);
                node
            } else {
                let flushed = fs::read(found.path()).expect("a file");
                self.add(Node::File { flushed, since: Vec::new() })
            };
            if let Node::Folder { flushed, .. } = &mut self.nodes[into] {
                flushed.insert(name, node);
            }
        }
    }

    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The event of the next number happened, and it concerns no file.
    pub(super) fn pass(&mut self) {
        self.events += 1;
    }

    /// The event of the next number was this.
    pub(super) fn apply(&mut self, deed: &Deed) {
        let now = self.events;
        self.events += 1;
        match deed {
            Deed::MakeFolder(path) => {
                let node = self.add(Node::Folder { flushed: Names::new(), since: Vec::new() });
                self.name(path, |name| Naming::Give(name, node), now);
            }
            Deed::Create(path) => {
                if self.find(path).is_none() {
                    let node = self.add(Node::File { flushed: Vec::new(), since: Vec::new() });
                    self.name(path, |name| Naming::Give(name, node), now);
                }
            }
            Deed::Write { path, at, bytes } => {
                self.edit(path, Edit::Write { at: *at, bytes: bytes.clone() }, now);
            }
            Deed::Resize { path, length } => self.edit(path, Edit::Resize(*length), now),
            Deed::Rename { from, to } => {
                assert_eq!(from.parent(), to.parent(), "the model renames within a folder only");
                let to = last(to);
                self.name(from, |from| Naming::Change { from, to }, now);
            }
            Deed::Link { from, to } => {
                let node = self.find(from).expect("what is linked is there");
                self.name(to, |name| Naming::Give(name, node), now);
            }
            Deed::Remove(path) => self.name(path, Naming::Take, now),
            Deed::Flush { path, began } => self.flush(path, *began),
        }
    }

    fn edit(&mut self, path: &Path, edit: Edit, now: usize) {
        let node = self.find(path).unwrap_or_else(|| panic!("{} is written", path.display()));
        match &mut self.nodes[node] {
            Node::File { since, .. } => since.push((now, edit)),
            Node::Folder { .. } => panic!("{} is a folder", path.display()),
        }
    }

    fn name(&mut self, path: &Path, naming: impl FnOnce(String) -> Naming, now: usize) {
        let parent = path.parent().expect("inside the folder");
        let folder = self.find(parent).unwrap_or_else(|| panic!("{} is named", path.display()));
        match &mut self.nodes[folder] {
            Node::Folder { since, .. } => since.push((now, naming(last(path)))),
            Node::File { .. } => panic!("{} is a file", parent.display()),
        }
    }

    /// What happened before the flush began is on the disk.
    fn flush(&mut self, path: &Path, began: usize) {
        let node = self.find(path).unwrap_or_else(|| panic!("{} is flushed", path.display()));
        match &mut self.nodes[node] {
            Node::File { flushed, since } => {
                let covered = since.partition_point(|(at, _)| *at < began);
                for (_, edit) in since.drain(..covered) {
                    apply(flushed, &edit);
                }
            }
            Node::Folder { flushed, since } => {
                let covered = since.partition_point(|(at, _)| *at < began);
                for (_, naming) in since.drain(..covered) {
                    naming.apply(flushed);
                }
            }
        }
    }

    /// Which file or folder a path leads to, as running programs see it.
    fn find(&self, path: &Path) -> Option<usize> {
        path.iter().try_fold(ROOT, |folder, name| {
            let names = self.names(folder)?;
            names.get(&name.to_string_lossy().into_owned()).copied()
        })
    }

    fn names(&self, folder: usize) -> Option<Names> {
        match &self.nodes[folder] {
            Node::File { .. } => None,
            Node::Folder { flushed, since } => {
                let mut names = flushed.clone();
                since.iter().for_each(|(_, naming)| naming.apply(&mut names));
                Some(names)
            }
        }
    }

    /// Whether a path leads to a folder.
    pub(super) fn is_folder(&self, path: &Path) -> bool {
        self.find(path).is_some_and(|node| self.names(node).is_some())
    }

    /// Whether everything is on the disk.
    pub(super) fn is_flushed(&self) -> bool {
        self.nodes.iter().all(|node| match node {
            Node::File { since, .. } => since.is_empty(),
            Node::Folder { since, .. } => since.is_empty(),
        })
    }

    /// Writes into `folder`, which is empty, what is there after a power cut.
    pub(super) fn leave(&self, folder: &Path, fate: Fate, chance: &mut Chance) {
        self.leave_folder(ROOT, folder, fate, chance);
    }

    fn leave_folder(&self, node: usize, folder: &Path, fate: Fate, chance: &mut Chance) {
        let Node::Folder { flushed, since } = &self.nodes[node] else { return };
        let mut names = flushed.clone();
        let keep: Vec<bool> = match fate {
            Fate::Nothing => vec![false; since.len()],
            Fate::Everything | Fate::Lengths => vec![true; since.len()],
            Fate::Files => vec![chance.coin(); since.len()],
            // A journalling file system keeps their order; POSIX does not ask for it.
            Fate::Sectors | Fate::Pages if chance.coin() => {
                let kept = chance.below(since.len() + 1);
                (0..since.len()).map(|at| at < kept).collect()
            }
            Fate::Sectors | Fate::Pages => since.iter().map(|_| chance.coin()).collect(),
        };
        for ((_, naming), keep) in since.iter().zip(keep) {
            if keep {
                naming.apply(&mut names);
            }
        }
        for (name, node) in names {
            let path = folder.join(name);
            match &self.nodes[node] {
                Node::File { flushed, since } => {
                    fs::write(&path, survivor(flushed, since, fate, chance)).expect("written");
                    let owner_alone = fs::Permissions::from_mode(0o600);
                    fs::set_permissions(&path, owner_alone).expect("a mode");
                }
                Node::Folder { .. } => {
                    fs::create_dir(&path).expect("a folder");
                    self.leave_folder(node, &path, fate, chance);
                }
            }
        }
    }
}

fn last(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// Whether a path is that of a WAL index. It is memory that processes share by way of a file: SQLite
/// makes it anew when the first of them opens the ledger, whatever is in it.
pub(super) fn is_index(path: &Path) -> bool {
    path.to_string_lossy().ends_with("-shm")
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    match edit {
        Edit::Write { at, bytes: new } => {
            if bytes.len() < at + new.len() {
                bytes.resize(at + new.len(), 0);
            }
            bytes[*at..at + new.len()].copy_from_slice(new);
        }
        Edit::Resize(length) => bytes.resize(*length, 0),
    }
}

/// What is left of a file.
fn survivor(flushed: &[u8], since: &[(usize, Edit)], fate: Fate, chance: &mut Chance) -> Vec<u8> {
    let edits = || since.iter().map(|(_, edit)| edit);
    let (unit, zeros) = match fate {
        Fate::Nothing => return flushed.to_vec(),
        Fate::Files if chance.coin() => return flushed.to_vec(),
        Fate::Everything | Fate::Files => {
            let mut bytes = flushed.to_vec();
            edits().for_each(|edit| apply(&mut bytes, edit));
            return bytes;
        }
        Fate::Sectors => (512, false),
        Fate::Pages => (4_096, false),
        Fate::Lengths => (4_096, true),
    };
    let longest = edits().map(Edit::end).fold(flushed.len(), usize::max);
    // As many of the edits of each unit took place as chance says, and as many of the length's.
    let mut touched: BTreeMap<usize, usize> = BTreeMap::new();
    for edit in edits() {
        for at in units(edit, unit, longest) {
            *touched.entry(at).or_default() += 1;
        }
    }
    let mut left: BTreeMap<usize, usize> = touched
        .into_iter()
        .map(|(at, count)| (at, if zeros { 0 } else { chance.below(count + 1) }))
        .collect();
    let lengths = if zeros { since.len() } else { chance.below(since.len() + 1) };
    let (mut bytes, mut length) = (flushed.to_vec(), flushed.len());
    bytes.resize(longest, 0);
    for (number, edit) in edits().enumerate() {
        let end = edit.end();
        if number < lengths {
            length = match edit {
                Edit::Write { .. } => length.max(end),
                Edit::Resize(_) => end,
            };
        }
        for at in units(edit, unit, longest) {
            let left = left.entry(at).or_default();
            if *left == 0 {
                continue;
            }
            *left -= 1;
            let here = at * unit..((at + 1) * unit).min(longest);
            match edit {
                Edit::Write { at, bytes: new } => {
                    let (from, to) = (here.start.max(*at), here.end.min(end));
                    bytes[from..to].copy_from_slice(&new[from - at..to - at]);
                }
                Edit::Resize(length) => {
                    let from = here.start.max(*length).min(here.end);
                    bytes[from..here.end].fill(0);
                }
            }
        }
    }
    bytes.resize(length, 0);
    bytes
}

/// The units that an edit touches.
fn units(edit: &Edit, unit: usize, longest: usize) -> std::ops::Range<usize> {
    match edit {
        Edit::Write { bytes, .. } if bytes.is_empty() => 0..0,
        Edit::Write { at, bytes } => at / unit..(at + bytes.len()).div_ceil(unit),
        Edit::Resize(new) => new / unit..longest.div_ceil(unit),
    }
}
