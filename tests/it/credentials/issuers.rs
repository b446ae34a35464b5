//! Several issuers side by side, and the places their keys come from.

use portcullis::demo::issuer::{LocalIssuer, OldKey};
use portcullis::demo::keys::{KeyKind, SigningKey};
use portcullis::demo::people;
use portcullis::demo::scratch::ScratchDir;
use serde_json::{Value, json};

use super::{passed, refused};
use crate::house::{Front, TestHouse, until, with_issuers};

const ALICES: &str = "/workspaces/ws-alice";

/// An issuer under this name, with more settings.
fn entry(name: &str, issuer: &str, more: &str) -> String {
    format!(
        "  - {{ name: {name}, issuer: {issuer}, audiences: [workspace-api], trust_roles: true, \
         min_refresh_interval_seconds: 1{more} }}\n"
    )
}

/// A house with these issuers, behind Envoy.
async fn house(entries: String) -> Option<(TestHouse, Front)> {
    let house = TestHouse::with(with_issuers(entries), &[]).await;
    let front = house.envoy(|options| options).await?;
    Some((house, front))
}

fn alice_of(name: &str) -> String {
    format!("{name}/{}", people::ALICE)
}

#[tokio::test]
async fn two_issuers_may_call_their_keys_alike() {
    let (one, other) = (LocalIssuer::start().await, LocalIssuer::start().await);
    let (one, other) = (one.expect("an issuer"), other.expect("an issuer"));
    let entries = entry("one", one.issuer(), "") + &entry("other", other.issuer(), "");
    let Some((house, front)) = house(entries).await else {
        return;
    };
    for kind in KeyKind::ALL {
        let (mine, theirs) = (one.key(kind), other.key(kind));
        assert_eq!(mine.kid(), theirs.kid());
        assert_ne!(mine.jwk(), theirs.jwk());
        for (name, issuer, key, others) in [("one", &one, &mine, &theirs), ("other", &other, &theirs, &mine)]
        {
            let row = format!("{name} {kind:?}");
            let claims = issuer.complete(people::alice_claims());
            let got = front.get(ALICES, &issuer.mint(&key.header(), &claims, key)).await;
            passed(&got, &[("x-auth-principal", &alice_of(name))], &row);
            let got = front
                .get(ALICES, &issuer.mint(&others.header(), &claims, others))
                .await;
            refused(&house, &got, "signature", &row);
        }
    }
}

#[tokio::test]
async fn keys_from_a_file_are_read_again_when_an_unknown_one_is_named() {
    let mut issuer = LocalIssuer::start().await.expect("an issuer");
    issuer.stop().await;
    let dir = ScratchDir::new("jwks").expect("a directory");
    let file = dir.path().join("keys.json");
    let write = |jwks: &Value| std::fs::write(&file, jwks.to_string()).expect("a file");
    write(&issuer.jwks());
    let more = format!(", jwks_file: {}", file.display());
    let Some((house, front)) = house(entry("file", issuer.issuer(), &more)).await else {
        return;
    };
    let old = people::alice(&issuer).token;
    passed(
        &front.get(ALICES, &old).await,
        &[("x-auth-principal", &alice_of("file"))],
        "of the file",
    );
    let stranger = SigningKey::generate(KeyKind::Es256, "stranger").expect("a key");
    let claims = issuer.complete(people::alice_claims());
    let strangers = issuer.mint(&stranger.header(), &claims, &stranger);
    refused(
        &house,
        &front.get(ALICES, &strangers).await,
        "\"stranger\"",
        "of nobody",
    );
    issuer.rotate(OldKey::Removed).expect("a key");
    let new = people::alice(&issuer).token;
    // Half a file is no reason to forget anything.
    std::fs::write(&file, "{\"keys\": [").expect("a file");
    until("the half file was read", async || {
        refused(&house, &front.get(ALICES, &new).await, "no key", "not there yet");
        house.readyz().await.1.contains("last fetch failed")
    })
    .await;
    passed(&front.get(ALICES, &old).await, &[], "of the whole file");
    write(&issuer.jwks());
    until("the new key is known", async || {
        front.get(ALICES, &new).await.status == 200
    })
    .await;
    refused(&house, &front.get(ALICES, &old).await, "no key", "withdrawn");
}

#[tokio::test]
async fn keys_come_from_the_first_place_that_has_them() {
    let (gone, issuer, spare) = (
        LocalIssuer::start().await,
        LocalIssuer::start().await,
        LocalIssuer::start().await,
    );
    let (mut gone, issuer) = (gone.expect("an issuer"), issuer.expect("an issuer"));
    let spare = spare.expect("an issuer");
    gone.stop().await;
    let more = format!(
        ", jwks_uri: ['{}', '{}/nothing-here', '{}', '{}']",
        gone.jwks_uri(),
        spare.issuer(),
        issuer.jwks_uri(),
        spare.jwks_uri()
    );
    let Some((house, front)) = house(entry("list", issuer.issuer(), &more)).await else {
        return;
    };
    let alice = people::alice(&issuer).token;
    passed(
        &front.get(ALICES, &alice).await,
        &[("x-auth-principal", &alice_of("list"))],
        "by the third",
    );
    assert_eq!(
        (issuer.discoveries(), spare.fetches()),
        (0, 0),
        "nobody else was asked"
    );
    let others = spare.key(KeyKind::Rs256);
    let foreign = issuer.mint(
        &others.header(),
        &issuer.complete(people::alice_claims()),
        &others,
    );
    refused(
        &house,
        &front.get(ALICES, &foreign).await,
        "signature",
        "by the fourth",
    );
}

/// HS256 over the secret below: `urn:office`, subject and client `printer`, scope `catalogue`, good until 2100.
const PRINTER: &str = "eyJhbGciOiJIUzI1NiJ9.\
    eyJpc3MiOiJ1cm46b2ZmaWNlIiwic3ViIjoicHJpbnRlciIsImF1ZCI6IndvcmtzcGFjZS1hcGkiLCJjbGllbnRfaWQiOiJwcmludGVyIiwic2NvcGUi\
    OiJjYXRhbG9ndWUiLCJleHAiOjQxMDI0NDQ4MDB9.\
    RciNyjj6mpSM7wNDMk4fHPJRtYJO1hfqwxPShAiIpPQ";

#[tokio::test]
async fn a_shared_secret_signs_for_its_own_issuer_only() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let secrets = ", profile: oidc, hmac_secrets: ['another secret of this test, 32 bytes', \
                   'a secret of this test, of 32 bytes']";
    let entries = entry("office", "urn:office", secrets) + &entry("main", issuer.issuer(), "");
    let Some((house, front)) = house(entries).await else {
        return;
    };
    let told = [("x-auth-principal", "office/printer"), ("x-auth-type", "Client")];
    passed(
        &front.get("/catalogue/x", PRINTER).await,
        &told,
        "by the second secret",
    );
    let altered = PRINTER.replace("RciN", "RciM");
    refused(
        &house,
        &front.get("/catalogue/x", &altered).await,
        "signature",
        "altered",
    );
    let key = issuer.key(KeyKind::Rs256);
    let mut claims =
        issuer.complete(json!({ "sub": "printer", "client_id": "printer", "scope": "catalogue" }));
    claims["iss"] = "urn:office".into();
    let asymmetric = issuer.mint(&key.header(), &claims, &key);
    refused(
        &house,
        &front.get("/catalogue/x", &asymmetric).await,
        "RS256",
        "by a key of somebody",
    );
    let alice = people::alice(&issuer).token;
    passed(&front.get(ALICES, &alice).await, &[], "the issuer with keys");
}

#[tokio::test]
async fn claims_are_demanded_and_found_where_the_settings_say() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let more = ", profile: oidc, required_claims: [/realm/tenant, jti], claims: { groups: /realm/groups, \
                name: display, id: uid, scopes: scp, type: { claim: kind, values: { machine: Robot, human: User } } }";
    let Some((house, front)) = house(entry("mapped", issuer.issuer(), more)).await else {
        return;
    };
    let base = json!({
        "sub": "opaque", "uid": "u-17", "kind": "machine", "display": "Press 4", "scp": ["catalogue", "x"],
        "client_id": "press", "groups": ["wrong"], "realm": { "tenant": "t1", "groups": ["printers", "floor-4"] },
    });
    let with = |name: &str, value: Value| {
        let mut claims = base.clone();
        claims[name] = value;
        issuer.token(claims)
    };
    let got = front.get("/public/hello", &issuer.token(base.clone())).await;
    let told = [
        ("x-auth-type", "Robot"),
        ("x-auth-principal", "mapped/u-17"),
        ("x-auth-name", "Press 4"),
        ("x-auth-groups", "printers,floor-4"),
        ("x-auth-client", "press"),
    ];
    passed(&got, &told, "as the settings say");
    passed(
        &front.get("/public/hello", &with("kind", "human".into())).await,
        &[("x-auth-type", "User")],
        "human",
    );
    for (token, why) in [
        (with("realm", json!({ "groups": [] })), "/realm/tenant"),
        (with("jti", Value::Null), "\"jti\""),
        (with("kind", "ghost".into()), "\"ghost\""),
        (with("uid", 17.into()), "sub"),
    ] {
        refused(&house, &front.get("/public/hello", &token).await, why, why);
    }
}
