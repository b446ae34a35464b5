//! The command line as people and scripts meet it: the real binary, its words, and its exit codes.

mod administer;
mod answers;
mod broken;
mod demo;
mod doctor;
mod documented;
mod documents;
mod encrypted;
mod exit_codes;
mod explained;
mod flood;
mod help;
mod init;
mod limits;
mod packs;
mod reasons;
mod records;
mod references;
mod serving;
mod shadow;
mod token;
mod unread;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The real binary at the root of the repository, without what the environment of the tests may say about logs.
fn portcullis(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command
        .args(words)
        .current_dir(root())
        .env_remove("RUST_LOG")
        .env_remove("PORTCULLIS_UPDATE")
        .env_remove("TESTS_SKIPPED_FILE")
        .stdin(Stdio::null());
    command
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a run came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the binary to its end.
fn run(words: &[&str]) -> Ran {
    Ran::of(&portcullis(words).output().expect("the binary starts"))
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout.clone()).expect("stdout is UTF-8"),
            err: String::from_utf8(output.stderr.clone()).expect("stderr is UTF-8"),
        }
    }

    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "\nstdout:\n{}\nstderr:\n{}",
            self.out,
            self.err
        );
        self
    }
}
