//! Magpie's part of the configuration.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// Magpie's services, resources, groups and permissions. Routes with `magpie` are asked there, and policies see the answer as
/// `context.magpie`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MagpieSettings {
    /// Files in the forms of Magpie's `providers.cfg`, `permissions.cfg` and `config.yml`; a folder stands for all `*.cfg`,
    /// `*.yml`, `*.yaml` and `*.json` in it. Their order counts only for permissions that are created and removed again.
    pub files: Vec<PathBuf>,
    /// Whose users are Magpie's. Everybody else is in the group `anonymous` and nothing more. Default: nobody's
    #[serde(default)]
    pub users: Vec<MagpieUserSettings>,
}

/// An issuer whose users are Magpie's. Two issuers should not both be in the list unless a name means the same person with
/// both.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MagpieUserSettings {
    /// The issuer's short name. Example: `main`
    pub issuer: String,
    /// What of a token is the user's name in Magpie. Default: `subject`
    #[serde(default)]
    pub user_name: UserName,
    /// Whether the groups of a token are Magpie's groups of the same names, `administrators` among them, who may do
    /// everything. Otherwise only the groups count that files say of a user. Default: `false`
    #[serde(default)]
    pub groups: bool,
    /// Whether accounts that are no persons' (`Robot`) can be users, too. Clients that act for themselves never are.
    /// Default: `false`
    #[serde(default)]
    pub robots: bool,
}

/// What of a token is the name of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserName {
    /// The subject as the issuer says it (`sub`).
    #[default]
    Subject,
    /// The name for humans (`preferred_username`). Only where nobody can choose a name that somebody else has or had.
    Name,
}

/// Which service of Magpie's a route is for. Example: `{service: "{service}"}` for the path `/ows/proxy/{service}/{rest..}`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MagpieRouteSettings {
    /// The service's name; may contain `{name}` of the path and host patterns. A request for one that no file has is
    /// answered with 404.
    pub service: String,
    /// The path below the service's own, in the same way. Default: what the `{name..}` at the end of the path pattern stands for
    #[serde(default)]
    pub below: Option<String>,
}
