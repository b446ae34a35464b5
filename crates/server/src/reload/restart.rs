//! Settings that count at the start of the server only.

use secrecy::ExposeSecret as _;

use crate::config::{AuthoritySection, Config};

/// The settings that have changed and take effect at the next start, as the configuration names them.
pub(super) fn changed(started: &Config, now: &Config) -> Vec<&'static str> {
    let Config {
        listen,
        admin,
        policies: _,
        decision_log,
        authority: _,
        explain,
        limits,
        threads,
        grace_seconds,
        drain_seconds,
        reload: _,
        shadow: _,
        settings: _,
    } = now;
    let differ = |one: &dyn std::fmt::Debug, other: &dyn std::fmt::Debug| {
        // None of these has a secret that `Debug` would leave out.
        format!("{one:?}") != format!("{other:?}")
    };
    let settings = [
        (
            "listen.envoy_grpc",
            differ(&listen.envoy_grpc, &started.listen.envoy_grpc),
        ),
        ("listen.http", differ(&listen.http, &started.listen.http)),
        ("admin", *admin != started.admin),
        ("decision_log", decision_log.all() != started.decision_log.all()),
        ("authority", differ_in_authority(started, now)),
        ("explain", differ(explain, &started.explain)),
        ("limits", differ(limits, &started.limits)),
        ("threads", *threads != started.threads),
        ("grace_seconds", *grace_seconds != started.grace_seconds),
        ("drain_seconds", *drain_seconds != started.drain_seconds),
    ];
    settings
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
}

/// Policies about the house are replaced while it runs, like others.
fn differ_in_authority(started: &Config, now: &Config) -> bool {
    let rest = |config: &Config| {
        let authority = config.authority.clone()?;
        let store = authority.store.store.expose_secret().to_owned();
        let rest = AuthoritySection {
            policies: Vec::new(),
            ..authority
        };
        Some((store, format!("{rest:?}")))
    };
    rest(started) != rest(now)
}
