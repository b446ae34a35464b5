//! Requests of known kinds, and the numbers that must come of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use authority::{Authority, NewRevocation, StoreSettings};
use bytes::Bytes;
use model::{Before, Revoked};
use portcullis::demo::http;
use portcullis::demo::issuer::Answer as KeyService;
use portcullis::demo::people;

use super::Scrape;
use crate::doors::{exchange, listeners, request};
use crate::house::TestHouse;

/// The contract, the verdict and the reason of decisions.
pub(super) type Kind = (&'static str, &'static str, &'static str);

/// How often each kind was decided; those that never were are left out.
fn decisions(scrape: &Scrape) -> BTreeMap<(String, String, String), u64> {
    let all = scrape.with("portcullis_decisions_total", &[]);
    let all = all.filter(|(_, count)| *count > 0.0);
    all.map(|(labels, count)| {
        let of = |label: &str| labels[label].clone();
        ((of("contract"), of("verdict"), of("reason")), count as u64)
    })
    .collect()
}

pub(super) fn check(scrape: &Scrape, expected: &[Kind]) {
    let mut counts = BTreeMap::new();
    for (contract, verdict, reason) in expected {
        let kind = (contract.to_string(), verdict.to_string(), reason.to_string());
        *counts.entry(kind).or_insert(0) += 1;
    }
    assert_eq!(decisions(scrape), counts);
    // Each is in one histogram, too.
    for verdict in ["allow", "deny"] {
        let all = expected.iter().filter(|(_, of, _)| *of == verdict).count() as f64;
        let labels = &[("verdict", verdict)];
        for (name, bound) in [("count", None), ("bucket", Some(("le", "+Inf")))] {
            let name = format!("portcullis_decision_duration_seconds_{name}");
            let labels: Vec<_> = labels.iter().copied().chain(bound).collect();
            assert_eq!(scrape.sum(&name, &labels), all, "{name} {verdict}");
        }
    }
}

/// A route that is only audited, one that is open to everybody, and a listener where nobody may ask.
fn altered(text: String) -> String {
    let text = listeners(text).replace(
        "doors: [{ contract: envoy_http }] }",
        "doors: [{ contract: envoy_http }] }
    - { address: '127.0.0.1:0', allowed_peers: [192.0.2.1/32], doors: [{ contract: caddy }] }",
    );
    text.replace(
        "routes:\n",
        "measure_steps_every: 1
routes:
  - path: /audited
    methods: [GET]
    mode: audit
    resource: { type: Workspaces }
  - path: /open
    methods: [GET]
    public: true
    resource: { type: Workspaces }
",
    )
}

#[tokio::test]
async fn every_check_is_counted_once_by_what_came_of_it() {
    let overflow = "@id(\"overflows\") forbid(principal, action, resource is PublicPage) \
                    when { (if context.path == \"/public/overflow\" then 9223372036854775807 else 1) + 1 < 0 };";
    let house = TestHouse::with(altered, &[("overflow.cedar", overflow)]).await;
    let bearer = |token: &str| format!("Bearer {token}");
    let alice = bearer(&people::alice(&house.issuer).token);
    let forged = bearer(&people::forged(&house.issuer).expect("a token").token);
    let mut expected: Vec<Kind> = Vec::new();
    for (method, target, credential, verdict, reason) in [
        ("GET", "/public/a", None, "allow", "permitted"),
        ("GET", "/public/a", None, "allow", "permitted"),
        ("GET", "/workspaces/ws-alice", Some(&alice), "allow", "permitted"),
        ("GET", "/workspaces/ws-alice", Some(&alice), "allow", "permitted"),
        (
            "DELETE",
            "/workspaces/ws-alice",
            Some(&alice),
            "deny",
            "no_permit",
        ),
        (
            "GET",
            "/workspaces/workspace-api",
            Some(&alice),
            "deny",
            "forbidden",
        ),
        ("GET", "/workspaces/ws-alice", None, "deny", "credential_missing"),
        (
            "GET",
            "/workspaces/ws-alice",
            Some(&forged),
            "deny",
            "credential_refused",
        ),
        (
            "GET",
            "/workspaces/ws-alice",
            Some(&forged),
            "deny",
            "credential_refused",
        ),
        ("GET", "/nowhere", None, "deny", "no_route"),
        ("PUT", "/public/a", None, "deny", "no_method"),
        ("GET", "/public/../a", None, "deny", "ambiguous_path"),
        ("GET", "/audited", Some(&alice), "allow", "audited"),
        ("GET", "/open", None, "allow", "permitted"),
        ("GET", "/public/overflow", None, "deny", "policy_error"),
    ] {
        let headers: Vec<_> = credential
            .map(|value| ("authorization", value.as_str()))
            .into_iter()
            .collect();
        let answer = house.ask(method, target, &headers).await;
        assert_eq!(
            (answer.allowed, &*answer.reason),
            (verdict == "allow", reason),
            "{method} {target}"
        );
        expected.push(("envoy_grpc", verdict, reason));
    }
    let forwarded = |host: &'static str| -> Vec<(&str, &[u8])> {
        vec![
            ("host", b"p"),
            ("x-forwarded-method", b"GET"),
            ("x-forwarded-proto", b"https"),
            ("x-forwarded-host", host.as_bytes()),
            ("x-forwarded-uri", b"/public/a"),
            ("x-forwarded-for", b"9.9.9.9"),
        ]
    };
    let good = "api.example.test";
    let original: Vec<(&str, &[u8])> = vec![
        ("host", b"p"),
        ("x-original-method", b"GET"),
        ("x-original-url", b"https://api.example.test/public/a"),
        ("x-real-ip", b"9.9.9.9"),
    ];
    let document = |text: &'static str| text.as_bytes().to_vec();
    let apisix = document(
        r#"{"input":{"type":"http","request":{"scheme":"https","method":"GET","host":"api.example.test","path":"/public/a","headers":{},"query":{}},"var":{"remote_addr":"9.9.9.9"}}}"#,
    );
    let kong = document(
        r#"{"input":{"request":{"http":{"scheme":"https","method":"GET","host":"api.example.test","path":"/public/a","headers":{},"querystring":{}}}}}"#,
    );
    let itself: Vec<(&str, &[u8])> = vec![("host", good.as_bytes())];
    let none = Vec::new;
    for (listener, method, target, headers, body, kind) in [
        (
            0,
            "GET",
            "/check/public/a",
            itself.clone(),
            none(),
            ("envoy_http", "allow", "permitted"),
        ),
        (
            1,
            "GET",
            "/public/a",
            itself.clone(),
            none(),
            ("envoy_http", "allow", "permitted"),
        ),
        (
            0,
            "GET",
            "/apisix",
            forwarded(good),
            none(),
            ("apisix", "allow", "permitted"),
        ),
        (
            0,
            "GET",
            "/nginx",
            original,
            none(),
            ("nginx", "allow", "permitted"),
        ),
        (
            0,
            "GET",
            "/traefik",
            forwarded(good),
            none(),
            ("traefik", "allow", "permitted"),
        ),
        (
            0,
            "GET",
            "/caddy",
            forwarded(good),
            none(),
            ("caddy", "allow", "permitted"),
        ),
        (
            0,
            "GET",
            "/haproxy",
            forwarded(good),
            none(),
            ("haproxy", "allow", "permitted"),
        ),
        (
            0,
            "POST",
            "/v1/data/apisix/allow",
            vec![("host", b"p")],
            apisix,
            ("apisix_opa", "allow", "permitted"),
        ),
        (
            0,
            "POST",
            "/v1/data/kong/allow",
            vec![("host", b"p")],
            kong,
            ("kong_opa", "allow", "permitted"),
        ),
        (
            0,
            "GET",
            "/caddy",
            forwarded("a..b"),
            none(),
            ("caddy", "deny", "invalid_host"),
        ),
        (
            0,
            "GET",
            "/traefik",
            itself.clone(),
            none(),
            ("traefik", "deny", "malformed"),
        ),
        (
            0,
            "POST",
            "/v1/data/kong/allow",
            vec![("host", b"p")],
            document("no JSON"),
            ("kong_opa", "deny", "malformed"),
        ),
        // Whom it is counted for is as good a guess as any.
        (
            0,
            "GET",
            "/no/door",
            itself,
            none(),
            ("traefik", "deny", "malformed"),
        ),
        (
            2,
            "GET",
            "/",
            forwarded(good),
            none(),
            ("caddy", "deny", "strange_peer"),
        ),
    ] {
        let bytes = request(method, target.as_bytes(), &headers, &body);
        let reply = exchange(house.all_http()[listener], &bytes).await;
        let allowed = reply.status == 200 && !reply.body.starts_with(br#"{"result":{"allow":false"#);
        assert_eq!(allowed, kind.1 == "allow", "{target}: {reply:?}");
        expected.push(kind);
    }
    let scrape = Scrape::of(house.admin()).await;
    check(&scrape, &expected);

    for (policy, matches, errors) in [
        ("public-read", 11, 0),
        ("workspace-read", 2, 0),
        ("workspace-reserved-name", 1, 0),
        ("workspace-admin", 0, 0),
        ("overflows", 1, 1),
        ("portcullis.public", 1, 0),
        ("portcullis.other", 0, 0),
    ] {
        let labels = [("policy", policy)];
        let count = |name: &str| scrape.sum(name, &labels) as u64;
        let found = (
            count("portcullis_policy_matches_total"),
            count("portcullis_policy_errors_total"),
        );
        assert_eq!(found, (matches, errors), "{policy}");
    }
    for (issuer, outcome, count) in [
        ("main", "verified", 1),
        ("main", "refused", 2),
        ("main", "unavailable", 0),
        ("(none)", "refused", 0),
    ] {
        let labels = [("issuer", issuer), ("outcome", outcome)];
        assert_eq!(
            scrape.sum("portcullis_token_verifications_total", &labels) as u64,
            count,
            "{labels:?}"
        );
    }
    for (result, count) in [("miss", 1), ("hit", 4), ("verified", 0)] {
        let found = scrape.sum("portcullis_token_cache_lookups_total", &[("result", result)]);
        assert_eq!(found as u64, count, "{result}");
    }
    for cache in ["lately", "verified"] {
        assert_eq!(
            scrape.sum("portcullis_token_cache_entries", &[("cache", cache)]),
            1.0,
            "{cache}"
        );
    }
    // Every check got as far as the first step that could refuse it, and was measured up to there.
    let walked = expected.iter().filter(|(_, _, reason)| {
        !["malformed", "strange_peer", "ambiguous_path", "invalid_host"].contains(reason)
    });
    let gates = scrape.sum(
        "portcullis_decision_step_duration_seconds_count",
        &[("step", "gate")],
    );
    assert_eq!(gates as usize, walked.count());
    let (fetched, failed) = ("succeeded", "failed");
    let fetches = |outcome| {
        scrape.sum(
            "portcullis_jwks_fetches_total",
            &[("issuer", "main"), ("outcome", outcome)],
        )
    };
    assert_eq!((fetches(fetched), fetches(failed)), (1.0, 0.0));
    assert_eq!(scrape.sum("portcullis_jwks_keys", &[("issuer", "main")]), 5.0);
}

#[tokio::test]
async fn nothing_a_client_sends_makes_a_series() {
    let house = TestHouse::with(listeners, &[]).await;
    house.ask("GET", "/public/a", &[]).await;
    let series = |scrape: &Scrape| {
        let names = scrape.series.iter();
        names
            .map(|(name, labels, _)| (name.clone(), labels.clone()))
            .collect::<Vec<_>>()
    };
    let before = series(&Scrape::of(house.admin()).await);
    for n in 0..50 {
        let token = format!("Bearer {n}.{n}.{n}");
        let name = format!("x-{n}");
        house
            .ask("GET", &format!("/workspaces/{n}"), &[("authorization", &token)])
            .await;
        house
            .ask(
                &format!("METHOD{n}"),
                &format!("/{n}?{n}={n}"),
                &[(&name, "portcullis")],
            )
            .await;
        let host = format!("host-{n}.test");
        let asked = request(
            "GET",
            format!("/check/{n}").as_bytes(),
            &[("host", host.as_bytes())],
            b"",
        );
        exchange(house.http(), &asked).await;
    }
    assert_eq!(series(&Scrape::of(house.admin()).await), before);
}

#[tokio::test]
async fn what_is_asked_of_the_house_is_counted_and_so_is_what_is_revoked() {
    let house = TestHouse::with_authority("").await;
    let token = format!("Bearer {}", people::alice(&house.issuer).token);
    let headers = [("authorization", token.as_str())];
    assert!(house.ask("GET", "/workspaces/ws-alice", &headers).await.allowed);
    let settings = StoreSettings {
        store: format!("sqlite:{}", house.store().display()).into(),
        ..StoreSettings::default()
    };
    let replica = Authority::start(&settings, Arc::new(|_| {}))
        .await
        .expect("the store");
    let revocation = NewRevocation {
        issuer: "main".to_owned(),
        what: Revoked::Subject(people::ALICE.to_owned()),
        before: Before::Ever,
        reason: None,
        expires_at: None,
    };
    replica.revoke("test", revocation).await.expect("a revocation");
    let mut expected: Vec<Kind> = vec![("envoy_grpc", "allow", "permitted")];
    crate::house::until("the revocation counts", async || {
        let answer = house.ask("GET", "/workspaces/ws-alice", &headers).await;
        expected.push(match answer.allowed {
            true => ("envoy_grpc", "allow", "permitted"),
            false => ("envoy_grpc", "deny", "revoked"),
        });
        !answer.allowed
    })
    .await;
    let nobody = http::send(house.admin(), "GET", "/admin/v1/revocations", &[], Bytes::new()).await;
    assert_eq!(nobody.expect("an answer").status(), 401);
    expected.push(("house", "deny", "credential_missing"));
    let scrape = Scrape::of(house.admin()).await;
    check(&scrape, &expected);
    for (name, value) in [
        ("portcullis_store_connected", 1.0),
        ("portcullis_store_good", 1.0),
        ("portcullis_store_revision", 1.0),
    ] {
        assert_eq!(scrape.sum(name, &[]), value, "{name}");
    }
}

#[tokio::test]
async fn tokens_without_keys_are_unavailable_and_not_refused() {
    let quick = |text: String| {
        text.replace(
            "trust_roles: true",
            "trust_roles: true\n    min_refresh_interval_seconds: 60",
        )
    };
    let house = TestHouse::without_keys(KeyService::Unavailable, quick).await;
    crate::house::until("the first fetch has failed", async || {
        house.readyz().await.1.contains("last fetch failed")
    })
    .await;
    let token = format!("Bearer {}", people::alice(&house.issuer).token);
    for _ in 0..3 {
        house
            .ask("GET", "/workspaces/ws-alice", &[("authorization", &token)])
            .await;
    }
    let scrape = Scrape::of(house.admin()).await;
    check(&scrape, &[("envoy_grpc", "deny", "keys_unavailable"); 3]);
    let labels = [("issuer", "main"), ("outcome", "unavailable")];
    assert_eq!(scrape.sum("portcullis_token_verifications_total", &labels), 3.0);
    let failed = [("issuer", "main"), ("outcome", "failed")];
    assert_eq!(scrape.sum("portcullis_jwks_fetches_total", &failed), 1.0);
    assert_eq!(scrape.sum("portcullis_jwks_keys", &[("issuer", "main")]), 0.0);
    assert_eq!(
        scrape.with("portcullis_jwks_age_seconds", &[]).count(),
        0,
        "there is no age yet"
    );
}
