//! Who an access token of any OpenID Connect provider speaks of: a user, or a client acting for itself.
//!
//! There is no robot here: that an account is not a person is something only a provider's own claims can say.

use model::{Principal, PrincipalKind};

use super::issuer::{Purpose, Reading};
use super::refusal::TokenRefusal;

/// Claims that providers give to access tokens and not to ID tokens (RFC 9068 section 2.2). `azp` is not one of them.
const ACCESS_TOKEN_CLAIMS: [&str; 3] = ["client_id", "scope", "scp"];

/// Makes the principal of a verified token.
///
/// # Errors
/// [`TokenRefusal`] for ID tokens, for what nothing marks as an access token, and for claims of the wrong type. The
/// audience alone does not tell them apart: an ID token's is its client, which may have the name of an API.
pub(super) fn principal(reading: &Reading<'_>) -> Result<Principal, TokenRefusal> {
    let claims = reading.claims;
    claims.refuse_id_token()?;
    let marked = ACCESS_TOKEN_CLAIMS
        .iter()
        .any(|name| claims.0.contains_key(*name));
    if reading.purpose == Purpose::Unsaid && !marked {
        return Err(TokenRefusal::NotAnAccessToken);
    }
    let client = claims.client()?;
    let groups = claims.names("groups")?;
    // Somebody whose name is that of a client is no client.
    let logged_in = claims.name("sid")?.is_some() || claims.time("auth_time")?.is_some();
    let kind = reading.kind.decide(|| {
        Ok(match client {
            Some(client) if client == reading.registered.sub && !logged_in => PrincipalKind::Client,
            _ => PrincipalKind::User,
        })
    })?;
    Ok(Principal {
        name: claims.name("preferred_username")?.map(str::to_owned),
        client: client.map(str::to_owned),
        groups: groups.into_iter().map(str::to_owned).collect(),
        ..reading.somebody(kind)
    })
}

#[cfg(test)]
mod tests;
