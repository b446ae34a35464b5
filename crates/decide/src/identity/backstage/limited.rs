//! Limited tokens of users: what Backstage puts into a cookie, for what browsers fetch by themselves (documents, images).
//!
//! Told apart by `typ` in the header; they say `sub`, `iat` and `exp` and nothing else, so their keys alone tell whose they
//! are. The principal is a `User` of the name of these settings (`User::"backstage/user:default/jane"`), another one than
//! the user with a whole token of the portal's issuer: what is granted to the one is never granted to the other.

use std::sync::Arc;

use model::{Principal, PrincipalKind};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::identity::algorithm::Algorithm;
use crate::identity::claims::{Claims, Demands, Registered, check_times, fault, unix_seconds};
use crate::identity::credentials::Place;
use crate::identity::fetch::{self, Source};
use crate::identity::fetching::Fetching;
use crate::identity::issuer::Proven;
use crate::identity::jws::Jws;
use crate::identity::keys::{IssuerKeys, Pace};
use crate::identity::refusal::{ClaimFault, TokenRefusal};
use crate::identity::settings::acceptable_url;
use crate::identity::signature::{Stop, check_signature};
use crate::identity::verifier::Question;
use crate::problem::Problem;

/// Limited user tokens in a cookie.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitedUserSettings {
    /// Where Backstage publishes the keys of its users' tokens: `<backend>/api/auth/.well-known/jwks.json`. `https`, or
    /// `http` on this very host.
    pub jwks_uri: String,
    /// The cookie. It is looked at only where there is no `Authorization` header, as in Backstage.
    #[serde(default = "default_cookie")]
    pub cookie: String,
}

/// Who verifies them.
pub(super) struct LimitedUsers {
    /// The keys.
    pub(super) keys: Arc<IssuerKeys>,
    /// Where the tokens are.
    pub(super) places: [Place; 1],
    name: String,
}

impl LimitedUsers {
    /// Those of (validated) settings; fetching begins at once.
    pub(super) fn new(
        name: &str,
        label: &str,
        settings: &LimitedUserSettings,
        fetching: &Fetching<'_>,
    ) -> Self {
        let source = Source {
            issuer: settings.jwks_uri.clone(),
            place: fetch::Place::Urls(vec![settings.jwks_uri.clone()]),
        };
        Self {
            keys: fetching.keys(label, source, Pace::USUAL),
            places: [Place::CookieOtherwise(settings.cookie.clone())],
            name: name.to_owned(),
        }
    }

    /// True for a token that says it is one of these.
    pub(super) fn made(&self, jws: &Jws<'_>) -> bool {
        super::internal(jws) == Some(TokenRefusal::BackstageLimitedUser)
    }

    /// Judges such a token.
    pub(super) fn judge(
        &self,
        jws: &Jws<'_>,
        times: &Demands,
        question: &Question<'_>,
    ) -> Result<Proven, Stop> {
        if !Algorithm::ASYMMETRIC.contains(&jws.algorithm) {
            return Err(TokenRefusal::AlgorithmNotAllowed(jws.algorithm).into());
        }
        let claims = Claims(&jws.claims);
        claims.refuse_bound()?;
        if ["obo", "act"].iter().any(|name| jws.claims.contains_key(*name)) {
            return Err(TokenRefusal::BackstageOnBehalf.into());
        }
        let subject = claims.name("sub")?.ok_or(fault("sub", ClaimFault::Missing))?;
        if subject.trim() != subject {
            return Err(fault("sub", ClaimFault::EdgeBlank).into());
        }
        let (expires_at, issued_at) = check_times(claims, times, unix_seconds(question.now))?;
        if issued_at.is_none() {
            return Err(fault("iat", ClaimFault::Missing).into());
        }
        let signed_with = check_signature(&self.keys, jws)?;
        Ok(Proven {
            principal: Principal::new(PrincipalKind::User, &self.name, subject).into(),
            registered: Registered {
                expires_at,
                issued_at,
                ..Registered::without_end(subject)
            },
            signed_with: Some(signed_with),
        })
    }
}

fn default_cookie() -> String {
    "backstage-auth".to_owned()
}

/// All problems of the settings, at once.
pub(super) fn validate(settings: &LimitedUserSettings) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Err(why) = acceptable_url(&settings.jwks_uri) {
        let help = "for example `https://backstage.example.test/api/auth/.well-known/jwks.json`";
        let pointer = "/backstage/limited_users/jwks_uri";
        problems.push(Problem::setting(pointer, format!("the URL {why}"), help));
    }
    if let Err((message, help)) = Place::Cookie(settings.cookie.clone()).validate() {
        problems.push(Problem::setting("/backstage/limited_users/cookie", message, help));
    }
    problems
}
