//! [`Decision`] -> HTTP response, as each proxy reads it.
//!
//! * Yes is exactly 200, without a body.
//! * No is never 2xx or 5xx, and 3xx only to send a browser to its login; nginx knows only 401 and 403 and turns everything
//!   else into a 500; it never passes a body on, so it gets none.
//! * The answer to a document is a document: the status is 200 whatever it says, because the `opa` plugins take another
//!   one for a failure.
//! * Envoy removes what it is told to. The others copy what the answer has, and some leave the client's own header where it
//!   has none; so every declared identity header is in every yes, with nothing in it if need be. Proxies that take an
//!   empty header for none have to remove the client's themselves: see their configuration in `deploy/`.
//! * Nothing in here panics: the decision is in the log and in the metrics already, and a second one would be, too.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::Body as _;
use http_body_util::Full;
use model::{Contract, DECISION_ID_HEADER, Decision, HeaderEdits, Reply, RouteEdits};
use serde_json::{Map, Value, json};

/// Names of headers that Envoy removes from the request that it lets pass.
const TO_REMOVE: &str = "x-envoy-auth-headers-to-remove";

/// The response for `decision`. What cannot be written into headers becomes a plain denial.
pub(super) fn encode(decision: &Decision, contract: Contract) -> Response<Full<Bytes>> {
    let mut id = [0; 36];
    let id = decision.id().encode(&mut id);
    if super::is_document(contract) {
        return document(decision.reply(id), id);
    }
    let made = match decision.reply(id) {
        Reply::Allow { edits, route } => allow(edits, route, id, contract),
        Reply::Deny {
            status,
            redirect,
            body,
            headers,
            ..
        } => {
            // nginx would make an error of a redirect; it has settings of its own for logins.
            match redirect.filter(|_| contract != Contract::Nginx) {
                Some(location) => to_login(location, body, &headers),
                None => deny(status, body, &headers, contract),
            }
        }
    };
    made.unwrap_or_else(|| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::FORBIDDEN;
        response
    })
}

/// The answer to HEAD: the length that the body would have, and none. Over HTTP/2 a body would break the answer, and
/// a broken answer is a failure to the proxy.
pub(super) fn without_body(response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        // One more than a map of headers takes is none too many to leave out.
        let _ = parts.headers.try_insert("content-length", length.into());
    }
    Response::from_parts(parts, Full::default())
}

fn allow(
    edits: &HeaderEdits,
    route: &RouteEdits,
    id: &str,
    contract: Contract,
) -> Option<Response<Full<Bytes>>> {
    let mut headers = HeaderMap::try_with_capacity(edits.set().len() + edits.unset().len() + 4).ok()?;
    headers
        .try_insert("cache-control", HeaderValue::from_static("no-store"))
        .ok()?;
    for (name, value) in &route.response_headers {
        put(&mut headers, name, value)?;
    }
    for (name, value) in edits.set() {
        let name: HeaderName = name.parse().ok()?;
        headers.try_insert(name, value.parse().ok()?).ok()?;
    }
    headers.try_insert(DECISION_ID_HEADER, id.parse().ok()?).ok()?;
    if contract == Contract::EnvoyHttp {
        let removed = edits.remove().collect::<Vec<_>>().join(",");
        if !removed.is_empty() {
            headers.try_insert(TO_REMOVE, removed.parse().ok()?).ok()?;
        }
    } else {
        for name in edits.unset() {
            let name: HeaderName = name.parse().ok()?;
            headers.try_insert(name, HeaderValue::from_static("")).ok()?;
        }
    }
    let mut response = Response::new(Full::default());
    *response.headers_mut() = headers;
    Some(response)
}

/// `{"result": …}` as the `opa` plugins of APISIX (`status_code`, `reason`) and Kong (`status`, `message`) read it.
fn document(reply: Reply<'_>, id: &str) -> Response<Full<Bytes>> {
    let result = match reply {
        Reply::Allow { edits, .. } => {
            let set = edits.set().iter().map(|(name, value)| (&**name, &**value));
            let unset = edits.unset().iter().map(|name| (&**name, ""));
            let headers = set.chain(unset).chain([(DECISION_ID_HEADER, id)]);
            json!({ "allow": true, "headers": members(headers) })
        }
        Reply::Deny {
            status,
            redirect,
            body,
            headers,
            ..
        } => {
            let status = match redirect {
                Some(_) => 302,
                None if (400..500).contains(&status) => status,
                None => 403,
            };
            let location = redirect.map(|location| ("location", location));
            let headers = headers.into_iter().chain(location);
            json!({
                "allow": false,
                "status": status,
                "status_code": status,
                "reason": body,
                "message": body,
                "headers": members(headers),
            })
        }
    };
    let mut response = Response::new(Full::from(json!({ "result": result }).to_string()));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    response
}

/// Headers as the members of an object; one that is there several times has an array.
fn members<'h>(headers: impl Iterator<Item = (&'h str, &'h str)>) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, value) in headers {
        match members.get_mut(name) {
            None => {
                members.insert(name.to_owned(), value.into());
            }
            Some(Value::Array(values)) => values.push(value.into()),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    members
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

fn to_login(location: &str, body: &str, headers: &[(&str, &str)]) -> Option<Response<Full<Bytes>>> {
    let mut response = Response::new(Full::from(body.to_owned()));
    *response.status_mut() = StatusCode::FOUND;
    for (name, value) in headers {
        put(response.headers_mut(), name, value)?;
    }
    put(response.headers_mut(), "location", location)?;
    Some(response)
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) -> Option<()> {
    let name: HeaderName = name.parse().ok()?;
    headers.try_append(name, value.parse().ok()?).ok()?;
    Some(())
}
