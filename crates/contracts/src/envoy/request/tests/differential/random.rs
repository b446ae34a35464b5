//! Random requests, and random damage to their bytes.

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::Index;
use proto::google::protobuf::{ListValue, Struct, Value, value::Kind};

use super::{auth, context, core};

/// One thing that happens to bytes on their way.
#[derive(Clone, Debug)]
pub(super) enum Damage {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Cut(Index),
    Repeat(Index, usize),
}

pub(super) fn damage() -> BoxedStrategy<Damage> {
    let at = any::<Index>;
    prop_oneof![
        // Small values are likely to be keys and lengths.
        (at(), prop_oneof![any::<u8>(), 0_u8..0x70]).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (at(), 0_u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (at(), vec(any::<u8>(), 1..6)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (at(), 1_usize..6).prop_map(|(at, count)| Damage::Remove(at, count)),
        at().prop_map(Damage::Cut),
        (at(), 1_usize..12).prop_map(|(at, count)| Damage::Repeat(at, count)),
    ]
    .boxed()
}

impl Damage {
    pub(super) fn done_to(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if bytes.is_empty() {
            return bytes;
        }
        let from = |at: &Index, count: usize, length: usize| {
            at.index(length)..(at.index(length) + count).min(length)
        };
        let length = bytes.len();
        match self {
            Self::Set(at, byte) => bytes[at.index(length)] = *byte,
            Self::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Self::Insert(at, inserted) => drop(bytes.splice(from(at, 0, length), inserted.iter().copied())),
            Self::Remove(at, count) => drop(bytes.drain(from(at, *count, length))),
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Repeat(at, count) => {
                let repeated = bytes[from(at, *count, length)].to_vec();
                bytes.splice(from(at, 0, length), repeated);
            }
        }
        bytes
    }
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        Just(String::new()),
        "[ab]",
        "\\PC{0,5}",
        Just("/a?x=1".to_owned()),
        Just("jwt".to_owned())
    ]
    .boxed()
}

pub(super) fn request() -> BoxedStrategy<auth::CheckRequest> {
    let metadata =
        || btree_map(text(), facts(), 0..3).prop_map(|filter_metadata| core::Metadata { filter_metadata });
    let tls = text().prop_map(|sni| context::TlsSession { sni });
    let request = of(http()).prop_map(|http| context::Request { http });
    let fields = (
        of(any_peer()),
        of(any_peer()),
        of(request),
        btree_map(text(), text(), 0..3),
        of(metadata()),
        of(metadata()),
        of(tls),
    );
    let attributes = fields.prop_map(
        |(
            source,
            destination,
            request,
            context_extensions,
            metadata_context,
            route_metadata_context,
            tls_session,
        )| {
            auth::AttributeContext {
                source,
                destination,
                request,
                context_extensions,
                metadata_context,
                route_metadata_context,
                tls_session,
            }
        },
    );
    weighted(0.95, attributes)
        .prop_map(|attributes| auth::CheckRequest { attributes })
        .boxed()
}

fn any_peer() -> BoxedStrategy<context::Peer> {
    let address = prop_oneof![
        text().prop_map(|path| core::address::Address::Pipe(core::Pipe { path })),
        (text(), any::<u32>()).prop_map(|(address, port_value)| {
            core::address::Address::SocketAddress(core::SocketAddress { address, port_value })
        }),
    ];
    let address = of(address).prop_map(|address| core::Address { address });
    (of(address), text(), text(), text())
        .prop_map(|(address, service, principal, certificate)| context::Peer {
            address,
            service,
            principal,
            certificate,
        })
        .boxed()
}

fn http() -> BoxedStrategy<context::HttpRequest> {
    let raw = || vec(any::<u8>(), 0..5).prop_map(Bytes::from);
    let header = (text(), text(), raw()).prop_map(|(key, value, raw_value)| core::HeaderValue {
        key,
        value,
        raw_value,
    });
    let header_map = of(vec(header, 0..4).prop_map(|headers| core::HeaderMap { headers }));
    let texts = [(); 8].map(|()| text());
    (
        texts,
        btree_map(text(), text(), 0..4),
        header_map,
        raw(),
        any::<i64>(),
    )
        .prop_map(
            |(
                [id, method, path, host, scheme, query, protocol, body],
                headers,
                header_map,
                raw_body,
                size,
            )| {
                context::HttpRequest {
                    id,
                    method,
                    headers,
                    header_map,
                    path,
                    host,
                    scheme,
                    query,
                    protocol,
                    body,
                    raw_body,
                    size,
                }
            },
        )
        .boxed()
}

fn facts() -> BoxedStrategy<Struct> {
    let leaf = prop_oneof![
        text().prop_map(Kind::StringValue),
        any::<bool>().prop_map(Kind::BoolValue),
        (0.0..9.0).prop_map(Kind::NumberValue),
        Just(Kind::NullValue(0)),
    ];
    let fields = |kind: BoxedStrategy<Kind>| {
        btree_map(text(), of(kind).prop_map(|kind| Value { kind }), 0..3).prop_map(|fields| Struct { fields })
    };
    let kind = leaf.prop_recursive(3, 12, 3, move |inner| {
        let list = vec(inner.clone(), 0..3).prop_map(|kinds| {
            let values = kinds.into_iter().map(|kind| Value { kind: Some(kind) }).collect();
            Kind::ListValue(ListValue { values })
        });
        prop_oneof![fields(inner).prop_map(Kind::StructValue), list]
    });
    fields(kind.boxed()).boxed()
}
