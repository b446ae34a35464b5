//! Backstage's tokens: users of the developer portal ([`user`]), and callers from outside that its configuration names
//! ([`External`]).
//!
//! All are told apart by `typ` in their header. Tokens that plugins make for each other are refused ([`internal`]) unless
//! the settings list the plugin: each is for the plugin it calls. Those that browsers send in a cookie are refused unless the
//! settings name their keys ([`limited`]).

use model::{Principal, PrincipalKind};

use super::claims::checked_name;
use super::issuer::Reading;
use super::jws::Jws;
use super::refusal::TokenRefusal;
use super::settings::short_name;
use crate::problem::Problem;

mod entries;
mod external;
mod fault;
mod limited;
mod part;
mod plugins;
mod restrictions;
mod settings;

pub(super) use self::external::External;
pub use self::settings::BackstageSettings;

/// `typ` of user tokens.
pub(super) const USER_TYPE: &str = "vnd.backstage.user";
/// What every `typ` of Backstage's own tokens begins with.
const OWN_TYPES: &str = "vnd.backstage.";

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

/// Why a token is nobody's that could call from outside: Backstage makes it for its own use.
pub(super) fn internal(jws: &Jws<'_>) -> Option<TokenRefusal> {
    match jws.typ.as_deref()?.strip_prefix(OWN_TYPES)? {
        "plugin" => Some(TokenRefusal::BackstagePlugin),
        "limited-user" => Some(TokenRefusal::BackstageLimitedUser),
        _ => None,
    }
}

/// All problems of the setting `backstage`, at once.
pub(super) fn validate(settings: &BackstageSettings) -> Vec<Problem> {
    let (_, faults) = entries::read(settings);
    let name = short_name(&settings.name).err();
    let name = name.map(|message| Problem::setting("/backstage/name", message, "for example `backstage`"));
    let plugins = plugins::validate(settings);
    let limited = settings.limited_users.iter().flat_map(limited::validate);
    name.into_iter()
        .chain(faults.0)
        .chain(plugins)
        .chain(limited)
        .collect()
}

#[cfg(test)]
mod tests;
