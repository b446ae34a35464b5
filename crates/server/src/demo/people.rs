//! The people of the demo and the tests, with the tokens Keycloak would give them, and tokens nobody should take.
//!
//! Each function of this module mints a token; `*_claims` gives only what is special about someone, for a test to
//! alter and hand to [`LocalIssuer::token`]. One workspace appears: `ws-alice`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::issuer::{AUDIENCE, LocalIssuer, now};
use super::keys::{self, KeyError, KeyKind, SigningKey};

/// Alice's `sub`.
pub const ALICE: &str = "7d2f6c1e-5b1a-4c55-9a38-0f6a3d1b8e01";
/// The administrator's `sub`.
pub const ADMIN: &str = "c0a80101-93d4-4a6e-8f57-2f1f5f0f7a02";
/// The robot's `sub`: the hidden user of a Keycloak service account, not its client id.
pub const ROBOT: &str = "b1946ac9-2c3e-4d8b-9b7a-64c1de5a7b03";
/// The client's `sub`, which is its client id.
pub const CLIENT: &str = "portal-backend";

/// A token and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Minted {
    /// All claims, as signed.
    pub claims: Value,
    /// The compact JWS.
    pub token: String,
}

impl Minted {
    /// The value of the `Authorization` header.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

/// Alice: a user, logged in, member of `/ws-alice`, with `ws_access` to her workspace.
pub fn alice(issuer: &LocalIssuer) -> Minted {
    minted(issuer, alice_claims())
}

/// The administrator: a user with the role `admin` of `workspace-api`, and of nothing else.
pub fn admin(issuer: &LocalIssuer) -> Minted {
    minted(issuer, admin_claims())
}

/// The service account of the client `ws-alice`, with `ws_api` only.
pub fn robot(issuer: &LocalIssuer) -> Minted {
    minted(issuer, robot_claims())
}

/// The OAuth client `portal-backend`, acting for itself with the scopes `openid catalogue`.
pub fn client(issuer: &LocalIssuer) -> Minted {
    minted(issuer, client_claims())
}

/// Alice's token, an hour after it expired.
pub fn expired(issuer: &LocalIssuer) -> Minted {
    let mut claims = alice_claims();
    claims["iat"] = now().saturating_sub(2 * 3600).into();
    claims["exp"] = now().saturating_sub(3600).into();
    minted(issuer, claims)
}

/// Alice's token under the issuer's `kid`, but signed by someone else's key.
pub fn forged(issuer: &LocalIssuer) -> Result<Minted, KeyError> {
    let forger = SigningKey::generate(KeyKind::Rs256, issuer.key(KeyKind::Rs256).kid())?;
    let claims = issuer.complete(alice_claims());
    Ok(Minted {
        token: forger.sign(&forger.header(), &claims),
        claims,
    })
}

/// Alice's token with `alg: none`, the issuer's `kid` and no signature (RFC 8725 section 3.2).
pub fn unsigned(issuer: &LocalIssuer) -> Minted {
    let claims = issuer.complete(alice_claims());
    let mut header = issuer.key(KeyKind::Rs256).header();
    header["alg"] = "none".into();
    Minted {
        token: keys::unsigned(&header, &claims) + ".",
        claims,
    }
}

/// Alice's token, signed by the issuer in the name of another one.
pub fn wrong_issuer(issuer: &LocalIssuer) -> Minted {
    altered(issuer, "iss", "https://issuer.invalid")
}

/// Alice's token for another service.
pub fn wrong_audience(issuer: &LocalIssuer) -> Minted {
    altered(issuer, "aud", "another-api")
}

/// What is special about [`alice`]. The session and token ids are new each time, as in real tokens.
pub fn alice_claims() -> Value {
    user_claims(
        ALICE,
        "alice",
        &["/ws-alice"],
        json!({ "ws-alice": { "roles": ["ws_access"] } }),
    )
}

/// What is special about [`admin`].
pub fn admin_claims() -> Value {
    user_claims(
        ADMIN,
        "admin",
        &[],
        json!({ "workspace-api": { "roles": ["admin"] } }),
    )
}

/// What is special about [`robot`]. No `sid`: a service account has a transient session.
pub fn robot_claims() -> Value {
    json!({
        "typ": "Bearer",
        "sub": ROBOT,
        "aud": [AUDIENCE],
        "jti": format!("trrtcc:{}", Uuid::new_v4()),
        "azp": "ws-alice",
        "client_id": "ws-alice",
        "clientHost": "127.0.0.1",
        "clientAddress": "127.0.0.1",
        "preferred_username": "service-account-ws-alice",
        "scope": "openid",
        "resource_access": { "ws-alice": { "roles": ["ws_api"] } },
    })
}

/// What is special about [`client`]: subject, client id and `azp` are one, and there is neither a session nor a role.
pub fn client_claims() -> Value {
    json!({ "typ": "Bearer", "sub": CLIENT, "client_id": CLIENT, "azp": CLIENT, "scope": "openid catalogue" })
}

fn user_claims(sub: &str, name: &str, groups: &[&str], resource_access: Value) -> Value {
    json!({
        "typ": "Bearer",
        "sub": sub,
        "sid": Uuid::new_v4().to_string(),
        "jti": format!("onrtac:{}", Uuid::new_v4()),
        "azp": "workspace-api",
        "preferred_username": name,
        "scope": "openid roles",
        "groups": groups,
        "resource_access": resource_access,
    })
}

fn altered(issuer: &LocalIssuer, claim: &str, value: &str) -> Minted {
    let mut claims = alice_claims();
    claims[claim] = value.into();
    minted(issuer, claims)
}

fn minted(issuer: &LocalIssuer, claims: Value) -> Minted {
    let claims = issuer.complete(claims);
    let key = issuer.key(KeyKind::Rs256);
    Minted {
        token: issuer.mint(&key.header(), &claims, &key),
        claims,
    }
}
