//! Audit mode: what policies deny passes, and is recorded with what the answer would have been.

use std::sync::Arc;

use model::{Audited, HeaderEdits, Permit, Reason, RouteEdits};

use super::answer::Stop;
use super::live::Live;
use crate::routes::Route;
use crate::settings::Mode;

/// A yes: the permit, and on whose word.
pub(super) struct Yes {
    pub(super) permit: Permit,
    pub(super) word: Word,
}

/// On whose word a request passes.
pub(super) enum Word {
    /// These policies permit it.
    Policies(Vec<Arc<str>>),
    /// Policies deny it, and are only audited.
    Audit(Audited),
}

impl Live {
    /// The verdict of the policies, as much as it counts on this route. Nothing but a verdict of policies comes here: what
    /// was refused before they were asked stays refused.
    #[expect(
        clippy::disallowed_methods,
        reason = "the pipeline, after the policies were asked, where their denials do not count"
    )]
    pub(super) fn enforce(
        &self,
        verdict: Result<(Permit, Vec<Arc<str>>), Stop>,
        edits: &Arc<HeaderEdits>,
        route: Option<&Route>,
    ) -> Result<Yes, Stop> {
        let mode = route.and_then(|route| route.mode).unwrap_or(self.rules.mode);
        match verdict {
            Ok((permit, policies)) => Ok(Yes {
                permit,
                word: Word::Policies(policies),
            }),
            Err(Stop::Denied(denial, policies)) if mode == Mode::Audit && is_of_policies(denial.reason) => {
                let changes = route.map_or_else(
                    || Arc::new(RouteEdits::default()),
                    |route| Arc::clone(&route.on_allow),
                );
                Ok(Yes {
                    permit: Permit::grant(Arc::clone(edits), changes),
                    word: Word::Audit(Audited {
                        denial: *denial,
                        policies,
                    }),
                })
            }
            Err(stop) => Err(stop),
        }
    }
}

/// True for what policies say no with.
fn is_of_policies(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NoPermit | Reason::Forbidden | Reason::PolicyError | Reason::CredentialMissing
    )
}
