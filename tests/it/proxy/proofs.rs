//! What must hold behind every proxy, whatever its configuration looks like. Each proof starts what it needs.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Decoding, Host, RequestPath};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Program, Proxy};
use crate::envoy::{DECISION_ID, raw, record_of, token};
use crate::house::{Got, TestHouse, until};

/// An upgrade that a browser could send (the key is the example of RFC 6455 section 1.3).
const UPGRADE: &str = "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// What may stand in a header name besides letters, digits and the dash (RFC 9110 section 5.6.2). CGI makes `_` of each.
pub(crate) const ALIASES: &str = "_.!#$%&'*+^`|~";

/// What a client may claim about its request in the words of this or another proxy. None of it is true.
pub(crate) const CLAIMS: [(&str, &str); 16] = [
    ("X-Forwarded-Uri", "/public/hello"),
    ("X-Forwarded-Method", "GET"),
    ("X-Forwarded-Host", "evil.test"),
    ("X-Forwarded-Proto", "gopher"),
    ("X-Forwarded-For", "6.6.6.6"),
    ("X_Forwarded_Uri", "/public/hello"),
    ("X_Forwarded_For", "6.6.6.6"),
    ("X-Original-URL", "http://api.example.test/public/hello"),
    ("X-Original-Method", "GET"),
    ("X-Original-URI", "/public/hello"),
    ("X-Real-IP", "6.6.6.6"),
    ("Forwarded", "for=6.6.6.6;host=evil.test;proto=https"),
    ("X-Envoy-External-Address", "6.6.6.6"),
    ("X-Rewrite-Url", "/public/hello"),
    ("X-Http-Method-Override", "GET"),
    ("X-Forwarded-Prefix", "/public"),
];

/// Yes with our identity headers, no with our status, text and challenge, and the record is of this proxy's contract.
pub(crate) async fn verdicts(program: &'static Program) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    for (who, method, target, status, challenge, text) in [
        ("alice", "GET", "/workspaces/ws-alice?a=/b&a=%2F", 200, None, ""),
        ("alice", "PUT", "/workspaces/ws-alice/file", 200, None, ""),
        (
            "alice",
            "DELETE",
            "/workspaces/ws-alice",
            403,
            None,
            "access denied",
        ),
        ("alice", "GET", "/workspaces/ws-bob", 403, None, "access denied"),
        ("client", "GET", "/catalogue/x", 200, None, ""),
        ("nobody", "GET", "/public/hello", 200, None, ""),
        (
            "nobody",
            "GET",
            "/workspaces/ws-alice",
            401,
            Some("Bearer realm"),
            "a credential is needed",
        ),
        (
            "expired",
            "GET",
            "/workspaces/ws-alice",
            401,
            Some("invalid_token"),
            "refused",
        ),
        (
            "alg:none",
            "GET",
            "/public/hello",
            401,
            Some("invalid_token"),
            "refused",
        ),
        ("alice", "GET", "/nowhere", 403, None, ""),
        ("alice", "PROPFIND", "/workspaces/ws-alice", 403, None, ""),
    ] {
        let row = format!("{who} {method} {target}");
        let got = send_as(&house, &proxy, who, method, target, &[]).await;
        assert_eq!(got.status, status, "{row}: {got:?}");
        assert_eq!(got.seen.is_some(), status == 200, "{row}");
        let record = record_of(&house, &got);
        assert_eq!(record["contract"], program.contract, "{row}");
        assert_eq!(record["client_ip"], "127.0.0.1", "{row}");
        let got_challenge = got.header("www-authenticate");
        assert_eq!(got_challenge.is_some(), challenge.is_some(), "{row}: {got:?}");
        assert!(
            got_challenge
                .unwrap_or_default()
                .contains(challenge.unwrap_or_default()),
            "{row}: {got:?}"
        );
        if let Some(seen) = &got.seen {
            assert_eq!(
                (seen.method.as_str(), seen.path.as_str()),
                (method, target),
                "{row}"
            );
            continue;
        }
        let body = String::from_utf8_lossy(&got.body);
        assert!(body.contains(text), "{row}: {body}");
        let kind = got.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/plain"), "{row}: {got:?}");
    }
}

/// What a route says about its denials reaches the caller: status, text, headers.
pub(crate) async fn answers(program: &'static Program) {
    let house = program
        .house(|text| {
            let catalogue = "    resource: { type: Catalogue, id: main }\n";
            let slow = "    on_deny: { status: 429, reason: slow down, headers: [[retry-after, \"7\"], [set-cookie, a=1], [set-cookie, b=2]] }\n";
            let workspaces = "    resource: { type: Workspaces }\n";
            let hidden = "    on_deny: { status: 404, reason: nothing here }\n";
            assert!(text.contains(catalogue) && text.contains(workspaces));
            text.replace(catalogue, &format!("{catalogue}{slow}"))
                .replace(workspaces, &format!("{workspaces}{hidden}"))
        })
        .await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    for (who, target, status, text) in [
        ("nobody", "/catalogue/x", 429, "slow down"),
        ("alice", "/workspaces", 404, "nothing here"),
        ("alice", "/workspaces/ws-bob", 403, "access denied"),
        ("nobody", "/workspaces/ws-bob", 401, "a credential is needed"),
    ] {
        let got = send_as(&house, &proxy, who, "GET", target, &[]).await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, false),
            "{target}: {got:?}"
        );
        assert!(
            String::from_utf8_lossy(&got.body).contains(text),
            "{target}: {got:?}"
        );
        let slow = status == 429;
        assert_eq!(got.header("retry-after"), slow.then_some("7"), "{target}");
        let cookies = got.headers.get_all("set-cookie").iter().count();
        assert_eq!(cookies, if slow { 2 } else { 0 }, "{target}");
        assert_eq!(
            got.header("www-authenticate").is_some(),
            status == 401,
            "{target}"
        );
    }
}

/// Identity headers in every spelling, twice: the upstream sees what it would have seen without them. `others` are the
/// characters that stand for a dash; what mixes them with dashes comes to the status `mixed`.
pub(crate) async fn spoofed_headers(house: &TestHouse, proxy: &Proxy, others: &str, mixed: u16) {
    let names = house.identity_headers();
    for (who, target) in [
        ("alice", "/workspaces/ws-alice"),
        ("client", "/catalogue/x"),
        ("nobody", "/public/hello"),
    ] {
        let honest = send_as(house, proxy, who, "GET", target, &[]).await;
        let honest = identity_at_upstream(&honest, &names);
        assert_eq!(
            honest.contains_key("x-auth-subject"),
            who != "nobody",
            "{who}: {honest:?}"
        );
        assert!(honest.contains_key("x-auth-type"), "{who}: {honest:?}");
        for spelt in spellings(others) {
            let spoofed: Vec<String> = names.iter().map(|name| spelt(name)).collect();
            let twice = spoofed
                .iter()
                .flat_map(|name| [(name.as_str(), "root"), (name, "admin, root")]);
            let got = send_as(house, proxy, who, "GET", target, &twice.collect::<Vec<_>>()).await;
            let is_mixed = |name: &String| name.contains('-') && name.contains(|c| others.contains(c));
            if mixed != 200 && spoofed.iter().any(is_mixed) {
                assert_eq!(
                    (got.status, got.seen.is_some()),
                    (mixed, false),
                    "{who} {spoofed:?}: {got:?}"
                );
                continue;
            }
            assert_eq!(got.status, 200, "{who} {spoofed:?}: {got:?}");
            assert_eq!(identity_at_upstream(&got, &names), honest, "{who} {spoofed:?}");
            // The decision's id is ours, too: exactly one, and there is a record of it.
            let id = spelt(DECISION_ID);
            let got = send_as(
                house,
                proxy,
                who,
                "GET",
                target,
                &[(&id, "chosen"), (&id, "twice")],
            )
            .await;
            assert_eq!(record_of(house, &got)["verdict"], "allow", "{who} {id}");
            let ids = identity_at_upstream(&got, &[DECISION_ID.to_owned()]);
            assert!(ids.keys().eq([DECISION_ID]), "{who} {id}: {ids:?}");
        }
    }
}

/// Hostile targets of nobody: the status, and the path that the upstream sees. Portcullis saw the same.
pub(crate) async fn paths(program: &'static Program, rows: &[(&[u8], u16, &str)]) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    for (target, status, path) in rows {
        let row = String::from_utf8_lossy(target);
        let got = proxy.exchange(&raw::request("GET", target, &[])).await;
        assert_eq!(got.status, *status, "{row}: {got:?}");
        let seen = got.seen.as_ref().map(|seen| seen.path.as_str());
        assert_eq!(seen, (!path.is_empty()).then_some(*path), "{row}");
        if let Some(seen) = seen {
            let (path, _) = RequestPath::parse_target(seen.as_bytes(), Decoding::Raw).expect(seen);
            assert_eq!(record_of(&house, &got)["path"], path.as_str(), "{row}");
        }
    }
}

/// The host that is judged is the one that the upstream sees, in whatever way the client names it; without one, nothing
/// passes.
pub(crate) async fn hosts(program: &'static Program) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    for (request, host) in [
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
        ("GET /public/hello HTTP/1.1\r\nhost: a.test\r\nhost: b.test", ""),
        ("GET /public/hello HTTP/1.1\r\nhost: a.test, b.test", ""),
        ("GET /public/hello HTTP/1.1\r\nhost: a..b", ""),
        ("GET /public/hello HTTP/1.1\r\nhost: a.test/b", ""),
        ("GET /public/hello HTTP/1.1\r\nhost: u@a.test", ""),
        ("GET /public/hello HTTP/1.1\r\nhost:", ""),
        ("GET /public/hello HTTP/1.1\r\naccept: */*", ""),
        ("GET /public/hello HTTP/1.0\r\naccept: */*", ""),
        ("GET /public/hello HTTP/1.0\r\nx-forwarded-host: a.test", ""),
    ] {
        let got = proxy
            .exchange(format!("{request}\r\nconnection: close\r\n\r\n").as_bytes())
            .await;
        if host.is_empty() {
            assert!(
                got.seen.is_none() && (400..500).contains(&got.status),
                "{request}: {got:?}"
            );
            continue;
        }
        assert_eq!(got.status, 200, "{request}: {got:?}");
        assert_eq!(record_of(&house, &got)["host"], host, "{request}");
        let seen = got.at_upstream("host").concat();
        assert_eq!(Host::parse(&seen).expect("a host").as_str(), host, "{request}");
    }
}

/// Of a proxy that takes `/public` away after asking.
pub(crate) async fn stripped(house: &TestHouse, proxy: &Proxy) {
    for (target, path) in [
        ("/public/hello", Some("/hello")),
        ("/public/workspaces", Some("/workspaces")),
    ] {
        let got = proxy.send("GET", target, &[]).await;
        assert_eq!(
            got.seen.as_ref().map(|seen| seen.path.as_str()),
            path,
            "{target}: {got:?}"
        );
        assert_eq!(record_of(house, &got)["path"], target);
    }
    let got = proxy
        .send(
            "GET",
            "/workspaces/ws-alice",
            &[("x-forwarded-prefix", "/public")],
        )
        .await;
    assert_eq!((got.status, got.seen.is_some()), (401, false), "{got:?}");
}

/// A body goes to the upstream after a yes, and nowhere else.
pub(crate) async fn bodies(program: &'static Program) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    let alice = token(&house, "alice").expect("a token");
    let large = "x".repeat(300_000);
    for (framing, body, length) in [
        ("content-length: 5", "hello", 5),
        (
            "transfer-encoding: chunked",
            "5\r\nhello\r\n2\r\n!!\r\n0\r\n\r\n",
            7,
        ),
        ("content-length: 300000", large.as_str(), 300_000),
    ] {
        for (target, status) in [
            ("/workspaces/ws-alice/file", 200),
            ("/workspaces/ws-bob/file", 403),
        ] {
            let request = format!(
                "PUT {target} HTTP/1.1\r\nhost: api.example.test\r\nauthorization: Bearer {alice}\r\n{framing}\r\n\
                 \r\n{body}"
            );
            let got = proxy.exchange(request.as_bytes()).await;
            assert_eq!(got.status, status, "{target} {framing}: {got:?}");
            let arrived = got.seen.as_ref().map(|seen| seen.body_bytes);
            assert_eq!(arrived, (status == 200).then_some(length), "{target} {framing}");
        }
    }
}

/// The query that is judged is the one that the upstream sees.
pub(crate) async fn queries(program: &'static Program) {
    let policy = r#"
        @id("first-page")
        permit (principal, action in Action::"read", resource is Catalogue)
        when { context.query has page && context.query.page == "1" };
    "#;
    let expose = |text| text + "\nexpose: { query: [page] }\n";
    let house = program.house_with(expose, &[("first-page.cedar", policy)]).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    for (query, passes) in [
        ("?page=1", Some(true)),
        ("?a=%2F&page=1", Some(true)),
        ("?page=2", Some(false)),
        ("?page=1&page=2", Some(false)),
        ("", Some(false)),
        // Some proxies make `&` of `;` before they ask.
        ("?page=1;page=2", Some(false)),
        ("?page=2;page=1", Some(false)),
        ("?a;page=1", None),
        ("?page=1;a", None),
        ("?page=1%26page=2", Some(false)),
        ("?%70age=1", None),
        ("?page=%zz", Some(false)),
        ("?page=1&page=%zz", Some(false)),
        ("?page=1&a=%", None),
        ("?page=2&x-forwarded-uri=/catalogue/x?page=1", Some(false)),
    ] {
        let got = proxy.send("GET", &format!("/catalogue/x{query}"), &[]).await;
        assert!(
            passes.is_none_or(|passes| passes == got.seen.is_some()),
            "{query}: {got:?}"
        );
        let Some(seen) = got.seen else { continue };
        let (_, seen) = seen.path.split_once('?').expect("a query");
        let pages = seen
            .split(['&', ';'])
            .filter(|pair| pair.replace("%70", "p").starts_with("page="));
        assert_eq!(
            pages.map(|pair| &pair[pair.len() - 2..]).collect::<Vec<_>>(),
            ["=1"],
            "{query}: {seen}"
        );
    }
}

/// What clients claim, in the words of any proxy, once or twice, changes no verdict and no record.
pub(crate) async fn claims(program: &'static Program) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    let twice: Vec<_> = CLAIMS
        .iter()
        .flat_map(|claim| [*claim, (claim.0, "/other")])
        .collect();
    for (who, method, target, status) in [
        ("alice", "GET", "/workspaces/ws-alice", 200),
        ("alice", "GET", "/workspaces/ws-bob", 403),
        ("alice", "DELETE", "/workspaces/ws-alice", 403),
        ("nobody", "GET", "/workspaces/ws-alice", 401),
        ("nobody", "DELETE", "/public/hello", 401),
    ] {
        let plain = send_as(&house, &proxy, who, method, target, &[]).await;
        let plain_record = record_of(&house, &plain);
        assert_eq!(plain.status, status, "{who} {method} {target}: {plain:?}");
        let each = CLAIMS.iter().map(std::slice::from_ref);
        for claims in each.chain([&CLAIMS[..], &twice[..]]) {
            let row = format!("{who} {method} {target} {claims:?}");
            let got = send_as(&house, &proxy, who, method, target, claims).await;
            assert_eq!(
                (got.status, got.seen.is_some()),
                (status, status == 200),
                "{row}: {got:?}"
            );
            let record = record_of(&house, &got);
            for field in [
                "method",
                "host",
                "path",
                "scheme",
                "client_ip",
                "verdict",
                "reason",
                "contract",
            ] {
                assert_eq!(record[field], plain_record[field], "{row} {field}");
            }
        }
    }
}

/// A client cannot have a header dropped on the way by calling it one of the connection (RFC 9110 section 7.6.1).
pub(crate) async fn connection_headers(program: &'static Program) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    let names = house.identity_headers();
    for (who, target, passes) in [
        ("alice", "/workspaces/ws-alice", true),
        ("nobody", "/public/hello", true),
        ("nobody", "/workspaces/ws-alice", false),
        ("alice", "/workspaces/ws-bob", false),
    ] {
        let plain = send_as(&house, &proxy, who, "GET", target, &[]).await;
        assert_eq!(plain.seen.is_some(), passes, "{who} {target}: {plain:?}");
        let forwarded = ["Host", "Method", "Uri", "Proto", "For"].map(|name| format!("X-Forwarded-{name}"));
        let listed = forwarded.iter().chain(&names).cloned();
        let all = listed.clone().collect::<Vec<_>>().join(", ");
        for named in listed.chain([all, "close, x-auth-subject".to_owned(), DECISION_ID.to_owned()]) {
            let mut request =
                format!("GET {target} HTTP/1.1\r\nhost: api.example.test\r\nconnection: {named}\r\n");
            if let Some(token) = token(&house, who) {
                request += &format!("authorization: Bearer {token}\r\n");
            }
            let got = proxy.exchange((request + "\r\n").as_bytes()).await;
            // Refusing is good, too.
            if got.seen.is_none() {
                assert!(
                    (400..500).contains(&got.status),
                    "{who} {target} {named}: {got:?}"
                );
                continue;
            }
            assert!(passes, "{who} {target} {named}: {got:?}");
            assert_eq!(
                identity_at_upstream(&got, &names),
                identity_at_upstream(&plain, &names),
                "{who} {named}"
            );
            assert_eq!(record_of(&house, &got)["verdict"], "allow", "{who} {named}");
        }
        // Naming the credential can only take it away: no yes comes of it that there would not be without it.
        let headers = [("connection", "authorization")];
        let got = send_as(&house, &proxy, who, "GET", target, &headers).await;
        let subject = |got: &Got| identity_at_upstream(got, &names).get("x-auth-subject").cloned();
        if got.seen.is_some() {
            assert!(
                passes && subject(&got) == subject(&plain),
                "{who} {target}: {got:?}"
            );
        }
    }
}

/// An upgrade is asked about like any GET, Portcullis answers it like any GET, and there is a tunnel only after a yes.
pub(crate) async fn upgrades(program: &'static Program) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    let talk = async {
        for (who, target, status) in [
            ("alice", "/workspaces/ws-alice/notebook", 101),
            ("alice", "/workspaces/ws-bob/notebook", 403),
            ("expired", "/workspaces/ws-alice/notebook", 401),
            ("nobody", "/workspaces/ws-alice/notebook", 401),
            ("nobody", "/public/chat", 101),
        ] {
            let reached = proxy.echo.requests();
            let mut request = format!("GET {target} HTTP/1.1\r\nhost: api.example.test\r\n{UPGRADE}");
            if let Some(token) = token(&house, who) {
                request += &format!("authorization: Bearer {token}\r\n");
            }
            let mut stream = TcpStream::connect(proxy.address).await.expect("a connection");
            stream
                .write_all((request + "\r\n").as_bytes())
                .await
                .expect("sent");
            let (got, headers) = raw::head(&mut stream).await;
            assert_eq!(got, status, "{who} {target}");
            assert_eq!(proxy.echo.requests() > reached, status == 101, "{who} {target}");
            if status == 101 {
                let bytes = [7; 70_000];
                let (mut reader, mut writer) = stream.split();
                let mut back = vec![0; bytes.len()];
                let (sent, read) = tokio::join!(writer.write_all(&bytes), reader.read_exact(&mut back));
                sent.and(read.map(drop)).expect("an echo");
                assert_eq!(back, bytes, "{who} {target}");
            } else {
                let id = headers.get(DECISION_ID).and_then(|id| id.to_str().ok());
                assert_eq!(
                    house.record(id.expect("an id"))["verdict"],
                    "deny",
                    "{who} {target}"
                );
            }
        }
        // Without the proxy: an answer and no other protocol, after a yes as well.
        for (target, status) in [("/public/chat", 200), ("/workspaces/ws-alice", 401)] {
            let request = format!(
                "GET /{} HTTP/1.1\r\nhost: x\r\nx-forwarded-method: GET\r\nx-forwarded-proto: ws\r\n\
                 x-forwarded-host: api.example.test\r\nx-forwarded-uri: {target}\r\nx-forwarded-for: 10.0.0.1\r\n\
                 {UPGRADE}\r\n",
                program.contract
            );
            let mut stream = TcpStream::connect(house.http()).await.expect("a connection");
            stream.write_all(request.as_bytes()).await.expect("sent");
            let (got, headers) = raw::head(&mut stream).await;
            assert_eq!(got, status, "{target}");
            assert!(headers.get("upgrade").is_none(), "{target}: {headers:?}");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), talk)
        .await
        .expect("an end within 60 s");
}

/// While Portcullis is stopped nothing passes, and nobody has to do anything when it is back.
pub(crate) async fn outage(program: &'static Program, status: u16) {
    let mut house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    for round in 0..2 {
        for (who, target) in [("alice", "/workspaces/ws-alice"), ("nobody", "/public/hello")] {
            let got = send_as(&house, &proxy, who, "GET", target, &[]).await;
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
            for headers in [&[][..], &[("x-auth-subject", "root")]] {
                let got = send_as(&house, &proxy, who, "GET", target, headers).await;
                assert_eq!(
                    (got.status, got.seen.is_some()),
                    (status, false),
                    "round {round}: {who}"
                );
                assert_eq!(got.header(DECISION_ID), None, "nobody decided: {got:?}");
            }
        }
        house.restart().await;
        until("alice gets through again", async || {
            let got = send_as(&house, &proxy, "alice", "GET", "/workspaces/ws-alice", &[]).await;
            got.status == 200
        })
        .await;
    }
}

/// Sends a request with these headers and the credential of one of the people.
pub(crate) async fn send_as(
    house: &TestHouse,
    proxy: &Proxy,
    who: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Got {
    let bearer = token(house, who).map(|token| format!("Bearer {token}"));
    let bearer = bearer.iter().map(|bearer| ("authorization", bearer.as_str()));
    let headers: Vec<_> = headers.iter().copied().chain(bearer).collect();
    proxy.send(method, target, &headers).await
}

/// The ways to spell a name that some upstream would take for it: all of it, or only the first dash, with each of the
/// `others` in the place of the dash.
fn spellings(others: &str) -> Vec<Box<dyn Fn(&str) -> String>> {
    let mut all: Vec<Box<dyn Fn(&str) -> String>> =
        vec![Box::new(str::to_owned), Box::new(str::to_uppercase)];
    for other in others.chars().map(String::from) {
        let (first, upper) = (other.clone(), other.clone());
        all.push(Box::new(move |name| name.replace('-', &other)));
        all.push(Box::new(move |name| name.replacen('-', &first, 1)));
        all.push(Box::new(move |name| name.replace('-', &upper).to_uppercase()));
    }
    all
}

/// All that the upstream saw under these names and whatever it could take for them; nothing in it is nothing.
fn identity_at_upstream(got: &Got, names: &[String]) -> BTreeMap<String, Vec<String>> {
    let seen = got.seen.as_ref().expect("the upstream was reached");
    let fold = |name: &str| {
        name.to_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
    };
    let wanted = |name: &str| names.iter().any(|n| fold(n) == fold(name));
    let headers = seen.headers.iter().filter(|(name, _)| wanted(name));
    headers
        .map(|(name, values)| (name.clone(), values.clone()))
        .filter(|(_, values)| values.iter().any(|value| !value.is_empty()))
        .collect()
}
