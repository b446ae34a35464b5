//! What is asked: tokens of the size and shape that Keycloak gives, and `CheckRequest`s with what a browser sends.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::ask::Question;
use portcullis::demo::keys::{KeyKind, SigningKey};
use serde_json::{Value, json};

use crate::load::framed;

/// The name of the issuer; nobody looks it up, its keys are in a file.
pub(crate) const ISSUER: &str = "https://sso.example.test/realms/bench";
/// What Alice may see.
pub(crate) const HERS: &str = "/workspaces/ws-alice/files/scenes/2026/11/scene-0001.tif";
/// What she may not.
pub(crate) const NOT_HERS: &str = "/workspaces/ws-bob/files/scenes/2026/11/scene-0001.tif";

/// An issuer without a server.
#[derive(Debug)]
pub(crate) struct Issuer {
    key: SigningKey,
}

impl Issuer {
    /// One with a new RSA key of 2048 bits.
    pub(crate) fn new() -> Result<Self, String> {
        Self::with_key("bench-1")
    }

    /// The same issuer with another key, of that name.
    pub(crate) fn with_key(kid: &str) -> Result<Self, String> {
        let key = SigningKey::generate(KeyKind::Rs256, kid).map_err(|error| error.to_string())?;
        Ok(Self { key })
    }

    /// Its key set.
    pub(crate) fn jwks(&self) -> Value {
        json!({ "keys": [self.key.jwk()] })
    }

    /// The token of the user with this number, all of whom may do what Alice may. About 1.5 KB.
    pub(crate) fn token(&self, user: usize) -> String {
        self.sign(claims(user))
    }

    /// The token of Alice in these groups, and as long as if its groups were `padding` bytes longer.
    pub(crate) fn token_with_groups(&self, groups: &[String], padding: usize) -> String {
        let mut claims = claims(0);
        claims["groups"] = json!(groups);
        if padding > 0 {
            claims["note"] = "x".repeat(padding).into();
        }
        self.sign(claims)
    }

    /// What one verification of a signature takes, with a key that was parsed before: the best of many.
    pub(crate) fn verification(&self) -> Result<Duration, String> {
        let token = self.token(0);
        let (signed, signature) = token.rsplit_once('.').ok_or("a token without a signature")?;
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|error| error.to_string());
        let jwk = self.key.jwk();
        let part = |name: &str| decode(jwk[name].as_str().unwrap_or_default());
        let key = rsa_public_key(&part("n")?, &part("e")?);
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key)
            .map_err(|error| format!("the key cannot be parsed: {error}"))?;
        let signature = decode(signature)?;
        let mut least = Duration::MAX;
        for _ in 0..60 {
            let begun = Instant::now();
            for _ in 0..50 {
                key.verify_sig(signed.as_bytes(), &signature)
                    .map_err(|_| "the signature is not good")?;
            }
            least = least.min(begun.elapsed() / 50);
        }
        Ok(least)
    }

    fn sign(&self, claims: Value) -> String {
        self.key.sign(&self.key.header(), &claims)
    }
}

fn claims(user: usize) -> Value {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    json!({
        "exp": now + 24 * 3600,
        "iat": now - 10,
        "auth_time": now - 10,
        "jti": format!("onrtac:{}", uuid(user, 1)),
        "iss": ISSUER,
        "aud": ["workspace-api", "account"],
        "sub": uuid(user, 2),
        "typ": "Bearer",
        "azp": "workspace-portal",
        "sid": uuid(user, 3),
        "acr": "1",
        "allowed-origins": ["https://portal.example.test"],
        "realm_access": { "roles": ["default-roles-bench", "offline_access", "uma_authorization"] },
        "resource_access": {
            "ws-alice": { "roles": ["ws_access"] },
            "account": { "roles": ["manage-account", "manage-account-links", "view-profile"] },
        },
        "scope": "openid email profile",
        "email_verified": true,
        "name": format!("Alice Number {user:08}"),
        "groups": ["/ws-alice", "/staff"],
        "preferred_username": format!("alice-{user:08}"),
        "given_name": "Alice",
        "family_name": format!("Number {user:08}"),
        "email": format!("alice-{user:08}@example.test"),
    })
}

/// `RSAPublicKey` of RFC 8017, DER.
fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        // It is positive: its first bit must not be set.
        let bytes = [
            &[0_u8][..bytes.first().map_or(0, |first| usize::from(first >> 7))],
            bytes,
        ]
        .concat();
        tagged(0x02, &bytes)
    };
    tagged(0x30, &[integer(modulus), integer(exponent)].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len() as u16;
    let head = match length {
        0..0x80 => vec![tag, length as u8],
        _ => [&[tag, 0x82][..], &length.to_be_bytes()].concat(),
    };
    [&head, content].concat()
}

/// Something that looks like a UUID and is always the same.
fn uuid(user: usize, what: usize) -> String {
    let mixed = (user as u64 * 8 + what as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (head, tail) = (mixed >> 32, mixed & 0xFFFF_FFFF);
    format!(
        "{head:08x}-{:04x}-4{:03x}-9{:03x}-{tail:012x}",
        head & 0xFFFF,
        tail & 0xFFF,
        head & 0xFFF
    )
}

/// The headers of a browser's request, with this token.
fn headers(token: &str) -> Vec<(String, String)> {
    [
        (":authority", "api.example.test"),
        (":method", "GET"),
        (":scheme", "https"),
        (
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        ),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
        ("cache-control", "no-cache"),
        (
            "cookie",
            "theme=dark; session-hint=9f2c7a51d0b84e6e; region=eu-central; consent=2026-01-07T09%3A12%3A44Z%7Cnecessary%7Cstatistics; \
             last-visited=%2Fworkspaces%2Fws-alice%2Fbrowse%2Fcollections%2Fsentinel-2-l2a; layout=wide; tour=done; \
             _pk_id.4.1fff=7f1c2a9d5be64c0e.1767690000.; _pk_ses.4.1fff=1; locale=en-GB; zoom=11",
        ),
        (
            "referer",
            "https://portal.example.test/workspaces/ws-alice/browse",
        ),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "same-site"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        ),
        ("x-envoy-external-address", "203.0.113.7"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "0b2d0f2e-5a53-4d0e-9f0a-3b7c1d1c7f52"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into_iter()
    .chain([("authorization".to_owned(), format!("Bearer {token}"))])
    .collect()
}

/// The gRPC frame of the `CheckRequest` for a GET of `target` with this token. About 2.7 KB.
pub(crate) fn message(target: &str, token: &str) -> Vec<u8> {
    let question = Question {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        host: "api.example.test".to_owned(),
        target: target.to_owned(),
        headers: headers(token),
    };
    framed(&question.encode())
}

/// The payload of a token, for its length.
pub(crate) fn payload_bytes(token: &str) -> usize {
    let payload = token.split('.').nth(1).unwrap_or_default();
    URL_SAFE_NO_PAD.decode(payload).map_or(0, |payload| payload.len())
}

#[cfg(test)]
mod tests {
    use super::{HERS, Issuer, message, payload_bytes};

    #[test]
    fn sizes_are_those_of_real_life() {
        let issuer = Issuer::new().expect("a key");
        let token = issuer.token(7);
        assert!((1_450..1_700).contains(&token.len()), "{}", token.len());
        assert!(
            (800..1_000).contains(&payload_bytes(&token)),
            "{}",
            payload_bytes(&token)
        );
        let length = message(HERS, &token).len();
        assert!((2_600..2_850).contains(&length), "{length}");
        assert_eq!(issuer.token(123).len(), token.len());
        assert!(issuer.verification().is_ok());
    }
}
