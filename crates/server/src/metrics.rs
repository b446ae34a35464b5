//! `/metrics`: what dashboards and alerts are made of, in the text formats of OpenMetrics and Prometheus.
//!
//! Decisions are counted where records of them are offered, once a check ([`counted`]); everything else is state that is there
//! anyway and is looked at when somebody scrapes ([`state`]). Labels are bounded by the configuration: nothing a client sends
//! becomes one. `docs/metrics.md` lists every metric.

mod count;
mod counted;
mod page;
mod policies;
mod process;
mod state;

use std::sync::{Arc, Mutex, PoisonError};

use authority::Authority;
use axum::extract::State as Given;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use decide::Pipeline;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

pub(crate) use self::counted::Counted;
use self::process::Process;
use self::state::State;
use crate::config::Config;
use crate::listen::Connections;
use crate::recent::Recent;
use crate::reload::Reload;
use crate::tls::Tls;

/// The media type of OpenMetrics 1.0.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The media type of Prometheus' own text format, which is for whoever does not ask for the other.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a server. Clones are the same ones.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// Metrics about what is configured, what is counted, and how everything is.
    pub(crate) fn new(
        counted: Counted,
        pipeline: Arc<Pipeline>,
        config: &Config,
        (reload, recent, tls): (Option<Reload>, Recent, Tls),
        authority: Option<Authority>,
        listeners: Vec<Arc<Connections>>,
    ) -> Self {
        let state = State {
            counted,
            pipeline,
            contracts: state::contracts(config),
            reload,
            recent,
            authority,
            listeners,
            tls,
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let ours = registry.sub_registry_with_prefix("portcullis");
        ours.register_collector(Box::new(state));
        Self(Arc::new(Mutex::new(registry)))
    }

    /// About nothing.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(Arc::default())
    }

    /// Everything as OpenMetrics text. One after the other, so that scraping never keeps more than one thread busy.
    fn text(&self) -> Result<String, std::fmt::Error> {
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// `GET /metrics`
pub(crate) async fn answer(Given(metrics): Given<Metrics>, headers: HeaderMap) -> Response {
    let Ok(text) = metrics.text() else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written\n").into_response();
    };
    let accepted = headers.get_all(header::ACCEPT).into_iter();
    let wants_openmetrics = accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"));
    match wants_openmetrics {
        true => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        false => ([(header::CONTENT_TYPE, PROMETHEUS)], plain(&text)).into_response(),
    }
}

/// The same in Prometheus' own format: there the families of counters have the names of their series.
fn plain(openmetrics: &str) -> String {
    let mut plain = String::with_capacity(openmetrics.len() + openmetrics.len() / 16);
    let mut lines = openmetrics.lines().peekable();
    while let Some(line) = lines.next() {
        let family = |line: &str, kind: &str| {
            let (name, rest) = line.strip_prefix(kind)?.split_once(' ')?;
            Some((name.to_owned(), rest.to_owned()))
        };
        let counts = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        if let Some((name, help)) = family(line, "# HELP ")
            && lines.peek().is_some_and(|next| counts(next))
        {
            plain.extend(["# HELP ", &name, "_total ", &help]);
        } else if let Some((name, kind)) = family(line, "# TYPE ").filter(|_| counts(line)) {
            plain.extend(["# TYPE ", &name, "_total ", &kind]);
        } else if line != "# EOF" {
            plain.push_str(line);
        } else {
            continue;
        }
        plain.push('\n');
    }
    plain
}

#[cfg(test)]
mod tests;
