//! The file of the decision log: full ones are kept under numbers, and it is opened again when it was moved away.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Only the owner may read who asked for what.
const MODE: u32 = 0o600;
/// How long a file that is full goes on when no other could be begun.
const RETRY: Duration = Duration::from_secs(60);

/// A file that lines are appended to.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Whether it ends with a part of a line.
    ends_within: bool,
    rotate_bytes: u64,
    keep: u32,
    /// When no other file could be begun.
    failed: Option<Instant>,
}

impl LogFile {
    pub(super) fn open(path: &Path, rotate_bytes: u64, keep: u32) -> io::Result<Self> {
        let (file, ends_within) = open(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            ends_within,
            rotate_bytes,
            keep,
            failed: None,
        })
    }

    /// Appends whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let data = self.file.metadata()?;
        // A pipe or a device stays what it is.
        if !data.is_file() {
            return self.file.write_all(lines);
        }
        self.renew(&data, lines.len() as u64)?;
        if self.ends_within {
            self.file.write_all(b"\n")?;
            self.ends_within = false;
        }
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(lines);
        if written.is_err() {
            self.take_back(before, lines.len() as u64);
        }
        written
    }

    /// Begins another file if the path names another one, or this one is full. Where that cannot be, this one goes on, unless
    /// nobody could find it any more.
    fn renew(&mut self, data: &Metadata, length: u64) -> io::Result<()> {
        let is_gone = data.nlink() == 0;
        if !is_gone && self.failed.is_some_and(|at| at.elapsed() < RETRY) {
            return Ok(());
        }
        let is_full =
            self.rotate_bytes > 0 && data.len() > 0 && data.len().saturating_add(length) > self.rotate_bytes;
        let renewed = match (self.is_elsewhere(data), is_full) {
            (true, _) => self.reopen(),
            (false, true) => self.rotate(),
            (false, false) => return Ok(()),
        };
        self.failed = renewed.is_err().then(Instant::now);
        match renewed {
            Err(error) if !is_gone => {
                tracing::error!(
                    file = %self.path.display(),
                    %error,
                    "the decision log cannot begin a new file, and goes on with the one it has"
                );
                Ok(())
            }
            renewed => renewed,
        }
    }

    /// Takes back the part of our lines that was written, or the next line would be broken, too.
    fn take_back(&mut self, before: u64, length: u64) {
        let now = self.file.metadata().map_or(before, |data| data.len());
        // More than ours is somebody else's.
        if now > before && now - before < length {
            self.ends_within = self.file.set_len(before).is_err();
        }
    }

    /// Whether the path names another file by now, or none.
    fn is_elsewhere(&self, ours: &Metadata) -> bool {
        match fs::metadata(&self.path) {
            Ok(there) => (ours.dev(), ours.ino()) != (there.dev(), there.ino()),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.ends_within) = open(&self.path)?;
        Ok(())
    }

    /// `x.2` becomes `x.3`, `x.1` becomes `x.2`, `x` becomes `x.1`, and a new `x` begins. Nothing is moved that has a free number
    /// below it, so that trying again and again pushes none out.
    fn rotate(&mut self) -> io::Result<()> {
        let is_free = |number: &u32| fs::symlink_metadata(self.numbered(*number)).is_err();
        let last = (1..=self.keep).find(is_free).unwrap_or(self.keep);
        for number in (1..last).rev() {
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

/// Opens a file, and says whether it ends with a part of a line: whoever wrote it may have been killed.
fn open(path: &Path) -> io::Result<(File, bool)> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(MODE)
        .open(path)?;
    let data = file.metadata()?;
    let ends_within = data.is_file() && data.len() > 0 && last_byte(path).is_ok_and(|byte| byte != b'\n');
    Ok((file, ends_within))
}

fn last_byte(path: &Path) -> io::Result<u8> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    let [byte] = byte;
    Ok(byte)
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
