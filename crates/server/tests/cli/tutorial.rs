//! `docs/tutorial.md`, read as somebody does who follows it: every file is written, every command is run, and says what the
//! page says it does.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::serving::Server;
use crate::{Ran, root};

/// Somebody at a terminal.
struct Reader {
    folder: PathBuf,
    server: Option<Server>,
}

#[test]
fn every_step_of_the_tutorial_is_as_the_page_says() {
    let page = fs::read_to_string(root().join("docs/tutorial.md")).expect("the page");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tutorial");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let mut reader = Reader { folder, server: None };
    let mut commands = 0;
    for block in page.split("```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').expect("a block");
        if language == "console" {
            for step in format!("\n{text}").split("\n$ ").skip(1) {
                let (command, shown) = step.split_once('\n').unwrap_or((step, ""));
                reader.run(command, shown);
                commands += 1;
            }
        } else {
            reader.write(text);
        }
    }
    assert!(commands > 15, "{commands} commands were found");
}

impl Reader {
    /// A block that begins with `# file: name` or `// file: name`.
    fn write(&self, text: &str) {
        let first = text.lines().next().unwrap_or_default();
        let (_, name) = first
            .split_once(" file: ")
            .expect("a block is a file or commands");
        let file = self.folder.join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, text).expect("a file");
    }

    fn run(&mut self, command: &str, shown: &str) {
        if command == "portcullis serve" {
            self.server = Some(Server::start_with(&self.on_other_ports()));
            return;
        }
        if let Some(target) = command.strip_prefix("curl -X POST http://127.0.0.1:9192") {
            let answer = post(&self.server().admin, target);
            assert!(is_shown(&answer, shown), "$ {command}\n{answer}");
            return;
        }
        // What is compared beside the answers comes a moment after them.
        let patience = Instant::now() + Duration::from_secs(30);
        let mut ran = self.shell(command);
        while command.starts_with("portcullis shadow")
            && !is_shown(&ran.out, shown)
            && Instant::now() < patience
        {
            std::thread::yield_now();
            ran = self.shell(command);
        }
        let ran = ran.expect(exit_code(shown));
        assert!(is_shown(&ran.out, shown), "$ {command}\n{}{}", ran.out, ran.err);
        if let Some((_, folder)) = command.split_once("&& cd ") {
            self.folder.push(folder);
        }
    }

    fn shell(&self, command: &str) -> Ran {
        let binary = Path::new(env!("CARGO_BIN_EXE_portcullis"));
        let mut path = binary.parent().expect("a folder").as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = command.to_owned();
        if let Some(server) = &self.server {
            let report = format!("shadow report --server {}", server.admin);
            command = command
                .replace("127.0.0.1:9191", &server.envoy_grpc)
                .replace("shadow report", &report);
        }
        let output = Command::new("sh")
            .args(["-ec", &command])
            .current_dir(&self.folder)
            .env("PATH", path)
            .env_remove("PORTCULLIS_UPDATE")
            .env_remove("TESTS_SKIPPED_FILE")
            .env_remove("RUST_LOG")
            .output();
        Ran::of(&output.expect("a shell"))
    }

    /// The configuration, listening where no other test does.
    fn on_other_ports(&self) -> PathBuf {
        let file = self.folder.join("portcullis.yaml");
        let text = fs::read_to_string(&file).expect("the configuration");
        let text = text
            .replace("127.0.0.1:9191", "127.0.0.1:0")
            .replace("127.0.0.1:9192", "127.0.0.1:0");
        fs::write(&file, text).expect("the configuration");
        file
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("the server runs")
    }
}

/// The exit code that goes with what the page shows: a denial, a failed test, a difference, or nothing of it.
fn exit_code(shown: &str) -> i32 {
    match shown {
        _ if shown.starts_with("deny") || shown.contains(" -> ") => 3,
        _ if shown.contains(" failed") && !shown.contains(" 0 failed") => 5,
        _ => 0,
    }
}

/// Whether these lines are printed, in this order, with others between them; `…` is anything.
fn is_shown(printed: &str, shown: &str) -> bool {
    let mut printed = printed.lines();
    let mut wanted = shown.lines().filter(|line| !line.is_empty());
    wanted.all(|line| {
        printed.any(|printed| {
            let mut rest = Some(printed);
            for (n, part) in line.split('…').enumerate() {
                rest = rest.and_then(|rest| match n {
                    0 => rest.strip_prefix(part),
                    _ => rest.split_once(part).map(|(_, rest)| rest),
                });
            }
            rest.is_some_and(|rest| rest.is_empty() || line.ends_with('…'))
        })
    })
}

fn post(address: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the admin listener");
    let request = format!(
        "POST {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
