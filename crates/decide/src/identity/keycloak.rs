//! Who a Keycloak access token speaks of: a user, a client, or a robot.
//!
//! Keycloak marks none of them; this goes by what only one of them has. What fits none is refused.

use model::{Principal, PrincipalKind};
use serde_json::Value;

use super::claims::{Claims, MAX_ENTRIES, Registered, checked_name, fault, strings};
use super::refusal::{ClaimFault, Quoted, TokenRefusal};

/// What Keycloak puts before the client id to name a service account.
const SERVICE_ACCOUNT: &str = "service-account-";

/// Roles per client.
type Roles = Vec<(String, Vec<String>)>;

/// Whether the roles in a token count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoleTrust {
    /// `resource_access` becomes roles.
    Trusted,
    /// It is checked and dropped.
    Ignored,
}

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

/// Makes the principal of a verified token from the issuer of that short name.
///
/// # Errors
/// [`TokenRefusal`] for tokens that are not access tokens, have claims of the wrong type, or speak of nobody we know.
pub(super) fn principal(
    claims: Claims<'_>,
    registered: &Registered,
    issuer: &str,
    trust: RoleTrust,
) -> Result<Principal, TokenRefusal> {
    match claims.text("typ")? {
        Some("Bearer") => {}
        Some(other) => return Err(TokenRefusal::KeycloakType(Quoted::new(other))),
        None => return Err(fault("typ", ClaimFault::Missing)),
    }
    let marks = Marks::read(claims, registered)?;
    let groups = groups(claims)?;
    let roles = roles(claims)?;
    let kind = marks.kind()?;
    let (groups, roles) = match (kind, trust) {
        (PrincipalKind::Client | PrincipalKind::Anonymous, _) => (Vec::new(), Vec::new()),
        (_, RoleTrust::Ignored) => (groups, Vec::new()),
        (_, RoleTrust::Trusted) => (groups, roles),
    };
    Ok(Principal {
        name: marks.name.map(str::to_owned),
        client: marks.azp.or(marks.client_ids.first().copied()).map(str::to_owned),
        groups,
        roles,
        scopes: claims.scopes()?,
        ..Principal::new(kind, issuer, &registered.subject)
    })
}

impl<'c> Marks<'c> {
    fn read(claims: Claims<'c>, registered: &'c Registered) -> Result<Self, TokenRefusal> {
        let client_ids = [claims.name("client_id")?, claims.name("clientId")?];
        let sid = claims.name("sid")?;
        let auth_time = claims.time("auth_time")?;
        Ok(Self {
            subject: &registered.subject,
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
        named && (self.client_ids.contains(&azp) || self.grant() == Some("cc") || !self.logged_in)
    }

    /// The subject is the client, whatever of the token names the client, and nobody logged in.
    fn is_client(&self) -> bool {
        let mut clients = self.client_ids.iter().copied().chain(self.azp).peekable();
        !self.logged_in && clients.peek().is_some() && clients.all(|client| client == self.subject)
    }

    /// The grant in `jti` (Keycloak 26.2 and later): two letters each for session, token and grant, then a colon.
    fn grant(&self) -> Option<&'c str> {
        let (prefix, _) = self.token_id?.split_once(':')?;
        prefix.get(4..)
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

/// `{"resource_access": {"<client>": {"roles": ["<role>"]}}}`. Other members of a client are ignored.
fn roles(claims: Claims<'_>) -> Result<Roles, TokenRefusal> {
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

#[cfg(test)]
mod tests;
