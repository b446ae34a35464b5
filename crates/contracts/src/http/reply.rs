//! [`Decision`] -> HTTP response, as each proxy reads it.
//!
//! * Yes is exactly 200, without a body.
//! * No is never 2xx, 3xx or 5xx; nginx knows only 401 and 403 and turns everything else into a 500. It never passes a
//!   body on, so it gets none.
//! * Envoy removes what it is told to. The others copy what the answer has and may leave the client's own header where it
//!   has none, so every declared identity header is in every yes, with nothing in it if need be.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use model::{Contract, DECISION_ID_HEADER, Decision, HeaderEdits, Reply, RouteEdits};

/// Names of headers that Envoy removes from the request that it lets pass.
const TO_REMOVE: &str = "x-envoy-auth-headers-to-remove";

/// The response for `decision`. What cannot be written into headers becomes a plain denial.
pub(super) fn encode(decision: &Decision, contract: Contract) -> Response<Full<Bytes>> {
    let mut id = [0; 36];
    let id = decision.id().encode(&mut id);
    let made = match decision.reply(id) {
        Reply::Allow { edits, route } => allow(edits, route, id, contract),
        Reply::Deny {
            status,
            body,
            headers,
            ..
        } => deny(status, body, &headers, contract),
    };
    made.unwrap_or_else(|| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::FORBIDDEN;
        response
    })
}

fn allow(
    edits: &HeaderEdits,
    route: &RouteEdits,
    id: &str,
    contract: Contract,
) -> Option<Response<Full<Bytes>>> {
    let mut headers = HeaderMap::with_capacity(edits.set().len() + edits.unset().len() + 4);
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    for (name, value) in &route.response_headers {
        put(&mut headers, name, value)?;
    }
    for (name, value) in edits.set() {
        let name: HeaderName = name.parse().ok()?;
        headers.insert(name, value.parse().ok()?);
    }
    headers.insert(DECISION_ID_HEADER, id.parse().ok()?);
    if contract == Contract::EnvoyHttp {
        let removed = edits.remove().join(",");
        if !removed.is_empty() {
            headers.insert(TO_REMOVE, removed.parse().ok()?);
        }
    } else {
        for name in edits.unset() {
            let name: HeaderName = name.parse().ok()?;
            headers.insert(name, HeaderValue::from_static(""));
        }
    }
    let mut response = Response::new(Full::default());
    *response.headers_mut() = headers;
    Some(response)
}

fn deny(
    status: u16,
    body: &str,
    headers: &[(&str, &str)],
    contract: Contract,
) -> Option<Response<Full<Bytes>>> {
    let status = match (contract, status) {
        (_, 401) => 401,
        (Contract::Nginx, _) => 403,
        (_, other) => other,
    };
    let status = StatusCode::from_u16(status)
        .ok()
        .filter(StatusCode::is_client_error)?;
    let body = match contract {
        // It passes no body on, and closes a connection on which one comes.
        Contract::Nginx => Full::default(),
        _ => Full::from(body.to_owned()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in headers {
        put(response.headers_mut(), name, value)?;
    }
    Some(response)
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) -> Option<()> {
    let name: HeaderName = name.parse().ok()?;
    headers.append(name, value.parse().ok()?);
    Some(())
}
