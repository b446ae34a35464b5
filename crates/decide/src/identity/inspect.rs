//! A token explained: what it says, which checks it passes, and who it makes its bearer.
//!
//! Nothing is judged here. The verdict is that of the verifiers, as for any request; the list of checks is read from the refusal, because verification stops at the first fault.

use std::time::SystemTime;

use model::{Headers, Principal};
use serde_json::{Map, Value};

use super::credentials;
use super::credentials::{Place, Presented};
use super::jws::{self, Jws};
use super::refusal::{Part, Refused, TokenRefusal};
use super::verifier::Waited;
use super::{Identified, Identity, Look};

/// What there is to say about a credential. Has neither the token nor its signature.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The JOSE header as sent, if it can be read. Nobody vouches for it.
    pub header: Option<Map<String, Value>>,
    /// The claims as sent, if they can be read. Nobody vouches for them unless [`TokenCheck::Signature`] is passed.
    pub claims: Option<Map<String, Value>>,
    /// Every check, in the order in which verification makes them.
    pub steps: Vec<(TokenCheck, Outcome)>,
    /// Why it is refused; `None` for what is verified, and for what could only be looked at.
    pub refusal: Option<Refused>,
    /// Who its bearer is; only of a token that was verified.
    pub principal: Option<Principal>,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it must be.
    Passed,
    /// This is the reason of the refusal.
    Failed,
    /// Verification ended before it, or there are no issuers to check against.
    NotChecked,
}

/// The checks of a bearer token. A [`TokenRefusal`] belongs to exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenCheck {
    /// One token, not too long, nothing but visible ASCII.
    Credential,
    /// Three segments.
    Segments,
    /// The JOSE header: strict JSON, a known algorithm, nothing that changes the meaning.
    Header,
    /// Signature and claims can be decoded; the claims are strict JSON.
    Encoding,
    /// `iss` is a configured issuer.
    Issuer,
    /// The issuer uses the algorithm.
    Algorithm,
    /// `typ` in the header is one of the issuer's.
    Type,
    /// The claims that the settings demand are there.
    Required,
    /// No `cnf`.
    Binding,
    /// `sub` is a name.
    Subject,
    /// `aud` names us.
    Audience,
    /// `exp`, `nbf` and `iat`.
    Times,
    /// `jti`.
    TokenId,
    /// The signature is by a key the issuer publishes; for an opaque token, its introspection endpoint says it is active.
    Signature,
    /// The issuer's profile can tell who it is.
    Principal,
}

impl TokenCheck {
    /// All of them, in the order of verification.
    pub const ALL: [Self; 15] = [
        Self::Credential,
        Self::Segments,
        Self::Header,
        Self::Encoding,
        Self::Issuer,
        Self::Algorithm,
        Self::Type,
        Self::Required,
        Self::Binding,
        Self::Subject,
        Self::Audience,
        Self::Times,
        Self::TokenId,
        Self::Signature,
        Self::Principal,
    ];

    /// A name for people and scripts, and what the check demands.
    pub fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::Credential => ("credential", "one token, only visible ASCII"),
            Self::Segments => ("segments", "header, claims and signature"),
            Self::Header => (
                "header",
                "strict JSON, a supported algorithm, nothing that changes the meaning",
            ),
            Self::Encoding => ("encoding", "canonical base64url, the claims are strict JSON"),
            Self::Issuer => ("issuer", "`iss` is exactly that of a configured issuer"),
            Self::Algorithm => ("algorithm", "the issuer uses the algorithm"),
            Self::Type => ("type", "`typ` of the header is one of the issuer's access tokens"),
            Self::Required => ("required claims", "the claims that the settings demand are there"),
            Self::Binding => ("binding", "bound to no sender (`cnf`)"),
            Self::Subject => ("subject", "`sub` is there and is a name"),
            Self::Audience => ("audience", "`aud` names one of ours"),
            Self::Times => ("times", "not expired (`exp`), and already valid (`nbf`, `iat`)"),
            Self::TokenId => ("token id", "`jti` and `scope`, where they are, can be read"),
            Self::Signature => ("signature", "by a key that the issuer publishes"),
            Self::Principal => ("principal", "the issuer's profile can tell who it is"),
        }
    }

    /// The check that gave this refusal.
    fn that_gave(refusal: &TokenRefusal) -> Self {
        use TokenRefusal as R;
        match refusal {
            R::SeveralCredentials(_)
            | R::SeveralPlaces
            | R::UnreadableQuery
            | R::Scheme
            | R::NoToken
            | R::Character(_)
            | R::TooLong(_) => Self::Credential,
            R::Segments(_) => Self::Segments,
            R::Unknown(reason) | R::NoEntry { reason, .. } => Self::that_gave(reason),
            R::NoHeader
            | R::Base64(Part::Header)
            | R::Json {
                part: Part::Header, ..
            } => Self::Header,
            R::Header { .. } | R::HeaderForbidden(_) | R::UnknownAlgorithm(_) => Self::Header,
            R::Base64(_) | R::Json { .. } => Self::Encoding,
            R::UnknownIssuer(_) | R::UnknownNetworkToken | R::WrongPlace => Self::Issuer,
            R::TokenType(_) | R::BackstagePlugin | R::BackstageLimitedUser => Self::Type,
            R::BackstageOnBehalf => Self::Principal,
            R::RequiredClaim(_) | R::ClaimValue(_) => Self::Required,
            R::AlgorithmNotAllowed(_) => Self::Algorithm,
            R::SenderConstrained => Self::Binding,
            R::Audience(_) => Self::Audience,
            R::Expired { .. }
            | R::NotYetValid { .. }
            | R::EndsBeforeItStarts { .. }
            | R::LivesTooLong { .. } => Self::Times,
            R::UnknownKey { .. }
            | R::KeyAlgorithm { .. }
            | R::KeysUnavailable(_)
            | R::KidMissing(_)
            | R::Signature(_) => Self::Signature,
            // In place of a signature, the endpoint vouches for an opaque token.
            R::IntrospectionUnavailable(_) | R::Inactive => Self::Signature,
            R::Claim { name, .. } => match *name {
                "iss" => Self::Issuer,
                "sub" => Self::Subject,
                "aud" => Self::Audience,
                "exp" | "nbf" | "iat" => Self::Times,
                "jti" => Self::TokenId,
                _ => Self::Principal,
            },
            R::IdToken(_)
            | R::NotAnAccessToken
            | R::KeycloakType(_)
            | R::UnknownType { .. }
            | R::ForeignActor
            | R::ExposedClaim(_)
            | R::ProfileClaim { .. }
            | R::ProfileVersion { .. }
            | R::Scope { .. }
            | R::OriginUnknown(_)
            | R::NotExchangeable
            | R::Nobody => Self::Principal,
        }
    }
}

/// Looks at the value of an `Authorization` header as far as that goes without issuers. It verifies nothing: what is
/// not refused here is well-formed and no more.
pub fn inspect(authorization: &[u8]) -> Inspection {
    let mut headers = Headers::default();
    headers.push("authorization", authorization);
    let shape = match credentials::bearer(&headers) {
        Ok(token) => token.ok_or(TokenRefusal::NoToken).and_then(Jws::parse).err(),
        Err(reason) => Some(reason),
    };
    let refusal = shape.map(|reason| Refused { reason, issuer: None });
    Inspection::of(&headers, refusal, TokenCheck::Encoding, None)
}

impl<D: Send + Sync + 'static> Identity<D> {
    /// Verifies the value of an `Authorization` header at the time `now`, and explains; the places where tokens of its
    /// issuer may be do not matter here. Waits once, for a bounded time, for what it takes to know.
    pub async fn inspect(&self, authorization: &[u8], now: SystemTime) -> Inspection {
        let mut headers = Headers::default();
        headers.push("authorization", authorization);
        let look = match credentials::bearer(&headers) {
            Ok(token) => {
                let presented = Presented {
                    token: token.unwrap_or_default().into(),
                    place: None,
                };
                match self.judge(&presented, now, Waited::No) {
                    Look::NotYet(_, Some(awaited)) => {
                        awaited.wait().await;
                        self.judge(&presented, now, Waited::Yes)
                    }
                    look => look,
                }
            }
            Err(reason) => Look::refused(reason, None),
        };
        let (refusal, principal) = match look {
            Look::Final(Identified::Verified(verified, _)) => (None, Some(verified.principal().clone())),
            Look::Final(Identified::Refused(refused)) | Look::NotYet(refused, _) => (Some(refused), None),
            // One token was presented, and it was waited: neither of them can be the answer.
            Look::Final(Identified::Anonymous | Identified::NotYet(_)) => {
                let reason = TokenRefusal::NoToken;
                (Some(Refused { reason, issuer: None }), None)
            }
        };
        Inspection::of(&headers, refusal, TokenCheck::Principal, principal)
    }
}

/// The credential of a request, looked at.
pub(crate) struct Examined {
    /// Where it was; `None` when there is none, or more than one.
    pub(crate) place: Option<String>,
    /// What there is to say about it; `None` when there is none.
    pub(crate) inspection: Option<Inspection>,
}

impl<D: Send + Sync + 'static> Identity<D> {
    /// Looks at the credential of a request with what is at hand, and says how each of its checks went.
    pub(crate) fn examine(&self, headers: &Headers<'_>, query: Option<&str>, now: SystemTime) -> Examined {
        let presented = match credentials::find(headers, query, &self.places) {
            Ok(Some(presented)) => presented,
            Ok(None) => {
                return Examined {
                    place: None,
                    inspection: None,
                };
            }
            Err(reason) => {
                let refusal = Some(Refused { reason, issuer: None });
                return Examined {
                    place: None,
                    inspection: Some(Inspection::of(headers, refusal, TokenCheck::Principal, None)),
                };
            }
        };
        let (refusal, principal) = match self.judge(&presented, now, Waited::Yes) {
            Look::Final(Identified::Verified(verified, _)) => (None, Some(verified.principal().clone())),
            Look::Final(Identified::Refused(refused)) | Look::NotYet(refused, _) => (Some(refused), None),
            Look::Final(Identified::Anonymous | Identified::NotYet(_)) => (None, None),
        };
        let value = format!("Bearer {}", presented.token);
        let mut as_bearer = Headers::default();
        as_bearer.push("authorization", value.as_bytes());
        let place = match presented.place {
            Some(Place::Header(name)) => format!("header {name:?}"),
            Some(Place::Cookie(name) | Place::CookieOtherwise(name)) => format!("cookie {name:?}"),
            Some(Place::Query(name)) => format!("query parameter {name:?}"),
            Some(Place::Bearer) | None => "authorization header".to_owned(),
        };
        Examined {
            place: Some(place),
            inspection: Some(Inspection::of(
                &as_bearer,
                refusal,
                TokenCheck::Principal,
                principal,
            )),
        }
    }
}

impl Inspection {
    /// `last` is the last check that was made if there is no refusal.
    fn of(
        headers: &Headers<'_>,
        refusal: Option<Refused>,
        last: TokenCheck,
        principal: Option<Principal>,
    ) -> Self {
        let failed = refusal.as_ref().map(|r| TokenCheck::that_gave(&r.reason));
        let mut outcome = Outcome::Passed;
        let mut steps = Vec::new();
        for check in TokenCheck::ALL {
            if failed == Some(check) {
                outcome = Outcome::Failed;
            }
            steps.push((check, outcome));
            if failed == Some(check) || last == check {
                outcome = Outcome::NotChecked;
            }
        }
        let mut segments = credentials::bearer(headers)
            .ok()
            .flatten()
            .unwrap_or_default()
            .split('.');
        let mut next = |part| jws::object(segments.next()?, part).ok();
        let (header, claims) = (next(Part::Header), next(Part::Payload));
        if header.is_none() && refusal.is_none() {
            // No JWT: somebody knows the token, and the other checks are none of its.
            for (check, outcome) in &mut steps {
                if *check != TokenCheck::Credential {
                    *outcome = Outcome::NotChecked;
                }
            }
        }
        Self {
            header,
            claims,
            steps,
            refusal,
            principal,
        }
    }
}

#[cfg(test)]
mod tests;
