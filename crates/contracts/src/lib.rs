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
mod message;
mod wire;

use std::net::IpAddr;
use std::sync::Arc;

use model::{Decision, Denial, ListenerOptions, Reason, Version};

pub use message::Room;

/// What the doors of a listener are told about it.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The largest message, in bytes.
    pub max_message_bytes: usize,
    /// Room for the messages of all its connections.
    pub room: Room,
    /// What is configured for it alone.
    pub options: ListenerOptions,
}

impl Listener {
    /// A listener for which nothing else is configured than how large a message may be.
    pub fn new(max_message_bytes: usize) -> Self {
        Self {
            max_message_bytes,
            room: Room::new(usize::MAX),
            options: ListenerOptions::default(),
        }
    }
}

/// The log's line about somebody who may not ask.
fn strange(peer: IpAddr) -> String {
    format!("{peer} asks, which is in no network of `allowed_peers` of this listener")
}

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
    text.len() <= 32 && is_token(text.as_bytes())
}

/// True for a token (RFC 9110 section 5.6.2), as methods and names of headers are.
fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().fold(true, |all, byte| {
            all & IN_TOKEN.get(usize::from(*byte)).is_some_and(|is| *is)
        })
}

/// Letters, digits and some punctuation.
#[allow(clippy::indexing_slicing, reason = "it would not compile")]
static IN_TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut rest: &[u8] = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    while let [byte, more @ ..] = rest {
        table[*byte as usize] = true;
        rest = more;
    }
    table
};

/// True for what the value of a header can be (RFC 9110 section 5.5): no control characters but the tab.
fn is_field_value(value: &[u8]) -> bool {
    // Looks at every byte whatever was found, which is several at a time; tabs are rare.
    let suspect = value
        .iter()
        .fold(false, |found, b| found | (*b < 0x20) | (*b == 0x7F));
    !suspect || value.iter().all(|b| *b == b'\t' || !b.is_ascii_control())
}

#[cfg(test)]
mod samples;
