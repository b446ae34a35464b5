//! Who an access token of any OpenID Connect provider speaks of: a user, or a client acting for itself.
//!
//! There is no robot here: that an account is not a person is something only a provider's own claims can say.

use model::{Principal, PrincipalKind};

use super::claims::{Claims, Registered, fault};
use super::jws::Purpose;
use super::refusal::{ClaimFault, TokenRefusal};

/// Claims that bind an ID token to a login (OpenID Connect Core sections 2 and 3.3.2.11); no access token has them.
const ID_TOKEN_CLAIMS: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];

/// Claims that providers give to access tokens and not to ID tokens (RFC 9068 section 2.2). `azp` is not one of them.
const ACCESS_TOKEN_CLAIMS: [&str; 3] = ["client_id", "scope", "scp"];

/// Makes the principal of a verified token from the issuer of that short name.
///
/// `client_id` is RFC 9068's name of the client (section 2.2), `azp` the older one; where both are, they must agree.
///
/// # Errors
/// [`TokenRefusal`] for ID tokens, for what nothing marks as an access token, and for claims of the wrong type. The
/// audience alone does not tell them apart: an ID token's is its client, which may have the name of an API.
pub(super) fn principal(
    claims: Claims<'_>,
    registered: &Registered,
    issuer: &str,
    purpose: Purpose,
) -> Result<Principal, TokenRefusal> {
    if let Some(name) = ID_TOKEN_CLAIMS
        .into_iter()
        .find(|name| claims.0.contains_key(*name))
    {
        return Err(TokenRefusal::IdToken(name));
    }
    let marked = ACCESS_TOKEN_CLAIMS
        .iter()
        .any(|name| claims.0.contains_key(*name));
    if purpose == Purpose::Unsaid && !marked {
        return Err(TokenRefusal::NotAnAccessToken);
    }
    let client = match (claims.name("client_id")?, claims.name("azp")?) {
        (Some(client_id), Some(azp)) if client_id != azp => {
            return Err(fault("azp", ClaimFault::Not("the same as `client_id`")));
        }
        (client_id, azp) => client_id.or(azp),
    };
    let groups = claims.names("groups")?;
    let kind = if client == Some(&registered.subject) {
        PrincipalKind::Client
    } else {
        PrincipalKind::User
    };
    Ok(Principal {
        name: claims.name("preferred_username")?.map(str::to_owned),
        client: client.map(str::to_owned),
        groups: match kind {
            PrincipalKind::User => groups.into_iter().map(str::to_owned).collect(),
            // A client belongs to no group, whatever its token says.
            _ => Vec::new(),
        },
        roles: Vec::new(),
        scopes: claims.scopes()?,
        ..Principal::new(kind, issuer, &registered.subject)
    })
}

#[cfg(test)]
mod tests;
