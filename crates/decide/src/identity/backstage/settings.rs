//! Backstage's own configuration of service tokens, pasted below `backstage.backend`.
//!
//! Entries are kept as they were written, because what is wrong with them is said in Backstage's words (see `fault`);
//! `entries` reads them. What is printed of them has no secrets.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::limited::LimitedUserSettings;
use super::plugins::PluginSettings;

/// Members whose values may be printed; everything else may be a secret, or a secret with a misspelt name.
const SHOWN: [&str; 11] = [
    "type",
    "subject",
    "url",
    "issuer",
    "audience",
    "algorithm",
    "subjectPrefix",
    "claims",
    "accessRestrictions",
    "plugin",
    "permission",
];

/// Backstage's service-to-service tokens: `backend.auth` of its `app-config.yaml`, pasted as it is.
///
/// Stricter than Backstage: every JWT must have `exp`, an empty limit is an error instead of no limit, unknown options are
/// errors, and short secrets are refused. Tokens count in the `Authorization` header only, but those of `limited_users`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackstageSettings {
    /// Short name in ids: `Robot::"backstage/external:ci"`. Default: `backstage`
    #[serde(default = "default_name")]
    pub name: String,
    /// `backend` of Backstage's configuration, as it stands there. Only `auth.externalAccess` and `auth.keys` are read.
    pub backend: Backend,
    /// Plugins whose own tokens are accepted, where requests from plugin to plugin come by here, too. Without any they are
    /// refused.
    #[serde(default)]
    pub plugins: Vec<PluginSettings>,
    /// Users by the limited tokens that Backstage puts into a cookie. They are `User`s of `name`; without this, such tokens are
    /// refused.
    #[serde(default)]
    pub limited_users: Option<LimitedUserSettings>,
}

/// The part `backend` of Backstage's configuration.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct Backend {
    /// Who may call; everything else in `backend` is ignored.
    #[serde(default)]
    pub auth: BackendAuth,
}

/// The part `backend.auth` of Backstage's configuration.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendAuth {
    /// The old form: secrets of legacy tokens, for callers with the subject `external:backstage-plugin`.
    #[serde(default)]
    pub keys: Vec<OldKey>,
    /// Callers from outside, in the order in which they are asked; the first that accepts a token decides.
    #[serde(default)]
    pub external_access: Vec<ExternalAccess>,
}

/// An entry of `externalAccess`, as written.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct ExternalAccess(pub(super) Map<String, Value>);

/// An entry of `keys`, as written.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct OldKey(pub(super) Map<String, Value>);

fn default_name() -> String {
    "backstage".to_owned()
}

impl BackstageSettings {
    /// The entries as JSON, with their secrets: to be compared, never to be shown.
    pub(in crate::identity) fn unredacted(&self) -> Vec<String> {
        let BackendAuth {
            keys,
            external_access,
        } = &self.backend.auth;
        let keys = keys.iter().map(|key| &key.0);
        let entries = keys.chain(external_access.iter().map(|entry| &entry.0));
        entries
            .filter_map(|entry| serde_json::to_string(entry).ok())
            .collect()
    }
}

impl fmt::Debug for ExternalAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Redacted(&self.0).fmt(f)
    }
}

impl fmt::Debug for OldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Redacted(&self.0).fmt(f)
    }
}

/// The members of an entry without what may be a secret.
struct Redacted<'v>(&'v Map<String, Value>);

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_map();
        for (name, value) in self.0 {
            match value {
                Value::Object(options) if name == "options" => shown.entry(name, &Redacted(options)),
                value if SHOWN.contains(&name.as_str()) => shown.entry(name, value),
                _ => shown.entry(name, &format_args!("[REDACTED]")),
            };
        }
        shown.finish()
    }
}

/// For editors: nothing here is refused that `entries` has words for.
impl JsonSchema for ExternalAccess {
    fn schema_name() -> Cow<'static, str> {
        "ExternalAccess".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A caller from outside, in Backstage's words.",
            "type": "object",
            "properties": {
                "type": {
                    "description": "`static`: a token that the configuration knows. `legacy`: tokens signed with a shared \
                        secret (HS256). `jwks`: JWTs by the keys at a URL.",
                    "examples": ["static", "legacy", "jwks"]
                },
                "options": {
                    "description": "What there is to say of that type.",
                    "properties": {
                        "token": {
                            "writeOnly": true,
                            "description": "static: the token, at least 8 characters and better 16 or more without blanks. \
                                Use `${NAME}` or `$file`."
                        },
                        "secret": {
                            "writeOnly": true,
                            "description": "legacy: the secret in base64, at least 16 bytes and better 32 or more. Use \
                                `${NAME}` or `$file`."
                        },
                        "subject": {
                            "description": "static and legacy: who the caller is; the id is `<name>/<subject>`."
                        },
                        "url": {
                            "description": "jwks: where the keys are; `https`, or `http` on this very host."
                        },
                        "issuer": {
                            "description": "jwks: the accepted `iss`, one or a list. Without it, any: then tokens of later \
                                entries wait for these keys, too, and while there are none, a later entry may accept what \
                                this one would restrict."
                        },
                        "audience": {
                            "description": "jwks: the accepted `aud`, one or a list. Without it, any: then tokens for every \
                                other service of that issuer are good here, too."
                        },
                        "algorithm": {
                            "description": "jwks: the accepted algorithms, one or a list. Without it RS256, PS256, ES256, \
                                ES384 and EdDSA."
                        },
                        "subjectPrefix": {
                            "description": "jwks: the subject becomes `external:<prefix>:<sub>` instead of `external:<sub>`."
                        },
                        "claims": {
                            "description": "jwks: claims that the token must have, each with one of the values."
                        }
                    }
                },
                "accessRestrictions": {
                    "description": "What the caller may do: plugins, each with permissions and actions, which become tags of \
                        the principal. Without it, everything; an empty list is refused.",
                    "examples": [[{
                        "plugin": "catalog",
                        "permission": "catalog.entity.read",
                        "permissionAttribute": { "action": "read" }
                    }]]
                }
            }
        })
    }
}

/// As for [`ExternalAccess`].
impl JsonSchema for OldKey {
    fn schema_name() -> Cow<'static, str> {
        "OldKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A secret of legacy tokens, in the old form.",
            "type": "object",
            "properties": {
                "secret": {
                    "writeOnly": true,
                    "description": "The secret in base64, at least 16 bytes and better 32 or more. Use `${NAME}` or `$file`."
                }
            }
        })
    }
}
