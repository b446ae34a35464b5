//! Where an OGC request is: in the query, or as XML in the body of a POST.
//!
//! Forms in bodies are not read: what cannot be seen for certain is denied. A body beside GET, and a body that the proxy
//! did not pass on whole, could each be the request that the service answers.

use super::parameters::{Parameters, malformed, unknown};
use super::{RequestBody, ServiceRequest, Unclear};

/// The place of a request.
#[derive(Debug)]
pub(super) enum Asked<'b> {
    /// In the query.
    Query(Parameters),
    /// In this XML document; the query may repeat what it is.
    Xml(&'b [u8], Parameters),
}

/// Finds the request.
pub(super) fn asked<'b>(request: &ServiceRequest<'b>) -> Result<Asked<'b>, Unclear> {
    let parameters = Parameters::read(request.query)?;
    match (request.method, request.body) {
        ("GET" | "HEAD", RequestBody::Unseen | RequestBody::Whole(b"")) => Ok(Asked::Query(parameters)),
        ("GET" | "HEAD", _) => malformed(&format!("a {} with a body", request.method)),
        // Some proxies say of every body that they pass it on whole, or a client says so in their place.
        ("POST", RequestBody::Unseen | RequestBody::Whole(b"")) => {
            unknown("a POST, and the proxy did not pass its body on")
        }
        ("POST", RequestBody::Truncated) => unknown("the proxy passed on only the beginning of the body"),
        ("POST", RequestBody::Whole(body)) => match request.content_type {
            Some(kind) if is_xml(kind) => Ok(Asked::Xml(body, parameters)),
            Some(kind) => unknown(&format!(
                "bodies of type `{}` are not read: only XML in UTF-8 is",
                kind.escape_debug()
            )),
            None => unknown("a body without a type"),
        },
        (method, _) => unknown(&format!("{} asks for nothing here", method.escape_debug())),
    }
}

/// Makes sure that the path below the service is empty or its own `word`: behind every other there may be something else,
/// such as another service or a layer that the path names.
pub(super) fn own_path(request: &ServiceRequest<'_>, word: &str) -> Result<(), Unclear> {
    match request.segments {
        [] | [""] => Ok(()),
        [segment] if *segment == word || *segment == "ows" => Ok(()),
        _ => unknown(&format!(
            "the path below the service is neither empty nor `{word}` nor `ows`"
        )),
    }
}

/// Only the query: services that read no documents.
pub(super) fn query_only(request: &ServiceRequest<'_>) -> Result<Parameters, Unclear> {
    match asked(request)? {
        Asked::Query(parameters) => Ok(parameters),
        Asked::Xml(..) => unknown("XML in the body of a request to a map service is not read"),
    }
}

/// `application/xml`, `text/xml` and `application/…+xml` in UTF-8.
fn is_xml(content_type: &str) -> bool {
    let lower = content_type.to_ascii_lowercase();
    let mut parts = lower.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let named = matches!(kind, "application/xml" | "text/xml")
        || kind.strip_prefix("application/").is_some_and(|subtype| {
            let mut letters = subtype.bytes();
            letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte))
                && subtype.ends_with("+xml")
        });
    named
        && parts.all(|parameter| match parameter.split_once('=') {
            Some(("charset", charset)) => matches!(charset.trim_matches('"'), "utf-8" | "us-ascii"),
            // Such as `subtype=gml/3.1.1`.
            Some((name, _)) => !name.contains("charset"),
            None => parameter.is_empty(),
        })
}
