//! Who an introspected token speaks of.

use std::time::{Instant, SystemTime};

use model::PrincipalKind;
use serde_json::{Map, Value};

use super::{Asked, Introspector, Outcome, registered};
use crate::identity::actor::{self, ClientActs};
use crate::identity::claims::{Claims, Registered, unix_seconds};
use crate::identity::entitlement;
use crate::identity::issuer::{Proven, Purpose, Reading};
use crate::identity::mapping::KindRule;
use crate::identity::oidc;
use crate::identity::refusal::TokenRefusal;
use crate::identity::roles;
use crate::identity::settings::Profile;
use crate::identity::verifier::{Answer, Question, Waited};

/// What Keycloak puts before the client id to name a service account.
const SERVICE_ACCOUNT: &str = "service-account-";

impl Introspector {
    /// What the endpoint says to a credential. A JWT is its own witness: only one of an issuer that nobody knows is asked
    /// about, and what has a JOSE header and cannot be read never is.
    pub(in crate::identity) fn answer(&self, question: &Question<'_>) -> Answer {
        if question.is_unreadable_jwt() {
            return Answer::NotMine;
        }
        let asked = self.ask(&question.presented.token, question.digest);
        match &asked {
            Asked::Busy(busy) => self.shared.counts.unasked(*busy),
            // Whoever waited for the answer finds it, too.
            Asked::Known(_) if question.waited == Waited::No => self.shared.counts.kept(),
            Asked::NotMine | Asked::Pending(_) | Asked::Known(_) => {}
        }
        match asked {
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
        let raw = claims;
        let mapping = &self.settings.claims;
        let mapped = mapping.apply(raw, Profile::Oidc);
        let claims = Claims(&mapped);
        let mut registered = registered(claims, &self.settings, now)?;
        let believed_for = believed_until.saturating_duration_since(Instant::now());
        registered.expires_at = registered
            .expires_at
            .min(unix_seconds(now) + believed_for.as_secs_f64());
        registered.believed_until = Some(believed_until);
        let marks = Marks::read(claims, &registered)?;
        let reading = Reading {
            claims,
            registered: &registered,
            issuer: &self.settings.name,
            purpose: Purpose::Access,
            kind: KindRule::Said(mapping.kind(raw)?.decide(|| marks.kind())?),
            base_path: "",
        };
        let mut principal = oidc::principal(&reading)?;
        principal.name = principal.name.or(marks.username.map(str::to_owned));
        if principal.kind == PrincipalKind::Client {
            // As with JWTs: it belongs to no group and holds no roles.
            principal.groups.clear();
        } else {
            let entitled = entitlement::groups(&mapping.entitlements(raw)?);
            principal.groups.extend(entitled);
            if mapping.roles.is_some() {
                principal.roles = roles::roles(claims)?;
            }
        }
        let issuer_url = claims.text("iss")?.unwrap_or_default();
        let issuer = (self.settings.name.as_str(), issuer_url);
        principal.actors = actor::actors(claims, issuer, principal.kind, None, ClientActs::No)?;
        Ok(Proven {
            principal: principal.into(),
            registered,
            signed_with: None,
        })
    }
}

/// What tells people, clients and robots apart where the settings do not.
struct Marks<'c> {
    subject: &'c str,
    client: Option<&'c str>,
    /// `username` (RFC 7662 section 2.2).
    username: Option<&'c str>,
    /// That, and `preferred_username`.
    names: [Option<&'c str>; 2],
    /// `sid` or `auth_time`: somebody logged in.
    logged_in: bool,
    /// A claim that only people have.
    person: bool,
}

impl<'c> Marks<'c> {
    fn read(claims: Claims<'c>, registered: &'c Registered) -> Result<Self, TokenRefusal> {
        let username = claims.name("username")?;
        let (sid, auth_time) = (claims.name("sid")?, claims.time("auth_time")?);
        Ok(Self {
            subject: &registered.subject,
            client: claims.client()?,
            username,
            names: [username, claims.name("preferred_username")?],
            logged_in: sid.is_some() || auth_time.is_some(),
            person: claims.name("given_name")?.is_some() || claims.name("family_name")?.is_some(),
        })
    }

    /// A service account may have a name like a person; what fits nobody is refused.
    fn kind(&self) -> Result<PrincipalKind, TokenRefusal> {
        let names = || self.names.into_iter().flatten();
        if self.client == Some(self.subject) {
            Ok(PrincipalKind::Client)
        } else if names().any(|name| self.is_service_account(name)) {
            // Somebody who logs in may have chosen that name.
            match self.logged_in {
                true => Err(TokenRefusal::Nobody),
                false => Ok(PrincipalKind::Robot),
            }
        } else if self.logged_in || self.person || names().any(|name| Some(name) != self.client) {
            Ok(PrincipalKind::User)
        } else {
            Err(TokenRefusal::Nobody)
        }
    }

    /// As Keycloak names the account of a client.
    fn is_service_account(&self, name: &str) -> bool {
        let client = name.strip_prefix(SERVICE_ACCOUNT);
        client.is_some() && client == self.client.map(str::to_lowercase).as_deref()
    }
}
