//! The demo where Envoy cannot be had: it says what is missing and shows the same rows.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Ran;

/// A copy of the binary outside cargo's target directory, so that no Envoy of an earlier run is found.
struct Copied {
    home: PathBuf,
}

impl Copied {
    fn new(name: &str) -> Self {
        let home = std::env::temp_dir().join(format!("portcullis-demo-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&home).expect("a directory");
        // By another process: a handle of ours would be inherited by what other tests start meanwhile, and a file that
        // somebody can write to cannot be run (ETXTBSY).
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_portcullis"))
            .arg(home.join("portcullis"))
            .status();
        assert!(copied.expect("cp starts").success(), "a copy of the binary");
        Self { home }
    }

    /// `portcullis demo --once`, with no python3 in PATH.
    fn demo(&self) -> Command {
        let mut demo = Command::new(self.home.join("portcullis"));
        demo.args(["demo", "--once"])
            .env_clear()
            .env("HOME", &self.home)
            .env("PATH", &self.home)
            .stdin(Stdio::null());
        demo
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

#[test]
fn without_python_the_demo_says_so_and_asks_over_grpc() {
    let copied = Copied::new("grpc");
    let output = copied.demo().output().expect("the binary starts");
    let ran = Ran::of(&output).expect(0);
    for words in [
        "cannot run python3",
        "install Python",
        "asked directly over gRPC",
        "25 rows, 25 as they must be",
    ] {
        assert!(ran.out.contains(words), "{words} is not in\n{}", ran.out);
    }
}

#[test]
fn the_demo_goes_on_when_nobody_reads_any_more() {
    let copied = Copied::new("unread");
    let mut demo = copied
        .demo()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(demo.stdout.take());
    let output = demo.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), told.as_ref()), (Some(0), ""));
}
