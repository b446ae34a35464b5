//! Cases 26 to 49 of the HTTP contracts, except for connections (27, 33 and 40 are in [`super::connections`]).

use portcullis::demo::people;
use serde_json::json;

use crate::doors::{Reply, exchange, house_with, request};
use crate::house::TestHouse;

const HOST: (&str, &[u8]) = ("host", b"api.example.test");

async fn house() -> TestHouse {
    house_with("").await
}

fn alice(house: &TestHouse) -> Vec<u8> {
    people::alice(&house.issuer).bearer().into_bytes()
}

/// Asks the listener with all doors.
async fn ask(house: &TestHouse, method: &str, target: &str, headers: &[(&str, &[u8])], body: &[u8]) -> Reply {
    exchange(
        house.all_http()[0],
        &request(method, target.as_bytes(), headers, body),
    )
    .await
}

/// The five forwarded headers for `target`, and more.
fn forwarded<'a>(target: &'a [u8], more: &[(&'a str, &'a [u8])]) -> Vec<(&'a str, &'a [u8])> {
    let five: [(&str, &[u8]); 6] = [
        ("Host", b"portcullis.test"),
        ("X-Forwarded-Proto", b"https"),
        ("X-Forwarded-Method", b"GET"),
        ("X-Forwarded-Host", b"api.example.test"),
        ("X-Forwarded-Uri", target),
        ("X-Forwarded-For", b"9.9.9.9"),
    ];
    [&five[..], more].concat()
}

/// What nginx says of a request for `url`, and more.
fn original<'a>(url: &'a [u8], more: &[(&'a str, &'a [u8])]) -> Vec<(&'a str, &'a [u8])> {
    let four: [(&str, &[u8]); 4] = [
        ("Host", b"portcullis.test"),
        ("X-Original-Method", b"GET"),
        ("X-Original-URL", url),
        ("X-Real-IP", b"9.9.9.9"),
    ];
    [&four[..], more].concat()
}

#[track_caller]
fn is_a_plain_yes(reply: &Reply) {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("content-length"), Some("0"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    for stray in ["server", "set-cookie", "upgrade", "transfer-encoding", "location"] {
        assert!(!reply.headers.contains_key(stray), "{stray}: {reply:?}");
    }
}

#[tokio::test]
async fn case_26_any_method_is_answered_and_yes_is_exactly_200() {
    const ROUTE: &str = "\n  - { path: '/any/{rest..}', methods: [GET, POST, PUT, HEAD, OPTIONS, PROPFIND], resource: { type: PublicPage } }\n\n# Groups of actions";
    let everybody = "@id(\"any\") permit (principal, action, resource is PublicPage);";
    let alter = |text: String| crate::doors::listeners(text).replace("\n# Groups of actions", ROUTE);
    let house = TestHouse::with(alter, &[("any.cedar", everybody)]).await;
    let alice = alice(&house);
    for method in ["GET", "POST", "PUT", "HEAD", "OPTIONS", "PROPFIND"] {
        let nobody = ask(&house, method, "/check/any/a?b=c", &[HOST], b"").await;
        is_a_plain_yes(&nobody);
        let removed = nobody.header("x-envoy-auth-headers-to-remove").expect("a list");
        assert!(
            removed.split(',').any(|name| name == "x-auth-subject"),
            "{removed}"
        );
        assert!(!removed.split(',').any(|name| name == "x-auth-type"), "{removed}");
        assert_eq!(nobody.header("x-auth-type"), Some("Anonymous"));
        let known = ask(
            &house,
            method,
            "/check/any/a",
            &[HOST, ("authorization", &alice)],
            b"",
        )
        .await;
        is_a_plain_yes(&known);
        let removed = known.header("x-envoy-auth-headers-to-remove").unwrap_or_default();
        assert!(
            !removed.split(',').any(|name| name == "x-auth-subject"),
            "{removed}"
        );
        assert_eq!(known.header("x-auth-subject"), Some(people::ALICE));
    }
}

#[tokio::test]
async fn case_27_no_has_a_length_and_to_head_no_body() {
    let house = house().await;
    let bob = alice(&house);
    for (method, credential, status) in [
        ("GET", None, 401),
        ("HEAD", None, 401),
        ("GET", Some(&bob), 403),
        ("HEAD", Some(&bob), 403),
    ] {
        let credential = credential.map(|bearer| ("authorization", &bearer[..]));
        let headers: Vec<_> = [HOST].into_iter().chain(credential).collect();
        let reply = ask(&house, method, "/check/workspaces/ws-bob", &headers, b"").await;
        assert_eq!(reply.status, status, "{method}");
        let length: usize = reply
            .header("content-length")
            .expect("a length")
            .parse()
            .expect("a number");
        assert!(length > 0, "{method}");
        assert_eq!(reply.body.is_empty(), method == "HEAD");
        assert_eq!(reply.header("www-authenticate").is_some(), status == 401);
        assert!(reply.header("x-portcullis-decision-id").is_some());
    }
}

#[tokio::test]
async fn case_28_no_path_of_the_auth_port_is_free() {
    let house = house().await;
    for target in [
        "/healthz",
        "/livez",
        "/readyz",
        "/metrics",
        "/",
        "/v1/data/kong/allow",
        proto::CHECK_PATH,
    ] {
        for (listener, address) in house.all_http().into_iter().enumerate() {
            let reply = exchange(address, &request("GET", target.as_bytes(), &[HOST], b"")).await;
            let refused = (400..500).contains(&reply.status);
            // A document is answered with 200 and says no.
            let is_document = listener == 0 && target.starts_with("/v1/data/");
            assert!(refused || is_document, "{listener} {target}: {}", reply.status);
        }
    }
}

#[tokio::test]
async fn case_29_grpc_has_no_place_at_an_http_door() {
    let house = house().await;
    let grpc: [(&str, &[u8]); 3] = [HOST, ("content-type", b"application/grpc"), ("te", b"trailers")];
    for address in house.all_http() {
        for target in [proto::CHECK_PATH, "/check/workspaces", "/workspaces"] {
            let reply = exchange(address, &request("POST", target.as_bytes(), &grpc, b"\0\0\0\0\0")).await;
            assert!((400..500).contains(&reply.status), "{target}: {}", reply.status);
            assert_eq!(reply.header("grpc-status"), None);
        }
    }
}

#[tokio::test]
async fn case_30_the_prefix_is_taken_off_once_and_nothing_is_resolved() {
    let house = house().await;
    for (target, status) in [
        ("/check/public/a?b=/c", 200),
        ("/checkx", 400),
        ("/checkx/public/a", 400),
        ("/check", 400),
        ("/check?/public/a", 400),
        ("/check/check/public/a", 401),
        ("/check/../healthz", 400),
        ("/check/../public/a", 400),
        ("/check/public/../workspaces", 400),
        ("/check/public/%2e%2e/workspaces", 400),
        ("/check//public/a", 400),
        ("/check/public%2fa", 400),
        ("/check%2fpublic/a", 400),
        ("/%63heck/public/a", 400),
        ("/public/a", 400),
    ] {
        let reply = ask(&house, "GET", target, &[HOST], b"").await;
        assert_eq!(reply.status, status, "{target}");
    }
}

#[tokio::test]
async fn case_31_other_contracts_headers_are_the_clients() {
    let house = house().await;
    let headers = [
        &forwarded(b"/public/a", &[])[..],
        &original(b"https://api.example.test/public/a", &[])[1..],
    ]
    .concat();
    assert_eq!(
        ask(&house, "GET", "/check/workspaces", &headers, b"")
            .await
            .status,
        401
    );
    assert_eq!(
        ask(&house, "GET", "/check/public/a", &headers, b"").await.status,
        200
    );
}

#[tokio::test]
async fn case_32_a_failure_is_a_denial_and_never_5xx() {
    use portcullis::demo::issuer::Answer as KeyService;
    let slow = KeyService::Slow(std::time::Duration::from_secs(3));
    let house = TestHouse::without_keys(slow, crate::doors::listeners).await;
    let alice = alice(&house);
    let headers = [
        HOST,
        ("authorization", &alice[..]),
        ("x-envoy-expected-rq-timeout-ms", b"200"),
    ];
    let reply = ask(&house, "GET", "/check/workspaces/ws-alice", &headers, b"").await;
    assert_eq!(reply.status, 403);
    assert_eq!(reply.header("x-auth-subject"), None);
}

#[tokio::test]
async fn case_34_every_declared_header_is_in_a_yes() {
    let house = house().await;
    let alice = alice(&house);
    let url = b"https://api.example.test/workspaces/ws-alice";
    let credential = [("Authorization", &alice[..])];
    for door in ["/apisix", "/traefik", "/caddy", "/haproxy", "/nginx"] {
        let (known, nobody) = match door {
            "/nginx" => (
                original(url, &credential),
                original(b"https://api.example.test/public/a", &[]),
            ),
            _ => (
                forwarded(b"/workspaces/ws-alice", &credential),
                forwarded(b"/public/a", &[]),
            ),
        };
        let known = ask(&house, "GET", door, &known, b"").await;
        let nobody = ask(&house, "GET", door, &nobody, b"").await;
        // Case 49.
        is_a_plain_yes(&known);
        is_a_plain_yes(&nobody);
        for name in house.identity_headers() {
            assert!(known.header(&name).is_some(), "{door} {name}");
            let unset = name != "x-auth-type";
            assert_eq!(
                nobody.header(&name).map(str::is_empty),
                Some(unset),
                "{door} {name}"
            );
        }
        assert_eq!(known.header("x-auth-subject"), Some(people::ALICE));
    }
}

#[tokio::test]
async fn case_35_and_39_each_of_the_five_is_there_once() {
    let house = house().await;
    for door in ["/apisix", "/traefik", "/caddy", "/haproxy"] {
        let good = forwarded(b"/public/a", &[]);
        assert_eq!(ask(&house, "GET", door, &good, b"").await.status, 200);
        for index in 1..good.len() {
            let mut missing = good.clone();
            let twice = [&good[..], &[missing.remove(index)]].concat();
            let mut list = good.clone();
            let listed = [list[index].1, b",", list[index].1].concat();
            list[index].1 = &listed;
            for (what, headers) in [("missing", &missing), ("twice", &twice)] {
                let status = ask(&house, "GET", door, headers, b"").await.status;
                assert_eq!(status, 400, "{door} {what}: {}", good[index].0);
            }
            // X-Forwarded-For is a list; the proto is a word that only policies look at.
            if ["X-Forwarded-Method", "X-Forwarded-Host"].contains(&good[index].0) {
                assert_eq!(
                    ask(&house, "GET", door, &list, b"").await.status,
                    400,
                    "{door} list: {}",
                    good[index].0
                );
            }
        }
    }
}

#[tokio::test]
async fn case_36_a_decoded_path_is_not_decoded_again() {
    let house = house().await;
    for (target, status) in [
        ("/public/café a?x=%2F".as_bytes(), 200),
        (b"/public/%2e%2e/workspaces", 400),
        (b"/public/%41", 400),
        (b"/public/../workspaces", 400),
        (b"/public/caf\xE9", 400),
    ] {
        let reply = ask(&house, "GET", "/apisix", &forwarded(target, &[]), b"").await;
        assert_eq!(reply.status, status, "{}", target.escape_ascii());
    }
}

#[tokio::test]
async fn case_37_a_body_needs_no_content_type() {
    let house = house().await;
    for (method, body) in [
        ("POST", &b"{\"a\":1}"[..]),
        ("POST", b"\xFF\x00"),
        ("POST", b""),
        ("GET", b""),
    ] {
        let reply = ask(&house, method, "/apisix", &forwarded(b"/public/a", &[]), body).await;
        is_a_plain_yes(&reply);
    }
}

#[tokio::test]
async fn case_38_a_challenge_comes_with_401() {
    let house = house().await;
    for door in ["/apisix", "/traefik", "/caddy", "/haproxy"] {
        for (method, what) in [("GET", "without a body"), ("POST", "with a body")] {
            let body: &[u8] = if method == "POST" { b"x" } else { b"" };
            let reply = ask(&house, method, door, &forwarded(b"/workspaces", &[]), body).await;
            assert_eq!(reply.status, 401, "{door} {what}");
            assert!(reply.header("www-authenticate").is_some());
            // Case 47.
            assert_eq!(reply.header("location"), None);
        }
    }
}

#[tokio::test]
async fn case_41_to_44_nginx_hears_200_401_or_403() {
    let house = house().await;
    let alice = alice(&house);
    let credential = [("authorization", &alice[..])];
    let others: [(&str, &[u8]); 5] = [
        ("x-original-uri", b"/public/a"),
        ("x-forwarded-uri", b"/public/a"),
        ("x-forwarded-host", b"evil.test"),
        ("x-forwarded-method", b"DELETE"),
        ("forwarded", b"host=evil.test;proto=http"),
    ];
    for (url, more, status) in [
        (&b"https://api.example.test/public/a"[..], &others[..], 200),
        (b"https://api.example.test/workspaces", &others, 401),
        (b"https://api.example.test/workspaces/ws-alice", &credential, 200),
        (b"https://api.example.test/workspaces/ws-bob", &credential, 403),
        (b"https://api.example.test/public/../workspaces", &credential, 403),
        (b"https://api.example.test/nowhere", &credential, 403),
        (b"https://api..test/public/a", &[], 403),
        (b"/public/a", &[], 403),
        (b"https://", &[], 403),
        (b"\xFF\xFE", &[], 403),
    ] {
        let reply = ask(&house, "GET", "/nginx", &original(url, more), b"").await;
        assert_eq!(reply.status, status, "{}", url.escape_ascii());
        assert_eq!(reply.header("cache-control"), Some("no-store"), "case 43");
    }
}

#[tokio::test]
async fn case_45_to_48_only_the_contracts_own_headers_count() {
    let house = house().await;
    for door in ["/traefik", "/caddy", "/haproxy", "/apisix"] {
        for (name, value) in [
            ("x-original-url", &b"https://api.example.test/public/a"[..]),
            ("x-original-uri", b"/public/a"),
            ("x-original-method", b"GET"),
            ("forwarded", b"for=1.1.1.1;host=evil.test;proto=http"),
            ("connection", b"upgrade"),
            ("upgrade", b"websocket"),
        ] {
            for (target, status) in [(&b"/workspaces"[..], 401), (b"/public/a", 200)] {
                let reply = ask(&house, "GET", door, &forwarded(target, &[(name, value)]), b"").await;
                assert_eq!(reply.status, status, "{door} {name}");
            }
        }
        for (name, value) in [
            ("x-http-method-override", &b"DELETE"[..]),
            ("x-rewrite-url", b"/public/a"),
            ("x_forwarded_uri", b"/public/a"),
            ("X_Forwarded_Host", b"evil.test"),
        ] {
            let overriding = forwarded(b"/public/a", &[(name, value)]);
            let reply = ask(&house, "GET", door, &overriding, b"").await;
            assert_eq!(reply.status, 400, "{door} {name}");
        }
        let mut websocket = forwarded(
            b"/public/a",
            &[("connection", b"Upgrade"), ("upgrade", b"websocket")],
        );
        websocket[1].1 = b"wss";
        is_a_plain_yes(&ask(&house, "GET", door, &websocket, b"").await);
    }
}

#[tokio::test]
async fn documents_are_answered_with_documents() {
    let house = house().await;
    let alice = people::alice(&house.issuer).bearer();
    for (path, credential, allow, status) in [
        ("/workspaces/ws-alice", Some(&alice), true, None),
        ("/workspaces/ws-bob", Some(&alice), false, Some(403)),
        ("/workspaces/ws-alice", None, false, Some(401)),
        ("/public/a", None, true, None),
        ("/public/../workspaces", None, false, Some(400)),
    ] {
        let headers = credential.map_or(json!({}), |bearer| json!({ "authorization": bearer }));
        let request_of = |query: &str| json!({ "scheme": "https", "method": "GET", "host": "api.example.test", "path": path, "headers": headers, query: {} });
        let apisix = json!({ "input": { "type": "http", "request": request_of("query"), "var": { "remote_addr": "9.9.9.9" } } });
        let kong = json!({ "input": { "request": { "http": request_of("querystring") } } });
        for (door, document) in [("/v1/data/apisix/allow", apisix), ("/v1/data/kong/allow", kong)] {
            let reply = ask(&house, "POST", door, &[HOST], document.to_string().as_bytes()).await;
            assert_eq!(reply.status, 200);
            let answer: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
            let result = &answer["result"];
            assert_eq!(result["allow"], allow, "{door} {path}: {answer}");
            assert_eq!(result["status_code"].as_u64(), status, "{door} {path}: {answer}");
            for name in house.identity_headers() {
                assert_eq!(
                    result["headers"][&name].is_string(),
                    allow,
                    "{door} {path} {name}"
                );
            }
        }
    }
}
