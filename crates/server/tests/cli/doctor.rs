//! `portcullis doctor`: what is wrong around the server is found, and what is right is not complained about.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use crate::serving::{Server, config};
use crate::{Ran, portcullis};

/// A configuration with an issuer at that place.
fn with_issuer(name: &str, issuer: &str) -> PathBuf {
    config(
        name,
        &format!("\nissuers:\n  - {{ name: main, issuer: \"{issuer}\", audiences: [a] }}\n"),
    )
}

fn examine(config: &std::path::Path, more: &[&str]) -> Ran {
    let mut command = portcullis(&["doctor", "--config"]);
    Ran::of(
        &command
            .arg(config)
            .args(more)
            .output()
            .expect("the binary starts"),
    )
}

/// Something that answers every request with 404 and this time.
fn clock(time: SystemTime) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let time = jiff::Timestamp::try_from(time).expect("a time");
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time);
    let answer = format!(
        "HTTP/1.1 404 Not Found\r\ndate: {}\r\ncontent-length: 0\r\n\r\n",
        date.expect("a date")
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.expect("a connection"), answer.clone());
            std::thread::spawn(move || {
                let read = BufReader::new(stream.try_clone().expect("the stream"));
                for line in read.lines().map_while(Result::ok) {
                    if line.is_empty() && stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    format!("http://{address}")
}

#[test]
fn a_running_server_is_found_and_tells_what_it_was_asked() {
    let server = Server::start("doctor-running", "");
    server.check("GET", "/public/hello").expect(0);
    let file = config("doctor-running-again", "");
    let flags = [
        "--admin",
        &server.admin,
        "--listen-envoy-grpc",
        &server.envoy_grpc,
    ];
    let ran = examine(&file, &flags).expect(0);
    for line in [
        "[+] configuration: valid: policies: 7, routes: 6, version: ".to_owned(),
        "[!] issuers: there are none".to_owned(),
        format!("[+] admin: a server answers at {}, and is ready", server.admin),
        format!(
            "[+] listen.envoy_grpc: {} is taken, and a server runs here",
            server.envoy_grpc
        ),
        "[+] proxy by envoy_grpc: checks since the server started: 1, denied: 0".to_owned(),
        "0 wrong, 1 to be looked at".to_owned(),
    ] {
        assert!(ran.out.contains(&line), "no {line:?}:\n{}", ran.out);
    }
    let ran = examine(&file, &[&flags[..], &["-o", "json"]].concat()).expect(0);
    let told: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(told["good"], true);
    assert_eq!(told["findings"][0]["about"], "configuration");
    server.terminate().expect(0);
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken
        .local_addr()
        .map(|address| (address.to_string(), taken))
        .expect("an address");
    let ahead = clock(SystemTime::now() + Duration::from_secs(600));
    let nobody = {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", free.local_addr().expect("an address"))
    };
    let quiet = config("doctor-quiet", "");
    let log = config("doctor-log", "\ndecision_log: { file: /nowhere/at/all.jsonl }\n");
    let store = config(
        "doctor-store",
        &format!(
            "\nauthority: {{ issuer: 'https://gate.example.test', listen: '127.0.0.1:0', store: 'postgres://p:s3cret@{}/x' }}\n",
            nobody.trim_start_matches("http://")
        ),
    );
    for (file, more, code, lines) in [
        (
            with_issuer("doctor-nobody", &nobody),
            vec![],
            1,
            vec![
                "[-] issuer main: ",
                "its tokens are refused until its keys can be had",
            ],
        ),
        (
            with_issuer("doctor-ahead", &ahead),
            vec![],
            1,
            vec![
                "[-] clock of main: ",
                " s ahead of ours",
                "`leeway_seconds` is 30",
                "answered 404",
            ],
        ),
        (
            quiet.clone(),
            vec!["--listen-envoy-grpc", &taken.0],
            1,
            vec!["[-] listen.envoy_grpc: ", " is taken by another program"],
        ),
        (
            quiet.clone(),
            vec!["--admin", &taken.0],
            1,
            vec!["[-] admin: ", " is taken, and no Portcullis answers there"],
        ),
        (
            quiet.clone(),
            vec!["--listen-envoy-grpc", "0.0.0.0:0"],
            0,
            vec![
                "[!] listen.envoy_grpc: whoever reaches 0.0.0.0:0 can ask",
                "[!] proxy: no server runs here",
            ],
        ),
        (
            log,
            vec![],
            1,
            vec!["[-] decision_log: /nowhere/at/all.jsonl cannot be written"],
        ),
        (
            store,
            vec![],
            1,
            vec![
                "[-] authority.store: PostgreSQL at 127.0.0.1:",
                "until it answers every credential is refused",
            ],
        ),
        (
            quiet,
            vec!["--listen", "1"],
            0,
            vec!["[!] proxy: nobody asked within 1 s"],
        ),
    ] {
        let ran = examine(&file, &more).expect(code);
        for line in lines {
            assert!(ran.out.contains(line), "{more:?}: no {line:?}:\n{}", ran.out);
        }
        assert!(!ran.out.contains("s3cret"), "{}", ran.out);
    }
}

#[test]
fn what_a_proxy_sends_is_told() {
    let address = {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("an address").to_string()
    };
    let doctor = portcullis(&[
        "doctor",
        "--listen",
        "4",
        "--listen-envoy-grpc",
        &address,
        "--config",
    ])
    .arg(config("doctor-listens", ""))
    .stdout(Stdio::piped())
    .spawn()
    .expect("the binary starts");
    let target = "https://api.example.test/public/x";
    let forwarded = "x-forwarded-for: 10.0.0.1, 10.0.0.2";
    let answered = (0..200).any(|_| {
        let ask = ["check", "--server", &address, "GET", target, "-H", forwarded];
        portcullis(&ask)
            .output()
            .expect("the binary starts")
            .status
            .success()
    });
    assert!(answered, "nobody answers at {address}");
    let ran = Ran::of(&doctor.wait_with_output().expect("it ends")).expect(0);
    for line in [
        "[+] proxy by envoy_grpc: checks within 4 s: 1, denied: 0",
        "it sends schemes: https; hosts: api.example.test;",
        "X-Forwarded-For has up to 2 addresses, and trusted_hops is 0",
        "no check had a credential",
    ] {
        assert!(ran.out.contains(line), "no {line:?}:\n{}", ran.out);
    }
}

#[test]
fn a_log_that_cannot_be_moved_away_is_doubtful() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let there = folder.join("doctor-moved.jsonl");
    let doubt = "cannot be moved away when it is full: nothing can be moved in /proc/self";
    for (decision_log, expected) in [
        // A regular file in a folder where nobody, whoever it is, can make one.
        ("{ file: /proc/self/comm }".to_owned(), Some(doubt)),
        ("{ file: /proc/self/comm, rotate_bytes: 0 }".to_owned(), None),
        ("{ file: /dev/null }".to_owned(), None),
        (format!("{{ file: \"{}\" }}", there.display()), None),
    ] {
        let file = config("doctor-moved", &format!("\ndecision_log: {decision_log}\n"));
        let told = examine(&file, &[]).out;
        match expected {
            Some(doubt) => assert!(told.contains(doubt), "{decision_log}: {told}"),
            None => assert!(!told.contains("moved away"), "{decision_log}: {told}"),
        }
    }
}
