//! Directories for the files of one run, such as a proxy's configuration and log.
//!
//! They are below the tools' directory and not in the system's temporary one, so that `cargo clean` takes what a killed
//! process could not remove.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::tools::{ToolError, tools_dir};

/// A directory for one run of something, below [`tools_dir`]; removed with all it holds when dropped.
#[derive(Debug)]
pub struct ScratchDir {
    path: PathBuf,
}

impl ScratchDir {
    /// Makes a directory whose name begins with `name` and that nobody else has.
    pub fn new(name: &str) -> Result<Self, ToolError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = tools_dir()?
            .join("run")
            .join(format!("{name}-{}-{number}", process::id()));
        // A process with the same id may have been killed before it could clean up.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|source| ToolError::Write {
            path: path.clone(),
            source,
        })?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_directory_is_gone_after_use() {
        let dir = ScratchDir::new("tools-test").unwrap();
        let path = dir.path().to_owned();
        fs::write(path.join("file"), "").unwrap();
        drop(dir);
        assert!(!path.exists());
    }
}
