//! Programs of others: found on the system, or unpacked from its packages for this purpose.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis::demo::tools::{DebianTool, debian_tool};

/// A program of somebody else.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    program: PathBuf,
    /// Where its package is unpacked, if it is not installed.
    root: Option<PathBuf>,
}

/// What the tools are, and where they come from.
pub(crate) const H2LOAD: (&str, DebianTool) = (
    "h2load",
    DebianTool {
        package: "nghttp2-client",
        libraries: &["libnghttp2-14", "libev4", "libjansson4", "libjemalloc2"],
    },
);
pub(crate) const WRK: (&str, DebianTool) = (
    "wrk",
    DebianTool {
        package: "wrk",
        libraries: &["libluajit-5.1-2", "libluajit-5.1-common"],
    },
);
pub(crate) const VALGRIND: (&str, DebianTool) = (
    "valgrind",
    DebianTool {
        package: "valgrind",
        libraries: &[],
    },
);

impl Tool {
    /// The program on the `PATH`, or else that of the unpacked package.
    pub(crate) fn find((name, package): &(&str, DebianTool)) -> Result<Self, String> {
        let path = env::var_os("PATH").unwrap_or_default();
        if let Some(program) = env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|program| program.is_file())
        {
            return Ok(Self { program, root: None });
        }
        let root = debian_tool(package, &mut |line| eprintln!("  {line}"))
            .map_err(|error| format!("{name} is not installed, and {error}"))?;
        let program = root.join("usr/bin").join(name);
        if !program.is_file() {
            return Err(format!("{} has no {name}", root.display()));
        }
        Ok(Self {
            program,
            root: Some(root),
        })
    }

    /// The program, to be given its arguments.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, value) in self.environment() {
            command.env(name, value);
        }
        command
    }

    /// Where it is.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// What it needs to find its own parts.
    pub(crate) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let Some(root) = &self.root else {
            return Vec::new();
        };
        let libraries = root
            .join("usr/lib")
            .join(format!("{}-linux-gnu", env::consts::ARCH));
        vec![
            ("LD_LIBRARY_PATH", libraries),
            ("VALGRIND_LIB", root.join("usr/libexec/valgrind")),
        ]
    }
}
