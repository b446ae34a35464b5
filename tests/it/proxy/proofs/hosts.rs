//! The host that is judged is the one that the upstream gets.

use model::Host;

use crate::envoy::{raw, record_of};
use crate::house::Got;
use crate::proxy::{Program, Proxy};

/// Heads of requests, and the host that is judged and that the upstream sees.
const NAMED: [(&str, &str); 5] = [
    (
        "GET /public/hello HTTP/1.1\r\nhost: api.example.test",
        "api.example.test",
    ),
    (
        "GET /public/hello HTTP/1.1\r\nhost: API.Example.test:8443",
        "api.example.test",
    ),
    ("GET /public/hello HTTP/1.1\r\nhost: [::1]:80", "[::1]"),
    (
        "GET http://b.test/public/hello HTTP/1.1\r\nhost: a.test",
        "b.test",
    ),
    (
        "GET http://b.test:81/public/hello HTTP/1.1\r\nhost: a.test\r\nx-forwarded-host: c.test",
        "b.test",
    ),
];

/// Authorities that are none, or not the one that the upstream would see: refused by whoever sees it first.
const REFUSED: [&str; 19] = [
    "GET /public/hello HTTP/1.1",
    "GET /public/hello HTTP/1.1\r\naccept: */*",
    "GET /public/hello HTTP/1.1\r\nhost:",
    "GET /public/hello HTTP/1.1\r\nhost: a..b",
    "GET /public/hello HTTP/1.1\r\nhost: u@a.test",
    "GET /public/hello HTTP/1.1\r\nhost: user@api.example.test",
    "GET /public/hello HTTP/1.1\r\nhost: a,b",
    "GET /public/hello HTTP/1.1\r\nhost: a.test, b.test",
    "GET /public/hello HTTP/1.1\r\nhost: api.example.test\r\nhost: evil.example",
    "GET /public/hello HTTP/1.1\r\nhost: a.test\r\nhost: b.test",
    // In front of the path, these would be another path.
    "GET /public/hello HTTP/1.1\r\nhost: a.test/b",
    "GET /workspaces HTTP/1.1\r\nhost: api.example.test/public/hello",
    "GET /workspaces HTTP/1.1\r\nhost: api.example.test/public/hello?",
    "GET /workspaces HTTP/1.1\r\nhost: api.example.test?",
    "GET /workspaces HTTP/1.1\r\nhost: api.example.test#",
    "GET /public/hello HTTP/1.0\r\naccept: */*",
    "GET /public/hello HTTP/1.0\r\nx-forwarded-host: a.test",
    // Not a path.
    "CONNECT api.example.test:80 HTTP/1.1\r\nhost: api.example.test:80",
    "GET public/hello HTTP/1.1\r\nhost: api.example.test",
];

/// A whole URL as target, and the `Host` beside it.
const WHOLE_URLS: [(&str, &str); 12] = [
    ("http://api.example.test/public/hello", "api.example.test"),
    ("http://API.example.test/public/hello", "api.example.test"),
    ("https://api.example.test/public/hello", "api.example.test"),
    ("http://evil.example/public/hello", "api.example.test"),
    ("http://api.example.test/public/hello", "evil.example"),
    ("http://api.example.test/workspaces/ws-alice", "api.example.test"),
    ("http://api.example.test", "api.example.test"),
    ("http://api.example.test?/public/hello", "api.example.test"),
    ("http://user@api.example.test/public/hello", "api.example.test"),
    ("http://api.example.test//public/hello", "api.example.test"),
    ("http:///public/hello", "api.example.test"),
    ("file:///public/hello", "api.example.test"),
];

/// The host that is judged is the one that the upstream sees, in whatever way the client names it; without one, nothing
/// passes. `differing` is the status of a request whose URL and `Host` differ.
pub(crate) async fn hosts(program: &'static Program, differing: u16) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    for (head, host) in NAMED {
        let got = sent(&proxy, head).await;
        let status = if host == "b.test" { differing } else { 200 };
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, status == 200),
            "{head}: {got:?}"
        );
        if status == 200 {
            assert_eq!(record_of(&house, &got)["host"], host, "{head}");
            let seen = got.at_upstream("host").concat();
            assert_eq!(Host::parse(&seen).expect("a host").as_str(), host, "{head}");
        }
    }
    for head in REFUSED {
        let got = sent(&proxy, head).await;
        // 501: a proxy that knows no CONNECT.
        let refused = (400..500).contains(&got.status) || (got.status, &head[..7]) == (501, "CONNECT");
        assert!(got.seen.is_none() && refused, "{head}: {got:?}");
    }
}

async fn sent(proxy: &Proxy, head: &str) -> Got {
    let request = format!("{head}\r\nconnection: close\r\n\r\n");
    proxy.exchange(request.as_bytes()).await
}

/// A whole URL in place of a path (RFC 9112 section 3.2.2): what is judged is what the upstream sees, host and path.
pub(crate) async fn whole_urls(program: &'static Program) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    for (url, host) in WHOLE_URLS {
        let row = format!("{url} {host}");
        let request = raw::request("GET", url.as_bytes(), &[("host", host.as_bytes())]);
        let got = proxy.exchange(&request).await;
        let Some(seen) = &got.seen else {
            assert!((400..500).contains(&got.status), "{row}: {got:?}");
            continue;
        };
        let record = record_of(&house, &got);
        assert_eq!(record["path"], "/public/hello", "{row}");
        let authority = url.split('/').nth(2).unwrap_or_default();
        let asked = match authority.trim_start_matches("user@") {
            "" => host.to_owned(),
            named => named.to_lowercase(),
        };
        assert_eq!(
            record["host"], asked,
            "{row}: the proxy goes by the host in the URL"
        );
        let named = got.at_upstream("host").concat();
        assert_eq!(Host::parse(&named).expect("a host").as_str(), asked, "{row}");
        let authority = seen.path.strip_suffix("/public/hello").expect("the same path");
        let same = |scheme: &str| authority.eq_ignore_ascii_case(&format!("{scheme}://{named}"));
        assert!(
            authority.is_empty() || same("http") || same("https"),
            "{row}: {seen:?}"
        );
    }
}
