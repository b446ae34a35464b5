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
        headers: pairs(headers).into(),
    };
    Decision::deny(denial, vec!["no-strangers".into()], version())
}

/// Names and values as the model keeps them.
pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Vec<(Box<str>, Box<str>)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

fn version() -> Version {
    Version("v1-abc".into())
}
