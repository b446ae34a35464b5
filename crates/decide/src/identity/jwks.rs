//! The keys an issuer publishes (RFC 7517), each parsed once and bound to its algorithms.
//!
//! Keys are read one by one: a key that cannot be used is skipped, with a reason, and the others stay good. What the
//! key says of itself (`alg`, `use`, `key_ops`, size, curve) decides; a token's header never does.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{ED25519, EcdsaVerificationAlgorithm, ParsedPublicKey, RsaParameters};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, P256, P384, RSA_PKCS1, RSA_PSS};
use super::jws::MAX_KID_BYTES;
use super::refusal::Quoted;
use super::{ed25519, json};

/// Largest document that is read.
pub(super) const MAX_BYTES: usize = 1024 * 1024;
/// Most keys a document may have, usable or not.
pub(super) const MAX_KEYS: usize = 100;

/// The usable keys of one issuer, by name.
#[derive(Debug, Default, PartialEq)]
pub(super) struct KeySet(HashMap<String, VerifyingKey>);

/// A key and what it may verify.
#[derive(Debug)]
pub(super) struct VerifyingKey {
    /// One algorithm, or both RSA algorithms for an RSA key that does not name its own.
    usable: Vec<(Algorithm, Material)>,
}

/// What verifies.
#[derive(Debug)]
enum Material {
    /// Published by an issuer.
    Public(ParsedPublicKey),
    /// A shared secret out of the configuration; never out of a JWKS.
    Shared(Box<hmac::Key>),
}

/// Why a key did not verify a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotVerified {
    /// The key belongs to another algorithm.
    Algorithm,
    /// The signature is not one of this key over these bytes.
    Signature,
}

/// A key that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Skipped {
    /// Its name, if it has one.
    pub(super) kid: Option<String>,
    /// Why.
    pub(super) why: Flaw,
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("is not an object")]
    NotAnObject,
    #[error("has no `kid` of 1 to 256 bytes")]
    Kid,
    #[error("has a `use` other than \"sig\"")]
    Use,
    #[error("has `key_ops` without \"verify\"")]
    KeyOps,
    #[error("has an `alg` that is not supported")]
    UnknownAlgorithm,
    #[error("has an `alg` that does not fit its type")]
    ForeignAlgorithm,
    #[error("has an unknown `kty`")]
    Kty,
    #[error("is symmetric")]
    Symmetric,
    #[error("has a `crv` that is not supported")]
    Curve,
    #[error("has a member that is missing or not canonical base64url")]
    Member,
    #[error("is RSA with a modulus that is even or not of 2048 to 8192 bits")]
    RsaModulus,
    #[error("is RSA with an exponent that is even or not between 65537 and 2^32")]
    RsaExponent,
    #[error("has coordinates that are no point of its curve")]
    Point,
    #[error("is a point of small order, under which anybody can sign")]
    SmallOrder,
    #[error("shares its `kid` with a different key")]
    Ambiguous,
}

/// Why a whole document is refused; the last good one stays in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JwksRefusal {
    #[error("the JWKS is not strict JSON: {0}")]
    Json(String),
    #[error("the JWKS is not an object with an array `keys`")]
    Shape,
    #[error("the JWKS has {0} keys (limit {MAX_KEYS})")]
    TooManyKeys(usize),
    #[error("the JWKS publishes the private key {0}: whoever read it can sign as the issuer")]
    PrivateKey(Quoted),
    #[error("the JWKS has no key that can be used ({0})")]
    NoUsableKey(String),
}

impl KeySet {
    /// Reads a document of at most [`MAX_BYTES`], which the fetch has seen to.
    ///
    /// # Errors
    /// [`JwksRefusal`], when the document as a whole cannot be trusted.
    pub(super) fn parse(document: &[u8]) -> Result<(Self, Vec<Skipped>), JwksRefusal> {
        let document = json::parse(document).map_err(JwksRefusal::Json)?;
        let Some(Value::Array(entries)) = document.get("keys") else {
            return Err(JwksRefusal::Shape);
        };
        if entries.len() > MAX_KEYS {
            return Err(JwksRefusal::TooManyKeys(entries.len()));
        }
        if let Some(leaked) = entries.iter().find(|e| is_private(e)) {
            return Err(JwksRefusal::PrivateKey(Quoted::new(kid_of(leaked).unwrap_or(""))));
        }
        let mut keys: HashMap<String, VerifyingKey> = HashMap::new();
        let mut skipped = Vec::new();
        let mut ambiguous = Vec::new();
        for entry in entries {
            match key(entry) {
                Ok((kid, key)) => match keys.get(kid) {
                    Some(other) if *other != key => ambiguous.push(kid),
                    Some(_) => {}
                    None => drop(keys.insert(kid.to_owned(), key)),
                },
                Err(why) => skipped.push(Skipped {
                    kid: kid_of(entry).map(str::to_owned),
                    why,
                }),
            }
        }
        for kid in ambiguous {
            if keys.remove(kid).is_some() {
                skipped.push(Skipped {
                    kid: Some(kid.to_owned()),
                    why: Flaw::Ambiguous,
                });
            }
        }
        if keys.is_empty() {
            let reasons: Vec<String> = skipped.iter().take(5).map(ToString::to_string).collect();
            return Err(JwksRefusal::NoUsableKey(reasons.join("; ")));
        }
        Ok((Self(keys), skipped))
    }

    /// The keys of shared secrets, for these algorithms; named `secret-1` and so on.
    pub(super) fn shared<'s>(secrets: impl Iterator<Item = &'s [u8]>, algorithms: &[Algorithm]) -> Self {
        let key = |secret: &[u8]| {
            let usable = algorithms.iter().filter_map(|algorithm| {
                let key = hmac::Key::new(algorithm.hmac()?, secret);
                Some((*algorithm, Material::Shared(Box::new(key))))
            });
            VerifyingKey {
                usable: usable.collect(),
            }
        };
        Self(
            secrets
                .enumerate()
                .map(|(index, secret)| (format!("secret-{}", index + 1), key(secret)))
                .collect(),
        )
    }

    /// True for [`KeySet::shared`].
    pub(super) fn are_secrets(&self) -> bool {
        let shared = |(_, key): &(Algorithm, Material)| matches!(key, Material::Shared(_));
        self.0.values().any(|key| key.usable.iter().any(shared))
    }

    /// The keys that a token without `kid` may be signed by, with their names.
    pub(super) fn of_algorithm(&self, algorithm: Algorithm) -> impl Iterator<Item = (&str, &VerifyingKey)> {
        let fits = move |key: &VerifyingKey| key.usable.iter().any(|(a, _)| *a == algorithm);
        self.named().filter(move |(_, key)| fits(key))
    }

    /// All keys, with their names.
    pub(super) fn named(&self) -> impl Iterator<Item = (&str, &VerifyingKey)> {
        self.0.iter().map(|(kid, key)| (kid.as_str(), key))
    }

    /// The key of exactly that name.
    pub(super) fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.get(kid)
    }

    /// The names of the keys, for the log: sorted, quoted, at most 20.
    pub(super) fn names(&self) -> String {
        let mut names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        names.sort_unstable();
        let shown: Vec<String> = names
            .iter()
            .take(20)
            .map(|n| Quoted::new(n).to_string())
            .collect();
        shown.join(", ")
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl VerifyingKey {
    /// Checks `signature` over `message`.
    ///
    /// # Errors
    /// [`NotVerified`]; only `Ok` means that the holder of the private key signed `message`.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), NotVerified> {
        let (_, key) = self
            .usable
            .iter()
            .find(|(a, _)| *a == algorithm)
            .ok_or(NotVerified::Algorithm)?;
        let verified = match key {
            // Refuses signatures of any other length than the key's, and ASN.1.
            Material::Public(key) => key.verify_sig(message, signature),
            // In constant time, and the whole tag only.
            Material::Shared(key) => hmac::verify(key, message, signature),
        };
        verified.map_err(|_| NotVerified::Signature)
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&(Algorithm, Material), &(Algorithm, Material))| {
            a.0 == b.0
                && match (&a.1, &b.1) {
                    (Material::Public(a), Material::Public(b)) => a.as_ref() == b.as_ref(),
                    // Secrets are never compared: they come from the configuration, once.
                    _ => false,
                }
        };
        self.usable.len() == other.usable.len() && self.usable.iter().zip(&other.usable).all(same)
    }
}

fn kid_of(entry: &Value) -> Option<&str> {
    entry.get("kid").and_then(Value::as_str)
}

/// Members that only a private key has (RFC 7518 sections 6.2.2 and 6.3.2).
fn is_private(entry: &Value) -> bool {
    let members: &[&str] = match entry.get("kty").and_then(Value::as_str) {
        Some("RSA") => &["d", "p", "q", "dp", "dq", "qi", "oth"],
        Some("EC" | "OKP") => &["d"],
        Some("AKP") => &["priv"],
        _ => &[],
    };
    members.iter().any(|name| entry.get(name).is_some())
}

/// Reads one key.
fn key(entry: &Value) -> Result<(&str, VerifyingKey), Flaw> {
    let jwk = entry.as_object().ok_or(Flaw::NotAnObject)?;
    let kid = kid_of(entry)
        .filter(|k| (1..=MAX_KID_BYTES).contains(&k.len()))
        .ok_or(Flaw::Kid)?;
    if jwk.get("use").is_some_and(|u| u != "sig") {
        return Err(Flaw::Use);
    }
    match jwk.get("key_ops") {
        None => {}
        Some(Value::Array(ops)) if ops.iter().any(|op| op == "verify") => {}
        Some(_) => return Err(Flaw::KeyOps),
    }
    let named = match jwk.get("alg") {
        None => None,
        Some(alg) => Some(
            alg.as_str()
                .and_then(Algorithm::named)
                .ok_or(Flaw::UnknownAlgorithm)?,
        ),
    };
    let mut usable = match jwk.get("kty").and_then(Value::as_str) {
        Some("RSA") => rsa(jwk)?,
        Some("EC") => ec(jwk)?,
        Some("OKP") => okp(jwk)?,
        Some("oct") => return Err(Flaw::Symmetric),
        _ => return Err(Flaw::Kty),
    };
    usable.retain(|(algorithm, _)| named.is_none_or(|n| n == *algorithm));
    if usable.is_empty() {
        return Err(Flaw::ForeignAlgorithm);
    }
    let usable = usable
        .into_iter()
        .map(|(algorithm, key)| (algorithm, Material::Public(key)))
        .collect();
    Ok((kid, VerifyingKey { usable }))
}

fn rsa(jwk: &Map<String, Value>) -> Result<Vec<(Algorithm, ParsedPublicKey)>, Flaw> {
    let (n, e) = (member(jwk, "n")?, member(jwk, "e")?);
    // RFC 7518 section 6.3.1: no leading zero octets.
    let (Some(&n_first @ 1..), Some(n_last)) = (n.first(), n.last()) else {
        return Err(Flaw::RsaModulus);
    };
    let bits = 8 * n.len() - n_first.leading_zeros() as usize;
    if n_last % 2 == 0 || !(2048..=8192).contains(&bits) {
        return Err(Flaw::RsaModulus);
    }
    if e.first().is_none_or(|first| *first == 0) || e.len() > 5 {
        return Err(Flaw::RsaExponent);
    }
    let exponent = e.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    if exponent % 2 == 0 || !(65537..=1 << 32).contains(&exponent) {
        return Err(Flaw::RsaExponent);
    }
    let components = PublicKeyComponents { n: &n, e: &e };
    let parse = |parameters: &'static RsaParameters| {
        components
            .to_parsed_public_key(parameters)
            .map_err(|_| Flaw::RsaModulus)
    };
    Ok(vec![
        (Algorithm::Rs256, parse(&RSA_PKCS1)?),
        (Algorithm::Ps256, parse(&RSA_PSS)?),
    ])
}

fn ec(jwk: &Map<String, Value>) -> Result<Vec<(Algorithm, ParsedPublicKey)>, Flaw> {
    let (algorithm, parameters, size): (_, &'static EcdsaVerificationAlgorithm, _) =
        match jwk.get("crv").and_then(Value::as_str) {
            Some("P-256") => (Algorithm::Es256, &P256, 32),
            Some("P-384") => (Algorithm::Es384, &P384, 48),
            _ => return Err(Flaw::Curve),
        };
    let (x, y) = (member(jwk, "x")?, member(jwk, "y")?);
    if x.len() != size || y.len() != size {
        return Err(Flaw::Point);
    }
    // SEC 1 section 2.3.3, uncompressed; parsing checks that the point is on the curve.
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    let key = ParsedPublicKey::new(parameters, point).map_err(|_| Flaw::Point)?;
    Ok(vec![(algorithm, key)])
}

fn okp(jwk: &Map<String, Value>) -> Result<Vec<(Algorithm, ParsedPublicKey)>, Flaw> {
    if jwk.get("crv").is_none_or(|crv| crv != "Ed25519") {
        return Err(Flaw::Curve);
    }
    let x: [u8; 32] = member(jwk, "x")?.try_into().map_err(|_| Flaw::Point)?;
    if ed25519::is_weak(x) {
        return Err(Flaw::SmallOrder);
    }
    let key = ParsedPublicKey::new(&ED25519, x).map_err(|_| Flaw::Point)?;
    Ok(vec![(Algorithm::EdDsa, key)])
}

fn member(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Flaw> {
    let text = jwk.get(name).and_then(Value::as_str).ok_or(Flaw::Member)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Flaw::Member)
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "key {} {}", Quoted::new(kid), self.why),
            None => write!(f, "a key without name {}", self.why),
        }
    }
}

#[cfg(test)]
mod tests;
