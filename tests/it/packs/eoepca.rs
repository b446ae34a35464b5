//! `policies/eoepca`: every row through a real Envoy, and through both of APISIX's shapes.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use portcullis::demo::keys::{self, KeyKind};
use serde_json::{Value, json};

use super::suites::{Pack, Running};
use crate::house::Front;

const ISSUER: &str = "https://iam-auth.example.org/realms/eoepca";

/// Every row of the platform's rules.
const ROWS: [&str; 36] = [
    "E1", "E2", "E3", "E4", "E5", "E6", "E7", "E8", "E9", "E10", "E11", "E12", "E13", "E14", "E14b", "E14c",
    "E14d", "E14e", "E15", "E16", "E17", "E18", "E19", "E20", "E20b", "E21", "E22", "E23", "E24", "E25",
    "E26", "E27", "E28", "E29", "E30", "E31",
];

#[test]
fn every_row_is_held_somewhere() {
    super::every_case_is_held_once("eoepca", &ROWS.map(str::to_owned));
}

#[tokio::test]
async fn the_page_lists_every_identity_header() {
    const PAGE: &str = include_str!("../../../policies/eoepca/README.md");
    let (_, list) = PAGE.split_once("send_headers_upstream: [").expect("the list");
    let (list, _) = list.split_once(']').expect("its end");
    let listed: Vec<&str> = list.split(", ").collect();
    let running = pack().run(ISSUER).await;
    for name in running.house.identity_headers() {
        assert!(listed.contains(&name.as_str()), "{name} is not in {list}");
    }
}

fn pack() -> Pack {
    Pack::read(super::folder("eoepca"))
}

async fn behind_envoy(pack: &Pack) -> Option<(Running, Front)> {
    let running = pack.run(ISSUER).await;
    let front = running.house.envoy(|options| options).await?;
    Some((running, front))
}

#[tokio::test]
async fn rows_through_envoy() {
    let pack = pack();
    let Some((running, front)) = behind_envoy(&pack).await else {
        return;
    };
    for row in &pack.rows {
        row.through_envoy(&running, &front).await;
    }
}

#[tokio::test]
async fn rows_through_both_shapes_of_apisix() {
    let pack = pack();
    let running = pack.run(ISSUER).await;
    for row in pack.rows.iter().filter(|row| row.is_seen_by_apisix()) {
        row.through_forward_auth(&running).await;
        // The host and the path say which rule is meant; the path of the policy is the same for all of them.
        for policy in [
            "workspace/wsapi",
            "workspace/wsui",
            "dataaccess/eoapi",
            "resourceregistration/registrationapi",
        ] {
            row.through_opa(&running, &format!("eoepca/{policy}")).await;
        }
    }
}

fn alice() -> Value {
    json!({ "typ": "Bearer", "sub": "alice", "sid": "a-session", "azp": "workspace-api", "aud": "workspace-api",
        "resource_access": { "ws-alice": { "roles": ["ws_access"] } } })
}

async fn status(front: &Front, headers: &[(&str, &str)]) -> u16 {
    let host = "workspace-api.lab.example.org";
    let got = front
        .send_to(host, "GET", "/workspaces/ws-alice", headers, Bytes::new())
        .await;
    assert_eq!(got.seen.is_some(), got.status == 200, "{got:?}");
    got.status
}

#[tokio::test]
async fn how_a_token_is_presented() {
    let pack = pack();
    let Some((running, front)) = behind_envoy(&pack).await else {
        return;
    };
    let token = running.issuer.token(alice());
    for (name, value, expected) in [
        ("authorization", "Bearer T", 200),
        ("Authorization", "bearer T", 200),
        ("AUTHORIZATION", "Bearer T", 200),
        // The name of a scheme has no case, any number of blanks may follow it (RFC 9110 section 11.1, RFC 6750 section
        // 2.1), and blanks at the end are not part of a header's value.
        ("authorization", "BEARER T", 200),
        ("authorization", "Bearer  T", 200),
        ("authorization", "Bearer T ", 200),
        ("authorization", "Bearer T x", 401),
        ("authorization", "Bearer T T", 401),
        ("authorization", "BearerT", 401),
        ("authorization", "T", 401),
        ("authorization", "Bearer", 401),
        ("authorization", "Bearer\tT", 401),
        ("authorization", "Basic T", 401),
        ("x-authorization", "Bearer T", 401),
    ] {
        // The scheme has a `T` of its own in no row.
        let value = value.replace('T', &token);
        assert_eq!(
            status(&front, &[(name, &value)]).await,
            expected,
            "{name}: {value}"
        );
    }
}

#[tokio::test]
async fn no_other_algorithm() {
    let pack = pack();
    let Some((running, front)) = behind_envoy(&pack).await else {
        return;
    };
    let key = running.issuer.key(KeyKind::Rs256);
    let claims = running.issuer.complete(alice());
    let named = |alg: &str| json!({ "alg": alg, "kid": key.kid(), "typ": "JWT" });
    let by_secret = |secret: &[u8]| {
        let text = keys::unsigned(&named("HS256"), &claims);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let jwks = running.issuer.jwks().to_string();
    let other = running.issuer.key(KeyKind::Es256);
    for (what, token, expected) in [
        ("RS256", key.sign(&named("RS256"), &claims), 200),
        (
            "the right key under RS512",
            key.sign(&named("RS512"), &claims),
            401,
        ),
        (
            "the right key under PS256",
            key.sign(&named("PS256"), &claims),
            401,
        ),
        (
            "another key of the issuer",
            other.sign(&other.header(), &claims),
            401,
        ),
        ("HS256 by the key set", by_secret(jwks.as_bytes()), 401),
        ("HS256 by nothing", by_secret(b""), 401),
        ("none", keys::unsigned(&named("none"), &claims) + ".", 401),
    ] {
        let bearer = format!("Bearer {token}");
        assert_eq!(
            status(&front, &[("authorization", &bearer)]).await,
            expected,
            "{what}"
        );
    }
}
