//! `policies/backstage`: tokens of every kind through a real Envoy, and through both of APISIX's shapes.

use std::time::SystemTime;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::keys::{self, KeyKind};
use serde_json::{Value, json};

use crate::doors::{exchange, request};
use crate::house::TestHouse;

/// Who signs users' tokens, as the pack has it.
const PORTAL: &str = "http://localhost:7007/api/auth";
const STATIC: &str = "catalog-reader-0123456789abcdef";
const SECRET: &[u8] = b"the secret of the old portal, long";

/// The pack as it is on disk, with the entries that need secrets, and a local issuer in the place of every set of keys.
struct Portal {
    house: TestHouse,
    issuer: LocalIssuer,
}

impl Portal {
    async fn start() -> Self {
        let issuer = LocalIssuer::start().await.expect("an issuer");
        let folder = super::folder("backstage");
        let text = std::fs::read_to_string(folder.join("portcullis.yaml")).expect("the configuration");
        let (before, after) = text
            .split_once("take away the `#`")
            .expect("entries with secrets");
        let (entries, after) = after.split_once("  plugins:").expect("their end");
        let mut text = format!("{before}{}  plugins:{after}", entries.replace("# ", ""));
        for (theirs, ours) in [
            ("${CATALOG_READER_TOKEN}", STATIC.to_owned()),
            (
                "{ $file: secrets/legacy }",
                format!("\"{}\"", STANDARD.encode(SECRET)),
            ),
        ] {
            assert_eq!(text.matches(theirs).count(), 1, "{theirs}");
            text = text.replace(theirs, &ours);
        }
        for place in [
            "api/auth/.well-known",
            "ci",
            "api/catalog/.backstage/auth/v1",
            "api/scaffolder/.backstage/auth/v1",
        ] {
            let theirs = format!("http://localhost:7007/{place}/jwks.json");
            assert!(text.contains(&theirs), "{theirs}");
            text = text.replace(&theirs, &issuer.jwks_uri());
        }
        let house = TestHouse::of_pack(&folder, &text).await;
        Self { house, issuer }
    }

    /// The headers that present the credential of somebody.
    fn credential(&self, who: &str) -> Vec<(&'static str, String)> {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("a clock")
            .as_secs();
        let key = self.issuer.key(KeyKind::Es256);
        let mint = |typ: &str, mut claims: Value| {
            claims["iat"] = now.into();
            claims["exp"] = (now + 300).into();
            let header = json!({ "alg": "ES256", "kid": key.kid(), "typ": typ });
            self.issuer.mint(&header, &claims, &key)
        };
        let legacy = |secret: &[u8], exp: u64| {
            let text = keys::unsigned(
                &json!({ "alg": "HS256" }),
                &json!({ "sub": "backstage-server", "exp": exp }),
            );
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
            format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
        };
        let jane = json!({ "iss": PORTAL, "aud": "backstage", "sub": "user:default/jane", "ent": ["user:default/jane"] });
        let limited = mint(
            "vnd.backstage.limited-user",
            json!({ "sub": "user:default/jane" }),
        );
        let ci = json!({ "iss": "https://ci.example.org", "aud": "backstage", "sub": "build" });
        let bearer = |token: String| vec![("authorization", format!("Bearer {token}"))];
        match who {
            "nobody" => Vec::new(),
            "static" => bearer(STATIC.to_owned()),
            "legacy" => bearer(legacy(SECRET, now + 300)),
            "legacy, expired" => bearer(legacy(SECRET, now - 300)),
            "legacy, another secret" => bearer(legacy(b"a secret that nobody knows, as long", now + 300)),
            "ci" => bearer(mint("JWT", ci)),
            "ci, for others" => bearer(mint(
                "JWT",
                json!({ "iss": ci["iss"], "aud": "x", "sub": "build" }),
            )),
            "scaffolder" => bearer(mint(
                "vnd.backstage.plugin",
                json!({ "sub": "scaffolder", "aud": "catalog" }),
            )),
            "jane" => bearer(mint("vnd.backstage.user", jane)),
            "jane and her cookie" => {
                let mut both = bearer(mint("vnd.backstage.user", jane));
                both.push(("cookie", format!("backstage-auth={limited}")));
                both
            }
            "cookie" => vec![("cookie", format!("theme=dark; backstage-auth={limited}"))],
            "limited" => bearer(limited),
            "rubbish" => bearer("no-such-token".to_owned()),
            other => panic!("nobody is called {other}"),
        }
    }
}

/// Id; who, method and path; status; who the upstream is told it is, or what the caller reads.
type Row = (
    &'static str,
    (&'static str, &'static str, &'static str),
    u16,
    &'static str,
);

const ROWS: [Row; 31] = [
    (
        "B1",
        ("static", "GET", "/api/catalog/entities"),
        200,
        "backstage/catalog-reader",
    ),
    (
        "B2",
        ("static", "POST", "/api/scaffolder/v2/tasks"),
        403,
        "This token's access is restricted to plugin(s) 'catalog'",
    ),
    (
        "B3",
        ("legacy", "DELETE", "/api/todo/todos/1"),
        200,
        "backstage/old-portal",
    ),
    (
        "B5",
        ("legacy", "GET", "/api/catalog/entities"),
        200,
        "backstage/old-portal",
    ),
    (
        "B8",
        ("legacy, expired", "GET", "/api/catalog/entities"),
        401,
        "Illegal token",
    ),
    (
        "B10",
        ("legacy, another secret", "GET", "/api/catalog/entities"),
        401,
        "Illegal token",
    ),
    (
        "B10.text",
        ("rubbish", "GET", "/api/catalog/entities"),
        401,
        "Illegal token",
    ),
    (
        "B11",
        ("ci, for others", "GET", "/api/catalog/entities"),
        401,
        "Illegal token",
    ),
    (
        "B12",
        ("ci", "GET", "/api/catalog/entities"),
        200,
        "backstage/external:ci:build",
    ),
    (
        "B14",
        ("static", "POST", "/api/catalog/locations"),
        403,
        "Unauthorized",
    ),
    (
        "B15",
        ("ci", "POST", "/api/catalog/locations"),
        403,
        "Unauthorized",
    ),
    (
        "B15.none",
        ("ci", "POST", "/api/catalog/validate-entity"),
        403,
        "Unauthorized",
    ),
    (
        "B17",
        ("legacy", "POST", "/api/catalog/validate-entity"),
        200,
        "backstage/old-portal",
    ),
    (
        "B18",
        ("static", "GET", "/api/catalogue/x"),
        403,
        "This token's access is restricted to plugin(s) 'catalog'",
    ),
    (
        "B18.case",
        ("static", "GET", "/API/Catalog/entities"),
        200,
        "backstage/catalog-reader",
    ),
    (
        "B19",
        ("ci", "POST", "/api/catalog/entities/by-refs"),
        200,
        "backstage/external:ci:build",
    ),
    (
        "B20",
        ("rubbish", "GET", "/api/auth/refresh"),
        401,
        "Illegal token",
    ),
    ("B20.nobody", ("nobody", "GET", "/api/auth/refresh"), 200, ""),
    (
        "B22",
        ("ci", "GET", "/api/plugin2/x"),
        403,
        "This token's access is restricted to plugin(s) 'catalog', 'scaffolder'",
    ),
    (
        "missing",
        ("nobody", "GET", "/api/catalog/entities"),
        401,
        "Missing credentials",
    ),
    (
        "users only",
        ("legacy", "GET", "/api/user-settings/x"),
        403,
        "This endpoint does not allow 'service' credentials",
    ),
    (
        "user",
        ("jane", "DELETE", "/api/catalog/entities/by-uid/1"),
        200,
        "portal/user:default/jane",
    ),
    (
        "services only",
        ("jane", "POST", "/api/events/bus/v1/events"),
        403,
        "This endpoint does not allow 'user' credentials",
    ),
    (
        "plugin",
        ("scaffolder", "GET", "/api/catalog/entities"),
        200,
        "backstage/plugin:scaffolder",
    ),
    (
        "another plugin",
        ("scaffolder", "GET", "/api/search/query"),
        401,
        "Illegal token",
    ),
    (
        "cookie",
        ("cookie", "GET", "/api/techdocs/static/a.html"),
        200,
        "backstage/user:default/jane",
    ),
    (
        "cookie elsewhere",
        ("cookie", "GET", "/api/catalog/entities"),
        401,
        "Illegal limited user token",
    ),
    (
        "cookie as bearer",
        ("limited", "GET", "/api/techdocs/static/a.html"),
        401,
        "Illegal token",
    ),
    (
        "no cookie",
        ("nobody", "GET", "/api/techdocs/static/a.html"),
        401,
        "Missing credentials",
    ),
    (
        "the header counts",
        ("jane and her cookie", "GET", "/api/catalog/entities"),
        200,
        "portal/user:default/jane",
    ),
    (
        "and there, too",
        ("jane and her cookie", "GET", "/api/techdocs/static/a.html"),
        200,
        "portal/user:default/jane",
    ),
];

/// Checks the body of a denial: as Backstage itself answers.
#[track_caller]
fn reads(body: &[u8], (method, path): (&str, &str), status: u16, says: &str, id: &str) {
    let name = match status {
        401 => "AuthenticationError",
        _ => "NotAllowedError",
    };
    let expected = json!({
        "error": { "name": name, "message": says },
        "request": { "method": method, "url": path },
        "response": { "statusCode": status },
    });
    let got: Value = serde_json::from_slice(body).unwrap_or_default();
    assert_eq!(got, expected, "{id}: {}", String::from_utf8_lossy(body));
}

#[tokio::test]
async fn rows_through_envoy() {
    let portal = Portal::start().await;
    let Some(front) = portal.house.envoy(|options| options).await else {
        return;
    };
    for (id, (who, method, path), status, expected) in ROWS {
        let mut sent = portal.credential(who);
        sent.push(("x-auth-principal", "portal/user:default/root".to_owned()));
        let headers: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let got = front.send(method, path, &headers, Bytes::new()).await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, status == 200),
            "{id}: {got:?}"
        );
        if status == 200 {
            assert_eq!(got.at_upstream("x-auth-principal").concat(), expected, "{id}");
        } else {
            assert_eq!(
                got.header("content-type"),
                Some("application/json"),
                "{id}: {got:?}"
            );
            assert_eq!(
                got.header("www-authenticate").is_some(),
                status == 401,
                "{id}: {got:?}"
            );
            reads(&got.body, (method, path), status, expected, id);
        }
    }
}

#[tokio::test]
async fn rows_through_both_shapes_of_apisix() {
    let portal = Portal::start().await;
    let address = portal.house.http();
    for (id, (who, method, path), status, expected) in ROWS {
        let credential = portal.credential(who);
        let own = address.to_string();
        let mut headers: Vec<(&str, &[u8])> = vec![
            ("host", own.as_bytes()),
            ("x-forwarded-uri", path.as_bytes()),
            ("x-forwarded-method", method.as_bytes()),
            ("x-forwarded-host", b"portal.example.org"),
            ("x-forwarded-proto", b"https"),
            ("x-forwarded-for", b"10.0.0.7"),
        ];
        headers.extend(credential.iter().map(|(name, value)| (*name, value.as_bytes())));
        let reply = exchange(address, &request("GET", b"/apisix", &headers, b"")).await;
        assert_eq!(reply.status, status, "{id}: {reply:?}");
        if status == 200 {
            assert_eq!(reply.header("x-auth-principal"), Some(expected), "{id}");
        } else {
            assert_eq!(reply.header("content-type"), Some("application/json"), "{id}");
            reads(&reply.body, (method, path), status, expected, id);
        }

        let mut all = json!({ "host": "portal.example.org" });
        for (name, value) in &credential {
            all[*name] = json!(value);
        }
        let asked = json!({ "scheme": "https", "method": method, "host": "portal.example.org", "port": 443, "path": path,
            "query": {}, "headers": all });
        let input =
            json!({ "input": { "type": "http", "request": asked, "var": { "remote_addr": "10.0.0.7" } } });
        let headers: [(&str, &[u8]); 2] = [("host", own.as_bytes()), ("content-type", b"application/json")];
        let body = input.to_string();
        let question = request("POST", b"/v1/data/portcullis/allow", &headers, body.as_bytes());
        let reply = exchange(address, &question).await;
        let answer: Value = serde_json::from_slice(&reply.body).expect("a document");
        let answer = &answer["result"];
        assert_eq!(
            (reply.status, &answer["allow"]),
            (200, &json!(status == 200)),
            "{id}: {answer}"
        );
        if status == 200 {
            assert_eq!(answer["headers"]["x-auth-principal"], expected, "{id}: {answer}");
        } else {
            assert_eq!(answer["status_code"], status, "{id}: {answer}");
            let reason = answer["reason"].as_str().unwrap_or_default();
            reads(reason.as_bytes(), (method, path), status, expected, id);
        }
    }
}

#[test]
fn every_case_is_held_once() {
    let cases = (1..=24).map(|n| format!("B{n}"));
    let cases: Vec<String> = cases.chain(["B6b".to_owned()]).collect();
    super::every_case_is_held_once("backstage", &cases);
}
