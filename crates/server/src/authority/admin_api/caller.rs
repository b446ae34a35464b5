//! Who calls the API: what the credentials and the policies are asked with.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;

use crate::http_server::Connected;

/// The request, without what it asks for.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    headers: HeaderMap,
    authority: Option<Authority>,
    pub(super) peer: SocketAddr,
}

impl Caller {
    /// The request that policies are asked about: by the name of the verb, whichever way it was asked.
    pub(super) fn parts(&self, verb: &str) -> Parts {
        let path = format!("/{}/{verb}", proto::portcullis::admin::v1::SERVICE);
        let mut uri = Uri::builder().path_and_query(path);
        if let Some(authority) = &self.authority {
            uri = uri.scheme("http").authority(authority.clone());
        }
        let (mut parts, ()) = axum::http::Request::new(()).into_parts();
        parts.method = Method::POST;
        parts.uri = uri.build().unwrap_or_default();
        parts.headers = self.headers.clone();
        parts
    }
}

/// Lets the verbs know who calls: gRPC services see nothing of a request but its message and what is put here.
pub(super) async fn remember(
    Extension(Connected { peer, .. }): Extension<Connected>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = Caller {
        headers: request.headers().clone(),
        authority: request.uri().authority().cloned(),
        peer,
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}
