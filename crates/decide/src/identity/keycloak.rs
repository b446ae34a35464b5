//! Who a Keycloak access token speaks of: a user, a client, or a robot.
//!
//! Keycloak marks none of them; this goes by what only one of them has. What fits none is refused.

use model::{Principal, PrincipalKind};

use super::actor::ClientActs;
use super::claims::{Claims, Registered, checked_name, fault};
use super::issuer::Reading;
use super::refusal::{ClaimFault, Quoted, TokenRefusal};

/// What Keycloak puts before the client id to name a service account.
const SERVICE_ACCOUNT: &str = "service-account-";

/// The claims that tell the kinds apart, checked for their types.
struct Marks<'c> {
    subject: &'c str,
    /// `preferred_username`.
    name: Option<&'c str>,
    /// `azp`, `client_id` and `clientId` (before Keycloak 24), as far as present.
    azp: Option<&'c str>,
    client_ids: Vec<&'c str>,
    token_id: Option<&'c str>,
    /// `sid` or `auth_time`: somebody logged in.
    logged_in: bool,
}

/// Makes the principal of a verified token.
///
/// # Errors
/// [`TokenRefusal`] for tokens that are not access tokens, have claims of the wrong type, or speak of nobody we know.
pub(super) fn principal(reading: &Reading<'_>) -> Result<Principal, TokenRefusal> {
    let claims = reading.claims;
    match claims.text("typ")? {
        Some("Bearer") => {}
        Some(other) => return Err(TokenRefusal::KeycloakType(Quoted::new(other))),
        None => return Err(fault("typ", ClaimFault::Missing)),
    }
    let marks = Marks::read(claims, reading.registered)?;
    let groups = groups(claims)?;
    let kind = reading.kind.decide(|| marks.kind())?;
    Ok(Principal {
        name: marks.name.map(str::to_owned),
        client: marks.azp.or(marks.client_ids.first().copied()).map(str::to_owned),
        groups,
        ..reading.somebody(kind)
    })
}

/// Whether the client acts for the user: it does with a token that it exchanged for the user's, or made from an offline
/// token while the user is away. Such tokens carry the user's own identity and only `azp` tells.
///
/// # Errors
/// [`TokenRefusal`] for claims of the wrong type.
pub(super) fn client_acts(claims: Claims<'_>) -> Result<ClientActs, TokenRefusal> {
    let jti = JtiPrefix::of(claims.name("jti")?);
    let exchanged = jti.as_ref().is_some_and(|jti| jti.grant == "te");
    let offline = jti.as_ref().is_some_and(|jti| jti.session == "of");
    // Before Keycloak 26.2 nothing else tells.
    let scope = claims.scopes()?.iter().any(|scope| scope == "offline_access");
    Ok(if exchanged || offline || scope {
        ClientActs::Yes
    } else {
        ClientActs::No
    })
}

/// What Keycloak 26.2 and later puts before the colon of `jti`: two letters each for session, token and grant.
struct JtiPrefix<'c> {
    session: &'c str,
    grant: &'c str,
}

impl<'c> JtiPrefix<'c> {
    fn of(token_id: Option<&'c str>) -> Option<Self> {
        let (prefix, _) = token_id?.split_once(':')?;
        Some(Self {
            session: prefix.get(..2)?,
            grant: prefix.get(4..)?,
        })
    }
}

impl<'c> Marks<'c> {
    fn read(claims: Claims<'c>, registered: &'c Registered) -> Result<Self, TokenRefusal> {
        let client_ids = [claims.name("client_id")?, claims.name("clientId")?];
        let sid = claims.name("sid")?;
        let auth_time = claims.time("auth_time")?;
        Ok(Self {
            subject: &registered.sub,
            name: claims.name("preferred_username")?,
            azp: claims.name("azp")?,
            client_ids: client_ids.into_iter().flatten().collect(),
            token_id: registered.token_id.as_deref(),
            logged_in: sid.is_some() || auth_time.is_some(),
        })
    }

    fn kind(&self) -> Result<PrincipalKind, TokenRefusal> {
        if self.is_service_account() {
            Ok(PrincipalKind::Robot)
        } else if self.is_client() {
            Ok(PrincipalKind::Client)
        } else if self.logged_in {
            Ok(PrincipalKind::User)
        } else {
            Err(TokenRefusal::Nobody)
        }
    }

    /// The name alone proves nothing: where people choose their names, somebody will choose such a name.
    fn is_service_account(&self) -> bool {
        let (Some(name), Some(azp)) = (self.name, self.azp) else {
            return false;
        };
        let named = name
            .strip_prefix(SERVICE_ACCOUNT)
            .is_some_and(|client| client == azp.to_lowercase());
        // Since 26.2 the token says how it was got; before, a session tells.
        let by_grant = match JtiPrefix::of(self.token_id) {
            Some(jti) => jti.grant == "cc",
            None => !self.logged_in,
        };
        named && (self.client_ids.contains(&azp) || by_grant)
    }

    /// The subject is the client, whatever of the token names the client, and nobody logged in.
    fn is_client(&self) -> bool {
        let mut clients = self.client_ids.iter().copied().chain(self.azp).peekable();
        !self.logged_in && clients.peek().is_some() && clients.all(|client| client == self.subject)
    }
}

/// `/ws-alice` and `ws-alice` are one group: the mapper's option decides which of them is sent.
fn groups(claims: Claims<'_>) -> Result<Vec<String>, TokenRefusal> {
    let named = claims.names("groups")?;
    let bare = |group: &str| {
        let group = group.strip_prefix('/').unwrap_or(group);
        checked_name("groups", group).map(str::to_owned)
    };
    named.into_iter().map(bare).collect()
}

#[cfg(test)]
mod tests;
