//! What a route's `on_allow` changes for everybody it lets pass.

use std::sync::OnceLock;

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
    /// The bytes of all this, once they were asked for.
    encoded: OnceLock<Box<[u8]>>,
}

impl RouteEdits {
    /// These changes.
    pub fn new(
        response_headers: Vec<(Box<str>, Box<str>)>,
        set_query: Vec<(Box<str>, Box<str>)>,
        remove_query: Vec<Box<str>>,
    ) -> Self {
        Self {
            response_headers,
            set_query,
            remove_query,
            encoded: OnceLock::new(),
        }
    }

    /// The bytes that all this has in a `CheckResponse`, made by `encode` the first time and kept.
    pub fn encoded(&self, encode: impl FnOnce(&Self) -> Vec<u8>) -> &[u8] {
        self.encoded.get_or_init(|| encode(self).into_boxed_slice())
    }
}
