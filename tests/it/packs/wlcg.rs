//! The grid pack: WebDAV and its tokens through Envoy, Caddy and the contract of APISIX's `opa` plugin.

use bytes::Bytes;
use portcullis::demo::echo::Echo;
use portcullis::demo::http;
use portcullis::demo::issuer::LocalIssuer;
use serde_json::{Value, json};

use super::{every_case_is_held_once, folder};
use crate::caddy::CADDY;
use crate::doors;
use crate::house::TestHouse;

const SE: &str = "se.example.org";
const CE: &str = "ce.example.org";

/// The VOs of the pack, each with an issuer that is really there.
struct Site {
    house: TestHouse,
    issuers: Vec<(&'static str, LocalIssuer)>,
}

impl Site {
    async fn start() -> Self {
        let mut text =
            std::fs::read_to_string(folder("wlcg").join("portcullis.yaml")).expect("the configuration");
        let mut issuers = Vec::new();
        for (name, there) in [
            ("wlcg", "https://wlcg.example.org/"),
            ("cms", "https://cms.example.org/"),
            ("ligo", "https://ligo.example.org"),
            ("egi", "https://aai.example.org/realms/egi"),
        ] {
            let issuer = LocalIssuer::start().await.expect("an issuer");
            assert_eq!(text.matches(&format!("issuer: {there}")).count(), 1, "{there}");
            text = text.replace(there, issuer.issuer());
            issuers.push((name, issuer));
        }
        let house = TestHouse::of_pack(&folder("wlcg"), &text).await;
        Self { house, issuers }
    }

    /// A token of a VO: what all have, and these claims.
    fn token(&self, vo: &str, more: &Value) -> String {
        let mut claims = match vo {
            "ligo" => json!({ "ver": "scitoken:2.0", "nbf": 1, "sub": "job" }),
            _ => json!({ "wlcg.ver": "1.0", "sub": "ada", "client_id": "portal", "jti": "j" }),
        };
        claims["aud"] = json!("https://se.example.org");
        for (name, value) in more.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        let (_, issuer) = self.issuers.iter().find(|(name, _)| *name == vo).expect("a VO");
        issuer.token(claims)
    }
}

/// Id, issuer and claims; method, host and path, headers; status, and a part of the reason in the log.
type Row = (
    &'static str,
    (&'static str, Value),
    (&'static str, &'static str, &'static str),
    &'static [(&'static str, &'static str)],
    u16,
    &'static str,
);

fn rows() -> Vec<Row> {
    let wlcg = |scope: &str| ("wlcg", json!({ "scope": scope }));
    let groups = |groups: Value| ("wlcg", json!({ "wlcg.groups": groups }));
    let aarc = |entitlement: &str| ("egi", json!({ "eduperson_entitlement": [entitlement] }));
    let pilots = json!({ "sub": "pilots", "client_id": "pilots", "scope": "wlcg.groups compute.create",
        "aud": "https://wlcg.cern.ch/jwt/v1/any" });
    let host =
        json!({ "sub": "host:fts.example.org", "client_id": "host:fts.example.org", "scope": "host.auth" });
    let new = &[("if-none-match", "*")];
    let no_permit = "no policy permits this to User::\"wlcg/ada\"";
    vec![
        (
            "W1",
            wlcg("openid"),
            ("GET", SE, "/wlcg/data/f"),
            &[],
            403,
            "storage.read for /wlcg/data/f is missing (the token grants no capability)",
        ),
        (
            "W3.get",
            groups(json!(["/wlcg"])),
            ("GET", SE, "/wlcg/data/f"),
            &[],
            200,
            "permitted by wlcg-reads",
        ),
        (
            "W3.put",
            groups(json!(["/wlcg"])),
            ("PUT", SE, "/wlcg/data/f"),
            &[],
            200,
            "permitted by wlcg-writes",
        ),
        (
            "W4",
            groups(json!(["/wlcg"])),
            ("PUT", SE, "/wlcg/protected/x"),
            &[],
            403,
            no_permit,
        ),
        (
            "W5",
            groups(json!(["/wlcg/test"])),
            ("DELETE", SE, "/wlcg/protected/x"),
            &[],
            200,
            "testers-write",
        ),
        (
            "W6",
            wlcg("storage.read:/"),
            ("PUT", SE, "/wlcg/data/f"),
            &[],
            403,
            "; storage.modify for /wlcg/data/f is missing (the token grants storage.read storage.stat for /wlcg/)",
        ),
        (
            "W7",
            wlcg("storage.modify:/"),
            ("GET", SE, "/wlcg/data/f"),
            &[],
            403,
            "storage.read for /wlcg/data/f is missing",
        ),
        (
            "W9",
            wlcg("storage.create:/"),
            ("PUT", SE, "/wlcg/data/f"),
            &[],
            403,
            "storage.modify for /wlcg/data/f is missing",
        ),
        (
            "W10",
            wlcg("storage.create:/"),
            ("DELETE", SE, "/wlcg/data/f"),
            &[],
            403,
            "storage.modify for",
        ),
        (
            "W11.put",
            wlcg("storage.modify:/"),
            ("PUT", SE, "/wlcg/data/f"),
            &[],
            200,
            "storage-modify",
        ),
        (
            "W11.mkcol",
            wlcg("storage.modify:/"),
            ("MKCOL", SE, "/wlcg/data/d"),
            &[],
            200,
            "storage-mkdir",
        ),
        (
            "W12",
            wlcg("storage.read:/some"),
            ("GET", SE, "/wlcg/some/f"),
            &[],
            200,
            "storage-read",
        ),
        (
            "W12.b",
            wlcg("storage.read:/some"),
            ("GET", SE, "/wlcg/other/f"),
            &[],
            403,
            no_permit,
        ),
        (
            "W14",
            wlcg("storage.read:/x/foo"),
            ("GET", SE, "/wlcg/x/foobar/file"),
            &[],
            403,
            no_permit,
        ),
        (
            "W15",
            wlcg("storage.create:/d/base"),
            ("MKCOL", SE, "/wlcg/d/base/foobar"),
            &[],
            200,
            "storage-mkdir",
        ),
        (
            "W16",
            wlcg("storage.create:/d/bas"),
            ("MKCOL", SE, "/wlcg/d/base/foobar"),
            &[],
            403,
            "storage.create or storage.modify for /wlcg/d/base/foobar is missing",
        ),
        (
            "W17",
            ("wlcg", json!({ "scope": "storage.read:/", "aud": "other" })),
            ("GET", SE, "/wlcg/data/f"),
            &[],
            401,
            "not for us",
        ),
        (
            "W18",
            (
                "wlcg",
                json!({ "scope": "storage.read:/", "aud": ["https://se.example.org", "other"] }),
            ),
            ("GET", SE, "/wlcg/data/f"),
            &[],
            200,
            "storage-read",
        ),
        (
            "W20",
            (
                "wlcg",
                json!({ "scope": "storage.read:/", "aud": "https://wlcg.cern.ch/jwt/v1/any" }),
            ),
            ("GET", SE, "/wlcg/data/f"),
            &[],
            200,
            "storage-read",
        ),
        (
            "W21",
            wlcg("storage.create:/foo/bar"),
            ("PUT", SE, "/wlcg/foo/bar/qux"),
            new,
            200,
            "storage-create",
        ),
        (
            "W22",
            wlcg("storage.create:/foo/bar"),
            ("PUT", SE, "/wlcg/foo/bargain"),
            new,
            403,
            no_permit,
        ),
        (
            "W23",
            wlcg("storage.create:/foo/bar/"),
            ("PUT", SE, "/wlcg/foo/bar"),
            new,
            403,
            no_permit,
        ),
        (
            "W24",
            (
                "cms",
                json!({ "scope": "storage.read:/ storage.create:/stageout" }),
            ),
            ("PUT", SE, "/cms/stageout/f"),
            new,
            200,
            "storage-create",
        ),
        (
            "W25",
            (
                "cms",
                json!({ "scope": "storage.read:/ storage.create:/stageout" }),
            ),
            ("GET", SE, "/wlcg/f"),
            &[],
            403,
            "storage.read for /wlcg/f is missing (the token grants storage.read storage.stat for /cms/, storage.create",
        ),
        (
            "W26",
            wlcg("storage.read storage.modify:/"),
            ("PUT", SE, "/wlcg/data/f"),
            &[],
            401,
            "\"storage.read\" has no path",
        ),
        (
            "W27",
            (
                "wlcg",
                json!({ "scope": "compute.create", "wlcg.groups": ["/wlcg"] }),
            ),
            ("GET", SE, "/wlcg/data/f"),
            &[],
            403,
            "storage.read for /wlcg/data/f is missing (the token grants compute.create)",
        ),
        (
            "W28",
            wlcg("storage.stage:/x"),
            ("GET", SE, "/wlcg/x/f"),
            &[],
            403,
            "storage.read for /wlcg/x/f is missing",
        ),
        (
            "W29",
            ("wlcg", json!({ "wlcg.ver": "1.7", "scope": "storage.read:/" })),
            ("GET", SE, "/wlcg/f"),
            &[],
            200,
            "storage-read",
        ),
        (
            "W29.b",
            ("wlcg", json!({ "wlcg.ver": "2.0", "scope": "storage.read:/" })),
            ("GET", SE, "/wlcg/f"),
            &[],
            401,
            "\"2.0\"",
        ),
        (
            "W30",
            wlcg("storage.read:/foo/%2e%2e/bar"),
            ("GET", SE, "/wlcg/bar"),
            &[],
            401,
            "no certain path",
        ),
        (
            "W32",
            ("cms", json!({ "wlcg.groups": ["/cms/uscms"] })),
            ("GET", SE, "/cms/store/f"),
            &[],
            403,
            "no policy permits",
        ),
        (
            "W33",
            ("wlcg", json!({ "scope": "storage.read:/", "exp": 1 })),
            ("GET", SE, "/wlcg/f"),
            &[],
            401,
            "expired",
        ),
        (
            "W35",
            ("cms", pilots),
            ("POST", CE, "/arex/rest/1.0/jobs?action=new"),
            &[],
            200,
            "compute-submit",
        ),
        (
            "host",
            ("cms", host),
            ("PROPFIND", SE, "/cms/store/f"),
            &[("depth", "0")],
            200,
            "fts-looks",
        ),
        (
            "sci",
            ("ligo", json!({ "scope": "read:/ write:/out" })),
            ("PUT", SE, "/ligo/out/f"),
            &[],
            200,
            "storage-modify",
        ),
        (
            "sci.b",
            ("ligo", json!({ "scope": "read:/ write:/out" })),
            ("PUT", SE, "/ligo/x"),
            &[],
            403,
            "storage.modify for /ligo/x",
        ),
        (
            "aarc",
            aarc("urn:mace:egi.eu:group:vo.example.org:sub#a"),
            ("GET", SE, "/egi/x/f"),
            &[],
            200,
            "egi-reads",
        ),
        (
            "aarc.b",
            aarc("urn:mace:egi.eu:group:vo.example.org:sub#a"),
            ("PUT", SE, "/egi/x/f"),
            &[],
            403,
            "no policy permits",
        ),
        (
            "list",
            wlcg("storage.read:/"),
            ("PROPFIND", SE, "/wlcg/data"),
            &[("depth", "1")],
            200,
            "storage-list",
        ),
        (
            "copy",
            wlcg("storage.read:/a storage.modify:/b"),
            ("COPY", SE, "/wlcg/a/f"),
            &[("destination", "/wlcg/b/f")],
            200,
            "permitted by storage-copy, storage-place",
        ),
        (
            "copy.b",
            wlcg("storage.read:/a storage.modify:/b"),
            ("COPY", SE, "/wlcg/a/f"),
            &[("destination", "/wlcg/c/f")],
            403,
            "at the destination /wlcg/c/f: no policy permits this to User::\"wlcg/ada\"; storage.modify for /wlcg/c/f is missing",
        ),
        (
            "move",
            wlcg("storage.modify:/a"),
            ("MOVE", SE, "/wlcg/a/f"),
            &[("destination", "https://se.example.org/wlcg/a/g")],
            200,
            "permitted by storage-place, storage-rename",
        ),
        (
            "move.b",
            wlcg("storage.modify:/"),
            ("MOVE", SE, "/wlcg/a/f"),
            &[("destination", "https://se.example.org/cms/a/g")],
            403,
            "at the destination /cms/a/g",
        ),
        (
            "move.c",
            wlcg("storage.modify:/"),
            ("MOVE", SE, "/wlcg/a/f"),
            &[("destination", "/wlcg/b/%2e%2e/c")],
            400,
            "the header `destination` cannot be read",
        ),
        (
            "move.d",
            wlcg("storage.modify:/"),
            ("MOVE", SE, "/wlcg/a/f"),
            &[],
            400,
            "without `Destination`",
        ),
        (
            "move.e",
            wlcg("storage.modify:/"),
            ("MOVE", SE, "/wlcg/a/f"),
            &[("destination", "/wlcg/b"), ("destination", "/wlcg/c")],
            400,
            "the header `destination`",
        ),
        (
            "pull",
            wlcg("storage.create:/b"),
            ("COPY", SE, "/wlcg/b/f"),
            &[("source", "https://far.example.net/f"), ("overwrite", "F")],
            200,
            "storage-fetch",
        ),
        (
            "push",
            wlcg("storage.read:/b"),
            ("COPY", SE, "/wlcg/b/f"),
            &[("destination", "https://far.example.net//f")],
            200,
            "permitted by storage-copy",
        ),
    ]
}

/// Sends every row and compares status, whether the upstream was reached, and the reason in the log.
async fn check(site: &Site, proxy: std::net::SocketAddr, echo: &Echo) {
    for (id, (vo, claims), (method, host, target), headers, status, why) in rows() {
        let bearer = format!("Bearer {}", site.token(vo, &claims));
        let always = [("host", host), ("authorization", bearer.as_str())];
        let headers = always.iter().chain(headers.iter());
        let headers: Vec<(String, String)> =
            headers.map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let reached = echo.requests();
        let answer = http::send(proxy, method, target, &headers, Bytes::new())
            .await
            .expect("an answer");
        let passed = echo.requests() > reached;
        assert_eq!(
            (answer.status().as_u16(), passed),
            (status, status == 200),
            "{id}: {answer:?}"
        );
        let record = site.house.last_record();
        assert!(
            record["why"].as_str().unwrap_or_default().contains(why),
            "{id}: {record}"
        );
        assert!(
            !record.to_string().contains(&bearer[7..]),
            "{id}: a token is in the log"
        );
        if status != 200 && status != 401 {
            // The caller learns no more than that.
            let said = String::from_utf8_lossy(answer.body());
            assert!(!said.contains("storage"), "{id}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn through_envoy() {
    let site = Site::start().await;
    if let Some(front) = site.house.envoy(|options| options).await {
        check(&site, front.envoy.address(), &front.echo).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn through_caddy() {
    let site = Site::start().await;
    if let Some(proxy) = CADDY.start(&site.house).await {
        check(&site, proxy.address, &proxy.echo).await;
    }
}

/// As the plugin sends it: all headers, a list where one is there several times.
#[tokio::test]
async fn through_the_door_of_apisix() {
    let site = Site::start().await;
    let address = site.house.http();
    for (id, (vo, claims), (method, host, target), headers, status, why) in rows() {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: Value = query
            .split_once('=')
            .map_or(json!({}), |(name, value)| json!({ name: value }));
        let mut all = json!({ "host": host, "authorization": format!("Bearer {}", site.token(vo, &claims)) });
        for (name, value) in headers {
            all[*name] = match all.get(*name) {
                Some(other) => json!([other, value]),
                None => json!(value),
            };
        }
        // The plugin sends the path decoded.
        let request = json!({ "scheme": "https", "method": method, "host": host, "port": 443, "path": path, "query": query,
            "headers": all });
        let input =
            json!({ "input": { "type": "http", "request": request, "var": { "remote_addr": "10.0.0.7" } } });
        let body = input.to_string();
        let own = [
            ("host", address.to_string()),
            ("content-type", "application/json".to_owned()),
            ("content-length", body.len().to_string()),
        ];
        let own: Vec<(&str, &[u8])> = own
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        let question = doors::request("POST", b"/v1/data/portcullis/allow", &own, body.as_bytes());
        let reply = doors::exchange(address, &question).await;
        let answer: Value = serde_json::from_slice(&reply.body).expect("a document");
        let answer = &answer["result"];
        assert_eq!(answer["allow"], status == 200, "{id}: {answer}");
        if status != 200 {
            assert_eq!(answer["status_code"], status, "{id}: {answer}");
        }
        let record = site.house.last_record();
        assert!(
            record["why"].as_str().unwrap_or_default().contains(why),
            "{id}: {record}"
        );
    }
}

#[test]
fn every_case_of_the_profile_is_held_once() {
    let cases = (1..=35).map(|n| format!("W{n}"));
    let more = ["b", "c", "d", "e"].map(|letter| format!("W31{letter}"));
    every_case_is_held_once("wlcg", &cases.chain(more).collect::<Vec<_>>());
}
