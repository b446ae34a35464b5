//! The members of an answer (RFC 7662 section 2.2), checked like the claims of a JWT.

use std::time::{Instant, SystemTime};

use serde_json::Value;

use super::IntrospectionSettings;
use crate::identity::claims::{self, Claims, Demands, Registered, fault};
use crate::identity::refusal::{ClaimFault, Quoted, TokenRefusal};

/// By how many seconds `nbf` and `iat` may lie in our future; `exp` gets nothing, the endpoint has the last word.
const LEEWAY: f64 = 30.0;

/// Values of `typ` in the answers of Keycloak that are no access tokens.
const OTHER_TYPES: [&str; 3] = ["ID", "Refresh", "Offline"];

/// Checks the claims of an active answer at the time `now`. Without `exp` they are good for as long as an answer is
/// believed. Without `sub` (RFC 7662 leaves it open) the subject is the client, unless a `username` says otherwise.
///
/// # Errors
/// [`TokenRefusal`] naming the first claim that is not as it must be.
pub(in crate::identity) fn registered(
    claims: Claims<'_>,
    settings: &IntrospectionSettings,
    now: SystemTime,
) -> Result<Registered, TokenRefusal> {
    if let Some(issuer) = &settings.issuer {
        match claims.name("iss")? {
            Some(iss) if iss == issuer => {}
            Some(iss) => return Err(TokenRefusal::UnknownIssuer(Quoted::new(iss))),
            None => return Err(fault("iss", ClaimFault::Missing)),
        }
    }
    match claims.text("token_type")? {
        Some(kind) if !is_access_token(kind) => return Err(TokenRefusal::TokenType(Quoted::new(kind))),
        _ => {}
    }
    match claims.text("typ")? {
        Some(typ) if OTHER_TYPES.iter().any(|other| other.eq_ignore_ascii_case(typ)) => {
            return Err(TokenRefusal::KeycloakType(Quoted::new(typ)));
        }
        _ => {}
    }
    let seconds = claims::unix_seconds(now);
    let mut whole = claims.0.clone();
    if !whole.contains_key("sub") && !whole.contains_key("username") {
        // For checking it as a subject; a `client_id` that is no string is refused as such.
        if let Some(client) = claims.name("client_id")? {
            whole.insert("sub".to_owned(), client.into());
        }
    }
    let expires_at = match claims.time("exp")? {
        Some(exp) if claims::has_expired(exp, 0.0, seconds) => {
            return Err(TokenRefusal::Expired {
                ago: seconds - exp,
                exp,
                leeway: 0.0,
            });
        }
        Some(exp) => exp,
        None => {
            let end = seconds + settings.cache_seconds as f64;
            whole.insert("exp".to_owned(), Value::from(end + LEEWAY));
            end
        }
    };
    let demands = Demands {
        audiences: settings.audiences.clone(),
        expiry_leeway: LEEWAY,
        start_leeway: LEEWAY,
        max_lifetime: None,
    };
    let checked = Registered::check(Claims(&whole), &demands, now)?;
    Ok(Registered {
        expires_at,
        ..checked
    })
}

/// True while what was registered still counts: by both clocks. `now` in Unix seconds.
pub(in crate::identity) fn still_holds(registered: &Registered, now: f64) -> bool {
    let believed = registered
        .believed_until
        .is_none_or(|until| Instant::now() < until);
    believed && now < registered.expires_at
}

/// RFC 6749 section 7.1: `Bearer`, in any letter case; some servers give the kind of token of RFC 8693 in its place.
fn is_access_token(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("Bearer") || kind.eq_ignore_ascii_case("access_token")
}
