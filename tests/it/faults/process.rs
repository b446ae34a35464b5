//! What happens to the process: signals, descriptors, and those who are to take what it writes.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use futures_util::future::join_all;
use portcullis::ask::{self, Question};
use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::scratch::ScratchDir;
use portcullis::demo::{people, stage};
use prost::Message as _;
use proto::envoy::service::auth::v3::CheckRequest;
use proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tonic::transport::Endpoint;

use super::catalogue;
use crate::conformance::resets;
use crate::house::until;
use crate::metrics::Scrape;
use crate::served::Served;

fn question(target: &str, bearer: Option<&str>) -> Question {
    let headers = bearer.map(|bearer| ("authorization".to_owned(), bearer.to_owned()));
    Question {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        host: "api.example.test".to_owned(),
        target: target.to_owned(),
        headers: headers.into_iter().collect(),
    }
}

async fn allowed(served: &Served, target: &str, bearer: Option<&str>) -> bool {
    let answer = ask::over_grpc(&served.grpc().to_string(), question(target, bearer)).await;
    answer.expect("an answer").allowed
}

/// Good and bad questions have the answers that they should have.
async fn answers_rightly(served: &Served, issuer: &LocalIssuer) {
    let alice = people::alice(issuer).bearer();
    assert!(allowed(served, "/workspaces/ws-alice", Some(&alice)).await);
    assert!(!allowed(served, "/workspaces/ws-bob", Some(&alice)).await);
    assert!(!allowed(served, "/workspaces/ws-alice", None).await);
}

fn kill(served: &Served) {
    let process = served.process().to_string();
    let killed = Command::new("kill").args(["-TERM", &process]).status();
    assert!(killed.expect("kill is there").success());
}

#[tokio::test]
async fn sigterm_ends_it_whatever_clients_do() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = stage::config_text(&issuer) + "\ndrain_seconds: 1\n";
    for (id, clients) in [("sig-term-idle", 0), ("sig-term-stuck", 20)] {
        catalogue::known(id);
        let mut served = Served::start(&config, &[], &[]).await;
        let mut stuck = Vec::new();
        for _ in 0..clients {
            // A call without its message, and nobody who would read an answer.
            let mut stream = TcpStream::connect(served.grpc()).await.expect("a connection");
            let begun = resets::frame(resets::HEADERS, resets::END_HEADERS, 1, &resets::call());
            let all = [
                resets::PREFACE,
                &resets::frame(resets::SETTINGS, 0, 0, &[]),
                &begun,
            ]
            .concat();
            stream.write_all(&all).await.expect("sent");
            stuck.push(stream);
        }
        answers_rightly(&served, &issuer).await;
        kill(&served);
        until("it has ended", async || served.has_ended()).await;
        assert_eq!(served.exit_code(), Some(0), "{id}: {}", served.log());
        let cut = served.log().contains("connections were cut");
        assert_eq!(cut, clients > 0, "{id}: {}", served.log());
    }
}

#[tokio::test]
async fn a_second_sigterm_waits_for_nobody() {
    catalogue::known("sig-term-twice");
    let issuer = LocalIssuer::start().await.expect("an issuer");
    // Longer than anybody here waits.
    let config = stage::config_text(&issuer) + "\ngrace_seconds: 3600\n";
    let mut served = Served::start(&config, &[], &[]).await;
    kill(&served);
    until("it is stopping", async || {
        served.log().contains("stopping: taking nothing new")
    })
    .await;
    assert!(!served.has_ended(), "{}", served.log());
    answers_rightly(&served, &issuer).await;
    kill(&served);
    until("it has ended", async || served.has_ended()).await;
    // 1; here the harness of tests is around it and makes that 101.
    assert!(
        served.exit_code().is_some_and(|code| code != 0),
        "{}",
        served.log()
    );
    assert!(served.log().contains("told to stop twice"), "{}", served.log());
}

/// Who is to take what the server writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// A disk without room.
    FullDisk,
    /// Somebody who reads nothing.
    Asleep,
    /// Somebody who leaves.
    Gone,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_down_keeps_no_answer_back() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let folder = ScratchDir::new("readers").expect("a directory");
    for (id, reader, sink) in [
        ("disk-full-run", Reader::FullDisk, "file"),
        ("log-slow", Reader::Asleep, "queue"),
        ("sig-pipe", Reader::Gone, "stdout"),
    ] {
        catalogue::known(id);
        let pipe: PathBuf = folder.path().join(id);
        let made = Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo is there").success());
        let opened = pipe.clone();
        // Waits until the server has opened the other end.
        let end = tokio::task::spawn_blocking(move || File::open(opened).expect("a pipe"));
        let log = match reader {
            Reader::FullDisk => "{ file: /dev/full }",
            Reader::Asleep | Reader::Gone => "stdout",
        };
        let config = stage::config_text(&issuer) + &format!("\ndecision_log: {log}\ndrain_seconds: 1\n");
        let shell = format!("exec \"$@\" > {}", pipe.display());
        let quiet = [("RUST_LOG", "info")];
        let mut served = Served::start_by(&shell, &config, &[], &quiet).await;
        let end = end.await.expect("a pipe");
        let end = (reader != Reader::Gone).then_some(end);
        // More than finds room in any queue: 16 MiB, and what is in the pipe.
        let channel = Endpoint::from_shared(format!("http://{}", served.grpc())).expect("an address");
        let channel = channel.connect().await.expect("a connection");
        let long = format!("/public/{}", "x".repeat(7000));
        let asking = (0..16).map(|_| {
            let (mut client, long) = (AuthorizationClient::new(channel.clone()), long.clone());
            async move {
                for _ in 0..250 {
                    let check = CheckRequest::decode(question(&long, None).encode().as_slice());
                    let answer = client.check(check.expect("a check")).await.expect("an answer");
                    assert_eq!(answer.into_inner().status.expect("a status").code, 0);
                }
            }
        });
        join_all(asking).await;
        answers_rightly(&served, &issuer).await;
        until(&format!("{id}: what is lost is counted"), async || {
            let scrape = Scrape::of(served.admin()).await;
            let mut series = scrape.series.iter();
            series.any(|(name, labels, lost)| {
                name == "portcullis_decision_records_dropped_total"
                    && labels.get("sink").is_some_and(|label| label == sink)
                    && *lost > 0.0
            })
        })
        .await;
        let lines = served.log().lines().count();
        assert!(lines < 200, "{id}: {lines} lines say so");
        kill(&served);
        if reader == Reader::Asleep {
            until("it does not wait for its reader", async || {
                served.log().contains("takes nothing more")
            })
            .await;
        }
        let end = end.map(|mut end| {
            // The server is a test itself, and says at its end how it went: into this pipe.
            tokio::task::spawn_blocking(move || std::io::copy(&mut end, &mut std::io::sink()))
        });
        until(&format!("{id}: it has ended"), async || served.has_ended()).await;
        assert!(served.log().contains("serve: stopped"), "{id}: {}", served.log());
        // Where nobody reads, the test that the server is fails after it.
        if reader != Reader::Gone {
            assert_eq!(served.exit_code(), Some(0), "{id}: {}", served.log());
        }
        drop(end);
    }
}

#[tokio::test]
async fn without_descriptors_the_others_are_answered_and_it_heals() {
    catalogue::known("fd-exhaust");
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let served = Served::start(&stage::config_text(&issuer), &[], &[("RUST_LOG", "info")]).await;
    let channel = Endpoint::from_shared(format!("http://{}", served.grpc())).expect("an address");
    let mut client = AuthorizationClient::new(channel.connect().await.expect("a connection"));
    let open = || {
        let folder = format!("/proc/{}/fd", served.process());
        std::fs::read_dir(folder).expect("its descriptors").count()
    };
    let most = open() + 20;
    let limited = Command::new("prlimit")
        .args([
            "--pid",
            &served.process().to_string(),
            &format!("--nofile={most}:{most}"),
        ])
        .status();
    assert!(limited.expect("prlimit is there").success());
    let mut crowd = Vec::new();
    // Few enough that the kernel keeps those that are not taken.
    for _ in 0..100 {
        crowd.push(
            TcpStream::connect(served.grpc())
                .await
                .expect("the system takes it"),
        );
    }
    until("no descriptor is left", async || open() >= most - 1).await;
    for _ in 0..50 {
        let check = CheckRequest::decode(question("/public/hello", None).encode().as_slice());
        let answer = client.check(check.expect("a check")).await.expect("an answer");
        assert_eq!(answer.into_inner().status.expect("a status").code, 0);
    }
    let lines = served.log().lines().count();
    drop(crowd);
    until("there are descriptors again", async || open() < most - 10).await;
    answers_rightly(&served, &issuer).await;
    assert!(lines < 200, "{lines} lines say so");
}
