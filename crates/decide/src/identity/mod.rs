//! Who is asking: tokens of the configured issuers and static tokens, verified.
//!
//! Two steps. The warm one ([`Identity::identify`]) finds the token in the cache or verifies it with the keys at hand;
//! it does no IO and never blocks. Only when a key is missing and could still come, it answers
//! [`Identified::NotYet`], and the caller may wait and ask again.
//!
//! A [`Verified`] is the proof that a token was verified: nothing outside this module can make one. A credential that
//! is refused stays refused, it never becomes [`Identified::Anonymous`].
//!
//! Not here: revocation (the caller asks the [`House`], by [`Verified::token_id`], subject and [`Verified::issued_at`]), and
//! what the principal may do.

mod actor;
mod algorithm;
mod awaited;
mod backstage;
mod cache;
mod capability;
mod claims;
mod credentials;
mod ed25519;
mod entitlement;
mod fetch;
mod fetching;
mod fingerprint;
mod house_token;
mod inspect;
mod introspection;
mod issuer;
mod json;
mod jwks;
mod jws;
mod keycloak;
mod keys;
mod mapping;
mod network_token;
mod oidc;
mod outcomes;
mod refusal;
mod rehearsal;
mod roles;
mod scitokens;
mod settings;
mod shown;
mod signature;
mod static_token;
mod verifier;
mod wlcg;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use model::{Headers, HouseView, Principal};
use tokio::runtime::Handle;

use self::cache::{Digest, Proof, TokenCache};
pub(crate) use self::credentials::Place;
use self::credentials::Presented;
use self::fetching::Fetching;
use self::jws::Jws;
use self::keys::IssuerKeys;
use self::outcomes::{Outcome as Ended, Outcomes};
pub(crate) use self::verifier::Waited;
use self::verifier::{Answer, Question, Verifier};
use crate::house::House;
use crate::problem::{Problem, Severity};

pub use self::algorithm::Algorithm;
pub use self::awaited::Awaited;
pub use self::backstage::BackstageSettings;
pub use self::cache::KeptTokens;
pub use self::credentials::MAX_TOKEN_BYTES;
pub(crate) use self::inspect::Examined;
pub use self::inspect::{Inspection, Outcome, TokenCheck, inspect};
pub use self::introspection::{IntrospectionSettings, Introspections};
pub use self::keys::Fetches;
pub use self::outcomes::{NOBODY, Verifications};
pub use self::refusal::{ClaimFault, Part, Quoted, Refused, ScopeFault, TokenRefusal};
pub use self::rehearsal::Rehearsal;
pub(crate) use self::settings::short_name;
pub use self::settings::{IssuerSettings, Profile};
pub(crate) use self::shown::NotShown;
pub use self::shown::{ShownAs, ShownToken};
pub use self::static_token::{StaticToken, StaticTokenSettings};
pub use self::verifier::{HouseIdentity, IdentitySettings, NetworkIdentity, validate};

/// Bytes of verified tokens to keep, if nothing else is said: about 100,000 tokens of the usual size.
pub const DEFAULT_CACHE_BYTES: u64 = 280 * 1024 * 1024;

/// All verifiers, their keys, and the tokens verified lately. `D` is what the caller derives once per verified token.
pub struct Identity<D> {
    verifiers: Arc<[Verifier]>,
    /// Every place in which some verifier's credentials may be.
    places: Vec<Place>,
    verified: TokenCache<D>,
    derive: Derive<D>,
    /// How many bytes what was derived takes that the token does not have.
    weigh: fn(&D) -> usize,
    /// What the store says, the latest.
    house: Arc<House>,
    /// Tells what was derived by this identity from what one before it derived.
    generation: u64,
    /// How verifying ended.
    outcomes: Outcomes,
    /// Of the settings that the verifiers were made with.
    fingerprint: Option<Digest>,
}

/// What is derived of a principal.
type Derive<D> = Box<dyn Fn(&Arc<Principal>) -> D + Send + Sync>;

/// Who is asking.
#[derive(Debug)]
pub enum Identified<D> {
    /// Nobody: no credential was presented.
    Anonymous,
    /// The bearer of a verified token.
    Verified(Arc<Verified<D>>, CacheUse),
    /// A credential was presented and is not believed.
    Refused(Refused),
    /// Not known yet: a key must be fetched first, or somebody be asked. Wait, then use [`Identity::identify_at_hand`].
    NotYet(Awaited),
}

/// What was known of a token that is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheUse {
    /// Everything: it was presented lately.
    Hit,
    /// That it is good: what is derived from it was derived anew.
    Verified,
    /// Nothing: it was verified.
    Miss,
}

impl CacheUse {
    /// Every case.
    pub const ALL: [Self; 3] = [Self::Hit, Self::Verified, Self::Miss];

    /// Its name, in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Verified => "verified",
            Self::Miss => "miss",
        }
    }
}

/// A verified token: the proof, and what was derived from it.
#[derive(Debug)]
pub struct Verified<D> {
    proof: Proof,
    derived: D,
    /// The generation of the identity that derived it.
    generation: u64,
}

/// How an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerStatus {
    /// Short name.
    pub name: String,
    /// True if there are keys and they are not too old: its tokens can be verified.
    pub ready: bool,
    /// False for an issuer that was added while the server was answering and whose keys have not come yet: everybody else is
    /// served without it.
    pub needed: bool,
    /// How long ago the keys were fetched, usable or not.
    pub age: Option<Duration>,
    /// How many keys can be used.
    pub keys: usize,
    /// Why the last fetch failed; `None` if it did not.
    pub last_failure: Option<String>,
    /// How fetching went; `None` for keys out of the configuration.
    pub fetches: Option<Fetches>,
}

impl<D: Send + Sync + 'static> Identity<D> {
    /// Starts fetching the keys of all issuers on the runtime `fetching` (with IO and time enabled). Keeps at most
    /// `cache_bytes` of verified tokens. Dropping the identity ends the fetching.
    ///
    /// # Errors
    /// All [`Problem`]s of the settings, if one of them is an error; see [`validate`].
    pub fn new(
        settings: &IdentitySettings,
        cache_bytes: u64,
        fetching: &Handle,
        derive: impl Fn(&Arc<Principal>) -> D + Send + Sync + 'static,
    ) -> Result<Self, Vec<Problem>> {
        check(settings)?;
        let house = settings.house.as_ref();
        let view = house.map_or_else(HouseView::none, |_| HouseView::unknown());
        let house = Arc::new(House::new(view));
        let verifiers = Verifier::all(settings, &Fetching::anew(fetching), &house);
        Ok(Self {
            fingerprint: Some(settings.fingerprint()),
            house,
            ..Self::with_verifiers(verifiers, cache_bytes, derive)
        })
    }

    /// Counts, of what is derived, what does not come from the token, in bytes.
    pub(crate) fn weighing(self, weigh: fn(&D) -> usize) -> Self {
        Self { weigh, ..self }
    }

    /// The identity that comes after this one. Keys, and answers about opaque tokens, are kept where their settings are the
    /// same; what is new begins to be fetched. If all settings are the same, tokens stay verified, and only what is derived
    /// from them is derived again.
    ///
    /// # Errors
    /// As [`Identity::new`].
    pub fn successor(
        &self,
        settings: &IdentitySettings,
        cache_bytes: u64,
        fetching: &Handle,
        derive: impl Fn(&Arc<Principal>) -> D + Send + Sync + 'static,
    ) -> Result<Self, Vec<Problem>> {
        check(settings)?;
        let fingerprint = Some(settings.fingerprint());
        if self.fingerprint == fingerprint {
            return Ok(Self {
                verifiers: Arc::clone(&self.verifiers),
                places: self.places.clone(),
                verified: self.verified.clone(),
                derive: Box::new(derive),
                weigh: self.weigh,
                house: Arc::clone(&self.house),
                outcomes: self.outcomes.clone(),
                generation: self.generation + 1,
                fingerprint,
            });
        }
        let fetching = Fetching::after(&self.verifiers, fetching);
        let verifiers = Verifier::all(settings, &fetching, &self.house);
        Ok(Self {
            outcomes: Outcomes::after(&self.outcomes, &verifiers),
            fingerprint,
            house: Arc::clone(&self.house),
            weigh: self.weigh,
            ..Self::with_verifiers(verifiers, cache_bytes, derive)
        })
    }

    /// Nobody's identity: for questions that people ask, where nothing is fetched and no token is verified.
    pub(crate) fn without_verifiers(derive: impl Fn(&Arc<Principal>) -> D + Send + Sync + 'static) -> Self {
        Self::with_verifiers(Vec::new(), 0, derive)
    }

    fn with_verifiers(
        verifiers: Vec<Verifier>,
        cache_bytes: u64,
        derive: impl Fn(&Arc<Principal>) -> D + Send + Sync + 'static,
    ) -> Self {
        let mut places: Vec<Place> = Vec::new();
        for place in verifiers.iter().flat_map(Verifier::places) {
            if !places.contains(place) {
                places.push(place.clone());
            }
        }
        Self {
            outcomes: Outcomes::anew(&verifiers),
            verifiers: verifiers.into(),
            places,
            verified: TokenCache::new(cache_bytes),
            derive: Box::new(derive),
            weigh: |_| 0,
            house: Arc::new(House::new(HouseView::none())),
            generation: 0,
            fingerprint: None,
        }
    }

    /// Who presents these headers and this query at the time `now`. Does no IO and never waits.
    pub fn identify(&self, headers: &Headers<'_>, query: Option<&str>, now: SystemTime) -> Identified<D> {
        match self.look(headers, query, now, Waited::No) {
            Look::Final(identified) => identified,
            Look::NotYet(_, Some(wanted)) => Identified::NotYet(wanted),
            Look::NotYet(refused, None) => Identified::Refused(refused),
        }
    }

    /// The same after waiting: what cannot be verified with what is at hand is refused, never
    /// [`Identified::NotYet`].
    pub fn identify_at_hand(
        &self,
        headers: &Headers<'_>,
        query: Option<&str>,
        now: SystemTime,
    ) -> Identified<D> {
        match self.look(headers, query, now, Waited::Yes) {
            Look::Final(identified) => identified,
            Look::NotYet(refused, _) => Identified::Refused(refused),
        }
    }

    /// Waits until all keys were fetched once, or could not be.
    pub async fn first_attempts(&self) {
        for (_, keys) in self.keys() {
            keys.first_attempt().wait().await;
        }
    }

    /// Where credentials may be besides the `Authorization` header.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// What the store says: revocations, and the house's own credentials.
    pub fn house(&self) -> &Arc<House> {
        &self.house
    }

    /// True if credentials may be in the query of a request.
    pub(crate) fn takes_query(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Query(_)))
    }

    /// How the keys of each issuer are, in the order in which the issuers are asked.
    pub fn status(&self) -> Vec<IssuerStatus> {
        self.keys().map(|(name, keys)| status(name, keys)).collect()
    }

    /// How verifying ended, by whoever vouches for credentials. What was verified lately is not verified again.
    pub fn verifications(&self) -> Vec<Verifications> {
        self.outcomes.told()
    }

    /// How asking each introspection endpoint went.
    pub fn introspections(&self) -> Vec<Introspections> {
        let endpoints = self.verifiers.iter().filter_map(Verifier::endpoint);
        endpoints.map(|endpoint| endpoint.told()).collect()
    }

    /// What is kept of tokens.
    pub fn kept_tokens(&self) -> [KeptTokens; 2] {
        self.verified.sizes()
    }

    fn keys(&self) -> impl Iterator<Item = (String, &IssuerKeys)> {
        self.verifiers.iter().filter_map(Verifier::keys)
    }

    fn look(&self, headers: &Headers<'_>, query: Option<&str>, now: SystemTime, waited: Waited) -> Look<D> {
        let presented = match credentials::find(headers, query, &self.places) {
            Ok(Some(presented)) => presented,
            Ok(None) => return Look::Final(Identified::Anonymous),
            Err(reason) => {
                self.outcomes.count(None, Ended::Refused);
                return Look::refused(reason, None);
            }
        };
        self.judge(&presented, now, waited)
    }

    fn judge(&self, presented: &Presented<'_, '_>, now: SystemTime, waited: Waited) -> Look<D> {
        let token = &*presented.token;
        if let Some(verified) = self.verified.get(token)
            && self.still_holds(&verified.proof, presented.place, now)
        {
            return Look::Final(match verified.generation == self.generation {
                true => Identified::Verified(verified, CacheUse::Hit),
                // It was verified with the same settings, and what was derived from it was derived by other rules.
                false => Identified::Verified(self.keep(token, verified.proof.clone()), CacheUse::Verified),
            });
        }
        let digest = Digest::of(token);
        match self.verified.proof(&digest) {
            Some(proof) if self.still_holds(&proof, presented.place, now) => {
                Look::Final(Identified::Verified(self.keep(token, proof), CacheUse::Verified))
            }
            _ => self.verify(presented, digest, now, waited),
        }
    }

    /// Derives what is to be derived from what was proven of a token, and keeps it all.
    fn keep(&self, token: &str, proof: Proof) -> Arc<Verified<D>> {
        let verified = Arc::new(Verified {
            derived: (self.derive)(&proof.proven.principal),
            proof,
            generation: self.generation,
        });
        let more = (self.weigh)(&verified.derived);
        self.verified.put(token, &verified, more);
        verified
    }

    /// Asks every verifier; the first that knows the token decides.
    fn verify(
        &self,
        presented: &Presented<'_, '_>,
        digest: Digest,
        now: SystemTime,
        waited: Waited,
    ) -> Look<D> {
        let question = Question {
            digest,
            jws: Jws::parse(&presented.token),
            presented,
            now,
            waited,
        };
        let mut last: Option<(usize, Refused)> = None;
        for (index, verifier) in self.verifiers.iter().enumerate() {
            match verifier.answer(&question) {
                Answer::NotMine => {}
                Answer::NotAccepted(reason) => {
                    let issuer = verifier.name().map(str::to_owned);
                    // Missing keys are our fault, and say more than what is wrong for somebody else.
                    last = last
                        .filter(|(_, refused)| refused.is_for_want_of_keys())
                        .or(Some((index, Refused { reason, issuer })));
                }
                Answer::Refused(reason) => {
                    self.outcomes.count(Some(index), Ended::of(&reason));
                    return Look::refused(reason, verifier.name());
                }
                Answer::NotYet(reason, wanted) => {
                    if waited == Waited::Yes || wanted.is_none() {
                        self.outcomes.count(Some(index), Ended::Unavailable);
                    }
                    let issuer = verifier.name().map(str::to_owned);
                    return Look::NotYet(Refused { reason, issuer }, wanted);
                }
                Answer::Verified(mut proven) => {
                    proven.registered.leave_to_the_principal();
                    self.outcomes.count(Some(index), Ended::Verified);
                    let proof = Proof {
                        proven: Arc::new(*proven),
                        verifier: index,
                        until: cache::until(&digest, Instant::now()),
                    };
                    self.verified.prove(digest, &proof);
                    let verified = self.keep(&presented.token, proof);
                    return Look::Final(Identified::Verified(verified, CacheUse::Miss));
                }
            }
        }
        match last {
            Some((index, refused)) => {
                self.outcomes.count(Some(index), Ended::of(&refused.reason));
                Look::Final(Identified::Refused(refused))
            }
            None => {
                self.outcomes.count(None, Ended::Refused);
                Look::refused(self.nobodys(question.jws), None)
            }
        }
    }

    /// The refusal of a token that nobody knows.
    fn nobodys(&self, jws: Result<Jws<'_>, TokenRefusal>) -> TokenRefusal {
        let only_jwts = self.verifiers.iter().all(Verifier::takes_jwts);
        match jws {
            Ok(jws) if let Some(reason) = backstage::internal(&jws) => reason,
            Ok(jws) => match claims::Claims(&jws.claims).name("iss") {
                Ok(Some(iss)) => TokenRefusal::UnknownIssuer(Quoted::new(iss)),
                Ok(None) => claims::fault("iss", ClaimFault::Missing),
                Err(reason) => reason,
            },
            Err(shape) if !only_jwts && jws::is_no_jwt(&shape) => TokenRefusal::Unknown(Box::new(shape)),
            Err(shape) => shape,
        }
    }

    /// True while a verdict from the cache still counts: in no other place than before, never beyond `exp`, never
    /// after its key is gone, and never for long, however often something was derived anew.
    fn still_holds(&self, proof: &Proof, place: Option<&Place>, now: SystemTime) -> bool {
        if Instant::now() >= proof.until {
            return false;
        }
        let now = claims::unix_seconds(now);
        self.verifiers
            .get(proof.verifier)
            .is_some_and(|verifier| verifier.takes_from(place) && verifier.still_holds(&proof.proven, now))
    }
}

impl<D> Verified<D> {
    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.proof.proven.principal
    }

    /// What the caller derived from the principal, once.
    pub fn derived(&self) -> &D {
        &self.derived
    }

    /// `exp`, in Unix seconds; infinite for credentials that do not expire. The token is good until then, plus the issuer's
    /// leeway.
    pub fn expires_at(&self) -> f64 {
        self.proof.proven.registered.expires_at
    }

    /// `iat`, in Unix seconds.
    pub fn issued_at(&self) -> Option<f64> {
        self.proof.proven.registered.issued_at
    }

    /// `jti`, the token's own id.
    pub fn token_id(&self) -> Option<&str> {
        self.proof.proven.registered.token_id.as_deref()
    }

    /// `kid`, the key that signed it, if it is signed.
    pub fn key_id(&self) -> Option<&str> {
        self.proof.proven.kid()
    }
}

impl<D> fmt::Debug for Identity<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("verifiers", &self.verifiers)
            .finish_non_exhaustive()
    }
}

/// What one look at the headers gives.
enum Look<D> {
    Final(Identified<D>),
    /// Refused as things stand; with an [`Awaited`], waiting may change that.
    NotYet(Refused, Option<Awaited>),
}

impl<D> Look<D> {
    fn refused(reason: TokenRefusal, issuer: Option<&str>) -> Self {
        Self::Final(Identified::Refused(Refused {
            reason,
            issuer: issuer.map(str::to_owned),
        }))
    }
}

/// # Errors
/// All problems, if one of them is an error.
fn check(settings: &IdentitySettings) -> Result<(), Vec<Problem>> {
    let problems = validate(settings);
    match problems.iter().any(|problem| problem.severity == Severity::Error) {
        true => Err(problems),
        false => Ok(()),
    }
}

fn status(name: String, keys: &IssuerKeys) -> IssuerStatus {
    let current = keys.current();
    IssuerStatus {
        name,
        ready: current.as_ref().is_some_and(|current| current.keys.len() > 0),
        needed: keys.were_ever_needed(),
        age: keys.age(),
        keys: current.map_or(0, |current| current.keys.len()),
        last_failure: keys.last_failure().map(|failure| failure.to_string()),
        fetches: keys.fetches(),
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
