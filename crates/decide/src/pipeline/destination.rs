//! COPY and MOVE: the second question, about the place where they put things.
//!
//! It is asked like the first, of whoever asks and of everybody who acts for it, with what the route of that place makes of it
//! as the resource, and with an action of its own: a permit for a COPY from somewhere is none for a COPY to it.

use model::{Check, HttpRequest, PrincipalKind, Reason, RequestPath, Target};

use super::answer::{Stop, answer, denial_of, deny};
use super::audit::{Word, Yes};
use super::live::Live;
use super::notes::Notes;
use super::what::What;
use super::who::Who;
use crate::destination::Ends;
use crate::policy::{Circumstances, PolicyError};
use crate::rules::Persona;

impl Live {
    /// Where the request puts things and takes them from; `None` if its method has no such ends.
    pub(super) fn ends<'a>(&self, check: &Check<'a>, what: &What<'_>) -> Result<Option<Ends<'a>>, Stop> {
        let (Target::Http(request), Some(route)) = (&check.target, what.route) else {
            return Ok(None);
        };
        let Some((rule, _)) = route.destination(request.method) else {
            return Ok(None);
        };
        let ends = Ends::read(request, rule.third_party, &rule.hosts);
        let refused = |log| deny(400, Reason::Malformed, "the destination cannot be accepted", log).into();
        ends.map(Some).map_err(refused)
    }

    /// Asks about the destination, unless it is on another host. What was a yes stays one only if this is one, too; each is
    /// enforced or audited as the route that it is about says.
    pub(super) fn judge_destination(
        &self,
        who: &Who,
        persona: &Persona,
        at: &Circumstances<'_, '_>,
        here: Yes,
        (errors, notes): (&mut Vec<PolicyError>, &mut Notes),
    ) -> Result<Yes, Stop> {
        let end = at.ends.and_then(|ends| ends.destination.as_ref());
        let end = end.and_then(|end| Some((&end.host, end.path.as_ref()?)));
        let (Some((host, path)), Target::Http(request)) = (end, &at.check.target) else {
            return Ok(here);
        };
        let request = HttpRequest {
            host: host.clone(),
            path: path.clone(),
            headers: request.headers.clone(),
            ..*request
        };
        let there = self.ask_there(who, persona, at, request, (errors, notes))?;
        let word = match (here.word, there.word) {
            (Word::Policies(mut permits), Word::Policies(more)) => {
                permits.extend(more);
                permits.sort_unstable();
                permits.dedup();
                Word::Policies(permits)
            }
            (audit @ Word::Audit(_), _) | (_, audit @ Word::Audit(_)) => audit,
        };
        Ok(Yes {
            permit: here.permit,
            word,
        })
    }

    fn ask_there<'a>(
        &self,
        who: &Who,
        persona: &Persona,
        at: &Circumstances<'_, 'a>,
        request: HttpRequest<'a>,
        (errors, notes): (&mut Vec<PolicyError>, &mut Notes),
    ) -> Result<Yes, Stop> {
        let method = request.method;
        let named = request.path.clone();
        let at_destination = |stop| at_destination(stop, &named);
        let check = Check {
            target: Target::Http(request),
            context_extensions: at.check.context_extensions.clone(),
            ..*at.check
        };
        let path = self.comparable(&check);
        let what = self
            .route(&check, &path, who.kind(), &mut None)
            .map_err(at_destination)?;
        let Some((route, (_, action))) = what
            .route
            .and_then(|route| Some((route, route.destination(method)?)))
        else {
            return Err(at_destination(no_destination(&what, who.kind())));
        };
        self.within_delegation(who, action, &what.resource)
            .map_err(at_destination)?;
        let magpie = self.magpie(&check, &what, who).map_err(at_destination)?;
        let there = Circumstances {
            check: &check,
            path: &path,
            capability_path: what.capability_path.as_deref(),
            ends: None,
            expose: &route.expose,
            public: route.public,
            magpie: magpie.as_ref(),
            ..*at
        };
        let policies = &self.rules.policies;
        let judged = policies.judge(&persona.entity, action, &what.resource, &there);
        errors.extend(judged.errors);
        notes.write(|notes| {
            let more = policies.explain(&persona.entity, action, &what.resource, &there);
            notes.questions.extend(more);
        });
        let missing = self.missing(&judged.judgement, persona, action, &what.resource, &there);
        let verdict = answer(
            judged.judgement,
            who,
            judged.actor,
            &missing,
            &persona.edits,
            Some(route),
        );
        self.enforce(verdict.map_err(at_destination), &persona.edits, Some(route))
    }
}

fn no_destination(what: &What<'_>, who: PrincipalKind) -> Stop {
    let (on_deny, name) = what
        .route
        .map(|route| (route.on_deny.clone(), &*route.name))
        .unwrap_or_default();
    let log = format!("nothing may be put below the route {name}: it says `destination: ignore`");
    denial_of(&on_deny, who, Reason::NoMethod, log).into()
}

/// Tells which of the two questions was answered with no.
fn at_destination(stop: Stop, path: &RequestPath<'_>) -> Stop {
    match stop {
        Stop::Denied(mut denial, policies) => {
            denial.log = format!("at the destination {path}: {}", denial.log);
            Stop::Denied(denial, policies)
        }
        wait @ Stop::Wait(_) => wait,
    }
}
