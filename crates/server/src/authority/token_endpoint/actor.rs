//! Who wants to act for somebody, and whether that somebody's token lets them.

use decide::ShownToken;
use model::{Actor, PrincipalKind};
use serde_json::{Map, Value};

use super::error::{Code, Refusal};

/// How deep `act` may be nested: those who act for those who act.
const DEEPEST: usize = 5;

/// Somebody who acts, by a verified credential of their own.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Acting {
    /// As the principal of the second question of each request.
    pub(super) actor: Actor,
    /// As policies name whom the credential is of.
    pub(super) holder: String,
    /// `iss`, if the credential is a JWT.
    issuer_url: Option<String>,
    /// `sub` as the credential says it.
    sub: String,
    /// `act` of the credential: who acts through whoever presents it.
    act: Option<Value>,
}

impl Acting {
    /// # Errors
    /// [`Refusal`] for a credential that is nobody's own.
    pub(super) fn of(shown: &ShownToken) -> Result<Self, Refusal> {
        let principal = &shown.principal;
        let unfit = |why: &str, log| Err(Refusal::untold(Code::UnauthorizedClient, why, log));
        if principal.delegation.is_some() || !principal.actors.is_empty() {
            let log = format!("the credential of {principal} is one that somebody acts with");
            return unfit(
                "a token with which somebody acts for somebody else is no credential of a client",
                log,
            );
        }
        if !matches!(principal.kind, PrincipalKind::Client | PrincipalKind::Robot) {
            let log = format!("{principal} is neither a Client nor a Robot");
            return unfit("only clients and robots act for others", log);
        }
        let text = |name: &str| shown.claims.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            actor: Actor::new(
                &principal.issuer,
                principal.client.as_deref().unwrap_or(&principal.subject),
            ),
            holder: principal.to_string(),
            issuer_url: text("iss"),
            sub: text("sub").unwrap_or_else(|| principal.subject.clone()),
            act: shown.claims.get("act").cloned(),
        })
    }

    /// `act` of a token that they get (RFC 8693 section 4.1); `before` is who acted until then.
    ///
    /// # Errors
    /// [`Refusal`] for a chain without end.
    pub(super) fn act(&self, before: Option<&Value>) -> Result<Value, Refusal> {
        let within = self.act.as_ref().or(before);
        if within.is_some_and(|act| depth(act) >= DEEPEST) {
            let log = format!("with {} more than {DEEPEST} would act", self.holder);
            return Err(Refusal::untold(
                Code::InvalidRequest,
                "too many act with the subject_token already",
                log,
            ));
        }
        let members = [
            ("sub", Some(Value::from(self.sub.as_str()))),
            ("client_id", Some(Value::from(self.actor.client.as_str()))),
            ("iss", self.issuer_url.as_deref().map(Value::from)),
            ("act", within.cloned()),
        ];
        let members = members
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Ok(Value::Object(members.collect()))
    }

    /// Whether `may_act` of the user's token (RFC 8693 section 4.4) names them. Without that claim policies alone decide.
    ///
    /// # Errors
    /// [`Refusal`]
    pub(super) fn may_act(&self, subject: &Map<String, Value>) -> Result<(), Refusal> {
        let Some(may_act) = subject.get("may_act") else {
            return Ok(());
        };
        let Some(why) = self.is_not(may_act, subject) else {
            return Ok(());
        };
        let log = format!(
            "`may_act` of the subject_token does not let {} act: {why}",
            self.holder
        );
        Err(Refusal::untold(
            Code::InvalidRequest,
            "the subject_token does not let this client act (may_act)",
            log,
        ))
    }

    /// Why it is somebody else; `None` if it is not. What cannot be compared is somebody else.
    fn is_not(&self, may_act: &Value, subject: &Map<String, Value>) -> Option<String> {
        let Some(named) = may_act.as_object() else {
            return Some("it is no object".to_owned());
        };
        if !named.contains_key("sub") && !named.contains_key("client_id") {
            return Some("it has neither `sub` nor `client_id`".to_owned());
        }
        // Without an issuer it is somebody of the token's own.
        let issuer = named.get("iss").or_else(|| subject.get("iss"));
        if issuer.and_then(Value::as_str) != self.issuer_url.as_deref() || self.issuer_url.is_none() {
            return Some("its issuer is another one".to_owned());
        }
        named.iter().find_map(|(name, value)| {
            let own = match name.as_str() {
                "iss" => return None,
                "sub" => &self.sub,
                "client_id" => &self.actor.client,
                other => return Some(format!("nothing here can be compared with its {other:?}")),
            };
            (value.as_str() != Some(own)).then(|| format!("its `{name}` is another one"))
        })
    }
}

fn depth(act: &Value) -> usize {
    let mut depth = 0;
    let mut next = Some(act);
    while let Some(act) = next {
        depth += 1;
        next = act.get("act");
    }
    depth
}

#[cfg(test)]
mod tests;
