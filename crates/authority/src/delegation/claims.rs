//! What a delegated token says. Its verifier is in the crate `decide` (`identity/house_token.rs`).

use std::collections::BTreeMap;

use jwt_simple::claims::{Audiences, JWTClaims};
use jwt_simple::prelude::Duration;
use serde::Serialize;
use serde_json::Value;

use super::Grant;

/// The claims besides the registered ones (RFC 8693 section 4, RFC 9068 section 2.2).
#[derive(Clone, Serialize)]
pub(super) struct Delegated {
    client_id: String,
    azp: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    act: Value,
    /// What there is no registered claim for.
    portcullis: Private,
}

#[derive(Clone, Serialize)]
struct Private {
    user: User,
    /// All who act, the one who got the token first.
    actors: Vec<Actor>,
    /// As policies name the one who got the token: nobody else can renew it.
    holder: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspaces: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions: Option<Vec<String>>,
    origin: Origin,
    /// The `jti` of the first of all tokens that were renewed to become this one.
    chain: String,
    /// When that was issued.
    began: i64,
}

/// The user as their own token said.
#[derive(Clone, Serialize)]
struct User {
    issuer: String,
    kind: &'static str,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    roles: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    claims: BTreeMap<String, String>,
}

#[derive(Clone, Serialize)]
struct Actor {
    issuer: String,
    client: String,
}

/// The user's own token.
#[derive(Clone, Serialize)]
struct Origin {
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
}

/// The names and times of a token.
pub(super) struct Issue<'i> {
    pub(super) issuer: &'i str,
    pub(super) id: &'i str,
    pub(super) first_id: &'i str,
    pub(super) began_at: i64,
    pub(super) now: i64,
    pub(super) expires_at: i64,
}

/// All claims of a token.
pub(super) fn claims(grant: &Grant, issue: &Issue<'_>) -> JWTClaims<Delegated> {
    let time = |seconds: i64| Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
    let audiences = match grant.audiences.as_slice() {
        [one] => Audiences::AsString(one.clone()),
        several => Audiences::AsSet(several.iter().cloned().collect()),
    };
    JWTClaims {
        issued_at: time(issue.now),
        invalid_before: time(issue.now),
        expires_at: time(issue.expires_at),
        issuer: Some(issue.issuer.to_owned()),
        // The subject alone would be somebody else's at another issuer.
        subject: Some(grant.subject.id.clone()),
        audiences: Some(audiences),
        jwt_id: Some(issue.id.to_owned()),
        nonce: None,
        custom: Delegated {
            client_id: grant.actor.client.clone(),
            azp: grant.actor.client.clone(),
            scope: grant.scopes.join(" "),
            act: grant.act.clone(),
            portcullis: Private::new(grant, issue),
        },
    }
}

impl Private {
    fn new(grant: &Grant, issue: &Issue<'_>) -> Self {
        let subject = &grant.subject;
        let actors =
            std::iter::once(&grant.actor).chain(subject.actors.iter().filter(|it| **it != grant.actor));
        let actors = actors.map(|actor| Actor {
            issuer: actor.issuer.clone(),
            client: actor.client.clone(),
        });
        Self {
            user: User {
                issuer: subject.issuer.clone(),
                kind: subject.kind.as_str(),
                subject: subject.subject.clone(),
                name: subject.name.clone(),
                groups: subject.groups.clone(),
                roles: subject.roles.iter().cloned().collect(),
                claims: subject.claims.iter().cloned().collect(),
            },
            actors: actors.collect(),
            holder: grant.holder.clone(),
            workspaces: grant.workspaces.clone(),
            actions: grant.actions.clone(),
            origin: Origin {
                jti: grant.origin.token_id.clone(),
                iat: grant.origin.issued_at,
                client: grant.origin.client.clone(),
            },
            chain: issue.first_id.to_owned(),
            began: issue.began_at,
        }
    }
}
