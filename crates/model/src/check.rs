//! What a proxy asks: one request (or one TCP connection), borrowed from the bytes it arrived in.

use std::net::IpAddr;
use std::time::Duration;

use smallvec::SmallVec;

use crate::{Contract, Headers, Host, RequestPath};

/// One question of a proxy: may this request pass?
///
/// Made by a contract, once, from what the proxy sent. Nothing in it is believed yet: the credentials are still inside
/// the headers.
#[derive(Debug)]
pub struct Check<'a> {
    /// The contract the question came through.
    pub contract: Contract,
    /// What is asked for.
    pub target: Target<'a>,
    /// Who holds the other end of the connection to the proxy.
    pub peer: Peer<'a>,
    /// What the proxy's own configuration says about the matched route (Envoy: `context_extensions`).
    pub context_extensions: Pairs<'a>,
    /// What the proxy's other filters found out (Envoy: `metadata_context`), looked up only when a policy asks.
    pub metadata: &'a dyn Metadata,
    /// How long the proxy waits for the answer (gRPC: `grpc-timeout`), if it says so.
    pub timeout: Option<Duration>,
    /// The trace context of the call itself (gRPC: `traceparent` of its metadata), as sent; `None` where a contract has none
    /// but that of the request.
    pub traceparent: Option<&'a [u8]>,
    /// What is configured for the listener that was asked.
    pub listener: ListenerOptions,
}

/// What the configuration says for one listener instead of for all: an edge proxy and an inner one are not in the same
/// place. `None`: what holds for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerOptions {
    /// How many proxies in front append to `X-Forwarded-For`.
    pub trusted_hops: Option<u8>,
    /// Whether a request with a header that names another method passes the gate.
    pub ignores_method_override: Option<bool>,
}

/// An HTTP request, or a bare TCP connection.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack of one call and is never moved"
)]
pub enum Target<'a> {
    /// A request with a method, a host and a path.
    Http(HttpRequest<'a>),
    /// A connection of which nothing but its two ends is known (Envoy's network filter, Istio on TCP ports).
    Tcp(TcpConnection<'a>),
}

/// The parts of an HTTP request that an answer can depend on.
#[derive(Debug)]
pub struct HttpRequest<'a> {
    /// The method as sent; methods are case-sensitive (RFC 9110 section 9.1).
    pub method: &'a str,
    /// `http`, `https`, or what else the proxy says; may be empty.
    pub scheme: &'a str,
    /// The normalised host.
    pub host: Host<'a>,
    /// The canonical path: the only form of it that anything behind the door sees.
    pub path: RequestPath<'a>,
    /// Everything behind the first `?`, as sent; `None` without a `?`.
    pub query: Option<&'a str>,
    /// The headers as sent, duplicates kept, pseudo-headers left out.
    pub headers: Headers<'a>,
    /// The body, as far as the proxy sent it along.
    pub body: Body<'a>,
}

/// A TCP connection.
#[derive(Debug)]
pub struct TcpConnection<'a> {
    /// The port that was connected to, if the proxy says.
    pub destination_port: Option<u16>,
    /// The server name of the TLS handshake, if the proxy says; empty otherwise. It is the client's word.
    pub sni: &'a str,
}

/// The direct peer of the proxy, as the proxy's transport sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peer<'a> {
    /// Address of the connection, not of a forwarding header; `None` for Unix sockets or when the proxy does not say.
    pub address: Option<IpAddr>,
    /// The identity in the peer's certificate (a URI SAN such as `spiffe://td/ns/x/sa/a`, a DNS SAN or the subject);
    /// empty without mutual TLS.
    pub principal: &'a str,
}

/// A request body as the proxy passed it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// The proxy sent none: there was none, or it does not buffer bodies.
    Absent,
    /// All of it.
    Whole(&'a [u8]),
    /// Only its beginning; it cannot be parsed.
    Truncated(&'a [u8]),
}

/// Names with values, in the order of arrival. Later entries of one name win, as in a protobuf map.
pub type Pairs<'a> = SmallVec<[(&'a str, &'a str); 4]>;

/// Looks into structured data that stays encoded until somebody asks.
pub trait Metadata: std::fmt::Debug + Sync {
    /// The string at `path` inside `namespace`; `None` when there is no string there.
    fn string(&self, namespace: &str, path: &[Box<str>]) -> Option<String>;
}

/// For contracts that carry no metadata.
#[derive(Debug)]
pub struct NoMetadata;

impl Metadata for NoMetadata {
    fn string(&self, _namespace: &str, _path: &[Box<str>]) -> Option<String> {
        None
    }
}
