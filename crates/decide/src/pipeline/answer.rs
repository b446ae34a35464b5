//! From what the policies say to a yes or a no.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use model::{Actor, Denial, HeaderEdits, Permit, PrincipalKind, Reason, RouteEdits};

use super::who::Who;
use crate::identity::Awaited;
use crate::policy::{ForbidAnswer, Judgement, filled};
use crate::routes::{DenyAnswer, Route};

/// The challenge without a credential (RFC 6750 section 3).
const CHALLENGE: &str = "Bearer realm=\"portcullis\"";
/// The challenge after a refused credential.
const CHALLENGE_INVALID: &str = "Bearer realm=\"portcullis\", error=\"invalid_token\"";

/// Why the walk ended before a yes.
pub(super) enum Stop {
    Denied(Box<Denial>, Vec<Arc<str>>),
    Wait(Awaited),
}

/// Turns what the policies say into a yes or a no; `actor` is whom a no is about, if not the principal itself, and `missing`
/// what its token lacks. Nothing else grants a permit, except `enforce` where denials are only audited.
#[expect(
    clippy::disallowed_methods,
    reason = "the pipeline, after the policies said yes"
)]
pub(super) fn answer(
    judgement: Judgement,
    who: &Who,
    actor: Option<&Actor>,
    missing: &str,
    edits: &Arc<HeaderEdits>,
    route: Option<&Route>,
) -> Result<(Permit, Vec<Arc<str>>), Stop> {
    let route_deny = route.map(|route| route.on_deny.clone()).unwrap_or_default();
    match judgement {
        Judgement::Permit(policies) => {
            let changes = route.map_or_else(
                || Arc::new(RouteEdits::default()),
                |route| Arc::clone(&route.on_allow),
            );
            Ok((Permit::grant(Arc::clone(edits), changes), policies))
        }
        Judgement::NoPermit => {
            let log = match (who.principal(), actor) {
                (None, _) => {
                    format!("no credential was presented, and no policy permits this to Anonymous{missing}")
                }
                (Some(principal), None) => format!("no policy permits this to {principal}{missing}"),
                (Some(principal), Some(actor)) => format!(
                    "{principal} may, but no policy permits this to {actor}, who acts for it: both must be allowed{missing}"
                ),
            };
            let reason = match who.kind() {
                PrincipalKind::Anonymous => Reason::CredentialMissing,
                _ => Reason::NoPermit,
            };
            Err(denial_of(&route_deny, who.kind(), reason, log).into())
        }
        Judgement::Forbid(policies, ForbidAnswer { status, reason }) => {
            let mut log = format!("forbidden by {}", policies.join(", "));
            if let Some(actor) = actor {
                let _ = write!(log, " to {actor}, who acts for the principal");
            }
            let reason = reason.map(|text| filled(&text, who.principal()).into());
            let on_deny = DenyAnswer {
                status: status.or(route_deny.status),
                reason: reason.or(route_deny.reason),
                headers: route_deny.headers,
            };
            Err(Stop::Denied(
                Box::new(denial_of(&on_deny, who.kind(), Reason::Forbidden, log)),
                policies,
            ))
        }
        Judgement::Unknown(policies, messages) => {
            let log = format!("a policy could not be evaluated, so the answer is no: {messages}");
            Err(Stop::Denied(
                Box::new(denial_of(&route_deny, who.kind(), Reason::PolicyError, log)),
                policies,
            ))
        }
    }
}

/// A denial as the route wants it to look; without a credential it asks for one.
pub(super) fn denial_of(on_deny: &DenyAnswer, who: PrincipalKind, reason: Reason, log: String) -> Denial {
    let anonymous = who == PrincipalKind::Anonymous;
    let status = on_deny.status.unwrap_or(if anonymous { 401 } else { 403 });
    let caller = match &on_deny.reason {
        Some(reason) => Cow::Owned(reason.to_string()),
        None if status == 401 => Cow::Borrowed("a credential is needed"),
        None => Cow::Borrowed("access denied"),
    };
    Denial {
        status,
        reason,
        caller,
        log,
        challenge: (status == 401).then_some(Cow::Borrowed(CHALLENGE)),
        redirect: None,
        headers: Arc::clone(&on_deny.headers),
    }
}

pub(super) fn deny(status: u16, reason: Reason, caller: &'static str, log: String) -> Denial {
    Denial {
        status,
        reason,
        caller: Cow::Borrowed(caller),
        log,
        challenge: None,
        redirect: None,
        headers: Arc::default(),
    }
}

pub(super) fn internal(message: String) -> Stop {
    deny(
        403,
        Reason::Internal,
        "the request cannot be checked right now",
        message,
    )
    .into()
}

/// A credential that was presented and is not believed.
pub(super) fn refused(log: String) -> Stop {
    let mut denial = deny(401, Reason::CredentialRefused, "the credential was refused", log);
    denial.challenge = Some(Cow::Borrowed(CHALLENGE_INVALID));
    denial.into()
}

/// A credential that was good until it was revoked: the caller is told no more than of any other that is refused.
pub(super) fn revoked(log: String) -> Stop {
    let mut denial = deny(401, Reason::Revoked, "the credential was refused", log);
    denial.challenge = Some(Cow::Borrowed(CHALLENGE_INVALID));
    denial.into()
}

impl From<Denial> for Stop {
    fn from(denial: Denial) -> Self {
        Self::Denied(Box::new(denial), Vec::new())
    }
}
