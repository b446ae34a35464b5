//! The signature of a token: with which key of its issuer, and is it good?

use super::jwks::{NotVerified, VerifyingKey};
use super::jws::Jws;
use super::keys::{Current, IssuerKeys, KeysWanted};
use super::refusal::{Quoted, TokenRefusal};

/// With what a signature was found good.
#[derive(Clone, Debug)]
pub(super) struct SignedWith {
    /// The name of the key.
    pub(super) kid: String,
    /// Whether the token says that name. If not, there was no other key that could be meant.
    pub(super) named: bool,
    /// The generation of its issuer's keys at that time; 0 for a key that is the same for ever.
    pub(super) generation: u64,
}

/// Checks the signature with the key of its issuer that the token names.
///
/// # Errors
/// [`Stop`]: it is not good, or the key is not at hand.
pub(super) fn check_signature(keys: &IssuerKeys, jws: &Jws<'_>) -> Result<SignedWith, Stop> {
    let seen = keys.attempts();
    let Some(current) = keys.current() else {
        let why = match keys.last_failure() {
            Some(failure) => failure.to_string(),
            None => "they are being fetched for the first time".to_owned(),
        };
        return Err(Stop::NoKey(TokenRefusal::KeysUnavailable(why), keys.want(seen)));
    };
    let signed_with = |kid, named| SignedWith {
        kid,
        named,
        generation: current.generation,
    };
    // Secrets have no names: what the token says there is its issuer's business.
    let named = jws.kid.as_ref().filter(|_| !current.keys.are_secrets());
    let Some(kid) = named else {
        return Ok(signed_with(check_without_kid(jws, &current)?, false));
    };
    let Some(key) = current.keys.get(kid) else {
        let unknown = TokenRefusal::UnknownKey {
            kid: Quoted::new(kid),
            known: current.keys.names(),
        };
        return Err(Stop::NoKey(unknown, keys.want(seen)));
    };
    verify(jws, kid, key)?;
    Ok(signed_with(kid.clone(), true))
}

/// A token without `kid`: the only key for its algorithm, or any of the secrets. Trying all published keys would make
/// junk as costly as that.
fn check_without_kid(jws: &Jws<'_>, current: &Current) -> Result<String, TokenRefusal> {
    let keys: Vec<_> = current.keys.of_algorithm(jws.algorithm).collect();
    if keys.len() > 1 && !current.keys.are_secrets() {
        let several = "its issuer has several keys for the algorithm";
        return Err(TokenRefusal::KidMissing(several));
    }
    let mut refusal = TokenRefusal::KidMissing("its issuer has no key for the algorithm");
    for (kid, key) in keys {
        match verify(jws, kid, key) {
            Ok(()) => return Ok(kid.to_owned()),
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
}

fn verify(jws: &Jws<'_>, kid: &str, key: &VerifyingKey) -> Result<(), TokenRefusal> {
    let kid = || Quoted::new(kid);
    match key.verify(jws.algorithm, jws.signed.as_bytes(), &jws.signature) {
        Ok(()) => Ok(()),
        Err(NotVerified::Signature) => Err(TokenRefusal::Signature(kid())),
        Err(NotVerified::Algorithm) => Err(TokenRefusal::KeyAlgorithm {
            kid: kid(),
            algorithm: jws.algorithm,
        }),
    }
}

/// Why judging ended early.
pub(super) enum Stop {
    /// It is bad.
    Refused(TokenRefusal),
    /// There is no key to check it with; waiting may bring one.
    NoKey(TokenRefusal, Option<KeysWanted>),
}

impl From<TokenRefusal> for Stop {
    fn from(refusal: TokenRefusal) -> Self {
        Self::Refused(refusal)
    }
}
