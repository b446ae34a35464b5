//! The admin listener: `/livez`, `/readyz`, `/shadow` and `grpc.health.v1`, for probes and operators, never for proxies' clients.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use decide::Pipeline;
use decide::shadow::ShadowReport;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::listen::Stop;

/// The service name that `grpc.health.v1` knows besides the empty one.
pub const SERVICE: &str = "envoy.service.auth.v3.Authorization";
/// How often readiness is looked at for `grpc.health.v1` watchers.
const LOOK: Duration = Duration::from_millis(100);

/// What readiness depends on.
#[derive(Clone)]
struct Readiness {
    pipeline: Arc<Pipeline>,
    stop: watch::Receiver<Stop>,
}

impl Readiness {
    /// Each condition: whether it holds, and a line about it.
    fn conditions(&self) -> Vec<(bool, String)> {
        let live = self.pipeline.live();
        let rules = live.rules();
        let mut conditions = vec![(
            true,
            format!(
                "policies: {} loaded, {} routes, version {}",
                rules.policies().count(),
                rules.routes().routes().len(),
                rules.version()
            ),
        )];
        if let Some(report) = self.pipeline.shadow_report() {
            conditions.push((
                true,
                format!(
                    "shadow: candidate {}, {} decisions compared, {} differ",
                    report.candidate_version,
                    report.compared,
                    report.newly_denied + report.newly_allowed + report.otherwise_denied
                ),
            ));
        }
        for issuer in live.issuers() {
            let age = issuer.age.map_or_else(
                || "never fetched".to_owned(),
                |age| format!("{} s old", age.as_secs()),
            );
            let failure = issuer
                .last_failure
                .map(|failure| format!("; last fetch failed: {failure}"));
            let line = format!(
                "issuer {}: {} keys, {age}{}",
                issuer.name,
                issuer.keys,
                failure.unwrap_or_default()
            );
            conditions.push((issuer.ready, line));
        }
        let draining = *self.stop.borrow() != Stop::No;
        conditions.push((
            !draining,
            if draining { "shutting down" } else { "accepting" }.to_owned(),
        ));
        conditions
    }

    fn ready(&self) -> bool {
        self.conditions().iter().all(|(holds, _)| *holds)
    }
}

/// The running admin listener; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Admin {
    address: SocketAddr,
    task: AbortOnDropHandle<()>,
}

impl Admin {
    pub(crate) async fn start(
        address: SocketAddr,
        pipeline: Arc<Pipeline>,
        stop: watch::Receiver<Stop>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let readiness = Readiness { pipeline, stop };
        let (reporter, health) = tonic_health::server::health_reporter();
        report(&reporter, &readiness).await;
        let router = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/shadow", get(shadow))
            .route_service("/grpc.health.v1.Health/{method}", health)
            .with_state(readiness.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(watch_readiness(reporter, readiness));
        Ok(Self {
            address,
            task: AbortOnDropHandle::new(tokio::spawn(accept(listener, router, tasks))),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends, with all connections, and lets go of the pipeline: whoever keeps its records waits for that.
    pub(crate) async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Takes connections until it is aborted; `tasks` end with it.
async fn accept(listener: TcpListener, router: Router, mut tasks: JoinSet<()>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = tasks.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                let service = TowerToHyperService::new(router.clone());
                tasks.spawn(async move {
                    let mut http = auto::Builder::new(TokioExecutor::new());
                    http.http1()
                        .timer(TokioTimer::new())
                        .header_read_timeout(Duration::from_secs(10));
                    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                        tracing::debug!(error, "an admin connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "an admin connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// `GET /readyz`: 200 or 503; with `?verbose` every condition, one a line.
async fn readyz(State(readiness): State<Readiness>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    let conditions = readiness.conditions();
    let ready = conditions.iter().all(|(holds, _)| *holds);
    let mut body = String::new();
    if query.is_some_and(|query| {
        query
            .split('&')
            .any(|part| part == "verbose" || part.starts_with("verbose="))
    }) {
        for (holds, line) in conditions {
            body.push_str(if holds { "[+] " } else { "[-] " });
            body.push_str(&line);
            body.push('\n');
        }
    }
    body.push_str(if ready { "ready\n" } else { "not ready\n" });
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, body)
}

/// `GET /shadow`: what candidate policies would answer otherwise, as JSON; 404 if there are none.
async fn shadow(
    State(readiness): State<Readiness>,
) -> Result<Json<ShadowReport>, (StatusCode, &'static str)> {
    let report = readiness.pipeline.shadow_report();
    report.map(Json).ok_or((
        StatusCode::NOT_FOUND,
        "no candidate policies: `shadow` is not configured\n",
    ))
}

async fn watch_readiness(reporter: HealthReporter, readiness: Readiness) {
    let mut stop = readiness.stop.clone();
    loop {
        report(&reporter, &readiness).await;
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            told = stop.changed() => if told.is_err() {
                // The house is gone; nobody will ever say more.
                return;
            },
        }
    }
}

async fn report(reporter: &HealthReporter, readiness: &Readiness) {
    let status = if readiness.ready() {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    reporter.set_service_status(SERVICE, status).await;
    reporter.set_service_status("", status).await;
}
