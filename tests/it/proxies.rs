//! What is proved of every proxy in front of an HTTP door: each runs from the configuration in `deploy/`, only with other
//! addresses.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use portcullis::demo::child::{Guarded, tail};
use portcullis::demo::echo::Echo;
use portcullis::demo::scratch::ScratchDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::envoy::{DECISION_ID, raw, token};
use crate::house::{Got, TestHouse, until};

/// A running proxy with an upstream behind it.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) echo: Echo,
    _child: Guarded,
    _dir: ScratchDir,
}

impl Proxy {
    /// Starts it with `spawn`, which gets a directory of its own, where to listen, and where the upstream is. Its output
    /// goes to `log` in that directory. Returns when it takes connections.
    pub(crate) async fn start(
        name: &str,
        spawn: impl Fn(&Path, SocketAddr, SocketAddr) -> io::Result<Guarded>,
    ) -> Self {
        let echo = Echo::start().await.expect("an upstream");
        let dir = ScratchDir::new(name).expect("a directory");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            // These proxies do not tell which port the kernel chose; one that was free a moment ago may be taken again.
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
            let address = free.local_addr().expect("its address");
            drop(free);
            let mut child = spawn(dir.path(), address, echo.address()).expect("a process");
            while child.exited().expect("its state").is_none() {
                if TcpStream::connect(address).await.is_ok() {
                    return Self {
                        address,
                        echo,
                        _child: child,
                        _dir: dir,
                    };
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
                assert!(Instant::now() < deadline, "{name} takes no connections");
            }
            let log = tail(&dir.path().join("log"), 15);
            let taken = log.contains("in use") || log.contains("cannot bind");
            assert!(taken && Instant::now() < deadline, "{name} ended:\n{log}");
        }
    }

    /// Sends these bytes on a connection of their own.
    pub(crate) async fn exchange(&self, request: &[u8]) -> Got {
        raw::through(self.address, &self.echo, request).await
    }

    /// Sends a request of one of the people, with more headers.
    pub(crate) async fn send(
        &self,
        house: &TestHouse,
        who: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Got {
        let bearer = token(house, who).map(|token| format!("Bearer {token}"));
        let bearer = bearer.iter().map(|bearer| ("authorization", bearer.as_str()));
        let headers = headers.iter().copied().chain(bearer);
        let headers: Vec<_> = headers.map(|(name, value)| (name, value.as_bytes())).collect();
        self.exchange(&raw::request(method, target.as_bytes(), &headers))
            .await
    }
}

/// The default house with one HTTP door.
pub(crate) async fn house(contract: &str, path: &str, policies: &[(&str, &str)]) -> TestHouse {
    let doors = format!("doors: [{{ contract: {contract}, path: {path} }}]");
    let listen = format!("listen:\n  http: [{{ address: 127.0.0.1:0, {doors} }}]\n");
    TestHouse::with(|text| text.replacen("listen:\n", &listen, 1), policies).await
}

/// The text of a configuration with these parts, each there once, put in the place of others.
pub(crate) fn altered(config: &str, parts: &[(&str, String)]) -> String {
    parts.iter().fold(config.to_owned(), |text, (there, here)| {
        assert_eq!(text.matches(there).count(), 1, "{there}");
        text.replace(there, here)
    })
}

/// The record of the decision on this request, which the client or the upstream was told the id of.
pub(crate) fn record(house: &TestHouse, got: &Got) -> Option<serde_json::Value> {
    let told = got.header(DECISION_ID).map(str::to_owned);
    let id = match &got.seen {
        Some(seen) => seen.headers.get(DECISION_ID).map(|ids| ids.concat()),
        None => told,
    };
    id.map(|id| house.record(&id))
}

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

/// All that the upstream saw under the identity headers and their look-alikes.
fn identity_at_upstream(got: &Got, names: &[String]) -> BTreeMap<String, Vec<String>> {
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
        let expected = identity_at_upstream(&honest, &names);
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
            assert_eq!(identity_at_upstream(&got, &names), expected, "{who} {name}");
            let ids = identity_at_upstream(&got, &[DECISION_ID.to_owned()]);
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
                assert_eq!(identity_at_upstream(&got, &names), expected, "{who} {line:?}");
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
                assert_eq!(record["method"], method, "{row}");
                assert_eq!(record["path"], target, "{row}");
                assert_eq!(record["host"], "api.example.test", "{row}");
                assert_eq!(record["client_ip"], "127.0.0.1", "{row}");
            }
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

/// Nothing passes while Portcullis is stopped, and nobody has to do anything when it is back.
pub(crate) async fn check_outage(house: &mut TestHouse, proxy: &Proxy, status: u16) {
    for round in 0..2 {
        for (who, target) in [("alice", "/workspaces/ws-alice"), ("nobody", "/public/hello")] {
            let got = proxy.send(house, who, "GET", target, &[]).await;
            assert_eq!(
                (got.status, got.seen.is_some()),
                (200, true),
                "round {round}: {who}"
            );
        }
        house.stop().await;
        for (who, target) in [
            ("alice", "/workspaces/ws-alice"),
            ("nobody", "/public/hello"),
            ("nobody", "/workspaces/ws-alice"),
        ] {
            let got = proxy.send(house, who, "GET", target, &[]).await;
            assert_eq!(
                (got.status, got.seen.is_some()),
                (status, false),
                "round {round}: {who}"
            );
            assert_eq!(got.header(DECISION_ID), None, "nobody decided: {got:?}");
        }
        house.restart().await;
        until("alice gets through again", async || {
            let got = proxy
                .send(house, "alice", "GET", "/workspaces/ws-alice", &[])
                .await;
            got.status == 200
        })
        .await;
    }
}

/// Where the same is answered as there, and how many connections were made to it.
pub(crate) async fn counted(to: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    (address, connections)
}

/// Something in Portcullis' place that answers every question with these bytes, or never if there are none.
pub(crate) async fn impostor(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                let _ = stream.read(&mut asked).await;
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

/// Answers that are no verdict.
pub(crate) const NO_VERDICTS: [&str; 7] = [
    "",
    "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 2",
    "HTTP/1.1 200 OK\r\ncontent-le",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "SSH-2.0-nothing\r\n",
];

/// With each of [`NO_VERDICTS`] in place of an answer, the client gets this status and the upstream nothing. `false` if the
/// proxy cannot be had.
pub(crate) async fn check_no_verdict(start: impl AsyncFn(SocketAddr) -> Option<Proxy>, status: u16) {
    for answer in NO_VERDICTS {
        let Some(proxy) = start(impostor(answer).await).await else {
            return;
        };
        let got = proxy.exchange(&raw::request("GET", b"/public/hello", &[])).await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, false),
            "{answer:?}: {got:?}"
        );
    }
}
