//! What Envoy is told: the settings of its `ext_authz` filter that change what Portcullis sees or what becomes of a
//! request, and nothing else.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;

/// What to tell Envoy; what is not here is left as Envoy has it, paths un-normalised included.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvoyOptions {
    /// Where to listen; port 0 of 127.0.0.1 by default.
    pub listen: SocketAddr,
    /// Where allowed requests go, over HTTP/1.1.
    pub upstream: SocketAddr,
    /// The gRPC authorization server, over HTTP/2.
    pub authz: SocketAddr,
    /// How it is asked by TLS; without encryption by default.
    pub authz_tls: Option<AuthzTls>,
    /// All the authorization servers, if there are several: then `authz` is not asked.
    pub replicas: Vec<Replica>,
    /// How long the authorization server may take; 1 second by default (Envoy's own default is 200 ms).
    pub timeout: Duration,
    /// What becomes of a request when there is no answer.
    pub on_error: OnError,
    /// Whether and how request bodies are sent along; not at all by default.
    pub body: Option<CheckBody>,
    /// How request headers are sent.
    pub headers: HeaderForm,
    /// What becomes of a client's `x-forwarded-client-cert`; removed by default, as Envoy has it.
    pub forwarded_certificates: ForwardedCertificates,
    /// `context_extensions` of the only virtual host.
    pub context_extensions: BTreeMap<String, String>,
    /// Dynamic metadata by namespace, each an object: set on every request, and sent along as `metadata_context`.
    pub metadata: BTreeMap<String, Value>,
    /// The largest request headers taken, all together; 60 by default, as Envoy has it.
    pub max_request_headers_kb: u32,
    /// The most request headers taken; 100 by default, as Envoy has it.
    pub max_request_headers: u32,
}

/// TLS between Envoy and the authorization server, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthzTls {
    /// The authority of the server's certificate.
    pub ca: String,
    /// The DNS name that must be in it.
    pub name: String,
    /// Envoy's own certificate and key, if it shows any.
    pub client: Option<(String, String)>,
}

/// One of several authorization servers. It is asked while it says `SERVING`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replica {
    /// Where it is asked.
    pub authz: SocketAddr,
    /// Where it says how it is (`grpc.health.v1`).
    pub admin: SocketAddr,
}

/// What Envoy does when the authorization server fails: does not answer in time, or not with a CheckResponse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Answers with this HTTP status (`status_on_error`); 403 by default.
    Deny(u16),
    /// Lets the request through, with `x-envoy-auth-failure-mode-allowed: true` (`failure_mode_allow`).
    Allow,
}

/// `with_request_body`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckBody {
    /// How much of the body is sent, in bytes; not 0.
    pub max_bytes: u32,
    /// What becomes of a longer one.
    pub longer: LongerBody,
    /// The field it is sent in.
    pub form: BodyForm,
}

/// What becomes of a body that is longer than what may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongerBody {
    /// 413, without asking.
    Refused,
    /// Its beginning is sent, with `x-envoy-auth-partial-body: true` (`allow_partial_message`).
    Truncated,
}

/// The field of a CheckRequest that a body is sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyForm {
    /// `body`, where bytes that are not UTF-8 are replaced.
    Text,
    /// `raw_body` (`pack_as_bytes`).
    Bytes,
}

/// The field of a CheckRequest that headers are sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderForm {
    /// `headers`, repeated ones joined by commas.
    Joined,
    /// `header_map`, each value apart and byte for byte (`encode_raw_headers`).
    Raw,
}

/// `forward_client_cert_details`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedCertificates {
    /// The header is removed (`SANITIZE`).
    Removed,
    /// It is passed on, without mutual TLS too (`ALWAYS_FORWARD_ONLY`): whoever can connect can say anything in it.
    PassedOn,
}

impl EnvoyOptions {
    /// The defaults, between these two.
    pub fn new(upstream: SocketAddr, authz: SocketAddr) -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            upstream,
            authz,
            authz_tls: None,
            replicas: Vec::new(),
            timeout: Duration::from_secs(1),
            on_error: OnError::Deny(403),
            body: None,
            headers: HeaderForm::Joined,
            forwarded_certificates: ForwardedCertificates::Removed,
            context_extensions: BTreeMap::new(),
            metadata: BTreeMap::new(),
            max_request_headers_kb: 60,
            max_request_headers: 100,
        }
    }
}
