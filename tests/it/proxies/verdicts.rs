//! Who gets through, with which path, host and body.

use super::{Proxy, record};
use crate::envoy::{raw, token};
use crate::house::TestHouse;

/// Rows of who, method, target, status at the client and reason in the record. `-` means that the proxy refused the
/// request itself. What passes reaches the upstream byte for byte.
pub(crate) async fn check_verdicts(house: &TestHouse, proxy: &Proxy, contract: &str, rows: &str) {
    let rows = rows.lines().map(str::trim);
    for row in rows.filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let [who, method, target, status, reason] = fields[..] else {
            panic!("{row}")
        };
        let got = proxy.send(house, who, method, target, &[]).await;
        assert_eq!(got.status.to_string(), status, "{row}: {got:?}");
        let record = record(house, &got);
        if reason == "-" {
            assert!(record.is_none() && got.seen.is_none(), "{row}: {got:?}");
            continue;
        }
        let record = record.unwrap_or_else(|| panic!("{row}: no decision: {got:?}"));
        assert_eq!(record["reason"], reason, "{row}: {record}");
        assert_eq!(record["contract"], contract, "{row}");
        if status == "200" {
            let seen = got.seen.as_ref().unwrap_or_else(|| panic!("{row}: {got:?}"));
            assert_eq!(
                (seen.method.as_str(), seen.path.as_str()),
                (method, target),
                "{row}"
            );
            assert_eq!(record["client_ip"], "127.0.0.1", "{row}");
            assert_eq!(record["host"], "api.example.test", "{row}");
        } else {
            assert!(got.seen.is_none(), "{row}: {got:?}");
        }
        if status == "401" {
            let challenge = got.header("www-authenticate").unwrap_or_default();
            assert!(challenge.starts_with("Bearer "), "{row}: {got:?}");
        }
    }
}

/// Authorities that are none, or not the one that the upstream would see: refused by whoever sees it first.
pub(crate) async fn check_authorities(proxy: &Proxy) {
    for lines in [
        "GET /public/hello HTTP/1.1\r\n",
        "GET /public/hello HTTP/1.1\r\nhost:\r\n",
        "GET /public/hello HTTP/1.1\r\nhost: a..b\r\n",
        "GET /public/hello HTTP/1.1\r\nhost: user@api.example.test\r\n",
        "GET /public/hello HTTP/1.1\r\nhost: a,b\r\n",
        "GET /public/hello HTTP/1.1\r\nhost: api.example.test\r\nhost: evil.example\r\n",
        // In front of the path, these would be another path.
        "GET /workspaces HTTP/1.1\r\nhost: api.example.test/public/hello\r\n",
        "GET /workspaces HTTP/1.1\r\nhost: api.example.test/public/hello?\r\n",
        "GET /workspaces HTTP/1.1\r\nhost: api.example.test?\r\n",
        "GET /workspaces HTTP/1.1\r\nhost: api.example.test#\r\n",
        "GET /public/hello HTTP/1.0\r\n",
        // Not a path.
        "OPTIONS * HTTP/1.1\r\nhost: api.example.test\r\n",
        "CONNECT api.example.test:80 HTTP/1.1\r\nhost: api.example.test:80\r\n",
        "GET public/hello HTTP/1.1\r\nhost: api.example.test\r\n",
    ] {
        let got = proxy
            .exchange(format!("{lines}connection: close\r\n\r\n").as_bytes())
            .await;
        assert!(got.seen.is_none(), "{lines}: {got:?}");
        assert!((400..500).contains(&got.status), "{lines}: {got:?}");
    }
}

/// Bodies are the upstream's and not Portcullis': a yes leaves them whole, a no does not wait for them.
pub(crate) async fn check_bodies(house: &TestHouse, proxy: &Proxy) {
    let body = "x".repeat(100_000);
    let framed = [
        format!("content-length: {}\r\n\r\n{body}", body.len()),
        format!(
            "transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        ),
    ];
    for rest in framed {
        for (who, status) in [("alice", 200), ("nobody", 401), ("robot", 403)] {
            let bearer = token(house, who).map(|token| format!("authorization: Bearer {token}\r\n"));
            let request = format!(
                "PUT /workspaces/ws-alice HTTP/1.1\r\nhost: api.example.test\r\nconnection: close\r\n{}{rest}",
                bearer.unwrap_or_default()
            );
            let got = proxy.exchange(request.as_bytes()).await;
            let arrived = got.seen.as_ref().map(|seen| seen.body_bytes);
            let expected = (status == 200).then_some(body.len() as u64);
            assert_eq!((got.status, arrived), (status, expected), "{who} {}", &rest[..30]);
        }
    }
}

/// A whole URL in place of a path (RFC 9112 section 3.2.2): what is judged is what the upstream sees, host and path.
pub(crate) async fn check_whole_urls(house: &TestHouse, proxy: &Proxy) {
    for (url, host) in [
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
    ] {
        let row = format!("{url} {host}");
        let request = raw::request("GET", url.as_bytes(), &[("host", host.as_bytes())]);
        let got = proxy.exchange(&request).await;
        let Some(seen) = &got.seen else {
            assert!((400..500).contains(&got.status), "{row}: {got:?}");
            continue;
        };
        let record = record(house, &got).expect("a decision");
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
        assert_eq!(
            seen.headers["host"],
            [record["host"].as_str().expect("a host")],
            "{row}"
        );
        let authority = seen.path.strip_suffix("/public/hello").expect("the same path");
        let same =
            |scheme: &str| authority.eq_ignore_ascii_case(&format!("{scheme}://{}", seen.headers["host"][0]));
        assert!(
            authority.is_empty() || same("http") || same("https"),
            "{row}: {seen:?}"
        );
    }
}
