//! Who may use what of the admin listener: probes are for everybody, the rest is for this very host, and for others who come by
//! TLS with a credential that the policies about the house permit it.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use decide::{HouseAction, HouseResource};

use crate::authority::admin_api::Refused;
use crate::authority::asking::{Asked, Asker};
use crate::http_server::Connected;

/// What the policies are asked about a path.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) asker: Asker,
    pub(super) action: HouseAction,
    /// The kind of the `Portcullis::Item`; what comes after it in the path is its name.
    pub(super) kind: &'static str,
}

/// Refuses whoever asks from another host without encryption: neither what requests look like nor a credential goes over a
/// network that anybody may listen to.
pub(super) async fn here_or_encrypted(
    Extension(Connected { peer, encrypted }): Extension<Connected>,
    request: Request,
    next: Next,
) -> Response {
    if encrypted || is_here(peer) {
        return next.run(request).await;
    }
    let told = "only from the loopback address, or by TLS (`admin_options.tls`)\n";
    (StatusCode::FORBIDDEN, told).into_response()
}

/// Asks the policies about whoever asks from another host.
pub(super) async fn permitted(
    State(question): State<Question>,
    Extension(Connected { peer, .. }): Extension<Connected>,
    request: Request,
    next: Next,
) -> Response {
    if is_here(peer) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let name = parts
        .uri
        .path()
        .trim_start_matches('/')
        .split_once('/')
        .map(|(_, name)| name);
    let resource = HouseResource::item(question.kind, name);
    let asked = Asked { parts: &parts, peer };
    match question.asker.ask(asked, question.action, &resource).await {
        Ok(_) => next.run(Request::from_parts(parts, body)).await,
        Err(denied) => Refused::from(denied).into_response(),
    }
}

/// True for the loopback address, also where it is written as an IPv6 address.
pub(super) fn is_here(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}
