//! Decisions for the tests of the doors.

use std::sync::Arc;

use model::{Decision, Denial, HeaderEdits, Permit, Reason, RouteEdits, Version};

/// An allow that two policies granted.
#[expect(
    clippy::disallowed_methods,
    reason = "how an allow is written cannot be tested without one"
)]
pub(crate) fn allow(edits: HeaderEdits, route: RouteEdits) -> Decision {
    let permit = Permit::grant(Arc::new(edits), Arc::new(route));
    Decision::allow(permit, vec!["workspace-read".into(), "second".into()], version())
}

/// A denial that one policy decided, with a challenge on 401.
pub(crate) fn deny(status: u16, reason: Reason, headers: &[(&str, &str)]) -> Decision {
    let denial = Denial {
        status,
        reason,
        caller: "you may not".into(),
        log: "the whole truth".to_owned(),
        challenge: (status == 401).then(|| "Bearer realm=\"test\"".into()),
        redirect: None,
        headers: pairs(headers).into(),
    };
    Decision::deny(denial, vec!["no-strangers".into()], version())
}

/// A denial of somebody who could log in.
pub(crate) fn deny_with_login() -> Decision {
    let denial = Denial {
        status: 401,
        reason: Reason::CredentialMissing,
        caller: "a credential is needed".into(),
        log: String::new(),
        challenge: Some("Bearer realm=\"test\"".into()),
        redirect: Some("https://login.test/?rd=x".into()),
        headers: [].into(),
    };
    Decision::deny(denial, Vec::new(), version())
}

/// The same with names that many share.
pub(crate) fn named(pairs: &[(&str, &str)]) -> Vec<(Arc<str>, Box<str>)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Vec<(Box<str>, Box<str>)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

fn version() -> Version {
    Version("v1-abc".into())
}
