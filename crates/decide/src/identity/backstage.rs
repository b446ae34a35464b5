//! Backstage's user tokens: who is logged in to the developer portal.
//!
//! They are told from all other tokens by `typ` in their header, which the issuer's settings check before this is asked.

use model::{Principal, PrincipalKind};

use super::claims::checked_name;
use super::issuer::Reading;
use super::refusal::TokenRefusal;

/// `typ` of user tokens.
pub(super) const USER_TYPE: &str = "vnd.backstage.user";

/// Makes the principal of a verified user token: `sub` is the user's entity reference (`user:default/jane`), `ent` those
/// that own things for the user, which become groups (`group:default/team-a`).
///
/// # Errors
/// [`TokenRefusal`] for claims of the wrong type.
pub(super) fn user(reading: &Reading<'_>) -> Result<Principal, TokenRefusal> {
    let claims = reading.claims;
    let kind = reading.kind.decide(|| Ok(PrincipalKind::User))?;
    let owned = claims.names("ent")?.into_iter();
    let groups = owned.map(|entity| checked_name("ent", entity).map(str::to_owned));
    Ok(Principal {
        name: claims.name("preferred_username")?.map(str::to_owned),
        groups: groups.collect::<Result<_, _>>()?,
        ..reading.somebody(kind)
    })
}
