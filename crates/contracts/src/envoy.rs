//! Envoy `ext_authz` over gRPC: the bytes of a `CheckRequest` in, the bytes of a `CheckResponse` out.
//!
//! Field numbers and their meaning are in `proto/envoy/service/auth/v3`. How Envoy reads the answer decides what is
//! written: see `reply.rs`. Transport (HTTP/2, gRPC framing) is [`crate::grpc`]'s.

mod reply;
mod request;

use std::time::Duration;

use model::{Contract, Decide, Decision, ListenerOptions};

pub(crate) use reply::encode;
use request::CheckRequest;

/// What comes with a message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call<'a> {
    /// How long the proxy waits (`grpc-timeout`), if it says so.
    pub timeout: Option<Duration>,
    /// Where the call belongs in a trace (`traceparent`), as sent.
    pub traceparent: Option<&'a [u8]>,
}

/// Answers one `CheckRequest`.
///
/// Whatever the bytes are, the result is a `CheckResponse` made from a [`Decision`]: a message that is no
/// `CheckRequest` is answered with a denial, not with an error.
pub async fn answer(
    decide: &impl Decide,
    message: &[u8],
    call: Call<'_>,
    listener: ListenerOptions,
) -> Vec<u8> {
    let decision = match decide_now(decide, message, call, listener) {
        Some(decision) => decision,
        None => decide_later(decide, message, call, listener).await,
    };
    encode(&decision, &[])
}

/// The decision about one `CheckRequest`, without waiting; `None` if something has to be waited for.
pub(crate) fn decide_now(
    decide: &impl Decide,
    message: &[u8],
    call: Call<'_>,
    listener: ListenerOptions,
) -> Option<Decision> {
    Some(match CheckRequest::read(message) {
        Ok(request) => match request.check(call, listener) {
            Ok(check) => decide.decide_now(&check)?,
            Err(malformed) => decide.refuse(&malformed),
        },
        Err(malformed) => decide.refuse(&malformed),
    })
}

/// The same after waiting. The message is read anew: what was read of it is much larger than all else that a waiting call
/// has to keep, and most calls never wait.
pub(crate) async fn decide_later(
    decide: &impl Decide,
    message: &[u8],
    call: Call<'_>,
    listener: ListenerOptions,
) -> Decision {
    match CheckRequest::read(message) {
        Ok(request) => match request.check(call, listener) {
            Ok(check) => decide.decide(&check).await,
            Err(malformed) => decide.refuse(&malformed),
        },
        Err(malformed) => decide.refuse(&malformed),
    }
}

/// The contract of this door.
pub const CONTRACT: Contract = Contract::EnvoyGrpc;
