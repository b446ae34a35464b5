//! Envoy's HTTP mode, with the configuration in `deploy/envoy-http`: only its ports are others here, and what a test
//! says.

use bytes::Bytes;
use portcullis::demo::echo::Echo;
use portcullis::demo::envoy::{Envoy, EnvoyError};
use portcullis::demo::people;

use super::fail_open::{LET_THROUGH, ambiguous, credentials, refused_by_envoy, surroundings};
use super::identity_headers::{identity_at_upstream, mixed_spellings, spellings};
use super::raw::{exchange, request};
use super::{DECISION_ID, ask, counted, record_of, token};
use crate::doors::{house_with, listeners};
use crate::house::{Front, TestHouse, skipped, until};

const CONFIG: &str = include_str!("../../../deploy/envoy-http/envoy.yaml");

/// Changes of the configuration: a text that occurs once, and what is there instead.
type Changes<'a> = &'a [(&'a str, &'a str)];

/// The door has no prefix: Envoy asks at the path of the client.
const NO_PREFIX: (&str, &str) = ("path_prefix: /check ", "");
/// Portcullis is asked over HTTP/2.
const HTTP_2: (&str, &str) = (
    "    - name: portcullis ",
    "    - typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }
      name: portcullis ",
);
/// Portcullis sees every header.
const ALL_HEADERS: (&str, &str) = (
    "- safe_regex: { regex: \"x[^a-z0-9](auth|portcullis)[^a-z0-9].*\" }",
    "- safe_regex: { regex: '.*' }",
);
/// Headers with underscores pass, as Envoy has it by default.
const UNDERSCORES: (&str, &str) = ("REJECT_REQUEST", "ALLOW");

/// Both places of the door, over both versions of HTTP.
const MODES: [Changes<'static>; 3] = [&[], &[NO_PREFIX], &[HTTP_2]];

/// A real Envoy with the configuration to start from, changed. `None`, and said so, where Envoy cannot be had.
async fn front(house: &TestHouse, changes: Changes<'_>) -> Option<Front> {
    let echo = Echo::start().await.expect("an upstream");
    let door = house.all_http()[usize::from(changes.contains(&NO_PREFIX))];
    let mut text = CONFIG.to_owned();
    let ports = [
        ("port_value: 10000", "port_value: 0".to_owned()),
        ("port_value: 9193", format!("port_value: {}", door.port())),
        (
            "port_value: 8000",
            format!("port_value: {}", echo.address().port()),
        ),
        ("timeout: 0.5s", "timeout: 10s".to_owned()),
    ];
    let changes = changes.iter().map(|(there, here)| (*there, (*here).to_owned()));
    for (there, here) in ports.into_iter().chain(changes) {
        assert_eq!(text.matches(there).count(), 1, "{there}");
        text = text.replace(there, &here);
    }
    text.push_str("admin:\n  address:\n    socket_address: { address: 127.0.0.1, port_value: 0 }\n");
    match Envoy::start_with(&text).await {
        Ok(envoy) => Some(Front { envoy, echo }),
        Err(EnvoyError::Tool(error)) => {
            skipped("envoy", &error.to_string());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_status_and_headers() {
    let house = house_with("").await;
    for mode in MODES {
        let Some(front) = front(&house, mode).await else {
            return;
        };
        for (who, method, target, status) in [
            ("nobody", "GET", "/public/hello?x=/workspaces", 200),
            ("nobody", "HEAD", "/public/hello", 200),
            ("nobody", "GET", "/workspaces/ws-alice", 401),
            ("nobody", "HEAD", "/workspaces/ws-alice", 401),
            ("nobody", "OPTIONS", "/workspaces/ws-alice", 401),
            ("alice", "GET", "/workspaces/ws-alice", 200),
            ("alice", "PUT", "/workspaces/ws-alice/file%20name", 200),
            ("alice", "DELETE", "/workspaces/ws-alice", 403),
            ("alice", "GET", "/workspaces/ws-bob", 403),
            ("alice", "GET", "/check/public/a", 403),
            ("alice", "GET", "/v1/data/kong/allow", 403),
            ("expired", "GET", "/public/hello", 401),
            ("alg:none", "GET", "/workspaces/ws-alice", 401),
            ("nobody", "GET", "/healthz", 401),
            ("nobody", "POST", proto::CHECK_PATH, 401),
        ] {
            if method == "HEAD" && status == 200 {
                // What the upstream saw is in the body, which HEAD has not.
                let bytes = request(method, target.as_bytes(), &[]);
                let seen = front.echo.requests();
                let _ = tokio::time::timeout(std::time::Duration::from_secs(30), head(&front, &bytes)).await;
                assert_eq!(front.echo.requests(), seen + 1, "{target}");
                continue;
            }
            let got = ask(&house, &front, who, method, target).await;
            let row = format!("{mode:?} {who} {method} {target}: {got:?}");
            assert_eq!((got.status, got.seen.is_some()), (status, status == 200), "{row}");
            if status == 200 {
                assert_eq!(record_of(&house, &got)["verdict"], "allow", "{row}");
                assert_eq!(
                    got.at_upstream("x-envoy-auth-headers-to-remove"),
                    [""; 0],
                    "{row}"
                );
                continue;
            }
            assert_eq!(got.body.is_empty(), method == "HEAD", "{row}");
            assert_eq!(got.header("www-authenticate").is_some(), status == 401, "{row}");
            assert_eq!(got.header("cache-control"), Some("no-store"), "{row}");
            assert!(got.header(DECISION_ID).is_some(), "{row}");
        }
        assert_eq!(counted(&front, "error").await, 0, "{mode:?}");
    }
}

/// Sends a HEAD and reads the head of its answer.
async fn head(front: &Front, bytes: &[u8]) -> u16 {
    use tokio::io::AsyncWriteExt as _;
    let stream = tokio::net::TcpStream::connect(front.envoy.address()).await;
    let mut stream = stream.expect("a connection");
    stream.write_all(bytes).await.expect("sent");
    super::raw::head(&mut stream).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn spoofed_identity_headers_never_reach_the_upstream() {
    let house = house_with("").await;
    let names = house.identity_headers();
    let alice = format!("Bearer {}", token(&house, "alice").expect("a token"));
    // With headers that have underscores let through, Portcullis names them, and Envoy removes them; the mixed ones it
    // refuses when it sees them.
    for changes in [&[][..], &[NO_PREFIX], &[UNDERSCORES], &[UNDERSCORES, ALL_HEADERS]] {
        let Some(front) = front(&house, changes).await else {
            return;
        };
        for (who, target) in [("alice", "/workspaces/ws-alice"), ("nobody", "/public/hello")] {
            let credential = (who == "alice").then_some(("authorization", alice.as_bytes()));
            let clean: Vec<(&str, &[u8])> = credential.into_iter().collect();
            let clean = exchange(&front, &request("GET", target.as_bytes(), &clean)).await;
            let expected = identity_at_upstream(&clean, &names);
            assert_eq!(expected["x-auth-type"].len(), 1, "{expected:?}");
            let all = names.iter().flat_map(|name| {
                let mixed = mixed_spellings(name).into_iter();
                spellings(name).into_iter().chain(mixed)
            });
            for spelling in all {
                let spoofed: [(&str, &[u8]); 2] = [(&spelling, b"root"), (&spelling, b"admin, root")];
                let headers: Vec<(&str, &[u8])> = credential.into_iter().chain(spoofed).collect();
                let got = exchange(&front, &request("GET", target.as_bytes(), &headers)).await;
                let row = format!("{changes:?} {who} {spelling}: {got:?}");
                match got.status {
                    200 => assert_eq!(identity_at_upstream(&got, &names), expected, "{row}"),
                    400 => assert!(got.seen.is_none() && spelling.contains('_'), "{row}"),
                    _ => panic!("{row}"),
                }
            }
        }
        assert_eq!(counted(&front, "error").await, 0, "{changes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_paths_are_refused_or_judged_as_the_upstream_sees_them() {
    let house = house_with("").await;
    let alice = format!("Bearer {}", token(&house, "alice").expect("a token"));
    for mode in MODES {
        let Some(front) = front(&house, mode).await else {
            return;
        };
        for target in [
            "/public/../workspaces/ws-bob",
            "/public/./x",
            "/public/%2e%2e/workspaces/ws-bob",
            "/public/.%2E/workspaces/ws-bob",
            "/public/..%2fworkspaces/ws-bob",
            "/public%2F..%2Fworkspaces/ws-bob",
            "/public/..%5cworkspaces",
            "/public\\..\\workspaces",
            "//public/x",
            "/public//x",
            "/public;/../workspaces",
            "/public/x;y=z",
            "/public/x%3by",
            "/public/%00",
            "/public/x%00.css",
            "/public/%",
            "/public/%zz",
            "/public/%25%32%65",
            "/public/%c0%ae%c0%ae/x",
            "/public/%ef%bc%8f",
            "/../healthz",
            "/../public/x",
        ] {
            let headers = [("authorization", alice.as_bytes())];
            let got = exchange(&front, &request("GET", target.as_bytes(), &headers)).await;
            assert_eq!(
                (got.status, got.seen.is_some()),
                (400, false),
                "{mode:?} {target}: {got:?}"
            );
        }
        for (target, status) in [
            ("/public/caf%C3%A9", 200),
            ("/public/%61", 200),
            ("/%77orkspaces/ws-bob", 403),
        ] {
            let headers = [("authorization", alice.as_bytes())];
            let got = exchange(&front, &request("GET", target.as_bytes(), &headers)).await;
            assert_eq!(got.status, status, "{mode:?} {target}: {got:?}");
            assert_eq!(
                got.seen.map(|seen| seen.path),
                (status == 200).then(|| target.to_owned())
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_contracts_headers_change_nothing() {
    let house = house_with("").await;
    let headers: [(&str, &[u8]); 8] = [
        ("x-original-url", b"https://api.example.test/public/x"),
        ("x-original-uri", b"/public/x"),
        ("x-original-method", b"GET"),
        ("x-forwarded-uri", b"/public/x"),
        ("x-forwarded-method", b"GET"),
        ("x-forwarded-host", b"api.example.test"),
        ("x-real-ip", b"127.0.0.1"),
        ("forwarded", b"for=127.0.0.1;host=api.example.test"),
    ];
    for changes in [&[][..], &[ALL_HEADERS], &[NO_PREFIX, ALL_HEADERS]] {
        let Some(front) = front(&house, changes).await else {
            return;
        };
        for (target, status) in [
            ("/workspaces/ws-alice", 401),
            ("/public/x", 200),
            ("/nginx", 401),
            ("/traefik", 401),
            ("/v1/data/apisix/allow", 401),
        ] {
            let got = exchange(&front, &request("GET", target.as_bytes(), &headers)).await;
            assert_eq!(
                (got.status, got.seen.is_some()),
                (status, status == 200),
                "{changes:?} {target}"
            );
        }
        let twice = format!("Bearer {}", token(&house, "alice").expect("a token"));
        let twice = [
            ("authorization", twice.as_bytes()),
            ("authorization", twice.as_bytes()),
        ];
        let got = exchange(&front, &request("GET", b"/workspaces/ws-alice", &twice)).await;
        assert_eq!((got.status, got.seen.is_some()), (401, false), "{changes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_address_is_what_envoy_saw() {
    let house = house_with("trusted_hops: 1\n").await;
    let Some(front) = front(&house, &[]).await else {
        return;
    };
    for forwarded in [None, Some("1.1.1.1"), Some("1.1.1.1, 2.2.2.2"), Some("unknown")] {
        let headers: Vec<(&str, &[u8])> = forwarded
            .iter()
            .map(|value| ("x-forwarded-for", value.as_bytes()))
            .collect();
        let got = exchange(&front, &request("GET", b"/public/x", &headers)).await;
        // Envoy appends what it saw; in place of a loopback address, the machine's own.
        let list = got.at_upstream("x-forwarded-for").concat();
        let (before, last) = list.rsplit_once(',').unwrap_or(("", &list));
        assert_eq!(before, forwarded.unwrap_or_default());
        let last: std::net::IpAddr = last.parse().expect("an address");
        assert_eq!(
            record_of(&house, &got)["client_ip"],
            last.to_string(),
            "{forwarded:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_passes_while_it_is_stopped() {
    let mut house = house_with("").await;
    let Some(front) = front(&house, &[]).await else {
        return;
    };
    for round in 0..2 {
        let got = ask(&house, &front, "alice", "GET", "/workspaces/ws-alice").await;
        assert_eq!(got.status, 200, "round {round}");
        house.stop().await;
        for (who, target) in [("alice", "/workspaces/ws-alice"), ("nobody", "/public/hello")] {
            let got = ask(&house, &front, who, "GET", target).await;
            assert_eq!(
                (got.status, got.seen.is_some()),
                (403, false),
                "round {round}: {who}"
            );
            assert_eq!(got.header(DECISION_ID), None, "nobody decided: {got:?}");
        }
        house.restart().await;
        until("alice gets through again", async || {
            let got = ask(&house, &front, "alice", "GET", "/workspaces/ws-alice").await;
            got.status == 200
        })
        .await;
    }
}

/// Whoever may not make workspaces otherwise may make one that is called so.
const BY_BODY: &str = r#"
    @id("make-by-name")
    permit (principal is User, action == Action::"POST", resource is Workspaces)
    when { context has body && context.body has name && context.body.name == "ws-new" };
    @id("no-cut-bodies")
    forbid (principal, action == Action::"POST", resource is Workspaces)
    when { context.body_truncated };
"#;

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_seen_and_cut_ones_are_known_to_be() {
    const BODY: (&str, &str) = (
        "transport_api_version: V3",
        "transport_api_version: V3
                      with_request_body: { max_request_bytes: 1024, allow_partial_message: true }",
    );
    let alter = |text: String| listeners(text) + "expose: { body: [name] }\n";
    let house = TestHouse::with(alter, &[("body.cedar", BY_BODY)]).await;
    let alice = people::alice(&house.issuer).bearer();
    let long = format!("{{\"name\":\"ws-new\",\"more\":\"{}\"}}", "x".repeat(2000));
    for changes in [&[BODY][..], &[BODY, ALL_HEADERS], &[BODY, HTTP_2]] {
        let Some(front) = front(&house, changes).await else {
            return;
        };
        for (body, status) in [
            ("{\"name\":\"ws-new\"}", 200),
            ("{\"name\":\"ws-old\"}", 403),
            ("", 403),
            ("no JSON", 403),
            ("{\"name\":\"ws-new\",\"name\":\"ws-old\"}", 403),
            (&long, 403),
        ] {
            for spoofed in [None, Some("true"), Some("false")] {
                let mut headers = vec![("authorization", alice.as_str())];
                headers.extend(spoofed.map(|value| ("x-envoy-auth-partial-body", value)));
                let body = Bytes::copy_from_slice(body.as_bytes());
                let got = front.send("POST", "/workspaces", &headers, body.clone()).await;
                assert_eq!(got.status, status, "{changes:?} {spoofed:?} {body:?}: {got:?}");
                let sent = got.seen.as_ref().map(|seen| seen.body_bytes);
                assert_eq!(sent, (status == 200).then_some(body.len() as u64));
            }
        }
        assert_eq!(counted(&front, "error").await, 0, "{changes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_brings_its_headers_to_the_client() {
    const ROUTE: &str = "
  - path: /cookies
    methods: [GET]
    resource: { type: Catalogue, id: cookies }
    on_deny: { status: 403, headers: [[set-cookie, a=1], [set-cookie, b=2], [x-help, call us]] }

# Groups of actions";
    let alter = |text: String| listeners(text).replace("\n# Groups of actions", ROUTE);
    let house = TestHouse::with(alter, &[]).await;
    let Some(front) = front(&house, &[]).await else {
        return;
    };
    let got = ask(&house, &front, "alice", "GET", "/cookies").await;
    assert_eq!(got.status, 403);
    let cookies: Vec<_> = got.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!(got.header("x-help"), Some("call us"));
    assert_eq!(got.header("content-type"), Some("text/plain; charset=utf-8"));
}

/// Envoy lets through whatever it can.
const WIDE: [(&str, &str); 3] = [
    (
        "stat_prefix: ingress",
        "stat_prefix: ingress\n                max_request_headers_kb: 96",
    ),
    (
        "headers_with_underscores_action: REJECT_REQUEST ",
        "max_headers_count: 300",
    ),
    ALL_HEADERS,
];
/// The failure mode is open.
const OPEN: (&str, &str) = (
    "failure_mode_allow: false",
    "failure_mode_allow: true\n                      failure_mode_allow_header_add: true",
);

/// What HTTP/2 cannot carry breaks a stream, which is no answer: with the failure mode of the configuration that is a denial.
#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_a_broken_stream_is_a_denial() {
    let house = house_with("").await;
    let alice = token(&house, "alice").expect("a token");
    let Some(front) = front(&house, &[&WIDE[..], &[HTTP_2]].concat()).await else {
        return;
    };
    for rows in [
        credentials(&alice),
        surroundings(),
        ambiguous(&alice),
        refused_by_envoy(&alice),
    ] {
        for (what, bytes) in rows {
            let got = exchange(&front, &bytes).await;
            assert!((400..500).contains(&got.status), "{what}: {got:?}");
        }
    }
    assert_eq!(front.echo.requests(), 0);
    let got = ask(&house, &front, "alice", "GET", "/workspaces/ws-alice").await;
    assert_eq!(got.status, 200, "{got:?}");
}

/// The failure mode is open: whoever could make the answer fail would be in.
#[tokio::test(flavor = "multi_thread")]
async fn no_client_can_make_the_answer_fail() {
    let mut house = house_with("").await;
    let alice = token(&house, "alice").expect("a token");
    for more in [&[][..], &[NO_PREFIX]] {
        let changes = [&[OPEN], &WIDE[..], more].concat();
        let Some(front) = front(&house, &changes).await else {
            return;
        };
        let mut surprises = Vec::new();
        for (rows, decided) in [
            (credentials(&alice), true),
            (surroundings(), true),
            (ambiguous(&alice), false),
            (refused_by_envoy(&alice), false),
        ] {
            for (what, bytes) in rows {
                let got = exchange(&front, &bytes).await;
                let id = got.header(DECISION_ID).is_some();
                if !(400..500).contains(&got.status) || (decided && !id) {
                    surprises.push(format!("{what}: {}, {:?}", got.status, got.body));
                }
            }
        }
        assert_eq!(surprises, [""; 0], "{more:?}");
        assert_eq!(front.echo.requests(), 0, "{more:?}");
        assert_eq!(counted(&front, "error").await, 0, "{more:?}");
        assert_eq!(counted(&front, "failure_mode_allowed").await, 0, "{more:?}");
    }
    // The control: this Envoy does let requests through when nobody answers.
    let Some(front) = front(&house, &[&[OPEN], &WIDE[..]].concat()).await else {
        return;
    };
    house.stop().await;
    let got = ask(&house, &front, "nobody", "GET", "/workspaces/ws-alice").await;
    assert_eq!(
        (got.status, got.at_upstream(LET_THROUGH)),
        (200, vec!["true".to_owned()])
    );
}

/// Why the configuration asks over HTTP/1.1: such a host breaks an HTTP/2 stream before anybody is asked, and only the
/// closed failure mode keeps the request out.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_http_2_cannot_carry_is_kept_out_by_the_failure_mode() {
    let house = house_with("").await;
    let alice = people::alice(&house.issuer).bearer();
    let headers = [("host", &b"[::1"[..]), ("authorization", alice.as_bytes())];
    let bytes = request("GET", b"/workspaces/ws-alice", &headers);
    for (mode, status, errors) in [(&[][..], 400, 0), (&[HTTP_2], 403, 1)] {
        let Some(front) = front(&house, mode).await else {
            return;
        };
        let got = exchange(&front, &bytes).await;
        assert_eq!((got.status, got.seen.is_some()), (status, false), "{mode:?}");
        assert_eq!(counted(&front, "error").await, errors, "{mode:?}");
    }
}
