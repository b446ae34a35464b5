//! Which directories to watch to learn of a change of some files, and which of their entries matter.
//!
//! Files are watched through the directories they are in, because editors and ConfigMaps do not write into a file: they put
//! another one, or another symbolic link, in its place. `policies/a.cedar` of a ConfigMap is a link into `..data`, which is
//! a link to a directory with a date in its name, and only `..data` ever changes.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Component, Path, PathBuf};

use crate::config::Reads;

/// More links than any path needs, and fewer than a circle of them has.
const MAX_LINKS: usize = 40;

/// What to watch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Trail {
    /// Directories, without any link in their paths.
    pub(super) directories: BTreeSet<PathBuf>,
    /// Entries of these directories that matter.
    entries: BTreeSet<PathBuf>,
    /// Directories in which every entry that ends like this matters.
    folders: BTreeSet<(PathBuf, String)>,
}

impl Trail {
    /// For learning of changes of everything that was read.
    pub(super) fn of(reads: &Reads) -> Self {
        let mut trail = Self::default();
        for path in reads.files() {
            trail.add(path);
        }
        for (path, endings) in reads.folders() {
            let end = trail.add(path);
            if end.is_dir() {
                trail.directories.insert(end.clone());
                let endings = endings.iter();
                trail
                    .folders
                    .extend(endings.map(|ending| (end.clone(), ending.clone())));
            }
        }
        trail
    }

    /// True if a change of this entry of one of the directories matters.
    pub(super) fn has(&self, changed: &Path) -> bool {
        let in_folder = || {
            let folder = changed.parent()?;
            let name = changed.file_name()?.to_string_lossy();
            let mut folders = self.folders.iter().filter(|(known, _)| known == folder);
            Some(folders.any(|(_, ending)| name.ends_with(ending)))
        };
        self.entries.contains(changed) || in_folder().unwrap_or(false)
    }

    /// Adds every link on the way to a path, the end of the way, and the directory that this is in; gives the end.
    fn add(&mut self, path: &Path) -> PathBuf {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (end, links) = walk(&whole);
        let directory = end.parent().map(Path::to_owned);
        for entry in links.into_iter().chain([end.clone()]).chain(directory) {
            if let Some(parent) = entry.parent() {
                self.directories.insert(parent.to_owned());
                self.entries.insert(entry);
            }
        }
        end
    }
}

/// Follows every link of an absolute path: where it ends, and where the links are.
fn walk(path: &Path) -> (PathBuf, Vec<PathBuf>) {
    let steps = |path: &Path| {
        path.components()
            .map(|c| c.as_os_str().to_owned())
            .collect::<VecDeque<_>>()
    };
    let (mut here, mut links) = (PathBuf::new(), Vec::new());
    let mut ahead = steps(path);
    while let Some(step) = ahead.pop_front() {
        match Path::new(&step).components().next() {
            Some(Component::Normal(name)) => {
                let next = here.join(name);
                match next.read_link() {
                    Ok(target) if links.len() < MAX_LINKS => {
                        links.push(next);
                        let mut first = steps(&target);
                        first.append(&mut ahead);
                        ahead = first;
                    }
                    _ => here = next,
                }
            }
            Some(Component::ParentDir) => {
                here.pop();
            }
            Some(Component::RootDir) => here = PathBuf::from("/"),
            Some(Component::CurDir | Component::Prefix(_)) | None => {}
        }
    }
    (here, links)
}
