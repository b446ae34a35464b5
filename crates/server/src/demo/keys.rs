//! Signing keys made on the spot, for the demo's issuer and for tests that need a forger.
//!
//! Signs whatever header and claims it is given, right or wrong: a test has to be able to mint nonsense. Verifies
//! nothing.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A private key with the name it is published under.
pub struct SigningKey {
    kid: String,
    kind: KeyKind,
    pair: Pair,
}

/// What a key signs with: one JOSE algorithm (RFC 7518 section 3.1, RFC 8037) and the key type that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA-2048, PKCS #1 v1.5, SHA-256.
    Rs256,
    /// RSA-2048, PSS, SHA-256.
    Ps256,
    /// P-256, SHA-256.
    Es256,
    /// P-384, SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

/// A key could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no {alg} key could be generated; the system's source of randomness may be unavailable", alg = .0.alg())]
pub struct KeyError(pub KeyKind);

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl KeyKind {
    /// Every kind there is.
    pub const ALL: [Self; 5] = [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];

    /// The value of the `alg` header.
    pub fn alg(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl SigningKey {
    /// Makes a new key. An RSA key takes some tens of milliseconds.
    pub fn generate(kind: KeyKind, kid: impl Into<String>) -> Result<Self, KeyError> {
        let pair = match kind {
            KeyKind::Rs256 | KeyKind::Ps256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rsa),
            KeyKind::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Ecdsa),
            KeyKind::Es384 => EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).map(Pair::Ecdsa),
            KeyKind::EdDsa => Ed25519KeyPair::generate().map(Pair::Ed25519),
        };
        let pair = pair.map_err(|_| KeyError(kind))?;
        Ok(Self {
            kid: kid.into(),
            kind,
            pair,
        })
    }

    /// The name the key is published under.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What the key signs with.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The header a well-behaved issuer would write: `alg`, `kid` and `typ: JWT`.
    pub fn header(&self) -> Value {
        json!({ "alg": self.kind.alg(), "kid": self.kid, "typ": "JWT" })
    }

    /// A compact JWS (RFC 7515 section 7.1) of exactly this header and these claims; the header may lie.
    ///
    /// A signature that cannot be made (out of memory) is logged and left empty, which no verifier takes.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let mut token = unsigned(header, claims);
        let signature = self.signature(token.as_bytes()).unwrap_or_else(|| {
            tracing::error!(
                kid = self.kid,
                alg = self.kind.alg(),
                "signing failed; the token has no signature"
            );
            Vec::new()
        });
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    /// The public half as a JSON Web Key (RFC 7517) with `use`, `alg` and `kid`.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                json!({
                    "kty": "RSA",
                    "n": encode(public.modulus().big_endian_without_leading_zero()),
                    "e": encode(public.exponent().big_endian_without_leading_zero()),
                })
            }
            Pair::Ecdsa(pair) => {
                // SEC 1 uncompressed point: one byte of tag, then x and y of equal length.
                let coordinates = pair
                    .public_key()
                    .as_ref()
                    .split_first()
                    .map_or(&[][..], |(_, rest)| rest);
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                let curve = if self.kind == KeyKind::Es384 {
                    "P-384"
                } else {
                    "P-256"
                };
                json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
            }
            Pair::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()) })
            }
        };
        jwk["use"] = "sig".into();
        jwk["alg"] = self.kind.alg().into();
        jwk["kid"] = self.kid.as_str().into();
        jwk
    }

    fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        let rng = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding = if self.kind == KeyKind::Ps256 {
                    &RSA_PSS_SHA256
                } else {
                    &RSA_PKCS1_SHA256
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &rng, message, &mut signature).ok()?;
                Some(signature)
            }
            Pair::Ecdsa(pair) => Some(pair.sign(&rng, message).ok()?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Some(pair.try_sign(message).ok()?.as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The signing input of a JWS, `header.claims`; with a dot after it, it is an unsecured token (RFC 7519 section 6).
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string()), encode(claims.to_string()))
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
