//! The admin listener: `/livez`, `/readyz`, `/metrics`, `grpc.health.v1`, `/decisions/<id>`, `/shadow`, `/reload` and the admin API, for
//! probes and operators, never for proxies' clients.

mod permitted;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use authority::Authority;
use axum::extract::{Path as UrlPath, RawQuery, State};
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use decide::explain::Explanation;
use decide::policy::{Backend, SelfCheckStatus};
use decide::shadow::ShadowReport;
use decide::{HouseAction, Pipeline};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use self::permitted::{Question, here_or_encrypted, permitted};
use crate::authority::admin_api::{self, AdminApi};
use crate::authority::asking::Asker;
use crate::http_server::{Places, accept};
use crate::listen::Stop;
use crate::metrics::{self, Metrics};
use crate::recent::Recent;
use crate::reload::{Reload, Told, Trigger};
use crate::tls::{Certificate, Tls};

/// The service name that `grpc.health.v1` knows besides the empty one.
pub const SERVICE: &str = "envoy.service.auth.v3.Authorization";
/// How often readiness is looked at for `grpc.health.v1` watchers.
const LOOK: Duration = Duration::from_millis(100);

/// What readiness depends on.
#[derive(Clone)]
struct Readiness {
    pipeline: Arc<Pipeline>,
    authority: Option<Authority>,
    reload: Option<Reload>,
    stop: watch::Receiver<Stop>,
    tls: Tls,
}

/// A line about something that readiness depends on, or that operators should see beside it.
struct Condition {
    mark: Mark,
    line: String,
}

/// How a condition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Holds,
    /// It does not, and the server is not ready.
    Fails,
    /// It does not, and the server is ready all the same.
    Refused,
    /// It is as it was configured, and should not be forgotten.
    Notice,
}

impl Mark {
    fn sign(self) -> &'static str {
        match self {
            Self::Holds => "[+]",
            Self::Fails | Self::Refused => "[-]",
            Self::Notice => "[!]",
        }
    }
}

impl Readiness {
    /// Each condition.
    fn conditions(&self) -> Vec<Condition> {
        let live = self.pipeline.live();
        let rules = live.rules();
        let condition = |mark, line| Condition { mark, line };
        let mut conditions = vec![condition(
            Mark::Holds,
            format!(
                "policies: {} loaded, {} routes, version {}",
                rules.policies().count(),
                rules.routes().routes().len(),
                rules.version()
            ),
        )];
        if let Some(report) = self.pipeline.shadow_report() {
            conditions.push(condition(
                Mark::Holds,
                format!(
                    "shadow: candidate {}, {} decisions compared, {} differ",
                    report.candidate_version,
                    report.compared,
                    report.newly_denied + report.newly_allowed + report.otherwise_denied
                ),
            ));
        }
        let checked = rules.policies().self_check();
        let mark = if checked.differences > 0 {
            Mark::Notice
        } else {
            Mark::Holds
        };
        conditions.push(condition(mark, self_check(checked)));
        let errors = self.pipeline.policy_errors();
        if errors > 0 {
            let line = format!("policy errors: {errors} times a policy could not be evaluated; see the log");
            conditions.push(condition(Mark::Notice, line));
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
            let mark = match (issuer.ready, issuer.needed) {
                (true, _) => Mark::Holds,
                (false, true) => Mark::Fails,
                (false, false) => Mark::Refused,
            };
            conditions.push(condition(mark, line));
        }
        conditions.extend(
            self.authority
                .as_ref()
                .map(|authority| store(&authority.status())),
        );
        conditions.extend(self.tls.told().iter().map(certificate));
        let audited = rules.audited();
        if !audited.is_empty() {
            let line = format!("audit mode: denials of policies pass: {}", audited.join(" "));
            conditions.push(condition(Mark::Notice, line));
        }
        if let Some((told, line)) = self.reload.as_ref().map(|reload| reload.told(rules)) {
            let mark = match told {
                Told::Well => Mark::Holds,
                Told::Noticed => Mark::Notice,
                Told::Refused => Mark::Refused,
            };
            conditions.push(condition(mark, line));
        }
        conditions.push(match *self.stop.borrow() {
            Stop::No => condition(Mark::Holds, "accepting".to_owned()),
            _ => condition(Mark::Fails, "shutting down".to_owned()),
        });
        conditions
    }

    fn ready(&self) -> bool {
        is_ready(&self.conditions())
    }
}

fn is_ready(conditions: &[Condition]) -> bool {
    conditions.iter().all(|condition| condition.mark != Mark::Fails)
}

/// How the store is: without it credentials are refused.
fn store(status: &authority::Status) -> Condition {
    let age = status.age.map_or_else(
        || "never read".to_owned(),
        |age| {
            format!(
                "revision {}, known to be the newest {} s ago",
                status.revision,
                age.as_secs()
            )
        },
    );
    let error = status.last_error.as_ref();
    let error = error.map(|error| format!("; {error}")).unwrap_or_default();
    let mark = match (status.good, status.connected) {
        (true, true) => Mark::Holds,
        (true, false) => Mark::Notice,
        (false, _) => Mark::Fails,
    };
    Condition {
        mark,
        line: format!("store: {}, {age}{error}", status.backend),
    }
}

/// How the certificate of a listener is. One that has expired is for its clients to refuse; the server still answers.
fn certificate(told: &Certificate) -> Condition {
    let Certificate {
        setting,
        until: _,
        expires,
        flaw,
        failed,
    } = told;
    let mark = match flaw {
        Some(_) => Mark::Notice,
        None => Mark::Holds,
    };
    let state = flaw.as_ref().unwrap_or(expires);
    Condition {
        mark,
        line: format!("tls {setting}: the certificate {state}, {failed} handshakes failed"),
    }
}

fn self_check(status: SelfCheckStatus) -> String {
    let SelfCheckStatus {
        backend,
        every,
        checked,
        differences,
    } = status;
    match (backend, every) {
        (Backend::Authorizer, _) => "engine: authorizer, every policy for every request".to_owned(),
        (Backend::Sliced, 0) => "engine: sliced, no self-check".to_owned(),
        (Backend::Sliced, _) if differences == 0 => {
            format!("engine: sliced, {checked} decisions checked, no difference")
        }
        (Backend::Sliced, _) => format!(
            "engine: sliced, {checked} decisions checked, {differences} DIFFER FROM CEDAR'S AUTHORIZER: see the log"
        ),
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
        (address, tls): (SocketAddr, Tls),
        pipeline: Arc<Pipeline>,
        (reload, recent, metrics): (Option<Reload>, Recent, Metrics),
        authority: Option<Authority>,
        stop: watch::Receiver<Stop>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let readiness = Readiness {
            pipeline,
            authority,
            reload,
            stop,
            tls: tls.clone(),
        };
        let (reporter, health) = tonic_health::server::health_reporter();
        report(&reporter, &readiness).await;
        let router =
            router(&readiness, recent, metrics).route_service("/grpc.health.v1.Health/{method}", health);
        let mut tasks = JoinSet::new();
        tasks.spawn(watch_readiness(reporter, readiness));
        // It answers to the very end: probes ask while others drain.
        let reached = (router, Places::for_operators());
        let serve = accept(
            listener,
            tls.of("admin"),
            reached,
            tasks,
            CancellationToken::new(),
        );
        Ok(Self {
            address,
            task: AbortOnDropHandle::new(tokio::spawn(serve)),
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

/// All but `grpc.health.v1`: probes and metrics for everybody, the rest for this very host and for those who are
/// permitted it.
fn router(readiness: &Readiness, recent: Recent, metrics: Metrics) -> Router {
    let asker = Asker::new(Arc::clone(&readiness.pipeline));
    let asked = |action, kind| {
        let asker = asker.clone();
        from_fn_with_state(Question { asker, action, kind }, permitted)
    };
    let decisions = get(decision).route_layer(asked(HouseAction::DecisionsRead, "decision"));
    let decisions = Router::new()
        .route("/decisions/{id}", decisions)
        .with_state((Arc::clone(&readiness.pipeline), recent));
    let shadow = get(shadow).route_layer(asked(HouseAction::ShadowRead, "shadow"));
    let reload = post(reload_now).route_layer(asked(HouseAction::RulesWrite, "rules"));
    let private = Router::new()
        .route("/shadow", shadow)
        .route("/reload", reload)
        .with_state(readiness.clone())
        .merge(decisions)
        .merge(administration(readiness))
        .route_layer(from_fn(here_or_encrypted));
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(readiness.clone())
        .route("/metrics", get(metrics::answer).with_state(metrics))
        .merge(private)
}

/// The admin API, where there is an authority to administer.
fn administration(readiness: &Readiness) -> Router {
    let api = readiness.authority.clone().map(|authority| {
        let api = AdminApi::new(Arc::clone(&readiness.pipeline), authority);
        admin_api::router(&api)
    });
    api.unwrap_or_default()
}

/// `GET /readyz`: 200 or 503; with `?verbose` every condition, one a line.
async fn readyz(State(readiness): State<Readiness>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    let conditions = readiness.conditions();
    let ready = is_ready(&conditions);
    let mut body = String::new();
    if query.is_some_and(|query| {
        query
            .split('&')
            .any(|part| part == "verbose" || part.starts_with("verbose="))
    }) {
        for Condition { mark, line } in conditions {
            body.extend([mark.sign(), " ", &line, "\n"]);
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

/// `POST /reload`: 200 and what became of it, or 422 if what is there now cannot be used.
async fn reload_now(State(readiness): State<Readiness>) -> Response {
    let Some(reload) = &readiness.reload else {
        return (StatusCode::NOT_FOUND, "this server has no file to reload\n").into_response();
    };
    match reload.outcome(Trigger::Admin).await {
        Some(outcome) if outcome.problems.is_empty() => Json(outcome).into_response(),
        Some(outcome) => (StatusCode::UNPROCESSABLE_ENTITY, Json(outcome)).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n").into_response(),
    }
}

/// `GET /decisions/<id>`: the explanation of a recent decision as JSON, by the rules in force.
async fn decision(
    State((pipeline, recent)): State<(Arc<Pipeline>, Recent)>,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<Explanation>, (StatusCode, String)> {
    let Some(kept) = recent.find(&id) else {
        let (kept, _) = recent.counts();
        let why = format!(
            "no decision of that id is remembered; {kept} are, the latest ones (`explain` in the configuration says \
             which and how many)\n"
        );
        return Err((StatusCode::NOT_FOUND, why));
    };
    Ok(Json(pipeline.explain_kept(&kept)))
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

#[cfg(test)]
mod tests;
