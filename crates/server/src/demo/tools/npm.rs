//! Packages of npm, each with all that it needs in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{ToolError, once, said, tools_dir, unwritable};

/// The directory whose `node_modules` has the package, after installing it if need be; `progress` gets a line before
/// anything slow. The name has no scope (`@…/`), the version is exact. Scripts of packages are not run.
///
/// Blocks like [`python_tool`](super::python_tool).
///
/// # Errors
/// [`ToolError`], with advice; [`ToolError::NoNpm`] where there is no Node.js.
pub fn npm_tool(
    package: &'static str,
    version: &'static str,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, ToolError> {
    install_below(&tools_dir()?, Command::new("npm"), package, version, progress)
}

pub(super) fn install_below(
    tools: &Path,
    mut npm: Command,
    package: &'static str,
    version: &'static str,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, ToolError> {
    let dir = tools.join(format!("npm-{package}-{version}"));
    let (modules, stamp) = (dir.join("node_modules"), dir.join("installed"));
    let expected = format!("{package} {version}\n");
    let installed = || {
        fs::read_to_string(&stamp).is_ok_and(|found| found == expected)
            && modules.join(package).join("package.json").is_file()
    };
    once(tools, package, version, installed, progress, |progress| {
        progress(&format!("installing {package} {version} (once)"));
        // What an interrupted installation left is not to be trusted.
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).map_err(unwritable(&dir))?;
        let output = npm
            .args([
                "install",
                "--no-save",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
            ])
            .arg("--prefix")
            .arg(&dir)
            .arg(format!("{package}@{version}"))
            .stdin(Stdio::null())
            .output()
            .map_err(|source| ToolError::NoNpm { package, source })?;
        if !output.status.success() {
            return Err(ToolError::Npm {
                package,
                version,
                said: said(&output),
            });
        }
        fs::write(&stamp, &expected).map_err(unwritable(&stamp))
    })?;
    Ok(dir)
}
