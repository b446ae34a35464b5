//! Who asks, once it is known.

use crate::Capabilities;

/// The kinds of principal, each an entity type of its own in the policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// An OAuth client acting for itself: its subject is its client id, it belongs to no group and holds no roles.
    Client,
    /// A non-human account with an identity of its own that may hold roles and groups.
    Robot,
    /// Nobody: no credential was presented.
    Anonymous,
}

impl PrincipalKind {
    /// Every kind, in the order policies list them.
    pub const ALL: [Self; 4] = [Self::User, Self::Client, Self::Robot, Self::Anonymous];

    /// The Cedar entity type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Client => "Client",
            Self::Robot => "Robot",
            Self::Anonymous => "Anonymous",
        }
    }
}

/// Somebody with a name of their own in the policies.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// What kind of somebody.
    pub kind: PrincipalKind,
    /// `<issuer's short name>/<subject>`: two issuers can never mint the same id. Empty for `Anonymous`.
    pub id: String,
    /// The issuer's short name from the configuration; empty for `Anonymous`.
    pub issuer: String,
    /// The subject as the issuer says it (`sub`, RFC 7519 section 4.1.2); empty for `Anonymous`.
    pub subject: String,
    /// A name for humans (`preferred_username`); never compared by us.
    pub name: Option<String>,
    /// The OAuth client the credential was issued to (`azp`, RFC 9068 `client_id`).
    pub client: Option<String>,
    /// Groups, each as the issuer names it, without a leading slash.
    pub groups: Vec<String>,
    /// Roles per client (Keycloak `resource_access`), empty unless the issuer is trusted for roles.
    pub roles: Vec<(String, Vec<String>)>,
    /// OAuth scopes (RFC 6749 section 3.3).
    pub scopes: Vec<String>,
    /// Whom the credential is for (`aud`, RFC 7519 section 4.1.3), ours among others.
    pub audiences: Vec<String>,
    /// Operations on paths that the credential itself grants; empty for issuers without capabilities.
    pub capabilities: Capabilities,
    /// Claims that identity headers show: their places as configured, and their values as text.
    pub claims: Vec<(String, String)>,
    /// Who acts for this principal, the outermost actor of RFC 8693 section 4.1 first; empty when it acts itself. Each of
    /// them must be allowed, too.
    pub actors: Vec<Actor>,
    /// Of a token that the house issued in exchange for another one: where it comes from, and what it is limited to.
    pub delegation: Option<Box<Delegation>>,
}

/// What a delegated token says besides whom it is about and who acts with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delegation {
    /// The short name of the house that issued it; the principal's own issuer is the one of the user.
    pub issuer: String,
    /// The id (`jti`) of the user's token that it was exchanged for.
    pub token_id: Option<String>,
    /// When that token was issued, in Unix seconds.
    pub issued_at: Option<f64>,
    /// The client that the user's token was issued to.
    pub client: Option<String>,
    /// The id (`jti`) of the first of all tokens that were renewed to become this one.
    pub chain: String,
    /// When that one was issued, in Unix seconds.
    pub began_at: f64,
    /// As policies name whom the token was issued to: `Robot::"main/jobs"`.
    pub holder: String,
    /// The workspaces it is good for, as resources name them (`resource.workspace`); `None`: no such limit.
    pub workspaces: Option<Vec<String>>,
    /// The actions, or groups of actions, it is good for; `None`: no such limit.
    pub actions: Option<Vec<String>>,
}

/// Somebody who acts for a principal: the principal of the second question of a delegated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// `<issuer's short name>/<client>`.
    pub id: String,
    /// The issuer's short name from the configuration.
    pub issuer: String,
    /// The OAuth client (`act.client_id`, else `act.sub`; or `azp`).
    pub client: String,
}

impl Principal {
    /// Somebody of an issuer, with nothing but a name.
    pub fn new(kind: PrincipalKind, issuer: &str, subject: &str) -> Self {
        Self {
            kind,
            id: format!("{issuer}/{subject}"),
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            ..Self::anonymous()
        }
    }

    /// Nobody.
    pub fn anonymous() -> Self {
        Self {
            kind: PrincipalKind::Anonymous,
            id: String::new(),
            issuer: String::new(),
            subject: String::new(),
            name: None,
            client: None,
            groups: Vec::new(),
            roles: Vec::new(),
            scopes: Vec::new(),
            audiences: Vec::new(),
            capabilities: Capabilities::default(),
            claims: Vec::new(),
            actors: Vec::new(),
            delegation: None,
        }
    }
}

impl Actor {
    /// The Cedar entity type.
    pub const TYPE: &str = "Actor";

    /// The client of that issuer.
    pub fn new(issuer: &str, client: &str) -> Self {
        Self {
            id: format!("{issuer}/{client}"),
            issuer: issuer.to_owned(),
            client: client.to_owned(),
        }
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::\"{}\"", Self::TYPE, self.id)
    }
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            PrincipalKind::Anonymous => f.write_str("Anonymous"),
            kind => write!(f, "{}::\"{}\"", kind.as_str(), self.id),
        }
    }
}
