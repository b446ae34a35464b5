//! Who is meant by a token that is shown to the house, to be exchanged or as proof of who acts.

use std::time::SystemTime;

use super::answer::Stop;
use super::live::Live;
use super::{PATIENCE, Pipeline};
use crate::identity::{NotShown, ShownAs, ShownToken, Waited};

/// A token that does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{log}")]
pub struct Unfit {
    /// For the log: no token is in it.
    pub log: String,
    /// True if it is not the token's fault: what it takes to check it is not at hand.
    pub unavailable: bool,
}

impl Pipeline {
    /// What `token` says, if it is good now and not revoked. May wait for keys.
    ///
    /// # Errors
    /// [`Unfit`]
    pub async fn shown(&self, token: &str, shown_as: ShownAs) -> Result<ShownToken, Unfit> {
        let live = self.live.load_full();
        let wanted = match live.shown(token, shown_as, Waited::No) {
            Ok(outcome) => return outcome,
            Err(wanted) => wanted,
        };
        // Whether they have come or not is seen when it is asked again.
        let _ = tokio::time::timeout(PATIENCE, wanted.wait()).await;
        let live = self.live.load_full();
        live.shown(token, shown_as, Waited::Yes).unwrap_or_else(|_| {
            Err(Unfit {
                log: "it was waited twice".to_owned(),
                unavailable: true,
            })
        })
    }
}

impl Live {
    fn shown(
        &self,
        token: &str,
        shown_as: ShownAs,
        waited: Waited,
    ) -> Result<Result<ShownToken, Unfit>, crate::identity::Awaited> {
        let now = SystemTime::now();
        let shown = match self.identity.shown(token, shown_as, now, waited) {
            Ok(shown) => shown,
            Err(NotShown::NotYet(wanted)) => return Err(wanted),
            Err(NotShown::Refused(refused)) => {
                let unavailable = refused.is_for_want_of_keys();
                let log = refused.to_string();
                return Ok(Err(Unfit { log, unavailable }));
            }
        };
        let counts = self.still_counts(&shown.principal, shown.token_id.as_deref(), shown.issued_at);
        Ok(match counts {
            Ok(()) => Ok(shown),
            Err(Stop::Denied(denial, _)) => Err(Unfit {
                unavailable: denial.reason == model::Reason::RevocationsUnknown,
                log: denial.log,
            }),
            Err(Stop::Wait(wanted)) => return Err(wanted),
        })
    }
}
