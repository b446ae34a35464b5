//! Requests as each proxy sends them, and as each reads the answer. The cases' numbers are those of the conformance list.

mod opa;

use std::sync::Mutex;

use http::StatusCode;
use http_body_util::BodyExt as _;
use model::{Decision, HeaderEdits, RouteEdits, Target};

use super::*;
use crate::samples::{allow, deny, deny_with_login, named};

/// Lets `/open` and what is below it pass and remembers what it was asked: contract, method, scheme, host, path, query,
/// peer, and the headers.
#[derive(Debug, Default)]
struct Judge(Mutex<Vec<String>>);

impl Decide for Judge {
    fn decide_now(&self, check: &Check<'_>) -> Option<Decision> {
        let Target::Http(http) = &check.target else {
            panic!("no HTTP")
        };
        let peer = check
            .peer
            .address
            .map_or("-".to_owned(), |address| address.to_string());
        let headers: Vec<String> = http
            .headers
            .iter()
            .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
            .collect();
        self.0.lock().unwrap().push(format!(
            "{} {} {}://{}{}?{} {peer} {:?} [{}]",
            check.contract.as_str(),
            http.method,
            http.scheme,
            http.host.as_str(),
            http.path,
            http.query.unwrap_or("-"),
            http.body,
            headers.join(" "),
        ));
        Some(match http.path.as_str() {
            "/panic" => panic!("as asked"),
            "/teapot" => deny(429, Reason::Forbidden, &[("retry-after", "3")]),
            "/login" => deny_with_login(),
            "/crowd" => deny(403, Reason::Forbidden, &crowd()),
            "/open/crowd" => allow(
                HeaderEdits::new(named(&crowd()), Vec::new(), &Arc::default()),
                RouteEdits::default(),
            ),
            path if path.starts_with("/open") => allow(
                HeaderEdits::new(
                    named(&[("x-user", "alice")]),
                    vec!["x-groups".into()],
                    &["x_user".into(), "x_groups".into()].into(),
                ),
                RouteEdits::default(),
            ),
            _ => deny(403, Reason::NoPermit, &[]),
        })
    }

    async fn decide(&self, _check: &Check<'_>) -> Decision {
        panic!("everything is decided at once")
    }

    fn refuse(&self, malformed: &Malformed) -> Decision {
        self.0
            .lock()
            .unwrap()
            .push(format!("refused: {}", malformed.detail));
        deny(400, malformed.reason, &[])
    }
}

/// More headers than an answer can have.
fn crowd() -> Vec<(&'static str, &'static str)> {
    let names = (0..40_000).map(|n| &*Box::leak(format!("x-{n}").into_boxed_str()));
    names.map(|name| (name, "1")).collect()
}

struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Bytes,
    heard: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Asks at `path` with a method, headers and a body; the listener has every contract.
fn ask(method: &str, path: &str, headers: &[(&str, &[u8])], body: &str) -> Answer {
    let door = |contract, path: &str| Door {
        contract,
        path: path.into(),
    };
    let doors = vec![
        door(Contract::EnvoyHttp, "/check"),
        door(Contract::Apisix, "/apisix"),
        door(Contract::Nginx, "/nginx"),
        door(Contract::Traefik, "/traefik"),
        door(Contract::Caddy, "/caddy"),
        door(Contract::Haproxy, "/haproxy"),
        door(Contract::ApisixOpa, "/v1/data/apisix/allow"),
        door(Contract::KongOpa, "/v1/data/kong/allow"),
    ];
    // Documents are as long as they are.
    let longest = if path.starts_with("/v1/data/") {
        1 << 20
    } else {
        64
    };
    let doors = HttpDoors::new(Arc::new(Judge::default()), doors, Listener::new(longest));
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::from(body.to_owned())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let response = runtime.block_on(doors.answer(request));
    let heard = doors.decide.0.lock().unwrap().pop().unwrap_or_default();
    let (parts, body) = response.into_parts();
    let body = runtime.block_on(body.collect()).unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body,
        heard,
    }
}

const FORWARDED: [(&str, &[u8]); 6] = [
    ("host", b"portcullis:9193"),
    ("x-forwarded-method", b"POST"),
    ("x-forwarded-proto", b"https"),
    ("x-forwarded-host", b"API.example.test:8443"),
    ("x-forwarded-uri", b"/open/a%20b?x=%2F"),
    ("x-forwarded-for", b"10.0.0.7"),
];

const ORIGINAL: [(&str, &[u8]); 4] = [
    ("host", b"portcullis:9193"),
    ("x-original-method", b"PUT"),
    ("x-original-url", b"https://API.example.test:8443/open/a?x=1"),
    ("x-real-ip", b"10.0.0.7"),
];

/// `base` with some headers replaced (all of that name), added, or taken away.
fn with<'a>(
    base: &[(&'a str, &'a [u8])],
    changes: &[(&'a str, Option<&'a [u8]>)],
) -> Vec<(&'a str, &'a [u8])> {
    let mut headers = base.to_vec();
    for (name, _) in changes {
        headers.retain(|(n, _)| n != name);
    }
    headers.extend(
        changes
            .iter()
            .filter_map(|(name, value)| Some((*name, (*value)?))),
    );
    headers
}

#[test]
fn envoy_asks_about_the_request_itself() {
    let host = [
        ("host", &b"API.example.test:80"[..]),
        ("x-user", b"mallory"),
        ("x-original-url", b"http://evil/"),
    ];
    for method in ["GET", "POST", "PUT", "HEAD", "OPTIONS", "PROPFIND"] {
        let answer = ask(method, "/check/open/a?b=/c", &host, "");
        assert_eq!(answer.status, 200, "case 26: {method}");
        assert_eq!(
            answer.heard,
            format!(
                "envoy_http {method} ://api.example.test/open/a?b=/c - Absent [x-user=mallory x-original-url=http://evil/]"
            ),
            "cases 30 and 31"
        );
        assert_eq!(answer.header("x-user"), Some("alice"));
        assert_eq!(
            answer.header("x-envoy-auth-headers-to-remove"),
            Some("x-groups,x_user,x_groups")
        );
        assert_eq!(answer.header("x-groups"), None);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let partial = with(&host, &[("x-envoy-auth-partial-body", Some(b"true"))]);
    assert!(
        ask("POST", "/check/open", &partial, "{}")
            .heard
            .contains("Truncated")
    );
    let whole = with(&host, &[("x-envoy-auth-partial-body", Some(b"false"))]);
    assert!(ask("POST", "/check/open", &whole, "{}").heard.contains("Whole"));
    for (path, status, heard) in [
        ("/check/secret", 403, "/secret"),
        ("/check/login", 302, "/login"),
        ("/check/teapot", 429, "/teapot"),
        ("/check/panic", 400, "a panic"),
        ("/check/../healthz", 400, "the path was refused"),
        ("/check//open", 400, "the path was refused"),
        ("/check/open%2fx", 400, "the path was refused"),
        ("/checkx", 400, "no door"),
        ("/check", 400, "no door"),
        ("/healthz", 400, "no door"),
        ("/metrics", 400, "no door"),
        ("/", 400, "no door"),
        (crate::grpc::CHECK_PATH, 400, "no door"),
    ] {
        let answer = ask("GET", path, &host, "");
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.heard.contains(heard), "{path}: {}", answer.heard);
    }
    let grpc = with(
        &host,
        &[
            ("content-type", Some(b"application/grpc")),
            ("te", Some(b"trailers")),
        ],
    );
    assert_eq!(
        ask("POST", crate::grpc::CHECK_PATH, &grpc, "").status,
        400,
        "case 29"
    );
    for (id, headers) in [
        ("no host", with(&host, &[("host", None)])),
        ("two hosts", [&host[..], &[("host", b"b.test")]].concat()),
        ("bad host", with(&host, &[("host", Some(b"a..b"))])),
    ] {
        assert_eq!(ask("GET", "/check/open", &headers, "").status, 400, "{id}");
    }
    let long = "x".repeat(65);
    let answer = ask("POST", "/check/open", &host, &long);
    assert_eq!(
        (answer.status.as_u16(), answer.heard.contains("larger than 64")),
        (400, true)
    );
}

#[test]
fn the_forwarded_headers_drive_the_decision() {
    for (path, contract) in [
        ("/traefik", "traefik"),
        ("/caddy", "caddy"),
        ("/haproxy", "haproxy"),
    ] {
        let headers = with(
            &FORWARDED,
            &[
                ("x-original-url", Some(b"https://evil.test/")),
                ("forwarded", Some(b"host=evil")),
                ("connection", Some(b"upgrade")),
                ("upgrade", Some(b"websocket")),
                ("x-user", Some(b"mallory")),
            ],
        );
        let answer = ask("GET", path, &headers, "ignored");
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            answer.heard,
            format!(
                "{contract} POST https://api.example.test/open/a%20b?x=%2F 10.0.0.7 Absent \
                 [x-original-url=https://evil.test/ forwarded=host=evil connection=upgrade upgrade=websocket \
                 x-user=mallory]"
            )
        );
        assert_eq!(
            (answer.header("x-user"), answer.header("x-groups")),
            (Some("alice"), Some(""))
        );
        assert_eq!(answer.header("x-envoy-auth-headers-to-remove"), None);
    }
    let hops = with(
        &FORWARDED,
        &[("x-forwarded-for", Some(b"1.1.1.1, 2.2.2.2, ::ffff:10.0.0.7"))],
    );
    let heard = ask("GET", "/traefik", &hops, "").heard;
    assert!(
        heard.contains(" 10.0.0.7 ") && heard.contains("x-forwarded-for=1.1.1.1, 2.2.2.2"),
        "{heard}"
    );
    for name in ["method", "proto", "host", "uri", "for"] {
        let name = format!("x-forwarded-{name}");
        for path in ["/traefik", "/caddy", "/haproxy", "/apisix"] {
            let missing = with(&FORWARDED, &[(&name, None)]);
            assert_eq!(
                ask("GET", path, &missing, "").status,
                400,
                "case 35: {path} {name}"
            );
            let empty = with(&FORWARDED, &[(&name, Some(b""))]);
            assert_eq!(ask("GET", path, &empty, "").status, 400, "{path} {name} empty");
            let value = FORWARDED.iter().find(|(n, _)| *n == name).unwrap().1;
            let twice = [&FORWARDED[..], &[(&name, value)]].concat();
            assert_eq!(ask("GET", path, &twice, "").status, 400, "case 39: {path} {name}");
        }
    }
    for (id, name, value) in [
        ("case 39", "x-forwarded-method", &b"GET,POST"[..]),
        ("no method", "x-forwarded-method", b"G T"),
        ("absolute-form", "x-forwarded-uri", b"https://a.test/open"),
        ("dots", "x-forwarded-uri", b"/open/../secret"),
        ("fragment", "x-forwarded-uri", b"/open#/secret"),
        ("host list", "x-forwarded-host", b"a.test, b.test"),
        ("no address", "x-forwarded-for", b"unknown"),
        ("not UTF-8", "x-forwarded-host", b"\xFF.test"),
    ] {
        let headers = with(&FORWARDED, &[(name, Some(value))]);
        assert_eq!(ask("GET", "/traefik", &headers, "").status, 400, "{id}");
    }
    let websocket = with(&FORWARDED, &[("x-forwarded-proto", Some(b"wss"))]);
    assert_eq!(ask("GET", "/traefik", &websocket, "").status, 200, "case 45");
    let underscore = with(&FORWARDED, &[("x_forwarded_uri", Some(b"/secret"))]);
    assert_eq!(ask("GET", "/traefik", &underscore, "").status, 200, "case 46");
}

#[test]
fn apisix_sends_the_path_decoded() {
    for (uri, path) in [
        (&b"/open/caf\xC3\xA9 a?x=%2F"[..], "/open/caf%C3%A9%20a?x=%2F"),
        (b"/open/plain", "/open/plain?-"),
    ] {
        let headers = with(&FORWARDED, &[("x-forwarded-uri", Some(uri))]);
        let answer = ask("GET", "/apisix", &headers, "");
        assert_eq!(answer.status, 200);
        assert!(answer.heard.contains(path), "case 36: {}", answer.heard);
    }
    // A second decoding would make dots of it.
    for uri in [&b"/open/%2e%2e/secret"[..], b"/open/%41"] {
        let headers = with(&FORWARDED, &[("x-forwarded-uri", Some(uri))]);
        assert_eq!(ask("GET", "/apisix", &headers, "").status, 400, "case 36");
    }
    let body = ask(
        "POST",
        "/apisix",
        &with(&FORWARDED, &[("x-forwarded-uri", Some(b"/open"))]),
        "{\"a\":1}",
    );
    assert_eq!(body.status, 200, "case 37");
    assert!(body.heard.contains("Whole"), "{}", body.heard);
    assert_eq!(
        (body.header("x-user"), body.header("x-groups")),
        (Some("alice"), Some("")),
        "case 34"
    );
    let denied = ask(
        "GET",
        "/apisix",
        &with(&FORWARDED, &[("x-forwarded-uri", Some(b"/login"))]),
        "",
    );
    assert_eq!(denied.status, 302, "case 38");
    assert!(denied.header("www-authenticate").is_some(), "case 38");
}

#[test]
fn nginx_knows_no_other_no_than_401_and_403() {
    let spoofed = with(
        &ORIGINAL,
        &[
            ("x-original-uri", Some(b"/secret")),
            ("x-forwarded-uri", Some(b"/secret")),
            ("x-forwarded-host", Some(b"evil.test")),
        ],
    );
    let answer = ask("GET", "/nginx", &spoofed, "");
    assert_eq!(answer.status, 200, "case 41");
    assert!(
        answer
            .heard
            .starts_with("nginx PUT https://api.example.test/open/a?x=1 10.0.0.7 Absent"),
        "{}",
        answer.heard
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"), "case 43");
    for (url, status) in [
        (&b"https://a.test/teapot"[..], 403),
        (b"https://a.test/login", 401),
        (b"https://a.test/secret", 403),
        (b"https://a.test/open/../secret", 403),
        (b"https://a.test", 403),
        (b"ftp://a.test/open", 403),
        (b"/open", 403),
        (b"https:///open", 403),
        (b"https://a..b/open", 403),
        (b"https://u@a.test/open", 403),
    ] {
        let headers = with(&ORIGINAL, &[("x-original-url", Some(url))]);
        let answer = ask("GET", "/nginx", &headers, "");
        assert_eq!(
            answer.status,
            status,
            "cases 42 and 44: {}",
            String::from_utf8_lossy(url)
        );
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
        assert!(answer.body.is_empty(), "nginx would close the connection");
    }
    for name in ["x-original-method", "x-original-url", "x-real-ip"] {
        assert_eq!(
            ask("GET", "/nginx", &with(&ORIGINAL, &[(name, None)]), "").status,
            403,
            "{name}"
        );
    }
    assert_eq!(
        ask("GET", "/nginx/x", &ORIGINAL, "").status,
        400,
        "another path has no door"
    );
}

#[test]
fn a_browser_is_sent_to_its_login_where_the_proxy_can_do_that() {
    let login = |base: &[(&'static str, &'static [u8])], name: &'static str, value: &'static [u8]| {
        with(base, &[(name, Some(value))])
    };
    let forwarded = login(&FORWARDED, "x-forwarded-uri", b"/login");
    let original = login(&ORIGINAL, "x-original-url", b"https://a.test/login");
    for (path, headers, status) in [
        ("/check/login", vec![("host", &b"a.test"[..])], 302),
        ("/apisix", forwarded.clone(), 302),
        ("/traefik", forwarded.clone(), 302),
        ("/caddy", forwarded.clone(), 302),
        ("/haproxy", forwarded, 302),
        ("/nginx", original, 401),
    ] {
        let answer = ask("GET", path, &headers, "");
        assert_eq!(answer.status, status, "{path}");
        let location = answer.header("location");
        assert_eq!(
            location,
            (status == 302).then_some("https://login.test/?rd=x"),
            "{path}"
        );
    }
}

#[test]
fn a_denial_tells_the_caller_one_line() {
    let headers = with(&FORWARDED, &[("x-forwarded-uri", Some(b"/teapot"))]);
    let answer = ask("GET", "/traefik", &headers, "");
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("3"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
}

#[test]
fn an_answer_that_cannot_be_written_is_a_denial_and_no_second_decision() {
    for path in ["/check/crowd", "/check/open/crowd"] {
        for method in ["GET", "HEAD"] {
            let answer = ask(method, path, &[("host", b"a.test")], "");
            assert_eq!(
                (answer.status.as_u16(), &*answer.body),
                (403, &b""[..]),
                "{method} {path}"
            );
            let asked = path.trim_start_matches("/check");
            let expected = format!("envoy_http {method} ://a.test{asked}?- - Absent []");
            assert_eq!(answer.heard, expected, "what the judge heard last");
        }
    }
}
