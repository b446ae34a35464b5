//! What the walk knows, as it is shown: no credential, and no value that policies may not see.

use std::net::IpAddr;

use model::{Body, Check, Decision, Target, Verdict};

use super::document::{Credential, CredentialCheck, Principal, Reply, Request};
use super::visible::Visible;
use crate::identity::{Examined, Outcome};

/// The request, with what the gate says of it.
pub(crate) fn request_of(
    check: &Check<'_>,
    visible: Visible<'_>,
    client_ip: Option<IpAddr>,
    gate: String,
) -> Request {
    let peer = check.peer.principal;
    let mut shown = Request {
        contract: check.contract.as_str().to_owned(),
        client_ip: client_ip.map(|address| address.to_string()),
        peer: (!peer.is_empty()).then(|| peer.to_owned()),
        gate,
        ..Request::default()
    };
    let request = match &check.target {
        Target::Http(request) => request,
        Target::Tcp(connection) => {
            shown.port = connection.destination_port;
            shown.host = connection.sni.to_owned();
            return shown;
        }
    };
    shown.method = request.method.to_owned();
    shown.scheme = request.scheme.to_owned();
    shown.host = request.host.as_str().to_owned();
    shown.path = request.path.as_str().to_owned();
    shown.query = visible.query(request.query);
    shown.headers = visible.headers(&request.headers);
    shown.body_bytes = match request.body {
        Body::Absent => None,
        Body::Whole(bytes) | Body::Truncated(bytes) => Some(bytes.len()),
    };
    shown
}

/// The credential with its checks.
pub(crate) fn credential_of(examined: &Examined) -> Credential {
    let Some(inspection) = &examined.inspection else {
        return Credential {
            found: "none".to_owned(),
            ..Credential::default()
        };
    };
    let refusal = inspection.refusal.as_ref();
    let verifier = refusal.and_then(|refused| refused.issuer.clone());
    let checks = inspection.steps.iter().map(|(check, outcome)| {
        let (name, demands) = check.describe();
        CredentialCheck {
            check: name.to_owned(),
            demands: demands.to_owned(),
            outcome: match outcome {
                Outcome::Passed => "passed",
                Outcome::Failed => "failed",
                Outcome::NotChecked => "not_checked",
            }
            .to_owned(),
        }
    });
    Credential {
        found: examined
            .place
            .clone()
            .unwrap_or_else(|| "more than one, or none that can be read".to_owned()),
        verifier: verifier.or_else(|| {
            inspection
                .principal
                .as_ref()
                .map(|principal| principal.issuer.clone())
        }),
        refusal: refusal.map(|refused| refused.reason.to_string()),
        checks: checks.collect(),
    }
}

/// Who asks.
pub(crate) fn principal_of(principal: &model::Principal) -> Principal {
    let granted = principal.capabilities.iter();
    let line = |(path, operations): (Option<&str>, model::Operations)| {
        let operations = operations.names().collect::<Vec<_>>().join(" ");
        path.map_or_else(|| operations.clone(), |path| format!("{operations}: {path}"))
    };
    Principal {
        kind: principal.kind.as_str().to_owned(),
        id: principal.id.clone(),
        name: principal.name.clone(),
        client: principal.client.clone(),
        groups: principal.groups.clone(),
        roles: principal.roles.iter().cloned().collect(),
        scopes: principal.scopes.clone(),
        audiences: principal.audiences.clone(),
        capabilities: granted.map(line).collect(),
        actors: principal.actors.iter().map(ToString::to_string).collect(),
    }
}

/// What the proxy is told.
pub(crate) fn reply_of(decision: &Decision) -> Reply {
    let pairs = |pairs: &[(Box<str>, Box<str>)]| -> Vec<(String, String)> {
        let pair = |(name, value): &(Box<str>, Box<str>)| (name.to_string(), value.to_string());
        pairs.iter().map(pair).collect()
    };
    let names = |names: &[Box<str>]| names.iter().map(ToString::to_string).collect();
    match decision.verdict() {
        Verdict::Allow(permit) => Reply {
            set: permit
                .edits()
                .set()
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            removed: permit.edits().remove().map(str::to_owned).collect(),
            response_headers: pairs(&permit.route().response_headers),
            set_query: pairs(&permit.route().set_query),
            remove_query: names(&permit.route().remove_query),
            ..Reply::default()
        },
        Verdict::Deny(denial) => {
            let challenge = denial.challenge.as_ref();
            let challenge = challenge.map(|value| ("www-authenticate".to_owned(), value.to_string()));
            Reply {
                status: Some(denial.status),
                body: Some(denial.caller.to_string()),
                redirect: denial.redirect.as_ref().map(ToString::to_string),
                set: challenge.into_iter().chain(pairs(&denial.headers)).collect(),
                ..Reply::default()
            }
        }
    }
}
