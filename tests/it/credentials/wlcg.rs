//! Tokens of the WLCG profile: people with groups, bearers of capabilities, clients and hosts; and those of SciTokens.

use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::keys::{self, KeyKind, SigningKey};
use serde_json::{Value, json};

use super::{passed, record_of, refused};
use crate::house::{Front, TestHouse, with_issuers};

/// Everybody, and nobody in particular.
const ANY: &str = "https://wlcg.cern.ch/jwt/v1/any";

const CMS_READS: &str = r#"
@id("cms-reads-the-catalogue")
permit (principal in Group::"vo/cms/production", action in Action::"read", resource is Catalogue);
"#;

/// A house whose only issuer follows the profile `wlcg`, behind Envoy. The issuer is known when the house is there, so its
/// settings name the one that the configuration had.
async fn house(more: &'static str) -> Option<(TestHouse, Front)> {
    house_of("wlcg", more).await
}

async fn house_of(profile: &'static str, more: &'static str) -> Option<(TestHouse, Front)> {
    let alter = move |text: String| {
        let issuer = text
            .split("issuer: ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let issuer = issuer.expect("an issuer").to_owned();
        with_issuers(format!(
            "  - {{ name: vo, issuer: {issuer}, audiences: [workspace-api], profile: {profile}{more} }}"
        ))(text)
    };
    let house = TestHouse::with(alter, &[("cms.cedar", CMS_READS)]).await;
    let front = house.envoy(|options| options).await?;
    Some((house, front))
}

/// What all tokens of the profile have, with these claims in addition.
fn claims(more: Value) -> Value {
    let mut claims = json!({ "wlcg.ver": "1.0" });
    let more = more.as_object().expect("an object").clone();
    claims.as_object_mut().expect("an object").extend(more);
    claims
}

fn token(issuer: &LocalIssuer, more: Value) -> String {
    issuer.token(claims(more))
}

fn groups() -> Value {
    json!(["/cms/production", "/cms"])
}

#[tokio::test]
async fn users_clients_and_hosts_are_told_apart() {
    let Some((house, front)) = house("").await else {
        return;
    };
    let user = json!({ "sub": "f3a1", "client_id": "portal", "auth_time": 1, "name": "Ada", "wlcg.groups": groups() });
    let with = |base: &Value, name: &str, value: Value| {
        let mut claims = base.clone();
        claims[name] = value;
        claims
    };
    let rows = [
        ("a user", user.clone(), "User", "f3a1", Some("cms/production,cms")),
        (
            "for everybody",
            with(&user, "aud", ANY.into()),
            "User",
            "f3a1",
            Some("cms/production,cms"),
        ),
        (
            "of a later version",
            with(&user, "wlcg.ver", "1.9".into()),
            "User",
            "f3a1",
            Some("cms/production,cms"),
        ),
        (
            "who was given capabilities",
            with(&user, "scope", "openid storage.read:/data".into()),
            "User",
            "f3a1",
            None,
        ),
        (
            "a client",
            json!({ "sub": "transfers", "client_id": "transfers", "scope": "storage.create:/in compute.read" }),
            "Client",
            "transfers",
            None,
        ),
        (
            "a client has no groups",
            json!({ "sub": "transfers", "client_id": "transfers", "wlcg.groups": groups() }),
            "Client",
            "transfers",
            None,
        ),
        (
            "a host",
            json!({ "sub": "host:xrootd.example.test", "client_id": "host:xrootd.example.test", "scope": "host.auth" }),
            "Robot",
            "host:xrootd.example.test",
            None,
        ),
    ];
    for (what, more, kind, subject, groups) in rows {
        let got = front
            .get("/public/hello", &token(&house.issuer, more.clone()))
            .await;
        let principal = format!("vo/{subject}");
        let told = [
            ("x-auth-type", kind),
            ("x-auth-principal", principal.as_str()),
            ("x-auth-subject", subject),
        ];
        passed(&got, &told, what);
        let groups: Vec<String> = groups.map(str::to_owned).into_iter().collect();
        assert_eq!(got.at_upstream("x-auth-groups"), groups, "{what}");
        let got = front.get("/catalogue/x", &token(&house.issuer, more)).await;
        let status = if groups.is_empty() { 403 } else { 200 };
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, status == 200),
            "{what}"
        );
    }
    // There is no hierarchy: who is in `/cms` only is not in `/cms/production`, nor the other way round.
    let got = front
        .get(
            "/catalogue/x",
            &token(&house.issuer, with(&user, "wlcg.groups", json!(["/cms"]))),
        )
        .await;
    assert_eq!(record_of(&house, &got)["reason"], "no_permit");
}

#[tokio::test]
async fn what_the_profile_forbids_is_refused_and_the_log_says_what() {
    let Some((house, front)) = house("").await else {
        return;
    };
    let user = json!({ "sub": "f3a1", "client_id": "portal", "wlcg.groups": groups() });
    let with = |name: &str, value: Value| {
        let mut claims = user.clone();
        claims[name] = value;
        token(&house.issuer, claims)
    };
    let issuer = &house.issuer;
    let rs256 = issuer.key(KeyKind::Rs256);
    let header = |name: &str, value: &str| {
        let mut header = rs256.header();
        header[name] = value.into();
        header
    };
    let complete = issuer.complete(claims(user.clone()));
    let unsigned = keys::unsigned(&header("alg", "none"), &complete) + ".";
    let hmac = issuer.mint(&header("alg", "HS256"), &complete, &rs256);
    let stranger = SigningKey::generate(KeyKind::Rs256, "stranger").expect("a key");
    let unknown = issuer.mint(&stranger.header(), &complete, &stranger);
    let forger = SigningKey::generate(KeyKind::Rs256, rs256.kid()).expect("a key");
    let forged = issuer.mint(&forger.header(), &complete, &forger);
    for (what, token, why) in [
        (
            "a capability without a path",
            with("scope", "openid storage.read".into()),
            "\"storage.read\" has no path",
        ),
        (
            "a capability with a path that nobody reads alike",
            with("scope", "storage.read:/a/../b".into()),
            "\"storage.read:/a/../b\" has no certain path",
        ),
        (
            "a capability with a path where none is",
            with("scope", "compute.read:/a".into()),
            "\"compute.read:/a\" has a path",
        ),
        ("no version", with("wlcg.ver", Value::Null), "wlcg.ver"),
        ("another version", with("wlcg.ver", "2.0".into()), "\"2.0\""),
        (
            "groups without a slash",
            with("wlcg.groups", json!(["cms"])),
            "wlcg.groups",
        ),
        (
            "another audience",
            with("aud", "another-api".into()),
            "not for us",
        ),
        (
            "a host that is not to be judged as one",
            with("sub", "host:xrootd.example.test".into()),
            "neither a user",
        ),
        (
            "a life without end",
            with("exp", 4_000_000_000_u64.into()),
            "21600",
        ),
        ("an ID token", with("nonce", "n".into()), "ID token"),
        ("no signature", unsigned, "none"),
        ("a signature by secret", hmac, "HS256"),
        ("a key that nobody published", unknown, "\"stranger\""),
        ("a key that somebody else has", forged, "signature"),
    ] {
        for target in ["/public/hello", "/catalogue/x"] {
            let got = front.get(target, &token).await;
            refused(&house, &got, why, what);
            assert!(!record_of(&house, &got).to_string().contains(&token), "{what}");
        }
    }
}

#[tokio::test]
async fn a_site_may_insist_on_its_name() {
    let Some((house, front)) = house(", any_audience: refuse").await else {
        return;
    };
    let user = |aud: Value| json!({ "sub": "f3a1", "client_id": "portal", "aud": aud });
    let got = front
        .get("/public/hello", &token(&house.issuer, user(ANY.into())))
        .await;
    refused(&house, &got, "not for us", "for everybody");
    let both = json!([ANY, "workspace-api"]);
    let got = front
        .get("/public/hello", &token(&house.issuer, user(both)))
        .await;
    passed(&got, &[("x-auth-type", "User")], "for everybody and for us");
}

#[tokio::test]
async fn a_scitoken_is_worth_its_capabilities() {
    let Some((house, front)) = house_of("scitokens", "").await else {
        return;
    };
    let token = |name: &str, value: Value| {
        let mut claims =
            json!({ "sub": "job-7", "ver": "scitoken:2.0", "nbf": 1, "scope": "read:/data write:/data/out" });
        claims[name] = value;
        house.issuer.token(claims)
    };
    for (what, token, kind) in [
        (
            "a bearer of capabilities",
            token("ver", "scitoken:2.0".into()),
            "Client",
        ),
        ("for everybody", token("aud", "ANY".into()), "Client"),
        ("who logged in", token("auth_time", 1.into()), "User"),
    ] {
        let got = front.get("/public/hello", &token).await;
        passed(
            &got,
            &[("x-auth-type", kind), ("x-auth-principal", "vo/job-7")],
            what,
        );
    }
    for (token, why) in [
        (token("ver", "scitoken:1.0".into()), "scitoken:1.0"),
        (token("nbf", Value::Null), "nbf"),
        (
            token("scope", "storage.read".into()),
            "\"storage.read\" has no path",
        ),
        (
            token("scope", "read:data".into()),
            "\"read:data\" has no certain path",
        ),
        (token("scope", "openid".into()), "neither a user"),
        (token("aud", ANY.into()), "not for us"),
    ] {
        refused(&house, &front.get("/public/hello", &token).await, why, why);
    }
}
