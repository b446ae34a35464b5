//! A decision with its explanation: the same walk, with somebody who writes down what it passes.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use model::{Check, Decision, Malformed, Principal, PrincipalKind, Reason, Target, Verdict};

use super::live::Live;
use super::notes::Notes;
use super::who::Who;
use super::{Asking, Given, PATIENCE, Pipeline, Story, Waited, decided};
use crate::explain::{
    Credential, Explanation, FORMAT, Kept, Request, Route, Step, Visible, credential_of, hints, near,
    principal_of, reply_of, request_of,
};
use crate::record::why;
use crate::routes::Found;

impl Pipeline {
    /// Decides about `check` and explains the decision. With `given`, as if that principal had asked: credentials in the
    /// check are not looked at then.
    pub async fn explain(&self, check: &Check<'_>, given: Option<&Principal>) -> (Decision, Explanation) {
        let given = given.map(|principal| Given::Principal {
            principal,
            issued_at: None,
            client_ip: None,
        });
        let now = SystemTime::now();
        let (waited, started) = (Waited::No, Instant::now());
        let live = self.live();
        let wanted = match self.explain_once(&live, check, &Asking { now, waited, given }, started) {
            Ok(explained) => return explained,
            Err(wanted) => wanted,
        };
        // Whoever wants an explanation has the time to wait for keys.
        let _ = tokio::time::timeout(PATIENCE, wanted.wait()).await;
        let asking = Asking {
            now: SystemTime::now(),
            waited: Waited::Yes,
            given,
        };
        self.explain_once(&live, check, &asking, started)
            .unwrap_or_else(|_| {
                let decision = Self::after_waiting_twice(&live);
                let explanation = start(&decision);
                (decision, explanation)
            })
    }

    /// The explanation of a question that was kept, by the rules in force now.
    pub fn explain_kept(&self, kept: &Kept) -> Explanation {
        let live = self.live();
        let same_rules = *live.rules.version.0 == *kept.version;
        let recorded = kept.recorded(same_rules);
        let again = kept.check().filter(|_| kept.can_be_asked_again());
        let Some(check) = again else {
            return kept.as_it_was(recorded, live.visible());
        };
        let nobody = Principal::anonymous();
        let asking = Asking {
            now: kept.time(),
            waited: Waited::Yes,
            given: Some(Given::Principal {
                principal: kept.principal().unwrap_or(&nobody),
                issued_at: kept.issued_at(),
                client_ip: kept.client_ip(),
            }),
        };
        let mut story = Story {
            notes: Notes::wanted(),
            ..Story::default()
        };
        let verdict = live.judge(&check, &asking, &mut story);
        story.notes.over();
        let decision = decided(&live, &check, verdict).unwrap_or_else(|_| Self::after_waiting_twice(&live));
        let mut explanation = live.explanation(&check, &asking, &mut story, &decision);
        explanation.decision_id = kept.id.to_string();
        let mut recorded = recorded;
        recorded
            .missing
            .extend(live.lost_for_magpie(&explanation, kept.body_bytes()));
        explanation.recorded = Some(recorded);
        explanation.credential.found = kept.credential().to_owned();
        if let Some(request) = &mut explanation.request {
            request.body_bytes = kept.body_bytes();
        }
        explanation
    }

    /// The explanation of a request that could not be read.
    pub fn explain_malformed(&self, malformed: &Malformed) -> (Decision, Explanation) {
        let decision = model::Decide::refuse(self, malformed);
        let mut explanation = start(&decision);
        explanation.steps.push(Step {
            step: "request".to_owned(),
            microseconds: 0.0,
        });
        (decision, explanation)
    }

    fn explain_once(
        &self,
        live: &Arc<Live>,
        check: &Check<'_>,
        asking: &Asking<'_>,
        started: Instant,
    ) -> Result<(Decision, Explanation), crate::identity::Awaited> {
        let mut story = Story {
            notes: Notes::wanted(),
            ..Story::default()
        };
        let decision = self.tell(live, check, asking, started, &mut story)?;
        let explanation = live.explanation(check, asking, &mut story, &decision);
        Ok((decision, explanation))
    }
}

impl Live {
    /// What of a request may be shown.
    pub(super) fn visible(&self) -> Visible<'_> {
        Visible {
            expose: &self.rules.exposed_anywhere,
            places: self.identity.places(),
        }
    }

    fn explanation(
        &self,
        check: &Check<'_>,
        asking: &Asking<'_>,
        story: &mut Story<'_>,
        decision: &Decision,
    ) -> Explanation {
        let mut explanation = start(decision);
        let Some(notes) = story.notes.take() else {
            return explanation;
        };
        let stopped_at_gate = notes.steps.taken().count() == 1;
        let gate = match decision.verdict() {
            Verdict::Deny(denial) if stopped_at_gate => denial.log.clone(),
            _ => "passed".to_owned(),
        };
        explanation.steps = notes
            .steps
            .taken()
            .map(|(step, took)| Step {
                step: step.as_str().to_owned(),
                microseconds: (took.as_nanos() as f64 / 100.0).round() / 10.0,
            })
            .collect();
        let mut request = request_of(check, self.visible(), story.client_ip, gate);
        let compared = self.comparable(check);
        if compared != request.path.as_str() {
            request.compared_as = Some(compared.to_string());
        }
        explanation.credential = self.credential(check, asking, story, decision);
        explanation.principal = story.who.as_ref().map(|who| match who.principal() {
            Some(principal) => principal_of(principal),
            None => principal_of(&Principal::anonymous()),
        });
        explanation.route = self.route_of(check, &request, &compared, story, decision);
        explanation.route.action_groups = notes.action_groups;
        explanation.request = Some(request);
        explanation.questions = notes.questions;
        explanation.magpie = notes.magpie;
        explanation.hints = hints(&explanation);
        explanation
    }

    fn credential(
        &self,
        check: &Check<'_>,
        asking: &Asking<'_>,
        story: &Story<'_>,
        decision: &Decision,
    ) -> Credential {
        let found = |text: &str| Credential {
            found: text.to_owned(),
            ..Credential::default()
        };
        if asking.given.is_some() {
            return found("not looked at: the principal is given");
        }
        let mut credential = match &check.target {
            Target::Http(request) => {
                credential_of(&self.identity.examine(&request.headers, request.query, asking.now))
            }
            Target::Tcp(_) => found("none"),
        };
        let known = matches!(&story.who, Some(Who::Known(known)) if known.principal().kind != PrincipalKind::Anonymous);
        if credential.found == "none" && known {
            credential = found("client certificate");
        }
        if credential.found == "none"
            && decision.reason() == Reason::CredentialRefused
            && let Verdict::Deny(denial) = decision.verdict()
        {
            credential = found("client certificate");
            credential.refusal = Some(denial.log.clone());
        }
        credential
    }

    fn route_of(
        &self,
        check: &Check<'_>,
        request: &Request,
        path: &str,
        story: &Story<'_>,
        decision: &Decision,
    ) -> Route {
        let mut told = Route {
            matched: story.route.map(str::to_owned),
            action: story.action.map(|name| format!("Action::{name:?}")),
            resource: story.resource.as_ref().map(ToString::to_string),
            ..Route::default()
        };
        let table = &self.rules.routes;
        let host = request.host.as_str();
        let route = table
            .routes()
            .iter()
            .find(|route| Some(&*route.name) == story.route);
        if let Some(route) = route
            && let Some((method, _)) = route.actions.first()
            && let Found::Route(_, _, captures) = table.find(host, path, method)
        {
            let names = route.captures.iter().map(ToString::to_string);
            told.captures = names.zip(captures.into_iter().map(str::to_owned)).collect();
        }
        if matches!(decision.reason(), Reason::NoRoute | Reason::NoMethod)
            && matches!(check.target, Target::Http(_))
        {
            told.near = near(table.routes(), host, path, &request.method);
        }
        told
    }
}

/// What every explanation begins with.
fn start(decision: &Decision) -> Explanation {
    let status = match decision.verdict() {
        Verdict::Allow(_) => None,
        Verdict::Deny(denial) => Some(denial.status),
    };
    Explanation {
        format: FORMAT,
        verdict: if decision.is_allow() { "allow" } else { "deny" }.to_owned(),
        status,
        reason: decision.reason().as_str().to_owned(),
        why: why(decision),
        decision_id: decision.id().to_string(),
        version: decision.version().to_string(),
        credential: Credential {
            found: "none was looked for".to_owned(),
            ..Credential::default()
        },
        reply: reply_of(decision),
        ..Explanation::default()
    }
}
