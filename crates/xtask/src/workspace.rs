//! Where things are, as cargo itself says, and how a child process is started there.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The two folders that every chore needs.
pub(crate) struct Workspace {
    /// Where the workspace's `Cargo.toml` is.
    pub(crate) root: PathBuf,
    /// Cargo's target directory, wherever `CARGO_TARGET_DIR` or the configuration puts it.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo. Fails outside a workspace.
    pub(crate) fn find() -> Result<Self, String> {
        let output = Command::new(cargo_program())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot start cargo: {error}"))?;
        let metadata = String::from_utf8_lossy(&output.stdout);
        let folder = |key| {
            string_field(&metadata, key)
                .map(PathBuf::from)
                .ok_or_else(|| format!("`cargo metadata` names no {key}"))
        };
        Ok(Self {
            root: folder("workspace_root")?,
            target: folder("target_directory")?,
        })
    }

    /// The folder for what is installed on behalf of the tests.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("portcullis-tools")
    }

    /// Cargo with these words, which contain no spaces, to run at the root.
    pub(crate) fn cargo(&self, words: &str) -> Command {
        let mut command = self.command(cargo_program());
        command.args(words.split_whitespace());
        command
    }

    /// Any command to run at the root, with no stdin and without what `cargo run` told xtask about xtask: build
    /// scripts of the inner cargo would take that for their own and build again.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        command
    }
}

fn cargo_program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The last field of that name, as the two we look for come after all packages, whose metadata is free text.
fn string_field(json: &str, key: &str) -> Option<String> {
    let quoted = format!("\"{key}\":\"");
    let start = json.rfind(&quoted)? + quoted.len();
    let mut value = String::new();
    let mut rest = json[start..].chars();
    loop {
        match rest.next()? {
            '"' => return Some(value),
            '\\' => value.push(rest.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::string_field;

    #[test]
    fn fields_of_metadata() {
        let json = r#"{"packages":[{"target_directory":"no"}],"target_directory":"/a/b \"c\"","version":1}"#;
        assert_eq!(
            string_field(json, "target_directory").as_deref(),
            Some(r#"/a/b "c""#)
        );
        assert_eq!(string_field(json, "workspace_root"), None);
        assert_eq!(string_field(r#"{"key":"cut"#, "key"), None);
    }
}
