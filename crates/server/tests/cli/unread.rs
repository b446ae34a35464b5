//! A server whose output nobody reads, because the reader is gone or stuck: it goes on answering, and ends as told.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::people;

use crate::answers::config_for;
use crate::serving::{Server, config};
use crate::{portcullis, run};

/// How long something may take that happens in the background.
const PATIENCE: Duration = Duration::from_secs(30);
/// That flag on Linux, where these tests run.
const O_NONBLOCK: i32 = 0o4000;

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).expect("the log").lines().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_readers_of_its_output_are_gone_a_server_goes_on() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let token = format!("authorization: Bearer {}", people::alice(&issuer).token);
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("unread.jsonl");
    let _ = std::fs::remove_file(&log);
    let decision_log = format!(
        "\ndecision_log: {{ to: [stdout, stderr], file: \"{}\" }}\n",
        log.display()
    );
    let config = config("unread", &decision_log);
    let mut child = portcullis(&["serve", "--log", "debug", "--log-format", "json", "--config"])
        .arg(&config)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let mut said = BufReader::new(child.stderr.take().expect("its log"));
    let server = Server::of(child, &mut said);
    drop(said);
    // Twice: what a first failure breaks is missed at the second try.
    for number in [1, 2] {
        server.check("GET", "/public/hello").expect(0);
        until("the file goes on", || lines(&log) == number);
    }
    // Changes of files are still noticed, and keys of an issuer still come.
    config_for(&issuer, "unread.yaml");
    let url = "https://api.example.test/workspaces/ws-alice";
    let ask = ["check", "--server", &server.envoy_grpc, "-H", &token, "GET", url];
    until("keys come", || run(&ask).code == Some(0));
    let asked = lines(&log);
    server.check("GET", "/public/hello").expect(0);
    server.terminate().expect(0);
    assert!(lines(&log) > asked);
}

/// A pipe by name, whose reader reads until the server has said where it listens, and then nothing more.
#[test]
fn when_the_reader_of_its_log_is_stuck_a_server_answers_and_ends() {
    let pipe = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("stuck.pipe");
    let _ = std::fs::remove_file(&pipe);
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let both_ends = File::options()
        .read(true)
        .write(true)
        .open(&pipe)
        .expect("a pipe");
    let decision_log = "\ndecision_log: stderr\n";
    let child = portcullis(&["serve", "--log", "debug", "--log-format", "json", "--config"])
        .arg(config("stuck", decision_log))
        .stdout(Stdio::null())
        .stderr(OpenOptions::new().write(true).open(&pipe).expect("the pipe"))
        .spawn()
        .expect("the binary starts");
    let mut said = BufReader::new(both_ends);
    let server = Server::of(child, &mut said);
    fill(&pipe);
    for _ in 0..3 {
        server.check("GET", "/public/hello").expect(0);
        run(&["healthcheck", "--address", &server.admin]).expect(0);
    }
    let hangup = Command::new("kill")
        .args(["-HUP", &server.process().to_string()])
        .status();
    assert!(hangup.expect("kill is there").success());
    server.check("GET", "/public/hello").expect(0);
    server.terminate().expect(0);
    drop(said);
}

/// Writes until no byte more fits.
fn fill(pipe: &Path) {
    let mut pipe = File::options()
        .write(true)
        .custom_flags(O_NONBLOCK)
        .open(pipe)
        .expect("the pipe");
    for size in [4096, 1] {
        let error = loop {
            if let Err(error) = pipe.write(&[b'\n'; 4096][..size]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    }
}
