//! The five signature algorithms, and no others.

use std::fmt;

use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, RsaParameters};

/// A signature algorithm (RFC 7518 section 3.1, RFC 8037). All are asymmetric: a key that verifies cannot sign.
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
    /// Ed25519; Ed448 is not supported.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];

    /// The name in `alg`, compared exactly.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that exact name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == name)
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
