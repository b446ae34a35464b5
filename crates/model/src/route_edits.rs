//! What a route's `on_allow` changes for everybody it lets pass.

/// Changes to the request and to the client's response that a route asks for on every allow.
///
/// Query parameters are kept as they go on the wire: already percent-encoded.
#[derive(Debug, Default)]
pub struct RouteEdits {
    /// Headers to add to the response that the client gets; names in lower case, a name may come several times.
    pub response_headers: Vec<(Box<str>, Box<str>)>,
    /// Query parameters to set on the upstream request, overwriting.
    pub set_query: Vec<(Box<str>, Box<str>)>,
    /// Query parameters to remove from the upstream request; never one of `set_query`.
    pub remove_query: Vec<Box<str>>,
}
