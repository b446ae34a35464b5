//! Parts in a row, unknown fields, messages that end too early: what protobuf's rules say about them.

use model::Reason;
use prost::Message;

use super::by_hand::{and, and_http, http, least, refusal};
use super::*;
use crate::wire::Put;

#[test]
fn parts_of_a_message_are_merged_and_the_last_of_a_scalar_wins() {
    let socket = |peer: &mut Vec<u8>, fill: fn(&mut Vec<u8>)| {
        peer.put_message(1, |address| address.put_message(1, fill));
    };
    let source = |fill: &dyn Fn(&mut Vec<u8>)| and(|attributes| attributes.put_message(1, |peer| fill(peer)));
    for (name, bytes, expected) in [
        (
            "another method",
            and_http(|http| http.put_bytes(2, b"GET")),
            "GET host.example.org 192.0.2.1",
        ),
        (
            "another host",
            and_http(|http| http.put_bytes(5, b"h")),
            "PROPFIND h 192.0.2.1",
        ),
        (
            "an empty http",
            and_http(|_empty| {}),
            "PROPFIND host.example.org 192.0.2.1",
        ),
        (
            "an empty source",
            source(&|_empty| {}),
            "PROPFIND host.example.org 192.0.2.1",
        ),
        (
            "only a port",
            source(&|peer| socket(peer, |s| s.put_varint(3, 1))),
            "PROPFIND host.example.org 192.0.2.1",
        ),
        (
            "an address",
            source(&|peer| socket(peer, |s| s.put_bytes(2, b"::2"))),
            "PROPFIND host.example.org ::2",
        ),
        (
            "a Unix socket",
            source(&|peer| peer.put_message(1, |address| address.put_message(2, |_pipe| {}))),
            "PROPFIND host.example.org none",
        ),
        (
            "a Unix socket and then a port",
            source(&|peer| {
                peer.put_message(1, |address| address.put_message(2, |_pipe| {}));
                socket(peer, |s| s.put_varint(3, 1));
            }),
            "PROPFIND host.example.org none",
        ),
    ] {
        let seen = with_check(&bytes, |check| {
            let Target::Http(http) = &check.target else {
                panic!("{name}");
            };
            let address = check
                .peer
                .address
                .map_or("none".to_owned(), |address| address.to_string());
            format!("{} {} {address}", http.method, http.host.as_str())
        });
        assert_eq!(seen, expected, "{name}");
    }
    // The rules of a map would drop the first of the two.
    let doubled = and_http(|http| {
        http.put_message(3, |entry| {
            entry.put_bytes(1, b"Cookie");
            entry.put_bytes(2, b"b=2");
        });
    });
    with_http(&doubled, |http| assert_eq!(http.headers.single("cookie"), Err(2)));
    // Of a HeaderValue, the last value counts, be it empty.
    let emptied = and_http(|http| {
        http.put_message(13, |map| {
            map.put_message(1, |header| {
                header.put_bytes(3, b"raw");
                header.put_bytes(1, b"x-new");
                header.put_bytes(2, b"text");
                header.put_bytes(3, b"");
            });
        });
    });
    with_http(&emptied, |http| {
        assert_eq!(http.headers.single("x-new"), Ok(Some(&b"text"[..])))
    });
}

#[test]
fn unknown_fields_are_skipped_everywhere() {
    fn junk(out: &mut Vec<u8>) {
        out.put_varint(1000, u64::MAX);
        out.put_bytes(1001, b"\xff not a message");
        // 1002: eight bytes, 1003: four.
        out.extend_from_slice(b"\xd1\x3e12345678\xdd\x3e1234");
    }
    let plain = http(least);
    let mut strewn = Vec::new();
    junk(&mut strewn);
    strewn.put_message(1, |attributes| {
        junk(attributes);
        attributes.put_message(1, |peer| {
            junk(peer);
            peer.put_message(1, |address| {
                junk(address);
                address.put_message(1, junk);
            });
        });
        attributes.put_message(2, junk);
        // Known to others: `request.time`, `destination.labels`, `route_metadata_context`.
        attributes.put_message(4, |request| {
            request.put_bytes(1, b"\xff");
            junk(request);
            request.put_message(2, |http| {
                junk(http);
                least(http);
                http.put_varint(9, u64::MAX);
                http.put_message(13, junk);
            });
        });
        attributes.put_bytes(13, b"\xff");
        attributes.put_message(11, junk);
        attributes.put_message(12, junk);
    });
    junk(&mut strewn);
    let shown = |bytes: &[u8]| with_check(bytes, |check| format!("{:?} {:?}", check.target, check.peer));
    assert_eq!(shown(&strewn), shown(&plain));
}

#[test]
fn a_message_cut_anywhere_is_answered_or_refused() {
    let bytes = sample().encode_to_vec();
    let mut refused = 0;
    for length in 0..bytes.len() {
        refused +=
            usize::from(refusal(&bytes[..length]).is_some_and(|refusal| refusal.reason == Reason::Malformed));
    }
    // All but the empty one: the outermost length is not met.
    assert_eq!(refused, bytes.len() - 1);
    // And cut where only the innermost message is short.
    let inner = sample()
        .attributes
        .unwrap()
        .request
        .unwrap()
        .http
        .unwrap()
        .encode_to_vec();
    for length in 0..inner.len() {
        let _ = refusal(&http(|http| http.extend_from_slice(&inner[..length])));
    }
}

#[test]
fn a_port_beyond_its_32_bits_is_cut_as_everywhere_else() {
    for (port, expected) in [
        (443, Some(443)),
        ((1 << 32) + 443, Some(443)),
        (1 << 16, None),
        (u64::MAX, None),
    ] {
        let mut bytes = Vec::new();
        bytes.put_message(1, |attributes| {
            attributes.put_message(2, |peer| {
                peer.put_message(1, |address| {
                    address.put_message(1, |socket| socket.put_varint(3, port))
                });
            });
        });
        with_check(&bytes, |check| match check.target {
            Target::Tcp(TcpConnection { destination_port, .. }) => {
                assert_eq!(destination_port, expected, "{port}")
            }
            Target::Http(_) => panic!("{port}"),
        });
    }
}
