//! Tokens that are not what they should be, and nodes that do not answer as they should.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

/// What a node says of its keys and to requests for tokens, and how often it was asked.
#[derive(Clone)]
struct Fake {
    answer: Arc<dyn Fn() -> Response + Send + Sync>,
    asked: Arc<AtomicUsize>,
}

impl Fake {
    fn new(answer: impl Fn() -> Response + Send + Sync + 'static) -> Self {
        Self {
            answer: Arc::new(answer),
            asked: Arc::default(),
        }
    }

    /// Serves it, whatever is asked for.
    async fn start(&self) -> (String, AbortOnDropHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let this = self.clone();
        let all = any(move || {
            this.asked.fetch_add(1, Ordering::SeqCst);
            std::future::ready((this.answer)())
        });
        let serve = http_server::accept(
            listener,
            None,
            (
                Router::new().fallback_service(all),
                http_server::Places::for_clients(),
            ),
            JoinSet::new(),
            CancellationToken::new(),
        );
        (url, AbortOnDropHandle::new(tokio::spawn(serve)))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The `kid` that a node signs with.
async fn kid(side: &Side) -> String {
    let jwks = side.send("GET", "/network/jwks", "", &Value::Null).await.json();
    jwks["keys"][0]["kid"].as_str().unwrap().to_owned()
}

/// What `node-b` would send for `bob`, for `node-a`.
fn claims() -> Value {
    json!({"iss": "node-b", "aud": "node-a", "exp": now() + 25, "user_name": "bob"})
}

fn signed(header: &Header, claims: &Value, pem: &str) -> String {
    jsonwebtoken::encode(
        header,
        claims,
        &EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(),
    )
    .unwrap()
}

#[tokio::test]
async fn only_a_good_token_of_a_node_counts() {
    let (a, b) = two().await;
    let kid = kid(&b).await;
    let header = Header {
        kid: Some(kid.clone()),
        ..Header::new(Algorithm::RS256)
    };
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        signed(&header, &claims, &b.pem)
    };
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        signed(&header, &claims, &b.pem)
    };
    let headed = |change: fn(&mut Header)| {
        let mut header = header.clone();
        change(&mut header);
        signed(&header, &claims(), &b.pem)
    };
    let good = with("jti", json!(1));
    let [head, payload, signature] = <[&str; 3]>::try_from(good.split('.').collect::<Vec<_>>()).unwrap();
    let raw = |header: Value| {
        format!(
            "{}.{payload}.{signature}",
            URL_SAFE_NO_PAD.encode(header.to_string())
        )
    };
    let twice = URL_SAFE_NO_PAD.encode(format!(
        r#"{{"iss":"node-b","aud":"node-x","aud":"node-a","exp":{},"user_name":"bob"}}"#,
        now() + 20
    ));
    let secret = b.send("GET", "/network/jwks", "", &Value::Null).await.text;
    let hmac = Header {
        kid: Some(kid.clone()),
        ..Header::new(Algorithm::HS256)
    };
    let confused =
        jsonwebtoken::encode(&hmac, &claims(), &EncodingKey::from_secret(secret.as_bytes())).unwrap();
    let rows = [
        ("no JWT", "x".to_owned(), 400),
        ("nothing", String::new(), 400),
        ("two segments", format!("{head}.{payload}"), 400),
        ("too long", "x.".repeat(5000), 400),
        ("none", raw(json!({"alg": "none", "kid": kid})), 400),
        ("HS256 with the public key", confused, 400),
        ("another algorithm", headed(|it| it.alg = Algorithm::RS512), 400),
        ("PS256 with that key", headed(|it| it.alg = Algorithm::PS256), 400),
        ("no kid", headed(|it| it.kid = None), 400),
        ("unknown kid", headed(|it| it.kid = Some("x".to_owned())), 400),
        (
            "another type",
            headed(|it| it.typ = Some("at+jwt".to_owned())),
            400,
        ),
        (
            "crit",
            raw(json!({"alg": "RS256", "kid": kid, "crit": ["x"]})),
            400,
        ),
        ("b64", raw(json!({"alg": "RS256", "kid": kid, "b64": true})), 400),
        (
            "alg twice",
            format!(
                "{}.{payload}.{signature}",
                URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"none","alg":"RS256","kid":"{kid}"}}"#))
            ),
            400,
        ),
        ("aud twice", format!("{head}.{twice}.{signature}"), 400),
        ("another's signature", signed(&header, &claims(), &a.pem), 400),
        (
            "changed",
            format!(
                "{head}.{}.{signature}",
                URL_SAFE_NO_PAD.encode(claims().to_string() + " ")
            ),
            400,
        ),
        ("no signature", format!("{head}.{payload}."), 400),
        ("unknown node", with("iss", json!("node-x")), 404),
        ("ourselves", with("iss", json!("node-a")), 404),
        ("case of iss", with("iss", json!("Node-B")), 404),
        ("iss a list", with("iss", json!(["node-b"])), 400),
        ("no iss", without("iss"), 400),
        ("no aud", without("aud"), 400),
        ("another aud", with("aud", json!("node-x")), 400),
        ("aud among others", with("aud", json!(["node-a", "node-x"])), 400),
        ("aud alone in a list", with("aud", json!(["node-a"])), 201),
        ("no exp", without("exp"), 400),
        ("exp a text", with("exp", json!("9999999999")), 400),
        ("expired", with("exp", json!(now() - 6)), 400),
        ("good for too long", with("exp", json!(now() + 60)), 400),
        ("good for ever", with("exp", json!(1e300)), 400),
        ("from tomorrow", with("nbf", json!(now() + 100)), 400),
        ("issued tomorrow", with("iat", json!(now() + 100)), 400),
        ("no user", without("user_name"), 400),
        ("an empty user", with("user_name", json!("")), 400),
        ("a user with a line break", with("user_name", json!("a\nb")), 400),
        ("a user that is none", with("user_name", json!({"a": 1})), 400),
        ("a long user", with("user_name", json!("x".repeat(256))), 400),
        ("good", good.clone(), 201),
        ("good, again", good.clone(), 400),
    ];
    for (id, token, expected) in rows {
        let got = a
            .send("POST", "/network/token", "", &json!({ "token": token }))
            .await;
        assert_eq!(got.status, expected, "{id}: {got:?}");
    }
    for (id, body, expected) in [
        ("no token", json!({}), 400),
        ("no text", json!({"token": 7}), 400),
        ("null", json!({"token": null}), 400),
        ("no object", json!([]), 400),
        ("too much", json!({"token": "x".repeat(70_000)}), 413),
    ] {
        let got = a.send("POST", "/network/token", "", &body).await;
        assert_eq!(got.status, expected, "{id}: {got:?}");
    }
    // What was used for one thing is used for all.
    let got = a
        .send("DELETE", "/network/token", "", &json!({ "token": good }))
        .await;
    assert_eq!(got.status, 400, "{got:?}");
    let fresh = with("jti", json!(2));
    let decode = format!("/network/decode_jwt?token={fresh}");
    assert_eq!(a.send("GET", &decode, "", &Value::Null).await.status, 401);
    assert_eq!(a.send("GET", &decode, "alice", &Value::Null).await.status, 403);
    let decoded = a.send("GET", &decode, "admin", &Value::Null).await;
    assert_eq!(decoded.json()["jwt_content"]["user_name"], "bob", "{decoded:?}");
    let got = a
        .send("DELETE", "/network/token", "", &json!({ "token": fresh }))
        .await;
    assert_eq!(got.status, 200, "looking at it did not use it: {got:?}");
    let gone = a
        .send(
            "DELETE",
            "/network/token",
            "",
            &json!({ "token": with("jti", json!(3)) }),
        )
        .await;
    assert_eq!(gone.status, 404, "{gone:?}");
}

#[tokio::test]
async fn only_links_that_were_asked_for_are_made_and_once() {
    let (a, b) = two().await;
    let header = Header {
        kid: Some(kid(&b).await),
        ..Header::new(Algorithm::RS256)
    };
    let finish = async |jti: u64| {
        let mut claims = claims();
        claims["requesting_user_name"] = "alice".into();
        claims["jti"] = jti.into();
        let target = format!("/network/link?token={}", signed(&header, &claims, &b.pem));
        a.send("GET", &target, "alice", &Value::Null).await
    };
    let begin = async |site: &str, who: &str| {
        let headers = [
            ("authorization", authorization(who)),
            ("sec-fetch-site", site.to_owned()),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        let begin = "/network/nodes/node-b/link";
        a.exchange("POST", begin, &headers, String::new()).await.status
    };
    let refused = finish(1).await;
    assert_eq!(refused.status, 403, "nobody asked: {refused:?}");
    assert_eq!(begin("cross-site", "alice").await, 403);
    assert_eq!(begin("same-origin", "bob").await, 302);
    assert_eq!(finish(2).await.status, 403, "it was somebody else who asked");
    assert_eq!(begin("same-origin", "alice").await, 302);
    assert_eq!(begin("none", "alice").await, 302);
    assert_eq!(finish(3).await.status, 200);
    let again = finish(4).await;
    assert_eq!(again.status, 403, "{again:?}");
    assert!(again.text.contains("did not ask"), "{again:?}");
}

#[tokio::test]
async fn bodies_that_never_come_keep_nobody_out() {
    let side = Side::start("node-a").await;
    let mut waiting = Vec::new();
    for _ in 0..=AT_ONCE {
        let mut stream = TcpStream::connect(side.address).await.unwrap();
        let head =
            "POST /network/token HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        // It says so when it begins to wait for the body.
        let mut said = [0; 12];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"HTTP/1.1 100");
        waiting.push(stream);
    }
    let got = side.send("GET", "/network/nodes", "admin", &Value::Null).await;
    assert_eq!(got.status, 200, "{got:?}");
}

#[tokio::test]
async fn bad_tokens_cause_few_fetches() {
    let a = Side::start("node-a").await;
    let keys =
        json!({"keys": [{"kty": "RSA", "kid": "k", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode([1; 256])}]});
    let fake = Fake::new(move || axum::Json(keys.clone()).into_response());
    let (url, _server) = fake.start().await;
    let mut node = a.as_node("node-b");
    node["jwks_url"] = url.into();
    assert_eq!(a.send("POST", "/network/nodes", "admin", &node).await.status, 201);
    let send = async |kid: &str, claims: &Value| {
        let header = Header {
            kid: Some(kid.to_owned()),
            ..Header::new(Algorithm::RS256)
        };
        let token = signed(&header, claims, &a.pem);
        a.send("POST", "/network/token", "", &json!({ "token": token }))
            .await
            .status
    };
    let mut expired = claims();
    expired["exp"] = 1.into();
    assert_eq!(send("k", &expired).await, 400);
    assert_eq!(fake.asked(), 0, "what is bad in any case needs no key");
    let started = Instant::now();
    for number in 0..50 {
        assert_eq!(send(&format!("x{number}"), &claims()).await, 400);
    }
    assert_eq!(send("k", &claims()).await, 400);
    let most = 1 + started.elapsed().as_secs() / 5;
    assert!(
        (1..=most).contains(&(fake.asked() as u64)),
        "{} fetches, not 1 to {most}",
        fake.asked()
    );
}

#[tokio::test]
async fn a_node_that_does_not_answer_as_it_should_is_an_error_and_no_more() {
    let a = Side::start("node-a").await;
    let elsewhere =
        Fake::new(|| axum::Json(json!({"token": "0f9a3c1e-4b7d-4e21-9c55-7d6b0a2f1e34"})).into_response());
    let (target, _server) = elsewhere.start().await;
    let plain = |body: &'static str| Fake::new(move || body.into_response());
    let large = format!("{{\"token\": \"{}\"}}", "x".repeat(300_000));
    for (id, fake) in [
        ("no JSON", plain("<html>")),
        ("no token", plain("{}")),
        ("a token that is none", plain(r#"{"token": "a b"}"#)),
        ("an empty token", plain(r#"{"token": ""}"#)),
        ("too large", Fake::new(move || large.clone().into_response())),
        ("an error", Fake::new(|| StatusCode::NOT_FOUND.into_response())),
        (
            "elsewhere",
            Fake::new(move || {
                let mut headers = HeaderMap::new();
                headers.insert("location", target.parse().unwrap());
                (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
            }),
        ),
    ] {
        let (url, _server) = fake.start().await;
        let mut node = a.as_node("node-b");
        node["jwks_url"] = url.as_str().into();
        node["token_url"] = url.as_str().into();
        assert_eq!(
            a.send("POST", "/network/nodes", "admin", &node).await.status,
            201,
            "{id}"
        );
        let got = a
            .send("GET", "/network/nodes/node-b/token", "alice", &Value::Null)
            .await;
        assert_eq!(got.status, 500, "{id}: {got:?}");
        assert!(!got.text.contains("127.0.0.1"), "{id}: {got:?}");
        let header = Header {
            kid: Some("k".to_owned()),
            ..Header::new(Algorithm::RS256)
        };
        let token = signed(&header, &claims(), &a.pem);
        let got = a
            .send("POST", "/network/token", "", &json!({ "token": token }))
            .await;
        assert_eq!(got.status, 500, "{id}: {got:?}");
        assert_eq!(
            a.send("DELETE", "/network/nodes/node-b", "admin", &Value::Null)
                .await
                .status,
            200,
            "{id}"
        );
    }
    assert_eq!(elsewhere.asked(), 0, "redirects are not followed");
}
