//! The compact serialisation of a signed JWT (RFC 7515, RFC 7519), parsed strictly and not yet believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::refusal::{Part, Quoted, TokenRefusal};
use super::{credentials, json};

/// Longest `kid` that is looked up, in bytes.
pub(super) const MAX_KID_BYTES: usize = 256;

/// Header parameters that change what the token means. `jku`, `x5u`, `jwk` and `x5c` are not here: they are ignored,
/// because keys come from the issuer's configuration only.
const FORBIDDEN: [&str; 5] = ["crit", "b64", "zip", "enc", "cty"];

/// A token taken apart.
#[derive(Debug)]
pub(super) struct Jws<'t> {
    /// `alg`.
    pub(super) algorithm: Algorithm,
    /// `kid`.
    pub(super) kid: String,
    /// What `typ` says of its purpose.
    pub(super) purpose: Purpose,
    /// What the signature is over: header and payload as sent, with the dot between them.
    pub(super) signed: &'t str,
    /// The signature, decoded.
    pub(super) signature: Vec<u8>,
    /// The claims, as somebody claims them.
    pub(super) claims: Map<String, Value>,
}

/// What the `typ` of a header says the token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// `at+jwt`: an access token (RFC 9068 section 2.1).
    Access,
    /// `JWT`, or nothing: any kind of token.
    Unsaid,
}

impl<'t> Jws<'t> {
    /// Takes `token` apart.
    ///
    /// # Errors
    /// [`TokenRefusal`] for everything that is not exactly one signed JWT by one of our algorithms.
    pub(super) fn parse(token: &'t str) -> Result<Self, TokenRefusal> {
        if token.len() > credentials::MAX_TOKEN_BYTES {
            return Err(TokenRefusal::TooLong(token.len()));
        }
        let mut segments = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(TokenRefusal::Segments(token.split('.').count()));
        };
        let signed = token
            .strip_suffix(signature)
            .and_then(|rest| rest.strip_suffix('.'));
        let signed = signed.ok_or(TokenRefusal::Segments(3))?;
        let header = object(header, Part::Header)?;
        let (algorithm, kid, purpose) = believable(&header)?;
        Ok(Self {
            algorithm,
            kid,
            purpose,
            signed,
            signature: decode(signature, Part::Signature)?,
            claims: object(payload, Part::Payload)?,
        })
    }
}

/// Checks a JOSE header and takes out what is needed of it.
fn believable(header: &Map<String, Value>) -> Result<(Algorithm, String, Purpose), TokenRefusal> {
    if let Some(name) = FORBIDDEN.into_iter().find(|name| header.contains_key(*name)) {
        return Err(TokenRefusal::HeaderForbidden(name));
    }
    let Some(Value::String(alg)) = header.get("alg") else {
        return Err(TokenRefusal::Header {
            name: "alg",
            expected: "a string",
        });
    };
    let algorithm = Algorithm::named(alg).ok_or_else(|| TokenRefusal::UnknownAlgorithm(Quoted::new(alg)))?;
    let purpose = match header.get("typ") {
        None => Purpose::Unsaid,
        Some(Value::String(typ)) => purpose(typ).ok_or_else(|| TokenRefusal::TokenType(Quoted::new(typ)))?,
        Some(_) => {
            return Err(TokenRefusal::Header {
                name: "typ",
                expected: "a string",
            });
        }
    };
    match header.get("kid") {
        Some(Value::String(kid)) if (1..=MAX_KID_BYTES).contains(&kid.len()) => {
            Ok((algorithm, kid.clone(), purpose))
        }
        _ => Err(TokenRefusal::Header {
            name: "kid",
            expected: "a string of 1 to 256 bytes",
        }),
    }
}

/// Media types compare without regard to case, `application/` implied. Everything else is a token of another kind.
fn purpose(typ: &str) -> Option<Purpose> {
    let typ = typ.to_ascii_lowercase();
    match typ.strip_prefix("application/").unwrap_or(&typ) {
        "at+jwt" => Some(Purpose::Access),
        "jwt" => Some(Purpose::Unsaid),
        _ => None,
    }
}

/// The JSON object that a segment is.
pub(super) fn object(segment: &str, part: Part) -> Result<Map<String, Value>, TokenRefusal> {
    match json::parse(&decode(segment, part)?) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(TokenRefusal::Json {
            part,
            why: "not an object".to_owned(),
        }),
        Err(why) => Err(TokenRefusal::Json { part, why }),
    }
}

/// Canonical base64url: the engine refuses padding, foreign characters and unused bits that are not zero.
fn decode(segment: &str, part: Part) -> Result<Vec<u8>, TokenRefusal> {
    URL_SAFE_NO_PAD
        .decode(segment)
        .map_err(|_| TokenRefusal::Base64(part))
}

#[cfg(test)]
mod tests;
