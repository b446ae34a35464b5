//! Tokens that are shown to the house itself, to be exchanged for others: verified like those of requests, and read whole.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use model::Principal;
use serde_json::{Map, Value};

use super::issuer::Proven;
use super::jws::Jws;
use super::refusal::TokenRefusal;
use super::verifier::{Verifier, Waited};
use super::{Awaited, Identified, Identity, Look, Presented, Refused, credentials};

/// A verified token with all that it says.
#[derive(Clone, Debug)]
pub struct ShownToken {
    /// Whom it is about.
    pub principal: Principal,
    /// `jti`
    pub token_id: Option<String>,
    /// `iat`, in Unix seconds.
    pub issued_at: Option<f64>,
    /// `exp`, in Unix seconds; infinite for what does not end by itself.
    pub expires_at: f64,
    /// The claims as its issuer wrote them; none of what is no JWT.
    pub claims: Map<String, Value>,
}

/// What a token is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownAs {
    /// As that of somebody who acts: it counts as it would for a request.
    Actor,
    /// As what is to be exchanged: a token of the house's own may have ended a while ago, so that it can be renewed.
    Subject,
}

impl<D: Send + Sync + 'static> Identity<D> {
    /// Verifies `token`, wherever tokens of its issuer may be.
    ///
    /// # Errors
    /// [`NotShown`]
    pub(crate) fn shown(
        &self,
        token: &str,
        shown_as: ShownAs,
        now: SystemTime,
        waited: Waited,
    ) -> Result<ShownToken, NotShown> {
        let refused = |reason, issuer: Option<&str>| {
            NotShown::Refused(Refused {
                reason,
                issuer: issuer.map(str::to_owned),
            })
        };
        let token = credentials::believable(token.as_bytes()).map_err(|reason| refused(reason, None))?;
        let jws = Jws::parse(token);
        if let (ShownAs::Subject, Ok(jws)) = (shown_as, &jws) {
            let verifiers = self.verifiers.iter();
            let mut houses = verifiers.filter_map(|verifier| match verifier {
                Verifier::House(house) => Some(house),
                _ => None,
            });
            if let Some(house) = houses.find(|house| house.issued(jws)) {
                let proven = house.renewable(jws, now);
                let proven = proven.map_err(|reason| refused(reason, Some(&house.name)))?;
                return Ok(ShownToken::of(&proven, jws.claims.clone()));
            }
        }
        let presented = Presented {
            token: Cow::Borrowed(token),
            place: None,
        };
        match self.judge(&presented, now, waited) {
            Look::Final(Identified::Verified(verified, _)) => {
                // What somebody else was asked about has claims that nobody signed.
                let issuer = self.verifiers.get(verified.proof.verifier);
                if shown_as == ShownAs::Subject && !matches!(issuer, Some(Verifier::Issuer(_))) {
                    return Err(refused(TokenRefusal::NotExchangeable, None));
                }
                let claims = jws.map(|jws| jws.claims).unwrap_or_default();
                Ok(ShownToken::of(&Arc::clone(&verified.proof.proven), claims))
            }
            Look::Final(Identified::Refused(refused)) | Look::NotYet(refused, None) => {
                Err(NotShown::Refused(refused))
            }
            Look::NotYet(_, Some(wanted)) | Look::Final(Identified::NotYet(wanted))
                if waited == Waited::No =>
            {
                Err(NotShown::NotYet(wanted))
            }
            Look::NotYet(still, _) => Err(NotShown::Refused(still)),
            Look::Final(Identified::Anonymous | Identified::NotYet(_)) => {
                Err(refused(TokenRefusal::NoToken, None))
            }
        }
    }
}

/// Why a token does not count.
pub(crate) enum NotShown {
    Refused(Refused),
    /// It cannot be said yet.
    NotYet(Awaited),
}

impl ShownToken {
    fn of(proven: &Proven, claims: Map<String, Value>) -> Self {
        let registered = &proven.registered;
        Self {
            principal: Principal::clone(&proven.principal),
            token_id: registered.token_id.clone(),
            issued_at: registered.issued_at,
            expires_at: registered.expires_at,
            claims,
        }
    }
}
