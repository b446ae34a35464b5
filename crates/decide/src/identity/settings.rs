//! What is configured per issuer of JWTs.

mod validate;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::algorithm::Algorithm;
use super::credentials::Place;
use super::mapping::{ClaimMapping, ClaimPath};

pub(crate) use self::validate::short_name;
pub(super) use self::validate::{acceptable_url, canonical_base, validate};

/// An issuer of JWTs whose access tokens are accepted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// Short name of the issuer: lower-case letters, digits and `-`. It is part of every id in the policies
    /// (`User::"main/…"`), so changing it changes who everybody is.
    pub name: String,
    /// The issuer exactly as it stands in `iss` of its tokens: a slash more or less is another issuer. `https`, or `http`
    /// on this very host; with `hmac_secrets` any text.
    pub issuer: String,
    /// Where the issuer publishes its keys: a URL, or several of which the first that answers with keys counts. By default
    /// this is looked up at `<issuer>/.well-known/openid-configuration`; a `jwks_uri` found there must have the scheme, host
    /// and port of the issuer, so an issuer that keeps its keys elsewhere needs this setting.
    #[serde(default)]
    pub jwks_uri: Option<OneOrMany>,
    /// A file with the issuer's keys (a JWK set), instead of a URL. It is read again at every refresh.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// Secrets that the issuer signs with by HMAC, instead of keys: each of at least 32 bytes. Whoever knows one can sign as
    /// the issuer. Use `${NAME}` or `$file`. Several are for rotation.
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("writeOnly" = true))]
    pub hmac_secrets: Vec<SecretString>,
    /// The names we go by in `aud`. A token must be meant for one of them, exactly.
    pub audiences: Vec<String>,
    /// Whether a token for everybody is for us: `https://wlcg.cern.ch/jwt/v1/any` (profile `wlcg`) or `ANY` (profile
    /// `scitokens`). Default: `accept`, as both profiles demand; other profiles have no such value.
    #[serde(default)]
    pub any_audience: Option<AnyAudience>,
    /// Signature algorithms this issuer uses. Default: RS256, PS256, ES256, ES384 and EdDSA; HS256 with `hmac_secrets`.
    #[serde(default)]
    pub algorithms: Option<Vec<Algorithm>>,
    /// Whether a token must name its key. Without a name the issuer must have exactly one key for the algorithm.
    /// Default: `required`
    #[serde(default)]
    pub kid: KidRule,
    /// Media types that a token's header may name in `typ`, `absent` for none. Default: `[JWT, at+jwt, absent]`; for the
    /// profile `backstage` `[vnd.backstage.user]`. A type that is listed here and is not `JWT` marks an access token.
    #[serde(default)]
    pub types: Option<Vec<String>>,
    /// Claims that a token must have besides `iss`, `sub`, `aud` and `exp`: names, or JSON pointers (`/realm/name`).
    #[serde(default)]
    pub required_claims: Vec<ClaimPath>,
    /// The longest life of a token, from `iat` to `exp`, in seconds; one without `iat` is refused then. Default: no limit;
    /// for the profile `wlcg` 21600.
    #[serde(default)]
    pub max_lifetime_seconds: Option<u64>,
    /// How the claims of this issuer are to be read.
    #[serde(default)]
    pub profile: Profile,
    /// Where claims are, if not where the profile looks.
    #[serde(default)]
    pub claims: ClaimMapping,
    /// Whether roles in this issuer's tokens (`resource_access`) count. Every administrator of the issuer can then
    /// give every role.
    #[serde(default)]
    pub trust_roles: bool,
    /// Whether a member of the group `a/b` is also one of `a`. Never so for the profile `wlcg`.
    #[serde(default)]
    pub group_hierarchy: GroupHierarchy,
    /// Who acts for the subject of a token. Each actor must be allowed, too: `Actor::"<name>/<client>"`.
    #[serde(default)]
    pub actor: ActorRule,
    /// The path that capabilities of this issuer's tokens are relative to (profiles `wlcg` and `scitokens`): with `/vo`
    /// the scope `storage.read:/f` is about `/vo/f`. Default: `/`
    #[serde(default)]
    pub base_path: Option<String>,
    /// Where tokens of this issuer may be. Default: `[bearer]`, the `Authorization` header.
    #[serde(default = "bearer")]
    pub credentials: Vec<Place>,
    /// By how many seconds the issuer's clock may differ from ours. At most 300. Default: 30; for `exp` of the profile
    /// `wlcg` 0.
    #[serde(default)]
    pub leeway_seconds: Option<u64>,
    /// After how many seconds keys are fetched again. A key that the issuer withdraws works for at most that long, as
    /// long as it publishes another one: a set without any usable key is taken for a failure.
    #[serde(default = "seconds::<300>")]
    pub refresh_seconds: u64,
    /// Seconds that must pass between two fetches, failed ones included, however many unknown keys tokens name.
    #[serde(default = "seconds::<10>")]
    pub min_refresh_interval_seconds: u64,
    /// For how many seconds the last good keys are used while the issuer cannot be reached. After that every token of
    /// the issuer is refused.
    #[serde(default = "seconds::<3600>")]
    pub max_stale_seconds: u64,
}

/// How claims become a principal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Keycloak: the claim `typ` is `Bearer`, service accounts are robots, groups are paths.
    #[default]
    Keycloak,
    /// Any other provider: a token whose subject is its own client (`client_id`, else `azp`) is a client acting for
    /// itself, every other one a user. It must be marked as an access token: by the type `at+jwt`, or by `client_id` or
    /// `scope`; ID tokens are refused. Groups come from `groups`.
    Oidc,
    /// WLCG Common JWT Profile 1.x: capabilities in `scope`, else groups in `wlcg.groups`; a token whose subject is its
    /// `client_id` is a client, one whose subject is `host:…` with the scope `host.auth` a robot.
    Wlcg,
    /// SciTokens 2.x: capabilities in `scope`.
    Scitokens,
    /// Backstage's user tokens: the subject is an entity reference, groups are those it is owned by (`ent`).
    Backstage,
}

/// One text or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several, in the order in which they are tried.
    Many(Vec<String>),
}

/// Whether a token for everybody is for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnyAudience {
    /// It is.
    Accept,
    /// It is not: a token must name us.
    Refuse,
}

/// Whether a token must name its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KidRule {
    /// A token without `kid` is refused.
    #[default]
    Required,
    /// A token without `kid` is verified with the issuer's only key for its algorithm.
    Optional,
}

/// Whether groups are in groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupHierarchy {
    /// A group is a name and no more.
    #[default]
    Flat,
    /// A member of `a/b` is a member of `a`.
    Nested,
}

/// Who acts for the subject of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorRule {
    /// Whom the token names as actor (`act`, RFC 8693 section 4.1), and the client of a Keycloak token that was
    /// exchanged or made from an offline token.
    #[default]
    Delegated,
    /// The client (`azp`) of every user's token as well.
    Azp,
}

impl IssuerSettings {
    /// The signature algorithms, also where nothing is said.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        match &self.algorithms {
            Some(algorithms) => algorithms.clone(),
            None if self.hmac_secrets.is_empty() => Algorithm::ASYMMETRIC.to_vec(),
            None => vec![Algorithm::Hs256],
        }
    }

    /// The URLs of the keys, if they are configured.
    pub(super) fn jwks_uris(&self) -> Option<Vec<String>> {
        self.jwks_uri.as_ref().map(|uri| match uri {
            OneOrMany::One(one) => vec![one.clone()],
            OneOrMany::Many(many) => many.clone(),
        })
    }

    pub(super) fn pace(&self) -> super::keys::Pace {
        super::keys::Pace {
            refresh: Duration::from_secs(self.refresh_seconds),
            cool_down: Duration::from_secs(self.min_refresh_interval_seconds),
            max_stale: Duration::from_secs(self.max_stale_seconds),
            patience: Duration::from_secs(5),
        }
    }
}

pub(super) fn bearer() -> Vec<Place> {
    vec![Place::Bearer]
}

fn seconds<const N: u64>() -> u64 {
    N
}

#[cfg(test)]
mod tests;
