//! Where claims are, if not where a profile looks: configured paths, and how they are put in force.
//!
//! Before a profile reads a verified token, the claims that the settings place elsewhere are put where it looks
//! ([`ClaimMapping::apply`]). So a profile has one way to read, and a value from a configured place is checked as every
//! other one is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::PrincipalKind;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::claims::{Claims, fault};
use super::refusal::{ClaimFault, Quoted, TokenRefusal};
use super::settings::Profile;

/// The place of a claim: the name of a member, or a JSON pointer (RFC 6901) such as `/realm/name`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ClaimPath(String);

/// Where claims are, if not where the profile looks. A claim that is not where it is said to be is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimMapping {
    /// What tells users, clients and robots apart, instead of the profile's own rules.
    #[serde(default, rename = "type")]
    pub kind: Option<KindMapping>,
    /// The id within the issuer. Choose one that is never given to somebody else later. Default: `sub`
    #[serde(default)]
    pub id: Option<ClaimPath>,
    /// The name for humans. Default: `preferred_username`
    #[serde(default)]
    pub name: Option<ClaimPath>,
    /// The OAuth client that the token was issued to. Default: `azp` or `client_id`, as the profile says
    #[serde(default)]
    pub client: Option<ClaimPath>,
    /// Groups: an array of names. Default: `groups`, `wlcg.groups` or `ent`, as the profile says
    #[serde(default)]
    pub groups: Option<ClaimPath>,
    /// Roles: `{"<client>": {"roles": […]}}`, `{"<client>": […]}`, or an array, whose names become the tag `roles`. They
    /// count only with `trust_roles`. Default: `resource_access`
    #[serde(default)]
    pub roles: Option<ClaimPath>,
    /// Scopes: a text with blanks between them, or an array. Default: `scope`
    #[serde(default)]
    pub scopes: Option<ClaimPath>,
    /// Group entitlements (AARC-G069) such as `eduperson_entitlement`: a text or an array. They become groups, with those
    /// that they imply. Default: none are read.
    #[serde(default)]
    pub entitlements: Option<ClaimPath>,
    /// The client id of whoever acts for the subject. Default: `act` (RFC 8693 section 4.1)
    #[serde(default)]
    pub actor: Option<ClaimPath>,
}

/// What tells users, clients and robots apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KindMapping {
    /// The claim that says it: a text.
    #[serde(default)]
    pub claim: Option<ClaimPath>,
    /// What its values mean. Example: `{person: User, service: Robot}`
    #[serde(default)]
    pub values: BTreeMap<String, Kind>,
    /// What a token is that the claim, or without `claim` the profile, does not know. Default: it is refused.
    #[serde(default)]
    pub otherwise: Option<Kind>,
}

/// A kind of principal that a token can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Kind {
    /// A person.
    User,
    /// An OAuth client acting for itself.
    Client,
    /// A non-human account with an identity of its own.
    Robot,
}

/// How the kind of a principal is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KindRule {
    /// As the profile finds it, and what it does not know is refused, or of that kind.
    Profile(Option<PrincipalKind>),
    /// It is that.
    Said(PrincipalKind),
}

impl ClaimPath {
    /// A place as it is written.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The claim, if it is there.
    pub(super) fn find<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        let Some(pointer) = self.0.strip_prefix('/') else {
            return claims.get(&self.0);
        };
        let (first, rest) = pointer.split_at(pointer.find('/').unwrap_or(pointer.len()));
        claims
            .get(&first.replace("~1", "/").replace("~0", "~"))?
            .pointer(rest)
    }

    /// The path as it is written.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks the syntax.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn validate(&self) -> Result<(), &'static str> {
        match self.0.as_str() {
            "" => Err("the name of a claim is empty"),
            path if path.starts_with('/') && path.split('/').skip(1).any(str::is_empty) => {
                Err("the JSON pointer has an empty step")
            }
            path if path.chars().any(char::is_control) => Err("the name of a claim has a control character"),
            _ => Ok(()),
        }
    }
}

impl ClaimMapping {
    /// Every path that is wrong, by its field.
    pub(super) fn validate(&self) -> Vec<(&'static str, &'static str)> {
        let kind = self.kind.as_ref();
        let paths = [
            ("type/claim", kind.and_then(|kind| kind.claim.as_ref())),
            ("id", self.id.as_ref()),
            ("name", self.name.as_ref()),
            ("client", self.client.as_ref()),
            ("groups", self.groups.as_ref()),
            ("roles", self.roles.as_ref()),
            ("scopes", self.scopes.as_ref()),
            ("entitlements", self.entitlements.as_ref()),
            ("actor", self.actor.as_ref()),
        ];
        let wrong = paths
            .into_iter()
            .filter_map(|(field, path)| path?.validate().err().map(|why| (field, why)));
        let mut wrong: Vec<_> = wrong.collect();
        if kind.is_some_and(|kind| kind.claim.is_none() && !kind.values.is_empty()) {
            wrong.push(("type/values", "no `claim` says which claim has these values"));
        }
        if kind.is_some_and(|kind| kind.claim.is_some() && kind.values.is_empty()) {
            wrong.push(("type/claim", "no `values` say what the claim means"));
        }
        wrong
    }

    /// The claims, with each where the profile looks for it.
    pub(super) fn apply<'c>(
        &self,
        claims: &'c Map<String, Value>,
        profile: Profile,
    ) -> Cow<'c, Map<String, Value>> {
        let groups = match profile {
            Profile::Wlcg => "wlcg.groups",
            Profile::Backstage => "ent",
            Profile::Keycloak | Profile::Oidc | Profile::Scitokens => "groups",
        };
        let client = match profile {
            Profile::Keycloak | Profile::Backstage => "azp",
            Profile::Oidc | Profile::Wlcg | Profile::Scitokens => "client_id",
        };
        let mut mapped = Cow::Borrowed(claims);
        for (path, name) in [
            (&self.id, "sub"),
            (&self.name, "preferred_username"),
            (&self.client, client),
            (&self.groups, groups),
            (&self.roles, "resource_access"),
            (&self.scopes, "scope"),
            (&self.actor, "act"),
        ] {
            let Some(path) = path else { continue };
            match path.find(claims).cloned() {
                Some(client) if name == "act" => {
                    mapped.to_mut().insert(name.to_owned(), json!({"sub": client}));
                }
                Some(value) => {
                    let value = match name {
                        "scope" => joined(value),
                        "resource_access" => by_client(value),
                        _ => value,
                    };
                    mapped.to_mut().insert(name.to_owned(), value);
                }
                // Without the configured actor there may still be one in `act`.
                None if name == "act" => {}
                None => {
                    mapped.to_mut().remove(name);
                }
            }
        }
        if self.client.is_some() && client == "client_id" {
            // The two would otherwise have to agree.
            mapped.to_mut().remove("azp");
        }
        mapped
    }

    /// How the kind of the principal is found.
    ///
    /// # Errors
    /// [`TokenRefusal::Claim`] and [`TokenRefusal::UnknownType`] for a claim that does not say it.
    pub(super) fn kind(&self, claims: &Map<String, Value>) -> Result<KindRule, TokenRefusal> {
        let Some(kind) = &self.kind else {
            return Ok(KindRule::Profile(None));
        };
        let otherwise = kind.otherwise.map(PrincipalKind::from);
        let Some(path) = &kind.claim else {
            return Ok(KindRule::Profile(otherwise));
        };
        let value = match path.find(claims) {
            Some(Value::String(value)) => Some(value.as_str()),
            Some(_) => return Err(fault("type", ClaimFault::Not("a string"))),
            None => None,
        };
        let known = value.and_then(|value| kind.values.get(value));
        match known.copied().map(PrincipalKind::from).or(otherwise) {
            Some(kind) => Ok(KindRule::Said(kind)),
            None => Err(TokenRefusal::UnknownType {
                claim: path.as_str().to_owned(),
                value: value.map(Quoted::new),
            }),
        }
    }

    /// The entitlements, as texts.
    ///
    /// # Errors
    /// [`TokenRefusal::Claim`], when they are neither a text nor an array of texts.
    pub(super) fn entitlements<'c>(
        &self,
        claims: &'c Map<String, Value>,
    ) -> Result<Vec<&'c str>, TokenRefusal> {
        let Some(value) = self.entitlements.as_ref().and_then(|path| path.find(claims)) else {
            return Ok(Vec::new());
        };
        match value {
            Value::String(one) => Ok(vec![one]),
            many => super::claims::strings("entitlements", many),
        }
    }
}

impl KindRule {
    /// The kind, given what the profile found.
    ///
    /// # Errors
    /// The profile's, unless something else was said.
    pub(super) fn decide(
        self,
        found: impl FnOnce() -> Result<PrincipalKind, TokenRefusal>,
    ) -> Result<PrincipalKind, TokenRefusal> {
        match self {
            Self::Said(kind) => Ok(kind),
            Self::Profile(otherwise) => match (found(), otherwise) {
                (Err(TokenRefusal::Nobody), Some(kind)) => Ok(kind),
                (found, _) => found,
            },
        }
    }
}

impl From<Kind> for PrincipalKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::User => Self::User,
            Kind::Client => Self::Client,
            Kind::Robot => Self::Robot,
        }
    }
}

/// The claims at these places as text; those that are not there are left out.
///
/// # Errors
/// [`TokenRefusal::ExposedClaim`] for one that is no text, number or boolean: it would have many spellings.
pub(super) fn exposed(
    claims: &Map<String, Value>,
    paths: &[ClaimPath],
) -> Result<Vec<(String, String)>, TokenRefusal> {
    let mut found = Vec::with_capacity(paths.len());
    for path in paths {
        let text = match path.find(claims) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) if !text.chars().any(char::is_control) => text.clone(),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            Some(_) => return Err(TokenRefusal::ExposedClaim(path.as_str().to_owned())),
        };
        found.push((path.as_str().to_owned(), text));
    }
    Ok(found)
}

/// Roles as Keycloak writes them: an array becomes the roles of the client `roles`, and `{"<client>": […]}` gets its inner
/// objects.
fn by_client(roles: Value) -> Value {
    match roles {
        Value::Array(_) => json!({"roles": {"roles": roles}}),
        Value::Object(clients) => clients
            .into_iter()
            .map(|(client, roles)| match roles {
                Value::Array(_) => (client, json!({"roles": roles})),
                access => (client, access),
            })
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}

/// An array of scopes as the one text that `scope` is; everything else as it is.
fn joined(scopes: Value) -> Value {
    let texts = scopes.as_array().and_then(|entries| {
        let single = |entry: &Value| {
            entry
                .as_str()
                .filter(|scope| !scope.contains(' '))
                .map(str::to_owned)
        };
        entries.iter().map(single).collect::<Option<Vec<_>>>()
    });
    texts.map_or(scopes, |texts| texts.join(" ").into())
}

/// Checks that all of `required` are there, and not null.
///
/// # Errors
/// [`TokenRefusal::RequiredClaim`] naming the first that is not.
pub(super) fn check_required(claims: Claims<'_>, required: &[ClaimPath]) -> Result<(), TokenRefusal> {
    let missing = |path: &&ClaimPath| path.find(claims.0).is_none_or(Value::is_null);
    match required.iter().find(missing) {
        Some(path) => Err(TokenRefusal::RequiredClaim(path.as_str().to_owned())),
        None => Ok(()),
    }
}
