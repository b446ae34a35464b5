//! Who is asking: bearer JWTs of the configured OpenID Connect issuers, verified.
//!
//! Two steps. The warm one ([`Identity::identify`]) finds the token in the cache or verifies it with the keys at hand;
//! it does no IO and never blocks. Only when a key is missing and could still come, it answers
//! [`Identified::NeedsKeys`], and the caller may wait and ask again.
//!
//! A [`Verified`] is the proof that a token was verified: nothing outside this module can make one. A credential that
//! is refused stays refused, it never becomes [`Identified::Anonymous`].
//!
//! Not here: revocation (the caller asks the house, by [`Verified::token_id`], subject and [`Verified::issued_at`]),
//! tokens the house issues, and what the principal may do.

mod algorithm;
mod cache;
mod claims;
mod credentials;
mod ed25519;
mod fetch;
mod inspect;
#[allow(dead_code, reason = "not yet among the verifiers")]
mod introspection;
mod issuer;
mod json;
mod jwks;
mod jws;
mod keycloak;
mod keys;
mod oidc;
mod refusal;
mod settings;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use model::{Headers, Principal};
use tokio::runtime::Handle;

use self::cache::{Digest, TokenCache};
use self::issuer::{Answer, Issuer, Proven};
use self::jws::Jws;
use crate::problem::Problem;

pub use self::algorithm::Algorithm;
pub use self::credentials::MAX_TOKEN_BYTES;
pub use self::inspect::{Inspection, Outcome, TokenCheck, inspect};
pub use self::introspection::{IntrospectionSettings, validate as validate_introspection};
pub use self::keys::KeysWanted;
pub use self::refusal::{ClaimFault, Part, Quoted, Refused, TokenRefusal};
pub use self::settings::{IssuerSettings, Profile, validate};

/// Bytes of verified tokens to keep, if nothing else is said.
pub const DEFAULT_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// All issuers, their keys, and the tokens verified lately. `D` is what the caller derives once per verified token.
pub struct Identity<D> {
    issuers: Vec<Issuer>,
    verified: TokenCache<D>,
    derive: Box<dyn Fn(&Principal) -> D + Send + Sync>,
}

/// Who is asking.
#[derive(Debug)]
pub enum Identified<D> {
    /// Nobody: no credential was presented.
    Anonymous,
    /// The bearer of a verified token.
    Verified(Arc<Verified<D>>),
    /// A credential was presented and is not believed.
    Refused(Refused),
    /// Not known yet: a key must be fetched first. Wait, then use [`Identity::identify_with_keys_at_hand`].
    NeedsKeys(KeysWanted),
}

/// A verified token: the proof, and what was derived from it.
#[derive(Debug)]
pub struct Verified<D> {
    proven: Proven,
    issuer: usize,
    derived: D,
}

/// How an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerStatus {
    /// Short name.
    pub name: String,
    /// True if there are keys and they are not too old: its tokens can be verified.
    pub ready: bool,
    /// How long ago the keys were fetched, usable or not.
    pub age: Option<Duration>,
    /// How many keys can be used.
    pub keys: usize,
    /// Why the last fetch failed; `None` if it did not.
    pub last_failure: Option<String>,
}

impl<D: Send + Sync + 'static> Identity<D> {
    /// Starts fetching the keys of all issuers on the runtime `fetching` (with IO and time enabled). Keeps at most
    /// `cache_bytes` of verified tokens. Dropping the identity ends the fetching.
    ///
    /// # Errors
    /// All [`Problem`]s of the settings, see [`validate`].
    pub fn new(
        settings: &[IssuerSettings],
        cache_bytes: u64,
        fetching: &Handle,
        derive: impl Fn(&Principal) -> D + Send + Sync + 'static,
    ) -> Result<Self, Vec<Problem>> {
        let problems = validate(settings);
        if !problems.is_empty() {
            return Err(problems);
        }
        let issuers = settings.iter().map(|s| Issuer::new(s, fetching)).collect();
        Ok(Self::with_issuers(issuers, cache_bytes, derive))
    }

    fn with_issuers(
        issuers: Vec<Issuer>,
        cache_bytes: u64,
        derive: impl Fn(&Principal) -> D + Send + Sync + 'static,
    ) -> Self {
        Self {
            issuers,
            verified: TokenCache::new(cache_bytes),
            derive: Box::new(derive),
        }
    }

    /// Who presents these headers at the time `now`. Does no IO and never waits.
    pub fn identify(&self, headers: &Headers<'_>, now: SystemTime) -> Identified<D> {
        match self.look(headers, now) {
            Look::Final(identified) => identified,
            Look::NoKey(_, Some(wanted)) => Identified::NeedsKeys(wanted),
            Look::NoKey(refused, None) => Identified::Refused(refused),
        }
    }

    /// The same after waiting for keys: what cannot be verified with the keys at hand is refused, never
    /// [`Identified::NeedsKeys`].
    pub fn identify_with_keys_at_hand(&self, headers: &Headers<'_>, now: SystemTime) -> Identified<D> {
        match self.look(headers, now) {
            Look::Final(identified) => identified,
            Look::NoKey(refused, _) => Identified::Refused(refused),
        }
    }

    /// Waits until the keys of every issuer were fetched once, or could not be.
    pub async fn first_attempts(&self) {
        for issuer in &self.issuers {
            issuer.keys.first_attempt().wait().await;
        }
    }

    /// How the keys of each issuer are, in the order of the settings.
    pub fn status(&self) -> Vec<IssuerStatus> {
        self.issuers.iter().map(status).collect()
    }

    fn look(&self, headers: &Headers<'_>, now: SystemTime) -> Look<D> {
        let token = match credentials::bearer(headers) {
            Ok(Some(token)) => token,
            Ok(None) => return Look::Final(Identified::Anonymous),
            Err(reason) => return Look::refused(reason, None),
        };
        let digest = Digest::of(token);
        let cached = self
            .verified
            .get(&digest)
            .filter(|verified| self.still_holds(verified, now));
        match cached {
            Some(verified) => Look::Final(Identified::Verified(verified)),
            None => self.verify(token, digest, now),
        }
    }

    /// Asks every issuer; the first that knows the token decides.
    fn verify(&self, token: &str, digest: Digest, now: SystemTime) -> Look<D> {
        let jws = match Jws::parse(token) {
            Ok(jws) => jws,
            Err(reason) => return Look::refused(reason, None),
        };
        for (index, issuer) in self.issuers.iter().enumerate() {
            match issuer.answer(&jws, now) {
                Answer::NotMine => {}
                Answer::Refused(reason) => return Look::refused(reason, Some(issuer)),
                Answer::NoKey(reason, wanted) => {
                    let issuer = Some(issuer.name.clone());
                    return Look::NoKey(Refused { reason, issuer }, wanted);
                }
                Answer::Verified(proven) => {
                    let derived = (self.derive)(&proven.principal);
                    let verified = Arc::new(Verified {
                        proven: *proven,
                        issuer: index,
                        derived,
                    });
                    self.verified.put(digest, token, &verified);
                    return Look::Final(Identified::Verified(verified));
                }
            }
        }
        Look::refused(nobodys(&jws), None)
    }

    /// True while a verdict from the cache still counts: never beyond `exp`, never after a change of keys.
    fn still_holds(&self, verified: &Verified<D>, now: SystemTime) -> bool {
        let now = claims::unix_seconds(now);
        self.issuers
            .get(verified.issuer)
            .is_some_and(|issuer| issuer.still_holds(verified.expires_at(), verified.proven.generation, now))
    }
}

impl<D> Verified<D> {
    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.proven.principal
    }

    /// What the caller derived from the principal, once.
    pub fn derived(&self) -> &D {
        &self.derived
    }

    /// `exp`, in Unix seconds. The token is good until then, plus the issuer's leeway.
    pub fn expires_at(&self) -> f64 {
        self.proven.registered.expires_at
    }

    /// `iat`, in Unix seconds.
    pub fn issued_at(&self) -> Option<f64> {
        self.proven.registered.issued_at
    }

    /// `jti`, the token's own id.
    pub fn token_id(&self) -> Option<&str> {
        self.proven.registered.token_id.as_deref()
    }

    /// `kid`, the key that signed it.
    pub fn key_id(&self) -> &str {
        &self.proven.kid
    }

    /// The index of its issuer in the settings.
    pub fn issuer_index(&self) -> usize {
        self.issuer
    }
}

impl<D> fmt::Debug for Identity<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("issuers", &self.issuers)
            .finish_non_exhaustive()
    }
}

/// What one look at the headers gives.
enum Look<D> {
    Final(Identified<D>),
    /// Refused as things stand; with a [`KeysWanted`], waiting may change that.
    NoKey(Refused, Option<KeysWanted>),
}

impl<D> Look<D> {
    fn refused(reason: TokenRefusal, issuer: Option<&Issuer>) -> Self {
        Self::Final(Identified::Refused(Refused {
            reason,
            issuer: issuer.map(|i| i.name.clone()),
        }))
    }
}

/// The refusal of a token that no issuer owns.
fn nobodys(jws: &Jws<'_>) -> TokenRefusal {
    match claims::Claims(&jws.claims).name("iss") {
        Ok(Some(iss)) => TokenRefusal::UnknownIssuer(Quoted::new(iss)),
        Ok(None) => claims::fault("iss", ClaimFault::Missing),
        Err(reason) => reason,
    }
}

fn status(issuer: &Issuer) -> IssuerStatus {
    let current = issuer.keys.current();
    IssuerStatus {
        name: issuer.name.clone(),
        ready: current.as_ref().is_some_and(|current| current.keys.len() > 0),
        age: issuer.keys.age(),
        keys: current.map_or(0, |current| current.keys.len()),
        last_failure: issuer.keys.last_failure().map(|failure| failure.to_string()),
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
