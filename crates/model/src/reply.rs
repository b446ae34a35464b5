//! What of a decision leaves the house, before a contract turns it into bytes.

use crate::{Decision, HeaderEdits, Reason, RouteEdits, Verdict};

/// The header that carries the decision id, to the upstream on an allow and to the client on a denial.
pub const DECISION_ID_HEADER: &str = "x-portcullis-decision-id";

/// A decision as a contract needs it. The reason for the log is not in it.
#[derive(Debug)]
pub enum Reply<'a> {
    /// The request passes.
    Allow {
        /// Identity headers of the upstream request to set and to remove.
        edits: &'a HeaderEdits,
        /// What the route changes on every allow.
        route: &'a RouteEdits,
    },
    /// The request ends here.
    Deny {
        /// HTTP status, one of Envoy's `StatusCode` enum; never 2xx.
        status: u16,
        /// The class of the reason.
        reason: Reason,
        /// Where a browser can log in. A contract that can pass it on answers 302 with this `location`.
        redirect: Option<&'a str>,
        /// For the caller: one plain line, or what the configuration makes of it. Nothing if the contract passes on none.
        body: &'a str,
        /// Headers of the answer to the client, each name possibly several times.
        headers: Vec<(&'a str, &'a str)>,
    },
}

impl Decision {
    /// The part of this decision that the proxy and the caller may know.
    pub fn reply<'a>(&'a self, id: &'a str) -> Reply<'a> {
        match self.verdict() {
            Verdict::Allow(permit) => Reply::Allow {
                edits: permit.edits(),
                route: permit.route(),
            },
            Verdict::Deny(denial) => {
                let mut headers = Vec::with_capacity(5 + denial.headers.len());
                let (content_type, body) = match self.body() {
                    Some(body) => (&*body.content_type, &*body.text),
                    None => ("text/plain; charset=utf-8", &*denial.caller),
                };
                headers.push(("content-type", content_type));
                headers.push(("cache-control", "no-store"));
                headers.push((DECISION_ID_HEADER, id));
                if let Some(challenge) = &denial.challenge {
                    headers.push(("www-authenticate", challenge));
                }
                headers.extend(denial.headers.iter().map(|(name, value)| (&**name, &**value)));
                Reply::Deny {
                    status: denial.status,
                    reason: denial.reason,
                    redirect: denial.redirect.as_deref(),
                    body,
                    headers,
                }
            }
        }
    }
}
