//! What a request to a service needs: from method, path, query and body to permissions on resources.
//!
//! The rules are those of Magpie's service types. What cannot be said for certain is no answer but [`Unclear`], and
//! nothing here looks at who asks or at what there is.

mod access;
mod api;
mod permission;
#[cfg(test)]
mod tests;

pub(crate) use permission::Permission;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServiceKind {
    /// All or nothing.
    Access,
    /// One resource per segment of the path, read or written.
    Api,
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
    }
}

impl ServiceKind {
    /// The kind that Magpie calls `name`, with the `configuration` of the service if it has one.
    ///
    /// # Errors
    /// Texts for whoever wrote that, all at once.
    pub(crate) fn read(name: &str, configuration: Option<&serde_json::Value>) -> Result<Self, Vec<String>> {
        let kind = match name {
            "access" => Self::Access,
            "api" => Self::Api,
            _ => return Err(vec![format!("`{name}` is no type of service")]),
        };
        match configuration {
            None | Some(serde_json::Value::Null) => Ok(kind),
            Some(_) => Err(vec![format!("services of type `{name}` have no configuration")]),
        }
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

    /// `permission` on the service itself.
    fn service(permission: Permission) -> Self {
        Self::one(Vec::new(), Reach::Exact, permission)
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
