//! Who an access token of the WLCG Common JWT Profile (version 1.3) speaks of: a user, a client, or a host.
//!
//! Such a token grants what its capabilities or its groups grant, never both: any capability, even one that is of no
//! use here, puts the groups out of force (section 2.2.3). Groups have no hierarchy: a member of `/cms/uscms` is no
//! member of `/cms` (section 2.2.2).

use std::collections::HashSet;

use model::{Principal, PrincipalKind};
use serde_json::Value;

use super::capability;
use super::claims::{Claims, Registered, fault, strings};
use super::refusal::{ClaimFault, Quoted, TokenRefusal};

/// The audience of tokens that are for everybody (section 2.1.1).
pub(super) const ANY_AUDIENCE: &str = "https://wlcg.cern.ch/jwt/v1/any";

/// Longest subject, in bytes (section 2.1.1).
const MAX_SUBJECT_BYTES: usize = 255;

/// Claims that bind an ID token to a login (OpenID Connect Core sections 2 and 3.3.2.11).
const ID_TOKEN_CLAIMS: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];

/// What begins the subject of a host, and the scope that says that the subject is to be judged (section 2.2.4).
const HOST: &str = "host:";
const HOST_SCOPE: &str = "host.auth";

/// Makes the principal of a verified token from the issuer of that short name, whose scopes are relative to the path
/// `base` (canonical, no slash at its end; empty for none).
///
/// # Errors
/// [`TokenRefusal`] for ID tokens and what may be one, for other versions of the profile, for claims that are missing or
/// of the wrong type, for scopes that spoil the token ([`capability::wlcg`]), and for what speaks of nobody we know.
pub(super) fn principal(
    claims: Claims<'_>,
    registered: &Registered,
    issuer: &str,
    base: &str,
) -> Result<Principal, TokenRefusal> {
    refuse_id_tokens(claims)?;
    check_version(claims)?;
    check_registered(registered)?;
    let groups = groups(claims)?;
    let scopes = claims.scopes()?;
    let capabilities = capability::wlcg(&scopes, base)?;
    let client = client(claims)?;
    let kind = kind(claims, &registered.subject, client, &scopes)?;
    // The claim speaks of end-users (section 2.1.1).
    let by_groups = kind == PrincipalKind::User && !capability::outweigh_groups(&scopes);
    let (username, name) = (claims.name("preferred_username")?, claims.name("name")?);
    Ok(Principal {
        name: username.or(name).map(str::to_owned),
        client: client.map(str::to_owned),
        groups: if by_groups { groups } else { Vec::new() },
        scopes,
        capabilities,
        ..Principal::new(kind, issuer, &registered.subject)
    })
}

/// The client: `client_id`, else the older `azp`; where both are, they must agree.
pub(super) fn client(claims: Claims<'_>) -> Result<Option<&str>, TokenRefusal> {
    match (claims.name("client_id")?, claims.name("azp")?) {
        (Some(client_id), Some(azp)) if client_id != azp => {
            Err(fault("azp", ClaimFault::Not("the same as `client_id`")))
        }
        (client_id, azp) => Ok(client_id.or(azp)),
    }
}

/// ID tokens of this profile have version and groups, too, and possibly the audience of everybody; `scope` and
/// `client_id` they have not.
fn refuse_id_tokens(claims: Claims<'_>) -> Result<(), TokenRefusal> {
    let has = |name: &&str| claims.0.contains_key(*name);
    if let Some(name) = ID_TOKEN_CLAIMS.into_iter().find(has) {
        return Err(TokenRefusal::IdToken(name));
    }
    if !["scope", "client_id"].iter().any(has) {
        return Err(TokenRefusal::NotAnAccessToken);
    }
    Ok(())
}

/// `wlcg.ver`: newer minor versions must be accepted, other major ones refused.
fn check_version(claims: Claims<'_>) -> Result<(), TokenRefusal> {
    const NAME: &str = "wlcg.ver";
    let version = claims.text(NAME)?.ok_or(missing(NAME))?;
    match version.strip_prefix("1.").map(is_number) {
        Some(true) => Ok(()),
        _ => Err(TokenRefusal::ProfileVersion {
            name: NAME,
            found: Quoted::new(version),
            known: "`1.<number>`",
        }),
    }
}

/// True for one digit and more.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What the profile demands beyond RFC 7519.
fn check_registered(registered: &Registered) -> Result<(), TokenRefusal> {
    let subject = &registered.subject;
    if subject.len() > MAX_SUBJECT_BYTES || !subject.is_ascii() {
        return Err(TokenRefusal::ProfileClaim {
            name: "sub",
            fault: ClaimFault::Not("at most 255 ASCII characters"),
        });
    }
    registered.token_id.as_ref().ok_or(missing("jti"))?;
    registered.issued_at.ok_or(missing("iat"))?;
    Ok(())
}

/// `wlcg.groups`, in the order of the token, which its bearer chose (section 3.1).
///
/// The scopes `wlcg.groups` and `wlcg.capabilityset` are not looked at: they are what a client asked for (sections 3.1
/// and 3.3), and what it got is in the claim and in the other scopes.
fn groups(claims: Claims<'_>) -> Result<Vec<String>, TokenRefusal> {
    const NAME: &str = "wlcg.groups";
    let mut seen = HashSet::new();
    let mut groups = Vec::new();
    for group in claims.names(NAME)? {
        let bare = group
            .strip_prefix('/')
            .filter(|bare| bare.split('/').all(is_group_name));
        let bare = bare.ok_or(fault(
            NAME,
            ClaimFault::Not("an array of groups like `/vo/group`"),
        ))?;
        if seen.insert(bare) {
            groups.push(bare.to_owned());
        }
    }
    Ok(groups)
}

fn is_group_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// A host is a client whose id is its name, so it must be looked for first.
fn kind(
    claims: Claims<'_>,
    subject: &str,
    client: Option<&str>,
    scopes: &[String],
) -> Result<PrincipalKind, TokenRefusal> {
    let is_host = subject.starts_with(HOST);
    let is_user = authenticated(claims)? || claims.0.contains_key("client_id");
    if is_host && scopes.iter().any(|scope| scope == HOST_SCOPE) {
        Ok(PrincipalKind::Robot)
    } else if client == Some(subject) {
        Ok(PrincipalKind::Client)
    } else if is_user && !is_host {
        Ok(PrincipalKind::User)
    } else {
        Err(TokenRefusal::Nobody)
    }
}

/// True if the token says how, when or how reliably somebody was authenticated (section 2.3).
fn authenticated(claims: Claims<'_>) -> Result<bool, TokenRefusal> {
    const ASSURANCE: &str = "eduperson_assurance";
    let assured = match claims.0.get(ASSURANCE) {
        None => false,
        Some(Value::String(_)) => claims.name(ASSURANCE)?.is_some(),
        Some(several) => !strings(ASSURANCE, several)?.is_empty(),
    };
    let (auth_time, sid, acr) = (
        claims.time("auth_time")?,
        claims.name("sid")?,
        claims.name("acr")?,
    );
    Ok(assured || auth_time.is_some() || sid.is_some() || acr.is_some())
}

fn missing(name: &'static str) -> TokenRefusal {
    let fault = ClaimFault::Missing;
    TokenRefusal::ProfileClaim { name, fault }
}

#[cfg(test)]
mod tests;
