//! The doors: one file per ingress contract. Bytes come in and become a [`model::Check`]; a [`model::Reply`] becomes
//! bytes and goes out.
//!
//! A door calls one trait, [`model::Decide`], and knows nothing of tokens, routes or policies. Nothing a client sends
//! may turn into a transport error: proxies with an open failure mode would let it pass.

#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable
    )
)]

pub mod envoy;
pub mod grpc;
pub mod http;
mod wire;

use std::sync::Arc;

use model::{Decision, Denial, Reason, Version};

/// The decision when even refusing panicked: a denial that nobody recorded, but not an error.
fn last_resort() -> Decision {
    let denial = Denial {
        status: 403,
        reason: Reason::Internal,
        caller: "the request cannot be checked right now".into(),
        log: String::new(),
        challenge: None,
        redirect: None,
        headers: Arc::default(),
    };
    Decision::deny(denial, Vec::new(), Version("none".into()))
}

/// True for a token (RFC 9110 section 9.1) that a method can be: none that is known is long.
fn is_method(text: &str) -> bool {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=32).contains(&text.len()) && text.bytes().all(is_token)
}

#[cfg(test)]
mod samples;
