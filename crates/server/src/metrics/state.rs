//! Everything that is written when somebody scrapes: what was counted, and how things are at that moment.

use std::fmt::{self, Error};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use authority::Authority;
use decide::identity::{Introspections, IssuerStatus};
use decide::policy::Backend;
use decide::{Live, Pipeline, Recorder as _};
use model::{Contract, Reason};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::counted::Counted;
use super::page::Page;
use crate::config::Config;
use crate::listen::{Connections, Load};
use crate::recent::Recent;
use crate::reload::{Figures, Reload};
use crate::tls::{Certificate, Tls};

/// What is looked at.
pub(super) struct State {
    pub(super) counted: Counted,
    pub(super) pipeline: Arc<Pipeline>,
    /// The contracts that are configured: their series are there before the first check.
    pub(super) contracts: Vec<Contract>,
    pub(super) reload: Option<Reload>,
    pub(super) recent: Recent,
    pub(super) authority: Option<Authority>,
    pub(super) listeners: Vec<Arc<Connections>>,
    pub(super) tls: Tls,
}

/// The contracts of the configured listeners.
pub(super) fn contracts(config: &Config) -> Vec<Contract> {
    let http = config.listen.http.iter().flat_map(|listener| &listener.doors);
    let http = http.map(|door| Contract::from(door.contract));
    let house = config.authority.iter().map(|_| Contract::House);
    let mut contracts: Vec<Contract> = [Contract::EnvoyGrpc]
        .into_iter()
        .chain(http)
        .chain(house)
        .collect();
    contracts.sort_by_key(|contract| *contract as usize);
    contracts.dedup();
    contracts
}

impl Collector for State {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let page = &mut Page(encoder);
        let live = self.pipeline.live();
        page.gauges(
            "build_info",
            "The program; always 1",
            [([("version", env!("CARGO_PKG_VERSION"))], 1_u64)],
        )?;
        self.decisions(page)?;
        self.policies(page)?;
        tokens(page, &live)?;
        self.token_cache(page, &live)?;
        keys(page, &live.issuers())?;
        introspections(page, &live.introspections())?;
        self.rules(page, &live)?;
        self.reloads(page)?;
        self.shadow(page)?;
        self.records(page)?;
        self.connections(page)?;
        certificates(page, &self.tls.told())?;
        self.store(page)
    }
}

impl State {
    fn decisions(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let mut series = Vec::new();
        for contract in Contract::ALL {
            let configured = self.contracts.contains(&contract);
            for (reason, count) in Reason::ALL.into_iter().zip(self.counted.decisions(contract)) {
                if configured || count > 0 {
                    let labels = [
                        ("contract", contract.as_str()),
                        ("verdict", verdict(reason)),
                        ("reason", reason.as_str()),
                    ];
                    series.push((labels, count));
                }
            }
        }
        page.counters(
            "decisions",
            "Decisions: one for each check that was answered",
            series,
        )?;
        page.gauge(
            "checks_waiting",
            "Checks that wait for keys, or for what an issuer says of a token (at most limits.max_waiting)",
            self.pipeline.waiting(),
        )?;
        let durations = self.counted.durations().into_iter();
        page.histograms(
            "decision_duration_seconds",
            "From the check in the pipeline to the decision",
            durations.map(|(verdict, times)| ([("verdict", verdict)], times)),
        )?;
        let steps = self.counted.steps().into_iter();
        page.histograms(
            "decision_step_duration_seconds",
            "The steps of decisions, of those that are measured step by step (measure_steps_every)",
            steps.map(|(step, times)| ([("step", step)], times)),
        )
    }

    fn policies(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let policies = self.counted.policies();
        let named = policies
            .iter()
            .map(|(name, totals)| ([("policy", &**name)], totals));
        page.counters(
            "policy_matches",
            "How often a policy determined an answer: permits of an allow, forbids of a denial",
            named.clone().map(|(labels, totals)| (labels, totals.matches)),
        )?;
        page.counters(
            "policy_errors",
            "How often a policy could not be evaluated",
            named.map(|(labels, totals)| (labels, totals.errors)),
        )
    }

    fn token_cache(&self, page: &mut Page<'_>, live: &Live) -> Result<(), Error> {
        page.counters(
            "token_cache_lookups",
            "What was known of the good tokens of decisions: everything (hit), that they are good (verified), nothing (miss)",
            self.counted
                .cache_uses()
                .into_iter()
                .map(|(result, count)| ([("result", result)], count)),
        )?;
        let kept = live.kept_tokens();
        let of = |value: fn(&decide::identity::KeptTokens) -> u64| {
            kept.each_ref().map(|kept| ([("cache", kept.cache)], value(kept)))
        };
        page.gauges(
            "token_cache_entries",
            "Tokens that are kept: presented lately with all that is derived, or only as verified",
            of(|kept| kept.entries),
        )?;
        page.gauges(
            "token_cache_bytes",
            "Memory of the tokens that are kept, about",
            of(|kept| kept.bytes),
        )?;
        page.gauges(
            "token_cache_max_bytes",
            "Memory that the tokens that are kept may take",
            of(|kept| kept.max_bytes),
        )
    }

    fn rules(&self, page: &mut Page<'_>, live: &Live) -> Result<(), Error> {
        let rules = live.rules();
        let checked = rules.policies().self_check();
        let engine = match checked.backend {
            Backend::Sliced => "sliced",
            Backend::Authorizer => "authorizer",
        };
        page.gauges(
            "rules_info",
            "The policies, routes and settings in force, by version; always 1",
            [([("version", &*rules.version().0), ("engine", engine)], 1_u64)],
        )?;
        page.gauge(
            "rules_loaded_timestamp_seconds",
            "When the rules in force came into force, in Unix seconds",
            seconds(self.counted.loaded()),
        )?;
        page.gauge("rules_policies", "Policies in force", rules.policies().count())?;
        page.gauge("rules_routes", "Routes in force", rules.routes().routes().len())?;
        page.gauge(
            "rules_audited",
            "Routes on which denials of policies pass (mode: audit); 1 if it is everywhere",
            rules.audited().len(),
        )?;
        page.counter(
            "self_checks",
            "Decisions that Cedar's Authorizer was asked about again, since the rules came into force",
            checked.checked,
        )?;
        page.counter(
            "self_check_differences",
            "Those of them with another answer: each is a bug",
            checked.differences,
        )
    }

    fn reloads(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let never = || Figures::never(self.counted.loaded());
        let figures = self.reload.as_ref().map_or_else(never, Reload::figures);
        let outcomes = [
            ("changed", figures.changed),
            ("unchanged", figures.unchanged),
            ("refused", figures.refused),
        ];
        page.counters(
            "reloads",
            "Reloads of the configuration",
            outcomes.map(|(outcome, count)| ([("outcome", outcome)], count)),
        )?;
        page.gauge(
            "reload_last_good",
            "1 if the configuration was good when it was last read, 0 if a change of it is refused",
            u64::from(figures.is_good),
        )?;
        page.gauge(
            "reload_last_success_timestamp_seconds",
            "When the configuration was last read and found good, in Unix seconds",
            seconds(figures.good),
        )
    }

    fn shadow(&self, page: &mut Page<'_>) -> Result<(), Error> {
        // Without a candidate nothing is compared: all zero.
        let report = self.pipeline.shadow_report().unwrap_or_default();
        page.counter(
            "shadow_decisions",
            "Decisions that the candidate policies were asked about, since they or the rules changed",
            report.compared,
        )?;
        let kinds = [
            ("newly_allowed", report.newly_allowed),
            ("newly_denied", report.newly_denied),
            ("otherwise_denied", report.otherwise_denied),
        ];
        page.counters(
            "shadow_differences",
            "Those of them that the candidate would decide otherwise",
            kinds.map(|(kind, count)| ([("kind", kind)], count)),
        )?;
        page.counter(
            "shadow_dropped",
            "Decisions that the candidate was not asked about for want of room or time",
            report.dropped,
        )
    }

    fn records(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let dropped = self.counted.dropped().into_iter();
        page.counters(
            "decision_records_dropped",
            "Decision records that are lost: in the queue because the sinks are too slow, or at a sink that failed",
            dropped.map(|(sink, count)| ([("sink", sink)], count)),
        )?;
        let (kept, dropped) = self.recent.counts();
        page.gauge(
            "explanations_kept",
            "Recent decisions that can still be explained",
            kept,
        )?;
        page.counter(
            "explanations_dropped",
            "Decisions that cannot be explained because another thread was at the memory of them",
            dropped,
        )
    }

    fn connections(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let loads: Vec<(&str, Load)> = self
            .listeners
            .iter()
            .map(|connections| (&*connections.listener, connections.load()))
            .collect();
        let of = |value: fn(&Load) -> u64| {
            let series = loads.iter();
            series.map(move |(listener, load)| ([("listener", *listener)], value(load)))
        };
        page.gauges(
            "listener_connections",
            "Connections of proxies that are open",
            of(|load| load.open as u64),
        )?;
        page.gauges(
            "listener_max_connections",
            "Connections of proxies that may be open (limits.max_connections)",
            of(|load| load.most as u64),
        )?;
        page.gauges(
            "listener_message_bytes",
            "Bytes of messages that are being read or answered",
            of(|load| load.bytes as u64),
        )?;
        page.gauges(
            "listener_max_message_bytes",
            "How many there may be at a time (limits.max_bytes_in_flight)",
            of(|load| load.most_bytes as u64),
        )?;
        page.counters(
            "listener_accepted_connections",
            "Connections that were taken",
            of(|load| load.accepted),
        )?;
        page.counters(
            "listener_refused_connections",
            "Connections that were closed at once: too many are open, or too many of peers that may not ask",
            loads.iter().flat_map(|(listener, load)| {
                [("full", load.closed), ("strange_peer", load.closed_strangers)]
                    .map(|(reason, count)| ([("listener", *listener), ("reason", reason)], count))
            }),
        )
    }

    fn store(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let Some(status) = self.authority.as_ref().map(Authority::status) else {
            return Ok(());
        };
        page.gauge(
            "store_connected",
            "1 if the last look at the store of the authority succeeded",
            u64::from(status.connected),
        )?;
        page.gauge(
            "store_good",
            "1 while decisions may rely on what is known of the store; otherwise credentials are denied",
            u64::from(status.good),
        )?;
        page.gauge(
            "store_revision",
            "Which contents of the store decisions rely on",
            status.revision,
        )?;
        page.gauges(
            "store_age_seconds",
            "How long ago these contents were known to be the newest",
            status.age.map(|age| ([], age.as_secs_f64())),
        )
    }
}

/// The TLS of our own listeners, where they have any.
fn certificates(page: &mut Page<'_>, told: &[Certificate]) -> Result<(), Error> {
    let listeners = told.iter().map(|told| ([("listener", &*told.setting)], told));
    page.gauges(
        "tls_certificate_expiry_timestamp_seconds",
        "When the certificate of a listener expires, in Unix seconds",
        listeners
            .clone()
            .filter_map(|(labels, told)| Some((labels, seconds(told.until?)))),
    )?;
    page.counters(
        "tls_failed_handshakes",
        "Handshakes with a listener that failed",
        listeners.map(|(labels, told)| (labels, told.failed)),
    )
}

fn tokens(page: &mut Page<'_>, live: &Live) -> Result<(), Error> {
    let all = live.verifications();
    let series = all.iter().flat_map(|of| {
        [
            ("verified", of.verified),
            ("refused", of.refused),
            ("unavailable", of.unavailable),
        ]
        .map(|(outcome, count)| ([("issuer", &*of.issuer), ("outcome", outcome)], count))
    });
    page.counters(
        "token_verifications",
        "Credentials that were looked at because they were not kept as verified, by whoever vouches for them",
        series,
    )
}

fn keys(page: &mut Page<'_>, issuers: &[IssuerStatus]) -> Result<(), Error> {
    let fetched = issuers
        .iter()
        .filter_map(|issuer| Some(([("issuer", &*issuer.name)], issuer, issuer.fetches?)));
    page.gauges(
        "jwks_keys",
        "Keys of an issuer that can be used",
        fetched.clone().map(|(labels, issuer, _)| (labels, issuer.keys)),
    )?;
    page.gauges(
        "jwks_age_seconds",
        "How long ago the keys of an issuer were fetched; absent before the first time",
        fetched
            .clone()
            .filter_map(|(labels, issuer, _)| Some((labels, issuer.age?.as_secs_f64()))),
    )?;
    page.gauges(
        "jwks_max_age_seconds",
        "How old they may become before tokens of the issuer are denied",
        fetched
            .clone()
            .map(|(labels, _, fetches)| (labels, fetches.max_stale.as_secs_f64())),
    )?;
    page.counters(
        "jwks_fetches",
        "Attempts to fetch the keys of an issuer",
        fetched.flat_map(|([(_, issuer)], _, fetches)| {
            [("succeeded", fetches.succeeded), ("failed", fetches.failed)]
                .map(|(outcome, count)| ([("issuer", issuer), ("outcome", outcome)], count))
        }),
    )
}

fn introspections(page: &mut Page<'_>, endpoints: &[Introspections]) -> Result<(), Error> {
    page.counters(
        "introspection_requests",
        "Questions to an introspection endpoint, by what came of them",
        endpoints.iter().flat_map(|of| {
            [
                ("active", of.active),
                ("inactive", of.inactive),
                ("failed", of.failed),
            ]
            .map(|(outcome, count)| ([("issuer", &*of.name), ("outcome", outcome)], count))
        }),
    )?;
    page.counters(
        "introspection_unasked",
        "Tokens that an introspection endpoint was not asked about: its answer is kept, max_in_flight questions are under way \
         (full), or it failed and is left alone for a while (cooling_down)",
        endpoints.iter().flat_map(|of| {
            [
                ("kept", of.kept),
                ("full", of.full),
                ("cooling_down", of.cooling_down),
            ]
            .map(|(reason, count)| ([("issuer", &*of.name), ("reason", reason)], count))
        }),
    )
}

/// The verdict that a reason is of.
fn verdict(reason: Reason) -> &'static str {
    match reason {
        Reason::Permitted | Reason::Audited => "allow",
        _ => "deny",
    }
}

/// Unix seconds.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}
