//! What a suite says, as its author writes it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Questions about the rules of a pack, with the answers that are right. `None` for entries that cannot be read, which is a
/// problem already.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Suite {
    /// The clock of this suite, such as `2026-01-15T12:00:00Z`. Default: `2026-01-01T00:00:00Z`
    #[serde(default)]
    pub(super) now: Option<String>,
    /// The host of requests that name none. Default: `api.example.test`
    #[serde(default)]
    pub(super) host: Option<String>,
    /// Who asks, by a name of your choice. `anonymous` always exists.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Person>")]
    pub(super) principals: BTreeMap<String, Option<Person>>,
    /// One question each.
    #[serde(default)]
    #[schemars(with = "Vec<Test>")]
    pub(super) tests: Vec<Option<Test>>,
    /// Many principals with many requests each.
    #[serde(default)]
    #[schemars(with = "Vec<Grid>")]
    pub(super) matrix: Vec<Option<Grid>>,
}

/// Somebody: by attributes (`user`, `robot` or `client`), or by the claims of a token (`issuer` and `claims`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    /// A person, by the id that policies see: `main/alice`
    #[serde(default)]
    pub(super) user: Option<String>,
    /// A non-human account, by the id that policies see: `main/service-account-backup`
    #[serde(default)]
    pub(super) robot: Option<String>,
    /// Alone: an OAuth client acting for itself, by the id that policies see (`main/portal`). With `user` or `robot`: the
    /// client that its token was issued to (`portal`).
    #[serde(default)]
    pub(super) client: Option<String>,
    /// Its name for humans.
    #[serde(default)]
    pub(super) name: Option<String>,
    /// Its groups, as the issuer names them.
    #[serde(default)]
    pub(super) groups: Vec<String>,
    /// Its roles by client.
    #[serde(default)]
    pub(super) roles: BTreeMap<String, Vec<String>>,
    /// The scopes of its token.
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    /// Whom its token is for.
    #[serde(default)]
    pub(super) audiences: Vec<String>,
    /// The clients that act for it, the outermost first.
    #[serde(default)]
    pub(super) actors: Vec<String>,
    /// The short name of the issuer of its token.
    #[serde(default)]
    pub(super) issuer: Option<String>,
    /// The claims of its token. `iss`, `aud`, `iat` and `exp` are filled in where they are absent.
    #[serde(default)]
    pub(super) claims: Option<Map<String, Value>>,
    /// Members of the token's JOSE header, if they matter.
    #[serde(default)]
    pub(super) header: Option<Map<String, Value>>,
}

/// One question with its answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    /// Its name, unique in the pack.
    pub(super) id: String,
    /// What it shows.
    #[serde(default)]
    pub(super) why: Option<String>,
    /// Who asks: a name of `principals`, or `anonymous`.
    #[serde(rename = "as")]
    pub(super) who: String,
    /// Method and URL: `GET /workspaces/ws-alice`, or with a host `GET https://api.example.test/workspaces`
    pub(super) request: String,
    /// Request headers: a text, or a list of texts for several headers of one name.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Value>,
    /// The body of the request.
    #[serde(default)]
    pub(super) body: Option<String>,
    /// The proxy's contract that it comes through, such as `envoy_grpc`. Default: `direct`
    #[serde(default)]
    pub(super) contract: Option<String>,
    /// The IP address of who is connected to the proxy.
    #[serde(default)]
    pub(super) address: Option<String>,
    /// The right answer.
    pub(super) expect: Expect,
    /// The HTTP status of the denial.
    #[serde(default)]
    pub(super) status: Option<u16>,
    /// The class of the reason, such as `no_permit`.
    #[serde(default)]
    pub(super) reason: Option<String>,
    /// What the caller gets to read with the denial.
    #[serde(default)]
    pub(super) says: Option<String>,
    /// The policies that determine the answer: all of them, in any order.
    #[serde(default)]
    pub(super) policies: Option<Vec<String>>,
    /// The route that matches, as `portcullis validate` prints it.
    #[serde(default)]
    pub(super) route: Option<String>,
    /// Identity headers that the upstream gets, with their values.
    #[serde(default)]
    pub(super) set: BTreeMap<String, String>,
    /// Identity headers that the upstream does not get, whatever the client sent.
    #[serde(default)]
    pub(super) unset: Vec<String>,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Expect {
    /// The request passes.
    Allow,
    /// It does not.
    Deny,
}

/// Each of some principals with each of some requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Grid {
    /// Its name, unique in the pack.
    pub(super) id: String,
    /// What it shows.
    #[serde(default)]
    pub(super) why: Option<String>,
    /// Who asks: names of `principals`, or `anonymous`.
    #[serde(rename = "as")]
    pub(super) who: Vec<String>,
    /// What each of them asks for, written as in `tests`.
    pub(super) requests: Vec<String>,
    /// Which of the requests pass, by principal. Whatever is not listed must be denied.
    #[serde(default)]
    pub(super) allow: BTreeMap<String, Vec<String>>,
}

impl Expect {
    /// The word of the answer.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}
