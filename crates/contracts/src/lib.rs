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

#[cfg(test)]
mod samples;
