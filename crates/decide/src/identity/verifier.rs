//! Everybody who can tell whose a credential is, and the order in which they are asked.
//!
//! Each answers that a credential is not theirs, that it is good, or that it is theirs and bad; the last two end the walk.

use std::collections::HashSet;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::runtime::Handle;

use super::awaited::Awaited;
use super::cache::Digest;
use super::credentials::{Place, Presented};
use super::introspection::{self, IntrospectionSettings, Introspector};
use super::issuer::{Issuer, Proven};
use super::jws::{self, Jws};
use super::refusal::TokenRefusal;
use super::settings::{self, IssuerSettings};
use super::static_token::{self, StaticTokenSettings, StaticTokens};
use crate::problem::Problem;

/// Whose credentials are believed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct IdentitySettings {
    /// Who issues the JWTs that are believed. Without any issuer and static token, every request is anonymous.
    #[serde(default)]
    pub issuers: Vec<IssuerSettings>,
    /// Opaque tokens that the configuration itself knows.
    #[serde(default)]
    pub static_tokens: Option<StaticTokenSettings>,
    /// Authorization servers that are asked about opaque tokens (RFC 7662).
    #[serde(default)]
    pub introspection: Vec<IntrospectionSettings>,
}

impl IdentitySettings {
    /// The short names of all who vouch for principals.
    pub(crate) fn names(&self) -> Vec<&str> {
        let issuers = self.issuers.iter().map(|issuer| issuer.name.as_str());
        let endpoints = self.introspection.iter().map(|endpoint| endpoint.name.as_str());
        let tokens = self.static_tokens.iter().map(|tokens| tokens.name.as_str());
        issuers.chain(endpoints).chain(tokens).collect()
    }
}

/// A credential, and what everybody who is asked needs of it.
pub(super) struct Question<'q> {
    /// The credential.
    pub(super) presented: &'q Presented<'q, 'q>,
    /// The digest of the token.
    pub(super) digest: Digest,
    /// The token taken apart, or why it is no JWT that can be read.
    pub(super) jws: Result<Jws<'q>, TokenRefusal>,
    /// The time of the request.
    pub(super) now: SystemTime,
}

/// What a verifier says to a credential.
#[derive(Debug)]
pub(super) enum Answer {
    /// Not of this verifier; somebody else may know it.
    NotMine,
    /// It is good.
    Verified(Box<Proven>),
    /// It is mine and it is bad: nobody else is asked.
    Refused(TokenRefusal),
    /// It cannot be checked as things stand. With an [`Awaited`], waiting may change that.
    NotYet(TokenRefusal, Option<Awaited>),
}

/// Somebody who can tell whose a credential is.
#[derive(Debug)]
pub(super) enum Verifier {
    /// Texts that the configuration knows.
    Static(StaticTokens, Vec<Proven>),
    /// An issuer of JWTs.
    Issuer(Box<Issuer>),
    /// An endpoint that knows opaque tokens.
    Introspection(Box<Introspector>),
}

impl Question<'_> {
    /// True for what has a JOSE header and cannot be read all the same.
    pub(super) fn is_unreadable_jwt(&self) -> bool {
        self.jws.as_ref().is_err_and(|refusal| !jws::is_no_jwt(refusal))
    }
}

impl Verifier {
    /// Everybody, in the order in which they are asked; fetching of keys begins at once.
    pub(super) fn all(settings: &IdentitySettings, fetching: &Handle) -> Vec<Self> {
        let statics = settings.static_tokens.iter().map(|settings| {
            let (tokens, proofs) = StaticTokens::new(settings);
            Self::Static(tokens, proofs)
        });
        let issuers = settings
            .issuers
            .iter()
            .map(|settings| Self::Issuer(Box::new(Issuer::new(settings, fetching))));
        let endpoints = settings
            .introspection
            .iter()
            .map(|settings| Self::Introspection(Box::new(Introspector::start(settings, fetching))));
        statics.chain(issuers).chain(endpoints).collect()
    }

    /// Asks.
    pub(super) fn answer(&self, question: &Question<'_>) -> Answer {
        let here = self.takes_from(question.presented.place);
        match self {
            Self::Static(tokens, proofs) => {
                match tokens.find(&question.digest).and_then(|index| proofs.get(index)) {
                    None => Answer::NotMine,
                    Some(_) if !here => Answer::Refused(TokenRefusal::WrongPlace),
                    Some(proof) => Answer::Verified(Box::new(proof.clone())),
                }
            }
            Self::Issuer(issuer) => match &question.jws {
                Ok(jws) if issuer.issued(jws) && here => issuer.answer(jws, question.now),
                Ok(jws) if issuer.issued(jws) => Answer::Refused(TokenRefusal::WrongPlace),
                _ => Answer::NotMine,
            },
            Self::Introspection(endpoint) if here => endpoint.answer(question),
            Self::Introspection(_) => Answer::NotMine,
        }
    }

    /// Where credentials of this verifier may be.
    pub(super) fn places(&self) -> &[Place] {
        match self {
            Self::Static(tokens, _) => &tokens.places,
            Self::Issuer(issuer) => &issuer.places,
            Self::Introspection(endpoint) => &endpoint.settings.credentials,
        }
    }

    /// True if credentials of this verifier may be there.
    pub(super) fn takes_from(&self, place: Option<&Place>) -> bool {
        place.is_none_or(|place| self.places().contains(place))
    }

    /// The short name for the log.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Issuer(issuer) => Some(&issuer.name),
            Self::Introspection(endpoint) => Some(&endpoint.settings.name),
            Self::Static(..) => None,
        }
    }

    /// The issuer, if it is one.
    pub(super) fn issuer(&self) -> Option<&Issuer> {
        match self {
            Self::Issuer(issuer) => Some(issuer),
            Self::Static(..) | Self::Introspection(_) => None,
        }
    }

    /// True while what was proven to this verifier is still true. `now` in Unix seconds.
    pub(super) fn still_holds(&self, proven: &Proven, now: f64) -> bool {
        match self {
            Self::Static(..) => true,
            Self::Issuer(issuer) => issuer.still_holds(proven, now),
            Self::Introspection(_) => now < proven.registered.expires_at,
        }
    }
}

/// All problems of the settings, at once.
pub fn validate(settings: &IdentitySettings) -> Vec<Problem> {
    let mut problems = settings::validate(&settings.issuers);
    let mut names: HashSet<&str> = settings
        .issuers
        .iter()
        .map(|issuer| issuer.name.as_str())
        .collect();
    if let Some(tokens) = &settings.static_tokens {
        problems.extend(static_token::validate(tokens));
        if !names.insert(&tokens.name) {
            problems.push(taken("/static_tokens/name", &tokens.name));
        }
    }
    problems.extend(introspection::validate(&settings.introspection));
    for (index, endpoint) in settings.introspection.iter().enumerate() {
        if names.contains(endpoint.name.as_str()) {
            problems.push(taken(&format!("/introspection/{index}/name"), &endpoint.name));
        }
    }
    problems
}

fn taken(pointer: &str, name: &str) -> Problem {
    Problem::setting(
        pointer,
        format!(
            "somebody else is called `{name}` already, and principals of the two could not be told apart"
        ),
        "choose another name",
    )
}
