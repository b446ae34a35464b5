//! Keys, issuers and tokens for the tests of this module.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Principal;
use serde_json::{Map, Value, json};

use super::algorithm::Algorithm;
use super::claims::{Claims, Registered};
use super::issuer::{Issuer, Purpose};
use super::jwks::KeySet;
use super::refusal::TokenRefusal;
use super::settings::IssuerSettings;

/// When all tests happen.
pub(super) const NOW: u64 = 1_800_000_000;
pub(super) const ISSUER_A: &str = "https://a.test/realms/one";
pub(super) const ISSUER_B: &str = "https://b.test";
pub(super) const OURS: &str = "portcullis";

pub(super) fn now() -> SystemTime {
    at(NOW)
}

pub(super) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A key pair with the name and algorithm it is published under.
pub(super) struct TestKey {
    pub(super) kid: &'static str,
    pub(super) algorithm: Algorithm,
    pub(super) secret: Secret,
}

pub(super) enum Secret {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl TestKey {
    pub(super) fn new(kid: &'static str, algorithm: Algorithm) -> Self {
        let secret = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                Secret::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
            }
            Algorithm::Es256 => {
                Secret::Ec(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
            }
            Algorithm::Es384 => {
                Secret::Ec(EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
            }
            Algorithm::EdDsa => Secret::Ed(Ed25519KeyPair::generate().unwrap()),
            symmetric => panic!("{symmetric} has no key pair"),
        };
        Self {
            kid,
            algorithm,
            secret,
        }
    }

    /// The public key with `kid`, `alg` and `use`.
    pub(super) fn jwk(&self) -> Value {
        let mut jwk = match &self.secret {
            Secret::Rsa(pair) => {
                let (n, e) = rsa_components(pair.public_key().as_ref());
                json!({"kty": "RSA", "n": b64(n), "e": b64(e)})
            }
            Secret::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let crv = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": crv, "x": b64(x), "y": b64(y)})
            }
            Secret::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key())}),
        };
        jwk["kid"] = self.kid.into();
        jwk["alg"] = self.algorithm.as_str().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// The public key as SubjectPublicKeyInfo.
    pub(super) fn spki(&self) -> Vec<u8> {
        match &self.secret {
            Secret::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Secret::Ec(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Secret::Ed(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Rsa(_) if self.algorithm == Algorithm::Ps256 => {
                self.sign_rsa(&signature::RSA_PSS_SHA256, message)
            }
            Secret::Rsa(_) => self.sign_rsa(&signature::RSA_PKCS1_SHA256, message),
            Secret::Ec(pair) => pair
                .sign(&SystemRandom::new(), message)
                .unwrap()
                .as_ref()
                .to_vec(),
            Secret::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    pub(super) fn sign_rsa(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let Secret::Rsa(pair) = &self.secret else {
            panic!("{} is not an RSA key", self.kid)
        };
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
            .unwrap();
        signature
    }
}

/// Modulus and exponent out of the DER of an `RSAPublicKey` (RFC 8017 appendix A.1.1) of 2048 bits.
fn rsa_components(der: &[u8]) -> (&[u8], &[u8]) {
    assert_eq!(der[..2], [0x30, 0x82]);
    assert_eq!(der[4..9], [0x02, 0x82, 0x01, 0x01, 0x00]);
    assert_eq!(der[265..267], [0x02, 0x03]);
    (&der[9..265], &der[267..])
}

/// Every key of the tests; generated once.
pub(super) struct Keys {
    pub(super) a_rsa: TestKey,
    pub(super) a_ps: TestKey,
    pub(super) a_plain: TestKey,
    pub(super) a_enc: TestKey,
    pub(super) a_ec: TestKey,
    pub(super) a_ec384: TestKey,
    pub(super) a_ed: TestKey,
    pub(super) a_shared: TestKey,
    pub(super) b_ec: TestKey,
    pub(super) b_rsa: TestKey,
    pub(super) b_shared: TestKey,
    /// The attacker's, under the name of one of A's.
    pub(super) mallory: TestKey,
}

pub(super) static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    a_rsa: TestKey::new("a-rsa-1", Algorithm::Rs256),
    a_ps: TestKey::new("a-ps-1", Algorithm::Ps256),
    a_plain: TestKey::new("a-plain-1", Algorithm::Rs256),
    a_enc: TestKey::new("a-enc-1", Algorithm::Rs256),
    a_ec: TestKey::new("a-ec-1", Algorithm::Es256),
    a_ec384: TestKey::new("a-ec-384", Algorithm::Es384),
    a_ed: TestKey::new("a-ed-1", Algorithm::EdDsa),
    a_shared: TestKey::new("shared-kid", Algorithm::Es256),
    b_ec: TestKey::new("b-ec-1", Algorithm::Es256),
    b_rsa: TestKey::new("b-rsa-1", Algorithm::Rs256),
    b_shared: TestKey::new("shared-kid", Algorithm::Es256),
    mallory: TestKey::new("a-rsa-1", Algorithm::Rs256),
});

/// What issuer A publishes: one key per algorithm, one RSA key that does not name its algorithm, one for encryption.
pub(super) fn jwks_a() -> Vec<Value> {
    let keys = &*KEYS;
    let mut jwks: Vec<Value> = [
        &keys.a_rsa,
        &keys.a_ps,
        &keys.a_ec,
        &keys.a_ec384,
        &keys.a_ed,
        &keys.a_shared,
    ]
    .map(TestKey::jwk)
    .into();
    let mut plain = keys.a_plain.jwk();
    plain.as_object_mut().unwrap().remove("alg");
    let mut enc = keys.a_enc.jwk();
    enc["use"] = "enc".into();
    jwks.extend([plain, enc]);
    jwks
}

pub(super) fn jwks_b() -> Vec<Value> {
    [&KEYS.b_ec, &KEYS.b_rsa, &KEYS.b_shared].map(TestKey::jwk).into()
}

pub(super) fn document(keys: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({ "keys": keys })).unwrap()
}

pub(super) fn settings(name: &str, issuer: &str) -> IssuerSettings {
    serde_json::from_value(json!({"name": name, "issuer": issuer, "audiences": [OURS]})).unwrap()
}

/// The principal that an issuer of these settings, called `main`, makes of an access token with these claims.
pub(super) fn principal(changes: Value, subject: &str, claims: &Value) -> Result<Principal, TokenRefusal> {
    principal_of(Purpose::Access, changes, subject, claims)
}

pub(super) fn principal_of(
    purpose: Purpose,
    changes: Value,
    subject: &str,
    claims: &Value,
) -> Result<Principal, TokenRefusal> {
    let mut settings = json!({"name": "main", "issuer": ISSUER_A, "audiences": [OURS]});
    for (name, value) in changes.as_object().unwrap() {
        settings[name] = value.clone();
    }
    let settings: IssuerSettings = serde_json::from_value(settings).unwrap();
    let issuer = Issuer::with_keys(&settings, super::keys::tests::holding(KeySet::default()));
    let registered = registered(subject, claims)?;
    issuer.principal(claims.as_object().unwrap(), &registered, purpose)
}

/// What was checked of claims that have a subject, and perhaps `jti`, `iat` and `scope`.
fn registered(subject: &str, claims: &Value) -> Result<Registered, TokenRefusal> {
    let claims = Claims(claims.as_object().unwrap());
    Ok(Registered {
        token_id: claims.name("jti")?.map(str::to_owned),
        issued_at: claims.time("iat")?,
        scopes: claims.scopes()?,
        expires_at: 0.0,
        ..Registered::without_end(subject)
    })
}

/// A token in the making; by default a good one of issuer A for a user.
#[derive(Clone)]
pub(super) struct Token {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    raw_header: Option<Vec<u8>>,
    raw_claims: Option<Vec<u8>>,
    key: &'static TestKey,
}

/// A good token signed by `key`.
pub(super) fn token(key: &'static TestKey) -> Token {
    let Value::Object(header) = json!({"alg": key.algorithm.as_str(), "typ": "JWT", "kid": key.kid}) else {
        unreachable!()
    };
    let Value::Object(claims) = json!({
        "iss": ISSUER_A, "aud": OURS, "sub": "user-1", "exp": NOW + 300, "iat": NOW - 5,
        "jti": "onrtac:0f1e", "typ": "Bearer", "azp": "portal", "sid": "s-1",
        "preferred_username": "alice", "groups": ["/ws-alice"], "scope": "openid roles"
    }) else {
        unreachable!()
    };
    Token {
        header,
        claims,
        raw_header: None,
        raw_claims: None,
        key,
    }
}

impl Token {
    pub(super) fn head(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn no_head(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    pub(super) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn no_claim(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    pub(super) fn raw_header(mut self, header: impl Into<Vec<u8>>) -> Self {
        self.raw_header = Some(header.into());
        self
    }

    pub(super) fn raw_claims(mut self, claims: impl Into<Vec<u8>>) -> Self {
        self.raw_claims = Some(claims.into());
        self
    }

    /// The claims with one more member, written as it stands: `"exp":0x10`. Replaces a claim of that name.
    pub(super) fn raw_member(mut self, name: &str, text: &str) -> Self {
        self.claims.remove(name);
        let rest = serde_json::to_string(&self.claims).unwrap();
        self.raw_claims = Some(format!("{{\"{name}\":{text},{}", &rest[1..]).into_bytes());
        self
    }

    pub(super) fn claims_text(&self) -> String {
        serde_json::to_string(&self.claims).unwrap()
    }

    pub(super) fn header_text(&self) -> String {
        serde_json::to_string(&self.header).unwrap()
    }

    /// Header and payload, encoded, with the dot between them.
    pub(super) fn unsigned(&self) -> String {
        let header = self
            .raw_header
            .clone()
            .unwrap_or_else(|| self.header_text().into_bytes());
        let claims = self
            .raw_claims
            .clone()
            .unwrap_or_else(|| self.claims_text().into_bytes());
        format!("{}.{}", b64(header), b64(claims))
    }

    /// With a signature made by `sign` over what is to be signed.
    pub(super) fn signed(&self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let unsigned = self.unsigned();
        let signature = sign(unsigned.as_bytes());
        format!("{unsigned}.{}", b64(signature))
    }

    pub(super) fn mint(&self) -> String {
        self.signed(|message| self.key.sign(message))
    }
}

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn unb64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}
