//! The admin API: whoever asks is somebody, policies say whether they may, and what is done is done at once.

mod grpc;
mod revoked;

use std::collections::BTreeMap;

use bytes::Bytes;
use portcullis::demo::{http, people};
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::house::TestHouse;

/// The example that the default policies come with.
const POLICIES: &str = include_str!("../../../policies/default/authority/administrators.cedar");

pub(super) async fn house() -> TestHouse {
    TestHouse::with_authority(POLICIES).await
}

/// Somebody in the group that the example names.
pub(super) fn administrator(house: &TestHouse) -> String {
    let mut claims = people::admin_claims();
    claims["groups"] = json!(["/platform-admins"]);
    house.issuer.token(claims)
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    media_type: String,
    headers: BTreeMap<String, String>,
}

/// Asks the JSON form of the API.
pub(super) async fn ask(
    house: &TestHouse,
    token: Option<&str>,
    (method, path): (&str, &str),
    body: &Value,
) -> Answer {
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    headers.extend(token.map(|token| ("authorization".to_owned(), format!("Bearer {token}"))));
    let body = match body {
        Value::Null => Bytes::new(),
        body => Bytes::from(body.to_string()),
    };
    let answer = http::send(house.admin(), method, &format!("/admin/v1{path}"), &headers, body)
        .await
        .expect("an answer");
    let headers: BTreeMap<String, String> = answer
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
        .collect();
    Answer {
        status: answer.status().as_u16(),
        body: serde_json::from_slice(answer.body()).unwrap_or_default(),
        media_type: headers.get("content-type").cloned().unwrap_or_default(),
        headers,
    }
}

fn node(name: &str) -> Value {
    let url = |path: &str| format!("https://{name}.example.test{path}");
    json!({
        "name": name,
        "base_url": url(""),
        "jwks_url": url("/network/jwks"),
        "token_url": url("/network/token"),
        "authorization_url": url("/ui/network/authorize"),
        "redirect_uris": [url("/network/link")],
    })
}

fn revocation(kind: &str, value: &str) -> Value {
    json!({ "issuer": "main", "kind": kind, "value": value, "reason": "a test" })
}

/// A verb as JSON; what an administrator gets; the action that it is decided by; and the resource.
type Row = (&'static str, &'static str, Value, u16, &'static str, &'static str);

fn rows() -> Vec<Row> {
    let digest = "network_tokens/00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let network_token: &'static str = format!("/{digest}").leak();
    let network_item: &'static str = digest.replace("network_tokens", "network_token").leak();
    let bob = |local: &str| json!({ "node": "b", "name": "bob", "local_user": local });
    vec![
        ("GET", "/nodes", Value::Null, 200, "nodes.read", "node"),
        ("POST", "/nodes", node("b"), 201, "nodes.write", "node/b"),
        ("POST", "/nodes", node("b"), 409, "nodes.write", "node/b"),
        ("GET", "/nodes/b", Value::Null, 200, "nodes.read", "node/b"),
        ("PUT", "/nodes/b", node("b"), 200, "nodes.write", "node/b"),
        ("GET", "/nodes/c", Value::Null, 404, "nodes.read", "node/c"),
        (
            "GET",
            "/remote_users",
            Value::Null,
            200,
            "remote_users.read",
            "remote_user",
        ),
        (
            "POST",
            "/remote_users",
            bob(""),
            201,
            "remote_users.write",
            "remote_user/b/bob",
        ),
        (
            "GET",
            "/remote_users/b/bob",
            Value::Null,
            200,
            "remote_users.read",
            "remote_user/b/bob",
        ),
        (
            "PUT",
            "/remote_users/b/bob",
            bob("main/bob"),
            200,
            "remote_users.write",
            "remote_user/b/bob",
        ),
        (
            "DELETE",
            "/remote_users/b/bob",
            Value::Null,
            204,
            "remote_users.write",
            "remote_user/b/bob",
        ),
        (
            "DELETE",
            "/remote_users/b/bob",
            Value::Null,
            404,
            "remote_users.write",
            "remote_user/b/bob",
        ),
        ("DELETE", "/nodes/b", Value::Null, 204, "nodes.write", "node/b"),
        (
            "GET",
            "/network_tokens",
            Value::Null,
            200,
            "tokens.read",
            "network_token",
        ),
        (
            "GET",
            network_token,
            Value::Null,
            404,
            "tokens.read",
            network_item,
        ),
        (
            "DELETE",
            network_token,
            Value::Null,
            404,
            "tokens.write",
            network_item,
        ),
        (
            "GET",
            "/delegated_tokens",
            Value::Null,
            200,
            "tokens.read",
            "token",
        ),
        (
            "GET",
            "/delegated_tokens/none",
            Value::Null,
            404,
            "tokens.read",
            "token/none",
        ),
        (
            "DELETE",
            "/delegated_tokens/none",
            Value::Null,
            404,
            "tokens.write",
            "token/none",
        ),
        (
            "GET",
            "/revocations",
            Value::Null,
            200,
            "revocations.read",
            "revocation",
        ),
        (
            "POST",
            "/revocations",
            revocation("token", "some-jti"),
            201,
            "revocations.write",
            "revocation/main/token/some-jti",
        ),
        (
            "POST",
            "/revocations",
            revocation("client", "jobs"),
            201,
            "revocations.write",
            "revocation/main/client/jobs",
        ),
        (
            "GET",
            "/revocations/none",
            Value::Null,
            404,
            "revocations.read",
            "revocation/none",
        ),
        (
            "DELETE",
            "/revocations/none",
            Value::Null,
            404,
            "revocations.write",
            "revocation/none",
        ),
        ("POST", "/keys/rotate", json!({}), 400, "keys.write", "key"),
        (
            "POST",
            "/keys/rotate",
            json!({ "algorithm": "EdDSA" }),
            200,
            "keys.write",
            "key",
        ),
        (
            "POST",
            "/keys/rotate",
            json!({ "now": true }),
            200,
            "keys.write",
            "key",
        ),
        ("GET", "/keys", Value::Null, 200, "keys.read", "key"),
        ("DELETE", "/keys/none", Value::Null, 404, "keys.write", "key/none"),
    ]
}

#[tokio::test]
async fn every_verb_asks_who_it_is_and_whether_they_may() {
    let house = house().await;
    let administrator = administrator(&house);
    let alice = people::alice(&house.issuer).token;
    for (method, path, body, status, action, item) in rows() {
        let row = format!("{method} {path}");
        for (token, status, reason) in [
            (None, 401, "credential_missing"),
            (Some("not.a.token"), 401, "credential_refused"),
            (Some(&*alice), 403, "no_permit"),
            (Some(&*administrator), status, "permitted"),
        ] {
            let answer = ask(&house, token, (method, path), &body).await;
            assert_eq!(answer.status, status, "{row} {reason}: {answer:?}");
            assert_eq!(answer.headers["cache-control"], "no-store", "{row}");
            // Who did what to which resource, as any decision is told.
            let record = house.last_record();
            for (member, value) in [
                ("reason", reason),
                ("contract", "house"),
                ("action", action),
                ("verdict", if reason == "permitted" { "allow" } else { "deny" }),
            ] {
                if member != "action" || reason != "credential_refused" {
                    assert_eq!(record[member], value, "{row}: {record:#}");
                }
            }
            if reason == "permitted" {
                assert_eq!(
                    record["resource"],
                    format!("Portcullis::Item::\"{item}\""),
                    "{record:#}"
                );
                assert_eq!(
                    record["principal"],
                    format!("User::\"main/{}\"", people::ADMIN),
                    "{record:#}"
                );
                assert_eq!(record["policies"], json!(["administrators"]), "{record:#}");
            } else {
                assert_eq!(
                    answer.body["decision_id"], record["decision_id"],
                    "{row}: {answer:?}"
                );
                assert_eq!(answer.headers["x-portcullis-decision-id"], record["decision_id"]);
                assert_eq!(
                    answer.headers.contains_key("www-authenticate"),
                    status == 401,
                    "{row}"
                );
            }
            if status >= 400 {
                assert_eq!(answer.media_type, "application/problem+json", "{row}");
                assert_eq!(answer.body["status"], status, "{row}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_said_and_not_done() {
    let house = house().await;
    let administrator = administrator(&house);
    let later = "2999-01-01T00:00:00Z";
    let with = |mut body: Value, member: &str, value: Value| {
        body[member] = value;
        body
    };
    let named = |name: &str| with(node("b"), "name", json!(name));
    for (method, path, body, says) in [
        ("GET", "/nodes?page_size=1001", Value::Null, "at most 1000"),
        ("GET", "/nodes?page_size=many", Value::Null, "page_size"),
        ("GET", "/nodes?colour=red", Value::Null, "colour"),
        ("GET", "/remote_users?local_user=alice", Value::Null, "main/alice"),
        (
            "POST",
            "/keys/rotate",
            json!({ "algorithm": "HS256" }),
            "EdDSA or RS256",
        ),
        ("POST", "/nodes", named(""), "`name`"),
        ("POST", "/nodes", named("a\u{7}b"), "control characters"),
        ("POST", "/nodes", named("a b"), "`name`"),
        (
            "POST",
            "/nodes",
            with(node("b"), "jwks_url", json!("nowhere")),
            "`jwks_url`",
        ),
        (
            "POST",
            "/nodes",
            with(node("b"), "colour", json!("red")),
            "colour",
        ),
        ("PUT", "/nodes/c", node("b"), "names never change"),
        ("POST", "/remote_users", json!({"node": "b"}), "`name` is missing"),
        (
            "PUT",
            "/remote_users/b/bob",
            json!({"local_user": "other/bob"}),
            "there are: main",
        ),
        (
            "POST",
            "/revocations",
            revocation("tokens", "x"),
            "token, subject, client, issuer",
        ),
        (
            "POST",
            "/revocations",
            revocation("subject", ""),
            "`value` is missing",
        ),
        (
            "POST",
            "/revocations",
            revocation("issuer", "x"),
            "everything it issued",
        ),
        (
            "POST",
            "/revocations",
            revocation("token", &"x".repeat(1025)),
            "1024",
        ),
        (
            "POST",
            "/revocations",
            with(
                revocation("token", "x"),
                "issued_before",
                json!("2026-01-01T00:00:00Z"),
            ),
            "single tokens",
        ),
        (
            "POST",
            "/revocations",
            with(revocation("subject", "x"), "expires_at", json!(later)),
            "single tokens",
        ),
        (
            "POST",
            "/revocations",
            with(revocation("subject", "x"), "issued_before", json!(later)),
            "later than now",
        ),
        (
            "POST",
            "/revocations",
            with(revocation("subject", "x"), "issued_before", json!("yesterday")),
            "yesterday",
        ),
        (
            "POST",
            "/revocations",
            with(revocation("subject", "x"), "issuer", json!("mian")),
            "there are: main",
        ),
        (
            "POST",
            "/revocations",
            with(revocation("subject", "x"), "issuer", json!("")),
            "`issuer` is missing",
        ),
        (
            "POST",
            "/revocations",
            with(revocation("subject", "x"), "issuer_url", json!("https://x")),
            "not both",
        ),
        (
            "POST",
            "/revocations",
            json!({"issuer_url": "https://x", "kind": "token", "value": "x"}),
            "no issuer",
        ),
        (
            "POST",
            "/revocations",
            with(revocation("subject", "x"), "reason", json!("x".repeat(70_000))),
            "length limit",
        ),
    ] {
        let answer = ask(&house, Some(&administrator), (method, path), &body).await;
        assert_eq!(answer.status, 400, "{method} {path} {says}: {answer:?}");
        let detail = answer.body["detail"].as_str().expect("a detail");
        assert!(detail.contains(says), "{method} {path}: {detail}");
    }
    for list in ["nodes", "revocations"] {
        let answer = ask(
            &house,
            Some(&administrator),
            ("GET", &format!("/{list}")),
            &Value::Null,
        )
        .await;
        assert_eq!(answer.body[list], json!([]), "{answer:?}");
    }
}

/// So many revocations at once, as if they had been made one by one.
async fn fill(house: &TestHouse, count: u32) {
    sqlx::any::install_default_drivers();
    let mut store = sqlx::AnyConnection::connect(&format!("sqlite:{}", house.store().display()))
        .await
        .expect("the store");
    let mut all = store.begin().await.expect("a transaction");
    for number in 0..count {
        let row = "INSERT INTO revocations (id, issuer, kind, name, created_at, created_by) VALUES ($1, 'main', 'token', $2, 0, '')";
        let row = sqlx::query(row)
            .bind(format!("id-{:08x}", number.wrapping_mul(2_654_435_761)))
            .bind(format!("jti-{number}"));
        row.execute(&mut *all).await.expect("a row");
    }
    all.commit().await.expect("all of them");
}

#[tokio::test]
async fn a_list_comes_in_pages_that_together_are_all_of_it() {
    let house = house().await;
    let administrator = administrator(&house);
    fill(&house, 2500).await;
    for (size, pages) in [(1000, 3), (999, 3), (0, 25)] {
        let mut found = Vec::new();
        let mut token = String::new();
        for page in 1..=pages {
            let path = format!("/revocations?page_size={size}&page_token={token}");
            let answer = ask(&house, Some(&administrator), ("GET", &path), &Value::Null).await;
            let items = answer.body["revocations"].as_array().expect("a list");
            found.extend(
                items
                    .iter()
                    .map(|item| item["value"].as_str().expect("a jti").to_owned()),
            );
            token = answer.body["next_page_token"]
                .as_str()
                .expect("a token")
                .to_owned();
            assert_eq!(token.is_empty(), page == pages, "page {page} of {pages}");
        }
        assert_eq!(found.len(), 2500, "with pages of {size}");
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 2500, "with pages of {size}");
    }
}

#[tokio::test]
async fn people_see_what_is_theirs_and_nothing_else() {
    let house = house().await;
    let administrator = administrator(&house);
    let alice = people::alice(&house.issuer).token;
    let here = format!("main/{}", people::ALICE);
    for (path, body) in [
        ("/nodes", node("b")),
        (
            "/remote_users",
            json!({ "node": "b", "name": "alice-at-b", "local_user": here }),
        ),
        (
            "/remote_users",
            json!({ "node": "b", "name": "bob", "local_user": "main/bob" }),
        ),
    ] {
        let answer = ask(&house, Some(&administrator), ("POST", path), &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    for (method, path, status) in [
        ("GET", format!("/remote_users?local_user={here}"), 200),
        ("GET", format!("/delegated_tokens?subject={here}"), 200),
        ("GET", "/remote_users/b/alice-at-b".to_owned(), 200),
        ("GET", "/remote_users/b/bob".to_owned(), 403),
        ("GET", "/remote_users/b/nobody".to_owned(), 403),
        ("GET", "/remote_users?local_user=main/bob".to_owned(), 403),
        (
            "GET",
            format!("/remote_users?local_user=other/{}", people::ALICE),
            403,
        ),
        ("DELETE", "/remote_users/b/alice-at-b".to_owned(), 403),
    ] {
        let answer = ask(&house, Some(&alice), (method, &path), &Value::Null).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        if path.contains('?') && status == 200 && path.starts_with("/remote") {
            let users = answer.body["remote_users"].as_array().expect("a list");
            assert_eq!(users.len(), 1, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn without_an_authority_there_is_no_api_and_without_policies_nobody_may() {
    let plain = TestHouse::start().await;
    let token = administrator(&plain);
    assert_eq!(
        ask(&plain, Some(&token), ("GET", "/nodes"), &Value::Null)
            .await
            .status,
        404
    );
    let house = TestHouse::with_authority("").await;
    let token = administrator(&house);
    assert_eq!(
        ask(&house, Some(&token), ("GET", "/nodes"), &Value::Null)
            .await
            .status,
        403
    );
}
