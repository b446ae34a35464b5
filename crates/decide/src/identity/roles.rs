//! Roles per client, as Keycloak has them: they become tags of the principal.

use serde_json::Value;

use super::claims::{Claims, MAX_ENTRIES, checked_name, fault, strings};
use super::refusal::{ClaimFault, TokenRefusal};

/// Roles per client.
pub(super) type Roles = Vec<(String, Vec<String>)>;

/// `{"resource_access": {"<client>": {"roles": ["<role>"]}}}`. Other members of a client are ignored.
///
/// # Errors
/// [`TokenRefusal::Claim`] for everything else.
pub(super) fn roles(claims: Claims<'_>) -> Result<Roles, TokenRefusal> {
    const NAME: &str = "resource_access";
    let clients = match claims.0.get(NAME) {
        None => return Ok(Vec::new()),
        Some(Value::Object(clients)) => clients,
        Some(_) => return Err(fault(NAME, ClaimFault::Not("an object"))),
    };
    let mut all = Vec::new();
    let mut count = 0;
    for (client, access) in clients {
        let access = access
            .as_object()
            .ok_or(fault(NAME, ClaimFault::Not("an object of objects")))?;
        let named = access
            .get("roles")
            .map_or(Ok(Vec::new()), |value| strings(NAME, value))?;
        count += named.len();
        let roles = named
            .into_iter()
            .map(|role| checked_name(NAME, role).map(str::to_owned));
        all.push((
            checked_name(NAME, client)?.to_owned(),
            roles.collect::<Result<_, _>>()?,
        ));
    }
    if all.len() > MAX_ENTRIES || count > MAX_ENTRIES {
        return Err(fault(NAME, ClaimFault::TooMany));
    }
    Ok(all)
}
