//! What Magpie's permissions say to a request of a route that asks them.

use model::{Body, Check, Reason, Target};

use super::answer::{Stop, deny, internal};
use super::live::Live;
use super::what::What;
use super::who::Who;
use crate::explain;
use crate::magpie::{Answer, Asked, Declined, RequestBody, ServiceRequest};

/// The service that a request is for, and the path below it, in canonical form.
pub(super) struct At {
    pub(super) service: String,
    pub(super) below: String,
}

impl Live {
    /// The answer; `None` if the route does not ask. A service that does not exist, and a request that the service would
    /// read in two ways, end the walk.
    pub(super) fn magpie(
        &self,
        check: &Check<'_>,
        what: &What<'_>,
        who: &Who,
    ) -> Result<Option<Answer>, Stop> {
        let (Some(at), Target::Http(request)) = (&what.magpie, &check.target) else {
            return Ok(None);
        };
        let Some(magpie) = &self.rules.magpie else {
            return Err(internal("a route asks Magpie, and there is none".to_owned()));
        };
        let segments: Vec<&str> = match at.below.as_str() {
            "" => Vec::new(),
            below => below.split('/').collect(),
        };
        let asked = Asked {
            service: &at.service,
            request: ServiceRequest {
                method: request.method,
                segments: &segments,
                query: request.query,
                content_type: request
                    .headers
                    .single("content-type")
                    .ok()
                    .flatten()
                    .and_then(|value| std::str::from_utf8(value).ok()),
                body: match request.body {
                    Body::Absent => RequestBody::Unseen,
                    Body::Whole(bytes) => RequestBody::Whole(bytes),
                    Body::Truncated(_) => RequestBody::Truncated,
                },
            },
        };
        match magpie.answer(who.principal(), &asked) {
            Ok(answer) => Ok(Some(answer)),
            Err(Declined::NoService(log)) => {
                Err(deny(404, Reason::NoRoute, "there is no such service", log).into())
            }
            Err(Declined::Malformed(log)) => {
                Err(deny(400, Reason::Malformed, "the request cannot be read", log).into())
            }
        }
    }

    /// The same for people.
    pub(super) fn explain_magpie(&self, who: &Who, answer: Option<&Answer>) -> Option<explain::Magpie> {
        let magpie = self.rules.magpie.as_ref()?;
        Some(magpie.explain(who.principal(), answer?))
    }

    /// What Magpie's answer depends on and is not kept of a request, if its route asks Magpie.
    pub(super) fn lost_for_magpie(
        &self,
        explanation: &explain::Explanation,
        body: Option<usize>,
    ) -> Option<String> {
        let matched = explanation.route.matched.as_deref();
        let mut routes = self.rules.routes.routes().iter();
        let asks = routes.any(|route| Some(&*route.name) == matched && route.magpie.is_some());
        let mut query = explanation.request.iter().flat_map(|request| &request.query);
        let lost = query.any(|(_, value)| value.is_none()) || body.is_some_and(|bytes| bytes > 0);
        (asks && lost)
            .then(|| "the query and the body, by which it is known what Magpie is asked for".to_owned())
    }
}
