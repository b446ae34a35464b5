//! Static opaque tokens: long random texts that the configuration knows, for programs that can do nothing better.
//!
//! Only digests are kept. A presented token is compared with all of them in constant time, so that neither its
//! characters nor its place in the list can be told from how long the answer takes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use model::{Principal, PrincipalKind};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::cache::Digest;
use super::claims::{MAX_ENTRIES, Registered, checked_name};
use super::credentials::Place;
use super::issuer::Proven;
use super::mapping::Kind;
use super::settings::{bearer, short_name};
use crate::problem::Problem;

/// Shortest token, in bytes.
const MIN_TOKEN_BYTES: usize = 16;

/// Static tokens and whose they are.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StaticTokenSettings {
    /// Short name in ids: `Robot::"static/ci"`. Default: `static`
    #[serde(default = "default_name")]
    pub name: String,
    /// Where the tokens may be. Default: `[bearer]`, the `Authorization` header.
    #[serde(default = "bearer")]
    pub credentials: Vec<Place>,
    /// The tokens.
    pub tokens: Vec<StaticToken>,
}

/// One static token and whose it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StaticToken {
    /// The token: at least 16 characters of visible ASCII. Use `${NAME}` or `$file`, and random tokens.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("writeOnly" = true))]
    pub token: Option<SecretString>,
    /// The SHA-256 of the token in hexadecimal digits, instead of the token: `printf %s "$TOKEN" | sha256sum`
    #[serde(default)]
    pub sha256: Option<String>,
    /// Whose it is: the id is `<name>/<subject>`.
    pub subject: String,
    /// What it is. Default: `Robot`
    #[serde(default = "robot", rename = "type")]
    pub kind: Kind,
    /// The groups it is in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Roles for each client, as Keycloak has them: they become tags.
    #[serde(default)]
    pub roles: BTreeMap<String, Vec<String>>,
    /// Its scopes.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// The tokens by digest, and what a bearer of each is.
#[derive(Debug)]
pub(super) struct StaticTokens {
    /// Where they may be.
    pub(super) places: Vec<Place>,
    /// The short name of whoever gave them.
    pub(super) name: String,
    digests: Vec<Digest>,
}

fn default_name() -> String {
    "static".to_owned()
}

fn robot() -> Kind {
    Kind::Robot
}

impl StaticTokens {
    /// Of validated settings; with each token's proof, in the order of [`StaticTokens::find`].
    pub(super) fn new(settings: &StaticTokenSettings) -> (Self, Vec<Proven>) {
        let known = settings.tokens.iter().filter_map(|token| {
            let digest = match (&token.token, &token.sha256) {
                (Some(token), _) => Digest::of(token.expose_secret()),
                (None, hex) => Digest::from_hex(hex.as_deref()?)?,
            };
            Some((digest, token.proven(&settings.name)))
        });
        let (digests, proofs) = known.unzip();
        let tokens = Self {
            places: settings.credentials.clone(),
            name: settings.name.clone(),
            digests,
        };
        (tokens, proofs)
    }

    /// The number of the token with that digest. Compares with all of them, whatever it finds.
    pub(super) fn find(&self, presented: &Digest) -> Option<usize> {
        let mut found = None;
        for (index, digest) in self.digests.iter().enumerate() {
            if is_same(digest, presented) {
                found = Some(index);
            }
        }
        found
    }
}

/// Compares in constant time.
pub(super) fn is_same(known: &Digest, presented: &Digest) -> bool {
    verify_slices_are_equal(known.as_bytes(), presented.as_bytes()).is_ok()
}

impl StaticToken {
    fn proven(&self, issuer: &str) -> Proven {
        let kind = PrincipalKind::from(self.kind);
        let roles = self
            .roles
            .iter()
            .map(|(client, roles)| (client.clone(), roles.clone()));
        Proven {
            principal: Arc::new(Principal {
                groups: self.groups.clone(),
                roles: roles.collect(),
                scopes: self.scopes.clone(),
                ..Principal::new(kind, issuer, &self.subject)
            }),
            registered: Registered::without_end(&self.subject),
            signed_with: None,
        }
    }
}

/// All problems of the setting `static_tokens`, at once.
pub(super) fn validate(settings: &StaticTokenSettings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |field: String, message: &str, help: &str| {
        problems.push(Problem::setting(format!("/static_tokens/{field}"), message, help));
    };
    if let Err(message) = short_name(&settings.name) {
        problem("name".to_owned(), message, "for example `static`");
    }
    if settings.credentials.is_empty() {
        problem(
            "credentials".to_owned(),
            "tokens that may be nowhere are never found",
            "leave it out for the Authorization header",
        );
    }
    for (index, place) in settings.credentials.iter().enumerate() {
        if let Err((message, help)) = place.validate() {
            problem(format!("credentials/{index}"), message, help);
        }
    }
    let (mut subjects, mut digests) = (HashSet::new(), HashSet::new());
    for (index, token) in settings.tokens.iter().enumerate() {
        let field = |name: &str| format!("tokens/{index}/{name}");
        let digest = match (&token.token, &token.sha256) {
            (Some(_), Some(_)) | (None, None) => {
                problem(
                    format!("tokens/{index}"),
                    "there must be either `token` or `sha256`",
                    "`sha256` keeps the token out of the configuration",
                );
                None
            }
            (Some(token), None) => {
                let token = token.expose_secret();
                if token.len() < MIN_TOKEN_BYTES || !token.bytes().all(|b| b.is_ascii_graphic()) {
                    problem(
                        field("token"),
                        "the token is not at least 16 characters of visible ASCII without blanks",
                        "for example the output of `openssl rand -hex 32`",
                    );
                }
                Some(Digest::of(token))
            }
            (None, Some(hex)) => {
                let digest = Digest::from_hex(hex);
                if digest.is_none() {
                    problem(
                        field("sha256"),
                        "this is not a SHA-256 in 64 hexadecimal digits",
                        "printf %s \"$TOKEN\" | sha256sum",
                    );
                }
                digest
            }
        };
        if digest.is_some_and(|digest| !digests.insert(digest)) {
            problem(
                format!("tokens/{index}"),
                "the same token is there twice",
                "whose it is would be a guess",
            );
        }
        if !subjects.insert(&token.subject) {
            problem(
                field("subject"),
                "another token is for the same subject",
                "give every holder a subject of its own, so that one can be taken away",
            );
        }
        if checked_name("subject", &token.subject).is_err() || token.subject.trim() != token.subject {
            problem(field("subject"), "this is no name", "for example `ci`");
        }
        if token.kind == Kind::Client && !(token.groups.is_empty() && token.roles.is_empty()) {
            problem(
                field("type"),
                "a client belongs to no group and holds no roles",
                "use the type `Robot`",
            );
        }
    }
    if settings.tokens.len() > MAX_ENTRIES {
        problem(
            "tokens".to_owned(),
            "there are more than 1000 tokens",
            "let an issuer give them out",
        );
    }
    problems
}

#[cfg(test)]
mod tests;
