//! Who a SciToken (version 2) speaks of: mostly of nobody by name, but of what its bearer may do.
//!
//! Version 1.0 is refused, and so is a token without `ver`, which means 1.0: those need no audience and refuse claims
//! they do not know, and their `scp` is another form of `scope`. A SciToken has no groups and no roles.

use model::{Principal, PrincipalKind};

use super::capability;
use super::claims::Claims;
use super::issuer::Reading;
use super::refusal::{ClaimFault, Quoted, TokenRefusal};
use super::wlcg::is_number;

/// The audience of tokens that are for everybody.
pub(super) const ANY_AUDIENCE: &str = "ANY";

/// Makes the principal of a verified token.
///
/// Most SciTokens name neither a client nor a login. Such a token is worth its capabilities and nothing else, and so is
/// a client, which has neither groups nor roles: that is the kind of its bearer. Without capabilities it is worth
/// nothing and is refused.
///
/// # Errors
/// [`TokenRefusal`] for other versions, for claims that are missing or of the wrong type, for scopes that spoil the
/// token ([`capability::scitokens`]), and for what speaks of nobody we know.
pub(super) fn principal(reading: &Reading<'_>) -> Result<Principal, TokenRefusal> {
    let (claims, registered) = (reading.claims, reading.registered);
    claims.refuse_id_token()?;
    check_version(claims)?;
    claims.time("nbf")?.ok_or(missing("nbf"))?;
    // `scp`, the form of version 1, is not looked at.
    claims.text("scope")?.ok_or(missing("scope"))?;
    let capabilities = capability::scitokens(&registered.scopes, reading.base_path)?;
    let client = claims.client()?;
    let (auth_time, sid) = (claims.time("auth_time")?, claims.name("sid")?);
    let logged_in = auth_time.is_some() || sid.is_some();
    let kind = reading.kind.decide(|| match client {
        Some(client) if client == registered.sub && !logged_in => Ok(PrincipalKind::Client),
        Some(_) => Ok(PrincipalKind::User),
        None if logged_in => Ok(PrincipalKind::User),
        None if !capabilities.is_empty() => Ok(PrincipalKind::Client),
        None => Err(TokenRefusal::Nobody),
    })?;
    let (username, name) = (claims.name("preferred_username")?, claims.name("name")?);
    Ok(Principal {
        name: username.or(name).map(str::to_owned),
        client: client.map(str::to_owned),
        capabilities,
        ..reading.somebody(kind)
    })
}

/// `ver`: `scitoken:2.<number>`, or the same with an `s`.
fn check_version(claims: Claims<'_>) -> Result<(), TokenRefusal> {
    const NAME: &str = "ver";
    let version = claims.text(NAME)?.ok_or(missing(NAME))?;
    let minor = version
        .strip_prefix("scitoken:2.")
        .or(version.strip_prefix("scitokens:2."));
    match minor.map(is_number) {
        Some(true) => Ok(()),
        _ => Err(TokenRefusal::ProfileVersion {
            name: NAME,
            found: Quoted::new(version),
            known: "`scitoken:2.<number>`",
        }),
    }
}

fn missing(name: &'static str) -> TokenRefusal {
    let fault = ClaimFault::Missing;
    TokenRefusal::ProfileClaim { name, fault }
}

#[cfg(test)]
mod tests;
