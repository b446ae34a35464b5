//! What operators do and what breaks, while a real Envoy asks without a pause: nobody who may pass is stopped by it, and nobody
//! who may not gets through.

use std::cell::Cell;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use bytes::Bytes;
use futures_util::future::{join, join_all};
use portcullis::ask::{self, Question};
use portcullis::demo::envoy::{EnvoyOptions, Replica};
use portcullis::demo::issuer::{Answer as KeyService, LocalIssuer};
use portcullis::demo::{http, people, stage};

use crate::house::{Front, TestHouse, until};
use crate::served::Served;
use crate::tls::papers::exchange;

/// A request with the status that it must have.
struct Row {
    target: &'static str,
    bearer: Option<String>,
    status: u16,
}

fn rows(issuer: &LocalIssuer) -> Vec<Row> {
    let row = |target, bearer, status| Row {
        target,
        bearer,
        status,
    };
    let alice = people::alice(issuer).bearer();
    vec![
        row("/public/hello", None, 200),
        row("/workspaces/ws-alice", Some(alice.clone()), 200),
        row("/workspaces/ws-bob", Some(alice), 403),
        row("/workspaces/ws-alice", None, 401),
        row(
            "/workspaces/ws-alice",
            Some(people::expired(issuer).bearer()),
            401,
        ),
    ]
}

async fn status(envoy: SocketAddr, row: &Row) -> u16 {
    asked(envoy, row).await.0
}

/// The status, and the decision that a denial names: Envoy's own denials name none.
async fn asked(envoy: SocketAddr, row: &Row) -> (u16, String) {
    let mut headers = vec![("host".to_owned(), "api.example.test".to_owned())];
    let bearer = row.bearer.iter();
    headers.extend(bearer.map(|bearer| ("authorization".to_owned(), bearer.clone())));
    let answer = http::send(envoy, "GET", row.target, &headers, Bytes::new()).await;
    let answer = answer.expect("an answer");
    let decision = answer.headers().get("x-portcullis-decision-id");
    let decision = decision.and_then(|id| id.to_str().ok()).unwrap_or_default();
    (answer.status().as_u16(), decision.to_owned())
}

/// Asks until it is over, several at a time; `right` says which statuses may be, and `told` what is known of a decision. How many
/// were asked.
async fn load(
    envoy: SocketAddr,
    rows: &[Row],
    over: &Cell<bool>,
    right: impl Fn(&Row, u16) -> bool,
    told: impl Fn(&str) -> String,
) -> usize {
    let asker = async || {
        let mut count = 0;
        while !over.get() {
            for row in rows {
                let (status, decision) = asked(envoy, row).await;
                assert!(
                    right(row, status),
                    "{} must be {} and is {status}: {}",
                    row.target,
                    row.status,
                    told(&decision)
                );
                count += 1;
            }
        }
        count
    };
    join_all((0..4).map(|_| asker())).await.iter().sum()
}

/// The record of a decision, and the end of the log.
fn told(served: &Served, decision: &str) -> String {
    let decisions = served.decisions();
    let record = decisions
        .lines()
        .find(|line| !decision.is_empty() && line.contains(decision));
    let log = served.log();
    let end: Vec<&str> = log.lines().rev().take(30).collect();
    format!("{}\n{}", record.unwrap_or("no record"), end.join("\n"))
}

fn kill(served: &Served, signal: &str) {
    let process = served.process().to_string();
    let killed = Command::new("kill").args([signal, &process]).status();
    assert!(killed.expect("kill is there").success());
}

async fn readyz(served: &Served) -> String {
    let answer = http::send(served.admin(), "GET", "/readyz?verbose", &[], Bytes::new()).await;
    String::from_utf8_lossy(answer.expect("an answer").body()).into_owned()
}

#[tokio::test]
async fn sigterm_of_one_of_two_servers_fails_no_request() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = stage::config_text(&issuer) + "\ngrace_seconds: 2\n";
    let (mut one, two) = (
        Served::start(&config, &[], &[]).await,
        Served::start(&config, &[], &[]).await,
    );
    let replica = |served: &Served| Replica {
        authz: served.grpc(),
        admin: served.admin(),
    };
    let replicas = vec![replica(&one), replica(&two)];
    let Some(front) = Front::start(one.grpc(), |options| EnvoyOptions { replicas, ..options }).await else {
        return;
    };
    let rows = rows(&issuer);
    let envoy = front.envoy.address();
    until("both are asked", async || {
        let before = [&one, &two].map(|served| served.decisions().lines().count());
        assert_eq!(status(envoy, &rows[0]).await, 200);
        before.iter().all(|count| *count > 0)
    })
    .await;
    let over = Cell::new(false);
    let stopping = async {
        let before = two.decisions().lines().count();
        kill(&one, "-TERM");
        until("it has ended", async || one.has_ended()).await;
        // The other one goes on alone.
        let then = two.decisions().lines().count();
        assert!(then > before, "nobody asked meanwhile");
        until("it goes on", async || two.decisions().lines().count() > then + 50).await;
        over.set(true);
    };
    let right = |row: &Row, status| row.status == status;
    let asking = load(envoy, &rows, &over, right, |id| told(&two, id));
    let (asked, ()) = join(asking, stopping).await;
    assert!(asked > 50, "{asked}");
    let log = one.log();
    assert!(
        log.contains("stopping: taking nothing new") && log.contains(" stopped"),
        "{log}"
    );
    assert!(!log.contains("connections were cut"), "it was drained: {log}");
}

#[tokio::test]
async fn kill_9_opens_nothing_and_a_new_server_goes_on() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = stage::config_text(&issuer);
    let mut served = Served::start(&config, &[], &[]).await;
    let Some(front) = Front::start(served.grpc(), |options| options).await else {
        return;
    };
    let (rows, envoy) = (rows(&issuer), front.envoy.address());
    let config = config.replace(
        "envoy_grpc: 127.0.0.1:0",
        &format!("envoy_grpc: {}", served.grpc()),
    );
    let over = Cell::new(false);
    // While nobody answers, Envoy says 403 to everybody.
    let right = |row: &Row, status: u16| status == row.status || status == 403;
    let killing = async {
        for _ in 0..2 {
            kill(&served, "-KILL");
            until("Envoy has noticed", async || status(envoy, &rows[0]).await == 403).await;
            until("it is gone", async || served.has_ended()).await;
            served = Served::start(&config, &[], &[]).await;
            until("all is as before", async || {
                let mut right = true;
                for row in &rows {
                    right &= status(envoy, row).await == row.status;
                }
                right
            })
            .await;
        }
        over.set(true);
    };
    let (asked, ()) = join(load(envoy, &rows, &over, right, |_| String::new()), killing).await;
    assert!(asked > 50, "{asked}");
    assert_eq!(
        front
            .envoy
            .stats("http.ingress.ext_authz.failure_mode_allowed")
            .await
            .expect("counters")
            .values()
            .sum::<u64>(),
        0
    );
}

#[tokio::test]
async fn neither_an_issuer_that_is_away_nor_broken_files_fail_a_request() {
    let mut issuer = LocalIssuer::start().await.expect("an issuer");
    let config = stage::config_text(&issuer).replace(
        "trust_roles: true",
        "trust_roles: true\n    min_refresh_interval_seconds: 1\n    refresh_seconds: 1",
    );
    let served = Served::start(&(config + "\nreload: { poll_seconds: 0 }\n"), &[], &[]).await;
    let Some(front) = Front::start(served.grpc(), |options| options).await else {
        return;
    };
    let (rows, envoy) = (rows(&issuer), front.envoy.address());
    let over = Cell::new(false);
    let breaking = async {
        for answer in [KeyService::Unavailable, KeyService::Never] {
            issuer.set_answer(answer);
            until("its keys were asked for in vain", async || {
                readyz(&served).await.contains("last fetch failed")
            })
            .await;
            issuer.set_answer(KeyService::Keys);
            until("they are there again", async || {
                !readyz(&served).await.contains("last fetch failed")
            })
            .await;
        }
        issuer.stop().await;
        until("it is away", async || {
            readyz(&served).await.contains("last fetch failed")
        })
        .await;
        for (file, text) in [
            ("public.cedar", "permit (principal, action,"),
            (
                "workspaces.cedar",
                "@id(\"x\") permit (principal is Usr, action, resource);",
            ),
            ("portcullis.yaml", "listen: ["),
        ] {
            let path = served.file(file);
            let good = fs::read_to_string(&path).expect("a file");
            exchange(&path, text);
            until("the refusal is told", async || {
                readyz(&served).await.contains("[-] reload: refused ")
            })
            .await;
            exchange(&path, &good);
            until("all is well", async || {
                readyz(&served).await.contains("[+] reload: ")
            })
            .await;
        }
        over.set(true);
    };
    let right = |row: &Row, status| row.status == status;
    let asking = load(envoy, &rows, &over, right, |id| told(&served, id));
    let (asked, ()) = join(asking, breaking).await;
    assert!(asked > 50, "{asked}");
}

/// The keys never come, so every token would have to wait for them.
#[tokio::test]
async fn more_checks_than_may_wait_are_denied_at_once() {
    let alter = |text: String| text + "\nlimits: { max_waiting: 2 }\n";
    let house = TestHouse::without_keys(KeyService::Never, alter).await;
    let bearer = people::alice(&house.issuer).bearer();
    let asked = (0..6).map(|_| {
        let question = Question {
            method: "GET".to_owned(),
            scheme: "https".to_owned(),
            host: "api.example.test".to_owned(),
            target: "/workspaces/ws-alice".to_owned(),
            headers: vec![("authorization".to_owned(), bearer.clone())],
        };
        let address = house.grpc().to_string();
        async move {
            ask::over_grpc(&address, question)
                .await
                .expect("an answer, never an error")
        }
    });
    let answers = join_all(asked).await;
    assert!(
        answers
            .iter()
            .all(|answer| !answer.allowed && answer.status >= 401),
        "{answers:?}"
    );
    let shed: Vec<_> = answers
        .iter()
        .filter(|answer| answer.reason == "overloaded")
        .collect();
    assert_eq!(shed.len(), 4, "{answers:?}");
    for answer in shed {
        assert_eq!(answer.status, 403);
        let record = house.record(&answer.decision_id);
        assert_eq!(record["why"], "2 checks wait already (`limits.max_waiting`)");
    }
    // Nobody else waits.
    assert!(house.ask("GET", "/public/hello", &[]).await.allowed);
}
