//! Services of type `api`: every segment of the path is a resource, read or written.

use super::{Needs, Permission, Reach, ServiceRequest, Unclear, names};

/// The resource of the whole path.
pub(super) fn needs(request: &ServiceRequest<'_>) -> Result<Needs, Unclear> {
    Ok(below(request.method, names(request.segments)?))
}

/// GET and HEAD read, every other method writes.
pub(super) fn below(method: &str, resource: Vec<String>) -> Needs {
    let permission = match method {
        "GET" | "HEAD" => Permission::Read,
        _ => Permission::Write,
    };
    Needs::one(resource, Reach::Exact, permission)
}
