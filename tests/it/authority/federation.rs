//! Two nodes, each a process with a store of its own and a real Envoy in front of it: users of the one at the other.

use std::net::SocketAddr;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use portcullis::demo::{http, stage};
use serde_json::{Value, json};

use crate::house::Front;
use crate::served::Served;

const ROUTES: &str = "
  - { path: /mapped, methods: [GET], resource: { type: Catalogue, id: mapped } }
  - { path: /of-the-network, methods: [GET], resource: { type: Catalogue, id: of-the-network } }

# Groups of actions";

/// What bob may, what everybody of node-a may, and nobody else.
const POLICIES: &str = r#"
@id("for-local-users")
permit (principal, action == Action::"GET", resource == Catalogue::"mapped")
when { principal == User::"static/alice" || principal == User::"static/bob" };

@id("for-node-a")
permit (principal in Group::"house/magpie_network_node-a", action == Action::"GET", resource == Catalogue::"of-the-network");
"#;

const AUTHORITY: &str = r#"
@id("administrators")
permit (principal == User::"static/admin", action in Action::"administer", resource);
@id("users")
permit (principal is User, action == Action::"network.use", resource);
"#;

/// A node with its Envoy.
struct Node {
    served: Served,
    front: Front,
}

/// What came of a request to an endpoint of network mode.
struct Got {
    status: u16,
    body: Value,
}

impl Node {
    /// `None`, and said so, where Envoy cannot be had.
    async fn start(name: &str, query_parameter: bool) -> Option<Self> {
        let key = pem();
        let config = stage::DEFAULT_CONFIG
            .replace("envoy_grpc: 127.0.0.1:9191", "envoy_grpc: 127.0.0.1:0")
            .replace("admin: 127.0.0.1:9192", "admin: 127.0.0.1:0")
            .replace("public.cedar]", "public.cedar, federation.cedar]")
            .replace("\n# Groups of actions", ROUTES);
        let start = config.find("issuers:\n").expect("a list of issuers");
        let length = config[start..].find("\n\n").expect("an empty line after it");
        let config = format!(
            "{}{}
static_tokens:
  tokens:
    - {{ token: the-token-of-admin, subject: admin, type: User }}
    - {{ token: the-token-of-alice, subject: alice, type: User }}
    - {{ token: the-token-of-bob-1, subject: bob, type: User }}
authority:
  issuer: http://127.0.0.1:1
  listen: 127.0.0.1:0
  policies: [authority.cedar]
  network:
    instance: {name}
    local_issuer: static
    query_parameter: {query_parameter}
    private_keys: [{{ $file: node.pem }}]
",
            &config[..start],
            &config[start + length + 1..]
        );
        let files = [
            ("federation.cedar", POLICIES),
            ("authority.cedar", AUTHORITY),
            ("node.pem", &key),
        ];
        let served = Served::start(&config, &files, &[]).await;
        let front = Front::start(served.grpc(), |options| options).await?;
        Some(Self { served, front })
    }

    fn address(&self) -> SocketAddr {
        self.served.authority()
    }

    /// Asks an endpoint of network mode.
    async fn ask(&self, method: &str, target: &str, token: &str, body: &Value) -> Got {
        let headers = [
            ("authorization".to_owned(), format!("Bearer {token}")),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = http::send(self.address(), method, target, &headers, Bytes::from(body)).await;
        let answer = answer.expect("an answer");
        Got {
            status: answer.status().as_u16(),
            body: serde_json::from_slice(answer.body()).expect("JSON"),
        }
    }

    /// Registers the other node.
    async fn register(&self, name: &str, other: &Self) {
        let at = |path: &str| format!("http://{}{path}", other.address());
        let node = json!({
            "name": name, "base_url": at("/"), "jwks_url": at("/network/jwks"), "token_url": at("/network/token"),
            "authorization_url": at("/ui/network/authorize"), "redirect_uris": [],
        });
        let got = self
            .ask("POST", "/network/nodes", "the-token-of-admin", &node)
            .await;
        assert_eq!(got.status, 201, "{}", got.body);
    }

    /// What Envoy answers to a GET with that token, and who the upstream is told it was.
    async fn get(&self, target: &str, token: &str) -> (u16, Vec<String>) {
        let got = self.front.get(target, token).await;
        let principal = if got.seen.is_some() {
            got.at_upstream("x-auth-principal")
        } else {
            Vec::new()
        };
        (got.status, principal)
    }
}

/// An RSA key.
fn pem() -> String {
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'_> = key.as_der().expect("its form");
    let text = STANDARD.encode(der.as_ref());
    let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).expect("base64"));
        pem.push('\n');
    }
    pem + "-----END PRIVATE KEY-----\n"
}

#[tokio::test]
async fn a_user_of_one_node_is_mapped_at_another_then_nobody_in_particular_then_revoked() {
    let Some(a) = Node::start("node-a", false).await else {
        return;
    };
    let Some(b) = Node::start("node-b", true).await else {
        return;
    };
    a.register("node-b", &b).await;
    b.register("node-a", &a).await;
    let nothing = Value::Null;
    let allowed = |who: &str| (200, vec![who.to_owned()]);
    let denied = |status: u16| (status, Vec::new());
    // At home alice is who she is; her token of A is nothing to B but the name of another alice.
    assert_eq!(
        a.get("/mapped", "the-token-of-alice").await,
        allowed("static/alice")
    );

    let remote = "/network/nodes/node-a/remote_users/alice";
    let mapping = json!({"node_name": "node-a", "remote_user_name": "alice", "user_name": "bob"});
    let mapped = b
        .ask("POST", "/network/remote_users", "the-token-of-admin", &mapping)
        .await;
    assert_eq!(mapped.status, 201, "{}", mapped.body);
    let given = a
        .ask(
            "GET",
            "/network/nodes/node-b/token",
            "the-token-of-alice",
            &nothing,
        )
        .await;
    assert_eq!(given.status, 200, "{}", given.body);
    let token = given.body["token"].as_str().expect("a token").to_owned();

    assert_eq!(b.get("/mapped", &token).await, allowed("static/bob"));
    assert_eq!(b.get("/of-the-network", &token).await, denied(403));
    // It is a token of B and of nobody else.
    assert_eq!(a.get("/mapped", &token).await, denied(401));

    let unmapped = json!({"assign_anonymous": true});
    let changed = b.ask("PATCH", remote, "the-token-of-admin", &unmapped).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    // The very next request.
    let nobody = "house/magpie_network_node-a";
    assert_eq!(b.get("/mapped", &token).await, denied(403));
    assert_eq!(b.get("/of-the-network", &token).await, allowed(nobody));

    // In the query only where that is enabled.
    let target = format!("/of-the-network?magpie_token={token}");
    assert_eq!(b.front.send("GET", &target, &[], Bytes::new()).await.status, 200);
    assert_eq!(a.front.send("GET", &target, &[], Bytes::new()).await.status, 401);

    // Another one replaces it.
    let again = a
        .ask(
            "GET",
            "/network/nodes/node-b/token",
            "the-token-of-alice",
            &nothing,
        )
        .await;
    let second = again.body["token"].as_str().expect("a token").to_owned();
    assert_eq!(b.get("/of-the-network", &token).await, denied(401));
    assert_eq!(b.get("/of-the-network", &second).await, allowed(nobody));

    // She gives it back at home.
    let ended = a
        .ask(
            "DELETE",
            "/network/nodes/node-b/token",
            "the-token-of-alice",
            &nothing,
        )
        .await;
    assert_eq!(ended.status, 200, "{}", ended.body);
    assert_eq!(b.get("/of-the-network", &second).await, denied(401));

    // The other way round, and the node is removed altogether.
    let given = b
        .ask(
            "GET",
            "/network/nodes/node-a/token",
            "the-token-of-bob-1",
            &nothing,
        )
        .await;
    let third = given.body["token"].as_str().expect("a token").to_owned();
    assert_eq!(a.get("/mapped", &third).await, denied(403));
    let removed = a
        .ask("DELETE", "/network/nodes/node-b", "the-token-of-admin", &nothing)
        .await;
    assert_eq!(removed.status, 200, "{}", removed.body);
    assert_eq!(a.get("/mapped", &third).await, denied(401));

    for (node, name) in [(&a, "a"), (&b, "b")] {
        let said = node.served.log() + &node.served.decisions();
        for token in [&token, &second, &third] {
            assert!(!said.contains(token.as_str()), "a token is in the log of {name}");
        }
    }
}
