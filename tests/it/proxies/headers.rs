//! What clients write into headers: neither who they are nor what they ask for.

use std::collections::BTreeMap;

use super::{Proxy, record};
use crate::envoy::{DECISION_ID, token};
use crate::house::{Got, TestHouse};

/// All spellings of a header's name that some upstream would take for it.
fn spellings(name: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for character in name.chars() {
        let both = if character == '-' { "-_" } else { "" };
        all = all
            .iter()
            .flat_map(|begun| {
                let one = both.is_empty().then_some(character);
                both.chars().chain(one).map(move |next| format!("{begun}{next}"))
            })
            .collect();
    }
    let upper: Vec<String> = all.iter().map(|name| name.to_uppercase()).collect();
    all.extend(upper);
    all
}

/// All that the upstream saw under these names and their look-alikes.
fn at_upstream(got: &Got, names: &[String]) -> BTreeMap<String, Vec<String>> {
    let seen = got
        .seen
        .as_ref()
        .unwrap_or_else(|| panic!("not reached: {got:?}"));
    let fold = |name: &str| name.to_lowercase().replace('_', "-");
    let headers = seen.headers.iter();
    headers
        .filter(|(name, _)| names.iter().any(|n| fold(n) == fold(name)))
        .map(|(name, values)| (name.clone(), values.clone()))
        .collect()
}

/// Whatever identity headers a client sends, in every spelling and twice, the upstream sees what Portcullis says.
pub(crate) async fn check_spoofing(house: &TestHouse, proxy: &Proxy) {
    let names = house.identity_headers();
    assert_eq!(names.len(), 6, "{names:?}");
    for (who, target, known) in [
        (
            "alice",
            "/workspaces/ws-alice",
            [("x-auth-name", "alice"), ("x-auth-type", "User")],
        ),
        (
            "client",
            "/catalogue/x",
            [("x-auth-subject", "portal-backend"), ("x-auth-type", "Client")],
        ),
        (
            "nobody",
            "/public/hello",
            [("x-auth-type", "Anonymous"), ("x-auth-type", "Anonymous")],
        ),
    ] {
        let honest = proxy.send(house, who, "GET", target, &[]).await;
        assert_eq!(honest.status, 200, "{who}: {honest:?}");
        let expected = at_upstream(&honest, &names);
        for (name, value) in known {
            assert_eq!(expected[name], [value], "{who}");
        }
        assert!(who != "nobody" || expected.len() == 1, "{expected:?}");
        for name in names.iter().map(String::as_str).chain([DECISION_ID]) {
            let spelt = spellings(name);
            let spoofed = spelt
                .iter()
                .flat_map(|name| [(name.as_str(), "root"), (name, "a, root")]);
            let got = proxy
                .send(house, who, "GET", target, &spoofed.collect::<Vec<_>>())
                .await;
            assert_eq!(got.status, 200, "{who} {name}: {got:?}");
            assert_eq!(at_upstream(&got, &names), expected, "{who} {name}");
            let ids = at_upstream(&got, &[DECISION_ID.to_owned()]);
            assert_eq!(ids.keys().collect::<Vec<_>>(), [DECISION_ID], "{who} {name}");
            let record = record(house, &got).expect("a decision");
            assert_eq!(record["verdict"], "allow", "{who} {name}");
        }
        // Names that are none: refused, or not passed on.
        for line in [
            "X-Auth-Name : root",
            "X-Auth-Name\t: root",
            "X-Auth-Name\u{a0}: root",
            " X-Auth-Name: root",
        ] {
            let bearer = token(house, who).map(|token| format!("authorization: Bearer {token}\r\n"));
            let bearer = bearer.unwrap_or_default();
            let request = format!(
                "GET {target} HTTP/1.1\r\nhost: api.example.test\r\n{bearer}{line}\r\nconnection: close\r\n\r\n"
            );
            let got = proxy.exchange(request.as_bytes()).await;
            if got.seen.is_some() {
                assert_eq!(at_upstream(&got, &names), expected, "{who} {line:?}");
            } else {
                assert!((400..500).contains(&got.status), "{who} {line:?}: {got:?}");
            }
        }
    }
}

/// A header, and values that would turn a denial into a yes and a yes into a denial if anybody believed them.
const FOREIGN: [(&str, &str, &str); 24] = [
    (
        "X-Original-URL",
        "http://api.example.test/public/hello",
        "http://api.example.test/workspaces",
    ),
    ("X-Original-URI", "/public/hello", "/workspaces"),
    ("X-Original-Path", "/public/hello", "/workspaces"),
    ("X-Original-Host", "api.example.test", "evil.example"),
    ("X-Original-Method", "GET", "DELETE"),
    ("X-Forwarded-Uri", "/public/hello", "/workspaces"),
    ("X-Forwarded-Path", "/public/hello", "/workspaces"),
    ("X-Forwarded-Prefix", "/public", "/workspaces"),
    ("X-Forwarded-Method", "GET", "DELETE"),
    ("X-Forwarded-Host", "api.example.test", "evil.example"),
    ("X-Forwarded-Proto", "https", "gopher"),
    ("X-Forwarded-For", "9.9.9.9", "9.9.9.9, 8.8.8.8"),
    ("X-Real-IP", "9.9.9.9", "not an address"),
    ("X-Client-IP", "9.9.9.9", "not an address"),
    (
        "Forwarded",
        "for=9.9.9.9;host=api.example.test;proto=https",
        "for=\"_x\";host=evil.example",
    ),
    ("X-Rewrite-URL", "/public/hello", "/workspaces"),
    ("X-Envoy-Original-Path", "/public/hello", "/workspaces"),
    ("X-Envoy-External-Address", "9.9.9.9", "not an address"),
    ("X-Accel-Redirect", "/public/hello", "/workspaces"),
    ("Content-Type", "application/grpc", "application/grpc"),
    (
        "X_Original_URL",
        "http://api.example.test/public/hello",
        "http://api.example.test/workspaces",
    ),
    ("X_Original_Method", "GET", "DELETE"),
    ("X_Forwarded_Uri", "/public/hello", "/workspaces"),
    ("X_Real_IP", "9.9.9.9", "not an address"),
];

/// Those of them that applications believe: the upstream gets the proxy's own or none.
const BELIEVED: [&str; 6] = [
    "x-original-url",
    "x-rewrite-url",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// What the headers of other contracts say changes nothing, and the client's address is what the proxy saw.
pub(crate) async fn check_foreign_headers(house: &TestHouse, proxy: &Proxy) {
    for (name, good, bad) in FOREIGN {
        for headers in [&[(name, good)][..], &[(name, bad)], &[(name, bad), (name, good)]] {
            for (who, method, target, status) in [
                ("nobody", "GET", "/public/hello", 200),
                ("nobody", "GET", "/workspaces/ws-alice", 401),
                ("nobody", "POST", "/public/hello", 401),
                ("alice", "GET", "/workspaces/ws-alice", 200),
                ("alice", "DELETE", "/workspaces/ws-alice", 403),
                ("alice", "GET", "/workspaces/ws-bob", 403),
            ] {
                let got = proxy.send(house, who, method, target, headers).await;
                let row = format!("{who} {method} {target} {headers:?}");
                assert_eq!(
                    (got.status, got.seen.is_some()),
                    (status, status == 200),
                    "{row}: {got:?}"
                );
                let record = record(house, &got).unwrap_or_else(|| panic!("{row}: no decision"));
                for name in BELIEVED.iter().filter(|_| got.seen.is_some()) {
                    let sent = headers.iter().map(|(_, value)| *value);
                    let sent: Vec<_> = sent.filter(|value| *value != "api.example.test").collect();
                    let there = at_upstream(&got, &[(*name).to_owned()]);
                    let mut there = there.values().flatten();
                    assert!(
                        !there.any(|value| sent.contains(&value.as_str())),
                        "{row}: {got:?}"
                    );
                }
                assert_eq!(record["method"], method, "{row}");
                assert_eq!(record["path"], target, "{row}");
                assert_eq!(record["host"], "api.example.test", "{row}");
                assert_eq!(record["client_ip"], "127.0.0.1", "{row}");
            }
        }
    }
}
