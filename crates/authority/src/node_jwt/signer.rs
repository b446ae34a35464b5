//! Our own keys: they sign what we send to other nodes, and are published so that those can check it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::{Value, json};

use crate::network_settings::NetworkSettings;
use crate::{Authority, StoreError};

/// How long keys of the store are used without another look: a rotated one is published for longer before it signs.
const KEPT: Duration = Duration::from_secs(10);
/// How long the store is not looked into again after it failed.
const FAILED: Duration = Duration::from_secs(1);

/// The keys that sign tokens for other nodes: the first signs, all are published.
pub(crate) struct NodeSigner {
    keys: Vec<NodeKey>,
}

/// Where the keys are from.
#[derive(Debug)]
pub(super) enum Signer {
    /// The configuration.
    Configured(Arc<NodeSigner>),
    /// The store, which rotates them.
    Stored(Stored),
}

/// Keys of the store.
#[derive(Debug, Default)]
pub(super) struct Stored {
    last: Mutex<Last>,
    /// Held over a look into the store.
    looking: tokio::sync::Mutex<()>,
}

/// What came of the last look into the store.
#[derive(Debug, Default)]
struct Last {
    /// The keys, as of the last look that brought some.
    signer: Option<Arc<NodeSigner>>,
    /// Why there are none.
    failure: Option<NotSigned>,
    /// When to look again; before that, this is the answer.
    again: Option<Instant>,
}

/// An RSA key.
struct NodeKey {
    /// Its thumbprint (RFC 7638), as Magpie names its keys.
    kid: String,
    signing: EncodingKey,
    /// As published.
    public: Value,
}

/// A key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnusableKey {
    /// Which of them, counted from 0.
    pub(crate) index: usize,
    /// Why not.
    pub(crate) why: String,
}

/// Nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no token could be signed for another node: {0}")]
pub struct NotSigned(pub String);

impl Signer {
    /// # Errors
    /// A key that cannot be used.
    pub(super) fn new(settings: &NetworkSettings) -> Result<Self, String> {
        if settings.private_keys.is_empty() {
            return Ok(Self::Stored(Stored::default()));
        }
        let signer = NodeSigner::from_pem(settings.pems()).map_err(|unusable| unusable.why)?;
        Ok(Self::Configured(Arc::new(signer)))
    }

    /// The keys of now, or the last ones while the store is away: what other nodes were sent is checked with them. Whoever
    /// could have more signed is denied once the view of the store is too old.
    ///
    /// # Errors
    /// The store does not have them.
    pub(super) async fn get(&self, authority: &Authority) -> Result<Arc<NodeSigner>, NotSigned> {
        let stored = match self {
            Self::Configured(signer) => return Ok(Arc::clone(signer)),
            Self::Stored(stored) => stored,
        };
        if let Some(answer) = stored.last().answer(Instant::now()) {
            return answer;
        }
        let _looking = match stored.looking.try_lock() {
            Ok(looking) => looking,
            Err(_) => {
                let last = stored.last().signer.clone();
                if let Some(signer) = last {
                    return Ok(signer);
                }
                stored.looking.lock().await
            }
        };
        if let Some(answer) = stored.last().answer(Instant::now()) {
            return answer;
        }
        let pems = authority.node_keys().await;
        stored.last().looked(pems, Instant::now())
    }
}

impl Stored {
    /// Never held over anything that waits.
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Last {
    /// `None`: the store has to be looked into.
    fn answer(&self, now: Instant) -> Option<Result<Arc<NodeSigner>, NotSigned>> {
        self.again.filter(|again| now < *again)?;
        let signer = self.signer.clone().map(Ok);
        signer.or_else(|| self.failure.clone().map(Err))
    }

    /// What the store said.
    fn looked(
        &mut self,
        pems: Result<Vec<SecretString>, StoreError>,
        now: Instant,
    ) -> Result<Arc<NodeSigner>, NotSigned> {
        let away = matches!(pems, Err(StoreError::Unavailable(_)));
        let found = pems
            .map_err(|error| NotSigned(error.to_string()))
            .and_then(|pems| {
                let pems = pems.iter().map(|pem| pem.expose_secret());
                NodeSigner::from_pem(pems).map_err(|unusable| NotSigned(unusable.why))
            });
        self.again = Some(now + if found.is_ok() { KEPT } else { FAILED });
        match (found, &self.signer) {
            (Ok(signer), _) => {
                let signer = Arc::new(signer);
                self.signer = Some(Arc::clone(&signer));
                Ok(signer)
            }
            (Err(_), Some(signer)) if away => Ok(Arc::clone(signer)),
            (Err(failure), _) => {
                self.signer = None;
                self.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }
}

impl NodeSigner {
    /// Of private keys in PEM (PKCS#8 or PKCS#1).
    ///
    /// # Errors
    /// The first key that is no RSA key of at least 2048 bits.
    pub(crate) fn from_pem<'p>(pems: impl Iterator<Item = &'p str>) -> Result<Self, UnusableKey> {
        let keys = pems.enumerate().map(|(index, pem)| {
            let key = EncodingKey::from_rsa_pem(pem.as_bytes())
                .map_err(|_| "this is no RSA key in PEM without a password".to_owned());
            key.and_then(NodeKey::new)
                .map_err(|why| UnusableKey { index, why })
        });
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
        })
    }

    /// A JWT with these claims, by RS256 with the first key.
    ///
    /// # Errors
    /// There is no key, or it cannot sign.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<String, NotSigned> {
        let Some(key) = self.keys.first() else {
            return Err(NotSigned("there is no key".to_owned()));
        };
        let header = Header {
            kid: Some(key.kid.clone()),
            ..Header::new(Algorithm::RS256)
        };
        jsonwebtoken::encode(&header, claims, &key.signing).map_err(|error| NotSigned(error.to_string()))
    }

    /// The public halves (RFC 7517): `{"keys": […]}`.
    pub(crate) fn jwks(&self) -> Value {
        let keys: Vec<&Value> = self.keys.iter().map(|key| &key.public).collect();
        json!({ "keys": keys })
    }
}

impl NodeKey {
    fn new(signing: EncodingKey) -> Result<Self, String> {
        let unreadable = |_| "this is no RSA key that can be read".to_owned();
        let jwk = Jwk::from_encoding_key(&signing, Algorithm::RS256).map_err(unreadable)?;
        let AlgorithmParameters::RSA(rsa) = &jwk.algorithm else {
            return Err("this is no RSA key".to_owned());
        };
        let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).unwrap_or_default();
        if modulus.iter().skip_while(|byte| **byte == 0).count() < 256 {
            return Err("the key has fewer than 2048 bits".to_owned());
        }
        // RFC 7638 section 3: the required members in this order, without blanks.
        let canonical = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, rsa.e, rsa.n);
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()));
        let public =
            json!({ "kty": "RSA", "n": rsa.n, "e": rsa.e, "kid": kid, "alg": "RS256", "use": "sig" });
        Ok(Self { kid, signing, public })
    }
}

impl std::fmt::Debug for NodeSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kids = self.keys.iter().map(|key| &key.kid);
        f.debug_list().entries(kids).finish()
    }
}

#[cfg(test)]
mod tests;
