//! Settings that count at the start of the server only.

use std::collections::BTreeSet;

use secrecy::ExposeSecret as _;

use crate::config::{AuthoritySection, Config, GrpcListen, HttpListen, Listen};

/// The settings that have changed and take effect at the next start, as the configuration names them. `waiting` are the listeners
/// with other files of TLS that do not count before.
pub(super) fn changed(started: &Config, now: &Config, waiting: &[&str]) -> Vec<String> {
    let Config {
        listen,
        admin,
        admin_options,
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
        tls: _,
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
        (
            "listen.envoy_grpc_options",
            differ(&grpc(listen), &grpc(&started.listen)),
        ),
        ("listen.http", differ(&http(listen), &http(&started.listen))),
        ("admin", *admin != started.admin),
        (
            "admin_options.tls",
            admin_options.tls.is_some() != started.admin_options.tls.is_some(),
        ),
        ("decision_log", decision_log.all() != started.decision_log.all()),
        ("authority", differ_in_authority(started, now)),
        ("explain", differ(explain, &started.explain)),
        ("limits", differ(limits, &started.limits)),
        ("threads", *threads != started.threads),
        ("grace_seconds", *grace_seconds != started.grace_seconds),
        ("drain_seconds", *drain_seconds != started.drain_seconds),
    ];
    let files = waiting.iter().map(|setting| match *setting {
        "listen.envoy_grpc" => "listen.envoy_grpc_options.tls".to_owned(),
        "admin" => "admin_options.tls".to_owned(),
        setting => format!("{setting}.tls"),
    });
    settings
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name.to_owned())
        .chain(files)
        .collect()
}

/// The listeners that are as they were at the start but for the files of TLS: only with the rest of its settings is it known what a
/// listener demands of whom. They are called as in [`Identities`](crate::tls::Identities).
pub(super) fn steady(started: &Config, now: &Config) -> BTreeSet<String> {
    let same =
        |one: &dyn std::fmt::Debug, other: &dyn std::fmt::Debug| format!("{one:?}") == format!("{other:?}");
    let (listen, before) = (&now.listen, &started.listen);
    let mut steady = BTreeSet::new();
    if same(
        &(listen.envoy_grpc, grpc(listen)),
        &(before.envoy_grpc, grpc(before)),
    ) {
        steady.insert("listen.envoy_grpc".to_owned());
    }
    for (index, (listener, before)) in http(listen).iter().zip(&http(before)).enumerate() {
        if same(listener, before) {
            steady.insert(format!("listen.http[{index}]"));
        }
    }
    // Its policies come into force while it runs, like others.
    if now.admin == started.admin {
        steady.insert("admin".to_owned());
    }
    if !differ_in_authority(started, now) {
        steady.insert("authority".to_owned());
    }
    steady
}

/// The options without the files of TLS, which are replaced while it runs; whether there is TLS is not.
fn grpc(listen: &Listen) -> (bool, GrpcListen) {
    let mut options = listen.envoy_grpc_options.clone();
    (options.tls.take().is_some(), options)
}

/// The same for every listener over HTTP.
fn http(listen: &Listen) -> Vec<(bool, HttpListen)> {
    let listeners = listen.http.iter().cloned();
    listeners
        .map(|mut listener| (listener.tls.take().is_some(), listener))
        .collect()
}

/// Policies about the house are replaced while it runs, like others; so are the files of TLS.
fn differ_in_authority(started: &Config, now: &Config) -> bool {
    let rest = |config: &Config| {
        let mut authority = config.authority.clone()?;
        let tls = authority.tls.take().is_some();
        let store = authority.store.store.expose_secret().to_owned();
        let rest = AuthoritySection {
            policies: Vec::new(),
            ..authority
        };
        Some((store, tls, format!("{rest:?}")))
    };
    rest(started) != rest(now)
}

#[cfg(test)]
mod tests;
