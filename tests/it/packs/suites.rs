//! The suites of a pack, through real proxies: principals become Keycloak's tokens that a local issuer signs, and every test
//! is a request. The suites are read without the code that reads them for `portcullis test`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use portcullis::demo::issuer::LocalIssuer;
use serde_json::{Value, json};

use crate::doors::{Reply, exchange, request};
use crate::house::{Front, TestHouse};

/// A pack with the rows of its suites.
pub(super) struct Pack {
    folder: PathBuf,
    pub(super) rows: Vec<Row>,
}

/// A running pack, and who signs the tokens it believes.
pub(super) struct Running {
    pub(super) house: TestHouse,
    pub(super) issuer: LocalIssuer,
}

/// One test of a suite, with its principal written out.
#[derive(Debug)]
pub(super) struct Row {
    id: String,
    /// The claims of the token; `None` for nobody.
    claims: Option<Value>,
    method: String,
    host: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    allow: bool,
    status: Option<u16>,
    set: Vec<(String, String)>,
    unset: Vec<String>,
}

impl Pack {
    /// Reads the suites of the pack in this folder.
    pub(super) fn read(folder: PathBuf) -> Self {
        let mut rows = Vec::new();
        for file in suites(&folder.join("tests")) {
            let suite: Value = serde_saphyr::from_str(&read(&file)).expect("a suite");
            let tests = suite["tests"].as_array().cloned().unwrap_or_default();
            rows.extend(tests.iter().map(|test| Row::read(test, &suite)));
        }
        Self { folder, rows }
    }

    /// The pack as it is, but with a local issuer in the place of its own.
    pub(super) async fn run(&self, issuer_url: &str) -> Running {
        let issuer = LocalIssuer::start().await.expect("an issuer");
        let text = read(&self.folder.join("portcullis.yaml"));
        let theirs = format!("issuer: {issuer_url}");
        assert_eq!(text.matches(&theirs).count(), 1, "the pack has one `{theirs}`");
        let text = text.replace(&theirs, &format!("issuer: {}", issuer.issuer()));
        let house = TestHouse::of_pack(&self.folder, &text).await;
        Running { house, issuer }
    }
}

impl Row {
    fn read(test: &Value, suite: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pairs = |value: &Value| -> Vec<(String, String)> {
            let pairs = value.as_object().into_iter().flatten();
            pairs.map(|(name, value)| (name.clone(), text(value))).collect()
        };
        let request = text(&test["request"]);
        let (method, url) = request.split_once(' ').expect("a method and a URL");
        let (host, target) = match url.split_once("://") {
            Some((_, rest)) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => (suite["host"].as_str().unwrap_or("api.example.test"), url),
        };
        let who = text(&test["as"]);
        Self {
            id: text(&test["id"]),
            claims: (who != "anonymous").then(|| claims(&suite["principals"][&who])),
            method: method.to_owned(),
            host: host.to_owned(),
            target: target.to_owned(),
            headers: pairs(&test["headers"]),
            body: text(&test["body"]),
            allow: test["expect"] == "allow",
            status: test["status"].as_u64().and_then(|status| status.try_into().ok()),
            set: pairs(&test["set"]),
            unset: test["unset"].as_array().into_iter().flatten().map(text).collect(),
        }
    }

    /// All headers of the request, with the token signed.
    fn signed(&self, issuer: &LocalIssuer) -> Vec<(String, String)> {
        let bearer = self
            .claims
            .clone()
            .map(|claims| format!("Bearer {}", issuer.token(claims)));
        let credential = bearer.map(|bearer| ("authorization".to_owned(), bearer));
        self.headers.iter().cloned().chain(credential).collect()
    }

    /// Whether APISIX asks the same question: it decodes and normalises the path before it asks.
    pub(super) fn is_seen_by_apisix(&self) -> bool {
        !self.target.contains('%') && !self.target.contains("//")
    }

    /// Whether it is a HEAD: the upstream of the tests then cannot say what it saw.
    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Whether it has a body, which some proxies do not pass on.
    pub(super) fn has_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// Through a real Envoy that asks the running pack.
    pub(super) async fn through_envoy(&self, running: &Running, front: &Front) {
        let headers = self.signed(&running.issuer);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let body = Bytes::from(self.body.clone());
        let got = front
            .send_to(&self.host, &self.method, &self.target, &headers, body)
            .await;
        let row = &self.id;
        assert_eq!(got.seen.is_some(), self.allow, "{row}: {got:?}");
        if self.allow {
            for (name, value) in &self.set {
                assert_eq!(got.at_upstream(name), [value.as_str()], "{row}: {name}");
            }
            for name in &self.unset {
                assert!(got.at_upstream(name).is_empty(), "{row}: {name}");
            }
        } else {
            self.has_status(Some(got.status));
        }
    }

    /// As the plugin `forward-auth` asks at `/apisix`.
    pub(super) async fn through_forward_auth(&self, running: &Running) {
        let credential = self.signed(&running.issuer);
        let credential = credential.iter().find(|(name, _)| name == "authorization");
        let mut headers: Vec<(&str, &[u8])> = vec![
            ("Host", b"p"),
            ("X-Forwarded-Uri", self.target.as_bytes()),
            ("X-Forwarded-Method", self.method.as_bytes()),
            ("X-Forwarded-Host", self.host.as_bytes()),
            ("X-Forwarded-Proto", b"https"),
            ("X-Forwarded-For", b"10.0.0.7"),
        ];
        headers.extend(credential.map(|(_, value)| ("Authorization", value.as_bytes())));
        let reply = exchange(running.house.http(), &request("GET", b"/apisix", &headers, b"")).await;
        let row = &self.id;
        assert_eq!(reply.status < 300, self.allow, "{row}: {reply:?}");
        if self.allow {
            self.overwrites(|name| reply.header(name).map(str::to_owned));
        } else {
            self.has_status(Some(reply.status));
        }
    }

    /// As the plugin `opa` asks at the path of `policy`.
    pub(super) async fn through_opa(&self, running: &Running, policy: &str) {
        let headers: BTreeMap<String, String> = self.signed(&running.issuer).into_iter().collect();
        let (path, _) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let host = self.host.split(':').next();
        let document = json!({ "input": { "type": "http",
            "request": { "scheme": "https", "method": self.method, "host": host, "port": 443, "path": path,
                "headers": headers, "query": {} },
            "var": { "server_addr": "10.0.0.1", "server_port": "443", "remote_addr": "10.0.0.7",
                "remote_port": "40000", "timestamp": 1_768_478_400 } } });
        let bytes = request(
            "POST",
            format!("/v1/data/{policy}").as_bytes(),
            &[("Host", b"p")],
            document.to_string().as_bytes(),
        );
        let Reply { status, body, .. } = exchange(running.house.http(), &bytes).await;
        let answer: Value = serde_json::from_slice(&body).expect("a document");
        let (row, result) = (&self.id, &answer["result"]);
        assert_eq!(
            (status, result["allow"].as_bool()),
            (200, Some(self.allow)),
            "{row}: {answer}"
        );
        if self.allow {
            self.overwrites(|name| result["headers"][name].as_str().map(str::to_owned));
        } else {
            self.has_status(
                result["status_code"]
                    .as_u64()
                    .and_then(|status| status.try_into().ok()),
            );
        }
    }

    fn has_status(&self, got: Option<u16>) {
        if self.status.is_some() {
            assert_eq!(got, self.status, "{}", self.id);
        }
    }

    /// Where nothing can be removed, every identity header is in the answer: empty instead of absent.
    fn overwrites(&self, answered: impl Fn(&str) -> Option<String>) {
        let nothing = String::new();
        let unset = self.unset.iter().map(|name| (name, &nothing));
        for (name, value) in self.set.iter().map(|(n, v)| (n, v)).chain(unset) {
            assert_eq!(answered(name).as_ref(), Some(value), "{}: {name}", self.id);
        }
    }
}

/// The claims that Keycloak would give somebody of a suite.
fn claims(person: &Value) -> Value {
    if person["claims"].is_object() {
        return person["claims"].clone();
    }
    let id = |kind: &str| person[kind].as_str();
    let bare = |id: &str| id.split_once('/').map_or(id, |(_, subject)| subject).to_owned();
    let client = id("client");
    let groups = person["groups"].as_array().into_iter().flatten();
    let groups: Vec<String> = groups
        .filter_map(Value::as_str)
        .map(|group| format!("/{group}"))
        .collect();
    let roles = person["roles"].as_object().into_iter().flatten();
    let roles: serde_json::Map<String, Value> = roles
        .map(|(client, roles)| (client.clone(), json!({ "roles": roles })))
        .collect();
    let scopes = person["scopes"].as_array().into_iter().flatten();
    let scopes: Vec<&str> = scopes.filter_map(Value::as_str).collect();
    let mut claims =
        json!({ "typ": "Bearer", "groups": groups, "resource_access": roles, "scope": scopes.join(" ") });
    let special = if let Some(user) = id("user") {
        json!({ "sub": bare(user), "sid": "a-session", "azp": client, "preferred_username": person["name"] })
    } else if let Some(robot) = id("robot") {
        let client = client.unwrap_or("robot");
        let name = format!("service-account-{client}");
        json!({ "sub": bare(robot), "azp": client, "client_id": client, "preferred_username": name })
    } else {
        let client = bare(client.expect("a user, a robot or a client"));
        json!({ "sub": client, "azp": client, "client_id": client })
    };
    let audiences = json!({ "aud": person["audiences"] });
    for more in [special, audiences] {
        let members = more
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null());
        for (name, value) in members {
            claims[name] = value.clone();
        }
    }
    claims
}

fn suites(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let files = entries.map(|entry| entry.expect("an entry").path());
    files
        .filter(|file| file.extension().is_some_and(|extension| extension == "yaml"))
        .collect()
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
