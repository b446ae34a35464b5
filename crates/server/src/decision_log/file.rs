//! The file of the decision log: full ones are kept under numbers, and it is opened again when it was moved away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Only the owner may read who asked for what.
const MODE: u32 = 0o600;

/// A file that lines are appended to.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// How large it is; `None` for what is no regular file, such as a pipe.
    size: Option<u64>,
    rotate_bytes: u64,
    keep: u32,
}

impl LogFile {
    pub(super) fn open(path: &Path, rotate_bytes: u64, keep: u32) -> io::Result<Self> {
        let (file, size) = open(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            rotate_bytes,
            keep,
        })
    }

    /// Appends whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.is_elsewhere() {
            self.reopen()?;
        }
        let length = lines.len() as u64;
        let is_full = |size: u64| size > 0 && size.saturating_add(length) > self.rotate_bytes;
        if self.rotate_bytes > 0 && self.size.is_some_and(is_full) {
            self.rotate()?;
        }
        let written = self.file.write_all(lines);
        match (&written, &mut self.size) {
            (Ok(()), Some(size)) => *size += length,
            // No half line stays, or the next one would be broken, too.
            (Err(_), Some(size)) => self.file.set_len(*size)?,
            (_, None) => {}
        }
        written
    }

    /// Whether the path names another file by now, or none.
    fn is_elsewhere(&self) -> bool {
        if self.size.is_none() {
            return false;
        }
        match (self.file.metadata(), fs::metadata(&self.path)) {
            (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) != (there.dev(), there.ino()),
            (_, Err(error)) => error.kind() == io::ErrorKind::NotFound,
            (Err(_), Ok(_)) => true,
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.size) = open(&self.path)?;
        Ok(())
    }

    /// `x.2` becomes `x.3`, `x.1` becomes `x.2`, `x` becomes `x.1`, and a new `x` begins.
    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.keep).rev() {
            moved(&self.numbered(number), &self.numbered(number + 1))?;
        }
        match self.keep {
            0 => fs::remove_file(&self.path)?,
            _ => moved(&self.path, &self.numbered(1))?,
        }
        self.reopen()
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{number}"));
        path.into()
    }
}

fn open(path: &Path) -> io::Result<(File, Option<u64>)> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(MODE)
        .open(path)?;
    let metadata = file.metadata()?;
    let size = metadata.is_file().then_some(metadata.len());
    Ok((file, size))
}

/// Moves a file, if there is one.
fn moved(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests;
