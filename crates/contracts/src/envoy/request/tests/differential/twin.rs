//! What we read of a `CheckRequest`, once more, for prost: text is bytes, maps are lists of entries, and what stays
//! encoded with us is bytes here. So it accepts exactly the messages that our reader has to accept.

use prost::Message;

use super::{Pair, Seen};

#[derive(Clone, PartialEq, Message)]
struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    attributes: Option<Attributes>,
}

#[derive(Clone, PartialEq, Message)]
struct Attributes {
    #[prost(message, optional, tag = "1")]
    source: Option<Source>,
    #[prost(message, optional, tag = "2")]
    destination: Option<Destination>,
    #[prost(message, optional, tag = "4")]
    request: Option<Request>,
    #[prost(message, repeated, tag = "10")]
    context_extensions: Vec<Entry>,
    #[prost(message, optional, tag = "11")]
    metadata_context: Option<Metadata>,
    #[prost(message, optional, tag = "12")]
    tls_session: Option<Tls>,
}

#[derive(Clone, PartialEq, Message)]
struct Source {
    #[prost(message, optional, tag = "1")]
    address: Option<Address>,
    #[prost(bytes = "vec", tag = "4")]
    principal: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Destination {
    #[prost(message, optional, tag = "1")]
    address: Option<Address>,
}

#[derive(Clone, PartialEq, Message)]
struct Address {
    #[prost(oneof = "Kind", tags = "1, 2")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(message, tag = "1")]
    Socket(Socket),
    #[prost(bytes, tag = "2")]
    Pipe(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
struct Socket {
    #[prost(bytes = "vec", tag = "2")]
    address: Vec<u8>,
    #[prost(uint32, tag = "3")]
    port: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, optional, tag = "2")]
    http: Option<Http>,
}

#[derive(Clone, PartialEq, Message)]
struct Http {
    #[prost(bytes = "vec", tag = "2")]
    method: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    headers: Vec<Entry>,
    #[prost(bytes = "vec", tag = "4")]
    path: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    host: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    scheme: Vec<u8>,
    #[prost(bytes = "vec", tag = "7")]
    query: Vec<u8>,
    #[prost(bytes = "vec", tag = "11")]
    body: Vec<u8>,
    #[prost(bytes = "vec", tag = "12")]
    raw_body: Vec<u8>,
    #[prost(message, optional, tag = "13")]
    header_map: Option<HeaderMap>,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderMap {
    #[prost(message, repeated, tag = "1")]
    headers: Vec<Header>,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    raw_value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, repeated, tag = "1")]
    filter_metadata: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Tls {
    #[prost(bytes = "vec", tag = "1")]
    sni: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// Reads `bytes` as prost reads them.
pub(super) fn read(bytes: &[u8]) -> Result<Seen, prost::DecodeError> {
    let attributes = CheckRequest::decode(bytes)?.attributes.unwrap_or_default();
    let source = attributes.source.unwrap_or_default();
    let http = attributes.request.and_then(|request| request.http);
    Ok(Seen {
        source: socket(source.address),
        source_principal: source.principal,
        destination: socket(attributes.destination.and_then(|peer| peer.address)),
        sni: attributes.tls_session.unwrap_or_default().sni,
        headers: http.iter().flat_map(headers).collect(),
        http: http.map(|http| {
            [
                http.method,
                http.path,
                http.query,
                http.host,
                http.scheme,
                http.body,
                http.raw_body,
            ]
        }),
        context_extensions: pairs(attributes.context_extensions),
        filter_metadata: pairs(attributes.metadata_context.unwrap_or_default().filter_metadata),
    })
}

fn socket(address: Option<Address>) -> (Vec<u8>, u32) {
    match address.and_then(|address| address.kind) {
        Some(Kind::Socket(socket)) => (socket.address, socket.port),
        Some(Kind::Pipe(_)) | None => Default::default(),
    }
}

fn headers(http: &Http) -> Vec<Pair> {
    let list = http
        .header_map
        .clone()
        .unwrap_or_default()
        .headers
        .into_iter()
        .map(|header| {
            let value = if header.raw_value.is_empty() {
                header.value
            } else {
                header.raw_value
            };
            (header.key, value)
        });
    pairs(http.headers.clone()).into_iter().chain(list).collect()
}

fn pairs(entries: Vec<Entry>) -> Vec<Pair> {
    entries
        .into_iter()
        .map(|entry| (entry.key, entry.value))
        .collect()
}
