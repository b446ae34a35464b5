//! What of the configuration decides: issuers, actions, routes, and what policies get to see.
//!
//! Each part is written where it is used; this is the sum. The server adds listeners, files and logs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::certificate::ClientCertificateSettings;
use crate::denials::DenialSettings;
use crate::identity::IdentitySettings;
use crate::magpie::MagpieSettings;
use crate::policy::EngineSettings;
use crate::routes::{EntitySettings, RouteSettings};
use crate::steps::Every;
use crate::upstream_paths::UpstreamPathSettings;

/// The settings of the judgement.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct Settings {
    /// Whose credentials are believed.
    #[serde(flatten)]
    pub identity: IdentitySettings,
    /// Action groups: a name and its members, which are methods or named operations of routes.
    /// Default: `read` (GET, HEAD, OPTIONS) and `write` (POST, PUT, PATCH, DELETE).
    #[serde(default = "default_actions")]
    pub actions: BTreeMap<String, Vec<String>>,
    /// What can be asked for. A request that no route matches is denied.
    #[serde(default)]
    pub routes: Vec<RouteSettings>,
    /// TCP connections that can be asked for (Envoy's network filter, Istio on TCP ports), judged by the peer's
    /// certificate; the action is `tcp.connect`.
    #[serde(default)]
    pub tcp: Vec<TcpRouteSettings>,
    /// Whose client certificates are believed, verified by the proxy or by one in front of it. Needed with `tcp`.
    #[serde(default)]
    pub client_certificates: Option<ClientCertificateSettings>,
    /// Magpie's services and permissions, which routes with `magpie` ask. Default: none
    #[serde(default)]
    pub magpie: Option<MagpieSettings>,
    /// Parts of the request that policies may look at, as optional attributes of `context`. A route can say otherwise in its
    /// own `expose`.
    #[serde(default)]
    pub expose: Expose,
    /// Headers that tell the upstream who asks. On every allow each of them is set or removed, whatever the client
    /// sent. Example: `x-auth-subject: subject`
    #[serde(default)]
    pub identity_headers: BTreeMap<String, IdentityValue>,
    /// Upstreams that take two paths for one, because they ignore letter case or a slash at the end. Default: none does.
    #[serde(default)]
    pub upstream_paths: Vec<UpstreamPathSettings>,
    /// What happens to a request with a header that makes some frameworks take it for one with another method
    /// (`X-HTTP-Method-Override`, `X-HTTP-Method`, `X-Method-Override`). Default: `refuse`
    #[serde(default)]
    pub method_override: OnReserved,
    /// What happens to a request with a header that makes some frameworks take it for one with another path or host
    /// (`X-Rewrite-URL`, `X-Override-URL`, `X-Forwarded-Path`, `X-Forwarded-Prefix`, `X-Host`, `X-HTTP-Host-Override`).
    /// With `refuse`, `X-Original-URL`, `-URI` and `-Method` and `X-Forwarded-Uri` and `-Method`, by which proxies ask,
    /// are besides removed from what passes, where the proxy can remove headers (Envoy). Default: `refuse`
    #[serde(default)]
    pub url_override: OnReserved,
    /// What happens to a request with a header that some frameworks take for one that only proxies may set, because it has
    /// `_`, `.` or the like instead of `-` (`X_Forwarded_Proto`, `Remote_User`). Spellings of identity headers of your own
    /// never pass. Default: `refuse`
    #[serde(default)]
    pub header_aliases: OnReserved,
    /// Whether what policies deny is denied. Routes may say otherwise for themselves. Default: `enforce`
    #[serde(default)]
    pub mode: Mode,
    /// Whether a CORS preflight (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) passes for routes that
    /// exist. It carries no credentials. Default: `deny`
    #[serde(default)]
    pub cors_preflight: CorsPreflight,
    /// How many proxies in front append to `X-Forwarded-For`: the client's address is taken that many entries from the
    /// right. 0: the address of the connection. Default: 0
    #[serde(default)]
    pub trusted_hops: u8,
    /// How denials look to the caller, where no route and no policy says it. Default: one plain line
    #[serde(default)]
    pub denials: DenialSettings,
    /// In one of how many checks of a thread the steps are measured one by one, for metrics, decision records and traces; 0
    /// for none. Each look at the clock costs a little. Default: 16
    #[serde(default)]
    pub measure_steps_every: Every,
    /// How policies are evaluated: `policies.engine` and `policies.self_check_every`.
    #[serde(skip)]
    pub engine: EngineSettings,
}

/// One TCP destination.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpRouteSettings {
    /// The destination port this is about. Empty: any port.
    #[serde(default)]
    pub destination_port: Option<u16>,
    /// The entity that a connection asks for; its id is taken as it stands.
    pub resource: EntitySettings,
}

/// What policies may look at beyond method, host and path.
///
/// A part that some policy looks at and that is there but cannot be read in one way only (a header twice, a parameter
/// twice, a body that is not a JSON object) makes the answer a denial: taken for absent, it would evade forbids.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expose {
    /// Request headers, in lower case: `context.headers has "x-tier"`. Envoy joins a header that is there twice with a
    /// comma unless its `encode_raw_headers` is on; then two are seen as two.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Query parameters, decoded once: `context.query.page`.
    #[serde(default)]
    pub query: Vec<String>,
    /// Context extensions that the proxy's configuration sets: `context.extensions.tier`.
    #[serde(default)]
    pub extensions: Vec<String>,
    /// Strings of the proxy's dynamic metadata: `context.metadata.<name>`.
    #[serde(default)]
    pub metadata: BTreeMap<String, MetadataPath>,
    /// String members of a JSON body: `context.body.name`. Once a policy looks at it, a request with another kind of
    /// body is denied; so show it only on routes that take JSON (`routes[].expose`). They are absent where the proxy sent no
    /// body or cut it off; `context.body_truncated` tells the latter.
    #[serde(default)]
    pub body: Vec<String>,
}

impl Expose {
    /// Shows what `other` shows as well.
    pub(crate) fn add(&mut self, other: &Self) {
        let more = |own: &mut Vec<String>, other: &[String]| {
            for name in other {
                if !own.contains(name) {
                    own.push(name.clone());
                }
            }
        };
        more(&mut self.headers, &other.headers);
        more(&mut self.query, &other.query);
        more(&mut self.extensions, &other.extensions);
        more(&mut self.body, &other.body);
        self.metadata.extend(other.metadata.clone());
    }
}

/// Where a string is in the metadata of the proxy's filters.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetadataPath {
    /// Example: `envoy.filters.http.jwt_authn`
    pub namespace: String,
    /// Member names from the outside in.
    pub path: Vec<Box<str>>,
}

/// What an identity header carries.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityValue {
    /// The principal's id with the issuer's short name: `main/7d2f…`
    Principal,
    /// `User`, `Client`, `Robot` or `Anonymous`.
    Type,
    /// The subject as the issuer says it.
    Subject,
    /// The issuer's short name.
    Issuer,
    /// The name for humans.
    Name,
    /// The OAuth client the token was issued to.
    Client,
    /// The groups, separated by commas.
    Groups,
    /// The scopes, separated by blanks.
    Scopes,
    /// Who acts for the principal: `main/<client>`, the outermost actor first, separated by commas.
    Actor,
    /// A text with any of these in braces, `{resource.<attribute>}` of what is asked for, and `{claims.<claim>}` of a JWT (a
    /// name or a JSON pointer). The header is set only if all of them are there. Characters that are between two of them in the
    /// template, and are neither letters nor digits, are percent-encoded inside them. Example: `template: "{issuer}:{claims./email}"`
    Template(String),
}

/// What happens to a request with a header by which an upstream may see another request than the one that is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnReserved {
    /// It is refused: the upstream may do something else than what was asked about.
    #[default]
    Refuse,
    /// It is judged as if the header were not there; for upstreams that do not look at it.
    Ignore,
}

/// Whether what policies deny is denied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It is.
    #[default]
    Enforce,
    /// It passes, and is recorded with what would have been the answer: for trying policies on real traffic. Bad credentials,
    /// paths and headers that are refused, and requests without a route are denied all the same.
    Audit,
}

/// What happens to a CORS preflight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CorsPreflight {
    /// It is judged like every other request.
    #[default]
    Deny,
    /// It asks for the action `cors.preflight` on the route of the method it announces, which a built-in policy permits.
    Allow,
}

/// `read` and `write`.
pub fn default_actions() -> BTreeMap<String, Vec<String>> {
    let group =
        |name: &str, members: &[&str]| (name.to_owned(), members.iter().map(|m| (*m).to_owned()).collect());
    BTreeMap::from([
        group("read", &["GET", "HEAD", "OPTIONS"]),
        group("write", &["POST", "PUT", "PATCH", "DELETE"]),
    ])
}
