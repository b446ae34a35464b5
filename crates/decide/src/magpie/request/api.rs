//! Services of type `api`: every segment of the path is a resource, read or written.

use super::{Needs, Permission, Reach, ServiceRequest, Unclear, names};

/// GET and HEAD read, every other method writes.
pub(super) fn needs(request: &ServiceRequest<'_>) -> Result<Needs, Unclear> {
    let permission = match request.method {
        "GET" | "HEAD" => Permission::Read,
        _ => Permission::Write,
    };
    Ok(Needs::one(names(request.segments)?, Reach::Exact, permission))
}
