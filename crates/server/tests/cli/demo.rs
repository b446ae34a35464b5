//! The demo where Envoy cannot be had: it says what is missing and shows the same rows.

use std::process::{Command, Stdio};

use super::Ran;

#[test]
fn without_python_the_demo_says_so_and_asks_over_grpc() {
    // A copy outside cargo's target directory, so that no Envoy of an earlier run is found, and no python3 in PATH.
    let home = std::env::temp_dir().join(format!("portcullis-demo-{}", std::process::id()));
    std::fs::create_dir_all(&home).expect("a directory");
    let copy = home.join("portcullis");
    // By another process: a handle of ours would be inherited by what other tests start meanwhile, and a file that
    // somebody can write to cannot be run (ETXTBSY).
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_portcullis"))
        .arg(&copy)
        .status();
    assert!(copied.expect("cp starts").success(), "a copy of the binary");
    let output = Command::new(&copy)
        .args(["demo", "--once"])
        .env_clear()
        .env("HOME", &home)
        .env("PATH", &home)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    std::fs::remove_dir_all(&home).expect("the directory goes");
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
