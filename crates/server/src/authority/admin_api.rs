//! The admin API: nodes, remote users, tokens, revocations and keys, over gRPC and as JSON.
//!
//! Both are thin over [`verbs`]: each verb asks `authority.policies` first and the store then. Policies are asked with the
//! credentials of the request, as at any door, and their answer is recorded; what became of a change is told in the
//! server's own log and in the store.

mod caller;
mod grpc;
mod json;
mod refused;
mod verbs;

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};

pub(crate) use self::refused::Refused;
pub(crate) use self::verbs::AdminApi;

/// The largest message, either way of asking: a node with its redirect URIs is the largest there is.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// How long a call may take, with the reading of its body.
const PATIENCE: Duration = Duration::from_secs(20);

/// Every path of the API. Whoever serves it says who may reach it.
pub(crate) fn router(api: &AdminApi) -> Router {
    let calls = json::router(api.clone()).merge(grpc::router(api.clone()));
    calls
        .route_layer(from_fn(caller::remember))
        .route_layer(from_fn(in_time))
        .merge(grpc::reflection())
}

/// Nobody holds a place for ever by sending slowly, and nobody keeps an answer.
async fn in_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(PATIENCE, next.run(request)).await;
    let mut answer =
        answer.unwrap_or_else(|_| (StatusCode::SERVICE_UNAVAILABLE, "it took too long\n").into_response());
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
