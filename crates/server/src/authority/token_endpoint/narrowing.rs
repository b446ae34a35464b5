//! What of a user's rights is asked for. A request only ever narrows: what the user's token does not have, or what a
//! renewed token had no more, is refused and not left out silently.

use authority::{DelegationSettings, Grant, Origin, Renewed};
use decide::ShownToken;
use decide::{HouseKind, HouseResource, HouseValue};
use model::{Delegation, Principal};

use super::actor::Acting;
use super::error::{Code, Refusal};
use super::form::Form;

/// What would be granted if policies permit it.
pub(super) fn narrow(
    form: &Form,
    subject: &ShownToken,
    acting: &Acting,
    settings: &DelegationSettings,
    now: i64,
) -> Result<Grant, Refusal> {
    let principal = &subject.principal;
    if principal.to_string() == acting.holder {
        return Err(refused(
            "nobody acts for themselves: the subject_token is the client's own",
        ));
    }
    acting.may_act(&subject.claims)?;
    let before = subject.claims.get("act");
    let delegation = principal.delegation.as_deref();
    let renews = delegation.map(|it| renewed(subject, it, acting)).transpose()?;
    let act = match (&renews, before) {
        (Some(_), Some(act)) => act.clone(),
        _ => acting.act(before)?,
    };
    let workspaces = workspaces(form, principal)?;
    Ok(Grant {
        audiences: audiences(form, principal, settings)?,
        scopes: scopes(form, principal, settings)?,
        actions: actions(form, delegation)?,
        lifetime_seconds: lifetime(form, renews.as_ref(), settings, now)?,
        subject: Principal {
            roles: roles_in(principal, workspaces.as_deref()),
            delegation: None,
            ..principal.clone()
        },
        workspaces,
        actor: acting.actor.clone(),
        holder: acting.holder.clone(),
        act,
        origin: match delegation {
            None => Origin {
                token_id: subject.token_id.clone(),
                issued_at: subject.issued_at,
                client: principal.client.clone(),
            },
            Some(delegation) => Origin {
                token_id: delegation.token_id.clone(),
                issued_at: delegation.issued_at,
                client: delegation.client.clone(),
            },
        },
        renews,
    })
}

/// The question to the policies.
pub(super) fn question(grant: &Grant) -> HouseResource {
    let subject = &grant.subject;
    let text = |text: &str| HouseValue::Text(text.to_owned());
    let lifetime = i64::try_from(grant.lifetime_seconds).unwrap_or(i64::MAX);
    let mut attributes = vec![
        ("subject", text(&subject.id)),
        ("subject_type", text(subject.kind.as_str())),
        ("subject_issuer", text(&subject.issuer)),
        ("scopes", HouseValue::Texts(grant.scopes.clone())),
        ("audiences", HouseValue::Texts(grant.audiences.clone())),
        ("lifetime_seconds", HouseValue::Number(lifetime)),
        ("renewal", HouseValue::Flag(grant.renews.is_some())),
    ];
    for (name, limit) in [("workspaces", &grant.workspaces), ("actions", &grant.actions)] {
        attributes.extend(limit.clone().map(|names| (name, HouseValue::Texts(names))));
    }
    HouseResource {
        kind: HouseKind::Delegation,
        id: subject.id.clone(),
        attributes,
    }
}

/// Only whom a token was issued to renews it.
fn renewed(subject: &ShownToken, delegation: &Delegation, acting: &Acting) -> Result<Renewed, Refusal> {
    if delegation.holder != acting.holder {
        let log = format!(
            "{} wants to renew a token that was issued to {}",
            acting.holder, delegation.holder
        );
        let told =
            "a delegated token is renewed by the client that it was issued to, and exchanged by nobody";
        return Err(Refusal::untold(Code::InvalidRequest, told, log));
    }
    let token_id = subject
        .token_id
        .clone()
        .ok_or_else(|| refused("the subject_token has no jti"))?;
    Ok(Renewed {
        token_id,
        first_id: delegation.chain.clone(),
        began_at: delegation.began_at as i64,
    })
}

fn audiences(
    form: &Form,
    principal: &Principal,
    settings: &DelegationSettings,
) -> Result<Vec<String>, Refusal> {
    let renewal = principal.delegation.is_some();
    let mut allowed = settings.audiences.iter();
    let allowed: Vec<&String> = match renewal {
        true => allowed
            .filter(|audience| principal.audiences.contains(audience))
            .collect(),
        false => allowed.by_ref().collect(),
    };
    let target = |why: &str| Refusal::told(Code::InvalidTarget, why);
    if form.audiences.is_empty() {
        let usual = allowed.iter().take(if renewal { usize::MAX } else { 1 });
        let usual: Vec<String> = usual.map(|audience| (*audience).clone()).collect();
        return if usual.is_empty() {
            Err(target("nobody takes such tokens any more"))
        } else {
            Ok(usual)
        };
    }
    match form.audiences.iter().find(|asked| !allowed.contains(asked)) {
        None => Ok(form.audiences.clone()),
        Some(_) if renewal => Err(target("the subject_token is not for that audience")),
        Some(_) => Err(target("no token is issued here for that audience")),
    }
}

fn scopes(form: &Form, principal: &Principal, settings: &DelegationSettings) -> Result<Vec<String>, Refusal> {
    let allowed = |scope: &&String| {
        settings
            .scopes
            .as_ref()
            .is_none_or(|allowed| allowed.contains(scope))
    };
    let held: Vec<String> = principal.scopes.iter().filter(allowed).cloned().collect();
    match &form.scopes {
        None => Ok(held),
        Some(asked) if asked.iter().all(|scope| held.contains(scope)) => Ok(asked.clone()),
        Some(_) => Err(Refusal::told(
            Code::InvalidScope,
            "a scope was asked for that the subject_token does not have, or that no delegated token may have",
        )),
    }
}

fn workspaces(form: &Form, principal: &Principal) -> Result<Option<Vec<String>>, Refusal> {
    let limit = principal
        .delegation
        .as_deref()
        .and_then(|it| it.workspaces.as_ref());
    let Some(asked) = &form.workspaces else {
        return Ok(limit.cloned());
    };
    let target = |why: &str| Err(Refusal::told(Code::InvalidTarget, why));
    if limit.is_some_and(|limit| asked.iter().any(|name| !limit.contains(name))) {
        return target("a workspace was asked for that the subject_token was not delegated for");
    }
    // Where roles are per workspace, they say which the user has.
    let named = |name: &String| principal.roles.iter().any(|(client, _)| client == name);
    if !principal.roles.is_empty() && !asked.iter().all(named) {
        return target("a workspace was asked for in which the user has no role");
    }
    Ok(Some(asked.clone()))
}

fn actions(form: &Form, delegation: Option<&Delegation>) -> Result<Option<Vec<String>>, Refusal> {
    let limit = delegation.and_then(|it| it.actions.as_ref());
    match (&form.actions, limit) {
        (None, limit) => Ok(limit.cloned()),
        (Some(asked), Some(limit)) if asked.iter().any(|name| !limit.contains(name)) => Err(Refusal::told(
            Code::InvalidScope,
            "an action was asked for that the subject_token was not delegated for",
        )),
        (Some(asked), _) => Ok(Some(asked.clone())),
    }
}

/// Roles in other workspaces than those are of no use any more. Groups stay: they are not of a workspace, and what policies
/// forbid to a group must go on being forbidden.
fn roles_in(principal: &Principal, workspaces: Option<&[String]>) -> Vec<(String, Vec<String>)> {
    let within = |client: &String| workspaces.is_none_or(|names| names.contains(client));
    principal
        .roles
        .iter()
        .filter(|(client, _)| within(client))
        .cloned()
        .collect()
}

fn lifetime(
    form: &Form,
    renews: Option<&Renewed>,
    settings: &DelegationSettings,
    now: i64,
) -> Result<u64, Refusal> {
    let asked = form.lifetime_seconds.unwrap_or(settings.default_lifetime_seconds);
    if asked > settings.max_lifetime_seconds {
        let most = settings.max_lifetime_seconds;
        return Err(refused(format!(
            "lifetime is at most {most} seconds here; the token can be renewed"
        )));
    }
    let began_at = renews.map_or(now, |renewed| renewed.began_at);
    let left = began_at
        .saturating_add_unsigned(settings.max_total_seconds)
        .saturating_sub(now);
    match u64::try_from(left) {
        Ok(left @ 1..) => Ok(asked.min(left)),
        _ => Err(refused(
            "this delegation cannot be renewed any more: exchange a token of the user's own again",
        )),
    }
}

fn refused(why: impl Into<String>) -> Refusal {
    Refusal::told(Code::InvalidRequest, why)
}

#[cfg(test)]
mod tests;
