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
    /// `kid`; what of it is necessary is the issuer's to say.
    pub(super) kid: Option<String>,
    /// `typ` as [`media_type`] has it.
    pub(super) typ: Option<String>,
    /// What the signature is over: header and payload as sent, with the dot between them.
    pub(super) signed: &'t str,
    /// The signature, decoded.
    pub(super) signature: Vec<u8>,
    /// The claims, as somebody claims them.
    pub(super) claims: Map<String, Value>,
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
        let (algorithm, kid, typ) = believable(&header)?;
        Ok(Self {
            algorithm,
            kid,
            typ,
            signed,
            signature: decode(signature, Part::Signature)?,
            claims: object(payload, Part::Payload)?,
        })
    }
}

/// Checks a JOSE header and takes out what is needed of it: `alg`, `kid`, `typ`.
fn believable(
    header: &Map<String, Value>,
) -> Result<(Algorithm, Option<String>, Option<String>), TokenRefusal> {
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
    let typ = match header.get("typ") {
        None => None,
        Some(Value::String(typ)) => Some(media_type(typ)),
        Some(_) => {
            return Err(TokenRefusal::Header {
                name: "typ",
                expected: "a string",
            });
        }
    };
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) if (1..=MAX_KID_BYTES).contains(&kid.len()) => Some(kid.clone()),
        Some(_) => {
            return Err(TokenRefusal::Header {
                name: "kid",
                expected: "a string of 1 to 256 bytes",
            });
        }
    };
    Ok((algorithm, kid, typ))
}

/// Media types compare without regard to case, `application/` implied (RFC 7515 section 4.1.9).
pub(super) fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    match typ.strip_prefix("application/") {
        Some(bare) => bare.to_owned(),
        None => typ,
    }
}

/// True if it is the shape that made [`Jws::parse`] refuse: this never was a JWT, and somebody else may know it. What has
/// a JOSE header is a JWT, good or bad.
pub(super) fn is_no_jwt(refusal: &TokenRefusal) -> bool {
    matches!(
        refusal,
        TokenRefusal::Segments(_) | TokenRefusal::Base64(Part::Header) | TokenRefusal::NoHeader
    )
}

/// The JSON object that a segment is.
pub(super) fn object(segment: &str, part: Part) -> Result<Map<String, Value>, TokenRefusal> {
    let decoded = decode(segment, part)?;
    if part == Part::Header && decoded.first() != Some(&b'{') {
        return Err(TokenRefusal::NoHeader);
    }
    match json::parse(&decoded) {
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
