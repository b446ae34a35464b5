//! What a client claims about its request in the words of this or another proxy. None of it is true.

use super::at_upstream;
use crate::envoy::record_of;
use crate::proxy::Program;

/// A header, and values that would turn a denial into a yes, and a yes into a denial, if anybody believed them.
const CLAIMS: [(&str, &str, &str); 27] = [
    ("X-Forwarded-Uri", "/public/hello", "/workspaces"),
    ("X-Forwarded-Path", "/public/hello", "/workspaces"),
    ("X-Forwarded-Prefix", "/public", "/workspaces"),
    ("X-Forwarded-Method", "GET", "DELETE"),
    ("X-Forwarded-Host", "api.example.test", "evil.test"),
    ("X-Forwarded-Proto", "https", "gopher"),
    ("X-Forwarded-For", "6.6.6.6", "6.6.6.6, 8.8.8.8"),
    ("X_Forwarded_Uri", "/public/hello", "/workspaces"),
    ("X_Forwarded_For", "6.6.6.6", "not an address"),
    (
        "X-Original-URL",
        "http://api.example.test/public/hello",
        "http://api.example.test/workspaces",
    ),
    (
        "X_Original_URL",
        "http://api.example.test/public/hello",
        "http://api.example.test/workspaces",
    ),
    ("X-Original-URI", "/public/hello", "/workspaces"),
    ("X-Original-Path", "/public/hello", "/workspaces"),
    ("X-Original-Host", "api.example.test", "evil.test"),
    ("X-Original-Method", "GET", "DELETE"),
    ("X_Original_Method", "GET", "DELETE"),
    ("X-Real-IP", "6.6.6.6", "not an address"),
    ("X_Real_IP", "6.6.6.6", "not an address"),
    ("X-Client-IP", "6.6.6.6", "not an address"),
    (
        "Forwarded",
        "for=6.6.6.6;host=api.example.test;proto=https",
        "for=\"_x\";host=evil.test",
    ),
    ("X-Rewrite-URL", "/public/hello", "/workspaces"),
    ("X-Envoy-Original-Path", "/public/hello", "/workspaces"),
    ("X-Envoy-External-Address", "6.6.6.6", "not an address"),
    ("X-Accel-Redirect", "/public/hello", "/workspaces"),
    ("X-Http-Method-Override", "GET", "DELETE"),
    ("Content-Type", "application/grpc", "application/grpc"),
    ("X-Forwarded-Port", "443", "0"),
];

/// Those of them that upstreams may believe: they see what they would have seen without, in every spelling.
const BELIEVED: [&str; 13] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-uri",
    "x-http-method-override",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// What of a record is told by the request.
const JUDGED: [&str; 8] = [
    "method",
    "host",
    "path",
    "scheme",
    "client_ip",
    "verdict",
    "reason",
    "contract",
];

/// What clients claim, in the words of any proxy, once or twice, changes no verdict and no record, and nothing that an
/// upstream may believe. `refused` are those with which Portcullis refuses every request because they arrive.
pub(crate) async fn claims(program: &'static Program, refused: &[&str]) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    let believed: Vec<_> = BELIEVED.iter().collect();
    let is_refused = |name: &str| refused.iter().any(|other| other.eq_ignore_ascii_case(name));
    let (fatal, harmless): (Vec<_>, Vec<_>) = CLAIMS.iter().partition(|(name, ..)| is_refused(name));
    assert_eq!(fatal.len(), refused.len());
    let mut attempts: Vec<Vec<(&str, &str)>> = Vec::new();
    for (name, good, bad) in harmless.iter().copied() {
        attempts.push(vec![(name, good)]);
        attempts.push(vec![(name, bad)]);
        attempts.push(vec![(name, bad), (name, good)]);
    }
    attempts.push(harmless.iter().map(|(name, good, _)| (*name, *good)).collect());
    let twice = harmless
        .iter()
        .flat_map(|(name, good, _)| [(*name, *good), (*name, "/other")]);
    attempts.push(twice.collect());
    for (who, method, target, status) in [
        ("alice", "GET", "/workspaces/ws-alice", 200),
        ("alice", "GET", "/workspaces/ws-bob", 403),
        ("alice", "DELETE", "/workspaces/ws-alice", 403),
        ("nobody", "GET", "/public/hello", 200),
        ("nobody", "GET", "/workspaces/ws-alice", 401),
        ("nobody", "POST", "/public/hello", 401),
        ("nobody", "DELETE", "/public/hello", 401),
    ] {
        let plain = proxy.send_as(&house, who, method, target, &[]).await;
        assert_eq!(plain.status, status, "{who} {method} {target}: {plain:?}");
        let plain_record = record_of(&house, &plain);
        for (field, value) in [
            ("method", method),
            ("path", target),
            ("host", "api.example.test"),
            ("client_ip", "127.0.0.1"),
        ] {
            assert_eq!(plain_record[field], value, "{who} {method} {target}");
        }
        for (name, good, bad) in &fatal {
            for value in [good, bad] {
                let got = proxy.send_as(&house, who, method, target, &[(name, value)]).await;
                assert!(got.seen.is_none(), "{who} {method} {target} {name}: {got:?}");
                assert_eq!(
                    record_of(&house, &got)["verdict"],
                    "deny",
                    "{who} {method} {name}"
                );
            }
        }
        for claims in &attempts {
            let row = format!("{who} {method} {target} {claims:?}");
            let got = proxy.send_as(&house, who, method, target, claims).await;
            assert_eq!(
                (got.status, got.seen.is_some()),
                (status, status == 200),
                "{row}: {got:?}"
            );
            let record = record_of(&house, &got);
            for field in JUDGED {
                assert_eq!(record[field], plain_record[field], "{row} {field}");
            }
            if status == 200 {
                assert_eq!(
                    at_upstream(&got, &believed),
                    at_upstream(&plain, &believed),
                    "{row}"
                );
            }
        }
    }
}
