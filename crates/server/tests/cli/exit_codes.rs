//! Exit codes mean something: one row for each meaning of each verb that has it.

use std::fs::File;
use std::net::TcpListener;
use std::process::Stdio;

use crate::{Ran, portcullis, root};

const DEFAULT: &str = "policies/default/portcullis.yaml";
const BROKEN: &str = "crates/server/tests/cli/broken/dead-forbid.yaml";

/// A copy of the default pack whose tests are wrong.
fn failing_pack() -> String {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("failing-pack");
    let _ = std::fs::remove_dir_all(&folder);
    let shown = folder.display().to_string();
    crate::run(&["init", "--pack", "default", &shown]).expect(0);
    let suite = folder.join("tests/wrong.yaml");
    let text = "tests:\n  - { id: wrong, as: anonymous, request: GET /workspaces, expect: allow }\n";
    std::fs::write(suite, text).expect("a file");
    shown
}

#[test]
fn each_code_means_what_it_says() {
    let pack = failing_pack();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    let nobody = {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("an address").to_string()
    };
    let public = "https://api.example.test/public/x";
    let private = "https://api.example.test/workspaces/ws-alice";
    for (code, words) in [
        (0, &["version"][..]),
        (0, &["validate", "--config", DEFAULT]),
        (0, &["check", "--config", DEFAULT, "GET", public]),
        (0, &["config", "show", "--config", DEFAULT]),
        (0, &["test", "policies/default"]),
        (0, &["lint", "policies/default"]),
        (0, &["matrix", "policies/default", "-o", "json"]),
        (1, &["healthcheck", "--address", &nobody]),
        (1, &["keys", "list", "--server", &format!("http://{nobody}")]),
        (
            1,
            &[
                "serve",
                "--config",
                DEFAULT,
                "--admin",
                &taken,
                "--listen-envoy-grpc",
                "127.0.0.1:0",
            ],
        ),
        (1, &["man", "/dev/null/pages"]),
        (2, &["check", "--config", DEFAULT, "--as", "nobody"]),
        (2, &["serve", "--config", DEFAULT, "--threads", "many"]),
        (2, &["serve", "--config", DEFAULT, "--log", "decide=loud"]),
        (2, &["validate", "--output", "yaml"]),
        (2, &["completions", "dos"]),
        (2, &["doctor", "--listen", "0"]),
        (3, &["check", "--config", DEFAULT, "GET", private]),
        (3, &["check", "--config", DEFAULT, "-o", "json", "GET", private]),
        (4, &["validate", "--config", BROKEN]),
        (4, &["validate", "--config", BROKEN, "-o", "json"]),
        (4, &["check", "--config", BROKEN, "GET", public]),
        (4, &["serve", "--config", BROKEN]),
        (
            4,
            &[
                "config",
                "show",
                "--config",
                "crates/server/tests/cli/broken/unknown-keys.yaml",
            ],
        ),
        (4, &["doctor", "--config", BROKEN]),
        (4, &["test", "crates/server/tests/cli/broken/tls"]),
        (4, &["lint", "--config", BROKEN]),
        (4, &["matrix", "docs"]),
        (5, &["test", &pack]),
    ] {
        let ran = Ran::of(&portcullis(words).output().expect("the binary starts"));
        assert_eq!(
            ran.code,
            Some(code),
            "{words:?}\nstdout:\n{}\nstderr:\n{}",
            ran.out,
            ran.err
        );
    }
}

#[test]
fn problems_are_told_to_programs_too() {
    for (words, file) in [
        (
            &["validate", "--config", BROKEN, "-o", "json"][..],
            "dead-forbid.cedar",
        ),
        (
            &[
                "check",
                "--config",
                BROKEN,
                "-o",
                "json",
                "GET",
                "https://a.test/x",
            ],
            "dead-forbid.cedar",
        ),
        (
            &["token", "inspect", "--config", BROKEN, "-o", "json"],
            "dead-forbid.cedar",
        ),
        (&["doctor", "--config", BROKEN, "-o", "json"], "dead-forbid.cedar"),
        (&["lint", "--config", BROKEN, "-o", "json"], "dead-forbid.cedar"),
        (
            &[
                "config",
                "show",
                "--config",
                "crates/server/tests/cli/broken/unknown-keys.yaml",
                "-o",
                "json",
            ],
            "unknown-keys.yaml",
        ),
        (&["matrix", "docs", "-o", "json"], ""),
        (&["test", "docs", "-o", "json"], ""),
    ] {
        let ran = Ran::of(&portcullis(words).output().expect("the binary starts")).expect(4);
        assert_eq!(ran.err, "", "{words:?}");
        let told: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
        assert_eq!(told["valid"], false, "{words:?}");
        let first = &told["problems"][0];
        assert_eq!(first["severity"], "error", "{words:?}: {first}");
        assert!(
            !first["message"].as_str().unwrap_or_default().is_empty(),
            "{words:?}"
        );
        assert!(
            first["file"].as_str().unwrap_or_default().ends_with(file),
            "{words:?}: {first}"
        );
        for place in ["line", "column"] {
            assert!(
                first[place].as_u64().is_some_and(|number| number > 0),
                "{words:?}: {first}"
            );
        }
    }
    let ran = crate::run(&["validate", "--config", DEFAULT, "-o", "json"]).expect(0);
    let told: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((&told["valid"], &told["policies"]), (&true.into(), &7.into()));
    assert!(
        told["routes"].as_array().is_some_and(|routes| routes.len() == 6),
        "{told}"
    );
}

#[test]
fn the_environment_says_settings_and_whatever_else_is_refused() {
    for (name, value, code, told) in [
        (
            "PORTCULLIS_ADMIN",
            "127.0.0.1:7",
            0,
            "admin: \"127.0.0.1:7\" # PORTCULLIS_ADMIN",
        ),
        (
            "PORTCULLIS_LISTEN_ENVOY_GRPC",
            "[::]:8",
            0,
            "envoy_grpc: \"[::]:8\" # PORTCULLIS_LISTEN_ENVOY_GRPC",
        ),
        ("PORTCULLIS_THREADS", "3", 0, "threads: 3 # PORTCULLIS_THREADS"),
        ("PORTCULLIS_CONFIG", DEFAULT, 0, "drain_seconds: 10 # default"),
        (
            "PORTCULLIS_PORT_9191_TCP_ADDR",
            "10.0.0.1",
            0,
            "drain_seconds: 10 # default",
        ),
        (
            "PORTCULLIS_THREADS",
            "many",
            4,
            "this should be a whole number, and is text",
        ),
        (
            "PORTCULLIS_ADMIN",
            "here",
            4,
            "\"here\" is no address to listen on",
        ),
        ("PORTCULLIS_ADMN", "s3cret", 4, "did you mean `PORTCULLIS_ADMIN`?"),
    ] {
        let mut command = portcullis(&["config", "show", "--origin"]);
        command
            .env("PORTCULLIS_CONFIG", root().join(DEFAULT))
            .env(name, value);
        let ran = Ran::of(&command.output().expect("the binary starts")).expect(code);
        let text = if code == 0 { &ran.out } else { &ran.err };
        let lines = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        let whole = lines.collect::<Vec<_>>().join("\n");
        assert!(whole.contains(told), "{name}={value}: no {told:?}\n{text}");
        assert!(code == 0 || whole.contains("[environment:1:1]"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
    let mut command = portcullis(&[
        "config",
        "show",
        "--origin",
        "-o",
        "json",
        "--admin",
        "127.0.0.1:1",
        "-c",
        DEFAULT,
    ]);
    let ran = Ran::of(
        &command
            .env("PORTCULLIS_ADMIN", "127.0.0.1:2")
            .output()
            .expect("it starts"),
    )
    .expect(0);
    let rows: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let rows = rows.as_array().expect("a list");
    let row = rows.iter().find(|row| row["setting"] == "admin").expect("a row");
    assert_eq!(row["value"], "127.0.0.1:1");
    assert_eq!(
        row["origin"],
        serde_json::json!({ "from": "flag", "flag": "--admin" })
    );
}

/// The end of a pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn output_that_nobody_reads_changes_no_code_and_a_full_disk_is_a_failure() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("/dev/full"));
    for (words, code) in [
        (&["version"][..], 0),
        (&["matrix", "policies/default"], 0),
        (&["config", "schema"], 0),
        (&["validate", "--config", BROKEN], 4),
        (&["validate", "--config", BROKEN, "-o", "json"], 4),
        (&["serve", "--config", BROKEN], 4),
        (&["init", "--pack", "nothing"], 2),
        (&["healthcheck", "--address", "127.0.0.1:1"], 1),
    ] {
        let ended = portcullis(words)
            .stdout(unread())
            .stderr(unread())
            .status()
            .expect("the binary starts");
        assert_eq!(ended.code(), Some(code), "{words:?}");
        let prints = code == 0 || words.contains(&"json");
        if prints {
            let ran = portcullis(words)
                .stdout(full())
                .output()
                .expect("the binary starts");
            let ran = Ran::of(&ran).expect(1);
            assert!(
                ran.err.contains("cannot write to standard output: No space left"),
                "{words:?}: {}",
                ran.err
            );
        }
    }
}
