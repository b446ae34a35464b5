//! Finds the real peers of the demo and the tests, and installs those that are missing: Python wheels, each in a virtual
//! environment of its own, npm packages, each with a `node_modules` of its own, and unpacked Debian packages. All of it
//! is below [`tools_dir`], where neither the system nor another version can disturb it.
//!
//! Nothing is installed outside that directory, and nothing is fetched that is there already.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::child::last_lines;

pub use debian::{DebianTool, debian_tool};
pub use npm::npm_tool;
pub use python::{PythonTool, python_tool};

mod debian;
mod npm;
mod python;

/// A tool could not be found or installed.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// There is nowhere to install to.
    #[error(
        "no place for tools: this program is not in a cargo target directory, and HOME is not set; set HOME"
    )]
    NoPlace,
    /// A directory or file could not be made.
    #[error("cannot write to {}: {source}; make it writable, or remove it", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no Python.
    #[error("cannot run python3, which installs {package}: {source}; install Python 3.10 or later")]
    NoPython {
        /// What it was wanted for.
        package: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// There is a Python that cannot make virtual environments.
    #[error(
        "python3 has no working `venv` module, which installs {package}; on Debian and Ubuntu, install the package python3-venv"
    )]
    NoVenv {
        /// What it was wanted for.
        package: &'static str,
    },
    /// A virtual environment could not be made for another reason.
    #[error("`python3 -m venv {}` failed:\n{said}", path.display())]
    Venv {
        /// Where it was to be.
        path: PathBuf,
        /// The last lines of its output.
        said: String,
    },
    /// The package could not be installed.
    #[error(
        "pip cannot install {package} {version}:\n{said}\n\
         check the network and pip's settings (`pip config list`), and that there is a wheel for this platform"
    )]
    Pip {
        /// The package.
        package: &'static str,
        /// The version.
        version: &'static str,
        /// The last lines of pip's output.
        said: String,
    },
    /// There is no npm.
    #[error("cannot run npm, which installs {package}: {source}; install Node.js 20 or later, with npm")]
    NoNpm {
        /// What it was wanted for.
        package: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The package could not be installed by npm.
    #[error(
        "npm cannot install {package} {version}:\n{said}\n\
         check the network and npm's settings (`npm config list`)"
    )]
    Npm {
        /// The package.
        package: &'static str,
        /// The version.
        version: &'static str,
        /// The last lines of npm's output.
        said: String,
    },
    /// The system has no packages of Debian.
    #[error(
        "cannot fetch {package} with apt-get and dpkg-deb: {source}; that works on Debian and its like only"
    )]
    NoApt {
        /// What it was wanted for.
        package: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The package could not be fetched or unpacked.
    #[error("cannot fetch and unpack {package}:\n{said}\nrun `apt-get update`, and check the network")]
    Apt {
        /// The package.
        package: &'static str,
        /// The last lines of the output.
        said: String,
    },
}

/// Where tools are kept: `portcullis-tools` in cargo's target directory, if this program is in one; otherwise
/// `portcullis` in `$XDG_CACHE_HOME`, or in `~/.cache`.
pub fn tools_dir() -> Result<PathBuf, ToolError> {
    let exe = std::env::current_exe().unwrap_or_default();
    let var = |name| std::env::var_os(name).map(PathBuf::from);
    place(&exe, var("XDG_CACHE_HOME"), var("HOME")).ok_or(ToolError::NoPlace)
}

fn place(exe: &Path, cache: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    // Cargo marks its target directory with this file, whatever the directory's name is, and with `--target` a folder in it, too.
    let marked = |dir: &&Path| dir.join("CACHEDIR.TAG").is_file();
    if let Some(target) = exe.ancestors().skip(1).find(marked) {
        let target = target.parent().filter(marked).unwrap_or(target);
        return Some(target.join("portcullis-tools"));
    }
    // A relative or empty XDG_CACHE_HOME is to be ignored, says its specification.
    let cache = cache
        .filter(|dir| dir.is_absolute())
        .or_else(|| Some(home?.join(".cache")))?;
    Some(cache.join("portcullis"))
}

/// Installs what is not installed yet, one process at a time.
fn once(
    tools: &Path,
    package: &str,
    version: &str,
    installed: impl Fn() -> bool,
    progress: &mut dyn FnMut(&str),
    install: impl FnOnce(&mut dyn FnMut(&str)) -> Result<(), ToolError>,
) -> Result<(), ToolError> {
    if installed() {
        return Ok(());
    }
    fs::create_dir_all(tools).map_err(unwritable(tools))?;
    let lock_path = tools.join(format!("{package}-{version}.lock"));
    let lock = File::create(&lock_path).map_err(unwritable(&lock_path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress(&format!(
                "waiting for another process that installs {package} {version}"
            ));
            lock.lock().map_err(unwritable(&lock_path))?;
        }
        Err(TryLockError::Error(source)) => return Err(unwritable(&lock_path)(source)),
    }
    if installed() {
        return Ok(());
    }
    install(progress)
}

fn unwritable(path: &Path) -> impl Fn(io::Error) -> ToolError {
    let path = path.to_owned();
    move |source| ToolError::Write {
        path: path.clone(),
        source,
    }
}

/// What a program said last, its errors after its output.
fn said(output: &Output) -> String {
    let both = [
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    ];
    last_lines(&both.join("\n"), 12)
}

#[cfg(test)]
mod tests;
