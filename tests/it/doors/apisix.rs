//! APISIX `forward-auth` 3.18, which has no package to install: what it sends, byte for byte, and a model of how it reads
//! the answer. The settings are those of `deploy/apisix/route.yaml`.

use std::collections::BTreeMap;

use portcullis::demo::people;

use super::{Reply, exchange, house_with};
use crate::house::TestHouse;

const ROUTE: &str = include_str!("../../../deploy/apisix/route.yaml");

/// How the plugin asks (`request_method`).
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asks {
    Get,
    Post,
}

/// A client's request, as nginx has parsed it: the path decoded and normalised, names in lower case.
#[derive(Clone, Copy, Debug)]
struct Client<'a> {
    method: &'a str,
    /// Decoded path, `?`, query as sent.
    uri: &'a [u8],
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
}

/// What becomes of the client's request.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// It goes upstream with these headers.
    Passes(BTreeMap<String, String>),
    /// The client gets this.
    Ends {
        status: u16,
        headers: BTreeMap<String, String>,
        body: Vec<u8>,
    },
}

/// A list of names in the route of `deploy/apisix`.
fn names(setting: &str) -> Vec<&'static str> {
    let (_, list) = ROUTE.split_once(&format!("{setting}: [")).expect("the setting");
    let (list, _) = list.split_once(']').expect("the end of the list");
    list.split(',').map(str::trim).collect()
}

/// The question of the plugin: its HTTP client writes its own two headers first, then the table in no order of its own.
fn question(asks: Asks, host: &str, client: Client<'_>) -> Vec<u8> {
    let (line, body) = match asks {
        Asks::Get => ("GET /apisix HTTP/1.1\r\n", &b""[..]),
        Asks::Post => ("POST /apisix HTTP/1.1\r\n", client.body),
    };
    let mut bytes = line.as_bytes().to_vec();
    let mut put = |name: &str, value: &[u8]| bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    put("Host", host.as_bytes());
    put("User-Agent", b"lua-resty-http/0.17.2 (Lua) ngx_lua/10028");
    put("X-Forwarded-Uri", client.uri);
    put("X-Forwarded-Method", client.method.as_bytes());
    // The first value of a header that is listed; nothing else of the client's.
    for name in names("request_headers") {
        let value = client.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        if let Some((_, value)) = value {
            put(name, value.as_bytes());
        }
    }
    put("X-Forwarded-Host", b"api.example.test");
    put("X-Forwarded-For", b"10.0.0.7");
    put("X-Forwarded-Proto", b"https");
    if asks == Asks::Post {
        put("Content-Length", body.len().to_string().as_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

/// What the plugin does with an answer.
fn read(reply: &Reply, client: Client<'_>) -> Outcome {
    let answered = |name: &str| {
        let values: Vec<&str> = reply
            .headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().expect("a text"))
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    };
    if reply.status >= 300 {
        let headers = names("client_headers").into_iter();
        return Outcome::Ends {
            status: reply.status,
            headers: headers
                .filter_map(|name| Some((name.to_lowercase(), answered(name)?)))
                .collect(),
            body: reply.body.clone(),
        };
    }
    let mut upstream: BTreeMap<String, String> = client
        .headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), (*value).to_owned()))
        .collect();
    for name in names("upstream_headers") {
        match answered(name) {
            Some(value) => upstream.insert(name.to_lowercase(), value),
            None => upstream.remove(&name.to_lowercase()),
        };
    }
    Outcome::Passes(upstream)
}

async fn ask(house: &TestHouse, asks: Asks, client: Client<'_>) -> Outcome {
    let address = house.all_http()[0];
    let reply = exchange(address, &question(asks, &address.to_string(), client)).await;
    read(&reply, client)
}

#[test]
fn the_configurations_list_every_identity_header() {
    const MESH: &str = include_str!("../../../deploy/istio/meshconfig.yaml");
    let upstream = names("upstream_headers");
    let mesh: Vec<&str> = MESH
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .collect();
    for name in portcullis::demo::stage::DEFAULT_CONFIG
        .lines()
        .filter_map(|line| line.trim().split_once(':'))
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("x-auth-"))
    {
        for list in [&upstream, &mesh] {
            assert!(list.contains(&name), "{name} is not in {list:?}");
        }
    }
}

#[tokio::test]
async fn what_passes_has_our_headers_and_what_ends_tells_why() {
    let house = house_with("").await;
    let alice = people::alice(&house.issuer).bearer();
    let spoofed: [(&str, &str); 3] = [
        ("x-auth-subject", "root"),
        ("x-auth-groups", "admin"),
        ("x-auth-principal", "main/root"),
    ];
    let known = [&spoofed[..], &[("authorization", &alice)]].concat();
    for asks in [Asks::Get, Asks::Post] {
        for (headers, method, uri, body, status) in [
            (&known, "GET", &b"/workspaces/ws-alice"[..], &b""[..], 200),
            (&known, "PUT", b"/workspaces/ws-alice/a b?x=%2F", b"\xFF\x00", 200),
            (&known, "GET", "/workspaces/ws-alice/café".as_bytes(), b"", 200),
            (&known, "GET", b"/workspaces/ws-bob", b"", 403),
            (&known, "DELETE", b"/workspaces/ws-alice", b"{}", 403),
            (&spoofed.to_vec(), "GET", b"/workspaces/ws-alice", b"", 401),
            (&spoofed.to_vec(), "GET", b"/public/hello", b"", 200),
            (&known, "GET", b"/public/%2e%2e/workspaces", b"", 400),
            (&known, "GET", b"/public/a;b", b"", 400),
        ] {
            let client = Client {
                method,
                uri,
                headers,
                body,
            };
            let row = format!("{asks:?} {method} {}", uri.escape_ascii());
            match ask(&house, asks, client).await {
                Outcome::Passes(upstream) => {
                    assert_eq!(status, 200, "{row}");
                    let subject = if uri.starts_with(b"/public") {
                        ""
                    } else {
                        people::ALICE
                    };
                    assert_eq!(upstream["x-auth-subject"], subject, "{row}");
                    assert!(
                        !upstream.values().any(|value| value == "main/root"),
                        "{row}: {upstream:?}"
                    );
                    assert_ne!(upstream["x-auth-groups"], "admin", "{row}");
                }
                Outcome::Ends {
                    status: got,
                    headers,
                    body,
                } => {
                    assert_eq!(got, status, "{row}");
                    assert_eq!(headers.contains_key("www-authenticate"), status == 401, "{row}");
                    assert_eq!(headers["content-type"], "text/plain; charset=utf-8", "{row}");
                    assert!(headers.contains_key("x-portcullis-decision-id"), "{row}");
                    assert!(!body.is_empty(), "{row}");
                }
            }
        }
    }
}

/// The plugin overwrites the client's five headers; whatever else the client sends does not get here at all.
#[tokio::test]
async fn nothing_of_the_clients_gets_here_unless_it_is_listed() {
    let house = house_with("").await;
    let headers = [
        ("X-Forwarded-Uri", "/public/hello"),
        ("X-Forwarded-Method", "GET"),
        ("X-Original-URL", "https://api.example.test/public/hello"),
        ("cookie", "a=b"),
    ];
    let client = Client {
        method: "GET",
        uri: b"/workspaces/ws-alice",
        headers: &headers,
        body: b"",
    };
    let sent = question(Asks::Get, "p", client);
    let sent = String::from_utf8(sent).expect("text");
    assert_eq!(sent.matches("X-Forwarded-Uri").count(), 1, "{sent}");
    assert!(!sent.contains("/public/hello"), "{sent}");
    assert!(matches!(
        ask(&house, Asks::Get, client).await,
        Outcome::Ends { status: 401, .. }
    ));
}
