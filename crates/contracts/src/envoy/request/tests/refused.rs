//! What is refused, and what is not.

use model::Reason;
use prost::Message;

use super::by_hand::{and, and_http, http, least, refusal};
use super::*;
use crate::wire::Put;

#[track_caller]
fn check_refused(name: &str, bytes: &[u8], reason: Reason, detail: &str) {
    let Some(refusal) = refusal(bytes) else {
        panic!("{name} is answered");
    };
    assert_eq!(
        (refusal.reason, refusal.contract),
        (reason, super::super::CONTRACT),
        "{name}: {}",
        refusal.detail
    );
    assert!(refusal.detail.contains(detail), "{name}: {}", refusal.detail);
}

#[test]
fn targets_and_hosts_that_mean_nothing_or_two_things_are_refused() {
    for path in [
        "",
        "*",
        "w",
        "?x=1",
        "host:80",
        "http://host.example.org/",
        "/a/../b",
        "/%zz",
        "//",
        "/;x",
        "/a#b",
        "/\u{e9}",
    ] {
        check_refused(
            path,
            &edited_http(|http| http.path = path.into()),
            Reason::AmbiguousPath,
            "the path was refused",
        );
    }
    for host in ["", "a,b", "a..b", "user@host", "host:http", "\u{e9}"] {
        check_refused(
            host,
            &edited_http(|http| http.host = host.into()),
            Reason::InvalidHost,
            "the host was refused",
        );
    }
    check_refused(
        "empty http",
        &http(|_empty| {}),
        Reason::AmbiguousPath,
        "the path was refused",
    );
    check_refused(
        "a path of bytes",
        &and_http(|http| http.put_bytes(4, b"/\xff")),
        Reason::AmbiguousPath,
        "",
    );
    check_refused(
        "no host",
        &http(|http| http.put_bytes(4, b"/")),
        Reason::InvalidHost,
        "no host",
    );
}

#[test]
fn a_query_beside_the_path_has_to_be_the_one_in_it() {
    for (path, query, answered) in [
        ("/a?x=1", "", true),
        ("/a?x=1", "x=1", true),
        ("/a", "", true),
        ("/a?", "", true),
        ("/a?x=1", "x=2", false),
        ("/a", "x=1", false),
        ("/a?", "x=1", false),
    ] {
        let bytes = edited_http(|http| {
            http.path = path.into();
            http.query = query.into();
        });
        match answered {
            true => with_http(&bytes, |http| {
                assert_eq!(http.query, path.split_once('?').map(|(_, query)| query))
            }),
            false => check_refused(path, &bytes, Reason::Malformed, "`query`"),
        }
    }
}

#[test]
fn text_that_is_no_text_is_refused_where_text_is_needed() {
    let pair = |out: &mut Vec<u8>, field: u32, key: &[u8], value: &[u8]| {
        out.put_message(field, |entry| {
            entry.put_bytes(1, key);
            entry.put_bytes(2, value);
        });
    };
    let tcp = |fill: fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        bytes.put_message(1, fill);
        bytes
    };
    for (what, bytes) in [
        ("the method", and_http(|http| http.put_bytes(2, b"G\xffT"))),
        ("the host", and_http(|http| http.put_bytes(5, b"h\xffst"))),
        ("the scheme", and_http(|http| http.put_bytes(6, b"\xff"))),
        ("a header name", and_http(|http| pair(http, 3, b"x-\xff", b"v"))),
        (
            "a header name",
            and_http(|http| http.put_message(13, |map| pair(map, 1, b"x-\xff", b"v"))),
        ),
        (
            "the name of a context extension",
            and(|attributes| pair(attributes, 10, b"\xff", b"v")),
        ),
        (
            "a context extension",
            and(|attributes| pair(attributes, 10, b"k", b"\xff")),
        ),
        (
            "source.principal",
            and(|attributes| attributes.put_message(1, |peer| peer.put_bytes(4, b"\xff"))),
        ),
        (
            "tls_session.sni",
            tcp(|attributes| attributes.put_message(12, |tls| tls.put_bytes(1, b"\xff"))),
        ),
    ] {
        check_refused(what, &bytes, Reason::Malformed, &format!("{what} is not UTF-8"));
    }
    // Where bytes will do, or nobody looks, the request is answered (CVE-2023-27488).
    for (what, bytes) in [
        (
            "a header value",
            and_http(|http| pair(http, 3, b"x-bytes", b"v\xff")),
        ),
        (
            "a value in the header map",
            and_http(|http| http.put_message(13, |map| pair(map, 1, b"x-bytes", b"v\xff"))),
        ),
    ] {
        with_http(&bytes, |http| {
            assert_eq!(http.headers.single("x-bytes"), Ok(Some(&b"v\xff"[..])), "{what}")
        });
    }
    with_http(
        &http(|http| {
            least(http);
            http.put_bytes(11, b"\xff");
        }),
        |http| {
            assert_eq!(http.body, Body::Whole(b"\xff"));
        },
    );
    for bytes in [
        and_http(|http| http.put_bytes(1, b"\xff")),
        and_http(|http| http.put_bytes(10, b"\xff")),
        and(|attributes| attributes.put_message(12, |tls| tls.put_bytes(1, b"\xff"))),
        and(|attributes| attributes.put_message(1, |peer| peer.put_bytes(2, b"\xff"))),
    ] {
        assert_eq!(refusal(&bytes), None);
    }
}

#[test]
fn more_entries_than_any_proxy_sends_are_refused() {
    let headers = |map: usize, list: usize| {
        edited_http(|http| {
            http.headers = (0..map).map(|n| (format!("x-{n}"), String::new())).collect();
            http.header_map = Some(core::HeaderMap {
                headers: vec![header("x", "", b""); list],
            });
        })
    };
    let pairs = |extensions: usize, namespaces: usize| {
        edited(|attributes| {
            attributes.context_extensions = (0..extensions).map(|n| (n.to_string(), String::new())).collect();
            attributes.metadata_context = Some(core::Metadata {
                filter_metadata: (0..namespaces)
                    .map(|n| (n.to_string(), Default::default()))
                    .collect(),
            });
        })
    };
    for bytes in [headers(200, 0), headers(0, 200), headers(100, 100), pairs(64, 64)] {
        assert_eq!(refusal(&bytes), None);
    }
    for (name, bytes) in [
        ("headers", headers(201, 0)),
        ("header map", headers(0, 201)),
        ("both", headers(200, 1)),
        ("very many", headers(0, 50_000)),
        ("extensions", pairs(65, 0)),
        ("namespaces", pairs(0, 65)),
    ] {
        check_refused(name, &bytes, Reason::Malformed, "more than 200 headers");
    }
}

#[test]
fn what_is_no_check_request_is_refused() {
    let entry = |out: &mut Vec<u8>| {
        out.put_bytes(1, b"authorization");
        out.put_bytes(2, b"one");
        out.put_bytes(2, b"two");
    };
    for (name, bytes, detail) in [
        ("HTTP/1.1", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "cannot be read"),
        ("JSON", br#"{"attributes":{}}"#.to_vec(), "cannot be read"),
        ("zeros", vec![0; 100], "impossible field key 0"),
        ("attributes as a number", b"\x08\x01".to_vec(), "another type"),
        ("a group", b"\x0b\x0c".to_vec(), "impossible field key 11"),
        (
            "http as a number",
            and(|attributes| attributes.put_message(4, |request| request.put_varint(2, 1))),
            "another",
        ),
        (
            "the path as a number",
            and_http(|http| http.put_varint(4, 1)),
            "another type",
        ),
        (
            "a header as a number",
            and_http(|http| http.put_varint(3, 1)),
            "another type",
        ),
        (
            "a header map as a number",
            and_http(|http| http.put_varint(13, 1)),
            "another type",
        ),
        (
            "a header with two values",
            and_http(|http| http.put_message(3, entry)),
            "more than one",
        ),
        (
            "an extension with two values",
            and(|attributes| attributes.put_message(10, entry)),
            "more than one",
        ),
        (
            "half a header",
            and_http(|http| http.put_bytes(3, b"\x0a\x05auth")),
            "ends in the middle",
        ),
        (
            "half a field at the end",
            [sample().encode_to_vec(), vec![0x0A]].concat(),
            "ends in the middle",
        ),
    ] {
        check_refused(name, &bytes, Reason::Malformed, detail);
    }
}

#[test]
fn headers_that_no_parser_lets_through_are_refused() {
    let with = |pairs: &[(&str, &'static [u8])]| {
        edited_http(|http| {
            let headers = pairs.iter().map(|(name, value)| header(name, "", value));
            http.header_map = Some(core::HeaderMap {
                headers: headers.collect(),
            });
        })
    };
    for (name, value, expected) in [
        ("x-a ", &b"v"[..], "the header name \"x-a \" is not a token"),
        ("x-a\nb", b"v", "the header name \"x-a\\nb\" is not a token"),
        ("x:a", b"v", "is not a token"),
        (":x:a", b"v", "is not a token"),
        ("caf\u{e9}", b"v", "is not a token"),
        ("", b"v", "is not a token"),
        ("x-a", b"a\0b", "the header \"x-a\" has a control character"),
        ("x-a", b"a\x1bb", "control character"),
        ("x-a", b"a\x7f", "control character"),
        ("x-a", b"a\r\nx-b: c", "control character"),
    ] {
        check_refused(name, &with(&[(name, value)]), Reason::Malformed, expected);
    }
    for pairs in [
        &[("x-a", &b"a\tb \xff"[..])][..],
        &[("x_a", b""), (":status", b"200")],
        &[("!#$%&'*+-.^_`|~0", b"v")],
        &[("host", b"host.example.org:1")],
    ] {
        assert_eq!(refusal(&with(pairs)), None, "{pairs:?}");
    }
    for pairs in [
        &[("host", &b"host.example.org"[..]), ("Host", b"host.example.org")][..],
        &[("host", b"evil.test")],
        &[("host", b"a b")],
    ] {
        check_refused("two hosts", &with(pairs), Reason::InvalidHost, "several hosts");
    }
}
