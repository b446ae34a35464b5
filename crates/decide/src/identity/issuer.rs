//! One issuer as a verifier: is this token mine, and if so, is it good?

use std::time::SystemTime;

use model::Principal;
use serde_json::Value;
use tokio::runtime::Handle;

use super::algorithm::Algorithm;
use super::claims::{Claims, Registered, has_expired};
use super::fetch::Source;
use super::jwks::NotVerified;
use super::jws::Jws;
use super::keycloak::{self, RoleTrust};
use super::keys::{IssuerKeys, KeysWanted};
use super::oidc;
use super::refusal::{Quoted, TokenRefusal};
use super::settings::{IssuerSettings, Profile};

/// What a verifier says to a token.
#[derive(Debug)]
pub(super) enum Answer {
    /// Not a token of this issuer; somebody else may know it.
    NotMine,
    /// It is good.
    Verified(Box<Proven>),
    /// It is mine and it is bad: nobody else is asked.
    Refused(TokenRefusal),
    /// The key is not there. With a [`KeysWanted`], a fetch may still bring it.
    NoKey(TokenRefusal, Option<KeysWanted>),
}

/// What a good token says. Only [`Issuer::answer`] makes one.
#[derive(Debug)]
pub(super) struct Proven {
    /// Who presents it.
    pub(super) principal: Principal,
    /// The registered claims.
    pub(super) registered: Registered,
    /// The key that signed it.
    pub(super) kid: String,
    /// The generation of the key set that key is from.
    pub(super) generation: u64,
}

/// A configured issuer with its keys.
#[derive(Debug)]
pub(super) struct Issuer {
    /// Short name.
    pub(super) name: String,
    /// Its keys.
    pub(super) keys: IssuerKeys,
    url: String,
    audiences: Vec<String>,
    algorithms: Vec<Algorithm>,
    profile: Profile,
    roles: RoleTrust,
    leeway: f64,
}

impl Issuer {
    /// An issuer by its (validated) settings; fetching begins at once.
    pub(super) fn new(settings: &IssuerSettings, fetching: &Handle) -> Self {
        let source = Source {
            issuer: settings.issuer.clone(),
            jwks_uri: settings.jwks_uri.clone(),
        };
        Self::with_keys(
            settings,
            IssuerKeys::start(&settings.name, source, settings.pace(), fetching),
        )
    }

    pub(super) fn with_keys(settings: &IssuerSettings, keys: IssuerKeys) -> Self {
        Self {
            name: settings.name.clone(),
            keys,
            url: settings.issuer.clone(),
            audiences: settings.audiences.clone(),
            algorithms: settings.algorithms.clone(),
            profile: settings.profile,
            roles: if settings.trust_roles {
                RoleTrust::Trusted
            } else {
                RoleTrust::Ignored
            },
            leeway: settings.leeway_seconds as f64,
        }
    }

    /// Judges a token. Who is asked is decided by `iss` alone, compared exactly.
    pub(super) fn answer(&self, jws: &Jws<'_>, now: SystemTime) -> Answer {
        match jws.claims.get("iss") {
            Some(Value::String(iss)) if *iss == self.url => {}
            _ => return Answer::NotMine,
        }
        match self.judge(jws, now) {
            Ok(proven) => Answer::Verified(Box::new(proven)),
            Err(Stop::Refused(refusal)) => Answer::Refused(refusal),
            Err(Stop::NoKey(refusal, wanted)) => Answer::NoKey(refusal, wanted),
        }
    }

    /// The order: what costs nothing first, so that a hopeless token neither waits for a fetch nor causes one; the
    /// principal last, because nothing else of an unverified token means anything.
    fn judge(&self, jws: &Jws<'_>, now: SystemTime) -> Result<Proven, Stop> {
        if !self.algorithms.contains(&jws.algorithm) {
            return Err(TokenRefusal::AlgorithmNotAllowed(jws.algorithm).into());
        }
        let claims = Claims(&jws.claims);
        let registered = Registered::check(claims, &self.audiences, self.leeway, now)?;
        let generation = self.check_signature(jws)?;
        let principal = match self.profile {
            Profile::Keycloak => keycloak::principal(claims, &registered, &self.name, self.roles)?,
            Profile::Oidc => oidc::principal(claims, &registered, &self.name, jws.purpose)?,
        };
        Ok(Proven {
            principal,
            registered,
            kid: jws.kid.clone(),
            generation,
        })
    }

    /// The generation of the keys with which the signature was found good.
    fn check_signature(&self, jws: &Jws<'_>) -> Result<u64, Stop> {
        let seen = self.keys.attempts();
        let kid = || Quoted::new(&jws.kid);
        let Some(current) = self.keys.current() else {
            let why = match self.keys.last_failure() {
                Some(failure) => failure.to_string(),
                None => "they are being fetched for the first time".to_owned(),
            };
            return Err(Stop::NoKey(
                TokenRefusal::KeysUnavailable(why),
                self.keys.want(seen),
            ));
        };
        let Some(key) = current.keys.get(&jws.kid) else {
            let unknown = TokenRefusal::UnknownKey {
                kid: kid(),
                known: current.keys.names(),
            };
            return Err(Stop::NoKey(unknown, self.keys.want(seen)));
        };
        match key.verify(jws.algorithm, jws.signed.as_bytes(), &jws.signature) {
            Ok(()) => Ok(current.generation),
            Err(NotVerified::Signature) => Err(TokenRefusal::Signature(kid()).into()),
            Err(NotVerified::Algorithm) => Err(TokenRefusal::KeyAlgorithm {
                kid: kid(),
                algorithm: jws.algorithm,
            }
            .into()),
        }
    }

    /// True while a verdict about a token of this issuer still holds: the token has not expired, the keys are the
    /// same and not too old. Takes no lock.
    pub(super) fn still_holds(&self, expires_at: f64, generation: u64, now: f64) -> bool {
        !has_expired(expires_at, self.leeway, now) && self.keys.is_current(generation)
    }
}

/// Why judging ended early.
enum Stop {
    Refused(TokenRefusal),
    NoKey(TokenRefusal, Option<KeysWanted>),
}

impl From<TokenRefusal> for Stop {
    fn from(refusal: TokenRefusal) -> Self {
        Self::Refused(refusal)
    }
}
