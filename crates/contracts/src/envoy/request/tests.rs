//! `CheckRequest` -> `Check`, on messages that the generated types write and on some that only a byte editor can.

mod by_hand;
mod differential;
mod merged;
mod metadata;
mod refused;

use std::net::IpAddr;
use std::time::Duration;

use model::{Body, Check, HttpRequest, ListenerOptions, Target, TcpConnection};
use prost::Message;
use proto::envoy::config::core::v3 as core;
use proto::envoy::service::auth::v3::{self as auth, attribute_context as context};

use super::CheckRequest;
use crate::envoy::Call;

/// A request that sets every field that is read.
fn sample() -> auth::CheckRequest {
    let http = context::HttpRequest {
        method: "PROPFIND".into(),
        headers: [
            (":path".into(), "/elsewhere".into()),
            ("cookie".into(), "a=1".into()),
        ]
        .into(),
        header_map: Some(core::HeaderMap {
            headers: vec![header("x-twice", "text", b""), header("X-Twice", "", b"\xff\xfe")],
        }),
        path: "/w/caf%c3%a9?x=1&y".into(),
        host: "Host.Example.ORG:8443".into(),
        scheme: "https".into(),
        raw_body: (&b"\xfe\x00bytes"[..]).into(),
        ..Default::default()
    };
    auth::CheckRequest {
        attributes: Some(auth::AttributeContext {
            source: Some(peer("192.0.2.1", 49152, "spiffe://td/source")),
            destination: Some(peer("192.0.2.2", 443, "spiffe://td/destination")),
            request: Some(context::Request { http: Some(http) }),
            context_extensions: [
                ("route".into(), "workspaces".into()),
                ("zone".into(), "\u{e9}".into()),
            ]
            .into(),
            tls_session: Some(context::TlsSession {
                sni: "sni.example.org".into(),
            }),
            ..Default::default()
        }),
    }
}

fn peer(address: &str, port_value: u32, principal: &str) -> context::Peer {
    let socket = core::SocketAddress {
        address: address.into(),
        port_value,
    };
    context::Peer {
        address: Some(core::Address {
            address: Some(core::address::Address::SocketAddress(socket)),
        }),
        principal: principal.into(),
        service: "what the client says".into(),
        ..Default::default()
    }
}

fn header(key: &str, value: &str, raw_value: &'static [u8]) -> core::HeaderValue {
    core::HeaderValue {
        key: key.into(),
        value: value.into(),
        raw_value: raw_value.into(),
    }
}

/// The sample after `edit` changed its attributes.
fn edited(edit: impl FnOnce(&mut auth::AttributeContext)) -> Vec<u8> {
    let mut request = sample();
    edit(request.attributes.as_mut().unwrap());
    request.encode_to_vec()
}

/// The sample after `edit` changed its HTTP request.
fn edited_http(edit: impl FnOnce(&mut context::HttpRequest)) -> Vec<u8> {
    edited(|attributes| edit(attributes.request.as_mut().unwrap().http.as_mut().unwrap()))
}

/// Looks at the check that `bytes` make; panics if they are refused.
#[track_caller]
fn with_check<T>(bytes: &[u8], look: impl FnOnce(&Check<'_>) -> T) -> T {
    let request = CheckRequest::read(bytes).unwrap();
    look(
        &request
            .check(Call::default(), ListenerOptions::default())
            .unwrap(),
    )
}

#[track_caller]
fn with_http<T>(bytes: &[u8], look: impl FnOnce(&HttpRequest<'_>) -> T) -> T {
    with_check(bytes, |check| match &check.target {
        Target::Http(http) => look(http),
        Target::Tcp(connection) => panic!("{connection:?}"),
    })
}

#[test]
fn every_field_arrives() {
    let bytes = sample().encode_to_vec();
    let request = CheckRequest::read(&bytes).unwrap();
    let call = Call {
        timeout: Some(Duration::from_millis(200)),
        traceparent: Some(b"as it came"),
    };
    let check = request.check(call, ListenerOptions::default()).unwrap();
    assert_eq!(check.traceparent, Some(&b"as it came"[..]));
    let Target::Http(http) = &check.target else {
        panic!("{check:?}");
    };
    assert_eq!(http.method, "PROPFIND");
    assert_eq!(http.scheme, "https");
    assert_eq!(http.host.as_str(), "host.example.org");
    assert_eq!(http.path.as_str(), "/w/caf%C3%A9");
    assert_eq!(http.query, Some("x=1&y"));
    assert_eq!(http.body, Body::Whole(b"\xfe\x00bytes"));
    assert_eq!(
        http.headers.iter().collect::<Vec<_>>(),
        [
            ("cookie", &b"a=1"[..]),
            ("x-twice", b"text"),
            ("X-Twice", b"\xff\xfe")
        ]
    );
    assert_eq!(check.contract, super::CONTRACT);
    assert_eq!(check.peer.address, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(check.peer.principal, "spiffe://td/source");
    assert_eq!(
        &check.context_extensions[..],
        [("route", "workspaces"), ("zone", "\u{e9}")]
    );
    assert_eq!(check.timeout, Some(Duration::from_millis(200)));
}

#[test]
fn without_http_it_is_a_tcp_connection() {
    let no_destination = |attributes: &mut auth::AttributeContext| {
        attributes.request = None;
        attributes.destination = None;
    };
    let port = |port| {
        edited(move |attributes| {
            attributes.request = None;
            attributes.destination = Some(peer("192.0.2.2", port, ""));
        })
    };
    for (name, bytes, expected) in [
        (
            "no request",
            edited(|attributes| attributes.request = None),
            (Some(443), "sni.example.org"),
        ),
        (
            "a request without http",
            edited(|attributes| attributes.request = Some(context::Request { http: None })),
            (Some(443), "sni.example.org"),
        ),
        (
            "no destination",
            edited(no_destination),
            (None, "sni.example.org"),
        ),
        ("port 0", port(0), (None, "sni.example.org")),
        ("port 65535", port(65_535), (Some(65_535), "sni.example.org")),
        ("port 65536", port(65_536), (None, "sni.example.org")),
        (
            "no TLS",
            edited(|attributes| {
                attributes.request = None;
                attributes.tls_session = None;
            }),
            (Some(443), ""),
        ),
        (
            "empty attributes",
            auth::CheckRequest {
                attributes: Some(Default::default()),
            }
            .encode_to_vec(),
            (None, ""),
        ),
        ("nothing at all", Vec::new(), (None, "")),
    ] {
        with_check(&bytes, |check| match check.target {
            Target::Tcp(TcpConnection {
                destination_port,
                sni,
            }) => {
                assert_eq!((destination_port, sni), expected, "{name}");
            }
            Target::Http(_) => panic!("{name}"),
        });
    }
}

#[test]
fn the_peer_is_known_or_not() {
    let address = |address: Option<core::address::Address>| {
        edited(|attributes| attributes.source.as_mut().unwrap().address = Some(core::Address { address }))
    };
    let ip = |ip| edited(move |attributes| attributes.source = Some(peer(ip, 1, "spiffe://td/source")));
    let pipe = core::address::Address::Pipe(core::Pipe {
        path: "@socket".into(),
    });
    for (name, bytes, expected) in [
        ("IPv4", ip("203.0.113.9"), Some("203.0.113.9")),
        ("IPv6", ip("2001:db8::1"), Some("2001:db8::1")),
        ("IPv4 in IPv6", ip("::ffff:203.0.113.9"), Some("203.0.113.9")),
        ("no address text", ip(""), None),
        ("a name", ip("localhost"), None),
        ("with a port", ip("203.0.113.9:80"), None),
        ("octal", ip("010.0.0.1"), None),
        ("a Unix socket", address(Some(pipe)), None),
        ("an address of no kind", address(None), None),
        (
            "no address",
            edited(|attributes| attributes.source.as_mut().unwrap().address = None),
            None,
        ),
        ("no source", edited(|attributes| attributes.source = None), None),
    ] {
        let expected = expected.map(|address| address.parse::<IpAddr>().unwrap());
        with_check(&bytes, |check| {
            assert_eq!(check.peer.address, expected, "{name}");
            let principal = if name == "no source" {
                ""
            } else {
                "spiffe://td/source"
            };
            assert_eq!(check.peer.principal, principal, "{name}");
        });
    }
}

#[test]
fn the_body_is_absent_whole_or_cut() {
    for (body, raw_body, partial, expected) in [
        ("", &b""[..], &[][..], Body::Absent),
        ("text", b"", &[], Body::Whole(b"text")),
        ("", b"\xff\x00", &[], Body::Whole(b"\xff\x00")),
        ("text", b"raw", &[], Body::Whole(b"raw")),
        ("text", b"", &["false"], Body::Whole(b"text")),
        ("", b"", &["false"], Body::Whole(b"")),
        ("text", b"", &["true"], Body::Truncated(b"text")),
        ("", b"raw", &["true"], Body::Truncated(b"raw")),
        ("", b"", &["true"], Body::Truncated(b"")),
        // What nobody sends is not taken for the whole.
        ("text", b"", &["False"], Body::Truncated(b"text")),
        ("text", b"", &[""], Body::Truncated(b"text")),
        ("text", b"", &["false", "false"], Body::Truncated(b"text")),
        ("text", b"", &["false", "true"], Body::Truncated(b"text")),
    ] {
        let bytes = edited_http(|http| {
            http.body = body.into();
            http.raw_body = raw_body.into();
            let partial = partial
                .iter()
                .map(|value| header(super::PARTIAL_BODY, value, b""));
            http.header_map.get_or_insert_default().headers.extend(partial);
        });
        with_http(&bytes, |http| {
            assert_eq!(http.body, expected, "{body:?} {raw_body:?} {partial:?}")
        });
    }
}

#[test]
fn headers_are_found_and_doubles_are_seen() {
    for (map, list, expected) in [
        (None, vec![], Ok(None)),
        (Some("a"), vec![], Ok(Some(&b"a"[..]))),
        (Some(""), vec![], Ok(Some(b""))),
        (None, vec![header("authorization", "a", b"")], Ok(Some(b"a"))),
        (None, vec![header("authorization", "", b"a")], Ok(Some(b"a"))),
        (
            None,
            vec![header("authorization", "text", b"raw")],
            Ok(Some(b"raw")),
        ),
        (None, vec![header("Authorization", "", b"a")], Ok(Some(b"a"))),
        (None, vec![header("authorization", "", b"")], Ok(Some(b""))),
        (
            None,
            vec![header("authorization", "", b"a\xff")],
            Ok(Some(b"a\xff")),
        ),
        (
            None,
            vec![header("authorization-", "", b"a"), header("x", "", b"b")],
            Ok(None),
        ),
        (None, vec![header(":authorization", "", b"a")], Ok(None)),
        // Envoy joins doubles in the map; whoever reads the value has to look for the comma.
        (Some("a,b"), vec![], Ok(Some(b"a,b"))),
        (
            None,
            vec![
                header("authorization", "", b"a"),
                header("authorization", "", b"b"),
            ],
            Err(2),
        ),
        (
            None,
            vec![
                header("authorization", "", b"a"),
                header("AUTHORIZATION", "", b"a"),
            ],
            Err(2),
        ),
        (
            None,
            vec![
                header("authorization", "", b"a"),
                header("authorization", "", b""),
            ],
            Err(2),
        ),
        (Some("a"), vec![header("authorization", "", b"a")], Err(2)),
        (
            Some("a"),
            vec![
                header("authorization", "", b"b"),
                header("authorization", "", b"c"),
            ],
            Err(3),
        ),
    ] {
        let bytes = edited_http(|http| {
            http.headers
                .extend(map.map(|value| ("authorization".to_owned(), value.to_owned())));
            http.header_map = Some(core::HeaderMap {
                headers: list.clone(),
            });
        });
        with_http(&bytes, |http| {
            assert_eq!(http.headers.single("authorization"), expected, "{map:?} {list:?}")
        });
    }
}
