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
use super::issuer::{Purpose, Reading};
use super::refusal::{ClaimFault, Quoted, TokenRefusal};

/// The audience of tokens that are for everybody (section 2.1.1).
pub(super) const ANY_AUDIENCE: &str = "https://wlcg.cern.ch/jwt/v1/any";

/// Longest subject, in bytes (section 2.1.1).
const MAX_SUBJECT_BYTES: usize = 255;

/// What begins the subject of a host, and the scope that says that the subject is to be judged (section 2.2.4).
const HOST: &str = "host:";
const HOST_SCOPE: &str = "host.auth";

/// Makes the principal of a verified token.
///
/// # Errors
/// [`TokenRefusal`] for ID tokens and what may be one, for other versions of the profile, for claims that are missing or
/// of the wrong type, for scopes that spoil the token ([`capability::wlcg`]), and for what speaks of nobody we know.
pub(super) fn principal(reading: &Reading<'_>) -> Result<Principal, TokenRefusal> {
    let (claims, registered) = (reading.claims, reading.registered);
    refuse_id_tokens(claims, reading.purpose)?;
    check_version(claims)?;
    check_registered(registered)?;
    let groups = groups(claims)?;
    let scopes = &registered.scopes;
    let capabilities = capability::wlcg(scopes, reading.base_path)?;
    let client = claims.client()?;
    let kind = reading
        .kind
        .decide(|| kind(claims, &registered.sub, client, scopes))?;
    let (username, name) = (claims.name("preferred_username")?, claims.name("name")?);
    Ok(Principal {
        name: username.or(name).map(str::to_owned),
        client: client.map(str::to_owned),
        // The claim speaks of end-users (section 2.1.1).
        groups: if kind == PrincipalKind::User {
            groups
        } else {
            Vec::new()
        },
        capabilities,
        ..reading.somebody(kind)
    })
}

/// ID tokens of this profile have version and groups, too, and possibly the audience of everybody; `scope` and
/// `client_id` they have not.
fn refuse_id_tokens(claims: Claims<'_>, purpose: Purpose) -> Result<(), TokenRefusal> {
    claims.refuse_id_token()?;
    let has = |name: &&str| claims.0.contains_key(*name);
    if purpose == Purpose::Unsaid && !["scope", "client_id"].iter().any(has) {
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
