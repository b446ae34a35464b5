//! Who acts for the subject of a token (RFC 8693 section 4.1).
//!
//! Only the outermost actor counts: those inside it acted before, and whoever issued the token answered for them.

use model::{Actor, PrincipalKind};
use serde_json::Value;

use super::claims::{Claims, checked_name, fault};
use super::refusal::{ClaimFault, TokenRefusal};

/// Whether the client of the token acts for its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientActs {
    /// It does: it is an actor beside the one in `act`, if the two differ.
    Yes,
    /// It only passed the user's own token on.
    No,
}

/// The actors: that of `act`, then the client if it acts.
///
/// # Errors
/// [`TokenRefusal`] for an `act` that cannot be read, or that is somebody of another issuer: whom its subject means here
/// would be a guess.
pub(super) fn actors(
    claims: Claims<'_>,
    (issuer, issuer_url): (&str, &str),
    kind: PrincipalKind,
    client: Option<&str>,
    acts: ClientActs,
) -> Result<Vec<Actor>, TokenRefusal> {
    let mut actors: Vec<Actor> = named(claims, issuer_url)?
        .map(|name| Actor::new(issuer, name))
        .into_iter()
        .collect();
    if acts == ClientActs::Yes && kind == PrincipalKind::User {
        let client = Actor::new(issuer, client.ok_or(fault("azp", ClaimFault::Missing))?);
        if !actors.contains(&client) {
            actors.push(client);
        }
    }
    Ok(actors)
}

/// The client in `act`: its `client_id`, else its `sub`.
fn named<'c>(claims: Claims<'c>, issuer_url: &str) -> Result<Option<&'c str>, TokenRefusal> {
    let act = match claims.0.get("act") {
        None => return Ok(None),
        Some(Value::Object(act)) => act,
        Some(_) => return Err(fault("act", ClaimFault::Not("an object"))),
    };
    let text = |name: &str| match act.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => checked_name("act", text).map(Some),
        Some(_) => Err(fault("act", ClaimFault::Not("an object of strings"))),
    };
    if text("iss")?.is_some_and(|iss| iss != issuer_url) {
        return Err(TokenRefusal::ForeignActor);
    }
    let (client_id, sub) = (text("client_id")?, text("sub")?);
    client_id.or(sub).map(Some).ok_or(fault(
        "act",
        ClaimFault::Not("an object with `sub` or `client_id`"),
    ))
}
