//! A job acts for a user with a delegated token: at the token endpoint, and through a real Envoy.

mod refused;

use authority::{
    Authority, DelegationSettings, Grant, House, KeySettings, KeyUse, NewRevocation, Origin, Page, Publish,
    Renewed, Rotation, StoreError, StoreSettings,
};
use bytes::Bytes;
use model::{Actor, Before, Principal, PrincipalKind, Revoked};
use portcullis::demo::scratch::ScratchDir;
use portcullis::demo::{http, people};
use serde_json::{Value, json};

use super::postgres::PostgresServer;
use crate::house::{TestHouse, until};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The robot may get tokens for users, for certain workspaces.
const AUTHORITY: &str = r#"@id("robot-acts")
permit (principal == Robot::"main/b1946ac9-2c3e-4d8b-9b7a-64c1de5a7b03", action == Action::"token.exchange", resource)
when { resource.subject_type == "User" && resource has workspaces };"#;

/// And it may read with them.
const ACTOR: &str = r#"@id("robot-reads-for-users")
permit (principal == Actor::"main/ws-alice", action in Action::"read", resource) when { resource has workspace };"#;

/// A house with an authority, and its store.
pub(crate) struct Stage {
    pub(crate) house: TestHouse,
    folder: ScratchDir,
}

/// What the token endpoint answers.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: ::http::HeaderMap,
    body: Value,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let folder = ScratchDir::new("delegation").expect("a folder");
        let section = format!(
            "authority:\n  issuer: https://gate.example.test\n  listen: 127.0.0.1:0\n  store: sqlite:{}\n  keys: \
             {{encryption_key: \"{}\"}}\n  delegation: {{audiences: [workspace-api, store], max_lifetime_seconds: 600}}\n",
            folder.path().join("house.db").display(),
            "5a".repeat(32),
        );
        let alter = |text: String| {
            let text = text.replace(
                "    trust_roles: true",
                "    leeway_seconds: 0\n    trust_roles: true",
            );
            format!("{text}\n{section}")
        };
        let house = TestHouse::with_house_policies(alter, &[("actor.cedar", ACTOR)], AUTHORITY).await;
        Self { house, folder }
    }

    /// Exchanges Alice's token, or another, for what else is asked.
    pub(crate) async fn exchange(&self, client: Option<&str>, subject: &str, more: &str) -> Answer {
        let token_type = "subject_token_type";
        let body =
            format!("grant_type={EXCHANGE}&subject_token={subject}&{token_type}={ACCESS_TOKEN}&{more}");
        self.post(client, &body).await
    }

    async fn post(&self, client: Option<&str>, body: &str) -> Answer {
        let mut headers = vec![
            ("host".to_owned(), "gate.example.test".to_owned()),
            (
                "content-type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            ),
        ];
        headers.extend(client.map(|token| ("authorization".to_owned(), format!("Bearer {token}"))));
        let body = Bytes::from(body.to_owned());
        let answer = http::send(self.house.authority(), "POST", "/token", &headers, body).await;
        let answer = answer.expect("an answer");
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: serde_json::from_slice(answer.body()).unwrap_or_default(),
        }
    }

    async fn get(&self, path: &str) -> Value {
        let headers = [("host".to_owned(), "gate.example.test".to_owned())];
        let answer = http::send(self.house.authority(), "GET", path, &headers, Bytes::new()).await;
        serde_json::from_slice(answer.expect("an answer").body()).expect("JSON")
    }

    /// Revokes as another replica would.
    async fn revoke(&self, issuer: &str, what: Revoked) {
        let settings = StoreSettings {
            store: format!("sqlite:{}", self.folder.path().join("house.db").display()).into(),
            ..StoreSettings::default()
        };
        let nobody: Publish = std::sync::Arc::new(|_| {});
        let replica = Authority::start(&settings, nobody).await.expect("the store");
        let revocation = NewRevocation {
            issuer: issuer.to_owned(),
            what,
            before: Before::Ever,
            reason: None,
            expires_at: None,
        };
        replica.revoke("test", revocation).await.expect("a revocation");
    }
}

impl Answer {
    pub(crate) fn token(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.body["access_token"].as_str().expect("a token").to_owned()
    }

    fn error(&self) -> (u16, &str) {
        (self.status, self.body["error"].as_str().unwrap_or_default())
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }
}

/// The claims of a token, unverified.
fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).expect("a payload");
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload);
    serde_json::from_slice(&payload.expect("base64url")).expect("JSON")
}

#[tokio::test]
async fn a_job_outlives_the_token_of_its_user_and_stops_when_that_is_revoked() {
    let stage = Stage::start().await;
    let Some(front) = stage.house.envoy(|options| options).await else {
        return;
    };
    let robot = people::robot(&stage.house.issuer).token;
    let mut claims_of_alice = stage.house.issuer.complete(people::alice_claims());
    let soon = claims_of_alice["iat"].as_u64().expect("a time") + 12;
    claims_of_alice["exp"] = soon.into();
    let alice = stage.house.issuer.token(claims_of_alice.clone());
    let first = stage
        .exchange(Some(&robot), &alice, "workspace=ws-alice&lifetime=500")
        .await;
    assert_eq!(first.header("cache-control"), "no-store");
    assert_eq!(first.body["issued_token_type"], json!(ACCESS_TOKEN));
    assert_eq!(first.body["token_type"], json!("Bearer"));
    assert_eq!(first.body["expires_in"], json!(500));
    assert_eq!(first.body["workspaces"], json!(["ws-alice"]));
    let first = first.token();
    let got = front.get("/workspaces/ws-alice", &first).await;
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(
        got.at_upstream("x-auth-principal"),
        [format!("main/{}", people::ALICE)]
    );
    // The user may and whoever acts may not; then what is outside of the token, whoever may.
    for (method, target, reason, why) in [
        (
            "PUT",
            "/workspaces/ws-alice",
            "no_permit",
            "who acts for it: both must be allowed",
        ),
        (
            "GET",
            "/workspaces/ws-bob",
            "outside_delegation",
            "is good for the workspace \"ws-alice\", and ",
        ),
        (
            "GET",
            "/public/x",
            "outside_delegation",
            "(it has no attribute `workspace`)",
        ),
    ] {
        let bearer = format!("Bearer {first}");
        let headers = [("authorization", bearer.as_str())];
        let got = front.send(method, target, &headers, Bytes::new()).await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (403, false),
            "{method} {target}"
        );
        let record = stage.house.last_record();
        assert_eq!(record["reason"], json!(reason), "{record}");
        assert!(
            record["why"].as_str().is_some_and(|said| said.contains(why)),
            "{record}"
        );
        let id = record["decision_id"].as_str().expect("an id");
        let explained = http::send(
            stage.house.admin(),
            "GET",
            &format!("/decisions/{id}"),
            &[],
            Bytes::new(),
        )
        .await;
        let explained: Value = serde_json::from_slice(explained.expect("an answer").body()).expect("JSON");
        assert_eq!(
            (&explained["reason"], &explained["why"]),
            (&record["reason"], &record["why"]),
            "{explained}"
        );
    }
    until("the user's own token has ended", async || {
        front.get("/workspaces/ws-alice", &alice).await.status == 401
    })
    .await;
    assert_eq!(
        stage
            .exchange(Some(&robot), &alice, "workspace=ws-alice")
            .await
            .error(),
        (400, "invalid_request")
    );
    assert_eq!(front.get("/workspaces/ws-alice", &first).await.status, 200);
    let second = stage.exchange(Some(&robot), &first, "").await.token();
    assert_eq!(front.get("/workspaces/ws-alice", &second).await.status, 200);
    let id = claims_of_alice["jti"].as_str().expect("a jti").to_owned();
    stage.revoke("main", Revoked::Token(id)).await;
    for token in [&first, &second] {
        until("the delegated token has ended with the user's", async || {
            front.get("/workspaces/ws-alice", token).await.status == 401
        })
        .await;
        assert_eq!(
            stage.exchange(Some(&robot), token, "").await.error(),
            (400, "invalid_request")
        );
    }
    assert_eq!(stage.house.last_record()["reason"], json!("revoked"));
}

#[tokio::test]
async fn no_renewal_launders_what_was_ended() {
    let stage = Stage::start().await;
    let issuer = &stage.house.issuer;
    let robot = people::robot(issuer).token;
    let fresh = async || {
        stage
            .exchange(Some(&robot), &people::alice(issuer).token, "workspace=ws-alice")
            .await
            .token()
    };
    let bad = (400, "invalid_request");
    // Of a chain, whichever token is named.
    let first = fresh().await;
    let second = stage.exchange(Some(&robot), &first, "").await.token();
    let third = stage.exchange(Some(&robot), &first, "").await.token();
    let id = claims(&second)["jti"].as_str().expect("a jti").to_owned();
    stage.revoke("house", Revoked::Token(id)).await;
    for token in [&first, &second, &third] {
        until("the chain has ended", async || {
            stage.exchange(Some(&robot), token, "").await.error() == bad
        })
        .await;
    }
    // What revokes the user's own token: the client it was issued to, the user.
    let about_alice = Revoked::Subject(people::ALICE.to_owned());
    for (client, what) in [
        ("one-ui", Revoked::Client("one-ui".to_owned())),
        ("another-ui", about_alice),
    ] {
        let mut alice = people::alice_claims();
        alice["azp"] = json!(client);
        let token = stage
            .exchange(Some(&robot), &issuer.token(alice), "workspace=ws-alice")
            .await
            .token();
        assert_eq!(stage.exchange(Some(&robot), &token, "").await.status, 200);
        stage.revoke("main", what).await;
        until("it has ended", async || {
            stage.exchange(Some(&robot), &token, "").await.error() == bad
        })
        .await;
    }
    // Whoever acts cannot ask any more, and nothing that it holds counts.
    stage.revoke("main", Revoked::Client("ws-alice".to_owned())).await;
    until("the client has ended", async || {
        stage.exchange(Some(&robot), &first, "").await.error() == (401, "invalid_client")
    })
    .await;
}

#[tokio::test]
async fn others_find_the_endpoint_and_the_keys() {
    let stage = Stage::start().await;
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ] {
        let document = stage.get(path).await;
        assert_eq!(document["issuer"], json!("https://gate.example.test"), "{path}");
        assert_eq!(
            document["token_endpoint"],
            json!("https://gate.example.test/token"),
            "{path}"
        );
        assert_eq!(
            document["jwks_uri"],
            json!("https://gate.example.test/jwks"),
            "{path}"
        );
        assert_eq!(document["grant_types_supported"], json!([EXCHANGE]), "{path}");
    }
    let keys = stage.get("/jwks").await;
    let key = &keys["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"), &json!("sig"))
    );
    assert!(key.get("d").is_none(), "{keys}");
}

/// The statements of keys and tokens are the same for both kinds of store.
#[tokio::test]
async fn a_server_keeps_keys_and_what_was_given() {
    let Some(server) = PostgresServer::start().await else {
        return;
    };
    let settings = StoreSettings {
        store: server.database("delegation").into(),
        ..StoreSettings::default()
    };
    let keys: KeySettings =
        serde_json::from_value(json!({"encryption_key": "5a".repeat(32)})).expect("settings");
    let nobody: Publish = std::sync::Arc::new(|_| {});
    let authority = Authority::start(&settings, nobody).await.expect("the store");
    let authority = authority.with_keys(&keys).expect("keys");
    let house = House {
        name: "house".to_owned(),
        url: "https://gate.example.test".to_owned(),
    };
    let delegation: DelegationSettings =
        serde_json::from_value(json!({"audiences": ["api"]})).expect("settings");
    let mut grant = Grant {
        subject: Principal::new(PrincipalKind::User, "main", "alice"),
        actor: Actor::new("main", "jobs"),
        holder: "Robot::\"main/jobs\"".to_owned(),
        act: json!({"sub": "jobs"}),
        audiences: vec!["api".to_owned()],
        scopes: Vec::new(),
        workspaces: Some(vec!["ws-alice".to_owned()]),
        actions: None,
        lifetime_seconds: 60,
        origin: Origin::default(),
        renews: None,
    };
    let first = authority
        .mint(&house, &delegation, &grant)
        .await
        .expect("a token");
    authority
        .rotate_keys("ada", &KeyUse::ALL, Rotation::Now)
        .await
        .expect("new keys");
    grant.renews = Some(Renewed {
        token_id: first.id.clone(),
        first_id: first.id.clone(),
        began_at: first.expires_at - 60,
    });
    let second = authority
        .mint(&house, &delegation, &grant)
        .await
        .expect("a renewed token");
    grant.actor = Actor::new("main", "other");
    let refused = authority.mint(&house, &delegation, &grant).await;
    assert_eq!(refused.err(), Some(StoreError::NotFound));
    let all = Page {
        after: None,
        limit: 10,
    };
    let listed = authority
        .delegated_tokens(&all, Some("main/alice"))
        .await
        .expect("a list");
    assert_eq!(
        listed.items.iter().map(|token| &*token.id).collect::<Vec<_>>(),
        [&first.id, &second.id]
    );
    assert_eq!(listed.items[0].workspaces, Some(vec!["ws-alice".to_owned()]));
    let kept = authority.keys().await.expect("keys");
    assert_eq!(kept.iter().filter(|key| key.signs).count(), 2, "{kept:?}");
    assert_eq!(authority.node_keys().await.expect("keys").len(), 1);
    authority
        .end_delegated_token("ada", "house", &second.id)
        .await
        .expect("an end");
    let revoked = authority.revocations(&all).await.expect("a list");
    assert_eq!(revoked.items[0].what, Revoked::Token(first.id));
}
