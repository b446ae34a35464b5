//! Programs of Debian packages, unpacked into a directory of their own: nothing is configured, no root is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{ToolError, once, said, tools_dir, unwritable};

/// A program of a Debian package, in the version that the system's `apt-get` offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DebianTool {
    /// The name of the package.
    pub package: &'static str,
    /// Packages of libraries that it needs and that a small system does not have.
    pub libraries: &'static [&'static str],
}

/// The directory into which the packages are unpacked (it has `usr/sbin` and such), after fetching them if need be;
/// `progress` gets a line before anything slow.
///
/// Blocks like [`python_tool`](super::python_tool).
///
/// # Errors
/// [`ToolError`], with advice; [`ToolError::NoApt`] where the system is not of Debian's kind.
pub fn debian_tool(tool: &DebianTool, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, ToolError> {
    install_below(&tools_dir()?, Path::new("apt-get"), tool, progress)
}

pub(super) fn install_below(
    tools: &Path,
    apt_get: &Path,
    tool: &DebianTool,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, ToolError> {
    let package = tool.package;
    let dir = tools.join(format!("debian-{package}"));
    let stamp = dir.join("installed");
    let expected = format!("{package} {}\n", tool.libraries.join(" "));
    let installed = || fs::read_to_string(&stamp).is_ok_and(|found| found == expected);
    once(tools, package, "debian", installed, progress, |progress| {
        progress(&format!("fetching {package} (once)"));
        // What an interrupted installation left is not to be trusted.
        let _ = fs::remove_dir_all(&dir);
        let root = dir.join("root");
        fs::create_dir_all(&root).map_err(unwritable(&root))?;
        let mut fetch = Command::new(apt_get);
        fetch.arg("download").arg(package).args(tool.libraries);
        run(fetch.current_dir(&dir), package)?;
        for entry in fs::read_dir(&dir).map_err(unwritable(&dir))? {
            let archive = entry.map_err(unwritable(&dir))?.path();
            if archive.extension().is_some_and(|extension| extension == "deb") {
                run(
                    Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&root),
                    package,
                )?;
            }
        }
        fs::write(&stamp, &expected).map_err(unwritable(&stamp))
    })?;
    Ok(dir.join("root"))
}

fn run(command: &mut Command, package: &'static str) -> Result<(), ToolError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ToolError::NoApt { package, source })?;
    if output.status.success() {
        return Ok(());
    }
    Err(ToolError::Apt {
        package,
        said: said(&output),
    })
}
