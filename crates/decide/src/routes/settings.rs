//! Routes as the configuration writes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::magpie::MagpieRouteSettings;
use crate::settings::{Expose, Mode};

/// One route: which requests it matches, and what they are in the words of the policies.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// Path pattern. `{name}` stands for exactly one segment that is not empty, `{name..}` at the end for all that
    /// remains (nothing, a trailing slash, or any number of segments). Everything else is compared byte for byte with
    /// the canonical path. Example: `/workspaces/{workspace}/{rest..}`. A segment may also have text and captures in it, such
    /// as `{workspace..}.{collection}`; there each takes as little as lets the rest match, at least one character, or with
    /// two dots also none.
    pub path: String,
    /// Hosts this route is for, in lower case, without port. Empty: any host. A label may have captures in it, which take
    /// characters of that label only, as few as let the rest match: at least one, or with two dots also none. All hosts of a
    /// route capture the same names. Of several hosts that match a request, the exact one is asked first, then those with
    /// more literal text. Example: `editor-{workspace}-default{suffix..}.lab.example.org`
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Methods this route is for, case-sensitive. A method that no route of a path lists is denied.
    pub methods: Vec<String>,
    /// A named operation, such as `workspace.credentials.read`. Without it the method is the action.
    #[serde(default)]
    pub action: Option<String>,
    /// The entity that a matching request asks for.
    pub resource: ResourceSettings,
    /// `true`: EVERYBODY may pass, with or without a credential, as if a permit for all had been written (decisions name it
    /// `portcullis.public`). Forbids still apply, a credential that is refused is still refused, and identity headers are
    /// set or removed as always. Default: `false`
    #[serde(default)]
    pub public: bool,
    /// What policies may see of requests of this route, instead of what the global `expose` says; parts that are not named
    /// here stay as they are there. Example: `{body: [name]}`
    #[serde(default)]
    pub expose: Option<RouteExpose>,
    /// The path that capabilities in tokens (profiles `wlcg` and `scitokens`) are matched with, for `context.capabilities`.
    /// Default: `{path}`. Example for a storage below `/webdav`: `/{rest}`
    #[serde(default)]
    pub capability_path: Option<String>,
    /// Asks Magpie's permissions about every request of this route; policies see the answer as `context.magpie`.
    /// Example: `{service: "{service}"}` for the path `/ows/proxy/{service}/{rest..}`
    #[serde(default)]
    pub magpie: Option<MagpieRouteSettings>,
    /// Where COPY and MOVE of this route may put things. Needed on a route that lists one of them.
    #[serde(default)]
    pub destination: Option<DestinationSettings>,
    /// Whether what policies deny here is denied. Default: the `mode` of the server
    #[serde(default)]
    pub mode: Option<Mode>,
    /// How a denial looks to the caller when no policy says otherwise.
    #[serde(default)]
    pub on_deny: OnDeny,
    /// What to change on every allow.
    #[serde(default)]
    pub on_allow: OnAllow,
}

/// What the `Destination` of a COPY or MOVE may be (RFC 4918 section 10.3). One on the request's own host, or on another of
/// the route's `hosts`, is a second question: whether `Action::"COPY.destination"` is permitted on the resource of the route that it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DestinationSettings {
    /// It is there, and on the request's own host or another of `hosts`. A request with `Source` is denied.
    Local,
    /// The same, or on another host (so `hosts` must have every name of this server), or it is missing and a `Source` on another host is there instead: copies between two
    /// servers. Policies see which (`context.destination`, `context.source`), and nobody is asked about the other host. Only for
    /// upstreams that tell hosts apart.
    ThirdParty,
    /// The upstream does not look at it. It is not looked at here either.
    Ignore,
}

/// The Cedar entity of a route. Texts may contain `{name}` of the path and host patterns, `{host}` and `{path}`. What they stand
/// for is in the canonical form of the path: a blank is `%20`, other characters than ASCII are `%HH` in capitals.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceSettings {
    /// Entity type; the schema declares it. Example: `Workspace`
    #[serde(rename = "type")]
    pub kind: String,
    /// Entity id. Default: `{host}{path}`
    #[serde(default)]
    pub id: Option<String>,
    /// Attributes; the schema declares them. Example: `workspace: "{workspace}"`
    #[serde(default)]
    pub attributes: BTreeMap<String, AttributeSettings>,
    /// The entities that this one is `in`.
    #[serde(default, rename = "in")]
    pub ancestors: Vec<EntitySettings>,
}

/// The value of an attribute: a text, which may contain `{name}` of the path and host patterns, `{host}` and `{path}` (String), a number
/// (Long), `true` or `false` (Bool), a list of texts (a set of Strings), or an
/// entity: `{entity: {type: Workspace, id: "{workspace}"}}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AttributeSettings {
    /// A String.
    Text(String),
    /// A Bool.
    Boolean(bool),
    /// A Long.
    Number(i64),
    /// A set of Strings.
    Texts(Vec<String>),
    /// A reference to an entity.
    Entity(EntityReference),
}

/// An attribute that names an entity.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntityReference {
    /// The entity.
    pub entity: EntitySettings,
}

/// What policies may see of a route's requests. An empty list shows nothing of a part.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteExpose {
    /// Request headers, in lower case: `context.headers`.
    #[serde(default)]
    pub headers: Option<Vec<String>>,
    /// Query parameters: `context.query`.
    #[serde(default)]
    pub query: Option<Vec<String>>,
    /// Context extensions: `context.extensions`.
    #[serde(default)]
    pub extensions: Option<Vec<String>>,
    /// String members of a JSON body: `context.body`. Only on routes that show some, a body that cannot be read makes the
    /// answer a denial.
    #[serde(default)]
    pub body: Option<Vec<String>>,
}

impl RouteExpose {
    /// This over what holds for all routes.
    pub(crate) fn over(&self, global: &Expose) -> Expose {
        let part = |own: &Option<Vec<String>>, global: &Vec<String>| own.as_ref().unwrap_or(global).clone();
        Expose {
            headers: part(&self.headers, &global.headers),
            query: part(&self.query, &global.query),
            extensions: part(&self.extensions, &global.extensions),
            metadata: global.metadata.clone(),
            body: part(&self.body, &global.body),
        }
    }
}

/// A reference to an entity.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntitySettings {
    /// Entity type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Entity id; may contain `{name}` of the path and host patterns, `{host}` and `{path}`.
    pub id: String,
}

/// The answer to the caller when no policy permits. Forbids answer with their own `@status` and `@reason`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnDeny {
    /// HTTP status: a 4xx that proxies know. Default: 401 without a credential, 403 with one.
    #[serde(default)]
    pub status: Option<u16>,
    /// Where browsers log in: an absolute URL, in which `{url}` stands for the URL that was asked for, percent-encoded. A GET
    /// that takes HTML and would be answered with 401 is sent there, through every proxy but nginx (which has
    /// `error_page` and `auth-signin` for this). Example: `https://id.example.org/login?rd={url}`
    #[serde(default)]
    pub login: Option<String>,
    /// One line of text for the caller.
    #[serde(default)]
    pub reason: Option<String>,
    /// Response headers, each a pair of name and value; a name may come several times (`set-cookie`).
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// What to change when the request passes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnAllow {
    /// Headers to add to the client's response, each a pair of name and value.
    #[serde(default)]
    pub response_headers: Vec<(String, String)>,
    /// Query parameters to set on the upstream request, overwriting.
    #[serde(default)]
    pub set_query: BTreeMap<String, String>,
    /// Query parameters to remove from the upstream request, such as `access_token`.
    #[serde(default)]
    pub remove_query: Vec<String>,
}
