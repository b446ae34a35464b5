//! `portcullis serve`: it says where it listens, keeps a decision log, and stops when told to.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::{Ran, portcullis, root, run};

/// The default policies without an issuer, on ports of the kernel's choice.
pub(crate) fn config(name: &str, more: &str) -> PathBuf {
    let folder = root().join("policies/default");
    let default = std::fs::read_to_string(folder.join("portcullis.yaml")).expect("the default configuration");
    let (before, rest) = default.split_once("issuers:").expect("issuers");
    let (_, after) = rest.split_once("# What can be asked for").expect("routes");
    let text = format!("{before}#{after}{more}")
        .replace("127.0.0.1:9191", "127.0.0.1:0")
        .replace("127.0.0.1:9192", "127.0.0.1:0")
        .replace(
            "[schema.cedarschema]",
            &format!("[{}]", folder.join("schema.cedarschema").display()),
        )
        .replace(
            "[workspaces.cedar, public.cedar]",
            &format!("[{}]", folder.display()),
        );
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.yaml"));
    std::fs::write(&path, text).expect("the file can be written");
    path
}

/// A running server; killed when dropped, so that a failed test leaves nobody behind.
pub(crate) struct Server {
    child: Option<Child>,
    pub(crate) envoy_grpc: String,
    pub(crate) admin: String,
    /// Empty, if it has none.
    pub(crate) authority: String,
}

impl Server {
    /// Starts it and reads where it listens from its own log.
    pub(crate) fn start(name: &str, more: &str) -> Self {
        Self::start_with(&config(name, more))
    }

    /// The same with the configuration of that file.
    pub(crate) fn start_with(config: &Path) -> Self {
        let mut command = portcullis(&["serve", "--log-format", "json", "--config"]);
        command.arg(config);
        Self::start_by(command)
    }

    /// The same by a command that becomes the server.
    pub(crate) fn start_by(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut log = BufReader::new(child.stderr.take().expect("its log"));
        let server = Self::of(child, &mut log);
        // The pipe stays open and read, so that nothing of the log is lost.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        server
    }

    /// One that logs there, as JSON.
    pub(crate) fn of(child: Child, log: &mut impl BufRead) -> Self {
        let mut server = Self {
            child: Some(child),
            envoy_grpc: String::new(),
            admin: String::new(),
            authority: String::new(),
        };
        let (mut line, mut before) = (String::new(), String::new());
        while server.envoy_grpc.is_empty() {
            line.clear();
            assert_ne!(
                log.read_line(&mut line).expect("a line"),
                0,
                "it ended without saying where it listens:\n{before}"
            );
            before.push_str(&line);
            // Advice about the configuration comes before the log, and is for people.
            let Ok(entry) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            let field = |name: &str| entry["fields"][name].as_str().unwrap_or_default().to_owned();
            (server.envoy_grpc, server.admin) = (field("envoy_grpc"), field("admin"));
            server.authority = field("authority");
        }
        server
    }

    pub(crate) fn check(&self, method: &str, path: &str) -> Ran {
        let url = format!("https://api.example.test{path}");
        run(&["check", "--server", &self.envoy_grpc, "-o", "json", method, &url])
    }

    /// The id of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// SIGTERM, and the end: its exit code and what it wrote to stdout.
    pub(crate) fn terminate(mut self) -> Ran {
        let child = self.child.take().expect("it runs");
        let killed = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        assert!(killed.expect("kill is there").success());
        Ran::of(&child.wait_with_output().expect("it ends"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn decisions_are_json_lines_on_stdout_and_sigterm_ends_it_in_order() {
    let server = Server::start("serve", "");
    let allowed = server.check("GET", "/public/hello?secret=1").expect(0);
    let denied = server.check("GET", "/workspaces/ws-alice").expect(3);
    server.check("GET", "/a/../b").expect(3);
    let ended = server.terminate().expect(0);
    let lines: Vec<Value> = ended
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(lines.len(), 3, "{}", ended.out);
    for line in &lines {
        for field in [
            "time",
            "decision_id",
            "verdict",
            "reason",
            "why",
            "contract",
            "version",
        ] {
            assert!(
                line[field].as_str().is_some_and(|text| !text.is_empty()),
                "{field}: {line}"
            );
        }
        assert!(
            line["policies"].is_array() && line["microseconds"].is_number(),
            "{line}"
        );
        assert_eq!(line["contract"], "envoy_grpc");
    }
    for (line, expected) in [
        (
            &lines[0],
            &[
                ("verdict", "allow"),
                ("principal", "Anonymous"),
                ("action", "GET"),
                ("resource", "PublicPage::\"api.example.test/public/hello\""),
                ("route", "/public/{rest..}"),
                ("method", "GET"),
                ("host", "api.example.test"),
                ("path", "/public/hello"),
            ][..],
        ),
        (
            &lines[1],
            &[("verdict", "deny"), ("reason", "credential_missing")],
        ),
        (&lines[2], &[("verdict", "deny"), ("reason", "ambiguous_path")]),
    ] {
        for (field, value) in expected {
            assert_eq!(line[field], *value, "{line}");
        }
    }
    assert_eq!(lines[1]["status"], 401);
    assert!(!ended.out.contains("secret"), "the query may carry secrets");
    // What the server told the caller names the same decisions.
    for (answer, line) in [(allowed, &lines[0]), (denied, &lines[1])] {
        let answer: Value = serde_json::from_str(&answer.out).expect("JSON");
        assert_eq!(answer["decision_id"], line["decision_id"]);
    }
}

#[test]
fn the_decision_log_can_be_a_file_or_off() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("decisions.jsonl");
    let _ = std::fs::remove_file(&file);
    for (name, setting, lines) in [
        (
            "log-file",
            format!("\ndecision_log: {{ file: \"{}\" }}\n", file.display()),
            1,
        ),
        ("log-off", "\ndecision_log: off\n".to_owned(), 1),
        (
            "log-file-again",
            format!("\ndecision_log: {{ file: \"{}\" }}\n", file.display()),
            2,
        ),
    ] {
        let server = Server::start(name, &setting);
        server.check("GET", "/public/hello").expect(0);
        assert_eq!(server.terminate().expect(0).out, "", "{name}");
        let written = std::fs::read_to_string(&file).expect("the log");
        assert_eq!(written.lines().count(), lines, "{name}: {written}");
    }
}

#[test]
fn a_port_that_is_taken_is_said_with_the_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for (setting, default) in [
        ("listen.envoy_grpc", "envoy_grpc: 127.0.0.1:0"),
        ("admin", "admin: 127.0.0.1:0"),
    ] {
        let path = config(&format!("taken-{setting}"), "");
        let text = std::fs::read_to_string(&path).expect("the file");
        let name = default.split(':').next().unwrap_or_default();
        std::fs::write(&path, text.replace(default, &format!("{name}: {address}"))).expect("the file");
        let ran = run(&["serve", "--config", path.to_str().expect("UTF-8")]).expect(1);
        let message = format!("cannot listen on {address} (`{setting}`): Address already in use");
        assert!(ran.err.contains(&message), "{}", ran.err);
        assert_eq!(ran.out, "");
    }
}

#[test]
fn a_decision_log_that_cannot_be_written_keeps_it_from_starting() {
    let path = config("log-nowhere", "\ndecision_log: { file: /nowhere/at/all.jsonl }\n");
    let ran = run(&["serve", "--config", path.to_str().expect("UTF-8")]).expect(1);
    assert!(
        ran.err
            .contains("cannot open the decision log (`decision_log`): No such file"),
        "{}",
        ran.err
    );
}

#[test]
fn the_admin_address_is_another_one() {
    let server = Server::start("admin", "");
    assert_ne!(server.admin, server.envoy_grpc);
    assert!(server.admin.starts_with("127.0.0.1:"), "{}", server.admin);
}
