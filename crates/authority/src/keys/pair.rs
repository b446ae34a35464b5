//! One key pair: made, read from PEM, named.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey};
use jwt_simple::algorithms::Ed25519KeyPair;

use super::KeyUse;

/// A key pair of the house.
pub(crate) enum Pair {
    /// Signs delegated tokens (EdDSA).
    Token(Box<Ed25519KeyPair>),
    /// Signs what other nodes verify (RS256): PKCS#8.
    Node(Vec<u8>),
}

impl Pair {
    /// A new one; `None` if the system has no randomness.
    pub(crate) fn generate(usage: KeyUse) -> Option<Self> {
        match usage {
            KeyUse::Tokens => Some(Self::Token(Box::new(Ed25519KeyPair::generate()))),
            KeyUse::Nodes => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
                Some(Self::Node(pair.as_der().ok()?.as_ref().to_vec()))
            }
        }
    }

    /// An Ed25519 key in a PEM text (PKCS#8, not encrypted).
    pub(crate) fn token_from_pem(pem: &str) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pem(pem.trim()).ok()?;
        Some(Self::Token(Box::new(pair)))
    }

    /// What [`Self::private`] gave.
    pub(crate) fn from_private(usage: KeyUse, bytes: Vec<u8>) -> Option<Self> {
        match usage {
            KeyUse::Tokens => {
                let pair = Ed25519KeyPair::from_bytes(&bytes).ok()?;
                Some(Self::Token(Box::new(pair)))
            }
            KeyUse::Nodes => {
                let pair = RsaKeyPair::from_pkcs8(&bytes).ok()?;
                (pair.public_modulus_len() >= 256).then_some(Self::Node(bytes))
            }
        }
    }

    /// The private part.
    pub(crate) fn private(&self) -> Vec<u8> {
        match self {
            Self::Token(pair) => pair.to_bytes(),
            Self::Node(pkcs8) => pkcs8.clone(),
        }
    }

    /// The public part as the store keeps it: the 32 bytes of an Ed25519 key, the required members of an RSA one.
    pub(crate) fn public(&self) -> Option<String> {
        match self {
            Self::Token(pair) => Some(super::hex(&pair.public_key().to_bytes())),
            Self::Node(_) => self.canonical(),
        }
    }

    /// Its name: the thumbprint of the public part (RFC 7638), the same wherever the key is.
    pub(crate) fn kid(&self) -> Option<String> {
        let thumbprint = digest(&SHA256, self.canonical()?.as_bytes());
        Some(URL_SAFE_NO_PAD.encode(thumbprint))
    }

    /// The private key in PEM, of a key for nodes.
    pub(crate) fn node_pem(&self) -> Option<String> {
        let Self::Node(pkcs8) = self else {
            return None;
        };
        let body = STANDARD.encode(pkcs8);
        Some(format!(
            "-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"
        ))
    }

    /// The required members of the JWK, in the order of their names and without blanks (RFC 7638 section 3).
    fn canonical(&self) -> Option<String> {
        match self {
            Self::Token(pair) => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key().to_bytes());
                Some(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#))
            }
            Self::Node(_) => {
                let key = EncodingKey::from_rsa_pem(self.node_pem()?.as_bytes()).ok()?;
                let jwk = Jwk::from_encoding_key(&key, Algorithm::RS256).ok()?;
                let AlgorithmParameters::RSA(rsa) = jwk.algorithm else {
                    return None;
                };
                Some(format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, rsa.e, rsa.n))
            }
        }
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pair").field(&self.kid()).finish()
    }
}
