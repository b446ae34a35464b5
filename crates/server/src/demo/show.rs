//! The demo itself: start everything, ask every row, print the table, stay.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json};

use super::echo::{Echo, Seen};
use super::envoy::{Envoy, EnvoyError, EnvoyOptions};
use super::issuer::{LocalIssuer, now};
use super::rows::{self, Row};
use super::tools::ToolError;
use super::{http, people, stage};
use crate::ask::{self, Question};
use crate::cli::{exit, say, tell};
use crate::decision_log::Memory;
use crate::house::House;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A line on standard output, where nobody may read any more (`| head`).
macro_rules! line {
    ($($text:tt)*) => {
        say(&format!("{}\n", format_args!($($text)*)))
    };
}

/// What happens after the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// End.
    Exit,
    /// Stay up until Ctrl-C.
    Stay,
}

/// How the rows are asked.
enum Way {
    /// Through a real Envoy.
    Envoy(Box<Envoy>),
    /// Directly over gRPC, because Envoy cannot be had.
    Grpc(SocketAddr),
}

/// What came of a row.
struct Outcome {
    status: u16,
    why: String,
    microseconds: Option<f64>,
    faults: Vec<String>,
}

pub(super) fn run(after: After) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(crate::stack::ANSWERING)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(&format!("no runtime: {error}"));
            return exit::FAILURE;
        }
    };
    match runtime.block_on(demo(after)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(wrong) => {
            tell(&format!("{wrong} rows are not what they must be"));
            exit::FAILURE
        }
        Err(error) => {
            tell(&format!("the demo cannot go on: {error}"));
            exit::FAILURE
        }
    }
}

async fn demo(after: After) -> Result<usize> {
    let started = Instant::now();
    let step = |text: &str| line!("{:6.2} s  {text}", started.elapsed().as_secs_f64());
    step("portcullis demo: a local issuer, the default policies, a real Envoy");
    let issuer = LocalIssuer::start().await?;
    step(&format!(
        "issuer       {}/.well-known/openid-configuration",
        issuer.issuer()
    ));
    let memory = Memory::default();
    let loaded = stage::load(&issuer).map_err(|invalid| invalid.to_string())?;
    let house = House::start(&loaded.config, loaded.rules, Box::new(memory.clone())).await?;
    step(&format!(
        "portcullis   {} (ext_authz over gRPC), admin http://{}",
        house.envoy_grpc(),
        house.admin()
    ));
    wait_until_ready(house.admin()).await?;
    let echo = Echo::start().await?;
    step(&format!(
        "upstream     http://{} (answers with what it was sent)",
        echo.address()
    ));
    let way = match start_envoy(&echo, &house, started).await {
        Ok(envoy) => {
            step(&format!("envoy        http://{}", envoy.address()));
            Way::Envoy(Box::new(envoy))
        }
        Err(EnvoyError::Tool(error)) if !matches!(error, ToolError::Write { .. }) => {
            step(&format!("no Envoy:    {error}"));
            step("             the same rows, asked directly over gRPC");
            Way::Grpc(house.envoy_grpc())
        }
        Err(error) => return Err(error.into()),
    };
    line!("");
    let rows = rows::all(&issuer)?;
    let wrong = table(&rows, &way, &echo, &memory).await?;
    if after == After::Stay {
        invite(&way, &house, &issuer);
        tokio::signal::ctrl_c().await?;
    }
    house.stop().await;
    Ok(wrong)
}

async fn start_envoy(echo: &Echo, house: &House, started: Instant) -> std::result::Result<Envoy, EnvoyError> {
    Envoy::install(move |line| line!("{:6.2} s  {line}", started.elapsed().as_secs_f64())).await?;
    Envoy::start(&EnvoyOptions::new(echo.address(), house.envoy_grpc())).await
}

/// Waits until `/readyz` says so.
async fn wait_until_ready(admin: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let answer = http::send(admin, "GET", "/readyz?verbose", &[], Bytes::new()).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!(
                "not ready after 10 s:\n{}",
                String::from_utf8_lossy(answer.body())
            )
            .into());
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Asks every row and prints the table; how many rows are wrong.
async fn table(rows: &[Row], way: &Way, echo: &Echo, memory: &Memory) -> Result<usize> {
    line!(
        "{:17} {:6}  {:38} {:6} {:>6} {:>7}  why",
        "who",
        "method",
        "path",
        "answer",
        "status",
        "us"
    );
    let mut wrong = 0;
    for row in rows {
        let outcome = match way {
            Way::Envoy(envoy) => through_envoy(row, envoy, echo, memory).await?,
            Way::Grpc(server) => over_grpc(row, *server, memory).await?,
        };
        line!(
            "{:17} {:6}  {:38} {:6} {:>6} {:>7}  {}",
            row.who,
            row.method,
            row.path,
            if outcome.status < 300 { "allow" } else { "deny" },
            outcome.status,
            outcome
                .microseconds
                .map_or_else(String::new, |us| format!("{us:.0}")),
            outcome.why,
        );
        for fault in &outcome.faults {
            line!("{:17} ^ WRONG: {fault}", "");
        }
        wrong += usize::from(!outcome.faults.is_empty());
    }
    line!(
        "\n{} rows, {} as they must be; us: microseconds from check to decision",
        rows.len(),
        rows.len() - wrong
    );
    Ok(wrong)
}

async fn through_envoy(row: &Row, envoy: &Envoy, echo: &Echo, memory: &Memory) -> Result<Outcome> {
    let reached = echo.requests();
    let mut headers = row.request_headers();
    headers.push(("host".to_owned(), "api.example.test".to_owned()));
    let response = http::send(envoy.address(), row.method, row.path, &headers, Bytes::new()).await?;
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let mut faults = Vec::new();
    let decision_id = if status == 200 {
        let seen: Seen = serde_json::from_slice(response.body())?;
        faults.extend(identity_faults(row, &seen.headers));
        seen.headers
            .get(model::DECISION_ID_HEADER)
            .and_then(|ids| ids.first())
            .cloned()
    } else {
        if echo.requests() != reached {
            faults.push("the upstream was reached".to_owned());
        }
        header(model::DECISION_ID_HEADER).map(str::to_owned)
    };
    Ok(outcome(
        row,
        status,
        decision_id.as_deref(),
        header("www-authenticate"),
        faults,
        memory,
    ))
}

async fn over_grpc(row: &Row, server: SocketAddr, memory: &Memory) -> Result<Outcome> {
    let question = Question {
        method: row.method.to_owned(),
        scheme: "http".to_owned(),
        host: "api.example.test".to_owned(),
        target: row.path.to_owned(),
        headers: row.request_headers(),
    };
    // What an upstream would see: the client's headers, with what the answer sets and removes.
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &question.headers {
        seen.entry(name.clone()).or_default().push(value.clone());
    }
    let answer = ask::over_grpc(&server.to_string(), question).await?;
    let mut faults = Vec::new();
    if answer.allowed {
        for (name, value) in &answer.headers {
            seen.insert(name.clone(), vec![value.clone()]);
        }
        seen.retain(|name, _| !answer.removed.contains(name));
        faults.extend(identity_faults(row, &seen));
    }
    let challenge = answer
        .headers
        .iter()
        .find(|(name, _)| name == "www-authenticate")
        .map(|(_, value)| value.as_str());
    Ok(outcome(
        row,
        answer.status,
        Some(&answer.decision_id),
        challenge,
        faults,
        memory,
    ))
}

/// The identity headers that reached the upstream must be ours, whatever the client sent.
fn identity_faults(row: &Row, seen: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let values = |name: &str| {
        seen.get(name)
            .map(|values| values.join(" and "))
            .unwrap_or_default()
    };
    let mut faults = Vec::new();
    for (name, expected) in [("x-auth-subject", row.subject), ("x_auth_subject", "")] {
        let got = values(name);
        if got != expected {
            faults.push(format!("the upstream saw {name}: {got:?}, not {expected:?}"));
        }
    }
    if row.subject.is_empty() && values("x-auth-type") != "Anonymous" {
        faults.push(format!(
            "the upstream saw x-auth-type: {:?}",
            values("x-auth-type")
        ));
    }
    faults
}

fn outcome(
    row: &Row,
    status: u16,
    decision_id: Option<&str>,
    challenge: Option<&str>,
    mut faults: Vec<String>,
    memory: &Memory,
) -> Outcome {
    let record = decision_id.and_then(|id| memory.find(id)).unwrap_or(Value::Null);
    if status != row.status {
        faults.push(format!("the status must be {}", row.status));
    }
    if (status == 401) != challenge.is_some_and(|challenge| challenge.starts_with("Bearer")) {
        faults.push(format!("WWW-Authenticate is {challenge:?}"));
    }
    if record.is_null() {
        faults.push(format!("no record of the decision {decision_id:?}"));
    }
    Outcome {
        status,
        why: record["why"].as_str().unwrap_or_default().to_owned(),
        microseconds: record["microseconds"].as_f64(),
        faults,
    }
}

/// What to try next, ready to paste.
fn invite(way: &Way, house: &House, issuer: &LocalIssuer) {
    let for_today = |mut claims: Value| {
        claims["exp"] = json!(now() + 12 * 3600);
        issuer.token(claims)
    };
    line!("\nTokens for the next twelve hours:\n");
    for (name, claims) in [
        ("ALICE", people::alice_claims()),
        ("ADMIN", people::admin_claims()),
        ("ROBOT", people::robot_claims()),
        ("CLIENT", people::client_claims()),
    ] {
        line!("{name}={}", for_today(claims));
    }
    line!("\nTry:\n");
    if let Way::Envoy(envoy) = way {
        let url = format!("http://{}", envoy.address());
        line!(
            "curl -i -H \"authorization: Bearer $ALICE\" {url}/workspaces/ws-alice       # 200, and what the upstream saw"
        );
        line!("curl -i -H \"authorization: Bearer $ALICE\" {url}/workspaces/ws-bob         # 403");
        line!("curl -i -H \"authorization: Bearer $ROBOT\" {url}/workspaces/ws-alice/credentials");
        line!("curl -i {url}/workspaces/ws-alice                                          # 401");
    }
    let portcullis =
        std::env::current_exe().map_or_else(|_| "portcullis".to_owned(), |path| path.display().to_string());
    line!(
        "{portcullis} check --server {} -H \"authorization: Bearer $ALICE\" DELETE http://api.example.test/workspaces/ws-alice",
        house.envoy_grpc()
    );
    line!("curl 'http://{}/readyz?verbose'", house.admin());
    line!("curl http://{}/metrics", house.admin());
    line!(
        "\nThe rules are in policies/default: change one, run the demo again, and see the table change.\n\
         Ctrl-C ends the demo and everything it started."
    );
}
