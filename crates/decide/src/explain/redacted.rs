//! A check without what may not be kept of it: never a credential, never a value that policies may not see.

use model::{
    Body, Check, Headers, HttpRequest, Keep, OwnedCheck, Pairs, Peer, Reason, Target, TcpConnection,
};
use serde_json::{Map, Value};

use crate::policy::body_members;
use crate::record::Record;

/// In place of a value that is not kept.
const NOT_KEPT: &[u8] = b"(not kept)";

/// A copy of what may be kept of `check`; what is `missing` for asking again is said there.
pub(super) fn redacted(check: &Check<'_>, record: &Record<'_, '_>, missing: &mut Vec<String>) -> OwnedCheck {
    let (query, body);
    let expose = record.visible.expose;
    let extensions = check.context_extensions.iter();
    let context_extensions: Pairs<'_> = extensions
        .filter(|(name, _)| expose.extensions.iter().any(|exposed| exposed == name))
        .map(|&(name, value)| (name, value))
        .collect();
    let places = expose.metadata.values();
    let metadata: Vec<(String, Vec<Box<str>>)> = places
        .map(|place| (place.namespace.clone(), place.path.clone()))
        .collect();
    let target = match &check.target {
        Target::Http(request) => {
            query = request.query.map(|query| {
                record.visible.kept_query(query).unwrap_or_else(|| {
                    missing.push("the query: it has a `;`, which some read as `&`".to_owned());
                    ";".to_owned()
                })
            });
            body = kept_body(request, record, missing);
            Target::Http(HttpRequest {
                method: request.method,
                scheme: request.scheme,
                host: request.host.clone(),
                path: request.path.clone(),
                query: query.as_deref(),
                headers: kept_headers(request, record, missing),
                body: match (request.body, &body) {
                    (Body::Truncated(_), _) => Body::Truncated(b""),
                    (_, Some(members)) => Body::Whole(members),
                    (_, None) => Body::Absent,
                },
            })
        }
        Target::Tcp(connection) => Target::Tcp(TcpConnection {
            destination_port: connection.destination_port,
            sni: connection.sni,
        }),
    };
    let check = Check {
        contract: check.contract,
        target,
        peer: Peer {
            address: None,
            principal: check.peer.principal,
        },
        context_extensions,
        metadata: check.metadata,
        timeout: None,
        traceparent: None,
        listener: check.listener,
    };
    OwnedCheck::of(
        &check,
        &Keep {
            headers: None,
            marks: &[],
            body: true,
            metadata: &metadata,
        },
    )
}

/// How long the body of a request is, as far as the proxy sent it along.
pub(super) fn body_bytes(check: &Check<'_>) -> Option<usize> {
    match &check.target {
        Target::Http(request) => match request.body {
            Body::Absent => None,
            Body::Whole(bytes) | Body::Truncated(bytes) => Some(bytes.len()),
        },
        Target::Tcp(_) => None,
    }
}

/// All headers, most without their values.
fn kept_headers<'c>(
    request: &'c HttpRequest<'_>,
    record: &Record<'_, '_>,
    missing: &mut Vec<String>,
) -> Headers<'c> {
    let visible = record.visible;
    let shown: Vec<&String> = visible.header_names().collect();
    let preflight = request.method == "OPTIONS";
    let mut headers = Headers::default();
    for (name, value) in request.headers.iter() {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let needed = preflight && is("access-control-request-method");
        let kept = needed || shown.iter().any(|shown| is(shown));
        headers.push(name, if kept { value } else { NOT_KEPT });
    }
    let hidden = visible.expose.headers.iter().filter(|name| !shown.contains(name));
    for name in hidden.filter(|name| request.headers.all(name).next().is_some()) {
        missing.push(format!("the value of the header {name:?}: it is a credential"));
    }
    headers
}

/// The members of the body that policies may see, as a JSON object.
fn kept_body(
    request: &HttpRequest<'_>,
    record: &Record<'_, '_>,
    missing: &mut Vec<String>,
) -> Option<Vec<u8>> {
    let names = &record.visible.expose.body;
    let Body::Whole(bytes) = request.body else {
        return None;
    };
    if names.is_empty() || bytes.is_empty() {
        return None;
    }
    if !were_policies_asked(record.decision.reason()) {
        missing.push("the body: policies were not asked".to_owned());
        return None;
    }
    match body_members(bytes, names) {
        Ok(members) => {
            let named = names.iter().zip(members);
            let present = named.filter_map(|(name, value)| Some((name.clone(), Value::String(value?))));
            Some(
                Value::Object(present.collect::<Map<_, _>>())
                    .to_string()
                    .into_bytes(),
            )
        }
        Err(why) => {
            missing.push(format!("the body: {why}"));
            None
        }
    }
}

/// False for denials before policies were asked: what they cost must not depend on the body.
fn were_policies_asked(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Permitted
            | Reason::Audited
            | Reason::NoPermit
            | Reason::Forbidden
            | Reason::PolicyError
            | Reason::CredentialMissing
    )
}
