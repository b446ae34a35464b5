//! The answer, and the proof that it was earned.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::{HeaderEdits, RouteEdits};

/// The answer to one check.
#[derive(Debug)]
pub struct Decision {
    id: DecisionId,
    verdict: Verdict,
    policies: Vec<Arc<str>>,
    version: Version,
    audited: Option<Box<Audited>>,
    body: Option<ErrorBody>,
}

/// The body of a denial, where it is more than the line for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorBody {
    /// Its media type.
    pub content_type: String,
    /// What is in it; gives nothing away.
    pub text: String,
}

/// What would have been the answer, had the rules been enforced.
#[derive(Debug)]
pub struct Audited {
    /// The denial.
    pub denial: Denial,
    /// The policies that determined it.
    pub policies: Vec<Arc<str>>,
}

/// Yes or no.
#[derive(Debug)]
pub enum Verdict {
    /// The request passes.
    Allow(Permit),
    /// It does not.
    Deny(Denial),
}

/// The proof that policies let a request pass. Without one there is no allow.
#[derive(Debug)]
pub struct Permit {
    edits: Arc<HeaderEdits>,
    route: Arc<RouteEdits>,
}

impl Permit {
    /// Only the pipeline may call this, after policies said yes: `clippy.toml` forbids it everywhere else.
    pub fn grant(edits: Arc<HeaderEdits>, route: Arc<RouteEdits>) -> Self {
        Self { edits, route }
    }

    /// The identity headers of the upstream request: set or removed.
    pub fn edits(&self) -> &HeaderEdits {
        &self.edits
    }

    /// What the route changes on every allow.
    pub fn route(&self) -> &RouteEdits {
        &self.route
    }
}

/// A refusal with its two messages: one for the caller, one for the log.
#[derive(Clone, Debug)]
pub struct Denial {
    /// HTTP status for the caller: 4xx.
    pub status: u16,
    /// The class of the reason.
    pub reason: Reason,
    /// One plain line for the caller; gives nothing away.
    pub caller: Cow<'static, str>,
    /// The whole truth, for the log only.
    pub log: String,
    /// `WWW-Authenticate` (RFC 6750 section 3), on 401.
    pub challenge: Option<Cow<'static, str>>,
    /// Where a browser can log in: an absolute URL. Contracts that can pass it on answer with 302 instead of `status`.
    pub redirect: Option<Box<str>>,
    /// More headers for the caller, as the route's `on_deny` says.
    pub headers: Arc<[(Box<str>, Box<str>)]>,
}

/// Why a request was denied or allowed, as a class that logs and metrics can count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A permit policy matched and no forbid did.
    Permitted,
    /// Policies say no, and are only audited.
    Audited,
    /// No permit policy matched.
    NoPermit,
    /// A forbid policy matched.
    Forbidden,
    /// A policy could not be evaluated, and doubt is a denial.
    PolicyError,
    /// A credential is needed and none was presented.
    CredentialMissing,
    /// A credential was presented and refused.
    CredentialRefused,
    /// The credential was good and is revoked.
    Revoked,
    /// The keys that could verify the credential are not at hand.
    KeysUnavailable,
    /// What was revoked is not known any more: the store of revocations has not been read for too long.
    RevocationsUnknown,
    /// The token was issued for somebody who acts for its user, and not for this.
    OutsideDelegation,
    /// No route matches host and path.
    NoRoute,
    /// A route matches the path, but not with this method.
    NoMethod,
    /// The path can be read in more than one way.
    AmbiguousPath,
    /// The host cannot be compared.
    InvalidHost,
    /// The question of the proxy is not one that can be answered.
    Malformed,
    /// Whoever asks is not one of the proxies that may.
    StrangePeer,
    /// More is being asked at the same time than there is room for.
    Overloaded,
    /// The answer was not there in time.
    Timeout,
    /// Something broke on our side.
    Internal,
}

impl Reason {
    /// Every class.
    pub const ALL: [Self; 20] = [
        Self::Permitted,
        Self::Audited,
        Self::NoPermit,
        Self::Forbidden,
        Self::PolicyError,
        Self::CredentialMissing,
        Self::CredentialRefused,
        Self::Revoked,
        Self::KeysUnavailable,
        Self::RevocationsUnknown,
        Self::OutsideDelegation,
        Self::NoRoute,
        Self::NoMethod,
        Self::AmbiguousPath,
        Self::InvalidHost,
        Self::Malformed,
        Self::StrangePeer,
        Self::Overloaded,
        Self::Timeout,
        Self::Internal,
    ];

    /// The name in logs, metadata and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Audited => "audited",
            Self::NoPermit => "no_permit",
            Self::Forbidden => "forbidden",
            Self::PolicyError => "policy_error",
            Self::CredentialMissing => "credential_missing",
            Self::CredentialRefused => "credential_refused",
            Self::Revoked => "revoked",
            Self::KeysUnavailable => "keys_unavailable",
            Self::RevocationsUnknown => "revocations_unknown",
            Self::OutsideDelegation => "outside_delegation",
            Self::NoRoute => "no_route",
            Self::NoMethod => "no_method",
            Self::AmbiguousPath => "ambiguous_path",
            Self::InvalidHost => "invalid_host",
            Self::Malformed => "malformed",
            Self::StrangePeer => "strange_peer",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Decision {
    /// A yes, on the strength of a permit.
    pub fn allow(permit: Permit, policies: Vec<Arc<str>>, version: Version) -> Self {
        Self {
            id: DecisionId::new(),
            verdict: Verdict::Allow(permit),
            policies,
            version,
            audited: None,
            body: None,
        }
    }

    /// A yes although policies say no, because they are only audited.
    pub fn audit(permit: Permit, audited: Audited, version: Version) -> Self {
        Self {
            audited: Some(Box::new(audited)),
            ..Self::allow(permit, Vec::new(), version)
        }
    }

    /// A no.
    pub fn deny(denial: Denial, policies: Vec<Arc<str>>, version: Version) -> Self {
        Self {
            id: DecisionId::new(),
            verdict: Verdict::Deny(denial),
            policies,
            version,
            audited: None,
            body: None,
        }
    }

    /// The same with a body of its own, if it is a denial.
    #[must_use]
    pub fn with_body(mut self, body: ErrorBody) -> Self {
        self.body = Some(body);
        self
    }

    /// The body of a denial, where it is more than the line for the caller.
    pub fn body(&self) -> Option<&ErrorBody> {
        self.body.as_ref()
    }

    /// The name of this decision, in the log, at the upstream and at the client.
    pub fn id(&self) -> DecisionId {
        self.id
    }

    /// Yes or no.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The policies that determined the verdict: the permits of an allow, the forbids (or the failed ones) of a
    /// denial; empty when nothing permitted.
    pub fn policies(&self) -> &[Arc<str>] {
        &self.policies
    }

    /// Which policies, routes and settings decided.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The class of the reason.
    pub fn reason(&self) -> Reason {
        match &self.verdict {
            Verdict::Allow(_) if self.audited.is_some() => Reason::Audited,
            Verdict::Allow(_) => Reason::Permitted,
            Verdict::Deny(denial) => denial.reason,
        }
    }

    /// What policies said, of an allow that is one only because they are audited.
    pub fn audited(&self) -> Option<&Audited> {
        self.audited.as_deref()
    }

    /// True for an allow.
    pub fn is_allow(&self) -> bool {
        matches!(self.verdict, Verdict::Allow(_))
    }
}

/// A random name for one decision (UUID version 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecisionId(uuid::Uuid);

impl DecisionId {
    fn new() -> Self {
        Self(uuid::Uuid::new_v4())
    }

    /// A number from 0 to below 1 that is different for each decision and the same for everybody: for taking samples.
    pub fn lot(self) -> f64 {
        // The first 48 bits of a UUID of version 4 are random.
        (self.0.as_u128() >> 80) as f64 / (1u64 << 48) as f64
    }

    /// Writes the 36 characters of the id into `buffer`.
    pub fn encode(self, buffer: &mut [u8; 36]) -> &str {
        self.0.hyphenated().encode_lower(buffer)
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The version of the rules that made a decision: a digest over policies, schema, routes and settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub Arc<str>);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The ingress contracts, one per kind of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Contract {
    /// Envoy `ext_authz` over gRPC (`envoy.service.auth.v3.Authorization/Check`); Istio and Envoy Gateway use it too.
    EnvoyGrpc = 0,
    /// Envoy `ext_authz` over HTTP; Istio's and Envoy Gateway's HTTP providers use it too.
    EnvoyHttp = 1,
    /// APISIX `forward-auth`.
    Apisix = 2,
    /// nginx `auth_request`, ingress-nginx `auth-url`.
    Nginx = 3,
    /// Traefik `ForwardAuth`.
    Traefik = 4,
    /// Caddy `forward_auth`.
    Caddy = 5,
    /// HAProxy with the script in `deploy/haproxy`.
    Haproxy = 6,
    /// No proxy at all: a question from the command line.
    Direct = 7,
    /// APISIX `opa`.
    ApisixOpa = 8,
    /// Kong `opa`.
    KongOpa = 9,
    /// No proxy: somebody asks the house itself (administration, token exchange, network mode).
    House = 10,
}

impl Contract {
    /// How many contracts there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every contract, by its number.
    pub const ALL: [Self; 11] = [
        Self::EnvoyGrpc,
        Self::EnvoyHttp,
        Self::Apisix,
        Self::Nginx,
        Self::Traefik,
        Self::Caddy,
        Self::Haproxy,
        Self::Direct,
        Self::ApisixOpa,
        Self::KongOpa,
        Self::House,
    ];

    /// True if the proxy itself says whom it is connected to, beside the `X-Forwarded-For` of its client: that address is
    /// then the last entry of the list.
    pub fn states_peer(self) -> bool {
        !matches!(
            self,
            Self::EnvoyGrpc | Self::EnvoyHttp | Self::Direct | Self::House
        )
    }

    /// The name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EnvoyGrpc => "envoy_grpc",
            Self::EnvoyHttp => "envoy_http",
            Self::Apisix => "apisix",
            Self::Nginx => "nginx",
            Self::Traefik => "traefik",
            Self::Caddy => "caddy",
            Self::Haproxy => "haproxy",
            Self::Direct => "direct",
            Self::ApisixOpa => "apisix_opa",
            Self::KongOpa => "kong_opa",
            Self::House => "house",
        }
    }
}
