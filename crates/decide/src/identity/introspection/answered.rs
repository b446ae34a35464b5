//! Who an introspected token speaks of.

use std::time::{Instant, SystemTime};

use model::Principal;
use serde_json::{Map, Value};

use super::{Asked, Introspector, Outcome, registered};
use crate::identity::actor::{self, ClientActs};
use crate::identity::claims::{Claims, unix_seconds};
use crate::identity::issuer::{Proven, Purpose, Reading};
use crate::identity::mapping::KindRule;
use crate::identity::oidc;
use crate::identity::refusal::TokenRefusal;
use crate::identity::verifier::{Answer, Question};

impl Introspector {
    /// What the endpoint says to a credential. A JWT is its own witness: only one of an issuer that nobody knows is asked
    /// about, and what has a JOSE header and cannot be read never is.
    pub(in crate::identity) fn answer(&self, question: &Question<'_>) -> Answer {
        if question.is_unreadable_jwt() {
            return Answer::NotMine;
        }
        match self.ask(&question.presented.token, question.digest) {
            Asked::NotMine => Answer::NotMine,
            Asked::Busy(busy) => Answer::NotYet(busy.refusal(), None),
            Asked::Pending(wanted) => {
                let being_asked = "it is being asked".to_owned();
                Answer::NotYet(
                    TokenRefusal::IntrospectionUnavailable(being_asked),
                    Some(wanted.into()),
                )
            }
            Asked::Known(outcome) => match &*outcome {
                Outcome::Inactive => Answer::Refused(TokenRefusal::Inactive),
                Outcome::Failed(failure) => Answer::NotYet(failure.refusal(), None),
                Outcome::Active {
                    claims,
                    believed_until,
                } => match self.proven(claims, *believed_until, question.now) {
                    Ok(proven) => Answer::Verified(Box::new(proven)),
                    Err(refusal) => Answer::Refused(refusal),
                },
            },
        }
    }

    fn proven(
        &self,
        claims: &Map<String, Value>,
        believed_until: Instant,
        now: SystemTime,
    ) -> Result<Proven, TokenRefusal> {
        let claims = Claims(claims);
        let mut registered = registered(claims, &self.settings, now)?;
        let believed_for = believed_until.saturating_duration_since(Instant::now());
        registered.expires_at = registered
            .expires_at
            .min(unix_seconds(now) + believed_for.as_secs_f64());
        let reading = Reading {
            claims,
            registered: &registered,
            issuer: &self.settings.name,
            purpose: Purpose::Access,
            kind: KindRule::Profile(None),
            base_path: "",
        };
        let read = oidc::principal(&reading)?;
        let username = claims.name("username")?.map(str::to_owned);
        let issuer_url = claims.text("iss")?.unwrap_or_default();
        let issuer = (self.settings.name.as_str(), issuer_url);
        let actors = actor::actors(claims, issuer, read.kind, None, ClientActs::No)?;
        Ok(Proven {
            principal: Principal {
                name: read.name.clone().or(username),
                actors,
                ..read
            },
            registered,
            kid: None,
            generation: 0,
        })
    }
}
