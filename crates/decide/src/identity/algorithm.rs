//! The signature algorithms, and no others.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, RsaParameters};

/// A signature algorithm (RFC 7518 section 3.1, RFC 8037).
///
/// The symmetric ones are only for issuers whose secrets are in the configuration: no key that is published ever belongs
/// to one of them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    #[serde(rename = "PS256")]
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519, by its old name or as `Ed25519` (RFC 9864); Ed448 is not supported.
    #[serde(rename = "EdDSA", alias = "Ed25519")]
    EdDsa,
    /// HMAC with SHA-256.
    #[serde(rename = "HS256")]
    Hs256,
    /// HMAC with SHA-384.
    #[serde(rename = "HS384")]
    Hs384,
    /// HMAC with SHA-512.
    #[serde(rename = "HS512")]
    Hs512,
}

impl Algorithm {
    /// Those whose verifying key cannot sign.
    pub const ASYMMETRIC: [Self; 5] = [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];
    /// Those whose verifying key is the signing key.
    pub const SYMMETRIC: [Self; 3] = [Self::Hs256, Self::Hs384, Self::Hs512];

    /// The name in `alg`, compared exactly.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// The algorithm of that exact name.
    pub fn named(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            // RFC 9864 section 2.2: the same as `EdDSA` with this curve.
            return Some(Self::EdDsa);
        }
        let all = Self::ASYMMETRIC.into_iter().chain(Self::SYMMETRIC);
        all.into_iter().find(|a| a.as_str() == name)
    }

    /// The MAC of a symmetric algorithm.
    pub(super) fn hmac(self) -> Option<hmac::Algorithm> {
        match self {
            Self::Hs256 => Some(hmac::HMAC_SHA256),
            Self::Hs384 => Some(hmac::HMAC_SHA384),
            Self::Hs512 => Some(hmac::HMAC_SHA512),
            Self::Rs256 | Self::Ps256 | Self::Es256 | Self::Es384 | Self::EdDsa => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// PKCS#1 v1.5 padding, 2048 to 8192 bits.
pub(super) static RSA_PKCS1: RsaParameters = signature::RSA_PKCS1_2048_8192_SHA256;
/// PSS padding with a salt as long as the digest, 2048 to 8192 bits.
pub(super) static RSA_PSS: RsaParameters = signature::RSA_PSS_2048_8192_SHA256;
/// Fixed-length r and s (RFC 7518 section 3.4), never ASN.1.
pub(super) static P256: EcdsaVerificationAlgorithm = signature::ECDSA_P256_SHA256_FIXED;
/// As [`P256`].
pub(super) static P384: EcdsaVerificationAlgorithm = signature::ECDSA_P384_SHA384_FIXED;
