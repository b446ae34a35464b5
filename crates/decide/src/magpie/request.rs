//! What a request to a service needs: from method, path, query and body to permissions on resources.
//!
//! The rules are those of Magpie's service types. What cannot be said for certain is no answer but [`Unclear`], and
//! nothing here looks at who asks or at what there is.

mod access;
mod api;
mod geoserver;
mod kind;
mod ncwms;
mod operation;
mod ows;
mod parameters;
mod permission;
#[cfg(test)]
mod tests;
mod thredds;
mod wfs;
mod wms;
mod wps;
mod xml;

pub(crate) use geoserver::GeoServerRules;
pub(crate) use permission::Permission;
pub(crate) use thredds::ThreddsRules;
pub(crate) use wfs::Namespaces;

/// A request as services see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServiceRequest<'r> {
    /// The method as sent.
    pub(crate) method: &'r str,
    /// The canonical segments of the path below the service's own; a trailing `/` is an empty last one.
    pub(crate) segments: &'r [&'r str],
    /// The query as sent.
    pub(crate) query: Option<&'r str>,
    /// The value of `content-type`, if there is exactly one that is UTF-8.
    pub(crate) content_type: Option<&'r str>,
    /// The body.
    pub(crate) body: RequestBody<'r>,
}

/// A body, as far as it can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestBody<'r> {
    /// There is none, or the proxy does not pass it on.
    Unseen,
    /// All of it; may be empty.
    Whole(&'r [u8]),
    /// Only the beginning came along.
    Truncated,
}

/// What one request needs; all of it must be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Never empty, nothing twice.
    pub(crate) asked: Vec<Need>,
}

/// One permission on one resource of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// The names of the resource and of those it lies in, outermost first; empty: the service itself.
    pub(crate) resource: Vec<String>,
    /// Whether it is that resource that is asked for.
    pub(crate) reach: Reach,
    /// What must be allowed there.
    pub(crate) permission: Permission,
}

/// How far a resource that a request names is from what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The resource is what is asked for.
    Exact,
    /// What is asked for lies somewhere below and has no name in the request: it is decided as a resource that does not
    /// exist there, permissions of scope `match` do not count.
    Below,
    /// Some of what lies below is asked for, and it cannot be said which: all of it must be allowed.
    Everything,
}

/// Why it cannot be said what a request needs. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unclear {
    /// The request is wrong (400).
    Malformed(String),
    /// The request may be right, but what it needs is not known: denied.
    Unknown(String),
}

/// Magpie's service types: how requests are read.
#[derive(Clone, Debug)]
pub(crate) enum ServiceKind {
    /// All or nothing.
    Access,
    /// One resource per segment of the path, read or written.
    Api,
    /// Directories and files of a THREDDS data server.
    Thredds(ThreddsRules),
    /// Processes.
    Wps,
    /// Layers. Not one of Magpie's types.
    Wms,
    /// Data sets as layers.
    NcWms,
    /// Feature types.
    Wfs(Namespaces),
    /// One or all services of a GeoServer.
    GeoServer(GeoServerRules),
}

/// The most needs of one request.
const MOST_NEEDS: usize = 256;

/// What `request` needs at a service of this kind.
///
/// # Errors
/// [`Unclear`], if that cannot be said.
pub(crate) fn needs(kind: &ServiceKind, request: &ServiceRequest<'_>) -> Result<Needs, Unclear> {
    match kind {
        ServiceKind::Access => Ok(access::needs()),
        ServiceKind::Api => api::needs(request),
        ServiceKind::Thredds(rules) => thredds::needs(request, rules),
        ServiceKind::Wps => wps::needs(request),
        ServiceKind::Wms => wms::needs(request),
        ServiceKind::NcWms => ncwms::needs(request),
        ServiceKind::Wfs(namespaces) => wfs::needs(request, namespaces),
        ServiceKind::GeoServer(rules) => geoserver::needs(request, rules),
    }
}

impl Needs {
    /// One permission on one resource.
    fn one(resource: Vec<String>, reach: Reach, permission: Permission) -> Self {
        Self {
            asked: vec![Need {
                resource,
                reach,
                permission,
            }],
        }
    }

    /// All of these.
    fn all(needs: Vec<Need>) -> Result<Self, Unclear> {
        let mut asked: Vec<Need> = Vec::new();
        for need in needs {
            if !asked.contains(&need) {
                asked.push(need);
            }
        }
        match asked.len() {
            0 => parameters::unknown("the request asks for nothing"),
            count => parameters::few_enough(count).map(|()| Self { asked }),
        }
    }

    /// `permission` on the service itself.
    fn service(permission: Permission) -> Self {
        Self::one(Vec::new(), Reach::Exact, permission)
    }
}

/// The permission that a document's outermost element names, if the query agrees.
fn document_permission(
    root: &xml::Element,
    parameters: &parameters::Parameters,
    service: &str,
) -> Result<Permission, Unclear> {
    parameters.for_service(service)?;
    match root.attribute("service") {
        Some(other) if !other.eq_ignore_ascii_case(service) => {
            return parameters::malformed("the document is for another service");
        }
        _ => {}
    }
    match parameters.get("request") {
        Some(request) if !request.eq_ignore_ascii_case(&root.local) => {
            parameters::malformed("the query asks for something else than the document")
        }
        _ => parameters::permission(&root.local),
    }
}

/// The names in a canonical path, each decoded; a trailing `/` says nothing.
fn names(segments: &[&str]) -> Result<Vec<String>, Unclear> {
    let segments = match segments {
        [rest @ .., ""] => rest,
        all => all,
    };
    let decoded = segments.iter().map(|segment| decoded(segment));
    let names: Option<Vec<String>> = decoded.collect();
    names
        .filter(|names| names.iter().all(|name| !name.is_empty()))
        .ok_or_else(|| Unclear::Malformed("the path has no canonical form".to_owned()))
}

/// A canonical segment with its escapes decoded. Unlike in a query, `+` is a plus.
fn decoded(segment: &str) -> Option<String> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}
