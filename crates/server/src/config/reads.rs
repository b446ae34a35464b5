//! What loading a configuration reads of the file system, noted: so that it can be watched, and so that it is known whether
//! anything has changed since.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{self, Digest, SHA256, digest};

/// The largest file of settings, policies or data; several times what a hundred thousand policies take.
const MAX_TEXT: u64 = 64 * 1024 * 1024;

/// As many bytes of a file are in memory while it is only looked at.
const AT_ONCE: usize = 64 * 1024;

/// Reads files and folders, and notes what it found.
#[derive(Debug, Default)]
pub(super) struct Reader(RefCell<Reads>);

/// What was read, and a digest of what was found. Equal to another one if the same was read and the same was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// With the most bytes that were read of each.
    files: BTreeMap<PathBuf, (u64, Found)>,
    /// The files of a folder that end in one of these ways, by their names.
    folders: BTreeMap<(PathBuf, Vec<String>), Found>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// Something with this SHA-256.
    Digest(Vec<u8>),
    /// Nothing that can be read.
    Nothing(io::ErrorKind),
}

impl Reader {
    /// Everything in a file, but no more than `most` bytes of it.
    pub(super) fn bytes(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let read = read(path, most);
        self.note(path, most, Found::of(&read));
        read
    }

    fn note(&self, path: &Path, most: u64, found: Found) {
        self.0.borrow_mut().files.insert(path.to_owned(), (most, found));
    }

    /// The text of a file. One that is too large, or has no end, is an error.
    pub(super) fn text(&self, path: &Path) -> io::Result<String> {
        let bytes = self.bytes(path, MAX_TEXT + 1)?;
        if bytes.len() as u64 > MAX_TEXT {
            let message = format!("it has more than {} MiB", MAX_TEXT >> 20);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        String::from_utf8(bytes)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "stream did not contain valid UTF-8"))
    }

    /// The file itself, or the files of a folder with one of these endings, in the order of their names.
    pub(super) fn list(&self, path: &Path, endings: &[impl AsRef<str>]) -> io::Result<Vec<PathBuf>> {
        let listed = list(path, endings);
        let found = Found::of(&listed.as_deref().map(names).map_err(|error| error.kind().into()));
        let endings = endings.iter().map(|ending| ending.as_ref().to_owned());
        let at = (path.to_owned(), endings.collect());
        self.0.borrow_mut().folders.insert(at, found);
        listed
    }

    /// What was read so far.
    pub(super) fn reads(self) -> Reads {
        self.0.into_inner()
    }
}

impl Reads {
    /// Reads the same again.
    #[must_use]
    pub fn again(&self) -> Self {
        let reader = Reader::default();
        for (path, (most, found)) in &self.files {
            if path.metadata().is_ok_and(|file| !file.is_file()) {
                // A pipe gives what is in it only once.
                reader.note(path, *most, found.clone());
            } else {
                reader.note(path, *most, Found::at(path, *most));
            }
        }
        for (path, endings) in self.folders.keys() {
            let _ = reader.list(path, endings);
        }
        reader.reads()
    }

    /// Every file that was read, or would have been if it were there.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// Every place of which it was looked which files with these endings are there; the place may be a file itself.
    pub fn folders(&self) -> impl Iterator<Item = (&Path, &[String])> {
        self.folders
            .keys()
            .map(|(path, endings)| (path.as_path(), endings.as_slice()))
    }
}

impl Found {
    /// The same as [`Found::of`] what [`read`] reads, which is not kept.
    fn at(path: &Path, most: u64) -> Self {
        match passed(path, most) {
            Ok(found) => Self::Digest(found.as_ref().to_vec()),
            Err(error) => Self::Nothing(error.kind()),
        }
    }

    fn of(read: &io::Result<Vec<u8>>) -> Self {
        match read {
            Ok(bytes) => Self::Digest(digest(&SHA256, bytes).as_ref().to_vec()),
            Err(error) => Self::Nothing(error.kind()),
        }
    }
}

fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    // Room for all of it at once, and for finding that there is no more.
    let size = file.metadata().map_or(0, |file| file.len()).min(most);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn passed(path: &Path, most: u64) -> io::Result<Digest> {
    let mut file = std::fs::File::open(path)?.take(most);
    let (mut all, mut some) = (digest::Context::new(&SHA256), vec![0; AT_ONCE]);
    loop {
        match file.read(&mut some) {
            Ok(0) => return Ok(all.finish()),
            Ok(count) => all.update(some.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn list(path: &Path, endings: &[impl AsRef<str>]) -> io::Result<Vec<PathBuf>> {
    if !path.metadata()?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir()? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let mut endings = endings.iter().map(AsRef::as_ref);
        if endings.any(|ending| name.len() > ending.len() && name.ends_with(ending)) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn names(files: &[PathBuf]) -> Vec<u8> {
    let names = files.iter().map(|file| file.as_os_str().as_encoded_bytes());
    names.flat_map(|name| [name, b"\0"].concat()).collect()
}
